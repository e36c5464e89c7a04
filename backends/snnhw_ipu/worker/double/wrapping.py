"""``poptorch.trainingModel`` and ``inferenceModel``."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from torch import nn

from .errors import Error
from .executor import PoplarExecutor
from .optim import SGD, kind_of
from .options import Options
from .weights import named_tensors, trainer_of, wrap

__all__ = ["inferenceModel", "trainingModel"]

WRAPPED = (
    "Model has already been wrapped in 'poptorch.trainingModel'. Call model.destroy() on the model to "
    "unwrap before wrapping again."
)


def trainingModel(model: Any, options: Options | None = None, optimizer: Any = None) -> PoplarExecutor:
    """``poptorch.trainingModel``."""
    module: nn.Module = model.user if isinstance(model, PoplarExecutor) else model
    if trainer_of(module) is not None:
        raise RuntimeError(WRAPPED)
    if optimizer is None:
        optimizer = SGD([x for _, x in named_tensors(module) if isinstance(x, nn.Parameter)], lr=0.01)
    kind_of(optimizer)
    own = {id(x) for _, x in named_tensors(module)}
    for group in optimizer.param_groups:
        for param in group["params"]:
            if id(param) not in own:
                raise KeyError("the optimizer holds a parameter that is not the model's")
    executor = PoplarExecutor(module, _checked(options), optimizer)
    wrap(module, executor)
    return executor


def inferenceModel(model: Any, options: Options | None = None) -> PoplarExecutor:
    """``poptorch.inferenceModel``. Of a shallow copy: whoever wraps the module later is unknown to it."""
    module: nn.Module = copy.copy(model.user if isinstance(model, PoplarExecutor) else model)
    options = _checked(options)
    if options.Training.values["gradient_accumulation"] != 1:
        raise Error(
            "You must set poptorch.Options().Training.gradientAccumulation to 1 or leave it as its default "
            "value (1) when running a poptorch.inferenceModel()."
        )
    assert inspect.ismethod(module.forward)
    return PoplarExecutor(module, options, None)


def _checked(options: Options | None) -> Options:
    if options is None:
        options = Options()
    if not isinstance(options, Options):
        raise Error(
            "Invalid type: 'options' must be of type poptorch.Options, not %s" % type(options).__name__
        )
    options.freeze()
    return options
