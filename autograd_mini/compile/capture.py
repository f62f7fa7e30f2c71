"""One run of a function, written down as steps: what a program is made of.

A capture listens to the engine as a trace does, but keeps only what a replay needs: which arrays
the calls used and made.  Kernels that are written in NumPy functions are run once more on Tensors,
and so come apart into the calls that they consist of.  Where that does not give the same bits, or
the kernel reads a value, it stays whole.
"""

from __future__ import annotations

import copy
import gc
import itertools
import os
import random
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from types import FrameType, FunctionType
from typing import Any, NoReturn

import numpy as np

from .. import numpy_functions
from ..core import ops
from ..core.graph import listen, listening
from ..core.primitive import Primitive
from ..core.tensor import Tensor, assignment, unwrapped, wrap
from ..numpy_functions import LOOKING
from ..refusals import described
from ..trace import Observer, Source, called_from, same

HERE = os.path.dirname(__file__)  # noqa: PTH120 - as in trace.py
PACKAGE = __name__.partition(".")[0]
#: Ops that a program has lines for, besides those whose kernel is a ufunc: those of the core.
WITH_LINES = {op for op in vars(ops).values() if isinstance(op, Primitive)}
WITH_LINES |= {numpy_functions.cumulative_sum, assignment}
WITH_OUT = ("reduction", "join", "cast", "copy")  # kinds of them that can write into a buffer
#: Functions that look at values, and whose results have a shape that no value changes.
STEADY = {
    *(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.all),
    *(np.any, np.count_nonzero, np.searchsorted, np.digitize, np.allclose, np.isclose, np.isin),
    *(np.array_equal, np.array_equiv, np.isposinf, np.isneginf, np.isreal, np.iscomplex),
}
#: Functions that take a Tensor's array without being told of: all others must not see it.
ENGINE = {
    "core/tensor.py": {
        *("apply", "apply_unary", "apply_binary", "write", "written", "assign", "backpropagate"),
        *("set_apart", "cotangent_of", "Tensor.__init__", "Tensor.requires_grad", "Tensor.shape"),
        *("Tensor.ndim", "Tensor.size", "Tensor.dtype", "Tensor._read", "Tensor.data"),
        *("Tensor.detach", "Tensor.__len__", "Tensor.__dlpack_device__"),
    },
    # these want its shape
    "numpy_functions.py": {
        *("expand_dims", "squeeze", "with_axes", "einsum", "pad", "full_like", "on_data")
    },
    "functional.py": {"filled", "jvp"},
    "nn/checks.py": {"is_read_only"},
}


class Variable:
    """An array of a captured run.

    Attributes
    ----------
    array : ndarray
        As it was in the captured run.
    kind : {"input", "outside", "constant", "result", "view"}
        An argument; what the function holds, such as parameters; what depends on shapes alone;
        an array of its own; another look at an array.
    root : Variable
        That whose memory it is; itself unless it is a view.
    """

    __slots__ = ("_root", "array", "kind")

    def __init__(self, array: Any, kind: str, root: Variable | None = None) -> None:
        self.array = array
        self.kind = kind
        self._root = root

    @property
    def root(self) -> Variable:
        """See above; no reference to itself, which would keep the array alive."""
        return self._root or self

    @root.setter
    def root(self, root: Variable) -> None:
        self._root = None if root is self else root

    def __repr__(self) -> str:
        return f"<{self.kind} {self.array.shape} {self.array.dtype}>"


class Looking:
    """A NumPy function that looks at values, in the place of a primitive."""

    def __init__(self, kernel: Callable[..., Any]) -> None:
        self.kernel = kernel
        self.name = kernel.__name__


def has_line(primitive: Any) -> bool:
    """Whether a program has a line of NumPy for an op."""
    return primitive in WITH_LINES or isinstance(getattr(primitive, "kernel", None), np.ufunc)


