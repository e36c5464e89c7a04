"""jax: snnTorch's formulas by hand, layer by layer in ``lax.scan``, and what is timed is jitted as a whole.

For linear layers and the neurons in `STATES`. What does not change over time is computed once, parameters and
the optimizer's memory are donated, the optimizer is optax's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from benchmarks.case import Case, Mode
from benchmarks.dynamics import as_in_snntorch
from benchmarks.inputs import CLASSES, Data
from benchmarks.layers import Neuron, neurons
from benchmarks.losses import CORRECT, INCORRECT, READS
from benchmarks.peers.peer import Peer
from benchmarks.side import Grads, Job, Side, Trace, Unavailable

__all__ = ["JITTED"]

Params = dict[str, Any]
"""Arrays of jax, under the names of a ``state_dict``."""

Cell = Callable[[Any, tuple[Any, ...], Any], tuple[Any, ...]]
"""Constants by name, states before, what arrives -> states after, the last two the membrane and the spike."""


def _jax() -> Any:
    return import_module("jax")


def _numpy() -> Any:
    return import_module("jax.numpy")


def _surrogate(name: str, given: float | None) -> Callable[[Any], Any]:
    """A step up at 0 with one of snnTorch's derivatives."""
    jnp = _numpy()
    setting: Any = given  # a number, wherever it is read
    slopes: dict[str, Callable[[Any], Any]] = {
        "atan": lambda z: setting / 2 / (1 + (jnp.pi / 2 * setting * z) ** 2),
        "fast_sigmoid": lambda z: 1 / (1 + setting * jnp.abs(z)) ** 2,
        "straight_through_estimator": jnp.ones_like,
    }
    if name not in slopes:
        raise Unavailable(f"nobody has written {name} for jax here")
    fire = _jax().custom_jvp(lambda z: (z > 0).astype(z.dtype))
    fire.defjvp(lambda zs, dots: (fire(*zs), slopes[name](*zs) * dots[0]))
    found: Callable[[Any], Any] = fire
    return found


