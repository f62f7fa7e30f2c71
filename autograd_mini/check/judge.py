"""How two arrays of numbers are related, and what constants between them are called."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ..formulas import number
from ..trace.replay import Array

FEW = 500


class Judge:
    """Tells whether an array is another one to rounding, and what factors and terms lie between.

    Parameters
    ----------
    given : ndarray
        Somebody's numbers.
    tolerance : float
        How far an element of the right gradient may be off by rounding alone.
    size : float
        The largest element of the right gradient.
    """

    def __init__(self, given: Array, tolerance: float, size: float = 0.0) -> None:
        self.given = given
        self.tolerance = tolerance
        largest = float(np.max(np.abs(given), initial=0))
        self.slack = tolerance * max(1.0, largest / size if size else 1.0)

    @cached_property
    def different(self) -> int:
        """How many numbers there are that are not the same."""
        return np.unique(np.round(self.given / (np.max(np.abs(self.given)) or 1), 9)).size

    def same(self, other: Array | None) -> bool:
        """Whether the numbers are these."""
        if other is None or np.shape(other) != self.given.shape:
            return False
        return bool(np.max(np.abs(self.given - other), initial=0) <= self.tolerance)

    def factor(self, other: Array) -> float | None:
        """The constant c, not 0, for which the numbers are c times these."""
        square = np.vdot(other, other) if np.shape(other) == self.given.shape else 0
        if not square > 0:
            return None
        c = float(np.vdot(other, self.given) / square)
        return c if c and np.max(np.abs(self.given - c * other)) <= self.slack else None

    def combination(self, a: Array, b: Array) -> tuple[float, float] | None:
        """The constants c and d, not 0, for which the numbers are c a + d b."""
        if self.given.size < 3 or not a.shape == b.shape == self.given.shape:
            return None
        every = slice(None, None, 1 + self.given.size // FEW)  # a few elements tell most cases
        basis = np.stack([a.ravel()[every], b.ravel()[every]], axis=1)
        scales = np.linalg.norm(basis, axis=0)
        if not np.all(scales > 0):
            return None
        given = self.given.ravel()[every]
        solution, _, rank, _ = np.linalg.lstsq(basis / scales, given, rcond=1e-10)
        c, d = (float(x) for x in solution / scales)
        if rank < 2 or not c or not d or np.max(np.abs(given - basis @ (c, d))) > self.slack:
            return None
        return (c, d) if np.max(np.abs(self.given - c * a - d * b)) <= self.slack else None

    def less(self, other: Array) -> Judge:
        """The judge of what remains when an array is subtracted."""
        return Judge(self.given - other, self.slack)


# ---- constants ----------------------------------------------------------------------------------


class Constants:
    """The numbers that have a name in somebody's derivation: m, 1/m, lam/m, 2, 1/2, ..."""

    def __init__(self, named: Mapping[str, float]) -> None:
        units = {text: x for text, x in named.items() if x not in (0, 1, -1)} | {"2": 2.0}
        self._texts = list(units.items())
        self._texts += [(f"1/{text}", 1 / x) for text, x in units.items()]
        self._texts += [(f"{text}**2", x * x) for text, x in units.items()]
        self._texts += [(f"1/{text}**2", 1 / (x * x)) for text, x in units.items()]
        for (p, x), (q, y) in itertools.permutations(units.items(), 2):
            if x != y:
                self._texts.append((f"{p}/{q}", x / y))
        for (p, x), (q, y) in itertools.combinations(units.items(), 2):
            self._texts += [(f"{p}*{q}", x * y), (f"1/({p}*{q})", 1 / (x * y))]

    def names(self, value: float) -> list[str]:
        """How a number can be written, the simplest first."""
        sign = "-" if value < 0 else ""
        found = [text for text, x in self._texts if math.isclose(abs(x), abs(value), rel_tol=1e-6)]
        return [sign + text for text in sorted(found, key=len)]

    def short(self, value: float) -> str:
        """A number by its name, or as it is."""
        return next(iter(self.names(value)), number(value))

    def text(self, value: float) -> str:
        """A number by its name, with the number."""
        name = self.short(value)
        named = any(character.isalpha() for character in name)
        return f"{name} = {number(value)}" if named else number(value)


def is_minus_one(c: float) -> bool:
    """Whether a constant is a mere change of sign."""
    return alike(c, -1)


def factor_causes(c: float) -> tuple[str, ...]:
    """The mistakes that a constant factor is."""
    if is_minus_one(c):
        return ("sign",)
    return ("constant factor", "sign") if c < 0 else ("constant factor",)


def factor_sentence(c: float, constants: Constants) -> str:
    """What is wrong with a gradient that is c times what it should be."""
    if is_minus_one(c):
        return "has the wrong sign: multiply by -1"
    start = "has the wrong sign and is" if c < 0 else "is"
    size = max(abs(c), 1 / abs(c))
    what = "too large: divide by it" if abs(c) > 1 else "too small: multiply by it"
    sentence = f"{start} {constants.text(size)} times {what}"
    others = constants.names(size)[1:3]
    if others:
        sentence += f" (at this point {' and '.join(others)} is the same number)"
    return sentence


def alike(a: float, b: float) -> bool:
    """Whether two constants are one, to rounding."""
    return math.isclose(a, b, rel_tol=1e-6)


def unlike(options: list[float]) -> list[float]:
    """The constants that differ from those before them."""
    kept: list[float] = []
    for option in options:
        if not any(alike(option, other) for other in kept):
            kept.append(option)
    return kept
