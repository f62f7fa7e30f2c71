"""fit: the loop does what one would write by hand, and bad input stops it before it begins."""

from __future__ import annotations

import contextlib
import io
import math
import sys
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn, optim
from autograd_mini.data import batches
from autograd_mini.training import History, accuracy, fit

F = nn.functional
X = np.random.default_rng(1).standard_normal((50, 3))
Y = (X[:, 0] > X[:, 1]).astype(int)


class Case:
    """A small network with all that is needed to train it."""

    def __init__(self, seed: int = 0, lr: float = 0.05) -> None:
        rng = np.random.default_rng(seed)
        self.model = nn.Sequential(
            nn.Linear(3, 8, rng=rng), nn.ReLU(), nn.Dropout(0.25, rng=rng), nn.Linear(8, 2, rng=rng)
        )
        self.optimizer = optim.Adam(self.model.parameters(), lr=lr)
        self.schedule = optim.CosineLR(self.optimizer, total=100)
        self.rng = np.random.default_rng(seed + 100)

    def fit(self, **changed: Any) -> History:
        """Train it, with some arguments of `fit` changed."""
        arguments = {
            "model": self.model,
            "loss": F.cross_entropy,
            "optimizer": self.optimizer,
            "X": X,
            "y": Y,
            "epochs": 3,
            "batch_size": 16,
            "rng": self.rng,
            **changed,
        }
        return fit(**arguments)

    @property
    def weights(self) -> bytes:
        """All numbers of the model."""
        return b"".join(array.tobytes() for array in self.model.state_dict().values())


def penalty(model: nn.Module) -> Any:
    return nn.l2_penalty(model, 0.01)


# ---- the loop -----------------------------------------------------------------------------------


def test_fit_is_the_loop_that_one_would_write() -> None:
    case, by_hand = Case(), Case()
    history = case.fit(
        schedule=case.schedule,
        penalty=penalty,
        metrics={"accuracy": accuracy, "spread": lambda outputs, y: np.ptp(outputs)},
        validation=(X[:21] + 0.1, Y[:21]),
    )
    model, optimizer = by_hand.model, by_hand.optimizer
    expected: dict[str, list[float]] = {name: [] for name in history if name != "seconds"}
    for _ in range(3):
        expected["lr"].append(optimizer.lr)
        rows = []
        model.train()
        for X_batch, y_batch in batches(X, Y, 16, by_hand.rng):
            outputs = model(ag.Tensor(X_batch))
            cost, extra = F.cross_entropy(outputs, y_batch), penalty(model)
            optimizer.zero_grad()
            (cost + extra).backward()
            optimizer.step()
            by_hand.schedule.step()
            values = cost.item(), extra.item(), accuracy(outputs, y_batch), np.ptp(outputs.data)
            rows.append([len(X_batch), *values])
        sizes = np.array([row[0] for row in rows])
        for i, name in enumerate(["loss", "penalty", "accuracy", "spread"], start=1):
            expected[name].append(np.sum(sizes * [row[i] for row in rows]) / len(X))
        model.eval()
        with ag.no_grad():
            outputs = model(X[:21] + 0.1)
        expected["validation loss"].append(F.cross_entropy(outputs, Y[:21]).item())
        expected["validation accuracy"].append(accuracy(outputs, Y[:21]))
        spreads = [np.ptp(outputs.data[:16]), np.ptp(outputs.data[16:])]
        expected["validation spread"].append((16 * spreads[0] + 5 * spreads[1]) / 21)
    assert case.weights == by_hand.weights
    assert list(history) == [
        "loss", "penalty", "accuracy", "spread",
        "validation loss", "validation accuracy", "validation spread", "lr", "seconds",
    ]  # fmt: skip
    for name, column in expected.items():
        assert history[name] == pytest.approx(column, rel=1e-12), name
    assert history["lr"][0] > history["lr"][2]
    assert all(0 < seconds < 60 for seconds in history["seconds"])


def test_the_same_seeds_give_the_same_run_and_others_another() -> None:
    one, same, other = Case(), Case(), Case()
    histories = [
        one.fit(), same.fit(), other.fit(rng=np.random.default_rng(5)),
    ]  # fmt: skip
    assert one.weights == same.weights != other.weights
    assert histories[0]["loss"] == histories[1]["loss"] != histories[2]["loss"]


