"""Where the boxes, arrows and frames of a diagram go: a layered layout in plain Python.

Every group is laid out by itself, the innermost first; in the group around it, it is one large box
with ports in its border through which arrows come and go.  So the boxes of a group stay together,
and no arrow runs through a group that it has no business in.

One level, a group's inside, is laid out in the way of Sugiyama, Tagawa and Toda (1981):

1. Each unit gets a rank, one below the units that lead to it; a leaf comes next to its consumer.
2. An arrow over several ranks gets a bend in each of them; arrows of one value share their bends.
3. The order within the ranks is improved by sweeps down and up: each node moves to the mean
   position of its neighbours, then adjacent nodes are exchanged as long as arrows cross less.
4. Coordinates across the flow: each rank in turn comes as close as possible, in the sense of least
   squares, to where its neighbours would have it; then arrows are made straight where possible.
5. Coordinates along the flow, and the routes.  An arrow goes straight through a rank and bends
   between two ranks only, where no box is: so it cannot cross one.

Inside, *across* and *along* are relative to the flow; only at the end they become x and y.  The
same diagram gives the same numbers on every machine: no sum here depends on the order of a set,
and only basic operations are used, which are exactly rounded everywhere.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .themes import THEMES, text_width

if TYPE_CHECKING:
    from .diagram import Diagram

    Signal = tuple[int, int, bool]  # the tail, which of several arrows to one head, if it goes up
    End = tuple[str, Signal]  # where an arrow leaves ("out") or enters ("in") a unit
    Point = tuple[float, float]

LINE = 1.25  # height of a line of text, in font sizes
LABEL = 0.85  # size of texts beside arrows, in font sizes
PADDING = (10.0, 6.0)  # between the border of a box and its text
MARGIN = 18.0  # around the picture, and between its parts
FRAME = 12.0  # between the border of a group and its boxes
APART = 11.0  # half the least distance of two boxes
LINES_APART = 6.0  # half the least distance of two arrows
GAP = 18.0  # between two ranks
TIP = 10.0  # length of an arrow's tip, with a little straight line before it
NEARLY = 3.5  # a bend to the side that would look like a mistake
MAIN = 1000  # how much more the arrows of the longest way count than others
MANY = 20_000  # bends
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


NOWHERE: dict[Any, float] = {}  # the ends at a bend

# ---- one level ----------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Node:
    """What has a place in a rank: a box, a group, a port of the group around, or a bend."""

    across: float = 0.0  # its size
    along: float = 0.0
    margin: float = LINES_APART
    port: str = ""  # "first" or "last" if it is a port in that border of the group around
    bend: bool = False
    fixed: bool = False  # whether the places of its ends are known: those of a group's ports are
    ends: dict[End, float] = field(default_factory=dict)  # their distances from its middle
    rank: int = 0
    depth: float = 0.0  # the length of the longest way to it; a port counts more than a leaf
    x: float = 0.0  # its middle, across
    y: float = 0.0  # where it begins, along

    def end(self, end: End | None) -> float:
        """Where an arrow leaves or enters, relative to the middle."""
        return self.ends.get(end, 0.0) if end else 0.0


@dataclass(eq=False, slots=True)
class Link:
    """The part of arrows that lies in one level."""

    tail: Node
    head: Node
    signal: Signal
    label: Point = (0.0, 0.0)  # the size, across and along, of a label at its head
    path: list[Node] = field(default_factory=list)  # from the lower to the higher rank
    route: list[Point] = field(default_factory=list)

    @property
    def ends(self) -> tuple[End, End]:
        """The ends at the lower and at the higher rank."""
        out, into = ("out", self.signal), ("in", self.signal)
        return (into, out) if self.signal[2] else (out, into)

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Those of the lower and of the higher rank."""
        return (self.head, self.tail) if self.signal[2] else (self.tail, self.head)


