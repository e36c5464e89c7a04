"""The language: expressions, neuron models, ops, programs, surrogates, losses, optimizers, files.

Everything here is a plain frozen value that can be saved, compared, checked and lowered. Arrays live
apart, in `Params`. Nothing here runs a network; `snnhw.reference` says what a program means.
"""

from __future__ import annotations

from snnhw.ir import expr
from snnhw.ir.evaluate import Namespace, evaluate, numpy_namespace
from snnhw.ir.expr import (
    PRIMITIVES,
    Expr,
    clamp,
    const,
    free_variables,
    graft,
    greater,
    heaviside,
    maximum,
    minimum,
    nearest,
    stop_gradient,
    substitute,
    topological,
    var,
    variables,
    where,
)
from snnhw.ir.files import load, save, write_atomic
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.gradient import gradient
from snnhw.ir.initial import init_params
from snnhw.ir.losses import (
    LOSS_TERMS,
    CECount,
    CEMembrane,
    CERate,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    Term,
)
from snnhw.ir.models import MODELS, RESET, SPIKE, TIMINGS, Model, Step, model, register
from snnhw.ir.ops import (
    OPS,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Pointwise,
    Shape,
)
from snnhw.ir.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer
from snnhw.ir.params import Param, Params, ParamSpec, State
from snnhw.ir.program import Edge, Endpoint, Program, TimeAxis, sequential, trainable
from snnhw.ir.shapes import infer_shapes
from snnhw.ir.surrogates import SURROGATES, ATan, FastSigmoid, StraightThrough, Surrogate, spike
from snnhw.ir.validate import check_params, require_valid, validate

__all__ = [
    "LOSS_TERMS",
    "MODELS",
    "OPS",
    "OPTIMIZERS",
    "PRIMITIVES",
    "RESET",
    "SGD",
    "SPIKE",
    "SURROGATES",
    "TIMINGS",
    "ATan",
    "Adam",
    "AdamW",
    "Add",
    "AvgPool2d",
    "CECount",
    "CEMembrane",
    "CERate",
    "Concat",
    "Conv2d",
    "Edge",
    "Endpoint",
    "Expr",
    "FastSigmoid",
    "Flatten",
    "FrozenMap",
    "Input",
    "L1Rate",
    "Linear",
    "Loss",
    "LossKind",
    "MSECount",
    "MaxPool2d",
    "Model",
    "Namespace",
    "Neuron",
    "Op",
    "Optimizer",
    "Output",
    "Param",
    "ParamSpec",
    "Params",
    "Pointwise",
    "Program",
    "Shape",
    "State",
    "Step",
    "StraightThrough",
    "Surrogate",
    "Term",
    "TimeAxis",
    "check_params",
    "clamp",
    "const",
    "evaluate",
    "expr",
    "free_variables",
    "gradient",
    "graft",
    "greater",
    "heaviside",
    "infer_shapes",
    "init_params",
    "load",
    "maximum",
    "minimum",
    "model",
    "nearest",
    "numpy_namespace",
    "register",
    "require_valid",
    "save",
    "sequential",
    "spike",
    "stop_gradient",
    "substitute",
    "topological",
    "trainable",
    "validate",
    "var",
    "variables",
    "where",
    "write_atomic",
]
