"""The mistakes that people make when they derive gradients by hand, each as one row.

A row is a name, a sentence, and edits of the recorded backward pass: of a call in a rule, of a
share of a gradient, or of a whole gradient.  It knows nothing of networks, layers and losses.  If
an edited pass gives somebody's numbers, that is the mistake that was made.

Each row is a generator: for a place in the pass it yields ``(edit, words)`` for every way to make
the mistake there.  The edit is what happens at the place instead, or a mapping for several places,
see `Replay`; the words fill in the sentence.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import activations
from ..core import ops
from ..core.graph import unbroadcast
from ..trace import Call, Pull, Value, array_of
from ..trace.replay import Array, Edits
from .site import (
    ACTIVATIONS,
    Candidate,
    Edit,
    Site,
    activation_slopes,
    derivative,
    fits,
    instead,
    is_recorded,
    is_unary,
    keep,
    nothing,
    own_function,
    times,
    with_operand,
)
from .wording import factor_of, text_of

Ways = Iterator[tuple[Edit | Edits, dict[str, str]]]
PRODUCTS = (ops.multiply, ops.divide)
SUMS = (ops.add, ops.subtract)


class Row(NamedTuple):
    """A kind of mistake.

    ``size`` says what numbers it explains: "exact", just those of the edited pass; "multiple", any
    multiple of them; "any", those on a straight line from what is right through what it gives;
    "factor", likewise, where it gives twice what is right of one term.
    """

    name: str
    sentence: str
    ways: Callable[..., Ways]
    size: str


IN_CALLS: list[Row] = []
IN_SHARES: list[Row] = []
IN_VALUES: list[Row] = []


def row(
    table: list[Row], name: str, sentence: str, size: str = "exact"
) -> Callable[[Callable[..., Ways]], Callable[..., Ways]]:
    """Enter a generator of edits into a table."""

    def enter(ways: Callable[..., Ways]) -> Callable[..., Ways]:
        table.append(Row(name, sentence, ways, size))
        return ways

    return enter


# ---- products and sums --------------------------------------------------------------------------


def as_factor(call: Call, place: int) -> str:
    """An operand of a product, as one multiplies by it."""
    return factor_of(call.operands[place], call.primitive is ops.divide and place == 1)


def factors(site: Site, call: Call) -> Iterator[int]:
    """The places of the arrays that a call multiplies or divides a gradient by."""
    if call.primitive in PRODUCTS:
        for place in (0, 1) if call.primitive is ops.multiply else (1,):
            operand = call.operands[place]
            if np.ndim(array_of(operand)) and not site.carries(call, operand):
                yield place


@row(IN_CALLS, "missing factor", "lacks the factor {factor}: multiply by it")
def missing_factor(site: Site, call: Call) -> Ways:
    """Leave a factor out."""
    for place in factors(site, call):
        yield keep(1 - place), {"factor": as_factor(call, place)}
    if call.primitive is ops.where and site.carries(call, call.output):
        words = {"factor": f"that is 0 where not {text_of(call.operands[0])}"}
        for branch in (1, 2):
            yield (lambda *x, n=branch: np.broadcast_to(x[n], np.shape(x[0]))), words


@row(IN_CALLS, "factor twice", "has the factor {factor} twice")
def factor_twice(site: Site, call: Call) -> Ways:
    """Multiply by a factor once more."""
    for place in factors(site, call):
        if place:
            yield (lambda a, b: call.run(call.run(a, b), b)), {"factor": as_factor(call, place)}
        else:
            yield (lambda a, b: call.run(a, call.run(a, b))), {"factor": as_factor(call, place)}


@row(IN_CALLS, "inverted factor", "has the factor {factor} inverted: multiply by it, do not divide")
def inverted_factor(site: Site, call: Call) -> Ways:
    """Divide instead of multiplying, or reversely."""
    for place in factors(site, call):
        if call.primitive is ops.multiply:
            yield (lambda *x, n=place: x[1 - n] / x[n]), {"factor": as_factor(call, place)}
        else:
            yield (lambda a, b: a * b), {"factor": as_factor(call, place)}


@row(IN_CALLS, "missing term", "lacks the term {term}")
def missing_term(site: Site, call: Call) -> Ways:
    """Leave a term of a sum out."""
    if call.primitive in SUMS:
        first, second = map(text_of, call.operands)
        if isinstance(call.operands[0], Value):  # what remains of 1 - y is no term, but a factor 1
            yield keep(0), {"term": second}
        yield (lambda a, b: call.run(0.0, b)), {"term": first}
        if call.primitive is ops.subtract:
            yield keep(1), {"term": first}
    if call.primitive is ops.where and site.carries(call, call.output):
        condition = text_of(call.operands[0])
        yield (lambda c, a, b: np.where(c, a, 0)), {"term": f"for elements without {condition}"}
        yield (lambda c, a, b: np.where(c, 0, b)), {"term": f"for elements with {condition}"}


@row(IN_CALLS, "missing term", "has {wrong} where {right} belongs: a term is missing")
def missing_term_before(site: Site, call: Call) -> Ways:
    """Take one term of a sum for an operand that is the sum."""
    for place, operand in recorded(site, call):
        if operand.call and operand.call.primitive in SUMS:
            for term in operand.call.operands:
                if isinstance(term, Value) and fits(term.shape, operand.shape):
                    words = {"wrong": text_of(term), "right": text_of(operand)}
                    yield with_operand(call, place, term.array), words


@row(IN_CALLS, "sign of a term", "has the term {term} with the wrong sign")
def sign_of_a_term(site: Site, call: Call) -> Ways:
    """Add instead of subtracting, or reversely."""
    if call.primitive in SUMS:
        other = np.subtract if call.primitive is ops.add else np.add
        yield other, {"term": text_of(call.operands[1])}


@row(IN_CALLS, "sign of a term", "has {right} with the wrong sign between its terms")
def sign_of_a_term_before(site: Site, call: Call) -> Ways:
    """Take a sum for a difference, or reversely, in an operand."""
    for place, operand in recorded(site, call):
        if operand.call and operand.call.primitive in SUMS:
            a, b = map(array_of, operand.call.operands)
            other = a - b if operand.call.primitive is ops.add else a + b
            yield with_operand(call, place, other), {"right": text_of(operand)}


# ---- operands -----------------------------------------------------------------------------------


def recorded(site: Site, call: Call) -> Iterator[tuple[int, Value]]:
    """The operands of a call in a rule that come from the forward pass, with their places."""
    for place, operand in enumerate(call.operands):
        if is_recorded(operand) and operand.array.size > 1 and not site.carries(call, operand):
            yield place, operand


@row(IN_CALLS, "missing function", "has {operand} where {result} belongs")
def missing_function(site: Site, call: Call) -> Ways:
    """Take the operand of a function for its result."""
    arrays = [x for x in call.operands if isinstance(x, Value)]
    if len(arrays) == 1 and call.primitive is not ops.transpose:
        (operand,) = arrays
        if operand.shape == call.output.shape and not site.carries(call, operand):
            words = {"operand": text_of(operand), "result": text_of(call.output)}
            yield keep(call.operands.index(operand)), words


@row(IN_CALLS, "wrong operand", "has {wrong} where {right} belongs")
def wrong_operand(site: Site, call: Call) -> Ways:
    """Take another tensor for an operand, or for an operand of what that was computed from."""
    for place, operand in recorded(site, call):
        anything = call.primitive in (ops.transpose, ops.matrix_product)
        for tensor in site.tensors if anything else site.others(operand):
            if tensor.array is not operand.array:
                words = {"wrong": tensor.text, "right": text_of(operand)}
                yield with_operand(call, place, tensor.array), words
        for array, words in computed_otherwise(site, operand.call):
            yield with_operand(call, place, array), words


def computed_otherwise(site: Site, call: Call | None) -> Iterator[tuple[Array, dict[str, str]]]:
    """What a forward call gives on other tensors."""
    for place, inner in enumerate(call.operands if call else ()):
        for tensor in site.others(inner) if isinstance(inner, Value) else ():
            assert call is not None
            arrays = [*map(array_of, call.operands)]
            arrays[place] = tensor.array
            with np.errstate(all="ignore"):
                try:
                    yield call.run(*arrays), {"wrong": tensor.text, "right": text_of(inner)}
                except (ValueError, TypeError):  # it takes fewer shapes than broadcasting does
                    continue


@row(IN_SHARES, "wrong operand", "has {wrong} where {right} belongs")
def wrong_operand_throughout(site: Site, pull: Pull) -> Ways:
    """Take another tensor for a value that a rule uses more than once."""
    used = [x for call in pull.calls for x in call.operands if is_recorded(x) and x.array.size > 1]
    for value in dict.fromkeys(x for x in used if used.count(x) > 1):
        for tensor in site.others(value):
            values = {value: np.broadcast_to(tensor.array, value.shape)}
            yield site.rerun(pull, values), {"wrong": tensor.text, "right": text_of(value)}


@row(
    IN_VALUES,
    "updated weights",
    "is computed from {weights} after its update, by {size} times its gradient: use the old one",
    size="any",
)
def updated_weights(site: Site, value: Value) -> Ways:
    """Add the gradient of parameters to them, which shows what an update has changed."""
    users = {
        pull: {x for call in pull.calls for x in call.operands if x in site.updates}
        for pull in site.pulls
        if pull.operand.kind != "parameter"
    }
    parameters = {x for used in users.values() for x in used}
    for changed in [*({x} for x in parameters), *([parameters] if len(parameters) > 1 else [])]:
        for which in (0, -1):  # by the true gradient, by the one derived by hand
            values = {x: x.array + site.updates[x][which] for x in changed}
            edits = {pull: site.rerun(pull, values) for pull in users if users[pull] & changed}
            yield edits, {"weights": " and ".join(map(text_of, changed))}


# ---- matrices -----------------------------------------------------------------------------------


@row(IN_CALLS, "missing transpose", "has the transpose of {matrix} wrong")
def missing_transpose(site: Site, call: Call) -> Ways:
    """Forget to transpose a factor of a matrix product, or transpose the other one."""
    if call.output.array.ndim != 2:
        return
    if call.primitive is ops.transpose:
        yield keep(0), {"matrix": text_of(call.operands[0])}
    if call.primitive is ops.matrix_product:
        a, b = map(text_of, call.operands)
        yield (lambda a, b: b @ a), {"matrix": f"{a} and {b}, or their order,"}
        yield (lambda a, b: a.T @ b), {"matrix": a}
        yield (lambda a, b: a @ b.T), {"matrix": b}


@row(IN_CALLS, "transposed", "has the transpose of a matrix product in its place")
def transposed_product(site: Site, call: Call) -> Ways:
    """Transpose a matrix product, which only a square one allows."""
    if call.primitive is ops.matrix_product and call.output.array.ndim == 2:
        yield (lambda a, b: (a @ b).T), {}


@row(IN_CALLS, "wrong product", "has {wrong} where {right} belongs")
def wrong_product(site: Site, call: Call) -> Ways:
    """Multiply element by element where a matrix product belongs, or reversely."""
    if call.primitive is ops.matrix_product:
        words = {"wrong": "*", "right": "@"}
        for product in ELEMENTWISE_PRODUCTS:
            yield product, words
    if call.primitive is ops.multiply and call.output.array.ndim == 2:
        words = {"wrong": "@", "right": "*"}
        for product in MATRIX_PRODUCTS:
            yield product, words


ELEMENTWISE_PRODUCTS: list[Edit] = [
    lambda a, b: a * b,
    lambda a, b: a.T * b,
    lambda a, b: a * b.T,
    lambda a, b: np.sum(a.T * b, axis=0),
]
MATRIX_PRODUCTS: list[Edit] = [
    lambda a, b: a @ b,
    lambda a, b: b @ a,
    lambda a, b: a @ b.T,
    lambda a, b: a.T @ b,
    lambda a, b: b.T @ a,
    lambda a, b: b @ a.T,
]
SQUARES: list[Edit] = [lambda x: x.T @ x, lambda x: x @ x.T]


@row(IN_SHARES, "wrong product", "has @ where * belongs")
def matrix_products_throughout(site: Site, pull: Pull) -> Ways:
    """Take matrix products for all products of a rule, squares too."""
    if is_unary(pull) and pull.operand.array.ndim == 2:
        calls = [call for call in pull.calls if site.carries(call, call.output)]
        products = [call for call in calls if call.primitive is ops.multiply]
        squares = [call for call in pull.calls if call.primitive is ops.square]
        for product, square in itertools.product(MATRIX_PRODUCTS[:2], SQUARES):
            yield {**dict.fromkeys(products, product), **dict.fromkeys(squares, square)}, {}


# ---- sums over examples -------------------------------------------------------------------------


@row(IN_CALLS, "wrong axis", "is summed over the wrong axis")
def wrong_axis(site: Site, call: Call) -> Ways:
    """Sum over another axis."""
    for axis in summed_axes(site, call):
        yield (lambda x, axis=axis: reshaped(np.sum(x, axis), call.output.shape)), {}
        yield (lambda x, axis=axis: np.sum(x, axis, keepdims=True)), {}


@row(IN_CALLS, "sum over everything", "is summed over everything instead of the examples only")
def sum_over_everything(site: Site, call: Call) -> Ways:
    """Sum over all axes."""
    if summed_axes(site, call):
        yield (lambda x: np.broadcast_to(np.sum(x), call.output.shape)), {}


@row(IN_CALLS, "last example only", "is that of the {which} example only: add up all of them")
def one_example_only(site: Site, call: Call) -> Ways:
    """Take one summand of a sum over examples."""
    for which, i in {"last": -1, "first": 0}.items():
        for axis in summed_axes(site, call):
            one = {"axis": axis, "indices": i}
            yield (
                (lambda x, one=one: reshaped(np.take(x, **one), call.output.shape)),
                {"which": which},
            )
        if call.primitive is ops.matrix_product:
            yield (lambda a, b, i=i: np.take(a, [i], -1) @ np.take(b, [i], -2)), {"which": which}


def summed_axes(site: Site, call: Call) -> range:
    """The axes that a call in a rule might sum a gradient over."""
    sums = call.primitive is ops.reduce_sum and site.carries(call, call.output)
    return range(np.ndim(array_of(call.operands[0])) if sums else 0)


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """An array in another shape of as many elements, else as it is."""
    return x.reshape(shape) if x.size == int(np.prod(shape)) else x


@row(IN_CALLS, "bias row", "is cut at the wrong end: the row or column of the bias is the first")
def wrong_part(site: Site, call: Call) -> Ways:
    """Take a part of an array that begins one element too early."""
    key: Any = call.statics.get("key")
    for axis, part in enumerate(key if isinstance(key, tuple) else ()):
        if isinstance(part, slice) and part.start and part.stop:
            moved = (*key[:axis], slice(part.start - 1, part.stop - 1))
            yield (lambda x, moved=moved: x[moved]), {}


# ---- functions ----------------------------------------------------------------------------------


@row(IN_SHARES, "missing factor", "lacks the derivative of {function}")
def missing_derivative(site: Site, pull: Pull) -> Ways:
    """Hand a gradient on as it is."""
    if pull.calls and pull.operand.shape == pull.call.output.shape:
        yield keep(0), {"function": text_of(pull.call.output)}


@row(IN_SHARES, "missing factor", "is the derivative of {function} alone: multiply by its gradient")
def derivative_alone(site: Site, pull: Pull) -> Ways:
    """Forget to multiply by the gradient that comes in."""
    if is_unary(pull):
        ones = np.ones(pull.call.output.shape)
        yield site.restart(pull, ones), {"function": text_of(pull.call.output)}


@row(IN_VALUES, "missing factor", "lacks the derivative of {function}")
def missing_derivative_of_several(site: Site, value: Value) -> Ways:
    """Hand the gradient of a later value on as it is, past several calls."""
    for later, g in site.expected.items():
        if later is not value and later.shape == value.shape:
            yield instead(g), {"function": text_of(later)}


@row(IN_VALUES, "missing factor", "lacks a factor, which is {factor}")
def missing_factor_of_all(site: Site, value: Value) -> Ways:
    """Divide by a derivative, to find one that is missing though no rule shows it by itself."""
    for name, function in ACTIVATIONS.items():
        with np.errstate(all="ignore"):
            inverse = 1 / derivative(function, value.array)
        yield times(inverse), {"factor": f"the derivative of {name} at {text_of(value)}"}


@row(IN_SHARES, "factor twice", "has the derivative of {function} twice")
def derivative_twice(site: Site, pull: Pull) -> Ways:
    """Multiply by a derivative once more."""
    if is_unary(pull):
        share = site.replay.share
        yield (lambda g: share(pull, share(pull, g))), {"function": text_of(pull.call.output)}


@row(IN_SHARES, "missing function", "has {wrong} where the derivative of {function} belongs")
def no_derivative(site: Site, pull: Pull) -> Ways:
    """Multiply by the operand or the output of a function instead of its derivative."""
    if is_unary(pull):
        for factor in (pull.operand, pull.call.output):
            words = {"wrong": text_of(factor), "function": text_of(pull.call.output)}
            yield times(factor.array), words


@row(
    IN_SHARES,
    "other activation",
    "has the derivative of {wrong} at {point} where that of {right} belongs",
)
def other_activation(site: Site, pull: Pull) -> Ways:
    """Take the derivative of another activation function."""
    y = pull.call.output
    for name, function in ACTIVATIONS.items():
        if not is_unary(pull) or function is pull.call.primitive:
            continue
        for tensor in site.fitting(y.shape):
            factor = derivative(function, tensor.array)
            if np.ptp(factor) > 1e-6:  # else it is just a constant
                yield times(factor), {"wrong": name, "point": tensor.text, "right": text_of(y)}
        factor = derivative(function, pull.operand.array, y.array)
        yield times(factor), {"wrong": name, "point": text_of(y), "right": text_of(y)}


@row(IN_SHARES, "wrong point", "has the derivative of {function} at {wrong} where {right} belongs")
def wrong_point(site: Site, pull: Pull) -> Ways:
    """Take the derivative of the right function at another tensor."""
    if is_unary(pull):
        words = {"function": pull.call.primitive.name, "right": text_of(pull.operand)}
        for tensor in site.others(pull.operand):
            factor = derivative(own_function(pull), tensor.array)
            if np.ptp(factor) > 1e-6:  # else it is just a constant
                yield times(factor), {**words, "wrong": tensor.text}


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
        for axis in range(len(value.shape)):
            diagonal = np.zeros(value.shape)
            for i in range(value.shape[axis]):
                unit, here = np.zeros(value.shape), (slice(None),) * axis + (i,)
                unit[here] = 1
                diagonal[here] = site.replay.backward(pulls, {later: unit})[value][here]
            yield instead(diagonal * g), {"function": text_of(later)}


# ---- choices between two branches ---------------------------------------------------------------


def choices(site: Site) -> Iterator[tuple[Call, list[Pull]]]:
    """The calls that choose between two branches, with the shares that go through them."""
    for call in dict.fromkeys(pull.call for pull in site.pulls):
        if call.primitive is ops.where:
            yield call, [pull for pull in site.pulls if pull.call is call]


@row(IN_VALUES, "other loss", "has the derivative of {branch} everywhere, which is another loss")
def one_branch_of_a_loss(site: Site, value: Value) -> Ways:
    """Take one branch of a loss for the whole."""
    for call, pulls in choices(site) if site.replay.cost in site.given else ():
        for kept in (1, 2):
            edits: dict[Any, Edit] = dict.fromkeys(pulls, nothing)
            for pull in pulls:
                if pull.position == kept:
                    edits[pull] = lambda g, shape=pull.operand.shape: unbroadcast(g, shape)
            yield edits, {"branch": text_of(call.operands[kept])}


@row(IN_VALUES, "wrong operand", "has {condition} the wrong way round")
def inverted_condition(site: Site, value: Value) -> Ways:
    """Choose the one branch where the other belongs."""
    for call, pulls in choices(site):
        condition = call.operands[0]
        values = {condition: ~condition.array.astype(bool)}
        edits = {pull: site.rerun(pull, values) for pull in pulls}
        yield edits, {"condition": text_of(condition)}


# ---- several ways to the cost -------------------------------------------------------------------


@row(IN_SHARES, "missing path", "lacks what comes through {path}: the sum has several terms")
def missing_path(site: Site, pull: Pull) -> Ways:
    """Forget one of the ways in which a value enters the cost."""
    if len(site.replay.shares[pull.operand]) > 1:
        yield nothing, {"path": text_of(pull.call.output)}


@row(IN_VALUES, "missing path", "is only what comes through {path}: add up all ways to the cost")
def one_path_only(site: Site, value: Value) -> Ways:
    """Overwrite a gradient where it must be accumulated."""
    shares = site.own_shares()
    several = [pull for pull in shares if len(pull.call.operands) > 1]  # others are regularisers
    for kept, forgotten in itertools.product(shares, (shares, several)):
        edits = {pull: nothing for pull in forgotten if pull is not kept}
        if edits:
            yield edits, {"path": text_of(kept.call.output)}


@row(IN_SHARES, "sign of a term", "has what comes through {path} with the wrong sign")
def sign_of_a_path(site: Site, pull: Pull) -> Ways:
    """Subtract one of the ways in which a value enters the cost."""
    if len(site.replay.shares[pull.operand]) > 1:
        yield (lambda g: -site.replay.share(pull, g)), {"path": text_of(pull.call.output)}


@row(IN_SHARES, "constant factor", "has what comes through {path} times {size}", size="factor")
def factor_of_a_path(site: Site, pull: Pull) -> Ways:
    """Multiply one of the ways in which a value enters the cost by a constant."""
    if len(site.replay.shares[pull.operand]) > 1:
        yield (lambda g: 2 * site.replay.share(pull, g)), {"path": text_of(pull.call.output)}


@row(IN_SHARES, "wrong operand", "is computed from {wrong} where {right} belongs")
def wrong_gradient(site: Site, pull: Pull) -> Ways:
    """Go on from another gradient."""
    own = text_of(pull.call.output)
    for tensor in site.gradients:
        if fits(tensor.array.shape, pull.call.output.shape) and tensor.text != f"d{own}":
            words = {"wrong": tensor.text, "right": f"the gradient of {own}"}
            yield site.restart(pull, tensor.array), words


# ---- the same slip in every term of a sum -------------------------------------------------------


@row(IN_VALUES, "wrong operand", "has {wrong} where {right} belongs, in each of its terms")
def wrong_operand_in_every_term(site: Site, value: Value) -> Ways:
    """Take a tensor one function or one step away for the operand of each product."""
    for other_than in (operand_of_function, after_the_call):
        edits: dict[Any, Edit] = {}
        words = {}
        for pull in site.own_shares():
            for call in pull.calls:
                for _, operand in recorded(site, call):
                    other = other_than(site, pull, operand)
                    if other is not None and other.shape == operand.shape:
                        edits[pull] = site.rerun(pull, {operand: other.array})
                        words = {"wrong": text_of(other), "right": text_of(operand)}
        if len(edits) > 1:
            yield edits, words


def operand_of_function(site: Site, pull: Pull, operand: Value) -> Value | None:
    """What an operand is a function of: Z for A."""
    call = operand.call
    if call is None or len(call.operands) != 1 or not isinstance(call.operands[0], Value):
        return None
    return call.operands[0]


def after_the_call(site: Site, pull: Pull, operand: Value) -> Value | None:
    """The next value like an operand that is a function of the call's output."""
    for call in site.replay.after(pull.call.output):
        if call.output.shape == operand.shape and len(call.operands) == 1:
            return call.output
    return None


