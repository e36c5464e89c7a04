"""What people who come from torch try first, and what they are told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnhw as snn
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


@pytest.mark.parametrize("name", ["gpu", "mps"])
def test_a_device_is_no_backend(name: str) -> None:
    with pytest.raises(
        UnknownPlugin, match="named after what runs; none of those that are installed runs on"
    ):
        compiled(name)


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
        ([[1.0, 2.0, 3.0, 4.0]], r"an array \[B, \.\.\.\], not .*; torch\.tensor\(\) makes one of it"),
    ],
    ids=["no samples", "no batch", "a list"],
)
def test_a_sample_that_is_none_is_told_so(sample: object, words: str) -> None:
    net = nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises((CaptureError, InputError), match=words):
        snn.compile(net, sample, backend="cpu", time_steps=T)
