"""Layers: the modules that networks are put together from; each calls its stateless form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..border import as_array
from ..core.graph import Array
from ..core.tensor import Tensor
from . import functional, init
from .checks import whole
from .module import Module


def drawn(
    initializer: init.Initializer,
    name: str,
    shape: tuple[int, ...],
    *,
    rng: np.random.Generator,
    dtype: Any,
) -> Tensor:
    """A new parameter of a layer."""
    values = initializer(shape, rng=init.generator(rng), dtype=init.floating(dtype))
    if np.shape(values) != shape:
        raise ValueError(
            f"the initialiser of {name} was asked for shape {shape} and made {np.shape(values)}"
        )
    # It has no name of its own: a network has many weights, and its traces are named by
    # named_parameters(), whose names say which.
    return Tensor(np.array(values, dtype), requires_grad=True)


class Linear(Module):
    """A layer of affine functions, ``x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        The number of inputs, and of units.
    bias : bool
        Whether there is one.
    rng : numpy.random.Generator
        What the weights are drawn from: ``np.random.default_rng(seed)``.
    dtype : data-type
        Of the parameters.  Double precision by default: gradients can be trusted and checked.
    weight_init, bias_init : callable
        Functions of `autograd_mini.nn.init`, or called like them.  The default suits ReLU, which
        most hidden layers have; before tanh and sigmoid take ``nn.init.xavier_uniform``.

    Attributes
    ----------
    weight : Tensor, shape (out_features, in_features)
    bias : Tensor, shape (out_features,), or None

    Raises
    ------
    TypeError
        If ``rng`` is not a generator, the dtype is not floating, or a number of features is not
        whole.
    ValueError
        If a number of features is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> layer = nn.Linear(3, 2, rng=np.random.default_rng(0))
    >>> layer
    Linear(3, 2)  8 parameters
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        rng: np.random.Generator,
        dtype: Any = np.float64,
        weight_init: init.Initializer = init.he_uniform,
        bias_init: init.Initializer = init.zeros,
    ) -> None:
        self.in_features = whole("in_features", in_features, 1)
        self.out_features = whole("out_features", out_features, 1)
        shape = (self.out_features, self.in_features)
        self.weight = drawn(weight_init, "weight", shape, rng=rng, dtype=dtype)
        self.bias = drawn(bias_init, "bias", shape[:1], rng=rng, dtype=dtype) if bias else None

    def forward(self, x: Array) -> Array:
        """Apply the affine functions to each example.

        Parameters
        ----------
        x : array_like or Tensor, shape (..., in_features)

        Returns
        -------
        Tensor, shape (..., out_features)

        Raises
        ------
        ValueError
            If ``x`` has another number of features.
        """
        try:
            return functional.linear(x, self.weight, self.bias)
        except ValueError as error:
            if np.shape(x)[-1:] == (self.in_features,):
                raise
            raise ValueError(self._complaint(np.shape(x))) from error

    def _complaint(self, shape: tuple[int, ...]) -> str:
        """What to say of inputs of the wrong shape."""
        text = f"Linear({self.extra_repr()}) got x of shape {shape}: its last axis must have "
        text += f"length {self.in_features}, one for each input"
        if math.prod(shape[1:]) == self.in_features:
            return text + ". Put nn.Flatten() before this layer"
        return text

    def extra_repr(self) -> str:
        """The numbers of features."""
        no_bias = ", bias=False" if self.bias is None else ""
        return f"{self.in_features}, {self.out_features}{no_bias}"


class Flatten(Module):
    """Each example as one row: images of shape (N, C, H, W) become (N, C * H * W).

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.Flatten()(np.zeros((5, 1, 28, 28))).shape
    (5, 784)
    """

    def forward(self, x: Array) -> Array:
        """Make one axis of all but the first.

        Parameters
        ----------
        x : array_like or Tensor, shape (N, ...)

        Returns
        -------
        ndarray or Tensor, shape (N, product of the others)

        Raises
        ------
        ValueError
            If ``x`` has no axes.
        """
        x = as_array(x)
        if not x.ndim:
            raise ValueError("Flatten() got x of shape (): its first axis is that of the examples")
        return x.reshape((x.shape[0], math.prod(x.shape[1:])))


