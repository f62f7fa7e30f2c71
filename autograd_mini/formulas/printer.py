"""One walk through an expression writes it, with brackets where needed; a language says how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive
from .expressions import OMITTED, Symbol, operands_first
from .names import digits
from .pieces import Text, joined, plain, with_commas
from .seen_shapes import as_it_is
from .templates import ATOM, CLOSED, NOTHING, SUM, Syntax

#: The methods for calls that are not written as their templates say, by what Python writes on ``a``
#: and ``b``, or by kind.
METHODS = {
    "-a": "negative",
    "a + b": "total",
    "a - b": "difference",
    "a * b": "product",
    "a / b": "quotient",
    "a**b": "power",
    "product": "matrix_product",
    "permutation": "transpose",
    "constant": "constant",
    "join": "concatenation",
    "scatter": "scattered",
}


class Printer:
    """What all languages have in common.

    Parameters
    ----------
    leaf : function or None
        What to write for a quantity with a name, instead of the name.
    longest : int
        A part with more characters is left out.
    """

    syntax: Syntax
    exact = True  # whether all that changes shapes and dtypes is written
    brackets = ("(", ")")
    left_out, condition = OMITTED, OMITTED
    has_bare_minus = True  # whether there is ``a + -b``
    #: What a quantity is called.
    name: Callable[[str], str]
    #: The template of a call; None if it is written as a function.
    template: Callable[[Symbol], str | None]
    #: A text without the minus in front; None if there is none that can be taken away.
    opposite: Callable[[Text], Text | None]

    def __init__(self, leaf: Callable[[Symbol], str] | None, longest: int) -> None:
        self.leaf = leaf
        self.longest = longest
        self.sign = self.syntax.strengths["sign"].binds

    def write(self, symbol: Symbol) -> str:
        """The text of an expression."""
        texts: dict[Symbol, Text] = {}
        for part in operands_first(symbol):
            text = self.text(part, [texts[x] for x in part.operands])
            texts[part] = text if text.length <= self.longest else self.omitted(part)
        return joined(self.finished(symbol, texts[symbol]).pieces)

    def text(self, symbol: Symbol, parts: list[Text]) -> Text:
        """The text of an expression, from those of its operands."""
        return self.called(symbol, parts) if symbol.primitive else self.of_leaf(symbol)

    def finished(self, symbol: Symbol, text: Text) -> Text:
        """The text of the whole expression."""
        return text

    def called(self, symbol: Symbol, parts: list[Text]) -> Text:
        """The text of a call."""
        usual = "reduction" if symbol.is_reduction else "call"
        name = METHODS.get(symbol.python) or METHODS.get(symbol.kind, usual)
        text: Text = getattr(self, name)(symbol, parts)
        return text

    # -- names and numbers --

    def of_leaf(self, symbol: Symbol) -> Text:
        """A name, or a number."""
        if symbol.name not in (None, OMITTED):
            text = self.leaf(symbol) if self.leaf else self.name(str(symbol.name))
            binds = self.sign if text.startswith("-") else ATOM
            return plain(text, binds)._replace(seen=as_it_is(symbol.shape))
        if symbol.name is None and np.size(symbol.array) == 1:
            return self.number(np.asarray(symbol.array).item())
        return self.omitted(symbol)

    def omitted(self, symbol: Symbol) -> Text:
        """What stands for something that is not written."""
        is_mask = symbol.dtype == bool and symbol.primitive is None
        text = self.condition if is_mask else self.left_out
        return plain(text)._replace(seen=as_it_is(symbol.shape))

    def number(self, x: Any) -> Text:
        """A number."""
        if not isinstance(x, int | float) or isinstance(x, bool):
            return Text(f"{x}", len(f"{x}"))
        text = self.digits(x)
        minus = text.startswith("-")
        return Text(text, len(text), self.sign if minus else ATOM, "", minus, float(x))

    def digits(self, x: float) -> str:
        """The digits of a number."""
        return digits(x)

    # -- templates --

    def filled(self, template: str, **operands: Text) -> Text:
        """A template with texts put in, in parentheses where they bind less than it asks."""
        form = self.syntax.form(template)
        parts = [form.pieces[0]]
        length, minus = len(form.pieces[0]), form.pieces[0].startswith("-")
        for name, piece, (left, right) in zip(
            form.pieces[1::2], form.pieces[2::2], form.asks, strict=True
        ):
            text = operands[name]
            fits = (text.binds >= left.right or text.operator in left.right_too) and (
                text.binds >= right.left or text.operator in right.left_too
            )
            if text.minus and left is not NOTHING and not self.has_bare_minus:
                fits = False
            text = text if fits else self.in_parentheses(text)
            minus = minus or (parts == [""] and text.minus)
            parts += [text.pieces, piece]
            length += text.length + len(piece)
        return Text(tuple(parts), length, form.binds, form.operator, minus)

    def in_parentheses(self, text: Text) -> Text:
        """A text in parentheses."""
        before, after = self.brackets
        return Text((before, text.pieces, after), len(before) + text.length + len(after))

    def call(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Any call."""
        template = self.template(symbol)
        if template is None:
            return self.function(symbol, parts)
        if template == f"${symbol.op.operands[0]}":
            return parts[0]
        return self.with_statics(self.filled(template, **self.operands(symbol, parts)), symbol)

    def total(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a + b``, where ``b`` may have a minus in front."""
        b = self.opposite(parts[1])
        return self.filled("$a - $b", a=parts[0], b=b) if b else self.call(symbol, parts)

    def difference(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a - b``, likewise."""
        b = self.opposite(parts[1])
        return self.filled("$a + $b", a=parts[0], b=b) if b else self.call(symbol, parts)

    product = quotient = negative = power = call
    matrix_product = transpose = constant = concatenation = scattered = reduction = call

    def with_statics(self, text: Text, symbol: Symbol) -> Text:
        """A call with those keyword arguments that its template does not say."""
        return text

    def operands(self, symbol: Symbol, parts: list[Text]) -> dict[str, Text]:
        """What stands for each name in a template."""
        op = symbol.op
        found = {name: self.keyword(value) for name, value in symbol.statics.items()}
        found |= dict(zip(op.operands, parts, strict=False))
        if op.variadic:
            rest = parts[len(op.operands) - 1 :]
            pieces = with_commas([part.pieces for part in rest])
            if "key" in symbol.statics:
                pieces = self.key(symbol.statics["key"], [part.pieces for part in rest])
            found[op.operands[-1]] = Text(pieces, sum(part.length + 2 for part in rest))
        return found

    def key(self, key: Any, indices: list[Any]) -> Any:
        """What stands in the brackets of an index."""
        rest = iter(indices)
        parts = key if isinstance(key, tuple) else (key,)
        texts = [next(rest) if part is ops.Index else self.key_part(part) for part in parts]
        return with_commas(texts) or "()"

    def key_part(self, part: Any) -> str:
        """A part of an index that is no array."""
        if isinstance(part, slice):
            start, stop, step = (
                "" if x is None else str(x) for x in (part.start, part.stop, part.step)
            )
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return "..." if part is Ellipsis else str(part)

    def keyword(self, value: Any) -> Text:
        """A keyword argument in a template."""
        text = self.static(value)
        return Text(text, len(text), SUM if text.startswith("-") else CLOSED)

    def static(self, value: Any) -> str:
        """A keyword argument."""
        return str(value)

    def function(self, symbol: Symbol, parts: list[Text]) -> Text:
        """A call as code: ``np.sum(X, axis=1)``."""
        defaults = symbol.op.defaults
        statics = [
            f"{name}={self.static(value)}"
            for name, value in self.said(symbol).items()
            if name not in defaults or value != defaults[name]
        ]
        name = self.function_name(symbol.op)
        if not self.exact and not isinstance(symbol.op.template, str):
            pairs = zip(symbol.op.operands, parts, strict=True)
            parts = [part for operand, part in pairs if f"${operand}" in symbol.latex]
        pieces = (name, "(", with_commas([*(part.pieces for part in parts), *statics]), ")")
        length = sum(part.length + 2 for part in parts) + sum(map(len, statics)) + len(name)
        return Text(pieces, length)

    def said(self, symbol: Symbol) -> Mapping[str, Any]:
        """The keyword arguments that a function has in it."""
        return symbol.statics

    def function_name(self, primitive: Primitive) -> str:
        """What a function is called."""
        return primitive.name
