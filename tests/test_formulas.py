"""Expressions over the arrays of a run, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case, Example, every
from hostile import NAMES
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import UnreadableError, read

import autograd_mini as ag
from autograd_mini import activations, numpy_functions
from autograd_mini.core import ops
from autograd_mini.core.primitive import implementations
from autograd_mini.formulas import (
    Symbol,
    definition_of,
    gradient_of,
    gradient_value,
    latex_name,
    named,
    share_of,
    symbol_of,
    write,
)
from autograd_mini.nn.convolution import convolution, max_pooling
from autograd_mini.numpy_functions import contraction
from autograd_mini.trace import Trace, Value

Array = Any
LANGUAGES = ("python", "text", "latex")


class Recorded:
    """A run with a backward pass, and its values by their names."""

    def __init__(self, cost: Callable[..., Any], **arrays: Any) -> None:
        tensors = {name: ag.Tensor(x, requires_grad=True) for name, x in arrays.items()}
        self.variables: dict[str, Any] = dict(tensors)
        with ag.trace() as self.run:
            J = cost(self, **tensors)
            J.backward()
        self.run.name({**self.variables, "J": J})
        self.known: dict[Value, Symbol] = {}

    def __setitem__(self, name: str, tensor: Any) -> None:
        self.variables[name] = tensor

    def gradient(self, name: str, language: str, *known: str) -> str:
        """The gradient by a value, from those that are known."""
        gradients = {self.run[x].gradient: self.run[x] for x in known}
        symbols = {g: named(f"d{x.name}", g.array) for g, x in gradients.items() if g}
        return write(gradient_of(self.run[name], symbols), language)


@pytest.fixture
def net(rng: np.random.Generator) -> Recorded:
    """The lecture's network with one hidden layer."""
    X, Y = rng.normal(size=(3, 5)), (rng.random((1, 5)) < 0.5).astype(float)

    def cost(at: Recorded, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        at["Z1"] = Z1 = W1 @ X + b1
        at["A1"] = A1 = np.tanh(Z1)
        at["Z2"] = Z2 = W2 @ A1 + b2
        at["A2"] = A2 = ag.sigmoid(Z2)
        at["L"] = L = -(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
        return np.sum(L) / 5

    recorded = Recorded(
        cost,
        W1=rng.normal(size=(4, 3)),
        b1=np.zeros((4, 1)),
        W2=rng.normal(size=(1, 4)),
        b2=np.zeros((1, 1)),
    )
    recorded.run.name({"X": X, "Y": Y})
    return recorded


# ---- formulas of the lecture --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "python", "text", "latex"),
    [
        ("Z1", "W1 @ X + b1", "W1 X + b1", r"W_1\, X + b_1"),
        ("A1", "np.tanh(Z1)", "tanh(Z1)", r"\tanh \left(Z_1\right)"),
        ("A2", "ag.sigmoid(Z2)", "sigmoid(Z2)", r"\sigma\left(Z_2\right)"),
        (
            "L",
            "-(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))",
            "-(Y (.) log(A2) + (1 - Y) (.) log(1 - A2))",
            r"-\left(Y \odot \log \left(A_2\right) + \left(1 - Y\right) \odot "
            r"\log \left(1 - A_2\right)\right)",
        ),
        ("J", "np.sum(L) / 5", "sum(L) / 5", r"\frac{\textstyle\sum L}{5}"),
    ],
)
def test_the_forward_pass_reads_like_the_lecture(
    net: Recorded, name: str, python: str, text: str, latex: str
) -> None:
    symbol = definition_of(net.run[name])
    assert [write(symbol, language) for language in LANGUAGES] == [python, text, latex]
    assert symbol.shape == net.run[name].shape
    assert symbol.dtype == float
    assert write(symbol_of(net.run[name]), "text") == name


@pytest.mark.parametrize(
    ("name", "known", "python", "text", "latex"),
    [
        ("W2", "Z2", "dZ2 @ A1.T", "dZ2 A1^T", r"dZ_2\, A_1^T"),
        (
            "b2",
            "Z2",
            "np.sum(dZ2, axis=(1,), keepdims=True)",
            "sum(dZ2, axis=1)",
            r"\textstyle\sum_{\text{axis 1}} dZ_2",
        ),
        ("A1", "Z2", "W2.T @ dZ2", "W2^T dZ2", r"W_2^T\, dZ_2"),
        (
            "Z1",
            "Z2",
            "W2.T @ dZ2 * (1 - A1**2)",
            "(W2^T dZ2) (.) (1 - A1^2)",
            r"\left(W_2^T\, dZ_2\right) \odot \left(1 - A_1^2\right)",
        ),
        (
            "Z2",
            "A2",
            "dA2 * (A2 * (1 - A2))",
            "dA2 (.) A2 (.) (1 - A2)",
            r"dA_2 \odot A_2 \odot \left(1 - A_2\right)",
        ),
        (
            "A2",
            "L",
            "-(-dL * (1 - Y) / (1 - A2)) - dL * Y / A2",
            "(dL (.) (1 - Y)) / (1 - A2) - (dL (.) Y) / A2",
            r"\frac{dL \odot \left(1 - Y\right)}{1 - A_2} - \frac{dL \odot Y}{A_2}",
        ),
    ],
)
def test_the_backward_pass_reads_like_the_lecture(
    net: Recorded, name: str, known: str, python: str, text: str, latex: str
) -> None:
    assert [net.gradient(name, language, known) for language in LANGUAGES] == [python, text, latex]


def test_a_gradient_of_which_nothing_is_known_is_written_down_to_the_leaves(net: Recorded) -> None:
    assert net.gradient("W2", "text", "A2") == "(dA2 (.) A2 (.) (1 - A2)) A1^T"
    assert net.gradient("J", "text") == "1"
    assert net.gradient("L", "text") == "1 / 5"
    assert "(...)" not in net.gradient("W1", "text")


def test_a_gradient_is_the_sum_of_its_shares(rng: np.random.Generator) -> None:
    at = Recorded(
        lambda at, w: np.sum(np.sin(w)) - np.sum(3.0 * w) + 0.5 * np.sum(w**2), w=rng.normal(size=3)
    )
    assert at.gradient("w", "text") == "w - 3 + cos(w)"
    symbol = gradient_of(at.run["w"])
    np.testing.assert_array_equal(symbol.array, gradient_value(at.run["w"]).array)


def test_constants_are_recognised_as_functions_of_named_ones(rng: np.random.Generator) -> None:
    a = ag.Tensor(rng.normal(size=(2, 3)), requires_grad=True)
    Y, flags = rng.normal(size=(2, 3)), np.array([True, False, True])
    with ag.trace() as run:
        values = [a * (1 - Y), a * -Y, a @ Y.T, a * Y, a * rng.normal(size=(2, 3)), a * flags]
    run.name({"a": a, "Y": Y, "flags": flags})
    texts = [write(symbol_of(run[value]), "text") for value in values]
    assert texts == [
        *("a (.) (1 - Y)", "-a (.) Y", "a Y^T", "a (.) Y", "a (.) (...)", "a (.) flags")
    ]


# ---- every primitive ----------------------------------------------------------------------------


#: All ways of calling all primitives; `assignment` is no function.
EXAMPLES = [
    (case, example) for case in CASES for example in case.examples if case.op.name != "assignment"
]


def recorded_call(case: Case, example: Example) -> Trace:
    """A call of a primitive with named operands, and its derivative by all of them."""
    tensors = [ag.Tensor(x, requires_grad=x.dtype.kind == "f") for x in example.operands()]
    rules = case.op.rules or (None,)
    by = [
        tensor
        for i, tensor in enumerate(tensors)
        if tensor.requires_grad and rules[min(i, len(rules) - 1)]
    ]
    for tensor in tensors:
        tensor.requires_grad = any(tensor is x for x in by)
    with ag.trace() as run:
        y = case.op(*tensors, **example.statics)
        if by:
            ag.gradients(y, by, np.ones(y.shape))
    return run.name({f"{'ABCD'[i]}1": tensor for i, tensor in enumerate(tensors)})


def symbols_in(run: Trace) -> list[Symbol]:
    """The call of a run, and the shares of its derivative."""
    output = run.calls[0].output
    shares = [share_of(pull, named("dY", gradient_value(output).array)) for pull in run.pulls]
    for pull, share in zip(run.pulls, shares, strict=True):
        np.testing.assert_array_equal(share.array, pull.result.array)
    return [definition_of(output), *shares]


def is_balanced(latex: str) -> bool:
    r"""Whether braces and \left with \right are in pairs, and indices and powers have one text."""
    depth = 0
    for token in re.findall(r"\\[a-zA-Z]+|\\.|[{}]", latex):
        depth += (token in ("{", r"\left")) - (token in ("}", r"\right"))
        if depth < 0:
            return False
    wrong = r"(?<!\\)[_^]\s*([_^}]|$|\\(left|frac|text))|\^\w\^|(?<!\\)[$]"
    return not depth and not re.search(wrong, latex)


@every(EXAMPLES)
def test_every_primitive_and_its_derivative_is_written_in_all_languages(
    case: Case, example: Example
) -> None:
    for symbol in symbols_in(recorded_call(case, example)):
        for language in LANGUAGES:
            text = write(symbol, language)
            assert text
            assert "$" not in text
        assert is_balanced(write(symbol, "latex")), write(symbol, "latex")
        assert not re.search(r"copy\(|astype", write(symbol, "text"))


#: Their derivatives hold arrays that are not written, as long as they have no name.
WITH_CONSTANTS = {"avg_pool2d"}


@every(EXAMPLES)
def test_text_is_read_as_what_the_primitive_and_its_derivative_compute(
    case: Case, example: Example
) -> None:
    run = recorded_call(case, example)
    names = {value.name: value.array for value in run.values if value.name}
    if (gradient := run.calls[0].output.gradient) is not None:
        names["dY"] = gradient.array
    call, *shares = symbols_in(run)
    for symbol in [call] if case.op.name in WITH_CONSTANTS else [call, *shares]:
        assert_is_read(symbol, names)


def assert_is_read(symbol: Symbol, names: dict[str, Array]) -> None:
    """A reader of the plain text computes what is meant."""
    text = write(symbol, "text")
    with np.errstate(all="ignore"):
        found = read(text, names, symbol.shape)
    np.testing.assert_allclose(found, symbol.array, rtol=1e-4, atol=1e-5, err_msg=text)


def evaluated(text: str, **variables: Any) -> Array:
    """What the code of a formula gives."""
    return eval(text, {"np": np, "ag": ag, **variables})


@every(EXAMPLES)
def test_python_computes_what_the_primitive_and_its_derivative_compute(
    case: Case, example: Example
) -> None:
    run = recorded_call(case, example)
    variables = {value.name: value.array for value in run.values if value.name}
    for symbol in symbols_in(run):
        text = write(symbol, "python")
        if "(...)" in text:
            assert case.op.name in WITH_CONSTANTS
            continue
        gradient = run.calls[0].output.gradient
        found = evaluated(text, dY=gradient and gradient.array, **variables)
        np.testing.assert_allclose(found, symbol.array, rtol=1e-13, atol=1e-15)
        assert np.shape(found) == symbol.shape


# ---- parentheses --------------------------------------------------------------------------------

UNARY = [
    ops.negative,
    ops.square,
    ops.transpose,
    ops.tanh,
    ops.exp,
    activations.sigmoid,
    ops.absolute,
]
BINARY = [ops.add, ops.subtract, ops.multiply, ops.divide, ops.matrix_product]
QUANTITIES = {
    "A1": np.array([[0.6, 1.4], [0.9, 0.7]]),
    "B2": np.array([[1.2, 0.8], [0.5, 1.1]]),
    "m": np.float64(5.0),
}


def expressions() -> st.SearchStrategy[Symbol]:
    """Random expressions of 2 x 2 matrices and numbers."""
    leaves = st.sampled_from(
        [*(named(name, x) for name, x in QUANTITIES.items()), *map(Symbol, (2.0, 1, -1, -0.5))]
    )

    def larger(smaller: st.SearchStrategy[Symbol]) -> st.SearchStrategy[Symbol]:
        return st.one_of(
            st.builds(changed, st.sampled_from(UNARY), smaller),
            st.builds(combined, st.sampled_from(BINARY), smaller, smaller),
        )

    return st.recursive(leaves, larger, max_leaves=8).filter(lambda x: x.primitive is not None)


def changed(op: Any, x: Symbol) -> Symbol:
    """A call with one operand; numbers are not transposed."""
    symbol: Symbol = (ops.negative if op is ops.transpose and not x.shape else op)(x)
    return symbol


def combined(op: Any, a: Symbol, b: Symbol) -> Symbol:
    """A call with two operands; of numbers there is no product of matrices."""
    called = ops.multiply if op is ops.matrix_product and not (a.shape and b.shape) else op
    symbol: Symbol = called(a, b)
    return symbol


@given(expressions())
def test_python_is_the_expression(symbol: Symbol) -> None:
    with np.errstate(all="ignore"):
        for language in ("python", "brief python"):
            text = write(symbol, language)
            assert_same(evaluated(text, **QUANTITIES), symbol, text)


@given(expressions())
def test_text_and_latex_read_as_the_expression(symbol: Symbol) -> None:
    with np.errstate(all="ignore"):
        for language in ("text", "latex"):
            text = write(symbol, language)
            assert is_balanced(text)
            assert_same(Reader(text).value(), symbol, text)


def assert_same(found: Array, symbol: Symbol, text: str) -> None:
    """Equal up to rounding, unless the numbers are too large or too small for that."""
    array = np.asarray(symbol.array)
    if np.all(np.isfinite(array)) and np.max(np.abs(array)) < 1e8:
        np.testing.assert_allclose(
            np.broadcast_to(found, array.shape), array, rtol=1e-6, atol=1e-6, err_msg=text
        )


FUNCTIONS: dict[str, Any] = {
    **{"tanh": np.tanh, "sigmoid": ag.sigmoid, "exp": np.exp, "abs": np.abs}
}


class Reader:
    """Reads formulas as a mathematician does: ``A B`` is a product of matrices."""

    def __init__(self, text: str) -> None:
        for latex, plain in {
            **{
                r"\left|": "abs(",
                r"\right|": ")",
                r"\left": "",
                r"\right": "",
                r"\odot": "(.)",
                r"\,": " ",
            },
            **{r"\tanh": "tanh", r"\sigma": "sigmoid"},
        }.items():
            text = text.replace(latex, plain)
        self.tokens = re.findall(r"\(\.\)|\\frac|\d+(?:\.\d+)?|[A-Za-z]+_?\d*|\S", text)

    def value(self) -> Array:
        """What all of it is."""
        value = self.sum()
        assert not self.tokens
        return value

    def take(self, *wanted: str) -> str:
        """Go on, if one of these comes."""
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else ""

    def sum(self) -> Array:
        """Terms."""
        value = -self.product() if self.take("-") else self.product()
        while sign := self.take("+", "-"):
            term = self.product()
            value = value + term if sign == "+" else value - term
        return value

    def product(self) -> Array:
        """Factors, from the left to the right."""
        value = self.power()
        while self.tokens and self.tokens[0] not in ("+", "-", ")", "}"):
            if self.take("/"):
                value = value / self.power()
            elif self.take("(.)"):
                value = value * self.power()
            else:
                other = self.power()
                matrices = np.ndim(value) and np.ndim(other)
                value = value @ other if matrices else value * other
        return value

    def power(self) -> Array:
        """A square, or a transpose."""
        base = self.atom()
        if self.take("^"):
            base = np.transpose(base) if self.take("T") else base ** self.atom()
        return base

    def atom(self) -> Array:
        """A name, a number, a function or something in brackets."""
        token = self.tokens.pop(0)
        if token in ("(", "{"):
            value = self.sum()
            assert self.take(")" if token == "(" else "}")
            return value
        if token == r"\frac":
            above = self.atom()
            return above / self.atom()
        if token == "e":
            assert self.take("^")
            return np.exp(self.atom())
        if token in FUNCTIONS:
            return FUNCTIONS[token](self.atom())
        if token[0].isdigit():
            return float(token)
        return QUANTITIES[token.replace("_", "")]


# ---- numbers, names, places ---------------------------------------------------------------------

A, B, C = (named(name, QUANTITIES["A1"]) for name in ("A", "B", "C"))
INDEX = named("i", np.array([1, 0]))
m, rate = named("m", 5), named("lambda", np.array(0.1))


@pytest.mark.parametrize(
    ("symbol", "text", "latex"),
    [
        (ops.multiply(1.0, A), "A", "A"),
        (ops.multiply(A, np.ones((1, 1))), "A", "A"),
        (ops.multiply(-1, A), "-A", "-A"),
        (ops.multiply(A, 2), "2 A", "2 A"),
        (ops.multiply(rate, A), "lambda A", r"\lambda A"),
        (ops.multiply(ops.multiply(0.5, A), 3), "1.5 A", "1.5 A"),
        (
            ops.multiply(ops.divide(1, m), ops.matrix_product(A, B)),
            "(1 / m) A B",
            r"\frac{1}{m} A\, B",
        ),
        (ops.divide(ops.matrix_product(A, B), m), "A B / m", r"\frac{A\, B}{m}"),
        (ops.divide(A, 1), "A", "A"),
        (ops.divide(ops.negative(A), m), "-A / m", r"-\frac{A}{m}"),
        (ops.add(A, ops.negative(B)), "A - B", "A - B"),
        (ops.subtract(A, ops.multiply(-2, B)), "A + 2 B", "A + 2 B"),
        (ops.add(A, -3), "A - 3", "A - 3"),
        (ops.negative(ops.negative(A)), "A", "A"),
        (ops.negative(ops.subtract(A, B)), "-(A - B)", r"-\left(A - B\right)"),
        (ops.multiply(1e-5, A), "1e-05 A", r"10^{-5} A"),
        (ops.multiply(2.5e-7, A), "2.5e-07 A", r"2.5 \cdot 10^{-7} A"),
        (ops.square(ops.transpose(A)), "(A^T)^2", r"\left(A^T\right)^2"),
        (ops.matrix_product(A, ops.matrix_product(B, C)), "A B C", r"A\, B\, C"),
        (ops.matrix_product(A, ops.multiply(2, B)), "2 A B", r"2 A\, B"),
        (ops.multiply(A, ops.zeros_like(B)), "0 A", "0 A"),
        (ops.multiply(A, np.inf), "inf A", r"\infty A"),
        (ops.add(A, np.nan), "A + nan", r"A + \mathrm{nan}"),
        (ops.add(A, 1j), "A + 1j", "A + 1j"),
        (
            ops.where(implementations[np.greater](A, 0), B, np.bool_(True)),
            "where(A > 0, B, True)",
            r"[A > 0]\, B + [\lnot \left(A > 0\right)]\, \mathrm{True}",
        ),
        (ops.multiply(A, np.ones((2, 2)) > 0), "A (.) condition", r"A \odot \text{condition}"),
        (ops.multiply(A, np.ones((2, 2))), "A (.) (...)", r"A \odot (\ldots)"),
        (
            ops.getitem(A, key=(slice(0, None, 2), Ellipsis, 1)),
            "A[0::2, ..., 1]",
            r"A[0::2, \ldots, 1]",
        ),
        (ops.getitem(A, INDEX, key=(ops.Index, None)), "A[i, None]", r"A[i, \mathrm{None}]"),
        (ops.getitem(A, key=()), "A", "A"),
        (ops.getitem(A, key=(slice(None), None)), "A", "A"),
        (
            implementations[np.power](A, named("T", 3.0)),
            "pow(A, T)",
            r"\mathrm{pow}\left(A, T\right)",
        ),
    ],
    ids=str,
)
def test_formulas_are_as_simple_as_people_write_them(symbol: Symbol, text: str, latex: str) -> None:
    assert [write(symbol, "text"), write(symbol, "latex")] == [text, latex]


def test_what_follows_a_differential_stands_apart_from_it() -> None:
    dz, x1, w = named("dz", 2.0), named("x1", 3.0), named("w", 4.0)
    assert write(ops.multiply(dz, x1), "latex") == r"dz \,x_1"
    assert write(ops.multiply(w, x1), "latex") == "w x_1"


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("W", "W"),
        ("W1", "W_1"),
        ("W_1", "W_1"),
        ("W12", "W_{12}"),
        ("dW1", "dW_1"),
        ("d", "d"),
        ("lambda", r"\lambda"),
        ("sigma2", r"\sigma_2"),
        ("dtheta", r"d \theta"),
        ("loss", r"\mathrm{loss}"),
        ("loss_2", r"\mathrm{loss}_2"),
        ("layers.0.weight", r"\text{layers.0.weight}"),
        ("A_prev", r"A_{\mathrm{prev}}"),
        ("dA_prev", r"dA_{\mathrm{prev}}"),
        ("Wq", "W_q"),
        ("dWxh", "dW_{xh}"),
        ("AL", "A_L"),
        ("Xhat", r"\hat{X}"),
        ("dx_hat2", r"d \hat{x}_2"),
        ("lambd", r"\lambda"),
        ("eps", r"\epsilon"),
        ("W[l+1]", "W_{l+1}"),
        ("dZ[l]", "dZ_l"),
        ("xs[2]", r"\mathrm{xs}_2"),
        ("[2l-2].weight", r"\text{[2l-2].weight}"),
        ("größe", r"\text{größe}"),
        ("$x^2}", r"\text{\$x\textasciicircum{}2\}}"),
    ],
)
def test_names_are_written_in_latex_as_in_a_lecture(name: str, latex: str) -> None:
    assert latex_name(name) == latex


