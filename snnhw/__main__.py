"""``python -m snnhw`` is ``snnhw``."""

from __future__ import annotations

from snnhw.cli import main

if __name__ == "__main__":
    main()
