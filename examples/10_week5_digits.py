"""python examples/10_week5_digits.py: handwritten digits, K sigmoid outputs, regularised.

The exercise of week 5 of Stanford's Machine Learning course, in its notation: Theta matrices with a
bias column, examples in rows, labels 1 to 10 where 10 is the digit 0, images unrolled column by
column. The course's files are not ours to pass on; --data says where they are. Without them the
same network is trained on the 8x8 digits that ship with the package.
"""
# ruff: noqa: N802 - the functions are called what the course calls them

import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import BLUE, RED, Array, Value, need, parser, save, three_ways
from matplotlib.figure import Figure

import autograd_mini as ag
from autograd_mini import optim
from autograd_mini.check import numerical_gradient
from autograd_mini.data import digits, train_test_split

# ---- the network, in the course's notation -------------------------------------------------------


def with_ones(A: Value) -> Value:
    """Put the column of ones, by which the bias is multiplied, before the others."""
    return np.hstack([np.ones((len(A), 1)), A])


def sigmoidGradient(z: Value) -> Value:
    """Return g'(z) = g(z)(1 - g(z))."""
    return ag.sigmoid(z) * (1 - ag.sigmoid(z))


def feedForward(Theta1: Value, Theta2: Value, X: Array) -> tuple[Value, ...]:
    """Return a1, z2, a2, z3, h. The Thetas may be arrays, or Tensors that record."""
    a1 = with_ones(X)
    z2 = a1 @ Theta1.T
    a2 = with_ones(ag.sigmoid(z2))
    z3 = a2 @ Theta2.T
    h = ag.sigmoid(z3)
    return a1, z2, a2, z3, h


def costJ(h: Value, Y: Array, Theta1: Value, Theta2: Value, lambda_: float) -> Value:
    """Return the regularised cost; the bias columns are left alone.

    Without regularisation, outputs may reach 0 or 1 in the end, where log is infinite: then
    nn.functional.binary_cross_entropy is the safe way to write the sum.
    """
    m = len(Y)
    J = -np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m
    return J + lambda_ / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))


def rows_of_identity(y: Array, num_labels: int) -> Array:
    """Return Y: for a label k a row with a 1 in place k, counted from 1."""
    Y: Array = np.eye(num_labels)[y - 1]
    return Y


def nnCostFunction(
    Theta1: Array, Theta2: Array, X: Array, y: Array, lambda_: float
) -> tuple[float, dict[str, Array]]:
    """Return J, and by name all that backpropagation computes by hand: D1 and D2 are its end."""
    m = len(X)
    Y = rows_of_identity(y, len(Theta2))
    a1, z2, a2, z3, h = feedForward(Theta1, Theta2, X)
    J = costJ(h, Y, Theta1, Theta2, lambda_)

    delta3 = h - Y
    delta2 = delta3 @ Theta2[:, 1:] * sigmoidGradient(z2)
    Delta1 = delta2.T @ a1
    Delta2 = delta3.T @ a2
    D1 = Delta1 / m
    D2 = Delta2 / m
    D1[:, 1:] += lambda_ / m * Theta1[:, 1:]
    D2[:, 1:] += lambda_ / m * Theta2[:, 1:]
    return J, {
        "a2": a2, "z3": z3, "h": h, "delta3": delta3, "delta2": delta2,
        "Delta1": Delta1, "Delta2": Delta2, "D1": D1, "D2": D2,
    }  # fmt: skip


def autodiff(
    Theta1: Value, Theta2: Value, X: Array, y: Array, lambda_: float
) -> tuple[float, Array, Array]:
    """Return J, D1 and D2 by going backward through what the forward pass recorded."""
    Theta1, Theta2 = ag.Tensor(Theta1, requires_grad=True), ag.Tensor(Theta2, requires_grad=True)
    *_, h = feedForward(Theta1, Theta2, X)
    J = costJ(h, rows_of_identity(y, len(Theta2)), Theta1, Theta2, lambda_)
    J.backward()
    return J.item(), Theta1.grad.data, Theta2.grad.data


def predict(Theta1: Array, Theta2: Array, X: Array) -> Value:
    """Return the label, 1 to K, of the largest output for each example."""
    *_, h = feedForward(Theta1, Theta2, X)
    return h.argmax(axis=1) + 1


def randInitializeWeights(L_in: int, L_out: int, rng: np.random.Generator) -> Array:
    """Return a Theta, uniform between -0.12 and 0.12, so that no two hidden units are equal."""
    epsilon_init = 0.12
    return rng.uniform(-epsilon_init, epsilon_init, (L_out, L_in + 1))


def unroll(Theta1: Array, Theta2: Array) -> Array:
    """Return nn_params = [Theta1(:); Theta2(:)], column by column as Octave does."""
    return np.concatenate([Theta1.ravel(order="F"), Theta2.ravel(order="F")])


