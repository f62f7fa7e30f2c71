"""`numpy.linalg` on Tensors: values are NumPy's, derivatives those of finite differences.

The rules of single ops are tested in `test_ops.py` by the rows of `cases.py`; here are functions
that people call, what `autograd_mini.linalg` says of the edges of their domains, and errors.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag

RNG = np.random.default_rng(14)
REGULAR = RNG.uniform(-1, 1, (3, 3)) + 2 * np.eye(3)
STACK = RNG.uniform(-1, 1, (2, 3, 3)) + 2 * np.eye(3)
TALL, WIDE = RNG.standard_normal((4, 3)), RNG.standard_normal((2, 4))
DEFICIENT = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])  # of rank 1
SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])


def symmetric(a: Any) -> Any:
    """Positive definite, made of any matrices."""
    return a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1])


def rebuilt(u: Any, s: Any, vt: Any) -> Any:
    """Exp of the singular values between the vectors: independent of the signs of these."""
    return u @ (np.exp(s)[..., None] * vt)


def of_symmetric(a: Any) -> Any:
    """The logarithm of a matrix by its eigenvalues, which no sign of an eigenvector changes."""
    w, v = np.linalg.eigh(symmetric(a))
    return v @ (np.log(w)[..., None] * np.swapaxes(v, -1, -2))


#: What is differentiated twice and compared with finite differences.
SMOOTH: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "solve": (np.linalg.solve, (REGULAR, np.ones(3))),
    "solve of a stack": (np.linalg.solve, (STACK, RNG.standard_normal((3, 2)))),
    "inv": (np.linalg.inv, (STACK,)),
    "det": (np.linalg.det, (STACK,)),
    "det of a singular matrix": (np.linalg.det, (SINGULAR,)),
    "det of zeros": (np.linalg.det, (np.zeros((3, 3)),)),
    "det of a matrix of 1 by 1": (np.linalg.det, (np.array([[2.0]]),)),
    "slogdet": (lambda a: np.linalg.slogdet(a).logabsdet, (STACK,)),
    "cholesky": (lambda a: np.linalg.cholesky(symmetric(a)), (STACK,)),
    "cholesky, upper": (lambda a: np.linalg.cholesky(symmetric(a), upper=True), (REGULAR,)),
    "eigvalsh": (lambda a: np.linalg.eigvalsh(symmetric(a)), (STACK,)),
    "eigvalsh of the upper triangle": (lambda a: np.linalg.eigvalsh(a, "U"), (REGULAR,)),
    "eigh": (of_symmetric, (STACK,)),
    "eigh of the upper triangle": (lambda a: abs(np.linalg.eigh(a, "U")[1]), (REGULAR,)),
    "svd": (lambda a: rebuilt(*np.linalg.svd(a)), (STACK,)),
    "svd of a tall matrix": (lambda a: rebuilt(*np.linalg.svd(a, full_matrices=False)), (TALL,)),
    "svd of a wide matrix": (lambda a: rebuilt(*np.linalg.svd(a, full_matrices=False)), (WIDE,)),
    "svd without vectors": (lambda a: np.linalg.svd(a, compute_uv=False), (TALL,)),
    "svdvals": (np.linalg.svdvals, (WIDE,)),
    "qr, Q": (lambda a: np.linalg.qr(a).Q, (TALL,)),
    "qr, R": (lambda a: np.linalg.qr(a, mode="r"), (TALL,)),
    "qr of a wide matrix": (lambda a: np.linalg.qr(a).R, (WIDE,)),
    "qr, complete": (lambda a: np.linalg.qr(a, "complete").Q, (REGULAR,)),
    "pinv of a tall matrix": (np.linalg.pinv, (TALL,)),
    "pinv of a wide matrix": (np.linalg.pinv, (WIDE,)),
    "lstsq of a tall matrix": (lambda a, b: np.linalg.lstsq(a, b)[0], (TALL, np.arange(4.0))),
    "lstsq of a wide matrix": (lambda a, b: np.linalg.lstsq(a, b)[0], (WIDE, np.eye(2))),
    "what lstsq leaves": (lambda a, b: np.linalg.lstsq(a, b)[1], (TALL, np.arange(4.0))),
    "lstsq by b": (lambda b: np.linalg.lstsq(DEFICIENT, b)[0], (np.arange(3.0),)),
    **{
        f"matrix_power {n}": (lambda a, n=n: np.linalg.matrix_power(a, n), (STACK,))
        for n in (-3, -1, 0, 1, 2, 5)
    },
    "multi_dot": (lambda *x: np.linalg.multi_dot(x), (np.ones(4), TALL, REGULAR, np.arange(3.0))),
    "multi_dot of matrices": (lambda *x: np.linalg.multi_dot(x), (WIDE, TALL, REGULAR)),
    **{
        f"norm of order {order}": (lambda a, o=order: np.linalg.norm(a, o), (TALL,))
        for order in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    },
    "norm over two axes": (
        lambda a: np.linalg.norm(a, "nuc", axis=(2, 0), keepdims=True),
        (RNG.standard_normal((2, 3, 3)),),
    ),
    "matrix_norm": (lambda a: np.linalg.matrix_norm(a, ord="nuc"), (STACK,)),
    "vector_norm": (lambda a: np.linalg.vector_norm(a, ord=3), (STACK,)),
    "vector_norm over two axes": (
        lambda a: np.linalg.vector_norm(a, axis=(0, 2), ord=3, keepdims=True),
        (STACK,),
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_values_are_those_of_numpy_and_gradients_of_both_orders_those_of_differences(
    name: str,
) -> None:
    function, arguments = SMOOTH[name]
    leaves = [ag.Tensor(x, requires_grad=True) for x in arguments]
    np.testing.assert_allclose(function(*leaves).data, function(*arguments), rtol=1e-12, atol=1e-12)
    weights = np.cos(np.arange(np.size(function(*arguments)))).reshape(
        np.shape(function(*arguments))
    )
    report = ag.check.gradcheck(lambda *x: np.sum(weights * function(*x)), *leaves, order=2)
    assert report.ok, report


# ---- the determinant is a polynomial, at singular matrices too ----------------------------------


def det_by_permutations(rows: list[list[Fraction]]) -> Fraction:
    """The sum over all permutations, exact."""
    n, total = len(rows), Fraction(0)
    for order in permutations(range(n)):
        inversions = sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n))
        term = Fraction((-1) ** inversions)
        for i, j in enumerate(order):
            term *= rows[i][j]
        total += term
    return total


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_the_hessian_of_det_is_exact_at_any_rank(rank: int) -> None:
    a = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 10]])
    a[rank:] = np.array([a[i % max(rank, 1)] * min(rank, 1) for i in range(rank, 3)]).reshape(-1, 3)
    assert np.linalg.matrix_rank(a) == rank
    hessian = ag.hessian(np.linalg.det)(a.astype(float)).reshape(9, 9)

    def exact(*steps: int) -> Fraction:
        """The value where entries have been raised by one."""
        rows = [[Fraction(int(x)) for x in row] for row in a]
        for step in steps:
            rows[step // 3][step % 3] += 1
        return det_by_permutations(rows)

    # det is linear in each entry, so that differences over steps of 1 are its derivatives
    expected = [
        [float(exact(i, j) - exact(i) - exact(j) + exact()) * (i != j) for j in range(9)]
        for i in range(9)
    ]
    np.testing.assert_allclose(hessian, expected, atol=1e-13)


def test_slogdet_of_a_singular_matrix_has_a_value_and_no_gradient() -> None:
    a = ag.Tensor(np.ones((2, 2)), requires_grad=True)
    sign, logarithm = np.linalg.slogdet(a)
    assert (float(sign.data), float(logarithm.data)) == (0.0, -np.inf)
    with pytest.raises(np.linalg.LinAlgError, match=r"[Ss]ingular"):
        logarithm.backward()


# ---- equal eigenvalues and singular values ------------------------------------------------------


def test_a_symmetric_function_of_equal_eigenvalues_has_its_gradient() -> None:
    found = ag.grad(lambda a: np.sum(np.exp(np.linalg.eigvalsh(a))))(2 * np.eye(3))
    np.testing.assert_allclose(found, np.exp(2) * np.eye(3), rtol=1e-14)


def test_the_largest_of_equal_eigenvalues_has_a_subgradient() -> None:
    found = ag.grad(lambda a: np.linalg.eigvalsh(a)[-1])(np.eye(3))
    assert np.trace(found) == pytest.approx(1)
    assert np.linalg.eigvalsh((found + found.T) / 2).min() > -1e-15


@pytest.mark.parametrize(
    "function",
    [
        lambda a: np.linalg.eigh(a)[1],
        lambda a: ag.grad(lambda a: np.linalg.eigvalsh(a)[0])(a),
        lambda a: np.linalg.svd(a)[0],
        lambda a: np.linalg.svd(a)[2],
        lambda a: ag.grad(lambda a: np.linalg.svdvals(a)[0])(a),
    ],
)
@pytest.mark.parametrize("a", [np.eye(3), np.diag([1.0, 1 + 1e-15, 3.0]), np.diag([5.0, 5, 1])])
def test_where_eigenvalues_are_equal_nothing_is_invented(
    function: Callable[[Any], Any], a: Any
) -> None:
    weights = np.arange(9.0).reshape(3, 3) ** 2
    assert np.isnan(ag.grad(lambda a: np.sum(weights * function(a)))(a)).any()


def test_singular_values_of_zero_have_the_subgradient_0() -> None:
    np.testing.assert_allclose(
        ag.grad(lambda a: np.linalg.norm(a, "nuc"))(DEFICIENT),
        DEFICIENT / np.linalg.norm(DEFICIENT),
        atol=1e-15,
    )
    assert not ag.grad(lambda a: np.linalg.norm(a, "nuc"))(np.zeros((2, 3))).any()
    assert np.isnan(ag.hessian(lambda a: np.linalg.norm(a, "nuc"))(np.zeros((2, 2)))).any()


@pytest.mark.parametrize(
    "function",
    [
        np.linalg.pinv,
        lambda a: np.linalg.lstsq(a, np.arange(3.0))[0],
        lambda a: np.linalg.qr(a)[0],
        lambda a: np.linalg.qr(a)[1],
        lambda a: np.linalg.svd(a, full_matrices=False)[0],
    ],
)
def test_at_a_matrix_of_deficient_rank_nothing_is_invented(function: Callable[[Any], Any]) -> None:
    weights = np.arange(1.0, np.size(function(DEFICIENT)) + 1).reshape(function(DEFICIENT).shape)
    assert np.isnan(ag.grad(lambda a: np.sum(weights * function(a)))(DEFICIENT)).any()


def test_the_rank_of_pinv_is_judged_by_its_own_cutoff() -> None:
    a = np.diag([1.0, 1e-3])
    assert np.isfinite(ag.jacobian(np.linalg.pinv)(a)).all()
    for cutoff in ({"rcond": 1e-2}, {"rtol": 1e-2}):
        np.testing.assert_array_equal(
            np.linalg.pinv(ag.Tensor(a), **cutoff).data, np.linalg.pinv(a, **cutoff)
        )
        assert np.isnan(ag.jacobian(lambda a: np.linalg.pinv(a, **cutoff))(a)).all()  # noqa: B023


def test_where_several_columns_have_the_largest_sum_they_share() -> None:
    found = ag.grad(lambda a: np.linalg.norm(a, 1))(np.array([[1.0, -1.0], [1.0, 1.0]]))
    np.testing.assert_array_equal(found, [[0.5, -0.5], [0.5, 0.5]])


# ---- triangles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "other"),
    [
        (np.linalg.cholesky, np.triu_indices(3, 1)),
        (lambda a: np.linalg.cholesky(a, upper=True), np.tril_indices(3, -1)),
        (np.linalg.eigvalsh, np.triu_indices(3, 1)),
        (lambda a: np.linalg.eigvalsh(a, UPLO="U"), np.tril_indices(3, -1)),
        (lambda a: np.linalg.eigh(a)[0], np.triu_indices(3, 1)),
        (lambda a: np.linalg.eigh(a, UPLO="u")[0], np.tril_indices(3, -1)),
    ],
)
def test_the_triangle_that_is_not_read_has_gradient_0(
    function: Callable[[Any], Any], other: Any
) -> None:
    a = symmetric(REGULAR)
    changed = a.copy()
    changed[other] = 7
    np.testing.assert_array_equal(function(changed), function(a))
    found = ag.grad(lambda a: np.sum(function(a) ** 3))(changed)
    assert not found[other].any()
    assert found.any()


# ---- least squares ------------------------------------------------------------------------------


@pytest.mark.parametrize("rcond", [None, -1, 0.3])
@pytest.mark.parametrize(
    "a", [TALL, WIDE, DEFICIENT, REGULAR], ids=["tall", "wide", "low", "square"]
)
@pytest.mark.parametrize("width", [None, 2])
def test_lstsq_gives_all_four_results(rcond: float | None, a: Any, width: int | None) -> None:
    b = np.cos(np.arange(len(a) * (width or 1))).reshape((len(a), width) if width else -1)
    found = np.linalg.lstsq(ag.Tensor(a, requires_grad=True), b, rcond)
    expected = np.linalg.lstsq(a, b, rcond)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(getattr(x, "data", x), y, rtol=1e-10, atol=1e-13)
    assert found[2] == expected[2]


# ---- what stays as in NumPy ---------------------------------------------------------------------


def test_results_have_the_names_that_numpy_gives_them() -> None:
    a = ag.Tensor(symmetric(REGULAR), requires_grad=True)
    assert np.linalg.eigh(a)._fields == ("eigenvalues", "eigenvectors")
    assert np.linalg.svd(a)._fields == ("U", "S", "Vh")
    assert np.linalg.qr(a)._fields == ("Q", "R")
    assert np.linalg.slogdet(a)._fields == ("sign", "logabsdet")


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
@pytest.mark.parametrize(
    "function",
    [
        np.linalg.inv,
        np.linalg.det,
        lambda a: np.linalg.solve(a, a[0]),
        lambda a: np.linalg.slogdet(a)[1],
        np.linalg.cholesky,
        np.linalg.eigvalsh,
        lambda a: np.linalg.eigh(a)[1],
        np.linalg.svdvals,
        lambda a: np.linalg.svd(a)[0],
        lambda a: np.linalg.qr(a)[1],
        np.linalg.pinv,
        lambda a: np.linalg.lstsq(a, a[0])[0],
        lambda a: np.linalg.matrix_power(a, 3),
        lambda a: np.linalg.matrix_power(a, 0),
        lambda a: np.linalg.matrix_power(a, -1),
        lambda a: np.linalg.norm(a, 2),
        lambda a: np.linalg.norm(a, 1),
        lambda a: np.linalg.norm(a, 3, axis=0),
        lambda a: np.linalg.multi_dot([a, a, a]),
        np.linalg.matrix_rank,
    ],
)
def test_dtypes_are_those_of_numpy(dtype: Any, function: Callable[[Any], Any]) -> None:
    a = np.array([[2, 0], [0, 3]]).astype(dtype)
    if dtype is bool:
        a = np.eye(2, dtype=bool)
    expected = function(a)
    found = function(ag.Tensor(a))
    assert np.asarray(getattr(found, "data", found)).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(getattr(found, "data", found), expected, rtol=1e-6)


def test_float32_gives_gradients_of_float32() -> None:
    a = symmetric(REGULAR).astype(np.float32)
    for function in (
        np.linalg.det,
        np.linalg.inv,
        np.linalg.cholesky,
        lambda a: np.linalg.eigh(a)[1],
        lambda a: np.linalg.svd(a)[0],
        lambda a: np.linalg.qr(a)[1],
        np.linalg.pinv,
        lambda a: np.linalg.norm(a, "nuc"),
    ):
        found = ag.grad(lambda a, f=function: np.sum(f(a)))(a)
        assert found.dtype == np.float32
        np.testing.assert_allclose(
            found,
            ag.grad(lambda a, f=function: np.sum(f(a)))(a.astype(float)),
            rtol=1e-3,
            atol=1e-4,
        )


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda a: np.linalg.svd(a), ValueError, r"\(4, 3\).*full_matrices=False"),
        (lambda a: np.linalg.qr(a, "complete"), ValueError, r"\(4, 3\).*'complete'.*'reduced'"),
        (lambda a: np.linalg.qr(a, "raw"), ValueError, "'raw'"),
        (lambda a: np.linalg.eigh(a @ a.T, "M"), ValueError, "UPLO.*'M'"),
        (lambda a: np.linalg.eig(a @ a.T), TypeError, "eigh.*detach"),
        (lambda a: np.linalg.eigvals(a @ a.T), TypeError, "eigvalsh"),
        (lambda a: np.linalg.matrix_power(a, 2), np.linalg.LinAlgError, r"\(4, 3\).*square"),
        (lambda a: np.linalg.matrix_power(a.T @ a, 0.5), TypeError, "integer"),
        (lambda a: np.linalg.multi_dot([a]), ValueError, "two arrays or more, not 1"),
        (lambda a: np.linalg.lstsq(a, np.ones(3)), ValueError, r"\(4, 3\).*\(3,\).*as many rows"),
        (lambda a: np.linalg.pinv(a, 0.1, rtol=0.1), ValueError, "not both"),
        (lambda a: np.linalg.norm(a, "fro", axis=0), ValueError, "'fro' over axis=0"),
        (lambda a: np.linalg.norm(a, 3), ValueError, "order 3 over axis=None"),
        (lambda a: np.linalg.inv(a * 0 @ a.T), np.linalg.LinAlgError, "[Ss]ingular"),
        (lambda a: np.linalg.cholesky(-a.T @ a), np.linalg.LinAlgError, "positive definite"),
        (lambda a: np.linalg.cond(a), TypeError, "np.linalg.cond has no derivative here"),
    ],
)
def test_errors_say_what_to_do(call: Callable[[Any], Any], error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call(ag.Tensor(TALL, requires_grad=True))
