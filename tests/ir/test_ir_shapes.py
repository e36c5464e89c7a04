"""Shapes of every port, inferred from the inputs."""

from __future__ import annotations

from snnhw.ir import (
    MODELS,
    Add,
    Concat,
    Conv2d,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Pointwise,
    Program,
    infer_shapes,
    var,
)

LIF = Neuron(MODELS["Leaky"])


def program(nodes: dict[str, Op], *edges: Edge) -> Program:
    return Program(FrozenMap(nodes), edges)


def test_every_output_port_gets_its_shape() -> None:
    found = infer_shapes(
        program(
            {"out": Output(), "lif": LIF, "fc": Linear(4, 3), "input": Input((2, 4))},  # in no helpful order
            Edge("lif.spk", "out.x"),
            Edge("fc.y", "lif.x"),
            Edge("input.y", "fc.x"),
        )
    )
    assert found.problems == ()
    assert found.shapes == {"input.y": (2, 4), "fc.y": (2, 3), "lif.spk": (2, 3), "lif.mem": (2, 3)}


def test_a_loop_is_entered_from_its_fed_side() -> None:
    found = infer_shapes(
        program(
            {"input": Input((4,)), "lif": LIF, "rec": Linear(4, 4), "out": Output()},
            Edge("rec.y", "lif.x"),  # listed first, known last
            Edge("input.y", "lif.x"),
            Edge("lif.spk", "rec.x", delay=1),
            Edge("lif.spk", "out.x"),
        )
    )
    assert found == ({"input.y": (4,), "lif.spk": (4,), "lif.mem": (4,), "rec.y": (4,)}, ())


def test_a_loop_that_nothing_feeds() -> None:
    found = infer_shapes(
        program(
            {"input": Input((4,)), "out": Output(), "lif": LIF, "rec": Linear(4, 4)},
            Edge("input.y", "out.x"),
            Edge("lif.spk", "rec.x", delay=1),
            Edge("rec.y", "lif.x"),
        )
    )
    assert found.problems == (
        "lif: its shape cannot be inferred from the inputs",
        "rec: its shape cannot be inferred from the inputs",
    )


def test_edges_into_one_port_agree() -> None:
    found = infer_shapes(
        program(
            {"a": Input((4,)), "b": Input((1,)), "sum": Add(), "out": Output()},
            Edge("a.y", "sum.x"),
            Edge("b.y", "sum.x"),
            Edge("a.y", "sum.x", delay=1),
            Edge("sum.y", "out.x"),
        )
    )
    assert found.problems == (
        "sum.x: the edges into one port must have one shape, not a.y (4,), b.y (1,), a.y (4,)",
    )


def test_a_loop_that_changes_the_shape() -> None:
    found = infer_shapes(
        program(
            {"input": Input((4,)), "lif": LIF, "rec": Linear(4, 3), "out": Output()},
            Edge("input.y", "lif.x"),
            Edge("lif.spk", "rec.x", delay=1),
            Edge("rec.y", "lif.x"),
            Edge("lif.spk", "out.x"),
        )
    )
    assert found.problems == (
        "lif.x: the edges into one port must have one shape, not input.y (4,), rec.y (3,)",
    )


def test_every_broken_node_is_named_and_what_follows_is_not() -> None:
    found = infer_shapes(
        program(
            {"input": Input((4,)), "one": Linear(5, 3), "two": Linear(6, 3), "lif": LIF, "out": Output()},
            Edge("input.y", "one.x"),
            Edge("input.y", "two.x"),
            Edge("one.y", "lif.x"),
            Edge("lif.spk", "out.x"),
        )
    )
    assert found.problems == (
        "one: Linear takes (..., 5), not (4,); is a Flatten missing?",
        "two: Linear takes (..., 6), not (4,); is a Flatten missing?",
    )


