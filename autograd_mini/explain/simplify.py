"""Formulas as a lecture has them: constants and signs in front, and what remains of a chain.

Nothing is believed here.  Constants are collected by the rules of arithmetic, and forms such as
``c (A - Y)`` are guessed; a `Point` then tells whether a formula gives the gradients of the run,
and those of the same computation at another point, which no coincidence of numbers survives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import activations
from ..check.replay import Array, Replay
from ..core import ops
from ..core.primitive import Primitive, primitive
from ..symbols import Symbol, operands_first
from ..trace import Call, Derived, Value
from .constants import Constant, fraction

ROUNDING = 4096  # units in the last place that a formula may be off: 1e-12 in float64
MOST_CANDIDATES = 40  # for the terms of a guess
LIKELY = (1, 2, 0.5, 4, 0.25)  # times a constant of the formula: what a guess may begin with
MOST_LEAVES = 50  # whose signs are changed one by one
FEW, ROUGHLY = 64, 1e-3  # elements that tell most guesses to be wrong, and how far these are off


# ---- points at which formulas are proved --------------------------------------------------------


class Point:
    """All values of a computation and their gradients, for some values of its leaves.

    Attributes
    ----------
    arrays, gradients : dict of Value to ndarray
    """

    def __init__(self, arrays: dict[Value, Array], gradients: Mapping[Value, Array]) -> None:
        self.arrays = arrays
        self.gradients = gradients

    def evaluated(self, symbol: Symbol, leaves: Mapping[Symbol, Leaf]) -> Array:
        """What an expression gives here."""
        found: dict[Symbol, Array] = {}
        for part in operands_first(symbol):
            if part.primitive is not None:
                operands = [found[x] for x in part.operands]
                found[part] = np.asarray(part.primitive.kernel(*operands, **part.statics))
            elif part in leaves:
                value, of, scale = leaves[part]
                array = self.arrays[value] if of == "value" else self.gradients[value]
                found[part] = array if scale == 1 else array / scale
            else:
                found[part] = part.array
        return found[symbol]

    def difference(
        self, symbol: Symbol, leaves: Mapping[Symbol, Leaf], value: Value, scale: float = 1
    ) -> float:
        """How far ``scale`` times an expression is from a gradient, relative to its largest."""
        truth = self.gradients[value]
        with np.errstate(all="ignore"):
            off = np.max(np.abs(self.evaluated(symbol, leaves) * scale - truth), initial=0)
        largest = np.max(np.abs(truth), initial=0)
        ratio = float(off / largest if largest else off)
        return ratio if math.isfinite(ratio) else math.inf

    def tolerance(self, value: Value) -> float:
        """How large a difference rounding can make."""
        return ROUNDING * float(np.finfo(np.result_type(self.gradients[value], np.float32)).eps)


class Leaf(NamedTuple):
    """What a name in a formula stands for: a value, or its gradient divided by a constant."""

    value: Value
    of: str  # "value" or "gradient"
    scale: float = 1


def point_of_run(replay: Replay, calls: Iterable[Call]) -> Point:
    """The run itself."""
    arrays = {x: x.array for call in calls for x in (call.output, *call.arrays)}
    gradients = {x: x.gradient.array for x in (*replay.shares, replay.cost) if x.gradient}
    return Point(arrays, gradients)


def shaken_point(
    replay: Replay, calls: list[Call], derived: Mapping[Value, Derived]
) -> Point | None:
    """The same computation on other numbers; None if there is no second point.

    Labels stay between 0 and 1, what sums to 1 still does, and what was computed without Tensors
    from an array is computed from it again.
    """
    outputs = {call.output for call in calls}
    operands = [x for call in calls for x in call.arrays]
    operands += [source for _, source in derived.values()]
    leaves = [x for x in dict.fromkeys(operands) if x not in outputs]
    if not is_faithful(replay, calls):
        return None
    indices = indices_among(calls)
    for size, whole in ((0.3, False), (0.01, False), (0.3, True)):
        if whole:  # an op may take no others
            indices |= {x for x in leaves if x.dtype.kind in "iu"}
        rng = np.random.default_rng(0)
        given = {x: shaken(x, size, rng, x in indices) for x in leaves}
        found = point_at(replay, calls, given, derived)
        if found is None:
            continue
        other = {x: with_other_signs(x, given[x], rng) for x in leaves if x not in indices}
        other = given | other
        best = point_at(replay, calls, other, derived)
        if best is None and len(leaves) <= MOST_LEAVES:  # not all of them have other signs
            for x in leaves:
                best = point_at(replay, calls, given | {x: other[x]}, derived)
                if best is not None:
                    given[x], found = other[x], best
        return best or found
    return None


def point_at(
    replay: Replay,
    calls: list[Call],
    given: Mapping[Value, Array],
    derived: Mapping[Value, Derived],
) -> Point | None:
    """The computation for some values of its leaves; None if it gives no numbers."""
    derived_too = {**given, **{x: function(given[y]) for x, (function, y) in derived.items()}}
    try:
        with np.errstate(all="ignore"):
            arrays = replay.forward(calls, derived_too)
            gradients = gradients_at(replay, arrays)
    except (ValueError, TypeError, IndexError):  # an op refuses these numbers
        return None
    finite = all(np.all(np.isfinite(g)) for g in gradients.values())
    return Point(arrays, gradients) if finite else None


def is_faithful(replay: Replay, calls: list[Call]) -> bool:
    """Whether running the calls again gives what the run held: a graph may not have kept all."""
    try:
        with np.errstate(all="ignore"):
            again = replay.forward(calls, {})
    except (ValueError, TypeError):  # an operand is unknown, even its shape
        return False
    return all(np.array_equal(again[x.output], x.output.array, equal_nan=True) for x in calls)


def gradients_at(replay: Replay, arrays: Mapping[Value, Array]) -> dict[Value, Array]:
    """The gradients of a run with other values, by the rules as they were recorded."""
    found = {replay.cost: np.ones(replay.cost.shape)}
    for pull in replay.pulls:
        share = replay.share(pull, found[pull.call.output], values=arrays)
        known = found.get(pull.operand)
        found[pull.operand] = share if known is None else known + share
    return found


def shaken(value: Value, size: float, rng: np.random.Generator, is_index: bool) -> Array:
    """Other numbers of the same kind."""
    x = value.array
    if is_number(value) or not x.size or x.dtype.kind not in "biuf":
        return x
    if is_index:
        return other_indices(value, rng)
    if x.dtype.kind == "b":
        return rng.random(x.shape) < 0.5
    x = x.astype(np.float64)
    noise = size * rng.uniform(0.3, 1, x.shape)
    if value.kind == "parameter" or x.min() < 0 or x.max() > 1:
        signs = rng.choice([-1.0, 1.0], x.shape)
        return np.where(x == 0, noise * signs, x * (1 + noise * signs))
    if not any(np.allclose(np.sum(x, axis), 1) for axis in range(x.ndim)):
        return x + noise * (0.5 - x)
    for axis in range(x.ndim):  # sums along both axes stay 1 if they were
        x = (1 - size) * x + size * np.take(x, rng.permutation(x.shape[axis]), axis)
    return x


def other_indices(value: Value, rng: np.random.Generator) -> Array:
    """Other elements that there are, too; all rows in order, which nobody has named, stay so."""
    x = value.array
    if x.dtype.kind == "b" or x.min() < 0:
        return rng.permutation(x.reshape(-1)).reshape(x.shape)
    if not value.name and np.array_equal(x.reshape(-1), np.arange(x.size)):
        return x
    return rng.integers(0, x.max() + 1, x.shape)


def indices_among(calls: Iterable[Call]) -> set[Value]:
    """The values that choose among others: keys, and the numbers of classes."""
    found: set[Value] = set()
    for call in calls:
        for i, x in enumerate(call.operands):
            name = call.primitive.operands[min(i, len(call.primitive.operands) - 1)]
            classes = name == "labels" and x.array.ndim < call.operands[0].array.ndim
            if isinstance(x, Value) and (classes or name == "indices"):
                found.add(x)
    return found


def with_other_signs(value: Value, x: Array, rng: np.random.Generator) -> Array:
    """Numbers of which some have another sign; data between 0 and 1 keep theirs."""
    if x.dtype.kind != "f" or is_number(value) or not x.size:
        return x
    if value.kind != "parameter" and x.min() >= 0 and x.max() <= 1:
        return x
    signs = rng.choice([-1.0, 1.0], x.shape)
    signs.reshape(-1)[0] = -1.0
    return x * signs


def is_number(value: Value) -> bool:
    """Whether formulas have a number for an array: no name, and all elements are the same."""
    x = value.array
    return value.kind == "input" and not value.name and bool(np.all(x == x.reshape(-1)[:1]))


# ---- constants and signs in front ---------------------------------------------------------------


class Term(NamedTuple):
    """A constant times an expression without one; without ``core``, the constant alone."""

    c: Constant
    core: Symbol | None


#: The kinds that move or repeat what is there.
MOVES = ("permutation", "reshape", "broadcast", "index", "copy")
ZERO, ONE = Constant(0.0), Constant(1.0)
Key = tuple[float, int, frozenset[Any]]


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

    def constants_in(self, symbol: Symbol) -> dict[Key, Constant]:
        """The constants in an expression that say where they come from."""
        self.term(symbol)
        found = [self._terms[x].c for x in operands_first(symbol) if x not in self.constants]
        return {key_of(c): c for c in found if c.powers or c.below != 1}

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
            return Term(Constant(float(symbol.array)), None) if plain else Term(ONE, symbol)
        terms = [self._terms[x] for x in symbol.operands]
        rule = RULES.get(symbol.python) or RULES.get(symbol.kind)
        if rule and (found := rule(self, symbol, *terms)):
            return found
        if all(term.core is None for term in terms) and symbol.array.dtype.kind in "fiu":
            c = symbol.array.flat[0] if symbol.array.size else 0.0
            if np.all(symbol.array == c):
                return Term(terms[0].c if symbol.kind in MOVES else Constant(float(c)), None)
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
        if a.core is b.core:
            return Term(a.c + b.c, a.core and self._broadcast_if(a.core, shape))
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


def like(c: float, near: Mapping[Key, Constant]) -> Constant:
    """A number in the words of the constants that went into it, if these leave no doubt."""
    if abs(c) in LIKELY and abs(c) not in [abs(x) for x in near.values()]:
        return Constant(c)
    for k in LIKELY:
        found = [x * k for x in near.values() if math.isclose(abs(x) * k, abs(c), rel_tol=1e-12)]
        if found and all(x.powers == found[0].powers for x in found):
            return found[0] if (found[0] > 0) == (c > 0) else -found[0]
    return fraction(c)


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


# ---- guesses ------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A term of a guess, its arrays at both points, and the function of the value that it is."""

    symbol: Symbol
    arrays: tuple[Array, Array]
    function: str = ""


