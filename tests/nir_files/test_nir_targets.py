"""Files for a simulator give the same spikes in that simulator itself, or are refused with the reason.

These run where the simulator is installed; CI has snntorch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from nir_calls import FORMAT, dense, drive, filled, neuron, spikes
from nir_networks import networks
from peers import PEERS, ran

from snnhw.errors import ExportError, InputError
from snnhw.ir import (
    Add,
    AvgPool2d,
    Conv2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Output,
    Params,
    Program,
    Scale,
    SumPool2d,
    init_params,
    sequential,
)
from snnhw_nir.targets.dialects import APART, DIALECTS, UNVERIFIED

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # strangers' own
    pytest.mark.usefixtures("capfd"),  # and what they print
]

Net = tuple[Program, Params]


def convolutional(pool: type) -> Net:
    nodes = {"input": Input((1, 8, 8)), "conv": Conv2d(1, 3, (3, 3)), "lif1": neuron("Leaky")}
    nodes |= {"pool": pool((2, 2), (2, 2)), "flat": Flatten(), "fc": Linear(27, 5), "lif2": neuron("Leaky")}
    program = sequential(nodes)
    levels = {"lif1.beta": 0.9, "lif2.beta": 0.8, "lif1.threshold": 0.3, "lif2.threshold": 0.2}
    return program, init_params(program, seed=1, given=levels)


def recurrent(name: str = "Leaky", *, bias: bool = True, first: str = "output") -> Net:
    """All hear all; ``first`` is the target of the neuron's first edge."""
    nodes = {"input": Input((4,)), "fc": Linear(4, 6), "lif": neuron(name, "zero", "retest")}
    nodes |= {"rec": Linear(6, 6, bias=bias), "output": Output()}
    heard = [Edge("lif.spk", "rec.x", delay=1), Edge("lif.spk", "output.x")]
    heard = heard[::-1] if first == "output" else heard
    edges = [Edge("input.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("rec.y", "lif.x"), *heard]
    program = Program(FrozenMap(nodes), tuple(edges))
    decays = {"lif.beta": 0.9, "lif.alpha": 0.7}
    given = {key: value for key, value in decays.items() if key in program.params()}
    return program, init_params(program, seed=5, given=given)


def feedback() -> Net:
    """Two layers that hear each other, and the second itself; by name, the wrong way round."""
    cell = neuron("Leaky")
    nodes = {"input": Input((4,)), "w1": Linear(4, 5), "v1": cell, "u2": Linear(5, 5), "b2": cell}
    nodes |= {"afb": Linear(5, 5, bias=False), "rec": Linear(5, 5, bias=False), "output": Output()}
    edges = [Edge("input.y", "w1.x"), Edge("w1.y", "v1.x"), Edge("v1.spk", "u2.x"), Edge("u2.y", "b2.x")]
    edges += [Edge("b2.spk", "afb.x", 1), Edge("afb.y", "v1.x"), Edge("b2.spk", "rec.x", 1)]
    edges += [Edge("rec.y", "b2.x"), Edge("b2.spk", "output.x")]
    program = Program(FrozenMap(nodes), tuple(edges))
    return program, init_params(program, seed=4, given={"v1.beta": 0.9, "b2.beta": 0.8})


def itself() -> Net:
    """Each neuron hears itself."""
    program = sequential({"input": Input((4,)), "fc": Linear(4, 6), "lif": neuron("RLeaky", V=(6,))})
    return program, init_params(program, seed=5, given={"lif.beta": 0.9, "lif.V": np.linspace(-1, 1, 6)})


def branches(*, around: bool) -> Net:
    """Two ways of unequal depth that meet; ``around``: the shorter leads past a neuron."""
    nodes = {"input": Input((4,)), "fc": Linear(4, 5), "a": neuron("Leaky"), "b": Linear(5, 5)}
    nodes |= {"c": neuron("Leaky"), "z": Linear(5, 5), "join": neuron("Leaky"), "output": Output()}
    edges = [Edge("input.y", "fc.x"), Edge("fc.y", "a.x"), Edge("a.spk", "b.x"), Edge("b.y", "c.x")]
    edges += [Edge("c.spk", "join.x"), Edge("join.spk", "output.x")]
    if around:
        del nodes["z"]
        edges.insert(2, Edge("a.spk", "join.x"))
    else:
        edges += [Edge("a.spk", "z.x"), Edge("z.y", "join.x")]
    program = Program(FrozenMap(nodes), tuple(edges))
    return program, init_params(program, seed=6, given=dict.fromkeys(("a.beta", "c.beta", "join.beta"), 0.8))


def meeting() -> Net:
    """Two edges that meet at the Output."""
    nodes = {"input": Input((2, 3, 3)), "conv": Conv2d(2, 4, (3, 3), padding=(1, 1), groups=2)}
    nodes |= {"lif": neuron("Leaky"), "sum": Add(), "output": Output()}
    edges = [Edge("input.y", "conv.x"), Edge("conv.y", "lif.x"), Edge("lif.spk", "sum.x")]
    program = Program(FrozenMap(nodes), (*edges, Edge("conv.y", "sum.x"), Edge("sum.y", "output.x")))
    return program, init_params(program, seed=6, given={"lif.beta": 0.8})


def at_the_threshold() -> Net:
    """Weights and inputs by which membranes meet their threshold exactly."""
    program = sequential({"input": Input((4,)), "fc": Linear(4, 4, bias=False), "lif": neuron("Leaky")})
    params = init_params(program, given={"lif.beta": 0.5})
    return program, {**params, "fc.weight": np.eye(4, dtype=np.float32)}


def per_neuron(name: str = "Leaky") -> Net:
    decays = {"beta": (6,)} | ({"alpha": (6,)} if name == "Synaptic" else {})
    nodes = {"input": Input((4,)), "fc": Linear(4, 6), "enc.lif": neuron(name, "zero", "retest", **decays)}
    program = sequential(nodes)
    given = {f"enc.lif.{decay}": np.linspace(0.3, 0.95, 6) for decay in decays}
    return program, init_params(program, seed=2, given=given)


def named() -> Net:
    """Names that are one without dots, and names that are torch's own."""
    cell = neuron("Leaky")
    program = sequential(
        {"input": Input((4,)), "a.b": Linear(4, 5), "a_b": cell, "type": Linear(5, 3), "graph": cell}
    )
    return program, init_params(program, seed=2, given={"a_b.beta": 0.8, "graph.beta": 0.9})


NETS: dict[str, Callable[[], Net]] = {
    "dense": dense,
    "delayed": lambda: dense(neuron("Leaky", "zero", "delayed")),
    "cuba": lambda: dense(neuron("Synaptic", "zero", "retest")),
    "never leaking": lambda: dense(beta=1.0),
    "average pool": lambda: convolutional(AvgPool2d),
    "sum pool": lambda: convolutional(SumPool2d),
    "recurrent": recurrent,
    "recurrent, output last": lambda: recurrent(first="rec"),
    "recurrent cuba": lambda: recurrent("Synaptic"),
    "recurrent without bias": lambda: recurrent(bias=False),
    "feedback": feedback,
    "itself": itself,
    "around": lambda: branches(around=True),
    "branches": lambda: branches(around=False),
    "meeting": meeting,
    "per neuron": per_neuron,
    "per neuron cuba": lambda: per_neuron("Synaptic"),
    "named": named,
}

REFUSED = {
    ("spikingjelly", "per neuron"): "enc_lif: its tau must be one number: 'spikingjelly': it has one number",
    ("spikingjelly", "per neuron cuba"): "enc_lif: its tau_syn must be one number: 'spikingjelly': it has",
    ("norse", "branches"): "join: 'norse' computes it before z, which it hears: a step too late",
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("target", PEERS)
def test_the_simulator_gives_the_same_spikes(tmp_path: Path, target: str, net: str) -> None:
    made, path = NETS[net](), tmp_path / "net.nir"
    if (target, net) in REFUSED:
        with pytest.raises(ExportError) as caught:
            FORMAT.write(*made, path, target=target)
        assert any(reason.startswith(REFUSED[target, net]) for reason in caught.value.reasons)
        assert not path.exists()
        return
    FORMAT.write(*made, path, target=target)
    (name,) = made[0].named(Input)
    x = drive(60, 1, *getattr(made[0].nodes[name], "shape", ()), seed=7)
    ours = spikes(made, x)
    assert 10 < np.count_nonzero(ours > 0) < 0.9 * ours.size
    theirs = ran(target, path, x).reshape(ours.shape)
    if net == "meeting":  # what is not a spike rounds
        assert theirs == pytest.approx(ours, rel=1e-5, abs=1e-5)
    else:
        assert np.array_equal(theirs, ours)


@pytest.mark.parametrize("target", [target for target in PEERS if target != "norse"])  # that one rounds
def test_a_membrane_at_its_threshold_rests(tmp_path: Path, target: str) -> None:
    made, path = at_the_threshold(), tmp_path / "net.nir"
    FORMAT.write(*made, path, target=target)
    x = np.zeros((8, 1, 4), np.float32)
    x[0], x[3], x[4] = 1.0, [[1.0, 0.5, 1.25, 0.75]], 0.5  # 1 at first; then 0.5 * 1 + 0.5 = 1 for the first
    ours = spikes(made, x)
    assert ours.sum() == 2
    assert np.array_equal(ran(target, path, x).reshape(ours.shape), ours)


def check_random_networks(path: Path, target: str, net: Net) -> None:
    program, params = net
    try:
        FORMAT.write(program, params, path, target=target)
    except ExportError:
        return
    entrance = program.nodes["input"]
    assert isinstance(entrance, Input)
    x = drive(20, 1, *entrance.shape)
    ours = spikes(net, x)
    # What a target needs put otherwise rounds in another place: a value at its threshold may fall to the
    # other side, and everything behind it with it.
    theirs = ran(target, path, x).reshape(ours.shape)
    assert np.isclose(ours, theirs, rtol=1e-3, atol=1e-4).mean() > 0.95


once = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("target", PEERS)
@settings(once, max_examples=20, derandomize=True)
@given(net=networks())
def test_random_networks_give_the_same_spikes(tmp_path: Path, target: str, net: Net) -> None:
    check_random_networks(tmp_path / "net.nir", target, net)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", PEERS)
@settings(once, max_examples=1000)
@given(net=networks())
def test_a_thousand_networks_give_the_same_spikes(tmp_path: Path, target: str, net: Net) -> None:
    check_random_networks(tmp_path / "net.nir", target, net)


@pytest.mark.parametrize("target", PEERS)
def test_several_outputs(tmp_path: Path, target: str) -> None:
    nodes = {"input": Input((4,)), "lif": neuron("Leaky"), "a": Output(), "b": Output()}
    edges = (Edge("input.y", "lif.x"), Edge("lif.spk", "a.x"), Edge("lif.spk", "b.x"))
    program = Program(FrozenMap(nodes), edges)
    params = init_params(program, given={"lif.beta": 0.9})
    with pytest.raises(ExportError, match=f"a, b: '{target}' takes graphs of one Output only"):
        FORMAT.write(program, params, tmp_path / "net.nir", target=target)


def test_every_target_is_held_to_a_simulator() -> None:
    assert set(DIALECTS) == {"nir", "spyx", *PEERS}  # Spyx in test_nir_spyx.py
    assert len({*DIALECTS, *APART, *UNVERIFIED}) == len(DIALECTS) + len(APART) + len(UNVERIFIED)


def test_a_reader_that_nobody_verified(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"target 'rockpool' is not verified: nobody has held what it"):
        FORMAT.write(*dense(), tmp_path / "net.nir", target="rockpool")
    with pytest.raises(
        InputError, match=r"no target 'nrose'. Did you mean 'norse'\? Targets: nir \(the spec"
    ):
        FORMAT.write(*dense(), tmp_path / "net.nir", target="nrose")


def test_a_reader_that_no_file_can_please(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no file makes 'sinabs' \(sinabs 3.1.3.*\) compute the same: it takes"
    ):
        FORMAT.write(*dense(), tmp_path / "net.nir", target="sinabs")
    assert not list(tmp_path.iterdir())


def test_a_reader_without_gains_gets_them_in_its_weights(tmp_path: Path) -> None:
    program, params = dense()
    FORMAT.write(program, params, tmp_path / "net.nir", target="norse")
    graph = nir.read(tmp_path / "net.nir")
    assert np.array_equal(graph.nodes["lif1"].r, np.ones(6))
    assert graph.nodes["fc1"].weight == pytest.approx(10 * np.asarray(params["fc1.weight"], np.float64))
    assert FORMAT.read(tmp_path / "net.nir")[1]["fc1.weight"].tobytes() == params["fc1.weight"].tobytes()


def test_a_gain_that_no_weight_can_take_stands_alone(tmp_path: Path) -> None:
    program = sequential({"input": Input((3,)), "lif": neuron("Leaky")})
    FORMAT.write(program, init_params(program, given={"lif.beta": 0.5}), tmp_path / "n.nir", target="norse")
    assert nir.read(tmp_path / "n.nir").nodes["lif_gain"].weight == pytest.approx(2 * np.eye(3))


def test_a_simulator_with_a_step_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'snntorch' reads every file with dt=0.0001, not 0.001"):
        FORMAT.write(*dense(), tmp_path / "net.nir", target="snntorch", dt=1e-3)


@pytest.mark.parametrize(
    ("target", "field", "value", "words"),
    [
        ("snntorch", "v_leak", 0.1, "lif: its v_leak must be zero: 'snntorch': it refuses any other"),
        ("snntorch", "v_reset", 0.1, "lif: its v_reset must be zero: 'snntorch': it resets to 0 whatever"),
        ("snntorch", "v_threshold", [1, 2], "lif: its v_threshold must be one number: 'snntorch'"),
        ("spikingjelly", "v_leak", 0.1, "lif: its v_leak must be equal to v_reset: 'spikingjelly'"),
        (
            "spikingjelly",
            "v_reset",
            0.1,
            "lif: its v_reset must be zero: 'spikingjelly': its membranes start",
        ),
        (
            "spikingjelly",
            "tau",
            1e-4,
            "lif: its tau in steps must be more than 1: 'spikingjelly': it refuses",
        ),
        ("norse", "v_reset", 0.1, "lif: its v_reset must be zero: 'norse': it resets to 0 whatever"),
    ],
)
def test_what_a_simulator_takes_for_granted(
    tmp_path: Path, target: str, field: str, value: float, words: str
) -> None:
    from nir_calls import chain, lif, load

    given = {field: np.asarray(value, np.float32)}
    net = load(chain(tmp_path / "a.nir", lif(2, **given), shape=(2,), out=(2,)))
    program = Program(FrozenMap({name.replace("n0", "lif"): op for name, op in net[0].nodes.items()}), ())
    edges = (Edge("input.y", "lif.x"), Edge("lif.spk", "output.x"))
    program = Program(program.nodes, edges, net[0].time)
    params = {key.replace("n0", "lif"): array for key, array in net[1].items()}
    with pytest.raises(ExportError) as caught:
        FORMAT.write(program, params, tmp_path / "b.nir", target=target)
    assert any(reason.startswith(words) for reason in caught.value.reasons)


def test_scales_are_refused_where_nothing_stands_for_them(tmp_path: Path) -> None:
    program = sequential({"input": Input((2, 2)), "s": Scale(), "lif": neuron("Leaky")})
    params = init_params(program, given={"lif.beta": 0.5}) | {"s.weight": filled(1, 2.0)[0].reshape(())}
    with pytest.raises(ExportError, match="s: 'snntorch' reads no Scale"):
        FORMAT.write(program, params, tmp_path / "b.nir", target="snntorch")
