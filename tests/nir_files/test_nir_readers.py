"""Simulators as readers: verify runs a network in them and compares, layer by layer."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_calls import DT, FORMAT, Array, chain, dense, drive, filled, lif, load, neuron, spikes, written

from snnhw import registry
from snnhw.errors import DeviceError, InputError
from snnhw.ir import Edge, FrozenMap, Input, Linear, Output, Params, Program, init_params
from snnhw.plugin import Probe
from snnhw.reader import Reader
from snnhw.verify import Held, Source, verify
from snnhw_nir.simulators import worker
from snnhw_nir.simulators.readers import (
    LOADING,
    WORKER,
    NirReader,
    NorseReader,
    SnnTorchReader,
    SpikingJellyReader,
)
from snnhw_nir.targets.dialects import DIALECTS
from snnhw_reference.plugin import ReferenceBackend

Net = tuple[Program, Params]

READERS = {made.name: made() for made in (NorseReader, SnnTorchReader, SpikingJellyReader)}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this checkout were installed, with its entry points."""
    doors: dict[str, Any] = {
        "reader": lambda name, *_: READERS[name],
        "file_format": lambda name: FORMAT,
        "backend": lambda name, *_: ReferenceBackend(),
    }
    for door, opened in doors.items():
        monkeypatch.setattr(registry, door, opened)


@cache
def asked(name: str) -> Probe:
    return READERS[name].probe()


def needs(name: str) -> None:
    probe = asked(name)
    if not probe.ready:
        pytest.skip(f"{name}: {probe.reason}; {probe.install}")


def held(name: str, net: Net, x: Array, path: Path | None = None, **read: object) -> Held:
    source = Source(path, read) if path else None
    (name_of_input,) = net[0].named(Input)
    given = {name_of_input: x}
    return verify(*net, given, (f"{name}@nir",), time_steps=len(x), source=source).held[0]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("model", ["Leaky", "Synaptic"])
def test_verify_runs_the_simulator(name: str, model: str) -> None:
    """Every spike and every membrane."""
    needs(name)
    net = dense(neuron(model, "zero", "retest"))
    found = held(name, net, drive(25, 2, 4))
    assert found.ok, found
    assert (found.label, found.loads, found.runs, found.failure) == ("read from nir", True, True, "")
    assert found.missing == ()
    assert {layer for layer, parity in found.layers.items() if parity.spikes_compared} == {"lif1", "lif2"}
    assert 0 < (found.parity.max_membrane_error or 0) < 1e-4


@pytest.mark.parametrize("name", READERS)
def test_a_membrane_that_is_reset_a_step_late_has_no_counterpart(name: str) -> None:
    needs(name)
    found = held(name, dense(neuron("Leaky", "zero", "delayed")), drive(10, 2, 4))
    assert found.ok
    assert found.missing == ("lif1.mem", "lif2.mem")


def test_snntorch_scales_membranes_which_are_scaled_back(tmp_path: Path) -> None:
    """Where the gain is not 1, it divides the threshold by it."""
    needs("snntorch")
    path = chain(tmp_path / "a.nir", lif(3, r=5.0, v_threshold=0.3), shape=(3,), out=(3,))
    found = held("snntorch", load(path), drive(25, 2, 3), path, dt=DT, scheme="euler")
    assert found.ok
    assert found.parity.spikes_fired
    assert 0 < (found.parity.max_membrane_error or 0) < 1e-5


def test_a_reader_gets_the_very_file(tmp_path: Path) -> None:
    """Written for anyone, Norse ignores the gain; what is known of that is said."""
    needs("norse")
    path, net = tmp_path / "net.nir", dense()
    FORMAT.write(*net, path)
    found = held("norse", net, drive(25, 2, 4), path)
    assert not found.ok
    assert found.parity.parting is not None
    assert any(said.startswith("lif1: its r must be 1: 'norse': it ignores r") for said in found.known)
    assert held("norse", net, drive(25, 2, 4)).ok  # written for it


def test_a_file_from_elsewhere(tmp_path: Path) -> None:
    """It says no dt, so that whoever reads it does."""
    needs("snntorch")
    path = chain(tmp_path / "a.nir", lif(3), shape=(3,), out=(3,))
    assert held("snntorch", load(path), drive(25, 2, 3), path, dt=DT, scheme="euler").ok
    found = held("snntorch", load(path, dt=5e-4), drive(25, 2, 3), path, dt=5e-4, scheme="euler")
    assert (found.loads, found.runs, found.ok) == (False, False, False)
    assert "snnTorch reads every file with a step of 1e-4 s, not 0.0005" in found.failure
    assert found.known == ("it reads every file with dt=0.0001, not 0.0005",)


def test_a_file_that_the_simulator_does_not_take(tmp_path: Path) -> None:
    needs("snntorch")
    path = chain(tmp_path / "a.nir", lif(3, v_leak=0.5), shape=(3,), out=(3,))
    found = held("snntorch", load(path), drive(5, 2, 3), path, dt=DT, scheme="euler")
    assert (found.loads, found.runs) == (False, False)
    assert found.failure == "'snntorch' refuses the file: AssertionError: v_leak not supported"
    assert found.known == ("n0: its v_leak must be zero: 'snntorch': it refuses any other",)


