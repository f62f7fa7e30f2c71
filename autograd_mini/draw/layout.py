"""Where the boxes, arrows and frames of a diagram go: a layered layout in plain Python.

Every group is laid out by itself, the innermost first; in the group around it, it is one large box
with ports in its border through which arrows come and go.  So the boxes of a group stay together,
and no arrow runs through a group that it has no business in.  `Level` lays out a group's inside.

Inside, *across* and *along* are relative to the flow; only at the end they become x and y.  The
same diagram gives the same numbers on every machine: no sum here depends on the order of a set,
and only basic operations are used, which are exactly rounded everywhere.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .level import APART, FRAME, GAP, TIP, End, Level, Link, Node, Point, Signal
from .themes import THEMES, text_width

if TYPE_CHECKING:
    from .diagram import Diagram

LINE = 1.25  # height of a line of text, in font sizes
LABEL = 0.85  # size of texts beside arrows, in font sizes
PADDING = (10.0, 6.0)  # between the border of a box and its text
MARGIN = 18.0  # around the picture, and between its parts
WIDEST = 1200.0  # a picture from left to right that is wider goes from top to bottom instead


@dataclass
class Rect:
    """A rectangle; ``x`` and ``y`` are those of its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass
class Layout:
    """Where everything is, in pixels from the upper left corner; made by `laid_out`.

    Attributes
    ----------
    width, height : float
        Of the whole picture.
    direction : {"LR", "TB"}
        Which way the arrows go.
    boxes, groups : dict of str to Rect
        By id.
    arrows : list of list of (float, float)
        The corners of each arrow's way from its tail to its head, in the order of the diagram.
    labels : dict of int to Rect
        Where the labels of arrows stand, by the arrow's number.
    titles : dict of str to Rect
        Where the titles of groups stand, by id.
    legend : list of (str, str, Rect)
        Kind, text, and the place of a small box of that kind; the text stands right of it.
    """

    width: float
    height: float
    direction: str
    boxes: dict[str, Rect] = field(default_factory=dict)
    groups: dict[str, Rect] = field(default_factory=dict)
    arrows: list[list[Point]] = field(default_factory=list)
    labels: dict[int, Rect] = field(default_factory=dict)
    titles: dict[str, Rect] = field(default_factory=dict)
    legend: list[tuple[str, str, Rect]] = field(default_factory=list)


