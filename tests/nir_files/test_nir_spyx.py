"""Spyx as a target, and files read as Spyx reads them: its neurons reset by subtraction and fire a step late.

Those that are held to Spyx itself run where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_calls import FORMAT, Array, chain, dense, drive, filled, neuron, spikes, written

from snnhw.errors import ExportError, InputError, LoadError
from snnhw.ir import (
    AvgPool2d,
    Conv2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Op,
    Output,
    Params,
    Program,
    Scale,
    SumPool2d,
    init_params,
    sequential,
)

Net = tuple[Program, Params]

pytestmark = pytest.mark.filterwarnings("ignore")  # strangers' own

LEAKY, SYNAPTIC = neuron("Leaky", "subtract", "delayed"), neuron("Synaptic", "subtract_beta", "delayed")


def spyx(path: Path, x: Array, dt: float = 1.0) -> Array:
    """What Spyx itself gives, ``[T, B, ...]``."""
    reader = pytest.importorskip("spyx.nir")
    x = np.moveaxis(x, 2, -1) if x.ndim == 5 else x  # channels last
    _, found = reader.from_nir(nir.read(path), np.asarray(x), dt=dt)
    return np.asarray(found)


def read(path: Path, **options: Any) -> Net:
    program, params, _ = FORMAT.read(path, **{"dialect": "spyx", **options})
    return program, params


def convolutional(*, bias: bool = False) -> Net:
    nodes = {"in": Input((2, 6, 6)), "conv": Conv2d(2, 4, (3, 3), padding=(1, 1), groups=2), "a": LEAKY}
    nodes |= {
        "pool": SumPool2d((2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(36, 5, bias=bias),
        "b": LEAKY,
    }
    program = sequential(nodes)
    given = {"a.beta": 0.9, "b.beta": 0.8, "a.threshold": 0.5}
    return program, init_params(program, seed=1, given=given)


def averaged() -> Net:
    nodes = {"input": Input((1, 4, 4)), "pool": AvgPool2d((2, 2), (2, 2)), "flat": Flatten(), "s": Scale()}
    nodes |= {"f1": Linear(4, 6), "a": LEAKY, "f2": Linear(6, 3), "net.b": LEAKY}
    program = sequential(nodes)
    given = {"a.beta": 0.9, "net.b.beta": 1.0, "a.threshold": 0.2, "net.b.threshold": 0.2}
    return program, init_params(program, seed=2, given=given)


def own_decays() -> Net:
    cell = neuron("Leaky", "subtract", "delayed", beta=(6,), threshold=(6,))
    program = sequential({"input": Input((4,)), "fc": Linear(4, 6), "a": cell, "z": Linear(6, 6), "b": cell})
    decays: dict[str, Any] = {
        "a.beta": np.linspace(0, 1, 6),
        "a.threshold": np.linspace(0.2, 2, 6),
        "b.beta": 0.5,
    }
    return program, init_params(program, seed=3, given=decays)


NETS: dict[str, Callable[[], Net]] = {
    "dense": lambda: dense(LEAKY),
    "current-based": lambda: dense(SYNAPTIC),
    "per neuron": own_decays,
    "convolutional": convolutional,
    "averaged": averaged,
}


@pytest.mark.parametrize("name", NETS)
def test_the_same_one_step_later_for_each_layer(tmp_path: Path, name: str) -> None:
    """In Spyx itself, where there is one, and as its dialect is read."""
    net = NETS[name]()
    report = FORMAT.write(*net, tmp_path / "net.nir", target="spyx")
    assert "each layer of neurons gives its spikes one step late" in report.notes
    (entrance,) = (op for op in net[0].nodes.values() if isinstance(op, Input))
    x = drive(40, 3, *entrance.shape)
    wanted, found = spikes(net, x), spikes(read(tmp_path / "net.nir"), x)
    assert 20 < wanted.sum() < wanted.size
    assert np.array_equal(found[2:], wanted[:-2])
    assert not found[:2].any()
    assert np.array_equal(spyx(tmp_path / "net.nir", x), found)


def test_the_numbers_of_the_dialect(tmp_path: Path) -> None:
    """As worked out by hand, whatever the file says of gains, leaks and resets."""
    weight = np.random.default_rng(0).normal(0.4, 1, (3, 4)).astype(np.float32)
    x = drive(60, 2, 4)
    node = nir.LIF(*filled(3, 1e-3, 0.9, 0.25, 1.0, 0.5))
    found = spikes(
        read(chain(tmp_path / "a.nir", nir.Linear(weight), node, shape=(4,), out=(3,)), dt=1e-4), x
    )
    v, expected = np.zeros((2, 3)), []
    for now in x.astype(float) @ weight.T.astype(float):
        expected.append((v > 1).astype(float))
        v = 0.9 * v + now - expected[-1]
    assert np.array_equal(found, np.stack(expected))
    assert 10 < found.sum() < found.size


@pytest.mark.parametrize(
    ("node", "spk"),
    [
        (nir.LIF(*filled(1, 2.0, 0.5, 0.0, 1.0, 0.0)), [0, 0, 0, 1]),
        (nir.IF(*filled(1, 1.0, 1.0)), [0, 0, 0, 1]),
        (nir.CubaLIF(*filled(1, 1.0, 2.0, 1.0, 0.0, 1.0)), [0, 0, 0, 1]),
    ],
)
def test_the_first_steps(tmp_path: Path, node: Any, spk: list[int]) -> None:
    path = chain(tmp_path / "a.nir", node, shape=(1,), out=(1,))
    x = np.array([1, 0, 2, 0], np.float32)[:, None, None]
    assert spikes(read(path), x).ravel().tolist() == spk
    assert spyx(path, x).ravel().tolist() == spk


@pytest.mark.parametrize("nested", [False, True])
def test_a_loop_as_spyx_writes_it(tmp_path: Path, *, nested: bool) -> None:
    """The input seems to arrive at the product of the loop; Spyx adds it to the membrane."""
    weight = np.array([[0.0, 0.5, -0.4], [0.3, 0.0, 0.2], [-0.6, 0.1, 0.4]], np.float32)
    loop = {"l.lif": nir.LIF(*filled(3, 10.0, 0.9, 0.0, 1.0, 0.0)), "l.w_rec": nir.Linear(weight)}
    cycle = [("l.lif", "l.w_rec"), ("l.w_rec", "l.lif")]
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    if nested:
        inner = {"l.input": nir.Input(np.array([3])), "l.output": nir.Output(np.array([3]))}
        graph = nir.NIRGraph({**loop, **inner}, [("l.input", "l.w_rec"), *cycle, ("l.lif", "l.output")])
        path = written(tmp_path / "r.nir", {**ends, "l": graph}, [("input", "l"), ("l", "output")])
    else:
        edges = [("input", "l.lif"), *cycle, ("l.lif", "output")]
        path = written(tmp_path / "r.nir", {**ends, **loop}, edges)
    x = drive(50, 2, 3)
    v, expected = np.zeros((2, 3)), []
    for now in x.astype(float):
        expected.append((v > 1).astype(float))
        v = 0.9 * v + now + expected[-1] @ weight.T.astype(float) - expected[-1]
    found = spikes(read(path), x)
    assert 20 < found.sum() < found.size
    assert np.array_equal(found, np.stack(expected))
    assert np.array_equal(spyx(path, x), found)


def test_a_bias_between_neurons_is_one_more_of_them(tmp_path: Path) -> None:
    """It would arrive before the first spikes do; the neuron of the layer before it that always fires hears
    another such neuron, where there is a layer before that."""
    layers = (Linear(4, 6), LEAKY, Linear(6, 5), LEAKY, Linear(5, 3), LEAKY)
    net = row(*layers, shape=(4,))
    report = FORMAT.write(*net, tmp_path / "net.nir", target="spyx")
    nodes = nir.read(tmp_path / "net.nir").nodes
    assert [nodes[f"n{place}"].weight.shape for place in (0, 2, 4)] == [(7, 4), (6, 7), (3, 6)]
    assert nodes["n2"].weight[-1].tolist() == [0] * 6 + [3]
    assert nodes["n4"].weight[:, -1].tolist() == net[1]["n4.bias"].tolist()
    assert "n2: its bias is the weights of one more neuron before it, so as not to be early" in report.notes
    x = drive(60, 2, 4, scale=5.0)
    assert np.array_equal(spikes(read(tmp_path / "net.nir"), x)[3:], spikes(net, x)[:-3])
    assert np.array_equal(spyx(tmp_path / "net.nir", x)[3:], spikes(net, x)[:-3])


def test_channels_last(tmp_path: Path) -> None:
    """Columns behind a Flatten are those of Spyx's own order."""
    flat = nir.Flatten({"input": np.array([2, 1, 3])}, 0, -1)
    weight = np.arange(6, dtype=np.float32)[None]
    path = chain(tmp_path / "f.nir", flat, nir.Linear(weight), shape=(2, 1, 3), out=(1,))
    x = drive(3, 1, 2, 1, 3)
    expected = x.transpose(0, 1, 3, 4, 2).reshape(3, 1, 6).astype(float) @ weight.T
    assert spikes(read(path), x) == pytest.approx(expected)


