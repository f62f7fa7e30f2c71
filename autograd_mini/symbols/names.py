"""Numbers and names, as formulas show them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..text import clean, for_latex


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
