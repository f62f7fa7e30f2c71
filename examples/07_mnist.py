"""python examples/07_mnist.py: handwritten digits, by a network 784-128-64-10 or, --lenet, a LeNet.

The gradient three ways on a few images, in the lecture's notation with examples in rows; the bare
training loop, and with --compile what its replay gains; then `ag.fit`, ten epochs of Adam with a
cosine schedule, or five for the LeNet. It needs MNIST: --data FOLDER, or the environment variable
AUTOGRAD_MINI_DATA, else it is downloaded, 12 MB. With --short and no folder, the small digits that
ship stand in for it.
"""

import math
import os
import timeit
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    Array,
    ByLayer,
    Value,
    grads,
    loaded,
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
from autograd_mini.nn import functional, init
from autograd_mini.training import accuracy

arguments = parser(__doc__)
arguments.add_argument("--data", type=Path, metavar="FOLDER", help="where the files of MNIST are")
arguments.add_argument("--lenet", action="store_true", help="train a LeNet, for some minutes")
arguments.add_argument("--compile", action="store_true", help="show what ag.compile gains")
arguments.add_argument("--seed", type=int, default=0, help="of all random numbers")
options = arguments.parse_args()
rng = np.random.default_rng(options.seed)


# ---- the images ----------------------------------------------------------------------------------


def images() -> tuple[Array, Array, Array, Array]:
    """Return images of 28x28 pixels from 0 to 255 to train and to test on, and their labels."""
    if options.short and not (options.data or os.environ.get("AUTOGRAD_MINI_DATA")):
        print("MNIST is not at hand (--data FOLDER): the 1,797 digits of 8x8 pixels that ship with")
        print("the package stand in for it, enlarged to 28x28.\n")
        X, y = data.digits()
        enlarged = np.kron(X.reshape(-1, 8, 8) * (255 / 16), np.ones((1, 3, 3)))
        X = np.pad(enlarged, [(0, 0), (2, 2), (2, 2)])
        X_train, X_test, y_train, y_test = data.train_test_split(X, y, rng=rng)
        return X_train, y_train, X_test, y_test
    return loaded(data.mnist, options.data)


def prepared(images: Array) -> Array:
    """Return images as float32, standardised; in rows, or for a LeNet as (n, 1, 28, 28)."""
    X = (np.float32(1 / 255) * images.astype(np.float32) - mean) / std
    return X[:, np.newaxis] if options.lenet else X.reshape(len(X), -1)


pictures, labels, shown, y_test = images()
if options.short:
    pictures, labels = pictures[:4000], labels[:4000]
mean, std = np.float32(np.mean(pictures) / 255), np.float32(np.std(pictures) / 255)
X, X_test = prepared(pictures), prepared(shown)

# One image in twelve is held out, to watch the training by and to choose its rate. The test images
# are looked at once, at the end.
X_train, X_held_out, y_train, y_held_out = data.train_test_split(
    X, labels, test_size=1 / 12, rng=rng
)
print(f"{len(X_train):,} images to train on, {len(X_held_out):,} held out, {len(X_test):,} to test")


# ---- the gradient, three ways, in float64 --------------------------------------------------------


def network_three_ways() -> None:
    """Compare the gradients of the network 784-128-64-10, examples in rows, on eight images."""
    sizes, K = [784, 128, 64, 10], 3
    X0, T = X[:8].astype(np.float64), data.one_hot(labels[:8], 10)
    W, B = {}, {}
    for layer, (d_in, d_out) in enumerate(pairwise(sizes), start=1):
        W[layer] = init.he_normal((d_out, d_in), rng=rng).T
        B[layer] = np.full((1, d_out), 0.01)

    def forward(W: ByLayer) -> tuple[ByLayer, ByLayer]:
        """Return A^l and X^l of all layers, as arrays or Tensors."""
        A, X = {}, {0: X0}
        for layer in range(1, K + 1):
            A[layer] = X[layer - 1] @ W[layer] + B[layer]
            X[layer] = ag.relu(A[layer]) if layer < K else ag.softmax(A[layer], axis=1)
        return A, X

    def loss(W: ByLayer) -> Value:
        """Return the cross-entropy, the mean over the examples."""
        _, X = forward(W)
        return -np.sum(T * np.log(X[K])) / len(T)

    A, activations = forward(W)
    dW = {}
    Delta = (activations[K] - T) / len(T)
    for layer in range(K, 0, -1):
        dW[layer] = activations[layer - 1].T @ Delta
        if layer > 1:
            Delta = Delta @ W[layer].T * (A[layer - 1] > 0)

    TW = tensors(W)
    loss(TW).backward()

    # Numerically, all 109,000 weights would take 218,000 costs: a few of each layer will do. Those
    # of the first layer belong to pixels in the middle; at the edge all gradients are zero.
    some = {1: np.s_[400:408, :6], 2: np.s_[:8, :8], 3: np.s_[:10, :]}

    def few(arrays: ByLayer) -> ByLayer:
        """Return those few of each layer."""
        return {layer: arrays[layer][where] for layer, where in some.items()}

    all_weights = W

    def loss_of_few(W: ByLayer) -> Value:
        """Return the loss where those few weights are others."""
        changed = {layer: weight.copy() for layer, weight in all_weights.items()}
        for layer, where in some.items():
            changed[layer][where] = W[layer]
        return loss(changed)

    print("\nthe network 784-128-64-10, some weights of each layer")
    three_ways(
        by_hand=named(dW=few(dW)),
        autodiff=named(dW=few(grads(TW))),
        numerical=numerical_gradients(loss_of_few, W=few(W)),
    )