def around() -> Net:
    nodes: dict[str, Op] = {"input": Input((4,)), "fc": Linear(4, 4), "lif": LEAKY, "b": Linear(4, 4)}
    edges = [Edge("input.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("fc.y", "b.x"), Edge("b.y", "lif.x")]
    program = Program(FrozenMap({**nodes, "output": Output()}), (*edges, Edge("lif.spk", "output.x")))
    return program, init_params(program, given={"lif.beta": 0.5})


def row(*layers: Op, shape: tuple[int, ...] = (2, 6, 6)) -> Net:
    nodes: dict[str, Op] = {"input": Input(shape), **{f"n{place}": op for place, op in enumerate(layers)}}
    program = sequential(nodes)
    given = {key: 0.5 for key in program.params() if key.endswith((".beta", ".V"))}
    return program, init_params(program, given=given)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (around, "fc: it feeds lif, b: 'spyx' reads nodes in a row only, and drops the rest"),
        (lambda: row(Conv2d(2, 2, (3, 3), dilation=(2, 2)), LEAKY), "n0: 'spyx' ignores its dilation"),
        (lambda: row(neuron("Leaky", "none", "delayed")), "'spyx' reads no LI"),
        (lambda: row(Flatten(1, 2), LEAKY), "n0: 'spyx' flattens all axes, not from 1 to 2"),
        (lambda: row(Flatten(), LEAKY), "only a Linear behind it can make up for that, not LIF"),
        (
            lambda: row(neuron("RLeaky", "subtract", "delayed"), shape=(3,)),
            "'spyx' reads nodes in a row only",
        ),
        (lambda: convolutional(bias=True), "b: hears the bias of fc a step before the first spikes"),
        (dense, "reset to_value becomes reset by subtraction a step late"),
    ],
)
def test_what_spyx_drops_is_refused(tmp_path: Path, net: Callable[[], Net], words: str) -> None:
    with pytest.raises(ExportError) as caught:
        FORMAT.write(*net(), tmp_path / "net.nir", target="spyx")
    assert any(words in reason for reason in caught.value.reasons), caught.value.reasons


