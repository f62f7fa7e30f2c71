"""Is this a good point to check gradients at?  What it cannot see, and a point that sees all.

At zero biases nobody sees whether biases are regularised; with one example nobody sees a missing
sum or a missing 1/m.  A gradient that is right at such a point may be wrong everywhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import ops
from ..core.tensor import Tensor
from ..formulas import printable
from ..refusals import refuse_other_than_tensors
from ..trace import Pull, Trace, Value, array_of, variables_around
from ..trace.replay import Array, Replay
from .report import Report
from .rounding import kink_edits
from .site import is_unary
from .wording import text_of

__all__ = ["PointQuality", "good_point", "point_quality"]

FAINT = 1e-3  # relative change of a gradient: the usual checks by differences let less pass


class BlindSpot(NamedTuple):
    """A kind of mistake that cannot be seen at a point."""

    kind: str
    where: str
    unseen: str

    def __str__(self) -> str:
        return f"{self.where}: {self.unseen}."


class PointQuality(Report):
    """What `point_quality` found; True if no kind of mistake is hidden.

    Attributes
    ----------
    blind_spots : list of BlindSpot
        Each with ``kind``, ``where`` and ``unseen``.
    """

    notes: Sequence[str] = ()
    marks = ()

    def __init__(self, blind_spots: list[BlindSpot]) -> None:
        self.blind_spots = blind_spots
        self.ok = not blind_spots
        self.header = ["what is special here", "what cannot be seen"] if blind_spots else []
        self.rows = [[spot.where, spot.unseen] for spot in blind_spots]
        self.title = "This point hides no kind of mistake that is known."
        if blind_spots:
            self.title = "This point hides mistakes."


def point_quality(J: Tensor, names: Mapping[str, Any] | None = None) -> PointQuality:
    """Say which mistakes in a derivation cannot be seen at the point where a cost was taken.

    Parameters
    ----------
    J : Tensor
        The cost, as for `compare`.
    names : mapping of str to object, optional
        What tensors, arrays and numbers are called; by default the variables of the caller.

    Returns
    -------
    PointQuality
        A report; True in a condition if nothing is hidden.

    Raises
    ------
    RuntimeError
        If ``J`` has no history.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> X, Y = np.array([[0.5], [-1.0], [2.0]]), np.array([[1.0]])
    >>> W = ag.Tensor([[0.3, -0.2, 0.9]], requires_grad=True)
    >>> b = ag.Tensor([[0.0]], requires_grad=True)
    >>> A = ag.sigmoid(W @ X + b)
    >>> J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    >>> [spot.kind for spot in ag.check.point_quality(J).blind_spots]
    ['zero parameter', 'one label', 'few examples']
    """
    refuse_other_than_tensors("point_quality", J)
    variables = variables_around() if names is None else names
    run = Trace.of_graph(J, {**variables})
    parameters = [value for value in run.values if value.kind == "parameter"]
    run.differentiate(J, parameters)
    replay = Replay(run, run[J])
    with np.errstate(all="ignore"):
        return PointQuality([spot for look in LOOKS for spot in look(replay, parameters)])


def zero_parameters(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Parameters whose regularisation makes no difference."""
    for value in parameters:
        if value.kept and not np.any(value.array):
            unseen = "whether it is regularised, with whatever coefficient"
            yield BlindSpot("zero parameter", f"{text_of(value)} is zero", unseen)


