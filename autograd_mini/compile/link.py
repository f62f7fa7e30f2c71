"""Steps as a program: each result in a buffer, each call a line, and the whole compiled.

An array is given back as soon as nothing needs it any more, and the next result of that size takes
it; an elementwise call takes the array of an operand that it is the last to use.  Views of buffers
are made once, when the program is made.  Results of kernels that cannot write into a buffer are
*local*: they are new in each call, as are views of arguments.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from keyword import iskeyword
from typing import Any, NamedTuple

import numpy as np

from ..core import ops
from ..trace import Source
from .capture import Looking, Step, Variable, is_read_backwards
from .passes import last_uses, rooms

CHANGED = object()  # what a program returns when a guard does not hold
REDUCE = {
    ops.reduce_sum: np.add.reduce,
    ops.reduce_max: np.maximum.reduce,
    ops.reduce_min: np.minimum.reduce,
}
#: What two single numbers are compared by, which is quicker than the ufunc.
COMPARED = {
    **{np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">="},
    **{np.equal: "==", np.not_equal: "!="},
}
GENERATED = ("b", "c", "k", "p")  # what names are numbered
LARGE = 4096  # bytes: smaller arrays need not be given back before the end of a call


def executed(text: str, title: str, space: dict[str, Any]) -> Any:
    """The function that a text defines."""
    exec(compile(text, f"<captured {title}>", "exec"), space)
    return space[title]


class Program(NamedTuple):
    """Straight-line code that does what a captured run did.

    Attributes
    ----------
    run : callable
        Takes arrays, returns None, or `CHANGED` if a guard does not hold.
    text : str
        The code.
    buffers : list of ndarray
        All arrays that it owns.
    results : list of ndarray
        Where ``wanted`` stands after each call.
    """

    run: Callable[..., Any]
    text: str
    buffers: list[Any]
    results: list[Any]


class Writer:
    """Writes a program.

    Parameters
    ----------
    steps : list of Step
    inputs : dict of str to Variable
        The arguments, by name.
    wanted : list of Variable
        What has to be there at the end.
    title : str
        The name of the function.
    names : dict of int to str
        Names of arrays from outside, by their ``id``.
    """

    def __init__(
        self,
        steps: list[Step],
        inputs: Mapping[str, Variable],
        wanted: list[Variable],
        title: str = "program",
        names: Mapping[int, str] | None = None,
    ) -> None:
        title = proper(title)
        self.lines: list[str] = []
        self._names = {variable: name for name, variable in inputs.items()}
        self._given = names or {}
        self._bound: dict[Variable, Any] = {}  # buffers and their views
        self._space: dict[str, Any] = {"CHANGED": CHANGED, title: None, **dict.fromkeys(inputs)}
        self._known: dict[int, str] = {}  # the names of objects in the space
        self._counts: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))
        self._numbers: dict[tuple[Any, ...], Any] = {}  # as arrays
        self._local: dict[Variable, list[str]] = {}  # the names of a local array and its views
        self._last = last_uses(steps, wanted)
        self._inlined = asked_at_once(steps)
        self._place, sizes = rooms(steps, wanted)
        self.buffers = [np.empty(size, np.uint8) for size in sizes]
        source: Source | None = None
        for i, step in enumerate(steps):
            if step.source not in (None, source):
                source = step.source
                self.lines.append(f"# {source}: {source.text}" if source else "")
            self._write(i, step)
        results = [self._kept(variable) for variable in wanted]
        body = "".join([f"    {line}\n" for line in (*self.lines, "return None")])
        text = f"def {title}({', '.join(inputs)}):\n{self._header(inputs)}{body}"
        self.program = Program(executed(text, title, self._space), text, self.buffers, results)

    @staticmethod
    def _header(inputs: Mapping[str, Variable]) -> str:
        """What the arguments have to be."""
        arrays = [(name, variable.array) for name, variable in inputs.items()]
        return "".join([f"    # {name}: {x.shape} {x.dtype}\n" for name, x in arrays])

    # -- names --

    def _bind(self, thing: Any, prefix: str) -> str:
        """The name of an object in the program."""
        if id(thing) not in self._known:
            free = prefix not in self._space and prefix not in GENERATED
            name = prefix if free else self._numbered(prefix)
            self._known[id(thing)] = name
            self._space[name] = thing
        return self._known[id(thing)]

    def _numbered(self, prefix: str) -> str:
        """The next of ``b1``, ``b2``, ... that nothing has yet."""
        while (name := f"{prefix}{next(self._counts[prefix])}") in self._space:
            continue
        return name

    def _function(self, function: Any, name: str = "") -> str:
        return self._bind(function, proper(name or function.__name__))

    def _constant(self, x: Any) -> str:
        """A keyword argument or a number."""
        if x is None or isinstance(x, bool | int | str):
            return repr(x)
        if isinstance(x, float) and np.isfinite(x):
            return repr(x)
        if isinstance(x, tuple) and all(isinstance(y, int) for y in x):
            return repr(x)
        return self._bind(x, "k")

    def _text(self, x: Any) -> str:
        """An operand."""
        if not isinstance(x, Variable):
            return self._constant(x)
        if x not in self._names:
            assert x.kind in ("outside", "constant"), x
            self._bound[x] = x.array
            name = "c" if x.kind == "constant" else self._given.get(id(x.array), "p")
            self._names[x] = self._bind(x.array, proper(name))
        return self._names[x]

    def _array(self, x: Variable) -> Any:
        self._text(x)
        return self._bound[x]

    def _is_local(self, x: Variable) -> bool:
        """Whether an array is another one in each call."""
        self._text(x)
        return x not in self._bound

    # -- arrays --

    def _kept(self, x: Variable) -> Any:
        """The array in which a result stands after each call."""
        if not self._is_local(x):
            return self._array(x)
        buffer = np.empty_like(x.array)[...]  # a view, as all results are
        self.buffers.append(buffer)
        self.lines.append(
            f"{self._function(np.copyto)}({self._bind(buffer, 'b')}, {self._text(x)})"
        )
        return buffer

    # -- lines --

    def _write(self, i: int, step: Step) -> None:
        """A step as lines."""
        operands = [self._text(x) for x in step.operands]
        result = step.result
        dying = [x for x in dict.fromkeys(x.root for x in step.variables) if self._last[x] == i]
        if step.primitive is None:
            negation = "not " if step.statics["is"] else ""
            self.lines.append(f"if {negation}{operands[0]}: return CHANGED")
        elif step.target is not None:
            self.lines.append(self._call(step, operands, self._text(step.target), step.target))
        elif result is None:
            self.lines.append(self._plain(step, operands))
        elif result in self._inlined:
            self._names[result] = self._number(step, operands)
        elif result.kind == "view":
            self._look(step, result, operands)
        elif result in self._place:
            array = in_layout_of(result.array, self.buffers[self._place[result]])
            self._bound[result] = array
            self._names[result] = self._bind(array, "b")
            self.lines.append(self._call(step, operands, self._names[result], result))
        else:
            self._names[result] = self._new("r", result)
            self.lines.append(f"{self._names[result]} = {self._plain(step, operands)}")
        if result is not None and result.root is result and self._last[result] == i:
            dying.append(result)
        for x in dying:
            if x in self._local and x.array.nbytes >= LARGE:
                self.lines.append(f"{' = '.join(self._local[x])} = None")

    def _new(self, prefix: str, variable: Variable) -> str:
        """A name for what is another array in each call."""
        name = self._numbered(prefix)
        self._space[name] = None
        self._local.setdefault(variable.root, []).append(name)
        return name

    def _number(self, step: Step, operands: list[str]) -> str:
        """A single number as an expression."""
        kernel = getattr(step.primitive, "kernel", None)
        if kernel in COMPARED:
            return f"{operands[0]} {COMPARED[kernel]} {operands[1]}"
        return self._plain(step, operands)

    def _look(self, step: Step, result: Variable, operands: list[str]) -> None:
        """A view: made now if it is one of a buffer, else in each call."""
        if any(self._is_local(x) for x in step.variables):
            self._names[result] = self._new("v", result)
            self.lines.append(f"{self._names[result]} = {self._plain(step, operands)}")
            return
        arrays = [self._array(x) if isinstance(x, Variable) else x for x in step.operands]
        assert step.primitive is not None
        view = step.primitive.kernel(*arrays, **step.statics)
        self._bound[result] = view
        self._names[result] = self._bind(view, "b")

    def _call(self, step: Step, operands: list[str], out: str, target: Variable) -> str:
        """A call that writes into ``out``."""
        primitive, statics = step.primitive, step.statics
        assert primitive is not None
        if primitive.kernel is np.matmul and is_quicker_by_dot(target.array, *step.variables):
            return f"{self._function(np.dot)}({', '.join(operands)}, {out})"
        if step.kind in ("write", "cast", "copy"):
            key = statics.get("key", ...)
            if key is not ...:
                return f"{out}[{self._key(key, operands[1:])}] = {operands[0]}"
            if all(x.array.ndim == 0 for x in (target, *step.variables)):
                return f"{out}[()] = {operands[0]}"
            return f"{self._function(np.copyto)}({out}, {operands[0]}, 'unsafe')"
        if step.kind == "reduction":
            axes = statics["axis"]
            axis = axes[0] if len(axes) == 1 else None if len(axes) == rank(step) else axes
            reduce: Any = REDUCE[primitive]  # type: ignore[index]
            name = self._function(reduce, f"{reduce.__self__.__name__}_reduce")
            return f"{name}({operands[0]}, {axis}, None, {out}, True)"
        if step.kind == "join":
            arrays = ", ".join(operands)
            return f"{self._function(np.concatenate)}(({arrays},), {statics['axis']}, {out})"
        if isinstance(primitive.kernel, np.ufunc):
            if is_count(step, target) and operands[0] == out:
                return f"{out}[()] += {operands[1]}"
            operands = self._exact(step, operands)
            if primitive.kernel in (np.maximum, np.minimum):  # a third argument is deprecated there
                out = f"out={out}"
            return f"{self._function(primitive.kernel)}({', '.join(operands)}, {out})"
        return f"{self._plain(step, operands)[:-1]}, out={out})"

    def _exact(self, step: Step, operands: list[str]) -> list[str]:
        """Numbers as arrays of the dtype that NumPy gives them, which is quicker."""
        kernel = step.primitive.kernel  # type: ignore[union-attr]
        if not any(type(x) in (int, float) for x in step.operands):
            return operands
        kinds = [x.array.dtype if isinstance(x, Variable) else type(x) for x in step.operands]
        try:
            dtypes = kernel.resolve_dtypes((*kinds, None))  # type: ignore[union-attr]
            pairs = list(zip(step.operands, dtypes, strict=False))
            arrays = [np.array(x, d) if type(x) in (int, float) else None for x, d in pairs]
        except (OverflowError, TypeError):  # NumPy has ways of its own, as for -1 < uint8
            return operands
        texts = []
        for (x, dtype), array, text in zip(pairs, arrays, operands, strict=True):
            key = (type(x), repr(x), dtype)
            known = text if array is None else self._bind(self._numbers.setdefault(key, array), "c")
            texts.append(known)
        return texts

    def _plain(self, step: Step, operands: list[str]) -> str:
        """A call that makes its own array."""
        primitive, statics = step.primitive, step.statics
        assert primitive is not None
        if step.kind == "reshape":
            return f"{operands[0]}.reshape({statics['shape']})"
        if step.kind == "permutation":
            return f"{operands[0]}.transpose({statics['axes']})"
        if step.kind == "index":
            return f"{operands[0]}[{self._key(statics['key'], operands[1:])}]"
        named = [f"{name}={self._constant(x)}" for name, x in statics.items()]
        if isinstance(primitive, Looking) and hasattr(np.ndarray, primitive.name):
            return f"{operands[0]}.{primitive.name}({', '.join([*operands[1:], *named])})"
        function = self._function(primitive.kernel, primitive.name)
        return f"{function}({', '.join([*operands, *named])})"

    def _key(self, key: Any, indices: list[str]) -> str:
        """An index as code."""
        rest = iter(indices)
        parts = key if isinstance(key, tuple) else (key,)
        texts = [next(rest) if part is ops.Index else self._key_part(part) for part in parts]
        return ", ".join(texts) or "()"

    def _key_part(self, part: Any) -> str:
        if isinstance(part, slice) and all(
            x is None or type(x) is int for x in (part.start, part.stop, part.step)
        ):
            ends = ["" if x is None else str(x) for x in (part.start, part.stop)]
            return ":".join(ends) + (f":{part.step}" if part.step is not None else "")
        return "..." if part is ... else self._constant(part)


def proper(name: str) -> str:
    """A name that Python takes for one."""
    name = re.sub(r"\W", "_", name)
    return name if name.isidentifier() and not iskeyword(name) else f"p{name}"


def asked_at_once(steps: list[Step]) -> set[Variable]:
    """The single numbers that are computed for a guard, in the lines before it, and used once."""
    uses = Counter(x for step in steps for x in step.variables)
    found: set[Variable] = set()
    for i, step in enumerate(steps):
        asked = step.variables[:1] if step.primitive is None else []
        for before in reversed(steps[:i]):
            is_number = (
                isinstance(before.primitive, Looking)
                or (before.kind == "index" and before.statics["key"] == (ops.Index,))
                or getattr(before.primitive, "kernel", None) in COMPARED
            )
            if (
                before.result not in asked
                or before.result.array.ndim
                or not is_number
                or uses[before.result] != 1
            ):
                break
            found.update(asked)
            asked = [x for x in before.variables if x.array.ndim == 0][:1]
    return found


def is_count(step: Step, target: Variable) -> bool:
    """Whether a step adds a number of Python to a single integer."""
    plain = target.array.ndim == 0 and target.array.dtype == np.int64
    added = getattr(step.primitive, "kernel", None) is np.add
    return plain and added and type(step.operands[1]) is int


def is_quicker_by_dot(y: Any, a: Variable, b: Variable) -> bool:
    """Whether ``np.dot`` gives the bits of ``np.matmul``, in half the time if these are small.

    Where one side has length 1 they may take different ways through BLAS, and before NumPy 2.3
    where one is read backwards.
    """
    if not (y.ndim == a.array.ndim == b.array.ndim == 2):
        return False
    if is_read_backwards(a.array) or is_read_backwards(b.array):
        return False
    return bool(min(y.shape) > 1 and y.flags.c_contiguous)


def rank(step: Step) -> int:
    """The number of axes of a reduction's operand."""
    return len(step.variables[0].array.shape)


def in_layout_of(like: Any, buffer: Any) -> Any:
    """The bytes of a buffer as an array like another one."""
    order = sorted(range(like.ndim), key=lambda i: -abs(like.strides[i]))
    array = buffer[: like.nbytes].view(like.dtype).reshape([like.shape[i] for i in order])
    return array.transpose(ops.inverse(tuple(order)))
