"""What those who listen to the engine are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from ..core.graph import Node
from ..core.primitive import Primitive


class Observer:
    """What those who listen to the engine are told, in the order in which it happens.

    The methods do nothing, but for those that keep `passes`: override what you want to hear, and
    call them.

    Attributes
    ----------
    passes : list of list of (Node, int)
        The backward passes that are under way, the innermost last, each with the rules that are
        being run: of which node, by which operand.
    """

    passes: list[list[tuple[Node, int]]]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Begin outside of any backward pass, whatever ``__init__`` is."""
        observer = super().__new__(cls)
        observer.passes = []
        return observer

    @property
    def rule(self) -> tuple[Node, int] | None:
        """The rule that is being run: its node, and the position of the operand."""
        return next((rules[-1] for rules in reversed(self.passes) if rules), None)

    def heard(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any, y: Any) -> None:
        """A primitive was called and gave the Tensor ``y``."""

    def reading(self, tensor: Any, how: str) -> None:
        """Values are about to be read; who does not want that raises.

        ``how`` is "data", "array", "number", "truth", "index", "list", "text", "copy" or "look".
        """

    def writing(self, tensor: Any) -> None:
        """The array of ``tensor`` is about to be overwritten."""

    def starting(self) -> None:
        """A backward pass begins."""
        self.passes.append([])

    def seeded(self, node: Node, cotangent: Any, given: Any) -> None:
        """It begins with this cotangent of ``node``, made of what the user gave, or None."""

    def delivered(self, node: Node, cotangent: Any) -> None:
        """The cotangent of ``node``'s output is complete."""

    def pulling(self, node: Node, position: int) -> None:
        """A rule of ``node`` is about to be run: the calls that follow are its text."""
        if self.passes:  # if not, this one listens only since the pass is under way
            self.passes[-1].append((node, position))

    def pulled(self, node: Node, position: int, contribution: Any) -> None:
        """The rule has been run, and gave this contribution to the operand's cotangent."""
        if self.passes:
            del self.passes[-1][-1:]

    def adding(self, node: Node) -> None:
        """The next call adds a contribution to those that have reached ``node`` before."""

    def finished(self) -> None:
        """The backward pass has ended, perhaps by an error."""
        del self.passes[-1:]

    def failed(self, error: Exception, op: str, operands: Iterable[Any]) -> None:
        """A call raised: an op or a module, of that name; who called it is told, too."""

    def entering(self, module: Any, parts: Iterable[tuple[str, Any]]) -> None:
        """A module is about to be run; it and all in it that has a name are its ``parts``."""

    def leaving(self) -> None:
        """It has been run."""
