"""``snnhw verify``: where, when and by how much backends part on a network of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snnhw.cli.arguments import AsJson, parse_options
from snnhw.cli.console import complain, err, out, print_json, table
from snnhw.cli.guard import FAILED

if TYPE_CHECKING:
    from snnhw.conformance.compare import Mismatch, Parity
    from snnhw.conformance.verify import Held, Pair, Verification

__all__ = ["command"]

NUMBERS = ("spikes", "fired", "differ", "explained", "outside", "membrane")
"""Spikes compared; how many are not 0, how many differ, and how many of these rounding explains; other values
that are further off than that; the largest error of a membrane while all spikes are equal."""


def command(
    file: Annotated[Path, typer.Argument(help="A .snn file, or one that an installed format reads.")],
    *,
    on: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Backends, or reader@format, with commas between: cpu,reference."),
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Arrays by input name, [T, B, ...]: .npz, .safetensors, or .npy when there is one input. "
            "Without it: random numbers between 0 and 1.",
        ),
    ] = None,
    time_steps: Annotated[int, typer.Option(min=1, help="T, unless --inputs say it.")] = 25,
    batch: Annotated[int, typer.Option(min=1, help="B of random inputs.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of random inputs.")] = 0,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="BACKEND.KEY=VALUE",
            help="An option of one of the backends; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a network on several backends, and say where, when and by how much they part.

    Each is held to the float64 reference, and to the first of the list. Ends with status 1 when rounding
    does not explain a difference.
    """
    from snnhw import api
    from snnhw.conformance.inputs import random_inputs, read_inputs
    from snnhw.conformance.verify import verify

    program, params = api.load(file)
    if inputs is None:
        given = random_inputs(program, time_steps=time_steps, batch=batch, seed=seed)
    else:
        given = read_inputs(inputs, program)
        varying = [x for name, x in given.items() if name not in program.time.static_inputs and x.ndim]
        time_steps = len(varying[0]) if varying else time_steps
    names = tuple(filter(None, (name.strip() for name in on.split(","))))
    with err.status("getting ready") as status:
        found = verify(
            program,
            params,
            given,
            names,
            time_steps=time_steps,
            options=_by_backend(option),
            on_start=lambda name: status.update(f"running on {name}, and comparing"),
        )
    source = str(inputs) if inputs else f"random, seed {seed}"
    if as_json:
        print_json(_record(found, file, source))
    else:
        _show(found, file, source)
    if not found.ok:
        complain(_why(found))
        raise typer.Exit(FAILED)


def _by_backend(given: list[str] | None) -> dict[str, dict[str, object]]:
    """``["cpu.dtype=float64"]`` as a mapping of mappings."""
    found: dict[str, dict[str, object]] = {}
    for key, value in parse_options(given).items():
        backend, dot, name = key.rpartition(".")
        if not dot:
            raise typer.BadParameter(
                f"'{key}' does not say whose option it is: BACKEND.{key}", param_hint="-o"
            )
        found.setdefault(backend, {})[name] = value
    return found


# -- For people -----------------------------------------------------------------------------------


def _show(found: Verification, file: Path, source: str) -> None:
    out.print(f"{file}: T={found.time_steps}, B={found.batch}, inputs {source}\n", soft_wrap=True)
    for held in found.held:
        out.print(f"{_name(held)}: {held.dtype}, {held.seconds:.2f} s", soft_wrap=True)
    out.print("\nHeld to the reference", style="bold")
    rows = [(held.name, *_numbers(held.parity)) for held in found.held]
    out.print(table(("on", *NUMBERS), rows, right=NUMBERS))
    if found.pairs:
        out.print("\nHeld to each other", style="bold")
        pairs = [(f"{pair.name} and {pair.against}", *_numbers(pair.parity)) for pair in found.pairs]
        out.print(table(("on", *NUMBERS), pairs, right=NUMBERS))
    out.print("\nLayer by layer", style="bold")
    out.print(table(("layer", "on", *NUMBERS), _layers(found), right=NUMBERS))
    for line in _partings(found):
        out.print(f"\n{line}", soft_wrap=True)
    if not found.fired:
        out.print("\nNo neuron fired: other inputs say more (--inputs).", style="yellow")


def _name(held: Held) -> str:
    return f"{held.name} ({held.label})" if held.label else held.name


def _numbers(parity: Parity) -> tuple[str, ...]:
    return (
        f"{parity.spikes_compared:,}",
        f"{parity.spikes_fired:,}",
        f"{parity.spike_mismatches:,}",
        f"{parity.excused_near_threshold:,}",
        f"{parity.membranes_outside:,}",
        f"{parity.max_membrane_error:.2g}",
    )


def _layers(found: Verification) -> list[tuple[str, ...]]:
    return [
        (node, held.name, *_numbers(held.layers[node]))
        for node in found.held[0].layers
        for held in found.held
    ]


def _partings(found: Verification) -> Iterator[str]:
    """What differs first, in words."""
    for held in found.held:
        yield from _parting(held.name, "the reference", held.parity)
        if held.habits and not held.parity.ok:
            yield "\n  ".join((f"What is known of {held.name}, which may be why:", *held.habits))
        if held.missing:
            yield f"{held.name} does not return {', '.join(held.missing)}: not compared."
    for pair in found.pairs:
        yield from _parting(pair.name, pair.against, pair.parity)


def _parting(name: str, other: str, parity: Parity) -> Iterator[str]:
    first, wrong = parity.parting, parity.first
    if first is None and wrong is None:
        yield f"{name} and {other}: every spike is equal."
    if first is not None:
        verdict = "rounding explains it" if first.explained else "rounding does not explain it"
        yield f"{name} and {other} first part at {first}: {verdict}."
    if wrong is not None and wrong != first:
        yield f"{name} and {other}: the first value beyond rounding: {wrong}."


def _why(found: Verification) -> str:
    bad = [held.name for held in found.held if not held.parity.ok]
    bad += [f"{pair.name} and {pair.against}" for pair in found.pairs if not pair.parity.ok]
    if bad:
        return f"rounding does not explain every difference: {', '.join(bad)}"
    return "no spikes were compared"


# -- For machines ---------------------------------------------------------------------------------


def _record(found: Verification, file: Path, source: str) -> dict[str, object]:
    return {
        "schema": 1,
        "file": str(file),
        "inputs": source,
        "time_steps": found.time_steps,
        "batch": found.batch,
        "ok": found.ok,
        "held": [_held(held) for held in found.held],
        "pairs": [_pair(pair) for pair in found.pairs],
    }


def _held(held: Held) -> dict[str, object]:
    return {
        "backend": held.name,
        "label": held.label,
        "dtype": held.dtype,
        "seconds": held.seconds,
        "missing": list(held.missing),
        "habits": list(held.habits),
        **_parity(held.parity),
        "layers": [{"layer": node, **_parity(parity)} for node, parity in held.layers.items()],
    }


def _pair(pair: Pair) -> dict[str, object]:
    return {"backend": pair.name, "against": pair.against, **_parity(pair.parity)}


def _parity(parity: Parity) -> dict[str, Any]:
    found = asdict(parity)
    return {**found, "first": _mismatch(parity.first), "parting": _mismatch(parity.parting)}


def _mismatch(mismatch: Mismatch | None) -> dict[str, Any] | None:
    if mismatch is None:
        return None
    layer, _, _ = mismatch.port.rpartition(".")
    return {"layer": layer, **asdict(mismatch)}
