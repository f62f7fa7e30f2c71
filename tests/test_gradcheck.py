"""gradcheck: wrong rules are caught and located, right ones pass, and each verdict is earned."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.check.gradcheck import Finding, gradcheck, norm
from autograd_mini.check.report import GradientError

Function = Callable[..., Any]
DTYPES = [np.float64, np.float32]


def only(f: Function, *inputs: Any, **options: Any) -> Finding:
    """The one finding about a function of one input."""
    (finding,) = gradcheck(f, *inputs, **options).findings
    return finding


def through(rule: Function) -> Any:
    """An identity with a rule of its own: what is wrong with it is wrong with every gradient."""
    return ag.primitive("$x", name="through", x=rule)(lambda x: x * 1)


# ---- right gradients ----------------------------------------------------------------------------

SMOOTH: dict[str, Function] = {
    "linear": lambda x: np.sum(3 * x),
    "squares": lambda x: np.sum(x**2),
    "cubes": lambda x: np.mean(x * x * x),
    "norm": lambda x: np.sqrt(np.sum(x * x)),
    "logsumexp": ag.logsumexp,
    "cross-entropy": lambda x: ag.logsumexp(x) - x[1],
    "product": lambda x: x[0] * x[1] / x[2],
    "tanh": lambda x: np.sum(np.tanh(x)),
    "inverse": lambda x: np.sum(1 / x),
    "log": lambda x: np.sum(np.log(np.abs(x))),
    "array": lambda x: np.stack([x * x, 3 * x]),
    "constant": lambda x: 0 * np.sum(x) + 3.0,
    "sum of softmax": lambda x: np.sum(ag.softmax(x)),
    "relu": lambda x: np.sum(ag.relu(x)),
    "power": lambda x: np.sum(np.abs(x) ** 1.5),
    "largest": np.max,
}


@pytest.mark.parametrize("name", SMOOTH)
def test_right_gradient_passes_at_every_magnitude(name: str) -> None:
    for magnitude, dtype in itertools.product([1e-8, 1e-4, 1e-2, 1, 1e2, 1e4, 1e8], DTYPES):
        x = (np.random.default_rng(3).standard_normal(5) * magnitude).astype(dtype)
        report = gradcheck(SMOOTH[name], x)
        hidden = "cannot be decided in float" in report.findings[0].evidence
        if name == "sum of softmax" and hidden:
            continue  # it is zero: nothing that differences could tell from noise
        assert report.ok, (magnitude, dtype)


def network(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """The logistic cost of a network with one hidden layer, on fixed examples."""
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((W1.shape[1], 7)), np.array([[0, 1, 1, 0, 1, 0, 0]])
    if W1.dtype == np.float32:
        X, Y = X.astype(np.float32), Y.astype(np.float32)
    Z2 = W2 @ np.tanh(W1 @ X + b1) + b2
    return np.mean(ag.softplus(Z2) - Y * Z2)


def weights(inputs: int, hidden: int, dtype: type = np.float64) -> list[Any]:
    """Weights and biases for it."""
    rng = np.random.default_rng(2)
    shapes = [(hidden, inputs), (hidden, 1), (1, hidden), (1, 1)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", DTYPES)
def test_network_is_right_at_first_and_second_order(dtype: type) -> None:
    report = gradcheck(network, *weights(3, 4, dtype), order=2)
    assert report.ok
    assert [f.quantity for f in report.findings] == [
        *("df/dW1", "df/db1", "df/dW2", "df/db2"),
        *("d2f/dW1", "d2f/db1", "d2f/dW2", "d2f/db2"),
    ]
    assert "direction" in str(report)


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_input_is_checked_along_random_directions(dtype: type) -> None:
    calls = []

    def counted(*tensors: Any) -> Any:
        calls.append(1)
        return network(*tensors)

    report = gradcheck(counted, *weights(50, 40, dtype))
    assert report.ok
    assert report.findings[0].where == "a random direction"
    assert len(calls) < 2 * 40 * 50


def test_taylor_rate_is_two_for_a_right_gradient() -> None:
    rate = only(lambda x: np.sum(np.exp(x)), np.array([0.3, -1.0])).rate
    assert rate is not None
    assert rate == pytest.approx(2, abs=0.1)


def test_linear_function_has_no_rate_and_is_right() -> None:
    report = gradcheck(lambda x: np.sum(2 * x), np.array([1.0, 3.0]))
    assert report.ok
    assert report.findings[0].rate is None
    assert report.rows[0][-1] == "linear"
    assert report.notes == ["df/dx: f is linear to rounding: its Taylor remainder has no rate."]


def test_function_of_nothing_is_right() -> None:
    assert only(lambda x: np.sum(x), np.ones((0, 3))).verdict == "right"
    assert gradcheck(lambda x: np.sum(x), np.ones((0, 3))).rows[0] == [
        *("df/dx", "right", "", "", "", "", "")
    ]


def test_overflow_within_a_coarse_step_does_no_harm() -> None:
    assert gradcheck(lambda x: np.sum(np.exp(x)), np.array([700.0])).ok
    double = through(lambda g: 2 * g)
    assert only(lambda x: np.sum(np.exp(double(x))), np.array([700.0])).verdict == "wrong"


def test_what_rounding_hides_is_never_called_right_beside_a_difference() -> None:
    finding = only(lambda x: np.sum(ag.softmax(x)), np.array([0.0, 1.0, 2.0]))
    assert finding.verdict == "right" or "cannot be decided in float64" in finding.evidence
    nothing = through(lambda g: 0 * g)
    for offset in (1e8, 1e10, 1e12, 1e13, 1e14):
        cost = lambda x, offset=offset: offset + np.sum(np.sin(nothing(x)))  # noqa: E731
        assert only(cost, np.array([0.3, -1.2, 2.0])).verdict in ("wrong", "noisy")


@pytest.mark.parametrize("factor", [1e6, 1e9, 1e10])
def test_a_wrong_element_beside_a_huge_one_is_not_called_right(factor: float) -> None:
    scale = np.array([factor, 1.0, 1.0])
    off = through(lambda g: g * np.array([1.0, 1.0, 1.3]))
    finding = only(lambda x: np.sum(np.sin(off(x)) * scale), np.array([0.3, -1.2, 2.0]))
    assert finding.verdict in ("wrong", "noisy")


@pytest.mark.parametrize("offset", [1.0, 1e4])
@pytest.mark.parametrize("size", [1e-3, 1.0, 100.0])
def test_five_per_cent_are_not_called_right_in_float32(offset: float, size: float) -> None:
    off = through(lambda g: g * g.dtype.type(1.05))
    x = (np.array([0.3, -1.2, 2.0, 0.7, -0.4]) * size).astype(np.float32)
    for f in (np.abs, np.square, lambda x: np.exp(x / 100), lambda x: np.sqrt(1 + x * x)):
        cost = lambda x, f=f: np.float32(offset) + np.sum(f(off(x)))  # noqa: E731
        assert only(cost, x).verdict in ("wrong", "noisy")


def test_a_step_that_is_larger_than_x_is_no_jump() -> None:
    assert only(lambda x: np.sum(np.log(x)), np.array([1e-100])).verdict != "jump"


def test_difference_at_the_level_of_rounding_is_decided_by_the_taylor_rate() -> None:
    nearly = through(lambda g: g * (1 + 2e-10))
    assert only(lambda x: np.sum(nearly(x) ** 3), np.array([1.0, 2.0])).verdict == "right"
    off = through(lambda g: g * (1 + 1e-6))
    assert only(lambda x: np.sum(off(x) ** 3), np.array([1.0, 2.0])).verdict == "wrong"


# ---- wrong gradients ----------------------------------------------------------------------------


def in_one_element(g: Any) -> Any:
    factors = np.ones(g.shape, g.dtype)
    factors[1] = 1.5
    return g * factors


WRONG: dict[str, Function] = {
    "factor": lambda g: 2 * g,
    "small factor": lambda g: g * 1.03,
    "sign": lambda g: -g,
    "missing": lambda g: 0 * g,
    "missing term": lambda g, y: g - 0.5 * y * g,
    "one element": in_one_element,
}
SEEN = ["linear", "squares", "norm", "cubes", "inverse", "array"]


@pytest.mark.parametrize("mistake", WRONG)
@pytest.mark.parametrize("name", SEEN)
def test_wrong_rule_is_never_right(name: str, mistake: str) -> None:
    mutated = through(WRONG[mistake])
    # at another magnitude the missing term is negligible or all there is
    magnitudes = [1.0] if mistake == "missing term" else [1e-8, 1e-2, 1, 1e4, 1e8]
    for magnitude, dtype in itertools.product(magnitudes, DTYPES):
        x = (np.array([0.3, -1.1, 0.7, 0.2, -0.9]) * magnitude).astype(dtype)
        assert not gradcheck(lambda x: SMOOTH[name](mutated(x)), x), (magnitude, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_rule_is_called_wrong_with_both_sides(mistake: str, dtype: type) -> None:
    mutated = through(WRONG[mistake])
    x = np.array([0.3, -1.1, 0.7], dtype=dtype)
    right = ag.grad(lambda x: np.sum(np.exp(x)))(x)
    claimed = ag.grad(lambda x: np.sum(np.exp(mutated(x))))(x)
    finding = only(lambda x: np.sum(np.exp(mutated(x))), x)
    assert finding.verdict == "wrong"
    worst = int(np.argmax(np.abs(right - claimed)))
    assert finding.where == f"x[{worst}]"
    assert finding.autodiff == pytest.approx(float(claimed[worst]), rel=1e-6)
    assert finding.numerical == pytest.approx(float(right[worst]), rel=1e-4)
    largest = max(np.abs(claimed).max(), finding.numerical)
    off = float(np.abs(right - claimed).max() / largest)
    assert finding.difference == pytest.approx(off, rel=1e-2)
    assert finding.rate is not None
    assert finding.rate < 1.5 or mistake == "small factor"


def test_only_wrong_element_is_named_in_the_users_notation() -> None:
    def rule(g: Any) -> Any:
        change = np.ones(g.shape)
        change[2, 0] = -1
        return g * change

    mutated = through(rule)
    W1 = np.random.default_rng(0).standard_normal((3, 2))
    report = gradcheck(lambda W: np.sum(np.tanh(mutated(W))), W1, names=["W1"])
    assert report.findings[0].where == "W1[2, 0]"
    assert report.notes[0].startswith("df/dW1 is wrong in 1 of 6 elements, most at W1[2, 0]: auto")
    with pytest.raises(GradientError, match=r"W1\[2, 0\]"):
        report.raise_if_wrong()


def test_scalar_is_named_without_brackets() -> None:
    double = through(lambda g: 2 * g)
    assert only(lambda t: double(t) ** 2, 3.0).where == "t"


def test_wrong_element_of_a_large_input_is_found() -> None:
    def rule(g: Any) -> Any:
        change = np.ones(g.shape)
        change[17, 23] = 1.5
        return g * change

    mutated = through(rule)
    W = np.random.default_rng(0).standard_normal((30, 40))
    report = gradcheck(lambda W: np.sum(np.tanh(mutated(W))), W)
    (finding,) = report.findings
    assert (finding.verdict, finding.where) == ("wrong", "W[17, 23]")
    assert finding.numerical == pytest.approx(1 - np.tanh(W[17, 23]) ** 2)
    assert "random directions" in report.notes[0]


def test_history_that_was_cut_is_wrong() -> None:
    finding = only(lambda x: np.sum(np.sin(x.data)), np.array([1.0, 2.0]))
    assert finding.verdict == "wrong"
    assert finding.autodiff == 0


def test_only_the_wrong_input_is_blamed() -> None:
    double = through(lambda g: 2 * g)
    report = gradcheck(lambda a, b: np.sum(a * double(b)), np.array([1.0, 2]), np.array([3.0, 4]))
    assert [f.verdict for f in report.findings] == ["right", "wrong"]
    assert not report.ok
    assert report.title == "gradcheck of 2 gradients: 1 right, 1 wrong"


def test_wrong_only_at_second_order_is_found_there() -> None:
    def rule(g: Any, x: Any) -> Any:
        constant = x.data if isinstance(x, ag.Tensor) else x  # so nothing depends on it any more
        return g * 3 * constant**2

    cube = ag.elementwise(lambda x: x**3, "$x^3", name="cube", x=rule)

    def f(x: Any) -> Any:
        return np.sum(cube(x) + x)

    x = np.array([0.5, -1.5])
    assert gradcheck(f, x).ok
    first, second = gradcheck(f, x, order=2).findings
    assert (first.verdict, first.order) == ("right", 1)
    assert (second.verdict, second.order, second.quantity) == ("wrong", 2, "d2f/dx")
    assert second.autodiff == 0


def test_gradient_that_no_small_step_can_confirm_is_not_right() -> None:
    # what autodiff lacks is far below the rounding errors of f at coarse steps
    nothing = through(lambda g: 0 * g)
    assert not gradcheck(lambda x: np.mean(nothing(x) ** 3), np.array([1e-8, -2e-8]))


# ---- the other verdicts -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("f", "below", "above"),
    [
        (np.abs, -1, 1),
        (ag.relu, 0, 1),
        (lambda x: np.maximum(x, 3 * x), 1, 3),
        (lambda x: ag.leaky_relu(x) + 10, 0.01, 1),
    ],
)
def test_kink_at_the_point_is_named_with_both_slopes(
    f: Function, below: float, above: float, dtype: type
) -> None:
    finding = only(lambda x: np.sum(f(x)), np.array([1.0, 0.0, -2.0], dtype=dtype))
    assert finding.verdict == "kink"
    assert finding.where == "x[1]"
    assert "Move the point" in finding.evidence
    words = finding.evidence.split()
    assert float(words[words.index("below") - 1]) == pytest.approx(below, abs=1e-4)
    assert float(words[words.index("above,") - 1]) == pytest.approx(above, abs=1e-4)


def test_kink_within_all_steps_that_rounding_allows_is_named() -> None:
    finding = only(lambda x: np.sum(np.abs(x)) + 10, np.array([1e-16, 1.0]))
    assert (finding.verdict, finding.where) == ("kink", "x[0]")


def test_kink_near_the_point_is_passed_by_small_steps() -> None:
    assert gradcheck(lambda x: np.sum(np.abs(x)), np.array([1e-6, 1.0, -1e-4])).ok


def test_kink_in_a_large_input_is_found() -> None:
    x = np.random.default_rng(0).standard_normal(300)
    x[123] = 0
    finding = only(lambda x: np.sum(np.abs(x)), x)
    assert (finding.verdict, finding.where) == ("kink", "x[123]")


def test_gradient_that_is_no_slope_at_the_kink_is_wrong() -> None:
    mutated = through(lambda g: 5 * g)
    finding = only(lambda x: np.abs(x) + mutated(x), 0.0)  # slopes 0 and 2, autodiff 5
    assert (finding.verdict, finding.autodiff) == ("wrong", 5)


def test_rough_function_is_noisy() -> None:
    def f(x: Any) -> Any:
        rough = 0.3 * np.sin(1e17 * x.data)
        return np.sum(x + rough)

    report = gradcheck(f, np.array([0.3, 0.7]))
    assert report.findings[0].verdict == "noisy"
    assert "do not settle" in report.notes[0]
    assert "at h = 1e-01" in report.notes[0]


def test_small_noise_does_not_hide_a_right_or_a_wrong_gradient() -> None:
    def noise(x: Any) -> Any:
        return 1e-9 * np.sin(1e7 * x.data)

    x = np.array([0.3, 0.7])
    double = through(lambda g: 2 * g)
    assert gradcheck(lambda x: np.sum(np.exp(x) + noise(x)), x).ok
    assert not gradcheck(lambda x: np.sum(np.exp(double(x)) + noise(x)), x)


JUMPS = {
    "floor": (lambda x: np.sum(np.floor(x)), [1.0], 1.0),
    "floor beside a smooth element": (lambda x: np.sum(np.floor(x) * x), [1.0, 0.5], 1.0),
    "ceil": (lambda x: np.sum(np.ceil(x)), [1.0], 1.0),
    "a step with a slope": (lambda x: np.sum(x * (x >= 1)), [1.0], 1.0),
    "a branch": (lambda x: np.sum(np.where(x > 1, 5 * x, x)), [1.0], 4.0),
    "sign": (lambda x: np.sum(np.sign(x)), [0.0], 1.0),
    "remainder": (lambda x: np.sum(x % 1.0), [2.0], 1.0),
    "one value by itself": (lambda x: np.sum(np.where(x == 1, 5.0, x)), [1.0, 2.0], 4.0),
    "a small one": (lambda x: np.sum(np.sin(x) + 1e-6 * (x > 1)), [1.0, 2.0], 1e-6),
    "one of many": (lambda x: np.sum(x * np.floor(x)), [1.0, *np.linspace(0.1, 0.9, 400)], 1.0),
}


@pytest.mark.parametrize("factor", [0.0, 1.0, -3.0])
@pytest.mark.parametrize("name", JUMPS)
def test_a_jump_is_a_verdict_of_its_own_whatever_the_rule_says(name: str, factor: float) -> None:
    f, x, size = JUMPS[name]
    times = ag.elementwise(
        lambda x: x, "$x", name="times", x=lambda g: factor * g
    )  # a wrong rule but for 1
    report = gradcheck(lambda x: f(times(x)), np.array(x))
    assert not report
    (finding,) = report.findings
    assert finding.verdict == "jump"
    assert finding.where == "x[0]"
    assert f"f jumps by {size:.6g} at x[0]" in finding.evidence


KINKS = {
    "abs": (lambda x: np.sum(np.abs(x)), [0.0], 3.0),
    "relu": (lambda x: np.sum(ag.relu(x)), [0.0], 2.0),
    "a tie": (lambda x: np.max(x), [1.0, 1.0], 3.0),
    "a bound": (lambda x: np.sum(np.clip(x, 0, 1)), [1.0], 2.0),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_wrong_rule_at_a_kink_or_tie_is_wrong(name: str) -> None:
    f, x, factor = KINKS[name]
    beyond = ag.elementwise(lambda x: x, "$x", name="beyond", x=lambda g: g + factor)
    assert only(f, np.array(x)).verdict == "kink"
    assert only(lambda x: f(beyond(x)), np.array(x)).verdict == "wrong"


def test_a_steep_root_is_no_jump() -> None:
    assert only(lambda x: np.sum(np.abs(x) ** 0.1), np.array([1e-9])).verdict != "jump"


def test_what_float32_hides_is_not_called_right() -> None:
    x = np.array([1.0], np.float32)
    small = only(lambda x: np.sum(x) * 1e-3 + 1e6, x)
    assert small.verdict == "noisy"
    assert "This cannot be decided in float32: f is 1e+06" in small.evidence
    assert "use float64" in small.evidence
    assert only(lambda x: np.sum(x) * 1e-3 + 1e6, x.astype(float)).verdict == "right"
    assert only(lambda x: np.sum(ag.softmax(x)), np.array([1.0, 2.0])).verdict == "right"


def test_an_error_of_a_hundredth_in_float32_is_wrong_or_cannot_be_decided() -> None:
    off = ag.elementwise(
        lambda x: np.sin(x), r"\sin $x", name="off", x=lambda g, x: g * np.cos(x) * 1.01
    )
    for scale in (1e-3, 1.0, 30.0):
        x = np.array([0.3, 1.0], np.float32)
        found = only(lambda x, scale=scale: np.sum(off(x)) + scale, x)
        assert found.verdict in ("wrong", "noisy")
        if scale <= 1:
            assert found.verdict == "wrong"


def test_function_too_large_beside_its_change_is_noisy() -> None:
    assert only(lambda x: np.sum(np.sin(x)) + 1e14, np.array([1.0, 2.0])).verdict == "noisy"


def test_function_that_float32_cannot_resolve_is_noisy_and_not_wrong() -> None:
    x = np.array([1.1e8, -2.3e8], dtype=np.float32)
    assert only(lambda x: np.sum(np.sin(x)), x).verdict == "noisy"


def test_random_function_is_not_deterministic() -> None:
    rng = np.random.default_rng(0)
    report = gradcheck(lambda a, b: np.sum(a * b) * rng.random(), 1.0, 2.0)
    assert [f.verdict for f in report.findings] == ["not deterministic"] * 2
    assert "and then" in report.notes[0]


def test_function_that_changes_while_it_is_checked_is_not_deterministic() -> None:
    calls = itertools.count()
    finding = only(lambda x: np.sum(x**2) + (next(calls) > 30), np.array([1.0, 2.0]))
    assert finding.verdict == "not deterministic"


@pytest.mark.parametrize("value", [1000.0, -1000.0])
def test_function_that_overflows_is_told_so(value: float) -> None:
    report = gradcheck(lambda x: np.exp(x) - np.exp(-x), value)
    assert report.findings[0].verdict == "overflow"
    assert "inf at this point" in report.notes[0]


def test_gradient_that_overflows_is_told_where() -> None:
    finding = only(lambda x: np.sum(np.sqrt(x)), np.array([2.0, 0.0]))
    assert (finding.verdict, finding.where, finding.autodiff) == ("overflow", "x[1]", np.inf)


def test_nan_in_a_gradient_stands_beside_what_differences_say() -> None:
    finding = only(lambda x: np.sum(np.sqrt(x**2) ** 2), np.array([2.0, 0.0]))
    assert finding.verdict == "overflow"
    assert np.isnan(finding.autodiff)
    assert finding.numerical == pytest.approx(0)


def test_second_order_overflow_is_told_of_the_gradient() -> None:
    first, second = gradcheck(
        lambda x: np.sum(np.abs(x) ** 1.5), np.array([0.0, 1.0]), order=2
    ).findings
    assert first.verdict == "right"
    assert second.verdict in ("overflow", "kink", "noisy")


# ---- inputs -------------------------------------------------------------------------------------


def test_inputs_are_never_changed() -> None:
    x, t = np.array([1.0, 2.0]), ag.Tensor([3.0, 4.0], requires_grad=True)

    def f(x: Any, t: Any) -> Any:
        y = np.sum(x * t)
        x.data[0] = 7  # behind the engine's back
        return y

    gradcheck(f, x, t)
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_equal(t.data, [3, 4])
    assert t.grad is None


def test_inputs_may_be_numbers_lists_arrays_and_tensors() -> None:
    t = ag.Tensor([1.0, 2.0], requires_grad=True)
    report = gradcheck(lambda *xs: np.sum(sum(xs) ** 2), 1.5, [1.0, 2.0], np.ones(2), t, t * 2)
    assert report.ok


def test_names_come_from_the_call_or_the_tensors_or_the_parameters() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(a * b)

    def quantities(*args: Any, **options: Any) -> list[str]:
        return [finding.quantity for finding in gradcheck(*args, **options).findings]

    named = ag.Tensor(1.0, name="gain")
    assert quantities(f, 1.0, 2.0) == ["df/da", "df/db"]
    assert quantities(f, named, 2.0) == ["df/dgain", "df/db"]
    assert quantities(f, named, 2.0, names=["u", "v"]) == ["df/du", "df/dv"]
    assert quantities(lambda *xs: xs[0] * xs[1], 1.0, 2.0) == ["df/dx0", "df/dx1"]
    assert quantities(functools.partial(f, b=3.0), 1.0) == ["df/dx0"]


def test_output_of_any_shape_is_combined_at_random() -> None:
    report = gradcheck(lambda x: np.outer(x, x), np.array([1.0, 2.0]))
    assert report.ok
    assert "f is a random combination of the output, of shape (2, 2)." in report.notes
    assert gradcheck(lambda x: np.outer(x, x).reshape(1, 1, 1), np.array([2.0])).ok


def test_seed_makes_the_report_the_same_again() -> None:
    x = np.random.default_rng(0).standard_normal(300)
    first, again, other = (gradcheck(np.tanh, x, seed=seed).to_dict() for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("x", "write"),
    [
        (3, r"input 0 \(3\) holds integers.*write 3\.0"),
        (np.arange(3), r"shape \(3,\) int64.*integers.*x\.astype\(np\.float64\)"),
        (ag.Tensor([True]), r"integers.*x\.astype"),
        (np.ones(2, np.float16), r"must be float32 or float64: write x\.astype\(np\.float64\)"),
        (1j, "must be float32 or float64"),
    ],
)
def test_input_of_another_dtype_is_refused_with_what_to_write(x: Any, write: str) -> None:
    with pytest.raises(TypeError, match=write):
        gradcheck(np.sum, x)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"input 1 .* must be finite, and holds nan"):
        gradcheck(lambda a, b: a * b, 1.0, np.nan)
    with pytest.raises(ValueError, match=r"no input to differentiate by: write gradcheck\(f, x\)"):
        gradcheck(lambda: 1.0)
    with pytest.raises(ValueError, match="order must be 1 or 2, got 3"):
        gradcheck(np.sum, 1.0, order=3)
    with pytest.raises(ValueError, match="1 names for 2 inputs"):
        gradcheck(lambda a, b: a * b, 1.0, 2.0, names=["a"])
    with pytest.raises(TypeError, match="f must return real numbers, and gave object"):
        gradcheck(lambda x: None, 1.0)


# ---- the report ---------------------------------------------------------------------------------


def test_report_is_one_aligned_line_for_each_gradient() -> None:
    double = through(lambda g: 2 * g)
    report = gradcheck(lambda W, b: np.sum(np.exp(double(W)) + b**2), np.zeros((1, 2)), 1.0)
    lines = str(report).splitlines()
    assert lines[2] == "gradient  verdict  difference  worst at  autodiff  numerical  rate"
    assert lines[4].split() == ["df/dW", "wrong", "5e-01", "W[0,", "0]", "2", "1", "1.0"]
    assert lines[5].split()[:2] == ["df/db", "right"]


def test_dict_is_strict_json_with_the_numbers() -> None:
    report = gradcheck(lambda x, y: np.sqrt(x) + y, 0.0, 1.0)
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["ok"] is False
    assert found["findings"][0]["verdict"] == "overflow"
    assert found["findings"][0]["autodiff"] == "inf"
    assert found["findings"][0]["shape"] == []
    assert found["rows"][0]["verdict"] == "overflow"


def test_notebook_marks_what_is_not_right() -> None:
    html = gradcheck(lambda x, y: np.abs(x) + y, 0.0, 1.0)._repr_html_()
    marked = [row for row in html.split("<tr") if "bold" in row]
    assert len(marked) == 1
    assert "<td>kink</td>" in marked[0]


def test_length_of_a_direction_cannot_overflow() -> None:
    assert norm(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert norm(np.zeros(2)) == 0


@pytest.mark.parametrize(("dtype", "large"), [(np.float64, 1e16), (np.float32, 1e9)])
@pytest.mark.parametrize("slope", [0, -2, 2])
def test_beside_what_hides_it_no_rule_is_right(dtype: Any, large: float, slope: int) -> None:
    square = ag.elementwise(lambda x: x**2, "$x^2", name="square", x=lambda g, x: g * slope * x)
    x = np.array([0.5, -0.3, 1.0], dtype)
    report = gradcheck(lambda x: np.sum(square(x)) + dtype(large), x)
    assert not report.ok
    assert f"cannot be decided in {np.dtype(dtype)}" in str(report)
    assert gradcheck(lambda x: np.sum(0 * x) + 5.0, x).ok


@pytest.mark.parametrize("n", [300, 5000])
@pytest.mark.parametrize("seed", range(4))
def test_one_wrong_element_of_many_is_seen_in_float32(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sign = np.ones(n, np.float32)
    sign[rng.integers(n)] = -1

    def cube(sign: Any) -> Any:
        return ag.elementwise(
            lambda x: x**3 + x, "$x^3", name="cube", x=lambda g, x: g * (3 * x**2 + 1) * sign
        )

    x = rng.standard_normal(n).astype(np.float32)
    wrong = gradcheck(lambda x: np.sum(cube(sign)(x)), x, seed=seed)
    assert wrong.findings[0].verdict == "wrong"
    assert f"x[{np.argmin(sign)}]" in str(wrong)
    assert gradcheck(lambda x: np.sum(cube(np.float32(1))(x)), x, seed=seed).ok
    assert gradcheck(lambda x: np.sum(ag.relu(x)), x, seed=seed).ok  # with kinks around