def convolution_three_ways() -> None:
    """Compare the gradients of LeNet's first convolution, given Delta = dL/dA, on two images."""
    X0 = X[:2].astype(np.float64)
    W, B = init.he_normal((6, 1, 5, 5), rng=rng), np.zeros(6)
    Delta = rng.standard_normal((2, 6, 28, 28))

    # Weight (i, j) meets the image moved by i rows and j columns: 25 matrix products, added.
    framed = np.pad(X0, [(0, 0), (0, 0), (2, 2), (2, 2)])
    moved = {(i, j): framed[:, :, i : i + 28, j : j + 28] for i, j in product(range(5), repeat=2)}

    def loss(W: Value, B: Value) -> Value:
        """Return the sum of Delta times A, of which the derivative by A is Delta."""
        A = B.reshape(6, 1, 1)
        for (i, j), image in moved.items():
            A = A + np.einsum("oc,nchw->nohw", W[:, :, i, j], image)
        return np.sum(Delta * A)

    dW = np.empty_like(W)
    for (i, j), image in moved.items():
        dW[:, :, i, j] = np.einsum("nohw,nchw->oc", Delta, image)
    dB = np.sum(Delta, axis=(0, 2, 3))

    TW, TB = (ag.Tensor(array, requires_grad=True) for array in (W, B))
    np.sum(Delta * functional.conv2d(X0, TW, TB, padding=2)).backward()

    print("\nthe first convolution, 6 filters of 5x5")
    three_ways(
        by_hand={"dW": dW, "dB": dB},
        autodiff={"dW": TW.grad, "dB": TB.grad},
        numerical=numerical_gradients(loss, W=W, B=B),
    )


if options.lenet:
    convolution_three_ways()
else:
    network_three_ways()


# ---- the networks --------------------------------------------------------------------------------


def network(rng: np.random.Generator) -> nn.Sequential:
    """Return the network 784-128-64-10."""
    how: dict[str, Any] = {"rng": rng, "dtype": np.float32, "weight_init": init.he_normal}
    return nn.Sequential(
        nn.Linear(784, 128, **how), nn.ReLU(),
        nn.Linear(128, 64, **how), nn.ReLU(),
        nn.Linear(64, 10, **how),
    )  # fmt: skip


def lenet(rng: np.random.Generator) -> nn.Sequential:
    """Return a network in the manner of LeNet-5, with ReLU and max pooling."""
    how: dict[str, Any] = {"rng": rng, "dtype": np.float32, "weight_init": init.he_normal}
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, **how), nn.ReLU(), nn.MaxPool2d(2),  # (n, 6, 14, 14)
        nn.Conv2d(6, 16, 5, **how), nn.ReLU(), nn.MaxPool2d(2),  # (n, 16, 5, 5)
        nn.Flatten(),  # (n, 400)
        nn.Linear(400, 120, **how), nn.ReLU(),
        nn.Linear(120, 84, **how), nn.ReLU(),
        nn.Linear(84, 10, **how),
    )  # fmt: skip


