"""Arrays as data for the page: all digits of their numbers, or of a large one the first ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..trace.replay import Array

Data = dict[str, Any]
HEAD = 16  # rows and columns that are shown of an array that is too large
FEW = 20  # elements: the page says what larger arrays are like
EXACT_IN_JSON = 2**53  # JavaScript rounds whole numbers beyond


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


def places_shown(shape: tuple[int, ...], most: int) -> Array:
    """The places of the entries of an array that are in the page, in rows and columns.

    All of them, in one row, if there are no more than ``most``; else the first rows and columns.
    """
    places = np.arange(math.prod(shape))
    if places.size <= most:
        return places.reshape(1, -1)
    side = max(1, min(HEAD, math.isqrt(most)))
    return places.reshape(-1, shape[-1])[:side, :side]


def array_data(array: Array, most: int) -> Data:
    """An array: whole, or if it has more than ``most`` elements its first rows and columns."""
    found: Data = {"shape": list(array.shape), "dtype": array.dtype.name}
    places = places_shown(array.shape, most)
    shown = numbers(array.reshape(-1)[places])
    if places.size == array.size:
        found["data"] = shown
    else:
        found["head"] = {"rows": places.shape[0], "columns": places.shape[1], "data": shown}
    return found | ({"stats": statistics(array)} if array.size > FEW else {})


def statistics(array: Array) -> Data:
    """What a large array is like; None of an empty one where there is no such number."""
    facts = dict.fromkeys(["min", "max", "mean", "norm"])
    if array.size and array.dtype.kind != "c":
        wide = array.astype(float)
        found = array.min(), array.max(), wide.mean(), np.sqrt(np.square(wide).sum())
        facts = dict(zip(facts, map(number, found), strict=True))
    bad = int(np.sum(~np.isfinite(array)))
    return {**facts, "zeros": int(np.sum(array == 0)), "nan": bad}
