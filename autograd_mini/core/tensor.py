"""Tensor: an array together with the node of the graph that it came from.

A call of a primitive on Tensors comes here, whether it was written as an operator, a method or a
NumPy function: `apply` runs the kernel on the arrays and, if an operand wants a gradient, records a
`Node`.  NumPy's functions arrive by its two override protocols, NEP 13 (``__array_ufunc__``) and
NEP 18 (``__array_function__``).
"""

from __future__ import annotations

import functools
import inspect
import math
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..border import PLAIN, as_array, operand
from ..memory import settled
from ..methods import Methods
from ..refusals import (
    declare_late,
    described,
    refuse_computed,
    refuse_history,
    refuse_masks_and_history,
    refuse_other_than_tensors,
    refuse_recorded,
    refuse_varied,
    without_gradient,
)
from .graph import Array, Node, gone_backward, listen, listening, newest_first, sweep, tell, writes
from .primitive import Like, Likes, Primitive, implementations, primitive

NO_STATICS: dict[str, Any] = {}
NUMBERS = (np.generic, float, int)  # what NumPy and Python make where an array of shape () is meant
ndarray = np.ndarray
new = object.__new__


# ---- calls --------------------------------------------------------------------------------------


def wrap(data: Any, node: Node | None = None) -> Tensor:
    """Make a Tensor of an array as it is."""
    tensor: Tensor = new(Tensor)
    tensor._array = data
    tensor._node = node
    tensor._grad = tensor.name = None
    return tensor


def apply(primitive: Primitive, operands: tuple[Any, ...], statics: dict[str, Any]) -> Tensor:
    """Call a primitive on operands of which one at least is a Tensor, and record the call."""
    now = listening()
    arrays: list[Any] = []
    parents: list[Node | None] = []
    if primitive.statics or statics:
        statics = primitive.completed(statics)
    try:
        for x in operands:
            if isinstance(x, Tensor):
                arrays.append(x._array)
                parents.append(x._node)
            elif x.__class__ in PLAIN or operand(x) is x:
                arrays.append(x)
                parents.append(None)
            else:  # once more, with what the border makes of it
                known = [x if isinstance(x, Tensor) else operand(x) for x in operands]
                return apply(primitive, tuple(known), statics)
        y = primitive.kernel(*arrays, **statics)
    except (ValueError, TypeError, IndexError) as error:
        raise explained(error, primitive, operands) from error
    if y.__class__ is not ndarray and isinstance(y, NUMBERS):
        y = np.asarray(y)
    node = None
    if now.recording and primitive.rules and parents.count(None) != len(parents):
        keeps = primitive.keeps[tuple([parent is not None for parent in parents])]
        saved = keeps and keeps((None, *arrays, y))
        if primitive.variadic:
            many = arrays[len(primitive.operands) - 1 :]
            statics = {**statics, "likes": Likes([Like(x.shape, x.dtype) for x in many])}
        node = Node(primitive, tuple(parents), saved, statics, y.shape, y.dtype)
    result = wrap(y, node)
    for observer in now.observers:
        observer.heard(primitive, operands, statics, result)
    return result


def apply_unary(primitive: Primitive, x: Tensor) -> Tensor:
    """`apply` for one operand and no statics, unrolled: this is what a small network waits for."""
    now = listening()
    if now.observers:
        return apply(primitive, (x,), NO_STATICS)
    data, parent = x._array, x._node
    try:
        y = primitive.kernel(data)
    except (ValueError, TypeError) as error:
        raise explained(error, primitive, (x,)) from error
    if y.__class__ is not ndarray and isinstance(y, NUMBERS):
        y = np.asarray(y)
    tensor = new(Tensor)
    tensor._array = y
    tensor._node = tensor._grad = tensor.name = None
    if parent is not None and now.recording and primitive.rules:
        keeps = primitive.keeps[True,]
        saved = keeps and keeps((None, data, y))
        tensor._node = Node(primitive, (parent,), saved, NO_STATICS, y.shape, y.dtype)
    return tensor


