"""Numbers and names, as formulas show them."""

from __future__ import annotations

import re
import sys
from functools import cache
from string import Template
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive
from ..text import clean, for_latex
from .templates import NUMPY_NAMES

OURS = __name__.partition(".")[0]


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


# ---- in code ------------------------------------------------------------------------------------


def is_own(primitive: Primitive) -> bool:
    """Whether a primitive is one of NumPy or of this package."""
    module = getattr(primitive.kernel, "__module__", "numpy")  # that of a ufunc
    return primitive in NUMPY_NAMES or module.partition(".")[0] in ("numpy", OURS)


def python_name(primitive: Primitive) -> str:
    """What a primitive is called as code, for NumPy as ``np`` and this package as ``ag``."""
    if primitive.python and "$" not in primitive.python:
        return primitive.python
    if primitive in NUMPY_NAMES:
        return f"np.{NUMPY_NAMES[primitive]}"
    if not is_own(primitive):
        return primitive.name
    home = getattr(primitive.kernel, "__module__", "numpy")
    if hasattr(np, primitive.name) and ".nn." not in home:
        return f"np.{primitive.name}"
    for module in (OURS, f"{OURS}.nn.functional"):
        if hasattr(sys.modules.get(module), primitive.name):  # its primitives are there once it is
            return f"ag{module.removeprefix(OURS)}.{primitive.name}"
    names = [name for name, x in vars(sys.modules[home]).items() if x is primitive]
    return f"ag{home.removeprefix(OURS)}.{names[0]}" if names else primitive.name


def in_python(primitive: Primitive) -> str:
    """How Python writes a call on ``a`` and ``b``: ``a + b``, or by the name of a function."""
    if not primitive.python or "$" not in primitive.python:
        return python_name(primitive)
    return filled(primitive.python, primitive.operands)


@cache
def filled(template: str, operands: tuple[str, ...]) -> str:
    """A template with ``a`` and ``b`` for its operands."""
    return Template(template).safe_substitute(dict(zip(operands, "ab", strict=False)))


def python_static(value: Any) -> str:
    """A keyword argument as code."""
    if isinstance(value, tuple):
        parts = [python_static(x) for x in value]
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
    if isinstance(value, np.dtype):
        return f"np.{value.name}"
    if value is ops.Index:
        return "ag.core.ops.Index"
    text: str = repr(value.item() if isinstance(value, np.generic) else value)
    return text
