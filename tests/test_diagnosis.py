"""Each mistake of the catalogue is found and named, alone and beside another; nothing else is.

Every row of the catalogue has a plant here: a small network, and one of its gradients derived with
that mistake.  The networks of `benchmarks.mistakes`, with all applicable mistakes in each, show how
often line and cause are found.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from itertools import islice
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from networks import data, one_hidden_layer

import autograd_mini as ag
from autograd_mini.check import derivation, diagnosis, shapes
from autograd_mini.check.diagnosis import Term
from autograd_mini.check.judge import Constants, factor_causes
from autograd_mini.check.mistakes import IN_CALLS, IN_SHARES, IN_VALUES, KINDS, Row
from autograd_mini.check.site import Site
from benchmarks.diagnosis import CAUSE, LINE, PAIR, planted, planted_pairs, right, sampled, score

Array = Any
TABLES = {"IN_CALLS": IN_CALLS, "IN_SHARES": IN_SHARES, "IN_VALUES": IN_VALUES}
ROWS = {row.ways.__name__: row for table in TABLES.values() for row in table}


# ---- networks ------------------------------------------------------------------------------------


class Network(SimpleNamespace):
    """A network's variables as arrays, and the gradients of its cost: ``v.A1``, ``v.dZ1``.

    ``lines`` are the names of the gradients in backward order, ``names`` the user's variables.
    """

    def __init__(self, J: ag.Tensor, lines: str, **names: Any) -> None:
        super().__init__(J=J, lines=lines.split(), names=names)
        for name, thing in names.items():
            setattr(self, name, thing.data if isinstance(thing, ag.Tensor) else thing)
        for line in self.lines:
            setattr(self, line, ag.gradients(J, names[line[1:]]).data)

    def hand(self, line: str, wrong: Array) -> dict[str, Array]:
        """The right gradients up to a line, which is wrong."""
        before = self.lines[: self.lines.index(line)]
        return {name: getattr(self, name) for name in before} | {line: wrong}


def parameter(rng: np.random.Generator, *shape: int) -> ag.Tensor:
    return ag.Tensor(rng.normal(size=shape), requires_grad=True)


def hidden(
    g: Callable[[Any], Any] = np.tanh, sizes: tuple[int, int, int] = (3, 4, 1), m: int = 5
) -> Network:
    """One hidden layer, a sigmoid, the logistic loss; examples in columns."""
    names = one_hidden_layer(g, sizes, m)
    J = names.pop("J")
    return Network(J, "dZ2 dW2 db2 dA1 dZ1 dW1 db1", **names, mask=data(sizes[1], m, seed=2))


def square() -> Network:
    """Three inputs, units, outputs and examples: any product of matrices has a value."""
    return hidden(sizes=(3, 3, 3), m=3)


def logistic() -> Network:
    """The output's gradient from the cost at once, with a hidden layer of sigmoids."""
    return hidden(ag.sigmoid)


def skip() -> Network:
    """What the hidden layer gives is added to what comes in."""
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(4, 5)), rng.normal(size=(2, 5))
    W1, W2 = parameter(rng, 4, 4), parameter(rng, 2, 4)
    Z1 = W1 @ X
    A1 = np.tanh(Z1)
    H = A1 + X
    Z2 = W2 @ H
    J = np.mean((Z2 - Y) ** 2)
    return Network(J, "dZ2 dW2 dH dZ1 dW1", X=X, Y=Y, W1=W1, W2=W2, Z1=Z1, A1=A1, H=H, Z2=Z2)


def theta() -> Network:
    """The bias is the first column of Theta."""
    rng = np.random.default_rng(3)
    X, Y, ones = rng.normal(size=(3, 5)), rng.normal(size=(2, 5)), np.ones((1, 5))
    Theta1, Theta2 = parameter(rng, 4, 4), parameter(rng, 2, 5)
    a1 = np.concatenate([ones, X])
    z2 = Theta1 @ a1
    g2 = np.tanh(z2)
    a2 = np.concatenate([ones, g2])
    z3 = Theta2 @ a2
    J = np.mean((z3 - Y) ** 2)
    names = {"X": X, "Y": Y, "Theta1": Theta1, "Theta2": Theta2, "a1": a1, "z2": z2, "g2": g2}
    return Network(J, "dz3 dTheta2 dg2 dz2 dTheta1", **names, a2=a2, z3=z3)


