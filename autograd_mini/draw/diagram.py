"""The picture of a run before it is a picture: boxes, arrows and groups with their texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .grouping import MARKS, Item, Place, closed, folded
from .labels import derivative_labels, group_label, lines_of, mark_of, operand_labels, tooltip_of
from .reading import Reading, items_of, marks_of, put_leaves, read
from .themes import THEMES

if TYPE_CHECKING:
    from ..check.compare import Comparison
    from ..core.tensor import Tensor
    from ..trace import Trace, Value

#: The kinds of boxes, in the order of the legend, with what they stand for.
KINDS = {
    "parameter": "parameter",
    "input": "input",
    "constant": "constant",
    "op": "operation",
    "module": "module",
    "loss": "cost",
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
        "" or what is to be seen in the value, one of `MARKS`, such as "wrong" or "not reached".
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
    back : bool
        Whether it leads from the end of a folded block to its beginning, where the next one goes
        on: it is no use of its own.
    """

    tail: str
    head: str
    label: str
    back: bool = False


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
        """The kinds and the marks that occur, each with what it stands for.

        Returns
        -------
        list of (str, str)
            Empty if no legend is wanted.
        """
        if not self.legend:
            return []
        losses = [box.value for box in self.boxes if box.kind == "loss"]
        texts = {**KINDS, **MARKS}
        if any(value is not None and value.array.size != 1 for value in losses):
            texts["loss"] = "output"  # what is no number is no cost
        occurring = {name for box in self.boxes for name in (box.kind, box.mark)}
        return [(name, text) for name, text in texts.items() if name in occurring]


# ---- from a run to a diagram --------------------------------------------------------------------

CHOICES = {
    "values": ("auto", "stats", "none"),
    "detail": ("ops", "names"),
    "phase": ("forward", "backward", "both"),
    "direction": ("auto", "LR", "TB"),
    "theme": tuple(THEMES),
    "engine": ("auto", "dot", "built in"),
}
CROWDED = 400  # boxes above which modules are closed


def diagram(
    what: Trace | Tensor,
    *,
    names: Mapping[str, Any] | None = None,
    values: str = "auto",
    gradients: bool = True,
    overlay: bool = False,
    derivatives: bool = False,
    groups: bool = True,
    depth: int | None = None,
    fold: bool = True,
    detail: str = "ops",
    phase: str = "forward",
    direction: str = "auto",
    theme: str = "light",
    legend: bool = True,
    report: Comparison | None = None,
    max_nodes: int | None = 2000,
) -> Diagram:
    """The boxes, arrows and frames of the picture of a run.

    Parameters
    ----------
    what : Trace or Tensor
        A run, which is not changed, or a Tensor with a history.
    options
        As in `autograd_mini.draw`.

    Returns
    -------
    Diagram

    Raises
    ------
    TypeError
        If ``what`` is neither, or an option is of another type.
    ValueError
        If there is nothing to draw, an option has no such value, or there are more than
        ``max_nodes`` boxes.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
    >>> picture = diagram(ag.trace(lambda: (w - 1.0) ** 2))
    >>> [box.lines for box in picture.boxes][1:]
    [['subtract(·, 1)', 'float64', '2'], ['square', 'float64', '4']]
    >>> picture.arrows[0]
    Arrow(tail='n0', head='n1', label='', back=False)
    """
    check_choices(values=values, detail=detail, phase=phase, direction=direction, theme=theme)
    check_types(names, depth, max_nodes, report)
    if depth is not None and (depth < 0 or not groups):
        raise ValueError("depth is the number of levels of modules to open, and needs groups=True")
    reading = read(what, names, phase, derivatives=derivatives)
    if overlay and not (gradients and reading.gradients):
        raise ValueError(
            "overlay=True colours borders by the size of gradients, and there are none to be "
            "shown: call backward() on the cost first, and leave gradients=True"
        )
    if report is not None:
        reading.marks = marks_of(report, reading)
    items = items_of(reading, detail == "names", groups)
    if groups:
        put_leaves(items, reading)
    for item in items:
        item.places = item.places if groups else ()
    if not any(item.places for item in items):
        fitted(items, {}, None, max_nodes, reading)  # at once, before anything takes time
    for item in items:
        item.mark = mark_of(item.value, reading, gradients, overlay) if item.value else ""
    copies: dict[Place, int] = {}
    if fold:
        items, copies = folded(items)
    items = fitted(items, copies, depth, max_nodes, reading)
    frames = groups_of(items, copies)
    ids = {item: f"n{i}" for i, item in enumerate(items)}
    boxes = [
        Box(
            ids[item],
            item.kind,
            lines_of(item, reading, values=values, gradients=gradients, by_name=detail == "names"),
            tooltip_of(item, reading),
            item.mark,
            frames[item.places[-1]].id if item.places else None,
            item.value,
        )
        for item in items
    ]
    arrows = []
    for item in items:
        labels = derivative_labels(item, reading) if derivatives else operand_labels(item)
        for use, label in zip(item.uses, labels, strict=True):
            arrows.append(Arrow(ids[use.item], ids[item], label))
        arrows += [Arrow(ids[use.item], ids[item], "", back=True) for use in item.rolls]
    return Diagram(boxes, arrows, [*frames.values()], direction, theme, legend)


