"""`ag.compare`: what it takes, what it judges right, and what its report tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from networks import one_hidden_layer

import autograd_mini as ag
from autograd_mini.check import Comparison
from autograd_mini.check.report import GradientError

Array = Any
M = 5


# ---- a network and its right derivation ----------------------------------------------------------


class Lecture:
    """One hidden layer with tanh and the logistic loss, and the six equations of the lecture."""

    def __init__(self, dtype: Any = float, m: int = M) -> None:
        vars(self).update(one_hidden_layer(m=m, dtype=dtype))

    @property
    def names(self) -> dict[str, Any]:
        """The user's variables."""
        return vars(self)

    def hand(self, **wrong: Callable[[dict[str, Array]], Array]) -> dict[str, Array]:
        """The gradients by hand, some by a wrong formula: what follows goes on from what it gives.

        dZ is m times the derivative of J, as in the lecture.
        """
        X, Y, W2, A1, A2 = self.X, self.Y, self.W2.data, self.A1.data, self.A2.data
        v: dict[str, Array] = {}
        lines: dict[str, Callable[[dict[str, Array]], Array]] = {
            "dZ2": lambda v: A2 - Y,
            "dW2": lambda v: v["dZ2"] @ A1.T / self.m,
            "db2": lambda v: np.sum(v["dZ2"], axis=1, keepdims=True) / self.m,
            "dZ1": lambda v: W2.T @ v["dZ2"] * (1 - A1**2),
            "dW1": lambda v: v["dZ1"] @ X.T / self.m,
            "db1": lambda v: np.sum(v["dZ1"], axis=1, keepdims=True) / self.m,
        }
        for name, formula in (lines | wrong).items():
            v[name] = formula(v)
        return v

    def compare(self, hand: Any, **options: Any) -> Comparison:
        """The report, with the user's variables."""
        return ag.compare(self.J, hand, self.names, **options)

    def compare_wrong(self, **wrong: Callable[[dict[str, Array]], Array]) -> Comparison:
        """The report on a derivation with some wrong formulas."""
        return self.compare(self.hand(**wrong))


def verdicts(report: Comparison) -> dict[str, str]:
    return {line.name: line.verdict for line in report.lines}


def causes(report: Comparison) -> dict[str, tuple[str, ...]]:
    return {line.name: line.causes for line in report.lines if line.verdict == "wrong"}


@pytest.fixture
def v() -> Lecture:
    return Lecture()


def without_slope(v: Lecture) -> dict[str, Array]:
    """The derivative of tanh is forgotten."""
    return v.hand(dZ1=lambda d: v.W2.data.T @ d["dZ2"])


# ---- three ways to call it -----------------------------------------------------------------------


def test_a_dict_of_names_is_resolved_by_the_names_that_are_given(v: Lecture) -> None:
    report = ag.compare(v.J, v.hand(), names=v.names)
    assert report
    assert [line.name for line in report.lines] == ["dZ2", "dW2", "db2", "dZ1", "dW1", "db1"]


def test_a_dict_of_names_is_resolved_by_the_callers_variables(v: Lecture) -> None:
    W1, J = v.W1, v.J
    assert ag.compare(J, {"dW1": v.hand()["dW1"]}).lines[0].value.shape == W1.shape


def test_locals_are_taken_whole_and_nothing_else_in_them_disturbs(v: Lecture) -> None:
    J, W1, b1, Z1, X, m, text = v.J, v.W1, v.b1, v.Z1, v.X, v.m, "d"
    dZ1, dW1, db1 = (v.hand()[name] for name in ("dZ1", "dW1", "db1"))
    d, delta, dtype = 1.0, [1, "a"], np.float64
    report = ag.compare(J, locals())
    assert report
    assert [line.name for line in report.lines] == ["dZ1", "dW1", "db1"]
    assert report.ignored == []


def test_keys_can_be_tensors(v: Lecture) -> None:
    hand = v.hand()
    report = v.compare({v.W1: hand["dW1"], v.Z1: hand["dZ1"]})
    assert report
    assert {line.name for line in report.lines} == {"dW1", "dZ1"}


def test_the_three_ways_give_the_same_report(v: Lecture) -> None:
    hand = without_slope(v)
    by_name = v.compare(hand)
    by_tensor = v.compare({v.names[name[1:]]: array for name, array in hand.items()})
    everything = v.compare({**v.names, **hand})
    assert str(by_name) == str(by_tensor) == str(everything)


