"""What a graph has kept of the arrays of a run, and what can be inferred of the others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core import graph
from ..core.graph import Node
from .values import Call, Value


def array_of(operand: Any) -> Any:
    """The array of a value; a number as it is."""
    return operand.array if isinstance(operand, Value) else operand


def kept_arrays(order: Iterable[Node]) -> dict[Node, Any]:
    """The arrays of nodes that they themselves or those computed from them have saved."""
    kept = {}
    for node in order:
        for owner, saved in zip((*node.parents, node), node.saved or (), strict=False):
            if owner is not None and saved is not None and not written_since(saved, node):
                kept[owner] = saved
    return kept


def written_since(array: Any, node: Node) -> bool:
    """Whether the engine has written an array after a node was computed."""
    return graph.writes.newest > node.serial and graph.writes.since(array, node.serial)


def operand_shape(node: Node, position: int) -> Any:
    """The shape of an operand that was not kept, as far as it is known."""
    if node.primitive.variadic:
        return node.statics["likes"][position - len(node.primitive.operands) + 1].shape
    return node.shape if node.primitive.kind == "elementwise" else ()


def inferred(node: Node, operands: list[Any], position: int, y: Any) -> tuple[Any, bool] | None:
    """The operand that makes a call give ``y``, and whether it must be that one.

    No rule asks for it, so it can only be added, multiplied by something, or moved.  What makes no
    difference to the result, or hardly any, is not certain; None if nothing can be told.
    """
    call = Call(node.primitive, tuple(operands), node.statics, "forward", None, None)

    def result(x: Any) -> Any:
        arrays = [x if i == position else array_of(other) for i, other in enumerate(operands)]
        return call.run(*arrays)

    shape = operand_shape(node, position)
    epsilon = np.finfo(y.dtype).eps
    try:
        with np.errstate(all="ignore"):
            offset = result(np.zeros(shape, y.dtype))
            noise = 8 * epsilon * max(np.max(np.abs(z), initial=0) for z in (y, offset))
            x = np.zeros(shape, y.dtype)
            if node.primitive.kind == "elementwise":
                slope = result(np.ones(shape, y.dtype)) - offset
                told = slope != 0
                x[told] = ((y - offset) / slope)[told]
            else:
                places = result(np.arange(1, math.prod(shape) + 1).reshape(shape)) - offset
                told = np.zeros(shape, bool)
                told.flat[places[places > 0].astype(int) - 1] = True
                x.flat[places[places > 0].astype(int) - 1] = y[places > 0]
            same = np.allclose(result(x), y, rtol=64 * epsilon, atol=noise)
            certain = bool(np.all(told)) and noise <= 1e-5 * np.max(np.abs(x), initial=0)
            if certain and node.primitive.kind == "elementwise" and np.ptp(x) <= noise:
                return shortest(float(np.mean(x)), noise), True  # such as the 1 of 1 - A
    except (TypeError, ValueError):  # another operand is unknown too, or the shape
        return None
    return (x, certain) if same else None


def shortest(x: float, noise: float) -> float:
    """The number with the fewest digits that a number can be meant to be."""
    candidates = (float(f"{x:.{digits}g}") for digits in range(1, 18))
    return next(y for y in candidates if abs(y - x) <= noise or y == x)
