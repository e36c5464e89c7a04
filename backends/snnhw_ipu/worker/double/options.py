"""``poptorch.Options``: typed values behind setters that chain, frozen by whoever takes them."""

from __future__ import annotations

import enum
import logging
from copy import deepcopy
from typing import Any, Mapping

import torch

__all__ = ["ConnectionType", "HalfFloatCastingBehavior", "Options", "OutputMode", "ReductionType"]

LOG = logging.getLogger("poptorch")


class OutputMode(enum.Enum):
    """Which results of one call come back."""

    Final = 0
    EveryN = 1
    All = 2
    Sum = 3
    Default = 4


class ReductionType(enum.Enum):
    """How gradients of micro-batches are combined."""

    Sum = 0
    Mean = 1
    NoReduction = 2


class HalfFloatCastingBehavior(enum.Enum):
    """Once chosen, now ignored."""

    FloatDowncastToHalf = 0
    HalfUpcastToFloat = 1
    Default = 2


class ConnectionType(enum.Enum):
    """When a device is attached."""

    Always = 0
    OnDemand = 1
    Never = 2


class Group:
    """Some options: declared with their defaults, each of one type."""

    values: dict[str, Any]
    frozen: bool

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__["values"] = dict(values)
        self.__dict__["frozen"] = False

    def __setattr__(self, name: str, value: Any) -> None:
        if self.frozen:
            raise AttributeError("Can't modify frozen Options")
        raise AttributeError("Invalid option '%s': options are set by calling them" % name)

    def put(self, name: str, value: Any) -> None:
        """Set one."""
        if self.frozen:
            raise AttributeError("Can't modify frozen Options")
        assert name in self.values, "Invalid option %s: valid options are %s" % (name, sorted(self.values))
        kind = type(self.values[name])
        assert isinstance(value, kind), "Unexpected type %s for option %s: expected %s" % (
            type(value),
            name,
            kind,
        )
        self.values[name] = value

    def freeze(self) -> None:
        """No more changes."""
        self.__dict__["frozen"] = True


class TrainingGroup(Group):
    """``Options.Training``."""

    def __init__(self) -> None:
        super().__init__({"gradient_accumulation": 1, "reduction": ReductionType.Mean})

    def gradientAccumulation(self, count: int) -> TrainingGroup:  # PopTorch's names
        self.put("gradient_accumulation", count)
        return self

    def accumulationAndReplicationReductionType(self, kind: ReductionType) -> TrainingGroup:
        if kind not in (ReductionType.Sum, ReductionType.Mean):
            raise ValueError("Unsupported reduction type %s" % kind)
        self.put("reduction", kind)
        return self


class PrecisionGroup(Group):
    """``Options.Precision``."""

    def __init__(self) -> None:
        super().__init__({"exceptions": False, "stochastic": False, "partials": torch.float})

    def enableFloatingPointExceptions(self, enabled: bool) -> PrecisionGroup:
        self.put("exceptions", enabled)
        return self

    def enableStochasticRounding(self, enabled: bool) -> PrecisionGroup:
        self.put("stochastic", enabled)
        return self

    def setPartialsType(self, dtype: torch.dtype) -> PrecisionGroup:
        if dtype not in (torch.float, torch.half):
            raise ValueError("Partials are float or half, not %s" % dtype)
        self.put("partials", dtype)
        return self

    def halfFloatCasting(self, half_float_casting: Any) -> PrecisionGroup:
        LOG.warning("[Deprecated] Do not call options.Precision.halfFloatCasting(): it does nothing")
        return self

    def runningStatisticsAlwaysFloat(self, value: bool) -> PrecisionGroup:
        if not isinstance(value, bool):
            raise ValueError("runningStatisticsAlwaysFloat needs to be set to a bool")
        LOG.warning("[Deprecated] Do not call runningStatisticsAlwaysFloat(): it does nothing")
        return self


