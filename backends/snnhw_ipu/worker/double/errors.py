"""What PopTorch raises. Checks in its Python layer raise Python's own kinds of error instead."""

from __future__ import annotations

__all__ = ["Error"]


class Error(Exception):
    """``poptorch.Error``."""
