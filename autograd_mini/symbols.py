r"""Expressions over the arrays of a run, and how they are written: :math:`W_2^T\, dZ_2`.

A `Symbol` is what a primitive can be called on to find out what the call means: it keeps the call,
and computes its array.  The calls that a `Trace` has recorded of a rule, made again on Symbols, are
the formula of the derivative, which so cannot differ from the code.

An expression is written in three languages: "python", ``W2.T @ dZ2 * (1 - A1**2)``; "text",
``(W2^T dZ2) (.) (1 - A1^2)``; and "latex", from the templates of the primitives.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .core import ops
from .core.primitive import Operand, Primitive, implementations
from .text import clean, for_latex
from .trace import Call, Pull, Value

Known = Mapping[Value, "Symbol"]
NOTHING_KNOWN: Known = {}
OMITTED = "(...)"


# ---- expressions --------------------------------------------------------------------------------


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
    >>> from autograd_mini.symbols import named, write
    >>> W, x = named("W", np.ones((2, 3))), named("x", np.ones((3, 1)))
    >>> y = ops.tanh(ops.matrix_product(W, x))
    >>> write(y, "text"), y.shape
    ('tanh(W x)', (2, 1))
    """

    __slots__ = ("array", "name", "operands", "primitive", "statics")

    def __init__(
        self,
        array: Any,
        name: str | None = None,
        primitive: Primitive | None = None,
        operands: tuple[Symbol, ...] = (),
        statics: Mapping[str, Any] | None = None,
    ) -> None:
        self.array = array
        self.name = name
        self.primitive = primitive
        self.operands = operands
        self.statics = dict(statics or {})

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        return np.shape(self.array)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return np.asarray(self.array).dtype

    def _apply(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any) -> Symbol:
        symbols = tuple([x if isinstance(x, Symbol) else Symbol(x) for x in operands])
        statics = primitive.completed(statics)
        with np.errstate(all="ignore"):
            y = np.asarray(primitive.kernel(*[x.array for x in symbols], **statics))
        return Symbol(y, None, primitive, symbols, statics)

    def __repr__(self) -> str:
        return f"<symbol {write(self, 'text', longest=200)} {self.shape}>"


def named(name: str, array: Any) -> Symbol:
    """A quantity of a run, which formulas call by its name.

    Parameters
    ----------
    name : str
    array : ndarray or number

    Returns
    -------
    Symbol
    """
    return Symbol(array, name)


def symbol_of(value: Any, known: Known = NOTHING_KNOWN, deepest: int | None = None) -> Symbol:
    """A value of a run as an expression of what is known or has a name.

    Parameters
    ----------
    value : Value or number
        An operand of a call.
    known : mapping of Value to Symbol
        What shall stand for some values.
    deepest : int, optional
        How many calls of calls to go into; what is deeper is written ``(...)``.

    Returns
    -------
    Symbol
        The name alone, if the value has one: `definition_of` says how such a one was computed.
    """
    if not isinstance(value, Value):
        return Symbol(value)
    found: dict[Value, Symbol] = {}
    inside = None if deepest is None else within(value, known, deepest)
    stack = [value]
    while stack:
        value = stack[-1]
        if value in found:
            stack.pop()
        elif value in known or value.name or value.call is None:
            found[stack.pop()] = leaf_of(value, known)
        elif inside is not None and value not in inside:
            found[stack.pop()] = named(OMITTED, value.array)
        else:
            missing = [x for x in values_among(value.call.operands) if x not in found]
            stack += missing
            if not missing:
                found[stack.pop()] = again(value.call, found)
    return found[value]


def definition_of(value: Value, known: Known = NOTHING_KNOWN) -> Symbol:
    """How a value was computed, also if it has a name itself.

    Parameters
    ----------
    value : Value
    known : mapping of Value to Symbol
        What shall stand for other values.

    Returns
    -------
    Symbol
        A call of a primitive; of a value that comes from outside, the value itself.
    """
    if value.call is None:
        return leaf_of(value, known)
    operands = {x: symbol_of(x, known) for x in values_among(value.call.operands)}
    return again(value.call, operands)