def test_a_tensor_without_a_name_is_called_unnamed() -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    report = ag.compare(np.sum(w**2), {w: 2 * w.data}, names={})
    assert report.lines[0].name == "d(unnamed)"


def test_hand_gradients_can_be_tensors_lists_and_integers() -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    J = np.sum(w**2)
    for hand in (ag.Tensor([2.0, 4.0]), [2.0, 4.0], [2, 4], np.array([2, 4], np.int8)):
        assert ag.compare(J, {"dw": hand})
    c = ag.Tensor([1.0, 0.0], requires_grad=True)
    assert ag.compare(np.sum(c**2) / 2, {"dc": np.array([True, False])})


# ---- names ---------------------------------------------------------------------------------------


def test_names_are_found_by_identity_and_the_first_of_two_wins(v: Lecture) -> None:
    names = {"first": v.W1, "W1": v.W1, "copy": ag.Tensor(v.W1.data.copy())}
    hand = {v.W1: v.hand()["dW1"]}
    assert ag.compare(v.J, hand, names).lines[0].name == "dfirst"
    report = ag.compare(v.J, {"dfirst": v.hand()["dW1"], "dW1": v.hand()["dW1"]}, names)
    assert [line.name for line in report.lines] == ["dfirst"]
    assert report.ignored == ["dW1"]


def test_names_that_are_given_come_before_the_callers_variables(v: Lecture) -> None:
    J, W1, hand = v.J, v.b1, v.hand()  # another W1 than that of names
    assert ag.compare(J, {"dW1": hand["dW1"]}, names=v.names)
    assert ag.compare(J, {"dW1": hand["db1"]}).lines[0].value.shape == W1.shape


def test_what_does_not_belong_to_the_cost_is_listed_once_and_ignored(v: Lecture) -> None:
    stranger = ag.Tensor(np.ones(3), requires_grad=True)
    names = {**v.names, "stranger": stranger}
    hand = {"dW1": v.hand()["dW1"], "dstranger": np.ones(3), "dX": v.X, "dJ": 1.0, "typo": 3.0}
    report = ag.compare(v.J, hand, names)
    assert report
    assert report.ignored == ["dstranger", "dX", "dJ"]
    assert str(report).count("dstranger") == 1
    assert report.to_dict()["ignored"] == report.ignored


def test_a_name_of_the_tensor_itself_is_its_name() -> None:
    weights = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    assert ag.compare(np.sum(weights**2), {weights: 2 * weights.data}).lines[0].name == "dw"


def test_complements_that_were_computed_without_tensors_are_written_as_such(v: Lecture) -> None:
    wrong = {"dA2": -v.Y / v.A2.data - (1 - v.Y) / (1 - v.A2.data)}
    assert "(1 - Y) / (1 - A2)" in str(v.compare(wrong))


# ---- it needs nothing and touches nothing --------------------------------------------------------


def test_no_grad_is_touched_and_no_retain_grad_is_needed(v: Lecture) -> None:
    before = ag.Tensor([1.0])
    v.W1.grad = before
    assert v.compare(v.hand())
    assert v.W1.grad is before
    assert [getattr(t, "grad", None) for t in (v.b1, v.W2, v.b2, v.Z1, v.A1)] == [None] * 5


def test_hand_gradients_are_not_written(v: Lecture) -> None:
    hand = without_slope(v)
    before = {name: array.copy() for name, array in hand.items()}
    for array in hand.values():
        array.flags.writeable = False
    v.compare(hand)
    for name, array in hand.items():
        np.testing.assert_array_equal(array, before[name])


def test_intermediate_results_need_no_variables() -> None:
    rng = np.random.default_rng(1)
    X, Y, W = rng.normal(size=(4, 3)), rng.normal(size=(4, 1)), rng.normal(size=(3, 1))

    def cost(W: ag.Tensor) -> ag.Tensor:
        return np.mean((np.tanh(X @ W + 0.5) - Y) ** 2)

    W_ = ag.Tensor(W, requires_grad=True)
    A = np.tanh(X @ W + 0.5)
    dW = X.T @ (2 / 4 * (A - Y) * (1 - A**2))
    assert ag.compare(cost(W_), {W_: dW}, {"W": W_})
    assert not ag.compare(cost(W_), {W_: X.T @ (2 / 4 * (A - Y))}, {"W": W_})


