"""Kernels are compiled to machine code, and it is read: nothing here is run. A part; all with slow tests."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from cuda_calls import WITH_TRITON

from snnhw.ir import MODELS, Input, Linear, Neuron, Op, sequential
from snnhw.plugin import Run
from snnhw_cuda.limits import USUAL
from snnhw_cuda.options import CudaOptions

if TYPE_CHECKING:
    from snnhw.passes import ScanLoop
    from snnhw_cuda.reading import Reading

pytestmark = WITH_TRITON

ROUNDED = {"div", "sqrt", ""}
"""Functions that are fused multiply-adds in the hardware, whose result is rounded once; ``""`` are what the
assembler has for operands at the ends of the range."""

LIBRARY = {"exp", "log"}
"""Those that in float64 are NVIDIA's, which fuses within them."""


def reading(
    loop: ScanLoop, target: str, *, dtype: str = "float32", signals: str = "full", aligned: bool = True
) -> Reading:
    from snnhw_cuda.ahead import kernel_code
    from snnhw_cuda.reading import read

    sizes = {"group": USUAL.group, "block": USUAL.block}
    code = kernel_code(loop, target, dtype=dtype, signals=signals, aligned=aligned, **sizes)
    return read(code, loop, USUAL.group)


def faults(found: Reading, loop: ScanLoop, dtype: str = "float32", *, aligned: bool = True) -> list[str]:
    """What a kernel should not be, in words."""
    from snnhw_cuda.ahead import NVIDIA
    from snnhw_cuda.traffic import grouped, traffic

    wrong = [f"{found.spilled} bytes are spilled"] if found.spilled else []
    if found.code.target not in NVIDIA:
        return wrong
    size, signal = found.code.itemsize, found.code.signal
    inlined = {loop.name} if re.search(r"\b(div|sqrt)\.rn\.f", found.code.text) else set()  # calls of those
    fused = set(found.fused or ()) - ROUNDED - inlined - (LIBRARY if size == 8 else set())
    wrong += [f"fused in {name}" for name in fused]
    ptx = {"div.full", "approx", ".ftz", *(["fma."] if size == 4 else [])}
    wrong += [f"{word} in the PTX" for word in ptx if word in found.code.text]
    for loop_ in found.loops:
        said = loop_.said
        if said.loop in {"begins", "chunk"} and loop_.signals < said.signals * signal:
            continue  # what nothing needs of states that are computed again is left out
        if (loop_.signals, loop_.kept) != (said.signals * signal, said.kept * size):
            wrong.append(f"{loop_} bytes are moved, not {said}")
        narrowest = signal if said.signals else size
        if loop_.width != (min(16, 4 * narrowest) if aligned else narrowest):
            wrong.append(f"{said.loop} moves {loop_.width} bytes at once")
        if said.loaded and loop_.ahead < grouped(loop, dtype, USUAL.group):
            wrong.append(f"{said.loop} loads {loop_.ahead:g} steps before the first store")
    moving = {said for said in traffic(loop) if said.signals or said.kept}
    wrong += [f"no {said.loop} was found" for said in moving - {each.said for each in found.loops}]
    return wrong


def waits(found: Reading, loop: ScanLoop, dtype: str = "float32") -> list[str]:
    """Whether a thread waits for something before a whole group of steps is loaded."""
    from snnhw_cuda.traffic import grouped

    wanted = {0, grouped(loop, dtype, USUAL.group)}
    return [] if found.flight in wanted else [f"{found.flight:g} steps are in flight"]


def test_states_that_no_step_backwards_reads_are_not_kept() -> None:
    from cuda_loops import of_the_pool

    from snnhw_cuda.traffic import needed, traffic

    assert {name: needed(of_the_pool(name)[1]) for name in ("synaptic", "synaptic-fixed", "linear")} == {
        "synaptic": [0, 1],
        "synaptic-fixed": [1],
        "linear": [],
    }
    assert [each.loop for each in traffic(of_the_pool("linear")[1])] == ["back"]  # nothing is computed again


# -- a part ----------------------------------------------------------------------------------------------

QUICK = (
    ("leaky", "float32", False),
    ("synaptic", "float64", True),
    ("leaky-quantised", "float32", True),
    ("pointwise", "float32", True),
)
"""Scan, what it computes in, and whether rows align; others are what `test_cuda_page.py` shows."""


@pytest.mark.parametrize(("name", "dtype", "aligned"), QUICK)
def test_a_part_of_the_pool_is_what_it_says(name: str, dtype: str, aligned: bool) -> None:
    from cuda_loops import of_the_pool

    for loop in of_the_pool(name):
        found = reading(loop, "sm_90", dtype=dtype, aligned=aligned)
        assert faults(found, loop, dtype, aligned=aligned) == []
        assert name == "pointwise" or waits(found, loop, dtype) == []  # which computes more


