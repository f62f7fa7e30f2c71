"""Why a gradient is wrong: the mistakes that give just these numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..trace import Value
from .mistakes import IN_CALLS, IN_SHARES, IN_VALUES, OF_ANY_SIZE, Row, Site
from .replay import Array, Edits, Place
from .wording import number, text_of

MOST_PAIRS = 20_000
TABLE = [*IN_CALLS, *IN_SHARES, *IN_VALUES]


class Explanation(NamedTuple):
    """Mistakes that give somebody's numbers: what they are, and as edits of the backward pass."""

    causes: tuple[str, ...]
    sentence: str
    edits: Edits


class Edited(NamedTuple):
    """What a gradient becomes with one mistake in its computation."""

    row: Row
    words: Mapping[str, str]
    place: Place
    function: Callable[..., Any]
    result: Array

    @property
    def sentence(self) -> str:
        """What is wrong."""
        return self.row.sentence.format_map(self.words)


class Judge:
    """Tells whether an array is another one to rounding, and what factors and terms lie between.

    Parameters
    ----------
    given : ndarray
        Somebody's numbers.
    tolerance : float
        How far an element may be off by rounding alone.
    """

    def __init__(self, given: Array, tolerance: float) -> None:
        self.given = given
        self.tolerance = tolerance

    def same(self, other: Array) -> bool:
        """Whether the numbers are these."""
        if np.shape(other) != self.given.shape:
            return False
        return bool(np.max(np.abs(self.given - other), initial=0) <= self.tolerance)

    def factor(self, other: Array) -> float | None:
        """The constant c for which the numbers are c times these."""
        if np.shape(other) != self.given.shape:
            return None
        square = np.vdot(other, other)
        if not square > 0:
            return None
        c = float(np.vdot(other, self.given) / square)
        slack = self.tolerance * max(1.0, abs(c))
        return c if c and np.max(np.abs(self.given - c * other)) <= slack else None

    def combination(self, a: Array, b: Array) -> tuple[float, float] | None:
        """The constants c and d for which the numbers are c a + d b."""
        if self.given.size < 4 or not a.shape == b.shape == self.given.shape:
            return None
        basis = np.stack([a.ravel(), b.ravel()], axis=1)
        scales = np.linalg.norm(basis, axis=0)
        if not np.all(scales > 0):
            return None
        (c, d), _, rank, _ = np.linalg.lstsq(basis / scales, self.given.ravel(), rcond=1e-10)
        c, d = float(c / scales[0]), float(d / scales[1])
        slack = self.tolerance * max(1.0, abs(c))
        off = np.max(np.abs(self.given - c * a - d * b))
        return (c, d) if rank == 2 and c and off <= slack else None


# ---- constants ----------------------------------------------------------------------------------


class Constants:
    """The numbers that have a name in somebody's derivation: m, 1/m, lam/m, 2, 1/2, ..."""

    def __init__(self, named: Mapping[str, float]) -> None:
        units = {"2": 2.0, **{k: v for k, v in named.items() if v not in (0, 1, -1)}}
        self.texts: list[tuple[str, float]] = [(text, value) for text, value in units.items()]
        self.texts += [(f"1/{text}", 1 / value) for text, value in units.items()]
        for (p, x), (q, y) in itertools.permutations(units.items(), 2):
            self.texts.append((f"{p}/{q}", x / y))
        for (p, x), (q, y) in itertools.combinations(units.items(), 2):
            self.texts += [(f"{p}*{q}", x * y), (f"1/({p}*{q})", 1 / (x * y))]
        for text, value in list(named.items()):
            self.texts += [(f"{text}**2", value**2), (f"1/{text}**2", value**-2.0 if value else 0)]

    def names(self, value: float) -> list[str]:
        """How a number can be written, the simplest first."""
        sign = "-" if value < 0 else ""
        found = [text for text, x in self.texts if math.isclose(abs(x), abs(value), rel_tol=1e-7)]
        return [sign + text for text in sorted(found, key=len)]

    def text(self, value: float) -> str:
        """A number by its name, with the number."""
        names = self.names(value)
        if not names or names[0] == number(value):
            return number(value)
        return f"{names[0]} = {number(value)}"


