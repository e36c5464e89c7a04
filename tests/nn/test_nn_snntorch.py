"""Neuron modules against snnTorch 1.0 itself: every layer under its options, on random inputs.

Spikes are identical; membranes and gradients agree within the rounding of float32. A cell in which the two
differ on purpose stands in `DIFFERENT`, under the words in which ``docs/snntorch.md`` says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product
from typing import Any, Final

import pytest
import torch
from page import rows
from torch import Tensor

import snnhw as snn
from snnhw import surrogate as our_surrogates
from snnhw.errors import InputError
from snnhw.functional import quant

QUIET = [
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),  # snnTorch's own
    pytest.mark.filterwarnings("ignore:.*output=False:UserWarning"),  # likewise: spikes nobody asks for
]
pytestmark = [pytest.mark.usefixtures("one_thread", "plain_torch"), *QUIET]

snntorch: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

T, B, N = 12, 4, 6

CONVOLUTION: dict[str, Any] = {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "threshold": 0.02}
RECURRENT: dict[str, Any] = {"beta": 0.8, "all_to_all": False, "V": 0.3}
IMAGE = (2, 4, 4)
LAYERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "Leaky": ("Leaky", {"beta": 0.8}, (N,)),
    "Leaky-vector": (
        "Leaky",
        {"beta": torch.linspace(0.3, 0.9, N), "threshold": torch.full((N,), 0.8)},
        (N,),
    ),
    "Synaptic": ("Synaptic", {"alpha": 0.7, "beta": 0.8}, (N,)),
    "Lapicque-RC": ("Lapicque", {"R": 2.0, "C": 3.0}, (N,)),
    "Lapicque-beta": ("Lapicque", {"beta": 0.6}, (N,)),
    "Alpha": ("Alpha", {"alpha": 0.9, "beta": 0.6, "threshold": 0.1}, (N,)),
    "RLeaky-one": ("RLeaky", RECURRENT, (N,)),
    "RLeaky-linear": ("RLeaky", {"beta": 0.8, "linear_features": N}, (N,)),
    "RLeaky-conv": ("RLeaky", {"beta": 0.8, "conv2d_channels": 2, "kernel_size": 3}, (2, 3, 3)),
    "RSynaptic-one": ("RSynaptic", {"alpha": 0.7, **RECURRENT}, (N,)),
    "RSynaptic-linear": ("RSynaptic", {"alpha": 0.7, "beta": 0.8, "linear_features": N}, (N,)),
    "SLSTM": ("SLSTM", {"input_size": N, "hidden_size": N, "threshold": 0.05}, (N,)),
    "SConv2dLSTM": ("SConv2dLSTM", CONVOLUTION, IMAGE),
    "SConv2dLSTM-max": ("SConv2dLSTM", {**CONVOLUTION, "max_pool": 2}, IMAGE),
    "SConv2dLSTM-avg": ("SConv2dLSTM", {**CONVOLUTION, "avg_pool": 2}, IMAGE),
    "DeltaLeaky": ("DeltaLeaky", {"delta_threshold": 0.4, "beta": 0.8}, (N,)),
    "StateLeaky": ("StateLeaky", {"beta": torch.linspace(0.3, 0.9, N), "channels": N}, (N,)),
    "StateLeaky-truncated": (
        "StateLeaky",
        {"beta": 0.8, "channels": N, "kernel_truncation_steps": 3, "threshold": 0.9},
        (N,),
    ),
    "LinearLeaky": (
        "LinearLeaky",
        {"beta": 0.8, "in_features": N, "out_features": 5, "threshold": 0.3},
        (N,),
    ),
    "LeakyParallel": ("LeakyParallel", {"input_size": N, "hidden_size": 5, "threshold": 0.3}, (N,)),
    "LeakyParallel-beta": ("LeakyParallel", {"input_size": N, "hidden_size": 5, "beta": 0.6}, (N,)),
}
"""What is tried -> the class, what it is constructed with, the shape of one sample."""

SEQUENCES: Final = {"StateLeaky", "LinearLeaky", "LeakyParallel"}
"""Classes that are given all steps at once."""

DENSE: Final = {name for name, (_, _, shape) in LAYERS.items() if len(shape) == 1}
"""What snnTorch can inhibit."""

SAME_BITS: Final = {"Leaky", "Leaky-vector", "Synaptic", "Lapicque-RC", "Lapicque-beta", "DeltaLeaky"}
"""Sums and products in the same order give equal bits; others meet products of matrices, exponentials, or
a reset that multiplies once where snnTorch multiplies and subtracts."""

ROUNDINGS: Final = {"returned": 8, "gradient": 16, "recurrent": 160}
"""How many units in the last place of the largest value two ways to compute lie apart at most: twice what was
measured over twelve steps. Where a layer hears all its spikes, gradients pass a product of matrices at every
step; the gradient of a parameter is a sum over steps, samples and neurons, and its unit that of the sum of
the sizes of the input's gradients."""


