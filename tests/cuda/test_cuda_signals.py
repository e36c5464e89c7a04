"""Signals in 16 bits: what passes between layers, and nothing else."""

from __future__ import annotations

import pytest
import torch
from cuda_calls import WITH_TRITON, backend
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.options import build_options

pytestmark = WITH_TRITON

NARROW = ("bfloat16", "float16")


def network(*, recurrent: bool) -> nn.Sequential:
    """Layers that multiply, that compute and round, and that only move numbers; in a loop, or not."""
    torch.manual_seed(0)
    last = snn.RLeaky(beta=0.9, all_to_all=True, linear_features=3, init_hidden=True)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        snn.Leaky(beta=0.9, init_hidden=True),
        nn.AvgPool2d(2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(4, 3),
        last if recurrent else snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=True),
    )


def model(signals: str, *, recurrent: bool, **options: object) -> snn.nn.Model:
    return snn.compile(
        network(recurrent=recurrent),
        torch.zeros(5, 1, 6, 6),
        backend="cuda",
        time_steps=4,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.SGD(lr=0.1),
        options={"interpret": True, "signals": signals, **options},
    )


@pytest.mark.parametrize("recurrent", [False, True], ids=["straight", "recurrent"])
@pytest.mark.parametrize("signals", NARROW)
def test_a_network_trains_in_them_as_in_float32(signals: str, recurrent: bool) -> None:
    x, y = 4 * torch.rand(4, 5, 1, 6, 6), torch.tensor([0, 1, 2, 0, 1])
    found = {}
    for each in ("full", signals):
        with model(each, recurrent=recurrent) as compiled:
            loss, spikes = compiled.step(x, y)
            assert isinstance(spikes, torch.Tensor)
            assert spikes.dtype == (torch.float32 if each == "full" else getattr(torch, signals))
            assert {state.dtype for state in (compiled.state or {}).values()} == {torch.float32}
            found[each] = torch.tensor(float(loss)), spikes.float(), compiled.params
    (wanted, before, params), (narrow, after, theirs) = found.values()
    assert (before != after).float().mean() < 0.05
    torch.testing.assert_close(narrow, wanted, rtol=0.02, atol=0)
    for key, param in params.items():
        assert param.dtype == theirs[key].dtype
        torch.testing.assert_close(torch.as_tensor(param), torch.as_tensor(theirs[key]), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("signals", NARROW)
def test_a_loop_goes_on_from_its_state(signals: str) -> None:
    x = 4 * torch.rand(4, 5, 1, 6, 6)
    with model(signals, recurrent=True) as compiled:
        whole = compiled.executable.run({"input": x})
        before = compiled.executable.run({"input": x[:1]})
        after = compiled.executable.run({"input": x[1:]}, before.state)
    for name, spikes in whole.outputs.items():
        assert torch.equal(torch.cat([before.outputs[name], after.outputs[name]]), spikes)
    assert all(torch.equal(state, whole.state[key]) for key, state in after.state.items())


def test_a_module_of_it_takes_and_gives_them() -> None:
    with model("bfloat16", recurrent=False) as compiled:
        module = compiled.executable.torch_module()  # type: ignore[attr-defined]  # torch's backends have one
        x = torch.rand(4, 5, 1, 6, 6, dtype=torch.bfloat16, requires_grad=True)
        outputs, _ = module(x)
        (spikes,) = outputs.values()
        spikes.float().sum().backward()
    assert spikes.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    assert {param.grad.dtype for param in module.parameters() if param.grad is not None} == {torch.float32}


def test_they_are_beside_states_in_float32_alone() -> None:
    with pytest.raises(InputError, match=r"signals=bfloat16 is beside states in float32; leave out dtype="):
        build_options(backend(), {"signals": "bfloat16", "dtype": "float64"})
