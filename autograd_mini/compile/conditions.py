"""What a program takes for granted: it is replayed only while all of it is still so.

A program holds the parameters, modules and numbers that the function used when it was captured.
So it is looked at, before each replay, whether the names that the function uses still stand for
the same things, modules still have the same parts, and parameters are still trained or frozen.
"""

from __future__ import annotations

import dis
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import is_
from types import CellType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import Tensor, ndarray
from .capture import DRAWING, PACKAGE, Capture, array_of
from .link import executed

PLAIN = (int, float, complex, str, bytes, bool, type(None), ModuleType, np.dtype)
CONTAINERS = (tuple, list, dict, set, frozenset, deque)
MOST = 100  # entries of a container that are looked at one by one before each replay
TOO_MANY = 2_000  # names
LENGTH, ENTRIES = object(), object()  # keys for all of a container
MISSING = object()  # nothing that a name stands for
COMPARISONS = {f"__{name}__" for name in ("eq", "ne", "lt", "le", "gt", "ge", "hash")}
MAKING = {"__init__", "__new__", "__post_init__"}
#: Special methods that a step does not call as a rule.
UNCALLED = {
    *("__del__", "__repr__", "__str__", "__init_subclass__", "__set_name__", "__class_getitem__"),
    *("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__", "__copy__", "__deepcopy__"),
    *("__replace__", "__sizeof__", "__dir__", "__format__", "__setattr__", "__delattr__"),
}
#: Settings of our layers that stand in errors and in what is printed alone.
SAYING = {"in_features", "out_features", "in_channels", "out_channels"}


class Slot(NamedTuple):
    """The name of an attribute that an object has a place for."""

    name: str


class Named(NamedTuple):
    """A name of the user's program: where it stands, and for what."""

    holder: Any  # a cell, a dict, a list or another container, or an object with slots
    key: Any  # None of a cell, LENGTH or ENTRIES of a container for all of it, or a Slot
    thing: Any

    @property
    def now(self) -> Any:
        """What it stands for now."""
        if isinstance(self.holder, CellType):
            return self.holder.cell_contents
        if self.key is LENGTH:
            return len(self.holder)
        if self.key is ENTRIES:
            return self.thing if are_same(entries_of(self.holder), self.thing) else MISSING
        if isinstance(self.key, Slot):
            return getattr(self.holder, self.key.name, MISSING)
        try:
            return self.holder[self.key]
        except LookupError:
            return MISSING


def entries_of(container: Any) -> tuple[Any, ...]:
    """What a container holds, with the keys of a dict."""
    return (*container, *container.values()) if isinstance(container, dict) else (*container,)


