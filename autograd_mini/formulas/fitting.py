"""What has to be written of reshapes and repetitions, so that a formula is read as it is meant.

A lecture does not write that a bias is repeated, or that a vector becomes a column.  Nor do
formulas here, as long as a reader who knows NumPy's broadcasting understands them: next to an
operand of the full shape, and at the beginning of a line, where the shape stands beside.  Where it
would change what is computed, it is written: in sums of what is repeated, in products of matrices,
and where axes would come to lie on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core import ops
from . import shapes
from .expressions import Symbol, latex_of, operands_first
from .shapes import NUMBER, Seen, Shape, as_it_is
from .templates import BOOKKEEPING
from .texts import Text, factor_of, is_number, without_factor

if TYPE_CHECKING:
    from .writer import Writer

Fitted = tuple[list[Text], Seen]
CASTS = {"b": "bool", "i": "int", "u": "int", "f": "float"}


# ---- what is written ----------------------------------------------------------------------------


def hidden(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text | None:
    """The text of a call that is only bookkeeping, mostly that of its operand; None for others."""
    kind, (text, *_) = symbol.kind, parts
    x = symbol.operands[0]
    if kind == "permutation":
        if len(x.shape) < 2:
            return text
        if text.seen.shape == x.shape or len(text.seen.long) > 1:
            return None
        order = symbol.statics["axes"] or tuple(range(len(x.shape)))[::-1]
        return text._replace(seen=shapes.turned(text.seen, ops.normalized(order, len(x.shape))))
    if kind == "reduction" and text.seen.shape != x.shape:
        gone = ops.normalized(symbol.statics["axis"], len(x.shape))
        if all(x.shape[i] == 1 for i in gone):
            return moved(text, x.shape, symbol.shape)
        return None
    if kind in ("index", "scatter") and leaves_nothing_out(symbol.statics["key"]):
        return moved(text, x.shape, symbol.shape)
    if kind not in BOOKKEEPING:
        return None
    if kind == "reshape":
        return moved(text, x.shape, symbol.shape) or reshaped(writer, symbol, text)
    if kind == "cast" and not np.can_cast(x.dtype, symbol.dtype, "same_kind"):
        return cast(writer, symbol, text)
    return text


def moved(text: Text, before: Shape, after: Shape) -> Text | None:
    """The same text, if axes of length 1 have been added or removed only."""
    to = shapes.renamed(before, after)
    return None if to is None else text._replace(seen=text.seen.moved(to))


def reshaped(writer: Writer, symbol: Symbol, text: Text) -> Text:
    """Another shape: ``reshape(x, 2 x 3)``."""
    (x,) = symbol.operands
    if shapes.size(text.seen.shape) != shapes.size(x.shape):
        text = whole(writer, text, x.shape)
    return reshape_to(writer, text, symbol.shape)


def reshape_to(writer: Writer, text: Text, shape: Shape) -> Text:
    """A text with a shape behind it."""
    template = writer.function_form("reshape", more=dimensions(writer, shape))
    if writer.language == "python":
        template = f"$x.reshape({shape})"
    return writer.filled(template, {"x": text})._replace(seen=as_it_is(shape))


def cast(writer: Writer, symbol: Symbol, text: Text) -> Text:
    """Another kind of numbers: ``int(x)``."""
    template = writer.function_form(CASTS.get(symbol.dtype.kind, symbol.dtype.name))
    if writer.language == "python":
        template = f"$x.astype(np.{symbol.dtype.name})"
    return writer.filled(template, {"x": text})._replace(seen=text.seen)


def fitted(writer: Writer, symbol: Symbol, parts: list[Text]) -> Fitted:
    """The operands as a call needs them, and the shape that a reader gives its result."""
    if is_repeated_number(symbol):
        return parts, NUMBER
    if symbol.python == "a @ b":
        return as_matrices(writer, symbol, parts)
    if symbol.kind == "join":
        return as_blocks(writer, symbol, parts), as_it_is(symbol.shape)
    if symbol.kind == "scatter":
        parts = [lowered(writer, parts[0], symbol.operands[0].shape), *parts[1:]]
    if is_reduction(symbol):
        return along_axes(writer, symbol, parts)
    if symbol.kind == "elementwise":
        return side_by_side(writer, symbol, parts)
    return all_whole(writer, symbol, parts), as_it_is(symbol.shape)


def all_whole(writer: Writer, symbol: Symbol, parts: list[Text]) -> list[Text]:
    """The operands in their full shapes."""
    return [whole(writer, text, x.shape) for x, text in pairs_of(symbol, parts)]


def side_by_side(writer: Writer, symbol: Symbol, parts: list[Text]) -> Fitted:
    """The operands of an elementwise op, as far as broadcasting does not do the rest."""
    seen = shapes.together([text.seen for text in parts])
    for arrange in (aligned, rigid):
        if seen is None:
            parts = [arrange(writer, text, x.shape) for x, text in pairs_of(symbol, parts)]
            seen = shapes.together([text.seen for text in parts])
    assert seen is not None
    return parts, seen


def is_repeated_number(symbol: Symbol) -> bool:
    """Whether a call gives an array of which mathematics writes a number: zeros or ones."""
    return symbol.kind == "constant" and latex_of(symbol).isnumeric()


def is_reduction(symbol: Symbol) -> bool:
    """Whether a call takes elements along axes together."""
    return {"axis", "keepdims"} <= symbol.statics.keys()


def takes_all(symbol: Symbol) -> bool:
    """Whether a reduction is along all axes."""
    dimensions = len(symbol.operands[0].shape)
    return len(ops.normalized(symbol.statics["axis"], dimensions)) == dimensions


def along_axes(writer: Writer, symbol: Symbol, parts: list[Text]) -> Fitted:
    """The operand of a reduction, in which the axes that are summed over must be seen."""
    text, x = parts[0], symbol.operands[0]
    axis, keepdims = symbol.statics["axis"], symbol.statics["keepdims"]
    everything = takes_all(symbol)
    at_once = everything and (writer.language != "python" or (axis is None and not keepdims))
    if not at_once or shapes.size(text.seen.shape) != shapes.size(x.shape):
        text = whole(writer, text, x.shape)
    if writer.language == "python":
        return [text], as_it_is(symbol.shape)
    return [text], NUMBER if everything else shapes.reduced(x.shape, axis, keepdims)


def as_matrices(writer: Writer, symbol: Symbol, parts: list[Text]) -> Fitted:
    """The factors of a product of matrices: in mathematics a vector is a column."""
    for (x, text), other in zip(pairs_of(symbol, parts), parts[::-1], strict=True):
        if writer.language != "python" and not text.seen.shape and x.shape == (1, 1):
            return parts, other.seen  # a number in front of what is as it was
    sides = zip(parts, symbol.operands, ("left", "right"), strict=True)
    a, b = [as_matrix(writer, text, x.shape, side) for text, x, side in sides]
    if writer.language == "python":
        return [a, b], shapes.multiplied_in_python(a.seen, b.seen)
    return [a, b], shapes.multiplied(a.seen, b.seen)


def as_matrix(writer: Writer, text: Text, shape: Shape, side: str) -> Text:
    """A factor of a product of matrices."""
    seen = text.seen
    if len(seen.shape) > 1 and seen.shape[-2:] == shape[-2:] and seen.is_aligned:
        return text
    if len(shape) == 2 and shapes.size(seen.shape) == shapes.size(shape) and len(seen.long) < 2:
        is_row = shape[0] == 1
        if writer.language == "python":
            if len(seen.shape) == 1 and is_row == (side == "left"):
                return text
        elif is_row and shape != (1, 1) and len(seen.shape) == 1:
            row = writer.filled("$x^T", {"x": text})
            return row._replace(seen=as_it_is(shape))
        elif len(seen.shape) < 2:
            return text
        elif len(seen.shape) == 2:
            return writer.filled("$x^T", {"x": text})._replace(seen=as_it_is(shape))
    return whole(writer, text, shape)


def as_blocks(writer: Writer, symbol: Symbol, parts: list[Text]) -> list[Text]:
    """The parts of a concatenation; that of numbers has the shape that fits."""
    if is_stack(writer, symbol, parts):
        return parts
    axis = symbol.statics["axis"]
    numbers = [x.shape for x, text in pairs_of(symbol, parts) if is_border(x, text)]
    fits = len({shape[axis] for shape in numbers}) == 1 and len(numbers) < len(parts)
    if fits and id(symbol) in writer.settled and writer.language != "python":
        return [
            text if is_border(x, text) else whole(writer, lowered(writer, text, x.shape), x.shape)
            for x, text in pairs_of(symbol, parts)
        ]
    known = [x for x, text in pairs_of(symbol, parts) if text.seen == as_it_is(x.shape) != NUMBER]
    number = any(is_number(text) for text in parts)
    if known or (number and id(symbol) in writer.settled):  # the number of axes is known
        parts = [lowered(writer, text, x.shape) for x, text in pairs_of(symbol, parts)]
    vector = len(symbol.shape) == 1 and writer.language != "python"
    return [
        text if vector and x.shape == (1,) and not text.seen.shape else whole(writer, text, x.shape)
        for x, text in pairs_of(symbol, parts)
    ]


def pairs_of(symbol: Symbol, parts: list[Text]) -> list[tuple[Symbol, Text]]:
    """Operands with their texts."""
    return list(zip(symbol.operands, parts, strict=True))


def is_border(x: Symbol, text: Text) -> bool:
    """Whether a part of a concatenation is written as a number that fills its place."""
    return is_number(text) and not text.seen.shape and shapes.size(x.shape) != 1


def is_stack(writer: Writer, symbol: Symbol, parts: list[Text]) -> bool:
    """Whether a concatenation makes a new axis: of vectors a matrix."""
    axis = symbol.statics["axis"] % len(symbol.shape)
    if writer.language == "python" or len(symbol.shape) < 2:
        return False
    for x, text in pairs_of(symbol, parts):
        one = (*x.shape[:axis], *x.shape[axis + 1 :])
        to = shapes.renamed(x.shape, one)
        if x.shape[axis] != 1 or to is None or text.seen.shape != one:
            return False
        if not text.seen.moved(to).is_aligned:
            return False
    return True


def needs_axis(symbol: Symbol, parts: list[Text]) -> bool:
    """Whether the shapes of the parts of a concatenation do not tell its axis."""
    known = [x.shape for x, text in pairs_of(symbol, parts) if not is_border(x, text)]
    if len(known) < len(parts):
        return False
    possible = [
        axis
        for axis in range(len(symbol.shape))
        if len({(*shape[:axis], *shape[axis + 1 :]) for shape in known}) == 1
    ]
    return len(possible) > 1


def summed_at_once(symbol: Symbol) -> Symbol:
    """The same expression, in which a sum of a sum is one sum along all axes of both."""
    order = operands_first(symbol)
    if not any(is_sum_of_sum(part) for part in order):
        return symbol
    found: dict[Symbol, Symbol] = {}
    for part in order:
        operands, statics = tuple([found[x] for x in part.operands]), part.statics
        if is_sum_of_sum(part):
            (inner,) = operands
            operands = inner.operands
            dimensions = len(operands[0].shape)
            gone = ops.normalized(inner.statics["axis"], dimensions)
            left = [axis for axis in range(dimensions) if axis not in gone]
            outer = [left[axis] for axis in ops.normalized(statics["axis"], len(left))]
            statics = {**statics, "axis": tuple(sorted((*gone, *outer)))}
        changed = operands != part.operands
        again = Symbol(part.array, None, part.primitive, operands, statics) if changed else part
        found[part] = again
    return found[symbol]


def is_sum_of_sum(symbol: Symbol) -> bool:
    """Whether a sum is taken of a sum whose axes are gone."""
    both = (symbol, *symbol.operands)
    return all(
        x.kind == "reduction" and r"\sum" in latex_of(x) and not x.statics["keepdims"] for x in both
    )


def settled(symbol: Symbol, order: list[Symbol]) -> set[int]:
    """The parts of a formula of which a reader knows the shape before he has read them.

    They have the shape of the whole, or are factors between which an axis must have one length.
    """
    known, unknown = {id(symbol)}, set[int]()
    for part in reversed(order):
        inherits = id(part) in known - unknown
        for x in part.operands:
            if x.kind == "join" and part.python == "a @ b":
                inner = -1 if x is part.operands[0] else -2
                told = x.statics["axis"] - len(x.shape) * (x.statics["axis"] >= 0) == inner
            else:
                same = part.kind in ("elementwise", *BOOKKEEPING)
                told = inherits and same and x.shape == part.shape
            (known if told else unknown).add(id(x))
    return known - unknown


def with_axes_that_count(order: list[Symbol]) -> set[int]:
    """The reductions of which a formula has to say that their axes are kept, with length 1.

    ``A - sum(A, axis=1)`` is another thing without them, and so is what is multiplied by a matrix;
    ``sum(dZ, axis=1)`` alone, with its shape beside it, is not.
    """
    beside: dict[int, set[Shape]] = {}  # the shapes that parts are broadcast to
    exact = set()  # the parts of which others need the very shape
    found = set()
    for part in reversed(order):
        around = beside.get(id(part), set())
        for x in part.operands:
            restored = is_reduction(x) and is_restored(x, part)
            if restored or (is_reduction(x) and x.statics["keepdims"]):
                kept = part.shape if restored else x.shape
                strict = id(part) in exact or part.kind not in ("elementwise", *BOOKKEEPING)
                gone = ops.normalized(x.statics["axis"], len(kept))
                near = around if restored else {part.shape, *around}
                moved_there = any(is_moved_without(kept, gone, shape) for shape in near)
                if moved_there or (strict and len(gone) < len(kept)):
                    found.add(id(x))
            if part.kind in ("elementwise", *BOOKKEEPING) and part.kind != "reshape":
                beside.setdefault(id(x), set()).update({part.shape}, around)
                if id(part) in exact and x.shape == part.shape:
                    exact.add(id(x))
            elif part.kind != "reshape":
                exact.add(id(x))
    return found


def is_restored(reduction: Symbol, part: Symbol) -> bool:
    """Whether a reshape gives a reduction its axes back, with length 1."""
    before = reduction.operands[0].shape
    gone = ops.normalized(reduction.statics["axis"], len(before))
    kept = tuple([1 if i in gone else n for i, n in enumerate(before)])
    return part.kind == "reshape" and not reduction.statics["keepdims"] and part.shape == kept


def is_moved_without(kept: Shape, gone: Sequence[int], shape: Shape) -> bool:
    """Whether an array would lie elsewhere in a shape without some axes of length 1."""
    n = len(kept)
    longer = [i for i in gone if n - i <= len(shape) and shape[i - n] != 1]
    return any(kept[j] != 1 for i in longer for j in range(i) if j not in gone)


# ---- full shapes --------------------------------------------------------------------------------


def whole(writer: Writer, text: Text, shape: Shape) -> Text:
    """A text that is read in its full shape."""
    if text.seen.shape == shape and not text.seen.loose:
        return text
    if not text.seen.shape:
        return repeated_number(writer, text, shape)
    text = aligned(writer, text, shape)
    longer = len(text.seen.shape) - len(shape)
    same_size = shapes.size(text.seen.shape) == shapes.size(shape)
    if longer > 0 or (longer < 0 and same_size):
        text = with_key(writer, text, shape)
    if text.seen.shape != shape:
        template = writer.function_form("broadcast", more=dimensions(writer, shape))
        if writer.language == "python":
            template = f"np.broadcast_to($x, {shape})"
        text = writer.filled(template, {"x": text})
    return text._replace(seen=as_it_is(shape))


def lowered(writer: Writer, text: Text, shape: Shape) -> Text:
    """A text without the axes that sums have left, where a reader sees that they have no place."""
    fits = text.seen.loose and text.seen.dropped() == as_it_is(shape)
    return text._replace(seen=as_it_is(shape)) if fits else text


def aligned(writer: Writer, text: Text, shape: Shape) -> Text:
    """A text that broadcasting alone brings to its full shape: ``x[:, None]``."""
    return text if text.seen.is_aligned else with_key(writer, text, shape)


def rigid(writer: Writer, text: Text, shape: Shape) -> Text:
    """A text from which a reader drops no axes."""
    if not text.seen.loose:
        return text
    long = {there: text.seen.shape[here] for here, there in text.seen.long}
    return reshape_to(writer, text, tuple([long.get(i, 1) for i in range(-len(shape), 0)]))


def with_key(writer: Writer, text: Text, shape: Shape) -> Text:
    """A text with a key that brings its axes to their places."""
    key = shapes.index_to(text.seen, shape)
    long = {there: text.seen.shape[here] for here, there in text.seen.long}
    shown = tuple([long.get(i, 1) for i in range(-len(shape), 0)])
    if writer.language == "latex":
        key = key.replace("None", r"\mathrm{None}")
    return writer.filled(f"$x[{key}]", {"x": text})._replace(seen=as_it_is(shown))


def repeated_number(writer: Writer, text: Text, shape: Shape) -> Text:
    """A number in each place: ``ones(5, 2)``."""
    sizes = ", ".join(map(str, shape))
    name = "zeros" if is_number(text) and text.factor == 0 else "ones"
    if writer.language == "python":
        template = f"np.broadcast_to($x, {shape})"
        if is_number(text) and text.factor in (0, 1):
            template = f"np.{name}({shape})"
        return writer.filled(template, {"x": text})._replace(seen=as_it_is(shape))
    if writer.language == "latex":
        bold = 0 if name == "zeros" else 1
        array = rf"\mathbf{{{bold}}}_{{{dimensions(writer, shape)}}}"
    else:
        array = f"{name}({sizes})"
    ones = writer.filled(array, {})
    if name == "ones" and is_number(text):
        ones = writer.scaled(factor_of(text), ones)
    elif name == "ones":
        factor, rest = factor_of(text), without_factor(text)
        assert rest is not None
        product = writer.filled(writer.scaled_form, {"a": rest, "b": ones})
        ones = writer.scaled(factor, product)
    return ones._replace(seen=as_it_is(shape))


def dimensions(writer: Writer, shape: Shape) -> str:
    """A shape in words."""
    return (r" \times " if writer.language == "latex" else " x ").join(map(str, shape)) or "1"


def leaves_nothing_out(key: object) -> bool:
    """Whether an index only adds axes."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None))
        for part in parts
    )
