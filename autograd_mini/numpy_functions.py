"""The further functions of NumPy that work on Tensors, most of them written in the core's ops.

Importing this module is what makes them known.  A function that is neither here nor in the core
raises on a Tensor: never a silent plain array.

Where there is no derivative, they take a subgradient: at a tie both operands get half, the gradient
of `np.hypot` at the origin is 0, and equal elements that are sorted keep to the order found.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .activations import sigmoid
from .border import as_array
from .core.graph import Array
from .core.ops import (
    Axis,
    Index,
    convert,
    count,
    join,
    larger,
    matrix_product,
    normalized,
    reduce_max,
    reduce_min,
    reduce_sum,
    reshape,
    restored,
    scatter,
    slope,
    sum_along,
    where,
    zero,
)
from .core.primitive import composite, elementwise, implementations, primitive
from .core.tensor import Tensor, apply_binary, explained, parameter_names, unwrapped, wrap
from .refusals import declare_more, described

HALF = np.dtype(np.float16)
LN_2, LN_10 = math.log(2), math.log(10)


def along(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """The key that takes a part along one axis, and everything along the others."""
    (axis,) = normalize_axis_tuple(axis, ndim)
    return (slice(None),) * axis + (part,)


def beyond(a: Array, b: Array) -> Array:
    """``a - b``; and -inf where both are, so that what never happens has no share in anything."""
    return a - np.where((a == b) & (b == -np.inf), np.zeros_like(a), b)


# ---- element by element -------------------------------------------------------------------------
# Several of these are analytic functions, but NumPy does not compute them for complex numbers.

# fmt: off
positive   = primitive(r"$x", numpy=np.positive, kind="copy", x=lambda g: g)(np.positive)
reciprocal = elementwise(np.reciprocal, r"\frac{1}{$x}",   x=lambda g, y: -g * np.square(y))
cbrt       = elementwise(np.cbrt,       r"\sqrt[3]{$x}",   analytic=False,
                         x=lambda g, y: g / (3 * np.square(y)))
exp2       = elementwise(np.exp2,       r"2^{$x}",         x=lambda g, y: g * (LN_2 * y))
expm1      = elementwise(np.expm1,      r"e^{$x} - 1",     x=lambda g, x: g * np.exp(x))
log2       = elementwise(np.log2,       r"\log_2 $x",      x=lambda g, x: g / (LN_2 * x))
log10      = elementwise(np.log10,      r"\log_{10} $x",   x=lambda g, x: g / (LN_10 * x))
log1p      = elementwise(np.log1p,      r"\log(1 + $x)",   x=lambda g, x: g / (1 + x))
sin        = elementwise(np.sin,        r"\sin $x",        x=lambda g, x: g * np.cos(x))
cos        = elementwise(np.cos,        r"\cos $x",        x=lambda g, x: -g * np.sin(x))
tan        = elementwise(np.tan,        r"\tan $x",        x=lambda g, y: g * (1 + np.square(y)))
arcsin     = elementwise(np.arcsin,     r"\arcsin $x",
                         x=lambda g, x: g / np.sqrt((1 - x) * (1 + x)))
arccos     = elementwise(np.arccos,     r"\arccos $x",
                         x=lambda g, x: -g / np.sqrt((1 - x) * (1 + x)))
arctan     = elementwise(np.arctan,     r"\arctan $x",     x=lambda g, x: g / (1 + np.square(x)))
sinh       = elementwise(np.sinh,       r"\sinh $x",       x=lambda g, x: g * np.cosh(x))
cosh       = elementwise(np.cosh,       r"\cosh $x",       x=lambda g, x: g * np.sinh(x))
arcsinh    = elementwise(np.arcsinh,    r"\sinh^{-1} $x",
                         x=lambda g, x: g / np.hypot(x, 1))
arccosh    = elementwise(np.arccosh,    r"\cosh^{-1} $x",
                         x=lambda g, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
arctanh    = elementwise(np.arctanh,    r"\tanh^{-1} $x",
                         x=lambda g, x: g / ((1 - x) * (1 + x)))
floor      = elementwise(np.floor,      r"\lfloor $x \rfloor",   x=zero, analytic=False)
ceil       = elementwise(np.ceil,       r"\lceil $x \rceil",     x=zero, analytic=False)
trunc      = elementwise(np.trunc,      r"\mathrm{trunc} $x",    x=zero, analytic=False)
rint       = elementwise(np.rint,       r"\mathrm{round} $x",    x=zero, analytic=False)
remainder    = elementwise(np.remainder,    r"$a \bmod $b",   a=lambda g: g,
                           b=lambda g, a, b: -g * np.floor_divide(a, b), analytic=False)
floor_divide = elementwise(np.floor_divide, r"$a \div $b",    a=zero, b=zero, analytic=False)
logaddexp  = elementwise(np.logaddexp,  r"\log(e^{$a} + e^{$b})",   analytic=False,
                         a=lambda g, a, b: g * sigmoid(beyond(a, b)),
                         b=lambda g, a, b: g * sigmoid(beyond(b, a)))
logaddexp2 = elementwise(np.logaddexp2, r"\log_2(2^{$a} + 2^{$b})", analytic=False,
                         a=lambda g, a, b: g * sigmoid(LN_2 * beyond(a, b)),
                         b=lambda g, a, b: g * sigmoid(LN_2 * beyond(b, a)))
# the direction of what has a length; of what has none the subgradient of least norm, which is 0
per_length = elementwise(lambda a, b: a / (b + (b == 0)), r"\frac{$a}{$b}", name="per_length",
                         analytic=False, a=lambda g, b: g / np.where(b == 0, np.nan, b),
                         b=lambda g, b, y: -g * y / np.where(b == 0, np.nan, b))
hypot      = elementwise(np.hypot,      r"\sqrt{{$a}^2 + {$b}^2}",  analytic=False,
                         a=lambda g, a, y: g * per_length(a, y),
                         b=lambda g, b, y: g * per_length(b, y))
arctan2    = elementwise(np.arctan2,    r"\mathrm{atan2}($a, $b)",  analytic=False,
                         a=lambda g, a, b: g * (b / np.hypot(a, b)) / np.hypot(a, b),
                         b=lambda g, a, b: -g * (a / np.hypot(a, b)) / np.hypot(a, b))
# where only one operand is a number, a == y says which; at a tie both get half
fmax       = elementwise(np.fmax,       r"\mathrm{fmax}($a, $b)",   analytic=False,
                         a=lambda g, a, b, y: g * np.where(a == b, larger(a, b), a == y),
                         b=lambda g, a, b, y: g * np.where(a == b, larger(a, b), b == y))
fmin       = elementwise(np.fmin,       r"\mathrm{fmin}($a, $b)",   analytic=False,
                         a=lambda g, a, b, y: g * np.where(a == b, larger(a, b), a == y),
                         b=lambda g, a, b, y: g * np.where(a == b, larger(a, b), b == y))
# (a - y) / b is an integer up to rounding, where trunc(a / b) can be the wrong one
fmod       = elementwise(np.fmod,       r"\mathrm{fmod}($a, $b)",   analytic=False,
                         a=lambda g: g, b=lambda g, a, b, y: -g * np.rint((a - y) / b))
copysign   = elementwise(np.copysign,   r"|$a|\, \mathrm{sgn} $b",  analytic=False,
                         a=lambda g, a, y: g * (np.sign(a) * np.sign(y)), b=zero)
heaviside  = elementwise(np.heaviside,  r"H_{$b}($a)",              analytic=False,
                         a=zero, b=lambda g, a: g * (a == 0))
ldexp      = elementwise(np.ldexp,      r"$a \cdot 2^{$b}",         analytic=False,
                         a=lambda g, b: np.ldexp(g, b))
fabs       = elementwise(np.fabs,       r"|$x|", x=lambda g, x: g * slope(x), analytic=False)
conjugate  = elementwise(np.conjugate,  r"\overline{$x}",           x=lambda g: g, analytic=False)
deg2rad    = elementwise(np.deg2rad,    r"\frac{\pi}{180}\, $x",    analytic=False,
                         x=lambda g: np.deg2rad(g))
rad2deg    = elementwise(np.rad2deg,    r"\frac{180}{\pi}\, $x",    analytic=False,
                         x=lambda g: np.rad2deg(g))

for _ufunc, *_templates in (
    (np.logical_and, r"$a \land $b"),      (np.bitwise_and, r"$a \land $b", "($a & $b)"),
    (np.logical_or, r"$a \lor $b"),        (np.bitwise_or, r"$a \lor $b", "($a | $b)"),
    (np.logical_xor, r"$a \oplus $b"),     (np.bitwise_xor, r"$a \oplus $b", "($a ^ $b)"),
    (np.logical_not, r"\lnot $x"),         (np.invert, r"\lnot $x"),
    (np.signbit, r"\mathrm{signbit}($x)"), (np.isnan, r"$x = \mathrm{nan}"),
    (np.isinf, r"|$x| = \infty"),          (np.isfinite, r"|$x| < \infty"),
):
    globals()[_ufunc.__name__] = elementwise(_ufunc, *_templates, analytic=False)
# fmt: on


@primitive(
    r"\mathrm{round} $x", name="round", numpy=np.round, kind="elementwise", analytic=False, x=zero
)
def rounded(x: Array, *, decimals: int = 0) -> Array:
    """Round to so many decimals, and to an even digit from half-way."""
    return np.round(x, decimals)


implementations.update(
    {np.around: rounded, np.fix: trunc, np.radians: deg2rad, np.degrees: rad2deg}
)


@composite(np.float_power)
def float_power(a: Array, b: Array) -> Array:
    """A power in double precision."""
    return as_array(a).astype(np.float64) ** b


@composite(np.divmod)
def quotient_and_remainder(a: Array, b: Array) -> tuple[Array, Array]:
    """The integer part of a quotient, and what remains."""
    return np.floor_divide(a, b), np.remainder(a, b)


@composite(np.where)
def where_or_nonzero(condition: Array, *choices: Array) -> Any:
    """Choose by a condition; with one argument, where that is not zero."""
    return where(condition, *choices) if choices else np.nonzero(condition)


@composite(np.select)
def select(condlist: Sequence[Array], choicelist: Sequence[Array], default: Array = 0) -> Array:
    """Choose by the first condition that holds."""
    chosen = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        chosen = where(condition, choice, chosen)
    return chosen


@composite(np.clip)
def clip(
    a: Array, a_min: Array = None, a_max: Array = None, *, min: Array = None, max: Array = None
) -> Array:
    """Limit to an interval; at a bound, as at every tie, half of the gradient passes."""
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise ValueError("np.clip takes a_min and a_max or min and max, not both")
    lowest, highest = (min if a_min is None else a_min), (max if a_max is None else a_max)
    above = a if lowest is None else np.maximum(a, lowest)
    return above if highest is None else np.minimum(above, highest)


@composite(np.nan_to_num)
def nan_to_num(x: Array, *, nan: Array = 0.0, posinf: Array = None, neginf: Array = None) -> Array:
    """Numbers in place of nan, inf and -inf; what was replaced gets no gradient."""
    if x.dtype.kind in "biu":
        return x
    largest = np.finfo(x.dtype).max
    x = np.where(np.isnan(x), nan, x)
    x = np.where(x == np.inf, largest if posinf is None else posinf, x)
    return np.where(x == -np.inf, -largest if neginf is None else neginf, x)


@composite(np.sinc)
def sinc(x: Array) -> Array:
    """The quotient sin(pi x) / (pi x); near 0 its power series, which has all derivatives there."""
    angle = np.pi * x
    near = np.absolute(angle) < 1
    square = np.square(np.where(near, angle, 0))
    series: Array = 1
    for k in range(20, 0, -2):
        series = 1 - series * square / (k * (k + 1))
    far = np.where(near, 1, angle)
    return np.where(near, series, np.sin(far) / far)


@composite(np.polyval)
def polyval(p: Array, x: Array) -> Array:
    """A polynomial with the coefficients ``p``, that of the highest power first, at ``x``."""
    y = np.zeros_like(x)
    for coefficient in as_array(p):
        y = y * x + coefficient
    return y


# ---- reductions ---------------------------------------------------------------------------------

implementations.update({np.amax: reduce_max, np.amin: reduce_min})


@composite(np.mean)
def mean(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The sum divided by the number of elements; of float16, in float32 as NumPy does it."""
    if a.dtype is HALF:
        return mean(a.astype(np.float32), axis, keepdims=keepdims).astype(np.float16)
    return reduce_sum(a, axis=axis, keepdims=keepdims) / count(a.shape, axis)


