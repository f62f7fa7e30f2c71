"""Expressions in plain text: ``(W2^T dZ2) (.) (1 - A1^2)``, from their templates in LaTeX."""

from __future__ import annotations

import re
from functools import cache

from ..text import clean
from .expressions import Symbol
from .mathematics import ENTRIES, MATRIX, SCALED, STRENGTHS, Mathematics, spaced
from .pieces import Text, plain
from .seen_shapes import Shape
from .templates import Syntax

#: What plain text has for parts of LaTeX, in the order in which they are replaced.
REPLACED = (
    (r"\\frac\{(\$?\w+)\}\{(\$?\w+)\}", r"\1 / \2"),
    (r"\{(\$\w+)\}", r"\1"),
    (r"\|([^|]*)\|", r"abs(\1)"),
    (r"\\mathrm\{(True|\w+(?=\}[(=]))\}", r"\1"),
    (r"\\odot ", ENTRIES + " "),
    (r"\\, ", MATRIX),
    (r" = ", " == "),
    (r"\\ge ", ">= "),
    (r"\\le ", "<= "),
    (r"\\ne ", "!= "),
)
FUNCTION = re.compile(r"\\mathrm\{\w+\}\([^()]*(\([^()]*\)[^()]*)*\)")
SAID = re.compile(r"\$\w+|\^T|\w+(?=[(=])|True|\d")  # what may be in plain text besides signs
ARRANGED = ("permutation", "join", "index", "scatter")  # the kinds whose methods say their statics


class PlainText(Mathematics):
    """Writes plain text."""

    syntax = Syntax(STRENGTHS, SCALED, {"*": SCALED}, True, spaced)
    times, by = "*", " x "

    def name(self, name: str) -> str:
        """What a quantity is called."""
        return clean(name)

    def template(self, symbol: Symbol) -> str | None:
        """The template of a call; None if text has none, or it leaves keyword arguments out."""
        latex = symbol.latex
        told = symbol.kind in ARRANGED or all(f"${x}" in latex for x in symbol.op.statics)
        return in_plain_text(latex) if told else None

    def function_form(self, name: str, operands: str = "$x", more: str = "") -> str:
        """The template of a function."""
        return f"{name}({operands}{more and f', {more}'})"

    def concatenation_form(self, stack: bool, operands: str, axis: int) -> str:
        """The template of a concatenation whose axis must be said."""
        return f"{'stack' if stack else 'concatenate'}({operands}, axis={axis})"

    def full(self, number: int, shape: Shape) -> Text:
        """An array of zeros or ones."""
        return plain(f"{'ones' if number else 'zeros'}({', '.join(map(str, shape))})")


@cache
def in_plain_text(latex: str) -> str | None:
    """A template of plain text that says the same; None if there is none but a function's name."""
    if FUNCTION.fullmatch(latex):
        return None
    text = latex
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    return None if re.search(r"[^\W\d]|[\\{}|]", SAID.sub("", text)) else text