@pytest.mark.parametrize("name", NAMES)
def test_names_of_all_kinds_stay_text(name: str) -> None:
    symbol = ops.square(named(name, np.ones(2)))
    assert is_balanced(write(symbol, "latex"))
    for language in LANGUAGES:
        assert write(symbol, language).isprintable()


def test_other_texts_can_be_put_in_for_names() -> None:
    numbers = {"A": "2", "B": "-3", "C": "0.5", "m": "4"}
    symbol = ops.add(ops.multiply(ops.multiply(2, m), A), ops.multiply(B, ops.square(B)))

    def leaf(symbol: Symbol) -> str:
        return numbers[symbol.name or ""]

    assert write(symbol, "python", leaf) == "2 * 4 * 2 + -3 * (-3)**2"
    assert write(symbol, "text", leaf) == "2 * 4 * 2 + (-3) (.) (-3)^2"
    assert write(symbol, "latex", leaf) == (
        r"2 \cdot 4 \cdot 2 + \left(-3\right) \odot \left(-3\right)^2"
    )


def test_bookkeeping_is_seen_only_in_code() -> None:
    x = named("x", np.ones((2, 3)))
    symbol = ops.reshape(ops.broadcast_to(ops.copy(x), shape=(1, 2, 3)), shape=(2, 3, 1))
    code = "np.broadcast_to(np.copy(x), shape=(1, 2, 3)).reshape((2, 3, 1))"
    assert write(symbol, "python") == code
    assert [write(symbol, language) for language in ("text", "latex")] == ["x", "x"]
    assert write(symbol, "brief python") == "x"
    assert write(ops.reshape(x, shape=6), "text") == "reshape(x, 6)"


