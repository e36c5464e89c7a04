"""Capture beside other threads: nothing that they see is changed, and the network stays free for use."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from nn_captures import B, lif, signal
from torch import Tensor, fx, nn

import snnhw as snn
from snnhw.nn import capture
from snnhw.tensors.scans import compiled
from snnhw.tensors.scans.eager import EagerProvider

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

X = signal(6)[0]


def elsewhere(function: Callable[[], Any]) -> Any:
    """What a function gives in a thread of its own."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


class Interrupted(nn.Module):
    """Something else happens in another thread while its forward is recorded."""

    def __init__(self, meanwhile: Callable[[], Any]) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4), lif()
        self.meanwhile = meanwhile

    def forward(self, x: Tensor) -> Any:
        first = self.fc(x)
        if isinstance(x, fx.Proxy):
            FOUND.append(elsewhere(self.meanwhile))
        return self.lif(first)


FOUND: list[Any] = []
USED: list[nn.Module] = []


def during_capture(meanwhile: Callable[[], Any]) -> Any:
    FOUND.clear()
    capture(Interrupted(meanwhile), X)
    (found,) = FOUND
    return found


# -- what another thread sees ----------------------------------------------------------------------


def test_modules_of_another_thread_compute_as_ever() -> None:
    other = nn.Sequential(nn.Linear(6, 4), lif(), nn.Linear(4, 2))
    alone = other(X)
    snn.utils.reset(other)
    assert torch.equal(during_capture(lambda: other(X)), alone)


def test_nothing_of_torch_is_replaced() -> None:
    def watched() -> list[Any]:
        methods = [
            nn.Module.__dict__[name] for name in ("__call__", "__getattr__", "__setattr__", "_call_impl")
        ]
        return [*methods, torch.zeros, math.sqrt, fx.Tracer.trace, torch.is_grad_enabled(), len]

    assert during_capture(watched) == watched()


def test_functions_that_torch_compiles_may_be_called() -> None:
    doubled = torch.compile(lambda x: x * 2, backend="eager", fullgraph=True)
    doubled(X)
    assert torch.equal(during_capture(lambda: doubled(X)), X * 2)


def test_torch_may_trace_a_network() -> None:
    other = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    assert [node.op for node in during_capture(lambda: fx.symbolic_trace(other)).graph.nodes] == [
        "placeholder",
        "call_module",
        "call_module",
        "output",
    ]


# -- the network itself, in use meanwhile ----------------------------------------------------------


def test_the_network_may_be_called_while_it_is_captured() -> None:
    net = Interrupted(lambda: [sys.modules[__name__].USED[0](x) for x in (X, X)])
    USED[:] = [net]  # a list that no attribute of the network leads to, nor a global name that it uses
    alone = [net(x) for x in (X, X)], net.lif.mem.clone()
    snn.utils.reset(net)
    FOUND.clear()
    capture(net, X)
    (found,) = FOUND
    assert all(map(torch.equal, found, alone[0]))
    assert torch.equal(net.lif.mem, alone[1])


def test_the_same_network_may_be_captured_in_two_threads_at_once() -> None:
    together = threading.Barrier(2, timeout=60)
    net = Interrupted(lambda: None)
    net.meanwhile = together.wait
    alone = capture(nn.Sequential(net.fc, net.lif), X)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(capture(net, X))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0].program == found[1].program
    assert len(found[0].program.nodes) == len(alone.program.nodes)


class Busy(nn.Module):
    """Changes all that a forward may change."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4), lif(init_hidden=False)
        self.register_buffer("calls", torch.zeros(()))
        self.calls: Tensor
        self.total, self.count, self.log, self.by_name = torch.zeros(2), 0, list[Any](), dict[str, Any]()

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        self.total.add_(1)
        self.count += 1
        mem = self.lif.reset_mem()
        spk, self.mem = self.lif(self.fc(x), mem)
        self.log.append(spk)
        self.by_name["spk"] = spk
        return spk


def test_a_forward_that_is_captured_leaves_its_module_as_it_was() -> None:
    net = Busy()
    net(X)
    mem, kept = net.lif.mem, net.mem
    capture(net, X)
    assert net.calls == 1
    assert net.total.tolist() == [1, 1]
    assert net.count == 1
    assert len(net.log) == 1
    assert isinstance(net.by_name["spk"], Tensor)
    assert net.lif.mem is mem
    assert net.mem is kept


# -- names that are imported when they are first used ----------------------------------------------

SCRIPT = """
import sys, threading
sys.setswitchinterval(1e-5)
names, errors = ["Leaky", "compile", "functional", "surrogate", "capture", "backprop"], []
together = threading.Barrier(len(names))

def first_use(name):
    together.wait()
    try:
        import snnhw
        getattr(snnhw, name)
    except Exception as error:
        errors.append(f"{name}: {error!r}")

threads = [threading.Thread(target=first_use, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit("; ".join(errors) or 0)
"""


def test_names_may_be_used_first_in_several_threads_at_once() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert not found.returncode, found.stderr


# -- several models --------------------------------------------------------------------------------


def trained(seed: int) -> tuple[list[float], dict[str, Any]]:
    """Losses and parameters of a few steps."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(6, 8), snn.Synaptic(alpha=0.7, beta=0.8, init_hidden=True), nn.Linear(8, 3), lif()
    )
    with torch.no_grad():
        for param in net.parameters():
            param.copy_(torch.rand(param.shape, generator=generator) - 0.3)
    x, y = torch.rand(5, B, 6, generator=generator), torch.randint(3, (B,), generator=generator)
    training: Any = {"loss": snn.functional.ce_rate_loss(), "optimizer": snn.optim.Adam(lr=0.01)}
    with snn.compile(net, x[0], backend="cpu", time_steps=5, **training) as model:
        return [model.step(x, y)[0] for _ in range(5)], model.params


def test_models_that_are_compiled_and_trained_in_threads_at_once_are_those_made_alone() -> None:
    alone = [trained(seed) for seed in range(4)]
    found: dict[int, Any] = {}
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=lambda n=n: found.update({n: trained(n)})) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    for seed, (losses, params) in enumerate(alone):
        assert found[seed][0] == losses
        for key, value in params.items():
            assert (found[seed][1][key] == value).all()


class Slow(list[Any]):
    """A list after whose every change another thread gets its turn."""

    def append(self, item: Any) -> None:
        super().append(item)
        time.sleep(0.05)


def test_kernels_in_compiled_graphs_have_a_number_each_whatever_threads_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled, "_NUMBERS", {})
    monkeypatch.setattr(compiled, "_USES", Slow())
    found: list[int] = []

    def ask(step: str) -> None:
        layer: Any = SimpleNamespace(step=step, outputs=(), static=(), dt=1.0, single=True)
        found.append(compiled._number(layer, EagerProvider()))

    threads = [threading.Thread(target=ask, args=(step,)) for step in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1, 2]
