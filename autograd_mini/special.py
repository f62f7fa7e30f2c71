r"""The functions of `scipy.special` on Tensors: ``pip install 'autograd-mini[optim]'`` has SciPy.

Nobody needs to import this module: a ufunc of SciPy that is called on a Tensor finds it.  But
`logsumexp`, `softmax`, `log_softmax` and `polygamma` are plain functions there, which make arrays
of what they are given and refuse recorded Tensors: take those of this module, which have SciPy's
defaults (``axis=None``, where ``ag.softmax`` has -1).

Where they end, derivatives are the one-sided ones:

==============================  ====================================================================
``logit``                       infinite at 0 and 1
``xlogy(x, y)``                 by x at (0, 0) it is -inf; by y at ``x = 0`` it is 0, also at (0, 0)
``entr``                        infinite at 0, NaN below, where its value is -inf
``erfinv``                      infinite at -1 and 1
``gammaln``, ``digamma``,       at 0, -1, -2, ... what SciPy says: an infinity or NaN
``polygamma``
==============================  ====================================================================
"""

from __future__ import annotations

import math

import numpy as np

from . import activations
from .activations import sigmoid
from .core.graph import Array
from .core.ops import Axis
from .core.primitive import elementwise, implementations, primitive

try:
    import scipy.special as scipy
except ImportError as error:
    raise ImportError(
        "autograd_mini.special needs SciPy: pip install 'autograd-mini[optim]'"
    ) from error

__all__ = [
    *("digamma", "entr", "erf", "erfc", "erfinv", "expit", "gammaln", "log_softmax"),
    *("logit", "logsumexp", "ndtr", "polygamma", "softmax", "xlogy"),
]

of_any_order = scipy.polygamma
SLOPE = 2 / math.sqrt(math.pi)  # of the error function at 0
HEIGHT = 1 / math.sqrt(2 * math.pi)  # of the normal density at 0

# fmt: off
erf      = elementwise(scipy.erf,      r"\mathrm{erf}($x)",       "ag.special.erf",
                       x=lambda g, x: g * (SLOPE * np.exp(-np.square(x))))
erfc     = elementwise(scipy.erfc,     r"\mathrm{erfc}($x)",      "ag.special.erfc",
                       x=lambda g, x: g * (-SLOPE * np.exp(-np.square(x))))
erfinv   = elementwise(scipy.erfinv,   r"\mathrm{erf}^{-1}($x)",  "ag.special.erfinv",
                       analytic=False, x=lambda g, y: g * (np.exp(np.square(y)) / SLOPE))
ndtr     = elementwise(scipy.ndtr,     r"\Phi($x)",               "ag.special.ndtr",
                       x=lambda g, x: g * (HEIGHT * np.exp(np.square(x) / -2)))
logit    = elementwise(scipy.logit,    r"\mathrm{logit}($x)",     "ag.special.logit",
                       analytic=False, x=lambda g, x: g / (x * (1 - x)))
gammaln  = elementwise(scipy.gammaln,  r"\log |\Gamma($x)|",      "ag.special.gammaln",
                       analytic=False, x=lambda g, x: g * digamma(x))  # type: ignore[has-type]
digamma  = elementwise(scipy.digamma,  r"\psi($x)",               "ag.special.digamma",
                       x=lambda g, x: g * polygamma_of_order(x, n=1))  # type: ignore[has-type]
entr     = elementwise(scipy.entr,     r"-{$x} \log $x",          "ag.special.entr",
                       analytic=False, x=lambda g, x: g * (-np.log(x) - 1))
# 0 / 0 is 0, for xlogy(0, y) is 0 for all y
ratio    = elementwise(lambda a, b: a / np.where((a == 0) & (b == 0), 1, b), r"\frac{$a}{$b}",
                       name="ratio", analytic=False,
                       a=lambda g, b: g / b, b=lambda g, b, y: -g * ratio(y, b))  # type: ignore[has-type]
xlogy    = elementwise(scipy.xlogy,    r"{$a} \log $b",           "ag.special.xlogy",
                       analytic=False,
                       a=lambda g, b: g * np.log(b), b=lambda g, a, b: g * ratio(a, b))
# fmt: on


@primitive(
    r"\psi^{($n)}($x)",
    name="polygamma",
    kind="elementwise",
    analytic=False,
    x=lambda g, x, n: g * polygamma_of_order(x, n=n + 1),  # type: ignore[has-type]
)
def polygamma_of_order(x: Array, *, n: int) -> Array:
    """The n-th derivative of the digamma function; SciPy computes it in double precision."""
    return of_any_order(n, x).astype(x.dtype)


@primitive(
    r"I_{$n}($x)",
    name="modified_bessel",
    kind="elementwise",
    x=lambda g, x, n: g * (modified_bessel(x, n=n - 1) + modified_bessel(x, n=n + 1)) / 2,  # type: ignore[has-type]
)
def modified_bessel(x: Array, *, n: int) -> Array:
    """The modified Bessel function of the first kind, of integer order."""
    return scipy.iv(n, x)


for _name in ("cbrt", "exp2", "expm1", "log1p"):
    implementations[getattr(scipy, _name)] = implementations[getattr(np, _name)]
expit = implementations[scipy.expit] = sigmoid


def polygamma(n: int, x: Array) -> Array:
    """The n-th derivative of the digamma function.

    Parameters
    ----------
    n : int
    x : array_like or Tensor, any shape

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import special
    >>> float(special.polygamma(1, 1.0)), float(ag.grad(special.digamma)(1.0))  # pi^2 / 6
    (1.6449340668482266, 1.6449340668482266)
    """
    return polygamma_of_order(x, n=n)


def logsumexp(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """`ag.logsumexp` with the parameters of SciPy's, without weights and signs.

    Parameters
    ----------
    a : array_like or Tensor, any shape
    axis : int, tuple of int or None
        The axes to sum over, by default all.
    keepdims : bool
        Whether to keep them with length 1.

    Returns
    -------
    ndarray or Tensor

    Examples
    --------
    >>> from autograd_mini import special
    >>> float(special.logsumexp([1e4, 1e4]))
    10000.69314718056
    """
    return activations.logsumexp(a, axis=axis, keepdims=keepdims)


def softmax(x: Array, axis: Axis = None) -> Array:
    """`ag.softmax` with SciPy's default: over all elements together.

    Parameters
    ----------
    x : array_like or Tensor, any shape
    axis : int, tuple of int or None
        The axes along which the results sum to 1, by default all.

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> from autograd_mini import special
    >>> special.softmax([[0.0, 0.0], [0.0, 0.0]])
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    return activations.softmax(x, axis=axis)


def log_softmax(x: Array, axis: Axis = None) -> Array:
    """`ag.log_softmax` with SciPy's default: over all elements together.

    Parameters
    ----------
    x : array_like or Tensor, any shape
    axis : int, tuple of int or None
        The axes along which the exponentials of the results sum to 1, by default all.

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> from autograd_mini import special
    >>> special.log_softmax([0.0, 0.0])
    array([-0.69314718, -0.69314718])
    """
    return activations.log_softmax(x, axis=axis)