def recurrent() -> Network:
    """Three steps with the same weights, whose states all enter the cost."""
    rng = np.random.default_rng(4)
    x1, x2, x3, y = rng.normal(size=(4, 3, 5))
    h0 = rng.normal(size=(3, 5))
    W, U = parameter(rng, 3, 3), parameter(rng, 3, 3)
    z1 = W @ h0 + U @ x1
    h1 = np.tanh(z1)
    z2 = W @ h1 + U @ x2
    h2 = np.tanh(z2)
    z3 = W @ h2 + U @ x3
    h3 = np.tanh(z3)
    J = np.mean((h3 - y) ** 2) + np.mean(h1**2) + np.mean(h2 * h1)
    names = {"h0": h0, "x1": x1, "x2": x2, "x3": x3, "y": y, "W": W, "U": U}
    names |= {"z1": z1, "h1": h1, "z2": z2, "h2": h2, "z3": z3, "h3": h3}
    return Network(J, "dh3 dz3 dh2 dz2 dh1 dz1 dW", **names)


def branches() -> Network:
    """A hidden layer that two outputs use."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(3, 5))
    W, V1, V2 = parameter(rng, 4, 3), parameter(rng, 4, 5), parameter(rng, 4, 5)
    Z = W @ X
    A = np.tanh(Z)
    P, Q = V1 * A, np.sin(A) * V2
    J = np.sum(P**2) + np.sum(Q**3)
    return Network(J, "dP dQ dZ dW", X=X, W=W, V1=V1, V2=V2, Z=Z, A=A, P=P, Q=Q)


def three_terms() -> Network:
    """A layer in three terms of the cost."""
    rng = np.random.default_rng(6)
    X, W = rng.normal(size=(3, 5)), parameter(rng, 4, 3)
    Z = W @ X
    J = np.sum(Z**2) + np.sum(np.sin(Z)) + np.sum(np.exp(Z))
    return Network(J, "dZ dW", X=X, W=W, Z=Z)


def composed() -> Network:
    """Softmax written with exponentials, and the cross-entropy."""
    rng = np.random.default_rng(7)
    X, Y = rng.normal(size=(3, 5)), np.eye(4)[:, [0, 1, 2, 3, 1]]
    W = parameter(rng, 4, 3)
    Z = W @ X
    E = np.exp(Z)
    S = E / np.sum(E, axis=0, keepdims=True)
    J = -np.sum(Y * np.log(S)) / 5
    return Network(J, "dS dZ dW", X=X, Y=Y, W=W, Z=Z, S=S)


def classes() -> Network:
    """Softmax and cross-entropy in one function; examples in rows."""
    rng = np.random.default_rng(8)
    X, Y = rng.normal(size=(5, 3)), np.eye(4)[[0, 1, 2, 3, 1]]
    W = parameter(rng, 3, 4)
    Z = X @ W
    J = ag.nn.functional.cross_entropy(Z, Y)
    return Network(J, "dZ dW", X=X, Y=Y, W=W, Z=Z, S=ag.softmax(Z.data))


def from_logits() -> Network:
    """A sigmoid and the logistic loss in one function."""
    rng = np.random.default_rng(9)
    X, Y = rng.normal(size=(5, 3)), np.array([[1.0], [0.0], [1.0], [1.0], [0.0]])
    W = parameter(rng, 3, 1)
    Z = X @ W
    J = ag.nn.functional.binary_cross_entropy_with_logits(Z, Y)
    return Network(J, "dZ dW", X=X, Y=Y, W=W, Z=Z, A=ag.sigmoid(Z.data))


def huber() -> Network:
    """Squares of small errors, absolute values of large ones."""
    rng = np.random.default_rng(10)
    X, Y = rng.normal(size=(3, 7)), 2 * rng.normal(size=(1, 7))
    W = parameter(rng, 1, 3)
    E = W @ X - Y
    J = np.mean(np.where(np.abs(E) < 1, E**2 / 2, np.abs(E) - 0.5))
    return Network(J, "dE dW", X=X, Y=Y, W=W, E=E)


def linear() -> Network:
    """A regression with two outputs."""
    rng = np.random.default_rng(11)
    X, Y = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
    W = parameter(rng, 2, 3)
    Z = W @ X
    J = np.sum((Z - Y) ** 2) / 10
    return Network(J, "dZ dW", X=X, Y=Y, W=W, Z=Z, m=5)


# ---- a plant for every row -----------------------------------------------------------------------


class Plant(NamedTuple):
    """A mistake in one line of a network's derivation."""

    network: Callable[[], Network]
    line: str
    wrong: Callable[[Network], Array]


