"""python examples/mistakes.py: a tour of mistakes in gradients derived by hand, and their reports.

At each stop one line of a right derivation is replaced by a wrong one, and the lines after it go on
from what it gives, as in a student's program. Then ag.compare says which line is wrong, and why.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import autograd_mini as ag
from autograd_mini.check import Comparison

Array = NDArray[np.float64]
TwoLayers = tuple[Array, Array, Array, Array, Array, Array]  # X, Y and four parameters


def stop(title: str, wrong: Sequence[str], report: Comparison) -> None:
    """Print one stop of the tour: what is wrong, in the words of the program, and the report."""
    print("=" * 98, title, sep="\n", end="\n\n")
    for line in wrong:
        print(f"    {line}")
    print(f"\n{report}\n" if wrong else f"{report}\n")


# ---- one hidden layer, examples in columns -------------------------------------------------------


def check_point(m: int) -> TwoLayers:
    """Return X, Y, W1, b1, W2, b2 at a point that hides nothing.

    Parameters are random and about 1, biases too. No two sizes are equal. Both labels occur.
    """
    rng = np.random.default_rng(1)
    n0, n1, n2 = 3, 5, 1
    X = rng.standard_normal((n0, m))
    Y = rng.permutation(np.arange(m) % 2.0).reshape(n2, m)
    shapes = [(n1, n0), (n1, 1), (n2, n1), (n2, 1)]
    W1, b1, W2, b2 = (rng.standard_normal(shape) for shape in shapes)
    return X, Y, W1, b1, W2, b2


def one_hidden_layer(
    X: Array, Y: Array, W1: Any, b1: Any, W2: Any, b2: Any, lam: float = 0.0
) -> tuple[ag.Tensor, dict[str, Any]]:
    """Return the cost of the network, as the engine records it, and its variables by name."""
    W1, b1, W2, b2 = (ag.Tensor(array, requires_grad=True) for array in (W1, b1, W2, b2))
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = ag.sigmoid(Z2)
    J = -(1 / m) * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    if lam:
        J = J + lam / (2 * m) * (np.sum(W1**2) + np.sum(W2**2))
    return J, locals()


def six_equations(
    X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array, wrong: Sequence[str]
) -> dict[str, Array]:
    """Return the gradients by the lecture's six equations, with the wrong lines in their places."""
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = 1 / (1 + np.exp(-Z2))

    dZ2 = A2 - Y  # m times the derivative of J: the lecture has the 1/m in the lines that follow
    dW2 = (1 / m) * dZ2 @ A1.T
    if "dW2 = dZ2 @ A1.T" in wrong:
        dW2 = dZ2 @ A1.T
    if "dW2 = (1 / m) * dZ2 @ Z1.T" in wrong:
        dW2 = (1 / m) * dZ2 @ Z1.T
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    if "W2 = W2 - 0.5 * dW2" in wrong:
        W2 = W2 - 0.5 * dW2
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    if "dZ1 = W2.T @ dZ2" in wrong:
        dZ1 = W2.T @ dZ2
    if "dZ1 = W2.T @ dZ2 * (1 - Z1**2)" in wrong:
        dZ1 = W2.T @ dZ2 * (1 - Z1**2)
    dW1 = (1 / m) * dZ1 @ X.T
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    if "db1 = (1 / m) * np.sum(dZ1, axis=1)" in wrong:
        db1 = (1 / m) * np.sum(dZ1, axis=1)
    return {"dZ2": dZ2, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dW1": dW1, "db1": db1}


def lecture(title: str, *wrong: str, m: int = 7) -> None:
    """Visit a mistake in the six equations."""
    point = check_point(m)
    J, names = one_hidden_layer(*point)
    stop(title, wrong, ag.compare(J, six_equations(*point, wrong), names))


def regularised(title: str, *wrong: str) -> None:
    """Visit a mistake in the terms that L2 regularisation adds to the six equations."""
    X, _, W1, b1, W2, _ = point = check_point(m=7)
    m, lam = X.shape[1], 0.3
    J, names = one_hidden_layer(*point, lam)

    gradients = six_equations(*point, wrong)
    dW2, dW1, db1 = gradients["dW2"], gradients["dW1"], gradients["db1"]
    dW2 = dW2 + (lam / m) * W2
    if "dW1 = (1 / m) * dZ1 @ X.T" not in wrong:
        dW1 = dW1 + (lam / m) * W1
    if "db1 = db1 + (lam / m) * b1" in wrong:
        db1 = db1 + (lam / m) * b1
    stop(title, wrong, ag.compare(J, {**gradients, "dW2": dW2, "dW1": dW1, "db1": db1}, names))


# ---- three layers, ReLU and softmax, examples in rows --------------------------------------------


def three_layers(
    X0: Array, T: Array, W1: Any, B1: Any, W2: Any, B2: Any, W3: Any, B3: Any
) -> tuple[ag.Tensor, dict[str, Any]]:
    """Return the cost of the network, as the engine records it, and its variables by name."""
    parameters = W1, B1, W2, B2, W3, B3
    W1, B1, W2, B2, W3, B3 = (ag.Tensor(array, requires_grad=True) for array in parameters)
    A1 = X0 @ W1 + B1
    X1 = np.maximum(A1, 0)
    A2 = X1 @ W2 + B2
    X2 = np.maximum(A2, 0)
    A3 = X2 @ W3 + B3
    X3 = ag.softmax(A3, axis=1)
    L = -np.sum(T * np.log(X3))
    return L, locals()


def matrix_formulas(
    X0: Array,
    T: Array,
    W1: Array,
    B1: Array,
    W2: Array,
    B2: Array,
    W3: Array,
    B3: Array,
    wrong: Sequence[str],
) -> dict[str, Array]:
    """Return the gradients by the matrix formulas, with the wrong lines in their places."""
    A1 = X0 @ W1 + B1
    X1 = np.maximum(A1, 0)
    A2 = X1 @ W2 + B2
    X2 = np.maximum(A2, 0)
    A3 = X2 @ W3 + B3
    X3 = np.exp(A3) / np.sum(np.exp(A3), axis=1, keepdims=True)

    dX3 = -T / X3
    Delta3 = X3 - T  # the full Jacobian of softmax, times dX3
    if "Delta3 = dX3 * X3 * (1 - X3)" in wrong:
        Delta3 = dX3 * X3 * (1 - X3)
    Delta2 = Delta3 @ W3.T * (A2 > 0)
    Delta1 = Delta2 @ W2.T * (A1 > 0)
    return {
        "dX3": dX3,
        "dA3": Delta3,  # Delta is the gradient by A, and so its name is dA here
        "dW3": X2.T @ Delta3,
        "dB3": np.sum(Delta3, axis=0, keepdims=True),
        "dA2": Delta2,
        "dW2": X1.T @ Delta2,
        "dB2": np.sum(Delta2, axis=0, keepdims=True),
        "dA1": Delta1,
        "dW1": X0.T @ Delta1,
        "dB1": np.sum(Delta1, axis=0, keepdims=True),
    }


def slides(title: str, *wrong: str) -> None:
    """Visit a mistake in the matrix formulas."""
    rng = np.random.default_rng(2)
    n, d, n1, n2, n3 = 7, 4, 6, 5, 3
    X0, T = rng.standard_normal((n, d)), np.eye(n3)[rng.permutation(np.arange(n) % n3)]
    shapes = [(d, n1), (1, n1), (n1, n2), (1, n2), (n2, n3), (1, n3)]
    W1, B1, W2, B2, W3, B3 = (rng.standard_normal(shape) for shape in shapes)
    point = X0, T, W1, B1, W2, B2, W3, B3
    L, names = three_layers(*point)
    stop(title, wrong, ag.compare(L, matrix_formulas(*point, wrong), names))


# ---- the tour ------------------------------------------------------------------------------------

lecture("All is right. The lecture's dZ is m times the derivative of J: a convention, no mistake.")
lecture("The derivative of tanh is missing.", "dZ1 = W2.T @ dZ2")
lecture("The derivative of tanh is taken of Z1, not of A1.", "dZ1 = W2.T @ dZ2 * (1 - Z1**2)")
lecture("The 1/m is missing.", "dW2 = dZ2 @ A1.T")
lecture("The sum has no keepdims=True.", "db1 = (1 / m) * np.sum(dZ1, axis=1)")
regularised("The cost is regularised, and one gradient is not.", "dW1 = (1 / m) * dZ1 @ X.T")
regularised("A bias is regularised, and in the cost it is not.", "db1 = db1 + (lam / m) * b1")
lecture("W2 is updated in the middle of the backward pass, before dZ1.", "W2 = W2 - 0.5 * dW2")
lecture(
    "Published notes of the lecture have `Z2 = W2 Z1 + b2` where A1 belongs. Who derives from that"
    "\nline finds Z1 in dW2, and no derivative of tanh in dZ1.",
    "dW2 = (1 / m) * dZ2 @ Z1.T",
    "dZ1 = W2.T @ dZ2",
)
slides(
    "Published slides first took x (1 - x) for the derivative of softmax, as if each output had one"
    "\ninput only. But that is just the diagonal of its Jacobian.",
    "Delta3 = dX3 * X3 * (1 - X3)",
)
slides("The same slides, corrected: the whole Jacobian of softmax makes `Delta3 = X3 - T`.")
lecture("Two mistakes at once.", "dW2 = dZ2 @ A1.T", "dZ1 = W2.T @ dZ2 * (1 - Z1**2)")
lecture(
    "The 1/m is missing again, but at a point that cannot tell: there are m = 2 examples, so it"
    "\nmight as well be a 2.",
    "dW2 = dZ2 @ A1.T",
    m=2,
)
print(
    "With your own network: write its parameters as ag.Tensor(..., requires_grad=True), compute J\n"
    "with NumPy, and print(ag.compare(J, {'dW1': dW1, ...})). More in docs/checking.md."
)
