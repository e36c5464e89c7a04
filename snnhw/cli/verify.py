"""``snnhw verify``: where, when and by how much backends part on a network of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snnhw.cli import chips
from snnhw.cli.arguments import AsJson, Read, parse_options, parse_settings
from snnhw.cli.console import complain, err, out, print_json, table
from snnhw.cli.guard import FAILED

if TYPE_CHECKING:
    from snnhw.parity.comparison import Parity
    from snnhw.parity.tally import Mismatch
    from snnhw.verify import Held, Pair, Verification

__all__ = ["command"]

NUMBERS = ("spikes", "fired", "differ", "explained", "outside", "membrane")
LAYERS = ("spikes", "differ", "explained", "first", "membrane")
"""Columns of the tables, for all layers together and for each."""

VENDOR = 2
"""Samples that a vendor's simulator is given: it takes seconds for each."""

LEGEND = {
    "spikes": "compared, those that are 0 included",
    "fired": "of these, how many are not 0",
    "differ": "how many are not what they are held to",
    "explained": "of these, those whose neuron is nearer to its threshold than rounding reaches",
    "outside": "values of states that are further off than rounding explains",
    "membrane": "the largest error of a state, up to the first spike that differs",
    "first": "the step of the first spike that differs",
}
"""What each column says."""


