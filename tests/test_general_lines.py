"""Lines in general form: for all layers, for all time steps, and sums over them."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.explain.explanation import Explanation
from autograd_mini.explain.general import GeneralLine
from autograd_mini.formulas import write
from autograd_mini.trace import Trace


def layers(activations: list[str], *, columns: int = 7) -> Trace:
    """A network by matrix formulas, with a softmax behind its layers."""
    rng = np.random.default_rng(len(activations))
    sizes = rng.integers(2, 6, len(activations) + 2)
    parameters = {}
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes), 1):
        for name, shape in (("W", (n_out, n_in)), ("b", (n_out, 1))):
            parameters[f"{name}{i}"] = ag.Tensor(rng.standard_normal(shape), requires_grad=True)
    X = rng.standard_normal((sizes[0], columns))
    T = np.eye(sizes[-1])[:, rng.integers(0, sizes[-1], columns)]
    m = columns
    with ag.trace() as run:
        A: Any = X
        for i, name in enumerate(activations, 1):
            Z = parameters[f"W{i}"] @ A + parameters[f"b{i}"]
            A = ag.relu(Z) if name == "relu" else ag.tanh(Z)
        last = len(activations) + 1
        Z = parameters[f"W{last}"] @ A + parameters[f"b{last}"]
        A = ag.softmax(Z, axis=0)
        J = -np.sum(T * np.log(A)) / m
    return run.name(locals())


def steps(count: int) -> Trace:
    """A recurrent network that says what it expects at the end."""
    rng = np.random.default_rng(count)
    Wx, Wh, b = [
        ag.Tensor(rng.standard_normal(shape), requires_grad=True)
        for shape in ((3, 2), (3, 3), (3, 1))
    ]
    xs = [rng.standard_normal((2, 5)) for _ in range(count)]
    Y, h = rng.standard_normal((3, 5)), np.zeros((3, 5))
    with ag.trace() as run:
        for x in xs:
            h = np.tanh(Wx @ x + Wh @ h + b)
        J = np.sum((h - Y) ** 2)
    return run.name(locals())


def gates(count: int) -> Trace:
    """An LSTM."""
    rng = np.random.default_rng(count)
    U, V, b = [
        ag.Tensor(rng.standard_normal(shape), requires_grad=True)
        for shape in ((12, 2), (12, 3), (12, 1))
    ]
    x, Y = rng.standard_normal((count, 2, 5)), rng.standard_normal((3, 5))
    h, c = np.zeros((3, 5)), np.zeros((3, 5))
    with ag.trace() as run:
        for t in range(count):
            G = U @ x[t] + V @ h + b
            i, f, o = ag.sigmoid(G[:3]), ag.sigmoid(G[3:6]), ag.sigmoid(G[6:9])
            g = np.tanh(G[9:])
            c = f * c + i * g
            h = o * np.tanh(c)
        J = np.sum((h - Y) ** 2)
    return run.name(locals())


def rows(explanation: Explanation) -> list[str]:
    """The rows of a text without the spaces that align them."""
    rows = [re.sub(" +=", " =", row.strip(), count=1) for row in str(explanation).splitlines()]
    return [re.sub(" {3,}", "   ", row) for row in rows]


def assert_general_lines_say_what_their_lines_say(explanation: Explanation) -> None:
    """With a number for its index, a general line is the very line."""
    first = {f"{name}": x for name, x in explanation._first.items()}
    seen = []
    for line in explanation.shown:
        if not isinstance(line, GeneralLine):
            seen.append(line.name)
            continue
        letter, general = line.letter, f"{line.name} = {write(line.symbol, 'text')}"
        for index, member in zip(line.indices, line.lines, strict=True):

            def number(match: re.Match[str], index: int = index, letter: str = letter) -> str:
                return str(eval(match[1].replace(letter, f"*{index}").lstrip("*")))

            expected = re.sub(rf"\[(\d*{letter}(?:[+-]\d+)?)\]", number, general)
            for name, x in first.items():
                expected = re.sub(rf"\b{name}\b", x, expected)
            text = f"{member.name} = {write(member.symbol, 'text')}"
            assert expected == re.sub(r"\[(\d+)\]", r"\1", text)
            seen.append(member.name)
    assert sorted(seen) == sorted(line.name for line in explanation.lines)


def test_six_layers_are_a_lecture() -> None:
    found = ag.explain(layers(["relu"] * 5), simplify=True, detail="layers")
    assert rows(found) == [
        "forward",
        "Z[l] = W[l] A[l-1] + b[l]   l = 1..6",
        "A[l] = relu(Z[l])   l = 1..5",
        "A6 = softmax(Z6, axis=0)   4 x 7",
        "J = -sum(T (.) log(A6)) / m   1",
        "",
        "backward",
        "dZ6 = A6 - T   4 x 7",
        "db[l] = (1 / m) sum(dZ[l], axis=1)   l = 6..1",
        "dW[l] = (1 / m) dZ[l] A[l-1]^T   l = 6..1",
        "dZ[l] = (W[l+1]^T dZ[l+1]) (.) (A[l] > 0)   l = 5..1",
        "",
        "dZ6: softmax followed by cross-entropy, since each column of T sums to 1",
        "dZ6 and dZ[l] are m times the gradients, the 1 / m comes at the end",
        "A[0] = X",
    ]
    assert_general_lines_say_what_their_lines_say(found)


def test_time_steps_are_lines_and_sums_over_them() -> None:
    found = ag.explain(steps(4), simplify=True, detail="layers")
    assert rows(found) == [
        "forward",
        "Z[t] = Wx xs[t-1] + Wh h[t-1] + b   3 x 5, t = 1..4",
        "h[t] = tanh(Z[t])   3 x 5, t = 1..4",
        "J = sum((h4 - Y)^2)   1",
        "",
        "backward",
        "dZ4 = 2 (h4 - Y) (.) (1 - h4^2)   3 x 5",
        "dZ[t] = (Wh^T dZ[t+1]) (.) (1 - h[t]^2)   3 x 5, t = 3..1",
        "db = sum[t=1..4](sum(dZ[t], axis=1, keepdims=True))   3 x 1",
        "dWh = sum[t=1..4](dZ[t] h[t-1]^T)   3 x 3",
        "dWx = sum[t=1..4](dZ[t] xs[t-1]^T)   3 x 2",
    ]


@pytest.mark.parametrize("run", [layers(["relu"] * k) for k in range(1, 6)])
@pytest.mark.parametrize("simplify", [False, True])
def test_with_a_number_for_its_index_a_general_line_is_the_very_line(
    run: Trace, simplify: bool
) -> None:
    assert_general_lines_say_what_their_lines_say(
        ag.explain(run, simplify=simplify, detail="layers")
    )


def test_a_layer_that_differs_has_a_line_of_its_own() -> None:
    found = ag.explain(layers(["relu", "relu", "tanh", "relu", "relu"]), detail="layers")
    assert_general_lines_say_what_their_lines_say(found)
    assert any(row.startswith("A3 = tanh(Z3)") for row in rows(found))
    assert [row for row in rows(found) if row.startswith("A[l]")] == [
        "A[l] = relu(Z[l])   l = 1..2",
        "A[l] = relu(Z[l])   l = 4..5",
    ]


def test_the_steps_of_an_lstm_have_one_line_for_each_gate() -> None:
    found = ag.explain(gates(4), simplify=True, detail="layers")
    text = str(found)
    for row in (
        "G[t] = U x[t-1] + V h[t-1] + b",
        "f[t] = sigmoid(G[t][3:6])",
        "c[t] = f[t] (.) c[t-1] + i[t] (.) g[t]",
        "dc[t] = dc[t+1] (.) f[t+1] + dh[t] (.) o[t] (.) (1 - tanh(c[t])^2)",
        "dV = sum[t=1..4](dG[t] h[t-1]^T)",
    ):
        assert any(row in x for x in rows(found))
    assert max(map(len, text.splitlines())) <= 120
    assert len(found.shown) < 20 < 40 < len(found.lines)


def test_an_index_has_a_letter_that_nothing_is_called_by() -> None:
    run = layers(["relu"] * 3)
    run["X"].name = "l"
    found = ag.explain(run, simplify=True, detail="layers")
    assert "A[k] = relu(Z[k])" in str(found)


def test_numbers_that_go_up_by_chance_make_no_line_of_two() -> None:
    w1, w4, x1, x2 = (ag.Tensor(float(i), requires_grad=True) for i in range(4))
    with ag.trace() as run:
        z1 = w1 * x1
        z2 = w4 * x2  # 3 l - 2, of only two
        J = z1 + z2
    found = ag.explain(run.name(locals()), detail="layers")
    assert all(type(line) is not GeneralLine for line in found.shown if line.phase == "forward")


def test_modules_in_a_row_have_an_index() -> None:
    rng = np.random.default_rng(0)
    parts = [x for _ in range(3) for x in (nn.Linear(4, 4, rng=rng), nn.ReLU())]
    X, y = rng.standard_normal((6, 4)), np.array([0, 1, 2, 3, 0, 1])
    model = nn.Sequential(*parts)
    with ag.trace() as run:
        J = nn.functional.cross_entropy(model(X), y)
    found = ag.explain(run.name(locals()), simplify=True, detail="layers")
    assert "Z[l] = A[l-1] [2l-2].weight^T + [2l-2].bias" in str(found)


def test_each_call_can_have_a_line() -> None:
    run = layers(["relu"])
    found = ag.explain(run, detail="calls")
    names = [line.name for line in found.forward]
    assert len(names) == len(run.forward)
    assert str(ag.explain(run)) == str(ag.explain(run, detail="lines"))
    with pytest.raises(ValueError, match="detail is 'calls', 'lines' or 'layers', not 'all'"):
        ag.explain(run, detail="all")  # type: ignore[arg-type]
