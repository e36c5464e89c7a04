"""Products that skip zeros, or round their operands: when they are used, and that they are right."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, Linear, Op, Program, sequential
from snnhw.ir.ops import Input
from snnhw.tensors.network import OPERATIONS, Memo, Operation, Remembering
from snnhw_cpu.convolution import ConvLayer
from snnhw_cpu.costs import SHIPPED
from snnhw_cpu.limits import USUAL, Limits, Way
from snnhw_cpu.linear import LinearLayer, LinearUse
from snnhw_cpu.products import layers_of

OP = Linear(96, 40)


@pytest.fixture(autouse=True)
def _as_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is kept for this processor."""
    monkeypatch.setattr("snnhw_cpu.linear.costs_here", lambda: SHIPPED)


def spikes(density: float, rows: int = 70, height: float = 0.5) -> Tensor:
    torch.manual_seed(0)
    return (torch.rand(rows, OP.in_features) < density).float() * height


def params() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        "weight": torch.randn(40, 96, requires_grad=True),
        "bias": torch.randn(40, requires_grad=True),
    }


def site_of(program: Program, **options: Any) -> Operation:
    """The only layer that is not torch's own."""
    (layer,) = layers_of(program, limits=USUAL, **options).values()
    assert not isinstance(layer, Remembering)
    return layer


def use(way: Way | None = None, memo: Memo | None = None) -> LinearUse:
    return LinearLayer(Limits(way=way)).at("fc", memo or Memo())


@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize("height", [0.5, 1.0])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 1.0])
def test_every_way_is_the_same_product(density: float, height: float, way: Way) -> None:
    x, given = spikes(density, height=height).requires_grad_(), params()
    seed = torch.randn(70, 40)
    ours = torch.autograd.grad(use(way)(OP, {"x": x}, given), [x, *given.values()], seed)
    plain = torch.autograd.grad(F.linear(x, given["weight"], given["bias"]), [x, *given.values()], seed)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)  # sums of up to 96 terms in another order


def test_a_pass_of_its_own_trusts_nothing_about_a_weight() -> None:
    layer, x, given = LinearLayer(Limits(way="skip")), spikes(0.1), params()
    weight = given["weight"].detach()
    for write in (
        lambda: weight.numpy().fill(2.0),
        lambda: given["weight"].data.mul_(2.0),
    ):
        before = given["weight"]._version
        write()
        assert given["weight"]._version == before
        with torch.no_grad():
            found = layer.at("fc", Memo())(OP, {"x": x}, given)
        torch.testing.assert_close(found, F.linear(x, given["weight"], given["bias"]))


def test_who_owns_the_parameters_may_keep_what_was_made_of_them() -> None:
    memo, x, given = Memo(), spikes(0.1), params()
    with torch.no_grad():
        first = use("skip", memo)(OP, {"x": x}, given)
        kept = memo.derived["fc"]
        assert torch.equal(use("skip", memo)(OP, {"x": x}, given), first)
    assert memo.derived["fc"] is kept
    torch.testing.assert_close(kept, given["weight"].detach().t())


def test_the_choice_is_made_once_for_a_memo() -> None:
    memo, given = Memo(), params()
    use(memo=memo)(OP, {"x": spikes(0.0)}, given)
    assert memo.chosen == {}  # silence says nothing
    use(memo=memo)(OP, {"x": spikes(1.0)}, given)
    assert memo.chosen == {"fc": "dense"}
    use(memo=memo)(OP, {"x": spikes(0.0)}, given)
    assert memo.chosen == {"fc": "dense"}


def test_a_few_rows_tell_how_active_all_are() -> None:
    memo, op = Memo(), Linear(1000, 1000)
    given = {name: torch.zeros(spec.shape) for name, spec in op.params().items()}
    torch.manual_seed(0)
    LinearLayer().at("fc", memo)(op, {"x": (torch.rand(25, 128, 1000) < 0.01).float()}, given)
    assert memo.chosen == {"fc": "skip"}


def test_the_rows_looked_at_are_of_all_samples() -> None:
    """The first sample of a batch is silent, at each of many steps."""
    memo, op = Memo(), Linear(1000, 1000)
    given = {name: torch.zeros(spec.shape) for name, spec in op.params().items()}
    torch.manual_seed(0)
    x = (torch.rand(128, 32, 1000) < 0.5).float()
    x[:, 0] = 0.0
    LinearLayer().at("fc", memo)(op, {"x": x * 0.5}, given)
    assert memo.chosen == {"fc": "dense"}
    memo.chosen.clear()
    LinearLayer().at("fc", memo)(op, {"x": x}, given)
    assert memo.chosen == {"fc": "lookup"}


