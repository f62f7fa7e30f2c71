"""Random computations against three oracles: a naive engine, differences, and PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini.check import numerical_gradient

Array = Any


# ---- the naive engine ---------------------------------------------------------------------------


class Scalar:
    """A number that knows its derivative by each other number, by walking all paths to it."""

    def __init__(self, value: float, *edges: tuple[Scalar, float]) -> None:
        self.value = value
        self.edges = edges

    def by(self, x: Scalar) -> float:
        """dself/dx: the sum over all paths of the product of the slopes along them."""
        if self is x:
            return 1.0
        return math.fsum(slope * parent.by(x) for parent, slope in self.edges)


NAIVE: dict[str, Callable[..., Scalar]] = {
    "add": lambda a, b: Scalar(a.value + b.value, (a, 1.0), (b, 1.0)),
    "subtract": lambda a, b: Scalar(a.value - b.value, (a, 1.0), (b, -1.0)),
    "multiply": lambda a, b: Scalar(a.value * b.value, (a, b.value), (b, a.value)),
    "divide": lambda a, b: Scalar(
        a.value / (1 + b.value**2),
        (a, 1 / (1 + b.value**2)),
        (b, -2 * a.value * b.value / (1 + b.value**2) ** 2),
    ),
    "tanh": lambda a: Scalar(math.tanh(a.value), (a, 1 - math.tanh(a.value) ** 2)),
    "exp": lambda a: Scalar(
        math.exp(math.sin(a.value)), (a, math.exp(math.sin(a.value)) * math.cos(a.value))
    ),
    "negative": lambda a: Scalar(-a.value, (a, -1.0)),
    "square": lambda a: Scalar(a.value * a.value, (a, 2 * a.value)),
    "sigmoid": lambda a: Scalar(
        1 / (1 + math.exp(-a.value)), (a, math.exp(-a.value) / (1 + math.exp(-a.value)) ** 2)
    ),
    "larger": lambda a, b: Scalar(  # a tie is shared
        max(a.value, b.value + 0.1),
        (a, (1 + np.sign(a.value - (b.value + 0.1))) / 2),
        (b, (1 - np.sign(a.value - (b.value + 0.1))) / 2),
    ),
}
OURS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (1 + b**2),
    "tanh": np.tanh,
    "exp": lambda a: np.exp(np.sin(a)),
    "negative": lambda a: -a,
    "square": np.square,
    "sigmoid": ag.sigmoid,
    "larger": lambda a, b: np.maximum(a, b + 0.1),
}
UNARY = ["tanh", "exp", "negative", "square", "sigmoid"]
BINARY = ["add", "subtract", "multiply", "divide", "larger"]


class Step(NamedTuple):
    """An op and the positions of its operands among all that was computed before."""

    op: str
    operands: tuple[int, ...]


@st.composite
def computations(draw: Any, most_steps: int = 10) -> tuple[list[float], list[Step]]:
    """Some leaves, and steps that use them and each other's results in any way."""
    leaves = draw(st.lists(st.floats(-1.5, 1.5).map(lambda x: round(x, 3)), min_size=1, max_size=3))
    steps = []
    for known in range(len(leaves), len(leaves) + draw(st.integers(1, most_steps))):
        op = draw(st.sampled_from(UNARY + BINARY))
        operand = st.integers(max(0, known - 5), known - 1)
        steps.append(Step(op, (draw(operand),) if op in UNARY else (draw(operand), draw(operand))))
    return leaves, steps


def run(ops: dict[str, Callable[..., Any]], values: list[Any], steps: list[Step]) -> list[Any]:
    """All values of a computation, the leaves first."""
    values = list(values)
    for op, operands in steps:
        values.append(ops[op](*[values[i] for i in operands]))
    return values


def finite(values: list[Any]) -> bool:
    """Whether no number is so large that rounding hides everything."""
    return all(abs(value.value) < 1e3 for value in values)


