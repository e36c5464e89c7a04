"""A pointwise node in torch's own operations, step by step: slow, and seen by whoever looks at those.

For what no expression says the derivative of, for derivatives of derivatives, and wherever operations are
traced, faked or transformed.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from snnhw.ir import Expr, Namespace, Opaque, StepEquations, evaluate, spike, var
from snnhw.ir.expr import replace
from snnhw.tensors.autograd import graft
from snnhw.tensors.custom import spikes_of
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.scans.provider import ScanInputs, wide
from snnhw.tensors.scans.site import ScanSite

__all__ = ["record", "recording"]

SPIKE = "spike"  # no model may use the name


def record(site: ScanSite, given: ScanInputs) -> tuple[Tensor, ...]:
    """Outputs and final states of a layer, differentiable by torch as often as one likes. A surrogate that
    only torch knows is called as the user wrote it."""
    step, signals = site.step, given.inputs[0].dtype
    arriving = [x.to(wide(x.dtype)) for x in given.inputs]
    like = arriving[0]
    namespace = recording(like.dtype, like.device)
    fixed = dict(zip((*step.params, *step.tables), (*given.params, *given.tables), strict=True))
    fixed["dt"] = like.new_full((), site.dt)
    condition, roots = _around_spike(step, site.outputs)
    names = [state.name for state in step.states]
    states, stacks = list(given.states), []
    for t in range(given.steps):
        inputs = [x if static else x[t] for x, static in zip(arriving, site.static, strict=True)]
        env = fixed | dict(zip((*step.ports, *names), (*inputs, *states), strict=True))
        if condition is not None and step.opaque is not None:
            (z,) = evaluate([condition], env, namespace)
            env[SPIKE] = spikes_of(step.opaque, z.expand(site.flat).reshape(site.shape)).reshape(site.flat)
        found = [value.expand(site.flat) for value in evaluate(roots, env, namespace)]
        states = found[: len(states)]
        stacks.append(found[len(states) :])
    outputs = [torch.stack(values).to(signals) for values in zip(*stacks, strict=True)]
    return (*map(site.unfold_output, outputs), *map(site.unfold_state, states))


def _around_spike(step: StepEquations, outputs: tuple[str, ...]) -> tuple[Expr | None, list[Expr]]:
    """The fire condition, and next states and outputs; in these the spike is a variable where a user's
    function makes it."""
    roots = [*step.updates.values(), *(step.outputs[port] for port in outputs)]
    surrogate: Opaque | None = step.opaque
    if step.fire is None or surrogate is None:
        return None, roots
    return step.fire, replace(roots, {spike(step.fire, surrogate): var(SPIKE)})


@lru_cache(maxsize=64)
def recording(dtype: torch.dtype, device: torch.device) -> Namespace:
    """Torch's functions under autograd, with the language's gradients where torch's differ."""
    plain = torch_namespace(dtype, device)

    def choose(value: Tensor, a: Tensor, b: Tensor, first: Tensor) -> Tensor:
        return graft(value, a, first.to(dtype), b, (~first).to(dtype))

    return {
        **plain,
        "minimum": lambda a, b: choose(torch.minimum(a, b), a, b, b > a),
        "maximum": lambda a, b: choose(torch.maximum(a, b), a, b, a > b),
        "nearest": lambda x, table: graft(plain["nearest"](x, table), x, torch.ones_like(x)),
        "graft": graft,
    }
