"""Derivations hold at all numbers, and not at those of the run alone.

`benchmarks/derivations.py` has 10,000 of the programs of which a sample is here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import layers, logistic, neuron, one_hidden_layer, recorded, regularised, rows
from reading import read
from small_programs import program, run_at, well_conditioned, wrong_lines

import autograd_mini as ag
from autograd_mini.formulas import operands_first, write


@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("simplify", [False, True])
def test_derivations_of_small_programs_hold_at_other_points(block: int, simplify: bool) -> None:
    tried = 0
    for seed in range(100_000 + 20 * block, 100_000 + 20 * block + 20):
        small = program(seed)
        here = run_at(small, np.random.default_rng([seed, 0]))
        if here is None:
            continue
        explanation = ag.explain(here[0], simplify=simplify)
        for i in range(1, 4):
            there = well_conditioned(small, [seed, i])
            if there is not None:
                assert wrong_lines(explanation, there) == [], f"program {seed}\n{explanation}"
                tried += 1
    assert tried > 30


def assert_text_is_read(explanation: Any) -> None:
    """Every line of the text, with NumPy's broadcasting, gives the numbers of the run."""
    text = " ".join(str(explanation).split())  # long lines are folded
    for line in explanation.lines:
        truth = line.value.array
        if line.phase == "backward":
            truth = line.value.gradient.array / line.scale
        steps = [] if explanation.simplified else [step.symbol for step in line.steps]
        for symbol in (line.symbol, *steps):
            formula = write(symbol, "text")
            leaves = [x for x in operands_first(symbol) if x.primitive is None and x.name]
            names = {str(x.name): np.asarray(x.array) for x in leaves}
            assert symbol is not line.symbol or f"= {formula}" in text
            with np.errstate(all="ignore"):
                found = read(formula, names, line.shape)
            np.testing.assert_allclose(
                found, truth, rtol=1e-5, atol=1e-6 * np.max(np.abs(truth), initial=1),
                err_msg=f"{line.name} = {formula}",
            )  # fmt: skip


#: The five systems of the courses, as in examples/gallery.py.
SYSTEMS: list[tuple[Any, ...]] = [
    (neuron,),
    (one_hidden_layer,),
    (one_hidden_layer, logistic),
    (rows, "one-hot"),
    (rows, "labels"),
    (regularised,),
    (layers, "labels"),
    (layers, "one-hot"),
]


@pytest.mark.parametrize("simplify", [False, True])
@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system[0].__name__)
def test_every_line_of_text_of_the_five_systems_gives_the_numbers_of_the_run(
    system: tuple[Any, ...], simplify: bool
) -> None:
    assert_text_is_read(ag.explain(recorded(*system), simplify=simplify))


@pytest.mark.parametrize("simplify", [False, True])
def test_every_line_of_text_of_small_programs_gives_the_numbers_of_the_run(simplify: bool) -> None:
    runs = [run_at(program(seed), np.random.default_rng(seed)) for seed in range(200)]
    found = [run[0] for run in runs if run is not None]
    for run in found:
        assert_text_is_read(ag.explain(run, simplify=simplify))
    assert len(found) > 150


def lines_of(run: ag.Trace, **options: Any) -> list[str]:
    """The gradients in their simplest form."""
    explanation = ag.explain(run, simplify=True, **options)
    return [f"{line.name} = {write(line.symbol, 'text')}" for line in explanation.backward]


@pytest.mark.parametrize("weight", [0.8, -0.8])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_unit_keeps_its_mask_whether_it_is_dead_or_not(weight: float, label: float) -> None:
    w1, b1, w2, b2 = (ag.Tensor(v, requires_grad=True) for v in (weight, 0.3, 0.6, 0.2))
    x, y = np.array(1.0), np.array(label)
    with ag.trace() as run:
        z1 = w1 * x + b1
        a1 = ag.relu(z1)
        z2 = w2 * a1 + b2
        a2 = ag.sigmoid(z2)
        L = -(y * np.log(a2) + (1 - y) * np.log(1 - a2))
        L.backward()
    names = {"z1": z1, "a1": a1, "z2": z2, "a2": a2, "L": L, "x": x, "y": y}
    run.name(names | {"w1": w1, "b1": b1, "w2": w2, "b2": b2})
    assert lines_of(run)[:4] == [
        "dz2 = a2 - y",
        "db2 = dz2",
        "dw2 = dz2 a1",
        "dz1 = dz2 w2 (a1 > 0)",
    ]
    assert lines_of(run, wrt=["a2"]) == ["da2 = (1 - y) / (1 - a2) - y / a2"]


