"""Class numbers as rows with a single one, and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.tensors.arrays import as_tensor

__all__ = ["from_one_hot", "to_one_hot", "to_one_hot_inverse"]


def to_one_hot(targets: Any, num_classes: int) -> Tensor:
    """1 at each target's class, 0 elsewhere: ``[...]`` gives ``[..., num_classes]`` of the default dtype.

    Raises:
        InputError: a target is no class from 0 to ``num_classes - 1``.
    """
    classes = as_tensor("to_one_hot", "targets", targets, values=False)
    wrong = classes[(classes < 0) | (classes >= num_classes) | (classes != classes.long())]
    if wrong.numel():
        raise InputError(
            f"to_one_hot(num_classes={num_classes}) takes classes 0 to {num_classes - 1}; "
            f"the targets hold {wrong[0].item():g}"
        )
    known = torch.arange(num_classes, device=classes.device)
    return (classes[..., None] == known).to(torch.get_default_dtype())


def to_one_hot_inverse(one_hot_targets: Any) -> Tensor:
    """1 where there is 0 and 0 elsewhere, of the same shape and dtype."""
    targets = as_tensor("to_one_hot_inverse", "one_hot_targets", one_hot_targets, values=False)
    return (targets == 0).to(targets.dtype)


def from_one_hot(one_hot_label: Any) -> Tensor:
    """The class numbers that `to_one_hot` was given: ``[..., classes]`` gives ``[...]``.

    Raises:
        InputError: a row does not hold exactly one 1.
    """
    rows = as_tensor("from_one_hot", "one_hot_label", one_hot_label, values=False)
    hit = rows == 1
    if not bool((hit.sum(-1) == 1).all()):
        raise InputError("from_one_hot takes rows that hold a single 1 each; some hold none, or several")
    return hit.long().argmax(-1)
