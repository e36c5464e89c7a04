"""A batch cut into parts trains as a whole one does; and what explain says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ipu_calls import backend, compiled, data, job_of, network

from snnhw.errors import InputError
from snnhw.ir import CECount, CERate, L1Rate, Loss, MSECount, Program, Term, TimeAxis
from snnhw.plugin import Run, Train

Array = npt.NDArray[Any]

EVERYTHING = Loss(
    (
        Term(CECount(), of="lif2.spk"),
        Term(MSECount(), of="lif2.spk", weight=0.5),
        Term(L1Rate(), of="lif1.spk", weight=0.01),  # a sum over the batch, where the others are means
        Term(CERate(class_weights=(1.0, 0.25, 3.0)), of="lif2.spk"),  # means by what the whole batch weighs
        Term(MSECount(class_weights=(0.5, 2.0, 1.0)), of="lif2.spk", weight=0.25),
        Term(CERate(class_weights=(1.0, 0.25, 3.0), reduction="sum"), of="lif2.spk", weight=0.1),
    )
)


def trained(**options: Any) -> tuple[list[float], dict[str, Array]]:
    program, params = network()
    x, y = data()
    job = job_of(program, **options)
    assert isinstance(job, Train)
    with compiled(program, params, replace(job, loss=EVERYTHING)) as executable:
        found = [executable.step({"x": x}, {"target": y}) for _ in range(3)]
        run = executable.run({"x": x})
        outputs = found[-1].outputs.get("output")
        return [each.loss for each in found], {
            **executable.get_params(),
            "run": run.outputs["output"],
            "spikes": np.zeros(0) if outputs is None else outputs,
        }


WHOLE: list[tuple[list[float], dict[str, Array]]] = []


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation": 4},
        {"replication": 2},
        {"replication": 2, "gradient_accumulation": 2},
        {"device_iterations": 2},
    ],
    ids=str,
)
def test_parts_are_one_batch(options: dict[str, object]) -> None:
    WHOLE[:] = WHOLE or [trained()]
    (losses, arrays), (wanted, whole) = trained(**options), WHOLE[0]
    assert losses == pytest.approx(wanted, rel=1e-5)  # the same sums, in another order
    for name, array in arrays.items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("options", [{"gradient_accumulation": 2}, {"device_iterations": 2}], ids=str)
def test_parts_of_several_batches_are_several_batches(options: dict[str, object]) -> None:
    (losses, arrays), (wanted, whole) = trained(**options, accumulate=3), trained(accumulate=3)
    assert losses == pytest.approx(wanted, rel=1e-5)
    for name, array in arrays.items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_loss_alone_may_come_back() -> None:
    WHOLE[:] = WHOLE or [trained()]
    losses, arrays = trained(outputs="loss")
    assert losses == WHOLE[0][0]
    assert arrays["spikes"].size == 0


def test_a_batch_that_cannot_be_cut() -> None:
    program, params = network()
    with pytest.raises(
        InputError, match=r"batch of 4 cannot be cut into replication x gradient_accumulation = 3"
    ):
        compiled(program, params, job_of(program, gradient_accumulation=3))


def test_half_precision_trains() -> None:
    losses, arrays = trained(dtype="float16")
    assert losses[-1] < losses[0]
    assert arrays["run"].dtype == np.float16


def test_explain_counts_and_refuses_nothing_that_is_claimed() -> None:
    program, _ = network()
    found = backend().explain(program, job_of(program, gradient_accumulation=2))
    assert ("batch", "4 in 2 parts") in found.tables["program"]
    assert ("time steps, unrolled", "5") in found.tables["program"]
    assert found.tables["refused by PopTorch 3.4"][1:] == (("none", ""),)
    assert ("addmm", "10") in found.tables["operations"]  # two layers, five steps
    memory = _memory(program, job_of(program, gradient_accumulation=2))
    assert memory["parameters"] != memory["gradients and optimizer"] != "0.00"
    assert memory["together, of 897.00"].endswith(", fits")
    assert memory["on each of 1472 tiles, if spread evenly"].endswith(" KiB of 624")
    assert "-- each of 5 steps" in found.sources["train.recipe"]


def test_what_is_static_is_computed_once() -> None:
    program, _ = network()
    still = replace(program, time=TimeAxis(static_inputs=("x",)))
    counts: Any = backend().explain(still, job_of(still)).tables["operations"]
    assert dict(counts)["addmm"] == "6"  # one for the image, and five steps of what follows


def _memory(program: Program, job: Run | Train) -> dict[str, str]:
    rows: Any = backend().explain(program, job).tables["memory (an estimate, of one IPU)"]
    return dict(rows)


def test_explain_says_what_does_not_fit() -> None:
    program, _ = network(hidden=20000)
    whole = _memory(program, job_of(program, batch=512))
    assert whole["together, of 897.00"].endswith("not fit: lower the batch, or raise gradient_accumulation")
    cut = _memory(program, job_of(program, batch=512, gradient_accumulation=64))
    assert cut["together, of 897.00"].endswith(", fits")


def test_numbers_must_be_finite() -> None:
    """A graft computes ``x - x``, which is no number where x has none: said in docs/ipu.md."""
    program, params = network()
    x, y = data()
    x[2, 1] = np.inf
    with compiled(program, params, job_of(program)) as executable:
        assert np.isnan(executable.step({"x": x}, {"target": y}).loss)
        assert executable.run({"x": data()[0]}).outputs["output"].shape == (5, 4, 3)
