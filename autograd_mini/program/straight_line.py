"""A run as a program: straight-line NumPy, forward and backward, that needs nothing but NumPy.

Each recorded call becomes one line.  What a line says comes from the kernel that the engine ran:
NumPy's functions by their names, kernels of one expression as that expression, and all others as
functions of the calls that they consist of, or as their source if they cannot be taken apart.  So
the program cannot drift from the engine, and computes the same bits.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..formulas import gradient_value, named, write
from ..text import clean
from ..trace import Call, Trace, Value, same
from .kernels import Kernels, filled
from .literals import (
    CHECK_ARRAY,
    FUNCTION,
    MOST_DATA,
    Names,
    array_text,
    called_with,
    identifier,
    indented,
    parsed,
    regular,
    size_of,
)

MOST_CONSTANT = 16  # numbers of an array without a name that is written into a line
#: What the program does first.
CHECK = f"""\
def {CHECK_ARRAY}(name, array, shape, kind):
    \"\"\"Refuse data of another shape or kind than those that the lines below are for.\"\"\"
    if np.shape(array) != shape:
        raise ValueError(
            f"{{name}} has shape {{np.shape(array)}}, but this program, written from a recorded "
            f"run, is for {{shape}}"
        )
    if not np.issubdtype(np.asarray(array).dtype, kind):
        raise ValueError(
            f"{{name}} is an array of {{np.asarray(array).dtype}}, but this program, written from "
            f"a recorded run, computes with {{kind.__name__}}: convert it"
        )"""
KINDS = {"f": "np.floating", "i": "np.integer", "u": "np.integer", "b": "np.bool_"}
#: What stands above arrays that nobody gave a name.
UNNAMED = "# without a name, as in the run: also what NumPy made of data without Tensors"


# ---- what belongs to the program ----------------------------------------------------------------


def refuse_writes(run: Trace, calls: Iterable[Call]) -> None:
    """Raise if an array was written into while calls used it, by a call or behind its back."""
    first: dict[int, Value] = {}
    for value in run.values:
        first.setdefault(id(value.live), value)
    used: dict[int, Value] = {}
    for call in calls:
        if call.primitive.kind == "write" or is_other(first[id(call.output.live)], call.output):
            refuse_write(first[id(call.output.live)], f" (by {call.primitive.name})")
        for x in call.arrays:
            if is_other(used.setdefault(id(x.live), x), x):
                refuse_write(x, "")


def is_other(before: Value, now: Value) -> bool:
    """Whether an array held something else at another use."""
    return before is not now and not same(before.array, now.array)


def refuse_write(value: Value, how: str) -> NoReturn:
    """Raise: an array is more than one quantity."""
    raise ValueError(
        f"{clean(value.name or 'an array')} of shape {value.shape} was written in place between "
        f"its uses{how}, and a program of one line per quantity cannot say that: record one "
        f"forward and backward pass, without the update in between"
    )


def refuse_unknown(calls: Iterable[Call]) -> None:
    """Raise if running a call again does not give what the run recorded."""
    for call in calls:
        arrays = [x.array if isinstance(x, Value) else as_given(x) for x in call.operands]
        with np.errstate(all="ignore"):
            again = call.run(*arrays)
        then = call.output.array
        noise = np.sqrt(np.finfo(then.dtype).eps) if then.dtype.kind in "fc" else 0
        scale = np.max(np.abs(then[np.isfinite(then)]), initial=0) if noise else 0
        if again.shape != then.shape or not np.allclose(
            again, then, rtol=0, atol=noise * scale, equal_nan=True
        ):
            raise ValueError(
                f"the record does not suffice for a program: {call.primitive.name} of the recorded "
                f"operands does not give the recorded result of shape {call.output.shape}. A run "
                f"made from a graph need not know all of its values (value.kept): record it with "
                f"ag.trace"
            )


def as_given(x: Any) -> Any:
    """An operand that is no array as its kernel gets it."""
    return np.asarray(x) if isinstance(x, list | tuple) else x


def minds_scalars(call: Call) -> bool:
    """Whether a kernel does not do the same with NumPy's scalars as with arrays of shape ()."""
    arrays = [x.array if isinstance(x, Value) else as_given(x) for x in call.operands]
    scalars = [x[()] if isinstance(x, np.ndarray) and not x.ndim else x for x in arrays]
    try:
        with np.errstate(all="ignore"):
            return not same(call.run(*scalars), call.run(*arrays))
    except Exception:
        return True