def test_a_graph_that_was_recorded_long_before_can_be_compared_again(v: Lecture) -> None:
    others = [Lecture() for _ in range(3)]
    for other in others:
        other.J.backward()
    assert v.compare(v.hand())
    assert not v.compare(without_slope(v))
    assert v.compare(v.hand())


def test_an_update_with_a_new_array_after_the_cost_does_no_harm(v: Lecture) -> None:
    hand, names = v.hand(), dict(v.names)
    v.W1 = ag.Tensor(v.W1.data - 0.1 * hand["dW1"], requires_grad=True)
    assert ag.compare(v.J, hand, names)


def test_a_parameter_that_was_changed_in_place_is_an_error(v: Lecture) -> None:
    hand = v.hand()
    with ag.no_grad():
        v.W2 -= 0.1 * hand["dW2"]
    with pytest.raises(RuntimeError, match="changed in place"):
        v.compare(hand)


def test_float32_is_judged_by_its_own_precision() -> None:
    v = Lecture(np.float32)
    assert v.J.dtype == np.float32
    assert v.compare(v.hand())
    assert v.compare(without_slope(v)).first_wrong == "dZ1"


def test_the_report_is_the_same_twice(v: Lecture) -> None:
    hand = without_slope(v)
    assert str(v.compare(hand)) == str(v.compare(hand))
    assert v.compare(hand).to_dict() == v.compare(hand).to_dict()


def test_lines_come_in_backward_order_however_they_are_given(v: Lecture) -> None:
    hand = v.hand()
    report = v.compare(dict(reversed(hand.items())))
    places = {line.name: i for i, line in enumerate(report.lines)}
    assert places["dZ2"] < places["dZ1"] < min(places["dW1"], places["db1"])


# ---- bad input -----------------------------------------------------------------------------------


def bad_calls() -> Iterator[Any]:
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    J, names, right = np.sum(w**2), {"w": w}, {"dw": 2 * w.data}

    def case(error: type[Exception], match: str, *args: Any, **options: Any) -> Any:
        return pytest.param(error, match, args, options, id=match)

    yield case(TypeError, "as a Tensor", 5.0, right, names)
    yield case(TypeError, "not ndarray", np.array(5.0), right, names)
    yield case(ValueError, "must be one number", w**2, right, names)
    yield case(ValueError, "the cost is nan", J * np.nan, right, names)
    yield case(ValueError, "the cost is inf", J * np.inf, right, names)
    yield case(RuntimeError, "recorded|history|gradient", ag.Tensor(5.0), right, names)
    yield case(ValueError, "no gradient to compare", J, {}, names)
    yield case(ValueError, "not in its graph: dv", J, {"dv": 1.0}, names)
    yield case(ValueError, "no gradient to compare", J, {"w": w.data}, names)
    yield case(TypeError, "not int", J, {1: w.data}, names)
    yield case(TypeError, "dw is no array of real numbers", J, {"dw": ["a", "b"]}, names)
    yield case(TypeError, "dtype complex128", J, {"dw": w.data + 0j}, names)
    yield case(TypeError, "dtype object", J, {"dw": None}, names)
    yield case(ValueError, "dw is no array of numbers", J, {"dw": [[1.0, 2.0], [3.0]]}, names)
    yield case(ValueError, "order is 'C'", J, right, names, order="A")
    yield case(ValueError, "hint is 0, 1, 2 or 3", J, right, names, hint=4)


@pytest.mark.parametrize(("error", "match", "args", "options"), list(bad_calls()))
def test_bad_input_gives_a_clear_error(
    error: type[Exception], match: str, args: Any, options: Any
) -> None:
    with pytest.raises(error, match=match):
        ag.compare(*args, **options)


# ---- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "wrong", "found"),
    [
        ("db1", lambda d: np.sum(d["dZ1"], axis=1) / M, "rank-1 array"),
        ("db1", lambda d: d["dZ1"] / M, "missing sum"),
        ("db1", lambda d: np.zeros((4, 1)) + np.sum(d["dZ1"], axis=1) / M, "broadcast"),
        ("dW2", lambda d: d["dZ2"].ravel(), "shape"),
    ],
)
def test_a_wrong_shape_is_a_finding_and_the_line_is_named(
    v: Lecture, line: str, wrong: Callable[[dict[str, Array]], Array], found: str
) -> None:
    report = v.compare_wrong(**{line: wrong})
    assert report.first_wrong == line
    assert {*verdicts(report).values()} <= {"right", "convention", "wrong"}
    assert found in causes(report)[line]
    assert "where" in str(report)