def test_a_reset_that_spyx_has_not_is_measured_as_spyx_computes(tmp_path: Path) -> None:
    sample = drive(1, 4)
    report = FORMAT.write(*dense(), tmp_path / "n.nir", target="spyx", lossy="allow", sample=sample)
    assert len(report.lost) == 2
    assert all("% of spikes differ on your sample" in said for said in report.lost)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (nir.Scale(np.ones(3)), "n0: 'spyx' reads no Scale"),
        (nir.Delay(np.ones(3)), "n0: 'spyx' reads no Delay"),
        (nir.LI(*filled(3, 2.0, 1.0, 0.0)), "n0: 'spyx' reads no LI"),
    ],
)
def test_what_spyx_would_drop_is_not_read_as_by_spyx(tmp_path: Path, node: Any, words: str) -> None:
    path = chain(tmp_path / "a.nir", node, shape=(3,), out=(3,))
    with pytest.raises(LoadError, match=f"read as by spyx 1.0.0: {words}"):
        read(path)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 1)])
def test_a_flatten_without_a_product_behind_it(tmp_path: Path, height: int, width: int) -> None:
    """Of a single pixel there is no order; of several, the order would be another."""
    kernel = np.arange(27, dtype=np.float32).reshape(3, 1, 3, 3)
    nodes = (
        nir.Conv2d((2 + height, 2 + width), kernel, 1, 0, 1, 1, np.zeros(3, np.float32)),
        nir.Flatten({"input": np.array((3, height, width))}, 0, -1),
    )
    size = 3 * height * width
    path = chain(tmp_path / "a.nir", *nodes, shape=(1, 2 + height, 2 + width), out=(size,), check=False)
    if height == 1:
        net, x = FORMAT.read(path, dialect="spyx", dt=1.0)[:2], np.ones((1, 1, 1, 3, 3), np.float32)
        assert spikes(net, x).ravel().tolist() == [36, 117, 198]
    else:
        with pytest.raises(LoadError, match="n1: 'spyx' flattens channels last; only a Linear behind it"):
            FORMAT.read(path, dialect="spyx", dt=1.0)


