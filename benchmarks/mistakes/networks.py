"""The visible half: fully connected networks, and what students write in their derivations.

Everything is derived once for any number of layers, in the notation of the lecture with examples in
columns.  With examples in rows each array is the transpose of that, so each product is mirrored
(`Sheet.dot`) and the examples lie along the other axis (`Sheet.axis`).
"""

# ruff: noqa: N802, N815 - dA and dZ are written as in the lectures

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

import autograd_mini as ag

from .planted import Array, Exercise, Formula, Mistake, Part, Planted, Slip, plant, plant_pairs

LAMBDA = 0.7
RATES = (0.1, 1.2)  # of an update that came too early
Layers = dict[int, Array]  # from the number of the layer, which begins at 1


# ---- activations ---------------------------------------------------------------------------------


def sigmoid(Z: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-Z))


def softmax(Z: Array, axis: int) -> Array:
    """The shares of the exponentials."""
    E = np.exp(Z - np.max(Z, axis=axis, keepdims=True))
    return E / np.sum(E, axis=axis, keepdims=True)


class Activation(NamedTuple):
    """An activation as NumPy has it, on Tensors, and its derivative as the lecture writes it."""

    by_hand: Callable[[Array], Array]
    on_tensors: Callable[[Any], Any]
    slope: Callable[[Array, Array], Array]  # from Z and A = g(Z)


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, ag.sigmoid, lambda Z, A: A * (1 - A)),
    "tanh": Activation(np.tanh, np.tanh, lambda Z, A: 1 - A**2),
    "ReLU": Activation(lambda Z: np.maximum(0, Z), ag.relu, lambda Z, A: Z > 0),
    "leaky ReLU": Activation(
        lambda Z: np.where(Z > 0, Z, 0.01 * Z), ag.leaky_relu, lambda Z, A: np.where(Z > 0, 1, 0.01)
    ),
    "identity": Activation(lambda Z: Z, lambda Z: Z, lambda Z, A: np.ones_like(Z)),
}
KINKED = {"ReLU", "leaky ReLU"}


# ---- a network -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """Sizes, activations, loss and the conventions of whoever derives the gradients."""

    sizes: tuple[int, ...]  # n0, n1, ..., nL
    hidden: str
    output: str  # activation of the last layer
    loss: str  # "logistic", "softmax cross-entropy", "squared error"
    examples: int
    columns: bool = True
    penalty: str = ""  # "L2", "L1" or none
    theta: bool = False  # the bias is column 0 of Theta
    half: bool = True  # of the squared error
    early: bool = False  # 1/m stands at dZ, not at dW and db
    shows_dA: bool = False
    fused: bool = False  # the cost is computed from ZL by one function
    shares: bool = False  # softmax is written with np.exp and np.sum
    scale: float = 1.0  # of the last weights

    @property
    def depth(self) -> int:
        """The number of layers with weights."""
        return len(self.sizes) - 1

    @property
    def square(self) -> bool:
        """Whether a missing transpose can go unnoticed."""
        return len({*self.sizes[:-1], self.examples}) == 1

    @property
    def shortcut(self) -> bool:
        """Whether the lecture writes dZL = AL - YL at once."""
        return not self.shows_dA and (self.loss != "squared error" or self.output == "identity")

    def activation(self, layer: int) -> str:
        """The name of a layer's activation."""
        return self.output if layer == self.depth else self.hidden

    def name(self, kind: str, layer: int) -> str:
        """What the student calls Z, A, W, b of a layer, or their gradients."""
        prefix, letter = ("d", kind[1:]) if kind[0] == "d" else ("", kind)
        if not self.theta:
            return f"{prefix}{letter}{layer}"
        if letter == "W":
            return f"{prefix}Theta{layer}"
        return f"{prefix}{letter.lower()}{layer + 1}"

    def shown(self) -> dict[Part, str]:
        """The lines that the student hands in, with their names."""
        kinds = ["dZ", "dW"] + ["db"] * (not self.theta)
        shown = {}
        for layer in range(self.depth, 0, -1):
            here = ["dA", *kinds] if self.shows_dA and self.has_dA(layer) else kinds
            shown.update({(kind, layer): self.name(kind, layer) for kind in here})
        return shown

    def has_dA(self, layer: int) -> bool:
        """Whether dA of a layer is derived, and is not dZ."""
        if layer == self.depth and self.shortcut:
            return False
        return self.activation(layer) != "identity"

    def line_of_dA(self, layer: int) -> str:
        """The line on which dA is seen: itself, or dZ, of which it is a factor."""
        return self.shown().get(("dA", layer), self.name("dZ", layer))

    def __str__(self) -> str:
        words = {1: "one neuron", 2: "one hidden layer", 3: "three layers"}
        loss = self.loss
        if self.loss == "logistic" and self.sizes[-1] > 1:
            loss = "K sigmoids"
        elif self.loss == "squared error":
            loss = f"squared error of {self.output}"
        said = [
            words.get(self.depth, f"{self.depth} layers"),
            *([self.hidden] if self.depth > 1 else []),
            loss,
            "columns" if self.columns else "rows",
            self.penalty,
            "bias in Theta" * self.theta,
            "1/m at dZ" * self.early,
            "no half" * (not self.half),
            "with dA" * self.shows_dA,
            "fused loss" * self.fused,
            "square" * self.square,
            "saturated" * (self.scale != 1),
        ]
        return ", ".join(filter(None, said))


