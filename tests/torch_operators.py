"""What PyTorch's operators are called here: one or two calls of NumPy or of this package for each.

A counterpart takes the arguments that the operator takes, by PyTorch's names; what its signature
does not have is an option that is not here, and `NotHereError` says so of a value.  Nothing of this
imports PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autograd_mini as ag
from autograd_mini.nn import functional
from autograd_mini.nn.ops import averaged

try:
    from autograd_mini import special
except ImportError:  # their rows are not there without SciPy
    special = None  # type: ignore[assignment]

Array = Any
Counterpart = Callable[..., Any]


class NotHereError(Exception):
    """An option of PyTorch's that has no counterpart."""


def only(holds: bool, what: str) -> None:
    """Refuse a sample unless a condition holds."""
    if not holds:
        raise NotHereError(what)


# ---- element by element -------------------------------------------------------------------------


def unary(function: Counterpart) -> Counterpart:
    return lambda x, inplace=False: function(x)


def binary(function: Counterpart) -> Counterpart:
    return lambda a, b: function(a, b)


def with_alpha(function: Counterpart) -> Counterpart:
    return lambda a, b, *, alpha=1: function(a, b if alpha == 1 else alpha * b)


def quotient(a: Array, b: Array, rounding_mode: str | None = None) -> Array:
    rounded = {None: np.positive, "trunc": np.trunc, "floor": np.floor}
    return rounded[rounding_mode](a / b)