class Step:
    """A call that a program makes.

    Attributes
    ----------
    primitive : Primitive, Looking or None
        What is called; None for a guard: a truth value that has to be what it was.
    operands : list of Variable or number
    statics : dict
        Keyword arguments; of a guard the truth value.
    result : Variable or None
        What it makes.
    target : Variable or None
        What it writes into, of a write.
    source : Source or None
        The line of the user's program.
    """

    __slots__ = ("operands", "primitive", "result", "source", "statics", "target")

    def __init__(
        self,
        primitive: Primitive | Looking | None,
        operands: list[Any],
        statics: Mapping[str, Any],
        result: Variable | None,
        target: Variable | None = None,
        source: Source | None = None,
    ) -> None:
        self.primitive = primitive
        self.operands = operands
        self.statics = statics
        self.result = result
        self.target = target
        self.source = source

    @property
    def kind(self) -> str:
        """The kind of the primitive; nothing if there is none."""
        return getattr(self.primitive, "kind", "")

    @property
    def variables(self) -> list[Variable]:
        """The operands that are arrays."""
        return [x for x in self.operands if isinstance(x, Variable)]

    @property
    def written(self) -> list[Variable]:
        """What it may write into: a kernel that is given ``out`` may write its operands too."""
        if self.target is None:
            return []
        only_target = self.kind == "write" or self.elementwise
        return [self.target] if only_target else [self.target, *self.variables]

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers, so that no two calls give the same."""
        return any(isinstance(x, np.random.Generator) for x in self.statics.values())

    @property
    def elementwise(self) -> bool:
        """Whether each element of the result depends on the operands' elements there alone."""
        kernel = getattr(self.primitive, "kernel", None)
        return isinstance(kernel, np.ufunc) and kernel.signature is None

    @property
    def may_raise(self) -> bool:
        """Whether the call may complain of the values that it is given."""
        return isinstance(self.primitive, Primitive) and not has_line(self.primitive)

    @property
    def has_out(self) -> bool:
        """Whether there is a way to have the result written into a buffer, with the same bits."""
        kernel = getattr(self.primitive, "kernel", None)
        if self.kind == "reduction" and any(is_read_backwards(x.array) for x in self.variables):
            return False  # NumPy before 2.2 adds in another order where it is given ``out``
        is_ufunc = isinstance(kernel, np.ufunc)
        return is_ufunc or (has_line(self.primitive) and self.kind in WITH_OUT)

    def __repr__(self) -> str:
        name = self.primitive.name if self.primitive else "guard"
        return f"{self.result or self.target} = {name}({self.operands})"


# ---- Tensors whose values must not be read ------------------------------------------------------


class ValueRead(TypeError):  # noqa: N818 - it says what happened
    """A value was read of which a program knows only that it will be there."""


def capturing() -> Capture | None:
    """The capture that listens, if there is one."""
    return next((x for x in listening().observers if isinstance(x, Capture)), None)


slot: Any = vars(Tensor)["_array"]
array_of = slot.__get__  # the array of a Tensor, whoever asks


def is_engine(frame: FrameType) -> bool:
    """Whether a function may have the array of a Tensor: it will tell what it makes of it."""
    code = frame.f_code
    if code.co_name == "unwrapped":
        frame = frame.f_back  # type: ignore[assignment]
        code = frame.f_code
    name = code.co_qualname.removesuffix(".<locals>.<listcomp>").removesuffix(".<locals>.<genexpr>")
    given = frame.f_locals
    if name == "Tensor.__init__" and given["dtype"] is not None:  # which would make a new array
        return bool(np.dtype(given["dtype"]) == array_of(given["data"]).dtype)
    if name == "written":
        return bool(given["y"].dtype == given["out"].dtype)
    if code.co_filename.startswith(HERE):
        return True
    return any(
        code.co_filename.replace(os.sep, "/").endswith(f"{PACKAGE}/{file}")
        and name.partition(".<locals>")[0] in names
        for file, names in ENGINE.items()
    )


