"""Equality of formulas, proved: quotients of polynomials in what algebra does not look into.

An *atom* is a name, or a call that is no arithmetic: a logarithm, a mask ``Z > 0``, a product of
matrices.  Elementwise arithmetic of atoms is a quotient of polynomials with rational coefficients,
whose equality needs no numbers of a run: two are equal if their difference is 0.  Sums, products of
matrices, transposes and parts are linear, so that what is constant there is taken out of them.
What is said here holds wherever no denominator is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..core import ops
from .expressions import Symbol, operands_first


class Number(Protocol):
    """A number as it stands in a program: ``above / below`` times powers of numbers with names."""

    @property
    def above(self) -> Fraction:
        """What stands above."""

    @property
    def below(self) -> int:
        """What stands below."""

    @property
    def powers(self) -> Mapping[Symbol, int]:
        """The powers."""


MOST_TERMS = 40  # of a polynomial: a larger formula is an atom
Monomial = tuple[tuple[int, int], ...]  # numbers of atoms and their powers, in order
Polynomial = Mapping[Monomial, Fraction]
Factor = frozenset[tuple[Monomial, Fraction]]  # a polynomial, to be looked up by


class Assumption(NamedTuple):
    """A property of the data: that along an axis they sum to 1."""

    name: str
    axis: int
    ndim: int

    def __str__(self) -> str:
        if self.ndim == 2:
            return f"each {('column', 'row')[self.axis]} of {self.name} sums to 1"
        return f"{self.name} sums to 1" + f" along axis {self.axis}" * (self.ndim > 1)


class TooLargeError(Exception):
    """Says that a polynomial has too many terms."""


# ---- polynomials --------------------------------------------------------------------------------


def plus(p: Polynomial, q: Polynomial, c: Fraction = Fraction(1)) -> Polynomial:
    """``p + c q``."""
    found = dict(p)
    for monomial, x in q.items():
        found[monomial] = found.get(monomial, Fraction(0)) + c * x
    return {monomial: x for monomial, x in found.items() if x}


def joined(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials."""
    powers = dict(a)
    for atom, power in b:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items()))


def times(p: Polynomial, q: Polynomial) -> Polynomial:
    """The product of two polynomials."""
    found: Polynomial = {}
    for monomial, x in q.items():
        found = plus(found, {joined(monomial, m): y for m, y in p.items()}, x)
    if len(found) > MOST_TERMS:
        raise TooLargeError
    return found


def leading(p: Polynomial) -> Monomial:
    """The monomial that comes first when the atoms are letters of an alphabet."""
    return max(p, key=lambda monomial: [(-atom, power) for atom, power in monomial])


def divided(p: Polynomial, q: Polynomial) -> Polynomial | None:
    """The polynomial ``p / q``; None if there is a remainder."""
    first = leading(q)
    found: dict[Monomial, Fraction] = {}
    while p:
        highest = leading(p)
        powers = dict(highest)
        for atom, power in first:
            powers[atom] = powers.get(atom, 0) - power
        if min(powers.values(), default=0) < 0 or len(found) > MOST_TERMS:
            return None
        part = tuple(sorted((atom, power) for atom, power in powers.items() if power))
        found[part] = p[highest] / q[first]
        p = plus(p, times({part: found[part]}, q), Fraction(-1))
    return found


# ---- quotients ----------------------------------------------------------------------------------


