"""The same measures on torchvision's models; run by `benchmarks.applications --torch-python`.

Knows nothing of JAX, so that it runs where only torch and torchvision are.
"""

import json
import statistics
import sys
import time

import torch
import torchvision

NAMES = {
    "ResNet50": "resnet50",
    "MobileNetV3Small": "mobilenet_v3_small",
    "MobileNetV3Large": "mobilenet_v3_large",
    "EfficientNetB0": "efficientnet_b0",
}


def build(name, size, batch, batches, classes, epochs):
    """Seconds until a model with random weights is there."""
    clock, processor = time.perf_counter(), time.process_time()
    torchvision.models.get_model(NAMES[name], weights=None)
    return {
        "build, processor": time.process_time() - processor,
        "build": time.perf_counter() - clock,
    }


def timed(what, run, batches, epochs):
    """The first epoch, and a batch of the later ones, in seconds of clock and processor."""
    clock, processor = [], []
    for _ in range(epochs):
        start, used = time.perf_counter(), time.process_time()
        run()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return {
        f"compile {what}, processor": processor[0],
        f"compile {what}": clock[0],
        f"{what}, processor": min(processor[1:]) / batches,
        what: statistics.median(clock[1:]) / batches,
    }


def features(name, size, batch, batches, classes, epochs):
    """Seconds of inference for a batch."""
    model = torchvision.models.get_model(NAMES[name], weights=None).eval()
    x = torch.rand(batch, 3, size, size)

    def run():
        with torch.inference_mode():
            for _ in range(batches):
                model(x)

    return timed("features", run, batches, epochs)


def step(name, size, batch, batches, classes, epochs):
    """Seconds of a training step."""
    model = torchvision.models.get_model(NAMES[name], weights=None, num_classes=classes).train()
    optimizer, loss = torch.optim.Adam(model.parameters()), torch.nn.CrossEntropyLoss()
    x, y = torch.rand(batch, 3, size, size), torch.arange(batch) % classes

    def run():
        for _ in range(batches):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

    return timed("step", run, batches, epochs)


if __name__ == "__main__":
    measure, name, *numbers = sys.argv[1:]
    print(json.dumps(globals()[measure](name, *map(int, numbers))))
