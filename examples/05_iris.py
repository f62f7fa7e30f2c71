"""python examples/05_iris.py: three kinds of Iris, told apart by a network of K layers.

The lecture's matrix formulas with examples in rows: X^0 (n, d), A^l = X^(l-1) W^l + B^l,
X^l = h_l(A^l), ReLU inside and softmax at the end. First by hand, then with nn and optim; then what
scaling, initial weights and regularisation do, each as numbers; cross-validation last.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from common import (
    COLORS,
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
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import autograd_mini as ag
from autograd_mini import data, nn, optim
from autograd_mini.nn import functional, init

options = parser(__doc__).parse_args()
Penalty = Callable[[nn.Module], Any]

flowers, y = data.iris()  # (150, 4): length and width of sepals and petals in cm; kinds 0, 1, 2
X0 = data.Standardizer().fit(flowers).transform(flowers)
T = data.one_hot(y, 3)
n, K = len(X0), 3
sizes = [4, 10, 10, 3]


# ---- by hand: dicts by layer, so that W[3] is W^3 ------------------------------------------------


def initial(rng: np.random.Generator) -> tuple[ByLayer, ByLayer]:
    """Return He's initial weights, (d_in, d_out) each, and zero biases, one row each."""
    W, B = {}, {}
    for layer, (d_in, d_out) in enumerate(pairwise(sizes), start=1):
        W[layer] = rng.standard_normal((d_in, d_out)) * np.sqrt(2 / d_in)
        B[layer] = np.zeros((1, d_out))
    return W, B


def forward(W: ByLayer, B: ByLayer) -> tuple[ByLayer, ByLayer]:
    """Return A^l and X^l of all layers, as arrays or Tensors. NumPy repeats the row B^l n times."""
    A, X = {}, {0: X0}
    for layer in range(1, K + 1):
        A[layer] = X[layer - 1] @ W[layer] + B[layer]
        X[layer] = ag.relu(A[layer]) if layer < K else ag.softmax(A[layer], axis=1)
    return A, X


def loss(W: ByLayer, B: ByLayer) -> Value:
    """Return the cross-entropy L, the mean over the examples."""
    _, X = forward(W, B)
    return -np.sum(T * np.log(X[K])) / n


def backward(W: ByLayer, A: ByLayer, X: ByLayer) -> tuple[ByLayer, ByLayer]:
    """Return dL/dW^l and dL/dB^l of all layers."""
    dW, dB = {}, {}
    Delta = (X[K] - T) / n  # softmax and cross-entropy: x - t; n, because L is a mean
    for layer in range(K, 0, -1):
        dW[layer] = X[layer - 1].T @ Delta
        dB[layer] = np.sum(Delta, axis=0, keepdims=True)  # B is one row, used n times
        if layer > 1:
            Delta = Delta @ W[layer].T * (A[layer - 1] > 0)  # ReLU' is 1 where a > 0
    return dW, dB


W, B = initial(np.random.default_rng(0))
dW, dB = backward(W, *forward(W, B))

TW, TB = tensors(W), tensors(B)
loss(TW, TB).backward()

print(f"{n} flowers, layers {'-'.join(map(str, sizes))}\n")
three_ways(
    by_hand=named(dW=dW, dB=dB),
    autodiff=named(dW=grads(TW), dB=grads(TB)),
    numerical=numerical_gradients(loss, W=W, B=B),
)

# The same network of layers: nn.Linear keeps its weight as (d_out, d_in), as PyTorch does.
rng = np.random.default_rng(0)
model = nn.Sequential(
    nn.Linear(4, 10, rng=rng),
    nn.ReLU(),
    nn.Linear(10, 10, rng=rng),
    nn.ReLU(),
    nn.Linear(10, 3, rng=rng),
)
for layer in range(1, K + 1):
    linear = model[2 * layer - 2]
    ag.assign(linear.weight, W[layer].T)
    ag.assign(linear.bias, B[layer][0])
optimizer = optim.SGD(model.parameters(), lr=0.1)

