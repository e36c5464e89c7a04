"""Good files gone bad: flipped bytes, cut ends, and programs edited by someone who means harm.

Each is small and asks for little, so that any reader of safetensors or JSON would only refuse it: the length
in front is left alone, and no number, name or nesting is beyond what such readers take.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from safetensors.numpy import save as save_tensors

from snnhw.ir import (
    MODELS,
    ATan,
    Conv2d,
    Edge,
    FastSigmoid,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Param,
    Params,
    Pointwise,
    Program,
    TimeAxis,
    init_params,
    sequential,
    var,
)
from snnhw.ir.codec import to_json

__all__ = ["good", "mutants", "packed"]

Json = Any

DEEP: Json = 0
for _ in range(20):
    DEEP = [DEEP]

NASTY: tuple[Json, ...] = (
    *(None, True, False, -1, 0, 1, 7, 2**31, 2**63, 2**64, 10**300, 10**400, -(10**400)),
    *(0.5, -0.0, 1e308, 5e-324, "", "x", "x\n", "lambda", "__import__('os').system('true')", "x" * 1000),
    *("\0", "é", "\ud7ff", "../up", "__metadata__", "input.y", "lif.beta", "0x1.0p+9999", DEEP),
    *(
        [],
        {},
        [[]] * 50,
        [0, 0, 0],
        ["var", "x"],
        ["neg", 0],
        ["graft", *range(9)],
        ["root", 0],
        {"type": "Neuron"},
    ),
    *(
        {"type": "Input", "shape": [10**30]},
        {"type": "os.system", "cmd": "true"},
        {"__class__": "Op"},
        list(range(999)),
    ),
)


def good() -> tuple[Program, Params]:
    """A program with something of everything, and parameters for it."""
    leaky = MODELS["Leaky"]
    gain = Pointwise(FrozenMap({"y": var("x") * var("g"), "z": -var("x")}), parameters=(Param("g", 0.5),))
    chain = sequential(
        {
            "input": Input((1, 4, 4)),
            "conv": Conv2d(1, 2, (2, 2)),
            "pool": MaxPool2d((2, 2), (1, 1)),
            "lif": Neuron(leaky, "zero", "retest", ATan(3), param_shapes=FrozenMap({"beta": (2, 1, 1)})),
            "flat": Flatten(),
            "fc": Linear(8, 8, keys=FrozenMap({"bias": "fc.shared"})),
            "gain": gain,
            "out": Neuron(leaky, surrogate=FastSigmoid(), graded=True, quantised=True),
        },
        time=TimeAxis(1e-3, ("input",)),
    )
    loops = (Edge("out.spk", "fc.x", 2, 0.25), Edge("lif.mem", "lif.x", 1, "out.beta"))
    program = Program(chain.nodes, chain.edges + loops, chain.time, chain.trainable)
    return program, init_params(program, given={"lif.beta": 0.5, "out.beta": 0.9, "out.levels": [0.0, 0.5]})


def packed(program: Json, params: Params) -> bytes:
    """A file of a program as JSON, whatever it says."""
    return save_tensors(params, metadata={"snnhw": json.dumps(program)})


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Files that differ from a good one in a few places; always the same for the same seed."""
    choose = random.Random(seed)
    program, params = good()
    text = json.dumps(to_json(program))
    original = packed(json.loads(text), params)
    for _ in range(count):
        if choose.random() < 0.3:
            yield choose.choice(BYTES)(bytearray(original), choose)
        else:
            edited = json.loads(text)
            for _ in range(choose.choice((1, 1, 1, 2, 5))):
                choose.choice(EDITS)(*choose.choice(_places(edited)), choose)
            yield packed(edited, params)


LENGTH = 8
"""Bytes in front of a file: how long its header is."""


def _flip(data: bytearray, choose: random.Random) -> bytes:
    for _ in range(choose.randint(1, 4)):
        data[choose.randrange(LENGTH, len(data))] ^= 1 << choose.randrange(8)
    return bytes(data)


def _overwrite(data: bytearray, choose: random.Random) -> bytes:
    start = choose.randrange(LENGTH, len(data))
    data[start : start + choose.randint(1, 40)] = choose.randbytes(choose.randint(0, 40))
    return bytes(data)


def _cut(data: bytearray, choose: random.Random) -> bytes:
    return bytes(data[: choose.randrange(len(data))])


def _grow(data: bytearray, choose: random.Random) -> bytes:
    return bytes(data) + choose.randbytes(choose.randint(1, 1000))


def _shift(data: bytearray, choose: random.Random) -> bytes:
    """A header that ends a little earlier or later than it says."""
    said = int.from_bytes(data[:LENGTH], "little")
    return max(0, said + choose.choice((-said, -9, -1, 1, 9))).to_bytes(LENGTH, "little") + data[LENGTH:]


BYTES: tuple[Callable[[bytearray, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _overwrite,
    _cut,
    _grow,
    _shift,
)


def _places(data: Json) -> list[tuple[Json, Any]]:
    """Every place in a JSON value: a container, and an index or name in it."""
    found, waiting = [], [data]
    while waiting:
        outer = waiting.pop()
        for name in list(outer) if isinstance(outer, dict) else range(len(outer)):
            found.append((outer, name))
            if isinstance(outer[name], (dict, list)):
                waiting.append(outer[name])
    return found


def _replace(data: Json, name: Any, choose: random.Random) -> None:
    data[name] = copy.deepcopy(choose.choice(NASTY))


def _remove(data: Json, name: Any, _: random.Random) -> None:
    del data[name]


def _repeat(data: Json, name: Any, choose: random.Random) -> None:
    if isinstance(data, list):
        data.insert(name, data[name])
    else:
        data[str(choose.choice(NASTY))] = data[name]


def _rename(data: Json, name: Any, choose: random.Random) -> None:
    if isinstance(data, dict):
        data[str(choose.choice(NASTY))] = data.pop(name)


def _exchange(data: Json, name: Any, choose: random.Random) -> None:
    other = choose.choice(list(data) if isinstance(data, dict) else range(len(data)))
    data[name], data[other] = data[other], data[name]


def _nudge(data: Json, name: Any, choose: random.Random) -> None:
    if isinstance(data[name], int):
        data[name] += choose.choice((-2, -1, 1, 2))
    elif isinstance(data[name], str):
        data[name] = data[name][: choose.randint(0, len(data[name]))] + choose.choice(
            ("", "x", "\n", ".", "0")
        )


EDITS: tuple[Callable[[Json, Any, random.Random], None], ...] = (
    *(_replace, _replace, _replace, _remove, _repeat, _rename, _exchange, _nudge, _nudge),
)
