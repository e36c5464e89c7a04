"""A quick look: some cases of every class, with few kernels to compile."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from snnhw.conformance.case import LazyCase
from snnhw.conformance.cases.making.examples import EXAMPLES, INEXACT
from snnhw.conformance.cases.making.neurons import common

__all__ = ["QUICK", "is_quick"]

QUICK: Final = (
    *(
        f"{'margin' if kind in INEXACT else 'exact'}/{kind.__name__}-{next(iter(examples))}"
        for kind, examples in EXAMPLES.items()
    ),
    "exact/at-threshold-delayed",
    f"exact/{common().name}",
    f"exact/{common().name}/step",
    "integer/wrap",
    "integer/fires-often",
    f"pointwise/{common().name}",
    f"margin/dense-{common().model.name}",
    f"margin/recurrent-{common().model.name}",
    f"near/dense-{common().model.name}",
    f"gradient/{common().name}",
    "gradient/Linear-bias",
    "gradient/static-Linear-bias",
    "gradient/unwatched-*",
    "gradient/loss-CERate-plain",
    "gradient/ends-CERate",
    "training/*-plain",
    "law/*-dense",
)
"""Patterns of ids: an example of every op, one neuron, every law on one network. Most ops compile nothing,
and most cases of one neuron share their kernels."""


def is_quick(lazy: LazyCase) -> bool:
    """Whether the case belongs to a quick look."""
    return any(fnmatchcase(lazy.id, pattern) for pattern in QUICK)
