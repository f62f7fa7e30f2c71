"""Kernels taken apart by running them: which calls of NumPy one of them consists of.

A kernel is run on operands that note what is called on them.  What only exists in memory, such as
closures and helpers, has then been looked up, and branches on shapes and dtypes have been taken.  A
kernel stays whole if it writes into arrays that others see, leaves NumPy, or looks at values; but
where a truth value decides whether it raises, that is noted as a check.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..border import Operand
from ..core.primitive import Primitive
from ..numpy_functions import ABOUT_SHAPES
from .origins import same

#: What is known of an array without looking at its values.
FACTS = ("shape", "dtype", "ndim", "size", "itemsize", "nbytes")
READS = ("array", "float", "setitem")


class StaysWhole(TypeError):  # noqa: N818 - it says what follows
    """A kernel does what cannot be noted."""


@dataclass(eq=False, slots=True)
class KernelCall:
    """One call that a kernel consists of, or one of its operands.

    Attributes
    ----------
    result : ndarray, number or tuple
        What it gave.
    function : callable or None
        A function of NumPy, SciPy or `operator`, ``getattr``, `call_method` or a `Primitive`; None
        for an operand.
    args, kwargs : tuple, dict
        With parts for what was noted, also in tuples, lists and slices.
    """

    result: Any
    function: Any = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> list[KernelCall]:
        """What it was called on."""
        return all_of((self.args, self.kwargs), KernelCall)


class Requirement(NamedTuple):
    """A truth value that a kernel asks for, and the error if it is not what it was."""

    part: KernelCall
    is_true: bool
    error: Exception


class Apart(NamedTuple):
    """What a kernel consists of: the parts that stand for operands, checks, and the result."""

    given: list[Any]
    checks: list[Requirement]
    result: KernelCall


@dataclass(eq=False)
class Asked:
    """What a run of a kernel is told of truth values, of which one can be told wrongly."""

    wrong: int | None = None
    errors: Any = None  # how NumPy treats them outside of the kernel
    told: dict[KernelCall, bool] = field(default_factory=dict)
    is_over: bool = False  # what somebody kept goes on as the array that it stands for


def call_method(x: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method of an array."""
    return getattr(x, name)(*args, **kwargs)


