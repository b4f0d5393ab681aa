"""What a step of a transformer moves between devices, for each way of splitting it.

    python -m benchmarks.scaling                 # counted: 1 to 8 virtual devices
    python -m benchmarks.scaling --estimate      # on paper: 8, 64 and 512 accelerators

Virtual devices share this machine's cores, so their time says nothing of real ones. What is counted
from the compiled program is what real devices would exchange too.
"""

import argparse
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import jax

import kerasish as keras
from examples.distributed_transformer import choose_split, load_data, make_model

CHOICES = ("data", "weights", "work", "both")
NAMES = {
    "data": "data parallel",
    "weights": "fully sharded",
    "work": "tensor parallel",
    "both": "both",
}
BATCH = 64
_KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
_SIZES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "pred": 1}


def moved(kind, size, devices):
    """Bytes that each of `devices` in a ring sends, for a collective whose result has `size`."""
    rest = (devices - 1) / devices
    return {"all-reduce": 2 * size * rest, "reduce-scatter": size * (devices - 1)}.get(
        kind, size * rest
    )


def collectives(text):
    """Kind, bytes of the result and devices in a group, of each collective of a compiled program.

    On the CPU XLA sums gradients whole, and then takes of each what the device holds.
    """
    for shapes, kind, rest in re.findall(rf"= (.*?) ({_KINDS})(?:-start)?\((.*)", text):
        size = sum(
            _SIZES.get(dtype, 4) * math.prod(int(n) for n in dims.split(",") if n)
            for dtype, dims in re.findall(r"(\w+)\[([\d,]*)\]", shapes)
        )
        yield kind, size, group_size(rest)


def group_size(text):
    """How many devices take part together, in each of the forms in which XLA says so."""
    if found := re.search(r"replica_groups=\{\{([\d,]*)\}", text):
        return len(found[1].split(","))
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]", text):
        return int(found[1])
    found = re.search(r"replica_groups=mesh\[(.*?)\].*?\{(.*?)\}", text)
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", found[1]))
    return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", found[2]))


def measure(devices, choice):
    """The figures of one process with so many virtual devices."""
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    keras.distribution.set_distribution(choose_split(choice))
    keras.utils.set_random_seed(0)
    model = make_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    (x, y), _ = load_data(BATCH)
    model.train_on_batch(x, y)
    step = next(iter(model._compiled_steps.values()))
    program = step.trace(step.forms()[0], one=True).lower().compile()
    found = list(collectives(program.as_text()))
    held = [*model.variables, *model.optimizer.variables]
    first = jax.devices()[0]
    parts = [s for v in held for s in v.value.addressable_shards if s.device == first]
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        seconds.append(time.perf_counter() - start)
    return {
        "choice": choice,
        "devices": devices,
        "weights": model.count_params(),
        "held": sum(s.data.nbytes for s in parts),
        "collectives": {k: sum(kind == k for kind, *_ in found) for k, *_ in found},
        "moved": sum(moved(*each) for each in found),
        "seconds": statistics.median(seconds),
    }


def count():
    """Run each case in a process of its own and print the table."""
    print(f"A step of {BATCH} rows of 64 characters, the model of distributed_transformer.py.\n")
    print("| split | devices | a device holds | it sends in a step | collectives | time (shared) |")
    print("|---|---|---|---|---|---|")
    for choice in CHOICES:
        for devices in (1, 2, 4, 8):
            if devices == 1 and choice != "data":
                continue
            command = [sys.executable, "-m", "benchmarks.scaling", "--case", str(devices), choice]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(found["collectives"].items()))
            name = NAMES[choice] if devices > 1 else "none"
            print(
                f"| {name} | {devices} | {found['held'] / 1e6:.2f} MB | "
                f"{found['moved'] / 1e6:.2f} MB | {kinds or '-'} | "
                f"{found['seconds'] * 1e3:.0f} ms |",
                flush=True,
            )


# -- on paper


class Machine(NamedTuple):
    """Published figures of an accelerator.

    Attributes:
        peak: Operations a second, dense bfloat16 products.
        near: Bytes a second that a device sends to its neighbours (half of what both ways are).
        neighbours: How many devices these connect.
        far: Bytes a second of each device to devices beyond.
    """

    peak: float
    near: float
    neighbours: int
    far: float


