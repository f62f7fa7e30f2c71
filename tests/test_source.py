"""Runs written as programs: they need NumPy alone, and compute the same bits."""

from __future__ import annotations

import ast
import importlib
import keyword
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from cases import CASES, Case, Example, every
from networks import neuron, one_hidden_layer, recorded, regularised, rows

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.core import tensor
from autograd_mini.core.primitive import Primitive
from autograd_mini.program.literals import FUNCTION, identifier
from autograd_mini.program.straight_line import Program, data_of

Array = Any
FUSED = nn.functional
source = ag.source


# ---- what is compared ---------------------------------------------------------------------------


def loaded(text: str) -> dict[str, Any]:
    """The functions of a program; a warning is an error."""
    namespace: dict[str, Any] = {"__name__": "program"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(text, "program", "exec"), namespace)
    return namespace


def bits(x: Any) -> tuple[Any, ...]:
    """All that there is to compare of an array."""
    x = np.asarray(x)
    return x.shape, x.dtype, x.tobytes()


def agrees(run: ag.Trace, wrt: Any = None) -> str:
    """Write a run as a program, run that, and compare the bits of all that comes out."""
    text = source(run, wrt)
    cost, by = run.differentiated(wrt)
    data = [data_of(value) for value in Program(run, cost, by).arguments]
    program = loaded(text)
    before = [bits(x) for x in data]
    found, gradients = program[FUNCTION](*data)
    assert_own_memory(gradients, data)
    assert [bits(x) for x in data] == before
    assert bits(found) == bits(cost.array)
    assert len(gradients) == len(by)
    for gradient, value in zip(gradients.values(), by, strict=True):
        assert value.gradient is not None
        assert bits(gradient) == bits(value.gradient.array)
    if '__name__ == "__main__"' in text:
        assert_writes_data_exactly(text, run, wrt)
    return text


def assert_own_memory(gradients: dict[str, Any], data: list[Any]) -> None:
    """Whoever writes into one of the results changes nothing else."""
    arrays = [x for x in gradients.values() if isinstance(x, np.ndarray)]
    assert all(x.flags.writeable for x in arrays)
    for i, x in enumerate(arrays):
        assert not any(np.may_share_memory(x, other) for other in (*arrays[:i], *data))


def assert_writes_data_exactly(text: str, run: ag.Trace, wrt: Any) -> None:
    """The data in a program have the bits and the strides of those of the run."""
    cost, by = run.differentiated(wrt)
    block: Any = ast.parse(text).body[-1]
    values = Program(run, cost, by).arguments
    namespace: dict[str, Any] = {"np": np}
    for statement, value in zip(block.body, values, strict=False):
        exec(ast.unparse(statement), namespace)
        written = namespace[statement.targets[0].id]
        assert bits(written) == bits(value.array)
        if data_of(value) is value.live and np.asarray(value.live).size > 1:
            order = np.asarray(value.live)
            same_order = written.flags.c_contiguous == order.flags.c_contiguous
            assert same_order or not order.flags.forc


def parameter(array: Any) -> ag.Tensor:
    return ag.Tensor(array, requires_grad=True)


# ---- the five systems of the lectures -----------------------------------------------------------


def test_the_logistic_neuron() -> None:
    text = agrees(recorded(neuron))
    assert f"def {FUNCTION}(w1, w2, b, x1, x2, y):" in text


@pytest.mark.parametrize(
    "activation", [np.tanh, ag.sigmoid, ag.relu, ag.leaky_relu, ag.gelu, ag.silu, ag.elu]
)
def test_one_hidden_layer_with_every_activation(activation: Any) -> None:
    text = agrees(recorded(one_hidden_layer, activation))
    for line in ("Z1 = u1 + b1", "dW2 = dZ2 @ A1.T", "dA1 = W2.T @ dZ2", "dW1 = dZ1 @ X.T"):
        assert f"    {line}\n" in text


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", ["labels", "one-hot", "squared"])
def test_layers_of_matrix_formulas_with_examples_in_rows(dtype: Any, loss: str) -> None:
    agrees(recorded(rows, loss, ag.softmax, dtype))


def test_penalties_of_both_kinds() -> None:
    def penalised() -> dict[str, Any]:
        v = rows("squared")
        penalty = 0.01 * np.sum(v["W1"] ** 2) + 0.1 * np.sum(np.abs(v["W2"]))
        return {**v, "J": v["J"] + penalty}

    agrees(recorded(penalised))


def test_regularised_sigmoid_outputs() -> None:
    agrees(recorded(regularised))


def test_one_minus_the_targets_follows_the_targets() -> None:
    text = agrees(recorded(one_hidden_layer))
    assert "(1 - Y) * u" in text
    assert "c1" not in text


