"""Programs for any number of examples: ``m = X.shape[1]`` where a run had ``m = 5``.

A run has one number of examples, and its formulas may have that number in them in many ways.  So
nothing is taken for granted.  Forward, what is left of the number must be in shapes, no other axis
may have such a length, and no single example may be taken out.  Backward, the gradients must be the
slopes of the cost with another number of examples.  Where that cannot be shown, the program is for
the shapes of the run alone.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..program.literals import parsed
from ..program.straight_line import Examples, function_of
from ..trace import Trace, Value

if TYPE_CHECKING:
    from .lecture import Form

FEWEST = 3  # of two examples, nobody knows which 2 in a formula is their number
STEP, ACCURACY, NOISE = 1e-6, 1e-4, 1e-8  # of numerical derivatives
SHAPED = {"np.ones", "np.zeros", "np.full", "np.broadcast_to", "np.arange"}


class Axis(NamedTuple):
    """The axis along which examples lie, 0 or -1, and how many there are."""

    axis: int
    length: int

    def holds(self, x: Value) -> bool:
        """Whether examples lie along this axis of an array."""
        return x.kind == "input" and bool(x.shape) and x.shape[self.axis] == self.length


def for_any_number(form: Form, run: Trace) -> tuple[Form, Examples] | None:
    """The same program for any number of examples; None if that cannot be shown."""
    data = [x for x in form.arguments.values() if x.kind == "input" and x.shape]
    named = {int(x) for x in form.explanation.constants.values() if float(x).is_integer()}
    found: dict[tuple[str, ...], tuple[Form, Examples]] = {}
    for axis in (-1, 0):
        shared = {x.shape[axis] for x in data}
        lengths = (shared & named) or (shared if len(shared) == 1 else set())
        for length in lengths:
            along = Axis(axis, length)
            if length >= FEWEST and is_the_only_one(along, form, run):
                resized = with_examples(form, along)
                if resized and has_slopes(*resized, along):
                    found[tuple(resized[1].shapes.values())] = resized
    return next(iter(found.values())) if len(found) == 1 else None


def with_number_of_examples(run: Trace, arguments: Iterable[Value]) -> Trace | None:
    """The same run with a name for the number of examples; None if it has one, or none is known."""
    data = [x.shape for x in arguments if x.kind == "input" and x.shape]
    lengths = [shared for axis in (-1, 0) if len(shared := {shape[axis] for shape in data}) == 1]
    if len(lengths) != 1 or "m" in run.numbers:
        return None
    spoken = copy.copy(run)
    spoken.numbers = {**run.numbers, "m": lengths[0].pop()}
    return spoken


def is_the_only_one(along: Axis, form: Form, run: Trace) -> bool:
    """Whether no other axis is as long as that of the examples, and none of them is taken out."""
    calls = run.calls_behind([form.cost])
    for x in (*[call.output for call in calls], *form.explanation.quantities.values()):
        if multiples_in(x, along.length) > (x.kind != "parameter"):
            return False
    taken = [(call.arrays[0], call.output) for call in calls if call.primitive.kind == "index"]
    taken += [(x.derived.source, x) for call in calls for x in call.arrays if x.derived]
    return not any(
        multiples_in(whole, along.length) > multiples_in(part, along.length)
        for whole, part in taken
    )


def multiples_in(x: Value, length: int) -> int:
    """How many axes are as long as this, or several times as long."""
    return sum(n > 0 and n % length == 0 for n in x.shape)


def with_examples(form: Form, along: Axis) -> tuple[Form, Examples] | None:
    """A program that asks its data for the number of examples; None if it has that in numbers."""
    varied = {name: x for name, x in form.arguments.items() if along.holds(x)}
    called = [name for name, x in form.constants.items() if float(ast.literal_eval(x)) == along[1]]
    if len(called) > 1:
        return None
    m = called[0] if called else form.names.new("m")
    resized = copy.copy(form)
    sized = Sized(along.length, m)
    resized.constants = {name: text for name, text in form.constants.items() if name != m}
    resized.unnamed = {name: sized.text(text) for name, text in form.unnamed.items()}
    for name, x in form.explanation.quantities.items():
        text = form.called[name]
        frozen = form.unnamed.get(text) == resized.unnamed.get(text) is not None
        if frozen and multiples_in(x, along.length):
            return None
    resized.forward = [x._replace(code=sized.text(x.code)) for x in form.forward]
    resized.sized = Sized(along.length, m, everywhere=True).text
    resized.backward = [x._replace(code=resized.sized(x.code)) for x in form.backward]
    texts = [*resized.constants.values(), *resized.unnamed.values()]
    texts += [*[x.code for x in resized.forward], *form.kernels.constants.values()]
    if any(is_tied(x, along.length) for text in texts for x in numbers_in(text)):
        return None
    shapes = {name: sized.shape(x, along.axis) for name, x in varied.items()}
    first, x = next(iter(varied.items()))
    line = f"{m} = {first}.shape[{along.axis % len(x.shape)}]"
    return resized, Examples(line, shapes)


class Sized(ast.NodeTransformer):
    """Writes the number of examples by its name, where it is a length.

    In the lines backward it does so everywhere, since these can be proved from those forward.
    """

    def __init__(self, length: int, name: str, everywhere: bool = False) -> None:
        self.length = length
        self.name = name
        self.everywhere = everywhere

    def text(self, code: str) -> str:
        """A line or an expression with the name in it."""
        return ast.unparse(ast.fix_missing_locations(self.visit(ast.parse(code))))

    def shape(self, x: Value, axis: int) -> str:
        """The shape of an array of examples, with the name in it."""
        lengths = [str(n) for n in x.shape]
        lengths[axis] = self.name
        return f"({', '.join(lengths)}{',' * (len(lengths) == 1)})"

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A function of shapes."""
        self.generic_visit(node)
        shaped = ast.unparse(node.func) in SHAPED
        if isinstance(node.func, ast.Attribute) and (shaped or node.func.attr == "reshape"):
            number = node.args[:1] if node.func.attr == "broadcast_to" else []
            node.args = number + [self._named(x) for x in node.args[len(number) :]]
            for keyword in node.keywords:
                if keyword.arg == "shape":
                    keyword.value = self._named(keyword.value)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A number."""
        return self._named(node) if self.everywhere else node

    def _named(self, node: ast.expr) -> ast.expr:
        """A length, or lengths, with the name."""
        if isinstance(node, ast.Tuple):
            node.elts = [self._named(x) for x in node.elts]
        known = isinstance(node, ast.Constant) and type(node.value) is int
        return parsed(self.name) if known and node.value == self.length else node  # type: ignore[attr-defined]


def numbers_in(code: str) -> Iterator[float]:
    """The numbers that stand in a text."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield float(node.value)


