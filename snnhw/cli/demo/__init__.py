"""``snnhw demo``: train, compare with the reference, save, draw. Every number is measured as it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from snnhw.cli import console
from snnhw.cli.arguments import AsJson, Options, parse_options
from snnhw.cli.demo import screen
from snnhw.cli.guard import FAILED

if TYPE_CHECKING:
    from torch import Tensor

    from snnhw.cli.demo.digits import Data
    from snnhw.nn import Model
    from snnhw.parity.live import Live
    from snnhw.plugin import Backend
    from snnhw.training import Epoch

__all__ = ["command"]

DIRECTORY: Final = Path("snnhw-demo")


def command(
    *,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            "-b",
            envvar="SNNHW_BACKEND",
            metavar="NAME",
            help="What to train on; `snnhw backends` lists them.",
            show_default="the first that is ready and trains",
        ),
    ] = None,
    option: Options = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through the images.")] = 12,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Decides the weights and the order of the images.")
    ] = 0,
    samples: Annotated[
        int | None,
        typer.Option(
            min=100, max=1797, help="Use only so many images, a fifth of them to test.", show_default="all"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder to write to.")] = DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Train on handwritten digits, and compare with the reference.

    Takes well under a minute and downloads nothing.
    """
    from snnhw import registry
    from snnhw.cli.choice import default_backend
    from snnhw.plugin import label_of

    start, options, to = perf_counter(), parse_options(option), console.err if as_json else console.out
    out.mkdir(parents=True, exist_ok=True)  # before the work: what cannot be written ends here
    with to.status("getting ready"):
        plugin = registry.backend(backend or default_backend(), options)
        from snnhw.cli.demo import digits, events

        train, test = digits.load(samples)
        model = digits.build(plugin.name, seed, options)
    fixed = plugin.capabilities().fixed_shapes
    label = label_of(plugin, registry.build_options(plugin, options))
    with model:
        screen.begin(to, plugin, label, len(train.y), len(test.y))
        with screen.Bar(to) as bar:
            history = digits.train(
                model, train, test, epochs, seed, fixed=fixed, progress=bar.tick, log=bar.line
            )
            last = history.last
        with to.status("comparing every spike with the reference"):
            found = {"images": model.verify(digits.first(test, fixed=fixed).x)}
        with to.status("drawing"):
            files = _write(out, model, test, digits.evaluate(model, test.x, fixed=fixed))
    with to.status("the same with events"), events.build(plugin.name, seed, options) as other:
        found["events"] = events.held(other, train, test)
    if as_json:
        console.print_json(_record(plugin, label, last, found, files))
    else:
        to.print(f"\nDone in {perf_counter() - start:.0f} s.")
        chosen = "".join(f" -o {key}={value}" for key, value in options.items())
        screen.end(to, plugin.name + chosen, last, found, files)
    for what, live in found.items():
        if not live.ok:
            console.complain(f"on {what}, what {plugin.name} trained is {live}")
    if not all(live.ok for live in found.values()):
        raise typer.Exit(FAILED)


def _record(
    plugin: Backend, label: str, last: Epoch, found: Mapping[str, Live], files: Sequence[Path]
) -> dict[str, object]:
    """What a machine is told; ``parity`` is that of the images."""
    scores = screen.scores(last)
    return {
        "schema": 1,
        "backend": plugin.name,
        "label": label,
        "accuracy": scores.accuracy,
        "epochs": last.number,
        "spikes_per_sample": scores.spikes,
        "parity": _counts(found["images"]),
        "events": _counts(found["events"]),
        "files": [str(file) for file in files],
    }


def _counts(live: Live) -> dict[str, object]:
    parity = live.parity
    return {
        "ok": live.ok,
        "spikes_compared": parity.spikes_compared,
        "spike_mismatches": parity.spike_mismatches,
        "excused_near_threshold": parity.excused_near_threshold,
        "unexplained_mismatches": parity.unexplained_mismatches,
        "max_membrane_error": parity.max_membrane_error,
        "apart": live.apart,
        "is_reference": live.is_reference,
    }


def _write(directory: Path, model: Model, test: Data, recorded: Mapping[str, Tensor]) -> list[Path]:
    """Each file whole or not at all, whenever this is interrupted."""
    from snnhw.cli.demo import pictures
    from snnhw.ir import write_atomic

    files = [directory / name for name in screen.FILES]
    trained, raster, traces = files
    model.save(str(trained))
    write_atomic(raster, pictures.raster_picture(test, recorded))
    write_atomic(traces, pictures.traces_picture(test, recorded))
    return files
