"""A step of gradient descent of a LeNet on images of 28x28, in NumPy by hand and by all libraries.

The layers are those of LeNet-5 (LeCun et al., 1998), with ReLU and maxima as one has them today,
and in the order of PyTorch: weights (C_out, C_in, 5, 5) and (n_out, n_in), images (N, C, H, W).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import autograd_mini as ag
from benchmarks.parties import (
    RATE,
    Batch,
    Run,
    compiled,
    imported_mygrad,
    imported_torch,
    in_place,
    jax_cross_entropy,
    jax_step,
    pytorch_eager_step,
    pytorch_step,
)

SHAPES = ((6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84))


def parameters() -> list[np.ndarray]:
    """Weights and biases in turn, by He et al. (2015)."""
    random = np.random.default_rng(0)
    found: list[np.ndarray] = []
    for shape in SHAPES:
        weight = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        found += [weight.astype(np.float32), np.zeros(shape[0], np.float32)]
    return found


def batch(examples: int) -> Batch:
    """Normal images, and labels."""
    random = np.random.default_rng(1)
    x = random.standard_normal((examples, 1, 28, 28)).astype(np.float32)
    return x, random.integers(0, 10, examples)


# ---- by hand ------------------------------------------------------------------------------------


def as_matrix(weight: np.ndarray) -> np.ndarray:
    """The weight of a convolution as a matrix, a pixel of the window in each row."""
    matrix: np.ndarray = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))
    return matrix


def windows(x: np.ndarray) -> np.ndarray:
    """The windows of 5x5 onto images with channels last: a view (N, H, W, 5, 5, C)."""
    view: np.ndarray = sliding_window_view(x, (5, 5), axis=(1, 2))
    seen: np.ndarray = view.transpose(0, 1, 2, 4, 5, 3)
    return seen


def by_hand(parameters: list[np.ndarray]) -> Run:
    """NumPy as one would write it down: the windows are the rows of a matrix."""

    def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Any:
        seen = windows(x)
        matrix = seen.reshape(-1, weight[0].size)
        y = matrix @ as_matrix(weight) + bias
        return np.maximum(y, 0).reshape(*seen.shape[:3], -1), matrix

    def pooled(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, h, w, c = y.shape
        squares = y.reshape(n, h // 2, 2, w // 2, 2, c)
        return squares.max(axis=(2, 4)), squares

    def before_pool(g: np.ndarray, p: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """The cotangent before a pool and the ReLU that is before it, a pixel in each row."""
        there = (squares == p[:, :, None, :, None]) & (squares > 0)
        return (there * g[:, :, None, :, None]).reshape(-1, p.shape[3])

    def of_kernels(matrix: np.ndarray, g: np.ndarray, weight: np.ndarray) -> np.ndarray:
        out, c, kh, kw = weight.shape
        return (matrix.T @ g).reshape(kh, kw, c, out).transpose(3, 2, 0, 1)

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        W1, b1, W2, b2, W3, b3, W4, b4, W5, b5 = parameters
        n = len(x)
        framed = np.pad(x.transpose(0, 2, 3, 1), [(0, 0), (2, 2), (2, 2), (0, 0)])
        y1, matrix1 = convolved(framed, W1, b1)
        p1, squares1 = pooled(y1)
        y2, matrix2 = convolved(p1, W2, b2)
        p2, squares2 = pooled(y2)
        h2 = p2.transpose(0, 3, 1, 2).reshape(n, 400)
        h3 = np.maximum(h2 @ W3.T + b3, 0)
        h4 = np.maximum(h3 @ W4.T + b4, 0)
        z = h4 @ W5.T + b5
        z = z - z.max(axis=1, keepdims=True)
        exponentials = np.exp(z)
        totals = exponentials.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(totals[:, 0]) - z[np.arange(n), labels])
        g5 = exponentials / totals
        g5[np.arange(n), labels] -= 1
        g5 /= n
        g4 = (g5 @ W5) * (h4 > 0)
        g3 = (g4 @ W4) * (h3 > 0)
        g2 = before_pool((g3 @ W3).reshape(n, 16, 5, 5).transpose(0, 2, 3, 1), p2, squares2)
        gp1 = np.zeros_like(p1)
        moved = (g2 @ as_matrix(W2).T).reshape(n, 10, 10, 5, 5, 6)
        for i in range(5):
            for j in range(5):
                gp1[:, i : i + 10, j : j + 10] += moved[:, :, :, i, j]
        g1 = before_pool(gp1, p1, squares1)
        gradients = [
            *(of_kernels(matrix1, g1, W1), g1.sum(axis=0)),
            *(of_kernels(matrix2, g2, W2), g2.sum(axis=0)),
            *(g3.T @ h2, g3.sum(axis=0), g4.T @ h3, g4.sum(axis=0), g5.T @ h4, g5.sum(axis=0)),
        ]
        for p, g in zip(parameters, gradients, strict=True):
            p -= RATE * g
        return loss

    return in_place(step, parameters)


def corners(x: np.ndarray) -> list[np.ndarray]:
    """The four pixels of each square of 2x2, as views."""
    return [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


def by_hand_with_buffers(parameters: list[np.ndarray], n: int = 128) -> Run:
    """The same, where every array has its place, and a maximum is that of four views."""
    W1, b1, W2, b2, W3, b3, W4, b4, W5, b5 = parameters

    def room(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    framed, y1, g1 = room(n, 32, 32, 1), room(n, 28, 28, 6), room(n, 28, 28, 6)
    p1, gp1 = room(n, 14, 14, 6), room(n, 14, 14, 6)
    y2, g2, p2, gp2 = (
        *(room(n, 10, 10, 16), room(n, 10, 10, 16)),
        *(room(n, 5, 5, 16), room(n, 5, 5, 16)),
    )
    matrix1, matrix2, moved = room(n * 784, 25), room(n * 100, 150), room(n * 100, 150)
    windows1, windows2 = windows(framed), windows(p1)
    rows1, rows2 = matrix1.reshape(windows1.shape), matrix2.reshape(windows2.shape)
    moved_rows = moved.reshape(n, 10, 10, 5, 5, 6)
    kernels1, kernels2 = room(25, 6), room(150, 16)
    g_kernels1, g_kernels2 = room(25, 6), room(150, 16)
    flat, g_flat = room(n, 400), room(n, 400)
    h3, g3, h4, g4, z, g5 = (room(n, k) for k in (120, 120, 84, 84, 10, 10))
    gradients = [np.empty_like(p) for p in parameters]
    gW1, gb1, gW2, gb2, gW3, gb3, gW4, gb4, gW5, gb5 = gradients
    best1, best2 = np.empty_like(p1), np.empty_like(p2)
    at1, at2 = np.empty(p1.shape, bool), np.empty(p2.shape, bool)
    positive3, positive4 = np.empty(h3.shape, bool), np.empty(h4.shape, bool)
    largest, total = room(n, 1), room(n, 1)
    rows, share, rate = np.arange(n), np.float32(1 / n), np.float32(RATE)
    layers = [(flat, W3.T, b3, h3), (h3, W4.T, b4, h4)]
    places = [
        (gp1[:, i : i + 10, j : j + 10], moved_rows[:, :, :, i, j])
        for i in range(5)
        for j in range(5)
    ]
    pools = {  # pixels, their cotangents, maxima, their cotangents, and room
        1: (corners(y1), corners(g1), p1, gp1, best1, at1),
        2: (corners(y2), corners(g2), p2, gp2, best2, at2),
    }
    updates = list(zip(parameters, gradients, strict=True))

    def pool(number: int) -> None:
        """Maxima of squares, and then the ReLU, which is as good and has less to do."""
        (a, b, c, d), _, p, _, best, _ = pools[number]
        np.maximum(a, b, out=p)
        np.maximum(c, d, out=best)
        np.maximum(p, best, out=p)
        np.maximum(p, 0, out=p)

    def before_pool(number: int) -> None:
        """A cotangent to the pixel that is the maximum, unless the ReLU has made that zero."""
        pixels, cotangents, p, gp, _, at = pools[number]
        np.greater(p, 0, out=at)
        np.multiply(gp, at, out=gp)
        for y, g in zip(pixels, cotangents, strict=True):
            np.equal(y, p, out=at)
            np.multiply(gp, at, out=g)

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        framed[:, 2:30, 2:30, 0] = x[:, 0]
        kernels1.reshape(5, 5, 1, 6)[...] = W1.transpose(2, 3, 1, 0)
        kernels2.reshape(5, 5, 6, 16)[...] = W2.transpose(2, 3, 1, 0)
        np.copyto(rows1, windows1)
        pixels1, pixels2 = y1.reshape(-1, 6), y2.reshape(-1, 16)
        matrix1.dot(kernels1, out=pixels1)
        np.add(pixels1, b1, out=pixels1)
        pool(1)
        np.copyto(rows2, windows2)
        matrix2.dot(kernels2, out=pixels2)
        np.add(pixels2, b2, out=pixels2)
        pool(2)
        flat.reshape(n, 16, 5, 5)[...] = p2.transpose(0, 3, 1, 2)
        for h, w, b, y in layers:
            h.dot(w, out=y)
            np.add(y, b, out=y)
            np.maximum(y, 0, out=y)
        h4.dot(W5.T, out=z)
        np.add(z, b5, out=z)
        np.maximum.reduce(z, axis=1, keepdims=True, out=largest)
        np.subtract(z, largest, out=z)
        np.exp(z, out=g5)
        np.add.reduce(g5, axis=1, keepdims=True, out=total)
        np.divide(g5, total, out=g5)
        loss = (np.add.reduce(np.log(total), axis=None) - np.add.reduce(z[rows, labels])) * share
        g5[rows, labels] -= 1
        np.multiply(g5, share, out=g5)
        for g, h, gW, gb, w, gh, positive in (
            (g5, h4, gW5, gb5, W5, g4, positive4),
            (g4, h3, gW4, gb4, W4, g3, positive3),
        ):
            g.T.dot(h, out=gW)
            np.add.reduce(g, axis=0, out=gb)
            g.dot(w, out=gh)
            np.greater(h, 0, out=positive)
            np.multiply(gh, positive, out=gh)
        g3.T.dot(flat, out=gW3)
        np.add.reduce(g3, axis=0, out=gb3)
        g3.dot(W3, out=g_flat)
        np.copyto(gp2, g_flat.reshape(n, 16, 5, 5).transpose(0, 2, 3, 1))
        before_pool(2)
        g_pixels2, g_pixels1 = g2.reshape(-1, 16), g1.reshape(-1, 6)
        matrix2.T.dot(g_pixels2, out=g_kernels2)
        np.copyto(gW2, g_kernels2.reshape(5, 5, 6, 16).transpose(3, 2, 0, 1))
        np.add.reduce(g_pixels2, axis=0, out=gb2)
        g_pixels2.dot(kernels2.T, out=moved)
        gp1.fill(0)
        for place, part in places:
            np.add(place, part, out=place)
        before_pool(1)
        matrix1.T.dot(g_pixels1, out=g_kernels1)
        np.copyto(gW1, g_kernels1.reshape(5, 5, 1, 6).transpose(3, 2, 0, 1))
        np.add.reduce(g_pixels1, axis=0, out=gb1)
        for p, g in updates:
            np.multiply(g, rate, out=g)
            np.subtract(p, g, out=p)
        return loss

    return in_place(step, parameters)


# ---- libraries ----------------------------------------------------------------------------------


def autograd_mini(parameters: list[np.ndarray], replayed: bool = False) -> Run:
    """The engine of this repository, eager, or the whole step captured and replayed."""
    tensors: list[Any] = [ag.Tensor(p, requires_grad=True) for p in parameters]
    W1, b1, W2, b2, W3, b3, W4, b4, W5, b5 = tensors
    functional, relu = ag.nn.functional, ag.relu
    descent = ag.optim.SGD(tensors, lr=RATE)

    def step(x: Any, labels: Any) -> Any:
        h = functional.max_pool2d(relu(functional.conv2d(x, W1, b1, padding=2)), 2)
        h = functional.max_pool2d(relu(functional.conv2d(h, W2, b2)), 2)
        h = relu(functional.linear(h.reshape(len(x), 400), W3, b3))
        h = functional.linear(relu(functional.linear(h, W4, b4)), W5, b5)
        loss = functional.cross_entropy(h, labels)
        loss.backward()
        descent.step()
        descent.zero_grad()
        return loss

    return in_place(compiled(step) if replayed else step, [p.data for p in tensors])


def loss_in_pytorch() -> Callable[..., Any]:
    """The loss in PyTorch."""
    functional = imported_torch().nn.functional
    relu, linear, max_pool = functional.relu, functional.linear, functional.max_pool2d

    def loss_of(parameters: list[Any], x: Any, labels: Any) -> Any:
        W1, b1, W2, b2, W3, b3, W4, b4, W5, b5 = parameters
        h = max_pool(relu(functional.conv2d(x, W1, b1, padding=2)), 2)
        h = max_pool(relu(functional.conv2d(h, W2, b2)), 2).reshape(len(x), 400)
        h = linear(relu(linear(relu(linear(h, W3, b3)), W4, b4)), W5, b5)
        return functional.cross_entropy(h, labels)

    return loss_of


def pytorch(parameters: list[np.ndarray]) -> Run:
    """PyTorch, eager, updated by hand."""
    return pytorch_eager_step(loss_in_pytorch(), parameters)


def pytorch_compiled(parameters: list[np.ndarray]) -> Run:
    """PyTorch, compiled."""
    return pytorch_step(loss_in_pytorch(), parameters, RATE)


def jax_jit(parameters: list[np.ndarray]) -> Run:
    """JAX, compiled."""
    jax: Any = importlib.import_module("jax")
    relu = jax.nn.relu

    def pooled(x: Any) -> Any:
        return jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss_of(parameters: list[Any], x: Any, labels: Any) -> Any:
        W1, b1, W2, b2, W3, b3, W4, b4, W5, b5 = parameters
        convolve = jax.lax.conv_general_dilated
        h = convolve(x, W1, (1, 1), [(2, 2), (2, 2)]) + b1[:, None, None]
        h = convolve(pooled(relu(h)), W2, (1, 1), "VALID") + b2[:, None, None]
        h = pooled(relu(h)).reshape(len(x), 400)
        h = relu(relu(h @ W3.T + b3) @ W4.T + b4)
        return jax_cross_entropy(h @ W5.T + b5, labels)

    return jax_step(loss_of, parameters, RATE)


def mygrad(parameters: list[np.ndarray]) -> Run:
    """MyGrad, with its fused loss."""
    mg = imported_mygrad()
    layers: Any = importlib.import_module("mygrad.nnet.layers")
    relu = importlib.import_module("mygrad.nnet.activations").relu
    softmax_crossentropy = importlib.import_module("mygrad.nnet.losses").softmax_crossentropy
    tensors = [mg.tensor(p, copy=False) for p in parameters]
    W1, b1, W2, b2, W3, b3, W4, b4, W5, b5 = tensors

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        h = layers.conv_nd(x, W1, stride=1, padding=2) + b1.reshape(1, 6, 1, 1)
        h = layers.max_pool(relu(h), (2, 2), 2)
        h = layers.conv_nd(h, W2, stride=1, padding=0) + b2.reshape(1, 16, 1, 1)
        h = layers.max_pool(relu(h), (2, 2), 2).reshape(len(x), 400)
        h = relu(mg.matmul(h, W3.T) + b3)
        h = relu(mg.matmul(h, W4.T) + b4)
        loss = softmax_crossentropy(mg.matmul(h, W5.T) + b5, labels)
        loss.backward()
        for p in tensors:
            p.data -= RATE * p.grad
            p.null_grad()
        return loss.data

    return in_place(step, [p.data for p in tensors])
