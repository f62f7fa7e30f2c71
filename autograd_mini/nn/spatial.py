"""Layers of images of shape (N, C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.graph import Array
from . import functional, init
from .checks import whole
from .convolution import Pair, pair, pool
from .layers import drawn
from .module import Module


class Conv2d(Module):
    """A convolution: kernels slide over the images, as in `autograd_mini.nn.functional.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        How many channels the images have that come in, and those that go out.
    kernel_size : int or pair of int
        Height and width of the kernels.
    stride : int or pair of int
        How far the kernels move from place to place: down, and to the right.
    padding : int or pair of int
        The width of the frame of zeros around the images: above and below, left and right.
    bias : bool
        Whether a number is added to each output channel.
    rng : numpy.random.Generator
        What the weights are drawn from: ``np.random.default_rng(seed)``.
    dtype : data-type
        Of the parameters.
    weight_init, bias_init : callable
        Functions of `autograd_mini.nn.init`, or called like them.  The default suits ReLU.

    Attributes
    ----------
    weight : Tensor, shape (out_channels, in_channels, kh, kw)
    bias : Tensor, shape (out_channels,), or None

    Raises
    ------
    TypeError
        If ``rng`` is not a generator, the dtype is not floating, or a number of channels,
        kernel_size, stride or padding are not whole numbers.
    ValueError
        If a number of channels, kernel_size or stride is not positive, or padding is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> layer = nn.Conv2d(1, 6, 5, padding=2, rng=np.random.default_rng(0))
    >>> layer
    Conv2d(1, 6, 5, padding=2)  156 parameters
    >>> layer(np.zeros((10, 1, 28, 28))).shape
    (10, 6, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        bias: bool = True,
        rng: np.random.Generator,
        dtype: Any = np.float64,
        weight_init: init.Initializer = init.he_uniform,
        bias_init: init.Initializer = init.zeros,
    ) -> None:
        self.in_channels = whole("in_channels", in_channels, 1)
        self.out_channels = whole("out_channels", out_channels, 1)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        self.weight = drawn(weight_init, "weight", shape, rng=rng, dtype=dtype)
        self.bias = drawn(bias_init, "bias", shape[:1], rng=rng, dtype=dtype) if bias else None

    def forward(self, x: Array) -> Array:
        """Slide the kernels over images.

        Parameters
        ----------
        x : array_like or Tensor, shape (N, in_channels, H, W)

        Returns
        -------
        Tensor, shape (N, out_channels, rows, columns)

        Raises
        ------
        ValueError
            If the images have other channels, or a kernel does not fit into them.
        """
        return functional.conv2d(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding
        )

    def extra_repr(self) -> str:
        """The channels and sizes."""
        text = f"{self.in_channels}, {self.out_channels}, {brief(self.kernel_size)}"
        if self.stride != (1, 1):
            text += f", stride={brief(self.stride)}"
        if self.padding != (0, 0):
            text += f", padding={brief(self.padding)}"
        return text + (", bias=False" if self.bias is None else "")


def brief(both: tuple[int, int]) -> Pair:
    """One number for two that are the same."""
    return both[0] if both[0] == both[1] else both


class Pool2d(Module):
    """What `MaxPool2d` and `AvgPool2d` have in common: the sizes."""

    def __init__(self, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0) -> None:
        self.kernel_size, self.stride, self.padding = pool(kernel_size, stride, padding)

    def extra_repr(self) -> str:
        """The sizes."""
        text = str(brief(self.kernel_size))
        if self.stride != self.kernel_size:
            text += f", stride={brief(self.stride)}"
        return text + (f", padding={brief(self.padding)}" if self.padding != (0, 0) else "")


class MaxPool2d(Pool2d):
    """The largest element that a window shows: `autograd_mini.nn.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        How far it moves from place to place, by default its own size.
    padding : int or pair of int
        The width of a frame in which nothing is the largest, at most half of ``kernel_size``.

    Raises
    ------
    TypeError
        If a size is not a whole number.
    ValueError
        If kernel_size or stride is not positive, or padding is negative or too large.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.MaxPool2d(2)
    MaxPool2d(2)
    >>> nn.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    def forward(self, x: Array) -> Array:
        """Slide the window over images.

        Parameters
        ----------
        x : array_like or Tensor, shape (N, C, H, W)

        Returns
        -------
        ndarray or Tensor, shape (N, C, rows, columns)

        Raises
        ------
        ValueError
            If the window does not fit into the images.
        """
        return functional.max_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)


class AvgPool2d(Pool2d):
    """The mean of what a window shows: `autograd_mini.nn.functional.avg_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        How far it moves from place to place, by default its own size.
    padding : int or pair of int
        The width of a frame of zeros, which count; at most half of ``kernel_size``.

    Raises
    ------
    TypeError
        If a size is not a whole number.
    ValueError
        If kernel_size or stride is not positive, or padding is negative or too large.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> nn.AvgPool2d(2)
    AvgPool2d(2)
    >>> nn.AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def forward(self, x: Array) -> Array:
        """Slide the window over images.

        Parameters
        ----------
        x : array_like or Tensor, shape (N, C, H, W)

        Returns
        -------
        ndarray or Tensor, shape (N, C, rows, columns)

        Raises
        ------
        ValueError
            If the window does not fit into the images.
        """
        return functional.avg_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)
