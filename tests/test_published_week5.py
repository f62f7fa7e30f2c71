"""Week 5 of the Machine Learning course: its published numbers, by hand and by autodiff.

Sources: the script ex4.m of the course's exercise 4 and what it prints; the worked example of the
course's forum, of which Xingchen1224/machine_learning_2015 has J and the gradient in ex4/test2.m
and test4.m. Numbers "to all digits" were recomputed with plain NumPy from the same inputs.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripts import EXAMPLES, SHARED

needs_exercise = pytest.mark.skipif(
    not (SHARED / "ex4data1.npz").is_file() or not (SHARED / "ex4weights.mat").is_file(),
    reason="the files of the course's exercise 4 are not at hand, and may not be redistributed",
)
#: ex4data1.npz holds its pixels as float32, which moves J and the gradient by this much at most.
J_TOLERANCE, GRADIENT_TOLERANCE = 5e-10, 1e-9


@pytest.fixture(scope="module")
def week5() -> Iterator[SimpleNamespace]:
    """The functions of the example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield SimpleNamespace(**runpy.run_path(str(EXAMPLES / "10_week5_digits.py")))


@pytest.fixture(scope="module")
def exercise(week5: SimpleNamespace) -> SimpleNamespace:
    """The data and the weights of the exercise."""
    X, y, Theta1, Theta2 = week5.course_files(SHARED)
    return SimpleNamespace(X=X, y=y, Theta1=Theta1, Theta2=Theta2)


def by_hand(week5: SimpleNamespace, *arguments: Any) -> tuple[float, np.ndarray, np.ndarray]:
    """Return J, D1, D2 by the formulas of the lecture."""
    J, found = week5.nnCostFunction(*arguments)
    return J, found["D1"], found["D2"]


def by_autodiff(week5: SimpleNamespace, *arguments: Any) -> tuple[float, np.ndarray, np.ndarray]:
    """Return J, D1, D2 by the engine."""
    return week5.autodiff(*arguments)  # type: ignore[no-any-return]


both_ways = pytest.mark.parametrize("way", [by_hand, by_autodiff])


def printed(numbers: Any, digits: int) -> str:
    """Return numbers as they are printed, row by row."""
    return " ".join(f"{number:.{digits}f}" for number in np.ravel(numbers))


# ---- what needs no data --------------------------------------------------------------------------


def test_the_sigmoid_gradient_is_that_of_the_course_script(week5: SimpleNamespace) -> None:
    found = week5.sigmoidGradient(np.array([-1, -0.5, 0, 0.5, 1]))
    assert printed(found, 6) == "0.196612 0.235004 0.250000 0.235004 0.196612"


#: What checkNNGradients prints, unrolled: lambda = 0 to ten digits, lambda = 3 to nine.
CHECK_NN_GRADIENTS = {
    0: (
        10,
        """-0.0092782524 0.0088991196 -0.0083601076 0.0076281355 -0.0067479837 -0.0000030498
        0.0000142869 -0.0000259383 0.0000369883 -0.0000468760 -0.0001750601 0.0002331464
        -0.0002874687 0.0003353203 -0.0003762156 -0.0000962661 0.0001179827 -0.0001371497
        0.0001532471 -0.0001665603 0.3145449701 0.1110565882 0.0974006970 0.1640908188 0.0575736493
        0.0504575855 0.1645679323 0.0577867378 0.0507530173 0.1583393339 0.0559235296 0.0491620841
        0.1511275275 0.0536967009 0.0471456249 0.1495683347 0.0531542052 0.0465597186""",
    ),
    3: (
        9,
        """-0.009278252 0.008899120 -0.008360108 0.007628136 -0.006747984 -0.016767980 0.039433483
        0.059335556 0.024764097 -0.032688143 -0.060174472 -0.031961229 0.024922553 0.059771762
        0.038641055 -0.017370465 -0.057565867 -0.045196385 0.009145880 0.054610155 0.314544970
        0.111056588 0.097400697 0.118682669 0.000038193 0.033692656 0.203987128 0.117148233
        0.075480126 0.125698067 -0.004075883 0.016967709 0.176337550 0.113133142 0.086162895
        0.132294136 -0.004529644 0.001500484""",
    ),
}


