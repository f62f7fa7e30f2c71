r"""The functions of `numpy.linalg` on Tensors: matrices in the last two axes, stacks in front.

Rules for the decompositions are from M. Giles, *Collected Matrix Derivative Results for Forward and
Reverse Mode Algorithmic Differentiation* (2008), and J. Townsend, *Differentiating the Singular
Value Decomposition* (2016); where another source is used, it is named there.  They are written in
functions that Tensors understand, so that derivatives of all orders exist where the function has
them:

=====================================  =============================================================
function                               has a derivative, and what comes out where it has none
=====================================  =============================================================
``solve``, ``inv``, ``matrix_power``   at regular matrices; NumPy raises LinAlgError at others
``det``                                everywhere, of all orders, also at singular matrices
``slogdet``                            at regular matrices; at others backward raises LinAlgError
``cholesky``                           at positive definite matrices; NumPy raises at others
``eigh``, ``eigvalsh``: eigenvalues    where they are distinct; functions that are symmetric in
                                       equal ones have their gradient there too, others a
                                       subgradient; second derivatives there are NaN
``eigh``: eigenvectors                 where all eigenvalues are distinct, else NaN
``svd``, ``svdvals``: values           as eigenvalues; by those that are 0 the subgradient is 0, and
                                       second derivatives are NaN
``svd``: vectors                       where all singular values are distinct, and if the matrix is
                                       not square, none is 0; else NaN
``qr``                                 where the first columns, as many as ``Q`` has, are
                                       independent; else NaN
``pinv``, ``lstsq``                    where the rank is full, else NaN: the pseudo-inverse jumps
                                       there; ``lstsq`` by its right-hand side everywhere
``norm``, ``matrix_norm``              the subgradient at 0 is 0, and where several singular
                                       values, or sums, are largest, they share
=====================================  =============================================================

What differs by rounding errors alone counts as equal, and what is as small as that as 0.  The signs
of eigenvectors and singular vectors are arbitrary, so only what does not depend on them means
anything; a derivative never does.  ``cholesky``, ``eigh`` and ``eigvalsh`` read one triangle of a
matrix, and the other has gradient 0: a gradient by symmetric matrices is ``(G + G.T) / 2``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from functools import reduce
from itertools import combinations, permutations
from typing import Any

import numpy as np

from .border import as_array
from .core.graph import Array, unbroadcast
from .core.ops import (
    Axis,
    count,
    mirrored,
    normalized,
    reduce_max,
    reduce_min,
    reduce_sum,
    restored,
)
from .core.primitive import composite, implementations, primitive
from .numpy_functions import LETTERS, gathered, norm, on_data, per_length
from .refusals import described

# ---- systems of equations, inverses, determinants -----------------------------------------------


def columns(x: Array, vectors: bool) -> Array:
    """Vectors as matrices of one column."""
    return x[..., None] if vectors else x


def by_coefficients(g: Array, a: Array, y: Array, like: Any) -> Array:
    """The rule -A^-T g y^T of the solution y of A y = b."""
    vectors = y.ndim < len(like.shape)
    back = np.linalg.solve(mirrored(a), columns(g, vectors))
    return unbroadcast(-back @ mirrored(columns(y, vectors)), like.shape)


def by_right_hand_side(g: Array, a: Array, like: Any) -> Array:
    """The rule A^-T g of the solution y of A y = b."""
    vectors = len(like.shape) == 1  # as NumPy 2 reads it: of more axes, the last two are matrices
    back = np.linalg.solve(mirrored(a), columns(g, vectors))
    return unbroadcast(back[..., 0] if vectors else back, like.shape)


solve = primitive(
    r"{$a}^{-1}\, $b",
    "np.linalg.solve",
    numpy=np.linalg.solve,
    a=by_coefficients,
    b=by_right_hand_side,
)(np.linalg.solve)

inverse = primitive(
    r"{$a}^{-1}",
    "np.linalg.inv",
    numpy=np.linalg.inv,
    a=lambda g, y: -(mirrored(y) @ g @ mirrored(y)),
)(np.linalg.inv)


def in_matrices(g: Array) -> Array:
    """One number for each matrix, with two axes more."""
    return g[..., None, None]


determinant = primitive(
    r"\mathrm{det}($a)",
    "np.linalg.det",
    numpy=np.linalg.det,
    a=lambda g, a: in_matrices(g) * minors(a),  # type: ignore[has-type]
)(np.linalg.det)


@primitive(
    r"\mathrm{minors}($a, $gs)",
    analytic=False,
    a=lambda g, a, gs: minors(a, *gs, g),  # type: ignore[has-type]
    gs=lambda g, a, gs, i: minors(a, *gs[:i], *gs[i + 1 :], g),  # type: ignore[has-type]
)
def minors(a: Array, *gs: Array) -> Array:
    r"""The gradient of the determinant, differentiated along ``gs`` one after the other.

    Without ``gs`` these are the cofactors.  Each derivative of it is one of the same kind, for the
    determinant is a polynomial, linear in each row: along :math:`E_1, \ldots, E_m` at a diagonal
    matrix of :math:`s_i` its m-th derivative is

    .. math:: \sum_{i_1 \ne \ldots \ne i_m} \; \prod_{j \notin \{i_1, \ldots, i_m\}} s_j
        \; \sum_{\sigma} \mathrm{sgn}\,\sigma \prod_k (E_k)_{i_k, i_{\sigma(k)}}

    and the singular value decomposition makes any matrix diagonal, so that nothing is divided by
    and singular matrices are as good as others.  The m-th derivative of n by n takes n^(m+1)
    numbers.
    """
    (u, v), s = left_and_right(a), singular_values(a)
    n, m = a.shape[-1], len(gs) + 1
    turned = [mirrored(u) @ g @ v for g in gs]
    taken = (np.indices((n,) * m)[..., None] == np.arange(n)).sum(axis=0)
    others = np.where(taken, 1, s.reshape((*s.shape[:-1], *(1,) * m, n))).prod(axis=-1)
    others = others * (taken.max(axis=-1, initial=0) == 1)  # no index occurs twice
    total = np.zeros_like(a)
    for order in permutations(range(m)):
        sign = (-1) ** sum(i > j for i, j in combinations(order, 2))
        terms = ["".join(LETTERS[:m]), *[LETTERS[k] + LETTERS[order[k]] for k in range(m - 1)]]
        last = LETTERS[m - 1] + LETTERS[order[-1]] * (order[-1] < m - 1)
        part = np.einsum(f"...{',...'.join(terms)}->...{last}", others, *turned)
        total += sign * (part[..., None] * np.eye(n, dtype=a.dtype) if len(last) == 1 else part)
    orientation = sign_of_determinant(u) * sign_of_determinant(v)
    return in_matrices(orientation) * (u @ total @ mirrored(v))


@primitive(r"\mathrm{sgn}\, \mathrm{det}($a)", "np.linalg.slogdet($a)[0]")
def sign_of_determinant(a: Array) -> Array:
    """1, or -1 where the determinant is negative."""
    return np.linalg.slogdet(a)[0]


logarithm_of_determinant = primitive(
    r"\log |\mathrm{det}($a)|",
    "np.linalg.slogdet($a)[1]",
    name="logarithm_of_determinant",
    analytic=False,
    a=lambda g, a: in_matrices(g) * mirrored(np.linalg.inv(a)),
)(lambda a: np.linalg.slogdet(a)[1])

#: NumPy's named tuples, which have no public names.
SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))
EighResult: Any = type(np.linalg.eigh(np.eye(1)))
SVDResult: Any = type(np.linalg.svd(np.eye(1)))
QRResult: Any = type(np.linalg.qr(np.eye(1)))


@composite(np.linalg.slogdet)
def slogdet(a: Array) -> Any:
    """The sign of the determinant, which is constant, and the logarithm of its absolute value."""
    return SlogdetResult(sign_of_determinant(a), logarithm_of_determinant(a))


# ---- decompositions of symmetric matrices -------------------------------------------------------


@primitive(r"\mathrm{lower\_half}($x)", x=lambda g: lower_half(g))  # type: ignore[has-type]
def lower_half(x: Array) -> Array:
    """The lower triangle, with half of the diagonal."""
    n = x.shape[-1]
    return x * (np.tri(n) - np.eye(n) / 2).astype(x.dtype)


def on_lower_triangle(x: Array) -> Array:
    """What belongs to a symmetric matrix, for the lower triangle alone, which stands for both."""
    return lower_half(x + mirrored(x))


def cholesky_rule(g: Array, y: Array, upper: bool) -> Array:
    """The rule L^-T P L^-1, where P is the lower half of L^T g; Giles 2008, and I. Murray 2016.

    I. Murray, *Differentiation of the Cholesky Decomposition*, has this form of it.
    """
    root, g = (mirrored(y), mirrored(g)) if upper else (y, g)
    half = np.linalg.solve(mirrored(root), lower_half(mirrored(root) @ g))
    found = on_lower_triangle(np.linalg.solve(mirrored(root), mirrored(half)))
    return mirrored(found) if upper else found


cholesky = primitive(
    r"\mathrm{cholesky}($a)",
    "np.linalg.cholesky",
    numpy=np.linalg.cholesky,
    analytic=False,
    a=cholesky_rule,
)(np.linalg.cholesky)


def with_columns_scaled(x: Array, factors: Array) -> Array:
    """Each column of matrices by a factor of its own."""
    return x * factors[..., None, :]


def rounding(values: Array) -> Array:
    """Below what eigenvalues, singular values or diagonals are no more than errors of rounding."""
    eps = float(np.finfo(values.dtype).eps)
    return 10 * eps * reduce_sum(np.absolute(values), axis=-1, keepdims=True)


def one_over_gaps_rule(g: Array, y: Array) -> Array:
    """The derivative of 1 / (x_j - x_i) is -1 / (x_j - x_i)^2 by x_j and the opposite by x_i."""
    slopes = g * np.square(y)
    return reduce_sum(slopes, axis=-1) - reduce_sum(slopes, axis=-2)


@primitive(r"\mathrm{one\_over\_gaps}($x)", analytic=False, x=one_over_gaps_rule)
def one_over_gaps(x: Array) -> Array:
    """1 / (x_j - x_i): 0 for i = j, NaN where the two cannot be told apart."""
    gaps = x[..., None, :] - x[..., :, None]
    unknown = np.absolute(gaps) <= rounding(x)[..., None]
    apart = np.where(unknown, np.nan, gaps)
    return 1 / np.where(np.eye(x.shape[-1], dtype=bool), np.inf, apart)


# Eigenvalues and eigenvectors are ops of their own: who uses the eigenvalues alone must not be told
# that eigenvectors have no derivative.
def eigenvalues_rule(g: Array, a: Array) -> Array:
    """The rule V diag(g) V^T; Giles 2008, 3.1."""
    v = eigenvectors(a)
    return on_lower_triangle(with_columns_scaled(v, g) @ mirrored(v))


eigenvalues = primitive(
    r"\mathrm{eigvalsh}($a)",
    "np.linalg.eigvalsh",
    name="eigvalsh",
    analytic=False,
    a=eigenvalues_rule,
)(np.linalg.eigvalsh)


def eigenvectors_rule(g: Array, a: Array, y: Array) -> Array:
    """The rule V (F * (V^T g)) V^T, F = 1 / (w_j - w_i); Giles 2008, 3.1."""
    return on_lower_triangle(y @ (one_over_gaps(eigenvalues(a)) * (mirrored(y) @ g)) @ mirrored(y))


eigenvectors = primitive(
    r"\mathrm{eigenvectors}($a)",
    "np.linalg.eigh($a)[1]",
    name="eigenvectors",
    analytic=False,
    a=eigenvectors_rule,
)(lambda a: np.linalg.eigh(a)[1])


def lower_of(a: Array, UPLO: str) -> Array:
    """A matrix with the triangle that is to be read below the diagonal."""
    if UPLO not in ("L", "l", "U", "u"):
        raise ValueError(f"UPLO is 'L' or 'U', not {UPLO!r}")
    return mirrored(a) if UPLO in "Uu" else a


@composite(np.linalg.eigvalsh)
def eigvalsh(a: Array, UPLO: str = "L") -> Array:
    """The eigenvalues of symmetric matrices, in ascending order."""
    return eigenvalues(lower_of(a, UPLO))


@composite(np.linalg.eigh)
def eigh(a: Array, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices, in ascending order, and eigenvectors as columns."""
    a = lower_of(a, UPLO)
    return EighResult(eigenvalues(a), eigenvectors(a))


