"""NumPy's options ``where=``, ``dtype=``, ``initial=``, and the methods of ufuncs.

Most calls have none of them, and ops do not look for them: the Tensor sends a call here that has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .border import as_array
from .core.graph import Array
from .core.ops import Axis, count
from .core.primitive import implementations
from .core.tensor import Tensor, unwrapped, written
from .numpy_functions import norm
from .numpy_statistics import in_which_means_are_taken, instead_of_nan
from .refusals import name_of

# ---- methods of ufuncs --------------------------------------------------------------------------

REDUCTIONS: Any = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}


def along_first(function: Any) -> Callable[..., Array]:
    """A NumPy function as a method of a ufunc, of which the default is the first axis."""

    def method(array: Array, axis: Axis = 0, **options: Any) -> Array:
        key = (function, "options") if (function, "options") in implementations else function
        return implementations[key](as_array(array), axis=axis, **options)

    return method


def outer_of(ufunc: Any) -> Callable[..., Array]:
    """All pairs: the elements of one with those of the other."""

    def pairs(a: Array, b: Array) -> Array:
        a, b = as_array(a), as_array(b)
        return ufunc(a.reshape(a.shape + (1,) * b.ndim), b)

    return pairs


def running_extreme(ufunc: Any, beats: Any) -> Callable[..., Array]:
    """The extreme of the elements so far; of equal ones the latest."""

    def accumulate(a: Array, axis: int = 0) -> Array:
        data = unwrapped(a)
        so_far = ufunc.accumulate(data, axis=axis)
        places = np.indices(data.shape, sparse=True)[axis]
        best = beats(data, so_far) | np.isnan(data)
        latest = np.maximum.accumulate(np.where(best, places, 0), axis=axis)
        return np.take_along_axis(a, latest, axis)

    return accumulate


for _ufunc, _function in REDUCTIONS.items():
    implementations[_ufunc, "reduce"] = along_first(_function)
implementations[np.add, "accumulate"] = along_first(np.cumsum)
implementations[np.multiply, "accumulate"] = along_first(np.cumprod)
implementations[np.maximum, "accumulate"] = running_extreme(np.maximum, np.greater_equal)
implementations[np.minimum, "accumulate"] = running_extreme(np.minimum, np.less_equal)
for _known in list(implementations):
    if isinstance(_known, np.ufunc) and (_known.nin, _known.nout, _known.signature) == (2, 1, None):
        implementations[_known, "outer"] = outer_of(_known)


# ---- options ------------------------------------------------------------------------------------


def refuse_others(function: Any, others: dict[str, Any]) -> None:
    """Raise if there are options that nobody knows."""
    if others:
        raise TypeError(
            f"{name_of(function)} takes no such argument for Tensors: {', '.join(others)}"
        )


def ufunc_with_options(
    ufunc: Any, inputs: Any, out: Any, *, dtype: Any = None, where: Any = True, **others: Any
) -> Array:
    """A ufunc that computes in a dtype, or writes only where it is told to."""
    refuse_others(ufunc, others)
    if where is not True and out is None:
        name = name_of(ufunc)
        raise TypeError(
            f"{name} with where= leaves the other elements as they happen to be: give an out= "
            f"to write to, or write np.where(condition, {name}(...), other)"
        )
    if dtype is not None:
        inputs = [x if np.isscalar(x) else as_array(x).astype(dtype) for x in inputs]
    y = implementations[ufunc](*inputs)
    if out is None:
        return y
    (target,) = out
    kept = target.detach() if isinstance(target, Tensor) else target
    return written(y if where is True else np.where(where, y, kept), target)


def reduction_with_options(function: Any, neutral: Any, join: Any) -> Callable[..., Array]:
    """A reduction of the elements ``where`` a condition holds, in a dtype, from a value on."""

    def reduced(
        a: Array,
        axis: Axis = None,
        dtype: Any = None,
        *,
        keepdims: bool = False,
        where: Any = True,
        initial: Any = None,
        **others: Any,
    ) -> Array:
        refuse_others(function, others)
        a = as_array(a) if dtype is None else as_array(a).astype(dtype)
        if where is not True:
            if neutral is None and initial is None:
                raise ValueError(f"{name_of(function)} with where= needs initial= as well")
            least = -math.inf if function is np.max else math.inf
            filler = least if a.dtype.kind == "f" else initial  # which ties with nothing
            a = np.where(where, a, filler if neutral is None else neutral)
        if neutral is None and initial is not None and not count(a.shape, axis):
            empty = np.sum(unwrapped(a), axis=axis, keepdims=keepdims)
            return Tensor(np.full_like(empty, initial))
        y = implementations[function](a, axis=axis, keepdims=keepdims)
        return y if initial is None else join(y, initial)

    return reduced


def moments_with_options(function: Any) -> Callable[..., Array]:
    """`np.mean`, `np.var` or `np.std` of the elements ``where`` a condition holds."""

    def moment(
        a: Array,
        axis: Axis = None,
        dtype: Any = None,
        ddof: float = 0,
        *,
        keepdims: bool = False,
        where: Any = True,
        mean: Array = None,
        correction: float | None = None,
        **others: Any,
    ) -> Array:
        refuse_others(function, others)
        a = as_array(a) if dtype is None else as_array(a).astype(dtype)
        half = a.dtype == np.float16
        a = in_which_means_are_taken(a)
        chosen = np.broadcast_to(unwrapped(as_array(where)), a.shape)
        n = np.sum(chosen, axis=axis, keepdims=True, dtype=a.dtype)
        if mean is None:
            mean = np.sum(np.where(chosen, a, 0), axis=axis, keepdims=True) / n
        if function is np.mean:
            y = mean if keepdims else np.squeeze(mean, axis)
            return y.astype(np.float16) if half else y
        deviation = np.where(chosen, a - mean, 0)
        n = n.reshape(np.sum(chosen, axis=axis, keepdims=keepdims).shape)
        n = np.maximum(n - (ddof if correction is None else correction), 0)
        if function is np.var:
            y = np.sum(np.square(deviation), axis=axis, keepdims=keepdims) / n
        else:
            y = norm(deviation, axis=axis, keepdims=keepdims) / np.sqrt(n)
        return y.astype(np.float16) if half else y

    return moment


def without_nan(options: Callable[..., Array]) -> Callable[..., Array]:
    """A reduction with options of those elements that are no nan."""

    def reduced(a: Array, *args: Any, where: Any = True, **kwargs: Any) -> Array:
        there = ~np.isnan(unwrapped(a)) & unwrapped(as_array(where))
        return options(instead_of_nan(a, 0), *args, where=there, **kwargs)

    return reduced


implementations["options"] = ufunc_with_options
for _function, _neutral, _join in (
    (np.sum, 0, np.add), (np.prod, 1, np.multiply),
    (np.max, None, np.maximum), (np.min, None, np.minimum),
):  # fmt: skip
    implementations[_function, "options"] = reduction_with_options(_function, _neutral, _join)
for _function in (np.mean, np.var, np.std):
    implementations[_function, "options"] = moments_with_options(_function)
for _name in ("sum", "prod", "max", "min", "mean", "var", "std"):
    _options = without_nan(implementations[getattr(np, _name), "options"])
    implementations[getattr(np, f"nan{_name}"), "options"] = _options
