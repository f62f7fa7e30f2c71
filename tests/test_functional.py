"""Derivatives of functions: values, structures, nesting, errors."""

import functools
import math
import pickle
from collections import namedtuple

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.check import numerical_gradient


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


def test_the_gradient_of_a_weight_that_the_function_finds_by_itself_is_not_lost():
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    slope = ag.grad(lambda x: np.sum(w**2 * x))(np.ones(2))
    np.testing.assert_array_equal(slope.data, [1.0, 4.0])
    np.sum(slope**2).backward()  # the sum of w**4
    np.testing.assert_array_equal(w.grad.data, [4.0, 32.0])
    with ag.no_grad():
        assert type(ag.grad(lambda x: np.sum(w * x))(np.ones(2))) is np.ndarray
    h = ag.Tensor([1.0, 2.0], requires_grad=True) * 2  # the leaf itself is gone
    assert ag.grad(lambda x: np.sum(h * x))(np.ones(2)).requires_grad
    constant = h.detach()
    assert type(ag.grad(lambda x: np.sum(constant * x))(np.ones(2))) is np.ndarray


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
    with pytest.raises(ValueError, match=r"returned a list: use ag\.jacobian"):
        ag.grad(lambda x: [x])(1.0)
    with pytest.raises(TypeError, match="returned None, which holds no number"):
        ag.grad(print)(1.0)


@pytest.mark.parametrize("way", [ag.grad, ag.value_and_grad, ag.jacobian, ag.hessian])
@pytest.mark.parametrize(
    "function", [lambda x: x > 0, lambda x: 3, lambda x: np.argmax(x), lambda x: x.astype(int)]
)
def test_a_value_that_changes_in_jumps_has_no_derivative(way, function):
    with pytest.raises(TypeError, match=r"returned shape \(\) (int64|bool): only what is floating"):
        way(function)(1.5)


@pytest.mark.parametrize(
    ("tangents", "message"),
    [
        ([np.ones(2)], r"the tangents must be a tuple with \[0, 1\]"),
        ([{"a": 1.0}, 2.0], r"the tangents\[0\] must be a dict with \['a', 'b'\]"),
        ([{"a": 1.0, "b": 2.0, "c": 3.0}, 2.0], r"the tangents\[0\] must be a dict"),
        ([{"a": 1.0, "b": (2.0,)}, 2.0], r"the tangents\[0\]\['b'\] must be a list with \[0, 1\]"),
    ],
)
def test_a_tangent_of_another_structure_is_refused(tangents, message):
    args = [{"a": 1.0, "b": [2.0, None]}, 3.0]
    with pytest.raises(ValueError, match=message):
        ag.jvp(lambda d, x: d["a"] * d["b"][0] * x, args, tangents)


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
    assert not hasattr(z, "grad")


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


# ---- derivatives of derivatives -----------------------------------------------------------------

POINT, DIRECTION = np.array([1.0, 2.0, -0.5]), np.array([3.0, 5.0, 0.7])


def vector(xp, x):
    return xp.tanh(x) * x[::-1] ** 2


def number(xp, x):
    return xp.sum(x**3 * x[::-1] + xp.sin(x))


