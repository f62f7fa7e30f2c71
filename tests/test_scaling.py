"""Scaling columns: what training rows become, what comes back, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from autograd_mini.data import MinMaxScaler, Standardizer

SCALERS = [Standardizer, MinMaxScaler]
both = pytest.mark.parametrize("scaler", SCALERS)

tables = arrays(
    np.float64,
    array_shapes(min_dims=1, max_dims=4, max_side=5),
    elements=st.floats(-1e300, 1e300) | st.integers(-3, 3).map(float),
)
tables32 = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=3, max_side=6),
    elements=st.floats(-(2.0**60), 2.0**60, width=32),
)


def largest(X: NDArray[Any]) -> NDArray[Any]:
    """The size of each column, to which rounding errors are in proportion."""
    return np.abs(X.astype(np.float64)).max(axis=0)


# ---- what comes out -----------------------------------------------------------------------------


@both
@given(X=tables)
def test_inverse_gives_the_rows_back(scaler: Any, X: NDArray[Any]) -> None:
    fitted = scaler().fit(X)
    again = fitted.inverse(fitted.transform(X))
    assert again.shape == X.shape
    assert (np.abs(again - X) <= 1e-14 * largest(X) + 1e-300).all()


@both
@given(X=tables32)
def test_float32_stays_float32_and_comes_back(scaler: Any, X: NDArray[Any]) -> None:
    fitted = scaler().fit(X)
    scaled = fitted.transform(X)
    again = fitted.inverse(scaled)
    assert scaled.dtype == again.dtype == np.float32
    assert (np.abs(again - X) <= 1e-6 * largest(X) + 1e-36).all()


@given(X=tables)
def test_standardized_columns_have_mean_0_and_deviation_1(X: NDArray[Any]) -> None:
    fitted = Standardizer().fit(X)
    scaled = fitted.transform(X)
    constant = X.min(axis=0) == X.max(axis=0)
    # Where a column's values differ by their last digits only, its mean is rounded as roughly.
    rounding = 1e-13 * np.maximum(1, largest(X) / fitted.scale)
    assert (np.abs(scaled.mean(axis=0)) <= rounding).all()
    clear = ~constant & (rounding < 1e-8) & (fitted.scale > 1e-300) & (fitted.scale != 1)
    np.testing.assert_allclose(scaled.std(axis=0)[clear], 1, atol=1e-7)
    assert (scaled[:, constant] == 0).all() if X.ndim > 1 else (not constant or (scaled == 0).all())


@given(X=tables, ends=st.sampled_from([(-1, 1), (0, 1), (-0.3, 0.7), (0.1, 0.3), (-5.0, -2.5)]))
def test_columns_reach_exactly_from_low_to_high(X: NDArray[Any], ends: tuple[float, float]) -> None:
    low, high = ends
    scaled = MinMaxScaler(low, high).fit(X).transform(X)
    constant = X.min(axis=0) == X.max(axis=0)
    assert (scaled.min(axis=0) == low).all()
    assert (scaled.max(axis=0) == np.where(constant, low, high)).all()


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e8 + 0.1, -1e-300, 0.0])
def test_constant_column_becomes_exactly_0_or_low(value: float) -> None:
    X = np.full((7, 2), value)
    assert (Standardizer().fit(X).transform(X) == 0).all()
    assert (MinMaxScaler(-2, 2).fit(X).transform(X) == -2).all()
    assert Standardizer().fit(X).transform([[value + 1, value]])[0].tolist() == [
        value + 1 - value,
        0,
    ]


def test_scaled_columns_are_those_of_scikit_learn() -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(7)
    X, other = rng.normal(3, 5, (40, 6)), rng.normal(3, 5, (9, 6))
    X[:, 2] = 4
    for ours, theirs in [
        (Standardizer(), preprocessing.StandardScaler()),
        (MinMaxScaler(), preprocessing.MinMaxScaler((-1, 1))),
        (MinMaxScaler(0, 1), preprocessing.MinMaxScaler()),
    ]:
        ours.fit(X)
        theirs.fit(X)
        for rows in (X, other):
            np.testing.assert_allclose(ours.transform(rows), theirs.transform(rows), atol=1e-13)


def test_mean_and_deviation_are_those_of_numpy() -> None:
    X = np.random.default_rng(1).normal(100, 3, (50, 4))
    fitted = Standardizer().fit(X)
    np.testing.assert_allclose(fitted.mean, X.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(fitted.scale, X.std(axis=0), rtol=1e-13)


def test_large_float32_columns_keep_their_differences() -> None:
    X = (1_000_000 + np.arange(8, dtype=np.float32))[:, np.newaxis]
    expected = (np.arange(8) - 3.5) / np.arange(8).std()
    np.testing.assert_allclose(Standardizer().fit(X).transform(X)[:, 0], expected, rtol=1e-6)


def test_huge_and_tiny_values_do_not_overflow_or_vanish() -> None:
    X = np.array([[-8e307, 1e-320], [8e307, 3e-320], [0, 2e-320]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = Standardizer().fit(X).transform(X)
    np.testing.assert_allclose(scaled[:, 0], np.sqrt(1.5) * np.array([-1, 1, 0]), rtol=1e-14)
    np.testing.assert_allclose(scaled[:, 1], np.sqrt(1.5) * np.array([-1, 1, 0]), rtol=1e-3)


@both
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.int8])
def test_whole_numbers_become_float64_both_ways(scaler: Any, dtype: Any) -> None:
    X = np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype)
    fitted = scaler().fit(X)
    scaled = fitted.transform(X)
    assert scaled.dtype == np.float64
    np.testing.assert_allclose(fitted.inverse(scaled), X, atol=1e-15)
    np.testing.assert_array_equal(fitted.inverse(X), fitted.inverse(X.astype(float)))


@both
def test_images_are_scaled_pixel_by_pixel_as_rows_of_pixels_are(scaler: Any) -> None:
    X = np.random.default_rng(2).integers(0, 256, (12, 3, 5, 4), dtype=np.uint8)
    flat = X.reshape(12, -1)
    np.testing.assert_array_equal(
        scaler().fit(X).transform(X), scaler().fit(flat).transform(flat).reshape(X.shape)
    )


@both
def test_values_without_columns_are_one_column(scaler: Any) -> None:
    y = np.array([3.0, 5.0, 10.0])
    fitted = scaler().fit(y)
    scaled = fitted.transform(y)
    np.testing.assert_array_equal(scaled, scaler().fit(y[:, None]).transform(y[:, None])[:, 0])
    np.testing.assert_allclose(fitted.inverse(scaled), y, rtol=1e-15)


@both
def test_test_rows_are_scaled_by_what_the_training_rows_measured(scaler: Any) -> None:
    rng = np.random.default_rng(3)
    X, other = rng.normal(size=(20, 3)), rng.normal(5, 9, size=(4, 3))
    fitted = scaler().fit(X)
    together = fitted.transform(np.concatenate([X, other]))
    np.testing.assert_array_equal(fitted.transform(other), together[20:])
    np.testing.assert_allclose(fitted.inverse(fitted.transform(other)), other, rtol=1e-12)


@both
def test_given_arrays_are_left_alone_and_results_are_new(scaler: Any) -> None:
    X = np.array([[1.0, 2.0], [3.0, 2.0]])
    before = X.copy()
    fitted = scaler().fit(X)
    for result in (fitted.transform(X), fitted.inverse(X)):
        assert not np.shares_memory(result, X)
        result[:] = 7
    np.testing.assert_array_equal(X, before)


@both
def test_fitting_again_forgets_the_rows_before(scaler: Any) -> None:
    first, second = np.array([[1.0], [2.0]]), np.array([[0.0, 5.0], [4.0, 9.0]])
    np.testing.assert_array_equal(
        scaler().fit(first).fit(second).transform(second), scaler().fit(second).transform(second)
    )


@both
def test_no_rows_can_be_transformed(scaler: Any) -> None:
    assert scaler().fit(np.eye(3)).transform(np.empty((0, 3))).shape == (0, 3)


def test_scalers_show_how_they_were_made() -> None:
    assert repr(Standardizer()) == "Standardizer()"
    assert repr(MinMaxScaler(0, 2)) == "MinMaxScaler(low=0, high=2)"


# ---- what is refused ----------------------------------------------------------------------------


@both
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", ["fit", "transform", "inverse"])
def test_value_that_is_not_finite_is_named_with_its_row_and_column(
    scaler: Any, value: float, method: str
) -> None:
    X = np.arange(12.0).reshape(4, 3)
    fitted = scaler().fit(X)
    X[2, 1] = value
    with pytest.raises(ValueError, match=f"X has the value {value} in row 2, column 1: replace"):
        getattr(fitted, method)(X)


@both
def test_pixel_and_single_column_that_are_not_finite_are_named_in_their_own_way(
    scaler: Any,
) -> None:
    X = np.zeros((3, 4, 5))
    X[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"value nan in row 1, column \(2, 3\)"):
        scaler().fit(X)
    with pytest.raises(ValueError, match="value nan in row 1: replace"):
        scaler().fit([0, np.nan])


@both
@pytest.mark.parametrize("method", ["transform", "inverse"])
def test_scaler_that_was_not_fitted_says_so(scaler: Any, method: str) -> None:
    with pytest.raises(RuntimeError, match=rf"{scaler.__name__} was not fitted: call fit\(X_train"):
        getattr(scaler(), method)([[1.0]])


@both
@pytest.mark.parametrize("shape", [(5, 3), (4,), (), (5, 4, 1)])
def test_other_columns_than_those_fitted_are_refused(scaler: Any, shape: tuple[int, ...]) -> None:
    fitted = scaler().fit(np.ones((5, 4)))
    with pytest.raises(ValueError, match=r"rows of shape \(n, 4\), got an array of shape \("):
        fitted.transform(np.ones(shape))


@both
def test_nothing_to_fit_on_is_refused(scaler: Any) -> None:
    with pytest.raises(ValueError, match=r"no rows to fit on: X has shape \(0, 3\)"):
        scaler().fit(np.empty((0, 3)))
    with pytest.raises(ValueError, match="one row per example, got a single value"):
        scaler().fit(3.0)


@both
@pytest.mark.parametrize("X", [[["a"]], [[1j]], [[None]]])
def test_values_that_are_no_real_numbers_are_refused(scaler: Any, X: Any) -> None:
    with pytest.raises(TypeError, match="X must hold real numbers, got dtype"):
        scaler().fit(X)


@both
def test_column_that_is_too_wide_for_its_dtype_is_named(scaler: Any) -> None:
    X = np.array([[0, 1.7e308], [0, -1.7e308]])
    with pytest.raises(ValueError, match="values of X, column 1 are too far apart for float64"):
        scaler().fit(X)


def test_masked_values_are_refused_and_a_mask_of_nothing_is_none() -> None:
    X = np.ma.masked_equal([[1.0], [999.0], [3.0]], 999)
    with pytest.raises(ValueError, match="X has masked values: fill in what is missing"):
        Standardizer().fit(X)
    assert Standardizer().fit(X.filled(2.0)).mean == Standardizer().fit(X[[0, 2]]).mean == 2


@both
def test_refused_rows_leave_what_was_fitted_before(scaler: Any) -> None:
    X = np.array([[1.0, 4.0], [3.0, 5.0]])
    fitted = scaler().fit(X)
    before = fitted.transform(X)
    for bad in (np.array([[np.nan]]), np.empty((0, 2)), [[1.7e308], [-1.7e308]]):
        with pytest.raises(ValueError, match="X"):
            fitted.fit(bad)
    np.testing.assert_array_equal(fitted.transform(X), before)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, -1), (0, np.inf), (np.nan, 1)])
def test_range_that_is_none_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=f"low must be below high, both finite; got low={low}"):
        MinMaxScaler(low, high)