class Plan:
    """The levels of a diagram, and its layout in the making."""

    def __init__(self, diagram: Diagram, direction: str) -> None:
        self.diagram = diagram
        self.sideways = direction == "LR"
        self.size = THEMES[diagram.theme].font_size
        self.number = {box.id: i for i, box in enumerate(diagram.boxes)}
        self.parent = {group.id: group.parent for group in diagram.groups}
        self.title = {group.id: group.label for group in diagram.groups}
        self.paths = [self.path(box.group) for box in diagram.boxes]
        self.node: dict[int | str, Node] = {}  # of boxes, by number, and groups, by id
        self.inside: dict[str | None, list[int | str]] = {None: []}  # in order of first boxes
        self.first: dict[int | str, int] = {}  # the first box of each unit
        self.loops: dict[int, list[int]] = defaultdict(list)  # arrows from a box to itself
        self.links: dict[str | None, dict[Any, Link]] = defaultdict(dict)
        self.ports: dict[str, dict[End, Node]] = defaultdict(dict)
        self.ways: dict[int, list[tuple[str | None, Link]]] = {}  # of arrows, by number
        self.corner: dict[str, float] = {}  # where a group begins, across, in its own coordinates
        self.titles: dict[str, Point] = {}  # where its title stands, in its own coordinates
        self.measure()
        self.connect()

    def path(self, group: str | None) -> list[str]:
        """The groups around something, from the outermost to the innermost."""
        around: list[str] = []
        while group is not None:
            around.append(group)
            group = self.parent[group]
        return around[::-1]

    def unit(self, box: int, depth: int) -> int | str:
        """The group in that depth around a box, or else the box itself."""
        path = self.paths[box]
        return path[depth] if depth < len(path) else box

    def measure(self) -> None:
        """Make a node of each box, as large as its text, and of each group, still without size."""
        for i, box in enumerate(self.diagram.boxes):
            width = 0.0
            for number, line in enumerate(box.lines):
                width = max(width, text_width(line, self.size, bold=number == 0))
            width = max(2.0 * math.ceil(width / 2 + PADDING[0]), 28.0)
            height = max(len(box.lines), 1) * LINE * self.size + 2 * PADDING[1]
            across, along = (height, width) if self.sideways else (width, height)
            self.node[i] = Node(across, along, APART)
            self.first[i] = i
            for group in self.paths[i]:
                if group not in self.node:
                    self.node[group] = Node(margin=APART, fixed=True)
                    self.first[group] = i
                    self.inside[group] = []
                    self.inside[self.parent[group]].append(group)
            self.inside[self.paths[i][-1] if self.paths[i] else None].append(i)

    def connect(self) -> None:
        """Cut each arrow into links, one in each level that it runs through."""
        ends = [(self.number[a.tail], self.number[a.head]) for a in self.diagram.arrows]
        depths = []  # of the level in which an arrow runs from one unit to another
        for tail, head in ends:
            depth = 0
            for one, other in zip(self.paths[tail], self.paths[head], strict=False):
                depth += one == other
            depths.append(depth)
        self.sort_units(ends, depths)
        copies: dict[tuple[int, int], int] = defaultdict(int)
        for i, ((tail, head), depth) in enumerate(zip(ends, depths, strict=True)):
            if tail == head:
                self.loops[tail].append(i)
                continue
            copy = copies[tail, head]
            copies[tail, head] += 1
            up = self.place[self.unit(tail, depth)] > self.place[self.unit(head, depth)]
            self.lead(i, tail, head, depth, (tail, copy, up))
        self.make_room()

    def sort_units(self, ends: list[tuple[int, int]], depths: list[int]) -> None:
        """Put the units of each level in an order in which few arrows go up: none if possible."""
        after: dict[int | str, dict[int | str, None]] = defaultdict(dict)
        missing: dict[int | str, int] = defaultdict(int)
        for (tail, head), depth in zip(ends, depths, strict=True):
            one, other = self.unit(tail, depth), self.unit(head, depth)
            if one != other and other not in after[one]:
                after[one][other] = None
                missing[other] += 1
        self.place: dict[int | str, int] = {}
        for units in self.inside.values():
            order = {unit: (self.first[unit], i) for i, unit in enumerate(units)}
            ready = [order[unit] for unit in units if not missing[unit]]
            heapify(ready)
            waiting = iter(sorted(order.values()))
            for _ in units:
                while not ready or units[ready[0][1]] in self.place:
                    if ready:
                        heappop(ready)
                    else:  # the others wait for each other: the first of them goes ahead
                        turns = (turn for turn in waiting if units[turn[1]] not in self.place)
                        ready = [next(turns)]
                unit = units[heappop(ready)[1]]
                self.place[unit] = len(self.place)
                for other in after[unit]:
                    missing[other] -= 1
                    if not missing[other]:
                        heappush(ready, order[other])
            units.sort(key=self.place.__getitem__)

    def lead(self, i: int, tail: int, head: int, depth: int, signal: Signal) -> None:
        """Lead an arrow out of the groups around its tail, over, and into those of its head."""
        way: list[tuple[str | None, Link]] = []
        node = self.node[tail]
        for group in reversed(self.paths[tail][depth:]):
            port = self.port(group, ("out", signal), "first" if signal[2] else "last")
            way.append((group, self.link(group, node, port, signal)))
            node = self.node[group]
        level = self.paths[tail][depth - 1] if depth else None
        for group in self.paths[head][depth:]:
            way.append((level, self.link(level, node, self.node[group], signal)))
            node = self.port(group, ("in", signal), "last" if signal[2] else "first")
            level = group
        last = self.link(level, node, self.node[head], signal)
        way.append((level, last))
        label = self.diagram.arrows[i].label
        if label:
            last.label = self.label_size(label)
        self.ways[i] = way

    def label_size(self, label: str) -> Point:
        """The size of a label, across and along."""
        width = text_width(label, LABEL * self.size)
        height = LABEL * self.size * LINE
        return (height + 2.0, width + TIP + 6.0) if self.sideways else (width + 8.0, height + TIP)

    def port(self, group: str, end: End, border: str) -> Node:
        """Where arrows of a signal cross the border of a group."""
        return self.ports[group].setdefault(end, Node(port=border, fixed=True))

    def link(self, level: str | None, tail: Node, head: Node, signal: Signal) -> Link:
        """The link of a signal between two nodes."""
        return self.links[level].setdefault((tail, head, signal), Link(tail, head, signal))

    def make_room(self) -> None:
        """Make boxes large enough for all arrows and labels at each of their sides."""
        needed: dict[tuple[Node, bool], float] = defaultdict(float)
        for links in self.links.values():
            outgoing = set()
            for link in links.values():
                needed[link.head, link.signal[2]] += 8.0 + link.label[0]
                if (link.tail, link.signal) not in outgoing:
                    outgoing.add((link.tail, link.signal))
                    needed[link.tail, not link.signal[2]] += 8.0
        for (node, _), room in needed.items():
            if not node.fixed:
                node.across = max(node.across, room + 16.0)
        for box, arrows in self.loops.items():
            node, size = self.node[box], LABEL * self.size
            width = max(text_width(self.diagram.arrows[i].label, size) for i in arrows)
            height = len(arrows) * size * LINE
            node.margin += max(height, 16.0) + 4.0 if self.sideways else width + 20.0
            node.along = max(node.along, 2 * (width + 20.0) if self.sideways else height)

    def least_length(self) -> float:
        """How long the picture is at least, along the flow: as the boxes of its longest way."""
        reach = [self.node[i].along for i in range(len(self.diagram.boxes))]
        for i, arrow in enumerate(self.diagram.arrows):
            if i in self.ways and not self.ways[i][-1][1].signal[2]:
                tail, head = self.number[arrow.tail], self.number[arrow.head]
                reach[head] = max(reach[head], reach[tail] + GAP + self.node[head].along)
        return max(reach, default=0.0)

    # -- from the innermost group to the whole picture --

    def arrange(self) -> None:
        """Lay out each group, and then the parts of the picture."""
        for group in reversed(self.inside):
            if group is not None:
                self.arrange_group(group)
        links = [*self.links[None].values()]
        parts = []
        for units in connected([self.node[unit] for unit in self.inside[None]], links):
            members = {*units}
            level = Level(units, [], [link for link in links if link.tail in members])
            level.arrange()
            low, high = level.extent()
            parts.append((level, low, high - low, level.place_along(0.0, 0.0)))
        self.pack(parts)

    def arrange_group(self, group: str) -> None:
        """Lay out the inside of a group, and give its node the size and the ports."""
        ports = self.ports[group]
        nodes = [self.node[unit] for unit in self.inside[group]]
        level = Level(nodes, [*ports.values()], [*self.links[group].values()])
        level.arrange()
        low, high = level.extent()
        low, high = low - FRAME, high + FRAME
        width, height = self.title_size(group)
        if self.sideways:
            low -= height
            length = level.place_along(FRAME * (not ports), FRAME * (not ports), width + 2 * FRAME)
            self.titles[group] = 5.0, FRAME
        else:
            taken = sorted(port.x for port in ports.values() if port.port == "first")
            start, low, high = free_place(width, taken, low, high)
            length = level.place_along(height + FRAME * (not ports), FRAME * (not ports))
            self.titles[group] = start - low, 5.0
        self.corner[group] = low
        node = self.node[group]
        node.across, node.along = high - low, length
        for end, port in ports.items():
            node.ends[end] = port.x - (low + high) / 2

    def title_size(self, group: str) -> Point:
        """The width and height that the title of a group takes up."""
        title = self.title[group]
        return text_width(title, self.size), LINE * self.size + 4.0 if title else 0.0

    def pack(self, parts: list[tuple[Level, float, float, float]]) -> None:
        """Put the parts of the picture beside each other, in rows if there are many."""
        area, widest = 0.0, 0.0
        for _, _, across, along in parts:
            area += (across + MARGIN) * (along + MARGIN)
            widest = max(widest, across)
        while widest * widest < 2 * area and len(parts) > 1:
            widest += 50.0
        x, y, deepest = 0.0, 0.0, 0.0
        for level, low, across, along in parts:
            if x and x + across > widest:
                x, y, deepest = 0.0, y + deepest + 2 * MARGIN, 0.0
            level.move(x - low, y)
            x, deepest = x + across + 2 * MARGIN, max(deepest, along)

    # -- the layout --

    def layout(self) -> Layout:
        """Everything in x and y."""
        self.arrange()
        layout = Layout(0.0, 0.0, "LR" if self.sideways else "TB")
        origin: dict[str | None, Point] = {None: (0.0, 0.0)}
        for level, units in self.inside.items():
            x, y = origin[level]
            for unit in units:
                node = self.node[unit]
                left, top = x + node.x - node.across / 2, y + node.y
                rect = self.rect(left, top, node.across, node.along)
                if isinstance(unit, str):
                    origin[unit] = left - self.corner[unit], top
                    layout.groups[unit] = rect
                    self.add_title(layout, unit, rect)
                else:
                    layout.boxes[self.diagram.boxes[unit].id] = rect
        layout.boxes = {box.id: layout.boxes[box.id] for box in self.diagram.boxes}
        for i in range(len(self.diagram.arrows)):
            self.add_arrow(layout, i, origin)
        self.finish(layout)
        return layout

    def rect(self, across: float, along: float, wide: float, long: float) -> Rect:
        """A rectangle relative to the flow in x and y."""
        if self.sideways:
            return Rect(along, across, long, wide)
        return Rect(across, along, wide, long)

    def add_title(self, layout: Layout, group: str, frame: Rect) -> None:
        """Place the title of a group."""
        if self.title[group]:
            width, height = self.title_size(group)
            across, along = self.titles[group]
            place = self.rect(across, along, 0.0, 0.0)
            layout.titles[group] = Rect(frame.x + place.x, frame.y + place.y, width, height - 4.0)

    def add_arrow(self, layout: Layout, i: int, origin: dict[str | None, Point]) -> None:
        """Put the links of an arrow together, and place its label."""
        label = self.diagram.arrows[i].label
        size = LABEL * self.size
        width, height = text_width(label, size), size * LINE
        if i not in self.ways:
            tail = self.diagram.arrows[i].tail
            loops = self.loops[self.number[tail]]
            start, corners = loop(layout.boxes[tail], loops.index(i), len(loops), self.sideways)
            layout.arrows.append(corners)
            if label:
                top = start[1] + height * loops.index(i)
                top -= 0.0 if self.sideways else height * len(loops) / 2
                layout.labels[i] = Rect(start[0], top, width, height)
            return
        points: list[Point] = []
        for level, link in self.ways[i]:
            x, y = origin[level]
            points += [(x + across, y + along) for across, along in link.route]
        corners = cornered([(y, x) for x, y in points] if self.sideways else points)
        layout.arrows.append(corners)
        if label:
            up = self.ways[i][-1][1].signal[2]
            x, y = corners[-1]
            if self.sideways:
                layout.labels[i] = Rect(
                    x + TIP if up else x - TIP - width, y - height, width, height
                )
            else:
                layout.labels[i] = Rect(x + 5.0, y + 4.0 if up else y - height - 4.0, width, height)

    def finish(self, layout: Layout) -> None:
        """Move everything away from the border, add the legend, and round."""
        rects = [*layout.boxes.values(), *layout.groups.values()]
        texts = [*layout.titles.values(), *layout.labels.values()]
        left = min((rect.x for rect in rects + texts), default=0.0)
        top = min((rect.y for rect in rects + texts), default=0.0)
        for arrow in layout.arrows:
            left = min([left, *(x for x, _ in arrow)])
            top = min([top, *(y for _, y in arrow)])
        right, bottom = MARGIN - left, MARGIN - top
        for rect in rects + texts:
            rect.x, rect.y = round(rect.x + MARGIN - left, 2), round(rect.y + MARGIN - top, 2)
            rect.width, rect.height = round(rect.width, 2), round(rect.height, 2)
            right, bottom = max(right, rect.x + rect.width), max(bottom, rect.y + rect.height)
        for i, arrow in enumerate(layout.arrows):
            moved = [(round(x + MARGIN - left, 2), round(y + MARGIN - top, 2)) for x, y in arrow]
            right = max([right, *(x for x, _ in moved)])
            bottom = max([bottom, *(y for _, y in moved)])
            layout.arrows[i] = moved
        x, y = MARGIN, bottom + MARGIN
        widest = max(right, 420.0)
        for kind, text in self.diagram.legend_entries():
            width = 26.0 + 7.0 + text_width(text, LABEL * self.size)
            if x > MARGIN and x + width > widest:
                x, y = MARGIN, y + 22.0
            layout.legend.append((kind, text, Rect(round(x, 2), round(y, 2), 26.0, 15.0)))
            right, bottom = max(right, x + width), y + 15.0
            x += width + 18.0
        layout.width, layout.height = round(right + MARGIN, 2), round(bottom + MARGIN, 2)


