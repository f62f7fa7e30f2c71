"""Convolution and pooling: as PyTorch has them, as loops have them, and clear about wrong sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ops import agree

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.core import graph
from autograd_mini.core.tensor import unwrapped
from autograd_mini.nn import convolution
from autograd_mini.nn.functional import avg_pool2d, conv2d, max_pool2d

Array = Any


# ---- sizes of all kinds -------------------------------------------------------------------------


class Sizes(NamedTuple):
    """Images, a kernel that fits into them with their padding, and how it moves."""

    images: tuple[int, int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@st.composite
def sizes(draw: Any, pooling: bool = False) -> Sizes:
    """Among them empty batches, steps over pixels, and images that are no multiple of the step."""
    n, c = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    along: list[tuple[int, int, int, int]] = []
    for _ in range(2):
        padding = draw(st.integers(0, 2))
        kernel = draw(st.integers(max(1, 2 * padding if pooling else 1), 5))
        length = draw(st.integers(max(1, kernel - 2 * padding), 9))
        along.append((length, kernel, draw(st.integers(1, 4)), padding))
    lengths, kernels, strides, paddings = zip(*along, strict=True)
    return Sizes((n, c, *lengths), kernels, strides, paddings)


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers no two of which are the same."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) / 10 - 3


def value_and_gradients(function: Callable[..., Any], *values: Array) -> list[Array]:
    """What a function gives, and with a certain cotangent hands back to its operands."""
    leaves = [ag.Tensor(value, requires_grad=True) for value in values]
    y = function(*leaves)
    y.backward(np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape))
    return [y.data, *[leaf.grad.data for leaf in leaves]]


def by_pytorch(function: Callable[..., Any], *values: Array) -> list[Array]:
    """The same, by PyTorch."""
    torch = pytest.importorskip("torch")
    leaves = [torch.tensor(value, requires_grad=True) for value in values]
    y = function(torch.nn.functional, *leaves)
    cotangent = np.cos(np.arange(y.numel(), dtype=values[0].dtype)).reshape(y.shape)
    y.backward(torch.from_numpy(cotangent))
    return [y.detach().numpy(), *[leaf.grad.numpy() for leaf in leaves]]


def same(ours: list[Array], theirs: list[Array], tolerance: float = 1e-12) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


# ---- PyTorch ------------------------------------------------------------------------------------


@given(sizes(), st.integers(1, 4))
@settings(max_examples=80)
def test_convolution_is_that_of_pytorch(size: Sizes, outputs: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=size.images)
    w, b = rng.normal(size=(outputs, size.images[1], *size.kernel)), rng.normal(size=outputs)
    _, _, stride, padding = size
    ours = value_and_gradients(
        lambda x, w, b: conv2d(x, w, b, stride=stride, padding=padding), x, w, b
    )
    theirs = by_pytorch(
        lambda f, x, w, b: f.conv2d(x, w, b, stride=stride, padding=padding), x, w, b
    )
    same(ours, theirs)


@given(sizes(pooling=True))
@settings(max_examples=80)
def test_max_pooling_is_that_of_pytorch(size: Sizes) -> None:
    x = distinct(np.random.default_rng(0), size.images)
    _, kernel, stride, padding = size
    ours = value_and_gradients(lambda x: max_pool2d(x, kernel, stride=stride, padding=padding), x)
    if x.size:  # PyTorch takes no empty batch
        same(ours, by_pytorch(lambda f, x: f.max_pool2d(x, kernel, stride, padding), x))
    assert ours[1].shape == x.shape


@given(sizes(pooling=True))
@settings(max_examples=80)
def test_average_pooling_is_that_of_pytorch(size: Sizes) -> None:
    x = np.random.default_rng(0).normal(size=size.images)
    _, kernel, stride, padding = size
    ours = value_and_gradients(lambda x: avg_pool2d(x, kernel, stride=stride, padding=padding), x)
    if x.size:
        same(ours, by_pytorch(lambda f, x: f.avg_pool2d(x, kernel, stride, padding), x))
    assert ours[1].shape == x.shape


def test_windows_lie_side_by_side_by_default_as_in_pytorch(rng: Any) -> None:
    x = rng.normal(size=(2, 3, 7, 8))
    same(
        value_and_gradients(lambda x: max_pool2d(x, (2, 3)), x),
        by_pytorch(lambda f, x: f.max_pool2d(x, (2, 3)), x),
    )
    same(
        value_and_gradients(lambda x: avg_pool2d(x, 3), x),
        by_pytorch(lambda f, x: f.avg_pool2d(x, 3), x),
    )


def test_a_batch_of_the_size_of_mnist_is_that_of_pytorch_in_single_precision(rng: Any) -> None:
    x = rng.normal(size=(64, 1, 28, 28)).astype(np.float32)
    w = [rng.normal(size=s).astype(np.float32) / 5 for s in ((6, 1, 5, 5), (16, 6, 5, 5))]

    def ours(x: Any, v: Any, w: Any) -> Any:
        y = max_pool2d(ag.relu(conv2d(x, v, padding=2)), 2)
        return avg_pool2d(ag.relu(conv2d(y, w)), 2)

    def theirs(f: Any, x: Any, v: Any, w: Any) -> Any:
        y = f.max_pool2d(f.relu(f.conv2d(x, v, padding=2)), 2)
        return f.avg_pool2d(f.relu(f.conv2d(y, w)), 2)

    for one, other in zip(value_and_gradients(ours, x, *w), by_pytorch(theirs, x, *w), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


# ---- twins --------------------------------------------------------------------------------------


def by_loops(x: Array, w: Array, b: Array, stride: int, padding: int) -> Array:
    """The formula, one multiplication after the other."""
    n, c_in, h, width = x.shape
    c_out, _, kh, kw = w.shape
    rows = (h + 2 * padding - kh) // stride + 1
    columns = (width + 2 * padding - kw) // stride + 1
    y = np.zeros((n, c_out, rows, columns))
    for image, o, p, q in np.ndindex(y.shape):
        y[image, o, p, q] = b[o]
        for c, i, j in np.ndindex(c_in, kh, kw):
            row, column = p * stride + i - padding, q * stride + j - padding
            if 0 <= row < h and 0 <= column < width:
                y[image, o, p, q] += w[o, c, i, j] * x[image, c, row, column]
    return y


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_convolution_is_the_formula(rng: Any, stride: int, padding: int) -> None:
    x, w, b = [rng.normal(size=s) for s in [(2, 3, 6, 5), (4, 3, 3, 2), (4,)]]
    y = conv2d(x, w, b, stride=stride, padding=padding)
    np.testing.assert_allclose(y, by_loops(x, w, b, stride, padding), rtol=1e-12, atol=1e-12)


def seen_from(x: Any, kernel: tuple[int, int], stride: int) -> list[Any]:
    """For each place in a kernel what comes to lie under it, by indexing."""
    end, last = x.shape[2] - kernel[0] + 1, x.shape[3] - kernel[1] + 1
    return [x[:, :, i : i + end : stride, j : j + last : stride] for i, j in np.ndindex(*kernel)]


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_agrees_with_its_twin_to_second_order(rng: Any, stride: int) -> None:
    def twin(x: Any, w: Any, b: Any) -> Any:
        places = [w[:, :, i, j] for i, j in np.ndindex(*w.shape[2:])]
        seen = seen_from(x, w.shape[2:], stride)
        y = sum(np.einsum("nchw,oc->nohw", s, p) for s, p in zip(seen, places, strict=True))
        return np.sum((y + b.reshape((-1, 1, 1))) ** 3)

    agree(
        lambda x, w, b: np.sum(conv2d(x, w, b, stride=stride) ** 3),
        twin,
        *[rng.normal(size=s) for s in [(2, 2, 5, 4), (3, 2, 2, 3), (3,)]],
    )


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), 2), ((3, 2), 1), ((2, 1), 3)])
def test_pooling_agrees_with_its_twins_to_second_order(rng: Any, kernel: Any, stride: int) -> None:
    x = distinct(rng, (2, 2, 5, 6))
    agree(
        lambda x: np.sum(max_pool2d(x, kernel, stride=stride) ** 3),
        lambda x: np.sum(np.max(np.stack(seen_from(x, kernel, stride)), axis=0) ** 3),
        x,
    )
    agree(
        lambda x: np.sum(avg_pool2d(x, kernel, stride=stride) ** 3),
        lambda x: np.sum(np.mean(np.stack(seen_from(x, kernel, stride)), axis=0) ** 3),
        x,
    )


def test_second_derivative_of_a_small_network_agrees_with_differences(rng: Any) -> None:
    x, w = rng.normal(size=(3, 1, 8, 8)), rng.normal(size=(2, 1, 3, 3))
    v, labels = rng.normal(size=(3, 2, 2, 2)), np.array([0, 2, 1])
    along = rng.normal(size=w.shape)

    def loss(w: Any) -> Any:
        y = max_pool2d(np.tanh(conv2d(x, w, padding=1)), 2)
        y = avg_pool2d(np.tanh(conv2d(y, v, stride=2)), 2)
        return nn.functional.cross_entropy(y.reshape((3, 3)), labels)

    exact = ag.hvp(loss, w, along)
    above, below = [ag.grad(loss)(w + step * along) for step in (1e-5, -1e-5)]
    np.testing.assert_allclose(exact, (above - below) / 2e-5, rtol=1e-6, atol=1e-8)


# ---- ties, frames and remainders ----------------------------------------------------------------


def test_elements_that_tie_for_the_largest_share_the_gradient_equally() -> None:
    x = np.array([[[[0.0, 0, 1, 5], [0, 0, 1, 0]]]])
    _, gradient = value_and_gradients(lambda x: max_pool2d(x, 2), x)
    share, all_of_it = 1 / 4, np.cos(1)
    np.testing.assert_allclose(gradient[0, 0, :, :2], np.full((2, 2), share))
    np.testing.assert_allclose(gradient[0, 0, :, 2:], [[0, all_of_it], [0, 0]])


def test_a_nan_is_the_largest_and_gets_the_gradient() -> None:
    x = ag.Tensor([[[[1.0, np.nan, 3.0, 2.0], [5.0, 4.0, 0.0, np.inf]]]], requires_grad=True)
    y = max_pool2d(x, 2)
    y.backward(np.array([[[[6.0, 7.0]]]]))
    np.testing.assert_array_equal(y.data, [[[[np.nan, np.inf]]]])
    assert x.grad is not None
    assert x.grad.tolist() == [[[[0.0, 6.0, 0.0, 0.0], [0.0, 0.0, 0.0, 7.0]]]]


@pytest.mark.parametrize("stride", [1, 2])
def test_windows_of_one_element_show_a_copy(rng: Any, stride: int) -> None:
    x = rng.normal(size=(2, 3, 4, 1))
    for pool in (max_pool2d, avg_pool2d):
        for images in (x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
            y = pool(images, 1, stride=stride)
            np.testing.assert_array_equal(y, images[:, :, ::stride, ::stride])
            assert not np.shares_memory(y, images)


def test_windows_that_overlap_share_each_for_itself() -> None:
    x = ag.Tensor(np.array([[[[1.0, 1.0, 1.0]]]]), requires_grad=True)
    max_pool2d(x, (1, 2), stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[[[0.5, 1.0, 0.5]]]])


def test_the_frame_is_never_the_largest_and_counts_in_the_mean() -> None:
    x = np.full((1, 1, 2, 2), -3.0)
    np.testing.assert_array_equal(max_pool2d(x, 2, padding=1), np.full((1, 1, 2, 2), -3.0))
    np.testing.assert_array_equal(avg_pool2d(x, 2, padding=1), np.full((1, 1, 2, 2), -0.75))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_whole_numbers_have_a_largest_and_a_mean_too(dtype: Any) -> None:
    x = np.array([[[[0, 200, 250], [250, 250, 250], [0, 0, 0]]]]).astype(dtype)
    y = max_pool2d(x, 2, padding=1)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, max_pool2d(x.astype(float), 2, padding=1))
    np.testing.assert_array_equal(max_pool2d(0 * x, 2, padding=1), np.zeros((1, 1, 2, 2)))
    np.testing.assert_array_equal(avg_pool2d(x, 2), avg_pool2d(x.astype(float), 2))
    np.testing.assert_array_equal(max_pool2d(np.array([[[[-5]]]]), 2, padding=1), [[[[-5]]]])


def test_rows_and_columns_that_remain_are_left_out_and_get_no_gradient(rng: Any) -> None:
    x = rng.normal(size=(1, 1, 5, 5))
    for pool in (max_pool2d, avg_pool2d):
        y, gradient = value_and_gradients(lambda x, pool=pool: pool(x, 2), x)
        np.testing.assert_array_equal(y, pool(x[:, :, :4, :4], 2))
        assert not gradient[:, :, 4].any()
        assert not gradient[:, :, :, 4].any()


# ---- memory and dtypes --------------------------------------------------------------------------


def test_results_and_cotangents_lie_in_memory_with_channels_last(rng: Any, listener: Any) -> None:
    w = ag.Tensor(rng.normal(size=(3, 2, 3, 3)), requires_grad=True)
    results = [conv2d(rng.normal(size=(2, 2, 8, 8)), w, padding=1)]
    for layer in (ag.relu, lambda x: max_pool2d(x, 2), lambda x: avg_pool2d(x, 2)):
        results.append(layer(results[-1]))
    with graph.listen(observer=listener):
        results[-1].backward(np.ones_like(results[-1].data))
    cotangents = [g for node, g in listener.delivered_to if len(node.shape) == 4 and node.parents]
    assert len(cotangents) == 4
    for y in [unwrapped(tensor) for tensor in [*results, *cotangents]]:
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("bytes_in_cache", [1, 2000, 10**9])
def test_how_many_images_are_taken_at_once_does_not_matter(
    rng: Any, monkeypatch: Any, bytes_in_cache: int
) -> None:
    values = [rng.normal(size=s) for s in [(7, 2, 6, 6), (3, 2, 3, 3), (3,)]]
    expected = value_and_gradients(conv2d, *values)
    monkeypatch.setattr(convolution, "IN_CACHE", bytes_in_cache)
    same(value_and_gradients(conv2d, *values), expected)


def test_slices_of_a_batch_cover_it_once() -> None:
    for images in (0, 1, 5, 8):
        for size in (0, 1, convolution.IN_CACHE // 3, 2 * convolution.IN_CACHE):
            taken = [i for some in convolution.in_cache(images, size) for i in range(images)[some]]
            assert taken == list(range(images))


def test_patches_of_the_images_are_not_kept(rng: Any) -> None:
    w = ag.Tensor(rng.normal(size=(2, 1, 5, 5)), requires_grad=True)
    x = rng.normal(size=(4, 1, 9, 9))
    y = conv2d(x, w)
    assert [kept is x for kept in y._node.saved if kept is not None] == [True]


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_images_of_a_smaller_dtype_take_that_of_the_weight(rng: Any, dtype: Any) -> None:
    x = rng.integers(0, 9, size=(2, 1, 4, 4)).astype(dtype)
    w = ag.Tensor(rng.normal(size=(1, 1, 2, 2)).astype(np.float32), requires_grad=True)
    y = conv2d(x, w)
    assert y.dtype == np.float32
    y.sum().backward()
    assert w.grad.dtype == np.float32
    np.testing.assert_allclose(y.data, conv2d(x.astype(float), w.data.astype(float)), rtol=1e-5)


def test_array_likes_are_taken() -> None:
    image = [[[[1.0, 2.0], [3.0, 4.0]]]]
    assert conv2d(image, [[[[1.0, 1.0]]]]).tolist() == [[[[3.0], [7.0]]]]
    assert conv2d(ag.Tensor(image), [[[[1.0, 1.0]]]], [1.0]).tolist() == [[[[4.0], [8.0]]]]
    assert max_pool2d(image, 2).tolist() == [[[[4.0]]]]
    assert avg_pool2d(image, 2).tolist() == [[[[2.5]]]]


# ---- wrong sizes --------------------------------------------------------------------------------

X, W, B = np.zeros((2, 3, 5, 6)), np.zeros((4, 3, 2, 2)), np.zeros(4)

WRONG: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "one image": (lambda x: conv2d(x[0], W, B), ValueError, r"\(N, C, H, W\), not \(3, 5, 6\)"),
    "pooling of one image": (lambda x: max_pool2d(x[0], 2), ValueError, r"x\[None\]"),
    "no channels": (lambda x: avg_pool2d(x[:, 0], 2), ValueError, r"x\[:, None\]"),
    "other channels": (
        lambda x: conv2d(x, W[:, :2], B),
        ValueError,
        "images have 3 channels, but the weight is for 2",
    ),
    "flat weight": (lambda x: conv2d(x, W[0], B), ValueError, r"\(C_out, C_in, kh, kw\)"),
    "number as weight": (lambda x: conv2d(x, np.array(1.0)), ValueError, "C_out, C_in, kh, kw"),
    "other bias": (lambda x: conv2d(x, W, B[:3]), ValueError, r"bias \(C_out,\)"),
    "large kernel": (
        lambda x: conv2d(x, np.zeros((1, 3, 6, 2))),
        ValueError,
        "kernel of 6 x 2 does not fit into images that are 5 x 6",
    ),
    "wide kernel": (
        lambda x: conv2d(x, np.zeros((1, 3, 6, 9)), padding=1),
        ValueError,
        "kernel of 6 x 9 does not fit into images that are 7 x 8 with their padding",
    ),
    "large window": (lambda x: max_pool2d(x, 7), ValueError, "kernel of 7 x 7 does not fit"),
    "no output channels": (lambda x: conv2d(x, W[:0], B[:0]), ValueError, "weight has no kernels"),
    "empty kernel": (lambda x: conv2d(x, W[:, :, :0], B), ValueError, "kernel_size is at least 1"),
    "no stride": (lambda x: conv2d(x, W, B, stride=0), ValueError, "stride is at least 1, not 0"),
    "half a stride": (lambda x: conv2d(x, W, B, stride=0.5), TypeError, "whole number"),
    "three strides": (lambda x: conv2d(x, W, B, stride=(1, 1, 1)), TypeError, "a pair"),
    "stride by name": (lambda x: max_pool2d(x, 2, stride="2"), TypeError, "not '2'"),
    "negative padding": (lambda x: conv2d(x, W, B, padding=-1), ValueError, "padding is at least"),
    "padding of one side": (lambda x: avg_pool2d(x, 2, padding=(0, -1)), ValueError, "at least 0"),
    "much padding": (lambda x: max_pool2d(x, 2, padding=2), ValueError, "half of kernel_size"),
    "wide padding": (lambda x: avg_pool2d(x, 3, padding=(1, 2)), ValueError, "half of kernel_size"),
}


@pytest.mark.parametrize(("call", "error", "words"), WRONG.values(), ids=WRONG)
def test_wrong_sizes_raise_and_say_what_is_wrong(call: Any, error: Any, words: str) -> None:
    for x in (X, ag.Tensor(X), ag.Tensor(X, requires_grad=True)):
        with pytest.raises(error, match=words):
            call(x)


# ---- layers -------------------------------------------------------------------------------------


def test_layers_are_their_functions(rng: Any) -> None:
    x = rng.normal(size=(2, 3, 7, 8))
    layer = nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=1, rng=rng)
    expected = conv2d(x, layer.weight.data, layer.bias.data, stride=(2, 1), padding=1)
    np.testing.assert_array_equal(layer(x).data, expected)
    for pool, function in ((nn.MaxPool2d, max_pool2d), (nn.AvgPool2d, avg_pool2d)):
        expected = function(x, (3, 2), stride=2, padding=(1, 0))
        np.testing.assert_array_equal(pool((3, 2), stride=2, padding=(1, 0))(x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_of_a_convolution_have_shapes_and_dtype(rng: Any, dtype: Any) -> None:
    layer = nn.Conv2d(3, 4, (3, 2), rng=rng, dtype=dtype, bias_init=nn.init.zeros)
    assert {name: p.shape for name, p in layer.named_parameters()} == {
        "weight": (4, 3, 3, 2),
        "bias": (4,),
    }
    assert {p.dtype for p in layer.parameters()} == {np.dtype(dtype)}
    assert not layer.bias.data.any()
    assert np.abs(layer.weight.data).max() <= np.sqrt(6 / (3 * 3 * 2))


def test_a_convolution_can_be_without_bias(rng: Any) -> None:
    layer = nn.Conv2d(1, 2, 3, bias=False, rng=rng)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    x = rng.normal(size=(1, 1, 4, 4))
    np.testing.assert_array_equal(layer(x).data, conv2d(x, layer.weight.data))


def test_layers_show_their_sizes(rng: Any) -> None:
    for layer, text in {
        nn.Conv2d(1, 6, 5, rng=rng): "Conv2d(1, 6, 5)  156 parameters",
        nn.Conv2d(3, 4, (1, 2), stride=2, padding=(0, 1), bias=False, rng=rng): (
            "Conv2d(3, 4, (1, 2), stride=2, padding=(0, 1), bias=False)  24 parameters"
        ),
        nn.MaxPool2d(2, stride=2): "MaxPool2d(2)",
        nn.MaxPool2d(3, stride=(2, 1), padding=1): "MaxPool2d(3, stride=(2, 1), padding=1)",
        nn.AvgPool2d((2, 3)): "AvgPool2d((2, 3))",
    }.items():
        assert repr(layer) == text


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda rng: nn.Conv2d(0, 2, 3, rng=rng), ValueError, "in_channels"),
        (lambda rng: nn.Conv2d(1, 2.0, 3, rng=rng), TypeError, "out_channels"),
        (lambda rng: nn.Conv2d(1, 2, 0, rng=rng), ValueError, "kernel_size"),
        (lambda rng: nn.Conv2d(1, 2, 3, stride=0, rng=rng), ValueError, "stride"),
        (lambda rng: nn.Conv2d(1, 2, 3, padding=0.5, rng=rng), TypeError, "padding"),
        (lambda _: nn.Conv2d(1, 2, 3, rng=1), TypeError, "rng"),
        (lambda rng: nn.Conv2d(1, 2, 3, rng=rng, dtype=int), TypeError, "floating"),
        (lambda _: nn.MaxPool2d(0), ValueError, "kernel_size"),
        (lambda _: nn.MaxPool2d(2, stride=0), ValueError, "stride"),
        (lambda _: nn.AvgPool2d(2, padding=2), ValueError, "half of kernel_size"),
    ],
)
def test_layers_refuse_wrong_sizes_when_they_are_made(
    rng: Any, make: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        make(rng)


def test_a_small_network_of_images_learns(rng: Any) -> None:
    x = np.zeros((40, 1, 6, 6))
    labels = np.arange(40) % 2
    for image, label in zip(x, labels, strict=True):  # a bar that lies or stands, somewhere
        at = rng.integers(6)
        image[0, at if label else slice(None), slice(None) if label else at] = 1
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 2, rng=rng),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 2, rng=rng),
    )
    for _ in range(150):
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        for p in model.parameters():
            p.data -= 0.5 * p.grad.data
            p.grad = None
    assert loss.item() < 0.05
