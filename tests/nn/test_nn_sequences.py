"""Sequences: samples of several lengths, and long ones in parts."""

from __future__ import annotations

import re
from threading import Barrier, Thread
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.ir import Loss
from snnhw.nn import Model

T, B, CLASSES = 6, 4, 3

LENGTHS: Final = [6, 1, 3, 5]

HERE: Final = ("reference", "cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(5, 8),
        snn.RLeaky(beta=0.8, linear_features=8, init_hidden=True),
        nn.Linear(8, CLASSES),
        snn.Leaky(beta=0.9, init_hidden=True),
    )
    for layer in (net[0], net[2]):
        assert isinstance(layer, nn.Linear)
        nn.init.uniform_(layer.weight, -0.5, 1.0)
    return net


def compiled(backend: str = "cpu", net: nn.Module | None = None, **settings: Any) -> Model:
    job: dict[str, Any] = {
        "time_steps": T,
        "loss": SF.ce_rate_loss(),
        "optimizer": snn.optim.SGD(lr=0.5),
        "record": ["1.mem"],
        **settings,
    }
    return snn.compile(net or network(), torch.zeros(B, 5), backend=backend, **job)


def data(steps: int = T) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(steps, B, 5), torch.arange(B) % CLASSES


def same(one: Model, other: Model) -> bool:
    mine, theirs = one.params, other.params
    return all(np.array_equal(mine[key], x) for key, x in theirs.items())


def alike(one: Any, other: Any) -> bool:
    return all(np.array_equal(np.asarray(one[key]), np.asarray(x)) for key, x in other.items())


# -- samples of several lengths -------------------------------------------------------------------------


@pytest.mark.parametrize("backend", HERE)
def test_each_sample_is_what_it_is_alone(backend: str) -> None:
    x, _ = data()
    with compiled(backend, lengths=True) as model, compiled(backend) as plain:
        found = model.run(x, lengths=LENGTHS)
        for sample, steps in enumerate(LENGTHS):
            alone = plain.run(x[:steps, sample : sample + 1])
            for given, wanted in ((found.outputs, alone.outputs), (found.recordings, alone.recordings)):
                for name, signal in wanted.items():
                    assert torch.allclose(given[name][:steps, sample : sample + 1], signal, atol=1e-6)
                    assert not given[name][steps:, sample].any()
            for key, state in alone.state.items():
                axis = 1 if "->" in key else 0
                mine = torch.as_tensor(found.state[key]).narrow(axis, sample, 1)
                assert torch.allclose(mine, torch.as_tensor(state), atol=1e-6), key


@pytest.mark.parametrize("backend", HERE)
def test_what_stands_behind_an_end_changes_nothing(backend: str) -> None:
    x, y = data()
    other = x.clone()
    for sample, steps in enumerate(LENGTHS):
        other[steps:, sample] = torch.rand(T - steps, 5) * 9
    with compiled(backend, lengths=True) as one, compiled(backend, lengths=True) as two:
        first, _ = one.step(x, y, lengths=LENGTHS)
        second, _ = two.step(other, y, lengths=torch.tensor(LENGTHS))
        assert float(first) == float(second)
        assert same(one, two)
        assert one.state is not None
        assert alike(one.state, two.state)


def test_without_lengths_all_samples_have_all_steps() -> None:
    x, y = data()
    with compiled(lengths=True) as model, compiled() as plain:
        one, first = model.step(x, y)
        two, second = plain.step(x, y)
        assert float(one) == pytest.approx(float(two), rel=1e-6)
        assert torch.equal(first, second)  # type: ignore[arg-type]  # one output each
        key = "0.weight"
        assert np.allclose(model.params[key], plain.params[key], atol=1e-6)


def test_a_sequence_goes_on_from_the_ends_of_its_samples() -> None:
    x, _ = data()
    with compiled(lengths=True) as model, compiled() as plain:
        model.run(x, lengths=LENGTHS)
        found = model.run(x, state=model.state)
        assert model.state is not None
        for sample, steps in enumerate(LENGTHS):
            own = torch.cat([x[:steps, sample : sample + 1], x[:, sample : sample + 1]])
            wanted = plain.run(own).outputs["output"][steps:]
            assert torch.equal(found.outputs["output"][:, sample : sample + 1], wanted)


def test_the_state_and_the_checkpoint_of_such_a_model_are_of_the_written_program(tmp_path: Any) -> None:
    x, y = data()
    path = str(tmp_path / "run.safetensors")
    with compiled(lengths=True) as model, compiled(lengths=True) as other, compiled() as plain:
        plain.run(x)
        model.step(x, y, lengths=LENGTHS)
        assert model.state is not None
        assert plain.state is not None
        assert {key: np.shape(v) for key, v in model.state.items()} == {
            key: np.shape(v) for key, v in plain.state.items()
        }
        model.save_checkpoint(path)
        other.load_checkpoint(path)
        for each in (model, other):
            each.step(x, y, each.state, lengths=LENGTHS)
        assert same(model, other)