@pytest.mark.parametrize("lambda_", CHECK_NN_GRADIENTS)
def test_all_entries_of_check_nn_gradients_are_those_of_the_console_output(
    week5: SimpleNamespace, lambda_: int
) -> None:
    digits, published = CHECK_NN_GRADIENTS[lambda_]
    _, hand, autodiff = week5.checkNNGradients(lambda_)
    assert len(hand) == 38
    assert printed(hand, digits) == " ".join(published.split())
    assert printed(autodiff, digits) == " ".join(published.split())


@pytest.mark.parametrize(
    ("lambda_", "beginning"),
    [
        (0, "-0.0092782524 0.0088991196 -0.0083601076 0.0076281355 -0.0067479837 -0.0000030498"),
        (3, "-0.0092782524 0.0088991196 -0.0083601076 0.0076281355 -0.0067479837"),
    ],
)
def test_the_first_entries_of_check_nn_gradients_are_the_published_ones(
    week5: SimpleNamespace, lambda_: int, beginning: str
) -> None:
    for gradient in week5.checkNNGradients(lambda_)[1:]:
        assert printed(gradient, 10).startswith(beginning)


@pytest.mark.parametrize("lambda_", [0, 3])
def test_the_relative_difference_of_check_nn_gradients_is_below_1e_9(
    week5: SimpleNamespace, lambda_: int
) -> None:
    numerical, hand, autodiff = week5.checkNNGradients(lambda_)
    assert week5.relative_difference(numerical, hand) < 1e-9  # printed: 2.17954e-11, 2.08561e-11
    assert week5.relative_difference(numerical, autodiff) < 1e-9
    assert week5.relative_difference(autodiff, hand) < 1e-14


@both_ways
@pytest.mark.parametrize(("lambda_", "J"), [(0, 2.100950569902465), (3, 2.146359815024358)])
def test_the_cost_of_the_small_network_is_right_to_all_digits(
    week5: SimpleNamespace, way: Any, lambda_: int, J: float
) -> None:
    weights = week5.debugInitializeWeights(5, 3), week5.debugInitializeWeights(3, 5)
    X, y = week5.debugInitializeWeights(5, 2), np.array([2, 3, 1, 2, 3])
    found, *_ = way(week5, *weights, X, y, lambda_)
    assert found == pytest.approx(J, rel=1e-14)


def test_debug_weights_are_filled_column_by_column(week5: SimpleNamespace) -> None:
    weights = week5.debugInitializeWeights(5, 3)
    assert weights.shape == (5, 4)
    np.testing.assert_allclose(weights[:, 0], np.sin([1, 2, 3, 4, 5]) / 10, rtol=1e-15)


def test_unrolled_parameters_roll_back(week5: SimpleNamespace) -> None:
    Theta1, Theta2, _, _ = week5.worked_example()
    assert Theta1.tolist() == [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]
    assert Theta2[:, 0].tolist() == [0.7, 0.8, 0.9, 1.0]
    np.testing.assert_array_equal(week5.unroll(Theta1, Theta2), np.arange(1, 19) / 10)


# ---- the worked example of the forum -------------------------------------------------------------

INTERMEDIATES = {
    "delta3": (
        6,
        """0.888659 0.907427 0.923305 -0.063351 0.838178 -0.139718 0.879800 0.896918
        0.923414 0.938578 -0.049102 0.960851""",
    ),
    "delta2": (5, "0.79393 1.05281 0.73674 0.95128 0.76775 0.93560"),
    "Delta1": (6, "2.298415 -0.082619 -0.074786 2.939691 -0.107533 -0.161585"),
    "Delta2": (
        5,
        """2.65025 1.37794 1.43501 1.70629 1.03385 1.10676 1.75400 0.76894 0.77931
        1.79442 0.93566 0.96699""",
    ),
}
GRADIENTS = {
    0: (
        6,
        """0.766138 0.979897 -0.027540 -0.035844 -0.024929 -0.053862 0.883417 0.568762 0.584668
        0.598139 0.459314 0.344618 0.256313 0.311885 0.478337 0.368920 0.259771 0.322331""",
    ),
    4: (
        5,
        """0.76614 0.97990 0.37246 0.49749 0.64174 0.74614 0.88342 0.56876 0.58467 0.59814 1.92598
        1.94462 1.98965 2.17855 2.47834 2.50225 2.52644 2.72233""",
    ),
}


