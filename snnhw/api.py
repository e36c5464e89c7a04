"""What a user calls: compile, save, load, export, backends. Glue without logic."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from snnhw import registry
from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import Input, Loss, Optimizer, Params, Program, files, init_params, require_valid
from snnhw.lowering import lower, make_job
from snnhw.options import check_format_options, check_keywords, with_hints
from snnhw.passes import ending, resolve_loss
from snnhw.plugin import BACKENDS, FORMATS, Array, Arrays, Probe, Ranks, Report

if TYPE_CHECKING:
    from torch import nn

    from snnhw.nn.model import Model

__all__ = [
    "SUFFIX",
    "backends",
    "compile",
    "export",
    "load",
    "save",
]

SUFFIX = ".snn"
"""Ending of snnhw's own files."""

Network = Any
"""A torch module, a `Program`, or ``(Program, Params)`` as `load` gives it."""


def backends() -> dict[str, Probe]:
    """Every installed backend, and whether it can run here."""
    return registry.survey(BACKENDS)


_BACKEND: Final = "give backend=..., the name of one; snnhw.backends() lists those that are installed"

HINTS: Final[Mapping[str, str]] = {
    "backend": _BACKEND,
    **dict.fromkeys(("device", "devices"), f"where it runs is said by the choice of the backend: {_BACKEND}"),
    "time_steps": "give time_steps=T, the number of steps of one call",
    **dict.fromkeys(("num_steps", "steps", "timesteps", "T"), "give time_steps=T"),
    **dict.fromkeys(("batch", "batch_size"), "the batch is that of the sample, [B, ...]"),
    **dict.fromkeys(("lr", "learning_rate"), "give optimizer=snnhw.optim.Adam(lr=...)"),
    **dict.fromkeys(("criterion", "loss_fn"), "give loss=..., such as snnhw.functional.ce_rate_loss()"),
    **dict.fromkeys(
        ("epochs", "dataloader"),
        "snnhw.training.fit(model, data, epochs=...) trains what is compiled",
    ),
    **dict.fromkeys(("dtype", "precision"), "give options={...: ...}, which are the backend's own"),
}
"""Argument -> what to do where `compile` misses it, or does not have it."""


@with_hints(HINTS)
def compile(  # the verb of the design, reached as snnhw.compile
    net: nn.Module | Program | tuple[Program, Params],
    sample: Array | Arrays,
    *,
    backend: str,
    time_steps: int,
    static: bool = False,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    record: Sequence[str] = (),
    clip_norm: float | None = None,
    accumulate: int = 1,
    lengths: bool = False,
    tbptt: int | None = None,
    seed: int = 0,
    dt: float | None = None,
    options: Mapping[str, object] | None = None,
    ranks: Ranks | None = None,
) -> Model:
    """Compile a network for a backend chosen by name.

    Args:
        net: a torch module that computes one time step; or a program, with its parameters or, to
            start afresh, without.
        sample: one time step of input, ``[B, ...]``; a tuple, or input name -> array, for several.
        backend: its name; ``snnhw backends`` lists them.
        time_steps: T.
        static: whether inputs do not change over time, and are given as ``[B, ...]``.
        loss: a loss value, for training; needs an optimizer.
        optimizer: an optimizer value, for training; needs a loss.
        record: further ports to return, such as ``"lif1.mem"``.
        clip_norm: bound on the 2-norm of all gradients together, before each update; None for none.
        accumulate: how many calls of ``step`` share one update, by the mean of their gradients.
        lengths: whether calls may say how many of the T steps each sample has: ``model.step(x, y,
            lengths=...)``. Behind its end a sample counts for nothing, and its state stays that of its last
            step.
        tbptt: how many steps gradients flow back through: a sequence is cut into parts of so many, with an
            update after each, and the state goes on; None: all T at once.
        seed: of all random numbers, the same on every backend: a whole number, 0 or more.
        dt: length of a step in seconds, for models whose equations say ``dt``; None: the program's own,
            1 ms for a module.
        options: of the backend, by name.
        ranks: the processes that train this network together, such as `snnhw.training.ProcessRanks`; None:
            all of `torch.distributed`'s default group, where there is one. `snnhw.training.ALONE` is one.

    Raises:
        CaptureError: the module's step cannot be taken into a program.
        ProgramError: the program is not valid, or the parameters do not fit it.
        InputError: an argument does not fit the program.
        PluginError: the backend is unknown, or cannot run here.
        Unsupported: the backend cannot run this program; lists every reason.
    """
    from snnhw.nn import Model  # imports torch
    from snnhw.nn.axes import telling
    from snnhw.nn.sequences import LENGTHS, Sequences, check_tbptt
    from snnhw.tensors.ranks import ranks_here

    plugin = registry.backend(backend, options)
    program, params, names, told = taken(net, sample, static, None if static else time_steps)
    if dt is not None:
        program = replace(program, time=replace(program.time, dt=dt))
    check_tbptt(tbptt, time_steps, training=loss is not None)
    with telling(told):
        made = ending(program, training=loss is not None) if lengths else None
        if made is not None and loss is not None:
            loss = resolve_loss(program, loss).within(LENGTHS)
        job = make_job(
            plugin,
            program if made is None else made.program,
            time_steps=time_steps,
            batch=_batch(sample),
            loss=loss,
            optimizer=optimizer,
            record=record,
            seed=seed,
            options=options,
            clip_norm=clip_norm,
            accumulate=accumulate,
            ranks=None if loss is None else ranks or ranks_here(),
        )
        sequences = Sequences(program, job, made, tbptt, plugin.capabilities().fixed_shapes)
        compiled, parts = sequences.compiled
        executable = lower(plugin, compiled, params, parts)
        return Model(executable, program, names, plugin, job, sequences=sequences)


