"""Gradients derived by hand, against automatic and numerical ones: which line is wrong, and why.

Every hand gradient is held against two others: the true one, and what follows from the *hand*
gradients closer to the cost.  A line that agrees with the second but not with the first is no new
mistake.  Gradients of parameters are those of the cost exactly; an intermediate gradient may be a
constant multiple, such as the ``dZ = A - Y`` of the lectures, which is m times the derivative: the
constants are chosen such that as few lines as possible are wrong.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.tensor import Tensor, described
from ..functional import gradients
from ..trace import Trace, Value
from .diagnosis import Constants, Explanation, Judge, explanations
from .mistakes import Site
from .mistakes import Tensor as Candidate
from .replay import Array, Replay
from .report import Report, plain
from .rounding import kink_edits, rounding_errors
from .shapes import Reading, readings
from .slopes import numerical_agreement
from .wording import gradient_text, printable, text_of

__all__ = ["Comparison", "Line", "compare"]

SAFETY = 200  # times the rounding error that was measured
CLOSE = 1e-11  # relative to the largest element; mistakes are larger
CHANGE_OF_SCALE = 0.1  # in wrong lines: one constant for all is likelier than two
UNFOUNDED = 0.5  # likewise: a line that is right although it was computed from a wrong one
MOST_STATES = 32


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
    shape_finding: tuple[str, str] | None = None
    tolerance: float = 0.0
    scale: float = 1.0
    verdict: str = "right"
    explanations: list[Explanation] = field(default_factory=list)
    formula: str = ""
    follows_from: list[str] = field(default_factory=list)
    parts: list[dict[Value, Array]] = field(default_factory=list)  # one for each side of kinks
    truths: list[Array] = field(default_factory=list)
    numerical: float | None = None
    readings: list[Reading] = field(default_factory=list)

    @property
    def causes(self) -> tuple[str, ...]:
        """The names of all mistakes that explain it."""
        found = [self.shape_finding[0]] if self.shape_finding else []
        return tuple(dict.fromkeys(found + [c for e in self.explanations for c in e.causes]))

    @property
    def is_leaf(self) -> bool:
        """Whether it is the gradient of a parameter."""
        return self.value.kind == "parameter"

    @property
    def true(self) -> Array:
        """The gradient by autodiff."""
        assert self.value.gradient is not None
        return self.value.gradient.array

    def expected(self, scales: Mapping[Value, float]) -> list[Array]:
        """What follows from the hand gradients closer to the cost, with their constants out."""
        return [
            sum(part / scales.get(source, 1.0) for source, part in parts.items())
            for parts in self.parts
        ]

    def agrees(self, array: Array, others: list[Array]) -> bool:
        """Whether an array is another one to rounding, at kinks one of its sides."""
        if array is None:
            return False
        scale = max(float(np.max(np.abs(other), initial=0)) for other in others)
        size = float(np.max(np.abs(self.true), initial=0))
        slack = self.tolerance * max(1.0, scale / size if size else 1.0)
        off = np.min([np.abs(array - other) for other in others], axis=0)
        return bool(np.max(off, initial=0) <= slack)


# ---- what is compared with what -----------------------------------------------------------------


def checked_cost(J: Any) -> None:
    """Raise unless something is a cost that can be differentiated."""
    if not isinstance(J, Tensor):
        raise TypeError(
            f"compare takes the cost as a Tensor that was computed from Tensors, not "
            f"{type(J).__name__}: make the parameters ag.Tensor(..., requires_grad=True)"
        )
    if J.size != 1:
        raise ValueError(f"the cost must be one number, and this is {described(J)}: take its sum")
    if not np.all(np.isfinite(J.data)):
        raise ValueError(
            f"the cost is {J.item()}, so there is no gradient to compare with: `with ag.debug():` "
            f"finds the op where that came from"
        )


def as_numbers(name: str, thing: Any) -> Array:
    """A hand gradient as an array."""
    try:
        array = np.asarray(thing.data if isinstance(thing, Tensor) else thing)
    except ValueError as error:
        raise ValueError(f"{name} is no array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} is no array of real numbers: it has dtype {array.dtype}")
    return array


def resolved(
    run: Trace, hand: Mapping[Any, Any], variables: Mapping[str, Any]
) -> tuple[list[Line], list[Tensor], list[str]]:
    """The hand gradients with their values in the run and their Tensors; what was ignored, why."""
    lines: list[Line] = []
    tensors: list[Tensor] = []
    ignored: list[str] = []
    everything = any(isinstance(key, str) and not key.startswith("d") for key in hand)
    for key, thing in hand.items():
        if isinstance(key, Tensor):
            tensor: Any = key
        elif isinstance(key, str):
            tensor = variables.get(key[1:]) if key.startswith("d") else None
            if everything and not (isinstance(tensor, Tensor) or hasattr(tensor, "dtype")):
                continue
        else:
            raise TypeError(f"keys are names such as 'dW1', or Tensors, not {type(key).__name__}")
        value = run.find(tensor) if isinstance(tensor, Tensor) else None
        name = key if isinstance(key, str) else f"d{(value and value.name) or '(unnamed)'}"
        name = printable(name)
        known = value is None or any(line.value is value for line in lines)
        if value is None or known or value.kind == "input":
            ignored.append(name)
        else:
            lines.append(Line(name, value, as_numbers(name, thing)))
            tensors.append(tensor)
    if not lines:
        raise ValueError(
            "there is no gradient to compare: give {'dW1': dW1, ...}, or locals(), where W1 is a "
            "Tensor that the cost was computed from"
            + (f"; not in its graph: {', '.join(ignored)}" if ignored else "")
        )
    return lines, tensors, ignored


def compare(
    J: Tensor,
    hand: Mapping[Any, Any],
    names: Mapping[str, Any] | None = None,
    *,
    order: str = "C",
    hint: int = 3,
    precision: float | None = None,
) -> Comparison:
    """Hold gradients that were derived by hand against autodiff and numerical ones.

    Says of each whether it is right, names the first wrong line in backward order, and searches for
    the mistakes that give just the numbers that were found.

    Parameters
    ----------
    J : Tensor
        The cost: one number, computed from Tensors.  No ``retain_grad`` is needed, and no ``.grad``
        is touched.
    hand : mapping
        ``{"dZ1": array, ...}`` where ``Z1`` is a Tensor that ``J`` was computed from, or
        ``{Z1: array, ...}``, or ``locals()``: every ``dX`` in it whose ``X`` is such a Tensor.
    names : mapping of str to object, optional
        What the Tensors, and other arrays and numbers such as ``X`` and ``m``, are called; by
        default the variables of the caller.
    order : {"C", "F"}
        How arrays that are given flat are unrolled: row by row, or column by column as in Octave.
    hint : {0, 1, 2, 3}
        What the report tells: whether all is right; which lines are wrong; what kind of mistake;
        the mistake and the corrected line.
    precision : float, optional
        The relative precision of the hand gradients, such as 5e-7 for numbers printed with seven
        digits; by default that of their dtype.

    Returns
    -------
    Comparison
        True in a condition if all is right.

    Raises
    ------
    TypeError, ValueError
        If ``J`` is no finite number computed from Tensors, if nothing in ``hand`` belongs to it, or
        something in it is no array of numbers.
    RuntimeError
        If a parameter was changed in place after ``J`` was computed.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> X, Y = np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, 0.0, 1.0]])
    >>> W1, b1 = ag.Tensor([[0.3], [-0.7]], requires_grad=True), np.array([[0.2], [0.1]])
    >>> W2 = ag.Tensor([[1.1, -0.6]], requires_grad=True)
    >>> Z1 = W1 @ X + b1
    >>> A1 = np.tanh(Z1)
    >>> A2 = ag.sigmoid(W2 @ A1)
    >>> J = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    >>> dZ2 = A2.data - Y
    >>> dW2 = dZ2 @ A1.data.T / 3
    >>> dZ1 = W2.data.T @ dZ2 * (1 - Z1.data**2)
    >>> report = ag.compare(J, {"dW2": dW2, "dZ1": dZ1})
    >>> report.first_wrong, report.lines[1].causes
    ('dZ1', ('wrong operand',))
    """
    checked_cost(J)
    if order not in ("C", "F"):
        raise ValueError(f"order is 'C' (row by row) or 'F' (column by column), not {order!r}")
    if hint not in (0, 1, 2, 3):
        raise ValueError(f"hint is 0, 1, 2 or 3, not {hint!r}")
    variables = sys._getframe(1).f_locals if names is None else names
    run = Trace.of_graph(J).name({**variables})
    cost = run[J]
    lines, tensors, ignored = resolved(run, hand, variables)
    with run:
        gradients(J, tensors)
    return Comparison(run, cost, lines, ignored, variables, order, hint, precision)


# ---- the judgement ------------------------------------------------------------------------------


@dataclass
class State:
    """Constants chosen for some intermediate gradients, and how many lines are wrong with them."""

    cost: float
    scales: dict[Value, float]
    verdicts: list[tuple[str, float]]


class Comparison(Report):
    """What `compare` found; True if all is right.

    Attributes
    ----------
    lines : list of Line
        One for each hand gradient, in backward order.
    first_wrong : str or None
        The name of the first wrong line.
    ignored : list of str
        What was given but does not belong to the cost.
    """

    marks = ("wrong", "follows")

    def __init__(
        self,
        run: Trace,
        cost: Value,
        lines: list[Line],
        ignored: list[str],
        variables: Mapping[str, Any],
        order: str,
        hint: int,
        precision: float | None,
    ) -> None:
        self.ignored = ignored
        self.hint = hint
        self._replay = Replay(run, cost)
        self.lines = sorted(lines, key=lambda line: self._replay.finished(line.value))
        self._by_value = {line.value: line for line in self.lines}
        self._variables = variables
        self._constants = Constants(named_numbers(run, variables))
        self._regularised = any(
            pull.operand.kind == "parameter" and len(pull.call.operands) == 1 for pull in run.pulls
        )
        errors = rounding_errors(self._replay, self._by_value)
        sides: list[Any] = [{}, *kink_edits(self._replay)]
        for line in self.lines:
            self._read(line, errors[line.value], precision, order, sides)
        self._accept_transposed()
        self._derive(sides)
        self._judge()
        self._explain()
        for line in self.lines:
            line.numerical = numerical_agreement(self._replay, line.value, line.true)

    @property
    def ok(self) -> bool:  # type: ignore[override]
        """Whether all hand gradients are right."""
        return self.first_wrong is None

    @property
    def first_wrong(self) -> str | None:
        """The name of the first wrong line in backward order."""
        return next((line.name for line in self.lines if line.verdict == "wrong"), None)

    # -- what is expected --

    def _seed(self) -> dict[Value, Array]:
        """The gradient of the cost by itself."""
        assert self._replay.cost.gradient is not None
        return {self._replay.cost: self._replay.cost.gradient.array}

    def _read(
        self, line: Line, error: float, precision: float | None, order: str, sides: list[Any]
    ) -> None:
        """Find the true gradient of a line, how exact it can be, and the hand one in its shape."""
        pulls = self._replay.leading_to(line.value, self._seed())
        line.truths = [
            self._replay.backward(pulls, self._seed(), edits)[line.value] for edits in sides
        ]
        size = float(np.max(np.abs(line.true), initial=0))
        line.tolerance = self._tolerance(line, error, precision, size)
        if not np.all(np.isfinite(line.hand)):
            where = np.argwhere(~np.isfinite(line.hand))
            bad = line.hand[tuple(where[0])]
            line.shape_finding = (
                "not finite",
                f"has {bad} in {len(where)} of {line.hand.size} elements, first at "
                f"[{', '.join(map(str, where[0]))}]",
            )
            return
        hand = line.hand.astype(float)
        if hand.shape == line.value.shape:
            line.array = hand
            return
        line.readings = list(readings(hand, line.true, order))
        for reading in line.readings:
            if Judge(reading.array, line.tolerance).factor(line.true) is not None:
                self._take(line, reading)
                return
        line.shape_finding = "shape", f"has shape {hand.shape} where {line.value.shape} belongs"

    @staticmethod
    def _take(line: Line, reading: Reading) -> None:
        """Take a hand gradient of another shape in one of the ways to read it."""
        line.array = reading.array
        line.shape_finding = (reading.cause, reading.sentence) if reading.cause else None

    @staticmethod
    def _tolerance(line: Line, error: float, precision: float | None, size: float) -> float:
        """By how much an element may be off through rounding."""
        epsilon = float(np.finfo(line.true.dtype).eps)
        if line.hand.dtype.kind == "f":
            epsilon = max(epsilon, float(np.finfo(line.hand.dtype).eps))
        if precision is not None:
            epsilon = max(epsilon, precision)
        if not math.isfinite(error):
            return 1e-6 * size
        return max(CLOSE * size, SAFETY * epsilon * error)

    def _accept_transposed(self) -> None:
        """Accept that all is transposed: examples in rows where the cost has them in columns."""
        flat = [line for line in self.lines if line.value.array.ndim == 2 and line.array is not None]
        telling = [line for line in flat if line.value.shape[0] != line.value.shape[1]]
        if telling and all((line.shape_finding or "?")[0] == "transposed" for line in telling):
            for line in flat:
                if line in telling:
                    line.shape_finding = None
                else:
                    line.array = line.array.T

    def _derive(self, sides: list[Any]) -> None:
        """Find what follows, for each line, from each of the gradients that it is computed from."""
        usable = {
            line.value: line.array if line.array is not None else line.true for line in self.lines
        }
        for line in self.lines:
            given = {**usable, **self._seed()}
            given.pop(line.value)
            pulls = self._replay.leading_to(line.value, given)
            sources = [
                source
                for source in dict.fromkeys(pull.call.output for pull in pulls)
                if source in given
            ]
            for edits in sides:
                parts = {
                    source: self._replay.backward(pulls, {source: given[source]}, edits).get(
                        line.value, np.zeros(line.value.shape)
                    )
                    for source in sources
                }
                line.parts.append(parts)

    # -- where --

    def _sources(self, line: Line) -> list[Line]:
        """The lines that a line is computed from."""
        return [self._by_value[source] for source in line.parts[0] if source in self._by_value]

    def _votes(self, line: Line) -> Iterator[float]:
        """The constants that would make lines right which are computed from this one."""
        for leaf in self.lines:
            if leaf.array is None or line not in self._sources(leaf):
                continue
            if not leaf.is_leaf:
                yield from self._votes(leaf)
                continue
            if self._sources(leaf) != [line]:
                continue
            part = leaf.parts[0][line.value]
            rest = leaf.array - sum(p for s, p in leaf.parts[0].items() if s is not line.value)
            judge = Judge(rest, leaf.tolerance)
            c = judge.factor(part)
            if c is None and (pair := judge.combination(part, leaf.value.array)):
                c = pair[0]
            if c:
                yield 1 / c

    def _judge(self) -> None:
        """Choose the constants of intermediate gradients so that few lines are wrong."""
        states = [State(0.0, {}, [])]
        for line in self.lines:
            following = []
            votes = [] if line.is_leaf else list(self._votes(line))
            for state in states:
                expected = line.expected(state.scales)
                sources = self._sources(line)
                inherited = state.scales[sources[0].value] if sources else 1.0
                options = [1.0]
                if not line.is_leaf:
                    c = None
                    if line.array is not None:
                        c = Judge(line.array / inherited, line.tolerance).factor(expected[0])
                    options = [inherited, *([c * inherited] if c else []), *votes]
                for scale in unlike(options):
                    verdict, follows = self._verdict(line, scale, expected)
                    cost = state.cost + (1 if verdict == "wrong" else 0 if follows else UNFOUNDED)
                    cost += CHANGE_OF_SCALE * (not line.is_leaf and not same(scale, inherited))
                    scales = {**state.scales, line.value: scale}
                    following.append(State(cost, scales, [*state.verdicts, (verdict, scale)]))
            states = sorted(following, key=lambda state: state.cost)[:MOST_STATES]
        self._scales = states[0].scales
        for line, (verdict, scale) in zip(self.lines, states[0].verdicts, strict=True):
            line.verdict, line.scale = verdict, scale

    @staticmethod
    def _verdict(line: Line, scale: float, expected: list[Array]) -> tuple[str, bool]:
        """The verdict on a line with a constant, and whether the line follows from those before."""
        if line.array is None:
            return "wrong", False
        array = line.array / scale
        follows = line.agrees(array, expected)
        if line.shape_finding or not (follows or line.agrees(array, line.truths)):
            return "wrong", follows
        if not line.agrees(array, line.truths):
            return "follows", follows
        return "right" if same(scale, 1.0) else "convention", follows

    # -- why --

    def _explain(self) -> None:
        """Find the mistakes in wrong lines."""
        wrong = [line for line in self.lines if line.verdict == "wrong"]
        sites = {line: self._site(line) for line in wrong}
        for line in wrong:
            site = sites[line]
            line.formula = self._formula(line, site)
            if line.array is None:
                self._explain_shape(line, site)
                continue
            if line.agrees(line.array / line.scale, [site.expected[line.value]]):
                continue
            if not np.any(line.array):
                line.explanations = [Explanation(("zero",), "is zero: it was forgotten", {})]
                continue
            judge = Judge(line.array / line.scale, line.tolerance)
            line.explanations = explanations(site, judge, self._constants)
        for line in self.lines:
            if line.verdict == "follows":
                line.follows_from = [
                    source.name
                    for source in self._sources(line)
                    if source.verdict in ("wrong", "follows")
                ]

    def _explain_shape(self, line: Line, site: Site) -> None:
        """Find a mistake that gives numbers of just this shape, or else in one that can be read."""
        if not np.all(np.isfinite(line.hand)):
            return
        for scale in unlike([line.scale, *self._scales.values()]):
            judge = Judge(line.hand / scale, line.tolerance)
            line.explanations = explanations(site, judge, self._constants)
            if line.explanations:
                return
        for reading in line.readings:
            judge = Judge(reading.array / line.scale, line.tolerance)
            line.explanations = explanations(site, judge, self._constants)
            if line.explanations:
                self._take(line, reading)
                return

    def _site(self, line: Line) -> Site:
        """Where the mistake in a line is looked for."""
        given = {
            source: (self._by_value[source].array / self._scales[source])
            if source in self._by_value and self._by_value[source].array is not None
            else part_source(source)
            for source in line.parts[0]
        }
        pulls = self._replay.leading_to(line.value, given)
        expected = {**given, **self._replay.backward(pulls, given)}
        values = [v for v in self._replay.run.values if v.kept and v.name and v.dtype.kind == "f"]
        tensors = {id(v.live): Candidate(v.array, printable(v.name or "")) for v in values}
        for value in {v for pull in pulls for v in (pull.operand, pull.call.output)}:
            if value.kept and value.array.size > 1:
                tensors.setdefault(id(value.live), Candidate(value.array, text_of(value)))
        grads = {
            id(other.array): Candidate(other.array / line.scale, other.name)
            for other in self.lines
            if other.array is not None and other.value not in given and other is not line
        }
        for value in self._replay.run.values:
            if value.gradient and value not in self._by_value and value.array.size > 1:
                text = f"d{printable(value.name) if value.name else f'({text_of(value)})'}"
                grads[id(value.gradient)] = Candidate(value.gradient.array, text)
        for name, thing in self._variables.items():
            array = thing.data if isinstance(thing, Tensor) else thing
            if isinstance(array, np.ndarray) and array.dtype.kind in "biuf":
                tensors.setdefault(id(array), Candidate(array.astype(float), printable(name)))
        for value, array in given.items():
            if value in self._by_value and array.size > 1:
                tensors[id(array)] = Candidate(array, self._by_value[value].name)
        return Site(
            replay=self._replay,
            value=line.value,
            pulls=pulls,
            given=given,
            tensors=[*tensors.values(), *grads.values()],
            gradients=[
                *grads.values(),
                *(Candidate(array / line.scale, text) for array, text in tensors.values()),
            ],
            updates={
                value: value.gradient.array
                for value in self._replay.run.values
                if value.kind == "parameter" and value.gradient
            },
            expected=expected,
            regularised=self._regularised,
        )

    def _formula(self, line: Line, site: Site) -> str:
        """How a line is right."""
        texts = {}
        for source in site.given:
            text = "1"
            if source in self._by_value:
                ratio = self._scales[source] / line.scale
                text = self._by_value[source].name
                if not same(ratio, 1.0):
                    text = f"{text} / {self._constants.text(ratio)}"
            texts[source] = text
        return f"{line.name} = {gradient_text(self._replay, line.value, site.pulls, texts)}"

    # -- the report --

    @property
    def title(self) -> str:  # type: ignore[override]
        """Right or wrong, and where."""
        if self.ok:
            return f"All {len(self.lines)} gradients are right."
        wrong = [line.name for line in self.lines if line.verdict == "wrong"]
        follow = sum(line.verdict == "follows" for line in self.lines)
        if self.hint == 0:
            return "Not all gradients are right."
        text = f"{wrong[0]} is wrong" if len(wrong) == 1 else f"{' and '.join(wrong)} are wrong"
        return text + (f"; {follow} more follow from that." if follow else ".")

    @property
    def header(self) -> list[str]:  # type: ignore[override]
        """The columns."""
        return ["", "shape", "verdict", "hand - autodiff", "numerical - autodiff", "worst element"]

    @property
    def rows(self) -> list[list[str]]:  # type: ignore[override]
        """One for each hand gradient."""
        return [self._row(line) for line in self.lines] if self.hint else []

    def _row(self, line: Line) -> list[str]:
        verdict = line.verdict
        if verdict == "convention":
            verdict = f"right, times {self._constants.text(line.scale)}"
        if verdict == "follows":
            verdict = f"follows from {' and '.join(line.follows_from) or 'it'}"
        shape = "x".join(map(str, line.value.shape)) or "number"
        worst = ""
        if line.verdict in ("wrong", "follows") and line.array is not None:
            index, mine, true = self._worst(line)
            place = f"[{', '.join(map(str, index))}]" if index else ""
            worst = f"{line.name}{place}: hand {mine:.6g}, autodiff {true:.6g}"
        off = f"{self._difference(line):.1e}"
        return [line.name, shape, verdict, off, f"{line.numerical:.1e}", worst]

    @staticmethod
    def _difference(line: Line) -> float:
        """How far a hand gradient is from the true one, relative to the largest element."""
        if line.array is None:
            return math.nan
        scale = float(np.max(np.abs(line.true), initial=0))
        off = float(np.max(np.abs(line.array / line.scale - line.true), initial=0))
        return off / scale if scale else off

    @staticmethod
    def _worst(line: Line) -> tuple[tuple[int, ...], float, float]:
        """The element that is off most, in the scale of the hand gradient."""
        true = line.true * line.scale
        place = np.unravel_index(int(np.argmax(np.abs(line.array - true))), true.shape)
        return tuple(int(i) for i in place), float(line.array[place]), float(true[place])

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        """What is wrong, in words."""
        notes = []
        common = self._common_factor()
        if common is not None and self.hint >= 2:
            notes.append(
                f"The gradients of all parameters are off by one factor: they are those of "
                f"{self._constants.text(common)} times J."
            )
        for line in self.lines:
            if line.verdict == "wrong" and self.hint == 2:
                causes = " or ".join(line.causes) or "no known mistake"
                notes.append(f"{line.name}: {causes}.")
            elif line.verdict == "wrong" and self.hint == 3:
                notes.append(self._sentence(line))
        if self.ignored:
            notes.append(
                f"Ignored, since the cost was not computed from Tensors of these names: "
                f"{', '.join(self.ignored)}."
            )
        return notes

    def _sentence(self, line: Line) -> str:
        """What is wrong in a line, and how it is right."""
        sentences = [line.shape_finding[1]] if line.shape_finding else []
        found = {e.causes: e.sentence for e in reversed(line.explanations)}
        first, *others = [*reversed(found.values())] or [""]
        if first:
            sentences.append(first)
            if others:
                sentences[-1] += (
                    f" (or it {'; or it '.join(others[:3])}: at this point the numbers are the same)"
                )
        elif not sentences:
            sentences.append("is wrong in a way that no known mistake explains")
        return f"{line.name} {', and it '.join(sentences)}.\n    {line.formula}"

    def _common_factor(self) -> float | None:
        """The constant by which the gradients of all parameters are off, if there is one."""
        leaves = [line for line in self.lines if line.is_leaf and line.array is not None]
        factors = [Judge(line.array, line.tolerance).factor(line.true) for line in leaves]
        if len(leaves) < 2 or None in factors:
            return None
        first = factors[0]
        assert first is not None
        if same(first, 1.0) or not all(f is not None and same(f, first) for f in factors):
            return None
        return first

    def to_dict(self) -> dict[str, Any]:
        """The report as plain Python values, which `json.dump` can write."""
        found: dict[str, Any] = {"title": self.title, "ok": self.ok}
        if self.hint:
            found["first_wrong"] = self.first_wrong
            found["lines"] = [self._line_dict(line) for line in self.lines]
        found["notes"] = self.notes
        found["ignored"] = self.ignored
        return plain(found)  # type: ignore[no-any-return]

    def _line_dict(self, line: Line) -> dict[str, Any]:
        """One line as plain values, as far as the hint allows."""
        facts: dict[str, Any] = {
            "name": line.name,
            "shape": line.value.shape,
            "verdict": line.verdict,
            "scale": line.scale,
            "difference": self._difference(line),
            "numerical_difference": line.numerical,
        }
        if self.hint >= 2:
            facts["causes"] = line.causes
        if self.hint == 3:
            facts["explanations"] = [explanation.sentence for explanation in line.explanations]
            facts["formula"] = line.formula
        return facts


def part_source(source: Value) -> Array:
    """The true gradient of a value."""
    assert source.gradient is not None
    return source.gradient.array


def same(a: float, b: float) -> bool:
    """Whether two constants are one, to rounding."""
    return math.isclose(a, b, rel_tol=1e-7)


def unlike(options: list[float]) -> list[float]:
    """The constants that differ from those before them."""
    kept: list[float] = []
    for option in options:
        if not any(same(option, other) for other in kept):
            kept.append(option)
    return kept


def named_numbers(run: Trace, variables: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a derivation may speak of: the user's own, and the lengths of axes."""
    named: dict[str, float] = {}
    for name, thing in variables.items():
        if isinstance(thing, int | float | np.integer | np.floating) and not isinstance(thing, bool):
            if math.isfinite(thing) and not name.startswith("_"):
                named[printable(name)] = float(thing)
    for value in run.values:
        if value.name and value.kind != "result":
            for axis, length in enumerate(value.shape):
                if float(length) not in named.values():
                    named[f"{printable(value.name)}.shape[{axis}]"] = float(length)
    return named
