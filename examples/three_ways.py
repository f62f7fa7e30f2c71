"""python examples/three_ways.py: one hidden layer, six equations by hand, the same by autodiff.

Prints every call of the forward and of the backward pass, and writes the computation graph to
graph.gv and to graph.svg.
"""

import numpy as np

import autograd_mini as ag

rng = np.random.default_rng(0)
m = 5
X, Y = rng.standard_normal((3, m)), (rng.random((1, m)) > 0.5) * 1.0
W1 = ag.Tensor(rng.standard_normal((4, 3)), requires_grad=True)
b1 = ag.Tensor(np.zeros((4, 1)), requires_grad=True)
W2 = ag.Tensor(rng.standard_normal((1, 4)), requires_grad=True)
b2 = ag.Tensor(np.zeros((1, 1)), requires_grad=True)

# ag.tanh is np.tanh, with a type that says Tensor
with ag.trace() as run:
    Z1 = W1 @ X + b1
    A1 = ag.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = ag.sigmoid(Z2)
    J = -np.sum(Y * ag.log(A2) + (1 - Y) * ag.log(1 - A2)) / m
    J.backward()
run.name(locals())
print(run)

# by hand: each dZ is m times the derivative of J, as in the lecture
dZ2 = A2.data - Y
dW2 = (1 / m) * dZ2 @ A1.data.T
db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2.data.T @ dZ2 * (1 - A1.data**2)
dW1 = (1 / m) * dZ1 @ X.T
db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)

print("\nlargest difference between the gradients by hand and by autodiff")
for name, tensor, by_hand in ("W1", W1, dW1), ("b1", b1, db1), ("W2", W2, dW2), ("b2", b2, db2):
    assert tensor.grad is not None
    print(f"  d{name}  {np.max(np.abs(tensor.grad.data - by_hand)):.1e}")

picture = ag.draw(run)
picture.save("graph.gv")
picture.save("graph.svg")
