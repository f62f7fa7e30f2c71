"""Formulas as a lecture has them: constants and signs in front, and what remains of a chain.

Nothing is believed here.  Constants are collected by the rules of arithmetic, and forms such as
``c (A - Y)`` are guessed; a `Point` then tells whether a formula gives the gradients of the run,
and those of the same computation at another point, which no coincidence of numbers survives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..check.replay import Array, Replay
from ..core import ops
from ..core.primitive import Primitive, primitive
from ..symbols import Symbol, named
from ..trace import Call, Derived, Value

ROUNDING = 4096  # units in the last place that a formula may be off: 1e-12 in float64
MOST_CANDIDATES = 40  # for the terms of a guess
MOST_IN_PAIRS = 20  # numbers with names whose products are tried
FAMILIAR = 4  # whole numbers up to that have a name only if they are the number of that name
NUMBERS_IN_FRONT = ((1, 1), (2, 1), (1, 2), (4, 1), (1, 4))
MOST_LEAVES = 50  # whose signs are changed one by one
FEW = 64  # elements that tell most guesses to be wrong


# ---- points at which formulas are proved --------------------------------------------------------


class Point:
    """All values of a computation and their gradients, for some values of its leaves.

    Attributes
    ----------
    arrays, gradients : dict of Value to ndarray
    """

    def __init__(self, arrays: Mapping[Value, Array], gradients: Mapping[Value, Array]) -> None:
        self.arrays = arrays
        self.gradients = gradients

    def evaluated(self, symbol: Symbol, leaves: Mapping[Symbol, Leaf]) -> Array:
        """What an expression gives here."""
        found: dict[Symbol, Array] = {}
        for part in parts(symbol):
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


def parts(symbol: Symbol) -> list[Symbol]:
    """An expression and all that it consists of, each after its own operands."""
    found: dict[Symbol, None] = {}
    stack = [symbol]
    while stack:
        part = stack[-1]
        missing = [x for x in part.operands if x not in found]
        stack += missing
        if not missing:
            found[stack.pop()] = None
    return list(found)


def point_of_run(replay: Replay, calls: Iterable[Call]) -> Point:
    """The run itself."""
    arrays = {x: x.array for call in calls for x in (call.output, *call.operands) if is_value(x)}
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
    operands = [x for call in calls for x in call.operands if is_value(x)]
    leaves = [x for x in dict.fromkeys(operands) if x not in outputs]
    if not is_faithful(replay, calls):
        return None
    for size in (0.3, 0.01):
        rng = np.random.default_rng(0)
        given = {x: shaken(x, size, rng) for x in leaves}
        found = point_at(replay, calls, given, derived)
        if found is None:
            continue
        other = {x: with_other_signs(x, given[x], rng) for x in leaves}
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


def shaken(value: Value, size: float, rng: np.random.Generator) -> Array:
    """Other numbers of the same kind."""
    x = value.array
    if x.dtype.kind != "f" or is_number(value):
        return x
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


def with_other_signs(value: Value, x: Array, rng: np.random.Generator) -> Array:
    """Numbers of which some have another sign; data between 0 and 1 keep theirs."""
    if value.dtype.kind != "f" or is_number(value) or not x.size:
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


def is_value(x: Any) -> bool:
    """Whether an operand is an array of the run."""
    return isinstance(x, Value)


# ---- constants ----------------------------------------------------------------------------------


class Form(NamedTuple):
    """A quotient of products of numbers that have names, with a number in front."""

    value: float
    above: tuple[str, ...]
    below: tuple[str, ...]
    k: tuple[int, int]


class Numbers:
    """What the constants of a computation are called: 0.2 is 1/m."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self.units = {
            name: x
            for name, x in numbers.items()
            if abs(x) not in (0, 0.5, 1, 2) and math.isfinite(x)
        }
        self.leaves: set[Symbol] = set()  # the symbols of numbers that have a name
        self._symbols: dict[float, Symbol] = {}

    def symbol(self, c: float) -> Symbol:
        """A positive constant as an expression of numbers that have names, the simplest one."""
        if c not in self._symbols:
            self._symbols[c] = self._named(c) or self._fraction(c)
        return self._symbols[c]

    def _named(self, c: float) -> Symbol | None:
        """A constant by numbers that have names; None for what is better known without."""
        if c in (0.5, 1, 2) or not self.units:
            return None
        forms, values = self._forms
        for i in np.flatnonzero(np.abs(values - c) <= 1e-14 * c):
            _, above, below, k = forms[i]
            whole = all(float(self.units[name]).is_integer() for name in (*above, *below))
            familiar = float(c).is_integer() and (c <= FAMILIAR or not whole)
            if not familiar or is_one_number(forms[i]):
                numerator = self._product(k[0], above) or Symbol(1)
                denominator = self._product(k[1], below)
                return numerator if denominator is None else ratio(numerator, denominator)
        return None

    @cached_property
    def _forms(self) -> tuple[list[Form], Array]:
        """What constants may be, that of few factors first, and its values."""
        names = list(self.units)
        single = [(), *((name,) for name in names)]
        pairs = list(itertools.combinations(names[:MOST_IN_PAIRS], 2))
        forms = []
        for above, below in itertools.product(single, [*single, *pairs]):
            if (above or below) and not {*above} & {*below}:
                value = math.prod(self.units[n] for n in above)
                value /= math.prod(self.units[n] for n in below)
                forms += [Form(p / q * value, above, below, (p, q)) for p, q in NUMBERS_IN_FRONT]
        forms.sort(key=lambda form: len(form.above) + len(form.below) + (form.k != (1, 1)))
        return forms, np.array([form.value for form in forms])

    def _product(self, k: int, names: tuple[str, ...]) -> Symbol | None:
        """A number times quantities; None for 1."""
        quantities = [named(name, np.asarray(self.units[name])) for name in names]
        self.leaves.update(quantities)
        factors = [Symbol(k)] * (k != 1) + quantities
        product: Symbol | None = None
        for factor in factors:
            product = factor if product is None else ops.multiply(product, factor)
        return product

    @staticmethod
    def _fraction(c: float) -> Symbol:
        """A number: as a fraction with a small numerator, if it is one."""
        for k in (1, 2, 3):
            n = k / c
            if k < n < 1e9 and math.isclose(n, round(n), rel_tol=1e-14):
                return ratio(Symbol(k), Symbol(round(n)))
        return Symbol(int(c) if float(c).is_integer() and c < 1e15 else c)