def test_a_number_made_of_data_without_a_name_is_no_constant() -> None:
    w, y = ag.Tensor(0.5, requires_grad=True), np.array(0.0)
    run = ag.trace(lambda: (1 - y) * np.tanh(w))
    assert lines_of(run.name({"w": w})) == ["dw = c1 (1 - tanh(w)^2)"]
    assert "c1: data without a name, 1" in str(ag.explain(run))
    run = ag.trace(lambda: np.sqrt(2.0) * np.tanh(w))
    assert lines_of(run.name({"w": w})) == ["dw = sqrt(2) (1 - tanh(w)^2)"]


def test_labels_that_are_all_alike_are_still_labels() -> None:
    W = ag.Tensor(np.ones((1, 2)), requires_grad=True)
    X, Y, m = np.ones((2, 3)), np.zeros((1, 3)), 3
    with ag.trace() as run:
        A = ag.sigmoid(W @ X)
        J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    run.name({"W": W, "X": X, "Y": Y, "A": A, "J": J, "m": m})
    assert lines_of(run, wrt=["A"]) == ["dA = (1 / m) ((1 - Y) / (1 - A) - Y / A)"]


@pytest.mark.parametrize(("scale", "holds"), [(1.0, True), (0.9, False)])
def test_a_property_of_the_data_is_said_and_asserted_or_not_used(scale: float, holds: bool) -> None:
    W = ag.Tensor(np.arange(6.0).reshape(3, 2) / 7, requires_grad=True)
    X, T = np.ones((2, 4)), scale * np.eye(3)[:, [0, 2, 1, 1]]
    with ag.trace() as run:
        Z = W @ X
        J = -np.sum(T * np.log(ag.softmax(Z, axis=0)))
    run.name({"W": W, "X": X, "T": T, "Z": Z, "J": J})
    text, program = str(ag.explain(run, simplify=True)), ag.source(run, simplify=True)
    said = "since each column of T sums to 1" in text
    assert said is holds
    assert ("dZ = softmax(Z, axis=0) - T" in text) is holds
    assert ("assert np.allclose(np.sum(T, axis=0), 1)" in program) is holds


def test_no_constant_has_digits_that_nobody_wrote() -> None:
    w = ag.Tensor(np.ones(3), requires_grad=True)
    lam, m, y = 0.3, 7, np.array([0.0, 1.0, 1.0])

    def line(cost: Any) -> str:
        run = ag.trace(cost)
        explanation = ag.explain(run.name({"w": w, "lam": lam, "m": m, "y": y}), simplify=True)
        return explanation.python[-1]

    products = [line(lambda: 0.1 * np.sum(3 * w**2) / 2), line(lambda: 0.1 * np.sum(0.2 * w))]
    sums = line(lambda: lam * np.sum(w**2) + np.sum(w**2) / m)
    quotient = line(lambda: np.sum(w / np.sqrt(2 * np.pi)))
    mean = line(lambda: -(1 / m) * np.sum(w**2))
    assert "0.3 *" in products[0]
    assert "0.02" in products[1]
    assert "lam" in sums
    assert "1 / np.sqrt(2 * pi)" in quotient
    assert "-(2 / m)" in mean

    def entropy() -> Any:
        a = ag.sigmoid(w)
        return -0.1 * np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))

    assert line(entropy).startswith("dw = 0.1 * (ag.sigmoid(w) - ")


