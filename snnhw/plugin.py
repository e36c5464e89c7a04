"""The one file a plugin author reads.

A *backend* runs programs. It is a class with a zero-argument constructor, named in the entry-point
group ``snnhw.backends``; core checks a program against its `Capabilities` before `Backend.compile`,
so lowering may assume a legal, supported program. A *format* reads and writes files and runs nothing;
it is named in the group ``snnhw.formats``. A *reader*, which runs such files in somebody else's simulator, to
be compared, is `snnhw.reader.Reader`; it is named in the group ``snnhw.readers``.

    [project.entry-points."snnhw.backends"]
    "vendor.chip" = "snnhw_chip.plugin:ChipBackend"

Importing the plugin module must not import a vendor's SDK: `Backend.probe` does that, and says in
words what is missing. Arrays at this boundary are anything with ``__dlpack__``; an executable
returns arrays of its own kind, which belong to the caller; `Params` alone are host NumPy arrays.
Time is always the first axis: ``[T, B, ...]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from types import TracebackType

    from snnhw.ir import Loss, Op, Optimizer, Params, Program

__all__ = ["BACKENDS", "FORMATS", "INTERFACE", "KERNELS", "READERS", "STAND_INS", "TARGETS"]
__all__ += ["Array", "Arrays", "Backend", "Capabilities", "Executable", "Explanation", "Format", "NoOptions"]
__all__ += ["ObjectFormat", "Probe", "Ranks", "Report", "Result", "Run", "StepResult", "Support", "Train"]
__all__ += ["label_of"]

INTERFACE = 2
"""Version of this file. It rises only when a plugin written for the old one would break:
``docs/writing_a_backend.md`` says what each has changed."""

BACKENDS = "snnhw.backends"
"""Entry-point group of things that run programs."""

FORMATS = "snnhw.formats"
"""Entry-point group of things that read and write files."""

READERS = "snnhw.readers"
"""Entry-point group of simulators that run files of a format, for comparison."""

TARGETS = "snnhw.targets"
"""Entry-point group of chips that compute in integers; see `snnhw.target`."""

KERNELS = "snnhw.kernels"
"""Entry-point group of what runs neurons on torch tensors, by type of device; see `snnhw.tensors`."""

STAND_INS = ("emulate", "interpret")
"""Names of options, each a bool, that put something else in the place of the device (`Backend.Options`)."""

Array = Any
"""Anything with ``__dlpack__``: a NumPy array, a torch tensor, ..."""

Arrays = Mapping[str, Array]
"""Arrays by name: inputs, outputs and states alike."""


@dataclass(frozen=True)
class Probe:
    """Whether a plugin can run on this machine, now.

    Attributes:
        status: ``ready``; ``missing`` (a package is not installed); ``no device``; ``broken``.
        reason: what was found, in one sentence.
        install: the exact command or step that mends it.
        version: of the runtime underneath, where there is one.
        device: what it would run on, in words.
    """

    status: Literal["ready", "missing", "no device", "broken"]
    reason: str = ""
    install: str = ""
    version: str = ""
    device: str = ""

    @property
    def ready(self) -> bool:
        return self.status == "ready"


@dataclass(frozen=True)
class Support:
    """How far a backend supports one kind of op.

    Attributes:
        train: whether it can be trained through.
        why_not: for the odd cases: given the op, a reason in words, or None when it is fine.
    """

    train: bool = True
    why_not: Callable[[Op], str | None] | None = None


@dataclass(frozen=True)
class Capabilities:
    """What a backend can run, as data; available without the SDK or the device.

    Attributes:
        ops: op type -> `Support`. An op of a type that is absent arrives as what it is made of (`Op.parts`),
            if all of that is here; else it is not supported.
        expressions: the expression ops that neuron equations may use (`snnhw.ir.PRIMITIVES`).
        losses: kinds of loss term; optimizers: kinds of optimizer (types).
        dtypes: compute dtypes by NumPy name; the first is the default. A backend that lists several has
            an option ``dtype`` that takes these names.
        train: whether `Train` jobs are accepted at all.
        recurrence: whether programs with cycles are accepted.
        max_delay: the longest delay of one edge; None for no limit.
        fixed_shapes: batch and number of steps are fixed at compile time.
        contraction: whether ``a * b + c`` may be rounded once: results compare within a margin alone.
        callables: whether it trains through Python functions of torch tensors (`snnhw.ir.Opaque`).
        noise: whether neurons may read random numbers, as `snnhw.ir.uniform` gives them.
        lengths: whether terms of a loss may be of each sample's own steps (`snnhw.ir.Term.lengths`).
        integers: types of ops that it runs in programs of integers (`snnhw.ir.Program.formats`), in int64;
            none: it runs no such program.
        paths: what it decides by measurement, size or threshold: name of a decision -> names of its ways. An
            option ``paths`` forces them, as ``name:way`` with commas between; conformance then tries each of
            them. What only those numbers reach that measurement favours is else tried by nobody.
        is_reference: whether it evaluates `snnhw.reference`, which in float64 there is nothing to hold to.
        alone: why it trains in no more than one process, with what to do instead; "" where it reduces, see
            `Ranks`.
        label: what every result of this backend is marked with, for instance "emulated"; "" for
            the real thing. See `label_of` for what an option puts in its place.
    """

    ops: Mapping[type[Op], Support]
    expressions: frozenset[str]
    losses: frozenset[type] = frozenset()
    optimizers: frozenset[type] = frozenset()
    dtypes: tuple[str, ...] = ("float32",)
    train: bool = True
    recurrence: bool = True
    max_delay: int | None = None
    fixed_shapes: bool = False
    contraction: bool = False
    noise: bool = False
    lengths: bool = False
    callables: bool = False
    integers: frozenset[type[Op]] = frozenset()
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_reference: bool = False
    alone: str = "it trains in one process"
    label: str = ""


class Ranks(Protocol):
    """Processes that train one network, each on samples of its own, and which of them this is, from 0 on. All
    call what follows in the same order, with the same names and shapes, and see the same bits."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def joint(self) -> bool:
        """Whether batch norm normalises by the samples of all ranks, in place of each rank's own."""

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """A few numbers, each added up over all ranks."""

    def reduce(self, values: Arrays) -> Arrays:
        """Arrays of the backend's own kind, likewise; in a step, between backward and update."""

    def first(self, value: Any) -> Any:
        """What rank 0 has, in main memory."""