def test_a_transposed_line_among_others_is_a_finding(v: Lecture) -> None:
    hand = v.hand()
    report = v.compare({**hand, "dW1": hand["dW1"].T})
    assert causes(report) == {"dW1": ("transposed",)}


def test_a_bias_row_too_many_or_too_few_is_a_finding() -> None:
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
    Theta = ag.Tensor(rng.normal(size=(2, 4)), requires_grad=True)
    a = np.concatenate([np.ones((1, 5)), X])
    z = Theta @ a
    J = np.mean((z - Y) ** 2)
    dz = 2 / 10 * (z.data - Y)
    assert ag.compare(J, {"dTheta": dz @ a.T})
    assert "bias row" in ag.compare(J, {"dz": dz, "dTheta": dz @ X.T}).lines[1].causes
    extra = np.concatenate([np.ones((2, 1)), dz @ a.T], axis=1)
    assert "bias row" in ag.compare(J, {"dTheta": extra}).lines[0].causes


def test_flat_arrays_are_read_row_by_row_or_as_declared(v: Lecture) -> None:
    dW1 = v.hand()["dW1"]
    rows, columns = dW1.ravel(), dW1.ravel(order="F")
    assert v.compare({"dW1": rows})
    assert v.compare({"dW1": columns}, order="F")
    for given, order, right_one in ((columns, "C", "F"), (rows, "F", "C")):
        report = v.compare({"dW1": given}, order=order)
        assert causes(report) == {"dW1": ("column-major",)}
        assert f"order={right_one!r}" in str(report)
        assert v.compare({"dW1": given}, order=right_one)


def test_a_number_is_read_as_an_array_of_one_element_and_reversely() -> None:
    w = ag.Tensor(3.0, requires_grad=True)
    b = ag.Tensor([[2.0]], requires_grad=True)
    J = np.sum(w**2 * b)
    assert ag.compare(J, {"dw": 12.0})
    assert ag.compare(J, {"dw": [12.0]})
    assert not ag.compare(J, {"dw": 13.0})


# ---- numbers that are none, and zeros ------------------------------------------------------------


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_a_finding_of_that_line_alone(v: Lecture, strange: float) -> None:
    hand = v.hand()
    hand["db1"] = hand["db1"].copy()
    hand["db1"][2, 0] = strange
    report = v.compare(hand)
    assert causes(report) == {"db1": ("not finite",)}
    assert f"{strange} in 1 of 4 elements, first at [2, 0]" in str(report)
    json.dumps(report.to_dict(), allow_nan=False)


def test_what_follows_from_what_is_no_number_is_judged_by_the_right_one(v: Lecture) -> None:
    hand = v.hand()
    report = v.compare({**hand, "dZ2": np.full((1, M), np.nan)})
    assert report.first_wrong == "dZ2"
    assert verdicts(report)["dW1"] == "right"


def test_zeros_are_a_forgotten_gradient(v: Lecture) -> None:
    report = v.compare({**v.hand(), "db1": np.zeros((4, 1))})
    assert causes(report).keys() == {"db1"}
    assert report.lines[-1].explanations[0].causes == ("zero",)


def test_a_gradient_that_is_zero_is_right_only_if_it_is_zero_by_hand() -> None:
    X = np.array([[1.0, 2.0], [3.0, 4.0]])
    W = ag.Tensor([[-5.0, -6.0]], requires_grad=True)
    b = ag.Tensor([[1.0]], requires_grad=True)
    J = np.sum(ag.relu(W @ X)) + np.sum(b**2)
    report = ag.compare(J, {"dW": np.zeros((1, 2)), "db": 2 * b.data})
    assert report
    assert not ag.compare(J, {"dW": np.ones((1, 2)), "db": 2 * b.data})


# ---- conventions ---------------------------------------------------------------------------------


def test_no_1_over_m_in_intermediate_gradients_is_a_convention(v: Lecture) -> None:
    report = v.compare(v.hand())
    assert report
    assert verdicts(report)["dZ2"] == verdicts(report)["dZ1"] == "convention"
    assert [line.scale for line in report.lines] == pytest.approx([M, 1, 1, M, 1, 1])
    assert "m = 5" in str(report)


