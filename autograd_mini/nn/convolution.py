r"""Convolution and pooling of images of shape (N, C, H, W).

Inside, images lie in memory with their channels last: a result is a transposed view of such an
array, and the next layer transposes it back for nothing.

Convolution is linear in the images and in the weight.  With a cotangent it makes one number,
:math:`\sum \bar y \cdot (x \star w)`, which is linear in all three, and `convolution`,
`convolution_by_input` and `convolution_by_weight` are its derivatives by each of them: the rules of
each are the two others.  The derivative of pooling is `shared_among`, and that and `mean_of` are
each other's rules.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..border import as_array
from ..core.graph import Array
from ..core.primitive import primitive

Two = tuple[int, int]
Pair = int | Two
ONE, NONE = (1, 1), (0, 0)
IN_CACHE = 2**19  # bytes: half of what the second cache of a processor holds, or less


# ---- where windows lie --------------------------------------------------------------------------


def pair(value: Any, name: str, least: int) -> Two:
    """A number for both directions, or two for the vertical and the horizontal one."""
    try:
        vertical, horizontal = value if isinstance(value, tuple | list) else (value, value)
        both = operator.index(vertical), operator.index(horizontal)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is a whole number or a pair of them, not {value!r}") from None
    if min(both) < least:
        raise ValueError(f"{name} is at least {least}, not {value!r}")
    return both


def pairs(kernel_size: Any, stride: Any, padding: Any) -> tuple[Two, Two, Two]:
    """The three that say where windows lie; windows without a stride lie side by side."""
    kernel = pair(kernel_size, "kernel_size", 1)
    step = kernel if stride is None else pair(stride, "stride", 1)
    return kernel, step, pair(padding, "padding", 0)


def windows(kernel_size: Any, stride: Any, padding: Any) -> dict[str, Any]:
    """Where the windows of a pool lie, always said in the same way."""
    kernel, step, frame = pairs(kernel_size, stride, padding)
    return {"kernel_size": kernel, "stride": None if step == kernel else step, "padding": frame}


def channels_last(x: Array) -> Array:
    """Images as they lie in memory: (N, H, W, C), without gaps."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_second(x: Array) -> Array:
    """Images as they are seen from outside: (N, C, H, W)."""
    return x.transpose(0, 3, 1, 2)


def pixels(x: Array) -> Array:
    """Images with channels last as a matrix, a pixel in each row."""
    return x.reshape(math.prod(x.shape[:3]), x.shape[3])


def inside(x: Array, frame: Two) -> Array:
    """Images with channels last, without their frames."""
    return x[:, frame[0] : x.shape[1] - frame[0], frame[1] : x.shape[2] - frame[1]]


def padded(x: Array, kernel: Two, frame: Two, value: float = 0) -> Array:
    """Images with channels last, in a frame of a value, if a kernel fits into them."""
    if x.ndim != 4:
        raise ValueError(
            f"images have shape (N, C, H, W), not {x.shape}: give one image x as x[None], and "
            f"images x without an axis of channels as x[:, None]"
        )
    x = channels_last(x)
    n, h, w, c = x.shape
    height, width = h + 2 * frame[0], w + 2 * frame[1]
    if kernel[0] > height or kernel[1] > width:
        raise ValueError(
            f"a kernel of {kernel[0]} x {kernel[1]} does not fit into images that are {height} x "
            f"{width} with their padding: take a smaller kernel or a larger padding"
        )
    if frame == (0, 0):
        return x
    y = np.full((n, height, width, c), value, x.dtype)
    inside(y, frame)[...] = x
    return y


def looked_through(x: Array, kernel: Two, stride: Two) -> Array:
    """What windows onto images with channels last show: a view (N, rows, columns, C, kh, kw)."""
    return sliding_window_view(x, kernel, axis=(1, 2))[:, :: stride[0], :: stride[1]]