def roll(
    nn_params: Array, input_layer_size: int, hidden_layer_size: int, num_labels: int
) -> tuple[Array, Array]:
    """Return the Theta1 and Theta2 that were unrolled."""
    shape1, shape2 = (hidden_layer_size, input_layer_size + 1), (num_labels, hidden_layer_size + 1)
    first, second = np.split(nn_params, [shape1[0] * shape1[1]])
    return first.reshape(shape1, order="F"), second.reshape(shape2, order="F")


# ---- the course's check, and the worked example of its forum -------------------------------------


def debugInitializeWeights(fan_out: int, fan_in: int) -> Array:
    """Return weights that look random and are the same everywhere: sin(1), sin(2), ... over 10."""
    return np.sin(np.arange(1, fan_out * (fan_in + 1) + 1)).reshape(fan_out, -1, order="F") / 10


def checkNNGradients(lambda_: float) -> tuple[Array, Array, Array]:
    """Return the gradient of a small network numerically, by hand and by autodiff, unrolled."""
    sizes = input_layer_size, hidden_layer_size, num_labels = 3, 5, 3
    m = 5
    Theta1 = debugInitializeWeights(hidden_layer_size, input_layer_size)
    Theta2 = debugInitializeWeights(num_labels, hidden_layer_size)
    X = debugInitializeWeights(m, input_layer_size - 1)
    y = 1 + np.arange(1, m + 1) % num_labels

    def J_of(nn_params: Array) -> float:
        return nnCostFunction(*roll(nn_params, *sizes), X, y, lambda_)[0]

    numgrad = numerical_gradient(J_of, unroll(Theta1, Theta2), eps=1e-4)
    _, found = nnCostFunction(Theta1, Theta2, X, y, lambda_)
    _, D1, D2 = autodiff(Theta1, Theta2, X, y, lambda_)
    return numgrad, unroll(found["D1"], found["D2"]), unroll(D1, D2)


def relative_difference(numgrad: Array, grad: Array) -> float:
    """Return the one number by which the course judges a gradient."""
    return float(np.linalg.norm(numgrad - grad) / np.linalg.norm(numgrad + grad))


def worked_example() -> tuple[Array, Array, Array, Array]:
    """Return Theta1, Theta2, X, y of the worked example: 2 inputs, 2 hidden units, 4 labels."""
    Theta1, Theta2 = roll(np.arange(1, 19) / 10, 2, 2, 4)
    return Theta1, Theta2, np.cos([[1, 2], [3, 4], [5, 6]]), np.array([4, 2, 3])


def check_small_networks() -> None:
    """Print the course's gradient check and the worked example."""
    print("checkNNGradients: a network of 3, 5 and 3 units, lambda = 0\n")
    numgrad, grad, by_autodiff = checkNNGradients(lambda_=0)
    print("     numerical       by hand      autodiff")
    for row in zip(numgrad, grad, by_autodiff, strict=True):
        print("".join(f"{number:14.10f}" for number in row))
    print(
        "\nThe columns should be very similar, relative difference below 1e-9. The course has "
        "\n2.17954e-11 and 2.08561e-11, which is rounding and differs from machine to machine."
    )
    for lambda_ in (0, 3):
        numgrad, grad, by_autodiff = checkNNGradients(lambda_)
        print(
            f"  lambda = {lambda_}   numerical, by hand {relative_difference(numgrad, grad):.5e}   "
            f"autodiff, by hand {relative_difference(by_autodiff, grad):.1e}"
        )

    Theta1, Theta2, X, y = worked_example()
    J, found = nnCostFunction(Theta1, Theta2, X, y, lambda_=4)
    print(
        "\nThe worked example: 2 inputs, 2 hidden units, 4 labels, 3 examples, lambda = 4."
        f"\nJ is published as 7.4070 for lambda = 0 and 19.474 for lambda = 4; here "
        f"{nnCostFunction(Theta1, Theta2, X, y, lambda_=0)[0]:.4f} and {J:.3f}.\n"
    )
    for name in ("a2", "h", "delta3", "delta2", "Delta1", "Delta2", "D1", "D2"):
        print(name, np.array2string(found[name], precision=5, suppress_small=True), sep="\n")
    print()


# ---- data ----------------------------------------------------------------------------------------

WHERE_FROM = """\
The course's files, ex4data1 (.npz or .mat) and ex4weights.mat, belong to exercise 4 of Stanford's
Machine Learning course (Coursera). They may not be redistributed: take them from your copy of the
exercise, and give their folder by --data FOLDER or in $AUTOGRAD_MINI_DATA."""