def is_one_number(form: Form) -> bool:
    """Whether a form is a number with a name, and nothing else."""
    return len(form.above) == 1 and not form.below and form.k == (1, 1)


def ratio(a: Symbol, b: Symbol) -> Symbol:
    """``a / b``."""
    symbol: Symbol = ops.divide(a, b)
    return symbol


# ---- constants and signs in front ---------------------------------------------------------------


class Term(NamedTuple):
    """A constant times an expression without one; without ``core``, the constant alone."""

    c: float
    core: Symbol | None


#: Linear in the first operand, and in the second if that is an array.
LINEAR = {"matmul", "sum", "reduce_sum", "transpose", "reshape", "broadcast_to", "getitem"}
LINEAR |= {"scatter", "copy"}


class Algebra:
    """Writes expressions with their constants in front: ``(1/m) (A - Y)``.

    Equal expressions become one and the same object: ``g a + g a`` is found to be ``2 g a``.
    """

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self._made: dict[Any, Symbol] = {}
        self._terms: dict[Symbol, Term] = {}
        self._constants: dict[float, Symbol] = {}
        self._one = Symbol(np.asarray(1.0))

    def term(self, symbol: Symbol) -> Term:
        """An expression as a constant times one without a constant."""
        for part in parts(symbol):
            if part not in self._terms:
                self._terms[part] = self._collected(part)
        return self._terms[symbol]

    def symbol(self, term: Term, shape: tuple[int, ...] | None = None) -> Symbol:
        """The expression that a term is, of a shape if one is given."""
        if term.core is None:
            result = self.constant(term.c)
        elif abs(term.c) == 1:
            result = term.core if term.c > 0 else self._call(ops.negative, term.core)
        else:
            result = self._call(ops.multiply, self.constant(term.c), term.core)
        return result if shape in (None, result.shape) else self._broadcast(result, shape)

    def constant(self, c: float) -> Symbol:
        """A number, in the words of `Numbers`."""
        if c not in self._constants:
            size = self.numbers.symbol(abs(c)) if c else Symbol(0)
            if size.primitive is None and size.name is None:
                size = Symbol(np.asarray(size.array))
            self._constants[c] = ops.negative(size) if c < 0 else size
        return self._constants[c]

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
        op = symbol.primitive
        if op is None:
            plain = symbol.name is None and np.ndim(symbol.array) == 0
            if plain or symbol in self.numbers.leaves:
                return Term(float(symbol.array), None)
            return Term(1, symbol)
        terms = [self._terms[x] for x in symbol.operands]
        if all(term.core is None for term in terms) and symbol.array.dtype.kind in "fiu":
            c = symbol.array.flat[0] if symbol.array.size else 0.0
            if np.all(symbol.array == c):
                return Term(float(c), None)
        rule = RULES.get(op.name)
        if rule and (found := rule(self, symbol, *terms)):
            return found
        if op.name in LINEAR and terms[0].core is not None:
            second = terms[1].c if op.name == "matmul" and terms[1].core is not None else 1
            cores = [x.core for x in terms] if op.name == "matmul" else [terms[0].core]
            others = [self._whole(x) for x in symbol.operands[len(cores) :]]
            if None not in cores:
                core = self._call(op, *cores, *others, **symbol.statics)
                return Term(terms[0].c * second, core)
        whole = [self._whole(x) for x in symbol.operands]
        return Term(1, self._call(op, *whole, **symbol.statics))

    def _whole(self, symbol: Symbol) -> Symbol:
        """An operand with its constant."""
        return self.symbol(self._terms[symbol], symbol.shape)

    # -- what becomes of constants in each op --

    def _negative(self, symbol: Symbol, x: Term) -> Term:
        return Term(-x.c, x.core)

    def _multiply(self, symbol: Symbol, a: Term, b: Term) -> Term:
        core = a.core or b.core
        if a.core and b.core:
            core = self._call(ops.multiply, a.core, b.core)
        elif core and core.dtype == bool:  # a mask becomes numbers
            core = self._call(ops.multiply, self._one, core)
        return Term(a.c * b.c, core and self._shaped(core, symbol))

    def _divide(self, symbol: Symbol, a: Term, b: Term) -> Term | None:
        if b.c == 0:
            return None
        core = a.core
        if b.core:
            core = self._call(ops.divide, a.core or self.constant(1), b.core)
        return Term(a.c / b.c, core and self._shaped(core, symbol))

    def _square(self, symbol: Symbol, x: Term) -> Term:
        return Term(x.c * x.c, x.core and self._call(ops.square, x.core))

    def _where(self, symbol: Symbol, condition: Term, a: Term, b: Term) -> Term | None:
        if b.core is None and b.c == 0 and a.core is not None:
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
            [self._broadcast(self.constant(0), tuple(shape))] * (shape[axis] > 0) for shape in zeros
        ]
        return Term(x.c, self._call(ops.join, *before, x.core, *after, axis=axis))

    def _add(self, symbol: Symbol, a: Term, b: Term) -> Term:
        return self.sum(a, b, symbol.shape)

    def _subtract(self, symbol: Symbol, a: Term, b: Term) -> Term:
        return self.sum(a, Term(-b.c, b.core), symbol.shape)

    def sum(self, a: Term, b: Term, shape: tuple[int, ...]) -> Term:
        """The sum of two terms, with their constant in front if they have the same."""
        for x, y in ((a, b), (b, a)):
            if x.c == 0:
                return Term(y.c, y.core and self._broadcast_if(y.core, shape))
        if a.core is b.core:
            return Term(a.c + b.c, a.core and self._broadcast_if(a.core, shape))
        if a.c < 0 < b.c:  # what is subtracted comes last
            a, b = b, a
        c = abs(a.c) if math.isclose(abs(a.c), abs(b.c), rel_tol=1e-15) and a.core and b.core else 1
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


