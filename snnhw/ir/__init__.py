"""The language: expressions, neuron models, ops, programs, surrogates, losses, optimizers, files.

Everything here is a plain frozen value that can be saved, compared, checked and lowered. Arrays live
apart, in `Params`. Nothing here runs a network; `snnhw.reference` says what a program means.
"""

from __future__ import annotations

from snnhw.ir import expr, ops
from snnhw.ir.evaluate import Namespace, evaluate, numpy_namespace
from snnhw.ir.expr import (
    PRIMITIVES,
    Expr,
    clamp,
    const,
    floor,
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
from snnhw.ir.files import load, save
from snnhw.ir.fixed import Fixed
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.gradient import gradient
from snnhw.ir.identity import identity
from snnhw.ir.initial import init_params
from snnhw.ir.integers import saturate, shift_right, toward_zero, wrap
from snnhw.ir.limits import Limits
from snnhw.ir.losses import (
    LOSS_TERMS,
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    MSEMembrane,
    MSETemporal,
    PopulationLoss,
    Term,
    ValueLoss,
)
from snnhw.ir.memory import DelayLine, delay_lines
from snnhw.ir.models import MODELS, RESET, SPIKE, TIMINGS, NeuronModel, StepEquations, model, register
from snnhw.ir.noise import CLOCK, Clock, uniform
from snnhw.ir.ops import SHIPPED
from snnhw.ir.ops.across import *
from snnhw.ir.ops.base import *
from snnhw.ir.ops.batchnorm import *
from snnhw.ir.ops.conv import *
from snnhw.ir.ops.dropout import *
from snnhw.ir.ops.io import *
from snnhw.ir.ops.linear import *
from snnhw.ir.ops.neuron import *
from snnhw.ir.ops.normal import *
from snnhw.ir.ops.parameter import *
from snnhw.ir.ops.pool import *
from snnhw.ir.ops.rounded import *
from snnhw.ir.ops.saturating import *
from snnhw.ir.ops.shape import *
from snnhw.ir.optimizers import OPTIMIZERS, SGD, Adam, Adamax, AdamW, Optimizer, RMSprop, Slot
from snnhw.ir.params import Param, Params, ParamSpec, State
from snnhw.ir.program import Edge, Endpoint, Program, TimeAxis, sequential, trainable
from snnhw.ir.shapes import infer_shapes
from snnhw.ir.surrogates import (
    LSO,
    NOISE,
    SFS,
    SSO,
    SURROGATES,
    ATan,
    Custom,
    FastSigmoid,
    Gaussian,
    Heaviside,
    Opaque,
    Sigmoid,
    SpikeRateEscape,
    StraightThrough,
    Surrogate,
    Triangle,
    Triangular,
    spike,
)
from snnhw.ir.table import Table
from snnhw.ir.validate import check_params, require_valid, validate
from snnhw.ir.writing import write_atomic

__all__ = [
    "CLOCK",
    "LOSS_TERMS",
    "LSO",
    "MODELS",
    "NOISE",
    "OPTIMIZERS",
    "PRIMITIVES",
    "RESET",
    "SFS",
    "SGD",
    "SHIPPED",
    "SPIKE",
    "SSO",
    "SURROGATES",
    "TIMINGS",
    "ATan",
    "Adam",
    "AdamW",
    "Adamax",
    "CECount",
    "CEMaxMembrane",
    "CEMembrane",
    "CERate",
    "CETemporal",
    "ClassLoss",
    "Clock",
    "Custom",
    "DelayLine",
    "Edge",
    "Endpoint",
    "Expr",
    "FastSigmoid",
    "Fixed",
    "FrozenMap",
    "Gaussian",
    "Heaviside",
    "L1Rate",
    "Limits",
    "Loss",
    "LossKind",
    "MSECount",
    "MSEMembrane",
    "MSETemporal",
    "Namespace",
    "NeuronModel",
    "Opaque",
    "Optimizer",
    "Param",
    "ParamSpec",
    "Params",
    "PopulationLoss",
    "Program",
    "RMSprop",
    "Sigmoid",
    "Slot",
    "SpikeRateEscape",
    "State",
    "StepEquations",
    "StraightThrough",
    "Surrogate",
    "Table",
    "Term",
    "TimeAxis",
    "Triangle",
    "Triangular",
    "ValueLoss",
    "check_params",
    "clamp",
    "const",
    "delay_lines",
    "evaluate",
    "expr",
    "floor",
    "free_variables",
    "gradient",
    "graft",
    "greater",
    "heaviside",
    "identity",
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
    "saturate",
    "save",
    "sequential",
    "shift_right",
    "spike",
    "stop_gradient",
    "substitute",
    "topological",
    "toward_zero",
    "trainable",
    "uniform",
    "validate",
    "var",
    "variables",
    "where",
    "wrap",
    "write_atomic",
]
__all__ += ops.__all__
