"""Rows of ``docs/snntorch.md`` on single layers: each shown on snnTorch 1.0 and on ours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import InputError

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

X = torch.tensor([[2.0, 0.5, 1.5]])


def dropout() -> None:
    x = torch.rand(4, 2, 3)
    torch.manual_seed(0)
    wanted = theirs.LeakyParallel(3, 2, dropout=0.0)(x)
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        dropping = theirs.LeakyParallel(3, 2, dropout=0.9)
    assert torch.equal(dropping(x), wanted)
    with pytest.raises(InputError, match=r"one layer has no place for it; use nn\.Dropout"):
        snn.LeakyParallel(3, 2, dropout=0.9)


def pooled() -> None:
    x, kept = torch.rand(1, 1, 6, 6), []
    for inhibition in (False, True):
        torch.manual_seed(0)
        layer = theirs.SConv2dLSTM(1, 2, 3, max_pool=2, threshold=0.0, inhibition=inhibition)
        kept.append(layer(x)[0])
    assert torch.equal(*kept)
    with pytest.raises(InputError, match="does not go with a pool; leave one of them out"):
        snn.SConv2dLSTM(1, 2, 3, max_pool=2, inhibition=True)


def endless() -> None:
    assert math.isinf(theirs.Lapicque(beta=1.0).C)
    with pytest.raises(
        InputError, match=r"Lapicque\(beta=1\): it is exp\(-T / \(R \* C\)\), which lies between"
    ):
        snn.Lapicque(beta=1.0)


def following() -> None:
    with pytest.raises(AttributeError):
        theirs.Lapicque(beta=0.5, R=1, C=1)(X)
    layer: Any = snn.Lapicque(beta=0.5, R=1, C=1)
    assert layer.R.item() == pytest.approx(1 / math.log(2))


def unaided() -> None:
    with pytest.raises(TypeError, match="`mem` must be provided"):
        theirs.DeltaLeaky(1.0, beta=0.5)(X)
    layer = snn.DeltaLeaky(1.0, beta=0.5)
    assert [layer(X)[1][0][0, 0].item() for _ in range(2)] == [2, 3]


def nothing() -> None:
    from snntorch import utils as their_utils

    for library, utils, error in ((theirs, their_utils, AttributeError), (snn, snn.utils, None)):
        theirs.SpikingNeuron.instances.clear()
        layer, apart = library.DeltaLeaky(1.0, beta=0.5), nn.Sequential(library.Leaky(0.5))
        assert (layer.mem is None) is (library is theirs)
        for call in (layer.detach_hidden, lambda apart=apart, utils=utils: utils.reset(apart)):
            if error:
                with pytest.raises(error):
                    call()
            else:
                call()
    theirs.SpikingNeuron.instances.clear()  # such a DeltaLeaky makes every reset of the process fail


def unheard() -> None:
    for library, kind in ((theirs, "subtract"), (snn, "none")):
        layers: list[Any] = [
            library.DeltaLeaky(1.0, beta=0.5),
            library.StateLeaky(0.5, 3),
            library.LinearLeaky(0.5, 3, 2),
        ]
        assert [layer.reset_mechanism for layer in layers] == [kind] * 3


def held() -> None:
    for library, kind in ((theirs, float), (snn, Tensor)):
        assert isinstance(library.DeltaLeaky(1.5, beta=0.5).delta_threshold, kind)


def whole() -> None:
    for library, dtype in ((theirs, torch.int64), (snn, torch.float32)):
        assert library.Lapicque(R=2, C=3).R.dtype == dtype


def alone() -> None:
    for name, arguments, shape in (
        ("SLSTM", (3, 2), (3,)),
        ("SConv2dLSTM", (1, 2, 3), (1, 6, 6)),
        ("StateLeaky", (0.5, 3), (5, 3)),
    ):
        with pytest.raises((IndexError, RuntimeError, ValueError)):
            getattr(theirs, name)(*arguments)(torch.rand(shape))
        assert getattr(snn, name)(*arguments)(torch.rand(shape))[0].ndim == len(shape)


def booleans() -> None:
    with pytest.raises(RuntimeError):
        theirs.Leaky(0.5)(X > 1)
    assert torch.equal(snn.Leaky(0.5)(X > 1)[1], (X > 1).float())


def listed() -> None:
    x = torch.rand(4, 3)
    with pytest.raises(NotImplementedError):
        theirs.BatchNormTT1d(3, 2)(x)
    norm: Any = snn.BatchNormTT1d(3, 2)
    with torch.no_grad():
        norm[1].weight.fill_(2.0)
        first, second = norm(x), norm(x)
        assert torch.equal(second, 2 * first)
        assert torch.equal(norm[1](x), second)


def passed_over() -> None:
    from snntorch import utils as their_utils

    for library, utils, kept in ((theirs, their_utils, True), (snn, snn.utils, False)):
        theirs.SpikingNeuron.instances.clear()
        neuron: Any = type("Own", (library.SpikingNeuron,), {"reset_mem": lambda self: self.mem.zero_()})()
        neuron.register_buffer("mem", torch.ones(3))
        utils.reset(nn.Sequential(neuron))
        assert bool(neuron.mem.count_nonzero()) is kept


def unread() -> None:
    for library, wanted in ((theirs, torch.tensor(0.0)), (snn, None)):
        layer: Any = library.Leaky(0.5, learn_graded_spikes_factor=True, reset_delay=False)
        layer(X.clone().requires_grad_())[1].sum().backward()
        assert layer.graded_spikes_factor.grad == wanted


LAYERS: dict[str, Callable[[], None]] = {
    "`dropout` of `LeakyParallel`": dropout,
    "`inhibition=True` of `SConv2dLSTM` with a pool": pooled,
    "`Lapicque(beta=1)`": endless,
    "`Lapicque` given `beta`, R and C": following,
    "`DeltaLeaky` called without its state": unaided,
    "`DeltaLeaky` before its first call": nothing,
    "`reset_mechanism` of `DeltaLeaky`, `StateLeaky` and `LinearLeaky`, which has no effect": unheard,
    "`DeltaLeaky.delta_threshold`": held,
    "whole numbers given to `Lapicque`": whole,
    "a sample without a batch for `SLSTM`, `SConv2dLSTM`, `StateLeaky`": alone,
    "spikes of bool": booleans,
    "`BatchNormTT1d` called": listed,
    "`utils.reset` of a neuron that derives from `LIF` or `SpikingNeuron` alone": passed_over,
    "the gradient of `graded_spikes_factor` with `reset_delay=False`, of membranes alone": unread,
}
