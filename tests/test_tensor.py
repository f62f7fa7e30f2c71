"""Tensor: what it is made of, what it shows, how it is indexed, and what leaves the graph."""

from __future__ import annotations

import array
import copy
import gc
import math
import operator
import weakref
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag

Array = Any


def leaf(values: Any, **options: Any) -> ag.Tensor:
    return ag.Tensor(values, requires_grad=True, **options)


# ---- what it is made of -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1, np.int64, ()),
        (1.5, np.float64, ()),
        (True, np.bool_, ()),
        (1 + 2j, np.complex128, ()),
        ([1, 2], np.int64, (2,)),
        ((1.0, 2.0), np.float64, (2,)),
        ([[1], [2]], np.int64, (2, 1)),
        ([], np.float64, (0,)),
        (range(3), np.int64, (3,)),
        (np.float32(1), np.float32, ()),
        (np.int8(1), np.int8, ()),
        (np.ones((2, 0), np.float16), np.float16, (2, 0)),
        (array.array("d", [1, 2]), np.float64, (2,)),
        (memoryview(np.ones(2)), np.float64, (2,)),
        ([ag.Tensor(1.0), ag.Tensor(2.0)], np.float64, (2,)),
        (ag.Tensor([1, 2]), np.int64, (2,)),
    ],
)
def test_a_tensor_is_made_of_anything_that_numpy_takes(data: Any, dtype: Any, shape: Any) -> None:
    t = ag.Tensor(data)
    assert type(t.data) is np.ndarray
    assert (t.dtype, t.shape, t.ndim, t.size) == (dtype, shape, len(shape), math.prod(shape))
    assert t.grad is None
    assert t.name is None
    assert t.requires_grad is False


@pytest.mark.parametrize(
    "data",
    [
        "text",
        ["a", "b"],
        b"bytes",
        None,
        pytest.param(object(), id="an object"),
        Fraction(1, 2),
        [Fraction(1, 2)],
        {"a": 1},
        np.array(["2020-01-01"], "datetime64[D]"),
        np.zeros(2, [("x", float)]),
    ],
    ids=str,
)
def test_a_tensor_of_what_is_no_number_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match="a Tensor holds numbers, not dtype"):
        ag.Tensor(data)


def test_ragged_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        ag.Tensor([[1, 2], [3]])


def test_an_array_is_shared_and_a_list_is_not() -> None:
    values = np.zeros(2)
    t = ag.Tensor(values)
    assert t.data is values
    values[0] = 5
    assert t.tolist() == [5.0, 0.0]
    assert ag.Tensor(t).data is values


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype(np.float32), "f"])
def test_dtype_is_what_is_asked_for(dtype: Any) -> None:
    assert ag.Tensor([1, 2], dtype=dtype).dtype == np.float32
    assert ag.Tensor(ag.Tensor([1, 2]), dtype=dtype).dtype == np.float32


@pytest.mark.parametrize("data", [1, True, [1, 2], 1j, np.zeros(2, np.uint8)])
def test_only_floating_point_tensors_can_want_gradients(data: Any) -> None:
    with pytest.raises(TypeError, match=r"only floating-point .*write 1\.0 for 1, or pass dtype"):
        leaf(data)
    t = ag.Tensor(data)
    with pytest.raises(TypeError, match="only floating-point"):
        t.requires_grad = True
    assert not t.requires_grad


def test_a_tensor_of_a_tensor_with_history_is_refused() -> None:
    x = leaf([1.0])
    for data in (x, x * 2, [x[0], x[0]]):
        with pytest.raises(TypeError, match=r"silently cut off.*detach\(\)"):
            ag.Tensor(data)


def test_unknown_attributes_are_refused() -> None:
    t = ag.Tensor(1.0)
    with pytest.raises(AttributeError):
        t.require_grad = True


# ---- what it shows ------------------------------------------------------------------------------


def test_repr_shows_value_dtype_op_name_and_whether_a_gradient_is_wanted() -> None:
    x = leaf([1.0, 2.5], name="x")
    assert repr(x) == "Tensor([1. , 2.5], dtype=float64, requires_grad=True, name='x')"
    assert repr(x * 2) == "Tensor([2., 5.], dtype=float64, op=multiply)"
    assert repr(x.detach()) == "Tensor([1. , 2.5], dtype=float64)"
    assert repr(ag.Tensor(3)) == "Tensor(3, dtype=int64)"
    assert repr(ag.Tensor(np.eye(2, dtype=np.float32))) == (
        "Tensor([[1., 0.],\n        [0., 1.]], dtype=float32)"
    )
    assert len(repr(ag.Tensor(np.zeros(100_000)))) < 200


