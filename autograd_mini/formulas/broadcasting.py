"""What has to be written of reshapes and repetitions, so that a formula is read as it is meant.

A lecture does not write that a bias is repeated, or that a vector becomes a column.  Nor do
formulas here, as long as a reader who knows NumPy's broadcasting understands them: next to an
operand of the full shape, and at the beginning of a line, where the shape stands beside.  Where it
would change what is computed, it is written: in sums of what is repeated, in products of matrices,
and where axes would come to lie on others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import seen_shapes
from .expressions import BOOKKEEPING, Symbol, operands_first
from .pieces import Text, joined
from .printer import Printer
from .seen_shapes import NUMBER, Seen, Shape, as_it_is

Fitted = tuple[list[Text], Seen]


class Brief(Printer):
    """Writes for people: without what only changes shapes, where they understand it anyway."""

    exact = False
    condition = "condition"
    #: A text in another shape, repeated to a shape, a number in each place.
    reshape: Callable[[Text, Shape], Text]
    broadcast: Callable[[Text, Shape], Text]
    repeated: Callable[[Text, Shape], Text]
    #: A text as another kind of numbers.
    cast: Callable[[Text, np.dtype[Any]], Text]
    #: A vector as the first or second factor of a product of matrices; None if it must be a matrix.
    as_vector: Callable[[Text, Shape, bool], Text | None]
    #: The shape that a reader gives a product of matrices.
    of_product: Callable[[Seen, Seen], Seen]

    def write(self, symbol: Symbol) -> str:
        """The text of an expression."""
        return super().write(with_axes_put_together(symbol))

    def text(self, symbol: Symbol, parts: list[Text]) -> Text:
        """The text of an expression, from those of its operands."""
        if symbol.primitive is None:
            return self.of_leaf(symbol)
        text = self.hidden(symbol, parts)
        if text is not None:
            return text
        parts, seen = self.fitted(symbol, parts)
        return self.called(symbol, parts)._replace(seen=seen)

    def finished(self, symbol: Symbol, text: Text) -> Text:
        """The text of the whole expression, beside which its shape stands."""
        same = seen_shapes.renamed(text.seen.shape, symbol.shape) is not None
        return text if same else self.aligned(text, symbol.shape)

    # -- what is written --

    def hidden(self, symbol: Symbol, parts: list[Text]) -> Text | None:
        """The text of mere bookkeeping, mostly that of its operand; None for other calls."""
        kind, text, x = symbol.kind, parts[0], symbol.operands[0]
        if kind == "permutation":
            if len(x.shape) < 2:
                return text
            if text.seen.shape == x.shape or len(text.seen.long) > 1:
                return None
            return text._replace(seen=seen_shapes.turned(text.seen, symbol.order))
        if kind == "reduction" and text.seen.shape != x.shape:
            is_same = all(x.shape[i] == 1 for i in symbol.gone)
            return moved(text, x.shape, symbol.shape) if is_same else None
        if kind in ("index", "scatter") and leaves_nothing_out(symbol.statics["key"]):
            return moved(text, x.shape, symbol.shape)
        if kind == "reshape":
            return moved(text, x.shape, symbol.shape) or self.reshaped(symbol, text)
        if kind == "cast" and not np.can_cast(x.dtype, symbol.dtype, "same_kind"):
            return self.cast(text, symbol.dtype)
        return text if kind in BOOKKEEPING else None

    def reshaped(self, symbol: Symbol, text: Text) -> Text:
        """Another shape."""
        (x,) = symbol.operands
        if seen_shapes.size(text.seen.shape) != seen_shapes.size(x.shape):
            text = self.whole(text, x.shape)
        return self.reshape(text, symbol.shape)

    def fitted(self, symbol: Symbol, parts: list[Text]) -> Fitted:
        """The operands as a call needs them, and the shape that a reader gives its result."""
        if is_repeated_number(symbol):
            return parts, NUMBER
        if symbol.kind == "product":
            return self.as_matrices(symbol, parts)
        if symbol.kind == "join":
            return self.as_blocks(symbol, parts), as_it_is(symbol.shape)
        if symbol.is_reduction:
            return self.along_axes(symbol, parts)
        if symbol.kind == "elementwise":
            seen = seen_shapes.together([text.seen for text in parts])
            if seen is None:
                parts = [self.aligned(text, x.shape) for x, text in pairs_of(symbol, parts)]
                seen = seen_shapes.together([text.seen for text in parts])
            assert seen is not None
            return parts, seen
        wholes = self.all_whole(symbol, parts)
        if symbol.kind in ("index", "scatter"):  # a number beside an array of indices is repeated
            arrays = {text.seen.shape for text in parts[1:] if not text.is_number}
            for i, x in enumerate(symbol.operands[1:], start=1):
                if x.shape in arrays and not parts[i].seen.shape:
                    wholes[i] = parts[i]
        return wholes, as_it_is(symbol.shape)

    def all_whole(self, symbol: Symbol, parts: list[Text]) -> list[Text]:
        """The operands in their full shapes."""
        return [self.whole(text, x.shape) for x, text in pairs_of(symbol, parts)]

    as_blocks = all_whole

    def along_axes(self, symbol: Symbol, parts: list[Text]) -> Fitted:
        """The operand of a reduction, in which the axes that are summed over must be seen."""
        text, x = parts[0], symbol.operands[0]
        everything = symbol.statics["axis"] is None
        if not everything or seen_shapes.size(text.seen.shape) != seen_shapes.size(x.shape):
            text = self.whole(text, x.shape)
        return [text], NUMBER if everything else as_it_is(symbol.shape)

    def as_matrices(self, symbol: Symbol, parts: list[Text]) -> Fitted:
        """The factors of a product of matrices."""
        a, b = [
            self.as_matrix(text, x.shape, text is parts[0]) for x, text in pairs_of(symbol, parts)
        ]
        return [a, b], self.of_product(a.seen, b.seen)

    def as_matrix(self, text: Text, shape: Shape, first: bool) -> Text:
        """A factor of a product of matrices."""
        seen, vector = text.seen, None
        if len(seen.shape) > 1 and seen.shape[-2:] == shape[-2:] and seen.is_aligned:
            return text
        same_size = seen_shapes.size(seen.shape) == seen_shapes.size(shape)
        if len(shape) == 2 and same_size and len(seen.long) < 2:
            vector = self.as_vector(text, shape, first)
        return vector or self.whole(text, shape)

    # -- full shapes --

    def whole(self, text: Text, shape: Shape) -> Text:
        """A text that is read in its full shape."""
        if text.seen.shape == shape:
            return text
        if not text.seen.shape:
            return self.repeated(text, shape)
        text = self.aligned(text, shape)
        longer = len(text.seen.shape) - len(shape)
        same_size = seen_shapes.size(text.seen.shape) == seen_shapes.size(shape)
        if longer > 0 or (longer < 0 and same_size):
            text = self.with_key(text, shape)
        if text.seen.shape != shape:
            text = self.broadcast(text, shape)
        return text._replace(seen=as_it_is(shape))

    def aligned(self, text: Text, shape: Shape) -> Text:
        """A text that broadcasting alone brings to its full shape: ``x[:, None]``."""
        return text if text.seen.is_aligned else self.with_key(text, shape)

    def with_key(self, text: Text, shape: Shape) -> Text:
        """A text with a key that brings its axes to their places."""
        key = joined(self.key(seen_shapes.key_to(text.seen, shape), []))
        long = {there: text.seen.shape[here] for here, there in text.seen.long}
        shown = tuple([long.get(i, 1) for i in range(-len(shape), 0)])
        return self.filled(f"$x[{key}]", x=text)._replace(seen=as_it_is(shown))


def moved(text: Text, before: Shape, after: Shape) -> Text | None:
    """The same text, if axes of length 1 have been added or removed only."""
    to = seen_shapes.renamed(before, after)
    return None if to is None else text._replace(seen=text.seen.moved(to))


def is_repeated_number(symbol: Symbol) -> bool:
    """Whether a call gives an array of which mathematics writes a number: zeros or ones."""
    return symbol.kind == "constant" and symbol.latex.isnumeric()


def pairs_of(symbol: Symbol, parts: list[Text]) -> list[tuple[Symbol, Text]]:
    """Operands with their texts."""
    return list(zip(symbol.operands, parts, strict=True))


def leaves_nothing_out(key: object) -> bool:
    """Whether an index only adds axes."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(part in (None, Ellipsis, slice(None)) for part in parts)


