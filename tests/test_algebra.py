"""The algebra of derivations: what is equal is found to be, and what is not never is."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.core import ops
from autograd_mini.explain.constants import Constant
from autograd_mini.formulas import Symbol, named
from autograd_mini.formulas.algebra import Assumption, Forms, divided, times
from autograd_mini.formulas.lemmas import DEFINITIONS, LEMMAS, assumed, axis_of_ones, one_hot

RNG = np.random.default_rng(15)
A, B, C = (named(name, RNG.uniform(0.2, 0.8, (3, 4))) for name in "ABC")
ROW, COLUMN = named("r", RNG.uniform(1, 2, (1, 4))), named("c", RNG.uniform(1, 2, (3, 1)))
NUMBER = named("n", np.array(2.5))
HALF, TENTH = Symbol(0.5), Symbol(0.1)


def call(function: Callable[..., Any], *operands: Any, **statics: Any) -> Symbol:
    """A call on Symbols."""
    symbol: Symbol = function(*operands, **statics)
    return symbol


def product(*x: Any) -> Symbol:
    """All multiplied."""
    found = x[0]
    for other in x[1:]:
        found = ops.multiply(found, other)
    return found


def total(*x: Any) -> Symbol:
    """All added."""
    found = x[0]
    for other in x[1:]:
        found = ops.add(found, other)
    return found


def minus(x: Any) -> Symbol:
    return call(ops.negative, x)


def over(a: Any, b: Any) -> Symbol:
    return call(ops.divide, a, b)


def summed(x: Any, axis: Any = 1, keepdims: bool = True) -> Symbol:
    return call(ops.reduce_sum, x, axis=axis, keepdims=keepdims)


def complement(x: Any) -> Symbol:
    return call(ops.subtract, 1, x)


ENTROPY = total(over(complement(B), complement(A)), minus(over(B, A)))
PAIRS: dict[str, tuple[Symbol, Symbol, bool]] = {
    "the famous one": (product(ENTROPY, A, complement(A)), call(ops.subtract, A, B), True),
    "with a sign": (product(ENTROPY, A, complement(A)), call(ops.subtract, B, A), False),
    "without a factor": (product(ENTROPY, A), call(ops.subtract, A, B), False),
    "sums in any order": (total(A, B, C), total(C, A, B), True),
    "a square": (
        call(ops.square, total(A, B)),
        total(product(A, A), product(2, A, B), product(B, B)),
        True,
    ),
    "a power": (call(ops.power, A, 3), product(A, A, A), True),
    "a negative power": (call(ops.power, A, -2), over(over(1, A), A), True),
    "another power": (call(ops.power, A, 2.5), product(A, A), False),
    "a reciprocal": (call(ag.numpy_functions.reciprocal, A), over(1, A), True),
    "fractions": (
        total(over(A, B), over(B, A)),
        over(total(product(A, A), product(B, B)), product(A, B)),
        True,
    ),
    "halves": (product(HALF, total(A, A)), A, True),
    "tenths are no binary fractions": (product(TENTH, 10, A), A, False),
    "a tenth is a tenth": (product(TENTH, A), product(A, TENTH), True),
    "nothing": (call(ops.subtract, A, A), product(0, B), True),
    "one column less": (product(A, COLUMN), A, False),
    "what is constant along an axis": (
        summed(product(A, COLUMN)),
        product(COLUMN, summed(A)),
        True,
    ),
    "what is not": (summed(product(A, ROW)), product(ROW, summed(A)), False),
    "over another axis": (summed(product(A, ROW), 0), product(ROW, summed(A, 0)), True),
    "numbers without keepdims": (
        summed(product(A, NUMBER), 1, False),
        product(NUMBER, summed(A, 1, False)),
        True,
    ),
    "sums of sums": (summed(total(A, B)), total(summed(A), summed(B)), True),
    "a sum of fractions": (summed(over(total(A, B), A)), total(4, summed(over(B, A))), True),
    "a count": (summed(over(A, A)), Symbol(np.full((3, 1), 4.0)), False),  # an array, and no number
    "products of matrices": (
        call(ops.matrix_product, total(A, B), call(ops.transpose, total(C, A))),
        total(
            *[call(ops.matrix_product, x, call(ops.transpose, y)) for x in (A, B) for y in (C, A)]
        ),
        True,
    ),
    "in the other order": (
        call(ops.matrix_product, A, call(ops.transpose, B)),
        call(ops.matrix_product, B, call(ops.transpose, A)),
        False,
    ),
    "logarithms of equals": (call(ops.log, total(A, B)), call(ops.log, total(B, A)), True),
    "logarithms of others": (call(ops.log, total(A, B)), call(ops.log, total(A, C)), False),
    "a choice": (
        call(ops.where, call(ops.greater, A, B), A, 0.0),
        product(call(ops.greater, A, B), A),
        True,
    ),
    "a choice of two": (
        call(ops.where, call(ops.greater, A, B), A, B),
        total(B, product(call(ops.greater, A, B), call(ops.subtract, A, B))),
        True,
    ),
    "a mask is never evaluated": (product(call(ops.greater, A, -1.0), A), A, False),
    "axes in front": (call(ops.reshape, ROW, shape=(4,)), ROW, True),
    "axes behind": (call(ops.reshape, COLUMN, shape=(3,)), COLUMN, False),
    "one element": (call(ops.reshape, NUMBER, shape=(1, 1)), NUMBER, True),
    "an array of ones in another order": (
        product(call(ops.transpose, over(A, A)), call(ops.transpose, B)),
        call(ops.transpose, B),
        True,
    ),
    "no power": (call(ops.power, A, 0), over(A, A), True),
    "no power of nothing": (product(call(ops.power, call(ops.subtract, A, A), 0), B), B, True),
    "a repeated row": (
        product(call(ops.broadcast_to, ROW, shape=(3, 4)), A),
        product(A, ROW),
        True,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_expressions_are_equal_or_not(name: str) -> None:
    a, b, expected = PAIRS[name]
    assert Forms({}, LEMMAS).equal(a, b) is expected
    assert Forms({}, LEMMAS).equal(b, a) is expected
    if expected:
        np.testing.assert_allclose(*np.broadcast_arrays(a.array, b.array), rtol=1e-12)


def exponentials(x: Symbol, axis: int) -> Symbol:
    return call(ops.exp, call(ops.subtract, x, call(ops.reduce_max, x, axis=axis, keepdims=True)))


def of_tanh(x: Symbol) -> Symbol:
    e = call(ops.exp, product(2, x))
    return over(call(ops.subtract, e, 1), total(e, 1))


WRITTEN: dict[str, tuple[Any, Callable[[Symbol], Symbol], bool]] = {
    "sigmoid": (ag.sigmoid, lambda x: over(1, total(1, call(ops.exp, minus(x)))), True),
    "sigmoid upside down": (
        ag.sigmoid, lambda x: over(call(ops.exp, x), total(1, call(ops.exp, x))), True,
    ),
    "sigmoid of the opposite": (ag.sigmoid, lambda x: over(1, total(1, call(ops.exp, x))), False),
    "tanh": (ops.tanh, of_tanh, True),
    "tanh as a sigmoid": (
        ops.tanh, lambda x: call(ops.subtract, product(2, ag.sigmoid(product(2, x))), 1), True,
    ),
    "relu": (ag.relu, lambda x: product(x, call(ops.greater, x, 0)), True),
    "relu by maximum": (ag.relu, lambda x: call(ops.maximum, 0.0, x), True),
    "leaky relu": (
        lambda x: ag.leaky_relu(x, negative_slope=0.1),
        lambda x: call(ops.where, call(ops.greater, x, 0), x, product(0.1, x)),
        True,
    ),
    "leaky relu with another slope": (
        ag.leaky_relu, lambda x: call(ops.where, call(ops.greater, x, 0), x, product(0.1, x)), False
    ),
    "softplus": (ag.softplus, lambda x: call(ops.log, total(1, call(ops.exp, x))), True),
    "softplus of base 2": (ag.softplus, lambda x: call(ops.log, total(2, call(ops.exp, x))), False),
    "maximum with something": (ag.relu, lambda x: call(ops.maximum, x, B), False),
    "softmax": (
        lambda x: ag.softmax(x, axis=0),
        lambda x: over(exponentials(x, 0), summed(exponentials(x, 0), 0)),
        True,
    ),
    "softmax along another axis": (
        lambda x: ag.softmax(x, axis=1),
        lambda x: over(exponentials(x, 0), summed(exponentials(x, 0), 0)),
        False,
    ),
    "softmax that does not sum to 1": (
        lambda x: ag.softmax(x, axis=0),
        lambda x: over(exponentials(x, 0), total(1, summed(exponentials(x, 0), 0))),
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_functions_that_are_written_out_are_known_or_not(name: str) -> None:
    function, written, expected = WRITTEN[name]
    assert Forms({}, DEFINITIONS).equal(written(A), function(A)) is expected


# ---- lemmas -------------------------------------------------------------------------------------


def test_what_is_chosen_and_put_back_is_a_multiple_of_one_hot_rows() -> None:
    i, t = Symbol(np.arange(3)), named("t", np.array([2, 0, 2]))
    key: dict[str, Any] = {"key": (ops.Index, ops.Index)}
    part = call(ops.getitem, A, i, t, **key)
    back = call(ops.scatter, over(1, part), i, t, shape=(3, 4), **key)
    mask = call(one_hot(4, 1), t)
    forms = Forms({}, LEMMAS)
    assert forms.equal(product(back, A), mask)
    np.testing.assert_array_equal((back.array * A.array), mask.array)
    assert axis_of_ones(mask) == 1
    # near misses: rows that are not each chosen once, and something else that was chosen
    j = Symbol(np.array([0, 0, 1]))
    part = call(ops.getitem, A, j, t, **key)
    back = call(ops.scatter, over(1, part), j, t, shape=(3, 4), **key)
    assert not Forms({}, LEMMAS).equal(product(back, A), mask)
    other = call(ops.getitem, A, i, named("s", np.array([2, 0, 1])), **key)
    back = call(ops.scatter, over(1, other), i, t, shape=(3, 4), **key)
    assert not Forms({}, LEMMAS).equal(product(back, A), mask)
    vector = named("v", np.ones(3))
    back = call(ops.scatter, over(vector, part), i, t, shape=(3, 4), **key)
    assert not Forms({}, LEMMAS).equal(product(back, A), mask)


def test_probabilities_sum_to_one_by_construction_and_labels_by_assumption() -> None:
    p = call(ag.softmax, A, axis=1)

    def is_one(total: Symbol, atom: Symbol) -> frozenset[Assumption] | None:
        if axis_of_ones(atom) is not None:
            return frozenset() if axis_of_ones(atom) == 1 else None
        return assumed(atom.array, 1, str(atom.name))

    T = named("T", np.eye(4)[[0, 3, 1]])
    forms = Forms({}, LEMMAS, is_one)
    start = product(p, call(ops.subtract, summed(product(over(T, p), p)), over(T, p)))
    assert forms.equal(start, call(ops.subtract, p, T))
    assert forms.of(start).since == {Assumption("T", 1, 2)}
    assert not forms.of(summed(p)).since
    assert forms.equal(summed(p), Symbol(1.0))
    assert not forms.equal(summed(B), Symbol(1.0))
    # what sums to 1 along an axis does not along another, and other functions do nowhere
    assert axis_of_ones(call(ag.softmax, A, axis=0)) == 0
    assert axis_of_ones(call(ops.exp, A)) is axis_of_ones(A) is None
    # what needs an assumption is not mixed with what needs none
    assert not forms.equal(call(ops.log, product(A, summed(T))), call(ops.log, A))


@pytest.mark.parametrize(
    ("array", "axis", "text"),
    [
        (np.eye(3), 0, "each column of T sums to 1"),
        (np.eye(3), 1, "each row of T sums to 1"),
        (np.array([0.25, 0.75]), 0, "T sums to 1"),
        (np.full((2, 2, 2), 0.5), 2, "T sums to 1 along axis 2"),
    ],
)
def test_assumptions_are_said_in_words(array: Any, axis: int, text: str) -> None:
    found = assumed(array, axis, "T")
    assert found is not None
    assert [str(x) for x in found] == [text]


@pytest.mark.parametrize("array", [np.ones((2, 2)), np.zeros((0, 2)), np.array(["a"])])
def test_what_is_not_true_of_data_is_not_assumed(array: Any) -> None:
    assert assumed(array, 0, "T") is None


def test_numbers_of_a_program_are_powers_of_those_with_names() -> None:
    lam, m, penalty = named("lam", np.array(0.7)), named("m", np.array(5)), Symbol(0.07)
    constants = {penalty: Constant(Fraction(7, 10), 2, {m: -1, lam: 1})}
    forms = Forms(constants, LEMMAS)
    assert forms.equal(product(penalty, m, 2, A), product(lam, Symbol(0.7), A))
    assert not forms.equal(product(penalty, m, 2, A), product(lam, A))


def test_a_name_that_is_defined_is_looked_into() -> None:
    forms, dA = Forms({}, LEMMAS), named("dA", ENTROPY.array)
    difference = call(ops.subtract, A, B)
    assert not forms.equal(product(dA, A, complement(A)), difference)
    forms = Forms({}, LEMMAS)
    forms.define(dA, ENTROPY)
    assert forms.equal(product(dA, A, complement(A)), difference)


# ---- polynomials --------------------------------------------------------------------------------


def test_division_is_exact_or_there_is_none() -> None:
    x, y, one = ((0, 1),), ((1, 1),), ()
    p = {x: Fraction(1), y: Fraction(-2)}
    q = {x: Fraction(3), one: Fraction(1), y: Fraction(5)}
    assert divided(times(p, q), p) == q
    assert divided(times(p, q), q) == p
    assert divided({**times(p, q), one: Fraction(1)}, p) is None
    assert divided({x: Fraction(1)}, {y: Fraction(1)}) is None


def test_a_formula_that_is_too_large_stays_as_it_is() -> None:
    names = [named(f"x{i}", np.array(float(i))) for i in range(9)]
    five = product(*[total(x, 1) for x in names[:5]])
    large = product(five, *[total(x, 1) for x in names[5:]])
    forms = Forms({}, LEMMAS)
    assert len(forms.of(five).above) == 32
    assert len(forms.of(large).above) < 32  # of an atom, which stands for a part
    assert forms.equal(large, large)
    larger = call(ops.matrix_product, *[
        total(*[named(f"{c}{i}", np.full((2, 2), i + 1.0)) for i in range(9)]) for c in "ab"
    ])  # fmt: skip
    assert forms.single(forms.of(larger)) is larger
    a, b = (total(*[named(f"{c}{i}", np.array(i + 1.0)) for i in range(39)]) for c in "ab")
    assert not forms.equal(over(total(A, B), a), over(total(A, B), b))


def test_a_division_by_nothing_stays_as_it_is() -> None:
    with np.errstate(all="ignore"):
        wild = over(A, call(ops.subtract, B, B))
    forms = Forms({}, LEMMAS)
    assert forms.single(forms.of(wild)) is wild
