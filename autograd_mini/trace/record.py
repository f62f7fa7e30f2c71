"""Trace: one run as an ordered list of calls."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ..core.graph import Node, leading_to, listen, listening, newest_first
from ..core.primitive import Primitive
from ..core.tensor import Tensor, backpropagate, history, unwrapped, wrap
from ..refusals import described
from .graphs import array_of, inferred, kept_arrays, operand_shape, written_since
from .observer import Observer
from .origins import VIEWED, derived_from_others, first_values, same, views
from .parcel import Linked
from .targets import names_of_turns, variables_of_loops
from .values import NUMPY, PACKAGE, Call, Failure, Pull, Scope, Source, Value, called_from

#: The attributes of a run that are the same in another process.
KEPT = (
    *("calls", "values", "pulls", "numbers", "result", "failure"),
    *("_seeds", "_others", "_provisional", "_by_node"),
)


NESTS = (dict, list, tuple)
MOST_NESTS = 1000  # of dicts and lists that are looked into
#: What IPython calls what cells were and gave.
OF_CELLS = re.compile(r"_+|_i*\d*|_i+|In|Out")


def is_numbered(name: str | None, which: str) -> bool:
    """Whether a name is a variable's with a number: what it held in one turn of a loop."""
    return name is not None and re.fullmatch(rf"{re.escape(which)}_?\d+", name) is not None


