"""Compiled models: steps, runs, shapes, parameters back and forth, messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.nn import Model, capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B = 6, 8
X = torch.randn(T, B, 5, generator=torch.Generator().manual_seed(0)) * 2
Y = torch.randint(0, 3, (B,), generator=torch.Generator().manual_seed(1))
SGD = snn.optim.SGD(lr=0.5)


def network(*, output: bool = False) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(5, 7),
        snn.Leaky(beta=0.8, init_hidden=True, learn_beta=True),
        nn.Linear(7, 3),
        snn.Leaky(beta=0.8, init_hidden=True, output=output, threshold=0.5),
    )


def compiled(net: Any = None, sample: Any = None, *, train: bool = True, **settings: Any) -> Model:
    told: dict[str, Any] = {"backend": "cpu", "time_steps": T}
    told |= {"loss": SF.ce_rate_loss(), "optimizer": SGD} if train else {}
    return snn.compile(net or network(), X[0] if sample is None else sample, **{**told, **settings})


def by_hand(net: nn.Module, steps: int = 1, x: Tensor = X) -> tuple[list[float], Tensor]:
    """Training in a torch loop: losses, and the spikes of the last pass."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    losses = []
    for _ in range(steps):
        snn.utils.reset(net)
        spikes = torch.stack([net(step) for step in (x if x.ndim == 3 else [x] * T)])
        loss = torch.stack([nn.functional.cross_entropy(step, Y) for step in spikes]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, spikes.detach()


# -- training and running ---------------------------------------------------------------------------


@pytest.mark.parametrize("static", [False, True], ids=["varying", "static"])
def test_training_equals_a_loop_in_torch(static: bool) -> None:
    x = X[0] if static else X
    net, other = network(), network()
    losses, spikes = by_hand(other, steps=4, x=x)
    with compiled(net, static=static) as model:
        found = [model.step(x, Y) for _ in range(4)]
        model.write_back(net)
    np.testing.assert_allclose([loss for loss, _ in found], losses, rtol=1e-5)
    last = found[-1][1]
    assert isinstance(last, Tensor)
    assert torch.equal(last, spikes)
    ours, theirs = dict(net.named_parameters()), dict(other.named_parameters())
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert losses[-1] < losses[0]


def test_outputs_stand_in_the_order_of_the_networks_own_return() -> None:
    model = compiled(network(output=True), train=False)
    found = model(X)
    assert isinstance(found, tuple)
    spk, mem = found
    assert spk.shape == mem.shape == (T, B, 3)
    assert set(spk.flatten().tolist()) <= {0.0, 1.0}
    assert torch.equal(spk, (mem > 0.5).float())


def test_a_run_gives_outputs_recordings_and_state() -> None:
    found = compiled(train=False, record=["1.mem", "0.y"]).run(X)
    assert set(found.outputs) == {"output"}
    assert {port: x.shape for port, x in found.recordings.items()} == {"1.mem": (T, B, 7), "0.y": (T, B, 7)}
    assert {key: x.shape for key, x in found.state.items()} == {"1.mem": (B, 7), "3.mem": (B, 3)}
    assert torch.equal(found.state["1.mem"], found.recordings["1.mem"][-1])


def test_a_trained_model_still_runs() -> None:
    model = compiled()
    before = model(X)
    model.step(X, Y)
    after = model(X)
    assert isinstance(before, Tensor)
    assert isinstance(after, Tensor)
    assert not torch.equal(before, after)


@pytest.mark.parametrize("steps", [1, 2, 17])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_number_of_steps_and_samples(steps: int, batch: int) -> None:
    model = compiled()
    x = torch.randn(steps, batch, 5)
    _, spikes = model.step(x, Y[:batch])
    assert isinstance(spikes, Tensor)
    assert spikes.shape == (steps, batch, 3)


def test_a_long_sequence_in_pieces() -> None:
    model = compiled(train=False)
    whole = model(X)
    assert isinstance(whole, Tensor)
    first, second = model(X[:2]), model(X[2:], state=model.state)
    assert isinstance(first, Tensor)
    assert isinstance(second, Tensor)
    assert torch.equal(whole, torch.cat([first, second]))


def test_arrays_of_numpy_will_do() -> None:
    ours, theirs = compiled(), compiled()
    assert ours.step(X.numpy().astype(np.float64), Y.numpy())[0] == theirs.step(X, Y)[0]


def test_what_is_given_is_not_changed() -> None:
    x, y = X.clone(), Y.clone()
    x.requires_grad_()
    model = compiled(record=["input.y"])
    model.step(x, y)
    model.run(x)
    assert torch.equal(x, X)
    assert x.grad is None


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.left, self.right = nn.Linear(5, 3), nn.Linear(2, 3)
        self.lif = snn.Leaky(beta=0.8, init_hidden=True)

    def forward(self, image: Tensor, sound: Tensor) -> Any:
        return self.lif(self.left(image) + self.right(sound))


def test_several_inputs_as_a_tuple_or_by_name() -> None:
    sound = torch.randn(T, B, 2)
    model = compiled(Two(), (X[0], sound[0]))
    by_name = compiled(Two(), {"image": X[0], "sound": sound[0]})
    loss = model.step((X, sound), Y)[0]
    assert by_name.step({"sound": sound, "image": X}, {"target": Y})[0] == loss


# -- parameters -------------------------------------------------------------------------------------


def test_write_back_fills_parameters_and_buffers_in_their_own_shapes() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3),
        snn.Leaky(beta=torch.rand(2, 1, 1), threshold=torch.tensor([0.5]), init_hidden=True),
    )
    model = snn.compile(net, torch.zeros(1, 1, 4, 4), backend="cpu", time_steps=1)
    model.executable.set_params({key: np.full_like(array, 0.25) for key, array in model.params.items()})
    model.write_back(net)
    for name, tensor in net.state_dict().items():
        if name != "1.reset_mechanism_val" and not name.endswith("factor"):
            assert set(tensor.flatten().tolist()) == {0.25}, name


