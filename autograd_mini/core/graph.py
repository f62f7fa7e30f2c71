"""The graph that a computation leaves behind, and the chain rule that runs back through it.

A Tensor points to its `Node`, a node to the nodes of its operands, and nothing points back, so a
graph is freed when its last Tensor goes.  Nobody can use a value before it exists: creation order
is a topological order, and going backward means "reachable, newest first".

In the words used everywhere here: a **node** is one recorded call, or a leaf.  The **cotangent** of
a node is the derivative of what is differentiated by the node's output.  A **rule** takes the
cotangent of an output to one operand: the contribution of this path, and contributions are added
where paths join.  The **seed** is the cotangent that a backward pass starts with, mostly 1.

How a call goes forward and how the sweep comes back, as a student would write it (what `apply` and
`sweep` do besides is checks, speed, and telling those who listen):

>>> def call(primitive, *operands):
...     y = primitive.kernel(*[operand.data for operand in operands])
...     saved = (*[operand.data for operand in operands], y)
...     parents = [operand.node for operand in operands]
...     return Point(y, Node(primitive, parents, saved, {}, y.shape, y.dtype))
>>> def differentiate(cost):
...     cotangents = {cost.node: np.ones_like(cost.data)}  # the seed
...     for node in newest_first(cost.node):
...         for position, parent in enumerate(node.parents):
...             rule = node.primitive.rules[position]
...             wished = [node.saved[wish] for wish in rule.wishes]
...             contribution = rule.function(cotangents[node], *wished)
...             cotangents[parent] = cotangents.get(parent, 0) + contribution
...     return cotangents

On arrays of one shape, and for rules that ask for operands and outputs alone, that is all of it:

>>> from types import SimpleNamespace
>>> from autograd_mini.core import ops
>>> Point = lambda data, node: SimpleNamespace(data=data, node=node)
>>> x = Point(np.array([1.0, 2.0]), Node(None, (), None, {}, (2,), np.dtype(float)))
>>> differentiate(call(ops.multiply, x, call(ops.tanh, x)))[x.node]  # tanh x + x (1 - tanh^2 x)
array([1.1815685 , 1.10532923])
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = Any  # an ndarray, a Tensor or another library's array: whatever a rule is run on
Wrap = Callable[[Any, "Node | None"], Any]
next_serial = itertools.count().__next__


class Node:
    """One recorded call, or a leaf (``primitive`` is None): a point where cotangents arrive.

    ``parents`` are the nodes of the operands, None for constants.  ``saved`` holds operands and
    output as far as the rules wish for them, ``shape`` and ``dtype`` are the output's.
    """

    # fmt: off
    __slots__ = ("__weakref__", "dtype", "parents", "primitive",
                 "saved", "serial", "shape", "statics", "tensor")
    # fmt: on

    def __init__(
        self, primitive: Any, parents: Any, saved: Any, statics: Any, shape: Any, dtype: Any
    ) -> None:
        self.primitive = primitive
        self.parents = parents
        self.saved = saved
        self.statics = statics
        self.shape = shape
        self.dtype = dtype
        self.serial = next_serial()
        self.tensor: Callable[[], Any] | None = None  # weak: a Tensor that wants its .grad written


# ---- who is listening ---------------------------------------------------------------------------


@dataclass(eq=False, slots=True, weakref_slot=True)
class Listening:
    """What becomes of a call: is it recorded for backward, and who is told of it.

    `autograd_mini.trace.Observer` says what observers are told.
    """

    recording: bool = True
    observers: tuple[Any, ...] = ()
    switch: Any = None  # the newest that is in force, None if it has been taken back,
    before: Any = None  # how it was before that,
    above: Sequence[Any] = ()  # and weak references to what came of it, in all contexts

    def work_out(self) -> None:
        """What the switch makes of the state before, here and in all states above."""
        before, switch = self.before, self.switch
        self.recording, self.observers = before.recording, before.observers
        if switch is not None and switch.recording is not None:
            self.recording = switch.recording
        if switch is not None and switch.observer not in (None, *self.observers):
            self.observers = (*self.observers, switch.observer)
        for state in filter(None, [alive() for alive in self.above]):
            state.work_out()


_listening = ContextVar("listening", default=Listening())  # noqa: B039
listening = _listening.get


class listen(contextlib.ContextDecorator):  # noqa: N801 - used like a function
    """Change who is listening, for a ``with`` block; what is not given stays as it is.

    Each block takes back what it has switched itself, in whatever order and context blocks end:
    those of generators that somebody else closes, of threads, of tasks.
    """

    def __init__(self, recording: bool | None = None, observer: Any = None) -> None:
        self.recording = recording
        self.observer = observer
        self._states: list[Listening] = []  # that this switch has made, and not taken back

    def __enter__(self) -> Any:
        now = in_force(listening())
        state = Listening(True, (), self, now)
        state.work_out()
        if now.before is not None:  # the first of all never changes
            now.above = [*[x for x in now.above if x() is not None], weakref.ref(state)]
        self._states.append(state)
        _listening.set(state)
        return self.observer

    def __exit__(self, *error: object) -> None:
        over = now = listening()
        while over.before is not None and over.switch is not self:
            over = over.before
        # if it is not here, the block was begun in another context, or has ended already
        for mine in [over] if over.switch is self else self._states[-1:]:
            self._states.remove(mine)
            mine.switch = None
            mine.work_out()
        _listening.set(in_force(now))


def in_force(state: Listening) -> Listening:
    """The newest state whose switch has not been taken back."""
    while state.before is not None and state.switch is None:
        state = state.before
    return state


def tell(event: str, *facts: Any) -> None:
    """Tell those who listen of an event, in the order in which they came."""
    for observer in listening().observers:
        getattr(observer, event)(*facts)


def no_grad() -> listen:
    """Compute without recording, in this thread or task.

    Returns
    -------
    context manager
        For use in a ``with`` statement.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad():
    ...     w -= 0.5  # an update, not a part of the model
    >>> w
    Tensor([0.5, 1.5], dtype=float64, requires_grad=True)
    """
    return listen(recording=False)


# ---- writes in place ----------------------------------------------------------------------------


MOST = 100  # so many places of one memory are told apart, of more it counts as written as a whole


class Writes:
    """The account of memory: which elements were written in place, and when.

    A write is booked on the memory, not on the array object that happened to be used: a view is
    soon gone, and what was written through it stays.  It takes a serial number from the same
    counter as the nodes, so "written after it was saved" is one comparison.  An account ends with
    the array that owns the memory; if something else does, nobody knows when that ends.
    """

    def __init__(self) -> None:
        self.newest = -1
        self._accounts: dict[int, Any] = {}  # of owners: the latest write, and that of each place
        self._by_array: dict[int, tuple[Any, Any, Any]] = {}

    def note(self, array: Any) -> None:
        """Remember that an array has just been written."""
        key = id(array)
        if key not in self._by_array:
            alive = weakref.ref(array, lambda _: self._by_array.pop(key, None))
            self._by_array[key] = alive, self._account(array), place_of(array)
        _, account, place = self._by_array[key]
        self.newest = account.serial = account.places[place] = next_serial()

    def _account(self, array: Any) -> Any:
        """The account that a write into an array is booked on."""
        owner = owner_of(array)
        key = id(owner)
        new = SimpleNamespace(serial=-1, places={}, end=None)
        account = self._accounts.setdefault(key, new)
        if len(account.places) > MOST and isinstance(owner, np.ndarray):
            account.places = {place_of(owner): account.serial}
        if account is new and getattr(getattr(owner, "flags", None), "owndata", False):
            account.end = weakref.ref(owner, lambda _: self._accounts.pop(key, None))
        return account

    def since(self, array: Any, serial: int) -> bool:
        """Whether an element of an array was written after a serial number."""
        if not isinstance(array, np.ndarray):
            return id(array) in self._accounts and self._accounts[id(array)].serial > serial
        for account in list(self._accounts.values()):  # other threads write meanwhile
            for place, when in list(account.places.items()) if account.serial > serial else ():
                if when > serial and place and np.shares_memory(elements_at(place), array):
                    return True
        return False

    def check(self, node: Node) -> None:
        """Raise if an array that a node saved has been written since."""
        for saved in node.saved or ():
            if saved is not None and self.since(saved, node.serial):
                raise RuntimeError(
                    f"{node.primitive} saved an array of shape {saved.shape} for its derivative, "
                    f"and it was changed in place since, by an update or w.data = ...: its "
                    f"gradient would be wrong. Run the forward pass again after the update"
                )


def owner_of(array: Any) -> Any:
    """The array that others are views of, or what its memory was taken from."""
    while isinstance(array, np.ndarray | memoryview):
        base = array.base if isinstance(array, np.ndarray) else array.obj
        if base is None:
            break
        array = base
    return array


def place_of(array: Any) -> tuple[Any, ...]:
    """Where the elements of an array lie: address, shape, strides, size; unknown if no ndarray."""
    if not isinstance(array, np.ndarray):
        return ()
    return array.__array_interface__["data"][0], array.shape, array.strides, array.itemsize


def elements_at(place: tuple[Any, ...]) -> Any:
    """An array that looks at a place in memory, to be compared with others, and never read."""
    address, shape, strides, size = place
    facts = {"data": (address, True), "shape": shape, "strides": strides, "typestr": f"|V{size}"}
    return np.asarray(SimpleNamespace(__array_interface__={**facts, "version": 3}))


writes = Writes()


# ---- the chain rule -----------------------------------------------------------------------------

by_serial = attrgetter("serial")


def newest_first(root: Node) -> list[Node]:
    """The root and all nodes that it was computed from, each before its parents."""
    seen, found, stack = {root}, [root], [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                found.append(parent)
                stack.append(parent)
    found.sort(key=by_serial, reverse=True)
    return found


def leading_to(targets: Iterable[Node], order: list[Node]) -> list[Node]:
    """Those nodes of an order that are targets or were computed from one, in the same order."""
    useful: set[Node | None] = set(targets)
    for node in reversed(order):
        if not useful.isdisjoint(node.parents):
            useful.add(node)
    return [node for node in order if node in useful]


def sweep(
    order: list[Node], seed: Array, targets: Iterable[Node], wrap: Wrap | None = None
) -> dict[Node, Array]:
    """Run the chain rule through nodes, newest first, and return the targets' cotangents.

    ``seed`` is the cotangent of the first node.  Rules run on arrays, or on Tensors where ``wrap``
    is given, which makes a Tensor of an array and its node.
    """
    useful, targets = set(order), set(targets)
    observers = listening().observers
    pull = pull_back if wrap is None else pull_back_and_tell
    newest_write = writes.newest
    cotangents, found = dict.fromkeys(order[:1], seed), {}
    for node in order:
        g = cotangents.pop(node)
        for observer in observers:
            observer.delivered(node, g)
        if node in targets:
            found[node] = g
        if node.serial < newest_write and node.saved:
            writes.check(node)
        position = 0
        for parent in node.parents:
            if parent in useful:
                contribution = pull(node, position, g, wrap)
                known = cotangents.get(parent)
                if known is not None:
                    if observers:
                        tell("adding", parent)
                    contribution = known + contribution
                cotangents[parent] = contribution
            position += 1  # noqa: SIM113 - enumerate makes a tuple for each operand
    return found


def pull_back_and_tell(node: Node, position: int, g: Array, wrap: Wrap | None) -> Array:
    """`pull_back`, with word to those who listen of where a rule begins and ends."""
    tell("pulling", node, position)
    contribution = pull_back(node, position, g, wrap)
    tell("pulled", node, position, contribution)
    return contribution


def pull_back(node: Node, position: int, g: Array, wrap: Wrap | None) -> Array:
    """The contribution of a node to the cotangent of an operand, in its shape and dtype."""
    primitive: Any = node.primitive
    rules = primitive.rules
    function, wishes, fetch = rules[position if position < len(rules) else -1]
    if not wishes and wrap is None:
        cotangent = function(g)
    elif fetch is not None and wrap is None:
        values = fetch(node.saved)
        cotangent = function(g, values) if len(wishes) == 1 else function(g, *values)
    else:
        cotangent = function(g, *[look_up(node, position, wish, wrap) for wish in wishes])
    like: Any = node.parents[position]
    if cotangent.shape != like.shape:
        if primitive.kind == "elementwise" and cotangent.ndim >= len(like.shape):
            cotangent = unbroadcast(cotangent, like.shape)
        if cotangent.shape != like.shape:
            raise ValueError(
                f"{primitive.name}: the rule for operand {position} gave a cotangent of shape "
                f"{cotangent.shape}, but the operand has {like.shape}"
            )
    if cotangent.dtype is not like.dtype and cotangent.dtype != like.dtype:
        if cotangent.dtype.kind == "c":
            raise TypeError(f"{primitive}: gradients flow through real numbers, not complex ones")
        cotangent = cotangent.astype(like.dtype)
    return cotangent


def look_up(node: Node, position: int, wish: Any, wrap: Wrap | None) -> Any:
    """The value of one word in a rule's parameter list."""
    primitive: Any = node.primitive
    first_of_many = len(primitive.operands) - 1
    if isinstance(wish, int) and wrap is None:
        return node.saved[wish]
    if wish == "like":
        return node.parents[position]
    if wish == "i":
        return position - first_of_many
    if wish in node.statics:
        return node.statics[wish]
    saved: Any = node.saved or ()
    if wrap is not None:
        owners = (*node.parents, node)
        saved = [wrap(x, o) if hasattr(x, "dtype") else x for x, o in zip(saved, owners)]  # noqa: B905
    return saved[wish] if isinstance(wish, int) else tuple(saved[first_of_many:-1])


def unbroadcast(g: Array, shape: Sequence[int]) -> Array:
    """Sum over the axes along which an operand of this shape was broadcast."""
    added = g.ndim - len(shape)
    if added:
        g = np.add.reduce(g, axis=tuple(range(added)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    if stretched:
        g = np.add.reduce(g, axis=stretched, keepdims=True)
    return g
