"""Every property of an op, over every row of the table in `cases`."""

from __future__ import annotations

import gc
import inspect
import itertools
import math
import string
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cases import CASES, PRIMITIVES, Case, Example, every, summed_to

import autograd_mini as ag
from autograd_mini import activations, linalg, numpy_functions
from autograd_mini.core import ops
from autograd_mini.core.primitive import Like, Likes, Primitive

Array = Any
STEP = np.finfo(np.float64).eps ** (1 / 3)

#: Ops whose dtype is a static: their rules hand the cotangent on, for the engine to cast.
CHOOSES_DTYPE = {ops.convert}

#: Ops whose kernels are LAPACK's, which has no float16, or SciPy's, which gives something wider.
NO_FLOAT16 = {
    op
    for name in ("linalg", "special")
    for op in vars(sys.modules.get(f"autograd_mini.{name}", ag)).values()
    if isinstance(op, Primitive)
} - {activations.sigmoid, numpy_functions.norm, numpy_functions.per_length, linalg.lower_half}


def identifier(value: Any) -> str:
    return value.op.name if isinstance(value, Case) else str(value)


DIFFERENTIABLE = [case for case in CASES if case.op.rules]
GRADIENTS = [(case, example) for case in DIFFERENTIABLE for example in case.examples]
EVERY_EXAMPLE = every((case, example) for case in CASES for example in case.examples)
EVERY_GRADIENT = every(GRADIENTS)
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=identifier)
EVERY_RULE = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=identifier)


# ---- how a rule is called, written a second time ------------------------------------------------


def name_at(op: Primitive, position: int) -> str:
    """The name of the operand at a position of a call."""
    return op.operands[min(position, len(op.operands) - 1)]


def rule_at(op: Primitive, position: int) -> Callable[..., Array] | None:
    """The function that is the rule for the operand at a position."""
    if not op.rules:
        return None
    rule = op.rules[min(position, len(op.rules) - 1)]
    return rule and rule.function


def differentiable(op: Primitive, operands: list[Array]) -> list[int]:
    """The positions of the operands that can want a gradient."""
    return [i for i, x in enumerate(operands) if x.dtype.kind == "f" and rule_at(op, i) is not None]


def words(rule: Callable[..., Array]) -> list[str]:
    """What a rule asks for besides g."""
    return list(inspect.signature(rule).parameters)[1:]


def raw(
    op: Primitive, position: int, g: Array, operands: list[Array], y: Array, statics: Any
) -> Array:
    """A rule's own result, on arrays, before the engine puts it right."""
    many = len(op.operands) - 1
    known = {**op.defaults, **statics, "y": y, "i": position - many}
    known |= dict(zip(op.operands, operands, strict=False))
    if op.variadic:
        known[op.operands[-1]] = tuple(operands[many:])
        known["likes"] = Likes([Like(x.shape, x.dtype) for x in operands[many:]])
    known["like"] = Like(operands[position].shape, operands[position].dtype)
    rule = rule_at(op, position)
    assert rule is not None
    return rule(g, *[known[word] for word in words(rule)])


def leaves_of(op: Primitive, operands: list[Array]) -> list[Any]:
    """Tensors: the differentiable operands want gradients."""
    wanted = differentiable(op, operands)
    return [ag.Tensor(x, requires_grad=i in wanted) for i, x in enumerate(operands)]


def called(case: Case, example: Example, operands: list[Array]) -> Array:
    """The op itself, on arrays."""
    return np.asarray(case.op.kernel(*operands, **example.statics))


def cotangent(y: Array) -> Array:
    """A random cotangent."""
    g = np.random.default_rng(7).uniform(0.5, 1.5, y.shape) * (-1) ** np.arange(y.size).reshape(
        y.shape
    )
    return np.asarray(g.astype(y.dtype))


def directions(operands: list[Array], wanted: list[int], seed: int = 3) -> list[Array]:
    """For each operand a random direction, 0 for those that are not differentiated."""
    rng = np.random.default_rng(seed)
    return [
        np.asarray(rng.uniform(-1, 1, x.shape)) if i in wanted else np.zeros_like(x)
        for i, x in enumerate(operands)
    ]


def moved(operands: list[Array], step: complex, along: list[Array], wanted: list[int]) -> list[Any]:
    """Operands a step further along a direction; what has no derivative stays as it is."""
    return [x + step * v if i in wanted else x for i, (x, v) in enumerate(zip(operands, along))]  # noqa: B905


def gradients_of(case: Case, example: Example, operands: list[Array], g: Array) -> dict[int, Array]:
    """By the engine: the cotangents of the operands."""
    leaves = leaves_of(case.op, operands)
    case.op(*leaves, **example.statics).backward(g)
    return {i: leaf.grad.data for i, leaf in enumerate(leaves) if leaf.grad is not None}


