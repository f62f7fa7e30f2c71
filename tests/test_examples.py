"""The scripts in ``examples/`` and the code on the pages: they run, and print what they should."""

from __future__ import annotations

import ast
import doctest
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from pages import program
from scripts import EXAMPLES, NUMBERED, ROOT, finished, printed

import autograd_mini as ag

#: For each stop of the tour: a part of its title, and the wrong lines with their likeliest causes.
STOPS: list[tuple[str, dict[str, str]]] = [
    ("a convention, no mistake", {}),
    ("derivative of tanh is missing", {"dZ1": "missing factor"}),
    ("taken of Z1, not of A1", {"dZ1": "wrong operand"}),
    ("1/m is missing", {"dW2": "constant factor"}),
    ("no keepdims", {"db1": "rank-1 array"}),
    ("one gradient is not", {"dW1": "missing regularisation"}),
    ("bias is regularised", {"db1": "regularised bias"}),
    ("updated in the middle", {"dZ1": "updated weights"}),
    ("Z2 = W2 Z1 + b2", {"dW2": "wrong operand", "dZ1": "missing factor"}),
    ("x (1 - x)", {"dA3": "diagonal only"}),
    ("corrected", {}),
    ("Two mistakes", {"dW2": "constant factor", "dZ1": "wrong operand"}),
    ("m = 2", {"dW2": "constant factor"}),
]
#: What the report says at some of them, as far as it is not a matter of wording.
PHRASES = {
    "derivative of tanh is missing": ["1 - A1**2", "dZ1 = W2.T @ dZ2 * (1 - A1**2)"],
    "taken of Z1, not of A1": ["Z1 where A1 belongs"],
    "1/m is missing": ["m = 7"],
    "no keepdims": ["(5,)", "(5, 1)", "keepdims=True"],
    "one gradient is not": ["W1", "lam/m"],
    "bias is regularised": ["b1", "lam/m"],
    "updated in the middle": ["W2", "update"],
    "Z2 = W2 Z1 + b2": ["Z1 where A1 belongs", "1 - A1**2"],
    "x (1 - x)": ["diagonal", "Jacobian"],
    "m = 2": ["at this point", "is the same"],
}


@pytest.mark.parametrize("script", NUMBERED, ids=lambda script: script.stem)
def test_first_line_is_the_command_that_runs_it(script: Path) -> None:
    first = script.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f'"""python examples/{script.name}: ')
    assert first.endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("script", NUMBERED, ids=lambda script: script.stem)
def test_a_folder_that_cannot_be_written_is_found_out_before_anything_else(
    script: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = finished(script, tmp_path, "--short", "--out", "file")
    assert (done.returncode, done.stdout) == (2, "")
    assert "argument --out: file cannot be written: File exists" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_matplotlib_the_numbered_examples_say_what_to_install(tmp_path: Path) -> None:
    done = finished(EXAMPLES / "01_neuron.py", tmp_path, "--short", without="matplotlib")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "matplotlib is not installed: pip install 'autograd-mini[examples]'\n"


@pytest.fixture(scope="module")
def common() -> SimpleNamespace:
    """What the numbered examples share."""
    return SimpleNamespace(**runpy.run_path(str(EXAMPLES / "common.py")))


@pytest.mark.parametrize("way", ["by_hand", "autodiff", "numerical"])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dW": np.ones((2, 3))}, "db: it is missing among the gradients "),
        ({"dW": np.ones((2, 3)), "db": np.ones(2)}, "db: the three ways have different shapes"),
        ({"dW": np.full((2, 3), 1.1), "db": np.ones((2, 1))}, "dW: the three ways do not agree"),
    ],
)
def test_three_ways_refuse_gradients_that_differ(
    common: SimpleNamespace, way: str, changed: dict[str, Any], said: str
) -> None:
    same = {"dW": np.ones((2, 3)), "db": np.ones((2, 1))}
    ways = {"by_hand": same, "autodiff": same, "numerical": same}
    common.three_ways(**ways)
    with pytest.raises(SystemExit, match=said):
        common.three_ways(**{**ways, way: changed})


def test_numerical_gradients_move_one_array_at_a_time_by_name_and_by_layer(
    common: SimpleNamespace,
) -> None:
    W, b = {1: np.array([[1.0, 2.0]]), 2: np.array([[3.0]])}, np.array([0.5])
    found = common.numerical_gradients(
        lambda W, b: np.sum(W[1] ** 2) * np.sum(W[2]) + np.sum(b**3), W=W, b=b
    )
    expected = {"dW1": [[6.0, 12.0]], "dW2": [[5.0]], "db": [0.75]}
    assert list(found) == list(expected)
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-8)


def test_three_ways_agree_and_the_graph_is_written(tmp_path: Path) -> None:
    text = printed(EXAMPLES / "three_ways.py", tmp_path)
    differences = re.findall(r"^  d[Wb][12]  (\S+)$", text, flags=re.MULTILINE)
    assert len(differences) == 4
    assert max(map(float, differences)) < 1e-14
    assert (tmp_path / "graph.gv").read_text(encoding="utf-8").startswith("digraph")


