"""NumPy's statistics and interpolation on Tensors: quantiles, covariances, what leaves nan out.

All are written in other ops.  At a tie, equal elements keep to the order in which they are sorted;
a nan that is left out gets no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .border import as_array
from .core.graph import Array
from .core.ops import Axis, Index, normalized, restored, scatter
from .core.primitive import composite
from .core.tensor import unwrapped
from .numpy_functions import gathered, mean, norm
from .refusals import described

# ---- without nan --------------------------------------------------------------------------------


def instead_of_nan(a: Array, value: float) -> Array:
    """The same elements, with another number for each nan."""
    return np.where(np.isnan(a), value, a)


def numbers(a: Array, axis: Axis, keepdims: bool = False) -> Array:
    """How many elements are no nan, in the dtype of these, or as float64."""
    dtype = a.dtype if a.dtype.kind == "f" else np.float64
    there = ~np.isnan(unwrapped(a))
    return np.asarray(np.sum(there, axis=axis, keepdims=keepdims, dtype=dtype))


def in_which_means_are_taken(a: Array) -> Array:
    """An array in a dtype in which its elements can be counted: float64 for integers."""
    if a.dtype.kind != "f":
        return a.astype(np.float64)
    return a.astype(np.float32) if a.dtype == np.float16 else a


@composite(np.nansum)
def nansum(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The sum of what is no nan."""
    return np.sum(instead_of_nan(a, 0), axis=axis, keepdims=keepdims)


