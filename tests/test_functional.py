"""Derivatives of functions: values, structures, nesting, errors."""

from collections import namedtuple

import numpy as np
import pytest

import autograd_mini as ag


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_gradient_and_hessian_agree_with_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    x = np.array([1.3, 0.7, 0.8, 1.9, 1.2])
    np.testing.assert_allclose(ag.grad(rosenbrock)(x), optimize.rosen_der(x), rtol=1e-13)
    np.testing.assert_allclose(ag.hessian(rosenbrock)(x), optimize.rosen_hess(x), rtol=1e-13)
    v = np.arange(5.0)
    np.testing.assert_allclose(ag.hvp(rosenbrock, x, v), optimize.rosen_hess_prod(x, v), rtol=1e-13)


def test_arrays_in_give_arrays_out_and_tensors_in_give_tensors_out():
    x = np.array([1.0, 2.0])
    assert type(ag.grad(rosenbrock)(x)) is np.ndarray
    assert isinstance(ag.grad(rosenbrock)(ag.Tensor(x)), ag.Tensor)
    assert not ag.grad(rosenbrock)(ag.Tensor(x)).requires_grad
    recorded = ag.Tensor(x, requires_grad=True)
    gradient = ag.grad(rosenbrock)(recorded)
    gradient.sum().backward()
    np.testing.assert_allclose(recorded.grad.data, ag.hessian(rosenbrock)(x).sum(axis=0))


def test_the_dtype_of_the_argument_is_the_dtype_of_its_gradient():
    gradient = ag.grad(rosenbrock)(np.array([1.0, 2.0], dtype=np.float32))
    assert gradient.dtype == np.float32


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_grad_nests_to_any_order(order):
    derivative = np.sin
    for _ in range(order):
        derivative = ag.grad(derivative)
    expected = [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin][order - 1](0.7)
    assert float(derivative(0.7)) == pytest.approx(float(expected), abs=1e-15)
    assert not isinstance(derivative(0.7), ag.Tensor)


def test_perturbations_of_nested_derivatives_are_not_confused():
    # d/dx x * (d/dy (x + y)) = d/dx x * 1 = 1, not 2 (Siskind and Pearlmutter, 2005)
    assert float(ag.grad(lambda x: x * ag.grad(lambda y: x + y)(1.0))(1.0)) == 1.0


def test_an_inner_function_may_use_the_outer_variable_by_closure():
    assert float(ag.grad(lambda x: ag.grad(lambda y: x * x * y)(1.0))(3.0)) == 6.0
    value, tangent = ag.jvp(lambda x: ag.grad(lambda y: x**3 * y)(1.0), [2.0], [1.0])
    assert (float(value), float(tangent)) == (8.0, 12.0)


def test_a_parameter_in_the_closure_does_not_turn_arrays_into_tensors():
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    gradient = ag.grad(lambda x: np.sum(w * x))(np.ones(2))
    assert type(gradient) is np.ndarray
    assert w.grad is None
    np.testing.assert_array_equal(gradient, [1.0, 2.0])


def test_gradients_of_nests_have_their_structure():
    point = namedtuple("point", "a b")
    tree = {"w": [np.ones(2), (2.0, np.full((1, 2), 3.0))], "p": point(4.0, np.zeros(()))}

    def cost(tree):
        w, (s, m) = tree["w"]
        return np.sum(w * s * m) + tree["p"].a ** 2 + tree["p"].b

    value, gradient = ag.value_and_grad(cost)(tree)
    assert float(value) == 28.0
    assert type(gradient["p"]) is point
    np.testing.assert_array_equal(gradient["w"][0], [6.0, 6.0])
    assert float(gradient["w"][1][0]) == 6.0
    np.testing.assert_array_equal(gradient["w"][1][1], [[2.0, 2.0]])
    assert (float(gradient["p"].a), float(gradient["p"].b)) == (8.0, 1.0)


def test_argnums_choose_the_arguments():
    def f(x, y, scale=1.0):
        return scale * x * y**2

    assert float(ag.grad(f, 1)(2.0, 3.0)) == 12.0
    assert float(ag.grad(f, -1)(2.0, 3.0)) == 12.0
    both = ag.grad(f, (1, 0))(2.0, 3.0, scale=2.0)
    assert [float(g) for g in both] == [24.0, 18.0]
    with pytest.raises(ValueError, match="argument 2, but there are 2"):
        ag.grad(f, 2)(2.0, 3.0)


