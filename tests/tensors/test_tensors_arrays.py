"""What an array may be, as a tensor and as NumPy's: the same on both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from snnhw.arrays import ACCEPTED, check_forwards, hosts
from snnhw.errors import InputError
from snnhw.tensors.arrays import as_tensor


class Foreign:
    """An array of another library."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **settings: Any) -> Any:
        return self.array.__dlpack__(**settings)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class Broken(Foreign):
    """One that fails in a way of its own."""

    def __dlpack__(self, **settings: Any) -> Any:
        raise LookupError("the other library lost it")


def as_host(what: str, name: str, array: Any) -> Any:
    return hosts(what, {name: array})[name]


WAYS = pytest.mark.parametrize("take", [as_tensor, as_host], ids=["torch", "NumPy"])

Take = Callable[[str, str, Any], Any]

X = np.arange(6.0).reshape(2, 3)


def test_memory_is_shared_where_that_can_be() -> None:
    tensor, array = torch.zeros(2), np.zeros(2, np.float32)
    assert as_tensor("input", "x", tensor) is tensor
    as_tensor("input", "x", array)[0] = 1.0
    as_tensor("input", "x", Foreign(array))[1] = 2.0
    assert array.tolist() == [1.0, 2.0]
    assert as_host("input", "x", array) is array
    for given in (tensor, Foreign(tensor)):
        assert np.shares_memory(as_host("input", "x", given), tensor.numpy())


@WAYS
@pytest.mark.parametrize(
    "array",
    [
        np.broadcast_to(np.float32(1.0), (2, 3)),
        X[::-1, ::-1],
        X.T,
        X[:, ::2],
        np.float32(2.5),
        np.ones((2, 2), bool),
        X.astype(np.float16),
        X.astype(np.int8),
        X.astype(np.uint16),
        X.astype(">f4"),
        X.astype(">i8"),
        X.astype(np.longdouble),
        X.view(np.matrix),
        np.ma.masked_array(X, mask=False),
        np.zeros((0, 3)),
    ],
    ids=[
        "read-only",
        "backwards",
        "transposed",
        "strided",
        "scalar",
        "bool",
        "float16",
        "int8",
        "uint16",
        "big-endian",
        "big-endian integers",
        "longdouble",
        "matrix",
        "masked nowhere",
        "empty",
    ],
)
def test_any_numpy_array_of_real_numbers_will_do(take: Take, array: Any) -> None:
    found = np.asarray(take("input", "x", array))
    np.testing.assert_array_equal(found, np.asarray(array))
    assert found.shape == array.shape


@WAYS
def test_an_array_in_a_file_will_do(take: Take, tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", X)
    given = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(np.asarray(take("input", "x", given)), X)


@WAYS
@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3).T,
        torch.arange(6.0, requires_grad=True),
        torch.arange(6).to(torch.uint8),
        torch.ones(3, dtype=torch.bool),
        torch.arange(6.0).to(torch.bfloat16),
        torch.arange(6.0).to(torch.float16),
        torch.arange(6.0).to(torch.float8_e5m2),
        torch.arange(6.0).expand(2, 6),
        torch.nn.Parameter(torch.ones(2)),
        torch.complex(torch.zeros(2), torch.ones(2)).conj().imag,
        torch.zeros(0, 3),
    ],
    ids=[
        "transposed",
        "with a gradient",
        "uint8",
        "bool",
        "bfloat16",
        "float16",
        "float8",
        "expanded",
        "parameter",
        "negated",
        "empty",
    ],
)
def test_any_dense_tensor_of_real_numbers_will_do(take: Take, tensor: torch.Tensor) -> None:
    found = take("input", "x", tensor)
    as_double = torch.as_tensor(found).detach().double()
    assert torch.equal(as_double, tensor.detach().double())


