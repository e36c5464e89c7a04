"""Monitors see every call of what they watch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnhw as snn
from snnhw.errors import InputError
from snnhw.functional import probe

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


def net() -> nn.Sequential:
    inner = nn.Sequential(nn.Linear(2, 2, bias=False), snn.Leaky(beta=0.5, init_hidden=True))
    network = nn.Sequential(nn.Linear(2, 2, bias=False), snn.Leaky(beta=0.5, init_hidden=True), inner)
    for layer in (network[0], inner[0]):
        layer.weight.data = torch.eye(2)
    return network


X = torch.tensor([[2.0, 0.5]])


def test_outputs_of_nested_modules_call_by_call() -> None:
    network = net()
    monitor = probe.OutputMonitor(network, snn.Leaky)
    network(X)
    network(X)
    assert monitor.monitored_layers == ["1", "2.1"]
    assert [record.tolist() for record in monitor["1"]] == [[[1, 0]], [[1, 0]]]
    assert len(monitor) == 4
    assert torch.equal(monitor[1], monitor["2.1"][0])


def test_inputs_through_a_function() -> None:
    network = net()
    monitor = probe.InputMonitor(network, (nn.Linear, snn.Leaky), lambda x: float(x.sum().detach()))
    network(X)
    assert monitor.records == [2.5, 2.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("before", "seen"), [(True, [[], [[2.0, 0.5]]]), (False, [[[2.0, 0.5]], [[2.0, 0.75]]])]
)
def test_attributes_before_and_after(before: bool, seen: list[list[float]]) -> None:
    network = net()
    monitor = probe.AttributeMonitor("mem", before, network, snn.Leaky, lambda mem: mem.tolist())
    network(X)
    network(X)
    assert monitor["1"] == seen


def test_any_attribute() -> None:
    monitor = probe.AttributeMonitor("reset_mechanism", True, network := net(), snn.Leaky)
    network(X)
    assert monitor.records == ["subtract", "subtract"]


def test_gradients_on_both_sides() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 4.0]])
    given, taken = probe.GradOutputMonitor(layer), probe.GradInputMonitor(layer)
    x = X.clone().requires_grad_()
    (2 * layer(x)).sum().backward()
    assert given[0].tolist() == [[2]]
    assert taken[0].tolist() == [[6, 8]]


def test_without_a_class_the_network_itself_is_watched() -> None:
    for kind in (probe.OutputMonitor, probe.InputMonitor):
        monitor = kind(layer := nn.Linear(2, 1))
        layer(X)
        assert monitor.monitored_layers == [""]
        assert len(monitor) == 1


def test_a_monitor_pauses_forgets_and_ends() -> None:
    network = net()
    with probe.OutputMonitor(network, nn.Linear) as monitor:
        monitor.disable()
        assert not monitor.is_enable()
        network(X)
        assert len(monitor) == 0
        monitor.enable()
        network(X)
        assert len(monitor["0"]) == 1
        monitor.clear_recorded_data()
        assert monitor["0"] == []
    network(X)
    assert len(monitor) == 0


def test_a_module_that_is_not_watched() -> None:
    monitor = probe.OutputMonitor(net(), snn.Leaky)
    with pytest.raises(
        InputError, match=r"no module '2.0' is watched. Did you mean '2.1'\? Watched: '1', '2.1'"
    ):
        monitor["2.0"]
