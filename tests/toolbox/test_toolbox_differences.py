"""What ``docs/snntorch.md`` says of spikes and training, and of documentation: each row shown on both."""

from __future__ import annotations

import io
import math
import pickle
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from page import rows
from torch import Tensor, nn

import snnhw as snn
from snnhw import backprop, spikegen
from snnhw import functional as SF
from snnhw.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it says that of itself
    from snntorch import backprop as their_backprop
    from snntorch import functional as their_functional
    from snntorch import spikegen as their_spikegen
    from snntorch.functional import stdp_learner  # noqa: F401  # which its functional does not import

TOOLS: dict[ModuleType, tuple[Any, Any, Any]] = {
    theirs: (their_functional, their_spikegen, their_backprop),
    snn: (SF, spikegen, backprop),
}

BOTH = (theirs, snn)
CLASSES = torch.tensor([0, 1, 0, 1])


# -- spikes and training ----------------------------------------------------------------------------


def axes() -> None:
    for library, shape in ((theirs, (1,)), (snn, ())):
        for loss in (TOOLS[library][0].ce_rate_loss(), TOOLS[library][0].mse_membrane_loss()):
            assert loss(torch.rand(5, 4, 2), CLASSES).shape == shape


def whole_numbers() -> None:
    x = torch.ones(3, 2, dtype=torch.int64)
    with pytest.raises(NotImplementedError):
        their_spikegen.rate(x, num_steps=4)
    assert spikegen.rate(x, num_steps=4).dtype == torch.float32


def doubles() -> None:
    x = 0.5 + 0.5 * torch.rand(3, 2, dtype=torch.float64)  # weaker ones fire too late for 4 steps
    assert their_spikegen.latency(x, num_steps=4).dtype == torch.float32
    assert spikegen.latency(x, num_steps=4).dtype == torch.float64


def rates() -> None:
    asked: dict[str, Any] = {"num_classes": 2, "num_steps": 10, "correct_rate": 0.5, "incorrect_rate": 0.2}
    with pytest.raises(RuntimeError):
        their_spikegen.targets_rate(CLASSES, **asked)
    assert spikegen.targets_rate(CLASSES, **asked).sum(0).tolist() == [[5, 2], [2, 5]] * 2


def numbers() -> None:
    x = torch.tensor([[0, 1.0], [1, 0]])
    assert their_spikegen.from_one_hot(x).tolist() == [0, 1]
    assert spikegen.from_one_hot(x).tolist() == [1, 0]


def trained(library: ModuleType, name: str, *, varying: bool, kinds: bool) -> Tensor:
    """One pass of training; what it returns."""
    functional, _, tools = TOOLS[library]
    neurons: Any = library
    torch.manual_seed(0)
    first = neurons.Synaptic(0.5, 0.5, init_hidden=True) if kinds else neurons.Leaky(0.5, init_hidden=True)
    net = nn.Sequential(
        nn.Linear(3, 3), first, nn.Linear(3, 2), neurons.Leaky(0.5, init_hidden=True, output=True)
    )
    x = torch.rand(6, 4, 3) if varying else torch.rand(4, 3)
    found: Tensor = getattr(tools, name)(
        net,
        [(x, CLASSES)],
        optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
        criterion=functional.ce_count_loss(),
        num_steps=False if varying else 6,
        time_var=varying,
        **({"K": 2} if name == "TBPTT" else {}),
    )
    return found


def cut() -> None:
    for name in ("TBPTT", "RTRL"):
        with pytest.raises(UnboundLocalError):
            trained(theirs, name, varying=True, kinds=False)
        assert trained(snn, name, varying=True, kinds=False).isfinite()


def several() -> None:
    for name in ("TBPTT", "RTRL"):
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            trained(theirs, name, varying=False, kinds=True)
        assert trained(snn, name, varying=False, kinds=True).isfinite()


def graphs() -> None:
    for name in ("BPTT", "TBPTT", "RTRL"):
        assert trained(theirs, name, varying=False, kinds=False).requires_grad
        assert not trained(snn, name, varying=False, kinds=False).requires_grad


def shares() -> None:
    right = {}
    for library in BOTH:
        right[library] = TOOLS[library][0].accuracy_rate(torch.ones(3, 4, 2), CLASSES)
    assert right[snn] == right[theirs] == 0.5
    assert right[snn].item() == 0.5
    for library, loads in ((theirs, False), (snn, True)):
        file = io.BytesIO()
        torch.save({"accuracy": right[library]}, file)
        file.seek(0)
        if loads:
            assert torch.load(file, weights_only=True) == {"accuracy": 0.5}
        else:
            with pytest.raises(pickle.UnpicklingError, match="numpy"):
                torch.load(file, weights_only=True)


def attributes() -> None:
    for name, before, error in (("in_features", False, AttributeError), ("weight", True, TypeError)):
        for library in BOTH:
            net = nn.Sequential(nn.Linear(3, 2))
            monitor = TOOLS[library][0].probe.AttributeMonitor(name, before, net, instance=nn.Linear)
            if library is theirs:
                with pytest.raises(error):
                    net(torch.rand(1, 3))
            else:
                net(torch.rand(1, 3))
                assert len(monitor.records) == 1


def traces() -> None:
    for library in BOTH:
        neurons: Any = library
        synapse, neuron = nn.Linear(3, 2), neurons.Leaky(0.5, init_hidden=True)
        learner = TOOLS[library][0].stdp_learner.STDPLearner(synapse, neuron, tau_pre=2.0, tau_post=2.0)
        neuron(synapse(torch.rand(1, 3)))
        if library is theirs:
            with pytest.raises(AttributeError):
                learner.reset()
        else:
            learner.step(on_grad=True)
            learner.reset()
            assert learner.trace_pre is None


