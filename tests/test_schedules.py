"""Schedules against closed formulas, against PyTorch's, and across a break."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini import optim

MAKERS: list[Callable[[Any], optim.Schedule]] = [
    lambda optimizer: optim.WarmupLR(optimizer, 4),
    lambda optimizer: optim.StepLR(optimizer, 3, 0.5),
    lambda optimizer: optim.StepLR(optimizer, 3, 0.5, warmup=2),
    lambda optimizer: optim.CosineLR(optimizer, 10),
    lambda optimizer: optim.CosineLR(optimizer, 10, minimum=0.01, warmup=3),
]


def sgd(lr: float = 0.1) -> optim.SGD:
    return optim.SGD([ag.Tensor([1.0], requires_grad=True)], lr=lr)


def rates(make: Callable[[Any], optim.Schedule], count: int, lr: float = 0.1) -> list[float]:
    """The rates of the first updates."""
    optimizer = sgd(lr)
    schedule, found = make(optimizer), []
    for _ in range(count):
        found.append(optimizer.lr)
        schedule.step()
    return found


# ---- values -------------------------------------------------------------------------------------


def test_warmup_rises_linearly_and_stays() -> None:
    found = rates(lambda o: optim.WarmupLR(o, 4), 7, lr=1.0)
    np.testing.assert_allclose(found, [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


@given(st.integers(1, 9), st.floats(0.01, 1), st.integers(0, 9))
def test_steps_follow_the_closed_formula(step_size: int, gamma: float, warmup: int) -> None:
    found = rates(lambda o: optim.StepLR(o, step_size, gamma, warmup=warmup), 40)
    rise = [0.1 * (k + 1) / (warmup + 1) for k in range(warmup)]
    fall = [0.1 * gamma ** (k // step_size) for k in range(40 - warmup)]
    np.testing.assert_allclose(found, rise + fall, rtol=1e-14)


@given(st.integers(1, 30), st.floats(0, 0.1), st.integers(0, 9))
def test_the_cosine_follows_the_closed_formula(n: int, minimum: float, warmup: int) -> None:
    found = rates(lambda o: optim.CosineLR(o, n + warmup, minimum=minimum, warmup=warmup), 50)
    rise = [0.1 * (k + 1) / (warmup + 1) for k in range(warmup)]
    fall = [minimum + (0.1 - minimum) * (1 + math.cos(math.pi * k / n)) / 2 for k in range(n)]
    stay = [minimum] * (50 - n - warmup)
    np.testing.assert_allclose(found, rise + fall + stay, rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize("name", ["warmup", "step", "cosine"])
def test_rates_are_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    lr = torch.optim.lr_scheduler
    reference = {
        "warmup": lambda: lr.LinearLR(theirs, start_factor=1 / 5, total_iters=4),
        "step": lambda: lr.StepLR(theirs, 3, gamma=0.5),
        "cosine": lambda: lr.CosineAnnealingLR(theirs, 12, eta_min=0.01),
    }[name]()
    make = {
        "warmup": lambda o: optim.WarmupLR(o, 4),
        "step": lambda o: optim.StepLR(o, 3, 0.5),
        "cosine": lambda o: optim.CosineLR(o, 12, minimum=0.01),
    }[name]
    expected = []
    for _ in range(13):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        reference.step()
    np.testing.assert_allclose(rates(make, 13), expected, rtol=1e-12)


def test_a_rate_of_exactly_zero_moves_nothing() -> None:
    w = ag.Tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    schedule = optim.CosineLR(optimizer, 1)
    schedule.step()
    w.grad = ag.Tensor([1.0])
    optimizer.step()
    assert (optimizer.lr, w.item()) == (0.0, 1.0)


@pytest.mark.parametrize("make", MAKERS)
def test_beyond_the_end_the_last_rate_stays(make: Any) -> None:
    found = rates(make, 5000)
    assert found[-1] == found[-2] >= 0


def test_a_rate_set_by_hand_lasts_until_the_next_step() -> None:
    optimizer = sgd()
    schedule = optim.StepLR(optimizer, 1, 0.5)
    optimizer.lr = 7.0
    assert optimizer.lr == 7.0
    schedule.step()
    assert optimizer.lr == 0.05


# ---- state --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("before", [0, 1, 5, 20])
@pytest.mark.parametrize("order", [("optimizer", "schedule"), ("schedule", "optimizer")])
def test_a_schedule_taken_up_again_gives_the_same_rates(
    make: Any, before: int, order: tuple[str, str]
) -> None:
    one = sgd()
    schedule = make(one)
    for _ in range(before):
        schedule.step()
    states = {"optimizer": one.state_dict(), "schedule": schedule.state_dict()}

    two = sgd()
    again = {"optimizer": two, "schedule": make(two)}
    for name in order:
        again[name].load_state_dict(states[name])
    for _ in range(8):
        assert two.lr == one.lr
        schedule.step()
        again["schedule"].step()
    assert again["schedule"].steps == before + 8


def test_a_loaded_schedule_sets_the_rate_of_its_optimizer() -> None:
    optimizer = sgd()
    schedule = optim.StepLR(optimizer, 1, 0.5)
    state = schedule.state_dict()
    schedule.step()
    schedule.load_state_dict(state)
    assert optimizer.lr == 0.1


def test_a_schedule_made_after_its_optimizer_was_loaded_scales_the_first_rate() -> None:
    one = sgd()
    schedule = optim.StepLR(one, 1, 0.5)
    schedule.step()
    two = sgd()
    two.load_state_dict(one.state_dict())
    again = optim.StepLR(two, 1, 0.5)
    again.load_state_dict(schedule.state_dict())
    assert two.lr == one.lr == 0.05


@pytest.mark.parametrize(
    "state",
    [
        {"steps": np.array(3)},
        {"steps": np.array(-3), "base_lr": np.array(0.1)},
        {"steps": np.array(3), "base_lr": np.array(math.nan)},
        {"steps": np.array(3.5), "base_lr": np.array(0.1)},
        {"steps": np.array([3, 4]), "base_lr": np.array(0.1)},
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state: dict[str, Any]) -> None:
    optimizer = sgd()
    schedule = optim.StepLR(optimizer, 1, 0.5)
    with pytest.raises(ValueError, match="nothing was loaded"):
        schedule.load_state_dict(state)
    assert (schedule.steps, optimizer.lr) == (0, 0.1)


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: optim.WarmupLR(o, 0), "warmup must be at least 1, not 0"),
        (lambda o: optim.StepLR(o, 0), "step_size"),
        (lambda o: optim.StepLR(o, 3, 0.0), "gamma must be above 0 and at most 1"),
        (lambda o: optim.StepLR(o, 3, 1.5), "gamma"),
        (lambda o: optim.StepLR(o, 3, warmup=-1), "warmup"),
        (lambda o: optim.CosineLR(o, 0), "total"),
        (lambda o: optim.CosineLR(o, 5, warmup=5), "total must be at least 6, not 5"),
        (lambda o: optim.CosineLR(o, 5, minimum=-0.1), "minimum must be a number from 0 to the"),
        (lambda o: optim.CosineLR(o, 5, minimum=0.2), "minimum"),
        (lambda o: optim.CosineLR(o, 5, minimum=math.nan), "minimum"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    optimizer = sgd()
    with pytest.raises(ValueError, match=message):
        make(optimizer)
    assert optimizer.lr == 0.1


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_no_optimizer_is_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="belongs to an optimiser"):
        make([ag.Tensor([1.0])])


def test_the_repr_names_the_settings() -> None:
    assert repr(optim.StepLR(sgd(), 3)) == "StepLR(SGD, step_size=3, gamma=0.1, warmup=0)"


@pytest.mark.parametrize("number", [True, 2.5, "3", None])
def test_what_is_not_a_whole_number_is_refused(number: Any) -> None:
    with pytest.raises(TypeError, match="warmup must be a whole number, not"):
        optim.WarmupLR(sgd(), number)


def test_a_schedule_does_not_start_where_another_one_ended_at_0() -> None:
    w = ag.Tensor(1.0, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    schedule = optim.CosineLR(optimizer, total=4)
    for _ in range(4):
        schedule.step()
    assert optimizer.lr == 0
    with pytest.raises(ValueError, match=r"rate is 0.*set optimizer\.lr first"):
        optim.CosineLR(optimizer, total=4)
    optimizer.lr = 0.5
    optim.CosineLR(optimizer, total=4)
    assert optimizer.lr == 0.5
