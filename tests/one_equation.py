"""What ``docs/architecture/one_equation.md`` shows: taken from the sources, or printed by them.

``python tests/one_equation.py`` puts it into the page; `test_pages.py` holds the page to it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from source import ROOT

from snnhw.ir import MODELS, Neuron, var
from snnhw.ir.expr import replace
from snnhw.passes import Body, Request, ScanKernel, ScanLoop, backward_loop, derive, forward_loop

__all__ = ["PAGE", "SHOWN", "filled", "written"]

PAGE: Final = ROOT / "docs" / "architecture" / "one_equation.md"
KERNELS: Final = ROOT / "tests" / "golden" / "kernels" / "leaky"
LEAKY: Final = Neuron(MODELS["Leaky"])


@lru_cache
def kernel() -> ScanKernel:
    asked = Request(
        outputs=("spk",),
        adjoints=("spk",),
        input_grads=frozenset({"x"}),
        param_grads=frozenset({"beta", "threshold"}),
    )
    return derive(LEAKY.equations(), asked)


def model() -> str:
    text = (ROOT / "snnhw" / "ir" / "models" / "leaky.py").read_text()
    return text[text.index("mem, x, beta") :]


def step() -> str:
    """What stands twice in it has a name."""
    equations = LEAKY.equations()
    assert equations.fire is not None
    update, fires = equations.updates["mem"], equations.fire
    decay = update.args[0].args[0].args[0]
    new, fired = replace([update, fires], {decay: var("decay")})
    (fired,) = replace([fired], {new: var("new")})
    return f"decay = {decay}\nnew   = {new}\nfires = {fired} > 0"


def scan() -> str:
    """Likewise: the new state, and what has arrived at it."""
    found = kernel()
    (new,), (arrived,) = found.next_states, found.input_grads
    assert arrived is not None
    grads = [expr for expr in (*found.carried, *found.value_grads) if expr is not None]
    lines = {
        "v0": found.values[0].expr,
        "v1": found.values[1].expr,
        "n0": new,
        "y0": replace(found.output_exprs, {new: var("n0")})[0],
        "X0": arrived,
        **dict(zip(("a0 before", "V0 +", "V1 +"), replace(grads, {arrived: var("X0")}), strict=True)),
    }
    return "\n".join(f"{name:9s} = {expr}" for name, expr in lines.items())


def loop() -> str:
    return "\n\n".join("\n".join(_passed(made(kernel()))) for made in (forward_loop, backward_loop))


def _passed(passed: ScanLoop) -> list[str]:
    shapes = [f"{a.name} [{' '.join(a.axes)}]{' float64' if a.wide else ''}" for a in passed.arguments]
    lines = [f"{passed.name}({', '.join(shapes)})", *_body("  every step", passed.step)]
    return [*lines, *(_body("  every step, backwards", passed.reverse) if passed.reverse else [])]


def _body(title: str, body: Body) -> list[str]:
    stores = ", ".join(f"{store.name}{' +=' if store.adds else ''}" for store in body.stores)
    return [f"{title} reads {', '.join(body.reads)}; stores {stores}"]


def printed(kind: str) -> str:
    text = (KERNELS / f"{kind}.py").read_text()
    return text[text.index(f"def {kind}(") :]


def recipe() -> str:
    sys.path.append(str(ROOT / "tests" / "kernels"))
    from kernel_texts import PROGRAMS

    from snnhw.plugin import Run
    from snnhw_ipu.options import IpuOptions
    from snnhw_ipu.plugin import IpuBackend

    run = Run(8, {"x": (4,)}, 2, options=IpuOptions(emulate=True))
    return IpuBackend().explain(PROGRAMS["leaky"], run).sources["run.recipe"]


SHOWN: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "model": ("python", model),
    "step": ("", step),
    "scan": ("", scan),
    "loop": ("", loop),
    "forward": ("python", lambda: printed("forward")),
    "backward": ("python", lambda: printed("backward")),
    "recipe": ("", recipe),
}
"""Name on the page -> the language it is in, and the text."""


def filled(page: str) -> str:
    """The page, with everything that it shows put in."""

    def put(found: re.Match[str]) -> str:
        language, text = SHOWN[found[1]]
        return f"<!-- shown: {found[1]} -->\n```{language}\n{text().rstrip()}\n```\n<!-- /shown -->"

    return re.sub(r"<!-- shown: (\w+) -->\n.*?<!-- /shown -->", put, page, flags=re.DOTALL)


def written() -> str:
    return PAGE.read_text()


if __name__ == "__main__":
    PAGE.write_text(filled(written()))
