"""The numbers of a run in the words of its program: ``lam / (2 * m)``, and not 0.07.

No number gets a name because another one happens to be equal.  Python knows the columns of the
line that it was running, so an operand's own expression is found there.  It is taken if its names
are numbers of the run and it gives the very operand.  What a derivation multiplies together from
such numbers is a `Constant`, which remembers what it was made of.
"""

from __future__ import annotations

import ast
import copy
import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive, implementations
from ..formulas import Symbol, in_python, named
from ..trace import Call, Derived, Pull, Trace, Value, complement, running, same

ARITHMETIC = ("a + b", "a - b", "a * b", "a / b")
#: What an operator is: NumPy's function, and Python's for single numbers.
OPERATORS: dict[type[ast.operator], tuple[np.ufunc, Callable[[Any, Any], Any]]] = {
    ast.Add: (np.add, operator.add),
    ast.Sub: (np.subtract, operator.sub),
    ast.Mult: (np.multiply, operator.mul),
    ast.Div: (np.divide, operator.truediv),
    ast.Pow: (np.power, operator.pow),
}
#: What numbers are computed with that are constants of a program.
LIBRARIES = {"np", "numpy", "math"}
MOST_DIGITS = 10**4  # of the denominator of a fraction
#: What the number of examples is called, which ``np.mean`` divides by without naming it.
EXAMPLES = {"m", "n", "N", "batch_size"}


Word = tuple[ast.expr, Symbol]  # an expression of the program, and the same as a formula


class Constant(float):
    """A number: ``above / below`` times powers of numbers that have names.

    What stands in the program is taken as it is written there, 0.1 as a tenth, so that no product
    of such numbers has digits that nobody wrote.
    """

    above: Fraction
    below: int
    powers: Mapping[Symbol, int]

    def __new__(
        cls, above: float | Fraction, below: int = 1, powers: Mapping[Symbol, int] | None = None
    ) -> Constant:
        """``above / below`` times powers."""
        powers = {name: power for name, power in (powers or {}).items() if power}
        above = above if isinstance(above, Fraction) else Fraction(repr(float(above)))
        if above.denominator == 1 and below != 1:
            common = math.gcd(int(above), below)
            above, below = above / common, below // common
        value = float(above / below)
        for name, power in powers.items():
            value *= float(name.array) ** power
        constant = super().__new__(cls, value)
        constant.above, constant.below, constant.powers = above, below, powers
        return constant

    @classmethod
    def of(cls, x: float) -> Constant:
        """A number as a constant."""
        return x if isinstance(x, Constant) else cls(float(x))

    def __mul__(self, other: float) -> Constant:
        x = Constant.of(other)
        powers = {
            name: self.powers.get(name, 0) + x.powers.get(name, 0)
            for name in (*self.powers, *x.powers)
        }
        return Constant(self.above * x.above, self.below * x.below, powers)

    def __truediv__(self, other: float) -> Constant:
        return self * Constant.of(other).inverse

    def __rtruediv__(self, other: float) -> Constant:
        return Constant.of(other) * self.inverse

    def __neg__(self) -> Constant:
        return Constant(-self.above, self.below, self.powers)

    def __abs__(self) -> Constant:
        return -self if self < 0 else self

    def plus(self, other: Constant) -> Constant | None:
        """The sum of two constants; None if no single one is that."""
        if self.powers != other.powers:
            return None
        above = self.above * other.below + other.above * self.below
        return Constant(above, self.below * other.below, self.powers)

    __rmul__ = __mul__

    @property
    def inverse(self) -> Constant:
        """One divided by it."""
        powers = {name: -power for name, power in self.powers.items()}
        above, below = self.above, Fraction(self.below)
        if above.denominator > MOST_DIGITS:  # no fraction that anybody wants to read
            powers[number(abs(float(above)))] = -1
            return Constant(math.copysign(self.below, above), 1, powers)
        below *= above.denominator
        return Constant(below if above > 0 else -below, abs(above.numerator), powers)

    @property
    def symbol(self) -> Symbol:
        """The number as an expression."""
        above, below = self.above, self.below
        if below != 1 and above.denominator != 1:
            above, below = above / below, 1
        first = Symbol(int(above) if above.denominator == 1 and abs(above) < 1e15 else float(above))
        numerator = product([first] * (above != 1) + self._names(1))
        denominator = product([Symbol(below)] * (below != 1) + self._names(-1))
        if denominator is None:
            return numerator or Symbol(np.asarray(1))
        quotient: Symbol = ops.divide(numerator or Symbol(1), denominator)
        return quotient

    def _names(self, sign: int) -> list[Symbol]:
        """Those in the numerator, or in the denominator."""
        return [x for x, power in self.powers.items() for _ in range(power * sign)]