def taken(
    net: Network, sample: Any, static: bool = False, time_steps: int | None = None
) -> tuple[Program, Params, Mapping[str, str], str]:
    """The program, its parameters, the module's parameter names where there is a module, and what to say of
    the sample."""
    names: Mapping[str, str] = {}
    told = ""
    if isinstance(net, Program):
        require_valid(net)
        program, params = net, init_params(net)
    elif isinstance(net, tuple):
        program, params = net
        require_valid(program)
    else:
        from snnhw.nn import axes  # imports torch

        captured, told = axes.taken(net, sample, time_steps)
        program, params, names = captured.program, captured.params, captured.names
    if static:
        inputs = program.named(Input)
        program = replace(program, time=replace(program.time, static_inputs=inputs))
    return program, params, names, told


def _batch(sample: Any) -> int:
    several = (
        sample.values() if isinstance(sample, Mapping) else sample if isinstance(sample, tuple) else (sample,)
    )
    first = next(iter(several), None)
    shape = getattr(first, "shape", None)
    if not shape:
        raise InputError(f"the sample is one time step of input, an array [B, ...], not {sample!r}")
    if not shape[0]:
        raise InputError(
            f"the sample of shape {list(shape)} holds no samples, since its first axis is the batch; give "
            "one, or as many as there will be"
        )
    return int(shape[0])


def save(path: str | os.PathLike[str], net: Network, sample: Array | Arrays | None = None) -> None:
    """Write a network to one ``.snn`` file: structure, equations and parameters; no code.

    Args:
        net: as for `compile`; a torch module needs a ``sample`` of one step, ``[B, ...]``.

    Raises:
        InputError: the path does not come first.
    """
    _check_path(path, "save takes the path first", "snnhw.save('net.snn', net, sample)")
    program, params, *_ = taken(net, sample)
    files.save(path, program, params)


def _check_path(path: object, where: str, form: str) -> None:
    """The order is not the same for all: `save` is asked for a file, `export` for a network."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"{where}, not a {type(path).__name__}: {form}")


def load(path: str | os.PathLike[str], **options: Any) -> tuple[Program, Params]:
    """Read a ``.snn`` file, or any other that an installed format claims by its ending.

    Args:
        options: of the format; for a ``.snn`` file, ``allow_nonfinite``.

    Raises:
        InputError: an option that the format does not have.
        LoadError: the file is not what its ending says.
        UnknownPlugin: no installed format reads such files.
    """
    if Path(path).suffix == SUFFIX:
        check_keywords(f"format '{SUFFIX}'", "reading", files.load, options)
        return files.load(path, **options)
    plugin = registry.file_format(_format_of(path))
    check_keywords(f"format '{plugin.name}'", "reading", plugin.read, options)
    program, params, _ = plugin.read(Path(path), **options)
    return program, params


def export(
    net: Network, path: str | os.PathLike[str], sample: Array | Arrays | None = None, **options: Any
) -> Report:
    """Write a network in the format that the path's ending names.

    Args:
        net: as for `compile`.
        sample: one time step of input, ``[B, ...]``; a torch module needs it, and a format may measure
            on it what it cannot say.
        options: of the format, such as ``target``; see its documentation.

    Returns:
        every choice that lost or changed something.

    Raises:
        ExportError: the format cannot say this network as it is; with every reason.
        InputError: an option that the format does not have, or the path does not come second.
    """
    _check_path(path, "export takes the path second", "snnhw.export(net, 'net.nir', sample)")
    program, params, *_ = taken(net, sample)
    own = {"sample": None if sample is None else _by_name(program, sample)}
    plugin = registry.file_format(_format_of(path))
    check_format_options(plugin, options)
    return plugin.write(program, params, Path(path), **own, **options)


def _by_name(program: Program, sample: Array | Arrays) -> dict[str, Array]:
    """Input name -> array in main memory, from whatever form a sample has."""
    if not isinstance(sample, Mapping):
        names = program.named(Input)
        arrays = sample if isinstance(sample, tuple) else (sample,)
        if len(arrays) != len(names):
            raise InputError(
                f"the sample is one array for each input, by name or in order: {', '.join(names)}; "
                f"{len(arrays)} were given"
            )
        sample = dict(zip(names, arrays, strict=True))
    found = dict(hosts("sample", sample))
    for name, array in found.items():
        op = program.nodes.get(name)
        if isinstance(op, Input) and array.shape[1:] != op.shape:
            timed = ", not all of them" if array.shape[2:] == op.shape else ""
            raise InputError(
                f"the sample for '{name}' has shape {list(array.shape)}; give one time step{timed}, "
                f"{['B', *op.shape]}".replace("'B'", "B")
            )
    return found


ELSEWHERE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("pt", "pth", "bin"), "a state dict goes into a module by net.load_state_dict(torch.load(path))"
    ),
    "safetensors": "a checkpoint goes into a compiled model by model.load_checkpoint(path), and from there "
    "into a module by model.write_back(net)",
}
"""Ending of others' files -> what reads them."""


def _format_of(path: str | os.PathLike[str]) -> str:
    """A format claims the endings that are its name: ``net.nir`` belongs to ``nir``."""
    known = registry.names(FORMATS)
    name = Path(path).suffix.removeprefix(".")
    if name not in known:
        listed = ", ".join([SUFFIX, *(f".{other}" for other in known)])
        instead = f"; {ELSEWHERE[name]}" if name in ELSEWHERE else ""
        raise InputError(
            f"'{os.fspath(path)}': no installed format has the ending '.{name}'; known: {listed}{instead}"
        )
    return name
