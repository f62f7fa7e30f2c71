"""Why a gradient is wrong: the mistakes that give just these numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..trace.replay import NO_EDITS, Array, Edits, Place
from .judge import Constants, Judge, alike, factor_causes, factor_sentence, is_minus_one
from .mistakes import IN_CALLS, IN_SHARES, IN_VALUES, Row, Ways
from .site import Site
from .wording import text_of

MOST_PAIRS = 3_000
MOST_SHARES = 300_000  # to be run in search of one mistake, so that a deep graph ends too
MOST_ELEMENTS = 10_000_000  # to be computed in search of pairs, so that it ends within a second
#: Mistakes with as many ways as there are tensors: the likeliest to fit by chance.
MANIFOLD = {"wrong operand", "extra factor", "other activation", "wrong point", "other loss"}
#: Where the first explains a gradient, the second says the same with less.
THE_SAME = [
    ("missing regularisation", "missing path"),
    ("wrong regularisation", "constant factor"),
    ("wrong operand", "other loss"),
]
RANKS = {row.name: i for i, row in enumerate((*IN_CALLS, *IN_SHARES, *IN_VALUES))}


class Explanation(NamedTuple):
    """Mistakes that give somebody's numbers: what they are, and as edits of the backward pass."""

    causes: tuple[str, ...]
    sentence: str
    edits: Edits = NO_EDITS
    factor: float = 1.0  # on the whole, if that is all

    def __reduce__(self) -> Any:
        return Explanation, (self.causes, self.sentence, NO_EDITS, self.factor)


class Edited(NamedTuple):
    """What a gradient becomes with one mistake in its computation."""

    row: Row
    words: Mapping[str, str]
    edits: Edits
    result: Array

    @property
    def sentence(self) -> str:
        """What is wrong."""
        return self.row.sentence.format_map(self.words)


# ---- terms that a parameter adds to its own gradient ---------------------------------------------

#: Parts of a matrix that a regulariser may be limited to: all but the bias row or column, or those.
PARTS = {"[:, 1:]": np.s_[:, 1:], "[1:]": np.s_[1:], "[:, :1]": np.s_[:, :1], "[:1]": np.s_[:1]}


class Term(NamedTuple):
    """What a regulariser adds to a parameter's gradient, up to its coefficient in the cost."""

    array: Array
    text: str
    coefficient: float


def own_terms(site: Site) -> Iterator[Term]:
    """The terms that somebody may have added to a parameter's gradient, or forgotten."""
    value, text = site.value, text_of(site.value)
    if value.kind != "parameter":
        return
    forms = {text: value.array, f"np.sign({text})": np.sign(value.array)}
    if value.array.ndim == 2 and min(value.shape) > 1:
        for part, key in PARTS.items():
            forms[text + part] = np.zeros_like(value.array)
            forms[text + part][key] = value.array[key]
    for form, array in forms.items():
        yield Term(array, form, coefficient(site, array))


def coefficient(site: Site, array: Array) -> float:
    """How often an array is contained in a gradient, as one of its shares."""
    for pull in site.own_shares():
        share = pull.result.array
        if pull.call.output not in site.given:
            c = Judge(share, 1e-9 * float(np.max(np.abs(share), initial=0))).factor(array)
            if c is not None:
                return c
    return 0.0


def term_mistake(
    site: Site, term: Term, found: float, constants: Constants
) -> tuple[str, str] | None:
    """The cause, and what is wrong, if a term has another coefficient than in the cost."""
    right = f"({constants.text(term.coefficient)}) * {term.text}"
    if alike(found, term.coefficient):
        return None
    if abs(found) <= 1e-6 * abs(term.coefficient):
        return "missing regularisation", f"lacks the term {right}"
    wrong = f"({constants.text(found)}) * {term.text}"
    if term.coefficient:
        return "wrong regularisation", f"has the term {wrong} where {right} belongs"
    cause = "regularised bias" if site.regularised else "extra term"
    return cause, f"has the term {wrong}, which is not in the derivative of the cost"


# ---- the search ---------------------------------------------------------------------------------


