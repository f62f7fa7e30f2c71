"""What is done to the steps of a capture before they become a program: each pass is one function.

None of them changes a bit of any result, and a write is a barrier for all of them: what was read
before it is not what is read after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from .capture import Step, Variable, frozen

Instead = dict[Variable, Variable]


def own_arrays(steps: Iterable[Step], wanted: Iterable[Variable]) -> set[Variable]:
    """The arrays that nothing else may stand for: they are written in place, or handed out."""
    written = {x.root for step in steps for x in step.written}
    return written | {x.root for x in wanted}


def without_constants(steps: Collection[Step], wanted: Iterable[Variable]) -> list[Step]:
    """Leave out what depends on shapes alone: its result is there once and for all."""
    own = own_arrays(steps, wanted)
    left = []
    for step in steps:
        result = step.result
        constant = step.operands and all(
            not isinstance(x, Variable) or x.kind == "constant" for x in step.operands
        )
        if (
            result is None
            or result.root in own
            or step.draws
            or not (step.kind == "constant" or constant)
        ):
            left.append(step)
        else:
            result.kind = "constant"
            result.root = result
            result.array = result.array.copy()
    return left


class Versions:
    """How often arrays were written, so that what was read before is told from what is read after.

    Which arguments share memory with others is known at a replay only, so a write into one counts
    as a write into all arrays from outside.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._outside = {
            x.root for step in steps for x in step.variables if x.root.kind == "outside"
        }
        self._writes: Counter[Variable] = Counter()
        self._any = 0

    def write(self, step: Step) -> None:
        """Note what a step may write."""
        for root in {x.root for x in step.written}:
            self._writes[root] += 1
            if root.kind == "result":
                continue
            self._any += 1
            for other in self._outside:
                if root.kind == "input" or np.may_share_memory(root.array, other.array):
                    self._writes[other] += 1

    def of(self, x: Variable) -> int:
        """How often an array has been written, or may have been."""
        return self._any if x.root.kind == "input" else self._writes[x.root]


def merged(steps: Collection[Step], wanted: Iterable[Variable], instead: Instead) -> list[Step]:
    """Leave out a call that an earlier one has made with the same operands.

    What stands for the results that are left out is entered in ``instead``.
    """
    own, versions = own_arrays(steps, wanted), Versions(steps)
    known: dict[Any, Variable] = {}
    left = []
    for step in steps:
        step.operands = [instead.get(x, x) if isinstance(x, Variable) else x for x in step.operands]
        versions.write(step)
        result = step.result
        if result is not None:
            result.root = instead.get(result.root, result.root)
            key = (
                id(step.primitive),
                *[(id(x), versions.of(x)) if isinstance(x, Variable) else frozen(x)
                  for x in step.operands],
                frozen(dict(step.statics)),
            )  # fmt: skip
            if not step.draws and (result.root is not result or result not in own):
                if key in known:
                    instead[result] = known[key]
                    continue
                known[key] = result
        left.append(step)
    return left


def needed(steps: list[Step], wanted: Iterable[Variable]) -> list[Step]:
    """Leave out what nobody wants: all that leads neither to results nor to writes nor to guards.

    A kernel that is whole stays: it may raise if something is wrong with what it is given.
    """
    useful = {y for x in wanted for y in (x, x.root)}
    left = []
    for step in reversed(steps):
        if step.result is not None:
            stays = step.result in useful or step.draws or step.may_raise
        else:
            stays = not step.written or any(
                x.root.kind != "result" or x.root in useful for x in step.written
            )
        if stays:
            left.append(step)
            useful.update(y for x in (*step.variables, *step.written) for y in (x, x.root))
    return left[::-1]


def written_at_once(steps: list[Step], wanted: Iterable[Variable]) -> list[Step]:
    """Let a call whose only use is to be written somewhere write there itself."""
    uses = Counter(x for step in steps for x in step.variables)
    uses.update(wanted)
    left: list[Step] = []
    for step in steps:
        before = left[-1] if left else None
        if (
            before is not None
            and step.kind == "write"
            and step.statics["key"] is ...
            and before.elementwise
            and before.result is step.operands[0]
            and before.result.kind == "result"
            and uses[before.result] == 1
            and step.target is not None
            and step.target.array.shape == before.result.array.shape
            and step.target.array.dtype == before.result.array.dtype
        ):
            before = left.pop()
            left.append(Step(before.primitive, before.operands, {}, None, step.target, step.source))
        else:
            left.append(step)
    return left


def rooms(steps: list[Step], wanted: Iterable[Variable]) -> tuple[dict[Variable, int], list[int]]:
    """Find a place for each result that is written into a buffer: which, and how large they are.

    An elementwise call takes the place of an operand that nobody needs after it.  Else a result
    takes the smallest place that is free and large enough, or enlarges the largest one.
    """
    last = last_uses(steps, wanted)
    place: dict[Variable, int] = {}
    sizes: list[int] = []
    free: list[int] = []
    for i, step in enumerate(steps):
        result = step.result
        dying = [x for x in dict.fromkeys(x.root for x in step.variables) if last[x] == i]
        if result is not None and result.root is result and step.has_out:
            over = [x for x in step.variables if step.elementwise and x in dying and x in place]
            over = [x for x in over if alike(x.array, result.array)]
            if over:
                place[result] = place[over[0]]
                dying.remove(over[0])
            else:
                place[result] = taken(free, sizes, result.array.nbytes)
            if last[result] == i:
                dying.append(result)
        free += [place[x] for x in dying if x in place]
    return place, sizes


def taken(free: list[int], sizes: list[int], size: int) -> int:
    """A free place for so many bytes, or a new one."""
    fitting = [i for i in free if sizes[i] >= size]
    if fitting:
        chosen = min(fitting, key=sizes.__getitem__)
    elif free:
        chosen = max(free, key=sizes.__getitem__)
        sizes[chosen] = size
    else:
        sizes.append(size)
        return len(sizes) - 1
    free.remove(chosen)
    return chosen


def last_uses(steps: list[Step], wanted: Iterable[Variable]) -> dict[Variable, int]:
    """The last step that uses each array or a view of it."""
    last: dict[Variable, int] = {}
    for i, step in enumerate(steps):
        for x in (*step.variables, step.result, step.target):
            if x is not None:
                last[x.root] = i
    return last | {x.root: len(steps) for x in wanted}


def alike(a: Any, b: Any) -> bool:
    """Whether two arrays differ in nothing but their numbers."""
    return bool(a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype)