def inner(xs: dict[int, Array], vs: list[Array]) -> float:
    """The inner product of cotangents and directions."""
    return math.fsum(float(np.sum(x * vs[i])) for i, x in xs.items())


# ---- completeness -------------------------------------------------------------------------------


def test_every_primitive_has_exactly_one_row() -> None:
    rows = Counter(case.op for case in CASES)
    drawing = {op for op in PRIMITIVES if "rng" in op.statics}  # never twice the same
    without = sorted(op.name for op in PRIMITIVES - drawing - rows.keys())
    assert not without, f"primitives without a row in tests/cases.py: {without}"
    strangers = sorted(op.name for op in rows.keys() - PRIMITIVES)
    assert not strangers, f"rows for what is no primitive of the package: {strangers}"
    assert max(rows.values()) == 1, [op.name for op, n in rows.items() if n > 1]


@EVERY_CASE
def test_hand_has_a_derivative_for_just_the_operands_that_have_a_rule(case: Case) -> None:
    with_rule = {
        name
        for name, rule in zip(case.op.operands, case.op.rules or itertools.repeat(None))  # noqa: B905
        if rule
    }
    assert case.hand.keys() == with_rule


def test_examples_are_of_several_shapes() -> None:
    for case in CASES:
        texts = {str(example) for example in case.examples}
        assert len(texts) == len(case.examples) >= 2, case.op


# ---- values -------------------------------------------------------------------------------------


@EVERY_EXAMPLE
def test_value_is_that_of_numpy(case: Case, example: Example) -> None:
    operands = example.operands()
    expected = np.asarray(case.numpy(*operands, **example.statics))
    if "out" in example.statics:  # only `assign` calls these on Tensors
        y = case.op(*operands, **example.statics)
    else:
        y = case.op(*[ag.Tensor(x) for x in operands], **example.statics)
        assert isinstance(y, ag.Tensor)
        assert not y.requires_grad
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-12, atol=1e-12)


@EVERY_EXAMPLE
def test_called_on_arrays_an_op_is_its_kernel_and_gives_no_tensor(
    case: Case, example: Example
) -> None:
    operands = example.operands()
    y = case.op(*operands, **example.statics)
    assert isinstance(y, np.ndarray | np.generic)
    assert y.tobytes() == called(case, example, operands).tobytes()


@EVERY_EXAMPLE
def test_operands_and_statics_are_left_as_they_were(case: Case, example: Example) -> None:
    operands, originals = example.operands(), example.operands()
    if "out" in example.statics:
        case.op(*operands, **example.statics)
    else:
        y = case.op(*leaves_of(case.op, operands), **example.statics)
        if y.requires_grad:
            y.backward(cotangent(y.data), create_graph=True)
    for x, original in zip(operands, originals, strict=True):
        assert x.tobytes() == original.tobytes()


# ---- first derivatives --------------------------------------------------------------------------


@EVERY_GRADIENT
def test_gradient_is_the_one_derived_by_hand(case: Case, example: Example) -> None:
    operands = example.operands()
    g = cotangent(called(case, example, operands))
    found = gradients_of(case, example, operands, g)
    by_hand = case.gradients(g, operands, example.statics)
    assert found.keys() == set(differentiable(case.op, operands))
    for i, gradient in found.items():
        assert gradient.shape == operands[i].shape
        np.testing.assert_allclose(gradient, by_hand[i], rtol=1e-11, atol=1e-12)


@EVERY_GRADIENT
def test_gradient_agrees_with_central_differences(case: Case, example: Example) -> None:
    operands = example.operands()
    wanted = differentiable(case.op, operands)
    v = directions(operands, wanted)
    g = cotangent(called(case, example, operands))
    above = called(case, example, moved(operands, STEP, v, wanted))
    below = called(case, example, moved(operands, -STEP, v, wanted))
    numerical = np.sum(g * (above - below)) / (2 * STEP)
    exact = inner(gradients_of(case, example, operands, g), v)
    np.testing.assert_allclose(exact, numerical, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("case", "operand"),
    [
        pytest.param(case, operand, id=f"{case.op.name}-{operand}")
        for case in DIFFERENTIABLE
        if case.op.analytic
        for operand in case.hand
    ],
)
def test_gradient_agrees_with_the_complex_step(case: Case, operand: str) -> None:
    for example in case.examples:
        operands = example.operands()
        wanted = [i for i in differentiable(case.op, operands) if name_at(case.op, i) == operand]
        v = directions(operands, wanted)
        g = cotangent(called(case, example, operands))
        y = called(case, example, moved(operands, 1e-30j, v, wanted))
        exact = inner(gradients_of(case, example, operands, g), v)
        np.testing.assert_allclose(exact, np.sum(g * y.imag) / 1e-30, rtol=1e-12, atol=1e-13)