def test_the_1_over_m_in_intermediate_gradients_is_right_too(v: Lecture) -> None:
    hand = v.hand()
    exact = {**hand, "dZ2": hand["dZ2"] / M, "dZ1": hand["dZ1"] / M}
    assert {*verdicts(v.compare(exact)).values()} == {"right"}


def test_conventions_can_be_mixed(v: Lecture) -> None:
    hand = v.hand()
    mixed = {**hand, "dZ1": hand["dZ1"] / M}
    report = v.compare(mixed)
    assert report
    assert verdicts(report)["dZ2"] == "convention"
    assert verdicts(report)["dZ1"] == "right"


def test_a_factor_that_spoils_the_leaves_is_no_convention(v: Lecture) -> None:
    report = v.compare_wrong(dZ1=lambda d: 2 * v.W2.data.T @ d["dZ2"] * (1 - v.A1.data**2))
    assert report.first_wrong == "dZ1"
    assert causes(report)["dZ1"] == ("constant factor",)
    assert verdicts(report)["dW1"] == verdicts(report)["db1"] == "follows"


def test_all_gradients_may_be_transposed(v: Lecture) -> None:
    assert v.compare({name: array.T for name, array in v.hand().items()})
    square = ag.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    J = np.sum(square**3) * 2
    assert ag.compare(J, {"dsquare": 6 * square.data.T**2})


def test_a_line_that_cannot_be_read_as_transposed_spoils_the_layout(v: Lecture) -> None:
    hand = {name: array.T for name, array in v.hand().items()}
    report = v.compare({**hand, "dW1": np.ones((2, 2))})
    assert not report
    assert "transposed" in causes(report)["dZ1"]


def test_square_lines_go_with_those_that_are_transposed() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(3, 5))
    W, V = (ag.Tensor(rng.normal(size=(3, 3)), requires_grad=True) for _ in range(2))
    H = W @ X
    J = np.sum((V @ H) ** 2) / 2
    dH = V.data.T @ (V.data @ H.data)
    dV, dW = (V.data @ H.data) @ H.data.T, dH @ X.T
    assert ag.compare(J, {"dV": dV, "dH": dH, "dW": dW})
    assert ag.compare(J, {"dV": dV.T, "dH": dH.T, "dW": dW.T})
    assert ag.compare(J, {"dV": dV.T, "dH": dH.T, "dW": dW}).first_wrong == "dW"
    nan = np.full((3, 3), np.nan)
    assert ag.compare(J, {"dV": nan, "dH": dH.T, "dW": dW.T}).first_wrong == "dV"


@pytest.mark.parametrize("side", [0.0, 0.5, 1.0])
def test_either_side_of_a_kink_is_right(side: float) -> None:
    X = np.array([[1.0, -2.0, 0.0, 3.0]])
    W = ag.Tensor([[1.0], [2.0]], requires_grad=True)
    Z = W @ X
    J = np.sum(ag.relu(Z) ** 2 + 3 * ag.relu(Z))
    slope = np.where(Z.data == 0, side, Z.data > 0)
    dZ = (2 * np.maximum(Z.data, 0) + 3) * slope
    report = ag.compare(J, {"dZ": dZ, "dW": dZ @ X.T})
    assert bool(report) == (side in (0.0, 1.0))


def test_a_small_constant_against_log_0_in_the_cost_is_no_mistake_of_the_hand(v: Lecture) -> None:
    Y, A2 = v.Y, v.A2
    v.J = -np.sum(Y * np.log(A2 + 1e-8) + (1 - Y) * np.log(1 - A2 + 1e-8)) / M
    assert v.compare(v.hand())
    assert not v.compare(without_slope(v))


def test_hand_numbers_in_float32_are_judged_by_their_precision(v: Lecture) -> None:
    single = {name: array.astype(np.float32) for name, array in v.hand().items()}
    assert v.compare(single)
    slope = {name: array.astype(np.float32) for name, array in without_slope(v).items()}
    report = v.compare(slope)
    assert report.first_wrong == "dZ1"
    assert "missing factor" in causes(report)["dZ1"]


