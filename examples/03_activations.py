"""python examples/03_activations.py: four activations, and four ways to go wrong with them.

The derivatives of sigmoid, tanh, ReLU and leaky ReLU; then, in the network of example 02, what
happens if all weights begin at zero, if the activation is the identity, if a sum has no keepdims,
and if Z1 stands where A1 belongs.
"""

from collections.abc import Callable

import numpy as np
from common import BLUE, COLORS, RED, Array, Value, parser, save, three_ways
from matplotlib.figure import Figure

import autograd_mini as ag

options = parser(__doc__).parse_args()
Activation = Callable[[Value], Value]


# ---- the activations and their derivatives -------------------------------------------------------


def sigmoid(z: Value) -> Value:
    """Return 1 / (1 + e^-z), on arrays and on Tensors."""
    return 1 / (1 + np.exp(-z))


def difference(g: Activation, z: Value, h: float = 1e-5) -> Value:
    """Return the derivative of g at z from the values on both sides."""
    return (g(z + h) - g(z - h)) / (2 * h)


activations: dict[str, tuple[Activation, Activation]] = {  # name: g(z), and g'(z) as in the lecture
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "ReLU": (lambda z: np.maximum(0, z), lambda z: np.where(z < 0, 0.0, 1.0)),
    "leaky ReLU": (lambda z: np.maximum(0.01 * z, z), lambda z: np.where(z < 0, 0.01, 1.0)),
}
z = np.array([-2, -1, -0.5, 0.5, 1, 2])
by_hand, autodiff, numerical = {}, {}, {}
for name, (g, slope) in activations.items():
    by_hand[name] = slope(z)
    autodiff[name] = ag.grad(lambda z, g=g: np.sum(g(z)))(z)
    numerical[name] = difference(g, z)

print("z                " + "".join(f"{number:9.1f}" for number in z))
for name, (g, _slope) in activations.items():
    print(f"\n{name:<11} g(z) " + "".join(f"{number:9.4f}" for number in g(z)))
    print(f"{'':<11} g'(z)" + "".join(f"{number:9.4f}" for number in by_hand[name]))
print()
three_ways(by_hand, autodiff, numerical)

print("\nAt z = 0 ReLU and leaky ReLU have a kink, and no derivative. What each way says there:\n")
print("            from left  from right  lecture  np.maximum  ag.relu, ag.leaky_relu  difference")
for name, op in ("ReLU", ag.relu), ("leaky ReLU", ag.leaky_relu):
    g, slope = activations[name]
    left, right, lecture = slope(-1.0), slope(1.0), slope(0.0)
    by_maximum, by_op = float(ag.grad(g)(0.0)), float(ag.grad(op)(0.0))
    print(f"{name:<11} {left:9.2f} {right:11.2f} {lecture:8.2f} {by_maximum:11.3f}", end="")
    print(f"{by_op:24.2f} {difference(g, 0.0):11.3f}")
print(
    "\nFor training anything from one side to the other will do: z is hardly ever exactly 0. But\n"
    "a check of gradients must keep away from there, for the difference sees both sides."
)

# ---- how the weights begin -----------------------------------------------------------------------

X = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
Y = np.array([[0.0, 1.0, 1.0, 0.0]])  # either x1 or x2, but not both: no line separates them
n1, m, alpha = 4, 4, 1.2
steps = 300 if options.short else 2000


def train(
    W1: Array, W2: Array, g: Activation, slope: Activation
) -> tuple[tuple[Array, Array, Array, Array], Array, list[float]]:
    """Return W1, b1, W2, b2 after gradient descent, and W1 and J at each step.

    `slope` is g'(Z1) as a function of A1.
    """
    b1, b2 = np.zeros((n1, 1)), np.zeros((1, 1))
    units, costs = [], []
    for _ in range(steps):
        A1 = g(W1 @ X + b1)
        A2 = sigmoid(W2 @ A1 + b2)
        units.append(W1)
        costs.append(-np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m)
        dZ2 = A2 - Y
        dW2 = (1 / m) * dZ2 @ A1.T
        db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
        dZ1 = W2.T @ dZ2 * slope(A1)
        dW1 = (1 / m) * dZ1 @ X.T
        db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
        W1, b1 = W1 - alpha * dW1, b1 - alpha * db1
        W2, b2 = W2 - alpha * dW2, b2 - alpha * db2
    return (W1, b1, W2, b2), np.array(units), costs


