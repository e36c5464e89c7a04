"""What a user calls: compile, save, load, export, backends. Glue without logic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnhw import registry
from snnhw.arrays import hosts
from snnhw.check import check_job, prepared, reasons_against
from snnhw.errors import InputError, SnnhwError, Unsupported
from snnhw.ir import Input, Loss, Optimizer, Params, Program, check_params, files, init_params, require_valid
from snnhw.options import check_format_options, check_keywords
from snnhw.passes import became, resolve_loss
from snnhw.plugin import (
    BACKENDS,
    FORMATS,
    Array,
    Arrays,
    Backend,
    Executable,
    Explanation,
    Probe,
    Report,
    Run,
    Train,
)

if TYPE_CHECKING:
    from torch import nn

    from snnhw.nn.model import Model

__all__ = [
    "SUFFIX",
    "backends",
    "compile",
    "explain",
    "export",
    "load",
    "lower",
    "make_job",
    "require_supported",
    "save",
]

SUFFIX = ".snn"
"""Ending of snnhw's own files."""

Network = Any
"""A torch module, a `Program`, or ``(Program, Params)`` as `load` gives it."""


def backends() -> dict[str, Probe]:
    """Every installed backend, and whether it can run here."""
    return registry.survey(BACKENDS)


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
    seed: int = 0,
    dt: float | None = None,
    options: Mapping[str, object] | None = None,
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
        seed: of all random numbers, the same on every backend: a whole number, 0 or more.
        dt: length of a step in seconds, for models whose equations say ``dt``; None: the program's own,
            1 ms for a module.
        options: of the backend, by name.

    Raises:
        CaptureError: the module's step cannot be taken into a program.
        ProgramError: the program is not valid, or the parameters do not fit it.
        InputError: an argument does not fit the program.
        PluginError: the backend is unknown, or cannot run here.
        Unsupported: the backend cannot run this program; lists every reason.
    """
    from snnhw.nn import Model  # imports torch

    plugin = registry.backend(backend, options)
    program, params, names = _take(net, sample, static)
    if dt is not None:
        program = replace(program, time=replace(program.time, dt=dt))
    job = make_job(
        plugin,
        program,
        time_steps=time_steps,
        batch=_batch(sample),
        loss=loss,
        optimizer=optimizer,
        record=record,
        seed=seed,
        options=options,
        clip_norm=clip_norm,
        accumulate=accumulate,
    )
    return Model(lower(plugin, program, params, job), program, names, plugin, job)


def make_job(
    plugin: Backend,
    program: Program,
    *,
    time_steps: int,
    batch: int,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    record: Sequence[str] = (),
    seed: int = 0,
    options: Mapping[str, object] | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
) -> Run | Train:
    """The job in a backend's terms: its own options, and a loss that names its ports."""
    if (loss is None) != (optimizer is None):
        raise InputError("training needs both a loss and an optimizer; give both, or neither to only run")
    if loss is None and not (clip_norm is None and accumulate == 1):
        raise InputError("clip_norm and accumulate are of training; give a loss and an optimizer, too")
    shapes = {name: op.shape for name, op in program.nodes.items() if isinstance(op, Input)}
    run = Run(
        time_steps,
        shapes,
        batch,
        tuple(record),
        registry.build_options(plugin, {} if options is None else options),
        seed,
    )
    if loss is None or optimizer is None:
        return run
    return Train(
        run.time_steps,
        run.sample_shapes,
        run.batch,
        run.record,
        run.options,
        run.seed,
        loss=resolve_loss(program, loss),
        optimizer=optimizer,
        clip_norm=clip_norm,
        accumulate=accumulate,
    )


def lower(plugin: Backend, program: Program, params: Params, job: Run | Train) -> Executable:
    """Validate, check against the backend's capabilities, compile."""
    require_valid(program)
    check_params(program, params)
    require_supported(plugin, program, job)
    with _others_named(plugin, program, job):
        return plugin.compile(prepared(program, plugin.capabilities()), params, job)


def explain(plugin: Backend, program: Program, job: Run | Train) -> Explanation:
    """What the backend would do; raises as `lower` does."""
    require_supported(plugin, program, job)
    with _others_named(plugin, program, job):
        given = prepared(program, plugin.capabilities())
        found = plugin.explain(given, job)
    if given is program:
        return found
    rows = [(name, program.nodes[name].summary(), ", ".join(made)) for name, made in became(program, given)]
    table = (("node", "op", "runs as"), *rows)
    return replace(found, tables={"ops made of others": table, **found.tables})


@contextmanager
def _others_named(plugin: Backend, program: Program, job: Run | Train) -> Iterator[None]:
    """A plugin that refuses more than its capabilities say knows of no other; core does."""
    try:
        yield
    except Unsupported as error:
        raise Unsupported(plugin.name, error.reasons, _others(plugin.name, program, job)) from error


def require_supported(plugin: Backend, program: Program, job: Run | Train) -> None:
    """Raise `Unsupported`, with every reason and who else could, or `InputError` for a job without sense."""
    check_job(program, job)
    reasons = reasons_against(program, plugin.capabilities(), job)
    if reasons:
        raise Unsupported(plugin.name, reasons, _others(plugin.name, program, job))


def _others(name: str, program: Program, job: Run | Train) -> tuple[str, ...]:
    """Installed backends that could do the job; a broken one is passed over, it is no answer."""
    found = []
    for other in registry.names(BACKENDS):
        if other == name:
            continue
        try:
            reasons = reasons_against(program, registry.load(BACKENDS, other).capabilities(), job)
        except SnnhwError:
            continue
        if not reasons:
            found.append(other)
    return tuple(found)


def _take(net: Network, sample: Any, static: bool) -> tuple[Program, Params, Mapping[str, str]]:
    """The program, its parameters, and the module's parameter names where there is a module."""
    names: Mapping[str, str] = {}
    if isinstance(net, Program):
        require_valid(net)
        program, params = net, init_params(net)
    elif isinstance(net, tuple):
        program, params = net
        require_valid(program)
    else:
        from snnhw.nn import capture  # imports torch

        captured = capture(net, sample)
        program, params, names = captured.program, captured.params, captured.names
    if static:
        inputs = program.named(Input)
        program = replace(program, time=replace(program.time, static_inputs=inputs))
    return program, params, names


def _batch(sample: Any) -> int:
    several = (
        sample.values() if isinstance(sample, Mapping) else sample if isinstance(sample, tuple) else (sample,)
    )
    first = next(iter(several), None)
    shape = getattr(first, "shape", None)
    if not shape:
        raise InputError(f"the sample is one time step of input, an array [B, ...], not {sample!r}")
    return int(shape[0])


def save(path: str | os.PathLike[str], net: Network, sample: Array | Arrays | None = None) -> None:
    """Write a network to one ``.snn`` file: structure, equations and parameters; no code.

    Args:
        net: as for `compile`; a torch module needs a ``sample`` of one step, ``[B, ...]``.
    """
    program, params, _ = _take(net, sample, static=False)
    files.save(path, program, params)


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
        InputError: an option that the format does not have.
    """
    program, params, _ = _take(net, sample, static=False)
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
    return dict(hosts("sample", sample))


def _format_of(path: str | os.PathLike[str]) -> str:
    """A format claims the endings that are its name: ``net.nir`` belongs to ``nir``."""
    known = registry.names(FORMATS)
    name = Path(path).suffix.removeprefix(".")
    if name not in known:
        listed = ", ".join([SUFFIX, *(f".{other}" for other in known)])
        raise InputError(
            f"'{os.fspath(path)}': no installed format has the ending '.{name}'; known: {listed}"
        )
    return name