def test_what_is_not_0_or_1_is_multiplied_where_sums_are_looked_up() -> None:
    memo, given = Memo(chosen={"fc": "lookup"}), params()
    for height in (1.0, 0.5, 1.0):
        x = spikes(0.3, height=height)
        with torch.no_grad():
            found = use(memo=memo)(OP, {"x": x}, given)
            dense = use("dense")(OP, {"x": x}, given)
            looked = use("lookup")(OP, {"x": x}, given)
        torch.testing.assert_close(found, dense)
        assert torch.equal(found, looked)
        assert torch.equal(found, dense) == (height == 0.5)
    assert memo.chosen == {"fc": "lookup"}


def test_what_is_turned_once_for_many_passes_costs_nothing() -> None:
    op = Linear(1000, 1000)
    given = {name: torch.zeros(spec.shape) for name, spec in op.params().items()}
    torch.manual_seed(0)
    x = (torch.rand(50, 1000) < 0.01).float()  # so few rows that turning the weight costs more than they do
    for lasting, way in ((False, "dense"), (True, "skip")):
        memo = Memo(lasting=lasting)
        LinearLayer().at("fc", memo)(op, {"x": x}, given)
        assert memo.chosen == {"fc": way}


def test_options_decide_how_products_run() -> None:
    program = sequential(
        {"x": Input((3, 8, 8)), "conv": Conv2d(3, 4, (3, 3)), "fc": Linear(6, 5)}, train=False
    )
    free = layers_of(program, precision="full", limits=USUAL)
    assert free["conv"] == ConvLayer(USUAL)
    strided = sequential({"x": Input((3, 8, 8)), "conv": Conv2d(3, 4, (3, 3), (2, 2))}, train=False)
    assert layers_of(strided, precision="full", limits=USUAL) == {}  # torch's own
    assert free["fc"] == LinearLayer(USUAL)
    assert set(layers_of(program, precision="bf16", limits=USUAL)) == {"conv", "fc"}


@pytest.mark.parametrize("name", ["conv", "fc"])
def test_bfloat16_rounds_operands_but_neither_bias_nor_result(name: str) -> None:
    op = {"conv": Conv2d(3, 4, (3, 3)), "fc": Linear(96, 40)}[name]
    torch.manual_seed(0)
    given = {key: torch.randn(spec.shape) for key, spec in op.params().items()}
    x = torch.randn(5, 3, 8, 8) if name == "conv" else torch.randn(5, 96)
    layer = site_of(sequential({"x": Input((3, 8, 8)), name: op}), precision="bf16")
    found = layer(op, {"x": x}, given)
    weight, rounded = given["weight"].bfloat16().float(), x.bfloat16().float()
    exact = F.conv2d(rounded, weight) if name == "conv" else F.linear(rounded, weight)
    bias = given["bias"].reshape(-1, 1, 1) if name == "conv" else given["bias"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found - bias, exact, rtol=2**-7, atol=2**-4)  # the result is rounded once too


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (Conv1d(3, 4, (3,)), (3, 8)),
        (Conv3d(2, 4, (2, 1, 2)), (2, 3, 4, 3)),
        (ConvTranspose1d(3, 4, (3,), (2,), output_padding=(1,)), (3, 8)),
        (ConvTranspose2d(4, 6, (3, 2), groups=2), (4, 5, 4)),
    ],
    ids=lambda value: value.summary() if isinstance(value, Op) else "",
)
def test_every_convolution_runs_in_bfloat16(op: Op, shape: tuple[int, ...]) -> None:
    program = sequential({"x": Input(shape), "conv": op})
    layer = site_of(program, precision="bf16")
    torch.manual_seed(0)
    given = {key: torch.randn(spec.shape) for key, spec in op.params().items()}
    xs = {"x": torch.randn(5, *shape)}
    rounded = {**given, "weight": given["weight"].bfloat16().float()}
    exact = OPERATIONS[type(op)](op, {"x": xs["x"].bfloat16().float()}, rounded)
    torch.testing.assert_close(layer(op, xs, given), exact, rtol=2**-7, atol=2**-4)
    assert not torch.equal(layer(op, xs, given), OPERATIONS[type(op)](op, xs, given))
