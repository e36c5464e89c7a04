"""Files that `save` did not write: each is refused, with the reason."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save as save_tensors

from snnhw.errors import LoadError
from snnhw.ir import MODELS, Input, Linear, Neuron, files, init_params, load, save, sequential

SMALL = sequential({"input": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(MODELS["Leaky"])})
VALUES = init_params(SMALL, given={"lif.beta": 0.5})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.snn"


def rewritten(change: Any) -> bytes:
    """The bytes of a file whose program was changed as JSON."""
    header = json.loads(files._written(SMALL))
    change(header)
    return save_tensors(VALUES, metadata={"snnhw": json.dumps(header)})


def tensors(**changes: Any) -> bytes:
    arrays = {key: value for key, value in {**VALUES, **changes}.items() if value is not None}
    return save_tensors(arrays, metadata={"snnhw": files._written(SMALL)})


def raw(header: Any, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def with_tensor(**entry: Any) -> bytes:
    """A file of one tensor, described freely."""
    tied = {"__metadata__": {"snnhw": files._written(SMALL)}, "fc.bias": entry}
    return raw(tied, b"\0" * 64)


NOT_OURS = "its header holds no snnhw program; was it written by snnhw.save"
NO_HEADER = "it is no safetensors file, or its header is cut off or too large"

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", NO_HEADER),
    "seven bytes": (b"\0" * 7, NO_HEADER),
    "a header longer than the file": ((100).to_bytes(8, "little") + b"{}", NO_HEADER),
    "an empty header": (b"\0" * 8, NOT_OURS),
    "a pickle": (pickle.dumps({"weights": [1.0, 2.0]}), NO_HEADER),
    "another safetensors file": (save_tensors({"a": np.zeros(3)}), NOT_OURS),
    "metadata of another kind": (save_tensors({"a": np.zeros(3)}, metadata={"format": "pt"}), NOT_OURS),
    "a header that is a list": (raw([1]), NOT_OURS),
    "metadata that is a number": (raw({"__metadata__": 1}), NOT_OURS),
    "a program that is a number": (raw({"__metadata__": {"snnhw": 1}}), NOT_OURS),
    "a program that is no JSON": (raw({"__metadata__": {"snnhw": "{"}}), NOT_OURS),
    "a program with NaN": (raw({"__metadata__": {"snnhw": "[NaN]"}}), NOT_OURS),
    "a number of five thousand digits": (raw({"__metadata__": {"snnhw": "[" + "1" * 5000 + "]"}}), NOT_OURS),
    "a program that is a list": (raw({"__metadata__": {"snnhw": "[]"}}), r"file: \[\] is not an object"),
    "another version": (rewritten(lambda h: h.update(ir_version=99)), "ir_version 99; this release reads 1"),
    "a program that is not valid": (rewritten(lambda h: h["edges"].pop()), "output.x: nothing arrives here"),
    "a missing tensor": (tensors(**{"fc.bias": None}), "parameter 'fc.bias' is missing"),
    "a tensor too many": (tensors(extra=np.zeros(1)), "'extra' is no parameter of this program"),
    "a tensor of another shape": (
        tensors(**{"fc.bias": np.zeros(4)}),
        r"'fc.bias' has shape \(4,\), not \(3,\)",
    ),
    "a tensor of integers": (tensors(**{"fc.bias": np.zeros(3, int)}), "'fc.bias' has dtype int64; accepted"),
    "NaN": (tensors(**{"fc.bias": np.array([0, np.nan, 0])}), "'fc.bias' holds values that are not finite"),
    "infinity": (
        tensors(**{"lif.beta": np.array(np.inf, np.float32)}),
        "'lif.beta' holds values that are not finite",
    ),
    "a dtype that NumPy lacks": (
        with_tensor(dtype="BF16", shape=[32], data_offsets=[0, 64]),
        "its tensors cannot be read: 'BF16'",
    ),
    "a dtype that nobody has": (
        with_tensor(dtype="F99", shape=[16], data_offsets=[0, 64]),
        "its tensors cannot be read: .*F99",
    ),
    "offsets beyond the file": (
        with_tensor(dtype="F32", shape=[32], data_offsets=[0, 128]),
        "its tensors cannot be read",
    ),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_what_save_did_not_write(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(LoadError, match=f"cannot load '{re.escape(str(path))}': ") as caught:
        load(path)
    assert re.search(message, str(caught.value))


def test_a_name_beyond_bounds_is_cut_short_in_the_error(path: Path) -> None:
    path.write_bytes(tensors(**{"n" * 2000: np.zeros(1)}))
    with pytest.raises(LoadError) as caught:
        load(path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "error", [SafetensorError("too many"), KeyError("BF16"), ValueError("too many axes")]
)
def test_what_its_own_reader_refuses_is_refused_here(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The reader of safetensors says no in several ways; a stand-in says each."""
    save(path, SMALL, VALUES)
    monkeypatch.setattr(files, "load_tensors", Mock(side_effect=error))
    with pytest.raises(LoadError, match=f"its tensors cannot be read: {re.escape(str(error))}"):
        load(path)


@pytest.mark.parametrize("error", [RecursionError("too deep"), msgspec.DecodeError("no JSON")])
def test_what_the_reader_of_json_refuses_is_refused_here(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save(path, SMALL, VALUES)
    monkeypatch.setattr("snnhw.ir.files.msgspec.json.decode", Mock(side_effect=error))
    with pytest.raises(LoadError, match=NOT_OURS):
        load(path)