def data_of(value: Value) -> Any:
    """What a value held when it was used first, in the order in memory that it had if known."""
    return value.live if same(value.live, value.array) else value.array


# ---- the program --------------------------------------------------------------------------------


class Program:
    """A run being written down."""

    def __init__(self, run: Trace, cost: Value, by: Sequence[Value]) -> None:
        self.run, self.cost, self.by = run, cost, list(by)
        self.gradients = [gradient_value(value) for value in self.by]
        self.seed = gradient_value(cost)
        forward = {*run.calls_behind([cost])}
        self.calls = run.calls_behind([cost, *self.gradients])
        self.forward = [call for call in self.calls if call in forward]
        self.backward = [call for call in self.calls if call not in forward]
        refuse_writes(run, self.calls)
        refuse_unknown(self.calls)
        self.sums = {call: value for value in run.values for call in value.additions}
        self.used = Counter(x for call in self.calls for x in call.arrays)
        outputs = {call.output for call in self.calls}
        self.values = [x for x in run.values if x in outputs or x in self.used]
        self.values += [x for x in (cost, *self.by) if x not in {*self.values}]
        for value in self.values:
            if not isinstance(value.live, np.ndarray | np.generic):
                raise TypeError(f"programs are for NumPy's arrays, not {type(value.live)}")
        self.names = Names()
        self.kernels = Kernels(self.names)
        self.text: dict[Value, ast.expr] = {}
        self.written: dict[Call, str] = {}
        self.constants: list[str] = []
        self._name_what_users_named()
        leaves = [x for x in self.values if x not in outputs and x is not self.seed]
        self.derived = {
            x: x.derived
            for x in leaves
            if x.derived and not x.name and x.derived.source in {*leaves}
        }
        self.arguments = [x for x in leaves if self._is_argument(x)]
        if not is_ones(self.seed, cost) and self.seed not in outputs:
            self.arguments.append(self.seed)
        self.arguments.sort(key=lambda x: x.kind != "parameter")
        for value in self.arguments:
            self._number(value, "p" if value.kind == "parameter" else "x")
        for value in leaves:
            if value not in self.text:
                self._write_constant(value)
        self.returned: list[str] = []  # the names of the gradients
        self._body = self._lines()

    # -- names --

    def _name_what_users_named(self) -> None:
        for value in self.values:
            if value.name:
                self._call(value, identifier(value.name))
        self._call(self.cost, "cost")

    def _call(self, value: Value, wanted: str) -> str:
        """The name of a value, made now if it has none."""
        if value not in self.text:
            self.text[value] = ast.Name(self.names.new(wanted), ast.Load())
        return ast.unparse(self.text[value])

    def _number(self, value: Value, letter: str) -> str:
        """The name of a value; ``u1`` or the like if it has none."""
        if value not in self.text:
            self.text[value] = ast.Name(self.names.numbered(letter), ast.Load())
        return ast.unparse(self.text[value])

    def _is_argument(self, value: Value) -> bool:
        if value in self.derived:
            return False
        return is_given(value, self.by)

    def _write_constant(self, value: Value) -> None:
        """A small array without a name stands in the program itself."""
        if value in self.derived:
            function, source = self.derived[value]
            text = write(function(named("x", source.array)), "python")
            self.text[value] = filled(text, {"x": self.text[source]})
            return
        text = array_text(data_of(value))
        if not value.array.ndim:
            self.text[value] = parsed(text)
        else:
            self.constants.append(f"{self._number(value, 'c')} = {text}")

    def _name_gradients(self) -> None:
        """``d<name>`` for each gradient; if several values have one and the same, the named one."""
        owners: dict[Value, Value] = {}
        for value in self.values:  # later ones come first on the way back
            gradient = value.gradient
            if gradient is None or (value.call and value.call not in self.written):
                continue
            before = owners.get(gradient)
            if before is None or bool(value.name) >= bool(before.name):
                owners[gradient] = value
        for gradient, value in owners.items():
            if value in self.text and isinstance(self.text[value], ast.Name):
                self._call(gradient, identifier(f"d{ast.unparse(self.text[value])}"))

    # -- lines --

    def _lines(self) -> list[str]:
        lines = ["# ---- forward ----", *[UNNAMED] * bool(self.constants), *self.constants]
        told = None
        for call in self.forward:
            statement = self._statement(call, "u")
            place = where_from(call)
            if statement and place and place != told and place != statement[0]:
                lines.append(f"# {place}")
            told = place or told
            lines += statement
        self._name_gradients()
        cost = ast.unparse(self.text[self.cost])
        lines += ["", f"# ---- backward: d<name> is the derivative of {cost} by <name> ----"]
        needed = self.used[self.seed] or self.seed in self.gradients
        if needed and self.seed not in self.arguments:
            lines.append(f"{self._call(self.seed, f'd{cost}')} = np.ones_like({cost})")
        through: Any = None
        for call in self.backward:
            statement = self._statement(call, "t")
            step = call.pull.call if call.pull else self.sums.get(call)
            if statement and step is not through:
                lines += self._chain_rule(call)
                through = step
            lines += statement
        for value, gradient in zip(self.by, self.gradients, strict=True):
            name, known = f"d{ast.unparse(self.text[value])}", ast.unparse(self.text[gradient])
            if name not in self.names.taken:
                lines.append(f"{self.names.new(name)} = {known}")
                known = name
            self.returned.append(known)
        return lines

    def _chain_rule(self, call: Call) -> list[str]:
        """A comment that says which step back the lines that follow are."""
        if call.pull:
            step = self.written.get(call.pull.call)
            return [f"# back through {step}"] if step else []
        owner = self.sums.get(call)
        if owner is None or owner not in self.text:
            return []
        return [f"# {ast.unparse(self.text[owner])} was used more than once: its shares add up"]

    def _operand(self, call: Call, x: Any) -> ast.expr:
        """An operand of a call as it stands in the call's line."""
        if not isinstance(x, Value):
            return parsed(
                array_text(np.asarray(x))
                if isinstance(x, list | tuple)
                else (self.kernels.literal(x))
            )
        if x.call is not None and not x.array.ndim and minds_scalars(call):
            return ast.Call(parsed("np.asarray"), [self.text[x]], [])
        return self.text[x]

    def _statement(self, call: Call, letter: str) -> list[str]:
        """The line of a call; none for a transposition that can stand where it is used."""
        operands = [self._operand(call, x) for x in call.operands]
        if call.primitive.kind == "scatter":
            x, *indices = operands
            masks = all(index.dtype == bool for index in call.arrays[1:])
            lines = self.kernels.scattered(
                self._number(call.output, letter), ast.unparse(x), indices, masks, call.statics
            )
            self.written[call] = lines[-1]
            return lines
        arrays = [data_of(x) if isinstance(x, Value) else as_given(x) for x in call.operands]
        expression = self.kernels.expression(call.primitive, operands, arrays, call.statics)
        text = ast.unparse(ast.fix_missing_locations(expression))
        result = call.output
        kept = result in self.text or result in self.gradients or self.used[result] > 1
        if call.primitive.kind == "permutation" and text.endswith(".T") and not kept:
            self.text[result], self.written[call] = expression, text
            return []
        line = f"{self._number(result, letter)} = {text}"
        self.written[call] = line
        return [line]

    def _is_shared(self, gradient: Value) -> bool:
        """Whether a gradient is in the memory of something else: then a copy is returned."""
        held = [np.asarray(x.live) for x in (*self.arguments, *self.gradients) if x is not gradient]
        live = np.asarray(gradient.live)
        again = self.gradients.count(gradient) > 1 or gradient in self.arguments
        view = live.base is not None
        return again or view or any(np.may_share_memory(live, x) for x in held)

    def __str__(self) -> str:
        cost = ast.unparse(self.text[self.cost])
        pairs = [
            f'"{ast.unparse(self.text[x])}": {name}{".copy()" * self._is_shared(gradient)}'
            for x, name, gradient in zip(self.by, self.returned, self.gradients, strict=True)
        ]
        return written_out(
            self.kernels,
            cost,
            {ast.unparse(self.text[x]): x for x in self.arguments},
            [ast.unparse(self.text[x]) for x in self.by],
            [*self._body, called_with(f"return {cost}, {{", pairs, "}")],
            "the same bits",
        )


