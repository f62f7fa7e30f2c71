"""python examples/08_regression.py: a regression on real patients, next to scikit-learn's network.

The lecture's matrix formulas with examples in rows: A^l = X^(l-1) W^l + B^l, X^l = h_l(A^l), ReLU
inside, identity at the end, squared error and L2. Ten measurements of 442 people with diabetes say
how far the disease has gone a year later. First by hand, then with nn and optim, then
cross-validation. The variables are dicts by layer, so that W[3] is W^3.
"""
# ruff: noqa: E741 - layers are counted by l, as in the lecture

import warnings
from itertools import pairwise
from typing import Any

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
from autograd_mini import data, nn, optim
from autograd_mini.training import History

try:
    from sklearn.datasets import load_diabetes
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
except ModuleNotFoundError as error:
    raise SystemExit(
        f"the data set comes with scikit-learn, and {error.name} is not installed: "
        "pip install 'autograd-mini[examples]'"
    ) from None

options = parser(__doc__).parse_args()

patients: Any = load_diabetes(scaled=False)
measurements = patients.data  # (442, 10)
progression = patients.target.reshape(-1, 1)  # one column, as the network's output has
sizes = [10, 32, 16, 1]
alpha = 1.0  # of L2
K = len(sizes) - 1


def scaled(train: Array, *others: Array) -> tuple[Any, ...]:
    """Return X^0 and T of the training rows and of others, scaled by the training rows alone."""
    X_scaler = data.Standardizer().fit(measurements[train])
    T_scaler = data.Standardizer().fit(progression[train])
    parts = [
        (X_scaler.transform(measurements[rows]), T_scaler.transform(progression[rows]))
        for rows in (train, *others)
    ]
    return T_scaler, *parts


# ---- by hand -------------------------------------------------------------------------------------


def forward(X0: Array, W: ByLayer, B: ByLayer) -> tuple[ByLayer, ByLayer]:
    """Return A and X of all layers, as arrays or Tensors. NumPy repeats the row B^l n times."""
    A, X = {}, {0: X0}
    for l in range(1, K + 1):
        A[l] = X[l - 1] @ W[l] + B[l]
        X[l] = ag.relu(A[l]) if l < K else A[l]
    return A, X


def loss(X: ByLayer, T: Array, W: ByLayer) -> Value:
    """Return half the mean squared error, and L2 on the weights but not on the biases."""
    n = len(T)
    return (np.sum((X[K] - T) ** 2) + alpha * sum(np.sum(W[l] ** 2) for l in W)) / (2 * n)


def backward(T: Array, W: ByLayer, A: ByLayer, X: ByLayer) -> tuple[ByLayer, ByLayer]:
    """Return the gradients by all W^l and B^l."""
    n = len(T)
    dW, dB = {}, {}
    Delta = (X[K] - T) / n  # of layer K: the derivative of the identity is 1
    for l in range(K, 0, -1):
        if l < K:
            Delta = Delta @ W[l + 1].T * (A[l] > 0)
        dW[l] = X[l - 1].T @ Delta + alpha / n * W[l]
        dB[l] = np.sum(Delta, axis=0, keepdims=True)  # one stored row: the sum of its n rows
    return dW, dB


rng = np.random.default_rng(0)
train, test = next(data.k_folds(progression, 5, rng))
T_scaler, (X0, T), (X0_test, T_test) = scaled(train, test)
W = {
    l: rng.standard_normal((d_in, d_out)) * np.sqrt(2 / d_in)
    for l, (d_in, d_out) in enumerate(pairwise(sizes), start=1)
}
B = {l: 0.1 * rng.standard_normal((1, sizes[l])) for l in W}

A, X = forward(X0, W, B)
dW, dB = backward(T, W, A, X)

TW, TB = tensors(W), tensors(B)
_, TX = forward(X0, TW, TB)
loss(TX, T, TW).backward()


