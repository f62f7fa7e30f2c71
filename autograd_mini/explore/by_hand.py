"""Gradients derived by hand as data for the page: verdicts, what is wrong, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..check.compare import Comparison, compared
from ..check.derivation import Line
from ..check.judge import alike
from ..check.numerical import numerical_gradient
from ..text import clean
from ..trace import Trace, Value
from ..trace.replay import Array, Replay
from .arrays import Data, array_data, number, places_shown

NUMERICAL = 64  # elements: the gradients of larger arrays are not computed numerically
LONG = 2000  # characters of a sentence
WORST = 20  # entries of a large array that are listed


def compared_with(
    run: Trace, cost: Value, values: Sequence[Value], manual: Mapping[Any, Any] | Comparison | None
) -> Comparison | None:
    """The hand gradients, held against those of the run."""
    if manual is None or isinstance(manual, Comparison):
        return manual
    if not isinstance(manual, Mapping):
        raise TypeError(
            f"manual is a mapping such as {{'dW1': array}}, or what ag.compare returned, not "
            f"{type(manual).__name__}"
        )
    if not np.all(np.isfinite(cost.array)):
        raise ValueError(f"the cost is {cost.array}, so there is no gradient to compare with")
    variables = run.numbers | {value.name: value.array for value in values if value.name}
    return compared(run, cost, manual, variables)


def manual_data(
    comparison: Comparison, replay: Replay, ids: Mapping[Value, int], most: int
) -> Data:
    """The hand gradients beside those of a run.

    Parameters
    ----------
    comparison : Comparison
    replay : Replay
        Of the run.
    ids : mapping of Value to int
        The values of the run that have a gradient, with their numbers in the page.
    most : int
        How many elements of an array are shown.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the comparison is about other data than the run.
    """
    lines = [(line, same_value(line, ids)) for line in comparison.lines]
    wrong = [ids[value] for line, value in lines if line.verdict == "wrong"]
    return {
        "title": clean(comparison.title, LONG),
        # what is said of a line, with its formula on a line of its own, stands at that line
        "notes": [clean(note, LONG) for note in comparison.notes if "\n" not in note],
        "first_wrong": wrong[0] if wrong else None,
        "lines": [
            {
                "node": ids[value],
                "name": clean(line.name),
                "verdict": line.verdict,
                "words": words(line, comparison),
                "hand": array_data(line.hand, most),
                "factor": factor(line, comparison),
                "scale": float(line.scale),
                "true": true_in_its_scale(line, value, most),
                "difference": f"{difference(line):.1e}",
                "wrong": wrong_entries(line, most),
                "worst": worst_entries(line),
                "formula": clean(line.formula, LONG),
                "sentences": [clean(x, LONG) for x in sentences(line)],
                "numerical": numerical(replay, value, most, line.scale),
            }
            for line, value in lines
        ],
    }


def same_value(line: Line, ids: Mapping[Value, int]) -> Value:
    """The value of a run that a line is about."""
    by_name = (value for value in ids if value.name == line.value.name is not None)
    value = line.value if line.value in ids else next(by_name, None)
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


def numerical(replay: Replay, value: Value, most: int, scale: float) -> Data | None:
    """The gradient by central differences, of a small array, in the scale of the one by hand."""
    if value.array.size > NUMERICAL or not replay.is_faithful:
        return None
    calls, seed = replay.after(value), replay.seed[replay.cost]

    def cost(x: Array) -> float:
        return float(np.sum(replay.forward(calls, {value: x})[replay.cost] * seed))

    found = numerical_gradient(cost, value.array.astype(float))
    return array_data(np.asarray(found * scale), most)


def words(line: Line, comparison: Comparison) -> str:
    """The verdict as a report has it: ``right, times m = 5``."""
    if line.verdict == "convention" and comparison.hint:
        row = comparison.rows[comparison.lines.index(line)]
        return clean(row[comparison.header.index("verdict")])
    return {"convention": "right", "follows": "may follow from it"}.get(line.verdict, line.verdict)


def factor(line: Line, comparison: Comparison) -> str:
    """What a gradient by hand is multiplied by, by convention: ``m = 5``; "" if by nothing."""
    if alike(line.scale, 1.0):
        return ""
    same = [other for other in comparison.lines if alike(other.scale, line.scale)]
    named = (words(other, comparison).partition(", times ")[2] for other in same)
    return next(filter(None, named), f"{line.scale:.6g}")


def true_in_its_scale(line: Line, value: Value, most: int) -> Data | None:
    """The true gradient times the constant of the one by hand; None if there is no such."""
    if alike(line.scale, 1.0):
        return None
    assert value.gradient is not None  # only such values are compared
    return array_data(np.asarray(value.gradient.array * line.scale), most)


def difference(line: Line) -> float:
    """How far a gradient by hand is from the true one, relative to the largest entry."""
    if line.array is None:
        return math.nan
    scale = np.max(np.abs(line.true), initial=0)
    off = np.max(np.abs(line.array / line.scale - line.true), initial=0)
    return float(off / scale if scale else off)


def wrong_entries(line: Line, most: int) -> list[int]:
    """Which of the entries that are shown are off, to the tolerance of the comparison.

    None are, as far as can be said, of an array that was read as another one, such as transposed.
    """
    hand, true = line.hand.astype(float), line.true
    as_it_is = hand.shape == true.shape and (line.array is None or np.array_equal(hand, line.array))
    if line.verdict not in ("wrong", "follows") or not as_it_is:
        return []
    off = np.min([np.abs(hand / line.scale - truth) for truth in line.truths], axis=0)
    right = (off <= line.tolerance).ravel()[places_shown(hand.shape, most)]
    return [int(i) for i in np.flatnonzero(~right)]


def worst_entries(line: Line) -> list[Data]:
    """The entries of a wrong gradient that are off most, the worst first."""
    if line.verdict not in ("wrong", "follows") or line.array is None:
        return []
    true = line.true * line.scale
    off = np.abs(line.array - true)
    worst = np.argsort(-off, axis=None, kind="stable")[:WORST]
    places = zip(*np.unravel_index(worst, true.shape), strict=True) if true.shape else [()]
    return [
        {
            "at": [int(i) for i in at],
            "hand": number(np.asarray(line.array)[at]),
            "true": number(np.asarray(true)[at]),
        }
        for at in places
        if off[at]
    ]


def sentences(line: Line) -> list[str]:
    """What is said about a wrong line."""
    if line.verdict == "follows":
        return [f"follows from {', '.join(line.follows_from)}"]
    found = [line.shape_finding.sentence] if line.shape_finding else []
    found += dict.fromkeys(explanation.sentence for explanation in line.explanations)
    if line.verdict == "wrong" and not found:
        return ["is wrong in a way that no known mistake explains"]
    return found
