"""Known functions that were written out: ``1 / (1 + np.exp(-Z))`` is proved to be a sigmoid.

Nobody derives it through the exponential and the reciprocal.  Where a value is such a function of
another one, the shares between the two are replaced by the one share of the function itself, in
whose rule the usual mistakes can be made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .. import activations
from ..core.tensor import Tensor
from ..formulas import definition_of, named, operands_first
from ..formulas.algebra import Forms
from ..formulas.lemmas import DEFINITIONS
from ..trace import Call, Pull, Trace, Value
from ..trace.replay import Replay
from .site import ACTIVATIONS

MOST_CALLS = 400  # of a run that is searched
LONGEST = 20  # values in a function that is written out


def with_known_functions(replay: Replay) -> tuple[Replay, dict[Value, Pull]]:
    """The same run, in which functions that were written out go backward in one step."""
    found: dict[Value, Pull] = {}
    few = len(replay.run.forward) <= MOST_CALLS
    for later in [call.output for call in replay.run.forward]:
        for earlier in sources(replay, later)[::-1] if few else ():
            pulls = between(replay, earlier, later)
            function = known_function(earlier, later) if pulls else None
            if function is not None:
                found[later] = share_of_function(function, earlier, later)
                replay = replaced(replay, pulls, found[later])
                break
    return replay, found


def known_function(earlier: Value, later: Value) -> Callable[..., Any] | None:
    """The function that somebody has written out; None if there is none that is proved."""
    z = named("", earlier.array)
    made = definition_of(later, {earlier: z})
    parts = {x.python for x in operands_first(made)}
    if not parts & {"np.exp", "np.maximum", "np.where"} or made.python.startswith("ag."):
        return None
    if "np.maximum" in parts and not np.all(earlier.array):  # at a tie both have half the slope
        return None
    forms = Forms({}, DEFINITIONS)
    for function in functions(earlier):
        if forms.equal(made, function(z)):
            return function
    return None


def functions(value: Value) -> Iterator[Callable[[Any], Any]]:
    """The functions that something may be of a value."""
    yield from ACTIVATIONS.values()
    for axis in range(value.array.ndim):
        yield partial(activations.softmax, axis=axis)


def sources(replay: Replay, later: Value) -> list[Value]:
    """The values of the same shape that a value was computed from, the nearest first."""
    if later.gradient is None or later.call is None:
        return []
    found, seen, stack = [], {later}, [later]
    while stack and len(seen) < LONGEST:
        call = stack.pop().call
        for operand in call.operands if call else ():
            if isinstance(operand, Value) and operand not in seen and operand in replay.shares:
                seen.add(operand)
                if operand.shape == later.shape:
                    found.append(operand)
                if call is not None and not replay.run.has_given(operand):  # none inside a function
                    stack.append(operand)
    return found


def between(replay: Replay, earlier: Value, later: Value) -> list[Pull]:
    """The shares on all ways from one value to another; none if ways lead in or out elsewhere."""
    pulls = replay.leading_to(earlier, [later])
    inside = {later}
    found = []
    for pull in pulls:  # in order: what the later value leads to comes after it
        if pull.call.output in inside:
            inside.add(pull.operand)
            found.append(pull)
    hidden = inside - {earlier, later}
    into = [pull for value in hidden for pull in replay.shares[value] if pull not in found]
    out = [
        pull
        for pull in replay.pulls
        if pull.call.output in hidden | {later} and pull.operand not in inside
    ]
    return [] if into or out or earlier not in inside else found


def share_of_function(function: Callable[[Any], Any], earlier: Value, later: Value) -> Pull:
    """The share of a function between two values."""
    leaf = Tensor(earlier.array.copy(), requires_grad=True)
    with Trace() as run, np.errstate(all="ignore"):
        function(leaf).backward(np.ones(earlier.shape))
    return renamed(run, run.pulls[0], earlier, later)


def renamed(run: Trace, pull: Pull, earlier: Value, later: Value) -> Pull:
    """A share of another run, between values of this one."""
    names = {pull.operand: earlier, pull.call.output: later}
    assert pull.call.output.gradient is not None
    assert later.gradient is not None
    names[pull.call.output.gradient] = later.gradient
    call = Call(pull.call.primitive, (earlier,), pull.call.statics, "forward", None, None)
    call.output = later
    share = Pull(call, 0)
    for step in pull.calls:
        operands = tuple(names.get(x, x) if isinstance(x, Value) else x for x in step.operands)
        mine = Call(step.primitive, operands, step.statics, "backward", share, None)
        mine.output = step.output
        share.calls.append(mine)
    share.result = names.get(pull.result, pull.result)
    return share


def replaced(replay: Replay, pulls: list[Pull], share: Pull) -> Replay:
    """A run with one share in the place of several."""
    gone = set(pulls)
    everything = [share if pull is pulls[0] else pull for pull in replay.pulls]
    return Replay(replay.run, replay.cost, [pull for pull in everything if pull not in gone])