def test_a_program_runs_alone(tmp_path: Path) -> None:
    run = recorded(one_hidden_layer)
    path = tmp_path / "program.py"
    text = source(run)
    exact = text.replace('print("J =", J)', "print(J.tobytes().hex())").replace(
        'print(f"d{name} =\\n{gradient}")', "print(name, gradient.tobytes().hex())"
    )
    path.write_text(text, "utf-8")
    plain = subprocess.run(
        [sys.executable, "-I", "-W", "error", path], capture_output=True, text=True, check=True
    )
    assert plain.stdout.startswith(f"J = {run.cost.array}\ndW1 =\n[[")  # type: ignore[union-attr]
    path.write_text(exact, "utf-8")
    lines = subprocess.run(
        [sys.executable, "-I", "-W", "error", path], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    cost, by = run.differentiated()
    assert lines == [cost.array.tobytes().hex()] + [
        f"{value.name} {value.gradient.array.tobytes().hex()}"  # type: ignore[union-attr]
        for value in by
    ]


def test_a_program_imports_numpy_alone_and_nothing_of_this_package() -> None:
    tree = ast.parse(source(recorded(one_hidden_layer)))
    imports = [x for x in ast.walk(tree) if isinstance(x, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(x) for x in imports] == ["import numpy as np"]


# ---- every op -----------------------------------------------------------------------------------

EXAMPLES = [
    (case, example, dtype)
    for case in CASES
    for number, example in enumerate(case.examples)
    for dtype in ((np.float64,) if number else (np.float64, np.float32))
    if case.op is not tensor.assignment
]


@every(EXAMPLES)
def test_every_op_and_every_rule_is_written(case: Case, example: Example, dtype: Any) -> None:
    operands = example.operands(dtype)
    rules = case.op.rules or ()

    def has_rule(i: int) -> bool:
        return bool(rules) and rules[min(i, len(rules) - 1)] is not None

    leaves = [
        ag.Tensor(x, requires_grad=x.dtype.kind == "f" and has_rule(i))
        for i, x in enumerate(operands)
    ]
    anchor = parameter(np.array(2.0, dtype))
    with ag.trace() as run, np.errstate(all="ignore"):
        y = case.op(*leaves, **example.statics)
        weights = np.linspace(0.5, 1.5, y.size).reshape(y.shape).astype(dtype)
        J = np.sum(np.multiply(y, weights)) * anchor
        J.backward()
    agrees(run.name({"J": J, "anchor": anchor, **{f"x{i}": x for i, x in enumerate(leaves)}}))


def test_a_written_array_is_refused_by_name() -> None:
    W = parameter(np.array([1.0, 2.0]))
    with ag.trace() as run:
        with ag.no_grad():
            ag.assign(W, 5.0, key=0)
        J = np.sum(W * W)
        J.backward()
    with pytest.raises(ValueError, match=r"W of shape \(2,\) was written in place.*assignment"):
        source(run.name(locals()))


def test_an_update_between_two_passes_is_refused_and_one_afterwards_does_not_matter() -> None:
    W, x = parameter(np.array([1.0, 2.0])), np.array([0.5, -1.0])
    with ag.trace() as run:
        J = np.sum((W * x) ** 2)
        J.backward()
        with ag.no_grad():
            W -= 0.1 * W.grad
    agrees(run.name({"W": W, "x": x, "J": J}), None)
    with run:
        again = np.sum((W * x) ** 2)
        again.backward()
    with pytest.raises(ValueError, match="was written in place between its uses"):
        source(run)


def test_the_second_of_two_passes_with_a_raw_update_between_is_written() -> None:
    W, x = parameter(np.array([1.0, 2.0])), np.array([0.5, -1.0])
    with ag.trace() as run:
        for _ in range(2):
            W.grad = None
            J = np.sum((W * x) ** 2)
            J.backward()
            W.data -= 0.1 * W.grad.data  # type: ignore[union-attr]
    *_, latest = [x for x in run.values if x.kind == "parameter" and x.gradient]
    agrees(run.name({"x": x, "J": J}), [latest])


# ---- layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layers_of_a_module_keep_their_names(rng: np.random.Generator, dtype: Any) -> None:
    model = nn.Sequential(
        nn.Linear(4, 5, rng=rng, dtype=dtype), nn.Tanh(), nn.Linear(5, 3, rng=rng, dtype=dtype)
    )
    X, labels = rng.normal(size=(6, 4)).astype(dtype), rng.integers(0, 3, 6)
    with ag.trace() as run:
        J = FUSED.cross_entropy(model(X), labels)
        J.backward()
    text = agrees(run.name({"X": X, "labels": labels, "J": J}))
    assert "u1 = X @ layer0_weight.T + layer0_bias\n" in text
    assert "labels" in ast.unparse(function_of(text).args)


def test_a_convolutional_network(rng: np.random.Generator) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(18, 3, rng=rng),
    )
    X, labels = rng.normal(size=(2, 1, 6, 6)), rng.integers(0, 3, 2)
    with ag.trace() as run:
        J = FUSED.cross_entropy(model(X), labels)
        J.backward()
    text = agrees(run.name({"X": X, "labels": labels, "J": J}))
    outside = {"numpy", "math", "functools", "operator", "itertools", "numpy.lib.stride_tricks"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert node.module in outside
        if isinstance(node, ast.Import):
            assert {x.name for x in node.names} <= outside


def function_of(text: str) -> Any:
    """The definition of the program's function."""
    return next(
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == FUNCTION
    )


# ---- shapes, dtypes, uses -----------------------------------------------------------------------


def test_broadcasting_and_several_uses_of_a_value(rng: np.random.Generator) -> None:
    a, b = parameter(rng.normal(size=(2, 1, 3))), parameter(rng.normal(size=(4, 1)))
    with ag.trace() as run:
        c = a * b + a
        d = c * c - np.exp(c) + b
        J = np.sum(d * d / (1 + np.square(a)))
        J.backward()
    text = agrees(run.name(locals()))
    assert "# c was used more than once: its shares add up" in text


def test_a_gradient_that_is_handed_on_has_its_own_name(rng: np.random.Generator) -> None:
    a, b = parameter(rng.normal(size=3)), parameter(rng.normal(size=3))
    with ag.trace() as run:
        J = np.sum(a + b)
        J.backward()
    text = agrees(run.name(locals()))
    assert '{"a": da.copy(), "b": db.copy()}' in text


def test_index_arrays_and_masks(rng: np.random.Generator) -> None:
    E, words = parameter(rng.normal(size=(5, 3))), np.array([0, 3, 3, 1])
    mask = np.array([True, False, True, True, False])
    with ag.trace() as run:
        some = E[words]
        J = np.sum(some[1:, ::-1] ** 2) + np.sum(E[mask, 0] ** 3) + np.sum(E[..., None, -1])
        J.backward()
    text = agrees(run.name(locals()))
    assert "np.add.at(dE" in text or "np.add.at(" in text


def test_transposed_data_keep_their_order_in_memory(rng: np.random.Generator) -> None:
    X = rng.normal(size=(6, 7)).T
    W = parameter(np.asfortranarray(rng.normal(size=(3, 7))))
    with ag.trace() as run:
        J = np.sum(np.tanh(W @ X) @ X.T)
        J.backward()
    assert "X: shape (7, 6), float64, column by column in memory" in agrees(run.name(locals()))


def test_numbers_are_exact() -> None:
    x = np.array([0.1, 1e-310, -0.0, 1 / 3, 1e308, np.nextafter(1, 2), np.inf, -np.inf])
    h = np.array([0.1, 1 / 3, 65504.0, 6e-8], np.float16)
    f = np.array([0.1, 1 / 3, 3.4e38, 1e-45], np.float32)
    w, u = parameter(np.array([2.0, 0.5])), np.uint8([255, 1, 2])
    with ag.trace() as run:
        J = np.sum(w) * np.sum(np.isfinite(x) * 1.0) * 0.1 + np.sum(w) * h.sum() / f.max()
        J = J * np.float32(0.1) + np.sum(w[0] * u) - 1e-300
        J = J + np.sum(w[1] * np.where(np.isfinite(x), 0.0, 0.0) + w[0] * h[:1])
        J.backward()
    agrees(run.name(locals()))


def test_gradients_by_intermediate_quantities() -> None:
    run = recorded(one_hidden_layer)
    text = agrees(run, ["Z1", "A2", "W1"])
    assert '{"Z1": dZ1, "A2": dA2, "W1": dW1}' in text
    assert "dW2" not in text
    assert "db1" not in text


def test_a_run_that_did_not_go_backward_does_so_now(rng: np.random.Generator) -> None:
    W = parameter(rng.normal(size=(2, 3)))
    run = ag.trace(lambda: np.mean(np.sin(W)))
    agrees(run.name({"W": W}))


def test_the_derivative_of_a_derivative() -> None:
    x = np.array([0.3, -0.2])

    def slope(x: Any) -> Any:
        return np.sum(ag.grad(lambda x: np.sum(np.tanh(x) ** 3))(x) ** 2)

    t = parameter(x)
    with ag.trace() as run:
        J = slope(t)
        J.backward()
    agrees(run.name({"t": t, "J": J}))


def test_a_gradient_to_start_with_is_an_argument() -> None:
    x = parameter(np.array([0.3, -0.2]))
    with ag.trace() as run:
        y = np.exp(x)
        y.backward(np.array([2.0, 3.0]))
    agrees(run.name(locals()), ["x"])


def test_large_data_are_described_and_not_written(rng: np.random.Generator) -> None:
    W, X = parameter(rng.normal(size=(10, 30))), rng.normal(size=(30, 40))
    with ag.trace() as run:
        J = np.mean(np.tanh(W @ X))
        J.backward()
    text = agrees(run.name(locals()))
    assert "__main__" not in text
    assert "X: shape (30, 40), float64" in text
    assert len(text) < 2000


def test_dead_calls_are_left_out(rng: np.random.Generator) -> None:
    a = parameter(rng.normal(size=3))
    with ag.trace() as run:
        _ = np.cosh(a) * np.sum(a)
        J = np.sum(np.sin(a))
        J.backward()
    assert "cosh" not in agrees(run.name(locals()))


def test_random_networks_give_the_same_bits(rng: np.random.Generator) -> None:
    unary: list[Any] = [np.tanh, ag.sigmoid, np.exp, np.square, ag.relu, np.abs, np.cos]
    binary: list[Any] = [np.add, np.multiply, np.subtract, np.maximum, np.matmul]
    for _ in range(40):
        leaves = [parameter(rng.normal(size=(3, 3)) / 2) for _ in range(3)]
        with ag.trace() as run, np.errstate(all="ignore"):
            pool: list[Any] = list(leaves)
            for _ in range(8):
                if rng.random() < 0.5:
                    pool.append(rng.choice(unary)(pool[rng.integers(len(pool))]))
                else:
                    a, b = (pool[i] for i in rng.integers(len(pool), size=2))
                    pool.append(rng.choice(binary)(a, b) / 2)
            J = np.mean(pool[-1] + np.sum(leaves[0]))
            J.backward()
        agrees(run)


# ---- users' own ops -----------------------------------------------------------------------------

SLOPE = 0.25
TABLE = np.array([1.0, 2.0, 3.0])


def scaled(x: Array, by: float = SLOPE) -> Array:
    """A helper of a kernel.

    With more to say than fits on a line.
    """
    factor: float = by * 2
    return x * factor


@ag.primitive(r"\mathrm{odd}($x)", x=lambda g, x, power: g * power * x ** (power - 1))
def odd(x: Array, *, power: int = 3) -> Array:
    return scaled(x, 0.5) ** power


logistic = ag.sigmoid


def over(x: Array) -> Array:
    return x > SLOPE


@ag.primitive(r"\mathrm{bent}($x)", x=lambda g, x: g * (x > SLOPE))
def bent(x: Array, *, most: float = 9.0) -> Array:
    """A branch on values."""
    if x.max() > most:
        return x.copy()
    return np.where(over(x), scaled(x) + SLOPE, logistic(x) * logistic.kernel(x))


def test_a_kernel_that_looks_at_values_comes_along_with_helpers_and_constants() -> None:
    x = parameter(np.array([0.1, 0.9, -2.0]))
    with ag.trace() as run:
        J = np.sum(bent(x)) + np.sum(bent(x, most=0.5))
        J.backward()
    text = agrees(run.name(locals()))
    assert text.count("SLOPE = 0.25") == text.count("SLOPE = ") == 1
    assert '    """A helper of a kernel."""\n    factor = by * 2\n' in text
    assert "def scaled(x, by=0.25):" in text
    assert "def sigmoid(x):" in text
    assert "def bent(x, *, most=9.0):" in text
    assert "bent(x, most=0.5)" in text
    assert "bent(x)\n" in text
    cost, _ = loaded(text)[FUNCTION](np.array([0.1, 99.0, -2.0]))
    assert cost == 2 * (0.1 + 99.0 - 2.0)


def test_a_kernel_of_helpers_and_constants_is_written_as_the_calls_that_it_consists_of() -> None:
    chosen = ag.elementwise(
        lambda x: np.where(x > SLOPE, scaled(x), ag.sigmoid(x)) if x.ndim else x,
        "chosen($x)",
        name="chosen",
        x=lambda g, x: g * (x > SLOPE),
    )
    x = parameter(np.array([0.1, 0.9, -2.0]))
    with ag.trace() as run:
        J = np.sum(chosen(odd(x))) + np.sum(odd(x, power=2))
        J.backward()
    text = agrees(run.name(locals()))
    assert "u1 = (x * 1.0) ** 3\n" in text
    assert "u2 = np.where(u1 > 0.25, u1 * 0.5, sigmoid(u1))\n" in text
    assert "(x * 1.0) ** 2\n" in text
    assert "def scaled" not in text


def test_a_short_lambda_is_written_where_it_is_used() -> None:
    # fmt: off
    cube, half = ag.elementwise(lambda x: x * x * x, "$x^3", name="cube", x=lambda g, x: g * 3 * x * x), ag.elementwise(lambda x: x / 2, "$x/2", name="half", x=lambda g: g / 2)  # noqa: E501
    # fmt: on
    x = parameter(np.array([0.1, 0.9, -2.0]))
    with ag.trace() as run:
        J = np.sum(half(cube(x)))
        J.backward()
    text = agrees(run.name(locals()))
    assert "u1 = x * x * x\n" in text
    assert "u2 = u1 / 2\n" in text


def made(scale: float, table: Array, looks: bool) -> Primitive:
    """An op with a closure."""

    @ag.primitive("$x", x=lambda g: g * scale)
    def closed(x: Array) -> Array:
        several = [x * scale + table[0], table[1]]
        return several[0] if not looks or x.max() < 99 else x

    return closed


@pytest.mark.parametrize("looks", [False, True])
def test_what_a_closure_holds_is_written_for_each(looks: bool) -> None:
    first, second = made(2.0, TABLE, looks), made(3.0, TABLE[::-1].copy(), looks)
    x = parameter(np.array([0.1, 0.9, -2.0]))
    with ag.trace() as run:
        J = np.sum(second(first(x)) ** 2)
        J.backward()
    text = agrees(run.name(locals()))
    if looks:
        assert "scale = 2.0" in text
        assert "scale_2 = 3.0" in text
        assert "def closed_2(x):" in text
    else:
        assert "u1 = x * 2.0 + np.float64(1.0)\n" in text
        assert "u2 = u1 * 3.0 + np.float64(3.0)\n" in text


def without_source() -> Any:
    namespace: dict[str, Any] = {"np": np}
    exec("def ghost(x):\n    return np.sin(x) if x.max() < 9 else x", namespace)
    return namespace["ghost"]


class Machine:
    def __call__(self, x: Array) -> Array:
        return np.tanh(x)


MACHINE = Machine()
COUNT = 0


def counted(x: Array) -> Array:
    global COUNT
    COUNT += 1
    return x * 1.0 if x.max() < 9 else x


def counted_by_another() -> Any:
    count = 0

    def counting(x: Array) -> Array:
        nonlocal count
        count += 1
        return x * 1.0 if x.max() < 9 else x

    return counting


def mechanical(x: Array) -> Array:
    return MACHINE(x) if x.max() < 9 else x


looking: Any = lambda x: np.sin(x) if x.max() < 9 else x  # noqa: E731


def by_package(x: Array) -> Array:
    return ag.sigmoid.kernel(x) if x.max() < 9 else x


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (looking, "its source is not to be had: define it by def"),
        (
            lambda x: np.frompyfunc(abs, 1, 1)(x).astype(float),
            "neither NumPy's nor a plain function",
        ),
        (by_package, "it uses the module autograd_mini"),
        (counted_by_another(), "changes variables outside of itself"),
        (without_source(), "its source is not to be had"),
        (mechanical, "which is neither NumPy's nor a plain function"),
        (counted, "changes variables outside of itself"),
    ],
)
def test_a_kernel_that_cannot_be_written_is_named(kernel: Any, words: str) -> None:
    op = ag.elementwise(kernel, "$x", name="mystery", x=lambda g: g)
    x = parameter(np.array([0.1]))
    with ag.trace() as run:
        J = np.sum(op(x))
        J.backward()
    with pytest.raises(ValueError, match=f"the op mystery cannot be written: .*{words}"):
        source(run.name(locals()))