@functools.cache
def number(x: float) -> Symbol:
    """A number without a name, the same object for equal ones."""
    return Symbol(np.asarray(x))


def product(factors: Iterable[Symbol]) -> Symbol | None:
    """All factors multiplied; None if there are none."""
    found: Symbol | None = None
    for factor in factors:
        found = factor if found is None else ops.multiply(found, factor)
    return found


# ---- what stands in the program -----------------------------------------------------------------


def written(call: Call, position: int) -> ast.expr | None:
    """The expression of an operand of an arithmetic operator or function, as the user wrote it."""
    tree = running(call)
    if isinstance(tree, ast.BinOp | ast.AugAssign):
        first, second = (
            (tree.left, tree.right) if isinstance(tree, ast.BinOp) else (tree.target, tree.value)
        )
        ufunc, _ = OPERATORS.get(type(tree.op), (None, None))
        return (first, second)[position] if call.primitive.kernel is ufunc else None
    match tree:
        case ast.Call(func=ast.Attribute(attr=name), args=args) if name == call.primitive.name:
            return args[position] if len(args) == len(call.operands) else None
    return None


class Words:
    """The numbers of a run as expressions.

    Parameters
    ----------
    numbers : mapping of str to number
        Those that have names.

    Attributes
    ----------
    constants : dict of Symbol to Constant
        What each expression, and each part of it, is a product of.
    """

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self.numbers = {name: x for name, x in numbers.items() if math.isfinite(x)}
        self.constants: dict[Symbol, Constant] = {}
        self._known: dict[str, Symbol] = {}
        examples = {name: x for name, x in self.numbers.items() if name in EXAMPLES}
        self._examples = {
            x: name for name, x in examples.items() if [*examples.values()].count(x) == 1
        }

    def read(self, tree: ast.expr) -> Symbol | None:
        """An expression of names and numbers; None if it holds anything else."""
        key = ast.unparse(tree)
        if key not in self._known:
            found = self._read(tree)
            if found is None:
                return None
            self._known[key] = found
        return self._known[key]

    def _read(self, tree: ast.expr) -> Symbol | None:
        match tree:
            case ast.Constant(value=int() | float() as x) if type(x) is not bool and math.isfinite(
                x
            ):
                symbol = Symbol(x)
                self.constants[symbol] = Constant(float(x))
            case ast.Name(id=name) if name in self.numbers:
                symbol = named(name, np.asarray(self.numbers[name]))
                self.constants[symbol] = Constant(1.0, 1, {symbol: 1})
            case ast.UnaryOp(op=ast.USub(), operand=operand) if size := self.read(operand):
                symbol = Symbol(-size.array, None, ops.negative, (size,))
                self.constants[symbol] = -self.constants[size]
            case ast.BinOp(op=operation) if type(operation) in OPERATORS:
                return self._combined(tree)
            case ast.Attribute(ast.Name(id=library), "pi") if library in LIBRARIES:
                if self.numbers.setdefault("pi", math.pi) != math.pi:
                    return None
                symbol = named("pi", np.asarray(math.pi))
                self.constants[symbol] = Constant(1.0, 1, {symbol: 1})
            case ast.Call(ast.Attribute(ast.Name(id=library), name), [argument], []) if (
                library in LIBRARIES and isinstance(getattr(np, name, None), np.ufunc)
            ):
                return self._applied(getattr(np, name), self.read(argument))
            case _:
                return None
        return symbol

    def _applied(self, ufunc: np.ufunc, x: Symbol | None) -> Symbol | None:
        """A function of an expression: ``np.sqrt(d)``."""
        op = implementations.get(ufunc)
        if x is None or not isinstance(op, Primitive):
            return None
        with np.errstate(all="ignore"):
            value = ufunc(np.asarray(x.array).item())
        symbol = Symbol(np.asarray(float(value)), None, op, (x,))
        self.constants[symbol] = Constant(1.0, 1, {symbol: 1})
        return symbol if math.isfinite(value) else None

    def _combined(self, tree: ast.BinOp) -> Symbol | None:
        """Two expressions combined."""
        a, b = self.read(tree.left), self.read(tree.right)
        if a is None or b is None:
            return None
        ufunc, function = OPERATORS[type(tree.op)]
        try:
            value = function(np.asarray(a.array).item(), np.asarray(b.array).item())
        except (ArithmeticError, ValueError):
            return None
        if not isinstance(value, int | float):
            return None
        symbol = Symbol(np.asarray(value), None, implementations[ufunc], (a, b))
        x, y = self.constants[a], self.constants[b]
        if ufunc is np.multiply:
            self.constants[symbol] = x * y
        elif ufunc is np.divide:
            self.constants[symbol] = x / y
        else:
            self.constants[symbol] = Constant(1.0, 1, {symbol: 1})
        return symbol

    def of_operand(self, call: Call, position: int) -> Word | None:
        """What the program calls a number that is an operand; None if it has no name for it."""
        x = plain(call.operands[position])
        if x is None or in_python(call.primitive) not in ARITHMETIC:
            return None
        tree = written(call, position)
        if tree is None:
            return self.of_examples(call.primitive, x)
        symbol = self.read(tree)
        if symbol is None or not self.constants[symbol].powers or symbol.array != x:
            return None
        return tree, symbol

    def of_examples(self, primitive: Primitive, x: Any) -> Word | None:
        """The number of examples, where something is divided by it that nobody wrote."""
        divides = in_python(primitive) == "a / b"
        if not divides or not isinstance(x, int) or x not in self._examples:
            return None
        tree = ast.Name(self._examples[x])
        symbol = self.read(tree)
        return (tree, symbol) if symbol else None