def under(x: Array, kernel: Two, stride: Two) -> Iterator[tuple[Two, Array]]:
    """For each place in a kernel, the pixels that come to lie under it as it goes over images."""
    bottom, right = x.shape[1] - kernel[0] + 1, x.shape[2] - kernel[1] + 1
    for i, j in product(*map(range, kernel)):
        yield (i, j), x[:, i : i + bottom : stride[0], j : j + right : stride[1]]


# ---- convolution --------------------------------------------------------------------------------


def in_cache(images: int, size: int) -> Iterator[slice]:
    """So many images at once that what is ``size`` bytes for each of them stays in the cache."""
    some = max(1, IN_CACHE // max(1, size))
    return (slice(first, first + some) for first in range(0, images, some))


def patches(seen: Array) -> Array:
    """What `looked_through` shows as a matrix: a window in a row, in the order (kh, kw, C)."""
    n, rows, columns, c, kh, kw = seen.shape
    shape = (n * rows * columns, kh * kw * c)
    if columns > kw * c:  # fill the matrix along its columns: there are longer runs to be copied
        return np.ascontiguousarray(seen.transpose(4, 5, 3, 0, 1, 2)).reshape(shape[::-1]).T
    return seen.transpose(0, 1, 2, 4, 5, 3).reshape(shape)


def patch_bytes(seen: Array) -> int:
    """What the patches of one image take."""
    size: int = math.prod(seen.shape[1:]) * seen.dtype.itemsize
    return size


@primitive(
    lambda x, weight, bias: (
        r"$x \star $weight + $bias" if bias.dtype != bool or bias.any() else r"$x \star $weight"
    ),
    name="conv2d",
    x=lambda g, weight, like, stride, padding: convolution_by_input(  # type: ignore[has-type]
        g, weight, size=like.shape[2:], stride=stride, padding=padding
    ),
    weight=lambda g, x, like, stride, padding: convolution_by_weight(  # type: ignore[has-type]
        g, x, kernel_size=like.shape[2:], stride=stride, padding=padding
    ),
    bias=lambda g: np.add.reduce(np.add.reduce(g, axis=0), axis=(1, 2)),  # quicker than at once
)
def convolution(
    x: Array, weight: Array, bias: Array, *, stride: Pair = ONE, padding: Pair = NONE
) -> Array:
    """`conv2d` with a bias."""
    if weight.ndim != 4 or bias.shape != weight.shape[:1]:
        raise ValueError("weight has shape (C_out, C_in, kh, kw) and bias (C_out,)")
    if not len(weight):
        raise ValueError("weight has no kernels: there is at least one output channel")
    kernel, step, frame = pairs(weight.shape[2:], stride, padding)
    seen = looked_through(padded(x, kernel, frame), kernel, step)
    if seen.shape[3] != weight.shape[1]:
        raise ValueError(
            f"the images have {seen.shape[3]} channels, but the weight is for {weight.shape[1]}"
        )
    dtype = np.result_type(x.dtype, weight.dtype, bias.dtype)
    y = np.empty((*seen.shape[:3], len(weight)), dtype)
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)).astype(dtype, copy=False)
    row_of_biases = np.tile(bias, seen.shape[2])
    # Patches take kh * kw times as much as the images.  They are made for a few images at a time
    # and multiplied while they are in the cache, and made again for the derivative by the weight.
    # For LeNet's two layers and 128 images that takes 5.6 ms and 3 MB; to keep them, 6.4 ms, 21 MB.
    for some in in_cache(len(y), patch_bytes(seen)):
        np.dot(patches(seen[some]), matrix, out=pixels(y[some]))
        rows = y[some].reshape(-1, row_of_biases.size)
        np.add(rows, row_of_biases, out=rows)
    return channels_second(y)