def test_format_applies_to_one_number() -> None:
    loss = leaf(1.23456) * 1
    assert f"{loss:.2f}" == "1.23"
    assert f"{loss}" == str(loss) == repr(loss)
    with pytest.raises(ValueError, match="size 1"):
        f"{leaf([1.0, 2.0]):.2f}"


def test_shape_and_its_kin_are_those_of_the_array() -> None:
    t = ag.Tensor(np.zeros((2, 3, 4), np.float32))
    assert (t.shape, t.ndim, t.size, t.dtype) == ((2, 3, 4), 3, 24, np.float32)
    assert t.T.shape == (4, 3, 2)
    assert t.mT.shape == (2, 4, 3)


def test_length_is_that_of_the_first_axis() -> None:
    assert len(ag.Tensor(np.zeros((2, 3)))) == 2
    assert len(ag.Tensor([])) == 0
    with pytest.raises(TypeError, match="unsized"):
        len(ag.Tensor(1.0))


def test_iteration_gives_tensors_that_are_differentiated() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    np.sum(first * second).backward()
    assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    with pytest.raises(TypeError, match=r"iteration over a tensor of shape \(\)"):
        iter(ag.Tensor(1.0))


def test_the_builtin_sum_adds_elements() -> None:
    x = leaf([1.0, 2.0])
    sum(x).backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_membership_compares_elements() -> None:
    t = ag.Tensor([1.0, 2.0])
    assert 2 in t
    assert 3 not in t
    assert [float(x) for x in reversed(t)] == [2.0, 1.0]


# ---- python numbers -----------------------------------------------------------------------------


def test_one_number_converts_to_pythons_numbers() -> None:
    x = leaf(2.75)
    assert (float(x), int(x), x.item(), x.tolist()) == (2.75, 2, 2.75, 2.75)
    assert type(x.item()) is float
    assert type(ag.Tensor(3).item()) is int
    assert float(leaf([[2.5]])) == 2.5
    assert math.sqrt(leaf(4.0)) == 2.0


@pytest.mark.parametrize("convert", [float, int, lambda t: t.item()])
def test_several_numbers_do_not_convert(convert: Any) -> None:
    with pytest.raises(ValueError, match="size 1"):
        convert(leaf([1.0, 2.0]))


def test_truth_is_that_of_one_number() -> None:
    assert ag.Tensor(2.0)
    assert not ag.Tensor([0.0])
    assert leaf(1.0) > 0
    for several in (ag.Tensor([1.0, 2.0]), ag.Tensor([])):
        # of an empty array NumPy 2.0 and 2.1 only warn
        with pytest.raises((ValueError, DeprecationWarning), match="truth value"):
            bool(several)


def test_a_whole_number_is_an_index() -> None:
    assert [10, 20, 30][ag.Tensor(1)] == 20
    assert operator.index(ag.Tensor(5)) == 5
    assert list(range(ag.Tensor(2))) == [0, 1]
    for no_index in (ag.Tensor(1.0), ag.Tensor([1, 2])):
        with pytest.raises(TypeError, match="integer"):
            operator.index(no_index)


def test_tensors_are_hashed_by_identity() -> None:
    a, b = leaf([1.0]), leaf([1.0])
    assert hash(a) == hash(a)
    assert len({a, b, a}) == 2
    assert {a: 1}[a] == 1


# ---- comparison ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "compare", [getattr(operator, n) for n in ("lt", "le", "eq", "ne", "ge", "gt")]
)
def test_comparison_is_elementwise_and_carries_no_gradient(compare: Any) -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    for left, right in [(leaf(a), leaf(b)), (leaf(a), b), (a, leaf(b)), (leaf(a), 2), (2, leaf(b))]:
        result = compare(left, right)
        plain = [x.data if isinstance(x, ag.Tensor) else x for x in (left, right)]
        assert isinstance(result, ag.Tensor)
        assert result.dtype == bool
        assert not result.requires_grad
        np.testing.assert_array_equal(result, compare(*plain))


def test_comparison_with_none_is_false() -> None:
    assert (ag.Tensor([1.0]) == None).tolist() == [False]  # noqa: E711
    assert (ag.Tensor([1.0]) != None).tolist() == [True]  # noqa: E711


# ---- operators ----------------------------------------------------------------------------------