PLANTS: dict[str, Plant] = {
    # products and sums
    "missing_factor": Plant(hidden, "dZ1", lambda v: v.dA1),
    "factor_twice": Plant(hidden, "dZ1", lambda v: v.dA1 * (1 - v.A1**2) ** 2),
    "inverted_factor": Plant(hidden, "dZ1", lambda v: v.dA1 / (1 - v.A1**2)),
    "missing_term": Plant(hidden, "dZ1", lambda v: v.dA1 * v.A1**2),
    "missing_term_before": Plant(skip, "dW2", lambda v: v.dZ2 @ v.A1.T),
    "sign_of_a_term": Plant(hidden, "dZ1", lambda v: v.dA1 * (1 + v.A1**2)),
    "sign_of_a_term_before": Plant(skip, "dW2", lambda v: v.dZ2 @ (v.A1 - v.X).T),
    # operands
    "missing_function": Plant(hidden, "dZ1", lambda v: v.dA1 * (1 - v.A1)),
    "wrong_operand": Plant(hidden, "dW2", lambda v: v.dZ2 @ v.Z1.T),
    "wrong_operand_throughout": Plant(logistic, "dZ1", lambda v: v.dA1 * v.Z1 * (1 - v.Z1)),
    "updated_weights": Plant(hidden, "dA1", lambda v: (v.W2 - 0.1 * v.dW2).T @ v.dZ2),
    # matrices
    "missing_transpose": Plant(square, "dA1", lambda v: v.W2 @ v.dZ2),
    "transposed_product": Plant(square, "dA1", lambda v: (v.W2.T @ v.dZ2).T),
    "wrong_product": Plant(square, "dA1", lambda v: v.W2.T * v.dZ2),
    "matrix_products_throughout": Plant(square, "dZ1", lambda v: v.dA1 @ (1 - v.A1.T @ v.A1)),
    # sums over examples
    "wrong_axis": Plant(square, "db1", lambda v: np.sum(v.dZ1, axis=0).reshape(3, 1)),
    "sum_over_everything": Plant(hidden, "db1", lambda v: np.full((4, 1), np.sum(v.dZ1))),
    "one_example_only": Plant(hidden, "dW1", lambda v: v.dZ1[:, -1:] @ v.X[:, -1:].T),
    "wrong_part": Plant(theta, "dg2", lambda v: (v.Theta2.T @ v.dz3)[:-1]),
    # functions
    "missing_derivative": Plant(hidden, "dZ1", lambda v: v.dA1),
    "derivative_alone": Plant(hidden, "dZ1", lambda v: 1 - v.A1**2),
    "missing_derivative_of_several": Plant(composed, "dZ", lambda v: v.dS),
    "missing_factor_of_all": Plant(from_logits, "dZ", lambda v: v.dZ / (v.A * (1 - v.A))),
    "derivative_twice": Plant(logistic, "dZ1", lambda v: v.dA1 * (v.A1 * (1 - v.A1)) ** 2),
    "no_derivative": Plant(hidden, "dZ1", lambda v: v.dA1 * v.Z1),
    "other_activation": Plant(hidden, "dZ1", lambda v: v.dA1 * (v.Z1 > 0)),
    "wrong_point": Plant(hidden, "dZ1", lambda v: v.dA1 * (1 - np.tanh(v.A1) ** 2)),
    "diagonal_only": Plant(composed, "dZ", lambda v: v.dS * v.S * (1 - v.S)),
    # choices between two branches
    "one_branch_of_a_loss": Plant(huber, "dE", lambda v: np.sign(v.E) / 7),
    "inverted_condition": Plant(
        huber, "dE", lambda v: np.where(np.abs(v.E) < 1, np.sign(v.E), v.E) / 7
    ),
    # several ways to the cost
    "missing_path": Plant(recurrent, "dW", lambda v: v.dz3 @ v.h2.T + v.dz2 @ v.h1.T),
    "one_path_only": Plant(recurrent, "dW", lambda v: v.dz1 @ v.h0.T),
    "sign_of_a_path": Plant(three_terms, "dZ", lambda v: 2 * v.Z - np.cos(v.Z) + np.exp(v.Z)),
    "factor_of_a_path": Plant(three_terms, "dZ", lambda v: 2 * v.Z + np.cos(v.Z) + 7 * np.exp(v.Z)),
    "wrong_gradient": Plant(hidden, "dW1", lambda v: v.dA1 @ v.X.T),
    # the same slip in every term of a sum
    "wrong_operand_in_every_term": Plant(
        recurrent, "dW", lambda v: v.dz3 @ v.z2.T + v.dz2 @ v.z1.T + v.dz1 @ v.h0.T
    ),
    # what remains
    "extra_factor_before": Plant(hidden, "dA1", lambda v: v.W2.T @ (v.dZ2 * v.A2 * (1 - v.A2))),
    "extra_factor": Plant(hidden, "dZ2", lambda v: (v.A2 - v.Y) * v.A2 * (1 - v.A2) / 5),
    "one_label_only": Plant(hidden, "dZ2", lambda v: (v.A2 - v.Y) * (1 - v.Y) / 5),
    "sign_of_one_label": Plant(classes, "dZ", lambda v: (v.S - v.Y) * (2 * v.Y - 1) / 5),
    "wrong_difference": Plant(hidden, "dZ2", lambda v: (v.Z2 - v.Y) / 5),
    "labels_off_by_one": Plant(classes, "dZ", lambda v: (v.S - np.roll(v.Y, 1, axis=1)) / 5),
    "one_term_only": Plant(hidden, "dZ2", lambda v: v.A2 / 5),
    "other_loss": Plant(linear, "dZ", lambda v: np.sign(v.Z - v.Y) / 5),
    "sum_of_two": Plant(hidden, "dZ2", lambda v: (v.A2 + v.Y) / 5),
    "transposed": Plant(square, "dW2", lambda v: v.dW2.T),
    "column_major": Plant(hidden, "dW1", lambda v: v.dW1.ravel(order="F").reshape(4, 3)),
}


