"""The chain rule of a run, written out: as text, in LaTeX, and as code."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..formulas import Symbol, latex_name, operands_first, write
from ..text import clean, for_latex
from ..trace import Linked, Value
from ..trace.replay import Array
from .constants import Constant
from .general import GeneralLine
from .general import in_general as general_lines
from .lines import Derivation, Line, Step

SMALL = 9  # elements of an array that is shown in full
WIDEST, NARROWEST = 120, 40  # columns of plain text, and of a formula in it


class Explanation(Linked):
    r"""The lines of a run, forward and backward; made by `explain`.

    ``str()`` is plain text; a notebook shows LaTeX.

    Attributes
    ----------
    lines : list of Line
        First the quantities, then the gradients, in the order in which they are computed.
    latex : str
        An ``aligned`` environment, for KaTeX, MathJax and LaTeX with amsmath.
    python : list of str
        The lines as code.
    shown : list of Line
        Those that the text has: with ``detail="layers"`` a `GeneralLine` for all that are the same
        but for an index.
    simplified : bool
        Whether the lines are in their simplest form.
    """

    def __init__(self, derivation: Derivation, numbers: bool, in_general: bool = False) -> None:
        self.lines: list[Line] = derivation.lines
        self.shown, self._first = self.lines, dict[str, str]()
        if in_general:
            values = derivation.called.items()
            parameters = {name for value, name in values if value.kind == "parameter"}
            self.shown, self._first = general_lines(self.lines, parameters)
        self.simplified = derivation.simplify
        self._numbers = numbers
        self._derivation = derivation

    @property
    def forward(self) -> list[Line]:
        """The quantities."""
        return [line for line in self.lines if line.phase == "forward"]

    @property
    def backward(self) -> list[Line]:
        """The gradients."""
        return [line for line in self.lines if line.phase == "backward"]

    @property
    def steps(self) -> list[Step]:
        """All simplifications."""
        return [step for line in self.lines for step in line.steps]

    @property
    def quantities(self) -> dict[str, Value]:
        """What comes from outside, by the names that the lines use."""
        called, known = self._derivation.called, self._derivation.known
        outputs = {call.output for call in self._derivation.calls}
        return {called[x]: x for x in known if x in called and x not in outputs}

    @property
    def constants(self) -> dict[str, float]:
        """The numbers with names that the lines use."""
        leaves = {
            part.name
            for line in self.lines
            for formula in (line.symbol, *(step.symbol for step in line.steps))
            for part in operands_first(formula)
            if part.name is not None and part not in self._derivation.leaves
        }
        return {name: x for name, x in self._derivation.numbers.items() if name in leaves}

    @property
    def python(self) -> list[str]:
        """The lines as code; names that are none in Python become such, see `identifiers`."""
        names = self.identifiers
        return [
            f"{names[line.name]} = {write(line.symbol, 'python', lambda x: names[x.name or ''])}"
            for line in self.lines
        ]

    @property
    def identifiers(self) -> dict[str, str]:
        """The names that the lines use, and what they are called in code."""
        found: dict[str, str] = {}
        for name in (*self.quantities, *self.constants, *(line.name for line in self.lines)):
            plain = re.sub(r"\W", "_", name, flags=re.ASCII)
            if not plain.isidentifier() or keyword.iskeyword(plain) or plain in ("np", "ag"):
                plain = f"_{plain}"
            while plain in found.values():
                plain += "_"
            found[name] = plain
        return found

    # -- plain text --

    def __str__(self) -> str:
        rows: list[tuple[str, str, str]] = []
        for title in ("forward", "backward"):
            lines = [line for line in self.shown if line.phase == title]
            if lines:
                rows += [("", "", "")] * bool(rows) + [(title, "", "")]
            width = max((len(clean(line.name)) for line in lines), default=0)
            for line in lines:
                rows += self._rows(line, width)
        left = max((len(a) for a, b, _ in rows if b), default=0)
        left = min(left, 72)
        text = [f"{a:<{left}}   {b}".rstrip() if b else a for a, b, _ in rows]
        notes = [*self._notes(), *self._legend()]
        return "\n".join([*text, *([""] if notes else []), *notes])

    def _rows(self, line: Line, width: int) -> Iterable[tuple[str, str, str]]:
        """One line with its other forms and its numbers."""
        start = f"  {clean(line.name):<{width}} = "
        size = size_of(line)
        *rows, last = folded(write(line.symbol, "text"), WIDEST - len(start) - len(size) - 3)
        for row in rows:
            yield start + row, "", ""
            start = " " * len(start)
        yield start + last, size, ""
        indent = " " * (len(start) - 2) + "= "
        if not self.simplified:
            for step in line.steps:
                *rows, last = folded(write(step.symbol, "text"), WIDEST - len(start))
                yield from ((indent + row, "", "") for row in rows)
                yield indent + last, step.name, ""
        if self._numbers and not isinstance(line, GeneralLine):
            if is_of_numbers(line.symbol):
                yield indent + write(line.symbol, "text", of_numbers), "", ""
            for row in in_rows(self._array(line)):
                yield indent + row, "", ""
                indent = " " * len(indent)

    def _array(self, line: Line) -> Array:
        """The numbers of a line."""
        if line.phase == "forward":
            return line.value.array
        assert line.value.gradient is not None
        array = line.value.gradient.array
        return array if line.scale == 1 else array / float(line.scale)

    def _notes(self) -> list[str]:
        """What has been done to the lines, and how it was proved."""
        if not self.simplified:
            return []
        notes = [
            f"{clean(line.name)}: {step.name}"
            for line in self.shown
            if line.phase == "backward"
            for step in line.steps
        ]
        scales: dict[Constant, list[Line]] = {}
        for line in self.shown:
            if line.scale != 1:
                scales.setdefault(Constant.of(line.scale), []).append(line)
        for scale, lines in scales.items():
            constant = self._derivation.algebra.constant
            names = " and ".join(
                [", ".join(clean(x.name) for x in lines[:-1])] * (len(lines) > 1)
                + [clean(lines[-1].name)]
            )
            one, all_of = write(constant(scale), "text"), write(constant(scale.inverse), "text")
            what = (
                f"is {all_of} times the gradient"
                if len(lines) == 1
                else (f"are {all_of} times the gradients")
            )
            notes.append(f"{names} {what}, the {one} comes at the end")
        return notes

    def _legend(self) -> list[str]:
        """What names stand for that nobody has given."""
        used = [part for line in self.lines for part in operands_first(line.symbol)]
        leaves = {part.name for part in used}
        found = [
            f"{name}: {kind_of(value)} without a name, {shape_of(value.shape)}"
            for name, value in self.quantities.items()
            if not value.name and name in leaves
        ]
        found += [
            f"{write(Symbol(x), 'text')}: also for data without a name that are so everywhere, "
            f"{shape_of(value.shape)}"
            for value, x in self._derivation.uniform.items()
        ]
        found += [f"{name_of_first(name)} = {x}" for name, x in self._first.items()]
        called = self._derivation.called
        for line in self.backward:
            if line.name != f"d{called[line.value]}":
                found.append(f"{line.name}: the gradient by {called[line.value]}")
        if any(part.kind == "scatter" for part in used):
            found.append("scatter(x, [k], shape): zeros of that shape, with x added at k")
        return [clean(line) for line in dict.fromkeys(found)]

    # -- LaTeX --

    @property
    def latex(self) -> str:
        """The lines in LaTeX."""
        rows = []
        before = ""
        for line in self.shown:
            if line.phase != before:
                rows.append(rf"\textbf{{{line.phase}}}")
                before = line.phase
            shape = size_of(line).replace(" x ", r" \times ").replace("..", r", \dots, ")
            formula = write(line.symbol, "latex")
            rows.append(f"{latex_name(line.name)} &= {formula} && {shape}")
            if not self.simplified:
                for step in line.steps:
                    rows.append(
                        f"&= {write(step.symbol, 'latex')} && \\text{{{for_latex(step.name)}}}"
                    )
            if not self._numbers or isinstance(line, GeneralLine):
                continue
            if is_of_numbers(line.symbol):
                rows.append(f"&= {write(line.symbol, 'latex', of_numbers)}")
            rows.append(f"&= {latex_array(self._array(line))}")
        rows += [
            f"{latex_name(name_of_first(name))} &= {latex_name(x)}"
            for name, x in self._first.items()
        ]
        rows += [rf"& \text{{{for_latex(note)}}}" for note in self._notes()]
        body = " \\\\\n".join(rows)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle\n{self.latex}\n$"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/latex": self._repr_latex_(), "text/plain": str(self)}

    def __repr__(self) -> str:
        return str(self)


def is_of_numbers(formula: Symbol) -> bool:
    """Whether a formula combines single numbers, so that these can be written for their names."""
    leaves = [x for x in operands_first(formula) if x.primitive is None]
    return formula.primitive is not None and all(np.size(x.array) == 1 for x in leaves)


def of_numbers(leaf: Symbol) -> str:
    """The number that a name stands for."""
    return brief(leaf.array)


def brief(x: Any) -> str:
    """A number, in few digits."""
    return f"{np.asarray(x).item() + 0:.4g}"  # and no -0


def kind_of(value: Value) -> str:
    """What comes from outside, in words."""
    if value.kind == "parameter":
        return "a parameter"
    whole = value.dtype.kind in "iu" and np.array_equal(value.array, np.arange(value.array.size))
    return f"the numbers from 0 to {value.array.size - 1}," if whole else "data"


def shape_of(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    return " x ".join(map(str, shape)) or "1"


def folded(text: str, width: int) -> list[str]:
    """A formula in rows of some width, broken where the fewest brackets are open."""
    width = max(width, NARROWEST)
    if len(text) <= width:
        return [text]
    depth, places = 0, list[tuple[int, int, int]]()  # brackets open, order of breaking, column
    for i, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        for order, mark in enumerate((", ", " + ", " - ", " (.) ")):
            if text.startswith(mark, i):
                places.append((depth, order, -i - (mark == ", ")))
    rows, start = [], 0
    while len(text) - start > width:
        fitting = [place for place in places if start + width // 3 < -place[2] <= start + width]
        beyond = [-place[2] for place in places if -place[2] > start + width]
        end = -min(fitting)[2] if fitting else min(beyond, default=len(text))
        rows.append(text[start:end].strip())
        start = end
    return [*rows, text[start:].strip()] if start < len(text) else rows


def size_of(line: Line) -> str:
    """The shape of a line, and of a general one the range of its index."""
    if not isinstance(line, GeneralLine):
        return shape_of(line.shape)
    index = f"{line.letter} = {line.indices[0]}..{line.indices[-1]}"
    return f"{shape_of(line.shape)}, {index}" if line.of_one_shape else index


def name_of_first(name: str) -> str:
    """``A0`` as ``A[0]``."""
    return re.sub(r"[._]?(\d+)$", r"[\1]", name)


def summary(x: Array) -> str:
    """What is said of a large array."""
    norm = float(np.linalg.norm(np.asarray(x, float)))
    return f"({shape_of(np.shape(x))}, norm {norm:.4g})"


def in_rows(x: Array) -> list[str]:
    """An array as text: its numbers, if there are few."""
    x = np.asarray(x)
    if x.size > SMALL or x.ndim > 2:
        return [summary(x)]
    if not x.ndim:
        return [brief(x)]
    rows = [[brief(y) for y in row] for row in np.atleast_2d(x)]
    width = max((len(y) for row in rows for y in row), default=0)
    return ["[" + "  ".join(y.rjust(width) for y in row) + "]" for row in rows]


def latex_array(x: Array) -> str:
    """An array in LaTeX: its numbers, if there are few."""
    x = np.asarray(x)
    if x.size > SMALL or x.ndim > 2:
        return f"\\text{{{summary(x)}}}"
    if not x.ndim:
        return brief(x)
    rows = r" \\ ".join(" & ".join(map(brief, row)) for row in np.atleast_2d(x))
    return f"\\begin{{pmatrix}} {rows} \\end{{pmatrix}}"
