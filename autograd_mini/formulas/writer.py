"""Expressions as text, in Python, as plain text and in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core import ops
from ..text import clean, for_latex
from .expressions import OMITTED, Symbol, latex_of, operands_first
from .fitting import aligned, fitted, hidden, settled, summed_at_once, with_axes_that_count
from .names import digits, latex_name, number, printable, python_name, python_static
from .rules import rule_of
from .shapes import as_it_is, size
from .subscripts import with_statics
from .templates import (
    ARRANGED,
    ATOM,
    CLOSED,
    MATHEMATICS,
    NOTHING,
    PRODUCT,
    PYTHON,
    SCALED,
    SUM,
    Strength,
    form_of,
    plain_text,
)
from .texts import Text, is_number, joined, plain

METHOD = re.compile(r"\$\w+[.[]")  # what Python writes as one of an operand
SMALL = 16  # numbers of an array that exact code has in it


def write(
    symbol: Symbol,
    language: str,
    leaf: Callable[[Symbol], str] | None = None,
    *,
    bookkeeping: bool | None = None,
    longest: int = 100_000,
) -> str:
    r"""An expression as text.

    Parameters
    ----------
    symbol : Symbol
    language : {"python", "text", "latex"}
        "python" is code for NumPy (``np``) and this package (``ag``); the other two are for people.
    leaf : callable, optional
        What to write for a quantity with a name, instead of the name: numbers, for example.
        Products of two numbers are then written with a sign.
    bookkeeping : bool, optional
        Whether to show what only changes shapes and dtypes, by default only in Python.
    longest : int
        A part of the formula with more characters is written ``(...)``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such language.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini.core import ops
    >>> from autograd_mini.formulas import named, write
    >>> W2, dZ2, A1 = [named(name, np.ones((2, 2))) for name in ("W2", "dZ2", "A1")]
    >>> slope = ops.subtract(1, ops.square(A1))
    >>> dZ1 = ops.multiply(ops.matrix_product(ops.transpose(W2), dZ2), slope)
    >>> print(write(dZ1, "python"))
    W2.T @ dZ2 * (1 - A1**2)
    >>> print(write(dZ1, "text"))
    (W2^T dZ2) (.) (1 - A1^2)
    >>> print(write(dZ1, "latex"))
    \left(W_2^T\, dZ_2\right) \odot \left(1 - A_1^2\right)
    """
    if language not in ("python", "text", "latex"):
        raise ValueError(f"formulas are written in python, text or latex, not in {language!r}")
    exact = language == "python" if bookkeeping is None else bookkeeping
    return Writer(language, leaf, exact, longest).write(symbol)


class Writer:
    """Writes expressions in one language."""

    def __init__(
        self, language: str, leaf: Callable[[Symbol], str] | None, exact: bool, longest: int
    ) -> None:
        self.language = language
        self.leaf = leaf
        self.exact = exact
        self.longest = longest
        self.settled: set[int] = set()  # the parts whose shape a reader knows beforehand
        self.counted: set[int] = set()  # the reductions of which keepdims is written
        self.scaled_form = f"$a{SCALED}$b"
        if leaf is not None:
            self.scaled_form = {"text": "$a * $b", "latex": r"$a \cdot $b"}.get(language, "")

    def write(self, symbol: Symbol) -> str:
        """The text of an expression."""
        if self.language != "python":
            symbol = summed_at_once(symbol)
        order = operands_first(symbol)
        if not self.exact and any(x.kind in ("join", "scatter") for x in order):
            self.settled = settled(symbol, order)
        if self.language != "python":
            self.counted = with_axes_that_count(order)
        texts: dict[Symbol, Text] = {}
        for part in order:
            texts[part] = self.text(part, [texts[x] for x in part.operands])
        text = texts[symbol]
        if not self.exact and not text.seen.is_aligned:
            same = np.size(symbol.array) == size(text.seen.shape)
            text = text if same else aligned(self, text, symbol.shape)
        return joined(text.pieces)

    def text(self, symbol: Symbol, parts: list[Text]) -> Text:
        """The text of an expression, from those of its operands."""
        if symbol.primitive is None:
            return self.of_leaf(symbol)
        rule = rule_of(symbol) or Writer.call
        bookkeeping = None if self.exact else hidden(self, symbol, parts)
        is_method = self.language == "python" and METHOD.match(symbol.primitive.python or "")
        if is_method and is_number(parts[0]):
            parts = [self.numpy_number(symbol.operands[0], parts[0]), *parts[1:]]
        if bookkeeping is not None:
            text = bookkeeping
        elif self.exact:
            text = rule(self, symbol, parts)
        else:
            parts, seen = fitted(self, symbol, parts)
            text = rule(self, symbol, parts)._replace(seen=seen)
        return text if text.length <= self.longest else self.omitted(symbol)

    def of_leaf(self, symbol: Symbol) -> Text:
        """A name, or a number."""
        elements = np.size(symbol.array)
        exact = self.exact and self.language == "python"
        if symbol.name is not None and symbol.name != OMITTED:
            text = self.name(symbol)
        elif exact and 0 < elements <= SMALL and symbol.shape:
            text = self.constant_array(symbol.array)
        elif symbol.name is None and elements == 1:
            return self.number(np.asarray(symbol.array).item())
        else:
            return self.omitted(symbol)
        binds = self.sign.binds if text.startswith("-") else ATOM
        return plain(text, binds)._replace(seen=as_it_is(symbol.shape))

    def omitted(self, symbol: Symbol) -> Text:
        """What stands for something that is not written."""
        text = OMITTED
        if not self.exact and symbol.dtype == bool and symbol.primitive is None:
            text = "condition"
        if self.language == "latex":
            text = r"\text{condition}" if text == "condition" else r"(\ldots)"
        return plain(text)._replace(seen=as_it_is(symbol.shape))

    def constant_array(self, array: Any) -> str:
        """A small array as code."""
        numbers = re.sub(r"\b(inf|nan)\b", r"np.\1", str(array.tolist()))
        usual = array.dtype in (np.float64, np.int64, np.bool_)
        return f"np.array({numbers}{'' if usual else f', np.{array.dtype.name}'})"

    def name(self, symbol: Symbol) -> str:
        """What a quantity is called."""
        assert symbol.name is not None
        if self.leaf is not None:
            return self.leaf(symbol)
        if self.language == "latex":
            return latex_name(symbol.name)
        return printable(symbol.name) if self.language == "python" else clean(symbol.name)

    # -- numbers, signs and factors --

    @property
    def strengths(self) -> Mapping[str, Strength]:
        """Of the operators of the language."""
        return PYTHON if self.language == "python" else MATHEMATICS

    @property
    def sign(self) -> Strength:
        """How tightly a minus binds."""
        return self.strengths["sign"]

    def number(self, x: Any) -> Text:
        """A number."""
        if not isinstance(x, int | float) or isinstance(x, bool):
            text = f"\\mathrm{{{x}}}" if self.language == "latex" and x in (True, False) else f"{x}"
            return Text(text, len(text))
        text = digits(x) if self.language == "python" else number(x)
        minus = text.startswith("-")
        binds, operator = self.sign.binds if minus else ATOM, ""
        if self.language == "python":
            text = re.sub("(inf|nan)", r"np.\1", text)
        elif self.language == "latex":
            text = text.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
            if match := re.fullmatch(r"(-?)(.*)e(.*)", text):
                sign, mantissa, exponent = match.groups()
                power = f"10^{{{int(exponent)}}}"
                text = sign + (power if mantissa == "1" else f"{mantissa} \\cdot {power}")
                binds, operator = min(binds, PRODUCT), SCALED
        return Text(text, len(text), binds, operator, minus, float(x))

    def numpy_number(self, symbol: Symbol, text: Text) -> Text:
        """A number that has the methods of arrays."""
        template = f"np.{symbol.dtype.name}($x)"
        return self.filled(template, {"x": text})._replace(seen=text.seen)

    def scaled(self, factor: float, rest: Text | None) -> Text:
        """A text with a number in front, in mathematics."""
        if rest is None:
            return self.number(factor)
        if factor < 0:
            body = self.scaled(-factor, rest)
            return self.filled("-$x", {"x": body})._replace(factor=factor, rest=rest)
        if factor == 1:
            return rest
        product = self.filled(self.scaled_form, {"a": self.number(factor), "b": rest})
        return product._replace(factor=factor, rest=rest)

    def is_scalar(self, symbol: Symbol, text: Text) -> bool:
        """Whether a factor is written in front, as numbers are."""
        unnamed = symbol.primitive is None and symbol.name is None
        shape = symbol.shape if self.exact else text.seen.shape
        return not shape or (unnamed and np.size(symbol.array) == 1)

    # -- templates --

    def filled(self, template: str, operands: Mapping[str, Text]) -> Text:
        """A template with texts put in, in parentheses where they bind less than it asks."""
        form = form_of(template, self.language)
        parts = [form.pieces[0]]
        length, minus = len(form.pieces[0]), form.pieces[0].startswith("-")
        for name, piece, (left, right) in zip(
            form.pieces[1::2], form.pieces[2::2], form.asks, strict=True
        ):
            text = operands[name]
            fits = (text.binds >= left.right or text.operator in left.right_too) and (
                text.binds >= right.left or text.operator in right.left_too
            )
            if text.minus and left is not NOTHING and self.language != "python":
                fits = False  # no A + -B
            text = text if fits else self.in_parentheses(text)
            minus = minus or (parts == [""] and text.minus)
            parts += [text.pieces, piece]
            length += text.length + len(piece)
        return Text(tuple(parts), length, form.binds, form.operator, minus)

    def function_form(self, name: str, operands: str = "$x", more: str = "") -> str:
        """The template of a function: ``reshape(x, 2 x 3)``, with a subscript in LaTeX."""
        if self.language == "latex":
            return rf"\mathrm{{{name}}}{more and f'_{{{more}}}'}({operands})"
        return f"{name}({operands}{more and f', {more}'})"

    def in_parentheses(self, text: Text) -> Text:
        """A text in parentheses."""
        before, after = (r"\left(", r"\right)") if self.language == "latex" else ("(", ")")
        length = len(before) + text.length + len(after)
        return Text((before, text.pieces, after), length)

    def template(self, symbol: Symbol) -> str | None:
        """The template of a call in the language; None if it is written as a function."""
        primitive = symbol.primitive
        assert primitive is not None
        if self.language == "python":
            return primitive.python if "$" in (primitive.python or "") else None
        latex = latex_of(symbol)
        told = primitive.kind in ARRANGED or all(f"${x}" in latex for x in primitive.statics)
        return latex if self.language == "latex" else plain_text(latex) if told else None

    def call(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Any call."""
        primitive = symbol.primitive
        assert primitive is not None
        template = self.template(symbol)
        if template is None:
            return self.function(symbol, parts)
        if template == f"${primitive.operands[0]}":
            return parts[0]
        text = self.filled(template, self.operands(symbol, parts))
        if self.language == "latex":
            text = text._replace(
                pieces=with_statics(text.pieces, symbol, id(symbol) in self.counted)
            )
        return text

    def operands(self, symbol: Symbol, parts: list[Text]) -> dict[str, Text]:
        """What stands for each name in a template."""
        primitive = symbol.primitive
        assert primitive is not None
        found = {name: self.keyword(value) for name, value in symbol.statics.items()} | dict(
            zip(primitive.operands, parts, strict=False)
        )
        if primitive.variadic:
            first = len(primitive.operands) - 1
            rest = [part.pieces for part in parts[first:]]
            if "key" in symbol.statics:
                rest = [self.key(symbol.statics["key"], rest)]
            commas = tuple([piece for part in rest for piece in (", ", part)][1:])
            length = sum(part.length + 2 for part in parts[first:])
            found[primitive.operands[-1]] = Text(commas, length)
        return found

    def key(self, key: Any, indices: list[Any]) -> Any:
        """What stands in the brackets of an index."""
        rest = iter(indices)
        parts = key if isinstance(key, tuple) else (key,)
        texts = [next(rest) if part is ops.Index else self.key_part(part) for part in parts]
        commas = tuple([piece for text in texts for piece in (", ", text)][1:])
        return commas or "()"

    def key_part(self, part: Any) -> str:
        """A part of an index that is no array."""
        if isinstance(part, slice):
            start, stop, step = (
                "" if x is None else str(x) for x in (part.start, part.stop, part.step)
            )
            return f"{start}:{stop}" + (f":{step}" if step else "")
        if part is Ellipsis:
            return r"\ldots" if self.language == "latex" else "..."
        return f"\\mathrm{{{part}}}" if self.language == "latex" and part is None else str(part)

    def keyword(self, value: Any) -> Text:
        """A keyword argument in a template."""
        text = self.static(value)
        return Text(text, len(text), SUM if text.startswith("-") else CLOSED)

    def static(self, value: Any) -> str:
        """A keyword argument."""
        if self.language == "python":
            return python_static(value)
        if isinstance(value, np.dtype):
            return f"np.{value.name}"
        if isinstance(value, tuple) and len(value) == 1:
            value = value[0]
        return for_latex(clean(str(value))) if self.language == "latex" else str(value)

    def function(self, symbol: Symbol, parts: list[Text]) -> Text:
        """A call as code: ``np.sum(X, axis=1)``."""
        primitive = symbol.primitive
        assert primitive is not None
        hidden = set() if self.language == "python" else {"keepdims", "likes", "optimize"}
        given = symbol.statics
        if id(symbol) in self.counted:
            given, hidden = {**given, "keepdims": True}, hidden - {"keepdims"}
        statics = [
            f"{name}={self.static(value)}"
            for name, value in given.items()
            if name not in hidden
            and (name not in primitive.defaults or value != primitive.defaults[name])
        ]
        if not self.exact and not isinstance(primitive.template, str):
            said = latex_of(symbol)
            pairs = zip(primitive.operands, parts, strict=True)
            parts = [part for operand, part in pairs if f"${operand}" in said]
        arguments = [*(part.pieces for part in parts), *statics]
        commas = tuple([piece for argument in arguments for piece in (", ", argument)][1:])
        name = python_name(primitive) if self.language == "python" else primitive.name
        length = sum(part.length + 2 for part in parts) + sum(map(len, statics)) + len(name)
        return Text((name, "(", commas, ")"), length)
