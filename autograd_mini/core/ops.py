"""The table: every op of the core, each declared once, with its derivative.

Read a line as: forward, how it is written, and how a cotangent ``g`` of its output comes back to
each operand.  In the rules ``y`` is the output and ``like`` what has the operand's shape and dtype.
Where rules use other functions of this file, those are ops too, so every derivative can be
differentiated again.
"""

from __future__ import annotations

import math
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..border import operand
from .graph import Array, unbroadcast
from .primitive import composite, elementwise, primitive
from .tensor import ndarray

Axis = int | tuple[int, ...] | None


def zero(g: Array) -> Array:
    """The rule of a function that is constant wherever it has a derivative."""
    return np.zeros_like(g)


# fmt: off
# This file is a table and reads as one, so the formatter leaves it alone.

# ---- arithmetic ---------------------------------------------------------------------------------

add      = elementwise(np.add,         r"$a + $b",       "$a + $b", a=lambda g: g, b=lambda g: g)
subtract = elementwise(np.subtract,    r"$a - $b",       "$a - $b", a=lambda g: g, b=lambda g: -g)
multiply = elementwise(np.multiply,    r"$a \odot $b",   "$a * $b", a=lambda g, b: g * b,
                                                                    b=lambda g, a: g * a)
divide   = elementwise(np.true_divide, r"\frac{$a}{$b}", "$a / $b", a=lambda g, b: g / b,
                                                                    b=lambda g, b, y: -g * y / b)
negative = elementwise(np.negative,    r"-$x",           "-$x",     x=lambda g: -g)
square   = elementwise(np.square,      r"{$x}^2",        "$x**2",   x=lambda g, x: g * (2 * x))
# none of something infinite is nothing: a**0 is constant, also where a**(0 - 1) overflows
none_of  = elementwise(lambda a, b: a * np.where(a == 0, 0, b), r"$a \odot $b", "$a * $b",
                       name="none_of", a=lambda g, b: g * b, b=lambda g, a: g * a)
# at a = 0 these take a**0 as the constant 1 and a**b as the constant 0, not 0 * inf
power    = elementwise(np.power,       r"{$a}^{$b}",     "$a**$b",
                       a=lambda g, a, b: g * none_of(b, (a + ((a == 0) & (b == 0))) ** (b - 1)),
                       b=lambda g, a, y: g * y * np.log(np.ones_like(y) * (a + (a == 0))))

# ---- functions of one number --------------------------------------------------------------------
# Their kin are in numpy_functions.py, with the trigonometric ones.

sqrt     = elementwise(np.sqrt,        r"\sqrt{$x}",     x=lambda g, y: g / (2 * y))
exp      = elementwise(np.exp,         r"e^{$x}",        x=lambda g, y: g * y)
log      = elementwise(np.log,         r"\log $x",       x=lambda g, x: g / x)
tanh     = elementwise(np.tanh,        r"\tanh $x",      x=lambda g, y: g * (1 - np.square(y)))

# ---- kinks and steps ----------------------------------------------------------------------------
# At a tie both operands get half: a subgradient, and the same whichever comes first.  It is the
# slope of neither side, so a tie has no second derivative: nan, where a number would be invented.


def jump(g: Array, at: Array) -> Array:
    """The rule of a step: zero, and nan where the step is."""
    return g * np.where(at, np.nan, 0).astype(g.dtype)  # linear in g, as `jvp` wants it


slope    = elementwise(lambda x: np.sign(x), r"\mathrm{sgn} $x", "np.sign", name="sign",
                       x=lambda g, x: jump(g, x == 0), analytic=False)
larger   = elementwise(lambda a, b: np.where(a == b, 0.5, a > b).astype(np.result_type(a, b)),
                       r"([$a > $b] + \tfrac12 [$a = $b])", "np.where($a == $b, 0.5, $a > $b)",
                       name="larger", analytic=False, a=lambda g, a, b: jump(g, a == b),
                                                      b=lambda g, a, b: jump(g, a == b))
absolute = elementwise(np.absolute, r"|$x|", "np.abs",   analytic=False,
                       x=lambda g, x: g * slope(x))
sign     = elementwise(np.sign,     r"\mathrm{sgn} $x",  x=zero, analytic=False)
maximum  = elementwise(np.maximum,  r"\max($a, $b)",     analytic=False,
                       a=lambda g, a, b: g * larger(a, b), b=lambda g, a, b: g * larger(b, a))