MACHINES = {
    "H100 SXM": Machine(989e12, 450e9, 8, 50e9),
    "TPU v5p": Machine(459e12, 600e9, 6144, 6.25e9),
    "TPU v5e": Machine(197e12, 200e9, 256, 3.125e9),
}
REACHED = 0.4  # of the peak, by matrix products of a good size
# Weights, layers, width.
MODELS = {"1.3B": (1.3e9, 24, 2048), "7B": (6.7e9, 32, 4096)}
TOKENS = 2**20  # of a global batch
DEVICES = (8, 64, 512)
ALONG = 8  # devices that share the work of a layer, where layers are split


class Sent(NamedTuple):
    """Bytes that each device sends in a step: to its neighbours, and beyond them."""

    near: float
    far: float

    def seconds(self, machine: Machine) -> float:
        """How long that takes, one after the other."""
        return self.near / machine.near + self.far / machine.far


def operations(weights, devices):
    """A device's arithmetic in a step: six operations for each weight and token."""
    return 6 * weights * TOKENS / devices


def gathered(size, devices, neighbours):
    """Sent to gather or scatter `size` bytes: among neighbours, and a share between groups."""
    group = min(devices, neighbours)
    groups = devices / group
    return Sent(size * (group - 1) / group, size / group * (groups - 1) / groups)


def sent_by_data(weights, devices, machine):
    """Scatter and gather 4-byte gradients: their sum on every device."""
    return gathered((4 + 4) * weights, devices, machine.neighbours)


def sent_by_sharded(weights, devices, machine):
    """Gather 2-byte weights twice (forward, backward), scatter 4-byte gradients."""
    return gathered((2 + 2 + 4) * weights, devices, machine.neighbours)


def sent_by_both(weights, layers, width, devices, machine):
    """Weights sharded over groups; within each, four sums of activations in every layer."""
    rows = devices // ALONG
    activations = TOKENS / rows * width * 2
    sums = 4 * layers * 2 * activations * (ALONG - 1) / ALONG
    near, far = gathered((2 + 2 + 4) * weights / ALONG, rows, machine.neighbours // ALONG)
    return Sent(sums + near, far)


def break_even(devices, machine):
    """Tokens a device from which on data-parallel exchange takes less time than arithmetic."""
    return sent_by_data(1, devices, machine).seconds(machine) * machine.peak * REACHED / 6


def estimate():
    """Print what a device computes and sends in a step, how long each takes, and break-evens."""
    print(f"Global batch {TOKENS:,} tokens; {REACHED:.0%} of the peak reached.\n")
    print("| machine | model | devices | computes | data parallel, fully sharded | both |")
    print("|---|---|---|---|---|---|")
    for (name, machine), (size, model) in itertools.product(MACHINES.items(), MODELS.items()):
        for devices in DEVICES:
            work = operations(model[0], devices)
            seconds = work / (machine.peak * REACHED)
            sent = sent_by_data(model[0], devices, machine), sent_by_both(*model, devices, machine)
            cells = " | ".join(_cell(each, seconds, machine) for each in sent)
            print(
                f"| {name} | {size} | {devices} | {work / 1e15:,.2f} PFLOP, {_ms(seconds)} "
                f"| {cells} |"
            )
    print("\n| machine | " + " | ".join(f"break-even on {n}" for n in DEVICES) + " |")
    print("|---" * (len(DEVICES) + 1) + "|")
    for name, machine in MACHINES.items():
        tokens = " | ".join(f"{break_even(n, machine):,.0f} of {TOKENS // n:,}" for n in DEVICES)
        print(f"| {name} | {tokens} |")


def _cell(sent, seconds, machine):
    takes = sent.seconds(machine)
    beside, after = seconds / max(seconds, takes), seconds / (seconds + takes)
    return f"{sum(sent) / 1e9:,.1f} GB, {_ms(takes)} ({beside:.0%} / {after:.0%})"


def _ms(seconds):
    return f"{seconds * 1e3:,.0f} ms"


def main():
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    parser.add_argument("--estimate", action="store_true", help="on paper, for accelerators")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("KERASISH_COMPILATION_CACHE", "0")
    if options.case:
        print(json.dumps(measure(int(options.case[0]), options.case[1])))
    elif options.estimate:
        estimate()
    else:
        count()


if __name__ == "__main__":
    main()