def loss_of(W: ByLayer, B: ByLayer) -> Value:
    """Return the loss of the training rows with these parameters."""
    _, X = forward(X0, W, B)
    return loss(X, T, W)


print(f"{len(X0)} patients to train on, layers {' - '.join(map(str, sizes))}, L2 with {alpha = }\n")
three_ways(
    by_hand=named(dW=dW, dB=dB),
    autodiff=named(dW=grads(TW), dB=grads(TB)),
    numerical=numerical_gradients(loss_of, W=W, B=B),
)


# ---- with nn and optim ---------------------------------------------------------------------------


def network(rng: np.random.Generator) -> nn.Sequential:
    """Return the same layers as modules: He's initial weights for ReLU, and small ones at the end.

    So the network begins by predicting the mean of all patients, not numbers far from it.
    """
    layers = []
    for d_in, d_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(d_in, d_out, rng=rng, weight_init=nn.init.he_uniform), nn.ReLU()]
    last = nn.Linear(*sizes[-2:], rng=rng, weight_init=nn.init.small_normal)
    return nn.Sequential(*layers, last)


def half_squared_error(outputs: ag.Tensor, targets: Array) -> ag.Tensor:
    """Return the loss without L2."""
    return nn.functional.mse_loss(outputs, targets) / 2


model = network(rng)
model.load_state_dict(  # nn.Linear keeps its weight as (d_out, d_in), PyTorch's way
    {f"{2 * l - 2}.weight": W[l].T for l in W} | {f"{2 * l - 2}.bias": B[l][0] for l in B}
)
optimizer = optim.SGD(model.parameters(), lr=0.05)

print("\ngradient descent at rate 0.05    L by hand   L with nn and optim")
for step in range(201):
    A, X = forward(X0, W, B)
    L = half_squared_error(model(X0), T) + nn.l2_penalty(model, alpha / (2 * len(T)))
    if step in (0, 10, 100, 200):
        print(f"after {step:3} steps {loss(X, T, W):24.10f} {L.item():21.10f}")
    dW, dB = backward(T, W, A, X)
    for l in W:
        W[l] -= 0.05 * dW[l]
        B[l] -= 0.05 * dB[l]
    optimizer.zero_grad()
    L.backward()
    optimizer.step()


# ---- cross-validation ----------------------------------------------------------------------------

epochs, batch_size, lr = 50, 32, 0.003
repeats = 1 if options.short else 5


