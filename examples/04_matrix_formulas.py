"""python examples/04_matrix_formulas.py: K layers by matrix formulas, and an exercise by hand.

The lecture's notation, examples in rows: X^0 (n, d), A^l = X^(l-1) W^l + B^l, X^l = h_l(A^l), ReLU
inside and softmax at the end, L = -sum t log x. Backward with Delta^l, the derivative of L by A^l.
The variables are dicts by layer, so that W[3] is W^3.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from common import (
    BLUE,
    RED,
    Array,
    ByLayer,
    Value,
    grads,
    named,
    numerical_gradients,
    parser,
    save,
    tensors,
    three_ways,
)
from matplotlib.figure import Figure

import autograd_mini as ag
from autograd_mini import data

options = parser(__doc__).parse_args()
DeltaRule = Callable[[Array, Array], Array]


def softmax(A: Value) -> Value:
    """Return softmax of each row; less its maximum first, so that no exponential is too large."""
    E = np.exp(A - np.max(A, axis=1, keepdims=True))
    return E / np.sum(E, axis=1, keepdims=True)


def forward(X0: Array, W: ByLayer, B: ByLayer) -> tuple[ByLayer, ByLayer]:
    """Return A and X of all layers, as arrays or Tensors."""
    K = len(W)
    A, X = {}, {0: X0}
    for layer in range(1, K + 1):
        A[layer] = X[layer - 1] @ W[layer] + B[layer]
        X[layer] = np.maximum(A[layer], 0) if layer < K else softmax(A[layer])
    return A, X


def loss(X: ByLayer, T: Array) -> Value:
    """Return the cross-entropy L."""
    return -np.sum(T * np.log(X[max(X)]))


def true_delta(X: Array, T: Array) -> Array:
    """Return Delta^K: the whole Jacobian of softmax makes it this."""
    return X - T


def backward(
    T: Array, W: ByLayer, A: ByLayer, X: ByLayer, delta: DeltaRule = true_delta
) -> tuple[ByLayer, ByLayer, ByLayer]:
    """Return the gradients of L by hand: Delta, dW, dB of all layers."""
    K = len(W)
    Delta, dW, dB = {}, {}, {}
    for layer in range(K, 0, -1):
        if layer == K:
            Delta[layer] = delta(X[K], T)
        else:
            Delta[layer] = Delta[layer + 1] @ W[layer + 1].T * (A[layer] > 0)
        dW[layer] = X[layer - 1].T @ Delta[layer]
        dB[layer] = np.sum(Delta[layer], axis=0, keepdims=True)  # B is one row, used n times
    return Delta, dW, dB


# ---- the exercise --------------------------------------------------------------------------------

W = {
    1: np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]]),
    2: np.array([[-1.0, 2.0, -3.0], [1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]]),
    3: np.array([[-1.0, 2.0], [-3.0, 1.0], [-2.0, 3.0]]),
}
B = {1: np.zeros((1, 3)), 2: np.zeros((1, 3)), 3: np.zeros((1, 2))}
X0, T = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])
print(
    "The exercise of the slides: update the parameters once at rate 0.01. By how much does the\n"
    "loss improve? The input is not legible in our copy of the slides; here it is x = (1, 2).\n"
)
A, X = forward(X0, W, B)
L = loss(X, T)
for layer in W:
    print(f"   A^{layer} = {A[layer]}   X^{layer} = {X[layer]}")
print(f"   L  = -log x_1 = {L:.4f}\n")

Delta, dW, dB = backward(T, W, A, X)
for layer in sorted(W, reverse=True):  # adding 0 makes 0 of -0
    print(f"   Delta^{layer} = {Delta[layer] + 0.0}")
    print("   dL/dW^{} = {}\n".format(layer, str(dW[layer] + 0.0).replace("\n", "\n" + 13 * " ")))

# by autodiff: the same forward formulas on Tensors
TW, TB = tensors(W), tensors(B)
_, TX = forward(X0, TW, TB)
loss(TX, T).backward()


def loss_of(W: ByLayer, B: ByLayer) -> Value:
    """Return L of the exercise with these parameters."""
    _, X = forward(X0, W, B)
    return loss(X, T)


three_ways(
    by_hand=named(dW=dW, dB=dB),
    autodiff=named(dW=grads(TW), dB=grads(TB)),
    numerical=numerical_gradients(loss_of, W=W, B=B),
)


def updated(rate: float, biases: bool) -> tuple[ByLayer, ByLayer]:
    """Return W and B after one update, of the weights alone or of the biases too."""
    new_B = {layer: B[layer] - rate * dB[layer] for layer in B} if biases else B
    return {layer: W[layer] - rate * dW[layer] for layer in W}, new_B


def loss_after(rate: float, biases: bool) -> Value:
    """Return L after one update."""
    return loss_of(*updated(rate, biases))


print("\nwhat is updated      L before   rate 0.01    rate 0.1")
for what, biases in ("weights alone", False), ("weights and biases", True):
    print(f"{what:<18} {L:10.4f}", *(f"{loss_after(rate, biases):11.4f}" for rate in (0.01, 0.1)))
rates = np.linspace(0, 0.1, 401)  # for the picture
after_weights = [loss_after(rate, False) for rate in rates]
after_both = [loss_after(rate, True) for rate in rates]
squares = sum(np.sum(gradient**2) for gradient in dW.values())
promised = L - squares * rates
print(
    f"\nAt rate 0.01 the weights alone improve L by {L - loss_after(0.01, False):.2f}. The slope "
    f"promised 0.01 |dL/dW|^2 = {0.01 * squares:.2f}."
)
print(
    "Both are given because the slides ask about the parameters, and their about 18.63 and\n"
    "exactly log 2 come when the weights alone are updated. With the biases L is "
    f"{loss_after(0.01, True):.2f}\nat rate 0.01 and {loss_after(0.1, True):.4f} at rate 0.1: "
    "below log 2, for the last biases prefer the right class."
)

print(
    f"\nSoftmax is saturated here: of A^3 = {A[3][0]} it makes x = ({X[3][0, 0]:.3g}, 1), because\n"
    f"e^-36 = {np.exp(-36):.3g}. Its own derivative x_1 (1 - x_1) = "
    f"{X[3][0, 0] * (1 - X[3][0, 0]):.3g} is next to nothing. But that\n"
    "of the logarithm, -1/x_1, is huge, and their product is x_1 - 1 = -1. The network is sure\n"
    "and wrong, and is corrected as hard as can be: so cross-entropy goes with softmax."
)

W_dead, B_dead = updated(0.1, biases=False)
A_dead, X_dead = forward(X0, W_dead, B_dead)
_, dW_dead, _ = backward(T, W_dead, A_dead, X_dead)
largest = max(np.max(np.abs(gradient)) for gradient in dW_dead.values())
print(
    f"\nAt rate 0.1 the step is too long. A^1 is {A_dead[1][0]} then: no number is above 0, ReLU\n"
    "makes all of them 0, and every hidden unit is dead. With zero biases A^3 is (0, 0), softmax\n"
    f"makes (1/2, 1/2) of it, and L is log 2 = {np.log(2):.4f}. The largest number in any dL/dW\n"
    f"is {largest} now, because X^T Delta has X = 0 or Delta = 0 in every layer. The weights\n"
    "never move again, whatever the rate."
)

# ---- the derivative of softmax, wrong and right --------------------------------------------------
# At another point: random biases, no two sizes equal, several examples, all classes.


def diagonal_delta(X: Array, T: Array) -> Array:
    """Return Delta^K with x (1 - x), as if each output of softmax had one input."""
    dX = -T / X
    Delta: Array = dX * X * (1 - X)
    return Delta


def jacobian_delta(X: Array, T: Array) -> Array:
    """Return Delta^K by the whole Jacobian: Delta_j = sum_i dL/dx_i dx_i/da_j, row by row."""
    dX = -T / X
    rows = []
    for dx, x in zip(dX, X, strict=True):
        jacobian = np.diag(x) - np.outer(x, x)  # x_i (delta_ij - x_j)
        rows.append(dx @ jacobian)
    return np.array(rows)


rng = np.random.default_rng(0)
n, sizes = 7, (4, 6, 5, 3)
X0, T = rng.standard_normal((n, 4)), np.eye(3)[rng.permutation(np.arange(n) % 3)]
W = {layer: rng.standard_normal((sizes[layer - 1], sizes[layer])) for layer in (1, 2, 3)}
B = {layer: rng.standard_normal((1, sizes[layer])) for layer in (1, 2, 3)}

TW, TB = tensors(W), tensors(B)
TA, TX = forward(X0, TW, TB)
L = loss(TX, T)
# Delta^l is the derivative by A^l, and so ag.compare knows it as dA1, dA2, dA3.
names = {"T": T, **named(W=TW, B=TB, A=TA, X=TX)}
A, X = forward(X0, W, B)
print(
    "\n\nThe slides first took x_j (1 - x_j) for the derivative of softmax. ag.compare of that:\n"
)
for delta in diagonal_delta, jacobian_delta:
    Delta, dW, dB = backward(T, W, A, X, delta)
    report = ag.compare(L, named(dA=Delta, dW=dW, dB=dB), names)
    print(report)
    if delta is diagonal_delta:
        print(
            "\n\nSoftmax has many inputs and many outputs: a_j moves every x_i. With the whole\n"
            "Jacobian x_i (delta_ij - x_j), as the slides were then corrected:\n"
        )
print(
    "\nFor cross-entropy that is x - t: the two differ by "
    f"{np.max(np.abs(jacobian_delta(X[3], T) - true_delta(X[3], T))):.0e}."
)

# ---- does a wrong derivative show in training? ---------------------------------------------------


def train(
    X0: Array, T: Array, delta: DeltaRule, sizes: Sequence[int], rate: float, steps: int = 300
) -> list[tuple[float, int, float]]:
    """Return at each step L/n, how many are right, and the largest number in A^K."""
    n, rng = len(X0), np.random.default_rng(1)
    W, B = {}, {}
    for layer, (d_in, d_out) in enumerate(pairwise(sizes), start=1):
        W[layer] = rng.standard_normal((d_in, d_out)) * np.sqrt(2 / d_in)  # He: right for ReLU
        B[layer] = np.zeros((1, d_out))
    curve = []
    for _ in range(steps):
        A, X = forward(X0, W, B)
        largest = np.max(np.abs(A[3]))
        if largest > 300:  # soon e^a overflows
            break
        curve.append((loss(X, T) / n, np.sum(X[3].argmax(axis=1) == T.argmax(axis=1)), largest))
        _, dW, dB = backward(T, W, A, X, delta)
        W = {layer: W[layer] - rate / n * dW[layer] for layer in W}
        B = {layer: B[layer] - rate / n * dB[layer] for layer in B}
    return curve


measured, kinds = data.iris()
flowers = (measured - measured.mean(axis=0)) / measured.std(axis=0)
one_hot = np.eye(3)[kinds]
curves = {
    "x - t": train(flowers, one_hot, true_delta, sizes, rate=0.05),
    "diagonal only": train(flowers, one_hot, diagonal_delta, sizes, rate=0.05),
}
print(f"\n\nIris, {len(flowers)} flowers, layers 4-6-5-3, rate 0.05\n")
print("                 x - t                          diagonal only")
print("step       L/n   right   largest a         L/n   right   largest a")
for step in (0, 50, 100, 150, 200, len(curves["diagonal only"]) - 1, 250, 299):
    print(f"{step:4}", end="")
    for curve in curves.values():
        if step < len(curve):
            cost, right, largest = curve[step]
            print(f"{cost:10.4f} {right:7} {largest:11.1f}", end="  ")
    print()
print(
    "\nThe wrong derivative learns, and nobody would notice at first. But it only ever pushes the\n"
    "right class up, and never a wrong one down. So all outputs grow, faster and faster."
)

# ---- the picture ---------------------------------------------------------------------------------

ARROW = {"arrowstyle": "->", "color": "black"}
figure = Figure(figsize=(13, 5.5), layout="constrained")
parts = figure.subplot_mosaic(
    [["rate", "diagonal", "cost"], ["rate", "whole", "largest"]], width_ratios=[1.5, 1, 1.5]
)
exercise = parts["rate"]
exercise.plot(rates, promised, ":", color="black", label="what the slope promised for the weights")
exercise.plot(rates, after_weights, color=BLUE, label="weights alone")
exercise.plot(rates, after_both, color=RED, label="weights and biases")
for rate in (0.01, 0.1):
    exercise.axvline(rate, color="#999999", linewidth=0.8, zorder=0)
exercise.annotate("log 2: all hidden units dead", (0.03, np.log(2)), (0.03, 6), arrowprops=ARROW)
exercise.set(title="the exercise: L after one update", xlabel="learning rate", ylabel="L")
exercise.set(ylim=(-1, 38), xticks=[0, 0.01, 0.05, 0.1])
exercise.legend()

x = np.array([0.2, 0.5, 0.3])
whole = np.diag(x) - np.outer(x, x)
for part, matrix, title in (
    ("diagonal", np.diag(x * (1 - x)), "$x_j (1-x_j)$ only"),
    ("whole", whole, r"$dx_i / da_j = x_i (\delta_{ij} - x_j)$"),
):
    parts[part].imshow(matrix, cmap="RdBu", vmin=-0.4, vmax=0.4)
    for (i, j), number in np.ndenumerate(matrix):
        parts[part].text(j, i, f"{number:.2f}", ha="center", va="center")
    parts[part].set(title=title, xticks=range(3), yticks=range(3))
    parts[part].set_xticklabels(["$a_1$", "$a_2$", "$a_3$"])
    parts[part].set_yticklabels(["$x_1$", "$x_2$", "$x_3$"])
    parts[part].tick_params(length=0)
    parts[part].spines[:].set_visible(False)

for (name, curve), color in zip(curves.items(), (BLUE, RED), strict=True):
    costs, _right, largest = zip(*curve, strict=True)
    parts["cost"].plot(costs, color=color, label=name)
    parts["largest"].semilogy(largest, color=color)
parts["cost"].set(title="Iris with either derivative", ylabel="L / n", ylim=(0, 1.4))
parts["cost"].legend()
parts["largest"].set(ylabel="largest number in $A^K$", xlabel="step")
parts["largest"].set_yticks([1, 10, 100], ["1", "10", "100"])
for part in ("rate", "cost", "largest"):
    parts[part].grid()
save(figure, "04_matrix_formulas", options.out)