def is_tied(x: float, length: int) -> bool:
    """Whether a number may be made of the number of examples: a multiple, or a part, or next."""
    if not np.isfinite(x) or not x:
        return False
    ratio = Fraction(x).limit_denominator(10**6)
    return any(
        n and (n % length == 0 or abs(n - length) == 1)
        for n in (abs(ratio.numerator), ratio.denominator)
    )


# ---- another number of examples -----------------------------------------------------------------


def has_slopes(form: Form, examples: Examples, along: Axis) -> bool:
    """Whether with other numbers of examples the gradients are the slopes of the cost."""
    try:
        function = function_of(form.text([form.result], examples))
        for number in {5, 7} - {along.length}:
            data = {
                name: np.take(x.array, np.arange(number) % along.length, along.axis)
                if along.holds(x)
                else x.array
                for name, x in form.arguments.items()
            }
            wide = {k: x.astype(float) if x.dtype.kind == "f" else x for k, x in data.items()}
            with np.errstate(all="ignore"):
                if not are_slopes(function, wide, [*form.gradients]):
                    return False
    except Exception:  # a line is for other shapes, and a user's kernel may say so in any way
        return False
    return True


def are_slopes(function: Callable[..., Any], data: Mapping[str, Any], by: Sequence[str]) -> bool:
    """Whether a function returns its own derivatives, each along one direction."""
    rng = np.random.default_rng(0)
    cost, gradients = function(**data)
    for name in by:
        x = data[name]
        direction = rng.standard_normal(x.shape)
        step = STEP * (1 + float(np.max(np.abs(x), initial=0)))
        up, down = (
            float(np.sum(function(**{**data, name: x + side * step * direction})[0]))
            for side in (1, -1)
        )
        share = gradients[name] * direction
        off = abs((up - down) / (2 * step) - float(np.sum(share)))
        noise = NOISE * (1 + abs(float(np.sum(cost))))
        if not off <= ACCURACY * float(np.sum(np.abs(share))) + noise:
            return False
    return True
