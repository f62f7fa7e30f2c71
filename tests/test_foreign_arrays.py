"""Arrays of other libraries: what becomes of each class at the border, and who may stay outside."""

from __future__ import annotations

import array
import operator
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin

import autograd_mini as ag
from autograd_mini import nn, optim
from autograd_mini.border import ASKED
from autograd_mini.nn import functional

Array = Any
SHUFFLED = [1, 0]


# ---- what becomes an ndarray --------------------------------------------------------------------


def pandas_series(values: Array) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.Series(values, index=SHUFFLED)


def pandas_frame(values: Array) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame([values], columns=["b", "a"])


def data_array(values: Array) -> Any:
    return pytest.importorskip("xarray").DataArray(values, dims="place")


def torch_tensor(values: Array) -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor(values, dtype=torch.float64)


def jax_array(values: Array) -> Any:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", val=True)
    return jax.numpy.asarray(values)


def strict_array(values: Array) -> Any:
    return pytest.importorskip("array_api_strict").asarray(values)


def matrix(values: Array) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(values)


class OfOwnMaking:
    """Gives its numbers away as the documentation of NumPy says."""

    def __init__(self, values: Array) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.values, dtype=dtype, copy=copy)


class Labelled(np.ndarray):  # type: ignore[type-arg]
    """A subclass without rules of its own."""


TAKEN: dict[str, Callable[[list[float]], Any]] = {
    "list": list,
    "tuple": tuple,
    "array.array": lambda values: array.array("d", values),
    "memoryview": lambda values: memoryview(np.array(values)),
    "__array__": OfOwnMaking,
    "subclass": lambda values: np.array(values).view(Labelled),
    "matrix": matrix,
    "recarray": lambda values: np.array(values).view(np.recarray),
    "pandas Series": pandas_series,
    "pandas DataFrame": pandas_frame,
    "xarray": data_array,
    "PyTorch": torch_tensor,
    "JAX": jax_array,
    "array API": strict_array,
}
WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "t * x": operator.mul,
    "x * t": lambda t, x: x * t,
    "t / x": operator.truediv,
    "x - t": lambda t, x: x - t,
    "t ** x": operator.pow,
    "t > x": operator.gt,
    "np.multiply(x, t)": lambda t, x: np.multiply(x, t),
    "np.maximum(t, x)": np.maximum,
    "np.where(t > 2, x, t)": lambda t, x: np.where(t > 2, x, t),
    "np.stack": lambda t, x: np.stack([t + 0 * t, np.broadcast_to(t * 0 + x, (1, 2))[0]]),
    "ag.softmax(t + x)": lambda t, x: ag.softmax(t + x) ** 2,
    "mse_loss": functional.mse_loss,
}
LEFT_IS_THEIRS = {("xarray", "x * t"), ("xarray", "x - t"), ("xarray", "np.multiply(x, t)")}
LEFT_IS_THEIRS |= {("array API", "x * t"), ("array API", "x - t")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", TAKEN)
def test_foreign_operands_count_by_position_and_give_gradients_of_ndarrays(
    kind: str, way: str
) -> None:
    foreign = TAKEN[kind]([3.0, 4.0])
    if (kind, way) in LEFT_IS_THEIRS:
        pytest.skip("their operator comes first: see the test of what stands on the left")
    flat = kind not in ("matrix", "pandas DataFrame")
    numbers = np.array([3.0, 4.0] if flat else [[3.0, 4.0]])
    left = np.reshape([1.0, 2.5], numbers.shape if way == "mse_loss" else 2)
    t, again = (ag.Tensor(left, requires_grad=True) for _ in range(2))
    y, expected = WAYS[way](t, foreign), WAYS[way](again, numbers)
    assert type(y) is ag.Tensor
    assert type(y.data) is np.ndarray
    np.testing.assert_array_equal(y.data, expected.data)
    if expected.requires_grad:
        np.sum(y).backward()
        np.sum(expected).backward()
        assert t.grad is not None
        assert again.grad is not None
        assert type(t.grad.data) is np.ndarray
        np.testing.assert_array_equal(t.grad.data, again.grad.data)


@pytest.mark.parametrize("kind", TAKEN)
def test_foreign_arrays_are_data_of_tensors_indices_labels_and_inputs_of_layers(kind: str) -> None:
    foreign = TAKEN[kind]([0.0, 1.0])
    assert type(ag.Tensor(foreign).data) is np.ndarray
    assert ag.Tensor(foreign, dtype=np.float32).dtype == np.float32
    if kind in ("matrix", "pandas DataFrame"):
        foreign, rows = TAKEN[kind]([0.0, 1.0]), 1
    else:
        rows = 0
    layer = nn.Linear(2, 3, rng=np.random.default_rng(0))
    assert layer(foreign).shape == ((1, 3) if rows else (3,))
    w = ag.Tensor(np.zeros((1, 2) if rows else 2), requires_grad=True)
    with ag.no_grad():
        ag.assign(w, foreign)
        w += foreign
    assert w.tolist() == ([[0.0, 2.0]] if rows else [0.0, 2.0])
    (w * 2).backward(foreign)
    assert w.grad is not None
    assert w.grad.tolist() == ([[0.0, 2.0]] if rows else [0.0, 2.0])


@pytest.mark.parametrize("kind", ["list", "array.array", "pandas Series", "xarray", "PyTorch"])
def test_foreign_integers_are_indices_and_labels(kind: str) -> None:
    make = {
        "array.array": lambda v: array.array("q", v),
        "PyTorch": lambda v: pytest.importorskip("torch").tensor(v),
    }.get(kind, TAKEN[kind])
    places = make([2, 0])
    t = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert t[places].tolist() == [3.0, 1.0]
    assert np.take(t, places).tolist() == [3.0, 1.0]
    logits = ag.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    expected = functional.cross_entropy(logits.data, np.array([2, 0]))
    assert float(functional.cross_entropy(logits, places)) == float(expected)


def test_an_ndarray_on_the_same_memory_is_no_copy() -> None:
    numbers = matrix([1.0, 2.0])
    assert np.shares_memory(ag.Tensor(numbers).data, numbers)


def test_what_is_written_into_a_matrix_that_a_graph_has_saved_is_noticed() -> None:
    numbers, t = matrix([3.0, 4.0]), ag.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(t * numbers)
    holder = ag.Tensor(numbers)
    ag.assign(holder, 0.0)
    with pytest.raises(RuntimeError, match="changed in place since"):
        y.backward()


# ---- what stands on the left --------------------------------------------------------------------


def test_a_data_array_on_the_left_holds_the_tensor_with_its_history() -> None:
    t = ag.Tensor([1.0, 2.0], requires_grad=True)
    y = data_array([3.0, 4.0]) * t
    assert isinstance(y.data, ag.Tensor)
    np.sum(y.data).backward()
    assert t.grad is not None
    assert t.grad.tolist() == [3.0, 4.0]
    with pytest.raises(TypeError, match="would silently cut off"):
        t * y


def test_a_frame_or_sparse_matrix_before_a_matrix_product_is_told_what_to_write() -> None:
    t = ag.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"df\.to_numpy\(\) @ t"):
        pandas_frame([3.0, 4.0]) @ t
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"S\.toarray\(\) @ t"):
        sparse.csr_array(np.eye(2)) @ t


