"""A neuron that only this file knows: equations in, kernels out, and the reference agrees."""

from __future__ import annotations

import numpy as np
from kernel_pool import adaptive

from snnhw.ir import (
    SGD,
    CEMembrane,
    CERate,
    FrozenMap,
    Input,
    Linear,
    Loss,
    Neuron,
    Program,
    Term,
    sequential,
)
from snnhw.plugin import Run, Train
from snnhw.reference import gradients
from snnhw_cpu.plugin import CpuBackend, CpuOptions

T, B = 12, 5


def network() -> tuple[Program, dict[str, np.ndarray]]:
    own = Neuron(adaptive(), param_shapes=FrozenMap({"step": (7,)}))
    program = sequential({"x": Input((6,)), "fc": Linear(6, 7), "own": own})
    generator = np.random.default_rng(0)
    params = {
        key: generator.uniform(-1.0, 1.0, spec.shape)
        if spec.default is None
        else np.full(spec.shape, spec.default)
        for key, spec in program.params().items()
    }
    return program, params


def test_a_model_of_ones_own_runs_on_kernels_as_the_reference_says() -> None:
    program, params = network()
    x = np.random.default_rng(1).uniform(0.0, 2.0, (T, B, 6))
    job = Run(T, {"x": (6,)}, B, ("own.mem", "own.rise"), CpuOptions(dtype="float64"))
    loss = Loss((Term(CERate(), of="own.spk"), Term(CEMembrane(), of="own.mem", weight=0.5)))
    targets = np.arange(B) % 7
    found = gradients(program, params, {"x": x}, {"target": targets}, loss, time_steps=T)
    with CpuBackend().compile(program, params, job) as executable:
        ran = executable.run({"x": x})
    assert 0.05 < float(ran.outputs["output"].mean()) < 0.95
    np.testing.assert_array_equal(ran.outputs["output"], found.execution.outputs["output"])
    train = Train(T, {"x": (6,)}, B, (), CpuOptions(dtype="float64"), loss=loss, optimizer=SGD(lr=1.0))
    with CpuBackend().compile(program, params, train) as executable:
        stepped = executable.step({"x": x}, {"target": targets})
        after = executable.get_params()
    np.testing.assert_allclose(stepped.loss, found.loss, rtol=1e-12)
    for key, gradient in found.params.items():
        np.testing.assert_allclose(params[key] - after[key], gradient, rtol=1e-9, atol=1e-12, err_msg=key)
        assert np.any(gradient), key


def test_products_in_bfloat16_keep_the_loss_curve() -> None:
    program, params = network()
    generator = np.random.default_rng(2)
    batches = [(generator.uniform(0.0, 2.0, (T, 32, 6)), generator.integers(0, 7, 32)) for _ in range(4)] * 8
    loss = Loss((Term(CERate(), of="own.spk"),))
    curves = []
    for precision in ("full", "bf16"):
        options = CpuOptions(precision=precision)
        job = Train(T, {"x": (6,)}, 32, (), options, loss=loss, optimizer=SGD(lr=0.5))
        with CpuBackend().compile(program, params, job) as executable:
            curves.append([executable.step({"x": x}, {"target": y}).loss for x, y in batches])
    assert curves[0] != curves[1]  # the option does something
    assert curves[0][-1] < curves[0][0]
    # operands keep 8 bits, so a few spikes near threshold flip; the curve must not notice
    np.testing.assert_allclose(curves[1], curves[0], rtol=0.03)
