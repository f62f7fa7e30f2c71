"""Expressions over the arrays of a run, made by running its calls again on Symbols."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..border import Operand
from ..core import ops
from ..core.primitive import Primitive
from ..trace import Call, Pull, Value
from .names import in_python

#: The kinds of calls that only exact Python shows.
BOOKKEEPING = ("reshape", "broadcast", "copy", "cast")
Known = Mapping[Value, "Symbol"]
NOTHING_KNOWN: Known = {}
OMITTED = "(...)"


@dataclass(eq=False, repr=False, slots=True)
class Symbol(Operand):
    """A quantity with a name, an array or number without one, or a primitive of Symbols.

    Made by `named`, by `symbol_of` and its like, and by calling primitives on Symbols.

    Attributes
    ----------
    array : ndarray or number
        What it stands for.
    name : str or None
        Of a quantity.
    primitive : Primitive or None
        What was called; None for a quantity, an array or a number.
    operands : tuple of Symbol
        What it was called on.
    statics : dict
        The keyword arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini.core import ops
    >>> from autograd_mini.formulas import named, write
    >>> W, x = named("W", np.ones((2, 3))), named("x", np.ones((3, 1)))
    >>> y = ops.tanh(ops.matrix_product(W, x))
    >>> write(y, "text"), y.shape
    ('tanh(W x)', (2, 1))
    """

    array: Any
    name: str | None = None
    primitive: Primitive | None = None
    operands: tuple[Symbol, ...] = ()
    statics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        return np.shape(self.array)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return np.asarray(self.array).dtype

    @property
    def kind(self) -> str:
        """The kind of the primitive; nothing if there is none."""
        return self.primitive.kind if self.primitive else ""

    @property
    def python(self) -> str:
        """How Python writes the primitive on ``a`` and ``b``, such as ``a + b``, or its name."""
        return in_python(self.primitive) if self.primitive else ""

    @property
    def op(self) -> Primitive:
        """The primitive of what is a call."""
        assert self.primitive is not None
        return self.primitive

    @property
    def latex(self) -> str:
        """The LaTeX template of the primitive."""
        template = self.op.template
        if isinstance(template, str):
            return template
        return str(template(*[np.asarray(x.array) for x in self.operands]))

    @property
    def is_reduction(self) -> bool:
        """Whether a call takes elements along axes together."""
        return {"axis", "keepdims"} <= self.statics.keys()

    @property
    def keeps_axes(self) -> bool:
        """Whether these stay, with length 1."""
        return bool(self.statics.get("keepdims"))

    @property
    def gone(self) -> tuple[int, ...]:
        """The axes along which a reduction takes elements together."""
        return ops.normalized(self.statics["axis"], len(self.operands[0].shape))

    @property
    def order(self) -> tuple[int, ...]:
        """The order that a permutation brings the axes into."""
        axes, n = self.statics["axes"], len(self.shape)
        return tuple(range(n))[::-1] if axes is None else ops.normalized(axes, n)

    def _apply(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any) -> Symbol:
        symbols = tuple([x if isinstance(x, Symbol) else Symbol(x) for x in operands])
        statics = primitive.completed(statics)
        with np.errstate(all="ignore"):
            y = np.asarray(primitive.kernel(*[x.array for x in symbols], **statics))
        return Symbol(y, None, primitive, symbols, statics)

    def __repr__(self) -> str:
        return f"<symbol {self.name or self.python or self.array} {self.shape}>"


def named(name: str, array: Any) -> Symbol:
    """A quantity of a run, which formulas call by its name."""
    return Symbol(array, name)


def symbol_of(value: Any, known: Known = NOTHING_KNOWN, deepest: int | None = None) -> Symbol:
    """A value or number as an expression of what is known or has a name; if it has one, that alone.

    Calls of calls are gone into up to a depth, and what is deeper is written ``(...)``.
    """
    return expanded(value, known, deepest, {}) if isinstance(value, Value) else Symbol(value)


def expanded(value: Value, known: Known, deepest: int | None, found: dict[Value, Symbol]) -> Symbol:
    """A value as an expression; those of values on the way there are added to what was found."""
    everything: Known = ChainMap(known, found)  # type: ignore[arg-type]
    inside = None if deepest is None else within(value, known, deepest)
    stack = [value]
    while stack:
        current = stack[-1]
        if current in everything:
            stack.pop()
        elif current.name or current.call is None:
            found[stack.pop()] = leaf_of(current, known)
        elif inside is not None and current not in inside:
            found[stack.pop()] = named(OMITTED, current.array)
        else:
            missing = [x for x in current.call.arrays if x not in everything]
            stack += missing
            if not missing:
                found[stack.pop()] = again(current.call, everything)
    return everything[value]


def definition_of(value: Value, known: Known = NOTHING_KNOWN) -> Symbol:
    """How a value was computed, also if it has a name; one that comes from outside is itself."""
    if value.call is None:
        return leaf_of(value, known)
    operands = {x: symbol_of(x, known) for x in value.call.arrays}
    return again(value.call, operands)


def share_of(
    pull: Pull, g: Symbol, known: Known = NOTHING_KNOWN, deepest: int | None = None
) -> Symbol:
    """A share of a gradient as an expression: its rule, run on Symbols; ``g`` is the output's."""
    return replayed(pull, g, known, deepest, {})