@dataclass
class Sheet:
    """The numbers in a derivation: v.W[2] is W2, v.A[0] is X."""

    network: Network
    W: Layers
    b: Layers
    Y: Array
    lam: float
    Z: Layers = field(default_factory=dict)
    G: Layers = field(default_factory=dict)  # g(Z)
    A: Layers = field(default_factory=dict)  # g(Z), with ones if the bias is in Theta
    dA: Layers = field(default_factory=dict)
    slope: Layers = field(default_factory=dict)  # g'(Z)
    dZ: Layers = field(default_factory=dict)
    product: Layers = field(default_factory=dict)  # dZ and the A before, multiplied
    penalty: Layers = field(default_factory=dict)  # of the regularisation, in dW
    dW: Layers = field(default_factory=dict)
    db: Layers = field(default_factory=dict)

    def forward(self, X: Array) -> None:
        """The forward pass."""
        n = self.network
        self.A[0] = self.with_ones(X)
        for layer in range(1, n.depth + 1):
            self.Z[layer] = self.dot(self.W[layer], self.A[layer - 1])
            if not n.theta:
                self.Z[layer] = self.Z[layer] + self.b[layer]
            if n.activation(layer) == "softmax":
                self.G[layer] = softmax(self.Z[layer], axis=1 - self.axis)
            else:
                self.G[layer] = ACTIVATIONS[n.activation(layer)].by_hand(self.Z[layer])
            last = layer == n.depth
            self.A[layer] = self.G[layer] if last else self.with_ones(self.G[layer])

    @property
    def m(self) -> int:
        """The number of examples."""
        return self.network.examples

    @property
    def first(self) -> float:
        """The factor at the last dA or dZ: 1/m or, as in the lecture, none; 2 without the half."""
        doubled = self.network.loss == "squared error" and not self.network.half
        return (1 / self.m if self.network.early else 1.0) * (2 if doubled else 1)

    @property
    def share(self) -> float:
        """The factor at dW and db: the other way round."""
        return 1.0 if self.network.early else 1 / self.m

    @property
    def axis(self) -> int:
        """The axis along which the examples lie."""
        return 1 if self.network.columns else 0

    def dot(self, a: Array, b: Array) -> Array:
        """``a @ b``; mirrored with examples in rows."""
        return a @ b if self.network.columns else b @ a

    def total(self, x: Array) -> Array:
        """The sum over the examples."""
        return np.sum(x, axis=self.axis, keepdims=True)

    def last(self, x: Array) -> Array:
        """The last example alone."""
        return x[:, -1:] if self.network.columns else x[-1:]

    def units(self, x: Array) -> Array:
        """Without the bias unit, which is there if the bias is in Theta."""
        if not self.network.theta:
            return x
        return x[1:] if self.network.columns else x[:, 1:]

    def with_ones(self, x: Array) -> Array:
        """With the bias unit, if the bias is in Theta."""
        if not self.network.theta:
            return x
        ones = np.ones_like(x[:1] if self.network.columns else x[:, :1])
        return np.concatenate([ones, x], axis=1 - self.axis)

    def all_but_last_unit(self, x: Array) -> Array:
        """Without the last unit, by mistake for that of the bias."""
        return x[:-1] if self.network.columns else x[:, :-1]

    def weights(self, layer: int) -> Array:
        """W; or Theta with zeros for the bias, which is not regularised."""
        W = self.W[layer].copy()
        if self.network.theta:
            W[(slice(None), 0) if self.network.columns else 0] = 0
        return W

    def write(self, part: Part, value: Array) -> None:
        """Put down the value of a line."""
        kind, layer = part
        getattr(self, kind)[layer] = value

    def hand(self) -> dict[str, Array]:
        """The gradients derived so far, by name."""
        return {
            name: getattr(self, kind)[layer]
            for (kind, layer), name in self.network.shown().items()
            if layer in getattr(self, kind)
        }


# ---- the right derivation ------------------------------------------------------------------------


def lecture(n: Network) -> dict[Part, Formula]:
    """The lines of the derivation, from the last layer to the first."""
    lines: dict[Part, Formula] = {}
    for layer in range(n.depth, 0, -1):
        lines |= output_layer(n) if layer == n.depth else hidden_layer(n, layer)
        lines |= parameters(n, layer)
    return lines


def output_layer(n: Network) -> dict[Part, Formula]:
    """From the loss to dZ of the last layer."""
    L = n.depth
    if n.shortcut:
        return {("dZ", L): lambda v: v.first * (v.A[L] - v.Y)}
    return {("dA", L): from_loss(n), **through_activation(n, L)}


def from_loss(n: Network) -> Formula:
    """The derivative of the loss by the last A."""
    L = n.depth
    formulas: dict[str, Formula] = {
        "logistic": lambda v: v.first * (-v.Y / v.A[L] + (1 - v.Y) / (1 - v.A[L])),
        "softmax cross-entropy": lambda v: v.first * (-v.Y / v.A[L]),
        "squared error": lambda v: v.first * (v.A[L] - v.Y),
    }
    return formulas[n.loss]


def through_activation(n: Network, layer: int) -> dict[Part, Formula]:
    """From dA to dZ of a layer."""
    if n.activation(layer) == "softmax":
        return {("dZ", layer): lambda v: through_softmax(v, v.dA[layer])}
    slope = ACTIVATIONS[n.activation(layer)].slope
    return {
        ("slope", layer): lambda v: slope(v.Z[layer], v.G[layer]),
        ("dZ", layer): lambda v: v.dA[layer] * v.slope[layer],
    }


def through_softmax(v: Sheet, dA: Array, sign: int = -1) -> Array:
    """The full Jacobian of softmax, s (delta - s), times dA: a sum over the classes."""
    S = v.A[v.network.depth]
    return S * (dA + sign * np.sum(dA * S, axis=1 - v.axis, keepdims=True))


def hidden_layer(n: Network, layer: int) -> dict[Part, Formula]:
    """From dZ of the next layer to dZ of this one."""
    return {
        ("dA", layer): lambda v: v.units(v.dot(v.W[layer + 1].T, v.dZ[layer + 1])),
        **through_activation(n, layer),
    }


