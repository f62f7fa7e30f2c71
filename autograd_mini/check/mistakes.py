"""The mistakes that people make when they derive gradients by hand, each as one row.

A row is a name, a sentence, and an edit of the recorded backward pass: of a call in a rule, of a
share of a gradient, or of a value's whole gradient.  It knows nothing of networks, layers and
losses.  If the edited pass gives somebody's numbers, that is the mistake that was made.

A row is a generator: for a place of the pass it yields ``(function, words)`` for each way to make
the mistake there.  ``function`` is what happens at the place instead, see `Replay`, and ``words``
fill in the sentence.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..core import ops
from ..core.tensor import Tensor as Leaf
from ..trace import Call, Pull, Trace, Value, array_of
from .replay import Array, Replay, chosen, flow
from .wording import SIGN, text_of, written

Ways = Iterator[tuple[Callable[..., Any], dict[str, str]]]


class Tensor(NamedTuple):
    """An array that somebody may have taken by mistake, and what he calls it."""

    array: Array
    text: str


@dataclass
class Site:
    """Where a mistake is looked for: the part of the backward pass behind one gradient."""

    replay: Replay
    value: Value  # whose gradient is wrong
    pulls: list[Pull]
    given: Mapping[Value, Array]  # the gradients that this one was computed from
    tensors: list[Tensor]  # what may have been taken by mistake
    gradients: list[Tensor]  # likewise, of gradients
    updates: Mapping[Value, Array]  # the gradients of parameters
    expected: Mapping[Value, Array] = field(default_factory=dict)
    regularised: bool = False  # whether parameters enter the cost by themselves

    @cached_property
    def inside(self) -> dict[Pull, set[Value]]:
        """What depends on the incoming gradient, in each rule."""
        return {pull: flow(pull) for pull in self.pulls}

    def fitting(self, shape: tuple[int, ...]) -> list[Tensor]:
        """The tensors that can stand where an array of some shape belongs."""
        return [tensor for tensor in self.tensors if fits(tensor.array.shape, shape)]


def fits(shape: tuple[int, ...], place: tuple[int, ...]) -> bool:
    """Whether an array of a shape broadcasts to another shape."""
    if len(shape) > len(place) or math.prod(shape) == 1 < math.prod(place):
        return False
    return all(n in (1, k) for n, k in zip(shape[::-1], place[::-1], strict=False))


class Row(NamedTuple):
    """A kind of mistake."""

    name: str
    sentence: str
    ways: Callable[..., Ways]


IN_CALLS: list[Row] = []
IN_SHARES: list[Row] = []
IN_VALUES: list[Row] = []


def row(table: list[Row], name: str, sentence: str) -> Callable[[Any], Any]:
    """Enter a generator of edits into a table."""

    def enter(ways: Callable[..., Ways]) -> Callable[..., Ways]:
        table.append(Row(name, sentence, ways))
        return ways

    return enter


# ---- calls in a rule ----------------------------------------------------------------------------

PRODUCTS = (ops.multiply, ops.divide)
SUMS = (ops.add, ops.subtract)


def as_factor(call: Call, position: int) -> str:
    """An operand of a product, as it must be multiplied by."""
    text, binding = written(call.operands[position], {})
    if call.primitive is ops.divide and position == 1:
        return f"1 / {text}" if binding >= SIGN else f"1 / ({text})"
    return text


@row(IN_CALLS, "missing factor", "lacks the factor {factor}: multiply by it")
def missing_factor(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Leave an operand of a product out."""
    if call.primitive in PRODUCTS:
        for kept in (0, 1) if call.primitive is ops.multiply else (0,):
            if call.operands[1 - kept] not in inside:
                yield (lambda *x, kept=kept: x[kept]), {"factor": as_factor(call, 1 - kept)}
    if call.primitive is ops.where and call.output in inside:
        factor = {"factor": f"that is 0 where not {text_of(call.operands[0])}"}
        for kept in (1, 2):
            yield (lambda *x, kept=kept: np.broadcast_to(x[kept], np.shape(x[0]))), factor


