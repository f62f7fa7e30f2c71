r"""Expressions over the arrays of a run, and how they are written: :math:`W_2^T\, dZ_2`.

A `Symbol` is what a primitive can be called on to find out what the call means: it keeps the call,
and computes its array.  The calls that a `Trace` has recorded of a rule, made again on Symbols, are
the formula of the derivative, which so cannot differ from the code.

An expression is written in three languages: "python", ``W2.T @ dZ2 * (1 - A1**2)``; "text",
``(W2^T dZ2) (.) (1 - A1^2)``; and "latex", from the templates of the primitives.
"""

from __future__ import annotations

import itertools
import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .core import ops
from .core.primitive import Operand, Primitive, implementations
from .functional import argument
from .text import clean, for_latex
from .trace import Call, Pull, Trace, Value

Known = Mapping[Value, "Symbol"]
NOTHING_KNOWN: Known = {}
OMITTED = "(...)"
SMALL = 16  # numbers of an array that exact code has in it


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
            missing = [x for x in values_among(current.call.operands) if x not in everything]
            stack += missing
            if not missing:
                found[stack.pop()] = again(current.call, everything)
    return everything[value]


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
    return replayed(pull, g, known, deepest, {})


def replayed(
    pull: Pull, g: Symbol, known: Known, deepest: int | None, found: dict[Value, Symbol]
) -> Symbol:
    """`share_of`, with the expressions of values that were found before."""
    inside = {gradient_value(pull.call.output): g}
    everything: Known = ChainMap(inside, known)  # type: ignore[arg-type]
    for call in pull.calls:
        for x in values_among(call.operands):
            inside.setdefault(x, expanded(x, everything, deepest, found if deepest is None else {}))
        inside[call.output] = again(call, inside)
    return inside[pull.result] if pull.result in inside else leaf_of(pull.result, known)


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


def constants_of(run: Trace) -> dict[Value, Symbol]:
    """The arrays from outside that are ``1 - Y``, ``-Y`` or ``Y.T`` of one that has a name.

    Of arrays that a program computes without Tensors a run knows only the result.

    Parameters
    ----------
    run : Trace

    Returns
    -------
    dict of Value to Symbol
        To be known when formulas are written.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> a, y = ag.Tensor([0.5, 0.5], requires_grad=True), np.array([0.0, 1.0])
    >>> with ag.trace() as run:
    ...     rest = np.sum(y * a) + np.sum((1 - y) * a)
    >>> known = constants_of(run.name({"a": a, "y": y}))
    >>> write(symbol_of(run[rest], known), "text")
    'sum(y (.) a) + sum((1 - y) (.) a)'
    """
    inputs = [x for x in run.values if x.kind == "input" and x.array.size > 1]
    named_inputs = [x for x in inputs if x.name is not None and x.dtype.kind in "iuf"]
    found: dict[Value, Symbol] = {}
    for value in inputs:
        for other, form in itertools.product(named_inputs, FORMS_OF_CONSTANTS):
            if value.name is None and value not in found:
                symbol = form(named(other.name or "", other.array))
                if np.array_equal(symbol.array, value.array):
                    symbol.array = value.array
                    found[value] = symbol
    return found


FORMS_OF_CONSTANTS: tuple[Callable[[Symbol], Symbol], ...] = (
    lambda x: ops.subtract(1, x),
    ops.negative,
    ops.transpose,
)


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


# ---- how tightly operators bind -----------------------------------------------------------------

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
    **dict.fromkeys((">", "<", ">=", "<=", "==", "!="), COMPARISON),
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

