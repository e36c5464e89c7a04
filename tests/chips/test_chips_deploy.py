"""From a float network to integers: what is read, timed, quantised, refused, written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chips_nets import float_net, spikes

from snnhw import chips
from snnhw.deploy import delayed, deploy, float_program, read_network, verdicts, write
from snnhw.deploy.forcing import forced
from snnhw.errors import ExportError, InputError, UnknownPlugin
from snnhw.ir import CERate, Dropout, Edge, FrozenMap, Linear, Loss, Neuron, Term, load, validate
from snnhw.plugin import Arrays
from snnhw.reference import execute, gradients
from snnhw_chips.loihi2 import Loihi2
from snnhw_chips.xylo import XyloAudio2


def run(program: Any, params: Any, inputs: Arrays, *record: str) -> Any:
    return execute(program, params, dict(inputs), record=record).recordings


@pytest.mark.parametrize("kind", ["Synaptic", "Leaky"])
def test_populations_compute_what_the_program_does(kind: str) -> None:
    program, params = float_net(kind=kind)
    again, values = float_program(read_network(program, params))
    ours, theirs = (
        run(p, v, spikes(), "lif1.spk", "lif2.spk") for p, v in ((again, values), (program, params))
    )
    for port in ours:
        np.testing.assert_array_equal(ours[port], theirs[port])
    assert ours["lif2.spk"].sum() > 0


def test_a_chips_delay_makes_a_chain_late_and_nothing_else() -> None:
    timed = delayed(read_network(*float_net()), Loihi2())
    assert (dict(timed.late), timed.shifted) == ({"lif1": 1, "lif2": 2}, ())
    late = run(*float_program(timed.network), spikes(), "lif2.spk")["lif2.spk"]
    own = run(*float_net(), spikes(), "lif2.spk")["lif2.spk"]
    np.testing.assert_array_equal(late[2:], own[:-2])


def test_a_loop_keeps_its_time() -> None:
    program, params = float_net()
    program = replace(
        program,
        nodes=FrozenMap({**program.nodes, "back": Linear(8, 8, bias=False)}),
        edges=(*program.edges, Edge("lif1.spk", "back.x", 1), Edge("back.y", "lif1.x")),
    )
    network = read_network(program, {**params, "back.weight": np.full((8, 8), -0.1)})
    timed = delayed(network, Loihi2())
    assert {p.name: p.delay for p in timed.network.projections} == {"fc1": 1, "fc2": 1, "back": 1}
    assert dict(timed.late) == {"lif1": 1, "lif2": 2}


def test_ways_of_different_delay_are_refused_unless_allowed() -> None:
    network = read_network(*float_net(skip=True))
    with pytest.raises(ExportError, match="over: spikes of in reach lif2 1 steps late, but others"):
        delayed(network, Loihi2())
    assert len(delayed(network, Loihi2(), allow=True).shifted) == 1


def test_integers_fire_as_the_network_with_the_chips_parameters() -> None:
    """Loihi rounds its states so finely that in small networks no spike moves."""
    found = deploy(*float_net(), Loihi2(), spikes())
    made = found.quantised
    ours = found.run.recordings
    grid = run(*float_program(made.network), spikes(), "lif1.spk", "lif2.spk")
    for port, wanted in grid.items():
        np.testing.assert_array_equal(ours[port], wanted)
    assert set(found.full.values()) == {0}
    assert {use.limit.name: use.used for use in made.uses}["weight"] == 254
    assert all(np.all(made.params[f"{p.name}.weight"] % 2 == 0) for p in made.network.projections)


def test_one_layer_given_the_spikes_of_the_others() -> None:
    made = deploy(*float_net(), Loihi2(), spikes()).quantised
    part = forced(made.program, "lif2", 8)
    assert not validate(part)
    assert set(part.named(Neuron)) == {"lif2"}


def test_verdicts_are_three() -> None:
    program, params = float_net()
    found = verdicts(deploy(program, params, Loihi2(), spikes()), spikes())
    assert [layer.name for layer in found.layers] == ["lif1", "lif2"]
    assert found.vendor is None
    assert found.ok
    assert all(layer.fired for layer in found.layers)


def test_what_is_written_is_what_was_computed(tmp_path: Path) -> None:
    found = deploy(*float_net(), Loihi2(), spikes())
    names = write(found, tmp_path / "out")
    assert names == ("load_lava.py", "loihi2.npz", "network.nir", "network.snn", "report.json")
    program, params = load(tmp_path / "out" / "network.snn")
    assert program == found.quantised.program
    whole = {name: x.astype(np.int64) for name, x in spikes().items()}
    np.testing.assert_array_equal(execute(program, params, whole).outputs["out"], found.run.outputs["out"])
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (told["target"], told["answers_late"], told["lost"]) == ("loihi2", 2, [])
    with pytest.raises(InputError, match="is there already; give the name of a new folder"):
        write(found, tmp_path / "out")


def test_bad_networks_and_data_are_refused_with_every_reason() -> None:
    program, params = float_net()
    late = {
        name: replace(op, timing="delayed") if isinstance(op, Neuron) else op
        for name, op in program.nodes.items()
    }
    with pytest.raises(ExportError) as told:
        read_network(replace(program, nodes=FrozenMap(late)), params)
    assert len(told.value.reasons) == 2
    assert "lif1: reset 'zero' with timing 'delayed' acts a step late" in told.value.reasons[0]
    odd = replace(program, nodes=FrozenMap({**program.nodes, "lif2": Dropout(0.5)}))
    with pytest.raises(ExportError, match="a Dropout is no population"):
        read_network(replace(odd, edges=tuple(e for e in odd.edges if "lif2" not in e.src)), params)
    for bad, message in (
        (0.5, "holds 0.5; the chip takes spikes"),
        (2.0, "holds 2.0"),
        (np.nan, "holds nan"),
    ):
        wrong = {"in": np.where(spikes()["in"] > 0, bad, 0.0)}
        with pytest.raises(InputError, match=message):
            deploy(program, params, Loihi2(), wrong)
    with pytest.raises(InputError, match="An axis of length 0 holds nothing"):
        deploy(program, params, Loihi2(), {"in": np.zeros((0, 1, 6))})


def test_a_parameter_that_is_no_number_is_named() -> None:
    program, params = float_net()
    params["fc1.weight"][0, 0] = np.nan
    with pytest.raises(
        ExportError, match=r"parameter 'fc1.weight' holds nan, which has no integer; give finite"
    ):
        deploy(program, params, Loihi2(), spikes())


def test_a_target_misspelt_and_data_left_out_are_told() -> None:
    with pytest.raises(UnknownPlugin, match=r"lohi2.*loihi2"):
        chips.quantise(float_net(), spikes(), target="lohi2")
    for nothing in ({}, {"other": spikes()["in"]}):
        with pytest.raises(InputError, match="in"):
            deploy(*float_net(), Loihi2(), nothing)


def test_what_does_not_fit_says_node_value_and_limit() -> None:
    program, params = float_net()
    params["lif1.threshold"] = np.array(5e4)
    with pytest.raises(
        ExportError, match=r"lif1: threshold comes to [\d,]+, but there is 131,071 \(vth, 17 bits"
    ):
        deploy(program, params, Loihi2(), spikes())


def test_a_subtracting_reset_is_named() -> None:
    program, params = float_net()
    nodes = {
        name: replace(op, reset="subtract") if isinstance(op, Neuron) else op
        for name, op in program.nodes.items()
    }
    with pytest.raises(ExportError, match="lif1: it subtracts its threshold; loihi2 resets to 0"):
        deploy(replace(program, nodes=FrozenMap(nodes)), params, Loihi2(), spikes())


@pytest.mark.parametrize("name", ["loihi2", "xylo-a2"])
def test_prepared_for_a_chip_a_network_is_trained_and_goes_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fires as the chip's integers do, before and after; delays, decays and scales stay as they were."""
    chip = {"loihi2": Loihi2(), "xylo-a2": XyloAudio2()}[name]
    monkeypatch.setattr(chips, "target_of", lambda _: chip)
    program, params = float_net()
    if name != "loihi2":
        nodes = {
            node: replace(op, reset="subtract") if isinstance(op, Neuron) else op
            for node, op in program.nodes.items()
        }
        program = replace(program, nodes=FrozenMap(nodes))
    ready, start = chips.prepare((program, params), spikes(), target=name)
    assert ready.trainable == {"fc1.weight", "fc2.weight"}
    loss = Loss((Term(CERate(), of="lif2.spk"),))
    found = gradients(ready, start, spikes(), {"target": np.array([0, 1, 2])}, loss)
    assert all(np.abs(slope).max() > 0 for slope in found.params.values())
    steps = {
        key: start[key] - 0.05 * slope / np.abs(slope).max() if key.endswith("weight") else start[key]
        for key, slope in found.params.items()
    }
    trained = {**start, **steps}
    made = chips.quantise((ready, trained), spikes(), target=name)
    assert dict(made.timed.late) == {"lif1": 0, "lif2": 0}
    again = run(ready, trained, spikes(), "lif1.spk", "lif2.spk")
    before = run(ready, start, spikes(), "lif1.spk", "lif2.spk")
    for port, fired in again.items():
        np.testing.assert_array_equal(made.run.recordings[port], fired)
    assert any(not np.array_equal(again[port], before[port]) for port in again)
    for node, cells in made.timed.network.populations.items():
        np.testing.assert_allclose(made.quantised.network.populations[node].alpha, cells.alpha)
        np.testing.assert_allclose(made.quantised.network.populations[node].beta, cells.beta)
