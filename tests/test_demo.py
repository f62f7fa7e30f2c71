"""The command ``autograd-mini demo``: what it prints and writes, and how it fails."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import cli, demo
from autograd_mini.data import one_hot

NAMES = ["dZ2", "dW2", "db2", "dZ1", "dW1", "db1"]


def small_problem() -> tuple[demo.Examples, list[np.ndarray]]:
    """Return examples and parameters with pairwise distinct sizes and nothing near zero."""
    rng = np.random.default_rng(1)
    n0, n1, n2, m = 4, 5, 3, 7
    examples = demo.Examples(rng.standard_normal((n0, m)), one_hot(rng.integers(n2, size=m), n2).T)
    shapes = [(n1, n0), (n1, 1), (n2, n1), (n2, 1)]
    return examples, [rng.standard_normal(shape) for shape in shapes]


def cost_by_loops(examples: demo.Examples, at: list[Any]) -> complex:
    """Return J, one example and one unit at a time; right for complex parameters too."""
    W1, b1, W2, b2 = at
    m = examples.X.shape[1]
    total = 0
    for j in range(m):
        x, right = examples.X[:, j], examples.Y[:, j].argmax()
        a1 = [np.tanh(sum(W1[i] * x) + b1[i, 0]) for i in range(len(W1))]
        z2 = [sum(W2[k] * a1) + b2[k, 0] for k in range(len(W2))]
        total -= z2[right] - np.log(sum(np.exp(z2)))
    return total / m


def complex_step_gradients(examples: demo.Examples, at: list[np.ndarray]) -> list[np.ndarray]:
    """Return the gradients of `cost_by_loops`, exact to rounding (Squire and Trapp, 1998)."""
    gradients = []
    for which, array in enumerate(at):
        gradient = np.empty_like(array)
        for index in np.ndindex(array.shape):
            moved = [part.astype(complex) for part in at]
            moved[which][index] += 1e-30j
            gradient[index] = cost_by_loops(examples, moved).imag / 1e-30
        gradients.append(gradient)
    return gradients


def test_hand_derived_gradients_equal_an_independent_check() -> None:
    examples, at = small_problem()
    hand = demo.hand_derived_gradients(examples, at)
    assert list(hand) == NAMES
    for name, exact in zip(
        ("dW1", "db1", "dW2", "db2"), complex_step_gradients(examples, at), strict=True
    ):
        np.testing.assert_allclose(hand[name], exact, rtol=1e-12, atol=1e-14)


def test_autodiff_gradients_equal_those_by_hand() -> None:
    examples, at = small_problem()
    hand = demo.hand_derived_gradients(examples, at)
    step = demo.recorded_step(examples, at)
    assert list(step.gradients) == NAMES
    for name in NAMES:
        np.testing.assert_allclose(step.gradients[name], hand[name], rtol=1e-12, atol=1e-15)


def test_gradients_by_hand_are_right_in_the_convention_of_the_lecture() -> None:
    examples, at = small_problem()
    step = demo.recorded_step(examples, at)
    report = ag.compare(step.J, demo.hand_derived_gradients(examples, at), step.names)
    assert report
    assert [line.name for line in report.lines if line.verdict == "convention"] == ["dZ2", "dZ1"]
    np.testing.assert_allclose([line.scale for line in report.lines], [7, 1, 1, 7, 1, 1])


def test_compare_names_the_slip_and_what_follows_from_it() -> None:
    examples, at = small_problem()
    step = demo.recorded_step(examples, at)
    report = ag.compare(step.J, demo.hand_derived_gradients(examples, at, slip=True), step.names)
    assert report.first_wrong == "dZ1"
    lines = {line.name: line for line in report.lines}
    assert lines["dZ1"].causes == ("wrong operand",)
    assert lines["dZ1"].formula == "dZ1 = W2.T @ dZ2 * (1 - A1**2)"
    assert [name for name, line in lines.items() if line.verdict == "follows"] == ["dW1", "db1"]


def test_numerical_gradients_equal_those_by_hand_and_leave_the_parameters_alone() -> None:
    examples, at = small_problem()
    before = [array.copy() for array in at]
    numerical = demo.numerical_gradients(examples, at)
    hand = demo.hand_derived_gradients(examples, at)
    assert sorted(numerical) == ["dW1", "dW2", "db1", "db2"]
    for name, gradient in numerical.items():
        np.testing.assert_allclose(gradient, hand[name], rtol=1e-7, atol=1e-9)
    for array, kept in zip(at, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_cost_is_the_mean_of_the_cross_entropies() -> None:
    examples, at = small_problem()
    *_, A2 = demo.forward(examples.X, *at)
    L, J = demo.cost(A2, examples.Y)
    assert L.shape == (1, 7)
    np.testing.assert_allclose(J, cost_by_loops(examples, at), rtol=1e-13)


def test_a_step_of_training_is_one_of_gradient_descent() -> None:
    examples, _ = small_problem()
    parameters = demo.initial_parameters(4, 5, 3, np.random.default_rng(0))
    before = [array.copy() for array in demo.arrays(parameters)]
    curve, kept = demo.train(parameters, examples, examples, steps=1, kept_step=0)
    gradients = demo.hand_derived_gradients(examples, before)
    for parameter, old, at_step, name in zip(
        demo.arrays(parameters), before, kept, ("dW1", "db1", "dW2", "db2"), strict=True
    ):
        np.testing.assert_array_equal(at_step, old)
        np.testing.assert_allclose(parameter, old - demo.LEARNING_RATE * gradients[name])
    np.testing.assert_allclose(curve.cost, np.real(cost_by_loops(examples, before)))
    assert curve.accuracy == curve.held_out_accuracy


def test_weights_start_small_and_random_and_biases_at_zero() -> None:
    W1, b1, W2, b2 = demo.arrays(demo.initial_parameters(64, 32, 10, np.random.default_rng(0)))
    for W in (W1, W2):
        np.testing.assert_allclose(W.std(), 0.01, rtol=0.1)
    assert not b1.any()
    assert not b2.any()


def test_largest_difference_is_relative_to_the_largest_number_of_its_gradient() -> None:
    hand = {"dZ1": np.array([[3.0, 4.0]]), "dW1": np.array([[1.0], [-2.0]]), "db1": np.array([8.0])}
    numerical = {"dW1": np.array([[1.0], [-2.25]]), "db1": np.array([8.5])}
    assert demo.largest_difference(hand, numerical) == 0.125


def test_short_demo_prints_all_gradients_and_writes_all_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert cli.main(["demo", "--out", str(folder), "--steps", "30"]) == 0
    printed = capsys.readouterr()
    right, wrong = printed.out.split("Now with a slip")
    for name in NAMES:
        assert re.search(rf"^{name} .* right", right, flags=re.MULTILINE), right
        verdict = {"dZ1": "wrong", "db1": "follows", "dW1": "follows"}.get(name, "right")
        assert re.search(rf"^{name} .* {verdict}", wrong, flags=re.MULTILINE), wrong
    assert "Z1 where A1 belongs" in wrong
    for path in folder.iterdir():
        assert str(path) in printed.out
    assert "cost=" in printed.err, "the progress bar belongs to stderr"
    assert "cost=" not in printed.out

    graph = (folder / "graph.gv").read_text(encoding="utf-8")
    for name in ("X", "Y", "W1", "b1", "Z1", "A1", "W2", "b2", "Z2", "A2", "L", "J"):
        assert re.search(rf"\b{name}\b", graph), name
    for picture in ("learning_curve.svg", "graph.svg"):
        assert ElementTree.parse(folder / picture).getroot().tag.endswith("svg")
    derivation = (folder / "derivation.txt").read_text(encoding="utf-8")
    assert "dZ2 = A2 - Y" in derivation
    assert "dZ1 = (W2^T dZ2) (.) (1 - A1^2)" in derivation
    assert "A_2 - Y" in (folder / "derivation.tex").read_text(encoding="utf-8")
    assert "dZ2 = A2 - Y" in (folder / "derivation.py").read_text(encoding="utf-8")
    assert "Z1 where A1 belongs" in (folder / "backprop.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_demo_draws_without_graphviz_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program, *rest, **options: None)
    assert cli.main(["demo", "--out", str(tmp_path), "--steps", "1"]) == 0
    assert ElementTree.parse(tmp_path / "graph.svg").getroot().tag.endswith("svg")


@pytest.mark.slow
def test_demo_writes_the_same_bytes_each_time_also_over_its_own_files(tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        assert cli.main(["demo", "--out", str(tmp_path), "--steps", "2"]) == 0
        runs.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert runs[0] == runs[1]


@pytest.mark.slow
def test_full_demo_reaches_95_percent_on_the_held_out_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    found = re.search(r"([\d.]+)% of the held-out images", capsys.readouterr().out)
    assert found is not None
    assert float(found[1]) >= 95


def no_training(*arguments: object) -> None:
    raise AssertionError("the demo started")


def test_out_that_is_a_file_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "demo", no_training)
    path = tmp_path / "file"
    path.touch()
    assert cli.main(["demo", "--out", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"autograd-mini: error: {path} is not a folder: choose another --out\n"
    )
    assert cli.main(["demo", "--out", str(path / "below")]) == 2
    assert f"cannot write into {path / 'below'} (Not a directory)" in capsys.readouterr().err


def test_out_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(demo, "demo", no_training)
    monkeypatch.setattr(cli.tempfile, "TemporaryFile", refuse)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"autograd-mini: error: cannot write into {tmp_path} (Permission denied): "
        "choose another --out\n"
    )


@pytest.mark.parametrize("missing", ["matplotlib", "tqdm"])
def test_missing_extra_is_named(
    missing: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "autograd_mini.demo")
    assert cli.main(["demo", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"needs {missing}" in error
    assert "pip install 'autograd-mini[demo]'" in error
    assert not (tmp_path / "out").exists()


def test_other_missing_module_is_not_blamed_on_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "autograd_mini.data", None)
    monkeypatch.delitem(sys.modules, "autograd_mini.demo")
    assert cli.main(["demo", "--out", str(tmp_path)]) == 3
    error = capsys.readouterr().err
    assert error.startswith("autograd-mini: error: a fault of autograd-mini")
    assert "Traceback" in error
    assert "autograd_mini.data" in error


def test_a_file_that_cannot_be_written_later_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "graph.svg").mkdir()
    assert cli.main(["demo", "--out", str(tmp_path), "--steps", "1"]) == 2
    assert capsys.readouterr().err.endswith(
        f"autograd-mini: error: cannot write {tmp_path / 'graph.svg'} (Is a directory): choose "
        f"another --out\n"
    )


def test_interrupt_ends_with_status_3_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "train", interrupted)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 3
    assert capsys.readouterr().err == "\nautograd-mini: interrupted\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [[], ["train"], ["demo", "--steps", "0"], ["demo", "--steps", "x"], ["demo", "--seed", "-1"]],
)
def test_arguments_that_make_no_sense_end_with_status_2_and_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "usage: autograd-mini" in capsys.readouterr().err


def test_help_names_the_options_and_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--help"]) == 0
    printed = capsys.readouterr().out
    for words in ("--out DIR", "autograd_mini_demo", "--steps N", "1000", "--seed N"):
        assert words in printed
