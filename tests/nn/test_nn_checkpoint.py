"""A run in one file, and what else a compiled model says and gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

import snnhw as snn
from snnhw import functional as SF
from snnhw.errors import InputError, LoadError, Unsupported
from snnhw.ir import SGD, Adam

T, B = 4, 6
BACKENDS: dict[str, dict[str, Any]] = {"cpu": {}, "reference": {}, "ipu": {"emulate": True}}


def data(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(T, B, 5, generator=generator), torch.randint(0, 3, (B,), generator=generator)


def compiled(backend: str = "cpu", *, hidden: int = 7, **settings: Any) -> snn.nn.Model:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(5, hidden),
        snn.Leaky(beta=0.9, init_hidden=True),
        snn.nn.Dropout(0.25),
        nn.Linear(hidden, 3),
        snn.Leaky(beta=0.8, init_hidden=True),
    )
    job: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": Adam(lr=0.01), "accumulate": 2}
    job |= settings
    options = BACKENDS[backend]
    return snn.compile(net, torch.zeros(B, 5), backend=backend, time_steps=T, options=options, **job)


def same(a: Any, b: Any) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(np.asarray(a[key]), np.asarray(b[key])) for key in a)


def train(model: snn.nn.Model, *seeds: int) -> list[float]:
    """One long sequence: each step goes on from the state of the last."""
    return [float(model.step(*data(seed), state=model.state)[0]) for seed in seeds]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("steps", [0, 1, 3, 4])
def test_a_run_that_stopped_goes_on_in_every_bit(backend: str, steps: int, tmp_path: Path) -> None:
    """Also in the middle of an update, whose gradients are of two steps."""
    file = tmp_path / "run.safetensors"
    with compiled(backend) as model, compiled(backend) as other:
        train(model, *range(steps))
        model.save_checkpoint(file)
        went_on = train(model, 7, 8, 9)
        train(other, 20, 21, 22)
        other.load_checkpoint(file)
        assert train(other, 7, 8, 9) == went_on
        assert same(model.executable.save_state(), other.executable.save_state())
        assert model.state is not None
        assert other.state is not None
        assert same(model.state, other.state)


def test_settings_of_the_optimizer_are_kept(tmp_path: Path) -> None:
    with compiled(accumulate=1) as model, compiled(accumulate=1) as other:
        model.set_optimizer(Adam(lr=0.1))
        model.save_checkpoint(tmp_path / "run")
        other.load_checkpoint(tmp_path / "run")
        assert train(model, 1, 2) == train(other, 1, 2)
        assert same(model.params, other.params)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": 8}, "Is it a checkpoint of this network"),
        ({"optimizer": SGD(lr=0.1)}, "optimizer"),
        ({"accumulate": 3}, "accumulate"),
        ({"loss": SF.mse_count_loss()}, "loss"),
    ],
)
def test_what_is_of_another_run_is_refused(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = tmp_path / "run.safetensors"
    with compiled() as model, compiled(**settings) as other:
        train(model, 1)
        model.save_checkpoint(file)
        before, state = other.executable.save_state(), other.state
        with pytest.raises(InputError, match=rf"cannot go on from '.*run\.safetensors': .*{words}"):
            other.load_checkpoint(file)
        assert same(other.executable.save_state(), before)
        assert other.state is state


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    with compiled() as model:
        before = model.executable.save_state()
        for name, content, words in (
            ("empty", b"", "it is no safetensors file, or it is cut off"),
            ("text", b"a text that is long enough", "it is no safetensors file, or it is cut off"),
            ("header", (4).to_bytes(8, "little") + b"null", "it holds no checkpoint; save_checkpoint writes"),
        ):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(LoadError, match=rf"cannot load '.*{name}': {words}"):
                model.load_checkpoint(tmp_path / name)
        save_file({"a": np.zeros(3)}, tmp_path / "other")
        with pytest.raises(LoadError, match="it holds no checkpoint"):
            model.load_checkpoint(tmp_path / "other")
        model.save(str(tmp_path / "net.snn"))
        with pytest.raises(LoadError, match=r"snnhw\.load reads what save\(\) wrote"):
            model.load_checkpoint(tmp_path / "net.snn")
        with pytest.raises(LoadError, match="No such file"):
            model.load_checkpoint(tmp_path / "absent")
        model.save_checkpoint(tmp_path / "run")
        whole = (tmp_path / "run").read_bytes()
        (tmp_path / "run").write_bytes(whole[:-3])
        with pytest.raises(LoadError, match="its arrays cannot be read"):
            model.load_checkpoint(tmp_path / "run")
        assert same(model.executable.save_state(), before)


def test_a_carried_state_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with compiled() as model:
        train(model, 1)
        assert model.state is not None
        (key, *_) = (key for key in model.state if key.endswith(".mem"))
        model.state = {**model.state, key: model.state[key][:2]}
        model.save_checkpoint(tmp_path / "run")
        before = model.state
        with pytest.raises(InputError, match=r"cannot go on from .*state '.*' has shape"):
            model.load_checkpoint(tmp_path / "run")
        assert model.state is before


def test_a_carried_state_that_lacks_something_is_told_in_whole_sentences(tmp_path: Path) -> None:
    with compiled() as model:
        model.state = {}
        model.save_checkpoint(tmp_path / "run")
        with pytest.raises(InputError, match=r"is missing; given: none\. Is it a checkpoint of this"):
            model.load_checkpoint(tmp_path / "run")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with compiled() as model:
        with pytest.raises(OSError, match="run"):
            model.save_checkpoint(tmp_path / "absent" / "run")
        model.save_checkpoint(tmp_path / "run")
        first = (tmp_path / "run").read_bytes()
        model.save_checkpoint(tmp_path / "run")
        assert (tmp_path / "run").read_bytes() == first, "equal runs give equal files"
        assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_a_model_that_only_evaluates_has_one_too(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"loss": None, "optimizer": None, "accumulate": 1}
    with compiled(**settings) as model, compiled() as trained:
        x, _ = data(0)
        model.run(x)
        model.save_checkpoint(tmp_path / "run")
        wanted = model.run(x, model.state).outputs
        model.executable.set_params({key: array + 1 for key, array in model.params.items()})
        model.load_checkpoint(tmp_path / "run")
        found = model.run(x, model.state).outputs
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)
        train(trained, 1)
        trained.save_checkpoint(tmp_path / "trained")
        model.load_checkpoint(tmp_path / "trained")
        assert same(model.params, trained.params)


def test_a_torch_module_shares_the_parameters() -> None:
    with compiled() as model:
        module = model.torch_module()
        x, _ = data(1)
        outputs, _ = module(x)
        outputs["output"].sum().backward()
        torch.optim.SGD(module.parameters(), lr=0.1).step()
        assert np.array_equal(model.params["0.weight"], module.get_parameter("0/weight").detach().numpy())


@pytest.mark.parametrize("backend", ["reference", "ipu"])
def test_a_backend_without_a_torch_module_says_so(backend: str) -> None:
    with (
        compiled(backend) as model,
        pytest.raises(
            Unsupported, match=rf"'{backend}'(?s:.*)it gives no torch module; train with step\(\), or compile"
        ),
    ):
        model.torch_module()


def test_it_shows_network_backend_and_label() -> None:
    with compiled("ipu") as model:
        head, *lines = repr(model).splitlines()
        assert head.startswith("Model on 'ipu' (emulated on torch ")
        assert head.endswith(f"), for training with {Adam(lr=0.01)}:")
        assert [line.strip() for line in lines] == [line.strip() for line in str(model.program).splitlines()]
        assert "Leaky" in repr(model)
    with compiled(loss=None, optimizer=None, accumulate=1) as model:
        assert repr(model).startswith("Model on 'cpu', for evaluation:\n")