def programs(lib, xp):
    """Programs of a point and a direction, each in the words of one library."""
    f, h = functools.partial(vector, xp), functools.partial(number, xp)
    _, pull_back = lib.vjp(f, xp.asarray(POINT))
    hvp = getattr(lib, "hvp", lambda h, x, v: lib.jvp(lib.grad(h), (x,), (v,))[1])
    return {
        "jvp": lambda x, v: xp.sum(lib.jvp(f, (x,), (v,))[1] ** 2),
        "value of jvp": lambda x, v: xp.sum(lib.jvp(f, (x,), (v,))[0] * v),
        "vjp": lambda x, v: xp.sum(lib.vjp(f, x)[1](v)[0] ** 2),
        "vjp made once": lambda x, v: xp.sum(pull_back(v)[0] ** 2 * x),
        "jvp of vjp": lambda x, v: xp.sum(
            lib.jvp(lambda g: lib.vjp(f, x)[1](g)[0], (v,), (x,))[1] ** 2
        ),
        "vjp of jvp": lambda x, v: xp.sum(
            lib.vjp(lambda t: lib.jvp(f, (x,), (t,))[1], v)[1](x)[0] ** 2
        ),
        "hvp": lambda x, v: xp.sum(hvp(h, x, v) ** 2),
        "jacobian": lambda x, v: xp.sum((lib.jacobian(f)(x) @ v) ** 2),
        "hessian": lambda x, v: xp.sum((lib.hessian(h)(x) @ v) ** 2),
        "jacobian by the direction": lambda x, v: xp.sum(
            lib.jacobian(lambda t: lib.jvp(f, (x,), (t,))[1])(v) ** 2
        ),
        "nests": lambda x, v: xp.sum(
            lib.vjp(lambda d: {"a": d["x"] * d["v"], "b": [d["x"] ** 2]}, {"x": x, "v": v})[1](
                {"a": v, "b": [x]}
            )[0]["x"]
            ** 2
        ),
        "closure": lambda x, v: lib.grad(lambda s: xp.sum(lib.jvp(f, (x,), (s * v,))[1] ** 2))(1.5),
    }


@pytest.mark.parametrize("program", programs(ag, np))
@pytest.mark.parametrize("argnum", [0, 1])
def test_derivatives_of_derivatives_by_every_input_are_those_of_finite_differences(program, argnum):
    run = programs(ag, np)[program]
    along = [lambda x: run(x, DIRECTION), lambda v: run(POINT, v)][argnum]
    expected = numerical_gradient(along, [POINT, DIRECTION][argnum], method="richardson")
    found = ag.grad(run, argnum)(POINT, DIRECTION)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("program", programs(ag, np))
@pytest.mark.parametrize("argnum", [0, 1])
def test_derivatives_of_derivatives_are_those_of_jax(program, argnum):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", val=True)
    expected = jax.grad(programs(jax, jax.numpy)[program], argnum)(POINT, DIRECTION)
    found = ag.grad(programs(ag, np)[program], argnum)(POINT, DIRECTION)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("program", programs(ag, np))
def test_recorded_directions_get_gradients_by_backward_too(program):
    x, v = ag.Tensor(POINT), ag.Tensor(DIRECTION, requires_grad=True)
    value = programs(ag, np)[program](x, v)
    value.backward()
    expected = ag.grad(programs(ag, np)[program], 1)(POINT, DIRECTION)
    np.testing.assert_array_equal(np.zeros(3) if v.grad is None else v.grad.data, expected)


def test_a_derivative_along_a_tensor_is_a_tensor():
    tangent = ag.jvp(np.sin, [1.0], [ag.Tensor(2.0, requires_grad=True)])[1]
    assert isinstance(tangent, ag.Tensor)
    assert tangent.requires_grad
    (product,) = ag.vjp(np.sin, 1.0)[1](ag.Tensor(2.0))
    assert isinstance(product, ag.Tensor)
    assert not product.requires_grad


def test_values_may_be_nests():
    def f(p):
        return {"sum": p["a"] + p["b"], "rest": (p["a"] * p["b"], None, 2.0)}

    p = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}
    value, tangent = ag.jvp(f, [p], [{"a": np.ones(2), "b": np.zeros(2)}])
    np.testing.assert_array_equal(value["rest"][0], [3.0, 8.0])
    np.testing.assert_array_equal(tangent["sum"], [1.0, 1.0])
    np.testing.assert_array_equal(tangent["rest"][0], p["b"])
    assert tangent["rest"][1] is None
    assert tangent["rest"][2] == 0.0
    J = ag.jacobian(f)(p)
    np.testing.assert_array_equal(J["rest"][0]["a"], np.diag(p["b"]))
    np.testing.assert_array_equal(J["rest"][2]["b"], [0.0, 0.0])
    pulled = ag.vjp(f, p)[1]({"sum": np.ones(2), "rest": (p["a"], None, 7.0)})[0]
    np.testing.assert_array_equal(pulled["a"], 1 + p["a"] * p["b"])