def test_a_declared_precision_lets_printed_digits_pass(v: Lecture) -> None:
    printed = {name: np.round(array, 6) for name, array in v.hand().items()}
    assert not v.compare(printed)
    assert v.compare(printed, precision=1e-6)
    report = v.compare({n: np.round(x, 6) for n, x in without_slope(v).items()}, precision=1e-6)
    assert report.first_wrong == "dZ1"
    assert "missing factor" in causes(report)["dZ1"]


@pytest.mark.parametrize("function", [lambda w: np.hypot(w, 3.0), lambda w: 1 / 3 - w / 30])
def test_no_constant_makes_a_wrong_gradient_right(function: Callable[[Any], Any]) -> None:
    w = ag.Tensor([9.99999, 2.0], requires_grad=True)
    J = np.sum(function(w) ** 3)
    true = ag.gradients(J, w).data
    assert ag.compare(J, {"dw": true})
    assert not ag.compare(J, {"dw": 2 * true})


# ---- where ---------------------------------------------------------------------------------------


def test_leaves_are_judged_exactly(v: Lecture) -> None:
    hand = v.hand()
    for factor in (2, 1 / M, -1, 1 + 1e-6):
        report = v.compare({**hand, "dW1": factor * hand["dW1"]})
        assert verdicts(report)["dW1"] == "wrong"
        assert report.first_wrong == "dW1"


def test_what_follows_from_a_wrong_line_is_no_mistake_of_its_own(v: Lecture) -> None:
    report = v.compare(without_slope(v))
    assert verdicts(report) == {
        "dZ2": "convention",
        "dW2": "right",
        "db2": "right",
        "dZ1": "wrong",
        "dW1": "follows",
        "db1": "follows",
    }
    follows = {line.name: line.follows_from for line in report.lines}
    assert follows["dW1"] == follows["db1"] == ["dZ1"]
    assert causes(report)["dZ1"][0] == "missing factor"
    assert "2 more follow" in report.title


def test_a_line_that_was_corrected_behind_a_wrong_one_is_right(v: Lecture) -> None:
    hand = {**without_slope(v), "dW1": v.hand()["dW1"]}
    report = v.compare(hand)
    assert verdicts(report)["dW1"] == "right"
    assert verdicts(report)["db1"] == "follows"


def test_two_independent_mistakes_are_both_found(v: Lecture) -> None:
    A1, Z1, W2 = v.A1.data, v.Z1.data, v.W2.data
    report = v.compare_wrong(
        dW2=lambda d: d["dZ2"] @ Z1.T / M, dZ1=lambda d: W2.T @ d["dZ2"] * (1 + A1**2)
    )
    found = causes(report)
    assert report.first_wrong == "dW2"
    assert found.keys() == {"dW2", "dZ1"}
    assert "wrong operand" in found["dW2"]
    assert found["dZ1"] == ("sign of a term",)
    assert verdicts(report)["dW1"] == "follows"
    assert "dW2 and dZ1 are wrong" in report.title


def test_all_leaves_off_by_one_factor_are_the_gradients_of_another_cost(v: Lecture) -> None:
    leaves = {name: M * array for name, array in v.hand().items() if name[1] in "Wb"}
    report = v.compare(leaves)
    assert not report
    assert "m = 5 times J" in str(report)
    assert {*verdicts(report).values()} <= {"wrong", "follows"}


def test_one_leaf_off_by_a_factor_is_no_other_cost(v: Lecture) -> None:
    hand = v.hand()
    assert "times J" not in str(v.compare({"dW1": 2 * hand["dW1"]}))
    pair = {"dW1": 2 * hand["dW1"], "db1": 3 * hand["db1"]}
    assert "times J" not in str(v.compare(pair))


def test_a_mistake_upstream_of_several_leaves_is_one_mistake(v: Lecture) -> None:
    leaves = {name: x for name, x in without_slope(v).items() if name[1] in "Wb"}
    report = v.compare(leaves)
    found = verdicts(report)
    assert found["dW2"] == found["db2"] == "right"
    assert sorted([found["dW1"], found["db1"]]) == ["follows", "wrong"]
    assert causes(report)[str(report.first_wrong)][0] == "missing factor"


def test_a_constant_upstream_of_several_leaves_is_one_mistake(v: Lecture) -> None:
    hand = v.hand()
    leaves = {name: hand[name] for name in ("dW2", "db2")}
    leaves |= {name: 3 * hand[name] for name in ("dW1", "db1")}
    report = v.compare(leaves)
    assert sorted(verdicts(report).values()) == ["follows", "right", "right", "wrong"]
    assert causes(report)[str(report.first_wrong)] == ("constant factor",)


