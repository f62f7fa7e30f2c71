"""Right derivations in all conventions: none of them may be called wrong.

Each network is derived once, with examples in columns and in terms of the derivatives of the cost,
and then written down as somebody else would have it: examples in rows, dZ without the 1/m, biases
as vectors or inside Theta, everything transposed, in float32, some of the lines only.
"""

# ruff: noqa: N815 - dA and dZ are written as in the lectures

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import autograd_mini as ag

from .networks import ACTIVATIONS, KINKED, Layers, softmax
from .planted import Array, Planted

NETWORKS = 1000
LAMBDA = 0.7


class Penalty(NamedTuple):
    """The regularisation: a coefficient from lambda and m, times the sum of squares or of |W|."""

    coefficient: Callable[[float, int], float]
    absolute: bool = False

    def cost(self, weights: list[Any], m: int) -> Any:
        """What is added to the cost."""
        sums = (np.sum(np.abs(W)) if self.absolute else np.sum(W**2) for W in weights)
        return self.coefficient(LAMBDA, m) * sum(sums)

    def derivative(self, W: Array, m: int) -> Array:
        """What is added to dW."""
        return W.dtype.type(self.coefficient(LAMBDA, m)) * (np.sign(W) if self.absolute else 2 * W)


PENALTIES = {
    "": Penalty(lambda lam, m: 0.0),
    "L2, lambda/(2m)": Penalty(lambda lam, m: lam / (2 * m)),
    "L2, lambda/m": Penalty(lambda lam, m: lam / m),
    "L2, lambda/2": Penalty(lambda lam, m: lam / 2),
    "L2, lambda": Penalty(lambda lam, m: lam),
    "L1, lambda/m": Penalty(lambda lam, m: lam / m, absolute=True),
    "L1, lambda": Penalty(lambda lam, m: lam, absolute=True),
}
OUTPUTS = {
    "logistic": ("sigmoid",),
    "softmax cross-entropy": ("softmax",),
    "squared error": ("identity", "sigmoid", "tanh", "softmax", "ReLU"),
}


