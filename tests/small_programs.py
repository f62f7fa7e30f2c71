"""Small random programs of the kinds that learners write, to be derived at one point of many.

A formula that is only true of the numbers of a run shows itself in small programs: a scalar unit is
dead or not, one example is all the data, weights are equal, a label is 0 in every example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autograd_mini as ag
from autograd_mini.formulas import Symbol, operands_first
from autograd_mini.nn import functional as F  # noqa: N812

Array = Any
Names = dict[str, Any]


def logistic(z: Any) -> Any:
    """A sigmoid, written out."""
    return 1 / (1 + np.exp(-z))


def hyperbolic(z: Any) -> Any:
    """A tanh, written out."""
    return (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))


ACTIVATIONS: tuple[Callable[[Any], Any], ...] = (
    *(ag.relu, ag.relu, np.tanh, ag.sigmoid, logistic, hyperbolic, np.abs, np.square, ag.softplus),
    lambda z: np.maximum(z, 0),
    lambda z: np.maximum(0, z),
    lambda z: z * (z > 0),
    lambda z: np.where(z > 0, z, 0),
    lambda z: ag.leaky_relu(z, negative_slope=0.1),
    lambda z: np.where(z > 0, z, 0.01 * z),
    lambda z: z,
    lambda z: z**3,
    lambda z: np.maximum(z, -z),
    lambda z: np.log(1 + np.exp(z)),
    lambda z: z / (1 + np.abs(z)),
    lambda z: np.sqrt(z * z + 1),
)
PROBABLE = (ag.sigmoid, logistic, lambda z: np.exp(z) / (1 + np.exp(z)))


def by_rows(Z: Any) -> Any:
    """A softmax, written out."""
    E = np.exp(Z - np.max(Z, axis=1, keepdims=True))
    return E / np.sum(E, axis=1, keepdims=True)


SOFTMAX: tuple[Callable[[Any], Any], ...] = (
    lambda Z: ag.softmax(Z, axis=1),
    by_rows,
    lambda Z: np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True),
)


class Program(NamedTuple):
    """A cost, with how its parameters and data are drawn.

    Attributes
    ----------
    cost : function
        Of the names of parameters (Tensors) and data (ndarrays): a cost and further names.
    drawn : function
        Of a generator: the arrays of parameters, and of data.
    """

    cost: Callable[[Names], Names]
    drawn: Callable[[np.random.Generator], tuple[Names, Names]]


def chosen(rng: np.random.Generator, options: Any) -> Any:
    """One of several things."""
    return options[rng.integers(len(options))]


def costs(rng: np.random.Generator) -> tuple[str, Callable[[Any, Any, Any], Any]]:
    """A loss of outputs between any numbers, or between 0 and 1."""
    m = int(rng.integers(1, 4))

    def entropy(A: Any, Y: Any, n: Any) -> Any:
        return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / n

    def in_two_terms(A: Any, Y: Any, n: Any) -> Any:
        return np.mean(-(Y * np.log(A)) - (1 - Y) * np.log(1 - A))

    losses: list[tuple[str, Callable[[Any, Any, Any], Any]]] = [
        ("probable", entropy),
        ("probable", in_two_terms),
        ("probable", lambda A, Y, n: np.sum((A - Y) ** 2) / (2 * n)),
        ("any", lambda A, Y, n: np.mean((A - Y) ** 2)),
        ("any", lambda A, Y, n: 0.5 * np.sum(np.square(Y - A))),
        ("any", lambda A, Y, n: np.sum(np.abs(A - Y)) * (1 / n)),
        ("any", lambda A, Y, n: np.sum(A * Y) / m),
        ("any", lambda A, Y, n: np.mean(A / (1 + A * A))),
    ]
    found: tuple[str, Callable[[Any, Any, Any], Any]] = chosen(rng, losses)
    return found


def labels(rng: np.random.Generator, shape: Any, kind: str) -> Array:
    """Labels: all alike, zeros and ones, or any numbers."""
    if kind == "zeros":
        return np.zeros(shape)
    if kind == "ones":
        return np.ones(shape)
    return (rng.random(shape) < 0.5) * 1.0 if kind == "truths" else rng.standard_normal(shape)


def numbers(rng: np.random.Generator, shape: Any, kind: str) -> Array:
    """Weights: all equal, positive, or any."""
    if kind == "equal":
        return np.full(shape, round(float(rng.uniform(0.2, 1)), 1))
    return rng.uniform(0.2, 1.5, shape) if kind == "positive" else rng.standard_normal(shape)


def network(rng: np.random.Generator) -> Program:
    """One to three layers, examples in columns; scalars where all sizes are 1."""
    depth, m = int(rng.integers(1, 4)), int(chosen(rng, (1, 1, 1, 2, 3)))
    scalar = rng.random() < 0.5
    sizes = [1] * (depth + 1) if scalar else [int(rng.integers(1, 4)) for _ in range(depth)] + [1]
    steps = [chosen(rng, ACTIVATIONS) for _ in range(depth)]
    kind, loss = costs(rng)
    if kind == "probable":
        steps[-1] = chosen(rng, PROBABLE)
    shared = depth == 3 and len({*sizes}) == 1 and rng.random() < 0.5
    decay = bool(rng.random() < 0.3)
    weights = chosen(rng, ("positive", "equal", "any"))
    kinds = ("zeros", "ones", "truths", "any") if kind == "any" else ("zeros", "ones", "truths")
    which = chosen(rng, kinds)
    has_names = rng.random(2 * depth) < 0.8

    def cost(names: Names) -> Names:
        A, Y, lam, m, found = names["X"], names["Y"], 0.7, names["m"], {}
        for i, step in enumerate(steps):
            W, b = names["W0" if shared else f"W{i}"], names[f"b{i}"]
            Z = W * A + b if scalar else W @ A + b
            A = step(Z)
            found |= {f"Z{i}": Z} if has_names[2 * i] else {}
            found |= {f"A{i}": A} if has_names[2 * i + 1] else {}
        J = loss(A, Y, m)
        if decay:
            J = J + lam / (2 * m) * np.sum(names["W0"] ** 2)
        return found | {"J": J, "lam": lam}

    def drawn(rng: np.random.Generator) -> tuple[Names, Names]:
        shape = (lambda *n: ()) if scalar else (lambda *n: n)
        parameters: Names = {}
        for i in range(depth):
            if i == 0 or not shared:
                parameters[f"W{i}"] = numbers(rng, shape(sizes[i + 1], sizes[i]), weights)
            parameters[f"b{i}"] = numbers(rng, shape(sizes[i + 1], 1), weights)
        data = {"X": rng.standard_normal(shape(sizes[0], m)), "m": 1 if scalar else m}
        return parameters, data | {"Y": labels(rng, shape(1, m), which)}

    return Program(cost, drawn)


def classifier(rng: np.random.Generator) -> Program:
    """Softmax of rows, with class labels or one-hot rows."""
    n, k, d = int(chosen(rng, (1, 1, 2, 3))), int(rng.integers(2, 4)), int(rng.integers(1, 3))
    softmax, hidden = chosen(rng, SOFTMAX), chosen(rng, ACTIVATIONS)
    how = int(rng.integers(5))
    named = rng.random(3) < 0.8

    def cost(names: Names) -> Names:
        Z1 = names["X"] @ names["W1"] + names["b1"]
        A1 = hidden(Z1)
        Z2 = A1 @ names["W2"] + names["b2"]
        P = softmax(Z2)
        T, t, n = names["T"], names["t"], names["n"]
        losses: list[Callable[[], Any]] = [
            lambda: -np.sum(T * np.log(P)) / n,
            lambda: -np.mean(np.log(P[np.arange(n), t])),
            lambda: np.sum((P - T) ** 2) / n,
            lambda: F.cross_entropy(Z2, t),
            lambda: -np.sum(T * ag.log_softmax(Z2, axis=1)) * (1 / n),
        ]
        found = {"Z1": Z1, "A1": A1, "Z2": Z2, "P": P}
        keep = {"Z1": named[0], "A1": named[1], "Z2": True, "P": named[2]}
        return {x: y for x, y in found.items() if keep[x]} | {"J": losses[how]()}

    def drawn(rng: np.random.Generator) -> tuple[Names, Names]:
        parameters = {"W1": (d, 2), "b1": (2,), "W2": (2, k), "b2": (k,)}
        t = rng.integers(0, k, n)
        data = {"X": rng.standard_normal((n, d)), "T": np.eye(k)[t], "t": t, "n": n}
        return {x: rng.standard_normal(shape) for x, shape in parameters.items()}, data

    return Program(cost, drawn)


UNARY: tuple[Callable[[Any], Any], ...] = (
    *(np.exp, np.tanh, ag.sigmoid, np.negative, np.square, ag.relu, np.abs, logistic),
    lambda x: 1 / (1 + x * x),
    lambda x: x - x,
    lambda x: x / (2 + np.abs(x)),
    lambda x: np.log(1 + x * x),
)
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    *(np.add, np.subtract, np.multiply, np.maximum),
    lambda a, b: a / (1 + b * b),
    lambda a, b: a * b - b * a,
    lambda a, b: np.where(a > b, a, b),
    lambda a, b: (a + b) * (a - b),
)


def expression(rng: np.random.Generator) -> Program:
    """Any ops on numbers or vectors, operands used again and again."""
    shape = chosen(rng, ((), (1,), (2,)))
    steps = [
        (bool(rng.random() < 0.5), int(rng.integers(99)), rng.integers(0, 2 + i, 2).tolist())
        for i in range(int(rng.integers(1, 6)))
    ]
    has_names = rng.random(len(steps)) < 0.6
    kind = chosen(rng, ("positive", "equal", "any"))

    def cost(names: Names) -> Names:
        found: Names = {}
        values = [names["u"], names["v"]]
        for i, (unary, which, (first, second)) in enumerate(steps):
            if unary:
                value = UNARY[which % len(UNARY)](values[first])
            else:
                value = BINARY[which % len(BINARY)](values[first], values[second])
            values.append(value)
            found |= {f"q{i}": value} if has_names[i] else {}
        return found | {"J": np.sum(values[-1])}

    def drawn(rng: np.random.Generator) -> tuple[Names, Names]:
        return {x: numbers(rng, shape, kind) for x in ("u", "v")}, {}

    return Program(cost, drawn)


def program(seed: int) -> Program:
    """A program of any kind."""
    rng = np.random.default_rng(seed)
    kind: Callable[[np.random.Generator], Program] = chosen(
        rng, (network, network, classifier, expression)
    )
    return kind(rng)


def run_at(
    program: Program, rng: np.random.Generator, dtype: Any = np.float64
) -> tuple[ag.Trace, Names, Names] | None:
    """The run of a program on numbers drawn anew; None if they explode or it depends on nothing.

    In long doubles rounding is out of the way: 1 - A of a saturated unit has digits left.
    """
    arrays, data = program.drawn(rng)
    parameters = {
        name: ag.Tensor(np.asarray(x, dtype), requires_grad=True) for name, x in arrays.items()
    }
    data = {name: as_dtype(x, dtype) for name, x in data.items()}
    with ag.trace() as run, np.errstate(all="ignore"):
        found = program.cost(parameters | data)
        J = found["J"]
        if not getattr(J, "requires_grad", False) or not np.isfinite(J.data).all():
            return None
        J.backward()
    grads = [x.grad for x in parameters.values() if x.grad is not None]
    if not all(np.isfinite(g.data).all() and np.abs(g.data).max() < 1e6 for g in grads):
        return None
    run.name(data | parameters | found)
    return run, parameters, data


def well_conditioned(program: Program, seed: Any) -> tuple[ag.Trace, Names, Names] | None:
    """A run in long doubles, if doubles agree with it: else rounding decides what autodiff says."""
    doubles, longer = (
        run_at(program, np.random.default_rng(seed), dtype) for dtype in (np.float64, np.longdouble)
    )
    if doubles is None or longer is None:
        return None
    for name, parameter in longer[1].items():
        a, b = parameter.grad, doubles[1][name].grad
        if (
            a is not None
            and b is not None
            and not np.allclose(a.data, b.data, rtol=1e-9, atol=1e-12)
        ):
            return None
    return longer


def as_dtype(x: Any, dtype: Any) -> Any:
    """Floating-point arrays in a dtype, and all else as it is."""
    return x.astype(dtype) if getattr(x, "dtype", np.dtype(int)).kind == "f" else x


def evaluated(symbol: Symbol, names: Names) -> Array:
    """A formula on what its names stand for."""
    found: dict[Symbol, Array] = {}
    for part in operands_first(symbol):
        if part.primitive is not None:
            operands = [np.asarray(found[x]) for x in part.operands]
            found[part] = part.primitive.kernel(*operands, **part.statics)
        else:
            found[part] = part.array if part.name is None else names[part.name]
    return found[symbol]


def wrong_lines(explanation: Any, other: tuple[ag.Trace, Names, Names]) -> list[str]:
    """The gradients of an explanation that are not those of the same program at another point."""
    _, parameters, data = other
    names: Names = {name: x.array for name, x in explanation.quantities.items()}
    names |= explanation.constants | data | {name: x.data for name, x in parameters.items()}
    wrong = []
    with np.errstate(all="ignore"):
        for line in explanation.lines:
            names[line.name] = np.broadcast_to(evaluated(line.symbol, names), line.shape)
    for line in explanation.backward:
        parameter = parameters.get(str(line.value.name))
        if parameter is None or line.scale != 1:
            continue
        truth = np.zeros(line.shape) if parameter.grad is None else parameter.grad.data
        largest = max(1.0, float(np.max(np.abs(truth), initial=0)))
        found = names[line.name]
        if np.isfinite(found).all() and not np.allclose(found, truth, rtol=0, atol=1e-7 * largest):
            wrong.append(line.name)
    return wrong