def _halved(input_: Tensor, grad_input: Tensor, spikes: Tensor) -> Tensor:
    return grad_input * (0.5 + spikes) / (1 + input_.abs())


SURROGATES: dict[str, Any] = {
    "atan": lambda side: side.atan(),
    "fast_sigmoid": lambda side: side.fast_sigmoid(slope=4),
    "sigmoid": lambda side: side.sigmoid(slope=4),
    "straight_through": lambda side: side.straight_through_estimator(),
    "triangular": lambda side: side.triangular(threshold=0.5),
    "heaviside": lambda side: side.heaviside(),
    "spike_rate_escape": lambda side: side.spike_rate_escape(beta=1, slope=2),
    "SFS": lambda side: side.SFS(slope=4, B=-0.5),
    "custom": lambda side: side.custom_surrogate(_halved),
}
"""Those that draw nothing; `tests/tensors` compares each on a grid."""

LEARNT: Final = ("alpha", "beta", "threshold", "recurrent", "graded_spikes_factor")
OPTIONS: dict[str, tuple[Any, ...]] = {
    "reset_mechanism": ("subtract", "zero", "none"),
    "reset_delay": (True, False),
    "spike_grad": (*SURROGATES, "disabled"),
    **{f"learn_{name}": (False, True) for name in LEARNT},
    "init_hidden": (False, True),
    "output": (False, True),
    "graded_spikes_factor": (1.0, 2.0),
    "state_quant": (False, True),
    "inhibition": (False, True),
    "weight_hh_enable": (False, True),
    "bias": (True, False),
}

FULLY: Final = ("reset_mechanism", "reset_delay", "spike_grad", *(f"learn_{name}" for name in LEARNT))
"""Options that the full test combines in every way; it goes round the others."""

Cell = Mapping[str, Any]


def _graded(cell: Cell) -> bool:
    """Whether its spikes are not worth 1 for good."""
    return bool(cell["graded_spikes_factor"] != 1.0 or cell["learn_graded_spikes_factor"])


DIFFERENT: Final[Mapping[str, Callable[[str, Cell], bool]]] = {
    "`RSynaptic` with `reset_delay=False`": lambda name, cell: (
        name.startswith("RSynaptic") and not cell["reset_delay"]
    ),
    "`Lapicque` with `learn_beta=True`": lambda name, cell: name == "Lapicque-RC" and cell["learn_beta"],
    "`Alpha` with `learn_alpha=True`": lambda name, cell: name == "Alpha" and cell["learn_alpha"],
    "`inhibition=True` with a `graded_spikes_factor`": lambda name, cell: (
        name.startswith("Leaky") and cell.get("inhibition", False) and _graded(cell)
    ),
    "`inhibition=True` of `SLSTM` and `SConv2dLSTM`": lambda name, cell: (
        "LSTM" in name and cell.get("inhibition", False)
    ),
    "`graded_spikes_factor` of `StateLeaky` and `LinearLeaky`": lambda name, cell: (
        name.startswith(("StateLeaky", "LinearLeaky")) and cell.get("output", True) and _graded(cell)
    ),
    "`graded_spikes_factor`, `state_quant` and `inhibition` of `DeltaLeaky`": lambda name, cell: (
        name == "DeltaLeaky" and (_graded(cell) or cell["state_quant"] or cell["inhibition"])
    ),
}
"""Cells that differ on purpose, in the words of the page -> whether a cell is one."""


def options_of(name: str) -> dict[str, tuple[Any, ...]]:
    """The options that a layer has in snnTorch."""
    kind = LAYERS[name][0]
    known = set(inspect.signature(getattr(snntorch, kind)).parameters)
    if kind == "DeltaLeaky":  # it passes them on
        known |= set(inspect.signature(snntorch.Leaky).parameters)
    known -= {"inhibition"} if name not in DENSE else set()
    known -= {"output", "init_hidden"} if kind in ("DeltaLeaky", "LinearLeaky") else set()
    known -= {"bias"} if name in ("SLSTM", "SConv2dLSTM-max", "SConv2dLSTM-avg") else set()
    return {option: values for option, values in OPTIONS.items() if option in known}


