"""Measure what training costs beside other libraries, and print every number beside its target.

::

    python -m benchmarks.training                          # all parts
    python -m benchmarks.training lenet --repetitions 200  # one part, more patiently

The part ``mnist`` reads the files of MNIST from ``$AUTOGRAD_MINI_DATA``, or downloads them.  It is
measured as in `benchmarks.engine`: in turn, in one process, with one thread on one core.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import importlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_mini import data, nn, optim
from benchmarks.engine import measure
from benchmarks.measuring import Row, in_turn, installed

Step = Callable[[], float]  # one update; gives the loss that there was before it
Restart = Callable[[], Any]  # back to the first weights

BATCH = 128

# ---- a step of a LeNet-like network -------------------------------------------------------------

OPTIMISERS: dict[str, dict[str, float]] = {
    "SGD": {"lr": 0.01, "momentum": 0.9},
    "Adam": {"lr": 0.001},
}


def images() -> tuple[np.ndarray, np.ndarray]:
    """A batch of normal images of the size of MNIST's, and labels."""
    random = np.random.default_rng(1)
    x = random.standard_normal((BATCH, 1, 28, 28)).astype(np.float32)
    return x, random.integers(0, 10, BATCH)


def lenet() -> nn.Sequential:
    """The layers of LeNet-5 (LeCun et al., 1998), with ReLU and maxima as one has them today."""
    options: dict[str, Any] = {"rng": np.random.default_rng(0), "dtype": np.float32}
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, **options),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, **options),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120, **options),
        nn.ReLU(),
        nn.Linear(120, 84, **options),
        nn.ReLU(),
        nn.Linear(84, 10, **options),
    )


def lenet_of_this_package(optimiser: str, options: dict[str, float]) -> tuple[Step, Restart]:
    """A step with the layers and optimisers of this repository."""
    model, (x, labels) = lenet(), images()
    first = model.state_dict()
    updates = getattr(optim, optimiser)(model.parameters(), **options)

    def step() -> float:
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        updates.step()
        updates.zero_grad()
        return float(loss.data)

    return step, lambda: model.load_state_dict(first)


def lenet_of_pytorch(optimiser: str, options: dict[str, float]) -> tuple[Step, Restart]:
    """A step of PyTorch, eager, from the same weights."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    layers = torch.nn
    model = layers.Sequential(
        layers.Conv2d(1, 6, 5, padding=2),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(6, 16, 5),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(400, 120),
        layers.ReLU(),
        layers.Linear(120, 84),
        layers.ReLU(),
        layers.Linear(84, 10),
    )
    first = {name: torch.from_numpy(array) for name, array in lenet().state_dict().items()}
    model.load_state_dict(first)
    x, labels = map(torch.from_numpy, images())
    updates = getattr(torch.optim, optimiser)(model.parameters(), **options)

    def step() -> float:
        loss = layers.functional.cross_entropy(model(x), labels)
        loss.backward()
        updates.step()
        updates.zero_grad()
        return float(loss.detach())

    return step, lambda: model.load_state_dict(first)


def lenet_step(repetitions: int) -> list[Row]:
    """One update of the network on 128 images, in float32; 20 losses agree to a part in 100,000."""
    makers = {"autograd_mini": lenet_of_this_package}
    if installed("torch"):
        makers["PyTorch"] = lenet_of_pytorch
    rows = []
    for optimiser, options in OPTIMISERS.items():
        runs = {name: make(optimiser, options) for name, make in makers.items()}
        rows += compared(f"LeNet step, {optimiser}", runs, repetitions, target=3.0)
    return rows


def compared(
    part: str, runs: dict[str, tuple[Step, Restart]], repetitions: int, target: float
) -> list[Row]:
    """The times of steps that find the same losses, and how many times the others' ours is."""
    losses = {name: [step() for _ in range(20)] for name, (step, _) in runs.items()}
    for name, theirs in losses.items():
        np.testing.assert_allclose(losses["autograd_mini"], theirs, rtol=1e-5, err_msg=name)
    # a network that has learned its batch computes with subnormals: each turn starts anew
    steps = {name: step for name, (step, _) in runs.items()}
    times = in_turn(steps, repetitions, lambda name: runs[name][1]())
    return side_by_side(part, times, dict.fromkeys(times, target))