def reversed_along(x: Array, axis: int) -> Array:
    """The elements in reverse order along an axis."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)]


@primitive(
    r"\mathrm{cumsum}($x)",
    name="cumsum",
    x=lambda g, axis: reversed_along(
        cumulative_sum(reversed_along(g, axis), axis=axis),  # type: ignore[has-type]
        axis,
    ),
)
def cumulative_sum(x: Array, *, axis: int) -> Array:
    """Sums of the elements so far."""
    return np.cumsum(x, axis=axis)


def in_a_row(a: Array, axis: int | None) -> tuple[Array, int]:
    """An array and an axis of it: without one, all elements in a row, as a single one always is."""
    if axis is None or a.ndim == 0:
        a = a.ravel()
    return a, normalize_axis_tuple(0 if axis is None else axis, a.ndim)[0]


@composite(np.cumsum)
def cumsum(a: Array, axis: int | None = None) -> Array:
    """Sums of the elements so far, of the flattened array if there is no axis."""
    a, axis = in_a_row(a, axis)
    return cumulative_sum(a, axis=axis)


def norm_rule(g: Array, x: Array, y: Array, axis: Axis, keepdims: bool) -> Array:
    """The rule g * x / y, and 0 at x = 0: of the subgradients there, the one of least norm."""
    length = restored(y, x.shape, axis, keepdims)
    return restored(g, x.shape, axis, keepdims) * per_length(x, length)


@primitive(r"\left\lVert $x \right\rVert_2", "np.linalg.norm", analytic=False, x=norm_rule)
def norm(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The Euclidean norm: the square root of the sum of squares, whose squares do not overflow."""
    with np.errstate(over="ignore", under="ignore"):
        y = np.sqrt(sum_along(np.square(x), axis, keepdims))
    plain = isinstance(y, np.ndarray | np.generic) or hasattr(y, "backward")
    if not plain or not y.size or x.dtype.kind != "f":
        return y
    limits = np.finfo(y.dtype)
    if np.max(y) < np.inf and np.min(y) > np.sqrt(limits.tiny / limits.eps):
        return y
    unit = np.max(np.absolute(x), axis=axis, keepdims=True, initial=0)
    unit = np.where((unit > 0) & (unit < np.inf), unit, 1)  # the largest element
    return (unit * np.sqrt(sum_along(np.square(x / unit), axis, True))).reshape(y.shape)


