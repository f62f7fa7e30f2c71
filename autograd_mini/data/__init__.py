"""Small real data sets that ship with the package, and how to split them."""

import gzip
import hashlib
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["digits", "one_hot", "train_test_split"]

_DIGITS_SHA256 = "e31b7ccbf8cc2b158de948b1bb7a67bf39a856fb064b3aa8ef489f12a2dc4b63"


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the 1,797 handwritten digits of the UCI repository, 8x8 pixels each.

    Returns
    -------
    X : ndarray of float64, shape (1797, 64)
        One image per row, its pixels row by row: how much of each pixel is black, a whole number
        from 0 (empty) to 16 (full). Divide by 16 to get values from 0 to 1.
    y : ndarray of int64, shape (1797,)
        The digit that each image shows, 0 to 9.

    Raises
    ------
    ValueError
        If the data file of this installation is damaged.

    Notes
    -----
    This is the test part of *Optical Recognition of Handwritten Digits* by E. Alpaydin and
    C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licensed
    under CC BY 4.0; its values are unchanged. See ``LICENSES.md`` beside the data file.

    Examples
    --------
    >>> X, y = digits()
    >>> X.shape, y.shape
    ((1797, 64), (1797,))
    >>> y[0]
    np.int64(0)
    >>> for row in X[0].reshape(8, 8):
    ...     print("".join(" .:#@"[int(pixel) // 4] for pixel in row).rstrip())
      .#:
      ##:#.
      #  ::
     .#  ::
     .:  ::
     .:  #.
      #.:#
      .#:
    """
    content = resources.files(__name__).joinpath("digits.csv.gz").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _DIGITS_SHA256:
        raise ValueError(
            f"the data file digits.csv.gz of autograd_mini is damaged: its SHA-256 is {found[:12]}"
            f"... and should be {_DIGITS_SHA256[:12]}...; install autograd_mini again"
        )
    lines = gzip.decompress(content).decode("ascii").splitlines()
    table = np.loadtxt(lines, delimiter=",", dtype=np.int64)
    return table[:, :-1].astype(np.float64), table[:, -1].copy()


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
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}: "
            "write rng=np.random.default_rng(seed)"
        )
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"X and y need one row per example each, got shapes {X.shape} and {y.shape}"
        )
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
