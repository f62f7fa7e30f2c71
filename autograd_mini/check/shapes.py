"""Hand gradients of another shape than their tensor: how they are meant, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..trace.replay import Array

KINDS = ("row", "column")


class Reading(NamedTuple):
    """An array in the shape that it should have, and what was wrong with its shape, if anything."""

    array: Array
    causes: tuple[str, ...] = ()
    sentence: str = ""


def readings(hand: Array, true: Array, order: str) -> Iterator[Reading]:
    """The ways to read an array in the shape of the true gradient, the likeliest first."""
    shape, size = true.shape, true.size
    written = f"{hand.shape} where {shape} belongs"
    if hand.size == size:
        yield from rearranged(hand, shape, order, written)
    elif hand.size == 1:
        sentence = f"is one number where {shape} belongs: sum over the examples only"
        yield Reading(np.full(shape, hand.item()), ("sum over everything",), sentence)
    if hand.ndim == len(shape) == 2:
        yield from with_bias(hand, true, written)
        yield from blown_up(hand, shape, written)
    yield from not_summed(hand, shape, written)


def rearranged(hand: Array, shape: tuple[int, ...], order: str, written: str) -> Iterator[Reading]:
    """The same elements in another shape."""
    long_axes = [n for n in shape if n > 1]
    if hand.ndim <= 1 and (len(long_axes) > 1 or not shape):
        yield Reading(hand.reshape(shape, order=order))
        other = "F" if order == "C" else "C"
        yield Reading(
            hand.reshape(shape, order=other),
            ("column-major",),
            f"is unrolled in the other order: say order={other!r}",
        )
    elif hand.ndim == 2 and hand.shape == shape[::-1]:
        yield Reading(hand.T, ("transposed",), f"is transposed: it has shape {written}")
    elif list(np.squeeze(hand).shape) == long_axes:
        sentence = f"has shape {written}: " + (
            "use keepdims=True, or reshape it" if hand.ndim < len(shape) else "reshape it"
        )
        yield Reading(hand.reshape(shape), ("rank-1 array",), sentence)


def with_bias(hand: Array, true: Array, written: str) -> Iterator[Reading]:
    """One row or column too many or too few: that of the bias."""
    for axis, kind in enumerate(KINDS):
        if hand.shape[1 - axis] != true.shape[1 - axis]:
            continue
        if hand.shape[axis] == true.shape[axis] + 1:
            sentence = f"has one {kind} too many, {written}: that of the bias must go"
            yield Reading(np.delete(hand, 0, axis), ("bias row",), sentence)
            yield Reading(np.delete(hand, -1, axis), ("bias row",), sentence)
        if hand.shape[axis] == true.shape[axis] - 1:
            sentence = f"lacks the {kind} of the bias: it has shape {written}"
            with_it = np.concatenate([np.take(true, [0], axis), hand], axis)
            yield Reading(with_it, ("bias row",), sentence)


def blown_up(hand: Array, shape: tuple[int, ...], written: str) -> Iterator[Reading]:
    """A row and a column that broadcasting has made a matrix of."""
    size = max(shape)
    if hand.shape == (size, size) and 1 in shape:
        sentence = (
            f"was blown up by broadcasting to shape {written}: an array of shape ({size},) met one "
            f"of shape {shape}; use keepdims=True"
        )
        yield Reading(np.diagonal(hand).reshape(shape), ("broadcast",), sentence)
        yield Reading(hand[:1].reshape(shape), ("broadcast",), sentence)
        yield Reading(hand[:, :1].reshape(shape), ("broadcast",), sentence)


def not_summed(hand: Array, shape: tuple[int, ...], written: str) -> Iterator[Reading]:
    """One element for each example, where their sum belongs."""
    shapes = [(1,) * (hand.ndim - len(shape)) + shape, shape + (1,) * (hand.ndim - len(shape))]
    for padded in dict.fromkeys(shapes if hand.ndim >= len(shape) else []):
        axes = tuple(i for i, n in enumerate(padded) if n == 1 and hand.shape[i] > 1)
        if axes and all(n in (1, k) for n, k in zip(padded, hand.shape, strict=True)):
            where = " and ".join(map(str, axes))
            # of a single unit, the sum over the units is what is not summed over the examples
            causes = ("missing sum",) if max(padded) > 1 else ("missing sum", "wrong axis")
            yield Reading(
                hand.sum(axis=axes).reshape(shape),
                causes,
                f"is not summed over the examples: it has shape {written}; sum over axis {where}",
            )
