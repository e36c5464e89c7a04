"""``str(program)``: one stable line per node."""

from __future__ import annotations

from hypothesis import given
from ir_strategies import QUICK, programs

from snnhw.ir import (
    MODELS,
    Add,
    Conv2d,
    Edge,
    FastSigmoid,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Output,
    Param,
    Pointwise,
    Program,
    TimeAxis,
    sequential,
    var,
)

LEAKY = MODELS["Leaky"]

GOLDEN = """\
program dt=0.001 static=image
  image   Input                                                    (1, 6, 6)
  conv    Conv2d(1, 2, (3, 3))                                     (2, 4, 4)  <- image.y
  pool    MaxPool2d((2, 2), stride=(2, 2))                         (2, 2, 2)  <- conv.y
  lif1    Leaky zero retest FastSigmoid(slope=25.0) beta[2, 1, 1]  (2, 2, 2)  <- pool.y
  flat    Flatten                                                  (8,)       <- lif1.spk
  fc      Linear(8, 3)                                             (3,)       <- flat.y
  lif2    Leaky subtract delayed ATan(alpha=2.0)                   (3,)       <- fc.y + rec.y
  rec     Linear(3, 3, bias=False)                                 (3,)       <- lif2.spk @-1 from 0.5
  mix     Pointwise y=x + k                                        (3,)       <- lif2.spk; k: lif2.mem @-2
  output  Output                                                              <- mix.y"""


def network() -> Program:
    slow = FastSigmoid()
    nodes = {
        "image": Input((1, 6, 6)),
        "conv": Conv2d(1, 2, (3, 3)),
        "pool": MaxPool2d((2, 2), (2, 2)),
        "lif1": Neuron(LEAKY, "zero", "retest", slow, param_shapes=FrozenMap({"beta": (2, 1, 1)})),
        "flat": Flatten(),
        "fc": Linear(8, 3),
        "lif2": Neuron(LEAKY),
        "rec": Linear(3, 3, bias=False),
        "mix": Pointwise(FrozenMap({"y": var("x") + var("k")}), ("x", "k")),
        "output": Output(),
    }
    wires = [
        "image.y",
        "conv.x",
        "conv.y",
        "pool.x",
        "pool.y",
        "lif1.x",
        "lif1.spk",
        "flat.x",
        "flat.y",
        "fc.x",
        "fc.y",
        "lif2.x",
        "rec.y",
        "lif2.x",
    ]
    edges = [Edge(a, b) for a, b in zip(wires[::2], wires[1::2], strict=True)]
    edges += [Edge("lif2.spk", "rec.x", 1, 0.5), Edge("lif2.spk", "mix.x"), Edge("lif2.mem", "mix.k", 2)]
    return Program(FrozenMap(nodes), (*edges, Edge("mix.y", "output.x")), TimeAxis(static_inputs=("image",)))


def test_the_golden_form() -> None:
    assert str(network()) == GOLDEN


def test_start_values_from_parameters() -> None:
    nodes = {"input": Input((2,)), "lif": Neuron(LEAKY), "output": Output()}
    edges = (Edge("input.y", "lif.x"), Edge("lif.mem", "lif.x", 1, "lif.beta"), Edge("lif.spk", "output.x"))
    text = str(Program(FrozenMap(nodes), edges, TimeAxis(0.5)))
    assert text.startswith("program dt=0.5\n")
    assert "<- input.y + lif.mem @-1 from lif.beta" in text


def test_what_is_wrong_with_a_program_does_not_keep_it_from_being_shown() -> None:
    nodes = {"input": Input((2,)), "sum": Add(), "fc": Linear(3, 3), "output": Output()}
    edges = (
        Edge("gone.y", "sum.x"),
        Edge("input.y", "fc.x"),
        Edge("fc.z", "output.x"),
        Edge("fc.y", "nowhere"),
    )
    assert str(Program(FrozenMap(nodes), edges)).splitlines()[1:] == [
        "  input   Input         (2,)",
        "  sum     Add           ?     <- gone.y",
        "  fc      Linear(3, 3)  ?     <- input.y",
        "  output  Output              <- fc.z",
    ]


def test_an_empty_program() -> None:
    assert str(Program(FrozenMap(), ())) == "program dt=0.001"


@QUICK
@given(programs())
def test_one_line_per_node(program: Program) -> None:
    lines = str(program).splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(program.nodes)


def test_parameters_of_pointwise_nodes_show_in_their_equations() -> None:
    gain = Pointwise(FrozenMap({"y": var("x") * var("gain")}), parameters=(Param("gain", 2.0),))
    assert "Pointwise y=x * gain" in str(sequential({"input": Input((2,)), "gain": gain}))
