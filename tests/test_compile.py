"""Captured steps: a replay gives the bits of the function itself, or says why it cannot."""

from __future__ import annotations

import gc
import itertools
import random
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, wraps
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import CASES, Case, every
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini import nn, optim
from autograd_mini.compile import compiled as compiling
from autograd_mini.compile import link
from autograd_mini.compile.capture import Capture, ValueRead, array_of
from autograd_mini.compile.link import Writer
from autograd_mini.compile.passes import merged, needed, without_constants, written_at_once
from autograd_mini.nn import functional

Array = Any
FLOAT32 = np.float32


# ---- the same bits as the function itself -------------------------------------------------------


def bits(thing: Any) -> Any:
    """What a thing holds, to the last bit."""
    if isinstance(thing, dict):
        return {name: bits(part) for name, part in thing.items()}
    if isinstance(thing, list | tuple):
        return type(thing).__name__, [bits(part) for part in thing]
    if isinstance(thing, ag.Tensor | np.ndarray | np.generic):
        array = np.asarray(array_of(thing) if isinstance(thing, ag.Tensor) else thing)
        return array.shape, array.dtype.str, array.tobytes()
    return thing


Made = tuple[Callable[..., Any], Iterable[Any]]  # a function, and the Tensors that it changes


def assert_same(make: Callable[[], Made], calls: Iterable[tuple[Any, ...]]) -> Any:
    """Call a function, and one like it that is compiled, and compare all that they leave."""
    (plain, mine), (function, others) = make(), make()
    step = ag.compile(function)
    for number, args in enumerate(calls):
        assert bits(step(*args)) == bits(plain(*args)), f"result of call {number}\n{step.source()}"
        for a, b in zip(mine, others, strict=True):
            assert bits(a) == bits(b), f"call {number}"
            assert bits(a.grad) == bits(b.grad), f"a gradient of call {number}"
    assert step.captures < number + 1, "nothing was replayed"
    return step


def pure(function: Callable[..., Any]) -> Callable[[], Made]:
    """What `assert_same` takes, of a function that changes nothing: eager mode is on Tensors."""
    return lambda: (lambda *args: function(*[ag.Tensor(x) for x in args]), ())


def normal(*shape: int, dtype: Any = np.float64, seed: int = 0) -> Array:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def batches(n: int = 5, size: int = 8, dtype: Any = FLOAT32) -> list[tuple[Array, Array]]:
    """Some examples with class labels."""
    rng = np.random.default_rng(7)
    return [
        (rng.standard_normal((size, 4)).astype(dtype), rng.integers(0, 3, size)) for _ in range(n)
    ]


def network(dtype: Any = FLOAT32, *between: Any) -> nn.Sequential:
    """A small network, the same at each call."""
    rng = np.random.default_rng(0)
    first, last = nn.Linear(4, 6, rng=rng, dtype=dtype), nn.Linear(6, 3, rng=rng, dtype=dtype)
    return nn.Sequential(first, nn.ReLU(), *between, last)


def training(
    optimizer: Callable[[Any], Any] = lambda parameters: optim.SGD(parameters, 0.1),
    *,
    model: Callable[[], Any] = network,
    loss: Callable[..., Any] = functional.cross_entropy,
    schedule: Callable[[Any], Any] | None = None,
    clip: Callable[[Any], Any] = lambda parameters: None,
    zero: str = "before",
) -> Callable[[], Made]:
    """What `assert_same` takes, of a training step."""

    def make() -> Made:
        net = model()
        parameters = net.parameters()
        descent = optimizer(parameters)
        rate = schedule(descent) if schedule else None

        def step(x: Array, y: Array) -> Any:
            cost = loss(net(x), y)
            if zero == "before":
                descent.zero_grad()
            cost.backward()
            clip(parameters)
            descent.step()
            if rate:
                rate.step()
            if zero == "after":
                descent.zero_grad()
            return cost

        return step, [*parameters, *descent._state().values()]

    return make


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: optim.SGD(p, 0.1),
    "decay": lambda p: optim.SGD(p, 0.1, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, 0.1, momentum=0.9),
    "Nesterov": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, 0.01, weight_decay=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, 0.01, weight_decay=0.1),
    "Adam": lambda p: optim.Adam(p, 0.01, weight_decay=0.1),
    "AdamW": lambda p: optim.AdamW(p, 0.01),
}


