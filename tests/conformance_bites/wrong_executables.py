"""Executables that are wrong on purpose: what another one does, and one thing spoilt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from snnhw.errors import SnnhwError
from snnhw.ir import CLOCK, Params
from snnhw.plugin import Arrays, Executable, Result, StepResult

__all__ = ["Around"]


class Around:
    """An executable that does as another does."""

    def __init__(self, inner: Executable) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *raised: object) -> None:
        self.inner.close()


class Forgetful(Around):
    """Starts from rest whatever it is given."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        return self.inner.run(inputs)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        return self.inner.step(inputs, targets)


class Changed(Around):
    """Returns something else for every port."""

    def change(self, port: str, x: Any) -> Any:
        return x

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        return Result(self.changed(found.outputs), self.changed(found.recordings), found.state)

    def changed(self, arrays: Arrays) -> dict[str, Any]:
        return {name: self.change(name, x) for name, x in arrays.items()}


class Shuffled(Changed):
    """The samples of a batch in another order."""

    def change(self, port: str, x: Any) -> Any:
        return np.roll(x, 1, axis=1)


class Halved(Changed):
    """Membranes in half precision."""

    def change(self, port: str, x: Any) -> Any:
        return x.astype(np.float16).astype(x.dtype) if port.endswith(".mem") else x


class Narrowed(Changed):
    """Computed in double precision, returned in single: rounded once where each operation should be."""

    def change(self, port: str, x: Any) -> Any:
        return x.astype(np.float32)

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = super().run(inputs, state)
        ends = {key: self.change(key, x) for key, x in found.state.items()}
        return Result(found.outputs, found.recordings, ends)


class Noisy(Changed):
    """Never twice the same."""

    def __init__(self, inner: Executable) -> None:
        super().__init__(inner)
        self.noise = _noise()

    def change(self, port: str, x: Any) -> Any:
        return x + next(self.noise)


def _noise() -> Iterator[float]:
    generator = np.random.default_rng(0)
    while True:
        yield float(generator.normal() * 1e-9)


class Trigger(Changed):
    """One spike in a thousand, wherever its membrane is."""

    def change(self, port: str, x: Any) -> Any:
        if not port.endswith(".spk"):
            return x
        flips = np.random.default_rng(1).random(x.shape) < 1e-3
        return np.where(flips, 1 - x, x)


class Amnesiac(Around):
    """Takes parameters from a state, but nothing that the optimizer remembers."""

    def __init__(self, inner: Executable) -> None:
        super().__init__(inner)
        self.fresh = inner.save_state()

    def load_state(self, arrays: Arrays) -> None:
        self.inner.load_state(arrays)
        params = {name: x for name, x in arrays.items() if name.startswith("param/")}
        self.inner.load_state({**self.fresh, **params})


class Trusting(Around):
    """Goes on from whatever state it is given, as far as that fits."""

    def load_state(self, arrays: Arrays) -> None:
        try:
            self.inner.load_state(arrays)
        except SnnhwError:
            own = self.inner.save_state()
            fitting = {name: x for name, x in arrays.items() if name in own and name.startswith("param/")}
            self.inner.load_state({**own, **fitting})


class Hasty(Around):
    """Takes the parameters of a state, and then refuses it."""

    def load_state(self, arrays: Arrays) -> None:
        try:
            self.inner.load_state(arrays)
        except SnnhwError:
            params = {
                name.removeprefix("param/"): x for name, x in arrays.items() if name.startswith("param/")
            }
            with suppress(SnnhwError):
                self.inner.set_params(params)
            raise


class Unscheduled(Around):
    """Goes on from a state with the settings that it was compiled with."""

    def __init__(self, inner: Executable) -> None:
        super().__init__(inner)
        self.fresh = inner.save_state()

    def load_state(self, arrays: Arrays) -> None:
        settings = {name: x for name, x in self.fresh.items() if name.startswith("setting/")}
        self.inner.load_state({**arrays, **settings})


class Stubborn(Around):
    """Keeps the learning rate it was compiled with."""

    def set_optimizer(self, optimizer: object) -> None:
        pass


class Disturbed(Around):
    """Drops what it has accumulated when it is run."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        saved = {name: x for name, x in self.inner.save_state().items() if not name.startswith("grad/")}
        if "pending" in saved:
            self.inner.load_state(saved | {"pending": np.array(0), "sequence": np.array(0)})
        return found


class Stale(Around):
    """Runs with the parameters of its first run."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        now = self.inner.get_params()
        self.first = self.__dict__.get("first", now)
        self.inner.set_params(self.first)
        found = self.inner.run(inputs, state)
        self.inner.set_params(now)
        return found


class Possessive(Around):
    """Returns the same buffers every time."""

    def __init__(self, inner: Executable) -> None:
        super().__init__(inner)
        self.buffers: dict[str, np.ndarray] = {}

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        for name, x in found.recordings.items():
            self.buffers.setdefault(name, x)[...] = x
        return Result(found.outputs, dict(self.buffers), found.state)


class Deaf(Around):
    """Takes no parameters once it is compiled."""

    def set_params(self, params: Params) -> None:
        pass


class Restarted(Around):
    """Goes on from a state, but with the random numbers of the beginning."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        known = state is not None and CLOCK in state
        return self.inner.run(inputs, {**state, CLOCK: np.zeros(2)} if state and known else state)


class Lenient(Around):
    """Has an answer to whatever it is given."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        try:
            return self.inner.run(inputs, state)
        except SnnhwError:
            return Result({}, {}, {})


class Crude(Around):
    """Refuses what does not fit as NumPy would."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        try:
            return self.inner.run(inputs, state)
        except SnnhwError as error:
            raise ValueError("could not broadcast input array") from error


class Untargeted(Around):
    """Trains towards whatever it is given."""

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        try:
            return self.inner.step(inputs, targets, state)
        except SnnhwError:
            return StepResult(0.0, {}, {})


class Behind(Around):
    """Hands on another state than it reached."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        return Result(found.outputs, found.recordings, {key: x * 0.5 for key, x in found.state.items()})


class Twofold(Around):
    """Returns other outputs than it records."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        return Result({name: 2 * x for name, x in found.outputs.items()}, found.recordings, found.state)
