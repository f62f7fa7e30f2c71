"""Lines that are alike but for an index, as one: the general form of layers and of time steps.

``dZ2 = (W3^T dZ3) (.) (A2 > 0)`` and ``dZ1 = (W2^T dZ2) (.) (A1 > 0)`` are one line at two
indices: ``dZ[l] = (W[l+1]^T dZ[l+1]) (.) (A[l] > 0)``, l = 2..1.  That is read off the lines: they
are the same text but for the names, and the numbers in the names go up and down together.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..core import ops
from ..core.primitive import primitive
from ..formulas import Symbol, named, operands_first, write
from .lines import Line, Step

LAYERS, STEPS = ("l", "k", "j"), ("t", "s", "r")  # what an index is called that is free
FEWEST_TERMS = 3  # of a sum that is written with an index


class Numbered(NamedTuple):
    """A name with a number in it that goes with the index: ``slope * index + offset``."""

    before: str
    slope: int
    offset: int
    after: str

    def at(self, index: int) -> str:
        """The name at an index."""
        return f"{self.before}{self.slope * index + self.offset}{self.after}"

    def at_any(self, letter: str) -> str:
        """The name with the index in it: ``W[l+1]``."""
        index = f"{self.slope}{letter}" if self.slope != 1 else letter
        index += f"{self.offset:+d}" if self.offset else ""
        before = self.before.rstrip("._") if not self.before.endswith("[") else self.before[:-1]
        return f"{before}[{index}]{self.after.removeprefix(']')}"


@dataclass(eq=False)
class GeneralLine(Line):
    """Lines that are the same but for an index.

    Attributes
    ----------
    letter : str
        What the index is called.
    indices : list of int
        Which ones there are, in the order of the lines.
    lines : list of Line
        The lines themselves.
    """

    letter: str = ""
    indices: Sequence[int] = ()
    lines: Sequence[Line] = ()

    @property
    def of_one_shape(self) -> bool:
        """Whether all of them have the same shape."""
        return len({line.shape for line in self.lines}) == 1


class Form(NamedTuple):
    """What formulas consist of: their texts without the names, and the names, in order."""

    texts: tuple[str, ...]
    names: tuple[str, ...]


Pattern = dict[str, Numbered]  # the names of the first line that go with the index


class Family(NamedTuple):
    """Some things in a row that are the same but for an index."""

    example: int  # the place of the one whose names the pattern has
    pattern: Pattern
    members: dict[int, int]  # by their places, with the index of each

    @property
    def is_even(self) -> bool:
        """Whether all numbers go up as the index does: what two lines can show."""
        return all(x.slope == 1 for x in self.pattern.values())


def in_general(lines: Sequence[Line], parameters: set[str]) -> tuple[list[Line], dict[str, str]]:
    """Lines with those together that are the same but for an index.

    Parameters
    ----------
    lines : list of Line
    parameters : set of str
        What the parameters are called: those of layers are different ones, those of steps the same.

    Returns
    -------
    lines : list of Line
    first : dict of str to str
        What stands where there is none with such a number: ``A[0]`` is ``X``.
    """
    lines = [with_parts_as_names(line) for line in lines]
    forms = [
        Form((line.phase, str(line.scale), *form.texts), (line.name, *form.names))
        for line in lines
        for form in [form_of([line.symbol, *(step.symbol for step in line.steps)])]
    ]
    taken = {name for form in forms for name in form.names}
    kinds: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}
    for i, form in enumerate(forms):
        without_numbers = tuple([re.sub(r"\d+", "#", name) for name in form.names])
        kinds.setdefault((form.texts, without_numbers), []).append(i)
    families = [x for kind in kinds.values() for x in families_in(kind, forms)]
    families = [x for x in families if forms[x.example].names[0] in x.pattern]
    inside = {i for x in families for i in x.members}
    places = {(x.texts, x.names[0]): i for i, x in enumerate(forms) if i not in inside}
    first: dict[str, str] = {}
    for family in families:
        extend(family, forms, places, taken, first)
    families = [x for x in families if len(x.members) > 2 or x.is_even]
    inside = {i for x in families for i in x.members}
    varied = {name for x in families for name in x.pattern}
    used = {name for x in families for name in forms[x.example].names} & parameters
    letter = free(STEPS if used and not used & varied else LAYERS, taken)
    starts = {min(x.members): x for x in families}
    found = [
        joined(starts[i], lines, letter) if i in starts else line
        for i, line in enumerate(lines)
        if i in starts or i not in inside
    ]
    return [with_general_sums(line, free(STEPS, taken)) for line in found], first


def free(letters: Sequence[str], taken: set[str]) -> str:
    """A letter that nothing is called by."""
    return next((x for x in letters if x not in taken), letters[0] * 2)


def with_parts_as_names(line: Line) -> Line:
    """A line in which ``x[0]`` is a name like any other."""
    found = copy.copy(line)
    found.symbol = renamed(line.symbol, lambda name: name)
    found.steps = [
        Step(step.name, renamed(step.symbol, lambda name: name), step.since) for step in line.steps
    ]
    return found


def renamed(symbol: Symbol, name: Callable[[str], str]) -> Symbol:
    """An expression with other names."""
    found: dict[Symbol, Symbol] = {}
    for x in operands_first(symbol):
        key = x.statics.get("key") if x.kind == "index" else None
        if x.name is not None:
            found[x] = named(name(x.name), x.array)
        elif type(key) is int and x.operands[0].name is not None:
            found[x] = named(name(f"{x.operands[0].name}[{key}]"), x.array)
        else:
            operands = tuple([found[y] for y in x.operands])
            found[x] = Symbol(x.array, None, x.primitive, operands, x.statics) if operands else x
    return found[symbol]


def form_of(formulas: Iterable[Symbol]) -> Form:
    """Formulas as their texts without the names, and the names."""
    text = "\n".join([write(x, "text", lambda leaf: f"\x02{leaf.name}\x03") for x in formulas])
    parts = re.split("\x02(.*?)\x03", text)
    return Form(tuple(parts[::2]), tuple(parts[1::2]))


# ---- what goes with an index --------------------------------------------------------------------


def families_in(places: Sequence[int], forms: Sequence[Form]) -> Iterator[Family]:
    """Those that follow one another with an index that goes up or down by one."""
    start = 0
    while start < len(places) - 1:
        first, second = places[start : start + 2]
        pattern, index, step = pattern_of(forms[first].names, forms[second].names)
        members = {first: index}
        for place in places[start + 1 :] if pattern else ():
            if forms[place].names != names_at(forms[first].names, pattern, index + step):
                break
            index += step
            members[place] = index
        if len(members) > 1:
            yield Family(first, pattern, members)
        start += len(members)


def pattern_of(a: Sequence[str], b: Sequence[str]) -> tuple[Pattern, int, int]:
    """Which names of two lines go with an index, its value in the first, and how it goes on.

    The pattern is empty if the lines are no instances of one at two indices next to each other.
    """
    none: tuple[Pattern, int, int] = ({}, 0, 0)
    pairs = dict(zip(a, b, strict=True))
    if any(pairs[x] != y for x, y in zip(a, b, strict=True)):
        return none
    numbers: dict[str, tuple[str, int, int, str]] = {}
    for x, y in pairs.items():
        if x != y:
            parts, others = re.split(r"(\d+)", x), re.split(r"(\d+)", y)
            pairs_of_parts = enumerate(zip(parts, others, strict=False))
            i, *more = [i for i, (part, other) in pairs_of_parts if part != other]
            is_number = i % 2 and len(parts) == len(others) and str(int(parts[i])) == parts[i]
            if more or not is_number:
                return none
            before, after = "".join(parts[:i]), "".join(parts[i + 1 :])
            numbers[x] = before, int(parts[i]), int(others[i]), after
    turns = [(i, j - i) for _, i, j, _ in numbers.values() if abs(j - i) == 1]
    if not turns:
        return none
    index, step = turns[0]
    pattern = {}
    for name, (before, i, j, after) in numbers.items():
        slope = (j - i) // step
        if slope < 1:
            return none
        pattern[name] = Numbered(before, slope, i - slope * index, after)
    return pattern, index, step


def names_at(names: Sequence[str], pattern: Pattern, index: int) -> tuple[str, ...]:
    """The names of a line at another index."""
    return tuple([pattern[x].at(index) if x in pattern else x for x in names])


def extend(
    family: Family,
    forms: Sequence[Form],
    places: Mapping[tuple[tuple[str, ...], str], int],
    taken: set[str],
    first: dict[str, str],
) -> None:
    """Add the line of the first layer, if that has ``X`` where ``A0`` would stand."""
    form = forms[family.example]
    for index in (min(family.members.values()) - 1, max(family.members.values()) + 1):
        expected = names_at(form.names, family.pattern, index)
        place = places.get((form.texts, expected[0]))
        if place is None:
            continue
        differ = {x for x in zip(expected, forms[place].names, strict=True) if x[0] != x[1]}
        missing = [x for x, _ in differ]
        if len(differ) == 1 and missing[0] not in taken:
            first.setdefault(*differ.copy().pop())
            if {*first.items()} >= differ:
                family.members[place] = index


def joined(family: Family, lines: Sequence[Line], letter: str) -> GeneralLine:
    """The general form of some lines."""

    def general(name: str) -> str:
        return family.pattern[name].at_any(letter) if name in family.pattern else name

    line = lines[family.example]
    steps = [Step(step.name, renamed(step.symbol, general), step.since) for step in line.steps]
    symbol = renamed(line.symbol, general)
    members = sorted(family.members)
    return GeneralLine(
        general(line.name),
        symbol,
        line.phase,
        line.value,
        line.scale,
        steps,
        letter,
        [family.members[i] for i in members],
        [lines[i] for i in members],
    )


# ---- sums ---------------------------------------------------------------------------------------


def with_general_sums(line: Line, letter: str) -> Line:
    """A line in which terms that are the same but for an index are one sum over it."""
    symbol = line.symbol
    factor = symbol.operands[0] if symbol.python == "a * b" else None
    inner = symbol.operands[1] if factor is not None else symbol
    terms: list[Symbol] = []
    while inner.python == "a + b":
        inner, last = inner.operands
        terms.append(last)
    terms = [*reversed([*terms, inner])]
    if len(terms) < FEWEST_TERMS:
        return line
    forms = [form_of([term]) for term in terms]
    kinds: dict[tuple[str, ...], list[int]] = {}
    for i, form in enumerate(forms):
        kinds.setdefault(form.texts, []).append(i)
    families = [x for kind in kinds.values() for x in families_in(kind, forms)]
    families = [x for x in families if len(x.members) >= FEWEST_TERMS]
    if not families:
        return line
    starts = {x.example: x for x in families}
    inside = {i for x in families for i in x.members}
    found: Symbol | None = None
    for i, term in enumerate(terms):
        if i in starts:
            term = summed(term, starts[i], letter)
        elif i in inside:
            continue
        found = term if found is None else ops.add(found, term)
    assert found is not None
    general = copy.copy(line)
    general.symbol = found if factor is None else ops.multiply(factor, found)
    return general


def summed(term: Symbol, family: Family, letter: str) -> Symbol:
    """A sum over an index of a term."""

    def general(name: str) -> str:
        return family.pattern[name].at_any(letter) if name in family.pattern else name

    low, high = min(family.members.values()), max(family.members.values())
    over = primitive(
        rf"\sum_{{{letter}={low}}}^{{{high}}} $x", name=f"sum[{letter}={low}..{high}]"
    )(lambda x: x)
    return Symbol(term.array, None, over, (renamed(term, general),))
