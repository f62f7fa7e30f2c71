"""Templates of primitives: what stands between the operands, and where parentheses are needed."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from .. import linalg, numpy_functions  # noqa: F401 - their ops are among the implementations
from ..core.primitive import Primitive, implementations

# An operand that binds less tightly than its place asks for is put into parentheses.
FREE, LOGIC, SUM, SERIES, PRODUCT, SIGN, POWER, ATOM, CLOSED = range(9)


class Strength(NamedTuple):
    """How tightly an operator binds, and what it asks of the operands before and behind it."""

    binds: int
    left: int
    right: int
    left_too: tuple[str, ...] = ()  # operators that need no parentheses there nevertheless
    right_too: tuple[str, ...] = ()


SCALED, MATRIX, ENTRIES = "~", "  ", "(.)"  # the three products of mathematics
ADDITION, SUBTRACTION = Strength(SUM, SUM, SUM), Strength(SUM, SUM, SERIES)
COMPARISON, MODULO = Strength(LOGIC, SUM, SUM), Strength(PRODUCT, POWER, POWER)

#: Operator -> its strength in Python.
PYTHON = {
    "+": ADDITION,
    "-": SUBTRACTION,
    "*": Strength(PRODUCT, PRODUCT, SIGN),
    "/": Strength(PRODUCT, PRODUCT, SIGN),
    "@": Strength(PRODUCT, PRODUCT, SIGN),
    "sign": Strength(SIGN, FREE, SIGN),
    "**": Strength(POWER, ATOM, POWER),
    ".": Strength(ATOM, ATOM, FREE),
    **dict.fromkeys((">", "<", ">=", "<=", "==", "!=", "&", "|", "^"), COMPARISON),
}
#: Operator -> its strength in mathematics: products of different kinds are never mixed.
MATHEMATICS = {
    "+": ADDITION,
    "-": SUBTRACTION,
    SCALED: Strength(PRODUCT, POWER, POWER, (SCALED,), (SCALED, MATRIX, ENTRIES, "/")),
    MATRIX: Strength(PRODUCT, POWER, POWER, (SCALED, MATRIX), (MATRIX,)),
    ENTRIES: Strength(PRODUCT, POWER, POWER, (SCALED, ENTRIES), (ENTRIES,)),
    "/": Strength(PRODUCT, POWER, POWER, (SCALED, MATRIX)),
    "mod": MODULO,
    "sign": Strength(SUM, FREE, SERIES),
    "sum": Strength(SERIES, FREE, PRODUCT, (), ("sum",)),
    "not": Strength(POWER, FREE, ATOM),
    "^": Strength(POWER, ATOM, ATOM),
    **dict.fromkeys((">", "<", ">=", "<=", "=", "==", "!=", "and", "or", "xor"), COMPARISON),
}
IN_LATEX = {
    r"\odot": ENTRIES,
    r"\cdot": SCALED,
    r"\,": MATRIX,
    **dict.fromkeys((r"\star", r"\star^T", r"\bmod", r"\div"), "mod"),
    r"\sum": "sum",
    r"\lnot": "not",
    r"\land": "and",
    r"\lor": "or",
    r"\oplus": "xor",
    r"\ge": ">=",
    r"\le": "<=",
    r"\ne": "!=",
}
IN_TEXT = {"*": SCALED}

BOOKKEEPING = ("reshape", "broadcast", "copy", "cast")  # the kinds that only exact Python shows
ARRANGED = ("permutation", "join", "index", "scatter")  # those whose rules say their statics
#: What plain text has for parts of LaTeX, in the order in which they are replaced.
IN_PLAIN_TEXT = (
    (r"\\frac\{(\$?\w+)\}\{(\$?\w+)\}", r"\1 / \2"),
    (r"\{(\$\w+)\}", r"\1"),
    (r"\|([^|]*)\|", r"abs(\1)"),
    (r"\\mathrm\{(\w+)\}(?=[(=])", r"\1"),
    (r"\\odot ", ENTRIES + " "),
    (r"\\, ", MATRIX),
    (r" = ", " == "),
    (r"\\ge ", ">= "),
    (r"\\le ", "<= "),
    (r"\\ne ", "!= "),
)
FUNCTION = re.compile(r"\\mathrm\{\w+\}\([^()]*(\([^()]*\)[^()]*)*\)")
SAID = re.compile(r"\$\w+|\^T|\w+(?=[(=])|\d")  # what may be in plain text besides signs
#: What NumPy calls primitives: best by their own names.
NUMPY_NAMES = {
    primitive: primitive.name if hasattr(np, primitive.name) else function.__name__
    for function, primitive in implementations.items()
    if isinstance(primitive, Primitive) and hasattr(np, function.__name__)
}


@cache
def plain_text(latex: str) -> str | None:
    """A template of plain text that says the same; None if there is none but a function's name."""
    if FUNCTION.fullmatch(latex):
        return None
    text = latex
    for pattern, replacement in IN_PLAIN_TEXT:
        text = re.sub(pattern, replacement, text)
    return None if re.search(r"[^\W\d]|[\\{}|]", SAID.sub("", text)) else text


