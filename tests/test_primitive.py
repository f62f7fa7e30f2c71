"""Declaring ops: what a declaration may say, what it means, and how a wrong one is refused."""

from __future__ import annotations

import functools
import inspect
import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.core import ops
from autograd_mini.core.primitive import Like, Operand, Primitive, implementations

Array = Any


# ---- declarations -------------------------------------------------------------------------------


def test_an_op_is_declared_in_one_expression() -> None:
    cube = ag.elementwise(lambda x: x**3, "$x^3", name="cube", x=lambda g, x: g * 3 * x**2)
    assert isinstance(cube, Primitive)
    assert (cube.name, cube.__name__, repr(cube)) == ("cube", "cube", "<primitive cube>")
    assert (cube.operands, cube.statics, cube.defaults) == (("x",), (), {})
    assert cube.kind == "elementwise"
    assert cube.analytic
    x = ag.Tensor([[1.0], [2.0]], requires_grad=True)
    cube(x * np.ones(3)).sum().backward()
    assert x.grad.tolist() == [[9.0], [36.0]]


def test_a_declared_op_can_be_differentiated_to_any_order() -> None:
    cube = ag.elementwise(lambda x: x**3, "$x^3", name="cube", x=lambda g, x: g * 3 * x**2)
    y = x = ag.Tensor(2.0, requires_grad=True)
    y = cube(x)
    for derivative in (12.0, 12.0, 6.0):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad
        assert y.item() == derivative


def test_primitive_decorates_a_kernel_and_keeps_its_name_and_docstring() -> None:
    @ag.primitive("$x", x=lambda g, times: g / times)
    def scaled(x: Array, *, times: float = 2.0) -> Array:
        """Many times over."""
        return x * times

    assert scaled.name == "scaled"
    assert scaled.__doc__ == "Many times over."
    assert scaled.statics == ("times",)
    assert scaled.defaults == {"times": 2.0}
    assert scaled.kind == "other"


def test_statics_have_their_defaults_in_kernel_and_rule() -> None:
    seen = []

    @ag.primitive("$x", x=lambda g, times, plus: seen.append((times, plus)) or g * times)
    def affine(x: Array, *, times: float = 2.0, plus: float) -> Array:
        return x * times + plus

    x = ag.Tensor(1.0, requires_grad=True)
    assert affine(x, plus=1.0).item() == 3.0
    affine(x, plus=1.0).backward()
    affine(x, times=5.0, plus=2.0).backward()
    assert seen == [(2.0, 1.0), (5.0, 2.0)]
    assert x.grad.item() == 7.0


def test_unknown_statics_and_tensors_among_them_are_refused_by_name() -> None:
    scaled = ag.primitive("$x", name="scaled", x=lambda g: g)(lambda x, *, times=2.0: x * times)
    x = ag.Tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"scaled takes no such keyword argument .*: often; it"):
        scaled(x, often=3.0)
    with pytest.raises(TypeError, match=r"scaled takes no such .*: times; .* and no Tensors there"):
        scaled(x, times=ag.Tensor(3.0))


def test_out_is_no_static() -> None:
    @ag.primitive("$x")
    def written(x: Array, *, out: Array) -> Array:
        out[...] = x
        return out

    assert written.statics == ()


def test_operands_of_a_ufunc_are_x_or_a_and_b() -> None:
    assert ag.elementwise(np.spacing, "$x").operands == ("x",)
    assert ag.elementwise(np.ldexp, "$a 2^$b").operands == ("a", "b")


def test_a_numpy_function_can_be_a_kernel_and_is_then_known_by_its_name() -> None:
    sinc = ag.elementwise(np.sinc, "$x", x=lambda g, x, y: g * (np.cos(np.pi * x) - y) / x)
    assert implementations[np.sinc] is sinc
    x = ag.Tensor(0.5, requires_grad=True)
    np.sinc(x).backward()
    assert x.grad.item() == pytest.approx(-4 / np.pi)


