"""Trace: one run as an ordered list of calls, on which pictures and reports stand.

Inside ``with trace() as run:`` every call of a primitive is written down: what went in, what came
out, which line of the program asked for it, and whether it happened on the way forward or as a part
of a derivative on the way backward.  Everything that shows a computation is a function of such a
record.  `debug` listens in the same way, and complains.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from .core import graph, ops
from .core.graph import Node, leading_to, listen, newest_first
from .core.primitive import Primitive
from .core.tensor import Tensor, backpropagate, cotangent_of, described, history, unwrapped, wrap

PACKAGE = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is slow to import


class Observer(Protocol):
    """What those who listen to the engine are told, in the order in which it happens."""

    def heard(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any, y: Any) -> None:
        """A primitive was called and gave the Tensor ``y``."""

    def pulling(self, node: Node, position: int) -> None:
        """A rule of ``node`` is about to be run: the calls that follow are its text."""

    def delivered(self, node: Node, cotangent: Any) -> None:
        """The cotangent of ``node``'s output is complete."""

    def writing(self, tensor: Any) -> None:
        """The array of ``tensor`` is about to be overwritten."""

    def entering(self, module: Any, parts: Iterable[tuple[str, Any]]) -> None:
        """A module is about to be run; it and all in it that has a name are its ``parts``."""

    def leaving(self) -> None:
        """It has been run."""


GOING_BACKWARD = {backpropagate.__code__, Tensor.backward.__code__}


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


