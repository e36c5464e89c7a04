"""Failures that a backend's author knows of: ``conformance_xfail.txt``, next to the plugin's module.

One case to a line, with a reason and a link to where it is followed up:

    exact/Leaky-zero-retest  # the reset comes a step late, https://example.org/issues/12

Blank lines and lines of comment are free. A listed case that passes is a failure, and so is a line that
names no case: the list shrinks when the backend improves.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from snnhw.errors import InputError
from snnhw.plugin import Backend
from snnhw.words import did_you_mean

__all__ = ["FILE", "known_failures", "parse"]

FILE: Final = "conformance_xfail.txt"


def known_failures(plugin: Backend, ids: Collection[str]) -> dict[str, str]:
    """Case -> reason, from the file next to the plugin's module; empty when there is no file.

    Raises:
        InputError: a line that is not in the form above, or names no case.
    """
    module = sys.modules.get(type(plugin).__module__)
    source = getattr(module, "__file__", None)
    path = Path(source).with_name(FILE) if source else None
    if path is None or not path.is_file():
        return {}
    return parse(path.read_text(encoding="utf-8"), ids, str(path))


def parse(text: str, ids: Collection[str], path: str = FILE) -> dict[str, str]:
    """Case -> reason, from the text of such a file."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, reason = (part.strip() for part in line.partition("#"))
        if not name:
            continue
        where = f"{path}, line {number}"
        if name not in ids:
            raise InputError(f"{where}: there is no conformance case '{name}'.{did_you_mean(name, ids)}")
        if name in found:
            raise InputError(f"{where}: '{name}' is listed twice")
        if "://" not in reason:
            raise InputError(f"{where}: give a reason and a link, as in '{name}  # why, https://...'")
        found[name] = reason
    return found
