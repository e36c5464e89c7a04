"""What ``docs/snntorch.md`` says of behaviour: each row shown on snnTorch 1.0 and on ours."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from nn_differences import LAYERS
from page import rows
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import InputError

pytestmark = [
    pytest.mark.usefixtures("one_thread", "plain_torch"),
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),  # snnTorch's own
    pytest.mark.filterwarnings("ignore:The module snntorch.backprop:DeprecationWarning"),  # likewise
]

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

X = torch.tensor([[2.0, 0.5, 1.5]])


def shapes() -> None:
    state = torch.ones(2, 3)
    assert theirs.Leaky(0.5)(X, state)[1].tolist() == X.tolist()
    with pytest.raises(InputError, match=r"has shape \(2, 3\), but for an input of shape \(1, 3\)"):
        snn.Leaky(0.5)(X, state)
    assert snn.Leaky(0.5)(X, torch.zeros(2, 3))[1].tolist() == X.tolist()


def after_a_reset() -> None:
    for library, shape in ((theirs, (1, 3)), (snn, (0,))):
        layer = library.Leaky(0.5)
        layer(X)
        returned = layer.reset_mem()
        assert (layer.mem.shape, returned.shape, returned.count_nonzero()) == (shape, (1, 3), 0)


def resets() -> None:
    from snntorch import utils as their_utils

    theirs.SpikingNeuron.instances.clear()  # a DeltaLeaky anywhere in the process makes its reset fail
    for library, utils, apart in ((theirs, their_utils, False), (snn, snn.utils, True)):
        inner: Any = library.Synaptic(0.5, 0.5, init_hidden=True)
        child, other = (library.Leaky(0.5, init_hidden=True) for _ in range(2))
        for layer in (inner, child, other):
            layer(X)
        utils.reset(nn.Sequential(child, nn.Sequential(inner)))
        assert not child.mem.count_nonzero()
        assert bool(inner.mem.count_nonzero()) is not apart
        assert bool(other.mem.count_nonzero()) is apart


def class_wide() -> None:
    for library, alone in ((theirs, False), (snn, True)):
        layer, other = (library.Leaky(0.5, init_hidden=True) for _ in range(2))
        for each in (layer, other):
            each(X)
        layer.reset_hidden()
        assert bool(other.mem.count_nonzero()) is alone
        library.Leaky.reset_hidden()
        assert not other.mem.count_nonzero()


def last_spikes() -> None:
    from snntorch import utils as their_utils

    theirs.SpikingNeuron.instances.clear()
    for library, utils, kept in ((theirs, their_utils, True), (snn, snn.utils, False)):
        net: Any = nn.Sequential(library.RSynaptic(0.5, 0.5, all_to_all=False, init_hidden=True))
        net(X)
        utils.reset(net)
        assert bool(net[0].spk.count_nonzero()) is kept


def beside_the_diagonal() -> None:
    x = torch.rand(4, 2, 3)
    for library, counts in ((theirs, True), (snn, False)):
        layer: Any = library.LeakyParallel(3, 3, beta=0.5, threshold=0.1)
        before = layer.rnn(x)[0]
        layer.rnn.weight_hh_l0.data.fill_(0.5)
        assert torch.equal(layer.rnn(x)[0], before) is not counts
    with pytest.raises(RuntimeError, match=r"beside its diagonal.*weight_hh_enable=True"):
        snn.LeakyParallel(3, 3).load_state_dict(
            theirs.LeakyParallel(3, 3, weight_hh_enable=True).state_dict()
        )


def instances() -> None:
    for library, kept in ((theirs, True), (snn, False)):
        layer = library.Leaky(0.5)
        gone = weakref.ref(layer)
        del layer
        gc.collect()
        assert (gone() is not None) is kept
    layer = snn.Leaky(0.5)
    assert layer in snn.SpikingNeuron.instances


def nan() -> None:
    x = torch.full((1, 3), math.nan)
    assert theirs.Leaky(0.5)(x)[0].tolist() == [[0, 0, 0]]
    with pytest.raises(InputError, match="a membrane is NaN"):
        snn.Leaky(0.5)(x)
    assert snn.Leaky(0.5, validate_args=False)(x)[0].tolist() == [[0, 0, 0]]


def ranges() -> None:
    for beta in (1.5, math.nan):
        theirs.Leaky(beta)
        with pytest.raises(InputError, match=r"Leaky\(beta="):
            snn.Leaky(beta)
    assert snn.Leaky(1.5, validate_args=False)(X)[1].tolist() == X.tolist()


def dtypes() -> None:
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        assert theirs.Leaky(0.5)(X.to(dtype))[0].dtype == torch.float32
        assert snn.Leaky(0.5)(X.to(dtype))[0].dtype == dtype


def options() -> None:
    for library, acts in ((theirs, False), (snn, True)):
        layer = library.Leaky(0.5)
        layer.reset_mechanism = "none"
        loaded = library.Leaky(0.5)
        loaded.load_state_dict(library.Leaky(0.5, reset_mechanism="none").state_dict())
        for changed in (layer, loaded):
            changed(X)
            assert (changed(X)[1][0, 0].item() == 3.0) is acts


def whole() -> None:
    for library, threshold in ((theirs, 0), (snn, 0.5)):
        layer = library.Leaky(1, threshold=1)
        assert layer(X)[1].tolist() == X.tolist()
        layer.threshold.fill_(0.5)
        assert layer.threshold.item() == threshold


def worthless() -> None:
    for library, sound in ((theirs, False), (snn, True)):
        layer = library.Leaky(0.5, graded_spikes_factor=0.0, reset_delay=False)
        spk, mem = layer(X)
        assert bool(mem.isfinite().all()) is sound
        if sound:
            assert (spk.tolist(), mem.tolist()) == ([[0, 0, 0]], [[1, 0.5, 0.5]])


def memory() -> None:
    for library, remembers in ((theirs, False), (snn, True)):
        torch.manual_seed(0)
        layer = library.SLSTM(3, 2)
        _, syn, _ = layer(X)
        _, again, _ = layer(X)
        assert torch.equal(syn, again) is not remembers


def fading() -> None:
    for library, keeps in ((theirs, False), (snn, True)):
        layer = library.AssociativeLeaky(1, 1, 1, 1, use_q_projection=False)
        with torch.no_grad():
            for product, bias in ((layer.to_v, 1), (layer.to_k, 1), (layer.to_alpha, 0)):
                product.weight.zero_()
                product.bias.fill_(bias)
        assert (layer(torch.zeros(60, 1, 1))[-1].item() == 1) is keeps  # the limit of U / 2 + 1 is 2


def sizes() -> None:
    with pytest.raises(TypeError):
        theirs.AssociativeLeaky(3, 2, 2, None)(torch.rand(5, 1, 3))
    assert snn.AssociativeLeaky(3, 2, 2)(torch.rand(5, 1, 3)).shape == (5, 1, 4)


def decays() -> None:
    beta = torch.tensor([0.25, 0.5])
    assert theirs.LeakyParallel(3, 2, beta=beta).rnn.weight_hh_l0.diagonal().tolist() != beta.tolist()
    layer = snn.LeakyParallel(3, 2, beta=beta)
    assert layer.state_dict()["rnn.weight_hh_l0"].diagonal().tolist() == beta.tolist()


def assigned() -> None:
    for library, counts in ((theirs, False), (snn, True)):
        layer = library.RLeaky(0.5, all_to_all=False, learn_recurrent=False)
        layer.V = torch.tensor(8.0)
        layer(X)
        assert (layer(X)[1][0, 0].item() == 2 + 1 - 1 + 8) is counts


def vector() -> None:
    beta = torch.tensor([0.6, 0.7, 0.8])
    with pytest.raises(RuntimeError, match="ambiguous"):
        theirs.Lapicque(beta=beta)
    assert snn.Lapicque(beta=beta)(X)[0].shape == X.shape


def images() -> None:
    x = torch.rand(2, 3, 4, 4) + 2
    with pytest.raises(IndexError):
        theirs.Leaky(0.5, inhibition=True)(x)
    assert torch.equal(snn.Leaky(0.5, inhibition=True)(x)[0].sum(1), torch.ones(2, 4, 4))


def copies() -> None:
    other, mine = theirs.Leaky(0.5, init_hidden=True), snn.Leaky(0.5, init_hidden=True)
    for layer in (other, mine):
        layer(X.clone().requires_grad_())
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(other)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(other)
    for twin in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert torch.equal(twin.get_buffer("beta"), mine.get_buffer("beta"))
        assert torch.equal(twin(X), copy.deepcopy(mine)(X))


def moving() -> None:
    assert "delta_threshold" not in theirs.DeltaLeaky(0.5, beta=0.5).state_dict()
    assert "delta_threshold" not in snn.DeltaLeaky(0.5).state_dict()
    assert "delta_threshold" in snn.DeltaLeaky(0.5, learn_delta_threshold=True).state_dict()


def beyond() -> None:
    from snntorch.functional import quant

    for library, levels in ((theirs, quant), (snn, snn.functional.quant)):
        layer: Any = library.Leaky(0.5, state_quant=levels.state_quant(num_bits=2))
        _, mem = layer(torch.tensor([[9.0, 1e9]]))
        high = mem[0, 0].item()
        assert mem[0, 1].item() == (high if library is snn else pytest.approx(-1.0))
    assert high == pytest.approx(1.2)


def truncated() -> None:
    """Steps whose loss is 1, 1 and 4, two at a time: the mean is 2."""
    from importlib import import_module

    theirs.SpikingNeuron.instances.clear()  # as above
    for library, mean in ((theirs, 1 * 2 / 3 + 4), (snn, 2.0)):
        net = nn.Sequential(nn.Linear(1, 1), library.Leaky(0.5, init_hidden=True, output=True))
        losses = iter((1.0, 4.0))

        def loss(spk: Tensor, _: Tensor, losses: Iterator[float] = losses) -> Tensor:
            return spk.sum() * 0 + next(losses)

        loss.__name__ = "ce_rate_loss"
        update = torch.optim.SGD(net.parameters(), lr=0.0)
        batch = [(torch.ones(1, 1), torch.tensor([0]))]
        train = import_module(f"{library.__name__}.backprop").TBPTT
        found = train(net, batch, update, loss, num_steps=3, time_var=False, K=2)
        assert found.item() == pytest.approx(mean)


def graded() -> None:
    x: Tensor = torch.rand(2, 3)
    with pytest.raises(RuntimeError):
        theirs.GradedSpikes(3, 2.0)(x)
    assert torch.equal(snn.GradedSpikes(3, 2.0)(x), 2 * x)
    for library in (theirs, snn):
        assert torch.equal(library.GradedSpikes(3, 2.0)(x[..., None]), 2 * x[..., None])


def state_functions() -> None:
    def own(library: Any) -> Any:
        class Own(library.Leaky):  # type: ignore[misc]  # of either library
            def state_function(self, input_: Tensor) -> Tensor:
                return input_ * 0

        return Own(0.5)

    assert own(theirs)(X)[1].count_nonzero()
    assert not own(snn)(X)[1].count_nonzero()


def given_parameters() -> None:
    for library, one in ((theirs, False), (snn, True)):
        beta = nn.Parameter(torch.tensor(0.5))
        assert (library.Leaky(beta, learn_beta=True).beta is beta) is one


def bounds() -> None:
    for beta in (0.0, 1.0):
        layer: Any = snn.Leaky(beta, learn_beta=True)
        layer(X)
        layer(X)[1].sum().backward()
        assert layer.beta.grad.item() == pytest.approx(4.0)
        clamped = torch.tensor(beta, requires_grad=True)
        clamped.clamp(0, 1).backward()
        other = theirs.Leaky(beta, learn_beta=True)
        other(X)
        other(X)[1].sum().backward()
        assert other.beta.grad.item() == pytest.approx(4.0 * clamped.grad.item())  # type: ignore[union-attr]


BEHAVIOUR: dict[str, Callable[[], None]] = {
    "a state of another shape than the input": shapes,
    "`lif.mem` after a reset": after_a_reset,
    "`utils.reset(net)`": resets,
    "`lif.reset_hidden()` and `lif.detach_hidden()`": class_wide,
    "`utils.reset` of `RSynaptic`": last_spikes,
    "`SpikingNeuron.instances`": instances,
    "NaN in an input": nan,
    "a decay outside 0 to 1, or not finite": ranges,
    "spikes of float64, float16 and bfloat16": dtypes,
    "`reset_mechanism` set, or loaded": options,
    "a whole number as `beta` or `threshold`": whole,
    "`graded_spikes_factor=0` with `reset_delay=False`": worthless,
    "`SLSTM` whose sizes differ": memory,
    "`AssociativeLeaky` over more than 25 steps": fading,
    "`AssociativeLeaky` without `num_spiking_neurons`": sizes,
    "`LeakyParallel` with a decay for every neuron": decays,
    "numbers beside the diagonal of `LeakyParallel`, written into it or loaded": beside_the_diagonal,
    "`RLeaky.V` assigned": assigned,
    "`Lapicque` with a vector of decays": vector,
    "`inhibition` of a layer of images": images,
    "`copy.deepcopy` after a backward pass, and `pickle`": copies,
    "`DeltaLeaky` in a state dict": moving,
    "a state far beyond the levels of `state_quant`": beyond,
    "`state_function` that a class has": state_functions,
    "a parameter given, with `learn_beta=True`": given_parameters,
    "`backprop.TBPTT`, where `K` does not divide the steps": truncated,
    "`GradedSpikes` of `[B, size]`": graded,
    **LAYERS,
    "a learnt decay of exactly 0 or 1": bounds,
}


@pytest.mark.parametrize("what", BEHAVIOUR)
def test_a_row_is_true(what: str) -> None:
    BEHAVIOUR[what]()


def test_every_row_is_shown() -> None:
    assert rows("snntorch.md", "behaviour") == list(BEHAVIOUR)
