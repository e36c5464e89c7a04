"""One program on the device: asked questions, it gives answers. The same in process and in a worker.

A question is its name, a header of plain values, and arrays; an answer is a header and arrays.

    open                  build the module; arrays are parameters. Header: ``emulate``, ``forms``,
                          ``trainable``, ``dtype``, ``optimizer``, ``options``
    run, step, evaluate   one call of the device with a form; arrays are its arguments, results by number
    optimizer             other settings
    params, set_params    of the program, on the host
    state, load_state     what the optimizer remembers
    close                 let go of the device

``forms`` holds recipes by purpose, each ``rest`` and, for states that are handed over, ``continued``.
"""

from __future__ import annotations

import platform
from typing import Any, Callable, Dict, Mapping, Tuple

import numpy as np
import torch

from .doctor import diagnose
from .frames import PROTOCOL
from .model import UnrolledModel

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
        self.trainer: Any = None
        self.form = "rest"
        self.runners: dict[tuple[str, str], Any] = {}

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
            "load_state": self.load_state,
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
        dtype = getattr(torch, header["dtype"])
        params = {key: self._param(array, dtype) for key, array in arrays.items()}
        self.model = UnrolledModel(params, header["trainable"], self.poptorch.identity_loss)
        if header["optimizer"]:
            kind = getattr(self.poptorch.optim, header["optimizer"]["kind"])
            weights = [self.model.value(key) for key in header["trainable"]]
            self.optimizer = kind(weights, **_settings(header["optimizer"]["settings"]))
        return {}, {}

    def _param(self, array: Any, dtype: torch.dtype) -> torch.Tensor:
        value = torch.from_numpy(np.array(array))
        return value.to(dtype) if value.is_floating_point() else value

    def close(self, header: Header, arrays: Arrays) -> Answer:
        for executor in (*self.runners.values(), self.trainer):
            if executor is not None:
                executor.destroy()
        self.model, self.optimizer, self.trainer = None, None, None
        self.runners, self.form, self.opened = {}, "rest", {}
        return {}, {}

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
            options.Training.gradientAccumulation(given["gradient_accumulation"])
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
        executor = self._runner(purpose, header["form"])
        found = executor(*self._arguments(purpose, header["form"], arrays))
        return {}, _numbered(found)

    def step(self, header: Header, arrays: Arrays) -> Answer:
        """One update. The loss is the last result."""
        executor = self._trainer(header["form"])
        return {}, _numbered(executor(*self._arguments("train", self.form, arrays)))

    def _arguments(self, purpose: str, form: str, arrays: Arrays) -> list[torch.Tensor]:
        recipe = self.opened["forms"][purpose][form]
        names = recipe["inputs"] + recipe["targets"] + recipe["states"]
        return [torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in names]

    # -- parameters ---------------------------------------------------------------------------------

    def params(self, header: Header, arrays: Arrays) -> Answer:
        self._synchronise()
        model = self._model()
        keys = [key for key in model.names if not key.startswith("#")]
        return {}, {key: model.value(key).detach().cpu().float().numpy().copy() for key in keys}

    def set_params(self, header: Header, arrays: Arrays) -> Answer:
        self._synchronise()
        model = self._model()
        for key, array in arrays.items():
            value = model.value(key)
            value.data.copy_(torch.from_numpy(np.array(array)).to(value.dtype))
        for executor in (self.trainer, *self.runners.values()):
            if executor is not None and executor.isCompiled():
                executor.copyWeightsToDevice()
        return {}, {}

    def _synchronise(self) -> None:
        if self.trainer is not None and self.trainer.isCompiled():
            self.trainer.copyWeightsToHost()

    # -- the optimizer ------------------------------------------------------------------------------

    def set_optimizer(self, header: Header, arrays: Arrays) -> Answer:
        """The same optimizer with other settings: another object would forget what this one remembers."""
        for group in self.optimizer.param_groups:
            group.update(_settings(header["settings"]))
        if self.trainer is not None:
            self.trainer.setOptimizer(self.optimizer)
        return {}, {}

    def state(self, header: Header, arrays: Arrays) -> Answer:
        found = self.optimizer.state_dict()
        parts = {name: found.get("ipu_" + name, {}) for name in ("state", "param")}
        return {}, {
            "%s/%s" % (part, name): np.array(value)
            for part, values in parts.items()
            for name, value in values.items()
        }

    def load_state(self, header: Header, arrays: Arrays) -> Answer:
        if not arrays:
            return {}, {}
        state = dict(self.optimizer.state_dict())
        for part in ("state", "param"):
            state["ipu_" + part] = {
                name[len(part) + 1 :]: torch.from_numpy(np.array(array))
                for name, array in arrays.items()
                if name.startswith(part + "/")
            }
        self.optimizer.load_state_dict(state)
        if self.trainer is not None:
            self.trainer.setOptimizer(self.optimizer)
        return {}, {}


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where torch wants pairs."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _numbered(found: Any) -> dict[str, Any]:
    return {str(number): tensor.detach().cpu().numpy() for number, tensor in enumerate(found)}
