"""Backends on a network of one's own: where they part, and whether rounding explains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnhw import registry
from snnhw.errors import DeviceError, InputError, LoadError
from snnhw.ir import MODELS, Input, Linear, Neuron, Params, Program, TimeAxis, init_params, sequential
from snnhw.plugin import INTERFACE, Arrays, Capabilities, Format, Probe, Report
from snnhw.reader import Reader
from snnhw.reference import execute
from snnhw.verify import Source, Verification, verify
from snnhw.verify.inputs import random_inputs
from snnhw_reference.plugin import ReferenceBackend

T, B = 8, 3


class Shifted(ReferenceBackend):
    """The reference, with every threshold somewhat higher in one layer."""

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), is_reference=False)  # to be held to the reference, too

    def __init__(self, shift: float = 0.0, spoilt: str = "lif2") -> None:
        self.shift, self.spoilt = shift, spoilt

    def compile(self, program: Program, params: Params, job: Any) -> Any:
        key = f"{self.spoilt}.threshold"
        spoilt: Params = {key: np.add(params[key], self.shift, dtype=np.float32)} if self.shift else {}
        return super().compile(program, {**params, **spoilt}, job)


@pytest.fixture
def program() -> Program:
    leaky = Neuron(MODELS["Leaky"])
    layers = {"x": Input((4,)), "fc1": Linear(4, 6), "lif1": leaky, "fc2": Linear(6, 5), "lif2": leaky}
    return sequential(layers)


@pytest.fixture
def params(program: Program) -> Params:
    generator = np.random.default_rng(3)
    settings = {"beta": 0.9, "threshold": 1.0}
    return {
        key: np.asarray(
            settings.get(key.rpartition(".")[2], generator.normal(0.4, 0.6, spec.shape)), np.float32
        )
        for key, spec in program.params().items()
    }


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Backends, formats and readers, by name, in the place of what is installed."""
    found: dict[str, Any] = {
        "right": Shifted(),
        "off": Shifted(0.05),
        "off-too": Shifted(0.05),
    }
    for door in ("backend", "reader", "file_format"):
        monkeypatch.setattr(registry, door, lambda name, *options: found[name])
    return found


Run = Callable[..., Verification]


@pytest.fixture
def run(program: Program, params: Params, shelf: dict[str, Any]) -> Run:
    assert shelf

    def called(*on: str, **more: Any) -> Verification:
        inputs = random_inputs(program, time_steps=T, batch=B)
        return verify(program, params, inputs, on, **{"time_steps": T, **more})

    return called


def test_equal_backends_never_part(run: Run) -> None:
    found = run("right")
    assert found.ok
    assert found.fired
    assert (found.time_steps, found.batch, found.pairs) == (T, B, ())
    (held,) = found.held
    assert (held.name, held.label, held.dtype, held.missing) == ("right", "", "float64", ())
    assert held.parity.spikes_compared == T * B * 11
    assert held.parity.parting is None
    assert list(held.layers) == ["lif1", "lif2"]
    assert [parity.spikes_compared for parity in held.layers.values()] == [T * B * 6, T * B * 5]


def test_single_precision_is_explained_by_rounding(run: Run) -> None:
    found = run("right", options={"right": {"dtype": "float32"}})
    assert found.ok
    assert found.held[0].dtype == "float32"
    assert (found.held[0].parity.max_membrane_error or 0) > 0


def test_the_layer_step_and_neuron_where_they_part(run: Run) -> None:
    found = run("off")
    (held,) = found.held
    assert not found.ok
    first = held.parity.parting
    assert first is not None
    assert first.port == "lif2.spk"
    assert not first.explained
    assert first.distance is not None
    assert 0 < first.bound < first.distance < 0.1
    assert held.layers["lif1"].ok
    assert held.layers["lif1"].max_membrane_error == 0
    assert held.layers["lif2"].parting == first


def test_backends_are_held_to_each_other(run: Run) -> None:
    """Two that are wrong alike agree, and both part from the reference."""
    found = run("off", "off-too", "right")
    assert [held.parity.ok for held in found.held] == [False, False, True]
    assert [(pair.name, pair.against, pair.parity.ok) for pair in found.pairs] == [
        ("off-too", "off", True),
        ("right", "off", False),
    ]
    assert found.pairs[0].parity.spike_mismatches == 0
    assert found.pairs[1].parity.unexplained_mismatches > 0


