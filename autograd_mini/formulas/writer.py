"""Expressions as text, in Python, as plain text and in LaTeX."""

from __future__ import annotations

from collections.abc import Callable

from .expressions import Symbol
from .latex import Latex
from .plain_text import PlainText
from .printer import Printer
from .python import BriefPython, Python

LANGUAGES: dict[str, type[Printer]] = {
    "python": Python,
    "brief python": BriefPython,
    "text": PlainText,
    "latex": Latex,
}


def write(
    symbol: Symbol,
    language: str,
    leaf: Callable[[Symbol], str] | None = None,
    *,
    longest: int = 100_000,
) -> str:
    r"""An expression as text.

    Parameters
    ----------
    symbol : Symbol
    language : {"python", "brief python", "text", "latex"}
        "python" is code for NumPy (``np``) and this package (``ag``).  The others are for people,
        and leave out what only changes shapes and dtypes where broadcasting does the rest.
    leaf : callable, optional
        What to write for a quantity with a name, instead of the name: numbers, for example.
        Products of two numbers are then written with a sign.
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
    >>> from autograd_mini.formulas import named, write
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
    if language not in LANGUAGES:
        allowed = ", ".join(LANGUAGES)
        raise ValueError(f"formulas are written in one of {allowed}, not in {language!r}")
    return LANGUAGES[language](leaf, longest).write(symbol)