def command(
    file: Annotated[Path, typer.Argument(help="A .snn file, or one that an installed format reads.")],
    *,
    on: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="Backends, chips, or reader@format, with commas between: cpu,reference."
        ),
    ],
    read: Read = None,
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
            metavar="NAME.KEY=VALUE",
            help="An option of one of them; may be repeated.",
            show_default=False,
        ),
    ] = None,
    vendor: Annotated[
        bool, typer.Option("--vendor", help="Ask the simulators of chips' vendors, too: bit by bit.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a network on several backends, and say where they part.

    When, and by how much. Each is held to the float64 reference, and to the first of the list. Of a chip,
    three things are said: how far its integers are from the float network, whether the vendor's simulator
    gives the same, and whether it fits. Simulators that read the file's
    format are given the file as it is. Ends with status 1 when rounding does not explain a difference.
    """
    from snnhw import api
    from snnhw.verify import Source, verify
    from snnhw.verify.inputs import random_inputs, read_inputs

    reading = parse_settings(read, "--read")
    program, params = api.load(file, **reading)
    if inputs is None:
        given = random_inputs(program, time_steps=time_steps, batch=batch, seed=seed)
    else:
        given = read_inputs(inputs, program)
        varying = [x for name, x in given.items() if name not in program.time.static_inputs and x.ndim]
        time_steps = len(varying[0]) if varying else time_steps
    names, on_chips = chips.split(tuple(filter(None, (name.strip() for name in on.split(",")))))
    if on_chips and inputs is None:
        raise typer.BadParameter("chips are calibrated: give spikes, --inputs FILE", param_hint="--inputs")
    with err.status("getting ready") as status:
        seen = chips.held(program, params, given, on_chips, samples=VENDOR if vendor else 0)
        found = None
        if names or not on_chips:
            found = verify(
                program,
                params,
                given,
                names,
                time_steps=time_steps,
                source=Source(file, reading),
                options=_by_backend(option),
                on_start=lambda name: status.update(f"running on {name}, and comparing"),
            )
    source = str(inputs) if inputs else f"random, seed {seed}"
    if as_json:
        record = _record(found, file, source) if found else {"schema": 1, "file": str(file)}
        print_json({**record, "chips": chips.records(seen)} if on_chips else record)
    else:
        if found:
            _show(found, file, source)
        for each in seen:
            chips.show(each)
    bad = [_why(found)] if found and not found.ok else []
    bad += [chips.why(each) for each in seen if not each.ok]
    if bad:
        complain("; ".join(bad))
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
        out.print(f"{_name(held)}: {_fate(held)}", soft_wrap=True)
    out.print("\nHeld to the reference", style="bold")
    rows = [(held.name, *_numbers(held.parity)) for held in found.held if held.runs and not held.is_reference]
    out.print(table(("on", *NUMBERS), rows, right=NUMBERS))
    if found.pairs:
        out.print("\nHeld to each other", style="bold")
        pairs = [(f"{pair.name} and {pair.against}", *_numbers(pair.parity)) for pair in found.pairs]
        out.print(table(("on", *NUMBERS), pairs, right=NUMBERS))
    out.print("\nLayer by layer", style="bold")
    out.print(table(("layer", "on", *LAYERS), _layers(found), right=LAYERS))
    out.print()
    for column, words in LEGEND.items():
        out.print(f"{column:9}  {words}", style="dim", soft_wrap=True)
    for line in _partings(found):
        out.print(f"\n{line}", soft_wrap=True)
    if not found.fired:
        out.print("\nNo neuron fired: other inputs say more (--inputs).", style="yellow")


def _name(held: Held) -> str:
    return f"{held.name} ({held.label})" if held.label else held.name


def _fate(held: Held) -> str:
    """Whether it loaded and ran."""
    if not held.runs:
        return f"{'fails when it runs' if held.loads else 'does not load'}: {held.failure}"
    done = f"{held.dtype}, {held.seconds:.2f} s"
    if held.is_reference:
        return f"{done}; the reference, which the others are held to"
    reach = f"rounding reaches {held.parity.reach:.2g} from a threshold at most"
    return f"{'loads, runs; ' * ('@' in held.name)}{done}; {reach}"


def _numbers(parity: Parity, columns: tuple[str, ...] = NUMBERS) -> tuple[str, ...]:
    found = {
        "spikes": f"{parity.spikes_compared:,}",
        "fired": f"{parity.spikes_fired:,}",
        "differ": f"{parity.spike_mismatches:,}",
        "explained": f"{parity.excused_near_threshold:,}",
        "first": f"t={parity.parting.step}" if parity.parting else "-",
        "outside": f"{parity.membranes_outside:,}",
        "membrane": "-" if parity.max_membrane_error is None else f"{parity.max_membrane_error:.2g}",
    }
    return tuple(found[column] for column in columns)


def _layers(found: Verification) -> list[tuple[str, ...]]:
    return [
        (node, held.name, *(_numbers(held.layers[node], LAYERS) if held.runs else ["-"] * len(LAYERS)))
        for node in found.held[0].layers
        for held in found.held
        if not held.is_reference
    ]


def _partings(found: Verification) -> Iterator[str]:
    """What differs first, in words."""
    apart = {held.name: _places(held.parity) for held in found.held}
    for held in found.held:
        if held.runs and not held.is_reference:
            yield from _parting(held.name, "the reference", held.parity)
        if held.known and not held.ok:
            yield "\n  ".join((f"What is known of {held.name}, which may be why:", *held.known))
        if held.missing:
            yield f"{held.name} does not return {', '.join(held.missing)}: not compared."
    for pair in found.pairs:  # what is said of one and the reference is not said again
        said = apart[pair.name] | apart[pair.against]
        if said and not (_places(pair.parity) and _places(pair.parity) <= said):
            yield from _parting(pair.name, pair.against, pair.parity)


def _places(parity: Parity) -> set[str]:
    """Where it first parts, and where it is first beyond rounding."""
    return {found.where for found in (parity.parting, parity.first) if found is not None}


def _parting(name: str, other: str, parity: Parity) -> Iterator[str]:
    first, wrong = parity.parting, None if "@" in f"{name}{other}" else parity.first
    if first is None and wrong is None:
        yield f"{name} and {other}: every spike is equal."
    if first is not None:
        yield f"{name} and {other} first part at {first}: {_verdict(first)}."
    if wrong is not None and wrong != first:
        yield f"{name} and {other}: the first value beyond rounding: {wrong}."


def _verdict(first: Mismatch) -> str:
    if first.explained:
        return "rounding explains it"
    if first.ruled and first.tie:
        return "a tie, which one of them resolves by a rule of its own; rounding has no part in it"
    if first.ruled:
        return "a known rule of one of them explains it, not rounding"
    return "a tie; rounding does not explain it" if first.tie else "rounding does not explain it"


def _why(found: Verification) -> str:
    failed = [held.name for held in found.held if not held.runs]
    silent = [
        held.name for held in found.held if held.runs and not held.ok and not held.parity.spikes_compared
    ]
    bad = [held.name for held in found.held if held.runs and not held.ok and held.name not in silent]
    bad += [f"{pair.name} and {pair.against}" for pair in found.pairs if not pair.ok]
    said = {
        "rounding does not explain every difference": bad,
        "the network did not run": failed,
        "no spikes were compared": silent,
    }
    return "; ".join(f"{words}: {', '.join(names)}" for words, names in said.items() if names)


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
        "loads": held.loads,
        "runs": held.runs,
        "is_reference": held.is_reference,
        "failure": held.failure,
        "missing": list(held.missing),
        "known": list(held.known),
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
