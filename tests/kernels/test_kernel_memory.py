"""Large buffers come back when nothing looks at them any more, and never before."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from snnhw_cpu import memory
from snnhw_cpu.limits import USUAL
from snnhw_cpu.memory import SPARE

FLOATS = USUAL.reuse // 4


def room(*shape: int, dtype: torch.dtype) -> Tensor:
    return memory.empty(*shape, dtype=dtype, reuse=USUAL.reuse)


@pytest.fixture(autouse=True)
def nothing_idle() -> None:
    memory._IDLE.clear()


def test_a_buffer_is_used_again_once_the_last_view_of_it_is_gone() -> None:
    whole = room(4, FLOATS, dtype=torch.float32)
    address = whole.data_ptr()
    view = whole[1:].t()
    del whole
    assert room(4, FLOATS, dtype=torch.float32).data_ptr() != address
    del view
    assert room(4, FLOATS, dtype=torch.float32).data_ptr() == address


def test_an_array_over_the_tensor_keeps_the_buffer() -> None:
    array = room(FLOATS, dtype=torch.float32).fill_(1.0).numpy()
    room(FLOATS, dtype=torch.float32).fill_(2.0)
    assert (array == 1.0).all()


def test_a_graph_keeps_the_buffer() -> None:
    leaf = torch.ones(FLOATS, requires_grad=True)
    factor = room(FLOATS, dtype=torch.float32).fill_(3.0)
    y = leaf * factor
    del factor
    room(FLOATS, dtype=torch.float32).fill_(5.0)
    y.sum().backward()
    assert leaf.grad is not None
    assert (leaf.grad == 3.0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_place(dtype: torch.dtype) -> None:
    for shape in ((), (3, 0), (3, 5), (2, 3, 300_001)):
        x = room(*shape, dtype=dtype)
        assert (x.shape, x.dtype, x.is_contiguous()) == (shape, dtype, True)
        assert x.data_ptr() % 64 == 0 or not x.numel()
        assert x.untyped_storage().nbytes() == x.nbytes  # or a saved tensor would carry more than its own


def test_who_asks_says_how_large_a_buffer_must_be_to_come_back() -> None:
    for reuse, found in ((0, [12]), (13, [])):
        memory._IDLE.clear()
        memory.empty(3, dtype=torch.float32, reuse=reuse)
        assert [size for size, buffers in memory._IDLE.items() for _ in buffers] == found


def test_what_lies_idle_is_bounded() -> None:
    held = [room(SPARE // 4 + 1000 * n, dtype=torch.uint8) for n in range(9)]
    held.clear()
    assert sum(buffer.nbytes for buffers in memory._IDLE.values() for buffer in buffers) <= SPARE * 1.01


def test_threads_never_share_a_buffer() -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            mine = room(FLOATS, dtype=torch.float32).fill_(number)
            if not (mine == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
