"""What the emitted text and the machine code hold, and what they must not."""

from __future__ import annotations

import re

import pytest
from kernel_pool import POOL, Pooled

from snnhw.ir import FrozenMap, Neuron, Param, model, variables
from snnhw.passes import Request, ScanKernel, backward_loop, derive, forward_loop
from snnhw_cpu.kernel import compiled
from snnhw_cpu.numba_source import source


def kernel_of(pooled: Pooled) -> ScanKernel:
    layouts = {name: "neuron" for name, value in pooled.params.items() if value == "neuron"}
    return derive(
        pooled.step,
        Request(
            outputs=pooled.outputs,
            adjoints=pooled.outputs,
            static=pooled.static,
            input_grads=frozenset(pooled.step.ports),
            param_grads=pooled.train,
            layouts=FrozenMap(layouts),  # type: ignore[arg-type]  # the literal is meant
        ),
    )


def forward_source(kernel: ScanKernel, dtype: str = "float32") -> str:
    return source(forward_loop(kernel), dtype)


def backward_source(kernel: ScanKernel, dtype: str = "float32") -> str:
    return source(backward_loop(kernel), dtype)


def machine_code(source: str, name: str) -> tuple[str, str]:
    """Assembly and LLVM IR of a source compiled afresh, since cached code shows neither."""
    space: dict[str, object] = {"__name__": "fresh"}
    exec(compile(source, name, "exec"), space)
    function = space[name].function  # type: ignore[attr-defined]  # numba's
    return function._library.get_asm_str(), function.inspect_llvm()


@pytest.mark.parametrize("name", ["leaky", "synaptic"])
def test_no_multiplication_is_fused_with_an_addition(name: str) -> None:
    """P1: a fused multiply-add rounds once where the language rounds twice."""
    for text, kind in ((forward_source, "forward"), (backward_source, "backward")):
        assembly, _ = machine_code(text(kernel_of(POOL[name])), kind)
        assert "mul" in assembly
        assert not re.search(r"\bv?f(n?m)(add|sub)", assembly)


def test_a_float32_kernel_computes_nothing_in_float64() -> None:
    """P12: one bare literal would widen everything after it."""
    _, code = machine_code(forward_source(kernel_of(POOL["leaky"])), "forward")
    assert re.search(r"fmul float|fmul <\d+ x float>", code)
    assert not re.search(r"f(mul|add|sub|div) double", code)


def test_the_inner_loop_is_vector_code() -> None:
    assembly, _ = machine_code(backward_source(kernel_of(POOL["leaky"])), "backward")
    assert re.search(r"v?(mul|fmul)\w*ps|fmul\s+v\d+\.4s", assembly)


def test_no_name_that_a_user_chose_reaches_the_code() -> None:
    """P11: names are only ever looked up."""
    import_os, beta, x = variables("import_os __import__ eval_x")
    odd = model(
        "Odd",
        states="import_os",
        params=(Param("__import__", 0.5), Param("threshold", 1.0)),
        integrate={"import_os": beta * import_os + x},
        fire=import_os - variables("threshold")[0],
        membrane="import_os",
        ports=("eval_x",),
    )
    pooled = Pooled(
        Neuron(odd).equations(), {"__import__": 0.5, "threshold": 1.0}, train=frozenset({"__import__"})
    )
    kernel = kernel_of(pooled)
    for text in (forward_source(kernel), backward_source(kernel)):
        assert not re.search(r"import_os|__import__|eval_x|threshold|Odd", text)


def test_names_do_not_change_the_code() -> None:
    def named(state: str, port: str) -> str:
        mem, x, threshold = variables(f"{state} {port} threshold")
        neuron = model(
            "Any",
            states=state,
            params=(Param("threshold", 1.0),),
            integrate={state: 0.5 * mem + x},
            fire=mem - threshold,
            membrane=state,
            ports=(port,),
        )
        return backward_source(kernel_of(Pooled(Neuron(neuron).equations(), {"threshold": 1.0})))

    assert named("mem", "x") == named("u", "drive")


def test_a_kernel_takes_addresses_and_gives_nothing() -> None:
    kernel = compiled(forward_source(kernel_of(POOL["leaky"])), "forward")
    with pytest.raises(TypeError, match="this function takes at least"):
        kernel.call(0, 0)