@primitive(
    r"$output \star^T $weight",
    name="conv2d_transposed",
    output=lambda g, weight, stride, padding: conv2d(g, weight, stride=stride, padding=padding),
    weight=lambda g, output, like, stride, padding: convolution_by_weight(  # type: ignore[has-type]
        output, g, kernel_size=like.shape[2:], stride=stride, padding=padding
    ),
)
def convolution_by_input(
    output: Array, weight: Array, *, size: Two, stride: Pair = ONE, padding: Pair = NONE
) -> Array:
    """The derivative of `convolution` by images of a size, from the cotangent of the output."""
    kernel, step, frame = pairs(weight.shape[2:], stride, padding)
    g = channels_last(output)
    matrices = np.ascontiguousarray(weight.transpose(2, 3, 0, 1))
    shape = (len(g), size[0] + 2 * frame[0], size[1] + 2 * frame[1], weight.shape[1])
    x = np.zeros(shape, np.result_type(g.dtype, weight.dtype))
    for some in in_cache(len(x), math.prod(shape[1:]) * int(x.dtype.itemsize)):
        rows = pixels(g[some])
        for place, reached in under(x[some], kernel, step):
            reached += rows.dot(matrices[place]).reshape(reached.shape)
    return channels_second(inside(x, frame))


@primitive(
    r"$output \star $x",
    name="conv2d_by_weight",
    output=lambda g, x, stride, padding: conv2d(x, g, stride=stride, padding=padding),
    x=lambda g, output, like, stride, padding: convolution_by_input(
        output, g, size=like.shape[2:], stride=stride, padding=padding
    ),
)
def convolution_by_weight(
    output: Array, x: Array, *, kernel_size: Two, stride: Pair = ONE, padding: Pair = NONE
) -> Array:
    """The derivative of `convolution` by the weight, from the cotangent of the output."""
    kernel, step, frame = pairs(kernel_size, stride, padding)
    g = channels_last(output)
    seen = looked_through(padded(x, kernel, frame), kernel, step)
    c_out, c_in = g.shape[3], seen.shape[3]
    matrix = np.zeros((c_out, math.prod(kernel) * c_in), np.result_type(g.dtype, seen.dtype))
    for some in in_cache(len(g), patch_bytes(seen)):
        matrix += pixels(g[some]).T.dot(patches(seen[some]))
    return np.ascontiguousarray(matrix.reshape(c_out, *kernel, c_in).transpose(0, 3, 1, 2))


def conv2d(
    x: Array, weight: Array, bias: Array | None = None, *, stride: Pair = 1, padding: Pair = 0
) -> Array:
    r"""Slide kernels over images; at each place, add up their products with what lies under them.

    .. math:: y_{n o p q} = b_o + \sum_{c i j} w_{o c i j}\, x_{n,\, c,\, sp+i-r,\, sq+j-r}

    with a stride s and a padding r; outside of the images x is 0.  As everywhere in machine
    learning the kernel is not turned around: mathematics calls this a cross-correlation.

    Parameters
    ----------
    x : array_like or Tensor, shape (N, C_in, H, W)
        Images.
    weight : array_like or Tensor, shape (C_out, C_in, kh, kw)
        A kernel for each pair of an output and an input channel.
    bias : array_like or Tensor, shape (C_out,), optional
        What is added to each output channel, by default nothing.
    stride : int or pair of int
        How far the kernels move from place to place: down, and to the right.
    padding : int or pair of int
        The width of the frame of zeros around the images: above and below, left and right.

    Returns
    -------
    ndarray or Tensor, shape (N, C_out, (H + 2 padding - kh) // stride + 1, and so for W and kw)

    Raises
    ------
    ValueError
        If the shapes do not fit together, the kernel is larger than the images with their padding,
        or the stride is not positive.
    TypeError
        If stride or padding are not whole numbers.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> to_the_right = np.array([[[[-1.0, 1.0]]]])  # a difference
    >>> ag.nn.functional.conv2d(image, to_the_right)[0, 0]
    array([[1., 1.],
           [1., 1.],
           [1., 1.]])
    """
    if bias is None:
        bias = np.zeros(
            np.shape(weight)[:1], bool
        )  # the dtype that does not change that of the result
    x, weight = as_array(x), as_array(weight)
    step, frame = pair(stride, "stride", 1), pair(padding, "padding", 0)
    return convolution(x, weight, bias, stride=step, padding=frame)