def nothing(layer: int) -> Formula:
    """No regularisation."""
    return lambda v: 0.0


def L2(layer: int) -> Formula:
    """The gradient of lambda/(2m) times the sum of the squares of the weights."""
    return lambda v: v.lam / v.m * v.weights(layer)


def L1(layer: int) -> Formula:
    """The gradient of lambda/m times the sum of the absolute weights."""
    return lambda v: v.lam / v.m * np.sign(v.weights(layer))


PENALTIES = {"": nothing, "L2": L2, "L1": L1}


def parameters(n: Network, layer: int) -> dict[Part, Formula]:
    """From dZ to the gradients of the weights and of the bias."""
    lines: dict[Part, Formula] = {
        ("product", layer): lambda v: v.dot(v.dZ[layer], v.A[layer - 1].T),
        ("penalty", layer): PENALTIES[n.penalty](layer),
        ("dW", layer): lambda v: v.share * v.product[layer] + v.penalty[layer],
    }
    if not n.theta:
        lines["db", layer] = lambda v: v.share * v.total(v.dZ[layer])
    return lines


# ---- mistakes at the last layer ------------------------------------------------------------------

Wrong = tuple[str, str, str, Formula]  # id, what was done, causes, what was written


def slips_of(line: str, part: Part, wrong: Iterable[Wrong]) -> Iterator[Slip]:
    """One slip for each wrong formula of a part; its causes are separated by commas."""
    for id, text, causes, formula in wrong:
        yield Slip(Mistake(id, line, text, frozenset(causes.split(", "))), {part: formula})


def times(right: Formula, factor: float) -> Formula:
    """A formula with a factor."""
    return lambda v: factor * right(v)


def through_sigmoid(dA: Formula, layer: int) -> Formula:
    """From a formula for dA to that for dZ, for a sigmoid."""
    return lambda v: dA(v) * v.A[layer] * (1 - v.A[layer])


def scaled(right: Formula, sign: str, factors: Iterable[tuple[str, str, float]]) -> Iterator[Wrong]:
    """A formula with the opposite sign, and with wrong constant factors."""
    yield sign, "the opposite sign", "sign", times(right, -1)
    for id, text, factor in factors:
        yield id, text, "constant factor", times(right, factor)


def output_slips(n: Network) -> Iterator[Slip]:
    """What goes wrong from the loss to dZ of the last layer."""
    L, K, squared = n.depth, n.sizes[-1], n.loss == "squared error"
    right = lecture(n)
    factors = [
        ("L5a" if squared else "W7a", "a factor 2", 2.0),
        ("L5b" if squared else "W7a", "a factor 1/2", 0.5),
        ("W7b", "4/m in the place of 1/m", 4.0),
    ]
    if K > 1:
        factors.append(("L5c", "the mean over the outputs too", 1 / K))
    dA, dZ = n.line_of_dA(L), n.name("dZ", L)
    if dA != dZ:
        yield from slips_of(dA, ("dA", L), scaled(right["dA", L], "L1", factors))
    yield from slips_of(dZ, ("dZ", L), scaled(right["dZ", L], "L1", factors))
    if n.shortcut:
        yield from slips_of(dZ, ("dZ", L), wrong_residuals(n))
        if n.loss != "squared error":
            chain = {formula[0]: formula for formula in wrong_chains(n)}
            yield from slips_of(dZ, ("dZ", L), chain.values())
    else:
        yield from slips_of(dA, ("dA", L), wrong_losses(n))
        if n.output == "softmax":
            yield from slips_of(dZ, ("dZ", L), wrong_jacobians(n))
        else:
            yield from slope_slips(n, L)
        if squared:
            text, causes = "A - Y, which belongs to the cross-entropy", "other loss, missing factor"
            yield from slips_of(dZ, ("dZ", L), [("L10", text, causes, lambda v: v.dA[L])])


def wrong_residuals(n: Network) -> Iterator[Wrong]:
    """What is written in the place of A - Y."""
    L, K = n.depth, n.sizes[-1]
    yield "L1c", "A + Y", "sign of a term", lambda v: v.first * (v.A[L] + v.Y)
    yield "L11a", "Y is not subtracted", "missing term", lambda v: v.first * v.A[L]
    if K > 1:
        yield (
            "L11b",
            "the labels are off by one class",
            "wrong operand",
            lambda v: v.first * (v.A[L] - np.roll(v.Y, 1, axis=1 - v.axis)),
        )
    if n.output != "identity":
        causes = "wrong operand, missing function"
        yield "W3a", "Z in the place of A", causes, lambda v: v.first * (v.Z[L] - v.Y)
        yield (
            "L4",
            "the derivative of the output's activation once more, as for the squared error",
            "extra factor, other loss",
            lambda v: v.first * (v.A[L] - v.Y) * v.A[L] * (1 - v.A[L]),
        )
    if K == 1 and not n.columns:
        yield (
            "B3b",
            "Y of shape (m,), so that A - Y becomes (m, m)",
            "rank-1 array, broadcast",
            lambda v: v.first * (v.A[L] - v.Y.ravel()),
        )


def wrong_losses(n: Network) -> Iterator[Wrong]:
    """What is written in the place of the derivative of the loss by the last A."""
    L = n.depth
    if n.loss == "logistic":
        causes = "missing path, missing term"
        yield "L6a", "only -Y/A", causes, lambda v: v.first * (-v.Y / v.A[L])
        yield (
            "L6b",
            "-Y/A - (1-Y)/(1-A)",
            "sign of a term",
            lambda v: v.first * (-v.Y / v.A[L] - (1 - v.Y) / (1 - v.A[L])),
        )
    if n.loss == "squared error":
        causes = "wrong operand, missing function"
        yield "L1c", "A + Y", "sign of a term", lambda v: v.first * (v.A[L] + v.Y)
        yield "L11a", "Y is not subtracted", "missing term", lambda v: v.first * v.A[L]
        yield "W3a", "Z in the place of A", causes, lambda v: v.first * (v.Z[L] - v.Y)


