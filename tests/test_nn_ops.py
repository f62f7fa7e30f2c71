"""The fused ops of neural networks: like their twins, and clear about wrong operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_ops import agree

import autograd_mini as ag
from autograd_mini.nn.ops import binary_cross_entropy_with_logits, cross_entropy, linear

Array = Any
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def reduced(losses: Any, reduction: str) -> Any:
    """What is left of the losses, as one number."""
    return {"mean": np.mean, "sum": np.sum, "none": np.sum}[reduction](losses)


# ---- twins --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 5, 3)])
def test_linear_agrees_with_its_twin(rng: Any, shape: Any) -> None:
    agree(
        lambda x, w, b: np.sum(linear(x, w, b) ** 2),
        lambda x, w, b: np.sum((x @ w.T + b) ** 2),
        *[rng.normal(size=size) for size in [shape, (4, 3), (4,)]],
    )


@REDUCTIONS
def test_cross_entropy_of_labels_agrees_with_its_twin(rng: Any, reduction: str) -> None:
    labels = np.array([0, 2, 1, 1])
    agree(
        lambda z: np.sum(cross_entropy(z, labels, reduction=reduction)),
        lambda z: reduced(-np.log(ag.softmax(z))[np.arange(4), labels], reduction),
        rng.normal(size=(4, 3)),
    )


@REDUCTIONS
def test_cross_entropy_of_probabilities_agrees_with_its_twin(rng: Any, reduction: str) -> None:
    agree(
        lambda z, t: np.sum(cross_entropy(z, t, reduction=reduction)),
        lambda z, t: reduced(np.sum(-t * np.log(ag.softmax(z)), axis=-1), reduction),
        *rng.normal(size=(2, 4, 3)),
    )


@REDUCTIONS
def test_binary_cross_entropy_agrees_with_its_twin(rng: Any, reduction: str) -> None:
    agree(
        lambda z, t: np.sum(binary_cross_entropy_with_logits(z, t, reduction=reduction)),
        lambda z, t: reduced(
            -t * np.log(ag.sigmoid(z)) - (1 - t) * np.log(1 - ag.sigmoid(z)), reduction
        ),
        *rng.uniform(0.1, 0.9, size=(2, 4, 3)),
    )


@REDUCTIONS
def test_labels_are_the_same_as_their_one_hot_probabilities(rng: Any, reduction: str) -> None:
    z, labels = rng.normal(size=(2, 5, 3)), rng.integers(0, 3, size=(2, 5))
    np.testing.assert_allclose(
        cross_entropy(z, labels, reduction=reduction),
        cross_entropy(z, np.eye(3)[labels], reduction=reduction),
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_labels_may_be_of_any_integer_dtype(rng: Any, dtype: Any) -> None:
    logits = ag.Tensor(rng.normal(size=(3, 3)), requires_grad=True)
    cross_entropy(logits, np.array([0, 1, 2], dtype)).backward()
    expected = (ag.softmax(logits.data) - np.eye(3)) / 3
    np.testing.assert_allclose(logits.grad.data, expected)


def test_logits_may_lie_in_memory_in_any_order(rng: Any) -> None:
    x, labels = rng.normal(size=(2, 3, 5)), rng.integers(0, 3, size=(2, 5))
    leaf = ag.Tensor(x, requires_grad=True)
    cross_entropy(leaf.swapaxes(1, 2), labels, reduction="sum").backward()
    expected = ag.softmax(x, axis=1) - np.moveaxis(np.eye(3)[labels], -1, 1)
    np.testing.assert_allclose(leaf.grad.data, expected)


def test_whole_targets_do_not_change_the_dtype_of_the_gradient() -> None:
    logits = ag.Tensor(np.array([1.0, -1.0], np.float32), requires_grad=True)
    binary_cross_entropy_with_logits(logits, np.array([1, 0])).backward()
    assert logits.grad.dtype == np.float32
    np.testing.assert_allclose(logits.grad.data, [-0.13447072, 0.13447072], rtol=1e-6)


# ---- wrong operands -----------------------------------------------------------------------------

LOGITS = ag.Tensor(np.zeros((2, 3)), name="scores")

WRONG: dict[str, Callable[[Any], Any]] = {
    "too few labels": lambda z: cross_entropy(z, np.array([0])),
    "labels in a column": lambda z: cross_entropy(z, np.array([[0], [1]])),
    "labels that are not whole": lambda z: cross_entropy(z, np.array([0.0, 1.0])),
    "labels that are booleans": lambda z: cross_entropy(z, np.array([True, False])),
    "probabilities of other classes": lambda z: cross_entropy(z, np.zeros((2, 4))),
    "a negative label": lambda z: cross_entropy(z, np.array([0, -1])),
    "unknown reduction": lambda z: cross_entropy(z, np.array([0, 1]), reduction="avg"),
    "targets of another shape": lambda z: binary_cross_entropy_with_logits(z, np.zeros(3)),
    "targets in a column": lambda z: binary_cross_entropy_with_logits(z[:, 0], np.zeros((2, 1))),
    "unknown reduction of pairs": lambda z: binary_cross_entropy_with_logits(
        z, np.zeros((2, 3)), reduction="avg"
    ),
    "weight that is a vector": lambda z: linear(z, np.zeros(3), np.zeros(3)),
    "bias of another length": lambda z: linear(z, np.zeros((4, 3)), np.zeros(3)),
    "bias in a row": lambda z: linear(z, np.zeros((4, 3)), np.zeros((1, 4))),
    "weight for other inputs": lambda z: linear(z, np.zeros((4, 2)), np.zeros(4)),
    "transposed weight": lambda z: linear(z, np.zeros((3, 4)), np.zeros(3)),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_wrong_operands_raise_and_are_named_with_their_shapes(call: Any) -> None:
    with pytest.raises(ValueError, match=r"\w+\(.*shape \(2,.*\) float64.*\): ."):
        call(LOGITS)
    with pytest.raises(ValueError, match=r"."):
        call(LOGITS.data)


def test_labels_beyond_the_classes_raise() -> None:
    for logits in (LOGITS, LOGITS.data):
        with pytest.raises(ValueError, match=r"a label is 3, but classes are 0\.\.2"):
            cross_entropy(logits, np.array([0, 3]))


def test_documented_array_likes_are_taken_without_tensors() -> None:
    assert linear([1.0, 2.0], [[3.0, 4.0]], [5.0]).tolist() == [16.0]
    assert cross_entropy([[0.0, 0.0]], [1]) == pytest.approx(np.log(2))
    assert binary_cross_entropy_with_logits([0.0], [1]) == pytest.approx(np.log(2))


def test_array_likes_are_taken_beside_tensors() -> None:
    assert linear(ag.Tensor([1.0, 2.0]), [[3.0, 4.0]], [5.0]).tolist() == [16.0]
    assert cross_entropy(LOGITS, [1, 2]).item() == pytest.approx(np.log(3))
    loss = binary_cross_entropy_with_logits(ag.Tensor([0.0]), [1])
    assert loss.item() == pytest.approx(np.log(2))


def test_a_product_of_floats_takes_a_bias_of_doubles() -> None:
    x, weight = np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)
    y = linear(x, weight, np.array([1e-9]))
    assert y.dtype == np.float64
    assert y.tolist() == [[3 + 1e-9]] * 2
