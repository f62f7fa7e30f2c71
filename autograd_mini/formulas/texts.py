"""Parts of formulas that are being written."""

from __future__ import annotations

from typing import Any, NamedTuple

from .shapes import NUMBER, Seen
from .templates import ATOM, PRODUCT


class Text(NamedTuple):
    """A part of a formula."""

    pieces: Any  # strings, and tuples of such, so that long ones are put together only once
    length: int
    binds: int = ATOM
    operator: str = ""
    minus: bool = False  # whether it begins with one
    factor: float | None = None  # a number or a sign in front ...
    rest: Text | None = None  # ... of this; None if there is only the number
    seen: Seen = NUMBER  # what shape a reader takes it to have


def joined(pieces: Any) -> str:
    """The pieces of a text, put together."""
    found, stack = [], [pieces]
    while stack:
        piece = stack.pop()
        if isinstance(piece, str):
            found.append(piece)
        else:
            stack += reversed(piece)
    return "".join(found)


def plain(text: str, binds: int = ATOM) -> Text:
    """A text that consists of no others."""
    return Text(text, len(text), binds, "", text.startswith("-"))


def factor_of(text: Text) -> float:
    """The number in front of a text."""
    return 1 if text.factor is None else text.factor


def without_factor(text: Text) -> Text | None:
    """A text without the number in front; None if it is only a number."""
    return text if text.factor is None else text.rest


def is_number(text: Text) -> bool:
    """Whether a text is a number, and nothing else."""
    return text.factor is not None and text.rest is None


def is_minus(text: Text) -> bool:
    """Whether a text of Python begins with a minus that can be taken away."""
    return text.factor == -1 and text.rest is not None and text.binds >= PRODUCT