def are_same(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether two tuples hold the same objects; equal ones do not count."""
    return len(some) == len(others) and all(map(is_, some, others))


def is_ours(thing: Any) -> bool:
    """Whether something is of this package or of NumPy, which hold nothing of the user's.

    Nor do modules and functions of Python, and what is built in; but objects of its classes, such
    as a namespace, may.
    """
    module: str | None
    if isinstance(thing, ModuleType):
        module = thing.__name__
    elif isinstance(thing, FunctionType):  # not its ``__module__``: a wrapper has that of another
        module = thing.__globals__.get("__name__")
    else:
        module = getattr(thing, "__module__", None)
    package = (module or "numpy").partition(".")[0]
    return package in (PACKAGE, "numpy", "builtins") or (
        package in sys.stdlib_module_names
        and package != "__main__"
        and isinstance(thing, ModuleType | FunctionType)
    )


def names_in(code: Any) -> set[str]:
    """The names in a function, and in the functions inside of it."""
    names = {*code.co_names}
    if {"COMPARE_OP", "CONTAINS_OP"} & {dis.opname[number] for number in code.co_code[::2]}:
        names |= COMPARISONS
    for constant in code.co_consts:
        if isinstance(constant, str) and constant.isidentifier():  # as in getattr
            names.add(constant)
        elif hasattr(constant, "co_names"):
            names |= names_in(constant)
    return names


def names_of(function: Any) -> frozenset[str]:
    """The names in something that can be called, and in what it wraps."""
    names: set[str] = set()
    while function is not None:
        function = getattr(function, "__func__", function)
        if hasattr(function, "__code__"):
            names |= names_in(function.__code__)
        function = function.func if isinstance(function, partial) else wrapped_by(function)
    return frozenset(names)


class Search:
    """Finds the names that a function uses, and with them all that it reaches by them.

    These are global names, free variables and defaults, of the function and of those that it calls,
    the attributes of objects that stand in the code by their names, the methods that operators
    call, and the entries of containers.  The objects of this package are not searched: modules are
    when they are run.

    Parameters
    ----------
    function : callable
    arguments : iterable
        What it is called with.  The entries of containers among these are part of the kind of
        arguments, so only what is in them is searched.

    Attributes
    ----------
    found : list of Named
    names : set of str
        All names in the code.
    doubt : str
        Why not all can be watched.
    """

    def __init__(self, function: Any, arguments: Iterable[Any] = ()) -> None:
        self.found: list[Named] = []
        self.names: set[str] = set()
        self.doubt = ""
        self._seen: set[tuple[Any, ...]] = set()
        self._spaces: dict[int, tuple[Any, Any]] = {}
        self.function(function)
        known = -1
        while known < len(self.names) and not self.doubt:  # others look into what one holds
            known = len(self.names)
            names = frozenset(self.names)
            for named in [*self.found]:
                self.thing(named.thing, names)
            self._arguments(arguments, names)

    def _arguments(self, arguments: Iterable[Any], names: frozenset[str]) -> None:
        for x in arguments:
            if isinstance(x, list | tuple | dict):
                self._arguments(x.values() if isinstance(x, dict) else x, names)
            else:
                self.thing(x, names)

    def function(self, function: Any) -> None:
        """Search what can be called."""
        names = names_of(function)
        if isinstance(function, partial):
            self.function(function.func)
            self.thing(function.args, names)
            self.thing(function.keywords, names)
            return
        if isinstance(function, MethodType):
            self._attributes(function.__self__, names)
            function = function.__func__
        if not self._is_new("function", id(function)):
            return
        if not isinstance(function, FunctionType):
            self._attributes(function, names)
        elif not is_ours(function):
            self.names |= names
            space = function.__globals__
            for name in sorted(names & {*space}):
                self._named(Named(space, name, space[name]), names)
            for cell in function.__closure__ or ():
                try:
                    self._named(Named(cell, None, cell.cell_contents), names)
                except ValueError:  # a variable that has no value yet
                    continue
            self.thing(function.__defaults__, names)
            self.thing(function.__kwdefaults__, names)
        if wrapped_by(function):
            self.function(wrapped_by(function))

    def thing(self, thing: Any, names: frozenset[str]) -> None:
        """Search what a name stands for."""
        if isinstance(thing, FunctionType | MethodType | partial) or wrapped_by(thing):
            self.function(thing)
        elif not isinstance(thing, Tensor | ndarray):
            if isinstance(thing, CONTAINERS):
                self._entries(thing, names)
            self._attributes(thing, names)

    def _is_new(self, *key: Any) -> bool:
        known = key in self._seen
        self._seen.add(key)
        return not known

    def _named(self, named: Named, names: frozenset[str]) -> None:
        if len(self.found) >= TOO_MANY:
            self.doubt = (
                f"it uses more than {TOO_MANY} names, with those of all functions that it calls, "
                f"which are too many to see whether one of them is bound anew"
            )
            return
        new = self._is_new("name", id(named.holder), named.key)
        if new and not isinstance(named.thing, ModuleType):
            self.found.append(named)
        self.thing(named.thing, names)

    def _entries(self, thing: Any, names: frozenset[str]) -> None:
        """The entries of a container: one by one, or all at once if they are many."""
        if not self._is_new("entries", id(thing), names):
            return
        before = len(self.found)
        if isinstance(thing, list | dict) and len(thing) <= MOST:
            self._named(Named(thing, LENGTH, len(thing)), names)
            for key, part in thing.items() if isinstance(thing, dict) else enumerate(thing):
                self._named(Named(thing, key, part), names)
            return
        if not isinstance(thing, tuple | frozenset) and self._is_new("name", id(thing), ENTRIES):
            self.found.append(Named(thing, ENTRIES, entries_of(thing)))
        for part in entries_of(thing):
            self.thing(part, names)
            if len(self.found) > before + MOST and len(thing) > MOST:
                self.doubt = (
                    f"it uses a {type(thing).__name__} of {len(thing)} objects, which are too many "
                    f"to see whether one of them is changed: pass it what it needs as arrays"
                )
                return

    def _attributes(self, thing: Any, names: frozenset[str]) -> None:
        """The attributes of an object, of its class or of a module that are named in the code."""
        kind = thing if isinstance(thing, ModuleType | type) else type(thing)
        if is_ours(kind) or not self._is_new("attributes", id(thing), names):
            return
        owners = [thing] if hasattr(thing, "__dict__") else []
        if isinstance(kind, type):
            owners += [base for base in kind.__mro__ if base is not thing and not is_ours(base)]
        spaces = [self._space(owner) for owner in owners]
        uncalled = UNCALLED | COMPARISONS | (set() if isinstance(thing, type) else MAKING)
        operators = {
            name
            for space in spaces
            for name in space
            if isinstance(space[name], FunctionType) and is_special(name) and name not in uncalled
        }
        methods = []
        for name in sorted(names | operators):
            hides = []  # where the name would hide those that come after, if it stood there
            for space in spaces:
                if name not in space:
                    hides.append(space)
                    continue
                for hidden in [] if is_special(name) else hides:
                    self._named(Named(hidden, name, MISSING), names)
                hides = []
                self._named(Named(space, name, space[name]), names)
                methods.append(method_of(space[name]))
                if isinstance(space[name], MemberDescriptorType) and hasattr(thing, name):
                    self._named(Named(thing, Slot(name), getattr(thing, name)), names)
        for method in methods:  # which may use other attributes
            if isinstance(method, FunctionType) or wrapped_by(method):
                self.function(method)
                self._attributes(thing, names_of(method))

    def _space(self, owner: Any) -> Any:
        """The attributes of something, as the same object each time."""
        return self._spaces.setdefault(id(owner), (vars(owner), owner))[0]


def is_special(name: str) -> bool:
    """Whether a method is one that Python calls by itself."""
    return name[:2] == "__" == name[-2:]


def wrapped_by(thing: Any) -> Any:
    """What something says that it wraps, as `functools.wraps` notes it, or None."""
    wrapped = getattr(thing, "__dict__", {}).get("__wrapped__")
    return wrapped if callable(wrapped) and not isinstance(thing, type) else None


def method_of(thing: Any) -> Any:
    """The function of a property, a class method or a static method; anything else as it is."""
    return getattr(thing, "fget", None) or getattr(thing, "__func__", None) or thing


def reachable(roots: Iterable[Any]) -> Iterator[Any]:
    """All Tensors, arrays and sources of random numbers that can be reached from some things."""
    seen: dict[int, Any] = {}
    stack = list(roots)
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(thing, PLAIN):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, DRAWING):
            yield thing
        elif isinstance(thing, Tensor | ndarray):
            yield thing
            stack.append(getattr(thing, "grad", None))
        elif isinstance(thing, dict):
            stack += thing.values()
        elif isinstance(thing, list | tuple | set | frozenset | deque):
            stack += thing
        elif isinstance(thing, partial):
            stack += (thing.func, thing.args, thing.keywords)
        elif isinstance(thing, FunctionType | MethodType):
            stack += [named.thing for named in Search(thing).found]
            stack.append(getattr(thing, "__self__", None))
        elif isinstance(thing, type):
            stack += () if is_ours(thing) else vars(thing).values()
        else:
            stack += getattr(thing, "__dict__", {}).values()
            slots = [name for kind in type(thing).__mro__ for name in slots_of(kind)]
            stack += [getattr(thing, name, None) for name in slots]
            stack.append(type(thing))


def slots_of(kind: type) -> Iterable[str]:
    """The attributes that a class has places for."""
    slots = vars(kind).get("__slots__", ())
    return [name for name in ((slots,) if isinstance(slots, str) else slots) if name[:2] != "__"]


# ---- as code ------------------------------------------------------------------------------------


class Code:
    """Expressions about things, each of which gets a name; as code they are quicker than a loop."""

    def __init__(self) -> None:
        self.space: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._conditions: dict[str, None] = {}  # each once, in order

    def name(self, thing: Any) -> str:
        """The name of a thing in the code."""
        if id(thing) not in self._names:
            self._names[id(thing)] = f"t{len(self._names)}"
            self.space[self._names[id(thing)]] = thing
        return self._names[id(thing)]

    def text(self, template: str, *things: Any) -> str:
        """An expression, from a template with ``{}`` for each of the things."""
        return template.format(*map(self.name, things))

    def require(self, template: str, *things: Any) -> None:
        """Add a condition."""
        self._conditions[self.text(template, *things)] = None

    def test(self, *more: str) -> str:
        """That all conditions hold, and some more: the cheap ones first."""
        return " and ".join([*more, *self._conditions]) or "True"

    def holds(self) -> Callable[[], bool]:
        """The function that says whether all conditions hold."""
        text = f"def holds():\n    try:\n        return {self.test()}\n    {GONE}: return False\n"
        return executed(text, "holds", {**self.space})  # type: ignore[no-any-return]


#: A name or an entry is not there any more, a variable has no value.
GONE = "except (LookupError, ValueError, AttributeError)"


def conditions_of(capture: Capture, named: Iterable[Named], added_to: Iterable[Tensor]) -> Code:
    """What a replay takes for granted of all that is not an argument."""
    found = Code()
    added = {id(tensor) for tensor in added_to}
    for tensor, before in capture.gradients.values():
        if capture.find(array_of(tensor)) is None:
            continue
        found.require("{}._node is {}", tensor, tensor._node)
        if id(tensor) in added:
            array = array_of(before)
            found.require("{}.grad is not None", tensor)
            found.require(f"{{}}.grad._array.shape == {array.shape}", tensor)
            found.require(f"{{}}.grad._array.strides == {array.strides}", tensor)
            found.require("{}.grad._array.dtype is {}", tensor, array.dtype)
        elif before is None and tensor._node is not None:
            found.require("{}.grad is None", tensor)
    for module, training in capture.modules.values():
        found.require("{}.training is {}", module, training)
        for holder, key, thing in parts_of_module(module):
            found.require("{}[{}] is {}", holder, key, thing)
    for holder, key, thing in named:
        if isinstance(holder, CellType):
            found.require("{}.cell_contents is {}", holder, thing)
        elif key is LENGTH:
            found.require(f"len({{}}) == {thing}", holder)
        elif key is ENTRIES:
            found.require("{}({}({}), {})", are_same, entries_of, holder, thing)
        elif isinstance(key, Slot):
            found.require(f"{{}}.{key.name} is {{}}", holder, thing)
        elif thing is MISSING:
            found.require("{} not in {}", key, holder)
        else:
            found.require("{}[{}] is {}", holder, key, thing)
    return found


def parts_of_module(module: Any) -> Iterator[Named]:
    """The Tensors, layers and settings of a module; layers of a Sequential cannot change.

    Of the numbers of a layer of the user those are watched that its code names, by `Search`.
    """
    ours = is_ours(type(module).forward)
    for name, part in vars(module).items():
        if isinstance(part, list):
            yield from [Named(part, i, x) for i, x in enumerate(part)]
        elif isinstance(part, dict):
            yield from [Named(part, key, x) for key, x in part.items()]
        changes = ours or isinstance(part, Tensor | float | bool | list | dict) or callable(part)
        if ours and name in SAYING:
            continue
        if changes and not name.isdecimal() and name != "training" and not name.startswith("_"):
            yield Named(vars(module), name, part)
