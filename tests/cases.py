r"""One row per primitive: where it may be called, and its derivative derived by hand.

A row says what the op computes (``numpy``, written without the op) and the derivative by each
operand (``hand``, derived on paper and written without the rule).  For a new op add a row to the
list that its module has here; `test_ops` then holds the op to every property there is.

For an op that works element by element ``hand`` is the partial derivative :math:`\partial y /
\partial x`, as a function of operands and statics.  For any other op it is the product of a
cotangent ``g`` with the Jacobian, :math:`\bar x = J^T g`, as a function of ``g``, operands and
statics, and where an op takes any number of operands, the list of these for all of them.
"""

from __future__ import annotations

import importlib.util
import math
import pkgutil
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations, product
from typing import Any, NamedTuple

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import activations, functional, linalg, numpy_functions
from autograd_mini.core import ops, tensor
from autograd_mini.core.primitive import Primitive, implementations
from autograd_mini.nn import convolution as images
from autograd_mini.nn import ops as nn_ops

Array = Any
Shape = tuple[int, ...]
Domain = Callable[[np.random.Generator, Shape], Array]


# ---- every primitive that there is --------------------------------------------------------------


def all_primitives() -> set[Primitive]:
    """The primitives of the package, also those only known by NumPy's names.

    Those of optimisers write in place: they are no functions, and have tests of their own.
    """
    for module in pkgutil.walk_packages(ag.__path__, "autograd_mini."):
        if module.name.endswith("special") and importlib.util.find_spec("scipy") is None:
            continue
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("autograd_mini") and not name.startswith("autograd_mini.optim")
    ]
    things = [thing for module in modules for thing in vars(module).values()]
    return {thing for thing in [*things, *implementations.values()] if isinstance(thing, Primitive)}


#: Read when tests are collected: tests and doctests declare ops of their own later.
PRIMITIVES = all_primitives()


# ---- where operands come from -------------------------------------------------------------------


def between(low: float, high: float) -> Domain:
    """Numbers from an interval."""
    return lambda rng, shape: np.asarray(rng.uniform(low, high, shape))


def both_signs(low: float, high: float) -> Domain:
    """Numbers with a magnitude from an interval, so that 0 is avoided."""
    return lambda rng, shape: np.asarray(
        rng.uniform(low, high, shape) * rng.choice([-1.0, 1.0], shape)
    )


def off_steps(rng: np.random.Generator, shape: Shape) -> Array:
    """Numbers that are at least 0.1 away from integers and from halves."""
    return np.asarray(rng.integers(-3, 3, shape) + rng.uniform(0.1, 0.4, shape))


def apart(rng: np.random.Generator, shape: Shape) -> Array:
    """Numbers no two of which are closer than 0.3: there are no ties, also not nearby."""
    size = math.prod(shape)
    return np.asarray(0.3 * (rng.permutation(size).reshape(shape) - size / 3))


def whole(low: int, high: int) -> Domain:
    """Integers, the upper bound not among them."""
    return lambda rng, shape: np.asarray(rng.integers(low, high, shape))


def truth(rng: np.random.Generator, shape: Shape) -> Array:
    """Some True, some False."""
    return np.asarray(rng.random(shape) < 0.5)


def exactly(values: Any) -> tuple[Domain, Shape]:
    """An operand that is always the same."""
    array = np.asarray(values)
    return lambda _rng, _shape: array.copy(), array.shape


def probabilities(rng: np.random.Generator, shape: Shape) -> Array:
    """Positive numbers of which each row sums to 1."""
    weights = rng.uniform(0.2, 1.0, shape)
    return weights / weights.sum(axis=-1, keepdims=True)


# ---- rows ---------------------------------------------------------------------------------------


class Example(NamedTuple):
    """One way of calling an op: a domain and a shape for each operand, and the statics."""

    specifications: tuple[tuple[Domain, Shape], ...]
    statics: dict[str, Any]

    def __str__(self) -> str:
        shapes = " ".join(str(shape).replace(" ", "") for _, shape in self.specifications)
        statics = "".join(
            f" {name}={getattr(value, '__name__', value)}" for name, value in self.statics.items()
        )
        return f"{shapes}{statics}".replace("<class ", "").replace(">", "")

    def operands(self, dtype: Any = np.float64) -> list[Array]:
        """Operands, the same at every call; those of a floating dtype are given the one wanted."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        drawn = [domain(rng, shape) for domain, shape in self.specifications]
        return [x.astype(dtype) if x.dtype.kind == "f" else x for x in drawn]


class Case(NamedTuple):
    """A row of the table."""

    op: Primitive
    numpy: Callable[..., Array]
    hand: dict[str, Callable[..., Any]]
    examples: list[Example]
    linear: bool  # in each operand, the others kept

    def gradients(self, g: Array, operands: Sequence[Array], statics: Any) -> dict[int, Array]:
        """By hand: the cotangents of the operands, from that of the output."""
        found: dict[int, Array] = {}
        for position, name in enumerate(self.op.operands):
            if name not in self.hand:
                continue
            hand = self.hand[name]
            if self.op.kind == "elementwise":
                partial = hand(*operands, **statics)
                found[position] = summed_to(g * partial, operands[position].shape)
            elif self.op.variadic and position == len(self.op.operands) - 1:
                found |= dict(enumerate(hand(g, *operands, **statics), start=position))
            else:
                found[position] = hand(g, *operands, **statics)
        return found


def summed_to(g: Array, shape: Shape) -> Array:
    """Sum over what was broadcast, one axis at a time, as one does on paper."""
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, length in enumerate(shape):
        if length == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


UNARY: list[tuple[Shape, ...]] = [((),), ((3,),), ((2, 3),), ((0,),), ((1, 0, 2),)]
BINARY: list[tuple[Shape, ...]] = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((), (2, 3)),
    ((2, 1), (1, 3)),
    ((3,), (2, 1)),
    ((1, 1), ()),
    ((0,), (1,)),
    ((2, 0), (2, 1)),
]
TERNARY: list[tuple[Shape, ...]] = [
    ((), (), ()),
    ((2, 3), (2, 3), (2, 3)),
    ((3,), (2, 1), ()),
    ((2, 1), (), (1, 3)),
    ((0,), (0,), (1,)),
]


def elementwise(
    op: Primitive,
    numpy: Callable[..., Array],
    *domains: Domain,
    statics: Iterable[dict[str, Any]] = ({},),
    linear: bool = False,
    **hand: Callable[..., Any],
) -> Case:
    """A row of an op that broadcasts: called with operands of all kinds of shapes."""
    shapes = [UNARY, BINARY, TERNARY][len(domains) - 1]
    examples = [
        Example(tuple(zip(domains, some, strict=True)), given)
        for some, given in product(shapes, statics)
    ]
    return Case(op, numpy, hand, examples, linear)


def row(
    op: Primitive,
    numpy: Callable[..., Array],
    *examples: tuple[Any, ...],
    linear: bool = False,
    **hand: Callable[..., Any],
) -> Case:
    """A row of any other op: its examples are operands as (domain, shape), and then statics."""
    called = [
        Example(given[:-1], given[-1]) if isinstance(given[-1], dict) else Example(given, {})
        for given in examples
    ]
    return Case(op, numpy, hand, called, linear)


# ---- derivations that take more than a line -----------------------------------------------------


def axes_of(axis: Any, ndim: int) -> Shape:
    """The axes of a reduction, counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(i % ndim for i in (axis if isinstance(axis, tuple) else (axis,)))


def spread(g: Array, x: Array, axis: Any, keepdims: bool) -> Array:
    """What a reduction took together gets one and the same: ``g`` in the shape of ``x``."""
    if not keepdims:
        for i in sorted(axes_of(axis, x.ndim)):
            g = np.expand_dims(g, i)
    return g + np.zeros_like(x)


