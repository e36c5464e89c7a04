"""A worker that dies, hangs, prints or is no worker at all ends in one clear error."""

from __future__ import annotations

import ast
import gc
import os
import shutil
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from time import sleep

import numpy as np
import pytest
from ipu_calls import PYTHON, backend, compiled, data, job_of, network

from snnhw.errors import DeviceError, InputError
from snnhw_ipu import channel, process
from snnhw_ipu.executable import IpuExecutable
from snnhw_ipu.link import InProcess, InWorker, interpreter
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.process import Worker, give_back, take
from snnhw_ipu.worker.frames import PROTOCOL
from snnhw_ipu.worker.session import Session


def script(folder: Path, text: str) -> list[str]:
    """A command that runs some Python in the place of a worker."""
    path = folder / "worker.py"
    path.write_text(text)
    return [PYTHON, str(path)]


def shell(folder: Path, line: str) -> str:
    """An interpreter that is a line of shell."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def worker_of(executable: IpuExecutable) -> Worker:
    assert isinstance(executable._link, InWorker)
    return executable._link.worker


def subprocess_of(executable: IpuExecutable) -> subprocess.Popen[bytes]:
    return worker_of(executable)._channel.process


def send_once_asked(worker: Worker, number: signal.Signals, to: int) -> None:
    """A signal to a process once the worker, which stands still, has a question, however long that takes."""

    def send() -> None:
        while not worker.busy:
            sleep(0.01)
        sleep(0.2)  # until whoever asked waits for the answer
        os.kill(to, number)

    Thread(target=send, daemon=True).start()


# -- workers that are none ----------------------------------------------------------------------------


def test_an_interpreter_that_does_not_exist() -> None:
    with pytest.raises(DeviceError, match=r"cannot be started: .*SNNHW_IPU_PYTHON"):
        Worker("/nowhere/python")


def test_an_interpreter_may_be_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/at/home")
    assert interpreter(IpuOptions(python="~/poplar/bin/python")) == "/at/home/poplar/bin/python"
    assert interpreter(IpuOptions(python="python3.8")) == "python3.8"


def test_an_interpreter_without_torch(tmp_path: Path) -> None:
    python = shell(tmp_path, f'exec {sys.executable} -I -S "$@"')
    with pytest.raises(
        DeviceError,
        match=r"(?s)ended with status 1 while it was asked 'hello'.*cannot run an IPU worker: No module named"
        r".*pip install torch==2.0.1",
    ):
        Worker(python)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 7, 16)])
def test_an_interpreter_that_is_too_old(tmp_path: Path, version: tuple[int, ...]) -> None:
    lies = f"import runpy, sys; sys.version_info = {version}; runpy.run_path(sys.argv[1], None, '__main__')"
    python = shell(tmp_path, f'exec {sys.executable} -c "{lies}" "$@"')
    with pytest.raises(DeviceError, match=r"(?s)an IPU worker needs Python 3\.8 or newer, and .*python"):
        Worker(python)


def test_any_python_reads_the_file_that_starts_a_worker() -> None:
    text = (process.FOLDER / "__main__.py").read_text()
    tree = ast.parse(text, feature_version=(3, 4))
    new = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef)
    assert not [node for node in ast.walk(tree) if isinstance(node, new)]
    assert "__future__" not in text


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_an_interpreter_that_really_is_too_old(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no Python {version} here")
    with pytest.raises(DeviceError, match=rf"needs Python 3\.8 or newer, and .* is Python {version}"):
        Worker(python)


def test_a_worker_that_is_killed_while_it_starts(tmp_path: Path) -> None:
    command = script(tmp_path, "import os; os.write(2, b'half awake'); os.kill(os.getpid(), 9)")
    with pytest.raises(DeviceError, match=r"(?s)killed by signal 9 while it was asked 'hello'.*half awake"):
        Worker(PYTHON, command)


def test_a_program_that_prints_in_the_place_of_a_worker(tmp_path: Path) -> None:
    command = script(tmp_path, "print('Loading modules, please wait')")
    with pytest.raises(DeviceError, match=r"wrote something that is no answer \(b'Loading ' came"):
        Worker(PYTHON, command)


def test_a_worker_of_another_version(tmp_path: Path) -> None:
    other = (PROTOCOL + 1).to_bytes(2, "big")
    command = script(tmp_path, f"import sys; sys.stdout.buffer.write(b'SNNIPU' + {other!r} + bytes(12))")
    with pytest.raises(
        DeviceError, match=f"version {PROTOCOL + 1} of the protocol, this one version {PROTOCOL}"
    ):
        Worker(PYTHON, command)


def test_a_worker_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START", 1.0)
    command = script(tmp_path, "import os, time; os.write(2, b'busy'); time.sleep(600)")
    with pytest.raises(DeviceError, match=r"(?s)did not answer 'hello' in 1 s and was ended.*busy"):
        Worker(PYTHON, command)


def test_one_that_closes_its_pipes_and_goes_on_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not said to have been killed by a signal, which was ours."""
    monkeypatch.setattr(channel, "ENDING", 0.5)
    command = script(tmp_path, "import os, time; os.close(1); time.sleep(600)")
    with pytest.raises(
        DeviceError, match=r"closed its pipes while it was asked 'hello', did not end within 0\.5 s, and was"
    ):
        Worker(PYTHON, command)