def factor_sentence(c: float, constants: Constants) -> str:
    """What is wrong with a gradient that is c times what it should be."""
    if math.isclose(c, -1, rel_tol=1e-7):
        return "has the wrong sign: multiply by -1"
    sign = "has the wrong sign and " if c < 0 else ""
    size, times = abs(c), "too large: divide by it"
    if size < 1:
        size, times = 1 / size, "too small: multiply by it"
    sentence = f"{sign}is {constants.text(size)} times {times}"
    others = constants.names(size)[1:3]
    if others:
        sentence += f" (at this point {' and '.join(others)} is the same number)"
    return sentence


#: Parts of a matrix that a regulariser may be limited to: all but the bias row or column, or those.
PARTS = {"[:, 1:]": np.s_[:, 1:], "[1:]": np.s_[1:], "[:, :1]": np.s_[:, :1], "[:1]": np.s_[:1]}


# ---- added terms --------------------------------------------------------------------------------


def own_terms(site: Site) -> Iterator[tuple[Array, str, float]]:
    """What a regulariser adds to a parameter's gradient, with its text and its true coefficient."""
    value = site.value
    if value.kind != "parameter":
        return
    forms = [(value.array, text_of(value)), (np.sign(value.array), f"sign({text_of(value)})")]
    for array, text in forms:
        yield array, text, true_coefficient(site, array)
    if value.array.ndim == 2 and min(value.shape) > 1:
        for text, part in PARTS.items():
            only = np.zeros_like(value.array)
            only[part] = value.array[part]
            yield only, text_of(value) + text, true_coefficient(site, only)


def true_coefficient(site: Site, array: Array) -> float:
    """How often an array is contained in a gradient, as one of its terms."""
    for pull in site.pulls:
        if pull.operand is site.value:
            share = pull.result.array
            c = Judge(share, 1e-9 * float(np.max(np.abs(share), initial=0))).factor(array)
            if c is not None and pull.call.output not in site.given:
                return c
    return 0.0


def term_sentence(d: float, text: str, true: float, constants: Constants) -> tuple[str, str]:
    """The cause, and what is wrong with a gradient that has d times a term too many."""
    if true and math.isclose(d, -true, rel_tol=1e-6):
        return "missing regularisation", f"lacks the term ({constants.text(true)}) * {text}"
    if true:
        return "wrong regularisation", (
            f"has the term ({constants.text(true + d)}) * {text} where "
            f"({constants.text(true)}) * {text} belongs"
        )
    return "extra term", f"has the term ({constants.text(d)}) * {text}, which is not in the cost"


# ---- the search ---------------------------------------------------------------------------------


def edited(site: Site) -> Iterator[Edited]:
    """All gradients that one mistake could have made."""
    for pull in site.pulls:
        inside = site.inside[pull]
        for call in pull.calls:
            for row in IN_CALLS:
                yield from results(site, row, call, row.ways(site, call, inside))
        for row in IN_SHARES:
            yield from results(site, row, pull, row.ways(site, pull))
    for row in IN_VALUES:
        yield from results(site, row, site.value, row.ways(site, site.value))


def results(site: Site, row: Row, place: Place, ways: Any) -> Iterator[Edited]:
    """What a row's edits of a place make of a gradient, as far as shapes fit."""
    for function, words in ways:
        result = outcome(site, {place: function})
        if result is not None:
            yield Edited(row, words, place, function, result)


def outcome(site: Site, edits: Edits) -> Array | None:
    """The gradient that edits give; None where they make no sense."""
    try:
        with np.errstate(all="ignore"):
            result = site.replay.backward(site.pulls, site.given, edits).get(site.value)
    except (ValueError, TypeError, IndexError, AttributeError):  # shapes that do not fit together
        return None
    return result if result is not None and np.all(np.isfinite(result)) else None


def explanations(site: Site, judge: Judge, constants: Constants) -> list[Explanation]:
    """The mistakes that explain a gradient, the likeliest first; empty if none is known.

    First those that explain it alone, then two at once.
    """
    expected = site.expected[site.value]
    found: list[Explanation] = []
    candidates = []
    for candidate in edited(site):
        if candidate.row.name in OF_ANY_SIZE:
            found += by_degrees(candidate, judge, expected, constants)
            continue
        candidates.append(candidate)
        if judge.same(candidate.result):
            edits = {candidate.place: candidate.function}
            found.append(Explanation((candidate.row.name,), candidate.sentence, edits))
    found += adjusted(site, judge, constants, expected)
    if not found:
        for candidate in candidates:
            found += adjusted(site, judge, constants, candidate.result, candidate)
    if not found:
        found += pairs(site, judge, candidates)
    return ranked(found)


