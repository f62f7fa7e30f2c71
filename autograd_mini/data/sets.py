"""Small real data sets that ship with the package."""

from __future__ import annotations

import gzip
import hashlib
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["digits", "iris"]

_SHA256 = {
    "digits.csv.gz": "e31b7ccbf8cc2b158de948b1bb7a67bf39a856fb064b3aa8ef489f12a2dc4b63",
    "iris.csv.gz": "a161d71def308bc22cf8252625d1a2429308a1298f2a4fc1e056980a5017fbc5",
}


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
    return _table("digits.csv.gz")


def iris() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the measures of 150 iris flowers of three species, 50 of each.

    Returns
    -------
    X : ndarray of float64, shape (150, 4)
        One flower per row: sepal length, sepal width, petal length, petal width, in centimetres.
    y : ndarray of int64, shape (150,)
        Its species: 0 *Iris setosa*, 1 *Iris versicolor*, 2 *Iris virginica*; the rows are in
        this order, so they have to be shuffled before they are split.

    Raises
    ------
    ValueError
        If the data file of this installation is damaged.

    Notes
    -----
    The flowers are those of R. A. Fisher, *The use of multiple measurements in taxonomic problems*,
    Annals of Eugenics 7 (1936) 179-188, measured by E. Anderson; *Iris*, UCI Machine Learning
    Repository, https://doi.org/10.24432/C56C76, licensed under CC BY 4.0. The values are those of
    scikit-learn's copy (BSD-3). It has Fisher's values in rows 34 and 37, counted from 0, where the
    repository's file has 4.9, 3.1, 1.5, 0.1 in both. See ``LICENSES.md`` beside the data file.

    Examples
    --------
    >>> X, y = iris()
    >>> X.shape, np.bincount(y)
    ((150, 4), array([50, 50, 50]))
    >>> X.mean(axis=0).round(2)
    array([5.84, 3.06, 3.76, 1.2 ])
    """
    return _table("iris.csv.gz")


def _table(name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read a shipped table: a row per example, its label in the last column."""
    content = resources.files("autograd_mini.data").joinpath(name).read_bytes()
    found, right = hashlib.sha256(content).hexdigest(), _SHA256[name]
    if found != right:
        raise ValueError(
            f"the data file {name} of autograd_mini is damaged: its SHA-256 is {found[:12]}... "
            f"and should be {right[:12]}...; install autograd_mini again"
        )
    table = np.loadtxt(gzip.decompress(content).decode("ascii").splitlines(), delimiter=",")
    return table[:, :-1].copy(), table[:, -1].astype(np.int64)
