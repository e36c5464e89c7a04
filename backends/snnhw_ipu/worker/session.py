"""One program on the device: asked questions, it gives answers. The same in process and in a worker.

A question is its name, a header of plain values, and arrays; an answer is a header and arrays.

    open                  build the module; arrays are parameters. Header: ``emulate``, ``forms``,
                          ``trainable``, ``dtype``, ``optimizer``, ``options``
    run, step, evaluate   one call of the device with a form; arrays are its arguments, results by number
    optimizer             other settings
    params, set_params    of the program, on the host
    state                 what the optimizer remembers
    restore               all of these at once; arrays are ``param/KEY`` and ``optimizer/NAME``
    done                  the last ``ticket`` that was asked for and done, and whether what came after it
                          broke in the middle. Questions that change something carry one
    close                 let go of the device

``forms`` holds recipes by purpose, each ``rest`` and, for states that are handed over, ``continued``. Each
is a program of its own, and takes IPUs while it is attached: as a rule, one is attached at a time.
"""

from __future__ import annotations

import platform
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Mapping, Tuple

import numpy as np
import torch

from .chunks import Chunks
from .doctor import diagnose
from .frames import PROTOCOL
from .model import CONSTANT, Recipe, UnrolledModel, tensors_of
from .walk import called, forward, joined

__all__ = ["Session", "runtime"]

Header = Mapping[str, Any]
Arrays = Mapping[str, Any]
Answer = Tuple[Dict[str, Any], Dict[str, Any]]


def runtime(emulate: bool) -> Any:
    """PopTorch, or what stands in for it."""
    if emulate:
        from . import double

        return double
    import poptorch

    return poptorch