@row(IN_CALLS, "factor twice", "has the factor {factor} twice")
def factor_twice(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Multiply by an operand of a product once more."""
    if call.primitive in PRODUCTS:
        for again in (0, 1) if call.primitive is ops.multiply else (1,):
            if call.operands[again] not in inside:
                yield (
                    (
                        (lambda *x, again=again: call.run(call.run(*x), x[again]))
                        if again
                        else (lambda *x: call.run(call.run(*x), x[0]))
                    ),
                    {"factor": as_factor(call, again)},
                )


@row(
    IN_CALLS, "inverted factor", "is multiplied where it must be divided by {factor}, or reversely"
)
def inverted_factor(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Divide instead of multiplying, or reversely."""
    if call.primitive is ops.multiply:
        for factor in (0, 1):
            if call.operands[factor] not in inside:
                words = {"factor": text_of(call.operands[factor])}
                yield (lambda *x, factor=factor: x[1 - factor] / x[factor]), words
    if call.primitive is ops.divide:
        yield (lambda a, b: a * b), {"factor": text_of(call.operands[1])}


@row(IN_CALLS, "missing term", "lacks the term {term}")
def missing_term(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Leave a term of a sum out."""
    if call.primitive in SUMS:
        yield (lambda a, b: a), {"term": text_of(call.operands[1])}
        yield (lambda a, b: call.run(0.0, b)), {"term": text_of(call.operands[0])}
        if call.primitive is ops.subtract:
            yield (lambda a, b: b), {"term": text_of(call.operands[0])}
    if call.primitive is ops.where and call.output in inside:
        condition = text_of(call.operands[0])
        yield (lambda c, a, b: np.where(c, a, 0)), {"term": f"for elements without {condition}"}
        yield (lambda c, a, b: np.where(c, 0, b)), {"term": f"for elements with {condition}"}


@row(IN_CALLS, "sign of a term", "has the term {term} with the wrong sign")
def sign_of_a_term(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Add instead of subtracting, or reversely."""
    if call.primitive in SUMS:
        term = {"term": text_of(call.operands[1])}
        yield (lambda a, b: a - b if call.primitive is ops.add else a + b), term


@row(IN_CALLS, "missing function", "has {operand} where {result} belongs")
def missing_function(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Take the operand of a function for its result."""
    arrays = [x for x in call.operands if isinstance(x, Value)]
    if len(arrays) == 1 and arrays[0].shape == call.output.shape and not inside & {*arrays}:
        place = call.operands.index(arrays[0])
        words = {"operand": text_of(arrays[0]), "result": text_of(call.output)}
        yield (lambda *x: x[place]), words


def replaced(call: Call, place: int, other: Array) -> Callable[..., Array]:
    """The call with another array for one of its operands."""
    return lambda *x: call.run(*x[:place], other, *x[place + 1 :])


def recorded(call: Call, inside: set[Value]) -> Iterator[tuple[int, Value]]:
    """The operands of a call in a rule that come from the forward pass, with their positions."""
    for place, operand in enumerate(call.operands):
        if isinstance(operand, Value) and operand not in inside and operand.array.size > 1:
            if operand.call is None or operand.call.phase == "forward":
                yield place, operand


@row(IN_CALLS, "missing term", "has {wrong} where {right} belongs: a term is missing")
def missing_term_before(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Take one term of a sum for an operand that is the sum."""
    for place, operand in recorded(call, inside):
        if operand.call and operand.call.primitive in SUMS:
            for term in operand.call.operands:
                if isinstance(term, Value) and fits(term.shape, operand.shape):
                    words = {"wrong": text_of(term), "right": text_of(operand)}
                    yield replaced(call, place, term.array), words


@row(IN_CALLS, "sign of a term", "has {right} with the wrong sign between its terms")
def sign_of_a_term_before(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Take a sum for a difference, or reversely."""
    for place, operand in recorded(call, inside):
        if operand.call and operand.call.primitive in SUMS:
            a, b = map(array_of, operand.call.operands)
            other = a - b if operand.call.primitive is ops.add else a + b
            yield replaced(call, place, other), {"right": text_of(operand)}


@row(IN_CALLS, "wrong operand", "has {wrong} where {right} belongs")
def wrong_operand(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Take another tensor for an operand, or for an operand of what that was computed from."""
    for place, operand in recorded(call, inside):
        of_any_shape = call.primitive in (ops.transpose, ops.matrix_product)
        for tensor in site.tensors if of_any_shape else site.fitting(operand.shape):
            if tensor.array is not operand.array:
                words = {"wrong": tensor.text, "right": text_of(operand)}
                yield replaced(call, place, tensor.array), words
        before = operand.call
        if before is None or not before.primitive.elementwise:
            continue
        for position, inner in enumerate(before.operands):
            for tensor in site.fitting(operand.shape) if isinstance(inner, Value) else ():
                if tensor.array is not inner.array:
                    arrays = [*map(array_of, before.operands)]
                    arrays[position] = tensor.array
                    words = {"wrong": tensor.text, "right": text_of(inner)}
                    with np.errstate(all="ignore"):
                        yield replaced(call, place, before.run(*arrays)), words


@row(IN_CALLS, "missing transpose", "has the transpose of {matrix} wrong")
def missing_transpose(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Forget to transpose a factor of a matrix product, or transpose the other one."""
    if call.primitive is ops.transpose and call.output.array.ndim == 2:
        yield (lambda x: x), {"matrix": text_of(call.operands[0])}
    if call.primitive is ops.matrix_product and call.output.array.ndim == 2:
        a, b = map(text_of, call.operands)
        yield (lambda a, b: b @ a), {"matrix": f"{a} and {b}, or their order,"}
        yield (lambda a, b: (a @ b).T), {"matrix": f"{a} and {b}, both,"}
        yield (lambda a, b: a.T @ b), {"matrix": a}
        yield (lambda a, b: a @ b.T), {"matrix": b}


@row(IN_CALLS, "wrong product", "has {wrong} where {right} belongs")
def wrong_product(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Multiply element by element where a matrix product belongs, or reversely."""
    if call.primitive is ops.matrix_product:
        yield (lambda a, b: a * b), {"wrong": "*", "right": "@"}
        yield (lambda a, b: a.T * b), {"wrong": "*", "right": "@"}
        yield (lambda a, b: a * b.T), {"wrong": "*", "right": "@"}
        yield (lambda a, b: np.sum(a.T * b, axis=0)), {"wrong": "*", "right": "@"}
    if call.primitive is ops.multiply and call.output.array.ndim == 2:
        words = {"wrong": "@", "right": "*"}
        for product in (
            lambda a, b: a @ b,
            lambda a, b: b @ a,
            lambda a, b: a @ b.T,
            lambda a, b: a.T @ b,
            lambda a, b: b.T @ a,
            lambda a, b: b @ a.T,
        ):
            yield product, words


@row(IN_CALLS, "wrong axis", "is summed over the wrong axis")
def wrong_axis(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Sum over another axis."""
    if call.primitive is ops.reduce_sum and call.output in inside:
        for axis in range(np.ndim(call.operands[0].array)):
            yield (lambda x, axis=axis: fitted(np.sum(x, axis), call.output.shape)), {}
            yield (lambda x, axis=axis: np.sum(x, axis, keepdims=True)), {}


@row(IN_CALLS, "sum over everything", "is summed over everything instead of the examples only")
def sum_over_everything(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Sum over all axes."""
    if call.primitive is ops.reduce_sum and call.output in inside:
        yield (lambda x: np.broadcast_to(np.sum(x), call.output.shape)), {}


@row(IN_CALLS, "last example only", "is that of the {which} example only: add up all of them")
def one_example_only(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Take one summand of a sum over examples."""
    for which, i in ("last", -1), ("first", 0):
        if call.primitive is ops.reduce_sum and call.output in inside:
            for axis in range(np.ndim(call.operands[0].array)):
                yield (
                    (lambda x, axis=axis, i=i: fitted(np.take(x, i, axis), call.output.shape)),
                    {"which": which},
                )
        if call.primitive is ops.matrix_product:
            yield (lambda a, b, i=i: np.take(a, [i], -1) @ np.take(b, [i], -2)), {"which": which}


@row(IN_CALLS, "bias row", "is cut at the wrong end: the row or column of the bias is the first")
def wrong_part(site: Site, call: Call, inside: set[Value]) -> Ways:
    """Take a part of an array that begins one element too early."""
    if call.primitive is ops.getitem and isinstance(key := call.statics["key"], tuple):
        for axis, part in enumerate(key):
            if isinstance(part, slice) and part.start and part.stop:
                moved = slice(part.start - 1, part.stop - 1)
                yield (lambda x, axis=axis, moved=moved: x[(*key[:axis], moved)]), {}


def fitted(x: Array, shape: tuple[int, ...]) -> Array:
    """An array in another shape of as many elements, else as it is."""
    return x.reshape(shape) if x.size == int(np.prod(shape)) else x


# ---- shares of a gradient -----------------------------------------------------------------------


@row(IN_SHARES, "missing path", "lacks what comes through {path}: the sum has several terms")
def missing_path(site: Site, pull: Pull) -> Ways:
    """Forget one of the ways in which a value enters the cost."""
    if len(site.replay.shares[pull.operand]) > 1:
        yield (lambda g: None), {"path": text_of(pull.call.output)}


@row(IN_SHARES, "sign of a term", "has what comes through {path} with the wrong sign")
def sign_of_a_path(site: Site, pull: Pull) -> Ways:
    """Subtract one of the ways in which a value enters the cost."""
    if len(site.replay.shares[pull.operand]) > 1:
        yield (lambda g: -site.replay.share(pull, g)), {"path": text_of(pull.call.output)}


@row(IN_SHARES, "missing factor", "lacks the derivative of {function}")
def missing_derivative(site: Site, pull: Pull) -> Ways:
    """Hand a gradient on as it is."""
    if pull.calls and pull.operand.shape == pull.call.output.shape:
        yield (lambda g: g), {"function": text_of(pull.call.output)}


@row(IN_SHARES, "wrong operand", "is computed from {wrong} where {right} belongs")
def wrong_gradient(site: Site, pull: Pull) -> Ways:
    """Go on from another gradient."""
    for tensor in site.gradients:
        if fits(tensor.array.shape, pull.call.output.shape):
            words = {"wrong": tensor.text, "right": f"the gradient of {text_of(pull.call.output)}"}
            yield (lambda g, other=tensor.array: site.replay.share(pull, other)), words


@row(IN_SHARES, "updated weights", "is computed from {weights} after its update: use the old one")
def updated_weights(site: Site, pull: Pull) -> Ways:
    """Take the gradient of a parameter for it, which shows what an update has changed."""
    for call in pull.calls:
        for operand in call.operands:
            if isinstance(operand, Value) and operand in site.updates:
                change = {operand: operand.array + site.updates[operand]}
                yield (
                    (lambda g, change=change: site.replay.share(pull, g, values=change)),
                    {"weights": text_of(operand)},
                )


#: Mistakes whose size is free: the edit is one end of a straight line from what is right.
OF_ANY_SIZE = {"updated weights"}


ACTIVATIONS = {
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "ReLU": ops.relu,
    "leaky ReLU": ops.leaky_relu,
    "softplus": ops.softplus,
}


def rule_of(function: Any, x: Array, y: Array | None = None) -> Array:
    """The derivative of an elementwise function, as its rule has it, at an operand and an output.

    The rules of some functions are written in the output: with another ``y`` this is what comes of
    ``1 - A**2`` where A is no hyperbolic tangent.
    """
    leaf = Leaf(np.array(x, dtype=float), requires_grad=True)
    with np.errstate(all="ignore"), Trace() as run:
        output = function(leaf)
        output.backward(np.ones(leaf.shape))
        if y is None or not run.pulls[0].calls:
            return leaf.grad.data  # type: ignore[union-attr]
        values = {run.pulls[0].call.output: y}
        return Replay.share(run.pulls[0], np.ones(leaf.shape), values=values)


def unary(pull: Pull) -> bool:
    """Whether a share goes through an elementwise function of one operand."""
    return len(pull.call.operands) == 1 and pull.call.primitive.elementwise and bool(pull.calls)


@row(
    IN_SHARES,
    "other activation",
    "has the derivative of {wrong} at {point} where that of {right} belongs",
)
def other_activation(site: Site, pull: Pull) -> Ways:
    """Take the derivative of another activation function."""
    if not unary(pull):
        return
    y = pull.call.output
    for name, function in ACTIVATIONS.items():
        if function is pull.call.primitive:
            continue
        for tensor in site.fitting(y.shape):
            words = {"wrong": name, "point": tensor.text, "right": text_of(y)}
            yield (lambda g, d=rule_of(function, tensor.array): g * d), words
        words = {"wrong": name, "point": text_of(y), "right": text_of(y)}
        yield (lambda g, d=rule_of(function, pull.operand.array, y.array): g * d), words


@row(IN_SHARES, "wrong point", "has the derivative of {function} at {wrong} where {right} belongs")
def wrong_point(site: Site, pull: Pull) -> Ways:
    """Take the derivative of the right function at another tensor."""
    if not unary(pull):
        return
    call = pull.call
    own = functools.partial(call.primitive, **call.statics)
    for tensor in site.fitting(call.output.shape):
        if tensor.array is not pull.operand.array:
            words = {"function": call.primitive.name, "wrong": tensor.text}
            words["right"] = text_of(pull.operand)
            yield (lambda g, d=rule_of(own, tensor.array): g * d), words


@row(IN_SHARES, "missing function", "has {wrong} where the derivative of {function} belongs")
def no_derivative(site: Site, pull: Pull) -> Ways:
    """Multiply by the operand or the output of a function instead of its derivative."""
    if unary(pull):
        for factor in (pull.operand, pull.call.output):
            words = {"wrong": text_of(factor), "function": text_of(pull.call.output)}
            yield (lambda g, x=factor.array: g * x), words


@row(IN_SHARES, "wrong operand", "has {wrong} where the derivative of {function} belongs")
def tensor_for_derivative(site: Site, pull: Pull) -> Ways:
    """Multiply by another tensor instead of a derivative."""
    if unary(pull):
        for tensor in site.fitting(pull.operand.shape):
            words = {"wrong": tensor.text, "function": text_of(pull.call.output)}
            yield (lambda g, x=tensor.array: g * x), words


# ---- a value's whole gradient -------------------------------------------------------------------


@row(
    IN_VALUES,
    "diagonal only",
    "has only the diagonal of the Jacobian of {function}: each input changes every output, so add "
    "up what comes through all outputs",
)
def diagonal_only(site: Site, value: Value) -> Ways:
    """Multiply element by element by the diagonal of the Jacobian of a later value."""
    for later, g in site.expected.items():
        if later is value or later.shape != value.shape or not value.shape:
            continue
        pulls = site.replay.leading_to(value, [later])
        if not any(pull.call.output is later for pull in pulls):
            continue
        for axis in range(len(value.shape)):
            diagonal = np.zeros(value.shape)
            for i in range(value.shape[axis]):
                unit, here = np.zeros(value.shape), (slice(None),) * axis + (i,)
                unit[here] = 1
                diagonal[here] = site.replay.backward(pulls, {later: unit})[value][here]
            words = {"function": text_of(later)}
            yield (lambda total, new=diagonal * g: new), words


@row(IN_VALUES, "extra factor", "has the factor {factor} too many")
def extra_factor(site: Site, value: Value) -> Ways:
    """Multiply by something that does not belong there."""
    for tensor in site.fitting(value.shape):
        yield (lambda total, x=tensor.array: total * x), {"factor": tensor.text}
        for name, function in ACTIVATIONS.items():
            words = {"factor": f"{name}'({tensor.text})"}
            yield (lambda total, x=rule_of(function, tensor.array): total * x), words


@row(IN_VALUES, "missing factor", "lacks the derivative of {function}")
def missing_derivative_of_several(site: Site, value: Value) -> Ways:
    """Hand the gradient of a later value on as it is."""
    for later, g in site.expected.items():
        if later is not value and later.shape == value.shape:
            yield (lambda total, g=g: g), {"function": text_of(later)}


def differences(site: Site, value: Value) -> Iterator[tuple[Tensor, Tensor]]:
    """The pairs of tensors whose difference the right gradient is a multiple of."""
    right = site.expected[value]
    for a, b in itertools.combinations(site.fitting(value.shape), 2):
        difference = a.array - b.array
        square = np.vdot(difference, difference)
        if difference.shape == right.shape and square > 0:
            c = np.vdot(difference, right) / square
            if c and np.allclose(c * difference, right, rtol=1e-9, atol=1e-12 * abs(c)):
                yield (a, b) if c > 0 else (b, a)


@row(IN_VALUES, "wrong operand", "is a multiple of {wrong} where {right} belongs")
def wrong_difference(site: Site, value: Value) -> Ways:
    """Take another tensor in the difference that the derivative is."""
    for a, b in differences(site, value):
        right = f"{a.text} - {b.text}"
        for other in site.fitting(value.shape):
            if other.array is not a.array:
                words = {"wrong": f"{other.text} - {b.text}", "right": right}
                yield (lambda total, x=other.array - b.array: x), words
            if other.array is not b.array:
                words = {"wrong": f"{a.text} - {other.text}", "right": right}
                yield (lambda total, x=a.array - other.array: x), words


@row(IN_VALUES, "other loss", "is a multiple of {difference}, which belongs to another loss")
def other_loss(site: Site, value: Value) -> Ways:
    """Take the difference of two tensors for the derivative."""
    for a, b in itertools.combinations(site.fitting(value.shape), 2):
        words = {"difference": f"{a.text} - {b.text}"}
        yield (lambda total, x=a.array - b.array: x), words


@row(IN_VALUES, "sign of a term", "is a multiple of {sum}: one of them must be subtracted")
def sum_of_two(site: Site, value: Value) -> Ways:
    """Take the sum of two tensors for the derivative."""
    for a, b in itertools.combinations(site.fitting(value.shape), 2):
        yield (lambda total, x=a.array + b.array: x), {"sum": f"{a.text} + {b.text}"}


@row(IN_VALUES, "wrong operand", "is a multiple of {difference}: the labels are off by one class")
def labels_off_by_one(site: Site, value: Value) -> Ways:
    """Take the difference of a tensor and labels that are numbered from another number on."""
    tensors = site.fitting(value.shape)
    for labels in tensors:
        if labels.array.ndim == value.array.ndim and np.all(np.isin(labels.array, (0, 1))):
            for a, axis, shift in itertools.product(tensors, range(value.array.ndim), (1, -1)):
                words = {"difference": f"{a.text} - {labels.text} shifted"}
                rolled = np.roll(labels.array, shift, axis)
                yield (lambda total, x=a.array - rolled: x), words


@row(IN_VALUES, "missing term", "is a multiple of {tensor} alone: something must be subtracted")
def one_term_only(site: Site, value: Value) -> Ways:
    """Take a tensor for the derivative."""
    for tensor in site.fitting(value.shape):
        yield (lambda total, x=tensor.array: x), {"tensor": tensor.text}


@row(IN_VALUES, "transposed", "is transposed")
def transposed(site: Site, value: Value) -> Ways:
    """Transpose the result, which only a square one allows."""
    if value.array.ndim == 2 and value.shape[0] == value.shape[1]:
        yield (lambda total: total.T), {}


@row(IN_VALUES, "column-major", "is unrolled column by column: say order='F'")
def column_major(site: Site, value: Value) -> Ways:
    """Fill the elements in, in the other order."""
    if value.array.ndim > 1:
        yield (lambda total: total.ravel(order="F").reshape(total.shape)), {}
