"""What each backend supports, as its capabilities say: a table for the screen and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from snnhw.ir import Op
    from snnhw.plugin import Capabilities

__all__ = ["markdown", "support_of"]

Row = tuple[str, ...]

YES, NO, RUNS, SOME, MADE = "yes", "no", "runs only", "in part", "by parts"

FLAGS: Final = {
    "loops through time": "recurrence",
    "any T and batch at each call": "fixed_shapes",
    "random numbers in neurons": "noise",
    "samples of several lengths": "lengths",
    "programs of integers": "integers",
    "Python functions as surrogates": "callables",
}
"""What is said -> the field of `Capabilities`; one of them counts the other way round."""


def support_of(backends: Mapping[str, Capabilities]) -> list[Row]:
    """Rows of a table, the head first: what can be supported, then a cell for every backend.

    Neurons of any model and surrogate stand in one row: every backend takes them from their equations.
    """
    return [("", *backends), *_ops(backends), *_kinds(backends), *_flags(backends)]


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table of a Markdown page."""
    head, *body = rows
    lines = [head, ("---",) * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _ops(backends: Mapping[str, Capabilities]) -> Iterator[Row]:
    from snnhw.ir import OPS

    for name, kind in sorted(OPS.items()):
        yield (f"`{name}`", *(_op(found, kind) for found in backends.values()))


def _op(found: Capabilities, kind: type) -> str:
    support = found.ops.get(kind)
    if support is None:
        return MADE if _by_parts(found, kind) else NO
    if support.why_not is not None and any(support.why_not(op) for op in _instances(kind)):
        return SOME
    return YES if support.train and found.train else RUNS


def _by_parts(found: Capabilities, kind: type) -> bool:
    """Whether it runs what the suite's ops of a type are made of."""
    from snnhw.conformance.cases.making.examples import subjects
    from snnhw.conformance.cases.making.harness import alone
    from snnhw.passes import expand

    tried = [alone(subject) for subject in subjects() if type(subject.op) is kind]
    return bool(tried) and all(expand(program, found.ops) is not program for program in tried)


def _instances(kind: type) -> Iterator[Op]:
    """Ops of a type, those that the conformance suite tries."""
    from snnhw.conformance.cases.making.examples import EXAMPLES
    from snnhw.conformance.cases.making.neurons import settings
    from snnhw.ir import Neuron

    if kind is Neuron:
        yield from (setting.neuron(()) for setting in settings())
    yield from (op for op, *_ in EXAMPLES.get(kind, {}).values())


def _kinds(backends: Mapping[str, Capabilities]) -> Iterator[Row]:
    from snnhw.ir import LOSS_TERMS, OPTIMIZERS, PRIMITIVES

    for title, known, field in (
        ("functions in equations", frozenset(PRIMITIVES), "expressions"),
        ("losses", frozenset(LOSS_TERMS.values()), "losses"),
        ("optimizers", frozenset(OPTIMIZERS.values()), "optimizers"),
    ):
        counts = [len(known & getattr(found, field)) for found in backends.values()]
        yield (title, *(f"{count} of {len(known)}" for count in counts))
    yield ("dtypes", *(", ".join(found.dtypes) for found in backends.values()))


def _flags(backends: Mapping[str, Capabilities]) -> Iterator[Row]:
    for title, field in FLAGS.items():
        values = [bool(getattr(found, field)) != (field == "fixed_shapes") for found in backends.values()]
        yield (title, *(YES if value else NO for value in values))
