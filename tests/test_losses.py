"""Losses: against formulas, PyTorch and differences, at the edges, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.check import gradcheck
from autograd_mini.nn import functional as F  # noqa: N812 - as PyTorch's users write it

Array = Any
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def reduced(losses: Array, reduction: str) -> Array:
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def log_softmax(z: Array) -> Array:
    """Written down without our op."""
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


# ---- values and slopes --------------------------------------------------------------------------


@REDUCTIONS
@pytest.mark.parametrize("kind", ["labels", "one-hot of integers", "one-hot", "soft"])
def test_cross_entropy_takes_labels_one_hot_and_probabilities(
    rng: Any, reduction: str, kind: str
) -> None:
    z, labels = rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    soft = rng.dirichlet(np.ones(3), size=5)
    t = {
        "labels": labels,
        "one-hot of integers": np.eye(3, dtype=np.uint8)[labels],
        "one-hot": np.eye(3)[labels],
        "soft": soft,
    }[kind]
    probabilities = soft if kind == "soft" else np.eye(3)[labels]
    expected = reduced(-(probabilities * log_softmax(z)).sum(axis=-1), reduction)
    np.testing.assert_allclose(F.cross_entropy(z, t, reduction=reduction), expected, rtol=1e-13)
    assert gradcheck(lambda z: F.cross_entropy(z, t, reduction=reduction), z, order=2)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64])
@pytest.mark.parametrize("floats", [np.float32, np.float64])
def test_one_hot_of_any_dtype_keeps_the_dtype_of_the_logits(
    rng: Any, dtype: Any, floats: Any
) -> None:
    z = ag.Tensor(rng.normal(size=(4, 3)).astype(floats), requires_grad=True)
    labels = np.array([0, 2, 1, 1])
    loss = F.cross_entropy(z, np.eye(3, dtype=dtype)[labels])
    loss.backward(create_graph=True)
    assert z.grad is not None
    assert loss.dtype == z.grad.dtype == floats
    expected = (ag.softmax(z.data) - np.eye(3)[labels]) / 4
    np.testing.assert_allclose(z.grad.data, expected, rtol=1e-5, atol=1e-7)


@REDUCTIONS
def test_binary_cross_entropy_is_its_formula(rng: Any, reduction: str) -> None:
    p, t = rng.uniform(0.05, 0.95, size=(2, 4, 1))
    expected = reduced(-t * np.log(p) - (1 - t) * np.log(1 - p), reduction)
    np.testing.assert_allclose(F.binary_cross_entropy(p, t, reduction=reduction), expected)
    assert gradcheck(lambda p, t: F.binary_cross_entropy(p, t, reduction=reduction), p, t, order=2)


@REDUCTIONS
def test_binary_cross_entropy_of_logits_is_that_of_their_sigmoid(rng: Any, reduction: str) -> None:
    z, t = rng.normal(size=(4, 1)), np.array([[0.0], [1.0], [1.0], [0.3]])
    np.testing.assert_allclose(
        F.binary_cross_entropy_with_logits(z, t, reduction=reduction),
        F.binary_cross_entropy(ag.sigmoid(z), t, reduction=reduction),
    )


@REDUCTIONS
@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)])
def test_nll_loss_of_log_softmax_is_cross_entropy(rng: Any, reduction: str, shape: Any) -> None:
    z, labels = rng.normal(size=shape), rng.integers(0, 3, size=shape[:-1])
    for t in (labels, np.eye(3)[labels], rng.dirichlet(np.ones(3), size=shape[:-1])):
        np.testing.assert_allclose(
            F.nll_loss(ag.log_softmax(z), t, reduction=reduction),
            F.cross_entropy(z, t, reduction=reduction),
        )
        assert gradcheck(lambda z, t=t: F.nll_loss(ag.log_softmax(z), t, reduction=reduction), z)


@REDUCTIONS
def test_mse_loss_is_its_formula(rng: Any, reduction: str) -> None:
    y, t = rng.normal(size=(2, 4, 3))
    np.testing.assert_allclose(
        F.mse_loss(y, t, reduction=reduction), reduced((y - t) ** 2, reduction)
    )
    assert gradcheck(lambda y, t: F.mse_loss(y, t, reduction=reduction), y, t, order=2)


@REDUCTIONS
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss", "binary", "logits", "mse_loss"])
def test_losses_and_their_gradients_are_those_of_pytorch(
    rng: Any, name: str, reduction: str
) -> None:
    torch = pytest.importorskip("torch")
    x, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, size=6)
    targets: Array = labels if name in ("cross_entropy", "nll_loss") else rng.random((6, 4))
    if name == "nll_loss":
        x = log_softmax(x)
    if name == "binary":
        x = 1 / (1 + np.exp(-x))
    full = {"binary": "binary_cross_entropy", "logits": "binary_cross_entropy_with_logits"}.get(
        name, name
    )
    ours, theirs = ag.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss = getattr(F, full)(ours, targets, reduction=reduction)
    expected = getattr(torch.nn.functional, full)(
        theirs, torch.from_numpy(targets), reduction=reduction
    )
    np.sum(loss).backward()
    expected.sum().backward()
    np.testing.assert_allclose(loss.data, expected.detach().numpy(), rtol=1e-12)
    assert ours.grad is not None
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, F.mse_loss])
def test_losses_keep_the_dtype(rng: Any, loss: Any) -> None:
    y = ag.Tensor(rng.random(5).astype(np.float32), requires_grad=True)
    value = loss(y, rng.random(5).astype(np.float32))
    value.backward()
    assert y.grad is not None
    assert value.dtype == y.grad.dtype == np.float32


def test_losses_take_array_likes() -> None:
    assert F.binary_cross_entropy([0.5], [1]) == pytest.approx(np.log(2))
    assert F.nll_loss([[-1.0, -2.0]], [1]) == 2.0
    assert F.mse_loss([1.0, 2.0], ag.Tensor([1.0, 0.0])).item() == 2.0
    assert F.cross_entropy([[0.0, 0.0]], [[0, 1]]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_targets_of_two_classes_may_be_of_any_dtype(dtype: Any) -> None:
    p = np.array([0.9, 0.2])
    t = np.array([1, 0], dtype)
    expected = -np.log([0.9, 0.8])
    np.testing.assert_allclose(F.binary_cross_entropy(p, t, reduction="none"), expected)
    z = np.log(p / (1 - p))
    loss = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    np.testing.assert_allclose(loss, expected)


# ---- at the edges -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_finite_at_0_and_1(dtype: Any) -> None:
    p = ag.Tensor(np.array([0, 0, 1, 1], dtype), requires_grad=True)
    t = np.array([0, 1, 0, 1], dtype)
    with np.errstate(all="raise"):
        losses = F.binary_cross_entropy(p, t, reduction="none")
        np.sum(losses).backward()
    assert losses.tolist() == [0.0, 100.0, 100.0, 0.0]
    assert p.grad is not None
    # where a term is cut off it has no slope; the other term has the slope of the logarithm at 1
    assert p.grad.tolist() == [1.0, 0.0, 0.0, -1.0]


def test_binary_cross_entropy_is_cut_off_where_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    p = np.array([0.0, 1e-320, 1e-43, 1e-40, 1e-10, 0.5, 1.0])
    for t in (np.zeros(7), np.ones(7)):
        expected = torch.nn.functional.binary_cross_entropy(
            torch.from_numpy(p), torch.from_numpy(t), reduction="none"
        )
        losses = F.binary_cross_entropy(p, t, reduction="none")
        np.testing.assert_allclose(losses, expected.numpy(), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_behind_a_sigmoid_never_gives_nan(dtype: Any) -> None:
    z = ag.Tensor(np.linspace(-900, 900, 1801).astype(dtype), requires_grad=True)
    for t in (np.zeros(1801, dtype), np.ones(1801, dtype)):
        z.grad = None
        F.binary_cross_entropy(ag.sigmoid(z), t, reduction="sum").backward()
        assert z.grad is not None
        assert np.all(np.isfinite(z.grad.data))
        assert np.all(np.abs(z.grad.data) <= 1)
        near = np.abs(z.data) <= 15
        expected = ag.sigmoid(z.data) - t
        np.testing.assert_allclose(z.grad.data[near], expected[near], atol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        lambda: F.cross_entropy(np.zeros((0, 3)), np.zeros(0, int)),
        lambda: F.cross_entropy(np.zeros((0, 3)), np.zeros((0, 3))),
        lambda: F.nll_loss(np.zeros((0, 3)), np.zeros(0, int)),
        lambda: F.mse_loss(np.zeros((0, 3)), np.zeros((0, 3))),
        lambda: F.binary_cross_entropy(np.zeros(0), np.zeros(0)),
        lambda: F.binary_cross_entropy_with_logits(np.zeros(0), np.zeros(0)),
    ],
)
def test_a_mean_over_no_examples_is_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match="there are no examples"):
        loss()


def test_a_sum_over_no_examples_is_0() -> None:
    assert F.cross_entropy(np.zeros((0, 3)), np.zeros(0, int), reduction="sum") == 0
    assert F.nll_loss(np.zeros((0, 3)), np.zeros(0, int), reduction="sum") == 0
    assert F.binary_cross_entropy(np.zeros(0), np.zeros(0), reduction="none").shape == (0,)


def test_a_nan_stays_one() -> None:
    both = np.array([0.5, np.nan])
    for loss in (F.binary_cross_entropy, F.mse_loss):
        assert np.isnan(loss(both, np.array([1.0, 1.0])))
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss):
        assert np.isnan(loss(np.array([0.5, 0.5]), both))
    p = ag.Tensor(both, requires_grad=True)
    F.binary_cross_entropy(p, np.array([1.0, 0.0])).backward()
    assert p.grad is not None
    assert np.isnan(p.grad.data).tolist() == [False, True]


def test_gradients_can_be_checked_at_targets_of_0_and_1() -> None:
    z, t = np.array([0.3, -0.2]), np.array([0.0, 1.0])
    assert gradcheck(F.binary_cross_entropy_with_logits, z, t)
    assert gradcheck(lambda t: F.binary_cross_entropy(ag.sigmoid(z), t), t)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64])
def test_squared_errors_of_small_integers_do_not_wrap(dtype: Any) -> None:
    y, t = np.array([0, 100]).astype(dtype), np.array([1, 0]).astype(dtype)
    expected = np.square(y.astype(float) - t.astype(float))
    loss = F.mse_loss(y, t, reduction="none")
    assert (loss.dtype, loss.tolist()) == (np.float64, expected.tolist())


def test_nll_loss_takes_outputs_that_are_whole() -> None:
    assert F.nll_loss(np.array([[-1, -2], [-3, 0]]), np.array([0, 0])) == 2.0


# ---- wrong operands -----------------------------------------------------------------------------

N, ROW, COLUMN = np.zeros(4), np.zeros((4, 3)), np.zeros((4, 1))

WRONG = {
    "outputs in a column, targets not": (
        lambda: F.mse_loss(COLUMN, N),
        r"targets have shape \(4,\), and outputs \(4, 1\): write targets\.reshape\(\(4, 1\)\)",
    ),
    "targets in a column, outputs not": (
        lambda: F.binary_cross_entropy(N, COLUMN),
        r"targets have shape \(4, 1\), and outputs \(4,\): write targets\.reshape\(\(4,\)\)",
    ),
    "the same of logits": (
        lambda: F.binary_cross_entropy_with_logits(COLUMN, N),
        r"targets have shape \(4,\), and outputs \(4, 1\): write",
    ),
    "targets of other examples": (
        lambda: F.mse_loss(ROW, np.zeros((5, 3))),
        r"targets have shape \(5, 3\), and outputs \(4, 3\)$",
    ),
    "logits for probabilities": (
        lambda: F.binary_cross_entropy(N - 2, N),
        r"reach from -2 to -2, but they are in \[0, 1\]: apply sigmoid, .*_with_logits",
    ),
    "more than certain": (lambda: F.binary_cross_entropy(N + 1.5, N), "reach from 1.5 to 1.5"),
    "classes -1 and 1": (
        lambda: F.binary_cross_entropy_with_logits(N, np.array([-1, 1, 1, -1])),
        "targets are 0 or 1 or between them, but these reach from -1 to 1",
    ),
    "classes 1 and 2": (
        lambda: F.binary_cross_entropy(N, np.array([1, 2, 1, 2], np.uint8)),
        "targets are 0 or 1 or between them, but these reach from 1 to 2",
    ),
    "classes -1 and 1 as floats": (
        lambda: F.binary_cross_entropy_with_logits(N, np.array([-1.0, 1.0, 1.0, -1.0])),
        "but these reach from -1 to 1",
    ),
    "a target above 1 in a Tensor": (
        lambda: F.binary_cross_entropy(N, ag.Tensor([0.0, 1.0, 2.0, 1.0])),
        "but these reach from 0 to 2",
    ),
    "a probability above 1 beside a NaN": (
        lambda: F.binary_cross_entropy(np.array([np.nan, 0.0, 2.0, 1.0]), N),
        "reach from 0 to 2, but they are in",
    ),
    "classes of the shape of the outputs": (
        lambda: F.cross_entropy(np.zeros((2, 3)), np.array([[0, 1, 2], [2, 1, 0]])),
        r"\(2, 3\), and are integers, but not one-hot: class labels have one axis less, \(2,\)",
    ),
    "a label for each class": (
        lambda: F.nll_loss(np.zeros(3), np.array([0, 1, 1])),
        r"not one-hot: class labels have one axis less, \(\)",
    ),
    "logits that are one number": (
        lambda: F.cross_entropy(np.array(1.0), np.array(0)),
        r"outputs of shape \(\) have no classes",
    ),
    "no classes": (
        lambda: F.cross_entropy(np.zeros((4, 0)), np.zeros(4, int)),
        r"outputs of shape \(4, 0\) have no classes",
    ),
    "labels in a column": (
        lambda: F.cross_entropy(ROW, np.zeros((4, 1), int)),
        r"labels have shape \(4, 1\), and these outputs \(4, 3\): give \(4,\), the number",
    ),
    "labels of other examples": (
        lambda: F.nll_loss(ROW, np.zeros(5, int)),
        r"labels have shape \(5,\), and these outputs \(4, 3\): give \(4,\), the number",
    ),
    "outputs that are one number": (
        lambda: F.nll_loss(np.float64(-1.0), np.zeros(1, int)),
        r"outputs of shape \(\) have no classes",
    ),
    "labels that are floats": (
        lambda: F.cross_entropy(ROW, N),
        r"labels of shape \(4,\) .* are integers, but these are float64: .*astype\(int\)",
    ),
    "labels of nll_loss that are floats": (
        lambda: F.nll_loss(ROW, N),
        r"labels of shape \(4,\) .* are integers, but these are float64",
    ),
    "labels from 1": (
        lambda: F.cross_entropy(ROW, np.array([1, 2, 3, 1])),
        r"a label is 3, but classes are 0\.\.2",
    ),
    "a label below 0": (
        lambda: F.nll_loss(ROW, np.array([0, -1, 2, 1])),
        r"a label is -1, but classes are 0\.\.2",
    ),
    "one class": (
        lambda: F.cross_entropy(COLUMN, COLUMN),
        "always 0: .* use binary_cross_entropy_with_logits",
    ),
    "probabilities for their logarithms": (
        lambda: F.nll_loss(ROW + 1 / 3, np.zeros(4, int)),
        r"at most 0, and the largest output is 0\.3333: apply log_softmax",
    ),
    "an unknown reduction": (
        lambda: F.mse_loss(N, N, reduction="average"),
        "reduction is 'mean', 'sum' or 'none', not 'average'",
    ),
}


@pytest.mark.parametrize(("call", "complaint"), WRONG.values(), ids=WRONG)
def test_wrong_operands_are_named_and_the_way_out_is_told(call: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        call()


def test_targets_of_tensors_are_checked_likewise() -> None:
    outputs = ag.Tensor(COLUMN, requires_grad=True)
    for loss in (F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with pytest.raises(ValueError, match=r"targets have shape \(4,\), and outputs \(4, 1\)"):
            loss(outputs, ag.Tensor(N))
    with pytest.raises(ValueError, match=r"a label is 3, but classes are 0\.\.2"):
        F.nll_loss(ag.Tensor(ROW), ag.Tensor(np.array([0, 3, 1, 1])))


def test_nll_loss_takes_labels_in_a_tensor() -> None:
    assert F.nll_loss(ag.Tensor([[-1.0, -2.0]]), ag.Tensor(np.array([1]))).item() == 2.0
