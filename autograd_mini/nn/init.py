"""Initialisers: what a layer's weights are before it has learnt anything.

Each takes a shape, and those that draw take the generator to draw from: the same seed gives the
same weights, in every dtype.  The axes of a shape are outputs, inputs and, for convolutions, height
and width, so that a unit sees ``fan_in = prod(shape[1:])`` inputs, and an input is seen by
``fan_out = shape[0] * prod(shape[2:])`` units.

A layer takes one as ``weight_init=``; ``functools.partial(nn.init.normal, std=0.1)`` makes one with
another parameter.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from ..core.graph import Array

Shape = tuple[int, ...]


class Initializer(Protocol):
    """What layers call to make their weights and biases."""

    def __call__(self, shape: Shape, *, rng: np.random.Generator, dtype: Any) -> Array:
        """An array of a shape and dtype, drawn from a generator."""


def floating(dtype: Any) -> np.dtype[Any]:
    """A dtype of floats: integers would make zeros of small weights."""
    floats: np.dtype[Any] = np.dtype(dtype)
    if floats.kind != "f":
        raise TypeError(f"weights are of a floating dtype such as np.float32, not {floats}")
    return floats


def generator(rng: Any) -> np.random.Generator:
    """The generator to draw from, if it is one."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng is the generator to draw from, np.random.default_rng(seed), and not {rng!r:.80}"
        )
    return rng


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs a unit sees, and how many units see an input."""
    if len(shape) < 2:
        raise ValueError(
            f"a weight has at least the axes (outputs, inputs), and this shape is {shape}: choose "
            f"zeros, constant, uniform or normal for it"
        )
    return math.prod(shape[1:]), shape[0] * math.prod(shape[2:])


def zeros(
    shape: Shape, *, rng: np.random.Generator | None = None, dtype: Any = np.float64
) -> Array:
    """All 0: right for biases, and for the weights of a single neuron or an output layer.

    The weights of a hidden layer must not be zero, nor all the same.  Its units would then all
    compute the same, get the same gradient and stay alike for ever: a layer of a hundred units is
    one unit.  If the weights behind it are zero too, its gradient is even 0, and it never moves.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator, optional
        Not used; here so that all initialisers are called alike.
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If the dtype is not floating.

    Examples
    --------
    >>> from autograd_mini import nn
    >>> nn.init.zeros((2, 3))
    array([[0., 0., 0.],
           [0., 0., 0.]])
    """
    return np.zeros(shape, floating(dtype))


def constant(
    shape: Shape, value: float, *, rng: np.random.Generator | None = None, dtype: Any = np.float64
) -> Array:
    """All the same: for biases that shall not start at 0, and for scales that start at 1.

    A small positive bias such as 0.01 lets every ReLU start on its active side; the bias of an
    output unit may start at the logit of how often its class occurs.  It is wrong for weights of
    hidden layers, as `zeros` are.

    Parameters
    ----------
    shape : tuple of int
    value : float
    rng : numpy.random.Generator, optional
        Not used; here so that all initialisers are called alike.
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If the dtype is not floating.

    Examples
    --------
    >>> from autograd_mini import nn
    >>> nn.init.constant((3,), 0.01)
    array([0.01, 0.01, 0.01])
    """
    return np.full(shape, value, floating(dtype))


def uniform(
    shape: Shape,
    low: float = -1.0,
    high: float = 1.0,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float64,
) -> Array:
    """Uniform on an interval: where a text gives one; else take `xavier_uniform`, `he_uniform`.

    Parameters
    ----------
    shape : tuple of int
    low, high : float
        The bounds.
    rng : numpy.random.Generator
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If ``rng`` is not a generator or the dtype is not floating.
    ValueError
        If ``low`` is above ``high``.

    Notes
    -----
    The mean is ``(low + high) / 2`` and the standard deviation ``(high - low) / sqrt(12)``.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> w = nn.init.uniform((2, 3), -0.12, 0.12, rng=np.random.default_rng(0))
    >>> w.round(3)
    array([[ 0.033, -0.055, -0.11 ],
           [-0.116,  0.075,  0.099]])
    """
    if low > high:
        raise ValueError(f"low={low} is above high={high}")
    return generator(rng).uniform(low, high, shape).astype(floating(dtype), copy=False)


def normal(
    shape: Shape,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float64,
) -> Array:
    """Normal with a mean and a standard deviation: where a text gives them.

    Parameters
    ----------
    shape : tuple of int
    mean, std : float
        Of the distribution.
    rng : numpy.random.Generator
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If ``rng`` is not a generator or the dtype is not floating.
    ValueError
        If ``std`` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.init.normal((2, 3), std=0.1, rng=np.random.default_rng(0)).round(3)
    array([[ 0.013, -0.013,  0.064],
           [ 0.01 , -0.054,  0.036]])
    """
    return generator(rng).normal(mean, std, shape).astype(floating(dtype), copy=False)


def small_normal(shape: Shape, *, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
    """Normal with standard deviation 0.01: the lecture's, for networks with one hidden layer.

    Small weights keep sigmoid and tanh away from where they are flat, and random ones let the
    units become different.  In a deep network the signal shrinks from layer to layer until nothing
    is left of it: take `xavier_normal` or `he_normal` there.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If ``rng`` is not a generator or the dtype is not floating.

    Notes
    -----
    ``np.random.randn(...) * 0.01``, as in Ng, *Neural Networks and Deep Learning*, week 3.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.init.small_normal((1, 3), rng=np.random.default_rng(0)).round(4)
    array([[ 0.0013, -0.0013,  0.0064]])
    """
    return normal(shape, std=0.01, rng=rng, dtype=dtype)


def xavier_uniform(shape: Shape, *, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
    r"""Uniform, with the variance of `xavier_normal`: for tanh and sigmoid.

    .. math:: w \sim U(-a, a), \quad a = \sqrt{\frac{6}{n_{in} + n_{out}}}

    Parameters
    ----------
    shape : tuple of int
        At least ``(n_out, n_in)``.
    rng : numpy.random.Generator
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If ``rng`` is not a generator or the dtype is not floating.
    ValueError
        If the shape has fewer than two axes.

    Notes
    -----
    Glorot and Bengio, *Understanding the Difficulty of Training Deep Feedforward Neural Networks*
    (2010), equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> w = nn.init.xavier_uniform((100, 50), rng=np.random.default_rng(0))
    >>> bool(np.abs(w).max() <= np.sqrt(6 / 150))
    True
    """
    bound = math.sqrt(6 / max(1, sum(fans(shape))))
    return uniform(shape, -bound, bound, rng=rng, dtype=dtype)


def xavier_normal(shape: Shape, *, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
    r"""Normal, keeping the variance of signals and gradients: for tanh and sigmoid.

    .. math:: w \sim N(0, \sigma^2), \quad \sigma = \sqrt{\frac{2}{n_{in} + n_{out}}}

    Around 0 tanh is nearly the identity.  There, variance ``1 / n_in`` would keep that of the
    signals on the way forward and ``1 / n_out`` that of the gradients on the way back; this is the
    compromise.

    Parameters
    ----------
    shape : tuple of int
        At least ``(n_out, n_in)``.
    rng : numpy.random.Generator
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If ``rng`` is not a generator or the dtype is not floating.
    ValueError
        If the shape has fewer than two axes.

    Notes
    -----
    Glorot and Bengio, *Understanding the Difficulty of Training Deep Feedforward Neural Networks*
    (2010), equation 12.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> w = nn.init.xavier_normal((100, 50), rng=np.random.default_rng(0))
    >>> round(float(w.std() / np.sqrt(2 / 150)), 1)
    1.0
    """
    std = math.sqrt(2 / max(1, sum(fans(shape))))
    return normal(shape, std=std, rng=rng, dtype=dtype)


def he_uniform(shape: Shape, *, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
    r"""Uniform, with the variance of `he_normal`: for ReLU and its relatives.

    .. math:: w \sim U(-a, a), \quad a = \sqrt{\frac{6}{n_{in}}}

    Parameters
    ----------
    shape : tuple of int
        At least ``(n_out, n_in)``.
    rng : numpy.random.Generator
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If ``rng`` is not a generator or the dtype is not floating.
    ValueError
        If the shape has fewer than two axes.

    Notes
    -----
    He, Zhang, Ren and Sun, *Delving Deep into Rectifiers* (2015), equation 10 for the variance.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> w = nn.init.he_uniform((100, 50), rng=np.random.default_rng(0))
    >>> bool(np.abs(w).max() <= np.sqrt(6 / 50))
    True
    """
    bound = math.sqrt(6 / max(1, fans(shape)[0]))
    return uniform(shape, -bound, bound, rng=rng, dtype=dtype)


def he_normal(shape: Shape, *, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
    r"""Normal, keeping the size of signals through ReLUs: for ReLU and its relatives.

    .. math:: w \sim N(0, \sigma^2), \quad \sigma = \sqrt{\frac{2}{n_{in}}}

    A ReLU sets half of its inputs to 0 and so halves their mean square; the 2 makes up for it.

    Parameters
    ----------
    shape : tuple of int
        At least ``(n_out, n_in)``.
    rng : numpy.random.Generator
    dtype : data-type
        A floating one.

    Returns
    -------
    ndarray of the shape

    Raises
    ------
    TypeError
        If ``rng`` is not a generator or the dtype is not floating.
    ValueError
        If the shape has fewer than two axes.

    Notes
    -----
    He, Zhang, Ren and Sun, *Delving Deep into Rectifiers* (2015), equation 10.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> w = nn.init.he_normal((100, 50), rng=np.random.default_rng(0))
    >>> round(float(w.std() / np.sqrt(2 / 50)), 1)
    1.0
    """
    std = math.sqrt(2 / max(1, fans(shape)[0]))
    return normal(shape, std=std, rng=rng, dtype=dtype)
