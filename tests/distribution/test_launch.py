"""The launcher: what its processes are told, what is shown of them, and how they end."""

import os
import signal
import subprocess
import sys
import time

import jax
import pytest

from kerasish import distribution, launch

SAY = "import os; print('I am', os.environ['KERAS_DISTRIBUTION_PROCESS_ID'])"
IF_SECOND = "import os, sys, time, signal; i = int(os.environ['KERAS_DISTRIBUTION_PROCESS_ID']); "


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "script.py"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def run(capsys):
    """Launch in this process, which spares an import; gives the exit status and what was shown."""

    def run(*args):
        status = launch.run(launch.arguments(args))
        return (status, *capsys.readouterr())

    return run


def test_each_process_is_told_who_it_is():
    options = launch.arguments(["--processes", "3", "--devices-per-process", "4", "a.py"])
    env = launch.environment(options, 1234, 2)
    assert env["KERAS_DISTRIBUTION_JOB_ADDRESSES"] == "127.0.0.1:1234"
    assert env["KERAS_DISTRIBUTION_NUM_PROCESSES"] == "3"
    assert env["KERAS_DISTRIBUTION_PROCESS_ID"] == "2"
    assert (env["JAX_PLATFORMS"], env["JAX_NUM_CPU_DEVICES"]) == ("cpu", "4")


def test_gpus_are_shared_out(monkeypatch):
    options = launch.arguments(["--processes", "2", "--gpus-per-process", "2", "a.py"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert launch.environment(options, 1, 1)["CUDA_VISIBLE_DEVICES"] == "2,3"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert launch.environment(options, 1, 1)["CUDA_VISIBLE_DEVICES"] == "6,7"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    with pytest.raises(SystemExit, match="process 1 would need GPUs 2 to 3"):
        launch.environment(options, 1, 1)


def test_lines_carry_the_process(run, script):
    status, out, _ = run(script(SAY), "--unknown", "x")
    assert status == 0
    assert sorted(out.splitlines()) == ["[0] I am 0", "[1] I am 1"]


def test_quiet_shows_the_first_and_the_errors_of_others(run, script):
    _, out, errors = run("--quiet", script(f"{SAY}; import sys; print('oh', file=sys.stderr)"))
    assert out == "I am 0\n"
    assert sorted(errors.split()) == ["[1]", "oh", "oh"]


def test_a_module_and_its_arguments(run):
    status, out, _ = run("--processes", "1", "-m", "json.tool", "--help")
    assert status == 0
    assert "[0] usage" in out


FAILURES = {
    "sys.exit(3) if i else time.sleep(60)": (3, "exit status 3"),
    "print('last words'); os.kill(os.getpid(), 9) if i else time.sleep(60)": (
        137,
        "signal 9 (SIGKILL)",
    ),
}


@pytest.mark.parametrize("body", FAILURES)
def test_one_that_fails_ends_all_and_is_named(run, script, body):
    begun = time.monotonic()
    status, _, errors = run(script(IF_SECOND + body))
    assert (status, f"ended: {FAILURES[body][1]}" in errors) == (FAILURES[body][0], True)
    assert "process 1 (pid" in errors
    assert ("last words" in errors) == ("last words" in body)
    assert time.monotonic() - begun < 20


def test_one_that_will_not_end_is_killed(run, script):
    stay = "signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    text = IF_SECOND + stay + "(time.sleep(1), sys.exit(3)) if i else time.sleep(60)"
    status, _, errors = run("--grace", "1", script(text))
    assert status == 3
    assert "process 0 did not end within 1 s: killed" in errors


@pytest.mark.parametrize("number,status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_are_passed_on(script, number, status):
    text = "import time; print('ready', flush=True); time.sleep(60)"
    command = [sys.executable, "-m", "kerasish.launch", script(text)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(2):
        assert "ready" in started.stdout.readline()
    os.kill(started.pid, number)
    _, errors = started.communicate(timeout=30)
    assert started.returncode == status
    assert f"{number.name}: passed on to process 0, process 1" in errors


MISTAKES = {
    "--processes: must be an integer, at least 1; got '0'": ["--processes", "0", "a.py"],
    "--port: must be an integer, at least 1; got 'x'": ["--port", "x", "a.py"],
    "arguments are required: script": [],
    "give one": ["--devices-per-process", "2", "--gpus-per-process", "1", "a.py"],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_in_the_command_line(text, capsys):
    with pytest.raises(SystemExit):
        launch.arguments(MISTAKES[text])
    assert text in capsys.readouterr().err


def test_processes_that_jax_does_not_find(monkeypatch):
    def find_nobody(**_):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", find_nobody)
    assert distribution.initialize() is None
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match=r"MPI started 2 processes .*method='mpi4py'"):
        distribution.initialize()
    with pytest.raises(ValueError, match="should be defined"):
        distribution.initialize(num_processes=2)


def test_a_script_that_does_not_join_is_told(monkeypatch):
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(RuntimeError, match=r"one of 2 processes, but has not joined the others"):
        distribution.set_distribution(distribution.DataParallel())
