"""Central differences: right to their theoretical accuracy, and no trap for the caller."""

import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.check import numerical_gradient
from autograd_mini.check.numerical import Limit, falling_steps

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


# ---- Richardson and the complex step ------------------------------------------------------------

ANALYTIC: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (np.sin, np.cos),
    (np.exp, np.exp),
    (lambda x: 1 / x, lambda x: -1 / x**2),
    (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    (np.log, lambda x: 1 / x),
    (lambda x: x**3 - 2 * x, lambda x: 3 * x**2 - 2),
    (ag.sigmoid, lambda x: ag.sigmoid(x) * (1 - ag.sigmoid(x))),
    (ag.softplus, ag.sigmoid),
]


@pytest.mark.parametrize("x", [1e-8, 1e-3, 0.4, 1, 3])
@pytest.mark.parametrize(("f", "derivative"), ANALYTIC)
def test_richardson_has_eleven_digits_of_a_smooth_function(
    f: Callable[[Any], Any], derivative: Callable[[Any], Any], x: float
) -> None:
    at = np.array([x, 2.0 * x])
    gradient = numerical_gradient(lambda x: np.sum(f(x)), at, method="richardson")
    np.testing.assert_allclose(gradient, derivative(at), rtol=1e-11)


@pytest.mark.parametrize("x", [1e-8, 1e-3, 0.4, 1, 3])
@pytest.mark.parametrize(("f", "derivative"), ANALYTIC)
def test_richardson_has_four_digits_in_float32(
    f: Callable[[Any], Any], derivative: Callable[[Any], Any], x: float
) -> None:
    at = np.array([x], dtype=np.float32)
    gradient = numerical_gradient(lambda x: np.sum(f(x)), at, method="richardson")
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, derivative(at.astype(float)), rtol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-6)])
@pytest.mark.parametrize("x", [0, 1e-8, 1e-3, 0.4, 1, 3, 40])
@pytest.mark.parametrize(("f", "derivative"), ANALYTIC)
def test_complex_step_is_right_to_rounding(
    f: Callable[[Any], Any],
    derivative: Callable[[Any], Any],
    x: float,
    dtype: type,
    tolerance: float,
) -> None:
    at = np.array([x + 1.0 if x == 0 else x], dtype=dtype)
    gradient = numerical_gradient(lambda x: np.sum(f(x)), at, method="complex")
    assert gradient.dtype == dtype
    expected = derivative(at.astype(float))
    np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance * 1e-2)


@pytest.mark.parametrize("method", ["richardson", "complex"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,)])
def test_every_method_gives_the_shape_of_x_and_leaves_it_alone(
    method: str, shape: tuple[int, ...]
) -> None:
    x = np.asarray(np.random.default_rng(0).uniform(-1, 1, shape))
    before = x.copy()
    gradient = numerical_gradient(lambda x: np.sum(np.tanh(x)), x, method=method)
    assert gradient.shape == shape
    np.testing.assert_allclose(gradient, 1 - np.tanh(x) ** 2, rtol=1e-11)
    np.testing.assert_array_equal(x, before)


def test_richardson_needs_few_evaluations_where_it_converges() -> None:
    points: list[Any] = []
    numerical_gradient(lambda x: points.append(x) or np.exp(x), 1.0, method="richardson")
    assert len(points) <= 14


def test_richardson_is_not_taken_in_by_steps_that_meet_a_period() -> None:
    # 1000 / 10 and its halves are nearly multiples of 2 pi
    x = np.array([1000.0], dtype=np.float32)
    gradient = numerical_gradient(lambda x: np.sum(np.sin(x)), x, method="richardson")
    np.testing.assert_allclose(gradient, np.cos(1000), rtol=1e-3)


def test_richardson_does_not_overlook_what_only_fine_steps_see() -> None:
    def f(x: Any) -> Any:
        return x**2 + np.where(np.abs(x - 1) < 1e-9, 5 * (x - 1), 0)

    np.testing.assert_allclose(numerical_gradient(f, 1.0, method="richardson"), 7, rtol=1e-4)


def test_richardson_leaves_the_domain_without_a_warning() -> None:
    gradient = numerical_gradient(lambda x: np.sum(np.log(x)), [1e-8], method="richardson")
    np.testing.assert_allclose(gradient, 1e8, rtol=1e-11)


def test_richardson_takes_the_largest_step_from_eps() -> None:
    points: list[float] = []

    def f(x: Any) -> Any:
        points.append(float(x))
        return np.abs(x)

    numerical_gradient(f, 1.0, method="richardson", eps=0.5)
    assert max(points) == 1.5
    with pytest.raises(
        ValueError, match=r"eps=1e-14 is lost in rounding beside 1\.0: take at least"
    ):
        numerical_gradient(f, 1.0, method="richardson", eps=1e-14)


def test_richardson_of_what_is_never_finite_is_nan() -> None:
    assert np.isnan(numerical_gradient(lambda x: np.nan, 1.0, method="richardson"))


