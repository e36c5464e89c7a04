"""Chains of layers run as one, a block at a time, and compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snnhw.ir import (
    MODELS,
    SGD,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Params,
    Program,
    Term,
    TimeAxis,
    init_params,
    sequential,
    trainable,
)
from snnhw.plugin import Run, Train
from snnhw.tensors.network import Network, ProgramModule, attribute, blocks
from snnhw_cpu.limits import Limits
from snnhw_cpu.network import network_of
from snnhw_cpu.plugin import CpuBackend, CpuOptions

T, B = 4, 7


def leaky(*axes: int, **options: Any) -> Neuron:
    shapes = FrozenMap({"beta": axes}) if axes else FrozenMap[str, tuple[int, ...]]()
    return Neuron(MODELS["Leaky"], param_shapes=shapes, **options)


def dense(*, static: bool = True) -> Program:
    layers: dict[str, Op] = {
        "x": Input((6,)),
        "fc1": Linear(6, 5),
        "lif1": leaky(5),
        "fc2": Linear(5, 3),
        "lif2": leaky(),
    }
    return sequential(layers, time=TimeAxis(static_inputs=("x",) if static else ()))


def images() -> Program:
    layers: dict[str, Op] = {
        "x": Input((4, 8, 7)),
        "conv1": Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2),
        "pool1": MaxPool2d((2, 2), (2, 2)),
        "lif1": leaky(6, 1, 1),
        "conv2": Conv2d(6, 4, (2, 2), bias=False),
        "lif2": Neuron(MODELS["Synaptic"]),
        "flat": Flatten(),
        "fc": Linear(8, 3),
        "lif3": leaky(),
    }
    return sequential(layers)


def rows_of_images() -> Program:
    layers: dict[str, Op] = {
        "x": Input((3, 9)),
        "conv": Conv1d(3, 2, (3,)),
        "lif": leaky(),
        "flat": Flatten(),
    }
    return sequential({**layers, "fc": Linear(14, 2)})


DENSE = Limits(way="dense")

NETWORKS = {"dense": dense(), "varying": dense(static=False), "images": images(), "rows": rows_of_images()}

CHAINS = {
    "dense": [("lif1", "fc2")],
    "varying": [("lif1", "fc2")],
    "images": [("conv1", "pool1"), ("lif1", "conv2"), ("lif2", "flat", "fc")],
    "rows": [("conv",), ("lif", "flat", "fc")],
}


def divided(network: Network, block: int) -> Network:
    return replace(network, sizes=replace(network.sizes, block=block))


def module(program: Program, block: int, params: Mapping[str, Tensor], **options: Any) -> ProgramModule:
    network = divided(network_of(program, precision="full", limits=DENSE), block)
    return ProgramModule(network, params, time_steps=T, **options)


def params_of(program: Program) -> dict[str, Tensor]:
    values = {"beta": 0.8, "threshold": 0.2, "alpha": 0.7}
    given = {key: values[last] for key in program.params() if (last := key.rpartition(".")[2]) in values}
    host: Params = init_params(program, 1, given=given)
    return {key: torch.from_numpy(np.array(array, np.float64)) for key, array in host.items()}


def inputs_of(program: Program) -> Tensor:
    (name,) = program.named(Input)
    shape = program.nodes[name].infer({})["y"]
    lead = (B,) if name in program.time.static_inputs else (T, B)
    x = torch.randn(*lead, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return x.mul_(2).requires_grad_()


def everything(program: Program, block: int) -> dict[str, Tensor]:
    """Outputs, states, and the gradients of all that can have one; two calls, the second from a state."""
    params = params_of(program)
    made = module(program, block, params)
    x = inputs_of(program)
    outputs, state = made(x)
    outputs2, state2 = made(x, state)
    found = {**outputs, **{f"then {name}": y for name, y in outputs2.items()}, **state2}
    seeds = torch.Generator().manual_seed(3)
    loss = sum((y * torch.randn(y.shape, generator=seeds).double()).sum() for y in found.values())
    assert isinstance(loss, Tensor)
    loss.backward()
    assert x.grad is not None
    grads = {name: param.grad for name, param in made.named_parameters()}
    assert all(grad is not None for grad in grads.values())
    return {"x": x.grad, **found, **{name: grad for name, grad in grads.items() if grad is not None}}


@pytest.mark.parametrize("name", NETWORKS)
def test_which_nodes_run_together(name: str) -> None:
    network = network_of(NETWORKS[name], precision="full", limits=DENSE)
    assert [stage.nodes for stage in network.stages if stage.mode == "chained"] == CHAINS[name]


@pytest.mark.parametrize("block", [1, 500, 3000])
@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_compute_the_same(name: str, block: int) -> None:
    """One row at a time; a few, and fewer in the last block; everything."""
    whole, parts = everything(NETWORKS[name], 0), everything(NETWORKS[name], block)
    assert whole.keys() == parts.keys()
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, rtol=1e-12, atol=1e-12)


def seen_by(made: ProgramModule, x: Tensor) -> set[str]:
    """Names of the nodes of autograd's graph."""
    outputs, _ = made(x)
    stack: list[Any] = [y.grad_fn for y in outputs.values()]
    names: set[str] = set()
    while stack:
        node = stack.pop()
        if node is not None and type(node).__name__ not in names | {"AccumulateGrad"}:
            names.add(type(node).__name__)
            stack += [before for before, _ in node.next_functions]
    return names


