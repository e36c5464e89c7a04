"""A user's function of a gradient, traced into an expression: it is called once, on stand-ins for tensors.

A stand-in is an expression, or an expression times the incoming gradient; what would be neither, since it
is not linear in the gradient or not pointwise, is refused there and then, so that the line is known.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping
from functools import partial, partialmethod
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from torch import Tensor

from snnhw.errors import InputError, SnnhwError
from snnhw.ir import Expr, const, evaluate, expr, greater, heaviside, maximum, minimum, var, where
from snnhw.tensors.namespace import torch_namespace
from snnhw.words import brief

__all__ = ["Untraceable", "place", "trace"]

ZERO: Final = const(0.0)
MOST: Final = 8  # the highest power written out as products


class Untraceable(SnnhwError):
    """The function is no expression times the gradient; says why, and on which line."""


def trace(function: Callable[..., Any]) -> Expr:
    """f, an expression of ``z``, where ``function(z, grad, spikes)`` is ``grad * f(z)``.

    Raises:
        Untraceable: it is not of that form.
        InputError: it reads a tensor that requires a gradient.
    """
    z = var("z")
    try:
        found = function(TracedTerm(z), TracedTerm(const(1.0), graded=True), TracedTerm(heaviside(z)))
    except InputError:
        raise
    except Exception as error:
        raise Untraceable(f"{_line(function, error)}{_words(error)}") from error
    if not isinstance(found, TracedTerm) or not (found.graded or found.value is ZERO):
        raise Untraceable(f"what it returns, {brief(found)}, is not a multiple of the gradient")
    if not _agrees(function, found.value):
        raise Untraceable("called on tensors it gives other numbers than its operations say")
    return found.value


def place(function: Any) -> str:
    """The function's name, and the file and line where it stands."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    code = getattr(function, "__code__", None)
    return f"{name} ({Path(code.co_filename).name}, line {code.co_firstlineno})" if code else name


def _line(function: Any, error: BaseException) -> str:
    """``"file.py, line 3, 'x = ...': "``: where in the function the error arose."""
    code, found = getattr(function, "__code__", None), ""
    step = error.__traceback__
    while code is not None and step is not None:
        if step.tb_frame.f_code is code:
            text = linecache.getline(code.co_filename, step.tb_lineno).strip()
            found = f"{Path(code.co_filename).name}, line {step.tb_lineno}, {text!r}: "
        step = step.tb_next
    return found


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, SnnhwError) else f"{type(error).__name__}: {error}"


def _agrees(function: Callable[..., Any], slope: Expr) -> bool:
    """Whether the function does on tensors what its trace says."""
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    grad, spikes = torch.linspace(1, 3, 9, dtype=torch.float64), (z > 0).double()
    (factor,) = evaluate([slope], {"z": z}, torch_namespace(z.dtype, z.device))
    try:
        with torch.no_grad():
            found = function(z.clone(), grad.clone(), spikes)
    except Exception:  # noqa: BLE001  # any failure of a stranger's function: then it does not agree
        return False
    wanted = grad * factor
    same = isinstance(found, Tensor) and found.shape == wanted.shape
    return same and torch.allclose(found.double(), wanted, rtol=1e-5, atol=1e-12, equal_nan=True)