@composite(np.linalg.eig, np.linalg.eigvals)
def eigenvalues_of_any_matrix(a: Array) -> Any:
    """Refuse what is complex."""
    raise TypeError(
        f"np.linalg.eig and eigvals of {described(a)} have no derivative here: they are complex in "
        f"general, and gradients flow through real numbers. Of symmetric matrices np.linalg.eigh "
        f"and eigvalsh have one; t.detach() has the numbers, without gradient"
    )


# ---- singular values ----------------------------------------------------------------------------


def singular_values_rule(g: Array, x: Array, y: Array) -> Array:
    """The rule U diag(g) V^T; Giles 2008, 3.2.  Values that are 0 give 0, of their subgradients."""
    u, v = left_and_right(x)
    known = y * (y > rounding(y))
    return with_columns_scaled(u, g * per_length(known, known)) @ mirrored(v)


@primitive(
    r"\mathrm{svdvals}($x)",
    "np.linalg.svdvals",
    name="svdvals",
    numpy=np.linalg.svdvals,
    analytic=False,
    x=singular_values_rule,
)
def singular_values(x: Array) -> Array:
    """The singular values of matrices, in descending order."""
    return np.linalg.svd(x, compute_uv=False)


def singular_vectors_rule(g: Array, x: Array, y: Array) -> Array:
    """The rules of U and V together; Townsend 2016, equation 30 and what follows from it."""
    rows = x.shape[-2]
    s = singular_values(x)
    # s_j / (s_j^2 - s_i^2) as a product in which no square overflows
    totals = s[..., None, :] + s[..., :, None]
    shares = s[..., None, :] / np.where(totals == 0, 1, totals)
    gaps = one_over_gaps(s)
    u, v, by_u, by_v = y[..., :rows, :], y[..., rows:, :], g[..., :rows, :], g[..., rows:, :]
    turned_u, turned_v = mirrored(u) @ by_u, mirrored(v) @ by_v
    inside = gaps * (
        shares * (turned_u - mirrored(turned_u))
        + mirrored(shares) * (turned_v - mirrored(turned_v))
    )
    found = u @ inside @ mirrored(v)
    if x.shape[-2] != x.shape[-1]:
        slopes = 1 / np.where(s <= rounding(s), np.nan, s)
        if x.shape[-2] > x.shape[-1]:  # U has columns beside it
            found = found + with_columns_scaled(by_u - u @ turned_u, slopes) @ mirrored(v)
        else:
            found = found + with_columns_scaled(u, slopes) @ mirrored(by_v - v @ turned_v)
    return found


