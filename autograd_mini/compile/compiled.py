"""A function that is captured once for each kind of arguments, and replayed from then on."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

from ..core.graph import listen, listening
from ..core.primitive import primitive
from ..core.tensor import Tensor, ndarray, wrap
from ..refusals import described
from ..travel import decorated
from .capture import Capture, Same, Summary, Variable, array_of, frozen
from .conditions import GONE, Code, Named, Search, conditions_of, is_ours, reachable
from .link import CHANGED, Program, Writer, executed
from .passes import Instead, merged, needed, without_constants, written_at_once

PATIENCE = 3  # captures of the same kind that differ before a warning says so


class Leaf(NamedTuple):
    """The place of an array in what a function returned."""

    number: int


class Result(NamedTuple):
    """An array that a program gives back, or leaves as a gradient."""

    array: Any
    is_copied: bool  # whether each call gives a copy
    node: Any  # of what is recorded in eager mode

    def taken(self) -> Tensor:
        """As a Tensor."""
        return wrap(self.array.copy() if self.is_copied else self.array, self.node)


class Entry:
    """A program with all that has to hold for it, and what it gives back.

    Attributes
    ----------
    key : tuple
        The kind of arguments.
    holds : callable
        Says whether all else is as it was.
    quick : callable or None
        The call at its quickest, for arguments that are plain arrays: it takes whether calls are
        recorded, and the arrays, and gives what `replay` gives; `CHANGED` also for other kinds of
        arguments and if all else is not as it was.
    arity : int
        The number of arrays that ``quick`` takes; -1 if it must not be called.
    is_trusted : bool
        Whether two captures have given this program.
    doubt : str
        Why not.
    tries : int
        How many captures of this kind there were.
    """

    def __init__(
        self,
        key: Any,
        program: Program,
        summary: Summary,
        structure: Any,
        results: list[Result],
        gradients: list[tuple[Tensor, Any]],
        sums: list[Tensor],
    ) -> None:
        self.key = key
        self.program = program
        self.summary = summary
        self.structure = structure
        self.results = results
        self.gradients = gradients
        self.sums = sums
        self.owned = {id(buffer): buffer for buffer in map(owner, program.buffers)}
        self.holds: Callable[[], bool]
        self.quick: Callable[..., Any] | None = None
        self.arity = -1
        self.is_trusted = False
        self.doubt = ""
        self.tries = 1

    def replay(self, arrays: Iterable[Any]) -> Any:
        """What the function returns, by the program; `CHANGED` if this is not the one."""
        own = [self.apart(array_of(tensor.grad)) for tensor in self.sums]
        if self.program.run(*map(self.apart, arrays), *own) is CHANGED:
            return CHANGED
        for tensor, gradient in self.gradients:
            tensor.grad = gradient.taken() if isinstance(gradient, Result) else gradient
        return rebuilt(self.structure, [result.taken() for result in self.results])

    def apart(self, array: Any) -> Any:
        """An array that the program does not write over: a copy if it is a result of its own."""
        return array.copy() if id(owner(array)) in self.owned else array

    def made_quick(self, code: Code, names: Iterable[str], args: Any, recording: bool) -> None:
        """Write `replay` as one function without loops, with the tests of the arguments."""
        arrays = [f"x_{name}" for name in names]
        tests = [f"recording is {recording}"]
        for name, x in zip(arrays, args, strict=True):
            tests += [
                code.text(f"type({name}) is {{}}", ndarray),
                f"{name}.shape == {x.shape} and {name}.strides == {x.strides}",
                code.text(f"{name}.dtype is {{}}", x.dtype),
                code.text(f"({name}.base is None or id({name}.base) not in {{}})", self.owned),
            ]
        own = [code.text("{}({}.grad._array)", self.apart, tensor) for tensor in self.sums]
        lines = [code.text("{}.grad = ", t) + self._taken(code, g) for t, g in self.gradients]
        taken = [self._taken(code, result) for result in self.results]
        if isinstance(self.structure, Leaf):
            lines.append(f"return {taken[0]}")
        else:
            lines.append(
                code.text("return {}({}, ", rebuilt, self.structure) + f"[{', '.join(taken)}])"
            )
        changed = code.name(CHANGED)
        text = (
            f"def quick({', '.join(['recording', *arrays])}):\n"
            f"    try:\n"
            f"        if not ({code.test(*tests)}): return {changed}\n"
            f"    {GONE}: return {changed}\n"
            f"    if {code.name(self.program.run)}({', '.join([*arrays, *own])}) is {changed}:\n"
            f"        return {changed}\n"
        )
        text += "".join([f"    {line}\n" for line in lines])
        self.quick = executed(text, "quick", {**code.space})

    @staticmethod
    def _taken(code: Code, x: Any) -> str:
        """What `Result.taken` gives, or something else as it is."""
        if not isinstance(x, Result):
            return code.name(x)
        return code.text("{}({}" + ".copy()" * x.is_copied + ", {})", wrap, x.array, x.node)


def owner(array: Any) -> Any:
    """The array whose memory this one looks at."""
    return array if array.base is None else array.base


class Compiled:
    """What `autograd_mini.compile` returns: call it like the function.

    Attributes
    ----------
    captures : int
        How many times the function was captured.
    """

    def __init__(self, function: Callable[..., Any], copy: bool, cache: int) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._copy = copy
        self._cache = cache
        self._entries: list[Entry] = []  # the newest first
        self._latest: Entry | None = None
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._rebindings = 0
        self.captures = 0

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce_ex__(self, protocol: Any) -> Any:  # programs are made where they run
        return decorated(self, protocol, Compiled, self._function, self._copy, self._cache)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the program for these arguments, or make it."""
        now = listening()
        recording, observers = now.recording, now.observers
        if observers:
            return self._function(*args, **kwargs)  # who listens hears each call
        if not self._lock.acquire(False):
            raise RuntimeError(
                f"the compiled {self._name} is busy in another thread, and its arrays are there "
                f"once: compile the function once for each thread"
            )
        try:
            entry = self._latest
            if entry is not None and len(args) == entry.arity and not kwargs:
                result = entry.quick(recording, *args)  # type: ignore[misc]
                if result is not CHANGED:
                    return result
            return self._sought(recording, args, kwargs)
        finally:
            self._lock.release()

    @property
    def _name(self) -> str:
        return getattr(self._function, "__name__", type(self._function).__name__)

    def _sought(self, recording: bool, args: Any, kwargs: Any) -> Any:
        """What the function returns, by another program than the latest, or by itself."""
        arrays: list[Any] = []
        kinds = tuple([kind_of(x, arrays) for x in args])
        key = recording, kinds, tuple([(name, kind_of(x, arrays)) for name, x in kwargs.items()])
        alike = [entry for entry in self._entries if entry.key == key and entry.holds()]
        for entry in alike:
            if entry.is_trusted:
                result = entry.replay(arrays)
                if result is not CHANGED:
                    self._latest = entry
                    return result
        return self._captured(key, alike, args, kwargs)

    # -- capture --

    def _captured(self, key: Any, alike: list[Entry], args: Any, kwargs: Any) -> Any:
        """Run the function, and make a program of what it did.

        A program is trusted when two captures have given the same.
        """
        search = Search(self._function, (*args, *kwargs.values()))
        capture = Capture(reachable([self._function, args, kwargs]))
        inputs: list[Tensor] = []
        names = self._argument_names(args, kwargs)
        given = [argument(x, inputs, capture) for x in args]
        options = {name: argument(x, inputs, capture) for name, x in kwargs.items()}
        variables = [capture.variable_of(tensor) for tensor in inputs]
        try:
            with listen(observer=capture):
                result = self._function(*given, **options)
        finally:
            capture.let_go()
            del given, options, inputs
        self.captures += 1
        found: list[Any] = []
        structure = taken_apart(result, found, capture)
        del result
        capture.settle(found)
        entry = self._entry(
            key, capture, dict(zip(names, variables, strict=True)), structure, found
        )
        rebound = [x for x in search.found if x.now is not x.thing]
        for module, _ in capture.modules.values():
            if not is_ours(type(module).forward):
                search.function(MethodType(type(module).forward, module))
        code = conditions_of(capture, search.found, entry.sums)
        entry.holds = code.holds()
        if not kwargs and all(type(x) is ndarray for x in args):
            entry.made_quick(code, names, args, key[0])
        arrays = [array_of(x) if isinstance(x, Tensor) else x for x in found]
        returned = [
            wrap(x.copy() if outcome.is_copied else x, outcome.node)
            for x, outcome in zip(arrays, entry.results, strict=True)
        ]
        del found, arrays
        kept = capture.kept_by_function([tensor.grad for tensor, _ in entry.gradients])
        doubt = search.doubt or capture.doubt or doubt_of_draws(capture)
        self._judge(entry, alike, rebound, kept, doubt)
        return rebuilt(structure, returned)

    def _entry(
        self,
        key: Any,
        capture: Capture,
        inputs: dict[str, Variable],
        structure: Any,
        found: list[Any],
    ) -> Entry:
        """The program of a capture."""
        wanted = [capture.variable_of(x) for x in found]
        changed = changed_gradients(capture)
        renewed = [(t, g, v) for t, g, v in changed if v is not None]
        wanted += [variable for _, _, variable in renewed]
        sums = []
        for tensor, before in capture.gradients.values():
            variable = capture.find(array_of(before)) if before is not None else None
            if variable is not None and variable.kind == "outside":
                variable.kind = "input"
                sums.append(tensor)
                inputs[f"grad{len(sums)}"] = variable
        rest = structure, [(Same(t), Same(None if v else g)) for t, g, v in changed]
        summary = Summary(capture.steps, wanted, rest)
        names = {id(array_of(t)): t.name for t, _ in capture.gradients.values() if t.name}
        program = optimized(capture.steps, inputs, wanted, self._name, capture.names | names)
        known = {id(owner(x)) for x in (*program.buffers, *capture.held_arrays())}
        n = len(found)
        recorded = [*found, *[gradient for _, gradient, _ in renewed]]
        results = [
            Result(
                array,
                self._copy or (not array.ndim and i < n) or id(owner(array)) not in known,
                way_back(x, key[0]),
            )  # unknown is what the run made in plain NumPy, and each call gives the same
            for i, (array, x) in enumerate(zip(program.results, recorded, strict=True))
        ]
        gradients: list[tuple[Tensor, Any]] = [(t, g) for t, g, v in changed if v is None]
        for (tensor, gradient, _), outcome in zip(renewed, results[n:], strict=True):
            gradients.append((tensor, outcome if outcome.is_copied else outcome.taken()))
            if outcome.is_copied:
                tensor.grad = wrap(array_of(gradient).copy(), gradient._node)
        return Entry(key, program, summary, structure, results[:n], gradients, sums)

    def _judge(
        self, entry: Entry, alike: list[Entry], rebound: list[Named], kept: list[Tensor], doubt: str
    ) -> None:
        """Trust a program if another capture has given the same one, and keep it."""
        doubtful = [other for other in alike if not other.is_trusted]
        differences = [other.summary.difference(entry.summary) for other in doubtful]
        if rebound:
            names = {
                x.key if isinstance(x.key, str) else "a variable, or an entry" for x in rebound
            }
            entry.doubt = f"it changes {', '.join(sorted(names))}, and a replay would not"
        elif kept:
            entry.doubt = (
                f"it keeps the tensor {described(kept[0])} in a list, an attribute or a variable, "
                f"where no replay would renew it: let it return that"
            )
        elif doubt:
            entry.doubt = doubt
        else:
            entry.is_trusted = None in differences
            entry.doubt = next(iter(filter(None, differences)), "")
        if entry.is_trusted and entry.quick is not None:
            entry.arity = entry.quick.__code__.co_argcount - 1
        entry.tries += max([other.tries for other in doubtful], default=0)
        if rebound:  # then no entry is alike
            self._rebindings += 1
            entry.tries = self._rebindings
        self._latest = entry
        left = [other for other in self._entries if other not in doubtful]
        self._entries = [entry, *left][: self._cache]
        if entry.tries >= PATIENCE and not entry.is_trusted:
            self._warn(f"{self._name} is run anew in each call, and not replayed: {entry.doubt}")
        if len(left) >= self._cache and self.captures >= 4 * self._cache:
            self._warn(
                f"{self._name} was captured {self.captures} times, since from call to call its "
                f"arguments differ in shape, dtype or as Python numbers, or it uses other things: "
                f"pass numbers that change as arrays, pad the last batch, or raise "
                f"cache={self._cache}"
            )

    def _warn(self, text: str) -> None:
        """Say something once."""
        words = text.partition(",")[0].partition(" was ")[0]
        if words not in self._warned:
            self._warned.add(words)
            warnings.warn(text, RuntimeWarning, stacklevel=6)  # the line of the call

    def _argument_names(self, args: Any, kwargs: Any) -> list[str]:
        """A name for each array among the arguments."""
        try:
            parameters = list(inspect.signature(self._function).parameters.values())
        except (ValueError, TypeError):  # NumPy's own functions have none
            parameters = []
        plain = [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        heads = [plain[i] if i < len(plain) else f"argument{i}" for i in range(len(args))]
        names: list[str] = []
        for head, x in (*zip(heads, args, strict=True), *kwargs.items()):
            arrays: list[Any] = []
            kind_of(x, arrays)
            alone = len(arrays) == 1 and not isinstance(x, list | tuple | dict)
            names += [head] if alone else [f"{head}_{i}" for i in range(len(arrays))]
        return names

    # -- looking at it --

    def source(self) -> str:
        """The program of the last call, as Python.

        Returns
        -------
        str
            One call a line, under the lines of the function that it comes from.  ``b1``, ``b2``,
            ... are buffers and views of them, ``c1``, ... constants, ``p1``, ... what the function
            holds and has no name, ``r1``, ``v1``, ... arrays that are new in each call.

        Raises
        ------
        RuntimeError
            If there was no call yet.
        """
        return self._last().program.text

    def memory(self) -> int:
        """The bytes of all buffers that the program of the last call owns.

        Returns
        -------
        int

        Raises
        ------
        RuntimeError
            If there was no call yet.
        """
        return sum(buffer.nbytes for buffer in self._last().program.buffers)

    def _last(self) -> Entry:
        if self._latest is None:
            raise RuntimeError(f"{self._name} was not called yet, so nothing was captured")
        return self._latest

    def __repr__(self) -> str:
        return f"<compiled {self._name}, captured {self.captures} times>"


def optimized(
    steps: list[Any],
    inputs: Mapping[str, Variable],
    wanted: list[Variable],
    title: str,
    names: Mapping[int, str],
) -> Program:
    """The program of some steps, after all passes."""
    instead: Instead = {}
    steps = merged(without_constants(steps, wanted), wanted, instead)
    wanted = [instead.get(x, x) for x in wanted]
    steps = written_at_once(needed(steps, wanted), wanted)
    return Writer(steps, inputs, wanted, title, names).program


# ---- arguments and results ----------------------------------------------------------------------


def kind_of(x: Any, arrays: list[Any]) -> Any:
    """What an argument has to have in common with another one that shares its program.

    Arrays are entered in ``arrays``.  A parameter is itself, as is all else that is no number.
    """
    if isinstance(x, Tensor):
        if x._node is not None and x._node.primitive is not None:
            raise TypeError(
                f"the argument of {described(x)} is recorded, and what a compiled function does "
                f"with it is not: compile all of the step, or pass x.detach()"
            )
        if x._node is not None:
            return Same(x)
        x = x._array
    elif isinstance(x, np.generic):
        x = np.asarray(x)
    if isinstance(x, np.ndarray):
        if type(x) not in (ndarray, np.memmap) or x.dtype.kind not in "biufc":
            raise TypeError(
                f"a compiled function takes plain arrays of numbers, not {type(x).__name__} of "
                f"{x.dtype}"
            )
        arrays.append(x)
        return x.shape, x.strides, x.dtype
    if isinstance(x, list | tuple):
        return type(x), tuple([kind_of(y, arrays) for y in x])
    if isinstance(x, dict):
        return dict, tuple([(name, kind_of(y, arrays)) for name, y in x.items()])
    return frozen(x)


def argument(x: Any, inputs: list[Tensor], capture: Capture) -> Any:
    """An argument with its arrays as Tensors, which are entered in ``inputs``."""
    if isinstance(x, Tensor) and x._node is not None:
        return x
    if isinstance(x, Tensor | np.ndarray | np.generic):
        array = array_of(x) if isinstance(x, Tensor) else np.asarray(x)
        inputs.append(wrap(array.view(ndarray)))  # which is another one where one is given twice
        capture.input(inputs[-1], not isinstance(x, Tensor))
        return inputs[-1]
    if isinstance(x, list | tuple):
        parts = [argument(y, inputs, capture) for y in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if isinstance(x, dict):
        return {name: argument(y, inputs, capture) for name, y in x.items()}
    return x


def taken_apart(result: Any, found: list[Any], capture: Capture) -> Any:
    """What a function returned, with a `Leaf` in the place of each array that is not the same."""
    if isinstance(result, Tensor | np.ndarray):
        if isinstance(result, Tensor) and capture.is_outside(result):
            return result
        found.append(result)
        return Leaf(len(found) - 1)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*[taken_apart(x, found, capture) for x in result])
    if isinstance(result, list | tuple):
        return type(result)([taken_apart(x, found, capture) for x in result])
    if isinstance(result, Mapping):
        return {name: taken_apart(x, found, capture) for name, x in result.items()}
    if isinstance(result, int | float | complex | str | bytes | np.generic | None):
        return result
    raise TypeError(
        f"the function returned a {type(result).__name__}, and a compiled one can return Tensors, "
        f"arrays, numbers, text, and dicts, lists and tuples of these"
    )


def rebuilt(structure: Any, arrays: list[Any]) -> Any:
    """What a function returns, with arrays in their places."""
    if isinstance(structure, Leaf):
        return arrays[structure.number]
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[rebuilt(x, arrays) for x in structure])
    if isinstance(structure, list | tuple):
        return type(structure)([rebuilt(x, arrays) for x in structure])
    if isinstance(structure, dict):
        return {name: rebuilt(x, arrays) for name, x in structure.items()}
    return structure


