"""Names that snnTorch has inside, and that code which builds on it uses."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw import _layers, _neurons, utils
from snnhw import functional as SF
from snnhw.errors import InputError
from snnhw.functional import acc, probe

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

SPIKES = (torch.rand(6, 4, 3, generator=torch.Generator().manual_seed(1)) > 0.6).float()
TARGETS = torch.tensor([0, 2, 1, 1])


def snntorch(module: str = "") -> Any:
    pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")
    return import_module(f"snntorch{module}")


@pytest.mark.parametrize("package", [_neurons, _layers])
def test_every_class_is_found_where_snntorch_has_it(package: Any) -> None:
    whole = import_module(f"snntorch.{package.__name__.partition('.')[2]}") if snntorch() else None
    for name, held in package.MODULES.items():
        module = import_module(f"{package.__name__}.{name}")
        assert getattr(package, name) is module
        theirs = import_module(f"{whole.__name__}.{name}") if whole else None
        for title, kind in held.items():
            assert getattr(module, title) is kind
            assert hasattr(theirs, title)


def test_inner_classes_are_the_public_ones() -> None:
    assert all(
        getattr(package, name) is getattr(snn, name)
        for package in (_neurons, _layers)
        for name in package.__all__
    )


def test_inner_modules_are_attributes_of_the_package() -> None:
    code = "import snnhw as snn; print(snn._neurons.leaky.Leaky is snn.Leaky, snn._layers.bntt.__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "snnhw._layers.bntt"]


def test_the_version_is_one() -> None:
    from snnhw._version import __version__

    assert __version__ == snn.__version__


def test_a_dataset_of_snntorch_says_what_to_use() -> None:
    for name in ("spikedata", "neuromorphic_dataset"):
        with pytest.raises(ImportError, match=rf"no spikevision.{name}: .* use Tonic"):
            getattr(import_module("snnhw.spikevision"), name)


def test_a_loss_of_ones_own_computes_what_it_does_in_snntorch() -> None:
    theirs = snntorch(".functional")

    def made(library: Any, **settings: Any) -> Any:
        class Own(library.LossFunctions):  # type: ignore[misc]  # of either library
            def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
                _, steps, outputs = self._prediction_check(spk_out)
                counts = self._population_code(spk_out, outputs, outputs) / steps
                reduction = self._intermediate_reduction()
                return nn.functional.cross_entropy(counts, targets, self.weight, reduction=reduction)

        return Own(**settings)

    for weight in (None, torch.tensor([1.0, 2.0, 3.0])):
        for reduction in ("mean", "sum", "none"):
            ours, other = (made(each, reduction=reduction, weight=weight) for each in (SF, theirs))
            torch.testing.assert_close(ours(SPIKES, TARGETS), other(SPIKES, TARGETS))
            assert isinstance(ours, SF.LossFunctions)


def test_losses_say_how_they_reduce_and_weigh() -> None:
    assert isinstance(SF.ce_rate_loss(), SF.LossFunctions)
    loss = SF.mse_count_loss(reduction="none", weight=[1, 2, 3])
    assert (loss.reduction, loss.weight) == ("none", (1.0, 2.0, 3.0))
    plain = SF.ce_rate_loss()
    assert (plain.reduction, plain.weight) == ("mean", None)
    assert (plain + SF.ce_count_loss(reduction="sum")).reduction is None
    assert (
        SF.mse_temporal_loss(multi_spike=True, on_target=[1], off_target=[2], reduction="sum").reduction
        == "sum"
    )


def test_a_loss_without_a_formula_says_what_to_write() -> None:
    with pytest.raises(
        NotImplementedError, match="LossFunctions is a loss without a formula; write _compute"
    ):
        SF.LossFunctions("mean", None)(SPIKES, TARGETS)


TIMES: dict[str, tuple[dict[str, Any], Tensor]] = {
    "classes": ({"on_target": 1, "off_target": 4}, TARGETS),
    "near": ({"on_target": 2, "off_target": 4, "tolerance": 2}, TARGETS),
    "steps": ({"target_is_time": True}, torch.full((4, 3), 2.0)),
    "several": ({"multi_spike": True, "on_target": [0, 2], "off_target": [3, 5]}, TARGETS),
}


@pytest.mark.parametrize("name", TIMES)
def test_spike_times_and_their_targets_are_those_of_snntorch(name: str) -> None:
    theirs = snntorch(".functional.loss")
    options, targets = TIMES[name]
    found = []
    for library in (SF, theirs):
        spikes = SPIKES.clone().requires_grad_()
        one = spikes[:, :1] if name == "several" else spikes  # its second spike wipes those of other samples
        steps, wanted = library.SpikeTime(**options)(one, targets[: one.shape[1]].clone())
        ours = library is SF
        steps.sum().backward()
        found.append((steps.detach(), wanted.float(), spikes.grad if ours or name != "several" else None))
    (steps, wanted, grad), (their_steps, their_wanted, their_grad) = found
    assert torch.equal(wanted, their_wanted)
    if name == "several":
        assert torch.equal(steps[0], their_steps[0])
    else:
        assert torch.equal(steps, their_steps)
        torch.testing.assert_close(grad, their_grad, rtol=0, atol=0)


def test_a_monitor_of_ones_own_records() -> None:
    class Norms(probe.BaseMonitor):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            for name, module in net.named_modules():
                if isinstance(module, snn.Leaky):
                    self.monitored_layers.append(name)
                    self.name_records_index[name] = []
                    self.hooks.append(module.register_forward_hook(self.create_hook(name)))

        def create_hook(self, name: str) -> Callable[..., None]:
            def hook(_: nn.Module, __: Any, y: Tensor) -> None:
                if self.is_enable():
                    self.name_records_index[name].append(len(self.records))
                    self.records.append(float(y.detach().norm()))

            return hook

    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(0.9, init_hidden=True))
    watched = Norms(net)
    net(torch.ones(1, 3))
    watched.disable()
    net(torch.ones(1, 3))
    assert len(watched["1"]) == len(watched) == 1
    watched.remove_hooks()
    assert isinstance(probe.OutputMonitor(net, snn.Leaky), probe.BaseMonitor)


def test_helpers_of_accuracies_and_networks_are_there() -> None:
    theirs = snntorch(".functional.acc")
    spikes = SPIKES.repeat(1, 1, 2)
    assert acc._prediction_check(spikes)[1:] == theirs._prediction_check(spikes)[1:] == (6, 6)
    assert torch.equal(acc._population_code(spikes, 3, 6), theirs._population_code(spikes, 3, 6))
    with pytest.raises(InputError, match="cannot share 6 neurons among num_classes=4"):
        acc._population_code(spikes, 4, 6)
    layer: Any = snn.Synaptic(0.5, 0.5, init_hidden=True)
    net = nn.Sequential(layer)
    net(torch.ones(1, 2))
    utils._layer_check(net)
    assert layer.mem.count_nonzero()
    utils._layer_reset()
    assert not layer.mem.count_nonzero()
    assert [utils._final_layer_check(nn.Sequential(each)) for each in (layer, nn.Linear(1, 1))] == [3, 1]


def test_one_layer_becomes_a_node_of_nir() -> None:
    pytest.importorskip("nir")
    from snnhw.export_nir import _extract_snntorch_module as extract

    kinds: dict[nn.Module, str] = {
        nn.Linear(3, 2): "Affine",
        snn.Leaky(0.9): "LIF",
        snn.RLeaky(0.9, linear_features=2): "NIRGraph",
    }
    for layer, wanted in kinds.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what NIR does not say: when a reset acts
            assert type(extract(layer)).__name__ == wanted
    assert extract(nn.Sigmoid()) is None


def test_steps_of_stdp_take_their_synapse_by_name() -> None:
    from snnhw.functional import stdp_learner as stdp

    rest: dict[str, Any] = {"trace_pre": None, "trace_post": None, "tau_pre": 2.0, "tau_post": 2.0}
    x, y = torch.ones(1, 3), torch.ones(1, 2)
    assert stdp.stdp_linear_single_step(fc=nn.Linear(3, 2), in_spike=x, out_spike=y, **rest)[2].shape == (
        2,
        3,
    )
    line, plane = nn.Conv1d(1, 2, 1), nn.Conv2d(1, 2, 1)
    x, y = torch.ones(1, 1, 3), torch.ones(1, 2, 3)
    assert stdp.stdp_conv1d_single_step(conv=line, in_spike=x, out_spike=y, **rest)[2].shape == (2, 1, 1)
    x, y = x[..., None], y[..., None]
    assert stdp.stdp_conv2d_single_step(conv=plane, in_spike=x, out_spike=y, **rest)[2].shape == (2, 1, 1, 1)


def test_graded_spikes_take_columns() -> None:
    layer, x = snn.GradedSpikes(3, 0.0), torch.rand(2, 3)
    assert torch.equal(layer(x[..., None])[..., 0], layer(x))
    for sample in (x, x[..., None]):
        model = snn.compile(layer, sample, backend="cpu", time_steps=1)
        with model:
            assert torch.equal(
                torch.as_tensor(model.run(sample[None]).outputs["output"])[0], layer(sample).detach()
            )