def test_the_activations_of_the_first_worked_example_are_the_published_ones(
    week5: SimpleNamespace,
) -> None:
    _, found = week5.nnCostFunction(*week5.worked_example(), 4)
    assert printed(found["a2"][0], 5) == "1.00000 0.51350 0.54151"
    assert printed(found["h"][0], 5) == "0.88866 0.90743 0.92330 0.93665"


@pytest.mark.parametrize("name", INTERMEDIATES)
def test_the_intermediates_of_the_worked_example_are_the_published_ones(
    week5: SimpleNamespace, name: str
) -> None:
    digits, published = INTERMEDIATES[name]
    _, found = week5.nnCostFunction(*week5.worked_example(), 4)
    assert printed(found[name], digits) == " ".join(published.split())


@both_ways
@pytest.mark.parametrize("lambda_", GRADIENTS)
def test_the_gradient_of_the_worked_example_is_the_published_one(
    week5: SimpleNamespace, way: Any, lambda_: int
) -> None:
    digits, published = GRADIENTS[lambda_]
    _, D1, D2 = way(week5, *week5.worked_example(), lambda_)
    assert printed(week5.unroll(D1, D2), digits) == " ".join(published.split())


@both_ways
@pytest.mark.parametrize(
    ("lambda_", "digits", "published"), [(0, 4, "7.4070"), (3, 3, "16.457"), (4, 3, "19.474")]
)
def test_the_cost_of_the_worked_example_is_the_published_one(
    week5: SimpleNamespace, way: Any, lambda_: int, digits: int, published: str
) -> None:
    J, *_ = way(week5, *week5.worked_example(), lambda_)
    assert printed(J, digits) == published


@both_ways
@pytest.mark.parametrize(("lambda_", "J"), [(0, 7.406969856065749), (4, 19.473636522732416)])
def test_the_cost_of_the_worked_example_is_right_to_all_digits(
    week5: SimpleNamespace, way: Any, lambda_: int, J: float
) -> None:
    found, *_ = way(week5, *week5.worked_example(), lambda_)
    assert found == pytest.approx(J, rel=1e-14)


# ---- 5,000 digits at the weights of the exercise -------------------------------------------------


@needs_exercise
@both_ways
@pytest.mark.parametrize(
    ("lambda_", "published", "exact"),
    [
        (0, "0.287629", 0.2876291651613189),
        (1, "0.383770", 0.38376985909092365),
        (3, "0.576051", 0.5760512469501331),
    ],
)
def test_the_cost_at_the_given_weights_is_the_published_one(
    week5: SimpleNamespace,
    exercise: SimpleNamespace,
    way: Any,
    lambda_: int,
    published: str,
    exact: float,
) -> None:
    J, *_ = way(week5, exercise.Theta1, exercise.Theta2, exercise.X, exercise.y, lambda_)
    assert printed(J, 6) == published
    assert abs(J - exact) <= J_TOLERANCE


@needs_exercise
@both_ways
@pytest.mark.parametrize(
    ("lambda_", "total"), [(0, 0.026047433852894011), (1, 0.0099559365856808548)]
)
def test_the_gradient_at_the_given_weights_is_the_published_one(
    week5: SimpleNamespace, exercise: SimpleNamespace, way: Any, lambda_: int, total: float
) -> None:
    _, D1, D2 = way(week5, exercise.Theta1, exercise.Theta2, exercise.X, exercise.y, lambda_)
    assert D1.size + D2.size == 10285
    assert np.sum(D1) + np.sum(D2) == pytest.approx(total, rel=0, abs=10 * GRADIENT_TOLERANCE)
    first = [0.000061871, 0.000093880, -0.000192594, -0.000168495]
    assert week5.unroll(D1, D2)[:4] == pytest.approx(first, rel=0, abs=0.501e-9)


