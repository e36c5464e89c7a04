"""Whether PopTorch can run in this interpreter, and if not, in which of the usual ways."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["diagnose"]

IPU_MODEL = ("POPTORCH_IPU_MODEL", "POPTORCH_SMALL_IPU_MODEL")


def diagnose() -> dict[str, str]:
    """What was found: its ``kind`` (missing, torch, sdk, none, model or ready) and ``detail``."""
    try:
        import poptorch
    except ModuleNotFoundError as error:
        return {"kind": "missing" if error.name == "poptorch" else "sdk", "detail": str(error)}
    except AssertionError as error:  # it asserts on the version of torch
        return {"kind": "torch", "detail": str(error)}
    except (ImportError, OSError) as error:
        return {"kind": "sdk", "detail": str(error)}
    except Exception as error:  # noqa: BLE001  # whatever else a broken installation does
        return {"kind": "sdk", "detail": "%s: %s" % (type(error).__name__, error)}
    found = {"version": str(getattr(poptorch, "__version__", "?"))}
    try:
        available = bool(poptorch.ipuHardwareIsAvailable())
    except Exception as error:  # noqa: BLE001  # the driver's own
        return {**found, "kind": "none", "detail": str(error)}
    if available:
        return {**found, "kind": "ready", "detail": ""}
    chosen: Any = next((name for name in IPU_MODEL if os.environ.get(name, "0") not in ("", "0")), None)
    return {**found, "kind": "model" if chosen else "none", "detail": chosen or ""}
