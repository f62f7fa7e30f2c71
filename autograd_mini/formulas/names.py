"""Numbers and names, as formulas show them, and what Python calls the ops."""

from __future__ import annotations

import sys
from functools import cache
from string import Template
from typing import Any

import numpy as np

from .. import linalg, numpy_functions  # noqa: F401 - their ops are among the implementations
from ..core.primitive import Primitive, implementations

OURS = __name__.partition(".")[0]
#: What NumPy calls primitives: best by their own names.
NUMPY_NAMES = {
    primitive: primitive.name if hasattr(np, primitive.name) else function.__name__
    for function, primitive in implementations.items()
    if isinstance(primitive, Primitive) and hasattr(np, function.__name__)
}


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
