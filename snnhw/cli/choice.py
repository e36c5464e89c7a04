"""Which backend a command takes when the user names none."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["default_backend"]


def default_backend() -> str:
    """The first backend, by name, that is ready and trains in earnest; no backend is known here.

    In earnest means on the real thing rather than an emulator, and in single precision; one that
    computes in another precision by default is taken only when there is nothing else.

    Raises:
        PluginUnavailable: none is ready.
    """
    from snnhw import registry
    from snnhw.errors import PluginUnavailable
    from snnhw.plugin import BACKENDS

    later = []
    for name, dtype in _trainers():
        if dtype != "float32":
            later.append(name)
        elif registry.probe(BACKENDS, name).ready:
            return name
    for name in later:
        if registry.probe(BACKENDS, name).ready:
            return name
    raise PluginUnavailable("no installed backend is ready to train; `snnhw backends` says why")


def _trainers() -> Iterator[tuple[str, str]]:
    """Backends that train and are no emulators, with their default dtype; those that fail are passed over."""
    from snnhw import registry
    from snnhw.errors import PluginError
    from snnhw.plugin import BACKENDS

    for name in registry.names(BACKENDS):
        try:
            can = registry.load(BACKENDS, name).capabilities()
        except PluginError:
            continue
        if can.train and not can.label:
            yield name, can.dtypes[0]
