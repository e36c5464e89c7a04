"""``snnhw inspect`` and ``snnhw explain``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cli_calls import call

from snnhw import ir, registry
from snnhw.ir import MODELS, FrozenMap, Input, Linear, Neuron, Pointwise, Program, sequential, var
from snnhw.ir.equations import equations
from snnhw.plugin import BACKENDS, Capabilities, Explanation, Run, Train


def network(neuron: Neuron) -> Program:
    return sequential(
        {"x": Input((3,)), "fc1": Linear(3, 4), "lif1": neuron, "fc2": Linear(4, 2), "lif2": neuron}
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    program = network(Neuron(MODELS["Leaky"]))
    ir.save(tmp_path / "net.snn", program, filled(program))
    return tmp_path / "net.snn"


def filled(program: Program) -> ir.Params:
    """Every parameter filled with its position, so that ranges can be told apart."""
    return {
        key: np.full(spec.shape, 0.5 if key.endswith("beta") else number, "float32")
        for number, (key, spec) in enumerate(program.params().items())
    }


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


# -- inspect ----------------------------------------------------------------------------------------


def test_inspect_shows_program_equations_and_parameters(file: Path) -> None:
    result = call("inspect", file)
    assert result.exit_code == 0
    program, _ = ir.load(file)
    assert result.stdout.startswith(f"{program}\n")
    shown = lines(result.stdout)
    assert "lif1, lif2: Leaky subtract delayed ATan(alpha=2.0)" in shown
    assert "mem' = minimum(maximum(beta, 0), 1) * mem + x - reset * threshold" in shown
    assert "fc1.weight (4, 3) float32 0 yes" in shown
    assert "lif2.beta () float32 0.5 yes" in shown
    assert shown[-1] == "6 neurons, 30 parameters, 30 of them trainable"


def test_inspect_json_is_alone_on_stdout(file: Path) -> None:
    result = call("inspect", file, "--json")
    found = json.loads(result.stdout)
    program, params = ir.load(file)
    assert found["schema"] == 1
    assert found["file"] == str(file)
    assert found["program"] == str(program)
    assert (found["neurons"], found["parameters"]) == (6, sum(array.size for array in params.values()))
    assert [array["key"] for array in found["arrays"]] == list(program.params())
    assert found["arrays"][0] == {
        "key": "fc1.weight",
        "shape": [4, 3],
        "dtype": "float32",
        "low": 0.0,
        "high": 0.0,
        "trainable": True,
    }
    assert found["equations"][0]["nodes"] == ["lif1", "lif2"]


@pytest.mark.parametrize("content", [b"", b"not a file of ours", b"\xff" * 64])
def test_inspect_refuses_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.snn"
    path.write_bytes(content)
    result = call("inspect", path)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: cannot load '{path}': ")
    assert len(result.stderr.splitlines()) == 1


def test_inspect_says_which_endings_are_known(tmp_path: Path) -> None:
    result = call("inspect", tmp_path / "net.unheard")
    assert result.exit_code == 1
    assert "no installed format has the ending '.unheard'; known: .snn" in result.stderr


# -- equations --------------------------------------------------------------------------------------


def equations_of(neuron: Neuron) -> dict[str, str]:
    (group,) = equations(network(neuron))
    assert group.nodes == ("lif1", "lif2")
    return dict(group.lines)


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("timing", ["delayed", "retest", "immediate"])
def test_equations_of_every_model(name: str, timing: str) -> None:
    model = MODELS[name]
    for reset in model.kinds:
        if reset not in model.post.get(timing, {}):
            continue
        shown = equations_of(Neuron(model, reset=reset, timing=timing, graded=True))
        assert all(f"{state.name}'" in shown for state in model.states)
        assert not any("graft" in text for text in shown.values())
        assert ("reset" in shown) == (reset != "none" and timing != "immediate")


def test_equations_follow_the_options() -> None:
    model = MODELS["Leaky"]
    zero = equations_of(Neuron(model, reset="zero", surrogate=None))
    assert zero["mem'"] == "minimum(maximum(beta, 0), 1) * ((1 - reset) * mem) + x"
    assert zero["z"] == "mem' - threshold"
    assert "slope" not in zero
    assert equations_of(Neuron(model, timing="immediate"))["mem'"] == "mem' - spike * threshold"
    assert equations_of(Neuron(model, graded=True))["spk"] == "spike * graded_spikes_factor"
    assert equations_of(Neuron(model, quantised=True))["mem'"].startswith("the nearest of levels to ")


def test_equations_of_a_function() -> None:
    op = Pointwise(FrozenMap({"y": var("x") * 2.0}))
    (group,) = equations(sequential({"x": Input((3,)), "double": op}))
    assert (group.nodes, group.lines) == (("double",), (("y", "x * 2"),))


# -- explain ----------------------------------------------------------------------------------------


def test_explain_shows_tables(file: Path) -> None:
    result = call("explain", file, "--backend", "reference")
    assert result.exit_code == 0
    assert "node op shape" in lines(result.stdout)


@dataclass(frozen=True)
class PrinterOptions:
    x: int = 0


class Printer:
    """A backend that explains itself, and can do nothing else."""

    name = "printer"
    Options = PrinterOptions

    def __init__(self, can: Capabilities) -> None:
        self.can = can

    def capabilities(self) -> Capabilities:
        return self.can

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        row = (str(job.time_steps), str(job.batch), str(job.options.x))
        what = str(job.loss.terms[0].of) if isinstance(job, Train) else "run"
        return Explanation(
            tables={"job": (("steps", "batch", "x"), row), "what": (("what",), (what,))},
            sources={"kernel.c": "x[i] = 1;"},
        )


def test_explain_shows_sources_and_passes_the_job(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Printer(registry.load(BACKENDS, "cpu").capabilities())
    monkeypatch.setattr(registry, "load", lambda group, name: plugin)
    result = call("explain", file, "-b", "printer", "--time-steps", "7", "--batch", "3", "-o", "x=1")
    assert result.exit_code == 0
    assert lines(result.stdout)[:2] == ["job", "steps batch x"]
    assert lines(result.stdout)[3] == "7 3 1"
    assert "kernel.c" in result.stdout
    assert "x[i] = 1;" in result.stdout


def test_explain_may_be_about_training(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Printer(registry.load(BACKENDS, "cpu").capabilities())
    monkeypatch.setattr(registry, "load", lambda group, name: plugin)
    assert "run" in lines(call("explain", file, "-b", "printer").stdout)
    trained = call("explain", file, "-b", "printer", "--train", "--batch", "4")
    assert trained.exit_code == 0
    assert any(line.endswith(".spk") for line in lines(trained.stdout))  # what the loss reads


def test_explain_lists_what_is_not_supported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.load

    def load(group: str, name: str) -> object:
        return (
            Printer(Capabilities(ops={}, expressions=frozenset())) if name == "printer" else real(group, name)
        )

    monkeypatch.setattr(registry, "load", load)
    result = call("explain", file, "-b", "printer")
    assert result.exit_code == 1
    assert "backend 'printer' cannot run this program, for 6 reasons" in result.stderr
    assert "Installed backends that could: cpu, cuda, ipu, reference" in result.stderr