# ---- what is refused ----------------------------------------------------------------------------

MASKED: dict[str, Callable[[Any, Any], Any]] = {
    **{name: way for name, way in WAYS.items() if name != "np.stack"},
    "m @ t": lambda t, m: m @ t,
    "np.ma.multiply": lambda t, m: np.ma.multiply(m, t),
    "np.ma.exp": lambda t, _: np.ma.exp(t),
    "np.ma.array": lambda t, _: np.ma.array(t),
    "m ** t": lambda t, m: m**t,
    "m.dot(t)": lambda t, m: m.dot(t),
    "np.concatenate": lambda t, m: np.concatenate([t, m]),
    "ag.Tensor": lambda _, m: ag.Tensor(m),
    "ag.softmax": lambda _, m: ag.softmax(m),
    "ag.grad": lambda _, m: ag.grad(np.sum)(m),
    "ag.assign": lambda t, m: ag.assign(t.detach(), m),
    "backward": lambda t, m: (t * 2).backward(m),
    "index": lambda t, m: t[m > 3],
    "nn.Linear": lambda _, m: nn.Linear(2, 1, rng=np.random.default_rng(0))(m),
}


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("mask", [False, [False, True]])
@pytest.mark.parametrize("way", MASKED)
def test_masked_arrays_are_refused_on_either_side(
    way: str, mask: bool | list[bool], recorded: bool
) -> None:
    if way == "backward" and not recorded:
        pytest.skip("nothing to go back through")
    t = ag.Tensor([1.0, 2.5], requires_grad=recorded)
    with pytest.raises(TypeError, match=r"masked arrays are not taken.*m\.filled"):
        MASKED[way](t, np.ma.array([3.0, 4.0], mask=mask))


