"""Gradients derived by hand, against automatic and numerical ones: the call and its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..formulas import printable
from ..refusals import described
from ..trace import Linked, Trace, Value, run_of, variables_around
from ..trace.replay import Array
from .derivation import Derivation, Line
from .judge import alike
from .mistakes import KINDS
from .report import Report, plain
from .slopes import numerical_agreement

__all__ = ["Comparison", "Line", "compare"]


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
    run: Trace, cost: Value, hand: Mapping[Any, Any], variables: Mapping[str, Any]
) -> tuple[list[Line], list[str]]:
    """The hand gradients with their values in the run, and the names of those that have none."""
    lines: list[Line] = []
    ignored: list[str] = []
    by_name = {value.name: value for value in reversed(run.values) if value.name}
    everything = any(isinstance(key, str) and not key.startswith("d") for key in hand)
    if not isinstance(hand, Mapping):
        raise TypeError(
            f"the gradients derived by hand are a dict, by name or Tensor, such as {{'dW': dW}}, "
            f"not {type(hand).__name__} {hand!r:.80}"
        )
    for key, thing in hand.items():
        if not isinstance(key, str | Tensor):
            raise TypeError(f"keys are names such as 'dW1', or Tensors, not {type(key).__name__}")
        if isinstance(key, Tensor):
            value = run.find(key)
            name = f"d{(value and value.name) or '(unnamed)'}"
        else:
            name = key
            variable = variables.get(key[1:]) if key.startswith("d") else None
            if everything and not hasattr(variable, "dtype"):  # one of the other variables
                continue
            value = run.find(variable) if isinstance(variable, Tensor) else by_name.get(key[1:])
        taken = [cost, *(line.value for line in lines)]
        if value is None or value in taken or value.kind == "input":
            ignored.append(printable(name))
        else:
            lines.append(Line(printable(name), value, as_numbers(printable(name), thing)))
    if not lines:
        raise ValueError(
            "there is no gradient to compare: give {'dW1': dW1, ...}, or locals(), where W1 is a "
            "Tensor that the cost was computed from"
            + (f"; not in its graph: {', '.join(ignored)}" if ignored else "")
        )
    return lines, ignored


def compare(
    J: Tensor | Trace,
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
    J : Tensor or Trace
        The cost: one number, computed from Tensors, or the run that computed it.  No
        ``retain_grad`` is needed, and no ``.grad`` is touched.
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
    >>> Z2 = W2 @ A1
    >>> A2 = ag.sigmoid(Z2)
    >>> J = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    >>> dZ2 = A2.data - Y
    >>> dW2 = dZ2 @ A1.data.T / 3
    >>> dZ1 = W2.data.T @ dZ2 * (1 - Z1.data**2)
    >>> report = ag.compare(J, {"dZ2": dZ2, "dW2": dW2, "dZ1": dZ1})
    >>> report.first_wrong, report.lines[-1].causes
    ('dZ1', ('wrong operand',))
    """
    variables = variables_around() if names is None else names
    if not isinstance(J, Trace):
        checked_cost(J)
    run = run_of(J, names, variables)
    cost = run.differentiated()[0] if isinstance(J, Trace) else run[J]
    return compared(run, cost, hand, variables, order=order, hint=hint, precision=precision)


def compared(
    run: Trace,
    cost: Value,
    hand: Mapping[Any, Any],
    variables: Mapping[str, Any],
    *,
    order: str = "C",
    hint: int = 3,
    precision: float | None = None,
) -> Comparison:
    """`compare` for a run that is there already; what it lacks of the backward pass is added."""
    if order not in ("C", "F"):
        raise ValueError(f"order is 'C' (row by row) or 'F' (column by column), not {order!r}")
    if hint not in (0, 1, 2, 3):
        raise ValueError(f"hint is 0, 1, 2 or 3, not {hint!r}")
    lines, ignored = resolved(run, cost, hand, variables)
    if run.cost is not cost or any(line.value.gradient is None for line in lines):
        run.differentiate(cost, [line.value for line in lines])
    with np.errstate(all="ignore"):  # hand gradients may hold anything
        derivation = Derivation(run, cost, lines, variables, order, precision)
        return Comparison(derivation, ignored, hint)


# ---- the report ---------------------------------------------------------------------------------


