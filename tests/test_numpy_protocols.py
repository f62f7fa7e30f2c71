"""NumPy code runs unchanged on Tensors, or says why not: never a silent plain array."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.core.graph import listen
from autograd_mini.core.primitive import implementations

Array = Any


def leaf(values: Any, **options: Any) -> ag.Tensor:
    return ag.Tensor(values, requires_grad=True, **options)


# ---- ordinary code ------------------------------------------------------------------------------


def logistic_regression(X: Any, y: Any, w: Any) -> Any:
    """Written for arrays, by somebody who knows nothing of Tensors."""
    probability = 1 / (1 + np.exp(-np.matmul(X, w)))
    return -np.mean(y * np.log(probability) + (1 - y) * np.log(1 - probability))


def test_code_written_for_arrays_runs_on_tensors(rng: Any) -> None:
    X, y, w = rng.normal(size=(20, 3)), rng.integers(0, 2, 20), rng.normal(size=3)
    t = leaf(w)
    loss = logistic_regression(X, y, t)
    assert loss.item() == pytest.approx(logistic_regression(X, y, w))
    loss.backward()
    by_hand = X.T @ (1 / (1 + np.exp(-X @ w)) - y) / 20
    np.testing.assert_allclose(t.grad.data, by_hand)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.array([2.0, 3.0]) * x,
        lambda x: np.array([2.0, 3.0]) - x,
        lambda x: np.array([2.0, 3.0]) / x,
        lambda x: np.array([2.0, 3.0]) ** x,
        lambda x: np.eye(2) @ x,
        lambda x: np.eye(2)[0] @ x,
        lambda x: np.maximum(np.zeros(2), x),
        lambda x: np.where(np.array([True, False]), np.zeros(2), x),
        lambda x: np.concatenate([np.zeros(2), x]),
        lambda x: np.stack([np.zeros(2), x]),
        lambda x: np.add(1.0, x),
        lambda x: np.float64(3.0) * x,
        lambda x: [1.0, 2.0] * x,
    ],
)
def test_a_tensor_at_any_place_makes_the_result_a_tensor(call: Any) -> None:
    x = leaf([1.0, 2.0])
    y = call(x)
    assert isinstance(y, ag.Tensor)
    assert y.requires_grad
    np.testing.assert_allclose(y.data, call(x.data))


def test_an_array_times_a_tensor_is_one_call_and_not_one_for_each_element(listener: Any) -> None:
    with listen(observer=listener):
        np.ones(3) * ag.Tensor([1.0, 2.0, 3.0])
    assert listener.names == ["multiply"]


# ---- how arguments are given --------------------------------------------------------------------

SHAPE: Any = "shape" if "shape" in inspect.signature(np.reshape).parameters else "newshape"
PLACES: dict[str, Callable[[Any], Any]] = {
    "sum by position": lambda x: np.sum(x, 0),
    "sum by name": lambda x: np.sum(x, axis=0, keepdims=True),
    "sum all by name": lambda x: np.sum(a=x, axis=1),
    "sum over several axes": lambda x: np.sum(x, (0, 1)),
    "mean by position": lambda x: np.mean(x, 1),
    "mean by name": lambda x: np.mean(a=x, axis=-1, keepdims=True),
    "max by position": lambda x: np.max(x, 1),
    "amax": lambda x: np.amax(x, axis=0),
    "amin": lambda x: np.amin(x, axis=0),
    "reshape by position": lambda x: np.reshape(x, (3, 2)),
    "reshape by name": lambda x: np.reshape(x, **{SHAPE: (3, 2)}),
    "transpose by position": lambda x: np.transpose(x, (1, 0)),
    "transpose by name": lambda x: np.transpose(x, axes=[1, 0]),
    "transpose": lambda x: np.transpose(x),
    "broadcast_to by position": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "broadcast_to by name": lambda x: np.broadcast_to(x, shape=(4, 2, 3)),
    "swapaxes by name": lambda x: np.swapaxes(x, axis1=0, axis2=1),
    "cumsum by position": lambda x: np.cumsum(x, 1),
    "concatenate by position": lambda x: np.concatenate((x, x), 1),
    "concatenate by name": lambda x: np.concatenate([x, x], axis=-1),
    "where": lambda x: np.where(x > 2, x, 0),
    "copy": lambda x: np.copy(x),
    "ravel": lambda x: np.ravel(x),
    "add.reduce": lambda x: np.add.reduce(x),
    "add.reduce by position": lambda x: np.add.reduce(x, 1),
    "add.reduce over all": lambda x: np.add.reduce(x, axis=None),
    "add.reduce keepdims": lambda x: np.add.reduce(x, axis=(0, 1), keepdims=True),
    "maximum.reduce": lambda x: np.maximum.reduce(x, axis=1),
    "minimum.reduce": lambda x: np.minimum.reduce(x),
    "multiply.reduce": lambda x: np.multiply.reduce(x, axis=1),
}


@pytest.mark.parametrize("call", PLACES.values(), ids=PLACES)
def test_arguments_are_placed_as_in_numpys_own_signature(call: Any) -> None:
    values = np.array([[1.0, 5.0, 2.0], [4.0, 3.0, 6.0]])
    y, expected = call(leaf(values)), np.asarray(call(values))
    assert isinstance(y, ag.Tensor)
    assert y.requires_grad
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected)


UNSUPPORTED: dict[str, Callable[[Any], Any]] = {
    "sum dtype by position": lambda x: np.sum(x, 0, np.float32),
    "mean dtype by position": lambda x: np.mean(x, 0, np.float32),
    "reshape order": lambda x: np.reshape(x, (1, 2), order="F"),
    "matmul axes": lambda x: np.matmul(x, x, axes=[(0,), (0,), ()]),
    "exp casting": lambda x: np.exp(x, casting="no"),
}


@pytest.mark.parametrize("call", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_arguments_that_are_not_supported_raise(call: Any) -> None:
    for x in (leaf([1.0, 2.0]), ag.Tensor([1.0, 2.0])):
        with pytest.raises(TypeError, match="argument"):
            call(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.zeros_like(x, dtype=np.float32),
        lambda x: np.ones_like(x, dtype=int),
        lambda x: np.zeros_like(x, shape=(3,)),
        lambda x: np.ones_like(x, np.float32),
    ],
)
def test_zeros_like_and_ones_like_are_those_of_numpy_or_raise(call: Any) -> None:
    x = leaf([1.0, 2.0])
    try:
        y = call(x)
    except TypeError:
        return
    expected = call(x.data)
    assert (y.dtype, y.shape) == (expected.dtype, expected.shape)


SMALL_INTEGERS = [np.int8, np.uint8, np.int16, np.uint16]
REDUCING: dict[str, Callable[[Any], Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "cumsum": np.cumsum,
    "var": np.var,
    "max": np.max,
    "prod": np.prod,
    "cumprod": np.cumprod,
    "norm": np.linalg.norm,
}


@pytest.mark.parametrize("dtype", SMALL_INTEGERS)
@pytest.mark.parametrize("function", REDUCING.values(), ids=REDUCING)
def test_small_integers_are_reduced_in_the_dtype_that_numpy_takes(
    function: Any, dtype: Any
) -> None:
    values = np.array([1, 2, 3], dtype) * (np.iinfo(dtype).max // 3)
    y, expected = function(ag.Tensor(values)), function(values)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y.data, expected)


# ---- functions that are not known ---------------------------------------------------------------

UNKNOWN: dict[str, Callable[[Any], Any]] = {
    "np.poly": lambda x: np.poly(x),
    "np.linalg.cond": lambda x: np.linalg.cond(x),
    "np.fft.fft": lambda x: np.fft.fft(x),
    "np.spacing": lambda x: np.spacing(x),
    "np.nextafter": lambda x: np.nextafter(x, 1.0),
    "np.modf": lambda x: np.modf(x),
    "np.add.reduceat": lambda x: np.add.reduceat(x, [0]),
    "np.subtract.reduce": lambda x: np.subtract.reduce(x),
    "np.add.at": lambda x: np.add.at(np.zeros(2), [0, 1], x),
    "np.putmask": lambda x: np.putmask(np.zeros(2), [True, False], x),
    "np.copyto": lambda x: np.copyto(np.zeros(2), x),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_function_without_rule_is_named_and_the_way_out_is_told(name: str) -> None:
    for x in (leaf([1.0, 2.0]), ag.Tensor([1.0, 2.0])):
        with pytest.raises(TypeError, match=r"ag\.elementwise.*ag\.primitive.*detach") as error:
            UNKNOWN[name](x)
        assert str(error.value).startswith(f"{name} has no derivative here")


def test_a_function_that_is_declared_is_known_from_then_on(monkeypatch: Any) -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"np\.sort_complex has no derivative"):
        np.sort_complex(x)
    monkeypatch.setitem(implementations, np.sort_complex, None)  # which is taken back afterwards
    ag.composite(np.sort_complex)(np.sort)
    assert isinstance(np.sort_complex(x), ag.Tensor)


def test_the_page_lists_just_the_functions_that_are_known() -> None:
    scipy = pytest.importorskip("scipy.special", reason="SciPy is not installed")
    import autograd_mini.special  # noqa: F401

    page = (Path(__file__).parents[1] / "docs" / "numpy.md").read_text(encoding="utf-8")
    listed: dict[Any, str] = {}
    for home, library in (("np.", np), ("np.linalg.", np.linalg), ("scipy.special.", scipy)):
        (block,) = re.findall(rf"^## `{re.escape(home)}`\n\n(.*?)\n\n", page, re.M | re.S)
        for name in re.findall(r"`(\w+)`", block):
            if hasattr(library, name):  # some are younger than the oldest NumPy that is supported
                listed[getattr(library, name)] = home + name
    listed.update({np.fft.fftshift: "np.fft.fftshift", np.fft.ifftshift: "np.fft.ifftshift"})
    known = {x for x in implementations if not isinstance(x, str | tuple)}
    known -= {np.linalg.eig, np.linalg.eigvals, np.ndarray.__getitem__, np.ndarray.astype}
    assert {listed[x] for x in listed.keys() - known} == set()
    assert {x.__name__ for x in known - listed.keys()} == set()


# ---- plain arrays do not swallow tensors --------------------------------------------------------


SWALLOWED: dict[str, Callable[[Any], Any]] = {
    "np.array": lambda x: np.array(x),
    "np.asarray": lambda x: np.asarray(x),
    "np.array of a dtype": lambda x: np.array(x, dtype=np.float32),
    "np.array of a list": lambda x: np.array([x, x]),
    "np.array of numbers": lambda x: np.array([x[0], x[1]]),
    "np.asarray of mixed": lambda x: np.asarray([x[0], 1.0]),
    "arr[:] = t": lambda x: np.zeros(2).__setitem__(slice(None), x),
    "arr[0] = t": lambda x: np.zeros((2, 2)).__setitem__(0, x),
    "arr.dot(t)": lambda x: np.ones(2).dot(x),
    "arr[i, :] = t": lambda x: np.zeros((2, 2)).__setitem__((0, slice(None)), x),
    "arr[[0, 1]] = t": lambda x: np.zeros(2).__setitem__([0, 1], x),
    "np.full": lambda x: np.full(3, x[0]),
    "np.vectorize": lambda x: np.vectorize(lambda v: v)(x),
    "np.ascontiguousarray": lambda x: np.ascontiguousarray(x),
    "np.random": lambda x: np.random.default_rng(0).normal(x),
    "np.c_": lambda x: np.c_[x, x],
    "a list among operands": lambda x: ag.Tensor([1.0, 2.0]).__add__([x[0], x[1]]),
    "a list as the operand": lambda x: np.sum([x, x]),
    "an op of a list": lambda x: ag.softmax([x, x]),
    "a value to assign": lambda x: ag.Tensor(np.zeros((2, 2))).__setitem__(0, [x[0], x[1]]),
}


@pytest.mark.parametrize("call", SWALLOWED.values(), ids=SWALLOWED)
def test_a_tensor_with_history_does_not_become_a_plain_array(call: Any) -> None:
    x = leaf([1.0, 2.0])
    for tensor in (x, x * 2):
        with pytest.raises(TypeError, match=r"silently cut off.*t\.detach\(\) or t\.data"):
            call(tensor)


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    lambda t: np.sum(np.ones(3), initial=t),
    lambda t: np.ones(3).sum(initial=t),
    lambda t: np.interp(np.array([-1.0]), [0.0, 1.0], [0.0, 2.0], left=t),
)


def test_one_number_is_not_written_into_an_array_by_the_way() -> None:
    def write(t: Any) -> None:
        plain = np.zeros((2, 2))
        plain[0, 1] = t

    for call in (write, *OPTIONS):
        for t in (leaf(2.0), leaf(2.0) * 1):
            with pytest.raises((TypeError, ValueError)) as error:
                call(t)
            assert "float(t)" in str(error.value.__cause__ or error.value)
    losses = np.zeros(2)
    losses[0] = float(leaf(2.0))
    losses[1] = ag.Tensor(3.0)
    assert losses.tolist() == [2.0, 3.0]


def test_a_tensor_without_history_is_an_array_where_one_is_wanted() -> None:
    t = ag.Tensor([1.0, 2.0])
    assert np.asarray(t) is t.data
    assert np.array(t) is not t.data
    assert np.array(t, copy=False) is t.data
    assert np.array(t, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.array(t, dtype=np.float32, copy=False)
    assert np.array([t, t]).tolist() == [[1.0, 2.0], [1.0, 2.0]]
    assert np.array([ag.Tensor(1.0), ag.Tensor(2.0)]).tolist() == [1.0, 2.0]
    plain = np.zeros(2)
    plain[:] = t
    assert plain.tolist() == [1.0, 2.0]
    assert plain.dot(t) == 5.0
    assert np.arange(5)[ag.Tensor([0, 4])].tolist() == [0, 4]


# ---- out= and arrays on the left ----------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: np.exp(x, out=out),
        lambda x, out: np.exp(x, out=(out,)),
        lambda x, out: np.exp(x, out),
        lambda x, out: np.add(x, 1.0, out=out),
        lambda x, out: np.add(1.0, x, out),
        lambda x, out: np.matmul(np.eye(2), x, out=out),
        lambda x, out: np.cumsum(x, out=out),
        lambda x, out: np.add.reduce(np.eye(2) * x, out=out),
        lambda x, out: np.sum(np.eye(2) * x, axis=0, out=out),
        lambda x, out: np.concatenate([x[:1], x[1:]], out=out),
    ],
)
def test_out_is_written_where_nothing_is_recorded_and_else_refused(call: Any) -> None:
    values = np.array([1.0, 2.0])
    expected = call(values, np.zeros(2))
    out = np.zeros(2)
    assert call(ag.Tensor(values), out) is out
    np.testing.assert_allclose(out, expected)
    target = ag.Tensor(np.zeros(2))
    array = target.data
    for x in (values, ag.Tensor(values)):
        array[...] = 0
        assert call(x, target) is target
        assert target.data is array
        np.testing.assert_allclose(array, expected)

    for x, recorded in (
        (leaf(values), np.zeros(2)),
        (leaf(values), ag.Tensor(np.zeros(2))),
        (values, leaf(np.zeros(2))),
    ):
        with pytest.raises(RuntimeError, match=r"a = a \+ b, not a \+= b or out=a"):
            call(x, recorded)
        assert not np.any(recorded)
    with ag.no_grad():
        weights = leaf(np.zeros(2))
        assert call(leaf(values), weights) is weights
    np.testing.assert_allclose(weights.data, expected)
    assert weights.requires_grad


def test_augmented_assignment_to_an_array_writes_it_or_is_refused() -> None:
    plain = np.array([1.0, 2.0])
    same = plain
    plain += ag.Tensor([1.0, 1.0])
    assert plain is same
    assert plain.tolist() == [2.0, 3.0]
    with pytest.raises(RuntimeError, match=r"a = a \+ b, not a \+= b"):
        plain += leaf([1.0, 1.0])
    assert plain.tolist() == [2.0, 3.0]


def test_out_of_a_dtype_that_cannot_hold_the_result_is_refused() -> None:
    with pytest.raises(TypeError, match="same_kind"):
        np.true_divide(ag.Tensor([1.0, 3.0]), 2, out=np.zeros(2, int))


@pytest.mark.parametrize(
    "call",
    [
        lambda: np.true_divide(ag.Tensor([1.0, 3.0]), 2, out=ag.Tensor([0, 0])),
        lambda: np.exp(np.ones(2), out=ag.Tensor([0, 0])),
    ],
)
def test_a_tensor_as_out_that_cannot_hold_the_result_is_refused(call: Any) -> None:
    with pytest.raises(TypeError, match="same_kind"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda t, out: np.sum(t, out=out),
        lambda t, out: np.sum(t, axis=0, keepdims=True, out=out),
        lambda t, out: np.matmul(t, t, out=out),
        lambda t, out: np.add.reduce(t, out=out),
    ],
)
def test_out_of_another_shape_than_the_result_is_refused(call: Any) -> None:
    values = np.array([1.0, 2.0])
    for out in (np.zeros(3), ag.Tensor(np.zeros(3))):
        with pytest.raises(ValueError, match="shape"):
            call(ag.Tensor(values), out)


def test_a_matrix_product_in_place_that_changes_the_shape_is_refused() -> None:
    plain, w = np.ones((2, 3)), leaf(np.ones((2, 3)))
    with pytest.raises(ValueError, match="matmul"):
        plain @= np.ones((3, 1))
    with ag.no_grad(), pytest.raises(ValueError, match="shape"):
        w @= np.ones((3, 1))


# ---- functions that only look -------------------------------------------------------------------

LOOKS: dict[str, Callable[[Any], Any]] = {
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "argmax": lambda x: np.argmax(x, axis=1),
    "argmin": np.argmin,
    "argsort": lambda x: np.argsort(x, axis=0),
    "argwhere": np.argwhere,
    "nonzero": np.nonzero,
    "where of one": lambda x: np.where(x),
    "count_nonzero": np.count_nonzero,
    "flatnonzero": np.flatnonzero,
    "all": np.all,
    "any": lambda x: np.any(x, axis=1),
    "allclose": lambda x: np.allclose(x, x + 1e-12),
    "isclose": lambda x: np.isclose(1.0, x),
    "array_equal": lambda x: np.array_equal(x, [[1.0, 2.0], [3.0, 0.0]]),
    "isnan": np.isnan,
    "isfinite": np.isfinite,
    "isinf": np.isinf,
    "signbit": np.signbit,
    "result_type": lambda x: np.result_type(x, np.float32),
    "iscomplexobj": np.iscomplexobj,
    "searchsorted": lambda x: np.searchsorted([0.5, 1.5], x),
    "digitize": lambda x: np.digitize(x, [0.5, 1.5]),
    "histogram": lambda x: np.histogram(x, bins=2)[0],
    "may_share_memory": lambda x: np.may_share_memory(x, np.zeros(1)),
    "array_str": np.array_str,
    "logical_and": lambda x: np.logical_and(x, True),
    "isin": lambda x: np.isin(x, [1.0, 2.0]),
}


@pytest.mark.parametrize("call", LOOKS.values(), ids=LOOKS)
def test_functions_that_only_look_run_on_the_data(call: Any) -> None:
    values = np.array([[1.0, 2.0], [3.0, 0.0]])
    result, expected = call(leaf(values)), call(values)
    if isinstance(result, tuple):
        result, expected = result[0], expected[0]
    if isinstance(result, ag.Tensor):
        assert not result.requires_grad
        result = result.data
    np.testing.assert_array_equal(result, expected)


def test_numpys_testing_compares_tensors_with_history() -> None:
    x = leaf([1.0, 2.0])
    for good in (x.data, x, x * 1, [1.0, 2.0], [x[0], x[1]]):
        np.testing.assert_allclose(x, good)
        np.testing.assert_array_equal(x, good)
        np.testing.assert_array_equal(good, x)
        np.testing.assert_array_almost_equal(x, good)
    np.testing.assert_equal(x, x.data)
    np.testing.assert_array_less(x, x + 1)
    for compare in (
        np.testing.assert_allclose,
        np.testing.assert_array_equal,
        np.testing.assert_equal,
        np.testing.assert_array_almost_equal,
    ):
        with pytest.raises(AssertionError):
            compare(x, x.data + 1)


def test_values_can_be_saved(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", leaf([1.0, 2.0]))
    assert np.load(tmp_path / "x.npy").tolist() == [1.0, 2.0]


# ---- arrays of other libraries ------------------------------------------------------------------


class Duck(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of another library: it speaks NumPy's protocols and refuses to become an ndarray."""

    def __init__(self, values: Any) -> None:
        self.values = np.array(values)

    @property
    def shape(self) -> Any:
        return self.values.shape

    @property
    def dtype(self) -> Any:
        return self.values.dtype

    ndim = property(lambda self: self.values.ndim)
    size = property(lambda self: self.values.size)
    T = property(lambda self: Duck(self.values.T))
    mT = property(lambda self: Duck(self.values.mT))  # noqa: N815 - NumPy's name
    base = None

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("these numbers are somewhere else")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [x.values if isinstance(x, Duck) else x for x in inputs]
        if any(isinstance(x, ag.Tensor) for x in plain):
            return NotImplemented
        return Duck(getattr(ufunc, method)(*plain, **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        def unwrap(x: Any) -> Any:
            if isinstance(x, list | tuple):
                return type(x)(map(unwrap, x))
            return x.values if isinstance(x, Duck) else x

        result = function(*map(unwrap, args), **{k: unwrap(v) for k, v in kwargs.items()})
        return Duck(result) if isinstance(result, np.ndarray | np.generic) else result

    def __setitem__(self, key: Any, value: Any) -> None:
        self.values[key] = value.values if isinstance(value, Duck) else value

    def __getitem__(self, key: Any) -> Any:
        return Duck(self.values[key])


for _name in ("astype", "copy", "reshape", "transpose", "sum"):
    setattr(
        Duck,
        _name,
        lambda self, *args, _name=_name, **kwargs: Duck(
            getattr(self.values, _name)(*args, **kwargs)
        ),
    )

ON_DUCKS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: np.sum(x * x + 2 * x - 1 / x),
    "functions": lambda x: np.sum(np.tanh(x) * np.exp(x)),
    "broadcasting": lambda x: np.sum((x - np.sum(x, axis=0)) ** 2),
    "mean": lambda x: np.mean(np.sqrt(x), axis=(0, 1)),
    "matmul": lambda x: np.sum(np.square(x.T @ x)),
    "reshape": lambda x: np.sum(np.reshape(x, (3, 2)) ** 3),
    "softmax": lambda x: np.sum(np.square(ag.softmax(x))),
    "max": lambda x: np.max(x * x),
    "where": lambda x: np.sum(np.where(x > 2, x, 2 * x)),
    "indices": lambda x: np.sum(x[1] * x[0]),
}


@pytest.mark.parametrize("function", ON_DUCKS.values(), ids=ON_DUCKS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_arrays_of_another_library_stay_what_they_are(function: Any, create_graph: bool) -> None:
    values = np.array([[1.0, 2.5, 3.0], [4.0, 1.5, 0.5]])
    x, twin = leaf(Duck(values)), leaf(values)
    y = function(x)
    assert isinstance(y.data, Duck)
    y.backward(create_graph=create_graph)
    function(twin).backward()
    assert isinstance(x.grad.data, Duck)
    np.testing.assert_allclose(x.grad.data.values, twin.grad.data)


def test_every_stand_in_for_a_function_can_be_called() -> None:
    assert all(callable(stand_in) for stand_in in implementations.values())
    for function in implementations:  # or a method of a ufunc, or what knows the options
        known = function[0] if isinstance(function, tuple) else function
        assert callable(known) or known == "options"