def test_a_plain_function_is_known_by_the_numpy_name_that_is_asked_for() -> None:
    op = ag.elementwise(lambda x: np.i0(x), "$I_0($x)$", name="i0", numpy=np.i0, x=lambda g: g)
    assert np.i0(ag.Tensor([0.0]))._node is None
    assert implementations[np.i0] is op


def test_composite_runs_for_numpys_function_and_returns_its_function_unchanged() -> None:
    def ptp(a: Array, axis: Any = None) -> Array:
        return np.max(a, axis=axis) - np.min(a, axis=axis)

    assert ag.composite(np.ptp)(ptp) is ptp
    x = ag.Tensor([1.0, 5.0, 3.0], requires_grad=True)
    np.ptp(x).backward()
    assert x.grad.tolist() == [-1.0, 1.0, 0.0]


def test_one_composite_can_stand_for_several_functions() -> None:
    ag.composite(np.unwrap, np.i0)(lambda p: p * 2)
    t = ag.Tensor(1.0)
    assert np.unwrap(t).item() == np.i0(t).item() == 2


def test_variadic_ops_tell_the_rule_which_operand_it_is_for() -> None:
    seen = []

    def rule(g: Array, i: int, likes: Any, xs: Any, y: Array, scale: float) -> Array:
        seen.append((i, [like.shape for like in likes], len(xs), y.shape))
        return g * (i + 1) * scale

    @ag.primitive("$xs", xs=rule)
    def weighted(*xs: Array, scale: float = 1.0) -> Array:
        return sum((i + 1) * x * scale for i, x in enumerate(xs))

    leaves = [ag.Tensor([1.0, 2.0], requires_grad=True) for _ in range(3)]
    weighted(*leaves, np.zeros(2), scale=10.0).sum().backward()
    assert [leaf.grad.tolist() for leaf in leaves] == [[10, 10], [20, 20], [30, 30]]
    assert seen == [(i, [(2,)] * 4, 4, (2,)) for i in range(3)]


def test_variadic_ops_may_have_other_operands_before_the_many() -> None:
    @ag.primitive(
        "$x $xs",
        x=lambda g, xs: g * len(xs),
        xs=lambda g, i, x, likes: g * x * (i + 1) * len(likes),
    )
    def op(x: Array, *xs: Array) -> Array:
        return x * len(xs)

    x, a, b = (ag.Tensor(float(n), requires_grad=True) for n in (2, 3, 4))
    op(x, a, b).backward()
    assert [t.grad.item() for t in (x, a, b)] == [2, 4, 8]
    x.grad = None
    op(x).backward()
    assert x.grad.item() == 0


def test_like_has_shape_and_dtype_and_keeps_nothing() -> None:
    seen: list[Any] = []
    op = ag.primitive("$x", name="op", x=lambda g, like: seen.append(like) or g)(lambda x: x * 1)
    y = op(ag.Tensor(np.ones((2, 3), np.float32), requires_grad=True))
    assert y._node.saved is None
    y.sum().backward()
    assert seen[0].shape == (2, 3)
    assert seen[0].dtype == np.float32
    assert Like((2,), np.dtype(float)).shape == (2,)


def test_operands_may_be_called_whatever_is_not_reserved() -> None:
    @ag.primitive("$weight $labels", weight=lambda g, labels: g * labels)
    def op(weight: Array, labels: Array) -> Array:
        return weight * labels

    w = ag.Tensor(2.0, requires_grad=True)
    op(w, 3.0).backward()
    assert w.grad.item() == 3


# ---- calls --------------------------------------------------------------------------------------


def test_on_arrays_an_op_is_its_kernel() -> None:
    y = ag.relu(np.array([-1.0, 2.0]))
    assert type(y) is np.ndarray
    assert y.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("value", [1, 1.0, True, [1.0], (1, 2), [[1], [2]]])
def test_a_single_operand_may_be_anything_that_numpy_takes(value: Any) -> None:
    np.testing.assert_array_equal(ag.relu(value), np.maximum(value, 0))


def test_a_list_is_an_array_before_the_kernel_sees_it() -> None:
    double = ag.primitive("2 $x", name="double", x=lambda g: 2 * g)(lambda x: x * 2)
    np.testing.assert_array_equal(double([1.0, 2.0]), [2.0, 4.0])


