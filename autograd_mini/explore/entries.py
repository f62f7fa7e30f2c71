"""Which entries of the operands made an entry of a result: found by trying, not by a table of ops.

One entry of an operand is set to NaN, the calls that a `Trace` has recorded are run again, and what
has changed depends on it.  A few such probes tell, axis by axis, whether the entry moves with an
axis of the result (``X[0, :]`` makes ``dW1[:, 0]``) or all entries along the axis are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..symbols import BOOKKEEPING
from ..trace import Call, Pull, Value

Array = Any
Entries = tuple[int | str, ...]  # per axis: the axis of the result that it moves with, or ALL
ALL = "*"
LARGEST = 4_000_000  # elements of operands and result: larger calls are not run again
TRIES = 4  # random entries that are tried for one that the result depends on
CHECKS = 3  # random entries on which a pattern, or a form, is verified


class Read(NamedTuple):
    """An array that a result was made from, and which of its entries made one of the result's."""

    value: Value
    entries: Entries


class Reads(NamedTuple):
    """What made an entry of a result.

    Attributes
    ----------
    form : {"elementwise", "product", "sum", "other"}
        How: from one entry of each array by the formula itself, as the sum of the products of two
        arrays' entries, as the sum of one array's entries, or in another way.
    reads : list of Read
        The arrays.
    """

    form: str
    reads: list[Read]


class Computation(NamedTuple):
    """Recorded calls as one function of the arrays that they were run on."""

    calls: Sequence[Call]
    operands: list[Value]
    function: Callable[[Sequence[Array]], Array]
    result: Array


def reads_of_call(call: Call) -> Reads:
    """What made an entry of a call's output.

    Parameters
    ----------
    call : Call
        Of the forward pass.

    Returns
    -------
    Reads
        One read for each operand that is an array, in order.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> w = ag.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    >>> run = ag.trace(lambda: w @ np.ones((3, 4)))
    >>> form, (left, right) = reads_of_call(run.calls[0])
    >>> form, left.entries, right.entries  # y[i, j] from w[i, :] and x[:, j]
    ('product', (0, '*'), ('*', 1))
    """
    places = [i for i, operand in enumerate(call.operands) if isinstance(operand, Value)]

    def function(arrays: Sequence[Array]) -> Array:
        operands = list(call.operands)
        for place, array in zip(places, arrays, strict=True):
            operands[place] = array
        return call.run(*operands)

    values = [call.operands[place] for place in places]
    return probed(Computation([call], values, function, call.output.array))


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
    >>> form, (g, x) = reads_of_share(run[w].shares[0])
    >>> form, g.entries, x.entries  # dw[i, j] from g[i, :] and x[j, :]
    ('product', (0, '*'), (1, '*'))
    """
    g = share.call.output.gradient
    assert g is not None
    inside = {call.output for call in share.calls}
    outside = [x for call in share.calls for x in call.operands if isinstance(x, Value)]
    operands = list(dict.fromkeys([g, *(x for x in outside if x not in inside)]))

    def function(arrays: Sequence[Array]) -> Array:
        known = dict(zip(operands, arrays, strict=True))
        for call in share.calls:
            given = [known.get(x, x.array) if isinstance(x, Value) else x for x in call.operands]
            known[call.output] = call.run(*given)
        return known.get(share.result, share.result.array)

    return probed(Computation(share.calls, operands, function, share.result.array))


def probed(computation: Computation) -> Reads:
    """Find out what made an entry of a computation's result."""
    rng = np.random.default_rng(0)
    recorded = [value.array for value in computation.operands]
    patterns = [(ALL,) * array.ndim for array in recorded]
    form = "other"
    if computation.result.size + sum(array.size for array in recorded) <= LARGEST:
        tame = [tamed(array, rng) for array in recorded]
        try:
            with np.errstate(all="ignore"):
                for i, array in enumerate(recorded):
                    probes = (Probe(computation.function, x, i, rng) for x in (recorded, tame))
                    found = (probe.pattern() for probe in probes if array.ndim and array.size)
                    patterns[i] = next((entries for entries in found if entries), patterns[i])
                form = form_of(computation, patterns, tame, rng)
        except (ArithmeticError, IndexError, TypeError, ValueError):  # it refuses such operands
            pass
    reads = [Read(*read) for read in zip(computation.operands, patterns, strict=True)]
    return Reads(form, reads)


# ---- patterns -----------------------------------------------------------------------------------


