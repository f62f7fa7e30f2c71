"""One policy for points where a derivative is not what the formula says; docs/singular.md has it.

The limit where there is one; a subgradient of first order where that is written down; nan where
there is none.  A second derivative is never invented.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.nn import functional as F  # noqa: N812

INF, NAN = np.inf, np.nan


class Point(NamedTuple):
    """A function at a point, with what is right there."""

    function: Callable[[Any], Any]
    at: Any
    value: Any
    first: Any
    second: Any


def all_nan(n: int) -> list[list[float]]:
    return [[NAN] * n] * n


TWO_CLASSES = [[0, 0, 0], [0, 0.25, -0.25], [0, -0.25, 0.25]]
ONE_HOT, LABEL = np.array([0, 1, 0], np.float32), np.array(1)
POINTS: dict[str, Point] = {
    "norm(x)": Point(np.linalg.norm, [0, 0], 0, [0, 0], all_nan(2)),
    "norm(x)**2": Point(lambda x: np.linalg.norm(x) ** 2, [0, 0], 0, [0, 0], all_nan(2)),
    **{
        f"norm(x, {p})": Point(lambda x, p=p: np.linalg.norm(x, p), [0, 0], 0, [0, 0], all_nan(2))
        for p in (0.5, 1, 3, INF, -1, -2)
    },
    "norm(x, -2) at 1e200": Point(lambda x: np.linalg.norm(x, -2), [1e200], 1e200, [1], [[0]]),
    "norm(x, 3) at 1e200": Point(lambda x: np.linalg.norm(x, 3), [1e200], 1e200, [1], [[0]]),
    "hypot(a, b)": Point(lambda x: np.hypot(*x), [0, 0], 0, [0, 0], all_nan(2)),
    "std(x)": Point(np.std, [3, 3, 3, 3], 0, [0] * 4, all_nan(4)),
    "var(x)": Point(np.var, [3, 3], 0, [0, 0], [[0.5, -0.5], [-0.5, 0.5]]),
    "arctan2(a, b)": Point(lambda x: np.arctan2(*x), [0, 0], 0, [NAN, NAN], all_nan(2)),
    "arctan2(a, 1e-170)": Point(lambda a: np.arctan2(a, 1e-170), 1e-170, np.pi / 4, 5e169, -INF),
    "sqrt(x)": Point(np.sqrt, 0, 0, INF, -INF),
    "abs(x)": Point(np.abs, 0, 0, 0, NAN),
    "abs(x)**2": Point(lambda x: np.abs(x) ** 2, 0, 0, 0, NAN),
    "x**0": Point(lambda x: x**0, 0, 1, 0, 0),
    "x**0 at 1e-309": Point(lambda x: x**0, 1e-309, 1, 0, NAN),
    "x**1": Point(lambda x: x**1, 0, 0, 1, 0),
    "x**1.5": Point(lambda x: x**1.5, 0, 0, 0, INF),
    "x**2": Point(lambda x: x**2, 0, 0, 0, 2),
    "x**3": Point(lambda x: np.power(x, 3), 0, 0, 0, 0),
    "2**x": Point(lambda x: 2**x, 0, 1, np.log(2), np.log(2) ** 2),
    "a**b at (2, 0)": Point(
        lambda x: x[0] ** x[1], [2, 0], 1, [0, np.log(2)], [[0, 0.5], [0.5, np.log(2) ** 2]]
    ),
    "logsumexp of nothing that happens": Point(
        ag.logsumexp, [-INF, -INF], -INF, [0, 0], [[0, 0], [0, 0]]
    ),
    "logsumexp beside what never happens": Point(
        ag.logsumexp, [-INF, 1], 1, [0, 1], [[0, 0], [0, 0]]
    ),
    "logaddexp of nothing that happens": Point(
        lambda x: np.logaddexp(*x), [-INF, -INF], -INF, [0, 0], [[0, 0], [0, 0]]
    ),
    "logaddexp beside what never happens": Point(
        lambda x: np.logaddexp(*x), [-INF, 1], 1, [0, 1], [[0, 0], [0, 0]]
    ),
    "prod(x)": Point(np.prod, [0, 0, 2], 0, [0, 0, 0], [[0, 2, 0], [2, 0, 0], [0, 0, 0]]),
    "maximum(a, b)": Point(lambda x: np.maximum(*x), [1, 1], 1, [0.5, 0.5], all_nan(2)),
    "minimum(a, b)": Point(lambda x: np.minimum(*x), [1, 1], 1, [0.5, 0.5], all_nan(2)),
    "clip(x, 0, 1)": Point(lambda x: np.clip(x, 0, 1), 0, 0, 0.5, NAN),
    "relu(x)": Point(ag.relu, 0, 0, 0, 0),
    "relu(x)**2": Point(lambda x: ag.relu(x) ** 2, 0, 0, 0, 0),
    "expm1(x) at -40": Point(np.expm1, -40, -1, np.exp(-40), np.exp(-40)),
    "cross-entropy, a class that never happens, label": Point(
        lambda x: F.cross_entropy(x, LABEL), [-INF, 1, 1], np.log(2), [0, -0.5, 0.5], TWO_CLASSES
    ),
    "cross-entropy, a class that never happens, one-hot": Point(
        lambda x: F.cross_entropy(x, ONE_HOT), [-INF, 1, 1], np.log(2), [0, -0.5, 0.5], TWO_CLASSES
    ),
    "nll_loss, a class that never happens, one-hot": Point(
        lambda x: F.nll_loss(ag.log_softmax(x), ONE_HOT),
        [-INF, 1, 1],
        np.log(2),
        [0, -0.5, 0.5],
        TWO_CLASSES,
    ),
    "binary cross-entropy of certain logits": Point(
        lambda x: F.binary_cross_entropy_with_logits(x, np.array([1, 0], np.float32)),
        [INF, -INF],
        0,
        [0, 0],
        [[0, 0], [0, 0]],
    ),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", POINTS)
def test_value_first_and_second_derivative_are_those_of_the_table(name: str, dtype: Any) -> None:
    point = POINTS[name]
    if dtype is np.float32 and ("1e" in name):
        pytest.skip("no number of float32")
    x = np.asarray(point.at, dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = [
            np.asarray(point.function(ag.Tensor(x)).data),
            ag.jacobian(point.function)(x),
            ag.jacobian(ag.jacobian(point.function))(x),
        ]
    for array, right in zip(found, point[2:], strict=True):
        assert array.dtype == dtype
        np.testing.assert_allclose(array, np.asarray(right, dtype), rtol=8 * np.finfo(dtype).eps)


def test_first_derivatives_at_kinks_come_without_a_warning() -> None:
    with np.errstate(all="raise"):
        for name in ("norm(x)", "hypot(a, b)", "std(x)", "abs(x)", "x**0", "maximum(a, b)"):
            ag.grad(POINTS[name].function)(np.asarray(POINTS[name].at, float))


@pytest.mark.parametrize("p", [0.5, 1.5, 3, -1, -2.5])
def test_norms_of_any_order_do_not_overflow_and_are_differentiated_twice(p: float) -> None:
    x = np.array([[1e200, -2e200, 3e200], [1.0, -2.0, 3.0], [1e-200, -2e-200, 3e-200]])
    small = np.linalg.norm(x[1], p)
    np.testing.assert_allclose(
        np.linalg.norm(ag.Tensor(x), p, axis=1).data,
        small * np.array([1e200, 1, 1e-200]),
        rtol=1e-14,
    )
    report = ag.check.gradcheck(lambda v: np.linalg.norm(v, p), x[1], order=2)
    assert report, report
    for row in x:  # by hand: |x_i / y|**(p - 1) sgn x_i
        expected = (np.abs(x[1]) / small) ** (p - 1) * np.sign(row)
        np.testing.assert_allclose(
            ag.grad(lambda v: np.linalg.norm(v, p))(row), expected, rtol=1e-13
        )
