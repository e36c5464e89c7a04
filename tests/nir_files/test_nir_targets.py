"""Files for a simulator give the same spikes in that simulator itself, or are refused with the reason.

These run where the simulator is installed; CI has snntorch.
"""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from nir_calls import FORMAT, dense, drive, filled, neuron, spikes
from peers import PEERS, ran

from snnhw.errors import ExportError, InputError
from snnhw.ir import (
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
from snnhw_nir.dialects import APART, DIALECTS, UNVERIFIED

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


def recurrent() -> Net:
    nodes = {"input": Input((4,)), "fc": Linear(4, 6), "lif": neuron("Leaky")}
    nodes |= {"rec": Linear(6, 6, bias=False), "output": Output()}
    edges = [Edge("input.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("rec.y", "lif.x")]
    edges += [Edge("lif.spk", "rec.x", delay=1), Edge("lif.spk", "output.x")]
    program = Program(FrozenMap(nodes), tuple(edges))
    return program, init_params(program, seed=5, given={"lif.beta": 0.9})


def per_neuron() -> Net:
    nodes = {"input": Input((4,)), "fc": Linear(4, 6), "enc.lif": neuron("Leaky", beta=(6,))}
    program = sequential(nodes)
    return program, init_params(program, seed=2, given={"enc.lif.beta": np.linspace(0.3, 0.95, 6)})


NETS = {
    "dense": dense,
    "delayed": lambda: dense(neuron("Leaky", "zero", "delayed")),
    "cuba": lambda: dense(neuron("Synaptic", "zero", "retest")),
    "average pool": lambda: convolutional(AvgPool2d),
    "sum pool": lambda: convolutional(SumPool2d),
    "recurrent": recurrent,
    "per neuron": per_neuron,
}

REFUSED = {
    ("snntorch", "recurrent"): "the graph is recurrent, which 'snntorch' fails to read",
    ("snntorch", "sum pool"): "pool: 'snntorch' reads no SumPool2d",
    ("spikingjelly", "sum pool"): "pool: 'spikingjelly' reads no SumPool2d",
    ("spikingjelly", "per neuron"): "enc_lif: its tau must be one number: 'spikingjelly': it has one number",
    ("norse", "average pool"): "pool: 'norse' reads no AvgPool2d",
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
    assert 10 < ours.sum() < 0.9 * ours.size
    assert np.array_equal(ran(target, path, x).reshape(ours.shape), ours)


def test_every_target_is_held_to_a_simulator() -> None:
    assert set(DIALECTS) == {"nir", *PEERS}
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
    assert nir.read(tmp_path / "n.nir").nodes["lif.gain"].weight == pytest.approx(2 * np.eye(3))


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
        ("spikingjelly", "r", 3.0, "lif: its gain must be 1: 'spikingjelly': it refuses any other"),
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


def test_scales_are_refused_where_nobody_reads_them(tmp_path: Path) -> None:
    program = sequential({"input": Input((2,)), "s": Scale(), "lif": neuron("Leaky")})
    params = {"s.weight": filled(1, 2.0)[0].reshape(()), **init_params(program, given={"lif.beta": 0.5})}
    with pytest.raises(ExportError, match="s: 'norse' reads no Scale"):
        FORMAT.write(program, params, tmp_path / "b.nir", target="norse")