@dataclass(frozen=True)
class NoOptions:
    """The options of a plugin that has none."""


@dataclass(frozen=True)
class Run:
    """Compile for evaluation only.

    Attributes:
        time_steps: T. A backend without `Capabilities.fixed_shapes` takes it as a hint.
        sample_shapes: input name -> shape of one sample at one step, without T and B.
        batch: B, likewise a hint.
        record: ports to return besides the outputs, such as ``"lif1.mem"``.
        options: an instance of the backend's ``Options``.
        seed: of all random numbers, see `snnhw.ir.noise`.
    """

    time_steps: int
    sample_shapes: Mapping[str, tuple[int, ...]]
    batch: int
    record: tuple[str, ...] = ()
    options: Any = field(default_factory=NoOptions)
    seed: int = 0


@dataclass(frozen=True)
class Train(Run):
    """Compile for training: forward, loss, backward and update in one `Executable.step`.

    Attributes:
        loss: a sum of weighted terms.
        optimizer: the update rule, a frozen value.
        clip_norm: bound on the global 2-norm of the gradient; None for none.
        accumulate: how many calls of `Executable.step` share one update (their mean gradient).
        ranks: the processes that train together; None: this one alone.
    """

    loss: Loss = None  # type: ignore[assignment]  # required; dataclass order demands a default
    optimizer: Optimizer = None  # type: ignore[assignment]  # likewise
    clip_norm: float | None = None
    accumulate: int = 1
    ranks: Ranks | None = None


@dataclass(frozen=True)
class Result:
    """What one `Executable.run` gives.

    Attributes:
        outputs: output name -> array ``[T, B, ...]``.
        recordings: recorded port -> array ``[T, B, ...]``.
        state: state key -> array ``[B, ...]`` (a delayed edge: ``[delay, B, ...]``), to hand to
            the next call.
    """

    outputs: Arrays
    recordings: Arrays
    state: Arrays


@dataclass(frozen=True)
class StepResult:
    """What one `Executable.step` gives: the loss before the update, outputs, final state.

    The loss is a number or, on a device, an array without axes that can be used like one: whoever asks for
    its value, as ``float()`` does, waits for the device.
    """

    loss: float
    outputs: Arrays
    state: Arrays


