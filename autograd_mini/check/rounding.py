"""How exact a gradient can be: rounding errors, and the two sides of a kink."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..core import ops
from ..trace import Pull, Value, array_of
from ..trace.replay import Array, Edits, Replay, chosen, true_gradient

SHAKE = 16  # units in the last place: enough above rounding to measure what becomes of it
ROUNDS = 2
SMALL = 1e-4  # a constant below that is there for safety only


def rounding_errors(replay: Replay, values: Iterable[Value]) -> dict[Value, float]:
    """By how many units of relative rounding the elements of gradients are off.

    Every result, forward and backward, is shaken by a few units in the last place, and the change
    of the gradients is measured (Vignes, "A stochastic arithmetic for reliable scientific
    computation", 1993).  An infinity says that the gradient depends on rounding alone.

    Returns
    -------
    dict
        Value -> the largest change of an element, divided by the size of the shakes.
    """
    rng = np.random.default_rng(0)
    size = SHAKE * float(np.finfo(replay.cost.dtype).eps)

    def shaken(x: Array) -> Array:
        return x * (1 + size * rng.uniform(-1, 1, np.shape(x))) if x.dtype.kind == "f" else x

    errors = dict.fromkeys(values, 0.0)
    for _ in range(ROUNDS):
        with np.errstate(all="ignore"):
            arrays = {v: shaken(v.array) for v in replay.run.values}
            for call in replay.run.forward if replay.is_faithful else ():
                arrays[call.output] = shaken(call.run(*chosen(call, arrays)))
            found = replay.backward(replay.pulls, replay.seed, shaken_rules(replay, arrays, shaken))
        for value in errors:
            change = np.max(np.abs(found[value] - true_gradient(value)), initial=0) / size
            errors[value] = max(errors[value], float(change) if np.isfinite(change) else np.inf)
    return errors


def shaken_rules(
    replay: Replay, arrays: Mapping[Value, Array], shaken: Callable[[Array], Array]
) -> Edits:
    """All rules on other forward values, with their results shaken."""
    return {
        pull: lambda g, pull=pull: shaken(replay.share(pull, g, values=arrays))
        for pull in replay.pulls
    }


def kink_edits(replay: Replay) -> list[Edits]:
    """Edits that take the one and the other one-sided derivative wherever a run sits on a kink.

    Returns
    -------
    list
        Empty if no operand of a function with kinks is exactly on one.
    """
    sides: list[dict[Any, Any]] = [{}, {}]
    for pull in replay.pulls:
        ones = np.ones(pull.call.output.shape)
        usual = replay.share(pull, ones)
        for side, moved in zip(sides, beside(replay, pull), strict=False):
            if not np.array_equal(replay.share(pull, ones, values=moved), usual):
                side[pull] = lambda g, pull=pull, moved=moved: replay.share(pull, g, values=moved)
    return [side for side in sides if side]


def beside(replay: Replay, pull: Pull) -> list[Mapping[Value, Array]]:
    """The values of a call a hair above and below where it is, if its function may have kinks."""
    call = pull.call
    if call.primitive is ops.where:
        condition, a, b = call.operands
        meet = array_of(a) == array_of(b)  # the condition chooses between equals there
        return [{condition: condition.array | meet}, {condition: condition.array & ~meet}]
    if call.primitive.analytic or call.primitive.kind != "elementwise" or not pull.calls:
        return []
    operand = pull.operand
    hairs = (np.nextafter(operand.array, towards) for towards in (np.inf, -np.inf))
    return [replay.forward([call], {operand: hair}) for hair in hairs]


def without_small_constants(replay: Replay) -> list[Edits]:
    """Edits that leave out what was added against division by zero, as in ``log(A + 1e-8)``.

    Returns
    -------
    list
        Empty if there is no such constant.
    """
    arrays: dict[Value, Array] = {}
    for call in replay.run.forward:
        numbers = [x for x in map(array_of, call.operands) if np.ndim(x) == 0]
        is_sum = call.primitive in (ops.add, ops.subtract)
        if is_sum and any(0 < abs(x - np.round(x)) < SMALL for x in numbers):
            operands = [np.round(x) if np.ndim(x) == 0 else x for x in chosen(call, arrays)]
            arrays[call.output] = call.run(*operands)
    if not arrays or not replay.is_faithful:
        return []
    calls = [call for call in replay.run.forward if call.output not in arrays]
    values = replay.forward(calls, arrays)
    return [
        {pull: lambda g, pull=pull: replay.share(pull, g, values=values) for pull in replay.pulls}
    ]
