"""What a loss reads when the user did not say."""

from __future__ import annotations

import pytest
from passes_programs import LEAKY

from snnhw.errors import InputError
from snnhw.ir import (
    CEMembrane,
    CERate,
    Conv2d,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    MSECount,
    Neuron,
    Op,
    Output,
    Program,
    Term,
)
from snnhw.passes import resolve_loss

SPIKES, MEMBRANE, RATE = Term(CERate()), Term(CEMembrane()), Term(L1Rate())


def program(*returned: str, nodes: dict[str, Op] | None = None) -> Program:
    ops: dict[str, Op] = {"in": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(LEAKY), "other": Neuron(LEAKY)}
    ops |= nodes or {}
    wires = [Edge("in.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("fc.y", "other.x")]
    for number, port in enumerate(returned):
        ops[f"out.{number}"] = Output()
        wires.append(Edge(port, f"out.{number}.x"))
    return Program(FrozenMap(ops), tuple(wires))


def reads(term: Term, *returned: str) -> str | None:
    (resolved,) = resolve_loss(program(*returned), Loss((term,))).terms
    return resolved.of


@pytest.mark.parametrize(
    ("term", "returned", "port"),
    [
        (SPIKES, ["lif.spk"], "lif.spk"),
        (SPIKES, ["lif.mem", "lif.spk"], "lif.spk"),  # the output that returns what the kind reads
        (SPIKES, ["lif.mem"], "lif.spk"),  # else the neuron's port of that name
        (SPIKES, ["fc.y"], "fc.y"),  # else the first output
        (SPIKES, ["other.spk", "lif.spk"], "other.spk"),  # the first of several
        (MEMBRANE, ["lif.spk", "lif.mem"], "lif.mem"),
        (MEMBRANE, ["lif.spk"], "lif.mem"),
        (MEMBRANE, ["fc.y", "lif.spk"], "fc.y"),
        (RATE, ["lif.mem", "lif.spk"], "lif.spk"),
    ],
)
def test_a_term_without_a_port(term: Term, returned: list[str], port: str) -> None:
    assert reads(term, *returned) == port


def test_a_port_that_is_named_stays() -> None:
    assert reads(Term(L1Rate(), of="fc.y"), "lif.spk") == "fc.y"


def test_every_term_keeps_its_weight_and_target_and_its_place() -> None:
    loss = Loss((SPIKES,)) * 2.0 + Loss((Term(CEMembrane("mean"), target="digit"),))
    first, second = resolve_loss(program("lif.spk"), loss).terms
    assert (first.weight, first.of) == (2.0, "lif.spk")
    assert (second.target, second.of) == ("digit", "lif.mem")


def test_no_loss() -> None:
    with pytest.raises(
        InputError, match=r"a loss is a value such as snnhw.functional.ce_rate_loss\(\), not 'ce'"
    ):
        resolve_loss(program("lif.spk"), "ce")  # type: ignore[arg-type]


def test_no_terms() -> None:
    with pytest.raises(InputError, match="this loss has no terms; add some, such as"):
        resolve_loss(program("lif.spk"), Loss(()))


def test_no_such_port() -> None:
    with pytest.raises(InputError) as caught:
        resolve_loss(program("lif.spk"), Loss((RATE,)).of("lif.spike"))
    assert str(caught.value) == (
        "the loss term L1Rate reads 'lif.spike', but there is no such port. Did you mean 'lif.spk'? "
        "Ports: in.y, fc.y, lif.spk, lif.mem, other.spk, other.mem."
    )


def test_class_numbers_need_one_axis_of_classes() -> None:
    image = program("conv.y", nodes={"picture": Input((1, 8, 8)), "conv": Conv2d(1, 2, kernel=(3, 3))})
    image = Program(image.nodes, (*image.edges, Edge("picture.y", "conv.x")))
    with pytest.raises(InputError) as caught:
        resolve_loss(image, Loss((SPIKES,)))
    assert str(caught.value) == (
        "the loss term CERate reads 'conv.y' of shape (2, 6, 6), but needs (classes,); flatten it first, "
        "or name another port with loss.of('node.port')"
    )
    assert resolve_loss(image, Loss((RATE,))).terms[0].of == "conv.y"


def test_neurons_that_classes_cannot_share() -> None:
    shared = Loss((Term(MSECount(num_classes=3)),))
    assert resolve_loss(program("lif.spk"), shared).terms[0].of == "lif.spk"
    with pytest.raises(InputError, match=r"MSECount\(num_classes=2\) cannot share \d neurons evenly; give a"):
        resolve_loss(program("lif.spk"), Loss((Term(MSECount(num_classes=2)),)))