class TracedTerm:
    """Stands for a tensor: ``value``, times the incoming gradient where ``graded``."""

    dtype = device = None  # what `to` is given, and passes over

    def __init__(self, value: Expr, *, graded: bool = False) -> None:
        self.value, self.graded = value, graded

    @classmethod
    def __torch_function__(cls, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func.__name__, *args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(_call, name, self) if name in RULES else _refuse(f"'{name}' of a tensor")

    def __repr__(self) -> str:
        return f"gradient * ({self.value!r})" if self.graded else repr(self.value)

    def __eq__(self, other: object) -> Any:
        return _call("eq", self, other)

    def __ne__(self, other: object) -> Any:
        return _call("ne", self, other)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise Untraceable("it chooses by what a tensor holds")

    def __getitem__(self, _: object) -> NoReturn:
        _refuse("indexing")

    def __setitem__(self, _: object, __: object) -> None:
        _refuse("writing into a tensor")

    def __float__(self) -> float:
        _refuse("taking a number out of a tensor")


def _refuse(what: str) -> NoReturn:
    raise Untraceable(f"{what} is not among the pointwise operations that are known")


def _call(name: str, *args: Any, **kwargs: Any) -> TracedTerm:
    inplace = name.endswith("_") and not name.endswith("__")
    rule = None if inplace else RULES.get(name.strip("_"))
    if rule is None:
        _refuse(f"'{name}'")
    try:
        return rule(*args, **kwargs)
    except TypeError as error:
        raise Untraceable(f"'{name}' is called in a way that is not known: {error}") from error


def _term(given: Any) -> TracedTerm:
    """A stand-in for anything that an operation takes as a number."""
    if isinstance(given, TracedTerm):
        return given
    if isinstance(given, Tensor):
        if given.requires_grad:
            raise InputError(
                "a custom surrogate reads a tensor that requires a gradient, and none would reach it; use "
                "a number (tensor.item()), or write the whole as a torch.autograd.Function of both"
            )
        if given.numel() != 1:
            raise Untraceable(f"it reads a tensor of shape {tuple(given.shape)}, which is no number")
        given = given.item()
    if not isinstance(given, (int, float)):
        raise Untraceable(f"{brief(given)} is no number")
    return TracedTerm(const(float(given)))


def _free(*given: Any) -> list[Expr]:
    """The expressions of terms that must not hold the gradient."""
    terms = [_term(item) for item in given]
    if any(term.graded for term in terms):
        raise Untraceable("it is not linear in the gradient")
    return [term.value for term in terms]


def _both(first: Any, second: Any) -> tuple[TracedTerm, TracedTerm, bool]:
    """Two terms that may be added or chosen between: both hold the gradient or neither does; 0 is either."""
    a, b = _term(first), _term(second)
    if a.graded != b.graded and (b if a.graded else a).value is not ZERO:
        raise Untraceable("it adds the gradient to, or replaces it by, what is no multiple of it")
    return a, b, a.graded or b.graded


def _plain(function: Callable[..., Expr]) -> Callable[..., TracedTerm]:
    return lambda *args: TracedTerm(function(*_free(*args)))


def _same(given: Any, *_: Any, **__: Any) -> TracedTerm:
    return _term(given)


def _constant(value: float) -> Callable[..., TracedTerm]:
    return lambda *_, **__: TracedTerm(const(value))


def _add(first: Any, second: Any) -> TracedTerm:
    a, b, graded = _both(first, second)
    return TracedTerm(a.value + b.value, graded=graded)


def _sub(first: Any, second: Any) -> TracedTerm:
    a, b, graded = _both(first, second)
    return TracedTerm(a.value - b.value, graded=graded)


def _mul(first: Any, second: Any) -> TracedTerm:
    a, b = _term(first), _term(second)
    if a.graded and b.graded:
        raise Untraceable("it is not linear in the gradient")
    return TracedTerm(a.value * b.value, graded=a.graded or b.graded)


def _div(first: Any, second: Any) -> TracedTerm:
    a, (b,) = _term(first), _free(second)
    return TracedTerm(a.value / b, graded=a.graded)


def _neg(given: Any) -> TracedTerm:
    term = _term(given)
    return TracedTerm(-term.value, graded=term.graded)


def _where(condition: Any, first: Any, second: Any) -> TracedTerm:
    (chosen,) = _free(condition)
    a, b, graded = _both(first, second)
    return TracedTerm(where(greater(abs(chosen), 0.0), a.value, b.value), graded=graded)


def _pow(given: Any, exponent: Any) -> TracedTerm:
    base, power = _free(given, exponent)
    if power.op != "const":
        _refuse("a power whose exponent is a tensor")
    number = float(power.data or 0.0)
    if number == 0.5:
        return TracedTerm(expr.sqrt(base))
    if not number.is_integer() or not 1 <= abs(number) <= MOST:
        _refuse(f"the power {number:g}")
    product = base
    for _ in range(int(abs(number)) - 1):
        product = product * base
    return TracedTerm(product if number > 0 else 1.0 / product)


def _clamp(given: Any, min: Any = None, max: Any = None) -> TracedTerm:  # noqa: A002  # torch's names
    (x,) = _free(given)
    x = x if min is None else maximum(x, _free(min)[0])
    return TracedTerm(x if max is None else minimum(x, _free(max)[0]))


def _is(condition: Expr) -> Expr:
    return where(condition, 1.0, 0.0)


def _is_not(condition: Expr) -> Expr:
    return where(condition, 0.0, 1.0)


def _equal(a: Expr, b: Expr) -> Expr:
    return where(greater(a, b), 0.0, _is_not(greater(b, a)))


def _named(rule: Callable[..., TracedTerm], names: str) -> dict[str, Callable[..., TracedTerm]]:
    return dict.fromkeys(names.split(), rule)


RULES: Final[Mapping[str, Callable[..., TracedTerm]]] = {
    **_named(_same, "clone detach contiguous float double half bfloat16 to type type_as"),
    **_named(_constant(0.0), "zeros_like"),
    **_named(_constant(1.0), "ones_like"),
    **_named(lambda _, value, **__: _term(value), "full_like"),
    **_named(_add, "add radd"),
    **_named(_sub, "sub subtract"),
    **_named(lambda a, b: _sub(b, a), "rsub"),
    **_named(_mul, "mul multiply rmul"),
    **_named(_div, "div divide truediv true_divide"),
    **_named(lambda a, b: _div(b, a), "rdiv rtruediv"),
    **_named(_neg, "neg negative"),
    **_named(_pow, "pow"),
    **_named(_where, "where"),
    **_named(lambda x, mask, value: _where(mask, value, x), "masked_fill"),
    **_named(_clamp, "clamp clip"),
    **_named(_plain(expr.abs_), "abs absolute"),
    **_named(_plain(expr.atan), "atan arctan"),
    **_named(_plain(expr.sigmoid), "sigmoid special_expit expit"),
    **{name: _plain(getattr(expr, name)) for name in ("exp", "log", "sqrt", "tanh")},
    **_named(_plain(expr.floor), "floor"),
    **_named(_plain(minimum), "minimum"),
    **_named(_plain(maximum), "maximum"),
    **_named(lambda x, **_: _clamp(x, 0.0), "relu"),
    **_named(_plain(lambda x: x * x), "square"),
    **_named(_plain(lambda x: 1.0 / x), "reciprocal"),
    **_named(_plain(lambda x: where(greater(x, 0.0), 1.0, where(greater(0.0, x), -1.0, 0.0))), "sign sgn"),
    **_named(_plain(lambda x: (expr.exp(x) + expr.exp(-x)) * 0.5), "cosh"),
    **_named(_plain(lambda a, b: _is(greater(a, b))), "gt greater"),
    **_named(_plain(lambda a, b: _is(greater(b, a))), "lt less"),
    **_named(_plain(lambda a, b: _is_not(greater(b, a))), "ge greater_equal"),
    **_named(_plain(lambda a, b: _is_not(greater(a, b))), "le less_equal"),
    **_named(_plain(_equal), "eq"),
    **_named(_plain(lambda a, b: 1.0 - _equal(a, b)), "ne not_equal"),
    **_named(_plain(lambda x: 1.0 - _equal(x, ZERO)), "bool"),
    **_named(_plain(lambda x: _equal(x, ZERO)), "invert logical_not"),
    **_named(_plain(lambda a, b: a * b), "and logical_and"),
    **_named(_plain(maximum), "or logical_or"),
}
"""An operation of torch, by its name -> what it does to stand-ins. Comparisons give 1.0 and 0.0."""

_OPERATORS: Final = "add radd sub rsub mul rmul truediv rtruediv neg abs pow gt lt ge le invert and or"
for _name in _OPERATORS.split():
    setattr(
        TracedTerm, f"__{_name}__", partialmethod(lambda self, name, *args: _call(name, self, *args), _name)
    )