def test_what_nothing_depends_on_has_gradient_zero():
    np.testing.assert_array_equal(ag.grad(lambda x: 3.0)(np.ones(2)), np.zeros(2))
    np.testing.assert_array_equal(ag.grad(lambda x, y: np.sum(x), 1)(np.ones(2), np.ones(3)), 0)
    _, tangent = ag.jvp(lambda x: np.ones(3), [1.0], [1.0])
    np.testing.assert_array_equal(tangent, np.zeros(3))
    np.testing.assert_array_equal(ag.jvp(np.floor, [1.5], [1.0])[1], 0)


def test_bad_calls_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"use ag.jacobian or ag.vjp"):
        ag.grad(np.exp)(np.ones(2))
    with pytest.raises(TypeError, match="floating-point"):
        ag.grad(np.sum)(np.arange(3))
    with pytest.raises(ValueError, match=r"tangents have shapes \[\(3,\)\]"):
        ag.jvp(np.exp, [np.ones(2)], [np.ones(3)])
    _, pull_back = ag.vjp(np.exp, np.ones(2))
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\)"):
        pull_back(np.ones(3))


def test_an_integer_argument_counts_as_a_float():
    assert float(ag.grad(lambda x: x**2)(3)) == 6.0


def test_derivatives_work_under_no_grad_and_leave_nothing_recorded():
    with ag.no_grad():
        gradient = ag.grad(np.tanh)(ag.Tensor(0.5, requires_grad=True))
    assert not gradient.requires_grad
    assert float(gradient) == 1 - np.tanh(0.5) ** 2


def test_vjp_and_jvp_are_adjoint():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 4))

    def f(x):
        return np.tanh(A @ x) * x[:3]

    x, v, g = rng.normal(size=4), rng.normal(size=4), rng.normal(size=3)
    value, tangent = ag.jvp(f, [x], [v])
    _, pull_back = ag.vjp(f, x)
    np.testing.assert_allclose(value, f(x))
    assert g @ tangent == pytest.approx(pull_back(g)[0] @ v, rel=1e-14)
    J = ag.jacobian(f)(x)
    np.testing.assert_allclose(J @ v, tangent, rtol=1e-13)


def test_jacobians_have_the_shape_of_value_and_argument():
    tree = {"a": np.ones((2, 3)), "b": np.ones(3)}
    J = ag.jacobian(lambda t: t["a"] @ t["b"])(tree)
    assert J["a"].shape == (2, 2, 3)
    assert J["b"].shape == (2, 3)
    empty = ag.jacobian(lambda x: x[:0])(np.ones(2))
    assert empty.shape == (0, 2)
    assert ag.jacobian(np.sum)(np.ones(2)).shape == (2,)


def test_a_hessian_can_be_differentiated_again():
    third = ag.jacobian(ag.hessian(lambda x: np.sum(x**4)))(np.array([1.0, 2.0]))
    assert third[0, 0, 0] == 24.0
    assert third[1, 1, 1] == 48.0
    assert np.count_nonzero(third) == 2


def test_gradients_with_respect_to_intermediates_touch_no_grad():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    z = x * 3
    y = np.sum(z**2)
    dz, dx = ag.gradients(y, [z, x])
    np.testing.assert_array_equal(dz.data, [6.0, 12.0])
    np.testing.assert_array_equal(dx.data, [18.0, 36.0])
    assert x.grad is None
    assert z.grad is None


def test_gradients_of_something_else_are_an_error_that_names_it():
    x = ag.Tensor([1.0], requires_grad=True, name="x")
    stranger = ag.Tensor([1.0], requires_grad=True, name="stranger")
    with pytest.raises(RuntimeError, match="was not computed from the tensor stranger of shape"):
        ag.gradients(np.sum(x), [x, stranger])
    with pytest.raises(RuntimeError, match="no history"):
        ag.gradients(np.sum(x), ag.Tensor([1.0]))


def test_gradients_go_only_where_they_are_wanted():
    visited = []
    spy = ag.elementwise(
        lambda x: x + 0.0, "$x", name="spy", x=lambda g: visited.append(g.shape) or g
    )
    w, x = ag.Tensor([1.0], requires_grad=True), ag.Tensor([2.0], requires_grad=True)
    ag.gradients(np.sum(w * spy(x)), w)
    assert visited == []
    ag.gradients(np.sum(w * spy(x)), x)
    assert visited == [(1,)]


def test_gradients_of_gradients_give_a_gradient_penalty():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    gradient = ag.gradients(np.sum(x**3), x, create_graph=True)
    np.sum(gradient**2).backward()
    np.testing.assert_allclose(x.grad.data, 2 * (3 * x.data**2) * (6 * x.data))
