"""What a program is put together from: names, numbers, arrays and lines as text."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import ops
from ..trace import Value

MOST_DATA = 200  # numbers that are written into a program
LONGEST_NAME = 40
LONGEST_LINE = 100
LONGEST_EXPRESSION = 60  # in a line of its own
FUNCTION, CHECK_ARRAY = "cost_and_gradients", "check_array"
RESERVED = {"np", "gradients", "gradient", "name", FUNCTION, CHECK_ARRAY}
RESERVED |= {*dir(builtins), *keyword.kwlist}


# ---- names --------------------------------------------------------------------------------------


def identifier(name: str) -> str:
    """A name as Python lets a variable be called, as like it as possible."""
    text = unicodedata.normalize("NFKC", name[:LONGEST_NAME])
    # since Python 3.13 a letter may be followed by joiners, which nobody sees
    text = "".join([c if f"_{c}".isidentifier() and c.isprintable() else "_" for c in text])
    text = text if text.strip("_") else "value"
    if not text.isidentifier():
        text = ("layer" if re.match(r"\d+\.", name) else "value") + text
    text = unicodedata.normalize("NFKC", text)
    return f"{text}_" if text in RESERVED else text


class Names:
    """Names that are all different."""

    def __init__(self) -> None:
        self.taken = set(RESERVED)
        self._counts: Counter[str] = Counter()

    def new(self, wanted: str) -> str:
        """A name that nothing has yet: the one that is wanted, or with a number behind it."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted.rstrip('_')}_{number}"
        self.taken.add(name)
        return name

    def numbered(self, letter: str) -> str:
        """The next of ``u1``, ``u2``, ... that nothing has yet."""
        while True:
            self._counts[letter] += 1
            if (name := f"{letter}{self._counts[letter]}") not in self.taken:
                return self.new(name)


# ---- numbers ------------------------------------------------------------------------------------


def number_text(x: Any) -> str:
    """A number with all its digits, as short as its dtype lets it be."""
    x = np.asarray(x)[()]
    if x.dtype.kind == "c":
        return f"complex({number_text(x.real)}, {number_text(x.imag)})"
    if x.dtype.kind != "f":
        return repr(x.item())
    if np.isnan(x):
        return "-np.nan" if np.signbit(x) else "np.nan"
    if np.isinf(x):
        return "np.inf" if x > 0 else "-np.inf"
    short = str(x)
    return short if x.dtype.type(float(short)) == x else repr(float(x))


def dtype_text(dtype: np.dtype[Any]) -> str:
    """A dtype as an argument; those of foreign byte order by their code."""
    return f"np.{dtype.type.__name__}" if dtype.isnative else repr(dtype.str)


def nested(array: Any) -> str:
    """The elements of an array as nested lists, a row on a line."""
    if array.ndim == 0:
        return number_text(array)
    if array.ndim == 1:
        return f"[{', '.join([number_text(x) for x in array])}]"
    parts = [nested(part) for part in array]
    if "\n" not in (line := f"[{', '.join(parts)}]") and len(line) <= LONGEST_EXPRESSION:
        return line
    return "[\n" + "".join([f"{indented(part)},\n" for part in parts]) + "]"


def array_text(array: Any) -> str:
    """An expression that makes this very array: the same bits, dtype and order in memory."""
    array = np.asarray(array)
    if array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise ValueError(f"there is no exact way to write numbers of dtype {array.dtype}")
    if not array.flags.c_contiguous:
        axes = tuple(sorted(range(array.ndim), key=lambda i: -abs(array.strides[i])))
        if array.flags.f_contiguous:
            return f"{array_text(array.T)}.T"
        if array.transpose(axes).flags.c_contiguous:
            return f"{array_text(array.transpose(axes))}.transpose({ops.inverse(axes)})"
    usual = array.dtype.isnative and array.dtype in (float, bool, int, complex)
    dtype = "" if usual else f", dtype={dtype_text(array.dtype)}"
    if array.ndim == 0 and array.dtype.isnative:
        return f"{dtype_text(array.dtype)}({number_text(array)})"
    if not array.size:
        as_usual = array.dtype == float and array.dtype.isnative
        return f"np.zeros({array.shape}{'' if as_usual else f', dtype={dtype_text(array.dtype)}'})"
    if (text := regular(array)) is not None:
        return text
    return f"np.array({nested(array)}{dtype})"


def regular(array: Any) -> str | None:
    """An array of one number everywhere, or of 0, 1, 2, ...; None if it is not like that."""
    flat = np.ascontiguousarray(array).reshape(-1)
    dtype = f", dtype={dtype_text(array.dtype)}"
    if flat.size > 2 and flat.tobytes() == flat[:1].tobytes() * flat.size:
        number = number_text(flat[0])
        make = {"0.0": "zeros", "1.0": "ones", "True": "ones", "False": "zeros"}.get(number)
        usual = array.dtype == float and array.dtype.isnative
        shape = array.shape[0] if array.ndim == 1 else array.shape
        if make:
            return f"np.{make}({shape}{'' if usual else dtype})"
        return f"np.full({shape}, {number}{'' if usual else dtype})"
    if array.dtype == int and flat.size > 1 and np.array_equal(flat, np.arange(flat.size)):
        return f"np.arange({flat.size})" + (f".reshape({array.shape})" if array.ndim > 1 else "")
    return None


def size_of(value: Value) -> int:
    """How many numbers a value is, and more than enough if they cannot be written."""
    writable = value.dtype.itemsize <= (16 if value.dtype.kind == "c" else 8)
    return value.array.size if writable else MOST_DATA + 1


# ---- text ---------------------------------------------------------------------------------------


def indented(text: str) -> str:
    """A text moved to the right."""
    return "\n".join([f"    {line}" if line else "" for line in text.split("\n")])


def parsed(text: str) -> ast.expr:
    """An expression as a syntax tree."""
    return ast.parse(text, mode="eval").body


def called_with(start: str, arguments: Sequence[str], end: str) -> str:
    """A call or a signature: on one line, or each argument on its own."""
    line = f"{start}{', '.join(arguments)}{end}"
    if len(line) <= LONGEST_LINE:
        return line
    return start + "\n" + "".join([f"    {argument},\n" for argument in arguments]) + end
