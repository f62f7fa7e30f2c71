"""The commands ``reference``, ``check`` and ``explore``: gradients from any language."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import cli, exchange
from autograd_mini.exchange import load_model, read_arrays, reference, write_arrays

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "examples" / "model.py"
CPP = ROOT / "examples" / "one_hidden_layer.cpp"
DOCS = ROOT / "docs" / "other_languages.md"
KINDS = [".npz", ".json", ".csv"]


def by_hand(mistake: str = "") -> dict[str, Any]:
    """The six gradients as the lecture has them, dZ without 1/m."""
    values = load_model(MODEL).values
    X, Y, W2, A1, A2 = (values[name] for name in ("X", "Y", "W2", "A1", "A2"))
    dZ2 = A2 - Y
    dZ1 = W2.T @ dZ2 * (1 if mistake == "dZ1" else 1 - A1**2)
    return {
        "dZ2": dZ2,
        "dW2": dZ2 @ A1.T / 5,
        "db2": np.sum(dZ2, axis=1, keepdims=True) / 5,
        "dZ1": dZ1,
        "dW1": dZ1 @ X.T / 5,
        "db1": np.sum(dZ1, axis=1, keepdims=True) / 5,
    }


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run models in this process: another takes longer, and test_cli_statuses.py looks at it."""
    monkeypatch.setattr(cli, "apart", lambda options, words: options.run(options))


def check(*words: object) -> int:
    return cli.main(["check", str(MODEL), *map(str, words)])