def tanh_slope(A1: Array) -> Array:
    """Return g'(Z1) for tanh."""
    return 1 - A1**2


rng = np.random.default_rng(0)
starts = {
    "all zero": (np.zeros((n1, 2)), np.zeros((1, n1))),
    "all 0.5": (np.full((n1, 2), 0.5), np.full((1, n1), 0.5)),
    "random": (0.5 * rng.standard_normal((n1, 2)), 0.5 * rng.standard_normal((1, n1))),
}
print(
    f"\n\nThe four points of 'either, but not both'; {n1} tanh units, {steps} steps at rate {alpha}"
)
histories = {}
for start, (W1, W2) in starts.items():
    parameters, units, costs = train(W1, W2, np.tanh, tanh_slope)
    histories[start] = units, costs
    print(f"\nweights begin {start}: J from {costs[0]:.4f} to {costs[-1]:.4f}; W1 at the end")
    for row in parameters[0]:
        print(f"   {row[0]:8.4f} {row[1]:8.4f}")
print(
    "\nEach row is a unit. Units that begin alike get the same gradient and stay alike: there are\n"
    "four, and they do no more than one. From zero nothing moves at all, for dW2 has the factor\n"
    "A1 = tanh(0) = 0, and dZ1 has the factor W2 = 0. Random weights make the units differ, and\n"
    "each finds its own part of the problem. Biases may begin at zero."
)

# ---- the identity collapses ----------------------------------------------------------------------

W1, W2 = starts["random"]
b1, b2 = rng.standard_normal((n1, 1)), rng.standard_normal((1, 1))
two_layers = W2 @ (W1 @ X + b1) + b2
one_layer = (W2 @ W1) @ X + (W2 @ b1 + b2)
_, units, costs = train(W1, W2, lambda Z1: Z1, np.ones_like)
histories["random, identity"] = units, costs
print(
    "\n\nThe identity, g(z) = z: W2 (W1 X + b1) + b2 = W X + b with W = W2 W1 and b = W2 b1 + b2\n"
    f"\n   two layers  {'  '.join(f'{number:.12f}' for number in two_layers[0])}"
    f"\n   one layer   {'  '.join(f'{number:.12f}' for number in one_layer[0])}"
    "\n\nAny number of layers is a single neuron, and draws one straight line. Trained from the\n"
    f"same random weights, J goes from {costs[0]:.4f} to {costs[-1]:.4f}, which is log 2: a coin "
    "does as well."
)

# ---- a sum without keepdims ----------------------------------------------------------------------


def forward(
    X: Array, Y: Array, W1: Value, b1: Value, W2: Value, b2: Value
) -> tuple[Value, dict[str, Value]]:
    """Return J, and all variables by name; arrays or Tensors."""
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    J = -(1 / m) * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    return J, locals()