def written_out(
    kernels: Kernels,
    cost: str,
    arguments: dict[str, Value],
    by: Sequence[str],
    body: Sequence[str],
    exactly: str,
) -> str:
    """A module with the function, what that needs, and the data of the run if they are few."""
    scipy = any("scipy" in x for x in kernels.imports)
    ours = [x for x in kernels.imports if "numpy" not in x and "scipy" not in x]
    imports = sorted(ours, key=lambda x: (x.startswith("from"), x)) + [""] * bool(ours)
    imports += ["import numpy as np", *sorted({*kernels.imports} - {*ours})]
    parts = [
        f'"""{cost} and its gradients, forward and backward, line by line.\n\n'
        f"Written by autograd_mini from a recorded run.  It needs "
        f"{'NumPy and SciPy' if scipy else 'NumPy alone'} and computes\n"
        f"{exactly}.  Branches, masks, and numbers and arrays\n"
        f'without a name are those of that run.\n"""',
        "\n".join(imports),
    ]
    if kernels.constants:
        parts.append("\n".join([f"{name} = {text}" for name, text in kernels.constants.items()]))
    described = [
        f"{name}: shape {x.shape}, {x.dtype}{order_of(x)}" for name, x in arguments.items()
    ]
    lines = [f'"""{cost}, and its gradients by {", ".join(by)}.', "", *described, '"""']
    lines += [
        f'{CHECK_ARRAY}("{name}", {name}, {x.shape}, {KINDS.get(x.dtype.kind, "np.generic")})'
        for name, x in arguments.items()
    ]
    head = called_with(f"def {FUNCTION}(", [*arguments], "):")
    main = indented("\n".join([*lines, *body]))
    blocks = ["\n\n".join(parts), *kernels.functions.values(), CHECK, f"{head}\n{main}"]
    if sum(map(size_of, arguments.values())) <= MOST_DATA:
        blocks.append(example(arguments, cost))
    return "\n\n\n".join(blocks) + "\n"