class Captured(Tensor):
    """A Tensor during a capture: everything is known of it but its values."""

    __slots__ = ()

    def _refuse(self, what: str = "its value was read", instead: str = "") -> NoReturn:
        instead = instead or (
            "Return it and read it outside, choose by np.where instead of `if`, write by "
            "`with ag.no_grad(): w -= ...`, or `w[...] = ...`, instead of w.data or load_state_dict"
        )
        raise ValueRead(
            f"the tensor {described(self)} is part of a step that is being captured, and {what}: "
            f"every replay would go on with the value of this one call. {instead}, or leave "
            f"ag.compile away"
        )

    def _guarded(self) -> Any:
        capture, frame = capturing(), sys._getframe(1)
        if capture is not None:
            if not is_engine(frame):
                self._refuse()
            if frame.f_code is Tensor.__init__.__code__:  # a Tensor of this one, no more readable
                capture.made(frame.f_locals["self"])
        return array_of(self)

    _array = property(_guarded, slot.__set__)

    def __repr__(self) -> str:
        return f"<captured tensor of {described(self)}>"

    def detach(self) -> Tensor:
        """The same Tensor without history, captured as well."""
        tensor = super().detach()
        if capture := capturing():
            capture.hold(tensor)
        return tensor

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        self._refuse_out(kwargs.get("out") or ())
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        out = kwargs.get("out")
        self._refuse_out(() if out is None else (out,))
        capture = capturing()
        looks = function in LOOKING or function in (np.bincount, np.histogram)
        looks = looks or (function is np.where and len(args) + len(kwargs) == 1)
        if capture is None or not looks:
            return super().__array_function__(function, types, args, kwargs)
        if function not in STEADY:
            self._refuse(f"np.{function.__name__} looks at its values")
        return capture.looked(function, args, kwargs)

    def _refuse_out(self, out: Iterable[Any]) -> None:
        """A capture hears of writes into Tensors only."""
        for array in out:
            if capturing() and not (isinstance(array, Tensor) and array.dtype == self.dtype):
                self._refuse("out= is not a Tensor of its dtype")