# The rates were chosen by the 5,000 images held out, as the mean of some seeds. For the network, of
# 5e-4, 1e-3, 2e-3 and 4e-3: 97.45, 97.65, 97.93 and 97.91 % right, 3 seeds. For the LeNet, of
# 1.5e-3, 3e-3 and 6e-3: 98.79, 98.90 and 98.89 %, 2 seeds; 3e-3 and 6e-3 are as good as equal.
new, size, epochs, rate = (lenet, 64, 5, 3e-3) if options.lenet else (network, 128, 10, 2e-3)
if options.short:
    size, epochs = 32, 4

# ---- the bare loop -------------------------------------------------------------------------------

model = new(rng)
optimizer: optim.Optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
print("\nthe bare loop: 20 updates by stochastic gradient descent with momentum")


def step(X_batch: Array, y_batch: Array) -> ag.Tensor:
    """Make one update and return the cost before it."""
    L = functional.cross_entropy(model(X_batch), y_batch)
    optimizer.zero_grad()
    L.backward()
    optimizer.step()
    return L


def milliseconds(function: Callable[..., Any], *args: Any) -> float:
    """Return the median time of a call, of 20, after some for warming up."""
    times = [timeit.timeit(lambda: function(*args), number=1) for _ in range(25)]
    return float(1000 * np.median(times[5:]))


for update, batch in enumerate(data.batches(X_train, y_train, size, rng)):
    L = step(*batch)
    if update in (0, 5, 10, 20):
        print(f"  after {update:2} updates, L = {L.item():.3f} on a batch of {len(batch[1])}")
    if update == 20:
        break
if options.compile:
    first = X_train[:size], y_train[:size]
    eager, replayed = milliseconds(step, *first), milliseconds(ag.compile(step), *first)
    print(f"  an update takes {eager:.2f} ms, replayed by ag.compile {replayed:.2f} ms")

# ---- the real run --------------------------------------------------------------------------------

model = new(rng)
optimizer = optim.Adam(model.parameters(), lr=rate)
schedule = optim.CosineLR(optimizer, epochs * math.ceil(len(X_train) / size))
print(f"\n{model}\n")
history = ag.fit(
    model,
    functional.cross_entropy,
    optimizer,
    X_train,
    y_train,
    epochs=epochs,
    batch_size=size,
    rng=rng,
    validation=(X_held_out, y_held_out),
    metrics={"accuracy": accuracy},
    schedule=schedule,
)
print(history)

with ag.no_grad():
    outputs = np.concatenate([model(X).data for X, _ in data.batches(X_test, y_test, 1000, None)])
said = np.argmax(outputs, axis=1)
print(f"\n{np.mean(said == y_test):.2%} of the {len(y_test):,} test images are right")

wrong = np.flatnonzero(said != y_test)
pairs, counts = np.unique(np.stack([y_test, said])[:, wrong], axis=1, return_counts=True)
print("most frequent mistakes:")
for column in np.argsort(-counts, kind="stable")[:5]:
    digit, other = pairs[:, column]
    print(f"  {counts[column]:3} times {digit} was taken for {other}")

# ---- the picture ---------------------------------------------------------------------------------

figure = Figure(figsize=(14, 4.6), layout="constrained")
[[left, middle, right]] = figure.subfigures(1, 3, squeeze=False, width_ratios=[1, 1.1, 1.1])

axes = left.subplots()
for name in ("loss", "validation loss"):
    axes.plot(range(1, epochs + 1), history[name], marker="o", label=name)
axes.set(title="Learning", xlabel="epoch", ylabel="L", ylim=(0, None))
axes.set_xticks(range(1, epochs + 1))
axes.legend()

# The mistakes that it is surest of
sure = np.max(ag.softmax(outputs[wrong], axis=1), axis=1)
middle.suptitle("Its surest mistakes: true → said")
for axes, row in zip(middle.subplots(4, 5).flat, wrong[np.argsort(-sure)], strict=False):
    axes.imshow(shown[row], cmap="gray_r")
    axes.set_title(f"{y_test[row]} → {said[row]}", fontsize=9)

weights = model[0].weight.data
weights = weights.reshape(-1, 5, 5) if options.lenet else weights.reshape(-1, 28, 28)
right.suptitle("Weights of the first layer: red +, blue -")
grid = (2, 3) if options.lenet else (4, 5)
for axes, weight in zip(right.subplots(*grid).flat, weights, strict=False):
    limit = np.abs(weight).max()
    axes.imshow(weight, cmap="RdBu_r", vmin=-limit, vmax=limit)
for part in (middle, right):
    for axes in part.axes:
        axes.set_axis_off()
save(figure, "07_lenet" if options.lenet else "07_mnist", options.out)
