"""The chain rule written out: right for any run, and for the courses' systems as they teach it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.explain import Explanation, explain
from autograd_mini.explain.explanation import text_of
from autograd_mini.symbols import Symbol

Array = Any


def tensors(*shapes: tuple[int, ...], seed: int = 0) -> list[ag.Tensor]:
    """Parameters."""
    rng = np.random.default_rng(seed)
    return [ag.Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def data(*shape: int) -> Array:
    """Numbers that are no parameters."""
    return np.random.default_rng(1).standard_normal(shape)


#: Ops that code has no name for.
UNNAMED = ("ag.scatter", "ag.one_hot", "ag.nn.functional.")


def run_lines(explanation: Explanation) -> dict[str, Array]:
    """What the lines give when they are run: as code, or where that has no word for it by names."""
    names: dict[str, Any] = {"np": np, "ag": ag, **explanation.constants}
    names |= {name: value.array for name, value in explanation.quantities.items()}
    for line, code in zip(explanation.lines, explanation.python, strict=True):
        if any(op in code for op in UNNAMED):
            names[line.name] = evaluated(line.symbol, names)
        else:
            exec(code, names)  # noqa: S102 - our own text
    return names


def evaluated(symbol: Symbol, names: dict[str, Any]) -> Array:
    """A formula, run on what its names stand for."""
    if symbol.primitive is None:
        return symbol.array if symbol.name is None else names[symbol.name]
    operands = [evaluated(x, names) for x in symbol.operands]
    return symbol.primitive.kernel(*map(np.asarray, operands), **symbol.statics)


def assert_lines_are_right(run: ag.Trace, wrt: Any = None, **options: Any) -> Explanation:
    """The lines, run as code, give the values and the gradients of the run."""
    explanation = explain(run, wrt, **options)
    found = run_lines(explanation)
    for line in explanation.lines:
        truth = line.value.array
        if line.phase == "backward":
            assert line.value.gradient is not None
            truth = line.value.gradient.array / line.scale
        tolerance = 1e-12 * max(1.0, float(np.max(np.abs(truth), initial=0)))
        np.testing.assert_allclose(
            np.broadcast_to(found[line.name], truth.shape), truth, rtol=1e-12, atol=tolerance
        )
    _, wanted = run.differentiated(wrt)
    assert {*wanted} <= {line.value for line in explanation.backward if line.scale == 1}
    return explanation


def formulas(explanation: Explanation, phase: str = "backward") -> list[str]:
    """The lines of one phase, as plain text without the shapes."""
    lines = explanation.forward if phase == "forward" else explanation.backward
    return [f"{line.name} = {text_of(line.symbol)}" for line in lines]


# ---- the courses' systems -----------------------------------------------------------------------


def columns(activation: Any = np.tanh, sigmoid: Any = ag.sigmoid, mean: bool = False) -> ag.Trace:
    """One hidden layer, examples in columns."""
    W1, b1, W2, b2 = tensors((4, 3), (4, 1), (1, 4), (1, 1))
    X, Y, m = data(3, 5), np.array([[0.0, 1, 1, 0, 1]]), 5
    with ag.trace() as run:
        Z1 = W1 @ X + b1
        A1 = activation(Z1)
        Z2 = W2 @ A1 + b2
        A2 = sigmoid(Z2)
        losses = Y * np.log(A2) + (1 - Y) * np.log(1 - A2)
        J = -np.mean(losses) if mean else -np.sum(losses) / m
    del losses
    return run.name(locals())


THE_FOUR = ["Z1 = W1 X + b1", "A1 = tanh(Z1)", "Z2 = W2 A1 + b2", "A2 = sigmoid(Z2)"]
THE_SIX = [
    "dZ2 = A2 - Y",
    "db2 = (1 / m) sum(dZ2, axis=1)",
    "dW2 = (1 / m) dZ2 A1^T",
    "dZ1 = (W2^T dZ2) (.) (1 - A1^2)",
    "db1 = (1 / m) sum(dZ1, axis=1)",
    "dW1 = (1 / m) dZ1 X^T",
]


def logistic(z: Array) -> Array:
    """The sigmoid, written out."""
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("sigmoid", [ag.sigmoid, logistic])
def test_one_hidden_layer_gives_the_four_and_the_six_equations(sigmoid: Any, mean: bool) -> None:
    explanation = assert_lines_are_right(columns(sigmoid=sigmoid, mean=mean), simplify=True)
    assert formulas(explanation, "forward")[:4] == THE_FOUR
    assert formulas(explanation) == THE_SIX
    assert "dZ2: sigmoid followed by cross-entropy; differs by" in str(explanation)
    assert "dZ2 and dZ1 are m times the gradients, the 1 / m comes at the end" in str(explanation)


@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        (ag.sigmoid, "A1 (.) (1 - A1)"),
        (logistic, "A1 (.) (1 - A1)"),
        (ag.relu, "(A1 > 0)"),
        (lambda z: np.maximum(z, 0), "(A1 > 0)"),
    ],
)
def test_hidden_layers_have_the_slopes_of_their_activations(activation: Any, slope: str) -> None:
    explanation = assert_lines_are_right(columns(activation), simplify=True)
    assert formulas(explanation)[3] == f"dZ1 = (W2^T dZ2) (.) {slope}"


def test_as_computed_each_simpler_form_stands_behind_with_its_proof() -> None:
    text = str(assert_lines_are_right(columns()))
    assert "dZ2 = dA2 (.) A2 (.) (1 - A2)" in text
    assert "= (1 / m) (A2 - Y) " in text
    assert "sigmoid followed by cross-entropy; differs by" in text
    assert "dZ1 = (W2^T dZ2) (.) (1 - A1^2)" in text


def neuron() -> ag.Trace:
    """The smallest network, one example."""
    w1, w2, b = (ag.Tensor(x, requires_grad=True) for x in (0.8, 0.5, -0.6))
    x1, x2, y = np.array(1.5), np.array(-2.0), np.array(1.0)
    with ag.trace() as run:
        z = w1 * x1 + w2 * x2 + b
        a = logistic(z)
        L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    return run.name(locals())


def test_the_neuron_has_its_three_steps() -> None:
    explanation = assert_lines_are_right(neuron(), ["a", "z", "w1", "w2", "b"], simplify=True)
    assert formulas(explanation) == [
        "da = (1 - y) / (1 - a) - y / a",
        "dz = a - y",
        "db = dz",
        "dw2 = dz x2",
        "dw1 = dz x1",
    ]


def softmax(A: Array) -> Array:
    """Of rows, written out."""
    E = np.exp(A - np.max(A, axis=1, keepdims=True))
    return E / np.sum(E, axis=1, keepdims=True)


def rows(loss: str, function: Any = softmax) -> ag.Trace:
    """Two layers, examples in rows."""
    W1, B1, W2, B2 = tensors((4, 3), (1, 3), (3, 2), (1, 2))
    X0, y, n = data(5, 4), np.array([0, 1, 1, 0, 1]), 5
    t = np.eye(2)[y]
    with ag.trace() as run:
        A1 = X0 @ W1 + B1
        X1 = np.maximum(A1, 0)
        A2 = X1 @ W2 + B2
        if loss == "squared":
            L = np.sum((A2 - t) ** 2) / (2 * n)
        else:
            X2 = function(A2)
            L = -np.sum(t * np.log(X2))
            if loss == "labels":
                L = -np.mean(np.log(X2[np.arange(n), y]))
    hidden = "t" if loss == "labels" else "y"
    return run.name({name: x for name, x in locals().items() if name != hidden})


@pytest.mark.parametrize(
    ("loss", "delta", "constant"),
    [
        ("one-hot", "X2 - t", ""),
        ("labels", "X2 - onehot(y)", "(1 / n) "),
        ("squared", "A2 - t", "(1 / n) "),
    ],
)
@pytest.mark.parametrize("function", [softmax, ag.softmax])
def test_rows_have_delta_and_its_products(
    loss: str, delta: str, constant: str, function: Any
) -> None:
    run = rows(loss, function)
    explanation = assert_lines_are_right(run, simplify=True)
    assert formulas(explanation) == [
        f"dA2 = {delta}",
        f"dB2 = {constant}sum(dA2, axis=0)",
        f"dW2 = {constant}X1^T dA2",
        "dA1 = (dA2 W2^T) (.) (X1 > 0)",
        f"dB1 = {constant}sum(dA1, axis=0)",
        f"dW1 = {constant}X0^T dA1",
    ]
    why = "squared error" if loss == "squared" else "softmax followed by cross-entropy"
    assert f"dA2: {why}; differs by" in str(explanation)


def week5() -> ag.Trace:
    """K sigmoid outputs, regularised."""
    Theta1, Theta2 = tensors((4, 4), (3, 5))
    X, Y = data(3, 6), np.eye(3)[:, [0, 1, 2, 2, 1, 0]]
    m, lambda_ = 6, 0.7
    ones = np.ones((1, m))
    with ag.trace() as run:
        a1 = np.concatenate([ones, X])
        z2 = Theta1 @ a1
        a2 = np.concatenate([ones, ag.sigmoid(z2)])
        z3 = Theta2 @ a2
        h = ag.sigmoid(z3)
        J = -np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m
        J = J + lambda_ / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))
    return run.name(locals())


def test_the_bias_column_is_not_regularised() -> None:
    assert formulas(assert_lines_are_right(week5(), simplify=True)) == [
        "dz3 = h - Y",
        "dTheta2 = (lambda_ / m) [0, Theta2[:, 1:]] + (1 / m) dz3 a2^T",
        "dz2 = (Theta2^T dz3)[1:5] (.) sigmoid(z2) (.) (1 - sigmoid(z2))",
        "dTheta1 = (lambda_ / m) [0, Theta1[:, 1:]] + (1 / m) dz2 a1^T",
    ]


def layers(loss: str) -> ag.Trace:
    """Modules and fused losses."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 3, rng=rng), nn.Tanh(), nn.Linear(3, 2, rng=rng))
    X, y = data(5, 4), np.array([0, 1, 1, 0, 1])
    T = np.eye(2)[y]
    with ag.trace() as run:
        Z = model(X)
        if loss == "labels":
            J = nn.functional.cross_entropy(Z, y)
        elif loss == "one-hot":
            J = nn.functional.cross_entropy(Z, T)
        elif loss == "sigmoid":
            J = nn.functional.binary_cross_entropy_with_logits(Z, T)
        else:
            J = nn.functional.mse_loss(Z, T)
    return run.name(locals())