def apply_binary(primitive: Primitive, a: Any, b: Any) -> Tensor:
    """`apply` for two operands and no statics, unrolled likewise."""
    now = listening()
    if now.observers:
        return apply(primitive, (a, b), NO_STATICS)
    a_data, b_data, a_parent, b_parent = a, b, None, None
    try:
        if isinstance(a, Tensor):
            a_data, a_parent = a._array, a._node
        elif a.__class__ not in PLAIN:
            a_data = operand(a)
        if isinstance(b, Tensor):
            b_data, b_parent = b._array, b._node
        elif b.__class__ not in PLAIN:
            b_data = operand(b)
        y = primitive.kernel(a_data, b_data)
    except (ValueError, TypeError) as error:
        raise explained(error, primitive, (a, b)) from error
    if y.__class__ is not ndarray and isinstance(y, NUMBERS):
        y = np.asarray(y)
    tensor = new(Tensor)
    tensor._array = y
    tensor._node = tensor._grad = tensor.name = None
    if now.recording and primitive.rules and not (a_parent is None and b_parent is None):
        keeps = primitive.keeps[a_parent is not None, b_parent is not None]
        saved = keeps and keeps((None, a_data, b_data, y))
        parents = (a_parent, b_parent)
        tensor._node = Node(primitive, parents, saved, NO_STATICS, y.shape, y.dtype)
    return tensor


@functools.cache
def parameter_names(function: Callable[..., Any]) -> list[str]:
    """The parameters of a NumPy function, in order."""
    return list(inspect.signature(function).parameters)