def wrong_jacobians(n: Network) -> Iterator[Wrong]:
    """What is written in the place of the full Jacobian of softmax."""
    L, dA = n.depth, from_loss(n)
    yield "A1", "the derivative of softmax is left out", "missing factor", dA
    yield (
        "L8",
        "only the diagonal of the Jacobian, s(1-s)",
        "diagonal only",
        lambda v: dA(v) * v.A[L] * (1 - v.A[L]),
    )
    yield (
        "L9",
        "s(delta + s) in the place of s(delta - s)",
        "sign of a term",
        lambda v: through_softmax(v, dA(v), sign=1),
    )


def wrong_chains(n: Network) -> Iterator[Wrong]:
    """What a student has in the place of A - Y who did not use the shortcut."""
    L, dA = n.depth, from_loss(n)
    if n.output == "softmax":
        yield from wrong_jacobians(n)
        return
    yield "A1", "the derivative of the sigmoid is left out", "missing factor", dA
    for id, text, causes, wrong in wrong_losses(n):
        yield id, text, causes, through_sigmoid(wrong, L)


def everywhere(n: Network) -> Iterator[Slip]:
    """The 1/m forgotten or written twice, and the regularisation forgotten, in all layers alike.

    With 1/m at no line, or at dZ and at dW, nobody can say which line it is that lacks it or has it
    too much: the numbers are the same.
    """
    L, right = n.depth, lecture(n)
    first = ("dZ" if n.shortcut else "dA", L)
    entry = {n.line_of_dA(L), n.name("dZ", L)}
    dW = n.name("dW", L)
    leaves = [part for part in right if part[0] in ("product", "db")]
    no_share, second_share = ([first], leaves) if n.early else (leaves, [first])
    missing = {part: times(right[part], n.examples) for part in no_share}
    twice = {part: times(right[part], 1 / n.examples) for part in second_share}
    causes, lines = frozenset({"constant factor"}), frozenset(entry)
    yield Slip(Mistake("L2a", dW, "1/m stands nowhere", causes, lines), missing)
    text = "1/m stands at dZ and at dW and db"
    yield Slip(Mistake("L3a", dW, text, causes, lines), twice)
    if L > 1:
        text, words, formula = (
            ("without regularisation", {"missing regularisation"}, nothing)
            if n.penalty
            else ("regularised, but the cost is not", {"extra term", "wrong regularisation"}, L2)
        )
        edits = {("penalty", layer): formula(layer) for layer in range(1, L + 1)}
        id = "R1b" if n.penalty else "R5b"
        yield Slip(Mistake(id, dW, text, frozenset(words)), edits)


# ---- mistakes in a hidden layer ------------------------------------------------------------------


def hidden_slips(n: Network, layer: int) -> Iterator[Slip]:
    """What goes wrong from dZ of the next layer to dZ of this one."""
    right = lecture(n)
    factors = [
        ("W7a", "a factor 2", 2.0),
        ("W7b", "4/m in the place of 1/m", 4.0),
        ("L3b", "1/m once more", 1 / n.examples),
    ]
    dA, dZ = n.line_of_dA(layer), n.name("dZ", layer)
    if dA != dZ:
        yield from slips_of(dA, ("dA", layer), scaled(right["dA", layer], "L1", factors))
    yield from slips_of(dZ, ("dZ", layer), scaled(right["dZ", layer], "L1", factors))
    yield from slips_of(dA, ("dA", layer), wrong_ways_back(n, layer))
    yield from slope_slips(n, layer)
    if n.theta:
        yield bias_row_kept(n, layer)


def wrong_ways_back(n: Network, layer: int) -> Iterator[Wrong]:
    """What is written in the place of W.T @ dZ of the next layer."""
    up = layer + 1
    for rate in RATES:
        text = f"W was updated before, at the rate {rate}"
        yield "W4", text, "updated weights", after_update(up, rate)
    yield (
        "W3b",
        "dW in the place of W",
        "wrong operand",
        lambda v: v.units(v.dot(v.dW[up].T, v.dZ[up])),
    )
    if n.has_dA(up):
        yield (
            "W3c",
            "dA in the place of dZ",
            "wrong operand, missing factor",
            lambda v: v.units(v.dot(v.W[up].T, v.dA[up])),
        )
    yield (
        "W3d",
        "A in the place of dZ",
        "wrong operand",
        lambda v: v.units(v.dot(v.W[up].T, v.G[up])),
    )
    if n.theta:
        text = "the last row is removed, not that of the bias"
        yield "W5b", text, "bias row", lambda v: v.all_but_last_unit(v.dot(v.W[up].T, v.dZ[up]))
    if n.square and up < n.depth:
        text = "W in the place of W.T"
        yield "W2a", text, "missing transpose", lambda v: v.dot(v.W[up], v.dZ[up])
        text = "* in the place of @"
        yield "W1c", text, "wrong product", lambda v: v.W[up].T * v.dZ[up]
        text = "W of the layer itself"
        yield "W3e", text, "wrong operand", lambda v: v.dot(v.W[layer].T, v.dZ[up])


def after_update(up: int, rate: float) -> Formula:
    """The way back through weights that have been updated already."""
    return lambda v: v.units(v.dot((v.W[up] - rate * v.dW[up]).T, v.dZ[up]))