ARITHMETIC = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]


@pytest.mark.parametrize("operate", ARITHMETIC)
@pytest.mark.parametrize(
    "other",
    [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.array([1.0, 2.0]), [1, 2]],
    ids=repr,
)
def test_operators_and_their_reflections_are_those_of_numpy(operate: Any, other: Any) -> None:
    if operate is operator.pow and isinstance(other, np.bool_ | bool):
        other = np.array(1)
    values = np.array([1.5, 2.5])
    for left, right in [(leaf(values), other), (other, leaf(values))]:
        result = operate(left, right)
        plain = [x.data if isinstance(x, ag.Tensor) else np.asarray(x) for x in (left, right)]
        assert isinstance(result, ag.Tensor)
        np.testing.assert_array_equal(result.data, operate(*plain))
        np.sum(result).backward()
        twins = [leaf(x.data) if isinstance(x, ag.Tensor) else np.asarray(x) for x in (left, right)]
        np.sum(operate(*twins)).backward()
        for x, twin in zip((left, right), twins, strict=True):
            if isinstance(x, ag.Tensor):
                np.testing.assert_array_equal(x.grad.data, twin.grad.data)


def test_operators_of_one_operand_are_those_of_numpy() -> None:
    x = leaf([-1.5, 2.0])
    for operate in (operator.neg, operator.pos, operator.abs):
        np.testing.assert_array_equal(operate(x).data, operate(x.data))
        assert operate(x).requires_grad
    assert (~ag.Tensor([True, False])).tolist() == [False, True]


def test_logic_of_masks_is_that_of_numpy() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, False])
    for operate in (operator.and_, operator.or_, operator.xor):
        expected = operate(a, b).tolist()
        assert operate(ag.Tensor(a), b).tolist() == expected
        assert operate(a, ag.Tensor(b)).tolist() == expected
        assert operate(a.tolist(), ag.Tensor(b)).tolist() == expected
    mask = ag.Tensor(a)
    mask &= b
    assert mask.tolist() == [True, False, False]


def test_divmod_is_quotient_and_remainder() -> None:
    x = leaf([7.5, -7.5])
    quotient, rest = divmod(x, 2)
    assert (quotient.tolist(), rest.tolist()) == ([3.0, -4.0], [1.5, 0.5])
    np.sum(rest).backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_the_square_is_taken_without_a_logarithm() -> None:
    x = leaf([-3.0])
    assert (x**2)._node.primitive.name == "square"
    assert (x**2.0)._node.primitive.name == "power"
    assert (ag.Tensor([3]) ** 2).tolist() == [9]


def test_python_numbers_and_lists_of_them_do_not_change_float32() -> None:
    x = leaf(np.ones(2, np.float32))
    for y in (
        x * 2,
        2.5 * x,
        x + 1,
        1 - x,
        x / 3,
        3 / x,
        x**2,
        x**0.5,
        2**x,
        x % 2,
        np.maximum(x, 0),
    ):
        assert y.dtype == np.float32
    assert (np.float32(2) * x).dtype == np.float32
    assert (np.float64(2) * x).dtype == (np.float64(2) * x.data).dtype == np.float64


def test_numpys_scalars_on_the_left_give_tensors() -> None:
    x = leaf([1.0, 2.0])
    for y in (np.float64(2) * x, np.float64(2) ** x, np.int64(1) - x, np.float32(1) / x):
        assert isinstance(y, ag.Tensor)
        assert y.requires_grad
    assert isinstance(np.float64(2) < x, ag.Tensor)


# ---- errors of ops ------------------------------------------------------------------------------


def test_shapes_that_do_not_fit_are_named() -> None:
    a, b = leaf(np.zeros(2), name="left"), ag.Tensor(np.zeros(3), name="right")
    message = r"left of shape \(2,\) float64, right of shape \(3,\) float64\): operands could not"
    for operate, name in [(operator.add, "add"), (np.maximum, "maximum"), (operator.pow, "power")]:
        with pytest.raises(ValueError, match=rf"{name}\({message}"):
            operate(a, b)
    with pytest.raises(ValueError, match=r"where\(shape \(2,\) bool, .*shape \(3,\)"):
        np.where(a > 0, a, b)
    with pytest.raises(ValueError, match=r"reshape\(left of shape \(2,\)"):
        a.reshape((3, 5))
    with pytest.raises(ValueError, match=r"left of shape .*out of bounds"):
        a.sum(axis=3)


