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

    from snnhw.cli.demo.digits import Data, Epoch
    from snnhw.conformance.compare.parity import Parity
    from snnhw.nn import Model
    from snnhw.plugin import Backend

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
    """Train a spiking network on handwritten digits, and hold it against the reference.

    Takes well under a minute and downloads nothing.
    """
    from snnhw import registry
    from snnhw.cli.choice import default_backend
    from snnhw.plugin import label_of

    start, options, to = perf_counter(), parse_options(option), console.err if as_json else console.out
    out.mkdir(parents=True, exist_ok=True)  # before the work: what cannot be written ends here
    with to.status("getting ready"):
        plugin = registry.backend(backend or default_backend(), options)
        from snnhw.cli.demo import digits

        train, test = digits.load(samples)
        model = digits.build(plugin.name, seed, options)
    fixed = plugin.capabilities().fixed_shapes
    label = label_of(plugin, registry.build_options(plugin, options))
    with model:
        screen.begin(to, plugin, label, len(train.y), len(test.y))
        with screen.Bar(to, epochs * digits.batches(train, fixed=fixed)) as bar:
            for epoch in digits.train(model, train, test, epochs, seed, fixed=fixed, tick=bar.tick):
                bar.line(epoch)
        with to.status("comparing every spike with the reference"):
            parity = _parity(plugin, model, test, options)
        with to.status("drawing"):
            files = _write(out, model, test, digits.evaluate(model, test.x, fixed=fixed))
    if as_json:
        console.print_json(_record(plugin, label, epoch, parity, files))
    else:
        to.print(f"\nDone in {perf_counter() - start:.0f} s.")
        chosen = "".join(f" -o {key}={value}" for key, value in options.items())
        screen.end(to, plugin.name + chosen, epoch, parity, files)
    if not parity.ok:
        console.complain(f"{plugin.name} differs from the reference beyond rounding: {parity.first}")
        raise typer.Exit(FAILED)


def _parity(plugin: Backend, model: Model, test: Data, options: Mapping[str, object]) -> Parity:
    """The trained network, on all test images at once."""
    from snnhw.cli.demo.digits import TIME_STEPS
    from snnhw.conformance.compare.parity import parity

    (name,) = model.program.time.static_inputs
    inputs = {name: test.x.numpy()}
    return parity(plugin, model.program, model.params, inputs, time_steps=TIME_STEPS, options=options)


def _record(
    plugin: Backend, label: str, last: Epoch, parity: Parity, files: Sequence[Path]
) -> dict[str, object]:
    """What a machine is told."""
    return {
        "schema": 1,
        "backend": plugin.name,
        "label": label,
        "accuracy": last.accuracy,
        "epochs": last.number,
        "spikes_per_sample": last.spikes,
        "parity": {
            "spikes_compared": parity.spikes_compared,
            "spike_mismatches": parity.spike_mismatches,
            "excused_near_threshold": parity.excused_near_threshold,
            "unexplained_mismatches": parity.unexplained_mismatches,
            "max_membrane_error": parity.max_membrane_error,
        },
        "files": [str(file) for file in files],
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