def with_axes_put_together(symbol: Symbol) -> Symbol:
    """The same expression, in which a reduction does what is done to its axes afterwards.

    A sum of a sum is one sum along the axes of both, and a reshape that gives a reduction its axes
    back is ``keepdims=True``.  What is taken along all axes is a number.
    """
    found: dict[Symbol, Symbol] = {}
    for part in operands_first(symbol):
        operands = tuple([found[x] for x in part.operands])
        inner, op, statics = operands[0] if operands else part, part.primitive, part.statics
        dimensions = range(len(inner.operands[0].shape)) if inner.is_reduction else range(0)
        if inner.is_reduction and not inner.statics["keepdims"]:
            left = [i for i in dimensions if i not in inner.gone]
            is_one = part.kind == "reduction" and part.python == inner.python == "np.sum"
            kept = [1 if i in inner.gone else inner.operands[0].shape[i] for i in dimensions]
            if part.kind == "reshape" and part.shape == tuple(kept):
                operands, op, statics = (
                    inner.operands,
                    inner.op,
                    {**inner.statics, "keepdims": True},
                )
            elif is_one and not statics["keepdims"]:
                axes = (*inner.gone, *(left[i] for i in part.gone))
                operands, statics = inner.operands, {**statics, "axis": tuple(sorted(axes))}
        again = part
        if operands != part.operands:
            again = Symbol(part.array, None, op, operands, statics)
        if again.is_reduction and len(again.gone) == len(again.operands[0].shape):
            statics = {**again.statics, "axis": None, "keepdims": False}
            again = Symbol(part.array, None, again.primitive, again.operands, statics)
        found[part] = again
    return found[symbol]
