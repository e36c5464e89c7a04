"""What people who come from torch try first, and what they are told."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import CaptureError, InputError, UnknownPlugin

T, B = 5, 2


def compiled(backend: str = "cpu") -> snn.nn.Model:
    net = nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    return snn.compile(net, torch.zeros(B, 4), backend=backend, time_steps=T)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train", r"step\(\) trains and run\(\) evaluates"),
        ("eval", r"step\(\) trains and run\(\) evaluates"),
        ("to", r"compile it with another backend=\.\.\., of which snnhw\.backends\(\) knows the names"),
        ("cuda", r"compile it with another backend="),
        ("parameters", r"arrays, in params; .*torch_module\(\) gives a torch module"),
        ("backward", r"step\(\) does a whole update; .*torch_module\(\)"),
        ("state_dict", r"save_checkpoint\(\) and load_checkpoint\(\).*write_back\(net\)"),
        ("forward", r"call it, model\(x\)"),
    ],
)
def test_a_compiled_network_says_what_does_it_here(name: str, words: str) -> None:
    model = compiled()
    with pytest.raises(AttributeError, match=f"^a compiled network has no '{name}': .*{words}"):
        getattr(model, name)
    assert not hasattr(model, "no_such_thing")
    with pytest.raises(AttributeError, match=r"^a compiled network has no 'no_such_thing'$"):
        model.no_such_thing  # noqa: B018  # asked for, no more


def test_batch_and_time_the_other_way_round_are_told() -> None:
    model, x = compiled(), torch.rand(T, B, 4)
    with pytest.raises(InputError, match=r"\[2, 5, 4\].*time comes first here: give x\.transpose\(0, 1\)"):
        model.run(x.transpose(0, 1))
    model.run(x)
    model.run(torch.rand(B, B, 4))
    model.run(torch.rand(7, 3, 4))


def test_a_device_is_no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs on one says so itself."""
    with pytest.raises(
        UnknownPlugin, match="named after what runs; none of those that are installed runs on"
    ):
        compiled("tpu")
    monkeypatch.setattr("snnhw_cpu.plugin.CpuBackend.devices", ("tpu",), raising=False)
    with pytest.raises(UnknownPlugin, match=r"such a device is that of backend='cpu'\. Installed"):
        compiled("TPU")


@pytest.mark.parametrize(("name", "words"), [(None, "backend=None"), (torch.device("cpu"), "mean 'cpu'")])
def test_what_is_no_name_is_told_so(name: Any, words: str) -> None:
    with pytest.raises(UnknownPlugin, match=rf"is no name of one\..*{words}|^{words} is no name of one"):
        compiled(name)


NET = nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))


def asked(net: Any = NET, *args: Any, **arguments: Any) -> Any:
    return snn.compile(net, torch.zeros(B, 4), *args, **{"backend": "cpu", "time_steps": T, **arguments})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"device": "cuda"},
            r"has no argument 'device'\. Where it runs is said by the choice of the backend: ",
        ),
        (
            {"num_steps": 5},
            r"has no argument 'num_steps'\. Give time_steps=T\. Its arguments: net, samp",
        ),
        ({"lr": 1e-3}, r"has no argument 'lr'\. Give optimizer=snnhw\.optim\.Adam\(lr=\.\.\.\)"),
        ({"optimiser": None}, r"has no argument 'optimiser'\. Did you mean 'optimizer'\?"),
    ],
)
def test_an_argument_that_there_is_not(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=rf"^compile\(\) {words}"):
        asked(**arguments)


def test_arguments_that_are_missing() -> None:
    untyped: Any = snn.compile
    with pytest.raises(InputError, match=r"^compile\(\) needs time_steps\. Give time_steps=T, the num"):
        untyped(NET, torch.zeros(B, 4), backend="cpu")
    with pytest.raises(InputError, match=r"needs backend, time_steps\. Give backend=\.\.\., the name"):
        untyped(NET, torch.zeros(B, 4))
    with pytest.raises(InputError, match="takes net and sample by their places, and all else by name: net, "):
        asked(NET, "cpu", T)


def test_a_device_among_the_options() -> None:
    with pytest.raises(InputError, match=r"no option 'device'\. Where it runs is said by the choice"):
        asked(options={"device": "cuda"})


PARAMETERS = list(NET.parameters())


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (
            torch.optim.Adam(PARAMETERS, lr=0.5),
            r"torch's Adam, which .*; give snnhw\.optim\.Adam\(lr=0\.5\)",
        ),
        (torch.optim.SGD, r"torch's SGD, which .*; give snnhw\.optim\.SGD\(lr=0\.001\), or with any"),
        (torch.optim.Rprop(PARAMETERS), r"torch's Rprop, .*; there are SGD, Adam, AdamW, .*torch_module\(\)"),
        (
            snn.optim.Adam,
            r"the class Adam; give one with its settings, such as snnhw\.optim\.Adam",
        ),
        ("adam", "'adam'"),
    ],
)
def test_what_is_no_optimizer(optimizer: Any, words: str) -> None:
    told = rf"^an optimizer is a value such as snnhw\.optim\.Adam\(lr=1e-3\), not {words}"
    with pytest.raises(InputError, match=told):
        asked(loss=SF.ce_rate_loss(), optimizer=optimizer)
    model = asked(loss=SF.ce_rate_loss(), optimizer=snn.optim.Adam())
    with pytest.raises(InputError, match=told):
        model.set_optimizer(optimizer)