def test_near_threshold_a_difference_between_two_is_explained(shelf: dict[str, Any]) -> None:
    """Three thirds, added up in float32, are a rounding from the threshold: a spike on one of them only."""
    program = sequential({"x": Input((3,)), "fc": Linear(3, 1, bias=False), "lif": Neuron(MODELS["Leaky"])})
    third = np.float32(1 / 3)
    params: Params = {
        "fc.weight": np.full((1, 3), third),
        "lif.beta": np.array(0.5, np.float32),
        "lif.threshold": np.array(float(third) * 3, np.float32),
    }
    shelf["near"] = Shifted(-(2.0**-23), "lif")
    inputs = {"x": np.ones((1, 1, 3), np.float32)}
    options = {"near": {"dtype": "float32"}, "right": {"dtype": "float32"}}
    found = verify(program, params, inputs, ("near", "right"), time_steps=1, options=options)
    assert found.ok
    parting = found.pairs[0].parity.parting
    assert parting is not None
    assert parting.explained
    assert parting.distance is not None
    assert parting.distance <= parting.bound


def test_what_a_label_says_is_kept(run: Run, shelf: dict[str, Any]) -> None:
    plain = shelf["right"].capabilities()
    shelf["right"].capabilities = lambda: replace(plain, label="emulated on paper")
    assert run("right").held[0].label == "emulated on paper"


@pytest.mark.parametrize(
    ("on", "more", "message"),
    [
        ((), {}, "name at least one backend to compare with the reference"),
        (("right", "right"), {}, "'right' is named twice"),
        (("right",), {"options": {"chip": {}}}, "options are given for 'chip', which is not among right"),
        (("right",), {"time_steps": T + 1}, r"input 'x' has shape \[8, 3, 4\]; accepted: \[9, B, 4\]"),
    ],
)
def test_what_makes_no_sense_is_an_error(
    on: tuple[str, ...], more: dict[str, Any], message: str, run: Run
) -> None:
    with pytest.raises(InputError, match=message):
        run(*on, **more)


@pytest.mark.usefixtures("shelf")
def test_without_neurons_there_is_nothing_to_compare() -> None:
    program = sequential({"x": Input((2,)), "fc": Linear(2, 2)})
    inputs = random_inputs(program, time_steps=1, batch=1)
    with pytest.raises(InputError, match="this network has no neurons"):
        verify(program, init_params(program), inputs, ["right"], time_steps=1)


# -- Readers --------------------------------------------------------------------------------------


class Paper:
    """A format that writes what it was given to a drawer, and its name to the file."""

    name, interface, suffixes = "paper", INTERFACE, (".paper",)
    drawer: tuple[Program, Params]

    def probe(self) -> Probe:
        return Probe("ready")

    def capabilities(self) -> dict[str, Any]:
        return {}

    def write(self, program: Program, params: Params, path: Path, **options: Any) -> Report:
        self.drawer = (program, params)
        path.write_text(self.name)
        return Report()

    def read(self, path: Path, **options: Any) -> tuple[Program, Params, Report]:
        return *self.drawer, Report()


class Scribe:
    """A simulator that reads paper, and tells of spikes alone."""

    name, interface, formats = "scribe", INTERFACE, ("paper",)

    @dataclass(frozen=True)
    class Options:
        ink: str = "black"

    def __init__(self, paper: Paper) -> None:
        self.paper = paper
        self.ruled: Arrays = {}

    def probe(self) -> Probe:
        return Probe("ready")

    def by_rule(self, path: Path, inputs: Arrays, record: tuple[str, ...], **_: Any) -> Arrays:
        return self.ruled

    def known(self, path: Path, read: Mapping[str, object]) -> tuple[str, ...]:
        return ("it writes slowly", *(f"{key} is {value}" for key, value in read.items()))

    def run(
        self,
        path: Path,
        inputs: Arrays,
        record: tuple[str, ...],
        *,
        read: Mapping[str, object],
        options: Options,
    ) -> Arrays:
        if options.ink == "none":
            raise DeviceError("it is out of ink")
        if path.read_text() != "paper":
            raise LoadError("this is no paper")
        program, params = self.paper.drawer
        program = replace(program, time=TimeAxis())
        found = execute(program, params, inputs, record=record, dtype=np.float32)
        return {port: x for port, x in found.recordings.items() if port.endswith(".spk")}


def test_a_reader_takes_part(program: Program, params: Params, shelf: dict[str, Any]) -> None:
    paper = Paper()
    scribe = Scribe(paper)
    assert isinstance(paper, Format)
    assert isinstance(scribe, Reader)
    shelf |= {"paper": paper, "scribe": scribe}
    steady = replace(program, time=TimeAxis(static_inputs=("x",)))
    inputs = random_inputs(steady, time_steps=T, batch=B)
    found = verify(steady, params, inputs, ["scribe@paper", "right"], time_steps=T)
    assert found.ok, found
    read, _ = found.held
    assert (read.name, read.label) == ("scribe@paper", "read from paper")
    assert read.missing == ("lif1.mem", "lif2.mem")
    assert [held.known for held in found.held] == [("it writes slowly",), ()]
    assert read.parity.spikes_compared == T * B * 11