def with_nan_replaced(
    x: Array, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Array:
    return np.nan_to_num(x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


def logit(x: Array, eps: float | None = None) -> Array:
    return special.logit(x if eps is None else np.clip(x, eps, 1 - eps))


ELEMENTWISE: dict[str, Counterpart] = {
    **{
        name: unary(getattr(np, name))
        for name in (
            *("abs", "ceil", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1", "floor", "i0"),
            *("log", "log10", "log1p", "log2", "positive", "rad2deg", "reciprocal", "sign"),
            *("sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "angle", "real"),
        )
    },
    **{
        name: binary(getattr(np, name))
        for name in (
            *("copysign", "float_power", "fmax", "fmin", "fmod", "hypot", "logaddexp"),
            *("logaddexp2", "maximum", "minimum", "remainder", "true_divide"),
        )
    },
    "acos": unary(np.arccos),
    "acosh": unary(np.arccosh),
    "asin": unary(np.arcsin),
    "asinh": unary(np.arcsinh),
    "atan": unary(np.arctan),
    "atanh": unary(np.arctanh),
    "conj": unary(np.conjugate),
    "conj_physical": unary(np.conjugate),
    "neg": unary(np.negative),
    "sgn": unary(np.sign),
    "frac": unary(lambda x: x - np.trunc(x)),
    "rsqrt": unary(lambda x: 1 / np.sqrt(x)),
    "round": unary(np.round),
    **{
        f"round:decimals_{which}": lambda x, decimals: np.round(x, decimals)
        for which in ("0", "3", "neg_3")
    },
    "clone": unary(np.copy),
    "contiguous": unary(np.copy),
    "double": unary(lambda x: x.astype(np.float64)),
    "atan2": binary(np.arctan2),
    "max:binary": binary(np.maximum),
    "min:binary": binary(np.minimum),
    "mul": binary(np.multiply),
    "pow": binary(np.power),
    "ldexp": binary(lambda a, b: a * 2**b),
    "add": with_alpha(np.add),
    "sub": with_alpha(np.subtract),
    "rsub": lambda a, b, *, alpha=1: b - alpha * a,
    "__radd__": binary(lambda a, b: b + a),
    "__rdiv__": binary(lambda a, b: b / a),
    "__rmatmul__": binary(lambda a, b: b @ a),
    "__rmod__": binary(lambda a, b: b % a),
    "__rmul__": binary(lambda a, b: b * a),
    "__rpow__": binary(lambda a, b: b**a),
    "__rsub__": binary(lambda a, b: b - a),
    **{
        f"div:{mode}": quotient for mode in ("no_rounding_mode", "trunc_rounding", "floor_rounding")
    },
    "addcdiv": lambda x, a, b, *, value=1: x + value * a / b,
    "addcmul": lambda x, a, b, *, value=1: x + value * a * b,
    "clamp": lambda x, min=None, max=None: np.clip(x, min, max),
    "clamp_max": lambda x, max: np.clip(x, None, max),
    "clamp_min": lambda x, min: np.clip(x, min, None),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "nan_to_num": with_nan_replaced,
    "where": lambda x, condition, other: np.where(condition, x, other),
    "masked_fill": lambda x, mask, value: np.where(mask, value, x),
}

SPECIAL: dict[str, Counterpart] = {}
if special is not None:
    SPECIAL = {
        "digamma": unary(special.digamma),
        "erf": unary(special.erf),
        "erfc": unary(special.erfc),
        "erfinv": unary(special.erfinv),
        "lgamma": unary(special.gammaln),
        "logit": logit,
        "special.entr": unary(special.entr),
        "special.ndtr": unary(special.ndtr),
        "xlogy": binary(special.xlogy),
        "special.xlog1py": binary(lambda a, b: special.xlogy(a, 1 + b)),
        "special.polygamma:special_polygamma_n_0": lambda x, n: special.polygamma(n, x),
        **{f"polygamma:polygamma_n_{n}": lambda x, n: special.polygamma(n, x) for n in range(5)},
    }


# ---- reductions ---------------------------------------------------------------------------------


def axes(dim: Any) -> Any:
    """NumPy's axes, which are a tuple where PyTorch's are a list."""
    return tuple(dim) if isinstance(dim, list) else dim


def reduction(function: Counterpart) -> Counterpart:
    def reduce(x: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
        options = {} if dtype is None else {"dtype": dtype}
        return function(x, axis=axes(dim), keepdims=keepdim, **options)

    return reduce


def degrees_lost(unbiased: bool | None, correction: float | None) -> float:
    if correction is None:
        return 1 if unbiased is None else int(unbiased)
    return correction


def deviation(function: Counterpart) -> Counterpart:
    """A variance, of which PyTorch's first argument is the dimension or ``unbiased``."""

    def reduce(
        x: Array,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        correction: float | None = None,
    ) -> Array:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        axis = None if dim == () else axes(dim)
        return function(x, axis=axis, ddof=degrees_lost(unbiased, correction), keepdims=keepdim)

    return reduce


def both(*functions: Counterpart) -> Counterpart:
    """Several reductions as one operator."""
    return lambda *args, **kwargs: tuple([f(*args, **kwargs) for f in functions])


def middle(function: Counterpart) -> Counterpart:
    """PyTorch's median, which of two is the lower one."""

    def reduce(x: Array, dim: Any = None, keepdim: bool = False) -> Array:
        return function(x, 0.5, axis=dim, method="lower", keepdims=keepdim)

    return reduce


def quantile(function: Counterpart) -> Counterpart:
    def reduce(
        x: Array, q: Array, dim: Any = None, keepdim: bool = False, interpolation: str = "linear"
    ) -> Array:
        return function(x, q, axis=dim, keepdims=keepdim, method=interpolation)

    return reduce


def norm(x: Array, p: Any = "fro", dim: Any = None, keepdim: bool = False) -> Array:
    """`torch.norm`, which is that of vectors but for "nuc"."""
    if p == "nuc":
        return np.linalg.norm(x, p, (0, 1) if dim is None else axes(dim), keepdim)
    return vector_norm(x, 2 if p in ("fro", None) else p, dim, keepdim)


def norm_of_any(x: Array, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Array:
    """`torch.linalg.norm`, which flattens an array of any number of axes."""
    if ord is None and dim is None:
        return np.linalg.vector_norm(x, keepdims=keepdim)
    return np.linalg.norm(x, ord, axes(dim), keepdim)


def vector_norm(x: Array, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Array:
    return np.linalg.vector_norm(x, ord=ord, axis=axes(dim), keepdims=keepdim)


def matrix_norm(x: Array, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Array:
    return np.linalg.norm(x, ord, axes(dim), keepdim)


REDUCTIONS: dict[str, Counterpart] = {
    "amax": reduction(np.max),
    "amin": reduction(np.min),
    "aminmax": both(reduction(np.min), reduction(np.max)),
    "logsumexp": reduction(ag.logsumexp),
    "max:reduction_no_dim": reduction(np.max),
    "max:reduction_with_dim": reduction(np.max),
    "mean": reduction(np.mean),
    "min:reduction_no_dim": reduction(np.min),
    "min:reduction_with_dim": reduction(np.min),
    "nanmean": reduction(np.nanmean),
    "nansum": reduction(np.nansum),
    "prod": reduction(np.prod),
    "sum": reduction(np.sum),
    "median": middle(np.quantile),
    "nanmedian": middle(np.nanquantile),
    "nanquantile": quantile(np.nanquantile),
    "quantile": quantile(np.quantile),
    **{
        name + variant: function
        for variant in ("", ":unbiased")
        for name, function in {
            "std": deviation(np.std),
            "std_mean": both(deviation(np.std), deviation(lambda x, ddof, **o: np.mean(x, **o))),
            "var": deviation(np.var),
            "var_mean": both(deviation(np.var), deviation(lambda x, ddof, **o: np.mean(x, **o))),
        }.items()
    },
    "norm": norm,
    "norm:fro": norm,
    "norm:inf": norm,
    "norm:nuc": norm,
    "linalg.matrix_norm": matrix_norm,
    "linalg.norm": norm_of_any,
    "linalg.norm:subgradients_at_zero": norm_of_any,
    "linalg.vector_norm": vector_norm,
    "cummax": lambda x, dim: np.maximum.accumulate(x, axis=dim),
    "cummin": lambda x, dim: np.minimum.accumulate(x, axis=dim),
    "cumprod": lambda x, dim: np.cumprod(x, dim),
    "cumsum": lambda x, dim: np.cumsum(x, dim),
    "corrcoef": lambda x: np.corrcoef(x),
    "cov": lambda x, correction=1, fweights=None, aweights=None: np.cov(
        x, ddof=correction, fweights=fweights, aweights=aweights
    ),
    "dist": lambda a, b, p=2: np.linalg.vector_norm(a - b, ord=p),
}


# ---- of the elements that a mask leaves ---------------------------------------------------------


def masked(function: Counterpart, **options: Any) -> Counterpart:
    def reduce(x: Array, dim: Any = None, keepdim: bool = False, mask: Array = None) -> Array:
        where = True if mask is None else mask
        return function(x, axis=axes(dim), keepdims=keepdim, where=where, **options)

    return reduce


def masked_deviation(function: Counterpart) -> Counterpart:
    def reduce(
        x: Array,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        correction: float | None = None,
        mask: Array = None,
    ) -> Array:
        where, ddof = True if mask is None else mask, degrees_lost(unbiased, correction)
        return function(x, axis=axes(dim), ddof=ddof, keepdims=keepdim, where=where)

    return reduce


def filled(x: Array, mask: Array, value: float) -> Array:
    return x if mask is None else np.where(mask, x, value)


def after_filling(value: float, function: Counterpart) -> Counterpart:
    return lambda x, *args, mask=None, **kwargs: function(filled(x, mask, value), *args, **kwargs)


def masked_norm(
    x: Array, ord: float, dim: Any = None, keepdim: bool = False, mask: Array = None
) -> Array:
    return vector_norm(filled(x, mask, math.inf if ord == -math.inf else 0), ord, dim, keepdim)


def masked_logaddexp(
    a: Array, b: Array, input_mask: Array = None, other_mask: Array = None
) -> Array:
    return np.logaddexp(filled(a, input_mask, -math.inf), filled(b, other_mask, -math.inf))


def normalized(x: Array, ord: float, dim: int, eps: float = 1e-12) -> Array:
    return x / np.maximum(np.linalg.norm(x, ord, dim, keepdims=True), eps)


MASKED: dict[str, Counterpart] = {
    "masked.amax": masked(np.max, initial=-math.inf),
    "masked.amin": masked(np.min, initial=math.inf),
    "masked.mean": masked(np.mean),
    "masked.prod": masked(np.prod),
    "masked.sum": masked(np.sum),
    "masked.std": masked_deviation(np.std),
    "masked.var": masked_deviation(np.var),
    "masked.cumprod": after_filling(1, lambda x, dim: np.cumprod(x, dim)),
    "masked.cumsum": after_filling(0, lambda x, dim: np.cumsum(x, dim)),
    "masked.log_softmax": after_filling(-math.inf, lambda x, dim: ag.log_softmax(x, axis=dim)),
    "masked.logaddexp": masked_logaddexp,
    "masked.logsumexp": after_filling(-math.inf, reduction(ag.logsumexp)),
    "masked.median": after_filling(math.nan, middle(np.nanquantile)),
    "masked.norm": masked_norm,
    "masked.normalize": after_filling(0, normalized),
    "masked.softmax": after_filling(-math.inf, lambda x, dim: ag.softmax(x, axis=dim)),
    "masked.softmin": after_filling(math.inf, lambda x, dim: ag.softmax(-x, axis=dim)),
    "masked_select": lambda x, mask: np.broadcast_arrays(x, mask)[0][
        np.broadcast_to(mask, np.broadcast_shapes(x.shape, mask.shape))
    ],
}


# ---- shapes -------------------------------------------------------------------------------------


def along(x: Array, dim: int, part: Any) -> Array:
    """A part of an array along one axis."""
    only(x.ndim > 0, "an axis of an array that has none")
    return x[(slice(None),) * (dim % x.ndim) + (part,)]


def narrow(x: Array, dim: int, start: Any, length: int) -> Array:
    return along(x, dim, np.arange(int(start), int(start) + length))


def sliced(
    x: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Array:
    return along(x, dim, slice(start, end, step))


def in_parts(x: Array, sizes: int | Sequence[int], dim: int = 0) -> list[Array]:
    """Parts of these sizes, or all of one size, but for the last."""
    n = x.shape[dim]
    ends = range(sizes, n, sizes) if isinstance(sizes, int) else np.cumsum(sizes)[:-1]
    return np.split(x, ends, dim)


def chunk(x: Array, chunks: int, dim: int = 0) -> list[Array]:
    return in_parts(x, -(-x.shape[dim] // chunks), dim)


def tensor_split(x: Array, indices: Any, dim: int = 0) -> list[Array]:
    return np.array_split(x, int(indices) if np.ndim(indices) == 0 else list(indices), dim)


def flatten(x: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    only(x.ndim > 0, "an axis of an array that has none")
    first, last = start_dim % x.ndim, end_dim % x.ndim
    return np.reshape(x, (*x.shape[:first], -1, *x.shape[last + 1 :]))


def unflatten(x: Array, dim: int, sizes: Sequence[int]) -> Array:
    return np.reshape(x, (*x.shape[: dim % x.ndim], *sizes, *x.shape[dim % x.ndim + 1 :]))


def expand(x: Array, shape: Sequence[int]) -> Array:
    old = (1,) * (len(shape) - x.ndim) + x.shape
    return np.broadcast_to(x, [m if n == -1 else n for m, n in zip(old, shape, strict=True)])


def repeat(x: Array, *sizes: Any) -> Array:
    counts = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    return np.tile(x, tuple(counts))


def repeat_interleave(
    x: Array, repeats: Any, dim: int | None = None, output_size: int | None = None
) -> Array:
    return np.repeat(x, repeats, dim)


def permute(x: Array, *dims: Any) -> Array:
    return np.transpose(x, *(dims if len(dims) == 1 else [dims]))


def sort(x: Array, dim: int = -1, descending: bool = False, stable: bool = False) -> Array:
    return np.flip(np.sort(x, dim), dim) if descending else np.sort(x, dim)


def topk(x: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Array:
    return np.take(sort(x, dim, largest), range(k), dim)


def kthvalue(x: Array, k: int, dim: int = -1, keepdim: bool = False) -> Array:
    return np.take(np.sort(x, dim), [k - 1] if keepdim else k - 1, dim)


def index_fill(x: Array, dim: int, index: Array, value: Array) -> Array:
    shape = [-1 if i == dim % x.ndim else 1 for i in range(x.ndim)]
    return np.where(np.isin(np.arange(x.shape[dim]), index).reshape(shape), value, x)


def diff(x: Array, n: int = 1, dim: int = -1, prepend: Array = None, append: Array = None) -> Array:
    ends = {"prepend": prepend, "append": append}
    return np.diff(x, n, dim, **{name: end for name, end in ends.items() if end is not None})


def gradient(x: Array, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> Any:
    steps = [] if spacing is None else spacing if isinstance(spacing, list) else [spacing]
    axis = dim if isinstance(dim, int | None) else tuple(dim)
    return np.gradient(x, *steps, axis=axis, edge_order=edge_order)


def trapezoid(y: Array, x: Array = None, dim: int = -1, dx: float = 1.0) -> Array:
    return np.trapezoid(y, x, dx, dim)


def pad(
    x: Array, widths: Sequence[int], mode: str = "constant", value: float | None = None
) -> Array:
    """PyTorch's widths are those of the last axis, then those of the last but one, and so on."""
    only(min(widths, default=0) >= 0, "negative widths, which cut")
    sides = list(zip(widths[::2], widths[1::2], strict=True))
    pairs = [(0, 0)] * (x.ndim - len(sides)) + sides[::-1]
    if mode == "constant":
        return np.pad(x, pairs, constant_values=0 if value is None else value)
    return np.pad(x, pairs, {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])


SHAPES: dict[str, Counterpart] = {
    "H": unary(lambda x: np.conjugate(x).T),
    "T": unary(lambda x: x.T),
    "mH": unary(lambda x: np.conjugate(x).mT),
    "mT": unary(lambda x: x.mT),
    "__getitem__": lambda x, key: x[key],
    "atleast_1d": lambda *xs: np.atleast_1d(*(xs[0] if isinstance(xs[0], list) else xs)),
    "atleast_2d": lambda *xs: np.atleast_2d(*(xs[0] if isinstance(xs[0], list) else xs)),
    "atleast_3d": lambda *xs: np.atleast_3d(*(xs[0] if isinstance(xs[0], list) else xs)),
    "broadcast_tensors": lambda *xs: np.broadcast_arrays(*xs),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "cartesian_prod": lambda *xs: np.stack(np.meshgrid(*xs, indexing="ij"), -1).reshape(
        (-1, len(xs)) if len(xs) > 1 else -1
    ),
    "cat": lambda xs, dim=0: np.concatenate(xs, dim),
    "chunk": chunk,
    "unsafe_chunk": chunk,
    "column_stack": lambda xs: np.column_stack(xs),
    "constant_pad_nd": lambda x, widths, value=0: pad(x, widths, value=value),
    "diag": lambda x, diagonal=0: np.diag(x, diagonal),
    "diagflat": lambda x, offset=0: np.diagflat(x, offset),
    "diff": diff,
    "dsplit": lambda x, parts: np.dsplit(x, parts),
    "dstack": lambda xs: np.dstack(xs),
    "expand_as": lambda x, other: np.broadcast_to(x, other.shape),
    "fft.fftshift": lambda x, dim=None: np.fft.fftshift(x, axes(dim)),
    "fft.ifftshift": lambda x, dim=None: np.fft.ifftshift(x, axes(dim)),
    "flatten": flatten,
    "flip": lambda x, dims: np.flip(x, axes(dims)),
    "fliplr": unary(np.fliplr),
    "flipud": unary(np.flipud),
    "gather": lambda x, dim, index: np.take_along_axis(x, index, dim),
    "gradient": gradient,
    "hsplit": lambda x, parts: np.hsplit(x, parts),
    "hstack": lambda xs: np.hstack(xs),
    "index_fill": index_fill,
    "index_select": lambda x, dim, index: np.take(x, index, dim),
    "kthvalue": kthvalue,
    "linalg.diagonal": lambda x, *, offset=0, dim1=-2, dim2=-1: np.diagonal(x, offset, dim1, dim2),
    "meshgrid:list_of_tensors": lambda xs, indexing="ij": np.meshgrid(*xs, indexing=indexing),
    "meshgrid:variadic_tensors": lambda *xs, indexing="ij": np.meshgrid(*xs, indexing=indexing),
    "movedim": lambda x, source, destination: np.moveaxis(x, source, destination),
    "msort": lambda x: np.sort(x, 0),
    "ravel": unary(np.ravel),
    "repeat": repeat,
    "repeat_interleave": repeat_interleave,
    "reshape": lambda x, shape: np.reshape(x, shape),
    "reshape_as": lambda x, other: np.reshape(x, other.shape),
    "view": lambda x, shape: np.reshape(x, shape),
    "view_as": lambda x, other: np.reshape(x, other.shape),
    "roll": lambda x, shifts, dims=None: np.roll(x, shifts, dims),
    "rot90": lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
    "select": lambda x, dim, index: np.take(x, index, dim),
    "slice": sliced,
    "sort": sort,
    "split": in_parts,
    "split:list_args": in_parts,
    "unsafe_split": in_parts,
    "squeeze:multiple": lambda x, dim: np.squeeze(x, axes(dim)),
    "stack": lambda xs, dim=0: np.stack(xs, dim),
    "take": lambda x, index: np.take(x, index),
    "take_along_dim": lambda x, indices, dim=None: np.take_along_axis(x, indices, dim),
    "tensor_split": tensor_split,
    "tile": lambda x, dims: np.tile(x, dims),
    "topk": topk,
    "trapezoid": trapezoid,
    "trapz": trapezoid,
    "tril": lambda x, diagonal=0: np.tril(x, diagonal),
    "triu": lambda x, diagonal=0: np.triu(x, diagonal),
    "unflatten": unflatten,
    "vsplit": lambda x, parts: np.vsplit(x, parts),
    "vstack": lambda xs: np.vstack(xs),
    **{
        name + variant: function
        for variant in ("", "_copy")
        for name, function in {
            "diagonal": lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
            "expand": expand,
            "narrow": narrow,
            "permute": permute,
            "split_with_sizes": in_parts,
            "squeeze": lambda x, dim=None: np.squeeze(x, dim),
            "t": lambda x: x.T,
            "transpose": lambda x, dim0, dim1: np.swapaxes(x, dim0, dim1),
            "unbind": lambda x, dim=0: np.unstack(x, axis=dim),
            "unsqueeze": lambda x, dim: np.expand_dims(x, dim),
        }.items()
    },
    "view_copy": lambda x, shape: np.reshape(x, shape),
}


# ---- products and linear algebra ----------------------------------------------------------------


def scaled_sum(product: Counterpart) -> Counterpart:
    """``beta * c + alpha * product(a, b)``."""
    return lambda c, a, b, *, beta=1, alpha=1: beta * c + alpha * product(a, b)


def triangle(a: Array, upper: bool, unitriangular: bool = False) -> Array:
    """What PyTorch's functions of a triangle read."""
    inside = int(unitriangular)
    part = np.triu(a, inside) if upper else np.tril(a, -inside)
    return part + np.eye(a.shape[-1]) if unitriangular else part


def solve(a: Array, b: Array, *, left: bool = True) -> Array:
    """Of PyTorch's vectors also stacks, which NumPy 2 reads as matrices."""
    if b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1]):
        only(left, "vectors on the left")
        return np.linalg.solve(a, b[..., None])[..., 0]
    return np.linalg.solve(a, b) if left else np.linalg.solve(a.mT, b.mT).mT


def solve_triangular(
    a: Array, b: Array, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Array:
    return solve(triangle(a, upper, unitriangular), b, left=left)


def solve_triangular_of_old(
    b: Array, a: Array, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Array:
    a = triangle(a, upper, unitriangular)
    return np.linalg.solve(a.mT if transpose else a, b)


def from_root(root: Array, upper: bool) -> Array:
    """The matrix of which this is Cholesky's triangle."""
    return root.mT @ root if upper else root @ root.mT


def cholesky(x: Array, upper: bool = False, check_errors: bool = False) -> Array:
    return np.linalg.cholesky(x, upper=upper)


def distances(a: Array, b: Array, p: float = 2, compute_mode: str = "") -> Array:
    return np.linalg.vector_norm(a[..., :, None, :] - b[..., None, :, :], ord=p, axis=-1)


def distances_of_pairs(x: Array, p: float = 2) -> Array:
    i, j = np.triu_indices(len(x), 1)
    return np.linalg.vector_norm(x[i] - x[j], ord=p, axis=-1)


def svd(x: Array, full_matrices: bool = True) -> Any:
    return np.linalg.svd(x, full_matrices=False)  # of the others' columns only some are determined


def qr(x: Array, mode: str = "reduced") -> Any:
    rows, columns = x.shape[-2:]
    only(mode != "complete" or rows <= columns, "columns that are not determined")
    return (np.linalg.qr(x, "r"),) if mode == "r" else np.linalg.qr(x, mode)


LINEAR: dict[str, Counterpart] = {
    "addbmm": scaled_sum(lambda a, b: np.sum(a @ b, axis=0)),
    "addmm": scaled_sum(np.matmul),
    "addmm:decomposed": scaled_sum(np.matmul),
    "addmv": scaled_sum(np.matmul),
    "addr": scaled_sum(np.outer),
    "baddbmm": scaled_sum(np.matmul),
    "bmm": binary(np.matmul),
    "matmul": binary(np.matmul),
    "mm": binary(np.matmul),
    "mv": binary(np.matmul),
    "dot": binary(np.dot),
    "inner": binary(np.inner),
    "kron": binary(np.kron),
    "outer": binary(np.outer),
    "vdot": binary(np.vdot),
    "cross": lambda a, b, dim=-1: np.cross(a, b, axis=dim),
    "einsum": lambda operands, equation: np.einsum(equation, *operands),
    "tensordot": lambda a, b, dims=2: np.tensordot(a, b, dims),
    "trace": lambda x: np.trace(x),
    "cdist": distances,
    "nn.functional.pdist": distances_of_pairs,
    "cholesky": cholesky,
    "linalg.cholesky": cholesky,
    "linalg.cholesky_ex": cholesky,
    "cholesky_inverse": lambda root, upper=False: np.linalg.inv(from_root(root, upper)),
    "cholesky_solve": lambda b, root, upper=False: np.linalg.solve(from_root(root, upper), b),
    "linalg.inv": lambda x: np.linalg.inv(x),
    "linalg.inv_ex": lambda x, check_errors=False: np.linalg.inv(x),
    "linalg.cross": lambda a, b, dim=-1: np.cross(a, b, axis=dim),
    "linalg.det": lambda x: np.linalg.det(x),
    "linalg.eigh": lambda x, UPLO="L": np.linalg.eigh(x, UPLO),
    "linalg.eigvalsh": lambda x, UPLO="L": np.linalg.eigvalsh(x, UPLO),
    "linalg.lstsq": lambda a, b, driver=None: np.linalg.lstsq(a, b)[0],
    "linalg.lstsq:grad_oriented": lambda a, b, driver=None: np.linalg.lstsq(a, b)[0],
    "linalg.matrix_power": lambda x, n: np.linalg.matrix_power(x, n),
    "linalg.multi_dot": lambda xs: np.linalg.multi_dot(xs),
    "linalg.pinv": lambda x, rtol=None: np.linalg.pinv(x, rtol=rtol),
    "linalg.pinv:singular": lambda a, b: np.linalg.pinv(a @ b.mT),
    "pinverse": lambda x, rcond=1e-15: np.linalg.pinv(x, rcond),
    "linalg.qr": qr,
    "qr": lambda x, some=True: qr(x, "reduced" if some else "complete"),
    "linalg.slogdet": lambda x: tuple(np.linalg.slogdet(x)),
    "logdet": lambda x: np.linalg.slogdet(x)[1],
    "linalg.solve": solve,
    "linalg.solve_ex": lambda a, b, *, left=True, check_errors=False: solve(a, b, left=left),
    "linalg.solve_triangular": solve_triangular,
    "triangular_solve": solve_triangular_of_old,
    "linalg.svd": svd,
    "linalg.svdvals": lambda x: np.linalg.svdvals(x),
    "svd": lambda x, some=True: (*svd(x)[:2], svd(x)[2].mT),
    "linalg.vander": lambda x, *, N=None: np.vander(x, N, increasing=True),
    "linalg.vecdot": lambda a, b, *, dim=-1: np.vecdot(a, b, axis=dim),
}


# ---- networks -----------------------------------------------------------------------------------


def last(x: Array, axis: int = 1) -> Array:
    """With the classes on the last axis, which are on the second in PyTorch."""
    return np.moveaxis(x, axis if x.ndim > 1 else 0, -1)


def softmax(x: Array, dim: int, dtype: Any = None) -> Array:
    return ag.softmax(x if dtype is None else x.astype(dtype), axis=dim)


def log_softmax(x: Array, dim: int, dtype: Any = None) -> Array:
    return ag.log_softmax(x if dtype is None else x.astype(dtype), axis=dim)


def softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    return np.where(beta * x > threshold, x, ag.softplus(beta * x) / beta)


def gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return ag.gelu(x)
    only(special is not None, "the error function")
    return x * special.ndtr(x)


def elu(x: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    return ag.elu(x, alpha)


def selu(x: Array, inplace: bool = False) -> Array:
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * ag.elu(x, alpha)


def prelu(x: Array, weight: Array) -> Array:
    if np.ndim(weight) and x.ndim > 1:
        weight = np.reshape(weight, (-1,) + (1,) * (x.ndim - 2))
    return np.where(x > 0, x, weight * x)


def dropout(x: Array, p: float = 0.5, training: bool = True, inplace: bool = False) -> Array:
    only(p == 0 or not training, "PyTorch's random numbers")
    rng = np.random.default_rng(0)
    return functional.dropout(x, p, training=training, rng=rng) if p < 1 else x * 1


def glu(x: Array, dim: int = -1) -> Array:
    a, b = np.split(x, 2, dim)
    return a * ag.sigmoid(b)


def attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
) -> Array:
    """Vaswani and others, "Attention Is All You Need" (2017), equation 1."""
    only(dropout_p == 0, "PyTorch's random numbers")
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -math.inf)
    return ag.softmax(scores if attn_mask is None else scores + attn_mask) @ value


def embedding(weight: Array, indices: Array) -> Array:
    return np.take(weight, indices, axis=0)


def standardised(
    x: Array, over: tuple[int, ...], weight: Array, bias: Array, eps: float, channels: int
) -> Array:
    """With mean 0 and variance 1 over some axes; weight and bias are of axes from one on."""
    y = (x - np.mean(x, over, keepdims=True)) / np.sqrt(np.var(x, over, keepdims=True) + eps)
    return affine(y, weight, bias, channels)


def affine(y: Array, weight: Array, bias: Array, channels: int) -> Array:
    def placed(w: Array) -> Array:
        return np.reshape(w, w.shape + (1,) * (y.ndim - channels - w.ndim))

    y = y if weight is None else y * placed(weight)
    return y if bias is None else y + placed(bias)


def batch_norm(
    x: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array = None,
    bias: Array = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    if training:
        return standardised(x, (0, *range(2, x.ndim)), weight, bias, eps, 1)
    centred = affine(x, None, -running_mean, 1)
    return affine(affine(centred, 1 / np.sqrt(running_var + eps), None, 1), weight, bias, 1)


def instance_norm(
    x: Array,
    running_mean: Array = None,
    running_var: Array = None,
    weight: Array = None,
    bias: Array = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    only(use_input_stats, "running statistics")
    return standardised(x, tuple(range(2, x.ndim)), weight, bias, eps, 1)


def group_norm(
    x: Array, num_groups: int, weight: Array = None, bias: Array = None, eps: float = 1e-5
) -> Array:
    groups = np.reshape(x, (len(x), num_groups, x.shape[1] // num_groups, *x.shape[2:]))
    y = standardised(groups, tuple(range(2, groups.ndim)), None, None, eps, 1)
    return affine(y.reshape(x.shape), weight, bias, 1)


def layer_norm(
    x: Array,
    normalized_shape: Sequence[int],
    weight: Array = None,
    bias: Array = None,
    eps: float = 1e-5,
) -> Array:
    first = x.ndim - len(normalized_shape)
    return standardised(x, tuple(range(first, x.ndim)), weight, bias, eps, first)


def rms_norm(
    x: Array, normalized_shape: Sequence[int], weight: Array = None, eps: float | None = None
) -> Array:
    first = x.ndim - len(normalized_shape)
    over = tuple(range(first, x.ndim))
    eps = np.finfo(np.float64).eps if eps is None else eps
    y = x / np.sqrt(np.mean(np.square(x), over, keepdims=True) + eps)
    return affine(y, weight, None, first)


def cosine_similarity(a: Array, b: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    a, b = np.broadcast_arrays(a, b)
    lengths = [np.maximum(np.linalg.norm(x, axis=dim), eps) for x in (a, b)]
    return np.sum(a * b, axis=dim) / (lengths[0] * lengths[1])


def pairwise_distance(
    a: Array, b: Array, p: float = 2, eps: float = 1e-6, keepdim: bool = False
) -> Array:
    return np.linalg.vector_norm(a - b + eps, ord=p, axis=-1, keepdims=keepdim)


# ---- convolution and pooling --------------------------------------------------------------------


def one(value: Any) -> Any:
    """A number that PyTorch also takes in a list."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def plain(dilation: Any, ceil_mode: bool = False, groups: int = 1) -> None:
    """Refuse what these functions here do not have."""
    only(set(np.ravel(dilation)) == {1}, "dilation")
    only(not ceil_mode, "windows that are cut off")
    only(groups == 1, "groups")


def images(function: Counterpart, x: Array, *args: Any, rows: bool, **kwargs: Any) -> Array:
    """A function of images of four axes: here of one image alone, or of ``rows`` of pixels."""
    shape = x.shape
    if rows:
        x = x[..., None, :]
    y = function(x if x.ndim == 4 else x[None], *args, **kwargs)
    y = y if len(shape) + rows == 4 else y[0]
    return y[..., 0, :] if rows else y


def in_row(value: Any, across: int) -> Any:
    """What holds along a row of pixels, and across it."""
    return None if value is None else (across, one(value))


def convolution(rows: bool) -> Counterpart:
    def convolve(
        x: Array,
        weight: Array,
        bias: Array = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Array:
        plain(dilation, groups=groups)
        only(padding != "same", "a padding that depends on the kernel")
        padding = 0 if padding == "valid" else padding
        if rows:
            weight, stride, padding = weight[..., None, :], in_row(stride, 1), in_row(padding, 0)
        stride, padding = one(stride), one(padding)
        return images(functional.conv2d, x, weight, bias, rows=rows, stride=stride, padding=padding)

    return convolve


def pooling(function: Counterpart, rows: bool) -> Counterpart:
    def pool(
        x: Array,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Array:
        plain(dilation, ceil_mode)
        stride = None if stride == [] else stride
        if rows:
            kernel_size, stride = in_row(kernel_size, 1), in_row(stride, 1)
            padding = in_row(padding, 0)
        sizes = {"stride": one(stride), "padding": one(padding)}
        return images(function, x, one(kernel_size), rows=rows, **sizes)

    return pool


def mean_pooling(rows: bool) -> Counterpart:
    pool = pooling(functional.avg_pool2d, rows)

    def pool_means(
        x: Array,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Array:
        only(divisor_override is None, "another divisor")
        only(count_include_pad or not np.any(padding), "a divisor that depends on the place")
        return pool(x, kernel_size, stride, padding, ceil_mode=ceil_mode)

    return pool_means


# ---- losses -------------------------------------------------------------------------------------


def loss(function: Counterpart) -> Counterpart:
    """A loss of each element, and what is made of them."""

    def reduced(*args: Any, reduction: str = "mean", **kwargs: Any) -> Array:
        return averaged(function(*args, **kwargs), reduction)

    return reduced


def cross_entropy(
    logits: Array,
    labels: Array,
    weight: Array = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    of_classes = labels.dtype.kind == "i"
    only(label_smoothing == 0, "smoothed labels")
    only(not of_classes or not np.any(labels == ignore_index), "labels that do not count")
    if of_classes:
        return weighted(functional.cross_entropy, last(logits), labels, weight, reduction)
    if weight is None:
        losses = functional.cross_entropy(last(logits), last(labels), reduction="none")
        return averaged(losses, reduction)
    return averaged(-np.sum(weight * last(labels) * ag.log_softmax(last(logits)), -1), reduction)


def weighted(
    function: Counterpart, outputs: Array, labels: Array, weight: Array, reduction: str
) -> Array:
    """A loss of class labels; the mean is by the weights of the classes."""
    losses = function(outputs, labels, reduction="none")
    if weight is None:
        return averaged(losses, reduction)
    losses = losses * weight[labels]
    if reduction == "mean":
        return np.sum(losses) / np.sum(weight[labels])
    return averaged(losses, reduction)


def nll_loss(
    outputs: Array,
    labels: Array,
    weight: Array = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """PyTorch's samples are no logarithms of probabilities, which ``functional.nll_loss`` wants."""

    def chosen(outputs: Array, labels: Array, reduction: str) -> Array:
        return -np.take_along_axis(outputs, labels[..., None], -1)[..., 0]

    only(not np.any(labels == ignore_index), "labels that do not count")
    return weighted(chosen, last(outputs), labels, weight, reduction)


def linear_cross_entropy(
    x: Array,
    weight_of_layer: Array,
    labels: Array,
    linear_bias: Array = None,
    weight: Array = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    options: Any = None,  # in how many parts it is computed
) -> Array:
    only(weight_of_layer.ndim == 2 and x.ndim <= 2, "layers of several axes")
    logits = functional.linear(x, weight_of_layer, linear_bias)
    return cross_entropy(logits, labels, weight, ignore_index, reduction, label_smoothing)


def with_weights(function: Counterpart) -> Counterpart:
    @loss
    def losses(x: Array, targets: Array, weight: Array = None) -> Array:
        found = function(x, targets, reduction="none")
        return found if weight is None else found * weight

    return losses


@loss
def gaussian_nll_loss(
    x: Array, target: Array, var: Array, full: bool = False, eps: float = 1e-6
) -> Array:
    only(np.all(np.asarray(getattr(var, "data", var)) > eps), "variances that are cut off")
    if var.ndim == x.ndim - 1 and var.shape == x.shape[:-1]:
        var = var[..., None]
    return (np.log(var) + np.square(x - target) / var + full * math.log(2 * math.pi)) / 2


@loss
def poisson_nll_loss(
    x: Array, target: Array, log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Array:
    losses = np.exp(x) - target * x if log_input else x - target * np.log(x + eps)
    if not full:
        return losses
    stirling = target * np.log(target) - target + np.log(2 * math.pi * target) / 2
    return losses + np.where(target > 1, stirling, 0)


def kl_div(x: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Array:
    only(log_target or special is not None, "xlogy")
    if log_target:
        losses = np.exp(target) * (target - x)
    else:
        losses = special.xlogy(target, target) - target * x
    if reduction == "batchmean":
        return np.sum(losses) / (x.shape[0] if x.ndim else 1)
    return averaged(losses, reduction)


@loss
def huber_loss(x: Array, target: Array, delta: float = 1.0, weight: Array = None) -> Array:
    only(weight is None, "weights")
    away = np.abs(x - target)
    return np.where(away < delta, np.square(away) / 2, delta * (away - delta / 2))


@loss
def smooth_l1_loss(x: Array, target: Array, beta: float = 1.0) -> Array:
    away = np.abs(x - target)
    return np.where(away < beta, np.square(away) / (2 * beta or 1), away - beta / 2)


@loss
def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
) -> Array:
    only(not swap, "the swap of anchor and positive")
    near, far = (pairwise_distance(anchor, x, p, eps) for x in (positive, negative))
    return np.maximum(margin + near - far, 0)


@loss
def margin_ranking_loss(a: Array, b: Array, target: Array, margin: float = 0) -> Array:
    return np.maximum(-target * (a - b) + margin, 0)


@loss
def hinge_embedding_loss(x: Array, target: Array, margin: float = 1.0) -> Array:
    away = np.where(target == 1, 0, np.maximum(margin - x, 0))
    return away + np.where(target == -1, 0, x)


NETWORKS: dict[str, Counterpart] = {
    "softmax": softmax,
    "softmax:with_dtype": softmax,
    "log_softmax": log_softmax,
    "log_softmax:with_dtype": log_softmax,
    "sigmoid": unary(ag.sigmoid),
    **{
        f"nn.functional.{name}": function
        for name, function in {
            "avg_pool1d": mean_pooling(rows=True),
            "avg_pool2d": mean_pooling(rows=False),
            "batch_norm": batch_norm,
            "bilinear": lambda a, b, weight, bias=None: (
                np.einsum("...i,oij,...j->...o", a, weight, b) + (0 if bias is None else bias)
            ),
            "binary_cross_entropy": with_weights(functional.binary_cross_entropy),
            "binary_cross_entropy_with_logits": with_weights(
                functional.binary_cross_entropy_with_logits
            ),
            "celu": lambda x, alpha=1.0, inplace=False: alpha * ag.elu(x / alpha),
            "conv1d": convolution(rows=True),
            "conv2d": convolution(rows=False),
            "cosine_similarity": cosine_similarity,
            "cross_entropy": cross_entropy,
            "dropout": dropout,
            "dropout2d": dropout,
            "dropout3d": dropout,
            "elu": elu,
            "embedding": embedding,
            "gaussian_nll_loss": gaussian_nll_loss,
            "gelu": gelu,
            "glu": glu,
            "group_norm": group_norm,
            "hardshrink": lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0),
            "hardsigmoid": unary(lambda x: np.clip(x + 3, 0, 6) / 6),
            "hardswish": unary(lambda x: x * np.clip(x + 3, 0, 6) / 6),
            "hardtanh": lambda x, min_val=-1, max_val=1, inplace=False: np.clip(
                x, min_val, max_val
            ),
            "hinge_embedding_loss": hinge_embedding_loss,
            "huber_loss": huber_loss,
            "instance_norm": instance_norm,
            "kl_div": kl_div,
            "l1_loss": loss(lambda x, target: np.abs(x - target)),
            "layer_norm": layer_norm,
            "leaky_relu": lambda x, negative_slope=0.01, inplace=False: ag.leaky_relu(
                x, negative_slope=negative_slope
            ),
            "linear": lambda x, weight, bias=None: functional.linear(x, weight, bias),
            "linear_cross_entropy": linear_cross_entropy,
            "linear_cross_entropy:chunked": linear_cross_entropy,
            "linear_cross_entropy:chunked_none": linear_cross_entropy,
            "logsigmoid": unary(ag.log_sigmoid),
            "margin_ranking_loss": margin_ranking_loss,
            "max_pool1d": pooling(functional.max_pool2d, rows=True),
            "max_pool2d": pooling(functional.max_pool2d, rows=False),
            "mish": unary(lambda x: x * np.tanh(ag.softplus(x))),
            "mse_loss": lambda x, target, reduction="mean": functional.mse_loss(
                *np.broadcast_arrays(x, target), reduction=reduction
            ),
            "nll_loss": nll_loss,
            "normalize": lambda x, p=2.0, dim=1, eps=1e-12: normalized(x, p, dim, eps),
            "pad:circular": pad,
            "pad:constant": pad,
            "pad:reflect": pad,
            "pad:replicate": pad,
            "pairwise_distance": pairwise_distance,
            "poisson_nll_loss": poisson_nll_loss,
            "prelu": prelu,
            "relu": unary(ag.relu),
            "relu6": unary(lambda x: np.clip(x, 0, 6)),
            "rms_norm": rms_norm,
            "scaled_dot_product_attention": attention,
            "selu": selu,
            "silu": unary(ag.silu),
            "smooth_l1_loss": smooth_l1_loss,
            "soft_margin_loss": loss(lambda x, target: ag.softplus(-target * x)),
            "softmin": lambda x, dim, dtype=None: softmax(-x, dim, dtype),
            "softmin:with_dtype": lambda x, dim, dtype=None: softmax(-x, dim, dtype),
            "softplus": softplus,
            "softshrink": lambda x, lambd=0.5: np.sign(x) * ag.relu(np.abs(x) - lambd),
            "softsign": unary(lambda x: x / (1 + np.abs(x))),
            "tanhshrink": unary(lambda x: x - np.tanh(x)),
            "threshold": lambda x, threshold, value, inplace=False: np.where(
                x > threshold, x, value
            ),
            "triplet_margin_loss": triplet_margin_loss,
        }.items()
    },
}

#: By the names that PyTorch gives its operators, with a variant after a colon.
OPERATORS = {**ELEMENTWISE, **SPECIAL, **REDUCTIONS, **MASKED, **SHAPES, **LINEAR, **NETWORKS}
