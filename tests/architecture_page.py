"""The picture of the layers in ``docs/architecture/README.md``, drawn from the table that holds them.

``python tests/architecture_page.py`` draws it anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from source import ROOT

__all__ = ["PAGE", "drawn", "filled"]

PAGE: Final = ROOT / "docs" / "architecture" / "README.md"


def drawn(layers: Mapping[str, set[str]], common: set[str]) -> str:
    """A Mermaid graph: an arrow for each layer that another may import, unless one in between says so."""
    below = {name: others - common for name, others in layers.items() if name not in common}
    lines = ["```mermaid", "graph BT"]
    for name, others in below.items():
        direct = {other for other in others if not any(other in below.get(via, ()) for via in others)}
        lines += [f"    {name} --> {other}" for other in sorted(direct)] or [f"    {name}"]
    return "\n".join([*lines, "```"])


def filled(page: str, picture: str) -> str:
    return re.sub(
        r"<!-- layers -->\n.*?<!-- /layers -->",
        lambda _: f"<!-- layers -->\n{picture}\n<!-- /layers -->",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    from test_architecture import COMMON, LAYERS

    PAGE.write_text(filled(PAGE.read_text(), drawn(LAYERS, COMMON)))