def text_and_latex(symbol: Symbol) -> list[str]:
    """A formula as people read it."""
    assert is_balanced(write(symbol, "latex"))
    return [write(symbol, "text"), write(symbol, "latex")]


X, b, v = named("X", np.ones((2, 3))), named("b", np.ones(3)), named("v", np.ones(3))
ONES = ops.broadcast_to(Symbol(1.0), shape=(2, 4))
TEN, ROW = named("t", np.ones(6)), ops.reshape(v, shape=(1, 3))
COLUMN = ops.reshape(v, shape=(3, 1))
STACK = named("S", np.ones((2, 3, 4)))
ONE_ROW = ops.broadcast_to(Symbol(1), shape=(1, 3))


@pytest.mark.parametrize(
    ("symbol", "text", "latex"),
    [
        (ops.add(X, ops.broadcast_to(b, shape=(2, 3))), "X + b", "X + b"),
        (
            ops.matrix_product(ops.transpose(X), ONES),
            "X^T ones(2, 4)",
            r"X^T\, \mathbf{1}_{2 \times 4}",
        ),
        (
            ops.matrix_product(ops.transpose(X), ops.multiply(m, ONES)),
            "X^T (m ones(2, 4))",
            r"X^T\, \left(m \mathbf{1}_{2 \times 4}\right)",
        ),
        (
            ops.matrix_product(X, ops.broadcast_to(Symbol(0.0), shape=(3, 1))),
            "X zeros(3, 1)",
            r"X\, \mathbf{0}_{3 \times 1}",
        ),
        (
            ops.reduce_sum(ops.broadcast_to(b, shape=(2, 3)), axis=0),
            "sum(broadcast(b, 2 x 3), axis=0)",
            r"\textstyle\sum_{\text{axis 0}} \mathrm{broadcast}_{2 \times 3}\left(b\right)",
        ),
        (
            ops.reduce_sum(ops.add(X, ops.broadcast_to(b, shape=(2, 3))), axis=0),
            "sum(X + b, axis=0)",
            r"\textstyle\sum_{\text{axis 0}} \left(X + b\right)",
        ),
        (ops.reduce_sum(COLUMN), "sum(v)", r"\textstyle\sum v"),
        (ops.reduce_sum(ROW, axis=0), "v", "v"),
        (ops.subtract(COLUMN, ROW), "v[:, None] - v", r"v[:, \mathrm{None}] - v"),
        (ops.matrix_product(COLUMN, ROW), "v v^T", r"v\, v^T"),
        (ops.matrix_product(ROW, COLUMN), "v^T v", r"v^T\, v"),
        (ops.matrix_product(X, COLUMN), "X v", r"X\, v"),
        (ops.matrix_product(ROW, ops.transpose(X)), "v^T X^T", r"v^T\, X^T"),
        (
            ops.matrix_product(ops.reshape(TEN, shape=(2, 3)), COLUMN),
            "reshape(t, 2 x 3) v",
            r"\mathrm{reshape}_{2 \times 3}\left(t\right)\, v",
        ),
        (
            ops.multiply(b, ops.reduce_sum(named("Q", np.ones((3, 3))), axis=1)),
            "b (.) sum(Q, axis=1)",
            r"b \odot \left(\textstyle\sum_{\text{axis 1}} Q\right)",
        ),
        (
            ops.multiply(named("Q", np.ones((3, 3))), ops.reduce_sum(X, axis=0)),
            "Q (.) sum(X, axis=0)",
            r"Q \odot \left(\textstyle\sum_{\text{axis 0}} X\right)",
        ),
        (
            ops.multiply(A, ops.reduce_sum(B, axis=1)),
            "A (.) sum(B, axis=1)",
            r"A \odot \left(\textstyle\sum_{\text{axis 1}} B\right)",
        ),
        (ops.join(b, v, axis=0), "[b, v]", "[b, v]"),
        (ops.join(A, B, axis=0), "concatenate(A, B, axis=0)", r"[A, B]_{\text{axis 0}}"),
        (ops.join(A, B, axis=-1), "concatenate(A, B, axis=1)", r"[A, B]_{\text{axis 1}}"),
        (
            ops.join(ROW, ROW, axis=0),
            "stack(v, v, axis=0)",
            r"\mathrm{stack}_{\text{axis 0}}\left(v, v\right)",
        ),
        (
            ops.join(COLUMN, COLUMN, axis=1),
            "stack(v, v, axis=1)",
            r"\mathrm{stack}_{\text{axis 1}}\left(v, v\right)",
        ),
        (ops.join(ONE_ROW, X, axis=0), "[ones(1, 3), X]", r"[\mathbf{1}_{1 \times 3}, X]"),
        (
            ops.reduce_sum(ops.join(ONE_ROW, X, axis=0)),
            "sum([ones(1, 3), X])",
            r"\textstyle\sum [\mathbf{1}_{1 \times 3}, X]",
        ),
        (
            ops.matrix_product(named("P", np.ones((2, 3))), ops.join(ONE_ROW, X, axis=0)),
            "P [ones(1, 3), X]",
            r"P\, [\mathbf{1}_{1 \times 3}, X]",
        ),
        (
            ops.reshape(ops.broadcast_to(b, shape=(2, 3)), shape=(6,)),
            "reshape(broadcast(b, 2 x 3), 6)",
            r"\mathrm{reshape}_{6}\left(\mathrm{broadcast}_{2 \times 3}\left(b\right)\right)",
        ),
        (ops.matrix_product(ops.reshape(rate, shape=(1, 1)), ROW), "lambda v", r"\lambda v"),
        (
            ops.matrix_product(ops.reshape(ops.reduce_sum(X, axis=1), shape=(1, 2)), X),
            "sum(X, axis=1)^T X",
            r"\left(\textstyle\sum_{\text{axis 1}} X\right)^T\, X",
        ),
        (
            ops.add(ops.reduce_sum(STACK, axis=2, keepdims=True), named("y", np.ones((3, 1)))),
            "sum(S, axis=2, keepdims=True) + y",
            r"\textstyle\sum_{\text{axis 2, keepdims}} S + y",
        ),
        (ops.convert(X, dtype=np.dtype(np.int64)), "int(X)", r"\mathrm{int}\left(X\right)"),
        (ops.convert(X, dtype=np.dtype(np.float32)), "X", "X"),
        (
            ops.scatter(v, key=(0,), shape=(2, 3)),
            "scatter(v, [0], 2 x 3)",
            r"\mathrm{scatter}_{2 \times 3}\left(v, [0]\right)",
        ),
        (
            ops.reduce_sum(ops.scatter(v, key=(0,), shape=(2, 3)), axis=0),
            "sum(scatter(v, [0], 2 x 3), axis=0)",
            r"\textstyle\sum_{\text{axis 0}} \mathrm{scatter}_{2 \times 3}\left(v, [0]\right)",
        ),
        (
            numpy_functions.norm(X, axis=0),
            "norm(X, axis=0)",
            r"\left\lVert X \right\rVert_{2,\,\text{axis 0}}",
        ),
        (
            activations.leaky_relu(X, negative_slope=2.0),
            "leaky_relu(X, negative_slope=2.0)",
            r"\mathrm{LeakyReLU}_{2.0}\left(X\right)",
        ),
    ],
    ids=str,
)
def test_bookkeeping_is_written_where_it_changes_what_is_computed(
    symbol: Symbol, text: str, latex: str
) -> None:
    assert text_and_latex(symbol) == [text, latex]


