"""snnhw's side: compiled as a user would, or, for the unchanged script, step by step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from benchmarks.case import Case, Mode
from benchmarks.dynamics import Dynamics
from benchmarks.inputs import CLASSES, Data
from benchmarks.layers import Neuron, neurons
from benchmarks.loop import tutorial_net
from benchmarks.losses import CORRECT, FOLDED, INCORRECT, READS, stepped_ce
from benchmarks.place import HERE, Place
from benchmarks.side import Grads, Job, Side, TorchSide, Trace, Unavailable
from snnhw.ir import Loss, Optimizer
from snnhw.nn import Model

__all__ = ["build"]

PROBE_LR: Final = 2.0**40
"""Rate of the step of SGD that shows a gradient: so large that the weight is lost in it, not the reverse."""


LOSSES: Final[dict[str, Callable[[], Loss]]] = {
    "ce_membrane": SF.ce_membrane_loss,
    "ce_rate": SF.ce_rate_loss,
    "ce_count": SF.ce_count_loss,
    "mse_count": lambda: SF.mse_count_loss(CORRECT, INCORRECT),
    "mse_population": lambda: SF.mse_count_loss(1.0, 0.0, population_code=True, num_classes=CLASSES),
}
"""Loss -> snnhw's value of it."""


def build(case: Case, weights: Mapping[str, Tensor], dynamics: Dynamics, place: Place = HERE) -> Side:
    """snnhw on a case.

    Raises:
        Unavailable: the case needs something that snnhw does not have yet.
    """
    if case.needs and not hasattr(snn, case.needs):
        raise Unavailable(f"snnhw.{case.needs} does not exist yet")
    if case.eager:
        return _eager(case, weights).to(place.device)
    return Compiled(case, weights, dynamics, place)


def _eager(case: Case, weights: Mapping[str, Tensor]) -> Side:
    net = tutorial_net(case, snn)
    net.load_state_dict(dict(weights), strict=False)
    return TorchSide(case, net, stepped_ce)


class Compiled(Side):
    """The network through ``snnhw.compile``.

    Training is ``Model.step``, running ``Model.run``. What neither offers, gradients for a given
    adjoint, goes through ``torch_module()``.
    """

    def __init__(self, case: Case, weights: Mapping[str, Tensor], dynamics: Dynamics, place: Place) -> None:
        self.case, self.place = case, place
        net = sequential(case)
        net.load_state_dict(dict(weights), strict=False)
        captured = snn.capture(net, self._sample(torch.zeros(1, *case.sample)))
        self._network = dynamics(captured.program), captured.params

    def job(self, mode: Mode, data: Data) -> Job:
        if mode in ("infer", "fwd"):
            model = self._model(data)
            return lambda: model.run(data.x)
        if mode == "train" and self._loss() is not None:
            model = self._model(data, optimizer=snn.optim.Adam(lr=self.case.lr))
            return lambda: model.step(data.x, data.y)
        return self._differentiable(data).job(mode, data)

    def traces(self, data: Data) -> dict[str, Trace]:
        names = [name for name, _ in neurons(self.case.net)]
        model = self._model(data, record=[f"{name}.{port}" for name in names for port in Trace._fields])
        found = model.run(data.x).recordings
        return {name: Trace(*(found[f"{name}.{port}"] for port in Trace._fields)) for name in names}

    def gradients(self, mode: Mode, data: Data) -> Grads:
        if mode != "train" or self._loss() is None:
            return self._differentiable(data).gradients(mode, data)
        model = self._model(data, optimizer=snn.optim.SGD(lr=PROBE_LR))
        before = model.params
        loss, _ = model.step(data.x, data.y)
        after = model.params
        found = {
            key: ((torch.as_tensor(before[key]) - torch.as_tensor(after[key])) / PROBE_LR).to(data.y.device)
            for key in model.program.trainable
        }
        return found | {"loss": torch.as_tensor(loss).reshape(1).to(data.y.device)}

    def _model(
        self, data: Data, *, optimizer: Optimizer | None = None, record: list[str] | None = None
    ) -> Model:
        return snn.compile(
            self._network,
            self._sample(data.x),
            backend=self.place.backend,
            options=self._options(),
            time_steps=self.case.steps,
            static=self.case.static,
            loss=self._loss() if optimizer else None,
            optimizer=optimizer,
            record=record or (),
        )

    def _options(self) -> dict[str, object]:
        dtype = self.case.dtype
        return {**self.place.options, **({"signals": dtype} if dtype != "float32" else {})}

    def _loss(self) -> Loss | None:
        case = self.case
        loss = LOSSES[case.loss]() if case.loss else None
        return loss.of(f"{case.last}.{READS[case.loss]}") if loss else None

    def _sample(self, x: Tensor) -> Tensor:
        """One time step."""
        return x if self.case.static or x.ndim == len(self.case.sample) + 1 else x[0]

    def _differentiable(self, data: Data) -> TorchSide:
        executable: Any = self._model(data).executable
        return TorchSide(self.case, Unrolled(executable.torch_module()), FOLDED.get(self.case.loss))


class Unrolled(nn.Module):
    """A program's torch module, returning its outputs as a tuple under plain names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.layers = module

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs, _ = self.layers(x)
        return tuple(outputs.values())

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        for name, param in super().named_parameters(*args, **kwargs):
            yield name.replace("/", "."), param


def sequential(case: Case) -> nn.Sequential:
    """The chain as a torch module that computes one time step."""
    last, several = case.last, "mem" in case.outputs
    layers = OrderedDict(
        (name, layer.build(snn, init_hidden=True, output=several and name == last))
        if isinstance(layer, Neuron)
        else (name, layer.build(nn))
        for name, layer in case.net
    )
    return nn.Sequential(layers)
