"""The table: every op of the core, each declared once, with its derivative.

Read a line as: forward, how it is written, and how a cotangent ``g`` of its output comes back to
each operand.  In the rules ``y`` is the output and ``like`` what has the operand's shape and dtype.
Where rules use other functions of this file, those are ops too, so every derivative can be
differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .graph import Array, unbroadcast
from .primitive import Operand, composite, elementwise, primitive
from .tensor import apply_binary, described, ndarray

Axis = int | tuple[int, ...] | None
LN_2, LN_10 = math.log(2), math.log(10)


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
positive = primitive(r"$x", numpy=np.positive, kind="copy", x=lambda g: g)(np.positive)

reciprocal   = elementwise(np.reciprocal,   r"\frac{1}{$x}",  x=lambda g, y: -g * np.square(y))
sqrt         = elementwise(np.sqrt,         r"\sqrt{$x}",     x=lambda g, y: g / (2 * y))
cbrt         = elementwise(np.cbrt,         r"\sqrt[3]{$x}",  x=lambda g, y: g / (3 * np.square(y)),
                           analytic=False)
# at a = 0 these take a**0 as the constant 1 and a**b as the constant 0, not 0 * inf
power        = elementwise(np.power,        r"{$a}^{$b}", "$a**$b",
                           a=lambda g, a, b: g * (b * (a + ((a == 0) & (b == 0))) ** (b - 1)),
                           b=lambda g, a, y: g * y * np.log(np.ones_like(y) * (a + (a == 0))))
remainder    = elementwise(np.remainder,    r"$a \bmod $b",   a=lambda g: g,
                           b=lambda g, a, b: -g * np.floor_divide(a, b), analytic=False)
floor_divide = elementwise(np.floor_divide, r"$a \div $b",    a=zero, b=zero, analytic=False)

# ---- exponentials, logarithms, trigonometry -----------------------------------------------------

exp     = elementwise(np.exp,     r"e^{$x}",         x=lambda g, y: g * y)
exp2    = elementwise(np.exp2,    r"2^{$x}",         x=lambda g, y: g * (LN_2 * y))
expm1   = elementwise(np.expm1,   r"e^{$x} - 1",     x=lambda g, y: g * (y + 1))
log     = elementwise(np.log,     r"\log $x",        x=lambda g, x: g / x)
log2    = elementwise(np.log2,    r"\log_2 $x",      x=lambda g, x: g / (LN_2 * x))
log10   = elementwise(np.log10,   r"\log_{10} $x",   x=lambda g, x: g / (LN_10 * x))
log1p   = elementwise(np.log1p,   r"\log(1 + $x)",   x=lambda g, x: g / (1 + x))
sin     = elementwise(np.sin,     r"\sin $x",        x=lambda g, x: g * np.cos(x))
cos     = elementwise(np.cos,     r"\cos $x",        x=lambda g, x: -g * np.sin(x))
tan     = elementwise(np.tan,     r"\tan $x",        x=lambda g, y: g * (1 + np.square(y)))
arcsin  = elementwise(np.arcsin,  r"\arcsin $x",     x=lambda g, x: g / np.sqrt((1 - x) * (1 + x)))
arccos  = elementwise(np.arccos,  r"\arccos $x",     x=lambda g, x: -g / np.sqrt((1 - x) * (1 + x)))
arctan  = elementwise(np.arctan,  r"\arctan $x",     x=lambda g, x: g / (1 + np.square(x)))
sinh    = elementwise(np.sinh,    r"\sinh $x",       x=lambda g, x: g * np.cosh(x))
cosh    = elementwise(np.cosh,    r"\cosh $x",       x=lambda g, x: g * np.sinh(x))
tanh    = elementwise(np.tanh,    r"\tanh $x",       x=lambda g, y: g * (1 - np.square(y)))
arcsinh = elementwise(np.arcsinh, r"\sinh^{-1} $x",  x=lambda g, x: g / np.sqrt(np.square(x) + 1))
arccosh = elementwise(np.arccosh, r"\cosh^{-1} $x",  x=lambda g, x: g / np.sqrt((x - 1) * (x + 1)))
arctanh = elementwise(np.arctanh, r"\tanh^{-1} $x",  x=lambda g, x: g / ((1 - x) * (1 + x)))

# ---- kinks and steps ----------------------------------------------------------------------------
# At a tie both operands get half: a subgradient, and the same whichever comes first.

absolute = elementwise(np.absolute, r"|$x|", "np.abs", analytic=False,
                       x=lambda g, x: g * np.sign(x))
sign     = elementwise(np.sign,     r"\mathrm{sgn} $x",  x=zero, analytic=False)
floor    = elementwise(np.floor,    r"\lfloor $x \rfloor", x=zero, analytic=False)
ceil     = elementwise(np.ceil,     r"\lceil $x \rceil", x=zero, analytic=False)
trunc    = elementwise(np.trunc,    r"\mathrm{trunc} $x", x=zero, analytic=False)
rint     = elementwise(np.rint,     r"\mathrm{round} $x", x=zero, analytic=False)
maximum  = elementwise(np.maximum,  r"\max($a, $b)",     analytic=False,
                       a=lambda g, a, b: np.where(a == b, g / 2, g * (a > b)),
                       b=lambda g, a, b: np.where(a == b, g / 2, g * (a < b)))
minimum  = elementwise(np.minimum,  r"\min($a, $b)",     analytic=False,
                       a=lambda g, a, b: np.where(a == b, g / 2, g * (a < b)),
                       b=lambda g, a, b: np.where(a == b, g / 2, g * (a > b)))

zeros_like, ones_like = [
    primitive(number, numpy=function, name=function.__name__, kind="constant")(kernel)
    for number, function, kernel in (("0", np.zeros_like, lambda x: np.zeros_like(x)),
                                     ("1", np.ones_like, lambda x: np.ones_like(x)))]

# ---- comparison and logic: no gradient ----------------------------------------------------------

for _ufunc, *_templates in (
    (np.greater, "$a > $b", "($a > $b)"),  (np.greater_equal, r"$a \ge $b", "($a >= $b)"),
    (np.less, "$a < $b", "($a < $b)"),     (np.less_equal, r"$a \le $b", "($a <= $b)"),
    (np.equal, "$a = $b", "($a == $b)"),   (np.not_equal, r"$a \ne $b", "($a != $b)"),
    (np.logical_and, r"$a \land $b"),      (np.bitwise_and, r"$a \land $b", "($a & $b)"),
    (np.logical_or, r"$a \lor $b"),        (np.bitwise_or, r"$a \lor $b", "($a | $b)"),
    (np.logical_xor, r"$a \oplus $b"),     (np.bitwise_xor, r"$a \oplus $b", "($a ^ $b)"),
    (np.logical_not, r"\lnot $x"),         (np.invert, r"\lnot $x"),
    (np.signbit, r"\mathrm{signbit}($x)"), (np.isnan, r"$x = \mathrm{nan}"),
    (np.isinf, r"|$x| = \infty"),          (np.isfinite, r"|$x| < \infty"),
):
    elementwise(_ufunc, *_templates, analytic=False)


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


@composite(np.mean)
def mean(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The sum divided by the number of elements."""
    return reduce_sum(a, axis=axis, keepdims=keepdims) / count(a.shape, axis)


