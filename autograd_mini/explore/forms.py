"""How the entries of some arrays make an entry of a result: as a formula that can be written out.

A formula is a text in which ``[0]`` is the entry of array 0 at the place of the result's, and
``{<0> · <1>}`` a sum over all entries of arrays 0 and 1 that went into it.  It is taken only if it
gives the result's entries, for the numbers of the run and for others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..trace import Value

Array = Any
ALL = "*"
ELEMENTWISE, OTHER = "elementwise", "other"
TERMS = 200_000  # that are summed up when a formula is checked


class Read(NamedTuple):
    """An array that a result was made from, and which of its entries made one of the result's.

    Attributes
    ----------
    value : Value
        The array.
    entries : tuple
        Per axis: the axis of the result that the entries move with, or ``"*"`` for all.
    places : ndarray or None
        Where such a pattern would name too many: for each entry of the result a row of the places
        of the entries that made it, filled up with -1.
    exact : bool
        Whether these are the entries, and not only among these.
    """

    value: Value
    entries: tuple[int | str, ...]
    places: Array | None = None
    exact: bool = True


class Reads(NamedTuple):
    """What made an entry of a result.

    Attributes
    ----------
    form : str
        "elementwise": by the formula itself, from one entry of each array; "product" and "sum": as
        a sum of products or of entries; "copy": it is one of the entries; "softmax" and its like;
        "other".
    formula : str
        Of an entry; empty if the form is "elementwise" or "other".
    reads : list of Read
        The arrays.
    """

    form: str
    formula: str
    reads: list[Read]


class Form(NamedTuple):
    """A way in which entries can make one: of arrays of rows, and of single entries."""

    name: str
    formula: str
    compute: Callable[[Sequence[Array], Sequence[Array]], Array]


def total(terms: Array) -> Array:
    """The sum of each row."""
    return np.sum(terms, axis=1)


def softmax_gradient(of: Sequence[Array], own: Sequence[Array]) -> Array:
    """Of the incoming gradient and the probabilities."""
    return own[1] * (own[0] - total(of[0] * of[1]))


#: By the number of arrays, the forms besides their sum.
FORMS: dict[int, list[Form]] = {
    1: [
        Form("softmax", "exp([0]) / ({exp(<0>)})", lambda of, own: np.exp(own[0]) / exps(of)),
        Form("log_softmax", "[0] - log({exp(<0>)})", lambda of, own: own[0] - np.log(exps(of))),
        Form("logsumexp", "log({exp(<0>)})", lambda of, own: np.log(exps(of))),
    ],
    2: [
        Form("product", "{<0> · <1>}", lambda of, own: total(of[0] * of[1])),
        Form("softmax gradient", "[1] · ([0] - ({<0> · <1>}))", softmax_gradient),
        Form(
            "log_softmax gradient",
            "[0] - exp([1]) · ({<0>})",
            lambda of, own: own[0] - np.exp(own[1]) * total(of[0]),
        ),
    ],
    3: [
        Form("product", "{<0> · <1>} + {<2>}", lambda of, own: total(of[0] * of[1]) + total(of[2]))
    ],
}


def exps(of: Sequence[Array]) -> Array:
    """The sums of the exponentials of the first array's entries."""
    return total(np.exp(of[0]))