def test_leaves_with_different_mistakes_are_both_wrong(v: Lecture) -> None:
    hand, wrong = v.hand(), without_slope(v)
    report = v.compare(
        {**{n: hand[n] for n in ("dW2", "db2")}, "dW1": wrong["dW1"], "db1": -hand["db1"]}
    )
    assert verdicts(report)["dW1"] == verdicts(report)["db1"] == "wrong"


def test_numerical_and_automatic_gradients_agree_in_the_report(v: Lecture) -> None:
    for line in v.compare(without_slope(v)).to_dict()["lines"]:
        assert line["numerical_difference"] < 1e-9


# ---- what a hint tells ---------------------------------------------------------------------------


KNOWN = {"title", "ok", "notes", "ignored"}
FACTS = {"name", "shape", "verdict", "scale", "difference", "numerical_difference"}


def test_hint_0_tells_only_that_something_is_wrong(v: Lecture) -> None:
    report = v.compare(without_slope(v), hint=0)
    found = report.to_dict()
    assert found.keys() == KNOWN
    text = str(report) + json.dumps(found) + report._repr_html_()
    assert "dZ1" not in text
    assert "tanh" not in text
    assert "Not all gradients are right" in text
    assert "All 6 gradients are right" in str(v.compare(v.hand(), hint=0))


def test_hint_1_tells_which_lines_are_wrong(v: Lecture) -> None:
    report = v.compare(without_slope(v), hint=1)
    found = report.to_dict()
    assert found["first_wrong"] == "dZ1"
    assert {frozenset(line) for line in found["lines"]} == {frozenset(FACTS)}
    text = str(report) + json.dumps(found)
    assert "factor" not in text
    assert all(":" not in row[-1] for row in report.rows), "a place, and no numbers"


def test_hint_2_tells_the_kind_of_mistake(v: Lecture) -> None:
    report = v.compare(without_slope(v), hint=2)
    found = report.to_dict()
    assert {frozenset(line) for line in found["lines"]} == {frozenset(FACTS | {"causes"})}
    assert "a factor is missing" in str(report)
    text = str(report) + json.dumps(found)
    assert "A1**2" not in text
    assert "W2.T" not in text
    unknown = v.compare({"dZ1": np.sin(np.arange(20.0)).reshape(4, 5)}, hint=2)
    assert "no mistake of a known kind" in str(unknown)


def test_hint_3_tells_the_corrected_line(v: Lecture) -> None:
    report = v.compare(without_slope(v), hint=3)
    found = report.to_dict()["lines"][3]
    assert found.keys() == FACTS | {"causes", "explanations", "formula"}
    assert found["formula"] == "dZ1 = W2.T @ dZ2 * (1 - A1**2)"
    assert found["formula"] in str(report)
    assert "1 - A1**2" in found["explanations"][0]


@pytest.mark.parametrize("hint", [0, 1, 2, 3])
def test_the_truth_value_does_not_depend_on_the_hint(v: Lecture, hint: int) -> None:
    assert v.compare(v.hand(), hint=hint)
    report = v.compare(without_slope(v), hint=hint)
    assert not report
    with pytest.raises(GradientError, match=r"gradients|wrong"):
        report.raise_if_wrong()
    v.compare(v.hand(), hint=hint).raise_if_wrong()


def test_the_common_factor_is_told_from_hint_2_on(v: Lecture) -> None:
    leaves = {name: M * array for name, array in v.hand().items() if name[1] in "Wb"}
    assert [("times J" in str(v.compare(leaves, hint=hint))) for hint in range(4)] == [
        False,
        False,
        True,
        True,
    ]


# ---- the report ----------------------------------------------------------------------------------


def test_the_title_says_what_is_right_or_wrong(v: Lecture) -> None:
    hand = v.hand()
    assert v.compare(hand).title == "All 6 gradients are right."
    assert v.compare({"dW1": hand["dW1"]}).title == "dW1 is right."
    assert v.compare({"dW1": 2 * hand["dW1"]}).title == "dW1 is wrong."
    some = {name: array for name, array in without_slope(v).items() if name != "db1"}
    assert v.compare(some).title.startswith("dZ1 is wrong; 1 more follows")