def nested() -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "sparse": (
        lambda: torch.eye(2).to_sparse(),
        "is a sparse or packed tensor (torch.sparse_coo)",
        "give x.to_dense()",
    ),
    "csr": (
        lambda: torch.sparse_csr_tensor([0, 1], [0], [1.0], size=(1, 1), check_invariants=True),
        "is a sparse or packed tensor (torch.sparse_csr)",
        "give x.to_dense()",
    ),
    "mkldnn": (
        lambda: torch.ones(2, 2).to_mkldnn(),
        "is a sparse or packed tensor (torch._mkldnn)",
        "give x.to_dense()",
    ),
    "complex": (
        lambda: torch.ones(2, dtype=torch.complex64),
        "holds complex numbers (torch.complex64)",
        "give the real part, or real and imaginary part as two inputs",
    ),
    "NumPy's complex": (
        lambda: np.ones(2, np.complex128),
        "holds complex numbers (complex128)",
        "give the real part, or real and imaginary part as two inputs",
    ),
    "nested": (nested, "is a nested tensor", "give torch.nested.to_padded_tensor(x, 0.0)"),
    "meta": (
        lambda: torch.ones(2, device="meta"),
        "is a tensor on the device 'meta', without values",
        "give one elsewhere",
    ),
    "objects": (
        lambda: np.array([1, None]),
        "holds Python objects (object)",
        "give numbers, such as array.astype(float)",
    ),
    "text": (lambda: np.array(["a"]), "holds text (<U1)", "give numbers, such as array.astype(float)"),
    "bytes": (lambda: np.array([b"a"]), "holds text (|S1)", "give numbers, such as array.astype(float)"),
    "dates": (
        lambda: np.array(["2020-01-01"], "datetime64[D]"),
        "holds dates (datetime64[D])",
        "give numbers, such as array.astype(float)",
    ),
    "spans": (
        lambda: np.array([1], "timedelta64[s]"),
        "holds spans of time (timedelta64[s])",
        "give numbers, such as array.astype(float)",
    ),
    "records": (
        lambda: np.zeros(2, [("a", "f4")]),
        "holds records ([('a', '<f4')])",
        "give one field of it, such as array['name']",
    ),
    "masked": (
        lambda: np.ma.masked_array(X, mask=X > 3),
        "is a masked array",
        "say what stands there, such as x.filled(0)",
    ),
}
"""Kind -> an array of it, what it is, and what to do."""


@WAYS
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_a_kind_that_no_backend_takes(take: Take, kind: str) -> None:
    made, what, instead = REFUSED[kind]
    with pytest.raises(InputError) as caught:
        take("target", "digit", made())
    assert str(caught.value) == f"target 'digit' {what}; accepted: {ACCEPTED}; {instead}"


def test_a_tensor_without_values_will_do_where_none_are_read() -> None:
    given = torch.ones(2, device="meta")
    assert as_tensor("rate", "data", given, values=False) is given


@WAYS
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_quantised_tensor_is_refused(take: Take) -> None:
    given = torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.quint8)
    with pytest.raises(InputError, match=r"'x' is a quantised tensor; accepted: .*; give x\.dequantize\(\)"):
        take("input", "x", given)


@WAYS
def test_complex_numbers_of_another_library(take: Take) -> None:
    with pytest.raises(InputError, match="input 'x' holds complex numbers"):
        take("input", "x", Foreign(np.ones(2, np.complex64)))


@WAYS
@pytest.mark.parametrize(
    "given", [[1.0, 2.0], "x", 1.5, None, {"x": 1.0}], ids=["list", "str", "number", "None", "dict"]
)
def test_what_is_no_array(take: Take, given: Any) -> None:
    with pytest.raises(InputError) as caught:
        take("target", "digit", given)
    kind = type(given).__name__
    hint = "; torch.tensor(...) makes one of it" if kind == "list" else ""
    assert str(caught.value) == f"target 'digit' is a {kind}, which is no array; give {ACCEPTED}{hint}"


@WAYS
def test_an_array_that_its_own_library_does_not_hand_over(take: Take) -> None:
    with pytest.raises(InputError) as caught:
        take("input", "x", Broken(X))
    assert str(caught.value) == (
        f"input 'x' is a Broken, which cannot be read (the other library lost it); give {ACCEPTED}"
    )


def test_memory_that_is_read_backwards_can_be_refused() -> None:
    check_forwards("input", "x", X.T)
    check_forwards("input", "x", torch.zeros(2))
    with pytest.raises(InputError) as caught:
        check_forwards("input", "x", X[::-1])
    assert str(caught.value) == (
        "input 'x' is a NumPy array that is read backwards (strides [-24, 8]), which torch cannot share; "
        "give a copy, np.ascontiguousarray(x)"
    )