def test_a_reader_gets_the_file_that_the_network_came_from(
    program: Program, params: Params, shelf: dict[str, Any], tmp_path: Path
) -> None:
    paper = Paper()
    shelf |= {"paper": paper, "scribe": Scribe(paper)}
    paper.drawer = (program, params)
    inputs = random_inputs(program, time_steps=T, batch=B)
    for text, loads in (("paper", True), ("stone", False)):
        (tmp_path / "net.paper").write_text(text)
        source = Source(tmp_path / "net.paper", {"dt": 1})
        found = verify(program, params, inputs, ["right", "scribe@paper"], time_steps=T, source=source)
        read = found.held[1]
        assert (read.loads, read.runs, read.ok, found.ok) == (loads, loads, loads, loads)
        assert read.failure == ("" if loads else "this is no paper")
        assert read.known == ("it writes slowly", "dt is 1")
        assert len(found.pairs) == loads


def test_a_reader_that_fails_is_a_result(run: Run, shelf: dict[str, Any]) -> None:
    paper = Paper()
    shelf |= {"paper": paper, "scribe": Scribe(paper)}
    found = run("scribe@paper", "right", "off", options={"scribe@paper": {"ink": "none"}})
    read = found.held[0]
    assert (read.loads, read.runs, read.failure) == (True, False, "it is out of ink")
    assert read.missing == ()
    assert [(pair.name, pair.against) for pair in found.pairs] == [("off", "right")]


def test_a_readers_membranes_are_not_judged(
    run: Run, shelf: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may keep its parameters in numbers of its own; its spikes are."""
    paper = Paper()
    shelf |= {"paper": paper, "scribe": Scribe(paper)}

    def off_by_little(self: Scribe, _: Path, inputs: Arrays, record: tuple[str, ...], **__: Any) -> Arrays:
        found = execute(*self.paper.drawer, inputs, record=record, dtype=np.float32)
        return {port: x + (0.01 if port.endswith(".mem") else 0) for port, x in found.recordings.items()}

    monkeypatch.setattr(Scribe, "run", off_by_little)
    found = run("scribe@paper", "right")
    assert found.ok
    assert found.held[0].parity.membranes_outside
    assert found.held[0].parity.max_membrane_error == pytest.approx(0.01, rel=1e-3)


class AtTheThreshold(Scribe):
    """It fires at the threshold, too: its thresholds are a last digit lower."""

    def run(self, path: Path, inputs: Arrays, record: tuple[str, ...], **_: Any) -> Arrays:
        program, params = self.paper.drawer
        lower = np.nextafter(params["lif.threshold"], np.float32(0))
        found = execute(program, {**params, "lif.threshold": lower}, inputs, record=record, dtype=np.float32)
        return found.recordings


@pytest.mark.parametrize("foretold", [False, True])
def test_what_a_rule_explains_is_not_called_rounding(shelf: dict[str, Any], *, foretold: bool) -> None:
    """All numbers are quarters; what is within reach of rounding is a tie all the same."""
    lif = Neuron(MODELS["Leaky"], reset="zero", timing="immediate")
    program = sequential({"x": Input((2,)), "fc": Linear(2, 3, bias=False), "lif": lif})
    weight = np.array([[1, 0], [0.5, 0.5], [0.25, 0.75]], np.float32)
    numbers = {"fc.weight": weight, "lif.beta": 0.5, "lif.threshold": 1.0}
    params: Params = {key: np.asarray(value, np.float32) for key, value in numbers.items()}
    x = np.array([[1, 1], [0.5, 0.25], [2, 1]], np.float32)[:, None]
    paper = Paper()
    scribe = AtTheThreshold(paper)
    shelf |= {"paper": paper, "scribe": scribe}
    if foretold:
        paper.drawer = (program, params)
        seen, said = (
            scribe.run(Path(), {"x": x}, ("lif.spk",)),
            execute(program, params, {"x": x}, record=["lif.spk"]),
        )
        spk = said.recordings["lif.spk"]
        scribe.ruled = {"lif.spk": np.where(seen["lif.spk"] == spk, np.nan, seen["lif.spk"])}
    found = verify(program, params, {"x": x}, ["right", "scribe@paper"], time_steps=3)
    held, (pair,) = found.held[1], found.pairs
    assert held.parity.spike_mismatches > 0
    assert held.parity.parting is not None
    assert held.parity.parting.tie
    assert (held.ok, pair.ok, found.ok) == (not foretold,) * 3
    assert held.parity.by_rule == pair.parity.by_rule == foretold * held.parity.spike_mismatches
    assert held.parity.parting.explained is not foretold
    assert held.parity.parting.ruled is foretold


def test_a_reader_of_another_format_is_an_error(run: Run, shelf: dict[str, Any]) -> None:
    shelf["scribe"] = Scribe(Paper())
    with pytest.raises(InputError, match="reader 'scribe' does not read the format 'stone'; it reads: paper"):
        run("scribe@stone")
