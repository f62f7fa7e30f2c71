"""What a planted case is, and the one mechanism by which mistakes get into a derivation.

A hand derivation is a list of lines.  Each has a formula, which computes it from the lines before,
so that a mistake spreads to what follows exactly as in a student's program.  A slip replaces the
formula of one part of a line (or the same part of several lines) by what a student wrote there.
"""

from __future__ import annotations

import copy
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

import autograd_mini as ag

Array = Any  # an ndarray, or the scalar that np.sum makes of one
Part = tuple[str, int]  # ("dZ", 2), or what a line is made of: ("slope", 2)
Formula = Callable[[Any], Array]
VISIBLE = 1e-7  # the relative change from which a mistake counts as visible


class Mistake(NamedTuple):
    """One slip of a student, and where the report has to find it."""

    id: str  # of the catalogue; a letter is appended for variants
    line: str  # the hand gradient whose line was written wrongly: "dZ1"
    text: str  # what was done
    causes: frozenset[str]  # the names that describe it rightly
    elsewhere: frozenset[str] = frozenset()  # lines that explain the same numbers as well


class Planted(NamedTuple):
    """A network, its cost, and a hand derivation with known mistakes."""

    network: str
    mistakes: tuple[Mistake, ...]  # () for a right derivation
    J: ag.Tensor
    names: dict[str, Any]  # the variables that the user has
    hand: dict[str, Any]  # the hand gradients


class Slip(NamedTuple):
    """A mistake, and the formulas that stand in the place of the right ones."""

    mistake: Mistake
    edits: Mapping[Part, Formula]


class Sheet(Protocol):
    """The student's sheet of paper: what is known, and what has been derived so far."""

    def write(self, part: Part, value: Array) -> None:
        """Put down the value of a line."""

    def hand(self) -> dict[str, Array]:
        """The gradients derived so far, by name."""


AnySheet = TypeVar("AnySheet", bound=Sheet)


class Exercise(NamedTuple):
    """Everything about a network that is needed to plant mistakes in its derivation."""

    network: str
    J: ag.Tensor
    names: dict[str, Any]
    sheet: Sheet  # before anything is derived
    lines: Mapping[Part, Formula]  # the right derivation, in its order

    def derived(self, edits: Mapping[Part, Formula] | None = None) -> dict[str, Array]:
        """Derive the gradients by hand, with some formulas replaced."""
        return worked(self.sheet, self.lines, edits or {}).hand()


def worked(
    sheet: AnySheet, lines: Mapping[Part, Formula], edits: Mapping[Part, Formula]
) -> AnySheet:
    """Work through the lines; stop where shapes do not fit, as the student's program does."""
    sheet = copy.deepcopy(sheet)
    with np.errstate(all="ignore"):
        for part, formula in lines.items():
            try:
                sheet.write(part, edits.get(part, formula)(sheet))
            except ValueError:
                break
    return sheet


def differs(a: Array, b: Array) -> bool:
    """Whether one can see a difference: in the shape or beyond `VISIBLE`."""
    if np.shape(a) != np.shape(b):
        return True
    return not np.max(np.abs(np.subtract(a, b))) <= VISIBLE * np.max(np.abs(b))


def plant(exercise: Exercise, slips: Iterable[Slip]) -> Iterator[Planted]:
    """Plant every slip that can be seen, each alone."""
    right = exercise.derived()
    cases: list[Planted] = []
    dropped: list[Mistake] = []
    for slip in slips:
        hand, line = exercise.derived(slip.edits), slip.mistake.line
        if line in hand and any(differs(hand[name], right[name]) for name in hand):
            cases.append(planted(exercise, (slip.mistake,), hand))
        else:
            dropped.append(slip.mistake)
    few = max(1, len(cases) // 20)
    assert len(dropped) <= few, f"{exercise.network}: {len(dropped)} cannot be seen: {dropped}"
    yield from merged(cases)


def plant_pairs(exercise: Exercise, slips: Iterable[Slip]) -> Iterator[Planted]:
    """Plant every pair of slips in different parts, neither of which undoes or hides the other."""
    right = exercise.derived()
    alone = [(slip, exercise.derived(slip.edits)) for slip in slips]
    cases: list[Planted] = []
    for (first, with_first), (second, with_second) in itertools.combinations(alone, 2):
        if first.edits.keys() & second.edits.keys():
            continue
        hand = exercise.derived({**first.edits, **second.edits})
        lines = ((first.mistake.line, with_second), (second.mistake.line, with_first))
        if all(
            line in hand
            and differs(hand[line], right[line])
            and (line not in without or differs(hand[line], without[line]))
            for line, without in lines
        ):
            cases.append(planted(exercise, (first.mistake, second.mistake), hand))
    yield from merged(cases)


def planted(exercise: Exercise, mistakes: tuple[Mistake, ...], hand: dict[str, Array]) -> Planted:
    """A case of an exercise."""
    return Planted(exercise.network, mistakes, exercise.J, exercise.names, hand)


def merged(cases: list[Planted]) -> Iterator[Planted]:
    """The same cases; where several have the same numbers, a line has the causes of all of them.

    Two mistakes on one line are left as they are, since each of them has to be found.
    """
    marks = [fingerprint(case.hand) for case in cases]
    causes: dict[Any, frozenset[str]] = defaultdict(frozenset)
    for case, mark in zip(cases, marks, strict=True):
        for mistake in case.mistakes if apart(case) else ():
            causes[mark, mistake.line] |= mistake.causes
    for case, mark in zip(cases, marks, strict=True):
        shared = (m._replace(causes=causes[mark, m.line] | m.causes) for m in case.mistakes)
        yield case._replace(mistakes=tuple(shared)) if apart(case) else case


def apart(case: Planted) -> bool:
    """Whether each mistake has a line of its own."""
    return len({mistake.line for mistake in case.mistakes}) == len(case.mistakes)


def fingerprint(hand: dict[str, Array]) -> tuple[Any, ...]:
    """The shapes of gradients, and nine digits of a number that differs if the gradients do."""
    flat = np.concatenate([np.ravel(value) for value in hand.values()])
    shapes = tuple((name, np.shape(value)) for name, value in hand.items())
    return shapes, f"{flat @ np.sin(1 + np.arange(flat.size)):.8e}"