def names_in(tree: ast.expr) -> set[str]:
    """The names that an expression consists of."""
    return {x.id for x in ast.walk(tree) if isinstance(x, ast.Name)}


def plain(operand: Any) -> int | float | None:
    """The number that an operand is, if it has no name."""
    if isinstance(operand, Value):
        unnamed = operand.kind == "input" and not operand.name and not operand.derived
        operand = operand.array.item() if unnamed and not operand.shape else None
    return operand if isinstance(operand, int | float) and operand is not True else None


# ---- a run in words -----------------------------------------------------------------------------


Found = Mapping[tuple[Call, int], Word]  # by call and position


class Spoken:
    """The calls of a run, in which numbers that the program has words for are values.

    Parameters
    ----------
    run : Trace
    calls : list of Call
        Of the forward pass.
    pulls : list of Pull
        Their rules.

    Attributes
    ----------
    calls, pulls : list
        The same, with a `Value` for each number that has a word.
    symbols : dict of Value to Symbol
        The words.  Where all is single numbers, those that are data are quantities with a name
        like any other, and not here.
    derived : dict of Value to Derived
        Arrays that the program writes as ``1 - y``.
    data : set of Value
        Numbers that were computed from data, and are not constants.
    words : Words
    """

    def __init__(self, run: Trace, calls: list[Call], pulls: list[Pull]) -> None:
        named = {value.name: value for value in run.values if value.name and value.kind == "input"}
        single = {name: y for name, y in named.items() if not y.shape and y.dtype.kind in "iuf"}
        self.words = Words(run.numbers | {name: y.array.item() for name, y in single.items()})
        self.symbols: dict[Value, Symbol] = {}
        self.data: set[Value] = set()
        self.derived: dict[Value, Derived] = {}
        self._values: dict[tuple[Symbol, np.dtype[Any], bool], Value] = {}
        self._named = single
        found = {
            (call, i): word
            for call in calls
            for i in range(len(call.operands))
            if (word := self.words.of_operand(call, i))
        }
        self._constant = {
            name
            for (call, i), (tree, _) in found.items()
            for name in names_in(tree)
            if i == 1 and in_python(call.primitive) == "a / b"
        }
        if any(call.output.shape for call in calls):
            self._constant = {*self.words.numbers}
        new = {call: self._forward(call, found) for call in calls}
        self.calls = [*new.values()]
        self.pulls = [self._rule(pull, new.get(pull.call, pull.call)) for pull in pulls]

    def _forward(self, call: Call, found: Found) -> Call:
        """A call with values for numbers."""
        operands = list(call.operands)
        for i, x in enumerate(operands):
            if (call, i) not in found and self._is_data(call, i):
                operands[i] = Value(np.asarray(plain(x)), "input", None, None)
                self.data.add(operands[i])
            elif (call, i) in found:
                tree, symbol = found[call, i]
                if not (isinstance(x, Value) and self._is_complement(x, tree)):
                    data = not names_in(tree) & self._constant
                    operands[i] = self._value(tree, symbol, call.output.dtype, data)
        return with_operands(call, operands)

    def _is_data(self, call: Call, position: int) -> bool:
        """Whether a number was computed by NumPy from what has no name here, such as ``1 - y[0]``.

        What is written in numbers and their functions alone is a constant, and so is a variable.
        """
        x = call.operands[position]
        x = x.array[()] if isinstance(x, Value) and plain(x) is not None else x
        if not isinstance(x, np.floating) or in_python(call.primitive) not in ARITHMETIC:
            return False
        tree = written(call, position)
        if tree is None or isinstance(tree, ast.Name):
            return False
        return bool(names_in(tree) - LIBRARIES)

    def _is_complement(self, x: Value, tree: ast.expr) -> bool:
        """Whether an array without a name is ``1 - y``."""
        match tree:
            case ast.BinOp(ast.Constant(value=1), ast.Sub(), ast.Name(id=name)):
                y = self._named.get(name)
                if y is not None and same(ops.subtract(1, y.array), x.array):
                    self.derived[x] = Derived(complement, y)
                    return True
        return False

    def _rule(self, pull: Pull, call: Call) -> Pull:
        """A rule with values for numbers: those of its call, and numbers of examples."""
        pairs = zip(pull.call.operands, call.operands, strict=True)
        known = {old: new for old, new in pairs if old is not new}
        arithmetic = in_python(call.primitive) in ARITHMETIC
        steps = [self._step(step, known, arithmetic) for step in pull.calls]
        if call is pull.call and steps == pull.calls:
            return pull
        found = copy.copy(pull)
        found.call, found.calls = call, steps
        return found

    def _step(self, step: Call, known: Mapping[Any, Value], arithmetic: bool) -> Call:
        """A call of a rule."""
        operands = list(step.operands)
        for i, x in enumerate(operands):
            if x in known:
                operands[i] = known[x]
            elif not arithmetic and i == 1 and (word := self.words.of_examples(step.primitive, x)):
                operands[i] = self._value(*word, step.output.dtype, data=False)
        return with_operands(step, operands)

    def _value(self, tree: ast.expr, symbol: Symbol, dtype: np.dtype[Any], data: bool) -> Value:
        """The value that a number becomes."""
        key = symbol, dtype, data
        if key not in self._values:
            value = Value(np.asarray(symbol.array, dtype), "input", None, None)
            self._values[key] = value
            match tree:
                case ast.Name(id=name) if data:
                    value.name = name
                case ast.BinOp(ast.Constant(value=1), ast.Sub(), ast.Name() as y) if data:
                    source = self._value(y, self.words.read(y) or symbol, dtype, data)
                    value.derived = Derived(complement, source)
                case _:
                    self.symbols[value] = Symbol(
                        value.array, symbol.name, symbol.primitive, symbol.operands
                    )
                    self.words.constants[self.symbols[value]] = self.words.constants[symbol]
        return self._values[key]


def with_operands(call: Call, operands: list[Any]) -> Call:
    """A call with other operands, the same one if they are the same."""
    if all(x is y for x, y in zip(call.operands, operands, strict=True)):
        return call
    found = copy.copy(call)
    found.operands = tuple(operands)
    return found