def pairwise(options: Mapping[str, tuple[Any, ...]]) -> list[Cell]:
    """Cells among which every pair of values of two options stands once at least.

    Each begins with a pair that is missing, and takes the other options as they cover most.
    """
    missing = {
        ((a, x), (b, y)) for a, b in combinations(options, 2) for x, y in product(options[a], options[b])
    }
    cells: list[Cell] = []
    while missing:
        cell = dict(min(missing, key=repr))
        for option in options:
            if option not in cell:
                cell[option] = max(
                    options[option], key=lambda value: len(_pairs(cell, option, value) & missing)
                )
        cells.append({option: cell[option] for option in options})
        missing -= {pair for option in options for pair in _pairs(cells[-1], option, cells[-1][option])}
    return cells


def _pairs(cell: Cell, option: str, value: Any) -> set[Any]:
    """The pairs that an option's value makes with those of a cell, in the order of `OPTIONS`."""
    order = list(OPTIONS)
    found = [((option, value), item) for item in cell.items() if item[0] != option]
    return {(a, b) if order.index(a[0]) < order.index(b[0]) else (b, a) for a, b in found}


def fully(options: Mapping[str, tuple[Any, ...]]) -> Iterator[Cell]:
    """All combinations of the options that count most; the others take turns."""
    main = {option: values for option, values in options.items() if option in FULLY}
    rest = list(product(*(values for option, values in options.items() if option not in FULLY)))
    names = [option for option in options if option not in FULLY]
    for turn, values in enumerate(product(*main.values())):
        yield dict(zip(main, values, strict=True)) | dict(zip(names, rest[7 * turn % len(rest)], strict=True))


def different(name: str, cell: Cell) -> str:
    """Under which words a cell differs on purpose; empty where it must not."""
    return next((words for words, holds in DIFFERENT.items() if holds(name, cell)), "")


PAIRWISE = {name: pairwise(options_of(name)) for name in LAYERS}
CELLS = [
    pytest.param(name, cell, id="-".join([name, *(f"{value}" for value in cell.values())]))
    for name, cells in PAIRWISE.items()
    for cell in cells
    if not different(name, cell)
]


@pytest.mark.parametrize(("name", "cell"), CELLS)
def test_same_returns_and_gradients(name: str, cell: Cell) -> None:
    compare(name, cell)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_same_returns_and_gradients_under_all_options(name: str) -> None:
    for cell in fully(options_of(name)):
        if not different(name, cell):
            compare(name, cell)


def test_the_page_lists_the_cells_that_differ() -> None:
    assert rows("snntorch.md", "cells") == list(DIFFERENT)


@pytest.mark.parametrize("words", DIFFERENT)
def test_a_cell_that_differs_on_purpose_does(words: str) -> None:
    """For every layer: the cell is not compared because it would fail."""
    found = {
        name: [cell for cell in cells if different(name, cell) == words] for name, cells in PAIRWISE.items()
    }
    assert any(found.values())
    for name, cell in [(name, cell) for name, cells in found.items() for cell in cells[:1]]:
        with pytest.raises((AssertionError, InputError, RuntimeError, TypeError)):
            compare(name, cell)


def test_a_decay_that_lapicque_learns_is_heard() -> None:
    """The other half of its row: snnTorch trains for one step."""
    for library, hears in ((snntorch, False), (snn, True)):
        layer = library.Lapicque(beta=0.6, learn_beta=True)
        before = layer(torch.ones(1, 1), torch.zeros(1, 1))[1]
        with torch.no_grad():
            layer.beta.fill_(0.9)
        assert torch.equal(layer(torch.ones(1, 1), torch.zeros(1, 1))[1], before) is not hears


def test_pairs_are_covered() -> None:
    options = {"reset_delay": (True, False), "spike_grad": (1, 2, 3), "output": (True, False)}
    cells = pairwise(options)
    for a, b in combinations(options, 2):
        assert {(cell[a], cell[b]) for cell in cells} == set(product(options[a], options[b]))
    assert len(cells) < 12


# -- one cell ---------------------------------------------------------------------------------------------