def lstm(kernel: int = 3, image: tuple[int, ...] = (2, 5, 5), kept: int = 3) -> Program:
    """A convolution over an image beside what the neurons behind it held a step ago."""
    both = Concat(0, (2, kept))
    return program(
        {
            "input": Input(image),
            "both": both,
            "conv": Conv2d(both.sizes[0] + kept, 3, (kernel, kernel), padding=(1, 1)),
            "lif": LIF,
            "out": Output(),
        },
        Edge("lif.mem", "both.x1", delay=1),
        Edge("input.y", "both.x0"),
        Edge("both.y", "conv.x"),
        Edge("conv.y", "lif.x"),
        Edge("lif.spk", "out.x"),
    )


def test_a_loop_through_a_port_that_nothing_else_feeds() -> None:
    found = infer_shapes(lstm())
    assert found.problems == ()
    assert found.shapes["both.y"] == (5, 5, 5)
    assert found.shapes["lif.mem"] == (3, 5, 5)


def test_what_comes_back_is_held_to_what_was_inferred_without_it() -> None:
    assert infer_shapes(lstm(kernel=2)).problems == (
        "both: Concat(0, (2, 3)) takes inputs alike on all other axes, not x0 (2, 5, 5), x1 (3, 6, 6)",
    )
    assert infer_shapes(lstm(kept=4)).problems == (
        "both: Concat(0, (2, 4)) takes 4 along axis 0 at x1, not (3, 5, 5)",
    )


def test_a_port_fed_within_the_step_is_waited_for() -> None:
    found = infer_shapes(
        program(
            {"input": Input((4,)), "fc": Linear(4, 3), "both": Concat(0, (4, 3)), "out": Output()},
            Edge("input.y", "both.x0"),  # known long before the other
            Edge("input.y", "fc.x"),
            Edge("fc.y", "both.x1"),
            Edge("both.y", "out.x"),
        )
    )
    assert found.problems == ()
    assert found.shapes["both.y"] == (7,)


def test_a_function_of_its_own_past() -> None:
    total = Pointwise(FrozenMap({"y": var("x") + var("before")}), ("x", "before"))
    loop = [Edge("input.y", "total.x"), Edge("total.y", "out.x")]
    nodes: dict[str, Op] = {"input": Input((4,)), "total": total, "wide": Linear(4, 4), "out": Output()}
    late = Edge("wide.y", "total.before", delay=1)
    found = infer_shapes(program(nodes, *loop, Edge("total.y", "wide.x"), late))
    assert found == ({"input.y": (4,), "total.y": (4,), "wide.y": (4,)}, ())


def test_a_function_whose_past_is_wider_than_what_feeds_it() -> None:
    total = Pointwise(FrozenMap({"y": var("x") + var("before")}), ("x", "before"))
    nodes: dict[str, Op] = {"input": Input((1,)), "total": total, "wide": Linear(1, 4), "out": Output()}
    found = infer_shapes(
        program(
            nodes,
            Edge("input.y", "total.x"),
            Edge("total.y", "wide.x"),
            Edge("total.y", "out.x"),
            Edge("wide.y", "total.before", delay=1),
        )
    )
    (problem,) = found.problems
    assert problem == (
        "total: without what arrives late, 'total.y' would be (1,), but with it (4,); "
        "its inputs: x (1,), before (4,)"
    )


def test_several_ports_wait_for_each_other() -> None:
    product = Pointwise(FrozenMap({"y": var("x") * var("k")}), ("x", "k"))
    found = infer_shapes(
        program(
            {"input": Input((2, 4)), "fc": Linear(4, 1), "product": product, "out": Output()},
            Edge("input.y", "product.x"),
            Edge("input.y", "fc.x"),
            Edge("fc.y", "product.k"),
            Edge("product.y", "out.x"),
        )
    )
    assert found.shapes["product.y"] == (2, 4)


def test_edges_of_a_broken_program_are_left_to_validate() -> None:
    found = infer_shapes(
        program(
            {"input": Input((4,))},
            Edge("input.y", "gone.x"),
            Edge("input.z", "input.x"),
            Edge("gone.y", "input.x"),
        )
    )
    assert found == ({"input.y": (4,)}, ())
