"""SciPy's optimisers with gradients from here: known minima, callbacks, and what errors leave."""

from __future__ import annotations

import io
import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import optim
from autograd_mini.core.graph import listening

pytest.importorskip("scipy")

METHODS = ["L-BFGS-B", "BFGS", "CG", "Newton-CG", "trust-ncg", "trust-krylov"]
every_method = pytest.mark.parametrize("method", METHODS)
START = [-1.2, 1.0]  # as published with the function: Rosenbrock, The Computer Journal 3, 1960


def leaf(values: Any, dtype: Any = None, name: str | None = None) -> ag.Tensor:
    return ag.Tensor(np.array(values, dtype=dtype), requires_grad=True, name=name)


def rosenbrock(w: ag.Tensor) -> Any:
    return lambda: np.sum(100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2)


# ---- known minima -------------------------------------------------------------------------------


@every_method
def test_rosenbrocks_valley_ends_at_one_one(method: str) -> None:
    w = leaf(START)
    array = w.data
    result = optim.minimize(rosenbrock(w), [w], method=method)
    assert result.success
    np.testing.assert_allclose(w.data, [1.0, 1.0], atol=2e-4)
    np.testing.assert_array_equal(w.data, result.x)
    assert w.data is array
    assert w.grad is None


@every_method
def test_the_history_has_the_cost_at_the_start_and_after_each_iteration(method: str) -> None:
    w = leaf(START)
    result = optim.minimize(rosenbrock(w), [w], method=method)
    assert result.history[0] == pytest.approx(24.2)  # the published value at the start
    assert result.history[-1] == result.fun
    assert len(result.history) == result.nit + 1


@every_method
def test_the_result_is_that_of_scipy_with_derivatives_by_hand(method: str) -> None:
    from scipy.optimize import minimize, rosen, rosen_der, rosen_hess_prod

    x = np.array([-1.2, 1.0, 0.5])
    w = leaf(x)
    ours = optim.minimize(rosenbrock(w), [w], method=method, maxiter=12)
    hessp = rosen_hess_prod if method in METHODS[3:] else None
    theirs = minimize(rosen, x, jac=rosen_der, hessp=hessp, method=method, options={"maxiter": 12})
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-6)
    assert (ours.nit, ours.nfev) == (theirs.nit, theirs.nfev)


def test_parameters_of_several_shapes_and_dtypes_are_fitted(rng: np.random.Generator) -> None:
    X = rng.normal(size=(50, 3))
    target = X @ [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]] + [7.0, 8.0]
    weight, bias, scale = leaf(np.zeros((3, 2))), leaf(np.zeros(2), np.float32), leaf(1.0)

    def cost() -> Any:
        return np.mean((scale * (X @ weight) + bias - target) ** 2)

    result = optim.minimize(cost, [weight, bias, scale])
    assert result.x.shape == (9,)
    assert result.fun < 1e-9
    np.testing.assert_allclose(scale.data * weight.data, [[1, 2], [3, 4], [5, 6]], atol=1e-4)
    np.testing.assert_allclose(bias.data, [7, 8], atol=1e-4)
    assert bias.dtype == np.float32
    assert scale.shape == ()


@pytest.mark.parametrize("method", METHODS[3:])
def test_products_with_the_hessian_are_those_by_hand(method: str) -> None:
    from scipy.optimize import rosen_hess_prod

    from autograd_mini.optim.minimize import Problem

    x, v = np.array([-1.2, 1.0, 0.5]), np.array([1.0, -2.0, 3.0])
    w = leaf(x)
    problem = Problem(rosenbrock(w), [w])
    np.testing.assert_allclose(problem.curvature(x, v), rosen_hess_prod(x, v))


@every_method
def test_the_cost_is_not_computed_again_where_it_was_last(method: str) -> None:
    w, calls = leaf(START), []

    def cost() -> Any:
        calls.append(w.data.copy())
        return rosenbrock(w)()

    optim.minimize(cost, [w], method=method, callback=lambda now: None)
    assert not any(np.array_equal(a, b) for a, b in itertools.pairwise(calls))


def test_the_hessian_of_a_linear_part_is_zero() -> None:
    from autograd_mini.optim.minimize import Problem

    a, b = leaf([1.0, 2.0]), leaf([3.0])
    x, v = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0])
    linear = Problem(lambda: np.sum(a) + np.sum(b), [a, b])
    np.testing.assert_array_equal(linear.curvature(x, v), [0, 0, 0])
    partly = Problem(lambda: np.sum(a**2) + np.sum(b), [a, b])
    np.testing.assert_array_equal(partly.curvature(x, v), [2, 2, 0])


