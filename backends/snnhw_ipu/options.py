"""Options of the IPU backend. What cannot be is refused here, before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from snnhw.plugin import Probe

__all__ = ["IpuOptions"]


@dataclass(frozen=True)
class IpuOptions:
    """Options of the IPU backend.

    Attributes:
        emulate: run on the host, held to PopTorch's rules, in place of PopTorch.
        python: interpreter of the Poplar environment; None: ``SNNHW_IPU_PYTHON``, else this process.
        dtype: of signals, states and parameters. Losses are computed in float32.
        partials: of sums inside matrix products.
        replication: how many IPUs share each batch.
        gradient_accumulation: in how many parts, one after the other, an IPU takes its share of a batch in
            training; their mean gradient makes one update.
        device_iterations: likewise when running.
        chunk: number of steps that are compiled; a program walks through T in chunks of so many, which divide
            it, and trains with the gradient through all steps, computing each chunk twice. 0: all of T.
        available_memory: share of the memory of a tile that products may use while computing, 0 to 1.
        cache: folder for compiled programs.
        ipu_model: run on the SDK's simulator.
        synthetic_data: feed the device with made-up data, to measure it without the host.
        seed: of the device's random numbers.
        stay_attached: keep training and running each on IPUs of their own, in place of loading one after the
            other onto the same; takes up to five times as many.
        outputs: what training returns: ``all``, or ``loss`` alone, which saves the way to the host.
        pad: run batches of another size than the compiled one, in pieces, the last of them filled up.
        sync_every: after how many updates weights and optimizer come to the host, to survive a lost worker;
            0: only when they are asked for.
        timeout: seconds to wait for one answer of a worker; compiling a long program takes minutes.
    """

    emulate: bool = False
    python: str | None = None
    dtype: Literal["float32", "float16"] = "float32"
    partials: Literal["float32", "float16"] = "float32"
    replication: int = 1
    gradient_accumulation: int = 1
    device_iterations: int = 1
    chunk: int = 0
    available_memory: float | None = None
    cache: str | None = None
    ipu_model: bool = False
    synthetic_data: bool = False
    seed: int | None = None
    stay_attached: bool = False
    outputs: Literal["all", "loss"] = "all"
    pad: bool = False
    sync_every: int = 100
    timeout: float = 3600.0

    def __post_init__(self) -> None:
        for name in ("replication", "gradient_accumulation", "device_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give a whole number, 1 or more")
        if self.chunk < 0:
            raise ValueError(f"chunk is {self.chunk}; give a number of steps, or 0 for all")
        if self.replication & (self.replication - 1):
            raise ValueError(f"replication is {self.replication}; IPUs come in powers of two")
        if self.available_memory is not None and not 0 < self.available_memory <= 1:
            raise ValueError(f"available_memory is {self.available_memory}; give a share between 0 and 1")
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed is {self.seed}; give a whole number, 0 or more")
        if self.sync_every < 0:
            raise ValueError(f"sync_every is {self.sync_every}; give a number of updates, or 0 for never")
        if not self.timeout > 0:
            raise ValueError(f"timeout is {self.timeout}; give a number of seconds greater than 0")
        if self.emulate and self.ipu_model:
            raise ValueError("emulate and ipu_model exclude each other: the IPU model needs the SDK")

    @property
    def label(self) -> str:
        """What marks results: nothing on the real thing."""
        from snnhw_ipu.link import label

        return label(self)

    def probe(self) -> Probe:
        """Whether it can run where these options say."""
        from snnhw_ipu.probe import probe

        return probe(self)

    def parts(self, *, train: bool) -> int:
        """In how many parts the device takes one batch."""
        return self.replication * (self.gradient_accumulation if train else self.device_iterations)

    def for_worker(self) -> dict[str, Any]:
        """What the worker needs to know, as plain values."""
        names = (
            "partials",
            "replication",
            "gradient_accumulation",
            "device_iterations",
            "available_memory",
            "cache",
            "ipu_model",
            "synthetic_data",
            "seed",
            "stay_attached",
        )
        return {name: getattr(self, name) for name in names}