# ---- what remains: too much, too little, something else -----------------------------------------


@row(IN_SHARES, "extra factor", "is computed with the factor {factor} too many")
def extra_factor_before(site: Site, pull: Pull) -> Ways:
    """Multiply a gradient by a derivative once more, on the way into a product or a sum."""
    if pull.operand.shape != pull.call.output.shape:
        for tensor in site.fitting(pull.call.output.shape):
            for slope in activation_slopes(tensor):
                edit = times(slope.array)
                yield (lambda g, e=edit: site.replay.share(pull, e(g))), {"factor": slope.text}


@row(IN_VALUES, "extra factor", "has the factor {factor} too many")
def extra_factor(site: Site, value: Value) -> Ways:
    """Multiply by something that does not belong there."""
    for tensor in site.fitting(value.shape):
        yield times(tensor.array), {"factor": tensor.text}
        for slope in activation_slopes(tensor):
            yield times(slope.array), {"factor": slope.text}
    for axis in range(value.array.ndim):
        y = activations.softmax.kernel(value.array, axis=axis)
        yield (
            (lambda g, y=y, axis=axis: y * (g - np.sum(g * y, axis, keepdims=True))),
            {"factor": "of softmax's derivative"},
        )


@row(
    IN_VALUES, "missing term", "counts only where {labels} is {which}: a term is missing elsewhere"
)
def one_label_only(site: Site, value: Value) -> Ways:
    """Forget what the outputs with one of two labels give."""
    for labels in site.labels():
        yield times(labels.array), {"labels": labels.text, "which": "1"}
        yield times(1 - labels.array), {"labels": labels.text, "which": "0"}