def replayed(
    pull: Pull, g: Symbol, known: Known, deepest: int | None, found: dict[Value, Symbol]
) -> Symbol:
    """`share_of`, with the expressions of values that were found before."""
    inside = {gradient_value(pull.call.output): g}
    everything: Known = ChainMap(inside, known)  # type: ignore[arg-type]
    for call in pull.calls:
        for x in call.arrays:
            inside.setdefault(x, expanded(x, everything, deepest, found if deepest is None else {}))
        inside[call.output] = again(call, inside)
    return inside[pull.result] if pull.result in inside else leaf_of(pull.result, known)


def gradient_of(value: Value, known: Known = NOTHING_KNOWN) -> Symbol:
    """The gradient of a value as an expression of what is known: the sum of its shares."""
    found: dict[Value, Symbol] = {}
    forward: dict[Value, Symbol] = {}
    stack = [value]
    while stack:
        current = stack[-1]
        outputs = [pull.call.output for pull in current.shares]
        missing = [x for x in outputs if x not in found and x.gradient not in known]
        stack += missing
        if missing:
            continue
        stack.pop()
        if current in found:
            continue
        shares = [
            replayed(pull, found.get(output) or known[gradient_value(output)], known, None, forward)
            for pull, output in zip(current.shares, outputs, strict=True)
        ]
        found[current] = total(shares) if shares else leaf_of(gradient_value(current), known)
    return found[value]


def total(shares: Iterable[Symbol]) -> Symbol:
    """The sum of some Symbols, in their order."""
    first, *others = shares
    for share in others:
        first = ops.add(first, share)
    return first


def gradient_value(value: Value) -> Value:
    """The gradient of a value that has one."""
    assert value.gradient is not None
    return value.gradient


def leaf_of(value: Value, known: Known) -> Symbol:
    """What stands for a value without looking at the calls that it was computed by."""
    if value in known:
        return known[value]
    if value.name or not value.derived:
        return Symbol(value.array, value.name)
    symbol: Symbol = value.derived.function(leaf_of(value.derived.source, known))
    symbol.array = value.array
    return symbol


def again(call: Call, operands: Known) -> Symbol:
    """A call on Symbols, with the array that it gave if they stand for the arrays that it got."""
    symbols = tuple([operands[x] if isinstance(x, Value) else Symbol(x) for x in call.operands])
    same = all(
        not isinstance(x, Value) or symbol.array is x.array
        for x, symbol in zip(call.operands, symbols, strict=True)
    )
    if same:
        return Symbol(call.output.array, None, call.primitive, symbols, call.statics)
    called: Symbol = call.primitive(*symbols, **call.statics)
    return called


def operands_first(symbol: Symbol) -> list[Symbol]:
    """An expression and all that it consists of, each after its own operands."""
    found: dict[Symbol, None] = {}
    stack = [symbol]
    while stack:
        part = stack[-1]
        missing = [x for x in part.operands if x not in found]
        stack += missing
        if not missing:
            found[stack.pop()] = None
    return list(found)


def within(value: Value, known: Known, deepest: int) -> set[Value]:
    """The values that at most so many calls lie between."""
    found, layer = {value}, [value]
    for _ in range(deepest - 1):
        calls = [x.call for x in layer if x.call and not x.name and x not in known]
        layer = [x for call in calls for x in call.arrays if x not in found]
        found.update(layer)
    return found
