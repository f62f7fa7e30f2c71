"""Calls as the NumPy code that they stand for: ``W2.T @ dZ2 * (1 - A1**2)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..core import ops
from ..formulas import Symbol, gradient_value, named, number, share_of, symbol_of, write
from ..trace import Pull, Value

DEEPEST = 8  # calls of calls that a text goes into
LONGEST = 400  # characters of a formula
NUMBER = re.compile(r"(?<![\w.])\d+(\.\d+)?(e[+-]\d+)?(?![\w.])")


def text_of(x: Any) -> str:
    """An operand as code: its name, or how it was computed from what has names."""
    return tidy(code(symbol_of(x, deepest=DEEPEST)))


def factor_of(x: Any, divided: bool) -> str:
    """An operand of a product as code, or one divided by it."""
    symbol = symbol_of(x, deepest=DEEPEST)
    return code(ops.divide(1, symbol) if divided else symbol)


def code(symbol: Symbol) -> str:
    """An expression as code, without what only changes shapes."""
    return write(symbol, "brief python", longest=LONGEST)


def tidy(text: str, name: Callable[[float], str] = number) -> str:
    """A formula with its numbers as a reader wants them; small whole ones stay as they are."""

    def written_as(match: re.Match[str]) -> str:
        value = float(match[0])
        return match[0] if value in (0, 1, 2) else name(value)

    return NUMBER.sub(written_as, text)


def formula(
    value: Value, pulls: list[Pull], given: Mapping[Value, str], name: Callable[[float], str]
) -> str:
    """The formula of a value's gradient, from gradients that are given as code."""
    given_symbols = {output: as_symbol(text, output) for output, text in given.items()}
    found: dict[Value, Symbol] = {}
    for pull in pulls:
        output = pull.call.output
        g = given_symbols[output] if output in given else found[output]
        share, before = share_of(pull, g, deepest=DEEPEST), found.get(pull.operand)
        found[pull.operand] = share if before is None else ops.add(share, before)
    return tidy(code(found[value]), name)


def as_symbol(text: str, output: Value) -> Symbol:
    """The gradient of a value that is written as 1, as ``dZ`` or as ``dZ / m``."""
    array = gradient_value(output).array
    dividend, divided, divisor = text.partition(" / ")
    symbol = Symbol(array) if text == "1" else named(dividend, array)
    if not divided:
        return symbol
    return Symbol(array, None, ops.divide, (symbol, named(divisor, 1.0)))
