"""Random numbers made by a kernel are those of the language, in every bit."""

from __future__ import annotations

import pytest
import torch
from cuda_calls import WITH_TRITON

from snnhw.ir import Clock
from snnhw.ir.noise import LIMIT
from snnhw.tensors.scans.provider import Draw, drawn_on_host

pytestmark = WITH_TRITON

HOST = torch.device("cpu")


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 1100), (7, 8)])
@pytest.mark.parametrize("seed", [0, -5, 2**63 + 7, 12345678901234])
@pytest.mark.parametrize("held", [False, True])
def test_they_are_those_of_the_host(shape: tuple[int, ...], seed: int, held: bool) -> None:
    from snnhw_cuda.noise import drawn

    for sequence, first in ((0, 0), (3, LIMIT - 2)):  # the count of steps begins anew there
        clocks = [Clock(seed, sequence, first).later(k) for k in range(1 if held else 4)]
        draw = Draw(clocks, "lif1", "u", shape, held)
        assert torch.equal(drawn(draw, HOST, interpreted=True), drawn_on_host(draw, HOST))


def test_other_places_have_other_numbers() -> None:
    from snnhw_cuda.noise import drawn

    found = [
        drawn(Draw([Clock(1, 2)], node, name, (64,)), HOST, interpreted=True)
        for node, name in (("a", "u"), ("b", "u"), ("a", "v"))
    ]
    assert len({tuple(x.flatten().tolist()) for x in found}) == 3
