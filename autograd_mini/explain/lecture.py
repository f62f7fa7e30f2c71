"""A run as a program in the form of a lecture: the lines of `explain`, in their simplest form.

The text that comes out is run once on the data of the run, and every line of it compared with what
the engine computed, so that a formula that was written down wrongly is an error and no number.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.primitive import Primitive
from ..formulas import Symbol, gradient_value, operands_first, write
from ..program.kernels import Kernels
from ..program.literals import (
    LONGEST_LINE,
    Names,
    array_text,
    called_with,
    dtype_text,
    identifier,
    indented,
    number_text,
    parsed,
)
from ..program.straight_line import (
    UNNAMED,
    data_of,
    function_of,
    is_given,
    refuse_writes,
    written_out,
)
from ..text import clean
from ..trace import Trace, Value
from .constants import Constant
from .explanation import Explanation
from .lines import Derivation, Line

TOLERANCE = 1e-12  # of simplified lines, relative to the largest element


def in_lecture_form(run: Trace, wrt: Iterable[Any] | None) -> str:
    """The lines of `explain` in their simplest form as a program."""
    cost, by = run.differentiated(wrt)
    refuse_writes(run, run.calls_behind([cost, *map(gradient_value, by)]))
    form = Form(run, cost, by)
    form.prove(executed(form.text(["return locals()"]), form.data))
    return form.text([form.result])


class Statement(NamedTuple):
    """A line of a program, and what is said behind it."""

    code: str
    comment: str = ""

    def __str__(self) -> str:
        comment = f"  # {self.comment}" if self.comment else ""
        return folded(self.code) + comment


def folded(code: str) -> str:
    """A line, or where it is a long sum, a line for each term."""
    (statement,) = ast.parse(code).body
    if len(code) <= LONGEST_LINE - 4 or not isinstance(statement, ast.Assign):
        return code
    terms: list[str] = []
    rest = statement.value
    while isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Add | ast.Sub):
        sign = "+" if isinstance(rest.op, ast.Add) else "-"
        right = ast.unparse(rest.right)
        inner = isinstance(rest.right, ast.BinOp) and isinstance(rest.right.op, ast.Add | ast.Sub)
        terms.append(f"{sign} ({right})" if inner else f"{sign} {right}")
        rest = rest.left
    if not terms:
        return code
    lines = [ast.unparse(rest), *reversed(terms)]
    return f"{ast.unparse(statement.targets[0])} = (\n{indented(chr(10).join(lines))}\n)"


class Form:
    """The lines of an explanation as the lines of a program."""

    def __init__(self, run: Trace, cost: Value, by: list[Value]) -> None:
        self.cost, self.by = cost, by
        self.explanation = Explanation(Derivation(run, cost, by, True), False)
        self.names = Names()
        self.kernels = Kernels(self.names)
        self.dtype = cost.dtype
        lines, quantities = self.explanation.lines, self.explanation.quantities
        self.called = {
            name: self.names.new(identifier(name))
            for name in dict.fromkeys([*quantities, *(line.name for line in lines)])
        }
        self.numbers = {  # a number may be called like one of these
            name: self.names.new(identifier(name)) for name in self.explanation.constants
        }
        self._write()

    def name(self, leaf: Symbol) -> str:
        """What a number, a quantity or a gradient is called in the program."""
        quantity = leaf in self.explanation._derivation.leaves
        return (self.called if quantity else self.numbers)[str(leaf.name)]

    def _write(self) -> None:
        """Write all lines."""
        quantities = self.explanation.quantities
        given = {self.called[name]: x for name, x in quantities.items() if is_given(x, self.by)}
        self.arguments = dict(sorted(given.items(), key=lambda pair: pair[1].kind != "parameter"))
        self.constants = {
            self.numbers[name]: number_text(x) for name, x in self.explanation.constants.items()
        }
        self.unnamed = {
            self.called[name]: array_text(data_of(x))
            for name, x in quantities.items()
            if self.called[name] not in given
        }
        self.forward: list[Statement] = []
        self.backward: list[Statement] = []
        last: list[Statement] = []
        for line in self.explanation.lines:
            before, text = self._formula(line.symbol)
            code = f"{self.called[line.name]} = {text}"
            if line.phase == "backward":
                why = "; ".join([clean(step.name) for step in line.steps])
                self.backward += [*before, Statement(code, why)]
            else:
                (last if line.value is self.cost else self.forward).extend(
                    [*before, Statement(code)]
                )
        self.forward += last

    def _formula(self, symbol: Symbol) -> tuple[list[Statement], str]:
        """A formula as code that needs NumPy alone, and lines that go before it.

        Functions that are not NumPy's are those of the program.  What adds to parts of an array
        takes lines of its own.
        """
        found: dict[Symbol, Symbol] = {}
        before: list[Statement] = []
        for x in operands_first(symbol):
            operands = tuple([found[y] for y in x.operands])
            found[x] = x
            if x.kind == "scatter":
                texts = [self._text(y) for y in operands]
                added, name = self.names.numbered("t"), self.names.numbered("t")
                masks = all(np.asarray(y.array).dtype == bool for y in operands[1:])
                places = [parsed(text) for text in texts[1:]]
                written = self.kernels.scattered(name, added, places, masks, x.statics)
                before += map(Statement, [f"{added} = {texts[0]}", *written])
                self.numbers[name] = name
                found[x] = Symbol(x.array, name)
            elif (op := x.primitive) and "$" not in (op.python or "") and x.python[:3] != "np.":
                arrays = [np.asarray(y.array) for y in x.operands]
                name, statics = self.kernels.function(op, arrays, x.statics)
                op = Primitive(op.kernel, op.template, {}, op.name, op.kind, name, op.analytic)
                found[x] = Symbol(x.array, None, op, operands, statics)
            elif operands != x.operands:
                found[x] = Symbol(x.array, x.name, x.primitive, operands, x.statics)
        return before, self._text(found[symbol])

    def _text(self, symbol: Symbol) -> str:
        """An expression of NumPy's functions and the program's as code."""
        return Readable(self.dtype).text(parsed(write(symbol, "python", self.name)))

    # -- what comes out --

    @property
    def data(self) -> list[Any]:
        """What the function is called with: the data of the run, not to be written to."""
        return [x.array.copy() for x in self.arguments.values()]

    def prove(self, found: dict[str, Any]) -> None:
        """Compare all that a program computed with the run, and say what it is to return."""
        for line in self.explanation.lines:
            off = unlike(line, found[self.called[line.name]])
            if not off <= accuracy(line.value.dtype):
                raise ValueError(
                    f"the simple form of {clean(line.name)} is {off:.0e} away from what the run "
                    f"computed: write the program with simplify=False"
                )
        gradients = {
            self._called(value): self.called[line.name]
            for value in self.by
            for line in self.explanation.backward
            if line.value is value
        }
        self.gradients = gradients
        held = [found[name] for name in {*self.arguments, *gradients.values()}]
        pairs = [
            f'"{name}": {gradient}{finished(found[gradient], gradient_value(value), held)}'
            for (name, gradient), value in zip(gradients.items(), self.by, strict=True)
        ]
        self.result = called_with(f"return {self._called(self.cost)}, {{", pairs, "}")

    def _called(self, value: Value) -> str:
        """What a value is called in the program."""
        quantities = {x: name for name, x in self.explanation.quantities.items()}
        results = {line.value: line.name for line in self.explanation.forward}
        return self.called[(quantities | results)[value]]

    def text(self, end: Sequence[str]) -> str:
        """The program, with a last line."""
        constants = [f"{name} = {text}" for name, text in self.constants.items()]
        unnamed = [f"{name} = {text}" for name, text in self.unnamed.items()]
        body = ["# ---- forward ----", *constants, *[UNNAMED] * bool(unnamed), *unnamed]
        body += [*map(str, self.forward), "", "# ---- backward ----"]
        body += [*self._assumptions(), *self._notes()]
        return written_out(
            self.kernels,
            self._called(self.cost),
            self.arguments,
            [self._called(value) for value in self.by],
            [*body, *map(str, self.backward), *end],
            "what the run computed, but for rounding",
        )

    def _assumptions(self) -> list[str]:
        """Assertions of what the lines take to be true of the data."""
        found = {x: None for step in self.explanation.steps for x in step.since}
        return [
            f"assert np.allclose(np.sum({self.called[x.name]}, axis={x.axis}), 1)"
            f"  # {clean(str(x))}"
            for x in sorted(found)
        ]

    def _notes(self) -> list[str]:
        """Comments that say which gradients are written without their constant."""
        scales: dict[float, list[str]] = {}
        for line in self.explanation.backward:
            if line.scale != 1:
                scales.setdefault(line.scale, []).append(self.called[line.name])
        return [
            f"# {', '.join(names)}: {self._factor(scale)} times the gradient, and the factor comes "
            f"at the end"
            for scale, names in scales.items()
        ]

    def _factor(self, scale: float) -> str:
        """What a gradient without its constant has to be divided by."""
        return write(Constant.of(scale).inverse.symbol, "python", self.name)


class Readable(ast.NodeTransformer):
    """Formulas as a program has them: NumPy in the words of its readers."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = "" if dtype == np.float64 else f", dtype={dtype_text(dtype)}"

    def text(self, tree: ast.expr) -> str:
        """A formula as code."""
        return ast.unparse(ast.fix_missing_locations(self.visit(tree)))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A number everywhere as ``np.ones`` and such."""
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Attribute(attr="broadcast_to"), [number], [ast.keyword(value=shape)]):
                return self._repeated(number, shape) or node
            case ast.Call(ast.Attribute(attr="broadcast_to"), [number, shape], []):
                return self._repeated(number, shape) or node
        return node

    def _repeated(self, number: ast.expr, shape: ast.expr) -> ast.expr | None:
        """An array of one number everywhere; None if it is no number that stands there."""
        if any(not isinstance(x, NUMERIC) for x in ast.walk(number)):
            return None
        text = ast.unparse(number)
        make = {"0": "np.zeros", "1": "np.ones"}.get(text)
        if make:
            return parsed(f"{make}({ast.unparse(shape)}{self.dtype})")
        return parsed(f"np.full({ast.unparse(shape)}, {text}{self.dtype or ', dtype=float'})")

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """``1.0 * (x > 0)``: numbers, and not integers."""
        self.generic_visit(node)
        match node:
            case ast.BinOp(ast.Constant(value=1), ast.Mult(), ast.Compare()):
                node.left = ast.Constant(1.0)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        """One axis without a tuple around it."""
        if node.arg == "axis" and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 1:
            node.value = node.value.elts[0]
        return node


NUMERIC = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)


# ---- proofs -------------------------------------------------------------------------------------


def executed(text: str, data: Sequence[Any]) -> dict[str, Any]:
    """What the function of a program returns."""
    try:
        with np.errstate(all="ignore"):
            found: dict[str, Any] = function_of(text)(*data)
    except Exception as error:
        raise ValueError(
            f"the simple form cannot be run ({type(error).__name__}: {clean(str(error))}): "
            f"write the program with simplify=False"
        ) from error
    return found


def unlike(line: Line, found: Any) -> float:
    """How far a number is from what the engine computed, relative to the largest element."""
    value = gradient_value(line.value) if line.phase == "backward" else line.value
    true, found = value.array, np.asarray(found) * float(line.scale)
    if found.shape != true.shape:
        return np.inf
    with np.errstate(all="ignore"):
        equal = (found == true) | ((found != found) & (true != true))
        off = np.max(np.abs(np.where(equal, 0, found - true)), initial=0)
        scale = float(np.max(np.abs(true), initial=0, where=np.isfinite(true))) or 1.0
        return float(off) / scale


def accuracy(dtype: np.dtype[Any]) -> float:
    """How far a line may be from what the engine computed."""
    rounding = 64 * float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
    return rounding if rounding > 1e-8 else TOLERANCE


def finished(found: Any, gradient: Value, held: Sequence[Any]) -> str:
    """What makes an array of its own of a result, of the right dtype."""
    if np.asarray(found).dtype != gradient.dtype:
        return f".astype({dtype_text(gradient.dtype)})"
    if np.ndim(found) == 0 and not isinstance(found, np.ndarray):
        return ""
    others = sum(np.may_share_memory(found, x) for x in held) > 1
    return ".copy()" if others or not found.flags.writeable or found.base is not None else ""