def test_a_function_of_calls_checks_what_the_kernel_checks_and_says_nothing_twice() -> None:
    logits, labels = parameter(np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])), np.array([0, 2])
    with ag.trace() as run:
        J = np.sum(FUSED.cross_entropy(logits, labels)) + np.sum(np.max(logits, axis=(1,)))
        J.backward()
    text = agrees(run.name(locals()))
    assert text.count("labels.reshape(-1)") == 1
    assert "u3 = np.max(logits, axis=1)\n" in text
    assert text.count("def ") == 4  # with residual, check_array and the function itself
    for wrong in (np.array([0, 3]), np.array([-1, 0])):
        with pytest.raises(ValueError, match=r"a label is \.\.\., but classes are 0\.\.2"):
            loaded(text)[FUNCTION](logits.data, wrong)


def test_functions_of_calls_are_told_apart_from_parameters_and_say_nothing_twice() -> None:
    @ag.primitive("$x", name="b", x=lambda g: g)
    def inner(x: Array) -> Array:
        y, z = np.exp(x), np.exp(x)
        return y * y + z * z + x.astype(np.float32)[np.int64(1) :, ...].sum(axis=(0,))

    outer = ag.primitive("$a $b", name="outer", a=lambda g: g, b=lambda g: g)(
        lambda a, b: np.sin(inner(a)) * np.exp(b) * np.cos(-a) + np.tanh(inner(a) * a)
    )
    x, y = parameter(np.array([[0.1, 0.2]])), parameter(np.array([[0.3, 0.4]]))
    with ag.trace() as run:
        J = np.sum(outer(x, y))
        J.backward()
    text = agrees(run.name(locals()))
    assert "def b_2(x):\n    v1 = np.exp(x)\n    return v1 * v1 + v1 * v1 + " in text
    assert "x.astype(np.float32)[1:, ...].sum(axis=0)\n" in text
    assert "def outer(a, b):\n    return np.sin(b_2(a)) * np.exp(b) * np.cos(-a) + " in text


