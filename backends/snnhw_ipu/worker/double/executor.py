"""``poptorch.trainingModel`` and ``inferenceModel``: a module on the device."""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from .arguments import Call, check_same, cut, gathered, joined
from .capture import capture
from .errors import Error
from .graph import Graph, Ref, final_loss, narrowed, unsupported
from .optim import SGD, Optimizer, updater
from .options import ConnectionType, Options, OutputMode, ReductionType
from .weights import named_tensors, unwrap, wrap

__all__ = ["PoplarExecutor", "inferenceModel", "trainingModel"]

NOT_COMPILED = "Model has not been compiled or has been destroyed."
WRAPPED = (
    "Model has already been wrapped in 'poptorch.trainingModel'. "
    "Call model.destroy() on the model to unwrap it."
)


class PoplarExecutor:
    """A wrapped module. Captured at the first call, replayed afterwards.

    Attributes:
        captures: how often forward has run; graph: what was recorded, once compiled.
    """

    def __init__(self, module: nn.Module, options: Options, optimizer: Optimizer | None) -> None:
        self.user = module
        self.given = options
        self.options = options.clone()
        self.optimizer = optimizer
        self.training = optimizer is not None
        self.module = module if self.training else copy.copy(module)
        self.captures = 0
        self.graph: Graph | None = None
        self.attached = False
        self.dirty = False
        self.first: Call | None = None
        self.device: dict[str, Tensor] = {}
        self.updater: updater | None = None
        self.loss = -1
        self.seen = -1
        self.versions = 0  # how often the host's weights were written from the device

    # -- compiling ----------------------------------------------------------------------------------

    def isCompiled(self) -> bool:  # PopTorch's names
        return self.graph is not None

    def isAttachedToDevice(self) -> bool:
        return self.attached

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Capture without running."""
        if self.graph is not None:
            warnings.warn("Call to compile() ignored: the model is already compiled", stacklevel=2)
            return
        self._compile(gathered(self.module.forward, args, kwargs))

    def _compile(self, call: Call) -> None:
        if not self.training:
            self._refresh()
        pieces = cut(call, self.options.split())
        self.captures += 1
        graph = capture(self.module, *pieces[0])
        values = self.options.values
        if graph.updated and values["replication_factor"] > 1 and values["broadcast_buffers"]:
            raise Error("updated buffers cannot be broadcast to replicas; set broadcastBuffers(False)")
        self.loss = final_loss(graph) if self.training else -1
        missing = unsupported(graph)
        if missing:
            raise Error("Unsupported ops found in compiled model: [%s]" % ", ".join(missing))
        self.graph, self.first = graph, tree_map(_shape_of, call)
        if self.options.values["connection"] is not ConnectionType.Never:
            self._attach()

    def attachToDevice(self) -> None:
        self._need()
        if self.attached:
            raise Error("Device is already attached")
        self._attach()

    def _attach(self) -> None:
        self.attached = True
        self._upload()
        if self.optimizer is not None:
            trained = {name: self.device[name] for name, x in named_tensors(self.module) if _is_weight(x)}
            self.updater = updater(self.optimizer, trained)
            self.updater.take(self.optimizer)
            self.optimizer.bind(self)

    def detachFromDevice(self) -> None:
        self._need()
        if not self.attached:
            raise Error("Device is not attached")
        self.copyWeightsToHostIfNeeded()
        self.attached = False

    def destroy(self) -> None:
        """Bring weights back, forget the graph, unwrap the module. Nothing happens before compilation."""
        if self.graph is None:
            return
        if self.attached:
            self.copyWeightsToHostIfNeeded()
        if self.optimizer is not None:
            self.optimizer.pending = self.optimizer_state()
        self.graph, self.first, self.attached, self.updater = None, None, False, None
        if self.training:
            unwrap(self.module)

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
        if not (self.dirty and self.attached):
            return False
        self.copyWeightsToHost()
        return True

    def copyWeightsToDevice(self) -> None:
        self._need()
        self.dirty = False
        self._upload()

    def _upload(self) -> None:
        with torch.no_grad():
            for name, tensor in named_tensors(self.module):
                value = narrowed(tensor.detach().clone().as_subclass(Tensor))
                if name in self.device:
                    self.device[name].copy_(value)
                else:
                    self.device[name] = value

    def _refresh(self) -> None:
        """Of an inference model: what training has done since, if the module is trained as well."""
        trainer = self.user.__dict__.get("_poptorch_trainer", lambda: None)()
        if trainer is None:
            return
        trainer.copyWeightsToHostIfNeeded()
        if self.graph is not None and trainer.versions != self.seen:
            self._upload()
        self.seen = trainer.versions

    def setOptimizer(self, optimizer: Optimizer) -> None:
        """Take over another optimizer's settings, or the same one's as they are now."""
        _check_optimizer(optimizer)
        fresh = optimizer is not self.optimizer
        self.optimizer = optimizer
        if self.updater is None:
            return
        if fresh and optimizer.pending is None:
            optimizer.pending = {}
        self.updater.take(optimizer)
        optimizer.bind(self)

    def optimizer_state(self) -> dict[str, Tensor]:
        """What the device remembers for the optimizer."""
        return {} if self.updater is None else self.updater.state()

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Any:
        """Into the module, and to the device if attached."""
        found = self.module.load_state_dict(state, strict=strict)
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
        call = gathered(self.module.forward, args, kwargs)
        if self.graph is None:
            self._compile(call)
        assert self.first is not None
        check_same(self.first, tree_map(_shape_of, call))
        assert self.attached, "the model is not attached to a device (ConnectionType.Never compiles only)"
        if not self.training:
            self._refresh()
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
        weights = dict(self.device)
        totals: dict[str, Tensor | None] = {}
        trained = dict(self.updater.weights) if self.updater else {}
        for piece in pieces:
            inputs = [narrowed(leaf) for leaf in tree_flatten(piece)[0] if isinstance(leaf, Tensor)]
            leaves = {name: value.detach().requires_grad_(self.training) for name, value in trained.items()}
            with torch.set_grad_enabled(self.training):
                values = graph.run(inputs, {**weights, **leaves})
            if self.training and values[self.loss].requires_grad:
                values[self.loss].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self._add(totals, leaves, len(pieces))
            self._keep(values)
            outputs = tree_map(lambda leaf: _detached(leaf, values), graph.outputs)  # noqa: B023  # used at once
            found.append((outputs, {place: values[number] for place, number in graph.mutated.items()}))
        if self.updater is not None:
            self.updater.update(totals)
            self.dirty = True
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
        leaves = [tree_flatten(each)[0] for each in outputs]
        tree = tree_flatten(outputs[0])[1]
        return torch.utils._pytree.tree_unflatten(  # torch has no other tree
            [self._chosen(list(column)) for column in zip(*leaves)], tree
        )

    def _chosen(self, column: list[Any]) -> Any:
        if not isinstance(column[0], Tensor):
            return column[0]
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


def _shape_of(leaf: Any) -> Any:
    return torch.empty_like(leaf, device="meta", requires_grad=False) if isinstance(leaf, Tensor) else leaf


def _detached(leaf: Any, values: Mapping[int, Tensor]) -> Any:
    return values[leaf.index].detach().clone() if isinstance(leaf, Ref) else leaf


def _is_weight(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter)


def _check_optimizer(optimizer: Any) -> None:
    assert isinstance(optimizer, Optimizer), "Unsupported optimizer type %s" % type(optimizer).__name__


def _checked(options: Options | None) -> Options:
    if options is None:
        options = Options()
    if not isinstance(options, Options):
        raise Error(
            "Invalid type: 'options' must be of type poptorch.Options, not %s" % type(options).__name__
        )
    options.freeze()
    return options


def trainingModel(
    model: Any, options: Options | None = None, optimizer: Optimizer | None = None
) -> PoplarExecutor:
    """``poptorch.trainingModel``."""
    module: nn.Module = model.user if isinstance(model, PoplarExecutor) else model
    if "_poptorch_trainer" in module.__dict__:
        raise RuntimeError(WRAPPED)
    if optimizer is None:
        optimizer = SGD([x for _, x in named_tensors(module) if _is_weight(x)], lr=0.01)
    _check_optimizer(optimizer)
    own = {id(x) for _, x in named_tensors(module)}
    for group in optimizer.param_groups:
        for param in group["params"]:
            if id(param) not in own:
                raise KeyError("the optimizer holds a parameter that is not the model's")
    executor = PoplarExecutor(module, _checked(options), optimizer)
    wrap(module, executor)
    return executor


def inferenceModel(model: Any, options: Options | None = None) -> PoplarExecutor:
    """``poptorch.inferenceModel``."""
    module: nn.Module = model.user if isinstance(model, PoplarExecutor) else model
    options = _checked(options)
    if options.Training.values["gradient_accumulation"] != 1:
        raise Error("You must set gradientAccumulation to 1 for inference")
    assert inspect.ismethod(module.forward)
    return PoplarExecutor(module, options, None)
