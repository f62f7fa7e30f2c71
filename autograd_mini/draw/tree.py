"""A diagram as a tree of plain text, for terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .grouping import MARKS

if TYPE_CHECKING:
    from .diagram import Arrow, Box, Diagram

DEEPEST = 20  # levels of one tree; what is deeper is a tree of its own, below
LEAVES = ("parameter", "input", "constant")
#: The marks that the lines of a box do not tell of.
TOLD = ("wrong", "first nan", "follows", "zero")


class Branch(NamedTuple):
    """A line to be written: an arrow from a box, seen from the box where it ends."""

    arrow: Arrow | None  # None at the root
    box: Box
    before: str  # what stands to the left, of the lines above
    last: bool


def tree_of(diagram: Diagram) -> str:
    """Write a diagram as a tree, from the cost down to what it was computed from.

    A box that is used several times has a number, and is written out where it comes first; later
    only its number stands, ``[2]``.  Very deep trees are cut, and go on below.

    Parameters
    ----------
    diagram : Diagram

    Returns
    -------
    str
        Lines without a newline at the end.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini.draw.diagram import diagram
    >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
    >>> with ag.trace() as run:
    ...     loss = (w - 1.0) ** 2
    ...     loss.backward()
    >>> print(tree_of(diagram(run.name(locals()))))
    loss = square  float64  4  grad 1
    └─ subtract(·, 1)  float64  2  grad 4
       └─ parameter w  float64  3  grad 4
    """
    boxes = {box.id: box for box in diagram.boxes}
    arriving: dict[str, list[Arrow]] = {box: [] for box in boxes}
    uses = dict.fromkeys(boxes, 0)
    for use in (arrow for arrow in diagram.arrows if not arrow.back):
        arriving[use.head].append(use)
        uses[use.tail] += 1
    labels = {group.id: group.label for group in diagram.groups}
    ends = [box for box in diagram.boxes if not uses[box.id]]
    roots = sorted(ends, key=lambda box: (box.kind != "error", box.kind != "loss"))
    numbers: dict[str, int] = {}
    written: set[str] = set()
    lines: list[str] = []
    stack = [Branch(None, box, "", True) for box in reversed(roots)]
    below: list[Box] = []  # cut off, to be written when the trees above them are done
    while stack or below:
        if not stack:
            stack = [Branch(None, box, "", True) for box in reversed(below)]
            below = []
        branch = stack.pop()
        arrow, box, before = branch.arrow, branch.box, branch.before
        operands = arriving[box.id]
        cut = len(before) >= 3 * DEEPEST and bool(operands) and box.id not in written
        if cut or uses[box.id] > 1:
            numbers.setdefault(box.id, len(numbers) + 1)
        number = f"[{numbers[box.id]}] " if box.id in numbers else ""
        here = before
        if arrow is not None:
            here += ("└─ " if branch.last else "├─ ") + (f"{arrow.label}: " if arrow.label else "")
            before += "   " if branch.last else "│  "
        if box.id in written:
            lines.append(f"{here}{number}{box.lines[0]}" * (arrow is not None))
            continue
        if cut:
            lines.append(f"{here}{number}see below")
            below.append(box)
            continue
        written.add(box.id)
        around = boxes[arrow.head].group if arrow else None
        frame = f"  in {labels[box.group]}" if box.group and box.group != around else ""
        lines.append(f"{here}{number}{text_of(box)}{frame}")
        stack += [
            Branch(operand, boxes[operand.tail], before, operand is operands[-1])
            for operand in reversed(operands)
        ]
    return "\n".join(line for line in lines if line)


def text_of(box: Box) -> str:
    """What stands in a box, on one line."""
    kind = f"{box.kind} " if box.kind in LEAVES else ""
    mark = f"  ({MARKS[box.mark]})" if box.mark in TOLD else ""
    lines = "\n".join(box.lines).replace("\n  ", " ")  # a formula may go on on a second line
    return kind + lines.replace("\n", "  ") + mark
