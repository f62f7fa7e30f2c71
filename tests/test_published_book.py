"""The published numbers of a book on deep learning, by its own formulas and by this package.

Source of every number: 斎藤康毅, *ゼロから作るDeep Learning* (O'Reilly Japan, 2016; in English
"Deep Learning from Scratch"), chapters 3 to 5, and the outputs stored in its notebooks
``ch03.ipynb``, ``ch04.ipynb`` and ``ch05.ipynb``. The two trainings on MNIST that it prints are
unseeded, and so are no test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import autograd_mini as ag
from autograd_mini.check import numerical_gradient

Array = NDArray[np.float64]


# ---- chapter 3: forward --------------------------------------------------------------------------

X = np.array([1.0, 0.5])
NETWORK = {
    "W1": np.array([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]),
    "b1": np.array([0.1, 0.2, 0.3]),
    "W2": np.array([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]),
    "b2": np.array([0.1, 0.2]),
    "W3": np.array([[0.1, 0.3], [0.2, 0.4]]),
    "b3": np.array([0.1, 0.2]),
}


def sigmoid(x: Array) -> Any:
    """Return 1 / (1 + e^-x), as the book has it."""
    return 1 / (1 + np.exp(-x))


def book_softmax(a: Array) -> Any:
    """Return softmax of one row, as the book has it."""
    exp_a = np.exp(a - np.max(a))
    return exp_a / np.sum(exp_a)


def three_layers(g: Any, x: Any, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any) -> Any:
    """Return the outputs of the network with three layers; the last has the identity."""
    z1 = g(x @ W1 + b1)
    z2 = g(z1 @ W2 + b2)
    return z2 @ W3 + b3


def test_ch03_three_layers_by_hand() -> None:
    y = three_layers(sigmoid, X, **NETWORK)
    np.testing.assert_allclose(y, [0.31682708, 0.69627909], rtol=0, atol=0.501e-8)


def test_ch03_three_layers_on_tensors() -> None:
    tensors = {name: ag.Tensor(array, requires_grad=True) for name, array in NETWORK.items()}
    y = three_layers(ag.sigmoid, X, **tensors)
    np.testing.assert_allclose(y.data, [0.31682708, 0.69627909], rtol=0, atol=0.501e-8)


@pytest.mark.parametrize("softmax", [book_softmax, ag.softmax])
def test_ch03_softmax(softmax: Any) -> None:
    y = softmax(np.array([0.3, 2.9, 4.0]))
    published = [0.01821127, 0.24519181, 0.73659691]
    np.testing.assert_allclose(y, published, rtol=0, atol=0.501e-8)
    assert np.sum(y) == pytest.approx(1, rel=1e-15)


# ---- chapter 4: losses and differences -----------------------------------------------------------

T = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
LIKELY = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
UNLIKELY = np.array([0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0])


@pytest.mark.parametrize("array_or_tensor", [np.array, ag.Tensor])
@pytest.mark.parametrize(("y", "published"), [(LIKELY, 0.0975), (UNLIKELY, 0.5975)])
def test_ch04_half_squared_error(array_or_tensor: Any, y: Array, published: float) -> None:
    loss = 0.5 * np.sum((array_or_tensor(y) - T) ** 2)
    assert float(loss) == pytest.approx(published, rel=1e-14)


@pytest.mark.parametrize("array_or_tensor", [np.array, ag.Tensor])
@pytest.mark.parametrize(
    ("y", "published"), [(LIKELY, 0.51082545709933802), (UNLIKELY, 2.3025840929945458)]
)
def test_ch04_cross_entropy_with_a_small_number_in_the_logarithm(
    array_or_tensor: Any, y: Array, published: float
) -> None:
    loss = -np.sum(T * np.log(array_or_tensor(y) + 1e-7))
    assert float(loss) == pytest.approx(published, rel=4e-16)


def function_1(x: Any) -> Any:
    """Return the function that the book differentiates first."""
    return 0.01 * x**2 + 0.1 * x


def numerical_diff(f: Any, x: float) -> Any:
    """Return the central difference, as the book has it."""
    h = 1e-4
    return (f(x + h) - f(x - h)) / (2 * h)


PUBLISHED_DIFFERENCES = pytest.mark.parametrize(
    ("x", "published"), [(5.0, 0.1999999999990898), (10.0, 0.2999999999986347)]
)


@PUBLISHED_DIFFERENCES
def test_ch04_numerical_diff_to_its_last_digit(x: float, published: float) -> None:
    assert numerical_diff(function_1, x) == published


@PUBLISHED_DIFFERENCES
def test_ch04_three_ways_agree_with_numerical_diff(x: float, published: float) -> None:
    by_hand = 0.02 * x + 0.1
    autodiff = float(ag.grad(function_1)(x))
    numerical = float(numerical_gradient(function_1, np.array(x), eps=1e-4))
    assert by_hand == pytest.approx(published, rel=1e-11)
    assert autodiff == pytest.approx(by_hand, rel=1e-15)
    assert numerical == pytest.approx(published, rel=1e-11)


# ---- chapter 5: the shopping graphs --------------------------------------------------------------


def bill(fruits: list[tuple[Any, Any]], tax: Any) -> Any:
    """Return what so many pieces at such prices cost together."""
    first, *others = [price * number for price, number in fruits]
    return sum(others, first) * tax


def bill_by_hand(fruits: list[tuple[float, float]], tax: float) -> tuple[float, list[float], float]:
    """Return the bill, its derivatives by price and number of each fruit, and that by the tax.

    The book's layers: a product hands on the gradient times the other factor, a sum hands it on.
    """
    total = sum(price * number for price, number in fruits)
    price_of_all, d_tax = total * tax, total
    d_total = tax
    d_fruits = [d_total * other for price, number in fruits for other in (number, price)]
    return price_of_all, d_fruits, d_tax


def bill_by_autodiff(
    fruits: list[tuple[float, float]], tax: float
) -> tuple[float, list[float], float]:
    """Return the same from Tensors."""
    leaves = [ag.Tensor(x, requires_grad=True) for pair in fruits for x in pair]
    rate = ag.Tensor(tax, requires_grad=True)
    price_of_all = bill(list(zip(leaves[::2], leaves[1::2], strict=True)), rate)
    *d_fruits, d_tax = map(float, ag.gradients(price_of_all, [*leaves, rate]))
    return float(price_of_all), d_fruits, d_tax


two_ways = pytest.mark.parametrize("way", [bill_by_hand, bill_by_autodiff])


@two_ways
def test_ch05_buy_apple(way: Any) -> None:
    price, (d_apple, d_apple_num), d_tax = way([(100.0, 2.0)], 1.1)
    assert price == pytest.approx(220, rel=1e-15)
    assert [d_apple, d_apple_num, d_tax] == pytest.approx([2.2, 110, 200], rel=1e-15)


@two_ways
def test_ch05_buy_apple_orange(way: Any) -> None:
    price, (d_apple, d_apple_num, d_orange, d_orange_num), d_tax = way(
        [(100.0, 2.0), (150.0, 3.0)], 1.1
    )
    assert price == pytest.approx(715, rel=1e-15)
    assert [d_apple, d_apple_num] == pytest.approx([2.2, 110], rel=1e-15)
    assert [d_orange, d_orange_num, d_tax] == pytest.approx([3.3, 165, 650], rel=1e-15)
