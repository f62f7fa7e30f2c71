"""The parts that `ag.compare` is made of, each by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini import activations
from autograd_mini.check.judge import (
    Constants,
    Judge,
    alike,
    factor_causes,
    factor_sentence,
    is_minus_one,
    unlike,
)
from autograd_mini.check.rounding import kink_edits, rounding_errors, without_small_constants
from autograd_mini.check.shapes import readings
from autograd_mini.check.site import (
    ACTIVATIONS,
    Candidate,
    Site,
    activation_slopes,
    derivative,
    fits,
    instead,
    is_recorded,
    is_unary,
    keep,
    nothing,
    own_function,
    times,
    with_operand,
)
from autograd_mini.check.slopes import FULL, numerical_agreement
from autograd_mini.check.wording import formula, text_of, tidy
from autograd_mini.formulas import digits, number, printable
from autograd_mini.trace import Trace, Value
from autograd_mini.trace.replay import Replay, chosen, flow

Array = Any
Shape = tuple[int, ...]


class Recorded:
    """A cost that was recorded with its derivative, and its replay."""

    def __init__(self, cost: Callable[[Any], Any], **parameters: Any) -> None:
        self.v = SimpleNamespace(
            **{name: ag.Tensor(x, requires_grad=True) for name, x in parameters.items()}
        )
        with ag.trace() as self.run:
            self.J = cost(self.v)
            self.J.backward()
        self.run.name(vars(self.v))
        self.replay = Replay(self.run, self.run[self.J])
        self.seed = {self.run[self.J]: np.ones(())}

    def __getitem__(self, name: str) -> Value:
        return self.run[name]

    def gradient(self, name: str) -> Array:
        found = self[name].gradient
        assert found is not None
        return found.array


def network(v: Any) -> Any:
    v.Z = v.W @ v.X
    v.A = np.tanh(v.Z)
    return np.sum(v.A**2) + np.sum(v.W**2)


@pytest.fixture
def net(rng: np.random.Generator) -> Recorded:
    return Recorded(network, W=rng.normal(size=(2, 3)), X=rng.normal(size=(3, 4)))


# ---- replay --------------------------------------------------------------------------------------


def test_a_replay_without_edits_gives_the_gradients_of_the_run_bit_by_bit(net: Recorded) -> None:
    found = net.replay.backward(net.run.pulls, net.seed)
    for name in ("W", "X", "Z", "A"):
        np.testing.assert_array_equal(found[net[name]], net.gradient(name))


def test_forward_calls_can_be_run_at_other_values(net: Recorded) -> None:
    W, X = net["W"], net["X"]
    calls = net.replay.after(W)
    assert calls[0].output is net["Z"]
    assert calls[-1].output is net.replay.cost
    found = net.replay.forward(calls, {W: 2 * W.array})
    expected = np.sum(np.tanh(2 * W.array @ X.array) ** 2) + np.sum(4 * W.array**2)
    assert found[net.replay.cost] == pytest.approx(expected, rel=1e-14)
    assert net.replay.after(net.replay.cost) == []


def test_calls_after_a_value_are_those_that_depend_on_it(net: Recorded) -> None:
    names = [call.primitive.name for call in net.replay.after(net["A"])]
    assert names == ["square", "sum", "add"]


def test_shares_lead_back_to_gradients_that_are_given(net: Recorded) -> None:
    pulls = net.replay.leading_to(net["X"], [net["Z"]])
    assert [(pull.operand, pull.call.output) for pull in pulls] == [(net["X"], net["Z"])]
    found = net.replay.backward(pulls, {net["Z"]: np.ones((2, 4))})
    np.testing.assert_allclose(found[net["X"]], net["W"].array.T @ np.ones((2, 4)))
    both = net.replay.leading_to(net["W"], [net["A"]])
    assert {pull.call.primitive.name for pull in both} >= {"matmul", "tanh", "square", "sum"}


def test_gradients_are_finished_in_the_order_of_the_backward_pass(net: Recorded) -> None:
    order = sorted((net[name] for name in "WXZA"), key=net.replay.finished)
    assert order.index(net["A"]) < order.index(net["Z"]) < order.index(net["X"])


def test_edits_change_a_call_a_share_or_a_whole_gradient(net: Recorded) -> None:
    pulls = net.replay.leading_to(net["Z"], net.seed)
    (tanh,) = [pull for pull in pulls if pull.operand is net["Z"]]
    dA, Z = net.gradient("A"), net["Z"]
    product = tanh.calls[-1]

    def found(place: Any, edit: Any) -> Array:
        return net.replay.backward(pulls, net.seed, {place: edit}).get(Z)

    np.testing.assert_array_equal(found(product, keep(0)), dA)
    np.testing.assert_array_equal(found(tanh, times(3.0)), 3 * dA)
    np.testing.assert_array_equal(found(Z, lambda g: -g), -net.gradient("Z"))
    np.testing.assert_allclose(found(net["A"], lambda g: 2 * g), 2 * net.gradient("Z"))
    assert found(tanh, nothing) is None


def test_where_all_shares_are_taken_away_nothing_goes_on(net: Recorded) -> None:
    into_A = [pull for pull in net.run.pulls if pull.operand is net["A"]]
    found = net.replay.backward(net.run.pulls, net.seed, dict.fromkeys(into_A, nothing))
    assert net["Z"] not in found
    np.testing.assert_allclose(found[net["W"]], 2 * net["W"].array)


def test_gradients_that_are_given_win_but_what_was_computed_is_returned(net: Recorded) -> None:
    given = {**net.seed, net["A"]: np.ones((2, 4))}
    found = net.replay.backward(net.run.pulls, given)
    np.testing.assert_array_equal(found[net["A"]], net.gradient("A"))
    np.testing.assert_allclose(found[net["Z"]], 1 - net["A"].array ** 2)


def test_rules_can_be_run_on_other_forward_values(net: Recorded) -> None:
    (tanh,) = [pull for pull in net.run.pulls if pull.operand is net["Z"]]
    other = np.full((2, 4), 0.5)
    share = Replay.share(tanh, np.ones((2, 4)), values={net["A"]: other})
    np.testing.assert_array_equal(share, np.full((2, 4), 0.75))


def test_the_flow_of_a_rule_is_what_depends_on_the_gradient(net: Recorded) -> None:
    (tanh,) = [pull for pull in net.run.pulls if pull.operand is net["Z"]]
    inside = flow(tanh)
    assert net["A"].gradient in inside
    assert tanh.result in inside
    assert net["A"] not in inside
    assert chosen(tanh.calls[-1], {net["A"].gradient: "g"})[0] == "g"


@pytest.mark.parametrize(
    ("function", "faithful"),
    [
        (lambda w: 2.5 - w, True),
        (lambda w: np.hypot(w, 3.0), False),
        (lambda w: np.remainder(w, 0.7), False),
        (lambda w: np.copysign(w, np.array([-1.0, 1.0])), False),
        (lambda w: 1 / 3 - 1e-6 - w / 30, True),
    ],
)
def test_a_replay_is_faithful_where_all_constants_are_known(
    function: Callable[[Any], Any], faithful: bool
) -> None:
    w = ag.Tensor([9.9999, 2.0], requires_grad=True)
    J = np.sum(function(w) ** 2)
    with Trace.of_graph(J) as run:
        true = ag.gradients(J, w).data
    replay = Replay(run, run[J])
    assert replay.is_faithful is faithful
    assert math.isfinite(rounding_errors(replay, [run[w]])[run[w]])
    assert (numerical_agreement(replay, run[w], true) is None) is not faithful


# ---- site ----------------------------------------------------------------------------------------


def site(net: Recorded, name: str, tensors: dict[str, Array] | None = None) -> Site:
    value = net[name]
    pulls = net.replay.leading_to(value, net.seed)
    candidates = [Candidate(array, text) for text, array in (tensors or {}).items()]
    expected = net.replay.backward(pulls, net.seed)
    return Site(net.replay, value, pulls, net.seed, expected, tensors=candidates)


@pytest.mark.parametrize(
    ("shape", "place", "expected"),
    [
        ((3, 4), (3, 4), True),
        ((4,), (3, 4), True),
        ((3, 1), (3, 4), True),
        ((3,), (3, 4), False),
        ((1, 1), (3, 4), False),
        ((1, 1), (1, 1), True),
        ((), (), True),
        ((2, 3, 4), (3, 4), False),
    ],
)
def test_a_tensor_fits_where_it_broadcasts(shape: Shape, place: Shape, expected: bool) -> None:
    assert fits(shape, place) is expected


def test_others_are_tensors_that_fit_and_make_a_difference(net: Recorded) -> None:
    A = net["A"].array
    tensors = {"A": A, "B": np.ones((2, 4)), "tiny": A * 1e-9, "C": np.ones((5, 5))}
    here = site(net, "Z", tensors)
    assert [x.text for x in here.fitting((2, 4))] == ["A", "B", "tiny"]
    assert [x.text for x in here.others(net["A"])] == ["B"]
    assert [x.text for x in here.labels()] == ["B"]


def test_edits_that_make_no_sense_have_no_outcome(net: Recorded) -> None:
    here = site(net, "Z")
    (tanh,) = here.own_shares()
    assert here.outcome({tanh: lambda g: g @ g}) is None
    assert here.outcome({tanh: nothing}) is None
    assert here.outcome({tanh: lambda g: g / 0}) is None
    np.testing.assert_array_equal(here.outcome({tanh: instead(np.ones(3))}), np.ones(3))
    restarted = here.outcome({tanh: here.restart(tanh, np.zeros((2, 4)))})
    np.testing.assert_array_equal(restarted, np.zeros((2, 4)))


def test_what_an_operand_of_a_rule_is(net: Recorded) -> None:
    here = site(net, "Z")
    (tanh,) = here.own_shares()
    square, _, product = tanh.calls
    assert is_unary(tanh)
    assert is_recorded(square.operands[0])
    assert not is_recorded(2.0)
    assert not here.carries(square, square.operands[0])
    assert here.carries(product, product.operands[0])
    assert not here.carries(product, 2.0)
    (into_X,) = site(net, "X").own_shares()
    assert not is_unary(into_X)
    changed = with_operand(product, 1, np.zeros((2, 4)))(*chosen(product, {}))
    np.testing.assert_array_equal(changed, np.zeros((2, 4)))
    np.testing.assert_allclose(own_function(tanh)(np.ones(2)), np.tanh(np.ones(2)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_of_an_activation_is_that_of_its_differences(name: str) -> None:
    f, x, h = ACTIVATIONS[name], np.array([-2.0, -0.5, 0.7, 3.0]), 1e-6
    numerical = (f(x + h) - f(x - h)) / (2 * h)
    np.testing.assert_allclose(derivative(f, x), numerical, rtol=1e-8)


def test_a_derivative_can_be_written_in_another_output() -> None:
    x, y = np.array([0.3, 0.4]), np.array([2.0, 3.0])
    np.testing.assert_array_equal(derivative(np.tanh, x, y), 1 - y**2)
    np.testing.assert_array_equal(derivative(activations.sigmoid, x, y), y * (1 - y))


def test_slopes_that_may_be_taken_for_a_derivative_have_texts() -> None:
    texts = [slope.text for slope in activation_slopes(Candidate(np.ones(2), "A"))]
    assert "tanh'(A)" in texts
    assert "A * (1 - A)" in texts
    assert len(texts) == len(ACTIVATIONS) + 2


# ---- judge ---------------------------------------------------------------------------------------

numbers = st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3)


@given(c=numbers, seed=st.integers(0, 100))
def test_a_factor_is_found_whatever_it_is(c: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(3, 2))
    assert Judge(c * x, 1e-9).factor(x) == pytest.approx(c, rel=1e-9)
    assert Judge(c * x + [[0, 0], [0, 1], [0, 0]], 1e-9).factor(x) is None


@given(c=numbers, d=numbers, seed=st.integers(0, 100))
def test_two_constants_are_found_whatever_they_are(c: float, d: float, seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 3, 2))
    judge = Judge(c * a + d * b, 1e-9)
    assert judge.combination(a, b) == pytest.approx((c, d), rel=1e-6)
    assert Judge(c * a + d * b + a * b * 1e3, 1e-9).combination(a, b) is None


def test_a_judge_says_no_where_there_is_nothing_to_judge() -> None:
    x = np.array([1.0, 2.0, 3.0])
    judge = Judge(x, 1e-9)
    assert judge.same(x + 1e-10)
    assert not judge.same(x + 1e-8)
    assert not judge.same(None)
    assert not judge.same(np.ones(2))
    assert judge.factor(np.ones(2)) is None
    assert judge.factor(np.zeros(3)) is None
    assert Judge(np.zeros(3), 1e-9).factor(x) is None
    assert judge.combination(x, np.ones(2)) is None
    assert judge.combination(x, np.zeros(3)) is None
    assert judge.combination(x, 2 * x) is None
    assert Judge(x[:2], 1e-9).combination(x[:2], np.ones(2)) is None
    assert Judge(np.zeros(()), 1e-9).same(np.zeros(()))


def test_what_remains_is_judged_as_exactly_as_the_whole() -> None:
    x = np.array([1.0, 2.0, 3.0])
    assert Judge(x + 5 * x**2, 1e-9).less(x).factor(x**2) == pytest.approx(5)


def test_large_numbers_have_more_slack_for_rounding() -> None:
    x = np.array([1.0, 2.0])
    assert Judge(1e6 * x, 1e-9, size=2.0).slack == pytest.approx(1e-3)
    assert Judge(x, 1e-9).slack == 1e-9


def test_constants_have_the_simplest_name_first() -> None:
    constants = Constants({"m": 5, "lam": 0.7, "zero": 0, "one": 1})
    assert constants.names(5)[0] == "m"
    assert constants.names(1 / 5) == ["1/m"]
    assert constants.names(-0.14) == ["-lam/m"]
    assert constants.names(25) == ["m**2"]
    assert "1/(m*lam)" in constants.names(1 / 3.5)
    assert constants.names(123.4) == []
    assert constants.short(0.5) == "1/2"
    assert constants.text(0.2) == "1/m = 0.2"
    assert constants.text(0.25).endswith("0.25")
    assert constants.text(123.4567891) == "123.457"
    assert Constants({"n": 2.0}).names(2)[0] in ("n", "2")


@pytest.mark.parametrize(
    ("c", "causes", "words"),
    [
        (-1.0, ("sign",), ["wrong sign", "multiply by -1"]),
        (5.0, ("constant factor",), ["m = 5 times too large"]),
        (0.2, ("constant factor",), ["m = 5 times too small"]),
        (-5.0, ("constant factor", "sign"), ["wrong sign and is", "too large"]),
        (4.0, ("constant factor",), ["at this point", "same number"]),
    ],
)
def test_a_factor_is_told_in_words(c: float, causes: tuple[str, ...], words: list[str]) -> None:
    constants = Constants({"m": 5, "k": 4, "four": 4})
    assert factor_causes(c) == causes
    sentence = factor_sentence(c, constants)
    assert all(word in sentence for word in words)


def test_constants_are_alike_to_rounding() -> None:
    assert alike(1.0, 1.0 + 1e-9)
    assert not alike(1.0, 1.0 + 1e-4)
    assert is_minus_one(-1.0)
    assert unlike([1.0, 2.0, 1.0 + 1e-12, 3.0, 2.0]) == [1.0, 2.0, 3.0]


# ---- shapes --------------------------------------------------------------------------------------


TRUE = np.arange(1.0, 7.0).reshape(2, 3)
COLUMN = np.array([[1.0], [2.0], [3.0]])
EACH = np.array([[1.0, 0.0], [0.5, 1.5], [4.0, -1.0]])  # their sums are COLUMN


@pytest.mark.parametrize(
    ("hand", "true", "order", "causes"),
    [
        (TRUE.ravel(), TRUE, "C", ()),
        (TRUE.ravel(order="F"), TRUE, "F", ()),
        (TRUE.ravel(order="F"), TRUE, "C", ("column-major",)),
        (TRUE.ravel(), TRUE, "F", ("column-major",)),
        (TRUE.T, TRUE, "C", ("transposed",)),
        (COLUMN.ravel(), COLUMN, "C", ("rank-1 array",)),
        (COLUMN, COLUMN.ravel(), "C", ("rank-1 array",)),
        (COLUMN.T, COLUMN, "C", ("transposed",)),
        (TRUE[None], TRUE, "C", ("rank-1 array",)),
        (np.array([2.0]), np.array(2.0), "C", ()),
        (np.array(2.0), np.full((2, 3), 2.0), "C", ("sum over everything",)),
        (np.array([[2.0]]), np.full((2, 3), 2.0), "C", ("sum over everything",)),
        (np.vstack([[9, 9, 9], TRUE]), TRUE, "C", ("bias row",)),
        (np.vstack([TRUE, [9, 9, 9]]), TRUE, "C", ("bias row",)),
        (np.hstack([[[9], [9]], TRUE]), TRUE, "C", ("bias row",)),
        (TRUE[1:], TRUE, "C", ("bias row",)),
        (TRUE[:, 1:], TRUE, "C", ("bias row",)),
        (COLUMN + np.zeros(3), COLUMN, "C", ("broadcast",)),
        (COLUMN.ravel() + np.zeros((3, 1)), COLUMN, "C", ("broadcast",)),
        (np.diag(COLUMN.ravel()), COLUMN, "C", ("broadcast",)),
        (EACH, COLUMN, "C", ("missing sum",)),
        (EACH.T, COLUMN.ravel(), "C", ("missing sum",)),
        (EACH, COLUMN.ravel(), "C", ("missing sum",)),
        (np.array([[1.0, 2.0]]), np.array([[3.0]]), "C", ("missing sum", "wrong axis")),
        (np.array([1.0, 2.0]), np.array(3.0), "C", ("missing sum", "wrong axis")),
    ],
)
def test_an_array_is_read_in_the_shape_that_it_should_have(
    hand: Array, true: Array, order: str, causes: tuple[str, ...]
) -> None:
    fitting = [r for r in readings(hand, true, order) if np.allclose(r.array, true)]
    assert causes in [reading.causes for reading in fitting]
    assert all(reading.array.shape == true.shape for reading in readings(hand, true, order))
    assert all(bool(reading.causes) == bool(reading.sentence) for reading in fitting)


@pytest.mark.parametrize(
    ("hand", "true"),
    [
        (np.ones((5, 7)), TRUE),
        (np.ones(7), TRUE),
        (np.ones((3, 2, 1)), TRUE),
        (np.ones(6), np.ones((5, 1))),
    ],
)
def test_what_cannot_be_read_has_no_reading(hand: Array, true: Array) -> None:
    assert list(readings(hand, true, "C")) == []


# ---- rounding and kinks --------------------------------------------------------------------------


def test_rounding_errors_grow_where_numbers_cancel() -> None:
    harmless = Recorded(lambda v: np.sum(v.w**2), w=np.array([1.0, 2.0]))
    cancels = Recorded(lambda v: np.sum(((v.w + 1e6) - 1e6) ** 2), w=np.array([1.0, 2.0]))
    small = rounding_errors(harmless.replay, [harmless["w"]])[harmless["w"]]
    large = rounding_errors(cancels.replay, [cancels["w"]])[cancels["w"]]
    assert small < 20
    assert large > 1e5


def test_rounding_alone_gives_an_infinite_error() -> None:
    nothing_left = Recorded(
        lambda v: np.sum(np.sqrt((v.w + 1e16) - (v.w + 1e16) + 1e-300)), w=np.array([1.0])
    )
    assert rounding_errors(nothing_left.replay, [nothing_left["w"]])[nothing_left["w"]] == np.inf


def test_integer_and_boolean_operands_are_not_shaken() -> None:
    labels = np.array([0, 2])
    chosen_ones = Recorded(
        lambda v: -np.sum(ag.log_softmax(v.z)[np.arange(2), labels]), z=np.eye(2, 3)
    )
    assert math.isfinite(rounding_errors(chosen_ones.replay, [chosen_ones["z"]])[chosen_ones["z"]])


@pytest.mark.parametrize(
    ("function", "slopes"),
    [
        (ag.relu, {0.0, 1.0}),
        (ag.leaky_relu, {0.01, 1.0}),
        (np.abs, {-1.0, 1.0}),
        (lambda w: np.maximum(w, 0.0), {0.0, 1.0}),
        (lambda w: np.where(w > 0, w, 3 * w), {1.0, 3.0}),
    ],
)
def test_both_one_sided_derivatives_are_found_at_a_kink(
    function: Callable[[Any], Any], slopes: set[float]
) -> None:
    at = Recorded(lambda v: np.sum(function(v.w)), w=np.array([-2.0, 0.0, 3.0]))
    sides = [{}, *kink_edits(at.replay)]
    found = [at.replay.backward(at.run.pulls, at.seed, edits)[at["w"]] for edits in sides]
    assert slopes <= {float(gradient[1]) for gradient in found}
    for gradient in found:
        np.testing.assert_array_equal(gradient[[0, 2]], at.gradient("w")[[0, 2]])


def test_off_kinks_there_is_one_side_only() -> None:
    at = Recorded(lambda v: np.sum(np.tanh(ag.relu(v.w))), w=np.array([-2.0, 3.0]))
    assert kink_edits(at.replay) == []


def test_small_constants_are_left_out_and_others_are_not() -> None:
    at = Recorded(lambda v: np.sum(np.log(1e-8 + v.w)) + np.sum(v.w + 0.5), w=np.array([1e-8, 1.0]))
    (edits,) = without_small_constants(at.replay)
    found = at.replay.backward(at.run.pulls, at.seed, edits)[at["w"]]
    np.testing.assert_allclose(found, [1e8 + 1, 2.0])
    np.testing.assert_allclose(at.gradient("w"), [0.5e8 + 1, 2.0])
    none = Recorded(lambda v: np.sum(v.w + 0.5), w=np.array([1.0]))
    assert without_small_constants(none.replay) == []
    twice = Recorded(lambda v: np.sum(np.log((v.w + 1e-8) + 1e-9)), w=np.array([1e-8]))
    (edits,) = without_small_constants(twice.replay)
    found = twice.replay.backward(twice.run.pulls, twice.seed, edits)[twice["w"]]
    np.testing.assert_allclose(found, [1e8])


# ---- slopes --------------------------------------------------------------------------------------


def off(*args: Any) -> float:
    """How far a gradient is from the numerical one."""
    agreement = numerical_agreement(*args)
    assert agreement is not None
    return agreement.off


def test_a_right_gradient_agrees_with_the_numerical_one_and_a_wrong_one_does_not(
    net: Recorded,
) -> None:
    for name in ("W", "X", "Z", "A"):
        value, true = net[name], net.gradient(name)
        assert off(net.replay, value, true) < 1e-14
        assert off(net.replay, value, 2 * true) == pytest.approx(1, rel=0.1)


def test_where_an_op_has_a_kink_differences_are_taken() -> None:
    at = Recorded(lambda v: np.sum(np.abs(v.w) ** 3), w=np.array([-1.0, 2.0]))
    assert 0 < off(at.replay, at["w"], at.gradient("w")) < 1e-8


def test_above_a_size_projections_are_taken(rng: np.random.Generator) -> None:
    w = rng.normal(size=(FULL + 1, 2))
    for function in (np.sin, np.abs):
        at = Recorded(lambda v, f=function: np.sum(f(v.w) ** 2), w=w)
        true = at.gradient("w")
        assert off(at.replay, at["w"], true) < 1e-7
        wrong = true.copy()
        wrong[7, 1] += 1.0
        assert off(at.replay, at["w"], wrong) > 1e-4


def test_a_gradient_of_zero_agrees_with_zero() -> None:
    at = Recorded(lambda v: np.sum(v.w * 0.0), w=np.array([1.0, 2.0]))
    assert off(at.replay, at["w"], np.zeros(2)) == 0
    assert off(at.replay, at["w"], np.ones(2)) == 1


# ---- wording -------------------------------------------------------------------------------------


def test_calls_are_written_as_the_code_that_they_stand_for() -> None:
    rng = np.random.default_rng(0)
    W, b, x = (ag.Tensor(rng.normal(size=s), requires_grad=True) for s in [(2, 3), (2, 1), (3, 4)])
    cases = {
        "W @ x + b": lambda: W @ x + b,
        "(W + b) @ x": lambda: (W + b) @ x,
        "W - (b - 2)": lambda: W - (b - 2.0),
        "W - b + 2": lambda: W - b + 2.0,
        "W / (b * W)": lambda: W / (b * W),
        "-W": lambda: -W,
        "(-W)**2": lambda: (-W) ** 2,
        "-W**2": lambda: -(W**2),
        "(W + b)**2": lambda: (W + b) ** 2,
        "W**3": lambda: W**3.0,
        "W.T @ b": lambda: W.T @ b,
        "np.tanh(W)": lambda: np.tanh(W),
        "ag.sigmoid(W + b)": lambda: ag.sigmoid(W + b),
        "np.sum(W)": lambda: np.sum(W),
        "np.sum(W, axis=1, keepdims=True)": lambda: np.sum(W, axis=1, keepdims=True),
        "np.abs(W)": lambda: np.abs(W),
        "W * -3": lambda: W * -3.0,
        "-3 * W": lambda: -3.0 * W,
        "0.14 * W": lambda: 0.07 * (2.0 * W),
        "1.5 * W": lambda: 0.5 * W * 3.0,
        "W.reshape((3, 2))": lambda: W.reshape(3, 2),
        "W": lambda: W.reshape(1, 2, 3),
        "(W > 0)": lambda: W > 0.0,
    }
    for text, call in cases.items():
        with ag.trace() as run:
            call()
        run.name({"W": W, "b": b, "x": x})
        assert text_of(run.calls[-1].output) == text


def test_what_has_no_name_is_written_as_what_it_is() -> None:
    w = ag.Tensor(np.ones(3), requires_grad=True)
    with ag.trace() as run:
        y = np.where(np.array([True, False, True]), w * np.array([1.0, 2.0, 3.0]), np.array([7.0]))
    assert y.shape == (3,)
    condition, product, seven = run.calls[-1].operands
    assert text_of(condition) == "condition"
    assert text_of(product) == "(...) * (...)"
    assert text_of(seven) == "7"
    assert text_of(2.5) == "2.5"


def test_numbers_are_written_as_a_reader_wants_them() -> None:
    assert digits(2.0) == "2"
    assert digits(0.1) == "0.1"
    assert digits(np.float32(0.5)) == "0.5"
    assert digits(1e20) == "1e+20"
    assert number(3.0) == "3"
    assert number(1 / 3) == "0.333333"
    assert number(1e20) == "1e+20"
    assert tidy("0.30000000000000004 * W2 + 2") == "0.3 * W2 + 2"
    assert tidy("0.2 * x3 - 1e-05", lambda c: "1/m" if c == 0.2 else "c") == "1/m * x3 - c"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("W1", "W1"), ("größe", "größe"), ("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("", "")],
)
def test_names_are_shown_without_what_a_terminal_obeys(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_formulas_of_gradients_are_those_of_the_lecture(net: Recorded) -> None:
    def written(name: str, given: dict[Value, str]) -> str:
        pulls = net.replay.leading_to(net[name], given)
        return formula(net[name], pulls, given, number)

    assert written("Z", {net["A"]: "dA"}) == "dA * (1 - A**2)"
    assert written("X", {net["Z"]: "dZ"}) == "W.T @ dZ"
    assert written("X", {net["Z"]: "dZ / m"}) == "W.T @ (dZ / m)"
    both = written("W", {net["Z"]: "dZ", net.replay.cost: "1"})
    assert both in ("dZ @ X.T + 2 * W", "2 * W + dZ @ X.T")


def test_a_negative_share_is_subtracted_in_a_formula() -> None:
    at = Recorded(lambda v: np.sum(np.sin(v.w)) - np.sum(v.w * 3.0), w=np.array([1.0, 2.0]))
    pulls = at.replay.leading_to(at["w"], at.seed)
    text = formula(at["w"], pulls, dict.fromkeys(at.seed, "1"), number)
    assert "+ -" not in text


def test_a_replay_of_a_graph_is_a_replay_of_its_run(rng: np.random.Generator) -> None:
    W = ag.Tensor(rng.normal(size=(2, 3)), requires_grad=True)
    J = np.sum(np.tanh(W @ rng.normal(size=(3, 4))) ** 2)
    with Trace.of_graph(J) as run:
        gradient = ag.gradients(J, W)
    replay = Replay(run, run[J])
    found = replay.backward(run.pulls, {run[J]: np.ones(())})
    np.testing.assert_array_equal(found[run[W]], gradient.data)