class Quotient(NamedTuple):
    """``above`` divided by powers of factors, and what has been assumed to find it."""

    above: Polynomial
    below: Mapping[Factor, int]
    since: frozenset[Assumption] = frozenset()

    @property
    def key(self) -> Any:
        """What tells it from others."""
        return frozenset(self.above.items()), frozenset(self.below.items())

    def __mul__(self, other: Quotient) -> Quotient:  # type: ignore[override]
        below = dict(self.below)
        for factor, power in other.below.items():
            below[factor] = below.get(factor, 0) + power
        return cancelled(times(self.above, other.above), below, self.since | other.since)

    def __add__(self, other: Quotient) -> Quotient:  # type: ignore[override]
        below = {
            factor: max(self.below.get(factor, 0), other.below.get(factor, 0))
            for factor in (*self.below, *other.below)
        }
        a, b = [reduce(times, lacking(below, x.below), x.above) for x in (self, other)]
        return cancelled(plus(a, b), below, self.since | other.since)

    def __neg__(self) -> Quotient:
        return self._replace(above={monomial: -x for monomial, x in self.above.items()})

    def __sub__(self, other: Quotient) -> Quotient:
        return self + -other

    def __pow__(self, power: int) -> Quotient:
        base = self if power >= 0 else self.inverse()
        return reduce(Quotient.__mul__, [base] * abs(power), constant(1))

    def inverse(self) -> Quotient:
        """One divided by it."""
        if not self.above:
            raise ZeroDivisionError
        above = reduce(times, lacking(self.below, {}), constant(1).above)
        below: dict[Factor, int]
        if len(self.above) == 1:
            ((monomial, c),) = self.above.items()
            below = {power_of(atom): power for atom, power in monomial}
        else:
            c = self.above[leading(self.above)]
            below = {frozenset((monomial, x / c) for monomial, x in self.above.items()): 1}
        return cancelled({monomial: x / c for monomial, x in above.items()}, below, self.since)


def power_of(atom: int) -> Factor:
    """An atom as a factor."""
    monomial: Monomial = ((atom, 1),)
    return frozenset({(monomial, Fraction(1))})


def lacking(below: Mapping[Factor, int], there: Mapping[Factor, int]) -> Iterable[Polynomial]:
    """The factors of a denominator that another one lacks."""
    for factor, power in below.items():
        yield from [dict(factor)] * (power - there.get(factor, 0))


def cancelled(
    above: Polynomial, below: Mapping[Factor, int], since: frozenset[Assumption] = frozenset()
) -> Quotient:
    """A quotient without the factors of its denominator that divide its numerator."""
    left: dict[Factor, int] = {}
    for factor, power in below.items() if above else ():
        polynomial = dict(factor)
        while power and (found := divided(above, polynomial)) is not None:
            above, power = found, power - 1
        if power:
            left[factor] = power
    return Quotient(above, left, since)


def constant(c: Fraction | int) -> Quotient:
    """A number."""
    return Quotient({(): Fraction(c)} if c else {}, {})


def exact(x: Any) -> Fraction | None:
    """A number that floats and people write alike: an integer, a half, ...; None for others."""
    found = Fraction(float(x)) if math.isfinite(x) else None
    return found if found is not None and found.denominator <= 1024 else None


# ---- the forms of expressions -------------------------------------------------------------------

#: The kinds that move, repeat or choose elements, whatever these are.
LINEAR = ("permutation", "reshape", "index")
Rule = Callable[["Forms", Symbol], "Quotient | None"]
Total = Callable[[Symbol, Symbol], "frozenset[Assumption] | None"]


