"""Features brought to one scale: measured on the training rows, then applied to any rows.

The rates of gradient descent suit all weights alike only where all features are of one size.  A
"column" is one place in the shape that follows the rows: of a table a column, of images a pixel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .splitting import refuse_masked

__all__ = ["MinMaxScaler", "Standardizer"]

#: At least float64: a mean in float32 is too rough for large values.
Floats = NDArray[np.floating[Any]]


class _Scaler(ABC):
    """What scalers share: they measure columns once, and check all that they are given."""

    _columns: tuple[int, ...] | None = None

    def fit(self, X: ArrayLike) -> Self:
        """Measure the columns of the training rows.

        Parameters
        ----------
        X : array_like of float or int, shape (n, ...)
            The training rows; the test rows have no say in it.

        Returns
        -------
        Self
            The scaler itself.

        Raises
        ------
        ValueError
            If there are no rows, a value is NaN or infinite, or a column is too wide for float64.
        TypeError
            If the values are not real numbers.
        """
        rows = _finite_rows(X)
        if len(rows) == 0:
            raise ValueError(f"there are no rows to fit on: X has shape {rows.shape}")
        # Values as far apart as 1e308 overflow; that is found and said below.
        with np.errstate(over="ignore"):
            lowest = rows.min(axis=0)
            width = np.asarray(rows.max(axis=0) - lowest)
        if not np.isfinite(width).all():
            where = tuple(np.argwhere(~np.isfinite(width))[0])
            raise ValueError(f"the values of X{_place(where)} are too far apart for {width.dtype}")
        self._measure(rows, lowest, width)
        self._columns = rows.shape[1:]
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Return rows with their columns scaled by what `fit` measured.

        Parameters
        ----------
        X : array_like of float or int, shape (n, ...)
            Rows with the columns of those that were fitted; there may be none.

        Returns
        -------
        ndarray of float, shape (n, ...)
            A new array: of X's dtype where that is a float, else float64.

        Raises
        ------
        RuntimeError
            If nothing was fitted yet.
        ValueError
            If the columns are others than those fitted, or a value is NaN or infinite.
        TypeError
            If the values are not real numbers.
        """
        X = np.asarray(X)
        return self._forward(self._known_rows(X)).astype(_result_type(X), copy=False)

    def inverse(self, X: ArrayLike) -> NDArray[Any]:
        """Return scaled rows as they were before `transform`, to rounding.

        Parameters
        ----------
        X : array_like of float or int, shape (n, ...)
            Scaled rows.

        Returns
        -------
        ndarray of float, shape (n, ...)
            A new array: of X's dtype where that is a float, else float64.

        Raises
        ------
        RuntimeError
            If nothing was fitted yet.
        ValueError
            If the columns are others than those fitted, or a value is NaN or infinite.
        TypeError
            If the values are not real numbers.
        """
        X = np.asarray(X)
        return self._backward(self._known_rows(X)).astype(_result_type(X), copy=False)

    @abstractmethod
    def _measure(self, X: Floats, lowest: Floats, width: Floats) -> None:
        """Keep what is needed of the rows, of which the range of each column is given."""

    @abstractmethod
    def _forward(self, X: Floats) -> Floats:
        """Scale rows that were checked."""

    @abstractmethod
    def _backward(self, X: Floats) -> Floats:
        """Undo the scaling of rows that were checked."""

    def _known_rows(self, X: NDArray[Any]) -> Floats:
        """Return rows as an array, which must have the columns that were fitted."""
        if self._columns is None:
            raise RuntimeError(
                f"this {type(self).__name__} was not fitted: call fit(X_train) first"
            )
        if X.ndim == 0 or X.shape[1:] != self._columns:
            fitted = ", ".join(map(str, ("n", *self._columns)))
            raise ValueError(f"fitted on rows of shape ({fitted}), got an array of shape {X.shape}")
        return _finite_rows(X)


