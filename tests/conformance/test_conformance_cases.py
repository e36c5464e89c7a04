"""Cases cover everything that the registries hold, and are what they say they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace

import numpy as np
import pytest

from snnhw.check import check_job
from snnhw.conformance import CLASSES, Case, all_cases
from snnhw.conformance.bench import SHIFT, Bench
from snnhw.conformance.cases import corners, laws, layers, wiring
from snnhw.conformance.cases.exact import ROUNDING
from snnhw.conformance.cases.making.examples import ELSEWHERE, EXAMPLES, INEXACT
from snnhw.conformance.cases.making.harness import NODE
from snnhw.conformance.cases.making.networks import NETWORKS
from snnhw.conformance.cases.making.neurons import Setting, backwards, settings, timings, usual
from snnhw.conformance.cases.making.proof import prove
from snnhw.conformance.cases.making.search import certain, delicate, lively
from snnhw.conformance.cases.making.variants import variants
from snnhw.conformance.cases.pointwise import is_arithmetic, neuron_case
from snnhw.conformance.cases.training import steady
from snnhw.conformance.checks.classes import CHECKS
from snnhw.conformance.checks.laws import LAWS
from snnhw.ir import (
    LOSS_TERMS,
    MODELS,
    OPS,
    OPTIMIZERS,
    PRIMITIVES,
    SURROGATES,
    ClassLoss,
    Neuron,
    NeuronModel,
    Optimizer,
    Param,
    Params,
    Pointwise,
    PopulationLoss,
    check_params,
    composites,
    expr,
    model,
    require_valid,
    topological,
    var,
    variables,
)
from snnhw.ir.models.textbook import SCHEMES, TEXTBOOK, textbook
from snnhw.ir.surrogates import Surrogate
from snnhw.parity.arrays import Array
from snnhw.parity.rounding.dyadic import PRECISION, NotExact
from snnhw.parity.rounding.forward import forward_primitives
from snnhw.plugin import Backend
from snnhw.reference import Gradients, execute, gradients

Cases = Mapping[str, Case]


def of(cases: Cases, cls: str) -> list[Case]:
    return [case for case in cases.values() if case.cls == cls]


# -- Everything has a case ------------------------------------------------------------------------


def test_every_op_has_examples(cases: Cases) -> None:
    assert {*EXAMPLES, *ELSEWHERE} == {kind for kind in OPS.values() if not kind.whole_only}
    assert not EXAMPLES.keys() & ELSEWHERE.keys()
    for kind, examples in EXAMPLES.items():
        assert examples
        for name, (op, *_) in examples.items():
            assert type(op) is kind
            classes = ("margin" if kind in INEXACT else "exact", "gradient")
            ids = {f"{cls}/{kind.__name__}-{name}" for cls in classes}
            assert ids <= cases.keys()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_case_under_every_reset_and_timing(name: str) -> None:
    entry, tried = MODELS[name], list(settings())
    for reset, timing in timings(entry):
        outputs = Setting(entry, reset, timing).neuron(()).equations().outputs
        same = [setting for setting in tried if setting.neuron(()).equations().outputs == outputs]
        assert same, f"reset {reset}, timing {timing}"


def test_adjoints_are_held_bit_for_bit_where_nothing_is_transcendental(cases: Cases) -> None:
    """Equations and slopes alike; how many there are is said, lest they become fewer."""
    found = [case for case in of(cases, "pointwise") if case.loss is not None]
    assert len(found) >= 80
    for setting in settings():
        if backwards(setting) and is_arithmetic(setting.neuron(())):
            assert f"pointwise/{setting.name}/step" in cases
    for case in found:
        shifts = [key for key in case.program.trainable if key.endswith(f".{SHIFT}")]
        assert len(shifts) == len(case.program.nodes[NODE].in_ports)
        assert all(not case.params[key].any() for key in shifts)
        seen = gradients_of(case, "float64").params
        assert all(np.abs(seen[key]).max() > 0 for key in shifts), case.id


@pytest.mark.parametrize("setting", list(settings()), ids=lambda setting: setting.name)
def test_every_neuron_is_run_alone_and_its_gradient_is_taken(setting: Setting, cases: Cases) -> None:
    assert {f"pointwise/{setting.name}", f"near/{setting.name}"} & cases.keys()
    if backwards(setting):
        assert f"gradient/{setting.name}" in cases
    if not forward_primitives(setting.neuron(()).equations()) & ROUNDING:
        assert f"exact/{setting.name}" in cases


def test_every_scheme_of_a_textbook_neuron_has_a_case(cases: Cases) -> None:
    ops = [op for case in cases.values() for op in case.program.nodes.values()]
    tried = {op.model for op in ops if isinstance(op, Neuron)}
    assert {textbook(kind, scheme) for kind in TEXTBOOK for scheme in SCHEMES} <= tried


def test_numbers_stay_of_a_usual_size(cases: Cases) -> None:
    """What grows without end says little about how far off a backend is."""
    large = {
        "margin/recurrent-I",  # an integrator of its own output
        "near/dense-Associative",
        "pointwise/beyond-levels",  # on purpose
    }
    for case in cases.values():
        if case.loss is None and case.cls != "integer" and case.id not in large:
            run = recorded(case, "float64")
            assert all(np.abs(x).max(initial=0.0) < 300 for x in run.values()), case.id


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_tried_in_a_chain_and_in_a_loop(name: str, cases: Cases) -> None:
    for network in ("dense", "recurrent"):
        assert {f"margin/{network}-{name}", f"gradient/{network}-{name}"} <= cases.keys()


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_is_tried(network: str, cases: Cases) -> None:
    assert {f"margin/{network}-Leaky", f"gradient/{network}-Leaky"} <= cases.keys()


def test_every_surrogate_has_a_case(cases: Cases) -> None:
    ops = [op for case in of(cases, "gradient") for op in case.program.nodes.values()]
    used = {op.surrogate for op in ops if isinstance(op, Neuron)}
    assert {None, *(list(variants(kind))[-1][1] for kind in SURROGATES.values())} <= used


def test_every_kind_of_loss_has_a_case(cases: Cases) -> None:
    used = {term.kind for case in of(cases, "gradient") if case.loss for term in case.loss.terms}
    assert {value for kind in LOSS_TERMS.values() for _, value in variants(kind)} <= used
    classed = [kind for kind in LOSS_TERMS.values() if issubclass(kind, ClassLoss)]
    weighted = {type(kind) for kind in used if isinstance(kind, ClassLoss) and kind.class_weights}
    shared = {type(kind) for kind in used if isinstance(kind, PopulationLoss) and kind.num_classes}
    assert weighted == set(classed)
    assert shared == {kind for kind in classed if issubclass(kind, PopulationLoss)}


def test_every_optimizer_has_a_case(cases: Cases) -> None:
    used = {replace(case.optimizer, lr=0.05) for case in of(cases, "training") if case.optimizer}
    for kind in OPTIMIZERS.values():
        assert {replace(value, lr=0.05) for _, value in variants(kind, lr=0.05)} <= used


def test_every_law_and_every_class_has_a_case(cases: Cases) -> None:
    assert {case.law for case in of(cases, "law")} == set(LAWS)
    assert {case.cls for case in cases.values()} == set(CLASSES) == {*CHECKS, "law"}
    assert {*laws.RUNNING, *laws.SMALL, *laws.TRAINING, *laws.STEPPING, "learns", "rounds"} == set(LAWS)


def test_every_optimizer_is_interrupted_and_resumed(cases: Cases) -> None:
    resumed = {type(case.optimizer) for case in of(cases, "law") if case.law == "resumes"}
    assert resumed == set(OPTIMIZERS.values())


def test_what_every_dtype_is_asked_for_half_precision_holds(cases: Cases) -> None:
    for name in ("law/computes-dense", "law/computes-recurrent", "law/learns-dense"):
        proof = cases[name].proof
        assert proof is not None
        assert proof.grid >= -14  # the smallest float16 that is not subnormal
        assert proof.largest < 2**11


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_function_in_equations_is_run_alone_and_its_gradient_is_taken(name: str, cases: Cases) -> None:
    (run,) = {f"pointwise/function-{name}", f"margin/function-{name}"} & cases.keys()
    for case_id in (run, f"gradient/function-{name}"):
        op = cases[case_id].program.nodes[NODE]
        assert isinstance(op, Pointwise)
        assert name in {node.op for node in topological(list(op.outputs.values()))}


def test_every_setting_of_every_op_is_varied() -> None:
    for kind, examples in EXAMPLES.items():
        plain = next(iter(examples.values()))[0]
        for item in fields(kind):
            if item.name == "keys":  # shared parameters are nobody's special case: exact/shared
                continue
            values = {repr(getattr(op, item.name)) for op, *_ in examples.values()}
            optional = item.default is not MISSING
            assert not optional or values != {repr(item.default)}, f"{kind.__name__}.{item.name}"
        assert type(plain) is kind


def test_every_op_meets_an_input_that_does_not_change(cases: Cases) -> None:
    for kind, examples in EXAMPLES.items():
        for name, (op, *_) in examples.items():
            case = cases[f"gradient/static-{kind.__name__}-{name}"]
            assert set(case.program.time.static_inputs) == set(op.in_ports)


def test_every_composite_has_a_layer() -> None:
    """What is imported there is used: ruff sees to it."""
    wanted = {name for name in composites.__all__ if name != "tied"}  # part of others
    assert wanted <= vars(layers).keys()


def test_what_somebody_registers_has_cases_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {lazy.id for lazy in all_cases()}
    monkeypatch.setitem(SURROGATES, "Own", SURROGATES["ATan"])
    monkeypatch.setitem(OPTIMIZERS, "Own", OPTIMIZERS["SGD"])
    monkeypatch.setitem(LOSS_TERMS, "Own", LOSS_TERMS["CERate"])
    monkeypatch.setitem(MODELS, "Own", NEWCOMERS[-1])
    added = {lazy.id for lazy in all_cases()} - before
    for name in ("surrogate-Own-alpha", "loss-Own-plain", "dense-Silent"):
        assert f"gradient/{name}" in added
    assert {"training/Own-plain", "law/resumes-Own", "pointwise/Silent-none-delayed"} <= added
    monkeypatch.undo()
    assert {lazy.id for lazy in all_cases()} == before


mem, x, tau, beta, threshold = variables("mem x tau beta threshold")
THRESHOLD, BETA = Param("threshold", 1.0), Param("beta", low=0.0, high=1.0)

NEWCOMERS = [
    model(
        "Rounded",
        states="mem",
        params=(Param("tau", low=0.5, high=4.0), THRESHOLD),
        integrate={"mem": expr.exp(-1.0 / tau) * mem + x},
        fire=mem - threshold,
    ),
    model(
        "Slow",
        states="mem",
        params=(Param("tau", 5.0, low=0.0), THRESHOLD),
        integrate={"mem": x * (var("dt") / tau) + (1.0 - var("dt") / tau) * mem},
        fire=mem - threshold,
    ),
    model(
        "Selfish",
        states="spk mem",
        params=(BETA, Param("weight", 1.0), THRESHOLD),
        integrate={"mem": beta * mem + x + var("weight") * var("spk")},
        fire=mem - threshold,
    ),
    model("Silent", states="mem", params=(BETA,), integrate={"mem": beta * mem + x}, fire=None),
]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each.name == "Slow"), id=each.name)
        for each in NEWCOMERS
    ],
)
def test_a_model_gets_cases_without_an_edit(entry: NeuronModel) -> None:
    tried = list(settings({entry.name: entry}))
    assert {(setting.reset, setting.timing) for setting in tried} >= {usual(entry)}
    for setting in tried:
        case = neuron_case(setting).case
        assert case.cls == ("near" if entry.name == "Rounded" else "pointwise")  # nobody rounds exp alike
        assert lively(case)


# -- Variants -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picky(Optimizer):
    twice: bool = False
    shares: tuple[float, float] = (0.5, 1.0)


def test_every_setting_is_varied_alone_and_all_together() -> None:
    assert dict(variants(Picky, lr=0.5)) == {
        "plain": Picky(lr=0.5),
        "twice": Picky(lr=0.5, twice=True),
        "shares": Picky(lr=0.5, shares=(0.5, 0.75)),
        "all": Picky(lr=0.5, twice=True, shares=(0.5, 0.75)),
    }


def test_a_value_without_settings_has_one_variant() -> None:
    kind: type[Surrogate] = SURROGATES["StraightThrough"]
    assert [name for name, _ in variants(kind)] == ["plain"]


# -- Cases are what they say ----------------------------------------------------------------------


def test_ids_are_unique_and_begin_with_the_class() -> None:
    count = Counter(lazy.id for lazy in all_cases())
    assert not [case_id for case_id, times in count.items() if times > 1]
    assert all(lazy.cls in CLASSES for lazy in all_cases())
    assert all(lazy.case.id == lazy.id for lazy in all_cases())


def test_every_case_is_a_legal_job(cases: Cases, reference: Backend) -> None:
    for case in cases.values():
        require_valid(case.program)
        check_params(case.program, case.params)
        check_job(case.program, Bench(reference).job(case))
        held = np.int64 if case.cls == "integer" else np.float32
        assert all(array.dtype == held for array in (*case.params.values(), *case.inputs.values()))


def test_every_exact_case_is_proven(cases: Cases) -> None:
    for case in of(cases, "exact"):
        assert case.proof is not None, case.id
        assert case.proof == prove(case), case.id
        assert 0 < case.proof.largest < 2**PRECISION, case.id


def test_every_exact_case_is_the_same_in_single_precision(cases: Cases) -> None:
    for case in of(cases, "exact"):
        single, double = (recorded(case, dtype) for dtype in ("float32", "float64"))
        assert all(np.array_equal(single[port], array) for port, array in double.items()), case.id
        if case.loss is not None:
            one, two = (gradients_of(case, dtype) for dtype in ("float32", "float64"))
            assert one.loss == two.loss, case.id
            assert all(np.array_equal(one.params[key], slope) for key, slope in two.params.items()), case.id


def recorded(case: Case, dtype: str) -> Mapping[str, Array]:
    run = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=case.record,
        dtype=dtype,
    )
    return run.recordings


def gradients_of(case: Case, dtype: str) -> Gradients:
    assert case.loss is not None
    return gradients(
        case.program,
        case.params,
        case.inputs,
        case.targets,
        case.loss,
        time_steps=case.time_steps,
        state=case.state,
        dtype=dtype,
    )


def test_what_is_not_exact_cannot_be_proven(cases: Cases) -> None:
    case = cases["exact/Linear-bias"]
    thirds: Params = {key: np.multiply(array, 1 / 3, dtype=np.float32) for key, array in case.params.items()}
    with pytest.raises(NotExact):
        prove(replace(case, params=thirds))


def test_no_rounding_changes_a_spike_where_none_may(cases: Cases) -> None:
    assert all(lively(case) and certain(case) for case in of(cases, "margin"))
    assert all(lively(case) and steady(case) for case in of(cases, "training"))


def test_near_threshold_means_near(cases: Cases) -> None:
    networks = [case for case in of(cases, "near") if case.id.startswith(("near/dense", "near/recurrent"))]
    assert len(networks) == 1 + sum(model.fire is not None for model in MODELS.values())
    assert all(delicate(case) for case in networks)


def test_cases_are_the_same_every_time(cases: Cases) -> None:
    for lazy in [*corners.cases(), *wiring.cases()]:
        before, case = cases[lazy.id], lazy.case
        assert all(np.array_equal(before.params[key], array) for key, array in case.params.items())
        assert all(np.array_equal(before.inputs[name], x) for name, x in case.inputs.items())
