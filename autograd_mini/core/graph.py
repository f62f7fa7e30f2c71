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
from threading import RLock
from typing import Any

import numpy as np

from ..memory import Writes, warn_of_kept_graph

Array = Any  # an ndarray, a Tensor or another library's array: whatever a rule is run on
Wrap = Callable[[Any, "Node | None"], Any]
next_serial = itertools.count().__next__


def gone_backward() -> None:
    """Stands in a node for the Tensor, if that has gone backward: its graph could be freed."""


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
        if not shape or shape[0] == 1:
            for parent in parents:
                if parent is not None and parent.tensor is gone_backward:
                    warn_of_kept_graph()
                    parent.tensor = None


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
    above: Any = None  # and the set of what came of it, in all contexts

    def work_out(self) -> None:
        """What the switch makes of the state before, here and in all states above."""
        stack = [self]
        while stack:
            state = stack.pop()
            before, switch = state.before, state.switch
            recording, observers = before.recording, before.observers
            if switch is not None and switch.recording is not None:
                recording = switch.recording
            if switch is not None and switch.observer not in (None, *observers):
                observers = (*observers, switch.observer)
            state.recording, state.observers = recording, observers
            stack += state.above or ()

    def add_above(self, states: Iterable[Listening]) -> None:
        """Let this be what is before some states; the first of all never changes."""
        for state in states:
            state.before = self
        if self.before is not None:
            with changing:
                self.above = self.above or weakref.WeakSet()
                self.above.update(states)


#: Of who is above whom: threads can share a state, and a collected generator may end its block.
changing = RLock()
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
        now.add_above([state])
        state.work_out()
        self._states.append(state)
        _listening.set(state)
        return self.observer

    def __exit__(self, *error: object) -> None:
        over = now = listening()
        while over.before is not None and over.switch is not self:
            over = over.before
        if over.switch is not self and len(self._states) > 1:
            raise RuntimeError(
                "this block was begun in another thread or task, and its switch is in use there "
                "more than once, so that nobody knows which use ends: make one for each block"
            )
        # if it is not here, the block was begun in another context, or has ended already
        for mine in [over] if over.switch is self else self._states[-1:]:
            self._states.remove(mine)
            mine.switch = None
            mine.work_out()
            mine.before.add_above([*(mine.above or ())])
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


writes = Writes(next_serial)
#: Variables of functions that `functional` is just evaluating to differentiate them.
in_progress: set[Node] = set()


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
    reduce: Any = np.add.reduce if isinstance(g, np.ndarray) else np.sum
    added = g.ndim - len(shape)
    if added:
        g = reduce(g, axis=tuple(range(added)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    if stretched:
        g = reduce(g, axis=stretched, keepdims=True)
    return g