def test_a_static_input_may_have_lengths() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, CLASSES), snn.Leaky(beta=0.9, init_hidden=True))
    x = torch.rand(B, 5) * 3
    with snn.compile(net, x, backend="cpu", time_steps=T, static=True, lengths=True) as model:
        spikes = model(x, lengths=LENGTHS)
        whole = model(x)
    assert isinstance(spikes, Tensor)
    assert isinstance(whole, Tensor)
    for sample, steps in enumerate(LENGTHS):
        assert torch.equal(spikes[:steps, sample], whole[:steps, sample])
        assert not spikes[steps:, sample].any()
    assert whole[1:].any()


def test_such_a_model_can_be_held_to_the_reference() -> None:
    x, y = data()
    with compiled(lengths=True) as model:
        model.step(x, y, lengths=LENGTHS)
        assert model.verify(x, lengths=LENGTHS).ok


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        (
            [6, 1, 3],
            r"lengths has shape \[3\] and dtype int64; accepted: \[B=4\] whole numbers, from 1 to T=6",
        ),
        ([6.0, 1.0, 3.0, 5.0], r"lengths has shape \[4\] and dtype float32; accepted"),
        ([6, 0, 3, 5], r"lengths holds 0; accepted: \[B=4\] whole numbers, from 1 to T=6"),
        ([6, 7, 3, 5], r"lengths holds 7; accepted"),
        ("four", r"argument 'lengths' is a str"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths: Any, said: str) -> None:
    x, y = data()
    with compiled("reference", lengths=True) as model:
        before = model.params
        for call in (lambda: model.step(x, y, lengths=lengths), lambda: model.run(x, lengths=lengths)):
            with pytest.raises(InputError, match=said):
                call()
        assert all(np.array_equal(before[key], value) for key, value in model.params.items())
    with pytest.raises(InputError, match=said):
        SF.ce_rate_loss()(torch.rand(T, B, CLASSES), y, lengths)


def test_what_takes_no_lengths_says_so() -> None:
    x, y = data()
    with compiled("reference") as model, pytest.raises(InputError, match="compile it with lengths=True"):
        model.step(x, y, lengths=LENGTHS)
    with (
        compiled("reference", lengths=True) as model,
        pytest.raises(
            InputError, match="a target is called 'lengths'; give the lengths of samples as lengths="
        ),
    ):
        model.step(x, {"target": y, "lengths": torch.tensor(LENGTHS)})
    with compiled(lengths=True) as model, pytest.raises(InputError, match="compile without lengths=True"):
        model.torch_module()
    with pytest.raises(InputError, match="loss term Unreduced has no meaning for samples of several lengths"):
        compiled(lengths=True, loss=SF.ce_rate_loss(reduction="none"))


# -- losses on tensors -----------------------------------------------------------------------------------


def losses() -> dict[str, Loss]:
    return {
        "rate": SF.ce_rate_loss(),
        "count": SF.ce_count_loss(),
        "max": SF.ce_max_membrane_loss(),
        "membrane": SF.mse_membrane_loss(),
        "temporal": SF.ce_temporal_loss(),
        "mse temporal": SF.mse_temporal_loss(),
        "mse count": SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2),
    }


@pytest.mark.parametrize("name", losses())
def test_a_loss_of_lengths_is_the_mean_of_that_of_each_sample_alone(name: str) -> None:
    torch.manual_seed(2)
    loss, signal = losses()[name], (torch.rand(T, B, CLASSES) > 0.6).float().requires_grad_()
    y = torch.arange(B) % CLASSES
    found = loss(signal, y, LENGTHS)
    (grad,) = torch.autograd.grad(found, signal)
    alone = [
        loss(signal[:steps, sample : sample + 1], y[sample : sample + 1])
        for sample, steps in enumerate(LENGTHS)
    ]
    wanted = torch.stack(alone).mean()
    (each,) = torch.autograd.grad(wanted, signal)
    assert torch.allclose(found, wanted)
    assert torch.allclose(grad, each, atol=1e-7)
    assert grad.any()


# -- long ones in parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("parts", [1, 2, 4, 6])
def test_truncated_backpropagation_is_a_run_cut_by_hand(backend: str, parts: int) -> None:
    x, y = data()
    with compiled(backend, tbptt=parts) as model, compiled(backend, time_steps=parts) as hand:
        loss, outputs = model.step(x, y)
        state, losses, signals = None, [], []
        for start in range(0, T, parts):
            part = x[start : start + parts]
            value, signal = hand.step(part, y, state)
            state = hand.state
            losses.append(float(value) * len(part))
            signals.append(signal)
        assert float(loss) == pytest.approx(sum(losses) / T, rel=1e-12)
        assert torch.equal(outputs, torch.cat(signals))  # type: ignore[arg-type]  # one output
        assert same(model, hand)
        assert model.state is not None
        assert alike(model.state, hand.state)
        assert torch.equal(model.run(x).outputs["output"], hand.run(x).outputs["output"])