def check_choices(**chosen: str) -> None:
    """Raise if an option has a value that it cannot have."""
    for option, choice in chosen.items():
        if choice not in CHOICES[option]:
            allowed = ", ".join(map(repr, CHOICES[option]))
            raise ValueError(f"{option} is one of {allowed}, not {choice!r}")


def check_types(names: Any, depth: Any, max_nodes: Any, report: Any) -> None:
    """Raise if an option is of a type that it cannot be of."""
    for option, given in (("depth", depth), ("max_nodes", max_nodes)):
        if given is not None and (not isinstance(given, int) or isinstance(given, bool)):
            raise TypeError(f"{option} is a whole number or None, not {given!r}")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(
            f"names maps names to variables, as locals() does; it is no {type(names).__name__}"
        )
    if report is not None and not hasattr(report, "lines"):
        raise TypeError(f"report is what ag.compare returned, not {type(report).__name__}")


def fitted(
    items: list[Item],
    copies: Mapping[Place, int],
    depth: int | None,
    max_nodes: int | None,
    reading: Reading,
) -> list[Item]:
    """Close modules as deep as asked for, or until there is room for what is left.

    Raises
    ------
    ValueError
        If there is no room.
    """
    boxes = items
    if depth is not None:
        boxes = closed(items, depth, copies)
    elif max_nodes is not None:
        deepest = max([len(item.places) for item in items])
        for level in reversed(range(deepest)):
            if len(boxes) > min(CROWDED, max_nodes):
                boxes = closed(items, level, copies)
    if max_nodes is None or len(boxes) <= max_nodes:
        return boxes
    ways = ["max_nodes=None draws them all, which can take long"]
    if (named := len(items_of(reading, True))) < len(boxes):
        ways.insert(0, f'detail="names" draws the {named:,} that have names or come from outside')
    if depth and (fewest := len(closed(items, 0, copies))) < len(boxes):
        ways.insert(0, f"depth=0 draws each module as one box, {fewest:,} in all")
    without = "" if any(item.places for item in items) else " and no modules to be closed (depth=)"
    raise ValueError(
        f"this picture would have {len(boxes):,} boxes{without}, which is more than "
        f"max_nodes={max_nodes:,}: {'; '.join(ways)}"
    )


def groups_of(items: list[Item], copies: dict[Place, int]) -> dict[Place, Group]:
    """The frames around items, each after the one that it lies in."""
    frames: dict[Place, Group] = {}
    for item in items:
        parent: str | None = None
        for place in item.places:
            if place not in frames:
                label = group_label(place, copies.get(place, 1))
                frames[place] = Group(f"g{len(frames)}", label, parent)
            parent = frames[place].id
    return frames