# ---- products of matrices -----------------------------------------------------------------------

matrix_product = primitive(
    r"$a\, $b", "$a @ $b", kind="product",
    a=lambda g, b, like: unbroadcast(g @ b.mT, like.shape),
    b=lambda g, a, like: unbroadcast(a.mT @ g, like.shape))(np.matmul)


@composite(np.matmul)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b`` for matrices, stacks of them that broadcast, and vectors."""
    a, b = [x if hasattr(x, "ndim") else np.asarray(x) for x in (a, b)]
    if not (a.ndim and b.ndim) or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise ValueError(f"matmul: {described(a)} @ {described(b)}: the first must have as many "
                         f"columns as the second has rows")
    if a.ndim > 1 and b.ndim > 1:
        return apply_binary(matrix_product, a, b)
    left = a if a.ndim > 1 else a.reshape((1, -1))
    right = b if b.ndim > 1 else b.reshape((-1, 1))
    y = apply_binary(matrix_product, left, right)
    kept = y.shape[: y.ndim - 2] + y.shape[-2:-1] * (a.ndim > 1) + y.shape[-1:] * (b.ndim > 1)
    return y.reshape(kept)


# ---- shapes -------------------------------------------------------------------------------------


@primitive("$x", "$x.reshape($shape)", numpy=np.reshape, kind="reshape",
           x=lambda g, like: g.reshape(like.shape))
def reshape(x: Array, *, shape: int | tuple[int, ...]) -> Array:
    """The same elements in another shape."""
    return x.reshape(shape)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order of axes that undoes this one."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@primitive("$x^T", "$x.T", numpy=np.transpose, kind="permutation",
           x=lambda g, axes: g.transpose(axes and inverse(normalized(axes, g.ndim))))
def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    """The axes in another order, by default reversed."""
    return x.transpose(axes)


@primitive("$x", numpy=np.broadcast_to, kind="broadcast",
           x=lambda g, like: unbroadcast(g, like.shape))
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """Repeat along axes of length 1, and along new ones in front."""
    return np.broadcast_to(x, shape)


@primitive("$x", numpy=np.copy, kind="copy", x=lambda g: g)
def copy(x: Array) -> Array:
    """The same values in an array of their own."""
    return x.copy()


@composite(np.ravel)
def ravel(a: Array) -> Array:
    """All elements along one axis, in row-major order."""
    return a.reshape((a.size,))


# ---- joining and indexing -----------------------------------------------------------------------


def block(i: int, likes: list[Array], axis: int) -> tuple[slice, ...]:
    """Where the i-th operand lies in the concatenation of all."""
    axis %= len(likes[0].shape)
    start = sum(like.shape[axis] for like in likes[:i])
    return (slice(None),) * axis + (slice(start, start + likes[i].shape[axis]),)


@primitive(r"[$xs]", "np.concatenate(($xs,), axis=$axis)", name="concatenate", kind="join",
           xs=lambda g, i, likes, axis: g[block(i, likes, axis)])
def join(*xs: Array, axis: int) -> Array:
    """Arrays one after the other along an axis."""
    return np.concatenate(xs, axis)


@composite(np.concatenate)
def concatenate(arrays: Iterable[Array], axis: int | None = 0) -> Array:
    """Arrays one after the other along an axis, flattened if it is None."""
    arrays = [x if hasattr(x, "ndim") else np.asarray(x) for x in arrays]
    return join(*[x.ravel() for x in arrays], axis=0) if axis is None else join(*arrays, axis=axis)


BASIC = int | np.generic | slice | EllipsisType | None


def as_index(i: Any) -> Array:
    """A sequence in a key as an index array: an empty list is one of integers."""
    return i if isinstance(i, Operand | ndarray) else np.asarray(i, None if np.size(i) else int)


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


@composite(ndarray.astype)
def astype(x: Array, dtype: Any) -> Array:
    """Another dtype; only to floating-point dtypes does a gradient flow."""
    dtype = np.dtype(dtype)
    return convert(x if dtype.kind == "f" else x.detach(), dtype=dtype)
