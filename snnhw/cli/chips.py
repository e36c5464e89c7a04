"""The part of ``snnhw verify`` that is about chips: three verdicts, which are never mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from snnhw.cli.console import out, table
from snnhw.cli.export import show_limits

if TYPE_CHECKING:
    from snnhw.deploy import Verdicts
    from snnhw.ir import Params, Program
    from snnhw.plugin import Arrays

__all__ = ["held", "records", "show", "split", "why"]

LAYERS = ("fired", "chip", "differ", "grid", "free")


def split(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Backends and readers, and chips."""
    from snnhw import registry
    from snnhw.plugin import TARGETS

    chips = set(registry.names(TARGETS))
    return tuple(n for n in names if n not in chips), tuple(n for n in names if n in chips)


def held(
    program: Program, params: Params, data: Arrays, chips: tuple[str, ...], *, samples: int
) -> list[Verdicts]:
    """Verdicts on each chip."""
    from snnhw.deploy import deploy, target_of, verdicts

    return [
        verdicts(deploy(program, params, target_of(name), data, allow_shifted=True), data, vendor=samples)
        for name in chips
    ]


def show(found: Verdicts) -> None:
    """For people."""
    out.print(f"\n{found.target}: {found.label}", style="bold")
    out.print("A. the float network on the chip, each layer given the float network's spikes")
    rows = [
        (x.name, f"{x.fired:,}", f"{x.chip:,}", f"{x.differ:.2%}", f"{x.grid:.2%}", f"{x.free:,}")
        for x in found.layers
    ]
    out.print(table(("layer", *LAYERS), rows, right=LAYERS))
    out.print(f"the largest output is the same for {found.agree:.1%} of the samples", soft_wrap=True)
    if found.vendor is None:
        out.print("B. the vendor's simulator: not asked (--vendor)")
    else:
        seen = found.vendor
        said = f"{seen.compared:,} integers compared, {seen.differ:,} differ"
        out.print(f"B. {seen.by}: {said}", soft_wrap=True)
        if seen.first:
            out.print(f"   first at {seen.first}", soft_wrap=True)
    out.print("C. limits")
    show_limits(found.uses)


def why(found: Verdicts) -> str:
    """What is wrong, in words."""
    said = {
        "A: layers fire otherwise than the float network": [x.name for x in found.layers if not x.ok],
        "B: integers differ from the vendor's": []
        if found.vendor is None or found.vendor.ok
        else ["--vendor"],
        "C: it does not fit": [use.limit.name for use in found.uses if not use.fits],
    }
    return f"{found.target}: " + "; ".join(f"{what} ({', '.join(at)})" for what, at in said.items() if at)


def records(found: list[Verdicts]) -> list[Mapping[str, object]]:
    """For machines."""
    return [{**asdict(each), "ok": each.ok} for each in found]
