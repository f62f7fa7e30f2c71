"""Activations and their kin, which are no functions of NumPy: each declared once, as in the core.

`sigmoid`, `softplus`, `relu`, `leaky_relu`, `softmax`, `log_softmax` and `logsumexp` are ops, for
they must not overflow, or are wanted often; `elu`, `silu`, `gelu` and `log_sigmoid` are written in
other ops.
"""

from __future__ import annotations

import math

import numpy as np

from .border import as_array
from .core.graph import Array
from .core.ops import Axis, max_along, reduce_sum, restored, sum_along
from .core.primitive import primitive


@primitive(r"\sigma($x)", kind="elementwise", x=lambda g, y: g * (y * (1 - y)))
def sigmoid(x: Array) -> Array:
    """The logistic function 1 / (1 + exp(-x)), to full relative precision on both sides.

    Parameters
    ----------
    x : array_like or Tensor, any shape

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    if np.result_type(x).kind == "c":
        return 1 / (1 + np.exp(-x))
    decay = np.exp(np.copysign(x, -1))  # exp(-|x|) cannot overflow
    return np.where(x >= 0, 1, decay) / (1 + decay)


@primitive(r"\log(1 + e^{$x})", kind="elementwise", x=lambda g, x: g * sigmoid(x))
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), a smooth relu.

    Parameters
    ----------
    x : array_like or Tensor, any shape

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.softplus(np.array([-1e4, 0.0, 1e4]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+04])
    """
    return np.log1p(np.exp(x)) if np.result_type(x).kind == "c" else np.logaddexp(x, 0)


@primitive(r"\mathrm{ReLU}($x)", kind="elementwise", analytic=False, x=lambda g, y: g * (y > 0))
def relu(x: Array) -> Array:
    """The larger of x and 0; the derivative at 0 is taken as 0.

    Parameters
    ----------
    x : array_like or Tensor, any shape

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import autograd_mini as ag
    >>> x = ag.Tensor([-2.0, 0.0, 3.0], requires_grad=True)
    >>> ag.relu(x).sum().backward()
    >>> x.grad
    Tensor([0., 0., 1.], dtype=float64)
    """
    return np.maximum(x, 0)


@primitive(
    r"\mathrm{LeakyReLU}_{$negative_slope}($x)",
    kind="elementwise",
    analytic=False,
    x=lambda g, x, negative_slope: np.where(x > 0, g, negative_slope * g),
)
def leaky_relu(x: Array, *, negative_slope: float = 0.01) -> Array:
    """``x`` where it is positive, else ``negative_slope * x``.

    Parameters
    ----------
    x : array_like or Tensor, any shape
    negative_slope : float
        The derivative where ``x <= 0``.

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.leaky_relu(np.array([-2.0, 3.0]), negative_slope=0.1)
    array([-0.2,  3. ])
    """
    return np.where(x > 0, x, negative_slope * x)


@primitive(
    r"\mathrm{softmax}($x)",
    x=lambda g, y, axis: y * (g - reduce_sum(g * y, axis=axis, keepdims=True)),
)
def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) divided by its sum along an axis.

    Parameters
    ----------
    x : array_like or Tensor, any shape with ``axis``
    axis : int
        The axis along which the results sum to 1.

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.softmax(np.array([1e4, 1e4, -1e4]))
    array([0.5, 0.5, 0. ])
    """
    if 0 in x.shape:
        return x.copy()
    x = x if x.dtype.kind == "f" else as_floats(x)
    y = np.exp(x - max_along(x, axis, True))
    return y / sum_along(y, axis, True)


@primitive(
    r"\log \mathrm{softmax}($x)",
    x=lambda g, y, axis: g - np.exp(y) * reduce_sum(g, axis=axis, keepdims=True),
)
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """The logarithm of `softmax`, which does not overflow where softmax vanishes.

    Parameters
    ----------
    x : array_like or Tensor, any shape with ``axis``
    axis : int
        The axis along which the exponentials of the results sum to 1.

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.log_softmax(np.array([1e4, -1e4]))
    array([     0., -20000.])
    """
    if 0 in x.shape:
        return x.copy()
    x = x if x.dtype.kind == "f" else as_floats(x)
    shifted = x - max_along(x, axis, True)
    return shifted - np.log(sum_along(np.exp(shifted), axis, True))


@primitive(
    r"\log \textstyle\sum e^{$x}",
    x=lambda g, x, y, axis, keepdims: (
        # where all are -inf, none has a share
        restored(g, x.shape, axis, keepdims)
        * np.exp(x - restored(np.where(y == -np.inf, 0, y), x.shape, axis, keepdims))
    ),
)
def logsumexp(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))), computed without overflow.

    Parameters
    ----------
    x : array_like or Tensor, any shape
    axis : int, tuple of int or None
        The axes to sum over, by default all.
    keepdims : bool
        Whether to keep them with length 1.

    Returns
    -------
    ndarray or Tensor

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> float(ag.logsumexp(np.array([1e4, 1e4])))
    10000.693147180559
    """
    if 0 in x.shape:
        with np.errstate(divide="ignore"):
            return np.log(sum_along(x, axis, keepdims))
    x = x if x.dtype.kind == "f" else as_floats(x)
    most = max_along(x, axis, True)
    finite = np.where(np.isfinite(most), most, 0)  # inf - inf is no number
    with np.errstate(divide="ignore"):  # log(0) = -inf is right where all x are -inf
        y = np.log(sum_along(np.exp(x - finite), axis, True)) + finite
    return y if keepdims else y.reshape(sum_along(most, axis, False).shape)