class Quantity(np.ndarray):  # type: ignore[type-arg]
    """As of a library for units: NumPy's functions mean something else."""

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        return NotImplemented


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a subclass with rules": (
        lambda: np.ones(2).view(Quantity),
        r"a Quantity of shape \(2,\) has rules of its own.*np\.asarray\(x\)",
    ),
    "text": (lambda: "a", "a Tensor holds numbers, not dtype <U1"),
    "a fraction": (lambda: Fraction(1, 2), "a Tensor holds numbers, not dtype object"),
    "an object": (object, "a Tensor holds numbers, not dtype object"),
    "dates": (lambda: ["2020-01-01"], "a Tensor holds numbers, not dtype <U10"),
    "a sparse matrix": (
        lambda: pytest.importorskip("scipy.sparse").csr_matrix(np.eye(2)),
        r"a csr_matrix of shape \(2, 2\): sparse matrices of SciPy are not taken.*S\.toarray\(\)",
    ),
    "a tensor of PyTorch that is recorded": (
        lambda: torch_tensor([1.0, 2.0]).requires_grad_(),
        r"a torch\.Tensor cannot be taken: .*Give an ndarray: detached",
    ),
    "a dtype that NumPy lacks": (
        lambda: torch_tensor([1.0, 2.0]).to(pytest.importorskip("torch").bfloat16),
        r"a torch\.Tensor cannot be taken: .*in a dtype that NumPy has",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("way", ["t * x", "np.maximum(t, x)", "mse_loss"])
def test_what_would_lose_its_meaning_is_refused(kind: str, way: str) -> None:
    make, message = REFUSED[kind]
    foreign = make()
    t = ag.Tensor([1.0, 2.5], requires_grad=True)
    with pytest.raises(TypeError, match=message):
        WAYS[way](t, foreign)
    with pytest.raises(TypeError, match=message):
        ag.Tensor(foreign)


# ---- memory to others ---------------------------------------------------------------------------


def test_dlpack_gives_the_memory_of_a_constant_without_a_copy() -> None:
    t = ag.Tensor([1.0, 2.0])
    assert t.__dlpack_device__() == t.data.__dlpack_device__()
    assert np.shares_memory(np.from_dlpack(t), t.data)
    torch = pytest.importorskip("torch")
    torch.from_dlpack(t)[0] = 5.0
    assert t.tolist() == [5.0, 2.0]


def test_dlpack_of_a_recorded_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"would silently cut off.*t\.detach\(\)"):
        np.from_dlpack(ag.Tensor([1.0], requires_grad=True))


# ---- arrays that speak NumPy's protocols --------------------------------------------------------


class Strict(NDArrayOperatorsMixin):
    """An array of another library: of attributes it has those of `ASKED` and no others."""

    def __init__(self, inner: Array) -> None:
        self._inner = np.asarray(inner)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._inner.shape

    @property
    def dtype(self) -> Any:
        return self._inner.dtype

    @property
    def ndim(self) -> int:
        return self._inner.ndim

    def astype(self, dtype: Any) -> Strict:
        return Strict(self._inner.astype(dtype))

    def copy(self) -> Strict:
        return Strict(self._inner.copy())

    def reshape(self, shape: tuple[int, ...]) -> Strict:
        return Strict(self._inner.reshape(shape))

    def __getitem__(self, key: Any) -> Strict:
        return Strict(self._inner[inside(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._inner[inside(key)] = inside(value)

    def __len__(self) -> int:
        return len(self._inner)

    def __float__(self) -> float:
        return float(self._inner)

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise TypeError("this array is far away, and is not brought here unasked")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return outside(getattr(ufunc, method)(*inside(inputs), **inside(kwargs)))

    def __array_function__(self, function: Any, _: Any, args: Any, kwargs: Any) -> Any:
        return outside(function(*inside(args), **inside(kwargs)))


def inside(value: Any) -> Any:
    """The ndarrays in what holds arrays of the other library."""
    if isinstance(value, Strict):
        return value._inner
    if isinstance(value, tuple | list):
        return type(value)([inside(part) for part in value])
    return {k: inside(v) for k, v in value.items()} if isinstance(value, dict) else value


def outside(value: Any) -> Any:
    """The other way round."""
    if isinstance(value, tuple | list):
        return type(value)([outside(part) for part in value])
    return Strict(value) if isinstance(value, np.ndarray | np.generic) else value


W = np.linspace(-1.0, 1.0, 6).reshape(3, 2)
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "+ - *": lambda x: (x + 1.5) * x - x,
    "/": lambda x: 1 / x + x / 3,
    "**": lambda x: x**3 + x**2 + 2**x,
    "negative": lambda x: -x,
    "abs": abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "square": np.square,
    "reciprocal": np.reciprocal,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "arctan": np.arctan,
    "sigmoid": ag.sigmoid,
    "relu": lambda x: ag.relu(x - 1),
    "leaky_relu": lambda x: ag.leaky_relu(x - 1),
    "elu": lambda x: ag.elu(x - 1),
    "gelu": ag.gelu,
    "softplus": ag.softplus,
    "softmax": ag.softmax,
    "log_softmax": ag.log_softmax,
    "logsumexp": lambda x: ag.logsumexp(x, axis=1),
    "maximum": lambda x: np.maximum(x, 1.0),
    "minimum": lambda x: np.minimum(x, 1.0),
    "clip": lambda x: np.clip(x, 0.5, 1.5),
    "where": lambda x: np.where(x > 1, x, 0.1 * x),
    "hypot": lambda x: np.hypot(x, 2.0),
    "sum": np.sum,
    "sum along": lambda x: np.sum(x, axis=0, keepdims=True),
    "mean": lambda x: np.mean(x, axis=1),
    "max": lambda x: np.max(x, axis=1),
    "var": lambda x: np.var(x, axis=0),
    "std": np.std,
    "prod": lambda x: np.prod(x, axis=1),
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "@ ndarray": lambda x: x @ W,
    "x.T @ x": lambda x: x.T @ x,
    "reshape": lambda x: x.reshape(6, 2),
    "transpose": np.transpose,
    "x[1:, ::2]": lambda x: x[1:, ::2],
    "concatenate": lambda x: np.concatenate([x, 2 * x], axis=1),
    "stack": lambda x: np.stack([x, x * x]),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 4, 3)),
    "squeeze": lambda x: np.squeeze(x[:, :1]),
}
X = np.random.default_rng(0).uniform(0.2, 2.0, (4, 3))


