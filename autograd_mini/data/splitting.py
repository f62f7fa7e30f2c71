"""Rows of examples: held out, dealt into folds, walked through in batches; labels as rows."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["batches", "k_folds", "one_hot", "train_test_split"]


def train_test_split(
    X: ArrayLike, y: ArrayLike, *, test_size: float = 0.2, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Split rows at random into a part to train on and a part that is held out.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        The examples, one per row.
    y : array_like, shape (n, ...)
        What belongs to each row of `X`.
    test_size : float
        The fraction of rows to hold out, between 0 and 1; at least one row stays on each side.
    rng : numpy.random.Generator
        Where the randomness comes from: the same seed gives the same split.

    Returns
    -------
    X_train, X_test, y_train, y_test : ndarray
        Copies of the rows, in random order, dtypes unchanged; `test_size` times n rows, rounded to
        a whole number, are in the test part.

    Raises
    ------
    ValueError
        If `X` and `y` have different numbers of rows, or `test_size` leaves a part empty.
    TypeError
        If `rng` is not a ``numpy.random.Generator``.

    Examples
    --------
    >>> X, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> parts = train_test_split(X, y, test_size=0.4, rng=np.random.default_rng(0))
    >>> [part.shape for part in parts]
    [(3, 2), (2, 2), (3,), (2,)]
    """
    _check_generator(rng)
    X, y = _same_rows(X, y)
    if not 0 < test_size < 1:
        raise ValueError(f"test_size is a fraction between 0 and 1, got {test_size}")
    held_out = round(test_size * len(X))
    if held_out in (0, len(X)):
        raise ValueError(
            f"test_size={test_size} of {len(X)} rows leaves no row to "
            f"{'train on' if held_out else 'test on'}"
        )
    order = rng.permutation(len(X))
    test, train = order[:held_out], order[held_out:]
    return X[train], X[test], y[train], y[test]


def k_folds(
    y: ArrayLike, k: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield k splits into rows to train on and rows to test on: each row is tested on once.

    Parameters
    ----------
    y : array_like, shape (n, ...)
        What belongs to each row. Where it holds labels, which is where its dtype is integer or
        bool, the folds are stratified: each has its share of every class, to one row.
    k : int
        The number of folds, from 2 to n.
    rng : numpy.random.Generator
        Where the randomness comes from: the same seed gives the same folds.

    Yields
    ------
    train_rows, test_rows : ndarray of int
        Row numbers, ascending. The test parts of two folds differ by one row at most.

    Raises
    ------
    ValueError
        If there are fewer rows than folds or fewer than 2 folds, or labels are not in one
        dimension.
    TypeError
        If `rng` is not a ``numpy.random.Generator``, or `k` not an integer.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 0, 1, 1])
    >>> for train, test in k_folds(y, 2, np.random.default_rng(0)):
    ...     print(y[train], y[test])
    [0 0 1] [0 0 1]
    [0 0 1] [0 0 1]
    """
    _check_generator(rng)
    y, k = np.asarray(y), operator.index(k)
    if y.ndim == 0:
        raise ValueError("y needs one row per example, got a single value")
    if not 2 <= k <= len(y):
        raise ValueError(f"k must be from 2 to the number of rows, which is {len(y)}; got {k}")
    order = rng.permutation(len(y))
    if y.dtype.kind in "iub":
        if y.ndim != 1:
            raise ValueError(f"labels must have shape (n,), got {y.shape}: write y.ravel()")
        classes, label = np.unique(y, return_inverse=True)
        place = rng.permutation(len(classes))[label]
        order = order[np.argsort(place[order], kind="stable")]
    # Dealt out like cards, one class after the other: so each fold gets its share of every class.
    fold = np.empty(len(y), dtype=np.intp)
    fold[order] = np.arange(len(y)) % k
    return ((np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k))


def batches(
    X: ArrayLike, y: ArrayLike, size: int, rng: np.random.Generator | None
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield the rows of X and y in batches, all of them once: one epoch.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        The examples, one per row.
    y : array_like, shape (n, ...)
        What belongs to each row of `X`.
    size : int
        Rows per batch; the last batch has what is left.
    rng : numpy.random.Generator or None
        Shuffles the rows, by one draw when `batches` is called; None keeps their order.

    Yields
    ------
    X_batch, y_batch : ndarray, shapes (size, ...)
        Copies of the rows, dtypes unchanged.

    Raises
    ------
    ValueError
        If `X` and `y` have different numbers of rows, or none, or `size` is less than 1.
    TypeError
        If `rng` is neither a ``numpy.random.Generator`` nor None, or `size` not an integer.

    Examples
    --------
    >>> X, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> for X_batch, y_batch in batches(X, y, 2, np.random.default_rng(0)):
    ...     print(X_batch.tolist(), y_batch)
    [[4, 5], [8, 9]] [2 4]
    [[6, 7], [0, 1]] [3 0]
    [[2, 3]] [1]
    """
    if rng is not None:
        _check_generator(rng)
    X, y = _same_rows(X, y)
    size = operator.index(size)
    if len(X) == 0:
        raise ValueError(f"there are no rows to make batches of: X has shape {X.shape}")
    if size < 1:
        raise ValueError(f"a batch needs at least 1 row, got size={size}")
    order = np.arange(len(X)) if rng is None else rng.permutation(len(X))
    parts = (order[start : start + size] for start in range(0, len(X), size))
    return ((X.take(rows, axis=0), y.take(rows, axis=0)) for rows in parts)


def one_hot(labels: ArrayLike, classes: int) -> NDArray[np.float64]:
    """Return a row for each label: 1 in the column of its class, 0 elsewhere.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Class numbers from 0 to ``classes - 1``.
    classes : int
        How many classes there are.

    Returns
    -------
    ndarray of float64, shape (n, classes)
        Transpose it where examples stand in columns.

    Raises
    ------
    TypeError
        If the labels are not whole numbers of an integer dtype.
    ValueError
        If the labels are not in one dimension, or one is not a class number.

    Examples
    --------
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be integers, got {labels.dtype}: write labels.astype(int)")
    if labels.ndim != 1:
        raise ValueError(f"labels must have shape (n,), got {labels.shape}")
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise ValueError(f"labels must be 0 to {classes - 1}, got {outside[0]}")
    rows = np.zeros((labels.size, classes))
    rows[np.arange(labels.size), labels] = 1
    return rows


def _check_generator(rng: object) -> None:
    """Refuse seeds and the global random state."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}: "
            "write rng=np.random.default_rng(seed)"
        )


def refuse_masked(name: str, given: Any) -> None:
    """Raise at an array that says by a mask that values are missing: a plain array would not."""
    ma = sys.modules.get("numpy.ma")  # slow to import, and needless where nobody has done so
    if ma is not None and ma.is_masked(given):
        raise ValueError(f"{name} has masked values: fill in what is missing, or leave it out")


def _same_rows(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as arrays, which must have a row per example each."""
    refuse_masked("X", X)
    refuse_masked("y", y)
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"X and y need one row per example each, got shapes {X.shape} and {y.shape}"
        )
    return X, y
