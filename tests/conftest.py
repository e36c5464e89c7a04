"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from snnhw.conformance import Case
    from snnhw.ir import StepEquations
    from snnhw.passes import Request, ScanKernel
    from snnhw.plugin import Backend

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores already; torch's threads on top of them would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what it runs in the background; here, some tests press Ctrl-C themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_neurons_of_others() -> Iterator[None]:
    """snnTorch lists every neuron of a process for ever; one that it cannot reset makes later resets fail."""
    yield
    if "snntorch" in sys.modules:
        sys.modules["snntorch"].SpikingNeuron.instances.clear()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For small tensors: a second thread would only be waited for."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def plain_torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neurons run in plain torch: compiling kernels takes long, and is tested elsewhere."""
    from plain import use_plain_torch

    from snnhw.tensors.scans.installed import provider_for

    use_plain_torch(monkeypatch.setattr)
    yield
    provider_for.cache_clear()


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Keys of the kernels that are asked for: what a backend compiles, each once."""
    import snnhw.tensors.scans.site
    from snnhw.passes import derive

    keys: set[str] = set()

    def counted(step: StepEquations, request: Request) -> ScanKernel:
        kernel = derive(step, request)
        keys.add(kernel.key)
        return kernel

    monkeypatch.setattr(snnhw.tensors.scans.site, "derive", counted)
    snnhw.tensors.scans.site.site_of.cache_clear()
    yield keys
    snnhw.tensors.scans.site.site_of.cache_clear()


@pytest.fixture
def reference() -> Backend:
    """The reference, behind the interface of a backend."""
    from snnhw_reference.plugin import ReferenceBackend

    return cast("Backend", ReferenceBackend())


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """Every conformance case by its id. Making them takes seconds: not while tests are collected."""
    from snnhw.conformance import all_cases

    return {lazy.id: lazy.case for lazy in all_cases()}
