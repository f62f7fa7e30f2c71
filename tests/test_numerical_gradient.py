"""Central differences: right to their theoretical accuracy, and no trap for the caller."""

import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from autograd_mini.check import numerical_gradient

CASES: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (lambda x: np.sum(np.square(x)), lambda x: 2 * x),
    (lambda x: np.sum(np.tanh(x)), lambda x: 1 - np.tanh(x) ** 2),
    (lambda x: np.sum(np.exp(x)), np.exp),
    (lambda x: np.prod(np.cos(x)), lambda x: -np.prod(np.cos(x)) * np.tan(x)),
]


@pytest.mark.parametrize(("f", "derivative"), CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 1e-2)])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 1, 2), (0,), (3, 0)])
def test_gradient_agrees_with_the_derivative(
    f: Callable[[Any], Any],
    derivative: Callable[[Any], Any],
    dtype: type,
    tolerance: float,
    shape: tuple[int, ...],
) -> None:
    x = np.asarray(np.random.default_rng(0).uniform(-1, 1, shape), dtype=dtype)
    gradient = numerical_gradient(f, x)
    assert isinstance(gradient, np.ndarray)
    assert gradient.shape == shape
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, derivative(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 1e-2)])
@pytest.mark.parametrize("magnitude", [0, 1e-30, 1e-8, 1, 1e3, 1e10])
def test_step_suits_every_magnitude(dtype: type, tolerance: float, magnitude: float) -> None:
    x = np.array([magnitude, -magnitude], dtype=dtype)

    def f(x: np.ndarray) -> np.floating[Any]:
        return np.sum(x * np.array([2, 3], dtype=dtype))

    np.testing.assert_allclose(numerical_gradient(f, x), [2, 3], rtol=tolerance)


def test_each_evaluation_changes_one_element_by_a_step_that_is_exact() -> None:
    x = np.array([0.1, -1234.5])
    points: list[np.ndarray] = []

    def f(point: np.ndarray) -> float:
        points.append(point)
        return 0.0

    numerical_gradient(f, x)
    steps = np.array(points) - x
    h0, h1 = steps[0, 0], steps[2, 1]
    np.testing.assert_array_equal(steps, [[h0, 0], [-h0, 0], [0, h1], [0, -h1]])
    np.testing.assert_allclose([h0, h1], np.finfo(float).eps ** (1 / 3) * np.array([1, 1234.5]))


def test_given_step_is_taken() -> None:
    x = np.array([1.0, 2.0])
    coarse = numerical_gradient(lambda x: np.sum(x**3), x, eps=0.5)
    np.testing.assert_array_equal(coarse, 3 * x**2 + 0.25)


def test_x_is_left_as_it_was_even_if_f_writes_into_its_argument() -> None:
    x = np.array([1.0, 2.0])

    def f(point: np.ndarray) -> np.floating[Any]:
        point *= 10
        return np.sum(point)

    np.testing.assert_allclose(numerical_gradient(f, x), [10, 10])
    np.testing.assert_array_equal(x, [1, 2])


def test_x_may_be_a_list_a_number_or_read_only() -> None:
    np.testing.assert_allclose(numerical_gradient(lambda x: x @ x, [1.0, 2.0]), [2, 4])
    np.testing.assert_allclose(numerical_gradient(np.sin, 0.0), 1)
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    np.testing.assert_allclose(numerical_gradient(lambda x: x @ x, x), [2, 4])


class Number:
    """Something that only float() understands."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


@pytest.mark.parametrize("kind", [float, np.float64, np.array, Number, Decimal])
def test_f_may_return_anything_that_float_takes(kind: Callable[[float], Any]) -> None:
    np.testing.assert_allclose(numerical_gradient(lambda x: kind(float(x @ x)), [1.0, 2.0]), [2, 4])


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2,)])
def test_f_that_returns_an_array_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"one number, got an array of shape {shape}")):
        numerical_gradient(lambda x: np.ones(shape), np.ones(2))


@pytest.mark.parametrize("value", [None, [1.0], 1j])
def test_f_that_returns_no_number_is_refused_with_its_type(value: Any) -> None:
    with pytest.raises(ValueError, match=f"one number, got {type(value).__name__}"):
        numerical_gradient(lambda x: value, np.ones(2))


@pytest.mark.parametrize("value", [np.complex64(1), np.array(1j)])
def test_f_that_returns_a_complex_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="f must return a real number"):
        numerical_gradient(lambda x: value, np.ones(2))


@pytest.mark.parametrize("dtype", [int, bool, complex, np.float16, np.longdouble, object])
def test_x_of_another_dtype_is_refused_with_what_to_write(dtype: type) -> None:
    with pytest.raises(TypeError, match=r"float32 or float64.*x\.astype\(np\.float64\)"):
        numerical_gradient(np.sum, np.ones(2, dtype=dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_x_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=f"x must be finite, got {bad}"):
        numerical_gradient(np.sum, np.array([1.0, bad]))


@pytest.mark.parametrize("eps", [0, -1e-6, np.inf, np.nan])
def test_step_that_is_no_step_is_refused(eps: float) -> None:
    with pytest.raises(ValueError, match=f"eps must be positive and finite, got {eps}"):
        numerical_gradient(np.sum, np.ones(2), eps=eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("eps", [1e-12, 1e-60])
def test_step_that_rounding_swallows_is_refused_with_the_place(dtype: type, eps: float) -> None:
    x = np.array([[0.5, 2e5]], dtype=dtype)
    with pytest.raises(ValueError, match=rf"eps={eps} is lost in rounding beside x\[0, \d\]"):
        numerical_gradient(np.sum, x, eps=eps)


def test_f_that_is_not_finite_gives_nan_and_no_number() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gradient = numerical_gradient(lambda x: np.sum(np.log(x)), np.array([0.0, 2.0]))
    assert np.isnan(gradient).all()