@given(computations())
@settings(max_examples=300)
def test_gradients_of_random_graphs_are_the_sums_over_all_paths(
    computation: tuple[list[float], list[Step]],
) -> None:
    leaves, steps = computation
    try:
        naive = run(NAIVE, [Scalar(x) for x in leaves], steps)
    except OverflowError:
        return
    if not finite(naive):
        return
    tensors = [ag.Tensor(x, requires_grad=True) for x in leaves]
    values = run(OURS, tensors, steps)
    y = values[-1]
    assert y.item() == pytest.approx(naive[-1].value, rel=1e-12, abs=1e-12)
    for create_graph in (False, True):
        for tensor in tensors:
            tensor.grad = None
        y.backward(create_graph=create_graph)
        for x, tensor in zip(naive, tensors, strict=False):
            slope = 0.0 if tensor.grad is None else tensor.grad.item()
            assert slope == pytest.approx(naive[-1].by(x), rel=1e-9, abs=1e-9)


@given(computations(6))
@settings(max_examples=150)
def test_gradients_by_intermediate_results_are_the_sums_over_all_paths(
    computation: tuple[list[float], list[Step]],
) -> None:
    leaves, steps = computation
    naive = run(NAIVE, [Scalar(x) for x in leaves], steps)
    if not finite(naive):
        return
    values = run(OURS, [ag.Tensor(x, requires_grad=True) for x in leaves], steps)
    for value in values:
        value.retain_grad()
    values[-1].backward()
    retained = [0.0 if value.grad is None else value.grad.item() for value in values]
    assert retained == pytest.approx([naive[-1].by(x) for x in naive], rel=1e-9, abs=1e-9)


@given(computations(5))
@settings(max_examples=100)
def test_second_derivatives_of_random_graphs_agree_with_differences(
    computation: tuple[list[float], list[Step]],
) -> None:
    leaves, steps = computation
    steps = [step for step in steps if step.op != "larger"]
    steps = [
        Step(op, tuple(min(i, len(leaves) + n - 1) for i in some))
        for n, (op, some) in enumerate(steps)
    ]
    if not steps or not finite(run(NAIVE, [Scalar(x) for x in leaves], steps)):
        return

    def slopes(point: Array) -> Array:
        naive = run(NAIVE, [Scalar(x) for x in point], steps)
        return np.array([naive[-1].by(x) for x in naive[: len(point)]])

    tensors = [ag.Tensor(x, requires_grad=True) for x in leaves]
    run(OURS, tensors, steps)[-1].backward(create_graph=True)
    weights = np.arange(1.0, len(leaves) + 1)
    slope = sum(
        (w * t.grad for w, t in zip(weights, tensors, strict=True) if t.grad is not None),
        start=ag.Tensor(0.0),
    )
    for tensor in tensors:
        tensor.grad = None
    if slope.requires_grad:
        slope.backward()
    found = [0.0 if t.grad is None else t.grad.item() for t in tensors]
    numerical = numerical_gradient(lambda x: weights @ slopes(x), np.array(leaves))
    scale = 1 + np.abs(slopes(np.array(leaves))).max()
    np.testing.assert_allclose(found, numerical, rtol=1e-5, atol=1e-6 * scale)


# ---- arrays -------------------------------------------------------------------------------------

SHAPES: list[tuple[int, ...]] = [(), (1,), (3,), (2, 1), (1, 3), (2, 3)]
ARRAY_STEPS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (1 + b * b),
    "tanh": lambda a, b: np.tanh(a) - b,
    "sum": lambda a, b: np.sum(a, axis=-1, keepdims=True) * b if np.ndim(a) else a - b,
    "mean": lambda a, b: np.mean(a) + b,
    "transpose": lambda a, b: a.T @ b if np.ndim(a) == np.ndim(b) == 2 and len(a) == len(b) else a,
    "row": lambda a, b: a[0] * b if np.ndim(a) == 2 else a,
    "softmax": lambda a, b: ag.softmax(a) if np.ndim(a) else np.exp(a / (1 + a * a)),
    "concatenate": lambda a, b: np.concatenate([a, a[:1]])[1:] if np.ndim(a) else -a,
    "where": lambda a, b: (
        np.where(np.arange(np.shape(a)[-1]) % 2 == 0, a, 2 * a) if np.ndim(a) else a
    ),
    "reshape": lambda a, b: a.reshape((-1,)).reshape(np.shape(a)),
}


