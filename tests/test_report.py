"""The report: truth value, text, notebook table and JSON say the same, and hide nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from autograd_mini.check.report import GradientError, Report, plain


class Found(Report):
    """A report with given findings."""

    def __init__(self, rows: list[list[str]], notes: list[str], ok: bool) -> None:
        self.title = "df/dx & <co>"
        self.header = ["quantity", "verdict"]
        self.rows = rows
        self.notes = notes
        self.ok = ok


WRONG = Found([["dW1", "right"], ["<b>", "wrong by 2"]], ['<b> is "off" & so on.'], ok=False)
RIGHT = Found([["dW1", "right"]], [], ok=True)


def test_truth_value_says_whether_all_is_right() -> None:
    assert RIGHT
    assert not WRONG


def test_text_is_an_aligned_table_with_the_notes_below() -> None:
    assert str(WRONG).splitlines() == [
        "df/dx & <co>",
        "",
        "quantity  verdict",
        "--------  ----------",
        "dW1       right",
        "<b>       wrong by 2",
        "",
        '<b> is "off" & so on.',
    ]
    assert str(RIGHT).endswith("dW1       right")
    assert repr(WRONG) == str(WRONG)


def test_table_without_rows_is_its_header() -> None:
    assert str(Found([], [], ok=True)).endswith("quantity  verdict\n--------  -------")


def test_notebook_table_escapes_everything() -> None:
    html = WRONG._repr_html_()
    assert "<b>" not in html
    assert "<td>&lt;b&gt;</td>" in html
    assert "<p>&lt;b&gt; is &quot;off&quot; &amp; so on.</p>" in html
    assert "<p>df/dx &amp; &lt;co&gt;</p>" in html
    for tag in ("table", "thead", "tbody", "tr", "th", "td", "p"):
        assert html.count(f"<{tag}>") + html.count(f"<{tag} ") == html.count(f"</{tag}>"), tag


def test_notebook_marks_wrong_rows_and_no_others_and_they_say_so_in_a_word() -> None:
    marked = [row for row in WRONG._repr_html_().split("<tr") if "bold" in row]
    assert len(marked) == 1
    assert "wrong" in marked[0]
    assert "bold" not in RIGHT._repr_html_()


def test_raise_if_wrong_raises_an_assertion_error_with_the_report() -> None:
    RIGHT.raise_if_wrong()
    with pytest.raises(GradientError) as caught:
        WRONG.raise_if_wrong()
    assert isinstance(caught.value, AssertionError)
    assert str(WRONG) in str(caught.value)


def test_dict_can_be_written_as_strict_json() -> None:
    again = json.loads(json.dumps(WRONG.to_dict(), allow_nan=False))
    assert again == WRONG.to_dict()
    assert again["ok"] is False
    assert again["rows"][1] == {"quantity": "<b>", "verdict": "wrong by 2"}


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array([[1.0, np.nan]]), [[1.0, "nan"]]),
        ({1: (np.inf, None), "a": np.bool_(True)}, {"1": ["inf", None], "a": True}),
        (-np.inf, "-inf"),
        (np.int64(3), 3),
        ("text", "text"),
    ],
)
def test_plain_makes_what_strict_json_has(thing: Any, expected: Any) -> None:
    found = plain(thing)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == expected
