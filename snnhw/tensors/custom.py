"""Surrogates from a user's functions on tensors: as an expression where they are one, else run by torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import Custom, Expr, Opaque, Surrogate, heaviside, var
from snnhw.tensors.autograd import Function
from snnhw.tensors.noting import Unrepeatable, notes
from snnhw.tensors.tracing import Untraceable, place, trace
from snnhw.tensors.watched import watched

__all__ = ["custom_surrogate", "of_callable", "probed", "probed_by_steps", "returned", "spikes_of"]

UNLIKE = "is not 1 where z > 0 and 0 elsewhere"
Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]


def custom_surrogate(custom_surrogate_function: Gradient) -> Surrogate:
    """The surrogate of a function ``(input_, grad_input, spikes) -> gradient``, as snnTorch has it.

    Where it is the gradient times a pointwise function of ``input_`` and ``spikes``, it becomes an
    expression, which every backend runs and files hold. Numbers that it reads from around itself are taken
    as they are now. Otherwise torch runs it at every step, and other backends refuse to train with it.

    Raises:
        InputError: it is no function, or reads a tensor that requires a gradient.
    """
    function = custom_surrogate_function
    _check(function)
    try:
        return Custom(trace(function))
    except Untraceable as error:
        return Opaque(_CustomSpikes(function), place(function), str(error))


def of_callable(function: Callable[[Any], Any]) -> Surrogate:
    """The surrogate of a function ``z -> spikes``, in programs: its spikes are 1 where z > 0, its gradient
    its own. A module calls the function itself; see `probed`."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, Surrogate):  # ATan.apply
        return owner()
    z = var("z")
    try:
        found = function(z)
    except Exception:  # noqa: BLE001  # it wants a tensor, and says so in its own way
        found = None
    spike = isinstance(found, Expr) and found.op == "graft" and found.args[0] is heaviside(z)
    if spike and found.args[1::2] == (z,):  # a surrogate of ours, under another function
        return Custom(found.args[2])
    return Opaque(function, place(function), "it is a function of tensors, which nothing else can look into")


def spikes_of(surrogate: Opaque, z: Tensor) -> Tensor:
    """Spikes of z with the gradient that the surrogate's function gives them; in the dtype of z.

    Raises:
        InputError: the function gives something else than 1 where z > 0 and 0 elsewhere.
    """
    found = returned(surrogate.function, z)
    if not (torch.compiler.is_compiling() or watched([z])) and not torch.equal(found.detach() != 0, z > 0):
        raise InputError(
            f"spike_grad={surrogate.name} gives other spikes than 1 where z > 0 and 0 elsewhere; return "
            "(z > 0).to(z.dtype) from its forward, and its gradient from its backward"
        )
    return found


def returned(function: Callable[[Tensor], Any], z: Tensor) -> Tensor:
    """What a user's function of ``membrane - threshold`` returns, in the dtype of z.

    Raises:
        InputError: it is not one number for each element.
        Unrepeatable: what is done is noted; a function may do more than torch sees.
    """
    if notes():
        raise Unrepeatable(f"{place(function)} is called anew at every step")
    found = function(z)
    if not isinstance(found, Tensor) or found.shape != z.shape:
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            f"spike_grad={place(function)} returns {given} for an input of shape {tuple(z.shape)}; return a "
            "spike for every element"
        )
    return found.to(z.dtype)


def probed(function: Callable[[Tensor], Any]) -> str | None:
    """Why a program cannot say the spikes of a function, and what to do; None: they are 1 where z > 0."""
    learnt = [name for name, _ in function.named_parameters()] if isinstance(function, nn.Module) else []
    learnt += [name for name, tensor in _around(function) if tensor.requires_grad]
    if learnt:
        return (
            f"has spike_grad={place(function)}, whose '{learnt[0]}' would not be learnt in a compiled model; "
            "train in torch, or use a number"
        )
    near = torch.tensor([1e-30, 1e-7, 1e-3, 100.0])
    z = torch.cat([torch.linspace(-4, 4, 257), near, -near]).reshape(5, 53)  # samples of many neurons
    way_out = (
        "train in torch, or return (z > 0).to(z.dtype) from its forward, and its gradient from its backward"
    )
    # All above and all below, too: who compares neurons is told from who does not.
    for asked in (z, z.abs(), -z.abs()):
        try:
            with torch.no_grad():
                found = returned(function, asked)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  # a stranger's, of any kind: it asks for more than an element
            return (
                f"fires what spike_grad={place(function)} returns, which fails on samples [B, N] of numbers "
                f"({type(error).__name__}: {error}), so that no program can say it; {way_out}"
            )
        if not torch.equal(found, (asked > 0).to(z.dtype)):
            return f"fires what spike_grad={place(function)} returns, which {UNLIKE}; {way_out}"
    for more in (z.unsqueeze(1), z[:, None, None]):  # of signals and images, where it takes them
        with suppress(Exception), torch.no_grad():
            if not torch.equal(returned(function, more), (more > 0).to(z.dtype)):
                axes = "[B, C, N]" if more.ndim == 3 else "[B, C, H, W]"
                return f"fires what spike_grad={place(function)} returns, which {UNLIKE} in {axes}; {way_out}"
    return None


def probed_by_steps(function: Callable[[Tensor], Any], name: str) -> str | None:
    """Why a function that a layer calls once for ``[T, B, N]`` cannot be called step by step, as a program
    does, and what to do; None: spikes and gradients are the same."""
    z = torch.linspace(-2.0, 2.0, 60).reshape(4, 3, 5).sin().requires_grad_()
    weights = torch.linspace(0.5, 1.5, 60).reshape(z.shape)
    found = []
    for called in (function, lambda z: torch.stack([returned(function, now) for now in z])):
        with torch.enable_grad():
            spikes = returned(called, z)
            total = (spikes * weights).sum() + 0 * z.sum()  # spikes may have no gradient
        found.append((spikes.detach(), *torch.autograd.grad(total, z)))
    if all(torch.allclose(whole, apart, atol=1e-6) for whole, apart in zip(*found, strict=True)):
        return None
    return (
        f"has spike_grad={name}, which gives all steps [T, B, N] at once other spikes or gradients than each "
        "step [B, N], as a compiled model calls it; train in torch, or let it look at one element at a time"
    )


@dataclass(frozen=True)
class _CustomSpikes:
    """z -> spikes, whose gradient a user's function gives."""

    function: Gradient

    def __call__(self, z: Tensor) -> Tensor:
        if torch._C._is_tracing():  # a trace holds torch's own operations
            return (z > 0).to(z.dtype)
        found: Tensor = _CustomSpike.apply(z, self.function)
        return found


class _CustomSpike(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, function: Gradient) -> Tensor:  # noqa: ARG004  # torch passes what is applied
        return (z > 0).to(z.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Gradient], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.function = inputs[1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.function(ctx.saved_tensors[0], grad.clone(), ctx.saved_tensors[1]), None


def _check(function: Any) -> None:
    if not callable(function):
        raise InputError(
            f"custom_surrogate takes a function (input_, grad_input, spikes) -> gradient, not {function!r}"
        )
    for name, tensor in _around(function):
        if tensor.requires_grad:
            raise InputError(
                f"the surrogate {place(function)} reads '{name}', a tensor that requires a gradient, and "
                f"none would reach it; use a number, such as {name}.item()"
            )


def _around(function: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors that a function reads from around itself."""
    if inspect.isfunction(function):
        found = inspect.getclosurevars(function)
        for name, value in {**found.globals, **found.nonlocals}.items():
            if isinstance(value, Tensor):
                yield name, value