def by_degrees(
    candidate: Edited, judge: Judge, expected: Array, constants: Constants
) -> Iterator[Explanation]:
    """An edit of any size."""
    if not candidate.result.shape == expected.shape == judge.given.shape:
        return
    direction = candidate.result - expected
    t = Judge(judge.given - expected, judge.tolerance).factor(direction)
    if t is not None and expected.size > 1:
        sentence = f"{candidate.sentence} (it was changed by {number(t)} times its gradient)"
        yield Explanation((candidate.row.name,), sentence, {})


def adjusted(
    site: Site, judge: Judge, constants: Constants, result: Array, candidate: Edited | None = None
) -> Iterator[Explanation]:
    """A constant factor or an added term, besides another mistake if one is given."""
    causes = (candidate.row.name,) if candidate else ()
    start = f"{candidate.sentence}; besides, it " if candidate else ""
    before: Edits = {candidate.place: candidate.function} if candidate else {}

    def with_last(function: Callable[[Array], Array]) -> Edits:
        first = before.get(site.value)
        if first is None:
            return {**before, site.value: function}
        return {site.value: lambda total: function(first(total))}

    c = judge.factor(result)
    enough = judge.given.size > (2 if candidate else 1)
    if c is not None and not math.isclose(c, 1) and (enough or constants.names(c) or c == -1):
        name = "sign" if math.isclose(c, -1, rel_tol=1e-7) else "constant factor"
        both = ("sign",) if c < 0 and name != "sign" else ()
        yield Explanation(
            (*causes, name, *both),
            start + factor_sentence(c, constants),
            with_last(lambda total: c * total),
        )
    for term, text, true in own_terms(site) if result.shape == judge.given.shape else ():
        if term.shape != result.shape:
            continue
        d = Judge(judge.given - result, judge.tolerance).factor(term)
        if d is not None and (judge.given.size > 1 or constants.names(d)):
            cause, sentence = term_sentence(d, text, true, constants)
            if cause == "extra term" and site.regularised:
                cause = "regularised bias"
            yield Explanation((*causes, cause), start + sentence, {})
        elif d is None and (both_constants := judge.combination(result, term)):
            c, d = both_constants
            name = "sign" if math.isclose(c, -1, rel_tol=1e-7) else "constant factor"
            sentence = start + factor_sentence(c, constants)
            given = c * true + d  # the coefficient of the term in the numbers to be explained
            if math.isclose(given, true, rel_tol=1e-6):
                sentence += f" (all but the term with {text}, which is right)"
                yield Explanation((*causes, name), sentence, {})
            else:
                cause, other = term_sentence(given - true, text, true, constants)
                if cause == "extra term" and site.regularised:
                    cause = "regularised bias"
                yield Explanation((*causes, name, cause), f"{sentence}; and {other}", {})


def pairs(site: Site, judge: Judge, candidates: list[Edited]) -> list[Explanation]:
    """Two edits at different places."""
    found = []
    both = (
        (a, b)
        for a, b in itertools.combinations(candidates, 2)
        if a.place is not b.place
        and b.row.name not in ("other loss", "extra factor")
        and a.row.name not in ("other loss", "extra factor")
    )
    for a, b in itertools.islice(both, MOST_PAIRS):
        edits = {a.place: a.function, b.place: b.function}
        result = outcome(site, edits)
        if result is not None and judge.same(result):
            sentence = f"{a.sentence}; besides, it {b.sentence}"
            found.append(Explanation((a.row.name, b.row.name), sentence, edits))
    return found


def ranked(found: list[Explanation]) -> list[Explanation]:
    """The likeliest mistakes first: fewer ones, then in the order of the tables."""
    rank = {cause: i for i, cause in enumerate(dict.fromkeys(row.name for row in TABLE))}
    return sorted(found, key=lambda e: (len(e.causes), rank.get(e.causes[0], -1)))
