"""``poptorch.DataLoader``: whole calls' worth of samples at once."""

from __future__ import annotations

import warnings
from typing import Any

import torch.utils.data

from .errors import Error
from .options import Options

__all__ = ["DataLoader"]


class DataLoader(torch.utils.data.DataLoader):  # type: ignore[type-arg]  # of anything
    """Yields batches of ``batch_size`` times the number of micro-batches of one call.

    Attributes:
        combinedBatchSize: that product; None without automatic batches.
        options: frozen from here on.
    """

    def __init__(
        self,
        options: Options,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        *,
        num_workers: int = 0,
        drop_last: bool = True,
        batch_sampler: Any = None,
        **kwargs: Any,
    ) -> None:
        assert isinstance(options, Options), "options must be of type poptorch.Options"
        options.freeze()
        self.options = options
        combined: int | None = None
        if batch_sampler is not None:
            if batch_size != 1 or shuffle:
                raise Error("`batch_sampler` option is mutually exclusive with batch_size, shuffle.")
            kwargs["batch_sampler"] = batch_sampler
        elif batch_size is not None:
            combined = batch_size * options.split()
            if not drop_last and len(dataset) % combined:
                warnings.warn(
                    "The last tensor will have a batch size that the model is not compiled for", stacklevel=2
                )
            kwargs.update(batch_size=combined, shuffle=bool(shuffle), drop_last=drop_last)
        else:
            kwargs.update(batch_size=None, shuffle=shuffle)
        self.__dict__["combinedBatchSize"] = combined
        super().__init__(dataset, num_workers=num_workers, **kwargs)

    def terminate(self) -> None:
        """Stop background work; there is none here."""