def bias_row_kept(n: Network, layer: int) -> Slip:
    """The delta of the bias unit is not removed: one row too many."""
    slope = ACTIVATIONS[n.activation(layer)].slope
    text, causes = "the row of the bias unit is not removed", frozenset({"bias row"})
    edits: dict[Part, Formula] = {
        ("dA", layer): lambda v: v.dot(v.W[layer + 1].T, v.dZ[layer + 1]),
        ("slope", layer): lambda v: slope(v.with_ones(v.Z[layer]), v.A[layer]),
    }
    return Slip(Mistake("W5a", n.name("dZ", layer), text, causes), edits)


def slope_slips(n: Network, layer: int) -> Iterator[Slip]:
    """What goes wrong where dA is multiplied by the derivative of the activation."""
    line = n.name("dZ", layer)
    yield from slips_of(line, ("dZ", layer), wrong_multiplications(n, layer))
    yield from slips_of(line, ("slope", layer), wrong_slopes(n, layer))
    yield from slips_of(line, ("slope", layer), slopes_of_another_layer(n, layer))


def wrong_multiplications(n: Network, layer: int) -> Iterator[Wrong]:
    """What is written in the place of dA * g'(Z)."""
    g = n.activation(layer)
    yield "A1", "g'(Z) is left out", "missing factor", lambda v: v.dA[layer]
    if g != "ReLU":
        text = "multiplied by g'(Z) twice"
        yield "A6a", text, "factor twice", lambda v: v.dA[layer] * v.slope[layer] ** 2
    if g == "tanh":
        yield (
            "W1a",
            "np.dot with 1 - np.dot(A.T, A) in the place of * (1 - A**2)",
            "wrong product",
            lambda v: v.dot(v.dA[layer], 1 - v.dot(v.G[layer].T, v.G[layer])),
        )
    if n.square and layer < n.depth:
        text = "@ in the place of *"
        yield "W1b", text, "wrong product", lambda v: v.dot(v.dA[layer], v.slope[layer])


def wrong_slopes(n: Network, layer: int) -> Iterator[Wrong]:
    """What is written in the place of the derivative of the activation."""
    g = n.activation(layer)
    for other, (by_hand, _, slope) in ACTIVATIONS.items():
        if other in (g, "identity"):
            continue
        text = f"the derivative of {other}"
        yield "A3a", text, "other activation", slope_at(slope, layer)
        if other not in KINKED:
            text += ", taken at Z"
            yield "A3b", text, "other activation", slope_at(slope, layer, by_hand)
    if g == "tanh":
        text, causes = "1 - Z**2", "wrong point, wrong operand"
        yield "A2a", text, causes, lambda v: 1 - v.Z[layer] ** 2
        text = "1 - tanh(A)**2"
        yield "A2b", text, "wrong point", lambda v: 1 - np.tanh(v.G[layer]) ** 2
        yield "A7a", "1 - A", "missing function", lambda v: 1 - v.G[layer]
        yield "A7b", "A**2", "missing term", lambda v: v.G[layer] ** 2
        yield "A7c", "1 + A**2", "sign of a term", lambda v: 1 + v.G[layer] ** 2
    if g == "sigmoid":
        text, causes = "Z (1 - Z)", "wrong point, wrong operand"
        yield "A2a", text, causes, lambda v: v.Z[layer] * (1 - v.Z[layer])
        yield (
            "A2b",
            "g(A) (1 - g(A))",
            "wrong point",
            lambda v: sigmoid(v.G[layer]) * (1 - sigmoid(v.G[layer])),
        )
        yield "A7a", "A", "missing factor", lambda v: v.G[layer]
        yield "A7b", "1 - A", "missing factor", lambda v: 1 - v.G[layer]
        yield "A7c", "A (1 + A)", "sign of a term", lambda v: v.G[layer] * (1 + v.G[layer])
        text, causes = "A**2 (1 - A)", "factor twice, extra factor"
        yield "A7d", text, causes, lambda v: v.G[layer] ** 2 * (1 - v.G[layer])
    if g == "ReLU":
        text, causes = "the mask is taken from dA", "wrong operand, wrong point"
        yield "A4b", text, causes, lambda v: v.dA[layer] > 0
        text, causes = "Z in the place of Z > 0", "missing function"
        yield "A4c", text, causes, lambda v: v.Z[layer]
        text, causes = "A in the place of Z > 0", "missing function, wrong operand"
        yield "A4d", text, causes, lambda v: v.G[layer]
    if g == "leaky ReLU":
        text, causes = "the mask is taken from dA", "wrong operand, wrong point"
        yield "A4b", text, causes, lambda v: np.where(v.dA[layer] > 0, 1, 0.01)
        text, causes = "A in the place of its derivative", "missing function, wrong operand"
        yield "A4d", text, causes, lambda v: v.G[layer]
        text, causes = "no slope on the negative side", "other activation, missing term"
        yield "A5", text, causes, lambda v: v.Z[layer] > 0


def slope_at(
    slope: Callable[[Array, Array], Array],
    layer: int,
    activation: Callable[[Array], Array] | None = None,
) -> Formula:
    """A derivative at Z and A of a layer; or with A computed by another activation."""
    if activation is None:
        return lambda v: slope(v.Z[layer], v.G[layer])
    return lambda v: slope(v.Z[layer], activation(v.Z[layer]))


def slopes_of_another_layer(n: Network, layer: int) -> Iterator[Wrong]:
    """The derivative of the activation, taken at a neighbour's Z and A, where the shapes allow."""
    g = n.activation(layer)
    own = ACTIVATIONS[g].slope
    for near in (layer - 1, layer + 1):
        if not 1 <= near <= n.depth or n.sizes[near] not in (1, n.sizes[layer]):
            continue
        text = f"g' at {n.name('Z', near)}"
        causes = "wrong operand, wrong point"
        yield "A6b", text, causes, slope_at(own, near)
        if n.activation(near) not in (g, "identity", "softmax"):
            its = ACTIVATIONS[n.activation(near)].slope
            causes = "wrong operand, wrong point, other activation"
            yield "A6c", text, causes, slope_at(its, near)


