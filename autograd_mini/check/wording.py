"""Calls as the NumPy code that they stand for: ``W2.T @ dZ2 * (1 - A1**2)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive, implementations
from ..trace import Call, Pull, Value
from .replay import Replay, flow

# How tightly an operator binds: an operand that binds less tightly than its place asks for is put
# into parentheses.
LOGIC, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)

#: Primitive -> how it is written, how tightly that binds, and what its places ask for.
OPERATORS: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "add": ("{} + {}", SUM, (SUM, SUM)),
    "subtract": ("{} - {}", SUM, (SUM, PRODUCT)),
    "multiply": ("{} * {}", PRODUCT, (PRODUCT, SIGN)),
    "divide": ("{} / {}", PRODUCT, (PRODUCT, SIGN)),
    "matmul": ("{} @ {}", PRODUCT, (PRODUCT, SIGN)),
    "negative": ("-{}", SIGN, (SIGN,)),
    "square": ("{}**2", POWER, (ATOM,)),
    "power": ("{}**{}", POWER, (ATOM, POWER)),
    "transpose": ("{}.T", ATOM, (ATOM,)),
    "greater": ("({} > {})", ATOM, (SUM, SUM)),
    "less": ("({} < {})", ATOM, (SUM, SUM)),
    "equal": ("({} == {})", ATOM, (SUM, SUM)),
}
#: Bookkeeping that a formula does not show.
SILENT = {"reshape", "broadcast_to", "copy", "astype", "argument"}
NUMPY_NAMES = {
    id(primitive): function.__name__
    for function, primitive in implementations.items()
    if isinstance(primitive, Primitive) and hasattr(np, function.__name__)
} | {id(ops.absolute): "abs"}
DEEPEST = 8  # calls of calls that a text goes into
LONGEST = 400  # characters of a formula
Text = tuple[str, int]  # and how tightly it binds


def text_of(x: Any, known: Mapping[Value, Text] | None = None) -> str:
    """An operand as code: its name, or how it was computed from what has names."""
    return tidy(written(x, known or {})[0])


def written(x: Any, known: Mapping[Value, Text], depth: int = 0) -> Text:
    """An operand as code, with how tightly it binds."""
    if not isinstance(x, Value):
        return digits(x), ATOM if np.real(x) >= 0 else SIGN
    if x in known:
        return known[x]
    if x.name:
        return printable(x.name), ATOM
    if x.call is None:
        if x.array.size == 1:
            return digits(x.array.item()), ATOM
        return "condition" if x.dtype == bool else "(...)", ATOM
    if depth == DEEPEST:
        return "(...)", ATOM
    return combined(x.call, [written(y, known, depth + 1) for y in x.call.operands])


def combined(call: Call, operands: list[Text]) -> Text:
    """A call as code, of operands as code."""
    name = call.primitive.name
    if name in SILENT:
        return operands[0]
    if name == "multiply" and "1" in (operands[0][0], operands[1][0]):
        return operands[operands[0][0] == "1"]
    if name == "multiply" and (folded := product_of_numbers(*operands)):
        return folded
    if name in OPERATORS:
        form, binding, places = OPERATORS[name]
        parts = [
            text if binds >= place else f"({text})"
            for (text, binds), place in zip(operands, places, strict=False)
        ]
        return form.format(*parts), binding
    module = "np" if id(call.primitive) in NUMPY_NAMES else "ag"
    statics = [
        f"{key}={value[0] if isinstance(value, tuple) and len(value) == 1 else value}"
        for key, value in call.statics.items()
        if value != call.primitive.defaults.get(key)
    ]
    function = NUMPY_NAMES.get(id(call.primitive), name)
    return f"{module}.{function}({', '.join([*(text for text, _ in operands), *statics])})", ATOM


def product_of_numbers(a: Text, b: Text) -> Text | None:
    """``0.07 * (2 * W)`` as ``0.14 * W``; None if there are no two numbers in a product."""
    for (text, _), (other, binds) in ((a, b), (b, a)):
        first, times, rest = other.partition(" * ")
        if binds == PRODUCT and times and is_number(text) and is_number(first):
            return f"{digits(float(text) * float(first))} * {rest}", PRODUCT
    return None


def is_number(text: str) -> bool:
    """Whether a text is a number as `digits` writes it."""
    return NUMBER.fullmatch(text) is not None


def digits(x: Any) -> str:
    """A number with all its digits."""
    x = np.asarray(x).item()
    return str(int(x)) if isinstance(x, float) and x.is_integer() and abs(x) < 1e6 else repr(x)


def number(x: float) -> str:
    """A number as short as a reader wants it."""
    return digits(x) if float(x).is_integer() and abs(x) < 1e6 else f"{x:.6g}"


NUMBER = re.compile(r"(?<![\w.])\d+(\.\d+)?(e[+-]\d+)?(?![\w.])")


def tidy(text: str, name: Callable[[float], str] = number) -> str:
    """A formula with its numbers as a reader wants them; small whole ones stay as they are."""

    def written_as(match: re.Match[str]) -> str:
        value = float(match[0])
        return match[0] if value in (0, 1, 2) else name(value)

    return NUMBER.sub(written_as, text)


def formula(
    replay: Replay,
    value: Value,
    pulls: list[Pull],
    given: Mapping[Value, str],
    name: Callable[[float], str],
) -> str:
    """The formula of a value's gradient, from gradients that have names."""
    found: dict[Value, Text] = {}
    for pull in pulls:
        output = pull.call.output
        g = (
            (given[output], PRODUCT if "/" in given[output] else ATOM)
            if output in given
            else found[output]
        )
        assert output.gradient is not None
        known: dict[Value, Text] = {output.gradient: g}
        inside = flow(pull)
        for call in pull.calls:
            if call.output in inside:
                known[call.output] = combined(call, [written(x, known) for x in call.operands])
        share = written(pull.result, known)
        before = found.get(pull.operand)
        total = share if before is None else plus(share, before)
        found[pull.operand] = total if len(total[0]) < LONGEST else ("(...)", ATOM)
    return tidy(found[value][0], name)


def plus(a: Text, b: Text) -> Text:
    """The sum of two formulas."""
    if b[0].startswith("-") and b[1] >= PRODUCT:
        return f"{a[0]} - {b[0][1:]}", SUM
    return f"{a[0]} + {b[0]}", SUM


def printable(name: str) -> str:
    """A name without characters that a terminal would not show or would obey."""
    return name if name.isprintable() else ascii(name)[1:-1]
