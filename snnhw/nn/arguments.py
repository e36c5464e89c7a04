"""What a neuron's constructor takes: snnTorch's arguments, derived from the model's equations."""

from __future__ import annotations

from inspect import Parameter, Signature

from snnhw.ir import Model

__all__ = ["COMMON", "signature_of"]

COMMON: dict[str, object] = {
    "spike_grad": None,
    "surrogate_disable": False,
    "init_hidden": False,
    "inhibition": False,
}
"""Options between a model's parameters and what may be learnt, in snnTorch's order."""

FACTOR = "graded_spikes_factor"


def signature_of(model: Model) -> Signature:
    """``(parameters..., options..., learn_..., reset_mechanism, state_quant, output, ...)``."""
    given = {param.name: Parameter.empty if param.default is None else param.default for param in model.params}
    learnt = {f"learn_{param.name}": False for param in model.params}
    rest = {
        "reset_mechanism": model.reset,
        "state_quant": False,
        "output": False,
        FACTOR: 1.0,
        f"learn_{FACTOR}": False,
        "reset_delay": True,
    }
    keywords_only = {"validate_args": True}
    parameters = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in (given | COMMON | learnt | rest).items()
    ]
    parameters += [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in keywords_only.items()
    ]
    return Signature(parameters)
