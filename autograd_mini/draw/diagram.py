"""The picture of a run before it is a picture: boxes, arrows and groups with their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.tensor import Tensor
    from ..trace import Trace, Value

#: The kinds of boxes, in the order of the legend, with what they stand for.
KINDS = {
    "parameter": "parameter",
    "input": "input",
    "constant": "constant",
    "op": "operation",
    "module": "module, collapsed",
    "loss": "differentiated",
    "error": "failed",
}


@dataclass
class Box:
    """A box of a diagram.

    Attributes
    ----------
    id : str
        ``n0``, ``n1``, ... in topological order.
    kind : str
        "parameter", "input", "constant", "op", "loss", "module" (a collapsed group) or "error".
    lines : list of str
        The label: clean plain text, not escaped.
    tooltip : str
        Further facts: clean plain text, lines separated by newlines.
    mark : str
        "" or what is wrong with the value: "wrong", "follows", "nan", "zero", "not reached".
    group : str or None
        The innermost group that it lies in.
    value : Value or None
        What it stands for.
    """

    id: str
    kind: str
    lines: list[str]
    tooltip: str
    mark: str
    group: str | None
    value: Value | None


@dataclass
class Arrow:
    """An arrow of a diagram: one use of a value.

    Attributes
    ----------
    tail, head : str
        The ids of the boxes.
    label : str
        The number of the operand where there are several and order matters, or the local
        derivative; often empty.
    """

    tail: str
    head: str
    label: str


@dataclass
class Group:
    """A frame around boxes: one call of a module.

    Attributes
    ----------
    id : str
        ``g0``, ``g1``, ...
    label : str
        Such as ``0: Linear``.
    parent : str or None
        The group that it lies in.
    """

    id: str
    label: str
    parent: str | None


@dataclass
class Diagram:
    """What a picture shows; made by `diagram`.

    Attributes
    ----------
    boxes : list of Box
        In topological order.
    arrows : list of Arrow
        In the order of their heads, and of the operands there.
    groups : list of Group
        Each after the one that it lies in.
    direction : str
        "LR", "TB" or, left to who draws it, "auto".
    theme : str
        The name of a theme.
    legend : bool
        Whether the kinds of boxes are explained.
    """

    boxes: list[Box]
    arrows: list[Arrow]
    groups: list[Group]
    direction: str
    theme: str
    legend: bool

    def legend_entries(self) -> list[tuple[str, str]]:
        """The kinds that occur, each with what it stands for.

        Returns
        -------
        list of (str, str)
            Empty if no legend is wanted.
        """
        occurring = {box.kind for box in self.boxes}
        return [(k, text) for k, text in KINDS.items() if k in occurring and self.legend]


def diagram(what: Trace | Tensor, **options: Any) -> Diagram:
    """The boxes and arrows of a run."""
    raise NotImplementedError