def gathered(a: Array, axis: Axis) -> Array:
    """The axes of a reduction made into one, in front."""
    axes = normalized(axis, a.ndim)
    rest = [i for i in range(a.ndim) if i not in axes]
    shape = tuple([a.shape[i] for i in rest])
    return a.transpose((*axes, *rest)).reshape((count(a.shape, axis), *shape))


@composite(np.ptp)
def ptp(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The largest element minus the smallest ("peak to peak")."""
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@composite(np.average)
def average(a: Array, axis: Axis = None, weights: Array = None, *, keepdims: bool = False) -> Array:
    """The mean with weights, of the shape of ``a`` or of its part along ``axis``.

    Raises
    ------
    ValueError
        If the weights have neither shape.
    ZeroDivisionError
        If they sum to zero.
    """
    a = as_array(a)
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    weights = as_array(weights)
    if weights.shape != a.shape:
        axes = normalized(axis, a.ndim)
        if axis is None or weights.shape != tuple([a.shape[i] for i in axes]):
            raise ValueError(
                f"average of {described(a)} over axis={axis}: the weights have {described(weights)}"
                f", but must have its shape, or with an axis the shape along that"
            )
        shape = tuple([n if i in axes else 1 for i, n in enumerate(a.shape)])
        weights = weights.transpose(tuple(np.argsort(axes))).reshape(shape)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    if np.any(total == 0):
        raise ZeroDivisionError(f"average over axis={axis}: the weights sum to zero")
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / total


@composite(np.var)
def var(a: Array, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    """The mean square deviation from the mean, with ``count - ddof`` as the divisor."""
    squares = np.square(a - mean(a, axis, keepdims=True))
    n = max(count(a.shape, axis) - ddof, 0)
    return reduce_sum(squares, axis=axis, keepdims=keepdims) / (n or np.float64(0))


@composite(np.std)
def std(a: Array, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    """The square root of `var`; the subgradient at no deviation at all is 0."""
    deviation = norm(a - mean(a, axis, keepdims=True), axis=axis, keepdims=keepdims)
    return deviation / (math.sqrt(max(count(a.shape, axis) - ddof, 0)) or np.float64(0))


def wide(a: Array) -> Array:
    """An array in the dtype in which NumPy multiplies it: small integers would overflow."""
    dtype = np.prod(np.empty(0, a.dtype)).dtype
    return a if a.dtype == dtype else a.astype(dtype)


@composite(np.prod)
def prod(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Products by repeated halving: right also where factors are 0, unlike the rule g * y / x."""
    factors = gathered(wide(a), axis)
    while len(factors) > 1:
        half = len(factors) // 2
        pairs = factors[:half] * factors[half : 2 * half]
        factors = np.concatenate([pairs, factors[2 * half :]]) if len(factors) % 2 else pairs
    product = factors[0] if len(factors) else reduce_sum(factors, axis=0) + 1
    return restored(product, a.shape, axis, False) if keepdims else product


@composite(np.cumprod)
def cumprod(a: Array, axis: int | None = None) -> Array:
    """Products of the elements so far, by doubling steps: right also where factors are 0."""
    a, axis = in_a_row(wide(a), axis)
    y = np.moveaxis(a, axis, 0) if axis else a
    step = 1
    while step < len(y):
        y = np.concatenate([y[:step], y[step:] * y[:-step]])
        step *= 2
    return np.moveaxis(y, 0, axis) if axis else y


@composite(np.diff)
def diff(
    a: Array, n: int = 1, axis: int = -1, prepend: Array = None, append: Array = None
) -> Array:
    """Differences of neighbours along an axis, taken ``n`` times."""
    if n < 0:
        raise ValueError(f"np.diff takes differences n times, n={n}")
    a = as_array(a)
    ends = [x for x in (prepend, a, append) if x is not None]
    if n and len(ends) > 1:
        one = tuple([1 if i == axis % a.ndim else size for i, size in enumerate(a.shape)])
        ends = [x if x is a or np.ndim(x) else np.broadcast_to(as_array(x), one) for x in ends]
        a = concatenate(ends, axis)
    for _ in range(n):
        a = a[along(axis, a.ndim, slice(1, None))] - a[along(axis, a.ndim, slice(None, -1))]
    return a


@composite(np.ediff1d)
def ediff1d(ary: Array) -> Array:
    """Differences of neighbours in row-major order."""
    return np.diff(ary.ravel())


@composite(np.trapezoid)
def trapezoid(y: Array, x: Array = None, dx: Array = 1.0, axis: int = -1) -> Array:
    """The integral along an axis by the trapezoidal rule."""
    y = np.moveaxis(as_array(y), axis, -1)
    if x is not None:
        x = as_array(x)
        dx = np.diff(x if x.ndim == 1 else np.moveaxis(x, axis, -1))
    return np.sum(dx * (y[..., 1:] + y[..., :-1]), axis=-1) / 2


# ---- products -----------------------------------------------------------------------------------


@composite(np.matmul)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b`` for matrices, stacks of them that broadcast, and vectors."""
    a, b = as_array(a), as_array(b)
    if not (a.ndim and b.ndim) or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        error = ValueError("the first must have as many columns as the second has rows")
        raise explained(error, matrix_product, (a, b))
    if a.ndim > 1 and b.ndim > 1:
        return apply_binary(matrix_product, a, b)
    left = a if a.ndim > 1 else a.reshape((1, -1))
    right = b if b.ndim > 1 else b.reshape((-1, 1))
    y = apply_binary(matrix_product, left, right)
    kept = y.shape[: y.ndim - 2] + y.shape[-2:-1] * (a.ndim > 1) + y.shape[-1:] * (b.ndim > 1)
    return y.reshape(kept)


@composite(np.dot)
def dot(a: Array, b: Array) -> Array:
    """The product of matrices or vectors; of more axes, the last with the last but one."""
    a, b = as_array(a), as_array(b)
    if not (a.ndim and b.ndim):
        return a * b
    return np.matmul(a, b) if b.ndim <= 2 else np.tensordot(a, b, (-1, -2))


@composite(np.inner)
def inner(a: Array, b: Array) -> Array:
    """Sums of products along the last axes."""
    a, b = as_array(a), as_array(b)
    return np.tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else a * b


@composite(np.outer)
def outer(a: Array, b: Array) -> Array:
    """All products of an element of one with an element of the other."""
    return as_array(a).reshape((-1, 1)) * as_array(b).reshape((1, -1))


@composite(np.vdot)
def vdot(a: Array, b: Array) -> Array:
    """The sum of products of all elements; complex ones of the first are conjugated."""
    first = np.conjugate(a) if np.iscomplexobj(a) else a
    return np.dot(np.ravel(first), np.ravel(b))


@composite(np.tensordot)
def tensordot(a: Array, b: Array, axes: Any = 2) -> Array:
    """Sums of products over some axes of each: ``axes`` are as many as that, or which ones."""
    a, b = as_array(a), as_array(b)
    if np.ndim(axes) == 0:
        axes = range(a.ndim - axes, a.ndim), range(axes)
    over_a = normalize_axis_tuple(axes[0], a.ndim)
    over_b = normalize_axis_tuple(axes[1], b.ndim)
    if [a.shape[i] for i in over_a] != [b.shape[i] for i in over_b]:
        raise ValueError(
            f"tensordot: {described(a)} along {over_a}, {described(b)} along {over_b}: the lengths "
            f"must be the same"
        )
    rest_a = [i for i in range(a.ndim) if i not in over_a]
    rest_b = [i for i in range(b.ndim) if i not in over_b]
    rows = [a.shape[i] for i in rest_a]
    columns = [b.shape[i] for i in rest_b]
    summed = count(a.shape, over_a)
    left = a.transpose((*rest_a, *over_a)).reshape((math.prod(rows), summed))
    right = b.transpose((*over_b, *rest_b)).reshape((summed, math.prod(columns)))
    return np.matmul(left, right).reshape((*rows, *columns))


@composite(np.kron)
def kron(a: Array, b: Array) -> Array:
    """Blocks of ``b``, each multiplied by an element of ``a``."""
    a, b = as_array(a), as_array(b)
    ndim = max(a.ndim, b.ndim)
    blocks = (1,) * (ndim - a.ndim) + a.shape
    inside = (1,) * (ndim - b.ndim) + b.shape
    left = a.reshape(tuple([length for n in blocks for length in (n, 1)]))
    right = b.reshape(tuple([length for n in inside for length in (1, n)]))
    return (left * right).reshape(tuple([m * n for m, n in zip(blocks, inside, strict=True)]))


@composite(np.cross)
def cross(
    a: Array, b: Array, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:
    """The vector product in three dimensions."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(as_array(a), axisa, -1), np.moveaxis(as_array(b), axisb, -1)
    if (a.shape[-1], b.shape[-1]) != (3, 3):
        raise ValueError(f"cross: {described(a)}, {described(b)}: the vectors must have length 3")
    after, before = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(a[..., after] * b[..., before] - a[..., before] * b[..., after], -1, axisc)


@composite(np.convolve)
def convolve(a: Array, v: Array, mode: str = "full") -> Array:
    """Sums of ``a[i] * v[j]``, one for each value of ``i + j``."""
    a, v = as_array(a), as_array(v)
    if a.ndim > 1 or v.ndim > 1 or not (a.size and v.size):
        raise ValueError(f"convolve: {described(a)}, {described(v)}: must be 1-d and not empty")
    places = np.arange(a.size)[:, None] + np.arange(v.size)
    total = a.size + v.size - 1
    full = scatter(np.outer(a, v), places, key=(Index,), shape=(total,))
    short = min(a.size, v.size)
    outside = {"full": 0, "same": short - 1, "valid": 2 * (short - 1)}  # in front and behind
    if mode not in outside:
        raise ValueError(f"mode is 'full', 'same' or 'valid', not {mode!r}")
    start = outside[mode] // 2
    return full[start : start + total - outside[mode]]


LETTERS = [chr(code) for code in range(ord("A"), ord("z") + 1) if chr(code).isalpha()]


@composite(np.einsum)
def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Array:
    """Einstein's summation convention: products, summed over the letters that the output lacks.

    Diagonals are taken, letters that only one operand has are summed, and lengths 1 that stretch
    are dropped; what is left is one `contraction`.

    Raises
    ------
    ValueError
        If the subscripts do not fit the shapes.
    """
    if not isinstance(subscripts, str):
        subscripts, *operands = from_sublists(subscripts, *operands)  # type: ignore[assignment]
    arrays = [as_array(x) for x in operands]
    np.einsum_path(subscripts, *map(unwrapped, arrays), optimize=False)  # raises if they do not fit
    terms, output = spelled_out(subscripts, arrays)
    pairs = [without_repeats(x, term) for x, term in zip(arrays, terms, strict=True)]
    lengths = [dict(zip(term, x.shape, strict=True)) for x, term in pairs]
    long = {letter for length in lengths for letter in length if length[letter] != 1}
    pairs = [
        summed_over(x, term, {letter for letter in long if length.get(letter) == 1})
        for (x, term), length in zip(pairs, lengths, strict=True)
    ]
    letters = output + "".join([term for _, term in pairs])
    lonely = {letter for letter in letters if letters.count(letter) == 1}
    pairs = [summed_over(x, term, lonely) for x, term in pairs]
    subscripts = ",".join([term for _, term in pairs]) + "->" + output
    return contraction(*[x for x, _ in pairs], subscripts=subscripts, optimize=optimize)


def from_sublists(*arguments: Any) -> list[Any]:
    """``einsum(a, [0, 1], b, [1, 2], [0, 2])`` as ``einsum("AB,BC->AC", a, b)``."""
    pairs = len(arguments) // 2
    lists = [*arguments[1 : 2 * pairs : 2], *arguments[2 * pairs :]]
    words = ["".join(["..." if i is Ellipsis else LETTERS[i] for i in one]) for one in lists]
    return ["->".join([",".join(words[:pairs]), *words[pairs:]]), *arguments[: 2 * pairs : 2]]


def spelled_out(subscripts: str, operands: list[Array]) -> tuple[list[str], str]:
    """The letters of the operands and of the output, each ellipsis in letters, too."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:
        output = "..." + "".join(c for c in LETTERS if inputs.count(c) == 1)
    hidden = [x.ndim - len(t.replace("...", "")) for x, t in zip(operands, terms, strict=True)]
    ellipsis = "".join([c for c in LETTERS if c not in inputs][: max(hidden)])
    if ellipsis and "..." not in output:
        raise ValueError(f"einsum: the output in {subscripts!r} must have an ellipsis, too")
    terms = [
        term.replace("...", ellipsis[len(ellipsis) - n :])
        for term, n in zip(terms, hidden, strict=True)
    ]
    return terms, output.replace("...", ellipsis)


def without_repeats(x: Array, term: str) -> tuple[Array, str]:
    """An operand of which each letter stands for one axis: in place of two, their diagonal."""
    for letter in term:
        while term.count(letter) > 1:
            i = term.index(letter)
            j = term.index(letter, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ValueError(
                    f"einsum: in the operand of {described(x)}, the letter {letter!r} stands for "
                    f"lengths {x.shape[i]} and {x.shape[j]}"
                )
            x = np.diagonal(x, axis1=i, axis2=j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + letter
    return x, term


def summed_over(x: Array, term: str, letters: set[str]) -> tuple[Array, str]:
    """An operand without these letters."""
    axes = tuple([i for i, letter in enumerate(term) if letter in letters])
    rest = "".join([letter for letter in term if letter not in letters])
    return (reduce_sum(x, axis=axes) if axes else x), rest


def contraction_rule(
    g: Array, xs: tuple[Array, ...], i: int, subscripts: str, optimize: Any
) -> Array:
    """The cotangent of an operand: that of the output, contracted with the other operands."""
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    factors = (g, *xs[:i], *xs[i + 1 :])
    letters = ",".join([output, *terms[:i], *terms[i + 1 :]])
    return contraction(*factors, subscripts=f"{letters}->{terms[i]}", optimize=optimize)


@primitive(
    r"\mathrm{einsum}($xs)", "np.einsum($subscripts, $xs)", name="einsum", xs=contraction_rule
)
def contraction(*xs: Array, subscripts: str, optimize: Any = False) -> Array:
    """`np.einsum` where each letter of an operand is unique in it, and stands elsewhere, too."""
    return np.einsum(subscripts, *xs, optimize=optimize)


# ---- shapes -------------------------------------------------------------------------------------


@composite(np.swapaxes)
def swapaxes(a: Array, axis1: int, axis2: int) -> Array:
    """Two axes exchanged."""
    axes = list(range(a.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return a.transpose(tuple(axes))


@composite(np.moveaxis)
def moveaxis(a: Array, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """Some axes moved to other places."""
    moved = normalize_axis_tuple(source, a.ndim)
    axes = [i for i in range(a.ndim) if i not in moved]
    for place, i in sorted(zip(normalize_axis_tuple(destination, a.ndim), moved, strict=True)):
        axes.insert(place, i)
    return a.transpose(tuple(axes))


@composite(np.matrix_transpose)
def matrix_transpose(x: Array) -> Array:
    """The matrix, or stack of matrices, transposed."""
    return x.swapaxes(-1, -2)


@composite(np.expand_dims)
def expand_dims(a: Array, axis: int | tuple[int, ...]) -> Array:
    """New axes of length 1."""
    return a.reshape(np.expand_dims(unwrapped(a), axis).shape)


@composite(np.ravel)
def ravel(a: Array) -> Array:
    """All elements along one axis, in row-major order."""
    return a.reshape((a.size,))


@composite(np.ndarray.astype)
def astype(x: Array, dtype: Any) -> Array:
    """Another dtype; only to floating-point dtypes does a gradient flow."""
    dtype = np.dtype(dtype)
    return convert(x if dtype.kind == "f" else x.detach(), dtype=dtype)


def in_one_array(x: Any) -> Array:
    """An operand with axes, also if it is a list of Tensors and numbers."""
    nested = isinstance(x, list | tuple) and any(isinstance(part, Tensor) for part in x)
    return np.stack([in_one_array(part) for part in x]) if nested else as_array(x)


@composite(np.concatenate)
def concatenate(arrays: Iterable[Array], axis: int | None = 0, *, dtype: Any = None) -> Array:
    """Arrays one after the other along an axis, flattened if it is None."""
    arrays = [in_one_array(x) for x in arrays]
    if dtype is not None:
        arrays = [astype(x, dtype) if isinstance(x, Tensor) else x.astype(dtype) for x in arrays]
    return join(*[x.ravel() for x in arrays], axis=0) if axis is None else join(*arrays, axis=axis)


def reshape_to(a: Array, shape: int | tuple[int, ...]) -> Array:
    """The same elements in another shape."""
    return reshape(a, shape=shape)


def reshape_to_newshape(a: Array, newshape: int | tuple[int, ...]) -> Array:
    """Likewise, as NumPy 2.0 calls its parameter."""
    return reshape(a, shape=newshape)


new = "shape" in parameter_names(np.reshape)
composite(np.reshape)(reshape_to if new else reshape_to_newshape)


@composite(np.squeeze)
def squeeze(a: Array, axis: Axis = None) -> Array:
    """Without axes of length 1."""
    return a.reshape(np.squeeze(unwrapped(a), axis).shape)


def with_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    """One of `np.atleast_1d` and its kin, which add axes of length 1 where they lack."""

    def extend(*arys: Array) -> Any:
        extended = tuple([as_array(x).reshape(function(unwrapped(x)).shape) for x in arys])
        return extended[0] if len(arys) == 1 else extended

    return extend


EXTENDING: tuple[Any, ...] = (np.atleast_1d, np.atleast_2d, np.atleast_3d)
implementations.update({function: with_axes(function) for function in EXTENDING})


@composite(np.broadcast_arrays)
def broadcast_arrays(*args: Array) -> tuple[Array, ...]:
    """All repeated to the shape that they have together."""
    shape = np.broadcast_shapes(*[np.shape(x) for x in args])
    return tuple([np.broadcast_to(x, shape) for x in args])


@composite(np.meshgrid)
def meshgrid(*xi: Array, sparse: bool = False, indexing: str = "xy") -> tuple[Array, ...]:
    """The coordinates of the points of a grid, from those along its axes."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing is 'xy' or 'ij', not {indexing!r}")
    n = len(xi)
    axes = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else range(n)
    grids = [
        as_array(x).reshape((1,) * axis + (-1,) + (1,) * (n - 1 - axis))
        for x, axis in zip(xi, axes, strict=True)
    ]
    return tuple(grids) if sparse else np.broadcast_arrays(*grids)