@every((case, example) for case, example in GRADIENTS if case.linear)
def test_derivative_of_an_op_linear_in_an_operand_is_a_difference_at_any_step(
    case: Case, example: Example
) -> None:
    operands = example.operands()
    g = cotangent(called(case, example, operands))
    found = gradients_of(case, example, operands, g)
    for i in differentiable(case.op, operands):
        v = directions(operands, [i])
        above = called(case, example, moved(operands, 1, v, [i]))
        below = called(case, example, moved(operands, -1, v, [i]))
        difference = np.sum(g * (above - below)) / 2
        np.testing.assert_allclose(inner({i: found[i]}, v), difference, rtol=1e-12, atol=1e-12)


def other_way_round(x: Array) -> Array:
    """The same values in memory backwards and in Fortran's order."""
    y = np.empty(x.shape, x.dtype, order="F")[(..., *[slice(None, None, -1)] * x.ndim)]
    y[...] = x
    return y


@EVERY_GRADIENT
def test_layout_of_operands_in_memory_does_not_matter(case: Case, example: Example) -> None:
    operands = example.operands()
    expected = called(case, example, operands)
    g = cotangent(expected)
    turned = [other_way_round(x) for x in operands]
    np.testing.assert_allclose(called(case, example, turned), expected, rtol=1e-14)
    by_hand = case.gradients(g, operands, example.statics)
    for i, gradient in gradients_of(case, example, turned, other_way_round(g)).items():
        np.testing.assert_allclose(gradient, by_hand[i], rtol=1e-11, atol=1e-12)


# ---- second derivatives -------------------------------------------------------------------------


@EVERY_GRADIENT
def test_second_derivative_is_that_of_the_first(case: Case, example: Example) -> None:
    operands = example.operands()
    wanted = differentiable(case.op, operands)
    v, u = directions(operands, wanted), directions(operands, wanted, seed=4)
    g = cotangent(called(case, example, operands))

    leaves = leaves_of(case.op, operands)
    case.op(*leaves, **example.statics).backward(g, create_graph=True)
    slope = sum(np.sum(leaves[i].grad * v[i]) for i in wanted)
    for leaf in leaves:
        leaf.grad = None
    if slope.requires_grad:
        slope.backward()
    exact = inner({i: leaves[i].grad.data for i in wanted if leaves[i].grad is not None}, u)

    above = inner(gradients_of(case, example, moved(operands, STEP, u, wanted), g), v)
    below = inner(gradients_of(case, example, moved(operands, -STEP, u, wanted), g), v)
    np.testing.assert_allclose(exact, (above - below) / (2 * STEP), rtol=1e-7, atol=1e-8)


@EVERY_GRADIENT
def test_gradient_is_linear_in_the_cotangent(case: Case, example: Example) -> None:
    # <v, J^T g> differentiated by g is J v: what the op does to a step along v
    operands = example.operands()
    wanted = differentiable(case.op, operands)
    v = directions(operands, wanted)
    y = called(case, example, operands)
    g = ag.Tensor(cotangent(y), requires_grad=True)
    leaves = leaves_of(case.op, operands)
    case.op(*leaves, **example.statics).backward(g, create_graph=True)
    slope = sum(np.sum(leaves[i].grad * v[i]) for i in wanted)
    if slope.requires_grad:
        slope.backward()
    pushed = np.zeros_like(y) if g.grad is None else g.grad.data
    above = called(case, example, moved(operands, STEP, v, wanted))
    below = called(case, example, moved(operands, -STEP, v, wanted))
    np.testing.assert_allclose(pushed, (above - below) / (2 * STEP), rtol=1e-7, atol=1e-8)


@every((case, example, dtype) for case, example in GRADIENTS for dtype in (np.float64, np.float32))
def test_rules_give_the_same_bytes_on_arrays_and_on_tensors(
    case: Case, example: Example, dtype: Any
) -> None:
    operands = example.operands(dtype)
    found = []
    for create_graph in (False, True):
        leaves = leaves_of(case.op, operands)
        y = case.op(*leaves, **example.statics)
        y.backward(cotangent(y.data), create_graph=create_graph)
        grads = [leaf.grad.data for leaf in leaves if leaf.grad is not None]
        found.append([(grad.shape, grad.dtype, grad.tobytes()) for grad in grads])
    assert found[0] == found[1]


# ---- dtypes -------------------------------------------------------------------------------------


