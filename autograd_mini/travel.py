"""How things that stand for a variable of a module go to another process: by its name there."""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable, Iterable
from typing import Any, Self

MAIN = "__main__"  # what a program is called that was started, and a notebook


def variable_of(thing: Any, homes: Iterable[str | None]) -> tuple[str, str] | None:
    """The module and the variable that hold a thing, sought in its homes first; None without."""
    others = [name for name in list(sys.modules) if name != MAIN]
    for module in (*homes, *others, MAIN):
        known = getattr(sys.modules.get(module or ""), "__dict__", {})
        for name, found in list(known.items()):
            if found is thing and module:
                return module, name
    return None


def held_by(thing: Any, name: str, parts: Any) -> Callable[[], Any]:
    """A function that gives the parts of a variable of the program that was started.

    pickle finds such a function by its name, as an attribute of the variable: a process that runs
    the same program has it, too.  cloudpickle sends functions of a program with all that is in
    them, and so the parts: to a process that does not run it.
    """

    def held() -> Any:
        return parts

    held.__module__, held.__qualname__ = MAIN, f"{name}.held"
    thing.held = held
    return held


def decorated(thing: Any, protocol: Any, make: Callable[..., Any], *parts: Any) -> Any:
    """What pickle is told of a function that was made of another: its name, or how to make it.

    The name is that of the other function, if this one has taken its place as a decorator does.
    """
    found, name = sys.modules.get(thing.__module__), getattr(thing, "__qualname__", "")
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not thing:
        return make, parts
    if thing.__module__ != MAIN or protocol < 4:
        return name
    return remade, (held_by(thing, name, (make, *parts)),)


def remade(held: Callable[[], Any]) -> Any:
    """The same once more."""
    make, *parts = held()
    return make(*parts)


class Named:
    """An op as it travels: it is found by the name of a variable, and copies of it are itself."""

    kernel: Any
    rules: Any

    def __reduce_ex__(self, protocol: Any) -> Any:
        functions = [*[rule.function for rule in self.rules or () if rule], self.kernel]
        found = variable_of(self, [getattr(x, "__module__", None) for x in functions])
        if found is None:
            raise TypeError(
                f"{self!r} cannot go to another process, which would have to find it by its name: "
                f"assign it to a variable at the top level of a module that can be imported"
            )
        self.__module__, name = found
        if self.__module__ != MAIN or protocol < 4:
            return name
        parts = {key: part for key, part in vars(self).items() if key != "held"}
        return copyreg.__newobj__, (type(self),), held_by(self, name, parts)  # type: ignore[attr-defined]

    def __setstate__(self, held: Callable[[], dict[str, Any]]) -> None:
        vars(self).update(held())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self