def by_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that calls a NumPy function."""
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


for _function in (np.argmax, np.argmin, np.argsort, np.all, np.any, np.nonzero):
    setattr(Captured, _function.__name__, by_function(_function))


def refusing(name: str) -> Callable[..., Any]:
    """The method of Tensors, if it does not change an argument."""
    plain = getattr(Tensor, name)

    def method(self: Captured, *args: Any, **kwargs: Any) -> Any:
        capture = capturing()
        if capture is not None and capture.is_array(self):
            self._refuse(
                "it is an argument that this call gave as an array, which would be changed in "
                "place: write x = x + ..., not x += ..."
            )
        return plain(self, *args, **kwargs)

    return method


AS_TENSOR = (
    "Look things up in a Tensor, ag.Tensor(table)[index], write into a Tensor, "
    "`with ag.no_grad(): w[...] = value`"
)
IN_PLACE = tuple(
    f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
)
IN_RULES = {"float", "int", "item", "tolist", "numpy", "data", "asarray"}
for _name in IN_PLACE:
    setattr(Captured, _name, refusing(_name))


# ---- the capture --------------------------------------------------------------------------------


class Capture(Observer):
    """Listens to one run of a function.

    Parameters
    ----------
    held : iterable
        What the function can reach from outside: Tensors whose values it must not read, arrays
        that it did not make itself, and what random numbers come from.

    Attributes
    ----------
    steps : list of Step
    modules : dict of int to (Module, bool)
        The modules that were run, and whether they were in training.
    gradients : dict of int to (Tensor, Tensor or None)
        The Tensors that were there before, with the gradient that they had.
    names : dict of int to str
        What modules call the arrays of their Tensors.
    doubt : str
        Why a replay would not be right, or nothing.
    """

    def __init__(self, held: Iterable[Any] = ()) -> None:
        self.steps: list[Step] = []
        self.modules: dict[int, tuple[Any, bool]] = {}
        self.gradients: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.names: dict[int, str] = {}
        self._inner: list[list[Step]] = []  # of the kernels that are being taken apart
        self._apart: list[Any] = []  # the ops that these are of
        self._variables: dict[int, Variable] = {}
        self._alive: list[Any] = []  # so that no id is used twice
        self._held: dict[int, Tensor] = {}
        self._made: list[weakref.ref[Tensor]] = []
        self._strangers: list[tuple[weakref.ref[Tensor], Tensor | None]] = []
        self._begun: dict[Variable, tuple[weakref.ref[Tensor], Any]] = {}  # before the first write
        self._given: set[int] = set()  # arguments that were arrays
        self._others = {id(x): x for x in held}
        self._has_effects = False  # whether a run of the steps so far has changed something
        self._overwriting: tuple[Any, Any] | None = None
        self._errors = self._errors_of_call = np.geterr()
        drawing = [x for x in (*SHARED, *self._others.values()) if isinstance(x, DRAWING)]
        self._states = {id(x): (x, state_of(x)) for x in drawing}
        self.doubt = ""
        self._source: Source | None = None
        for tensor in [x for x in self._others.values() if isinstance(x, Tensor)]:
            self.gradients[id(tensor)] = tensor, tensor._grad
            self._others[id(tensor._array)] = tensor._array
            self.hold(tensor)

    # -- variables --

    def input(self, tensor: Tensor, was_array: bool) -> Variable:
        """Enter an argument."""
        self.made(tensor)
        if was_array:
            self._given.add(id(tensor))
        return self._variable(tensor._array, "input")

    def is_array(self, tensor: Tensor) -> bool:
        """Whether a Tensor is an argument that was given as an array."""
        return id(tensor) in self._given

    def is_outside(self, tensor: Tensor) -> bool:
        """Whether a Tensor was there before the run."""
        return id(tensor) in self._others

    def held_arrays(self) -> list[Any]:
        """The arrays that were there before the run."""
        return [x for x in self._others.values() if isinstance(x, np.ndarray)]

    def hold(self, tensor: Tensor) -> None:
        """Let nobody read the values of a Tensor until the capture is over."""
        if type(tensor) is Tensor:
            tensor.__class__ = Captured
            self._held[id(tensor)] = tensor

    def made(self, tensor: Tensor) -> None:
        """Hold a Tensor that the run has made."""
        self.hold(tensor)
        self._made.append(weakref.ref(tensor))

    def let_go(self) -> None:
        """Make all Tensors readable again."""
        for tensor in self._held.values():
            tensor.__class__ = Tensor
        self._held.clear()

    def settle(self, results: Iterable[Any]) -> None:
        """After the run: see which new Tensors are there outside of it, and which were its own.

        What it made in plain NumPy and then wrote into begins in each call with the same numbers.
        """
        returned = {id(x) for x in results}
        for reference, before in self._strangers:
            tensor = reference()
            if tensor is not None and id(tensor) not in returned:
                self.gradients.setdefault(id(tensor), (tensor, before))
        order: dict[Any, int] = {x: i for i, x in enumerate(self._variables.values())}
        used_first = sorted(  # the same order in each capture
            self.gradients.items(),
            key=lambda item: (order.get(self.find(array_of(item[1][0])), len(order)), item[0]),
        )
        self.gradients = dict(used_first)
        for variable, (reference, array) in self._begun.items():
            tensor = reference()
            if tensor is None or id(tensor) in returned:
                variable.kind = "result"
                start = Variable(array, "constant")
                self.steps.insert(0, Step(ops.copy, [start], {}, variable))

    def kept_by_function(self, but: Iterable[Tensor | None]) -> list[Tensor]:
        """The Tensors that this run has made and somebody holds on to, but these."""
        for _ in range(2):
            kept = [x for x in [made() for made in self._made] if x is not None]
            kept = [x for x in kept if all(x is not y for y in but)]
            if not kept:
                break
            gc.collect()  # or is it only a circle of references?
        return kept

    def find(self, array: Any) -> Variable | None:
        """The variable that stands for an array."""
        return self._variables.get(id(array))

    def variable_of(self, x: Any) -> Variable:
        """The variable of a Tensor or an array; one from outside if it is new."""
        return self._variable(array_of(x) if isinstance(x, Tensor) else x, "outside")

    def _variable(self, array: Any, kind: str) -> Variable:
        if id(array) not in self._variables:
            if kind == "outside" and id(array) not in self._others:
                self._refuse_derived(array)
            self._enter(array, Variable(array, kind))
        return self._variables[id(array)]

    def _refuse_derived(self, array: Any) -> None:
        """Raise if an array is a view of one that a replay has anew."""
        for x in self._variables.values():
            own = x.kind not in ("outside", "constant")
            if own and array.base is not None and np.may_share_memory(array, x.array):
                raise ValueRead(
                    f"an array of shape {array.shape} {array.dtype} was made of a tensor in a step "
                    f"that is being captured, by plain NumPy, so that a replay would go on with "
                    f"the values of this one call: index or reshape the Tensor itself"
                )

    def _enter(self, array: Any, variable: Variable) -> None:
        self._alive.append(array)
        self._variables[id(array)] = variable

    def _operand(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            if type(x) is Tensor:
                self._strangers.append((weakref.ref(x), x._grad))
                self.hold(x)
            elif type(x) is not Captured:
                raise ValueRead(
                    f"{type(x).__name__} is a class of its own, whose values a capture cannot guard"
                )
            return self.variable_of(x)
        if isinstance(x, list | tuple | np.generic):
            x = np.asarray(x)
        return self.variable_of(x) if isinstance(x, np.ndarray) else x

    # -- what the engine tells --

    def heard(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any, y: Any) -> None:
        """A call: write it down, or the calls that its kernel consists of."""
        if self._inner and np.geterr() != self._errors:
            raise ValueRead("this kernel says itself what becomes of overflows")
        if not self._inner:
            self._source, _ = called_from()
            if np.geterr() != self._errors_of_call:
                self.doubt = "it says itself what becomes of overflows, by np.errstate"
        before = None
        if self._overwriting is not None and self._overwriting[0] is y:
            before, self._overwriting = self._overwriting[1], None
        elif type(y) is Tensor:
            self.made(y)
        statics = {name: static for name, static in statics.items() if name != "likes"}
        if primitive.kind == "write":
            operands, statics = self._with_key(operands, statics["key"])
        if any(isinstance(x, np.ndarray) and self.find(x) for x in statics.values()):
            raise ValueRead(f"{primitive.name} takes a Tensor as a keyword argument")
        variables = [self._operand(x) for x in operands]
        parts = self._parts(primitive, operands, statics, y, before)
        if parts is not None:
            steps, result = parts
            self._list.extend(steps)
            if before is None:
                self._enter(array_of(y), result)
                return
            primitive, variables, statics = assignment, [result], {"key": ...}
        if before is not None:
            target = self.variable_of(y)
            if target.kind == "outside" and id(target.array) not in self._others:
                self._begun.setdefault(target, (weakref.ref(y), before))
            self._append(primitive, variables, statics, None, target)
            self._has_effects |= target.root.kind != "result"
        elif self.find(array_of(y)) is None:
            self._add(primitive, variables, statics, array_of(y))
            self._expect_draws(primitive, operands, statics)

    def _append(self, primitive: Any, operands: Any, statics: Any, *places: Any) -> None:
        self._list.append(Step(primitive, operands, statics, *places))
        self._list[-1].source = self._source

    @staticmethod
    def _with_key(operands: tuple[Any, ...], key: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A write with the index arrays among its operands."""
        parts = key if isinstance(key, tuple) else (key,)
        arrays = tuple([x for x in parts if isinstance(x, np.ndarray)])
        if not arrays:
            return operands, {"key": key}
        pattern = tuple([ops.Index if isinstance(x, np.ndarray) else x for x in parts])
        return (*operands, *arrays), {"key": pattern}

    def _add(self, primitive: Any, operands: list[Any], statics: dict[str, Any], y: Any) -> None:
        """A step that makes an array."""
        if primitive.kind == "index" and any(
            x.array.dtype == bool and (x.kind != "outside" or id(x.array) in self._others)
            for x in operands[1:]
        ):
            raise ValueRead(
                "an index of truth values makes an array as long as many of them are true, and a "
                "captured step has fixed shapes: choose by np.where(mask, x, 0)"
            )
        if primitive.kind == "reduction" and has_line(
            primitive
        ):  # so that a sum with and without keepdims is one step
            (x,) = operands
            axes = ops.normalized(statics.get("axis"), x.array.ndim)
            long = tuple([1 if i in axes else n for i, n in enumerate(x.array.shape)])
            statics = {"axis": axes, "keepdims": True}
            if long != y.shape:
                root = Variable(y.reshape(long), "result")
                self._alive.append(root.array)
                self._append(primitive, operands, statics, root)
                primitive, operands, statics = ops.reshape, [root], {"shape": y.shape}
        result = Variable(y, "result")
        for x in operands:
            if isinstance(x, Variable) and y.size and np.may_share_memory(y, x.array):
                if place(y) == place(x.array):
                    self._enter(y, x)
                    return
                result = Variable(y, "view", x.root)
                break
        self._enter(y, result)
        self._append(primitive, operands, statics, result)
        self._has_effects |= self._list[-1].draws

    def _expect_draws(self, primitive: Primitive, operands: Any, statics: Any) -> None:
        """What state a generator is in if nobody drew from it but steps, which a replay makes."""
        for name, rng in statics.items():
            if isinstance(rng, np.random.Generator) and id(rng) in self._states:
                twin = copy.deepcopy(rng)
                twin.bit_generator.state = self._states.pop(id(rng))[1]
                if primitive.kernel.__module__.partition(".")[0] == PACKAGE:
                    arrays = [array_of(x) if isinstance(x, Tensor) else x for x in operands]
                    primitive.kernel(*arrays, **{**statics, name: twin})
                    self._states[id(rng)] = rng, state_of(twin)

    def drawn_from(self) -> list[Any]:
        """What somebody drew from, or counted by, and no step."""
        return [x for x, state in self._states.values() if frozen(state_of(x)) != frozen(state)]

    @property
    def _list(self) -> list[Step]:
        return self._inner[-1] if self._inner else self.steps

    def looked(self, function: Any, args: Any, kwargs: Any) -> Tensor:
        """A function that looks at values: its result is one that must not be read."""
        kwargs = {name: x for name, x in kwargs.items() if x is not np._NoValue}
        if any(isinstance(x, Tensor) for x in kwargs.values()):
            raise ValueRead(f"np.{function.__name__}: pass Tensors without their parameters' names")
        arrays = [array_of(x) if isinstance(x, Tensor) else x for x in args]
        y = wrap(np.asarray(function(*arrays, **kwargs)))
        self.made(y)
        operands = [self._operand(x) if isinstance(x, Tensor | np.ndarray) else x for x in args]
        self._enter(array_of(y), Variable(array_of(y), "result"))
        self._append(Looking(function), operands, kwargs, self.variable_of(y))
        return y

    def checks(self, function: Callable[..., Any], arrays: Iterable[Any]) -> None:
        """A check of values, which a replay makes too."""
        operands = [self._operand(x) for x in arrays]
        function(*[x.array if isinstance(x, Variable) else x for x in operands])
        self._append(Looking(function), operands, {}, None)

    def reading(self, tensor: Any, how: str) -> None:
        """Values must not be read; but the truth in a kernel becomes a guard."""
        if type(tensor) is not Captured:
            return
        if how == "truth" and self._inner:
            value = bool(array_of(tensor))
            self._append(None, [self.variable_of(tensor)], {"is": value}, None)
        elif how == "truth":
            tensor._refuse("its truth was asked for, by `if` or `while`")
        elif how in ("array", "index"):
            tensor._refuse("NumPy, or Python, asked for it as an array or an index", AS_TENSOR)
        else:
            tensor._refuse()

    def writing(self, tensor: Any) -> None:
        """A write: remember what was there."""
        self._overwriting = (tensor, array_of(tensor).copy())

    def pulling(self, node: Any, position: int) -> None:
        """A rule: its calls are heard one by one; but what a rule of the user reads is not."""
        super().pulling(node, position)
        rule = node.primitive.rule(position).function
        names = {*getattr(rule, "__code__", self.pulling.__code__).co_names}
        if rule.__module__.partition(".")[0] != PACKAGE and names & IN_RULES:
            raise ValueRead(
                f"the rule of {node.primitive.name} is part of a step that is being captured, and "
                f"seems to read a value, by {', '.join(sorted(names & IN_RULES))}: every replay "
                f"would go on with the value of this one call. Write it in NumPy's functions"
            )

    def seeded(self, node: Any, cotangent: Any, given: Any) -> None:
        """A backward pass begins with ones, made of a shape alone, or a copy of what was given."""
        array = array_of(cotangent)
        if self.find(array) is None and given is not None:
            seed = Variable(array, "result")
            source = self.variable_of(np.asarray(given))
            self._append(ops.convert, [source], {"dtype": array.dtype}, seed)
            self._enter(array, seed)
        elif self.find(array) is None:
            self._variable(array, "constant")

    def delivered(self, node: Any, cotangent: Any) -> None:
        """A cotangent, which nobody may read."""
        self.hold(cotangent)

    def entering(self, module: Any, parts: Any) -> None:
        """A module."""
        self.modules.setdefault(id(module), (module, module.training))
        for name, part in parts:
            if isinstance(part, Tensor):
                self.names.setdefault(id(array_of(part)), name)

    # -- kernels --

    def _parts(
        self, primitive: Any, operands: Any, statics: dict[str, Any], y: Tensor, before: Any
    ) -> tuple[list[Step], Variable] | None:
        """The calls that a kernel consists of; None if it has to stay whole.

        So do kernels of the user: they may do what no Tensor sees, such as drawing numbers.  And
        so do those that ask for a truth value after something was written or drawn: where it is
        another one than now the function is run from the start, and would do that twice.
        """
        step = Step(primitive, [], statics, None)
        is_function = isinstance(primitive.kernel, FunctionType)
        if has_line(primitive) or not is_function or step.draws:
            return None
        if primitive.kernel.__module__.partition(".")[0] != PACKAGE:
            return None
        if primitive in self._apart:
            raise RecursionError(f"{primitive.name} would be made of itself, and so it stays whole")
        arrays = [array_of(x) if isinstance(x, Tensor) else x for x in operands]
        if before is not None:
            arrays = [before if array is array_of(y) else array for array in arrays]
            if not is_pure(primitive.kernel, arrays, statics, array_of(y)):
                return None
            self._enter(before, self.variable_of(y))
            statics = {**statics, "out": None}
        tensors = [wrap(x) if isinstance(x, np.ndarray) else x for x in arrays]
        for tensor in tensors:
            if isinstance(tensor, Tensor):
                self.hold(tensor)
        if not self._inner:
            self._errors = np.geterr()
        self._inner.append([])
        self._apart.append(primitive)
        overwriting, self._overwriting = self._overwriting, None
        try:
            with listen(recording=False):
                result = primitive.kernel(*tensors, **statics)
        except Exception:
            return None
        finally:
            steps = self._inner.pop()
            self._apart.pop()
            self._overwriting = overwriting
        if not isinstance(result, Tensor) or not same(array_of(result), array_of(y)):
            return None
        if self._has_effects and any(step.primitive is None for step in steps):
            return None
        return steps, self.variable_of(result)