@pytest.mark.parametrize(
    ("loss", "delta"),
    [
        ("labels", "softmax(Z, axis=1) - onehot(y)"),
        ("one-hot", "softmax(Z, axis=1) - T"),
        ("sigmoid", "sigmoid(Z) - T"),
        ("squared", "2 (Z - T)"),
    ],
)
def test_fused_losses_have_their_famous_derivatives(loss: str, delta: str) -> None:
    assert formulas(assert_lines_are_right(layers(loss), simplify=True))[0] == f"dZ = {delta}"


# ---- right for any run --------------------------------------------------------------------------

UNARY = [np.tanh, ag.sigmoid, np.square, np.negative, np.sin, lambda a: a.T, lambda a: a + 1.0]
UNARY += [lambda a: np.sum(a, axis=0, keepdims=True) + a, lambda a: np.concatenate([a[1:], a[:1]])]
UNARY += [lambda a: a - np.mean(a), lambda a: ag.softmax(a, axis=0), lambda a: np.maximum(a, 0)]
UNARY += [lambda a: 1 / (1 + np.exp(-a)), lambda a: a[np.array([0, 0, 1])]]
BINARY = [np.add, np.subtract, np.multiply, lambda a, b: a @ b, lambda a, b: a / (1 + b**2)]
LABELS = np.array([2, 0, 1])