def share_of(
    pull: Pull, g: Symbol, known: Known = NOTHING_KNOWN, deepest: int | None = None
) -> Symbol:
    """A share of a gradient as an expression: the rule, run on Symbols.

    Parameters
    ----------
    pull : Pull
    g : Symbol
        The gradient of the call's output.
    known : mapping of Value to Symbol
        What shall stand for values of the run.
    deepest : int, optional
        As in `symbol_of`, for values that the rule uses.

    Returns
    -------
    Symbol
    """
    assert pull.call.output.gradient is not None
    inside: dict[Value, Symbol] = {pull.call.output.gradient: g}
    everything = ChainMap(inside, known)  # type: ignore[arg-type]
    for call in pull.calls:
        operands = {x: symbol_of(x, everything, deepest) for x in values_among(call.operands)}
        inside[call.output] = again(call, operands)
    return inside[pull.result] if pull.result in inside else symbol_of(pull.result, known, deepest)


def gradient_of(value: Value, known: Known = NOTHING_KNOWN) -> Symbol:
    """The gradient of a value as an expression: the sum of its shares.

    Parameters
    ----------
    value : Value
        With a gradient.
    known : mapping of Value to Symbol
        What shall stand for values of the run, among them gradients of values closer to the cost.

    Returns
    -------
    Symbol
    """
    found: dict[Value, Symbol] = {}
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
            share_of(pull, found.get(output) or known[gradient_value(output)], known)
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
    """What stands for a value without looking at how it was computed."""
    return known[value] if value in known else Symbol(value.array, value.name)


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


def values_among(operands: Iterable[Any]) -> list[Value]:
    """The operands that are arrays."""
    return [x for x in operands if isinstance(x, Value)]


def within(value: Value, known: Known, deepest: int) -> set[Value]:
    """The values that at most so many calls lie between."""
    found, layer = {value}, [value]
    for _ in range(deepest - 1):
        calls = [x.call for x in layer if x.call and not x.name and x not in known]
        layer = [x for call in calls for x in values_among(call.operands) if x not in found]
        found.update(layer)
    return found


# ---- numbers and names --------------------------------------------------------------------------


def digits(x: Any) -> str:
    """A number with all its digits."""
    x = np.asarray(x).item()
    return str(int(x)) if isinstance(x, float) and x.is_integer() and abs(x) < 1e6 else repr(x)


def number(x: float) -> str:
    """A number as short as a reader wants it."""
    return digits(x) if float(x).is_integer() and abs(x) < 1e6 else f"{x:.6g}"


def printable(name: str) -> str:
    """A name without characters that a terminal would not show or would obey."""
    return name if name.isprintable() else ascii(name)[1:-1]


GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
    *("omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
)
NAME = re.compile(rf"(d?)(_?)({'|'.join(GREEK)}|[A-Za-z])_?([0-9]*)")
WORD = re.compile(r"([A-Za-z]{2,})_?([0-9]*)")


def latex_name(name: str) -> str:
    r"""A name in LaTeX: ``dW1`` as ``dW_1``, ``loss`` as ``\mathrm{loss}``."""
    if match := NAME.fullmatch(name):
        d, _, letter, index = match.groups()
        letter = f"\\{letter}" if letter in GREEK else letter
        between = " " if d and letter.startswith("\\") else ""
    elif match := WORD.fullmatch(name):
        d, between, letter, index = "", "", f"\\mathrm{{{match[1]}}}", match[2]
    else:
        return f"\\text{{{for_latex(clean(name))}}}"
    subscript = f"_{{{index}}}" if len(index) > 1 else index and f"_{index}"
    return f"{d}{between}{letter}{subscript}"
