"""What a file means: every type of node, against equations worked out by hand in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_calls import DT, FORMAT, Array, chain, drive, filled, lif, load, spikes, written

from snnhw.errors import InputError, LoadError
from snnhw.ir import Neuron, SumPool2d
from snnhw_nir.reading import making

X = drive(40, 2, 3)


def read(tmp_path: Path, node: Any, **options: Any) -> Array:
    """What one node of three neurons gives."""
    path = chain(tmp_path / "one.nir", node, shape=(3,), out=(3,))
    return spikes(load(path, **options), X)


def integrated(
    decay: Any, gain: Any, rest: Any = 0.0, threshold: Any = None, *, reset: Any = 0.0, x: Array = X
) -> Array:
    """``v <- decay v + gain x + rest``, then a spike and a reset: spikes, or v without a threshold."""
    v, found = np.zeros(x.shape[1:]), []
    for now in x.astype(np.float64):
        v = decay * v + gain * now + rest
        fires = v > (np.inf if threshold is None else threshold)
        found.append(v.copy() if threshold is None else fires.astype(float))
        v = np.where(fires, reset, v)
    return np.stack(found)


TAU, R, LEAK = np.array([1e-3, 2e-3, 5e-3]), np.array([8.0, 20.0, 30.0]), np.array([0.1, 0.0, -0.2])
SHARE = {"euler": DT / TAU, "exponential": 1 - np.exp(-DT / TAU)}


@pytest.mark.parametrize("scheme", SHARE)
def test_lif(tmp_path: Path, scheme: str) -> None:
    threshold, reset = np.array([0.5, 0.8, 1.0]), np.array([-0.25, 0.0, 0.1])
    node = nir.LIF(*filled(3, TAU, R, LEAK, threshold, reset))
    share = SHARE[scheme]
    expected = integrated(1 - share, R * share, LEAK * share, threshold, reset=reset)
    assert 20 < expected.sum() < 200
    assert np.array_equal(read(tmp_path, node, scheme=scheme), expected)


@pytest.mark.parametrize("scheme", SHARE)
def test_li(tmp_path: Path, scheme: str) -> None:
    share = SHARE[scheme]
    expected = integrated(1 - share, R * share, LEAK * share)
    found = read(tmp_path, nir.LI(*filled(3, TAU, R, LEAK)), scheme=scheme)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_if_and_i_integrate_over_time(tmp_path: Path) -> None:
    r = np.array([1e4, 5e3, 2e3])
    spiking = nir.IF(*filled(3, r, [0.5, 0.8, 1.0], [0.0, -0.2, 0.1]))
    expected = integrated(1.0, r * DT, 0.0, np.array([0.5, 0.8, 1.0]), reset=np.array([0.0, -0.2, 0.1]))
    assert np.array_equal(read(tmp_path, spiking), expected)
    assert read(tmp_path, nir.I(filled(3, r)[0])) == pytest.approx(
        integrated(1.0, r * DT), rel=1e-5, abs=1e-6
    )


@pytest.mark.parametrize("scheme", ["euler", "euler_old", "exponential", "exponential_old"])
def test_cuba_neurons_integrate_the_new_current_or_the_old(tmp_path: Path, scheme: str) -> None:
    syn, w_in = np.array([5e-4, 1e-3, 2e-3]), np.array([4.0, 10.0, 20.0])
    share = SHARE[scheme.removesuffix("_old")]
    share_syn = DT / syn if scheme.startswith("euler") else 1 - np.exp(-DT / syn)
    current = integrated(1 - share_syn, w_in * share_syn)
    if scheme.endswith("_old"):
        current = np.roll(current, 1, axis=0)
        current[0] = 0.0
    expected = integrated(1 - share, R * share, LEAK * share, x=current)
    node = nir.CubaLI(*filled(3, syn, TAU, R, LEAK, w_in))
    assert read(tmp_path, node, scheme=scheme) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    fires = nir.CubaLIF(*filled(3, syn, TAU, R, LEAK, 2.0, 0.5, w_in))
    spiking = integrated(1 - share, R * share, LEAK * share, 2.0, reset=0.5, x=current)
    assert 10 < spiking.sum() < 200
    assert np.array_equal(read(tmp_path, fires, scheme=scheme), spiking)


def test_a_membrane_at_its_threshold_does_not_fire(tmp_path: Path) -> None:
    path = chain(tmp_path / "tie.nir", nir.Threshold(filled(2, [1.0, 0.5])[0]), shape=(2,), out=(2,))
    x = np.array([[[1.0, 0.5]], [[1.25, 0.75]]])
    assert np.array_equal(spikes(load(path), x)[:, 0], [[0, 0], [1, 1]])


def test_reset_by_subtraction_for_files_whose_author_meant_that(tmp_path: Path) -> None:
    found = read(tmp_path, lif(3), reset="subtract")
    v, expected = np.zeros((2, 3)), []
    for x in X.astype(np.float64):
        v = 0.95 * v + x
        expected.append((v > 1).astype(float))
        v -= expected[-1]
    assert np.array_equal(found, np.stack(expected))
    assert not np.array_equal(found, read(tmp_path, lif(3)))


def test_stateless_nodes(tmp_path: Path) -> None:
    """Convolution, sum pooling, flattening, scaling: each against a formula of one line."""
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(2, 1, 2, 2)).astype(np.float32)
    conv = nir.Conv2d((5, 5), weight, (1, 1), (0, 0), (1, 1), 1, np.array([0.5, -0.5], np.float32))
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flat = nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1)
    scale = nir.Scale(np.arange(8, dtype=np.float32))
    path = chain(tmp_path / "s.nir", conv, pool, flat, scale, shape=(1, 5, 5), out=(8,))
    net = load(path)
    x = drive(3, 2, 1, 5, 5)
    windows = np.lib.stride_tricks.sliding_window_view(x[:, :, 0].astype(np.float64), (2, 2), (2, 3))
    made = np.einsum("tbhwij,oij->tbohw", windows, weight[:, 0].astype(np.float64))
    made += np.reshape([0.5, -0.5], (2, 1, 1))
    pooled = made.reshape(3, 2, 2, 2, 2, 2, 2).sum((4, 6))
    assert spikes(net, x) == pytest.approx(pooled.reshape(3, 2, 8) * np.arange(8), rel=1e-6)
    assert isinstance(net[0].nodes["n1"], SumPool2d)


@pytest.mark.parametrize(("padding", "size"), [("same", 6), ("valid", 4)])
def test_padding_in_words(tmp_path: Path, padding: str, size: int) -> None:
    weight = np.ones((1, 1, 3), np.float32)
    node = nir.Conv1d(6, weight, 1, padding, 1, 1, np.zeros(1, np.float32))
    path = chain(tmp_path / "w.nir", node, shape=(1, 6), out=(1, size))
    assert spikes(load(path), np.ones((1, 1, 1, 6)))[0, 0, 0, 1] == 3.0


def test_delays_are_whole_steps(tmp_path: Path) -> None:
    path = chain(tmp_path / "d.nir", nir.Delay(filled(3, 3e-4)[0]), shape=(3,), out=(3,))
    assert np.array_equal(spikes(load(path), X)[3:], X[:-3].astype(np.float64))
    with pytest.raises(
        LoadError,
        match=r"n0' \(Delay\): a delay of 0.0003 s is no whole number of steps of dt=0.0002 s",
    ):
        load(path, dt=2e-4)


def test_a_delay_that_would_hold_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "LATEST", 4)
    path = chain(tmp_path / "d.nir", nir.Delay(np.array([0.0, 4e-4, 5e-4])), shape=(3,), out=(3,))
    words = r"n0' \(Delay\): a delay of 0.0005 s takes 5 steps of dt=0.0001 s; at most 4 are read"
    with pytest.raises(LoadError, match=words):
        load(path)


@pytest.mark.parametrize("steps", [[3, 1, 5], [0, 4, 0], [2, 2, 7]])
def test_each_value_may_have_a_delay_of_its_own(tmp_path: Path, steps: list[int]) -> None:
    """Exactly, also when it is written and read once more; and nothing of a delay is trained."""
    path = chain(tmp_path / "d.nir", nir.Delay(filled(3, DT * np.array(steps))[0]), shape=(3,), out=(3,))
    net = load(path)
    late = [np.roll(X[..., n], k, 0) * (np.arange(len(X)) >= k)[:, None] for n, k in enumerate(steps)]
    expected = np.stack(late, -1).astype(np.float64)
    assert np.array_equal(spikes(net, X), expected)
    assert net[0].trainable == frozenset()
    FORMAT.write(*net, tmp_path / "again.nir")
    for options in ({}, {"dt": DT, "scheme": "euler"}):
        program, params, _ = FORMAT.read(tmp_path / "again.nir", **options)
        assert np.array_equal(spikes((program, params), X), expected)


def test_delays_of_their_own_over_several_axes_and_in_a_loop(tmp_path: Path) -> None:
    steps = np.arange(12).reshape(1, 3, 4) % 5
    path = chain(tmp_path / "d.nir", nir.Delay(steps * DT), shape=(1, 3, 4), out=(1, 3, 4))
    x = drive(9, 2, 1, 3, 4)
    found = spikes(load(path), x)
    for place in np.ndindex(1, 3, 4):
        k = steps[place]
        assert np.array_equal(found[(slice(k, None), 0, *place)], x[(slice(9 - k), 0, *place)])
    nodes = {
        "input": nir.Input(np.array([2])),
        "half": nir.Scale(filled(2, 0.5)[0]),
        "late": nir.Delay(DT * np.array([1, 3])),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "half"), ("half", "late"), ("late", "half"), ("half", "output")]
    y = spikes(load(written(tmp_path / "c.nir", nodes, edges)), np.eye(1, 7)[0][:, None, None] * np.ones(2))
    assert y[:, 0].T.tolist() == [[0.5**n for n in range(1, 8)], [0.5, 0, 0, 0.25, 0, 0, 0.125]]


def test_a_delay_of_too_many_kinds(tmp_path: Path) -> None:
    path = chain(tmp_path / "d.nir", nir.Delay(DT * np.arange(1025)), shape=(1025,), out=(1025,))
    with pytest.raises(LoadError, match=r"n0' \(Delay\): it holds 1025 different delays; at most 1024"):
        load(path)


def test_branches_of_unequal_depth_meet_in_the_same_step(tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "a": nir.Scale(filled(3, 2.0)[0]),
        "b": nir.Scale(filled(3, 3.0)[0]),
        "z": nir.Scale(filled(3, 5.0)[0]),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "z"), ("input", "a"), ("a", "b"), ("b", "output"), ("z", "output")]
    path = written(tmp_path / "j.nir", nodes, edges)
    assert spikes(load(path), X) == pytest.approx(X * 11.0)


def recurrent(tmp_path: Path, *, nested: bool = False, bias: float = 0.0) -> Path:
    weight = np.array([[0.0, 0.5, -0.4], [0.3, 0.0, 0.2], [-0.6, 0.1, 0.4]], np.float32)
    loop = {"a_rec": nir.Affine(weight, filled(3, bias)[0]), "lif": lif(3)}
    cycle = [("lif", "a_rec"), ("a_rec", "lif")]
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    path = tmp_path / "r.nir"
    if not nested:
        return written(path, {**ends, **loop}, [("input", "lif"), *cycle, ("lif", "output")])
    inner = {"in": nir.Input(np.array([3])), "out": nir.Output(np.array([3]))}
    graph = nir.NIRGraph({**inner, **loop}, [("in", "lif"), *cycle, ("lif", "out")])
    return written(path, {**ends, "cell": graph}, [("input", "cell"), ("cell", "output")])


@pytest.mark.parametrize("recurrence", ["spikes", "current"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_cycle_is_delayed_by_a_step(tmp_path: Path, nested: bool, recurrence: str) -> None:
    path = recurrent(tmp_path, nested=nested, bias=0.5)
    net = load(path, recurrence=recurrence)
    weight = np.asarray(net[1]["cell.a_rec.weight" if nested else "a_rec.weight"], np.float64)
    v, spike, expected = np.zeros((2, 3)), np.zeros((2, 3)), []
    for t, x in enumerate(X.astype(np.float64)):
        bias = 0.5 if t or recurrence == "spikes" else 0.0  # nirtorch's loop gives nothing at first
        v = 0.95 * v + x + spike @ weight.T + bias
        spike = (v > 1).astype(float)
        expected.append(spike)
        v = np.where(spike, 0.0, v)
    assert np.array_equal(spikes(net, X), np.stack(expected))


def test_a_cycle_with_a_delay_needs_no_other(tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "late": nir.Delay(filled(3, DT)[0]),
        "li": nir.Scale(filled(3, 0.5)[0]),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "li"), ("li", "late"), ("late", "li"), ("li", "output")]
    net = load(written(tmp_path / "c.nir", nodes, edges))
    assert [edge.delay for edge in net[0].edges if edge.delay] == [1]


def test_an_edge_that_stands_twice_counts_once(tmp_path: Path) -> None:
    """Files from before nir 1.0.8, which refuses to write them, have such; simulators take them for one."""
    import h5py

    path = chain(tmp_path / "a.nir", lif(3), shape=(3,), out=(3,))
    once = spikes(load(path), X)
    with h5py.File(path, "r+") as file:
        edges = file["node/edges"][()]
        del file["node/edges"]
        file["node/edges"] = np.concatenate([edges, edges])
    assert np.array_equal(spikes(load(path), X), once)


def test_values_that_all_neurons_share_are_one_number(tmp_path: Path) -> None:
    net = load(chain(tmp_path / "u.nir", lif(3, tau=TAU), shape=(3,), out=(3,)))
    op = net[0].nodes["n0"]
    assert isinstance(op, Neuron)
    assert dict(op.param_shapes) == {"tau": (3,)}


def test_names_become_those_of_a_program(tmp_path: Path) -> None:
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    nodes = {**ends, "é!": lif(3), "é?": lif(3)}
    edges = [("input", "é!"), ("é!", "é?"), ("é?", "output")]
    program, _ = load(written(tmp_path / "n.nir", nodes, edges))
    assert {"__", "___1"} < set(program.nodes)


def test_a_file_from_before_v_reset_and_w_in(tmp_path: Path) -> None:
    import h5py

    node = nir.CubaLIF(*filled(3, 1e-3, 2e-3, 20, 0, 1, 0))
    path = chain(tmp_path / "old.nir", node, shape=(3,), out=(3,))
    new = spikes(load(path), X)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n0/v_reset"], file["node/nodes/n0/w_in"], file["version"]
        file["version"] = "0.1.1"
    assert np.array_equal(spikes(load(path), X), new)


# -- What has to be said, and what cannot be read ---------------------------------------------------


def test_dt_and_scheme_are_asked_for(tmp_path: Path) -> None:
    path = chain(tmp_path / "a.nir", lif(3), shape=(3,), out=(3,))
    with pytest.raises(InputError) as caught:
        FORMAT.read(path)
    assert str(caught.value) == (
        f"'{path}': NIR files do not say dt and scheme, and this one was not written by snnhw: give the "
        "length of a step in seconds, such as dt=1e-4 (snnTorch's and SpikingJelly's), and scheme= one of "
        "euler, exponential, euler_old, exponential_old"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.0}, "dt=0.0: give the length of a step in seconds"),
        ({"scheme": "rk4"}, "scheme='rk4': give one of euler, exponential"),
        ({"reset": "none"}, "reset='none': give one of to_value, subtract"),
        (
            {"dT": 1e-4},
            "'dT' is no option for reading NIR; options: dt, scheme, dialect, reset, recurrence, gain, max",
        ),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = chain(tmp_path / "a.nir", lif(3), shape=(3,), out=(3,))
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        load(path, **options)


def test_shapes_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    affine = nir.Affine(np.ones((3, 3), np.float32), np.zeros(3, np.float32))
    path = chain(tmp_path / "s.nir", affine, lif(4), shape=(3,), out=(4,), check=False)
    with pytest.raises(
        LoadError, match=r"node 'n1': its fields say shape \(4,\), but what arrives gives \(3,\)"
    ):
        load(path)


def test_a_wrong_bias_is_an_error(tmp_path: Path) -> None:
    affine = nir.Affine(np.ones((3, 3), np.float32), np.zeros(2, np.float32))
    path = chain(tmp_path / "b.nir", affine, shape=(3,), out=(3,), check=False)
    with pytest.raises(LoadError, match=r"node 'n0' \(Affine\): bias has shape \(2,\), not \(3,\)"):
        load(path)


def test_a_node_that_nothing_reaches_is_an_error(tmp_path: Path) -> None:
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    path = written(tmp_path / "x.nir", {**ends, "lost": lif(3)}, [("input", "output")], check=False)
    with pytest.raises(LoadError, match=r"lost.x: nothing arrives here"):
        load(path)
