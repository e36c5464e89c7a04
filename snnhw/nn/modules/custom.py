"""A neuron of one's own: equations in, a torch module class out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from snnhw.ir import Expr, Param
from snnhw.ir.from_equations import written
from snnhw.nn.modules.classes import neuron_class
from snnhw.nn.modules.neuron import SpikingNeuron

__all__ = ["neuron"]


def neuron(
    name: str,
    *,
    states: str | Mapping[str, float],
    equations: Mapping[str, Expr | str | float],
    fire: Expr | str | float | None,
    params: Mapping[str, float | None] | Iterable[Param] = (),
    reset: Mapping[str, Expr | str | float] | str | None = None,
    noise: str = "",
) -> type[SpikingNeuron]:
    """A neuron model as a torch module class, from its equations.

    Every backend runs it, forward and backward, because kernels are derived from the equations; a file
    carries them as data. The class is used as `snnhw.Leaky` is, with the parameters as its arguments::

        AdaptiveLIF = snnhw.neuron(
            "AdaptiveLIF",
            states="mem adapt",
            params={"beta": 0.9, "rho": 0.95, "jump": 0.2, "threshold": 1.0},
            equations={"mem": "beta * mem + x", "adapt": "rho * adapt"},
            fire="mem > threshold + adapt",
            reset={"mem": "mem - threshold", "adapt": "adapt + jump"},
        )
        net = nn.Sequential(nn.Linear(784, 100), AdaptiveLIF(init_hidden=True, learn_beta=True))

    Args:
        name: of the model and the class; assign the class to that name, so that pickle finds it.
        states: names in one string, which start from 0, or name -> value before the first step; a
            call returns them in this order. A state named ``spk`` is the neuron's own last output, and has
            no equation: a neuron that hears itself.
        equations: state -> its next value, from the stored states, the parameters, the input ``x``
            ``[B, ...]`` and ``dt``, the length of a step in seconds. A state that stays as it is says
            so, ``"w": "w"``. A name that is no state is a definition for the equations after it. As
            text (`snnhw.ir.parse`) or as `snnhw.ir.Expr`.
        fire: the neuron fires where this holds, ``"a > b"``, of the new states; or a value that is
            compared with 0. None: it never fires.
        params: name -> default, None where a value must be given; or `snnhw.ir.Param` values, which
            have bounds and a line of documentation too. Each may be a number or a tensor, and learnt
            with ``learn_NAME=True``.
        reset: what a spike does. State -> its value after a spike, from the states at the spike: with
            ``reset_delay=True`` it is carried out when the next step begins, so that a call returns the
            states at the spike; otherwise at once, with the surrogate's gradient. ``"subtract"`` and
            ``"zero"``: snnTorch's resets, of a state ``mem`` by a parameter ``threshold``. ``"none"``: a
            spike changes no state. Left out, it is ``"subtract"`` where there are those two names; a
            neuron that fires and has them not must say.
        noise: names in one string that the equations may use, not the fire condition: each is a random
            number in [0, 1), another for every neuron, sample and step. A compiled network draws the same
            on every backend, from its ``seed``.

    Raises:
        ProgramError: a state without an equation, a neuron that fires and does not say its reset, or
            equations that do not fit together; lists every problem.
        ExpressionError: an equation cannot be read; names it.
        InputError: a name already means something to a torch module.

    ``snnhw.ir.register(AdaptiveLIF.model)`` adds the model to the conformance suite.
    """
    model = written(
        name, states=states, equations=equations, fire=fire, params=params, reset=reset, noise=noise
    )
    caller = sys._getframe(1).f_globals.get(
        "__name__", __name__
    )  # where pickle will look, as for a namedtuple
    return neuron_class(model, module=caller)