def test_the_gallery_shows_pictures_texts_and_pages_that_are_there(tmp_path: Path) -> None:
    text = printed(EXAMPLES / "gallery.py", tmp_path, "--out", "shown")
    assert "index.html" in text
    page = (tmp_path / "shown" / "index.html").read_text(encoding="utf-8")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(linked) >= 20
    assert {*linked} | {"index.html"} == {path.name for path in (tmp_path / "shown").iterdir()}
    for name in linked:
        if name.endswith(".svg"):
            assert ElementTree.parse(tmp_path / "shown" / name).getroot().tag.endswith("svg")


def test_the_tour_prints_a_title_the_wrong_lines_and_a_report_at_each_stop(tmp_path: Path) -> None:
    before, *stops = re.split(
        r"^=+\n", printed(EXAMPLES / "mistakes.py", tmp_path), flags=re.MULTILINE
    )
    assert before == ""
    assert len(stops) == len(STOPS)
    for stop, (title, wrong) in zip(stops, STOPS, strict=True):
        heading, *parts = stop.split("\n\n")
        assert title in heading
        if wrong:
            assert parts.pop(0).startswith("    "), "the wrong line is shown as the student has it"
        verdict, table, *sentences = parts
        assert verdict.startswith(" and ".join(wrong) if wrong else "All")
        for name in wrong:
            assert re.search(rf"^{name} .* wrong", table, flags=re.MULTILINE)
        for phrase in PHRASES.get(title, []):
            assert phrase in sentences[0]
    assert "ag.compare(J" in stops[-1].splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_tour_names_every_wrong_line_and_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []
    compare = ag.compare

    def kept(*arguments: Any) -> Any:
        reports.append(compare(*arguments))
        return reports[-1]

    monkeypatch.setattr(ag, "compare", kept)
    runpy.run_path(str(EXAMPLES / "mistakes.py"))
    assert len(reports) == len(STOPS)
    for report, (title, wrong) in zip(reports, STOPS, strict=True):
        found = {line.name: line.causes[0] for line in report.lines if line.verdict == "wrong"}
        assert found == wrong, title
        assert report.first_wrong == next(iter(wrong), None)
        assert bool(report) is not bool(wrong)
    conventions = [line.name for line in reports[0].lines if line.verdict == "convention"]
    assert conventions == ["dZ2", "dZ1"]


def test_the_lines_shown_are_those_that_the_tour_runs() -> None:
    tree = ast.parse((EXAMPLES / "mistakes.py").read_text(encoding="utf-8"))
    branches = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    shown = [(node.test, node.body) for node in branches if isinstance(node.test, ast.Compare)]
    statements = [ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    assert len(shown) == 9
    for test, body in shown:
        line = ast.literal_eval(test.left)
        if isinstance(test.ops[0], ast.In):
            assert list(map(ast.dump, body)) == list(map(ast.dump, ast.parse(line).body))
        else:  # the line that it takes the place of adds to this one
            assert ast.dump(ast.parse(line).body[0]) in statements


PAGES = ("arrays", "compile", "derivations", "networks", "numpy", "processes", "seeing", "singular")


@pytest.mark.parametrize("page", ["README.md", *[f"docs/{name}.md" for name in PAGES]])
def test_the_examples_of_the_page_print_what_it_says(page: str) -> None:
    failed, tried = doctest.testfile(
        str(ROOT / page), module_relative=False, optionflags=doctest.ELLIPSIS
    )
    assert tried > 5
    assert failed == 0


def test_the_latex_on_the_page_of_derivations_is_that_of_its_six_layers() -> None:
    page = (ROOT / "docs" / "derivations.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```math\n(.*?)\n```", page, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    parser = doctest.DocTestParser()
    test = parser.get_doctest(page[: page.index("```math")], names, "derivations", None, 0)
    doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
    assert test.globs["derivation"].latex == shown


def test_the_code_of_the_page_on_checking_runs_and_finds_what_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "checking.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "page.py").write_text("\n".join(blocks), encoding="utf-8")
    text = printed(tmp_path / "page.py", tmp_path)
    (shown,) = re.findall(r"^It prints\n\n```\n(.*)", page, flags=re.MULTILINE)
    assert shown in text.splitlines()


def test_what_type_checkers_read_is_all_code_of_a_page_in_its_order() -> None:
    plain, prompts = (
        "```python\nx = 1\n```\n",
        "  ```python\n  >>> if x:\n  ...     x\n  1\n  ```\n",
    )
    assert program(f"a\n\n{plain}\n- b\n\n{prompts}```sh\nc\n```\n") == "x = 1\n\nif x:\n    x\n"
    readme = program((ROOT / "README.md").read_text(encoding="utf-8"))
    assert readme.startswith("import numpy as np\nimport autograd_mini as ag\n")
    assert readme.count("A1 = ag.tanh(Z1)\n") == 2
    assert "softsign = ag.elementwise(\n" in readme