# ---- mistakes at the parameters ------------------------------------------------------------------


def parameter_slips(n: Network, layer: int) -> Iterator[Slip]:
    """What goes wrong from dZ to the gradients of the weights and of the bias."""
    right = lecture(n)
    again = [("L3b", "1/m twice" if not n.early else "1/m once more", 1 / n.examples)]
    factors = [("W7a", "a factor 2", 2.0), ("W7b", "4/m in the place of 1/m", 4.0), *again]
    if not n.early:
        factors.append(("L2b", "1/m is missing", n.examples))
    data = right["product", layer]
    signs = scaled(data, "L1", factors)
    if n.penalty:
        signs = (
            (id, text, f"{causes}, sign of a term" if id == "L1" else causes, formula)
            for id, text, causes, formula in signs
        )
    dW, db = n.name("dW", layer), n.name("db", layer)
    yield from slips_of(dW, ("product", layer), signs)
    yield from slips_of(dW, ("product", layer), wrong_products(n, layer))
    yield from slips_of(dW, ("penalty", layer), wrong_penalties(n, layer))
    if not n.theta:
        yield from slips_of(db, ("db", layer), scaled(right["db", layer], "L1", factors))
        yield from slips_of(db, ("db", layer), wrong_bias_sums(n, layer))


def wrong_products(n: Network, layer: int) -> Iterator[Wrong]:
    """What is written in the place of dZ @ A.T of the layer before."""
    before = layer - 1
    fits_any = not n.penalty  # a term of another shape is added, which mostly raises
    yield (
        "W6",
        "the last example only",
        "last example only",
        lambda v: v.dot(v.last(v.dZ[layer]), v.last(v.A[before]).T),
    )
    text = "A of the layer in the place of dZ"
    yield "W3f", text, "wrong operand", lambda v: v.dot(v.G[layer], v.A[before].T)
    if n.has_dA(layer):
        yield (
            "W3g",
            "dA in the place of dZ",
            "wrong operand, missing factor",
            lambda v: v.dot(v.dA[layer], v.A[before].T),
        )
    if before > 0:
        yield (
            "W3h",
            "Z in the place of A",
            "wrong operand, missing function",
            lambda v: v.dot(v.dZ[layer], v.with_ones(v.Z[before]).T),
        )
    if before > 0 and (fits_any or n.square):
        text = "X in the place of A"
        yield "W3i", text, "wrong operand", lambda v: v.dot(v.dZ[layer], v.A[0].T)
    if fits_any:
        text = "A of the layer in the place of that before"
        yield "W3j", text, "wrong operand", lambda v: v.dot(v.dZ[layer], v.A[layer].T)
    if fits_any or (n.square and layer < n.depth):
        yield "W2b", "A @ dZ.T", "transposed", lambda v: v.dot(v.A[before], v.dZ[layer].T)
    if n.square and layer < n.depth:
        yield "W2c", "A for A.T", "missing transpose", lambda v: v.dot(v.dZ[layer], v.A[before])
    if n.sizes[layer] == 1 and fits_any:
        causes = "wrong product, missing sum"
        yield "W1d", "dZ * A", causes, lambda v: v.dZ[layer] * v.A[before]
    if n.theta and fits_any:
        text = "the units before are taken without that of the bias"
        yield "W5c", text, "bias row", lambda v: v.dot(v.dZ[layer], v.units(v.A[before]).T)


def wrong_penalties(n: Network, layer: int) -> Iterator[Wrong]:
    """What is written in the place of the regularisation's term."""
    if not n.penalty:
        text, causes = "regularised, but the cost is not", "extra term, wrong regularisation"
        yield "R5a", text, causes, L2(layer)
        return
    right = PENALTIES[n.penalty](layer)
    yield "R1a", "no regularisation", "missing regularisation", nothing(layer)
    text, causes = "minus the regularisation", "wrong regularisation, sign of a term"
    yield "R4", text, causes, times(right, -1)
    for text, factor in {
        "lambda/(2m)": 1 / 2,
        "2 lambda/m": 2.0,
        "lambda": n.examples,
        "lambda/m**2": 1 / n.examples,
    }.items():
        yield "R2", text, "wrong regularisation", times(right, factor)
    if n.penalty == "L1":
        text, causes = "W in the place of its sign", "wrong regularisation, missing function"
        yield "R6", text, causes, lambda v: v.lam / v.m * v.W[layer]
    if n.theta:
        text, causes = "with the column of the bias", "regularised bias"
        yield "R3b", text, causes, lambda v: v.lam / v.m * v.W[layer]


def wrong_bias_sums(n: Network, layer: int) -> Iterator[Wrong]:
    """What is written in the place of the sum of dZ over the examples."""
    wide = n.sizes[layer] > 1
    yield "B1", "no sum", "missing sum", lambda v: v.share * v.dZ[layer]
    yield (
        "B2",
        "the sum along the other axis",
        "wrong axis",
        lambda v: v.share * np.sum(v.dZ[layer], axis=1 - v.axis, keepdims=True),
    )
    yield (
        "B3a",
        "without keepdims",
        "rank-1 array",
        lambda v: v.share * np.sum(v.dZ[layer], axis=v.axis),
    )
    if wide and n.columns:
        yield (
            "B3c",
            "without keepdims, and then added to zeros of the shape of b",
            "rank-1 array, broadcast",
            lambda v: np.zeros_like(v.b[layer]) + v.share * np.sum(v.dZ[layer], axis=v.axis),
        )
    if wide:
        text = "the sum over everything"
        yield "B4", text, "sum over everything", lambda v: v.share * np.sum(v.dZ[layer])
    yield "B5", "left at zero", "zero", lambda v: np.zeros_like(v.b[layer])
    if n.has_dA(layer):
        yield (
            "B6",
            "the sum of dA",
            "wrong operand, missing factor",
            lambda v: v.share * v.total(v.dA[layer]),
        )
    yield (
        "B7",
        "the sum, spread over the examples again",
        "missing sum, broadcast",
        lambda v: v.share * v.total(v.dZ[layer]) + np.zeros_like(v.dZ[layer]),
    )
    yield (
        "W6",
        "the last example only",
        "last example only",
        lambda v: v.share * v.last(v.dZ[layer]),
    )
    if n.penalty:
        yield (
            "R3a",
            "the bias is regularised too",
            "regularised bias",
            lambda v: v.share * v.total(v.dZ[layer]) + v.lam / v.m * v.b[layer],
        )