def test_a_network_that_the_simulator_misreads_is_refused() -> None:
    found = held("snntorch", dense(neuron("Leaky", "subtract", "delayed")), drive(5, 2, 4))
    assert (found.loads, found.runs, found.ok) == (False, False, False)
    assert "lif1: reset by subtraction becomes reset to 0" in found.failure


@pytest.mark.parametrize(
    ("name", "node", "words"),
    [
        ("spikingjelly", lif(3), "it fires at the threshold, too"),
        ("norse", lif(3, r=2.0), "n0: its r must be 1: 'norse': it ignores r"),
        ("norse", nir.Flatten({"input": np.array([3])}, 0, -1), "n0: it counts the batch as the first axis"),
        ("spikingjelly", nir.Scale(np.ones(3)), "n0: 'spikingjelly' reads no Scale"),
    ],
)
def test_what_is_known_of_a_file(tmp_path: Path, name: str, node: Any, words: str) -> None:
    path = chain(tmp_path / "a.nir", node, shape=(3,), out=(3,))
    known = READERS[name].known(path, {"dt": DT, "scheme": "euler"})
    assert any(said.startswith(words) for said in known)


def foretold(tmp_path: Path, name: str, node: Any, x: Array, **more: Any) -> Array:
    """What the rules of a reader are said to give, NaN where that is what the file says."""
    path = chain(tmp_path / "a.nir", node, shape=(3,), out=(3,))
    read = {"dt": DT, "scheme": "euler", **more}
    return READERS[name].by_rule(path, {"x": x}, ("n0.spk", "n0.mem"), read=read).get("n0.spk")


TIED = np.full((4, 1, 3), [1.0, 0.5, 2.0], np.float32)


def test_what_the_rules_of_a_reader_give(tmp_path: Path) -> None:
    """A tie, a start, a gain that is ignored and a reset; nothing where the file says the same."""
    nothing = [[np.nan] * 3] * 4
    tied = foretold(tmp_path, "spikingjelly", lif(3), TIED)[:, 0]
    assert np.array_equal(tied[0], [1, np.nan, np.nan], equal_nan=True)
    for name in ("snntorch", "norse"):
        assert np.array_equal(foretold(tmp_path, name, lif(3, r=1.0), TIED)[:, 0], nothing, equal_nan=True)
    apart = foretold(tmp_path, "norse", lif(3), TIED)[:, 0]
    assert (apart[:, 2] == 0).all()  # its r of 20 is not read
    reset = lif(3, v_reset=0.75)
    assert np.nanmax(foretold(tmp_path, "snntorch", reset, 0.3 * TIED)) == 0  # back to 0 there
    started = foretold(tmp_path, "spikingjelly", lif(3, v_reset=0.75, v_leak=0.75), 0.2 * TIED)[:, 0]
    assert started[0].tolist()[2] == 1  # 0.75 and 0.4
    assert foretold(tmp_path, "spikingjelly", lif(3, v_leak=0.5), TIED) is None  # it refuses the file
    assert foretold(tmp_path, "snntorch", lif(3), TIED, dt=1e-3) is None


def test_what_a_rule_explains_is_not_called_rounding(tmp_path: Path) -> None:
    """Quarters, against a simulator that fires at the threshold."""
    needs("spikingjelly")
    path = chain(tmp_path / "a.nir", nir.IF(*filled(3, 1e4, 1.0, 0.0)), shape=(3,), out=(3,))
    x = np.random.default_rng(0).integers(-2, 4, (30, 4, 3)).astype(np.float32) / 4
    found = held("spikingjelly", load(path), x, path, dt=DT, scheme="euler")
    assert not found.ok
    assert found.parity.spike_mismatches == found.parity.by_rule == found.parity.unexplained_mismatches > 0
    assert found.parity.parting is not None
    assert found.parity.parting.tie
    assert "it fires at the threshold, too" in found.known
    read = {"dt": DT, "dialect": "spikingjelly"}
    assert held("spikingjelly", load(path, scheme=None, dialect="spikingjelly"), x, path, **read).ok