def site_of(side: Any, name: str, cell: Cell) -> Any:
    """The layer on either side."""
    kind, told, _ = LAYERS[name]
    given = {**told, **cell}
    surrogates = our_surrogates if side is snn else snntorch.surrogate
    choice = given.pop("spike_grad")
    given |= (
        {"surrogate_disable": True}
        if choice == "disabled"
        else {"spike_grad": SURROGATES[choice](surrogates)}
    )
    if given.pop("state_quant", False):
        given["state_quant"] = (quant if side is snn else quantiser()).state_quant(
            threshold=1.5, upper_limit=1
        )
    return getattr(side, kind)(**given)


def quantiser() -> Any:
    """A part of snnTorch that it does not import by itself."""
    from snntorch.functional import quant as theirs

    return theirs


def flat(values: Any) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else [x for value in values for x in flat(value)]


def run(layer: Any, xs: Tensor, kind: str, *, init_hidden: bool) -> tuple[list[Tensor], Tensor]:
    """What it returns, stacked over time; and the gradient of a loss to its input."""
    xs = xs.clone().requires_grad_()
    if kind in SEQUENCES:
        columns = flat(layer(xs))
    else:
        states: tuple[Any, ...] = ((None, None),) if kind == "DeltaLeaky" else ()
        found = []
        for x in xs:
            returned = layer(x, *states)
            found.append(flat(returned))
            keeps = init_hidden or not isinstance(returned, tuple)
            states = () if keeps else tuple(returned)[returned[0] is not None and not _whole(layer) :]
        columns = [torch.stack(column) for column in zip(*found, strict=True)]
    generator = torch.Generator().manual_seed(5)
    loss = sum((torch.randn(column.shape, generator=generator) * column).sum() for column in columns)
    assert isinstance(loss, Tensor)
    if loss.requires_grad:
        loss.backward()
    return columns, torch.zeros_like(xs) if xs.grad is None else xs.grad


def _whole(layer: Any) -> bool:
    """Whether a layer's spikes are one of its states."""
    return type(layer).__name__ in ("RLeaky", "RSynaptic")


def gradients(layer: Any) -> dict[str, Tensor]:
    """By our names."""
    found = {key: param.grad for key, param in layer.named_parameters() if param.grad is not None}
    return {key.replace("recurrent.V", "V"): grad for key, grad in found.items()}


def compare(name: str, cell: Cell) -> None:
    torch.manual_seed(2)
    kind, _, shape = LAYERS[name]
    theirs, ours = site_of(snntorch, name, cell), site_of(snn, name, cell)
    ours.load_state_dict(theirs.state_dict())
    xs = torch.rand(T, B, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 0.4
    hidden = bool(cell.get("init_hidden", False))
    wanted, wanted_dx = run(theirs, xs, kind, init_hidden=hidden)
    found, dx = run(ours, xs, kind, init_hidden=hidden)
    assert len(found) == len(wanted)
    if cell.get("output", True) or kind not in SEQUENCES:
        assert torch.equal(found[0], wanted[0]), "spikes"
        assert wanted[0].count_nonzero() > 3
    learns_by_logarithm = name.startswith("Lapicque") and cell["learn_beta"]
    exact = name in SAME_BITS and not learns_by_logarithm
    for mine, value in zip(found, wanted, strict=True):
        size = float(value.detach().abs().max())
        close("returned", mine, value, 0 if exact else ROUNDINGS["returned"] * size)
    hears = ROUNDINGS["recurrent" if name.endswith(("-linear", "-conv")) else "gradient"]
    close("the input's gradient", dx, wanted_dx, hears * float(wanted_dx.abs().max()))
    grads, wanted_grads = gradients(ours), gradients(theirs)
    for key, grad in grads.items():
        other = wanted_grads.get(key, torch.zeros_like(grad))  # of what is learnt and has no effect
        other = other.diagonal() if other.ndim > grad.ndim else other
        size = max(float(wanted_dx.abs().sum()), float(other.abs().max()))
        close(key, grad, other, ROUNDINGS["gradient"] * size)
    assert wanted_grads.keys() <= grads.keys()


def close(what: str, found: Tensor, wanted: Tensor, units: float) -> None:
    """Within so many units in the last place of 1."""
    torch.testing.assert_close(
        found, wanted, rtol=0, atol=units * 2.0**-24, msg=lambda text: f"{what}: {text}"
    )
