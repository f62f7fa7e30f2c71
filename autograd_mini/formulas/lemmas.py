"""What algebra of elements cannot know: each lemma is one function, with its proof.

A lemma is a rule of `Forms`: it gives the form of a call, or None where it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive, implementations, primitive
from ..trace import Call
from .algebra import Assumption, Forms, Quotient, Rule, constant
from .expressions import Symbol
from .names import in_python

Array = Any


# ---- what functions are, where a program has written them out -----------------------------------


def exponential(forms: Forms, symbol: Symbol) -> Quotient:
    """exp(a + b) = exp(a) exp(b), exp(2 a) = exp(a)^2 and exp(-a) = 1 / exp(a)."""
    x = forms.of(symbol.operands[0])
    found = constant(1)
    for monomial, c in x.above.items():
        whole = c if c.denominator == 1 and abs(c) < 8 else Fraction(1 if c > 0 else -1)
        part = Quotient({monomial: c / whole}, x.below, x.since)
        below = [atom for factor in x.below for term, _ in factor for atom, _ in term]
        atoms = [forms.atoms[atom].shape for atom in (*[atom for atom, _ in monomial], *below)]
        like = Symbol(np.empty(np.broadcast_shapes(*atoms)), "exp", symbol.primitive)
        e = forms.opaque(like, [part])
        found = found * e ** int(whole)
    return found


def defined(definition: Callable[..., Symbol]) -> Rule:
    """A function by what it is made of."""

    def rule(forms: Forms, symbol: Symbol) -> Quotient:
        return forms.of(definition(*symbol.operands, **symbol.statics))

    return rule


def logistic(x: Symbol) -> Symbol:
    """1 / (1 + exp(-x))."""
    return ops.divide(1.0, ops.add(1.0, ops.exp(ops.negative(x))))


def hyperbolic_tangent(x: Symbol) -> Symbol:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""
    up, down = ops.exp(x), ops.exp(ops.negative(x))
    return ops.divide(ops.subtract(up, down), ops.add(up, down))


def normalised_exponentials(x: Symbol, axis: int) -> Symbol:
    """exp(x) / sum(exp(x)), of which anything may be subtracted that is constant along the axis."""
    e = ops.exp(x)
    return ops.divide(e, ops.reduce_sum(e, axis=axis, keepdims=True))


def positive_part(x: Symbol) -> Symbol:
    """X where it is positive, else 0."""
    return ops.multiply(x, implementations[np.greater](x, 0.0))


def leaky(x: Symbol, negative_slope: float) -> Symbol:
    """The same where it is positive, else a multiple of it."""
    positive = implementations[np.greater](x, 0.0)
    found: Symbol = ops.where(positive, x, ops.multiply(negative_slope, x))
    return found


def smooth_positive_part(x: Symbol) -> Symbol:
    """log(1 + exp(x))."""
    return ops.log(ops.add(1.0, ops.exp(x)))


def larger_than_zero(forms: Forms, symbol: Symbol) -> Quotient | None:
    """The larger of x and 0 is the positive part of x."""
    for x, other in (symbol.operands, symbol.operands[::-1]):
        if not forms.of(other).above:
            return forms.of(positive_part(x))
    return None


#: By the names that Python has for them.  Only these make a function known that is written out.
DEFINITIONS: dict[str, Rule] = {
    "np.exp": exponential,
    "ag.sigmoid": defined(logistic),
    "np.tanh": defined(hyperbolic_tangent),
    "ag.softmax": defined(normalised_exponentials),
    "ag.relu": defined(positive_part),
    "np.maximum": larger_than_zero,
    "ag.leaky_relu": defined(leaky),
    "ag.softplus": defined(smooth_positive_part),
}


# ---- class labels -------------------------------------------------------------------------------


@cache
def one_hot(classes: int, along: int) -> Primitive:
    """The op that makes class labels rows, or columns, that are 1 at the right class and else 0."""
    equal = f"1.0 * ($labels[..., None] == np.arange({classes}))"

    @primitive(r"\mathrm{onehot}($labels)", f"np.moveaxis({equal}, -1, {along})", name="onehot")
    def onehot(labels: Array) -> Array:
        return np.moveaxis(1.0 * (labels[..., None] == np.arange(classes)), -1, along)

    return onehot


def class_axis(indices: tuple[Symbol, ...], shape: tuple[int, ...]) -> int | None:
    """The axis of the classes in a key such as ``[np.arange(n), labels]``; None for other keys."""
    for axis in (1, 0):
        if len(indices) == len(shape) == 2 and is_range(indices[1 - axis], shape[1 - axis]):
            return axis
    return None


def is_range(symbol: Symbol, n: int) -> bool:
    """Whether an index is each number from 0 on once, in order, and nobody's data."""
    inner = symbol.operands[0] if symbol.kind == "broadcast" else symbol  # [0] is the number 0
    return inner.primitive is None and np.array_equal(symbol.array, np.arange(n))