def reductions() -> None:
    their_functional.mse_count_loss(reduction="median")
    with pytest.raises(InputError, match="reduction='median': give 'mean', 'sum' or 'none'"):
        SF.mse_count_loss(reduction="median")  # type: ignore[arg-type]  # on purpose


def floating() -> None:
    spikes = torch.ones(5, 4, 2)
    assert their_functional.mse_count_loss()(spikes, CLASSES.float()).isfinite().all()
    with pytest.raises(InputError, match=r"has shape \[4\] and dtype float32\. MSECount"):
        SF.mse_count_loss()(spikes, CLASSES.float())


def senseless() -> None:
    for library, error in ((theirs, Exception), (snn, InputError)):
        with pytest.raises(error) as caught:
            TOOLS[library][1].rate(torch.rand(3, 2), num_steps=4, first_spike_time=9)
        assert isinstance(caught.value, ValueError) is (library is snn)


TRAINING: dict[str, Callable[[], None]] = {
    "`ce_rate_loss()` and `mse_membrane_loss()`": axes,
    "`spikegen.rate` of whole numbers": whole_numbers,
    "`spikegen.latency` of float64": doubles,
    "`spikegen.targets_rate` with rates other than 0 and 1": rates,
    "`spikegen.from_one_hot`": numbers,
    "`backprop.TBPTT` and `RTRL` with `time_var=True`": cut,
    "`backprop.TBPTT` and `RTRL` with neurons of several kinds": several,
    "what `backprop.BPTT` and its like return": graphs,
    "what `accuracy_rate` and `accuracy_temporal` return": shares,
    "`probe.AttributeMonitor` of a number, or before a call": attributes,
    "`STDPLearner.reset()`": traces,
    "an unknown `reduction` of a loss": reductions,
    "numbers of classes that are floats, in `mse_count_loss`": floating,
    "an argument that makes no sense": senseless,
}

# -- documentation and code -------------------------------------------------------------------------


def ran(layer: Any, *xs: float) -> list[float]:
    """The membranes, of one neuron."""
    return [layer(torch.tensor([[x]]))[-1].item() for x in xs]


def soft() -> None:
    for library in BOTH:
        assert ran(library.Leaky(0.5), 2.0, 0.0) == [2.0, 0.0]  # 0.5 * 2 - 1
    assert ran(snn.Leaky(0.5, reset_mechanism="subtract_beta"), 2.0, 0.0) == [2.0, 0.5]  # 0.5 * (2 - 1)


def at_once() -> None:
    for library in BOTH:
        layer: Any = library.Leaky(0.5)
        assert [layer(torch.tensor([[x]]))[0].item() for x in (2.0, 0.0)] == [1, 0]


def zeros() -> None:
    for library in BOTH:
        assert ran(library.Leaky(0.5, reset_mechanism="zero"), 2.0, 0.75) == [2.0, 0.75]
        assert ran(library.Synaptic(0.5, 0.5, reset_mechanism="zero"), 2.0, 0.75) == [2.0, 0.0]
        assert ran(library.Lapicque(0.5, reset_mechanism="zero"), 4.0, 0.75)[1] == 0.0


def ties() -> None:
    for library in BOTH:
        assert library.Leaky(0.5)(torch.tensor([[1.0]]))[0].item() == 0


def logarithm() -> None:
    for library in BOTH:
        first, second = ran(library.Lapicque(beta=0.5, reset_mechanism="none"), 1.0, 0.0)
        assert second / first == pytest.approx(1 + math.log(0.5))


def exponential() -> None:
    for library in BOTH:
        _, mem = library.StateLeaky(0.5, 1)(torch.tensor([[[1.0]], [[0.0]]]))
        assert mem[1].item() == pytest.approx(math.exp(0.5 - 1))


def pairs() -> None:
    for library in BOTH:
        spk, (mem, before) = library.DeltaLeaky(1.0, beta=0.5, init_hidden=True)(torch.tensor([[2.0]]))
        assert (spk.item(), mem.item(), before.item()) == (1, 2, 0)


def learnt() -> None:
    for library in BOTH:
        with pytest.raises(TypeError):
            library.RLeaky(0.5, all_to_all=False, learn_V=True)
        for learn in (True, False):
            given = {} if learn else {"learn_recurrent": False}
            layer = library.RLeaky(0.5, all_to_all=False, **given)
            assert ("V" in dict(layer.named_parameters())) is learn


DOCUMENTATION: dict[str, Callable[[], None]] = {
    "a soft reset": soft,
    "a spike": at_once,
    '`reset_mechanism="zero"`': zeros,
    "a membrane at the threshold": ties,
    "`Lapicque(beta=...)`": logarithm,
    "`StateLeaky(beta=...)`": exponential,
    "`DeltaLeaky(init_hidden=True)`": pairs,
    "`RLeaky(learn_V=...)`": learnt,
}


@pytest.mark.parametrize("what", [*TRAINING, *DOCUMENTATION])
def test_a_row_is_true(what: str) -> None:
    {**TRAINING, **DOCUMENTATION}[what]()


def test_every_row_is_shown() -> None:
    assert rows("snntorch.md", "training") == list(TRAINING)
    assert rows("snntorch.md", "documentation") == list(DOCUMENTATION)