@dataclass(frozen=True)
class Style:
    """A network, and how its user writes its cost and its derivation."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]  # of the layers 1, 2, ...
    loss: str
    m: int
    layout: str = "columns"  # or "rows", or "rows, W.T" where W has the shape (outputs, inputs)
    bias: str = "matrix"  # or "vector", "Theta", "none", "shared" by the first two layers
    reduction: str = "mean"  # of the losses, or "sum", or "mean over outputs"
    half: bool = True
    penalty: str = ""
    dZ: str = "derivative"  # or "lecture" without the 1/m, or "bare" without the 2 either
    from_logits: bool = False
    plain: bool = False  # activations are written with np.exp, np.maximum and np.where
    labels: str = "float"  # or "integer" values, or "classes" instead of one-hot
    point: str = "generic"  # or "tiny", "saturated", "trained", "kinks", "dead row"
    slope_at_0: int = 0  # of ReLU; 1 for the slope from the right
    loop: bool = False  # over the examples
    lines: str = "all"  # or "leaves", "some"; with dA or without
    shows_dA: bool = False
    single: bool = False  # the hand gradients are in float32
    transposed: bool = False

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.activations)

    @property
    def columns(self) -> bool:
        """Whether each example is a column."""
        return self.layout == "columns"

    @property
    def doubled(self) -> int:
        """The factor that stems from the square."""
        return 2 if self.loss == "squared error" and not self.half else 1

    @property
    def share(self) -> float:
        """The factor at the sum of the losses."""
        return {"sum": 1.0, "mean": 1 / self.m, "mean over outputs": 1 / (self.m * self.sizes[-1])}[
            self.reduction
        ]

    @property
    def unit(self) -> float:
        """What dZ and dA are multiples of: the derivative of J times this."""
        return {
            "derivative": 1.0,
            "lecture": 1 / self.share,
            "bare": 1 / (self.share * self.doubled),
        }[self.dZ]

    def name(self, letter: str, layer: int) -> str:
        """What the user calls a variable."""
        if letter == "b" and self.bias == "shared" and layer <= 2:
            return "b"
        if self.bias != "Theta":
            return f"{letter}{layer}"
        return f"Theta{layer}" if letter == "W" else f"{letter.lower()}{layer + 1}"

    def __str__(self) -> str:
        said = [f"right: {'-'.join(map(str, self.sizes))}", "/".join(self.activations)]
        for key, default in self.__dataclass_fields__.items():
            value = getattr(self, key)
            if key not in ("sizes", "activations") and value != default.default:
                said.append(f"{key} {value}" if value is not True else key)
        return ", ".join(said)


# ---- the derivation, with examples in columns ----------------------------------------------------


@dataclass
class Point:
    """Parameters, examples, the forward pass, and then the derivatives of J."""

    W: Layers
    b: Layers
    X: Array
    Y: Array
    Z: Layers = field(default_factory=dict)
    A: Layers = field(default_factory=dict)
    dZ: Layers = field(default_factory=dict)
    dA: Layers = field(default_factory=dict)
    dW: Layers = field(default_factory=dict)
    db: Layers = field(default_factory=dict)

    def astype(self, dtype: type) -> Point:
        """The same parameters and examples in another precision."""
        W, b = ({k: x.astype(dtype) for k, x in layers.items()} for layers in (self.W, self.b))
        return Point(W, b, self.X.astype(dtype), self.Y.astype(dtype))


def forward(s: Style, p: Point) -> None:
    """The forward pass."""
    p.A[0] = p.X
    for layer, g in enumerate(s.activations, 1):
        p.Z[layer] = p.W[layer] @ p.A[layer - 1] + p.b[layer]
        if g == "softmax":
            p.A[layer] = softmax(p.Z[layer], axis=0)
        else:
            p.A[layer] = ACTIVATIONS[g].by_hand(p.Z[layer]).astype(p.X.dtype)


def backward(s: Style, p: Point) -> None:
    """The derivatives of J by everything."""
    L, dtype = s.depth, p.X.dtype.type
    for layer in range(L, 0, -1):
        Z, A, g = p.Z[layer], p.A[layer], s.activations[layer - 1]
        if layer < L:
            p.dA[layer] = p.W[layer + 1].T @ p.dZ[layer + 1]
        elif s.loss == "squared error":
            p.dA[layer] = dtype(s.share * s.doubled) * (A - p.Y)
        if layer == L and s.loss != "squared error":
            p.dZ[layer] = dtype(s.share) * (A - p.Y)
        elif g == "softmax":
            dA = p.dA[layer]
            p.dZ[layer] = A * (dA - np.sum(dA * A, axis=0, keepdims=True))
        elif g in KINKED:
            negative = 0 if g == "ReLU" else 0.01
            positive = (Z > 0) | ((Z == 0) & (s.slope_at_0 == 1))
            p.dZ[layer] = p.dA[layer] * np.where(positive, dtype(1), dtype(negative))
        else:
            p.dZ[layer] = p.dA[layer] * ACTIVATIONS[g].slope(Z, A)
        dZ, before = p.dZ[layer], p.A[layer - 1]
        if s.loop:
            p.dW[layer], p.db[layer] = np.zeros_like(p.W[layer]), np.zeros_like(p.b[layer])
            for i in range(s.m):
                p.dW[layer] += dZ[:, i : i + 1] @ before[:, i : i + 1].T
                p.db[layer] += dZ[:, i : i + 1]
        else:
            p.dW[layer] = dZ @ before.T
            p.db[layer] = np.sum(dZ, axis=1, keepdims=True)
        p.dW[layer] = p.dW[layer] + PENALTIES[s.penalty].derivative(p.W[layer], s.m)


# ---- as the user writes it -----------------------------------------------------------------------


def activations_of(s: Style, x: Array) -> Array:
    """Z, A, dZ, dA, X or Y in the user's layout."""
    return x if s.columns else x.T


def weights_of(s: Style, W: Array, b: Array) -> Array:
    """W, or its gradient; with b in front of it if the bias is in Theta."""
    if s.bias == "Theta":
        W = np.concatenate([b, W], axis=1)
    return W.T if s.layout == "rows" else W


def bias_of(s: Style, b: Array) -> Array:
    """The bias or its gradient."""
    if s.bias == "vector":
        return b.ravel()
    return b if s.columns else b.T


def parameters_of(s: Style, W: Layers, b: Layers) -> dict[str, Array]:
    """The parameters or their gradients in backward order, by the names of the parameters."""
    found: dict[str, Array] = {}
    for layer in range(s.depth, 0, -1):
        found[s.name("W", layer)] = weights_of(s, W[layer], b[layer])
        if s.bias not in ("Theta", "none"):
            found[s.name("b", layer)] = bias_of(s, b[layer])
    return found