def test_write_back_to_one_layer_by_itself() -> None:
    layer = nn.Linear(5, 3)
    model = compiled(layer, train=False)
    model.executable.set_params({"linear.bias": np.ones(3, np.float32)})
    model.write_back(layer)
    assert layer.bias.tolist() == [1.0, 1.0, 1.0]


def test_write_back_reaches_a_shared_layer_once() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(5, 5), snn.Leaky(beta=0.5, init_hidden=True)

        def forward(self, x: Tensor) -> Any:
            return self.lif(self.fc(self.fc(x)))

    net = Net()
    before = net.fc.weight.detach().clone()
    model = compiled(net)
    model.step(X, Y)
    model.write_back(net)
    assert not torch.equal(net.fc.weight, before)
    np.testing.assert_array_equal(net.fc.weight.detach().numpy(), model.params["fc.weight"])


def test_write_back_finds_a_shared_tensor_under_either_name() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(5, 5), nn.Linear(5, 5)
            self.last.weight = self.first.weight
            self.lif = snn.Leaky(beta=0.5, init_hidden=True)

        def forward(self, x: Tensor) -> Any:
            return self.lif(self.last(self.first(x)))  # called in the other order

    net = Net()
    model = compiled(net)
    model.step(X, Y)
    model.write_back(net)
    np.testing.assert_array_equal(net.last.weight.detach().numpy(), model.params["first.weight"])


def test_saving_and_loading(tmp_path: Path) -> None:
    model = compiled()
    model.step(X, Y)
    path = tmp_path / "net.snn"
    model.save(str(path))
    again = snn.compile(snn.load(path), X[0], backend="cpu", time_steps=T)
    ours, theirs = model(X), again(X)
    assert isinstance(ours, Tensor)
    assert isinstance(theirs, Tensor)
    assert torch.equal(ours, theirs)


def test_a_schedule_changes_the_rate() -> None:
    model, other = compiled(), compiled()
    model.set_optimizer(snn.optim.SGD(lr=0.0))
    before = model.params
    model.step(X, Y)
    other.step(X, Y)
    assert all(np.array_equal(model.params[key], array) for key, array in before.items())
    assert not all(np.array_equal(other.params[key], array) for key, array in before.items())


# -- messages ---------------------------------------------------------------------------------------