def test_an_iteration_that_ends_at_a_point_not_seen_is_evaluated_there() -> None:
    from autograd_mini.optim.minimize import Problem

    w = leaf(START)
    problem = Problem(rosenbrock(w), [w])
    problem.value_and_gradient(problem.start)
    now = problem.iteration(np.array([1.0, 1.0]))
    assert now == optim.Iteration(1, 0.0, 0.0)
    assert w.tolist() == [1.0, 1.0]


def test_a_cost_under_no_grad_is_differentiated_all_the_same() -> None:
    w = leaf([3.0])
    with ag.no_grad():
        optim.minimize(lambda: np.sum((w - 1) ** 2), [w])
    assert w.item() == pytest.approx(1.0)
    assert listening().recording


def test_maxiter_bounds_the_iterations() -> None:
    w = leaf(START)
    result = optim.minimize(rosenbrock(w), [w], method="CG", maxiter=3)
    assert (result.nit, len(result.history), result.success) == (3, 4, False)
    np.testing.assert_array_equal(w.data, result.x)


def test_tol_and_options_are_passed_on() -> None:
    w = leaf(START)
    loose = optim.minimize(rosenbrock(w), [w], tol=1.0)
    w = leaf(START)
    few = optim.minimize(rosenbrock(w), [w], options={"maxfun": 5})
    assert loose.nit < 10
    assert few.nfev < 12


def test_after_a_search_that_failed_the_parameters_are_those_of_the_result() -> None:
    w = leaf([0.5])
    with np.errstate(all="ignore"):
        result = optim.minimize(lambda: -np.exp(np.sum(w) * 100), [w], method="CG")
    assert not result.success
    np.testing.assert_array_equal(w.data, result.x)


# ---- callback and progress ----------------------------------------------------------------------


@every_method
def test_the_callback_sees_the_parameters_of_its_iteration(method: str) -> None:
    w = leaf(START)
    cost, seen = rosenbrock(w), []

    def callback(now: optim.Iteration) -> None:
        seen.append(now)
        y = cost()
        assert y.item() == now.cost
        gradient = ag.gradients(y, w)
        assert np.linalg.norm(gradient.data) == pytest.approx(now.gradient_norm, rel=1e-12)

    result = optim.minimize(cost, [w], method=method, callback=callback)
    assert [now.iteration for now in seen] == list(range(1, result.nit + 1))
    assert [now.cost for now in seen] == result.history[1:]


@every_method
def test_the_callback_stops_by_stopiteration(method: str) -> None:
    w = leaf(START)

    def callback(now: optim.Iteration) -> None:
        if now.cost < 4.0:
            raise StopIteration

    result = optim.minimize(rosenbrock(w), [w], method=method, callback=callback)
    assert not result.success
    assert result.history[-1] < 4.0 <= result.history[-2]
    assert rosenbrock(w)().item() == result.history[-1]


def test_a_bar_shows_nothing_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    w = leaf(START)
    optim.minimize(rosenbrock(w), [w], progress=True)
    assert capfd.readouterr() == ("", "")


def test_a_bar_counts_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    tqdm = pytest.importorskip("tqdm")
    bars = []

    class Bar(tqdm.tqdm):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "disable": False, "file": io.StringIO()})
            bars.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    w = leaf(START)
    result = optim.minimize(rosenbrock(w), [w], maxiter=5, progress=True)
    (bar,) = bars
    assert (bar.n, bar.total, bar.desc) == (5, 5, "L-BFGS-B")
    assert f"cost={result.fun:.6g}" in bar.postfix


@pytest.mark.parametrize("name", ["scipy.optimize", "tqdm"])
def test_a_missing_library_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    w = leaf(START)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'autograd-mini\[optim\]'"):
        optim.minimize(rosenbrock(w), [w], progress=True)
    assert w.tolist() == START


# ---- errors -------------------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("call", [1, 2, 5])
def test_after_an_error_in_the_cost_the_parameters_are_as_at_the_start(
    method: str, call: int
) -> None:
    w, calls = leaf(START), []

    def cost() -> Any:
        calls.append(1)
        if len(calls) == call:
            raise ZeroDivisionError("of the user")
        return rosenbrock(w)()

    with pytest.raises(ZeroDivisionError, match="of the user"):
        optim.minimize(cost, [w], method=method)
    assert w.tolist() == START