@primitive(r"\mathrm{singular_vectors}($x)", analytic=False, x=singular_vectors_rule)
def singular_vectors(x: Array) -> Array:
    """Left singular vectors and below them right ones, which must be of one decomposition."""
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return np.concatenate((u, np.swapaxes(vt, -1, -2)), axis=-2)


def left_and_right(x: Array) -> tuple[Array, Array]:
    """The singular vectors as columns of two matrices."""
    both, rows = singular_vectors(x), x.shape[-2]
    return both[..., :rows, :], both[..., rows:, :]


@composite(np.linalg.svd)
def svd(a: Array, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition; of a matrix that is not square, ``full_matrices=False``.

    Raises
    ------
    ValueError
        If there would be columns that are not determined.
    """
    if not compute_uv:
        return singular_values(a)
    if full_matrices and a.shape[-2] != a.shape[-1]:
        raise ValueError(
            f"svd of {described(a)} with full_matrices=True: the columns beyond "
            f"{min(a.shape[-2:])} are not determined and have no derivative: pass "
            f"full_matrices=False"
        )
    u, v = left_and_right(a)
    return SVDResult(u, singular_values(a), mirrored(v))


def qr_rule(g: Array, y: Array) -> Array:
    """The rule (g_Q + Q M) R^-T, where M is R g_R^T - g_Q^T Q, its lower half made symmetric.

    S. Walter and L. Lehmann, *Algorithmic Differentiation of Linear Algebra Functions with
    Application in Optimum Experimental Design* (2010), in the form of H. Liao, J. Liu, L. Wang and
    T. Xiang, *Differentiable Programming Tensor Networks* (2019), equation 3.
    """
    rows = y.shape[-2] - y.shape[-1]
    q, r, by_q, by_r = y[..., :rows, :], y[..., rows:, :], g[..., :rows, :], g[..., rows:, :]
    half = lower_half(r @ mirrored(by_r) - mirrored(by_q) @ q)
    sizes = 2 * reduce_sum(np.absolute(lower_half(r)), axis=-1)  # the diagonal of a triangle
    r = np.where((sizes <= rounding(sizes))[..., None], np.nan, r)
    return mirrored(np.linalg.solve(r, mirrored(by_q + q @ (half + mirrored(half)))))


@primitive(r"\mathrm{qr}($x)", analytic=False, x=qr_rule)
def orthogonal_and_triangular(x: Array) -> Array:
    """Q, and below it R, of matrices that have at least as many rows as columns."""
    return np.concatenate(np.linalg.qr(x), axis=-2)


@composite(np.linalg.qr)
def qr(a: Array, mode: str = "reduced") -> Any:
    """Orthonormal columns times an upper triangle; with ``mode="r"`` the triangle alone.

    Raises
    ------
    ValueError
        If there would be columns that are not determined, or for ``mode="raw"``.
    """
    rows, width = a.shape[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and rows <= width):
        raise ValueError(
            f"qr of {described(a)} with mode={mode!r} is not supported: 'reduced' and 'r' are, for "
            f"further columns are not determined and have no derivative"
        )
    both = orthogonal_and_triangular(a[..., :rows] if width > rows else a)
    q, r = both[..., :rows, :], both[..., rows:, :]
    if width > rows:
        r = np.concatenate([r, mirrored(q) @ a[..., rows:]], axis=-1)
    return r if mode == "r" else QRResult(q, r)


# ---- least squares ------------------------------------------------------------------------------


def pseudo_inverse_rule(g: Array, a: Array, y: Array, rcond: Any) -> Array:
    """G. Golub and V. Pereyra, *The Differentiation of Pseudo-Inverses* (1973), equation 4.12."""
    t, back = mirrored(y), mirrored(g)
    tall = back @ y @ t
    wide = t @ y @ back
    found = tall - a @ (y @ tall) + wide - (wide @ y) @ a - t @ g @ t
    s = singular_values(a)
    least = smallest_ratio(a) if rcond is None else np.asarray(rcond)[..., None]
    deficient = reduce_sum(s <= least * s[..., :1], axis=-1) > 0
    return found * np.where(in_matrices(deficient), np.nan, 1).astype(a.dtype)


def smallest_ratio(a: Array) -> float:
    """Below which part of the largest singular value another one is an error of rounding."""
    return float(max(a.shape[-2:]) * np.finfo(a.dtype).eps)


@primitive(r"{$a}^{+}", "np.linalg.pinv", name="pinv", analytic=False, a=pseudo_inverse_rule)
def pseudo_inverse(a: Array, *, rcond: Any = None) -> Array:
    """The pseudo-inverse of Moore and Penrose."""
    return np.linalg.pinv(a, rcond)


@composite(np.linalg.pinv)
def pinv(a: Array, rcond: Any = None, *, rtol: Any = None) -> Array:
    """The pseudo-inverse of Moore and Penrose."""
    if rcond is not None and rtol is not None:
        raise ValueError("pinv takes rcond or rtol, not both: they are the same")
    return pseudo_inverse(a, rcond=rtol if rcond is None else rcond)


@composite(np.linalg.lstsq)
def lstsq(a: Array, b: Array, rcond: float | None = None) -> tuple[Array, Array, int, Array]:
    """The solution of least squares and least norm, sums of squares left, rank, singular values."""
    a, b = as_array(a), as_array(b)
    if a.ndim != 2 or b.ndim not in (1, 2) or len(a) != len(b):
        raise ValueError(
            f"lstsq: {described(a)}, {described(b)}: it takes a matrix, and a vector or matrix of "
            f"as many rows"
        )
    a = a if a.dtype.kind == "f" else a.astype(float)
    if rcond is None:
        rcond = smallest_ratio(a)
    elif rcond < 0:  # as LAPACK reads it
        rcond = float(np.finfo(a.dtype).eps)
    x = np.matmul(pseudo_inverse(a, rcond=rcond), b)
    s = singular_values(a)
    rank = on_data(lambda s: int(np.sum(s > rcond * s[:1])), True)(s)
    left = np.sum(np.square(columns(b - np.matmul(a, x), b.ndim == 1)), axis=0)
    return x, left if len(a) > rank == a.shape[1] else left[:0], rank, s


# ---- powers and chains --------------------------------------------------------------------------


@composite(np.linalg.matrix_power)
def matrix_power(a: Array, n: int) -> Array:
    """The n-th power by repeated squaring, of the inverse if n is negative."""
    n = operator.index(n)
    if a.ndim < 2 or a.shape[-2] != a.shape[-1]:
        raise np.linalg.LinAlgError(f"matrix_power of {described(a)}: the matrices must be square")
    if n == 0:
        return np.zeros_like(a) + np.eye(a.shape[-1], dtype=a.dtype)
    square, n = (a, n) if n > 0 else (np.linalg.inv(a), -n)
    powers = []
    while n:
        powers += [square] * (n % 2)
        n //= 2
        square = square @ square if n else square
    return reduce(np.matmul, powers)


@composite(np.linalg.multi_dot)
def multi_dot(arrays: Iterable[Array]) -> Array:
    """The product of a chain of matrices, with vectors at its ends, in a short order."""
    chain = [as_array(x) for x in arrays]
    if len(chain) < 2:
        raise ValueError(f"multi_dot takes two arrays or more, not {len(chain)}")
    terms = ["".join(LETTERS[i : i + 2]) for i in range(len(chain))]
    terms[0] = terms[0][2 - chain[0].ndim :]
    terms[-1] = terms[-1][: chain[-1].ndim]
    ends = terms[0][:-1] + terms[-1][1:]
    return np.einsum(f"{','.join(terms)}->{ends}", *chain, optimize=True)


# ---- norms --------------------------------------------------------------------------------------


@composite(np.linalg.norm)
def norm_of_order(
    x: Array, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False
) -> Array:
    """Norms of vectors along one axis, of any order, and of matrices along two.

    Raises
    ------
    ValueError
        For an order that is none.
    """
    x = as_array(x)
    x = x if x.dtype.kind in "fc" else x.astype(float)
    axes = normalized(axis, x.ndim)
    if ord is None or (ord in ("fro", "f") and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return norm(x, axis=axis, keepdims=keepdims)
    if len(axes) == 2 and ord in (*SPECTRAL, 1, -1, math.inf, -math.inf):
        moved = axes != (x.ndim - 2, x.ndim - 1)
        y = norm_of_matrices(np.moveaxis(x, axes, (-2, -1)) if moved else x, ord)
        return restored(y, x.shape, axis, False) if keepdims else y
    if len(axes) != 1 or isinstance(ord, str):
        raise ValueError(
            f"norm of order {ord!r} over axis={axis} of {described(x)} is not supported: along one "
            f"axis any number is, over two axes None, 'fro', 'nuc', 1, -1, 2, -2, inf and -inf"
        )
    size = np.absolute(x)
    extreme = reduce_max if ord > 0 else reduce_min
    if abs(ord) == math.inf:
        return extreme(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return reduce_sum((x != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return reduce_sum(size, axis=axis, keepdims=keepdims)
    if ord > 0 and not count(x.shape, axis):
        return reduce_sum(size, axis=axis, keepdims=keepdims)
    # in units of the element that counts most, so that no power overflows or vanishes
    unit = extreme(size.detach(), axis=axis, keepdims=True)
    clear = (unit > 0) & (unit < np.inf)
    unit = np.where(clear, unit, 1)
    total = reduce_sum(np.where(clear, size / unit, 1) ** ord, axis=axis, keepdims=True)
    y = np.where(clear, unit * total ** (1 / ord), extreme(size, axis=axis, keepdims=True))
    return y if keepdims else np.squeeze(y, axis)


#: How norms come from singular values.
SPECTRAL: dict[Any, Any] = {2: reduce_max, -2: reduce_min, "nuc": reduce_sum}


def norm_of_matrices(x: Array, ord: Any) -> Array:
    """Of singular values the largest, least or sum; or the extreme sum of a column or row."""
    if ord in SPECTRAL:
        return SPECTRAL[ord](singular_values(x), axis=-1)
    sums = reduce_sum(np.absolute(x), axis=-2 if abs(ord) == 1 else -1)
    return (reduce_max if ord > 0 else reduce_min)(sums, axis=-1)


@composite(np.linalg.matrix_norm)
def matrix_norm(x: Array, *, keepdims: bool = False, ord: float | str = "fro") -> Array:
    """Norms of matrices in the last two axes."""
    return norm_of_order(x, ord, (-2, -1), keepdims)


@composite(np.linalg.vector_norm)
def vector_norm(x: Array, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    """Norms of what lies along axes, taken as one vector."""
    if isinstance(axis, int) or x.ndim == 1:
        return norm_of_order(x, ord, axis, keepdims)
    y = norm_of_order(gathered(x, axis), ord, 0)
    return restored(y, x.shape, axis, False) if keepdims else y


# ---- other names, and what only looks -----------------------------------------------------------

implementations.update(
    {
        np.linalg.matmul: lambda x1, x2: np.matmul(x1, x2),
        np.linalg.matrix_transpose: mirrored,
        np.linalg.outer: lambda x1, x2: np.outer(x1, x2),
        np.linalg.tensordot: lambda x1, x2, *, axes=2: np.tensordot(x1, x2, axes),
        np.linalg.diagonal: lambda x, *, offset=0: np.diagonal(x, offset, -2, -1),
        np.linalg.cross: lambda x1, x2, *, axis=-1: np.cross(x1, x2, axis=axis),
        np.linalg.trace: lambda x, *, offset=0: np.trace(x, offset, -2, -1),
        np.linalg.matrix_rank: on_data(np.linalg.matrix_rank, True),
    }
)