@EVERY_GRADIENT
def test_float32_stays_float32(case: Case, example: Example) -> None:
    operands = example.operands(np.float32)
    leaves = leaves_of(case.op, operands)
    y = case.op(*leaves, **example.statics)
    if case.op not in CHOOSES_DTYPE:
        assert y.dtype == np.float32
    y.backward(cotangent(y.data))
    for i in differentiable(case.op, operands):
        assert leaves[i].grad.dtype == np.float32
    expected = case.numpy(*example.operands(), **example.statics)
    np.testing.assert_allclose(y.data, expected, rtol=2e-5, atol=2e-5)


@every(
    (case, example, dtype)
    for case, example in GRADIENTS
    if case.op not in CHOOSES_DTYPE
    for dtype in (np.float32, np.float16)[: 1 if case.op in NO_FLOAT16 else 2]
)
def test_rules_do_not_leak_another_dtype_for_the_engine_to_cast(
    case: Case, example: Example, dtype: Any
) -> None:
    operands = example.operands(dtype)
    y = called(case, example, operands)
    for i in differentiable(case.op, operands):
        result = raw(case.op, i, cotangent(y), operands, y, example.statics)
        assert result.dtype == dtype


# ---- what the graph keeps -----------------------------------------------------------------------


@EVERY_GRADIENT
def test_nothing_is_saved_that_no_rule_asks_for(case: Case, example: Example) -> None:
    op, operands = case.op, example.operands()
    able = differentiable(op, operands)
    for size in range(1, len(able) + 1):
        for recorded in itertools.combinations(able, size):
            tensors = [ag.Tensor(x, requires_grad=i in recorded) for i, x in enumerate(operands)]
            y = op(*tensors, **example.statics)
            node = y._node
            assert node.primitive is op
            wished = {word for i in recorded for word in words(rule_at(op, i))}
            saved = node.saved or (None,) * (len(operands) + 1)
            assert len(saved) == len(operands) + 1
            for i, kept in enumerate(saved[:-1]):
                assert kept is (tensors[i].data if name_at(op, i) in wished else None)
            assert saved[-1] is (y.data if "y" in wished else None)


@EVERY_GRADIENT
def test_rules_return_neither_a_saved_array_nor_a_view_of_one(case: Case, example: Example) -> None:
    operands = example.operands()
    y = called(case, example, operands)
    g = cotangent(y)
    for i in differentiable(case.op, operands):
        result = raw(case.op, i, g, operands, y, example.statics)
        assert not any(np.shares_memory(result, kept) for kept in [*operands, y])


@every((case, example) for case, example in GRADIENTS if case.op.kind != "elementwise")
def test_rules_of_ops_that_do_not_broadcast_give_the_shape_of_the_operand(
    case: Case, example: Example
) -> None:
    operands = example.operands()
    y = called(case, example, operands)
    for i in differentiable(case.op, operands):
        result = raw(case.op, i, cotangent(y), operands, y, example.statics)
        assert result.shape == operands[i].shape


@pytest.fixture
def garbage() -> Iterator[Callable[[], int]]:
    """Count what only the collector can free; all that existed before is left out of account."""
    gc.disable()
    gc.freeze()
    yield gc.collect
    gc.unfreeze()
    gc.enable()


@EVERY_RULE
def test_nothing_is_left_for_the_collector(case: Case, garbage: Callable[[], int]) -> None:
    for example in case.examples:
        leaves = leaves_of(case.op, example.operands())
        y = case.op(*leaves, **example.statics)
        g = ag.Tensor(cotangent(y.data), requires_grad=True)
        y.backward(g, create_graph=True)
        total = sum(np.sum(leaf.grad * leaf.grad) for leaf in leaves if leaf.grad is not None)
        if total.requires_grad:
            total.backward(create_graph=True)
        del leaves, y, g, total
    assert garbage() == 0


# ---- how it is written --------------------------------------------------------------------------


@EVERY_CASE
def test_template_mentions_all_operands_and_its_braces_balance(case: Case) -> None:
    latex = case.op.template
    for example in case.examples:
        text = latex if isinstance(latex, str) else latex(*example.operands())
        assert_template_is_whole(case, text)


def assert_template_is_whole(case: Case, latex: str) -> None:
    """It has all operands, but for the bias that a convolution need not have, and even braces."""
    template = string.Template(latex)
    assert template.is_valid()
    mentioned = set(template.get_identifiers())
    if case.op not in {ops.zeros_like, ops.ones_like}:  # the constants 0 and 1
        assert mentioned >= {*case.op.operands} - {"key", "bias"}
    assert mentioned <= {*case.op.operands, *case.op.statics}
    depth = 0
    for character in latex:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    assert latex.count(r"\left") - latex.count(r"\leftarrow") == (
        latex.count(r"\right") - latex.count(r"\rightarrow")
    )


def test_repr_names_the_op() -> None:
    for case in CASES:
        assert repr(case.op) == f"<primitive {case.op.name}>"


# ---- extremes -----------------------------------------------------------------------------------

