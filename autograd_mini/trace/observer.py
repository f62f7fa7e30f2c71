"""What those who listen to the engine are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..core.graph import Node
from ..core.primitive import Primitive


class Observer(Protocol):
    """What those who listen to the engine are told, in the order in which it happens."""

    def heard(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any, y: Any) -> None:
        """A primitive was called and gave the Tensor ``y``."""

    def pulling(self, node: Node, position: int) -> None:
        """A rule of ``node`` is about to be run: the calls that follow are its text."""

    def delivered(self, node: Node, cotangent: Any) -> None:
        """The cotangent of ``node``'s output is complete."""

    def writing(self, tensor: Any) -> None:
        """The array of ``tensor`` is about to be overwritten."""

    def entering(self, module: Any, parts: Iterable[tuple[str, Any]]) -> None:
        """A module is about to be run; it and all in it that has a name are its ``parts``."""

    def leaving(self) -> None:
        """It has been run."""