def reduction(derivative: Callable[..., Array]) -> Callable[..., Array]:
    """The derivative of a reduction, from that of its result by each element."""

    def hand(g: Array, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return spread(g, x, axis, keepdims) * derivative(x, axes_of(axis, x.ndim))

    return hand


def softmax(x: Array, axis: int = -1) -> Array:
    """The textbook's formula."""
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


def jacobian_of_softmax(y: Array) -> Array:
    """dy_i/dx_j = y_i (delta_ij - y_j), along the last axis."""
    return y[..., :, None] * (np.eye(y.shape[-1], dtype=y.dtype) - y[..., None, :])


def through_softmax(g: Array, x: Array, axis: int = -1) -> Array:
    """g_i J_ij with the whole Jacobian."""
    y = np.moveaxis(softmax(x, axis), axis, -1)
    product = np.einsum("...i,...ij->...j", np.moveaxis(g, axis, -1), jacobian_of_softmax(y))
    return np.moveaxis(product, -1, axis)


def through_log_softmax(g: Array, x: Array, axis: int = -1) -> Array:
    """d(log y_i)/dx_j = delta_ij - y_j."""
    y = np.moveaxis(softmax(x, axis), axis, -1)
    jacobian = np.eye(y.shape[-1], dtype=y.dtype) - y[..., None, :]
    return np.moveaxis(np.einsum("...i,...ij->...j", np.moveaxis(g, axis, -1), jacobian), -1, axis)


def through_cumsum(g: Array, x: Array, axis: int) -> Array:
    """y_i = sum_j [j <= i] x_j: the transpose of a triangle of ones."""
    triangle = np.tril(np.ones((x.shape[axis],) * 2, x.dtype))
    return np.moveaxis(np.tensordot(triangle.T, g, axes=(1, axis)), 0, axis)


def through_transpose(g: Array, x: Array, axes: Any = None) -> Array:
    """Axis k of the output is axis axes[k] of the operand."""
    axes = tuple(range(x.ndim))[::-1] if axes is None else axes_of(tuple(axes), x.ndim)
    return np.moveaxis(g, range(x.ndim), axes)


def positions(x_shape: Shape, key: Any) -> Array:
    """Which element of the operand, counted in row-major order, each element of x[key] is."""
    return np.arange(math.prod(x_shape)).reshape(x_shape)[key]


def put_in(key: Any, indices: Sequence[Array]) -> Any:
    """A key of `getitem`, with the index arrays where they belong."""
    rest = iter(indices)
    if isinstance(key, tuple):
        return tuple([next(rest) if part is ops.Index else part for part in key])
    return key


def add_up(values: Array, where: Array, shape: Shape) -> Array:
    """One addition after the other, of values to the positions that they have."""
    total = np.zeros(math.prod(shape), values.dtype)
    for value, position in zip(values.ravel(), where.ravel(), strict=True):
        total[position] += value
    return total.reshape(shape)


def labelled(labels: Array, classes: int, dtype: Any) -> Array:
    """A 1 for the class of each label."""
    return (labels[..., None] == np.arange(classes)).astype(dtype)


def targets_of(labels: Array, logits: Array) -> Array:
    """Labels as probabilities."""
    if labels.shape == logits.shape:
        return labels if labels.dtype.kind == "f" else labels.astype(logits.dtype)
    return labelled(labels, logits.shape[-1], logits.dtype)


def mass_of(labels: Array) -> Array:
    """The sum of the target probabilities of each example."""
    return labels.sum(axis=-1, keepdims=True) if labels.dtype.kind == "f" else 1


def weights_of(g: Array, losses: Shape, reduction: str) -> Array:
    """How much each of the losses counts."""
    weight = g / math.prod(losses) if reduction == "mean" else g
    return np.broadcast_to(weight, losses)


def reduced(losses: Array, reduction: str) -> Array:
    """The mean, the sum or all."""
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def cross_entropy(logits: Array, labels: Array, reduction: str = "mean") -> Array:
    """- sum t log softmax(z)."""
    losses = -np.sum(targets_of(labels, logits) * np.log(softmax(logits)), axis=-1)
    return reduced(losses, reduction)


def cross_entropy_by_logits(g: Array, z: Array, labels: Array, reduction: str = "mean") -> Array:
    """By the whole Jacobian of softmax, not by the famous shortcut."""
    weight = weights_of(g, z.shape[:-1], reduction)
    by_probability = -targets_of(labels, z) / softmax(z) * weight[..., None]
    return through_softmax(by_probability, z)


def cross_entropy_by_labels(g: Array, z: Array, labels: Array, reduction: str = "mean") -> Array:
    """L = - sum t_k log y_k, so dL/dt_k = -log y_k."""
    return -weights_of(g, z.shape[:-1], reduction)[..., None] * np.log(softmax(z))


def logistic(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def binary_cross_entropy(z: Array, t: Array, reduction: str = "mean") -> Array:
    """-(t log a + (1 - t) log(1 - a)), a = sigma(z)."""
    a = logistic(z)
    return reduced(-(t * np.log(a) + (1 - t) * np.log(1 - a)), reduction)


def binary_cross_entropy_by_logits(g: Array, z: Array, t: Array, reduction: str = "mean") -> Array:
    """dL/da = (1 - t) / (1 - a) - t / a, da/dz = a (1 - a)."""
    a = logistic(z)
    return weights_of(g, z.shape, reduction) * ((1 - t) / (1 - a) - t / a) * (a * (1 - a))


def binary_cross_entropy_by_targets(g: Array, z: Array, t: Array, reduction: str = "mean") -> Array:
    """dL/dt = log(1 - a) - log a."""
    a = logistic(z)
    return weights_of(g, z.shape, reduction) * (np.log(1 - a) - np.log(a))


def written(value: Array, key: Any, out: Array) -> Array:
    """What an array is after a write into it."""
    y = out.copy()
    y[key] = value
    return y


# ---- the rows of core/ops.py and core/tensor.py -------------------------------------------------

REAL = both_signs(0.3, 2.0)
POSITIVE = between(0.3, 2.5)
UNIT = between(-0.8, 0.8)
SMALL_INTEGERS = whole(-3, 4)
LN_2, LN_10 = 0.6931471805599453, 2.302585092994046


def one(*_operands: Array) -> float:
    return 1.0


def zero(*_operands: Array) -> float:
    return 0.0


ARITHMETIC = [
    elementwise(ops.add, np.add, REAL, REAL, linear=True, a=one, b=one),
    elementwise(ops.subtract, np.subtract, REAL, REAL, linear=True, a=one, b=lambda a, b: -1.0),
    elementwise(
        ops.multiply, np.multiply, REAL, REAL, linear=True, a=lambda a, b: b, b=lambda a, b: a
    ),
    elementwise(ops.divide, np.divide, REAL, REAL, a=lambda a, b: 1 / b, b=lambda a, b: -a / b**2),
    elementwise(ops.negative, np.negative, REAL, linear=True, x=lambda x: -1.0),
    row(
        numpy_functions.positive,
        np.positive,
        *[((REAL, shape),) for (shape,) in UNARY],
        linear=True,
        x=lambda g, x: g,
    ),
    elementwise(numpy_functions.reciprocal, lambda x: 1 / x, REAL, x=lambda x: -(x**-2)),
    elementwise(ops.square, lambda x: x * x, REAL, x=lambda x: x + x),
    elementwise(ops.sqrt, np.sqrt, POSITIVE, x=lambda x: 0.5 * x**-0.5),
    elementwise(numpy_functions.cbrt, np.cbrt, REAL, x=lambda x: abs(x) ** (-2 / 3) / 3),
    elementwise(
        ops.power,
        lambda a, b: np.exp(b * np.log(a)),
        POSITIVE,
        between(-2.0, 3.0),
        a=lambda a, b: b * a ** (b - 1),
        b=lambda a, b: a**b * np.log(a),
    ),
    elementwise(
        numpy_functions.remainder,
        lambda a, b: a - b * np.floor(a / b),
        between(-5.0, 5.0),
        both_signs(0.5, 2.0),
        a=one,
        b=lambda a, b: -np.floor(a / b),
    ),
    elementwise(
        numpy_functions.floor_divide,
        lambda a, b: np.floor(a / b),
        between(-5.0, 5.0),
        both_signs(0.5, 2.0),
        a=zero,
        b=zero,
    ),
]

EXPONENTIALS = [
    elementwise(ops.exp, np.exp, REAL, x=np.exp),
    elementwise(numpy_functions.exp2, lambda x: 2**x, REAL, x=lambda x: LN_2 * 2**x),
    elementwise(numpy_functions.expm1, lambda x: np.exp(x) - 1, REAL, x=np.exp),
    elementwise(ops.log, np.log, POSITIVE, x=lambda x: 1 / x),
    elementwise(
        numpy_functions.log2, lambda x: np.log(x) / LN_2, POSITIVE, x=lambda x: 1 / (x * LN_2)
    ),
    elementwise(
        numpy_functions.log10, lambda x: np.log(x) / LN_10, POSITIVE, x=lambda x: 1 / (x * LN_10)
    ),
    elementwise(
        numpy_functions.log1p, lambda x: np.log(1 + x), between(-0.7, 2.0), x=lambda x: 1 / (1 + x)
    ),
]

TRIGONOMETRY = [
    elementwise(numpy_functions.sin, np.sin, REAL, x=np.cos),
    elementwise(numpy_functions.cos, np.cos, REAL, x=lambda x: -np.sin(x)),
    elementwise(
        numpy_functions.tan, lambda x: np.sin(x) / np.cos(x), UNIT, x=lambda x: np.cos(x) ** -2
    ),
    elementwise(numpy_functions.arcsin, np.arcsin, UNIT, x=lambda x: (1 - x**2) ** -0.5),
    elementwise(numpy_functions.arccos, np.arccos, UNIT, x=lambda x: -((1 - x**2) ** -0.5)),
    elementwise(numpy_functions.arctan, np.arctan, REAL, x=lambda x: 1 / (x**2 + 1)),
    elementwise(
        numpy_functions.sinh,
        lambda x: (np.exp(x) - np.exp(-x)) / 2,
        REAL,
        x=lambda x: (np.exp(x) + np.exp(-x)) / 2,
    ),
    elementwise(
        numpy_functions.cosh,
        lambda x: (np.exp(x) + np.exp(-x)) / 2,
        REAL,
        x=lambda x: (np.exp(x) - np.exp(-x)) / 2,
    ),
    elementwise(
        ops.tanh,
        lambda x: 1 - 2 / (np.exp(2 * x) + 1),
        REAL,
        x=lambda x: 4 / (np.exp(x) + np.exp(-x)) ** 2,
    ),
    elementwise(
        numpy_functions.arcsinh,
        lambda x: np.log(x + np.sqrt(x**2 + 1)),
        REAL,
        x=lambda x: (x**2 + 1) ** -0.5,
    ),
    elementwise(
        numpy_functions.arccosh,
        lambda x: np.log(x + np.sqrt(x**2 - 1)),
        between(1.3, 4.0),
        x=lambda x: (x**2 - 1) ** -0.5,
    ),
    elementwise(
        numpy_functions.arctanh,
        lambda x: np.log((1 + x) / (1 - x)) / 2,
        UNIT,
        x=lambda x: 1 / (1 - x**2),
    ),
]

KINKS_AND_STEPS = [
    elementwise(
        ops.absolute, lambda x: np.where(x > 0, x, -x), REAL, x=lambda x: np.where(x > 0, 1.0, -1.0)
    ),
    elementwise(ops.sign, lambda x: x / abs(x), off_steps, x=zero),
    elementwise(ops.slope, lambda x: x / abs(x), off_steps, x=zero),
    elementwise(
        ops.larger,
        lambda a, b: ((a - b) / abs(a - b) + 1) / 2,
        REAL,
        between(3.0, 4.0),
        a=lambda a, b: 0 * (a + b),
        b=lambda a, b: 0 * (a + b),
    ),
    elementwise(
        ops.none_of,
        lambda a, b: a * b,
        REAL,
        REAL,
        a=lambda a, b: b + 0 * a,
        b=lambda a, b: a + 0 * b,
    ),
    elementwise(
        numpy_functions.per_length,
        lambda a, b: a * b**-1.0,
        REAL,
        POSITIVE,
        a=lambda a, b: 1 / b + 0 * a,
        b=lambda a, b: -a / b**2,
    ),
    elementwise(numpy_functions.floor, lambda x: x - x % 1, off_steps, x=zero),
    elementwise(numpy_functions.ceil, lambda x: x + -x % 1, off_steps, x=zero),
    elementwise(
        numpy_functions.trunc, lambda x: np.sign(x) * (abs(x) - abs(x) % 1), off_steps, x=zero
    ),
    elementwise(numpy_functions.rint, lambda x: np.floor(x + 0.5), off_steps, x=zero),
    elementwise(
        ops.maximum,
        lambda a, b: (a + b + abs(a - b)) / 2,
        REAL,
        REAL,
        a=lambda a, b: np.where(a > b, 1.0, 0.0),
        b=lambda a, b: np.where(a > b, 0.0, 1.0),
    ),
    elementwise(
        ops.minimum,
        lambda a, b: (a + b - abs(a - b)) / 2,
        REAL,
        REAL,
        a=lambda a, b: np.where(a > b, 0.0, 1.0),
        b=lambda a, b: np.where(a > b, 1.0, 0.0),
    ),
    elementwise(
        ops.where,
        lambda condition, a, b: condition * a + ~condition * b,
        truth,
        REAL,
        REAL,
        linear=True,
        a=lambda condition, a, b: condition * 1.0,
        b=lambda condition, a, b: 1.0 - condition,
    ),
]

WITHOUT_GRADIENT = [
    row(ops.zeros_like, lambda x: 0 * x, *[((REAL, shape),) for (shape,) in UNARY]),
    row(ops.ones_like, lambda x: 0 * x + 1, *[((REAL, shape),) for (shape,) in UNARY]),
    *[
        elementwise(implementations[ufunc], ufunc, SMALL_INTEGERS, SMALL_INTEGERS)
        for ufunc in (
            np.greater,
            np.greater_equal,
            np.less,
            np.less_equal,
            np.equal,
            np.not_equal,
            np.logical_and,
            np.logical_or,
            np.logical_xor,
            np.bitwise_and,
            np.bitwise_or,
            np.bitwise_xor,
        )
    ],
    *[
        elementwise(implementations[ufunc], ufunc, SMALL_INTEGERS)
        for ufunc in (np.logical_not, np.invert)
    ],
    *[
        row(
            implementations[ufunc],
            ufunc,
            (exactly([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0]),),
            (exactly(np.nan),),
            (exactly(np.zeros((2, 0))),),
        )
        for ufunc in (np.isnan, np.isinf, np.isfinite, np.signbit)
    ],
    row(
        tensor.assignment,
        written,
        ((REAL, (2,)), {"key": slice(1, 3), "out": np.zeros(4)}),
        ((REAL, ()), {"key": ..., "out": np.zeros((2, 3))}),
    ),
]

ACTIVATIONS = [
    elementwise(
        activations.sigmoid, logistic, REAL, x=lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2
    ),
    elementwise(activations.softplus, lambda x: np.log(1 + np.exp(x)), REAL, x=logistic),
    elementwise(
        activations.relu, lambda x: (x + abs(x)) / 2, REAL, x=lambda x: np.where(x > 0, 1.0, 0.0)
    ),
    elementwise(
        activations.leaky_relu,
        lambda x, negative_slope=0.01: x * np.where(x > 0, 1.0, negative_slope).astype(x.dtype),
        REAL,
        statics=[{}, {"negative_slope": 0.3}],
        x=lambda x, negative_slope=0.01: np.where(x > 0, 1.0, negative_slope),
    ),
    row(
        activations.softmax,
        softmax,
        ((REAL, (3,)),),
        ((REAL, (2, 4)), {"axis": 0}),
        ((REAL, (2, 3, 4)), {"axis": -2}),
        ((REAL, (0, 3)), {"axis": 1}),
        x=through_softmax,
    ),
    row(
        activations.log_softmax,
        lambda x, axis=-1: np.log(softmax(x, axis)),
        ((REAL, (3,)),),
        ((REAL, (2, 4)), {"axis": 0}),
        ((REAL, (2, 3, 4)), {"axis": -2}),
        ((REAL, (0, 3)), {"axis": 1}),
        x=through_log_softmax,
    ),
]


def reductions(domain: Domain, empty: bool) -> list[tuple[Any, ...]]:
    """Examples of a reduction; ``empty`` says whether it can reduce no elements at all."""
    return [
        ((domain, ()),),
        ((domain, (4,)),),
        ((domain, (2, 3)),),
        ((domain, (2, 3)), {"axis": 0}),
        ((domain, (2, 3)), {"axis": -1, "keepdims": True}),
        ((domain, (2, 3)), {"keepdims": True}),
        ((domain, (2, 3, 4)), {"axis": (0, -1)}),
        ((domain, (2, 3, 4)), {"axis": (2, 0), "keepdims": True}),
        ((domain, (2, 3)), {"axis": ()}),
        ((domain, (0, 3)), {"axis": 1}),
        *([((domain, (0, 3)), {"axis": 0}), ((domain, (0,)), {})] if empty else []),
    ]


def attained(x: Array, y: Array) -> Array:
    return np.where(x == y, 1.0, 0.0)


REDUCTIONS = [
    row(
        activations.logsumexp,
        lambda x, **statics: np.log(np.sum(np.exp(x), **statics)),
        *reductions(REAL, empty=False),
        x=reduction(lambda x, axes: np.exp(x) / np.exp(x).sum(axes, keepdims=True)),
    ),
    row(
        ops.reduce_sum,
        lambda x, axis=None, keepdims=False: np.einsum(
            x, range(x.ndim), [i for i in range(x.ndim) if i not in axes_of(axis, x.ndim)]
        ).reshape(np.sum(x, axis=axis, keepdims=keepdims).shape),
        *reductions(REAL, empty=True),
        linear=True,
        x=reduction(lambda x, axes: 1.0),
    ),
    row(
        ops.reduce_max,
        np.max,
        *reductions(apart, empty=False),
        x=reduction(lambda x, axes: attained(x, np.max(x, axes, keepdims=True))),
    ),
    row(
        ops.reduce_min,
        np.min,
        *reductions(apart, empty=False),
        x=reduction(lambda x, axes: attained(x, np.min(x, axes, keepdims=True))),
    ),
    row(
        numpy_functions.norm,
        lambda x, **statics: np.sqrt(np.sum(x * x, **statics)),
        *reductions(REAL, empty=False),
        x=reduction(lambda x, axes: x / np.sqrt((x * x).sum(axes, keepdims=True))),
    ),
    row(
        numpy_functions.cumulative_sum,
        lambda x, axis: np.add.accumulate(x, axis),
        ((REAL, (4,)), {"axis": 0}),
        ((REAL, (2, 3)), {"axis": 0}),
        ((REAL, (2, 3, 2)), {"axis": -2}),
        ((REAL, (2, 0)), {"axis": 1}),
        linear=True,
        x=through_cumsum,
    ),
]

MATRICES_AND_SHAPES = [
    row(
        ops.matrix_product,
        lambda a, b: np.einsum("...ij,...jk->...ik", a, b),
        ((REAL, (2, 3)), (REAL, (3, 4))),
        ((REAL, (1, 3)), (REAL, (3, 1))),
        ((REAL, (5, 2, 3)), (REAL, (3, 4))),
        ((REAL, (2, 3)), (REAL, (5, 3, 4))),
        ((REAL, (2, 1, 2, 3)), (REAL, (4, 3, 2))),
        ((REAL, (2, 0)), (REAL, (0, 3))),
        ((REAL, (0, 3)), (REAL, (3, 2))),
        linear=True,
        a=lambda g, a, b: summed_to(np.einsum("...ik,...jk->...ij", g, b), a.shape),
        b=lambda g, a, b: summed_to(np.einsum("...ij,...ik->...jk", a, g), b.shape),
    ),
    row(
        ops.reshape,
        lambda x, shape: x.ravel().reshape(shape),
        ((REAL, (2, 3)), {"shape": (3, 2)}),
        ((REAL, (2, 3)), {"shape": -1}),
        ((REAL, (2, 3)), {"shape": (1, -1, 2)}),
        ((REAL, ()), {"shape": (1, 1)}),
        ((REAL, (1,)), {"shape": ()}),
        ((REAL, (0, 3)), {"shape": (5, 0)}),
        linear=True,
        x=lambda g, x, shape: np.array(list(g.flat), x.dtype).reshape(x.shape),
    ),
    row(
        ops.transpose,
        np.transpose,
        ((REAL, (2, 3)),),
        ((REAL, ()),),
        ((REAL, (2, 3, 4)), {"axes": (2, 0, 1)}),
        ((REAL, (2, 3, 4)), {"axes": (-1, 0, -2)}),
        ((REAL, (2, 3)), {"axes": [1, 0]}),
        ((REAL, (2, 3, 4)), {"axes": None}),
        ((REAL, (2, 0, 3)), {"axes": (1, 2, 0)}),
        linear=True,
        x=through_transpose,
    ),
    row(
        ops.broadcast_to,
        lambda x, shape: x + np.zeros(shape, x.dtype),
        ((REAL, ()), {"shape": (2, 3)}),
        ((REAL, (3,)), {"shape": (2, 3)}),
        ((REAL, (2, 1)), {"shape": (4, 2, 3)}),
        ((REAL, (2, 3)), {"shape": (2, 3)}),
        ((REAL, (1,)), {"shape": 4}),
        ((REAL, (1,)), {"shape": (0,)}),
        linear=True,
        x=lambda g, x, shape: summed_to(g, x.shape),
    ),
    row(
        ops.copy,
        lambda x: x + 0,
        *[((REAL, shape),) for (shape,) in UNARY],
        linear=True,
        x=lambda g, x: g,
    ),
    row(
        ops.convert,
        lambda x, dtype: np.array(x, dtype),
        ((REAL, (2, 3)), {"dtype": np.dtype(np.float64)}),
        ((REAL, ()), {"dtype": np.dtype(np.float64)}),
        ((REAL, (0,)), {"dtype": np.dtype(np.float64)}),
        linear=True,
        x=lambda g, x, dtype: np.array(g, x.dtype),
    ),
]

INDEXING = [
    row(
        ops.join,
        lambda *xs, axis: np.concatenate(xs, axis),
        ((REAL, (2,)), {"axis": 0}),
        ((REAL, (2, 3)), (REAL, (1, 3)), (REAL, (0, 3)), {"axis": 0}),
        ((REAL, (2, 3)), (REAL, (2, 1)), {"axis": 1}),
        ((REAL, (2, 3, 1)), (REAL, (2, 2, 1)), {"axis": -2}),
        linear=True,
        xs=lambda g, *xs, axis: np.split(g, np.cumsum([x.shape[axis] for x in xs])[:-1], axis),
    ),
    row(
        ops.getitem,
        lambda x, *indices, key: x[put_in(key, indices)],
        ((REAL, (4,)), {"key": 2}),
        ((REAL, (4,)), {"key": slice(None, None, -2)}),
        ((REAL, (4,)), {"key": slice(4, 4)}),
        ((REAL, (2, 3)), {"key": (..., None, -1)}),
        ((REAL, ()), {"key": ()}),
        ((REAL, (4,)), exactly([0, 0, 3]), {"key": (ops.Index,)}),
        ((REAL, (4,)), exactly(2), {"key": (ops.Index,)}),
        ((REAL, (4,)), exactly([True, False, True, False]), {"key": (ops.Index,)}),
        ((REAL, (2, 3)), exactly([[1, 1], [0, 1]]), {"key": (slice(None), ops.Index)}),
        ((REAL, (2, 3)), exactly([0, 1]), exactly([[2], [2]]), {"key": (ops.Index, ops.Index)}),
        (
            (REAL, (2, 3, 2)),
            exactly([1, 1]),
            exactly([True, True, False]),
            {"key": (ops.Index, ops.Index)},
        ),
        ((REAL, (4,)), exactly(np.zeros(0, int)), {"key": (ops.Index,)}),
        linear=True,
        x=lambda g, x, *indices, key: add_up(g, positions(x.shape, put_in(key, indices)), x.shape),
    ),
    row(
        ops.scatter,
        lambda x, *indices, key, shape: add_up(
            np.asarray(x), np.asarray(positions(shape, put_in(key, indices))), shape
        ),
        ((REAL, ()), {"key": 2, "shape": (4,)}),
        ((REAL, (2,)), {"key": slice(None, None, -2), "shape": (4,)}),
        ((REAL, (2, 1)), {"key": (..., None, -1), "shape": (2, 3)}),
        ((REAL, (3,)), exactly([0, 0, 3]), {"key": (ops.Index,), "shape": (4,)}),
        ((REAL, (2,)), exactly([True, False, True]), {"key": (ops.Index,), "shape": (3,)}),
        (
            (REAL, (2, 2, 2)),
            exactly([[1, 1], [0, 1]]),
            {"key": (slice(None), ops.Index), "shape": (2, 3)},
        ),
        ((REAL, (0,)), exactly(np.zeros(0, int)), {"key": (ops.Index,), "shape": (4,)}),
        linear=True,
        x=lambda g, x, *indices, key, shape: np.asarray(g[put_in(key, indices)]),
    ),
]

CORE_ROWS = [
    *ARITHMETIC,
    *EXPONENTIALS,
    *TRIGONOMETRY,
    *KINKS_AND_STEPS,
    *WITHOUT_GRADIENT,
    *ACTIVATIONS,
    *REDUCTIONS,
    *MATRICES_AND_SHAPES,
    *INDEXING,
]

# ---- the rows of nn/ops.py ----------------------------------------------------------------------

CLASSES = whole(0, 3)
ONE_HOT = exactly([[0, 0, 1], [1, 0, 0]])

NN_ROWS = [
    row(
        nn_ops.linear,
        lambda x, weight, bias: np.einsum("...i,oi->...o", x, weight) + bias,
        ((REAL, (2, 3)), (REAL, (4, 3)), (REAL, (4,))),
        ((REAL, (3,)), (REAL, (2, 3)), (REAL, (2,))),
        ((REAL, (5, 2, 3)), (REAL, (1, 3)), (REAL, (1,))),
        ((REAL, (0, 3)), (REAL, (2, 3)), (REAL, (2,))),
        linear=True,
        x=lambda g, x, weight, bias: np.einsum("...o,oi->...i", g, weight),
        weight=lambda g, x, weight, bias: summed_to(
            np.einsum("...o,...i->...oi", g, x), weight.shape
        ),
        bias=lambda g, x, weight, bias: summed_to(g, bias.shape),
    ),
    row(
        nn_ops.residual,
        lambda z, labels: softmax(z) * mass_of(labels) - targets_of(labels, z),
        ((REAL, (4, 3)), (CLASSES, (4,))),
        ((REAL, (3,)), (CLASSES, ())),
        ((REAL, (2, 2, 3)), (CLASSES, (2, 2))),
        ((REAL, (0, 3)), (CLASSES, (0,))),
        ((REAL, (4, 3)), (probabilities, (4, 3))),
        ((REAL, (2, 2, 3)), (POSITIVE, (2, 2, 3))),
        ((REAL, (2, 3)), ONE_HOT),
        logits=lambda g, z, labels: through_softmax(g * mass_of(labels), z),
        labels=lambda g, z, labels: np.einsum(
            "...i,...ij->...j", g, softmax(z)[..., :, None] - np.eye(z.shape[-1])
        ),
    ),
    row(
        nn_ops.cross_entropy,
        cross_entropy,
        ((REAL, (4, 3)), (CLASSES, (4,))),
        ((REAL, (4, 3)), (CLASSES, (4,)), {"reduction": "sum"}),
        ((REAL, (4, 3)), (CLASSES, (4,)), {"reduction": "none"}),
        ((REAL, (3,)), (CLASSES, ())),
        ((REAL, (2, 2, 3)), (CLASSES, (2, 2))),
        ((REAL, (2, 5, 3)), (CLASSES, (2, 5)), {"reduction": "none"}),
        ((REAL, (0, 3)), (CLASSES, (0,)), {"reduction": "sum"}),
        ((REAL, (4, 3)), (probabilities, (4, 3))),
        ((REAL, (4, 3)), (POSITIVE, (4, 3)), {"reduction": "sum"}),
        ((REAL, (2, 2, 3)), (probabilities, (2, 2, 3)), {"reduction": "none"}),
        ((REAL, (3,)), (probabilities, (3,))),
        ((REAL, (2, 3)), ONE_HOT, {"reduction": "sum"}),
        logits=cross_entropy_by_logits,
        labels=cross_entropy_by_labels,
    ),
    row(
        nn_ops.binary_cross_entropy_with_logits,
        binary_cross_entropy,
        ((REAL, (4,)), (between(0.0, 1.0), (4,))),
        ((REAL, (2, 3)), (between(0.0, 1.0), (2, 3)), {"reduction": "sum"}),
        ((REAL, (2, 3)), (between(0.0, 1.0), (2, 3)), {"reduction": "none"}),
        ((REAL, (4, 1)), exactly([[0.0], [1.0], [1.0], [0.0]])),
        ((REAL, ()), (between(0.0, 1.0), ())),
        ((REAL, (0,)), (between(0.0, 1.0), (0,)), {"reduction": "sum"}),
        logits=binary_cross_entropy_by_logits,
        targets=binary_cross_entropy_by_targets,
    ),
]

# ---- the rows of nn/convolution.py --------------------------------------------------------------


def two(value: Any) -> Shape:
    """For both directions."""
    return value if isinstance(value, tuple) else (value, value)


def windows(shape: Shape, kernel: Any, stride: Any, padding: Any) -> list[tuple[Any, Any]]:
    """Each place (p, q) of an output, and the key of what is seen from it on padded images."""
    (kh, kw), (down, right), (above, left) = two(kernel), two(stride or kernel), two(padding)
    rows = range(0, shape[2] + 2 * above - kh + 1, down)
    columns = range(0, shape[3] + 2 * left - kw + 1, right)
    return [
        ((..., p, q), (..., slice(i, i + kh), slice(j, j + kw)))
        for (p, i), (q, j) in product(enumerate(rows), enumerate(columns))
    ]


def framed(x: Array, padding: Any, value: float = 0) -> Array:
    """Images with a frame around them."""
    above, left = two(padding)
    return np.pad(x, ((0, 0), (0, 0), (above, above), (left, left)), constant_values=value)


def unframed(x: Array, padding: Any) -> Array:
    """Images without it."""
    above, left = two(padding)
    return x[:, :, above : x.shape[2] - above, left : x.shape[3] - left]


def gathered(
    make: Callable[[Array], Array], x: Array, kernel: Any, stride: Any, padding: Any, value: Any = 0
) -> Array:
    """One place after the other, what is made of the window there."""
    seen = framed(x, padding, value)
    keys = windows(x.shape, kernel, stride, padding)
    made = {place[1:]: make(seen[key]) for place, key in keys}
    rows, columns = [max(indices) + 1 for indices in zip(*made, strict=True)]
    some = next(iter(made.values()))
    y = np.zeros((*some.shape, rows, columns), some.dtype)
    for place, value_there in made.items():
        y[(..., *place)] = value_there
    return y


def handed_back(
    give: Callable[[Array, Any], Array],
    g: Array,
    shape: Shape,
    kernel: Any,
    stride: Any,
    padding: Any,
) -> Array:
    """One place after the other, what its cotangent gives to the window there, added up."""
    x = framed(np.zeros(shape, g.dtype), padding)
    for place, key in windows(shape, kernel, stride, padding):
        x[key] += give(g[place], (place, key))
    return unframed(x, padding)


def convolved(x: Array, w: Array, stride: Any = 1, padding: Any = 0) -> Array:
    """y_nopq = sum w_ocij x_{n,c,sp+i,sq+j}."""
    return gathered(
        lambda seen: np.einsum("ncij,ocij->no", seen, w), x, w.shape[2:], stride, padding
    )


def convolved_by_x(g: Array, w: Array, shape: Shape, stride: Any = 1, padding: Any = 0) -> Array:
    """dy_nopq / dx_{n,c,sp+i,sq+j} = w_ocij."""
    return handed_back(
        lambda at, _: np.einsum("no,ocij->ncij", at, w), g, shape, w.shape[2:], stride, padding
    )


def convolved_by_w(g: Array, x: Array, kernel: Shape, stride: Any = 1, padding: Any = 0) -> Array:
    """dy_nopq / dw_ocij = x_{n,c,sp+i,sq+j}."""
    seen = framed(x, padding)
    return sum(
        np.einsum("no,ncij->ocij", g[place], seen[key])
        for place, key in windows(x.shape, kernel, stride, padding)
    )


def largest(seen: Array) -> Array:
    """The largest element of each channel of a window."""
    return seen.max(axis=(2, 3))


def by_the_largest(
    g: Array, x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0
) -> Array:
    """All of it to the element that is the largest; here there are no ties."""
    seen = framed(x, padding, -np.inf)

    def give(at: Array, where: Any) -> Array:
        window = seen[where[1]]
        return at[..., None, None] * (window == largest(window)[..., None, None])

    return handed_back(give, g, x.shape, kernel_size, stride, padding)


def mean_of(x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """The mean of each channel of a window."""
    return gathered(lambda seen: seen.mean(axis=(2, 3)), x, kernel_size, stride, padding)


def by_the_mean(g: Array, shape: Shape, kernel: Any, stride: Any = None, padding: Any = 0) -> Array:
    """To each element of a window an equal part."""
    parts = math.prod(two(kernel))
    return handed_back(lambda at, _: at[..., None, None] / parts, g, shape, kernel, stride, padding)


def mean_of_chosen(x: Array, chosen: Array, stride: Any, padding: Any) -> Array:
    """The mean of what is chosen in each window; ``chosen`` counts windows as the output does."""
    y = np.zeros(np.broadcast_shapes(chosen.shape[2:], (*x.shape[:2], 1, 1)), x.dtype)
    seen = framed(x, padding)
    for place, key in windows(x.shape, chosen.shape[:2], stride, padding):
        weight = np.moveaxis(chosen[place], (0, 1), (-2, -1))
        y[place] = (seen[key] * weight).sum(axis=(2, 3)) / weight.sum(axis=(2, 3))
    return y


def shared_among(g: Array, chosen: Array, size: Shape, stride: Any, padding: Any) -> Array:
    """To each element that is chosen in a window an equal part."""

    def give(at: Array, where: Any) -> Array:
        weight = np.moveaxis(chosen[where[0]], (0, 1), (-2, -1))
        return at[..., None, None] * weight / weight.sum(axis=(2, 3), keepdims=True)

    shape = (*g.shape[:2], *size)
    return handed_back(give, g, shape, chosen.shape[:2], stride, padding)


def ties(rng: np.random.Generator, shape: Shape) -> Array:
    """Nothing but 0 and 1."""
    return rng.integers(0, 2, shape).astype(float)


def some_chosen(rng: np.random.Generator, shape: Shape) -> Array:
    """At least one element of each window."""
    chosen = rng.random(shape) < 0.5
    chosen[-1, -1] = True
    return chosen


IMAGES = {
    "plain": ((2, 3, 4, 5), (2, 3, 2, 3), (2, 2, 3, 3), {"stride": 1, "padding": 0}),
    "stride": ((1, 2, 6, 6), (1, 2, 3, 2), (1, 1, 2, 3), {"stride": 2, "padding": 0}),
    "padding": ((2, 1, 3, 3), (2, 1, 3, 3), (2, 2, 3, 3), {"stride": 1, "padding": 1}),
    "pairs": ((1, 2, 5, 4), (2, 2, 2, 3), (1, 2, 2, 6), {"stride": (2, 1), "padding": (0, 2)}),
    "gaps": ((1, 1, 5, 6), (1, 1, 2, 1), (1, 1, 2, 2), {"stride": (3, 4), "padding": 0}),
    "empty": ((0, 2, 3, 3), (3, 2, 2, 2), (0, 3, 2, 2), {"stride": 1, "padding": 0}),
}
POOLS: list[tuple[Shape, dict[str, Any]]] = [
    ((2, 3, 4, 6), {"kernel_size": 2, "stride": None, "padding": 0}),
    ((1, 2, 5, 5), {"kernel_size": (3, 2), "stride": None, "padding": (1, 0)}),
    ((2, 1, 5, 4), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((1, 2, 6, 5), {"kernel_size": 2, "stride": (1, 3), "padding": 0}),
    ((0, 2, 4, 4), {"kernel_size": 2, "stride": 2, "padding": 0}),
]
CHOICES: list[tuple[Shape, Shape, Shape, dict[str, Any]]] = [
    ((2, 2, 4, 4), (2, 2, 2, 2, 2, 2), (2, 2, 2, 2), {"stride": None, "padding": 0}),
    ((1, 2, 4, 3), (3, 2, 1, 2, 4, 4), (1, 2, 4, 4), {"stride": 1, "padding": 1}),
    ((2, 1, 5, 3), (2, 2, 2, 1, 2, 2), (2, 1, 2, 2), {"stride": (2, 1), "padding": 0}),
    ((0, 2, 4, 4), (2, 2, 0, 2, 2, 2), (0, 2, 2, 2), {"stride": 2, "padding": 0}),
]

IMAGE_ROWS = [
    row(
        images.convolution,
        lambda x, w, b, **statics: convolved(x, w, **statics) + b[:, None, None],
        *[((REAL, x), (REAL, w), (REAL, w[:1]), statics) for x, w, _, statics in IMAGES.values()],
        linear=True,
        x=lambda g, x, w, b, **statics: convolved_by_x(g, w, x.shape, **statics),
        weight=lambda g, x, w, b, **statics: convolved_by_w(g, x, w.shape[2:], **statics),
        bias=lambda g, x, w, b, **statics: np.einsum("nopq->o", g),
    ),
    row(
        images.convolution_by_input,
        lambda y, w, size, **statics: convolved_by_x(y, w, (len(y), w.shape[1], *size), **statics),
        *[
            ((REAL, y), (REAL, w), {"size": x[2:], **statics})
            for x, w, y, statics in IMAGES.values()
        ],
        linear=True,
        output=lambda g, y, w, size, **statics: convolved(g, w, **statics),
        weight=lambda g, y, w, size, **statics: convolved_by_w(y, g, w.shape[2:], **statics),
    ),
    row(
        images.convolution_by_weight,
        lambda y, x, kernel_size, **statics: convolved_by_w(y, x, kernel_size, **statics),
        *[
            ((REAL, y), (REAL, x), {"kernel_size": w[2:], **statics})
            for x, w, y, statics in IMAGES.values()
        ],
        linear=True,
        output=lambda g, y, x, kernel_size, **statics: convolved(x, g, **statics),
        x=lambda g, y, x, kernel_size, **statics: convolved_by_x(y, g, x.shape, **statics),
    ),
    row(
        images.max_pooling,
        lambda x, kernel_size, stride, padding: gathered(
            largest, x, kernel_size, stride, padding, -np.inf
        ),
        *[((apart, x), statics) for x, statics in POOLS],
        x=by_the_largest,
    ),
    row(
        images.average_pooling,
        mean_of,
        *[((REAL, x), statics) for x, statics in POOLS],
        linear=True,
        x=lambda g, x, kernel_size, **statics: by_the_mean(g, x.shape, kernel_size, **statics),
    ),
    row(
        images.attained,
        lambda x, y, kernel_size, stride, padding: (
            np.moveaxis(
                gathered(np.array, x, kernel_size, stride, padding, -np.inf), (2, 3), (0, 1)
            )
            == y
        ),
        (
            (apart, (1, 2, 4, 4)),
            exactly(np.zeros((1, 2, 2, 2))),
            {"kernel_size": 2, "stride": None, "padding": 0},
        ),
        (
            (ties, (2, 1, 3, 3)),
            exactly(np.ones((2, 1, 4, 4))),
            {"kernel_size": 2, "stride": 1, "padding": 1},
        ),
    ),
    row(
        images.mean_of,
        mean_of_chosen,
        *[((REAL, x), (some_chosen, chosen), statics) for x, chosen, _, statics in CHOICES],
        linear=True,
        x=lambda g, x, chosen, stride, padding: shared_among(
            g, chosen, x.shape[2:], stride, padding
        ),
    ),
    row(
        images.shared_among,
        shared_among,
        *[
            ((REAL, y), (some_chosen, chosen), {"size": x[2:], **statics})
            for x, chosen, y, statics in CHOICES
        ],
        linear=True,
        output=lambda g, y, chosen, size, stride, padding: mean_of_chosen(
            g, chosen, stride, padding
        ),
    ),
]

# ---- the rows of numpy_functions.py, functional.py and all that comes later: add yours here ------


def by_unit_vectors(g: Array, *xs: Array, subscripts: str, **options: Any) -> list[Array]:
    """A function linear in each operand: its slopes are its values at the unit vectors."""
    found = []
    for i, x in enumerate(xs):
        units = np.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
        slopes = [np.sum(g * np.einsum(subscripts, *xs[:i], unit, *xs[i + 1 :])) for unit in units]
        found.append(np.array(slopes, x.dtype).reshape(x.shape))
    return found


FURTHER_ROWS = [
    elementwise(
        numpy_functions.logaddexp,
        lambda a, b: np.log(np.exp(a) + np.exp(b)),
        REAL,
        REAL,
        a=lambda a, b: np.exp(a) / (np.exp(a) + np.exp(b)),
        b=lambda a, b: np.exp(b) / (np.exp(a) + np.exp(b)),
    ),
    elementwise(
        numpy_functions.logaddexp2,
        lambda a, b: np.log2(2**a + 2**b),
        REAL,
        REAL,
        a=lambda a, b: 2**a / (2**a + 2**b),
        b=lambda a, b: 2**b / (2**a + 2**b),
    ),
    elementwise(
        numpy_functions.hypot,
        lambda a, b: abs(a + 1j * b),
        REAL,
        REAL,
        a=lambda a, b: a * (a**2 + b**2) ** -0.5,
        b=lambda a, b: b * (a**2 + b**2) ** -0.5,
    ),
    elementwise(
        numpy_functions.arctan2,
        lambda a, b: np.angle(b + 1j * a),
        REAL,
        REAL,
        a=lambda a, b: b / (a**2 + b**2),
        b=lambda a, b: -a / (a**2 + b**2),
    ),
    elementwise(
        numpy_functions.fmax,
        lambda a, b: (a + b + abs(a - b)) / 2,
        REAL,
        REAL,
        a=lambda a, b: np.where(a > b, 1.0, 0.0),
        b=lambda a, b: np.where(a > b, 0.0, 1.0),
    ),
    elementwise(
        numpy_functions.fmin,
        lambda a, b: (a + b - abs(a - b)) / 2,
        REAL,
        REAL,
        a=lambda a, b: np.where(a > b, 0.0, 1.0),
        b=lambda a, b: np.where(a > b, 1.0, 0.0),
    ),
    elementwise(
        numpy_functions.fmod,
        lambda a, b: a - b * np.trunc(a / b),
        between(-5.0, 5.0),
        both_signs(0.5, 2.0),
        a=one,
        b=lambda a, b: -np.trunc(a / b),
    ),
    elementwise(
        numpy_functions.copysign,
        lambda a, b: abs(a) * np.where(b > 0, 1.0, -1.0).astype(b.dtype),
        REAL,
        REAL,
        a=lambda a, b: np.where((a > 0) == (b > 0), 1.0, -1.0),
        b=zero,
    ),
    row(
        numpy_functions.ldexp,
        lambda a, b: (a * 2.0**b).astype(a.dtype),
        ((REAL, (2, 3)), exactly([[1, -2, 0], [3, 4, -6]])),
        ((REAL, (3,)), exactly(2)),
        ((REAL, ()), exactly([1, 2])),
        a=lambda a, b: 2.0**b,
    ),
    elementwise(
        numpy_functions.heaviside,
        lambda a, b: np.where(a > 0, 1.0, 0.0 * b).astype(b.dtype),
        REAL,
        REAL,
        a=zero,
        b=zero,
    ),
    elementwise(
        numpy_functions.fabs, lambda x: np.sqrt(x * x), REAL, x=lambda x: np.where(x > 0, 1.0, -1.0)
    ),
    elementwise(numpy_functions.conjugate, lambda x: x + 0, REAL, linear=True, x=one),
    elementwise(
        numpy_functions.deg2rad,
        lambda x: x * np.asarray(np.pi / 180, x.dtype),
        REAL,
        linear=True,
        x=lambda x: np.pi / 180,
    ),
    elementwise(
        numpy_functions.rad2deg,
        lambda x: x * np.asarray(180 / np.pi, x.dtype),
        REAL,
        linear=True,
        x=lambda x: 180 / np.pi,
    ),
    elementwise(
        numpy_functions.rounded,
        lambda x, decimals=0: np.floor(x * 10.0**decimals + 0.5) / 10.0**decimals,
        off_steps,
        statics=[{}, {"decimals": 1}],
        x=lambda x, decimals=0: 0.0,
    ),
    row(
        numpy_functions.order,
        np.argsort,
        ((apart, (4,)), {"axis": 0, "kind": "stable"}),
        ((apart, (2, 3)), {"axis": -1, "kind": None}),
        ((apart, (0,)), {"axis": -1, "kind": None}),
    ),
    row(
        numpy_functions.contraction,
        lambda *xs, subscripts: np.einsum(subscripts, *xs),
        ((REAL, (2, 3)), (REAL, (3, 4)), {"subscripts": "ij,jk->ik"}),
        ((REAL, (3,)), (REAL, (3,)), {"subscripts": "i,i->"}),
        ((REAL, (2,)), (REAL, (3,)), {"subscripts": "i,j->ji"}),
        ((REAL, (2, 3)), {"subscripts": "ij->ji"}),
        ((REAL, (2, 3, 4)), (REAL, (3, 4)), (REAL, (4, 2)), {"subscripts": "ijk,jk,ki->ik"}),
        ((REAL, (0, 3)), (REAL, (3, 2)), {"subscripts": "ij,jk->ik"}),
        linear=True,
        xs=by_unit_vectors,
    ),
    row(
        functional.argument,
        lambda x: x + 0,
        *[((REAL, shape),) for (shape,) in UNARY],
        linear=True,
        x=lambda g, x: g,
    ),
]


# ---- linear algebra -----------------------------------------------------------------------------
# Forward derivatives, along each unit vector: they are derived without transposing anything.


def entry_by_entry(along: Callable[..., Array]) -> Callable[..., Array]:
    """J^T g from the derivative of an op of one operand along a direction."""

    def hand(g: Array, x: Array, **statics: Any) -> Array:
        found = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            direction = np.zeros_like(x)
            direction[place] = 1
            found[place] = np.sum(g * along(x, direction, **statics))
        return found

    return hand


def turned(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def regular(rng: np.random.Generator, shape: Shape) -> Array:
    """Matrices far from those that are singular."""
    return np.asarray(rng.uniform(-1, 1, shape) + 2 * np.eye(*shape[-2:]))


def symmetric(rng: np.random.Generator, shape: Shape) -> Array:
    """Positive definite matrices with eigenvalues apart, above the diagonal what nobody reads."""
    return np.asarray(rng.uniform(-0.5, 0.5, shape) + np.diag(np.arange(2.0, 2 + 2 * shape[-1], 2)))


def of_lower(x: Array) -> Array:
    """The symmetric matrix whose lower triangle this is."""
    return np.tril(x) + turned(np.tril(x, -1))


def half_below(x: Array) -> Array:
    """The lower triangle with half of the diagonal."""
    return np.tril(x) - np.einsum("...ii,ij->...ij", x, np.eye(x.shape[-1], dtype=x.dtype)) / 2


def row_replaced(a: Array, *directions: Array) -> Array:
    """The derivative of det along directions: each takes the place of a row, in all ways."""
    total = np.zeros(a.shape[:-2], a.dtype)
    for rows in permutations(range(a.shape[-1]), len(directions)):
        changed = a.copy()
        for i, direction in zip(rows, directions, strict=True):
            changed[..., i, :] = direction[..., i, :]
        total = total + np.linalg.det(changed)
    return total


def gradient_of_det(a: Array, *directions: Array) -> Array:
    """The derivative along directions and then by each entry."""
    found = np.zeros_like(a)
    for i, j in np.ndindex(a.shape[-2:]):
        unit = np.zeros_like(a)
        unit[..., i, j] = 1
        found[..., i, j] = row_replaced(a, *directions, unit)
    return found


def through_directions(g: Array, a: Array, *directions: Array) -> list[Array]:
    """By the i-th direction: the others, and g in its place."""
    return [
        gradient_of_det(a, *directions[:i], *directions[i + 1 :], g) for i in range(len(directions))
    ]


def cholesky_along(a: Array, e: Array, upper: bool = False) -> Array:
    """DL = L P(L^-1 dA L^-T), where P is half of what is symmetric."""
    if upper:
        return turned(cholesky_along(turned(a), turned(e)))
    root = np.linalg.cholesky(of_lower(a))
    inside = np.linalg.inv(root) @ of_lower(e) @ turned(np.linalg.inv(root))
    return root @ half_below(inside)


def eigenvalues_along(a: Array, e: Array) -> Array:
    """dw_j = v_j^T dA v_j."""
    v = np.linalg.eigh(of_lower(a))[1]
    return np.einsum("...ij,...ik,...kj->...j", v, of_lower(e), v)


def eigenvectors_along(a: Array, e: Array) -> Array:
    """dv_j is the sum of v_i (v_i^T dA v_j) / (w_j - w_i) over all other i."""
    w, v = np.linalg.eigh(of_lower(a))
    found, inside = np.zeros_like(a), turned(v) @ of_lower(e) @ v
    for i, j in permutations(range(a.shape[-1]), 2):
        part = inside[..., i, j] / (w[..., j] - w[..., i])
        found[..., :, j] += v[..., :, i] * part[..., None]
    return found


def gaps_along(x: Array, e: Array) -> Array:
    """The derivative of 1 / (x_j - x_i), one pair after the other."""
    found = np.zeros((*x.shape, x.shape[-1]), x.dtype)
    for i, j in permutations(range(x.shape[-1]), 2):
        found[..., i, j] = (e[..., i] - e[..., j]) / (x[..., j] - x[..., i]) ** 2
    return found


def gaps(x: Array) -> Array:
    found = np.zeros((*x.shape, x.shape[-1]), x.dtype)
    for i, j in permutations(range(x.shape[-1]), 2):
        found[..., i, j] = 1 / (x[..., j] - x[..., i])
    return found


def both_vectors(x: Array) -> Array:
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([u, turned(vt)], axis=-2)


def singular_vectors_along(x: Array, e: Array) -> Array:
    """Townsend's forward formulas, with dP = U^T dX V and F_ij = 1 / (s_j^2 - s_i^2)."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    v, p, f = turned(vt), turned(u) @ e @ turned(vt), gaps(s**2)
    columns, rows = s[..., None, :], s[..., :, None]
    du = u @ (f * (p * columns + rows * turned(p)))
    dv = v @ (f * (rows * p + turned(p) * columns))
    du += (np.eye(u.shape[-2]) - u @ turned(u)) @ e @ v / columns
    dv += (np.eye(v.shape[-2]) - v @ turned(v)) @ turned(e) @ u / columns
    return np.concatenate([du, dv], axis=-2)


def qr_along(x: Array, e: Array) -> Array:
    """DQ = Q W + (1 - Q Q^T) dA R^-1, W skew with the lower triangle of Q^T dA R^-1."""
    q, r = np.linalg.qr(x)
    inside = turned(q) @ e @ np.linalg.inv(r)
    w = np.tril(inside, -1) - turned(np.tril(inside, -1))
    dq = q @ w + e @ np.linalg.inv(r) - q @ inside
    return np.concatenate([dq, turned(q) @ e - w @ r], axis=-2)


def pinv_along(a: Array, e: Array, rcond: Any = None) -> Array:
    """Of a tall matrix (A^T A)^-1 A^T, and of a wide one the same, transposed."""
    if a.shape[-2] < a.shape[-1]:
        return turned(pinv_along(turned(a), turned(e)))
    inner = np.linalg.inv(turned(a) @ a)
    change = -inner @ (turned(e) @ a + turned(a) @ e) @ inner
    return change @ turned(a) + inner @ turned(e)


def pinv_by_hand(a: Array, rcond: Any = None) -> Array:
    """(A^T A)^-1 A^T, or A^T (A A^T)^-1."""
    if a.shape[-2] < a.shape[-1]:
        return turned(a) @ np.linalg.inv(a @ turned(a))
    return np.linalg.inv(turned(a) @ a) @ turned(a)


def gram(x: Array) -> Array:
    """The smaller one of X^T X and X X^T."""
    return turned(x) @ x if x.shape[-2] >= x.shape[-1] else x @ turned(x)


SQUARES = [(3, 3), (1, 1), (2, 3, 3), (2, 1, 2, 2), (0, 3, 3)]
OBLONGS = [(3, 3), (4, 3), (2, 3), (2, 4, 2), (2, 2, 3), (1, 1), (0, 3, 2)]


def through(m: Array, b: Array) -> Array:
    """Matrices times a vector, or times matrices."""
    return (
        np.einsum("...ij,j->...i", m, b) if b.ndim == 1 else np.einsum("...ij,...jk->...ik", m, b)
    )


LINALG_ROWS = [
    row(
        linalg.solve,
        lambda a, b: through(np.linalg.inv(a), b),
        ((regular, (3, 3)), (REAL, (3,))),
        ((regular, (3, 3)), (REAL, (3, 2))),
        ((regular, (2, 3, 3)), (REAL, (3,))),
        ((regular, (3, 3)), (REAL, (4, 3, 2))),
        ((regular, (2, 1, 3, 3)), (REAL, (4, 3, 1))),
        ((regular, (1, 1)), (REAL, (1,))),
        ((regular, (0, 3, 3)), (REAL, (3, 2))),
        a=lambda g, a, b: entry_by_entry(
            lambda a, e: through(-np.linalg.inv(a) @ e @ np.linalg.inv(a), b)
        )(g, a),
        b=lambda g, a, b: entry_by_entry(lambda b, e: through(np.linalg.inv(a), e))(g, b),
    ),
    row(
        linalg.inverse,
        lambda a: np.linalg.solve(a, np.eye(a.shape[-1], dtype=a.dtype)),
        *[((regular, shape),) for shape in SQUARES],
        a=entry_by_entry(lambda a, e: -np.linalg.inv(a) @ e @ np.linalg.inv(a)),
    ),
    row(
        linalg.determinant,
        lambda a: np.asarray(np.prod(np.linalg.eigvals(a), axis=-1).real),
        *[((regular, shape),) for shape in SQUARES],
        a=entry_by_entry(row_replaced),
    ),
    row(
        linalg.minors,
        gradient_of_det,
        ((REAL, (3, 3)),),
        ((REAL, (2, 2, 2)),),
        ((REAL, (1, 1)),),
        (exactly(np.arange(16.0).reshape(4, 4)),),
        (exactly([[1.0, 2.0], [2.0, 4.0]]), (REAL, (2, 2))),
        ((REAL, (2, 3, 3)), (REAL, (2, 3, 3))),
        ((REAL, (3, 3)), (REAL, (3, 3)), (REAL, (3, 3))),
        ((REAL, (0, 3, 3)), (REAL, (0, 3, 3))),
        a=lambda g, a, *gs: gradient_of_det(a, *gs, g),
        gs=through_directions,
    ),
    row(
        linalg.sign_of_determinant,
        lambda a: np.sign(np.prod(np.linalg.eigvals(a), axis=-1).real),
        *[((regular, shape),) for shape in SQUARES],
    ),
    row(
        linalg.logarithm_of_determinant,
        lambda a: np.log(np.abs(np.prod(np.linalg.eigvals(a), axis=-1))),
        *[((regular, shape),) for shape in SQUARES],
        a=entry_by_entry(lambda a, e: np.trace(np.linalg.inv(a) @ e, axis1=-2, axis2=-1)),
    ),
    row(
        linalg.lower_half,
        half_below,
        *[((REAL, shape),) for shape in SQUARES],
        linear=True,
        x=lambda g, x: half_below(g),
    ),
    row(
        linalg.cholesky,
        lambda a, upper=False: (
            turned(np.linalg.cholesky(of_lower(turned(a))))
            if upper
            else np.linalg.cholesky(of_lower(a))
        ),
        *[((symmetric, shape),) for shape in SQUARES],
        ((symmetric, (2, 3, 3)), {"upper": True}),
        a=entry_by_entry(cholesky_along),
    ),
    row(
        linalg.eigenvalues,
        lambda a: np.linalg.svd(of_lower(a), compute_uv=False)[..., ::-1],
        *[((symmetric, shape),) for shape in SQUARES],
        a=entry_by_entry(eigenvalues_along),
    ),
    row(
        linalg.eigenvectors,
        lambda a: np.linalg.eigh(of_lower(a))[1],
        *[((symmetric, shape),) for shape in SQUARES],
        a=entry_by_entry(eigenvectors_along),
    ),
    row(
        linalg.one_over_gaps,
        gaps,
        *[((apart, shape),) for shape in ((3,), (2, 3), (1,), (0, 3), (2, 0))],
        x=entry_by_entry(gaps_along),
    ),
    row(
        linalg.singular_values,
        lambda x: np.sqrt(np.linalg.eigvalsh(gram(x)))[..., ::-1],
        *[((regular, shape),) for shape in OBLONGS],
        x=entry_by_entry(
            lambda x, e: np.einsum(
                "...ik,...ij,...jk->...k",
                both_vectors(x)[..., : x.shape[-2], :],
                e,
                both_vectors(x)[..., x.shape[-2] :, :],
            )
        ),
    ),
    row(
        linalg.singular_vectors,
        both_vectors,
        *[((regular, shape),) for shape in OBLONGS],
        x=entry_by_entry(singular_vectors_along),
    ),
    row(
        linalg.orthogonal_and_triangular,
        lambda x: np.concatenate(np.linalg.qr(x), axis=-2),
        *[((regular, shape),) for shape in OBLONGS if shape[-2] >= shape[-1]],
        x=entry_by_entry(qr_along),
    ),
    row(
        linalg.pseudo_inverse,
        pinv_by_hand,
        *[((regular, shape),) for shape in OBLONGS],
        ((regular, (2, 3)), {"rcond": 1e-10}),
        a=entry_by_entry(pinv_along),
    ),
]


# ---- special functions --------------------------------------------------------------------------


def special_rows() -> list[Case]:
    """The rows of what needs SciPy; none where it is not installed."""
    try:
        from autograd_mini import special
    except ImportError:
        return []
    scipy = sys.modules["scipy.special"]
    inside, root_pi = between(0.1, 0.9), math.sqrt(math.pi)

    def by_math(function: Callable[[float], float]) -> Callable[[Array], Array]:
        return lambda x: np.vectorize(function, otypes=[x.dtype])(x)

    def slope_of_digamma(x: Array, n: int = 1) -> Array:
        """(-1)^(n+1) n! times the sum of 1 / (x + k)^(n+1), the rest by Euler and Maclaurin."""
        x, m = x.astype(float), n + 1
        total = sum(1 / (x + k) ** m for k in range(30))
        x = x + 30
        total = total + x ** (1 - m) / (m - 1) + x**-m / 2 + m * x ** (-m - 1) / 12
        total = total - m * (m + 1) * (m + 2) * x ** (-m - 3) / 720
        return (-1) ** m * math.factorial(n) * total

    def bessel(x: Array, n: int, derivative: int = 0) -> Array:
        """I_n(x) is the mean of exp(x cos t) cos(nt) over all angles t."""
        angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        waves = np.exp(np.multiply.outer(x.astype(float), np.cos(angles))) * np.cos(n * angles)
        return np.mean(waves * np.cos(angles) ** derivative, axis=-1).astype(x.dtype)

    def digamma(x: Array) -> Array:
        """Log y - 1/2y - 1/12y^2 + ... at y = x + 30, less 1 / (x + k)."""
        y = x.astype(float) + 30
        tail = np.log(y) - 1 / (2 * y) - 1 / (12 * y**2) + 1 / (120 * y**4) - 1 / (252 * y**6)
        return (tail - sum(1 / (x.astype(float) + k) for k in range(30))).astype(x.dtype)

    return [
        elementwise(special.erf, by_math(math.erf), REAL, x=lambda x: 2 * np.exp(-x * x) / root_pi),
        elementwise(
            special.erfc, by_math(math.erfc), REAL, x=lambda x: -2 * np.exp(-x * x) / root_pi
        ),
        elementwise(
            special.erfinv,
            scipy.erfinv,
            inside,
            x=lambda x: root_pi / 2 * np.exp(scipy.erfinv(x) ** 2),
        ),
        elementwise(
            special.ndtr,
            by_math(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2),
            REAL,
            x=lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        ),
        elementwise(
            special.logit,
            lambda x: np.log(x) - np.log(1 - x),
            inside,
            x=lambda x: 1 / x + 1 / (1 - x),
        ),
        elementwise(special.gammaln, by_math(math.lgamma), POSITIVE, x=digamma),
        elementwise(special.digamma, digamma, POSITIVE, x=slope_of_digamma),
        elementwise(
            special.polygamma_of_order,
            lambda x, n: slope_of_digamma(x, n).astype(x.dtype),
            POSITIVE,
            statics=[{"n": 1}, {"n": 2}],
            x=lambda x, n: slope_of_digamma(x, n + 1),
        ),
        elementwise(
            special.modified_bessel,
            bessel,
            REAL,
            statics=[{"n": 0}, {"n": 1}, {"n": -2}],
            x=lambda x, n: bessel(x, n, 1),
        ),
        elementwise(special.entr, lambda x: -x * np.log(x), POSITIVE, x=lambda x: -np.log(x) - 1),
        elementwise(
            special.ratio,
            lambda a, b: a / b,
            REAL,
            POSITIVE,
            a=lambda a, b: 1 / b,
            b=lambda a, b: -a / b**2,
        ),
        elementwise(
            special.xlogy,
            lambda a, b: a * np.log(b),
            REAL,
            POSITIVE,
            a=lambda a, b: np.log(b),
            b=lambda a, b: a / b,
        ),
    ]


CASES = [*CORE_ROWS, *NN_ROWS, *IMAGE_ROWS, *FURTHER_ROWS, *LINALG_ROWS, *special_rows()]


# ---- tests of all rows --------------------------------------------------------------------------


def every(
    rows: Iterable[tuple[Any, ...]], group: Callable[[Any], str] = lambda case: case.op.name
) -> Callable[[Callable[..., None]], Any]:
    """Make what holds for a row a test of all rows with the same op, and name the one that fails.

    A test of its own for each row costs more than most rows do.
    """
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(group(row[0]), []).append(row)

    def tests(holds: Callable[..., None]) -> Any:
        def test(op: str) -> None:
            for row in groups[op]:
                try:
                    holds(*row)
                except Exception as error:
                    error.add_note(f"{op}: {', '.join(map(str, row[1:] or row))}")
                    raise

        test.__name__, test.__doc__ = holds.__name__, holds.__doc__
        return pytest.mark.parametrize("op", groups)(test)

    return tests