@st.composite
def programs(draw: Any) -> Any:
    """Steps of a program over 3 x 3 matrices, of which some have names."""
    steps = []
    for known in range(2, 2 + draw(st.integers(1, 8))):
        function = draw(st.integers(0, len(UNARY) + len(BINARY) - 1))
        operands = draw(st.tuples(st.integers(0, known - 1), st.integers(0, known - 1)))
        steps.append((function, operands, draw(st.booleans())))
    return steps, draw(st.sampled_from(["sum", "mean", "class"])), draw(st.booleans())


def run_of(program: Any) -> ag.Trace | None:
    """The run of a program; None if its numbers explode."""
    steps, reduction, nice = program
    values = tensors((3, 3), (3, 3), seed=3)
    if nice:  # numbers among which coincidences abound
        for value, x in zip(values, (0.5, 1.0), strict=True):
            value.data[...] = x
            value.data[0, 0] = 1.0
    names: dict[str, Any] = {"A": values[0], "B": values[1], "m": 3, "alpha": 0.5, "y": LABELS}
    with ag.trace() as run:
        for i, (function, (first, second), has_name) in enumerate(steps):
            if function < len(UNARY):
                value = UNARY[function](values[first])
            else:
                value = BINARY[function - len(UNARY)](values[first], values[second])
            values.append(value)
            names |= {f"V{i}": value} if has_name else {}
        if reduction == "class":
            J = -np.sum(np.log(ag.softmax(values[-1], axis=1)[np.arange(3), LABELS]))
        else:
            J = getattr(np, reduction)(values[-1])
        if not J.requires_grad or not all(np.max(np.abs(value.data)) < 100 for value in values):
            return None
        names["J"] = J
    return run.name(names)


@given(programs())
@settings(max_examples=150, deadline=None)
def test_lines_as_computed_give_the_gradients_of_random_programs(program: Any) -> None:
    if (run := run_of(program)) is not None:
        assert_lines_are_right(run)


@given(programs())
@settings(max_examples=150, deadline=None)
def test_lines_made_simple_give_the_gradients_of_random_programs(program: Any) -> None:
    if (run := run_of(program)) is not None:
        assert_lines_are_right(run, simplify=True)