def test_types_that_do_not_fit_are_named() -> None:
    with pytest.raises(TypeError, match=r"bitwise_and\(shape \(1,\) float64, 3\)"):
        ag.Tensor([1.0]) & 3
    with pytest.raises(TypeError, match=r"invert\(shape \(1,\) float64\)"):
        ~ag.Tensor([1.0])
    with pytest.raises(IndexError, match=r"getitem\(shape \(2,\) float64\).*out of bounds"):
        ag.Tensor([1.0, 2.0])[5]


def test_operands_that_numpy_has_no_loop_for_are_named() -> None:
    with pytest.raises(TypeError, match=r"add\(shape \(1,\) float64, 'a'\)"):
        ag.Tensor([1.0]) + "a"


# ---- out of the graph ---------------------------------------------------------------------------


def test_detach_shares_the_memory_and_no_gradient_flows_through_it() -> None:
    x = leaf([1.0, 2.0])
    free = x.detach()
    assert free.data is x.data
    assert not free.requires_grad
    np.sum(free * x).backward()
    assert x.grad.tolist() == [1.0, 2.0]


def test_numpy_gives_the_array_of_a_tensor_without_history() -> None:
    x = leaf([1.0])
    assert x.detach().numpy() is x.data
    for tensor in (x, x * 2):
        with pytest.raises(TypeError, match=r"silently cut off.*t\.detach\(\) or t\.data"):
            tensor.numpy()


def test_copy_is_differentiated_and_has_memory_of_its_own() -> None:
    x = leaf([1.0, 2.0])
    y = x.copy()
    assert not np.shares_memory(x.data, y.data)
    np.sum(y * y).backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_deepcopy_of_a_leaf_is_a_leaf_of_its_own() -> None:
    x = leaf([1.0, 2.0], name="x")
    twin, again = copy.deepcopy([x, x])
    assert twin is again
    assert twin is not x
    assert (twin.name, twin.requires_grad) == ("x", True)
    np.sum(twin * twin).backward()
    assert twin.grad.tolist() == [2.0, 4.0]
    assert x.grad is None
    assert not np.shares_memory(twin.data, x.data)
    constant = copy.deepcopy(ag.Tensor([1]))
    assert not constant.requires_grad


def test_deepcopy_of_a_result_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"pickle and copy take leaves only.*multiply"):
        copy.deepcopy(leaf([1.0]) * 2)


def test_deepcopy_copies_the_gradient() -> None:
    for values in ([1.0, 2.0], [0.0], [3.0]):
        x = leaf(values)
        np.sum(x * x).backward()
        twin = copy.deepcopy(x)
        assert twin.grad.tolist() == x.grad.tolist()
        assert not np.shares_memory(twin.grad.data, x.grad.data)


def test_a_tensor_can_be_referred_to_weakly() -> None:
    t = leaf([1.0])
    reference = weakref.ref(t)
    assert reference() is t
    del t
    gc.collect()
    assert reference() is None


# ---- indexing -----------------------------------------------------------------------------------

MASK = np.array([[True, False, True], [False, True, True]])
KEYS: dict[str, Any] = {
    "an integer": 1,
    "a negative integer": -1,
    "a numpy integer": np.int64(1),
    "a slice": slice(0, 1),
    "a slice backwards": slice(None, None, -1),
    "an empty slice": slice(5, 5),
    "ellipsis": ...,
    "a new axis": None,
    "nothing": (),
    "integers": (1, -1),
    "a slice and an integer": (slice(None), 1),
    "ellipsis, axis, integer": (..., None, 0),
    "an array": np.array([1, 0, 1]),
    "an array of no axes": np.array(1),
    "an array of two axes": np.array([[0, 1], [1, 1]]),
    "an empty array": np.array([], int),
    "a list": [1, 1, 0],
    "a nested list": [[0, 1], [1, 1]],
    "two arrays": (np.array([0, 1, 1]), np.array([2, 2, 2])),
    "arrays that broadcast": (np.array([[0], [1]]), np.array([2, 0])),
    "a list and a slice": ([0, 0, 1], slice(1, None)),
    "a slice and a list": (slice(None), [2, 0, 2]),
    "a list, an axis, an array": ([0, 0], None, np.array([1, 1])),
    "a list and an integer": ([1, 1], 0),
    "negative elements": (np.array([-1, -2, -1]),),
    "a mask": MASK,
    "a mask of one axis": np.array([False, True]),
    "a slice and a mask": (slice(None), np.array([True, False, True])),
    "a list of booleans": [True, False],
    "a mask and an integer": (np.array([True, True]), 2),
    "a mask and a list": (np.array([True, True]), [2, 2]),
    "True": True,
    "False": False,
    "a tensor": ag.Tensor([0, 0, 1]),
    "a tensor of no axes": ag.Tensor(1),
    "a tensor of booleans": ag.Tensor(MASK),
    "a tensor and a slice": (ag.Tensor([0, 0]), slice(1, 3)),
    "tensors in a slice": slice(ag.Tensor(0), ag.Tensor(1)),
    "a list of tensors": [ag.Tensor(1), ag.Tensor(1)],
    "a tuple in a tuple": ((0, 0, 1),),
    "a tuple and a slice": ((1, 1), slice(1, None)),
    "an array of python's": array.array("q", [1, 1, 0]),
    "memory": memoryview(np.array([0, 0, 1])),
    "a range": range(2),
    "ranges": (range(2), range(1, 3)),
    "numpy's True": np.True_,
    "an empty list": [],
    "an empty tuple in a tuple": ((),),
    "an empty list and a slice": (slice(None), []),
}


