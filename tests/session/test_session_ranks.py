"""What speaks against ranks, and what an explanation says of them. What ranks compute is conformance's law
``shares``, and `tests/training/test_training_ranks.py`'s."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import snnhw as snn
import snnhw.functional as SF
from snnhw import registry
from snnhw.conformance.meeting import Meetings
from snnhw.errors import InputError, Unsupported
from snnhw.lowering import explain, make_job
from snnhw.session.ranks import share_of
from snnhw.training import ALONE, ProcessRanks


def net() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(6, 3), snn.Leaky(beta=0.9, init_hidden=True))


JOB: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": snn.optim.SGD(lr=0.1), "time_steps": 4}


def test_a_backend_that_trains_in_one_process_says_what_to_set() -> None:
    seat = Meetings(4).seats()[0]
    words = (
        r"4 processes train together: PopTorch replicates in one; .* options=\{'replication': N\} for N IPUs"
    )
    with pytest.raises(Unsupported, match=words):
        snn.compile(net(), torch.zeros(2, 6), backend="ipu", options={"emulate": True}, ranks=seat, **JOB)


def test_one_process_may_train_alone_on_any_backend() -> None:
    with snn.compile(
        net(), torch.zeros(2, 6), backend="ipu", options={"emulate": True}, ranks=ALONE, **JOB
    ) as model:
        model.step(torch.rand(4, 2, 6), torch.tensor([0, 1]))


def test_ranks_have_to_be_there() -> None:
    with pytest.raises(InputError, match=r"call torch\.distributed\.init_process_group\(\) first"):
        ProcessRanks()


def test_somebody_has_to_have_a_sample() -> None:
    class Silent:
        rank, size = 0, 2

        def sum(self, numbers: list[float]) -> list[float]:
            return numbers

    model, words = snn.compile(net(), torch.zeros(2, 6), backend="cpu", **JOB), "no rank has a sample"
    with model, pytest.raises(InputError, match=f"{words} of this batch; give a step one at least"):
        share_of(Silent(), model.job, 0, {})  # type: ignore[arg-type]  # all that it asks


def test_an_explanation_says_when_a_step_reduces() -> None:
    plugin = registry.backend("cpu")
    with snn.compile(net(), torch.zeros(2, 6), backend="cpu", **JOB) as model:
        program = model.program
    job = make_job(
        plugin,
        program,
        time_steps=4,
        batch=2,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.SGD(lr=0.1),
        accumulate=3,
        ranks=Meetings(2).seats()[0],
    )
    heading, first, second = explain(plugin, program, job).tables["ranks"]
    assert heading == ("when", "what is added up over 2 processes")
    assert first[0] == "before forward"
    assert second[0] == "between backward and update, in each of 3 calls"
    assert second[1].startswith("loss, gradients of 2 parameters, 0 running statistics")