minimum  = elementwise(np.minimum,  r"\min($a, $b)",     analytic=False,
                       a=lambda g, a, b: g * larger(b, a), b=lambda g, a, b: g * larger(a, b))

zeros_like, ones_like = [
    primitive(number, numpy=function, name=function.__name__, kind="constant")(kernel)
    for number, function, kernel in (("0", np.zeros_like, lambda x: np.zeros_like(x)),
                                     ("1", np.ones_like, lambda x: np.ones_like(x)))]

# ---- comparison: no gradient --------------------------------------------------------------------

for _ufunc, *_templates in (
    (np.greater, "$a > $b", "($a > $b)"),  (np.greater_equal, r"$a \ge $b", "($a >= $b)"),
    (np.less, "$a < $b", "($a < $b)"),     (np.less_equal, r"$a \le $b", "($a <= $b)"),
    (np.equal, "$a = $b", "($a == $b)"),   (np.not_equal, r"$a \ne $b", "($a != $b)"),
):
    globals()[_ufunc.__name__] = elementwise(_ufunc, *_templates, analytic=False)


@primitive(r"[$condition]\, $a + [\lnot $condition]\, $b", numpy=np.where, kind="elementwise",
           a=lambda g, condition: np.where(condition, g, 0),
           b=lambda g, condition: np.where(condition, 0, g))
def where(condition: Array, a: Array, b: Array) -> Array:
    """Choose from ``a`` where ``condition`` holds, else from ``b``."""
    return np.where(condition, a, b)


# ---- reductions ---------------------------------------------------------------------------------


def sum_along(x: Array, axis: Axis, keepdims: bool) -> Array:
    """`np.sum`, by the shorter way where there is one."""
    reduce: Any = np.add.reduce if isinstance(x, ndarray) else np.sum
    return reduce(x, axis=axis, keepdims=keepdims)


def max_along(x: Array, axis: Axis, keepdims: bool) -> Array:
    """`np.max`, likewise."""
    reduce: Any = np.maximum.reduce if isinstance(x, ndarray) else np.max
    return reduce(x, axis=axis, keepdims=keepdims)