def test_signals_that_somebody_wants_are_not_within_a_chain() -> None:
    program, x = dense(), inputs_of(dense())
    assert "_ChainBackward" in seen_by(module(program, 200, params_of(program)), x)
    assert "_ChainBackward" not in seen_by(module(program, 0, params_of(program)), x)
    for port in ("lif1.spk", "lif1.mem"):
        recorded = module(program, 200, params_of(program), record=(port,))
        assert "_ChainBackward" not in seen_by(recorded, x)


def test_a_second_time_back_computes_the_spikes_again() -> None:
    program, x = images(), inputs_of(images())
    made = module(program, 300, params_of(program))
    loss = torch.stack([y.sum() for y in made(x)[0].values()]).sum()
    grads = [
        torch.autograd.grad(loss, [x, *made.parameters()], retain_graph=again) for again in (True, False)
    ]
    for first, second in zip(*grads, strict=True):
        assert torch.equal(first, second)


def test_only_the_gradients_that_are_wanted() -> None:
    program = images()
    frozen = replace(program, trainable=frozenset({"conv1.bias", "fc.weight"}))
    x = inputs_of(program).detach()
    grads = []
    for block in (0, 300):
        made = module(frozen, block, params_of(program))
        sum(y.sum() for y in made(x)[0].values()).backward()
        grads.append({name: param.grad for name, param in made.named_parameters()})
    assert grads[0].keys() == grads[1].keys() == {attribute("conv1.bias"), attribute("fc.weight")}
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad)


def test_a_signal_that_two_read_belongs_to_no_chain() -> None:
    nodes: dict[str, Op] = {
        "x": Input((6,)), "lif": leaky(), "a": Linear(6, 2), "b": Linear(6, 2), "out": Output(),
    }  # fmt: skip
    wires = [Edge("x.y", "lif.x"), Edge("lif.spk", "a.x"), Edge("lif.spk", "b.x"), Edge("a.y", "out.x")]
    program = trainable(Program(FrozenMap(nodes), (*wires, Edge("b.y", "out.x")), TimeAxis()))
    assert not network_of(program, precision="full", limits=DENSE).chains


@pytest.mark.parametrize("precision", ["full", "bf16"])
def test_products_that_are_not_torchs_own_run_in_blocks_too(precision: str) -> None:
    """Rounded ones, whose adjoint is autograd's; and those that skip zeros, which have one of their own."""
    program, params = dense(), {key: value.float() for key, value in params_of(dense()).items()}
    network = network_of(program, precision=precision, limits=Limits(way="skip"))
    x = inputs_of(program).detach().float()
    found = []
    for block in (0, 100):
        made = ProgramModule(divided(network, block), params, time_steps=T)
        outputs, _ = made(x)
        sum(y.sum() for y in outputs.values()).backward()
        found.append({**outputs, **{name: param.grad for name, param in made.named_parameters()}})
    for key, value in found[0].items():
        torch.testing.assert_close(
            found[1][key], value, rtol=1e-2 if precision == "bf16" else 1e-5, atol=1e-6
        )