def called(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run what stands for a NumPy function, with arguments placed by NumPy's own signature."""
    stand_in = implementations[function]
    if isinstance(stand_in, Primitive) and len(args) != len(stand_in.operands):
        placed = {**dict(zip(parameter_names(function), args, strict=False)), **kwargs}
        operands = [placed.pop(name) for name in list(placed)[: len(stand_in.operands)]]
        return stand_in(*operands, **placed)
    return stand_in(*args, **kwargs)


def arrived(array: Any, requires_grad: bool, name: str | None, grad: Tensor | None) -> Tensor:
    """A leaf or constant that was copied or sent: it can be written, though its file cannot."""
    tensor = Tensor(settled(array), requires_grad, name=name)
    tensor.grad = grad
    return tensor


# ---- errors -------------------------------------------------------------------------------------


def explained(error: Exception, primitive: Primitive, operands: tuple[Any, ...]) -> Exception:
    """The same error, with the op and the names and shapes of its operands."""
    private = "._" in type(error).__module__  # NumPy's own kinds of TypeError take no message
    kind = TypeError if private else type(error)
    error = kind(f"{primitive.name}({', '.join(map(described, operands))}): {error}")
    tell("failed", error, primitive.name, operands)
    return error


# ---- writing in place ---------------------------------------------------------------------------


def write(target: Tensor, primitive: Primitive, operands: Any, statics: dict[str, Any]) -> Tensor:
    """Let a primitive write into a Tensor's own array: the one way in which values change."""
    observers = listening().observers
    if observers:
        tell("writing", target)
    arrays = []
    for x in operands:
        array = x._array if isinstance(x, Tensor) else x
        if array.__class__ not in PLAIN:
            array = operand(array)
            if target._array.__class__ is ndarray:
                array = np.asarray(array)  # from where another library has it
        arrays.append(array)
    writes.note(target._array)  # before, for a kernel may raise when it has written a part
    primitive.kernel(*arrays, out=target._array, **statics)
    if observers:
        tell("heard", primitive, operands, statics, target)
    return target


@primitive("$value", kind="write")
def assignment(value: Any, *, key: Any, out: Any) -> Any:
    """Write a value into a part of an array."""
    out[key] = value
    return out


def assign(target: Tensor, value: Any, key: Any = ...) -> Tensor:
    """Overwrite the values of a Tensor, or a part of them, in its own array.

    Optimisers, ``load_state_dict`` and all in-place operators end here.  The array keeps its
    identity, and a graph that saved its old values refuses to go backward through them.

    Parameters
    ----------
    target : Tensor
        Changed in place; whether it is recorded does not matter.
    value : array_like
        What to write; broadcasts to the part.
    key : index, optional
        Which part, by default all of it.

    Returns
    -------
    Tensor
        ``target``.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> ag.assign(w, 5.0, key=0)
    Tensor([5., 2.], dtype=float64, requires_grad=True)
    """
    refuse_other_than_tensors("ag.assign", target)
    key = tuple([unwrapped(i) for i in key]) if isinstance(key, tuple) else unwrapped(key)
    return write(target, assignment, (value,), {"key": key})


def written(y: Any, out: Any) -> Any:
    """Put a result into the array or Tensor that the user gave as ``out=``."""
    refuse_recorded(y, out)
    if y.shape != out.shape:
        raise ValueError(f"out= has shape {out.shape}, and the result {y.shape}")
    value = unwrapped(y).astype(out.dtype, casting="same_kind", copy=False)
    if isinstance(out, Tensor):
        return assign(out, value)
    tell("reading", y, "array")
    writes.note(out)
    out[...] = value
    return out


def unwrapped(value: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return value._array if isinstance(value, Tensor) else value


# ---- going backward -----------------------------------------------------------------------------


def history(tensor: Tensor) -> Node:
    """The node of a Tensor from which gradients can be taken."""
    if tensor._node is None:
        raise RuntimeError(
            f"the tensor {described(tensor)} has no history to go back through: nothing that it "
            f"was computed from has requires_grad=True, or that was under no_grad or detached"
        )
    return tensor._node


def cotangent_of(tensor: Tensor, gradient: Any) -> Any:
    """The cotangent that a backward pass from a Tensor starts with."""
    if gradient is None:
        if tensor.size != 1:
            raise ValueError(
                f"the tensor {described(tensor)} is not one number: start from a scalar such as "
                f"t.sum(), or give the cotangent to start with, gradient=... of its shape"
            )
        return np.ones_like(tensor._array)
    if np.shape(gradient) != tensor.shape:
        raise ValueError(
            f"gradient has shape {np.shape(gradient)}, and the tensor {described(tensor)}: "
            f"a cotangent has the shape of its tensor"
        )
    if isinstance(gradient, Tensor) and gradient.dtype == tensor.dtype:
        return gradient
    return as_array(gradient).astype(tensor.dtype)


def backpropagate(
    root: Tensor, order: list[Node], targets: Iterable[Node], gradient: Any, create_graph: bool
) -> dict[Node, Tensor]:
    """The cotangents of the targets, with a history if ``create_graph``.

    Each is in an array of its own.  While nobody listens, rules run on plain arrays.
    """
    if not create_graph and not listening().observers:
        seed = cotangent_of(root, gradient)
        return set_apart(sweep(order, unwrapped(seed), targets), seed)
    try:
        tell("starting")
        seed = cotangent_of(root, gradient)
        start = seed if isinstance(seed, Tensor) else wrap(seed)
        tell("seeded", root._node, start, gradient)
        with listen(recording=create_graph):
            return set_apart(sweep(order, start, targets, wrap), seed)
    finally:
        tell("finished")


def set_apart(found: dict[Node, Any], seed: Any) -> dict[Node, Tensor]:
    """Make Tensors of cotangents, with copies of arrays that are views, or occur twice."""
    taken = {id(unwrapped(seed))}
    for node, cotangent in found.items():
        if not isinstance(cotangent, Tensor):
            cotangent = wrap(np.asarray(cotangent) if isinstance(cotangent, NUMBERS) else cotangent)
        array = cotangent._array
        # of another library's array nobody knows whose memory it is
        if array.__class__ is not ndarray or array.base is not None or id(array) in taken:
            cotangent = cotangent.copy()
        taken.add(id(cotangent._array))
        found[node] = cotangent
    return found


# ---- operators and methods ----------------------------------------------------------------------

Binary = Callable[["Tensor", Any], "Tensor"]
Unary = Callable[["Tensor"], "Tensor"]


def unary(ufunc: np.ufunc) -> Unary:
    """The operator of one operand that stands for a ufunc."""
    return lambda self: apply_unary(implementations[ufunc], self)


def binary(ufunc: np.ufunc) -> tuple[Binary, Binary]:
    """The operator of two operands that stands for a ufunc, and its reflection."""
    return (
        lambda self, other: apply_binary(implementations[ufunc], self, other),
        lambda self, other: apply_binary(implementations[ufunc], other, self),
    )


def in_place(ufunc: np.ufunc) -> Binary:
    """The augmented assignment that stands for a ufunc: it rebinds, except on a leaf."""

    def operator(self: Tensor, other: Any) -> Tensor:
        implementation = implementations[ufunc]
        if self._node is None or self._node.primitive is not None:
            return implementation(self, other)  # type: ignore[no-any-return]
        refuse_recorded(self)
        if isinstance(implementation, Primitive):
            return write(self, implementation, (self, other), NO_STATICS)
        return written(implementation(self, other), self)  # type: ignore[no-any-return]

    return operator


#: Keywords of ufuncs and reductions that most calls do without.
OPTIONS = frozenset(["where", "dtype", "initial", "correction", "mean"])


class Tensor(Methods):
    """An array that remembers how it was computed, so that gradients can be taken.

    It understands NumPy's operators, methods and functions; where a function has no derivative
    here, the call raises instead of returning a plain array.

    Parameters
    ----------
    data : array_like
        Numbers.  An ndarray is not copied: the Tensor shares its memory.
    requires_grad : bool
        Whether ``backward`` shall compute the gradient by this tensor; needs a floating dtype.
    dtype : data-type, optional
        As for ``np.asarray``; by default what NumPy makes of ``data``.
    name : str, optional
        What pictures, reports and errors call it.

    Attributes
    ----------
    grad : Tensor or None
        The sum of the gradients that ``backward`` has found, in an array of its own; set it to
        None to start anew.
    name : str or None
        See above.

    Raises
    ------
    TypeError
        If ``data`` is not numeric, is a Tensor with a history (detach it first), or wants a
        gradient and is not floating-point.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> x = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = np.sum(x**2)
    >>> loss
    Tensor(14., dtype=float64, op=sum)
    >>> loss.backward()
    >>> x.grad
    Tensor([2., 4., 6.], dtype=float64)
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_node", "name")
    __pandas_priority__ = 5000  # with a Series or DataFrame on the left, operators come here

    _array: Any
    _node: Node | None
    _grad: Tensor | None
    name: str | None

    def _apply(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any) -> Tensor:
        if statics or primitive.statics or primitive.variadic or len(operands) > 2:
            return apply(primitive, operands, statics)
        return (apply_unary if len(operands) == 1 else apply_binary)(primitive, *operands)

    def __init__(
        self, data: Any, requires_grad: bool = False, *, dtype: Any = None, name: str | None = None
    ) -> None:
        if isinstance(data, Tensor):
            refuse_history(data)
            data = data._array
        data = as_array(data)
        self._array = data if dtype is None else data.astype(dtype, copy=False)
        self._node = None
        self._grad = None
        self.name = name
        self.requires_grad = requires_grad

    # -- what it is --

    def _read(self, how: str) -> Any:
        """The array, for who looks at the values: the one gate, which observers may refuse."""
        if listening().observers:
            tell("reading", self, how)
        return self._array

    @property
    def data(self) -> Any:
        """The array.  Setting it overwrites the values in place; the shape must stay."""
        return self._read("data") if listening().observers else self._array

    @data.setter
    def data(self, value: Any) -> None:
        if value is self._array:  # the end of `w.data -= ...`, which has written it already
            writes.note(value)
            return
        if np.shape(value) != self.shape:
            raise ValueError(
                f"data of shape {np.shape(value)} for a tensor {described(self)}: make a new Tensor"
            )
        assign(self, value)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; can be set on leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        refuse_computed(self, "requires_grad can be set on")
        if not wanted:
            self._node = None
        elif self._array.dtype.kind != "f":
            raise TypeError(
                f"only floating-point tensors have gradients, and this one {described(self)} is "
                f"not: write 1.0 for 1, or pass dtype=float"
            )
        elif self._node is None:
            self._node = Node(None, (), None, NO_STATICS, self._array.shape, self._array.dtype)
            self._node.tensor = weakref.ref(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        return self._array.shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of elements."""
        array = self._array
        return array.size if array.__class__ is ndarray else math.prod(array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._array.dtype  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        values = np.array2string(np.asarray(self._read("text")), separator=", ", prefix="Tensor(")
        facts = [values, f"dtype={self.dtype}"]
        if self._node is not None and self._node.primitive is not None:
            facts.append(f"op={self._node.primitive.name}")
        elif self._node is not None:
            facts.append("requires_grad=True")
        if self.name is not None:
            facts.append(f"name={self.name!r}")
        return f"Tensor({', '.join(facts)})"

    # -- out of the graph --

    def item(self) -> Any:
        """The only element, as a Python number."""
        refuse_varied(self)
        array = self._read("number")
        return array.item() if isinstance(array, ndarray) else float(array)

    def numpy(self) -> Any:
        """The array of a tensor without history; shares memory."""
        refuse_history(self)
        return self._read("data")

    def detach(self) -> Tensor:
        """A Tensor on the same memory through which no gradient flows."""
        return wrap(self._array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Elements:
        refuse_masks_and_history(self)
        return np.array(self._read("array"), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        refuse_history(self)
        return self._read("data").__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def __reduce__(self) -> Any:
        refuse_computed(self, "pickle and copy take")
        grad = wrap(self.grad._read("copy").copy()) if isinstance(self.grad, Tensor) else self.grad
        return arrived, (self._read("copy"), self.requires_grad, self.name, grad)

    # -- gradients --

    @property
    def grad(self) -> Tensor | None:
        """What ``backward`` has found; see above."""
        node = self._node
        if self._grad is None and node and node.primitive and not node.tensor:
            raise without_gradient(self)
        return self._grad

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        self._grad = gradient

    def retain_grad(self) -> None:
        """Have ``backward`` write ``grad`` on this tensor too, though it is not a leaf."""
        if self._node is None:
            raise RuntimeError(f"no gradient flows to the tensor {described(self)}")
        self._node.tensor = weakref.ref(self)

    def backward(self, gradient: Array = None, create_graph: bool = False) -> None:
        """Add the gradient of this tensor to ``grad`` of all leaves that it was computed from.

        Parameters
        ----------
        gradient : array_like, optional
            The cotangent of this tensor, of its shape; 1 if it has one element.
        create_graph : bool
            Whether to record the computation, so that the gradients can be differentiated again.

        Raises
        ------
        RuntimeError
            If nothing was recorded, or an array that is needed has been changed in place since.
        ValueError
            If this is not a scalar and there is no ``gradient``, or its shape is wrong.

        Notes
        -----
        Reverse mode, or backpropagation: Griewank and Walther, *Evaluating Derivatives* (2008),
        chapter 3.  If an op fails half-way, no ``grad`` has been changed.  Two threads must not go
        backward into the same leaf at once.
        """
        order = newest_first(history(self))
        if order[0].tensor is gone_backward:
            order[0].tensor = None
        targets = [node for node in order if node.tensor is not None]
        found = backpropagate(self, order, targets, gradient, create_graph)
        for node, gradient in found.items():
            tensor = node.tensor and node.tensor()
            if tensor is None:
                continue
            if tensor._grad is not None and node.primitive is None:
                tell("adding", node)
                with listen(recording=create_graph):
                    gradient = tensor._grad + gradient
            tensor._grad = gradient
        if order[0].tensor is None and not create_graph:
            order[0].tensor = gone_backward

    # -- numbers, sequences, indices --

    def __index__(self) -> int:
        return self._read("index").__index__()  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        return bool(self._read("truth"))

    def __format__(self, spec: str) -> str:
        value = self._read("text")
        return format(value.item() if spec else repr(self), spec)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a tensor of shape (), which is one number")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Tensor:
        return implementations[ndarray.__getitem__](self, key)  # type: ignore[no-any-return]

    def __setitem__(self, key: Any, value: Any) -> None:
        refuse_recorded(self, value)
        assign(self, value, key)

    # -- operators --

    __add__, __radd__ = binary(np.add)
    __sub__, __rsub__ = binary(np.subtract)
    __mul__, __rmul__ = binary(np.multiply)
    __truediv__, __rtruediv__ = binary(np.true_divide)
    __floordiv__, __rfloordiv__ = binary(np.floor_divide)
    __mod__, __rmod__ = binary(np.remainder)
    __and__, __rand__ = binary(np.bitwise_and)
    __or__, __ror__ = binary(np.bitwise_or)
    __xor__, __rxor__ = binary(np.bitwise_xor)
    __lt__, __gt__ = binary(np.less)[0], binary(np.greater)[0]
    __le__, __ge__ = binary(np.less_equal)[0], binary(np.greater_equal)[0]
    __eq__, __ne__ = binary(np.equal)[0], binary(np.not_equal)[0]  # type: ignore[assignment]
    __hash__ = object.__hash__
    __neg__, __pos__ = unary(np.negative), unary(np.positive)
    __abs__, __invert__ = unary(np.absolute), unary(np.invert)
    __iadd__, __isub__ = in_place(np.add), in_place(np.subtract)
    __imul__, __itruediv__ = in_place(np.multiply), in_place(np.true_divide)
    __ifloordiv__, __imod__ = in_place(np.floor_divide), in_place(np.remainder)
    __ipow__, __imatmul__ = in_place(np.power), in_place(np.matmul)
    _pow, __rpow__ = binary(np.power)

    def __pow__(self, exponent: Any) -> Tensor:
        if exponent.__class__ is int and exponent == 2:
            return apply_unary(implementations[np.square], self)
        return self._pow(exponent)

    def __matmul__(self, other: Any) -> Tensor:
        return implementations[np.matmul](self, other)  # type: ignore[no-any-return]

    def __rmatmul__(self, other: Any) -> Tensor:
        return implementations[np.matmul](other, self)  # type: ignore[no-any-return]

    # -- the NumPy protocols --

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        function = ufunc if method == "__call__" else (ufunc, method)
        if function not in implementations:
            declare_late(ufunc, method)
        if not OPTIONS.isdisjoint(kwargs) and function is ufunc:
            return implementations["options"](ufunc, inputs, out, **kwargs)
        y = implementations[function](*inputs, **kwargs)
        return y if out is None else written(y, *out)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in implementations:
            declare_late(function)
        if not OPTIONS.isdisjoint(kwargs) and (function, "options") in implementations:
            return implementations[function, "options"](*args, **kwargs)
        out = kwargs.pop("out", None)
        y = called(function, args, kwargs)
        return y if out is None else written(y, out)


if TYPE_CHECKING:  # pragma: no cover

    class Element(Tensor, np.object_):  # type: ignore[misc]
        """What NumPy's stubs take a Tensor for an array of: ``np.sum(t)`` is one, ``a @ t`` is Any.

        Else it might be one of floats, and the stubs would say that ``a @ t`` is an ndarray.
        """

    Elements = np.ndarray[Any, np.dtype[Element]]

for _name, _operator in {**vars(Methods), **vars(Tensor)}.items():
    if isinstance(_operator, FunctionType) and hasattr(ndarray, _name):
        _operator.__name__, _operator.__qualname__ = _name, f"Tensor.{_name}"
        _operator.__doc__ = _operator.__doc__ or getattr(ndarray, _name).__doc__
