"""What a picture shows of a run: which calls, under which names, with which gradients and marks.

The run itself is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.tensor import Tensor
from ..text import clean
from ..trace import Call, Derived, Pull, Scope, Trace, Value, derived_from_others, variables
from .grouping import Item, Place, Use, common

if TYPE_CHECKING:
    from ..check.compare import Comparison
    from ..formulas import Symbol

LONGEST_NAME = 60
MOST_NAMES = 3  # of one gradient


@dataclass
class Reading:
    """What a picture needs to know of a run.

    Attributes
    ----------
    run : Trace
    calls : list of Call
        Those to be drawn, in the order of the run.
    cost : Value or None
        What was differentiated, or can be.
    names : dict of Value to str
        What values are called, gradients among them.
    gradients : dict of Value to Value
        The gradients to be shown.
    useful : set of Value
        What the cost was computed from.
    pulls : dict
        By call and position of the operand: the share of its gradient.
    derived : dict of Value to Derived
        The arrays such as ``1 - Y`` that were made of one with a name.
    of_gradients : dict of Value to str
        Of the names those that gradients have for what they are by, such as ``dW``.
    marks : dict of Value to str
        What a report says.
    """

    run: Trace
    calls: list[Call]
    cost: Value | None
    names: dict[Value, str]
    gradients: dict[Value, Value]
    useful: set[Value]
    pulls: dict[tuple[Call, int], Pull]
    derived: dict[Value, Derived]
    of_gradients: dict[Value, str] = field(default_factory=dict)
    marks: dict[Value, str] = field(default_factory=dict)
    _bad: dict[Value, bool] = field(default_factory=dict)

    def called(self, value: Value) -> str:
        """The name of a value, or what it is of one that has a name; else nothing."""
        if value in self.derived:
            from ..formulas import write

            return write(self.symbol(value), "text")
        return self.names.get(value, "")

    def is_bad(self, value: Value) -> bool:
        """Whether a value that is known holds NaN or infinity."""
        if value not in self._bad:
            array = value.array
            finite = array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
            self._bad[value] = value.kept and not finite
        return self._bad[value]

    def is_source(self, call: Call) -> bool:
        """Whether a call made NaN or infinity of operands without."""
        good = [x.kept and not self.is_bad(x) for x in call.arrays]
        return self.is_bad(call.output) and all(good)

    @cached_property
    def shown_gradients(self) -> set[Value]:
        """The gradients, as values of their own."""
        return {*self.gradients.values()}

    @cached_property
    def held(self) -> set[int]:
        """The identities of the arrays that the modules of the run hold: parameters and buffers."""
        modules = {call.scopes[0].module: None for call in self.run.calls if call.scopes}
        return {id(tensor.data) for module in modules for tensor in tensors_in(module)}

    @cached_property
    def unknown(self) -> dict[Value, Symbol]:
        """What formulas have for what came from outside and is not known: a question mark."""
        from ..formulas import named

        lost = (value for value in self.run.values if is_unknown(value))
        return {value: named("?", value.array) for value in lost if value not in self.names}

    def symbol(self, value: Value) -> Symbol:
        """What formulas have for a value that is called something."""
        from ..formulas import named

        if value in self.derived:
            function, source = self.derived[value]
            return function(self.symbol(source))  # type: ignore[no-any-return]
        return named(clean(self.names[value], LONGEST_NAME), value.array)


# ---- runs ---------------------------------------------------------------------------------------


def read(
    what: Any, names: Mapping[str, Any] | None, phase: str, derivatives: bool = False
) -> Reading:
    """Find out what is to be drawn.

    Raises
    ------
    TypeError
        If ``what`` is neither a run nor a Tensor.
    ValueError
        If nothing was computed, or a backward pass is needed and there is none in the run.
    """
    if isinstance(what, Tensor):
        run = Trace.of_graph(what, names, gradients=True)
        cost = run.find(what)
        gradients = gradients_of(run)
        if derivatives or phase != "forward":
            run.differentiate(what, [value for value in run.values if value.kind == "parameter"])
        if phase != "forward":
            gradients = gradients_of(run)
    elif isinstance(what, Trace):
        run = what
        cost = run.cost or last_number(run)
        gradients = gradients_of(run)
        if not run.pulls and (derivatives or phase != "forward"):
            wish = "derivatives=True" if derivatives else f"phase={phase!r}"
            raise ValueError(
                f"{wish} draws what happened on the way backward, and this run has not gone "
                f"backward: call loss.backward() inside `with ag.trace() as run:`"
            )
    else:
        raise TypeError(
            f"draw takes a run or a Tensor, not {type(what).__name__}: record a run by `with "
            f"ag.trace() as run:`"
        )
    calls = drawn(run, phase)
    if not calls and run.failure is None:
        raise ValueError("there is nothing to draw: no Tensor was computed with in this run")
    found = names_of(run, names if isinstance(what, Trace) else None)
    of_gradients = names_of_gradients(gradients, found)
    found |= of_gradients
    return Reading(
        run,
        calls,
        cost,
        found,
        gradients,
        behind(run, [cost] if cost else [], run.forward),
        {(pull.call, pull.position): pull for pull in run.pulls},
        derived_from_others(run.forward, run.values, found),
        of_gradients,
    )


def gradients_of(run: Trace) -> dict[Value, Value]:
    """The gradients that were computed."""
    return {value: value.gradient for value in run.values if value.gradient is not None}


def last_number(run: Trace) -> Value | None:
    """What a run that has not gone backward could be differentiated by."""
    result = run.find(run.result) if isinstance(run.result, Tensor) else None
    last = result or (run.forward[-1].output if run.forward else None)
    return last if last is not None and last.array.size == 1 else None


def drawn(run: Trace, phase: str) -> list[Call]:
    """The calls of a phase; of the backward ones those that gradients were computed by."""
    needed = {*gradients_of(run).values()}
    needed.update(x for call in run.forward for x in call.arrays)
    needed = behind(run, needed, run.backward)
    return [
        call
        for call in run.calls
        if phase in (call.phase, "both") and (call.phase == "forward" or call.output in needed)
    ]


def behind(run: Trace, values: Iterable[Value], among: list[Call]) -> set[Value]:
    """Some values, with all that calls computed them from."""
    values = {*values}
    return values.union(x for call in run.calls_behind(values, among) for x in call.arrays)


def names_of(run: Trace, names: Mapping[str, Any] | None) -> dict[Value, str]:
    """What values are called: as the run says, or else as variables are."""
    found = {value: value.name for value in run.values if value.name}
    taken = set()
    for name, thing in variables(names or {}):
        value = run.find(thing)
        own = isinstance(thing, Tensor) and thing.name
        if value is not None and value not in taken and not own:
            taken.add(value)
            found[value] = name
    return found


def names_of_gradients(
    gradients: Mapping[Value, Value], names: Mapping[Value, str]
) -> dict[Value, str]:
    """What gradients are called that have no names of their own: ``dW`` is that of W."""
    found: dict[Value, list[str]] = {}
    for value, gradient in gradients.items():
        if value in names and gradient not in names:
            name = names[value]
            name = f"d{name}" if name.isidentifier() else f"d({name})"
            found.setdefault(gradient, []).append(name)
    return {value: " = ".join(alike[:MOST_NAMES]) for value, alike in found.items()}


def marks_of(report: Comparison, reading: Reading) -> dict[Value, str]:
    """The marks of the quantities that a report finds wrong.

    Raises
    ------
    ValueError
        If the report is about another computation.
    """
    found = [(line, same_value(line.value, reading)) for line in report.lines]
    if all(value is None for _, value in found):
        names = ", ".join(line.name for line in report.lines)
        raise ValueError(f"the report is about other quantities than this picture: {names}")
    marks: dict[Value, str] = {}
    for line, value in found:
        if value is not None and line.verdict in ("wrong", "follows"):
            for marked in (value, value.gradient):
                if marked is not None and marks.get(marked) != "wrong":
                    marks[marked] = line.verdict
    return marks


def same_value(value: Value, reading: Reading) -> Value | None:
    """What a value of another run of the same computation is in this one."""
    values = reading.run.values
    if value in values:
        return value
    alike = (
        [other for other in values if other.call is None]
        if value.call is None
        else [other for other in values if other.call and other.call.phase == "forward"]
    )
    by_name = [other for other in alike if value.name and reading.names.get(other) == value.name]
    known = (other for other in alike if other.kept)
    equal = (other for other in known if np.array_equal(other.array, value.array, equal_nan=True))
    return by_name[0] if by_name else next(equal, None)


# ---- from calls to items ------------------------------------------------------------------------


def items_of(reading: Reading, by_name: bool, grouped: bool = False) -> list[Item]:
    """The boxes to be, in the order of the run, each leaf just before it is used first.

    With ``by_name``, a result without a name is a part of those that are computed from it.  If
    modules shall be frames, each has a box of its own for what its derivative takes from the way
    forward.
    """
    calls, failure = reading.calls, reading.run.failure
    number = {call: i for i, call in enumerate(calls)}
    used = {x for call in calls for x in call.arrays}
    wanted = {reading.cost, *(failure.operands if failure else ())}
    of_sums = scopes_of_sums(reading.run)
    items: dict[Any, Item] = {}

    def is_inside(value: Value) -> bool:
        """Whether a value is only a part of others."""
        if not by_name or value in reading.names or value in wanted:
            return False
        if value.call in number:
            return value in used
        return leaf_kind(value, reading) == "constant"

    def item_of(value: Value, path: tuple[Place, ...] = ()) -> Item:
        """The item of an operand, made if it is a new leaf."""
        from_forward = grouped and value.call is not None and value.call not in number
        key = (value, path) if from_forward else value
        if key not in items:
            kind = leaf_kind(value, reading)
            items[key] = Item(value, kind, name=reading.called(value))
        return items[key]

    for call in calls:
        value = call.output
        if is_inside(value):
            continue
        inner = sorted(parts_of(call, is_inside), key=number.__getitem__)
        scopes = call.scopes or of_sums.get(call, ())
        path = tuple([Place(scope, call.phase) for scope in scopes])
        uses = [
            Use(item_of(x, path), other, position)
            for other in inner
            for position, x in enumerate(other.operands)
            if isinstance(x, Value) and not is_inside(x)
        ]
        kind = "loss" if value is reading.cost else "op"
        name = reading.names.get(value, "")
        named = bool(name) and value not in reading.of_gradients
        items[value] = Item(value, kind, inner, uses, path, name, named)
    if failure is not None:
        uses = [Use(item_of(x), None, i) for i, x in enumerate(failure.operands)]
        path = tuple([Place(scope, "forward") for scope in failure.scopes])
        return [*items.values(), Item(None, "error", [], uses, path)]
    return [*items.values()]


def parts_of(call: Call, is_inside: Callable[[Value], bool]) -> set[Call]:
    """A call and those whose results are only a part of it."""
    found, stack = {call}, [call]
    while stack:
        for x in stack.pop().arrays:
            if x.call is not None and x.call not in found and is_inside(x):
                found.add(x.call)
                stack.append(x.call)
    return found


def leaf_kind(value: Value, reading: Reading) -> str:
    """What kind of thing comes from outside."""
    if value.kind == "parameter" or id(value.live) in reading.held:
        return "parameter"
    if is_unknown(value) and not value.changed:
        return "constant"  # as far as anybody knows: not even its shape is kept
    is_seed = reading.cost is not None and value is reading.cost.gradient
    named = value in reading.names or value in reading.derived or value.call is not None
    return "constant" if is_seed or (not named and value.array.size == 1) else "input"


def is_unknown(value: Value) -> bool:
    """Whether it is not known what came from outside, for a graph did not keep it."""
    return value.call is None and not value.kept


def scopes_of_sums(run: Trace) -> dict[Call, tuple[Scope, ...]]:
    """Where the sums of the shares of gradients belong: where the quantity was computed."""
    found = {}
    for value in run.values:
        if value.call:
            found.update(dict.fromkeys(value.additions, value.call.scopes))
    return found


def put_leaves(items: list[Item], reading: Reading) -> None:
    """Put what comes from outside where it is used, if it belongs there.

    Parameters and buffers belong to the modules that hold them.  Inputs stay outside, unless they
    have no name and come in later than with the first call, such as the mask of a dropout.
    """
    paths: dict[Item, list[tuple[Place, ...]]] = {}
    for item in items:
        for use in item.uses:
            if not use.item.calls:
                paths.setdefault(use.item, []).append(item.places)
    first = {*reading.calls[0].arrays} if reading.calls else set()
    for leaf, found in paths.items():
        assert leaf.value is not None
        forward = [path for path in found if not path or path[-1].phase == "forward"]
        inner = leaf.kind == "input" and not leaf.name and leaf.value not in first
        computed = leaf.value.call is not None
        if leaf.kind == "constant" or inner or computed or id(leaf.value.live) in reading.held:
            leaf.places = common(forward or found)


def tensors_in(module: Any) -> list[Tensor]:
    """The Tensors that a module holds, trained or not."""
    return [part for _, part in module._walk() if isinstance(part, Tensor)]