HUGE = np.array([-1e4, -200, -89, -1, -1e-4, -0.0, 0.0, 1e-4, 1, 89, 200, 1e4], np.float32)
TINY = np.array([1e-4, 1e-2, 1, 1e2, 1e4], np.float32)
ANYWHERE: dict[str, Callable[[Any], Any]] = {
    "sigmoid": ag.sigmoid,
    "softplus": ag.softplus,
    "relu": ag.relu,
    "leaky_relu": ag.leaky_relu,
    "tanh": np.tanh,
    "arctan": np.arctan,
    "arcsinh": np.arcsinh,
    "sin": np.sin,
    "cos": np.cos,
    "square": np.square,
    "absolute": np.absolute,
    "maximum": lambda x: np.maximum(x, -x),
    "minimum": lambda x: np.minimum(x, np.float32(0)),
    "where": lambda x: np.where(x.data > 0, x, -x),
    "power 0": lambda x: x**0,
    "power 1": lambda x: x**1,
    "power 2": lambda x: x**2.0,
    "power 3": lambda x: x**3,
    "softmax": ag.softmax,
    "log_softmax": ag.log_softmax,
    "logsumexp": ag.logsumexp,
    "max": np.max,
    "mean": np.mean,
    "norm": np.linalg.norm,
    "cumsum": np.cumsum,
    "cross-entropy": lambda x: ag.nn.functional.cross_entropy(x.reshape((4, 3)), np.arange(4) % 3),
    "cross-entropy of probabilities": lambda x: ag.nn.functional.cross_entropy(
        x.reshape((4, 3)), np.full((4, 3), 1 / 3, np.float32)
    ),
    "binary cross-entropy": lambda x: ag.nn.functional.binary_cross_entropy_with_logits(
        x, (np.arange(12) % 2).astype(np.float32)
    ),
}
POSITIVE_ONLY: dict[str, Callable[[Any], Any]] = {
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "reciprocal": np.reciprocal,
    "divide": lambda x: 1 / x,
    "power 0.5": lambda x: x**0.5,
    "power -1": lambda x: x**-1,
}
KINKED_AT_0 = [ANYWHERE[name] for name in ("absolute", "maximum", "minimum")]
EXTREMES = [(f, HUGE) for f in ANYWHERE.values()] + [(f, TINY) for f in POSITIVE_ONLY.values()]