def test_validation_changes_nothing_in_the_training() -> None:
    one, other = Case(), Case()
    one.fit()
    other.fit(validation=(X, Y), metrics={"accuracy": accuracy})
    assert one.weights == other.weights


def test_a_model_learns() -> None:
    history = Case().fit(epochs=30, validation=(X, Y), metrics={"accuracy": accuracy})
    assert history["validation loss"][-1] < 0.3 * history["validation loss"][0]
    assert history["validation accuracy"][-1] > 0.9


def test_no_epochs_change_nothing() -> None:
    case = Case()
    before = case.weights
    assert case.fit(epochs=0) == {}
    assert case.weights == before


def test_a_batch_may_be_larger_than_the_data_and_one_example_is_enough() -> None:
    for rows, size in ((50, 1000), (1, 32), (1, 1)):
        case = Case()
        case.fit(X=X[:rows], y=Y[:rows], batch_size=size, epochs=2)
        assert case.optimizer.steps == 2


def test_data_of_other_kinds_are_taken() -> None:
    case = Case()
    case.fit(X=X.tolist(), y=Y.tolist(), epochs=1)
    case.fit(X=X.astype(np.float32), y=Y.astype(np.uint8), epochs=1)
    case.fit(X=(X > 0), y=np.stack([Y, 1 - Y], axis=1), epochs=1, metrics={"accuracy": accuracy})
    case.fit(X=ag.Tensor(X), y=ag.Tensor(Y), epochs=1)


def test_only_what_the_optimizer_holds_is_trained() -> None:
    case = Case()
    before = case.model.state_dict()
    last = optim.SGD(case.model[3].parameters(), lr=0.1)
    case.fit(optimizer=last)
    after = case.model.state_dict()
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed == ["3.weight", "3.bias"]


def test_the_mode_is_left_as_it_was_found_also_after_an_error() -> None:
    class Spy(nn.Module):
        def __init__(self) -> None:
            self.modes: dict[str, list[bool]] = {"training": [], "validation": []}

        def forward(self, x: Any) -> Any:
            self.modes["training" if ag.core.graph.listening().recording else "validation"].append(
                self.training
            )
            return x

    case = Case()
    spy = Spy()
    model = nn.Sequential(case.model, spy)
    model.eval()
    case.model[2].train()
    for loss in (F.cross_entropy, lambda outputs, y: 1 / 0):
        modes = [module.training for module in model.modules()]
        with contextlib.suppress(ZeroDivisionError):
            case.fit(model=model, loss=loss, validation=(X, Y))
        assert [module.training for module in model.modules()] == modes
    assert set(spy.modes["training"]) == {True}
    assert set(spy.modes["validation"]) == {False}
    assert len(spy.modes["validation"]) == 3 * math.ceil(50 / 16)


# ---- bad input ----------------------------------------------------------------------------------


def with_bad(row: int, value: float) -> np.ndarray:
    data = X.copy()
    data[row, 1] = value
    return data


