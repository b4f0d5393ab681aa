"""Where the time goes until the first epoch ends: import, build, trace, lower, compile, run.

    python -m benchmarks.start                      # five models, nothing compiled before
    python -m benchmarks.start --warm               # the process after it, which finds programs
    python -m benchmarks.start --clock cpu          # processor time, where others share the machine

Each model has a process of its own. Under the table stand the programs that took longest.
"""

import argparse
import collections
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time

from benchmarks.other_tasks import TASKS, find_task, make_data

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PHASES = ("import", "build", "trace", "lower", "compile", "run and else", "all")
EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}
MODELS = ("residual", "depthwise", "unet", "text-conv", "decoder")


class Phases:
    """Time by phase. What JAX reports ends when it is reported, and began where the last one ended.

    Args:
        clock: Function that gives seconds.
    """

    def __init__(self, clock):
        self.clock, self.mark = clock, clock()
        self.seconds = collections.Counter()
        self.programs = collections.Counter()
        self.count = 0

    def end(self, phase):
        """Count the time since the last mark for a phase."""
        now = self.clock()
        self.seconds[phase] += now - self.mark
        self.mark, passed = now, now - self.mark
        return passed

    def on_event(self, event, seconds, fun_name="?", **_):
        """What `jax.monitoring` calls at the end of each phase of each program."""
        phase = EVENTS.get(event)
        if phase is None:
            return
        if self.clock is time.process_time:
            seconds = self.end(phase)
        else:
            between = self.clock() - seconds - self.mark
            self.seconds["run and else"] += max(between, 0.0)
            self.seconds[phase] += min(seconds, seconds + between)
            self.mark = self.clock()
        self.programs[f"{fun_name} ({phase})"] += seconds
        self.count += phase == "compile"


def measure(framework, name, clock):
    """Run one model in this process; print its phases as a line of JSON."""
    phases = Phases(CLOCKS[clock])
    if clock == "cpu":
        phases.mark = 0.0  # Python's own start too
    keras = importlib.import_module(framework)
    phases.end("import")
    import jax  # noqa: PLC0415  (part of the framework's import)

    from benchmarks.other_keras import models, targets_of  # noqa: PLC0415

    task = find_task(name)
    x, y = make_data(task)
    phases.mark = phases.clock()  # the data are nobody's work
    model = models(keras)[name]()
    phases.end("build")
    jax.monitoring.register_event_duration_secs_listener(phases.on_event)
    x, y = list(x) if isinstance(x, tuple) else x, targets_of(name, y)
    model.fit(x, y, batch_size=task.batch, epochs=1, verbose=0)
    phases.end("run and else")
    longest = phases.programs.most_common(6)
    print(json.dumps([phases.seconds, phases.count, longest]))


def run(options, name, cache):
    """The phases of a model in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.start", "--inside", "--models", name]
    command += ["--framework", options.framework, "--clock", options.clock]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERASISH_COMPILATION_CACHE": cache}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{options.framework} failed on {name}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measure each model and print a table as it grows, then its longest programs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=TASKS, metavar="MODEL")
    parser.add_argument("--framework", default="kerasish", choices=("kerasish", "keras"))
    parser.add_argument("--clock", default="wall", choices=CLOCKS)
    parser.add_argument("--warm", action="store_true", help="measure the second process")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options.framework, options.models[0], options.clock)
        return
    print(f"| seconds | {' | '.join(PHASES)} | programs |\n|---|{'---:|' * (len(PHASES) + 1)}")
    details = []
    for name in options.models:
        with tempfile.TemporaryDirectory() as cache:
            if options.warm:
                run(options, name, cache)
            seconds, count, longest = run(options, name, cache)
        seconds["all"] = sum(seconds.values())
        cells = [f"{seconds.get(phase, 0.0):.2f}" for phase in PHASES]
        print(f"| {name} | {' | '.join(cells)} | {count} |", flush=True)
        details.append(f"{name}: " + ", ".join(f"{what} {took:.2f}" for what, took in longest))
    print("\n" + "\n".join(details))


if __name__ == "__main__":
    main()