@composite(np.nanprod)
def nanprod(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The product of what is no nan."""
    return np.prod(instead_of_nan(a, 1), axis=axis, keepdims=keepdims)


@composite(np.nancumsum)
def nancumsum(a: Array, axis: int | None = None) -> Array:
    """Sums of the elements so far that are no nan."""
    return np.cumsum(instead_of_nan(a, 0), axis)


@composite(np.nancumprod)
def nancumprod(a: Array, axis: int | None = None) -> Array:
    """Products of the elements so far that are no nan."""
    return np.cumprod(instead_of_nan(a, 1), axis)


def nan_extreme(function: Any, least: float) -> Callable[..., Array]:
    """`np.nanmax` or `np.nanmin`: nan only where there is nothing else."""

    def extreme(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
        if a.dtype.kind != "f":
            return function(a, axis=axis, keepdims=keepdims)
        y = function(instead_of_nan(a, least), axis=axis, keepdims=keepdims)
        return np.where(numbers(a, axis, keepdims) == 0, np.nan, y)

    return extreme


nanmax = composite(np.nanmax)(nan_extreme(np.max, -math.inf))
nanmin = composite(np.nanmin)(nan_extreme(np.min, math.inf))


@composite(np.nanmean)
def nanmean(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The mean of what is no nan."""
    x = in_which_means_are_taken(a)
    y = nansum(x, axis, keepdims=keepdims) / numbers(x, axis, keepdims)
    return y.astype(a.dtype) if a.dtype == np.float16 else y


def nan_deviation(a: Array, axis: Axis) -> Array:
    """How far each element is from the mean; 0 for a nan."""
    there = ~np.isnan(unwrapped(a))
    return np.where(there, instead_of_nan(a, 0) - nanmean(a, axis, keepdims=True), 0)


@composite(np.nanvar)
def nanvar(a: Array, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    """The mean square deviation from the mean of what is no nan."""
    x = in_which_means_are_taken(a)
    squares = np.sum(np.square(nan_deviation(x, axis)), axis=axis, keepdims=keepdims)
    y = squares / freedom(x, axis, keepdims, ddof)
    return y.astype(a.dtype) if a.dtype == np.float16 else y


def freedom(a: Array, axis: Axis, keepdims: bool, ddof: float) -> Array:
    """The divisor of a variance; nan where there are not enough elements for one."""
    n = numbers(a, axis, keepdims) - ddof
    return np.where(n > 0, n, np.nan)


@composite(np.nanstd)
def nanstd(a: Array, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    """The square root of `nanvar`; the subgradient at no deviation at all is 0."""
    x = in_which_means_are_taken(a)
    length = norm(nan_deviation(x, axis), axis=axis, keepdims=keepdims)
    y = length / np.sqrt(freedom(x, axis, keepdims, ddof))
    return y.astype(a.dtype) if a.dtype == np.float16 else y


# ---- order statistics ---------------------------------------------------------------------------

#: The place of the quantile q among n sorted numbers, from (alpha, beta): Hyndman and Fan, "Sample
#: Quantiles in Statistical Packages" (1996), of which NumPy's documentation has the formulas.
CONTINUOUS = {
    "linear": (1, 1),
    "weibull": (0, 0),
    "hazen": (1 / 2, 1 / 2),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
    "interpolated_inverted_cdf": (0, 1),
}
ROUNDED: dict[str, Callable[[Array], Array]] = {
    "lower": np.floor,
    "higher": np.ceil,
    "nearest": np.rint,
    "midpoint": lambda place: (np.floor(place) + np.ceil(place)) / 2,
}


def order_statistics(a: Array, q: Array, axis: Axis, method: str, count: Array | None) -> Array:
    """Quantiles of the sorted elements, of which the first ``count`` are taken, or all."""
    if method not in CONTINUOUS and method not in ROUNDED:
        known = ", ".join(sorted([*CONTINUOUS, *ROUNDED]))
        raise ValueError(f"method={method!r} is not supported; these are: {known}")
    exact = method in ("lower", "higher", "nearest")  # one of the elements
    a = a if exact or a.dtype.kind == "f" else a.astype(np.float64)
    if isinstance(q, int | float):  # as NumPy does
        q = np.asarray(q, a.dtype if a.dtype.kind == "f" else np.float64)
    q = as_array(q)
    rows = np.sort(gathered(a, axis), axis=0)
    if np.any((unwrapped(q) < 0) | (unwrapped(q) > 1)):
        raise ValueError(f"quantiles are between 0 and 1, and percentiles between 0 and 100: {q}")
    flat, n = rows.reshape((len(rows), -1)), len(rows) if count is None else count.reshape(-1)
    q_column = q.reshape((-1, 1))
    alpha, beta = CONTINUOUS.get(method, (1, 1))
    place = n * q_column + (alpha + q_column * (1 - alpha - beta)) - 1
    place = np.clip(ROUNDED[method](place) if method in ROUNDED else place, 0, n - 1)
    below = np.floor(unwrapped(place)).astype(int)
    above, columns = np.minimum(below + 1, n - 1).astype(int), np.arange(flat.shape[1])
    low = flat[below, columns]
    if exact:
        return low.reshape((*q.shape, *rows.shape[1:]))
    part = (place - below).astype(np.result_type(a.dtype, q.dtype))
    high = flat[above, columns]
    # an element as it is, or from the nearer one: what is infinite has no difference
    beside = np.where(np.isfinite(unwrapped(low)) | (unwrapped(part) > 0), high - low, 0)
    beside = np.where((unwrapped(part) > 0) | np.isfinite(unwrapped(high)), beside, 0)
    y = np.where(part < 0.5, low + beside * part, high - beside * (1 - part))
    return y.reshape((*q.shape, *rows.shape[1:]))


def with_kept_axes(y: Array, q: Array, a: Array, axis: Axis, keepdims: bool) -> Array:
    """Quantiles with the axes of the elements kept, if that is wanted."""
    if not keepdims:
        return y
    gone = normalized(axis, a.ndim)
    return y.reshape((*np.shape(q), *[1 if i in gone else n for i, n in enumerate(a.shape)]))


@composite(np.quantile)
def quantile(
    a: Array, q: Array, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Array:
    """The number below which a part q of the elements lies; nan if there is one."""
    a = as_array(a)
    y = order_statistics(a, q, axis, method, None)
    nan = np.any(np.isnan(unwrapped(a)), axis=axis)
    return with_kept_axes(np.where(nan, np.nan, y) if nan.any() else y, q, a, axis, keepdims)


@composite(np.nanquantile)
def nanquantile(
    a: Array, q: Array, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Array:
    """`np.quantile` of what is no nan."""
    a = as_array(a)
    count = numbers(a, axis)
    y = order_statistics(a, q, axis, method, np.maximum(count, 1))
    empty = count == 0
    return with_kept_axes(np.where(empty, np.nan, y) if empty.any() else y, q, a, axis, keepdims)


@composite(np.percentile)
def percentile(a: Array, q: Array, axis: Axis = None, **options: Any) -> Array:
    """`np.quantile`, in hundredths."""
    return quantile(a, as_array(q) / 100, axis, **options)


@composite(np.nanpercentile)
def nanpercentile(a: Array, q: Array, axis: Axis = None, **options: Any) -> Array:
    """`np.nanquantile`, in hundredths."""
    return nanquantile(a, as_array(q) / 100, axis, **options)


@composite(np.nanmedian)
def nanmedian(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The middle element of what is no nan, or the mean of the two."""
    return nanquantile(a, 0.5, axis, keepdims=keepdims)


@composite(np.median)
def median(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The middle element, or the mean of the two; nan if there is one."""
    rows = np.sort(gathered(a, axis), axis=0)
    n = len(rows)
    middle = mean(rows[(n - 1) // 2 : n // 2 + 1], 0)
    y = np.where(np.sum(np.isnan(rows), axis=0) > 0, np.nan, middle)
    return restored(y, a.shape, axis, False) if keepdims else y


# ---- how variables go together ------------------------------------------------------------------


@composite(np.cov)
def cov(
    m: Array,
    y: Array = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Array = None,
    aweights: Array = None,
) -> Array:
    """The covariance matrix of variables in rows, or in columns without ``rowvar``."""
    parts = [as_array(x) for x in (m, y) if x is not None]
    parts = [x.astype(np.result_type(x.dtype, np.float64)) for x in parts]
    in_columns = [not rowvar and x.ndim > 1 and (i == 0 or len(x) > 1) for i, x in enumerate(parts)]
    x = np.concatenate(
        [x.T if turned else np.atleast_2d(x) for x, turned in zip(parts, in_columns, strict=True)]
    )
    weights = [as_array(w) for w in (fweights, aweights) if w is not None]
    w = math.prod(weights[1:], start=weights[0]) if weights else np.ones(x.shape[1], x.dtype)
    total = np.sum(w)
    lost = (0 if bias else 1) if ddof is None else ddof
    if aweights is not None and lost:
        lost = lost * np.sum(w * as_array(aweights)) / total
    deviation = x - np.sum(x * w, axis=1, keepdims=True) / total
    return np.squeeze(np.matmul(deviation * w, deviation.T) / np.maximum(total - lost, 0))


@composite(np.corrcoef)
def corrcoef(x: Array, y: Array = None, rowvar: bool = True) -> Array:
    """Covariances in units of the standard deviations."""
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    spread = np.sqrt(np.diagonal(c))
    return c / spread[:, None] / spread[None, :]


# ---- between and beside given points ------------------------------------------------------------


@composite(np.interp)
def interp(x: Array, xp: Array, fp: Array, left: Array = None, right: Array = None) -> Array:
    """Straight lines through given points; constant outside of them. A node belongs to its right.

    Gradients flow to where it is asked, to the places of the points and to their values.
    """
    x, xp, fp = [y if y.dtype.kind == "f" else y.astype(float) for y in map(as_array, (x, xp, fp))]
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.shape[0]:
        raise ValueError(
            f"interp: xp of {described(xp)}, fp of {described(fp)}: 1-d, of one length"
        )
    last = xp.shape[0] - 1
    place = np.searchsorted(unwrapped(xp), unwrapped(x), side="right") - 1
    inside = np.clip(place, 0, last)
    beside = np.minimum(inside + 1, last)
    x0, y0 = xp[inside], fp[inside]
    width = np.where(beside > inside, xp[beside] - x0, 1)
    rise = fp[beside] - y0
    known = np.isfinite(unwrapped(rise)) | (unwrapped(x) != unwrapped(x0))  # at a node fp is y
    y = y0 + np.where(known, rise, 0) * ((x - x0) / width)
    y = np.where(x < xp[0], fp[0] if left is None else left, y)
    return np.where(x > xp[-1], fp[-1] if right is None else right, y)


@composite(np.gradient)
def gradient(f: Array, *varargs: Any, axis: Axis = None, edge_order: int = 1) -> Any:
    """Central differences inside, one-sided ones at the edges, along each axis."""
    axes = normalized(axis, f.ndim)
    steps: Sequence[Any] = (
        varargs * len(axes) if len(varargs) == 1 else varargs or [1.0] * len(axes)
    )
    if len(steps) != len(axes):
        raise TypeError(f"np.gradient takes no step, one, or one for each axis: {len(varargs)}")
    if edge_order not in (1, 2):
        raise ValueError(f"edge_order is 1 or 2, not {edge_order!r}")
    found = [slopes(f, i, h, edge_order) for i, h in zip(axes, steps, strict=True)]
    return found[0] if (len(found) == 1 and axis is not None) or f.ndim == 1 else tuple(found)


def slopes(f: Array, axis: int, step: Array, edge_order: int) -> Array:
    """The derivative along one axis; ``step`` is a distance, or the coordinates."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(
            f"np.gradient of {described(f)} needs {edge_order + 1} points along {axis}"
        )
    f = np.moveaxis(f if f.dtype.kind == "f" else f.astype(float), axis, -1)
    h = np.diff(step) if np.ndim(step) else step * np.ones(n - 1, f.dtype)
    h = h.astype(f.dtype) if f.dtype.kind == "f" else h
    slope = (f[..., 1:] - f[..., :-1]) / h
    if np.ndim(step):
        before, after = h[:-1] / (h[:-1] + h[1:]), h[1:] / (h[:-1] + h[1:])
        middle = after * slope[..., :-1] + before * slope[..., 1:]
    else:
        middle = (f[..., 2:] - f[..., :-2]) / (2 * h[1:])
    first, last = slope[..., :1], slope[..., -1:]
    if edge_order == 2:
        first = first + (first - slope[..., 1:2]) * h[0] / (h[0] + h[1])
        last = last + (last - slope[..., -2:-1]) * h[-1] / (h[-1] + h[-2])
    return np.moveaxis(np.concatenate([first, middle, last], -1), -1, axis)


# ---- elements that are chosen -------------------------------------------------------------------


@composite(np.choose)
def choose(a: Array, choices: Sequence[Array]) -> Array:
    """From the arrays in a list, the element of that which ``a`` numbers."""
    places = unwrapped(as_array(a))
    if np.any((places < 0) | (places >= len(choices))):
        raise ValueError(f"choose: numbers are 0 to {len(choices) - 1}, for so many choices")
    chosen = as_array(choices[0])
    for i, choice in enumerate(choices[1:], start=1):
        chosen = np.where(places == i, choice, chosen)
    return np.broadcast_to(chosen, np.broadcast_shapes(places.shape, chosen.shape))


@composite(np.compress)
def compress(condition: Array, a: Array, axis: int | None = None) -> Array:
    """The parts along an axis for which a condition holds."""
    return np.take(a, np.flatnonzero(unwrapped(as_array(condition))), axis=axis)


@composite(np.extract)
def extract(condition: Array, arr: Array) -> Array:
    """The elements for which a condition holds."""
    return arr.ravel()[np.flatnonzero(unwrapped(as_array(condition)))]


@composite(np.piecewise)
def piecewise(x: Array, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Array:
    """A function or a number for each condition, given only the elements for which it holds."""
    conditions = np.asarray(unwrapped(as_array(condlist)), bool)
    parts = [*(conditions if conditions.ndim > x.ndim else [conditions])]
    if len(funclist) == len(parts) + 1:
        parts.append(~np.any(parts, axis=0))
    y = np.zeros_like(x)
    for condition, function in zip(parts, funclist, strict=True):
        places = np.flatnonzero(condition)
        values = function(x.ravel()[places], *args, **kw) if callable(function) else function
        spread = np.broadcast_to(
            np.asarray(values) if np.isscalar(values) else values, places.shape
        )
        whole = scatter(spread.astype(x.dtype), places, key=(Index,), shape=(condition.size,))
        y = np.where(condition, whole.reshape(condition.shape), y)
    return y


@composite(np.partition)
def partition(a: Array, kth: Any, axis: int | None = -1) -> Array:
    """The elements with those of some ranks in their places, each with its own gradient."""
    if axis is None:
        a, axis = a.ravel(), -1
    return np.take_along_axis(a, np.argpartition(unwrapped(a), kth, axis=axis), axis)


@composite(np.unique)
def unique(ar: Array, *args: Any, **options: Any) -> Any:
    """The different elements, of data: what has a history would be another shape beside here."""
    if ar.requires_grad:
        raise TypeError(
            f"np.unique of the tensor {described(ar)}: how many elements there are depends on "
            f"their values, so there is no derivative. Write np.unique(t.data)"
        )
    return np.unique(unwrapped(ar), *args, **options)


@composite(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Array, *args: Any, **kwargs: Any) -> Array:
    """A function of vectors, of each vector along an axis."""
    rows = np.moveaxis(arr, axis, -1)
    flat = rows.reshape((-1, rows.shape[-1]))
    found = np.stack([func1d(row, *args, **kwargs) for row in flat])
    y = found.reshape(rows.shape[:-1] + found.shape[1:])
    places = range(rows.ndim - 1, y.ndim)
    return np.moveaxis(y, tuple(places), tuple([axis % arr.ndim + i for i in range(len(places))]))