# ---- templates ----------------------------------------------------------------------------------


class Form(NamedTuple):
    """A template that has been read."""

    pieces: tuple[str, ...]  # texts and names of operands by turns; first and last is a text
    asks: tuple[tuple[Strength, Strength], ...]  # of each operand, what is before and behind it
    binds: int
    operator: str  # the one that binds least tightly


TOKEN = re.compile(
    r"(?P<operand>\$\w+)|\\star\^T|\\[A-Za-z]+|\\.|\(\.\)|\*\*|[<>=!]=|  |[^\W\d]\w*|."
)
OPENING = {"(", "[", "{", r"\lfloor", r"\lceil", r"\lVert"}
CLOSING = {")", "]", "}", r"\rfloor", r"\rceil", r"\rVert"}
UNSEEN = {" ", r"\left", r"\right", r"\textstyle"}
FUNCTIONS = re.compile(r"\\(log|frac|max|min|(arc)?(sin|cos|tan)h?)(?![A-Za-z])")
NOTHING, INDEXED, APPLIED = (Strength(ATOM, ask, ask) for ask in (FREE, ATOM, CLOSED))
START = ("start", "")


@cache
def form_of(template: str, language: str) -> Form:
    """Read a template: what its operators ask of the operands."""
    strengths = PYTHON if language == "python" else MATHEMATICS
    template = re.sub(r"\$\{(\w+)\}", r"$\1", template)
    template = re.sub(r"(?<!_)\{(\$\w+)\}\^", r"\1^", template)  # parentheses do the same
    if language == "latex":
        template = re.sub(r"\|([^|]*)\|", r"\\left|\1\\right|", template)
    seen = [START, *classified(template, language), ("end", "")]
    asks: list[tuple[Strength, Strength]] = []
    outside: list[tuple[int, str]] = [(ATOM, "")]  # how what is in no brackets binds
    depth = 0
    for i, (kind, text) in enumerate(seen):
        depth += (kind == "open") - (kind == "close")
        if kind == "operator" and not depth:
            outside.append((strengths[text].binds, text))
        if kind != "operand":
            continue
        (before, sign), (after, other) = seen[i - 1], seen[i + 1]
        if before in ("operator", "operand"):
            left = strengths[sign if before == "operator" else SCALED]
        else:
            left = NOTHING if before in ("start", "open", "comma") else APPLIED
        if after in ("operator", "operand"):
            right = strengths[other if after == "operator" else SCALED]
        else:
            right = NOTHING if after in ("end", "close", "comma") else INDEXED
        asks.append((left, right))
        if left is APPLIED and not depth:
            outside.append((POWER, ""))
    if FUNCTIONS.match(template):
        outside.append((POWER, ""))
    pieces = re.split(r"\$(\w+)", template)
    pieces[::2] = [shown(piece, language) for piece in pieces[::2]]
    return Form(tuple(pieces), tuple(asks), *min(outside, key=lambda found: found[0]))


def classified(template: str, language: str) -> list[tuple[str, str]]:
    """The parts of a template that matter, each with its kind."""
    strengths = PYTHON if language == "python" else MATHEMATICS
    names = {"python": {}, "text": IN_TEXT, "latex": IN_LATEX}[language]
    seen: list[tuple[str, str]] = []
    bars = 0
    for token in TOKEN.finditer(template):
        text = names.get(token[0], token[0])
        first = not seen or seen[-1][0] in ("open", "comma")
        is_bar = text == "|" and language != "python"
        bars += is_bar
        if token["operand"]:
            seen.append(("operand", ""))
        elif text in OPENING or (is_bar and bars % 2):
            seen.append(("open", text))
        elif text in CLOSING or is_bar:
            seen.append(("close", text))
        elif text == "-" and first:
            seen.append(("operator", "sign"))
        elif text in strengths:
            seen.append(("operator", text))
        elif text not in UNSEEN:
            seen.append(("comma" if text == "," else "word", text))
    return seen


def shown(piece: str, language: str) -> str:
    """What is between operands, as it is shown."""
    if language == "latex":
        piece = re.sub(r"(?<!\\left)\(", r"\\left(", piece)
        piece = re.sub(r"(?<!\\right)\)", r"\\right)", piece)
    return piece.replace(SCALED, " ").replace(MATRIX, " ")
