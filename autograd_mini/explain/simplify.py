"""Formulas as a lecture has them: constants and signs in front, and what remains of a chain.

Constants are collected by the rules of arithmetic.  What cancels is found by algebra, which needs
no numbers of the run, and is written in the order in which the line has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from ..core import ops
from ..core.primitive import Primitive
from ..formulas import Symbol, operands_first
from ..formulas.algebra import Forms, Monomial, Quotient
from .constants import Constant

# ---- constants and signs in front ---------------------------------------------------------------


class Term(NamedTuple):
    """A constant times an expression without one; without ``core``, the constant alone."""

    c: Constant
    core: Symbol | None


#: The kinds that move or repeat what is there.
MOVES = ("permutation", "reshape", "broadcast", "index", "copy")
ZERO, ONE = Constant(0.0), Constant(1.0)
Key = tuple[Fraction, int, frozenset[Any]]


class Algebra:
    """Writes expressions with their constants in front: ``(1/m) (A - Y)``.

    Equal expressions become one and the same object: ``g a + g a`` is found to be ``2 g a``.
    """

    def __init__(self, constants: Mapping[Symbol, Constant]) -> None:
        self.constants = constants  # those that the program has words for
        self._made: dict[Any, Symbol] = {}
        self._terms: dict[Symbol, Term] = {}
        self._written: dict[Key, Symbol] = {}
        self._one = Symbol(np.asarray(1.0))

    def term(self, symbol: Symbol) -> Term:
        """An expression as a constant times one without a constant."""
        for part in operands_first(symbol):
            if part not in self._terms:
                self._terms[part] = self._collected(part)
        return self._terms[symbol]

    def symbol(self, term: Term, shape: tuple[int, ...] | None = None) -> Symbol:
        """The expression that a term is, of a shape if one is given."""
        if term.core is None:
            result = self.constant(term.c)
        elif abs(term.c) == ONE and not term.c.powers:
            result = term.core if term.c > 0 else self._call(ops.negative, term.core)
        else:
            result = self._call(ops.multiply, self.constant(term.c), term.core)
        return result if shape in (None, result.shape) else self._broadcast(result, shape)

    def constant(self, c: Constant) -> Symbol:
        """A number as an expression."""
        key = key_of(c)
        if key not in self._written:
            size = abs(c).symbol
            if size.primitive is None and size.name is None:
                size = Symbol(np.asarray(size.array))
            self._written[key] = ops.negative(size) if c < 0 else size
        return self._written[key]

    def written(self, form: Quotient, forms: Forms, like: Symbol) -> Term | None:
        """A form as a sum of products, if nothing but numbers is left below; None if there is."""
        numbers = [
            (dict(monomial), power)
            for factor, power in form.below.items()
            for monomial, _ in factor
            if len(factor) == 1
        ]
        atoms = [atom for monomial, _ in numbers for atom in monomial]
        if len(numbers) < len(form.below) or not forms.numerals.issuperset(atoms):
            return None
        outside = Constant(1.0)
        for monomial, power in numbers:
            for atom, times in monomial.items():
                outside = outside / self._power(forms.atoms[atom], power * times)
        turn = {part: i for i, part in enumerate(operands_first(like))}
        terms = [self._product(x, c, forms, turn) for x, c in form.above.items()]
        if any(term is None for term in terms):
            return None
        in_order = sorted(terms, key=lambda pair: (pair[1].c < 0, pair[0]))  # type: ignore[index]
        total = reduce(lambda a, b: self.sum(a, b, like.shape), [term for _, term in in_order])  # type: ignore[misc]
        return Term(total.c * outside, total.core and self._broadcast_if(total.core, like.shape))

    def _power(self, number: Symbol, power: int) -> Constant:
        """The power of a number."""
        if number in self.constants:
            return Constant(1.0, 1, {number: power})
        return Constant(float(number.array) ** power)

    def _product(
        self, monomial: Monomial, c: Fraction, forms: Forms, turn: Mapping[Symbol, int]
    ) -> tuple[list[int], Term] | None:
        """A monomial as a product of its atoms, in the order of a line, and their turns there."""
        constant = Constant(Fraction(c.numerator), c.denominator)
        places: list[int] = []
        core: Symbol | None = None
        last = len(turn)
        for atom, power in sorted(monomial, key=lambda x: turn.get(forms.atoms[x[0]], last)):
            if atom in forms.numerals:
                constant = constant * self._power(forms.atoms[atom], power)
                continue
            if power > 2 or atom in forms.parts:
                return None
            symbol = forms.atoms[atom]
            factor = self._call(ops.square, symbol) if power == 2 else symbol
            core = factor if core is None else self._call(ops.multiply, core, factor)
            places.append(turn.get(symbol, last))
        if core is not None and core.dtype == bool:
            core = self._call(ops.multiply, self._one, core)
        return places, Term(constant, core)

    def _call(self, op: Primitive, *operands: Symbol, **statics: Any) -> Symbol:
        """A call, the same one if it has been made before."""
        key = op, operands, repr(statics)
        if key not in self._made:
            self._made[key] = op(*operands, **statics)
        return self._made[key]

    def _broadcast(self, symbol: Symbol, shape: Any) -> Symbol:
        """Repeated to a shape, which is not written."""
        return self._call(ops.broadcast_to, symbol, shape=shape)

    def _collected(self, symbol: Symbol) -> Term:
        """The constant of a call, from those of its operands."""
        if symbol in self.constants:
            return Term(self.constants[symbol], None)
        op = symbol.primitive
        if op is None:
            plain = symbol.name is None and np.ndim(symbol.array) == 0
            finite = plain and np.isfinite(symbol.array)
            return Term(Constant(float(symbol.array)), None) if finite else Term(ONE, symbol)
        terms = [self._terms[x] for x in symbol.operands]
        rule = RULES.get(symbol.python) or RULES.get(symbol.kind)
        if rule and (found := rule(self, symbol, *terms)):
            return found
        moved = symbol.kind in MOVES or (symbol.kind == "scatter" and symbol.array.size == 1)
        if moved and terms[0].core is None and symbol.array.dtype.kind in "fiu":
            return Term(terms[0].c, None)
        product = symbol.python == "a @ b"
        linear = product or symbol.kind in (*MOVES, "scatter") or symbol.python == "np.sum"
        if linear and terms[0].core is not None:
            second = terms[1].c if product and terms[1].core is not None else ONE
            cores = [x.core for x in terms] if product else [terms[0].core]
            others = [self._whole(x) for x in symbol.operands[len(cores) :]]
            if None not in cores:
                core = self._call(op, *cores, *others, **symbol.statics)
                return Term(terms[0].c * second, core)
        whole = [self._whole(x) for x in symbol.operands]
        return Term(ONE, self._call(op, *whole, **symbol.statics))

    def _whole(self, symbol: Symbol) -> Symbol:
        """An operand with its constant; what is true or false stays so."""
        if symbol.dtype == bool and self._terms[symbol].core is None:
            return symbol
        return self.symbol(self._terms[symbol], symbol.shape)

    # -- what becomes of constants in each op --

    def _negative(self, symbol: Symbol, x: Term) -> Term:
        return Term(-x.c, x.core)

    def _multiply(self, symbol: Symbol, a: Term, b: Term) -> Term:
        if a.c == ZERO or b.c == ZERO:
            return Term(ZERO, None)
        core = a.core or b.core
        if a.core and b.core:
            core = self._call(ops.multiply, a.core, b.core)
        elif core and core.dtype == bool:  # a mask becomes numbers
            core = self._call(ops.multiply, self._one, core)
        return Term(a.c * b.c, core and self._shaped(core, symbol))

    def _divide(self, symbol: Symbol, a: Term, b: Term) -> Term | None:
        if b.c == ZERO:
            return None
        core = a.core
        if b.core and a.c != ZERO:
            core = self._call(ops.divide, a.core or self.constant(ONE), b.core)
        return Term(a.c / b.c, core and self._shaped(core, symbol))

    def _matmul(self, symbol: Symbol, a: Term, b: Term) -> Term | None:
        """A product with a matrix of which all numbers are the same: a sum."""
        if a.c == ZERO or b.c == ZERO:
            return Term(ZERO, None)
        number, core, axis = everywhere(a.core), b.core, -2
        if a.core is not None and number is None:
            number, core, axis = everywhere(b.core), a.core, -1
            if b.core is not None and number is None:
                return None
        if core is None:
            return None
        along = core.array.ndim + axis
        product = core
        if core.shape[along] != 1:
            product = self._call(ops.reduce_sum, core, axis=along, keepdims=True)
        if number is not None:
            product = self._call(ops.multiply, number, product)
        return Term(a.c * b.c, self._shaped(product, symbol))

    def _sum(self, symbol: Symbol, x: Term) -> Term | None:
        """What is repeated is counted."""
        count = symbol.operands[0].array.size // max(symbol.array.size, 1)
        if x.core is None:
            return Term(x.c * count, None)
        if x.core.kind != "broadcast" or not x.core.array.size:
            return None
        (inner,) = x.core.operands
        count = x.core.array.size // inner.array.size
        if inner.array.size == symbol.array.size:
            core = inner
            if inner.shape != symbol.shape:
                core = self._call(ops.reshape, inner, shape=symbol.shape)
            return Term(x.c * count, core)
        if symbol.array.size == 1:
            core = self._call(ops.reduce_sum, inner, axis=None, keepdims=False)
            if core.shape != symbol.shape:
                core = self._call(ops.reshape, core, shape=symbol.shape)
            return Term(x.c * count, core)
        return None

    def _transpose(self, symbol: Symbol, x: Term) -> Term | None:
        """``(X^T)^T`` is ``X``, and ``(A^T B)^T`` is ``B^T A``."""
        if x.core is None or x.core.primitive is None or len(symbol.shape) != 2:
            return None
        if x.core.kind == "permutation" and order_of(x.core) == order_of(symbol) == (1, 0):
            return Term(x.c, x.core.operands[0])
        if x.core.python != "a @ b" or order_of(symbol) != (1, 0):
            return None
        turned = [self._turned(y) for y in x.core.operands]
        if not any(turned):
            return None
        a, b = [
            known or self._call(ops.transpose, y, axes=None)
            for y, known in zip(x.core.operands, turned, strict=True)
        ]
        return Term(x.c, self._call(ops.matrix_product, b, a))

    def _turned(self, symbol: Symbol) -> Symbol | None:
        """A transpose that need not be written; None if it must be."""
        if symbol.kind == "permutation" and order_of(symbol) == (1, 0):
            return symbol.operands[0]
        if vector := vector_in(symbol):
            return self._call(ops.reshape, vector, shape=symbol.shape[::-1])
        return None

    def _reshape(self, symbol: Symbol, x: Term) -> Term | None:
        """The vector ``x^T M^T`` is ``M x``."""
        if x.core is None or x.core.python != "a @ b" or len(symbol.shape) != 1:
            return None
        row, matrix = x.core.operands
        vector = vector_in(row)
        if vector is None or len(matrix.shape) != 2 or 1 in matrix.shape:
            return None
        turned = self._turned(matrix) or self._call(ops.transpose, matrix, axes=None)
        column = self._call(ops.reshape, vector, shape=(*vector.shape, 1))
        product = self._call(ops.matrix_product, turned, column)
        return Term(x.c, self._call(ops.reshape, product, shape=symbol.shape))

    def _and(self, symbol: Symbol, a: Term, b: Term) -> Term | None:
        """Nothing, if one of two conditions never holds: the guard of a power at 0."""
        never = any(x.core is None and x.c == ZERO for x in (a, b))
        return Term(ZERO, None) if never else None

    def _square(self, symbol: Symbol, x: Term) -> Term:
        return Term(x.c * x.c, x.core and self._call(ops.square, x.core))

    def _where(self, symbol: Symbol, condition: Term, a: Term, b: Term) -> Term | None:
        if b.core is None and b.c == ZERO and a.core is not None:
            parts = condition.core, a.core, self.symbol(b)
            return Term(a.c, self._call(ops.where, *parts)) if condition.core else None  # type: ignore[arg-type]
        return None

    def _scatter(self, symbol: Symbol, x: Term, *indices: Term) -> Term | None:
        """A block with zeros around it: ``[0, x]``."""
        if x.core is None and x.c == ZERO:
            return Term(ZERO, None)
        block = None if indices or x.core is None else block_of(symbol.statics["key"], symbol.shape)
        if block is None:
            return None
        axis, start, stop = block
        assert x.core is not None
        zeros = [list(symbol.shape), list(symbol.shape)]
        zeros[0][axis], zeros[1][axis] = start, symbol.shape[axis] - stop
        before, after = [
            [self._broadcast(self.constant(ZERO), tuple(shape))] * (shape[axis] > 0)
            for shape in zeros
        ]
        return Term(x.c, self._call(ops.join, *before, x.core, *after, axis=axis))

    def _add(self, symbol: Symbol, a: Term, b: Term) -> Term:
        return self.sum(a, b, symbol.shape)

    def _subtract(self, symbol: Symbol, a: Term, b: Term) -> Term:
        return self.sum(a, Term(-b.c, b.core), symbol.shape)

    def sum(self, a: Term, b: Term, shape: tuple[int, ...]) -> Term:
        """The sum of two terms, with their constant in front if they have the same."""
        for x, y in ((a, b), (b, a)):
            if x.c == ZERO:
                return Term(y.c, y.core and self._broadcast_if(y.core, shape))
        if (joined := self._side_by_side(a, b, shape)) is not None:
            return joined
        if a.core is b.core and (together := a.c.plus(b.c)) is not None:
            return Term(together, a.core and self._broadcast_if(a.core, shape))
        if a.c < 0 < b.c:  # what is subtracted comes last
            a, b = b, a
        alike = abs(a.c) == abs(b.c) and a.c.powers == b.c.powers
        c = abs(a.c) if alike and a.core and b.core else ONE
        if a.c < 0 and b.c < 0:
            c = -c
        first = self.symbol(Term(a.c / c, a.core))
        op = ops.add if b.c / c > 0 else ops.subtract
        second = self.symbol(Term(abs(b.c / c), b.core))
        return Term(c, self._broadcast_if(self._call(op, first, second), shape))

    def _side_by_side(self, a: Term, b: Term, shape: tuple[int, ...]) -> Term | None:
        """Blocks with zeros around them whose places are different ones: ``[di, df]``."""
        found = [self._blocks(x) for x in (a, b) if x.core and x.core.shape == shape]
        if len(found) < 2 or None in found or found[0][0] != found[1][0]:  # type: ignore[index]
            return None
        axis = found[0][0]  # type: ignore[index]
        blocks = sorted([*found[0][1], *found[1][1]], key=lambda block: block[0])  # type: ignore[index]
        parts: list[Symbol] = []
        end = 0
        for start, block in [*blocks, (shape[axis], None)]:
            if start < end:
                return None
            if start > end:
                gap = (*shape[:axis], start - end, *shape[axis + 1 :])
                parts.append(self._broadcast(self.constant(ZERO), gap))
            if block is not None:
                parts.append(block)
                end = start + block.shape[axis]
        return Term(ONE, self._call(ops.join, *parts, axis=axis))

    def _blocks(self, term: Term) -> tuple[int, list[tuple[int, Symbol]]] | None:
        """Where the blocks lie that stand between zeros, and along which axis; None for others."""
        if term.core is None or term.core.kind != "join":
            return None
        axis = term.core.statics["axis"] % len(term.core.shape)
        lengths = [x.shape[axis] for x in term.core.operands]
        starts = [sum(lengths[:i]) for i in range(len(lengths))]
        pairs = zip(starts, term.core.operands, strict=True)
        found = [(i, self.symbol(Term(term.c, x))) for i, x in pairs if self.term(x).c != ZERO]
        return (axis, found) if len(found) < len(lengths) else None

    def _broadcast_if(self, core: Symbol, shape: tuple[int, ...]) -> Symbol:
        return core if core.shape == shape else self._broadcast(core, shape)

    def _shaped(self, core: Symbol, symbol: Symbol) -> Symbol:
        return self._broadcast_if(core, symbol.shape)


def everywhere(core: Symbol | None) -> Symbol | None:
    """The single quantity that all elements of an array are; None if there is no such thing."""
    if core is None or core.kind != "broadcast" or core.operands[0].array.size > 1:
        return None
    return core.operands[0]


def vector_in(symbol: Symbol) -> Symbol | None:
    """The vector that is a row or a column here; None if there is none."""
    vector, inner = None, symbol
    while len(inner.shape) < 3 and inner.array.size == max(inner.shape, default=0):
        vector = inner if len(inner.shape) == 1 else vector
        if inner.kind not in ("reshape", "permutation"):
            break
        (inner,) = inner.operands
    return vector if len(symbol.shape) == 2 else None


def key_of(c: Constant) -> Key:
    """What tells constants apart that may be the same number."""
    return c.above, c.below, frozenset(c.powers.items())


def order_of(symbol: Symbol) -> tuple[int, ...]:
    """The order that a transposition brings the axes of a matrix into."""
    axes = symbol.statics["axes"]
    return (1, 0) if axes is None else tuple(axis % 2 for axis in axes)


def block_of(key: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The axis along which a key takes a block out, and from where to where; None for others."""
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, slice) and part.step in (None, 1) for part in parts):
        return None
    found = [
        (axis, *part.indices(shape[axis])[:2])
        for axis, part in enumerate(parts)
        if part.indices(shape[axis])[:2] != (0, shape[axis])
    ]
    return found[0] if len(found) == 1 and found[0][1] < found[0][2] else None


#: By what Python writes on ``a`` and ``b``, or by the kind of the op.
RULES: dict[str, Callable[..., Term | None]] = {
    "-a": Algebra._negative,
    "a * b": Algebra._multiply,
    "a / b": Algebra._divide,
    "a @ b": Algebra._matmul,
    "np.sum": Algebra._sum,
    "permutation": Algebra._transpose,
    "reshape": Algebra._reshape,
    "(a & b)": Algebra._and,
    "a**2": Algebra._square,
    "np.where": Algebra._where,
    "scatter": Algebra._scatter,
    "a + b": Algebra._add,
    "a - b": Algebra._subtract,
}