def test_an_input_of_another_name(tmp_path: Path) -> None:
    ends = {"a": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    path = written(tmp_path / "a.nir", ends, [("a", "output")])
    with pytest.raises(LoadError, match="a: 'spyx' looks for the Input by the name 'input'"):
        read(path)


def test_a_file_that_looks_like_spyxs_says_so(tmp_path: Path) -> None:
    """Read by the specification, it is silent."""
    path = chain(tmp_path / "a.nir", nir.LIF(*filled(3, 1e-3, 0.9, 0.0, 1.0, 0.0)), shape=(3,), out=(3,))
    for dt, hinted in ((1e-4, True), (2e-4, False)):
        _, _, report = FORMAT.read(path, dt=dt, scheme="euler")
        assert any("dialect='spyx' reads it so" in note for note in report.notes) is hinted


def test_with_its_reset_such_a_file_is_read_as_by_spyx(tmp_path: Path) -> None:
    """Nobody else writes that ``r``; dialect='nir' reads what the file says."""
    path = chain(tmp_path / "a.nir", nir.LIF(*filled(3, 1e-3, 0.9, 0.0, 1.0, 0.0)), shape=(3,), out=(3,))
    options = {"dt": 1e-4, "scheme": "euler", "reset": "subtract"}
    x = np.full((30, 1, 3), 0.4, np.float32)
    theirs = spikes(read(path, dt=1e-4), x)
    assert theirs.sum() > 0
    program, params, report = FORMAT.read(path, **options)
    assert np.array_equal(spikes((program, params), x), theirs)
    assert "dialect='nir' reads the file as it stands" in report.notes[0]
    plain, values, _ = FORMAT.read(path, **options, dialect="nir")
    assert spikes((plain, values), x).sum() == 0
    other = chain(tmp_path / "b.nir", nir.LIF(*filled(3, 1e-3, 0.8, 0.0, 1.0, 0.0)), shape=(3,), out=(3,))
    _, _, report = FORMAT.read(other, **options)
    assert not any("Spyx" in note for note in report.notes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reset": "to_value"}, "reset='to_value': dialect='spyx' settles it: 'subtract'; leave reset out"),
        ({"recurrence": "current"}, "recurrence='current': dialect='spyx' settles it: 'spikes'"),
        ({"scheme": "exponential"}, "scheme='exponential': dialect='spyx' takes steps by euler"),
        ({"gain": "lost"}, "gain='lost': give one of neuron, weights"),
        ({"dialect": "spix"}, "there is no target 'spix'. Did you mean 'spyx'"),
        ({"dialect": "sinabs"}, "dialect='sinabs': no program computes what it makes of a file: it takes"),
        (
            {"dialect": "norse"},
            "NIR files do not say dt, and dialect='norse' takes none for granted: give dt=",
        ),
        ({"dialect": "snntorch", "dt": 1e-3}, "dialect='snntorch' reads every file with dt=0.0001; leave dt"),
    ],
)
def test_options_that_a_dialect_settles(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    path = chain(tmp_path / "a.nir", nir.LIF(*filled(3, 2.0, 1.0, 0.0, 1.0, 0.0)), shape=(3,), out=(3,))
    with pytest.raises(InputError) as caught:
        read(path, **options)
    assert words in str(caught.value)
    assert read(path, reset="subtract", recurrence="spikes", scheme="euler", gain="weights")[0].nodes
