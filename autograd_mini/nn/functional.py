"""The functions that layers are made of, by PyTorch's names, and the losses.

A loss is a function of outputs and targets.  Classes are on the last axis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..activations import (
    elu,
    gelu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from ..border import as_array
from ..compile.capture import capturing, check
from ..core.graph import Array
from ..core.ops import tanh
from ..core.tensor import Tensor, unwrapped
from ..signatures import O
from . import init, ops
from .convolution import avg_pool2d, conv2d, max_pool2d
from .ops import averaged, binary_cross_entropy_with_logits, cross_entropy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "avg_pool2d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


@overload
def linear(x: O, weight: Any, bias: Array = ...) -> O: ...
@overload
def linear(x: Any, weight: O, bias: Array = ...) -> O: ...
@overload
def linear(x: ArrayLike, weight: ArrayLike, bias: Array = ...) -> NDArray[Any]: ...
def linear(x: Array, weight: Array, bias: Array = None) -> Array:
    """A layer of affine functions, ``x @ weight.T + bias``.

    Parameters
    ----------
    x : array_like or Tensor, shape (..., n_in)
        One example, or examples in rows.
    weight : array_like or Tensor, shape (n_out, n_in)
    bias : array_like or Tensor, shape (n_out,), optional

    Returns
    -------
    ndarray or Tensor, shape (..., n_out)

    Raises
    ------
    ValueError
        If the shapes do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.functional.linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([5.0]))
    array([16.])
    """
    if bias is not None:
        return ops.linear(x, weight, bias)
    return np.matmul(x, np.transpose(weight))


def below_one(p: Any) -> float:
    """The probability with which something is dropped: if it were 1, nothing would be left."""
    if not isinstance(p, int | float | np.number) or not 0 <= p < 1:
        raise ValueError(f"p is the probability that an element is dropped, in [0, 1), not {p!r}")
    return float(p)


def dropout(x: Array, p: float, *, training: bool, rng: np.random.Generator) -> Array:
    """Set elements to 0 with probability ``p`` and divide the others by ``1 - p``.

    So the expectation of each element is what it was, and nothing is to be done in use.

    Parameters
    ----------
    x : array_like or Tensor, any shape
    p : float
        At least 0 and below 1.
    training : bool
        If not, ``x`` comes back as it is.
    rng : numpy.random.Generator
        What is drawn from.

    Returns
    -------
    ndarray or Tensor, shape of ``x``

    Raises
    ------
    TypeError
        If ``rng`` is not a generator, and is needed.
    ValueError
        If ``p`` is not in [0, 1).

    Notes
    -----
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, *Dropout* (2014), section 10, in
    which the scaling is done in training ("inverted dropout").

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> rng = np.random.default_rng(0)
    >>> nn.functional.dropout(np.ones(6), 0.5, training=True, rng=rng)
    array([2., 2., 2., 0., 0., 0.])
    """
    p, x = below_one(p), as_array(x)
    if not training:
        return x
    return x * ops.dropout_mask(x, p=p, rng=init.generator(rng))


# ---- losses -------------------------------------------------------------------------------------


@overload
def binary_cross_entropy(probabilities: O, targets: Any, *, reduction: str = ...) -> O: ...
@overload
def binary_cross_entropy(probabilities: Any, targets: O, *, reduction: str = ...) -> O: ...
@overload
def binary_cross_entropy(
    probabilities: ArrayLike, targets: ArrayLike, *, reduction: str = ...
) -> NDArray[Any]: ...
def binary_cross_entropy(probabilities: Array, targets: Array, *, reduction: str = "mean") -> Array:
    r"""The logistic loss of probabilities.

    .. math:: L = -t \log p - (1 - t) \log(1 - p)

    Prefer `binary_cross_entropy_with_logits`, of the logits: where the sigmoid is 0 or 1 to
    rounding, a probability does not know any more how wrong it is, and no gradient comes back.

    Parameters
    ----------
    probabilities : array_like or Tensor, any shape
        From [0, 1], as the sigmoid gives them.
    targets : array_like or Tensor, shape of ``probabilities``
        Probabilities, mostly 0 or 1.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses over all elements, to add them or to leave them alone.

    Returns
    -------
    ndarray or Tensor, shape (), or that of ``probabilities`` for "none"

    Raises
    ------
    ValueError
        If the shapes differ, a probability or a target is outside [0, 1] (a target by more than
        1/8: differences can be taken at 0 and 1), or there is nothing to average.

    Notes
    -----
    A logarithm is taken to be at least -100, as in PyTorch, so that the loss is finite at 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> p = np.array([0.9, 0.2, 1.0])
    >>> nn.functional.binary_cross_entropy(p, np.array([1.0, 0.0, 0.0]), reduction="none").round(3)
    array([  0.105,   0.223, 100.   ])
    """
    p, t = as_array(probabilities), as_array(targets)
    ops.refuse_other_shape(p, t)
    check(ops.refuse_impossible_targets, t)
    check(refuse_what_is_no_probability, p)
    data = p.detach() if capturing() and isinstance(p, Tensor) else unwrapped(p)
    dtype = np.result_type(data.dtype, np.float16)
    tiny = max(math.exp(-100), float(np.finfo(dtype).tiny))  # where 1 / p does not overflow
    impossible, certain = data < tiny, data >= 1  # a NaN is neither, and stays one
    yes = np.where(impossible, -100, np.log(np.where(impossible, 1, p)))
    no = np.where(certain, -100, np.log1p(-np.where(certain, 0, p)))
    return averaged(-(t * yes + (1 - t) * no), reduction)


def refuse_what_is_no_probability(p: Array) -> None:
    """Raise if a number is not in [0, 1]."""
    if ((p < 0) | (p > 1)).any():
        raise ValueError(
            f"these probabilities reach from {np.nanmin(p):.4g} to {np.nanmax(p):.4g}, "
            f"but they are in [0, 1]: apply sigmoid, or give these numbers to "
            f"binary_cross_entropy_with_logits"
        )


def refuse_what_is_no_logarithm(log_p: Array) -> None:
    """Raise if a number is no logarithm of a probability, by more than rounding."""
    largest = log_p.max() if log_p.size else 0
    if largest > 1e-6:
        raise ValueError(
            f"the logarithm of a probability is at most 0, and the largest output is "
            f"{largest:.4g}: apply log_softmax to logits, or give them to cross_entropy"
        )


@overload
def nll_loss(log_probabilities: O, labels: Any, *, reduction: str = ...) -> O: ...
@overload
def nll_loss(log_probabilities: Any, labels: O, *, reduction: str = ...) -> O: ...
@overload
def nll_loss(
    log_probabilities: ArrayLike, labels: ArrayLike, *, reduction: str = ...
) -> NDArray[Any]: ...
def nll_loss(log_probabilities: Array, labels: Array, *, reduction: str = "mean") -> Array:
    r"""The negative logarithm of the probability of the right class.

    .. math:: L = -\sum_k t_k \log p_k

    Parameters
    ----------
    log_probabilities : array_like or Tensor, shape (..., K)
        As `log_softmax` gives them.
    labels : array_like or Tensor, shape (...) or (..., K)
        Class labels 0..K-1 of an integer dtype, or target probabilities (one-hot is one kind).
    reduction : {"mean", "sum", "none"}
        Whether to average the losses over the examples, to add them or to leave them alone.

    Returns
    -------
    ndarray or Tensor, shape (), or (...) for "none"

    Raises
    ------
    ValueError
        If labels are out of range or not integers, or their shape does not fit; if integers of the
        shape of the outputs are not one-hot; if there are no classes, or no examples to average
        over; or if outputs are above 0, as no logarithm of a probability is.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> log_p = np.log([[0.5, 0.5], [0.9, 0.1]])
    >>> nn.functional.nll_loss(log_p, np.array([0, 0]), reduction="none").round(4)
    array([0.6931, 0.1054])
    """
    log_p, t = as_array(log_probabilities), as_array(labels)
    check(ops.are_probabilities, log_p, t)
    check(refuse_what_is_no_logarithm, log_p)
    if t.shape == log_p.shape:
        return averaged(-np.sum(t * np.where(t == 0, 0, log_p), axis=-1), reduction)
    check(ops.checked_labels, log_p, t)
    flat = (t if capturing() else unwrapped(t)).reshape(-1)
    chosen = log_p.reshape((flat.size, log_p.shape[-1]))[np.arange(flat.size), flat]
    return averaged(-chosen.reshape(t.shape), reduction)


@overload
def mse_loss(outputs: O, targets: Any, *, reduction: str = ...) -> O: ...
@overload
def mse_loss(outputs: Any, targets: O, *, reduction: str = ...) -> O: ...
@overload
def mse_loss(outputs: ArrayLike, targets: ArrayLike, *, reduction: str = ...) -> NDArray[Any]: ...
def mse_loss(outputs: Array, targets: Array, *, reduction: str = "mean") -> Array:
    """The squared error, ``(outputs - targets) ** 2``; no factor of one half.

    Parameters
    ----------
    outputs : array_like or Tensor, any shape
    targets : array_like or Tensor, shape of ``outputs``
    reduction : {"mean", "sum", "none"}
        Whether to average the errors over all elements, to add them or to leave them alone.

    Returns
    -------
    ndarray or Tensor, shape (), or that of ``outputs`` for "none"

    Raises
    ------
    ValueError
        If the shapes differ, for (N, 1) and (N,) would silently make N x N errors, or there is
        nothing to average.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> float(nn.functional.mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    outputs, targets = as_array(outputs), as_array(targets)
    if outputs.dtype.kind in "biu" and targets.dtype.kind in "biu":  # small integers overflow
        outputs = outputs.astype(np.float64)
    ops.refuse_other_shape(outputs, targets)
    return averaged(np.square(outputs - targets), reduction)
