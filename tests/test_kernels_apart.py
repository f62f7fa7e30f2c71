"""Kernels taken apart by running them: which do, which stay whole, and that nobody notices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.trace.kernels_apart import KernelCall, noted_run

Array = Any
X = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.0]])


def calls(kernel: Any, *operands: Any, **statics: Any) -> list[str] | None:
    """The names of the calls that a kernel consists of, those first that others use."""
    apart = noted_run(kernel, operands or (X,), statics)
    found: list[KernelCall] = []

    def visit(part: KernelCall) -> None:
        if part not in found:
            for x in part.parts:
                visit(x)
            found.append(part)

    if apart is None:
        return None
    visit(apart.result)
    names = [
        x.args[1] if x.function.__name__ == "call_method" else x.function.__name__
        for x in found
        if x.function
    ]
    return [*map(str, names)]


def test_operators_functions_methods_and_attributes_are_noted() -> None:
    assert calls(lambda x: np.exp(x).sum(axis=0) + x.T[0, 0] ** 2) == [
        *("exp", "sum", "getattr", "getitem", "pow", "add")
    ]
    assert calls(lambda x: 1 - abs(-x)) == ["negative", "absolute", "subtract"]
    assert calls(lambda x: X + x) == ["add"]
    assert calls(lambda x: np.add.reduce(x, axis=0)) == ["reduce"]
    assert calls(lambda x: np.concatenate(np.linalg.qr(x)), X.T) is not None
    assert calls(lambda x: x[np.arange(2), x.argmax(axis=1)]) == ["argmax", "getitem"]


def test_ops_in_kernels_are_calls_of_their_own() -> None:
    assert calls(lambda x: ag.sigmoid(x) * 2) == ["sigmoid", "multiply"]


def test_branches_on_shapes_and_dtypes_are_taken() -> None:
    def kernel(x: Array) -> Array:
        x = x if x.dtype.kind == "f" and np.ndim(x) == 2 else x.astype(float)
        return np.sin(x) if len(x) == 2 and x.size else x

    assert calls(kernel) == ["sin"]


def test_what_is_written_into_an_array_of_the_kernels_own_is_its_new_value() -> None:
    def kernel(x: Array) -> Array:
        y = np.exp(x)
        z = y
        np.multiply(y, 2, out=y)
        y += x
        return z - np.square(x)

    assert calls(kernel) == ["exp", "multiply", "add", "square", "subtract"]


@pytest.mark.parametrize(
    "write",
    [
        lambda x, y: y.T.__iadd__(1),
        lambda x, y: y.T.__iadd__(np.maximum(x.T - 9, 0)),  # others do not see it yet
        lambda x, y: y.astype(np.float32).__iadd__(x * 0),
        lambda x, y: x.__iadd__(1),
        lambda x, y: y.__setitem__(0, 1),
        lambda x, y: np.exp(x, out=np.empty((2, 3))),
        lambda x, y: y.sort(),
        lambda x, y: np.copyto(y, x),
    ],
)
def test_a_kernel_that_writes_elsewhere_stays_whole(write: Any) -> None:
    def kernel(x: Array) -> Array:
        y = np.exp(x)
        write(x, y)
        return y * 2

    before = X.copy()
    assert calls(kernel) is None
    assert X.tobytes() == before.tobytes()


@pytest.mark.parametrize(
    "kernel",
    [
        lambda x: x if x.max() > 1 else -x,
        lambda x: x * float(x[0, 0]),
        lambda x: x * x.tolist()[0][0],
        lambda x: x * x[0, 0].item(),
        lambda x: x * np.asarray(x),
        lambda x: x * np.asarray(x).sum(),  # of Python's objects, one after the other
        lambda x: x[int(x[1, 0])],
        lambda x: x * np.array_equal(x, x),
        lambda x: x * (0.5 in x),
        lambda x: np.array([np.sum(x)]),
        lambda x: x.flags.writeable * x,
        lambda x: np.linalg.cholesky(-x @ x.T) if x.max() > 9 else x * 2,  # which would fail
        lambda x: "x",
        lambda x: x.nothing,
    ],
)
def test_a_kernel_that_looks_at_values_or_is_none_stays_whole(kernel: Any) -> None:
    assert calls(kernel) is None


def test_a_kernel_that_says_what_becomes_of_overflows_stays_whole() -> None:
    def kernel(x: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(x)

    assert calls(kernel, np.abs(X)) is None


def test_a_kernel_that_does_something_else_on_arrays_stays_whole() -> None:
    assert calls(lambda x: np.exp(x) * (1 + 1e-15 * isinstance(x, np.ndarray))) is None
    assert calls(lambda x: np.exp(x).copy("F" if isinstance(x, np.ndarray) else "C")) is None


def test_a_truth_value_that_decides_whether_a_kernel_raises_is_a_check() -> None:
    def kernel(x: Array) -> Array:
        if x.min() < -9:
            raise ValueError(f"{x.min():.3f} is below {-9}")
        is_fine = x.max() < 9 and (x != 7).all()
        if not is_fine:
            raise IndexError("7")
        return x * 2

    apart = noted_run(kernel, [X], {})
    assert apart is not None
    found = [(x.is_true, type(x.error).__name__, str(x.error)) for x in apart.checks]
    assert found == [
        (False, "ValueError", "... is below -9"),
        (True, "IndexError", "7"),
        (True, "IndexError", "7"),
    ]


def test_what_a_kernel_keeps_is_no_less_than_an_array() -> None:
    kept: dict[str, Any] = {}

    def kernel(x: Array) -> Array:
        kept["all"] = [*kept.get("all", []), np.exp(x)]
        kept["most"] = [*kept.get("most", []), x.max()]
        kept["mean"] = 0.9 * kept.get("mean", 0) + 0.1 * x.mean()
        return x * 2

    assert calls(kernel) == ["multiply"]
    first, second = kept["all"]
    assert not isinstance(first, np.ndarray)
    first[0] = 7
    np.testing.assert_array_equal(np.asarray(first)[0], [7, 7, 7])
    np.testing.assert_array_equal(first[1] + 1, second[1] + 1)
    assert float(first[0, 1]) == 7
    assert float(first.sum()) == 21 + second[1].sum()
    assert float(kept["most"][0]) == 2
    kernel(X)
    assert float(kept["mean"]) == pytest.approx(0.271 * X.mean())
    assert isinstance(kept["mean"], np.floating)


def test_nobody_is_warned_of_what_a_kernel_does_when_it_is_taken_apart() -> None:
    with np.errstate(all="raise"):
        assert calls(lambda x: np.log(x * 0) / x) == ["multiply", "log", "divide"]
    assert calls(lambda x: np.nanmean(x * np.nan, axis=0)) is not None