def dask_array(values: Array) -> Any:
    return pytest.importorskip("dask.array").from_array(np.asarray(values), chunks=2)


def sparse_array(values: Array) -> Any:
    return pytest.importorskip("sparse").COO.from_numpy(np.asarray(values))


def numbers_of(x: Any) -> Array:
    """The ndarray of an array of any of these libraries."""
    if isinstance(x, Strict):
        return x._inner
    return x.todense() if hasattr(x, "todense") else np.asarray(x)


LIBRARIES = {"strict": Strict, "dask": dask_array, "sparse": sparse_array}
#: What a library cannot do, with what it says; the documentation has the same list.
CANNOT = {
    ("dask", "reshape"): "only supports operations that merge or split existing dimensions",
    ("sparse", "/"): "divide by zero",
    ("sparse", "reciprocal"): "divide by zero",
    ("sparse", "log"): "divide by zero",
    ("sparse", "sqrt"): "invalid value",
    ("sparse", "prod"): "does not support item assignment",
    ("sparse", "x[1:, ::2]"): "does not support item assignment",
    ("sparse", "squeeze"): "does not support item assignment",
}


def result(function: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """The value of a function, and the gradient of the sum of its squares."""
    t = ag.Tensor(x, requires_grad=True)
    y = function(t)
    np.sum(y * y).backward()
    assert t.grad is not None
    return y.data, t.grad.data


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_arrays_that_speak_the_protocols_go_forward_and_backward(library: str, name: str) -> None:
    foreign = LIBRARIES[library](X)
    if (library, name) in CANNOT:
        with pytest.raises(Exception, match=CANNOT[library, name]):
            result(FUNCTIONS[name], foreign)
        return
    expected = result(FUNCTIONS[name], X)
    found = result(FUNCTIONS[name], foreign)
    assert type(found[1]) in (
        (type(foreign), np.ndarray) if library == "sparse" else (type(foreign),)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(numbers_of(a), b, rtol=1e-13, atol=1e-15)


def test_the_engine_asks_for_nothing_but_what_is_written_down() -> None:
    attributes = {name for name in dir(Strict) if not name.startswith("_")}
    assert attributes == set(ASKED)


@pytest.mark.parametrize("optimiser", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_training_step_on_data_of_the_library(library: str, optimiser: Any) -> None:
    def trained(wrap: Any, wrap_parameter: Any) -> tuple[float, list[Array]]:
        rng = np.random.default_rng(1)
        weights = [rng.normal(size=shape) for shape in ((5, 3), (5,), (2, 5), (2,))]
        weights = [ag.Tensor(wrap_parameter(w), requires_grad=True) for w in weights]
        steps = optimiser(weights, lr=0.1)
        loss = functional.mse_loss(
            functional.linear(np.tanh(functional.linear(wrap(X), *weights[:2])), *weights[2:]),
            wrap(X[:, :2]),
        )
        loss.backward()
        steps.step()
        return float(loss), [parameter.data for parameter in weights]

    there = Strict if library == "strict" else np.asarray  # which gives nothing away
    loss, parameters = trained(LIBRARIES[library], there)
    expected_loss, expected = trained(np.asarray, np.asarray)
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    for found, right in zip(parameters, expected, strict=True):
        assert type(found) is (Strict if library == "strict" else np.ndarray)
        np.testing.assert_allclose(numbers_of(found), right, rtol=1e-13)
