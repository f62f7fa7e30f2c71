"""What plain text and LaTeX have in common: ``A B`` is a product of matrices, a vector a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import seen_shapes
from .broadcasting import Brief, Fitted, is_repeated_number, pairs_of
from .expressions import Symbol, operands_first
from .names import number
from .pieces import Text, joined
from .seen_shapes import Shape, as_it_is
from .templates import (
    ADDITION,
    ATOM,
    COMPARISON,
    FREE,
    POWER,
    PRODUCT,
    SERIES,
    SUBTRACTION,
    SUM,
    Strength,
)

SCALED, MATRIX, ENTRIES = "~", "  ", "(.)"  # the three products, which are never mixed
STRENGTHS = {
    "+": ADDITION,
    "-": SUBTRACTION,
    SCALED: Strength(PRODUCT, POWER, POWER, (SCALED,), (SCALED, MATRIX, ENTRIES, "/")),
    MATRIX: Strength(PRODUCT, POWER, POWER, (SCALED, MATRIX), (MATRIX,)),
    ENTRIES: Strength(PRODUCT, POWER, POWER, (SCALED, ENTRIES), (ENTRIES,)),
    "/": Strength(PRODUCT, POWER, POWER, (SCALED, MATRIX)),
    "mod": Strength(PRODUCT, POWER, POWER),
    "sign": Strength(SUM, FREE, SERIES),
    "sum": Strength(SERIES, FREE, PRODUCT, (), ("sum",)),
    "not": Strength(POWER, FREE, ATOM),
    "^": Strength(POWER, ATOM, ATOM),
    **dict.fromkeys((">", "<", ">=", "<=", "=", "==", "!=", "and", "or", "xor"), COMPARISON),
}
CASTS = {"b": "bool", "i": "int", "u": "int", "f": "float"}


def spaced(template: str) -> str:
    """A template as it is shown: products are spaces."""
    return template.replace(SCALED, " ").replace(MATRIX, " ")


class Mathematics(Brief):
    """Writes formulas as people do."""

    has_bare_minus = False
    digits = staticmethod(number)
    times: str  # between numbers that stand for names
    by: str  # between the lengths of a shape
    #: The template of a function that formulas alone have: ``reshape(x, 2 x 3)``.
    function_form: Callable[..., str]
    #: The template of a stack or concatenation of operands, whose axis must be said.
    concatenation_form: Callable[[bool, str, int], str]
    #: An array of zeros or ones.
    full: Callable[[int, Shape], Text]

    def write(self, symbol: Symbol) -> str:
        """The text of an expression, beside which its shape stands."""
        return super().write(without_keepdims_in_front(symbol))

    @property
    def scaled_form(self) -> str:
        """The template of a product with a number."""
        return f"$a{SCALED}$b" if self.leaf is None else f"$a {self.times} $b"

    def said(self, symbol: Symbol) -> Mapping[str, Any]:
        """The keyword arguments that a function has in it."""
        left_out = {"likes", "optimize"} | ({"keepdims"} if not symbol.keeps_axes else set())
        return {name: x for name, x in symbol.statics.items() if name not in left_out}

    def static(self, value: Any) -> str:
        """A keyword argument."""
        if isinstance(value, np.dtype):
            return f"np.{value.name}"
        return str(value[0] if isinstance(value, tuple) and len(value) == 1 else value)

    # -- signs and numbers in front --

    def scaled(self, factor: float, rest: Text | None) -> Text:
        """A text with a number in front."""
        if rest is None:
            return self.number(factor)
        if factor < 0:
            body = self.scaled(-factor, rest)
            return self.filled("-$x", x=body)._replace(factor=factor, rest=rest)
        if factor == 1:
            return rest
        product = self.filled(self.scaled_form, a=self.number(factor), b=rest)
        return product._replace(factor=factor, rest=rest)

    def negative(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``-x``."""
        return self.scaled(-parts[0].front, parts[0].behind)

    def opposite(self, text: Text) -> Text | None:
        """A text without the minus in front; None if there is none."""
        return self.scaled(-text.front, text.rest) if text.front < 0 else None

    def product(self, symbol: Symbol, parts: list[Text]) -> Text:
        """A product: numbers stand in front, and 1 vanishes."""
        for one, other in (parts, parts[::-1]):
            if one.is_number and one.factor == 1:
                return other
        factor, (a, b) = parts[0].front * parts[1].front, [text.behind for text in parts]
        if a is None or b is None:
            return self.scaled(factor, a or b)
        scalars = [is_scalar(x, text) for x, text in pairs_of(symbol, parts)]
        if any(scalars):
            a, b = (b, a) if scalars == [False, True] else (a, b)
            return self.scaled(factor, self.filled(self.scaled_form, a=a, b=b))
        template = self.template(symbol)
        if template is None:
            return self.function(symbol, parts)
        operands = dict(zip(symbol.op.operands, (a, b), strict=True))
        return self.scaled(factor, self.filled(template, **operands))

    matrix_product = product

    def quotient(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a / b``, with a sign in front."""
        a, b = parts
        if b.is_number and b.factor == 1:
            return a
        if a.front < 0:
            return self.scaled(-1, self.call(symbol, [self.scaled(-a.front, a.rest), b]))
        return self.call(symbol, parts)

    def power(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a^b``; with an exponent called T it would read as a transpose."""
        if joined(parts[1].pieces) == "T":
            return self.filled(self.function_form("pow", "$a, $b"), a=parts[0], b=parts[1])
        return self.call(symbol, parts)

    # -- shapes --

    def sizes(self, shape: Shape) -> str:
        """A shape in words."""
        return self.by.join(map(str, shape)) or "1"

    def reshape(self, text: Text, shape: Shape) -> Text:
        """A text with a shape behind it."""
        form = self.function_form("reshape", more=self.sizes(shape))
        return self.filled(form, x=text)._replace(seen=as_it_is(shape))

    def broadcast(self, text: Text, shape: Shape) -> Text:
        """A text that is repeated to a shape."""
        form = self.function_form("broadcast", more=self.sizes(shape))
        return self.filled(form, x=text)._replace(seen=as_it_is(shape))

    def cast(self, text: Text, dtype: np.dtype[Any]) -> Text:
        """A text as another kind of numbers: ``int(x)``."""
        form = self.function_form(CASTS.get(dtype.kind, dtype.name))
        return self.filled(form, x=text)._replace(seen=text.seen)

    def repeated(self, text: Text, shape: Shape) -> Text:
        """A number in each place: ``2 ones(5, 2)``."""
        array = self.full(int(text.factor != 0), shape)
        if text.is_number and text.factor:
            array = self.scaled(text.front, array)
        elif text.behind is not None:
            product = self.filled(self.scaled_form, a=text.behind, b=array)
            array = self.scaled(text.front, product)
        return array._replace(seen=as_it_is(shape))

    def transpose(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``x^T``, where that is what it is."""
        n = len(symbol.shape)
        if symbol.order == (*range(n - 2), n - 1, n - 2):
            return self.call(symbol, parts)
        return self.permuted(symbol, parts)

    permuted = Brief.function

    def constant(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Zeros or ones, which mathematics does not tell from the number."""
        if is_repeated_number(symbol):
            return self.number(float(symbol.latex))
        return self.call(symbol, parts)

    def as_matrices(self, symbol: Symbol, parts: list[Text]) -> Fitted:
        """The factors of a product of matrices, of which one may be a number."""
        for (x, text), other in zip(pairs_of(symbol, parts), parts[::-1], strict=True):
            if not text.seen.shape and x.shape == (1, 1):
                return parts, other.seen  # a number in front of what is as it was
        return super().as_matrices(symbol, parts)

    of_product = staticmethod(seen_shapes.multiplied)

    def as_vector(self, text: Text, shape: Shape, first: bool) -> Text | None:
        """A vector as a factor of a product of matrices: a row is a column transposed."""
        dimensions = len(text.seen.shape)
        is_row = dimensions == 1 and shape[0] == 1 and shape != (1, 1)
        if is_row or dimensions == 2:
            return self.filled("$x^T", x=text)._replace(seen=as_it_is(shape))
        return text if dimensions < 2 else None

    # -- blocks --

    def as_blocks(self, symbol: Symbol, parts: list[Text]) -> list[Text]:
        """The parts of a concatenation; a number in a vector is one element."""
        is_element = [
            x.shape == (1,) and not text.seen.shape for x, text in pairs_of(symbol, parts)
        ]
        wholes = parts if is_stack(symbol, parts) else self.all_whole(symbol, parts)
        return [a if one else b for a, b, one in zip(parts, wholes, is_element, strict=True)]

    def concatenation(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``[a, b]``, if the shapes tell how they lie."""
        stack = is_stack(symbol, parts)
        if not (stack or needs_axis(symbol)):
            return self.call(symbol, parts)
        (xs,) = symbol.op.operands
        axis = symbol.statics["axis"] % len(symbol.shape)
        form = self.concatenation_form(stack, f"${xs}", axis)
        return self.filled(form, **self.operands(symbol, parts))

    def scattered(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Zeros of a shape with something at a key."""
        x, indices = symbol.op.operands
        form = self.function_form("scatter", f"${x}, [${indices}]", self.sizes(symbol.shape))
        return self.filled(form, **self.operands(symbol, parts))


def without_keepdims_in_front(symbol: Symbol) -> Symbol:
    """An expression whose own shape says that the axes of a sum stay: ``(1 / m) sum(dZ, axis=1)``.

    That is so where nothing is done to the sum but to multiply it by numbers, and to add others.
    """
    order = operands_first(symbol)
    free: set[Symbol] = set()  # sums, their multiples, and sums of these
    for x in order:
        alike = [y for y in x.operands if y in free and y.shape == x.shape]
        numbers = [y for y in x.operands if not y.shape]
        if x.kind == "reduction":
            is_free = bool(x.statics.get("keepdims"))
        elif x.python in ("a + b", "a - b"):
            is_free = len(alike) == 2
        else:
            scaled = x.python in ("-a", "a * b", "a / b")
            is_free = scaled and len(alike) == 1 == len(x.operands) - len(numbers)
        free |= {x} if is_free else set()
    in_front = {symbol} & free
    for x in reversed(order):
        if x in in_front and x.kind != "reduction":
            in_front.update(free.intersection(x.operands))
    found: dict[Symbol, Symbol] = {}
    for x in order:
        operands, statics = tuple([found[y] for y in x.operands]), x.statics
        if x in in_front and x.kind == "reduction":
            statics = {**statics, "keepdims": False}
        same = operands == x.operands and statics is x.statics
        found[x] = x if same else Symbol(x.array, None, x.primitive, operands, statics)
    return found[symbol]


def is_scalar(symbol: Symbol, text: Text) -> bool:
    """Whether a factor is written in front, as numbers are."""
    unnamed = symbol.primitive is None and symbol.name is None
    return not text.seen.shape or (unnamed and np.size(symbol.array) == 1)


def is_stack(symbol: Symbol, parts: list[Text]) -> bool:
    """Whether a concatenation makes a new axis: of vectors a matrix."""
    axis = symbol.statics["axis"] % len(symbol.shape)
    for x, text in pairs_of(symbol, parts):
        one = (*x.shape[:axis], *x.shape[axis + 1 :])
        to = seen_shapes.renamed(x.shape, one)
        if x.shape[axis] != 1 or to is None or text.seen.shape != one:
            return False
        if not text.seen.moved(to).is_aligned:
            return False
    return len(symbol.shape) > 1


def needs_axis(symbol: Symbol) -> bool:
    """Whether the shapes of the parts of a concatenation do not tell its axis."""
    shapes = [x.shape for x in symbol.operands]
    axes = range(len(symbol.shape))
    return sum(len({(*n[:axis], *n[axis + 1 :]) for n in shapes}) == 1 for axis in axes) > 1
