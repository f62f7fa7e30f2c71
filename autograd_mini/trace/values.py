"""What a record consists of: arrays, calls, shares of gradients, and where they are from."""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from ..core.primitive import Primitive
from .parcel import Linked

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - pathlib is slow to import
NUMPY = os.path.dirname(np.__file__) + os.sep  # noqa: PTH120


class Source(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    @property
    def text(self) -> str:
        """What stands there."""
        import linecache

        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"  # noqa: PTH119


class Span(NamedTuple):
    """The lines and columns of an instruction, as far as Python knows them."""

    file: str
    first: int | None
    last: int | None
    start: int | None
    end: int | None

    @property
    def span(self) -> Span:
        """The same: it has been found out."""
        return self


class Place(NamedTuple):
    """An instruction of the user's program, which Python knows the very columns of."""

    code: CodeType
    offset: int

    @property
    def span(self) -> Span:
        """Where it stands."""
        code, offset = self
        found = next(itertools.islice(code.co_positions(), offset // 2, None), (None,) * 4)
        return Span(code.co_filename, *found)

    def __reduce__(self) -> Any:
        return Span, (*self.span,)  # another process may not have the code


def called_from() -> tuple[Source | None, Place | None]:
    """The line of the user's program that led here, and its instruction.

    This looks at frames, for nothing but that: a line is what a reader wants to see beside a call.
    The rule of an op that the user has declared is the user's line, too.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith((PACKAGE, NUMPY, functools.__file__)):
        frame = frame.f_back
    if frame is None:
        return None, None
    code = frame.f_code
    return Source(code.co_filename, frame.f_lineno), Place(code, frame.f_lasti)


class Scope(Linked):
    """One call of a module: the calls that happen in it belong together.

    Attributes
    ----------
    module : object
        What was called.
    kind : str
        Its class.
    path : str
        Its name in the outermost module, ``"layers.0"``; empty for the outermost.
    name : str
        Its name in the module around it; of the outermost the variable's, or else the class.
    parent : Scope or None
        The call of the module around it.
    """

    def __init__(self, module: Any, path: str, parent: Scope | None) -> None:
        self.module = module
        self.kind = type(module).__name__
        self.path = path
        self.parent = parent
        inner = path.removeprefix(f"{parent.path}.") if parent and parent.path else path
        self.name = inner or self.kind

    def __repr__(self) -> str:
        return f"<call of {self.kind} {self.path or self.name}>"


class Failure(NamedTuple):
    """The call that a run ended with: what could not be computed, and why."""

    op: str
    operands: list[Value]
    message: str
    source: Source | None
    scopes: tuple[Scope, ...] = ()


class Derived(NamedTuple):
    """How an array was made of one that has a name, without Tensors: ``1 - Y``."""

    function: Callable[[Any], Any]
    source: Value


class Value(Linked):
    """An array that occurs in a run.

    Attributes
    ----------
    array : ndarray
        What it held when it was used first.
    name : str or None
        The user's name for it.
    target : str or None
        The variable that its statement assigns to, perhaps of a function that has ended.
    kind : {"parameter", "input", "result"}
        A leaf that wants a gradient, another array from outside, or the result of a call.
    call : Call or None
        The call that made it.
    gradient : Value or None
        The gradient of the differentiated quantity by this value; None if it was not computed.
    shares : list of Pull
        What the gradient is the sum of; empty where it was not computed, or is what the backward
        pass began with.
    additions : list of Call
        The calls that added the shares up, in order.
    derived : Derived or None
        Of an array from outside without a name: the one with a name that it was made of, if it is
        ``1 - Y``, ``-Y`` or ``Y.T``.
    kept : bool
        False if a run made from a graph could not find out what the array held: it may differ.
    changed : bool
        Whether that is so because the array was written since, by an update.
    """

    def __init__(
        self, live: Any, kind: str, call: Call | None, name: str | None, written: bool = False
    ) -> None:
        self.live = live  # the array itself, by whose identity the value is found
        fresh = call is not None and live.base is None and not written
        self.array = live if fresh else live.copy()  # what others hold may be overwritten later
        self.kind = kind
        self.call = call
        self.name = name
        self.target: str | None = None
        self.gradient: Value | None = None
        self.shares: list[Pull] = []
        self.additions: list[Call] = []
        self.derived: Derived | None = None
        self.kept = True
        self.changed = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.array.dtype  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name or ''}{' ' if self.name else ''}{self.shape} {self.dtype}>"


class Call(Linked):
    """One call of a primitive in a run.

    Attributes
    ----------
    primitive : Primitive
        What was called.
    operands : tuple
        `Value` for arrays; numbers as they are.
    statics : dict
        The keyword arguments.
    output : Value
        What came out.
    phase : {"forward", "backward"}
        Whether it belongs to the computation or to its derivative.
    pull : Pull or None
        In a rule: the share of a gradient that this call helps to compute.
    source : Source or None
        The line of the user's program; for a rule, that of the forward call.
    place : Place, Span or None
        In a forward call: the instruction on that line.
    scopes : tuple of Scope
        The calls of modules in which it happened, the outermost first; for a rule, those of the
        forward call.
    """

    def __init__(
        self,
        primitive: Primitive,
        operands: tuple[Any, ...],
        statics: Mapping[str, Any],
        phase: str,
        pull: Pull | None,
        source: Source | None,
    ) -> None:
        self.primitive = primitive
        self.operands = operands
        self.statics = {name: statics[name] for name in primitive.statics if name in statics}
        self.phase = phase
        self.pull = pull
        self.source = source
        self.place: Place | Span | None = None
        self.scopes: tuple[Scope, ...] = ()
        self.output: Value

    @property
    def arrays(self) -> list[Value]:
        """The operands that are arrays."""
        return [x for x in self.operands if isinstance(x, Value)]

    def run(self, *arrays: Any) -> Any:
        """What the call gives on other operands."""
        return np.asarray(self.primitive.kernel(*arrays, **self.statics))

    def __repr__(self) -> str:
        return f"<{self.phase} call of {self.primitive.name} -> {self.output!r}>"


class Pull(Linked):
    """One share of a gradient: what a rule made of the gradient of a call's output.

    Attributes
    ----------
    call : Call
        The forward call whose derivative this is.
    position : int
        The operand by which.
    calls : list of Call
        The rule, as it was run; empty where it hands the gradient on as it is.
    result : Value
        The share of the operand's gradient; the gradient is the sum of its shares.
    """

    def __init__(self, call: Call, position: int) -> None:
        self.call = call
        self.position = position
        self.calls: list[Call] = []
        self.result: Value

    @property
    def operand(self) -> Value:
        """The value whose gradient this is a share of."""
        operand: Value = self.call.operands[self.position]
        return operand

    def __repr__(self) -> str:
        return f"<share of {self.operand!r} through {self.call.primitive.name}>"