def test_a_kernel_whose_file_has_changed_since_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def shifted(x):\n    return x + 1 if x.max() < 9 else x\n"
    file = tmp_path / "changing_kernels.py"
    file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    op = ag.elementwise(importlib.import_module(file.stem).shifted, "$x", x=lambda g: g)
    x = parameter(np.array([0.1, 0.2]))
    with ag.trace() as run:
        J = np.sum(op(x))
        J.backward()
    assert "def shifted(x):\n    return x + 1 if x.max() < 9 else x\n" in agrees(run.name(locals()))
    file.write_text(text.replace("1", "22"))
    with pytest.raises(ValueError, match=r"the op shifted cannot be written: .* not what was run"):
        source(run)


@pytest.mark.parametrize("looks", [False, True])
def test_numbers_among_the_operands_of_an_op_are_written(looks: bool) -> None:
    def scaled(a: Array, b: Array) -> Array:
        y = np.exp(a) * b
        return y + y * y if not looks or np.max(y) < 99 else y

    op = ag.elementwise(scaled, "f($a, $b)", a=lambda g, a, b: g * (np.exp(a) * b))
    x = parameter(np.array([0.1, 0.2]))
    with ag.trace() as run:
        J = np.sum(op(x, 2.0))
        J.backward()
    text = agrees(run.name(locals()))
    assert ("scaled(x, 2.0)" if looks else "scaled(x)") in text
    assert "scaled(x, 2)" in simplified(run)