class Comparison(Linked, Report):
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

    def __init__(self, derivation: Derivation, ignored: list[str], hint: int) -> None:
        self.lines = derivation.lines
        self.ignored = ignored
        self.hint = hint
        self._constants = derivation.constants
        self._numerical = {
            line: numerical_agreement(derivation.replay, line.value, line.true)
            for line in self.lines
        }
        gradients = [x.gradient.array for x in derivation.replay.shares if x.gradient]
        self._largest = max((np.max(np.abs(x), initial=0) for x in gradients), default=0.0)

    @property
    def ok(self) -> bool:  # type: ignore[override]
        """Whether all hand gradients are right."""
        return self.first_wrong is None and not self.doubtful

    @property
    def doubtful(self) -> list[str]:
        """The lines at which autodiff itself is not what the cost says, where that is exact.

        What is rounded may be as large as the largest gradient, though this one vanishes.
        """
        found = []
        for line, agreement in self._numerical.items():
            if agreement is not None and agreement.is_exact:
                eps = np.finfo(line.true.dtype).eps
                rounded = agreement.difference <= 1e3 * eps * self._largest
                if not (agreement.off <= eps**0.5 or rounded):
                    found.append(line.name)
        return found

    @property
    def first_wrong(self) -> str | None:
        """The name of the first wrong line in backward order."""
        return next((line.name for line in self.lines if line.verdict == "wrong"), None)

    @property
    def title(self) -> str:  # type: ignore[override]
        """Right or wrong, and where."""
        if self.doubtful:
            return f"There is no verdict: autodiff itself is wrong at {listed(self.doubtful)}."
        if self.ok:
            n = len(self.lines)
            return f"All {n} gradients are right." if n > 1 else f"{self.lines[0].name} is right."
        if self.hint == 0:
            return "Not all gradients are right."
        wrong = [line.name for line in self.lines if line.verdict == "wrong"]
        following = sum(line.verdict == "follows" for line in self.lines)
        text = f"{listed(wrong)} {'is' if len(wrong) == 1 else 'are'} wrong"
        if following:
            text += f"; {following} more {'follows' if following == 1 else 'follow'} from that"
        return f"{text}."

    @property
    def header(self) -> list[str]:  # type: ignore[override]
        """The columns."""
        off = ["relative |hand - autodiff|", "|numerical - autodiff|"]
        return ["", "shape", "verdict", *off, "worst element"] if self.hint else []

    @property
    def rows(self) -> list[list[str]]:  # type: ignore[override]
        """One for each hand gradient."""
        return [self._row(line) for line in self.lines] if self.hint else []

    def _row(self, line: Line) -> list[str]:
        verdict = line.verdict
        if verdict == "convention":
            verdict = f"right, times {self._constants.text(line.scale)}"
        elif verdict == "follows":
            verdict = f"follows from {listed(line.follows_from)}"
        elif verdict == "wrong" and line.shape_finding and not line.explanations:
            verdict = f"wrong: {line.shape_finding.causes[0]}"
        shape = "x".join(map(str, line.value.shape)) or "number"
        off = f"{self._difference(line):.1e}"
        return [line.name, shape, verdict, off, self._against_numerical(line), self._worst(line)]

    def _against_numerical(self, line: Line) -> str:
        """How far autodiff is from the numerical gradient, if there is one."""
        agreement = self._numerical[line]
        return "values not kept" if agreement is None else f"{agreement.off:.1e}"

    @staticmethod
    def _difference(line: Line) -> float:
        """How far a hand gradient is from the true one, relative to the largest element."""
        if line.array is None:
            return math.nan
        scale = float(np.max(np.abs(line.true), initial=0))
        off = float(np.max(np.abs(line.array / line.scale - line.true), initial=0))
        return off / scale if scale else off

    def _worst(self, line: Line) -> str:
        """The element that is off most, in the scale of the hand gradient."""
        if line.array is None or line.agrees(line.array / line.scale, line.truths):
            return ""
        true = line.true * line.scale
        index = np.unravel_index(int(np.argmax(np.abs(line.array - true))), true.shape)
        place = f"{line.name}[{', '.join(map(str, index))}]" if index else line.name
        if self.hint < 3:
            return place
        return f"{place}: hand {line.array[index] + 0.0:.6g}, autodiff {true[index] + 0.0:.6g}"

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        """What is wrong, in words."""
        notes = []
        if self.doubtful:
            notes.append(
                f"{listed(self.doubtful)}: the numerical derivative of the cost is another than "
                f"autodiff has, and nothing can be judged by that. The rule of an op on the way is "
                f"wrong, or the cost jumps here: ag.check.gradcheck tells which."
            )
        common = self._common_factor() if self.hint >= 2 else None
        if common is not None:
            notes.append(
                f"The gradients of all parameters are off by one factor: they are those of "
                f"{self._constants.text(common)} times J."
            )
        for line in self.lines:
            if line.verdict != "wrong" or self.hint < 2 or (common is not None and line.is_leaf):
                continue
            if self.hint == 2:
                kinds = " or ".join(KINDS[cause] for cause in line.causes)
                notes.append(f"{line.name}: {kinds or 'no mistake of a known kind'}.")
            else:
                notes.append(self._sentence(line))
        if self.ignored:
            notes.append(
                f"Ignored, since the cost was not computed from Tensors of these names: "
                f"{', '.join(self.ignored)}."
            )
        return notes

    def _sentence(self, line: Line) -> str:
        """What is wrong in a line, and how it is right."""
        sentences = [line.shape_finding.sentence] if line.shape_finding else []
        found: dict[tuple[str, ...], str] = {}
        for explanation in line.explanations:
            found.setdefault(explanation.causes, explanation.sentence)
        if found:
            first, *others = found.values()
            if others and line.explanations[0].causes != ("zero",):
                first += f" (the same numbers come if it {', or if it '.join(others[:3])})"
            sentences.append(first)
        elif not sentences:
            sentences.append("is wrong in a way that no known mistake explains")
        return f"{line.name} {', and it '.join(sentences)}.\n    {line.formula}"

    def _common_factor(self) -> float | None:
        """The constant by which the gradients of all parameters are off, if there is one."""
        leaves = [line for line in self.lines if line.is_leaf and line.array is not None]
        factors = [line.judge(line.array).factor(line.true) for line in leaves]
        if len(leaves) < 2 or None in factors:
            return None
        first = factors[0]
        assert first is not None
        if alike(first, 1.0) or not all(f is not None and alike(f, first) for f in factors):
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
        agreement = self._numerical[line]
        facts: dict[str, Any] = {
            "name": line.name,
            "shape": line.value.shape,
            "verdict": line.verdict,
            "scale": line.scale,
            "difference": self._difference(line),
            "numerical_difference": agreement and agreement.off,
        }
        if self.hint >= 2:
            facts["causes"] = line.causes
        if self.hint == 3:
            facts["explanations"] = [explanation.sentence for explanation in line.explanations]
            facts["formula"] = line.formula
        return facts


def listed(names: list[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
