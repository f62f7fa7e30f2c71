r"""Keyword arguments in LaTeX, as subscripts: :math:`\sum_{\text{axis 1}} X`."""

from __future__ import annotations

import re
from typing import Any

from ..text import for_latex
from .expressions import Symbol

#: Where the LaTeX of a call has place for a subscript.
PLACES = (
    r"\\sum(?![a-z])",
    r"\\star(\^T)?",
    r"\\rVert_2",
    r"^(\\log )?\\(max(?![a-z])|min(?![a-z])|mathrm\{\w+\})",
)


def with_statics(
    pieces: tuple[Any, ...], symbol: Symbol, keeps_axes: bool = False
) -> tuple[Any, ...]:
    r"""A call in LaTeX with its axis or the like: ``\sum_{\text{axis 1}}``."""
    words = in_words(symbol) + ", keepdims" * keeps_axes
    if not words:
        return pieces
    text = rf"\text{{{for_latex(words)}}}"
    if pieces[0].endswith("_{"):  # there is a subscript
        return (*pieces[:2], rf",\,{text}{pieces[2]}", *pieces[3:])
    for i in range(0, len(pieces), 2):  # between the operands
        for place in PLACES:
            if match := re.search(place, pieces[i]):
                before = match[0].removesuffix("_2")
                subscript = f"_{{{text}}}" if before == match[0] else f"_{{2,\\,{text}}}"
                found = pieces[i][: match.start()] + before + subscript + pieces[i][match.end() :]
                return (*pieces[:i], found, *pieces[i + 1 :])
    return pieces


def in_words(symbol: Symbol) -> str:
    """The keyword arguments that a formula in LaTeX says in a subscript."""
    assert symbol.primitive is not None
    statics, defaults = symbol.statics, symbol.primitive.defaults
    if "subscripts" in statics:
        return str(statics["subscripts"])
    words = []
    if statics.get("axis") != defaults.get("axis"):
        axes = [statics["axis"]] if isinstance(statics["axis"], int) else statics["axis"]
        numbers = ", ".join(map(str, axes)) or "none"
        words.append(f"{'axis' if len(axes) == 1 else 'axes'} {numbers}")
    if statics.get("reduction", "mean") != "mean":
        words.append(statics["reduction"])
    windows = symbol.primitive.kind == "window"
    if windows and "kernel_size" in statics:
        words.append(f"kernel {statics['kernel_size']}")
    usual = (None,) if windows else (None, 1, (1, 1))  # None: they lie side by side
    if statics.get("stride") not in usual:
        words.append(f"stride {statics['stride']}")
    if statics.get("padding", 0) not in (0, (0, 0)):
        words.append(f"padding {statics['padding']}")
    return ", ".join(words)