def report_on(plant: Plant) -> ag.check.Comparison:
    v = plant.network()
    return ag.compare(v.J, v.hand(plant.line, plant.wrong(v)), names=v.names)


def catalogue_of(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> None:
    """Leave only some rows in the catalogue."""
    for name, table in TABLES.items():
        monkeypatch.setattr(diagnosis, name, [row for row in table if row in rows])


@pytest.mark.parametrize("way", ROWS)
def test_every_row_explains_a_mistake_that_nothing_else_has_to(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, row = PLANTS[way], ROWS[way]
    report = report_on(plant)
    assert report.first_wrong == plant.line
    assert row.name in report.lines[-1].causes
    catalogue_of(monkeypatch, row)
    (alone,) = [line for line in report_on(plant).lines if line.verdict == "wrong"]
    assert (row.name,) in {explanation.causes for explanation in alone.explanations}
    catalogue_of(monkeypatch)
    (without,) = [line for line in report_on(plant).lines if line.verdict == "wrong"]
    assert (row.name,) not in {explanation.causes for explanation in without.explanations}


def test_every_plant_belongs_to_a_row() -> None:
    assert PLANTS.keys() == ROWS.keys()


def test_a_forgotten_subtraction_is_found_behind_a_fused_loss() -> None:
    report = report_on(Plant(classes, "dZ", lambda v: v.S / 5))
    assert report.lines[0].causes == ("missing term",)


# ---- mistakes that are no rows: shapes, constants, regularisers ----------------------------------


def ridge() -> Network:
    """A regression with L2 regularisation, whose bias is a row of its own; examples in rows."""
    rng = np.random.default_rng(12)
    X, Y, lam, m = rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), 0.7, 5
    W, b = parameter(rng, 3, 2), parameter(rng, 1, 2)
    Z = X @ W + b
    J = np.sum((Z - Y) ** 2) / (2 * m) + lam / (2 * m) * np.sum(W**2)
    return Network(J, "dZ dW db", X=X, Y=Y, W=W, b=b, Z=Z, lam=lam, m=m)


def unregularised_bias() -> Network:
    """The column of the bias in Theta is not regularised."""
    rng = np.random.default_rng(13)
    X, Y, lam, m = rng.normal(size=(3, 5)), rng.normal(size=(2, 5)), 0.7, 5
    Theta = parameter(rng, 2, 4)
    a = np.concatenate([np.ones((1, 5)), X])
    z = Theta @ a
    J = np.sum((z - Y) ** 2) / (2 * m) + lam / (2 * m) * np.sum(Theta[:, 1:] ** 2)
    return Network(J, "dz dTheta", X=X, Y=Y, a=a, Theta=Theta, z=z, lam=lam, m=m)


def lasso() -> Network:
    """A regression with L1 regularisation."""
    rng = np.random.default_rng(14)
    X, Y, lam = rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), 0.7
    W = parameter(rng, 3, 2)
    Z = X @ W
    J = np.sum((Z - Y) ** 2) / 5 + lam * np.sum(np.abs(W))
    return Network(J, "dZ dW", X=X, Y=Y, W=W, Z=Z, lam=lam)