def labels_of(s: Style, Y: Array) -> Array:
    """The targets as the user has them."""
    if s.labels == "classes":
        return np.argmax(Y, axis=0)
    labels = activations_of(s, Y)
    return labels.astype(int) if s.labels == "integer" else labels


def cost(s: Style, p: dict[str, Any], X: Array, Y: Array) -> tuple[Any, dict[str, Any]]:
    """The cost and the user's variables; of Tensors, or of arrays to take differences."""
    names: dict[str, Any] = {"X": X, "Y": Y, "m": s.m, "lam": LAMBDA, **p}
    classes = 0 if s.columns else 1
    A, ones = X, np.ones((1, s.m) if s.columns else (s.m, 1), X.dtype)
    weights = []
    for layer, g in enumerate(s.activations, 1):
        W = p[s.name("W", layer)]
        if s.bias == "Theta":
            A = names[s.name("A", layer - 1)] = np.concatenate([ones, A], axis=classes)
        W_here = W.T if s.layout == "rows, W.T" else W
        Z = W_here @ A if s.columns else A @ W_here
        if s.bias not in ("Theta", "none"):
            b = p[s.name("b", layer)]
            Z = Z + (b.reshape(-1, 1) if s.bias == "vector" and s.columns else b)
        names[s.name("Z", layer)] = Z
        without_bias = Theta_without_bias(s, W) if s.bias == "Theta" else W
        weights.append(without_bias)
        if layer < s.depth or not s.from_logits:
            A = activated(s, g, Z, classes)
            names[s.name("A", layer)] = A
    J = total_loss(s, Z, A, Y, classes) * s.share
    if s.penalty:
        J = J + PENALTIES[s.penalty].cost(weights, s.m)
    return J, {**names, "J": J}


def activated(s: Style, g: str, Z: Any, classes: int) -> Any:
    """The activation, by a function of this package or written out."""
    if g == "softmax":
        return softmax(Z, axis=classes) if s.plain else ag.softmax(Z, axis=classes)
    return ACTIVATIONS[g].by_hand(Z) if s.plain else ACTIVATIONS[g].on_tensors(Z)


def Theta_without_bias(s: Style, Theta: Any) -> Any:  # noqa: N802 - Theta is its name
    """What is regularised."""
    return Theta[1:] if s.layout == "rows" else Theta[:, 1:]


def total_loss(s: Style, Z: Any, A: Any, Y: Array, classes: int) -> Any:
    """The sum of the losses over the examples."""
    if s.loss == "squared error":
        return np.sum((A - Y) ** 2) / (2 if s.half else 1)
    if s.loss == "logistic":
        if s.from_logits:
            return np.sum(ag.softplus(Z) - Y * Z)
        return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    log_A = ag.log_softmax(Z, axis=classes) if s.from_logits else np.log(A)
    if s.labels == "classes":
        examples = np.arange(s.m)
        return -np.sum(log_A[(Y, examples) if s.columns else (examples, Y)])
    return -np.sum(Y * log_A)


def hand(s: Style, p: Point, rng: np.random.Generator) -> dict[str, Array]:
    """The gradients as the user hands them in."""
    if s.single:
        p = p.astype(np.float32)
        forward(s, p)
    backward(s, p)
    if s.bias == "shared":
        p.db[1] = p.db[2] = p.db[1] + p.db[2]
    lines: dict[str, Array] = {}
    for layer in range(s.depth, 0, -1):
        if s.lines != "leaves":
            unit = p.X.dtype.type(s.unit)
            if s.shows_dA and layer in p.dA and s.activations[layer - 1] != "identity":
                lines["d" + s.name("A", layer)] = activations_of(s, unit * p.dA[layer])
            lines["d" + s.name("Z", layer)] = activations_of(s, unit * p.dZ[layer])
        lines["d" + s.name("W", layer)] = weights_of(s, p.dW[layer], p.db[layer])
        last_use = s.bias != "shared" or layer != 2
        if s.bias not in ("Theta", "none") and last_use:
            lines["d" + s.name("b", layer)] = bias_of(s, p.db[layer])
    if s.lines == "some":
        chosen = rng.random(len(lines)) < 0.5
        chosen[rng.integers(len(lines))] = True
        lines = {name: x for (name, x), take in zip(lines.items(), chosen, strict=True) if take}
    return {name: x.T if s.transposed else x for name, x in lines.items()}