@pytest.mark.parametrize("backend", HERE)
def test_parts_of_samples_of_several_lengths(backend: str) -> None:
    x, y = data()
    short = [3, 1, 3, 2]
    with compiled(backend, tbptt=2, lengths=True) as model, compiled(backend, lengths=True, tbptt=2) as cut:
        found, outputs = model.step(x, y, lengths=short)
        loss, _ = cut.step(x[:4], y, lengths=short)
        assert isinstance(outputs, Tensor)
        assert outputs.shape[0] == T
        assert not outputs[3:].any()
        assert float(found) == float(loss)
        assert same(model, cut)  # parts that nobody has steps in train nothing
        assert model.state is not None
        assert alike(model.state, cut.state)


def test_targets_that_change_over_time_are_cut_with_the_inputs() -> None:
    x, _ = data()
    wanted = torch.rand(T, B, CLASSES)
    loss = SF.mse_membrane_loss()
    with (
        compiled(loss=loss, tbptt=4, lengths=True) as model,
        compiled(loss=loss, time_steps=4, lengths=True) as hand,
    ):
        model.step(x, wanted, lengths=[6, 5, 6, 5])
        hand.step(x[:4], wanted[:4])
        hand.step(x[4:], wanted[4:], hand.state, lengths=[2, 1, 2, 1])
        assert same(model, hand)


class Threads:
    """Two threads that train one network, as two processes do."""

    size, joint = 2, False

    def __init__(self, rank: int, shared: list[Any], barrier: Barrier) -> None:
        self.rank, self._shared, self._barrier = rank, shared, barrier

    def _told(self, value: Any) -> list[Any]:
        self._shared[self.rank] = value
        self._barrier.wait()
        found = list(self._shared)
        self._barrier.wait()
        return found

    def sum(self, numbers: Any) -> list[float]:
        return [float(sum(each)) for each in zip(*self._told(list(numbers)), strict=True)]

    def reduce(self, values: Any) -> Any:
        one, other = self._told(dict(values))
        return {key: one[key] + other[key] for key in one}

    def first(self, value: Any) -> Any:
        return self._told(value)[0]


@pytest.mark.parametrize("tbptt", [None, 2])
def test_of_several_processes_each_has_lengths_of_its_own(tbptt: int | None) -> None:
    """The second pads to five steps, and so has a part less; its third batch has no sample."""
    x, y = data()
    lengths, shared, barrier = torch.tensor([6, 1, 2, 3]), [None, None], Barrier(2, timeout=60)
    found: list[Any] = [None, None]
    nets = [network(), network()]

    def trained(rank: int) -> None:
        settings: dict[str, Any] = {"lengths": True, "tbptt": tbptt, "ranks": Threads(rank, shared, barrier)}
        with compiled("reference", nets[rank], **settings) as model:
            own = slice(rank, None, 2)
            steps = int(lengths[own].max())
            losses = [model.step(x[:steps, own], y[own], lengths=lengths[own])[0] for _ in range(2)]
            last = ({}, {}) if rank else (x[:, :1], y[:1])
            losses.append(model.step(*last, lengths=None if rank else lengths[:1])[0])
            found[rank] = [float(each) for each in losses], model.params

    threads = [Thread(target=trained, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with compiled("reference", lengths=True, tbptt=tbptt) as model:
        losses = [float(model.step(x, y, lengths=lengths)[0]) for _ in range(2)]
        losses.append(float(model.step(x[:, :1], y[:1], lengths=lengths[:1])[0]))
        for rank in range(2):
            mine, params = found[rank]
            assert mine == pytest.approx(losses)
            assert all(np.allclose(params[key], value) for key, value in model.params.items())


@pytest.mark.parametrize("tbptt", [0, -1, T + 1, 2.0, True, "2"])
def test_a_tbptt_that_cannot_be_is_refused(tbptt: Any) -> None:
    said = rf"tbptt={re.escape(repr(tbptt))}; accepted: a whole number of steps, from 1 to time_steps=6"
    with pytest.raises(InputError, match=said):
        compiled("reference", tbptt=tbptt)


def test_parts_without_training_or_of_several_sizes_are_refused_where_there_can_be_none() -> None:
    with pytest.raises(InputError, match="tbptt is of training"):
        compiled(loss=None, optimizer=None, tbptt=2)
    net = nn.Sequential(nn.Linear(5, CLASSES), snn.Leaky(beta=0.9, init_hidden=True))
    job: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": snn.optim.SGD(lr=0.5)}
    with (
        snn.compile(net, torch.rand(B, 5), backend="cpu", time_steps=T, static=True, tbptt=4, **job) as model,
        pytest.raises(InputError, match="T=6 steps cannot be cut into parts of tbptt=4"),
    ):
        model.step(torch.rand(B, 5), torch.arange(B) % CLASSES)
