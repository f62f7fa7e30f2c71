"""A user's program, as mypy and pyright read it: what is computed from Tensors is a Tensor."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import autograd_mini as ag
from autograd_mini import nn, optim
from autograd_mini.nn import functional

Array = NDArray[np.float64]

X: Array = np.ones((5, 3))
W = ag.Tensor(np.ones((3, 2)), requires_grad=True)
b = ag.Tensor(np.zeros(2), requires_grad=True)

# methods and operators
assert_type(W.sum(), ag.Tensor)
assert_type(W.mean(axis=0), ag.Tensor)
assert_type(W.max(), ag.Tensor)
assert_type(W.reshape(2, 3).T, ag.Tensor)
assert_type(W * 2.0 + b, ag.Tensor)
assert_type(2.0 * W, ag.Tensor)
assert_type(W[0], ag.Tensor)
assert_type(round(W, 3), ag.Tensor)
assert_type(float(W.sum()), float)

# NumPy's functions, and an array on the left: not Tensors to NumPy's stubs, but no ndarrays either
total: ag.Tensor = np.sum(W**2) + np.mean(W)
products: list[ag.Tensor] = [X @ W, X[:3, :2] * W, X[0, 0] * W]

# functions under our own name
Z = ag.matmul(X, W) + b
assert_type(Z, ag.Tensor)
assert_type(ag.tanh(Z), ag.Tensor)
assert_type(ag.where(X[:, :2] > 0, Z, 0.0), ag.Tensor)
assert_type(ag.maximum(0.0, Z), ag.Tensor)
assert_type(ag.sum(Z, axis=0), ag.Tensor)
assert_type(ag.mean(Z), ag.Tensor)
assert_type(ag.std(Z, axis=0), ag.Tensor)
assert_type(ag.concatenate([Z, Z], axis=1), ag.Tensor)
assert_type(ag.stack([Z, Z]), ag.Tensor)
assert_type(ag.clip(Z, 0.0, 1.0), ag.Tensor)
assert_type(ag.softmax(Z, axis=1), ag.Tensor)
assert_type(ag.relu(Z), ag.Tensor)
assert_type(ag.elu(Z), ag.Tensor)
assert_type(ag.tanh(X), NDArray[Any])

# going backward
loss = functional.cross_entropy(Z, np.zeros(5, dtype=int))
assert_type(loss, ag.Tensor)
loss.backward()
assert W.grad is not None
assert_type(W.grad, ag.Tensor)
assert_type(ag.gradients(ag.sum(W**2), W), ag.Tensor)
assert_type(ag.gradients(ag.sum(W**2), [W]), list[ag.Tensor])

# layers
model = nn.Sequential(nn.Linear(3, 4, rng=np.random.default_rng(0)), nn.Tanh())
assert_type(model(X), ag.Tensor)
assert_type(functional.mse_loss(model(X), np.zeros((5, 4))), ag.Tensor)
assert_type(functional.linear(X, ag.Tensor(np.ones((2, 3)))), ag.Tensor)
optimiser = optim.SGD(model.parameters(), lr=0.1)
optimiser.zero_grad()


# derivatives of functions
def cost(x: Array, scale: float = 1.0) -> Any:
    return scale * np.sum(x**2)


assert_type(ag.grad(cost)(np.ones(2)), Array)
assert_type(ag.grad(cost)(np.ones(2), scale=2.0), Array)
assert_type(ag.value_and_grad(cost)(np.ones(2))[1], Array)
assert_type(ag.grad(np.tanh)(0.5), float)
assert_type(ag.grad(ag.relu)(0.5), float)
ag.grad(lambda x: x**2)(0.5)
ag.grad(cost, (0, 1))(np.ones(2), 2.0)
ag.grad(ag.grad(np.sin))(1.0)
ag.hessian(cost)(np.ones(2))
