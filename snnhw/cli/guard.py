"""What every command has in common when it fails: one message, an exit status, no traceback."""

from __future__ import annotations

from typing import Any, Final

import typer
from typer.core import TyperGroup

from snnhw.cli.console import complain, err
from snnhw.errors import SnnhwError

__all__ = ["FAILED", "INTERRUPTED", "Guarded"]

FAILED: Final = 1
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it; 2 is for wrong usage


class Guarded(TyperGroup):
    """A group of commands whose expected failures end in a message.

    An exception that is none of snnhw's own, nor about a file, is a mistake of ours or of a plugin,
    and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            err.print("interrupted; files that were written are complete")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `| head` has seen enough
            raise
        except (SnnhwError, OSError) as error:
            if ctx.params.get("traceback"):
                raise
            complain(_in_words(error))
            raise typer.Exit(FAILED) from error
        except (MemoryError, RuntimeError) as error:
            if ctx.params.get("traceback") or not _of_memory(error):
                raise
            complain(f"there is not enough memory: {error}; {SMALLER}")
            raise typer.Exit(FAILED) from error


SMALLER: Final = "fewer steps (--time-steps), a smaller batch (--batch) or fewer inputs need less"


def _of_memory(error: Exception) -> bool:
    """torch has no type of its own for this on a CPU."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error)


def _in_words(error: SnnhwError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"'{error.filename}': {error.strerror}"
    return str(error)
