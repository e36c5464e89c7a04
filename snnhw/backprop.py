"""Training over one epoch in one call, under snnTorch's names: ``BPTT``, ``TBPTT``, ``RTRL``.

For the first epochs of a script. A loop of one's own is as short and leaves all choices open, and
`snnhw.compile` trains on any backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from snnhw import utils
from snnhw.errors import InputError
from snnhw.ir import Loss
from snnhw.words import brief, public

__all__ = ["BPTT", "RTRL", "TBPTT"]

__getattr__, __dir__ = public(__name__, __all__)

Criterion = Callable[..., Tensor] | Loss
Steps = int | Literal[False] | None


def TBPTT(
    net: nn.Module,
    dataloader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    criterion: Criterion,
    num_steps: Steps = False,
    time_var: bool = True,
    time_first: bool = True,
    regularization: Criterion | Literal[False] | None = False,
    device: torch.device | str = "cpu",
    K: Steps = 1,  # snnTorch's spelling
) -> Tensor:
    """One epoch of truncated backpropagation through time: an update after every K steps.

    The neurons are put at rest before every batch. After an update the graph of all of them is cut;
    their states go on. If K does not divide T, the last update is over the steps that are left.

    Args:
        net: called once a step; returns spikes, or spikes and states with the membrane last
            (``output=True``).
        dataloader: batches of data and targets.
        optimizer: of the net's parameters.
        criterion: a loss of `snnhw.functional`, or a function of what was recorded over the steps of an
            update, ``[K, B, ...]``, and the targets. Losses read spikes or membranes as their kind says;
            a function reads spikes, or membranes where it has ``reads = "mem"``. Where it has
            ``time_var_targets``, as `mse_membrane_loss` does, it is given the targets of these steps.
        num_steps: T, for data that is the same at every step.
        time_var: data has a step of its own for every step: ``[T, B, ...]``.
        time_first: False: it is ``[B, T, ...]``; so are targets that change over time.
        regularization: added to the criterion, such as `l1_rate_sparsity`; takes no targets.
        device: net and data are moved there.
        K: steps between updates; False or None: all T.

    Returns:
        the loss before each update, averaged over steps and then over batches: a scalar without a graph.

    Raises:
        InputError: arguments that contradict each other, or a net that returns no membrane where the
            criterion reads one.
    """
    steps = None if num_steps is False else num_steps
    chunk = None if K is False else K
    _check(steps, chunk, time_var=time_var, time_first=time_first)
    net.to(device).train()
    losses = [
        _batch(
            net, optimizer, criterion, regularization or None, _Batch(data, target, steps, time_first), chunk
        )
        for data, target in ((data.to(device), target.to(device)) for data, target in dataloader)
    ]
    if not losses:
        raise InputError("the dataloader gave no batches; check its dataset, and drop_last")
    return torch.stack(losses).mean()


def BPTT(
    net: nn.Module,
    dataloader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    criterion: Criterion,
    num_steps: Steps = False,
    time_var: bool = True,
    time_first: bool = True,
    regularization: Criterion | Literal[False] | None = False,
    device: torch.device | str = "cpu",
) -> Tensor:
    """One epoch of backpropagation through all time: `TBPTT` with one update for every batch."""
    return TBPTT(
        net, dataloader, optimizer, criterion, num_steps, time_var, time_first, regularization, device, K=None
    )


def RTRL(
    net: nn.Module,
    dataloader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    criterion: Criterion,
    num_steps: Steps = False,
    time_var: bool = True,
    time_first: bool = True,
    regularization: Criterion | Literal[False] | None = False,
    device: torch.device | str = "cpu",
) -> Tensor:
    """One epoch with an update after every step: `TBPTT` with ``K=1``.

    The name is snnTorch's; real-time recurrent learning proper would also carry the derivatives of
    the states forward, which this does not.
    """
    return TBPTT(
        net, dataloader, optimizer, criterion, num_steps, time_var, time_first, regularization, device, K=1
    )


class _Batch(NamedTuple):
    """One batch; ``static_steps`` is T where every step is the same."""

    data: Tensor
    target: Tensor
    static_steps: int | None
    time_first: bool

    @property
    def steps(self) -> int:
        return self.static_steps or self.data.shape[not self.time_first]

    def step(self, number: int) -> Tensor:
        if self.static_steps:
            return self.data
        return self.data.select(int(not self.time_first), number)

    def targets(self, begin: int, end: int, criterion: Criterion) -> Tensor:
        if not _over_time(criterion):
            return self.target
        timed = self.target if self.time_first else self.target.transpose(0, 1)
        return timed[begin:end]


def _batch(
    net: nn.Module,
    optimizer: Optimizer,
    criterion: Criterion,
    regularization: Criterion | None,
    batch: _Batch,
    chunk: int | None,
) -> Tensor:
    """All updates of one batch; the loss averaged over its steps."""
    steps = batch.steps
    mean = torch.zeros((), device=batch.data.device)
    utils.reset(net)
    for begin in range(0, steps, chunk or steps):
        end = min(begin + (chunk or steps), steps)
        seen = _record([net(batch.step(number)) for number in range(begin, end)])
        loss = _value(criterion, seen, batch.targets(begin, end, criterion))
        if regularization is not None:
            loss = loss + _value(regularization, seen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _detach(net)
        mean += loss.detach() * ((end - begin) / steps)
    return mean


def _record(returned: list[Any]) -> dict[str, Tensor]:
    """What the net returned over some steps, by what it is."""
    if isinstance(returned[0], Tensor):
        return {"spk": torch.stack(returned)}
    return {
        "spk": torch.stack([each[0] for each in returned]),
        "mem": torch.stack([each[-1] for each in returned]),
    }


def _value(criterion: Criterion, seen: dict[str, Tensor], *targets: Tensor) -> Tensor:
    terms = [Loss((term,)) for term in criterion.terms] if isinstance(criterion, Loss) else [criterion]
    values = [each(_read(each, seen), *targets) for each in terms]
    return torch.stack([value.squeeze() for value in values]).sum()


def _read(criterion: Criterion, seen: dict[str, Tensor]) -> Tensor:
    kind = criterion.terms[0].kind if isinstance(criterion, Loss) else criterion
    reads = getattr(kind, "reads", "spk")
    if reads not in seen:
        raise InputError(
            f"{brief(criterion)} reads the membrane, but the net returns spikes alone; construct its last "
            "neuron with output=True"
        )
    return seen[reads]


def _over_time(criterion: Criterion) -> bool:
    kinds = [term.kind for term in criterion.terms] if isinstance(criterion, Loss) else [criterion]
    return any(getattr(kind, "time_var_targets", False) for kind in kinds)


def _detach(net: nn.Module) -> None:
    """Cut the graph of every module that carries a state."""
    for module in net.modules():
        detach = getattr(module, "detach_hidden", None)
        if detach is not None:
            detach()


def _check(steps: int | None, chunk: int | None, *, time_var: bool, time_first: bool) -> None:
    for name, value in (("num_steps", steps), ("K", chunk)):
        if value is not None and (type(value) is not int or value < 1):
            raise InputError(f"{name}={brief(value)}: give a number of steps, 1 or more, or leave it out")
    if time_var and steps:
        raise InputError("num_steps is for static data; with time_var=True the data [T, B, ...] has T")
    if not time_var and not steps:
        raise InputError("static data (time_var=False) needs num_steps")
    if not time_var and not time_first:
        raise InputError("static data (time_var=False) has no time axis; leave time_first out")
    if steps and chunk and chunk > steps:
        raise InputError(f"K={chunk} is more than num_steps={steps}; give fewer steps between updates")
