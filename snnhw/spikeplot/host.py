"""Arrays of any library, as NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["host"]


def host(data: Any) -> npt.NDArray[Any]:
    """A tensor of any device, with or without a gradient, or anything NumPy takes."""
    if not hasattr(data, "detach"):
        return np.asarray(data)
    data = data.detach().cpu()
    short = data.is_floating_point() and data.element_size() < 4  # NumPy lacks bfloat16
    return np.asarray((data.float() if short else data).numpy())