def zero_constants(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Terms of the cost that have the factor 0, such as lambda."""
    for call in replay.run.forward:
        if call.primitive is ops.multiply:
            for place, x in enumerate(call.operands):
                if np.ndim(array_of(x)) == 0 and array_of(x) == 0:
                    term = text_of(call.operands[1 - place])
                    unseen = "anything about the derivative of that term"
                    yield BlindSpot("zero factor", f"the term {term} has the factor 0", unseen)


def one_label(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Labels that are all the same."""
    for value in inputs(replay):
        array = value.array
        if array.dtype.kind in "iufb" and np.all(np.isin(array, (0, 1))) and np.ptp(array) == 0:
            where = f"{text_of(value)} is {array.flat[0]:g} everywhere"
            unseen = "mistakes in the term of the other label"
            yield BlindSpot("one label", where, unseen)


def few_examples(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Numbers of examples that hide sums, or are the same as another constant."""
    m = examples(replay)
    if m == 1:
        unseen = "a missing sum over the examples, a missing or doubled 1/m, a missing keepdims"
        yield BlindSpot("few examples", "there is one example only", unseen)
    elif m in (2, 4):
        unseen = f"a forgotten 1/m from a factor {m}" + (", or 1/m from 1/2" if m == 2 else "")
        yield BlindSpot("few examples", f"there are {m} examples", f"{unseen}: they look the same")


def coinciding_sizes(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Sizes that are equal, so that a wrong axis or transpose makes no error of shape."""
    for value in parameters:
        if value.array.ndim == 2 and value.shape[0] == value.shape[1] > 1:
            unseen = "a missing transpose by its shape; only the numbers tell"
            yield BlindSpot("square", f"{text_of(value)} is square, {value.shape}", unseen)
    m = examples(replay)
    sizes = Counter(n for value in parameters for n in set(value.shape) if n > 1)
    if m is not None and m in sizes:
        where = f"there are as many examples as units of a layer, {m}"
        yield BlindSpot("equal sizes", where, "a sum over the wrong axis by its shape")


def faint_derivatives(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Functions whose derivative is nearly 1, so that leaving it out changes little."""
    for pull in unary_pulls(replay):
        slope = slopes(replay, pull)
        change = float(np.max(np.abs(slope - 1), initial=0))
        if slope.size and change < FAINT:
            where = f"the derivative of {text_of(pull.call.output)} is 1 up to {change:.0e}"
            unseen = "by a numerical check: whether that derivative is there, and at which point"
            yield BlindSpot("tiny weights", where, unseen)


def dead_units(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Units through which no gradient flows, whatever the example."""
    for pull in unary_pulls(replay):
        slope = np.abs(slopes(replay, pull))
        if slope.ndim == 2 and slope.size:
            units = 0 if examples(replay) == slope.shape[1] else 1
            dead = int(np.sum(np.max(slope, axis=1 - units) < 1e-9))
            if dead:
                of_all = f"{dead} of {slope.shape[units]} units"
                where = f"{of_all} of {text_of(pull.call.output)} are dead"
                yield BlindSpot("dead units", where, "anything in their rows or columns")


def kinks(replay: Replay, parameters: list[Value]) -> Iterator[BlindSpot]:
    """Values exactly on a kink."""
    for pull in dict.fromkeys(pull for edits in kink_edits(replay) for pull in edits):
        where = f"{text_of(pull.operand)} is exactly on a kink of {text_of(pull.call.output)}"
        yield BlindSpot("kink", where, "which one-sided derivative is meant; both are accepted")


LOOKS: list[Callable[[Replay, list[Value]], Iterator[BlindSpot]]] = [
    zero_parameters,
    zero_constants,
    one_label,
    few_examples,
    coinciding_sizes,
    faint_derivatives,
    dead_units,
    kinks,
]


def inputs(replay: Replay) -> list[Value]:
    """The arrays that the cost was computed from, besides parameters."""
    return [v for v in replay.run.values if v.kind == "input" and v.name and v.array.ndim]


def examples(replay: Replay) -> int | None:
    """The number of examples: the length that all named inputs share, if there is one."""
    shapes = [set(value.shape) for value in inputs(replay)]
    shared = set.intersection(*shapes) if shapes else set()
    return max(shared) if shared else None


def unary_pulls(replay: Replay) -> list[Pull]:
    """The shares that go through an elementwise function of one operand."""
    return [
        pull
        for pull in replay.pulls
        if is_unary(pull) and pull.call.primitive not in (ops.square, ops.negative, ops.log)
    ]


def slopes(replay: Replay, pull: Pull) -> Array:
    """The derivative that a share is multiplied by."""
    return replay.share(pull, np.ones(pull.call.output.shape))


def good_point(
    shapes: Mapping[str, tuple[int, ...]], labels: Sequence[str] = ("Y",), seed: int = 0
) -> dict[str, Array]:
    r"""Propose values at which every kind of mistake can be seen.

    Weights, biases and inputs are normally distributed, with variance 1 over the number of columns
    for matrices, so that nothing saturates and nothing is nearly linear.  Labels are zeros and
    ones, with every class among them.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        The shape of each array.  Sizes should differ from each other, and the number of examples
        should be none of 1, 2 and 4: `point_quality` says what they hide otherwise.
    labels : sequence of str
        Which of the arrays are labels: one-hot along their shorter axis, or 0 and 1 if that has
        length 1.
    seed : int
        Of the random numbers.

    Returns
    -------
    dict of str to ndarray
        Float64 arrays of these shapes.

    Raises
    ------
    TypeError
        If a shape is no tuple of whole numbers.
    ValueError
        If there are fewer examples than classes, so that not every class can occur.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> point = ag.check.good_point({"W": (3, 4), "b": (3, 1), "X": (4, 5), "Y": (3, 5)})
    >>> point["Y"].sum(axis=0)
    array([1., 1., 1., 1., 1.])
    """
    if not isinstance(shapes, Mapping):
        raise TypeError(f"shapes are a dict such as {{'W': (3, 4)}}, not {shapes!r:.80}")
    rng = np.random.default_rng(seed)
    point = {}
    for name, shape in shapes.items():
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n > 0 for n in shape):
            raise TypeError(
                f"the shape of {printable(name)} is a tuple such as (4, 3), not {shape!r}"
            )
        if name in labels:
            point[name] = mixed_labels(name, shape, rng)
        else:
            columns = shape[-1] if len(shape) > 1 and min(shape) > 1 else 1
            point[name] = rng.standard_normal(shape) / np.sqrt(columns)
    return point


def mixed_labels(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Zeros and ones of a shape, in which every class occurs."""
    m, classes = max(shape, default=1), min(shape, default=1) if len(shape) > 1 else 1
    if m < max(classes, 2):
        raise ValueError(
            f"{printable(name)} of shape {shape} has {m} examples for {max(classes, 2)} classes: "
            f"take more, so that every class occurs"
        )
    chosen = rng.permutation(np.arange(m) % max(classes, 2))
    if classes == 1:
        return chosen.reshape(shape).astype(float)
    one_hot = np.eye(classes)[chosen]
    return one_hot if shape[0] == m else one_hot.T