def test_what_is_known_of_another_scheme_and_of_resets(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    FORMAT.write(*dense(neuron("Leaky", "subtract")), path, lossy="allow", scheme="exponential")
    known = READERS["norse"].known(path, {})
    assert "it takes steps by euler, not by 'exponential'" in known
    assert "lif1: reset by subtraction at once becomes reset to 0" in known


def test_what_is_known_of_wiring(tmp_path: Path) -> None:
    nodes = {"input": Input((3,)), "fc": Linear(3, 2), "lif": neuron("Leaky"), "rec": Linear(2, 2)}
    edges = [Edge("input.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("rec.y", "lif.x")]
    edges += [Edge("lif.spk", "output.x"), Edge("lif.spk", "rec.x", delay=1)]
    program = Program(FrozenMap({**nodes, "output": Output()}), tuple(edges))
    params = init_params(program, seed=1, given={"lif.beta": 0.5})
    FORMAT.write(program, params, tmp_path / "net.nir")
    said = "rec: its import fails at a neuron and a product that hear each other alone"
    assert said in READERS["snntorch"].known(tmp_path / "net.nir", {})
    known = READERS["norse"].known(tmp_path / "net.nir", {})
    assert "rec: 'norse' computes it last, and returns it in the place of the Output" in known
    assert "rec: its bias is in a loop, which gives nothing in the first step in 'norse'" in known


def test_what_is_known_of_what_is_never_computed(tmp_path: Path) -> None:
    ends = {"a": nir.Input(np.array([3])), "b": nir.Input(np.array([3])), "z": nir.Output(np.array([3]))}
    path = written(tmp_path / "a.nir", {**ends, "n": lif(3)}, [("a", "n"), ("b", "n"), ("n", "z")])
    known = READERS["norse"].known(path, {"dt": DT, "scheme": "euler"})
    assert "a, b: 'norse' takes graphs of one Input only" in known
    assert "b: 'norse' never computes this" in known


def fake(tmp_path: Path, script: str) -> str:
    """An interpreter that runs a script of ours, whatever it is given."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_NORSE_PYTHON", fake(tmp_path, "print('a banner\\n1.1.0')"))
    probe = READERS["norse"].probe()
    assert probe.ready
    assert probe.version == "norse 1.1.0"


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_NORSE_PYTHON", fake(tmp_path, "import sdk_of_nobody"))
    probe = READERS["norse"].probe()
    assert probe.status == "missing"
    assert probe.reason == "ModuleNotFoundError: No module named 'sdk_of_nobody'"
    assert probe.install.endswith("or point SNNHW_NORSE_PYTHON to a Python that has them")
    monkeypatch.setenv("SNNHW_NORSE_PYTHON", str(tmp_path / "none"))
    assert READERS["norse"].probe().status == "broken"


def test_a_simulator_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_SNNTORCH_PYTHON", fake(tmp_path, "raise ValueError('no such neuron')"))
    FORMAT.write(*dense(), tmp_path / "net.nir")
    with pytest.raises(DeviceError, match="reader 'snntorch' failed: ValueError: no such neuron"):
        READERS["snntorch"].run(tmp_path / "net.nir", {"input": drive(2, 1, 4)}, ())
    found = held("snntorch", dense(), drive(2, 1, 4))
    assert (found.loads, found.runs, found.failure[-14:]) == (True, False, "no such neuron")


def test_an_interpreter_as_an_option(tmp_path: Path) -> None:
    python = fake(tmp_path, "raise ValueError('asked')")
    options = {"norse@nir": {"python": python}}
    x = {"input": drive(2, 1, 4)}
    (found,) = verify(*dense(), x, ("norse@nir",), time_steps=2, options=options).held
    assert found.failure == "reader 'norse' failed: ValueError: asked"
    options = {"norse@nir": {"python": str(tmp_path / "none")}}
    (found,) = verify(*dense(), x, ("norse@nir",), time_steps=2, options=options).held
    assert found.failure == f"reader 'norse': {tmp_path / 'none'}: No such file or directory"


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(InputError, match=r"reader 'norse' has no option 'pyton'. Did you mean 'python'\?"):
        verify(
            *dense(),
            {"input": drive(2, 1, 4)},
            ("norse@nir",),
            time_steps=2,
            options={"norse@nir": {"pyton": "x"}},
        )


def test_several_inputs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reader 'norse' takes networks of one input, not a, b"):
        READERS["norse"].run(tmp_path / "net.nir", {"a": drive(1, 1), "b": drive(1, 1)}, ())


def test_readers_are_readers() -> None:
    assert all(isinstance(reader, Reader) and isinstance(reader, NirReader) for reader in READERS.values())


def test_the_worker_needs_nothing_of_ours(tmp_path: Path) -> None:
    """It runs in an interpreter where snnhw is not installed."""
    needs("snntorch")
    FORMAT.write(*dense(), tmp_path / "net.nir", target="snntorch")
    x = drive(10, 3, 4)
    np.save(tmp_path / "x.npy", x)
    block = "import runpy, sys; sys.modules['snnhw'] = None; "
    block += f"runpy.run_path({str(WORKER)!r}, run_name='__main__')"
    task = {"simulator": "snntorch", "file": "net.nir", "dt": DT, "inputs": "x.npy", "to": "made.npz"}
    given = json.dumps(task | {"record": {"s": ("lif2", "out")}})
    subprocess.run([sys.executable, "-c", block, given], cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "made.npz") as made:
        assert np.array_equal(made["s"], spikes(dense(), x))


def test_both_sides_mean_the_same_by_a_number() -> None:
    assert worker.LOADING == LOADING
    assert DIALECTS["norse"].nodes <= worker.NORSE
