"""Runs as parcels: a thing with all that it is linked to, as one flat list.

A run is a web of arrays, calls and gradients.  pickle and `copy.deepcopy` would follow it from one
to the next, as deep as the run is long; so they are given a list, in which numbers stand for what
is linked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np

from ..core.graph import Node, next_serial, writes
from ..core.tensor import Tensor

WEB = ("trace", "symbols", "check", "explain", "draw")  # whose objects are linked to others


ATOMS = {type(None), bool, int, float, str}


class Link(NamedTuple):
    """The place in the list of what stands here."""

    number: int


class Recorded(NamedTuple):
    """What is saved of a node: what makes it, its age, which of its arrays were written since."""

    made_of: tuple[Any, ...]
    serial: int
    written: tuple[bool, ...]


class Linked:
    """What is linked to others: it travels with all of them, however long the chain is."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        return unpacked, (packed(self),)

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin


def is_linked(thing: Any) -> bool:
    """Whether a thing gets a place in the list; the others are left to pickle.

    Runs go by the identity of arrays, which joblib does not keep, and of what they have computed.
    """
    kind: Any = type(thing)
    if kind in (Node, np.ndarray) or is_computed(thing):
        return True
    package, _, module = kind.__module__.partition(".")
    ours = package == __package__.partition(".")[0] and module.partition(".")[0] in WEB
    plain = kind.__reduce__ in (object.__reduce__, Linked.__reduce__)
    return ours and plain and not isinstance(thing, tuple)


def is_computed(thing: Any) -> bool:
    """Whether a thing is a Tensor with a history, and so not a leaf."""
    return (
        isinstance(thing, Tensor) and thing._node is not None and thing._node.primitive is not None
    )


class Rebuilding:
    """Makes containers again with other parts; what occurs twice becomes one thing."""

    def __init__(self, instead: Callable[[Any], Any]) -> None:
        self._instead = instead  # what stands for a thing that is no container
        self._known: dict[int, tuple[Any, Any]] = {}

    def __call__(self, thing: Any) -> Any:
        """The thing, made again."""
        if thing.__class__ in ATOMS:
            return thing
        if id(thing) not in self._known:
            self._known[id(thing)] = thing, self._made(thing)
        return self._known[id(thing)][1]

    def _made(self, thing: Any) -> Any:
        kind: Any = type(thing)
        if kind is dict:
            return {self(key): self(part) for key, part in thing.items()}
        if kind in (list, tuple, set, frozenset):
            return kind([self(part) for part in thing])
        if isinstance(thing, tuple) and kind is not Link and kind.__reduce__ is object.__reduce__:
            return tuple.__new__(kind, [self(part) for part in thing])
        return self._instead(thing)


def packed(root: Any) -> list[tuple[Any, ...]]:
    """A thing and all that it is linked to: of each the class, what makes it, and its state.

    Of an array there is only itself.
    """
    things: list[Any] = []

    def instead(thing: Any) -> Any:
        if is_linked(thing):
            things.append(thing)
            return Link(len(things) - 1)
        return thing

    put = Rebuilding(instead)
    put(root)  # and then what comes behind it
    return [
        (x,) if type(x) is np.ndarray else (type(x), new_arguments(x), put(state_of(x)))
        for x in things
    ]


def new_arguments(thing: Any) -> tuple[Any, ...]:
    """What ``__new__`` of its class needs to make a thing."""
    return thing.__getnewargs__() if hasattr(thing, "__getnewargs__") else ()


def state_of(thing: Any) -> Any:
    """What is to be saved of a thing."""
    if is_computed(thing):  # its history is that of the run
        array = thing._read("copy")
        grad = thing._grad
        return None, {"_array": array, "_node": None, "_grad": grad, "name": thing.name}
    if type(thing) is not Node:
        return thing.__getstate__()
    made_of = thing.primitive, thing.parents, thing.saved, thing.statics, thing.shape, thing.dtype
    stale = writes.newest > thing.serial
    written = [stale and writes.since(x, thing.serial) for x in thing.saved or ()]
    return Recorded(made_of, thing.serial, tuple(written))


def unpacked(parcel: list[tuple[Any, ...]]) -> Any:
    """The first thing of a list, linked again."""
    things = [
        x[0].__new__(x[0], *x[1]) if len(x) > 1 else x[0] if x[0].base is None else x[0].copy("K")
        for x in parcel  # arrays get memory of their own
    ]
    part = Rebuilding(lambda x: things[x.number] if type(x) is Link else x)
    nodes: list[tuple[Node, Recorded]] = []
    last = []  # those that work something out
    for thing, (_, *made) in zip(things, parcel, strict=True):
        state = part(made[-1]) if made else None
        if isinstance(state, Recorded):
            nodes.append((thing, state))
        elif made and hasattr(thing, "__setstate__"):
            last.append((thing, state))
        else:
            attributes, slots = state if isinstance(state, tuple) else (state, None)
            for name, value in {**(attributes or {}), **(slots or {})}.items():
                setattr(thing, name, value)
    restore(nodes)
    for thing, state in last:
        thing.__setstate__(state)
    return things[0]


def restore(nodes: list[tuple[Node, Recorded]]) -> None:
    """Make nodes of what was saved of them, in their order, and book what was written between."""
    written: dict[int, Any] = {}  # arrays that have changed since a node saved them
    for node, saved in sorted(nodes, key=lambda pair: pair[1].serial):
        Node.__init__(node, *saved.made_of)
        for x, changed in zip(node.saved or (), saved.written, strict=True):
            if changed:
                written[id(x)] = x
            elif id(x) in written:
                writes.note(written.pop(id(x)))
        node.serial = next_serial()
    for x in written.values():
        writes.note(x)
