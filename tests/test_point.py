"""What a check point hides, and a point that hides nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from networks import in_columns

import autograd_mini as ag
from autograd_mini.check import good_point, point_quality

SIZES = {"W1": (4, 3), "b1": (4, 1), "W2": (2, 4), "b2": (2, 1), "X": (3, 7), "Y": (2, 7)}
Arrays = dict[str, np.ndarray[Any, Any]]


def kinds(point: Arrays, activation: Any = np.tanh, lam: float = 0.7) -> list[str]:
    """The blind spots of a network with one hidden layer at a point."""
    X, Y = point["X"], point["Y"]
    W1, b1, W2, b2 = (ag.Tensor(point[n], requires_grad=True) for n in ("W1", "b1", "W2", "b2"))
    J = in_columns(X, Y, W1, b1, W2, b2, activation)["J"] + lam * (np.sum(W1**2) + np.sum(W2**2))
    report = point_quality(J)
    assert bool(report) == (not report.blind_spots)
    assert json.loads(json.dumps(report.to_dict()))["ok"] == report.ok
    return [spot.kind for spot in report.blind_spots]


def test_proposed_point_hides_nothing() -> None:
    for seed in range(20):
        assert kinds(good_point(SIZES, seed=seed)) == []


def test_zero_biases_hide_their_regularisation() -> None:
    point = good_point(SIZES)
    assert kinds({**point, "b1": np.zeros((4, 1))}) == ["zero parameter"]


def test_a_term_with_factor_zero_hides_its_derivative() -> None:
    assert kinds(good_point(SIZES), lam=0.0) == ["zero factor"]


def test_one_label_hides_the_term_of_the_other() -> None:
    point = good_point(SIZES)
    assert "one label" in kinds({**point, "Y": np.ones((2, 7))})


@pytest.mark.parametrize(("m", "hides"), [(1, True), (2, True), (4, True), (5, False), (7, False)])
def test_few_examples_hide_sums_and_constants(m: int, hides: bool) -> None:
    sizes = {**SIZES, "X": (3, max(m, 2)), "Y": (2, max(m, 2))}
    point = {k: v[:, :m] if k in "XY" else v for k, v in good_point(sizes).items()}
    assert ("few examples" in kinds(point)) == hides


def test_square_weights_and_as_many_examples_as_units_are_named() -> None:
    square = {**SIZES, "W1": (3, 3), "b1": (3, 1), "W2": (2, 3)}
    assert kinds(good_point(square)) == ["square"]
    equal = {**SIZES, "X": (3, 3), "Y": (2, 3)}
    assert "equal sizes" in kinds(good_point(equal))


def test_tiny_weights_hide_the_derivative_of_tanh() -> None:
    point = good_point(SIZES)
    tiny = {**point, "W1": 1e-3 * point["W1"], "b1": 1e-3 * point["b1"]}
    assert kinds(tiny) == ["tiny weights"]


def test_dead_units_hide_their_rows() -> None:
    point = good_point(SIZES)
    b1 = point["b1"].copy()
    b1[2] = -100
    assert kinds({**point, "b1": b1}, ag.relu) == ["dead units"]


def test_a_kink_is_named() -> None:
    point = good_point(SIZES)
    X, b1 = point["X"].copy(), point["b1"].copy()
    X[:, 0] = b1[0] = 0
    assert "kink" in kinds({**point, "X": X, "b1": b1}, ag.relu)


def test_a_vector_of_units_and_a_cost_without_inputs_are_no_problem() -> None:
    w = ag.Tensor(np.array([0.5, -1.0]), requires_grad=True)
    assert point_quality(np.sum(np.tanh(w))).ok


def test_report_says_what_is_special_and_what_is_unseen() -> None:
    b = ag.Tensor(np.zeros((2, 1)), requires_grad=True, name="b")
    report = point_quality(np.sum((b - 1.0) ** 2), {})
    assert "b is zero" in str(report)
    assert str(report.blind_spots[0]) == f"b is zero: {report.blind_spots[0].unseen}."
    w = ag.Tensor(np.array([0.3]), requires_grad=True)
    assert str(point_quality(w * 2.0, {})) == "This point hides no kind of mistake that is known."


def test_labels_are_mixed_and_everything_else_is_normal() -> None:
    point = good_point({"Y": (1, 9), "T": (9, 3), "w": (5,)}, labels=("Y", "T"))
    assert set(point["Y"].ravel()) == {0.0, 1.0}
    assert point["T"].sum(axis=0).min() >= 1
    assert point["T"].sum(axis=1).tolist() == [1.0] * 9
    assert point["w"].shape == (5,)
    assert len(set(good_point({"Y": (6,)})["Y"])) == 2


def test_same_seed_gives_the_same_point() -> None:
    for name, array in good_point(SIZES, seed=3).items():
        np.testing.assert_array_equal(array, good_point(SIZES, seed=3)[name])


@pytest.mark.parametrize("shape", [4, (4, 0), (4, 2.0), [4, 3]])
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(TypeError, match=r"the shape of W is a tuple such as \(4, 3\)"):
        good_point({"W": shape})


def test_fewer_examples_than_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 examples for 2 classes"):
        good_point({"Y": (1, 1)})