def _cell(spec: Neuron) -> Cell:
    """One step: a spike resets the membrane in the step after it, apart from the gradient."""
    fire, stop = _surrogate(*spec.surrogate), _jax().lax.stop_gradient

    def cell(c: Any, states: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        *syn, mem, spk = states
        if spec.kind == "RLeaky":
            x = x + spk @ c["recurrent.weight"].T + c["recurrent.bias"]
        if spec.kind == "Synaptic":
            syn = [c["alpha"] * syn[0] + x]
            x = syn[0]
        reset = stop((mem > c["threshold"]).astype(mem.dtype))
        mem = c["beta"] * mem + x - reset * c["threshold"]
        return *syn, mem, fire(mem - c["threshold"])

    return cell


STATES: Final = {"Leaky": 2, "RLeaky": 2, "Synaptic": 3}
"""Kind -> how many states it has, its last spike among them."""


def _losses() -> dict[str, Callable[[Any, Any], Any]]:
    """The functions of `benchmarks.losses.FOLDED`."""
    jax, jnp = _jax(), _numpy()
    ce = import_module("optax").softmax_cross_entropy_with_integer_labels

    def over_time(signal: Any, target: Any) -> Any:
        return ce(signal, jnp.broadcast_to(target, signal.shape[:2])).mean()

    def counted(signal: Any, target: Any) -> Any:
        steps, classes = len(signal), signal.shape[-1]
        right, wrong = int(steps * CORRECT), int(steps * INCORRECT)
        wanted = jax.nn.one_hot(target, classes) * (right - wrong) + wrong
        return ((signal.sum(0) - wanted) ** 2).mean() / steps

    def population(signal: Any, target: Any) -> Any:
        steps, batch, size = signal.shape
        counts = signal.sum(0).reshape(batch, CLASSES, size // CLASSES).sum(-1)
        wanted = jax.nn.one_hot(target, CLASSES) * (steps * size // CLASSES)
        return ((counts - wanted) ** 2).mean() / steps

    return {
        "ce_membrane": lambda signal, target: over_time(signal, target) * len(signal),
        "ce_rate": over_time,
        "ce_count": lambda signal, target: ce(signal.sum(0), target).mean(),
        "mse_count": counted,
        "mse_population": population,
    }


class Jitted(Side):
    """The formulas on one case."""

    def __init__(self, case: Case, weights: Mapping[str, Tensor]) -> None:
        self.case = case
        self.specs = dict(neurons(case.net))
        self.cells = {name: _cell(spec) for name, spec in self.specs.items()}
        self.params: Params = {key: _array(x) for key, x in weights.items()}
        for name, spec in self.specs.items():
            self.params |= {
                f"{name}.{each}": _numpy().full((spec.size,), spec.constant(each)) for each in spec.learnt
            }

    def job(self, mode: Mode, data: Data) -> Job:
        jax, (x, y, adjoint) = _jax(), _arrays(data)
        if mode == "train":
            return self._training(x, y)
        if mode == "fwd+bwd":
            both = jax.jit(self._weighed)
            return lambda: jax.block_until_ready(both(self.params, x, adjoint))
        forward = jax.jit(self._outputs)
        return lambda: jax.block_until_ready(forward(self.params, x))

    def _training(self, x: Any, y: Any) -> Job:
        jax, optax = _jax(), import_module("optax")
        adam = optax.adam(self.case.lr)

        def update(params: Params, memory: Any) -> tuple[Params, Any, Any]:
            loss, grads = jax.value_and_grad(self._lost)(params, x, y)
            change, memory = adam.update(grads, memory, params)
            return optax.apply_updates(params, change), memory, loss

        jitted = jax.jit(update, donate_argnums=(0, 1))
        params = jax.tree.map(lambda array: array.copy(), self.params)
        held = [params, adam.init(params)]

        def step() -> float:
            held[0], held[1], loss = jitted(*held)
            return float(loss)

        return step

    def traces(self, data: Data) -> dict[str, Trace]:
        found = _jax().jit(self._layers)(self.params, _arrays(data)[0])
        return {name: Trace(_tensor(spk), _tensor(mem)) for name, (spk, mem) in found.items()}

    def gradients(self, mode: Mode, data: Data) -> Grads:
        jax, (x, y, adjoint) = _jax(), _arrays(data)
        if mode == "train":
            loss, grads = jax.jit(jax.value_and_grad(self._lost))(self.params, x, y)
            return {key: _tensor(g) for key, g in grads.items()} | {"loss": _tensor(loss).reshape(1)}
        _, grads = jax.jit(self._weighed)(self.params, x, adjoint)
        found = {key: _tensor(g) for key, g in grads[0].items()}
        return found | ({"x": _tensor(grads[1])} if self.case.alone else {})

    # -- functions of parameters and inputs -------------------------------------------------------

    def _weighed(self, params: Params, x: Any, adjoint: Any) -> Any:
        """Outputs, and the gradients of parameters, and of the input where that wants one."""
        wanted = (0, 1) if self.case.alone else (0,)

        def total(params: Params, x: Any) -> Any:
            spk = self._layers(params, x)[self.case.last][0]
            return (spk * adjoint).sum(), spk

        (_, spk), grads = _jax().value_and_grad(total, wanted, has_aux=True)(params, x)
        return spk, grads

    def _lost(self, params: Params, x: Any, y: Any) -> Any:
        outputs = dict(zip(("spk", "mem"), self._layers(params, x)[self.case.last], strict=True))
        return _losses()[self.case.loss](outputs[READS[self.case.loss]], y)

    def _outputs(self, params: Params, x: Any) -> Any:
        outputs = dict(zip(("spk", "mem"), self._layers(params, x)[self.case.last], strict=True))
        return [outputs[name] for name in self.case.outputs]

    def _layers(self, params: Params, x: Any) -> dict[str, tuple[Any, Any]]:
        """Spikes and membranes of all layers of neurons."""
        found: dict[str, tuple[Any, Any]] = {}
        for name, _ in self.case.net:
            if name in self.specs:
                found[name] = self._over_time(name, params, x, fixed=self.case.static and not found)
                x = found[name][0]
            else:
                x = x @ params[f"{name}.weight"].T + params[f"{name}.bias"]
        return found

    def _over_time(self, name: str, params: Params, x: Any, *, fixed: bool) -> tuple[Any, Any]:
        jnp, spec, cell = _numpy(), self.specs[name], self.cells[name]
        own = {key.removeprefix(f"{name}."): p for key, p in params.items() if key.startswith(f"{name}.")}
        constants = dict(spec.constants) | own

        def step(states: tuple[Any, ...], arrived: Any) -> tuple[tuple[Any, ...], tuple[Any, Any]]:
            after = cell(constants, states, x if fixed else arrived)
            return after, (after[-1], after[-2])

        rest = (jnp.zeros_like(x if fixed else x[0]),) * STATES[spec.kind]
        xs, steps = (None, self.case.steps) if fixed else (x, None)
        return _jax().lax.scan(step, rest, xs, length=steps)[1]  # type: ignore[no-any-return]  # jax's own


def _array(x: Tensor) -> Any:
    return _numpy().asarray(x.detach().numpy())


def _arrays(data: Data) -> tuple[Any, Any, Any]:
    return _array(data.x), _array(data.y), _array(data.adjoint)


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array))


def _build(case: Case, weights: Mapping[str, Tensor]) -> Side:
    strange = {kind for _, layer in case.net if (kind := _kind(layer)) not in {"Linear", *STATES}}
    if case.eager:
        raise Unavailable("the script is snnTorch's")
    if strange:
        raise Unavailable(
            f"the formulas are written for linear layers; this has {', '.join(sorted(strange))}"
        )
    if not find_spec("optax"):
        raise Unavailable("optax is not installed; benchmarks/README.md says how")
    return Jitted(case, weights)


def _kind(layer: Any) -> str:
    return layer.kind if isinstance(layer, Neuron) else str(layer.name)


JITTED: Final = Peer("jax", "jax", _build, as_in_snntorch, "snnTorch's formulas by hand, jitted whole")
