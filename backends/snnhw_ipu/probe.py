"""Whether an IPU can be used, and if not, the line that mends it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from snnhw.errors import DeviceError
from snnhw.plugin import Probe
from snnhw_ipu.link import PYTHON, connect, interpreter, label
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.process import give_back, take
from snnhw_ipu.worker.doctor import diagnose

__all__ = ["FINDINGS", "probe"]

ENVIRONMENT: Final = f"export {PYTHON}=/path/to/poplar-environment/bin/python"
EMULATE: Final = "or try it without one: option emulate=true"


class Finding(NamedTuple):
    """One way in which PopTorch can or cannot run. ``{python}`` stands for the interpreter that was asked."""

    status: Literal["ready", "missing", "no device", "broken"]
    reason: str
    install: str


FINDINGS: Final[Mapping[str, Finding]] = {
    "nowhere": Finding(
        "missing",
        "PopTorch is not installed here, and PyPI does not have it: it comes with Graphcore's Poplar SDK",
        f"{ENVIRONMENT}   ({EMULATE})",
    ),
    "missing": Finding(
        "missing",
        "{python} has no PopTorch, and PyPI does not have it: it comes with Graphcore's Poplar SDK",
        f"{{python}} -m pip install $POPLAR_SDK/poptorch-*.whl   ({EMULATE})",
    ),
    "torch": Finding(
        "broken",
        "PopTorch is installed beside another version of torch than it was built for",
        "{python} -m pip install torch==2.0.1   (for SDK 3.3 and 3.4)",
    ),
    "sdk": Finding(
        "broken",
        "PopTorch is installed, but the Poplar SDK is not enabled",
        "source $POPLAR_SDK/poplar-*/enable.sh && source $POPLAR_SDK/popart-*/enable.sh",
    ),
    "none": Finding(
        "no device",
        "PopTorch is installed, but no IPU is attached",
        "POPTORCH_IPU_MODEL=1 runs on the SDK's simulator, and so does option ipu_model=true",
    ),
    "model": Finding("ready", "", ""),
    "ready": Finding("ready", "", ""),
}
"""What `snnhw_ipu.worker.doctor` finds -> what to say. ``nowhere``: missing, and no interpreter was named."""


def probe(options: IpuOptions) -> Probe:
    """Look where the options say that PopTorch, or the emulator, would run."""
    try:
        return _emulator(options) if options.emulate else _poptorch(options)
    except DeviceError as error:
        return Probe("broken", reason=str(error), install=ENVIRONMENT)


def _emulator(options: IpuOptions) -> Probe:
    python = interpreter(options)
    assert python is not None
    worker = take(python)
    give_back(worker)
    return Probe("ready", version=f"torch {worker.hello['torch']}", device=label(options))


def _poptorch(options: IpuOptions) -> Probe:
    python = interpreter(options)
    if python is None:
        found = diagnose()
    else:
        link = connect(options)
        found = link.ask("probe", {}, {})[0]
        link.close()
    kind = found["kind"]
    if kind == "none" and options.ipu_model:
        kind = "model"
    finding = FINDINGS["nowhere" if kind == "missing" and python is None else kind]
    asked = python or sys.executable
    detail = f": {found['detail']}" if found.get("detail") and finding.reason else ""
    devices = {
        "model": "IPU model (the SDK's simulator)",
        "ready": f"IPU, through {python or 'this environment'}",
    }
    return Probe(
        finding.status,
        reason=finding.reason.format(python=asked) + detail,
        install=finding.install.format(python=asked),
        version=f"poptorch {found['version']}" if "version" in found else "",
        device=devices.get(kind, ""),
    )