def test_reports_show_bookkeeping_where_code_would_not_run_or_mean_something_else() -> None:
    def code(symbol: Symbol) -> str:
        return write(symbol, "brief python")

    assert code(ops.matrix_product(X, COLUMN)) == "X @ v"
    assert code(ops.matrix_product(ROW, ops.transpose(X))) == "v @ X.T"
    assert code(ops.matrix_product(COLUMN, ROW)) == "v[:, None] @ v[None, :]"
    assert code(ops.matrix_product(ops.transpose(X), ONES)) == "X.T @ np.ones((2, 4))"
    assert code(ops.subtract(COLUMN, ROW)) == "v[:, None] - v"
    repeated = ops.broadcast_to(b, shape=(2, 3))
    assert code(ops.reduce_sum(repeated, axis=0)) == "np.sum(np.broadcast_to(b, (2, 3)), axis=0)"
    assert code(ops.reshape(ops.tanh(TEN), shape=(2, 3))) == "np.tanh(t).reshape((2, 3))"
    assert code(ops.convert(X, dtype=np.dtype(np.int64))) == "X.astype(np.int64)"


def test_a_layer_of_one_example_is_a_product_with_a_column() -> None:
    layer = ag.nn.Linear(3, 2, rng=np.random.default_rng(0))
    x = ag.Tensor(np.ones(3))
    with ag.trace() as run:
        z = layer(x)
        np.sum(np.tanh(z)).backward()
    run.name({"x": x, "z": z, "W": layer.weight, "b": layer.bias})
    g = {gradient_value(run["z"]): named("dz", gradient_value(run["z"]).array)}
    assert text_and_latex(definition_of(run["z"])) == ["W x + b", r"W\, x + b"]
    assert text_and_latex(gradient_of(run["W"], g)) == ["dz x^T", r"dz\, x^T"]
    assert text_and_latex(gradient_of(run["b"], g)) == ["dz", "dz"]


