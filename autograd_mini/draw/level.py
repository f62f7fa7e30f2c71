"""One level of a layout: units in ranks, in the way of Sugiyama, Tagawa and Toda (1981).

1. Each unit gets a rank, one below the units that lead to it; a leaf comes next to its consumer.
2. An arrow over several ranks gets a bend in each of them; arrows of one value share their bends.
   Where that would be too many, all these arrows go around the boxes instead.
3. The order within the ranks is improved by sweeps down and up: each node moves to the mean
   position of its neighbours.
4. Coordinates across the flow: each rank in turn comes as close as possible, in the sense of least
   squares, to where its neighbours would have it; then arrows are made straight where possible.
5. Coordinates along the flow, and the routes.  An arrow goes straight through a rank and bends
   between two ranks only, where no box is: so it cannot cross one.

*Across* and *along* are relative to the flow.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any

Signal = tuple[int, int, bool]  # the tail, which of several arrows to one head, if it goes up
End = tuple[str, Signal]  # where an arrow leaves ("out") or enters ("in") a unit
Point = tuple[float, float]
Segment = tuple["Node", End | None, "Node", End | None, int]  # from rank to rank; its weight

FRAME = 12.0  # between the border of a group and its boxes
APART = 11.0  # half the least distance of two boxes
LINES_APART = 6.0  # half the least distance of two arrows
GAP = 18.0  # between two ranks
TIP = 10.0  # length of an arrow's tip, with a little straight line before it
NEARLY = 3.5  # a bend to the side that would look like a mistake
MAIN = 1000  # how much more the arrows of the longest way count than others
MANY = 6_000  # bends, or
MANY_PER_UNIT = 3
NOWHERE: dict[Any, float] = {}  # the ends at a bend


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
    height: float = 0.0  # the length of the longest way from it
    x: float = 0.0  # its middle, across
    y: float = 0.0  # where it begins, along

    def end(self, end: End | None) -> float:
        """Where an arrow leaves or enters, relative to the middle."""
        return self.ends.get(end, 0.0) if end else 0.0


@dataclass(eq=False, slots=True)
class Run:
    """The way of arrows through the ranks between their ends, shared by those of one value."""

    low: int  # the first of these ranks
    high: int
    bends: dict[int, Node] = field(default_factory=dict)  # by rank
    turns: list[tuple[int, float]] = field(default_factory=list)  # from which rank on it is where

    @property
    def length(self) -> int:
        """How many ranks it leads through."""
        return self.high - self.low + 1

    def bend(self, rank: int) -> Node:
        """Its bend in a rank."""
        if rank not in self.bends:
            self.bends[rank] = Node(bend=True, ends=NOWHERE, rank=rank)
        return self.bends[rank]

    def find_turns(self) -> None:
        """Note where it goes to the side: it is straight in between."""
        for rank in sorted(self.bends):
            if not self.turns or self.turns[-1][1] != self.bends[rank].x:
                self.turns.append((rank, self.bends[rank].x))

    def between(self, low: int, high: int) -> list[tuple[int, float]]:
        """Its turns from one rank to another."""
        start = bisect_right(self.turns, (low, inf)) - 1
        stop = bisect_right(self.turns, (high, inf))
        return [(low, self.turns[start][1]), *self.turns[start + 1 : stop]]


@dataclass(eq=False, slots=True)
class Link:
    """The part of arrows that lies in one level."""

    tail: Node
    head: Node
    signal: Signal
    label: Point = (0.0, 0.0)  # the size, across and along, of a label at its head
    run: Run | None = None  # if there are ranks in between
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
        self.runs: list[Run] = []
        self.crowded = False  # whether the runs are lanes around the boxes
        self.segments: list[Segment] = []
        self.detours: list[Segment] = []  # from boxes to lanes, and back
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
        self.place_lanes()

    def extent(self) -> Point:
        """From where to where it reaches, across."""
        nodes = [node for rank in self.ranks for node in rank]
        nodes += [bend for run in self.runs for bend in run.bends.values()]
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
            unit.height = max((other.height + 1.0 for other in after[unit]), default=0.0)
            if len(after[unit]) > held[unit]:
                unit.rank = min(other.rank for other in after[unit]) - 1
        last_rank = max((unit.rank for unit in self.units), default=0)
        for port in self.ports:
            port.rank = 0 if port.port == "first" else last_rank + 1
            port.depth = port.height = 1.5
        self.ranks = [[] for _ in range(last_rank + 1 + start)]

    # -- 2. bends --

    def bend(self) -> None:
        """Lead links over several ranks through a bend in each of them, or around the boxes."""
        self.find_runs()
        weights: dict[Any, int] = {}
        for link, weight in zip(self.links, self.weigh(), strict=True):
            (first, last), (out, into), run = link.nodes, link.ends, link.run
            if run is None:
                weights[first, out, last, into] = weight
                continue
            for way in (
                (first, out, run.bend(first.rank + 1), None),
                (run.bend(last.rank - 1), None, last, into),
            ):
                weights[way] = max(weights.get(way, 0), 2 * weight)
        for way, weight in weights.items():
            detour = self.crowded and (way[0].bend or way[2].bend)
            (self.detours if detour else self.segments).append((*way, weight))
        for node in (*self.units, *self.ports):
            self.ranks[node.rank].append(node)
        for run in () if self.crowded else self.runs:
            for bend in run.bends.values():
                self.ranks[bend.rank].append(bend)
            for upper, lower in pairwise(run.bends.values()):
                self.segments.append((upper, None, lower, None, 8 * MAIN))

    def find_runs(self) -> None:
        """Let the links of one value share a run, with a bend in each rank if that is not much.

        Where hundreds of values are used hundreds of ranks later, as in the derivative of a
        recurrent network, there would be too many bends to be computed or seen.
        """
        runs: dict[tuple[Node, Signal], Run] = {}
        for link in self.links:
            first, last = link.nodes
            low, high = first.rank + 1, last.rank - 1
            if low <= high:
                link.run = run = runs.setdefault((link.tail, link.signal), Run(low, high))
                run.low, run.high = min(run.low, low), max(run.high, high)
        self.runs = [*runs.values()]
        self.crowded = sum(run.length for run in self.runs) > max(
            MANY, MANY_PER_UNIT * len(self.units)
        )
        for run in () if self.crowded else self.runs:
            for rank in range(run.low, run.high + 1):
                run.bend(rank)

    def weigh(self) -> list[int]:
        """The weight of each link: a great one if it is on the longest way to its head.

        Without bends to hold the boxes in their places, only the longest way on counts, too.
        """
        deepest: dict[Node, float] = defaultdict(float)
        highest: dict[Node, float] = defaultdict(float)
        for link in self.links:
            first, last = link.nodes
            deepest[last] = max(deepest[last], first.depth)
            highest[first] = max(highest[first], last.height)
        weights = []
        for link in self.links:
            first, last = link.nodes
            main = first.depth == deepest[last]
            if self.crowded:
                main = main and last.height == highest[first]
            weights.append(MAIN if main else 1)
        return weights

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

    # -- 4. coordinates across the flow --

    def spread_ends(self) -> None:
        """Divide the two sides of each box among the arrows that end there."""
        room: dict[tuple[Node, End], float] = {}
        for link in self.links:
            room[link.head, ("in", link.signal)] = link.label[0]
        sides: dict[tuple[Node, bool], dict[End, tuple[float, int]]] = defaultdict(dict)
        main: dict[tuple[Node, bool], set[End]] = defaultdict(set)
        for number, (upper, out, lower, into, weight) in enumerate(self.segments + self.detours):
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

    def place_lanes(self) -> None:
        """If it is crowded, lead each run past everything in its ranks, the shortest first."""
        if not self.crowded:
            return
        edges = [
            max((node.x + node.across / 2 + node.margin for node in rank), default=0.0)
            for rank in self.ranks
        ]
        for run in sorted(self.runs, key=lambda run: run.length):
            ranks = slice(run.low, run.high + 1)
            x = max(edges[ranks]) + LINES_APART
            edges[ranks] = [x + LINES_APART] * run.length
            for bend in run.bends.values():
                bend.x = x

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
        for upper, out, lower, into, _ in self.segments + self.detours:
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
        for run in self.runs:
            run.find_turns()
        for link in self.links:
            link.route = self.route(link, starts, stops)
        return position

    def route(self, link: Link, starts: list[float], stops: list[float]) -> list[Point]:
        """The way of a link around the ranks, which begin and end somewhere along the flow."""
        (first, last), (out, into), run = link.nodes, link.ends, link.run
        x = first.x + first.end(out)
        route = [(x, first.y + first.along)]
        turns = run.between(first.rank + 1, last.rank - 1) if run else []
        for rank, place in (*turns, (last.rank, last.x + last.end(into))):
            if place != x:
                route += [(x, stops[rank - 1]), (place, starts[rank])]
                x = place
        route.append((x, last.y))
        return route[::-1] if link.signal[2] else route


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