print("\ngradient descent at rate 0.1     L by hand   L with nn and optim")
for step in range(501):
    A, X = forward(W, B)
    L = functional.cross_entropy(model(X0), y)  # softmax and cross-entropy in one
    if step in (0, 10, 100, 500):
        print(f"after {step:3} steps {-np.sum(T * np.log(X[K])) / n:24.10f} {L.item():21.10f}")
    dW, dB = backward(W, A, X)
    for layer in range(1, K + 1):
        W[layer] -= 0.1 * dW[layer]
        B[layer] -= 0.1 * dB[layer]
    optimizer.zero_grad()
    L.backward()
    optimizer.step()


# ---- what matters --------------------------------------------------------------------------------


def network(
    d: int, rng: np.random.Generator, weight_init: init.Initializer = init.he_normal
) -> nn.Sequential:
    """Return a network with one hidden layer of 16 ReLUs."""
    layer: dict[str, Any] = {"rng": rng, "weight_init": weight_init}
    return nn.Sequential(nn.Linear(d, 16, **layer), nn.ReLU(), nn.Linear(16, 3, **layer))


def train(
    model: nn.Module,
    X: Array,
    y: Array,
    optimizer: optim.Optimizer,
    steps: int,
    penalty: Penalty = lambda model: 0.0,
) -> list[float]:
    """Train on all rows at once; return the loss (without the penalty) at each step."""
    losses = []
    for _ in range(steps):
        L = functional.cross_entropy(model(X), y)
        losses.append(L.item())
        optimizer.zero_grad()
        (L + penalty(model)).backward()
        optimizer.step()
    return losses


def right(model: nn.Module, X: Array, y: Array) -> float:
    """Return the part of the rows whose largest output is that of their class."""
    return float(np.mean(np.argmax(model(X), axis=1) == y))


print("\nFeature scaling: 200 steps at rate 0.2, the same initial weights")
scalings = {
    "in cm": flowers,
    "-1 to 1": data.MinMaxScaler(-1, 1).fit(flowers).transform(flowers),
    "standardised": X0,
}
scaling = {}
for name, scaled in scalings.items():
    model = network(4, np.random.default_rng(0))
    scaling[name] = train(model, scaled, y, optim.SGD(model.parameters(), lr=0.2), 200)
    print(f"  {name:<14} L = {scaling[name][-1]:.3f}   {right(model, scaled, y):6.1%} right")
print(
    "  In cm the loss jumps up again and again, as the picture shows (at rate 0.1 it zigzags a\n"
    "  little): a rate that suits one weight is too large for another. Scaled features want rates\n"
    "  of one size."
)

print("\nInitial weights: 200 steps at rate 0.1, standardised")
starts: dict[str, init.Initializer] = {
    "all zero": init.zeros,
    "all equal 0.5": lambda shape, **how: init.constant(shape, 0.5, **how),
    "uniform -1..1": init.uniform,
    "normal 0.01": init.small_normal,
    "normal, He": init.he_normal,
}
starting = {}
for name, start in starts.items():
    model = network(4, np.random.default_rng(0), start)
    starting[name] = train(model, X0, y, optim.SGD(model.parameters(), lr=0.1), 200)
    different = len(np.unique(model[0].weight.data.round(9), axis=0))
    print(
        f"  {name:<14} L = {starting[name][-1]:.3f}   {right(model, X0, y):6.1%} right   "
        f"{different:2} different hidden units of 16"
    )
print(
    "  Equal units get equal gradients and stay equal: 16 of them do no more than one. From all\n"
    "  zero nothing moves at all: no derivative reaches a weight, and because the three kinds are\n"
    "  equally frequent, even the last bias is right where it is."
)

print("\nRegularisation: 600 steps of Adam at rate 0.03; 112 weights, biases are left alone")
penalties: dict[str, Penalty] = {
    "none": lambda model: 0.0,
    "L1, 0.003": lambda model: nn.l1_penalty(model, 0.003),
    "L2, 0.003": lambda model: nn.l2_penalty(model, 0.003),
}
for name, penalty in penalties.items():
    model = network(4, np.random.default_rng(0))
    losses = train(model, X0, y, optim.Adam(model.parameters(), lr=0.03), 600, penalty)
    weights = np.abs(np.concatenate([model[0].weight.data.ravel(), model[2].weight.data.ravel()]))
    print(
        f"  {name:<10} L = {losses[-1]:.4f}   {np.sum(weights < 0.01):3} weights below 0.01   "
        f"the largest is {weights.max():.1f}"
    )
