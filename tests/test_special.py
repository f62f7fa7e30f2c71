"""`scipy.special` on Tensors: values are SciPy's, and where functions end derivatives are known.

The rules of single ops are tested in `test_ops.py` by the rows of `cases.py`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag

scipy = pytest.importorskip("scipy.special", reason="SciPy is not installed")

from autograd_mini import special  # noqa: E402

INF, NAN = np.inf, np.nan
REAL = np.array([-30.0, -3.0, -0.5, 0.0, 1e-300, 0.7, 2.0, 5.0, 40.0])
POSITIVE = np.array([1e-300, 1e-10, 0.2, 1.0, 2.5, 30.0, 1e10])
INSIDE = np.array([1e-300, 1e-5, 0.3, 0.5, 1 - 1e-9])
CURVES: dict[str, tuple[Any, Any]] = {
    "erf": (scipy.erf, REAL),
    "erfc": (scipy.erfc, REAL),
    "erfinv": (scipy.erfinv, INSIDE * 2 - 1),
    "ndtr": (scipy.ndtr, REAL),
    "expit": (scipy.expit, REAL),
    "logit": (scipy.logit, INSIDE),
    "gammaln": (scipy.gammaln, np.append(POSITIVE, [-0.5, -1.5])),
    "digamma": (scipy.digamma, np.append(POSITIVE[1:], [-0.5, -1.5])),
    "entr": (scipy.entr, POSITIVE),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_functions_of_scipy_take_tensors_and_give_its_values(name: str) -> None:
    function, x = CURVES[name]
    found = function(ag.Tensor(x, requires_grad=True))
    assert found.requires_grad
    np.testing.assert_allclose(found.data, function(x), rtol=1e-15)
    assert getattr(special, name)(ag.Tensor(x)).data.tolist() == found.data.tolist()
    assert function(ag.Tensor(x.astype(np.float32))).dtype == np.float32


@pytest.mark.parametrize("name", CURVES)
def test_gradients_of_both_orders_are_those_of_differences(name: str) -> None:
    function, x = CURVES[name]
    x = x[(np.abs(x) > 0.1) & (np.abs(x) < 3) & (x != -1)]
    assert ag.check.gradcheck(function, ag.Tensor(x, requires_grad=True), order=2).ok


#: Functions at points where they end: value, first and second derivative.
ENDS: list[tuple[Callable[[Any], Any], float, float, float, float]] = [
    (scipy.logit, 0.0, -INF, INF, NAN),
    (scipy.logit, 1.0, INF, INF, NAN),
    (scipy.erfinv, 1.0, INF, INF, INF),
    (scipy.erfinv, -1.0, -INF, INF, -INF),
    (scipy.entr, 0.0, 0.0, INF, -INF),
    (scipy.entr, -1.0, -INF, NAN, 1.0),
    (scipy.erf, INF, 1.0, 0.0, NAN),
    (scipy.gammaln, 0.0, INF, -INF, INF),
    (lambda x: scipy.xlogy(x, 0.0), 0.0, 0.0, -INF, 0.0),
    (lambda y: scipy.xlogy(0.0, y), 0.0, 0.0, 0.0, 0.0),
    (lambda y: scipy.xlogy(2.0, y), 0.0, -INF, INF, -INF),
]


@pytest.mark.parametrize(("function", "x", "value", "first", "second"), ENDS)
def test_where_functions_end(
    function: Any, x: float, value: float, first: float, second: float
) -> None:
    with np.errstate(all="ignore"):
        found = [function(np.array(x)), ag.grad(function)(x), ag.grad(ag.grad(function))(x)]
    np.testing.assert_array_equal(found, [value, first, second])


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_polygamma_is_the_derivative_of_the_one_before(n: int) -> None:
    x = POSITIVE[2:6]
    found = special.polygamma(n, ag.Tensor(x, requires_grad=True))
    np.testing.assert_array_equal(found.data, scipy.polygamma(n, x))
    slope = ag.grad(lambda x: np.sum(special.polygamma(n, x)))(x)
    np.testing.assert_array_equal(slope, scipy.polygamma(n + 1, x))


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_defaults_are_those_of_scipy(name: str, axis: Any) -> None:
    x = np.sin(np.arange(24.0)).reshape(2, 3, 4)
    options = {} if axis is None else {"axis": axis}
    np.testing.assert_allclose(
        getattr(special, name)(ag.Tensor(x), **options).data,
        getattr(scipy, name)(x, **options),
        rtol=1e-14,
    )


def test_a_plain_function_of_scipy_says_what_to_call() -> None:
    with pytest.raises(TypeError, match="would silently cut off"):
        scipy.logsumexp(ag.Tensor([1.0, 2.0], requires_grad=True))


def test_what_is_unknown_is_named_as_scipy_names_it() -> None:
    with pytest.raises(TypeError, match=r"^scipy\.special\.j0 has no derivative here"):
        scipy.j0(ag.Tensor([1.0], requires_grad=True))


def test_a_function_of_scipy_is_known_without_importing_anything_of_ours() -> None:
    program = (
        "import sys, autograd_mini as ag\n"
        "assert 'scipy' not in sys.modules\n"
        "import scipy.special\n"
        "x = ag.Tensor(0.0, requires_grad=True)\n"
        "scipy.special.erf(x).backward()\n"
        "print(float(x.grad))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout == f"{2 / np.sqrt(np.pi)}\n", found.stderr


def test_without_scipy_the_error_names_the_extra() -> None:
    program = "import sys\nsys.modules['scipy.special'] = None\nfrom autograd_mini import special"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'autograd-mini[optim]'" in found.stderr
