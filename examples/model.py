"""One hidden layer, examples in columns: the model file of docs/other_languages.md.

autograd-mini reference examples/model.py --out reference.csv
"""

from typing import Any

import numpy as np

m = 5
X = np.array(
    [[0.5, -1.2, 0.3, 1.7, -0.4], [1.1, 0.4, -0.9, 0.2, -1.5], [-0.7, 0.8, 1.3, -0.6, 0.1]]
)
Y = np.array([[1.0, 0.0, 1.0, 1.0, 0.0]])

W1 = np.array([[0.9, -0.4, 0.6], [-0.3, 1.2, 0.5], [0.7, 0.2, -1.1], [-0.8, 0.1, 0.4]])
b1 = np.array([[0.3], [-0.2], [0.6], [-0.5]])
W2 = np.array([[1.3, -0.7, 0.4, 0.9]])
b2 = np.array([[0.2]])


def cost(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """Return the logistic cost, averaged over the examples."""
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = 1 / (1 + np.exp(-Z2))
    J = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
    return J  # noqa: RET504 - its name is that of the reference file