class Forms:
    """The quotients that expressions are.

    Parameters
    ----------
    constants : mapping of Symbol to Number
        The expressions of numbers that the program has.
    rules : mapping of str to function
        What is known of calls beside this, by what Python writes or by kind: lemmas.
    is_one : function, optional
        Says of a sum and of an atom in it what makes this sum 1: no assumption if it is 1 by
        construction; None if it is not known to be 1.

    Attributes
    ----------
    atoms : list of Symbol
        What each atom is written as, by its number.
    numerals : set of int
        The atoms that are numbers: those with names, and decimals.
    parts : set of int
        The atoms that are a part of a call, and are not written as it is.
    """

    def __init__(
        self,
        constants: Mapping[Symbol, Number],
        rules: Mapping[str, Rule],
        is_one: Total = lambda call, atom: None,
    ) -> None:
        self.atoms: list[Symbol] = []
        self.numerals: set[int] = set()
        self.parts: set[int] = set()
        self._constants = constants
        self._rules = rules
        self._is_one = is_one
        self._numbers: dict[Any, int] = {}
        self._forms: dict[Symbol, Quotient] = {}

    def of(self, symbol: Symbol) -> Quotient:
        """The form of an expression."""
        for part in operands_first(symbol):
            if part not in self._forms:
                try:
                    self._forms[part] = self._made(part)
                except (TooLargeError, ZeroDivisionError):
                    self._forms[part] = self.atom(part, part)
        return self._forms[symbol]

    def define(self, name: Symbol, formula: Symbol) -> None:
        """Look into a name: it stands for a formula."""
        self._forms[name] = self.of(formula)

    def equal(self, a: Symbol, b: Symbol) -> bool:
        """Whether two expressions of one shape are equal at any numbers."""
        try:
            return not (self.of(a) - self.of(b)).above
        except TooLargeError:
            return False

    def atom(self, key: Any, symbol: Symbol) -> Quotient:
        """What is not looked into."""
        number = self._numbers.setdefault(key, len(self.atoms))
        if number == len(self.atoms):
            self.atoms.append(symbol)
        return Quotient({((number, 1),): Fraction(1)}, {})

    def number(self, symbol: Symbol) -> Quotient | None:
        """A constant of the program; None for anything else."""
        if symbol in self._constants:
            c = self._constants[symbol]
            found = self._literal(float(c.above)) * constant(Fraction(1, c.below))
            for name, power in c.powers.items():
                found = found * self._numeral(name, name) ** power
            return found
        plain = symbol.primitive is None and symbol.name is None and np.ndim(symbol.array) == 0
        return self._literal(symbol.array) if plain and symbol.dtype.kind in "iuf" else None

    def _literal(self, x: Any) -> Quotient:
        """A number as it stands in the program, of which decimals are atoms."""
        value = np.asarray(x).item()
        fraction = exact(value)
        if fraction is not None:
            return constant(fraction)
        return self._numeral(("number", repr(value)), Symbol(np.asarray(value)))

    def _numeral(self, key: Any, symbol: Symbol) -> Quotient:
        """A number as an atom."""
        found = self.atom(key, symbol)
        self.numerals.add(self._numbers[key])
        return found

    def _made(self, symbol: Symbol) -> Quotient:
        """The form of a call, from those of its operands."""
        if symbol.primitive is None or symbol in self._constants:
            return self.number(symbol) or self.atom(symbol, symbol)
        rule = self._rules.get(symbol.python) or self._rules.get(symbol.kind)
        found = rule(self, symbol) if rule else None
        if found is not None:
            return found
        x = [self._forms[operand] for operand in symbol.operands]
        match symbol.python:
            case "-a":
                return -x[0]
            case "a + b":
                return x[0] + x[1]
            case "a - b":
                return x[0] - x[1]
            case "a * b":
                return x[0] * x[1]
            case "a / b":
                return x[0] * x[1].inverse()
            case "np.reciprocal":
                return x[0].inverse()
            case "a**2":
                return x[0] ** 2
            case "a**b" if (power := integer(x[1])) is not None and abs(power) < 8:
                return x[0] ** power
            case "np.where":
                return x[0] * x[1] + (constant(1) - x[0]) * x[2]
            case "a @ b":
                return self._linear(symbol, 2)
        if symbol.kind in LINEAR or symbol.python == "np.sum":
            return x[0] if is_transparent(symbol) else self._linear(symbol, 1)
        same = symbol.dtype.kind == "f" or symbol.dtype == symbol.operands[0].dtype
        if symbol.kind in ("broadcast", "copy") and same:
            return x[0]
        return self.opaque(symbol, x)

    def opaque(self, symbol: Symbol, operands: Iterable[Quotient]) -> Quotient:
        """A call as an atom, the same one for equal operands."""
        shapes = () if symbol.kind == "elementwise" else [y.shape for y in symbol.operands]
        keys = tuple([x.key for x in operands])
        since = frozenset[Assumption]().union(*[x.since for x in operands])
        key = symbol.primitive, keys, repr(symbol.statics), repr(shapes), since
        return self.atom(key, symbol)._replace(since=since)

    def _linear(self, symbol: Symbol, count: int) -> Quotient:
        """A call that is linear in its first operands: term by term, what is constant outside."""
        first = [self._forms[x] for x in symbol.operands[:count]]
        rest = [self._forms[x] for x in symbol.operands[count:]]
        total = constant(0)
        terms: list[list[tuple[Quotient, Quotient]]] = [self._terms(symbol, x) for x in first]
        pairs = [[x] for x in terms[0]]
        for others in terms[1:]:
            pairs = [[*pair, x] for pair in pairs for x in others]
        if len(pairs) > MOST_TERMS:
            raise TooLargeError
        for pair in pairs:
            inside = [x for _, x in pair]
            outside = [x for x, _ in pair]
            total = total + reduce(Quotient.__mul__, outside, self.image(symbol, [*inside, *rest]))
        return total

    def image(self, symbol: Symbol, operands: list[Quotient]) -> Quotient:
        """What a linear call makes of operands without constants."""
        one = constant(1)
        if operands[0].key == one.key and symbol.kind in LINEAR:
            return one
        if symbol.python == "np.sum":
            if operands[0].key == one.key:
                count = symbol.operands[0].array.size // max(symbol.array.size, 1)
                return constant(count)
            atom = self.single(operands[0])
            since = None if atom is None else self._is_one(symbol, atom)
            if since is not None:
                return one._replace(since=operands[0].since | since)
        found = self.opaque(symbol, operands)
        whole = [self._forms[x].key for x in symbol.operands]
        if [x.key for x in operands] != whole:
            ((number, _),) = next(iter(found.above))
            if self.atoms[number] is symbol:  # of which this is only a part
                self.parts.add(number)
        return found

    def single(self, x: Quotient) -> Symbol | None:
        """The atom that a form is; None if it is none."""
        if len(x.above) != 1 or x.below:
            return None
        ((monomial, c),) = x.above.items()
        return self.atoms[monomial[0][0]] if c == 1 and [p for _, p in monomial] == [1] else None

    def _terms(self, symbol: Symbol, x: Quotient) -> list[tuple[Quotient, Quotient]]:
        """The terms of a quotient, each as what a linear call lets out and what stays inside."""
        found = []
        within = {f: p for f, p in x.below.items() if not self._passes(symbol, dict(f))}
        without = {f: p for f, p in x.below.items() if f not in within}
        for monomial, c in x.above.items():
            inside = tuple([part for part in monomial if not self._passes(symbol, {(part,): c})])
            outside = tuple([part for part in monomial if part not in inside])
            out = Quotient({outside: c}, without, x.since)
            found.append((out, cancelled({inside: Fraction(1)}, within, x.since)))
        return found

    def _passes(self, symbol: Symbol, polynomial: Polynomial) -> bool:
        """Whether a linear call lets a factor out, for it is the same along all its axes."""
        shapes = [self.atoms[atom].shape for monomial in polynomial for atom, _ in monomial]
        if symbol.python != "np.sum" or not symbol.statics["keepdims"]:
            return all(math.prod(shape) == 1 for shape in shapes)
        ndim = len(symbol.shape)
        axes = {axis - ndim for axis in ops.normalized(symbol.statics["axis"], ndim)}
        return all(shape[i] == 1 for shape in shapes for i in axes if -i <= len(shape))


def integer(x: Quotient) -> int | None:
    """The integer that a form is; None if it is none."""
    c = x.above.get((), Fraction(0))
    whole = not x.below and {*x.above} <= {()} and c.denominator == 1
    return int(c) if whole else None


def is_transparent(symbol: Symbol) -> bool:
    """Whether nothing but axes of length 1 in front are added or dropped, as broadcasting does."""
    before, after = symbol.operands[0].shape, symbol.shape
    if math.prod(before) == math.prod(after) == 1:
        return True
    short, long = sorted((before, after), key=len)
    padded = (1,) * (len(long) - len(short)) + short
    return symbol.kind == "reshape" and padded == long