@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_random_numbers_compile_and_stay_in_registers(target: str) -> None:
    from snnhw_cuda.ahead import NVIDIA, ahead
    from snnhw_cuda.machine import disassembled
    from snnhw_cuda.noise import BLOCK

    types = {"out": "*fp32", "count": "i32", "key0": "i64", "key1": "i64"}
    types |= dict.fromkeys(("step", "sequence", "held"), "i64")
    source = files("snnhw_cuda").joinpath("philox.py").read_text()
    code = ahead(source, "uniform", target, types=types, multiples=["out"], LIMIT=1 << 40, BLOCK=BLOCK)
    if target in NVIDIA:
        machine = disassembled(code.asm["cubin"], code.text)
        assert machine.local == 0
        assert not {"FFMA", "LDL", "STL"} & {instruction.kind for instruction in machine.instructions}
    else:
        assert re.search(r"\.vgpr_spill_count: +0\n", code.text)


def test_explain_shows_what_is_compiled_for_each_gpu() -> None:
    from snnhw_cuda.explain import TITLE
    from snnhw_cuda.plugin import CudaBackend
    from snnhw_cuda.table import HEADINGS

    layers: dict[str, Op] = {"x": Input((4,)), "fc": Linear(4, 16), "lif": Neuron(MODELS["Leaky"])}
    job = Run(8, {"x": (4,)}, 64, options=CudaOptions())
    headings, *rows = CudaBackend().explain(sequential(layers), job).tables[TITLE]
    assert headings == HEADINGS
    assert [row[:2] for row in rows] == [
        ("forward_0.py", name) for name in ("sm_80", "sm_90", "sm_100", "gfx942")
    ]
    for row in rows[:3]:
        assert row[3:] == ("0", "16", "4", "steps 8")
    assert rows[3][3:] == ("0", "-", "-", "-")
    assert all(0 < int(row[2]) <= 255 for row in rows)


# -- a reading that finds nothing would be worth nothing -------------------------------------------------


def test_a_fused_multiply_add_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from cuda_loops import of_the_pool

    from snnhw_cuda.kernel import options

    monkeypatch.setattr("snnhw_cuda.ahead.options", lambda block: options(block) | {"enable_fp_fusion": True})
    loop, _ = of_the_pool("leaky")
    assert sorted(faults(reading(loop, "sm_90"), loop)) == ["fma. in the PTX", "fused in step"]


def test_registers_that_do_not_suffice_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from cuda_loops import of_the_pool

    from snnhw_cuda.kernel import options

    monkeypatch.setattr("snnhw_cuda.ahead.options", lambda block: options(block) | {"maxnreg": 32})
    loop, _ = of_the_pool("synaptic")
    assert any("bytes are spilled" in fault for fault in faults(reading(loop, "sm_90"), loop))


def test_loads_behind_a_store_and_bytes_too_many_are_seen() -> None:
    from cuda_loops import of_the_pool

    from snnhw_cuda.ahead import kernel_code
    from snnhw_cuda.reading import read
    from snnhw_cuda.triton_source import source

    loop, _ = of_the_pool("leaky")
    single = kernel_code(loop, "sm_90", group=1, block=USUAL.block)
    assert {each.flight for each in read(single, loop, 1).loops} == {1}
    both, _ = of_the_pool("leaky-per-neuron")  # stores one signal more
    assert source(both, "float32", 4) != source(loop, "float32", 4)
    found = faults(read(kernel_code(both, "sm_90", group=4, block=512), loop, 4), loop)
    assert found == ["steps 12 bytes are moved, not Traffic(loop='steps', read=1, written=1, kept=0)"]


# -- all -------------------------------------------------------------------------------------------------

PARTS = 8
"""Of all structures, so that each is done in a few minutes."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(
    ("target", "aligned"),
    [("sm_80", True), ("sm_90", True), ("sm_90", False), ("sm_100", True), ("gfx942", True)],
)
def test_every_structure_of_the_suite_is_what_it_says(target: str, aligned: bool, part: int) -> None:
    from cuda_loops import of_the_suite

    assert len(of_the_suite()) > 400
    found = dict([*of_the_suite().items()][part::PARTS])
    readings = {name: reading(loop, target, aligned=aligned) for name, loop in found.items()}
    wrong = {name: faults(readings[name], loop, aligned=aligned) for name, loop in found.items()}
    assert {name: words for name, words in wrong.items() if words} == {}
    waiting = [name for name, loop in found.items() if readings[name].flight and waits(readings[name], loop)]
    assert len(waiting) <= len(found) / 4, waiting
