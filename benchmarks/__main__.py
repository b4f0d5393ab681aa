"""Run every framework on every model in processes of their own, and print medians and ratios."""

import argparse
import collections
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.models import MODELS, known

RUNNERS = {
    "kerasish": "run_keras",
    "keras": "run_keras",
    "torch": "run_torch",
    "optax": "run_optax",
}
UNITS = {
    "until the first epoch": (1e3, "ms"),
    "until it again": (1e3, "ms"),
    "build": (1e3, "ms"),
    "first epoch": (1e3, "ms"),
    "peak memory": (1e-6, "MB"),
}


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), type=known)
    parser.add_argument("--frameworks", nargs="+", default=list(RUNNERS), choices=RUNNERS)
    parser.add_argument("--rounds", type=int, default=5, help="processes a framework and model")
    parser.add_argument("--epochs", type=int, default=3, help="epochs measured in each process")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/benchmarks.json"))
    return parser.parse_args()


def run(framework, model, cache, *options):
    """The figures of one process, which finds compiled programs in a folder and puts them there."""
    command = [sys.executable, "-m", f"benchmarks.{RUNNERS[framework]}", framework, model, *options]
    command += ["--began", str(time.time())]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERASISH_COMPILATION_CACHE": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have theirs
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{framework} failed on {model}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(framework, model, epochs):
    """The figures of a process that finds nothing compiled, and the start of the one after it."""
    with tempfile.TemporaryDirectory() as cache:
        figures = run(framework, model, cache, "--epochs", str(epochs))
        again = run(framework, model, cache, "--first")["until the first epoch"]
    first = {"until the first epoch": figures.pop("until the first epoch"), "until it again": again}
    return {**first, **figures}


def measure_all(model, frameworks, rounds, epochs):
    """Figures by framework and name, the frameworks taking turns so that noise meets all alike."""
    figures = {framework: collections.defaultdict(list) for framework in frameworks}
    for turn in range(rounds):
        first = turn % len(frameworks)
        for framework in frameworks[first:] + frameworks[:first]:
            note = f"{model}: round {turn + 1} of {rounds}, {framework}"
            print(note.ljust(60), end="\r", file=sys.stderr, flush=True)
            for name, value in measure(framework, model, epochs).items():
                figures[framework][name].append(value)
    return figures


def table(model, figures):
    """A table of medians, each followed by its ratio to the first framework's."""
    frameworks = list(figures)
    reference = figures[frameworks[0]]
    rows = [[model, *frameworks]]
    for name in reference:
        scale, unit = UNITS.get(name, (1e6, "us"))
        base = statistics.median(reference[name])
        row = [f"{name}, {unit}"]
        for framework in frameworks:
            median = statistics.median(figures[framework][name])
            ratio = "" if framework == frameworks[0] else f" ({median / base:.2f}x)"
            value = median * scale
            row.append(f"{value:,.{1 if value < 100 else 0}f}{ratio}")
        rows.append(row)
    rows.insert(1, ["---", *["---:"] * len(frameworks)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def main():
    """Measure what was asked for; print a table a model, and keep every figure in a file."""
    options = arguments()
    missing = [name for name in options.frameworks if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"Not installed: {', '.join(missing)}. Run `make bench`, or name `--frameworks`.")
    found = {}
    for model in options.models:
        found[model] = measure_all(model, options.frameworks, options.rounds, options.epochs)
        print(f"{table(model, found[model])}\n", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