# ---- elements in other places -------------------------------------------------------------------


def moves(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function that only moves elements: it moves their numbers, and they follow."""

    def move(*args: Any, **kwargs: Any) -> Any:
        first, *rest = args or (kwargs.pop(parameter_names(function)[0]),)
        a = as_array(first)
        numbers = np.arange(a.size).reshape(a.shape)
        options = {name: unwrapped(value) for name, value in kwargs.items()}
        return a.ravel()[function(numbers, *map(unwrapped, rest), **options)]

    return move


MOVING: tuple[Any, ...] = (
    *(np.roll, np.rollaxis, np.flip, np.fliplr, np.flipud, np.rot90),
    *(np.repeat, np.tile, np.delete, np.diagonal, np.fft.fftshift, np.fft.ifftshift),
)
implementations.update({function: moves(function) for function in MOVING})


@composite(np.insert)
def insert(arr: Array, obj: Any, values: Array, axis: int | None = None) -> Array:
    """An array with values before given places along an axis, flattened if there is none."""
    arr = as_array(arr)
    values = as_array(values).astype(arr.dtype)
    old, new = np.split(np.arange(arr.size + values.size), [arr.size])
    places = np.insert(old.reshape(arr.shape), unwrapped(obj), new.reshape(values.shape), axis)
    return np.concatenate([arr.ravel(), values.ravel()])[places]


@composite(np.pad)
def pad(array: Array, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Array:
    """A frame around an array, of constants or of its own elements.

    Raises
    ------
    ValueError
        For a mode that makes new numbers.
    """
    if mode == "constant":
        inside = np.pad(np.ones(array.shape, bool), pad_width)
        frame = np.pad(np.zeros_like(unwrapped(array)), pad_width, constant_values=constant_values)
        return scatter(array.ravel(), inside, key=(Index,), shape=inside.shape) + frame
    if mode not in ("edge", "reflect", "symmetric", "wrap") or constant_values != 0:
        raise ValueError(
            f"pad with mode={mode!r}, constant_values={constant_values!r} is not supported: "
            f"'constant' with values is, and 'edge', 'reflect', 'symmetric' and 'wrap' without"
        )
    return moves(np.pad)(array, pad_width, mode)


@composite(np.trace)
def trace(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The sum along a diagonal."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


@composite(np.diag)
def diag(v: Array, k: int = 0) -> Array:
    """A matrix with a vector on its k-th diagonal; or, of a matrix, that diagonal."""
    if v.ndim == 2:
        return np.diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"diag of {described(v)}: it takes a vector or a matrix")
    n = v.size + abs(k)
    rows, columns = np.arange(v.size) + max(-k, 0), np.arange(v.size) + max(k, 0)
    return scatter(v, rows, columns, key=(Index, Index), shape=(n, n))


@composite(np.diagflat)
def diagflat(v: Array, k: int = 0) -> Array:
    """A matrix with all elements on its k-th diagonal."""
    return np.diag(v.ravel(), k)


def lower(m: Array, k: int) -> Array:
    """Where a matrix has its lower triangle, up to the k-th diagonal."""
    rows, columns = m.shape[max(m.ndim - 2, 0)], m.shape[-1]
    return np.arange(columns) <= np.arange(rows)[:, None] + k


@composite(np.tril)
def tril(m: Array, k: int = 0) -> Array:
    """The lower triangle up to the k-th diagonal, with zeros above."""
    return np.where(lower(m, k), m, 0)


@composite(np.triu)
def triu(m: Array, k: int = 0) -> Array:
    """The upper triangle from the k-th diagonal on, with zeros below."""
    return np.where(lower(m, k - 1), 0, m)


@composite(np.take)
def take(a: Array, indices: Array, axis: int | None = None, *, mode: str = "raise") -> Array:
    """The elements at places along an axis, of the flattened array if there is none."""
    a = as_array(a)
    places = as_array(indices)
    if not np.can_cast(places.dtype, np.intp):
        raise TypeError(f"take: indices are integers, and these are {places.dtype}")
    if places.dtype != np.intp:
        places = places.astype(np.intp)
    a, axis = in_a_row(a, axis)
    n = a.shape[axis]
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"mode is 'raise', 'wrap' or 'clip', not {mode!r}")
    if mode != "raise":
        places = np.remainder(places, n) if mode == "wrap" else np.clip(places, 0, n - 1)
    return a[along(axis, a.ndim, places)]


@composite(np.take_along_axis)
def take_along_axis(arr: Array, indices: Array, axis: int | None = -1) -> Array:
    """The elements at places along an axis, each row its own: as `np.argsort` gives them."""
    arr, indices = as_array(arr), as_array(indices)
    if axis is None:
        arr, axis = arr.ravel(), 0
    if indices.ndim != arr.ndim:
        raise ValueError(
            f"take_along_axis: indices of {described(indices)} for {described(arr)}: the number of "
            f"axes must be the same"
        )
    (axis,) = normalize_axis_tuple(axis, arr.ndim)
    places = list(np.indices(arr.shape, sparse=True))
    places[axis] = indices
    return arr[tuple(places)]


order = primitive(r"\mathrm{argsort}($x)", name="argsort")(
    lambda x, *, axis, kind: np.argsort(x, axis=axis, kind=kind)
)


@composite(np.sort)
def sort(a: Array, axis: int | None = -1, kind: Any = None) -> Array:
    """The elements in ascending order, each with its own gradient, also among equals."""
    if axis is None:
        a, axis = a.ravel(), 0
    (axis,) = normalize_axis_tuple(axis, a.ndim)
    return np.take_along_axis(a, order(a, axis=axis, kind=kind), axis)


# ---- joining and splitting ----------------------------------------------------------------------


@composite(np.stack)
def stack(arrays: Iterable[Array], axis: int = 0, *, dtype: Any = None) -> Array:
    """Arrays of one shape along a new axis."""
    return concatenate([np.expand_dims(x, axis) for x in arrays], axis, dtype=dtype)


@composite(np.hstack)
def hstack(tup: Iterable[Array], *, dtype: Any = None) -> Array:
    """Arrays side by side."""
    arrays = [np.atleast_1d(x) for x in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1, dtype=dtype)


@composite(np.vstack)
def vstack(tup: Iterable[Array], *, dtype: Any = None) -> Array:
    """Arrays one below the other."""
    return concatenate([np.atleast_2d(x) for x in tup], 0, dtype=dtype)


@composite(np.dstack)
def dstack(tup: Iterable[Array]) -> Array:
    """Arrays one behind the other."""
    return concatenate([np.atleast_3d(x) for x in tup], 2)


@composite(np.column_stack)
def column_stack(tup: Iterable[Array]) -> Array:
    """Vectors as columns of a matrix, beside matrices."""
    arrays = [as_array(x) for x in tup]
    return concatenate([x if x.ndim > 1 else x.reshape((-1, 1)) for x in arrays], 1)


@composite(np.block)
def block(arrays: Any) -> Array:
    """Nested lists of arrays joined: the innermost along the last axis, and so on outwards."""

    def depth(part: Any) -> int:
        return 1 + depth(part[0]) if isinstance(part, list) else 0

    def joined(part: Any, level: int) -> Array:
        if isinstance(part, list):
            return concatenate([joined(x, level - 1) for x in part], -level)
        x = as_array(part)
        return x.reshape((1,) * (levels - x.ndim) + x.shape)

    levels = depth(arrays)
    return joined(arrays, levels)


@composite(np.unwrap)
def unwrap(
    p: Array, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi
) -> Array:
    """Angles without jumps: multiples of the period are added, which are constant."""
    angles = unwrapped(p)
    return p + (np.unwrap(angles, discont, axis, period=period) - angles)


@composite(np.vander)
def vander(x: Array, N: int | None = None, increasing: bool = False) -> Array:
    """The powers of each element of a vector in a row, the highest first."""
    if x.ndim != 1:
        raise ValueError(f"vander takes a vector, not {described(x)}")
    powers = np.arange(len(x) if N is None else N)
    return x[:, None] ** (powers if increasing else powers[::-1])


@composite(np.i0)
def i0(x: Array) -> Array:
    """The modified Bessel function of order 0; its derivatives need SciPy."""
    from .special import modified_bessel

    return modified_bessel(x, n=0)


@composite(np.append)
def append(arr: Array, values: Array, axis: int | None = None) -> Array:
    """Two arrays one after the other, flattened if there is no axis."""
    return concatenate([arr, values], axis)


@composite(np.array_split)
def array_split(ary: Array, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts along an axis: so many of nearly the same length, or those between given places."""
    n = count(ary.shape, axis)
    if np.ndim(indices_or_sections) == 0:
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ValueError(f"cannot split {described(ary)} into {sections} parts")
        each, longer = divmod(n, sections)
        ends = [i * each + min(i, longer) for i in range(1, sections)]
    else:
        ends = list(indices_or_sections)
    return [ary[along(axis, ary.ndim, slice(*bounds))] for bounds in pairwise([0, *ends, n])]


@composite(np.split)
def split(ary: Array, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts along an axis: so many of the same length, or those between given places."""
    parts: list[Array] = np.array_split(ary, indices_or_sections, axis)
    if np.ndim(indices_or_sections) == 0 and parts[0].shape != parts[-1].shape:
        raise ValueError(
            f"split of {described(ary)} along axis {axis} into {indices_or_sections} parts of the "
            f"same length is not possible: np.array_split makes some longer"
        )
    return parts


@composite(np.hsplit)
def hsplit(ary: Array, indices_or_sections: Any) -> list[Array]:
    """Parts side by side."""
    return np.split(ary, indices_or_sections, min(ary.ndim - 1, 1))


@composite(np.vsplit)
def vsplit(ary: Array, indices_or_sections: Any) -> list[Array]:
    """Parts one below the other."""
    if ary.ndim < 2:
        raise ValueError(f"vsplit of {described(ary)}: it takes matrices, or arrays of more axes")
    return np.split(ary, indices_or_sections, 0)


@composite(np.dsplit)
def dsplit(ary: Array, indices_or_sections: Any) -> list[Array]:
    """Parts one behind the other."""
    return np.split(ary, indices_or_sections, 2)


# ---- what is only in some versions of NumPy, and real parts -------------------------------------


def newer(*names: str) -> Callable[[Any], Any]:
    """`composite` of functions that NumPy has under these names from some version on."""
    modules = [np.linalg if name.startswith("linalg.") else np for name in names]
    pairs = zip(modules, names, strict=True)
    found = [getattr(module, name.split(".")[-1], None) for module, name in pairs]
    return composite(*[function for function in found if function is not None])


def with_initial(y: Array, axis: int, initial: float, wanted: bool) -> Array:
    """Sums or products so far, with that of nothing in front if it is wanted."""
    if not wanted:
        return y
    shape = tuple([1 if i == axis % y.ndim else n for i, n in enumerate(y.shape)])
    return concatenate([np.full(shape, initial, y.dtype), y], axis)


def one_axis(x: Array, axis: int | None) -> int:
    """The axis along which to accumulate: that of a vector need not be given."""
    if axis is None and x.ndim != 1:
        raise ValueError(f"of {described(x)} one must say along which axis=")
    return 0 if axis is None else axis


@newer("cumulative_sum")
def cumulative_sum_of(x: Array, *, axis: int | None = None, include_initial: bool = False) -> Array:
    """Sums of the elements so far."""
    axis = one_axis(x, axis)
    return with_initial(np.cumsum(x, axis), axis, 0, include_initial)


@newer("cumulative_prod")
def cumulative_product(
    x: Array, *, axis: int | None = None, include_initial: bool = False
) -> Array:
    """Products of the elements so far."""
    axis = one_axis(x, axis)
    return with_initial(np.cumprod(x, axis), axis, 1, include_initial)


@newer("unstack")
def unstack(x: Array, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts along an axis."""
    return tuple(np.moveaxis(x, axis, 0))


@newer("vecdot", "linalg.vecdot")
def vecdot(x1: Array, x2: Array, *, axis: int = -1) -> Array:
    """Sums of products along an axis."""
    x1, x2 = np.moveaxis(as_array(x1), axis, -1), np.moveaxis(as_array(x2), axis, -1)
    return np.sum(x1 * x2, axis=-1)


@newer("matvec")
def matvec(x1: Array, x2: Array) -> Array:
    """Matrices times vectors."""
    return np.matmul(x1, as_array(x2)[..., None])[..., 0]


@newer("vecmat")
def vecmat(x1: Array, x2: Array) -> Array:
    """Vectors times matrices."""
    return np.matmul(as_array(x1)[..., None, :], x2)[..., 0, :]


@composite(np.real)
def real(val: Array) -> Array:
    """Real numbers, as they are."""
    return positive(val)


@composite(np.imag)
def imag(val: Array) -> Array:
    """Of real numbers: zeros."""
    return np.zeros_like(val)


@composite(np.angle)
def angle(z: Array, deg: bool = False) -> Array:
    """Of real numbers: pi where they are negative, and else 0, or nan."""
    return np.where(z < 0, 180.0 if deg else np.pi, np.where(np.isnan(z), np.nan, np.zeros_like(z)))


@composite(np.linspace)
def linspace(
    start: Array, stop: Array, num: int = 50, endpoint: bool = True, *, axis: int = 0
) -> Array:
    """So many numbers from one to another, at equal distances."""
    dtype = np.result_type(unwrapped(start), unwrapped(stop))
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    parts = (np.arange(num) / max(num - 1 if endpoint else num, 1)).astype(dtype)
    parts = parts.reshape((-1,) + (1,) * max(np.ndim(start), np.ndim(stop)))
    return np.moveaxis(start * (1 - parts) + stop * parts, 0, axis)


# ---- arrays of the same shape -------------------------------------------------------------------


@composite(np.full_like)
def full_like(a: Array, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Array:
    """A constant everywhere."""
    return wrap(np.full_like(unwrapped(a), fill_value, dtype=dtype, shape=shape))


@composite(np.empty_like)
def empty_like(prototype: Array, dtype: Any = None, *, shape: Any = None) -> Array:
    """Any values will do: zeros, which are the same in each run."""
    return np.full_like(prototype, 0, dtype=dtype, shape=shape)


# ---- functions that only look -------------------------------------------------------------------


def on_data(function: Callable[..., Any], reads: bool) -> Callable[..., Any]:
    """A NumPy function that looks at Tensors without being part of the computation."""

    def plain(value: Any) -> Any:
        if type(value) in (list, tuple):
            return type(value)(map(plain, value))
        return value._read("look") if reads and isinstance(value, Tensor) else unwrapped(value)

    def look(*args: Any, **kwargs: Any) -> Any:
        return function(*map(plain, args), **{name: plain(x) for name, x in kwargs.items()})

    return look


#: Functions that look at shapes and dtypes alone.
ABOUT_SHAPES: tuple[Any, ...] = (
    *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type, np.isrealobj),
    *(np.iscomplexobj, np.may_share_memory, np.shares_memory, np.einsum_path),
)
# What gives values back, such as np.unique or np.quantile, is not here: that would cut the graph.
LOOKING: tuple[Any, ...] = (
    *(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.argwhere),
    *(np.nonzero, np.flatnonzero, np.count_nonzero, np.searchsorted, np.digitize, np.lexsort),
    *(np.all, np.any, np.allclose, np.isclose, np.array_equal, np.array_equiv, np.isin),
    *(np.isposinf, np.isneginf, np.isreal, np.iscomplex, np.min_scalar_type),
    *(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from, np.ix_, np.unravel_index),
    *(np.array2string, np.array_repr, np.array_str),
    *(np.save, np.savetxt, np.savez, np.savez_compressed),
)
implementations.update({function: on_data(function, False) for function in ABOUT_SHAPES})
implementations.update({function: on_data(function, True) for function in LOOKING})


@composite(np.bincount)
def bincount(x: Array, *, minlength: int = 0) -> Array:
    """How often each number occurs; weights, which would be part of the computation, are not."""
    return on_data(np.bincount, True)(x, minlength=minlength)


@composite(np.histogram)
def histogram(a: Array, bins: Any = 10, range: Any = None) -> tuple[Array, Array]:
    """Counts of the elements in intervals, and the edges of these: for looking at, likewise."""
    counts, edges = on_data(np.histogram, True)(a, bins, range)
    return counts, edges


# ---- those of SciPy -----------------------------------------------------------------------------


def declare_those_of_scipy(function: Any) -> None:
    """Make the functions of `scipy.special` known when one of them is called: SciPy is there."""
    special = sys.modules.get("scipy.special")
    if special and getattr(special, getattr(function, "__name__", ""), None) is function:
        from . import special as _  # noqa: F401


declare_more.append(declare_those_of_scipy)