# ---- pooling ------------------------------------------------------------------------------------


def pool(kernel_size: Any, stride: Any, padding: Any) -> tuple[Two, Two, Two]:
    """`pairs` of a pool, in which each window has to show a part of an image."""
    kernel, step, frame = pairs(kernel_size, stride, padding)
    if 2 * frame[0] > kernel[0] or 2 * frame[1] > kernel[1]:
        raise ValueError(
            f"padding is at most half of kernel_size, and it is {padding!r} for {kernel_size!r}: "
            f"there would be windows that show nothing else"
        )
    return kernel, step, frame


def pooled(ufunc: np.ufunc, x: Array, sizes: tuple[Two, Two, Two], outside: float) -> Array:
    """What each window shows taken together: first its columns, then what they have given."""
    (height, width), (down, right), frame = sizes
    x = padded(x, (height, width), frame, outside)
    for kernel, step in (((height, 1), (down, 1)), ((1, width), (1, right))):
        x = functools.reduce(ufunc, [seen for _, seen in under(x, kernel, step)])
    return channels_second(x.copy() if height == width == 1 else x)  # else it is not a view


def lowest(dtype: np.dtype[Any]) -> float:
    """A number of a dtype that no other is below."""
    if dtype.kind == "b":
        return False
    return int(np.iinfo(dtype).min) if dtype.kind in "iu" else -np.inf


@primitive(r"[$x = $largest]", kind="window", analytic=False)
def attained(
    x: Array, largest: Array, *, kernel_size: Pair, stride: Pair | None = None, padding: Pair = NONE
) -> Array:
    """Which elements are the largest in a window: for each window, in axes (kh, kw, N, C, ...)."""
    kernel, step, frame = pairs(kernel_size, stride, padding)
    largest = channels_last(largest)
    y = np.empty((*kernel, *largest.shape), bool)
    undefined = np.isnan(largest)
    any_undefined = undefined.any()
    for place, seen in under(padded(x, kernel, frame, lowest(x.dtype)), kernel, step):
        np.equal(seen, largest, out=y[place])
        if any_undefined:  # a NaN is the largest, though it does not equal itself
            y[place] |= undefined & np.isnan(seen)
    return y.transpose(0, 1, 2, 5, 3, 4)


@primitive(
    r"\mathrm{mean}_{$chosen} $x",
    kind="window",
    x=lambda g, chosen, like, stride, padding: shared_among(  # type: ignore[has-type]
        g, chosen, size=like.shape[2:], stride=stride, padding=padding
    ),
)
def mean_of(x: Array, chosen: Array, *, stride: Pair | None = None, padding: Pair = NONE) -> Array:
    """The mean of the elements that are chosen in each window."""
    kernel, step, frame = pairs(chosen.shape[:2], stride, padding)
    chosen = chosen.transpose(0, 1, 2, 4, 5, 3)
    images = padded(x, kernel, frame)
    total = sum(seen * chosen[place] for place, seen in under(images, kernel, step))
    return channels_second(total / np.add.reduce(chosen, axis=(0, 1), dtype=x.dtype))