def test_classes_are_zeros_and_ones_where_they_are_subtracted() -> None:
    Z, rng = ag.Tensor(np.ones((4, 3)), requires_grad=True, name="Z"), np.random.default_rng(0)
    texts = []
    targets = np.array([0, 2, 1, 1]), np.eye(3)[[0, 2, 1, 1]], rng.random((4, 3))
    for t in targets:
        with ag.trace() as run:
            J = ag.nn.functional.cross_entropy(Z, t, reduction="sum")
            J.backward()
        run.name({"t": t})
        texts.append(text_and_latex(gradient_of(run["Z"])))
    softmax = r"\mathrm{softmax}\left(Z\right)"
    assert texts == [
        ["softmax(Z) - onehot(t)", rf"{softmax} - \mathrm{{onehot}}\left(t\right)"],
        ["softmax(Z) - t", f"{softmax} - t"],
        [
            "softmax(Z) (.) sum(t, axis=-1, keepdims=True) - t",
            rf"{softmax} \odot \mathrm{{sum}}\left(t, \mathrm{{axis}}=-1, "
            r"\mathrm{keepdims}=\mathrm{True}\right) - t",
        ],
    ]
    assert write(definition_of(run[J]), "latex").startswith(r"\mathrm{CE}_{\text{sum}}")


