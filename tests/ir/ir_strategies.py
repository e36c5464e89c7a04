"""Random expressions, programs and parameters, for hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from snnhw.errors import ExpressionError, ProgramError
from snnhw.ir import (
    MODELS,
    SURROGATES,
    Add,
    ATan,
    AvgPool2d,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Edge,
    Expr,
    FastSigmoid,
    Flatten,
    FrozenMap,
    Gather,
    Input,
    LayerNorm,
    Linear,
    MaxPool2d,
    Neuron,
    Op,
    Param,
    Parameter,
    Params,
    Pointwise,
    Program,
    Reshape,
    Scale,
    Shape,
    Slice,
    StraightThrough,
    Sum,
    SumPool1d,
    Surrogate,
    TimeAxis,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    graft,
    greater,
    infer_shapes,
    nearest,
    sequential,
    var,
    where,
)
from snnhw.ir import expr as ex

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
"""A busy machine, or a row of draws that a test has no use for, is no failure."""

QUICK = settings(CALM, max_examples=30)
"""For tests that draw whole programs."""

UNARY = (ex.exp, ex.log, ex.sqrt, ex.sigmoid, ex.tanh, ex.atan, abs, lambda a: -a)


def floored(a: Expr, b: Expr) -> Expr:
    return a // b


BINARY = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    floored,
    ex.minimum,
    ex.maximum,
    lambda a, b: where(greater(a, b), a, b * 0.5),
)
SPECIAL = (
    lambda a: nearest(a, "levels"),
    lambda a: graft(ex.tanh(a), {a: 1.0 / (1.0 + abs(a))}),
    lambda a: ex.clamp(a, 0.0, 1.0),
    ex.heaviside,
    ex.stop_gradient,
)

numbers = st.floats(-4, 4, allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, 5e-324, 1e300])


@st.composite
def expressions(
    draw: st.DrawFn, names: Sequence[str] = ("a", "b", "c"), most: int = 12, smooth: bool = False
) -> Expr:
    """An expression of up to ``most`` operations that share operands; ``smooth`` ones have no graft and
    no floor."""
    pool: list[Expr] = [var(name) for name in names]
    unary = UNARY if smooth else UNARY + SPECIAL
    binary = [each for each in BINARY if each is not floored] if smooth else BINARY
    for _ in range(draw(st.integers(1, most))):
        operand = st.sampled_from(pool[-6:])
        try:
            if draw(st.booleans()):
                made = draw(st.sampled_from(binary))(draw(operand), draw(operand))
            elif draw(st.booleans()):
                made = draw(st.sampled_from(unary))(draw(operand))
            else:
                made = draw(st.sampled_from(BINARY[:4]))(draw(operand), draw(numbers))
        except ExpressionError:  # constants without a finite value
            continue
        pool.append(made)
    return pool[-1]


surrogates: st.SearchStrategy[Surrogate | None] = st.one_of(
    st.none(),
    st.builds(StraightThrough),
    st.builds(ATan, st.floats(0.125, 8)),
    st.builds(FastSigmoid, st.floats(0.125, 100)),
    st.sampled_from([kind() for kind in SURROGATES.values()]),
)


WAYS = [
    (model, reset, timing)
    for _, model in sorted(MODELS.items())
    if len(model.ports) == 1  # they stand in chains
    for reset in model.kinds
    for timing in model.timings_of(reset)
]
"""Every model under every reset and timing it offers."""


def neurons(shape: Shape) -> st.SearchStrategy[Neuron]:
    """Neurons of every registered model of one input, with any options, for a layer of this shape."""
    shared = [(), shape, (shape[0], *(1 for _ in shape[1:]))]
    return st.sampled_from(WAYS).flatmap(
        lambda way: st.builds(
            Neuron,
            st.just(way[0]),
            reset=st.just(way[1]),
            timing=st.just(way[2]),
            surrogate=surrogates,
            graded=st.booleans(),
            quantised=st.booleans(),
            param_shapes=st.dictionaries(
                st.sampled_from([param.name for param in way[0].params]), st.sampled_from(shared)
            ),
        )
    )


@st.composite
def pointwise(draw: st.DrawFn, shape: Shape) -> Pointwise:
    """A stateless node of a random expression of its input and a parameter."""
    made = draw(expressions(names=("x", "p"), most=6, smooth=True))
    given = draw(st.sampled_from([{}, {"p": shape}]))
    return Pointwise(
        outputs=FrozenMap({"z": made, "a": var("x") * 1.5}),
        parameters=(Param("p", draw(st.none() | st.just(0.5))),),
        param_shapes=FrozenMap(given),
    )


def fits(op: Op, shape: Shape) -> bool:
    """Whether the op takes this shape: small images lose their windows."""
    try:
        return bool(op.infer({"x": shape}))
    except ProgramError:
        return False


def layers(shape: Shape) -> st.SearchStrategy[Op]:
    """An op that takes this shape."""
    found: list[st.SearchStrategy[Op]] = [
        neurons(shape),
        pointwise(shape),
        st.just(Add()),
        st.just(Flatten()),
    ]
    sizes = st.integers(1, 3)
    pairs = st.tuples(sizes, sizes)
    found.append(st.builds(Linear, st.just(shape[-1]), sizes, st.booleans()))
    found.append(st.builds(Scale, st.sampled_from([(), shape, (shape[0], *(1 for _ in shape[1:]))])))
    found.append(
        st.builds(LayerNorm, st.just(shape[-1:]), st.floats(1e-6, 1.0), st.just(True), st.booleans())
    )
    found.append(st.builds(WinnerTakeAll, st.integers(-1, len(shape) - 1)))
    found.append(st.just(Reshape((1, *shape))))
    found.append(st.builds(Parameter, st.just((2, 3)), st.sampled_from([0.0, 1.5])))
    places = st.lists(st.integers(-1, shape[0] - 1), min_size=1, max_size=4).map(tuple)
    found.append(st.builds(Gather, st.just(0), places))
    found.append(st.builds(Slice, st.just(0), st.just(0), st.integers(1, shape[0])))
    found.append(st.just(Unflatten(0, (shape[0], 1))))
    if len(shape) > 1:
        found.append(st.builds(Sum, st.integers(-1, 0)))
    if len(shape) == 2:
        channels = st.just(shape[0])
        found.append(st.builds(Conv1d, channels, sizes, st.just((1,)), padding=st.tuples(sizes)))
        found.append(st.builds(SumPool1d, st.just((1,)), st.tuples(sizes)))
    if len(shape) == 3:
        found.append(st.builds(Upsample, pairs, st.sampled_from(["nearest", "linear"])))
        found.append(st.builds(ConvTranspose2d, st.just(shape[0]), sizes, st.just((1, 2)), stride=pairs))
        channels = st.just(shape[0])
        found.append(st.builds(Conv2d, channels, sizes, st.just((1, 2)), padding=pairs, bias=st.booleans()))
        found.append(st.builds(MaxPool2d, st.just((2, 2)), pairs, st.just((1, 0))))
        found.append(st.builds(AvgPool2d, st.just((1, 1)), pairs))
    return st.one_of(found).filter(lambda op: fits(op, shape))


def starts(key: str) -> st.SearchStrategy[float | str]:
    """What a delayed edge may start from."""
    return st.one_of(st.just(0.0), st.just(-0.5), st.just(key))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A valid program: a chain, with loops around its neurons and sometimes a tied weight."""
    shape: Shape = draw(st.sampled_from([(3,), (2, 4, 5), (1,)]))
    nodes: dict[str, Op] = {"input": Input(shape)}
    for number in range(draw(st.integers(1, 4))):
        nodes[draw(st.sampled_from(["net.l", "l", "0.L_"])) + str(number)] = draw(layers(shape))
        known = infer_shapes(sequential(nodes)).shapes
        shape = known[f"{list(nodes)[-1]}.{list(nodes.values())[-1].out_ports[0]}"]
    chain = sequential(
        nodes, time=TimeAxis(draw(st.floats(1e-6, 1.0)), draw(st.sampled_from([(), ("input",)])))
    )
    loops = tuple(
        Edge(
            f"{name}.mem",
            f"{name}.x",
            draw(st.integers(1, 3)),
            draw(starts(f"{name}.{next(iter(chain.nodes[name].params()))}")),
        )
        for name in chain.named(Neuron)
        if draw(st.booleans()) and not next(iter(chain.nodes[name].params().values())).shape
    )
    weights = sorted(chain.trainable)
    trained = draw(st.sets(st.sampled_from(weights))) if weights else set()
    return Program(_tied(chain), chain.edges + loops, chain.time, frozenset(trained) & _tied_keys(chain))


def _tied(program: Program) -> FrozenMap[str, Op]:
    """The nodes, with every weight tied to the first of the same shape."""
    first: dict[Shape, str] = {}
    nodes = dict(program.nodes)
    for name in program.named(Linear):
        key = first.setdefault(nodes[name].params()["weight"].shape, f"{name}.weight")
        if key != f"{name}.weight":
            nodes[name] = replace(nodes[name], keys=FrozenMap({"weight": key}))
    return FrozenMap(nodes)


def _tied_keys(program: Program) -> frozenset[str]:
    return frozenset(Program(_tied(program), program.edges).params())


@st.composite
def params_of(draw: st.DrawFn, program: Program) -> Params:
    """Arrays that fit, of every accepted dtype."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    found: Params = {}
    for key, spec in program.params().items():
        shape = (draw(st.integers(1, 4)),) if spec.table else spec.shape
        dtype = draw(st.sampled_from(["float16", "float32", "float64"]))
        found[key] = np.asarray(generator.normal(size=shape)).astype(dtype)
    return found