def test_a_tensor_at_any_place_makes_it_a_call_on_tensors() -> None:
    where = implementations[np.less]
    assert isinstance(where(1.0, ag.Tensor(2.0)), ag.Tensor)
    assert isinstance(where(ag.Tensor(2.0), 1.0), ag.Tensor)


def test_another_kind_of_operand_says_itself_what_a_call_means() -> None:
    class Symbol(Operand):
        def _apply(self, primitive: Any, operands: Any, statics: Any) -> Any:
            return primitive.name, len(operands), statics

    assert ag.leaky_relu(Symbol(), negative_slope=0.5) == ("leaky_relu", 1, {"negative_slope": 0.5})
    with pytest.raises(NotImplementedError):
        ag.relu(Operand())


@pytest.mark.parametrize("recorded", [True, False])
def test_a_kernel_may_return_a_numpy_scalar(recorded: bool) -> None:
    op = ag.primitive("$x", name="op", x=lambda g, like: np.full(like.shape, g))(lambda x: x.sum())
    pair = ag.primitive("$a $b", name="pair", a=lambda g: g)(lambda a, b: a[()] * b[()])
    triple = ag.primitive("$a $b $c", name="triple", a=lambda g: g)(lambda a, b, c: a[()] * 1)
    x = ag.Tensor(3.0, requires_grad=recorded)
    for y in (op(x), pair(x, x.data), triple(x, 1.0, 2.0)):
        assert type(y.data) is np.ndarray
        assert y.shape == ()
        assert y.requires_grad == recorded


# ---- wrong declarations -------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["g", "y", "like", "likes", "i"])
def test_words_of_rules_cannot_be_parameters(word: str) -> None:
    kernels = {
        "g": lambda g: g,
        "y": lambda y: y,
        "like": lambda like: like,
        "likes": lambda *likes: likes,
        "i": lambda x, *, i: x,
    }
    with pytest.raises(TypeError, match=rf"op: \{{'{word}'\}} cannot be parameters"):
        ag.primitive("", name="op")(kernels[word])


def test_a_rule_for_what_is_no_operand_is_refused_with_the_names() -> None:
    with pytest.raises(TypeError, match=r"op: rules for \{'b'\}, but the operands are \('a',\)"):
        ag.primitive("", name="op", b=lambda g: g)(lambda a: a)


def test_a_rule_for_a_static_is_refused() -> None:
    with pytest.raises(TypeError, match=r"rules for \{'axis'\}"):
        ag.primitive("", name="op", axis=lambda g: g)(lambda a, *, axis: a)


@pytest.mark.parametrize(
    "rule", [lambda g, b: g, lambda g, Y: g, lambda g, i: g, lambda g, likes: g, lambda g, out: g]
)
def test_an_unknown_word_in_a_rule_is_refused_at_the_declaration(rule: Any) -> None:
    with pytest.raises(TypeError) as error:
        ag.primitive("", name="op", a=rule)(lambda a, *, axis=None, out=None: a)
    assert "op: the rule for a takes (g, " in str(error.value)
    assert "can ask for a, like, axis, y" in str(error.value)


@pytest.mark.parametrize("rule", [lambda x: x, lambda: 0, lambda x, g: g])
def test_a_rule_that_does_not_take_g_first_is_refused(rule: Any) -> None:
    with pytest.raises(TypeError, match="must take g first"):
        ag.elementwise(lambda x: x, "", name="op", x=rule)


@pytest.mark.parametrize(
    "kernel", [math.sin, functools.partial(np.sum, axis=0), "".join, np.random.default_rng]
)
def test_a_kernel_whose_parameters_cannot_be_read_is_refused(kernel: Any) -> None:
    with pytest.raises(TypeError, match="cannot be read: wrap it in a def or lambda"):
        ag.primitive("", name="op")(kernel)