def test_spikes_are_kept_as_bits_for_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    layers: dict[str, Op] = {"x": Input((2, 8, 8)), "lif1": leaky(), "conv": Conv2d(2, 3, (3, 3))}
    layers |= {"pool": MaxPool2d((2, 2), (2, 2)), "lif2": leaky(), "flat": Flatten(), "fc": Linear(27, 2)}
    program = sequential(layers)
    params = {key: value.float() for key, value in params_of(program).items()}
    x = inputs_of(program).detach().float().requires_grad_()
    seen, original = list[bool](), blocks.ChainWork.read

    def read(work: Any, signal: Tensor) -> Any:
        found = original(work, signal)
        seen.append(found.x is None)
        return found

    monkeypatch.setattr(blocks.ChainWork, "read", read)
    grads = {}
    for way in ("dense", "lookup"):
        network = network_of(program, precision="full", limits=Limits(way=way))
        made = ProgramModule(divided(network, 2000), params, time_steps=T)
        loss = torch.stack([(y * y).sum() for y in made(x)[0].values()]).sum()
        wanted = [x, *made.parameters()]
        grads[way] = torch.autograd.grad(loss, wanted, retain_graph=True)
        for first, again in zip(grads[way], torch.autograd.grad(loss, wanted), strict=True):
            assert torch.equal(first, again)
    for dense, looked in zip(*grads.values(), strict=True):
        torch.testing.assert_close(looked, dense, rtol=1e-4, atol=1e-4)
    assert seen == [False] * 4 + [True] * 4  # two chains each, forward and for the second time back


def normalised() -> Program:
    layers: dict[str, Op] = {
        "x": Input((2, 8, 8)),
        "lif": leaky(),
        "conv": Conv2d(2, 3, (3, 3)),
        "norm": BatchNorm2d(3),
        "pool": MaxPool2d((2, 2), (2, 2)),
    }
    return sequential(layers)


def test_what_is_explained_is_what_the_job_would_run() -> None:
    program, shapes = normalised(), {"x": (2, 8, 8)}
    loss = Loss((Term(L1Rate(), of="pool.y"),))
    run = Run(T, shapes, B, options=CpuOptions())
    train = Train(T, shapes, B, options=CpuOptions(), loss=loss, optimizer=SGD(lr=0.1))
    for job, nodes in ((run, "lif, conv, norm, pool"), (train, "lif, conv")):
        rows = CpuBackend().explain(program, job).tables["schedule"]
        assert [row[1] for row in rows if row[2] == "chained"] == [nodes]


def test_batch_norm_belongs_to_a_chain_in_evaluation_only() -> None:
    program = normalised()
    params = params_of(program)
    params["norm.running_mean"] += 0.3
    params["norm.running_var"] *= 2.0
    made = {block: module(program, block, params) for block in (0, 500)}
    x = inputs_of(program).detach()
    network = network_of(program, precision="full", limits=DENSE)
    assert [stage.nodes for stage in network.stages if stage.mode == "chained"] == [
        ("lif", "conv", "norm", "pool")
    ]
    assert [stage.nodes for stage in network.trained().stages if stage.mode == "chained"] == [("lif", "conv")]
    for mode in (False, True):
        found = []
        for one in made.values():
            one.train(mode)
            with torch.no_grad():
                found.append(one(x)[0]["output"])
        assert torch.equal(*found)
    for one in made.values():  # with gradients in evaluation, every node by itself
        one.eval()(x)[0]["output"].sum().backward()
    grads = [{name: param.grad for name, param in one.named_parameters()} for one in made.values()]
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad)
