"""Which entries of the operands made an entry of a result: found by trying, not by a table of ops.

Entry by entry, an op reads the entries at its own place, as broadcasting has it.  What only moves
entries is run once on arrays that hold their own places.  Anything else is run again with one entry
set to NaN, and what has changed depends on it: for a guess, which a formula must confirm, with a
few entries, and on small arrays with all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ..formulas import BOOKKEEPING
from ..trace import Call, Pull, Value
from ..trace.replay import chosen
from .forms import ALL, ELEMENTWISE, OTHER, Read, Reads, form_of

Array = Any
LARGEST = 4_000_000  # elements of operands and result: larger calls are not run again
ALL_TRIED = 500  # entries of an operand of which all are tried ...
PAIRS_TRIED = 100_000  # ... if it and the result have no more pairs of entries
TRIES = 6  # entries that are tried for a guess
MORE_TRIES = 30  # entries that are tried where no formula confirms it
MOST_PAIRS = 20_000  # that are listed one by one
REFUSALS = (ArithmeticError, IndexError, TypeError, ValueError)


class Computation(NamedTuple):
    """Recorded calls as one function of the arrays that they were run on."""

    calls: Sequence[Call]
    operands: list[Value]
    result: Value

    def run(self, arrays: Sequence[Array]) -> Array:
        """The result for other operands."""
        known = dict(zip(self.operands, arrays, strict=True))
        for call in self.calls:
            known[call.output] = call.run(*chosen(call, known))
        return known.get(self.result, self.result.array)


def reads_of_call(call: Call) -> Reads:
    """What made an entry of a call's output.

    Parameters
    ----------
    call : Call

    Returns
    -------
    Reads
        One read for each operand that is an array, in order.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> w = ag.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    >>> run = ag.trace(lambda: w @ np.ones((3, 4)))
    >>> form, _, (left, right) = reads_of_call(run.calls[0])
    >>> form, left.entries, right.entries  # y[i, j] from w[i, :] and x[:, j]
    ('product', (0, '*'), ('*', 1))
    """
    values = [x for x in call.operands if isinstance(x, Value)]
    apart = copy(call)  # an array that is used twice is two operands
    apart.operands = tuple([copy(x) if isinstance(x, Value) else x for x in call.operands])
    operands = [x for x in apart.operands if isinstance(x, Value)]
    found = reads_of(Computation([apart], operands, call.output))
    reads = [read._replace(value=value) for read, value in zip(found.reads, values, strict=True)]
    return found._replace(reads=reads)


def reads_of_share(share: Pull) -> Reads:
    """What made an entry of a share of a gradient.

    Parameters
    ----------
    share : Pull
        Of the backward pass.

    Returns
    -------
    Reads
        The incoming gradient first, then the other arrays that the rule asked for.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> w = ag.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    >>> run = ag.trace(lambda: (w @ np.ones((3, 4))).sum().backward())
    >>> form, _, (g, x) = reads_of_share(run[w].shares[0])
    >>> form, g.entries, x.entries  # dw[i, j] from g[i, :] and x[j, :]
    ('product', (0, '*'), (1, '*'))
    """
    g = share.call.output.gradient
    assert g is not None
    inside = {call.output for call in share.calls}
    outside = [x for call in share.calls for x in call.operands if isinstance(x, Value)]
    operands = list(dict.fromkeys([g, *(x for x in outside if x not in inside)]))
    return reads_of(Computation(share.calls, operands, share.result))


def reads_of(computation: Computation) -> Reads:
    """What made an entry of a computation's result."""
    operands, shape = computation.operands, computation.result.shape
    if all(map(keeps_places, computation.calls)):
        return Reads(ELEMENTWISE, "", [Read(x, aligned(x.shape, shape)) for x in operands])
    unknown = [everything(x) for x in operands]
    if computation.result.array.size + sum(x.array.size for x in operands) > LARGEST:
        return Reads(OTHER, "", unknown)
    try:
        with np.errstate(all="ignore"):
            return Search(computation).reads()
    except REFUSALS:  # it refuses other operands
        return Reads(OTHER, "", unknown)


# ---- entry by entry, and moved ------------------------------------------------------------------


def keeps_places(call: Call) -> bool:
    """Whether each entry of the output is made of those at its own place."""
    kind, first = call.primitive.kind, call.operands[0]
    same = isinstance(first, Value) and first.shape == call.output.shape
    return kind == "elementwise" or (same and kind in BOOKKEEPING)


