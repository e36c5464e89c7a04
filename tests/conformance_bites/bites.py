"""What each wrong backend is caught by, and what it rightly passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import wrong_backends as wrong
import wrong_executables as executables
from wrong_backends import Wrong, ops

from snnhw.ir import BatchNorm1d, Conv2d, Dropout, Neuron

__all__ = ["WRONG", "Bite"]


@dataclass(frozen=True)
class Bite:
    """What is wrong, and which cases notice.

    Attributes:
        caught: cases that must fail; spared: cases that must pass, since they ask something else.
        options: of the reference underneath.
    """

    backend: Wrong
    caught: tuple[str, ...]
    spared: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)


WRONG: Final[Mapping[str, Bite]] = {
    "resets a step too early": Bite(
        Wrong(program=ops(Neuron, wrong.resets_at_once)),
        caught=("exact/Leaky-subtract-delayed", "exact/Leaky-zero-delayed", "margin/dense-Leaky"),
        spared=("exact/Leaky-subtract-immediate",),
    ),
    "fires at its threshold": Bite(
        Wrong(program=ops(Neuron, wrong.fires_at_threshold)),
        caught=("exact/at-threshold-delayed", "exact/at-threshold-retest", "exact/at-threshold-immediate"),
        spared=("margin/dense-Leaky", "gradient/Leaky-subtract-delayed"),
    ),
    "forgets the bias": Bite(
        Wrong(params=wrong.forgets_bias),
        caught=("exact/Linear-bias", "exact/Conv2d-plain", "exact/bias-at-start"),
        spared=("exact/Linear-no-bias",),
    ),
    "does not clamp a decay": Bite(
        Wrong(program=ops(Neuron, wrong.without_clamp)),
        caught=("exact/clamped-decay/step",),
        spared=("exact/Leaky-subtract-delayed/step", "margin/dense-Leaky"),
    ),
    "drops the gradient of the threshold": Bite(
        Wrong(program=wrong.fixes_thresholds),
        caught=("exact/Leaky-subtract-delayed/step", "gradient/Leaky-subtract-delayed"),
        spared=("exact/Leaky-subtract-delayed",),
    ),
    "does not detach the reset": Bite(
        Wrong(program=ops(Neuron, wrong.attached)),
        caught=("exact/Leaky-subtract-delayed/step", "gradient/Leaky-zero-delayed"),
        spared=("exact/Leaky-subtract-delayed", "gradient/Leaky-none-delayed"),
    ),
    "has one surrogate for all": Bite(
        Wrong(program=ops(Neuron, wrong.straight_through)),
        caught=("gradient/surrogate-ATan-alpha", "gradient/surrogate-FastSigmoid-slope"),
        spared=("gradient/surrogate-StraightThrough-plain", "gradient/surrogate-none"),
    ),
    "takes the stride the wrong way round": Bite(
        Wrong(program=ops(Conv2d, wrong.swaps_stride)),
        caught=("exact/Conv2d-strided",),
        spared=("exact/Conv2d-plain",),
    ),
    "delays behind the product": Bite(
        Wrong(program=wrong.delays_the_product),
        caught=("exact/bias-at-start", "law/agrees-recurrent"),
        spared=("exact/itself",),
    ),
    "starts delays at zero": Bite(
        Wrong(program=wrong.starts_delays_at_zero),
        caught=("exact/start-of-a-delay", "margin/recurrent-Leaky"),
        spared=("exact/itself",),
    ),
    "adds edges from right to left": Bite(
        Wrong(program=wrong.backwards),
        caught=("pointwise/three-edges",),
        spared=("exact/two-ways", "margin/residual-Leaky"),
        options={"dtype": "float32"},
    ),
    "takes the upper of two levels": Bite(
        Wrong(params=wrong.reverses_levels),
        caught=("exact/midpoints",),
        spared=("pointwise/Leaky-subtract-delayed-shaped-graded-quantised",),
    ),
    "loses the state": Bite(
        Wrong(around=executables.Forgetful),
        caught=("law/splits-dense", "law/splits-recurrent", "exact/from-state/step", "exact/long-delay"),
        spared=("law/agrees-dense", "margin/dense-Leaky"),
    ),
    "mixes up its samples": Bite(
        Wrong(around=executables.Shuffled),
        caught=("exact/Linear-bias", "law/permutes-dense", "margin/dense-Leaky"),
        spared=("gradient/Linear-bias",),
    ),
    "keeps membranes in half precision": Bite(
        Wrong(around=executables.Halved),
        caught=("pointwise/Leaky-subtract-delayed", "margin/dense-Leaky", "near/dense-Leaky"),
        spared=("exact/Linear-bias",),
    ),
    "computes in another precision than it returns": Bite(
        Wrong(around=executables.Narrowed),
        caught=("pointwise/Leaky-subtract-delayed",),
        spared=("exact/Leaky-subtract-delayed", "margin/dense-Leaky"),
    ),
    "fires at random": Bite(
        Wrong(around=executables.Trigger),
        caught=("near/dense-Leaky", "near/recurrent-Leaky"),
    ),
    "is never twice the same": Bite(
        Wrong(around=executables.Noisy),
        caught=("law/repeats-dense", "exact/Linear-bias"),
        spared=("training/SGD-plain",),
    ),
    "goes on behind the end of a sample": Bite(
        Wrong(program=ops(Neuron, wrong.endless)),
        caught=("law/ends-dense", "law/ends-recurrent"),
        spared=("law/agrees-dense", "gradient/ends-CERate"),
    ),
    "ignores the lengths of samples": Bite(
        Wrong(job=wrong.of_all_steps_given),
        caught=("law/ends-in-training-dense", "gradient/ends-CERate", "gradient/ends-MSETemporal"),
        spared=("law/ends-dense",),
    ),
    "ignores momentum and weight decay": Bite(
        Wrong(job=wrong.plain_descent),
        caught=("training/SGD-momentum", "training/SGD-weight_decay", "training/Adam-plain"),
        spared=("training/SGD-plain",),
    ),
    "ignores the weights of a loss": Bite(
        Wrong(job=wrong.unweighted),
        caught=("gradient/loss-CERate-plain", "gradient/two-heads", "training/SGD-plain"),
        spared=("law/trains-alike-dense",),
    ),
    "updates after every batch": Bite(
        Wrong(job=wrong.training(accumulate=1)),
        caught=("training/accumulated", "training/accumulated-clipped"),
        spared=("training/SGD-momentum",),
    ),
    "does not clip": Bite(
        Wrong(job=wrong.training(clip_norm=None)),
        caught=("training/clipped",),
        spared=("training/accumulated",),
    ),
    "forgets what the optimizer knew": Bite(
        Wrong(around=executables.Amnesiac),
        caught=("law/resumes-dense", "law/resumes-recurrent", "law/resumes-SGD", "law/resumes-AdamW"),
        spared=("training/Adam-plain",),
    ),
    "goes on from any state": Bite(
        Wrong(around=executables.Trusting),
        caught=("law/refuses-states-dense", "law/refuses-states-recurrent", "law/refuses-states-run-dense"),
        spared=("law/resumes-dense", "law/keeps-settings-dense"),
    ),
    "changes before it refuses": Bite(
        Wrong(around=executables.Hasty),
        caught=("law/refuses-states-dense",),
        spared=("law/resumes-dense",),
    ),
    "goes on with its first settings": Bite(
        Wrong(around=executables.Unscheduled),
        caught=("law/keeps-settings-dense", "law/keeps-settings-recurrent"),
        spared=("law/resumes-dense", "law/reschedules-dense"),
    ),
    "keeps its first learning rate": Bite(
        Wrong(around=executables.Stubborn),
        caught=("law/reschedules-dense",),
        spared=("law/resumes-dense",),
    ),
    "trains differently after a run": Bite(
        Wrong(around=executables.Disturbed),
        caught=("law/evaluates-dense",),
        spared=("law/trains-alike-dense",),
    ),
    "does not wait for other ranks": Bite(
        Wrong(job=wrong.by_itself),
        caught=("law/shares-dense", "law/shares-means"),
        spared=("law/trains-alike-dense", "law/reschedules-dense"),
    ),
    "runs with the weights of its first run": Bite(
        Wrong(around=executables.Stale),
        caught=("law/lives-dense", "law/lives-recurrent", "law/lives-few-events"),
        spared=("law/agrees-dense", "law/evaluates-dense", "training/SGD-plain"),
    ),
    "keeps its results to itself": Bite(
        Wrong(around=executables.Possessive),
        caught=("law/owns-dense",),
        spared=("law/agrees-dense",),
    ),
    "takes no new parameters": Bite(
        Wrong(around=executables.Deaf),
        caught=("law/round-trips-dense",),
        spared=("law/agrees-dense",),
    ),
    "runs what it does not claim": Bite(
        Wrong(claims=wrong.without(Conv2d)),
        caught=("exact/Conv2d-plain", "margin/convolutional-Leaky"),
        spared=("exact/Linear-bias",),
    ),
    "refuses what it claims": Bite(
        Wrong(refuses=Conv2d),
        caught=("exact/Conv2d-plain", "margin/convolutional-Leaky"),
        spared=("exact/Linear-bias",),
    ),
    "waits one step where it should wait two": Bite(
        Wrong(program=wrong.hurries),
        caught=("exact/itself-two-late", "exact/long-delay", "margin/recurrent-Leaky"),
        spared=("exact/itself",),
    ),
    "computes in its usual dtype": Bite(
        Wrong(job=wrong.at_its_usual_dtype),
        caught=("law/computes-dense", "law/computes-recurrent"),
        spared=("law/agrees-dense",),
    ),
    "emulates and does not say so": Bite(
        wrong.Quiet(),
        caught=("law/labels-dense",),
        spared=("law/refuses-dense",),
    ),
    "trains with what nobody has heard of": Bite(
        Wrong(claims=wrong.any_training),
        caught=("law/refuses-training-dense",),
        spared=("law/refuses-dense", "law/reschedules-dense"),
    ),
    "claims what nobody has heard of": Bite(
        Wrong(claims=wrong.everything),
        caught=("law/refuses-dense",),
        spared=("law/agrees-dense",),
    ),
    "normalises over the wrong axis": Bite(
        Wrong(program=ops(BatchNorm1d, wrong.sideways)),
        caught=("gradient/BatchNorm1d-plain", "gradient/BatchNorm1d-line", "training/chancy"),
        spared=("margin/BatchNorm1d-plain",),
    ),
    "normalises all steps by the same numbers": Bite(
        Wrong(program=ops(BatchNorm1d, wrong.of_all_steps)),
        caught=("gradient/BatchNorm1d-plain", "training/chancy"),
        spared=("gradient/BatchNorm1d-folded", "gradient/BatchNorm1d-through-time"),
    ),
    "measures once what does not change": Bite(
        Wrong(program=wrong.measures_once),
        caught=("gradient/static-BatchNorm1d-plain", "gradient/static-BatchNorm1d-line"),
        spared=("gradient/BatchNorm1d-plain", "margin/static-BatchNorm1d-plain"),
    ),
    "leaves out the same at every step": Bite(
        Wrong(program=ops(Dropout, wrong.holds_masks)),
        caught=("gradient/Dropout-half", "gradient/static-Dropout-half"),
        spared=("gradient/Dropout-held", "margin/static-Dropout-half"),
    ),
    "has random numbers of its own": Bite(
        Wrong(job=wrong.of_its_own_chance),
        caught=("exact/stranger-Lucky", "law/agrees-lucky", "gradient/Dropout-held"),
        spared=("law/repeats-lucky", "law/trains-alike-chancy"),
    ),
    "begins its random numbers anew": Bite(
        Wrong(around=executables.Restarted),
        caught=("law/splits-lucky",),
        spared=("law/repeats-lucky", "law/splits-dense"),
    ),
    "approximates an exponential": Bite(
        Wrong(program=wrong.rewrites("exp", wrong.roughly)),
        caught=("margin/function-exp", "gradient/function-exp"),
        spared=("margin/function-tanh",),
    ),
    "has the wrong slope of a function": Bite(
        Wrong(program=wrong.rewrites("atan", wrong.of_slope_one)),
        caught=("gradient/function-atan",),
        spared=("margin/function-atan", "gradient/function-tanh"),
    ),
    "trains in its usual dtype": Bite(
        Wrong(job=wrong.trained_at_its_usual_dtype),
        caught=("law/learns-dense",),
        spared=("law/computes-dense",),
    ),
    "has an answer to everything": Bite(
        Wrong(around=executables.Lenient),
        caught=("law/refuses-inputs-dense", "law/refuses-inputs-recurrent"),
        spared=("law/refuses-targets-dense",),
    ),
    "refuses what does not fit by accident": Bite(
        Wrong(around=executables.Crude),
        caught=("law/refuses-inputs-dense",),
        spared=("law/agrees-dense",),
    ),
    "trains towards nothing": Bite(
        Wrong(around=executables.Untargeted),
        caught=("law/refuses-targets-dense",),
        spared=("law/refuses-inputs-dense",),
    ),
    "explains nothing": Bite(
        wrong.Silent(),
        caught=("law/describes-dense",),
        spared=("law/labels-dense",),
    ),
    "is missing and does not say why": Bite(
        wrong.Helpless(),
        caught=("law/describes-dense",),
        spared=("law/labels-dense",),
    ),
    "rounds a slope in another order": Bite(
        Wrong(program=ops(Neuron, wrong.rounds_slopes_otherwise)),
        caught=("pointwise/surrogate-FastSigmoid/step",),
        spared=("gradient/surrogate-FastSigmoid-slope", "pointwise/surrogate-ATan/step"),
        options={"dtype": "float32"},
    ),
    "hands on another state than it reached": Bite(
        Wrong(around=executables.Behind),
        caught=("margin/dense-Alpha", "near/dense-Leaky", "law/splits-recurrent"),
        spared=("gradient/Leaky-subtract-delayed", "law/permutes-dense"),
    ),
    "returns other outputs than it records": Bite(
        Wrong(around=executables.Twofold),
        caught=("margin/dense-Alpha", "near/dense-Leaky", "exact/Linear-bias"),
        spared=("law/repeats-dense",),
    ),
}
"""What is wrong -> how that shows."""