def changed_gradients(capture: Capture) -> list[tuple[Tensor, Any, Variable | None]]:
    """The Tensors whose ``grad`` the run has set, with what it is now.

    The third is None if that is no result of the run: then a replay sets the same Tensor, or None.
    """
    found = []
    for tensor, before in capture.gradients.values():
        now = tensor.grad
        if now is not before:
            variable = None if now is None or capture.is_outside(now) else capture.variable_of(now)
            found.append((tensor, now, variable))
    return found


def doubt_of_draws(capture: Capture) -> str:
    """Why a run is not to be replayed that drew random numbers outside of its steps, or nothing."""
    kernels = [step.primitive.kernel for step in capture.steps if step.primitive is not None]
    in_steps = {id(x) for x in reachable([x for x in kernels if not is_ours(x)])}
    drawn = {type(x).__name__ for x in capture.drawn_from() if id(x) not in in_steps}
    if not drawn:
        return ""
    return (
        f"it draws or counts in plain Python, by a {' and a '.join(sorted(drawn))}, and a replay "
        f"would go on with the numbers of one call"
    )


def way_back(x: Any, recording: bool) -> Any:
    """The node of a result that is recorded in eager mode: a way back that says it is none."""
    if not recording or not isinstance(x, Tensor) or x._node is None:
        return None
    leaf = Tensor(np.zeros(x.shape, x.dtype), requires_grad=True)
    return compiled_result()(leaf)._node


@functools.cache
def compiled_result() -> Any:
    """The op whose derivative refuses."""

    def refuse(g: Any) -> Any:
        raise RuntimeError(
            "a gradient has come to a result of a compiled function, which does not record what it "
            "does: compile all of the step, with backward() in it, or leave ag.compile away"
        )

    return primitive("$x", name="compiled", x=refuse)(lambda x: x)
