"""The graph that a computation leaves behind, and the chain rule that runs back through it.

A Tensor points to its `Node`, a node to the nodes of its operands, and nothing points back, so a
graph is freed when its last Tensor goes.  Nobody can use a value before it exists: creation order
is a topological order, and going backward means "reachable, newest first".
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar, Token
from operator import attrgetter
from typing import Any, NamedTuple

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


class Listening(NamedTuple):
    """What becomes of a call: is it recorded for backward, and who is told of it.

    `autograd_mini.trace.Observer` says what observers are told.
    """

    recording: bool
    observers: tuple[Any, ...]


_listening = ContextVar("listening", default=Listening(True, ()))  # noqa: B039
listening = _listening.get


class listen:  # noqa: N801 - used like a function: `with listen(...)`
    """Change who is listening, for a ``with`` block; what is not given stays as it is."""

    def __init__(self, recording: bool | None = None, observer: Any = None) -> None:
        self._recording = recording
        self._observer = observer
        self._tokens: list[Token[Listening]] = []

    def __enter__(self) -> Any:
        now = listening()
        recording = now.recording if self._recording is None else self._recording
        observers = now.observers + (() if self._observer is None else (self._observer,))
        self._tokens.append(_listening.set(Listening(recording, observers)))
        return self._observer

    def __exit__(self, *error: object) -> None:
        _listening.reset(self._tokens.pop())


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


class Writes:
    """Which arrays were written in place, and when: backward must not use what they held before.

    A write takes a serial number from the same counter as the nodes, so "written after it was
    saved" is one comparison.
    """

    def __init__(self) -> None:
        self.newest = -1
        self._log: dict[int, tuple[weakref.ref[Any], int]] = {}

    def note(self, array: Any) -> None:
        """Remember that an array has just been written."""
        self.newest = next_serial()
        key = id(array)
        known = self._log.get(key)
        reference = known[0] if known else weakref.ref(array, lambda _: self._log.pop(key, None))
        self._log[key] = (reference, self.newest)

    def check(self, node: Node) -> None:
        """Raise if an array that a node saved has been written since."""
        log = list(self._log.values())  # other threads write meanwhile
        written = [reference() for reference, serial in log if serial > node.serial]
        for saved in node.saved or ():
            if saved is not None and any(saved is x or overlap(saved, x) for x in written):
                raise RuntimeError(
                    f"{node.primitive} saved an array of shape {saved.shape} for its derivative, "
                    f"and it was changed in place since, by an update or w.data = ...: its "
                    f"gradient would be wrong. Run the forward pass again after the update"
                )


def overlap(a: Any, b: Any) -> bool:
    """Whether two arrays have an element in common."""
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.shares_memory(a, b)


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
                cotangent = pull_back(node, position, g, wrap)
                known = cotangents.get(parent)
                cotangents[parent] = cotangent if known is None else known + cotangent
            position += 1  # noqa: SIM113 - enumerate makes a tuple for each operand
    return found


def pull_back(node: Node, position: int, g: Array, wrap: Wrap | None) -> Array:
    """The share of one operand in the cotangent ``g`` of a node, in its shape and dtype."""
    primitive: Any = node.primitive
    rules = primitive.rules
    function, wishes, fetch = rules[position if position < len(rules) else -1]
    if not wishes and wrap is None:
        cotangent = function(g)
    elif fetch is not None and wrap is None:
        values = fetch(node.saved)
        cotangent = function(g, values) if len(wishes) == 1 else function(g, *values)
    else:
        for observer in listening().observers:
            observer.pulling(node, position)
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
