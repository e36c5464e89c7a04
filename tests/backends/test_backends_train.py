"""Training on torch against plain torch loops; saving; the differentiable module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from backends_nets import (
    B,
    T,
    executable,
    feedforward,
    feedforward_by_hand,
    leaves,
    network,
    params_of,
    recurrent,
    recurrent_by_hand,
    signal,
)
from snnhw_reference.plugin import ReferenceBackend, ReferenceOptions
from snnhw_torch import TorchExecutable
from torch import Tensor

import snnhw.functional as SF
from snnhw.errors import InputError, ProgramError
from snnhw.ir import (
    SGD,
    Adam,
    AdamW,
    Add,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Op,
    Optimizer,
    Output,
    Params,
    Pointwise,
    Program,
    replace_keys,
    trainable,
    var,
)