class Standardizer(_Scaler):
    """Scales each column to mean 0 and standard deviation 1.

    A column that is constant in the training rows becomes 0 there, and is only shifted elsewhere.

    Attributes
    ----------
    mean : ndarray, shape (...)
        The mean of each column, once `fit` was called.
    scale : ndarray, shape (...)
        Its standard deviation (the sum of squares divided by n); 1 where that is 0.

    Examples
    --------
    >>> X_train, X_test = np.array([[1.0, 10], [3, 30], [5, 50]]), np.array([[3.0, 70]])
    >>> scaler = Standardizer().fit(X_train)
    >>> scaler.mean
    array([ 3., 30.])
    >>> scaler.transform(X_test).round(4)
    array([[0.    , 2.4495]])
    >>> scaler.inverse(scaler.transform(X_test))
    array([[ 3., 70.]])
    """

    mean: Floats
    scale: Floats

    def __repr__(self) -> str:
        return "Standardizer()"

    def _measure(self, X: Floats, lowest: Floats, width: Floats) -> None:
        # From 0 to 1, squares neither overflow nor vanish, and a constant column is exactly 0.
        unit = (X - lowest) / np.where(width > 0, width, 1)
        self.mean = lowest + width * unit.mean(axis=0)
        scale = width * unit.std(axis=0)
        self.scale = np.where(scale > 0, scale, 1)

    def _forward(self, X: Floats) -> Floats:
        return (X - self.mean) / self.scale

    def _backward(self, X: Floats) -> Floats:
        return X * self.scale + self.mean


class MinMaxScaler(_Scaler):
    """Scales each column so that the training rows reach exactly from `low` to `high`.

    A column that is constant in the training rows becomes `low` there.  Other rows may come to lie
    outside, where their values lie outside of those that were fitted.

    Parameters
    ----------
    low, high : float
        The range to scale to.

    Raises
    ------
    ValueError
        If `low` is not below `high`, or one of them is not finite.

    Attributes
    ----------
    minimum : ndarray, shape (...)
        The least value of each column, once `fit` was called.
    width : ndarray, shape (...)
        Its largest value less its least; 1 where that is 0.

    Examples
    --------
    >>> scaler = MinMaxScaler().fit([[0, 5], [10, 5]])
    >>> scaler.transform([[0, 5], [5, 5], [20, 5]])
    array([[-1., -1.],
           [ 0., -1.],
           [ 3., -1.]])
    """

    minimum: Floats
    width: Floats

    def __init__(self, low: float = -1, high: float = 1) -> None:
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(f"low must be below high, both finite; got low={low}, high={high}")
        self.low, self.high = low, high

    def __repr__(self) -> str:
        return f"MinMaxScaler(low={self.low}, high={self.high})"

    def _measure(self, X: Floats, lowest: Floats, width: Floats) -> None:
        self.minimum = lowest
        self.width = np.where(width > 0, width, 1)

    def _forward(self, X: Floats) -> Floats:
        part = (X - self.minimum) / self.width
        # Exact at both ends, which low + part * (high - low) is not.
        return self.low * (1 - part) + self.high * part

    def _backward(self, X: Floats) -> Floats:
        part = (X - self.low) / (self.high - self.low)
        return self.minimum + part * self.width


def _finite_rows(X: ArrayLike) -> Floats:
    """Return rows of real, finite numbers, in the dtype to calculate in."""
    refuse_masked("X", X)
    X = np.asarray(X)
    if X.dtype.kind not in "fiub":
        raise TypeError(f"X must hold real numbers, got dtype {X.dtype}")
    if X.ndim == 0:
        raise ValueError("X needs one row per example, got a single value")
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        row, *where = map(int, np.argwhere(~np.isfinite(X))[0])
        raise ValueError(
            f"X has the value {X[(row, *where)]} in row {row}{_place(tuple(where))}: "
            "replace what is missing before scaling"
        )
    return X.astype(np.result_type(X.dtype, np.float64), copy=False)


def _place(where: tuple[int, ...]) -> str:
    """Say which column: a number in a table, numbers in images, nothing where there is one."""
    if not where:
        return ""
    return f", column {where[0] if len(where) == 1 else tuple(map(int, where))}"


def _result_type(X: NDArray[Any]) -> np.dtype[Any]:
    """Return the dtype of scaled rows."""
    return X.dtype if X.dtype.kind == "f" else np.dtype(np.float64)
