"""Monitors: what modules took, gave, held, and what gradients passed through them, call by call::

    with probe.OutputMonitor(net, snn.Leaky) as spikes:
        net(x)
    spikes["lif1"]          # what lif1 returned, one entry for each call

Records hold what was seen, with its graph; ``lambda spk: spk.detach()`` as the function keeps less.
A monitor hooks into the modules that are there when it is made, until `remove_hooks` or the end of a
``with`` block.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeAlias

from torch import nn
from torch.utils.hooks import RemovableHandle

from snnhw.errors import InputError
from snnhw.words import did_you_mean

__all__ = [
    "AttributeMonitor",
    "BaseMonitor",
    "GradInputMonitor",
    "GradOutputMonitor",
    "InputMonitor",
    "Monitor",
    "OutputMonitor",
    "unpack_len1_tuple",
]

Kinds: TypeAlias = type[nn.Module] | tuple[type[nn.Module], ...] | None
Seen: TypeAlias = Callable[[Any], Any]
Note: TypeAlias = Callable[[Any], None]
"""Takes down one value for the module it was made for."""


def unpack_len1_tuple(x: Any) -> Any:
    """What a tuple of one holds; anything else as it is."""
    return x[0] if isinstance(x, tuple) and len(x) == 1 else x


def _same(value: Any) -> Any:
    return value


class BaseMonitor:
    """What all monitors share, for one of your own: it attaches ``hooks`` to modules, which append what they
    see to ``records`` while `is_enable`, and the place of it to ``name_records_index``.

    ``monitor[3]`` is the fourth record, ``monitor["encoder.lif"]`` the records of one module.

    Attributes:
        records: what was seen, in the order of the calls.
        monitored_layers: the names of the modules watched.
        name_records_index: name of a module -> where its records stand.
        hooks: what `remove_hooks` takes off.
    """

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.monitored_layers: list[str] = []
        self.name_records_index: dict[str, list[int]] = {}
        self.hooks: list[RemovableHandle] = []
        self._enable = True

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, int):
            return self.records[key]
        if key not in self.name_records_index:
            known = ", ".join(map(repr, self.name_records_index)) or "none"
            raise InputError(
                f"no module '{key}' is watched.{did_you_mean(key, self.name_records_index)} Watched: {known}."
            )
        return [self.records[place] for place in self.name_records_index[key]]

    def __len__(self) -> int:
        return len(self.records)

    def clear_recorded_data(self) -> None:
        """Forget all records."""
        self.records.clear()
        for places in self.name_records_index.values():
            places.clear()

    def enable(self) -> None:
        """Record again."""
        self._enable = True

    def disable(self) -> None:
        """Record nothing until `enable`."""
        self._enable = False

    def is_enable(self) -> bool:  # snnTorch's spelling
        """Whether it records."""
        return self._enable

    def remove_hooks(self) -> None:
        """Stop watching for good; the records stay."""
        for hook in self.hooks:
            hook.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove_hooks()


class Monitor(BaseMonitor):
    """A monitor of all modules of some classes."""

    def __init__(
        self, net: nn.Module, instance: Kinds, hook: Callable[[nn.Module, Note], RemovableHandle]
    ) -> None:
        """
        Args:
            net: the network; instance: the class or classes of modules to watch in it, itself included;
                None: the network's own class.
            hook: attaches itself to a module.
        """
        super().__init__()
        kinds = type(net) if instance is None else instance
        watched = {name: module for name, module in net.named_modules() if isinstance(module, kinds)}
        self.monitored_layers = list(watched)
        self.name_records_index = {name: [] for name in watched}
        self.hooks = [hook(module, self._note(name)) for name, module in watched.items()]

    def _note(self, name: str) -> Note:
        def note(value: Any) -> None:
            if self._enable:
                self.name_records_index[name].append(len(self.records))
                self.records.append(value)

        return note


class OutputMonitor(Monitor):
    """Records what modules return."""

    def __init__(self, net: nn.Module, instance: Kinds = None, function_on_output: Seen = _same) -> None:
        def hook(module: nn.Module, note: Note) -> RemovableHandle:
            return module.register_forward_hook(
                lambda _, x, y: note(function_on_output(unpack_len1_tuple(y)))
            )

        super().__init__(net, instance, hook)


class InputMonitor(Monitor):
    """Records what modules are given; a tuple when that is more than one argument."""

    def __init__(self, net: nn.Module, instance: Kinds = None, function_on_input: Seen = _same) -> None:
        def hook(module: nn.Module, note: Note) -> RemovableHandle:
            return module.register_forward_pre_hook(
                lambda _, x: note(function_on_input(unpack_len1_tuple(x)))
            )

        super().__init__(net, instance, hook)


class AttributeMonitor(Monitor):
    """Records an attribute of modules, such as a neuron's ``"mem"``, before or after each call."""

    def __init__(
        self,
        attribute_name: str,
        pre_forward: bool,
        net: nn.Module,
        instance: Kinds = None,
        function_on_attribute: Seen = _same,
    ) -> None:
        def hook(module: nn.Module, note: Note) -> RemovableHandle:
            def look(module: nn.Module, *_: Any) -> None:
                note(function_on_attribute(getattr(module, attribute_name)))

            return (module.register_forward_pre_hook if pre_forward else module.register_forward_hook)(look)

        super().__init__(net, instance, hook)


class GradInputMonitor(Monitor):
    """Records the gradients that leave modules towards their inputs."""

    def __init__(self, net: nn.Module, instance: Kinds = None, function_on_grad_input: Seen = _same) -> None:
        def hook(module: nn.Module, note: Note) -> RemovableHandle:
            return module.register_full_backward_hook(
                lambda _, out, into: note(function_on_grad_input(unpack_len1_tuple(out)))
            )

        super().__init__(net, instance, hook)


class GradOutputMonitor(Monitor):
    """Records the gradients that arrive at what modules returned."""

    def __init__(self, net: nn.Module, instance: Kinds = None, function_on_grad_output: Seen = _same) -> None:
        def hook(module: nn.Module, note: Note) -> RemovableHandle:
            return module.register_full_backward_hook(
                lambda _, out, into: note(function_on_grad_output(unpack_len1_tuple(into)))
            )

        super().__init__(net, instance, hook)