def function_of(text: str) -> Callable[..., Any]:
    """The function of a program, which is in our own words.

    A text that has been run cannot be wrong unnoticed, and so this uses ``exec``.  Of what users
    give, the text holds names, all made identifiers; comments, of one line each; data, written as
    numbers; and kernels of their own ops, which the run has called already.
    """
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, "<program>", "exec"), namespace)
    function: Callable[..., Any] = namespace[FUNCTION]
    return function


def example(arguments: dict[str, Value], cost: str) -> str:
    """The data of the run, and what comes out."""
    lines = [
        *[f"{name} = {array_text(data_of(x))}" for name, x in arguments.items()],
        called_with(f"{cost}, gradients = {FUNCTION}(", [*arguments], ")"),
        f'print("{cost} =", {cost})',
        "for name, gradient in gradients.items():",
        '    print(f"d{name} =\\n{gradient}")',
    ]
    return 'if __name__ == "__main__":\n' + indented("\n".join(lines))


def is_given(value: Value, by: Sequence[Value]) -> bool:
    """Whether something from outside is an argument of the program's function."""
    if value.kind == "parameter" or value.name or value in by:
        return True
    return size_of(value) > MOST_CONSTANT and regular(value.array) is None


def is_ones(seed: Value, cost: Value) -> bool:
    """Whether a backward pass began with 1."""
    return same(seed.array, np.ones_like(cost.array))


def order_of(value: Value) -> str:
    """How an array lies in memory, if not row by row: results can depend on it in the last bit."""
    live = np.asarray(value.live)
    if live.flags.c_contiguous:
        return ""
    return ", column by column in memory" if live.flags.f_contiguous else ", not contiguous"


def where_from(call: Call) -> str:
    """The module or the user's line that a call belongs to."""
    if call.scopes:
        scope = call.scopes[-1]
        return clean(f"{scope.path or scope.name}: {scope.kind}")
    return clean(call.source.text) if call.source else ""