@needs_exercise
@both_ways
def test_both_ends_of_the_gradient_row_by_row_are_the_published_ones(
    week5: SimpleNamespace, exercise: SimpleNamespace, way: Any
) -> None:
    _, D1, D2 = way(week5, exercise.Theta1, exercise.Theta2, exercise.X, exercise.y, 1)
    last = [4.70513145e-05, -5.01718610e-04, 5.07825789e-04]
    # float32 pixels move the last one or two of the printed digits
    assert D1[0, 0] == pytest.approx(6.18712766e-05, rel=0, abs=5e-11)
    # lambda/m Theta1 and nothing else: these pixels are never lit
    assert [f"{number:.8e}" for number in D1[0, 1:3]] == ["-2.11248326e-12", "4.38829369e-13"]
    assert D2.ravel()[-3:] == pytest.approx(last, rel=0, abs=2e-11)


@needs_exercise
def test_the_weights_are_those_of_the_exercise_and_classify_as_published(
    week5: SimpleNamespace, exercise: SimpleNamespace
) -> None:
    squares = sum(np.sum(Theta[:, 1:] ** 2) for Theta in (exercise.Theta1, exercise.Theta2))
    assert squares == pytest.approx(961.40693929604765, rel=1e-14)
    right = week5.predict(exercise.Theta1, exercise.Theta2, exercise.X) == exercise.y
    assert printed(100 * np.mean(right), 6) == "97.520000"


# ---- training ------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_exercise
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("method", "best"), [("CG", 0.97), ("L-BFGS-B", 0.98)])
def test_50_iterations_classify_as_many_digits_as_the_exercise_says(
    week5: SimpleNamespace, exercise: SimpleNamespace, method: str, best: float, seed: int
) -> None:
    """The handout says about 95.3 %, give or take 1, for fmincg with its random weights.

    L-BFGS is another method, for which nothing is published: 50 iterations of it get a little
    further, and how far depends on the random weights. Hence the wide range.
    """
    rng = np.random.default_rng(seed)
    initial = week5.randInitializeWeights(400, 25, rng), week5.randInitializeWeights(25, 10, rng)
    Theta1, Theta2, costs = week5.train(*initial, exercise.X, exercise.y, 1, method, 50)
    assert len(costs) == 51
    assert costs[-1] < 0.46 < 6 < costs[0]
    assert 0.94 <= np.mean(week5.predict(Theta1, Theta2, exercise.X) == exercise.y) <= best


@pytest.mark.parametrize("method", ["CG", "L-BFGS-B"])
def test_50_iterations_on_the_digits_that_ship_generalise(
    week5: SimpleNamespace, method: str
) -> None:
    rng = np.random.default_rng(0)
    X, X_test, y, y_test = week5.shipped_digits(rng)
    initial = week5.randInitializeWeights(64, 25, rng), week5.randInitializeWeights(25, 10, rng)
    kept = [Theta.copy() for Theta in initial]
    Theta1, Theta2, _ = week5.train(*initial, X, y, 1, method, 50)
    assert np.mean(week5.predict(Theta1, Theta2, X) == y) > 0.98
    assert np.mean(week5.predict(Theta1, Theta2, X_test) == y_test) > 0.94
    for before, after in zip(kept, initial, strict=True):
        np.testing.assert_array_equal(before, after, err_msg="the initial weights are left alone")


def test_random_weights_are_uniform_within_epsilon(week5: SimpleNamespace) -> None:
    weights = week5.randInitializeWeights(400, 25, np.random.default_rng(0))
    assert weights.shape == (25, 401)
    assert -0.12 <= weights.min() < -0.119
    assert 0.119 < weights.max() <= 0.12


def test_the_shipped_digits_are_unrolled_and_labelled_as_in_the_course(
    week5: SimpleNamespace,
) -> None:
    from autograd_mini.data import digits

    images, labels = digits()
    X, _, y, _ = week5.shipped_digits(np.random.default_rng(0))
    assert sorted(set(y.tolist())) == list(range(1, 11))
    known = {tuple(image): label for image, label in zip(images / 16, labels, strict=True)}
    for image, label in zip(week5.as_images(X), y, strict=True):
        assert known[tuple(image.ravel())] == label % 10