def test_a_kernel_without_a_source_is_written_if_it_comes_apart() -> None:
    namespace: dict[str, Any] = {"np": np, "machine": MACHINE}
    exec("def ghost(x):\n    return machine(x) if x.ndim else x", namespace)
    op = ag.elementwise(namespace["ghost"], "$x", name="mystery", x=lambda g, y: g * (1 - y * y))
    x = parameter(np.array([0.1]))
    with ag.trace() as run:
        J = np.sum(op(x))
        J.backward()
    assert "u1 = np.tanh(x)\n" in agrees(run.name(locals()))


def test_a_kernel_that_is_not_the_same_at_each_call_is_refused() -> None:
    chance = np.random.default_rng(1)
    noisy = ag.primitive("$x", name="noisy", x=lambda g: g)(lambda x: x + chance.normal(size=3))
    x = parameter(np.array([0.1, 0.2, 0.3]))
    with ag.trace() as run:
        J = np.sum(noisy(x))
        J.backward()
    with pytest.raises(ValueError, match="the record does not suffice for a program: noisy"):
        source(run.name(locals()))


# ---- in the form of a lecture -------------------------------------------------------------------


def simplified(run: ag.Trace, wrt: Any = None) -> str:
    """Write the simple form of a run, run it, and compare all that comes out."""
    text = source(run, wrt, simplify=True)
    cost, by = run.differentiated(wrt)
    names = [x.arg for x in function_of(text).args.args]
    leaves = [x for x in (*run.values, *run._others) if x.call is None and x.name]
    data = {identifier(x.name): data_of(x) for x in leaves[::-1]}
    given = [data[name] for name in names]
    found, gradients = loaded(text)[FUNCTION](*given)
    assert_own_memory(gradients, given)
    accuracy = 1e-12 if cost.dtype == np.float64 else 1e-5
    for x, y in [(found, cost), *zip(gradients.values(), by, strict=True)]:
        true = cost.array if y is cost else y.gradient.array
        assert np.shape(x) == true.shape
        assert y is cost or x.dtype == true.dtype
        assert np.max(np.abs(x - true), initial=0) <= accuracy * np.max(np.abs(true), initial=0)
    return text


def test_the_lectures_four_and_six_lines() -> None:
    text = simplified(recorded(one_hidden_layer))
    body = [ast.unparse(x) for x in function_of(text).body[1:-1]]
    body = [line for line in body if not line.startswith("check_array(")]
    assert body.pop(0) == "m = 5"
    forward, cost, backward = body[:4], body[4], body[5:]
    assert forward == [
        "Z1 = W1 @ X + b1",
        "A1 = np.tanh(Z1)",
        "Z2 = W2 @ A1 + b2",
        "A2 = sigmoid(Z2)",
    ]
    assert cost == "J = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m"
    assert {*backward} == {
        "dZ2 = A2 - Y",
        "dW2 = 1 / m * (dZ2 @ A1.T)",
        "db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)",
        "dZ1 = W2.T @ dZ2 * (1 - A1 ** 2)",
        "dW1 = 1 / m * (dZ1 @ X.T)",
        "db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)",
    }
    assert len(backward) == 6
    assert "# dZ2, dZ1: m times the gradient, and the factor comes at the end" in text


@pytest.mark.parametrize("activation", [ag.sigmoid, ag.relu, ag.leaky_relu, ag.gelu, np.sin])
def test_simple_forms_of_other_activations_agree(activation: Any) -> None:
    simplified(recorded(one_hidden_layer, activation))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_simple_form_of_layers_and_class_labels(rng: np.random.Generator, dtype: Any) -> None:
    model = nn.Sequential(
        nn.Linear(4, 5, rng=rng, dtype=dtype), nn.Tanh(), nn.Linear(5, 3, rng=rng, dtype=dtype)
    )
    X, labels = rng.normal(size=(6, 4)).astype(dtype), rng.integers(0, 3, 6)
    with ag.trace() as run:
        J = FUSED.cross_entropy(model(X), labels)
        J.backward()
    simplified(run.name({"X": X, "labels": labels, "J": J}))


def test_the_simple_form_of_index_arrays(rng: np.random.Generator) -> None:
    E, words = parameter(rng.normal(size=(5, 3))), np.array([0, 3, 3, 1])
    mask = np.array([True, False, True, True, False])
    with ag.trace() as run:
        J = np.mean(ag.softplus(E[words]) ** 2) + np.sum(E[mask, 0] ** 3) + np.sum(E[1:, ::2])
        J.backward()
    text = simplified(run.name(locals()))
    assert "np.add.at(t" in text


def test_the_simple_form_takes_hostile_names(rng: np.random.Generator) -> None:
    W, x = parameter(rng.normal(size=(2, 3))), rng.normal(size=3)
    for name in (*AWKWARD, *hostile.NAMES):
        with ag.trace() as run:
            J = np.mean(np.tanh(W * x) ** 2)
            J.backward()
        run.name({name: W, "x_": x, "J": J})
        loaded(source(run, simplify=True))


def test_a_simple_form_that_is_wrong_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["autograd_mini.explain.lecture"]
    monkeypatch.setattr(module, "unlike", lambda line, found: 1e-3)
    with pytest.raises(ValueError, match="the simple form of Z1 is 1e-03 away"):
        source(recorded(one_hidden_layer), simplify=True)