def test_the_report_shows_the_worst_element_in_the_users_notation(v: Lecture) -> None:
    dW1 = v.hand()["dW1"].copy()
    dW1[2, 0] += 1.0
    assert "dW1[2, 0]: hand" in str(v.compare({"dW1": dW1}))
    assert "dW1[2, 0]" in str(v.compare({"dW1": dW1}, hint=1))
    w = ag.Tensor(2.0, requires_grad=True)
    assert "dw: hand 5, autodiff 4" in str(ag.compare(w**2, {"dw": 5.0}))


@pytest.mark.parametrize("hint", [0, 1, 2, 3])
def test_every_report_can_be_written_as_strict_json(v: Lecture, hint: int) -> None:
    shapes = {**without_slope(v), "db1": np.full(4, np.nan), "dW2": np.ones((7, 7))}
    for hand in (v.hand(), without_slope(v), shapes):
        found = v.compare(hand, hint=hint).to_dict()
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_notebook_marks_what_is_wrong_or_follows(v: Lecture) -> None:
    rows = v.compare(without_slope(v))._repr_html_().split("<tr")
    assert [("bold" in row) for row in rows if "<td>" in row] == [False] * 3 + [True] * 3


HOSTILE = [
    "<script>alert(1)</script>",
    "\"&'",
    "{x.__class__}",
    "%s",
    "W\x1b[31m",
    "a\nb",
    "n\u202ee",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_do_no_harm(hostile: str) -> None:
    w = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True, name=hostile)
    other = np.array([3.0, 1.0, 2.0])
    J = np.sum(np.sin(w * other))
    names = {hostile: w, f"other{hostile}": other, f"number{hostile}": 7}
    wrong = {f"d{hostile}": other * np.cos(other), f"d?{hostile}": 1.0}
    report = ag.compare(J, wrong, names)
    assert report.first_wrong is not None
    for text in (str(report), json.dumps(report.to_dict())):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert all(line.isprintable() for line in str(report).splitlines())
    assert "a\nb" not in str(report)
    assert "<script" not in report._repr_html_()
    by_key = ag.compare(J, {w: 7 * other * np.cos(w.data * other)}, names)
    assert all(line.isprintable() for line in str(by_key).splitlines())
    assert "a\nb" not in str(by_key)


@pytest.mark.slow
def test_a_deep_graph_without_names_is_judged_and_explained() -> None:
    W = ag.Tensor(np.random.default_rng(0).standard_normal((3, 3)) / 2, requires_grad=True)
    h: Any = np.ones((3, 2))
    for _ in range(300):
        h = np.tanh(W @ h + 0.1)
    J = np.sum(h**2)
    gradient = ag.gradients(J, W).data
    assert ag.compare(J, {W: gradient}, {"W": W})
    report = ag.compare(J, {W: 2 * gradient}, {"W": W})
    assert report.lines[0].causes[0] == "constant factor"
    assert len(report.lines[0].formula) < 1000


def test_a_cost_of_which_not_all_was_kept_is_compared_without_numerical_gradients() -> None:
    x, weight, bias = np.ones((5, 3)), ag.Tensor(np.ones((2, 3)), requires_grad=True), np.ones(2)
    J = np.sum(ag.nn.functional.linear(x, weight, bias))
    report = ag.compare(J, {"dweight": np.full((2, 3), 5.0)})
    assert report
    assert "values not kept" in str(report)
    assert not ag.compare(J, {"dweight": np.full((2, 3), 4.0)})


def test_a_missing_keepdims_is_told_from_the_wrong_gradient_that_was_summed(v: Lecture) -> None:
    hand = without_slope(v)
    report = v.compare({**hand, "db1": hand["db1"].ravel()})
    assert report.lines[-1].name == "db1"
    assert report.lines[-1].causes == ("rank-1 array",)


# ---- autodiff itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_nothing_is_right_where_autodiff_itself_is_wrong(factor: float) -> None:
    bad = ag.elementwise(lambda x: x**3, "$x", name="bad", x=lambda g, x: g * 2 * x**2)
    x = ag.Tensor([1.0, 2.0], requires_grad=True, name="x")
    report = ag.compare(np.sum(bad(x)), {"dx": factor * x.data**2})
    assert not report
    assert report.doubtful == ["dx"]
    assert "autodiff itself is wrong at dx" in str(report)
    assert "gradcheck" in str(report)