def test_an_operand_without_rule_that_wants_a_gradient_is_refused_at_the_call() -> None:
    op = ag.primitive("", name="op", a=lambda g: g)(lambda a, b: a + b)
    constant, leaf = ag.Tensor(1.0), ag.Tensor(2.0, requires_grad=True)
    assert op(leaf, constant).requires_grad
    with pytest.raises(TypeError, match=r"op has no derivative .*b.*detach"):
        op(constant, leaf)
    with ag.no_grad():
        assert op(constant, leaf).item() == 3


def test_one_of_many_operands_without_rule_is_named() -> None:
    @ag.primitive("", x=lambda g: g)
    def scaled(x: Array, *factors: Array) -> Array:
        return x * sum(factors)

    with pytest.raises(TypeError, match=r"scaled has no derivative .*factors"):
        scaled(ag.Tensor(1.0), 2.0, ag.Tensor(3.0, requires_grad=True))


def test_an_op_without_rules_is_not_recorded() -> None:
    op = ag.primitive("", name="op")(lambda x, *, n=1: x)
    assert not op(ag.Tensor(1.0, requires_grad=True)).requires_grad


def test_a_rule_of_an_op_that_does_not_broadcast_must_give_the_operands_shape() -> None:
    @ag.primitive("", x=lambda g: g)
    def total(x: Array) -> Array:
        return np.sum(x, keepdims=True)

    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"total.*\(1,\).*\(2,\)"):
        total(x).backward()
    assert x.grad is None


def test_a_rule_of_an_elementwise_op_is_summed_to_the_operands_shape_and_cast() -> None:
    op = ag.elementwise(lambda a, b: a * b, "", name="op", a=lambda g: np.float64(2) * g)
    a = ag.Tensor(np.ones((2, 1), np.float32), requires_grad=True)
    op(a, np.ones((3, 1, 4), np.float32)).backward(np.ones((3, 2, 4)))
    assert a.grad.dtype == np.float32
    assert a.grad.tolist() == [[24.0], [24.0]]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1,)])
def test_a_rule_of_an_elementwise_op_that_gives_too_little_is_refused(shape: Any) -> None:
    op = ag.elementwise(lambda x: np.sum(x), "", name="op", x=lambda g: g)
    x = ag.Tensor(np.ones(shape), requires_grad=True)
    with pytest.raises(ValueError, match=r"op: .* shape \(\), but the operand has \("):
        op(x).backward()
    assert x.grad is None


@pytest.mark.parametrize("recorded", [True, False])
def test_a_kernel_may_return_a_number_of_pythons(recorded: bool) -> None:
    op = ag.primitive("", name="op", x=lambda g: 3 * g)(lambda x: 3 * float(x))
    y = op(ag.Tensor(2.0, requires_grad=recorded))
    assert y.item() == 6.0
    assert repr(y)


@pytest.mark.parametrize("rule", [np.negative, functools.partial(np.add, 1), ag.relu, 1.0])
def test_a_rule_that_is_no_function_of_python_is_refused_at_the_declaration(rule: Any) -> None:
    with pytest.raises(TypeError, match="rule for x"):
        ag.elementwise(lambda x: -x, "", name="op", x=rule)


@pytest.mark.parametrize("ufunc", [np._core.umath.clip, np.modf, np.divmod])
def test_a_ufunc_of_three_operands_or_two_results_is_refused_at_the_declaration(ufunc: Any) -> None:
    with pytest.raises(TypeError, match=ufunc.__name__):
        ag.elementwise(ufunc, "")


# ---- kinds and signatures -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["permutation", "reduction", "scatter", "cast", "join", "odd"])
def test_a_kind_that_lacks_its_statics_or_is_none_is_refused(kind: str) -> None:
    with pytest.raises(TypeError, match=rf"op: kind='{kind}' and statics \('other',\)"):

        @ag.primitive("$x", kind=kind)
        def op(x: Any, *, other: int = 0) -> Any:
            return x


def test_signatures_say_what_an_op_takes() -> None:
    assert str(inspect.signature(ag.relu)) == "(x)"
    assert str(inspect.signature(ag.softmax)) == "(x, *, axis=-1)"
    assert str(inspect.signature(ops.multiply)) == "(a, b)"
    assert str(inspect.signature(ops.join)) == "(*xs, axis)"
    assert str(inspect.signature(ag.Primitive)).startswith("(kernel:")
    assert str(inspect.signature(ag.Tensor.sum)).startswith("(self, axis:")