def slips(n: Network) -> Iterator[Slip]:
    """All that can go wrong in the derivation of a network."""
    yield from everywhere(n)
    for layer in range(n.depth, 0, -1):
        yield from output_slips(n) if layer == n.depth else hidden_slips(n, layer)
        yield from parameter_slips(n, layer)


# ---- the numbers ---------------------------------------------------------------------------------


def exercise(n: Network, rng: np.random.Generator) -> Exercise:
    """A network at a point where its mistakes can be seen: its cost and its derivation."""
    while True:
        sheet = draw(n, rng)
        if saturated(sheet) if n.scale != 1 else discriminating(sheet):
            J, names = cost(sheet)
            return Exercise(str(n), J, names, sheet, lecture(n))


def draw(n: Network, rng: np.random.Generator) -> Sheet:
    """Weights, biases and inputs of N(0, 1), targets likewise or classes; and the forward pass."""
    K, m = n.sizes[-1], n.examples
    X = rng.normal(size=(n.sizes[0], m))
    if n.loss == "logistic":
        Y = rng.integers(0, 2, size=(K, m)).astype(float)
    elif n.output == "softmax":
        Y = np.eye(K)[:, rng.permutation(np.arange(m) % K)]
    else:
        Y = rng.normal(size=(K, m))
    W, b = {}, {}
    for layer in range(1, n.depth + 1):
        W[layer] = rng.normal(size=(n.sizes[layer], n.sizes[layer - 1] + n.theta))
        b[layer] = rng.normal(size=(n.sizes[layer], 1))
    W[n.depth] *= n.scale
    if not n.columns:
        X, Y = X.T.copy(), Y.T.copy()
        W = {layer: array.T.copy() for layer, array in W.items()}
        b = {layer: array.T.copy() for layer, array in b.items()}
    sheet = Sheet(n, W, b, Y, LAMBDA)
    sheet.forward(X)
    return sheet


def discriminating(sheet: Sheet) -> bool:
    """Whether no unit is dead or saturated, no kink is near, and signs and labels are mixed."""
    n, axis = sheet.network, sheet.axis
    if n.loss == "logistic" and not np.all(np.ptp(sheet.Y, axis=axis) == 1):
        return False
    for layer, Z in sheet.Z.items():
        positive = np.mean(Z > 0, axis=axis)
        if np.all(positive == 0) or np.all(positive == 1):
            return False
        if n.activation(layer) in KINKED:
            if np.any(positive == 0) or np.min(np.abs(Z)) < 1e-3:
                return False
        elif n.activation(layer) != "identity" and np.max(np.abs(Z)) > 7:
            return False
    return True


def saturated(sheet: Sheet) -> bool:
    """Whether some output is exactly 1, so that 1/(1-A) is infinite."""
    return bool(np.any(sheet.A[sheet.network.depth] == 1))


def cost(sheet: Sheet) -> tuple[ag.Tensor, dict[str, Any]]:
    """The cost, computed with Tensors as a user writes it, and the variables that he then has."""
    n, Y, m, lam = sheet.network, sheet.Y, sheet.m, sheet.lam
    L, units_axis = n.depth, 1 - sheet.axis
    X = sheet.units(sheet.A[0])
    names: dict[str, Any] = {"X": X, "Y": Y, "m": m, "lam": lam}
    if n.theta:
        names["ones"] = ones = np.ones((1, m) if n.columns else (m, 1))
    weights = []
    A = X
    for layer in range(1, L + 1):
        if n.theta:
            A = np.concatenate([ones, A], axis=units_axis)
        if layer > 1 or n.theta:
            names[n.name("A", layer - 1)] = A
        W = ag.Tensor(sheet.W[layer], requires_grad=True)
        Z = W @ A if n.columns else A @ W
        if not n.theta:
            b = names[n.name("b", layer)] = ag.Tensor(sheet.b[layer], requires_grad=True)
            Z = Z + b
        names[n.name("W", layer)], names[n.name("Z", layer)] = W, Z
        weights.append(W)
        if layer < L:
            A = ACTIVATIONS[n.hidden].on_tensors(Z)
    if n.fused:
        A = sheet.A[L]
    elif n.output != "softmax":
        A = ACTIVATIONS[n.output].on_tensors(Z)
    elif n.shares:
        names["E"] = E = np.exp(Z - np.max(Z, axis=units_axis, keepdims=True))
        A = E / np.sum(E, axis=units_axis, keepdims=True)
    else:
        A = ag.softmax(Z, axis=units_axis)
    names[n.name("A", L)] = A

    if n.fused and n.output == "softmax":
        J = ag.nn.functional.cross_entropy(Z, Y)
    elif n.fused:
        J = ag.nn.functional.binary_cross_entropy_with_logits(Z, Y)
    elif n.loss == "logistic":
        J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    elif n.loss == "softmax cross-entropy":
        J = -np.sum(Y * np.log(A)) / m
    else:
        J = np.sum((A - Y) ** 2) / (2 * m if n.half else m)
    if n.theta:
        weights = [Theta[:, 1:] if n.columns else Theta[1:] for Theta in weights]
    if n.penalty == "L2":
        J = J + lam / (2 * m) * sum(np.sum(W**2) for W in weights)
    elif n.penalty == "L1":
        J = J + lam / m * sum(np.sum(np.abs(W)) for W in weights)
    return J, {**names, "J": J}


