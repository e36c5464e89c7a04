"""The entry point of the format."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

from snnhw.errors import InputError
from snnhw.ir import Params, Program
from snnhw.plugin import INTERFACE, Probe, Report
from snnhw_nir.targets.dialects import DIALECTS

__all__ = ["NirFormat"]

NEEDS: Final = "nir"


class NirFormat:
    """Writes and reads ``.nir``; runs nothing."""

    name: Final = "nir"
    interface: Final = INTERFACE
    suffixes: Final = (".nir",)

    def probe(self) -> Probe:
        try:
            import h5py  # noqa: F401  # asked for, not used
            import nir  # noqa: F401  # likewise
        except ImportError as error:
            return Probe("missing", str(error), install="pip install 'snnhw[nir]'")
        return Probe("ready", version=f"nir {metadata.version(NEEDS)}")

    def capabilities(self) -> Mapping[str, Any]:
        """``targets``: for whom files can be written, and how each reads them."""
        return {"targets": DIALECTS}

    def write(
        self,
        program: Program,
        params: Params,
        path: Path,
        *,
        target: str = "nir",
        dt: float | None = None,
        scheme: str | None = None,
        lossy: Literal["error", "allow"] = "error",
        nested: bool = False,
        groups: Literal["zeros", "kept"] = "zeros",
        sample: Any = None,
    ) -> Report:
        """Write a program.

        Args:
            target: who will read the file: ``nir`` for anyone who keeps to the specification, or a
                simulator by name.
            dt: length of a step in seconds; by default what the target takes for granted, or else 1e-4.
            scheme: how the reader takes a step; the target's by default.
            lossy: whether spikes may change: ``error`` refuses, and says how many would.
            nested: whether modules within modules become graphs within graphs, where NIR can say them so;
                else all nodes stand side by side, under dotted names.
            groups: convolutions in groups as those of all channels, with ``zeros`` for what they do not hear,
                which every reader takes; or ``kept``, which the package ``nir`` reads with
                ``type_check=False`` alone, and most simulators not at all.
            sample: what to measure that on: input name -> ``[B, ...]``, held for 100 steps.

        Raises:
            ExportError: NIR, or the target, cannot say the program; or spikes would change.
        """
        from snnhw_nir.exporting import export

        given: dict[str, Any] = {"target": target, "dt": dt, "scheme": scheme, "lossy": lossy}
        return export(program, params, path, **given, nested=nested, groups=groups, sample=sample)

    def to_object(self, program: Program, params: Params, **options: Any) -> tuple[Any, Report]:
        """The ``nir.NIRGraph`` that `write` would have put into a file."""
        from snnhw_nir.exporting import as_object

        return as_object(program, params, **options)

    def from_object(self, made: Any, **options: Any) -> tuple[Program, Params, Report]:
        """What a ``nir.NIRGraph`` means; options as for `read`, without ``max_bytes``."""
        from snnhw_nir.files.file import from_nir
        from snnhw_nir.importing import program_from

        return program_from(from_nir(made), **options)

    def read(self, path: Path, **options: Any) -> tuple[Program, Params, Report]:
        """Read a file from anywhere.

        Args:
            dt: length of a step in seconds; scheme: how it is taken. A file written by snnhw says both.
            dialect: a reader by name, such as ``spikingjelly``: the file means what that one makes of it, in
                ties, starts and gains, too. It settles ``scheme``, ``reset`` and ``recurrence``.
            reset: ``to_value`` (NIR's own) or ``subtract``, for files whose author meant that.
            recurrence: where cycles are delayed by a step: ``spikes`` or ``current``.
            gain: ``neuron``, or ``weights``: what a neuron multiplies its input by goes into the weights
                before it, where it can; the report lists where that rounds, and where it stays.
            max_bytes: most bytes that the file may take, packed or unpacked.

        Raises:
            LoadError: naming file, node and field.
            InputError: dt or scheme has to be given, or makes no sense.
        """
        from snnhw_nir.importing import OPTIONS, load

        if stray := sorted(set(options) - set(OPTIONS)):
            raise InputError(f"'{stray[0]}' is no option for reading NIR; options: {', '.join(OPTIONS)}")
        return load(path, **options)
