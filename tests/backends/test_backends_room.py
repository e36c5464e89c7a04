"""What a device could not do is told with the layer, T and B, and what needs less."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import DeviceError
from snnhw.tensors.scans.printed import PrintedScan

ASKED = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 10.00 GiB of which "
    "3.00 GiB is free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF"
)


def compiled() -> snn.nn.Model:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    how: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": snn.optim.SGD(lr=0.1)}
    return snn.compile(net, torch.zeros(5, 4), backend="cpu", time_steps=7, **how)


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_no_room_is_told_with_the_layer_and_what_needs_less(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Any:
        raise torch.OutOfMemoryError(ASKED)

    model, x, y = compiled(), torch.rand(7, 5, 4), torch.zeros(5, dtype=torch.long)
    model.step(x, y)
    before = model.params
    with monkeypatch.context() as patched:
        patched.setattr(PrintedScan, way, full)
        with pytest.raises(DeviceError) as caught:
            model.step(x, y)
    where = {"forward": "layer 1", "backward": "the way back of layer 1"}[way]
    assert str(caught.value).startswith(
        f"{where}, T=7 steps of B=5 samples: no room for another 20.00 GiB. A smaller batch needs less"
    )
    for words in ("A smaller batch needs less", "accumulate=", "fewer steps in one call", "`snnhw explain`"):
        assert words in str(caught.value)
    assert all((model.params[key] == before[key]).all() for key in before)
    model.step(x, y)


def test_a_kernel_that_does_not_run_is_told_with_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> Any:
        raise DeviceError("Triton does not run this forward kernel")

    model = compiled()
    monkeypatch.setattr(PrintedScan, "forward", refuses)
    with pytest.raises(DeviceError, match=r"^layer .*1: Triton does not run this forward kernel$"):
        model.run(torch.rand(7, 5, 4))