class Guess(NamedTuple):
    """What a gradient is proved to be, and why."""

    term: Term
    why: str


FOLLOWED_BY = {
    "sigmoid": "sigmoid followed by cross-entropy",
    "softmax": "softmax followed by cross-entropy",
    "identity": "squared error",
    "": "what cancels is left out",
}


def guessed(
    targets: tuple[Array, Array],
    candidates: list[Candidate],
    algebra: Algebra,
    near: Mapping[Key, Constant],
) -> Guess | None:
    """The multiple of a term, or of the difference of two, that a gradient is at both points."""
    for a in candidates:
        c = multiple(targets, a.arrays)
        if c is not None:
            return Guess(Term(like(c, near), a.symbol), "what cancels is left out")
    for a, b in promising(targets, candidates):
        difference = a.arrays[0] - b.arrays[0], a.arrays[1] - b.arrays[1]
        c = multiple(targets, difference)
        if c is not None:
            first, second = (a, b) if c > 0 or a.function else (b, a)
            shape = first.symbol.shape
            core = algebra.sum(Term(ONE, first.symbol), Term(-ONE, second.symbol), shape)
            constant = like(c if first is a else -c, near)
            return Guess(Term(constant * core.c, core.core), FOLLOWED_BY[a.function])
    return None


def promising(
    targets: tuple[Array, Array], candidates: list[Candidate]
) -> Iterator[tuple[Candidate, Candidate]]:
    """The pairs of which the differences may be a multiple, by a few elements of all at once."""
    target = few_of(targets)
    few = np.array([few_of(x.arrays) for x in candidates]).reshape(len(candidates), target.size)
    for i, a in enumerate(candidates):
        difference = few[i] - few[i + 1 :]
        square = np.sum(difference**2, axis=1)
        with np.errstate(all="ignore"):
            c = difference @ target / square
            off = np.max(np.abs(c[:, None] * difference - target), axis=1, initial=0)
        may_be = (off <= ROUGHLY * np.max(np.abs(target), initial=0)) | (square == 0)
        for j in np.flatnonzero(may_be):
            yield a, candidates[i + 1 + j]


