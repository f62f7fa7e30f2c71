"""Expressions in Python: code for NumPy (``np``) and this package (``ag``)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..core import ops
from . import seen_shapes
from .broadcasting import Brief
from .expressions import OMITTED, Symbol
from .names import digits, printable, python_name
from .pieces import Text, plain
from .printer import Printer
from .seen_shapes import Shape, as_it_is
from .templates import (
    ADDITION,
    ATOM,
    COMPARISON,
    FREE,
    POWER,
    PRODUCT,
    SIGN,
    SUBTRACTION,
    Strength,
    Syntax,
)

METHOD = re.compile(r"\$\w+[.[]")  # what is written as one of an operand
SMALL = 16  # numbers of an array that code has in it
TIMES = Strength(PRODUCT, PRODUCT, SIGN)


class Python(Printer):
    """Writes programs that compute the same, bit for bit."""

    syntax = Syntax(
        {
            "+": ADDITION,
            "-": SUBTRACTION,
            **dict.fromkeys(("*", "/", "@"), TIMES),
            "sign": Strength(SIGN, FREE, SIGN),
            "**": Strength(POWER, ATOM, POWER),
            ".": Strength(ATOM, ATOM, FREE),
            **dict.fromkeys((">", "<", ">=", "<=", "==", "!=", "&", "|", "^"), COMPARISON),
        }
    )
    name = staticmethod(printable)
    function_name = staticmethod(python_name)

    def of_leaf(self, symbol: Symbol) -> Text:
        """A name, a number, or a small array."""
        elements = np.size(symbol.array) if symbol.shape else 0
        if self.exact and 0 < elements <= SMALL and symbol.name in (None, OMITTED):
            return plain(array_of(symbol.array))
        return super().of_leaf(symbol)

    def digits(self, x: float) -> str:
        """All digits of a number."""
        return re.sub("(inf|nan)", r"np.\1", digits(x))

    def static(self, value: Any) -> str:
        """A keyword argument."""
        if isinstance(value, tuple):
            parts = [self.static(x) for x in value]
            return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
        if isinstance(value, np.dtype):
            return f"np.{value.name}"
        if value is ops.Index:
            return "ag.core.ops.Index"
        return repr(value.item() if isinstance(value, np.generic) else value)

    def template(self, symbol: Symbol) -> str | None:
        """The template of a call."""
        python = symbol.op.python or ""
        return python if "$" in python else None

    def called(self, symbol: Symbol, parts: list[Text]) -> Text:
        """The text of a call; numbers become such as have methods where one is called."""
        if parts and parts[0].is_number and METHOD.match(symbol.op.python or ""):
            number = self.filled(f"np.{symbol.operands[0].dtype.name}($x)", x=parts[0])
            parts = [number, *parts[1:]]
        return super().called(symbol, parts)

    # -- signs and numbers in front, which those who need not be exact put together --

    def negative(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``-x``."""
        return self.call(symbol, parts)._replace(factor=-1.0, rest=parts[0])

    def opposite(self, text: Text) -> Text | None:
        """A text without the minus in front; None if there is none that can be taken away."""
        return text.rest if text.factor == -1 and text.binds >= PRODUCT else None

    def product(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a * b``; factors of 1 vanish."""
        a, b = parts
        for one, other, kept in zip(parts, parts[::-1], symbol.operands[::-1], strict=True):
            alike = kept.shape == symbol.shape and kept.dtype == symbol.dtype
            if one.is_number and one.factor == 1 and (alike or not self.exact):
                return other
        return self.multiplied(a, b)

    def multiplied(self, a: Text, b: Text) -> Text:
        """A product of elements."""
        product = self.times("$a * $b", a, b)
        return product._replace(factor=a.factor, rest=b) if a.is_number else product

    def matrix_product(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a @ b``."""
        return self.times("$a @ $b", *parts)

    def quotient(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a / b``."""
        return self.times("$a / $b", *parts)

    def times(self, template: str, a: Text, b: Text) -> Text:
        """A product, in which what is in front of its first factor is in front of the whole."""
        product = self.filled(template, a=a, b=b)
        if a.rest is None:
            return product
        return product._replace(factor=a.factor, rest=self.filled(template, a=a.rest, b=b))

    def transpose(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``x.T``, where that is what it is."""
        order, backwards = symbol.order, tuple(range(len(symbol.shape)))[::-1]
        if order == backwards:
            return self.call(symbol, parts)
        if order == (*backwards[:1:-1], *backwards[:2]):
            return self.filled("$x.mT", x=parts[0])
        return self.function(symbol, parts)

    def reduction(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``np.sum(x, axis=1)``; the length of vectors along three axes is no function of NumPy."""
        axis, keepdims = symbol.statics["axis"], symbol.statics["keepdims"]
        lengths = symbol.python == "np.linalg.norm"
        if not lengths or not isinstance(axis, tuple) or len(axis) in (1, 2):
            return self.call(symbol, parts)
        kept = ", keepdims=True" * keepdims
        return self.filled(f"np.sqrt(np.sum($x**2, axis={axis}{kept}))", x=parts[0])


class BriefPython(Brief, Python):
    """Writes code for reports, without what only changes shapes where NumPy broadcasts anyway."""

    def multiplied(self, a: Text, b: Text) -> Text:
        """A product of elements; ``0.07 * (2 * W)`` is ``0.14 * W``."""
        for one, other in ((a, b), (b, a)):
            both = one.is_number and other.rest is not None and min(one.front, other.front) > 0
            if both and other.rest is not None:
                front = self.number(one.front * other.front)
                rest = (
                    other.rest if other.rest.binds >= PRODUCT else self.in_parentheses(other.rest)
                )
                pieces = (front.pieces, " * ", rest.pieces)  # a number goes in front of a product
                length = front.length + 3 + rest.length
                return Text(pieces, length, PRODUCT, "*", False, front.factor, other.rest)
        return super().multiplied(a, b)

    def reshape(self, text: Text, shape: Shape) -> Text:
        """A text with a shape behind it."""
        return self.filled(f"$x.reshape({shape})", x=text)._replace(seen=as_it_is(shape))

    def broadcast(self, text: Text, shape: Shape) -> Text:
        """A text that is repeated to a shape."""
        return self.filled(f"np.broadcast_to($x, {shape})", x=text)._replace(seen=as_it_is(shape))

    def cast(self, text: Text, dtype: np.dtype[Any]) -> Text:
        """A text as another kind of numbers."""
        return self.filled(f"$x.astype(np.{dtype.name})", x=text)._replace(seen=text.seen)

    def repeated(self, text: Text, shape: Shape) -> Text:
        """A number in each place: ``np.ones((5, 2))``."""
        if text.is_number and text.factor in (0, 1):
            name = "ones" if text.factor else "zeros"
            return plain(f"np.{name}({shape})")._replace(seen=as_it_is(shape))
        return self.broadcast(text, shape)

    of_product = staticmethod(seen_shapes.multiplied_in_python)

    def as_vector(self, text: Text, shape: Shape, first: bool) -> Text | None:
        """A vector as a factor of a product of matrices: in front a row, behind a column."""
        return text if len(text.seen.shape) == 1 and (shape[0] == 1) == first else None


def array_of(array: Any) -> str:
    """A small array as code."""
    numbers = re.sub(r"\b(inf|nan)\b", r"np.\1", str(array.tolist()))
    usual = array.dtype in (np.float64, np.int64, np.bool_)
    return f"np.array({numbers}{'' if usual else f', np.{array.dtype.name}'})"
