"""A run once more, with changes: other values forward, another rule or another gradient backward.

What is replayed are the calls that a `Trace` has recorded.  Forward this gives the cost at other
points, for numerical derivatives.  Backward it gives the gradients that follow from somebody's own
gradients closer to the cost, and those that a mistake would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from .record import Trace
from .values import Call, Pull, Value

Array = Any
Place = Call | Pull | Value
Edits = Mapping[Any, Callable[..., Any]]  # of places
NO_EDITS: Edits = {}


class Replay:
    """A run of a cost and of its derivative, to be run again in parts.

    An *edit* changes what happens at one place of the backward pass.  For a call it is a function
    of the operands, for a share of a gradient one of the incoming gradient (None takes the share
    away), for a value one of the value's whole gradient.

    Attributes
    ----------
    run : Trace
        With a backward pass from the cost.
    cost : Value
    pulls : list of Pull
        The shares of gradients, in order: those of the run, or others that come to the same.
    shares : dict of Value to list of Pull
        Of the value's gradient.
    """

    def __init__(self, run: Trace, cost: Value, pulls: list[Pull] | None = None) -> None:
        self.run = run
        self.cost = cost
        self.pulls = run.pulls if pulls is None else pulls
        self.shares: dict[Value, list[Pull]] = {}
        for pull in self.pulls:
            self.shares.setdefault(pull.operand, []).append(pull)
        self._readers: dict[Value, list[Call]] = {}
        for call in run.forward:
            for operand in call.operands:
                if isinstance(operand, Value):
                    self._readers.setdefault(operand, []).append(call)
        self._turn = {pull: i for i, pull in enumerate(self.pulls)}

    def finished(self, value: Value) -> int:
        """When a value's gradient is complete: the turn of its last share."""
        return max(self._turn[pull] for pull in self.shares[value])

    @property
    def seed(self) -> dict[Value, Array]:
        """The gradient that a backward pass starts with: that of the cost by itself."""
        return {self.cost: true_gradient(self.cost)}

    @cached_property
    def is_faithful(self) -> bool:
        """Whether running forward again gives what the run held: a graph may not have kept all."""
        given = {v: v.array for v in self.run.values if v.kind != "result"}
        try:
            with np.errstate(all="ignore"):
                again = self.forward(self.run.forward, given)
        except (ValueError, TypeError):  # an operand is unknown, even its shape
            return False
        return all(
            np.allclose(again[call.output], call.output.array, rtol=1e-6, atol=0, equal_nan=True)
            for call in self.run.forward
            if call.output.kept
        )

    # -- forward --

    def after(self, value: Value) -> list[Call]:
        """The forward calls that depend on a value, in order."""
        stack, found = [value], set()
        while stack:
            for call in self._readers.get(stack.pop(), ()):
                if call not in found:
                    found.add(call)
                    stack.append(call.output)
        return [call for call in self.run.forward if call in found]

    def forward(self, calls: Iterable[Call], given: Mapping[Value, Array]) -> dict[Value, Array]:
        """Run forward calls with other arrays for some values; return those and the results."""
        arrays = dict(given)
        for call in calls:
            arrays[call.output] = call.run(*chosen(call, arrays))
        return arrays

    # -- backward --

    def leading_to(self, value: Value, given: Iterable[Value]) -> list[Pull]:
        """All shares that a value's gradient is computed from, back to gradients that are given."""
        given, stack, found = {*given}, [value], set()
        while stack:
            for pull in self.shares.get(stack.pop(), ()):
                if pull not in found:
                    found.add(pull)
                    if pull.call.output not in given:
                        stack.append(pull.call.output)
        return sorted(found, key=self._turn.__getitem__)

    def backward(
        self, pulls: Iterable[Pull], given: Mapping[Value, Array], edits: Edits = NO_EDITS
    ) -> dict[Value, Array]:
        """Compute shares of gradients, in order, from gradients that are given."""
        summed: dict[Value, Array] = {}
        complete: dict[Value, Array] = dict(given)
        for pull in pulls:
            output = pull.call.output
            if output not in complete:
                if output not in summed:  # an edit has taken all its shares away
                    continue
                edit = edits.get(output)
                complete[output] = summed[output] if edit is None else edit(summed[output])
            g = complete[output]
            edit = edits.get(pull)
            share = self.share(pull, g, edits) if edit is None else edit(g)
            if share is not None:
                known = summed.get(pull.operand)
                summed[pull.operand] = share if known is None else known + share
        for value in summed:
            if value not in complete:
                edit = edits.get(value)
                complete[value] = summed[value] if edit is None else edit(summed[value])
        return {value: complete[value] if value not in given else summed[value] for value in summed}

    @staticmethod
    def share(
        pull: Pull, g: Array, edits: Edits = NO_EDITS, values: Mapping[Value, Array] | None = None
    ) -> Array:
        """Run one rule on another gradient, and on other forward values if some are given."""
        arrays = dict(values) if values else {}
        assert pull.call.output.gradient is not None
        arrays[pull.call.output.gradient] = g
        for call in pull.calls:
            run = edits.get(call) or call.run
            arrays[call.output] = run(*chosen(call, arrays))
        return arrays.get(pull.result, pull.result.array)


def chosen(call: Call, arrays: Mapping[Value, Array]) -> list[Array]:
    """The operands of a call, with other arrays for some of them."""
    return [arrays.get(x, x.array) if isinstance(x, Value) else x for x in call.operands]


def flow(pull: Pull) -> set[Value]:
    """The values inside of a rule that depend on the gradient it is given."""
    assert pull.call.output.gradient is not None
    found = {pull.call.output.gradient}
    for call in pull.calls:
        if any(isinstance(x, Value) and x in found for x in call.operands):
            found.add(call.output)
    return found


def true_gradient(value: Value) -> Array:
    """The gradient of a value by autodiff."""
    assert value.gradient is not None
    return value.gradient.array
