"""What is learnt, beside snnTorch 1.0: how parameters begin, and which of them a loss reaches.

To whoever decays weights, a gradient of 0 is something else than none.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
import torch
from test_nn_snntorch import (
    LAYERS,
    LEARNT,
    PAIRWISE,
    QUIET,
    SEQUENCES,
    B,
    different,
    flat,
    options_of,
    site_of,
)
from torch import nn

import snnhw as snn
import snnhw.functional as SF

pytestmark = [pytest.mark.usefixtures("one_thread", "plain_torch"), *QUIET]

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")


UNHEARD: Final = ("DeltaLeaky", "StateLeaky", "LinearLeaky")
"""What has a mechanism to reset, of no effect, in snnTorch alone: a row of docs/snntorch.md."""


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_begins_as_snntorchs(name: str) -> None:
    for cell in PAIRWISE[name]:
        if not different(name, cell):
            begun = []
            for side in (theirs, snn):
                torch.manual_seed(3)
                begun.append(site_of(side, name, cell).state_dict())
            wanted, found = begun
            if LAYERS[name][0] in UNHEARD:
                wanted["reset_mechanism_val"] = found["reset_mechanism_val"]
            assert list(found) == list(wanted), cell
            for key, value in wanted.items():
                assert torch.equal(found[key], value), (cell, key)


FAILS: Final = {"Alpha": "learn_alpha", "Lapicque-RC": "learn_beta"}
"""What cannot be learnt there: cells of docs/snntorch.md."""


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("name", [name for name in LAYERS if LAYERS[name][0] not in SEQUENCES])
def test_membranes_alone_reach_the_same_parameters(name: str, reset: str) -> None:
    options = options_of(name)
    cell = {option: values[0] for option, values in options.items()} | {"reset_mechanism": reset}
    cell |= {f"learn_{each}": True for each in LEARNT if f"learn_{each}" in options}
    if name in FAILS:
        cell[FAILS[name]] = False
    reached = []
    for side in (theirs, snn):
        layer, x = site_of(side, name, cell), torch.rand(B, *LAYERS[name][2], requires_grad=True)
        states: tuple[Any, ...] = ((None, None),) if name == "DeltaLeaky" else ()
        for _ in range(3):
            spikes, *rest = layer(x, *states)
            states = (spikes, *rest) if name.startswith(("RLeaky", "RSynaptic")) else tuple(rest)
        flat(states)[-1].sum().backward()
        parameters = dict(layer.named_parameters())
        reached.append({key for key, parameter in parameters.items() if parameter.grad is not None})
    assert reached[0] == reached[1]


def test_an_optimizer_passes_over_a_threshold_that_only_a_detached_reset_reads() -> None:
    after = []
    for side in (theirs, snn):
        torch.manual_seed(0)
        net: Any = nn.ModuleList(
            [nn.Linear(4, 3), side.Leaky(0.9, learn_threshold=True, reset_mechanism="zero")]
        )
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.05, weight_decay=0.1)
        for _ in range(5):
            mem = torch.zeros(2, 3)
            for _ in range(3):
                _, mem = net[1](net[0](torch.ones(2, 4)), mem)
            optimizer.zero_grad()
            mem.square().mean().backward()
            optimizer.step()
        after.append(net[1].threshold.item())
    assert after == [1.0, 1.0]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_an_optimizer_of_a_compiled_network_decays_all_that_it_trains(backend: str) -> None:
    """As docs/snntorch.md says: there a gradient that nothing gives is 0."""
    neurons = snn.Leaky(0.9, learn_threshold=True, reset_mechanism="zero", init_hidden=True, output=True)
    net = nn.Sequential(nn.Linear(4, 3), neurons)
    optimizer = snn.optim.AdamW(lr=0.5, weight_decay=0.1)
    x = torch.ones(2, 4)
    with snn.compile(
        net, x, backend=backend, time_steps=3, loss=SF.ce_max_membrane_loss(), optimizer=optimizer
    ) as model:
        model.step(x.expand(3, 2, 4), torch.tensor([0, 2]))
        model.write_back(net)
    assert neurons.threshold.item() == pytest.approx(0.95)
