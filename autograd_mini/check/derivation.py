"""A derivation by hand, line by line: what each line should be, which is wrong, and why.

Every hand gradient is held against two others: the true one, and what follows from the *hand*
gradients closer to the cost.  A line that agrees with the second but not with the first is no new
mistake.  Gradients of parameters are those of the cost exactly; an intermediate gradient may be a
constant multiple, such as the ``dZ = A - Y`` of the lectures, which is m times the derivative: the
constants are chosen such that as few lines as possible are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import unwrapped
from ..formulas import printable
from ..trace import Trace, Value
from ..trace.replay import Array, Edits, Replay, true_gradient
from .diagnosis import Explanation, explanations
from .judge import Constants, Judge, alike, unlike
from .mistakes import differences
from .recognise import with_known_functions
from .rounding import kink_edits, rounding_errors, without_small_constants
from .shapes import Reading, readings
from .site import Candidate, Site
from .wording import formula, text_of

SAFETY = 200  # times the rounding error that was measured
CLOSE = 1e-11  # relative to the largest element; mistakes are larger
CHANGE_OF_SCALE = 0.1  # in wrong lines: one constant for all is likelier than two
UNFOUNDED = 0.8  # likewise: a line that is right although it was computed from a wrong one
MOST_CHOICES = 32


@dataclass(eq=False)
class Line:
    """One gradient derived by hand, and what was found about it.

    Attributes
    ----------
    name : str
        What it is called: ``"dZ1"``.
    hand : ndarray
        As it was given.
    verdict : {"right", "convention", "wrong", "follows"}
        "convention": a constant multiple of the derivative, which what follows takes account of;
        "follows": wrong only because it was computed from a wrong one.
    scale : float
        The constant.
    explanations : list of Explanation
        Of a wrong line: the mistakes that give these numbers, each in words.
    formula : str
        Of a wrong line: how it is right.
    """

    name: str
    value: Value
    hand: Array
    array: Array = None  # in the shape of the tensor; None if it cannot be read so
    readings: list[Reading] = field(default_factory=list)
    shape_finding: Reading | None = None
    tolerance: float = 0.0
    truths: list[Array] = field(default_factory=list)  # one for each side of kinks
    parts: list[dict[Value, Array]] = field(default_factory=list)  # likewise, by source
    scale: float = 1.0
    verdict: str = "right"
    follows_from: list[str] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    formula: str = ""

    @property
    def causes(self) -> tuple[str, ...]:
        """The names of all mistakes that explain it."""
        found = [*self.shape_finding.causes] if self.shape_finding else []
        return tuple(dict.fromkeys(found + [c for e in self.explanations for c in e.causes]))

    @property
    def is_leaf(self) -> bool:
        """Whether it is the gradient of a parameter."""
        return self.value.kind == "parameter"

    @property
    def true(self) -> Array:
        """The gradient by autodiff."""
        return true_gradient(self.value)

    @property
    def size(self) -> float:
        """The largest element of the true gradient."""
        return max(float(np.max(np.abs(true), initial=0)) for true in self.truths)

    @property
    def transposed(self) -> Reading | None:
        """The hand gradient read as transposed, if its shape allows that."""
        return next((r for r in self.readings if r.causes == ("transposed",)), None)

    def take(self, reading: Reading) -> None:
        """Take the hand gradient in one of the ways to read it."""
        self.array = reading.array
        self.shape_finding = reading if reading.causes else None

    def judge(self, array: Array) -> Judge:
        """What tells whether an array explains some form of the hand gradient."""
        return Judge(array, self.tolerance, self.size)

    def expected(self, scales: Mapping[Value, float]) -> list[Array]:
        """What follows from the hand gradients closer to the cost, with their constants out."""
        return [
            sum(part / scales.get(source, 1.0) for source, part in parts.items())
            for parts in self.parts
        ]

    def agrees(self, array: Array, others: list[Array]) -> bool:
        """Whether an array is another one to rounding, at kinks one of its sides."""
        largest = max(float(np.max(np.abs(other), initial=0)) for other in others)
        slack = self.tolerance * max(1.0, largest / self.size if self.size else 1.0)
        off = np.min([np.abs(array - other) for other in others], axis=0)
        return bool(np.max(off, initial=0) <= slack)


class Choice(NamedTuple):
    """Constants chosen for some intermediate gradients, and how many lines are wrong with them."""

    cost: float
    scales: dict[Value, float]
    verdicts: list[str]


class Derivation:
    """The lines of a derivation by hand, judged against the run of its cost.

    Parameters
    ----------
    run : Trace
        With names, and with a backward pass.
    cost : Value
    lines : list of Line
    variables : mapping of str to object
        Other arrays and numbers that somebody may have taken by mistake, or speaks of.
    order : {"C", "F"}
        How flat arrays are unrolled.
    precision : float or None
        The relative precision of the hand gradients, if it is not that of their dtype.
    """

    def __init__(
        self,
        run: Trace,
        cost: Value,
        lines: list[Line],
        variables: Mapping[str, Any],
        order: str,
        precision: float | None,
    ) -> None:
        self.replay, _ = with_known_functions(Replay(run, cost))
        given = {line.value for line in lines} | {cost}
        self.lines = sorted(lines, key=lambda line: self._turn(line, given))
        self.constants = Constants(named_numbers(run, variables))
        self.scales: dict[Value, float] = {}
        self._variables = variables
        self._by_value = {line.value: line for line in self.lines}
        self._seed = self.replay.seed
        self._sides = [{}, *kink_edits(self.replay), *without_small_constants(self.replay)]
        errors = rounding_errors(self.replay, self._by_value)
        for line in self.lines:
            self._read(line, errors[line.value], order, precision)
        self._accept_transposed()
        for line in self.lines:
            self._derive(line)
        self._judge()
        if any(line.verdict == "wrong" for line in self.lines):
            self._explain()

    # -- what is expected --

    def _turn(self, line: Line, given: set[Value]) -> float:
        """When a line can be written: an intermediate one as soon as its gradient is complete.

        Those of parameters come right after what they are computed from, in the order given.
        """
        if not line.is_leaf:
            return self.replay.finished(line.value)
        pulls = self.replay.leading_to(line.value, given - {line.value})
        sources = {pull.call.output for pull in pulls} & given - {self.replay.cost}
        if not sources:
            return self.replay.finished(line.value)
        return max(self.replay.finished(source) for source in sources) + 0.5

    def _read(self, line: Line, error: float, order: str, precision: float | None) -> None:
        """Find the true gradient of a line, how exact it can be, and the hand one in its shape."""
        pulls = self.replay.leading_to(line.value, self._seed)
        for edits in self._sides:
            line.truths.append(self.replay.backward(pulls, self._seed, edits)[line.value])
        dtypes = [x.dtype for x in (line.true, line.hand) if x.dtype.kind == "f"]
        epsilon = max(float(np.finfo(dtype).eps) for dtype in dtypes)
        epsilon = max(epsilon, precision or 0.0)
        line.tolerance = max(CLOSE * line.size, SAFETY * epsilon * max(error, line.size))
        if not math.isfinite(error):
            line.tolerance = 1e-6 * line.size
        hand = line.hand.astype(float)
        if not np.all(np.isfinite(hand)):
            where = np.argwhere(~np.isfinite(hand))
            line.shape_finding = Reading(
                None,
                ("not finite",),
                f"has {hand[tuple(where[0])]} in {len(where)} of {hand.size} elements, first at "
                f"[{', '.join(map(str, where[0]))}]",
            )
        elif hand.shape == line.value.shape:
            line.array = hand
        else:
            sentence = f"has shape {hand.shape} where {line.value.shape} belongs"
            line.shape_finding = Reading(None, ("shape",), sentence)
            line.readings = list(readings(hand, line.true, order))
            for reading in line.readings:
                judge = line.judge(reading.array)
                if any(judge.factor(true) for true in line.truths):
                    line.take(reading)
                    break

    def _accept_transposed(self) -> None:
        """Accept that all is transposed: examples in rows where the cost has them in columns."""
        flat = [line for line in self.lines if line.value.array.ndim == 2]
        square = [
            line for line in flat if line.hand.shape == line.value.shape == line.value.shape[::-1]
        ]
        telling = {line: line.transposed for line in flat if line not in square}
        if telling:
            accepted = None not in telling.values()
        else:
            accepted = all(
                line.array is not None and line.judge(line.array.T).factor(line.true)
                for line in square
            )
        for line, reading in telling.items() if accepted else ():
            assert reading is not None
            line.array, line.shape_finding = reading.array, None
        for line in square if accepted else ():
            line.array = None if line.array is None else line.array.T

    def _derive(self, line: Line) -> None:
        """Find what follows for a line from each of the gradients that it is computed from."""
        given = {
            other.value: other.true if other.array is None else other.array
            for other in self.lines
            if other is not line
        }
        given |= self._seed
        pulls = self.replay.leading_to(line.value, given)
        sources = dict.fromkeys(p.call.output for p in pulls if p.call.output in given)
        for edits in self._sides:
            parts = {}
            for source in sources:
                found = self.replay.backward(pulls, {source: given[source]}, edits)
                parts[source] = found.get(line.value, np.zeros(line.value.shape))
            line.parts.append(parts)
        follows = sum(line.parts[0].values())
        for reading in line.readings if line.array is None else ():
            if line.judge(reading.array).factor(follows) is not None:
                line.take(reading)
                break

    def _sources(self, line: Line) -> list[Line]:
        """The lines that a line is computed from."""
        return [self._by_value[source] for source in line.parts[0] if source in self._by_value]

    # -- where --

    def _votes(self, line: Line) -> Iterator[float]:
        """The constants that would make lines right which are computed from this one.

        If they are computed from several, these are taken to have one constant.
        """
        for other in self.lines:
            sources = [source.value for source in self._sources(other)]
            if other.array is None or line.value not in sources:
                continue
            if not other.is_leaf:
                yield from self._votes(other)
                continue
            parts = other.parts[0]
            through = sum(parts[source] for source in sources)
            rest = sum(part for source, part in parts.items() if source not in sources)
            judge = other.judge(other.array - rest)
            c = judge.factor(through)
            pair = judge.combination(through, other.value.array)
            if c or pair:
                yield 1 / (c or pair[0])  # type: ignore[index]

    def _judge(self) -> None:
        """Choose the constants of intermediate gradients so that few lines are wrong."""
        choices = [Choice(0.0, {}, [])]
        for line in self.lines:
            votes = [] if line.is_leaf else list(self._votes(line))
            following = [
                self._with(choice, line, scale)
                for choice in choices
                for scale in self._possible_scales(line, choice, votes)
            ]
            choices = sorted(following, key=lambda choice: choice.cost)[:MOST_CHOICES]
        _, self.scales, verdicts = choices[0]
        for line, verdict in zip(self.lines, verdicts, strict=True):
            line.verdict, line.scale = verdict, self.scales[line.value]
            if verdict == "follows":
                line.follows_from = [
                    source.name
                    for source in self._sources(line)
                    if source.verdict in ("wrong", "follows")
                ]

    def _inherited(self, line: Line, choice: Choice) -> float:
        """The constant in what a line is computed from."""
        sources = self._sources(line)
        return choice.scales[sources[0].value] if sources else 1.0

    def _possible_scales(self, line: Line, choice: Choice, votes: list[float]) -> list[float]:
        """The constants that a line may have been multiplied by."""
        if line.is_leaf or line.array is None:
            return [1.0]
        inherited = self._inherited(line, choice)
        expected = line.expected(choice.scales)
        if line.agrees(line.array / inherited, expected):
            return [inherited]
        c = line.judge(line.array / inherited).factor(expected[0])
        return unlike([inherited, *([c * inherited] if c else []), *votes])

    def _with(self, choice: Choice, line: Line, scale: float) -> Choice:
        """A choice, and the constant of one more line."""
        verdict, cost = "wrong", 1.0
        if line.array is not None and not line.shape_finding:
            array = line.array / scale
            follows = line.agrees(array, line.expected(choice.scales))
            if line.agrees(array, line.truths):
                verdict = "right" if alike(scale, 1.0) else "convention"
                cost = 0.0 if follows else UNFOUNDED
            elif follows:
                verdict, cost = "follows", 0.0
        if not line.is_leaf and not alike(scale, self._inherited(line, choice)):
            cost += CHANGE_OF_SCALE
        scales = {**choice.scales, line.value: scale}
        return Choice(choice.cost + cost, scales, [*choice.verdicts, verdict])

    # -- why --

    def _explain(self) -> None:
        """Find the mistakes in wrong lines."""
        given = {
            line.value: line.array / line.scale for line in self.lines if line.array is not None
        }
        following = self.replay.backward(self.replay.pulls, self._seed | given)
        wrong = [line for line in self.lines if line.verdict == "wrong"]
        sites = {line: self._site(line, following) for line in wrong}
        for line, site in sites.items():
            line.formula = self._formula(line, site)
            for judge, reading in self._judges(line):
                line.explanations = explanations(site, judge, self.constants)
                if line.explanations:
                    if reading:
                        line.take(reading)
                    break
            if line.array is not None and not np.any(line.array):
                zero = Explanation(("zero",), "is zero: it was forgotten")
                line.explanations.insert(0, zero)
        for i, line in enumerate(wrong):
            for later in wrong[i + 1 :]:
                if later.verdict == "wrong" and one_mistake(sites[line], sites[later], line, later):
                    later.verdict, later.follows_from = "follows", [line.name]

    def _judges(self, line: Line) -> Iterator[tuple[Judge, Reading | None]]:
        """The forms of a hand gradient that an explanation is looked for."""
        if line.array is not None:
            array = line.array / line.scale
            if not line.agrees(array, line.expected(self.scales)):
                yield line.judge(array), None
        elif np.all(np.isfinite(line.hand)):
            for scale in unlike([line.scale, *self.scales.values()]):
                yield line.judge(line.hand / scale), None
            for reading in line.readings:
                yield line.judge(reading.array / line.scale), reading

    def _site(self, line: Line, following: Mapping[Value, Array]) -> Site:
        """Where the mistake in a line is looked for."""
        run = self.replay.run
        given = dict(self._seed)
        for source in self._sources(line):
            given[source.value] = (
                source.true if source.array is None else source.array / source.scale
            )
        pulls = self.replay.leading_to(line.value, given)
        given = {v: g for v, g in given.items() if any(p.call.output is v for p in pulls)}
        scale = next((self.scales[v] for v in given if v in self.scales), line.scale)
        tensors = self._candidates(line, following, scale)
        return Site(
            replay=self.replay,
            value=line.value,
            pulls=pulls,
            given=given,
            expected={**given, **self.replay.backward(pulls, given)},
            tensors=tensors,
            gradients=[Candidate(x / scale, text) for x, text in tensors],
            updates={
                value: [true_gradient(value), *self._by_hand(value)]
                for value in run.values
                if value.kind == "parameter" and value.gradient
            },
            regularised=any(
                pull.operand.kind == "parameter" and len(pull.call.operands) == 1
                for pull in self.replay.pulls
            ),
        )

    def _by_hand(self, value: Value) -> list[Array]:
        """The hand gradient of a value, if there is one."""
        line = self._by_value.get(value)
        return [] if line is None or line.array is None else [line.array]

    def _candidates(
        self, line: Line, following: Mapping[Value, Array], scale: float
    ) -> list[Candidate]:
        """All tensors that may have been taken by mistake, as somebody has them."""
        run = self.replay.run
        found: dict[int, Candidate] = {}
        in_rules = {v for pull in self.replay.pulls for v in (pull.operand, pull.call.output)}
        for value in run.values:
            if value.kept and value.dtype.kind == "f" and (value.name or value in in_rules):
                found[id(value.live)] = Candidate(value.array, text_of(value))
        own = line.judge(line.hand if line.array is None else line.array)
        for name, thing in self._variables.items():
            array = unwrapped(thing)
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
                continue
            c = own.factor(array)
            copied = c is not None and (alike(c, 1.0) or name.startswith("d"))  # of the line
            if run.find(thing) is None and not copied:
                found[id(array)] = Candidate(array.astype(float), printable(name))
        for other in self.lines:
            if other.array is not None and other is not line:
                found[id(other.array)] = Candidate(other.array, other.name)
        for value, gradient in following.items():
            if value not in self._by_value and own.factor(gradient) is None:
                text = f"d{value.name}" if value.name else f"d({text_of(value)})"
                found[id(gradient)] = Candidate(gradient * scale, printable(text))
        return [x for x in found.values() if x.array.size > 1 and np.any(x.array)]

    def _formula(self, line: Line, site: Site) -> str:
        """How a line is right."""
        texts = dict.fromkeys(site.given, "1")
        for source in self._sources(line):
            ratio = source.scale / line.scale
            divided = "" if alike(ratio, 1.0) else f" / {self.constants.short(ratio)}"
            texts[source.value] = source.name + divided
        right = formula(line.value, site.pulls, texts, self.constants.short)
        for a, b in differences(site, line.value) if self.replay.cost in site.given else ():
            c = Judge(line.true * line.scale, line.tolerance * abs(line.scale)).factor(
                np.broadcast_to(a.array - b.array, line.true.shape)
            )
            if c:  # the lectures' A - Y
                right = f"{a.text} - {b.text}"
                right = right if alike(c, 1) else f"{self.constants.short(c)} * ({right})"
                break
        return f"{line.name} = {right}"


def one_mistake(first: Site, second: Site, line: Line, later: Line) -> bool:
    """Whether an explanation of one line explains a later one too, being made before both.

    Other explanations of the first line are dropped then.
    """
    if later.array is None or later.shape_finding:
        return False
    judge = later.judge(later.array / later.scale)
    both = [
        explanation
        for explanation in line.explanations
        if any(judge.same(second.outcome(edits)) for edits in ways(explanation, first, second))
    ]
    line.explanations = both or line.explanations
    return bool(both)


def ways(explanation: Explanation, first: Site, second: Site) -> Iterator[Edits]:
    """The edits, of what two gradients are both computed from, that a mistake may have been."""
    if explanation.edits and first.value not in explanation.edits:
        yield explanation.edits
    if not alike(explanation.factor, 1.0):
        for pull in first.pulls:
            if pull in second.pulls:
                yield {pull: lambda g, p=pull: explanation.factor * first.replay.share(p, g)}


def named_numbers(run: Trace, variables: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a derivation may speak of: somebody's own, and the lengths of axes."""
    named: dict[str, float] = {}
    for name, thing in variables.items():
        is_number = isinstance(thing, int | float | np.integer | np.floating)
        hidden = isinstance(thing, bool) or name.startswith("_")
        if is_number and not hidden and math.isfinite(thing):
            named[printable(name)] = float(thing)
    for value in run.values:
        for axis, length in enumerate(value.shape if value.name else ()):
            if float(length) not in named.values():
                named[f"{printable(value.name or '')}.shape[{axis}]"] = float(length)
    return named
