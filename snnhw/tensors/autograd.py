"""torch's autograd functions, with types: torch gives them some in its later releases only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

__all__ = ["Function"]


class Function(torch.autograd.Function):
    """The base of every function whose backward is written by hand."""

    if TYPE_CHECKING:

        @classmethod
        def apply(cls, *args: Any, **kwargs: Any) -> Any: ...
