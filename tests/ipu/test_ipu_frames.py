"""What goes between a worker and whoever asks it, as bytes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from snnhw_ipu.worker.frames import LIMITS, PROTOCOL, Frame, FrameError, Limits, read_frame, write_frame


def read(data: bytes, limits: Limits = LIMITS) -> Frame:
    stream = io.BytesIO(data)

    def exactly(size: int) -> bytes:
        found = stream.read(size)
        if len(found) < size:
            raise EOFError
        return found

    return read_frame(exactly, limits)


def frame(header: dict[str, object], **arrays: Any) -> bytes:
    parts: list[bytes] = []
    write_frame(parts.append, header, arrays)
    return b"".join(parts)


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float16", "float32", "float64"])
def test_arrays_arrive_as_they_were(dtype: str) -> None:
    sent = {
        "a": np.arange(6).reshape(2, 3).astype(dtype),
        "b": np.array(1, dtype),
        "c": np.zeros((0, 2), dtype),
    }
    header, found = read(frame({"ask": "é"}, **sent))
    assert header == {"ask": "é"}
    assert {name: (x.dtype.name, x.shape) for name, x in found.items()} == {
        name: (x.dtype.name, x.shape) for name, x in sent.items()
    }
    assert all(np.array_equal(found[name], sent[name]) for name in sent)
    found["a"][...] = 0  # the receiver's own


GOOD = frame({"ask": "run"}, x=np.arange(4, dtype=np.float32))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello, world, hello", "b'hello, w' came where a frame begins"),
        (b"SNNIPU" + (PROTOCOL + 1).to_bytes(2, "big"), f"speaks version {PROTOCOL + 1} of the protocol"),
        (GOOD.replace(b'"float32"', b'"object_"'), "is a object_"),
        (GOOD.replace(b"[4]", b"[9]"), "larger than the frame"),
        (GOOD.replace(b"[4]", b"[3]"), "belong to no array"),
        (GOOD.replace(b'{"ask"', b'}"ask"'), "header cannot be read"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message.replace("[", r"\[")):
        read(data)


@pytest.mark.parametrize("limits", [Limits(header=10), Limits(payload=15)])
def test_a_frame_beyond_the_limits_is_refused(limits: Limits) -> None:
    with pytest.raises(FrameError, match=r"a frame claims to hold \d+ \+ 16 bytes, which no frame does"):
        read(GOOD, limits)
    assert read(GOOD, Limits(payload=16))[0] == {"ask": "run"}


@pytest.mark.parametrize("cut", [0, 5, 15, 30, len(GOOD) - 1])
def test_a_frame_that_ends_early(cut: int) -> None:
    with pytest.raises(EOFError):
        read(GOOD[:cut])
