"""The further functions of NumPy that work on Tensors, most of them written in the core's ops.

Importing this module is what makes them known.  A function that is neither here nor in the core
raises on a Tensor: never a silent plain array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .core.graph import Array
from .core.ops import (
    Axis,
    concatenate,
    count,
    mean,
    norm,
    normalized,
    reduce_max,
    reduce_min,
    reduce_sum,
    restored,
    where,
)
from .core.primitive import composite, implementations
from .core.tensor import described, unwrapped, wrap


@composite(np.where)
def where_or_nonzero(condition: Array, *choices: Array) -> Any:
    """`np.where`: with one argument it asks where that is not zero."""
    return where(condition, *choices) if choices else np.nonzero(unwrapped(condition))


@composite(np.clip)
def clip(a: Array, a_min: Array = None, a_max: Array = None) -> Array:
    """Limit to an interval; at a bound, as at every tie, half of the gradient passes."""
    above = a if a_min is None else np.maximum(a, a_min)
    return above if a_max is None else np.minimum(above, a_max)


implementations.update({np.amax: reduce_max, np.amin: reduce_min})


@composite(np.var)
def var(a: Array, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    """The mean square deviation from the mean, with ``count - ddof`` as the divisor."""
    squares = np.square(a - mean(a, axis, keepdims=True))
    return reduce_sum(squares, axis=axis, keepdims=keepdims) / (count(a.shape, axis) - ddof)


@composite(np.std)
def std(a: Array, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    """The square root of `var`; at no deviation at all it has no derivative."""
    return np.sqrt(var(a, axis, ddof=ddof, keepdims=keepdims))


@composite(np.prod)
def prod(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Products by repeated halving: right also where factors are 0, unlike the rule g * y / x."""
    axes = normalized(axis, a.ndim)
    rest = [i for i in range(a.ndim) if i not in axes]
    shape = tuple([a.shape[i] for i in rest])
    factors = a.transpose((*axes, *rest)).reshape((count(a.shape, axis), *shape))
    while len(factors) > 1:
        half = len(factors) // 2
        pairs = factors[:half] * factors[half : 2 * half]
        factors = np.concatenate([pairs, factors[2 * half :]]) if len(factors) % 2 else pairs
    product = factors[0] if len(factors) else reduce_sum(factors, axis=0) + 1
    return restored(product, a.shape, axis, False) if keepdims else product


@composite(np.moveaxis)
def moveaxis(a: Array, source: Axis, destination: Axis) -> Array:
    """Some axes moved to other places."""
    moved = normalized(source, a.ndim)
    axes = [i for i in range(a.ndim) if i not in moved]
    for place, i in sorted(zip(normalized(destination, a.ndim), moved, strict=True)):
        axes.insert(place, i)
    return a.transpose(tuple(axes))


@composite(np.expand_dims)
def expand_dims(a: Array, axis: int | tuple[int, ...]) -> Array:
    """New axes of length 1."""
    return a.reshape(np.expand_dims(unwrapped(a), axis).shape)


@composite(np.squeeze)
def squeeze(a: Array, axis: Axis = None) -> Array:
    """Without axes of length 1."""
    return a.reshape(np.squeeze(unwrapped(a), axis).shape)


@composite(np.stack)
def stack(arrays: Iterable[Array], axis: int = 0) -> Array:
    """Arrays of one shape along a new axis."""
    return concatenate([np.expand_dims(x, axis) for x in arrays], axis)


@composite(np.cumprod)
def cumprod(a: Array, axis: int | None = None) -> Array:
    """Products of the elements so far, by doubling steps: right also where factors are 0."""
    y = a.ravel() if axis is None else np.moveaxis(a, axis, 0)
    step = 1
    while step < len(y):
        y = np.concatenate([y[:step], y[step:] * y[:-step]])
        step *= 2
    return y if axis is None else np.moveaxis(y, 0, axis)


@composite(np.linalg.norm)
def norm_of_order(
    x: Array, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False
) -> Array:
    """Vector norms of any order, and the Frobenius norm; its subgradient at 0 is 0.

    Raises
    ------
    ValueError
        For the other matrix norms, which need singular values.
    """
    axes = len(normalized(axis, x.ndim))
    if ord is None or (ord == "fro" and axes == 2) or (ord == 2 and axes == 1):
        return norm(x, axis=axis, keepdims=keepdims)
    if axes != 1 or isinstance(ord, str):
        raise ValueError(
            f"norm of order {ord!r} over axis={axis} of {described(x)} is not supported: along one "
            f"axis any number is, over two axes None and 'fro'"
        )
    size = np.absolute(x)
    if abs(ord) == math.inf:
        extreme = reduce_max if ord > 0 else reduce_min
        return extreme(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return reduce_sum((x != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    return reduce_sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


# ---- functions that only look -------------------------------------------------------------------


def on_data(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function that looks at values without being part of the computation."""

    def look(*args: Any, **kwargs: Any) -> Any:
        plain = [[unwrapped(x) for x in a] if isinstance(a, list) else unwrapped(a) for a in args]
        return function(*plain, **{name: unwrapped(value) for name, value in kwargs.items()})

    return look


for _function in (
    *(np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.result_type, np.can_cast),
    *(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.argwhere),
    *(np.nonzero, np.flatnonzero, np.count_nonzero, np.searchsorted, np.digitize, np.lexsort),
    *(np.all, np.any, np.allclose, np.isclose, np.array_equal, np.array_equiv, np.isin),
    *(np.array2string, np.array_repr, np.array_str, np.save, np.savetxt, np.savez, np.histogram),
    *(np.may_share_memory, np.shares_memory, np.bincount),
):
    implementations[_function] = on_data(_function)
