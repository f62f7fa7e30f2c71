"""Measure how long the built-in layout of pictures takes, and print every number beside its target.

::

    python -m benchmarks.layout                          # all parts
    python -m benchmarks.layout drawn --repetitions 9    # one part, more patiently

No other program takes part: ``draw(..., engine="built in")`` is what draws where there is no
Graphviz.  A time is from the diagram to the picture's text.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import functools
import random
from collections.abc import Callable

import numpy as np

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.draw.diagram import Arrow, Box, Diagram, diagram
from autograd_mini.draw.svg import svg_of
from benchmarks.engine import measure
from benchmarks.measuring import Row, in_turn

Tensor = ag.Tensor


def weights(*shapes: tuple[int, ...]) -> list[Tensor]:
    """Parameters with normal entries."""
    rng = np.random.default_rng(0)
    return [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


# ---- what is drawn ------------------------------------------------------------------------------


def chain(length: int) -> Tensor:
    """A function of a function of a function."""
    y = Tensor(0.5, requires_grad=True)
    for _ in range(length):
        y = np.tanh(y)
    return y


def shared_leaf(length: int) -> Tensor:
    """One weight, used by each of many operations."""
    y, w = Tensor(0.5), Tensor(0.9, requires_grad=True)
    for _ in range(length):
        y = y * w
    return y


def recurrent(steps: int) -> Tensor:
    """A recurrent network: all steps have the same weights."""
    (U, b), state = weights((3, 3), (3, 1)), Tensor(np.zeros((3, 1)))
    for _ in range(steps):
        state = np.tanh(U @ state + b)
    return np.sum(state**2)


def gated(steps: int) -> Tensor:
    """A long short-term memory: twelve shared weights (Hochreiter and Schmidhuber, 1997)."""
    gates = [weights((3, 3), (3, 2), (3, 1)) for _ in range(4)]
    h, c, x = np.zeros((3, 1)), np.zeros((3, 1)), np.ones((2, 1))
    for _ in range(steps):
        forget, enter, leave, new = (U @ h + W @ x + b for U, W, b in gates)
        c = ag.sigmoid(forget) * c + ag.sigmoid(enter) * np.tanh(new)
        h = ag.sigmoid(leave) * np.tanh(c)
    return np.sum(h * h)


def scalars(examples: int) -> Tensor:
    """A multilayer perceptron 3-16-8-1 of single numbers, as in micrograd."""
    rng = random.Random(0)

    def number() -> Tensor:
        return Tensor(rng.uniform(-1, 1), requires_grad=True)

    layers = [
        [([number() for _ in range(inputs)], number()) for _ in range(outputs)]
        for inputs, outputs in ((3, 16), (16, 8), (8, 1))
    ]
    loss = Tensor(0.0)
    for _ in range(examples):
        values = [Tensor(rng.uniform(-1, 1)) for _ in range(3)]
        for layer in layers:
            values = [
                np.tanh(sum((w * x for w, x in zip(row, values, strict=True)), bias))
                for row, bias in layer
            ]
        loss = loss + (values[0] - 1.0) ** 2
    return loss


def blocks(count: int) -> Tensor:
    """A deep network of modules."""
    rng = np.random.default_rng(0)
    layers = [nn.Sequential(nn.Linear(6, 6, rng=rng), nn.ReLU()) for _ in range(count)]
    return np.sum(nn.Sequential(*layers)(rng.standard_normal((8, 6))))


def at_random(count: int, reach: int) -> Diagram:
    """Boxes that use one or two of those before them, at most so far away."""
    rng = random.Random(0)
    boxes = [Box(f"n{i}", "op", [f"op {i}"], "", "", None, None) for i in range(count)]
    arrows = [
        Arrow(f"n{rng.randrange(max(0, i - reach), i)}", f"n{i}", "")
        for i in range(1, count)
        for _ in range(rng.choice((1, 1, 2)))
    ]
    return Diagram(boxes, arrows, [], "auto", "light", True)


def picture(loss: Callable[[], Tensor], phase: str = "forward") -> Diagram:
    """Everything about the run of a loss, without folding or limits."""
    with ag.trace() as run:
        loss().backward()
    return diagram(run, phase=phase, fold=False, max_nodes=None)


# ---- the parts ----------------------------------------------------------------------------------


def timed(part: str, pictures: dict[str, Diagram], repetitions: int, target: float) -> list[Row]:
    """The seconds that each picture takes."""
    contenders = {
        f"{name}: {len(each.boxes):,} boxes": functools.partial(svg_of, each)
        for name, each in pictures.items()
    }
    times = in_turn(contenders, repetitions)
    return [
        Row(part, quantity, float(np.median(values)) / 1e6, "s", target)
        for quantity, values in times.items()
    ]


def drawn(repetitions: int) -> list[Row]:
    """About as many boxes as `draw` accepts: 2,000."""
    pictures = {
        "chain": picture(lambda: chain(1_999)),
        "chain with a shared leaf": picture(lambda: shared_leaf(1_998)),
        "recurrent, 660 steps": picture(lambda: recurrent(660)),
        "gated recurrent, 60 steps": picture(lambda: gated(60)),
        "perceptron of scalars, 4 examples": picture(lambda: scalars(4)),
        "12 blocks": picture(lambda: blocks(12)),
        "200 blocks": picture(lambda: blocks(200)),
        "12 blocks and their derivative": picture(lambda: blocks(12), "both"),
        "recurrent, 160 steps, and its derivative": picture(lambda: recurrent(160), "both"),
        "random, near": at_random(2_000, 12),
        "random, far": at_random(2_000, 2_000),
    }
    return timed("drawn", pictures, repetitions, 0.5)


def huge(repetitions: int) -> list[Row]:
    """Far more than can be read, for who insists on it with ``max_nodes=None``."""
    pictures = {
        "chain with a shared leaf": picture(lambda: shared_leaf(11_168)),
        "perceptron of scalars, 25 examples": picture(lambda: scalars(25)),
        "recurrent, 1,000 steps, and its derivative": picture(lambda: recurrent(1_000), "both"),
    }
    return timed("huge", pictures, repetitions, 5.0)


# ---- the table ----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[int], list[Row]]] = {"drawn": drawn, "huge": huge}
REPETITIONS = {"drawn": 5, "huge": 1}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write down if asked to."""
    measure("benchmarks.layout", __doc__, PARTS, REPETITIONS, arguments)


if __name__ == "__main__":
    main()
