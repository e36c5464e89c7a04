"""Small helpers under snnTorch's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar
from weakref import WeakSet

import numpy as np
from torch import nn

import snnhw.nn  # noqa: F401  # whole, before a part of it: another thread may be importing it
from snnhw.errors import InputError
from snnhw.nn.capture.carrying import CARRYING
from snnhw.nn.modules.finite import check_finite
from snnhw.nn.modules.neuron import SPK, SpikingNeuron
from snnhw.words import brief, public

__all__ = ["check_finite", "data_subset", "reset", "valid_split"]

__getattr__, __dir__ = public(__name__, __all__)

D = TypeVar("D")


def reset(net: nn.Module) -> None:
    """Put every neuron of ``net`` at rest, and every other layer that remembers or counts steps.

    However deeply nested; no other network is touched.

    Also cuts the graph of earlier steps, as snnTorch's does.
    """
    for module in net.modules():
        if isinstance(module, CARRYING):
            module.reset_mem()  # type: ignore[operator]  # all of them have it


def _layer_check(net: nn.Module) -> None:
    """snnTorch's first half of `reset`: note a network, for `_layer_reset`. It is not kept alive."""
    _CHECKED.add(net)


def _layer_reset() -> None:
    """snnTorch's second half of `reset`: put the networks at rest that `_layer_check` has noted."""
    for net in list(_CHECKED):
        reset(net)
    _CHECKED.clear()


def _final_layer_check(net: nn.Module) -> int:
    """How many values the last layer of a network returns, as snnTorch counts them: spikes and states."""
    last = list(net.children())[-1]
    states = last._hw_state_names if isinstance(last, SpikingNeuron) else ()
    return 1 + len([name for name in states if name != SPK])


_CHECKED: Final[WeakSet[nn.Module]] = WeakSet()


def data_subset(dataset: D, subset: int, idx: int = 0) -> D:
    """Keep one of ``subset`` equal blocks of a dataset, in place.

    Args:
        dataset: with its samples in ``data`` and its classes in ``targets``: arrays, tensors or lists.
        subset: how many blocks there are, of ``N // subset`` neighbouring samples each.
        idx: which block is kept.

    Returns:
        the dataset given.

    Raises:
        InputError: no such block, or a dataset that holds its samples otherwise.
    """
    if type(subset) is not int or subset < 1 or type(idx) is not int or not 0 <= idx < subset:
        raise InputError(
            f"data_subset(subset={brief(subset)}, idx={brief(idx)}): give a number of blocks, 1 or more, and "
            "one of them, counted from 0"
        )
    size = len(_samples(dataset)) // subset
    _keep(dataset, dataset, np.arange(size * idx, size * (idx + 1)))
    return dataset


def valid_split(ds_train: D, ds_val: D, split: float, seed: int = 0) -> tuple[D, D]:
    """Move a share of the training samples into the validation set, in place.

    Args:
        ds_train: with its samples in ``data`` and its classes in ``targets``; they are shuffled.
        ds_val: another dataset of the same kind, whose samples are replaced; those it gets are in order.
        split: the share, 0 to 1; ``int(N * split)`` samples.
        seed: decides which; the same ones as in snnTorch.

    Returns:
        both datasets.

    Raises:
        InputError: no such share, one dataset given twice, or one that holds its samples otherwise.
    """
    if not 0 <= split <= 1:
        raise InputError(f"valid_split(split={brief(split)}): give a share from 0 to 1")
    if ds_train is ds_val:
        raise InputError("valid_split needs two datasets; load the training data a second time, or copy it")
    count = len(_samples(ds_train))
    chosen = np.random.default_rng(seed=seed).choice(count, size=count - int(count * split), replace=False)
    _keep(ds_train, ds_val, np.setdiff1d(np.arange(count), chosen))
    _keep(ds_train, ds_train, chosen)
    return ds_train, ds_val


def _samples(dataset: Any) -> Sequence[Any]:
    if not hasattr(dataset, "data") or not hasattr(dataset, "targets"):
        raise InputError(
            f"a {type(dataset).__name__} has not both data and targets, as torchvision's datasets do; "
            "use torch.utils.data.Subset, or random_split"
        )
    samples: Sequence[Any] = dataset.data
    return samples


def _keep(source: Any, into: Any, places: np.ndarray[Any, np.dtype[np.intp]]) -> None:
    """Give a dataset the samples of another that are at some places."""
    _samples(into)
    for name in ("data", "targets"):
        whole = getattr(source, name)
        listed = isinstance(whole, (list, tuple))
        setattr(into, name, [whole[place] for place in places] if listed else whole[places])