def ours(
    X0: Array, T: Array, held_out: tuple[Array, Array], seed: int
) -> tuple[nn.Sequential, History]:
    """Return a network trained with Adam, its rate falling as a cosine does, and its history."""
    rng = np.random.default_rng(seed)
    model = network(rng)
    adam = optim.Adam(model.parameters(), lr=lr)
    updates = epochs * -(-len(X0) // batch_size)
    history = ag.fit(
        model,
        half_squared_error,
        adam,
        X0,
        T,
        epochs=epochs,
        batch_size=batch_size,
        rng=rng,
        validation=held_out,
        schedule=optim.CosineLR(adam, updates),
        penalty=lambda model: nn.l2_penalty(model, alpha / (2 * batch_size)),
        progress=False,
    )
    return model, history


def theirs(X0: Array, T: Array, seed: int) -> Any:
    """Return scikit-learn's network: same layers, ReLU, L2, Adam, batches and epochs."""
    network: Any = MLPRegressor  # whose types are not known
    model = network(
        hidden_layer_sizes=sizes[1:-1], activation="relu", solver="adam", alpha=alpha,
        batch_size=batch_size, learning_rate_init=lr, max_iter=epochs, n_iter_no_change=epochs,
        random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many epochs as ours, no more
        return model.fit(X0, T[:, 0])


def least_squares(X0: Array, T: Array) -> Array:
    """Return the best linear function: what a network of identities would come to."""
    return np.linalg.lstsq(np.insert(X0, 0, 1, axis=1), T, rcond=None)[0]


def scores(predicted: Array, true: Array) -> tuple[float, float]:
    """Return R^2, the part of the variance that is explained, and the mean absolute error."""
    r2 = 1 - np.sum((true - predicted) ** 2) / np.sum((true - np.mean(true)) ** 2)
    return float(r2), float(np.mean(np.abs(true - predicted)))


found: dict[str, list[tuple[float, float]]] = {
    "autograd_mini": [],
    "scikit-learn": [],
    "least squares": [],
}
histories, out_of_fold = [], np.empty_like(progression)  # of patients the network never saw
for seed in range(repeats):
    folds = data.k_folds(progression, 5, np.random.default_rng(seed))
    for fold, (train, test) in enumerate(folds):
        T_scaler, (X0, T), held_out = scaled(train, test)
        X0_test, _ = held_out
        model, history = ours(X0, T, held_out, seed=10 * seed + fold)
        histories.append(history)
        outputs = {
            "autograd_mini": model(X0_test).data,
            "scikit-learn": theirs(X0, T, seed=10 * seed + fold).predict(X0_test)[:, np.newaxis],
            "least squares": np.insert(X0_test, 0, 1, axis=1) @ least_squares(X0, T),
        }
        for name, output in outputs.items():
            found[name].append(scores(T_scaler.inverse(output), progression[test]))
        if seed == 0:
            out_of_fold[test] = T_scaler.inverse(outputs["autograd_mini"])

print(
    f"\n5-fold cross-validation, times {repeats}: mean +- spread of the folds, on patients not "
    "trained on\n\n                 R^2                 mean absolute error"
)


def line(name: str, numbers: Array, spreads: Array) -> None:
    """Print one line of the table."""
    (r2, error), (r2_spread, error_spread) = numbers, spreads
    print(f"{name:<16} {r2:7.4f} +- {r2_spread:.4f}   {error:6.2f} +- {error_spread:.2f}")


for name, each in found.items():
    line(name, np.mean(each, axis=0), np.std(each, axis=0))
ahead = np.subtract(found["autograd_mini"], found["scikit-learn"])
print("\nautograd_mini less scikit-learn, fold by fold: mean +- standard error of the mean")
line("", np.mean(ahead, axis=0), np.std(ahead, axis=0) / np.sqrt(len(ahead)))
print("""
Both networks have the same layers, L2, optimiser, batches and epochs. Ours begins with small
weights in the last layer, and its rate falls as a cosine does. Least squares is the best linear
function, which a network of identities comes to.""")


# ---- the picture ---------------------------------------------------------------------------------

figure = Figure(figsize=(13, 4.2), layout="constrained")
left, middle, right = figure.subplots(1, 3)

left.plot(progression, out_of_fold, "o", color=BLUE, markersize=3.5, alpha=0.6)
ends = [progression.min(), progression.max()]
left.plot(ends, ends, color="black", linewidth=0.8)
left.set(title="Patients that the network never saw", xlabel="true progression")
left.set(ylabel="predicted", aspect="equal")

middle.plot(out_of_fold, progression - out_of_fold, "o", color=BLUE, markersize=3.5, alpha=0.6)
middle.axhline(0, color="black", linewidth=0.8)
middle.set(title="Residuals", xlabel="predicted", ylabel="true - predicted")

for name, label, color in (("loss", "training", BLUE), ("validation loss", "held out", RED)):
    curves = np.array([history[name] for history in histories])
    mean, spread = curves.mean(axis=0), curves.std(axis=0)
    steps = np.arange(1, epochs + 1)
    right.plot(steps, mean, color=color, label=label)
    right.fill_between(steps, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
right.set(title="Learning curve, mean and spread", xlabel="epoch", xlim=(1, epochs))
right.set(ylabel="half the mean squared error, scaled", ylim=(0, None))
right.legend()
for axes in (left, middle, right):
    axes.grid()
save(figure, "08_regression", options.out)