# -- real ones ----------------------------------------------------------------------------------------


def test_an_error_of_its_own_does_not_end_a_worker() -> None:
    worker = take(PYTHON)
    assert worker.hello["protocol"] == PROTOCOL
    with pytest.raises(
        DeviceError, match=r"ValueError: a worker is not asked 'sing'; it answers hello, probe"
    ):
        worker.ask("sing", {}, {}, timeout=60)
    assert worker.alive
    give_back(worker)
    assert take(PYTHON) is worker
    worker.kill()


def test_garbage_ends_a_worker_and_says_so() -> None:
    worker = take(PYTHON)
    worker._channel._write(b"this is no frame, and it is long enough")
    with pytest.raises(DeviceError, match=r"(?s)ended with status 2.*b'this is ' came where a frame begins"):
        worker.ask("hello", {}, {}, timeout=60)
    assert not worker.alive


def test_kill_9_loses_no_more_than_since_the_last_sync() -> None:
    program, params = network()
    x, y = data()
    with compiled(program, params, job_of(program, sync_every=2)) as executable:
        for _ in range(2):
            executable.step({"x": x}, {"target": y})
        kept = executable.save_state()
        os.kill(worker_of(executable).pid, signal.SIGKILL)
        with pytest.raises(DeviceError, match=r"(?s)killed by signal 9.*The parameters of update 2 are kept"):
            executable.step({"x": x}, {"target": y})
        after = executable.save_state()
        assert kept.keys() == after.keys()
        assert all(np.array_equal(kept[name], after[name]) for name in kept)
        assert not np.array_equal(executable.get_params()["fc1.weight"], params["fc1.weight"])
        with pytest.raises(DeviceError, match=r"killed by signal 9"):
            executable.run({"x": x})
    with compiled(program, params, job_of(program)) as again:
        again.load_state(after)
        assert again.step({"x": x}, {"target": y}).loss > 0


def test_kill_9_in_the_middle_of_a_step() -> None:
    program, params = network()
    x, y = data()
    with compiled(program, params, job_of(program, sync_every=1)) as executable:
        executable.step({"x": x}, {"target": y})
        worker = worker_of(executable)
        os.kill(worker.pid, signal.SIGSTOP)  # so that it is in the middle of it
        send_once_asked(worker, signal.SIGKILL, worker.pid)
        with pytest.raises(DeviceError, match=r"killed by signal 9 while it was asked 'step'"):
            executable.step({"x": x}, {"target": y})
        with pytest.raises(DeviceError, match=r"(?s)killed by signal 9.*parameters of update 1 are kept"):
            executable.set_params(params)
        assert executable.get_params().keys() == params.keys()


def test_kill_9_while_it_waits_for_work() -> None:
    worker = take(PYTHON)
    give_back(worker)
    os.kill(worker.pid, signal.SIGKILL)
    other = take(PYTHON)
    assert other is not worker
    assert other.hello["protocol"] == PROTOCOL
    give_back(other)


def test_a_worker_that_is_gone_says_so_again() -> None:
    worker = take(PYTHON)
    worker.kill()
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"the IPU worker .* was ended"):
            worker.ask("hello", {}, {}, timeout=60)


def test_control_c_loses_nothing() -> None:
    program, params = network()
    x, y = data()
    with compiled(program, params, job_of(program)) as whole:
        for _ in range(3):
            whole.step({"x": x}, {"target": y})
        wanted = whole.get_params()
    with compiled(program, params, job_of(program)) as executable:
        executable.step({"x": x}, {"target": y})
        worker = worker_of(executable)
        os.kill(worker.pid, signal.SIGSTOP)
        send_once_asked(worker, signal.SIGINT, os.getpid())
        with pytest.raises(KeyboardInterrupt):
            executable.step({"x": x}, {"target": y})
        assert worker.busy
        os.kill(worker.pid, signal.SIGCONT)
        executable.step({"x": x}, {"target": y})  # waits for the one before
        found = executable.get_params()
        assert all(np.array_equal(found[key], wanted[key]) for key in wanted)