class Noted(NDArrayOperatorsMixin, Operand):
    """What stands for an array while a kernel is taken apart.

    Its part is another one when it was written in place.
    """

    __slots__ = ("asked", "is_shared", "part")
    __hash__ = object.__hash__

    def __init__(self, part: KernelCall, asked: Asked, is_shared: bool) -> None:
        self.part = part
        self.asked = asked
        self.is_shared = is_shared  # whether others see what is written into it

    def __getattr__(self, name: str) -> Any:
        if name in FACTS:
            return getattr(self.part.result, name)
        if name.startswith("__"):
            raise AttributeError(name)
        if callable(getattr(self.part.result, name)):
            return lambda *args, **kwargs: self._note(call_method, self, name, *args, **kwargs)
        return self._note(getattr, self, name)

    def _note(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function on what the operands stand for."""
        if np.geterr() != self.asked.errors and not self.asked.is_over:
            raise StaysWhole("it says itself what becomes of overflows")
        run = function.kernel if isinstance(function, Primitive) else function
        plain_args, plain_kwargs = mapped((args, kwargs), Noted, lambda x: x.part.result)
        result = run(*plain_args, **plain_kwargs)
        if function in ABOUT_SHAPES or self.asked.is_over:
            return result
        if not isinstance(result, np.ndarray | np.generic | tuple):
            raise StaysWhole("it looks at values")
        arguments = mapped((args, kwargs), Noted, lambda x: x.part)
        y = Noted(KernelCall(result, function, *arguments), self.asked, False)
        for x in all_of((args, kwargs), Noted):
            both = isinstance(x.part.result, np.ndarray) and isinstance(result, np.ndarray)
            if not both or np.may_share_memory(x.part.result, result):
                x.is_shared = y.is_shared = True
        return y

    def _take(self, y: Noted) -> Noted:
        """Be what a call has made that wrote its result here."""
        if self.is_shared or y.shape != self.shape or y.dtype != self.dtype:
            raise StaysWhole("it writes into an array")
        self.part = y.part
        return self

    def _apply(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any) -> Any:
        return self._note(primitive, *operands, **primitive.completed(statics))

    def __array_ufunc__(
        self, ufunc: Any, called: str, *inputs: Any, out: Any = (), **kwargs: Any
    ) -> Any:
        y = self._note(ufunc if called == "__call__" else getattr(ufunc, called), *inputs, **kwargs)
        return out[0]._take(y) if out else y

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        y = self._note(function, *args, **kwargs)
        return y if out is None else out._take(y)

    def __pow__(self, other: Any) -> Any:
        return self._note(operator.pow, self, other)  # which has other bits than `np.power`

    def __ipow__(self, other: Any) -> Any:
        return self._take(self**other)

    def __getitem__(self, key: Any) -> Any:
        return self._note(operator.getitem, self, key)

    def __bool__(self) -> bool:
        told = self.asked.told
        if self.part not in told:
            told[self.part] = bool(self.part.result) is not (len(told) == self.asked.wrong)
        return told[self.part]

    def __format__(self, form: str) -> str:
        return "..."  # in what an error says

    def __len__(self) -> int:
        return len(self.part.result)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def mapped(x: Any, kind: type, by: Callable[[Any], Any]) -> Any:
    """The same arguments, with something for each of a kind."""
    if isinstance(x, kind):
        return by(x)
    if type(x) in (tuple, list):
        return type(x)([mapped(part, kind, by) for part in x])
    if isinstance(x, slice):
        return slice(*[mapped(part, kind, by) for part in (x.start, x.stop, x.step)])
    return {k: mapped(v, kind, by) for k, v in x.items()} if type(x) is dict else x


def all_of(x: Any, kind: type) -> list[Any]:
    """What there is of a kind in arguments."""
    found: list[Any] = []
    mapped(x, kind, found.append)
    return found


def looks(name: str) -> Callable[..., Any]:
    """A method that looks at values, or writes."""

    def look(self: Noted, *args: Any, **kwargs: Any) -> Any:
        if not self.asked.is_over:
            raise StaysWhole("it looks at values")
        return call_method(self.part.result, name, *args, **kwargs)

    return look


for _name in READS:
    setattr(Noted, f"__{_name}__", looks(f"__{_name}__"))


def noted_run(
    kernel: Callable[..., Any], operands: Sequence[Any], statics: Mapping[str, Any]
) -> Apart | None:
    """What a kernel consists of when it is called on these operands.

    None if it has to stay whole: it does what cannot be noted, or does not give the same bits, in
    the same order in memory, as when it is run on arrays.
    """
    arrays = [x.view() if isinstance(x, np.ndarray) else x for x in operands]
    for x in arrays:
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    given = [KernelCall(x) if isinstance(x, np.ndarray | np.generic) else x for x in arrays]

    def run(asked: Asked) -> Any:
        asked.errors = np.geterr()
        try:
            return kernel(*mapped(given, KernelCall, lambda x: Noted(x, asked, True)), **statics)
        finally:
            asked.is_over = True

    errors = np.errstate(all="call", call=lambda *_: None)  # which no kernel says itself
    with errors, warnings.catch_warnings(action="ignore"):
        try:
            asked = Asked()
            result, true = run(asked), kernel(*arrays, **statics)
            checks = [
                Requirement(part, truth, refusal(run, wrong))
                for wrong, (part, truth) in enumerate(asked.told.items())
            ]
        except Exception:  # a kernel may be a user's
            return None
    if not isinstance(result, Noted) or not is_alike(result.part.result, true):
        return None
    return Apart(given, checks, result.part)


def refusal(run: Callable[[Asked], Any], wrong: int) -> Exception:
    """What a kernel raises if one truth value is another; it is a branch if it does not."""
    try:
        run(Asked(wrong))
    except (ValueError, IndexError) as error:
        if type(error) in (ValueError, IndexError):  # by a name that all know
            return error
    raise StaysWhole("it looks at values")


def is_alike(a: Any, b: Any) -> bool:
    """Whether NumPy goes on with two results in the same way."""
    if isinstance(a, np.ndarray) != isinstance(b, np.ndarray) or isinstance(a, tuple):
        return False
    a, b = np.asarray(a), np.asarray(b)
    return same(a, b) and (a.size < 2 or a.strides == b.strides)