@pytest.mark.parametrize(("function", "points"), EXTREMES, ids=[*ANYWHERE, *POSITIVE_ONLY])
def test_extremes_in_float32_neither_overflow_nor_give_nan(
    function: Callable[[Any], Any], points: Array
) -> None:
    x = ag.Tensor(points, requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = function(x)
        np.sum(y).backward(create_graph=True)
        first, x.grad = x.grad, None
        assert first is not None
        total = np.sum(first)
        if total.requires_grad:
            total.backward()
    second = np.zeros_like(points) if x.grad is None else x.grad.data
    if function in KINKED_AT_0:  # where there is none
        assert np.isnan(second[points == 0]).all()
        second = second[points != 0]
    for values in (y.data, first.data, second):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


@pytest.mark.parametrize("magnitude", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_of_huge_logits_are_the_margins(magnitude: float, dtype: Any) -> None:
    logits = np.array([[magnitude, -magnitude], [-magnitude, magnitude]], dtype)
    losses = ag.nn.functional.cross_entropy(logits, np.array([0, 0]), reduction="none")
    np.testing.assert_array_equal(losses, np.array([0, 2 * magnitude], dtype))
    targets = np.array([[1, 0], [1, 0]], dtype)
    losses = ag.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    np.testing.assert_array_equal(losses, np.array([[0, 0], [magnitude, magnitude]], dtype))


@pytest.mark.parametrize("x", [1e-10, 1e-5, 1.0, 20.0, 700.0])
def test_sigmoid_and_softplus_are_precise_on_both_sides(x: float) -> None:
    tail = math.exp(-x)
    assert ag.sigmoid(-x) == pytest.approx(tail / (1 + tail), rel=1e-15)
    assert ag.sigmoid(x) == pytest.approx(1 / (1 + tail), rel=1e-15)
    assert ag.softplus(-x) == pytest.approx(math.log1p(tail), rel=1e-15)
    assert ag.softplus(x) == pytest.approx(x + math.log1p(tail), rel=1e-15)


def test_logsumexp_of_nothing_but_minus_infinity_is_minus_infinity() -> None:
    assert ag.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf
    np.testing.assert_allclose(ag.logsumexp(np.array([[-np.inf, 0.0]]), axis=1), [0.0])


# ---- kinks, ties and zeros ----------------------------------------------------------------------


def gradient(function: Callable[[Any], Any], *values: Any) -> list[Any]:
    """The gradients of the sum of a function's values."""
    leaves = [ag.Tensor(value, requires_grad=True) for value in values]
    np.sum(function(*leaves)).backward()
    return [leaf.grad.tolist() for leaf in leaves]


def test_operands_that_tie_for_maximum_or_minimum_get_half_each() -> None:
    for function in (np.maximum, np.minimum):
        assert gradient(function, [1.0, 2.0], [1.0, 2.0]) == [[0.5, 0.5], [0.5, 0.5]]
        assert gradient(lambda x, f=function: f(x, 1.0), [1.0]) == [[0.5]]
        assert gradient(lambda x, f=function: f(x, x), [1.0]) == [[1.0]]


@pytest.mark.parametrize("function", [np.max, np.min])
def test_elements_that_tie_for_an_extreme_share_equally(function: Any) -> None:
    assert gradient(function, [2.0, 2.0]) == [[0.5, 0.5]]
    assert gradient(function, np.full((2, 2), 3.0)) == [[[0.25, 0.25], [0.25, 0.25]]]
    sign = 1 if function is np.max else -1
    assert gradient(lambda x: function(sign * x), [3.0, 1.0, 3.0]) == [[0.5 * sign, 0, 0.5 * sign]]
    rows = [[1.0, 1.0, 1.0], [sign * 9.0, 0.0, 0.0]]
    assert gradient(lambda x: function(x, axis=1), rows) == [[[1 / 3] * 3, [1.0, 0.0, 0.0]]]


def test_derivatives_at_kinks_are_the_documented_ones() -> None:
    assert gradient(ag.relu, [-0.0, 0.0]) == [[0.0, 0.0]]
    assert gradient(np.absolute, [0.0]) == [[0.0]]
    assert gradient(lambda x: ag.leaky_relu(x, negative_slope=0.25), [0.0]) == [[0.25]]
    assert gradient(np.sign, [0.0]) == [[0.0]]


def test_norm_has_the_subgradient_zero_at_zero() -> None:
    assert gradient(numpy_functions.norm, [0.0, 0.0]) == [[0.0, 0.0]]
    rows = [[0.0, 0.0], [3.0, 4.0]]
    expected = [[[0.0, 0.0], [0.6, 0.8]]]
    assert gradient(lambda x: numpy_functions.norm(x, axis=1), rows) == expected
    assert gradient(lambda x: numpy_functions.norm(x, axis=-1, keepdims=True), rows) == expected
    assert gradient(np.linalg.norm, [0.0, 0.0]) == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("exponent", "first", "second"),
    [
        (0, 0, 0),
        (0.0, 0, 0),
        (1, 1, 0),
        (1.0, 1, 0),
        (2, 0, 2),
        (2.0, 0, 2),
        (3, 0, 0),
        (4.0, 0, 0),
    ],
)
def test_whole_powers_of_zero_have_right_derivatives(
    exponent: float, first: float, second: float
) -> None:
    for power in (np.power, lambda a, b: a**b, lambda a, b: a ** np.asarray(b)):
        x = ag.Tensor(0.0, requires_grad=True)
        power(x, exponent).backward(create_graph=True)
        assert x.grad is not None
        assert x.grad.item() == first
        slope, x.grad = x.grad, None
        if slope.requires_grad:
            slope.backward()
        assert (x.grad.item() if x.grad is not None else 0) == second


def test_whole_powers_of_negative_numbers_have_right_derivatives() -> None:
    assert gradient(lambda x: x**3, [-2.0]) == [[12.0]]
    assert gradient(lambda x: x**-2, [-2.0]) == [[0.25]]
    assert gradient(lambda x: x ** np.array([1, 2]), [-2.0, -3.0]) == [[1.0, -6.0]]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 2.5, -1.0])
def test_mixed_derivatives_of_a_power_are_right_at_whole_exponents_too(exponent: float) -> None:
    a, b = ag.Tensor(2.0, requires_grad=True), ag.Tensor(exponent, requires_grad=True)
    slope = ag.gradients(a**b, a, create_graph=True)
    curvature = ag.gradients(slope, a, create_graph=True)
    # b a^(b-1) by b, and b (b-1) a^(b-2) by b
    by_b = 2 ** (exponent - 1) * (1 + exponent * np.log(2))
    assert ag.gradients(slope, b).item() == pytest.approx(by_b)
    by_b = 2 ** (exponent - 2) * (2 * exponent - 1 + exponent * (exponent - 1) * np.log(2))
    assert ag.gradients(curvature, b).item() == pytest.approx(by_b)
    # y log a by a
    slope = ag.gradients(a**b, b, create_graph=True)
    by_a = 2 ** (exponent - 1) * (1 + exponent * np.log(2))
    assert ag.gradients(slope, a).item() == pytest.approx(by_a)