class Session:
    """See above. Holds at most one program at a time."""

    def __init__(self) -> None:
        self.poptorch: Any = None
        self.model: UnrolledModel | None = None
        self.opened: Header = {}
        self.optimizer: Any = None
        self.chunks: Chunks | None = None
        self.trainer: Any = None
        self.form = "rest"
        self.runners: dict[tuple[str, str], Any] = {}
        self.fresh: set[tuple[str, str]] = set()  # runners that have seen the present weights
        self.ticket = 0
        self.torn = ""

    def ask(self, question: str, header: Header, arrays: Arrays) -> Answer:
        """Answer one question."""
        answers: dict[str, Callable[[Header, Arrays], Answer]] = {
            "hello": self.hello,
            "probe": lambda header, arrays: (dict(diagnose()), {}),
            "open": self.open,
            "run": lambda header, arrays: self.call("run", header, arrays),
            "evaluate": lambda header, arrays: self.call("evaluate", header, arrays),
            "step": self.step,
            "optimizer": self.set_optimizer,
            "params": self.params,
            "set_params": self.set_params,
            "state": self.state,
            "restore": self.restore,
            "done": lambda header, arrays: ({"ticket": self.ticket, "torn": self.torn}, {}),
            "close": self.close,
        }
        if question not in answers:
            raise ValueError("a worker is not asked '%s'; it answers %s" % (question, ", ".join(answers)))
        return answers[question](header, arrays)

    def hello(self, header: Header, arrays: Arrays) -> Answer:
        """Who answers."""
        versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
        return {"protocol": PROTOCOL, **versions}, {}

    # -- opening and closing ------------------------------------------------------------------------

    def open(self, header: Header, arrays: Arrays) -> Answer:
        self.close({}, {})
        self.poptorch = runtime(header["emulate"])
        self.opened = header
        params = tensors_of(arrays, header["dtype"])
        self.model = UnrolledModel(params, header["trainable"], self.poptorch.identity_loss)
        if header["optimizer"]:
            kind = getattr(self.poptorch.optim, header["optimizer"]["kind"])
            weights = [self.model.value(key) for key in header["trainable"]]
            given = _settings(header["optimizer"]["settings"])
            recipe = header["forms"]["train"]["continued"]
            if recipe["chunks"] > 1:
                self.chunks = Chunks(self.model, recipe, header["optimizer"]["kind"], given)
                kind, given = self.poptorch.optim.SGD, {"lr": 1.0}
            self.optimizer = kind(weights, **given)
        return {}, {}

    def close(self, header: Header, arrays: Arrays) -> Answer:
        for executor in self._executors():
            executor.destroy()
        self.model, self.optimizer, self.trainer, self.chunks = None, None, None, None
        self.runners, self.fresh, self.form, self.opened = {}, set(), "rest", {}
        self.ticket, self.torn = 0, ""
        return {}, {}

    def _executors(self) -> Iterator[Any]:
        yield from self.runners.values()
        if self.trainer is not None:
            yield self.trainer

    def _model(self) -> UnrolledModel:
        assert self.model is not None, "no program is open"
        return self.model

    def _options(self, train: bool) -> Any:
        """PopTorch's options for one executor; each freezes its own."""
        given = self.opened["options"]
        options = self.poptorch.Options()
        options.outputMode(self.poptorch.OutputMode.All)
        options.showCompilationProgressBar(False)
        options.replicationFactor(given["replication"])
        if train:
            options.Training.gradientAccumulation(1 if self.chunks else given["gradient_accumulation"])
        else:
            options.deviceIterations(given["device_iterations"])
        if given["seed"] is not None:
            options.randomSeed(given["seed"])
        if given["cache"]:
            options.enableExecutableCaching(given["cache"])
        if given["available_memory"] is not None:
            options.setAvailableMemoryProportion({"IPU0": given["available_memory"]})
        if given["synthetic_data"]:
            options.enableSyntheticData(True)
        if given["ipu_model"]:
            options.useIpuModel(True)
        if given["partials"] == "float16":
            options.Precision.setPartialsType(torch.half)
        return options

    # -- calls --------------------------------------------------------------------------------------

    def _runner(self, purpose: str, form: str) -> Any:
        if (purpose, form) not in self.runners:
            model = self._model()
            model.recipes = {**model.recipes, False: self.opened["forms"][purpose][form]}
            model.eval()
            self.runners[purpose, form] = self.poptorch.inferenceModel(model, self._options(train=False))
            model.train()
        return self.runners[purpose, form]

    def _trainer(self, form: str) -> Any:
        """Compiled anew when states are handed over for the first time; that form serves both cases."""
        if self.trainer is not None and self.form == "rest" and form == "continued":
            self.trainer.destroy()
            self.trainer = None
            self._remember(self.optimizer.state_dict().get("ipu_state"))
        if self.trainer is None:
            model = self._model()
            model.recipes = {**model.recipes, True: self.opened["forms"]["train"][form]}
            model.train()
            self.trainer = self.poptorch.trainingModel(
                model, self._options(train=True), optimizer=self.optimizer
            )
            self.form = form
        return self.trainer

    def call(self, purpose: str, header: Header, arrays: Arrays) -> Answer:
        """Run without training."""
        if self.chunks is not None and purpose == "evaluate":
            trainer = self._trainer(header["form"])
            self._make_room(trainer)
            return {}, _numbered(self.chunks.evaluate(trainer, self._arguments(arrays)))
        executor = self._runner(purpose, header["form"])
        self._make_room(executor)
        self._refresh(purpose, header["form"])
        recipe, given = self._recipe(purpose, header["form"]), self._arguments(arrays)
        return {}, _numbered(joined(recipe, forward(executor, recipe, given)[0]))

    def step(self, header: Header, arrays: Arrays) -> Answer:
        """One update. The loss is the last result."""
        executor = self._trainer(header["form"])
        self._make_room(executor)
        self.fresh.clear()
        given = self._arguments(arrays)
        if self.chunks is None:
            found = called(executor, self._recipe("train", self.form), given)
        else:
            self.torn = "in the middle of an update"
            found = self.chunks.step(executor, given)
            self.torn = ""
        self.ticket = header["ticket"]
        return {}, _numbered(found)

    def _make_room(self, executor: Any) -> None:
        """Detach the others, which takes their weights to the host, and attach this one if it is compiled."""
        if self.opened["options"]["stay_attached"]:
            return
        for other in self._executors():
            if other is not executor and other.isAttachedToDevice():
                other.detachFromDevice()
        if executor.isCompiled() and not executor.isAttachedToDevice():
            if executor is self.trainer:
                self._remember(self.optimizer.state_dict().get("ipu_state"))
            executor.attachToDevice()

    def _refresh(self, purpose: str, form: str) -> None:
        """Hand the present weights to a program that stayed attached while another trained.

        PopTorch does so where it knows that both are of one module: where the trainer was there first, and
        lives. A program that is not attached is given them when it is.
        """
        if (purpose, form) in self.fresh:
            return
        self._synchronise()
        executor = self.runners[purpose, form]
        if self.opened["options"]["stay_attached"] and executor.isAttachedToDevice():
            executor.copyWeightsToDevice()
        self.fresh.add((purpose, form))

    def _recipe(self, purpose: str, form: str) -> Recipe:
        found: Recipe = self.opened["forms"][purpose][form]
        return found

    def _arguments(self, arrays: Arrays) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    # -- parameters ---------------------------------------------------------------------------------

    def params(self, header: Header, arrays: Arrays) -> Answer:
        self._synchronise()
        model = self._model()
        keys = [key for key in model.names if not key.startswith(CONSTANT)]
        return {}, {key: _array(model.value(key).float()) for key in keys}

    def set_params(self, header: Header, arrays: Arrays) -> Answer:
        with self._whole(header):
            self._fill(arrays)
        return {}, {}

    def _fill(self, params: Arrays) -> None:
        self._synchronise()
        model = self._model()
        for key, array in params.items():
            value = model.value(key)
            value.data.copy_(torch.from_numpy(np.array(array)).to(value.dtype))
        for executor in self._executors():
            if executor.isAttachedToDevice():  # others are given them when they are attached
                executor.copyWeightsToDevice()

    @contextmanager
    def _whole(self, header: Header) -> Iterator[None]:
        """Several changes that belong together."""
        self.torn = "in the middle of a change"
        yield
        self.ticket, self.torn = header["ticket"], ""

    def _synchronise(self) -> None:
        if self.trainer is not None and self.trainer.isAttachedToDevice():
            self.trainer.copyWeightsToHost()

    # -- the optimizer ------------------------------------------------------------------------------

    def set_optimizer(self, header: Header, arrays: Arrays) -> Answer:
        """The same optimizer with other settings: another object would forget what this one remembers."""
        if self.chunks is not None:
            self.chunks.take(_settings(header["settings"]))
            self.ticket = header["ticket"]
            return {}, {}
        before = [dict(group) for group in self.optimizer.param_groups]
        try:
            self._set(header["settings"])
            if self.trainer is not None:
                self.trainer.setOptimizer(self.optimizer)
        except BaseException:
            for group, held in zip(self.optimizer.param_groups, before):
                group.update(held)
            raise
        self.ticket = header["ticket"]
        return {}, {}

    def _set(self, settings: Mapping[str, Any]) -> None:
        given = _settings(settings)
        for group in self.optimizer.param_groups:
            group.update({name: value for name, value in given.items() if name in group})

    def state(self, header: Header, arrays: Arrays) -> Answer:
        """By the program's own names; nothing before the first update."""
        if self.chunks is not None:
            return {}, {name: _array(value) for name, value in self.chunks.memory().items()}
        found = self.optimizer.state_dict().get("ipu_state") or {}
        return {}, {self._named(name, back=True): _array(value) for name, value in found.items()}

    def restore(self, header: Header, arrays: Arrays) -> Answer:
        """Parameters, settings, and all that the optimizer is to remember, or nothing of it."""
        parts: dict[str, dict[str, Any]] = {"param": {}, "optimizer": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = array
        memory = {self._named(name): torch.from_numpy(np.array(x)) for name, x in parts["optimizer"].items()}
        with self._whole(header):
            self._fill(parts["param"])
            if self.chunks is not None:
                self.chunks.take(_settings(header["settings"]))
                self.chunks.remember(
                    {name: torch.from_numpy(np.array(x)) for name, x in parts["optimizer"].items()}
                )
            elif self.optimizer is not None:
                self._set(header["settings"])
                self._remember(memory or None)
                if self.trainer is not None and self.trainer.isAttachedToDevice():
                    self.trainer.setOptimizer(self.optimizer)  # which writes it
        return {}, {}

    def _remember(self, state: Any) -> None:
        """For the device, at the next opportunity. Settings stay as they are: those that PopTorch reads
        together with a state are as old as that state."""
        if state is not None:
            present = self.optimizer.state_dict()
            self.optimizer.load_state_dict({**present, "ipu_state": state, "ipu_param": {}})

    def _named(self, name: str, *, back: bool = False) -> str:
        """``Accl1___fc.weight``, with our name of the parameter in place of the program's; or back."""
        own = self._model().names
        known = {ours: key for key, ours in own.items()} if back else own
        slot, gap, parameter = name.rpartition("___")
        return slot + gap + known.get(parameter, parameter)


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where torch wants pairs."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _numbered(found: Any) -> dict[str, Any]:
    return {str(number): _array(tensor) for number, tensor in enumerate(found)}


def _array(tensor: torch.Tensor) -> Any:
    """A tensor's values, the receiver's own."""
    return tensor.detach().cpu().numpy().copy()