@row(IN_VALUES, "sign of a term", "has the wrong sign where {labels} is {which}")
def sign_of_one_label(site: Site, value: Value) -> Ways:
    """Take a term with the wrong sign."""
    for labels in site.labels():
        yield times(2 * labels.array - 1), {"labels": labels.text, "which": "0"}
        yield times(1 - 2 * labels.array), {"labels": labels.text, "which": "1"}


def differences(site: Site, value: Value) -> Iterator[tuple[Candidate, Candidate]]:
    """The pairs of tensors whose difference the right gradient is a multiple of."""
    right = site.expected[value]
    for a, b in itertools.combinations(site.fitting(value.shape), 2):
        if distant(a.array, b.array):
            difference = np.broadcast_to(a.array - b.array, right.shape)
            c = float(np.vdot(difference, right) / np.vdot(difference, difference))
            if c and np.allclose(c * difference, right, rtol=1e-9, atol=1e-12 * abs(c)):
                yield (a, b) if c > 0 else (b, a)


def distant(a: Array, b: Array) -> bool:
    """Whether two arrays differ by more than rounding."""
    return bool(np.max(np.abs(a - b), initial=0) > 1e-9 * np.max(np.abs(a), initial=0))


@row(IN_VALUES, "wrong operand", "is a multiple of {wrong} where {right} belongs", size="multiple")
def wrong_difference(site: Site, value: Value) -> Ways:
    """Take another tensor in the difference that the derivative is."""
    for a, b in differences(site, value):
        right = f"{a.text} - {b.text}"
        for other in site.fitting(value.shape):
            if other.array is not a.array and distant(other.array, b.array):
                words = {"wrong": f"{other.text} - {b.text}", "right": right}
                yield instead(other.array - b.array), words
            if other.array is not b.array and distant(a.array, other.array):
                words = {"wrong": f"{a.text} - {other.text}", "right": right}
                yield instead(a.array - other.array), words


