"""Inputs for somebody else's network, at random or from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from snnhw.errors import InputError
from snnhw.ir import MODELS, Input, Linear, Neuron, Program, TimeAxis, sequential
from snnhw.verify.inputs import random_inputs, read_inputs

T, B = 8, 3


@pytest.fixture
def program() -> Program:
    return sequential({"x": Input((4,)), "fc": Linear(4, 6), "lif": Neuron(MODELS["Leaky"])})


def test_random_inputs_fit_the_program(program: Program) -> None:
    assert random_inputs(program, time_steps=T, batch=B)["x"].shape == (T, B, 4)
    steady = replace(program, time=TimeAxis(static_inputs=("x",)))
    found = random_inputs(steady, time_steps=T, batch=B, seed=1)["x"]
    assert found.shape == (B, 4)
    assert found.dtype == np.float32


def test_inputs_from_files(program: Program, tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.savez(tmp_path / "a.npz", x=x)
    np.save(tmp_path / "a.npy", x)
    save_file({"x": x}, tmp_path / "a.safetensors")
    for name in ("a.npz", "a.npy", "a.safetensors"):
        assert np.array_equal(read_inputs(tmp_path / name, program)["x"], x)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.txt", "inputs are read from .npz, .npy, .safetensors"),
        ("a.npy", "a.npy' cannot be read:"),
        ("a.safetensors", "a.safetensors' cannot be read:"),
    ],
)
def test_a_file_that_holds_no_inputs(name: str, message: str, program: Program, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"words")
    with pytest.raises(InputError, match=message):
        read_inputs(path, program)


def test_one_array_for_two_inputs(tmp_path: Path) -> None:
    program = sequential({"x": Input((2,)), "fc": Linear(2, 2)})
    program = replace(program, nodes=type(program.nodes)({**program.nodes, "y": Input((2,))}))
    np.save(tmp_path / "a.npy", np.zeros((1, 1, 2)))
    with pytest.raises(InputError, match="holds one array; this network has the inputs x, y"):
        read_inputs(tmp_path / "a.npy", program)