def aligned(shape: tuple[int, ...], result: tuple[int, ...]) -> tuple[int | str, ...]:
    """The axes of a result that those of an operand become by broadcasting."""
    ahead = len(result) - len(shape)
    return tuple([ALL if n == 1 else ahead + axis for axis, n in enumerate(shape)])


def everything(value: Value) -> Read:
    """An array of which nothing is known but that it was read."""
    return Read(value, (ALL,) * value.array.ndim, exact=value.array.size == 1)


def moved(call: Call, rng: np.random.Generator) -> Array | None:
    """Where a call takes the entries of its output from, if it only moves them.

    The places are counted from 1 through all operands that hold floats; 0 is none.
    """
    floats = [x for x in call.operands if isinstance(x, Value) and x.dtype.kind == "f"]
    ends = np.cumsum([0, *(x.array.size for x in floats)])
    own = [np.arange(a, b).reshape(x.shape) + 1.0 for x, a, b in zip(floats, ends, ends[1:])]  # noqa: B905
    random = [rng.random(x.shape) for x in floats]
    try:
        places, sample = (
            call.run(*chosen(call, dict(zip(floats, x, strict=True)))) for x in (own, random)
        )
    except REFUSALS:
        return None
    inside = (places >= 0) & (places <= ends[-1]) & (places == np.floor(places))
    if places.dtype.kind != "f" or not np.all(inside):
        return None
    whole = places.astype(int)
    expected = np.concatenate([[0.0], *map(np.ravel, random)])[whole]
    return whole if np.array_equal(expected, sample) else None


# ---- trying -------------------------------------------------------------------------------------


class Search:
    """The search for the entries that made an entry of a result."""

    def __init__(self, computation: Computation) -> None:
        self.computation = computation
        self.rng = np.random.default_rng(0)
        self.recorded = [value.array for value in computation.operands]
        self.tame = [tamed(array, self.rng) for array in self.recorded]
        self.shape = computation.result.shape
        self.points = [(x, computation.run(x)) for x in (self.recorded, self.tame)]
        self._moves: dict[Call, Array | None] = {}

    def reads(self) -> Reads:
        """What made an entry: by moves where there is nothing else, else by tries."""
        operands = self.computation.operands
        places = [self.places_of(value) for value in operands]
        if all(x is not None and np.all(x >= 0) for x in places) and self.is_entrywise():
            return Reads(ELEMENTWISE, "", [self.moving(*pair) for pair in enumerate(places)])
        for ways in (self.guess, self.all_tried):
            reads = [ways(i) if x is None else self.moving(i, x) for i, x in enumerate(places)]
            found = form_of(reads, self.points, self.shape, self.rng)
            if found.form != OTHER:
                break
        return found

    def is_entrywise(self) -> bool:
        """Whether a formula of entries says it all: the rest only changes shapes."""
        rest = [c for c in self.computation.calls if c.primitive.kind != "elementwise"]
        some = len(rest) < len(self.computation.calls)
        return some and all(call.primitive.kind in BOOKKEEPING for call in rest)

    def places_of(self, operand: Value) -> Array | None:
        """For each entry of the result, the place of the one entry of an operand that made it.

        It is -1 where there is none; None stands for an operand that more was done with than moved.
        """
        known = {operand: np.arange(operand.array.size).reshape(operand.shape)}
        for call in self.computation.calls:
            inputs = [x for x in call.operands if isinstance(x, Value)]
            if known.keys().isdisjoint(inputs):
                continue
            found = self.through(call, [known.get(x, np.full(x.shape, -1)) for x in inputs])
            if found is None:
                return None
            known[call.output] = found
        return known.get(self.computation.result, np.full(self.shape, -1))

    def through(self, call: Call, places: list[Array]) -> Array | None:
        """The places from which a call's output comes, from those of its operands."""
        if keeps_places(call):
            first, *others = [np.broadcast_to(x, call.output.shape) for x in places]
            for other in others:
                if np.any((first != other) & (first >= 0) & (other >= 0)):
                    return None
                first = np.maximum(first, other)
            return first
        if call not in self._moves:
            self._moves[call] = moved(call, self.rng)
        if self._moves[call] is None:
            return None
        values = [x for x in call.operands if isinstance(x, Value)]
        pairs = list(zip(values, places, strict=True))
        if any(x.dtype.kind != "f" and np.any(at >= 0) for x, at in pairs):  # an index decides
            return None
        floats = [at.ravel() for x, at in pairs if x.dtype.kind == "f"]
        found: Array = np.concatenate([[-1], *floats])[self._moves[call]]
        return found

    def moving(self, i: int, places: Array) -> Read:
        """A read that is known by its places."""
        made = np.flatnonzero(places >= 0)
        return read_of(self.computation.operands[i], made, places.ravel()[made], self.shape)

    def touched(self, i: int, flat: int) -> Array:
        """The places of the result that depend on an entry of an operand."""
        found = np.zeros(math.prod(self.shape), bool)
        for arrays, before in self.points:
            x = arrays[i].copy()
            x.flat[flat] = another(x, flat)
            after = self.computation.run([*arrays[:i], x, *arrays[i + 1 :]])
            found |= ((after != before) & ((after == after) | (before == before))).ravel()
        return np.flatnonzero(found)

    def tried(self, i: int, places: Sequence[int]) -> tuple[Array, Array]:
        """Pairs of an entry of the result and one of an operand that it depends on."""
        made = [self.touched(i, flat) for flat in places]
        read = np.repeat(np.asarray(places, int), [len(x) for x in made])
        pairs = np.concatenate([*made, []]).astype(int), read
        order = np.lexsort(pairs[::-1])
        return pairs[0][order], pairs[1][order]

    def guess(self, i: int, tries: int = TRIES) -> Read:
        """A read of which a few entries were tried."""
        value = self.computation.operands[i]
        size = value.array.size
        try:
            made, read = self.tried(i, self.rng.choice(size, min(size, tries), replace=False))
        except REFUSALS:  # an index out of range, a label that is none
            return everything(value)
        if not len(made):
            return everything(value)
        return Read(value, moving_axes(made, read, value.shape, self.shape), exact=False)

    def all_tried(self, i: int) -> Read:
        """A read of which all entries were tried, or many of a large array."""
        value, result = self.computation.operands[i], self.computation.result
        made = [call.output for call in self.computation.calls]
        if any(x.dtype.kind not in "fc" for x in (value, result, *made)):
            return self.guess(i, MORE_TRIES)  # steps: that nothing changed does not say much
        size = value.array.size
        if size > ALL_TRIED or size * result.array.size > PAIRS_TRIED:
            return self.guess(i, MORE_TRIES)
        return read_of(value, *self.tried(i, range(size)), self.shape)