@primitive(
    r"\mathrm{unpool}_{$chosen} $output",
    name="unpool",
    kind="window",
    output=lambda g, chosen, stride, padding: mean_of(g, chosen, stride=stride, padding=padding),
)
def shared_among(
    output: Array, chosen: Array, *, size: Two, stride: Pair | None = None, padding: Pair = NONE
) -> Array:
    """The cotangent of the images in `mean_of`: equal shares for those who are chosen."""
    kernel, step, frame = pairs(chosen.shape[:2], stride, padding)
    chosen = chosen.transpose(0, 1, 2, 4, 5, 3)
    g = channels_last(output)
    share = g / np.add.reduce(chosen, axis=(0, 1), dtype=g.dtype)
    x = np.zeros((len(g), size[0] + 2 * frame[0], size[1] + 2 * frame[1], g.shape[3]), share.dtype)
    overlap = step[0] < kernel[0] or step[1] < kernel[1]
    for place, reached in under(x, kernel, step):
        if overlap:
            reached += share * chosen[place]
        else:  # half the time
            np.multiply(share, chosen[place], out=reached)
    return channels_second(inside(x, frame))


@primitive(
    r"\mathrm{maxpool}($x)",
    name="max_pool2d",
    kind="window",
    analytic=False,
    x=lambda g, x, y, like, kernel_size, stride, padding: shared_among(
        g,
        attained(x, y, kernel_size=kernel_size, stride=stride, padding=padding),
        size=like.shape[2:],
        stride=stride,
        padding=padding,
    ),
)
def max_pooling(
    x: Array, *, kernel_size: Pair, stride: Pair | None = None, padding: Pair = NONE
) -> Array:
    """`max_pool2d`."""
    return pooled(np.maximum, x, pool(kernel_size, stride, padding), lowest(x.dtype))


@primitive(
    r"\mathrm{avgpool}($x)",
    name="avg_pool2d",
    kind="window",
    x=lambda g, like, kernel_size, stride, padding: shared_among(
        g,
        np.ones((*pair(kernel_size, "kernel_size", 1), 1, 1, 1, 1), bool),
        size=like.shape[2:],
        stride=stride,
        padding=padding,
    ),
)
def average_pooling(
    x: Array, *, kernel_size: Pair, stride: Pair | None = None, padding: Pair = NONE
) -> Array:
    """`avg_pool2d`."""
    sizes = pool(kernel_size, stride, padding)
    if x.dtype.kind in "biu":  # the sums of small integers would overflow
        x = x.astype(np.float64)
    return pooled(np.add, x, sizes, 0) / math.prod(sizes[0])


def max_pool2d(
    x: Array, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0
) -> Array:
    """The largest element that a window shows, at each place as it slides over images.

    Elements that tie for the largest share its derivative equally.

    Parameters
    ----------
    x : array_like or Tensor, shape (N, C, H, W)
        Images.
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        How far the window moves from place to place, down and to the right; by default its own
        size.  Rows and columns that remain at the end are left out.
    padding : int or pair of int
        The width of a frame around the images in which nothing is the largest, at most half of
        ``kernel_size``.

    Returns
    -------
    ndarray or Tensor, shape (N, C, (H + 2 padding - kh) // stride + 1, and so for W and kw)

    Raises
    ------
    ValueError
        If the window is larger than the images with their padding, the padding is more than half
        of the window, or the stride is not positive.
    TypeError
        If a size is not a whole number.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> image = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> ag.nn.functional.max_pool2d(image, 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return max_pooling(x, **windows(kernel_size, stride, padding))


def avg_pool2d(
    x: Array, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0
) -> Array:
    """The mean of what a window shows, at each place as it slides over images.

    Parameters
    ----------
    x : array_like or Tensor, shape (N, C, H, W)
        Images.
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        How far the window moves from place to place, down and to the right; by default its own
        size.  Rows and columns that remain at the end are left out.
    padding : int or pair of int
        The width of a frame of zeros around the images, which count; at most half of
        ``kernel_size``.

    Returns
    -------
    ndarray or Tensor, shape (N, C, (H + 2 padding - kh) // stride + 1, and so for W and kw)

    Raises
    ------
    ValueError
        If the window is larger than the images with their padding, the padding is more than half
        of the window, or the stride is not positive.
    TypeError
        If a size is not a whole number.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> image = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> ag.nn.functional.avg_pool2d(image, 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return average_pooling(x, **windows(kernel_size, stride, padding))
