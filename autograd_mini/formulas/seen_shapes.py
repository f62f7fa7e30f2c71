"""What shape a reader takes a formula to have, where reshapes and repetitions are not written.

``x + b`` is read with NumPy's broadcasting, so that it need not say that ``b`` is repeated.
`Seen` tells how the axes of what is written lie in those of what is meant; where a reader would put
them elsewhere, the formula has to say more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from numpy import broadcast_shapes

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
    """

    shape: Shape
    axes: tuple[int, ...]

    @property
    def long(self) -> list[tuple[int, int]]:
        """The axes that matter, in the shape, and in what is meant; counted from the end."""
        n = len(self.shape)
        return [(i - n, self.axes[i]) for i in range(n) if self.shape[i] != 1]

    @property
    def is_aligned(self) -> bool:
        """Whether broadcasting alone makes what is meant of what is written."""
        return all(here == there for here, there in self.long)

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
    try:
        shape = broadcast_shapes(*[x.shape for x in seens])
    except ValueError:
        return None
    places: dict[int, int] = {}
    for x in seens:
        for here, there in x.long:
            if places.setdefault(here, there) != there:
                return None
    in_order = [places[i] for i in sorted(places)]
    if in_order != sorted({*in_order}):
        return None
    return Seen(shape, tuple([places.get(i, i) for i in range(-len(shape), 0)]))


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


def key_to(seen: Seen, shape: Shape) -> tuple[slice | int | None, ...]:
    """The key that gives what is written the axes of what is meant: ``[:, None]``."""
    here = [-len(seen.shape) - 1, *(i for i, _ in seen.long), 0]
    there = [-len(shape) - 1, *(i for _, i in seen.long), 0]
    parts: list[slice | int | None] = []
    for i in range(len(here) - 1):
        ones, wanted = here[i + 1] - here[i] - 1, there[i + 1] - there[i] - 1
        parts += [0] * (ones - wanted) + [None] * (wanted - ones)
        parts += [slice(None)] * (min(ones, wanted) + (i < len(here) - 2))
    while parts[-1] == slice(None) and 0 in parts:
        parts.pop()
    return tuple(parts)


def size(shape: Shape) -> int:
    """How many elements there are."""
    return math.prod(shape)