RULES: dict[str, Callable[..., Term | None]] = {
    "negative": Algebra._negative,
    "multiply": Algebra._multiply,
    "divide": Algebra._divide,
    "square": Algebra._square,
    "where": Algebra._where,
    "scatter": Algebra._scatter,
    "add": Algebra._add,
    "subtract": Algebra._subtract,
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
    targets: tuple[Array, Array], candidates: list[Candidate], algebra: Algebra
) -> Guess | None:
    """The multiple of a term, or of the difference of two, that a gradient is at both points."""
    for a in candidates:
        c = multiple(targets, a.arrays)
        if c is not None:
            return Guess(Term(c, a.symbol), "what cancels is left out")
    for a, b in itertools.combinations(candidates, 2):
        difference = a.arrays[0] - b.arrays[0], a.arrays[1] - b.arrays[1]
        c = multiple(targets, difference)
        if c is not None:
            first, second = (a, b) if c > 0 or a.function else (b, a)
            core = algebra.sum(Term(1, first.symbol), Term(-1, second.symbol), first.symbol.shape)
            sign = 1 if first is a else -1
            return Guess(Term(c * sign * core.c, core.core), FOLLOWED_BY[a.function])
    return None


def multiple(targets: tuple[Array, Array], terms: tuple[Array, Array]) -> float | None:
    """The constant, not 0, that makes terms the targets at both points; None if there is none."""
    square = float(np.vdot(terms[0], terms[0]))
    if not square > 0 or not math.isfinite(square):
        return None
    c = rounded(float(np.vdot(terms[0], targets[0])) / square)
    few = slice(0, FEW)
    for part in (few, slice(None)):
        for target, term in zip(targets, terms, strict=True):
            eps = ROUNDING * float(np.finfo(np.result_type(target, np.float32)).eps)
            off = np.max(np.abs(c * term.ravel()[part] - target.ravel()[part]), initial=0)
            if not off <= eps * np.max(np.abs(target), initial=0):
                return None
    return c or None


