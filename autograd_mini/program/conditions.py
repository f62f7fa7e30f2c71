"""What a program takes for granted: it is replayed only while all of it is still so.

A program holds the parameters, modules and numbers that the function used when it was captured.
So it is looked at, before each replay, whether the names that the function uses still stand for
the same things, modules still have the same parts, and parameters are still trained or frozen.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import Tensor, ndarray
from .capture import PACKAGE, Capture, array_of
from .link import executed

PLAIN = (int, float, complex, str, bytes, bool, type(None), ModuleType, np.dtype)
LENGTH = object()
MOST = 100  # entries of a container that are looked at before each replay


class Named(NamedTuple):
    """A name of the user's program: where it stands, and for what."""

    holder: Any  # a cell, a dict or a list
    key: Any  # None of a cell, LENGTH of a list or a dict for the number of its entries
    thing: Any

    @property
    def now(self) -> Any:
        """What it stands for now."""
        if isinstance(self.holder, CellType):
            return self.holder.cell_contents
        if self.key is LENGTH:
            return len(self.holder)
        try:
            return self.holder[self.key]
        except LookupError:
            return LENGTH  # which is nothing that a name stands for


def is_ours(thing: Any) -> bool:
    """Whether something is of this package or of NumPy, which hold nothing of the user's.

    Nor do modules and functions of Python; but objects of its classes, such as a namespace, may.
    """
    module = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    package = (module or "numpy").partition(".")[0]
    return package in (PACKAGE, "numpy") or (
        package in sys.stdlib_module_names
        and package != "__main__"
        and isinstance(thing, ModuleType | FunctionType)
    )


def names_in(code: Any) -> set[str]:
    """The names in a function, and in the functions inside of it."""
    names = {*code.co_names}
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= names_in(constant)
    return names


class Search:
    """Finds the names that a function uses, and with them all that it reaches by them.

    These are global names, free variables and defaults, of the function and of those that it calls,
    the attributes of objects that stand in the code by their names, and the entries of lists and
    dicts.  The objects of this package are not searched: modules are when they are run.
    """

    def __init__(self) -> None:
        self.found: list[Named] = []
        self._seen: set[tuple[int, ...]] = set()

    def function(self, function: Any) -> None:
        """Search what can be called."""
        if isinstance(function, partial):
            self.function(function.func)
            self.thing((function.args, function.keywords), set())
            return
        if isinstance(function, MethodType):
            self._attributes(function.__self__, names_in(function.__func__.__code__))
            function = function.__func__
        function = getattr(function, "__wrapped__", function)
        if not isinstance(function, FunctionType):
            self.thing(function, {"__call__"})
        elif not is_ours(function) and self._is_new(function):
            names, space = names_in(function.__code__), function.__globals__
            for name in sorted(names & {*space}):
                self._named(Named(space, name, space[name]), names)
            for cell in function.__closure__ or ():
                try:
                    self._named(Named(cell, None, cell.cell_contents), names)
                except ValueError:  # a variable that has no value yet
                    continue
            self.thing((function.__defaults__, function.__kwdefaults__), names)

    def thing(self, thing: Any, names: set[str]) -> None:
        """Search what a name stands for."""
        if isinstance(thing, FunctionType | MethodType | partial):
            self.function(thing)
        elif isinstance(thing, tuple | list | dict):
            self._entries(thing, names)
        elif hasattr(thing, "__dict__") and not isinstance(thing, Tensor):
            self._attributes(thing, names)

    def _is_new(self, *things: Any) -> bool:
        key = tuple(map(id, things))
        known = key in self._seen
        self._seen.add(key)
        return not known

    def _named(self, named: Named, names: set[str]) -> None:
        if not isinstance(named.thing, ModuleType):
            self.found.append(named)
        self.thing(named.thing, names)

    def _entries(self, thing: Any, names: set[str]) -> None:
        """The entries of a container, if they are not very many."""
        if len(thing) > MOST or not self._is_new(thing):
            return
        if isinstance(thing, tuple):
            for part in thing:
                self.thing(part, names)
            return
        self.found.append(Named(thing, LENGTH, len(thing)))
        for key, part in thing.items() if isinstance(thing, dict) else enumerate(thing):
            self._named(Named(thing, key, part), names)

    def _attributes(self, thing: Any, names: set[str]) -> None:
        """The attributes of an object, of its class or of a module that are named in the code."""
        kind = thing if isinstance(thing, ModuleType | type) else type(thing)
        if is_ours(kind):
            return
        owners = [thing] if hasattr(thing, "__dict__") else []
        if isinstance(kind, type):
            owners += [base for base in kind.__mro__ if base is not thing and not is_ours(base)]
        methods = []
        for owner in owners:
            space = vars(owner)
            for name in sorted((names | {"__call__"}) & {*space}):
                if self._is_new(thing, owner, space[name]):
                    self._named(Named(space, name, space[name]), names)
                    methods.append(method_of(space[name]))
        for method in methods:  # which may use other attributes
            if isinstance(method, FunctionType):
                self.function(method)
                self._attributes(thing, names_in(method.__code__))


def method_of(thing: Any) -> Any:
    """The function of a property, a class method or a static method; anything else as it is."""
    return getattr(thing, "fget", None) or getattr(thing, "__func__", None) or thing


def names_used(function: Any) -> list[Named]:
    """What `Search` finds."""
    search = Search()
    search.function(function)
    return search.found


def reachable(roots: Iterable[Any]) -> Iterator[Any]:
    """All Tensors and arrays that can be reached from some things."""
    seen: dict[int, Any] = {}
    stack = list(roots)
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(thing, PLAIN):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, Tensor | ndarray):
            yield thing
            stack.append(getattr(thing, "grad", None))
        elif isinstance(thing, dict):
            stack += thing.values()
        elif isinstance(thing, list | tuple | set | frozenset | deque):
            stack += thing
        elif isinstance(thing, partial):
            stack += (thing.func, thing.args, thing.keywords)
        elif isinstance(thing, FunctionType | MethodType):
            stack += [named.thing for named in names_used(thing)]
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
GONE = "except (LookupError, ValueError)"


def conditions_of(capture: Capture, named: Iterable[Named], added_to: Iterable[Tensor]) -> Code:
    """What a replay takes for granted of all that is not an argument."""
    found = Code()
    added = {id(tensor) for tensor in added_to}
    for tensor, before in capture.gradients.values():
        if capture.find(array_of(tensor)) is None:
            continue
        found.require("{}._node is {}", tensor, tensor._node)
        if id(tensor) in added:
            found.require("{}.grad is not None", tensor)
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
        else:
            found.require("{}[{}] is {}", holder, key, thing)
    return found


def parts_of_module(module: Any) -> Iterator[Named]:
    """The Tensors, layers and settings of a module; layers of a Sequential cannot change."""
    for name, part in vars(module).items():
        if isinstance(part, list):
            yield from [Named(part, i, x) for i, x in enumerate(part)]
        elif isinstance(part, dict):
            yield from [Named(part, key, x) for key, x in part.items()]
        changes = isinstance(part, Tensor | float | bool | list | dict) or callable(part)
        if changes and not name.isdecimal() and name != "training" and not name.startswith("_"):
            yield Named(vars(module), name, part)
