"""python examples/09_grid_search.py: layers, L2 regularisation and learning rate by grid search.

Every combination is tried by cross-validation on part of the digits that ship; the best one is
trained once more, and tested once, on digits that the search has never seen.
"""

from itertools import pairwise, product

import numpy as np
from common import Array, Value, numerical_gradients, parser, save, three_ways
from matplotlib.figure import Figure

import autograd_mini as ag
from autograd_mini import data, nn, optim
from autograd_mini.nn import functional, init

options = parser(__doc__).parse_args()

layers = [(), (32,), (64,), (32, 32)]  # the hidden ones
strengths = [0.0, 0.0003, 0.003]  # of L2
rates = [0.01, 0.1, 0.5]  # of gradient descent
folds, epochs = 5, 10
if options.short:
    layers, strengths, folds, epochs = [(), (32,)], [0.0, 0.003], 3, 3

X, y = data.digits()
X, X_test, y, y_test = data.train_test_split(X / 16, y, rng=np.random.default_rng(0))
print(f"{len(X)} digits to search with, {len(X_test)} put away for the end\n")


# ---- the gradient, three ways --------------------------------------------------------------------
# Of the network 64-32-10 on twenty digits in rows, with L2: that is what every combination descends

rng = np.random.default_rng(0)
X0, T, n, strength = X[:20], data.one_hot(y[:20], 10), 20, 0.003
W1, B1 = rng.standard_normal((64, 32)) * np.sqrt(2 / 64), 0.1 * rng.standard_normal((1, 32))
W2, B2 = rng.standard_normal((32, 10)) * np.sqrt(2 / 32), 0.1 * rng.standard_normal((1, 10))


def loss(W1: Value, B1: Value, W2: Value, B2: Value) -> Value:
    """Return the cross-entropy, the mean over the digits, and the L2 term; biases are free."""
    X1 = ag.relu(X0 @ W1 + B1)
    X2 = ag.softmax(X1 @ W2 + B2, axis=1)
    return -np.sum(T * np.log(X2)) / n + strength * (np.sum(W1**2) + np.sum(W2**2))


X1 = ag.relu(X0 @ W1 + B1)
X2 = ag.softmax(X1 @ W2 + B2, axis=1)
Delta2 = (X2 - T) / n
Delta1 = Delta2 @ W2.T * (X1 > 0)
by_hand = {
    "dW1": X0.T @ Delta1 + 2 * strength * W1,
    "dB1": np.sum(Delta1, axis=0, keepdims=True),
    "dW2": X1.T @ Delta2 + 2 * strength * W2,
    "dB2": np.sum(Delta2, axis=0, keepdims=True),
}
dW1, dB1, dW2, dB2 = ag.grad(loss, argnums=(0, 1, 2, 3))(W1, B1, W2, B2)
autodiff = {"dW1": dW1, "dB1": dB1, "dW2": dW2, "dB2": dB2}
print(f"the network 64-32-10, L2 {strength}")
three_ways(by_hand, autodiff, numerical_gradients(loss, W1=W1, B1=B1, W2=W2, B2=B2))
print()


# ---- the grid ------------------------------------------------------------------------------------


def trained(
    X: Array,
    y: Array,
    hidden: tuple[int, ...],
    strength: float,
    rate: float,
    rng: np.random.Generator,
) -> nn.Sequential:
    """Return a network trained by stochastic gradient descent with momentum."""
    modules = []
    for d_in, d_out in pairwise([64, *hidden, 10]):
        modules += [nn.Linear(d_in, d_out, rng=rng, weight_init=init.he_normal), nn.ReLU()]
    model = nn.Sequential(*modules[:-1])  # no ReLU at the end
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for _ in range(epochs):
        for X_batch, y_batch in data.batches(X, y, 64, rng):
            L = functional.cross_entropy(model(X_batch), y_batch)
            optimizer.zero_grad()
            (L + nn.l2_penalty(model, strength)).backward()
            optimizer.step()
    return model


def right(model: nn.Module, X: Array, y: Array) -> float:
    """Return the part of the digits that the network tells right."""
    with ag.no_grad():
        return float(np.mean(np.argmax(model(X), axis=1) == y))


def score(hidden: tuple[int, ...], strength: float, rate: float) -> float:
    """Return the mean over the folds of what is right among the digits not trained on."""
    rng = np.random.default_rng(1)  # the same folds for every combination
    parts = [
        right(trained(X[rows], y[rows], hidden, strength, rate, rng), X[others], y[others])
        for rows, others in data.k_folds(y, folds, rng)
    ]
    return float(np.mean(parts))


grid = list(product(layers, strengths, rates))
print(f"{len(grid)} combinations, {folds} folds each, {epochs} epochs")
scores = {}
for hidden, strength, rate in grid:
    scores[hidden, strength, rate] = score(hidden, strength, rate)

names = {hidden: "-".join(map(str, (64, *hidden, 10))) for hidden in layers}
print(f"\n{'layers':<14}{'L2':<9}" + "".join(f"rate {rate:<7}" for rate in rates))
for hidden, strength in product(layers, strengths):
    row = "".join(f"{scores[hidden, strength, rate]:<12.2%}" for rate in rates)
    print(f"{names[hidden]:<14}{strength:<9}{row}")

best = max(scores, key=lambda combination: scores[combination])
hidden, strength, rate = best
print(
    f"\nbest: {names[hidden]}, L2 {strength}, rate {rate}: {scores[best]:.2%} in cross-validation"
)
print(
    f"The best of {len(grid)} had luck, too. So the number to believe comes from digits that had\n"
    "no part in the choice:"
)
model = trained(X, y, hidden, strength, rate, np.random.default_rng(2))
p = right(model, X_test, y_test)
error = np.sqrt(p * (1 - p) / len(y_test))
print(
    f"trained on all {len(X)}, {p:.2%} of the {len(X_test)} are right (standard error {error:.2%})"
)

# ---- the picture: a heat map for each choice of layers -------------------------------------------

figure = Figure(figsize=(3.3 * len(layers) + 1, 3.6), layout="constrained")
panels = figure.subplots(1, len(layers), sharey=True)
values = np.array([scores[key] for key in grid]).reshape(len(layers), len(strengths), len(rates))
low = max(values.min(), 0.9)
for axes, hidden, part in zip(panels, layers, values, strict=True):
    axes.imshow(100 * part, cmap="viridis", vmin=100 * low, vmax=100 * values.max())
    axes.set(title=names[hidden], xlabel="learning rate")
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(rates)), rates)
    axes.set_yticks(range(len(strengths)), strengths)
    for (row, column), value in np.ndenumerate(part):
        color = "white" if value < (low + values.max()) / 2 else "black"
        text = axes.text(column, row, f"{100 * value:.1f}", ha="center", va="center", color=color)
        if (hidden, strengths[row], rates[column]) == best:
            text.set(weight="bold", bbox={"boxstyle": "round", "fill": False, "edgecolor": color})
panels[0].set_ylabel("L2")
figure.colorbar(panels[-1].images[0], ax=panels, label="% right in cross-validation", extend="min")
save(figure, "09_grid_search", options.out)