def explanations(site: Site, judge: Judge, constants: Constants) -> list[Explanation]:
    """The mistakes that explain a gradient, the likeliest first; empty if none is known.

    First those that explain it alone, then two at once.
    """
    expected = site.expected[site.value]
    terms = list(own_terms(site))
    most = max(1, MOST_SHARES // (1 + len(site.pulls)))
    candidates = list(itertools.islice(edited(site), most))
    found = [
        Explanation((each.row.name,), each.sentence, each.edits)
        for each in candidates
        if each.row.size == "exact" and judge.same(each.result)
    ]
    for each in candidates:
        if each.row.size in ("any", "factor"):
            found += of_any_size(each, judge, expected, constants)
    found += adjusted(site, judge, constants, terms, expected)
    if all(MANIFOLD.issuperset(explanation.causes) for explanation in found):
        for each in candidates:
            if each.row.size == "exact":
                found += adjusted(site, judge, constants, terms, each.result, each)
            elif each.row.size == "multiple" and judge.given.size > 1 and judge.factor(each.result):
                found.append(Explanation((each.row.name,), each.sentence))
    if not found:
        found += pairs(site, judge, candidates)
    c = judge.factor(expected)
    if not found and c is not None:
        found.append(Explanation(factor_causes(c), factor_sentence(c, constants), factor=c))
    return ranked(found)


def edited(site: Site) -> Iterator[Edited]:
    """All gradients that one mistake could have made, or one that is made in each term of a sum."""
    in_each_term: dict[Any, list[Edited]] = {}
    for pull in site.pulls:
        rows: list[tuple[Row, Place]] = [(row, call) for call in pull.calls for row in IN_CALLS]
        rows += [(row, pull) for row in IN_SHARES]
        for i, (row, place) in enumerate(rows):
            for j, candidate in enumerate(results(site, row, place, row.ways(site, place))):
                yield candidate
                if pull.operand is site.value:
                    way = candidate.words.get("wrong", j)
                    in_each_term.setdefault((i, way), []).append(candidate)
    for row in IN_VALUES:
        yield from results(site, row, site.value, row.ways(site, site.value))
    for group in in_each_term.values():
        if len(group) > 1:
            edits = {place: edit for each in group for place, edit in each.edits.items()}
            result = site.outcome(edits)
            if result is not None:
                yield group[0]._replace(edits=edits, result=result)


def results(site: Site, row: Row, place: Place, ways: Ways) -> Iterator[Edited]:
    """What a row's edits of a place make of a gradient, as far as shapes fit."""
    for edit, words in ways:
        edits = edit if isinstance(edit, Mapping) else {place: edit}
        result = site.outcome(edits)
        if result is not None:
            yield Edited(row, words, edits, result)


def of_any_size(
    candidate: Edited, judge: Judge, expected: Array, constants: Constants
) -> Iterator[Explanation]:
    """An edit that may be made to any degree."""
    if candidate.result.shape == expected.shape == judge.given.shape and expected.size > 1:
        t = judge.less(expected).factor(candidate.result - expected)
        if t is not None and candidate.row.size == "factor":
            t = None if alike(t, -1) or alike(t, -2) else 1 + t  # gone, or turned
        if t is not None:
            words = {**candidate.words, "size": constants.text(t)}
            sentence = candidate.row.sentence.format_map(words)
            yield Explanation((candidate.row.name,), sentence)


def adjusted(
    site: Site,
    judge: Judge,
    constants: Constants,
    terms: list[Term],
    result: Array,
    first: Edited | None = None,
) -> Iterator[Explanation]:
    """A constant factor or another coefficient of a term, besides another mistake if one is given.

    A factor of a few numbers must be one that has a name, since any factor explains one number.
    """
    if result.shape != judge.given.shape or judge.same(result):
        return
    terms = [term for term in terms if term.array.shape == result.shape]
    causes = (first.row.name,) if first else ()
    start = f"{first.sentence}; besides, it " if first else ""

    def telling(c: float) -> bool:
        enough = judge.different > (2 if first else 1)
        return enough or is_minus_one(c) or bool(constants.names(c))

    c = judge.factor(result)
    if c is not None and telling(c):
        sentence = start + factor_sentence(c, constants)
        yield Explanation((*causes, *factor_causes(c)), sentence, factor=1.0 if first else c)
    there, not_there = [
        [t for t in terms if bool(t.coefficient) == is_in] for is_in in (True, False)
    ]
    for term in there:
        rest = judge.less(result - term.coefficient * term.array)
        for other in not_there if not rest.same(np.zeros(result.shape)) else ():
            d = rest.factor(other.array)
            if d is not None:
                wrong = f"({constants.text(d)}) * {other.text}"
                right = f"({constants.text(term.coefficient)}) * {term.text}"
                sentence = f"{start}has the term {wrong} where {right} belongs"
                yield Explanation((*causes, "wrong regularisation"), sentence)
    rest = judge.less(result)
    for term in terms:
        d = rest.factor(term.array)
        if d is not None:
            mistake = term_mistake(site, term, term.coefficient + d, constants)
            if mistake and (judge.different > 1 or constants.names(d)):
                yield Explanation((*causes, mistake[0]), start + mistake[1])
            continue
        both = judge.combination(result, term.array)
        if both and (judge.different > 3 or constants.names(both[0])):
            c, d = both
            if abs(d) * np.max(np.abs(term.array)) <= 10 * judge.slack or alike(c, 1):
                continue
            sentence = start + factor_sentence(c, constants)
            mistake = term_mistake(site, term, c * term.coefficient + d, constants)
            if mistake is None:
                sentence += f" (all but the term with {term.text}, which is right)"
                yield Explanation((*causes, *factor_causes(c)), sentence)
            else:
                sentence += f"; and it {mistake[1]}"
                yield Explanation((*causes, *factor_causes(c), mistake[0]), sentence)


def pairs(site: Site, judge: Judge, candidates: Iterable[Edited]) -> Iterator[Explanation]:
    """Two edits at different places, the simple ones first."""
    exact = [each for each in candidates if each.row.size == "exact"]
    exact.sort(key=lambda each: each.row.name in MANIFOLD)
    both = (
        (a, b) for j, b in enumerate(exact) for a in exact[:j] if a.edits.keys().isdisjoint(b.edits)
    )
    size = sum(pull.operand.array.size for pull in site.pulls)
    for a, b in itertools.islice(both, min(MOST_PAIRS, MOST_ELEMENTS // size)):
        edits = {**a.edits, **b.edits}
        result = site.outcome(edits)
        if result is not None and judge.same(result):
            sentence = f"{a.sentence}; besides, it {b.sentence}"
            yield Explanation((a.row.name, b.row.name), sentence, edits)


def ranked(found: list[Explanation]) -> list[Explanation]:
    """The likeliest mistakes first: the fewest, then those that seldom fit by chance."""
    causes = {explanation.causes for explanation in found}
    said = {cause for better, cause in THE_SAME if (better,) in causes}
    found = [explanation for explanation in found if not said.issuperset(explanation.causes)]

    def rank(explanation: Explanation) -> tuple[int, bool, int]:
        causes = explanation.causes
        return len(causes), causes[0] in MANIFOLD, RANKS.get(causes[0], -1)

    return sorted(found, key=rank)