class JitGroup(Group):
    """``Options.Jit``."""

    def __init__(self) -> None:
        super().__init__({})

    def traceModel(self, trace_model: bool) -> JitGroup:
        LOG.warning("[Deprecated] Do not call options.Jit.traceModel()")
        if trace_model:
            raise ValueError("options.Jit.traceModel(True) is no longer supported")
        return self


DEFAULTS: Mapping[str, Any] = {
    "device_iterations": 1,
    "replication_factor": 1,
    "auto_round": False,
    "broadcast_buffers": True,
    "output_mode": OutputMode.Default,
    "output_n": 1,
    "seed": -1,
    "cache": "",
    "ipu_model": False,
    "offline_version": 0,
    "connection": ConnectionType.Always,
    "memory": {},
    "synthetic": False,
    "name": "",
    "progress": True,
}


class Options(Group):
    """``poptorch.Options``."""

    Training: TrainingGroup
    Precision: PrecisionGroup
    Jit: JitGroup

    def __init__(self) -> None:
        super().__init__(DEFAULTS)
        self.__dict__["Training"] = TrainingGroup()
        self.__dict__["Precision"] = PrecisionGroup()
        self.__dict__["Jit"] = JitGroup()

    def _put(self, name: str, value: Any) -> Options:
        self.put(name, value)
        return self

    def deviceIterations(self, count: int) -> Options:
        return self._put("device_iterations", count)

    def replicationFactor(self, count: int) -> Options:
        return self._put("replication_factor", count)

    def autoRoundNumIPUs(self, enabled: bool) -> Options:
        return self._put("auto_round", enabled)

    def broadcastBuffers(self, enabled: bool = True) -> Options:
        return self._put("broadcast_buffers", enabled)

    def outputMode(self, mode: OutputMode, n: int | None = None) -> Options:
        if mode is OutputMode.EveryN:
            assert n, "EveryN requires output_return_period to be set"
            self._put("output_n", n)
        return self._put("output_mode", mode)

    def randomSeed(self, seed: int) -> Options:
        assert isinstance(seed, int), "randomSeed takes a whole number"
        torch.manual_seed(seed)  # the host's, too
        return self._put("seed", seed)

    def enableExecutableCaching(self, path: str | None) -> Options:
        return self._put("cache", path or "")

    def useIpuModel(self, enabled: bool) -> Options:
        return self._put("ipu_model", enabled)

    def useOfflineIpuTarget(self, version: int = 2) -> Options:
        self._put("connection", ConnectionType.Never)
        return self._put("offline_version", version)

    def connectionType(self, kind: ConnectionType) -> Options:
        return self._put("connection", kind)

    def setAvailableMemoryProportion(self, proportions: dict[str, float]) -> Options:
        assert all(name.startswith("IPU") for name in proportions), "keys are IPU0, IPU1, ..."
        return self._put("memory", dict(proportions))

    def enableSyntheticData(self, enabled: bool) -> Options:
        return self._put("synthetic", enabled)

    def modelName(self, name: str) -> Options:
        return self._put("name", name)

    def showCompilationProgressBar(self, show: bool = True) -> Options:
        return self._put("progress", show)

    def clone(self) -> Options:
        """A copy that can be changed."""
        copy = Options()
        copy.values.update(deepcopy(self.values))
        copy.Training.values.update(self.Training.values)
        copy.Precision.values.update(self.Precision.values)
        return copy

    def freeze(self) -> None:
        """No more changes, in the groups neither."""
        super().freeze()
        self.Training.freeze()
        self.Precision.freeze()
        self.Jit.freeze()

    def split(self) -> int:
        """Into how many micro-batches the first axis of every input is cut."""
        values = self.values
        count: int = values["device_iterations"] * self.micro_batches()
        return count

    def micro_batches(self) -> int:
        """How many micro-batches share one update."""
        count: int = self.values["replication_factor"] * self.Training.values["gradient_accumulation"]
        return count