def test_complex_step_takes_eps() -> None:
    steps: list[complex] = []

    def f(x: Any) -> Any:
        steps.append(complex(x.data))
        return x * x

    gradient = numerical_gradient(f, 3.0, method="complex", eps=1e-30)
    assert gradient == 6
    assert 3 + 1e-30j in steps


def kinked(x: Any) -> Any:
    return np.sum(np.abs(x) * x)


@pytest.mark.parametrize(
    ("f", "op"),
    [
        (kinked, "absolute"),
        (lambda x: np.max(x), "max"),
        (lambda x: np.linalg.norm(x), "norm"),
        (lambda x: np.sum(np.where(x > 0, x, 2 * x)), "greater"),
        (lambda x: np.sum(ag.relu(x)), "relu"),
        (lambda x: np.sum(x) if np.sum(x) > 0 else -np.sum(x), "greater"),
    ],
)
def test_complex_step_is_refused_for_an_op_that_is_not_analytic(
    f: Callable[[Any], Any], op: str
) -> None:
    with pytest.raises(ValueError, match=f"^{op} at .*not a complex-analytic.*richardson"):
        numerical_gradient(f, np.array([1.0, -2.0]), method="complex")


def test_refusal_names_the_line_of_the_program() -> None:
    with pytest.raises(ValueError, match=r"absolute at test_numerical_gradient\.py:\d+: return np"):
        numerical_gradient(kinked, np.array([1.0, -2.0]), method="complex")


def black_box(x: Any) -> float:
    return float(np.sum(np.abs(x.data if isinstance(x, ag.Tensor) else x)))


@pytest.mark.parametrize("f", [black_box, lambda x: np.float64(3), lambda x: ag.Tensor(3.0)])
def test_complex_step_is_refused_for_a_black_box(f: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"with no history.*richardson"):
        numerical_gradient(f, np.array([1.0, -2.0]), method="complex")


def test_complex_step_is_refused_for_what_does_not_run_on_tensors() -> None:
    with pytest.raises(ValueError, match=r"needs an f that runs on ag\.Tensor.*richardson"):
        numerical_gradient(lambda x: np.sum(np.fft.fft(x).real), np.ones(4), method="complex")


def test_complex_step_is_refused_where_a_part_is_hidden_from_the_trace() -> None:
    def hidden(x: Any) -> Any:
        return np.sum(x * x) + np.sum(np.abs(x.data))

    with pytest.raises(ValueError, match="does something that its trace does not show"):
        numerical_gradient(hidden, np.array([1.0, -2.0]), method="complex")


def test_complex_step_is_refused_where_complex_numbers_do_not_pass() -> None:
    cut = ag.elementwise(lambda x: np.real(x) * 1.0, "$x", name="cut", x=lambda g: g)
    with pytest.raises(ValueError, match=r"makes a real number of a complex one.*richardson"):
        numerical_gradient(lambda x: np.sum(cut(x)), np.array([1.0]), method="complex")
    curt = ag.elementwise(lambda x: np.logaddexp(x, 0), "$x", name="curt", x=lambda g: g)
    with pytest.raises(ValueError, match=r"does not take complex numbers: curt.*richardson"):
        numerical_gradient(lambda x: np.sum(curt(x)), np.array([1.0]), method="complex")


def test_complex_step_wants_one_number() -> None:
    with pytest.raises(ValueError, match=r"one number, got an array of shape \(2,\)"):
        numerical_gradient(lambda x: x * x, np.ones(2), method="complex")


def test_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match=r"method must be .* got 'forward'"):
        numerical_gradient(np.sum, np.ones(2), method="forward")


@pytest.mark.parametrize("size", [0, 1e-300, 1e-8, 1, 1e8])
@pytest.mark.parametrize("precision", [2.0**-52, 2.0**-23])
def test_steps_fall_from_coarse_to_fine(size: float, precision: float) -> None:
    steps = falling_steps(size, precision)
    ratios = np.array(steps[:-1]) / steps[1:]
    assert ratios.min() >= 2
    assert len(steps) <= 26
    assert steps[0] == pytest.approx(0.1 * max(1, size))


def test_limit_estimates_its_own_error() -> None:
    limit = Limit(power=2)
    for h in falling_steps(1.0, 2.0**-52):
        limit.add(h, (np.exp(1 + h) - np.exp(1 - h)) / (2 * h), 1e-15 / h)
    value, error = limit.estimates[limit.settled()]
    assert abs(value - np.e) <= error < 1e-12


def test_limit_believes_fine_steps_that_contradict_coarse_ones() -> None:
    limit = Limit(power=2)
    for h in [8.0, 4.0, 2.0, 1.0]:
        limit.add(h, 0.0, 1e-12)  # a period, or a plateau
    for h in [0.5, 0.25, 0.125, 0.0625]:
        limit.add(h, 1.0, 1e-6)
    assert limit.estimates[limit.settled()].value == pytest.approx(1)
    assert limit.estimates[limit.settled([0] * 4 + [9] * 4)].value == 0
