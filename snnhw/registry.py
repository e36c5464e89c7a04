"""Finding plugins by name, and keeping one that fails from hurting the others.

Names are listed without importing any plugin; selecting a name imports that plugin and no other.
What can go wrong has an error each: `UnknownPlugin`, `DuplicatePlugin`, `PluginUnavailable` and
`InterfaceMismatch`. A table of everything installed is made with `survey`, which answers in bounded
time whatever a plugin does while it is imported, short of ending the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, wait
from importlib import metadata
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

from stevedore import DriverManager

from snnhw.errors import DuplicatePlugin, InterfaceMismatch, PluginError, PluginUnavailable, UnknownPlugin
from snnhw.options import build_options
from snnhw.plugin import BACKENDS, FORMATS, INTERFACE, READERS, STAND_INS, TARGETS, Probe
from snnhw.words import brief, did_you_mean, sentence

if TYPE_CHECKING:
    from snnhw.plugin import Backend, Format
    from snnhw.reader import Reader

__all__ = ["backend", "build_options", "file_format", "load", "names", "probe", "reader", "survey"]

PATIENCE = 30.0
"""Seconds that `probe` and `survey` wait for an answer: importing a large SDK from a cold disk is slow."""

CHANGES = "docs/writing_a_backend.md tells its author what has changed"

DEVICES = ("gpu", "nvidia", "mps", "xpu", "tpu", "rocm", "hip")

_OF_DEVICES = " A backend is named after what runs; none of those that are installed runs on such a device."

_PURPOSE = {
    BACKENDS: "a backend, which runs programs",
    FORMATS: "a format, which reads and writes files",
    TARGETS: "a target, a chip that computes in integers",
    READERS: "a reader, which runs files in another simulator",
}


def names(group: str) -> tuple[str, ...]:
    """The names offered in an entry-point group, sorted; imports no plugin."""
    return tuple(sorted({entry.name for entry in _entries(group)}))


def load(group: str, name: str) -> Any:
    """Import one plugin, construct it, and check that it is what its entry point says.

    Raises:
        UnknownPlugin: no installed distribution offers ``name`` in ``group``.
        DuplicatePlugin: more than one does.
        PluginUnavailable: its import or its constructor failed; the failure is the cause.
        InterfaceMismatch: it was written for another version of `snnhw.plugin`.
    """
    _check_offered_once(group, name)
    plugin = _construct(group, name)
    _check_interface(group, name, plugin)
    _check_name(group, name, plugin)
    return plugin


def backend(name: str, options: Mapping[str, object] | None = None) -> Backend:
    """The backend of that name, ready to compile.

    Args:
        options: that it will be used with. Where one of them puts something else in the place of the
            device, whether the device is there is not asked; where they say where it runs, it is asked there.

    Raises:
        PluginUnavailable: it cannot run on this machine now; says why and what would mend it.
        PluginError: as `load` does.
        InputError: an option that makes no sense.
    """
    _check_text(BACKENDS, name)
    if options:
        plugin = cast("Backend", load(BACKENDS, name))
        chosen = build_options(plugin, options)
        if any(getattr(chosen, stand_in, False) for stand_in in STAND_INS):
            return plugin
        if callable(getattr(chosen, "probe", None)):
            return cast("Backend", _ready(BACKENDS, name, chosen))
    return cast("Backend", _ready(BACKENDS, name))


def file_format(name: str) -> Format:
    """The file format of that name, ready to read and write; raises as `backend` does."""
    return cast("Format", _ready(FORMATS, name))


def reader(name: str, options: Mapping[str, object] | None = None) -> Reader:
    """The reader of that name, ready to run a file; raises as `backend` does.

    Args:
        options: that it will be used with. They may say where its simulator is, so that whether it is where
            it would be looked for otherwise is not asked.
    """
    if options:
        plugin = cast("Reader", load(READERS, name))
        build_options(plugin, options, "reader")
        return plugin
    return cast("Reader", _ready(READERS, name))


def probe(group: str, name: str, timeout: float = PATIENCE) -> Probe:
    """Whether one plugin can run here. Never raises, and answers within ``timeout`` seconds.

    A plugin that cannot be loaded, whose probe raises, or that does not answer is ``broken``.
    """
    return _probe_all(group, (name,), timeout)[name]


def survey(group: str, timeout: float = PATIENCE) -> dict[str, Probe]:
    """`probe` every plugin of a group at once, within ``timeout`` seconds for all of them together."""
    return _probe_all(group, names(group), timeout)


# -- Loading ------------------------------------------------------------------------------------


def _entries(group: str) -> list[metadata.EntryPoint]:
    """What installed distributions offer in a group, as of now.

    stevedore is handed the list as well. Its own, kept on disk, compares times rounded to two minutes,
    so that what is installed soon after something else may never appear in it; it is no faster either.
    """
    entries = list(metadata.entry_points(group=group))
    DriverManager.ENTRY_POINT_CACHE[group] = entries
    return entries


def _check_text(group: str, name: object) -> None:
    if not isinstance(name, str):
        close = did_you_mean(str(name).lower().partition(":")[0], names(group))
        raise UnknownPlugin(f"{_kind(group)}={brief(name)} is no name of one.{close} {_installed(group)}")


def _check_offered_once(group: str, name: str) -> None:
    # Asked before stevedore is: for a name it does not know it logs a warning that cannot be
    # silenced, and for a name offered twice it would import both plugins.
    owners = _owners(group, name)
    if not owners:
        raise UnknownPlugin(_unknown(group, name))
    if len(owners) > 1:
        raise DuplicatePlugin(
            f"{_kind(group)} '{name}' is offered by more than one distribution: {' and '.join(owners)}. "
            "Uninstall all but one of them."
        )


def _construct(group: str, name: str) -> Any:
    doing = "importing"
    try:
        manager: DriverManager[Any] = DriverManager(group, name)
        doing = "constructing"
        return manager.driver()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin has no say in when the program ends
        raise PluginUnavailable(
            f"{_kind(group)} '{name}' (from {_owners(group, name)[0]}) cannot be used: "
            f"{doing} it failed with {_in_words(error)} "
            f"Upgrade or uninstall it; other {_kind(group)}s work without it."
        ) from error


def _check_interface(group: str, name: str, plugin: object) -> None:
    spoken = getattr(plugin, "interface", None)
    if spoken == INTERFACE:
        return
    subject = f"{_kind(group)} '{name}' (from {_owners(group, name)[0]})"
    if not isinstance(spoken, int):
        raise InterfaceMismatch(
            f"{subject} does not say which version of snnhw.plugin it was written for; "
            f"this snnhw has version {INTERFACE}. "
            f"Its author states it as a class attribute: interface = {INTERFACE}."
        )
    outdated = "snnhw" if spoken > INTERFACE else f"the plugin; {CHANGES}"
    raise InterfaceMismatch(
        f"{subject} was written for version {spoken} of snnhw.plugin; "
        f"this snnhw has version {INTERFACE}. Upgrade {outdated}."
    )


def _check_name(group: str, name: str, plugin: object) -> None:
    given = getattr(plugin, "name", None)
    if given != name:
        raise PluginUnavailable(
            f"{_kind(group)} '{name}' (from {_owners(group, name)[0]}) cannot be used: "
            f"its class calls itself {given!r}. Its author makes `name` equal to the name of the entry point."
        )


# -- Probing ------------------------------------------------------------------------------------


def _ready(group: str, name: str, asked: Any = None) -> Any:
    """The plugin, if it says that it can run; ``asked`` says it in its place."""
    plugin = load(group, name)
    found = _guarded_probe(asked or plugin)
    if found.ready:
        return plugin
    reason = sentence(found.reason or "its probe gives no reason")
    lines = [f"{_kind(group)} '{name}' is installed but cannot run here ({found.status}): {reason}"]
    if found.install:  # on a line of its own, to be copied
        lines.append(f"To mend it: {found.install}")
    if others := [other for other in names(group) if other != name]:
        lines.append(f"Other installed {_kind(group)}s: {', '.join(others)}.")
    raise PluginUnavailable("\n".join(lines))


def _guarded_probe(plugin: Any) -> Probe:
    try:
        found = plugin.probe()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # a stranger's code, on everybody's path
        return Probe("broken", reason=f"its probe raised {_in_words(error)}")
    if not isinstance(found, Probe):
        return Probe("broken", reason=f"its probe returned {found!r}, where a snnhw.plugin.Probe is expected")
    return found


def _load_and_probe(group: str, name: str) -> Probe:
    try:
        return _guarded_probe(load(group, name))
    except UnknownPlugin as error:
        return Probe("missing", reason=str(error))
    except BaseException as error:  # noqa: BLE001  # in a thread of its own, where no Ctrl-C ever arrives
        return Probe("broken", reason=str(error) or _in_words(error))


def _probe_all(group: str, wanted: tuple[str, ...], timeout: float) -> dict[str, Probe]:
    asked = {name: _ask(group, name) for name in wanted}
    wait(asked.values(), timeout)
    silent = Probe("broken", reason=f"it did not answer in {timeout:g} s")
    return {name: answer.result() if answer.done() else silent for name, answer in asked.items()}


def _ask(group: str, name: str) -> Future[Probe]:
    """Start finding out in a daemon thread: one that hangs delays neither the others nor the exit."""
    answer: Future[Probe] = Future()
    Thread(
        target=lambda: answer.set_result(_load_and_probe(group, name)),
        name=f"probe {group}:{name}",
        daemon=True,
    ).start()
    return answer


# -- Words --------------------------------------------------------------------------------------


def _kind(group: str) -> str:
    """``snnhw.backends`` -> ``backend``."""
    return group.rpartition(".")[2].removesuffix("s")


def _owners(group: str, name: str) -> list[str]:
    """``name version`` of every distribution that offers the plugin."""
    found = [entry.dist for entry in _entries(group) if entry.name == name]
    return sorted(f"{dist.name} {dist.version}" if dist else "an unknown distribution" for dist in found)


def _unknown(group: str, name: str) -> str:
    kind = _kind(group)
    for other, purpose in _PURPOSE.items():
        if other != group and _owners(other, name):
            return f"'{name}' is {purpose}; a {kind} was asked for. {_installed(group)}"
    known = name.lower() in DEVICES  # 'gpu' is close to many a name
    hint = _of_device(group, name.lower()) if known else did_you_mean(name.lower(), names(group))
    return f"no installed distribution offers a {kind} '{name}'.{hint} {_installed(group)}"


def _of_device(group: str, device: str) -> str:
    """What is said where people give the name of a device."""
    for other in names(group):
        try:
            devices = getattr(load(group, other), "devices", ())
        except PluginError:  # it cannot be used, so it is no answer
            continue
        if device in devices:
            return f" A backend is named after what runs: such a device is that of {_kind(group)}='{other}'."
    return _OF_DEVICES


def _installed(group: str) -> str:
    return f"Installed {_kind(group)}s: {', '.join(names(group)) or 'none'}."


def _in_words(error: BaseException) -> str:
    text = str(error)
    return sentence(f"{type(error).__name__}: {text}" if text else type(error).__name__)