def few_of(arrays: tuple[Array, Array]) -> Array:
    """Some elements, at both points."""
    return np.concatenate([x.reshape(-1)[:FEW] for x in arrays])


def multiple(targets: tuple[Array, Array], terms: tuple[Array, Array]) -> float | None:
    """The constant, not 0, that makes terms the targets at both points; None if there is none."""
    square = float(np.vdot(terms[0], terms[0]))
    if not square > 0 or not math.isfinite(square):
        return None
    c = float(fraction(float(np.vdot(terms[0], targets[0])) / square))
    few = slice(0, FEW)
    for part in (few, slice(None)):
        for target, term in zip(targets, terms, strict=True):
            eps = ROUNDING * float(np.finfo(np.result_type(target, np.float32)).eps)
            off = np.max(np.abs(c * term.ravel()[part] - target.ravel()[part]), initial=0)
            if not off <= eps * np.max(np.abs(target), initial=0):
                return None
    return c or None


def one_hot(labels: Symbol, classes: int, along: int) -> Symbol:
    """Class labels as rows, or columns, that are 1 at the right class and else 0."""
    equal = f"1.0 * ($labels[..., None] == np.arange({classes}))"

    @primitive(r"\mathrm{onehot}($labels)", f"np.moveaxis({equal}, -1, {along})")
    def onehot(labels: Array) -> Array:
        return np.moveaxis(1.0 * (labels[..., None] == np.arange(classes)), -1, along)

    symbol: Symbol = onehot(labels)
    return symbol


def functions_of(x: Symbol) -> Iterator[tuple[str, Symbol]]:
    """What outputs are made by, of logits."""
    yield "identity", x
    yield "sigmoid", activations.sigmoid(x)
    for axis in reversed(range(len(x.shape))):
        yield "softmax", activations.softmax(x, axis=axis if axis < len(x.shape) - 1 else -1)


def same(a: Array, b: Array) -> bool:
    """Whether arrays agree but for rounding."""
    return bool(np.max(np.abs(a - b), initial=0) <= 1e-11 * np.max(np.abs(b), initial=0))