@pytest.mark.parametrize(
    "case", [x for x in CASES if x.op is not tensor.assignment], ids=lambda case: case.op.name
)
def test_the_simple_form_of_every_op_agrees(case: Case) -> None:
    operands = case.examples[0].operands(np.float64)
    rules = case.op.rules or ()
    leaves = [
        ag.Tensor(
            x,
            requires_grad=x.dtype.kind == "f"
            and bool(rules)
            and rules[min(i, len(rules) - 1)] is not None,
        )
        for i, x in enumerate(operands)
    ]
    anchor = parameter(np.array(2.0))
    with ag.trace() as run, np.errstate(all="ignore"):
        y = case.op(*leaves, **case.examples[0].statics)
        weights = np.linspace(0.5, 1.5, y.size).reshape(y.shape)
        J = np.sum(y * weights) * anchor
        J.backward()
    run.name(
        {"J": J, "anchor": anchor, "weights": weights, **{f"x{i}": x for i, x in enumerate(leaves)}}
    )
    with np.errstate(all="ignore"):
        simplified(run)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize(
    "cost",
    [
        np.sum,
        lambda w: np.sum(w[np.array([True, False, True])]),
        lambda w: np.sum(w[np.array([0, 0, 2])]),
        lambda w: np.sum(np.cumsum(w)),
        lambda w: np.sum(np.sort(w) * np.arange(3)),
        lambda w: np.sum(ag.relu(w)),
        lambda w: np.sum(w * np.array([3, 1, 2])),
    ],
    ids=["sum", "mask", "index", "cumsum", "sort", "relu", "integers"],
)
def test_gradients_have_the_dtype_of_the_engine_and_can_be_written(cost: Any, dtype: Any) -> None:
    w = parameter(np.array([1.0, -2.0, 3.0], dtype))
    with ag.trace() as run:
        J = cost(w)
        J.backward()
    agrees(run.name(locals()))
    text = source(run, simplify=True)
    _, gradients = loaded(text)[FUNCTION](w.data)
    gradients["w"] *= 0.5
    assert gradients["w"].dtype == dtype
    assert np.array_equal(gradients["w"], w.grad.data / 2)  # type: ignore[union-attr]


def test_a_gradient_that_is_the_data_is_a_copy_of_them() -> None:
    w, x = parameter(np.array([1.0, -2.0, 3.0])), np.array([1.0, 2.0, 3.0])
    with ag.trace() as run:
        J = np.sum(w * x)
        J.backward()
    assert 'return J, {"w": dw.copy()}' in simplified(run.name(locals()))


def test_numbers_that_are_called_like_quantities_are_told_apart(rng: np.random.Generator) -> None:
    w, X, J, dw = parameter(rng.normal(size=(1, 2))), rng.normal(size=(2, 3)), 3, 7
    with ag.trace() as run:
        cost = np.sum((w @ X) ** 2) / J / dw
        cost.backward()
    text = simplified(run.name({"J": J, "dw": dw}).name({"w": w, "X": X, "J": cost}))
    assert "J_2 = 3\n" in text
    assert "J = np.sum((w @ X) ** 2) / J_2 / dw" in text


def test_a_text_that_does_not_compute_the_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    form = sys.modules["autograd_mini.explain.lecture"].Form  # type: ignore[attr-defined]
    formula = form._formula

    def wrong(self: Any, symbol: Any) -> Any:
        lines, text = formula(self, symbol)
        return lines, text.replace("W2.T @ dZ2", "-W2.T @ dZ2").replace("/ m", "/ 0")

    monkeypatch.setattr(form, "_formula", wrong)
    with pytest.raises(ValueError, match=r"cannot be run \(ZeroDivisionError.*simplify=False"):
        source(recorded(one_hidden_layer), simplify=True)
    monkeypatch.setattr(
        form, "_formula", lambda *x: (formula(*x)[0], formula(*x)[1].replace("W2.T", "-W2.T"))
    )
    with pytest.raises(ValueError, match=r"the simple form of dZ1 is .* away"):
        source(recorded(one_hidden_layer), simplify=True)


def test_what_is_no_number_is_compared_too() -> None:
    w, x = parameter(np.array([1.0, 2.0])), np.array([np.nan, 1.0])
    with ag.trace() as run:
        J = np.sum(w * x)
        J.backward()
    text = source(run.name(locals()), simplify=True)
    _, gradients = loaded(text)[FUNCTION](w.data, x)
    np.testing.assert_array_equal(gradients["w"], x)


def test_a_long_sum_has_a_line_for_each_term(rng: np.random.Generator) -> None:
    text = simplified(with_biases(rng, 7))
    assert "    J = (\n        -np.sum(Y" in text
    assert "np.zeros((3, 1))" in text
    body = text[text.index(f"def {FUNCTION}") : text.index("if __name__")]
    assert max(map(len, body.splitlines())) <= 100


def test_functions_that_come_along_say_what_a_reader_of_numpy_would(
    rng: np.random.Generator,
) -> None:
    text = simplified(class_labels(rng, 6))
    assert "v1 = np.exp(x - np.max(x, axis=-1, keepdims=True))" in text
    assert "return v1 / np.sum(v1, axis=-1, keepdims=True)" in text
    assert "_along" not in text


# ---- other data ---------------------------------------------------------------------------------


def with_biases(rng: np.random.Generator, m: int) -> ag.Trace:
    return recorded(regularised, m, seed=int(rng.integers(100)))


def class_labels(rng: np.random.Generator, m: int) -> ag.Trace:
    W, X, t = parameter(np.ones((3, 4))), rng.normal(size=(m, 3)), rng.integers(0, 4, m)
    with ag.trace() as run:
        A = ag.softmax(X @ W)
        J = -np.sum(np.log(A[np.arange(m), t])) / m
        J.backward()
    return run.name(locals())


def least_squares(rng: np.random.Generator, m: int) -> ag.Trace:
    w, X, y = parameter(np.ones((1, 3))), rng.normal(size=(3, m)), rng.normal(size=(1, m))
    with ag.trace() as run:
        J = np.mean((w @ X - y) ** 2)
        J.backward()
    return run.name({"w": w, "X": X, "y": y, "J": J})


def layers(rng: np.random.Generator, m: int) -> ag.Trace:
    fixed = np.random.default_rng(3)
    model = nn.Sequential(nn.Linear(4, 2, rng=fixed), nn.Tanh(), nn.Linear(2, 3, rng=fixed))
    X, labels = rng.normal(size=(m, 4)), rng.integers(0, 3, m)
    with ag.trace() as run:
        J = FUSED.cross_entropy(model(X), labels)
        J.backward()
    return run.name({"X": X, "labels": labels, "J": J})


def sum_of_squares(rng: np.random.Generator, m: int) -> ag.Trace:
    w, X, y = parameter(np.ones((1, 3))), rng.normal(size=(3, m)), rng.normal(size=(1, m))
    with ag.trace() as run:
        J = np.sum((w @ X - y) ** 2)
        J.backward()
    return run.name({"w": w, "X": X, "y": y, "J": J})


