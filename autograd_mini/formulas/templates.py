"""Templates of primitives: what stands between the operands, and where parentheses are needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

# An operand that binds less tightly than its place asks for is put into parentheses.
FREE, LOGIC, SUM, SERIES, PRODUCT, SIGN, POWER, ATOM, CLOSED = range(9)


class Strength(NamedTuple):
    """How tightly an operator binds, and what it asks of the operands before and behind it."""

    binds: int
    left: int
    right: int
    left_too: tuple[str, ...] = ()  # operators that need no parentheses there nevertheless
    right_too: tuple[str, ...] = ()


ADDITION, SUBTRACTION = Strength(SUM, SUM, SUM), Strength(SUM, SUM, SERIES)
COMPARISON = Strength(LOGIC, SUM, SUM)
NOTHING, INDEXED, APPLIED = (Strength(ATOM, ask, ask) for ask in (FREE, ATOM, CLOSED))

TOKEN = re.compile(
    r"(?P<operand>\$\w+)|\\star\^T|\\[A-Za-z]+|\\.|\(\.\)|\*\*|[<>=!]=|  |[^\W\d]\w*|."
)
OPENING = {"(", "[", "{", r"\lfloor", r"\lceil", r"\lVert"}
CLOSING = {")", "]", "}", r"\rfloor", r"\rceil", r"\rVert"}
UNSEEN = {" ", r"\left", r"\right", r"\textstyle"}
FUNCTIONS = re.compile(r"\\(log|frac|max|min|(arc)?(sin|cos|tan)h?)(?![A-Za-z])")


class Form(NamedTuple):
    """A template that has been read."""

    pieces: tuple[str, ...]  # texts and names of operands by turns; first and last is a text
    asks: tuple[tuple[Strength, Strength], ...]  # of each operand, what is before and behind it
    binds: int
    operator: str  # the one that binds least tightly


class Syntax:
    """How the templates of a language are read.

    Parameters
    ----------
    strengths : mapping of str to Strength
        The operators.
    between : str
        The operator between operands that stand side by side.
    operators : mapping of str to str
        Those that templates write otherwise.
    bars : bool
        Whether ``|x|`` is a pair of brackets.
    shown : function, optional
        What becomes of a template when it is shown.
    """

    def __init__(
        self,
        strengths: Mapping[str, Strength],
        between: str = "",
        operators: Mapping[str, str] | None = None,
        bars: bool = False,
        shown: Callable[[str], str] = str,
    ) -> None:
        self.strengths = strengths
        self._between = between
        self._operators = operators or {}
        self._bars = bars
        self._shown = shown
        self._forms: dict[str, Form] = {}

    def form(self, template: str) -> Form:
        """Read a template: what its operators ask of the operands."""
        if template not in self._forms:
            self._forms[template] = self._read(template)
        return self._forms[template]

    def _read(self, template: str) -> Form:
        """Read a template for the first time."""
        template = re.sub(r"\$\{(\w+)\}", r"$\1", template)
        template = re.sub(r"(?<!_)\{(\$\w+)\}\^", r"\1^", template)  # parentheses do the same
        seen = [("start", ""), *self._classified(template), ("end", "")]
        asks: list[tuple[Strength, Strength]] = []
        outside: list[tuple[int, str]] = [(ATOM, "")]  # how what is in no brackets binds
        depth = 0
        for i, (kind, text) in enumerate(seen):
            depth += (kind == "open") - (kind == "close")
            if kind == "operator" and not depth:
                outside.append((self.strengths[text].binds, text))
            if kind != "operand":
                continue
            left = self._beside(*seen[i - 1], ("start", "open", "comma"), APPLIED)
            right = self._beside(*seen[i + 1], ("end", "close", "comma"), INDEXED)
            asks.append((left, right))
            if left is APPLIED and not depth:
                outside.append((POWER, ""))
        if FUNCTIONS.match(template):
            outside.append((POWER, ""))
        pieces = re.split(r"\$(\w+)", self._shown(template))
        return Form(tuple(pieces), tuple(asks), *min(outside, key=lambda found: found[0]))

    def _beside(self, kind: str, text: str, nothing: tuple[str, ...], others: Strength) -> Strength:
        """What is asked of an operand by what stands beside it."""
        if kind in ("operator", "operand"):
            return self.strengths[text if kind == "operator" else self._between]
        return NOTHING if kind in nothing else others

    def _classified(self, template: str) -> list[tuple[str, str]]:
        """The parts of a template that matter, each with its kind."""
        seen: list[tuple[str, str]] = []
        bars = 0
        for token in TOKEN.finditer(template):
            text = self._operators.get(token[0], token[0])
            first = not seen or seen[-1][0] in ("open", "comma")
            is_bar = text == "|" and self._bars
            bars += is_bar
            if token["operand"]:
                seen.append(("operand", ""))
            elif text in OPENING or (is_bar and bars % 2):
                seen.append(("open", text))
            elif text in CLOSING or is_bar:
                seen.append(("close", text))
            elif text == "-" and first:
                seen.append(("operator", "sign"))
            elif text in self.strengths:
                seen.append(("operator", text))
            elif text not in UNSEEN:
                seen.append(("comma" if text == "," else "word", text))
        return seen
