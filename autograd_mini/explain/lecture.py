"""A run as a program in the form of a lecture: the lines of `explain`, in their simplest form."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive
from ..symbols import Symbol, gradient_value, python_name, write
from ..text import clean
from ..trace import Trace, Value
from . import explain
from .explanation import Explanation
from .kernels import Kernels
from .lines import Line
from .literals import Names, array_text, identifier, number_text, parsed
from .program import data_of, is_given, leading_up_to, refuse_writes, written_out
from .simplify import parts

TOLERANCE = 1e-12  # of simplified lines, relative to the largest element


def unlike(line: Line) -> float:
    """How far a line is from what the engine computed, relative to the largest element."""
    value = gradient_value(line.value) if line.phase == "backward" else line.value
    found, true = np.asarray(line.symbol.array) * line.scale, value.array
    scale = float(np.max(np.abs(true), initial=0)) or 1.0
    return float(np.max(np.abs(found - true), initial=0)) / scale


def accuracy(dtype: np.dtype[Any]) -> float:
    """How far a line may be from what the engine computed."""
    return max(TOLERANCE, 64 * float(np.finfo(dtype).eps) if dtype.itemsize < 8 else 0.0)


class Rewritten(ast.NodeTransformer):
    """Calls of this package's functions as calls of functions that the program has."""

    def __init__(self, kernels: Kernels, primitives: dict[str, Primitive]) -> None:
        self.kernels = kernels
        self.primitives = primitives

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The function by its name in the program."""
        self.generic_visit(node)
        primitive = self.primitives.get(ast.unparse(node.func))
        if primitive is not None:
            node.func = parsed(self.kernels.reference(primitive, primitive.name))
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        """One axis without a tuple around it."""
        if node.arg == "axis" and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 1:
            node.value = node.value.elts[0]
        return node


def in_lecture_form(run: Trace, wrt: Iterable[Any] | None) -> str:
    """The lines of `explain` in their simplest form as a program."""
    cost, by = run.differentiated(wrt)
    explanation = explain(run, by, simplify=True)
    refuse_writes(run, leading_up_to(run, [cost, *map(gradient_value, by)]))
    names = Names()
    kernels = Kernels(names)
    called = {name: names.new(identifier(name)) for name in explanation.quantities}
    called |= {name: names.new(identifier(name)) for name in explanation.constants}
    lines: dict[str, list[str]] = {"forward": [], "cost": [], "backward": []}
    for line in explanation.lines:
        if (off := unlike(line)) > accuracy(line.value.dtype):
            raise ValueError(
                f"the simple form of {clean(line.name)} is {off:.0e} away from what the run "
                f"computed: write the program with simplify=False"
            )
        called[line.name] = names.new(identifier(line.name))
        before, text = simple_text(line, called, kernels)
        phase = "cost" if line.value is cost and line.phase == "forward" else line.phase
        reasons = "".join([f"  # {clean(step.name)}" for step in line.steps])
        lines[phase] += before
        lines[phase].append(f"{called[line.name]} = {text}{reasons * (phase == 'backward')}")
    quantities = explanation.quantities
    arguments = {called[name]: x for name, x in quantities.items() if is_given(x, by)}
    arguments = dict(sorted(arguments.items(), key=lambda pair: pair[1].kind != "parameter"))
    small = [f"{called[k]} = {array_text(data_of(x))}" for k, x in quantities.items()
             if called[k] not in arguments]  # fmt: skip
    small += [f"{called[name]} = {number_text(x)}" for name, x in explanation.constants.items()]
    gradients = {
        called[name]: called[line.name]
        for value in by
        for name, line in [named_line(explanation, value)]
    }
    body = ["# ---- forward ----", *small, *lines["forward"], *lines["cost"], ""]
    body += [
        "# ---- backward ----",
        *notes_on_scales(explanation.lines, called),
        *lines["backward"],
    ]
    cost_name = next(called[x.name] for x in explanation.forward if x.value is cost)
    return written_out(
        kernels, cost_name, arguments, body, gradients, "what the run computed, but for rounding"
    )


def simple_text(line: Line, called: dict[str, str], kernels: Kernels) -> tuple[list[str], str]:
    """The formula of a line as code that needs NumPy alone, and lines that go before it."""
    used = {x.primitive for x in parts(line.symbol) if x.primitive is not None}
    if ops.scatter in used:
        return step_by_step(line.symbol, called, kernels)
    primitives = {python_name(x): x for x in used if not python_name(x).startswith("np.")}
    try:
        tree = parsed(write(line.symbol, "python", lambda x: called[str(x.name)]))
    except SyntaxError:
        return step_by_step(line.symbol, called, kernels)
    return [], ast.unparse(ast.fix_missing_locations(Rewritten(kernels, primitives).visit(tree)))


def step_by_step(symbol: Symbol, called: dict[str, str], kernels: Kernels) -> tuple[list[str], str]:
    """A formula in which something takes lines of its own: what adds to the parts of an array."""
    lines: list[str] = []
    text: dict[Symbol, ast.expr] = {}
    stack = [symbol]
    while stack:
        x = stack[-1]
        missing = [y for y in x.operands if isinstance(y, Symbol) and y not in text]
        if missing:
            stack += missing
            continue
        stack.pop()
        if x.name is not None:
            text[x] = parsed(called[x.name])
        elif x.primitive is None:
            text[x] = parsed(kernels.literal(x.array))
        elif x.primitive is ops.scatter:
            first, *rest = [text[y] for y in x.operands]
            masks = all(np.asarray(y.array).dtype == bool for y in x.operands[1:])
            added, name = kernels.names.numbered("t"), kernels.names.numbered("t")
            lines.append(f"{added} = {ast.unparse(ast.fix_missing_locations(first))}")
            lines += kernels.scattered(name, added, rest, masks, x.statics)
            text[x] = parsed(name)
        else:
            operands = [text[y] for y in x.operands]
            text[x] = kernels.expression(x.primitive, operands, x.statics, x.array)
    return lines, ast.unparse(ast.fix_missing_locations(text[symbol]))


def named_line(explanation: Explanation, value: Value) -> tuple[str, Line]:
    """What a value is called in an explanation, and the line of its gradient."""
    named = {x: name for name, x in explanation.quantities.items()}
    named |= {line.value: line.name for line in explanation.forward}
    return named[value], next(line for line in explanation.backward if line.value is value)


def notes_on_scales(lines: Sequence[Line], called: dict[str, str]) -> list[str]:
    """Comments that say which gradients are written without their constant."""
    scales: dict[float, list[str]] = {}
    for line in lines:
        if line.scale != 1:
            scales.setdefault(line.scale, []).append(called[line.name])
    return [
        f"# {', '.join(names)}: {1 / scale:.6g} times the gradient, and the factor comes at the end"
        for scale, names in scales.items()
    ]
