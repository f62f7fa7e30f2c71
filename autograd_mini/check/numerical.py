"""Gradients by differences of function values: an oracle that knows nothing of automatic rules."""

from collections.abc import Callable
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["numerical_gradient"]


def numerical_gradient(
    f: Callable[[NDArray[Any]], SupportsFloat], x: ArrayLike, *, eps: float | None = None
) -> NDArray[Any]:
    r"""Return the gradient of `f` at `x` by central differences.

    Element i of the result is ``(f(x + h e_i) - f(x - h e_i)) / (2 h)``, where ``e_i`` is 1 at
    element i and 0 elsewhere: two evaluations of `f` for each element of `x`.

    Parameters
    ----------
    f : callable
        Takes an array of the shape and dtype of `x` and returns one number: a ``float``, an array
        of shape ``()``, or anything else that ``float()`` takes. It must compute with its argument
        (not with an `x` from outside); it gets a fresh copy at every call and may change that.
    x : array_like of float32 or float64, any shape
        Where to take the gradient; never changed.
    eps : float, optional
        The step h, the same for all elements. By default each element has its own:
        :math:`h_i = \epsilon^{1/3} \max(1, |x_i|)`, where :math:`\epsilon` is the machine epsilon
        of the dtype of `x`.

    Returns
    -------
    ndarray
        The gradient, of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64.
    ValueError
        If `x` holds NaN or infinity, if `f` does not return one real number, or if `eps` is not
        positive and finite or so small that ``x + eps`` rounds to ``x``.

    Notes
    -----
    The error of a central difference is about :math:`h^2 |f'''| / 6` from the missing terms of the
    Taylor series and :math:`\epsilon |f| / h` from rounding. Their sum is smallest near
    :math:`h = \epsilon^{1/3}`, where some ten of sixteen digits are right in float64 and four or
    five of seven in float32 (Press et al., *Numerical Recipes*, 3rd edition, section 5.7). As
    there, h is then replaced by ``(x + h) - x``, so that the step divided by is the step taken.

    Examples
    --------
    >>> numerical_gradient(lambda x: np.sum(np.square(x)), np.array([1.0, -3.0])).round(6)
    array([ 2., -6.])
    """
    x = np.asarray(x)
    if x.dtype.type not in (np.float32, np.float64):
        raise TypeError(
            f"x must be an array of float32 or float64, got {x.dtype}: write x.astype(np.float64)"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"x must be finite, got {x[~np.isfinite(x)][0]} among its elements")
    if eps is not None and not 0 < eps < np.inf:
        raise ValueError(f"eps must be positive and finite, got {eps}")

    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        h = _step(x, index, eps)
        above = _value(f, x, index, h)
        below = _value(f, x, index, -h)
        gradient[index] = (above - below) / (2 * float(h))
    return gradient


def _step(x: NDArray[Any], index: tuple[int, ...], eps: float | None) -> np.floating[Any]:
    """Return a step from ``x[index]`` that loses nothing when added to it."""
    at = x[index]
    if eps is None:
        wanted = np.cbrt(np.finfo(x.dtype).eps) * np.maximum(1, np.abs(at))
    else:
        wanted = x.dtype.type(eps)
    step: np.floating[Any] = (at + wanted) - at
    if step == 0:
        raise ValueError(
            f"eps={eps} is lost in rounding beside x[{', '.join(map(str, index))}] = {at} in "
            f"{x.dtype}: take a larger one, or leave it out"
        )
    return step


def _value(
    f: Callable[[NDArray[Any]], SupportsFloat],
    x: NDArray[Any],
    index: tuple[int, ...],
    change: np.floating[Any],
) -> float:
    """Return ``f`` at a copy of ``x`` in which one element is changed."""
    point = x.copy()
    point[index] += change
    value = f(point)
    shape = getattr(value, "shape", ())
    if shape != ():
        raise ValueError(
            f"f must return one number, got an array of shape {tuple(shape)}: reduce it, for "
            "instance with np.sum"
        )
    if getattr(getattr(value, "dtype", None), "kind", None) == "c":
        raise ValueError(f"f must return a real number, got {value}")
    try:
        return float(value)
    except TypeError:
        raise ValueError(f"f must return one number, got {type(value).__name__}") from None