#: cause -> a plant with it, and how the sentence names the constant or the term.
CONSTANTS_AND_TERMS: list[tuple[str, Plant, str]] = [
    ("sign", Plant(hidden, "dW2", lambda v: -v.dW2), "wrong sign"),
    ("constant factor", Plant(hidden, "dW1", lambda v: v.m * v.dW1), "m = 5 times too large"),
    ("constant factor", Plant(hidden, "dW1", lambda v: v.dW1 / v.m), "m = 5 times too small"),
    ("constant factor", Plant(hidden, "db1", lambda v: -2 * v.db1), "2 times too large"),
    ("sign", Plant(hidden, "db1", lambda v: -2 * v.db1), "wrong sign"),
    (
        "missing regularisation",
        Plant(ridge, "dW", lambda v: v.dW - v.lam / v.m * v.W),
        "lacks the term (lam/m = 0.14) * W",
    ),
    (
        "wrong regularisation",
        Plant(ridge, "dW", lambda v: v.dW + v.lam / v.m * v.W),
        "where (lam/m = 0.14) * W belongs",
    ),
    ("regularised bias", Plant(ridge, "db", lambda v: v.db + v.lam / v.m * v.b), "* b"),
    (
        "regularised bias",
        Plant(
            unregularised_bias,
            "dTheta",
            lambda v: v.dTheta + v.lam / v.m * v.Theta * [[1, 0, 0, 0]],
        ),
        "Theta[:, :1]",
    ),
    ("extra term", Plant(hidden, "dW1", lambda v: v.dW1 + 0.3 * v.W1), "0.3) * W1"),
    (
        "missing regularisation",
        Plant(lasso, "dW", lambda v: v.dW - v.lam * np.sign(v.W)),
        "np.sign(W)",
    ),
    ("constant factor", Plant(ridge, "dW", lambda v: 4 * v.dW - 3 * v.lam / v.m * v.W), "4"),
    ("missing sum", Plant(hidden, "db1", lambda v: v.dZ1), "sum over axis 1"),
    ("rank-1 array", Plant(hidden, "db1", lambda v: v.dZ1.sum(axis=1)), "keepdims=True"),
    (
        "broadcast",
        Plant(hidden, "db1", lambda v: v.b1 * 0 + v.dZ1.sum(axis=1)),
        "blown up by broadcasting",
    ),
    ("transposed", Plant(hidden, "dW1", lambda v: v.dW1.T), "is transposed"),
    ("bias row", Plant(hidden, "dA1", lambda v: np.vstack([v.dA1[:1], v.dA1])), "one row too many"),
    ("zero", Plant(hidden, "db1", lambda v: np.zeros((4, 1))), "is zero"),
    ("not finite", Plant(hidden, "db1", lambda v: v.db1 / 0), "inf"),
    ("shape", Plant(hidden, "db1", lambda v: np.ones((2, 2))), "has shape (2, 2)"),
]


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(("cause", "plant", "phrase"), CONSTANTS_AND_TERMS)
def test_shapes_constants_and_regularisers_are_named(cause: str, plant: Plant, phrase: str) -> None:
    report = report_on(plant)
    assert report.first_wrong == plant.line
    line = report.lines[-1]
    assert line.verdict == "wrong"
    assert cause in line.causes
    assert phrase in str(report)