@row(
    IN_VALUES,
    "wrong operand",
    "is a multiple of {difference} shifted by one: the labels are off by one class",
    size="multiple",
)
def labels_off_by_one(site: Site, value: Value) -> Ways:
    """Take labels that are numbered from another number on."""
    likely = itertools.product(site.fitting(value.shape), site.labels())
    for a, labels in itertools.chain(differences(site, value), likely):
        for axis, shift in itertools.product(range(labels.array.ndim), (1, -1)):
            words = {"difference": f"{a.text} - {labels.text}"}
            yield instead(a.array - np.roll(labels.array, shift, axis)), words


@row(
    IN_VALUES,
    "missing term",
    "is a multiple of {tensor} alone: something must be subtracted",
    size="multiple",
)
def one_term_only(site: Site, value: Value) -> Ways:
    """Take a tensor for the derivative."""
    for tensor in site.fitting(value.shape):
        yield instead(tensor.array), {"tensor": tensor.text}


@row(
    IN_VALUES,
    "other loss",
    "is a multiple of {difference}, which belongs to another loss",
    size="multiple",
)
def other_loss(site: Site, value: Value) -> Ways:
    """Take the difference of two tensors for the derivative."""
    for a, b in itertools.combinations(site.fitting(value.shape), 2):
        if distant(a.array, b.array):
            difference, text = a.array - b.array, f"{a.text} - {b.text}"
            yield instead(difference), {"difference": text}
            for form, function in OF_A_DIFFERENCE.items():
                yield instead(function(difference)), {"difference": form.format(text)}