def fed_from(text: str, run: ag.Trace) -> tuple[Any, dict[str, Any]]:
    """What a program gives on the data of a run."""
    data = {identifier(x.name): data_of(x) for x in run.values if x.call is None and x.name}
    arguments = [x.arg for x in function_of(text).args.args]
    result: tuple[Any, dict[str, Any]] = loaded(text)[FUNCTION](*[data[x] for x in arguments])
    return result


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize(
    "computed", [with_biases, class_labels, least_squares, layers, sum_of_squares]
)
def test_a_program_is_right_on_other_data(
    rng: np.random.Generator, computed: Any, simple: bool
) -> None:
    text, other = source(computed(rng, 7), simplify=simple), computed(rng, 7)
    cost, by = other.differentiated()
    found, gradients = fed_from(text, other)
    np.testing.assert_allclose(found, cost.array, rtol=1e-12)
    for gradient, value in zip(gradients.values(), by, strict=True):
        np.testing.assert_allclose(gradient, value.gradient.array, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("m", [1, 2, 4, 20])
@pytest.mark.parametrize(
    "computed", [with_biases, class_labels, least_squares, layers, sum_of_squares]
)
def test_a_program_refuses_data_of_other_shapes(
    rng: np.random.Generator, computed: Any, m: int, simple: bool
) -> None:
    text, other = source(computed(rng, 7), simplify=simple), computed(rng, m)
    with pytest.raises(ValueError, match=r"has shape .* is for"):
        fed_from(text, other)
    with pytest.raises(ValueError, match=r"has shape .* is for"):
        fed_from(text, narrower(computed(rng, 7)))


def narrower(run: ag.Trace) -> ag.Trace:
    """A run whose parameters have lost a row."""
    for value in run.values:
        if value.kind == "parameter":
            value.live = value.array = value.array[:-1]
    return run


@pytest.mark.parametrize("m", [1, 4])
def test_a_program_of_the_same_bits_is_for_the_shapes_of_the_run(
    rng: np.random.Generator, m: int
) -> None:
    text = source(least_squares(rng, 5))
    with pytest.raises(
        ValueError, match=rf"X has shape \(3, {m}\), but this program, .*, is for \(3, 5\)"
    ):
        fed_from(text, least_squares(rng, m))


def rows_one_by_one(rng: np.random.Generator, w: ag.Tensor, X: Array) -> Any:
    return sum(np.sum(np.tanh(w * X[i])) for i in range(5))


HIDDEN = {
    "a number of examples that is also a number of units": lambda rng, w, X: np.mean(
        np.tanh(np.ones((5, 5)) @ (X * w)) ** 2
    ),
    "each example by itself": rows_one_by_one,
    "a part of the examples": lambda rng, w, X: np.sum((X * w)[:4] ** 2),
    "weights of examples without a name": lambda rng, w, X: np.sum(
        np.array([[1.0], [2.0], [3.0], [1.0], [1.0]]) * (X * w)
    ),
    "one less than the examples": lambda rng, w, X: np.sum(np.var(X * w, axis=0, ddof=1)),
    "a mean over all numbers": lambda rng, w, X: np.mean((X * w) ** 2),
    "a number that somebody computed": lambda rng, w, X: np.sum((X * w) ** 2) * 0.2,
}


@pytest.mark.parametrize("name", HIDDEN)
def test_where_examples_may_be_counted_in_a_formula_the_program_is_for_their_number(
    rng: np.random.Generator, name: str
) -> None:
    w, X = parameter(rng.normal(size=3)), rng.normal(size=(5, 3))
    with ag.trace() as run:
        J = HIDDEN[name](rng, w, X)
        J.backward()
    text = simplified(run.name({"w": w, "X": X, "J": J}), [w])
    with pytest.raises(ValueError, match=r"X has shape \(7, 3\), but this program"):
        loaded(text)[FUNCTION](np.zeros(3), np.zeros((7, 3)))


def test_a_mask_of_the_data_says_that_it_stays() -> None:
    w, x = parameter(np.array([1.0, 2.0, 3.0])), np.array([1.0, -1.0, 2.0])
    with ag.trace() as run:
        J = np.sum(w[x > 0] ** 2)
        J.backward()
    for text in (agrees(run.name(locals())), simplified(run)):
        assert "data without Tensors\n    c1 = np.array([True, False, True])" in text


# ---- more than one pass -------------------------------------------------------------------------


def test_of_two_costs_in_a_run_the_last_one_is_written() -> None:
    w, v = parameter(np.array([1.0, 2.0])), parameter(np.array([3.0, 4.0]))
    with ag.trace() as run:
        J1 = np.sum(w * v)
        J1.backward()
        J2 = np.sum(w**2)
        J2.backward()
    text = agrees(run.name(locals()))
    assert f"def {FUNCTION}(w):" in text
    simplified(run)
    with pytest.raises(ValueError, match="J2 does not depend on v"):
        source(run, ["v"])


@pytest.mark.parametrize("layered", [False, True])
def test_a_training_step_is_a_program_of_the_parameters_before_it(
    rng: np.random.Generator, layered: bool
) -> None:
    w, X = parameter(rng.normal(size=(1, 2))), rng.normal(size=(2, 3))
    model = nn.Sequential(nn.Linear(3, 2, rng=rng), nn.Tanh(), nn.Linear(2, 1, rng=rng))
    optimizer = ag.optim.SGD(model.parameters() if layered else [w], 0.1)
    with ag.trace() as run:
        J = np.sum((model(X) if layered else w @ X) ** 2)
        J.backward()
        optimizer.step()
    names = {"X": X, "J": J} if layered else {"w": w, "X": X, "J": J}
    first = "layer0_weight" if layered else "w"
    for text in (agrees(run.name(names)), simplified(run)):
        assert function_of(text).args.args[0].arg == first
    assert run["0.weight" if layered else "w"].kind == "parameter"


def test_two_training_steps_are_refused_by_name(rng: np.random.Generator) -> None:
    w, X = parameter(rng.normal(size=(1, 2))), rng.normal(size=(2, 3))
    optimizer = ag.optim.SGD([w], 0.1)
    with ag.trace() as run:
        for _ in range(2):
            J = np.sum((w @ X) ** 2)
            J.backward()
            optimizer.step()
    run.name({"w": w, "X": X, "J": J})
    for simple in (False, True):
        with pytest.raises(ValueError, match=r"w of shape \(1, 2\) was written in place"):
            source(run, simplify=simple)


def test_data_that_change_between_forward_and_backward_are_refused() -> None:
    w, x = parameter(np.array([1.0, 2.0])), np.array([1.0, 2.0])
    with ag.trace() as run:
        J = np.sum(np.exp(w) * x)
        x[1] = 9
        J.backward()
    run.name(locals())
    for simple in (False, True):
        with pytest.raises(ValueError, match=r"x of shape \(2,\) was written in place between"):
            source(run, simplify=simple)


def test_a_kernel_that_imports_another_package_is_refused() -> None:
    def imported(x: Array) -> Array:
        import math

        if x.max() > 9:
            import pytest_of_another as other

            return other.function(x)
        return x * math.pi

    op = ag.elementwise(imported, "$x", name="importing", x=lambda g: g)
    x = parameter(np.array([0.1]))
    with ag.trace() as run:
        J = np.sum(op(x))
        J.backward()
    with pytest.raises(
        ValueError, match=r"the op importing cannot be written: .* module pytest_of_another"
    ):
        source(run.name(locals()))


def test_a_constant_that_happens_to_be_made_of_the_data_stays_a_constant(
    rng: np.random.Generator,
) -> None:
    W, v = parameter(rng.normal(size=(2, 2))), parameter(rng.normal(size=(3, 1)))
    X, S, h0 = np.eye(2), np.array([[1.0, 2.0], [2.0, 5.0]]), np.zeros((3, 1))
    with ag.trace() as run:
        J = np.sum(X @ W * np.eye(2)) + np.sum(S @ W * np.array([[1.0, 2.0], [2.0, 5.0]]))
        J = J + np.sum(np.tanh(v * h0) * np.ones((3, 1)))
        J.backward()
    text = agrees(run.name(locals()))
    assert [text.count(f"c{i} = np.") for i in (1, 2, 3)] == [1, 1, 1]
    assert "1 - h0" not in text


def test_transposed_data_are_told_by_their_memory(rng: np.random.Generator) -> None:
    W, S = parameter(rng.normal(size=(2, 2))), np.array([[1.0, 2.0], [2.0, 5.0]])
    with ag.trace() as run:
        J = np.sum(S @ W * S.T)
        J.backward()
    assert "u1 * S.T" in agrees(run.name(locals()))


# ---- names --------------------------------------------------------------------------------------

AWKWARD = [
    *("lambda", "np", "d", "x", "dx", "ddx", "sum", "print", "cost_and_gradients", "gradients"),
    *(
        "u1",
        "t1",
        "c1",
        "sigmoid",
        "1",
        "",
        "_",
        "__name__",
        "ﬁ",
        "fi",
        "\N{GREEK SMALL LETTER ALPHA}",
        "W.1",
        "W 1",
        "W_1",
    ),
    *("None", "math", "name", "gradient", "self", "import os; os.system('x')"),
]


@pytest.mark.parametrize("names", [AWKWARD, hostile.NAMES], ids=["awkward", "hostile"])
def test_any_name_becomes_a_variable_of_its_own(names: list[str]) -> None:
    values = [parameter(np.array([0.1 * i, 1.0])) for i, _ in enumerate(names)]
    with ag.trace() as run:
        total = np.sum(ag.sigmoid(values[0]))
        for value in values:
            total = total + np.sum(ag.sigmoid(value) * value)
        total.backward()
    text = agrees(run.name(dict(zip(names, values, strict=True)) | {"J": total}))
    arguments = [x.arg for x in function_of(text).args.args]
    assert len({*arguments}) == len(names)
    assert all(x.isidentifier() and not keyword.iskeyword(x) for x in arguments)
    assert not {*arguments} & {*dir(__builtins__), "np"}
    assert text.encode("utf-8").decode("utf-8").isprintable() is False  # it has lines
    assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("name", [*AWKWARD, *hostile.NAMES])
def test_identifiers_are_what_python_reads(name: str) -> None:
    found = identifier(name)
    assert found.isidentifier()
    assert not keyword.iskeyword(found)
    (read,) = ast.parse(found).body
    assert read.value.id == found  # type: ignore[attr-defined]


def test_users_names_go_before_names_of_gradients_and_helpers() -> None:
    W1, dW1 = parameter(np.array([0.5])), parameter(np.array([0.7]))
    with ag.trace() as run:
        sigmoid = ag.sigmoid(W1 * dW1)
        J = np.sum(sigmoid)
        J.backward()
    text = agrees(run.name(locals()))
    assert f"def {FUNCTION}(W1, dW1):" in text
    assert "sigmoid = sigmoid_2(" in text
    assert '"W1": dW1_2' in text


def test_a_run_made_of_a_graph_with_unknown_values_is_refused(rng: np.random.Generator) -> None:
    x = parameter(rng.normal(size=3))
    J = np.sum((x + rng.normal(size=3)) * 2.0)
    with pytest.raises(ValueError, match="the record does not suffice"):
        source(ag.Trace.of_graph(J, {"x": x, "J": J}))


def test_programs_are_written_where_the_layers_were_never_imported() -> None:
    code = (
        "import autograd_mini as ag, numpy as np\n"
        "x = ag.Tensor(np.array([1.0, 2.0]), requires_grad=True)\n"
        "run = ag.trace(lambda: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)\n"
        "print(ag.source(run.name({'x': x}), simplify=True))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "def cost_and_gradients(x):" in done.stdout


def test_a_program_refuses_data_of_another_kind() -> None:
    w = ag.Tensor(np.array([0.5, 1.5]), requires_grad=True)
    x, y = np.array([1.0, 2.0]), np.array([0, 1])
    with ag.trace() as run:
        J = np.sum(w * x * y)
    for simplify in (False, True):
        function = loaded(ag.source(run.name(locals()), simplify=simplify))[FUNCTION]
        assert function(w.data, x, y)[0] == J.data
        assert function(w.data.astype(np.float32), x, np.array([0, 1], np.int8))[0] == J.data
        with pytest.raises(ValueError, match=r"x is an array of int8, but this .* floating"):
            function(w.data, x.astype(np.int8), y)
        with pytest.raises(ValueError, match=r"y is an array of bool, but .* integer: convert"):
            function(w.data, x, y > 0)