def read_of(value: Value, made: Array, read: Array, shape: tuple[int, ...]) -> Read:
    """A read as a pattern, or where there is none as a list, from all pairs of entries."""
    entries = moving_axes(made, read, value.shape, shape)
    size = math.prod(shape)
    along = math.prod(n for n, b in zip(value.shape, entries, strict=True) if b == ALL)
    if len(made) == size * along:
        return Read(value, entries)
    if len(made) > max(size, MOST_PAIRS):
        return Read(value, entries, exact=False)
    counts = np.bincount(made, minlength=size)
    places = np.full((size, counts.max(initial=0)), -1)
    places[made, np.arange(len(made)) - (np.cumsum(counts) - counts)[made]] = read
    return Read(value, entries, places)


def moving_axes(
    made: Array, read: Array, shape: tuple[int, ...], result: tuple[int, ...]
) -> tuple[int | str, ...]:
    """For each axis of an operand, that of the result with which all pairs move; else ALL."""
    there, here = (
        np.unravel_index(flat, lengths) if lengths else ()
        for flat, lengths in ((made, result), (read, shape))
    )
    return tuple(
        next(
            (
                b
                for b, m in enumerate(result)
                if m == n > 1 and np.array_equal(there[b], here[axis])
            ),
            ALL,
        )
        for axis, n in enumerate(shape)
    )


def another(x: Array, flat: int) -> Any:
    """What an entry of an array is changed to: NaN, or another of the entries if there is none."""
    if x.dtype.kind in "fc":
        return np.nan
    old = x.flat[flat]
    if x.dtype.kind == "b":
        return not old
    others = x[x != old]
    return others[0] if others.size else old + 1


def tamed(x: Array, rng: np.random.Generator) -> Array:
    """An array like another, of numbers that nothing is special about."""
    return np.asarray(rng.uniform(0.3, 0.7, x.shape), x.dtype) if x.dtype.kind == "f" else x