def test_axes_that_count_are_written() -> None:
    rng = np.random.default_rng(0)
    S, C = ag.Tensor(rng.standard_normal((4, 4)), requires_grad=True), rng.standard_normal((4, 4))
    with ag.trace() as run:
        A = ag.softmax(S)
        J = np.sum(A * C)
        J.backward()
    run.name({"S": S, "C": C, "A": A, "J": J})
    (line,) = lines_of(run)
    assert line == "dS = A (.) (C - sum(C (.) A, axis=-1, keepdims=True))"
    assert "keepdims" in ag.explain(run, simplify=True).latex
    copied = line.removeprefix("dS = ").replace("(.)", "*")
    found = eval(copied, {"sum": np.sum, "A": A.data, "C": C})
    assert S.grad is not None
    np.testing.assert_allclose(found, S.grad.data, atol=1e-15)


@pytest.mark.parametrize("first", [True, False])
def test_results_of_cells_are_no_names(first: bool) -> None:
    W, X = ag.Tensor(np.ones((2, 3)), requires_grad=True), np.ones((3, 4))
    with ag.trace() as run:
        J = np.sum(np.tanh(W @ X) ** 2)
    ipython = {"_": J, "__": J, "_7": W, "_i3": X, "Out": X, "_hidden": W}
    mine = {"W": W, "X": X, "J": J}
    run.name({**ipython, **mine} if first else {**mine, **ipython})
    assert [value.name for value in run.values if value.name] == ["W", "X", "J"]
    run = ag.trace(lambda: np.sum(W)).name({"__": W, "_hidden": W})
    assert run.forward[0].operands[0].name == "_hidden"


def test_gates_are_joined_and_named_by_their_turns() -> None:
    rng = np.random.default_rng(0)
    W, U, b = (
        ag.Tensor(rng.standard_normal(n), requires_grad=True) for n in [(8, 3), (8, 2), (8, 1)]
    )
    X, Y = rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 2))
    with ag.trace() as run:
        h, c = np.ones((2, 2)), np.ones((2, 2)) * 0.5
        for t in range(2):
            G = W @ X[t] + U @ h + b
            i = ag.sigmoid(G[:2])
            f = ag.sigmoid(G[2:4])
            o = ag.sigmoid(G[4:6])
            g = np.tanh(G[6:])
            c = f * c + i * g
            h = o * np.tanh(c)
        J = np.sum((h - Y) ** 2)
    run.name({"W": W, "U": U, "b": b, "X": X, "Y": Y, "J": J})
    assert lines_of(run)[:4] == [
        "dh2 = 2 (h2 - Y)",
        "dc2 = dh2 (.) o2 (.) (1 - tanh(c2)^2)",
        "dG2 = concatenate(dc2 (.) g2 (.) i2 (.) (1 - i2), dc2 (.) c1 (.) f2 (.) (1 - f2), "
        "dh2 (.) tanh(c2) (.) o2 (.) (1 - o2), dc2 (.) i2 (.) (1 - g2^2), axis=0)",
        "dh1 = U^T dG2",
    ]


@pytest.mark.parametrize("overlap", [False, True])
def test_blocks_are_joined_only_where_they_lie_beside_one_another(overlap: bool) -> None:
    w = ag.Tensor(np.arange(1.0, 7.0), requires_grad=True)
    with ag.trace() as run:
        J = np.sum(np.tanh(w[:2])) + np.sum(np.exp(w[1:4] if overlap else w[3:]))
    (line,) = lines_of(run.name({"w": w, "J": J}))
    assert (" + " in line) is overlap
    assert overlap or line == "dw = [1 - tanh(w[:2])^2, 0, exp(w[3:])]"


def test_an_index_that_happens_to_be_a_complement_is_none() -> None:
    W = ag.Tensor(np.ones((1, 2)), requires_grad=True)
    t = np.array([1])
    with ag.trace() as run:
        Z = np.ones((1, 1)) @ W
        J = -np.mean(np.log(ag.softmax(Z, axis=1)[np.arange(1), t]))
    text = str(ag.explain(run.name({"W": W, "t": t, "Z": Z, "J": J}), simplify=True))
    assert "1 - t" not in text
    assert "dZ = softmax(Z, axis=1) - onehot(t)" in text
