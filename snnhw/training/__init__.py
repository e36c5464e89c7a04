"""Training as people do it: `fit`, a loop over ``Model.step`` that schedules, logs, saves and goes on.

`loop` is to be read first; `run` holds its pieces. `history`, `schedules` and `checkpoints` are the values
that they pass on.
"""

from __future__ import annotations

from snnhw.session.ranks import ALONE
from snnhw.tensors.ranks import ProcessRanks
from snnhw.training.checkpoints import Checkpoints
from snnhw.training.evaluation import evaluate
from snnhw.training.history import Batch, Epoch, History, Scores
from snnhw.training.logs import csv_log, json_log, logs, tensorboard_log
from snnhw.training.loop import fit
from snnhw.training.schedules import Constant, Cosine, LRSchedule, Plateau, StepDown, WarmUp
from snnhw.training.stopping import Stopped

__all__ = [
    "ALONE",
    "Batch",
    "Checkpoints",
    "Constant",
    "Cosine",
    "Epoch",
    "History",
    "LRSchedule",
    "Plateau",
    "ProcessRanks",
    "Scores",
    "StepDown",
    "Stopped",
    "WarmUp",
    "csv_log",
    "evaluate",
    "fit",
    "json_log",
    "logs",
    "tensorboard_log",
]