def arrays_in(path: Path) -> dict[str, Array]:
    """Return the arrays of a .npz or .mat file by name."""
    if path.suffix == ".npz":
        load: Any = np.load  # never with pickles
    else:
        try:
            from scipy.io import loadmat
        except ImportError:
            raise SystemExit(f"{path} needs scipy: pip install 'autograd-mini[examples]'") from None
        load = loadmat
    try:
        return dict(load(path))
    except Exception as error:  # a damaged file makes the readers raise nearly anything
        raise SystemExit(f"{path} cannot be read: {error}") from error


def course_files(folder: Path) -> tuple[Array, Array, Array, Array] | None:
    """Return X, y, Theta1, Theta2 of the exercise, or None where they are not in the folder."""
    data = [path for path in (folder / "ex4data1.npz", folder / "ex4data1.mat") if path.is_file()]
    weights = folder / "ex4weights.mat"
    if not data or not weights.is_file():
        return None
    found = arrays_in(data[0]) | arrays_in(weights)
    shapes = {"X": (5000, 400), "y": (5000, 1), "Theta1": (25, 401), "Theta2": (10, 26)}
    for name, shape in shapes.items():
        if name not in found or found[name].shape != shape or not np.all(np.isfinite(found[name])):
            raise SystemExit(f"{folder}: {name} must be an array of {shape} finite numbers")
    X, y = found["X"].astype(np.float64), found["y"].ravel().astype(np.int64)
    if not np.array_equal(np.unique(y), np.arange(1, 11)):
        raise SystemExit(f"{folder}: the labels y must be 1 to 10, and here are {np.unique(y)}")
    return X, y, found["Theta1"], found["Theta2"]