def test_hessians_by_nests_are_nests_of_nests():
    H = ag.hessian(lambda t: t["a"] ** 3 * np.sum(t["b"] ** 2))({"a": 2.0, "b": np.ones(2)})
    assert H["a"]["a"] == 24.0
    np.testing.assert_array_equal(H["a"]["b"], [24.0, 24.0])
    np.testing.assert_array_equal(H["b"]["a"], H["a"]["b"])
    np.testing.assert_array_equal(H["b"]["b"], 16 * np.eye(2))
    both = ag.hessian(lambda a, b: a * b**2, (0, 1))(2.0, 3.0)
    assert [[float(h) for h in row] for row in both] == [[0.0, 6.0], [6.0, 4.0]]


def test_the_second_derivative_of_a_linear_function_is_zero_on_tensors_too():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    slope = ag.gradients(np.sum(3 * x), x, create_graph=True)
    assert slope.tolist() == [3.0, 3.0]
    assert ag.gradients(np.sum(slope), x).tolist() == [0.0, 0.0]
    assert not ag.gradients(np.sum(3 * x), x).requires_grad


@pytest.mark.parametrize("number", [float, math.sqrt, np.float64])
def test_a_number_taken_out_of_what_is_differentiated_is_refused(number):
    with pytest.raises(TypeError, match=r"would be a constant.*detach|silently cut off"):
        ag.grad(lambda x: number(np.sum(x)) * np.sum(x))(np.ones(2))
    constant = ag.Tensor(4.0)
    assert ag.grad(lambda x: float(constant) * x)(1.0) == 4.0
    leaf = ag.Tensor(2.0, requires_grad=True)
    assert float(ag.grad(lambda x: float(leaf**2) * x)(1.0)) == 4.0
    assert ag.grad(lambda x: float(x.detach()) * x)(3.0) == 3.0


def test_gradients_of_what_is_no_tensor_are_refused():
    x = ag.Tensor(1.0, requires_grad=True)
    for call in (lambda: ag.gradients(3, [x]), lambda: ag.gradients(2 * x, [4])):
        with pytest.raises(TypeError, match=r"ag\.gradients takes Tensors, not int [34]"):
            call()
    with pytest.raises(TypeError, match=r"ag\.assign takes Tensors, not int 3"):
        ag.assign(3, 4.0)


# ---- what is made of a function -----------------------------------------------------------------


@ag.grad
def slope(x):
    """The slope of a cube."""
    return x**3


def test_what_is_made_of_a_function_has_its_name_and_travels():
    assert (slope.__name__, slope.__doc__) == ("slope", "The slope of a cube.")
    assert ag.grad(functools.partial(np.add, 1.0)).__name__ == "partial"
    assert pickle.loads(pickle.dumps(slope)) is slope
    loaded = pickle.loads(pickle.dumps(ag.hessian(np.tanh)))
    assert loaded(0.3) == ag.hessian(np.tanh)(0.3)


def test_a_derivative_in_a_class_is_a_method():
    class Curve(float):
        steepness = ag.grad(lambda self, x: self * x**2)

    assert Curve(2.0).steepness(3.0) == Curve.steepness(Curve(2.0), 3.0) == 9.0


@pytest.mark.parametrize("number", [int, lambda t: t.item(), lambda t: t.tolist()])
def test_numbers_are_taken_out_in_no_other_way_either(number):
    with pytest.raises(TypeError, match="would be a constant"):
        ag.grad(lambda x: number(np.sum(x)) * np.sum(x))(np.ones(2))


@pytest.mark.parametrize("argnums", [(0, 0), (0, -1)])
def test_an_argument_is_not_named_twice(argnums):
    for derivative in (ag.grad, ag.jacobian, ag.hessian):
        with pytest.raises(ValueError, match="names an argument twice"):
            derivative(lambda x: np.sum(x**2), argnums)(np.ones(2))


def test_flatten_has_memory_of_its_own():
    W = ag.Tensor(np.ones((2, 2)), requires_grad=True)
    before = W.flatten()
    with ag.no_grad():
        W -= 0.5
    assert before.data.tolist() == [1.0] * 4
    assert not np.shares_memory(before.data, W.data)
