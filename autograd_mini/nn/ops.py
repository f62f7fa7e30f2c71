"""Fused ops of neural networks: one call where speed or numerics ask for it.

Each has a twin in the tests, written in the core's ops, that it must agree with.
"""

from __future__ import annotations

import math

import numpy as np

from ..core.graph import Array
from ..core.ops import log_softmax, max_along, reduce_sum, sigmoid, softmax, softplus, sum_along
from ..core.primitive import primitive


def as_rows(x: Array) -> Array:
    """Examples in rows: all axes but the last one made into one."""
    return x if x.ndim == 2 else x.reshape((-1, x.shape[-1]))


def product(a: Array, b: Array) -> Array:
    """``a @ b``, by the shorter way where ``a`` is a matrix: half the time on small ones."""
    return a.dot(b) if a.ndim == 2 else a @ b


@primitive(
    r"$x\, {$weight}^T + $bias",
    x=lambda g, weight: product(g, weight),
    weight=lambda g, x: as_rows(g).T.dot(as_rows(x)),
    bias=lambda g: np.add.reduce(as_rows(g), axis=0),
)
def linear(x: Array, weight: Array, bias: Array) -> Array:
    """A layer of affine functions, ``x @ weight.T + bias``.

    Parameters
    ----------
    x : array_like or Tensor, shape (..., n_in)
        One example, or examples in rows.
    weight : array_like or Tensor, shape (n_out, n_in)
    bias : array_like or Tensor, shape (n_out,)

    Returns
    -------
    ndarray or Tensor, shape (..., n_out)

    Raises
    ------
    ValueError
        If the shapes do not fit together.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.nn.linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([5.0]))
    array([16.])
    """
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError("weight has shape (n_out, n_in) and bias (n_out,)")
    y = product(x, weight.T)
    return np.add(y, bias, out=y) if y.dtype == bias.dtype else y + bias


def averaged(losses: Array, reduction: str) -> Array:
    """The losses of the examples as ``reduction`` wants them."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    if reduction == "none":
        return losses
    total = np.add.reduce(losses, axis=None)
    return total / losses.size if reduction == "mean" else total


def share(g: Array, reduction: str, losses: int) -> Array:
    """The cotangent of each loss, from that of what `averaged` made of them."""
    return g / losses if reduction == "mean" else g


def mass(labels: Array) -> Array:
    """The sum of the target probabilities of each example, which is 1 for class labels."""
    return reduce_sum(labels, axis=-1, keepdims=True) if labels.dtype.kind in "fc" else 1


def through_softmax(g: Array, logits: Array, labels: Array) -> Array:
    """The cotangent of the logits of `residual`, by the derivative of softmax."""
    y = softmax(logits)
    return mass(labels) * (y * (g - reduce_sum(g * y, axis=-1, keepdims=True)))


@primitive(
    r"\mathrm{softmax}($logits) - $labels",
    logits=through_softmax,
    labels=lambda g, logits: reduce_sum(g * softmax(logits), axis=-1, keepdims=True) - g,
)
def residual(logits: Array, labels: Array) -> Array:
    """The famous ``softmax - target``: the derivative of the cross-entropy by the logits."""
    y = softmax.kernel(logits)
    if labels.dtype.kind in "fc":
        return y * mass(labels) - labels
    y -= labels[..., None] == np.arange(y.shape[-1])
    return y


def as_column(g: Array, reduction: str, logits: Array) -> Array:
    """The cotangent of each example's loss, for all of its logits."""
    if reduction == "mean":
        return g / math.prod(logits.shape[:-1])
    return g if reduction == "sum" else g[..., None]


@primitive(
    r"\mathrm{CE}(\mathrm{softmax}($logits), $labels)",
    logits=lambda g, logits, labels, reduction: (
        as_column(g, reduction, logits) * residual(logits, labels)
    ),
    labels=lambda g, logits, reduction: -as_column(g, reduction, logits) * log_softmax(logits),
)
def softmax_cross_entropy(logits: Array, labels: Array, *, reduction: str = "mean") -> Array:
    r"""The cross-entropy between labels and ``softmax(logits)``, without overflow.

    .. math:: L = -\sum_k t_k \log \mathrm{softmax}(z)_k

    Parameters
    ----------
    logits : array_like or Tensor, shape (..., K)
        Unnormalised logarithms of the probabilities of K classes.
    labels : array_like or Tensor, shape (...) or (..., K)
        Integer class labels 0..K-1, or target probabilities in the dtype of floats.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses over the examples, to add them or to leave them alone.

    Returns
    -------
    ndarray or Tensor, shape (), or (...) for "none"

    Raises
    ------
    ValueError
        If labels are out of range or their shape does not fit the logits.

    Notes
    -----
    Its derivative by the logits is ``softmax(logits) - t``: Bishop, *Pattern Recognition and
    Machine Learning* (2006), equation 4.109.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> logits = ag.Tensor([[2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = ag.nn.softmax_cross_entropy(logits, np.array([0, 1]))
    >>> loss.backward()
    >>> logits.grad.data.round(4)
    array([[-0.0596,  0.0596],
           [ 0.25  , -0.25  ]])
    """
    shifted = logits - max_along(logits, -1, True)
    log_total = np.log(sum_along(np.exp(shifted), -1, False))
    if labels.dtype.kind in "fc":
        if labels.shape != logits.shape:
            raise ValueError("target probabilities have the shape of the logits")
        return averaged(sum_along(labels * (log_total[..., None] - shifted), -1, False), reduction)
    if labels.shape != logits.shape[:-1] or labels.dtype.kind not in "iu":
        raise ValueError("labels are integers, one for each row of the logits")
    flat, classes = labels.reshape(-1), logits.shape[-1]
    if flat.size and flat[flat.argmin()] < 0:  # a third of the time of flat.min()
        raise ValueError(f"a label is {flat.min()}, but classes are 0..{classes - 1}")
    try:
        chosen = as_rows(shifted)[np.arange(flat.size), flat].reshape(labels.shape)
    except IndexError:
        raise ValueError(f"a label is {flat.max()}, but classes are 0..{classes - 1}") from None
    return averaged(log_total - chosen, reduction)


@primitive(
    r"\mathrm{BCE}(\sigma($logits), $targets)",
    logits=lambda g, logits, targets, reduction: (
        share(g, reduction, math.prod(logits.shape)) * (sigmoid(logits) - targets)
    ),
    targets=lambda g, logits, reduction: -share(g, reduction, math.prod(logits.shape)) * logits,
)
def binary_cross_entropy_with_logits(
    logits: Array, targets: Array, *, reduction: str = "mean"
) -> Array:
    r"""The logistic loss of ``sigmoid(logits)``, without overflow.

    .. math:: L = -t \log \sigma(z) - (1 - t) \log(1 - \sigma(z))

    Parameters
    ----------
    logits : array_like or Tensor, any shape
    targets : array_like or Tensor, shape of ``logits``
        Probabilities, mostly 0 or 1.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses over all elements, to add them or to leave them alone.

    Returns
    -------
    ndarray or Tensor, shape (), or that of ``logits`` for "none"

    Raises
    ------
    ValueError
        If the shapes differ: (N, 1) and (N,) would silently make N x N losses.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> float(ag.nn.binary_cross_entropy_with_logits(np.array([0.0, 1e4]), np.array([1.0, 1.0])))
    0.34657359027997264
    """
    if logits.shape != targets.shape:
        raise ValueError("targets have the shape of the logits")
    losses = targets * softplus.kernel(-logits) + (1 - targets) * softplus.kernel(logits)
    return averaged(losses, reduction)