@dataclass(frozen=True)
class Explanation:
    """What a backend would do with a program: tables, and the sources it would emit.

    Attributes:
        tables: title -> rows, the first row the heading.
        sources: file name -> text.
    """

    tables: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Every choice a `Format` made that lost or changed something, each in one sentence.
    ``lost`` are those of the notes that change what the network computes."""

    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line for each; those that change what is computed first, and marked."""
        others = [note for note in self.notes if note not in self.lost]
        return "\n".join([*(f"lost: {note}" for note in self.lost), *others]) or "nothing was lost or changed"


class Executable(Protocol):
    """A compiled program. A context manager; it owns the device until `close`.

    It may have a `state`: the one after the last `step`, None before, put in place together with what else
    that changes. A model's own state is then the one of its parameters, whatever interrupts.
    """

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        """Evaluate, in evaluation mode whatever the job; ``state`` None starts from rest. Here and below, an
        `InputError` says what does not fit the program; see `snnhw.ir.inputs`."""

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        """One update (`Train` jobs only), in training mode: statistics are those of the batch, and move.

        Gradients do not flow into ``state``; without one a sequence with random numbers of its own begins.
        Where the job has ranks, all call it, and it is of all their samples; who has none gives no inputs."""

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Continue with other settings of the same optimizer, as a schedule does."""

    def get_params(self) -> Params:
        """The present parameters, copied to the host, in a dtype that holds them exactly."""

    def set_params(self, params: Params) -> None:
        """Replace the parameters given; the others stay."""

    def save_state(self) -> Arrays:
        """Everything an exact resume needs: parameters, statistics, optimizer, the count of sequences."""

    def load_state(self, arrays: Arrays) -> None:
        """Continue from what `save_state` gave."""

    def close(self) -> None: ...

    def __enter__(self) -> Executable: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class Backend(Protocol):
    """Runs programs. A class attribute will do for each of the first three.

    Where people ask for it by the name of a device, a class attribute ``devices`` lists those: ``("gpu",)``.
    """

    @property
    def name(self) -> str:
        """Equal to the entry point's name."""

    @property
    def interface(self) -> int:
        """The `INTERFACE` this plugin was written for."""

    @property
    def Options(self) -> type:  # noqa: N802  # it is a class
        """A frozen dataclass; core builds it from the user's mapping. An option that puts something else in
        the place of the device is a bool ``emulate`` or ``interpret``; then the class has a property
        ``label``, see `label_of`. Where options say where it runs, the class has a `probe` of its own."""

    def probe(self) -> Probe:
        """Say whether it can run here. May import the SDK; never raises."""

    def capabilities(self) -> Capabilities:
        """What it can run, as data. Imports neither the SDK nor the device."""

    def compile(self, program: Program, params: Params, job: Run | Train) -> Executable:
        """Lower a program that core has validated and checked against `capabilities`."""

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        """What `compile` would do, without doing it."""


@runtime_checkable
class Format(Protocol):
    """Reads and writes the files of another tool."""

    @property
    def name(self) -> str: ...

    @property
    def interface(self) -> int: ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The file endings it claims, such as ``(".nir",)``."""

    def probe(self) -> Probe: ...

    def capabilities(self) -> Mapping[str, Any]:
        """Data: ``targets``, for whom it writes."""

    def write(self, program: Program, params: Params, path: Path, **options: Any) -> Report:
        """May raise `ExportError`. `snnhw.export` adds an option ``sample``: a step of input, by name."""

    def read(self, path: Path, **options: Any) -> tuple[Program, Params, Report]: ...


@runtime_checkable
class ObjectFormat(Format, Protocol):
    """A format that some library has objects for: what `write` puts into a file, and `read` takes from it."""

    def to_object(self, program: Program, params: Params, **options: Any) -> tuple[Any, Report]: ...

    def from_object(self, made: Any, **options: Any) -> tuple[Program, Params, Report]: ...


def label_of(plugin: Backend, options: object) -> str:
    """What marks the results of a job with these options: what they put in the place of the device,
    such as ``"interpreted"``; otherwise the backend's own label, "" for the real thing."""
    return str(getattr(options, "label", "") or plugin.capabilities().label)
