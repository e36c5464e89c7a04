"""snnTorch's ``import_nir``: a ``nir.NIRGraph`` as a torch module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from snnhw.errors import InputError
from snnhw.export_nir import objects
from snnhw.nn.program import ProgramStep
from snnhw.words import public

__all__ = ["ImportedStep", "import_from_nir"]

__getattr__, __dir__ = public(__name__, __all__)


class ImportedStep(ProgramStep):
    """``spk, state = module(x, state)``: a graph as snnTorch's import gives it, made by `import_from_nir`.

    The states are kept inside, too, so that ``module(x)`` goes on from the last step until
    `snnhw.utils.reset`. In `snnhw.compile` and `snnhw.capture` it is its program.
    """

    returns_state: ClassVar[bool] = True

    def forward(self, x: Tensor, state: Mapping[str, Tensor] | None = None) -> Any:  # type: ignore[override]  # snnTorch's
        """One step.

        Args:
            x: ``[B, ...]``.
            state: what the step before returned; None, or one that is empty: what is kept inside.

        Returns:
            what the graph gives ``[B, ...]``, a tuple where it has several outputs, and its state: by key,
            ``[B, ...]``.

        Raises:
            InputError: an input, or the batch of the states, has another shape; or ``state`` is no mapping.
        """
        if state is not None and not isinstance(state, Mapping):
            kind = type(state).__name__
            raise InputError(f"state is of type {kind}; give what the step before returned, or None")
        if state:
            self.state = dict(state)
        return super().forward(x), dict(self.state or {})


def import_from_nir(graph: Any, *, dt: float = 1e-4, scheme: str = "euler", **options: Any) -> ImportedStep:
    """A graph as a torch module of one time step, in single precision, which keeps its states inside.

    As snnTorch's, it returns ``(spk, state)``, and takes the state as a second argument.

    Args:
        graph: a ``nir.NIRGraph``, such as ``nir.read`` gives. `snnhw.load` reads files behind a guard.
        dt: length of a step in seconds, and ``scheme``: how it is taken; by default what snnTorch takes
            for granted.
        options: ``dialect``, ``reset``, ``recurrence`` and ``gain``, as for `snnhw.load`.

    Raises:
        LoadError: naming the node and the field, for what makes no sense or has no counterpart.
        PluginError: the package ``nir`` is not installed.
    """
    program, params, _ = objects().from_object(graph, dt=dt, scheme=scheme, **options)
    return ImportedStep(program, params).float()  # graphs often hold NumPy's doubles