@given(
    st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3),
    st.lists(
        st.tuples(st.sampled_from(sorted(ARRAY_STEPS)), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=250)
def test_gradients_of_random_computations_with_arrays_agree_with_differences(
    shapes: list[tuple[int, ...]], steps: list[tuple[str, int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    leaves = [np.asarray(rng.uniform(-1, 1, shape)) for shape in shapes]

    def compute(*inputs: Any) -> Any:
        values = list(inputs)
        for name, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            try:
                np.broadcast_shapes(np.shape(a), np.shape(b))
            except ValueError:
                b = 1.0
            values.append(ARRAY_STEPS[name](a, b))
        return sum(np.sum(value * (k + 1)) for k, value in enumerate(values))

    tensors = [ag.Tensor(x, requires_grad=True) for x in leaves]
    y = compute(*tensors)
    y.backward()
    if not abs(y.item()) < 1e3:
        return
    for k, (x, tensor) in enumerate(zip(leaves, tensors, strict=True)):
        assert tensor.grad.shape == x.shape
        numerical = numerical_gradient(
            lambda v, k=k: float(compute(*leaves[:k], v, *leaves[k + 1 :])), x
        )
        scale = 1 + np.abs(numerical).max() + abs(y.item())
        np.testing.assert_allclose(tensor.grad.data, numerical, rtol=1e-6, atol=1e-7 * scale)


# ---- PyTorch ------------------------------------------------------------------------------------


def torch_functions() -> dict[str, tuple[Callable[..., Any], Callable[..., Any], list[Any]]]:
    """Ours, PyTorch's, and the shapes of the operands."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    labels = np.array([2, 0, 1, 1])
    return {
        "sigmoid": (ag.sigmoid, torch.sigmoid, [(4, 3)]),
        "softplus": (ag.softplus, F.softplus, [(4, 3)]),
        "relu": (ag.relu, torch.relu, [(4, 3)]),
        "leaky_relu": (
            lambda x: ag.leaky_relu(x, negative_slope=0.2),
            lambda x: F.leaky_relu(x, 0.2),
            [(4, 3)],
        ),
        "tanh": (np.tanh, torch.tanh, [(4, 3)]),
        "softmax": (lambda x: ag.softmax(x, axis=0), lambda x: torch.softmax(x, 0), [(4, 3)]),
        "log_softmax": (ag.log_softmax, lambda x: torch.log_softmax(x, -1), [(4, 3)]),
        "logsumexp": (
            lambda x: ag.logsumexp(x, axis=(0, 1)),
            lambda x: torch.logsumexp(x, (0, 1)),
            [(4, 3)],
        ),
        "norm": (np.linalg.norm, torch.linalg.norm, [(4, 3)]),
        "max": (lambda x: np.max(x, axis=1), lambda x: torch.amax(x, 1), [(4, 3)]),
        "std": (lambda x: np.std(x, axis=0, ddof=1), lambda x: torch.std(x, 0), [(4, 3)]),
        "prod": (lambda x: np.prod(x, axis=1), lambda x: torch.prod(x, 1), [(4, 3)]),
        "cumsum": (lambda x: np.cumsum(x, 0), lambda x: torch.cumsum(x, 0), [(4, 3)]),
        "power": (lambda x, y: abs(x) ** y, lambda x, y: abs(x) ** y, [(4, 3), (3,)]),
        "divide": (lambda x, y: x / y, lambda x, y: x / y, [(4, 1), (3,)]),
        "arctan": (np.arctan, torch.arctan, [(4, 3)]),
        "matmul": (np.matmul, torch.matmul, [(5, 2, 3), (3, 4)]),
        "matmul of vectors": (np.matmul, torch.matmul, [(3,), (5, 3, 4)]),
        "linear": (ag.nn.functional.linear, F.linear, [(5, 2, 3), (4, 3), (4,)]),
        "indexing": (
            lambda x: x[labels, :][:, [0, 0, 2]],
            lambda x: x[torch.tensor(labels), :][:, [0, 0, 2]],
            [(4, 3)],
        ),
        "cross-entropy": (
            lambda x: ag.nn.functional.cross_entropy(x, labels),
            lambda x: F.cross_entropy(x, torch.tensor(labels)),
            [(4, 3)],
        ),
        "cross-entropy of probabilities": (
            lambda x, t: ag.nn.functional.cross_entropy(x, ag.softmax(t), reduction="none"),
            lambda x, t: F.cross_entropy(x, torch.softmax(t, -1), reduction="none"),
            [(4, 3), (4, 3)],
        ),
        "binary cross-entropy": (
            lambda x, t: ag.nn.functional.binary_cross_entropy_with_logits(x, ag.sigmoid(t)),
            lambda x, t: F.binary_cross_entropy_with_logits(x, torch.sigmoid(t)),
            [(4, 3), (4, 3)],
        ),
        "mean squares": (
            lambda x, t: np.mean((x - t) ** 2),
            lambda x, t: F.mse_loss(x, t),
            [(4, 3), (4, 3)],
        ),
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_gradients_and_second_derivatives_are_those_of_pytorch(dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    tolerance = 1e-10 if dtype is np.float64 else 2e-4
    for name, (ours, theirs, shapes) in torch_functions().items():
        rng = np.random.default_rng(len(name))
        operands = [rng.normal(size=shape).astype(dtype) for shape in shapes]
        g = rng.uniform(0.5, 1.5, np.shape(ours(*operands))).astype(dtype)

        tensors = [ag.Tensor(x, requires_grad=True) for x in operands]
        y = ours(*tensors)
        first = ag.gradients(y, tensors, g, create_graph=True)
        slope = sum(np.sum(np.square(x)) for x in first)

        twins = [torch.tensor(x, requires_grad=True) for x in operands]
        z = theirs(*twins)
        expected = torch.autograd.grad(z, twins, torch.tensor(g), create_graph=True)
        slope_of_theirs = sum((x**2).sum() for x in expected)

        def close(one: Any, other: Any, what: str, name: str = name) -> None:
            assert one.dtype == dtype
            other = other.detach().numpy()
            np.testing.assert_allclose(
                one.data, other, rtol=tolerance, atol=tolerance, err_msg=f"{what} of {name}"
            )

        close(y, z, "value")
        for i, (x, twin) in enumerate(zip(first, expected, strict=True)):
            close(x, twin, f"gradient {i}")
        if slope.requires_grad:
            slope.backward()
        if slope_of_theirs.requires_grad:
            slope_of_theirs.backward()
        for i, (x, twin) in enumerate(zip(tensors, twins, strict=True)):
            grad = ag.Tensor(np.zeros_like(x.data)) if x.grad is None else x.grad
            expected = torch.zeros_like(twin) if twin.grad is None else twin.grad
            close(grad, expected, f"second derivative {i}")


def test_a_network_trained_by_pytorch_takes_the_same_steps() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(16, 4)), rng.integers(0, 3, 16)
    start = [rng.normal(size=shape) for shape in [(8, 4), (8,), (3, 8), (3,)]]
    ours = [ag.Tensor(x.copy(), requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    F = torch.nn.functional
    for _ in range(20):
        W1, b1, W2, b2 = ours
        hidden = ag.relu(ag.nn.functional.linear(X, W1, b1))
        loss = ag.nn.functional.cross_entropy(ag.nn.functional.linear(hidden, W2, b2), labels)
        loss.backward()
        with ag.no_grad():
            for w in ours:
                w -= 0.5 * w.grad
                w.grad = None

        V1, c1, V2, c2 = theirs
        hidden = torch.relu(F.linear(torch.tensor(X), V1, c1))
        twin = F.cross_entropy(F.linear(hidden, V2, c2), torch.tensor(labels))
        for v, slope in zip(theirs, torch.autograd.grad(twin, theirs), strict=True):
            with torch.no_grad():
                v -= 0.5 * slope
        assert loss.item() == pytest.approx(twin.item(), rel=1e-10)
    for w, v in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(w.data, v.detach().numpy(), rtol=1e-9, atol=1e-12)
