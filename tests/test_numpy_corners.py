"""Corners of NumPy's functions: small integers, infinities, nothing to take, very large and small.

Values are those of NumPy, or where NumPy overflows on the way those of exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag

INF, NAN = np.inf, np.nan
ONES = np.ones(200)

#: Calls on arrays and on Tensors, with data of many dtypes.
SAME: dict[str, tuple[Callable[[Any], Any], Any]] = {
    **{
        f"{function.__name__} of {dtype}": (function, np.array([3, 1, 2, 10]).astype(dtype))
        for dtype in ("int8", "uint8", "int64", "bool", "float16", "float32")
        for function in (
            *(np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.nansum, np.median),
            *(np.nanmedian, np.gradient),
        )
        if not (function is np.gradient and dtype == "bool")
    },
    **{
        f"quantiles of {dtype}, {method}": (
            lambda a, m=method: np.quantile(a, 0.4, method=m), np.array([3, 1, 2, 10], dtype),
        )
        for dtype in ("int8", "int64", "float32", "float64")
        for method in ("linear", "lower", "higher", "nearest", "midpoint", "weibull")
    },
    "percentile of integers": (lambda a: np.percentile(a, 50), np.array([3, 1, 2, 10])),
    "nanpercentile": (lambda a: np.nanpercentile(a, [10, 50]), np.array([3, 1, 2, 10])),
    **{
        f"mean of many {dtype}": (np.nanmean, ONES.astype(dtype))
        for dtype in ("bool", "int8", "uint8", "float16")
    },
    **{
        f"{function.__name__} where, of {dtype}": (
            lambda a, f=function: f(a, where=np.arange(200) % 3 > 0),
            (np.arange(200) % 7).astype(dtype),
        )
        for function in (np.mean, np.var, np.std)
        for dtype in ("bool", "int8", "float16", "float32")
    },
    "var of too few": (lambda a: np.var(a, ddof=3), np.array([1.0, 2.0])),
    "std of too few": (lambda a: np.std(a, ddof=3), np.array([1.0, 2.0])),
    "var of just enough": (lambda a: np.var(a, ddof=2), np.array([1.0, 2.0])),
    "var where too few": (lambda a: np.var(a, ddof=3, where=a > 0), np.array([1.0, 2.0])),
    "nanvar of too few": (lambda a: np.nanvar(a, ddof=3), np.array([1.0, 2.0])),
    "nanstd of just enough": (lambda a: np.nanstd(a, ddof=2), np.array([1.0, 2.0])),
    "cov of too few": (lambda a: np.cov(a, ddof=3), np.array([[1.0, 2.0], [3.0, 5.0]])),
    "cov in columns": (lambda a: np.cov(a, rowvar=False), np.array([[1.0, 2.0, 4.0]])),
    "running maximum": (np.maximum.accumulate, np.array([1, NAN, 2.0])),
    "running minimum": (np.minimum.accumulate, np.array([2.0, 1, NAN, 0])),
    "differences that cancel": (np.gradient, np.array([0.0, 1e20, 1.0, 2.0])),
    "a gap in differences": (np.gradient, np.array([0.0, NAN, 1.0, 2.0])),
    "a median beside infinity": (np.nanmedian, np.array([1.0, 2.0, INF])),
    "a quantile beside infinity": (
        lambda a: np.quantile(a, 0.5, method="lower"), np.array([1.0, INF]),
    ),
    "interpolation at the end": (lambda x: np.interp(x, [0.0, 2, 2], [0.0, 1, 5]), np.array(2.0)),
    "interpolation to infinity": (lambda x: np.interp(x, [0.0, 1], [0.0, INF]), np.array(0.0)),
    "interpolation of bytes": (
        lambda f: np.interp([0.5, 1.5], np.arange(3), f), np.array([200, 5, 61], np.uint8),
    ),
    "angle": (np.angle, np.array([NAN, -1.0, 0.0, INF])),
    "linspace of bytes": (lambda a: np.linspace(a, 1, 4), np.array(0, np.int8)),
    "sums so far of a number": (np.cumsum, np.array(3.0)),
    "sums so far along its only axis": (lambda a: np.cumsum(a, -1), np.array(3.0)),
    "products so far of a number": (lambda a: np.cumprod(a, 0), np.array(3.0)),
    "elements of a number": (lambda a: np.take(a, [0, 0], axis=0), np.array(3.0)),
    "the element of a number": (lambda a: np.take(a, 0, axis=-1), np.array(3.0)),
    "a mask that is a Tensor": (
        lambda a: np.sum(np.ones(3), where=a), np.array([True, False, True]),
    ),
    "large values of arcsinh": (np.arcsinh, np.array([1e200])),
}  # fmt: skip


if np.cov(np.array([[1.0, 2.0]]), rowvar=False, ddof=0).ndim == 0:  # older ones had one variable
    del SAME["cov in columns"]


@pytest.mark.parametrize("name", SAME)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_are_those_of_numpy(name: str) -> None:
    function, a = SAME[name]
    expected = function(a)
    found = function(ag.Tensor(a))
    data = getattr(found, "data", found)
    assert np.shape(data) == np.shape(expected)
    eps = 1e-3 if np.asarray(expected).dtype == np.float16 else 1e-6
    np.testing.assert_allclose(data, expected, rtol=eps, atol=0)
    assert np.asarray(data).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("function", [np.cumsum, np.cumprod, lambda a, i: np.take(a, 0, i)])
def test_a_number_has_one_axis_at_most(function: Any) -> None:
    with pytest.raises(np.exceptions.AxisError):
        function(ag.Tensor(3.0), 1)


#: Gradients that overflow or vanish on the way, and not at the end.
EXTREMES: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "norm of the tiny": (np.linalg.norm, [3e-170, 4e-170], [0.6, 0.8]),
    "norm of the huge": (np.linalg.norm, [3e200, 4e200], [0.6, 0.8]),
    "norm that is subnormal": (np.linalg.norm, [3e-160, 4e-160], [0.6, 0.8]),
    "norm in float32": (np.linalg.norm, np.array([3e-25, 4e-25], np.float32), [0.6, 0.8]),
    "std of the tiny": (np.std, [1e-170, 3e-170], [-0.5, 0.5]),
    "std of the huge": (np.std, [1e170, 3e170], [-0.5, 0.5]),
    "arcsinh": (np.arcsinh, 1e200, 1e-200),
    "arccosh": (np.arccosh, 1e200, 1e-200),
    "arcsinh in float16": (np.arcsinh, np.float16(300), 1 / 300),
    "arccosh in float16": (np.arccosh, np.float16(300), 1 / 300),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gradients_are_right_at_extremes(name: str) -> None:
    function, x, expected = EXTREMES[name]
    x = np.asarray(x)
    tolerance = {2: 1e-3, 4: 1e-6, 8: 1e-14}[x.dtype.itemsize]
    np.testing.assert_allclose(ag.grad(function)(x), expected, rtol=tolerance)


def test_the_norm_of_the_huge_and_the_tiny_is_what_it_is() -> None:
    for scale in (1e200, 1e-170):
        assert np.linalg.norm(ag.Tensor([3 * scale, 4 * scale])).data == pytest.approx(5 * scale)
    x = np.array([[3e200, 4e200], [0, 0], [3, 4], [INF, 1]])
    found = np.linalg.norm(ag.Tensor(x), axis=1)
    np.testing.assert_allclose(found.data, [5e200, 0, 5, INF])


@pytest.mark.parametrize("scale", [1e-180, 1e-20, 1.0, 1e20, 1e180])
def test_singular_vectors_have_gradients_at_any_scale(scale: float) -> None:
    a = np.array([[2.0, 1.0], [0.5, 1.5]])
    of_one = ag.grad(lambda a: np.linalg.svd(a)[0][0, 0] ** 2)(a)
    found = ag.grad(lambda a: np.linalg.svd(a)[0][0, 0] ** 2)(a * scale)
    np.testing.assert_allclose(found * scale, of_one, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (np.abs, [0.0]),
        (lambda x: np.sum(np.maximum(x, 0.0) ** 2), [0.0]),
        (lambda x: np.sum(np.clip(x, 0, 1) * x), [0.0]),
        (lambda x: np.sum(np.linalg.pinv(x)), np.outer([1.0, 2, 3], [1.0, 2])),
    ],
)
def test_forward_derivatives_invent_nothing_either(function: Any, x: Any) -> None:
    x = np.asarray(x)
    slope = (lambda x: ag.grad(lambda x: np.sum(function(x)))(x)) if x.ndim == 1 else function
    assert np.isnan(ag.jvp(slope, [x], [np.ones_like(x)])[1]).all()


def test_a_forward_derivative_needs_no_recording_around_it() -> None:
    with ag.no_grad():
        assert ag.jvp(lambda x: x**3, [2.0], [1.0])[1] == 12.0


def test_an_element_that_is_left_out_is_no_tie() -> None:
    x = np.array([-1.0, -2.0])
    curvature = ag.hvp(lambda x: np.max(x, where=[True, False], initial=0.0) ** 2, x, np.ones(2))
    assert curvature.tolist() == [0.0, 0.0]


def test_lists_with_tensors_are_joined() -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    joined = np.concatenate([w, [w[0] * 3, 3.0]])
    joined[2].backward()
    assert joined.data.tolist() == [1.0, 2.0, 3.0, 3.0]
    assert w.grad is not None
    assert w.grad.data.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("function", [ag.softmax, ag.log_softmax, ag.logsumexp])
@pytest.mark.parametrize("x", [np.array([-100, 100], np.int8), np.array([0, 255], np.uint8)])
def test_small_integers_do_not_overflow_in_differences(function: Any, x: Any) -> None:
    expected = function(x.astype(float))
    np.testing.assert_allclose(function(x), expected, atol=1e-3, rtol=2e-3)