class Level:
    """The inside of a group, or the whole picture."""

    def __init__(self, units: list[Node], ports: list[Node], links: list[Link]) -> None:
        self.units = units  # those that others lead to come after them
        self.ports = ports
        self.links = links
        self.segments: list[
            tuple[Node, End | None, Node, End | None, int]
        ] = []  # from rank to rank; weights
        self.shares: list[tuple[Node, float, Node, float]] = []  # where they end in the order
        self.ranks: list[list[Node]] = []
        self.above: dict[Node, list[tuple[Node, float, int]]] = {}
        self.below: dict[Node, list[tuple[Node, float, int]]] = {}

    def arrange(self) -> None:
        """Do all but the coordinates along the flow."""
        self.rank()
        self.bend()
        self.order()
        self.spread_ends()
        self.place_across()

    def extent(self) -> Point:
        """From where to where it reaches, across."""
        nodes = [node for rank in self.ranks for node in rank]
        widths = [node.across / 2 + max(node.margin - APART, 0.0) for node in nodes]
        low = min(node.x - width for node, width in zip(nodes, widths, strict=True))
        return low, max(node.x + width for node, width in zip(nodes, widths, strict=True))

    def move(self, across: float, along: float) -> None:
        """Move everything."""
        for rank in self.ranks:
            for node in rank:
                node.x, node.y = node.x + across, node.y + along
        for link in self.links:
            link.route = [(x + across, y + along) for x, y in link.route]

    # -- 1. ranks --

    def rank(self) -> None:
        """Give each unit a rank: after its predecessors, as near to its successors as is good."""
        before: dict[Node, dict[Node, None]] = {unit: {} for unit in self.units}
        after: dict[Node, dict[Node, None]] = {unit: {} for unit in self.units}
        fed = set()
        for link in self.links:
            first, last = link.nodes
            if not first.port and not last.port:
                before[last][first] = after[first][last] = None
            elif first.port:
                fed.add(last)
        start = int(bool(self.ports))
        held: dict[Node, int] = {}  # how many arrows would become longer if a unit moved on
        for unit in self.units:
            unit.rank = max((other.rank + 1 for other in before[unit]), default=start)
            unit.depth = float(unit.rank)
            held[unit] = unit in fed
            for other in before[unit]:
                follows = not held[other] and (not before[other] or len(after[other]) == 1)
                held[unit] += not follows
        for unit in reversed(self.units):
            if len(after[unit]) > held[unit]:
                unit.rank = min(other.rank for other in after[unit]) - 1
        last_rank = max((unit.rank for unit in self.units), default=0)
        for port in self.ports:
            port.rank = 0 if port.port == "first" else last_rank + 1
            port.depth = 1.5
        self.ranks = [[] for _ in range(last_rank + 1 + start)]

    # -- 2. bends --

    def bend(self) -> None:
        """Lead links over several ranks through a bend in each of them."""
        bends: dict[tuple[Any, int], Node] = {}
        weights: dict[tuple[Node, End | None, Node, End | None], int] = {}
        deepest: dict[Node, float] = defaultdict(float)
        for link in self.links:
            first, last = link.nodes
            deepest[last] = max(deepest[last], first.depth)
        for link, shared in zip(self.links, self.shared(), strict=True):
            first, last = link.nodes
            out, into = link.ends
            link.path = [first]
            for rank in range(first.rank + 1, last.rank):
                if (shared, rank) not in bends:
                    bends[shared, rank] = Node(bend=True, ends=NOWHERE, rank=rank)
                link.path.append(bends[shared, rank])
            link.path.append(last)
            main = first.depth == deepest[last]
            for upper, lower in pairwise(link.path):
                way = upper, out if upper is first else None, lower, into if lower is last else None
                bent = upper.bend + lower.bend
                weight = (1, 2, 8)[bent] * (MAIN if main or bent == 2 else 1)
                weights[way] = max(weights.get(way, 0), weight)
        self.segments = [(*way, weight) for way, weight in weights.items()]
        for node in (*self.units, *self.ports, *bends.values()):
            self.ranks[node.rank].append(node)

    def shared(self) -> list[Any]:
        """For each link, with which others it shares its bends: with those of the same value.

        Where that would be too many bends to be seen or computed, as when a thousand values are
        stacked, links to one head share theirs if there are more of them.
        """
        longest: dict[Any, int] = defaultdict(int)
        of_tail: dict[Any, int] = defaultdict(int)
        of_head: dict[Any, int] = defaultdict(int)
        for link in self.links:
            source = link.signal, link.tail
            bends = abs(link.head.rank - link.tail.rank) - 1
            longest[source] = max(longest[source], bends)
            of_tail[source] += bends > 0
            of_head[link.head] += bends > 0
        crowded = sum(longest.values()) > MANY
        return [
            link.head
            if crowded and of_head[link.head] > of_tail[link.signal, link.tail]
            else (link.signal, link.tail)
            for link in self.links
        ]

    def join(self, across: bool) -> None:
        """Note the neighbours of each node, with the distance that makes the arrow straight.

        The distances are coordinates if ``across``, else shares of a place in the order.
        """
        nodes = [node for rank in self.ranks for node in rank]
        self.above = {node: [] for node in nodes}
        self.below = {node: [] for node in nodes}
        self.shares.clear()
        for upper, out, lower, into, weight in self.segments:
            start, stop = upper.end(out), lower.end(into)
            if not across:
                start, stop = start / (upper.across or 1.0), stop / (lower.across or 1.0)
                self.shares.append((upper, start, lower, stop))
            self.above[lower].append((upper, start - stop, weight))
            self.below[upper].append((lower, stop - start, weight))

    # -- 3. order --

    def order(self) -> None:
        """Find an order within the ranks with few crossings."""
        self.join(across=False)
        place = self.discovered()
        for rank in self.ranks:
            rank.sort(key=place.__getitem__)
        size = len(place) + len(self.segments)
        best, fewest = [rank[:] for rank in self.ranks], self.crossings()
        sweeps = max(2, min(24, 60_000 // size))
        for sweep in range(sweeps):
            if not fewest:
                break
            self.sort_by_neighbours(downward=sweep % 2 == 0)
            if size < 2_000:
                self.exchange()
            crossings = self.crossings()
            if crossings < fewest:
                best, fewest = [rank[:] for rank in self.ranks], crossings
        self.ranks = best

    def discovered(self) -> dict[Node, int]:
        """A first order: backward from what leads nowhere, the first operand first."""
        place: dict[Node, int] = {}
        for sink in (node for rank in reversed(self.ranks) for node in rank):
            if self.below[sink]:
                continue
            stack = [sink]
            while stack:
                node = stack.pop()
                if node not in place:
                    place[node] = len(place)
                    stack += [other for other, _, _ in reversed(self.above[node])]
        return place

    def sort_by_neighbours(self, downward: bool) -> None:
        """Move each node to the mean place of its neighbours in the rank before."""
        neighbours = self.above if downward else self.below
        for rank in self.ranks if downward else reversed(self.ranks):
            place = {}
            for i, node in enumerate(rank):
                around = neighbours[node]
                total = 0.0
                for other, shift, _ in around:
                    total += other.x + shift
                place[node] = total / len(around) if around else float(i)
            rank.sort(key=place.__getitem__)
            for i, node in enumerate(rank):
                node.x = float(i)

    def crossings(self) -> int:
        """How many pairs of arrows cross; ``x`` becomes the place in the order."""
        for rank in self.ranks:
            for i, node in enumerate(rank):
                node.x = float(i)
        ways: list[list[Point]] = [[] for _ in self.ranks]
        for upper, start, lower, stop in self.shares:
            ways[upper.rank].append((upper.x + start, lower.x + stop))
        crossings = 0
        for between in ways:
            between.sort()
            passed: list[float] = []
            for _, target in between:
                crossings += len(passed) - bisect_right(passed, target)
                insort(passed, target)
        return crossings

    def exchange(self) -> None:
        """Exchange adjacent nodes while arrows cross less."""
        for rank in self.ranks:
            improved = True
            while improved:
                improved = False
                for i in range(len(rank) - 1):
                    left, right = rank[i], rank[i + 1]
                    if self.crossed(left, right) > self.crossed(right, left):
                        rank[i], rank[i + 1] = right, left
                        left.x, right.x = right.x, left.x
                        improved = True

    def crossed(self, left: Node, right: Node) -> int:
        """How many arrows of two adjacent nodes cross in this order."""
        count = 0
        for neighbours in (self.above, self.below):
            for one, shift, _ in neighbours[left]:
                place = one.x + shift
                for other, further, _ in neighbours[right]:
                    count += place > other.x + further
        return count

    # -- 4. coordinates across the flow --

    def spread_ends(self) -> None:
        """Divide the two sides of each box among the arrows that end there."""
        room: dict[tuple[Node, End], float] = {}
        for link in self.links:
            room[link.head, ("in", link.signal)] = link.label[0]
        sides: dict[tuple[Node, bool], dict[End, tuple[float, int]]] = defaultdict(dict)
        main: dict[tuple[Node, bool], set[End]] = defaultdict(set)
        for number, (upper, out, lower, into, weight) in enumerate(self.segments):
            if out and not upper.fixed:
                place = lower.x + lower.end(into) / (lower.across or 1.0)
                sides[upper, True].setdefault(out, (place, number))
                if weight >= MAIN:
                    main[upper, True].add(out)
            if into and not lower.fixed:
                place = upper.x + upper.end(out) / (upper.across or 1.0)
                sides[lower, False].setdefault(into, (place, number))
                if weight >= MAIN:
                    main[lower, False].add(into)
        for (node, side), places in sides.items():
            ends = sorted(places, key=places.__getitem__)
            widths = [room.get((node, end), 0.0) for end in ends]
            needed = 0.0
            for width in widths:
                needed += width
            free = max(node.across - 16.0 - needed, 0.0)
            step = min(free / len(ends), 30.0)
            position = -(needed + step * len(ends)) / 2
            for end, width in zip(ends, widths, strict=True):
                node.ends[end] = position + step / 2
                position += step + width
            if len(main[node, side]) == 1:  # the middle is for it, so that it runs straight
                [middle] = main[node, side]
                spare = node.across / 2 - 8.0
                shift = node.ends[middle]
                shift = min(shift, node.ends[ends[0]] + spare)
                shift = max(shift, node.ends[ends[-1]] + widths[-1] - spare)
                for end in ends:
                    node.ends[end] -= shift

    def place_across(self) -> None:
        """Give each node a coordinate across the flow."""
        self.join(across=True)
        for rank in self.ranks:
            position = 0.0
            for node in rank:
                position += node.margin + node.across / 2
                node.x = position
                position += node.margin + node.across / 2
            for node in rank:
                node.x -= position / 2
        for around in (self.above, self.below):
            for node, ways in around.items():
                if len(ways) > 1 and any(weight >= MAIN for _, _, weight in ways):
                    around[node] = [way for way in ways if way[2] >= MAIN]
        size = len(self.above)
        for _ in range(max(2, min(12, 12_000 // (size + 1)))):
            for rank in self.ranks:
                approach(rank, self.above)
            for rank in reversed(self.ranks):
                approach(rank, self.below)
        for rank in self.ranks:
            approach(rank, self.above, self.below)
        self.straighten()
        self.move_ends()

    def straighten(self) -> None:
        """Put chains of nodes on one line wherever there is room."""
        place = {node: i for rank in self.ranks for i, node in enumerate(rank)}

        def room(node: Node) -> tuple[float, float]:
            rank, i = self.ranks[node.rank], place[node]
            low, high = -1e9, 1e9
            if i > 0:
                low = rank[i - 1].x + distance(rank[i - 1], node)
            if i + 1 < len(rank):
                high = rank[i + 1].x - distance(node, rank[i + 1])
            return low, high

        chains = self.chains()
        for chain in (*chains, *chains):  # a second time, since there may be more room now
            while len(chain) > 1:
                low, high, offset = -1e9, 1e9, 0.0
                fitting: list[tuple[Node, float]] = []
                weighted = 0.0
                for node, step in chain:
                    offset += step if fitting else 0.0
                    least, most = room(node)
                    if max(low, least - offset) > min(high, most - offset):
                        break
                    low, high = max(low, least - offset), min(high, most - offset)
                    fitting.append((node, offset))
                    weighted += node.x - offset
                if fitting:
                    base = min(max(weighted / len(fitting), low), high)
                    for node, shift in fitting:
                        node.x = base + shift
                chain = chain[max(len(fitting), 1) :]

    def chains(self) -> list[list[tuple[Node, float]]]:
        """Paths along the most important arrow of each node, those with most bends first."""

        def main(around: list[tuple[Node, float, int]]) -> tuple[Node, float, int] | None:
            if len(around) == 1:
                return around[0]
            heaviest = max((weight for _, _, weight in around), default=0)
            chosen = [way for way in around if way[2] == heaviest]
            return chosen[0] if len(chosen) == 1 else None

        following: dict[Node, tuple[Node, float]] = {}
        led = set()
        for node in self.above:
            way = main(self.below[node])
            back = main(self.above[way[0]]) if way else None
            if way and back and back[0] is node:
                following[node] = way[0], way[1]
                led.add(way[0])
        chains = []
        for node in self.above:
            if node in following and node not in led:
                chain = [(node, 0.0)]
                while chain[-1][0] in following:
                    further, shift = following[chain[-1][0]]
                    chain.append((further, -shift))
                chains.append(chain)
        return sorted(chains, key=lambda chain: -len(chain))

    def move_ends(self) -> None:
        """Move the ends of arrows that are all but straight a little along the sides of boxes."""
        used: dict[tuple[Node, End], int] = defaultdict(int)
        for upper, out, lower, into, _ in self.segments:
            for node, end in ((upper, out), (lower, into)):
                if end is not None:
                    used[node, end] += 1
        for upper, out, lower, into, _ in self.segments:
            aside = upper.x + upper.end(out) - lower.x - lower.end(into)
            if 0.0 < abs(aside) < NEARLY:
                if into and not lower.fixed:
                    lower.ends[into] += aside
                elif out and not upper.fixed and used[upper, out] == 1:
                    upper.ends[out] -= aside

    # -- 5. coordinates along the flow --

    def place_along(self, first: float, last: float, least: float = 0.0) -> float:
        """Give each rank, and so each node, a coordinate along the flow.

        Parameters
        ----------
        first, last : float
            What is kept free at both ends.
        least : float
            How long the level is at least.

        Returns
        -------
        float
            Where the level ends.
        """
        leading, trailing = [0.0] * len(self.ranks), [0.0] * len(self.ranks)  # room for labels
        for link in self.links:
            if not link.head.port:
                room = trailing if link.signal[2] else leading
                room[link.head.rank] = max(room[link.head.rank], TIP, link.label[1])
        slant = [-1.0] * len(self.ranks)  # how far the arrows into a rank go sideways
        for upper, out, lower, into, _ in self.segments:
            sideways = abs(upper.x + upper.end(out) - lower.x - lower.end(into))
            slant[lower.rank] = max(slant[lower.rank], sideways)
        starts, stops = [], []
        position = first
        for number, rank in enumerate(self.ranks):
            inner = bool(self.ports) and number in (0, len(self.ranks) - 1)
            if number and slant[number] >= 0:
                position += (9.0 if inner else GAP) + min(0.1 * slant[number], 50.0)
            elif number:
                position += FRAME
            position += leading[number]
            starts.append(position - leading[number])
            thick = 0.0
            for node in rank:
                thick = max(thick, node.along)
            for node in rank:
                spare = thick - node.along
                if not self.above[node]:
                    node.y = position + spare
                else:
                    node.y = position + (spare / 2 if self.below[node] else 0.0)
            position += thick + trailing[number]
            stops.append(position)
        position = max(position + last, least)
        for port in self.ports:
            port.y = 0.0 if port.port == "first" else position
        for link in self.links:
            (out, into), path = link.ends, link.path
            x, stop = path[0].x + path[0].end(out), stops[path[0].rank]
            route = [(x, path[0].y + path[0].along)]
            for node in path[1:-1]:
                if node.x != x:
                    route += [(x, stop), (node.x, starts[node.rank])]
                x, stop = node.x, stops[node.rank]
            target = path[-1].x + path[-1].end(into)
            route += [(x, stop), (target, starts[path[-1].rank]), (target, path[-1].y)]
            link.route = route[::-1] if link.signal[2] else route
        return position


def distance(left: Node, right: Node) -> float:
    """The least distance of the middles of two neighbours."""
    return left.across / 2 + left.margin + right.margin + right.across / 2


def approach(rank: list[Node], *around: dict[Node, list[tuple[Node, float, int]]]) -> None:
    """Move the nodes of a rank as near as possible to where their neighbours would have them.

    The sum of the weighted squares of the distances becomes least, with the order and the least
    distances kept: isotonic regression, by merging adjacent blocks that are in each other's way.
    """
    blocks: list[tuple[float, float, int]] = []  # weight, weighted position, number of nodes
    shifts: list[float] = []
    shift = 0.0
    for i, node in enumerate(rank):
        if i:
            shift += distance(rank[i - 1], node)
        shifts.append(shift)
        weight, total = 0.0, 0.0
        for neighbours in around:
            for other, step, heavy in neighbours[node]:
                weight += heavy
                total += heavy * (other.x + step)
        if not weight:
            weight, total = 0.05, 0.05 * node.x
        total -= weight * shift
        count = 1
        while blocks and blocks[-1][1] * weight >= total * blocks[-1][0]:
            more, position, nodes = blocks.pop()
            weight, total, count = weight + more, total + position, count + nodes
        blocks.append((weight, total, count))
    i = 0
    for weight, total, count in blocks:
        for _ in range(count):
            rank[i].x = total / weight + shifts[i]
            i += 1


# ---- a diagram as levels ------------------------------------------------------------------------


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
    for direction in ("LR", "TB") if diagram.direction == "auto" else (diagram.direction,):
        plan = Plan(diagram, direction)
        plan.measure()
        plan.connect()
        plan.arrange()
        layout = plan.layout()
        if layout.width <= WIDEST:
            break
    return layout
