"""Expressions over the arrays of a run, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case, Example
from hypothesis import given
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini.core import ops
from autograd_mini.symbols import (
    Symbol,
    definition_of,
    gradient_of,
    latex_name,
    named,
    share_of,
    symbol_of,
    write,
)
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
            "-dL * Y / A2 - -dL * (1 - Y) / (1 - A2)",
            "-(dL (.) Y) / A2 + (dL (.) (1 - Y)) / (1 - A2)",
            r"-\frac{dL \odot Y}{A_2} + \frac{dL \odot \left(1 - Y\right)}{1 - A_2}",
        ),
    ],
)
def test_the_backward_pass_reads_like_the_lecture(
    net: Recorded, name: str, known: str, python: str, text: str, latex: str
) -> None:
    assert [net.gradient(name, language, known) for language in LANGUAGES] == [python, text, latex]