#: Derivatives of other losses, and the loss itself for its derivative.
OF_A_DIFFERENCE: dict[str, Callable[[Array], Array]] = {
    "np.sign({})": np.sign,
    "np.tanh({})": np.tanh,
    "np.abs({})": np.abs,
    "({})**2": np.square,
}


@row(
    IN_VALUES,
    "sign of a term",
    "is a multiple of {sum}: one of them must be subtracted",
    size="multiple",
)
def sum_of_two(site: Site, value: Value) -> Ways:
    """Take the sum of two tensors for the derivative."""
    for a, b in itertools.combinations(site.fitting(value.shape), 2):
        if distant(a.array, -b.array):
            yield instead(a.array + b.array), {"sum": f"{a.text} + {b.text}"}


@row(IN_VALUES, "transposed", "is transposed")
def transposed(site: Site, value: Value) -> Ways:
    """Transpose the result, which only a square one allows."""
    if value.array.ndim == 2 and value.shape[0] == value.shape[1]:
        yield np.transpose, {}


@row(IN_VALUES, "column-major", "is unrolled column by column: say order='F'")
def column_major(site: Site, value: Value) -> Ways:
    """Fill the elements in, in the other order."""
    if value.array.ndim > 1:
        yield (lambda g: g.ravel(order="F").reshape(g.shape)), {}


