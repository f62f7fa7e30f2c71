"""What a check found: one object that is a truth value, a text, a notebook table and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

import numpy as np

__all__ = ["GradientError", "Report"]


class GradientError(AssertionError):
    """A gradient that was not found right; the message is the report."""


class Report:
    """The findings of a check: a table with notes below it.

    A subclass sets the attributes, and may override `to_dict` to add its numbers.

    Attributes
    ----------
    title : str
        One line that says what was checked and how it went.
    header : sequence of str
        The names of the columns.
    rows : sequence of sequences of str
        One row for each quantity, one cell for each column.
    notes : sequence of str
        Sentences.
    ok : bool
        Whether all is right.
    marks : tuple of str
        A row with a cell that begins with one of these words is marked in a notebook.

    Examples
    --------
    >>> class Weather(Report):
    ...     title = "1 of 2 days is wrong"
    ...     header = ["day", "verdict"]
    ...     rows = [["Monday", "right"], ["Tuesday", "wrong"]]
    ...     notes = ["Tuesday: it rains."]
    ...     ok = False
    >>> Weather()
    1 of 2 days is wrong
    <BLANKLINE>
    day      verdict
    -------  -------
    Monday   right
    Tuesday  wrong
    <BLANKLINE>
    Tuesday: it rains.
    >>> bool(Weather())
    False
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    ok: bool
    marks: ClassVar[tuple[str, ...]] = ("wrong",)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        columns = list(zip(self.header, *self.rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        table = [self.header, ["-" * width for width in widths], *self.rows] if columns else []
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        parts = [self.title, "\n".join(lines), "\n".join(self.notes)]
        return "\n\n".join(part for part in parts if part)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return the table for a notebook: marked rows are bold, and say why in a word."""
        parts = [f"<p>{escape(self.title)}</p><table><thead><tr>"]
        parts += [f"<th>{escape(name)}</th>" for name in self.header]
        parts.append("</tr></thead><tbody>")
        for row in self.rows:
            marked = any(cell.startswith(self.marks) for cell in row)
            style = ' style="font-weight: bold; color: #b00020"' if marked else ""
            cells = "".join([f"<td>{escape(cell)}</td>" for cell in row])
            parts.append(f"<tr{style}>{cells}</tr>")
        parts.append('</tbody></table><div style="white-space: pre-wrap">')  # formulas have lines
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        return "".join([*parts, "</div>"])

    def raise_if_wrong(self) -> None:
        """Raise unless all is right.

        Raises
        ------
        GradientError
            With this report as its message.
        """
        if not self.ok:
            raise GradientError(f"\n{self}")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain Python values, which `json.dump` can write.

        Returns
        -------
        dict
            ``title``, ``ok``, ``rows`` (one dict for each, keyed by the header) and ``notes``.
        """
        rows = [dict(zip(self.header, row, strict=True)) for row in self.rows]
        return {"title": self.title, "ok": self.ok, "rows": rows, "notes": list(self.notes)}


def plain(thing: Any) -> Any:
    """A value that strict JSON has: nests of numbers, text, true, false and null.

    NaN and the infinities, for which JSON has no number, become text.
    """
    if isinstance(thing, Mapping):
        return {str(key): plain(value) for key, value in thing.items()}
    if isinstance(thing, np.ndarray | np.generic):
        return plain(thing.tolist())
    if isinstance(thing, list | tuple):
        return [plain(value) for value in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return str(thing)
    return thing
