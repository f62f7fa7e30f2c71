"""Iris, Titanic, MNIST and the grid search: each example runs, and its key numbers are right.

They run in the short setting. The accuracies asked for here are a little below what the examples
reach in full, of which `examples/` says how it is measured.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import scripts
from scripts import EXAMPLES, SHARED, finished

needs_titanic = pytest.mark.skipif(
    not (SHARED / "titanic_train.csv").is_file(), reason="Kaggle's files are not at hand"
)
needs_mnist = pytest.mark.skipif(
    not (SHARED / "mnist").is_dir(), reason="the files of MNIST are not at hand"
)


def printed(script: str, folder: Path, *options: str) -> str:
    """Run an example in its short setting, look at its picture, and return what it prints."""
    text = scripts.printed(EXAMPLES / script, folder, "--short", "--out", "pictures", *options)
    (name,) = re.findall(r"^picture: (.+)$", text, flags=re.MULTILINE)
    picture = (folder / name).read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.endswith(b"IEND\xaeB`\x82")
    assert len(picture) > 20_000
    assert [path.name for path in (folder / "pictures").iterdir()] == [Path(name).name]
    return text


def percent(pattern: str, text: str) -> float:
    """Return the number before the percent sign that ends a pattern, which occurs once."""
    (number,) = re.findall(pattern + r" *(\d+(?:\.\d+)?)%", text, flags=re.MULTILINE)
    return float(number)


def three_ways(text: str) -> list[str]:
    """Return the names of the gradients in the table of three ways, which agree to rounding."""
    rows = re.findall(r"^(\w+) +\(.*?\) +(\S+) +(\S+)$", text, flags=re.MULTILINE)
    assert max(float(row[1]) for row in rows) < 1e-12
    assert max(float(row[2]) for row in rows) < 1e-7
    return [row[0] for row in rows]


@pytest.mark.slow
def test_iris_by_hand_and_by_layers_and_what_matters(tmp_path: Path) -> None:
    text = printed("05_iris.py", tmp_path)
    assert three_ways(text) == ["dW1", "dW2", "dW3", "dB1", "dB2", "dB3"]
    losses = re.findall(r"^after +(\d+) steps +(\S+) +(\S+)$", text, flags=re.MULTILINE)
    assert [row[0] for row in losses] == ["0", "10", "100", "500"]
    for _, by_hand, by_layers in losses:
        assert abs(float(by_hand) - float(by_layers)) <= 1e-9
    assert float(losses[-1][1]) < 0.05

    assert percent(r"all zero .*?", text) == 33.3
    different = dict(re.findall(r"^  (.+?) +L = .* (\d+) different", text, flags=re.MULTILINE))
    assert different["all zero"] == different["all equal 0.5"] == "1"
    assert different["normal, He"] == different["uniform -1..1"] == "16"
    assert percent(r"normal, He .*?", text) > 95

    small = re.findall(r"^  (none|L1|L2).* (\d+) weights below", text, flags=re.MULTILINE)
    counts = {name: int(count) for name, count in small}
    assert counts["none"] < counts["L2"] < counts["L1"]
    assert counts["L1"] > 56, "most of 112"

    _, validated = text.split("cross-validation")
    assert percent(r"-1 to 1", validated) >= 95
    assert percent(r"standardised", validated) >= 95


@pytest.mark.slow
@needs_titanic
def test_titanic_beats_the_simple_answers_in_cross_validation(tmp_path: Path) -> None:
    text = printed("06_titanic.py", tmp_path, "--data", str(SHARED), "--csv", "predictions.csv")
    assert percent("^everybody dies", text) == 61.6
    assert percent("^women survive", text) == 78.7
    assert three_ways(text) == ["dW1", "dB1", "dW2", "dB2"]
    assert percent(r"^  mean", text) >= 81
    groups = re.findall(
        r"^  (women|men|children), class (\d) +(\d+) +(\d+)% +(\d+)%$", text, flags=re.MULTILINE
    )
    assert sum(int(row[2]) for row in groups) == 891
    shares = {(row[0], row[1]): (int(row[3]), int(row[4])) for row in groups}
    assert len(shares) == 9
    assert min(shares["women", "1"]) > 90
    assert max(shares["men", "3"]) < 20

    header, *lines = (tmp_path / "predictions.csv").read_text(encoding="ascii").splitlines()
    assert header == "PassengerId,Survived"
    assert [int(line.split(",")[0]) for line in lines] == list(range(892, 1310))
    assert {line.split(",")[1] for line in lines} == {"0", "1"}


def test_titanic_without_its_files_says_where_they_come_from_and_what_to_do(tmp_path: Path) -> None:
    done = finished(EXAMPLES / "06_titanic.py", tmp_path, "--data", ".")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "train.csv" in done.stderr
    assert "Kaggle" in done.stderr
    assert done.stderr.endswith("python examples/06_titanic.py --data FOLDER\n")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--lenet"]], ids=["network", "LeNet"])
def test_mnist_runs_in_a_fresh_clone_on_the_digits_that_ship(
    options: list[str], tmp_path: Path
) -> None:
    text = printed("07_mnist.py", tmp_path, *options)
    assert "MNIST is not at hand" in text
    assert three_ways(text) == (["dW", "dB"] if options else ["dW1", "dW2", "dW3"])
    parameters = "61,706" if options else "109,386"
    assert f")  {parameters} parameters\n" in text
    assert percent(r"\n(?=.*% of the 359 test images)", text) >= 80


@pytest.mark.slow
@needs_mnist
def test_mnist_learns_from_four_thousand_images(tmp_path: Path) -> None:
    text = printed("07_mnist.py", tmp_path, "--data", str(SHARED))
    assert "at hand" not in text
    assert percent(r"\n(?=.*% of the 10,000 test images)", text) >= 91
    assert re.search(r"^  +\d+ times \d was taken for \d$", text, flags=re.MULTILINE)


def test_mnist_without_its_files_says_where_they_come_from_and_what_to_do(tmp_path: Path) -> None:
    done = finished(EXAMPLES / "07_mnist.py", tmp_path, "--data", ".")
    assert done.returncode == 1
    assert "train-images-idx3-ubyte" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("python examples/07_mnist.py --data FOLDER\n")


@pytest.mark.parametrize("script", ["06_titanic.py", "07_mnist.py"])
def test_without_pooch_nothing_is_downloaded_and_it_says_what_to_install(
    script: str, tmp_path: Path
) -> None:
    done = finished(EXAMPLES / script, tmp_path, without="pooch")
    assert done.returncode == 1
    assert "pip install 'autograd-mini[examples]'" in done.stderr
    assert "--data FOLDER" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_grid_search_tries_all_and_tests_once_on_digits_put_away(tmp_path: Path) -> None:
    text = printed("09_grid_search.py", tmp_path)
    assert three_ways(text) == ["dW1", "dB1", "dW2", "dB2"]
    assert "12 combinations" in text
    table = re.findall(r"^64\S* +\S+ +(\d.*)$", text, flags=re.MULTILINE)
    scores = [float(number) for row in table for number in re.findall(r"(\S+)%", row)]
    assert len(scores) == 12
    assert percent(r"^best: .*:", text) == max(scores)
    assert percent(r"^trained on all 1438,", text) >= 90