def variables(names: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What variables are called, and what they hold, in the order in which names are taken.

    An entry of a dict is called by its key, ``parameters["W1"]`` is W1, an attribute by its name,
    ``self.W1`` is W1, and what is in a list by its place: ``caches[2]``.
    """
    named = [(name, thing) for name, thing in names.items() if not OF_CELLS.fullmatch(name)]
    found = sorted(named, key=lambda pair: pair[0].startswith("_"))
    seen: set[int] = set()
    for name, thing in found:  # which grows
        parts = parts_of(thing) if id(thing) not in seen and len(seen) <= MOST_NESTS else ()
        seen.update([id(thing)] * bool(parts))
        for key, part in parts:
            is_name = isinstance(key, str) and key.isidentifier()
            found.append((str(key) if is_name else f"{name}[{key!r}]", part))
    return found


def parts_of(thing: Any) -> list[tuple[Any, Any]]:
    """What is in a dict, a list or an object of the user's own class, by keys, places, names.

    What modules hold has names from them.
    """
    if isinstance(thing, dict):
        parts = [*thing.items()]
    elif isinstance(thing, list | tuple):
        parts = [*enumerate(thing)]
    elif isinstance(thing, type | ModuleType | FunctionType | Tensor | Linked | Observer):
        return []
    else:
        attributes = {} if hasattr(thing, "state_dict") else getattr(thing, "__dict__", {})
        parts = [(name, x) for name, x in attributes.items() if name[:1] != "_"]
    return [(key, x) for key, x in parts if isinstance(x, (*NESTS, np.ndarray, Tensor))]


class Trace(Linked, Observer):
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
        self._entered: dict[int, Scope] = {}  # the latest call of each module
        self._paths: dict[int, str] = {}
        self._others: list[Value] = []  # arrays that have names, of which parts occur
        self._held: dict[int, tuple[str, Tensor]] = {}  # by modules, with names: by their arrays
        self._provisional: set[Value] = set()  # those that have a name from there
        self._by_array: dict[int, Value] = {}
        self._by_node: dict[Node, Value] = {}
        self._pulling: list[Pull | None] = []  # of the rules that are being run
        self._shares: dict[Node, list[Pull]] = {}
        self._additions: dict[Node, list[Call]] = {}
        self._sums: list[Call] | None = None  # where the next call belongs, if it is an addition
        self._failed: tuple[Exception, str, list[Any], tuple[Scope, ...]] | None = None
        self._overwritten: Value | None = None
        self._listen = listen(observer=self)

    def __getstate__(self) -> dict[str, Any]:
        if self._listen._states:
            raise RuntimeError("this run is being recorded: copy it when its `with` has ended")
        state = {name: getattr(self, name) for name in KEPT}
        modules, entered = self._modules.values(), self._entered.values()
        held = [(name, tensor, tensor.data) for name, tensor in self._held.values()]
        return {**state, "modules": [*modules], "entered": [*entered], "held": held}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Trace.__init__(self)
        modules, entered, held = [state.pop(name) for name in ("modules", "entered", "held")]
        vars(self).update(state)
        for name, tensor, array in held:
            tensor._array = array  # the very array, which joblib sends twice
            self._held[id(array)] = name, tensor
        self._by_array = {id(value.live): value for value in self.values}
        self._modules = {id(scopes[0].module): scopes for scopes in modules}
        self._entered = {id(scope.module): scope for scope in entered}

    def __copy__(self) -> Trace:
        twin = super().__copy__()
        for name, x in vars(self).items():
            if isinstance(x, list | dict | set) and name != "result":
                setattr(twin, name, copy.copy(x))
        twin._listen = listen(observer=twin)
        return twin

    @classmethod
    def of_graph(
        cls, y: Tensor, names: Mapping[str, Any] | None = None, *, gradients: bool = False
    ) -> Trace:
        """The run that computed a tensor, made afterwards from the graph that it left behind.

        A graph keeps what the rules ask for, and the Tensors in ``names`` have their arrays.  Other
        results are computed again, and an operand that no rule asks for is inferred from the
        result.  Where that is unknown too, the operand is taken as zero: it enters as an added
        constant, and no derivative depends on it.  Such a zero has ``kept`` False, and so has what
        can only be computed from it.  A parameter that an update has changed since is not what the
        results were computed from: it has ``kept`` False and ``changed`` True.

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
            If nothing was recorded.

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
        used = {parent: node for node in reversed(order) for parent in node.parents}  # first
        for node in order:
            run._restore(node, kept.get(node), used.get(node, node))
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
        wanted = {id(value.live) for value in by}  # of which an update makes another value
        targets = [node for node, value in self._by_node.items() if id(value.live) in wanted]
        if isinstance(y, Value):
            y = wrap(y.live, next((node for node, v in self._by_node.items() if v is y), None))
        order = leading_to(targets, newest_first(history(y)))
        with self._listen:
            backpropagate(y, order, targets, None, False)

    @property
    def cost(self) -> Value | None:
        """What was differentiated last; None if the run has not gone backward."""
        return self._seeds[-1] if self._seeds else None

    def differentiated(self, wrt: Any = None) -> tuple[Value, list[Value]]:
        """The cost of the run, and the values by which its gradients are wanted.

        A run that has not gone backward, or not to all of these, does so now, from what its
        function returned or from the last number that it computed.  So does one that ended with a
        number made of gradients, such as the norm of one: this is then the cost.

        Parameters
        ----------
        wrt : str, Tensor, ndarray or Value, or iterable of them, optional
            Which values; by default all parameters that the cost was computed from.

        Returns
        -------
        Value, list of Value

        Raises
        ------
        KeyError
            If something in ``wrt`` does not occur in the run, or is the name of several things.
        ValueError
            If there is no number to differentiate, it does not depend on something in ``wrt``, or
            nothing is in ``wrt``.
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
        if isinstance(wrt, str | Tensor | np.ndarray | Value):
            wrt = [wrt]
        wanted = None if wrt is None else [self._only(x) for x in wrt]
        if wanted == []:
            raise ValueError("wrt is empty: name at least one quantity, or leave it out")
        cost = self._number()
        parameters = [value for value in self.values if value.kind == "parameter"]
        if self.cost is not cost or any(x.gradient is None for x in wanted or ()):
            self.differentiate(cost, [*parameters, *(wanted or ())])
        for value in wanted or ():
            if value.gradient is None:
                raise ValueError(
                    f"{cost.name or 'the cost'} does not depend on {value.name or repr(value)}, or "
                    f"not through Tensors that record: make it ag.Tensor(..., requires_grad=True)"
                )
        if wanted is None:
            wanted = [value for value in parameters if value.gradient]
        return cost, wanted

    def _only(self, which: Any) -> Value:
        """The value that something stands for; by a name, if no other thing has it too."""
        if isinstance(which, str):
            arrays = {id(value.live) for value in self.values if value.name == which}
            if len(arrays) > 1:
                raise KeyError(f"{len(arrays)} arrays are called {which}: give the Tensor itself")
        return which if isinstance(which, Value) else self[which]

    def _number(self) -> Value:
        """What a run is for: the number that it went backward from, or that it ended with."""
        recorded = {x for node, x in self._by_node.items() if node.primitive is not None}
        result = self.find(self.result) if isinstance(self.result, Tensor) else None
        outputs = [result] if result else [call.output for call in reversed(self.forward)]
        numbers = [value for value in outputs if value.array.size == 1 and value in recorded]
        if self.cost and not (numbers and is_made_of_gradients(numbers[0])):
            return self.cost
        if numbers:
            return numbers[0]
        failed = f"; it ended in {self.failure.op}: {self.failure.message}" if self.failure else ""
        raise ValueError(
            f"this run has no number that depends on a Tensor with requires_grad=True, so there is "
            f"nothing to differentiate{failed or ': record the computation of a cost'}"
        )

    def __enter__(self) -> Trace:
        if self not in listening().observers:  # else what is under way stays so
            self.passes, self._pulling = [], []
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

    def calls_behind(
        self, values: Iterable[Value], among: Iterable[Call] | None = None
    ) -> list[Call]:
        """The calls that some values were computed by, in order.

        Parameters
        ----------
        values : iterable of Value
        among : list of Call, optional
            Calls of this run in their order, by default all.

        Returns
        -------
        list of Call
        """
        wanted, found = {*values}, []
        for call in reversed([*(self.calls if among is None else among)]):
            if call.output in wanted:
                found.append(call)
                wanted.update(call.arrays)
        return found[::-1]

    def __getitem__(self, which: Any) -> Value:
        """The value that a Tensor, an array or a name stands for in this run."""
        if isinstance(which, str):
            named = [value for value in self.values if value.name == which]
            named = named or [x for x in self.values if is_numbered(x.name, which)][-1:]
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

        What is no array of this run is passed over, and so is a second name for the same array:
        one that begins with an underscore comes last, and what IPython calls the results of cells
        (``_``, ``__``, ``_7``) is no name.
        Dicts, lists and tuples are looked into, and the results of a statement in a loop, or in a
        function that is called again, have its variable's name with a number: ``Z1``, ``Z2``.
        An array that was written in place stands for several values: all have its name, and
        ``run["w"]`` is the first.  Numbers are remembered in `numbers`, and the names of modules
        are those of their calls.

        Parameters
        ----------
        names : mapping of str to object
            The variables.

        Returns
        -------
        Trace
            This one.
        """
        of_array: dict[int, list[Value]] = {}
        for value in self.values:
            of_array.setdefault(id(value.live), []).append(value)
        placed: set[Value] = set()  # those that have the name of a place, which any other replaces

        def call(name: str, thing: Any) -> None:
            found = self.find(thing)
            is_place = name not in names and name.endswith("]")
            for value in of_array[id(found.live)] if found else ():
                if value.name is None or value in self._provisional - placed:
                    value.name = name
                    (self._provisional.add if is_place else self._provisional.discard)(value)
                    placed.update([value] * is_place)
            if found is None and isinstance(thing, int | float) and not isinstance(thing, bool):
                self.numbers.setdefault(name, thing)
            for scope in self._modules.get(id(thing), ()):
                scope.name = name

        named = variables(names)
        of_loops = variables_of_loops(self.forward) if names else set()
        for name, thing in named:
            if name not in of_loops:
                call(name, thing)
        self._others += [
            Value(thing, "input", None, name)
            for name, thing in named
            if type(thing) is np.ndarray and thing.size <= VIEWED and self.find(thing) is None
        ]
        for value, derived in views(self.values, self._others).items():
            value.derived = derived
        for name in of_loops.intersection(names):
            part = self.find(names[name])
            if part is not None and not part.derived:  # no part of what the loop goes through
                call(name, names[name])
        certain = {x: x.name for x in self.values if x.name and x not in self._provisional}
        turned = names_of_turns(self.forward, certain) if names else {}
        before = {x: x.name for x in self.values if x.name} | turned
        turned |= first_values(self.forward, before, {*turned.values()})
        for value, name in turned.items():
            value.name = name
            self._provisional.add(value)
        values = [*self.values, *self._others]
        given = {value: value.name for value in values if value.name}
        for value, derived in derived_from_others(self.forward, values, given).items():
            value.derived = derived
        return self

    def has_given(self, value: Value) -> bool:
        """Whether somebody has named a value, and not this run itself."""
        return value.name is not None and value not in self._provisional

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
        """Write a call down; what is drawn at random comes from outside."""
        if any(isinstance(x, np.random.Generator) for x in statics.values()):
            self._add(y, "input", None)
            return
        sums, self._sums = self._sums, None
        backward = bool(self.passes) or sums is not None
        pull = self._pulling[-1] if self.rule else None
        source, place = called_from()
        overwritten = self._overwritten
        used = tuple([overwritten if x is y else self._value_of(x) for x in operands])
        call = Call(primitive, used, statics, "backward" if backward else "forward", pull, source)
        call.scopes, call.place = self._scopes, None if backward else place
        if pull:
            call.source, call.scopes = pull.call.source, pull.call.scopes
            pull.calls.append(call)
        if sums is not None:
            sums.append(call)
        call.output = self._add(y, "result", call, written=overwritten is not None)
        self._overwritten = self._failed = None
        self.calls.append(call)

    def seeded(self, node: Node, cotangent: Any, given: Any) -> None:
        """Note what is differentiated; a backward pass in a rule belongs to that rule."""
        value = self._by_node.get(node)
        if value is None or self.rule:
            return
        before = value.gradient if value is self.cost else None
        self._seeds += [value] * (value.call is not None)
        if before is None or not same(before.array, unwrapped(cotangent)):
            for other in self.values:  # what they have is of another cost
                other.gradient, other.shares, other.additions = None, [], []

    def pulling(self, node: Node, position: int) -> None:
        """Remember whose rule is being run."""
        super().pulling(node, position)
        value = self._by_node.get(node)
        pull = Pull(value.call, position) if value and value.call else None
        self._pulling.append(pull)
        if pull:
            self.pulls.append(pull)
            self._shares.setdefault(node.parents[position], []).append(pull)

    def pulled(self, node: Node, position: int, contribution: Any) -> None:
        """Note what the rule gave."""
        super().pulled(node, position, contribution)
        pull = self._pulling.pop() if self._pulling else None
        if pull:
            pull.result = self._value_of(contribution)

    def adding(self, node: Node) -> None:
        """The next call is an addition of contributions."""
        self._sums = self._additions.setdefault(node, [])

    def delivered(self, node: Node, cotangent: Any) -> None:
        """Note the gradient of a value, and the shares that it is the sum of."""
        shares, additions = self._shares.pop(node, []), self._additions.pop(node, [])
        value = shares[0].operand if shares else self._by_node.get(node)
        if value:
            value.gradient = self._value_of(cotangent)
            value.shares, value.additions = shares, additions

    def finished(self) -> None:
        """A backward pass that an error has ended leaves nothing open."""
        super().finished()
        del self._pulling[sum(map(len, self.passes)) :]
        self._sums = None

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
                    self._held.setdefault(id(part.data), (name, part))
        kind = type(module).__name__
        scope = Scope(module, self._paths.get(id(module), kind if parent else ""), parent)
        if parent is None:
            self._modules.setdefault(id(module), []).append(scope)
        self._entered[id(module)] = scope
        self._scopes += (scope,)

    def leaving(self) -> None:
        """Close a scope."""
        self._scopes = self._scopes[:-1]

    def failed(self, error: Exception, op: str, operands: Iterable[Any]) -> None:
        """Note what could not be computed; of calls around one another, the innermost."""
        self._sums = None
        if self._failed is None or self._failed[0] is not error:
            self._failed = error, op, [*operands], self._scopes

    def _failure(self, error: BaseException) -> Failure:
        """The call that raised, and the user's line; if none of ours did, the user's own code."""
        source, trace = None, error.__traceback__
        while trace:
            if not trace.tb_frame.f_code.co_filename.startswith((PACKAGE, NUMPY)):
                source = Source(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
            trace = trace.tb_next
        ours, self._failed = self._failed, None
        if ours is None or ours[0] is not error:
            return Failure(type(error).__name__, [], str(error), source)
        _, op, operands, scopes = ours
        values = [self._value_of(x) for x in operands if isinstance(x, Tensor | np.ndarray)]
        return Failure(op, values, str(error), source, scopes)

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
        value = Value(live, kind, call, name or self._held.get(id(live), (None,))[0], written)
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

    def _restore(self, node: Node, array: Any, user: Node) -> None:
        """Enter a node of a graph, with the array that was kept of it or None."""
        if node.primitive is None:
            tensor = node.tensor and node.tensor()
            live = array if tensor is None else tensor.data
            zeros = np.zeros(node.shape, node.dtype)
            name = getattr(tensor, "name", None)
            leaf = Value(zeros if live is None else live, "parameter", None, name)
            leaf.changed = written_since(live, user)
            leaf.kept = not (live is None or leaf.changed)
            self._enter(leaf, node)
            return
        operands = [
            self._saved(node, i) if parent is None else self._by_node[parent]
            for i, parent in enumerate(node.parents)
        ]
        for i in [i for i, x in enumerate(operands) if x is None]:
            found = None if array is None else inferred(node, operands, i, array)
            x, certain = found or (np.zeros(operand_shape(node, i), node.dtype), False)
            certain = certain and all(x.kept for x in operands if isinstance(x, Value))
            operands[i] = self._value_of(x if certain else np.asarray(x))
            if not certain:
                operands[i].kept = False
        call = Call(node.primitive, tuple(operands), node.statics, "forward", None, None)
        live = array
        if array is None:
            try:
                live = call.run(*map(array_of, operands))
            except (ValueError, TypeError):  # not even the shape of an operand is known
                live = np.zeros(node.shape, node.dtype)
        call.output = self._enter(Value(live, "result", call, None), node)
        kept = all(x.kept for x in operands if isinstance(x, Value))
        call.output.kept = kept or array is not None
        self.calls.append(call)

    def _saved(self, node: Node, position: int) -> Any:
        """An operand that no gradient flows to; None if the graph did not keep it."""
        saved = node.saved[position] if node.saved else None
        operand = self._value_of(saved)
        if written_since(saved, node):
            operand.kept, operand.changed = False, True
        return operand


def is_made_of_gradients(value: Value) -> bool:
    """Whether a value was computed from what a backward pass computed."""
    seen, stack = {value}, [value]
    while stack:
        call = stack.pop().call
        if call is not None and call.phase == "backward":
            return True
        new = {x for x in (call.operands if call else ()) if isinstance(x, Value)} - seen
        seen |= new
        stack += new
    return False


def variables_around() -> dict[str, Any]:
    """The variables of the user's function that called the function which asks.

    Those of its module come last, as far as the function uses them.
    """
    frame = sys._getframe(2)
    used = [name for name in frame.f_code.co_names if name in frame.f_globals]
    of_module = {name: frame.f_globals[name] for name in used if name not in frame.f_locals}
    return {**frame.f_locals, **of_module}


def run_of(
    what: Trace | Tensor, names: Mapping[str, Any] | None, around: Mapping[str, Any]
) -> Trace:
    """A run, or the one that computed a cost, with names for its values.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(what, Tensor):
        return Trace.of_graph(what, around if names is None else names)
    if not isinstance(what, Trace):
        raise TypeError(
            f"this takes a run or a cost, not {type(what).__name__}: give the Tensor, or record "
            f"its computation inside `with ag.trace() as run:`, and give it `run`"
        )
    return what.name(names) if names else what


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