def called_from() -> tuple[Source | None, set[Any]]:
    """The user's line that led here, and all functions of the engine that are at work.

    The rule of an op that the user has declared is the user's line, too, with the engine around it.
    """
    passed: set[Any] = set()
    source: Source | None = None
    frame: FrameType | None = sys._getframe(1)
    while frame:
        code = frame.f_code
        if code.co_filename.startswith((PACKAGE, np.__path__[0])):
            passed.add(code)
        elif source is None:
            source = Source(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return source, passed


class Scope:
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


class Derived(NamedTuple):
    """How an array was made of one that has a name, without Tensors: ``1 - Y``."""

    function: Callable[[Any], Any]
    source: Value


class Value:
    """An array that occurs in a run.

    Attributes
    ----------
    array : ndarray
        What it held when it was used first.
    name : str or None
        The user's name for it.
    kind : {"parameter", "input", "result"}
        A leaf that wants a gradient, another array from outside, or the result of a call.
    call : Call or None
        The call that made it.
    gradient : Value or None
        The gradient of the differentiated quantity by this value; None if it was not computed.
    shares : list of Pull
        What the gradient is the sum of; empty where it was not computed, or is what the backward
        pass began with.
    derived : Derived or None
        Of an array from outside without a name: the one with a name that it was made of, if it is
        ``1 - Y``, ``-Y`` or ``Y.T``.
    kept : bool
        False if a run made from a graph could not find out what the array held: it may differ.
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
        self.gradient: Value | None = None
        self.shares: list[Pull] = []
        self.derived: Derived | None = None
        self.kept = True

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


class Call:
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
        self.scopes: tuple[Scope, ...] = ()
        self.output: Value

    def run(self, *arrays: Any) -> Any:
        """What the call gives on other operands."""
        return np.asarray(self.primitive.kernel(*arrays, **self.statics))

    def __repr__(self) -> str:
        return f"<{self.phase} call of {self.primitive.name} -> {self.output!r}>"


class Pull:
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


class Trace:
    """The record of a run; made by `trace`.

    Attributes
    ----------
    calls : list of Call
        In the order in which they happened.
    values : list of Value
        All arrays that occur, in order of first use.
    pulls : list of Pull
        The shares of the gradients, in the order in which they were computed.
    numbers : dict of str to number
        The numbers among the variables given to `name`.
    result : object
        What the function returned, if `trace` was given one.
    failure : Failure or None
        The call that raised inside the ``with`` statement.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.pulls: list[Pull] = []
        self.numbers: dict[str, int | float] = {}
        self.result: Any = None
        self.failure: Failure | None = None
        self._seeds: list[Value] = []
        self._scopes: tuple[Scope, ...] = ()
        self._modules: dict[int, list[Scope]] = {}  # calls of outermost ones
        self._paths: dict[int, str] = {}
        self._names: dict[int, str] = {}  # of the modules' arrays
        self._provisional: set[Value] = set()  # those that have a name from there
        self._by_array: dict[int, Value] = {}
        self._by_node: dict[Node, Value] = {}
        self._pulling: Pull | None = None
        self._shares: dict[Node, list[Pull | None]] = {}
        self._overwritten: Value | None = None
        self._listen = listen(observer=self)

    @classmethod
    def of_graph(
        cls, y: Tensor, names: Mapping[str, Any] | None = None, *, gradients: bool = False
    ) -> Trace:
        """The run that computed a tensor, made afterwards from the graph that it left behind.

        A graph keeps what the rules ask for, and the Tensors in ``names`` have their arrays.  Other
        results are computed again, and an operand that no rule asks for is inferred from the
        result.  Where that is unknown too, the operand is taken as zero: it enters as an added
        constant, and no derivative depends on it.  Values that depend on such a zero have ``kept``
        False.

        Parameters
        ----------
        y : Tensor
            With a history.
        names : mapping of str to object, optional
            Variables, such as ``locals()``: for the names of values, as in `name`.
        gradients : bool
            Whether values shall have the gradients that ``.grad`` of their Tensors holds.

        Returns
        -------
        Trace
            Of forward calls, without lines of the program.  In a ``with`` statement it goes on
            recording: a backward pass from ``y`` is recorded as the derivative of these calls.

        Raises
        ------
        RuntimeError
            If nothing was recorded, or the values of a leaf are gone.

        Examples
        --------
        >>> import autograd_mini as ag
        >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
        >>> loss = (w - 1.0) ** 2
        >>> with ag.Trace.of_graph(loss) as run:
        ...     loss.backward()
        >>> [call.primitive.name for call in run.forward], float(run[w].gradient.array)
        (['subtract', 'square'], 4.0)
        """
        run = cls()
        order = newest_first(history(y))[::-1]
        kept = kept_arrays(order)
        for tensor in (y, *(names or {}).values()):
            if isinstance(tensor, Tensor) and tensor._node is not None:
                kept.setdefault(tensor._node, tensor.data)
        for node in order:
            run._restore(node, kept.get(node))
            tensor = node.tensor and node.tensor()
            if gradients and tensor is not None and tensor.grad is not None:
                run._by_node[node].gradient = Value(tensor.grad.data, "result", None, None)
        return run.name(names or {})

    def differentiate(self, y: Tensor | Value, by: Iterable[Value]) -> None:
        """Go backward from a number of this run, touching no ``.grad``, and record it.

        Parameters
        ----------
        y : Tensor or Value
            One number.
        by : iterable of Value
            The values whose gradients shall be computed, with all on the way to them.

        Raises
        ------
        RuntimeError
            If nothing was recorded, or an array that is needed has been changed in place since.
        """
        wanted = {*by}
        targets = [node for node, value in self._by_node.items() if value in wanted]
        if isinstance(y, Value):
            y = wrap(y.live, next((node for node, v in self._by_node.items() if v is y), None))
        order = leading_to(targets, newest_first(history(y)))
        with self._listen:
            backpropagate(order, targets, cotangent_of(y, None), False)

    @property
    def cost(self) -> Value | None:
        """What was differentiated last; None if the run has not gone backward."""
        return self._seeds[-1] if self._seeds else None

    def differentiated(self, wrt: Iterable[Any] | None = None) -> tuple[Value, list[Value]]:
        """The cost of the run, and the values by which its gradients are wanted.

        A run that has not gone backward, or not to all of these, does so now, from what its
        function returned or from the last number that it computed.

        Parameters
        ----------
        wrt : iterable of str, Tensor, ndarray or Value, optional
            Which values; by default all parameters that the cost was computed from.

        Returns
        -------
        Value, list of Value

        Raises
        ------
        KeyError
            If something in ``wrt`` does not occur in the run.
        ValueError
            If there is no number to differentiate, or it does not depend on something in ``wrt``.
        RuntimeError
            If an array that is needed has been changed in place since.

        Examples
        --------
        >>> import autograd_mini as ag
        >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
        >>> cost, (by,) = ag.trace(lambda: (w - 1.0) ** 2).differentiated(["w"])
        >>> float(cost.array), float(by.gradient.array)
        (4.0, 4.0)
        """
        wanted = None if wrt is None else [x if isinstance(x, Value) else self[x] for x in wrt]
        cost = self.cost or self._last_number()
        parameters = [value for value in self.values if value.kind == "parameter"]
        missing = [x for x in wanted or () if x.gradient is None]
        if self.cost is None or missing:
            self.differentiate(cost, [*parameters, *missing])
        for value in missing:
            if value.gradient is None:
                raise ValueError(
                    f"{cost.name or 'the cost'} does not depend on {value.name or repr(value)}, or "
                    f"not through Tensors that record: make it ag.Tensor(..., requires_grad=True)"
                )
        if wanted is None:
            wanted = [value for value in parameters if value.gradient]
        return cost, wanted

    def _last_number(self) -> Value:
        """What a run is taken to be for: the number that it ended with."""
        recorded = {*self._by_node.values()}
        result = self.find(self.result) if isinstance(self.result, Tensor) else None
        outputs = [result] if result else [call.output for call in reversed(self.forward)]
        for value in outputs:
            if value.array.size == 1 and value in recorded:
                return value
        raise ValueError(
            "this run has no number that depends on a Tensor with requires_grad=True, so there is "
            "nothing to differentiate: record the computation of a cost"
        )

    def __enter__(self) -> Trace:
        self._listen.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._listen.__exit__(*raised)
        if raised and raised[1] is not None:
            self.failure = self._failure(raised[1])
        self.name({})

    @property
    def forward(self) -> list[Call]:
        """The calls of the computation itself."""
        return [call for call in self.calls if call.phase == "forward"]

    @property
    def backward(self) -> list[Call]:
        """The calls of its derivative."""
        return [call for call in self.calls if call.phase == "backward"]

    def __getitem__(self, which: Any) -> Value:
        """The value that a Tensor, an array or a name stands for in this run."""
        if isinstance(which, str):
            named = [value for value in self.values if value.name == which]
        else:
            named = [value for value in (self.find(which),) if value]
        if not named:
            names = ", ".join(value.name for value in self.values if value.name)
            raise KeyError(
                f"{which if isinstance(which, str) else described(which)} does not occur in this "
                f"run; the names in it are: {names or 'none'}"
            )
        return named[0]

    def find(self, thing: Any) -> Value | None:
        """The value that a Tensor or an array stands for in this run; None if it does not occur."""
        value = self._by_array.get(id(unwrapped(thing)))
        if value is None and isinstance(thing, Tensor) and thing._node is not None:
            value = self._by_node.get(thing._node)
        return value

    def name(self, names: Mapping[str, Any]) -> Trace:
        """Give values the names of variables, such as ``locals()``.

        What is no array of this run is passed over, and so is a second name for the same array.
        Numbers are remembered in `numbers`, and the names of modules are those of their calls.

        Parameters
        ----------
        names : mapping of str to object
            The variables.

        Returns
        -------
        Trace
            This one.
        """
        for name, thing in names.items():
            value = self.find(thing)
            if value is not None and (value.name is None or value in self._provisional):
                value.name = name
                self._provisional.discard(value)
            elif isinstance(thing, int | float) and not isinstance(thing, bool):
                self.numbers.setdefault(name, thing)
            for scope in self._modules.get(id(thing), ()):
                scope.name = name
        given = {value: value.name for value in self.values if value.name}
        for value, derived in derived_from_others(self.values, given).items():
            value.derived = derived
        return self

    def __str__(self) -> str:
        labels: dict[int, str] = {}
        for number, value in enumerate(self.values):
            labels.setdefault(id(value), value.name or f"%{number}")
            if value.name and value.gradient:
                labels[id(value.gradient)] = f"d{value.name}"
        rows = []
        for call in self.calls:
            operands = [labels[id(x)] if isinstance(x, Value) else repr(x) for x in call.operands]
            text = f"{labels[id(call.output)]} = {call.primitive.name}({', '.join(operands)})"
            rows.append((call.phase, text, str(call.output.shape), str(call.source or "")))
        widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    # -- what the engine tells --

    def heard(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any, y: Any) -> None:
        """Write a call down."""
        source, passed = called_from()
        backward = not passed.isdisjoint(GOING_BACKWARD)
        pull = self._pulling if graph.pull_back.__code__ in passed else None
        overwritten = self._overwritten
        used = tuple([overwritten if x is y else self._value_of(x) for x in operands])
        call = Call(primitive, used, statics, "backward" if backward else "forward", pull, source)
        call.scopes = self._scopes
        if pull:
            call.source, call.scopes = pull.call.source, pull.call.scopes
            pull.calls.append(call)
        call.output = self._add(y, "result", call, written=overwritten is not None)
        self._overwritten = None
        self.calls.append(call)

    def pulling(self, node: Node, position: int) -> None:
        """Remember whose rule is being run."""
        value = self._by_node.get(node)
        self._pulling = Pull(value.call, position) if value and value.call else None
        self._shares.setdefault(node.parents[position], []).append(self._pulling)
        if self._pulling:
            self.pulls.append(self._pulling)

    def delivered(self, node: Node, cotangent: Any) -> None:
        """Note the gradient of a value, and the shares that it is the sum of."""
        gradient = self._value_of(cotangent)
        shares = self._shares.pop(node, [])
        value = self._by_node.get(node)
        if value:
            value.gradient, value.shares = gradient, [share for share in shares if share]
            if not shares and value.call and value.call.phase == "forward":
                self._seeds.append(value)
        first, *others = shares or [None]
        for share in reversed(others):  # each was added to the sum of those before it
            gradient, latest = gradient.call.operands
            if share:
                share.result = latest
        if first:
            first.result = gradient

    def writing(self, tensor: Tensor) -> None:
        """Keep the value that is about to be overwritten; what comes is another value."""
        self._overwritten = self._value_of(tensor)

    def entering(self, module: Any, parts: Iterable[tuple[str, Any]]) -> None:
        """Open a scope, and learn the names of what is in an outermost module."""
        parent = self._scopes[-1] if self._scopes else None
        if parent is None:
            named = dict(parts)
            self._paths = {id(part): name for name, part in named.items()}
            for name, part in named.items():
                if isinstance(part, Tensor):
                    self._names.setdefault(id(part.data), name)
        kind = type(module).__name__
        scope = Scope(module, self._paths.get(id(module), kind if parent else ""), parent)
        if parent is None:
            self._modules.setdefault(id(module), []).append(scope)
        self._scopes += (scope,)

    def leaving(self) -> None:
        """Close a scope."""
        self._scopes = self._scopes[:-1]

    def _failure(self, error: BaseException) -> Failure:
        """What was being called when something raised, by the frames that it passed."""
        op, source, trace = type(error).__name__, None, error.__traceback__
        operands: list[Value] = []
        while trace:
            frame, code = trace.tb_frame, trace.tb_frame.f_code
            names = code.co_varnames[: code.co_argcount]
            given = [frame.f_locals.get(name) for name in names]
            flat = [y for x in given for y in (x if isinstance(x, tuple | list) else [x])]
            if not code.co_filename.startswith(PACKAGE):
                source = Source(code.co_filename, trace.tb_lineno)
                op, operands = type(error).__name__, []
            elif arrays := [x for x in flat if isinstance(x, Tensor | np.ndarray)]:
                named = next((x for x in given if isinstance(x, Primitive)), None)
                of_class = names[0] == "self" and not isinstance(given[0], Tensor)
                op = type(given[0]).__name__ if of_class else code.co_name.strip("_")
                op = named.name if named else op
                operands = [self._value_of(x) for x in arrays]
            trace = trace.tb_next
        return Failure(op, operands, str(error), source)

    def _value_of(self, operand: Any) -> Any:
        """The value that an operand is, a new one if it comes from outside or has been changed."""
        live = unwrapped(operand)
        if not hasattr(live, "dtype"):
            return operand
        known = self._by_array.get(id(live))
        if known and (known.array is live or np.array_equal(known.array, live, equal_nan=True)):
            return known
        wants_gradient = isinstance(operand, Tensor) and operand.requires_grad
        return self._add(operand, "parameter" if wants_gradient else "input", None)

    def _add(self, thing: Any, kind: str, call: Call | None, written: bool = False) -> Value:
        """Enter a new value."""
        live, name = unwrapped(thing), getattr(thing, "name", None)
        value = Value(live, kind, call, name or self._names.get(id(live)), written)
        if not name and value.name:
            self._provisional.add(value)
        return self._enter(value, thing._node if isinstance(thing, Tensor) else None)

    def _enter(self, value: Value, node: Node | None) -> Value:
        """Enter a new value, to be found by its array and its node."""
        self.values.append(value)
        self._by_array[id(value.live)] = value
        if node is not None:
            self._by_node[node] = value
        return value

    def _restore(self, node: Node, array: Any) -> None:
        """Enter a node of a graph, with the array that was kept of it or None."""
        if node.primitive is None:
            tensor = node.tensor and node.tensor()
            if tensor is None and array is None:
                raise RuntimeError(
                    f"a leaf of shape {node.shape} is gone and the graph did not keep its values: "
                    f"keep the Tensor in a variable"
                )
            live = array if tensor is None else tensor.data
            self._enter(Value(live, "parameter", None, getattr(tensor, "name", None)), node)
            return
        saved = node.saved or [None] * len(node.parents)
        operands = [
            self._value_of(saved[i]) if parent is None else self._by_node[parent]
            for i, parent in enumerate(node.parents)
        ]
        kept = all(x.kept for x in operands if isinstance(x, Value))
        for i in [i for i, x in enumerate(operands) if x is None]:
            found = None if array is None else inferred(node, operands, i, array)
            kept = kept and found is not None
            operands[i] = self._value_of(
                np.zeros(operand_shape(node, i)) if found is None else found
            )
        call = Call(node.primitive, tuple(operands), node.statics, "forward", None, None)
        live = array
        if array is None:
            try:
                live = call.run(*map(array_of, operands))
            except (ValueError, TypeError):  # not even the shape of an operand is known
                live = np.zeros(node.shape, node.dtype)
        call.output = self._enter(Value(live, "result", call, None), node)
        call.output.kept = kept or array is not None
        self.calls.append(call)


# ---- what a graph kept --------------------------------------------------------------------------


#: What users make of their data in plain NumPy, on the way into a formula.
DERIVATIONS: tuple[Callable[[Any], Any], ...] = (
    lambda x: ops.subtract(1, x),
    ops.negative,
    ops.transpose,
)


def derived_from_others(
    values: Iterable[Value], names: Mapping[Value, str]
) -> dict[Value, Derived]:
    """Find what arrays from outside without a name were made of, as far as their numbers show.

    Many single numbers are 1 minus another one.  So of these only ``1 - y`` is told, and only if
    there is one such ``y``.
    """
    inputs = [x for x in values if x.kind == "input" and x.array.size and x.dtype.kind in "iuf"]
    sources = [y for y in inputs if y in names]
    found: dict[Value, Derived] = {}
    for x in inputs:
        if x in names:
            continue
        single = x.array.size == 1
        alike = [
            Derived(function, y)
            for y in sources
            for function in (DERIVATIONS[:1] if single else DERIVATIONS)
            if same(function(y.array.reshape(-1)[:1]), x.array.reshape(-1)[:1])
            and same(function(y.array), x.array)
        ]
        if len(alike) == 1 or (alike and not single):
            found[x] = alike[0]
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same bits."""
    a, b = np.asarray(a), np.asarray(b)
    return bool(a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())


def array_of(operand: Any) -> Any:
    """The array of a value; a number as it is."""
    return operand.array if isinstance(operand, Value) else operand


def kept_arrays(order: Iterable[Node]) -> dict[Node, Any]:
    """The arrays of nodes that they themselves or those computed from them have saved."""
    kept = {}
    for node in order:
        for owner, saved in zip((*node.parents, node), node.saved or (), strict=False):
            if owner is not None and saved is not None:
                kept[owner] = saved
    return kept


def operand_shape(node: Node, position: int) -> Any:
    """The shape of an operand that was not kept, as far as it is known."""
    if node.primitive.variadic:
        return node.statics["likes"][position - len(node.primitive.operands) + 1].shape
    return node.shape if node.primitive.elementwise else ()


def inferred(node: Node, operands: list[Any], position: int, y: Any) -> Any:
    """The operand that makes a call give ``y``: None if it cannot be told.

    No rule asks for it, so it can only be added, multiplied by something, or moved.
    """
    call = Call(node.primitive, tuple(operands), node.statics, "forward", None, None)

    def result(x: Any) -> Any:
        arrays = [x if i == position else array_of(other) for i, other in enumerate(operands)]
        return call.run(*arrays)

    shape = operand_shape(node, position)
    try:
        with np.errstate(all="ignore"):
            offset = result(np.zeros(shape))
            if node.primitive.elementwise:
                slope = result(np.ones(shape)) - offset
                x = np.where(slope == 0, 0, (y - offset) / slope)
                noise = 8 * np.finfo(y.dtype).eps * np.max(np.abs(y), initial=0)
                if x.size and np.ptp(x) <= noise:  # one number, such as the 1 of 1 - A
                    return shortest(float(np.mean(x)), noise)
            else:
                places = result(np.arange(1, math.prod(shape) + 1).reshape(shape)) - offset
                x = np.zeros(shape)
                x.flat[places[places > 0].astype(int) - 1] = y[places > 0]
            same = np.allclose(result(x), y, rtol=1e-12, atol=1e-14)
    except (TypeError, ValueError):  # another operand is unknown too, or the shape
        return None
    return x if same else None


def shortest(x: float, noise: float) -> float:
    """The number with the fewest digits that a number can be meant to be."""
    candidates = (float(f"{x:.{digits}g}") for digits in range(1, 18))
    return next(y for y in candidates if abs(y - x) <= noise or y == x)


def trace(function: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Trace:
    """Record a run: the calls in order, with their arrays, names and lines of the program.

    Parameters
    ----------
    function : callable, optional
        Is run at once on the other arguments, and its calls are recorded.  Without it, the calls
        inside the ``with`` statement are.

    Returns
    -------
    Trace
        For use in ``with``, or done if a function was given.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
    >>> with ag.trace() as run:
    ...     loss = (w - 1.0) ** 2
    ...     loss.backward()
    >>> [call.primitive.name for call in run.forward]
    ['subtract', 'square']
    >>> [call.primitive.name for call in run.backward]  # g * (2 * x)
    ['multiply', 'multiply']
    >>> float(run[w].gradient.array)
    4.0
    """
    run = Trace()
    if function is not None:
        with run:
            run.result = function(*args, **kwargs)
    return run


# ---- debug --------------------------------------------------------------------------------------


def fingerprint(array: Any) -> int | None:
    """A checksum of an array's contents."""
    import zlib

    return zlib.crc32(array.tobytes()) if isinstance(array, np.ndarray) else None


def bad(x: Any) -> bool:
    """Whether something holds a NaN or an infinity."""
    data = unwrapped(x)
    return bool(np.asarray(data).dtype.kind in "fc" and not np.all(np.isfinite(data)))


class Debug:
    """Listens to all calls and raises at the first that goes wrong; made by `debug`."""

    def __init__(self) -> None:
        self._saved: WeakKeyDictionary[Node, tuple[Source | None, list[int | None]]] = (
            WeakKeyDictionary()
        )
        self._rule = ""

    def heard(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any, y: Any) -> None:
        """Complain of a result that is no number though the operands were."""
        source, passed = called_from()
        if bad(y) and not any(bad(x) for x in operands):
            data = unwrapped(y)
            where = np.argwhere(~np.isfinite(data))
            rule = self._rule if graph.pull_back.__code__ in passed else ""
            at = f" at {source}: {source.text}" if source and not rule else ""
            raise FloatingPointError(
                f"{primitive.name}({', '.join(map(described, operands))}) gave "
                f"{data[tuple(where[0])]} in {len(where)} of {data.size} elements, first at "
                f"{where[0].tolist()}{rule}{at}"
            )
        if isinstance(y, Tensor) and y._node is not None and y._node.saved:
            self._saved[y._node] = source, [fingerprint(x) for x in y._node.saved]

    def pulling(self, node: Node, position: int) -> None:
        """Complain of a saved array that was changed since it was saved."""
        if node not in self._saved:
            return
        source, fingerprints = self._saved[node]
        assert node.primitive is not None
        names = node.primitive.operands
        at = f"{source}: {source.text}" if source else "an unknown line"
        self._rule = (
            f", in the derivative of {node.primitive.name} with respect to "
            f"{names[min(position, len(names) - 1)]}, recorded at {at}"
        )
        for i, (saved, then) in enumerate(zip(node.saved or (), fingerprints, strict=True)):
            if fingerprint(saved) != then:
                which = "the output" if i == len(node.parents) else f"operand {i}"
                raise RuntimeError(
                    f"{which} of {node.primitive.name}, shape {saved.shape}, recorded at {at}, was "
                    f"changed in place before backward, so the gradient would be wrong"
                )

    def delivered(self, node: Node, cotangent: Any) -> None:
        """Nothing to complain of."""

    def writing(self, tensor: Tensor) -> None:
        """Nothing to complain of either: the engine knows of this write."""

    def entering(self, module: Any, parts: Iterable[tuple[str, Any]]) -> None:
        """Nothing to complain of."""

    def leaving(self) -> None:
        """Nothing to complain of."""


def debug() -> listen:
    """Find out where things go wrong: slower, but it names the op and your line.

    Inside ``with debug():`` an op that makes NaN or infinity out of finite numbers raises, forward
    and backward, and so does a backward pass through an array that was written in place after it
    had been saved, even by a raw write into ``.data`` that the engine cannot see.

    Returns
    -------
    context manager
        For use in a ``with`` statement around the forward and the backward pass.

    Raises
    ------
    FloatingPointError
        At the op that makes NaN or infinity.
    RuntimeError
        At a backward pass through an array that was changed.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> x = ag.Tensor([1.0, 0.0], requires_grad=True)
    >>> with np.errstate(divide="ignore"), ag.debug():
    ...     np.log(x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FloatingPointError: log(shape (2,) float64) gave -inf in 1 of 2 elements, first at [1] at ...
    """
    return listen(observer=Debug())
