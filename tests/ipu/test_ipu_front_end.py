"""What PopTorch's own front end does, beyond having a handler for an operation: `docs/ipu.md` has the table.

For each construct, that the stand-in follows PopTorch's rule, and that the backend lives by it.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from double_net import Net, X, poptorch, training
from ipu_calls import backend, compiled, data, job_of, network
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.ir import (
    MODELS,
    SGD,
    Adam,
    AvgPool2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Loss,
    MSETemporal,
    Neuron,
    Program,
    Term,
    Upsample,
    init_params,
    sequential,
    trainable,
)
from snnhw.lowering import lower, make_job
from snnhw.plugin import Executable
from snnhw.session import Progress
from snnhw_ipu.kept import to_device
from snnhw_ipu.worker.double.device import Updater
from snnhw_reference.plugin import ReferenceBackend

# -- cumulative sums ----------------------------------------------------------------------------------


def test_a_cumulative_sum_is_a_convolution_and_takes_single_precision() -> None:
    model = poptorch.inferenceModel(Net(lambda net, x: x.cumsum(1)))
    x = torch.ones(2, 3)
    assert model(x)[0].tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(poptorch.Error, match=r"aten::cumsum of torch\.float16 .* input types must match"):
        poptorch.inferenceModel(Net(lambda net, x: x.cumsum(1)))(x.half())


@pytest.mark.parametrize("loss", [SF.ce_temporal_loss(), SF.mse_temporal_loss()])
def test_temporal_losses_train_in_half_precision(loss: Any) -> None:
    net = nn.Sequential(nn.Linear(8, 4), snn.Leaky(beta=0.9, init_hidden=True))
    x, y = torch.rand(5, 4, 8), torch.tensor([0, 1, 2, 3])
    options = {"emulate": True, "dtype": "float16"}
    adam = snn.optim.Adam(lr=1e-3)
    with snn.compile(
        net, x[0], backend="ipu", time_steps=5, loss=loss, optimizer=adam, options=options
    ) as model:
        assert np.isfinite(float(model.step(x, y)[0]))


def test_steps_are_counted_in_single_precision() -> None:
    """Of the halves, those above 2048 are even: 2049 is none of them."""
    steps = 2050
    program = trainable(sequential({"x": Input((1,)), "fc": Linear(1, 1)}))
    kind = MSETemporal(on_target=-1, off_target=-1)
    job = make_job(
        backend(),
        program,
        time_steps=steps,
        batch=1,
        loss=Loss((Term(kind, of="fc.y"),)),
        optimizer=SGD(lr=0.1),
        options={"emulate": True, "dtype": "float16"},
    )
    params: dict[str, Any] = {"fc.weight": np.zeros((1, 1)), "fc.bias": np.zeros(1)}
    with lower(backend(), program, params, job) as executable:
        silent = np.zeros((steps, 1, 1), np.float32), np.zeros(1, np.int64)
        assert executable.step({"x": silent[0]}, {"target": silent[1]}).loss == 0.0


# -- pooling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [(0, 1), (1, 0)], ids=str)
def test_average_pooling_pads_all_axes_alike_or_others(padding: tuple[int, int]) -> None:
    x = torch.rand(2, 3, 6, 6)
    alike = poptorch.inferenceModel(Net(lambda net, x: F.avg_pool2d(x, 3, 1, 1)))
    assert torch.equal(alike(x), F.avg_pool2d(x, 3, 1, 1))
    with pytest.raises(poptorch.Error, match=r"aten::avg_pool2d with padding .* pads other axes"):
        poptorch.inferenceModel(Net(lambda net, x: F.avg_pool2d(x, 3, 1, padding)))(x)


def test_pooling_over_one_axis_pools_over_two() -> None:
    with pytest.raises(poptorch.Error, match=r"aten::avg_pool2d with padding \[0, 1\]"):
        poptorch.inferenceModel(Net(lambda net, x: F.avg_pool1d(x, 4, 2, 1)))(torch.rand(3, 2, 6))


@pytest.mark.parametrize("padding", [(0, 1), (1, 0), (1, 1)], ids=str)
def test_pooling_is_the_references(padding: tuple[int, int]) -> None:
    nodes = {"x": Input((2, 4, 4)), "pool": AvgPool2d((2, 3), (2, 1), padding)}
    agrees(sequential(nodes), np.random.default_rng(0).random((3, 2, 2, 4, 4), np.float32))


def test_interpolation_stays_in_half_precision() -> None:
    nodes = {
        "x": Input((1, 3, 3)),
        "up": Upsample((2, 2), mode="linear"),
        "flat": Flatten(),
        "fc": Linear(36, 2),
        "lif": Neuron(MODELS["Leaky"]),
    }
    program = sequential(nodes)
    job = make_job(
        backend(), program, time_steps=2, batch=2, options={"emulate": True, "dtype": "float16"}, record=()
    )
    params = init_params(program, seed=0, given={"lif.beta": 0.5})
    with lower(backend(), program, params, job) as executable:
        assert executable.run({"x": np.ones((2, 2, 1, 3, 3))}).outputs["output"].dtype == np.float16


def agrees(program: Program, x: Any) -> None:
    """With the reference, in single precision."""
    found = []
    for plugin, options in ((backend(), {"emulate": True}), (ReferenceBackend(), {"dtype": "float32"})):
        job = make_job(plugin, program, time_steps=len(x), batch=x.shape[1], options=options)
        executable: Executable = lower(plugin, program, init_params(program, seed=0), job)
        with executable:
            found.append(executable.run({"x": x}).outputs["output"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


# -- weights of programs that stay attached -----------------------------------------------------------


def test_a_copy_knows_the_trainer_that_was_there_when_it_was_taken() -> None:
    net = Net()
    before = poptorch.inferenceModel(net)
    trainer = training(net)
    after = poptorch.inferenceModel(net)
    start = [float(model(X)[1]) for model in (before, after)]
    trainer(X)
    assert float(before(X)[1]) == start[0]  # nobody told it
    assert float(after(X)[1]) < start[1]
    trainer.destroy()
    again = training(net)
    again(X)
    del trainer
    gc.collect()
    seen = [float(after(X)[1])]  # its trainer is gone: it takes the weights once more, and then never
    again(X)
    assert float(after(X)[1]) == seen[0]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_program_that_stays_attached_runs_with_what_was_trained(accumulate: int) -> None:
    net, params = network()
    x, y = data()
    found = []
    for stay in (True, False):
        job = job_of(net, accumulate=accumulate, optimizer=SGD(lr=0.5), stay_attached=stay)
        with compiled(net, params, job) as executable:
            outputs = [executable.run({"x": x}).outputs["output"]]
            for _ in range(2):
                calls = [executable.step({"x": x}, {"target": y}) for _ in range(2 * accumulate)]
                outputs.append(executable.run({"x": x}).outputs["output"])
                executable.step({"x": x}, {"target": y}, calls[-1].state)  # once: compiled anew for states
                outputs.append(executable.run({"x": x}).outputs["output"])
                outputs.append(executable.run({"x": x}, calls[-1].state).outputs["output"])
        found.append(outputs)
    assert not np.array_equal(found[0][0], found[0][-2])
    for mine, wanted in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, wanted)


# -- settings and states of optimizers ----------------------------------------------------------------


def test_a_rate_that_is_given_while_training_is_unloaded_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    write = Updater.write

    def noting(self: Updater, state: Any) -> None:
        written.append(state)
        write(self, state)

    monkeypatch.setattr(Updater, "write", noting)
    monkeypatch.setitem(sys.modules, "poptorch", poptorch)  # in this process
    monkeypatch.delenv("SNNHW_IPU_PYTHON", raising=False)
    net, params = network()
    x, y = data()
    with compiled(net, params, job_of(net, optimizer=SGD(lr=1.0), emulate=False)) as executable:
        state = executable.step({"x": x}, {"target": y}).state
        executable.run({"x": x})  # unloads what trains
        executable.set_optimizer(SGD(lr=0.0))
        before = executable.get_params()
        executable.step({"x": x}, {"target": y}, state)
        after = executable.get_params()
    assert all(np.array_equal(after[key], before[key]) for key in before)
    assert written
    assert all(not each["ipu_param"] for each in written)  # none that is as old as a state


def _one_of_two() -> tuple[nn.Module, Any]:
    """A weight that the loss reads, and one that it does not."""
    net = Net(
        lambda net, x: poptorch.identity_loss((x * net.weight).sum() + net.other.detach().sum(), "none")
    )
    net.other = nn.Parameter(torch.ones(2))
    return net, poptorch.optim.Adam(net.parameters(), lr=0.1)


def test_a_weight_without_a_gradient_has_no_state() -> None:
    net, optimizer = _one_of_two()
    poptorch.trainingModel(net, None, optimizer)(X)
    assert set(optimizer.state_dict()["ipu_state"]) == {"Accl1___weight", "Accl2___weight", "Step___weight"}
    assert net.get_parameter("other").tolist() == [1.0, 1.0]


def test_a_state_is_in_single_precision_whatever_the_weights_are_in() -> None:
    net, optimizer = _one_of_two()
    model = poptorch.trainingModel(net.half(), None, optimizer)
    model(X.half())
    model(X.half())
    assert {x.dtype for x in optimizer.state_dict()["ipu_state"].values()} == {torch.float32}
    assert net.get_parameter("weight").dtype == torch.float16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: None, "is missing"),
        (lambda x: x[:1], r"is torch.float32 of shape \[1\]"),
        (lambda x: x.double(), r"is torch.float64 of shape \[2\]"),
    ],
)
def test_a_state_is_written_from_where_it_lies(change: Any, message: str) -> None:
    net, optimizer = _one_of_two()
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    state = optimizer.state_dict()
    held = {**state["ipu_state"], "Accl1___weight": change(state["ipu_state"]["Accl1___weight"])}
    optimizer.load_state_dict({**state, "ipu_state": {k: x for k, x in held.items() if x is not None}})
    with pytest.raises(poptorch.Error, match=f"Accl1___weight {message}; PopTorch would read memory"):
        model(X)


def unread() -> tuple[Program, Any]:
    """A network with a layer that no loss reads."""
    net, params = network()
    nodes = {**net.nodes, "spare": Linear(6, 2)}
    both = trainable(Program(FrozenMap(nodes), (*net.edges, Edge("lif1.spk", "spare.x"))))
    return both, {**params, "spare.weight": np.ones((2, 6)), "spare.bias": np.ones(2)}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("trained", [False, True], ids=["before the first step", "after it"])
def test_a_state_comes_back_whole(dtype: str, trained: bool) -> None:  # parametrized
    net, params = unread()
    x, y = data()
    job = job_of(net, optimizer=Adam(lr=0.05), dtype=dtype)
    with compiled(net, params, job) as executable, compiled(net, params, job) as other:
        executable.step({"x": x}, {"target": y})
        state = executable.save_state()
        assert np.asarray(state["optimizer/spare.weight/Accl1"]).tolist() == np.zeros((2, 6)).tolist()
        if trained:
            other.step({"x": x}, {"target": y})
        state = {**state, "optimizer/fc1.weight/Step": np.array(1)}  # of another dtype than there
        other.load_state(state)
        wanted = [executable.step({"x": x}, {"target": y}).loss for _ in range(3)]
        assert [other.step({"x": x}, {"target": y}).loss for _ in range(3)] == wanted
        for key, array in executable.get_params().items():
            np.testing.assert_array_equal(other.get_params()[key], array, err_msg=key)


def test_what_cannot_be_held_to_the_device_is_refused() -> None:
    net, params = network()
    x, y = data()
    job = job_of(net, optimizer=Adam(lr=0.05))
    with compiled(net, params, job) as executable, compiled(net, params, job) as fresh:
        executable.step({"x": x}, {"target": y})
        state = dict(executable.save_state())
        about = json.loads(bytes(np.asarray(state["run"])))
        about["own"] = ["optimizer/Accl9___fc1.weight"]
        state["run"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        state["own/optimizer/Accl9___fc1.weight"] = np.zeros(3, np.float32)
        before = executable.get_params()
        with pytest.raises(InputError, match=r"'own/optimizer/Accl9___fc1\.weight' is nothing that"):
            executable.load_state(state)
        with pytest.raises(InputError, match="before training is compiled that cannot be told: do a step"):
            fresh.load_state(state)
        assert all(np.array_equal(executable.get_params()[key], before[key]) for key in before)


def test_every_array_is_held_to_the_one_that_is_there() -> None:
    there: dict[str, Any] = {"Accl1___w": np.zeros(3, np.float32), "Odd___w": np.zeros(2, np.float16)}
    found = Progress(SGD(lr=0.1), 1, memory={"w/Accl1": np.ones(3)}, own={"optimizer/Odd___w": np.ones(2)})
    with pytest.raises(InputError, match=r"'Odd___w' is float64 of shape \[2\]; accepted: float16 of shape"):
        to_device(found, there, {"w": (3,)})
    whole = to_device(replace(found, own={}), there, {"w": (3,)})
    assert {name: x.dtype.name for name, x in whole.items()} == {
        "optimizer/Accl1___w": "float32",
        "optimizer/Odd___w": "float16",
    }
    assert to_device(replace(found, own={}, memory={}), {}, {"w": (3,)}) == {}
