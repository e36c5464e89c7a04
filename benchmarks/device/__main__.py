"""``python -m benchmarks.device``: looks first whether all is here that it needs."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

NEEDED: Final = ("msgspec", "numba", "rich", "safetensors", "stevedore", "torch", "triton", "typer")

if __name__ == "__main__":
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"not installed here: {', '.join(missing)}. To mend it: pip install {' '.join(missing)}")
    from benchmarks.device.command import app

    app()