def test_closing_does_not_wait_for_what_was_interrupted() -> None:
    program, params = network()
    executable = compiled(program, params, job_of(program))
    worker = worker_of(executable)
    os.kill(worker.pid, signal.SIGSTOP)
    send_once_asked(worker, signal.SIGINT, os.getpid())
    with pytest.raises(KeyboardInterrupt):
        executable.run({"x": data()[0]})
    executable.close()
    assert not worker.alive


def test_a_program_that_nobody_holds_ends_its_worker() -> None:
    program, params = network()
    executable = compiled(program, params, job_of(program))
    found = subprocess_of(executable)
    assert found.poll() is None
    del executable
    gc.collect()
    assert found.wait(30) == -signal.SIGKILL


def test_a_fork_has_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = take(PYTHON)
    with monkeypatch.context() as forked:
        forked.setattr("snnhw_ipu.channel.os.getpid", lambda: 1)  # as it looks from there
        assert not worker.alive
        with pytest.raises(DeviceError, match="a fork of that; compile the program here"):
            worker.ask("hello", {}, {}, timeout=60)
        worker.kill()
    assert worker.alive
    give_back(worker)


def test_two_threads_may_ask() -> None:
    worker = take(PYTHON)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(worker.ask, "hello", {}, {}, timeout=60.0) for _ in range(40)]
        assert all(each.result()[0] == worker.hello for each in asked)
    give_back(worker)


def test_a_call_that_takes_too_long_is_ended() -> None:
    """The worker stands still: it is the call that comes to an end."""
    program, params = network()
    x, y = data()
    with compiled(program, params, job_of(program)) as executable:
        link = executable._link
        assert isinstance(link, InWorker)
        link._timeout = 1.0
        os.kill(link.worker.pid, signal.SIGSTOP)
        with pytest.raises(DeviceError, match=r"did not answer 'step' in 1 s"):
            executable.step({"x": x}, {"target": y})


def test_in_process_gives_what_a_worker_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """PopTorch is not here: its stand-in is imported under its name."""
    from snnhw_ipu.worker import double

    monkeypatch.setitem(sys.modules, "poptorch", double)
    monkeypatch.delenv("SNNHW_IPU_PYTHON", raising=False)
    program, params = network()
    x, y = data()
    losses = []
    for emulate in (False, True):
        with compiled(program, params, job_of(program, emulate=emulate)) as executable:
            assert isinstance(executable._link, InWorker if emulate else InProcess)
            losses.append([executable.step({"x": x}, {"target": y}).loss for _ in range(3)])
    assert losses[0] == losses[1]


def test_errors_in_process_are_device_errors() -> None:
    with pytest.raises(DeviceError, match=r"the IPU failed: AssertionError: no program is open"):
        InProcess().ask("params", {}, {})


def test_a_session_without_poptorch_says_so() -> None:
    with pytest.raises(ModuleNotFoundError, match="poptorch"):
        Session().ask("open", {"emulate": False}, {})


def test_other_shapes_are_refused_with_what_to_do() -> None:
    program, params = network()
    x, y = data(batch=3)
    with (
        compiled(program, params, job_of(program)) as executable,
        pytest.raises(InputError, match=r"compiled for T=5 and B=4, but was given T=5 and B=3; .*option pad"),
    ):
        executable.step({"x": x}, {"target": y})
    with compiled(program, params, job_of(program, pad=True)) as executable:
        whole, _ = data(batch=11)
        found = executable.run({"x": whole})
        part = executable.run({"x": whole[:, 4:8]})
        assert found.outputs["output"].shape == (5, 11, 3)
        assert np.array_equal(found.outputs["output"][:, 4:8], part.outputs["output"])
        assert np.array_equal(found.state["lif1.mem"][4:8], part.state["lif1.mem"])


def test_probe_of_the_device_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNNHW_IPU_PYTHON", raising=False)
    found = backend().probe()
    assert (found.status, found.ready) == ("missing", False)
    assert "export SNNHW_IPU_PYTHON=" in found.install
    assert "emulate=true" in found.install
    monkeypatch.setenv("SNNHW_IPU_PYTHON", "/nowhere/python")
    assert backend().probe().status == "broken"
