"""What shape a reader takes a formula to have, where reshapes and repetitions are not written.

``x + b`` is read with NumPy's broadcasting, so that it need not say that ``b`` is repeated, and
``sum(X, axis=1)`` is a column or a vector, as it fits.  `Seen` tells how the axes of what is
written lie in those of what is meant; where a reader would put them elsewhere, the formula has to
say more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from numpy import broadcast_shapes

from ..core import ops

Shape = tuple[int, ...]


class Seen(NamedTuple):
    """The shape of what is written.

    What is meant has its entries in the same order, repeated along the axes that are not written.

    Attributes
    ----------
    shape : tuple of int
    axes : tuple of int
        For each of its axes, the axis of what is meant, counted from the end; of no importance for
        an axis of length 1.
    loose : tuple of int
        The axes of length 1 that sums have left, counted from the end: a reader drops them, if what
        stands beside has no place for them.
    """

    shape: Shape
    axes: tuple[int, ...]
    loose: tuple[int, ...] = ()

    @property
    def long(self) -> list[tuple[int, int]]:
        """The axes that matter, in the shape, and in what is meant; counted from the end."""
        n = len(self.shape)
        return [(i - n, self.axes[i]) for i in range(n) if self.shape[i] != 1]

    @property
    def is_aligned(self) -> bool:
        """Whether broadcasting alone makes what is meant of what is written."""
        return all(here == there for here, there in self.long)

    def dropped(self) -> Seen:
        """Without the axes that sums have left."""
        n = len(self.shape)
        kept = [i for i in range(n) if i - n not in self.loose]
        return Seen(tuple([self.shape[i] for i in kept]), tuple([self.axes[i] for i in kept]))

    def moved(self, to: dict[int, int]) -> Seen:
        """The same text for something that has the axes of what is meant in other places."""
        long = dict(self.long)
        n = len(self.shape)
        axes = [to[long[i - n]] if i - n in long else i - n for i in range(n)]
        return self._replace(axes=tuple(axes))


NUMBER = Seen((), ())


def as_it_is(shape: Shape) -> Seen:
    """What is written is what is meant."""
    return Seen(shape, tuple(range(-len(shape), 0)))


def renamed(before: Shape, after: Shape) -> dict[int, int] | None:
    """Where the axes are after a reshape that adds or removes some of length 1; None for others."""
    old = [i - len(before) for i, n in enumerate(before) if n != 1]
    new = [i - len(after) for i, n in enumerate(after) if n != 1]
    same = [before[i] for i in old] == [after[i] for i in new]
    return dict(zip(old, new, strict=True)) if same else None


def together(seens: Sequence[Seen]) -> Seen | None:
    """How a reader understands operands of an elementwise op; None if it is not as it is meant."""
    rank = max((len(x.shape) for x in seens if not x.loose), default=0)
    fitting = [x.dropped() if x.loose and 0 < rank < len(x.shape) else x for x in seens]
    try:
        shape = broadcast_shapes(*[x.shape for x in fitting])
    except ValueError:
        return None
    places: dict[int, int] = {}
    for x in fitting:
        for here, there in x.long:
            if places.setdefault(here, there) != there:
                return None
    in_order = [places[i] for i in sorted(places)]
    if in_order != sorted({*in_order}):
        return None
    axes = tuple([places.get(i, i) for i in range(-len(shape), 0)])
    arrays = [x for x in fitting if x.shape]
    alike = len({(x.loose, len(x.shape)) for x in arrays}) == 1
    return Seen(shape, axes, arrays[0].loose if alike else ())


def reduced(shape: Shape, axis: ops.Axis, keepdims: bool) -> Seen:
    """What is written of a reduction along some axes of an array: they have length 1."""
    gone = ops.normalized(axis, len(shape))
    left = [i - len(shape) for i in range(len(shape)) if i not in gone]
    to = {i: i if keepdims else k - len(left) for k, i in enumerate(left)}
    kept = tuple([1 if i in gone else n for i, n in enumerate(shape)])
    loose = tuple([i - len(shape) for i in gone])
    axes = tuple([to.get(i, i) for i in range(-len(shape), 0)])
    return Seen(kept, axes, loose)


def turned(seen: Seen, order: Sequence[int]) -> Seen:
    """The same text for something with its axes in another order: a vector is a row or a column."""
    n = len(order)
    return seen.moved({axis - n: place - n for place, axis in enumerate(order)})


def multiplied(a: Seen, b: Seen) -> Seen:
    """What is written of a product of matrices, in which a vector is a column."""
    first, second = [(*x.shape, 1) if len(x.shape) == 1 else x.shape for x in (a, b)]
    shape = (*broadcast_shapes(first[:-2], second[:-2]), first[-2], second[-1])
    axes = tuple(range(-len(shape), 0))
    return Seen(shape[:-1], axes[:-1]) if len(b.shape) == 1 else Seen(shape, axes)


def multiplied_in_python(a: Seen, b: Seen) -> Seen:
    """What is written of a product as NumPy has it: a vector in front is a row."""
    if len(a.shape) > 1:
        return multiplied(a, b)
    if len(b.shape) == 1:
        return NUMBER
    return Seen((*b.shape[:-2], b.shape[-1]), (*b.axes[:-2], -1))


def index_to(seen: Seen, shape: Shape) -> str:
    """The key that gives what is written the axes of what is meant: ``:, None``."""
    here = [-len(seen.shape) - 1, *(i for i, _ in seen.long), 0]
    there = [-len(shape) - 1, *(i for _, i in seen.long), 0]
    parts: list[str] = []
    for i in range(len(here) - 1):
        ones, wanted = here[i + 1] - here[i] - 1, there[i + 1] - there[i] - 1
        parts += ["0"] * (ones - wanted) + ["None"] * (wanted - ones) + [":"] * min(ones, wanted)
        parts += [":"] * (i < len(here) - 2)
    while parts[-1] == ":" and "0" in parts:
        parts.pop()
    return ", ".join(parts)


def size(shape: Shape) -> int:
    """How many elements there are."""
    return math.prod(shape)
