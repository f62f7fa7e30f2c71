"""The chain rule written out: right for any run, and for the courses' systems as they teach it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hostile import NAMES
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    data,
    layers,
    logistic,
    neuron,
    one_hidden_layer,
    recorded,
    regularised,
    rows,
    softmax,
    tensors,
)

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.explain import explain
from autograd_mini.explain.explanation import Explanation
from autograd_mini.formulas import Symbol, write

Array = Any


#: Ops that code has no name for.
UNNAMED = ("ag.scatter", "ag.nn.functional.")


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
    return [f"{line.name} = {write(line.symbol, 'text')}" for line in lines]


# ---- the courses' systems -----------------------------------------------------------------------


THE_FOUR = ["Z1 = W1 X + b1", "A1 = tanh(Z1)", "Z2 = W2 A1 + b2", "A2 = sigmoid(Z2)"]
THE_SIX = [
    "dZ2 = A2 - Y",
    "db2 = (1 / m) sum(dZ2, axis=1)",
    "dW2 = (1 / m) dZ2 A1^T",
    "dZ1 = (W2^T dZ2) (.) (1 - A1^2)",
    "db1 = (1 / m) sum(dZ1, axis=1)",
    "dW1 = (1 / m) dZ1 X^T",
]


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("sigmoid", [ag.sigmoid, logistic])
def test_one_hidden_layer_gives_the_four_and_the_six_equations(sigmoid: Any, mean: bool) -> None:
    run = recorded(one_hidden_layer, sigmoid=sigmoid, mean=mean)
    explanation = assert_lines_are_right(run, simplify=True)
    assert formulas(explanation, "forward")[:4] == THE_FOUR
    assert formulas(explanation) == THE_SIX
    assert "dZ2: sigmoid followed by cross-entropy" in str(explanation)
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
    explanation = assert_lines_are_right(recorded(one_hidden_layer, activation), simplify=True)
    assert formulas(explanation)[3] == f"dZ1 = (W2^T dZ2) (.) {slope}"


def test_as_computed_each_simpler_form_stands_behind_with_its_proof() -> None:
    text = str(assert_lines_are_right(recorded(one_hidden_layer)))
    assert "dZ2 = dA2 (.) A2 (.) (1 - A2)" in text
    assert "= (1 / m) (A2 - Y) " in text
    assert "sigmoid followed by cross-entropy" in text
    assert "dZ1 = (W2^T dZ2) (.) (1 - A1^2)" in text


def test_the_neuron_has_its_three_steps() -> None:
    wrt = ["a", "z", "w1", "w2", "b"]
    explanation = assert_lines_are_right(recorded(neuron), wrt, simplify=True)
    assert formulas(explanation) == [
        "da = (1 - y) / (1 - a) - y / a",
        "dz = a - y",
        "db = dz",
        "dw2 = dz x2",
        "dw1 = dz x1",
    ]


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
    run = recorded(rows, loss, function)
    explanation = assert_lines_are_right(run, simplify=True)
    assert formulas(explanation) == [
        f"dA2 = {delta}",
        f"dB2 = {constant}sum(dA2, axis=0)",
        f"dW2 = {constant}X1^T dA2",
        "dA1 = (dA2 W2^T) (.) (X1 > 0)",
        f"dB1 = {constant}sum(dA1, axis=0)",
        f"dW1 = {constant}X0^T dA1",
    ]
    why = "dA2: softmax followed by cross-entropy"
    assert (why in str(explanation)) is (loss != "squared")
    assert ("since each row of t sums to 1" in str(explanation)) is (loss == "one-hot")


def test_the_bias_column_is_not_regularised() -> None:
    assert formulas(assert_lines_are_right(recorded(regularised), simplify=True)) == [
        "dz3 = h - Y",
        "dTheta2 = (lambda_ / m) [zeros(3, 1), Theta2[:, 1:]] + (1 / m) dz3 a2^T",
        "dz2 = (Theta2^T dz3)[1:5] (.) sigmoid(z2) (.) (1 - sigmoid(z2))",
        "dTheta1 = (lambda_ / m) [zeros(4, 1), Theta1[:, 1:]] + (1 / m) dz2 a1^T",
    ]


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
    explanation = assert_lines_are_right(recorded(layers, loss), simplify=True)
    assert formulas(explanation)[0] == f"dZ = {delta}"


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


# ---- what is asked for --------------------------------------------------------------------------


def test_only_the_lines_that_are_needed_appear() -> None:
    explanation = explain(recorded(one_hidden_layer), ["W2"], simplify=True)
    assert formulas(explanation) == ["dZ2 = A2 - Y", "dW2 = (1 / m) dZ2 A1^T"]
    assert [line.name for line in explanation.lines][:5] == ["Z1", "A1", "Z2", "A2", "J"]


def test_a_gradient_that_is_asked_for_is_the_gradient_itself() -> None:
    explanation = assert_lines_are_right(recorded(one_hidden_layer), ["Z2", "W1"], simplify=True)
    assert formulas(explanation)[0] == "dZ2 = (1 / m) (A2 - Y)"


def test_strangers_are_refused() -> None:
    with pytest.raises(KeyError, match="W7"):
        explain(recorded(one_hidden_layer), ["W7"])
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
    text = str(explain(recorded(neuron), numbers=True, simplify=True))
    assert "\n    = 0.8 * 1.5 + 0.5 * (-2) + (-0.6)\n    = -0.4\n" in text
    assert "\n      = 0.4013 - 1\n      = -0.5987\n" in text
    large = str(explain(recorded(one_hidden_layer), numbers=True))
    assert "= (4 x 5, norm " in large
    assert r"\begin{pmatrix}" in explain(recorded(one_hidden_layer), numbers=True).latex


def test_a_notebook_gets_latex_and_text() -> None:
    explanation = explain(recorded(one_hidden_layer), simplify=True)
    bundle = explanation._repr_mimebundle_()
    assert bundle["text/plain"] == str(explanation)
    assert explanation.latex in bundle["text/latex"] == explanation._repr_latex_()
    assert explanation.latex.startswith("\\begin{aligned}\n")
    assert r"dZ_2 &= A_2 - Y && 1 \times 5 \\" in explanation.latex
    assert r"\textbf{backward} \\" in explanation.latex
    assert r"& \text{dZ2: sigmoid followed by cross-entropy}" in explanation.latex


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


# ---- what numbers are called --------------------------------------------------------------------


def test_the_neuron_of_plain_numbers_reads_like_that_of_arrays() -> None:
    w1, w2, b = (ag.Tensor(x, requires_grad=True) for x in (0.8, 0.5, -0.6))
    x1, x2, y = 1.5, -2.0, 1.0
    with ag.trace() as run:
        z = w1 * x1 + w2 * x2 + b
        a = logistic(z)
        J = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    explanation = assert_lines_are_right(run.name(locals()), [a, z, w1, w2, b], simplify=True)
    other = assert_lines_are_right(recorded(neuron), ["a", "z", "w1", "w2", "b"], simplify=True)
    assert formulas(explanation, "forward") == formulas(other, "forward")
    assert formulas(explanation) == formulas(other)
    assert {*explanation.quantities} == {"w1", "w2", "b", "x1", "x2", "y"}


def test_labels_that_are_whole_numbers_are_not_taken_for_others() -> None:
    w1, w2, b = (ag.Tensor(x, requires_grad=True) for x in (0.8, 0.5, -0.6))
    x1, x2, y = np.array(1), np.array(0), np.array(1)
    with ag.trace() as run:
        z = w1 * x1 + w2 * x2 + b
        a = ag.sigmoid(z)
        L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    explanation = assert_lines_are_right(run.name(locals()), [z, w1], simplify=True)
    assert formulas(explanation) == ["dz = a - y", "dw1 = dz x1"]


def test_no_number_gets_a_name_because_another_one_is_equal_to_it() -> None:
    (W,) = tensors((3, 1))
    X, y = data(5, 3), data(5, 1)
    names = {"learning_rate": 0.1, "hidden": 5, "fifth": 0.2, "W": W, "X": X, "y": y}
    with ag.trace() as run:
        J = np.mean((X @ W - y) ** 2) + 0.1 * np.sum(np.abs(W)) + 0.02 * np.sum(W**2)
    run.name(names | {"J": J})
    for simplify in (False, True):
        explanation = assert_lines_are_right(run, simplify=simplify)
        assert not explanation.constants
    assert formulas(explanation) == ["dW = 0.04 W + 0.1 sign(W) + (2 / 5) X^T (X W - y)"]


def test_numbers_that_are_equal_keep_the_names_that_the_program_has_for_them() -> None:
    (W,) = tensors((3, 1))
    X, y = data(5, 3), data(5, 1)
    lam, m = 0.2, 5  # which is 1/m
    with ag.trace() as run:
        J = np.sum((X @ W - y) ** 2) / m + lam * np.sum(W**2)
    explanation = assert_lines_are_right(run.name(locals()), simplify=True)
    assert formulas(explanation) == ["dW = 2 lam W + (2 / m) X^T (X W - y)"]


@pytest.mark.parametrize("kind", [float, np.float64])
def test_constants_are_products_and_quotients_of_what_the_program_names(kind: Any) -> None:
    (W,) = tensors((3, 1))
    lam, beta, m = kind(0.7), 0.9, 5
    with ag.trace() as run:
        J = (1 - beta) * (lam / (2 * m) * np.sum(W**2))
        J += np.multiply(beta, np.sum(W))
    run.name(locals())
    raw, simple = (assert_lines_are_right(run, simplify=x) for x in (False, True))
    assert formulas(raw, "forward") == ["J = (1 - beta) (lam / (2 m)) sum(W^2) + beta sum(W)"]
    assert formulas(simple) == ["dW = beta + ((1 - beta) lam / m) W"]


def test_a_mean_divides_by_the_number_of_examples_and_by_nothing_else_that_is_equal() -> None:
    (W,) = tensors((3, 1))
    X = data(5, 3)
    for names, formula in (
        ({"m": 5}, "sum(X W) / m"),
        ({"k": 5}, "mean(X W)"),
        ({"m": 5, "n": 5}, "mean(X W)"),
    ):
        with ag.trace() as run:
            J = np.mean(X @ W)
        run.name({"X": X, "W": W, "J": J} | names)
        assert formulas(explain(run), "forward") == [f"J = {formula}"]
    for k, formula in ((5, "sum(X W) / 5"), (4, "sum(X W) / 4")):  # as the program has it
        with ag.trace() as run:
            J = np.sum(X @ W) / k
        run.name({"X": X, "W": W, "J": J})
        assert formulas(assert_lines_are_right(run), "forward") == [f"J = {formula}"]
    with ag.trace() as run:
        J = np.sum(np.square(X - np.mean(W * X.T, axis=0)[:, np.newaxis]))
    found = assert_lines_are_right(run.name({"X": X, "W": W, "J": J}), simplify=True)
    assert "mean(W (.) X^T, axis=0)" in str(found)


def test_a_number_whose_line_cannot_be_read_has_no_name() -> None:
    names: dict[str, Any] = {"w": tensors((3,))[0], "np": np, "ag": ag, "lam": 0.3}
    exec("with ag.trace() as run:\n    J = lam * np.sum(w)", names)
    explanation = assert_lines_are_right(names["run"].name(names))
    assert formulas(explanation, "forward") == ["J = 0.3 sum(w)"]


def test_an_operand_over_several_lines_and_behind_strange_characters_is_found() -> None:
    w, λ, m = tensors((3,))[0], 0.3, 4
    with ag.trace() as run:
        J = "äöü" and (
            λ
            / (2 * m)
        ) * np.sum(w)  # fmt: skip
    explanation = assert_lines_are_right(run.name(locals()))
    assert formulas(explanation, "forward") == ["J = (λ / (2 m)) sum(w)"]


# ---- what is proved -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_a_copy_of_the_data_is_not_taken_for_the_data(dtype: Any) -> None:
    (W,) = tensors((3, 3))
    X = (np.arange(12).reshape(3, 4) % 5).astype(dtype)
    Y = X.copy()
    with ag.trace() as run:
        A = W @ X
        J = np.sum((A - Y) ** 2) / 2
    explanation = assert_lines_are_right(run.name(locals()), simplify=True)
    assert formulas(explanation) == ["dA = A - Y", "dW = dA X^T"]


@pytest.mark.parametrize("t", [np.array([0, 1]), np.array([1, 1])])
def test_classes_of_labels_are_along_the_last_axis(t: Array) -> None:
    (W,) = tensors((3, 2))
    X = data(2, 3)

    def cost(Z: Any, t: Array) -> Any:
        return -np.mean(np.log(ag.softmax(Z)[np.arange(2), t]))

    with ag.trace() as run:
        Z = X @ W
        cost(Z, t)
    run.name({"W": W, "X": X, "t": t, "Z": Z})
    line, _ = assert_lines_are_right(run, simplify=True).backward
    assert write(line.symbol, "text") == "softmax(Z) - onehot(t)"
    for labels in (np.array([0, 1]), np.array([1, 1]), np.array([1, 0])):
        found = evaluated(line.symbol, {"Z": Z.data, "t": labels}) / 2
        truth = ag.grad(lambda Z, labels=labels: cost(Z, labels))(Z.data)
        np.testing.assert_allclose(found, truth, atol=1e-15)


def test_a_mask_that_lets_all_through_is_still_there() -> None:
    (w,) = tensors((4,))
    mask = np.ones(4, bool)
    with ag.trace() as run:
        v = np.tanh(w)
        J = np.sum(np.where(mask, v, 0.0) ** 2)
    assert "mask" in formulas(assert_lines_are_right(run.name(locals()), ["v"], simplify=True))[0]


def test_numbers_that_are_positive_anyway_are_no_relu() -> None:
    (x,) = tensors((4,))
    with ag.trace() as run:
        u = np.exp(x)
        J = np.prod(u)
    for simplify in (False, True):
        assert "relu" not in str(assert_lines_are_right(run.name(locals()), simplify=simplify))


# ---- sums, transposes, powers -------------------------------------------------------------------


def test_a_product_with_a_matrix_of_ones_is_a_sum() -> None:
    A, B, b = tensors((3, 4), (4, 2), (1, 2))
    T = data(3, 2)
    with ag.trace() as run:
        J = np.sum(A @ B)
    assert formulas(assert_lines_are_right(run.name(locals()), simplify=True)) == [
        "dA = sum(B^T, axis=0, keepdims=True)",
        "dB = sum(A^T, axis=1, keepdims=True)",
    ]
    with ag.trace() as run:
        J = np.sum(A @ B) ** 2
    assert formulas(assert_lines_are_right(run.name(locals()), simplify=True)) == [
        "dA = 2 sum(A B) sum(B^T, axis=0, keepdims=True)",
        "dB = 2 sum(A B) sum(A^T, axis=1, keepdims=True)",
    ]
    with ag.trace() as run:
        K = A @ B + np.ones((3, 1)) @ b
        L = np.sum((K - T) ** 2)
    assert formulas(assert_lines_are_right(run.name(locals()), ["b"], simplify=True)) == [
        "dK = 2 (K - T)",
        "db = sum(dK, axis=0)",
    ]


def test_what_is_multiplied_by_zero_is_left_out() -> None:
    W, U = tensors((3, 3), (3, 2))
    X = data(2, 4)
    with ag.trace() as run:
        h = np.tanh(W @ np.zeros((3, 4)) + U @ X)
        J = np.sum(np.tanh(W @ h + U @ X))
    run.name({"W": W, "U": U, "X": X, "J": J})
    (line,) = [x for x in assert_lines_are_right(run, simplify=True).backward if x.name == "dW"]
    assert "0" not in write(line.symbol, "text")


def test_what_is_repeated_and_summed_is_counted() -> None:
    b, c = tensors((1, 2), (4, 3))
    with ag.trace() as run:
        J = np.sum(c * np.ones((4, 3))) + np.sum(np.broadcast_to(b * 3.0, (4, 2)))
    explanation = assert_lines_are_right(run.name(locals()), simplify=True)
    assert formulas(explanation) == ["db = 12", "dc = 1"]


def test_examples_in_rows_with_transposed_weights_have_one_transpose() -> None:
    Theta1, Theta2 = tensors((4, 3), (2, 5))
    X, Y, m = data(6, 3), np.eye(2)[[0, 1, 1, 0, 1, 0]], 6
    ones = np.ones((6, 1))
    with ag.trace() as run:
        z2 = X @ Theta1.T
        a2 = np.concatenate([ones, ag.sigmoid(z2)], axis=1)
        z3 = a2 @ Theta2.T
        h = ag.sigmoid(z3)
        J = -np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m
    assert formulas(assert_lines_are_right(run.name(locals()), simplify=True)) == [
        "dz3 = h - Y",
        "dTheta2 = (1 / m) dz3^T a2",
        "dz2 = (dz3 Theta2)[:, 1:5] (.) sigmoid(z2) (.) (1 - sigmoid(z2))",
        "dTheta1 = (1 / m) dz2^T X",
    ]


def test_powers_have_the_derivative_that_everybody_knows() -> None:
    (x,) = tensors((3,))
    with ag.trace() as run:
        J = np.sum(x**3)
    assert formulas(assert_lines_are_right(run.name(locals()), simplify=True)) == ["dx = 3 x^2"]
    assert "= 3 x^2 " in str(explain(run))


def test_a_sum_by_python_begins_with_its_first_term_and_short_numbers_stay_as_they_are() -> None:
    (w,) = tensors((3,))
    with ag.trace() as run:
        J = 0.1 * np.sum(w**2) + sum([np.sum(w), np.sum(np.tanh(w))])
    explanation = assert_lines_are_right(run.name(locals()), simplify=True)
    assert formulas(explanation, "forward") == ["J = 0.1 sum(w^2) + sum(w) + sum(tanh(w))"]
    assert "0.2 w" in formulas(explanation)[0]


def test_a_form_is_named_where_it_is_used_if_it_has_no_line() -> None:
    (W,) = tensors((1, 3))
    X, Y, m = data(3, 4), np.array([[0, 1, 1, 0]]), 4
    with ag.trace() as run:
        A = ag.sigmoid(W @ X)
        J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    explanation = assert_lines_are_right(run.name(locals()), simplify=True)
    assert formulas(explanation) == ["dW = (1 / m) (A - Y) X^T"]
    assert "dW: sigmoid followed by cross-entropy" in str(explanation)


# ---- names of data ------------------------------------------------------------------------------


def test_parts_of_named_arrays_are_called_by_their_names() -> None:
    (W,) = tensors((3, 3))
    x, rows = data(3), data(4, 3, 1)
    with ag.trace() as run:
        h = W @ x
        for k in range(4):
            h = np.tanh(W @ h + rows[k, :, 0])
        J = np.sum(h)
    explanation = assert_lines_are_right(run.name({"W": W, "x": x, "rows": rows, "J": J}))
    assert {*explanation.quantities} == {"W", "x", "rows"}


def test_names_that_were_made_up_are_explained() -> None:
    w, dw = tensors((3,), (3,))
    with ag.trace() as run:
        J = np.sum(w * dw * data(3))
    text = str(explain(run.name({"w": w, "dw": dw, "J": J})))
    assert "c1: data without a name, 3" in text
    assert "dw_2: the gradient by w" in text


# ---- what goes wrong ----------------------------------------------------------------------------


def test_one_thing_needs_no_list() -> None:
    run = recorded(one_hidden_layer)
    assert formulas(explain(run, "W2")) == formulas(explain(run, ["W2"]))
    assert formulas(explain(run, run["W2"])) == formulas(explain(run, ["W2"]))


def test_nothing_to_differentiate_by_is_an_error() -> None:
    with pytest.raises(ValueError, match="wrt is empty"):
        explain(recorded(one_hidden_layer), [])


def test_a_name_of_several_things_is_refused() -> None:
    a, b = (ag.Tensor([x], requires_grad=True, name="w") for x in (0.3, 0.7))
    with ag.trace() as run:
        np.sum(a * b)
    with pytest.raises(KeyError, match="2 arrays are called w"):
        explain(run, "w")
    assert len(explain(run, b).backward) == 1


def test_a_cost_is_as_good_as_its_run() -> None:
    (w,) = tensors((3,))
    x = data(3)
    with ag.trace() as run:
        z = w * x
        J = np.sum(np.tanh(z))
    of_run = str(ag.explain(run.name(locals()), simplify=True))
    assert of_run == str(ag.explain(J, simplify=True))
    assert "dw = dz (.) x" in of_run
    renamed = str(ag.explain(J, names={"v": w, "z": z, "x": x, "L": J}, simplify=True))
    assert "dv = dz (.) x" in renamed
    assert 'gradients"' not in ag.source(J)
    assert "dw =" in ag.source(J, simplify=True)
    assert {"w", "z", "J"} <= {*str(ag.draw(J)).replace("=", " ").split()}
    for function in (ag.explain, ag.source, ag.explore):
        with pytest.raises(TypeError, match="takes a run or a cost, not ndarray"):
            function(x)  # type: ignore[operator]


def test_compare_takes_a_run_like_a_cost() -> None:
    (w,) = tensors((3,))
    with ag.trace() as run:
        z = w * 2.0
        J = np.sum(z**2)
        J.backward()
    hand = {"dw": 8 * w.data, "dz": 2 * z.data}
    assert ag.compare(run, hand)
    assert ag.compare(J, hand)
    assert not ag.compare(run, {"dw": 4 * w.data})


@pytest.mark.parametrize("simplify", [False, True])
def test_no_examples_are_explained_too(simplify: bool) -> None:
    (W,) = tensors((3, 1))
    X = np.zeros((0, 3))
    with ag.trace() as run:
        J = np.sum(X @ W)
    assert_lines_are_right(run.name(locals()), simplify=simplify)


# ---- an update in the middle --------------------------------------------------------------------


@pytest.mark.parametrize("wrt", [None, ["W"]])
def test_two_training_steps_in_one_run_are_refused_because_of_the_update(wrt: Any) -> None:
    W, x = ag.Tensor(np.ones(3), requires_grad=True), np.arange(3.0)
    with ag.trace() as run:
        for _ in range(2):
            loss = np.sum((W * x) ** 2)
            W.grad = None
            loss.backward()
            with ag.no_grad():
                W -= 0.1 * W.grad
    with pytest.raises(ValueError, match=r"W of shape .* was written in place between its uses"):
        ag.explain(run.name({"W": W, "x": x, "loss": loss}), wrt)


# ---- what a reader stumbled over ----------------------------------------------------------------


def gradients(run: ag.Trace, language: str = "text") -> list[str]:
    """The gradients in their simplest form."""
    lines = assert_lines_are_right(run, simplify=True).backward
    return [f"{line.name} = {write(line.symbol, language)}" for line in lines]


def test_a_form_that_reads_like_the_line_is_no_step() -> None:
    W, b = tensors((3, 3), (3,))
    X, y = data(6, 3), np.array([0, 1, 2, 0, 1, 1])
    with ag.trace() as run:
        logits = X @ W + b
        loss = nn.functional.cross_entropy(logits, y)
    explanation = explain(run.name({"W": W, "b": b, "X": X, "y": y, "logits": logits, "J": loss}))
    assert explanation.steps == []
    assert str(explanation).count("softmax(logits) - onehot(y)") == 1


@pytest.mark.parametrize("product", [lambda x, M: x @ M @ x, lambda x, M: x @ (M @ x)])
def test_a_quadratic_form_of_a_vector_has_the_gradient_of_the_lecture(product: Any) -> None:
    (x,) = tensors((3,))
    M = data(3, 3)
    run = ag.trace(lambda: product(x, M)).name({"x": x, "M": M})
    assert gradients(run) in (["dx = M^T x + M x"], ["dx = M x + M^T x"])


def test_a_quadratic_form_of_a_column_has_no_sums_over_one_column() -> None:
    (u,) = tensors((3, 1))
    M = data(3, 3)
    run = ag.trace(lambda: (u.T @ M @ u)[0, 0]).name({"u": u, "M": M})
    assert gradients(run) == ["du = M^T u + M u"]
    assert "sum(" not in str(explain(run))


def test_a_sum_over_examples_beside_zeros_needs_no_index() -> None:
    (beta,) = tensors((3,))
    X = data(5, 2)
    run = ag.trace(lambda: np.sum((X + beta[:2]) ** 2)).name({"X": X, "beta": beta})
    assert gradients(run) == ["dbeta = 2 [sum(X + beta[:2], axis=0), 0]"]
    assert "[0]" not in str(explain(run))
    assert "[0]" not in explain(run).latex


def test_the_guard_of_a_power_is_not_seen_in_second_derivatives() -> None:
    x = ag.Tensor(1.3, requires_grad=True)
    with ag.trace() as run:
        y = x**3
        (dy,) = ag.gradients(y, [x], create_graph=True)
        z = dy**2
        z.backward()
    run.name({"x": x, "y": y, "dy": dy, "z": z})
    for simplify in (False, True):
        explanation = assert_lines_are_right(run, simplify=simplify)
        assert formulas(explanation, "forward") == ["dy = 3 x^2", "z = dy^2"]
        assert "False" not in str(explanation) + explanation.latex + "".join(explanation.python)
    assert "False" not in ag.source(run, simplify=True)


def test_what_is_taken_out_is_the_number_of_examples_not_one_that_happens_to_fit() -> None:
    W1, b1, W2 = tensors((3, 4), (4,), (4, 2))
    X, Y = data(6, 3), data(6, 2)
    run = ag.trace(lambda: np.sum((np.maximum(0, X @ W1 + b1) @ W2 - Y) ** 2) / 6)
    run.name({"W1": W1, "b1": b1, "W2": W2, "X": X, "Y": Y})
    assert gradients(run) == [
        "du1 = 2 u1",
        "dW2 = (1 / 6) relu(Z1)^T du1",
        "dZ1 = (du1 W2^T) (.) (relu(Z1) > 0)",
        "db1 = (1 / 6) sum(dZ1, axis=0)",
        "dW1 = (1 / 6) X^T dZ1",
    ]


def test_a_mean_over_windows_is_explained_too() -> None:
    (x,) = tensors((2, 1, 4, 4))
    run = ag.trace(lambda: np.sum(nn.functional.avg_pool2d(x, 2))).name({"x": x})
    for simplify in (False, True):
        assert_lines_are_right(run, simplify=simplify)


def test_what_nobody_named_is_called_by_what_it_is() -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 2, rng=rng))
    X, y = data(5, 3), np.array([0, 1, 1, 0, 1])
    with ag.trace() as run:
        J = nn.functional.cross_entropy(model(X), y)
    run.name({"X": X, "y": y, "J": J})
    names = [line.name for line in assert_lines_are_right(run, simplify=True).lines]
    assert names[:4] == ["Z1", "A1", "Z2", "J"]
    assert {"dZ2", "dZ1"} <= {*names}

    W, V = tensors((4, 3), (4, 4))

    def cost() -> Any:
        H = np.square(np.tanh(W @ X.T))
        return np.sum(np.square(V @ H) + H)

    with ag.trace() as run:
        J = cost()
    run.name({"W": W, "V": V, "X": X, "J": J})
    found = assert_lines_are_right(run, simplify=True)
    assert "H = tanh(W X^T)^2" in str(found)  # called as in the program


def test_a_gradient_that_goes_on_as_it_is_to_several_has_a_line_of_its_own() -> None:
    W, U, b, h = tensors((3, 3), (3, 2), (3, 1), (3, 4))
    x = data(2, 4)
    with ag.trace() as run:
        J = np.sum(np.tanh(W @ np.tanh(W @ h + U @ x + b)))
    run.name({"W": W, "U": U, "b": b, "h": h, "x": x, "J": J})
    found = formulas(assert_lines_are_right(run, simplify=True))
    assert "dU = dZ1 x^T" in found
    assert "db = sum(dZ1, axis=1, keepdims=True)" in found or "db = sum(dZ1, axis=1)" in found