def normalized(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction as a tuple of non-negative numbers; NumPy takes 0 for a number."""
    return tuple(range(ndim)) if axis is None or not ndim else normalize_axis_tuple(axis, ndim)


def count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements a reduction takes together."""
    return math.prod([shape[i] for i in normalized(axis, len(shape))])


def restored(g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """Put back, with length 1, the axes that a reduction of a shape has removed."""
    if keepdims:
        return g
    gone = normalized(axis, len(shape))
    return g.reshape(tuple([1 if i in gone else n for i, n in enumerate(shape)]))


def shared(g: Array, x: Array, y: Array, axis: Axis, keepdims: bool) -> Array:
    """The rule of an extreme: those who attain it share the cotangent equally."""
    attained = (x == restored(y, x.shape, axis, keepdims)).astype(x.dtype)
    share = attained / reduce_sum(attained, axis=axis, keepdims=True)
    return restored(g, x.shape, axis, keepdims) * share


@primitive(r"\textstyle\sum $x", name="sum", numpy=np.sum, kind="reduction",
           x=lambda g, like, axis, keepdims:
           broadcast_to(restored(g, like.shape, axis, keepdims), shape=like.shape))  # type: ignore[has-type]
def reduce_sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over axes."""
    return sum_along(x, axis, keepdims)


@primitive(r"\max $x", name="max", numpy=np.max, kind="reduction", analytic=False, x=shared)
def reduce_max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest element along axes."""
    return max_along(x, axis, keepdims)


@primitive(r"\min $x", name="min", numpy=np.min, kind="reduction", analytic=False, x=shared)
def reduce_min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element along axes."""
    return np.min(x, axis=axis, keepdims=keepdims)


# ---- products of matrices -----------------------------------------------------------------------


def mirrored(x: Array) -> Array:
    """Matrices transposed."""
    return x.mT if isinstance(x, ndarray) else np.swapaxes(x, -1, -2)


matrix_product = primitive(
    r"$a\, $b", "$a @ $b", kind="product",
    a=lambda g, b, like: unbroadcast(g @ mirrored(b), like.shape),
    b=lambda g, a, like: unbroadcast(mirrored(a) @ g, like.shape))(np.matmul)


# ---- shapes -------------------------------------------------------------------------------------


@primitive("$x", "$x.reshape($shape)", numpy=np.reshape, kind="reshape",
           x=lambda g, like: g.reshape(like.shape))
def reshape(x: Array, *, shape: int | tuple[int, ...]) -> Array:
    """The same elements in another shape."""
    return x.reshape(shape)


def permuted(x: Array, axes: tuple[int, ...] | None) -> Array:
    """`np.transpose`, by the shorter way where there is one."""
    return x.transpose(axes) if isinstance(x, ndarray) else np.transpose(x, axes)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order of axes that undoes this one."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@primitive("$x^T", "$x.T", numpy=np.transpose, kind="permutation",
           x=lambda g, axes: permuted(g, axes and inverse(normalized(axes, g.ndim))))
def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    """The axes in another order, by default reversed."""
    return permuted(x, axes)


@primitive("$x", numpy=np.broadcast_to, kind="broadcast",
           x=lambda g, like: unbroadcast(g, like.shape))
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """Repeat along axes of length 1, and along new ones in front."""
    return np.broadcast_to(x, shape)


@primitive("$x", numpy=np.copy, kind="copy", x=lambda g: g)
def copy(x: Array) -> Array:
    """The same values in an array of their own."""
    return x.copy()


# ---- joining and indexing -----------------------------------------------------------------------


def block(i: int, likes: Any, axis: int) -> tuple[slice, ...]:
    """Where the i-th operand lies in the concatenation of all."""
    return (slice(None),) * (axis % len(likes.starts)) + (slice(*likes.starts[axis][i : i + 2]),)


@primitive(r"[$xs]", "np.concatenate(($xs,), axis=$axis)", name="concatenate", kind="join",
           xs=lambda g, i, likes, axis: g[block(i, likes, axis)])
def join(*xs: Array, axis: int) -> Array:
    """Arrays one after the other along an axis."""
    return np.concatenate(xs, axis)


BASIC = int | np.generic | slice | EllipsisType | None


def as_index(i: Any) -> Array:
    """A sequence in a key as an index array: an empty list is one of integers."""
    return operand(i) if hasattr(i, "dtype") else np.asarray(i, None if np.size(i) else int)


class Index:
    """Stands in a key for an index array, which is an operand."""


def filled(key: Any, indices: tuple[Array, ...]) -> Any:
    """A key with its index arrays put in."""
    if not indices:
        return key
    rest = iter(indices)
    return tuple([next(rest) if part is Index else part for part in key])


@primitive("$x[$indices]", "$x[$indices]", kind="index", x=lambda g, indices, key, like:
           scatter(g, *indices, key=key, shape=like.shape))  # type: ignore[has-type]
def getitem(x: Array, *indices: Array, key: Any) -> Array:
    """The elements at a key, in which `Index` stands for each of the index arrays."""
    return x[filled(key, indices)]


@primitive(r"\mathrm{scatter}($x, [$indices])", kind="scatter",
           x=lambda g, indices, key: getitem(g, *indices, key=key))
def scatter(x: Array, *indices: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of a shape, with ``x`` added at a key: the adjoint of `getitem`."""
    y = np.zeros_like(x, shape=shape)
    if all(index.dtype == bool for index in indices):  # each element occurs at most once
        y[filled(key, indices)] = x
    else:
        np.add.at(y, filled(key, indices), x)
    return y


@composite(ndarray.__getitem__)
def index(x: Array, key: Any) -> Array:
    """``x[key]`` with any key that NumPy takes."""
    parts = key if isinstance(key, tuple) else (key,)
    if all(isinstance(part, BASIC) for part in parts):
        return getitem(x, key=key)
    arrays = [as_index(part) for part in parts if not isinstance(part, BASIC)]
    pattern = [part if isinstance(part, BASIC) else Index for part in parts]
    return getitem(x, *arrays, key=tuple(pattern))


# ---- dtypes -------------------------------------------------------------------------------------

@primitive("$x", "$x.astype($dtype)", name="astype", kind="cast", analytic=False, x=lambda g: g)
def convert(x: Array, *, dtype: np.dtype[Any]) -> Array:
    """The values in another dtype."""
    return x.astype(dtype)