def test_a_convolution_has_a_bias_if_it_is_given_one() -> None:
    x, w, b = (
        named(*pair)
        for pair in (("x", np.ones((1, 2, 4, 4))), ("w", np.ones((3, 2, 2, 2))), ("b", np.ones(3)))
    )
    none = ops.broadcast_to(Symbol(np.False_), shape=(3,))
    options = {"stride": 2, "padding": 0}
    assert text_and_latex(convolution(x, w, none, **options)) == [
        "conv2d(x, w, stride=2, padding=0)",
        r"x \star_{\text{stride 2}} w",
    ]
    options["stride"] = 1
    assert text_and_latex(convolution(x, w, Symbol(np.zeros(3, bool)), **options)) == [
        "conv2d(x, w, stride=1, padding=0)",
        r"x \star w",
    ]
    assert text_and_latex(convolution(x, w, b, **options))[1] == r"x \star w + b"
    pool = max_pooling(x, kernel_size=2, stride=1, padding=0)
    assert write(pool, "latex") == r"\mathrm{maxpool}_{\text{kernel 2, stride 1}}\left(x\right)"


@pytest.mark.parametrize(
    ("stride", "words"), [(None, ""), (1, ", stride 1"), (2, ""), ((2, 1), ", stride (2, 1)")]
)
def test_a_pool_and_its_inverse_have_one_subscript(stride: Any, words: str) -> None:
    def cost(at: Recorded, x: Any) -> Any:
        at["y"] = y = ag.nn.functional.max_pool2d(x, 2, stride=stride)
        return np.sum(y)

    recorded = Recorded(cost, x=np.arange(16.0).reshape(1, 1, 4, 4))
    latex = recorded.gradient("x", "latex", "y")
    pool = rf"\mathrm{{maxpool}}_{{\text{{kernel 2{words}}}}}"
    said = rf",\,\text{{{words[2:]}}}" if words else ""
    assert latex == rf"\mathrm{{unpool}}_{{[x = y]{said}}} \left(dy\right)"
    assert write(definition_of(recorded.run["y"]), "latex") == rf"{pool}\left(x\right)"


def test_sums_one_after_the_other_are_one_sum() -> None:
    def cost(at: Recorded, weight: Any, bias: Any) -> Any:
        at["f"] = f = ag.nn.functional.conv2d(np.ones((2, 1, 4, 4)), weight, bias)
        return np.sum(f**2)

    recorded = Recorded(cost, weight=np.ones((3, 1, 2, 2)), bias=np.zeros(3))
    assert recorded.gradient("bias", "text", "f") == "sum(df, axis=(0, 2, 3))"
    assert recorded.gradient("bias", "latex", "f") == r"\textstyle\sum_{\text{axes 0, 2, 3}} df"
    x = named("x", np.ones((2, 3, 4)))
    kept = ops.reduce_sum(x, axis=1, keepdims=True)
    assert write(ops.reduce_sum(kept, axis=(0,), keepdims=False), "text") == (
        "sum(sum(x, axis=1, keepdims=True), axis=0)"
    )


def test_two_numbers_are_one_where_code_need_not_be_exact() -> None:
    symbol = ops.multiply(0.5, ops.multiply(ops.multiply(3, A), B))
    assert write(symbol, "python") == "0.5 * (3 * A * B)"
    assert write(symbol, "brief python") == "1.5 * A * B"
    symbol = ops.multiply(2, ops.multiply(0.5, ops.multiply(3, ops.add(A, B))))
    assert write(symbol, "brief python") == "3 * (A + B)"


