"""Workers, and whoever asks them. A task has a limit, and a worker that dies or hangs takes one with it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any, Final

from benchmarks.device.tasks import Task

__all__ = ["Crew", "Row"]

Row = dict[str, Any]
"""What a worker answers: a row's fields, or ``error``."""

ROOT: Final = Path(__file__).parents[2]

TAIL: Final = 400
"""Characters of what a worker last said that stand in a row."""

GOODBYE: Final = 5.0
"""Seconds that a worker has to end when it is no longer asked."""


class Worker:
    """A process that does one task after the other."""

    def __init__(self, place: str, threads: int) -> None:
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # it lives as long as the worker
        paths = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-m", "benchmarks.device.worker", place],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
        )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, task: Task, seconds: float) -> Row:
        """The row, or an error when none comes in time; the worker is then of no more use."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(asdict(task)) + "\n")
            self.process.stdin.flush()
            line = self.answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            self.process.kill()
            return {"error": f"took longer than {seconds:.0f} s, and was ended", "lost": True}
        except OSError:
            line = ""
        if line:
            found: Row = json.loads(line)
            return found
        return {"error": f"its process ended with status {self.process.wait()}: {self._tail()}", "lost": True}

    def end(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(GOODBYE)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.said.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def _tail(self) -> str:
        self.said.seek(0)
        return " ".join(self.said.read().split())[-TAIL:]


class Crew:
    """Several workers on one list of tasks.

    Args:
        place: a name in `benchmarks.device.worker.PLACES`.
        size: how many workers at once.
        threads: of torch, in each.
        limit: seconds that a task may take, the start of its worker included.
        found: called with every task and its row, from one thread at a time.
    """

    def __init__(
        self, place: str, size: int, limit: float, found: Callable[[Task, Row], None], threads: int = 1
    ) -> None:
        self.place, self.size, self.limit, self.found, self.threads = place, size, limit, found, threads
        self._lock = threading.Lock()
        self._workers: set[Worker] = set()
        self._cut: list[Task] = []
        self._stopped = False

    def do(self, tasks: Sequence[Task], until: float) -> list[Task]:
        """Work until a time of `time.monotonic`; gives back what nobody came to, or was cut off."""
        todo, self._cut = deque(tasks), []
        threads = [
            threading.Thread(target=self._serve, args=(todo, until), daemon=True)
            for _ in range(min(self.size, len(todo)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # so that an interrupt is heard
        finally:
            left = [*self._cut, *todo]
            todo.clear()
            with self._lock:
                self._stopped = any(thread.is_alive() for thread in threads)  # an interrupt: no more rows
                for worker in self._workers:
                    worker.process.kill()
        return left

    def _serve(self, todo: deque[Task], until: float) -> None:
        worker: Worker | None = None
        while monotonic() < until:
            try:
                task = todo.popleft()
            except IndexError:
                break
            if worker is None:
                worker = Worker(self.place, self.threads)
                with self._lock:
                    self._workers.add(worker)
            row = worker.ask(task, min(self.limit, until - monotonic()))
            with self._lock:
                if self._stopped:
                    return
                if row.get("lost") and monotonic() >= until:
                    self._cut.append(task)
                else:
                    self.found(task, row)
            if row.pop("lost", False):
                self._gone(worker)
                worker = None
        if worker is not None:
            self._gone(worker)

    def _gone(self, worker: Worker) -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.end()