def side_by_side(part: str, times: dict[str, np.ndarray], targets: dict[str, float]) -> list[Row]:
    """The times of all, and how many times those of the others ours are."""
    rows = [Row(part, name, float(np.median(t)) / 1e3, "ms") for name, t in times.items()]
    for name in list(times)[1:]:
        ratio = float(np.median(times["autograd_mini"] / times[name]))
        rows.append(Row(part, f"autograd_mini / {name}", ratio, "times", targets[name]))
    return rows


# ---- an epoch of MNIST --------------------------------------------------------------------------

LAYERS = (784, 128, 64, 10)
LEARNING_RATE = 1e-3
Update = Callable[[Any, Any], float]


def dense() -> nn.Sequential:
    """The network of ``examples/07_mnist.py``."""
    rng = np.random.default_rng(0)
    first, second, last = (
        nn.Linear(n_in, n_out, rng=rng, dtype=np.float32)
        for n_in, n_out in itertools.pairwise(LAYERS)
    )
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)


def epoch_of_this_package(X: np.ndarray, y: np.ndarray) -> tuple[Update, Callable[[], None]]:
    """An update, and an epoch, with the layers, batches and optimisers of this repository."""
    model, rng = dense(), np.random.default_rng(0)
    updates = optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def update(images: np.ndarray, labels: np.ndarray) -> float:
        loss = nn.functional.cross_entropy(model(images), labels)
        updates.zero_grad()
        loss.backward()
        updates.step()
        return float(loss.data)

    def epoch() -> None:
        for images, labels in data.batches(X, y, BATCH, rng):
            update(images, labels)

    return update, epoch


def epoch_of_pytorch(X: np.ndarray, y: np.ndarray) -> tuple[Update, Callable[[], None]]:
    """The same with PyTorch, eager, its rows shuffled and picked by PyTorch too."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    layers = torch.nn
    first, second, last = (layers.Linear(*size) for size in itertools.pairwise(LAYERS))
    model = layers.Sequential(first, layers.ReLU(), second, layers.ReLU(), last)
    state = dense().state_dict()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    updates = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    all_images, all_labels = torch.from_numpy(X), torch.from_numpy(y)

    def update(images: Any, labels: Any) -> float:
        loss = layers.functional.cross_entropy(model(images), labels)
        updates.zero_grad()
        loss.backward()
        updates.step()
        return float(loss.detach())

    def epoch() -> None:
        order = torch.randperm(len(all_images))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            update(all_images[rows], all_labels[rows])

    return lambda images, labels: update(*map(torch.from_numpy, (images, labels))), epoch


def epoch_of_scikit_learn(X: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """An epoch of the network of scikit-learn, which goes on where the last one ended."""
    network: Any = importlib.import_module("sklearn.neural_network").MLPClassifier(
        LAYERS[1:-1], batch_size=BATCH, alpha=0, learning_rate_init=LEARNING_RATE, random_state=0
    )
    classes = np.arange(LAYERS[-1])
    return lambda: network.partial_fit(X, y, classes=classes)


def mnist_epoch(repetitions: int) -> list[Row]:
    """One epoch of 784-128-64-10, ReLU, batches of 128, Adam, in float32, on MNIST itself.

    The first 20 losses of ours and PyTorch's, on the same batches, agree to a part in 100,000;
    scikit-learn begins with weights of its own.
    """
    images, y, _, _ = data.mnist()
    X = images.reshape(-1, 784).astype(np.float32) / 255
    our_update, our_epoch = epoch_of_this_package(X, y)
    epochs = {"autograd_mini": our_epoch}
    if installed("torch"):
        their_update, epochs["PyTorch"] = epoch_of_pytorch(X, y)
        for batch in data.batches(X[: 20 * BATCH], y[: 20 * BATCH], BATCH, None):
            np.testing.assert_allclose(our_update(*batch), their_update(*batch), rtol=1e-5)
    if installed("sklearn"):
        epochs["scikit-learn"] = epoch_of_scikit_learn(X, y)
    times = in_turn(epochs, repetitions)
    return side_by_side("MNIST epoch", times, {"PyTorch": 1.1, "scikit-learn": 1.0})


# ---- the table ----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[int], list[Row]]] = {"mnist": mnist_epoch, "lenet": lenet_step}
REPETITIONS = {"mnist": 9, "lenet": 100}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write down if asked to."""
    measure("benchmarks.training", __doc__, PARTS, REPETITIONS, arguments)


if __name__ == "__main__":
    main()