def plain(key: Any) -> Any:
    """A key without Tensors."""
    if isinstance(key, tuple | list):
        return type(key)(map(plain, key))
    return key.data if isinstance(key, ag.Tensor) else key


def adjoint(x: Array, key: Any, g: Array) -> Array:
    """Each element of x[key] comes from some element of x: add up, one after the other."""
    origins = np.arange(x.size).reshape(x.shape)[plain(key)]
    total = np.zeros(x.size)
    for origin, value in zip(np.ravel(origins), np.ravel(g), strict=True):
        total[origin] += value
    return total.reshape(x.shape)


def assert_indexed_as_in_numpy(key: Any) -> None:
    values = np.arange(1.0, 7.0).reshape(2, 3)
    x = leaf(values)
    y = x[key]
    expected = np.asarray(values[plain(key)])
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.data, expected)
    g = np.random.default_rng(0).uniform(1, 2, expected.shape)
    for create_graph in (False, True):
        x.grad = None
        y.backward(g, create_graph=create_graph)
        np.testing.assert_allclose(x.grad.data, adjoint(values, key, g))


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_indexing_is_that_of_numpy_and_differentiated(key: Any) -> None:
    assert_indexed_as_in_numpy(key)


def test_an_empty_list_is_an_index_of_nothing() -> None:
    assert_indexed_as_in_numpy([])


def test_indices_are_differentiated_twice() -> None:
    x = leaf([1.0, 2.0, 3.0])
    np.sum(x[[0, 0, 2]] ** 3).backward(create_graph=True)
    assert x.grad.tolist() == [6.0, 0.0, 27.0]
    first, x.grad = x.grad, None
    np.sum(first).backward()
    assert x.grad.tolist() == [12.0, 0.0, 18.0]


@pytest.mark.parametrize("key", [5, (0, 0, 0), [0, 9], 1.5, "a", np.array([0.5])], ids=repr)
def test_an_index_that_numpy_refuses_is_refused(key: Any) -> None:
    x = np.zeros((2, 3))
    with pytest.raises(IndexError):
        x[key]
    with pytest.raises(IndexError):
        leaf(x)[key]


# ---- NumPy's methods ----------------------------------------------------------------------------

