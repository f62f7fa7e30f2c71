"""The main job, end to end: train a network, get its gradients three ways, find a slip in them.

The network is the lecture's: one hidden layer, examples in columns, gradient descent on all
training examples at once, here real handwritten digits. Sizes are n0 inputs, n1 hidden units, n2
outputs and m examples.
"""

import sys
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from tqdm import tqdm

import autograd_mini as ag
from autograd_mini.check import numerical_gradient
from autograd_mini.data import digits, one_hot, train_test_split
from autograd_mini.files import write_whole

HIDDEN_UNITS = 32
LEARNING_RATE = 0.5

Array = NDArray[np.float64]
Gradients = dict[str, Array]
Parameters = tuple[ag.Tensor, ag.Tensor, ag.Tensor, ag.Tensor]


class Examples(NamedTuple):
    """Images and what they show: ``X (n0, m)``, one column each; ``Y (n2, m)`` is one-hot."""

    X: Array
    Y: Array

    @classmethod
    def of(cls, images: NDArray[Any], labels: NDArray[Any]) -> "Examples":
        """Put examples into columns and scale their pixels to 0..1."""
        return cls(images.T / 16, one_hot(labels, 10).T)


class Curve(NamedTuple):
    """What was measured before each step of training."""

    cost: list[float]
    accuracy: list[float]
    held_out_accuracy: list[float]


class Step(NamedTuple):
    """One step as the engine recorded it."""

    J: ag.Tensor
    names: dict[str, Any]  # every variable of the step
    run: ag.Trace
    gradients: Gradients


# ---- the network ---------------------------------------------------------------------------------


def initial_parameters(n0: int, n1: int, n2: int, rng: np.random.Generator) -> Parameters:
    """Return small random weights and zero biases: W1, b1, W2, b2."""
    return (
        ag.Tensor(0.01 * rng.standard_normal((n1, n0)), requires_grad=True, name="W1"),
        ag.Tensor(np.zeros((n1, 1)), requires_grad=True, name="b1"),
        ag.Tensor(0.01 * rng.standard_normal((n2, n1)), requires_grad=True, name="W2"),
        ag.Tensor(np.zeros((n2, 1)), requires_grad=True, name="b2"),
    )