def test_stacks_of_matrices_are_transposed_one_by_one() -> None:
    x = named("x", np.ones((2, 3, 4)))
    swapped, other = ops.transpose(x, axes=(0, 2, 1)), ops.transpose(x)
    assert [write(swapped, language) for language in LANGUAGES] == ["x.mT", "x^T", "x^T"]
    assert [write(other, language) for language in LANGUAGES] == [
        *("x.T", "transpose(x)", r"\mathrm{transpose}_{2,\,1,\,0}\left(x\right)")
    ]
    vector = ops.transpose(named("v", np.ones(3)))
    assert [write(vector, language) for language in LANGUAGES] == ["v.T", "v", "v"]


def test_small_arrays_without_a_name_are_in_the_code() -> None:
    some = np.array([[1.0, np.inf]], np.float32)
    text = write(ops.add(A, Symbol(some)), "python")
    assert text == "A + np.array([[1.0, np.inf]], np.float32)"
    assert write(ops.add(A, np.array([1, 2])), "python") == "A + np.array([1, 2])"
    assert write(ops.add(named("b", 1.0), np.ones(100)), "python") == "b + (...)"
    assert write(ops.add(A, np.array(-np.inf)), "python") == "A + -np.inf"


def test_an_op_of_somebody_is_written_by_its_own_template() -> None:
    cube = ag.elementwise(lambda x: x**3, "$x^3", name="cube", x=lambda g, x: g * 3 * x**2)
    gate = ag.primitive(r"\mathrm{gate}(${a}; $b)", name="gate")(lambda a, b: a * b)
    symbol = cube(ops.add(A, B))
    assert write(symbol, "python") == "cube(A + B)"
    assert write(symbol, "text") == "(A + B)^3"
    assert write(symbol, "latex") == r"\left(A + B\right)^3"
    assert write(ops.matrix_product(symbol, A), "latex") == r"\left(A + B\right)^3\, A"
    assert is_balanced(write(gate(A, B), "latex"))


def test_an_op_of_somebody_is_written_by_the_facts_of_its_declaration() -> None:
    times = ag.elementwise(lambda u, v: u * v, r"$u \odot $v", "$u * $v", name="times")

    @ag.primitive(r"\mathrm{mean} $values", "np.mean", kind="reduction", name="average")
    def average(values: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
        return np.mean(values, axis=axis, keepdims=keepdims)

    symbol = times(times(2.0, ops.add(A, B)), ops.negative(B))
    assert [write(symbol, language) for language in LANGUAGES] == [
        "2 * (A + B) * -B",
        "-2 (A + B) (.) B",
        r"-2 \left(A + B\right) \odot B",
    ]
    symbol = ops.multiply(average(times(1.0, A), axis=0, keepdims=True), B)
    assert [write(symbol, language) for language in LANGUAGES] == [
        "np.mean(A, axis=0, keepdims=True) * B",
        "average(A, axis=0, keepdims=True) (.) B",
        r"\mathrm{mean}_{\text{axis 0, keepdims}} \left(A\right) \odot B",
    ]


def test_reductions_without_an_axis_and_along_none() -> None:
    nothing = ops.reduce_sum(A, axis=())
    assert write(nothing, "latex") == r"\textstyle\sum_{\text{axes none}} A"
    product = ops.multiply(ops.reduce_sum(A, axis=0), B)
    assert write(product, "text") == "sum(A, axis=0) (.) B"
    assert write(product, "latex") == r"\left(\textstyle\sum_{\text{axis 0}} A\right) \odot B"
    product = contraction(A, B, subscripts="ij,ij")
    assert write(product, "latex") == r"\mathrm{einsum}_{\text{ij,ij}}\left(A, B\right)"


def test_a_language_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="brief python, text, latex, not in 'html'"):
        write(A, "html")


# ---- random programs ----------------------------------------------------------------------------

SHAPES = [
    (),
    (1,),
    (2,),
    (3,),
    (2, 3),
    (3, 2),
    (3, 3),
    (3, 1),
    (1, 3),
    (1, 1),
    (2, 2, 3),
    (2, 1, 3),
]
#: What changes an array; some raise an error for some shapes.
CHANGES: list[Callable[[Any], Any]] = [
    *(np.tanh, np.negative, np.transpose, np.sum, np.squeeze, ag.softmax, np.linalg.norm),
    *(lambda a: 2 * a, lambda a: a + 1.0, lambda a: a - np.mean(a), lambda a: a**2),
    *(lambda a: np.sum(a, axis=0), lambda a: np.sum(a, axis=-1, keepdims=True)),
    *(lambda a: np.sum(a, axis=-1), lambda a: np.max(a, axis=0), lambda a: np.max(a, axis=1)),
    *(lambda a: np.mean(a, axis=1, keepdims=True), lambda a: ag.logsumexp(a, axis=0)),
    *(lambda a: a.reshape(-1), lambda a: a[..., None], lambda a: a[None], lambda a: a[:, None]),
    *(lambda a: a.reshape((-1, 1)), lambda a: a.reshape((1, -1)), lambda a: a.reshape((3, -1))),
    *(lambda a: a[0], lambda a: a[..., 1:], lambda a: a[..., ::-1], lambda a: a[np.array([0, 0])]),
    *(lambda a: np.broadcast_to(a, (2, *a.shape)), lambda a: a.swapaxes(0, -1)),
    *(lambda a: a * np.ones(3), lambda a: a * np.ones((3, 1)), lambda a: np.stack([a, 2 * a])),
    *(lambda a: np.concatenate([np.ones((1, *a.shape[1:])), a]), lambda a: np.cumsum(a, axis=0)),
    *(lambda a: np.concatenate([a, np.zeros((*a.shape[:-1], 1))], axis=-1),),
    *(lambda a: a @ np.ones((a.shape[-1], 2)), lambda a: np.ones((2, a.shape[0])) @ a),
    *(lambda a: np.where(a > 0, a, 0.5), lambda a: a * (a > 0), lambda a: a * np.zeros(a.shape)),
]
#: What makes one array of two.
COMBINATIONS: list[Callable[[Any, Any], Any]] = [
    *(np.add, np.subtract, np.multiply, np.matmul, np.maximum, np.outer, np.dot),
    *(lambda a, b: a.T @ b, lambda a, b: a @ b.T, lambda a, b: a / (1 + b**2)),
    *(lambda a, b: a[:, None] * b[None], lambda a, b: a[None] - b[:, None]),
    *(lambda a, b: np.stack([a, b]), lambda a, b: np.stack([a, b], axis=-1)),
    *(lambda a, b: np.concatenate([a, b]), lambda a, b: np.concatenate([a, b], axis=-1)),
    *(lambda a, b: np.where(a > b, a, b), lambda a, b: np.einsum("i,j->ij", a, b)),
]