def chosen_classes(forms: Forms, symbol: Symbol) -> Quotient | None:
    """What is put back where it was chosen from: f(x[k]) at k and 0 elsewhere is f(x) onehot(k).

    For a key that chooses one element of each row: elementwise, f(x) is f(x[k]) at k, and onehot(k)
    is 1 there and 0 elsewhere.
    """
    part, *indices = symbol.operands
    axis = class_axis(tuple(indices), symbol.shape)
    if axis is None:
        return None
    labels = indices[axis]
    found = forms.of(part)
    mask: Symbol = one_hot(symbol.shape[axis], axis)(labels)
    inside = forms.opaque(mask, [forms.of(labels)])
    return replaced(forms, found, lambda atom: whole(atom, indices), inside)


def whole(atom: Symbol, indices: list[Symbol]) -> Symbol | None:
    """What an atom is chosen from; the atom itself if it is a number; None for others."""
    if atom.kind == "index" and len(atom.operands) == 1 + len(indices):
        x, *key = atom.operands
        alike = [
            a.array is b.array or (is_range(a, n) and is_range(b, n))
            for a, b, n in zip(key, indices, x.shape, strict=True)
        ]
        return x if all(alike) else None
    return atom if np.size(atom.array) == 1 else None


def replaced(
    forms: Forms, x: Quotient, by: Callable[[Symbol], Symbol | None], factor: Quotient
) -> Quotient | None:
    """A form with others for its atoms, times a factor; None if one has no other."""

    def evaluated(polynomial: Any) -> Quotient | None:
        total = constant(0)
        for monomial, c in polynomial.items():
            term = constant(c)
            for atom, power in monomial:
                other = by(forms.atoms[atom])
                if other is None:
                    return None
                term = term * forms.of(other) ** power
            total = total + term
        return total

    found = evaluated(x.above)
    for below, power in x.below.items():
        other = evaluated(dict(below))
        if found is None or other is None or not other.above:
            return None
        found = found * other.inverse() ** power
    return None if found is None else (found * factor)._replace(since=found.since | x.since)


LEMMAS: dict[str, Rule] = {"scatter": chosen_classes}


def axis_of_ones(call: Symbol | Call) -> int | None:
    """The axis along which a call sums to 1 by construction; None if there is none."""
    shape = call.shape if isinstance(call, Symbol) else call.output.shape
    if call.primitive is None:
        return None
    if in_python(call.primitive) == "ag.softmax":
        return int(call.statics["axis"]) % len(shape)
    for along in range(len(shape)):
        if call.primitive is one_hot(shape[along], along):
            return along
    return None


def assumed(array: Array, axis: int, name: str) -> frozenset[Assumption] | None:
    """What is true of data and makes their sum along an axis 1; None if it is not true."""
    if array.dtype.kind not in "biuf" or not array.size:
        return None
    found = Assumption(name, axis, array.ndim)
    return frozenset({found}) if np.allclose(np.sum(array, axis=axis), 1, atol=1e-12) else None
