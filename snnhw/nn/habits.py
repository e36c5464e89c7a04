"""What people who come from torch ask of a compiled network, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["instead"]

_OWN_LOOP: Final = "for a loop of your own, torch_module() gives a torch module that shares its parameters"
_DEVICE: Final = (
    "a compiled network runs where its backend runs; compile it with another backend=..., of which "
    "snnhw.backends() knows the names, to run it elsewhere"
)
_MODES: Final = "step() trains and run() evaluates, each in its own mode"

_INSTEAD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("train", "eval", "training"), _MODES),
    **dict.fromkeys(("to", "cuda", "cpu", "half", "float", "double", "device"), _DEVICE),
    **dict.fromkeys(("parameters", "named_parameters"), f"its parameters are arrays, in params; {_OWN_LOOP}"),
    **dict.fromkeys(
        ("state_dict", "load_state_dict"),
        "save_checkpoint() and load_checkpoint() keep all that training goes on from, save() the network; "
        "write_back(net) puts what was trained into your own module",
    ),
    **dict.fromkeys(("backward", "zero_grad", "requires_grad_"), f"step() does a whole update; {_OWN_LOOP}"),
    **dict.fromkeys(
        ("fit", "train_step", "train_on_batch"),
        "snnhw.training.fit(model, data, epochs=...) goes through data; step(x, y) is one update",
    ),
    "evaluate": "snnhw.training.evaluate(model, data) scores it, and run(x) gives recordings and the state",
    **dict.fromkeys(("forward", "predict"), "call it, model(x), or run(x) for recordings and the state"),
    "reset": "a call without a state starts from rest; pass state=model.state to go on",
}
"""Name -> what does that here."""


def instead(name: str) -> str:
    """For a name that a compiled network does not have: what to do, with a colon; "" where nobody asks."""
    return f": {_INSTEAD[name]}" if name in _INSTEAD else ""
