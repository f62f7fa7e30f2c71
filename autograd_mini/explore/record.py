"""A run as plain data for the step-through page: what was computed, from what, and in which order.

All numbers are those of the run, in full.  Nothing is computed again except to find out which
entries made which, and the local derivatives.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..check.compare import Comparison, compared
from ..check.derivation import Line
from ..check.numerical import numerical_gradient
from ..check.replay import Array, Replay
from ..draw.diagram import Box, Group, diagram
from ..draw.layout import laid_out
from ..symbols import Symbol, definition_of, named, share_of, write
from ..text import clean
from ..trace import Call, Pull, Scope, Trace, Value
from .entries import Reads, reads_of_call, reads_of_share

SCHEMA = 1
MOST_NODES = 2000
HEAD = 16  # rows and columns that are shown of an array that is too large
NUMERICAL = 64  # elements: the gradients of larger arrays are not computed numerically
EXACT_IN_JSON = 2**53  # JavaScript rounds whole numbers beyond
LONG = 2000  # characters of a sentence
BEFORE, AFTER = "\ue000", "\ue001"  # a reference in the text of a formula
Data = dict[str, Any]
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
    comparison = compared_with(run, cost, values, manual)
    with np.errstate(all="ignore"):
        return Page(run, cost, values, most).data(comparison)


def leading_to(run: Trace, cost: Value) -> list[Value]:
    """The values that the cost was computed from and itself, each after those that made it."""
    needed, calls = {cost}, []
    for call in reversed(run.forward):
        if call.output in needed:
            calls.append(call)
            needed.update(x for x in call.operands if isinstance(x, Value))
    found = {}
    for call in reversed(calls):
        found.update(dict.fromkeys(x for x in call.operands if isinstance(x, Value)))
        found[call.output] = None
    return list(found)


def compared_with(
    run: Trace, cost: Value, values: Sequence[Value], manual: Mapping[Any, Any] | Comparison | None
) -> Comparison | None:
    """The hand gradients, held against those of the run."""
    if manual is None or isinstance(manual, Comparison):
        return manual
    if not np.all(np.isfinite(cost.array)):
        raise ValueError(f"the cost is {cost.array}, so there is no gradient to compare with")
    variables = run.numbers | {value.name: value.array for value in values if value.name}
    return compared(run, cost, manual, variables)


# ---- numbers ------------------------------------------------------------------------------------


def number(x: Any) -> int | float | str:
    """A number as JSON has it, to be read back as it was: its shortest digits in its own dtype."""
    if x.dtype.kind in "biu":
        whole = int(x)
        return whole if abs(whole) <= EXACT_IN_JSON else str(whole)
    if x.dtype.kind == "f" and np.isfinite(x):
        return float(x if x.dtype.itemsize == 8 else str(x))
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return str(x) if x.dtype.kind == "c" else names.get(float(x), "NaN")


def numbers(array: Array) -> list[int | float | str]:
    """All numbers of an array, row by row."""
    return [number(x) for x in array.reshape(-1)]


def array_data(array: Array, most: int) -> Data:
    """An array: whole, or if it has more than ``most`` elements its first rows and columns."""
    found: Data = {"shape": list(array.shape), "dtype": array.dtype.name}
    if array.size <= most:
        found["data"] = numbers(array)
    else:
        side = max(1, min(HEAD, math.isqrt(max(most, 1))))
        rows = array.reshape(-1, array.shape[-1])[:side, :side]
        found["head"] = {"rows": rows.shape[0], "columns": rows.shape[1], "data": numbers(rows)}
    return found | {"stats": statistics(array)}


def statistics(array: Array) -> Data:
    """What a large array is like; None of an empty one where there is no such number."""
    facts = dict.fromkeys(["min", "max", "mean", "norm"])
    if array.size and array.dtype.kind != "c":
        wide = array.astype(float)
        found = array.min(), array.max(), wide.mean(), np.sqrt(np.square(wide).sum())
        facts = dict(zip(facts, map(number, found), strict=True))
    bad = int(np.sum(~np.isfinite(array)))
    return {**facts, "zeros": int(np.sum(array == 0)), "nan": bad}


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
        self.names = names_of(values, cost)
        self.calls = [
            call for call in run.forward if call.output in self.ids and call.output.call is call
        ]
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
                *(self._backward_step(value) for value in self._completed()),
            ],
            "manual": None if comparison is None else self._manual(comparison),
        }

    def _array(self, array: Array) -> Data:
        return array_data(array, self.most)

    def _reference(self, value: Value, of: str = "value") -> Data:
        return {"node": self.ids[value], "of": of}

    # -- the graph --

    def _graph(self) -> tuple[Data, dict[Value, str]]:
        """The picture, and the kinds of values by it."""
        whole = diagram(
            self.run, values="none", gradients=False, fold=False, legend=False, max_nodes=None
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
            "gradient": value.gradient and self._array(value.gradient.array),
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
        return [
            self._references[int(piece)] if i % 2 else piece
            for i, piece in enumerate(pieces)
            if piece
        ]

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
            **self._reads(reads_of_call(call)),
        }

    def _completed(self) -> list[Value]:
        """The values that have a gradient, in the order in which that was complete."""
        turn = {pull: i for i, pull in enumerate(self.run.pulls)}
        last = {
            value: max(turn[share] for share in value.shares)
            for value in self.values
            if value.shares and value is not self.cost
        }
        return [self.cost, *sorted(last, key=last.__getitem__)]

    def _backward_step(self, value: Value) -> Data:
        shares = value.shares if value is not self.cost else []
        return {
            "phase": "backward",
            "node": self.ids[value],
            "contributions": [self._contribution(share) for share in shares],
        }

    def _contribution(self, share: Pull) -> Data:
        through = share.call.output
        assert through.gradient is not None
        g = self._named(through, "gradient", through.gradient.array)
        reads = reads_of_share(share)
        slope = local_slope(share) if reads.form == "elementwise" else None
        local = None if slope is None else share_of(share, Symbol(1.0), self._symbols)
        return {
            "through": self.ids[through],
            "operand": share.position,
            "upstream": self._reference(through, "gradient"),
            "formula": self._pieces(share_of(share, g, self._symbols)),
            "local": local and self._pieces(local),
            "local_value": None if slope is None else self._array(slope),
            "value": self._array(share.result.array),
            **self._reads(reads, through),
        }

    def _reads(self, reads: Reads, through: Value | None = None) -> Data:
        """Which entries made an entry, and how."""
        g = through and through.gradient
        found, form = [], reads.form
        for value, entries in reads.reads:
            if value is g and through is not None:
                found.append({**self._reference(through, "gradient"), "entries": list(entries)})
            elif value in self.ids:
                found.append({**self._reference(value), "entries": list(entries)})
            else:  # an array that only the rule knows
                form = "other"
        return {"form": form, "reads": found}

    # -- gradients derived by hand --

    def _manual(self, comparison: Comparison) -> Data:
        lines = [(line, self._found(line)) for line in comparison.lines]
        replay = Replay(self.run, self.cost)
        wrong = [self.ids[value] for line, value in lines if line.verdict == "wrong"]
        return {
            "title": clean(comparison.title, LONG),
            "notes": [clean(note, LONG) for note in comparison.notes],
            "first_wrong": wrong[0] if wrong else None,
            "lines": [
                {
                    "node": self.ids[value],
                    "name": clean(line.name),
                    "verdict": line.verdict,
                    "scale": line.scale,
                    "hand": self._array(line.hand),
                    "difference": f"{difference(line):.1e}",
                    "worst": worst_entry(line),
                    "formula": clean(line.formula, LONG),
                    "sentences": [clean(x, LONG) for x in sentences(line)],
                    "numerical": self._numerical(replay, value),
                }
                for line, value in lines
            ],
        }

    def _found(self, line: Line) -> Value:
        """The value of this run that a line is about."""
        by_name = (value for value in self.values if value.name == line.value.name is not None)
        value = line.value if line.value in self.ids else next(by_name, None)
        name = clean(line.name)
        if value is None or value.gradient is None:
            raise ValueError(f"{name} is compared, but this run has no gradient of that name")
        true = value.gradient.array
        if true.shape != line.true.shape or not np.allclose(true, line.true, 1e-5, 1e-12):
            raise ValueError(
                f"{name} was compared with another gradient than that of this run: compare and "
                f"explore must be given the same data"
            )
        return value

    def _numerical(self, replay: Replay, value: Value) -> Data | None:
        """The gradient by central differences, of a small array."""
        if value.array.size > NUMERICAL or not replay.is_faithful:
            return None
        calls = replay.after(value)

        def cost(x: Array) -> Any:
            return replay.forward(calls, {value: x})[self.cost].item()

        return self._array(np.asarray(numerical_gradient(cost, value.array.astype(float))))


def local_slope(share: Pull) -> Array | None:
    """What the incoming gradient is multiplied by in each entry; None if there is no such thing."""
    assert share.call.output.gradient is not None
    g = share.call.output.gradient.array
    slope = Replay.share(share, np.ones_like(g))
    same_shape = slope.shape == g.shape == share.result.shape
    if same_shape and np.allclose(slope * g, share.result.array, 1e-6, 0, equal_nan=True):
        return slope
    return None


def difference(line: Line) -> float:
    """How far a gradient by hand is from the true one, relative to the largest entry."""
    if line.array is None:
        return math.nan
    scale = np.max(np.abs(line.true), initial=0)
    off = np.max(np.abs(line.array / line.scale - line.true), initial=0)
    return float(off / scale if scale else off)


def worst_entry(line: Line) -> list[int] | None:
    """The entry of a wrong gradient that is off most."""
    true = line.true
    if line.verdict not in ("wrong", "follows") or line.array is None or not true.size:
        return None
    off = np.abs(line.array - true * line.scale)
    return [int(i) for i in np.unravel_index(int(np.argmax(off)), true.shape)]


def sentences(line: Line) -> list[str]:
    """What is said about a wrong line."""
    if line.verdict == "follows":
        return [f"follows from {', '.join(line.follows_from)}"]
    found = [line.shape_finding.sentence] if line.shape_finding else []
    return [*found, *dict.fromkeys(explanation.sentence for explanation in line.explanations)]


# ---- names and places ---------------------------------------------------------------------------


def names_of(values: Sequence[Value], cost: Value) -> dict[Value, str]:
    """What values are called on the page: by their own names, or u1, u2, ..."""
    used = {value.name for value in values}
    fresh = (f"u{i}" for i in itertools.count(1) if f"u{i}" not in used)
    names = {}
    for value in values:
        if value.name:
            names[value] = clean(value.name)
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