def test_parameters_are_not_given_to_an_optimizer() -> None:
    untyped: Any = snn.optim.Adam
    for given, settings in ((PARAMETERS, {}), (NET.parameters(), {"lr": 1e-3})):
        with pytest.raises(InputError, match=r"^Adam takes its settings alone, such as Adam\(lr=1e-3\): wh"):
            untyped(given, **settings)
    assert copy.deepcopy(snn.optim.Adam(lr=0.5)) == pickle.loads(pickle.dumps(snn.optim.Adam(0.5)))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (SF.ce_rate_loss, r"the function ce_rate_loss; call it: ce_rate_loss\(\)"),
        (nn.CrossEntropyLoss(), "torch's CrossEntropyLoss; snnhw.functional has ce_count_loss"),
    ],
)
def test_what_is_no_loss(loss: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"a loss is a value such as .*, not {words}"):
        asked(loss=loss, optimizer=snn.optim.Adam())


def test_a_loss_of_snntorch() -> None:
    theirs = pytest.importorskip("snntorch.functional")
    with pytest.raises(InputError, match=r"not snntorch's ce_rate_loss; snnhw\.functional has losses of"):
        asked(loss=theirs.ce_rate_loss(), optimizer=snn.optim.Adam())


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            nn.Softmax(-1),
            r"'1' is a Softmax, which has no counterpart in a program; leave it out: loss",
        ),
        (nn.Softmax2d(), r"'1' is a Softmax2d, .*; leave it out"),
        (nn.GroupNorm(1, 3), r"'1' is a GroupNorm, .*; use nn\.LayerNorm, nn\.BatchNorm1d"),
        (nn.InstanceNorm1d(3), r"'1' is a InstanceNorm1d, .*; use nn\.LayerNorm"),
        (nn.GRU(3, 3), r"'1' is a GRU, .*; use snnhw\.SLSTM"),
        (nn.PReLU(), r"'1' is a PReLU, .*; known: Linear, "),
    ],
)
def test_layers_that_no_program_has(layer: nn.Module, words: str) -> None:
    with pytest.raises(CaptureError, match=words) as caught:
        asked(nn.Sequential(nn.Linear(4, 3), layer, snn.Leaky(beta=0.9, init_hidden=True)))
    assert str(caught.value).startswith(f"{__file__}:"), "the user's line, not one of ours"


def test_functions_that_no_program_has() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spk: torch.Tensor = self.lif(self.fc(x))
            return torch.softmax(spk, -1)

    with pytest.raises(CaptureError, match="'softmax' has no counterpart in a program; leave it out"):
        asked(Net())


def test_a_neuron_of_snntorch() -> None:
    snntorch = pytest.importorskip("snntorch")
    net = nn.Sequential(nn.Linear(4, 3), snntorch.Synaptic(alpha=0.8, beta=0.9, init_hidden=True))
    with pytest.raises(CaptureError, match=r"Synaptic is a layer of snntorch, .* import snnhw as snn"):
        asked(net)


def test_a_backend_in_capitals_is_found() -> None:
    with pytest.raises(UnknownPlugin, match="Did you mean 'cpu'"):
        compiled("CPU")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Adam", r"It is snnhw\.optim\.Adam\."),
        ("atan", r"It is snnhw\.surrogate\.atan\."),
        ("ce_rate_loss", r"It is snnhw\.functional\.ce_rate_loss\."),
        ("Leeky", "Did you mean 'Leaky'"),
    ],
)
def test_a_name_that_is_elsewhere_is_told(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=rf"module 'snnhw' has no attribute '{name}'.*{words}"):
        getattr(snn, name)


def test_modules_of_ours_are_imported_as_ever() -> None:
    """An import asks for an attribute first; nothing is looked for then."""
    from snnhw import registry, words

    assert registry.__name__ == "snnhw.registry"
    assert not hasattr(snn, "Leaky.beta"), "no identifier, and so no module either"
    assert words.__name__ == "snnhw.words"


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (
            torch.zeros(0, 4),
            r"the sample of shape \[0, 4\] holds no samples, since its first axis is the batch",
        ),
        (
            torch.zeros(4),
            r"The sample for 'input' has one axis, the batch; of a single sample, give x\[None\]",
        ),
        (
            [[1.0, 2.0, 3.0, 4.0]],
            r"an array \[B, \.\.\.\], not a list; torch\.tensor\(\.\.\.\) makes one of it",
        ),
    ],
    ids=["no samples", "no batch", "a list"],
)
def test_a_sample_that_is_none_is_told_so(sample: object, words: str) -> None:
    net = nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises((CaptureError, InputError), match=words):
        snn.compile(net, sample, backend="cpu", time_steps=T)