@st.composite
def programs(draw: Any) -> ag.Trace:
    """Runs of random programs over arrays of all kinds of shapes, differentiated."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = [
        ag.Tensor(rng.normal(size=draw(st.sampled_from(SHAPES))), requires_grad=True)
        for _ in range(3)
    ]
    names = dict(zip("ABC", values, strict=True))
    with ag.trace() as run, np.errstate(all="ignore"):
        for step in range(draw(st.integers(1, 8))):
            function: Any = draw(st.sampled_from([*CHANGES, *COMBINATIONS]))
            operands = [
                draw(st.sampled_from(values)) for _ in range(1 + (function in COMBINATIONS))
            ]
            try:
                value = function(*operands)
            except (ValueError, IndexError, TypeError):  # not for these shapes
                continue
            if 0 < value.size <= 60:
                values.append(value)
                names |= {f"V{step}": value} if draw(st.integers(0, 4)) == 0 else {}
        J = np.sum(np.tanh(values[-1]))
        J.backward()
    run.name({**names, "J": J})
    for i, value in enumerate(run.values):
        if value.call is None and not value.name and value.array.size > 1:
            value.name = f"c{i}"
    return run


@given(programs())
@settings(max_examples=150, deadline=None)
def test_random_programs_and_their_gradients_are_read_as_they_are_meant(run: ag.Trace) -> None:
    known = {value.name: value.array for value in run.values if value.name}
    for value in run.values:
        if value.name and value.call:
            assert_is_read(definition_of(value), known)
        if value.name and value.shares:
            assert_is_read(gradient_of(value), known)


@given(programs())
@settings(max_examples=100, deadline=None)
def test_code_of_random_programs_is_valid_with_and_without_bookkeeping(run: ag.Trace) -> None:
    known = {value.name: value.array for value in run.values if value.name}
    for value in run.values:
        if value.name and value.shares:
            symbol = gradient_of(value)
            for language in ("python", "brief python"):
                text = write(symbol, language)
                found = evaluated(text, **known)
                if language == "python":
                    assert np.shape(found) == symbol.shape
                elif np.size(found) == symbol.array.size:
                    found = np.reshape(found, symbol.shape)
                truth = np.broadcast_to(
                    symbol.array, np.broadcast_shapes(np.shape(found), symbol.shape)
                )
                np.testing.assert_allclose(
                    np.broadcast_to(found, truth.shape), truth, rtol=1e-7, atol=1e-9, err_msg=text
                )


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("X^T", (3, 4)),  # what it should be is X^T ones(2, 4)
        ("x - x", (3, 3)),
        ("x w^T", (2, 2)),
        ("[1, X] + sum([1, X])", (3, 3)),
        ("sum(scatter(x, [1]))", ()),
        ("a (...)", ()),
    ],
)
def test_a_reader_notices_what_is_left_out(text: str, shape: tuple[int, ...]) -> None:
    names = {"X": np.ones((2, 3)), "x": np.arange(3.0), "w": np.ones(2), "a": np.float64(2)}
    right = np.full(shape, np.pi)
    with pytest.raises((UnreadableError, ValueError, AssertionError)):
        np.testing.assert_allclose(read(text, names, shape), right)


# ---- runs ---------------------------------------------------------------------------------------


def test_symbols_have_the_arrays_of_the_run(net: Recorded) -> None:
    for call in net.run.forward:
        symbol = definition_of(call.output)
        assert symbol.array is call.output.array
        assert "symbol" in repr(symbol)
    other = {net.run["Z1"]: named("Z1", np.zeros((4, 5)))}
    np.testing.assert_array_equal(definition_of(net.run["A1"], other).array, np.zeros((4, 5)))
    assert write(definition_of(net.run["X"]), "text") == "X"
    assert write(symbol_of(2.5), "text") == "2.5"


def test_what_is_too_deep_is_left_out() -> None:
    w = ag.Tensor(np.ones(3), requires_grad=True, name="w")
    with ag.trace() as run:
        y = np.sin(np.cos(np.tanh(w))) + w
    value = run[y]
    texts = [write(symbol_of(value, deepest=depth), "text") for depth in (1, 2, 3, 4, None)]
    assert texts[:2] == ["(...) + w", "sin((...)) + w"]
    assert texts[2] == "sin(cos((...))) + w"
    assert texts[3] == texts[4] == "sin(cos(tanh(w))) + w"


DEPTH = 20_000


@pytest.mark.slow
def test_chains_of_any_length_are_written() -> None:
    w = ag.Tensor(1.0, requires_grad=True, name="w")
    with ag.trace() as run:
        y: Any = w
        for _ in range(DEPTH // 2):
            y = np.sin(y) * 1.0
        y.backward()
    symbol = symbol_of(run[y])
    text = write(symbol, "text", longest=10_000_000)
    assert text == "sin(" * (DEPTH // 2) + "w" + ")" * (DEPTH // 2)
    assert len(write(symbol, "latex")) <= 100_100
    assert set(write(symbol, "text", longest=20)) <= {*"sin(.)"}
    gradient = gradient_of(run[w])
    np.testing.assert_array_equal(gradient.array, gradient_value(run[w]).array)
    for language in LANGUAGES:
        assert len(write(gradient, language)) <= 100_100


def test_sums_of_themselves_do_not_blow_up() -> None:
    w = ag.Tensor(1.0, requires_grad=True, name="w")
    with ag.trace() as run:
        y: Any = w
        for _ in range(64):
            y = y + y
        y.backward()
    for language in LANGUAGES:
        assert len(write(symbol_of(run[y]), language)) <= 100_100
        assert len(write(gradient_of(run[w]), language)) <= 100_100
