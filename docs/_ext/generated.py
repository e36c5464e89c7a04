"""Tables made from the code: ``{generated} losses`` on a page is replaced by the table of that name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import getdoc
from typing import Any, Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from snnhw import ir
from snnhw.cli.support import Row, markdown, support_of

__all__ = ["TABLES", "setup"]


def _first(kind: Any) -> str:
    """What a docstring says in its first sentence."""
    text = " ".join((getdoc(kind) or "").partition("\n\n")[0].split())
    return text.replace("|", r"\|")


def _kinds(head: str, kinds: Mapping[str, type]) -> Iterator[Row]:
    yield head, "what it is"
    for name, kind in kinds.items():
        yield f"`{name}`", _first(kind)


def _ops() -> Iterator[Row]:
    yield "op", "what it is", "made of other ops"
    for name, kind in sorted(ir.OPS.items()):
        yield f"`{name}`", _first(kind), "yes" if kind.parts is not ir.Op.parts else "no"


def _neurons() -> Iterator[Row]:
    yield "model", "states", "parameters", "resets", "fires where"
    for name, model in ir.MODELS.items():
        states = ", ".join(f"`{state.name}`" for state in model.states)
        params = ", ".join(f"`{param.name}`" for param in model.params)
        resets = ", ".join(f"`{reset}`" for reset in model.resets)
        yield f"`{name}`", states, params, resets, f"`{model.fire} > 0`"


def _support() -> Iterator[Row]:
    from snnhw import registry
    from snnhw.plugin import BACKENDS

    found = {name: registry.load(BACKENDS, name).capabilities() for name in registry.names(BACKENDS)}
    yield from support_of(found)


def _commands() -> Iterator[Row]:
    from snnhw.cli import VERBS

    yield "command", "what it does", "for example"
    for name, command, _, example in VERBS:
        yield f"`snnhw {name}`", _first(command), f"`{example}`"


TABLES: Final[Mapping[str, Callable[[], Iterator[Row]]]] = {
    "backends": _support,
    "commands": _commands,
    "losses": lambda: _kinds("term", ir.LOSS_TERMS),
    "neurons": _neurons,
    "ops": _ops,
    "optimizers": lambda: _kinds("rule", ir.OPTIMIZERS),
    "surrogates": lambda: _kinds("surrogate", ir.SURROGATES),
}


class Generated(SphinxDirective):
    """The table, as if it stood in the page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        (name,) = self.arguments
        if name not in TABLES:
            raise self.error(f"there is no table {name}; there are {', '.join(TABLES)}")
        return self.parse_text_to_nodes(markdown([*TABLES[name]()]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's door."""
    app.add_directive("generated", Generated)
    return {"version": "1", "parallel_read_safe": True}
