"""Parts of formulas that are being written."""

from __future__ import annotations

from typing import Any, NamedTuple

from .seen_shapes import NUMBER, Seen
from .templates import ATOM


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

    @property
    def is_number(self) -> bool:
        """Whether it is a number, and nothing else."""
        return self.factor is not None and self.rest is None

    @property
    def front(self) -> float:
        """The number in front."""
        return 1 if self.factor is None else self.factor

    @property
    def behind(self) -> Text | None:
        """The text without the number in front; None if it is only a number."""
        return self if self.factor is None else self.rest


def plain(text: str, binds: int = ATOM) -> Text:
    """A text that consists of no others."""
    return Text(text, len(text), binds, "", text.startswith("-"))


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


def with_commas(pieces: list[Any]) -> Any:
    """Pieces with commas between them."""
    return tuple([part for piece in pieces for part in (", ", piece)][1:])