#: LaTeX -> the operators of Python and of text that say the same, where there are some.
OPERATORS: dict[str, tuple[str | None, str]] = {
    "$a + $b": ("$a + $b", "$a + $b"),
    "$a - $b": ("$a - $b", "$a - $b"),
    r"$a \odot $b": ("$a * $b", "$a (.) $b"),
    r"\frac{$a}{$b}": ("$a / $b", "$a / $b"),
    r"$a\, $b": ("$a @ $b", "$a  $b"),
    "-$x": ("-$x", "-$x"),
    "{$x}^2": ("$x**2", "$x^2"),
    "{$a}^{$b}": ("$a**$b", "$a^$b"),
    "$x^T": ("$x.T", "$x^T"),
    r"\frac{1}{$x}": (None, "1 / $x"),
    "|$x|": (None, "abs($x)"),
    "[$xs]": (None, "[$xs]"),
    "$x[$indices]": ("$x[$indices]", "$x[$indices]"),
    r"\mathrm{scatter}($x, $indices)": (None, "scatter($x, $indices)"),
    r"$x\, {$weight}^T + $bias": (None, "$x  $weight^T + $bias"),
    r"\mathrm{softmax}($logits) - $labels": (None, "softmax($logits) - $labels"),
    "$a > $b": ("($a > $b)", "$a > $b"),
    "$a < $b": ("($a < $b)", "$a < $b"),
    "$a = $b": ("($a == $b)", "$a == $b"),
    r"$a \ge $b": ("($a >= $b)", "$a >= $b"),
    r"$a \le $b": ("($a <= $b)", "$a <= $b"),
    r"$a \ne $b": ("($a != $b)", "$a != $b"),
}
BOOKKEEPING = "$x"  # the template of what only exact Python shows
IN_PYTHON = {
    "reshape": "$x.reshape($shape)",
    "astype": "$x.astype($dtype)",
    "concatenate": "np.concatenate(($xs,), axis=$axis)",
    "einsum": "np.einsum($subscripts, $xs)",
}
FUNCTIONS_OF_NUMPY = [
    (function, primitive)
    for function, primitive in implementations.items()
    if isinstance(primitive, Primitive) and hasattr(np, function.__name__)
]
NUMPY_NAMES = {
    **{id(primitive): function.__name__ for function, primitive in FUNCTIONS_OF_NUMPY},
    **{id(p): p.name for function, p in FUNCTIONS_OF_NUMPY if function.__name__ == p.name},
    id(ops.absolute): "abs",
    id(ops.norm): "linalg.norm",
}


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
        bars += text == "|"
        if token["operand"]:
            seen.append(("operand", ""))
        elif text in OPENING or (text == "|" and bars % 2):
            seen.append(("open", text))
        elif text in CLOSING or text == "|":
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


# ---- texts --------------------------------------------------------------------------------------


class Text(NamedTuple):
    """A part of a formula."""

    pieces: Any  # strings, and tuples of such, so that long ones are put together only once
    length: int
    binds: int = ATOM
    operator: str = ""
    minus: bool = False  # whether it begins with one
    factor: float | None = None  # a number or a sign in front ...
    rest: Text | None = None  # ... of this; None if there is only the number


