"""A run as plain data for the step-through page: what was computed, from what, and in which order.

All numbers are those of the run, in full.  Nothing is computed again except to find out which
entries made which, and the local derivatives.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..check.compare import Comparison
from ..draw.diagram import Box, Group, diagram
from ..draw.layout import laid_out
from ..formulas import Symbol, definition_of, gradient_value, named, share_of, write
from ..text import clean
from ..trace import Call, Pull, Scope, Trace, Value
from ..trace.replay import Array, Replay
from .arrays import Data, array_data, places_shown
from .by_hand import compared_with, manual_data
from .entries import reads_of_call, reads_of_share
from .forms import OTHER, Read, Reads

SCHEMA = 1
MOST_NODES = 2000
BEFORE, AFTER = "\ue000", "\ue001"  # a reference in the text of a formula
JUXTAPOSED = re.compile(r"^(\^T|\^-?[\d.]+|\))* (?=\(*$)")  # factors that stand side by side
Formula = list[str | Data]  # pieces of text, and references to arrays


def record(
    run: Trace,
    manual: Mapping[Any, Any] | Comparison | None = None,
    wrt: Iterable[Any] | None = None,
    most: int = 1000,
) -> Data:
    """A run, as data that `json.dumps` can write: schema 1 of the step-through page.

    Parameters
    ----------
    run, manual, wrt, most
        As for `explore`.

    Returns
    -------
    dict

    Raises
    ------
    KeyError, TypeError, ValueError
        As `explore` does.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
    >>> found = record(ag.trace(lambda: (w - 1.0) ** 2))
    >>> [node["name"] for node in found["nodes"]]
    ['w', 'u1', 'cost']
    >>> [found["nodes"][step["node"]]["gradient"]["data"] for step in found["steps"][-3:]]
    [[1.0], [4.0], [4.0]]
    """
    cost, _ = run.differentiated(wrt)
    values = leading_to(run, cost)
    if len(values) > MOST_NODES:
        raise ValueError(
            f"this run has {len(values)} quantities on the way to its cost, and a page shows at "
            f"most {MOST_NODES}: record a smaller run, such as one example or one step"
        )
    lost = sum(not value.kept for value in values)
    if lost:
        raise ValueError(
            f"{lost} of {len(values)} values on the way to the cost are unknown, for the graph did "
            f"not keep them: record the run with `with ag.trace() as run:`"
        )
    known = [value for value in values if value.gradient]
    comparison = compared_with(run, cost, values, manual)
    if comparison and any(value.gradient is None for value in known):
        run.differentiate(cost, [*known, *(line.value for line in comparison.lines)])
    with np.errstate(all="ignore"):
        return Page(run, cost, values, most).data(comparison)


def leading_to(run: Trace, cost: Value) -> list[Value]:
    """The values that the cost was computed from and itself, each after those that made it.

    What it was computed from may be a gradient, and then a part of an earlier backward pass.
    """
    found: dict[Value, None] = {}
    for call in run.calls_behind([cost]):
        found.update(dict.fromkeys([*call.arrays, call.output]))
    return list(found) or [cost]


def shares_of(run: Trace, cost: Value, values: Iterable[Value]) -> dict[Value, list[Pull]]:
    """The shares of the gradients, in the order in which these were complete."""
    turn = {pull: i for i, pull in enumerate(run.pulls)}
    found = {value: value.shares for value in values if value.shares and value is not cost}
    done = sorted(found, key=lambda value: max(turn[share] for share in found[value]))
    return {cost: [], **{value: found[value] for value in done}}


# ---- the page's data ----------------------------------------------------------------------------


class Page:
    """A run on its way to becoming data.

    Parameters
    ----------
    run : Trace
    cost : Value
    values : list of Value
        What is shown: the cost and what it was computed from, in order.
    most : int
        How many elements of an array are shown.
    """

    def __init__(self, run: Trace, cost: Value, values: list[Value], most: int) -> None:
        self.run = run
        self.cost = cost
        self.values = values
        self.most = most
        self.ids = {value: number for number, value in enumerate(values)}
        self.shares = shares_of(run, cost, values)
        self.names = names_of(values, cost)
        self.calls = [value.call for value in values if value.call]
        self.groups = groups_of(self.calls)
        self._references: list[Data] = []
        self._symbols = {value: self._named(value, "value", value.array) for value in values}

    def data(self, comparison: Comparison | None) -> Data:
        """All of it."""
        graph, kinds = self._graph()
        return {
            "schema": SCHEMA,
            "version": version(),
            "title": self.names[self.cost],
            "cost": self.ids[self.cost],
            "graph": graph,
            "nodes": [self._node(value, kinds) for value in self.values],
            "steps": [
                *(self._forward_step(call) for call in self.calls),
                *(self._backward_step(value) for value in self.shares),
            ],
            "manual": None if comparison is None else self._manual(comparison),
        }

    def _manual(self, comparison: Comparison) -> Data:
        ids = {value: self.ids[value] for value in self.shares}
        return manual_data(comparison, Replay(self.run, self.cost), ids, self.most)

    def _array(self, array: Array) -> Data:
        return array_data(array, self.most)

    def _reference(self, value: Value, of: str = "value") -> Data:
        return {"node": self.ids[value], "of": of}

    # -- the graph --

    def _graph(self) -> tuple[Data, dict[Value, str]]:
        """The picture, and the kinds of values by it."""
        whole = diagram(
            self.run,
            values="none",
            gradients=False,
            fold=False,
            legend=False,
            phase="both" if any(call.phase == "backward" for call in self.calls) else "forward",
            max_nodes=None,
        )
        boxes = [box for box in whole.boxes if box.value in self.ids]
        shown = {box.id: self.ids[box.value] for box in boxes if box.value is not None}
        arrows = [
            replace(arrow, label="")
            for arrow in whole.arrows
            if arrow.tail in shown and arrow.head in shown
        ]
        picture = replace(whole, boxes=boxes, arrows=arrows, groups=frames(boxes, whole.groups))
        layout = laid_out(picture)
        labels = {group.id: group.label for group in picture.groups}
        graph = {
            "width": rounded(layout.width),
            "height": rounded(layout.height),
            "boxes": [
                {
                    "node": shown[box.id],
                    **rectangle(layout.boxes[box.id]),
                    "kind": box.kind,
                    "lines": box.lines,
                }
                for box in boxes
            ],
            "arrows": [
                {
                    "from": shown[arrow.tail],
                    "to": shown[arrow.head],
                    "points": [[rounded(x), rounded(y)] for x, y in points],
                }
                for arrow, points in zip(arrows, layout.arrows, strict=True)
            ],
            "groups": [
                {"label": labels[name], **rectangle(box)} for name, box in layout.groups.items()
            ],
        }
        return graph, {box.value: box.kind for box in boxes if box.value is not None}

    # -- nodes --

    def _node(self, value: Value, kinds: Mapping[Value, str]) -> Data:
        call = value.call
        source = call.source if call else None
        name = self.names[value]
        return {
            "id": self.ids[value],
            "kind": kinds.get(value, "op" if call else value.kind),
            "name": name,
            "op": call and call.primitive.name,
            "label": f"{name} = {self._text(self._definition(value))}" if call else name,
            "group": self.groups[call.scopes[-1]] if call and call.scopes else "",
            "inputs": [
                self.ids[x] if isinstance(x, Value) else {"number": str(x)}
                for x in (call.operands if call else ())
            ],
            "value": self._array(value.array),
            "gradient": self._array(gradient_value(value).array) if value in self.shares else None,
            "source": source and {"place": clean(str(source)), "text": clean(source.text)},
        }

    # -- formulas --

    def _named(self, value: Value, of: str, array: Array) -> Symbol:
        """A symbol whose text is the place of a reference."""
        self._references.append(self._reference(value, of))
        return named(f"{BEFORE}{len(self._references) - 1}{AFTER}", array)

    def _pieces(self, symbol: Symbol) -> Formula:
        """A formula as pieces of text, and the references between them."""
        text = write(symbol, "text", leaf=lambda leaf: leaf.name or "(...)")
        pieces = re.split(f"{BEFORE}([0-9]+){AFTER}", text)
        references = [self._references[int(piece)] for piece in pieces[1::2]]
        names = [self.names[self.values[reference["node"]]] for reference in references]
        for i, (left, right) in enumerate(itertools.pairwise(names)):
            if not (
                left.isidentifier() and right.isidentifier()
            ):  # side by side they look like one
                pieces[2 * i + 2] = JUXTAPOSED.sub(r"\g<0>* ", pieces[2 * i + 2])
        found: Formula = [pieces[0]]
        for reference, piece in zip(references, pieces[2::2], strict=True):
            found += [reference, piece]
        return [piece for piece in found if piece]

    def _text(self, formula: Formula) -> str:
        """A formula with names in the place of references."""
        values = self.values
        pieces = [x if isinstance(x, str) else self.names[values[x["node"]]] for x in formula]
        return clean("".join(pieces))

    def _definition(self, value: Value) -> Formula:
        """How a value was computed."""
        return self._pieces(definition_of(value, self._symbols))

    # -- steps --

    def _forward_step(self, call: Call) -> Data:
        return {
            "phase": "forward",
            "node": self.ids[call.output],
            "formula": self._definition(call.output),
            **self._reads(reads_of_call(call), call.output),
        }

    def _backward_step(self, value: Value) -> Data:
        return {
            "phase": "backward",
            "node": self.ids[value],
            "contributions": [self._contribution(share) for share in self.shares[value]],
        }

    def _contribution(self, share: Pull) -> Data:
        through = share.call.output
        g = self._named(through, "gradient", gradient_value(through).array)
        reads = reads_of_share(share)
        slope = local_slope(share)
        local = None if slope is None else share_of(share, Symbol(1.0), self._symbols)
        return {
            "through": self.ids[through],
            "operand": share.position,
            "upstream": self._reference(through, "gradient"),
            "formula": self._pieces(share_of(share, g, self._symbols)),
            "local": local and self._pieces(local),
            "local_value": None if slope is None else self._array(slope),
            "value": self._array(share.result.array),
            **self._reads(reads, share.result, through),
        }

    def _reads(self, reads: Reads, result: Value, through: Value | None = None) -> Data:
        """Which entries made an entry of a result, and how."""
        g = through and through.gradient
        found, form, formula = [], reads.form, reads.formula
        shown = places_shown(result.shape, self.most).ravel()
        for read in reads.reads:
            if read.value is g and through is not None:
                found.append(self._reference(through, "gradient") | entries_data(read, shown))
            elif read.value in self.ids:
                found.append(self._reference(read.value) | entries_data(read, shown))
            else:  # an array that only the rule knows
                form, formula = OTHER, ""
        return {"form": form, "of_entry": formula, "reads": found}


def entries_data(read: Read, shown: Array) -> Data:
    """Which entries of an array made those of a result that are shown."""
    if read.places is None:
        return {"entries": list(read.entries), "exact": read.exact}
    places = [row[row >= 0].tolist() for row in read.places[shown]]
    return {"places": places, "exact": read.exact}


def local_slope(share: Pull) -> Array | None:
    """What the incoming gradient is multiplied by in each entry; None if there is no such thing."""
    if not all(call.primitive.kind == "elementwise" for call in share.calls):
        return None
    g = gradient_value(share.call.output).array
    slope = Replay.share(share, np.ones_like(g))
    same_shape = slope.shape == g.shape == share.result.shape
    if same_shape and np.allclose(slope * g, share.result.array, 1e-6, 0, equal_nan=True):
        return slope
    return None


# ---- names and places ---------------------------------------------------------------------------


def names_of(values: Sequence[Value], cost: Value) -> dict[Value, str]:
    """What values are called on the page: by their own names, or u1, u2, ..."""
    used = {value.name for value in values}
    fresh = (f"u{i}" for i in itertools.count(1) if f"u{i}" not in used)
    names: dict[Value, str] = {}
    taken: set[str] = set()
    for value in values:
        if value.name:
            name = clean(value.name)
            later = (f"{name}_{i}" for i in itertools.count(2) if f"{name}_{i}" not in used | taken)
            names[value] = next(later) if name in taken else name
            taken.add(names[value])
        elif value is cost:
            names[value] = "cost"
        elif value.call is None and value.array.size == 1:
            names[value] = str(value.array.item())
        else:
            names[value] = next(fresh)
    return names


def groups_of(calls: Iterable[Call]) -> dict[Scope, str]:
    """What the calls of modules are called; a second call of the same module is told apart."""
    found: dict[Scope, str] = {}
    times: Counter[str] = Counter()
    for call in calls:
        for scope in call.scopes:
            if scope not in found:
                around = f"{found[scope.parent]} / " if scope.parent else ""
                text = f"{around}{clean(scope.name)}"
                times[text] += 1
                found[scope] = text if times[text] == 1 else f"{text} (call {times[text]})"
    return found


def frames(boxes: Iterable[Box], groups: Sequence[Group]) -> list[Group]:
    """The frames that boxes lie in, with those around them."""
    parents = {group.id: group.parent for group in groups}
    needed = set()
    for box in boxes:
        group = box.group
        while group is not None and group not in needed:
            needed.add(group)
            group = parents[group]
    return [group for group in groups if group.id in needed]


def rectangle(box: Any) -> Data:
    """Where something lies in the picture."""
    sides = ("x", "y", "width", "height")
    return {side: rounded(getattr(box, side)) for side in sides}


def rounded(x: float) -> float:
    """A length in pixels, as exact as anybody sees."""
    return round(float(x), 1)


def version() -> str:
    """The version of the package, if it is installed."""
    from importlib import metadata

    try:
        return metadata.version("autograd-mini")
    except metadata.PackageNotFoundError:
        return ""
