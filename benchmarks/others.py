"""The second table: models of other kinds, under kerasish, Keras 3 and PyTorch.

Prints a row as soon as a model is measured, keeps every figure in a file, and goes on from there
if it is started again (`--fresh` begins anew). What fails or takes too long is shown as such.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.other_tasks import TASKS

RUNNERS = {"kerasish": "run_other_keras", "keras": "run_other_keras", "torch": "run_other_torch"}
ROWS = {
    "until the first epoch": (1e3, "ms"),
    "until it again": (1e3, "ms"),
    "step": (1e6, "us"),
    "predict 1": (1e6, "us"),
    "peak memory": (1e-6, "MB"),
}


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.others", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(TASKS), choices=TASKS, metavar="MODEL")
    parser.add_argument("--frameworks", nargs="+", default=list(RUNNERS), choices=RUNNERS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="of training, once warm")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a process may take")
    parser.add_argument("--torch-python", default=sys.executable, help="Python that has torch")
    parser.add_argument("--fresh", action="store_true", help="measure again what is in the file")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/others.json"))
    return parser.parse_args()


def run(options, framework, model, cache, *more):
    """The figures of one process, or `{"failed": why}`."""
    python = options.torch_python if framework == "torch" else sys.executable
    command = [python, "-m", f"benchmarks.{RUNNERS[framework]}", framework, model, *more]
    command += ["--seconds", str(options.seconds), "--began", str(time.time())]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERASISH_COMPILATION_CACHE": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have theirs
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False,
            timeout=options.limit,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"over {options.limit:g} s"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return {"failed": lines[-1] if lines else f"exit {done.returncode}", "stderr": done.stderr}
    return json.loads(done.stdout.splitlines()[-1])


def measure(options, framework, model):
    """The figures of a process that finds nothing compiled, and the start of the one after it."""
    with tempfile.TemporaryDirectory() as cache:
        figures = run(options, framework, model, cache)
        if "failed" in figures:
            return figures
        again = run(options, framework, model, cache, "--first")
    if "failed" in again:
        return again
    return {**figures, "until it again": again["until the first epoch"]}


def cell(figures, name, base):
    """A figure's median, and how many times the first framework's it is."""
    found = [f[name] for f in figures if name in f]
    if not found:
        return "failed" if any("failed" in f for f in figures) else "-"
    scale, median = ROWS[name][0], statistics.median(found)
    text = f"{median * scale:,.{1 if median * scale < 100 else 0}f}"
    first = [f[name] for f in base if name in f]
    return text if base is figures or not first else (
        f"{text} ({median / statistics.median(first):.2f}x)"
    )  # fmt: skip


def show(model, found, frameworks):
    """Print the rows of one model."""
    for name, (_, unit) in ROWS.items():
        cells = [cell(found.get(f, []), name, found.get(frameworks[0], [])) for f in frameworks]
        print(f"| {model}: {name}, {unit} | {' | '.join(cells)} |", flush=True)
    for framework in frameworks:
        for figures in found.get(framework, []):
            if "failed" in figures:
                print(f"  {framework} on {model}: {figures['failed']}", flush=True)


def main():
    """Measure what was asked for and is not in the file yet; then say who wins how often."""
    options = arguments()
    kept = options.out.exists() and not options.fresh
    results = json.loads(options.out.read_text()) if kept else {}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"| | {' | '.join(options.frameworks)} |")
    print(f"|---|{'---:|' * len(options.frameworks)}", flush=True)
    for model in options.models:
        found = results.setdefault(model, {})
        for turn in range(options.rounds):
            first = turn % len(options.frameworks)
            for framework in options.frameworks[first:] + options.frameworks[:first]:
                rounds = found.setdefault(framework, [])
                rounds[:] = [figures for figures in rounds if "failed" not in figures]
                if len(rounds) > turn:
                    continue
                print(f"{model}, {framework}".ljust(50), end="\r", file=sys.stderr, flush=True)
                rounds.append(measure(options, framework, model))
                options.out.write_text(json.dumps(results, indent=1))
        show(model, found, options.frameworks)
    summarize({model: results[model] for model in options.models}, options.frameworks)


def summarize(results, frameworks):
    """Print the median, least and greatest ratio to each other framework, and where it is under 1.

    Args:
        results: Figures of each round by model and framework.
        frameworks: Names; the first is compared with the others.
    """
    ours = frameworks[0]
    for other in frameworks[1:]:
        for name in ROWS:
            ratios = {}
            for model, found in results.items():
                pair = [[f[name] for f in found.get(x, []) if name in f] for x in (ours, other)]
                if all(pair):
                    ratios[model] = statistics.median(pair[1]) / statistics.median(pair[0])
            if ratios:
                by_size = sorted(ratios.items(), key=lambda pair: pair[1])
                lost = [f"{model} {ratio:.2f}" for model, ratio in by_size if ratio < 1]
                middle = statistics.median(ratios.values())
                print(f"{name}, {other}'s by {ours}'s: median {middle:.2f}", end="")
                print(f", {by_size[0][1]:.2f} to {by_size[-1][1]:.2f}", end="")
                print(f"; under 1: {', '.join(lost) or 'none'}")


if __name__ == "__main__":
    main()