def as_floats(x: Array) -> Array:
    """Integers in the dtype of their exponentials: differences of small ones would overflow."""
    return x.astype(np.exp(np.empty(0, x.dtype)).dtype) if x.dtype.kind in "biu" else x


def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    x : array_like or Tensor, any shape
    alpha : float
        The limit at minus infinity is ``-alpha``, the derivative at 0 is ``alpha``.

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Notes
    -----
    Clevert, Unterthiner and Hochreiter, *Fast and Accurate Deep Network Learning by Exponential
    Linear Units* (2016).

    Examples
    --------
    >>> import autograd_mini as ag
    >>> x = ag.Tensor([-1e4, 0.0, 3.0], requires_grad=True)
    >>> ag.elu(x).sum().backward()
    >>> x.grad
    Tensor([0., 1., 1.], dtype=float64)
    """
    x = as_array(x)
    positive = np.greater(x, 0)
    return np.where(positive, x, alpha * np.expm1(np.where(positive, 0, x)))


def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, also called swish.

    Parameters
    ----------
    x : array_like or Tensor, any shape

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Notes
    -----
    Hendrycks and Gimpel, *Gaussian Error Linear Units* (2016); Elfwing, Uchibe and Doya,
    *Sigmoid-Weighted Linear Units* (2018).

    Examples
    --------
    >>> import autograd_mini as ag
    >>> x = ag.Tensor([-1e4, 0.0, 1e4], requires_grad=True)
    >>> ag.silu(x).sum().backward()
    >>> x.grad
    Tensor([0. , 0.5, 1. ], dtype=float64)
    """
    x = as_array(x)
    return np.multiply(x, sigmoid(x))


def gelu(x: Array) -> Array:
    r"""The Gaussian error linear unit in its tanh approximation.

    .. math:: \frac x 2 \left(1 + \tanh\left(\sqrt{2 / \pi}\, (x + 0.044715\, x^3)\right)\right)

    Parameters
    ----------
    x : array_like or Tensor, any shape

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Notes
    -----
    Hendrycks and Gimpel, *Gaussian Error Linear Units* (2016), section 2, who define it as x times
    the normal distribution function; NumPy has no error function.  The two differ by less than
    0.0005.  It is computed with ``1 + tanh(z) = 2 sigmoid(2 z)``, which is accurate where z is
    very negative, too.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> x = ag.Tensor([-1e4, 0.0, 1e4], requires_grad=True)
    >>> ag.gelu(x).sum().backward()
    >>> x.grad
    Tensor([0. , 0.5, 1. ], dtype=float64)
    """
    x = as_array(x)
    z = math.sqrt(2 / math.pi) * np.multiply(x, 1 + 0.044715 * np.square(x))
    return np.multiply(x, sigmoid(2 * z))


def log_sigmoid(x: Array) -> Array:
    """The logarithm of `sigmoid`, which does not overflow where sigmoid vanishes.

    Parameters
    ----------
    x : array_like or Tensor, any shape

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.log_sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([-1.00000000e+04, -6.93147181e-01, -0.00000000e+00])
    """
    return -softplus(np.negative(as_array(x)))
