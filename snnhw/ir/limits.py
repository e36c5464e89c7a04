"""How much a file from anywhere may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["LIMITS", "Limits"]


@dataclass(frozen=True)
class Limits:
    """What is refused before it is read, built or walked.

    Attributes:
        file: most bytes of a file.
        header: most bytes of its description; half of it for a program as JSON, which is quoted in there.
        lines: most lines of all expressions, which stand once each.
        nodes: most nodes of a program.
        edges: most edges of a program.
        work: most operations in all equations together, those that are used twice counted twice: a small
            file whose many models share one huge expression would otherwise keep its reader busy for hours.
    """

    file: int = 16 << 30
    header: int = 64 << 20
    lines: int = 65_536
    nodes: int = 100_000
    edges: int = 1_000_000
    work: int = 500_000


LIMITS: Final = Limits()
