"""How exact a gradient can be: rounding errors, and the two sides of a kink."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable

import numpy as np

from ..trace import Pull, Value
from .replay import Array, Edits, Replay

SHAKE = 16  # units in the last place: enough above rounding to measure what becomes of it
ROUNDS = 2


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
    pulls = replay.run.pulls
    for _ in range(ROUNDS):
        with np.errstate(all="ignore"):
            arrays = {v: shaken(v.array) for v in replay.run.values if v.kind != "result"}
            for call in replay.run.forward:
                arrays[call.output] = shaken(
                    replay.forward([call], ChainMap({}, arrays))[call.output]
                )
            edits: Edits = {
                pull: lambda g, pull=pull: shaken(replay.share(pull, g, values=arrays))
                for pull in pulls
            }
            assert replay.cost.gradient is not None
            found = replay.backward(pulls, {replay.cost: replay.cost.gradient.array}, edits)
        for value in errors:
            assert value.gradient is not None
            change = np.max(np.abs(found[value] - value.gradient.array), initial=0) / size
            errors[value] = max(errors[value], float(change) if np.isfinite(change) else np.inf)
    return errors


def kink_edits(replay: Replay) -> list[Edits]:
    """Edits that take the one and the other one-sided derivative wherever a run sits on a kink.

    Returns
    -------
    list
        Empty if no operand of a function with kinks is exactly on one.
    """
    sides: list[dict[Pull, object]] = [{}, {}]
    for pull in replay.run.pulls:
        if pull.call.primitive.analytic or not pull.call.primitive.elementwise or not pull.calls:
            continue
        operand = pull.operand
        ones = np.ones(pull.call.output.shape)
        usual = replay.share(pull, ones)
        for side, towards in zip(sides, (np.inf, -np.inf), strict=True):
            x = np.nextafter(operand.array, towards)
            moved = {operand: x}
            moved = replay.forward([pull.call], moved)
            if not np.array_equal(replay.share(pull, ones, values=moved), usual):
                side[pull] = lambda g, pull=pull, moved=moved: replay.share(pull, g, values=moved)
    return [side for side in sides if side]  # type: ignore[misc]
