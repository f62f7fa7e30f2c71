r"""Expressions over the arrays of a run, and how they are written: :math:`W_2^T\, dZ_2`.

A `Symbol` is what a primitive can be called on to find out what the call means: it keeps the call,
and computes its array.  The calls that a `Trace` has recorded of a rule, made again on Symbols, are
the formula of the derivative, which so cannot differ from the code.

An expression is written in three languages: "python", ``W2.T @ dZ2 * (1 - A1**2)``; "text",
``(W2^T dZ2) (.) (1 - A1^2)``; and "latex", from the templates of the primitives.
"""

from .expressions import (
    BOOKKEEPING,
    Symbol,
    definition_of,
    gradient_of,
    gradient_value,
    named,
    operands_first,
    share_of,
    symbol_of,
    total,
)
from .latex import latex_name
from .names import digits, in_python, number, printable, python_name
from .writer import write

__all__ = [
    "BOOKKEEPING",
    "Symbol",
    "definition_of",
    "digits",
    "gradient_of",
    "gradient_value",
    "in_python",
    "latex_name",
    "named",
    "number",
    "operands_first",
    "printable",
    "python_name",
    "share_of",
    "symbol_of",
    "total",
    "write",
]
