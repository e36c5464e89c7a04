"""The states of all generators of random numbers that training draws from, besides a model's own.

These are the global ones of torch, NumPy and Python, those of devices in use, and those that a data loader,
its samplers and its data set hold as attributes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from snnhw.errors import LoadError

__all__ = ["States", "drawn_from", "restore", "states"]

States = dict[str, npt.NDArray[np.uint8]]
"""Name of a generator -> its state, as bytes."""


class _Kind(NamedTuple):
    """How the state of a kind of generator is read and set."""

    read: Callable[[Any], Any]
    set: Callable[[Any, Any], object]


def _set_python(generator: Any, state: list[Any]) -> None:
    version, internal, gauss = state
    generator.setstate((version, tuple(internal), gauss))


def _set_bits(generator: np.random.Generator, state: Any) -> None:
    generator.bit_generator.state = state


KINDS: Final[Mapping[type, _Kind]] = {
    torch.Generator: _Kind(
        lambda it: it.get_state().tolist(),
        lambda it, state: it.set_state(torch.tensor(state, dtype=torch.uint8)),
    ),
    np.random.RandomState: _Kind(
        lambda it: it.get_state(legacy=False), lambda it, state: it.set_state(state)
    ),
    np.random.Generator: _Kind(lambda it: it.bit_generator.state, _set_bits),
    random.Random: _Kind(lambda it: it.getstate(), _set_python),
}
"""Type of generator -> how."""


def drawn_from(data: Any) -> dict[str, Any]:
    """Every generator by a name that is the same in the next process."""
    found: dict[str, Any] = {
        "torch": torch.default_generator,
        "numpy": np.random.mtrand._rand,  # what np.random.seed() seeds
        "python": random._inst,  # likewise
    }
    if torch.cuda.is_initialized():
        found |= {f"cuda:{number}": it for number, it in enumerate(torch.cuda.default_generators)}
    for path, holder in _holders(data):
        for name, value in getattr(holder, "__dict__", {}).items():
            if isinstance(value, tuple(KINDS)):
                found[f"{path}.{name}"] = value
    return found


def _holders(data: Any) -> Iterator[tuple[str, Any]]:
    yield "data", data
    for name in ("dataset", "sampler", "batch_sampler"):
        held = getattr(data, name, None)
        if held is not None:
            yield f"data.{name}", held
    inner = getattr(getattr(data, "batch_sampler", None), "sampler", None)
    if inner is not None and inner is not getattr(data, "sampler", None):
        yield "data.batch_sampler.sampler", inner


def states(generators: Mapping[str, Any]) -> States:
    """All states, as they are now."""
    return {name: _bytes(_kind(it).read(it)) for name, it in generators.items()}


def restore(generators: Mapping[str, Any], found: Mapping[str, npt.NDArray[Any]]) -> None:
    """Set every generator to a state.

    Raises:
        LoadError: a state is missing, or cannot be set.
    """
    for name, it in generators.items():
        if name not in found:
            raise LoadError(
                f"it lacks the random state '{name}'; is the data loader the one of the run that was saved?"
            )
        try:
            _kind(it).set(it, json.loads(found[name].tobytes()))
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            raise LoadError(f"its random state '{name}' cannot be set: {error}") from error


def _kind(generator: Any) -> _Kind:
    return next(kind for cls, kind in KINDS.items() if isinstance(generator, cls))


def _bytes(state: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(state, default=_plain).encode(), np.uint8).copy()


def _plain(value: Any) -> Any:
    """NumPy's arrays and numbers, for JSON."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"a random state holds {type(value).__name__}")