def shipped_digits(rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Return the 8x8 digits as the course would have them: X_train, X_test, y_train, y_test."""
    images, labels = digits()
    X = images.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64) / 16  # column by column
    y = np.where(labels == 0, 10, labels)
    return train_test_split(X, y, rng=rng)


# ---- training ------------------------------------------------------------------------------------


def check_by_sample(
    Theta1: Array, Theta2: Array, X: Array, y: Array, lambda_: float, rng: np.random.Generator
) -> None:
    """Print the gradient three ways at some entries, and how long all of them would take."""
    _, found = nnCostFunction(Theta1, Theta2, X, y, lambda_)
    _, D1, D2 = autodiff(Theta1, Theta2, X, y, lambda_)
    by_hand, exact, numerical = {}, {}, {}
    sample = {"D1": rng.permutation(Theta1.size)[:12], "D2": rng.permutation(Theta2.size)[:12]}
    started = time.perf_counter()
    for name, D, Theta in (("D1", D1, Theta1), ("D2", D2, Theta2)):
        here = np.unravel_index(sample[name], Theta.shape)

        def J_of(entries: Array, Theta: Array = Theta, here: Any = here) -> Value:
            changed = Theta.copy()
            changed[here] = entries
            Thetas = (changed, Theta2) if Theta is Theta1 else (Theta1, changed)
            *_, h = feedForward(*Thetas, X)
            return costJ(h, rows_of_identity(y, len(Theta2)), *Thetas, lambda_)

        by_hand[name], exact[name] = found[name][here], D[here]
        numerical[name] = numerical_gradient(J_of, Theta[here])
    seconds = (time.perf_counter() - started) / 24
    three_ways(by_hand, exact, numerical)

    started = time.perf_counter()
    autodiff(Theta1, Theta2, X, y, lambda_)
    milliseconds = 1000 * (time.perf_counter() - started)
    entries = Theta1.size + Theta2.size
    print(
        f"\nNumerically, all {entries:,} entries would take {seconds * entries:.0f} s, by autodiff "
        f"{milliseconds:.0f} ms.\nSo the check is switched off for training.\n"
    )


def train(
    Theta1: Value, Theta2: Value, X: Array, y: Array, lambda_: float, method: str, iterations: int
) -> tuple[Array, Array, list[float]]:
    """Return trained Thetas, and J at the start and after each iteration."""
    Theta1 = ag.Tensor(Theta1.copy(), requires_grad=True)  # a Tensor shares the memory it is given
    Theta2 = ag.Tensor(Theta2.copy(), requires_grad=True)
    Y = rows_of_identity(y, len(Theta2))

    def cost() -> Value:
        *_, h = feedForward(Theta1, Theta2, X)
        return costJ(h, Y, Theta1, Theta2, lambda_)

    result = optim.minimize(
        cost, [Theta1, Theta2], method=method, maxiter=iterations, progress=True
    )
    return Theta1.data, Theta2.data, result.history


# ---- the picture ---------------------------------------------------------------------------------


def as_images(X: Array) -> Array:
    """Return rows as square images: the course unrolls column by column, hence the transpose."""
    side = round(X.shape[1] ** 0.5)
    return X.reshape(-1, side, side).transpose(0, 2, 1)


def draw(
    Theta1: Array, X: Array, predicted: Array, y: Array, shown: str, curves: dict[str, list[float]]
) -> Figure:
    """Return the figure: hidden units, misclassified digits, cost."""
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    [[left, middle, right]] = figure.subfigures(1, 3, squeeze=False, wspace=0.06)

    left.suptitle("L-BFGS-B: weights of the\nhidden units (red +, blue -)", fontsize=11)
    for axes, image in zip(left.subplots(5, 5).flat, as_images(Theta1[:, 1:]), strict=True):
        largest = np.max(np.abs(image))
        axes.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
        axes.set_axis_off()

    wrong = np.flatnonzero(predicted != y)
    middle.suptitle(
        f"L-BFGS-B: {len(wrong)} of {len(y):,} {shown}\nare wrong: predicted (true)", fontsize=11
    )
    chosen = wrong[:: max(1, math.ceil(len(wrong) / 20))]  # at most 20, from all over
    columns = math.ceil(math.sqrt(len(chosen)))
    for place, row in enumerate(chosen, start=1):
        axes = middle.add_subplot(math.ceil(len(chosen) / columns), columns, place)
        axes.imshow(as_images(X[[row]])[0], cmap="gray_r")
        axes.set_title(f"{predicted[row] % 10} ({y[row] % 10})", fontsize=10)
        axes.set_axis_off()

    right.suptitle("Both: cost while training\n", fontsize=11)
    axes = right.subplots()
    for (method, costs), color in zip(curves.items(), (BLUE, RED), strict=True):
        axes.plot(costs, color=color, label=method)
    axes.set(xlabel="iteration", ylabel="J", yscale="log", xlim=(0, None))
    axes.minorticks_off()
    axes.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    axes.grid()
    axes.legend()
    return figure


# ---- the whole -----------------------------------------------------------------------------------


def main() -> None:
    """Run the exercise from its check to its picture."""
    options = parser(__doc__)
    options.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where ex4data1 and ex4weights.mat are"
    )
    arguments = options.parse_args()
    need("scipy", "tqdm")  # optim.minimize is SciPy's; tqdm shows how far it is
    rng = np.random.default_rng(0)
    lambda_, iterations = 1, 20 if arguments.short else 50

    check_small_networks()

    folder = arguments.data or os.environ.get("AUTOGRAD_MINI_DATA")
    files = course_files(Path(folder)) if folder else None
    if files:
        X, y, Theta1, Theta2 = files
        shown, X_shown, y_shown = "training images", X, y
        print("5,000 digits of 20x20 pixels. At the weights that the exercise gives:")
        for given, published in ((0, "0.287629"), (1, "0.383770"), (3, "0.576051")):
            J, _ = nnCostFunction(Theta1, Theta2, X, y, given)
            J_autodiff, *_ = autodiff(Theta1, Theta2, X, y, given)
            print(f"  lambda = {given}   J published {published}, by hand {J:.6f}, "
                  f"by autodiff {J_autodiff:.6f}")  # fmt: skip
        accuracy = np.mean(predict(Theta1, Theta2, X) == y)
        print(f"  accuracy published 97.52%, here {accuracy:.2%}\n")
    elif arguments.data:
        raise SystemExit(f"{folder} has no ex4data1.npz or .mat with ex4weights.mat. {WHERE_FROM}")
    else:
        X, X_shown, y, y_shown = shipped_digits(rng)
        shown = "held-out images"
        print(f"{WHERE_FROM}\n\nSo here are {len(y):,} digits of 8x8 pixels to train on, and "
              f"{len(y_shown)} held out, from the package.\n")  # fmt: skip

    initial = randInitializeWeights(X.shape[1], 25, rng), randInitializeWeights(25, 10, rng)
    print(f"Random weights, lambda = {lambda_}. 12 entries of each gradient, three ways:\n")
    check_by_sample(*initial, X, y, lambda_, rng)

    curves = {}
    for method in ("CG", "L-BFGS-B"):
        started = time.perf_counter()
        Theta1, Theta2, curves[method] = train(*initial, X, y, lambda_, method, iterations)
        seconds = time.perf_counter() - started
        first, *_, last = curves[method]
        accuracy = np.mean(predict(Theta1, Theta2, X) == y)
        print(f"{method}: {iterations} iterations in {seconds:.1f} s, J {first:.4f} to {last:.4f}")
        print(f"  accuracy {accuracy:.2%} of the training images")
        if not files:
            accuracy = np.mean(predict(Theta1, Theta2, X_shown) == y_shown)
            print(f"  accuracy {accuracy:.2%} of the held-out images")

    figure = draw(Theta1, X_shown, predict(Theta1, Theta2, X_shown), y_shown, shown, curves)
    save(figure, "10_week5_digits", arguments.out)


if __name__ == "__main__":
    main()