def rounded(c: float) -> float:
    """A constant without the last digits that rounding has left, if it is then a simple one."""
    for n in (c, 1 / c if c else 0):
        if 0 < abs(n) < 1e9 and math.isclose(n, round(n), rel_tol=1e-13) and round(n):
            return float(round(n)) if n is c else 1 / round(n)
    return c


def one_hot(labels: Symbol, classes: int, along: int) -> Symbol:
    """Class labels as rows, or columns, that are 1 at the right class and else 0."""

    @primitive(r"\mathrm{onehot}($labels)", name="one_hot")
    def kernel(labels: Array, *, classes: int, along: int) -> Array:
        return np.moveaxis(1.0 * (labels[..., None] == np.arange(classes)), -1, along)

    symbol: Symbol = kernel(labels, classes=classes, along=along)
    return symbol


def functions_of(x: Symbol) -> Iterator[tuple[str, Symbol]]:
    """What outputs are made by, of logits."""
    yield "identity", x
    yield "sigmoid", ops.sigmoid(x)
    for axis in reversed(range(len(x.shape))):
        yield "softmax", ops.softmax(x, axis=axis if axis < len(x.shape) - 1 else -1)


def same(a: Array, b: Array) -> bool:
    """Whether arrays agree but for rounding."""
    return bool(np.max(np.abs(a - b), initial=0) <= 1e-11 * np.max(np.abs(b), initial=0))
