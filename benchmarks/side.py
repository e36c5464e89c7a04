"""One library's build of a case: what is timed, and what shows that it computes the right thing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.case import Case, Mode
from benchmarks.inputs import Data
from benchmarks.losses import READS

__all__ = ["Grads", "Job", "Side", "TorchSide", "Trace", "Unavailable"]

Job = Callable[[], object]
"""One unit of work, such as one training step."""


class Unavailable(Exception):
    """A library cannot do this case; says why."""


class Trace(NamedTuple):
    """What one layer of neurons did: spikes and membranes, ``[T, B, ...]``."""

    spk: Tensor
    mem: Tensor


Grads = dict[str, Tensor]
"""Parameter or ``x`` -> gradient; ``loss`` -> its value."""


class Side(ABC):
    """One library on one case."""

    @abstractmethod
    def job(self, mode: Mode, data: Data) -> Job:
        """What is timed."""

    def to(self, device: str) -> Side:
        """The same side, its weights on a device."""
        return self

    @abstractmethod
    def traces(self, data: Data) -> dict[str, Trace]:
        """All layers of neurons by name."""

    @abstractmethod
    def gradients(self, mode: Mode, data: Data) -> Grads:
        """Gradients of the loss, or of the spikes times `Data.adjoint`. Nothing is updated."""


class TorchSide(Side):
    """A differentiable torch module over all steps.

    Args:
        net: ``x`` -> the outputs that the case names, each ``[T, B, ...]``.
        loss: of the output that it reads and the targets.
    """

    capturable = False
    """Whether its optimizer keeps to what a CUDA graph can hold."""

    def __init__(self, case: Case, net: nn.Module, loss: Callable[[Tensor, Tensor], Tensor] | None) -> None:
        self.case, self.net, self.loss = case, net, loss

    def job(self, mode: Mode, data: Data) -> Job:
        return _JOBS[mode](self, data)

    def to(self, device: str) -> Side:
        self.net.to(device)
        return self

    def traces(self, data: Data) -> dict[str, Trace]:
        records: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
        modules = {name: module for name, module in self.net.named_modules() if hasattr(module, "mem")}
        handles = [
            module.register_forward_hook(_recorder(records.setdefault(name.rpartition(".")[2], ([], []))))
            for name, module in modules.items()
        ]
        with torch.no_grad():
            self.net.eval()(data.x)
        for handle in handles:
            handle.remove()
        return {name: Trace(torch.stack(spk), torch.stack(mem)) for name, (spk, mem) in records.items()}

    def gradients(self, mode: Mode, data: Data) -> Grads:
        self.net.train().zero_grad()
        leaf = data.x.clone().requires_grad_(self.case.alone)
        outputs = self.outputs(leaf)
        found: Grads = {}
        if mode == "train":
            loss = self.lost(outputs, data.y)
            loss.backward()
            found["loss"] = loss.detach().reshape(1)
        else:
            outputs["spk"].backward(data.adjoint)
        found |= {
            self.key(name): param.grad.clone()
            for name, param in self.net.named_parameters()
            if param.grad is not None
        }
        self.net.zero_grad()
        return found | ({"x": leaf.grad} if leaf.grad is not None else {})

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.case.outputs, self.net(x), strict=True))

    def lost(self, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        assert self.loss is not None, f"{self.case.key} is not for training"
        return self.loss(outputs[READS[self.case.loss]], target)

    def key(self, name: str) -> str:
        """A parameter's name as the chain of layers has it."""
        return name.removeprefix("layers.")


def _recorder(record: tuple[list[Tensor], list[Tensor]]) -> Callable[[nn.Module, object, object], None]:
    """A hook that writes down spikes and membrane after every step."""

    def hook(module: nn.Module, _: object, returned: object) -> None:
        spk = returned[0] if isinstance(returned, tuple) else returned
        assert isinstance(spk, Tensor)
        record[0].append(spk)
        record[1].append(module.mem)  # type: ignore[arg-type]  # torch takes any attribute for a module

    return hook


def _train(side: TorchSide, data: Data) -> Job:
    """One update; Adam as fast as torch has it, but for a script that is not ours to change."""
    side.net.train()
    optimizer = torch.optim.Adam(
        side.net.parameters(), lr=side.case.lr, fused=not side.case.eager, capturable=side.capturable
    )

    def step() -> Tensor:
        loss = side.lost(side.outputs(data.x), data.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()  # to read it would be to wait for a device

    return step


def _run(side: TorchSide, data: Data) -> Job:
    """Outputs, for their own sake."""

    side.net.eval()

    def run() -> object:
        with torch.no_grad():
            return side.net(data.x)

    return run


def _both(side: TorchSide, data: Data) -> Job:
    """Outputs and all gradients."""
    leaf = data.x.clone().requires_grad_(side.case.alone)

    def both() -> None:
        leaf.grad = None
        side.net.zero_grad()
        side.outputs(leaf)["spk"].backward(data.adjoint)

    return both


_JOBS: Final[dict[Mode, Callable[[TorchSide, Data], Job]]] = {
    "train": _train,
    "infer": _run,
    "fwd": _run,
    "fwd+bwd": _both,
}