def form_of(
    reads: list[Read],
    points: Sequence[tuple[Sequence[Array], Array]],
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Reads:
    """The form in which arrays make a result, and the formula of an entry.

    Parameters
    ----------
    reads : list of Read
    points : sequence of (sequence of ndarray, ndarray)
        Arrays for the reads, and what they give.
    shape : tuple of int
        Of the result.
    rng : Generator
        Chooses the entries that are looked at if there are too many.

    Returns
    -------
    Reads
        The same; those that a formula confirms are exact.
    """
    if any(result.dtype.kind != "f" for _, result in points):
        return Reads(OTHER, "", reads)
    kinds = [read.value.dtype.kind for read in reads]
    choices = [tuple(i for i, kind in enumerate(kinds) if kind in some) for some in ("f", "fiu")]
    for which in dict.fromkeys(choices):  # whole numbers may be data or indices
        check = Check([reads[i] for i in which], shape, rng)
        samples = [check.sample([arrays[i] for i in which], y) for arrays, y in points]
        for form in check.candidates():
            factor = common_factor(form, samples)
            if factor is None:
                continue
            name = form.name if factor == 1 or form.name != "copy" else "sum"
            exact = [read._replace(exact=read.exact or i in which) for i, read in enumerate(reads)]
            return Reads(name, numbered(form.formula, which, factor), exact)
    return Reads(OTHER, "", reads)


def numbered(formula: str, which: Sequence[int], factor: float) -> str:
    """A formula of some of the arrays, times a constant."""
    formula = re.sub(r"(?<=[<\[])\d+", lambda n: str(which[int(n[0])]), formula)
    return formula if factor == 1 else f"{factor:.4g} · ({formula})"


class Sample(NamedTuple):
    """Some entries of a result, with those that made them."""

    of: list[Array]  # per array a row of entries for each of the result's
    own: list[Array]  # those at the same place, of arrays of the same shape
    result: Array


class Check:
    """Some arrays whose entries make those of a result."""

    def __init__(self, reads: list[Read], shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.reads = reads
        size = int(np.prod(shape))
        longest = max([row_length(read) for read in reads], default=1)
        most = max(1, TERMS // max(longest, 1))
        self.rows = np.arange(size) if size <= most else rng.choice(size, most, replace=False)
        self.places = [places_at(read, self.rows, shape) for read in reads]
        self.lengths = {places.shape[1] for places in self.places}
        self.filled = any(np.any(places < 0) for places in self.places)
        self.alike = all(read.value.shape == shape for read in reads)

    def sample(self, arrays: Sequence[Array], result: Array) -> Sample:
        """Numbers for the arrays and the result."""
        return Sample(
            [np.append(x, 0)[places] for x, places in zip(arrays, self.places, strict=True)],
            [x.ravel()[self.rows] for x in arrays] if self.alike else [],
            result.ravel()[self.rows],
        )

    def candidates(self) -> Iterator[Form]:
        """The forms that may be."""
        n = len(self.reads)
        if n:
            sums = " + ".join(f"{{<{i}>}}" for i in range(n))
            single = self.lengths <= {0, 1} and (n == 1 or self.filled)
            yield Form("copy" if single else "sum", sums, lambda of, own: sum(map(total, of)))
        for form in FORMS.get(n, ()):
            paired = len({places.shape[1] for places in self.places[:2]}) == 1
            if "<0> · <1>" in form.formula and not paired:
                continue
            if "[" not in form.formula or (self.alike and not self.filled):
                yield form


def common_factor(form: Form, samples: Sequence[Sample]) -> float | None:
    """What a form's numbers must be multiplied by to be the results; None if it is not this form.

    Of a sum this may be a constant, such as the 1/m of a mean; else it is 1.
    """
    factor = 1.0
    for number, (of, own, result) in enumerate(reversed(samples)):  # the tame numbers first
        found = form.compute(of, own)
        sizes = [form.compute([np.abs(x) for x in of], [np.abs(x) for x in own]), found, *own]
        if not number and not np.all(np.isfinite(result) & np.isfinite(found)):
            return None
        if not number and result.size and form.name in ("copy", "sum", "product"):
            largest = int(np.argmax(np.abs(found)))
            ratio = float(result[largest] / found[largest]) if found[largest] else 1.0
            factor = 1.0 if np.isclose(ratio, 1, 1e-3) else ratio
        slack = 1e3 * float(np.finfo(result.dtype).eps) * np.max(np.abs(sizes), axis=0)
        right = np.abs(factor * found - result) <= abs(factor) * slack
        if not np.all(right | ~np.isfinite(result)):
            return None
    return factor or None


def row_length(read: Read) -> int:
    """How many entries make one of the result, at most."""
    if read.places is not None:
        return int(read.places.shape[1])
    shape = read.value.shape
    return int(np.prod([n for n, b in zip(shape, read.entries, strict=True) if b == ALL]))


def places_at(read: Read, rows: Array, shape: tuple[int, ...]) -> Array:
    """A row of places of the entries that made it for each of some entries of the result."""
    if read.places is not None:
        return read.places[rows]
    own, length = read.value.shape, row_length(read)
    along = [n for n, b in zip(own, read.entries, strict=True) if b == ALL]
    inner = iter(np.unravel_index(np.arange(length), along or (1,)))
    at: tuple[Array, ...] = np.unravel_index(rows, shape) if shape else ()
    places = np.zeros((len(rows), length), int)
    for n, b in zip(own, read.entries, strict=True):
        places = places * n + (at[b][:, None] if isinstance(b, int) else next(inner))
    return places