class Probe:
    """A computation, to be run again with one entry of one of its arrays changed."""

    def __init__(
        self,
        function: Callable[[Sequence[Array]], Array],
        arrays: Sequence[Array],
        i: int,
        rng: np.random.Generator,
    ) -> None:
        self.function = function
        self.arrays = list(arrays)
        self.i = i
        self.x = arrays[i]
        self.rng = rng
        self.before = function(arrays)

    def touched(self, at: tuple[int, ...]) -> list[int | None] | None:
        """Where the result depends on an entry; None if it does not.

        For each axis of the result this is an index, or None where there are several.
        """
        self.arrays[self.i] = self.x.copy()
        self.arrays[self.i][at] = another(self.x, at)
        after, before = self.function(self.arrays), self.before
        where = np.argwhere((after != before) & ((after == after) | (before == before)))
        if not len(where):
            return None
        return [
            int(where[0, b]) if n > 1 and np.all(where[:, b] == where[0, b]) else None
            for b, n in enumerate(before.shape)
        ]

    def random_entry(self) -> tuple[int, ...]:
        """Some entry of the array."""
        return tuple(int(self.rng.integers(n)) for n in self.x.shape)

    def pattern(self) -> Entries | None:
        """Which entries make an entry of the result, axis by axis; None if no probe could tell."""
        for at in (self.random_entry() for _ in range(TRIES)):
            touched = self.touched(at)
            if touched is not None:
                entries = tuple(self.moving(axis, at, touched) for axis in range(self.x.ndim))
                return entries if self.holds(entries) else None
        return None

    def moving(self, axis: int, at: tuple[int, ...], touched: list[int | None]) -> int | str:
        """The axis of the result along which something moves if the entry moves along ``axis``."""
        n, places = self.x.shape[axis], enumerate(zip(touched, self.before.shape, strict=True))
        candidates = [b for b, (place, m) in places if m == n and place == at[axis]]
        for step in range(1, min(n, TRIES)) if candidates else ():
            beside = (*at[:axis], (at[axis] + step) % n, *at[axis + 1 :])
            there = self.touched(beside)
            if there is not None:
                return next((b for b in candidates if there[b] == beside[axis]), ALL)
        return ALL

    def holds(self, entries: Entries) -> bool:
        """Whether a few random entries touch nothing that a pattern excludes."""
        for at in (self.random_entry() for _ in range(CHECKS)):
            touched = self.touched(at)
            for place, b in zip(at, entries, strict=True):
                if touched is not None and isinstance(b, int) and touched[b] != place:
                    return False
        return True


def another(x: Array, at: tuple[int, ...]) -> Any:
    """What an entry of an array is changed to: NaN, or another of the entries if there is none."""
    if x.dtype.kind in "fc":
        return np.nan
    if x.dtype.kind == "b":
        return not x[at]
    others = x[x != x[at]]
    return others[0] if others.size else x[at] + 1


def tamed(x: Array, rng: np.random.Generator) -> Array:
    """An array like another, of numbers that nothing is special about."""
    return np.asarray(rng.uniform(0.3, 0.7, x.shape), x.dtype) if x.dtype.kind == "f" else x


# ---- forms --------------------------------------------------------------------------------------


def form_of(
    computation: Computation,
    patterns: Sequence[Entries],
    arrays: Sequence[Array],
    rng: np.random.Generator,
) -> str:
    """How the entries make an entry of the result: see `Reads`."""
    result = computation.function(arrays)
    single = all(
        b != ALL or n == 1
        for entries, array in zip(patterns, arrays, strict=True)
        for b, n in zip(entries, array.shape, strict=True)
    )
    shown = [call for call in computation.calls if call.primitive.template != BOOKKEEPING]
    if single and all(call.primitive.elementwise for call in shown):
        return "elementwise"
    if not result.size or result.dtype.kind != "f":
        return "other"
    tolerance = 1e3 * float(np.finfo(result.dtype).eps)
    forms = {"product", "sum"}
    for at in (tuple(int(rng.integers(n)) for n in result.shape) for _ in range(CHECKS)):
        chosen = [taken(x, entries, at) for x, entries in zip(arrays, patterns, strict=True)]
        if len(chosen) != 1 or not close(chosen[0], result[at], tolerance):
            forms.discard("sum")
        paired = len(chosen) == 2 and len(chosen[0]) == len(chosen[1])
        if not paired or not close(chosen[0] * chosen[1], result[at], tolerance):
            forms.discard("product")
    return forms.pop() if forms else "other"


def taken(x: Array, entries: Entries, at: tuple[int, ...]) -> Array:
    """The entries of an array that made the entry of a result ``at`` some place."""
    return x[tuple(at[b] if isinstance(b, int) else slice(None) for b in entries)].ravel()


def close(terms: Array, total: Any, tolerance: float) -> bool:
    """Whether a number is the sum of some terms, to rounding."""
    return bool(abs(np.sum(terms) - total) <= tolerance * np.sum(np.abs(terms)))
