"""The networks of the courses, in the notation of each: their variables, by name.

`recorded` gives the run of one, with a backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_mini as ag
from autograd_mini import nn

Array = Any
Names = dict[str, Any]


def tensors(*shapes: tuple[int, ...], seed: int = 0) -> list[ag.Tensor]:
    """Parameters."""
    rng = np.random.default_rng(seed)
    return [ag.Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def data(*shape: int, seed: int = 1) -> Array:
    """Numbers that are no parameters."""
    return np.random.default_rng(seed).standard_normal(shape)


def recorded(network: Callable[..., Names], *args: Any, **options: Any) -> ag.Trace:
    """The run of a network, named."""
    with ag.trace() as run:
        names = network(*args, **options)
        names["J"].backward()
    return run.name(names)


def logistic(z: Any) -> Any:
    """The sigmoid, written out."""
    return 1 / (1 + np.exp(-z))


def softmax(A: Any) -> Any:
    """Of rows, written out."""
    E = np.exp(A - np.max(A, axis=1, keepdims=True))
    return E / np.sum(E, axis=1, keepdims=True)


def neuron() -> Names:
    """One unit and one example."""
    w1, w2, b = (ag.Tensor(x, requires_grad=True) for x in (0.8, 0.5, -0.6))
    x1, x2, y = np.array(1.5), np.array(-2.0), np.array(1.0)
    z = w1 * x1 + w2 * x2 + b
    a = logistic(z)
    J = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    return locals()


def one_hidden_layer(
    activation: Callable[[Any], Any] = np.tanh,
    sizes: tuple[int, int, int] = (3, 4, 1),
    m: int = 5,
    *,
    dtype: Any = np.float64,
    sigmoid: Callable[[Any], Any] = ag.sigmoid,
    mean: bool = False,
) -> Names:
    """Sigmoid outputs and the logistic loss, examples in columns."""
    n0, n1, n2 = sizes
    X, Y = data(n0, m).astype(dtype), (np.arange(n2 * m).reshape(n2, m) % 3 == 0).astype(dtype)
    W1, b1, W2, b2 = (
        ag.Tensor(x.data.astype(dtype), requires_grad=True)
        for x in tensors((n1, n0), (n1, 1), (n2, n1), (n2, 1))
    )
    return {"X": X, "Y": Y, "m": m, "W1": W1, "b1": b1, "W2": W2, "b2": b2} | in_columns(
        X, Y, W1, b1, W2, b2, activation, sigmoid, mean
    )


def in_columns(
    X: Array,
    Y: Array,
    W1: Any,
    b1: Any,
    W2: Any,
    b2: Any,
    activation: Callable[[Any], Any] = np.tanh,
    sigmoid: Callable[[Any], Any] = ag.sigmoid,
    mean: bool = False,
) -> Names:
    """The four equations of one hidden layer, and the cost."""
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = activation(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    losses = Y * np.log(A2) + (1 - Y) * np.log(1 - A2)
    J = -np.mean(losses) if mean else -np.sum(losses) / m
    return {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "J": J}


def rows(
    loss: str, function: Callable[[Any], Any] = softmax, dtype: Any = np.float64, n: int = 5
) -> Names:
    """Softmax outputs, examples in rows; the loss is of labels, of one-hot rows, or squared."""
    W1, B1, W2, B2 = (
        ag.Tensor(x.data.astype(dtype), requires_grad=True)
        for x in tensors((4, 3), (1, 3), (3, 2), (1, 2))
    )
    X0, y = data(n, 4).astype(dtype), np.arange(n) % 3 % 2
    t = np.eye(2, dtype=dtype)[y]
    A1 = X0 @ W1 + B1
    X1 = np.maximum(A1, 0)
    A2 = X1 @ W2 + B2
    if loss == "squared":
        J = np.sum((A2 - t) ** 2) / (2 * n)
    else:
        X2 = function(A2)
        J = -np.mean(np.log(X2[np.arange(n), y])) if loss == "labels" else -np.sum(t * np.log(X2))
    unused = {"t" if loss == "labels" else "y", "dtype", "loss", "function"}
    return {name: x for name, x in locals().items() if name not in unused}


def regularised(m: int = 6, seed: int = 1) -> Names:
    """Three sigmoid outputs; the bias is column 0 of Theta, and is not regularised."""
    Theta1, Theta2 = tensors((4, 4), (3, 5))
    X, Y = data(3, m, seed=seed), np.eye(3)[:, (np.arange(m) + seed) % 3]
    lambda_ = 0.3
    a1 = np.concatenate([np.ones((1, m)), X])
    z2 = Theta1 @ a1
    a2 = np.concatenate([np.ones((1, m)), ag.sigmoid(z2)])
    z3 = Theta2 @ a2
    h = ag.sigmoid(z3)
    J = -np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m
    J = J + lambda_ / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))
    return {name: x for name, x in locals().items() if name != "seed"}


def layers(loss: str) -> Names:
    """Modules, and losses that are one op."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 3, rng=rng), nn.Tanh(), nn.Linear(3, 2, rng=rng))
    X, y = data(5, 4), np.array([0, 1, 1, 0, 1])
    T = np.eye(2)[y]
    Z = model(X)
    if loss == "labels":
        J = nn.functional.cross_entropy(Z, y)
    elif loss == "one-hot":
        J = nn.functional.cross_entropy(Z, T)
    elif loss == "sigmoid":
        J = nn.functional.binary_cross_entropy_with_logits(Z, T)
    else:
        J = nn.functional.mse_loss(Z, T)
    return {"X": X, "y": y, "T": T, "model": model, "Z": Z, "J": J}
