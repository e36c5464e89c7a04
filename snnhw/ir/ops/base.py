"""What every op has: ports, parameters, shapes. Attributes only; arrays live apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeVar

from snnhw.errors import ProgramError
from snnhw.ir.frozen import FrozenMap, freeze
from snnhw.ir.params import ParamSpec
from snnhw.ir.registered import enter
from snnhw.words import brief

__all__ = ["OPS", "Op", "Part", "Parts", "Shape", "chain", "is_core", "op", "part"]

Shape = tuple[int, ...]
"""Shape of one sample at one step: without the time and batch axes."""

T = TypeVar("T", bound="type[Op]")

OPS: Final[dict[str, type[Op]]] = {}
"""Every op by its class name."""

PARTS: Final = "give it parts() made of ops that have one"
"""What helps an op that a table has no row for."""


@dataclass(frozen=True)
class Op(ABC):
    """One kind of node. Subclasses are final.

    Attributes:
        keys: parameter name -> key of another node's parameter that it is tied to.
    """

    keys: FrozenMap[str, str] = field(default_factory=FrozenMap, kw_only=True)

    stateless: ClassVar[bool] = True
    """Whether it treats every step alike, so that all steps may be computed at once."""

    whole_only: ClassVar[bool] = False
    """Whether it has a meaning in programs of integers alone (`snnhw.ir.whole`)."""

    any_port_tells: ClassVar[bool] = False
    """Whether `infer` may be asked with some input ports only, as long as there is one: so that a loop that
    comes back to another port has a shape to begin with."""

    def __post_init__(self) -> None:
        freeze(self, "keys")
        self.check()

    @property
    def in_ports(self) -> tuple[str, ...]:
        return ("x",)

    @property
    def out_ports(self) -> tuple[str, ...]:
        return ("y",)

    def check(self) -> None:  # noqa: B027  # most attributes need checks, but not all ops have some
        """Raise `ProgramError` when an attribute makes no sense whatever the shapes."""

    def params(self) -> Mapping[str, ParamSpec]:
        """Parameter name -> what it must look like."""
        return {}

    @property
    def clocked(self) -> bool:
        """Whether what it computes depends on the number of the step, or on chance (see `snnhw.ir.noise`)."""
        return False

    def varies(self, training: bool) -> bool:  # some ops vary in training alone
        """Whether its outputs may change over time although nothing that arrives does."""
        return not self.stateless

    def unfit(self, shape: Shape, *, first: int, steps: int, batch: int, training: bool) -> str | None:
        """Why it cannot compute ``steps`` steps from the step ``first`` on; None when it can.

        Args:
            shape: of one sample at its first output port.
        """
        return None

    @abstractmethod
    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        """Shapes of the output ports from those of the input ports.

        Raises:
            ProgramError: the shapes do not fit.
        """

    def parts(self, shapes: Mapping[str, Shape]) -> Parts | None:
        """What it is made of, for those that have no way of their own to compute it; None: it is a core op.

        They are the op once more, in other words: where the reference has a rule of its own for the op, a
        test holds the two to each other, forward and backward. See `Part`.

        Args:
            shapes: input port -> shape of one sample.
        """
        return None

    def summary(self) -> str:
        """The op in a few words, for ``str(program)``."""
        return type(self).__name__


@dataclass(frozen=True)
class Part:
    """One of the ops that an op is made of: stateless, without statistics, and clocked only if the whole is.

    Attributes:
        op: its parameters are the whole's of the same name, or of those that its ``keys`` say.
        reads: input port -> a port of the whole, such as ``"x"``, or of an earlier part: ``"rows.y"``.
    """

    op: Op
    reads: FrozenMap[str, str]


Parts = Mapping[str, Part]
"""Name -> part, each after those that it reads. The last one has no name, ``""``: it stands in the place of
the whole, whose output ports it has."""


def part(op: Op, **reads: str) -> Part:
    """A part, and what it reads at each of its ports."""
    return Part(op, FrozenMap(reads))


def chain(*ops: Op) -> dict[str, Part]:
    """Parts in a row, from the port ``x`` to the port ``y``."""
    names = [f"{type(op).__name__.lower()}{number}" for number, op in enumerate(ops[:-1], 1)]
    sources = ["x", *(f"{name}.y" for name in names)]
    return {name: part(op, x=source) for name, op, source in zip([*names, ""], ops, sources, strict=True)}


def is_core(kind: type[Op]) -> bool:
    """Whether ops of a kind are made of no others: who runs networks has to know them. What only integers
    have is asked of those who run integers."""
    return kind.parts is Op.parts and not kind.whole_only


def op(cls: T) -> T:
    """Register an op class."""
    enter(OPS, cls)
    return cls


def need(instance: Op, condition: bool, name: str, accepted: str) -> None:
    """Raise when an attribute is not what is accepted."""
    if not condition:
        value = brief(getattr(instance, name))
        raise ProgramError(f"{type(instance).__name__}({name}={value}): give {accepted}")


def is_size(value: object, least: int = 1) -> bool:
    """Whether it is an int, not a bool, and not too small."""
    return type(value) is int and value >= least


def is_shape(value: object) -> bool:
    """Whether it is a tuple of positive ints; ``()`` is the shape of a scalar."""
    return isinstance(value, tuple) and all(is_size(item) for item in value)
