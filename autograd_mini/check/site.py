"""Where a mistake is looked for, and the small parts that edits of a backward pass are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from .. import activations
from ..core import ops
from ..core.tensor import Tensor
from ..trace import Call, Pull, Trace, Value
from ..trace.replay import Array, Edits, Replay, flow

Edit = Callable[..., Any]
NEGLIGIBLE = 1e-4  # a tensor as small as that, beside another, is as good as 0


class Candidate(NamedTuple):
    """An array that somebody may have taken by mistake, and what he calls it."""

    array: Array
    text: str


@dataclass
class Site:
    """The part of a backward pass behind one gradient, and what may have got into it by mistake.

    Attributes
    ----------
    value : Value
        Whose gradient is wrong.
    pulls : list of Pull
        The shares that it is computed from, back to gradients that are given.
    given : mapping of Value to ndarray
        Those gradients.
    expected : mapping of Value to ndarray
        The gradients that follow from them.
    tensors, gradients : list of Candidate
        What may stand in the place of an operand, or of a gradient.
    updates : mapping of Value to list of ndarray
        The gradients of the parameters: the true one, and the one by hand.
    regularised : bool
        Whether some parameters enter the cost by themselves.
    """

    replay: Replay
    value: Value
    pulls: list[Pull]
    given: Mapping[Value, Array]
    expected: Mapping[Value, Array]
    tensors: list[Candidate] = field(default_factory=list)
    gradients: list[Candidate] = field(default_factory=list)
    updates: Mapping[Value, list[Array]] = field(default_factory=dict)
    regularised: bool = False

    @cached_property
    def flows(self) -> dict[Pull, set[Value]]:
        """What depends on the incoming gradient, in each rule."""
        return {pull: flow(pull) for pull in self.pulls}

    def carries(self, call: Call, operand: Any) -> bool:
        """Whether an operand of a call in a rule depends on the incoming gradient."""
        return isinstance(operand, Value) and operand in self.flows[call.pull]  # type: ignore[index]

    def fitting(self, shape: tuple[int, ...]) -> list[Candidate]:
        """The tensors that can stand where an array of some shape belongs."""
        return [tensor for tensor in self.tensors if fits(tensor.array.shape, shape)]

    def others(self, value: Value) -> list[Candidate]:
        """The tensors that can stand in the place of a value, and make a difference there."""
        least = NEGLIGIBLE * np.max(np.abs(value.array), initial=0)
        return [
            tensor
            for tensor in self.fitting(value.shape)
            if tensor.array is not value.array and np.max(np.abs(tensor.array)) > least
        ]

    def labels(self) -> list[Candidate]:
        """Those that consist of zeros and ones."""
        fitting = self.fitting(self.value.shape)
        return [tensor for tensor in fitting if np.all(np.isin(tensor.array, (0, 1)))]

    def own_shares(self) -> list[Pull]:
        """The shares of the gradient itself."""
        return [pull for pull in self.pulls if pull.operand is self.value]

    def rerun(self, pull: Pull, values: Mapping[Value, Array]) -> Edit:
        """The rule on other values of the forward pass."""
        return lambda g: self.replay.share(pull, g, values=values)

    def restart(self, pull: Pull, gradient: Array) -> Edit:
        """The rule on another gradient."""
        return lambda g: self.replay.share(pull, gradient)

    def outcome(self, edits: Edits) -> Array | None:
        """The gradient that edits give; None where they make no sense."""
        try:
            with np.errstate(all="ignore"):
                result = self.replay.backward(self.pulls, self.given, edits).get(self.value)
        except (ValueError, TypeError, IndexError, AttributeError):  # shapes that do not fit
            return None
        return result if result is not None and np.all(np.isfinite(result)) else None


def fits(shape: tuple[int, ...], place: tuple[int, ...]) -> bool:
    """Whether an array of a shape broadcasts to another shape; one number does not count."""
    if len(shape) > len(place) or math.prod(shape) == 1 < math.prod(place):
        return False
    return all(n in (1, k) for n, k in zip(shape[::-1], place[::-1], strict=False))


def is_recorded(operand: Any) -> bool:
    """Whether an operand of a rule is an array of the forward pass."""
    return isinstance(operand, Value) and (operand.call is None or operand.call.phase == "forward")


def is_unary(pull: Pull) -> bool:
    """Whether a share goes through an elementwise function of one operand."""
    return (
        len(pull.call.operands) == 1
        and pull.call.primitive.kind == "elementwise"
        and bool(pull.calls)
    )


# ---- edits --------------------------------------------------------------------------------------


def keep(place: int) -> Edit:
    """One operand instead of the result."""
    return lambda *x: x[place]


def times(factor: Array) -> Edit:
    """What comes in, times a factor."""
    return lambda g: g * factor


def instead(array: Array) -> Edit:
    """An array, whatever comes in."""
    return lambda g: array


def nothing(g: Array) -> None:
    """No share at all."""


def with_operand(call: Call, place: int, other: Array) -> Edit:
    """The call with another array for one of its operands."""
    return lambda *x: call.run(*x[:place], other, *x[place + 1 :])


# ---- derivatives --------------------------------------------------------------------------------

ACTIVATIONS = {
    "sigmoid": activations.sigmoid,
    "tanh": ops.tanh,
    "ReLU": activations.relu,
    "leaky ReLU": activations.leaky_relu,
    "softplus": activations.softplus,
}


def derivative(function: Any, x: Array, y: Array | None = None) -> Array:
    """The derivative of an elementwise function as its rule has it, at an operand and an output.

    The rules of some functions are written in the output: with another ``y`` this is what comes of
    ``1 - A**2`` where A is no hyperbolic tangent.
    """
    leaf = Tensor(np.array(x, dtype=float), requires_grad=True)
    ones = np.ones(leaf.shape)
    with np.errstate(all="ignore"), Trace() as run:
        function(leaf).backward(ones)
        (pull,) = run.pulls
        return Replay.share(pull, ones, values={} if y is None else {pull.call.output: y})


def own_function(pull: Pull) -> Edit:
    """The function that a share goes through."""
    return partial(pull.call.primitive, **pull.call.statics)


def activation_slopes(tensor: Candidate) -> Iterator[Candidate]:
    """What may be taken for a derivative: of an activation function, or written in its output."""
    x, text = tensor
    for name, function in ACTIVATIONS.items():
        yield Candidate(derivative(function, x), f"{name}'({text})")
    yield Candidate(x * (1 - x), f"{text} * (1 - {text})")
    yield Candidate(1 - x**2, f"(1 - {text}**2)")
