"""The history of a training run: its columns, its table, its picture."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from autograd_mini.training import History

COLUMNS = {
    "loss": [2.25, 1.5, 1.0],
    "penalty": [0.5, 0.25, 0.125],
    "accuracy": [0.5, 0.75, 0.875],
    "validation loss": [2.5, 1.75, 1.25],
    "validation accuracy": [0.25, 0.5, 0.75],
    "lr": [0.1, 0.1, 0.01],
    "seconds": [1.0, 1.0, 1.0],
}


def test_columns_are_lists_of_plain_numbers() -> None:
    history = History({"loss": [np.float32(0.5), 1]})
    assert history["loss"] == [0.5, 1.0]
    assert [type(number) for number in history["loss"]] == [float, float]
    assert history.epochs == 2
    assert dict(History(COLUMNS)) == COLUMNS


def test_epochs_are_appended_to_all_columns() -> None:
    history = History()
    assert history.epochs == 0
    history.append({"loss": 1.0, "lr": 0.1})
    history.append({"loss": np.float64(0.5), "lr": 0.1})
    assert history == {"loss": [1.0, 0.5], "lr": [0.1, 0.1]}
    assert history.epochs == 2
    for row in ({"loss": 1.0}, {"loss": 1.0, "lr": 0.1, "more": 2.0}):
        with pytest.raises(ValueError, match=r"the columns are \['loss', 'lr'\]"):
            history.append(row)
    assert history.epochs == 2


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="'loss': 2, 'lr': 1"):
        History({"loss": [1.0, 2.0], "lr": [0.1]})


def test_the_table_is_aligned_and_the_middle_of_a_long_one_is_left_out() -> None:
    assert repr(History()) == "History of no epochs"
    lines = repr(History(COLUMNS)).splitlines()
    assert lines[0].split("  ")[:2] == ["epoch", "loss"]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["1", "2.25", "0.5", "0.5", "2.5", "0.25", "0.1", "1"]
    long = repr(History({"loss": list(np.linspace(1, 0, 100))})).splitlines()
    assert [line.split()[0] for line in long] == [
        "epoch", "1", "2", "3", "4", "5", "6", "...", "95", "96", "97", "98", "99", "100",
    ]  # fmt: skip
    assert len(repr(History({"loss": [1.0] * 12})).splitlines()) == 13


def test_the_picture_has_the_loss_left_and_the_metrics_right(tmp_path: Path) -> None:
    figure = History(COLUMNS).plot()
    assert [axes.get_subplotspec().colspan.start for axes in figure.axes] == [0, 1]
    for axes, name in zip(figure.axes, ["loss", "accuracy"], strict=True):
        assert axes.get_ylabel() == name
        assert axes.get_xlabel() == "epoch"
        training, validation = axes.get_lines()
        assert list(training.get_xdata()) == [1, 2, 3]
        assert list(training.get_ydata()) == COLUMNS[name]
        assert list(validation.get_ydata()) == COLUMNS[f"validation {name}"]
        assert validation.get_color() != training.get_color()
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        assert legend == ["training", "validation"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_one_epoch_is_visible_and_epochs_are_whole_numbers() -> None:
    axes = History({"loss": [0.5]}).plot().axes[0]
    assert axes.get_lines()[0].get_marker() == "o"
    for epochs in (2, 3, 30):
        figure = History({"loss": [0.5] * epochs}).plot()
        figure.draw_without_rendering()
        assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="no epochs"):
        History().plot()


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'autograd-mini\[demo\]'"):
        History(COLUMNS).plot()