def check(function: Callable[..., Any], *arrays: Any) -> None:
    """Let a function look at values and raise if they are wrong: now, and in each replay."""
    capture = capturing()
    if capture is None:
        function(*map(unwrapped, arrays))
    else:
        capture.checks(function, arrays)


#: What gives another number each time.
DRAWING = (
    *(np.random.Generator, np.random.BitGenerator, np.random.RandomState),
    *(random.Random, itertools.count),
)
#: Those that np.random and random have.
SHARED: tuple[Any, ...] = (np.random.random.__self__, random.random.__self__)  # type: ignore[attr-defined]


def state_of(source: Any) -> Any:
    """What the next numbers of a source depend on."""
    if isinstance(source, np.random.Generator):
        return source.bit_generator.state
    if isinstance(source, np.random.BitGenerator):
        return source.state
    if isinstance(source, np.random.RandomState):
        return source.get_state(legacy=False)
    if isinstance(source, random.SystemRandom):
        return object()  # it has none, and each time is another
    return hash(source.getstate()) if isinstance(source, random.Random) else repr(source)


def place(array: Any) -> tuple[Any, ...]:
    """Where the elements of an array lie, and what they are."""
    return array.shape, array.strides, array.dtype, array.__array_interface__["data"][0]


def is_read_backwards(array: Any) -> bool:
    """Whether an array runs backwards through its memory along an axis."""
    return min(array.strides, default=0) < 0