# ---- what is drawn -------------------------------------------------------------------------------


def draw_style(rng: np.random.Generator) -> Style:
    """A network and a style in which it is written."""

    def one_of(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    depth = one_of(1, 2, 2, 3, 4)
    hidden = [one_of(*ACTIVATIONS) for _ in range(depth - 1)]
    if rng.random() < 0.5:
        hidden = hidden[:1] * (depth - 1)
    loss = one_of(*OUTPUTS)
    outputs = one_of(2, 3, 4) if loss == "softmax cross-entropy" else one_of(1, 1, 2, 3)
    activations = (*hidden, one_of(*OUTPUTS[loss]))
    sizes = [*rng.integers(1, 7, size=depth), outputs]
    bias = one_of("matrix", "matrix", "vector", "Theta", "none", "shared")
    if bias == "shared" and depth > 1:
        sizes[1] = sizes[2]
    point = one_of("generic", "generic", "generic", "tiny", "saturated", "trained", "kinks")
    if point == "kinks" and bias != "none":
        point = one_of("kinks", "dead row")
    lines = one_of("all", "all", "all", "leaves", "some")
    labels = ("float", "integer", "classes") if loss == "softmax cross-entropy" else ("float",)
    return Style(
        sizes=tuple(int(size) for size in sizes),
        activations=activations,
        loss=loss,
        m=one_of(1, 2, 3, 4, 5, 7, 12),
        layout=one_of("columns", "rows", "rows, W.T"),
        bias=bias if bias != "shared" or depth > 1 else "matrix",
        reduction=one_of("mean", "mean", "sum", "mean over outputs"),
        half=one_of(True, False),
        penalty=one_of("", "", *PENALTIES),
        dZ=one_of("derivative", "lecture", "bare"),
        from_logits=loss != "squared error" and (point == "saturated" or one_of(True, False)),
        plain=one_of(True, False),
        labels=one_of(*labels) if loss != "logistic" else one_of("float", "integer"),
        point=point,
        slope_at_0=one_of(0, 1),
        loop=one_of(True, False, False),
        lines=lines,
        shows_dA=bias != "Theta" and one_of(True, False),
        single=one_of(True, False, False, False, False),
        # that everything is transposed must be seen on some weights that are not square
        transposed=lines != "some"
        and any(a + (bias == "Theta") != b for a, b in itertools.pairwise(sizes))
        and one_of(True, False, False, False, False),
    )


def draw_point(s: Style, rng: np.random.Generator) -> Point:
    """Parameters and examples as the style wants them."""
    scale = {"tiny": 0.01, "saturated": 5.0}.get(s.point, 1.0)
    W, b = {}, {}
    for layer in range(1, s.depth + 1):
        W[layer] = scale * rng.normal(size=(s.sizes[layer], s.sizes[layer - 1]))
        b[layer] = rng.normal(size=(s.sizes[layer], 1))
        if s.point in ("tiny", "kinks") or s.bias == "none":
            b[layer][:] = 0
    X = rng.normal(size=(s.sizes[0], s.m))
    if s.point == "kinks":  # a black picture
        X[:, 0] = 0
    if s.point == "dead row":  # a unit that was initialised to nothing
        W[1][0], b[1][0] = 0, 0
    if s.bias == "shared":
        b[2] = b[1]
    K = s.sizes[-1]
    if s.loss == "logistic":
        Y = rng.integers(0, 2, size=(K, s.m)).astype(float)
    elif s.activations[-1] == "softmax":
        Y = np.eye(K)[:, rng.integers(0, K, size=s.m)]
    else:
        Y = rng.normal(size=(K, s.m))
    p = Point(W, b, X, Y)
    if s.point == "trained":
        train(s, p, steps=int(rng.integers(5, 200)))
    if s.single:
        p = p.astype(np.float32).astype(np.float64)
    return p


def train(s: Style, p: Point, steps: int) -> None:
    """Some steps of gradient descent."""
    rate = 0.1 / (s.share * s.m)
    for _ in range(steps):
        forward(s, p)
        backward(s, p)
        if s.bias == "shared":
            p.db[1] = p.db[2] = p.db[1] + p.db[2]
        for layer in p.W:
            p.W[layer] = p.W[layer] - rate * p.dW[layer]
            if s.bias != "none":
                p.b[layer] = p.b[layer] - rate * p.db[layer]


def usable(s: Style, p: Point) -> bool:
    """Whether J and its derivatives are finite as the user computes them, and more than noise."""
    output = np.max(np.abs(p.Z[s.depth]))
    logarithms = s.loss != "squared error" and not s.from_logits
    limit = (7 if s.single else 10) if logarithms else 1000
    largest = max(np.max(np.abs(Z)) for Z in p.Z.values())
    if not (output < limit and largest < (50 if s.plain else 1000)):
        return False
    backward(s, p)
    smallest = min((np.max(np.abs(dZ)) for dZ in p.dZ.values() if np.any(dZ)), default=0.0)
    return bool(np.max(np.abs(p.dZ[s.depth])) > 1e-9 and smallest > (1e-25 if s.single else 1e-100))


class Case(NamedTuple):
    """A style at a point, so that a derivation can be verified by other means."""

    style: Style
    point: Point
    parameters: dict[str, Array]
    X: Array
    Y: Array


def draw(rng: np.random.Generator) -> Case:
    """A style at a point where its cost is finite."""
    while True:
        s = draw_style(rng)
        with np.errstate(all="ignore"):
            p = draw_point(s, rng)
            forward(s, p)
        if usable(s, p):
            break
    dtype = np.float32 if s.single and rng.random() < 0.5 else np.float64
    parameters = {
        name: np.array(x, dtype) for name, x in reversed(parameters_of(s, p.W, p.b).items())
    }
    X = np.array(activations_of(s, p.X), dtype)
    Y = labels_of(s, p.Y)
    return Case(s, p, parameters, X, Y.astype(dtype) if s.labels == "float" else Y)


def layered(rng: np.random.Generator) -> Planted:
    """A right derivation of a network with layers."""
    case = draw(rng)
    tensors = {name: ag.Tensor(x, requires_grad=True) for name, x in case.parameters.items()}
    J, names = cost(case.style, tensors, case.X, case.Y)
    with np.errstate(over="ignore", under="ignore"):  # exp of -Z, far out
        gradients = hand(case.style, case.point, rng)
    return Planted(str(case.style), (), J, names, gradients)


def neuron(rng: np.random.Generator) -> Planted:
    """A right derivation of the smallest network, whose parameters are numbers."""
    m = int(rng.choice([1, 3, 5]))
    x1: Any = rng.normal(size=m)
    x2: Any = rng.normal(size=m)
    y: Any = rng.integers(0, 2, size=m)
    if m == 1 and rng.random() < 0.5:
        x1, x2, y = float(x1[0]), float(x2[0]), int(y[0])
    w1, w2, b = (ag.Tensor(x, requires_grad=True) for x in rng.normal(size=3))
    z = w1 * x1 + w2 * x2 + b
    a = ag.sigmoid(z) if rng.random() < 0.5 else 1 / (1 + np.exp(-z))
    L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    J = np.sum(L) / m
    names = {"x1": x1, "x2": x2, "y": y, "m": m, "w1": w1, "w2": w2, "b": b}
    names |= {"z": z, "a": a, "L": L, "J": J}

    early = rng.random() < 0.5
    first, share = (1 / m, 1) if early else (1, 1 / m)
    a_by_hand = 1 / (1 + np.exp(-(w1.data * x1 + w2.data * x2 + b.data)))
    da = first * (-y / a_by_hand + (1 - y) / (1 - a_by_hand))
    dz = da * a_by_hand * (1 - a_by_hand)
    dw1, dw2, db = share * np.sum(dz * x1), share * np.sum(dz * x2), share * np.sum(dz)
    gradients = {"dz": dz, "dw1": dw1, "dw2": dw2, "db": db}
    if rng.random() < 0.5:
        gradients = {"da": da, **gradients}
    network = f"right: one neuron of numbers, {m} examples" + ", 1/m at dz" * early
    return Planted(network, (), J, names, gradients)


def right(seed: int) -> Iterator[Planted]:
    """A thousand right derivations."""
    rng = np.random.default_rng(seed)
    for _ in range(NETWORKS):
        yield neuron(rng) if rng.random() < 0.05 else layered(rng)
