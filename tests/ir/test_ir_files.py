"""Files: whole or not at all, equal bytes for equal content, and safe to read."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_strategies import QUICK, params_of, programs
from safetensors.numpy import load as load_tensors

from snnhw.errors import LoadError, ProgramError
from snnhw.ir import (
    MODELS,
    ATan,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Params,
    Program,
    init_params,
    load,
    save,
    sequential,
)
from snnhw.ir.limits import Limits

LEAKY = MODELS["Leaky"]
SMALL = sequential({"input": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(LEAKY)})
VALUES = init_params(SMALL, given={"lif.beta": 0.5})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.snn"


def same(one: Params, other: Params) -> bool:
    return set(one) == set(other) and all(
        one[key].dtype == other[key].dtype
        and one[key].shape == other[key].shape
        and one[key].tobytes() == other[key].tobytes()
        for key in one
    )


# -- Round trips ------------------------------------------------------------------------------------


@settings(QUICK, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_round_trip(path: Path, data: st.DataObject) -> None:
    program = data.draw(programs())
    params = data.draw(params_of(program))
    save(path, program, params)
    again, found = load(path)
    assert again == program
    assert str(again) == str(program)
    assert same(found, params)
    first = path.read_bytes()
    save(path, again, found)
    assert path.read_bytes() == first


def test_arrays_of_any_layout_keep_their_values(path: Path) -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    for odd in (
        np.asfortranarray(weight),
        weight[::-1][::-1],
        np.repeat(weight, 2, 1)[:, ::2],
        weight.astype(">f4"),
    ):
        save(path, SMALL, {**VALUES, "fc.weight": odd})
        np.testing.assert_array_equal(load(path)[1]["fc.weight"], weight)


def test_loaded_arrays_may_be_changed(path: Path) -> None:
    save(path, SMALL, VALUES)
    weight = load(path)[1]["fc.weight"]
    weight[0, 0] = 7.0
    assert weight[0, 0] == 7.0


def test_names_of_files_may_be_strings(path: Path) -> None:
    save(str(path), SMALL, VALUES)
    assert load(str(path))[0] == SMALL


def test_any_reader_of_safetensors_sees_the_arrays(path: Path) -> None:
    save(path, SMALL, VALUES)
    assert same(load_tensors(path.read_bytes()), VALUES)


def test_parameters_come_back_in_the_order_of_the_program(tmp_path: Path) -> None:
    """Whatever order the reader of the file has them in."""
    layers: dict[str, Op] = {"x": Input((2,)), **{f"fc{n}": Linear(2, 2) for n in (3, 1, 2)}}
    program = sequential(layers)
    save(tmp_path / "net.snn", program, init_params(program))
    for _ in range(3):
        assert list(load(tmp_path / "net.snn")[1]) == list(program.params())


def test_equal_content_gives_equal_bytes_in_every_process(tmp_path: Path) -> None:
    script = """
import sys, hashlib, random
from snnhw.ir import *
names = ["a", "b", "c", "d"]
layers = {"input": Input((4,)), **{n: Linear(4, 4) for n in names},
          "lif": Neuron(MODELS["Leaky"], param_shapes=FrozenMap({"beta": (4,), "threshold": (1,)}))}
program = sequential(layers)
params = init_params(program, given={"lif.beta": 0.5})
shuffled = list(params); random.shuffle(shuffled)
save(sys.argv[1], program, {key: params[key] for key in shuffled})
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / f"{seed}.snn")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1


# -- What save refuses --------------------------------------------------------------------------------


def test_a_program_that_is_not_valid(path: Path) -> None:
    wrong = Program(SMALL.nodes, (*SMALL.edges, Edge("gone.y", "fc.x")))
    with pytest.raises(ProgramError, match="there is no node 'gone'"):
        save(path, wrong, VALUES)
    assert not path.exists()


def test_parameters_that_do_not_fit(path: Path) -> None:
    with pytest.raises(ProgramError, match=r"parameter 'fc.bias' has shape"):
        save(path, SMALL, {**VALUES, "fc.bias": np.zeros(4)})
    assert not path.exists()


def test_what_could_not_be_read_back(path: Path) -> None:
    @dataclass(frozen=True)
    class Mine(ATan):
        pass

    own = sequential({"input": Input((4,)), "lif": Neuron(LEAKY, surrogate=Mine())})
    with pytest.raises(ProgramError, match=r"it cannot be written: .*'Mine' is not one of"):
        save(path, own, init_params(own, given={"lif.beta": 0.5}))
    impostor = type("ATan", (ATan,), {})
    own = sequential({"input": Input((4,)), "lif": Neuron(LEAKY, surrogate=impostor())})
    with pytest.raises(ProgramError, match="it cannot be written: read back, it would be another program"):
        save(path, own, init_params(own, given={"lif.beta": 0.5}))
    assert not path.exists()


def test_a_program_beyond_the_bounds(path: Path) -> None:
    with pytest.raises(
        ProgramError, match=r"it cannot be written: it takes .* bytes; at most 500 are accepted"
    ):
        save(path, SMALL, VALUES, limits=Limits(header=1000))


def test_numbers_of_numpy_are_numbers(path: Path) -> None:
    loop = Edge("lif.spk", "lif.x", 1, np.float64(0.5))
    program = Program(SMALL.nodes, (*SMALL.edges, loop))
    save(path, program, VALUES)
    assert load(path)[0] == program


# -- Whole or not at all ------------------------------------------------------------------------------


def test_a_process_killed_while_saving_leaves_a_file_that_loads(path: Path) -> None:
    script = """
import sys
from snnhw.ir import *
program = sequential({"input": Input((300,)), "fc": Linear(300, 300)})
params = init_params(program)
save(sys.argv[1], program, params)
print("saved", flush=True)
while True:
    save(sys.argv[1], program, params)
"""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"saved\n"
            process.kill()
        assert load(path)[0].named(Linear) == ("fc",)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "gone" / "net.snn", SMALL, VALUES)


# -- What is no file of ours ---------------------------------------------------------------------------


def test_what_is_not_finite_may_be_allowed(path: Path) -> None:
    params = {**VALUES, "fc.bias": np.array([0, np.nan, np.inf])}
    save(path, SMALL, params)
    assert same(load(path, allow_nonfinite=True)[1], params)


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(LoadError, match="No such file or directory"):
        load(path)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="it is not a regular file"):
        load(tmp_path)


@pytest.mark.parametrize("other", [os.curdir, os.devnull], ids=["a folder", "a device"])
def test_what_is_no_regular_file_is_not_opened(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    """Some devices could be read for ever, and a pipe would be waited for."""
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(LoadError, match="it is not a regular file"):
        load(other)


def test_a_file_too_large_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, SMALL, VALUES)
    size = path.stat().st_size
    assert load(path, limits=Limits(file=size))[0] == SMALL
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(LoadError, match=f"it holds {size} bytes; at most {size - 1} are read"):
        load(path, limits=Limits(file=size - 1))


def test_tied_and_shaped_parameters_come_back(path: Path) -> None:
    tied = sequential(
        {
            "input": Input((3,)),
            "one": Linear(3, 3),
            "two": Linear(3, 3, keys=FrozenMap({"weight": "one.weight"})),
            "lif": Neuron(LEAKY, param_shapes=FrozenMap({"beta": (3,)})),
        }
    )
    params = init_params(tied, given={"lif.beta": [0.1, 0.2, 0.3]})
    save(path, tied, params)
    again, found = load(path)
    assert again == tied
    assert same(found, params)
