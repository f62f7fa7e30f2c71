"""Hand gradients of another shape than their tensor: how they are meant, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .replay import Array


class Reading(NamedTuple):
    """An array in the shape that it should have, and what was wrong with the shape, if anything."""

    array: Array
    cause: str = ""
    sentence: str = ""


def readings(hand: Array, true: Array, order: str) -> Iterator[Reading]:
    """The ways to read an array in the shape of the true gradient, the likeliest first."""
    shape = true.shape
    size = true.size
    written = f"{hand.shape} where {shape} belongs"
    long_axes = sum(n > 1 for n in shape)
    if hand.ndim == 1 and hand.size == size and (long_axes > 1 or not shape):
        yield Reading(hand.reshape(shape, order=order))  # type: ignore[call-overload]
        if order == "C":
            yield Reading(
                hand.reshape(shape, order="F"),
                "column-major",
                "is unrolled column by column: say order='F'",
            )
    if hand.size == size and np.squeeze(hand).shape == tuple(n for n in shape if n > 1):
        yield Reading(
            hand.reshape(shape),
            "rank-1 array"
            if hand.ndim < len(shape)
            else "transposed"
            if hand.ndim == 2
            else "shape",
            f"has shape {written}: "
            + ("use keepdims=True" if hand.ndim < len(shape) else "reshape"),
        )
    elif hand.ndim == 2 and hand.shape == shape[::-1]:
        yield Reading(hand.T, "transposed", f"is transposed: it has shape {written}")
    if hand.ndim == len(shape) == 2:
        for axis in (0, 1):
            other = 1 - axis
            if hand.shape[other] == shape[other] and hand.shape[axis] == shape[axis] + 1:
                part = (slice(None),) * axis
                kind = ("row", "column")[axis]
                sentence = f"has one {kind} too many, {written}: the bias {kind} must go"
                yield Reading(hand[(*part, slice(1, None))], "bias row", sentence)
                yield Reading(hand[(*part, slice(None, -1))], "bias row", sentence)
            if hand.shape[other] == shape[other] and hand.shape[axis] == shape[axis] - 1:
                kind = ("row", "column")[axis]
                bias = np.take(true, [0], axis)
                yield Reading(
                    np.concatenate([bias, hand], axis),
                    "bias row",
                    f"lacks the {kind} of the bias: it has shape {written}",
                )
    if hand.ndim == len(shape) == 2 and hand.shape[0] == hand.shape[1] and 1 in shape:
        for line in (hand[:1], hand[:, :1]):
            if line.size == size:
                yield Reading(
                    line.reshape(shape),
                    "broadcast",
                    f"was blown up by broadcasting to shape {written}: an array of shape ({size},) "
                    f"met one of shape {shape}; use keepdims=True",
                )
    if hand.ndim >= len(shape):
        padded = (1,) * (hand.ndim - len(shape)) + shape
        axes = tuple(i for i, n in enumerate(padded) if n == 1 and hand.shape[i] > 1)
        if axes and all(n in (1, k) for n, k in zip(padded, hand.shape, strict=True)):
            yield Reading(
                hand.sum(axis=axes, keepdims=True).reshape(shape),
                "missing sum",
                f"is not summed over the examples: it has shape {written}; sum over "
                f"axis {', '.join(map(str, axes))} with keepdims=True",
            )
    if hand.ndim == 1 and len(shape) == 1 and hand.size != size:
        return
    if hand.ndim == 2 and len(shape) == 1 and hand.shape[0] == shape[0]:
        yield Reading(
            hand.sum(axis=1), "missing sum", f"is not summed over axis 1: it has shape {written}"
        )
    if hand.size == 1 and size > 1:
        yield Reading(
            np.full(shape, hand.item()),
            "sum over everything",
            f"is one number where {shape} belongs: sum over the examples only",
        )
