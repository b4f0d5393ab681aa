"""Runner of the second table for PyTorch: plain eager loops, threads at their default."""

import pathlib
import tempfile

import torch
from torch.nn import functional

from benchmarks.other_measure import arguments, report
from benchmarks.other_tasks import as_list, find_task
from benchmarks.other_torch import MODELS

options = arguments()
task = find_task(options.model)
# Convolutions over time, whose one axis of space comes before the channels.
_SEQUENCES = ("dilated-conv",)


def tensor(x):
    """A tensor; what has axes of space gets its channels before them."""
    x = torch.from_numpy(x)
    if x.ndim >= 4 or (options.model in _SEQUENCES and x.ndim == 3):
        x = x.movedim(-1, -3 if options.model == "conv-lstm" else 1).contiguous()
    return x.long() if x.dtype == torch.int32 else x


def loss_of(outputs, y):
    """The loss that the Keras program has."""
    if options.model == "vae":
        return functional.mse_loss(outputs[0], y) + outputs[1]
    if options.model == "two-heads":
        size = functional.huber_loss(outputs[1], y[:, None] / 10)
        return functional.cross_entropy(outputs[0], y) + 0.5 * size
    if task.loss == "mse":
        return functional.mse_loss(outputs, y)
    if task.loss == "binary":
        return functional.binary_cross_entropy_with_logits(outputs, y)
    if y.ndim > 1 and options.model != "unet":  # tokens
        return functional.cross_entropy(outputs.flatten(0, 1), y.flatten())
    return functional.cross_entropy(outputs, y)


def adversarial_step(model, optimizers, x):
    """Both learn from a batch; the loss of the generator."""
    judge, rows = functional.binary_cross_entropy_with_logits, len(x)
    noise = torch.randn(rows, 16)
    with torch.no_grad():
        fake = model.generator(noise)
    labels = torch.cat([torch.ones(rows, 1), torch.zeros(rows, 1)])
    first, second = optimizers
    first.zero_grad()
    judge(model.discriminator(torch.cat([x, fake])), labels).backward()
    first.step()
    second.zero_grad()
    loss = judge(model.discriminator(model.generator(noise)), labels[:rows])
    loss.backward()
    second.step()
    return loss.detach()


def batches(x, y):
    """Shuffled batches of tensors, as a user's loop would take them from memory."""
    xs, y = [tensor(a) for a in as_list(x)], tensor(y)
    if task.fed == "dataset":
        data = torch.utils.data.TensorDataset(*xs, y)
        loader = torch.utils.data.DataLoader(data, task.batch, shuffle=False)
        while True:
            yield ((part[:-1], part[-1]) for part in loader)
    if task.fed == "generator":
        while True:
            yield (([xs[0][rows]], y[rows]) for rows in torch.arange(len(y)).split(task.batch))
    while True:
        orders = torch.randperm(len(y)).split(task.batch)
        yield (([a[rows] for a in xs], y[rows]) for rows in orders)


def after_epoch(model, x, y, folder):
    """What the callbacks of the Keras program do: validation, its accuracy, a checkpoint."""
    model.eval()
    with torch.inference_mode():
        parts = zip(x.split(task.batch), y.split(task.batch), strict=True)
        found = [(loss_of(out := model(a), b), (out.argmax(1) == b).sum()) for a, b in parts]
    sum(loss.item() for loss, _ in found)
    torch.save(model.state_dict(), folder / "best.pt")
    model.train()


def build():
    """The model, its training loop, and prediction."""
    model = MODELS[options.model]()
    is_gan = options.model == "gan"
    groups = (model.discriminator, model.generator) if is_gan else (model,)

    def train(x, y, clock, epochs):
        optimizers = [torch.optim.Adam(group.parameters(), 1e-3) for group in groups]
        model.train()
        source = batches(x, y)
        held_out = [tensor(a[:640]) for a in (x, y)] if options.model == "every-epoch" else []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(epochs):
                total = torch.zeros(())
                for inputs, target in next(source):
                    if is_gan:
                        total += adversarial_step(model, optimizers, inputs[0])
                        continue
                    optimizers[0].zero_grad()
                    loss = loss_of(model(*inputs), target)
                    loss.backward()
                    optimizers[0].step()
                    total += loss.detach()
                total.item()
                if held_out:
                    after_epoch(model, *held_out, pathlib.Path(folder))
                if clock.tick():
                    return

    def predict(x):
        model.eval()
        parts = [tensor(a) for a in as_list(x)]
        with torch.inference_mode():
            found = model(*([parts[0][:, :16]] if is_gan else parts))
        return [y.numpy() for y in found] if isinstance(found, tuple) else found.numpy()

    return train, predict


if __name__ == "__main__":
    report(build, options, task)