def connected(units: list[Node], links: list[Link]) -> list[list[Node]]:
    """The parts that no arrows connect, in the order of their first units."""
    leader = {unit: unit for unit in units}

    def leading(unit: Node) -> Node:
        while leader[unit] is not unit:
            leader[unit] = leader[leader[unit]]
            unit = leader[unit]
        return unit

    for link in links:
        leader[leading(link.tail)] = leading(link.head)
    parts: dict[Node, list[Node]] = defaultdict(list)
    for unit in units:
        parts[leading(unit)].append(unit)
    return [*parts.values()]


def free_place(
    width: float, taken: list[float], low: float, high: float
) -> tuple[float, float, float]:
    """Where a title fits in between arrows; and the border, moved outward if there is no room."""
    edges = [low + FRAME - 6.0, *taken, high - FRAME + 6.0]
    for one, other in pairwise(edges):
        if other - one >= width + 12.0:
            return one + 6.0, low, high
    to_left = width + 12.0 - (edges[1] - edges[0])
    to_right = width + 12.0 - (edges[-1] - edges[-2])
    if to_left <= to_right:
        return edges[0] - to_left + 6.0, low - to_left, high
    return edges[-2] + 6.0, low, high + to_right


def loop(box: Rect, number: int, count: int, sideways: bool) -> tuple[Point, list[Point]]:
    """One of the arrows from a box to itself; and where labels beside it begin."""
    out = 14.0 - 10.0 * number / count
    if sideways:
        x, y = box.x + box.width / 2, box.y + box.height
        corners = [(x + out, y), (x + out, y + out), (x - out, y + out), (x - out, y)]
        return (x + 17.0, y + 2.0), corners
    x, y = box.x + box.width, box.y + box.height / 2
    half = min(out, 0.8 * y - 0.8 * box.y)
    corners = [(x, y - half), (x + out, y - half), (x + out, y + half), (x, y + half)]
    return (x + 17.0, y), corners