print(
    "  L1 makes most weights nearly zero and leaves a few large; L2 makes the large ones smaller."
)

# ---- cross-validation ----------------------------------------------------------------------------
# 16 units, L2 0.003, 300 steps and the rate were set by hand, with these same flowers in view. Both
# scalings are reported, not the better one of them.


def cross_validation(seed: int, scaler: Callable[[], Any]) -> float:
    """Return the part of flowers told right by 5 networks that had not seen them."""
    rng = np.random.default_rng(seed)
    hits = 0.0
    for train_rows, test_rows in data.k_folds(y, 5, rng):
        scale = scaler().fit(flowers[train_rows])  # the scale, too, is learnt without the test rows
        model = network(4, rng)
        adam = optim.Adam(model.parameters(), lr=0.01)
        l2 = penalties["L2, 0.003"]
        train(model, scale.transform(flowers[train_rows]), y[train_rows], adam, 300, l2)
        hits += right(model, scale.transform(flowers[test_rows]), y[test_rows]) * len(test_rows)
    return hits / n


shuffles = 1 if options.short else 5
print(f"\n5-fold cross-validation, mean of {shuffles} shuffles: 300 steps of Adam, L2 0.003")
for name, scaler in {"-1 to 1": data.MinMaxScaler, "standardised": data.Standardizer}.items():
    parts = [cross_validation(seed, scaler) for seed in range(shuffles)]
    print(f"  {name:<14} {np.mean(parts):6.2%} right   ({min(parts):.2%} to {max(parts):.2%})")

# ---- the picture: what a network makes of petals alone, and the learning curves ------------------

petals = flowers[:, 2:]
scale = data.Standardizer().fit(petals)
model = network(2, np.random.default_rng(0))
l2 = penalties["L2, 0.003"]
train(model, scale.transform(petals), y, optim.Adam(model.parameters(), lr=0.01), 300, l2)

length, width = np.meshgrid(np.linspace(0.5, 7.4, 400), np.linspace(-0.1, 2.8, 400))
places = np.column_stack([length.ravel(), width.ravel()])
P = ag.softmax(model(scale.transform(places)), axis=1).data  # one row of three probabilities each

figure = Figure(figsize=(13, 4.2), layout="constrained")
plane, left, right_one = figure.subplots(1, 3)
kinds = dict(zip(("setosa", "versicolor", "virginica"), COLORS, strict=False))
colors = np.array([to_rgb(color) for color in kinds.values()])
shade = 1 - 0.45 * P @ (1 - colors)  # the three colours, mixed by their probabilities, on white
plane.imshow(
    shade.reshape(*length.shape, 3), origin="lower", extent=(0.5, 7.4, -0.1, 2.8), aspect="auto"
)
plane.contour(length, width, P.argmax(axis=1).reshape(length.shape), [0.5, 1.5], colors="white")
for kind, (name, color) in enumerate(kinds.items()):
    plane.scatter(*petals[y == kind].T, s=18, color=color, edgecolor="white", lw=0.5, label=name)
plane.set(
    xlabel="petal length (cm)", ylabel="petal width (cm)", title="What it makes of the petals"
)
plane.legend(loc="upper left")

for axes, title, rate, curves in (
    (left, "Feature scaling", 0.2, scaling),
    (right_one, "Initial weights", 0.1, starting),
):
    for name, losses in curves.items():
        axes.plot(losses, label=name)
    axes.set(title=title, xlabel=f"step of gradient descent, rate {rate}", ylabel="L", ylim=(0, 2))
    axes.legend()
left.set(yscale="log", ylim=(0.05, 12))
left.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
save(figure, "05_iris", options.out)