def joined(pieces: Any) -> str:
    """The pieces of a text, put together."""
    found, stack = [], [pieces]
    while stack:
        piece = stack.pop()
        if isinstance(piece, str):
            found.append(piece)
        else:
            stack += reversed(piece)
    return "".join(found)


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
        self.scaled_form = f"$a{SCALED}$b"
        if leaf is not None:
            self.scaled_form = {"text": "$a * $b", "latex": r"$a \cdot $b"}.get(language, "")

    def write(self, symbol: Symbol) -> str:
        """The text of an expression."""
        texts: dict[int, Text] = {}
        stack = [symbol]
        while stack:
            current = stack[-1]
            missing = [x for x in current.operands if id(x) not in texts]
            stack += missing
            if not missing:
                stack.pop()
                if id(current) not in texts:
                    texts[id(current)] = self.text(
                        current, [texts[id(x)] for x in current.operands]
                    )
        return joined(texts[id(symbol)].pieces)

    def text(self, symbol: Symbol, parts: list[Text]) -> Text:
        """The text of an expression, from those of its operands."""
        if symbol.primitive is None:
            return self.of_leaf(symbol)
        if symbol.primitive.template == BOOKKEEPING and not self.exact:
            return parts[0]
        rule = RULES.get(id(symbol.primitive), Writer.call)
        text = rule(self, symbol, parts)
        return text if text.length <= self.longest else self.of_leaf(named(OMITTED, None))

    def of_leaf(self, symbol: Symbol) -> Text:
        """A name, or a number."""
        size = np.size(symbol.array)
        if symbol.name is not None:
            text = self.name(symbol) if symbol.name != OMITTED else OMITTED
        elif self.exact and self.language == "python" and 0 < size <= SMALL and symbol.shape:
            text = self.constant_array(symbol.array)
        elif size == 1:
            return self.number(np.asarray(symbol.array).item())
        else:
            text = "condition" if symbol.dtype == bool else OMITTED
        if self.language == "latex" and text in ("condition", OMITTED):
            text = r"\text{condition}" if text == "condition" else r"(\ldots)"
        minus = text.startswith("-")
        return Text(text, len(text), self.sign.binds if minus else ATOM, "", minus)

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

    def is_scalar(self, symbol: Symbol) -> bool:
        """Whether a factor is written in front, as numbers are."""
        unnamed = symbol.primitive is None and symbol.name is None
        return np.ndim(symbol.array) == 0 or (unnamed and np.size(symbol.array) == 1)

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

    def in_parentheses(self, text: Text) -> Text:
        """A text in parentheses."""
        before, after = (r"\left(", r"\right)") if self.language == "latex" else ("(", ")")
        length = len(before) + text.length + len(after)
        return Text((before, text.pieces, after), length)

    def template(self, primitive: Primitive) -> str | None:
        """The template of a primitive in the language; None if it is written as a function."""
        if self.language == "latex":
            return primitive.template
        python, text = OPERATORS.get(primitive.template, (None, None))
        if self.language == "text":
            return text
        return (IN_PYTHON.get(primitive.name) or python) if is_own(primitive) else None

    def call(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Any call."""
        primitive = symbol.primitive
        assert primitive is not None
        template = self.template(primitive)
        if template is None:
            return self.function(symbol, parts)
        text = self.filled(template, self.operands(symbol, parts))
        if self.language == "latex":
            first, *others = text.pieces
            text = text._replace(pieces=(with_axis(first, symbol), *others))
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
        if isinstance(value, np.dtype):
            return f"np.{value.name}"
        if isinstance(value, tuple) and len(value) == 1 and self.language != "python":
            value = value[0]
        text = repr(value) if self.language == "python" else str(value)
        return for_latex(clean(text)) if self.language == "latex" else text

    def function(self, symbol: Symbol, parts: list[Text]) -> Text:
        """A call as code: ``np.sum(X, axis=1)``."""
        primitive = symbol.primitive
        assert primitive is not None
        hidden = () if self.language == "python" else ("keepdims", "likes", "optimize")
        statics = [
            f"{name}={self.static(value)}"
            for name, value in symbol.statics.items()
            if name not in hidden
            and (name not in primitive.defaults or value != primitive.defaults[name])
        ]
        arguments = [*(part.pieces for part in parts), *statics]
        commas = tuple([piece for argument in arguments for piece in (", ", argument)][1:])
        name = python_name(primitive) if self.language == "python" else primitive.name
        length = sum(part.length + 2 for part in parts) + sum(map(len, statics)) + len(name)
        return Text((name, "(", commas, ")"), length)

    # -- what is not written as its template says --

    def product(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a * b``: factors of 1 vanish, and a number stands in front."""
        a, b = parts
        first, second = symbol.operands
        for one, other, kept in ((a, b, second), (b, a, first)):
            alike = kept.shape == symbol.shape and kept.dtype == symbol.dtype
            if one.factor == 1 and one.rest is None and (alike or not self.exact):
                return other
        if self.language == "python":
            return self.product_in_python(a, b)
        factor = factor_of(a) * factor_of(b)
        rest, other_rest = without_factor(a), without_factor(b)
        if rest is None or other_rest is None:
            return self.scaled(factor, rest or other_rest)
        if self.is_scalar(second) and not self.is_scalar(first):
            rest, other_rest = other_rest, rest
        scalar = self.is_scalar(first) or self.is_scalar(second)
        template = self.scaled_form if scalar else self.template_of(symbol)
        return self.scaled(factor, self.filled(template, {"a": rest, "b": other_rest}))

    def product_in_python(self, a: Text, b: Text) -> Text:
        """``0.07 * (2 * W)`` is ``0.14 * W``."""
        form = "$a * $b"
        for one, other in ((a, b), (b, a)):
            both = one.rest is None and (one.factor or 0) > 0 and (other.factor or 0) > 0
            if both and other.rest is not None and not self.exact:
                front = self.number(factor_of(one) * factor_of(other))
                rest = (
                    other.rest if other.rest.binds >= PRODUCT else self.in_parentheses(other.rest)
                )
                pieces = (front.pieces, " * ", rest.pieces)  # a number goes in front of a product
                length = front.length + 3 + rest.length
                return Text(pieces, length, PRODUCT, "*", False, front.factor, other.rest)
        product = self.filled(form, {"a": a, "b": b})
        if a.factor is not None and a.rest is None:
            return product._replace(factor=a.factor, rest=b)
        return self.with_factor_of(a, product, form, b)

    def with_factor_of(self, a: Text, product: Text, form: str, b: Text) -> Text:
        """A product, in which what is in front of its first factor is in front of the whole."""
        if a.rest is None:
            return product
        return product._replace(factor=a.factor, rest=self.filled(form, {"a": a.rest, "b": b}))

    def matrix_product(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a @ b``."""
        if self.language != "python":
            return self.product(symbol, parts)
        return self.with_factor_of(parts[0], self.call(symbol, parts), "$a @ $b", parts[1])

    def quotient(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a / b``, with a sign in front."""
        a, b = parts
        if self.language == "python":
            return self.with_factor_of(a, self.call(symbol, parts), "$a / $b", b)
        if b.factor == 1 and b.rest is None:
            return a
        if not factor_of(a) < 0:
            return self.call(symbol, parts)
        return self.scaled(-1, self.call(symbol, [self.scaled(-factor_of(a), a.rest), b]))

    def negative(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``-x``."""
        (x,) = parts
        if self.language == "python":
            return self.call(symbol, parts)._replace(factor=-1.0, rest=x)
        return self.scaled(-factor_of(x), without_factor(x))

    def sum_or_difference(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a + b`` or ``a - b``, the other one if ``b`` has a minus in front."""
        a, b = parts
        if not factor_of(b) < 0 or (self.language == "python" and not is_minus(b)):
            return self.call(symbol, parts)
        b = b.rest if self.language == "python" and b.rest else self.scaled(-factor_of(b), b.rest)
        other = "$a - $b" if symbol.primitive is ops.add else "$a + $b"
        return self.filled(other, {"a": a, "b": b})

    def transpose(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``x.T``, where that is what it is."""
        axes, dimensions = symbol.statics["axes"], len(symbol.shape)
        backwards = [*range(dimensions)][::-1]
        order = backwards if axes is None else [*ops.normalized(axes, dimensions)]
        last_two = [*range(dimensions - 2), dimensions - 1, dimensions - 2]
        if dimensions < 2 and not self.exact:
            return parts[0]
        if order == last_two and dimensions > 2 and self.language == "python":
            return self.filled("$x.mT", {"x": parts[0]})
        if order == (backwards if self.language == "python" else last_two):
            return self.call(symbol, parts)
        if self.language == "latex":
            axes_text = r",\,".join(map(str, order))
            return self.filled(f"\\mathrm{{transpose}}_{{{axes_text}}}($x)", {"x": parts[0]})
        return self.function(symbol, parts)

    def constant(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Zeros or ones, which mathematics does not tell from the number."""
        assert symbol.primitive is not None
        if self.language == "python":
            return self.call(symbol, parts)
        return self.number(float(symbol.primitive.template))

    def indexed(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``x[0]``; that ``x[:, None]`` is only bookkeeping."""
        key = symbol.statics["key"]
        chosen = [part for part in (key if isinstance(key, tuple) else (key,)) if not is_all(part)]
        return self.call(symbol, parts) if chosen or self.exact else parts[0]

    def argument(self, symbol: Symbol, parts: list[Text]) -> Text:
        """A function's argument is its operand."""
        return parts[0]

    def template_of(self, symbol: Symbol) -> str:
        """The template of a call that has one in every language."""
        assert symbol.primitive is not None
        template = self.template(symbol.primitive)
        assert template is not None
        return template


#: Primitives that are not written as their templates say.
RULES: dict[int, Callable[[Writer, Symbol, list[Text]], Text]] = {
    id(ops.multiply): Writer.product,
    id(ops.matrix_product): Writer.matrix_product,
    id(ops.divide): Writer.quotient,
    id(ops.negative): Writer.negative,
    id(ops.add): Writer.sum_or_difference,
    id(ops.subtract): Writer.sum_or_difference,
    id(ops.transpose): Writer.transpose,
    id(ops.getitem): Writer.indexed,
    id(ops.zeros_like): Writer.constant,
    id(ops.ones_like): Writer.constant,
    id(argument): Writer.argument,
}


def factor_of(text: Text) -> float:
    """The number in front of a text."""
    return 1 if text.factor is None else text.factor


def without_factor(text: Text) -> Text | None:
    """A text without the number in front; None if it is only a number."""
    return text if text.factor is None else text.rest


def is_all(part: Any) -> bool:
    """Whether a part of an index leaves nothing out."""
    return part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None))


def is_minus(text: Text) -> bool:
    """Whether a text of Python begins with a minus that can be taken away."""
    return text.factor == -1 and text.rest is not None and text.binds >= PRODUCT


def is_own(primitive: Primitive) -> bool:
    """Whether a primitive is one of NumPy or of this package."""
    module = getattr(primitive.kernel, "__module__", "numpy")  # that of a ufunc
    return id(primitive) in NUMPY_NAMES or module.startswith(("numpy", f"{__package__}."))


def python_name(primitive: Primitive) -> str:
    """What a primitive is called as code."""
    if id(primitive) in NUMPY_NAMES:
        return f"np.{NUMPY_NAMES[id(primitive)]}"
    if not is_own(primitive):
        return primitive.name
    if ".nn." in getattr(primitive.kernel, "__module__", ""):
        return f"ag.nn.functional.{primitive.name}"
    return f"{'np' if hasattr(np, primitive.name) else 'ag'}.{primitive.name}"


def with_axis(start: str, symbol: Symbol) -> str:
    r"""How a call begins in LaTeX, with the axis of a reduction: ``\sum_{\text{axis } 1}``."""
    assert symbol.primitive is not None
    statics, defaults = symbol.statics, symbol.primitive.defaults
    if "subscripts" in statics:
        words = statics["subscripts"]
    elif statics.get("axis", defaults.get("axis")) == defaults.get("axis"):
        return start
    else:
        axes = [statics["axis"]] if isinstance(statics["axis"], int) else statics["axis"]
        words = f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes)) or 'none'}"
    subscript = f"_{{\\text{{{for_latex(words)}}}}}"
    if r"\sum" in start:
        return start.replace(r"\sum", rf"\sum{subscript}")
    return re.sub(r"^(\\log )?\\(max|min|mathrm\{\w+\})", lambda m: m[0] + subscript, start)
