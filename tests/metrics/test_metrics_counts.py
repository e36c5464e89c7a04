"""What a report counts, worked by hand; and that it is the same whatever runs it and however it is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from metrics_nets import Gestures, drawn
from torch import nn

import snnhw as snn
from snnhw.errors import InputError, UnknownPlugin
from snnhw.metrics.histogram import BINS, histogram
from snnhw.metrics.record import LABEL, record

ON: Any = {"backend": "reference"}


def small() -> Any:
    """Two inputs to three neurons to two; the second neuron hears nothing, and one weight is 0."""
    net: Any = nn.Sequential(
        nn.Linear(2, 3),
        snn.Leaky(beta=0.5, init_hidden=True, reset_mechanism="zero", reset_delay=False),
        nn.Linear(3, 2, bias=False),
        snn.Leaky(beta=0.5, init_hidden=True, reset_mechanism="zero", reset_delay=False),
    )
    net[0].weight.data = torch.tensor([[2.0, 2.0], [0.0, 0.0], [0.0, 2.0]])
    net[0].bias.data.zero_()
    net[2].weight.data = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    return net


X = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]]])
"""``[T, B, N]`` of 3 steps and 2 samples."""

Y = torch.tensor([0, 1])


def test_figures_are_those_worked_by_hand() -> None:
    found = snn.report(small(), X, Y, **ON)
    first, last = found.layers
    assert (found.samples, found.time_steps, first.neurons, first.silent) == (2, 3, 3, 1)
    assert first.per_step.tolist() == [1, 4, 2]  # (1) / (1, 3), (1, 3) / (1, 3)
    assert first.per_neuron.tolist() == [4, 0, 3]
    assert (first.spikes, first.rate, first.sparsity) == (3.5, 7 / 18, 11 / 18)
    assert last.per_neuron.tolist() == [4, 3]
    assert found.spikes == 7.0
    ways = {each.name: (each.acs, each.macs, each.dense) for each in found.synapses}
    assert ways == {"0": (2 * 1 + 3 * 2, 0, 6 * 6), "2": (4 * 1 + 3 * 1, 0, 6 * 6)}
    assert (found.effective_acs, found.effective_macs, found.dense) == (7.5, 0.0, 36.0)
    size = found.footprint
    assert (size.parameters, size.parameter_bytes, size.state_bytes) == (19, 76, 40)
    assert (size.weights, size.zeros, size.connection_sparsity) == (12, 5, 5 / 12)
    assert found.raster["1"].tolist() == [[0, 1, 1], [0, 0, 2]]  # of the first sample: step, neuron


@pytest.mark.parametrize(("decide", "right"), [("sum", 1), ("peak", 1), ("first", 1)])
def test_a_tie_goes_to_the_first_class(decide: str, right: int) -> None:
    assert snn.report(small(), X, Y, decide=decide, **ON).right == right


def test_the_answer_is_read_as_asked() -> None:
    class Given(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1.0 * x

    x = torch.tensor([[[1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.75]]])
    for decide, answer in (("sum", 0), ("peak", 2), ("first", 0)):
        seen = [snn.report(Given(), x, torch.tensor([y]), decide=decide, **ON).right for y in range(3)]
        assert seen == [int(y == answer) for y in range(3)]


def test_values_multiply_and_spikes_accumulate() -> None:
    """Step by step, as one batch of NeuroBench's is one step."""
    values = X.clone()
    values[1, 0, 1] = 0.75
    found = snn.report(small(), values, **ON)
    assert (found.synapses[0].acs, found.synapses[0].macs) == (4, 4)
    assert found.synapses[1].macs == 0


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_report_is_the_same_however_the_data_are_cut(backend: str) -> None:
    net = drawn(Gestures()).eval()
    x = (torch.rand(5, 7, 2, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.8).float()
    y = torch.arange(7) % 11
    whole = snn.report(net, x, y, backend=backend)
    assert whole.spikes > 5
    for other in (
        snn.report(net, x, y, backend=backend, batch=2),
        snn.report(net, [(x[:, :4], y[:4]), (x[:, 4:], y[4:])], backend=backend),
        snn.report(net, {"x": x, "labels": y}, backend=backend, batch=3),
    ):
        assert record(other) == record(whole)
        assert all(np.array_equal(other.raster[name], whole.raster[name]) for name in whole.raster)


def test_a_loop_and_its_delay_are_counted() -> None:
    """Spikes that go back arrive a step later: those of the last step do not."""
    net: Any = nn.Sequential(nn.Linear(2, 2), snn.RLeaky(beta=0.5, linear_features=2, init_hidden=True))
    net[0].weight.data = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    net[1].recurrent.weight.data = torch.tensor([[0.5, 0.0], [0.25, 0.0]])
    found = snn.report(net, torch.ones(4, 1, 2), **ON)
    steps, neurons = found.raster["1"]
    fired = int((neurons == 0).sum())
    arrived = int(((neurons == 0) & (steps < 3)).sum())
    assert fired > arrived > 0
    back = next(each for each in found.synapses if each.name == "1.recurrent")
    assert (back.acs, back.macs, back.dense) == (2 * arrived, 0, 4 * 4)


def test_what_a_compiled_model_has_learned_is_reported() -> None:
    net = small()
    model = snn.compile(net, X[0], backend="cpu", time_steps=3)
    model.executable.set_params({"0.weight": np.zeros((3, 2), np.float32)})
    assert snn.report(model, X, Y, backend="cpu").spikes == 0
    assert snn.report(net, X, Y, backend="cpu").spikes == 7


def test_static_inputs_count_at_every_step() -> None:
    found = snn.report(small(), X[1], Y, static=True, time_steps=3, **ON)
    assert found.synapses[0].acs == 3 * 2 * 2
    assert found.time_steps == 3


@pytest.mark.parametrize("seed", range(20))
def test_histograms_depend_on_the_values_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal() * 10.0 ** rng.integers(-3, 3), 10.0 ** rng.integers(-3, 3), 300)
    values[: seed * 5] = values[0] * (seed % 3)
    whole = histogram(values)
    cuts = np.sort(rng.choice(np.arange(1, 300), 3, replace=False))
    parts = [histogram(part) for part in np.split(values, cuts)]
    assert sum(parts[1:], parts[0]) == whole
    assert (parts[3] + parts[1]) + (parts[0] + parts[2]) == whole
    assert len(whole.counts) <= BINS
    assert np.histogram(values, whole.edges)[0].sum() == 300 == sum(whole.counts)
    assert whole.counts == tuple(np.histogram(values, [*whole.edges[:-1], np.inf])[0])