def cornered(points: list[Point]) -> list[Point]:
    """A way without the points that are not corners."""
    kept: list[Point] = []
    for x, y in points:
        if kept and abs(x - kept[-1][0]) < 0.01 and abs(y - kept[-1][1]) < 0.01:
            continue
        while len(kept) > 1:
            (x0, y0), (x1, y1) = kept[-2:]
            if abs((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) > 0.01:
                break
            kept.pop()
        kept.append((x, y))
    return kept


def laid_out(diagram: Diagram) -> Layout:
    """Find a place for everything in a diagram.

    Parameters
    ----------
    diagram : Diagram
        Its direction "auto" means from left to right if that is at most 1,200 pixels wide, else
        from top to bottom.

    Returns
    -------
    Layout
        No two boxes overlap, no arrow crosses a box, and every group's frame holds its boxes and
        no others.

    Examples
    --------
    >>> from autograd_mini.draw.diagram import Arrow, Box, Diagram
    >>> boxes = [Box(f"n{i}", "op", ["add"], "", "", None, None) for i in range(2)]
    >>> diagram = Diagram(boxes, [Arrow("n0", "n1", "")], [], "LR", "light", False)
    >>> layout = laid_out(diagram)
    >>> layout.boxes["n0"].x < layout.boxes["n1"].x, layout.boxes["n0"].y == layout.boxes["n1"].y
    (True, True)
    """
    if diagram.direction != "auto":
        return Plan(diagram, diagram.direction).layout()
    plan = Plan(diagram, "LR")
    if plan.least_length() <= WIDEST:
        layout = plan.layout()
        if layout.width <= WIDEST:
            return layout
    return Plan(diagram, "TB").layout()