def backward(X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> dict[str, Array]:
    """Return the gradients by the six equations, and those on the way."""
    m = X.shape[1]
    _, values = forward(X, Y, W1, b1, W2, b2)
    A1, A2 = values["A1"], values["A2"]
    dZ2 = A2 - Y
    dW2 = (1 / m) * dZ2 @ A1.T
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    dW1 = (1 / m) * dZ1 @ X.T
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    return {"dZ2": dZ2, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dW1": dW1, "db1": db1}


J = forward(X, Y, W1, b1, W2, b2)[0]
dZ1 = backward(X, Y, W1, b1, W2, b2)["dZ1"]
right = b1 - alpha * (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
wrong = b1 - alpha * (1 / m) * np.sum(dZ1, axis=1)
J_right, J_wrong = (forward(X, Y, W1, b, W2, b2)[0] for b in (right, wrong))
print(
    "\n\nA missing keepdims: db1 = (1 / m) * np.sum(dZ1, axis=1)\n"
    f"\n                        right      wrong"
    f"\n   shape of db1         {(n1, 1)}     {dZ1.sum(axis=1).shape}     a rank-1 array, no column"
    f"\n   b1 after an update   {right.shape}     {wrong.shape}   one for each unit and example"
    f"\n   J after it           {J_right:.6f}   {J_wrong:.6f}; before it {J:.6f}"
    "\n\nThere was no error, for m = n1 = 4 and so Z1 = W1 X + b1 fits. With 5 examples:"
)
try:
    forward(np.zeros((2, 5)), np.zeros((1, 5)), W1, wrong, W2, b2)
except ValueError as error:
    print(f"   ValueError: {str(error).strip()}")

# ---- what the checks say -------------------------------------------------------------------------
# At a point that hides nothing: random biases too, no two sizes equal, both labels.

X7, Y7 = rng.standard_normal((3, 7)), np.array([[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]])
point = [rng.standard_normal(shape) for shape in [(5, 3), (5, 1), (1, 5), (1, 1)]]
J, names = forward(X7, Y7, *(ag.Tensor(array, requires_grad=True) for array in point))
by_hand = backward(X7, Y7, *point)

without_keepdims = {**by_hand, "db1": (1 / 7) * np.sum(by_hand["dZ1"], axis=1)}
print(f"\nag.compare finds it before any training:\n\n{ag.compare(J, without_keepdims, names)}")

W1, b1, W2, b2 = point
Z1 = W1 @ X7 + b1
dZ2 = by_hand["dZ2"]
dZ1 = W2.T @ dZ2
slip = {"dZ2": dZ2, "dW2": (1 / 7) * dZ2 @ Z1.T, "dZ1": dZ1, "dW1": (1 / 7) * dZ1 @ X7.T}
print(
    "\n\nA published slip: notes of this lecture have Z2 = W2 Z1 + b2 where A1 belongs. Who\n"
    "derives from that line gets dW2 = (1/m) dZ2 Z1^T, and dZ1 = W2^T dZ2 with no g'. ag.compare:\n"
    f"\n{ag.compare(J, slip, names)}"
)

# ---- the picture ---------------------------------------------------------------------------------

figure = Figure(figsize=(13, 6.5), layout="constrained")
above, below = figure.subplots(2, 4)
z = np.linspace(-4, 4, 401)
for axes, (name, (g, slope)) in zip(above, activations.items(), strict=True):
    axes.plot(z, g(z), color=BLUE, label="g(z)")
    left, right = z[z < 0], z[z >= 0]  # drawn apart: a kink is a jump of the derivative
    axes.plot(left, slope(left), color=RED, label="g'(z)")
    axes.plot(right, slope(right), color=RED)
    axes.set(title=name, xlabel="z", ylim=(-1.1, 2.1))
above[0].legend(loc="upper left")

for axes, start in zip(below, starts, strict=False):
    units = histories[start][0]
    for unit in range(n1):  # those that stay alike are drawn one over another, ever thinner
        width = 1.5 if start == "random" else 11 - 3 * unit
        label = f"unit {unit + 1}"
        axes.plot(units[:, unit, 0], label=label, linewidth=width, solid_capstyle="butt")
    axes.set(title=f"weights begin {start}", xlabel="step", ylabel="weight of $x_1$", ylim=(-3, 6))
    axes.set_xlim(0, steps)  # a thick line must not stick out
below[2].legend(loc="upper center", ncols=2)
for (start, (_units, costs)), color in zip(histories.items(), COLORS, strict=False):
    below[3].plot(costs, color=color, label=start, linestyle="--" if "," in start else "-")
below[3].set(title="cost J", xlabel="step", ylim=(0, 0.85))
below[3].legend(loc=(0.35, 0.2))
for axes in (*above, *below):
    axes.grid()
save(figure, "03_activations", options.out)