def test_an_input_of_another_rank_shows_both_shapes() -> None:
    with pytest.raises(InputError) as caught:
        compiled().step(X[0], Y)
    assert str(caught.value) == (
        "input 'input' has shape [8, 5]; accepted: [T, B, 5]. It has B=8 samples without the time axis: give "
        "all steps, such as by torch.stack(steps); of an input that is the same at every step, compile with "
        "static=True."
    )
    with pytest.raises(InputError) as caught:
        compiled(static=True).step(X, Y)
    assert str(caught.value) == (
        "input 'input' has shape [6, 8, 5]; accepted: [B, 5]. It is declared static: give it once, "
        "without the time axis."
    )


def test_time_and_batch_the_other_way_round() -> None:
    """As Tonic collates by default; B steps of T samples were run."""
    model = compiled()
    for run in (lambda: model(X.transpose(0, 1)), lambda: model.step(X.transpose(0, 1), Y)):
        with pytest.raises(InputError) as caught:
            run()
        assert str(caught.value) == (
            "input 'input' has shape [8, 6, 5]: [B, T, ...] of the T=6 and B=8 that were compiled, but time "
            "comes first here: give x.transpose(0, 1), or collate with Tonic's PadTensors(batch_first=False)."
            " For 8 steps of 6 samples, compile with time_steps=8"
        )
    assert [*model.run(X[:3, :4]).outputs["output"].shape] == [3, 4, 3]
    assert [*compiled(time_steps=B).run(X.transpose(0, 1)).outputs["output"].shape] == [8, 6, 3]
    static = compiled(static=True, train=False, time_steps=5)
    assert [*static.run(X[0]).outputs["output"].shape] == [5, 8, 3]


def test_several_inputs_need_names() -> None:
    model = compiled(Two(), (X[0], torch.zeros(B, 2)))
    for given in (X, (X,)):
        with pytest.raises(InputError) as caught:
            model.step(given, Y)
        assert str(caught.value) == "this network has several inputs; give a mapping with image, sound"


def test_an_input_that_is_no_array() -> None:
    with pytest.raises(InputError, match="input 'input' is a list, which is no array; give a dense array"):
        compiled().step([1.0, 2.0], Y)


def test_targets_of_another_batch() -> None:
    words = r"target 'target' has shape \[3\] and dtype int64. CERate of '3.spk' accepts \[B\] = \[8\]"
    with pytest.raises(InputError, match=words):
        compiled().step(X, Y[:3])


def test_a_model_that_only_runs() -> None:
    with pytest.raises(InputError) as caught:
        compiled(train=False).step(X, Y)
    assert str(caught.value) == (
        "this program was compiled to run only; compile it with a loss and an optimizer"
    )


def test_a_closed_model() -> None:
    with compiled() as model:
        model.step(X, Y)
    for use in (lambda: model(X), lambda: model.step(X, Y), lambda: model.params):
        with pytest.raises(InputError) as caught:
            use()
        assert str(caught.value) == "this executable is closed; compile the program again"


def test_write_back_to_another_network() -> None:
    with pytest.raises(InputError) as caught:
        compiled().write_back(nn.Sequential(nn.Linear(5, 7)))
    assert str(caught.value).startswith(
        "the module is another network: parameter '1.beta' is absent in it, and of shape []"
    )
    assert str(caught.value).endswith("; build it as the one that was saved")


def test_write_back_of_a_program() -> None:
    captured = capture(network(), X[0])
    model = snn.compile((captured.program, captured.params), X[0], backend="cpu", time_steps=T)
    net = network()
    weight = net.get_parameter("0.weight")
    with torch.no_grad():
        weight.zero_()
    model.write_back(net)
    assert torch.equal(weight.detach(), torch.as_tensor(captured.params["0.weight"]))
    with pytest.raises(InputError, match=r"the module cannot be held to the program: .*Linear takes"):
        model.write_back(nn.Sequential(nn.Linear(2, 2)))


def test_write_back_to_a_layer_of_another_shape() -> None:
    net = network()
    net[0] = nn.Linear(5, 9)
    with pytest.raises(InputError) as caught:
        compiled().write_back(net)
    assert str(caught.value) == (
        "'0.weight' has shape [9, 5] in the module, but [7, 5] was compiled; is it the one that was compiled?"
    )


def test_a_sample_that_is_no_array() -> None:
    captured = capture(network(), X[0])
    with pytest.raises(InputError, match=r"the sample is one time step of input, an array \[B, ...\], not 3"):
        snn.compile((captured.program, captured.params), 3, backend="cpu", time_steps=T)