def test_zero_to_a_positive_power_does_not_depend_on_the_power() -> None:
    assert gradient(lambda b: np.power(np.zeros(2), b), [2.0, 0.5]) == [[0.0, 0.0]]
    assert gradient(lambda b: 0.0**b, [2.0]) == [[0.0]]


PRODUCTS = [[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0], [5.0], []]


@pytest.mark.parametrize("factors", PRODUCTS)
def test_products_with_zeros_have_right_derivatives(factors: list[float]) -> None:
    others = [math.prod(factors[:i] + factors[i + 1 :]) for i in range(len(factors))]
    assert gradient(np.prod, factors) == [others]
    x = ag.Tensor(factors, requires_grad=True)
    np.prod(x).backward(create_graph=True)
    slope, x.grad = np.sum(x.grad), None
    if slope.requires_grad:
        slope.backward()
    hessian = [
        [
            math.prod(factors[k] for k in range(len(factors)) if k not in (i, j)) * (i != j)
            for j in range(len(factors))
        ]
        for i in range(len(factors))
    ]
    found = np.zeros(len(factors)) if x.grad is None else x.grad.data
    np.testing.assert_allclose(found, np.sum(np.reshape(hessian, (len(factors),) * 2), axis=0))


@pytest.mark.parametrize("factors", PRODUCTS)
def test_cumulative_products_with_zeros_have_right_derivatives(factors: list[float]) -> None:
    by_hand = [
        sum(math.prod(factors[k] for k in range(n + 1) if k != i) for n in range(i, len(factors)))
        for i in range(len(factors))
    ]
    np.testing.assert_allclose(gradient(np.cumprod, factors), [by_hand])


# ---- composites of the core ---------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_mean_divides_the_sum_by_the_count(rng: Any, axis: Any, keepdims: bool) -> None:
    x = ag.Tensor(rng.normal(size=(2, 3, 4)), requires_grad=True)
    y = np.mean(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(y.data, np.mean(x.data, axis=axis, keepdims=keepdims))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.full(x.shape, y.size / x.size))


MATRICES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((2, 0), (0, 3)),
    ((0,), (0,)),
    ((0, 3), (3,)),
]


@pytest.mark.parametrize(("left", "right"), MATRICES)
def test_matmul_of_vectors_matrices_and_stacks_is_that_of_numpy(
    rng: Any, left: Any, right: Any
) -> None:
    a, b = rng.normal(size=left), rng.normal(size=right)
    expected = np.matmul(a, b)
    g = cotangent(np.asarray(expected))
    s, t = ag.Tensor(a, requires_grad=True), ag.Tensor(b, requires_grad=True)
    for y in (s @ t, a @ t, s @ b, np.matmul(s, t), s.__matmul__(t)):
        assert y.shape == expected.shape
        np.testing.assert_allclose(y.data, expected)
        y.backward(g)
    letters_of_left = "...ij" if a.ndim > 1 else "j"
    letters_of_right = "...jk" if b.ndim > 1 else "j"
    out = "..." * (a.ndim > 1 or b.ndim > 1) + "i" * (a.ndim > 1) + "k" * (b.ndim > 1)
    full = np.einsum(f"{out},{letters_of_right}->...{letters_of_left[-2:].strip('.')}", g, b)
    np.testing.assert_allclose(s.grad.data, 4 * summed_to(full, a.shape), atol=1e-12)
    full = np.einsum(f"{letters_of_left},{out}->...{letters_of_right[-2:].strip('.')}", a, g)
    np.testing.assert_allclose(t.grad.data, 4 * summed_to(full, b.shape), atol=1e-12)


def test_matmul_takes_lists() -> None:
    t = ag.Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (t @ [1, 1]).tolist() == [3.0, 7.0]
    assert ([1, 1] @ t).tolist() == [4.0, 6.0]


@pytest.mark.parametrize(
    ("left", "right"), [((2, 3), (2, 3)), ((), (3,)), ((3,), ()), ((3,), (2,)), ((2, 2, 3), (4, 2))]
)
def test_matmul_of_wrong_shapes_names_both(left: Any, right: Any) -> None:
    a, b = ag.Tensor(np.ones(left), name="weights"), np.ones(right)
    for product in (lambda: a @ b, lambda: np.matmul(a, b)):
        with pytest.raises(ValueError, match="matmul") as error:
            product()
        assert f"weights of shape {left}" in str(error.value)
        assert f"shape {right}" in str(error.value)
    with pytest.raises(ValueError, match=r"matmul.*weights of shape"):
        b.T @ ag.Tensor(a.data.T, name="weights")


