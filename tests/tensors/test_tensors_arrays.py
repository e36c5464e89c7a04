"""Arrays of any library as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from snnhw.errors import InputError
from snnhw.tensors import as_tensor


class Foreign:
    """An array of another library."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **settings: Any) -> Any:
        return self.array.__dlpack__(**settings)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def test_memory_is_shared_where_that_can_be() -> None:
    tensor, array = torch.zeros(2), np.zeros(2, np.float32)
    assert as_tensor("input", "x", tensor) is tensor
    as_tensor("input", "x", array)[0] = 1.0
    as_tensor("input", "x", Foreign(array))[1] = 2.0
    assert array.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "array",
    [
        np.broadcast_to(np.float32(1.0), (2, 3)),  # read-only
        np.arange(6.0).reshape(2, 3)[::-1, ::-1],  # backwards
        np.arange(6.0).reshape(3, 2).T,
        np.float32(2.5),
        np.ones((2, 2), bool),
    ],
    ids=["read-only", "backwards", "transposed", "scalar", "bool"],
)
def test_any_numpy_array_will_do(array: Any) -> None:
    np.testing.assert_array_equal(as_tensor("input", "x", array).numpy(), array)


@pytest.mark.parametrize(
    "given", [[1.0, 2.0], "x", np.array(["a"]), None], ids=["list", "str", "words", "None"]
)
def test_what_is_no_array(given: Any) -> None:
    with pytest.raises(InputError) as caught:
        as_tensor("target", "digit", given)
    kind = type(given).__name__
    assert str(caught.value).startswith(
        f"target 'digit' is a {kind} that torch cannot read; give a torch tensor, a NumPy array, or another"
    )
