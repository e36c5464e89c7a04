"""``poptorch.trainingModel`` and ``inferenceModel``: a module on the device."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from .arguments import Call, check_same, cut, gathered, joined
from .capture import capture
from .device import Updater
from .errors import Error
from .graph import Graph, Ref, differentiated, final_loss, narrowed, unsupported
from .memory import Memory
from .optim import kind_of
from .options import ConnectionType, Options, OutputMode, ReductionType
from .restrictions import restricted
from .weights import named_tensors, trainer_of, unwrap

__all__ = ["PoplarExecutor"]

NOT_COMPILED = "Model has not been compiled or has been destroyed."
OFFLINE = "(ConnectionType.Never)"


class PoplarExecutor(Memory):
    """A wrapped module. Captured at the first call, replayed afterwards.

    Attributes:
        captures: how often forward has run; graph: what was recorded, once compiled.
    """

    def __init__(self, module: nn.Module, options: Options, optimizer: Any) -> None:
        super().__init__()
        self.user = module
        self.options = options.clone()
        self.training = optimizer is not None
        self.module = copy.copy(module)  # what it is told later, such as train(), does not arrive
        self.captures = 0
        self.graph: Graph | None = None
        self.dirty = False
        self.first: Call | None = None
        self.device: dict[str, Tensor] = {}
        self.loss = -1
        self.seen: int | None = 0
        self.versions = 0  # how often the host's weights were written from the device
        if optimizer is not None:
            self.setOptimizer(optimizer)

    # -- compiling ----------------------------------------------------------------------------------

    def isCompiled(self) -> bool:  # PopTorch's names
        return self.graph is not None

    def isAttachedToDevice(self) -> bool:
        return self.attached

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Capture without running."""
        if self.graph is not None:
            warnings.warn("Call to compile() ignored: the executable is already compiled", stacklevel=2)
            return
        self._compile(gathered(self.module.forward, args, kwargs))

    def _compile(self, call: Call) -> None:
        pieces = cut(call, self.options.split())
        self.captures += 1
        graph = capture(self.module, *pieces[0], training=self.training)
        values = self.options.values
        if graph.updated and values["replication_factor"] > 1 and values["broadcast_buffers"]:
            raise Error("updated buffers cannot be broadcast to replicas; set broadcastBuffers(False)")
        self.loss = final_loss(graph) if self.training else -1
        missing = unsupported(graph)
        if missing:
            raise Error("Unsupported ops found in compiled model: [%s]" % ", ".join(missing))
        wrong = restricted(graph)
        if wrong:
            raise Error("; ".join(wrong))
        self.graph, self.first = graph, tree_map(_shape_of, call)
        if self.options.values["connection"] is not ConnectionType.Never:
            self._attach()

    def attachToDevice(self) -> None:
        self._need()
        offline = self.options.values["connection"] is ConnectionType.Never
        assert not offline, "Trying to attach to an offline device %s" % OFFLINE
        if self.attached:
            raise Error("Device is already attached")
        self._attach()

    def _attach(self) -> None:
        """Weights and what the optimizer remembers go to the device."""
        self.attached = True
        self.copyWeightsToDevice()
        if self.optimizer is not None:
            weights = [name for name, tensor in named_tensors(self.module) if _is_weight(tensor)]
            reached = differentiated(self._need(), self.loss)
            trained = {name: self.device[name] for name in weights if self._need().named[name] in reached}
            self._load_updater(Updater(kind_of(self.optimizer), self.taken, trained))

    def detachFromDevice(self) -> None:
        self._need()
        if not self.attached:
            raise Error("Device is not attached")
        if self.training:
            self.copyWeightsToHostIfNeeded()
            self._read_state_if_needed()
        self.attached, self.updater = False, None

    def destroy(self) -> None:
        """Bring weights back, forget the graph, unwrap the module. Nothing happens before compilation."""
        if self.graph is None:
            return
        if self.training:
            self.copyWeightsToHostIfNeeded()
            self.optimizer.state_dict()
        self.graph, self.first, self.attached, self.updater = None, None, False, None
        if self.training:
            unwrap(self.user)

    def _need(self) -> Graph:
        if self.graph is None:
            raise Error(NOT_COMPILED)
        return self.graph

    # -- weights ------------------------------------------------------------------------------------

    def copyWeightsToHost(self) -> None:
        self._need()
        self.dirty = False
        with torch.no_grad():
            for name, tensor in named_tensors(self.module):
                tensor.data.copy_(self.device[name])
        self.versions += 1

    def copyWeightsToHostIfNeeded(self) -> bool:
        if not self.dirty:
            return False
        self.copyWeightsToHost()
        return True

    def copyWeightsToDevice(self) -> None:
        self._need()
        self.dirty = False
        if self.optimizer is not None:
            self.optimizer.state_dict()  # the host's buffers are written as a whole
        with torch.no_grad():
            for name, tensor in named_tensors(self.module):
                value = narrowed(tensor.detach().clone().as_subclass(Tensor))
                if name in self.device:
                    self.device[name].copy_(value)
                else:
                    self.device[name] = value

    def _refresh(self) -> None:
        """Of an inference model: what training has done since, if its copy of the module was wrapped."""
        reference = trainer_of(self.user)
        if reference is None:
            return
        trainer = reference()
        if trainer is not None:
            trainer.copyWeightsToHostIfNeeded()
        there = None if trainer is None else trainer.versions  # where it is gone: once, and never again
        if there != self.seen:
            self.copyWeightsToDevice()
            self.seen = there

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Any:
        """Into the module, and to the device if attached."""
        found = self.user.load_state_dict(state, strict=strict)
        if self.attached:
            self.copyWeightsToDevice()
        return found

    def __getattr__(self, name: str) -> Any:
        if name == "user":
            raise AttributeError(name)
        return getattr(self.user, name)

    # -- running ------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One call of the device: all micro-batches, and in training one update per device iteration."""
        offline = self.options.values["connection"] is ConnectionType.Never
        assert not offline, (
            "Trying to run a model on an offline device %s: "
            "use model.compile(inputs) instead of model(inputs)" % OFFLINE
        )
        call = gathered(self.module.forward, args, kwargs)
        if self.graph is None:
            self._compile(call)
        if not self.attached:
            self.attachToDevice()
        if not self.training:
            self._refresh()
        assert self.first is not None
        check_same(self.first, tree_map(_shape_of, call))
        self._write_state_if_needed()
        found: list[Any] = []
        pieces = cut(call, self.options.split())
        together = self.options.micro_batches()
        for start in range(0, len(pieces), together):
            found += self._iteration(pieces[start : start + together])
        if self._need().mutated:
            self._write_inputs(call, [inputs for _, inputs in found])
        return self._combined([outputs for outputs, _ in found])

    def _iteration(self, pieces: Sequence[Call]) -> list[tuple[Any, dict[int, Tensor]]]:
        graph, found = self._need(), []
        totals: dict[str, Tensor | None] = {}
        trained = dict(self.updater.weights) if self.updater else {}
        for piece in pieces:
            inputs = [narrowed(leaf) for leaf in tree_flatten(piece)[0] if isinstance(leaf, Tensor)]
            leaves = {name: value.detach().requires_grad_(self.training) for name, value in trained.items()}
            with torch.set_grad_enabled(self.training):
                values = graph.run(inputs, {**self.device, **leaves})  # buffers as the last piece left them
            if self.training and values[self.loss].requires_grad:
                values[self.loss].backward()
            self._add(totals, leaves, len(pieces))
            self._keep(values)
            outputs = tree_map(lambda leaf: _detached(leaf, values), graph.outputs)  # noqa: B023  # used at once
            found.append((outputs, {place: values[number] for place, number in graph.mutated.items()}))
        if self.updater is not None:
            self.updater.update(totals)
            self.dirty = True
            self._state_moved()
        return found

    def _add(self, totals: dict[str, Tensor | None], leaves: Mapping[str, Tensor], count: int) -> None:
        mean = self.options.Training.values["reduction"] is ReductionType.Mean
        for name, leaf in leaves.items():
            if leaf.grad is not None:
                share = leaf.grad / count if mean and count > 1 else leaf.grad
                before = totals.get(name)
                totals[name] = share if before is None else before + share

    def _keep(self, values: Mapping[int, Tensor]) -> None:
        """Buffers that forward changed in place stay changed, on the device."""
        for name, number in self._need().updated.items():
            self.device[name] = values[number].detach().clone()

    def _write_inputs(self, call: Call, changed: list[dict[int, Tensor]]) -> None:
        tensors = [leaf for leaf in tree_flatten(call)[0] if isinstance(leaf, Tensor)]
        for place in self._need().mutated:
            tensors[place].copy_(joined([piece[place] for piece in changed]))

    def _combined(self, outputs: list[Any]) -> Any:
        """What comes back of all micro-batches; what never was on the device is there once."""
        recorded, tree = tree_flatten(self._need().outputs)
        columns = zip(*(tree_flatten(each)[0] for each in outputs))
        leaves = [
            self._chosen(list(column)) if isinstance(leaf, Ref) else leaf
            for leaf, column in zip(recorded, columns)
        ]
        return torch.utils._pytree.tree_unflatten(leaves, tree)  # torch has no other tree

    def _chosen(self, column: list[Tensor]) -> Tensor:
        found = self._returned(column)
        found.backward = _no_backward  # type: ignore[method-assign]  # as PopTorch does
        return found

    def _returned(self, column: list[Tensor]) -> Tensor:
        mode: OutputMode = self.options.values["output_mode"]
        if mode is OutputMode.Default:
            mode = OutputMode.Final if self.training else OutputMode.All
        replicas: int = self.options.values["replication_factor"]
        if mode is OutputMode.Final:
            return joined(column[-replicas:])
        if mode is OutputMode.Sum:
            parts = [torch.stack(column[replica::replicas]).sum(0) for replica in range(replicas)]
            return joined(parts)
        period: int = self.options.values["output_n"] if mode is OutputMode.EveryN else 1
        return joined(column[period - 1 :: period])


def _no_backward(*_: Any) -> None:
    raise Error(
        "backward() cannot be called explicitly on outputs of a PopTorch model. The backwards pass of a "
        "trainingModel is performed automatically when invoking the model."
    )


def _shape_of(leaf: Any) -> Any:
    return torch.empty_like(leaf, device="meta", requires_grad=False) if isinstance(leaf, Tensor) else leaf


def _detached(leaf: Any, values: Mapping[int, Tensor]) -> Any:
    return values[leaf.index].detach().clone() if isinstance(leaf, Ref) else leaf


def _is_weight(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter)