def test_a_chips_proxies_are_counted_of_its_integers() -> None:
    x = torch.cat([X, torch.zeros(2, 2, 2)])  # so long that the last spikes arrive, a step late in each layer
    found = snn.report(small(), x, target="loihi2", **ON)
    proxies = found.proxies
    assert proxies is not None
    assert [layer.spikes for layer in proxies.layers] == [3.5, 3.5]
    assert [layer.operations for layer in proxies.layers] == [4.0, 3.5]
    assert proxies.layers[0].per_step == (0, 0.5, 2.0, 1.0, 0)
    assert any(use.limit.name == "neurons" and use.used == 5 for use in proxies.uses)
    told = record(found)["proxies"]
    assert told["what"] == LABEL
    assert told["limits"][0].keys() == {"limit", "used", "node", "fits"}


@pytest.mark.parametrize(
    ("data", "labels", "options", "told"),
    [
        (X[..., :1], None, {}, r"input 'input' has shape \[3, 2, 1\]; accepted: \[T, B, 2\]"),
        (X * np.nan, None, {}, r"input 'input' holds nan at \[0, 0, 0\]; every value has to be finite"),
        (X, torch.tensor([0, 2]), {}, "label 2 is no class: the output has 2, from 0 to 1"),
        (X, torch.tensor([0, -1]), {}, "label -1 is no class"),
        (X, torch.tensor([0.0, 1.0]), {}, "labels are float32; accepted: whole numbers"),
        (X, torch.tensor([0]), {}, r"labels have shape \[1\]; accepted: \[2\], one for each sample"),
        ([], None, {}, "the data hold no batch"),
        ([(X, Y, Y)], None, {}, r"batch 1 of the data is 3 things; accepted: \(x, y\), or \(x,\)"),
        ([((X, X), Y)], None, {}, "the data give 2 inputs; the network has 'input'"),
        (X, Y, {"decide": "frist"}, "'frist' is no way to decide. Did you mean 'first'"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(data: Any, labels: Any, options: Any, told: str) -> None:
    program = snn.capture(small(), X[0])
    with pytest.raises(InputError, match=told):
        snn.report((program.program, program.params), data, labels, **ON, **options)


def test_a_misspelt_target_is_named_before_anything_runs() -> None:
    with pytest.raises(UnknownPlugin, match=r"a target 'lohi2'\. Did you mean 'loihi2'"):
        snn.report(small(), X, target="lohi2", **ON)
