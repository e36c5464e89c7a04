"""What a loss of one's own is put together from, under snnTorch's names."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snnhw.functional import acc
from snnhw.ir import Loss
from snnhw.tensors.losses import class_numbers
from snnhw.tensors.spiketime import spike_steps

__all__ = ["LossFunctions", "SpikeTime"]


class LossFunctions(metaclass=ABCMeta):  # noqa: B024  # for `register`: our losses are its instances
    """Parent of a loss of one's own, which writes ``_compute_loss``; it is called on tensors::

        class Mine(SF.LossFunctions):
            def _compute_loss(self, spk_out, targets):
                return nn.CrossEntropyLoss(reduction=self.reduction)(spk_out.sum(0), targets)

    snnhw's own losses count as its instances, and have ``reduction`` and ``weight`` too.

    Args:
        reduction: for ``_compute_loss``; with a weight, a mean is taken of what that returns.
        weight: of each class, ``[classes]``, or None.
    """

    def __init__(self, reduction: str, weight: Any) -> None:
        self.reduction, self.weight = reduction, weight

    def __call__(self, spk_out: Tensor, targets: Any) -> Tensor:
        """The loss of a recording ``[T, B, C]``."""
        return self._reduce(self._compute_loss(spk_out, targets))

    def _compute_loss(self, spk_out: Tensor, targets: Any) -> Tensor:
        raise NotImplementedError(
            f"{type(self).__name__} is a loss without a formula; write _compute_loss(self, spk_out, targets)"
        )

    def _prediction_check(self, spk_out: Tensor) -> tuple[torch.device, int, int]:
        return acc._prediction_check(spk_out)

    def _population_code(self, spk_out: Tensor, num_classes: Any, num_outputs: int) -> Tensor:
        counts: Tensor = acc._population_code(spk_out, num_classes, num_outputs)
        return counts

    def _intermediate_reduction(self) -> str:
        """What a part of a weighted loss is given, so that nothing is averaged twice."""
        return self.reduction if self.weight is None else "none"

    def _reduce(self, loss: Tensor) -> Tensor:
        return loss.mean() if self.weight is not None and self.reduction == "mean" else loss


LossFunctions.register(Loss)


class SpikeTime(nn.Module):
    """From a recording to the steps of its spikes, differentiable, and the steps that are wanted.

    Args:
        target_is_time: targets are steps ``[B, C]``, or ``[F, B, C]``; otherwise class numbers ``[B]``.
        on_target, off_target: the step at which the right class, and the others, should first fire;
            negative ones count from the end. With ``multi_spike`` F steps each.
        tolerance: a step less than this far from its target is given as the target.
        multi_spike: the first F spikes rather than the first.
    """

    def __init__(
        self,
        target_is_time: bool = False,
        on_target: float | Sequence[float] = 0,
        off_target: float | Sequence[float] = -1,
        tolerance: float = 0,
        multi_spike: bool = False,
    ) -> None:
        super().__init__()
        self.target_is_time, self.multi_spike, self.tolerance = target_is_time, multi_spike, tolerance
        if not target_is_time:
            self.on_target, self.off_target = on_target, off_target

    def forward(self, spk_out: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes ``[T, B, C]`` to steps ``[B, C]``, or ``[F, B, C]``, and as many that are wanted.

        A spike that does not come counts as one at the last step. Targets are not changed in place.
        """
        wanted = targets if self.target_is_time else self.labels_to_spike_times(targets, spk_out.shape[-1])
        wanted = torch.where(wanted < 0, wanted + len(spk_out), wanted)
        steps = spike_steps(spk_out, len(wanted) if self.multi_spike else 1)
        steps = steps if self.multi_spike else steps[0]
        if self.tolerance:
            near = (steps.detach() - wanted).abs() < self.tolerance
            steps = steps + torch.where(near, wanted - steps.detach(), 0)  # the gradient stays
        return steps, wanted

    def labels_to_spike_times(self, targets: Tensor, num_outputs: int) -> Tensor:
        """Class numbers ``[B]`` as steps ``[B, C]``, or ``[F, B, C]`` with ``multi_spike``."""
        convert = self.label_to_multi_spike if self.multi_spike else self.label_to_single_spike
        return convert(targets, num_outputs)

    def label_to_single_spike(self, targets: Tensor, num_outputs: int) -> Tensor:
        """Class numbers ``[B]`` as steps ``[B, C]``."""
        return self._converted(targets, num_outputs, self.on_target, self.off_target)

    def label_to_multi_spike(self, targets: Tensor, num_outputs: int) -> Tensor:
        """Class numbers ``[B]`` as steps ``[F, B, C]``."""
        pairs: Any = zip(self.on_target, self.off_target, strict=True)  # type: ignore[arg-type]  # F each
        return torch.stack([self._converted(targets, num_outputs, on, off) for on, off in pairs])

    @staticmethod
    def _converted(targets: Tensor, num_outputs: int, on: Any, off: Any) -> Tensor:
        classes = class_numbers("SpikeTime", targets, len(targets), num_outputs)
        hit = classes[:, None] == torch.arange(num_outputs, device=targets.device)
        return torch.where(hit, float(on), float(off))