# ---- in a few words -----------------------------------------------------------------------------

#: What kind of mistake each name stands for: a hint that does not give the line away.
KINDS = {
    "missing factor": "a factor is missing",
    "factor twice": "a factor stands there twice",
    "inverted factor": "a factor is inverted",
    "constant factor": "a constant factor is wrong",
    "sign": "the sign is wrong",
    "missing term": "a term is missing",
    "sign of a term": "a term has the wrong sign",
    "missing function": "a function was not applied",
    "wrong operand": "another tensor stands in the place of the right one",
    "updated weights": "weights were used after their update",
    "missing transpose": "a matrix is transposed, or is not where it should be",
    "transposed": "the result is transposed",
    "wrong product": "* and @ are mixed up",
    "wrong axis": "the sum goes over the wrong axis",
    "sum over everything": "the sum goes over too much",
    "missing sum": "a sum is missing",
    "last example only": "only one example counts",
    "bias row": "the row or column of the bias is not treated apart",
    "diagonal only": "a Jacobian is taken for its diagonal",
    "other activation": "the derivative is that of another function",
    "wrong point": "a derivative is taken at the wrong place",
    "other loss": "the derivative belongs to another loss",
    "missing path": "one of the ways to the cost is missing",
    "extra factor": "there is a factor too many",
    "extra term": "there is a term too many",
    "missing regularisation": "the term of the regularisation is missing",
    "wrong regularisation": "the coefficient of the regularisation is wrong",
    "regularised bias": "what should not be regularised is",
    "column-major": "the elements come in another order",
    "rank-1 array": "the shape lacks an axis",
    "broadcast": "broadcasting has blown it up",
    "shape": "the shape is wrong",
    "zero": "it is zero",
    "not finite": "not all of it are numbers",
}