def test_operands_can_be_named() -> None:
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    assert ag.softmax(x=x, axis=0).tolist() == ag.softmax(x, axis=0).tolist()
    assert ops.subtract(x, b=1.0).tolist() == ops.subtract(a=x, b=1.0).tolist() == [0.0, 1.0]
    assert ops.subtract(b=np.ones(2), a=np.ones(2)).tolist() == [0.0, 0.0]
    with pytest.raises(TypeError):
        ops.subtract(b=x)


def test_operators_and_methods_have_names_and_docstrings() -> None:
    for name in ("__add__", "__radd__", "__matmul__", "__neg__", "__iadd__", "__pow__", "sum"):
        method = getattr(ag.Tensor, name)
        assert method.__name__ == name
        assert method.__qualname__ == f"Tensor.{name}"
        assert method.__doc__


def test_what_is_made_of_a_function_has_its_name_its_docstring_and_its_signature() -> None:
    def cost(x: Any, y: float = 2.0) -> Any:
        """What it costs."""
        return np.sum(x**y)

    for make in (ag.grad, ag.value_and_grad, ag.jacobian, ag.hessian):
        made = make(cost)
        assert (made.__name__, made.__doc__) == ("cost", "What it costs.")
        assert inspect.signature(made) == inspect.signature(cost)


def test_the_program_that_type_checkers_read_runs() -> None:
    runpy.run_path(str(Path(__file__).with_name("typed_program.py")))


def test_functions_under_our_own_name_are_those_that_numpys_names_run() -> None:
    for name in ("tanh", "exp", "where", "sum", "mean", "std", "concatenate", "stack", "matmul"):
        function = getattr(ag, name)
        own = getattr(np, name)
        x = ag.Tensor(np.ones((2, 2)), requires_grad=True)
        arguments = {"where": (x > 0, x, x), "concatenate": ([x, x],), "stack": ([x, x],)}
        arguments["matmul"] = (x, x)
        found, right = (f(*arguments.get(name, (x,))) for f in (function, own))
        assert found._node.primitive is right._node.primitive
        np.testing.assert_array_equal(found.data, right.data)


WRONG_KINDS: dict[str, Any] = {
    "elu": (lambda: ag.elu(None), "a Tensor holds numbers, not dtype object: None"),
    "silu": (lambda: ag.silu("a"), "a Tensor holds numbers, not dtype <U1"),
    "gelu": (lambda: ag.gelu("a"), "a Tensor holds numbers, not dtype <U1"),
    "log_sigmoid": (lambda: ag.log_sigmoid({}), "a Tensor holds numbers, not dtype object"),
    "conv2d": (
        lambda: ag.nn.functional.conv2d(None, None),
        "a Tensor holds numbers, not dtype object: None",
    ),
    "softmax": (lambda: ag.softmax(None), "a Tensor holds numbers, not dtype object: None"),
    "assign": (lambda: ag.assign(3, 4.0), r"ag\.assign takes Tensors, not int 3"),
    "gradients": (lambda: ag.gradients(3, [4]), r"ag\.gradients takes Tensors, not int 3"),
    "point_quality": (lambda: ag.check.point_quality(3), "point_quality takes Tensors, not int 3"),
    "good_point": (lambda: ag.check.good_point(3), r"shapes are a dict such as \{'W': \(3, 4\)\}"),
    "elementwise": (lambda: ag.elementwise(3, "$x"), "the parameters of 3 cannot be read"),
    "compare": (
        lambda: ag.compare(np.sum(ag.Tensor([1.0], requires_grad=True)), [1.0]),
        r"the gradients derived by hand are a dict, by name or Tensor.*not list \[1\.0\]",
    ),
}


@pytest.mark.parametrize("name", WRONG_KINDS)
def test_a_value_of_the_wrong_kind_is_named_with_what_is_wanted(name: str) -> None:
    call, message = WRONG_KINDS[name]
    with pytest.raises(TypeError, match=message):
        call()