BAD = {
    "rows": ({"y": Y[:-1]}, ValueError, "X and y must have a row .* 50 and 49 rows"),
    "no rows": ({"X": X[:0], "y": Y[:0]}, ValueError, r"X of shape \(0, 3\) has no examples"),
    "no columns": ({"X": X[:, :0]}, ValueError, r"X of shape \(50, 0\) has no examples"),
    "a number": ({"y": 3}, ValueError, r"y of shape \(\) has no examples"),
    "NaN": ({"X": with_bad(17, np.nan)}, ValueError, "X has NaN or infinity, first in row 17:"),
    "infinity": ({"X": with_bad(0, -np.inf)}, ValueError, "first in row 0:"),
    "NaN in y": ({"y": with_bad(49, np.nan)}, ValueError, "y has NaN or infinity, .* row 49:"),
    "text": ({"y": ["a"] * 50}, TypeError, "y must hold numbers, not <U1"),
    "objects": ({"X": [[None] * 3] * 50}, TypeError, "X must hold numbers, not object"),
    "epochs": ({"epochs": -1}, ValueError, "epochs must be at least 0, not -1"),
    "half epochs": ({"epochs": 1.5}, TypeError, "epochs must be a whole number, not 1.5"),
    "batch size": ({"batch_size": 0}, ValueError, "batch_size must be at least 1, not 0"),
    "seed": ({"rng": 0}, TypeError, r"rng must be .*Generator, not int: .*default_rng\(seed\)"),
    "old generator": ({"rng": np.random.RandomState(0)}, TypeError, "not RandomState"),
    "function": ({"model": np.tanh}, TypeError, "model must be a nn.Module, not ufunc"),
    "no parameters": ({"model": nn.ReLU()}, ValueError, "no parameters that want a gradient"),
    "no optimizer": ({"optimizer": 0.1}, TypeError, "optimizer must be one of .*optim, not 0.1"),
    "strange optimizer": (
        {"optimizer": Case().optimizer}, ValueError, "holds none of the model's parameters",
    ),
    "strange schedule": (
        {"schedule": Case().schedule}, ValueError, "schedule is that of another optimizer",
    ),
    "no schedule": ({"schedule": 0.1}, TypeError, "schedule must be one of"),
    "validation": ({"validation": X}, ValueError, r"validation must be a pair \(X, y\)"),
    "triple": ({"validation": (X, Y, Y)}, ValueError, r"validation must be a pair \(X, y\)"),
    "validation rows": (
        {"validation": (X, Y[:3])}, ValueError, "validation X and validation y .* 50 and 3 rows",
    ),
    "validation columns": (
        {"validation": (X[:, :2], Y)}, ValueError,
        r"rows of validation X have shape \(2,\), and those of X \(3,\)",
    ),
    "validation targets": (
        {"validation": (X, Y[:, np.newaxis])}, ValueError, r"validation y have shape \(1,\)",
    ),
    "mask": ({"X": np.ma.masked_less(X, 0)}, ValueError, "X has masked values"),
    "validation NaN": (
        {"validation": (with_bad(4, np.nan), Y)}, ValueError, "validation X has NaN .* row 4:",
    ),
    "metrics": ({"metrics": [accuracy]}, TypeError, "metrics must be a dict"),
    "metric": ({"metrics": {"accuracy": 0.5}}, TypeError, "'accuracy' is not a function"),
    "metric's name": (
        {"metrics": {"loss": accuracy}}, ValueError, "no metric can be named 'loss'",
    ),
    "checkpoint": ({"checkpoint": "run.pt"}, ValueError, r"ends in \.npz, not run\.pt"),
    "folder": ({"checkpoint": "no/where/run.npz"}, FileNotFoundError, "folder .* does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_any_training(name: str) -> None:
    changed, kind, message = BAD[name]
    case = Case()
    before, state, calls = case.weights, case.rng.bit_generator.state, []
    with pytest.raises(kind, match=message):
        case.fit(**{"loss": lambda *pair: calls.append(1), **changed})
    assert case.weights == before
    assert case.rng.bit_generator.state == state
    assert not calls


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"loss": lambda outputs, y: 0.5}, TypeError, "the loss must be a Tensor, not float"),
        (
            {"loss": lambda outputs, y: F.cross_entropy(outputs, y, reduction="none")},
            ValueError,
            r"the loss has shape \(16,\), and must be one number",
        ),
        ({"penalty": lambda model: 0.5}, TypeError, "the penalty must be a Tensor, not float"),
        ({"y": Y + 5}, (ValueError, IndexError), "5|label"),
    ],
)
def test_a_loss_that_is_none_changes_nothing(changed: Any, kind: Any, message: str) -> None:
    case = Case()
    before = case.weights
    with pytest.raises(kind, match=message):
        case.fit(**changed)
    assert case.weights == before


# ---- numbers that are not finite ----------------------------------------------------------------