# ---- the matrix ----------------------------------------------------------------------------------

HIDDEN = ("sigmoid", "tanh", "ReLU", "leaky ReLU")
SIZES = (2, 4, 6)  # of the input and the hidden layers; one or three outputs, 5 or 7 examples
# What only square networks allow, and what has the same numbers there.
UNNOTICED = {"W1b", "W1c", "W2a", "W2b", "W2c", "W3e", "W3i", "A6b", "B1", "B2"}


class Task(NamedTuple):
    """What a network ends with."""

    output: str
    loss: str
    outputs: tuple[int, ...]  # one of these numbers is drawn
    theta: bool = False


TASKS = (
    Task("sigmoid", "logistic", (1,)),
    Task("sigmoid", "logistic", (3,)),
    Task("sigmoid", "logistic", (3,), theta=True),
    Task("softmax", "softmax cross-entropy", (3,)),
    Task("softmax", "squared error", (3,)),
    Task("identity", "squared error", (1, 3)),
    Task("sigmoid", "squared error", (1, 3)),
)
NEURONS = (
    Task("sigmoid", "logistic", (1,)),
    *(Task(g, "squared error", (1,)) for g in ACTIVATIONS),
)


def network(
    task: Task, inputs: Iterable[int], hidden: str, rng: np.random.Generator, **settings: Any
) -> Network:
    """A network whose conventions are drawn."""
    n = Network(
        sizes=(*(int(size) for size in inputs), int(rng.choice(task.outputs))),
        hidden=hidden,
        output=task.output,
        loss=task.loss,
        examples=int(rng.choice([5, 7])),
        theta=task.theta,
        half=task.loss != "squared error" or rng.random() < 0.5,
        early=rng.random() < 0.4,
        shows_dA=not task.theta and task.output != "identity" and rng.random() < 0.4,
        shares=task.output == "softmax" and rng.random() < 0.5,
    )
    n = replace(n, **settings)
    fusable = n.sizes[-1] == 1 or (task.output == "softmax" and not n.columns)
    if n.shortcut and task.loss != "squared error" and fusable and rng.random() < 0.5:
        n = replace(n, fused=True, shares=False)
    return n


def networks(rng: np.random.Generator) -> Iterator[Network]:
    """All networks of the visible half; their sizes and conventions are drawn."""
    layouts = [
        {"columns": columns, "penalty": penalty}
        for columns in (True, False)
        for penalty in ("", "L2")
    ]
    for task, layout in itertools.product(NEURONS, layouts):
        yield network(task, [rng.choice([2, 3])], "identity", rng, **layout)
    for depth, hidden, task, layout in itertools.product((2, 3), HIDDEN, TASKS, layouts):
        yield network(task, rng.permutation(SIZES)[:depth], hidden, rng, **layout)
    for hidden, columns, task in itertools.product(HIDDEN, (True, False), (TASKS[0], TASKS[3])):
        inputs = rng.permutation(SIZES)[:2]
        yield network(task, inputs, hidden, rng, columns=columns, penalty="L1")


def square_networks(rng: np.random.Generator) -> Iterator[Network]:
    """Networks with as many inputs as units and examples, where any product has a value."""
    for depth, hidden, columns in itertools.product((2, 3), HIDDEN, (True, False)):
        inputs, task = [5] * depth, TASKS[0] if columns else TASKS[3]
        yield network(task, inputs, hidden, rng, columns=columns, penalty="L2", examples=5)


def saturated_networks() -> Iterator[Network]:
    """Networks whose output is so sure that it is exactly 1."""
    for depth, columns in itertools.product((1, 2, 3), (True, False)):
        sizes = (*SIZES[:depth], 1)
        yield Network(
            sizes, "tanh", "sigmoid", "logistic", 5, columns, "L2", fused=True, scale=60.0
        )


def division_by_zero(n: Network) -> Iterator[Slip]:
    """The derivative of the logistic loss where A is exactly 0 or 1."""
    L, text = n.depth, "-Y/A + (1-Y)/(1-A), where A is exactly 1"
    wrong = [("L7", text, "not finite", through_sigmoid(from_loss(n), L))]
    yield from slips_of(n.name("dZ", L), ("dZ", L), wrong)


def planted(rng_seed: int) -> Iterator[Planted]:
    """Every applicable mistake in every network of the visible half."""
    rng = np.random.default_rng(rng_seed)
    for n in networks(rng):
        yield from plant(exercise(n, rng), slips(n))
    for n in square_networks(rng):
        unnoticed = (slip for slip in slips(n) if slip.mistake.id in UNNOTICED)
        yield from plant(exercise(n, rng), unnoticed)
    for n in saturated_networks():
        yield from plant(exercise(n, rng), division_by_zero(n))


def planted_pairs(seed: int) -> Iterator[Planted]:
    """Every pair of mistakes in a network with one hidden layer."""
    rng = np.random.default_rng(seed)
    n = Network((3, 4, 1), "tanh", "sigmoid", "logistic", 5, columns=True, penalty="L2")
    in_one_place = (
        slip for slip in slips(n) if len(slip.edits) == 1 and not slip.mistake.elsewhere
    )
    yield from plant_pairs(exercise(n, rng), in_one_place)
