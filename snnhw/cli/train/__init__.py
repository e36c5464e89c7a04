"""``snnhw train`` and ``snnhw resume``: a run that a file describes, which goes on wherever it was
stopped."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from snnhw.cli import console
from snnhw.cli.arguments import AsJson
from snnhw.cli.train import config as configs
from snnhw.cli.train.world import restarted, world
from snnhw.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from snnhw.cli.train.config import Config
    from snnhw.nn import Model
    from snnhw.plugin import Ranks

__all__ = ["resume", "train"]

SIGNALLED: Final = 128
"""A shell's exit status of a process that a signal ended is its number above this."""

MODEL, LOG = "model.snn", "history.jsonl"

Stood = Annotated[Path, typer.Argument(help="The folder of a run, or the checkpoint in it to go on from.")]


def train(
    config: Annotated[Path, typer.Argument(dir_okay=False, help="TOML, such as examples/digits.toml.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="The folder of the run.", show_default="the file's name with -run, here"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a network as a file says.

    What is stopped or killed, `snnhw resume` goes on with. In several processes, on one machine or on many:
    `torchrun --nproc-per-node 4 -m snnhw train FILE.toml`.

    Its folder holds checkpoints, a line for each epoch in history.jsonl and, in the end, the network in
    model.snn.
    """
    from snnhw.training.sharing import by_first

    found, folder = configs.read(config), out or Path(f"{config.stem}-run")
    with world(found.timeout, joint=found.joint) as ranks:
        by_first(ranks, lambda: _begun(config, found, folder))
        _run(found, folder, True, ranks, as_json=as_json)


def _begun(config: Path, found: Config, folder: Path) -> None:
    """Make the folder of a run, unless torchrun has begun it before."""
    from snnhw.training.checkpoints import files

    if files(folder) and not restarted():
        raise InputError(
            f"'{folder}' holds a run already; `snnhw resume {folder}` goes on with it, and --out names "
            "another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    configs.write_copy(config, found, folder)


def resume(run: Stood, *, as_json: AsJson = False) -> None:
    """Go on with a run that was stopped or killed.

    From its newest checkpoint on it is, in every bit, as if it had never been stopped.
    """
    folder = run if run.is_dir() else run.parent
    if not (folder / configs.COPY).is_file():
        raise InputError(
            f"'{folder}' is no folder of a run: it holds no {configs.COPY}, which `snnhw train` puts there"
        )
    found = configs.read(folder / configs.COPY)
    with world(found.timeout, joint=found.joint) as ranks:
        _run(found, folder, True if run.is_dir() or restarted() else run, ranks, as_json=as_json)


def _run(config: Config, folder: Path, start: bool | Path, ranks: Ranks, *, as_json: bool) -> None:
    from snnhw.training import Checkpoints, Stopped, fit, json_log, logs
    from snnhw.training.logs import row
    from snnhw.training.screen import HEADING, line
    from snnhw.training.sharing import by_first

    to = console.nowhere if ranks.rank else console.err if as_json else console.out
    with to.status("getting ready"):
        model, data, validate = _made(config, ranks)
    checkpoint = configs.checked("checkpoint", Checkpoints, {"folder": folder, **config.checkpoint})
    several = f", {ranks.size} processes" if ranks.size > 1 else ""
    to.print(f"{str(model).partition(', for training')[0]}{several}, in '{folder}'\n", soft_wrap=True)
    to.print(HEADING, style="bold")
    with model:
        try:
            history = fit(
                model,
                data,
                epochs=config.epochs,
                validate=validate,
                schedule=configs.schedule_of(config.schedule),
                checkpoint=checkpoint,
                resume=start,
                log=logs(lambda epoch: to.print(line(epoch)), json_log(folder / LOG)),
                progress=False,
                patience=config.patience,
                monitor=config.monitor,
            )
        except Stopped as stopped:
            where = str(stopped).partition(";")[0]
            said = f"{where}; all of it is saved: `snnhw resume {folder}` goes on"
            (console.nowhere if ranks.rank else console.err).print(said, soft_wrap=True)
            raise typer.Exit(SIGNALLED + stopped.signal) from None
        by_first(ranks, lambda: model.save(str(folder / MODEL)))
    if as_json and not ranks.rank:
        rows = [row(epoch) for epoch in history.epochs]
        told = {"schema": 1, "folder": str(folder), "ended": history.ended, "epochs": rows}
        console.print_json(told)
    else:
        to.print(f"\n{history.ended}; the network is in '{folder / MODEL}'", soft_wrap=True)


def _made(config: Config, ranks: Ranks) -> tuple[Model, Any, Any]:
    """The model, and what it is trained and scored on; all that is random in it is the seed's."""
    import numpy as np
    import torch

    import snnhw as snn
    from snnhw.cli.choice import default_backend
    from snnhw.cli.train import parts
    from snnhw.ir import OPTIMIZERS

    random.seed(config.seed)
    np.random.seed(config.seed % 2**32)  # noqa: NPY002  # what data sets of users draw from
    torch.manual_seed(config.seed)
    beside = Path(str(config.beside))
    net = parts.network(beside, config.network)
    data = parts.batches(beside, config.data, "data")
    validate = None if config.validate is None else parts.batches(beside, config.validate, "validate")
    sample, steps = parts.first_step(data, static=config.static)
    time_steps = config.time_steps or steps
    if time_steps is None:
        raise InputError("static = true needs time_steps, the number of steps that inputs stay the same")
    model = snn.compile(
        net,
        sample,
        backend=config.backend or default_backend(),
        time_steps=time_steps,
        static=config.static,
        loss=configs.made("loss", config.loss, _losses()),
        optimizer=configs.made("optimizer", config.optimizer, OPTIMIZERS),
        record=config.record,
        clip_norm=config.clip_norm,
        accumulate=config.accumulate,
        lengths=config.lengths,
        tbptt=config.tbptt,
        seed=config.seed,
        dt=config.dt,
        options=config.options,
        ranks=ranks,
    )
    return model, data, validate


def _losses() -> dict[str, Callable[..., Any]]:
    import snnhw.functional as SF

    return {name: getattr(SF, name) for name in SF.__all__ if name.endswith("_loss")}
