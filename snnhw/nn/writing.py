"""Parameters of a program, back into a torch module of one's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from snnhw import api
from snnhw.errors import CaptureError, InputError
from snnhw.ir import Edge, FrozenMap, Input, Op, Output, Params, Program
from snnhw.nn.capture.capture import capture
from snnhw.nn.modules.neuron import SpikingNeuron
from snnhw.words import brief

__all__ = ["load_into", "names_of", "names_within", "write_into"]

OTHER = "is it the one that was compiled?"


def load_into(net: nn.Module, path: str | os.PathLike[str]) -> None:
    """Copy the parameters of a file that holds this network, as `snnhw.save` or a compiled model's ``save``
    wrote it, into a torch module of one's own.

    Args:
        net: computes what the file holds, whatever its layers are called; buffers that training measures
            are copied, too.

    Raises:
        LoadError: the file is not what its ending says.
        InputError: the module is another network, or has parameters of other sizes; nothing was copied then.
    """
    if not isinstance(net, nn.Module):
        raise InputError(f"load_into(net, path) writes into a torch module, not into {brief(net)}")
    program, params = api.load(path)
    write_into(net, names_within(net, program), params)


def names_of(net: nn.Module, known: Mapping[str, str], program: Program) -> Mapping[str, str]:
    """Parameter key of a program -> a module's name of it.

    Args:
        known: those of the module that was compiled; empty where there was none.

    Raises:
        InputError: the module has others, and computes something else.
    """
    own = _tensors_of(net)
    if known and all(pattern.replace("*", "0") in own for pattern in known.values()):
        return known
    return names_within(net, program)


def names_within(net: nn.Module, program: Program) -> Mapping[str, str]:
    """Parameter key of a program -> a module's name of it, for a module that computes the program.

    Raises:
        InputError: it computes something else; says in what they differ.
    """
    inputs = {name: program.nodes[name] for name in program.named(Input)}
    samples = tuple(torch.zeros(1, *op.shape) for op in inputs.values() if isinstance(op, Input))
    try:
        found = capture(net, samples[0] if len(samples) == 1 else samples)
    except CaptureError as error:
        raise InputError(f"the module cannot be held to the program: {error}") from error
    ours, theirs = found.program.params(), program.params()
    if _shapes(found.program) == _shapes(program):
        return found.names
    if (keys := _by_place(found.program, program)) is not None:
        return {key: found.names[mine] for key, mine in keys.items() if mine in found.names}
    for key in sorted(ours.keys() | theirs.keys()):
        here, there = (params[key].shape if key in params else None for params in (ours, theirs))
        if here != there:
            raise InputError(
                f"the module is another network: parameter '{key}' is {_in_words(here)} in it, and "
                f"{_in_words(there)} in the program; build it as the one that was saved"
            )
    raise AssertionError("the shapes differ somewhere")


def _by_place(own: Program, program: Program) -> dict[str, str] | None:
    """Parameter key of a program -> that of one of the same nodes and edges, whatever they are called and
    whatever is returned of them; None where it is another one."""
    theirs, ours = (_inside(each) for each in (program, own))
    if list(theirs.values()) != list(ours.values()):
        return None
    names = dict(zip(theirs, ours, strict=True))
    edges = {(_moved(e.src, names), _moved(e.dst, names), e.delay) for e in _between(program, theirs)}
    mine = {(e.src, e.dst, e.delay) for e in _between(own, ours)}
    if edges != mine:
        return None
    keys: dict[str, str] = {}
    for node, other in names.items():
        found = own.param_keys(other)
        for param, key in program.param_keys(node).items():
            if keys.setdefault(key, found[param]) != found[param]:
                return None  # shared there, and not here
    shapes = _shapes(own)
    return keys if _shapes(program) == {key: shapes[other] for key, other in keys.items()} else None


def _inside(program: Program) -> dict[str, Op]:
    """What computes, whoever shares its parameters."""
    return {
        name: replace(op, keys=FrozenMap())
        for name, op in program.nodes.items()
        if not isinstance(op, Output)
    }


def _between(program: Program, nodes: Mapping[str, Op]) -> list[Edge]:
    return [edge for edge in program.edges if edge.target.node in nodes]


def _moved(port: str, names: Mapping[str, str]) -> str:
    node, _, name = port.rpartition(".")
    return f"{names[node]}.{name}"


def _shapes(program: Program) -> dict[str, tuple[int, ...]]:
    return {key: spec.shape for key, spec in program.params().items()}


def _in_words(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else f"of shape {list(shape)}"


def write_into(net: nn.Module, names: Mapping[str, str], params: Params) -> None:
    """Copy parameters into a module, under its own names; all or none.

    Args:
        names: parameter key -> the module's name, in which ``*`` stands for numbers along the first axis.

    Raises:
        InputError: the module lacks one of them, or has it in another size; nothing was copied then.
    """
    own = _tensors_of(net)
    given: Params = {}
    for key, pattern in names.items():
        given |= _parts(pattern, params[key])
    missing = sorted(name for name in given if name not in own)
    if missing:
        raise InputError(f"the module has no parameter {', '.join(missing)}; {OTHER}")
    for name, array in given.items():
        if own[name].numel() != array.size:
            raise InputError(
                f"'{name}' has shape {list(own[name].shape)} in the module, "
                f"but {list(array.shape)} was compiled; {OTHER}"
            )
    with torch.no_grad():
        for name, array in given.items():
            own[name].copy_(torch.as_tensor(array).reshape(own[name].shape))


def _tensors_of(net: nn.Module) -> dict[str, Tensor]:
    """What a module holds, and the parts of it that neurons compute with, by name."""
    own: dict[str, Tensor] = dict(net.named_parameters(remove_duplicate=False))  # two layers may share one
    own |= net.named_buffers(remove_duplicate=False)
    for path, layer in net.named_modules():
        if isinstance(layer, SpikingNeuron):
            own |= {f"{path}.{part}".removeprefix("."): view for part, view in layer._hw_parts().items()}
    return own


def _parts(pattern: str, array: Any) -> Params:
    """The arrays that a parameter stands for: itself, or what lies along its first axis."""
    if "*" not in pattern:
        return {pattern: array}
    return {pattern.replace("*", str(number)): part for number, part in enumerate(array)}
