r"""Expressions in LaTeX: :math:`\left(W_2^T\, dZ_2\right) \odot \left(1 - A_1^2\right)`."""

from __future__ import annotations

import re
from typing import Any

from ..text import clean, for_latex
from .expressions import Symbol
from .mathematics import ENTRIES, MATRIX, SCALED, STRENGTHS, Mathematics, spaced
from .pieces import Text, joined, plain
from .seen_shapes import Shape
from .templates import PRODUCT, Syntax

OPERATORS = {
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
DIFFERENTIAL = re.compile(r"(?<![A-Za-z\\])d([a-z]|\\[a-z]+)(_\w|_\{[^}]*\})?$")
#: Where the LaTeX of a call has place for a subscript.
PLACES = (
    r"\\sum(?![a-z])",
    r"\\star(\^T)?",
    r"\\rVert_2",
    r"^(\\log )?\\(max(?![a-z])|min(?![a-z])|mathrm\{\w+\})",
)


def in_large_brackets(template: str) -> str:
    """A template with brackets that grow with what is in them."""
    template = re.sub(r"\|([^|]*)\|", r"\\left|\1\\right|", spaced(template))
    template = re.sub(r"(?<!\\left)\(", r"\\left(", template)
    return re.sub(r"(?<!\\right)\)", r"\\right)", template)


class Latex(Mathematics):
    """Writes LaTeX."""

    syntax = Syntax(STRENGTHS, SCALED, OPERATORS, True, in_large_brackets)
    brackets = (r"\left(", r"\right)")
    left_out, condition = r"(\ldots)", r"\text{condition}"
    times, by = r"\cdot", r" \times "

    def name(self, name: str) -> str:
        """What a quantity is called."""
        return latex_name(name)

    def filled(self, template: str, **operands: Text) -> Text:
        """A template with texts put in; what follows ``dz`` is kept apart from it."""
        if template == f"$a{SCALED}$b" and DIFFERENTIAL.search(joined(operands["a"].pieces)):
            b = operands["b"]
            operands["b"] = b._replace(pieces=(r"\,", b.pieces))
        return super().filled(template, **operands)

    def number(self, x: Any) -> Text:
        """A number."""
        text = super().number(x)
        if isinstance(x, bool):
            return plain(rf"\mathrm{{{x}}}")
        pieces = text.pieces.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
        if not (match := re.fullmatch(r"(-?)(.*)e(.*)", pieces)):
            return text._replace(pieces=pieces, length=len(pieces))
        sign, mantissa, exponent = match.groups()
        power = f"10^{{{int(exponent)}}}"
        pieces = sign + (power if mantissa == "1" else f"{mantissa} \\cdot {power}")
        binds = min(text.binds, PRODUCT)
        return text._replace(pieces=pieces, length=len(pieces), binds=binds, operator=SCALED)

    def static(self, value: Any) -> str:
        """A keyword argument."""
        return for_latex(clean(super().static(value)))

    def key_part(self, part: Any) -> str:
        """A part of an index that is no array."""
        if part is Ellipsis:
            return r"\ldots"
        return r"\mathrm{None}" if part is None else super().key_part(part)

    def template(self, symbol: Symbol) -> str | None:
        """The template of a call."""
        return symbol.latex

    def function_form(self, name: str, operands: str = "$x", more: str = "") -> str:
        """The template of a function, with the rest as a subscript."""
        return rf"\mathrm{{{name}}}{more and f'_{{{more}}}'}({operands})"

    def concatenation_form(self, stack: bool, operands: str, axis: int) -> str:
        """The template of a concatenation whose axis must be said."""
        where = rf"\text{{axis {axis}}}"
        return (
            self.function_form("stack", operands, where) if stack else f"[{operands}]_{{{where}}}"
        )

    def full(self, number: int, shape: Shape) -> Text:
        """An array of zeros or ones."""
        return plain(rf"\mathbf{{{number}}}_{{{self.sizes(shape)}}}")

    def permuted(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Axes in another order."""
        axes = r",\,".join(map(str, symbol.order))
        return self.filled(self.function_form("transpose", more=axes), x=parts[0])

    def with_statics(self, text: Text, symbol: Symbol) -> Text:
        r"""A call with its axis or the like as a subscript: ``\sum_{\text{axis 1}}``."""
        pieces, words = text.pieces, in_words(symbol)
        if not words:
            return text
        said = rf"\text{{{for_latex(words)}}}"
        if pieces[0].endswith("_{"):  # there is a subscript
            return text._replace(pieces=(*pieces[:2], rf",\,{said}{pieces[2]}", *pieces[3:]))
        for i in range(0, len(pieces), 2):  # between the operands
            for place in PLACES:
                if match := re.search(place, pieces[i]):
                    before = match[0].removesuffix("_2")
                    subscript = f"_{{{said}}}" if before == match[0] else f"_{{2,\\,{said}}}"
                    found = pieces[i][: match.start()] + before + subscript
                    found += pieces[i][match.end() :]
                    return text._replace(pieces=(*pieces[:i], found, *pieces[i + 1 :]))
        return text


def in_words(symbol: Symbol) -> str:
    """The keyword arguments that a formula says in a subscript."""
    statics, defaults = symbol.statics, symbol.op.defaults
    if "subscripts" in statics:
        return str(statics["subscripts"])
    words = []
    if statics.get("axis") != defaults.get("axis"):
        axes = [statics["axis"]] if isinstance(statics["axis"], int) else statics["axis"]
        numbers = ", ".join(map(str, axes)) or "none"
        words.append(f"{'axis' if len(axes) == 1 else 'axes'} {numbers}")
    if symbol.keeps_axes:
        words.append("keepdims")
    if statics.get("reduction", "mean") != "mean":
        words.append(statics["reduction"])
    windows = symbol.kind == "window"
    usual = (None,) if windows else (None, 1)  # None: they lie side by side
    if windows and "kernel_size" in statics:
        words.append(f"kernel {of_both_axes(statics['kernel_size'])}")
    if (stride := of_both_axes(statics.get("stride"))) not in usual:
        words.append(f"stride {stride}")
    if padding := of_both_axes(statics.get("padding", 0)):
        words.append(f"padding {padding}")
    return ", ".join(words)


def of_both_axes(size: Any) -> Any:
    """Height and width as one number, if they are the same."""
    return size[0] if isinstance(size, tuple) and size[0] == size[1] else size


# ---- names --------------------------------------------------------------------------------------

GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
    *("omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
)
SHORT_FOR = {"lam": "lambda", "lambd": "lambda", "lambda_": "lambda", "eps": "epsilon"}
LETTER = rf"(d?)_?({'|'.join([*GREEK, *SHORT_FOR])}|[A-Za-z])"
INDEX = r"([0-9]+|\[[^]]+\])?"
NAME = re.compile(rf"{LETTER}(?:_?(hat|bar|tilde))?_?{INDEX}")
WITH_SUBSCRIPT = re.compile(rf"(d?)([A-Z])()([a-z]{{1,2}}|L)_?{INDEX}")  # Wq, AL
WITH_WORD = re.compile(rf"{LETTER}_([A-Za-z]{{2,}})")  # h_prev
WORD = re.compile(rf"([A-Za-z]{{2,}})_?{INDEX}")


def latex_name(name: str) -> str:
    r"""A name in LaTeX: ``dW1`` as ``dW_1``, ``Wq`` as ``W_q``, ``loss`` as ``\mathrm{loss}``."""
    if match := NAME.fullmatch(name) or WITH_SUBSCRIPT.fullmatch(name):
        d, letter, accent, *subscripts = match.groups()
        letter = SHORT_FOR.get(letter, letter)
        letter = f"\\{letter}" if letter in GREEK else letter
        letter = f"\\{accent}{{{letter}}}" if accent else letter
        letter = f"{d} {letter}" if d and letter.startswith("\\") else d + letter
    elif match := WITH_WORD.fullmatch(name):
        d, letter, word = match.groups()
        letter, subscripts = latex_name(f"{d}{letter}"), [rf"\mathrm{{{word}}}"]
    elif match := WORD.fullmatch(name):
        letter, subscripts = f"\\mathrm{{{match[1]}}}", [match[2]]
    else:
        return f"\\text{{{for_latex(clean(name))}}}"
    index = "".join([x.strip("[]") for x in subscripts if x])
    return f"{letter}_{{{index}}}" if len(index) > 1 else f"{letter}_{index}" if index else letter