def forward(X: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> tuple[Any, Any, Any, Any]:
    """Return Z1, A1, Z2, A2: Tensors where a parameter is one, else ndarrays."""
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = ag.softmax(Z2, axis=0)
    return Z1, A1, Z2, A2


def cost(A2: Any, Y: Any) -> tuple[Any, Any]:
    """Return the cross-entropy L of each example, shape (1, m), and their mean J."""
    m = Y.shape[1]
    L = -np.sum(Y * np.log(A2), axis=0, keepdims=True)
    J = np.sum(L) / m
    return L, J


def accuracy(A2: Array, Y: Array) -> float:
    """Return the fraction of examples whose largest output is the right one."""
    return float(np.mean(A2.argmax(axis=0) == Y.argmax(axis=0)))


def arrays(parameters: Parameters) -> list[Array]:
    """Return the arrays of the parameters, which share their memory."""
    return [parameter.data for parameter in parameters]


def measure(parameters: Parameters, examples: Examples) -> float:
    """Return the accuracy on examples."""
    *_, A2 = forward(examples.X, *arrays(parameters))
    return accuracy(A2, examples.Y)


def progress_bar(*args: Any, **options: Any) -> Any:
    """A bar of tqdm, which leaves a half-made one behind where stdout is broken already."""
    sys.stdout.flush()
    return tqdm(*args, **options)


def train(
    parameters: Parameters, training: Examples, held_out: Examples, steps: int, kept_step: int
) -> tuple[Curve, list[Array]]:
    """Train in place by gradient descent; return the curve and the parameters before one step."""
    X, Y = training
    W1, b1, W2, b2 = parameters
    curve = Curve([], [], [])
    kept: list[Array] = []
    progress = progress_bar(range(steps), desc="training", unit="step")
    for step in progress:
        if step == kept_step:
            kept = [array.copy() for array in arrays(parameters)]
        *_, A2 = forward(X, W1, b1, W2, b2)
        _, J = cost(A2, Y)
        dW1, db1, dW2, db2 = ag.gradients(J, parameters)

        curve.cost.append(float(J))
        curve.accuracy.append(accuracy(A2.data, Y))
        curve.held_out_accuracy.append(measure(parameters, held_out))
        progress.set_postfix(cost=f"{float(J):.4f}", refresh=False)

        with ag.no_grad():
            W1 -= LEARNING_RATE * dW1
            b1 -= LEARNING_RATE * db1
            W2 -= LEARNING_RATE * dW2
            b2 -= LEARNING_RATE * db2
    return curve, kept


# ---- the gradients of one step, three ways -------------------------------------------------------


def hand_derived_gradients(examples: Examples, at: list[Array], slip: bool = False) -> Gradients:
    """Return the gradients by the lecture's six equations, in plain NumPy.

    As in the lecture, dZ1 and dZ2 are without the 1/m of the cost: m times the derivative of J.
    With a slip, the derivative of tanh has Z1 where A1 belongs.
    """
    X, Y = examples
    W1, b1, W2, b2 = at
    m = X.shape[1]

    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    E = np.exp(Z2 - np.max(Z2, axis=0, keepdims=True))
    A2 = E / np.sum(E, axis=0, keepdims=True)

    dZ2 = A2 - Y
    dW2 = (1 / m) * dZ2 @ A1.T
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    if slip:
        dZ1 = W2.T @ dZ2 * (1 - Z1**2)
    dW1 = (1 / m) * dZ1 @ X.T
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    return {"dZ2": dZ2, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dW1": dW1, "db1": db1}


def recorded_step(examples: Examples, at: list[Array]) -> Step:
    """Return the same gradients by going backward through the graph, and all that was recorded."""
    X, Y = (ag.Tensor(array) for array in examples)
    W1, b1, W2, b2 = (ag.Tensor(array, requires_grad=True) for array in at)
    m = X.shape[1]
    with ag.trace() as run:
        Z1, A1, Z2, A2 = forward(X, W1, b1, W2, b2)
        L, J = cost(A2, Y)
        dZ2, dW2, db2, dZ1, dW1, db1 = ag.gradients(J, [Z2, W2, b2, Z1, W1, b1])
    names = {**locals()}
    run.name(names)
    gradients = {
        "dZ2": m * dZ2.data,
        "dW2": dW2.data,
        "db2": db2.data,
        "dZ1": m * dZ1.data,
        "dW1": dW1.data,
        "db1": db1.data,
    }
    return Step(J, names, run, gradients)


def numerical_gradients(examples: Examples, at: list[Array]) -> Gradients:
    """Return the gradients by every parameter by central differences of J."""
    X, Y = examples
    parameters = dict(zip(("W1", "b1", "W2", "b2"), at, strict=True))
    evaluations = 2 * sum(array.size for array in at)
    gradients = {}
    with progress_bar(total=evaluations, desc="differences", unit="J") as progress:

        def cost_with(name: str, array: Array) -> float:
            progress.update()
            *_, A2 = forward(X, **{**parameters, name: array})
            _, J = cost(A2, Y)
            return float(J)

        for name, array in parameters.items():
            gradients[f"d{name}"] = numerical_gradient(partial(cost_with, name), array)
    return gradients


def side_by_side(hand: Gradients, autodiff: Gradients, numerical: Gradients) -> str:
    """Return the first numbers of dW2, all digits, in three columns."""
    lines = [f"{'':11}{'by hand':>23}{'autodiff':>24}{'numerical':>24}"]
    for column in range(4):
        numbers = (each["dW2"][0, column] for each in (hand, autodiff, numerical))
        lines.append(f"dW2[0, {column}]  " + " ".join(f"{number:>23.15e}" for number in numbers))
    return "\n".join(lines)


def largest_difference(hand: Gradients, numerical: Gradients) -> float:
    """Return how far the gradients by hand are from the numerical ones at most.

    The unit is the largest number in the gradient by the same parameter.
    """
    return max(
        float(np.max(np.abs(hand[name] - numerical[name])) / np.max(np.abs(hand[name])))
        for name in numerical
    )


# ---- pictures ------------------------------------------------------------------------------------


def draw_curve(curve: Curve, kept_step: int, path: Path) -> None:
    """Write cost and accuracy during training as an SVG picture."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(curve.cost, color="#0072b2")
    left.set(ylabel="cost J on the training images", ylim=(0, None))
    kept = (kept_step, curve.cost[kept_step])
    left.plot(*kept, "o", color="#0072b2")
    left.annotate("where the gradients are compared", kept, (8, 4), textcoords="offset points")
    right.plot(curve.accuracy, color="#0072b2", label="training images")
    right.plot(curve.held_out_accuracy, color="#d55e00", label="held-out images")
    right.set(ylabel="accuracy", ylim=(0, 1))
    right.yaxis.set_major_formatter(PercentFormatter(1))
    right.legend(loc="lower right", frameon=False)
    for axes in (left, right):
        axes.set(xlabel="step of gradient descent", xlim=(0, len(curve.cost)))
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    with rc_context({"svg.hashsalt": "autograd_mini"}), BytesIO() as picture:
        figure.savefig(picture, format="svg", metadata={"Date": None})
        write_whole(path, picture.getvalue())


def written(text: str, path: Path) -> Path:
    """Write a text to a file, and return where it is."""
    return write_whole(path, f"{text.rstrip()}\n".encode())


def show_work(run: ag.Trace, wrong: Gradients, folder: Path) -> None:
    """Write the graph, the chain rule and the page that steps through it; print where they are."""
    picture = ag.draw(run)
    derivation = ag.explain(run, simplify=True)
    program = ag.source(run, simplify=True)
    print(
        f"computation graph: {picture.save(folder / 'graph.svg')}"
        f"\n   as DOT:         {picture.save(folder / 'graph.gv')}"
        f"\nthe chain rule:    {written(f'{derivation}', folder / 'derivation.txt')}"
        f"\n   in LaTeX:       {written(derivation.latex, folder / 'derivation.tex')}"
        f"\n   as NumPy:       {written(program, folder / 'derivation.py')}"
        f"\nstep through it:   {ag.explore(run, wrong, folder / 'backprop.html')}"
    )


# ---- the whole -----------------------------------------------------------------------------------


def demo(folder: Path, steps: int, seed: int) -> None:
    """Run it all, print what comes out, and write pictures and page into a folder that exists."""
    rng = np.random.default_rng(seed)
    images, held_out_images, labels, held_out_labels = train_test_split(*digits(), rng=rng)
    training = Examples.of(images, labels)
    held_out = Examples.of(held_out_images, held_out_labels)
    (n0, m), n2 = training.X.shape, len(training.Y)
    parameters = initial_parameters(n0, HIDDEN_UNITS, n2, rng)
    print(
        f"Handwritten digits of 8x8 pixels: {m:,} to train on, {len(held_out_images):,} held out."
        f"\nNetwork: {n0} inputs, {HIDDEN_UNITS} tanh units, {n2} softmax outputs."
        f"\nGradient descent: {steps:,} steps at rate {LEARNING_RATE}, seed {seed}.\n"
    )
    kept_step = steps // 10  # the cost still falls fast there, and gradients are worth a look
    curve, kept = train(parameters, training, held_out, steps, kept_step)
    print(
        f"cost J: {curve.cost[0]:.4f} before training, {curve.cost[-1]:.4f} before the last step"
        f"\naccuracy: {measure(parameters, training):.1%} of the training images, "
        f"{measure(parameters, held_out):.1%} of the held-out images\n"
    )

    hand = hand_derived_gradients(training, kept)
    step = recorded_step(training, kept)
    numerical = numerical_gradients(training, kept)
    print(
        f"The gradients of J at step {kept_step:,}, where J is {curve.cost[kept_step]:.4f}, three "
        f"ways. The first numbers of dW2:\n\n{side_by_side(hand, step.gradients, numerical)}\n\n"
        f"Of all {sum(array.size for array in kept):,} parameters, by hand and numerical differ by "
        f"at most {largest_difference(hand, numerical):.1e} of the\nlargest number. Central "
        "differences cannot do much better than 1e-9; rounding alone makes 1e-16.\n"
    )

    wrong = hand_derived_gradients(training, kept, slip=True)
    show_work(step.run, wrong, folder)
    draw_curve(curve, kept_step, folder / "learning_curve.svg")
    print(f"learning curve:    {folder / 'learning_curve.svg'}\n")

    print(
        "Are the gradients by hand right? ag.compare holds each against autodiff. As in the\n"
        "lecture, dZ1 and dZ2 are m times the derivative of J, which is a convention and no "
        f"mistake.\n\n{ag.compare(step.J, hand, step.names)}\n\n"
        "Now with a slip in one line of the derivation, on which the lines after it build:\n\n"
        "    dZ1 = W2.T @ dZ2 * (1 - Z1**2)\n\n"
        f"{ag.compare(step.J, wrong, step.names)}\n\n"
        f"{folder / 'backprop.html'} opens at that line."
    )