@pytest.mark.parametrize("dtype", [FLOAT32, np.float64])
@pytest.mark.parametrize("zero", ["before", "after", "never"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps_leave_the_bits_of_eager_mode(name: str, zero: str, dtype: Any) -> None:
    make = training(OPTIMIZERS[name], model=lambda: network(dtype), zero=zero)
    step = assert_same(make, batches(dtype=dtype))
    assert step.captures == (2 if zero == "after" else 3)


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "warm-up": lambda optimizer: optim.WarmupLR(optimizer, 3),
    "steps": lambda optimizer: optim.StepLR(optimizer, 2, gamma=0.5),
    "cosine": lambda optimizer: optim.CosineLR(optimizer, 10),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_go_on_while_steps_are_replayed(name: str) -> None:
    assert_same(training(schedule=SCHEDULES[name]), batches())


LOSSES: dict[str, tuple[Callable[..., Any], Callable[[Array], Array]]] = {
    "labels": (functional.cross_entropy, lambda y: y),
    "int32 labels": (functional.cross_entropy, lambda y: y.astype(np.int32)),
    "probabilities": (functional.cross_entropy, lambda y: np.eye(3, dtype=FLOAT32)[y]),
    "one-hot integers": (functional.cross_entropy, lambda y: np.eye(3, dtype=int)[y]),
    "squares": (functional.mse_loss, lambda y: np.eye(3, dtype=FLOAT32)[y]),
    "logits": (functional.binary_cross_entropy_with_logits, lambda y: np.eye(3, dtype=FLOAT32)[y]),
}


def of_probabilities(outputs: Array, targets: Array) -> Any:
    """The loss of a network whose last layer is the logistic function."""
    return functional.binary_cross_entropy(ag.sigmoid(outputs), targets)


def of_logarithms(outputs: Array, targets: Array) -> Any:
    """The loss of a network whose last layer is the logarithm of softmax."""
    return functional.nll_loss(ag.log_softmax(outputs), targets)


LOSSES |= {
    "binary": (of_probabilities, lambda y: np.eye(3, dtype=FLOAT32)[y]),
    "logarithms, labels": (of_logarithms, lambda y: y),
    "logarithms, probabilities": (of_logarithms, lambda y: np.eye(3, dtype=FLOAT32)[y]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_all_losses_can_be_replayed(name: str) -> None:
    loss, targets = LOSSES[name]
    assert_same(training(loss=loss), [(x, targets(y)) for x, y in batches()])


@pytest.mark.parametrize(
    "clip",
    [
        lambda parameters: optim.clip_grad_norm(parameters, 0.1),
        lambda parameters: optim.clip_grad_norm(parameters, 1e6),
        lambda parameters: optim.clip_grad_value(parameters, 0.01),
    ],
)
def test_gradients_are_clipped_in_a_replay(clip: Callable[[Any], Any]) -> None:
    assert_same(training(clip=clip), batches())


def test_the_norm_that_was_clipped_is_another_one_in_each_replay() -> None:
    w = ag.Tensor([1.0, 1.0], requires_grad=True)

    def step(x: Array) -> Any:
        w.grad = None
        np.sum(w * x).backward()
        return optim.clip_grad_norm([w], 1.0)

    compiled = ag.compile(step)
    for scale in (1.0, 2.0, 3.0, 4.0, 5.0):
        assert float(compiled(scale * np.array([3.0, 4.0]))) == 5 * scale
    assert compiled.captures == 3
    with pytest.raises(FloatingPointError, match="because of parameter 0"):
        compiled(np.array([np.inf, 1.0]))


def test_a_gradient_that_is_no_number_is_found_in_a_replay() -> None:
    w = ag.Tensor([1.0, 1.0], requires_grad=True)

    def step(x: Array) -> None:
        w.grad = None
        np.sum(w * x).backward()
        optim.clip_grad_value([w], 1.0)

    compiled = ag.compile(step)
    for _ in range(4):
        compiled(np.ones(2))
    with pytest.raises(FloatingPointError, match="parameter 0 holds a NaN"):
        compiled(np.array([np.nan, 1.0]))


def test_dropout_draws_what_eager_mode_draws() -> None:
    def model() -> Any:
        return network(FLOAT32, nn.Dropout(0.5, rng=np.random.default_rng(3)))

    assert_same(training(model=model), batches(8))


def test_a_network_of_convolutions_can_be_replayed() -> None:
    def model() -> Any:
        rng = np.random.default_rng(0)
        return nn.Sequential(
            nn.Conv2d(1, 2, 3, rng=rng),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(18, 3, rng=rng),
        )

    rng = np.random.default_rng(1)
    calls = [(rng.standard_normal((4, 1, 8, 8)), rng.integers(0, 3, 4)) for _ in range(5)]
    assert_same(training(model=model), calls)


# ---- each op ------------------------------------------------------------------------------------

EXAMPLES = [
    (case, example)
    for case in CASES
    for example in case.examples
    if "key" not in case.op.statics or case.op.operands[0] != "value"
]


def drawn(case: Case, example: Any, seed: int) -> list[Array]:
    """Operands of an example, others for each seed."""
    rng = np.random.default_rng(seed)
    return [domain(rng, shape) for domain, shape in example.specifications]


@every(EXAMPLES)
def test_each_op_and_its_gradient_are_replayed_on_other_numbers(case: Case, example: Any) -> None:
    cotangents = np.random.default_rng(5).standard_normal
    truths = any(x.dtype == bool for x in drawn(case, example, 0)[1:])

    def function(g: Array, *operands: Array) -> Any:
        tensors = [
            ag.Tensor(x, requires_grad=x.dtype.kind == "f" and case.op.rules != ())
            if hasattr(x, "dtype") else x
            for x in operands
        ]  # fmt: skip
        y = case.op(*tensors, **example.statics)
        if y.requires_grad:
            try:
                y.backward(g)
            except TypeError as error:
                if "has no derivative" not in str(error):
                    raise
        return y, [x.grad for x in tensors if x.grad is not None]

    def calls() -> Iterable[tuple[Array, ...]]:
        for seed in range(4):
            operands = drawn(case, example, seed)
            shape = np.shape(case.op(*operands, **example.statics))
            yield (cotangents(shape), *operands)

    if case.op.name in ("getitem", "scatter") and truths:
        with pytest.raises(ValueRead, match="index of truth values"):
            ag.compile(function)(*next(iter(calls())))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(pure(function), calls())


# ---- functions of all kinds ---------------------------------------------------------------------


def vectors(n: int = 5, size: int = 3, dtype: Any = np.float64) -> list[tuple[Array]]:
    """Some vectors, each in a tuple of arguments."""
    return [(normal(size, seed=seed, dtype=dtype),) for seed in range(n)]


def cost(w: Array) -> Any:
    """A number."""
    return np.sum(np.tanh(w) ** 3)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "value_and_grad": lambda x: ag.value_and_grad(cost)(x),
    "hvp": lambda x: ag.hvp(cost, x, 2 * x),
    "vjp": lambda x: ag.vjp(np.tanh, x)[1](x),
    "jvp": lambda x: ag.jvp(np.tanh, [x], [x]),
    "jacobian": lambda x: ag.jacobian(np.tanh)(x),
    "grad of grad": lambda x: ag.grad(lambda y: np.sum(ag.grad(cost)(y) ** 2))(x),
    "views": lambda x: (x[::-1], x.reshape(1, 3).T, x),
    "containers": lambda x: {"a": [x + 1, (x * 2, 3.5, None, "text")], "b": np.sum(x)},
    "nothing": lambda x: None,
    "no use of x": lambda x: np.ones(2),
    "looking": lambda x: (np.argmax(x), np.argsort(x), np.any(x > 0), x * (x == np.max(x))),
    "the same twice": lambda x: (np.exp(x), np.exp(x)),
    "indices": lambda x: x[np.array([0, 2])] * x[1:],
    "numpy": lambda x: np.concatenate([np.cumsum(x), np.pad(x, 1), np.sort(x), np.flip(x)]),
    "einsum": lambda x: np.einsum("i,j->ij", x, x) @ np.stack([x, x]).T,
    "norm": lambda x: x / np.linalg.norm(x) + np.mean(x) - np.var(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_all_kinds_can_be_replayed(name: str) -> None:
    assert_same(pure(FUNCTIONS[name]), vectors())


@pytest.mark.parametrize("dtype", [np.float16, FLOAT32, np.float64, np.int32, np.uint8, bool])
def test_arguments_may_have_any_dtype(dtype: Any) -> None:
    calls = [((10 * x).astype(dtype),) for (x,) in vectors()]
    assert_same(pure(lambda x: (x * 2 + 1, np.sum(x), x.astype(FLOAT32) / 3)), calls)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (1, 1)])
def test_arguments_may_be_single_numbers_or_empty(shape: Any) -> None:
    calls = [(normal(*shape, seed=seed),) for seed in range(4)]
    assert_same(pure(lambda x: (np.tanh(x) + 1, np.sum(x * x), x.T)), calls)


def test_arguments_need_not_be_contiguous_and_are_told_apart_by_their_strides() -> None:
    plain = [normal(6, 4, seed=seed) for seed in range(4)]
    step = ag.compile(lambda x: x @ x.T)
    for layout in (lambda x: x, lambda x: x[::-1], lambda x: x.T, np.asfortranarray):
        for x in plain:
            assert bits(step(layout(x))) == bits(layout(x) @ layout(x).T)
    assert step.captures == 8


def test_arguments_by_name_and_in_containers() -> None:
    class Batch(NamedTuple):
        x: Array
        y: Array

    def step(batch: Batch, *, scale: Array, names: dict[str, Array]) -> Any:
        return Batch(batch.x * scale, batch.y + names["shift"])

    compiled = ag.compile(step)
    for seed in range(5):
        x, y = normal(3, seed=seed), normal(3, seed=seed + 9)
        given = {"scale": np.array(seed), "names": {"shift": y}}
        result, expected = compiled(Batch(x, y), **given), step(Batch(x, y), **given)
        assert type(result) is Batch
        assert bits(result) == bits(expected)
    assert compiled.captures == 2


def test_numbers_of_python_are_part_of_the_program() -> None:
    step = ag.compile(lambda x, k: x * k)
    x = np.array([1.0, -1.0])
    for _ in range(3):
        for k in (2, 2.0, True, 0.0, -0.0, "no number"[:0] or 3):
            assert bits(step(x, k)) == bits(x * k)


def test_one_array_given_twice_is_two_arguments() -> None:
    step = ag.compile(lambda a, b: a - 2 * b)
    x, y = normal(3), normal(3, seed=1)
    for _ in range(3):
        step(x, x)
    assert bits(step(x, y)) == bits(x - 2 * y)
    assert bits(step(y, x)) == bits(y - 2 * x)


def test_the_last_smaller_batch_has_a_program_of_its_own() -> None:
    calls = [*batches(3), *batches(1, 5)] * 4
    assert assert_same(training(), calls).captures == 5


def test_what_a_replay_returns_may_be_an_argument_of_the_next() -> None:
    def step(h: Array, x: Array) -> Any:
        return np.tanh(h + x), h - x

    h, other = normal(3), normal(3)
    expected = h, other
    compiled = ag.compile(step)
    for (x,) in vectors(8):
        h, other = compiled(h, x)
        expected = step(expected[0], x)
        assert bits((h, other)) == bits(expected)
    a, b = compiled(h, other)
    assert bits(compiled(b, a)) == bits(step(*step(expected[0], expected[1])[::-1]))


def test_arrays_are_overwritten_by_the_next_call_unless_copies_are_wanted() -> None:
    for copy in (False, True):
        step = ag.compile(lambda x: (x + 1, np.sum(x)), copy=copy)
        for _ in range(3):
            first = step(np.zeros(2))
        second = step(np.ones(2))
        assert second[0].data.tolist() == [2.0, 2.0]
        assert first[0].data.tolist() == ([1.0, 1.0] if copy else [2.0, 2.0])
        assert [float(first[1]), float(second[1])] == [0.0, 2.0]


def test_copies_hold_for_gradients_too() -> None:
    w = ag.Tensor(np.ones(2), requires_grad=True)

    def step(x: Array) -> None:
        w.grad = None
        np.sum(w * x).backward()

    compiled = ag.compile(step, copy=True)
    gradients = []
    for scale in range(5):
        compiled(np.full(2, float(scale)))
        gradients.append(w.grad)
    assert [g.data[0] for g in gradients] == [0, 1, 2, 3, 4]


def larger(a: Array, b: Array) -> Any:
    """A choice by values."""
    return np.where(a > b, a, 0.5 * b)


#: What random graphs consist of: each takes two arrays.
BLOCKS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: np.tanh(a) * b,
    lambda a, b: ag.relu(a - b),
    lambda a, b: a[..., ::-1] if a.ndim else a * 2,
    lambda a, b: np.sum(a, axis=-1, keepdims=True) if a.ndim else -a,
    lambda a, b: (a.T @ a)[0] if a.shape == (3, 4) else np.square(a),
    larger,
    lambda a, b: ag.softmax(a, axis=-1) if a.ndim else np.sin(a),
    lambda a, b: a[-1] if a.ndim else a / 3,
    lambda a, b: np.max(a, axis=0) if a.ndim > 1 else np.cos(a),
    lambda a, b: a.astype(FLOAT32).astype(np.float64),
    lambda a, b: np.exp(-np.square(a)),
]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_random_graphs_with_writes_in_between_can_be_replayed(seed: int) -> None:
    choose = np.random.default_rng(seed)
    plan = [tuple(choose.integers(0, 2**31, 3)) for _ in range(choose.integers(1, 14))]

    def make() -> Made:
        weights = [ag.Tensor(normal(3, 4), requires_grad=True), ag.Tensor(normal(4, seed=1))]
        weights.append(ag.Tensor(weights[0].data[1:]))  # a view

        def function(x: Array, y: Array) -> Any:
            known = [x, y, *weights]
            for op, i, j in plan:
                a, b = known[i % len(known)], known[j % len(known)]
                block = op % (len(BLOCKS) + 3)
                if block >= len(BLOCKS):
                    target = weights[block - len(BLOCKS)]
                    ag.assign(target, 0.5 * target.detach() + 0.1 * np.mean(np.tanh(a.detach())))
                    a, block = target, 0
                try:
                    z = BLOCKS[block](a, b)
                    np.broadcast_shapes(z.shape, (3, 4))
                except ValueError:
                    z = np.sum(a) - 1
                known.append(z)
            return known[-1], known[-2], np.sum(known[-1])

        return function, weights

    calls = [(normal(3, 4, seed=s), normal(4, seed=s + 50)) for s in range(5)]
    with np.errstate(all="ignore"):
        assert_same(lambda: (lambda f, w: (lambda *x: f(*map(ag.Tensor, x)), w))(*make()), calls)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_gradients_of_random_graphs_can_be_replayed(seed: int) -> None:
    choose = np.random.default_rng(seed)
    plan = [tuple(choose.integers(0, 2**31, 3)) for _ in range(choose.integers(1, 12))]

    def function(x: Array, y: Array) -> Any:
        x, y = ag.Tensor(x, requires_grad=True), ag.Tensor(y, requires_grad=True)
        known = [x, y]
        for op, i, j in plan:
            a, b = known[i % len(known)], known[j % len(known)]
            try:
                z = BLOCKS[op % len(BLOCKS)](a, b)
                np.broadcast_shapes(z.shape, (3, 4))
            except ValueError:
                z = np.sum(a) - 1
            known.append(z)
        total = np.sum(np.square(known[-1])) + np.sum(x**3) * np.sum(y**3)
        first = ag.gradients(total, [x, y], create_graph=True)
        return total, first, ag.gradients(np.sum(first[0] * first[0]), [x, y])

    calls = [(normal(3, 4, seed=s), normal(4, seed=s + 50)) for s in range(5)]
    with np.errstate(all="ignore"):
        assert_same(pure(function), calls)


# ---- what changes from call to call -------------------------------------------------------------


def test_load_state_dict_between_replays_counts() -> None:
    model = network()
    step = ag.compile(lambda x: model(x))
    (x, _), *_ = batches()
    for _ in range(3):
        step(x)
    model.load_state_dict({name: 2 * p.data for name, p in model.named_parameters()})
    assert bits(step(x)) == bits(model(x))
    assert step.captures == 2


def test_a_mode_of_the_model_has_a_program_of_its_own() -> None:
    model = network(FLOAT32, nn.Dropout(0.5, rng=np.random.default_rng(0)))
    step = ag.compile(lambda x: model(x))
    (x, _), *_ = batches()
    trained = [step(x).data.copy() for _ in range(4)]
    assert len({array.tobytes() for array in trained}) == 4
    model.eval()
    for _ in range(4):
        assert bits(step(x)) == bits(model(x))
    model.train()
    step(x)
    assert step.captures == 4


def test_settings_and_parameters_of_a_layer_may_be_replaced() -> None:
    model = nn.Linear(4, 3, rng=np.random.default_rng(0))
    drop = nn.Dropout(0.5, rng=np.random.default_rng(0))
    step = ag.compile(lambda x: drop(model(x)))
    x = normal(8, 4)
    for _ in range(3):
        step(x)
    drop.p = 0.0
    assert bits(step(x)) == bits(model(x))
    model.weight = ag.Tensor(normal(3, 4, seed=9), requires_grad=True)
    for _ in range(3):
        assert bits(step(x)) == bits(model(x))


def test_the_rate_may_be_set_between_calls() -> None:
    def make() -> tuple[Any, Any, Any]:
        w = ag.Tensor(np.ones(3), requires_grad=True)
        descent = optim.SGD([w], 0.1)

        def step(x: Array) -> None:
            descent.zero_grad()
            np.sum(np.square(w - x)).backward()
            descent.step()

        return step, descent, w

    (plain, mine, w), (function, other, v) = make(), make()
    step = ag.compile(function)
    for (x,) in vectors(6):
        plain(x)
        step(x)
        mine.lr *= 0.5
        other.lr *= 0.5
        assert bits(w) == bits(v)
    assert step.captures == 3


factor = 2.0
table = {"factor": 2.0}


class Scaling:
    """A class of the user, with a number."""

    def __init__(self) -> None:
        self.factor = 2.0
        self.weight = np.ones(3)

    def __call__(self, x: Array) -> Any:
        return x * self.factor * self.weight

    def scaled(self, x: Array) -> Any:
        return self(x)


def helper(x: Array) -> Any:
    """What a function calls."""
    return x * factor


def test_numbers_and_arrays_that_are_bound_anew_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local, things, weights, scaling = 2.0, [2.0, 3.0], np.ones(3), Scaling()
    x = normal(3)
    functions: list[Callable[[Array], Any]] = [
        lambda x: x * factor,
        lambda x: helper(x) + 1,
        lambda x: (lambda y: y * factor)(x),
        lambda x: x * table["factor"],
        lambda x: x * local,
        lambda x: x * things[0],
        lambda x: x * weights,
        scaling,
        scaling.scaled,
        lambda x: scaling.scaled(x),
        lambda x: x * scaling.factor,
    ]
    steps = [ag.compile(function) for function in functions]
    for _ in range(3):
        for function, step in zip(functions, steps, strict=True):
            assert bits(step(x)) == bits(function(x))
    assert {step.captures for step in steps} == {2}
    monkeypatch.setattr(f"{__name__}.factor", 5.0)
    monkeypatch.setitem(table, "factor", 5.0)
    local, things[0], weights, scaling.factor = 5.0, 7.0, 2 * weights, 3.0
    for number, (function, step) in enumerate(zip(functions, steps, strict=True)):
        assert bits(step(x)) == bits(function(x)), number
        assert step.captures == 3


def test_a_frozen_parameter_is_left_alone() -> None:
    def make() -> tuple[Any, Any]:
        model = network()
        descent = optim.SGD(model.parameters(), 0.1)

        def step(x: Array, y: Array) -> Any:
            descent.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            descent.step()
            return loss

        return model, step

    (model, plain), (other, function) = make(), make()
    step = ag.compile(function)
    for number, batch in enumerate(batches(12)):
        for net in (model, other):
            net[0].weight.requires_grad = not 4 <= number < 8
        assert bits(step(*batch)) == bits(plain(*batch))
        assert bits(model.state_dict()) == bits(other.state_dict())


def test_gradients_of_others_are_added_to_and_forgotten_as_in_eager_mode() -> None:
    def make() -> tuple[Any, Any]:
        w = ag.Tensor(np.ones(3), requires_grad=True)
        unused = ag.Tensor(np.ones(3), requires_grad=True)
        descent = optim.SGD([w, unused], 0.1)

        def step(x: Array) -> Any:
            loss = np.sum(w * w * x)
            loss.backward()
            descent.step()
            descent.zero_grad()
            return loss

        return [w, unused], step

    (mine, plain), (others, function) = make(), make()
    step = ag.compile(function)
    for number, (x,) in enumerate(vectors(9)):
        for w, _ in (mine, others):
            if number % 3 == 1:
                w.grad = ag.Tensor(np.full(3, 0.5))
        assert bits(step(x)) == bits(plain(x))
        for a, b in zip(mine, others, strict=True):
            assert bits(a) == bits(b)
            assert bits(a.grad) == bits(b.grad)


def test_an_optimiser_alone_can_be_replayed_on_gradients_of_eager_mode() -> None:
    def make() -> tuple[Any, Any, Any]:
        w = ag.Tensor(np.ones(3), requires_grad=True)
        descent = optim.Adam([w], 0.1)

        def update() -> None:
            optim.clip_grad_norm([w], 1.0)
            descent.step()

        return w, descent, update

    (w, mine, plain), (v, other, function) = make(), make()
    step = ag.compile(function)
    for (x,) in vectors(6):
        for tensor, descent, update in ((w, mine, plain), (v, other, step)):
            descent.zero_grad()
            np.sum(np.square(tensor - x)).backward()
            update()
        assert bits(w) == bits(v)
        assert bits(w.grad) == bits(v.grad)
    assert step.captures == 2


def test_gradients_that_are_alike_are_arrays_of_their_own() -> None:
    a, b = (ag.Tensor(np.ones(3), requires_grad=True) for _ in range(2))

    def step(x: Array) -> None:
        a.grad = b.grad = None
        np.sum((a + b) * x).backward()

    compiled = ag.compile(step)
    for scale in range(1, 6):
        compiled(np.full(3, 10.0 * scale))
        assert not np.shares_memory(a.grad.data, b.grad.data)
        optim.clip_grad_norm([a, b], 1.0)
        assert a.grad.data[0] == b.grad.data[0] == pytest.approx(6**-0.5)


def test_a_constant_gradient_may_be_changed_by_its_owner() -> None:
    w = ag.Tensor(np.ones(3), requires_grad=True)

    def step() -> None:
        w.grad = None
        np.sum(w).backward()

    compiled = ag.compile(step)
    for _ in range(5):
        compiled()
        assert w.grad.data.tolist() == [1, 1, 1]
        w.grad.data *= 3


def test_a_parameter_may_be_an_argument() -> None:
    def step(w: ag.Tensor, x: Array) -> Any:
        w.grad = None
        loss = np.sum(w * w * x)
        loss.backward()
        with ag.no_grad():
            w -= 0.1 * w.grad
        return loss

    compiled = ag.compile(step)
    weights = [ag.Tensor(np.ones(3), requires_grad=True) for _ in range(2)]
    twins = [ag.Tensor(np.ones(3), requires_grad=True) for _ in range(2)]
    for (x,) in vectors(8):
        for w, v in zip(weights, twins, strict=True):
            assert bits(compiled(w, x)) == bits(step(v, x))
            assert bits(w) == bits(v)
    assert compiled.captures == 6


def test_methods_can_be_compiled_in_the_class() -> None:
    class Model:
        def __init__(self, seed: int) -> None:
            self.weight = ag.Tensor(normal(3, seed=seed), requires_grad=True)

        @ag.compile
        def step(self, x: Array) -> Any:
            """What it says."""
            return self.weight * x

    assert Model.step.__doc__ == "What it says."
    for model in (Model(0), Model(1)):
        for (x,) in vectors():
            assert bits(model.step(x)) == bits(model.weight * x)


# ---- writes -------------------------------------------------------------------------------------


def test_what_is_read_before_and_after_a_write_is_told_apart() -> None:
    def make() -> Made:
        p = ag.Tensor(np.ones(3))

        def function(x: Array) -> Any:
            before = np.exp(p) * x
            p[...] = p * 0.5
            p[0] = 7.0
            after = np.exp(p) * x
            y = x * 2
            y[1] = 0.0
            return before, after, x * 2, y

        return function, [p]

    assert_same(lambda: (lambda f, p: (lambda x: f(ag.Tensor(x)), p))(*make()), vectors())


def test_an_argument_that_is_a_parameter_is_seen_to_be_written() -> None:
    p = ag.Tensor(np.ones(3))

    def function(x: Array) -> Any:
        before = np.exp(x)
        p[...] = 0.5 * p
        return before, np.exp(x)

    step = ag.compile(function)
    for (x,) in vectors(3):
        step(x)
    value = p.data.copy()
    assert bits(step(p.data)) == bits((np.exp(value), np.exp(0.5 * value)))


def test_index_arrays_of_a_write_are_inputs() -> None:
    def make() -> Made:
        p = ag.Tensor(np.zeros(5))

        def function(i: Array, x: Array) -> None:
            p[i] = x

        return function, [p]

    rng = np.random.default_rng(0)
    assert_same(make, [(rng.integers(0, 5, 2), normal(2, seed=seed)) for seed in range(6)])


def test_a_write_of_another_dtype_is_cast_as_in_eager_mode() -> None:
    def make() -> Made:
        p, n = ag.Tensor(np.zeros(3, FLOAT32)), ag.Tensor(np.zeros(3, int))

        def function(x: Array) -> None:
            p[...] = x * 3
            n[...] = x * 3

        return function, [p, n]

    assert_same(make, vectors())


def test_a_guard_after_a_write_cannot_let_it_happen_twice() -> None:
    p = ag.Tensor(np.zeros(()))
    labels = np.array([0, 1])

    def function(x: Array, y: Array) -> Any:
        p[...] = p + 1
        return functional.cross_entropy(x, y)

    step = ag.compile(function)
    x = normal(2, 3)
    for _ in range(4):
        step(x, labels)
    assert p.item() == 4
    with pytest.raises(ValueError, match="a label is 3"):
        step(x, np.array([0, 3]))
    assert p.item() == 5
    assert "return CHANGED" not in step.source()


def test_errors_of_eager_mode_are_raised_in_a_replay() -> None:
    model = network()
    step = ag.compile(lambda x, y: functional.cross_entropy(model(x), y))
    for x, y in batches(3):
        step(x, y)
    with pytest.raises(ValueError, match="a label is 5"):
        step(x, y + 3)
    with pytest.raises(ValueError, match="a label is -1"):
        step(x, -1 - 0 * y)
    assert bits(step(x, y)) == bits(functional.cross_entropy(model(x), y))


@pytest.mark.parametrize(
    ("loss", "good", "bad", "said"),
    [
        (functional.binary_cross_entropy, (0.5, 1.0), (1.5, 1.0), "these probabilities reach"),
        (functional.binary_cross_entropy, (0.5, 1.0), (0.5, 2.0), "targets are 0 or 1"),
        (functional.nll_loss, (-1.0, 1), (2.0, 1), "the logarithm of a probability is at most 0"),
        (functional.nll_loss, (-1.0, 1), (-1.0, 9), "a label is 9"),
    ],
)
def test_what_losses_check_is_checked_in_a_replay(
    loss: Any, good: Any, bad: Any, said: str
) -> None:
    def arguments(x: float, y: float) -> tuple[Array, Array]:
        wide = loss is functional.nll_loss
        return np.full((2, 3) if wide else 2, x), np.full(2, y, dtype=type(y))

    step = ag.compile(lambda x, y: loss(x, y))
    for _ in range(3):
        assert bits(step(*arguments(*good))) == bits(np.asarray(loss(*arguments(*good))))
    assert step.captures == 2
    with pytest.raises(ValueError, match=said):
        step(*arguments(*bad))


def test_a_mask_of_a_loss_is_another_one_in_each_replay() -> None:
    step = ag.compile(lambda p, t: functional.binary_cross_entropy(p, t))
    for p in (0.5, 0.25, 0.75, 0.0, 1.0, 1e-60):
        x, t = np.full(2, p), np.array([0.0, 1.0])
        assert bits(step(x, t)) == bits(functional.binary_cross_entropy(ag.Tensor(x), t))


def test_after_an_error_half_way_the_state_is_that_of_eager_mode() -> None:
    p = ag.Tensor(np.zeros(3))

    def function(x: Array) -> Any:
        p[...] = p + x
        if x.shape == (3,) and wrong:
            raise KeyError("half-way")
        return p * 2

    wrong = True
    step = ag.compile(function)
    with pytest.raises(KeyError, match="half-way"):
        step(np.ones(3))
    assert type(p) is ag.Tensor
    assert p.data.tolist() == [1, 1, 1]
    wrong = False
    for number in range(2, 6):
        assert step(np.ones(3)).data.tolist() == [2 * number] * 3


# ---- limits -------------------------------------------------------------------------------------

outside = ag.Tensor([1.0, 2.0])
READING: dict[str, Callable[[Any], Any]] = {
    "if": lambda x: x if np.sum(x) > 0 else -x,
    "float": lambda x: x * float(np.sum(x)),
    "item": lambda x: x * np.sum(x).item(),
    "index": lambda x: x[int(np.argmax(x))],
    "data": lambda x: x * x.data,
    "tolist": lambda x: x.tolist(),
    "asarray": lambda x: x * np.asarray(x),
    "format": lambda x: f"{np.sum(x):.3f}",
    "text": lambda x: x * len(f"{np.sum(x)}"),
    "detached": lambda x: x * x.detach().data,
    "a Tensor of it": lambda x: x * ag.Tensor(x).data,
    "another dtype": lambda x: ag.Tensor(x, dtype=FLOAT32) * 2,
    "nonzero": lambda x: np.nonzero(x)[0],
    "where": lambda x: np.where(x > 0)[0],
    "bincount": lambda x: np.bincount(x.astype(int) * 0),
    "mask": lambda x: x[x > 0],
    "outside": lambda x: x * float(outside[0]),
    "data outside": lambda x: x * outside.data,
    "a number outside": lambda x: x * outside.item() if outside.size == 1 else x * outside.tolist(),
    "out": lambda x: np.exp(x, out=np.empty(2)),
    "out of another dtype": lambda x: np.exp(x, out=ag.Tensor(np.empty(2, FLOAT32))),
    "copy": lambda x: __import__("copy").deepcopy(x),
    "in place": lambda x: x.__iadd__(1),
}


@pytest.mark.parametrize("name", READING)
def test_reading_a_value_in_a_capture_is_refused(name: str) -> None:
    step = ag.compile(READING[name])
    with pytest.raises(TypeError, match=r"(?s)captured|fixed shapes"):
        step(np.array([1.0, 2.0]))
    assert type(outside) is ag.Tensor
    assert outside.tolist() == [1.0, 2.0]


def test_what_the_error_says() -> None:
    step = ag.compile(lambda x: x if np.sum(x) > 0 else -x)
    with pytest.raises(ValueRead, match=r"by `if` or `while`.*np\.where instead of `if`"):
        step(np.ones(3))


def test_a_rule_of_the_user_that_reads_a_value_is_refused() -> None:
    @ag.primitive("$x", x=lambda g, x: g * x.item())
    def half_square(x: Array) -> Array:
        return x * x / 2

    with pytest.raises(ValueRead, match=r"the rule of half_square .* by item"):
        ag.compile(ag.grad(lambda x: half_square(x)))(np.array(1.0))


def test_a_learning_rate_that_is_read_is_refused() -> None:
    descent = optim.SGD([ag.Tensor([1.0], requires_grad=True)], 0.1)
    with pytest.raises(ValueRead):
        ag.compile(lambda x: x * descent.lr)(np.ones(1))


@pytest.mark.parametrize("what", ["numbers", "count", "state", "list", "attribute", "array"])
def test_what_is_another_thing_in_each_call_is_never_replayed(what: str) -> None:
    rng, state = np.random.default_rng(0), {"h": np.zeros(3), "n": 0}
    kept: list[Any] = []
    scaling = Scaling()

    def function(x: Array) -> Any:
        if what == "numbers":
            return x + rng.standard_normal(3)
        if what == "count":
            state["n"] += 1
            return x * state["n"]
        if what == "state":
            state["h"] = np.tanh(state["h"] + x)
            return state["h"] * 1
        if what == "list":
            kept.append(x * 2)
            return x * 3
        if what == "attribute":
            scaling.latest = x * 2
            return x * 3
        return x * np.array(rng.integers(0, 1000))

    step = ag.compile(function)
    x = np.ones(3)
    with pytest.warns(RuntimeWarning, match="run anew in each call, and not replayed") as warned:
        results = [step(x).data.copy() for _ in range(6)]
    assert [warning.filename for warning in warned] == [__file__]
    assert step.captures == 6
    if what in ("list", "attribute"):
        assert len({array.tobytes() for array in results}) == 1
    else:
        assert len({array.tobytes() for array in results}) == 6


def test_a_way_back_through_a_replay_is_refused() -> None:
    w = ag.Tensor(np.ones(3), requires_grad=True)
    step = ag.compile(lambda x: np.sum(w * x))
    for _ in range(4):
        loss = step(np.ones(3)) * 2
        with pytest.raises(RuntimeError, match="compile all of the step"):
            loss.backward()
    with ag.no_grad():
        for _ in range(3):
            assert step(np.ones(3))._node is None
    with pytest.raises(TypeError, match=r"compile all of the step, or pass x\.detach\(\)"):
        step(w * 2)


def test_results_of_other_kinds_are_refused() -> None:
    with pytest.raises(TypeError, match="returned a function"):
        ag.compile(lambda x: ag.vjp(np.tanh, x))(np.ones(3))


def test_only_plain_arrays_of_numbers_are_taken() -> None:
    step = ag.compile(lambda x: x)
    for x in (np.ma.masked_array([1.0]), np.array(["a"]), np.array([None])):
        with pytest.raises(TypeError, match="plain arrays of numbers"):
            step(x)


def test_what_is_no_function_and_no_cache_is_refused() -> None:
    with pytest.raises(TypeError, match="a function, not 3"):
        ag.compile(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cache"):
        ag.compile(np.tanh, cache=0)

    def numbers(x: Array) -> Any:
        yield x

    with pytest.raises(TypeError, match="generator"):
        ag.compile(numbers)


def test_many_kinds_of_arguments_warn_and_the_cache_stays_small() -> None:
    step = ag.compile(lambda x: x * 2, cache=2)
    for size in range(7):
        step(np.ones(size))
    with pytest.warns(RuntimeWarning, match="captured 8 times"):
        step(np.ones(7))
    step(np.ones(8))
    assert len(step._entries) == 2


def test_nothing_is_known_before_the_first_call() -> None:
    step = ag.compile(lambda x: x)
    for ask in (step.source, step.memory):
        with pytest.raises(RuntimeError, match="not called yet"):
            ask()


def test_a_second_thread_that_calls_a_busy_program_gets_an_error() -> None:
    started, go_on = threading.Event(), threading.Event()

    @ag.primitive("$x")
    def waiting(x: Array) -> Array:
        started.set()
        go_on.wait(10)
        return x + 1

    step = ag.compile(lambda x: waiting(x))
    go_on.set()
    for _ in range(3):
        step(np.ones(2))
    started.clear()
    go_on.clear()
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(step(np.ones(2))))
    thread.start()
    assert started.wait(10)
    with pytest.raises(RuntimeError, match="busy in another thread"):
        step(np.ones(2))
    go_on.set()
    thread.join()
    assert results[0].data.tolist() == [2, 2]


def test_a_compiled_function_in_another_becomes_a_part_of_it() -> None:
    inner = ag.compile(np.tanh)
    step = ag.compile(lambda x: inner(x) * 2)
    for (x,) in vectors():
        assert bits(step(x)) == bits(np.tanh(x) * 2)
    assert (inner.captures, step.captures) == (0, 2)


def test_who_listens_hears_each_call() -> None:
    w = ag.Tensor(np.ones(3), requires_grad=True)
    step = ag.compile(lambda x: w * x)
    for (x,) in vectors(3):
        step(x)
    run = ag.trace(step, x)
    assert [call.primitive.name for call in run.calls] == ["multiply"]
    with ag.debug(), np.errstate(divide="ignore"), pytest.raises(FloatingPointError, match="log"):
        ag.compile(lambda x: np.log(w * x))(np.zeros(3))


def test_a_compiled_cost_can_be_minimised() -> None:
    scipy = pytest.importorskip("scipy.optimize")
    target = normal(4)
    step = ag.compile(ag.value_and_grad(lambda w: np.sum(np.square(w - target) ** 2)))

    def fun(w: Array) -> tuple[float, Array]:
        value, gradient = step(w)
        return float(value), gradient.data.copy()

    result = scipy.minimize(fun, np.zeros(4), jac=True, method="L-BFGS-B")
    np.testing.assert_allclose(result.x, target, atol=0.05)
    assert step.captures == 2


def test_ops_of_the_user_stay_whole_and_read_what_they_hold_anew() -> None:
    rng = np.random.default_rng(0)

    @ag.primitive("$x", x=lambda g: g)
    def noisy(x: Array) -> Array:
        return x + rng.standard_normal(x.shape)

    other = np.random.default_rng(0)
    step = ag.compile(lambda x: noisy(x))
    for (x,) in vectors(6):
        assert bits(step(x)) == bits(x + other.standard_normal(3))
    assert step.captures == 2


# ---- what is left -------------------------------------------------------------------------------


def test_nothing_of_a_capture_is_left_alive_but_what_a_replay_needs() -> None:
    seen: deque[weakref.ref[Any]] = deque()
    note = seen.append  # of which a capture does not see that it changes something
    w = ag.Tensor(np.ones(3), requires_grad=True)

    def function(x: Array) -> Any:
        hidden = np.tanh(w * x)
        note(weakref.ref(hidden))
        note(weakref.ref(array_of(hidden)))
        return np.sum(hidden * 2)

    gc.disable()
    try:
        step = ag.compile(function)
        x = np.ones(3)
        for _ in range(3):
            step(x)
        assert len(seen) == 4
        assert all(reference() is None for reference in seen)
        argument = weakref.ref(x)
        del x
        assert argument() is None
        reference = weakref.ref(w)
        w = function = step = None  # type: ignore[assignment]
    finally:
        gc.enable()
    gc.collect()
    assert reference() is None


def test_the_program_of_a_step_can_be_read() -> None:
    w = ag.Tensor(np.ones((3, 2)), requires_grad=True, name="w")

    def predict(x: Array) -> Any:
        return np.tanh(x @ w)

    step = ag.compile(predict)
    step(np.ones((4, 3)))
    lines = step.source().splitlines()
    assert lines[0] == "def predict(x):"
    assert lines[1] == "    # x: (4, 3) float64"
    assert lines[2].endswith("return np.tanh(x @ w)")
    assert lines[2].startswith("    # test_compile.py:")
    assert lines[3:] == ["    dot(x, w, b1)", "    tanh(b1, b2)", "    return None"]
    assert step.memory() == 64


# ---- the passes, each by itself -----------------------------------------------------------------


def captured(function: Callable[..., Any], *args: Array) -> tuple[Any, Any, Any]:
    """The steps of a run, its arguments and its results."""
    capture = Capture()
    tensors = [ag.Tensor(x) for x in args]
    inputs = {f"x{i}": capture.input(x, True) for i, x in enumerate(tensors)}
    try:
        with compiling.listen(observer=capture):
            result = function(*tensors)
    finally:
        capture.let_go()
    found: list[Any] = []
    compiling.taken_apart(result, found, capture)
    del result
    capture.settle(found)
    return capture.steps, inputs, [capture.variable_of(x) for x in found]


def wasteful(x: Array) -> Any:
    """Something for each pass to do."""
    np.cosh(x)
    ones = np.ones_like(x) + np.zeros_like(x)
    y = np.exp(x) * np.exp(x) + ones
    again = np.exp(x)
    z = ag.Tensor(np.zeros(3))
    z[...] = y * 2
    return np.tanh(z) - again, np.sum(y)


def all_passes(steps: Any, wanted: Any, without: str) -> tuple[Any, Any]:
    """What `optimized` does, but for one pass."""
    instead: dict[Any, Any] = {}
    if without != "constants":
        steps = without_constants(steps, wanted)
    if without != "merged":
        steps = merged(steps, wanted, instead)
    wanted = [instead.get(x, x) for x in wanted]
    if without != "needed":
        steps = needed(steps, wanted)
    if without != "written at once":
        steps = written_at_once(steps, wanted)
    return steps, wanted


def a_room_for_each(steps: Any, wanted: Any) -> Any:
    """What `rooms` gives, if no result takes the place of another."""
    results = [s.result for s in steps if s.result and s.result.root is s.result and s.has_out]
    return {x: i for i, x in enumerate(results)}, [x.array.nbytes for x in results]


@pytest.mark.parametrize(
    "without", ["nothing", "constants", "merged", "needed", "written at once", "rooms"]
)
def test_each_pass_changes_no_bit(without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if without == "rooms":
        monkeypatch.setattr(link, "rooms", a_room_for_each)
    steps, inputs, wanted = captured(wasteful, normal(3))
    steps, wanted = all_passes(steps, wanted, without)
    program = Writer(steps, inputs, wanted).program
    for (x,) in vectors():
        program.run(x)
        expected = wasteful(ag.Tensor(x))
        assert bits(program.results) == bits([e.data for e in expected])


def test_the_passes_leave_out_what_they_should() -> None:
    steps, _, wanted = captured(wasteful, normal(3))
    left, _ = all_passes(steps, wanted, "nothing")
    names = [step.primitive.name for step in left]
    assert names.count("exp") == 1
    assert not {"cosh", "ones_like", "zeros_like", "assignment"} & {*names}


def test_arrays_that_a_function_makes_and_writes_begin_anew_in_each_call() -> None:
    def function(x: Array) -> Any:
        z = ag.Tensor(np.zeros(3))
        for _ in range(3):
            z[...] = z + 1
        z[0] = x[0]
        t = ag.Tensor(np.ones(2))
        t[1] = t[1] + x[1]
        return z, t * 1

    step = assert_same(pure(function), [(np.ones(3),)] * 4 + vectors())
    assert step.captures == 2


def test_what_is_named_in_other_modules_classes_and_containers_is_noticed() -> None:
    module = ModuleType("of_the_user")
    module.rate, module.W = 2.0, ag.Tensor(np.ones(3))  # type: ignore[attr-defined]

    class Model:
        factor = 2.0

        def __init__(self) -> None:
            self.parameters = {"W1": ag.Tensor(np.ones(3)), "b1": [ag.Tensor(np.ones(3))]}

        def __call__(self, x: Array) -> Any:
            for number in (1,):
                x = x * self.parameters[f"W{number}"] + self.parameters["b" + str(number)][-1]
            return x * self.tripled

        @property
        def tripled(self) -> float:
            return 3 * self.factor

    one, other, options = Model(), Model(), SimpleNamespace(scale=2.0)
    functions: list[Callable[[Array], Any]] = [
        lambda x: x * module.rate * module.W * options.scale,
        lambda x: one(x) + other(x),
        lambda x: sum(w * x for w in one.parameters["b1"]) + 0 * x,
    ]
    changes: list[Callable[[], Any]] = [
        lambda: setattr(module, "rate", 3.0),
        lambda: setattr(module, "W", ag.Tensor(np.full(3, 5.0))),
        lambda: setattr(options, "scale", 3.0),
        lambda: setattr(Model, "factor", 7.0),
        lambda: other.parameters.update(W1=ag.Tensor(np.full(3, 5.0))),
        lambda: one.parameters["b1"].append(ag.Tensor(np.full(3, 0.5))),
    ]
    steps = [ag.compile(function) for function in functions]
    x = normal(3)
    for change in (lambda: None, *changes):
        change()
        for _ in range(3):
            for number, (function, step) in enumerate(zip(functions, steps, strict=True)):
                assert bits(step(x)) == bits(function(x)), number
    with pytest.raises(ValueRead):
        ag.compile(lambda x: x * module.W.data)(x)
    assert [step.captures for step in steps] == [8, 8, 6]


def test_take_with_indices_that_are_arguments_is_replayed_with_new_ones() -> None:
    table = ag.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    taken = ag.compile(lambda i: np.take(table, i, axis=0))
    for indices in ([0, 2], [1, 1], [2, 0], [0, 0]):
        found = taken(np.array(indices))
        np.testing.assert_array_equal(found.data, table.data[indices])
    assert taken.captures == 2


# ---- what a run does beside its steps -----------------------------------------------------------


OF_THE_SYSTEM = random.SystemRandom()


def drawing_functions() -> dict[str, Callable[[Array], Any]]:
    """Functions that draw or count in plain Python, so that no replay can stand for them."""
    generator, old = np.random.default_rng(0), np.random.RandomState(0)
    pure_python, count = random.Random(0), itertools.count()
    drop = nn.Dropout(0.5, rng=np.random.default_rng(0))
    return {
        "generator": lambda x: x * 2 if generator.random() < 0.7 else x * 3,
        "mask": lambda x: x * (generator.random(3) < 0.1),
        "bits": lambda x: x * 2 if generator.bit_generator.random_raw() % 4 else x * 3,
        "old": lambda x: x * 2 if old.rand() < 0.7 else x * 3,
        "python": lambda x: x * 2 if pure_python.random() < 0.7 else x * 3,
        "count": lambda x: x * 2 if next(count) % 7 else x * 3,
        "layer": lambda x: drop(x) if drop.rng.random() < 0.7 else x * 3,
    }


@pytest.mark.parametrize("name", drawing_functions())
def test_what_draws_or_counts_in_plain_python_is_not_replayed(name: str) -> None:
    plain, step = drawing_functions()[name], ag.compile(drawing_functions()[name])
    with pytest.warns(RuntimeWarning, match="draws or counts in plain Python, by a "):
        found = [bits(step(np.ones(3))) for _ in range(30)]
    assert found == [bits(plain(np.ones(3))) for _ in range(30)]


@pytest.mark.parametrize(
    ("draw", "source"),
    [
        (lambda: np.random.rand(), "RandomState"),  # noqa: NPY002
        (lambda: random.random(), "Random"),
        (lambda: OF_THE_SYSTEM.random(), "SystemRandom"),
    ],
)
def test_what_draws_from_a_module_is_not_replayed(draw: Callable[[], float], source: str) -> None:
    step = ag.compile(lambda x: x * 2 if draw() < 2 else x)
    x = np.ones(3)
    with pytest.warns(RuntimeWarning, match=f"by a {source}, "):
        assert [step(x)[0].item() for _ in range(4)] == [2] * 4
    assert step.captures == 4


def test_draws_of_a_users_kernel_that_is_given_its_generator_are_replayed() -> None:
    @ag.primitive("$x", x=lambda g: g)
    def noisy(x: Array, *, rng: Any) -> Array:
        return x + rng.standard_normal(x.shape)

    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    step = ag.compile(lambda x: noisy(x, rng=rng))
    for (x,) in vectors(6):
        assert bits(step(x)) == bits(x + other.standard_normal(3))
    assert step.captures == 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_replay_reads_anew_the_array_that_backward_starts_with(dtype: Any) -> None:
    weights = np.ones(3, dtype)
    w = ag.Tensor(np.arange(3.0), requires_grad=True)

    def by_backward(x: Array) -> Any:
        w.grad = None
        (w * w * x).backward(weights)
        return w.grad * 1

    def by_gradients(x: Array) -> Any:
        return ag.gradients(w * w * x, w, weights)

    for function in (by_backward, by_gradients):
        step = ag.compile(function)
        for number in (1, 1, 2, 2, 3):
            weights[:] = number
            np.testing.assert_array_equal(step(np.full(3, 5.0)).data, 10 * number * w.data)
        assert step.captures < 4
    with pytest.raises(ValueError, match="a cotangent has the shape of its tensor"):
        ag.compile(lambda x: ag.gradients(w * x, w, weights[:2]))(np.ones(3))


def test_a_result_made_in_plain_numpy_is_no_constant_of_the_program() -> None:
    w = ag.Tensor(np.ones(3), requires_grad=True)
    held = np.zeros(3)

    def function(x: Array) -> Any:
        made = np.arange(3.0)
        w.grad = None
        np.sum(w).backward()
        return made, x * made, made[1:], held

    step = ag.compile(function)
    for _ in range(5):
        made, product, part, same = step(np.ones(3))
        assert made.tolist() == product.tolist() == [0, 1, 2]
        assert part.tolist() == [1, 2]
        assert w.grad is not None
        assert w.grad.tolist() == [1, 1, 1]
        for result in (made, product, part, w.grad):
            result.data[...] = 9
        same.data[...] += 1  # which is what the function holds
    assert held.tolist() == [5, 5, 5]


@pytest.mark.filterwarnings("ignore:.*run anew:RuntimeWarning")
def test_a_function_that_sets_what_becomes_of_overflows_is_not_replayed() -> None:
    def function(x: Array) -> Any:
        with np.errstate(over="raise"):
            return np.exp(x)

    step = ag.compile(function)
    for _ in range(4):
        step(np.ones(2))
    with pytest.raises(FloatingPointError):
        step(np.array([1000.0, 1.0]))
    with np.errstate(over="ignore"):  # around the call it does no harm
        step = ag.compile(lambda x: np.exp(x))
        for _ in range(4):
            assert step(np.array([1000.0, 1.0]))[0].item() == np.inf
    assert step.captures == 2


@pytest.mark.parametrize(
    "differentiated",
    [
        lambda x, p: ag.grad(lambda q: np.sum(q**3 * x))(p),
        lambda x, p: ag.value_and_grad(lambda q: np.sum(q**3 * x))(p),
        lambda x, p: ag.hvp(lambda q: np.sum(q**3 * x), p, x),
        lambda x, p: ag.jacobian(lambda q: q**3 * x)(p),
        lambda x, p: ag.hessian(lambda q: np.sum(q**3 * x))(p),
        lambda x, p: ag.vjp(lambda q: q**3 * x, p)[1](x)[0],
        lambda x, p: ag.jvp(lambda q: q**3 * x, [p], [x]),
    ],
)
def test_derivatives_by_plain_arrays_from_outside_are_compiled(
    differentiated: Callable[[Array, Array], Any],
) -> None:
    p = normal(3)
    step = ag.compile(lambda x: differentiated(x, p))
    for number, (x,) in enumerate(vectors(6)):
        if number > 2:
            p[:] = number
        assert bits(step(x)) == bits(differentiated(x, p))
    assert step.captures == 2


def test_a_refused_index_says_how_to_write_it() -> None:
    table = np.eye(3)
    layer, other = [nn.Linear(3, 3, rng=np.random.default_rng(i)) for i in range(2)]
    with pytest.raises(ValueRead, match=r"ag.Tensor\(table\)\[index\]"):
        ag.compile(lambda y: table[y])(np.array([0, 2]))
    with pytest.raises(ValueRead, match=r"instead of w.data or load_state_dict"):
        ag.compile(lambda x: layer.load_state_dict(other.state_dict()) or x)(np.ones(3))
    step = ag.compile(lambda y: ag.Tensor(table)[y])
    for y in ([0, 2], [1, 1], [2, 0]):
        assert step(np.array(y)).tolist() == table[y].tolist()


# ---- what a function reaches in other ways than by a name ---------------------------------------


def assert_noticed(change: Callable[[], Any], function: Callable[..., Any], *args: Any) -> Any:
    """That a compiled function goes on as the function itself does after a change."""
    step = ag.compile(function)
    for _ in range(4):
        assert bits(step(*args)) == bits(function(*map(as_tensor, args)))
    assert step.captures == 2
    change()
    for _ in range(4):
        assert bits(step(*args)) == bits(function(*map(as_tensor, args)))
    assert step.captures == 4
    return step


def as_tensor(x: Any) -> Any:
    """An argument as the function gets it."""
    return ag.Tensor(x) if isinstance(x, np.ndarray) else x


class Weighing:
    factor = 2.0

    def __init__(self) -> None:
        self.first = self.second = 1.0

    @ag.compile
    def step(self, x: Array) -> Any:
        return x * self.first + self.inner(x)

    def inner(self, x: Array) -> Any:
        return x * self.second * self.factor

    def __matmul__(self, x: Array) -> Any:
        return x * self.second


def weighed(x: Array, weighing: Any) -> Any:
    return x * weighing.first


@pytest.mark.parametrize("name", ["first", "second", "factor"])
def test_attributes_of_self_are_noticed_in_a_compiled_method(name: str) -> None:
    weighing, x = Weighing(), normal(3)
    for value in (3.0, 5.0):
        for _ in range(4):
            expected = x * weighing.first + x * weighing.second * weighing.factor
            assert bits(weighing.step(x)) == bits(expected)
        setattr(weighing, name, value)


def test_what_arguments_hold_is_noticed() -> None:
    x = normal(3)
    weighing = Weighing()
    assert_noticed(lambda: setattr(weighing, "first", 3.0), lambda w, x: x * w.first, weighing, x)
    assert_noticed(
        lambda: setattr(weighing, "first", 4.0), lambda w, x: weighed(x, w[0]), [weighing], x
    )
    scale = 2.0

    def scaled(x: Array) -> Any:
        return x * scale

    def change() -> None:
        nonlocal scale
        scale = 3.0

    assert_noticed(change, lambda f, x: f(x), scaled, x)
    assert_noticed(lambda: setattr(weighing, "first", 5.0), partial(weighed, weighing=weighing), x)
    kept = {1.0}
    assert_noticed(lambda: kept.add(2.0), lambda kept, x: x * len(kept), kept, x)


def test_attributes_that_hold_the_same_object_are_noticed_one_by_one() -> None:
    x = normal(3)
    for name in ("first", "second"):
        weighing = Weighing()
        assert_noticed(
            lambda name=name, weighing=weighing: setattr(weighing, name, 7.0),
            lambda x, weighing=weighing: x * weighing.first + weighing.inner(x),
            x,
        )


def test_an_attribute_that_hides_one_of_the_class_is_noticed() -> None:
    weighing = Weighing()
    assert_noticed(
        lambda: setattr(weighing, "factor", 3.0), lambda x: x * weighing.factor, normal(3)
    )


def test_what_operators_and_helpers_read_is_noticed() -> None:
    weighing, x = Weighing(), normal(3)
    assert_noticed(lambda: setattr(weighing, "second", 3.0), lambda x: weighing @ x, x)
    assert_noticed(lambda: setattr(weighing, "first", 3.0), lambda x: weighed(x, weighing), x)
    assert_noticed(
        lambda: setattr(weighing, "first", 2.0),
        lambda x: x * getattr(weighing, "first"),  # noqa: B009
        x,
    )
    several = {"one": weighing}
    assert_noticed(
        lambda: setattr(weighing, "first", 4.0),
        lambda x: weighed(x, several["one"]) + several["one"].second,
        x,
    )


def test_a_decorator_is_looked_into_as_well_as_what_it_wraps() -> None:
    for name in ("outer", "inner"):
        scales = {"outer": 2.0, "inner": 2.0}

        def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(function)
            def wrapper(x: Array) -> Any:
                return function(x) * scales["outer"]  # noqa: B023 - it is called in its round

            return wrapper

        @doubled
        def function(x: Array) -> Any:
            return x * scales["inner"]  # noqa: B023

        assert_noticed(
            lambda scales=scales, name=name: scales.update({name: 3.0}), function, normal(3)
        )
        scales["inner"] = 2.0
        inside = ag.compile(function)
        assert_noticed(
            lambda scales=scales: scales.update(inner=5.0),
            lambda x, inside=inside: inside(x) + 1,
            normal(3),
        )


def test_places_of_objects_and_entries_of_all_containers_are_noticed() -> None:
    @dataclass(slots=True)
    class Settings:
        scale: float = 2.0

    settings, x = Settings(), normal(3)
    assert_noticed(lambda: setattr(settings, "scale", 3.0), lambda x: x * settings.scale, x)
    many, pairs = [1.0] * 150, {number: float(number) for number in range(150)}
    assert_noticed(lambda: many.insert(3, 9.0), lambda x: x * many[3], x)
    assert_noticed(lambda: many.__setitem__(3, 5.0), lambda x: x * many[3], x)
    assert_noticed(lambda: pairs.update({3: 5.0}), lambda x: x * pairs[3], x)
    active, queue = {1, 2}, deque([1.0, 2.0])
    assert_noticed(lambda: active.add(3), lambda x: x * (2.0 if 3 in active else 1.0), x)
    assert_noticed(lambda: queue.append(7.0), lambda x: x * queue[-1], x)


def test_a_list_of_very_many_objects_is_not_trusted() -> None:
    spaces = [SimpleNamespace(scale=2.0) for _ in range(150)]
    step = ag.compile(lambda x: x * spaces[3].scale)
    for _ in range(2):
        step(np.ones(3))
    with pytest.warns(RuntimeWarning, match="a list of 150 objects, which are too many"):
        step(np.ones(3))
    for scale in (3.0, 4.0):
        spaces[3].scale = scale
        assert bits(step(np.ones(3))) == bits(np.full(3, scale))


def test_all_settings_of_the_layers_are_noticed() -> None:
    image, x = normal(1, 1, 6, 6), normal(2, 4)
    convolution = nn.Conv2d(1, 2, 3, rng=np.random.default_rng(0))
    pooling = nn.MaxPool2d(2)
    linear = nn.Linear(4, 3, bias=False, rng=np.random.default_rng(0))
    dropout = nn.Dropout(0.5, rng=np.random.default_rng(0))
    for layer, name, value, images in [
        (convolution, "padding", (1, 1), image),
        (convolution, "stride", (2, 2), image),
        (pooling, "kernel_size", (3, 3), image),
        (pooling, "stride", (1, 1), image),
        (linear, "bias", ag.Tensor(np.ones(3)), x),
    ]:
        assert_noticed(
            lambda layer=layer, name=name, value=value: setattr(layer, name, value),
            lambda x, layer=layer: layer(x),
            images,
        )
    step = ag.compile(lambda x: dropout(x))
    for seed in (1, 2):
        dropout.rng = np.random.default_rng(seed)
        found = [bits(step(x)) for _ in range(4)]
        dropout.rng = np.random.default_rng(seed)
        assert found == [bits(dropout(ag.Tensor(x))) for _ in range(4)]


def test_a_gradient_of_another_shape_is_not_added_to_as_if_it_were_the_same() -> None:
    w = ag.Tensor(np.ones((2, 3)), requires_grad=True)

    def step(x: Array) -> Any:
        np.sum(w * x).backward()
        return w.grad

    compiled_step = ag.compile(step)
    x = normal(2, 3)
    for gradient in (np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 3)), np.ones(3), np.ones(())):
        w.grad = ag.Tensor(gradient)
        try:
            expected = bits(step(ag.Tensor(x)))
        except ValueError as error:
            expected = str(error)
        w.grad = ag.Tensor(gradient)
        try:
            found = bits(compiled_step(x))
        except ValueError as error:
            found = str(error)
        assert found == expected
    w.grad = ag.Tensor(np.ones((2, 3), np.float32))
    expected = bits(step(ag.Tensor(x)))
    w.grad = ag.Tensor(np.ones((2, 3), np.float32))
    assert bits(compiled_step(x)) == expected
    assert compiled_step.captures > 2