METHODS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda t: t.sum(),
    "sum axis": lambda t: t.sum(0),
    "sum axis keepdims": lambda t: t.sum(axis=(0, 1), keepdims=True),
    "mean": lambda t: t.mean(1),
    "mean keepdims": lambda t: t.mean(axis=-1, keepdims=True),
    "max": lambda t: t.max(),
    "max axis": lambda t: t.max(1),
    "min axis": lambda t: t.min(axis=0),
    "var": lambda t: t.var(ddof=1),
    "std": lambda t: t.std(axis=0),
    "prod": lambda t: t.prod(1),
    "cumsum": lambda t: t.cumsum(1),
    "cumsum flat": lambda t: t.cumsum(),
    "cumprod": lambda t: t.cumprod(axis=1),
    "reshape": lambda t: t.reshape(3, 2),
    "reshape of a tuple": lambda t: t.reshape((3, 2)),
    "reshape of -1": lambda t: t.reshape(-1),
    "ravel": lambda t: t.ravel(),
    "flatten": lambda t: t.flatten(),
    "transpose": lambda t: t.transpose(),
    "transpose of axes": lambda t: t.transpose(1, 0),
    "transpose of a tuple": lambda t: t.transpose((1, 0)),
    "transpose of None": lambda t: t.transpose(None),
    "T": lambda t: t.T,
    "mT": lambda t: t.mT,
    "swapaxes": lambda t: t.swapaxes(0, 1),
    "squeeze": lambda t: t[:, :1].squeeze(),
    "squeeze axis": lambda t: t[:, :1].squeeze(axis=1),
    "clip": lambda t: t.clip(1.5, 4.5),
    "astype": lambda t: t.astype(np.float32),
    "copy": lambda t: t.copy(),
}


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS)
def test_methods_are_those_of_numpy_and_differentiated(call: Any) -> None:
    values = np.array([[1.0, 5.0, 2.0], [4.0, 3.0, 6.0]])
    x = leaf(values)
    y, expected = call(x), np.asarray(call(values))
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y.data, expected)
    weights = np.random.default_rng(0).uniform(1, 2, expected.shape)
    np.sum(y * weights).backward()
    step = 1e-6
    for position in np.ndindex(values.shape):
        above, below = values.copy(), values.copy()
        above[position] += step
        below[position] -= step
        slope = np.sum((np.asarray(call(above), float) - call(below)) * weights) / (2 * step)
        assert x.grad.data[position] == pytest.approx(
            slope, rel=1e-1 if call(x).dtype != float else 1e-6, abs=1e-6
        )


LOOKS: dict[str, Callable[[Any], Any]] = {
    "argmax": lambda t: t.argmax(),
    "argmax axis": lambda t: t.argmax(axis=1),
    "argmin": lambda t: t.argmin(0),
    "all": lambda t: t.all(),
    "any": lambda t: t.any(axis=0),
    "nonzero": lambda t: t.nonzero()[0],
}


@pytest.mark.parametrize("call", LOOKS.values(), ids=LOOKS)
def test_methods_that_look_run_on_the_data(call: Any) -> None:
    values = np.array([[1.0, 5.0, 0.0], [4.0, 3.0, 6.0]])
    result = call(leaf(values))
    np.testing.assert_array_equal(result, call(values))


def test_methods_say_which_function_of_numpy_they_are() -> None:
    assert ag.Tensor.mean.__name__ == "mean"
    assert "np.mean" in (ag.Tensor.mean.__doc__ or "")


# ---- broken ops must not make broken tensors ----------------------------------------------------


def test_keywords_that_an_op_does_not_have_are_refused() -> None:
    for call in (
        lambda t: ag.sigmoid(t, axis=3),
        lambda t: ag.relu(t, negative_slope=0.1),
        lambda t: ag.leaky_relu(t, slope=0.1),
    ):
        with pytest.raises(TypeError, match="keyword"):
            call(ag.Tensor([1.0]))


def test_gradients_do_not_flow_through_complex_numbers() -> None:
    x = leaf([1.0, 2.0])
    results = np.abs(x * (3 + 4j)), x * 1j, np.conj(x * 1j)
    assert results[0].tolist() == [5.0, 10.0]
    for y in results:
        for create_graph in (False, True):
            with pytest.raises(TypeError, match=r"real numbers"):
                np.sum(y).backward(create_graph=create_graph)
    assert x.grad is None
    assert np.abs(ag.Tensor([3 + 4j])).tolist() == [5.0]


def test_a_static_cannot_be_a_tensor() -> None:
    with pytest.raises(TypeError, match="negative_slope"):
        ag.leaky_relu(leaf([-1.0, 2.0]), negative_slope=leaf(0.1))


def test_a_list_as_an_exponent_is_differentiated() -> None:
    x = leaf([2.0, 3.0])
    np.sum(x ** [2, 3]).backward()
    assert x.grad.tolist() == [4.0, 27.0]


def test_a_tuple_as_an_exponent_is_differentiated() -> None:
    x = leaf([2.0, 3.0])
    np.sum(x ** (2, 3)).backward()
    assert x.grad.tolist() == [4.0, 27.0]


def test_a_list_that_changes_later_does_no_harm() -> None:
    x, factors = leaf([1.0, 2.0]), [3.0, 4.0]
    y = np.sum(x * factors)
    factors[0] = 99.0
    y.backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_round_is_that_of_numpy() -> None:
    x = ag.Tensor([1.2345, 2.5], requires_grad=True)
    assert round(x, 3).tolist() == np.round(x.data, 3).tolist()
    assert round(x).tolist() == [1.0, 2.0]