def test_stacks_that_do_not_broadcast_are_named_with_their_shapes() -> None:
    a, b = ag.Tensor(np.ones((2, 3, 4))), ag.Tensor(np.ones((3, 4, 5)))
    with pytest.raises(ValueError, match=r"matmul.*\(2, 3, 4\).*\(3, 4, 5\)"):
        a @ b


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_cumsum_is_that_of_numpy(rng: Any, axis: Any) -> None:
    x = ag.Tensor(rng.normal(size=(2, 3)), requires_grad=True)
    y = np.cumsum(x, axis=axis)
    np.testing.assert_allclose(y.data, np.cumsum(x.data, axis=axis))
    y.sum().backward()
    counts = np.flip(np.cumsum(np.ones(x.shape), axis=axis).reshape(x.shape), axis=axis)
    np.testing.assert_allclose(x.grad.data, counts)


@pytest.mark.parametrize("axes", [(0, 1), (0, -1), (-1, -2), (1, 1)])
def test_swapaxes_is_that_of_numpy(rng: Any, axes: Any) -> None:
    x = ag.Tensor(rng.normal(size=(2, 3, 4)), requires_grad=True)
    y = x.swapaxes(*axes)
    np.testing.assert_array_equal(y.data, np.swapaxes(x.data, *axes))
    y.backward(y.data)
    np.testing.assert_array_equal(x.grad.data, x.data)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_concatenate_takes_tensors_arrays_and_lists(rng: Any, axis: Any) -> None:
    x = ag.Tensor(rng.normal(size=(2, 2)), requires_grad=True)
    y = np.concatenate([x, np.zeros((2, 2)), [[1, 2], [3, 4]], x], axis=axis)
    plain = [x.data, np.zeros((2, 2)), [[1, 2], [3, 4]], x.data]
    np.testing.assert_array_equal(y.data, np.concatenate(plain, axis=axis))
    y.sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_astype_between_floats_carries_the_gradient() -> None:
    x = ag.Tensor([1.5, 2.5], requires_grad=True)
    y = x.astype(np.float32)
    assert y.dtype == np.float32
    np.sum(y * y).backward()
    assert x.grad.dtype == np.float64
    assert x.grad.tolist() == [3.0, 5.0]


@pytest.mark.parametrize("dtype", [int, bool, np.int8])
def test_astype_to_whole_numbers_carries_no_gradient(dtype: Any) -> None:
    y = ag.Tensor([1.5, 2.5], requires_grad=True).astype(dtype)
    assert y.dtype == dtype
    assert not y.requires_grad


# ---- ops and what they could be composed of -----------------------------------------------------


def agree(fused: Callable[..., Any], twin: Callable[..., Any], *values: Array) -> None:
    """The same value, gradient and second derivative."""
    results = []
    for function in (fused, twin):
        leaves = [ag.Tensor(value, requires_grad=True) for value in values]
        y = function(*leaves)
        y.backward(create_graph=True)
        first = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        sum(np.sum(grad * grad) for grad in first).backward()
        results.append([y, *first, *[leaf.grad for leaf in leaves]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("fused", "twin"),
    [
        (ag.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
        (ag.softplus, lambda x: np.log(1 + np.exp(x))),
        (ag.softmax, lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)),
        (ag.log_softmax, lambda x: x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))),
        (lambda x: ag.logsumexp(x, axis=0), lambda x: np.log(np.sum(np.exp(x), axis=0))),
        (numpy_functions.norm, lambda x: np.sqrt(np.sum(np.square(x)))),
        (np.reciprocal, lambda x: 1 / x),
        (np.square, lambda x: x * x),
        (np.tanh, lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))),
    ],
)
def test_ops_agree_with_what_they_could_be_composed_of(rng: Any, fused: Any, twin: Any) -> None:
    weights = rng.normal(size=fused(np.ones((3, 4))).shape)
    x = rng.uniform(0.5, 2, size=(3, 4))
    agree(lambda x: np.sum(fused(x) * weights), lambda x: np.sum(twin(x) * weights), x)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_softmax_and_its_kin_take_empty_arrays(shape: tuple[int, ...]) -> None:
    x = ag.Tensor(np.zeros(shape), requires_grad=True)
    for function in (ag.softmax, ag.log_softmax):
        y = function(x)
        assert y.shape == shape
        np.sum(y).backward()
        assert x.grad is not None
        assert x.grad.shape == shape
    y = ag.logsumexp(x, axis=-1)
    assert y.shape == shape[:-1]
    assert np.isneginf(y.data).all()


def test_a_layer_without_input_features_is_its_bias() -> None:
    x, W, b = (ag.Tensor(np.ones(s), requires_grad=True) for s in [(3, 4, 0), (5, 0), (5,)])
    y = ag.nn.functional.linear(x, W, b)
    assert y.shape == (3, 4, 5)
    np.sum(y).backward()
    assert b.grad is not None
    assert b.grad.tolist() == [12.0] * 5