class Dropout(Module):
    """Set elements to 0 at random while training, so that no unit relies on a single other.

    Parameters
    ----------
    p : float
        The probability that an element is set to 0, at least 0 and below 1.
    rng : numpy.random.Generator
        What is drawn from, at every call in training; part of what a checkpoint holds.

    Raises
    ------
    TypeError
        If ``rng`` is not a generator.
    ValueError
        If ``p`` is not in [0, 1).

    Notes
    -----
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, *Dropout* (2014), in the inverted
    form of `autograd_mini.nn.functional.dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> layer = nn.Dropout(0.5, rng=np.random.default_rng(0))
    >>> layer(np.ones(6))
    array([2., 2., 2., 0., 0., 0.])
    >>> layer.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float, *, rng: np.random.Generator) -> None:
        self.p = functional.below_one(p)
        self.rng = init.generator(rng)

    def forward(self, x: Array) -> Array:
        """Drop elements of ``x`` and scale the others up, in training only."""
        return functional.dropout(x, self.p, training=self.training, rng=self.rng)

    def extra_repr(self) -> str:
        """The probability."""
        return f"{self.p}"


# ---- activations --------------------------------------------------------------------------------


class Activation(Module):
    """A function of each element, as a layer: the base of those without parameters."""

    function: Callable[[Any], Any]

    def forward(self, x: Array) -> Array:
        """Apply it."""
        return self.function(x)


class ReLU(Activation):
    """The larger of x and 0, element by element: `autograd_mini.relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.ReLU()(np.array([-2.0, 3.0]))
    array([0., 3.])
    """

    function = staticmethod(functional.relu)


class LeakyReLU(Module):
    """``x`` where it is positive, else ``negative_slope * x``: `autograd_mini.leaky_relu`.

    Parameters
    ----------
    negative_slope : float

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.LeakyReLU(0.1)(np.array([-2.0, 3.0]))
    array([-0.2,  3. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        """Apply it."""
        return functional.leaky_relu(x, negative_slope=self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"{self.negative_slope}"


class ELU(Module):
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``: `autograd_mini.elu`.

    Parameters
    ----------
    alpha : float

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.ELU()(np.array([-1e4, 3.0]))
    array([-1.,  3.])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """Apply it."""
        return functional.elu(x, self.alpha)

    def extra_repr(self) -> str:
        """The limit at minus infinity, without its sign."""
        return f"{self.alpha}"


class GELU(Activation):
    """The Gaussian error linear unit in its tanh approximation: `autograd_mini.gelu`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.GELU()(np.array([-1.0, 3.0])).round(4)
    array([-0.1588,  2.9964])
    """

    function = staticmethod(functional.gelu)


class SiLU(Activation):
    """``x * sigmoid(x)``: `autograd_mini.silu`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.SiLU()(np.array([-1.0, 3.0])).round(4)
    array([-0.2689,  2.8577])
    """

    function = staticmethod(functional.silu)


class Sigmoid(Activation):
    """The logistic function ``1 / (1 + exp(-x))``: `autograd_mini.sigmoid`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.Sigmoid()(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """

    function = staticmethod(functional.sigmoid)


class Tanh(Activation):
    """The hyperbolic tangent: ``np.tanh``.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.Tanh()(np.array([-1e4, 0.0, 1e4]))
    array([-1.,  0.,  1.])
    """

    function = staticmethod(functional.tanh)


class Softplus(Activation):
    """``log(1 + exp(x))``, a smooth ReLU: `autograd_mini.softplus`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.Softplus()(np.array([0.0, 1e4])).round(4)
    array([6.931e-01, 1.000e+04])
    """

    function = staticmethod(functional.softplus)


class AlongAxis(Module):
    """A function of the numbers along an axis, as a layer."""

    function: Callable[..., Any]

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Apply it."""
        return self.function(x, axis=self.axis)

    def extra_repr(self) -> str:
        """The axis, if it is not the last one."""
        return "" if self.axis == -1 else f"axis={self.axis}"


class Softmax(AlongAxis):
    """exp(x) divided by its sum along an axis: `autograd_mini.softmax`.

    Parameters
    ----------
    axis : int
        The axis of the classes.

    Notes
    -----
    Before `autograd_mini.nn.functional.cross_entropy` it is left out: that takes the logits.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.Softmax()(np.array([1e4, 1e4, -1e4]))
    array([0.5, 0.5, 0. ])
    """

    function = staticmethod(functional.softmax)


class LogSoftmax(AlongAxis):
    """The logarithm of the softmax along an axis: `autograd_mini.log_softmax`.

    Parameters
    ----------
    axis : int
        The axis of the classes.

    Notes
    -----
    It goes with `autograd_mini.nn.functional.nll_loss`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.LogSoftmax()(np.array([1e4, -1e4]))
    array([     0., -20000.])
    """

    function = staticmethod(functional.log_softmax)
