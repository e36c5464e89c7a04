"""What a program becomes in NIR, what is refused, and what is said about what is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_calls import DT, FORMAT, dense, drive, load, neuron, spikes

from snnhw.errors import ExportError, InputError
from snnhw.ir import (
    MODELS,
    Dropout,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Params,
    Program,
    TimeAxis,
    init_params,
    sequential,
)
from snnhw_nir.targets.changes import changes
from snnhw_nir.targets.dialects import DIALECTS
from snnhw_nir.writing.neurons import FRONT, SNNTORCH, acts_like


def alone(op: Op, /, shape: tuple[int, ...] = (3,), **values: Any) -> tuple[Program, Params]:
    program = sequential({"input": Input(shape), "cell": op})
    return program, init_params(program, given={f"cell.{name}": value for name, value in values.items()})


def node(tmp_path: Path, net: tuple[Program, Params], name: str = "cell", **options: Any) -> Any:
    FORMAT.write(*net, tmp_path / "one.nir", **options)
    return nir.read(tmp_path / "one.nir").nodes[name]


def test_leaky_is_a_lif_of_unit_gain(tmp_path: Path) -> None:
    found = node(tmp_path, alone(neuron("Leaky"), beta=0.95, threshold=0.5))
    assert type(found) is nir.LIF
    assert found.tau == pytest.approx([2e-3] * 3)
    assert found.r == pytest.approx([20.0] * 3)
    assert found.v_threshold == pytest.approx([0.5] * 3)
    assert not found.v_leak.any()
    assert not found.v_reset.any()


def test_an_exact_reader_gets_another_time_constant(tmp_path: Path) -> None:
    found = node(tmp_path, alone(neuron("Leaky"), beta=0.95), scheme="exponential", dt=1e-3)
    assert found.tau == pytest.approx([-1e-3 / np.log(0.95)] * 3)
    assert found.r == pytest.approx([20.0] * 3)


def test_synaptic_is_a_cuba_lif(tmp_path: Path) -> None:
    found = node(tmp_path, alone(neuron("Synaptic"), alpha=0.8, beta=0.9))
    assert found.tau_syn == pytest.approx([5e-4] * 3)
    assert found.w_in == pytest.approx([5.0] * 3)
    assert found.tau_mem == pytest.approx([1e-3] * 3)


def test_lapicque_is_a_lif_with_its_resistance(tmp_path: Path) -> None:
    net = alone(neuron("Lapicque", "zero", "immediate"), R=5.0, C=2.0, time_step=0.5)
    found = node(tmp_path, net)
    assert found.tau == pytest.approx([20 * DT] * 3)
    assert found.r == pytest.approx([5.0] * 3)
    x = drive(50, 2, 3, scale=4.0)
    assert np.array_equal(spikes(net, x), spikes(load(tmp_path / "one.nir"), x))


def test_a_membrane_that_never_leaks_is_an_if(tmp_path: Path) -> None:
    found = node(tmp_path, alone(neuron("Leaky"), beta=1.0))
    assert type(found) is nir.IF
    assert found.r == pytest.approx([1e4] * 3)


@pytest.mark.parametrize("name", ["RLeaky", "RSynaptic"])
def test_a_neuron_that_hears_itself_is_a_cycle(tmp_path: Path, name: str) -> None:
    decays: dict[str, Any] = {"beta": 0.9} | ({"alpha": 0.7} if name == "RSynaptic" else {})
    net = alone(neuron(name, "zero", "retest", V=(3,)), V=[0.5, -0.8, 1.5], **decays)
    FORMAT.write(*net, tmp_path / "r.nir")
    graph = nir.read(tmp_path / "r.nir")
    assert {("cell", "cell.recurrent"), ("cell.recurrent", "cell")} < set(graph.edges)
    x = drive(50, 2, 3, scale=1.0)
    ours = spikes(net, x)
    assert 20 < ours.sum() < 280
    assert np.array_equal(ours, spikes(load(tmp_path / "r.nir"), x))


def test_what_a_recurrent_spike_is_worth_where_it_is_also_delayed(tmp_path: Path) -> None:
    """The delay of the loop sits behind the factor, whoever else hears it, and however late."""
    cell = replace(neuron("RLeaky", "zero", "retest"), graded=True)
    nodes = {"input": Input((3,)), "cell": cell, "fc": Linear(3, 3), "output": Output()}
    edges = [Edge("input.y", "cell.x"), Edge("cell.spk", "fc.x", delay=1), Edge("fc.y", "output.x")]
    program = Program(FrozenMap(nodes), tuple(edges))
    params = init_params(program, seed=2, given={"cell.beta": 0.5, "cell.V": -0.75})
    net = program, {**params, "cell.graded_spikes_factor": np.array(0.5, np.float32)}
    FORMAT.write(*net, tmp_path / "x.nir")
    assert ("cell.worth", "cell.recurrent") in nir.read(tmp_path / "x.nir").edges
    x = drive(30, 2, 3)
    assert np.array_equal(spikes(net, x, "cell.spk") != 0, spikes(load(tmp_path / "x.nir"), x, "cell.spk"))
    assert spikes(net, x) == pytest.approx(spikes(load(tmp_path / "x.nir"), x), rel=1e-5, abs=1e-6)


def test_a_reset_that_decays_is_one_by_subtraction_at_once(tmp_path: Path) -> None:
    """A reader that subtracts takes it as it is; one that sets to 0 does not."""
    assert [acts_like(neuron("Leaky", "subtract_beta", timing)) for timing in ("delayed", "immediate")] == [
        "subtract",
        "subtract",
    ]
    net = dense(neuron("Leaky", "subtract_beta", "delayed"))
    subtracting = replace(DIALECTS["nir"], reset="subtract")
    assert changes(net[0], subtracting) == []
    assert len(changes(dense(neuron("Leaky", "zero"))[0], subtracting)) == 2
    with pytest.raises(ExportError, match="lif1: reset by subtraction at once becomes reset to 0"):
        FORMAT.write(*net, tmp_path / "x.nir")
    FORMAT.write(*net, tmp_path / "x.nir", lossy="allow")
    x = drive(40, 2, 4)
    assert np.array_equal(spikes(net, x), spikes(load(tmp_path / "x.nir", reset="subtract"), x))


def test_numbers_that_single_precision_does_not_hold_are_refused(tmp_path: Path) -> None:
    program, params = dense(neuron("Leaky", "zero", "immediate"))
    huge = {**params, "lif1.threshold": np.array(1e300)}
    with pytest.raises(ExportError, match=r"node 'lif1' \(LIF\), v_threshold: .* not finite\nNIR holds"):
        FORMAT.write(program, huge, tmp_path / "x.nir")
    assert not list(tmp_path.iterdir())


def test_no_reset_is_an_integrator_and_a_threshold(tmp_path: Path) -> None:
    net = alone(neuron("Leaky", "none", "delayed"), beta=0.9)
    FORMAT.write(*net, tmp_path / "n.nir")
    graph = nir.read(tmp_path / "n.nir")
    assert type(graph.nodes["cell"]) is nir.LI
    assert type(graph.nodes["cell.spikes"]) is nir.Threshold
    x = drive(30, 2, 3)
    assert np.array_equal(spikes(net, x), spikes(load(tmp_path / "n.nir"), x))


def test_longer_delays_are_nodes(tmp_path: Path) -> None:
    nodes = {"input": Input((3,)), "lif": neuron("Leaky"), "rec": Linear(3, 3), "output": Output()}
    edges = [Edge("input.y", "lif.x"), Edge("lif.spk", "rec.x", delay=3), Edge("rec.y", "lif.x")]
    program = Program(FrozenMap(nodes), (*edges, Edge("lif.spk", "output.x", delay=0)))
    net = program, init_params(program, given={"lif.beta": 0.9})
    assert node(tmp_path, net, "rec.delay").delay == pytest.approx([3 * DT] * 3)
    x = drive(30, 2, 3)
    assert np.array_equal(spikes(net, x), spikes(load(tmp_path / "one.nir"), x))


# -- What is refused --------------------------------------------------------------------------------


def test_everything_that_nir_cannot_say_is_listed(tmp_path: Path) -> None:
    nodes = {"input": Input((1, 4, 4)), "pool": MaxPool2d((2, 2), (2, 2)), "flat": Flatten()}
    program = sequential({**nodes, "alpha": Neuron(MODELS["Alpha"])})
    params = init_params(program, given={"alpha.alpha": 0.9, "alpha.beta": 0.8})
    with pytest.raises(ExportError) as caught:
        FORMAT.write(program, params, tmp_path / "x.nir")
    assert caught.value.reasons[0] == "pool: NIR has no form for MaxPool2d; use AvgPool2d or SumPool2d"
    assert caught.value.reasons[1] == (
        "alpha: NIR has no form for the equations of Alpha; its neurons are I, IF, LI, LIF, CubaLI, CubaLIF. "
        "Train one that it has: snnhw.Leaky, snnhw.Synaptic, snnhw.Lapicque, snnhw.RLeaky, snnhw.RSynaptic; "
        "or keep this one in a .snn file (snnhw.save), which every backend runs"
    )
    assert set(FRONT) <= set(SNNTORCH)
    assert not (tmp_path / "x.nir").exists()


def test_a_state_cannot_be_read(tmp_path: Path) -> None:
    nodes = {"input": Input((3,)), "lif": neuron("Leaky"), "output": Output()}
    program = Program(FrozenMap(nodes), (Edge("input.y", "lif.x"), Edge("lif.mem", "output.x")))
    with pytest.raises(ExportError, match=r"of 'lif' NIR gives only spk; read that"):
        FORMAT.write(program, init_params(program, given={"lif.beta": 0.9}), tmp_path / "x.nir")


def test_quantised_states(tmp_path: Path) -> None:
    program = sequential({"input": Input((3,)), "lif": Neuron(MODELS["Leaky"], quantised=True)})
    params = init_params(program, given={"lif.beta": 0.9, "lif.levels": [0.0, 1.0]})
    with pytest.raises(ExportError, match="lif: NIR has no quantised states; train and export without"):
        FORMAT.write(program, params, tmp_path / "x.nir")


def test_two_edges_between_the_same_nodes(tmp_path: Path) -> None:
    nodes = {"input": Input((3,)), "lif": neuron("Leaky"), "output": Output()}
    edges = (Edge("input.y", "lif.x"), Edge("input.y", "lif.x"), Edge("lif.spk", "output.x"))
    program = Program(FrozenMap(nodes), edges)
    with pytest.raises(ExportError, match="at most one edge between two nodes; there are more: input -> lif"):
        FORMAT.write(program, init_params(program, given={"lif.beta": 0.9}), tmp_path / "x.nir")


def test_neurons_in_seconds_have_their_own_step(tmp_path: Path) -> None:
    program = sequential({"input": Input((3,)), "lif": Neuron(MODELS["LIF"], "to_value", "immediate")})
    net = Program(program.nodes, program.edges, TimeAxis(1e-3)), init_params(program)
    with pytest.raises(InputError, match=r"dt=0.0001, but the program's neurons are in seconds and its step"):
        FORMAT.write(*net, tmp_path / "x.nir", dt=1e-4)
    FORMAT.write(*net, tmp_path / "x.nir")
    assert FORMAT.read(tmp_path / "x.nir")[0] == net[0]


# -- What is lost -----------------------------------------------------------------------------------

SURROGATE, TRAINED = "surrogates (ATan(alpha=2.0))", "; which 8 parameters are trained"
SAMPLE = drive(2, 4, seed=4)
ADVICE = (
    "Two ways on: train, or fine-tune, with reset_mechanism='zero' and reset_delay=False, which NIR can say; "
    "or pass lossy='allow' to write the file all the same"
)


def test_a_reset_that_nir_cannot_say_is_refused_with_its_share(tmp_path: Path) -> None:
    net = dense(neuron("Leaky", "subtract", "delayed"))
    with pytest.raises(ExportError) as caught:
        FORMAT.write(*net, tmp_path / "x.nir", sample=SAMPLE)
    first, _ = caught.value.reasons
    assert caught.value.advice == ADVICE
    changed = load_changed(tmp_path, net)
    assert first == (
        f"lif1: reset by subtraction becomes reset to 0: {changed:.0f} % of spikes differ on your sample, "
        "held for 100 steps"
    )
    assert not (tmp_path / "x.nir").exists()


def load_changed(tmp_path: Path, net: tuple[Program, Params]) -> float:
    """The share, counted by hand on the file as a stranger reads it."""
    report = FORMAT.write(*net, tmp_path / "y.nir", lossy="allow")
    assert report.notes[0] == (
        "lif1: reset by subtraction becomes reset to 0; give a sample to see how many spikes differ"
    )
    x = np.broadcast_to(SAMPLE, (100, *SAMPLE.shape))
    ours = spikes(net, x, "lif1.spk") != 0
    theirs = spikes(load(tmp_path / "y.nir"), x, "lif1.spk") != 0
    assert (ours != theirs).sum() > 0
    return float(100 * (ours != theirs).sum() / (ours | theirs).sum())


def test_a_reset_that_takes_the_input_with_it(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="lif1: reset to 0, with that step's input, becomes reset to 0"):
        FORMAT.write(*dense(neuron("Synaptic", "zero", "delayed")), tmp_path / "x.nir")


@pytest.mark.parametrize("timing", ["delayed", "retest", "immediate"])
def test_a_reset_to_zero_is_nobodys_loss(tmp_path: Path, timing: str) -> None:
    net = dense(neuron("Leaky", "zero", timing))
    report = FORMAT.write(*net, tmp_path / "x.nir")
    late = "" if timing == "immediate" else "; when a reset takes effect ({})"
    assert report.notes == (
        "NIR says neither dt nor how a step is taken: run the file with dt=0.0001 s, 'euler'",
        f"in the metadata alone, which only snnhw reads: {SURROGATE}{late.format(timing)}{TRAINED}",
    )
    x = drive(60, 3, 4)
    assert np.array_equal(spikes(net, x), spikes(load(tmp_path / "x.nir"), x))


def test_what_is_trained_is_for_us_alone(tmp_path: Path) -> None:
    program, params = dense()
    report = FORMAT.write(replace(program, trainable=frozenset()), params, tmp_path / "x.nir")
    assert f"in the metadata alone, which only snnhw reads: {SURROGATE}" in report.notes


def test_dropout_is_left_out(tmp_path: Path) -> None:
    program = sequential(
        {"input": Input((3,)), "fc": Linear(3, 3), "drop": Dropout(0.5), "lif": neuron("Leaky")}
    )
    net = program, init_params(program, seed=1, given={"lif.beta": 0.9})
    report = FORMAT.write(*net, tmp_path / "x.nir")
    assert set(nir.read(tmp_path / "x.nir").nodes) == {"input", "fc", "lif", "output"}
    assert "drop: Dropout, which does nothing in evaluation, is left out" in report.notes
    x = drive(40, 2, 3)
    assert np.array_equal(spikes(net, x), spikes(load(tmp_path / "x.nir"), x))
    assert FORMAT.read(tmp_path / "x.nir")[0] == program


def test_options_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lossy='warn': give 'error' to refuse what would change spikes"):
        FORMAT.write(*dense(), tmp_path / "x.nir", lossy="warn")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InputError, match=r"the sample is for x; the inputs are input"):
        FORMAT.write(*dense(neuron("Leaky", "subtract")), tmp_path / "x.nir", sample={"x": SAMPLE})


def test_a_graph_that_nir_itself_cannot_check(tmp_path: Path) -> None:
    from snnhw.ir import Conv2d

    net = alone(Conv2d(2, 2, (1, 3), groups=2), (2, 4, 4))
    report = FORMAT.write(*net, tmp_path / "x.nir")
    assert any("nir.read(path, type_check=False)" in note for note in report.notes)
    nir.read(tmp_path / "x.nir", type_check=False)
    x = drive(2, 1, 2, 4, 4)
    assert np.array_equal(spikes(net, x), spikes(load(tmp_path / "x.nir"), x))
