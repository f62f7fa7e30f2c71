"""Initialisers: the distribution that each promises, the same for the same seed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.nn import init

RANDOM: dict[str, Any] = {
    "uniform": init.uniform,
    "normal": init.normal,
    "small_normal": init.small_normal,
    "xavier_uniform": init.xavier_uniform,
    "xavier_normal": init.xavier_normal,
    "he_uniform": init.he_uniform,
    "he_normal": init.he_normal,
}
ALL: dict[str, Any] = {"zeros": init.zeros, "constant": partial(init.constant, value=2.0)} | RANDOM
SCALED = [init.xavier_uniform, init.xavier_normal, init.he_uniform, init.he_normal]

#: The standard deviation that the papers ask for: units see 200 inputs, inputs are seen by 300
#: units; in the convolution it is 50 * 3 * 4 = 600 and 40 * 3 * 4 = 480.
DENSE, CONVOLUTION = (300, 200), (40, 50, 3, 4)
EXPECTED = {
    ("uniform", DENSE): 2 / np.sqrt(12),
    ("normal", DENSE): 1.0,
    ("small_normal", DENSE): 0.01,
    ("xavier_uniform", DENSE): np.sqrt(2 / 500),
    ("xavier_normal", DENSE): np.sqrt(2 / 500),
    ("he_uniform", DENSE): np.sqrt(2 / 200),
    ("he_normal", DENSE): np.sqrt(2 / 200),
    ("xavier_uniform", CONVOLUTION): np.sqrt(2 / 1080),
    ("xavier_normal", CONVOLUTION): np.sqrt(2 / 1080),
    ("he_uniform", CONVOLUTION): np.sqrt(2 / 600),
    ("he_normal", CONVOLUTION): np.sqrt(2 / 600),
}


@pytest.mark.parametrize(("name", "shape"), EXPECTED)
def test_the_standard_deviation_is_that_of_the_formula(rng: Any, name: str, shape: Any) -> None:
    drawn = ALL[name](shape, rng=rng)
    std = EXPECTED[name, shape]
    assert abs(drawn.mean()) < 4 * std / np.sqrt(drawn.size)  # four standard errors
    assert drawn.std() == pytest.approx(std, rel=4 / np.sqrt(2 * drawn.size))


@pytest.mark.parametrize("name", [name for name in RANDOM if "uniform" in name])
def test_uniform_numbers_stay_within_bounds_and_fill_them(rng: Any, name: str) -> None:
    drawn = ALL[name](DENSE, rng=rng)
    bound = EXPECTED[name, DENSE] * np.sqrt(3)
    assert 0.999 * bound < np.abs(drawn).max() <= bound


@pytest.mark.parametrize("name", [name for name in RANDOM if "normal" in name])
def test_normal_numbers_have_the_tails_of_a_normal_distribution(rng: Any, name: str) -> None:
    drawn = ALL[name](DENSE, rng=rng) / EXPECTED[name, DENSE]
    assert np.mean(np.abs(drawn) > 1.959964) == pytest.approx(0.05, rel=0.1)


def test_bounds_and_moments_can_be_given(rng: Any) -> None:
    drawn = init.uniform((1000,), 2.0, 3.0, rng=rng)
    assert 2.0 <= drawn.min() < 2.01
    assert 2.99 < drawn.max() <= 3.0
    drawn = init.normal((10_000,), 5.0, 0.1, rng=rng)
    assert drawn.mean() == pytest.approx(5.0, abs=0.005)
    assert drawn.std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("initializer", ALL.values(), ids=ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32", float])
def test_shape_and_dtype_are_those_asked_for(initializer: Any, dtype: Any, rng: Any) -> None:
    drawn = initializer((3, 2), rng=rng, dtype=dtype)
    assert type(drawn) is np.ndarray
    assert drawn.shape == (3, 2)
    assert drawn.dtype == np.dtype(dtype)


@pytest.mark.parametrize("initializer", RANDOM.values(), ids=RANDOM)
def test_the_same_seed_gives_the_same_numbers_in_every_dtype(initializer: Any) -> None:
    drawn = [
        initializer((3, 2), rng=np.random.default_rng(5), dtype=dtype)
        for dtype in (np.float64, np.float64, np.float32)
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0].astype(np.float32), drawn[2])


def test_zeros_and_constants_need_no_generator() -> None:
    assert init.zeros((2,)).tolist() == [0.0, 0.0]
    assert init.constant((2,), 3).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("initializer", RANDOM.values(), ids=RANDOM)
@pytest.mark.parametrize("rng", [None, 7, np.random, np.random.RandomState(0)])
def test_what_is_no_generator_is_refused(initializer: Any, rng: Any) -> None:
    with pytest.raises(TypeError, match=r"np\.random\.default_rng\(seed\), and not"):
        initializer((3, 2), rng=rng)


@pytest.mark.parametrize("initializer", ALL.values(), ids=ALL)
@pytest.mark.parametrize("dtype", [int, bool, complex])
def test_weights_are_floats(initializer: Any, dtype: Any, rng: Any) -> None:
    with pytest.raises(TypeError, match="floating dtype such as"):
        initializer((3, 2), rng=rng, dtype=dtype)


@pytest.mark.parametrize("initializer", SCALED)
@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_shape_without_inputs_and_outputs_is_refused(
    initializer: Any, shape: Any, rng: Any
) -> None:
    with pytest.raises(ValueError, match=r"at least the axes \(outputs, inputs\)"):
        initializer(shape, rng=rng)


def test_bounds_the_wrong_way_round_are_refused(rng: Any) -> None:
    with pytest.raises(ValueError, match=r"low=1\.0 is above high=0\.0"):
        init.uniform((2,), 1.0, 0.0, rng=rng)


# ---- what the docstrings say --------------------------------------------------------------------


def spread(initializer: Any, activation: Any, rng: Any) -> float:
    """How large the signals are behind ten layers, compared with those that come in."""
    x = rng.normal(size=(200, 100))
    y = x
    for _ in range(10):
        y = activation(y @ initializer((100, 100), rng=rng).T)
    return float(np.sqrt(np.mean(y**2) / np.mean(x**2)))


def test_he_keeps_signals_through_relus_and_small_numbers_lose_them(rng: Any) -> None:
    assert 0.3 < spread(init.he_normal, ag.relu, rng) < 3
    assert 0.3 < spread(init.he_uniform, ag.relu, rng) < 3
    assert spread(init.xavier_normal, ag.relu, rng) < 0.1
    assert spread(init.small_normal, ag.relu, rng) < 1e-6


def test_xavier_keeps_signals_through_tanh(rng: Any) -> None:
    assert spread(init.xavier_normal, np.tanh, rng) > 0.2
    assert spread(init.xavier_uniform, np.tanh, rng) > 0.2
    assert spread(init.small_normal, np.tanh, rng) < 1e-6


@pytest.mark.parametrize("initializer", [init.zeros, partial(init.constant, value=0.5)])
def test_hidden_units_that_start_alike_stay_alike(initializer: Any, rng: Any) -> None:
    hidden = nn.Linear(3, 4, rng=rng, weight_init=initializer)
    model = nn.Sequential(hidden, nn.Tanh(), nn.Linear(4, 1, rng=rng, weight_init=initializer))
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 1))
    for _ in range(3):
        nn.functional.mse_loss(model(x), y).backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.data -= 0.1 * parameter.grad.data
            parameter.grad = None
    np.testing.assert_array_equal(hidden.weight.data, hidden.weight.data[:1].repeat(4, axis=0))


def test_zeros_behind_zeros_never_move(rng: Any) -> None:
    model = nn.Sequential(
        nn.Linear(3, 4, rng=rng, weight_init=init.zeros),
        nn.Tanh(),
        nn.Linear(4, 1, rng=rng, weight_init=init.zeros),
    )
    np.sum(model(rng.normal(size=(5, 3)))).backward()
    assert not np.any(model[0].weight.grad.data)
    assert not np.any(model[2].weight.grad.data)
