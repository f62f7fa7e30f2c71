"""What arrays from outside were made of, as far as their memory and the user's program show."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

import numpy as np

from ..core import ops
from .targets import called
from .values import Call, Derived, Value


def complement(x: Any) -> Any:
    """1 - x."""
    return ops.subtract(1, x)


def negated(x: Any) -> Any:
    """-x."""
    return ops.negative(x)


#: What users make of their data in plain NumPy, on the way into a formula.
COMPUTED: tuple[Callable[[Any], Any], ...] = (complement, negated)


def derived_from_others(
    calls: Iterable[Call], values: Iterable[Value], names: Mapping[Value, str]
) -> dict[Value, Derived]:
    """Find what arrays from outside without a name were made of.

    ``Y.T`` is told by its memory, which is that of ``Y``.  ``1 - Y`` and ``-Y`` are told by the
    line of the program that takes them, if that says so and their numbers do: numbers alone would
    make any zeros 1 minus some ones.  Where no line is known they have to be of several values.
    """
    inputs = [x for x in values if x.kind == "input" and x.array.size and x.dtype.kind in "iuf"]
    sources = [y for y in inputs if y in names]
    unnamed = {x for x in inputs if x not in names}
    found: dict[Value, Derived] = {}
    for x in unnamed:
        alike = [Derived(ops.transpose, y) for y in sources if is_transposed(x, y)]
        if len(alike) == 1:
            found[x] = alike[0]
    for call in calls:
        for x in {*call.arrays} & unnamed - {*found}:
            alike = [
                Derived(function, y)
                for y in sources
                for function in COMPUTED
                if is_made(x.array, function, y.array)
                and says(call, function, names[y])
                and (call.place or np.any(x.array != x.array.flat[0]))
            ]
            if len(alike) == 1:
                found[x] = alike[0]
    return found


def is_made(x: Any, function: Callable[[Any], Any], y: Any) -> bool:
    """Whether a function of an array gives another; the first elements tell most that differ."""
    first = (slice(1),) * x.ndim
    return x.shape == y.shape and same(function(y[first]), x[first]) and same(function(y), x)


def says(call: Call, function: Callable[[Any], Any], name: str) -> bool:
    """Whether the user's program has ``1 - Y`` or ``-Y`` of something called so, at a call.

    A graph that nobody traced knows no lines of a program, and has its numbers alone.
    """
    if call.place is None:
        return True
    tree = running(call)
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.BinOp(ast.Constant(value=1), ast.Sub(), operand) if function is complement:
                pass
            case ast.UnaryOp(ast.USub(), operand) if function is negated:
                pass
            case _:
                continue
        if called(operand) == name.rpartition(".")[2]:
            return True
    return False


def first_values(
    calls: Iterable[Call], names: Mapping[Value, str], turned: Container[str]
) -> dict[Value, str]:
    """What variables of a loop held before its first turn: the ``h`` of ``np.tanh(W @ h)`` is h0.

    The program's own operator takes the variable there, whose later values are h1, h2, ...
    """
    found: dict[str, set[Value]] = {}
    for call in calls:
        new = [x for x in call.arrays if x.kind == "input" and x not in names and not x.derived]
        match running(call) if new and len(call.operands) == 2 else None:
            case ast.BinOp(left=left, right=right):
                for operand, value in zip((left, right), call.operands, strict=True):
                    if isinstance(operand, ast.Name) and value in new:
                        found.setdefault(operand.id, set()).add(value)
    return {
        value: f"{target}{between}0"
        for target, (value, *others) in found.items()
        for between in ("", "_")
        if f"{target}{between}1" in turned
        and not others
        and f"{target}{between}0" not in names.values()
    }


def running(call: Call) -> ast.AST | None:
    """What the user's program was doing: an expression, or a statement such as ``J += lam * w``.

    Python knows the columns of each instruction: they lead to the expression as it was written.
    """
    if call.place is None:
        return None
    file, first, last, start, end = call.place.span
    if first is None or last is None or start is None or end is None:
        return None
    lines = [linecache.getline(file, i).encode() for i in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    text = b"".join(lines).decode(errors="replace")
    for source in (f"({text}\n)", text):
        try:
            (statement,) = ast.parse(source).body
        except (SyntaxError, ValueError):  # not to be had, or no longer what it was
            continue
        return statement.value if isinstance(statement, ast.Expr) else statement
    return None


def is_transposed(x: Value, y: Value) -> bool:
    """Whether an array is ``y.T``: the same numbers in the same memory."""
    live, turned = x.live, y.live.T
    return (
        isinstance(live, np.ndarray)
        and isinstance(turned, np.ndarray)
        and live.ndim > 1
        and (live.shape, live.strides) == (turned.shape, turned.strides)
        and live.ctypes.data == turned.ctypes.data
        and same(x.array, y.array.T)
    )


VIEWED = 100_000  # elements of an array that parts of it are looked for in


def views(values: Iterable[Value], others: Iterable[Value]) -> dict[Value, Derived]:
    """Find the arrays without a name that are a part of one with a name, in the same memory."""
    inputs = [x for x in values if x.kind == "input" and type(x.live) is np.ndarray and x.live.size]
    sources = [x for x in (*inputs, *others) if x.name and x.live.size <= VIEWED]
    found: dict[Value, Derived] = {}
    for x in inputs:
        for y in sources if not x.name else ():
            part = part_of(x.live, y.live) if np.may_share_memory(x.live, y.live) else None
            if part and same(part(y.array), x.array):
                found.setdefault(x, Derived(part, y))
    return found


def part_of(x: Any, whole: Any) -> Callable[[Any], Any] | None:
    """What makes an array of another one: a row, a column, a block of them, another shape."""
    start = x.ctypes.data - whole.ctypes.data
    keys: list[Any] = [()]
    for axis in range(min(whole.ndim, 2)):
        if whole.strides[axis] > 0:
            i = start // whole.strides[axis]
            n = x.size * whole.shape[axis] // whole.size
            keys += [(slice(None),) * axis + (part,) for part in (i, slice(i, i + n))]
    for key in keys:
        try:
            part = np.asarray(whole[key])
        except IndexError:
            continue
        if (
            part.size != x.size
            or part.ctypes.data != x.ctypes.data
            or not same(part.reshape(x.shape), x)
        ):
            continue
        simple = key[0] if len(key) == 1 else key
        return functools.partial(taken, key=simple if key else None, shape=x.shape)
    return None


def taken(y: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """A part of an array, in a shape."""
    y = y if key is None else ops.getitem(y, key=key)
    return y if y.shape == shape else ops.reshape(y, shape=shape)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same bits."""
    a, b = np.asarray(a), np.asarray(b)
    return bool(a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())
