"""What each type of node is in a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from snnhw.errors import LoadError, ProgramError
from snnhw.ir import (
    MODELS,
    Add,
    ATan,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Param,
    Pointwise,
    Scale,
    SumPool2d,
    spike,
    var,
)
from snnhw.ir.models.textbook import TEXTBOOK, textbook
from snnhw_nir.convention import Convention
from snnhw_nir.graph import Array, Node

__all__ = ["MAKERS", "THRESHOLD", "Made", "made_of"]

THRESHOLD: Final = spike(var("x") - var("threshold"), ATan())
"""What a node of this type computes."""

LATEST: Final = 1_000_000
"""The most steps that a delay may take, as all that it holds back is kept at once."""

MAX_DELAYS: Final = 1024
"""How many delays of a node may differ: each takes a node of its own."""


@dataclass(frozen=True)
class Made:
    """What one node became.

    Attributes:
        shape: what the node says about its output; None when it says nothing.
        delay: steps by which what arrives is late; after: by which what leaves is.
        taps: the same where each value has a delay of its own: steps -> the values that are so late, as ones
            among zeros.
        fixed: whether its parameters are what it is, and never trained.
    """

    op: Op
    params: Mapping[str, Array]
    shape: tuple[int, ...] | None = None
    delay: int = 0
    taps: Mapping[int, Array] = field(default_factory=dict)
    fixed: bool = False
    after: int = 0


def made_of(name: str, node: Node, convention: Convention) -> Made:
    """The op and parameters of a node.

    Raises:
        LoadError: naming the node, for fields that do not fit together.
    """
    try:
        return MAKERS[node.type](_Here(node, convention))
    except ProgramError as error:
        raise LoadError(f"node '{name}' ({node.type}): {error.problems[0]}") from error
    except LoadError as error:
        raise LoadError(f"node '{name}' ({node.type}): {error}") from error


@dataclass(frozen=True)
class _Here:
    """A node, and how its fields are read."""

    node: Node
    convention: Convention

    def reals(self, name: str, default: float | None = None) -> Array:
        if name not in self.node.fields:
            return np.asarray(default, np.float32)
        array = np.asarray(self.node.fields[name])
        return array if array.dtype.kind == "f" else array.astype(np.float32)

    def ints(self, name: str, count: int) -> tuple[int, ...]:
        found = tuple(int(number) for number in np.asarray(self.node.fields[name]).reshape(-1))
        if len(found) not in (1, count):
            raise LoadError(f"{name} is {found}, not {count} numbers, nor one for all")
        return found if len(found) == count else found * count

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(int(number) for number in np.asarray(self.node.fields[name]).reshape(-1))


def _linear(here: _Here) -> Made:
    weight = here.reals("weight")
    if weight.ndim != 2:
        raise LoadError(
            f"weight has shape {weight.shape}; a stack of matrices is not supported, give one [out, in]"
        )
    op = Linear(weight.shape[1], weight.shape[0], bias="bias" in here.node.fields)
    params = {"weight": weight} | ({"bias": here.reals("bias")} if op.bias else {})
    return Made(op, _checked(op, params), (op.out_features,))


def _conv(here: _Here) -> Made:
    kind = Conv1d if here.node.type == "Conv1d" else Conv2d
    weight = here.reals("weight")
    if weight.ndim != kind.rank + 2:
        raise LoadError(
            f"weight has shape {weight.shape}; it needs {kind.rank + 2} axes: out, in / groups, kernel"
        )
    kernel, dilation = weight.shape[2:], here.ints("dilation", kind.rank)
    stride, (groups,) = here.ints("stride", kind.rank), here.ints("groups", 1)
    padding = _padding(here, kernel, stride, dilation)
    bias = "bias" in here.node.fields
    op = kind(weight.shape[1] * groups, weight.shape[0], kernel, stride, padding, dilation, groups, bias)
    return Made(op, _checked(op, {"weight": weight} | ({"bias": here.reals("bias")} if bias else {})))


def _padding(
    here: _Here, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    given = here.node.fields["padding"]
    if not isinstance(given, str):
        return here.ints("padding", len(kernel))
    if given == "valid":
        return (0,) * len(kernel)
    totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
    if any(total % 2 for total in totals) or any(step != 1 for step in stride):
        raise LoadError(
            f"padding 'same' of kernel {kernel} with stride {stride} is not the same on both sides"
        )
    return tuple(total // 2 for total in totals)


def _pool(here: _Here) -> Made:
    kind = {"AvgPool2d": AvgPool2d, "SumPool2d": SumPool2d}[here.node.type]
    return Made(kind(*(here.ints(name, 2) for name in ("kernel_size", "stride", "padding"))), {})


def _flatten(here: _Here) -> Made:
    (start,), (end,) = here.ints("start_dim", 1), here.ints("end_dim", 1)
    if start < 0 or end < -1:
        axes = len(here.shape("input_type")) if "input_type" in here.node.fields else 0
        if not axes or min(start, end) < -axes:
            raise LoadError(
                f"start_dim={start} and end_dim={end} count from the last axis; give the shape of what "
                "arrives as its input_type"
            )
        start, end = start % axes, end % axes
    return Made(Flatten(start, end), {})


def _delay(here: _Here) -> Made:
    delay, dt = here.reals("delay"), here.convention.dt
    steps = delay.astype(np.float64) / dt
    counts = np.rint(steps)
    if steps.size == 0 or not np.allclose(steps, counts, rtol=1e-5, atol=1e-5):
        off = np.abs(steps - counts) > 1e-5 * (1 + counts)
        said = f"a delay of {delay[off].flat[0]:g} s" if steps.size else "a delay of nothing"
        raise LoadError(f"{said} is no whole number of steps of dt={dt:g} s; give a dt that divides it")
    if counts.max() > LATEST:
        said = f"a delay of {delay[counts > LATEST].flat[0]:g} s takes {counts.max():g} steps of dt={dt:g} s"
        raise LoadError(f"{said}; at most {LATEST} are read: give a longer dt")
    found = [int(count) for count in np.unique(counts)]
    if len(found) > MAX_DELAYS:
        raise LoadError(f"it holds {len(found)} different delays; at most {MAX_DELAYS} are read")
    if len(found) == 1:
        return Made(Add(), {}, delay.shape or None, found[0])
    taps = {count: (counts == count).astype(np.float32) for count in found}
    return Made(Add(), {}, delay.shape, taps=taps)


def _scale(here: _Here) -> Made:
    array = here.reals("scale")
    value = _shared(array)
    return Made(Scale(value.shape), {"weight": value}, array.shape or None)


def _threshold(here: _Here) -> Made:
    array = here.reals("threshold")
    value = _shared(array)
    shapes = {"threshold": value.shape} if value.shape else {}
    op = Pointwise(
        FrozenMap({"y": THRESHOLD}), parameters=(Param("threshold"),), param_shapes=FrozenMap(shapes)
    )
    return Made(op, {"threshold": value}, array.shape or None)


def _neuron(here: _Here) -> Made:
    if here.node.type in _STEPWISE and here.convention.neurons == "spyx":
        return _stepwise(here)
    if here.node.type in _STEPWISE and here.convention.neurons == "unit gain" and _plain(here):
        return _stepwise(here)
    model = textbook(here.node.type, here.convention.scheme)
    neutral = {"v_reset": 0.0, "w_in": 1.0}
    arrays = {param.name: here.reals(param.name, neutral.get(param.name)) for param in model.params}
    shapes = {array.shape for array in arrays.values()} - {()}
    if len(shapes) > 1:
        listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise LoadError(f"its fields must have one shape, not {listed}")
    params = {name: _shared(array) for name, array in arrays.items()}
    op = Neuron(
        model,
        reset=here.convention.reset if model.fire is not None else "none",
        timing="immediate",
        param_shapes=FrozenMap({name: array.shape for name, array in params.items() if array.shape}),
    )
    return Made(op, params, next(iter(shapes), None))


_STEPWISE: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "IF": ("Leaky", "subtract", {}),
    "LIF": ("Leaky", "subtract", {"beta": "tau"}),
    "CubaLIF": ("Synaptic", "subtract_beta", {"alpha": "tau_syn", "beta": "tau_mem"}),
}
"""Type of node -> the neuron that counts in steps: model, Spyx's reset, and each decay's time constant."""


def _plain(here: _Here) -> bool:
    """Whether an input of 1 adds 1, and the membrane rests and starts again at 0."""
    dt, neutral = here.convention.dt, {"v_reset": 0.0, "v_leak": 0.0, "w_in": 1.0}
    real = {name: here.reals(name, neutral.get(name)).astype(np.float64) for name in here.node.fields}
    gains = [real["r"] * dt / real.get("tau", real.get("tau_mem", np.ones(())))]
    if "tau_syn" in real:
        gains.append(real.get("w_in", np.ones(())) * dt / real["tau_syn"])
    rests = [real[name] for name in ("v_reset", "v_leak") if name in real]
    return all(np.allclose(gain, 1.0, rtol=1e-5) for gain in gains) and not any(map(np.any, rests))


def _stepwise(here: _Here) -> Made:
    """``v <- beta v + x``. In Spyx, ``spk = [v > threshold]`` of the step before, which takes the threshold
    off: snnTorch's neuron with its spikes a step late. Elsewhere the neuron is set to 0 at once."""
    model, reset, decays = _STEPWISE[here.node.type]
    late = here.convention.neurons == "spyx"
    level = here.reals("v_threshold").astype(np.float32)
    steps = {key: here.reals(field).astype(np.float64) / here.convention.dt for key, field in decays.items()}
    arrays = {key: np.clip(1 - 1 / value, 0, 1).astype(np.float32) for key, value in steps.items()}
    params = {key: _shared(array) for key, array in arrays.items()} | {"threshold": _shared(level)}
    params = {"beta": np.ones((), np.float32), **params}
    shapes = FrozenMap({key: array.shape for key, array in params.items() if array.shape})
    kind = {"reset": reset, "timing": "delayed"} if late else {"reset": "zero", "timing": "immediate"}
    op = Neuron(MODELS[model], param_shapes=shapes, **kind)  # type: ignore[arg-type]  # two texts
    return Made(op, params, level.shape or None, after=int(late))


def _shared(array: Array) -> Array:
    """One number where all are equal."""
    first = array.reshape(-1)[:1]
    return first.reshape(()).copy() if array.size and bool((array == first).all()) else array


def _checked(op: Op, params: dict[str, Array]) -> dict[str, Array]:
    for name, spec in op.params().items():
        if params[name].shape != spec.shape:
            raise LoadError(f"{name} has shape {params[name].shape}, not {spec.shape}")
    return params


MAKERS: Final[Mapping[str, Callable[[_Here], Made]]] = {
    "Input": lambda here: Made(Input(here.shape("shape")), {}),
    "Output": lambda here: Made(Output(), {}, here.shape("shape")),
    "Affine": _linear,
    "Linear": _linear,
    "Scale": _scale,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
    "Delay": _delay,
    "Threshold": _threshold,
    **dict.fromkeys(TEXTBOOK, _neuron),
}
"""Type of node -> what it becomes; a test compares its keys with the schema's."""
