"""``examples/10_week5_digits.py``: it runs, with the course's files and without, and says so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scripts import EXAMPLES, SHARED, finished


def run(
    folder: Path, *options: str, data: Path | None = None, without: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the example in its short setting."""
    script = EXAMPLES / "10_week5_digits.py"
    return finished(
        script, folder, "--short", "--out", "here", *options, data=data, without=without
    )


def accuracies(printed: str) -> list[float]:
    """Return the percentages that training printed."""
    return [float(found) for found in re.findall(r"^  accuracy (\S+)% of", printed, re.MULTILINE)]


@pytest.mark.slow
def test_without_the_files_it_says_where_they_come_from_and_trains_on_what_ships(
    tmp_path: Path,
) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert " -0.0092782524 -0.0092782524 -0.0092782524\n" in done.stdout
    assert "here 7.4070 and 19.474" in done.stdout
    assert "exercise 4 of Stanford's\nMachine Learning course" in done.stdout
    assert "1,438 digits of 8x8 pixels to train on, and 359 held out" in done.stdout
    assert re.search(r"^D2 +\(12,\)", done.stdout, re.MULTILINE)
    assert re.search(r"all 1,885 entries would take \d+ s, by autodiff \d+ ms", done.stdout)
    assert len(accuracies(done.stdout)) == 4  # CG and L-BFGS-B, on training and held-out images
    assert min(accuracies(done.stdout)) > 80
    picture = tmp_path / "here" / "10_week5_digits.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHARED / "ex4data1.npz").is_file() or not (SHARED / "ex4weights.mat").is_file(),
    reason="the files of the course's exercise 4 are not at hand, and may not be redistributed",
)
@pytest.mark.parametrize(("options", "data"), [(["--data", str(SHARED)], None), ([], SHARED)])
def test_with_the_files_it_gives_the_published_numbers(
    tmp_path: Path, options: list[str], data: Path | None
) -> None:
    done = run(tmp_path, *options, data=data)
    assert (done.returncode, done.stderr) == (0, "")
    for J in ("0.287629", "0.383770", "0.576051"):
        assert f"J published {J}, by hand {J}, by autodiff {J}\n" in done.stdout
    assert "accuracy published 97.52%, here 97.52%" in done.stdout
    assert len(accuracies(done.stdout)) == 2
    assert min(accuracies(done.stdout)) > 80
    assert (tmp_path / "here" / "10_week5_digits.png").is_file()


def fake_files(folder: Path, **changes: np.ndarray) -> None:
    """Write files like those of the exercise, which hold zeros."""
    savemat = pytest.importorskip("scipy.io").savemat
    labels = np.arange(5000).reshape(-1, 1) % 10 + 1
    arrays = {"X": np.zeros((5000, 400), np.float32), "y": labels}
    np.savez_compressed(folder / "ex4data1.npz", **{**arrays, **changes})
    savemat(folder / "ex4weights.mat", {"Theta1": np.zeros((25, 401)), "Theta2": np.eye(10, 26)})


def test_a_given_folder_without_the_files_is_an_error_that_says_what_is_missing(
    tmp_path: Path,
) -> None:
    done = run(tmp_path, "--data", str(tmp_path))
    assert done.returncode == 1
    assert "has no ex4data1.npz or .mat with ex4weights.mat" in done.stderr
    assert "exercise 4" in done.stderr
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("library", ["scipy", "tqdm"])
def test_without_a_library_it_says_at_once_what_to_install(tmp_path: Path, library: str) -> None:
    done = run(tmp_path, without=library)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{library} is not installed: pip install 'autograd-mini[examples]'\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ex4data1.npz", "ex4weights.mat"])
@pytest.mark.parametrize("kept", [0, 100])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, kept: int) -> None:
    fake_files(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:kept])
    done = run(tmp_path, data=tmp_path)
    assert done.returncode == 1
    assert f"{name} cannot be read: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"X": np.zeros((5000, 399))}, r"X must be an array of (5000, 400) finite numbers"),
        ({"X": np.full((5000, 400), np.nan)}, r"X must be an array of (5000, 400) finite numbers"),
        ({"y": np.zeros((5000, 1), int)}, "the labels y must be 1 to 10, and here are [0]"),
    ],
)
def test_arrays_that_are_not_those_of_the_exercise_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray], said: str
) -> None:
    fake_files(tmp_path, **changes)
    done = run(tmp_path, data=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