# ---- reference ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_reference_writes_what_it_lists(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"reference{kind}"
    assert cli.main(["reference", str(MODEL), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    expected, got = reference(load_model(MODEL)), read_arrays(out).arrays
    assert list(got) == list(expected)
    for name, array in expected.items():
        assert np.array_equal(got[name], array)
        shape = "x".join(map(str, array.shape)) or "a number"
        assert re.search(rf"^{name} +{shape}$", printed.out, flags=re.MULTILINE)
    assert f"19 arrays are in {out}" in printed.out
    assert printed.err == ""


def test_reference_into_a_folder_that_is_not_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "missing" / "a.csv"
    assert cli.main(["reference", str(MODEL), "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"autograd-mini: error: cannot write {out} (No such file or directory): choose another "
        f"--out\n"
    )
    (tmp_path / "a.csv").mkdir()
    assert cli.main(["reference", str(MODEL), "--out", str(tmp_path / "a.csv")]) == 2
    assert "(Is a directory)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_model_too_large_for_a_text_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "TEXT_LIMIT", 10_000)
    model = tmp_path / "model.py"
    model.write_text("import numpy as np\nX_all = np.ones(9_000)\n" + MODEL.read_text())
    assert cli.main(["reference", str(model), "--out", str(tmp_path / "a.csv")]) == 2
    assert "the largest array is X_all" in capsys.readouterr().err


def test_what_a_model_prints_does_not_stand_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.py"
    model.write_text("import numpy as np\nprint('hello')\n" + MODEL.read_text())
    grads = write_arrays(tmp_path / "a.json", by_hand())
    assert cli.main(["check", str(model), str(grads), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["ok"] is True
    assert printed.err == "hello\n"


# ---- check --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_right_gradients_end_with_status_0(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(write_arrays(tmp_path / f"a{kind}", by_hand())) == 0
    printed = capsys.readouterr()
    assert "dZ1" in printed.out
    assert printed.err == ""


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_gradients_end_with_status_1_and_the_line(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(write_arrays(tmp_path / f"a{kind}", by_hand("dZ1"))) == 1
    assert re.search(r"^dZ1 .*wrong", capsys.readouterr().out, flags=re.MULTILINE)


def test_a_reference_passes_its_own_check(tmp_path: Path) -> None:
    out = tmp_path / "reference.csv"
    assert cli.main(["reference", str(MODEL), "--out", str(out)]) == 0
    assert check(out) == 0


def test_json_is_one_object_with_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for mistake, right in (("", True), ("dZ1", False)):
        grads = write_arrays(tmp_path / "a.npz", by_hand(mistake))
        assert check(grads, "--json") == (0 if right else 1)
        printed = json.loads(capsys.readouterr().out)
        assert printed["ok"] is right
        assert printed["forward"] == []


def test_a_hint_tells_no_more_than_it_should(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grads = write_arrays(tmp_path / "a.npz", by_hand("dZ1"))
    texts = []
    for hint in range(4):
        assert check(grads, "--hint", hint) == 1
        texts.append(capsys.readouterr().out)
    assert "dZ1" not in texts[0]
    assert "dZ1" in texts[1]
    assert "1 - A1" not in texts[1]
    assert "A1" in texts[3]
    assert len(set(texts)) == 4


@pytest.mark.parametrize(("order", "status"), [("F", 0), ("C", 1)])
@pytest.mark.parametrize("kind", [".csv", ".json"])
def test_flat_lists_column_by_column_are_right_when_that_is_said(
    kind: str, order: str, status: int, tmp_path: Path
) -> None:
    flat = {name: array.ravel("F") for name, array in by_hand().items()}
    assert check(write_arrays(tmp_path / f"a{kind}", flat), "--order", order) == status


@pytest.mark.parametrize("digits", [5, 7, 12])
@pytest.mark.parametrize("notation", ["g", "f", "e"])
def test_rounded_numbers_are_right_and_said_to_be_rounded(
    digits: int, notation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grads = tmp_path / "a.csv"

    def write(mistake: str) -> None:
        lines = [
            f"{name},{'x'.join(map(str, array.shape))},"
            + ",".join(f"{x:.{digits}{notation}}" for x in array.ravel())
            for name, array in by_hand(mistake).items()
        ]
        grads.write_text("\n".join(lines))

    write("")
    assert check(grads) == 0
    assert re.match(r"the longest numbers have \d+ digits", capsys.readouterr().err)
    write("dZ1")
    assert check(grads) == 1


def test_float32_from_another_language_is_right(tmp_path: Path) -> None:
    single = {name: array.astype(np.float32) for name, array in by_hand().items()}
    for kind in KINDS:
        assert check(write_arrays(tmp_path / f"a{kind}", single)) == 0


def test_a_wrong_value_on_the_way_forward_is_named_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Z1 = load_model(MODEL).values["Z1"].copy()
    grads = write_arrays(tmp_path / "a.csv", {**by_hand(), "Z1": Z1})
    assert check(grads) == 0
    Z1[3, 1] += 0.5
    grads = write_arrays(tmp_path / "a.csv", {**by_hand(), "Z1": Z1})
    capsys.readouterr()
    assert check(grads) == 1
    assert capsys.readouterr().out.startswith("Z1[3, 1] is 0.5 away from the value in the model")
    assert check(grads, "--json") == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] is False
    assert len(printed["forward"]) == 1


def test_a_file_without_a_gradient_of_the_model_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grads = write_arrays(tmp_path / "a.csv", {"Z1": np.ones((4, 5)), "delta2": [1.0], "dX": [1.0]})
    assert check(grads) == 2
    assert capsys.readouterr().err == (
        f"autograd-mini: error: {grads} has no gradient of this model: they are named dA2, dZ2, "
        f"db2, dW2, dA1, dZ1, db1, dW1\n"
    )


@pytest.mark.parametrize("subcommand", ["reference", "check"])
def test_bad_input_is_one_message_and_status_2(
    subcommand: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_arrays(tmp_path / "a.csv", by_hand())

    def error(model: Path, grads: Path) -> str:
        words = ["--out", str(grads)] if subcommand == "reference" else [str(grads)]
        assert cli.main([subcommand, str(model), *words]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("autograd-mini: error: ")
        assert "Traceback" not in printed.err
        return printed.err

    missing = tmp_path / "missing.py"
    assert error(missing, good).endswith(f"{missing}: No such file or directory\n")
    assert error(tmp_path, good).endswith("is a folder, not a file\n")
    broken = tmp_path / "broken.py"
    broken.write_text("def cost(W1):\n    return W1 @ nothing\nW1 = 1.0\n")
    assert error(broken, good).endswith(
        f"{broken}, line 2: NameError: name 'nothing' is not defined\n    return W1 @ nothing\n"
    )
    if subcommand == "check":
        assert error(MODEL, tmp_path / "no.csv").endswith("no.csv: No such file or directory\n")
        for content in (b"", b"\xff", b"d\x1b[2J,1,2\n", b"dW1,2,nan,1\n"):
            good.write_bytes(content)
            assert error(MODEL, good)[:-1].isprintable()


# ---- explore ------------------------------------------------------------------------------------


def recorded(page: Path) -> dict[str, Any]:
    """The data in a page."""
    found = re.search(r'id="record">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_explore_writes_a_page_of_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert cli.main(["explore", str(MODEL), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"open {out} in a browser\n", "")
    data = recorded(out)
    assert {"W1", "b1", "W2", "b2", "Z1", "A2"} <= {node["name"] for node in data["nodes"]}
    assert data["manual"] is None


def test_explore_writes_into_the_current_folder_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # its own page is replaced
        assert cli.main(["explore", str(MODEL)]) == 0
        assert [path.name for path in tmp_path.iterdir()] == ["backprop.html"]


@pytest.mark.parametrize("kind", KINDS)
def test_explore_shows_gradients_by_hand_from_a_file(kind: str, tmp_path: Path) -> None:
    grads = write_arrays(tmp_path / f"a{kind}", by_hand("dZ1"))
    out = tmp_path / "page.html"
    words = ["explore", str(MODEL), "--manual", str(grads), "--out", str(out)]
    assert cli.main(words) == 0
    manual = recorded(out)["manual"]
    verdicts = {line["name"]: line["verdict"] for line in manual["lines"]}
    assert verdicts["dZ2"] == "convention"
    assert verdicts["dW2"] == "right"
    assert verdicts["dZ1"] == "wrong"
    assert verdicts["dW1"] == "follows"


@pytest.mark.parametrize(("order", "wrong"), [("F", False), ("C", True)])
def test_explore_reads_flat_lists_in_the_order_that_is_said(
    order: str, wrong: bool, tmp_path: Path
) -> None:
    flat = {name: array.ravel("F") for name, array in by_hand().items()}
    grads = write_arrays(tmp_path / "a.csv", flat)
    out = tmp_path / "page.html"
    words = ["explore", str(MODEL), "--manual", str(grads), "--out", str(out)]
    assert cli.main([*words, "--order", order]) == 0
    assert (recorded(out)["manual"]["first_wrong"] is not None) == wrong


def test_explore_does_not_take_rounded_numbers_for_wrong(tmp_path: Path) -> None:
    grads = tmp_path / "a.json"
    rounded = {name: np.round(array, 6) for name, array in by_hand().items()}
    largest = int(np.argmax(np.abs(rounded["dW1"])))
    rounded["dW1"].flat[largest] *= -1
    grads.write_text(json.dumps({name: array.tolist() for name, array in rounded.items()}))
    out = tmp_path / "page.html"
    assert cli.main(["explore", str(MODEL), "--manual", str(grads), "--out", str(out)]) == 0
    lines = {line["name"]: line for line in recorded(out)["manual"]["lines"]}
    assert (lines["dW1"]["verdict"], lines["dW1"]["wrong"]) == ("wrong", [largest])


def test_explore_says_in_one_line_what_is_wrong_with_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"

    def error(*words: object) -> str:
        assert cli.main(["explore", *map(str, words), "--out", str(out)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("autograd-mini: error: ")
        assert not out.exists()
        return printed.err

    assert "No such file or directory" in error(tmp_path / "missing.py")
    assert "is a folder, not a file" in error(tmp_path)
    broken = tmp_path / "broken.py"
    broken.write_text("def cost(W1):\n    return W1 @ nothing\nW1 = 1.0\n")
    assert "NameError: name 'nothing' is not defined" in error(broken)
    assert "no.csv: No such file" in error(MODEL, "--manual", tmp_path / "no.csv")
    (tmp_path / "bad.json").write_text("{")
    assert "bad.json" in error(MODEL, "--manual", tmp_path / "bad.json")
    other = write_arrays(tmp_path / "other.csv", {"dQ": [1.0]})
    assert "has no gradient of this model" in error(MODEL, "--manual", other)


def test_explore_replaces_nothing_but_a_page_and_leaves_nothing_where_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<p>My own work</p>")
    assert cli.main(["explore", str(MODEL), "--out", str(mine)]) == 2
    assert capsys.readouterr().err == (
        f"autograd-mini: error: {mine} exists and is no page that explore wrote: remove it, or "
        f"choose another --out\n"
    )
    assert mine.read_text() == "<p>My own work</p>"
    out = tmp_path / "missing" / "page.html"
    assert cli.main(["explore", str(MODEL), "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"autograd-mini: error: cannot write {out} (No such file or directory): choose another "
        f"--out\n"
    )
    (tmp_path / "folder.html").mkdir()
    assert cli.main(["explore", str(MODEL), "--out", str(tmp_path / "folder.html")]) == 2
    assert "(Is a directory)" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"mine.html", "folder.html"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["explore", "model.py", "--out", "page.pdf"],
        ["explore", "model.py", "--manual", "a.txt"],
        ["explore", "model.py", "--order", "A"],
        ["reference", "model.py"],
        ["reference", "model.py", "--out", "reference.txt"],
        ["check", "model.py", "a.npy"],
        ["check", "model.py", "a.npz", "--order", "A"],
        ["check", "model.py", "a.npz", "--hint", "4"],
        ["check", "model.py", "a.npz", "--timeout", "0"],
    ],
)
def test_arguments_that_make_no_sense_end_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "usage: autograd-mini" in capsys.readouterr().err


# ---- C++ and the documentation ------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    """The code of a language in the documentation."""
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS.read_text(), flags=re.M | re.S)


def compiled(source: str, folder: Path) -> Path:
    """Compile a C++ program, run it in a folder, and return the file that it wrote."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++")
    (folder / "network.cpp").write_text(source)
    subprocess.run(
        [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "network.cpp", "-o", "network"],
        cwd=folder,
        check=True,
        timeout=120,
    )
    subprocess.run([folder / "network", "gradients.csv"], cwd=folder, check=True, timeout=20)
    return folder / "gradients.csv"


def test_the_cpp_in_the_documentation_is_that_of_the_example() -> None:
    found = blocks("cpp")
    assert found
    for block in found:
        assert block in CPP.read_text()
    assert 15 <= sum(len(block.splitlines()) for block in found) <= 25


def test_what_the_cpp_writes_is_right(tmp_path: Path) -> None:
    grads = compiled(CPP.read_text(), tmp_path)
    expected = {**load_model(MODEL).values, **by_hand()}
    arrays = read_arrays(grads).arrays
    assert set(by_hand()) < set(arrays)
    for name, array in arrays.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-12, atol=1e-14)
    assert check(grads) == 0


def test_a_wrong_line_of_the_cpp_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = "dA1(i, j) * (1 - A1(i, j) * A1(i, j))"
    source = CPP.read_text()
    assert source.count(right) == 1
    grads = compiled(source.replace(right, "dA1(i, j)"), tmp_path)
    capsys.readouterr()
    assert check(grads) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^dZ1 .*wrong", printed, flags=re.MULTILINE)
    small = re.compile(r"\d\.\de[-+]\d\d")  # rounding errors differ from machine to machine
    assert small.sub("#", printed) in small.sub("#", DOCS.read_text()), (
        f"the report in {DOCS.name} is an old one: paste this\n{printed}"
    )


def test_the_model_in_the_documentation_is_that_of_the_example() -> None:
    (model,) = (block for block in blocks("python") if "def cost" in block)
    assert model.strip() in MODEL.read_text()


def test_the_version_is_told_by_the_command_and_the_attribute() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "autograd_mini", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"autograd-mini {ag.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", ag.__version__)