def test_one_number_for_a_bias_is_a_sum_over_everything() -> None:
    report = report_on(Plant(hidden, "db1", lambda v: np.sum(v.dZ1)))
    assert report.lines[-1].causes == ("sum over everything",)


def test_numbers_without_a_reason_get_no_explanation_with_free_constants() -> None:
    report = report_on(Plant(hidden, "db1", lambda v: np.full((4, 1), 0.119056)))
    assert all(len(explanation.causes) < 3 for explanation in report.lines[-1].explanations)


def test_a_constant_is_called_by_all_names_that_it_has_here() -> None:
    v = hidden(m=2)
    report = ag.compare(v.J, v.hand("dW2", 2 * v.dW2), names=v.names)
    assert "at this point" in str(report)
    assert "m" in report.lines[-1].explanations[0].sentence


def test_a_wrong_line_without_a_known_mistake_is_called_just_that() -> None:
    report = report_on(Plant(hidden, "dZ1", lambda v: v.mask**3))
    assert report.first_wrong == "dZ1"
    assert report.lines[-1].causes == ()
    assert "no known mistake" in str(report)


def test_a_single_number_is_off_by_a_factor_if_nothing_else_explains_it() -> None:
    w = ag.Tensor(0.7, requires_grad=True)
    (line,) = ag.compare(np.sin(w), {"dw": 1.2345 * np.cos(0.7)}, names={"w": w}).lines
    assert line.causes == ("constant factor",)
    assert "1.2345" in line.explanations[0].sentence


