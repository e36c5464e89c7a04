"""A network with the delays of a chip: what the float reference and training see is what the chip does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from snnhw.errors import ExportError
from snnhw.target import ChipNetwork, ChipTarget

__all__ = ["Delayed", "delayed"]


@dataclass(frozen=True)
class Delayed:
    """A network as a chip times it.

    Attributes:
        network: with the chip's delays.
        late: population -> how many steps later it does what it did; the largest where ways differ.
        shifted: projections whose spikes now meet others than before, a sentence each.
    """

    network: ChipNetwork
    late: Mapping[str, int]
    shifted: tuple[str, ...]


def delayed(network: ChipNetwork, target: ChipTarget, *, allow: bool = False) -> Delayed:
    """The network with the target's delay for each projection in place of its own.

    A delay that all ways to a population share only makes it late: the network computes the same, later.
    Where ways differ, as beside a skip connection, spikes meet that did not; that is another network.

    Args:
        allow: accept that.

    Raises:
        ExportError: ways differ, and ``allow`` is False.
    """
    chip = tuple(replace(each, delay=target.delay(network, each)) for each in network.projections)
    added = {new.name: new.delay - old.delay for new, old in zip(chip, network.projections, strict=True)}
    late = dict.fromkeys(network.inputs, 0)
    waiting = dict.fromkeys(network.populations)
    while waiting:  # from what is fed by known ones; the rest is a loop that nothing feeds
        name = next(
            (each for each in waiting if any(p.source in late for p in network.into(each))),
            next(iter(waiting)),
        )
        known = [late[p.source] + added[p.name] for p in network.into(name) if p.source in late]
        late[name] = max(known, default=0)
        del waiting[name]
    shifted = tuple(
        f"{each.name}: spikes of {each.source} reach {each.target} {late[each.source] + added[each.name]} "
        f"steps late, but others {late[each.target]}"
        for each in chip
        if late[each.source] + added[each.name] != late[each.target]
    )
    if shifted and not allow:
        raise ExportError(
            [
                f"on {target.name} every projection takes a time of its own, so that {each}"
                for each in shifted
            ],
            "make all ways to a population equally long, as by a layer that hands on; or accept another "
            "network (allow_shifted=True, --allow-shifted) and train it as it is (snnhw.chips.prepare)",
        )
    only = {name: steps for name, steps in late.items() if name in network.populations}
    return Delayed(replace(network, projections=chip), only, shifted)