def is_pure(kernel: Any, arrays: list[Any], statics: Mapping[str, Any], y: Any) -> bool:
    """Whether a kernel that writes its result into ``out`` writes nothing else."""
    frozen = [x.view() if isinstance(x, np.ndarray) else x for x in arrays]
    for x in frozen:
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    try:
        return same(kernel(*frozen, **statics, out=None), y)
    except Exception:
        return False


# ---- whether two runs did the same --------------------------------------------------------------


class Same:
    """A thing that is equal to itself alone."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def frozen(x: Any) -> Any:
    """Something hashable that is equal if and only if two things are alike to the last bit."""
    if isinstance(x, np.ndarray | np.generic):
        return type(x), x.shape, x.dtype.str, x.tobytes()
    if isinstance(x, list | tuple):
        return type(x), tuple([frozen(y) for y in x])
    if isinstance(x, dict):
        return dict, tuple([(name, frozen(y)) for name, y in x.items()])
    if isinstance(x, int | float | complex | str | bytes | slice | range | None):
        return type(x), repr(x)
    return x if isinstance(x, Same) else Same(x)


class Summary:
    """What a run did, without the arrays that it made.

    Parameters
    ----------
    steps : list of Step
    wanted : list of Variable
    rest : object
        What else has to be the same.
    """

    def __init__(self, steps: Collection[Step], wanted: Iterable[Variable], rest: Any) -> None:
        self._numbers: dict[Variable, int] = {}
        self._outside: list[Any] = []
        self._lines = [
            (
                Same(getattr(step.primitive, "kernel", None)),
                *map(self._code, (*step.operands, step.result, step.target)),
                frozen(dict(step.statics)),
            )
            for step in steps
        ]
        self._rest = [*map(self._code, wanted)], frozen(rest)
        self._sources = [step.source for step in steps]
        self._numbers.clear()  # they hold the arrays of the run

    def _code(self, x: Any) -> Any:
        if not isinstance(x, Variable):
            return frozen(x)
        if x not in self._numbers:
            self._numbers[x] = len(self._numbers)
            if x.kind in ("outside", "constant"):
                self._outside.append(x.array)
        return self._numbers[x], x.kind, x.array.shape, x.array.strides, x.array.dtype.str

    def difference(self, other: Summary) -> str | None:
        """What another run did otherwise; None if it did the same."""
        for mine, its, source in zip(self._lines, other._lines, self._sources, strict=False):
            if mine != its:
                where = f" at {source}: {source.text}" if source else ""
                return f"it does not do the same in each call{where}"
        if len(self._lines) != len(other._lines) or self._rest != other._rest:
            return "it does not do the same in each call, or does not return the same"
        for mine, its in zip(self._outside, other._outside, strict=True):
            if mine is not its and not same(mine, its):
                return (
                    f"it uses an array of shape {mine.shape} {mine.dtype} that is another one in "
                    f"each call, and not an argument: one that it makes in plain NumPy, such as "
                    f"random numbers, or a variable that is set anew"
                )
        return None