def written_out(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def test_a_function_that_is_written_out_is_known_as_that_function() -> None:
    forgotten = Plant(lambda: hidden(written_out), "dZ1", lambda v: v.dA1)
    assert "missing factor" in report_on(forgotten).lines[-1].causes
    other = Plant(lambda: hidden(written_out), "dZ1", lambda v: v.dA1 * (1 - v.A1**2))
    assert "other activation" in report_on(other).lines[-1].causes


def test_a_term_that_a_rule_adds_can_be_missing_too() -> None:
    rng = np.random.default_rng(15)
    X, W = rng.normal(size=(3, 5)), parameter(rng, 4, 3)
    Z = W @ X
    A = np.tan(Z / 10)
    v = Network(np.sum(A**3), "dA dZ dW", X=X, W=W, Z=Z, A=A)
    report = ag.compare(v.J, v.hand("dZ", v.dA * v.A**2 / 10), names=v.names)
    assert "missing term" in report.lines[-1].causes
    assert "A**2" in report.lines[-1].formula


def test_a_formula_is_a_difference_only_where_that_is_the_true_gradient() -> None:
    v = linear()
    Z = v.names["Z"]
    Q = 3 * Z
    J = np.sum((Z - v.Y) ** 2) / 2 + np.sum(Q**2)
    names = {**v.names, "Q": Q}
    hand = {"dQ": np.zeros_like(v.Z), "dZ": 7 * v.Z**3}  # from a dQ of 0 dZ = Z - Y would follow
    report = ag.compare(J, hand, names=names)
    assert report.first_wrong == "dQ"
    assert report.lines[1].formula != "dZ = Z - Y"


@pytest.mark.parametrize(
    ("plant", "causes"),
    [
        (  # two edits of one rule
            Plant(logistic, "dZ1", lambda v: v.dA1 / v.A1 * (1 + v.A1)),
            {"inverted factor", "sign of a term"},
        ),
        (  # an edit, and a constant
            Plant(hidden, "dW1", lambda v: v.m * v.dA1 @ v.X.T),
            {"constant factor", "wrong operand"},
        ),
        (  # a shape, and a constant
            Plant(hidden, "db1", lambda v: -v.dZ1.sum(axis=1)),
            {"rank-1 array", "sign"},
        ),
        (  # a constant, and a term
            Plant(ridge, "dW", lambda v: v.m * (v.dW - v.lam / v.m * v.W)),
            {"constant factor", "missing regularisation"},
        ),
        (  # an edit, and a term
            Plant(ridge, "dW", lambda v: v.X[-1:].T @ v.dZ[-1:]),
            {"last example only", "missing regularisation"},
        ),
    ],
)
def test_two_mistakes_in_one_line_are_both_found(plant: Plant, causes: set[str]) -> None:
    report = report_on(plant)
    assert report.first_wrong == plant.line
    assert causes <= {*report.lines[-1].causes}


# ---- published slips -----------------------------------------------------------------------------


def test_the_published_slip_of_the_one_hidden_layer_is_named() -> None:
    v = hidden()
    lecture = {"dZ2": v.A2 - v.Y, "dW2": (v.A2 - v.Y) @ v.Z1.T / v.m}
    lecture |= {"db2": v.db2, "dZ1": v.W2.T @ (v.A2 - v.Y)}  # derived from Z2 = W2 Z1 + b2
    lecture["dW1"] = lecture["dZ1"] @ v.X.T / v.m
    report = ag.compare(v.J, lecture, names=v.names)
    lines = {line.name: line for line in report.lines}
    assert report.first_wrong == "dW2"
    assert "wrong operand" in lines["dW2"].causes
    assert "has Z1 where A1 belongs" in str(report)
    assert "missing factor" in lines["dZ1"].causes
    assert lines["dZ2"].verdict == "convention"
    assert lines["dW1"].verdict == "follows"


def test_the_published_diagonal_of_softmax_is_named() -> None:
    v = composed()
    dX = -v.Y / v.S  # the slides sum over the examples; m is theirs to choose
    Delta = dX * v.S * (1 - v.S)
    hand = {"dS": dX, "dZ": Delta, "dW": Delta @ v.X.T / 5}
    report = ag.compare(v.J, hand, names=v.names)
    assert report.first_wrong == "dZ"
    assert "diagonal only" in report.lines[1].causes
    assert [line.verdict for line in report.lines] == ["convention", "wrong", "follows"]
    corrected = {"dS": dX, "dZ": v.S - v.Y, "dW": (v.S - v.Y) @ v.X.T / 5}
    assert ag.compare(v.J, corrected, names=v.names)


# ---- the numbers to reach ------------------------------------------------------------------------


@pytest.mark.slow
def test_line_and_cause_are_found_in_a_sample_of_planted_mistakes() -> None:
    result = score(sampled(planted("visible", 0), 300, 0))
    line, cause = result.total.shares()
    assert result.total.cases == 300
    assert line >= LINE == 0.99
    assert cause >= CAUSE == 0.95


@pytest.mark.slow
def test_both_of_two_mistakes_are_found_in_a_sample_of_pairs() -> None:
    result = score(sampled(planted_pairs(0), 150, 0))
    assert result.pairs.cases == 150
    assert result.pairs.shares()[1] >= PAIR == 0.9


@pytest.mark.slow
def test_right_derivations_in_all_conventions_are_never_called_wrong() -> None:
    result = score(islice(right(0), 300))
    assert result.right == 300
    assert result.false_alarms == 0


# ---- the names of mistakes -----------------------------------------------------------------------


def written_causes(module: ModuleType) -> Iterator[str]:
    """The causes that stand in the text of a module: in `Reading`s, in `Explanation`s."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        places: list[ast.expr] = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "Reading",
            "Explanation",
        ):
            places = node.args
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "causes":
            places = [node.value]
        tuples = [x for place in places for x in ast.walk(place) if isinstance(x, ast.Tuple)]
        for part in (part for each in tuples for part in each.elts):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def causes_of_terms() -> Iterator[str]:
    """The causes of a term with another coefficient than it has in the cost."""
    w, constants = np.ones(3), Constants({})
    for coefficient, found, regularised in [(2, 0, False), (2, 1, False), (0, 1, False), (0, 1, 1)]:
        site: Any = SimpleNamespace(regularised=regularised)
        mistake = diagnosis.term_mistake(site, Term(w, "w", coefficient), found, constants)
        assert mistake is not None
        yield mistake[0]


def test_kinds_has_every_cause_that_there_is_and_no_other() -> None:
    causes = {row.name for row in ROWS.values()}
    causes.update(*(factor_causes(c) for c in (-1.0, 2.0, -2.0)))
    causes.update(causes_of_terms())
    causes.update(*map(written_causes, (derivation, diagnosis, shapes)))
    assert causes == KINDS.keys()


def test_a_term_with_the_coefficient_that_it_has_in_the_cost_is_no_mistake() -> None:
    term, site = Term(np.ones(3), "w", 2.0), cast(Site, None)
    assert diagnosis.term_mistake(site, term, 2.0, Constants({})) is None