def test_after_an_error_in_the_callback_the_parameters_are_as_at_the_start() -> None:
    w = leaf(START)

    def callback(now: optim.Iteration) -> None:
        if now.iteration == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        optim.minimize(rosenbrock(w), [w], callback=callback)
    assert w.tolist() == START


@every_method
def test_an_interrupt_keeps_the_best_parameters_so_far(method: str) -> None:
    w, costs = leaf(START), []

    def cost() -> Any:
        if costs and costs[-1] > min(costs):  # a point that the search has tried in vain
            raise KeyboardInterrupt
        y = rosenbrock(w)()
        costs.append(y.item())
        return y

    with pytest.raises(KeyboardInterrupt):
        optim.minimize(cost, [w], method=method)
    assert rosenbrock(w)().item() == min(costs) < costs[-1]


def test_an_interrupt_at_once_changes_nothing() -> None:
    w = leaf(START)

    def cost() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optim.minimize(cost, [w])
    assert w.tolist() == START


@pytest.mark.parametrize(
    ("cost", "error", "message"),
    [
        (lambda w: w * 2, ValueError, r"one number, not the tensor shape \(2,\)"),
        (lambda w: 3.0, ValueError, "one number, not 3.0"),
        (lambda w: float(np.sum(w)), ValueError, "one number"),
        (lambda w: np.sum(w.detach()), RuntimeError, "no history"),
        (lambda w: np.sum(w) * math.nan, FloatingPointError, "at the start the cost is nan"),
        (lambda w: np.sum(w) * math.inf, FloatingPointError, "at the start"),
    ],
)
def test_a_cost_that_cannot_be_minimised_is_refused(cost: Any, error: Any, message: str) -> None:
    w = leaf(START)
    with pytest.raises(error, match=message):
        optim.minimize(lambda: cost(w), [w])
    assert w.tolist() == START


@pytest.mark.parametrize("name", [None, "bias"])
def test_a_parameter_that_does_not_enter_is_named(name: str | None) -> None:
    used, unused = leaf(START), leaf([1.0, 2.0, 3.0], name=name)
    words = rf"parameter 1 \({'bias of ' if name else ''}shape \(3,\)"
    with pytest.raises(RuntimeError, match=words):
        optim.minimize(rosenbrock(used), [used, unused])
    assert used.tolist() == START


@pytest.mark.parametrize("method", METHODS[3:])
def test_a_curvature_that_is_not_finite_is_refused(method: str) -> None:
    w = leaf([0.0, 1.0])  # the second derivative of |w|^1.5 is infinite at 0
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match="Hessian with a vector"),
    ):
        optim.minimize(lambda: np.sum(np.abs(w) ** 1.5) + np.sum(w), [w], method=method)
    assert w.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("method", ["L-BFGS-B", "CG"])
def test_a_cost_that_is_not_finite_at_the_end_is_no_result(method: str) -> None:
    w = leaf([0.5])
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="become nan: it falls"):
        optim.minimize(lambda: np.sum(np.sqrt(w)), [w], method=method)
    assert w.tolist() == [0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "Nelder-Mead"}, "method must be one of L-BFGS-B, BFGS, CG, Newton-CG"),
        ({"method": "cg"}, "method must be one of"),
        ({"maxiter": 0}, "maxiter must be at least 1, not 0"),
        ({"maxiter": 5, "options": {"maxiter": 7}}, "given twice"),
        ({"tol": 0.0}, "tol must be a positive number"),
        ({"tol": math.nan}, "tol"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    w = leaf(START)
    with pytest.raises(ValueError, match=message):
        optim.minimize(rosenbrock(w), [w], **options)
    assert w.tolist() == START


def test_half_an_iteration_is_refused() -> None:
    w = leaf(START)
    with pytest.raises(TypeError, match=r"maxiter must be a whole number, not 2\.5"):
        optim.minimize(rosenbrock(w), [w], maxiter=2.5)  # type: ignore[arg-type]


def test_parameters_without_elements_are_refused() -> None:
    empty = leaf(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="the parameters have no elements"):
        optim.minimize(lambda: np.sum(empty), [empty])


def test_parameters_are_checked_as_those_of_an_optimizer() -> None:
    w = leaf(START)
    with pytest.raises(ValueError, match="the same tensor"):
        optim.minimize(rosenbrock(w), [w, w])
    with pytest.raises(ValueError, match="there are no parameters"):
        optim.minimize(rosenbrock(w), [])
