"""The stand-in invents no name, and the worker uses none, that PopTorch 3.4 does not have.

The lists are from its sources (graphcore/poptorch, tag sdk/poptorch/3.4.0, folder python): __init__.py,
enums.py, ops.py, options.py, _poplar_executor.py and optim.py.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest
from source import ROOT

from snnhw_ipu.worker import double

DOUBLE: Any = double


def names(text: str) -> set[str]:
    return set(text.split())


MODULE = names("""
    Block BlockFunction BeginBlock AutoStage CPU CommGroupType ConnectionType DataLoader DataLoaderMode Error
    HalfFloatCastingBehavior Options OutputMode PoplarExecutor ReductionType Stage TensorLocationSettings
    __version__ cond custom_op dynamic_slice for_loop identity_loss inferenceModel ipuHardwareIsAvailable
    ipuHardwareVersion ipu_print_tensor isRunningOnIpu load nop optim recomputationCheckpoint
    serializedMatMul set_available_memory setLogLevel trainingModel
""")
OPTIONS = names("""
    anchorTensor appendToLocationExcludes autoRoundNumIPUs broadcastBuffers clone connectionType
    deviceIterations disableModuleNamescope enableExecutableCaching enableProfiling enableStableNorm
    enableSyntheticData inputReplicaGrouping loadFromFile logCycleCount logDir maxRepeatLogs modelName
    outputMode randomSeed relaxOptimizerAttributesChecks replicationFactor setAvailableMemoryProportion
    setExecutionStrategy showCompilationProgressBar sourceLocationExcludes syncPattern toDict
    updatableNamedBuffers useIpuId useIpuModel useOfflineIpuTarget
    Training Precision Jit TensorLocations Distributed
""")
GROUPS = {
    "Training": names("""
        gradientAccumulation accumulationAndReplicationReductionType setAutomaticLossScaling
        setConvolutionDithering setMeanAccumulationAndReplicationReductionStrategy
    """),
    "Precision": names("""
        enableFloatingPointExceptions enableStochasticRounding halfFloatCasting runningStatisticsAlwaysFloat
        setPartialsType
    """),
    "Jit": names("traceModel"),
}
EXECUTOR = names("""
    attachToDevice compile compileAndExport copyNamedBuffersToDevice copyWeightsToDevice copyWeightsToHost
    copyWeightsToHostIfNeeded cycleCount destroy detachFromDevice getPerfCounters isAttachedToDevice
    isCompiled loadExecutable load_state_dict save setOptimizer
""")
OWN = {"put", "freeze", "split", "micro_batches"}
"""The stand-in's own, in lower case; PopTorch's are spelt like ``thisOne``."""


def methods(kind: Any) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isroutine) if not name.startswith("_")}


def test_the_stand_in_invents_no_name() -> None:
    assert set(DOUBLE.__all__) <= MODULE
    assert methods(DOUBLE.Options) - OWN <= OPTIONS
    assert methods(DOUBLE.PoplarExecutor) <= EXECUTOR
    for name, known in GROUPS.items():
        assert methods(getattr(DOUBLE.Options(), name)) - OWN <= known


SESSION = ast.parse((ROOT / "backends/snnhw_ipu/worker/session.py").read_text())


def used(*holders: str) -> set[str]:
    """What the session reads from values of these names, such as ``executor.compile``."""
    return {
        node.attr
        for node in ast.walk(SESSION)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in holders
    }


@pytest.mark.parametrize(
    ("holders", "known"),
    [
        (("self.poptorch",), MODULE),
        (("options",), OPTIONS),
        (("options.Training",), GROUPS["Training"]),
        (("options.Precision",), GROUPS["Precision"]),
        (("executor", "other", "self.trainer"), EXECUTOR),
        (("self.optimizer",), {"state_dict", "load_state_dict", "param_groups"}),
    ],
)
def test_the_session_uses_no_other(holders: tuple[str, ...], known: set[str]) -> None:
    found = used(*holders)
    assert found
    assert found <= known
