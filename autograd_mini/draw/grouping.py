"""What becomes of the boxes of a picture where modules are frames, folded blocks or single boxes.

A *place* is one call of a module, forward or backward.  Boxes lie in places, the outermost first.
Identical blocks in a row are folded into the first of them, and a place that is closed becomes one
box.  Nothing here recurses, and the order of boxes follows from the order of calls alone.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..trace import Call, Scope, Value

FEWEST = 3  # identical blocks that are folded
#: Bounds of the norms of gradients that have different colours.
DECADES = (1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4)
#: How borders tell what is to be seen in a value, the worst first, and in words.
MARKS = {
    "wrong": "wrong",
    "first nan": "NaN or infinity begins here",
    "nan": "NaN or infinity",
    "follows": "may follow from a wrong one",
    "zero": "the gradient is all zero",
    "not reached": "no gradient reaches it",
    "size 6": "grad norm 1e4 or more: exploding",
    "size 5": "grad norm 100 to 1e4",
    "size 4": "grad norm 1 to 100",
    "size 3": "grad norm 0.01 to 1",
    "size 2": "grad norm 1e-4 to 0.01",
    "size 1": "grad norm 1e-6 to 1e-4",
    "size 0": "grad norm below 1e-6: vanishing",
}


class Place(NamedTuple):
    """One call of a module, forward or backward."""

    scope: Scope
    phase: str


class Use(NamedTuple):
    """An arrow to be: an item that is an operand of a call, or goes into a closed place."""

    item: Item
    call: Call | None
    position: int


@dataclass(eq=False)
class Item:
    """A box to be.

    Attributes
    ----------
    value : Value or None
        What it stands for; None for the call that failed.
    kind : str
        As of a `Box`.
    calls : list of Call
        What computes the value from the items in ``uses``, in the order of the run.
    uses : list of Use
        The arrows that end here.
    places : tuple of Place
        Where it lies, the outermost first.
    name : str
        What the value is called; may be empty.
    named : bool
        Whether the user called a result so, who shall find it in the picture.
    mark : str
        As of a `Box`.
    members : list of Item
        Of a closed place: what is in it.
    copies : int
        For how many identical items it stands.
    rolls : list of Use
        Arrows from a folded block back into itself: what the next of the blocks is fed with.
    """

    value: Value | None
    kind: str
    calls: list[Call] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    places: tuple[Place, ...] = ()
    name: str = ""
    named: bool = False
    mark: str = ""
    members: list[Item] = field(default_factory=list)
    copies: int = 1
    rolls: list[Use] = field(default_factory=list)


def common(paths: Iterable[tuple[Place, ...]]) -> tuple[Place, ...]:
    """The places that all paths begin with."""
    levels = zip(*paths, strict=False)
    shared = itertools.takewhile(lambda places: len({*places}) == 1, levels)
    return tuple([first for first, *_ in shared])


def worst(items: Iterable[Item]) -> str:
    """The worst mark of items."""
    marks = {item.mark for item in items}
    return next((mark for mark in MARKS if mark in marks), "")


# ---- folding ------------------------------------------------------------------------------------


class Block:
    """All items in a place, described without regard to which block of a row it is.

    Two blocks of one form do the same, whatever their modules are called.
    """

    def __init__(self, place: Place, level: int, members: list[Item]) -> None:
        self.place = place
        self.members = members
        self.index = {item: i for i, item in enumerate(members)}
        outside: dict[Item, int] = {}
        self.form: list[object] = [place.scope.kind]
        for item in members:
            uses = [
                (-1 - outside.setdefault(use.item, len(outside)))
                if (i := self.index.get(use.item)) is None
                else i
                for use in item.uses
            ]
            calls = [
                (call.primitive.name, repr(call.statics), plain_operands(call))
                for call in item.calls
            ]
            value = item.value
            shape = (value.shape, value.dtype) if value else None
            inner = [
                (deeper.scope.path.removeprefix(place.scope.path), deeper.scope.kind)
                for deeper in item.places[level + 1 :]
            ]
            self.form.append((item.kind, item.mark, item.copies, shape, calls, uses, inner))
        self.outside = list(outside)

    def follows(self, before: Block) -> list[int] | None:
        """How this block comes after another: what comes from where; None if it differs.

        For each item outside that it uses: where the other block makes it, or -1 if both use it.
        """
        if self.form != before.form:
            return None
        links = []
        for mine, theirs in zip(self.outside, before.outside, strict=True):
            link = before.index.get(mine, -1)
            if link < 0 and mine is not theirs:
                return None
            links.append(link)
        return links


def plain_operands(call: Call) -> list[str]:
    """The numbers among the operands of a call, and where they stand."""
    return ["" if isinstance(x, Value) else repr(x) for x in call.operands]


def folded(items: list[Item]) -> tuple[list[Item], dict[Place, int]]:
    """Let the first of identical blocks in a row stand for all.

    Returns the items that are left, and the number of blocks for each place that stands for some.
    """
    copies: dict[Place, int] = {}
    level = 0
    while any(len(item.places) > level for item in items):
        users: dict[Item, list[Item]] = {}
        inside: dict[Place, list[Item]] = {}
        for item in items:
            for use in item.uses:
                users.setdefault(use.item, []).append(item)
            if len(item.places) > level:
                inside.setdefault(item.places[level], []).append(item)
        siblings: dict[tuple[Place, ...], list[Block]] = {}
        for place, members in inside.items():
            block = Block(place, level, members)
            siblings.setdefault(members[0].places[:level], []).append(block)
        for blocks in siblings.values():
            for row in rows(blocks, users):
                items = without(items, row)
                copies[row[0].place] = len(row)
        level += 1
    return items, copies


def rows(blocks: Sequence[Block], users: dict[Item, list[Item]]) -> list[list[Block]]:
    """The longest rows of identical blocks, each of which is used by the next one only."""
    found = []
    row: list[Block] = []
    pattern: list[int] | None = None
    for block in blocks:
        links = block.follows(row[-1]) if row else None
        if links is not None and pattern in (None, links) and is_private(row[-1], block, users):
            pattern = links
            row.append(block)
            continue
        found.append(row)
        row, pattern = [block], None
    return [row for row in (*found, row) if len(row) >= FEWEST]


def is_private(block: Block, following: Block, users: dict[Item, list[Item]]) -> bool:
    """Whether nobody would miss a block but the one that follows, nor the names in it."""
    near = block.index.keys() | following.index.keys()
    return not any(item.named or not near >= {*users.get(item, ())} for item in block.members)


def without(items: list[Item], row: list[Block]) -> list[Item]:
    """The items without all blocks of a row but the first."""
    first, last = row[0], row[-1]
    gone = {item for block in row[1:] for item in block.members}
    stand_in = dict(zip(last.members, first.members, strict=True))
    links = dict(zip(first.outside, row[1].follows(first) or (), strict=True))
    for item in first.members:
        item.copies *= len(row)
        fed = [use for use in item.uses if links.get(use.item, -1) >= 0]
        item.rolls += [use._replace(item=first.members[links[use.item]]) for use in fed]
    for gone_item, item in stand_in.items():
        if gone_item.named:
            item.name = gone_item.name
    left = [item for item in items if item not in gone]
    for item in left:
        item.uses = [use._replace(item=stand_in.get(use.item, use.item)) for use in item.uses]
        item.rolls = [use._replace(item=stand_in.get(use.item, use.item)) for use in item.rolls]
    return left


# ---- closing ------------------------------------------------------------------------------------


def closed(items: list[Item], level: int, copies: Mapping[Place, int]) -> list[Item]:
    """One box for each place at a level, with all that is in it; in topological order.

    A place that cannot be one box, since something outside is computed from what is inside and
    goes back in, stays open, and so does one in which the run failed.
    """
    opened = {place for item in items if item.kind == "error" for place in item.places}
    while True:
        boxes = with_modules(items, level, opened)
        for box in boxes:
            if box.members:
                box.copies = copies.get(box.members[0].places[level], 1)
                box.mark = worst(box.members)
                fed = box.copies > 1 and any(item.rolls for item in box.members)
                box.rolls = [Use(box, None, 0)] * fed
        ordered = in_order(boxes)
        if len(ordered) == len(boxes):
            return ordered
        done = {*ordered}
        stuck = [box for box in boxes if box.members and box not in done]
        opened |= {box.members[0].places[level] for box in stuck}


def with_modules(items: list[Item], level: int, opened: set[Place]) -> list[Item]:
    """The items, those in each place at a level as one, unless the place is opened."""
    modules: dict[Place, Item] = {}
    box_of: dict[Item, Item] = {}
    for item in items:
        place = item.places[level] if len(item.places) > level else None
        if place is None or place in opened:
            box_of[item] = replace(item)
            continue
        module = modules.setdefault(place, Item(None, "module", places=item.places[:level]))
        module.members.append(item)
        box_of[item] = module
    for item, box in box_of.items():
        uses = [use._replace(item=box_of[use.item]) for use in item.uses]
        if box.kind != "module":
            box.uses = uses
            box.rolls = [use._replace(item=box_of[use.item]) for use in item.rolls]
            continue
        known = {use.item for use in box.uses}
        arriving = dict.fromkeys(use.item for use in uses if use.item is not box)
        box.uses += [Use(other, None, 0) for other in arriving if other not in known]
    used = {use.item for item in items for use in item.uses if box_of[use.item] is not box_of[item]}
    for module in modules.values():
        outputs = [item for item in module.members if item in used]
        results = [item for item in module.members if item.calls] or module.members
        module.value = (outputs or results)[-1].value
    return list(dict.fromkeys(box_of.values()))


def in_order(boxes: list[Item]) -> list[Item]:
    """Topological order, as near as possible to the order given; without what is on a circle."""
    number = {box: i for i, box in enumerate(boxes)}
    waiting = {box: len({use.item for use in box.uses}) for box in boxes}
    users: dict[Item, list[Item]] = {}
    for box in boxes:
        for item in dict.fromkeys(use.item for use in box.uses):
            users.setdefault(item, []).append(box)
    ready = [i for i, box in enumerate(boxes) if not waiting[box]]
    ordered = []
    while ready:
        box = boxes[heapq.heappop(ready)]
        ordered.append(box)
        for user in users.get(box, ()):
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, number[user])
    return ordered
