"""Neurons that read random numbers: the same ones on every backend, however a sequence is cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import snnhw as snn
from snnhw import registry, surrogate
from snnhw.check import reasons_against
from snnhw.errors import ProgramError
from snnhw.ir import (
    CLOCK,
    SGD,
    SSO,
    ATan,
    Clock,
    Dropout,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    Neuron,
    Output,
    Param,
    Params,
    Program,
    Surrogate,
    Term,
    init_params,
    model,
    sequential,
    trainable,
    uniform,
    variables,
)
from snnhw.lowering import lower, make_job
from snnhw.plugin import Executable
from snnhw.tensors.network import Network, ProgramModule, plan
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.provider import Draw

mem, x, u, beta, threshold = variables("mem x u beta threshold")

NOISY = model(
    "Noisy",
    states="mem",
    params=(Param("beta", 0.75), Param("threshold", 1.0)),
    integrate={"mem": beta * mem + x + (u - 0.5)},
    fire=mem - threshold,
    noise=("u",),
)
STEPS, BATCH = 6, 3
X = np.random.default_rng(0).normal(0.3, 1.0, (STEPS, BATCH, 4)).astype(np.float32)


def program(neuron: Surrogate | None, *, recurrent: bool = False) -> tuple[Program, Params]:
    lif = Neuron(NOISY, surrogate=neuron)
    nodes = {"x": Input((4,)), "fc": Linear(4, 4), "lif": lif, "read": Linear(4, 2), "out": Output()}
    wires = ["x.y", "fc.x", "fc.y", "lif.x", "lif.mem", "read.x", "read.y", "out.x"]
    edges = [Edge(a, b) for a, b in zip(wires[::2], wires[1::2], strict=True)]
    if recurrent:
        edges.append(Edge("lif.spk", "lif.x", delay=1))
    made = trainable(Program(FrozenMap(nodes), tuple(edges)))
    return made, init_params(made, seed=1)


def compiled(name: str, made: Program, params: Params, **options: Any) -> Executable:
    plugin = registry.backend(name)
    loss = Loss((Term(L1Rate(), of="read.y"), Term(L1Rate(), of="lif.spk")))
    sizes: dict[str, Any] = {"time_steps": STEPS, "batch": BATCH}
    job = make_job(plugin, made, **sizes, loss=loss, optimizer=SGD(lr=1.0), record=["lif.mem"], **options)
    return lower(plugin, made, params, job)


both = pytest.mark.parametrize("recurrent", [False, True], ids=["scan", "loop"])


@both
def test_a_run_draws_the_same_on_every_backend_and_however_it_is_cut(recurrent: bool) -> None:
    made, params = program(ATan(), recurrent=recurrent)
    found = []
    for name in ("reference", "cpu"):
        with compiled(name, made, params, seed=5) as executable:
            whole = executable.run({"x": X})
            head = executable.run({"x": X[:2]})
            tail = executable.run({"x": X[2:]}, head.state)
        parts = [np.asarray(part.recordings["lif.mem"]) for part in (head, tail)]
        np.testing.assert_array_equal(np.concatenate(parts), np.asarray(whole.recordings["lif.mem"]))
        assert np.asarray(tail.state[CLOCK]).tolist() == [0.0, 6.0]
        found.append(np.asarray(whole.recordings["lif.mem"]))
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
    with compiled("reference", made, params, seed=6) as executable:
        assert (np.asarray(executable.run({"x": X}).recordings["lif.mem"]) != found[0]).all()


@both
@pytest.mark.parametrize("grad", [ATan(), SSO(), SSO(0.25, 2.0)], ids=repr)
def test_training_draws_the_same_on_every_backend(grad: Surrogate, recurrent: bool) -> None:
    made, params = program(grad, recurrent=recurrent)
    after = []
    for name in ("reference", "cpu"):
        with compiled(name, made, params) as executable:
            for _ in range(2):
                executable.step({"x": X}, {})
            after.append(executable.get_params())
    for key, array in after[0].items():
        ours, theirs = np.asarray(after[1][key], float), np.asarray(array, float)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5, err_msg=key)


class OwnNumbers(EagerProvider):
    """Draws on its device: half of what the host would have drawn, so that one can see who did."""

    def uniform(self, draw: Draw, device: torch.device) -> torch.Tensor:
        ASKED.append((draw, device))
        return super().uniform(draw, device) / 2


ASKED: list[tuple[Draw, torch.device]] = []


@both
def test_a_provider_may_draw_on_its_device(recurrent: bool) -> None:
    """It is asked for every number that a node reads, and for no other."""
    ASKED.clear()
    made, params = program(None, recurrent=recurrent)
    tensors = {key: torch.as_tensor(array) for key, array in params.items()}
    found = []
    for provider in (EagerProvider(), OwnNumbers()):
        module = ProgramModule(Network(made, plan(made), provider), tensors, seed=5, record=("lif.mem",))
        outputs, _ = module.eval()(torch.from_numpy(X))
        found.append(outputs["lif.mem"].detach())
    drawn = {clock.step for draw, _ in ASKED for clock in draw.clocks}
    assert drawn == set(range(STEPS))
    assert {(draw.node, draw.name, draw.shape, draw.held) for draw, _ in ASKED} == {
        ("lif", "u", (BATCH, 4), False)
    }
    assert {clock.seed for draw, _ in ASKED for clock in draw.clocks} == {5}
    assert {device.type for _, device in ASKED} == {"cpu"}
    first = torch.from_numpy(uniform(Clock(5), "lif", "u", (BATCH, 4)))
    torch.testing.assert_close(found[0][0] - found[1][0], first / 2)


def test_a_provider_draws_masks_too() -> None:
    """One for every step, or one that is held, which it is asked for once."""
    for drop, steps in ((Dropout(0.5), STEPS), (Dropout(0.5, mask="held"), 1)):
        ASKED.clear()
        net = sequential({"x": Input((4,)), "drop": drop})
        module = ProgramModule(Network(net, plan(net), OwnNumbers()), {})
        outputs, _ = module.train()(torch.ones(STEPS, BATCH, 4))
        ((draw, _),) = ASKED
        assert (len(draw.clocks), draw.name, draw.held) == (steps, "mask", drop.mask == "held")
        assert not outputs["output"].any(), "half of a number below 1 is dropped"


def test_a_backend_that_draws_nothing_refuses() -> None:
    plugin = registry.backend("cpu")
    can = replace(plugin.capabilities(), noise=False)
    made, params = program(SSO())
    job = compiled("cpu", made, params)._job  # type: ignore[attr-defined]  # the job of this file
    reason = "lif (Neuron): its equations draw random numbers, which is not supported"
    assert reasons_against(made, can, job) == (reason,)
    leaky = replace(
        made, nodes=FrozenMap({**made.nodes, "lif": Neuron(snn.ir.MODELS["Leaky"], surrogate=SSO())})
    )
    assert reasons_against(leaky, can, job) == (reason,)
    run = make_job(plugin, leaky, time_steps=STEPS, batch=BATCH)
    assert reasons_against(leaky, can, run) == ()


def test_eager_spikes_draw_with_the_generator_of_torch() -> None:
    z = torch.linspace(-1, 1, 101, requires_grad=True)
    torch.manual_seed(0)
    surrogate.SSO(mean=0.5, variance=2.0)(z).sum().backward()
    torch.manual_seed(0)
    wanted = torch.where(z > 0, 1.0, torch.rand(101) * 2.0)
    assert z.grad is not None
    torch.testing.assert_close(z.grad, wanted.detach())
    lif = snn.Leaky(beta=0.5, spike_grad=surrogate.SSO(), init_hidden=True)
    current = torch.zeros(2, 50, requires_grad=True)
    lif(current).sum().backward()
    assert current.grad is not None
    assert current.grad.abs().max() <= 0.1
    assert len(np.unique(current.grad.numpy())) > 50


def test_the_fire_condition_reads_no_noise() -> None:
    with pytest.raises(ProgramError, match="fire uses 'u'; declare it"):
        model("Odd", states="mem", params=(), integrate={"mem": mem + x}, fire=mem - u, noise=("u",))
    with pytest.raises(ProgramError, match="the name 'surrogate_noise' is reserved"):
        model(
            "Odd", states="mem", params=(), integrate={"mem": mem + x}, fire=mem, noise=("surrogate_noise",)
        )
