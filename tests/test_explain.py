"""The chain rule written out: right for any run, and for the courses' systems as they teach it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hostile import NAMES
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.explain import explain
from autograd_mini.explain.explanation import Explanation, text_of
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


def run_lines(explanation: Explanation, other: Any = None) -> dict[str, Array]:
    """What the lines give when they are run: as code, or where that has no word for it by names.

    Numbers in ``other`` stand in the place of those of the run.
    """
    identifiers = explanation.identifiers
    names: dict[str, Any] = dict(explanation.constants)
    names |= {name: value.array for name, value in explanation.quantities.items()} | (other or {})
    for line, code in zip(explanation.lines, explanation.python, strict=True):
        if any(op in code for op in UNNAMED):
            names[line.name] = evaluated(line.symbol, names)
        else:
            code_names = {identifiers[name]: x for name, x in names.items()}
            exec(code, {"np": np, "ag": ag}, code_names)
            names[line.name] = code_names[identifiers[line.name]]
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
        ("labels", "softmax(Z) - onehot(y)"),
        ("one-hot", "softmax(Z) - T"),
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


def run_of(program: Any, seed: int = 3) -> ag.Trace | None:
    """The run of a program; None if its numbers explode."""
    steps, reduction, nice = program
    nice = nice and seed == 3
    values = tensors((3, 3), (3, 3), seed=seed)
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


@given(programs())
@settings(max_examples=150, deadline=None)
def test_what_is_proved_at_one_point_holds_at_another(program: Any) -> None:
    here, there = run_of(program), run_of(program, seed=4)
    if here is None or there is None:
        return
    explanation = explain(here, simplify=True)
    _, wanted = there.differentiated()
    found = run_lines(explanation, {x.name: x.array for x in wanted})
    for value in wanted:
        assert value.gradient is not None
        truth = value.gradient.array
        largest = max(1.0, float(np.max(np.abs(truth))))
        np.testing.assert_allclose(
            np.broadcast_to(found[f"d{value.name}"], (3, 3)), truth, rtol=1e-9, atol=1e-9 * largest
        )


def test_a_form_that_holds_by_coincidence_only_is_not_shown() -> None:
    w = ag.Tensor(np.full((1, 4), 0.5), requires_grad=True)
    c, d = np.full((1, 4), 1.0), np.full((1, 4), 0.25)
    with ag.trace() as run:
        v = w * c
        q = w * w  # where w is 0.5, the gradient 3 v^2 of the sum of v^3 is 3 q
        J = np.sum(v * v * v) + np.sum(q * d)
    run.name(locals())
    explanation = assert_lines_are_right(run, ["v"], simplify=True)
    assert not explanation.steps
    assert "q" not in formulas(explanation)[0]


def test_without_a_second_point_nothing_is_guessed() -> None:
    run = columns()
    run["A2"].call.run = lambda x: x  # type: ignore[union-attr, method-assign]
    explanation = assert_lines_are_right(run, simplify=True)
    assert not explanation.steps
    assert "dZ2 = dA2 (.) A2 (.) (1 - A2)" in formulas(explanation)


# ---- what is asked for --------------------------------------------------------------------------


def test_only_the_lines_that_are_needed_appear() -> None:
    explanation = explain(columns(), ["W2"], simplify=True)
    assert formulas(explanation) == ["dZ2 = A2 - Y", "dW2 = (1 / m) dZ2 A1^T"]
    assert [line.name for line in explanation.lines][:5] == ["Z1", "A1", "Z2", "A2", "J"]


def test_a_gradient_that_is_asked_for_is_the_gradient_itself() -> None:
    explanation = assert_lines_are_right(columns(), ["Z2", "W1"], simplify=True)
    assert formulas(explanation)[0] == "dZ2 = (1 / m) (A2 - Y)"


def test_strangers_are_refused() -> None:
    with pytest.raises(KeyError, match="W7"):
        explain(columns(), ["W7"])
    with pytest.raises(ValueError, match="nothing to differentiate"):
        explain(ag.trace(lambda: None))


def test_a_value_used_twice_gets_the_sum_of_its_shares() -> None:
    (a,) = tensors((2, 2))
    with ag.trace() as run:
        J = np.sum(a * a)
    assert formulas(assert_lines_are_right(run.name(locals()))) == ["da = a + a"]
    assert formulas(assert_lines_are_right(run, simplify=True)) == ["da = 2 a"]


def test_weights_that_are_shared_get_the_sum_of_their_shares() -> None:
    W, x = tensors((3, 3), (3, 1))
    with ag.trace() as run:
        h1 = np.tanh(W @ x)
        h2 = np.tanh(W @ h1)
        J = np.sum(h2)
    text = formulas(assert_lines_are_right(run.name(locals()), ["W"]))
    assert text[-1].count(" + ") == 1


def test_two_costs_of_one_run_are_told_apart() -> None:
    w, v = tensors((2,), (2,))
    with ag.trace() as run:
        first = np.sum(w * v)
        second = np.sum(np.tanh(w))
        first.backward()
        second.backward()
    run.name(locals())
    assert_lines_are_right(run, ["w"])
    assert run.cost is run["second"]


def test_names_that_occur_twice_and_values_without_a_name_are_told_apart() -> None:
    a, b = (ag.Tensor([x], requires_grad=True, name="w") for x in (0.3, 0.7))
    with ag.trace() as run:
        np.sum(np.tanh(a * b) * np.array([2.5]))
    explanation = assert_lines_are_right(run)
    assert {"w", "w_2", "J"} <= {*explanation.identifiers}


def test_numbers_stand_behind_the_formulas() -> None:
    text = str(explain(neuron(), numbers=True, simplify=True))
    assert "\n    = 0.8 * 1.5 + 0.5 * (-2) + (-0.6)\n    = -0.4\n" in text
    assert "\n      = 0.4013 - 1\n      = -0.5987\n" in text
    large = str(explain(columns(), numbers=True))
    assert "= (4 x 5, norm " in large
    assert r"\begin{pmatrix}" in explain(columns(), numbers=True).latex


def test_a_notebook_gets_latex_and_text() -> None:
    explanation = explain(columns(), simplify=True)
    bundle = explanation._repr_mimebundle_()
    assert bundle["text/plain"] == str(explanation)
    assert explanation.latex in bundle["text/latex"] == explanation._repr_latex_()
    assert explanation.latex.startswith("\\begin{aligned}\n")
    assert r"dZ_2 &= A_2 - Y && 1 \times 5 \\" in explanation.latex


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("simplify", [False, True])
def test_hostile_names_are_only_shown(name: str, simplify: bool) -> None:
    w = ag.Tensor(np.ones((2, 2)), requires_grad=True)
    with ag.trace() as run:
        J = np.sum(np.tanh(w @ w))
    run.name({name: w, "J": J})
    explanation = explain(run, simplify=simplify, numbers=True)
    text, latex = str(explanation), explanation.latex
    assert all(character.isprintable() or character == "\n" for character in text)
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    assert r"\input" not in latex.replace(r"\textbackslash{}input", "")
    assert len(text) < 5000
    for line in explanation.python:
        compile(line, "line", "exec")


def test_a_function_is_not_recognised_by_the_signs_that_the_numbers_happen_to_have() -> None:
    w = ag.Tensor(np.full((2, 2), 0.5), requires_grad=True)
    with ag.trace() as run:
        minus = -w
        u = -minus  # relu(w) where w is positive
        v = np.abs(w)
        J = np.sum(np.tanh(u) * v)
    text = str(assert_lines_are_right(run.name(locals()), simplify=True))
    assert "relu" not in text
    assert "sgn" in text or "sign(w)" in text


def test_float32_is_explained_like_float64() -> None:
    W = ag.Tensor(data(1, 3), requires_grad=True, dtype=np.float32)
    X, Y = data(3, 4).astype(np.float32), np.array([[0, 1, 1, 0]], np.float32)
    m = 4
    with ag.trace() as run:
        A = ag.sigmoid(W @ X)
        J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    explanation = explain(run.name(locals()), simplify=True)
    assert formulas(explanation) == ["dW = (1 / m) (A - Y) X^T"]


def test_numbers_that_must_be_positive_do_not_hide_the_signs_of_others() -> None:
    w, v = (ag.Tensor(np.full((2, 2), x), requires_grad=True) for x in (0.5, 2.5))
    q = np.full((2, 2), 3.0)
    with ag.trace() as run:
        u = v * 1.0
        J = np.sum(np.log(w)) + np.sum(np.abs(u) * q)  # du is q where u is positive
    explanation = assert_lines_are_right(run.name(locals()), ["u", "w"], simplify=True)
    assert "du = 3 sgn" in " ".join(formulas(explanation)) or "sign(u)" in str(explanation)
    assert not explanation.steps


def test_two_runs_backward_from_different_costs_are_not_mixed() -> None:
    w, v = tensors((2,), (2,))
    with ag.trace() as run:
        h = np.tanh(w)
        first = np.sum(h * v)
        second = np.sum(h)
        first.backward()
        second.backward()
    assert_lines_are_right(run.name(locals()), ["w", "h"])