def poisoned(part: str, after: int) -> Any:
    """A loss that is not finite, or whose gradient is not, from some call on."""
    nothing_with_infinite_slope = ag.elementwise(
        lambda x, out=None: np.multiply(x, 0.0, out=out), "0 $x", x=lambda g: g * np.inf
    )
    calls = []

    def loss(outputs: Any, y: Any) -> Any:
        calls.append(1)
        value = F.cross_entropy(outputs, y)
        if len(calls) <= after:
            return value
        if part == "loss":
            return value * np.nan
        return value + np.sum(nothing_with_infinite_slope(outputs))

    return loss


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run_before_the_update(part: str) -> None:
    # 4 batches to an epoch: what a run of 5 updates leaves is what is left
    case, stopped_before = Case(), Case()
    stopped_before.fit(epochs=1)
    X_batch, y_batch = next(batches(X, Y, 16, stopped_before.rng))
    stopped_before.model.train()
    stopped_before.optimizer.zero_grad()
    F.cross_entropy(stopped_before.model(X_batch), y_batch).backward()
    stopped_before.optimizer.step()
    with (
        pytest.raises(FloatingPointError, match=rf"{part} .* epoch 2, batch 2 of 4") as caught,
        np.errstate(all="ignore"),
    ):
        case.fit(loss=poisoned(part, after=5))
    assert case.weights == stopped_before.weights
    assert case.optimizer.steps == 5
    for advice in ("at lr=0.05", "smaller learning rate", "ag.debug()", "clip_grad_norm", "before"):
        assert advice in str(caught.value)


def test_a_run_that_diverges_is_stopped() -> None:
    case = Case()
    case.optimizer = optim.SGD(case.model.parameters(), lr=1e200)
    with pytest.raises(FloatingPointError), np.errstate(all="ignore"):
        case.fit()


def test_weights_that_are_not_finite_do_not_count_as_trained() -> None:
    class Product(nn.Module):
        def __init__(self) -> None:
            self.weight = ag.Tensor(np.ones(3), requires_grad=True)

        def forward(self, x: Any) -> Any:
            return x @ self.weight

    model = Product()
    optimizer = optim.SGD(model.parameters(), lr=1e308)
    with (
        pytest.raises(FloatingPointError, match=r"a weight .* after epoch 1, at lr=1e\+308"),
        np.errstate(all="ignore"),
    ):
        fit(model, lambda outputs, y: np.sum(outputs) * 100, optimizer, X, Y, epochs=3,
            batch_size=50, rng=np.random.default_rng(0))  # fmt: skip


# ---- progress -----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", [None, True, False])
def test_nothing_is_printed_where_nobody_looks(
    progress: bool | None, capsys: pytest.CaptureFixture[str]
) -> None:
    Case().fit(progress=progress)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for progress in (None, True, False):
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        Case().fit(progress=progress)
        if progress is False:
            assert not stream.getvalue()
        else:
            last = stream.getvalue().split("\r")[-1]
            assert "epoch 3/3: 100%" in last
            assert "12/12" in last
            assert "loss=" in last


def test_without_tqdm_a_run_is_silent_and_who_asks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    one, other = Case(), Case()
    one.fit(progress=False)
    other.fit()
    assert one.weights == other.weights
    assert not stream.getvalue()
    case = Case()
    before = case.weights
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'autograd-mini\[demo\]'"):
        case.fit(progress=True)
    assert case.weights == before


# ---- accuracy -----------------------------------------------------------------------------------


def test_accuracy_counts_the_right_rows() -> None:
    outputs = np.array([[3.0, 1.0, 2.0], [0.0, 0.5, -1.0], [1.0, 2.0, 3.0], [0.0, -1.0, -2.0]])
    labels = np.array([0, 1, 1, 0])
    assert accuracy(outputs, labels) == 0.75
    assert accuracy(ag.Tensor(outputs, requires_grad=True), ag.Tensor(labels)) == 0.75
    assert accuracy(outputs, np.eye(3)[labels]) == 0.75
    assert type(accuracy(outputs, labels)) is float


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (np.zeros((4, 1)), np.zeros((4, 1)), "say where the boundary lies"),
        (np.zeros(4), np.zeros(4), "say where the boundary lies"),
        (np.zeros((4, 3)), np.zeros(3), r"need targets of shape \(4,\) or \(4, 3\), not \(3,\)"),
        (np.zeros((4, 3)), np.zeros((4, 1)), r"not \(4, 1\)"),
        (np.zeros((4, 3, 2)), np.zeros((4, 3, 2)), r"shape \(n, classes\)"),
    ],
)
def test_accuracy_refuses_what_it_cannot_judge(outputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy(outputs, targets)
