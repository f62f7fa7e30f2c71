"""``examples/08_regression.py``: it runs, and its network is as good as scikit-learn's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from scripts import EXAMPLES, finished


def run(folder: Path, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the example in its short setting."""
    script = EXAMPLES / "08_regression.py"
    return finished(script, folder, "--short", "--out", "here", without=without)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The example, run once; its picture is checked here."""
    pytest.importorskip("sklearn", reason="the data set comes with scikit-learn")
    folder = tmp_path_factory.mktemp("regression")
    done = run(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "here" / "08_regression.png").read_bytes().startswith(b"\x89PNG")
    return done


@pytest.mark.slow
def test_the_gradients_agree_three_ways(done: subprocess.CompletedProcess[str]) -> None:
    rows = re.findall(r"^(d[WB][123]) .*\) +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    assert [name for name, _, _ in rows] == ["dW1", "dW2", "dW3", "dB1", "dB2", "dB3"]
    assert max(float(by_hand) for _, by_hand, _ in rows) < 1e-14
    assert max(float(numerical) for _, _, numerical in rows) < 1e-8


@pytest.mark.slow
def test_gradient_descent_by_hand_and_with_modules_gives_the_same_losses(
    done: subprocess.CompletedProcess[str],
) -> None:
    rows = re.findall(r"^after +\d+ steps +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    assert len(rows) == 4
    assert all(by_hand == with_modules for by_hand, with_modules in rows)
    losses = [float(by_hand) for by_hand, _ in rows]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.slow
def test_in_cross_validation_it_is_as_good_as_scikit_learn(
    done: subprocess.CompletedProcess[str],
) -> None:
    found = {
        name: (float(r2), float(error))
        for name, r2, error in re.findall(
            r"^(autograd_mini|scikit-learn|least squares) +(\S+) \+- \S+ +(\S+) \+- \S+$",
            done.stdout,
            re.MULTILINE,
        )
    }
    ours, theirs = found["autograd_mini"], found["scikit-learn"]
    assert ours[0] >= theirs[0] > 0.4
    assert ours[1] <= theirs[1] < 50
    assert found["least squares"][0] == pytest.approx(0.49, abs=0.02)


def test_without_scikit_learn_it_says_what_to_install(tmp_path: Path) -> None:
    missing = run(tmp_path, without="sklearn")
    assert missing.returncode == 1
    assert "pip install 'autograd-mini[examples]'" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1
    assert missing.stdout == ""
    assert list(tmp_path.iterdir()) == []
