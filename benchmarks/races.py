"""The parts of `benchmarks.replay`, one to a process, which is started with its number of threads.

::

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.races tiny numbers.json --repetitions 100

Every part runs the same computation in all libraries.  They must agree before a time is taken.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import autograd_mini as ag
from autograd_mini import data
from autograd_mini.files import write_whole
from benchmarks import images
from benchmarks.measuring import collector_off, import_time, in_turn, threads
from benchmarks.parties import (
    Run,
    agree,
    autograd_mini_with_sgd,
    by_hand,
    by_hand_with_buffers,
    compiled,
    hips_autograd,
    hips_step,
    imported_mygrad,
    imported_torch,
    in_place,
    jax_descent,
    jax_jit,
    jax_loss,
    jax_step,
    mygrad,
    network,
    pytorch,
    pytorch_compiled,
    pytorch_eager_step,
    pytorch_step,
    scikit_learn,
)

REPLAY = "autograd_mini, replayed"
EAGER = "autograd_mini, eager"
BUFFERS = "NumPy by hand, with buffers"
PLAIN = "NumPy by hand"
TORCH = "PyTorch, eager"
TORCH_COMPILED = "PyTorch, torch.compile"
JAX = "JAX, jit"
HIPS = "HIPS autograd"
MYGRAD = "MyGrad"
SKLEARN = "scikit-learn"
LIBRARIES = {
    TORCH: "torch",
    TORCH_COMPILED: "torch",
    JAX: "jax",
    HIPS: "autograd",
    MYGRAD: "mygrad",
    SKLEARN: "sklearn",
}
PAUSE = 0.04  # seconds: OpenBLAS's threads wait for 2**26 ticks of the clock before they sleep

Makers = dict[str, Callable[[], Run] | str]  # or why a library takes no part


class Result(NamedTuple):
    """What was measured of one library, or why it takes no part."""

    part: str
    case: str  # a size, or nothing
    party: str
    threads: int
    value: float | None
    unit: str = ""
    ratio: float | None = None  # the time of the replay, in times this one: medians of neighbours
    note: str = ""


# ---- who takes part -----------------------------------------------------------------------------


def made(part: str, case: str, makers: Makers) -> tuple[dict[str, Run], list[Result]]:
    """The runs of all that are installed and work, and why others do not."""
    runs, absent = {}, []
    for name, make in makers.items():
        library = LIBRARIES.get(name)
        why = make if isinstance(make, str) else ""
        if library is not None and importlib.util.find_spec(library) is None:
            why = "not installed"
        if not why and not isinstance(make, str):
            try:
                runs[name] = make()
                runs[name].restart()
            except ImportError as error:
                why = f"does not import: {error}"
        if why:
            absent.append(Result(part, case, name, threads(), None, note=why))
    return runs, absent


def race(
    part: str,
    makers: Makers,
    batch: tuple[np.ndarray, ...],
    repetitions: int,
    *,
    case: str = "",
    unit: str = "us",
    scale: float = 1.0,
    steps: int = 10,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    sample: float = 0.01,
) -> list[Result]:
    """Let all agree, then take turns; a time is a median in microseconds, times ``scale``."""
    runs, results = made(part, case, makers)
    if TORCH_COMPILED in runs and (why := does_not_work(runs[TORCH_COMPILED], batch)):
        del runs[TORCH_COMPILED]
        results.append(Result(part, case, TORCH_COMPILED, threads(), None, note=why))
    agree(runs, batch, steps, rtol, atol)
    replay: Any = runs[REPLAY].step if REPLAY in runs else None
    captures = getattr(replay, "captures", None)
    times = in_turn(
        {name: run.on(*batch) for name, run in runs.items()},
        repetitions,
        lambda name: runs[name].restart(),
        sample,
        PAUSE if threads() > 1 else 0,
    )
    if getattr(replay, "captures", None) != captures:
        raise AssertionError("the step was captured again while its time was taken")
    return results + timed(part, case, times, unit, scale)


def timed(
    part: str, case: str, times: dict[str, np.ndarray], unit: str, scale: float = 1.0
) -> list[Result]:
    """Medians, and those of the ratios of neighbours."""
    return [
        Result(
            *(part, case, name, threads(), float(np.median(t)) * scale, unit),
            float(np.median(times[REPLAY] / t)) if REPLAY in times else None,
        )
        for name, t in times.items()
    ]


def does_not_work(run: Run, batch: tuple[np.ndarray, ...]) -> str:
    """Why a compiler of PyTorch gives up, which needs a C++ compiler to be there."""
    try:
        run.on(*batch)()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]:.100}"
    return ""


# ---- networks -----------------------------------------------------------------------------------

SIZES = {
    "tiny": ((4, 16, 3), 32),
    "middle": ((784, 256, 128, 10), 128),
    "large": ((784, 2048, 2048, 10), 512),
}
DENSE: dict[str, Callable[..., Run]] = {
    BUFFERS: by_hand_with_buffers,
    PLAIN: by_hand,
    EAGER: autograd_mini_with_sgd,
    REPLAY: functools.partial(autograd_mini_with_sgd, replayed=True),
    TORCH: pytorch,
    TORCH_COMPILED: pytorch_compiled,
    JAX: jax_jit,
    HIPS: hips_autograd,
    MYGRAD: mygrad,
    SKLEARN: scikit_learn,
}


def dense(part: str, repetitions: int) -> list[Result]:
    """One step of gradient descent of a ReLU network."""
    parameters, batch = network(*SIZES[part])
    makers: Makers = {
        name: functools.partial(make, [p.copy() for p in parameters], batch)
        for name, make in DENSE.items()
    }
    unit, scale = ("ms", 1e-3) if part == "large" else ("us", 1.0)
    return race(part, makers, batch, repetitions, unit=unit, scale=scale, steps=5)


def lenet(part: str, repetitions: int) -> list[Result]:
    """One step of gradient descent of a LeNet."""
    parameters, batch = images.parameters(), images.batch(128)
    makers: Makers = {
        name: functools.partial(make, [p.copy() for p in parameters])
        for name, make in (
            (BUFFERS, images.by_hand_with_buffers),
            (PLAIN, images.by_hand),
            (EAGER, images.autograd_mini),
            (REPLAY, functools.partial(images.autograd_mini, replayed=True)),
            (TORCH, images.pytorch),
            (TORCH_COMPILED, images.pytorch_compiled),
            (JAX, images.jax_jit),
            (MYGRAD, images.mygrad),
        )
    }
    makers |= {HIPS: "has no convolution of many images", SKLEARN: "has no convolution"}
    return race(part, makers, batch, repetitions, unit="ms", scale=1e-3, steps=5)


def mnist(part: str, repetitions: int) -> list[Result]:
    """An epoch of MNIST: 600 batches of 100, one after the other, through 784-128-64-10."""
    if not os.environ.get("AUTOGRAD_MINI_DATA"):
        why = "the files of MNIST are not at hand: name their folder in AUTOGRAD_MINI_DATA"
        return [Result(part, "", REPLAY, threads(), None, note=why)]
    pictures, labels, _, _ = data.mnist()
    X = pictures.reshape(len(pictures), -1).astype(np.float32) / 255
    y = labels.astype(np.int64)
    size = 100
    parameters, _ = network((784, 128, 64, 10), 1)
    first = X[:size], y[:size]

    def epoch_of(make: Callable[..., Run]) -> Run:
        run = make([p.copy() for p in parameters], first)

        def epoch(X: np.ndarray, y: np.ndarray) -> float:
            losses = []
            for rows in (slice(i, i + size) for i in range(0, len(X), size)):
                losses.append(float(run.step(*run.prepare(X[rows], y[rows]))))
            return statistics.fmean(losses)

        return run._replace(step=epoch, prepare=lambda *batch: batch)

    def epoch_of_scikit_learn() -> Run:  # it cuts the batches itself
        return scikit_learn([p.copy() for p in parameters], first, batch_size=size)

    makers: Makers = {
        name: functools.partial(epoch_of, make) for name, make in DENSE.items() if name != SKLEARN
    }
    makers[SKLEARN] = epoch_of_scikit_learn
    return race(
        part, makers, (X, y), repetitions, unit="s", scale=1e-6, steps=1, rtol=1e-3, atol=1e-3
    )


# ---- the flower ---------------------------------------------------------------------------------

ITERATIONS = 10_000
ALPHA = 1.2


def flower() -> tuple[list[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """W1, b1, W2, b2 and X (2, 400), Y (1, 400) of ``examples/02_one_hidden_layer.py``."""
    rng = np.random.RandomState(1)
    points = []
    for label in (0, 1):
        t = np.linspace(label * 3.12, (label + 1) * 3.12, 200) + 0.2 * rng.randn(200)
        r = 4 * np.sin(4 * t) + 0.2 * rng.randn(200)
        points.append([r * np.sin(t), r * np.cos(t)])
    X, Y = np.concatenate(points, axis=1), np.repeat([[0.0, 1.0]], 200, axis=1)
    rng = np.random.RandomState(2)
    W1, W2 = 0.01 * rng.randn(4, 2), 0.01 * rng.randn(1, 4)
    return [W1, np.zeros((4, 1)), W2, np.zeros((1, 1))], (X, Y)


def cost_in(numpy: Any) -> Callable[..., Any]:
    """The lecture's cost J of the parameters, with the functions of some NumPy."""

    def cost(parameters: list[Any], X: Any, Y: Any) -> Any:
        W1, b1, W2, b2 = parameters
        A1 = numpy.tanh(W1 @ X + b1)
        A2 = 1 / (1 + numpy.exp(-(W2 @ A1 + b2)))
        return -(1 / 400) * numpy.sum(Y * numpy.log(A2) + (1 - Y) * numpy.log(1 - A2))

    return cost


def flower_by_hand(parameters: list[np.ndarray]) -> Run:
    """The forward equations, the six backward equations and the updates of the example."""
    W1, b1, W2, b2 = parameters

    def step(X: np.ndarray, Y: np.ndarray) -> Any:
        m = Y.shape[1]
        A1 = np.tanh(W1 @ X + b1)
        A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
        J = -(1 / m) * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
        dZ2 = A2 - Y
        dW2 = (1 / m) * dZ2 @ A1.T
        db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
        dZ1 = W2.T @ dZ2 * (1 - A1**2)
        dW1 = (1 / m) * dZ1 @ X.T
        db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
        for p, g in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
            p -= ALPHA * g
        return J

    return in_place(step, parameters)


def flower_with_buffers(parameters: list[np.ndarray]) -> Run:
    """The same, where every array has its place."""
    W1, b1, W2, b2 = parameters
    m = 400
    A1, D1, rest = np.empty((4, m)), np.empty((4, m)), np.empty((4, m))
    A2, D2, logarithms, other = (np.empty((1, m)) for _ in range(4))
    dW1, db1, dW2, db2 = (np.empty_like(p) for p in parameters)
    A1_T, W2_T = A1.T, W2.T
    updates = list(zip(parameters, (dW1, db1, dW2, db2), strict=True))
    rate = ALPHA / m

    def step(X: np.ndarray, Y: np.ndarray) -> Any:
        W1.dot(X, out=A1)
        np.add(A1, b1, out=A1)
        np.tanh(A1, out=A1)
        W2.dot(A1, out=A2)
        np.add(A2, b2, out=A2)
        np.negative(A2, out=A2)
        np.exp(A2, out=A2)
        np.add(A2, 1, out=A2)
        np.divide(1, A2, out=A2)
        np.log(A2, out=logarithms)
        np.multiply(Y, logarithms, out=logarithms)
        np.subtract(1, A2, out=other)
        np.log(other, out=other)
        np.subtract(1, Y, out=D2)
        np.multiply(D2, other, out=other)
        np.add(logarithms, other, out=logarithms)
        J = -(1 / m) * np.add.reduce(logarithms, axis=None)
        np.subtract(A2, Y, out=D2)
        D2.dot(A1_T, out=dW2)
        np.add.reduce(D2, axis=1, keepdims=True, out=db2)
        np.multiply(W2_T, D2, out=D1)  # the product of a column and a row
        np.multiply(A1, A1, out=rest)
        np.subtract(1, rest, out=rest)
        np.multiply(D1, rest, out=D1)
        D1.dot(X.T, out=dW1)
        np.add.reduce(D1, axis=1, keepdims=True, out=db1)
        for p, g in updates:
            np.multiply(g, rate, out=g)
            np.subtract(p, g, out=p)
        return J

    return in_place(step, parameters)


def flower_of_this_engine(parameters: list[np.ndarray], replayed: bool) -> Run:
    """The forward equations on Tensors, and the updates."""
    tensors: list[Any] = [ag.Tensor(p, requires_grad=True) for p in parameters]
    cost = cost_in(np)

    def step(X: Any, Y: Any) -> Any:
        J = cost(tensors, X, Y)
        J.backward()
        with ag.no_grad():
            for p in tensors:
                p -= ALPHA * p.grad
                p.grad = None
        return J

    return in_place(compiled(step) if replayed else step, [p.data for p in tensors])


def flower_of_pytorch(parameters: list[np.ndarray]) -> Run:
    """PyTorch, eager."""
    return pytorch_eager_step(cost_in(imported_torch()), parameters, ALPHA)


def flower_of_pytorch_compiled(parameters: list[np.ndarray]) -> Run:
    """PyTorch, compiled."""
    return pytorch_step(cost_in(imported_torch()), parameters, ALPHA)


def flower_of_jax(parameters: list[np.ndarray]) -> Run:
    """JAX, compiled, in float64."""
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    return jax_step(cost_in(jax.numpy), parameters, ALPHA)


def flower_of_hips(parameters: list[np.ndarray]) -> Run:
    """HIPS autograd."""
    return hips_step(cost_in(importlib.import_module("autograd.numpy")), parameters, ALPHA)


def flower_of_mygrad(parameters: list[np.ndarray]) -> Run:
    """MyGrad."""
    mg = imported_mygrad()
    tensors = [mg.tensor(p, copy=False) for p in parameters]
    cost = cost_in(mg)

    def step(X: np.ndarray, Y: np.ndarray) -> Any:
        J = cost(tensors, X, Y)
        J.backward()
        for p in tensors:
            p.data -= ALPHA * p.grad
            p.null_grad()
        return J.data

    return in_place(step, [p.data for p in tensors])


def flower_of_scikit_learn(parameters: list[np.ndarray], batch: tuple[np.ndarray, ...]) -> Run:
    """The network of scikit-learn, whose examples lie in rows and whose biases are no columns."""
    W1, b1, W2, b2 = parameters
    X, Y = np.ascontiguousarray(batch[0].T), batch[1][0].astype(int)
    run = scikit_learn([W1, b1[:, 0], W2, b2[:, 0]], (X, Y), rate=ALPHA, activation="tanh")

    def now() -> list[np.ndarray]:
        return [p.reshape(like.shape) for p, like in zip(run.parameters(), parameters, strict=True)]

    return run._replace(parameters=now, prepare=lambda *batch: (X, Y))


def flower_descent(part: str, repetitions: int) -> list[Result]:
    """An iteration of full-batch gradient descent, given as the time of ten thousand."""
    parameters, batch = flower()
    makers: Makers = {
        name: functools.partial(make, [p.copy() for p in parameters])
        for name, make in (
            (BUFFERS, flower_with_buffers),
            (PLAIN, flower_by_hand),
            (EAGER, functools.partial(flower_of_this_engine, replayed=False)),
            (REPLAY, functools.partial(flower_of_this_engine, replayed=True)),
            (TORCH, flower_of_pytorch),
            (TORCH_COMPILED, flower_of_pytorch_compiled),
            (JAX, flower_of_jax),
            (HIPS, flower_of_hips),
            (MYGRAD, flower_of_mygrad),
            (SKLEARN, functools.partial(flower_of_scikit_learn, batch=batch)),
        )
    }
    return race(
        part,
        makers,
        batch,
        repetitions,
        unit="s",
        scale=ITERATIONS * 1e-6,
        steps=100,
        rtol=1e-9,
        atol=1e-9,
    )


# ---- elementwise chains -------------------------------------------------------------------------

LINKS = 4
FACTOR, SHIFT = np.float32(1.1), np.float32(0.1)


def sum_in(numpy: Any, factor: Any = FACTOR, shift: Any = SHIFT) -> Callable[[Any], Any]:
    """The sum over a chain of 12 elementwise ops, with the functions of some NumPy."""

    def chain(x: Any) -> Any:
        for _ in range(LINKS):
            x = numpy.tanh(x * factor + shift)
        return numpy.sum(x)

    return chain


def gradient_run(
    value_and_gradient: Callable[[Any], tuple[Any, Any]],
    prepare: Callable[[np.ndarray], tuple[Any]] = lambda x: (x,),
) -> Run:
    """A run without parameters: the gradient stands in their place."""
    found: list[Any] = []

    def step(x: Any) -> Any:
        value, gradient = value_and_gradient(x)
        found[:] = [gradient]
        return value

    return Run(step, lambda: found, lambda: None, prepare)


def chain_by_hand(x: np.ndarray) -> tuple[Any, Any]:
    """NumPy as one would write it down."""
    y = [x]
    for _ in range(LINKS):
        y.append(np.tanh(y[-1] * FACTOR + SHIFT))
    g: Any = np.float32(1)
    for i in range(LINKS, 0, -1):
        g = g * (1 - y[i] ** 2) * FACTOR
    return np.sum(y[-1]), g


def chain_with_buffers(n: int) -> Callable[[np.ndarray], tuple[Any, Any]]:
    """NumPy where every array has its place."""
    outputs = [np.empty(n, np.float32) for _ in range(LINKS)]
    slope, gradient = np.empty(n, np.float32), np.empty(n, np.float32)
    one = np.float32(1)

    def value_and_gradient(x: np.ndarray) -> tuple[Any, Any]:
        for y in outputs:
            np.multiply(x, FACTOR, out=y)
            np.add(y, SHIFT, out=y)
            x = np.tanh(y, out=y)
        value = np.add.reduce(x)
        gradient.fill(1)
        for y in reversed(outputs):
            np.multiply(y, y, out=slope)
            np.subtract(one, slope, out=slope)
            np.multiply(gradient, slope, out=gradient)
            np.multiply(gradient, FACTOR, out=gradient)
        return value, gradient

    return value_and_gradient


def chain_of_this_engine(replayed: bool) -> Run:
    """The value and the gradient by the engine."""
    function = ag.value_and_grad(sum_in(np))
    return gradient_run(compiled(function) if replayed else function)


def chain_of_pytorch(compile_it: bool) -> Run:
    """PyTorch."""
    torch = imported_torch()
    chain = sum_in(torch, float(FACTOR), float(SHIFT))

    def value_and_gradient(x: Any) -> tuple[Any, Any]:
        x.requires_grad_()
        value = chain(x)
        (gradient,) = torch.autograd.grad(value, x)
        return value.detach(), gradient

    if compile_it:
        whole = torch.compile(torch.func.grad_and_value(chain), dynamic=False)

        def value_and_gradient(x: Any) -> tuple[Any, Any]:
            with torch.no_grad():
                gradient, value = whole(x)
            return value, gradient

    return gradient_run(value_and_gradient, lambda x: (torch.from_numpy(x),))


def chain_of_jax() -> Run:
    """JAX, compiled."""
    jax: Any = importlib.import_module("jax")
    function = jax.jit(jax.value_and_grad(sum_in(jax.numpy)))
    return gradient_run(
        lambda x: jax.block_until_ready(function(x)), lambda x: (jax.numpy.asarray(x),)
    )


def chain_of_hips() -> Run:
    """HIPS autograd."""
    chain = sum_in(importlib.import_module("autograd.numpy"))
    return gradient_run(importlib.import_module("autograd").value_and_grad(chain))


def chain_of_mygrad() -> Run:
    """MyGrad."""
    mg = imported_mygrad()
    chain = sum_in(mg)

    def value_and_gradient(x: np.ndarray) -> tuple[Any, Any]:
        tensor = mg.tensor(x, copy=False)
        value = chain(tensor)
        value.backward()
        return value.data, tensor.grad

    return gradient_run(value_and_gradient)


def elementwise(part: str, repetitions: int) -> list[Result]:
    """The sum over a chain of 12 elementwise ops in float32, and its gradient."""
    results = []
    for exponent in range(2, 8):
        n = 10**exponent
        makers: Makers = {
            BUFFERS: functools.partial(gradient_run, chain_with_buffers(n)),
            PLAIN: functools.partial(gradient_run, chain_by_hand),
            EAGER: functools.partial(chain_of_this_engine, replayed=False),
            REPLAY: functools.partial(chain_of_this_engine, replayed=True),
            TORCH: functools.partial(chain_of_pytorch, compile_it=False),
            TORCH_COMPILED: functools.partial(chain_of_pytorch, compile_it=True),
            JAX: chain_of_jax,
            HIPS: chain_of_hips,
            MYGRAD: chain_of_mygrad,
            SKLEARN: "has no gradients of functions",
        }
        x = np.random.default_rng(0).random(n, dtype=np.float32)
        turns = max(3, min(repetitions, repetitions * 10**6 // n))
        results += race(part, makers, (x,), turns, case=f"1e{exponent}", steps=2)
    return results


# ---- depth --------------------------------------------------------------------------------------

STRETCH = np.full(4, 1.0000001)


def product_in(n: int) -> Callable[[Any], Any]:
    """A chain of n products."""

    def chain(x: Any) -> Any:
        for _ in range(n):
            x = x * STRETCH
        return x

    return chain


def deep_by_hand(n: int) -> Callable[[np.ndarray], tuple[Any, Any]]:
    """NumPy as one would write it down."""

    def value_and_gradient(x: np.ndarray) -> tuple[Any, Any]:
        g: Any = np.ones(4)
        for _ in range(n):
            x = x * STRETCH
        for _ in range(n):
            g = g * STRETCH
        return np.sum(x), g

    return value_and_gradient


def deep_with_buffers(n: int) -> Callable[[np.ndarray], tuple[Any, Any]]:
    """NumPy where every array has its place."""
    y, g = np.empty(4), np.empty(4)

    def value_and_gradient(x: np.ndarray) -> tuple[Any, Any]:
        y[...] = x
        g.fill(1)
        for _ in range(n):
            np.multiply(y, STRETCH, y)
        for _ in range(n):
            np.multiply(g, STRETCH, g)
        return np.add.reduce(y), g

    return value_and_gradient


def deep_of_this_engine(n: int, replayed: bool) -> Run:
    """The engine of this repository."""
    chain = product_in(n)
    function = ag.value_and_grad(lambda x: np.sum(chain(x)))
    return gradient_run(compiled(function) if replayed else function)


def deep_of_pytorch(n: int) -> Run:
    """PyTorch, eager."""
    torch = imported_torch()
    stretch = torch.from_numpy(STRETCH)

    def value_and_gradient(x: Any) -> tuple[Any, Any]:
        y = x.requires_grad_()
        for _ in range(n):
            y = y * stretch
        value = y.sum()
        (gradient,) = torch.autograd.grad(value, x)
        return value.detach(), gradient

    return gradient_run(value_and_gradient, lambda x: (torch.from_numpy(x),))


def deep_of_jax(n: int) -> Run:
    """JAX, compiled, in float64."""
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    chain = product_in(n)
    function = jax.jit(jax.value_and_grad(lambda x: jax.numpy.sum(chain(x))))
    return gradient_run(
        lambda x: jax.block_until_ready(function(x)), lambda x: (jax.numpy.asarray(x),)
    )


def deep_of_hips(n: int) -> Run:
    """HIPS autograd."""
    anp: Any = importlib.import_module("autograd.numpy")
    chain = product_in(n)
    return gradient_run(
        importlib.import_module("autograd").value_and_grad(lambda x: anp.sum(chain(x)))
    )


def deep_of_mygrad(n: int) -> Run:
    """MyGrad."""
    mg = imported_mygrad()
    chain = product_in(n)

    def value_and_gradient(x: np.ndarray) -> tuple[Any, Any]:
        tensor = mg.tensor(x, copy=False)
        value = mg.sum(chain(tensor))
        value.backward()
        return value.data, tensor.grad

    return gradient_run(value_and_gradient)


def depth(part: str, repetitions: int) -> list[Result]:
    """A chain of products of 4 elements in float64: the time of an op, forward and backward."""
    unrolled = "writes every op out, and compiling that takes minutes"
    results = []
    for exponent in range(3, 7):
        n = 10**exponent
        makers: Makers = {
            BUFFERS: functools.partial(gradient_run, deep_with_buffers(n)),
            PLAIN: functools.partial(gradient_run, deep_by_hand(n)),
            EAGER: functools.partial(deep_of_this_engine, n, replayed=False),
            REPLAY: functools.partial(deep_of_this_engine, n, replayed=True),
            TORCH: functools.partial(deep_of_pytorch, n),
            TORCH_COMPILED: unrolled,
            JAX: functools.partial(deep_of_jax, n),
            HIPS: functools.partial(deep_of_hips, n),
            MYGRAD: functools.partial(deep_of_mygrad, n),
            SKLEARN: "has no gradients of functions",
        }
        if exponent > 3:
            makers[JAX] = unrolled
        if exponent > 4:
            makers[REPLAY] = "writes a line for each call, and capturing them takes a minute"
            makers[MYGRAD] = makers[HIPS] = "left out, so that the run stays short"
        turns = max(1, min(repetitions, repetitions * 1000 // n))
        with collector_off():
            results += race(
                part,
                makers,
                (np.ones(4),),
                turns,
                case=f"1e{exponent}",
                unit="us/op",
                scale=1 / n,
                steps=1,
            )
    return results


# ---- size ---------------------------------------------------------------------------------------

MODULES = {  # the module that one would import, and the distribution that one would install
    "autograd_mini": ("autograd_mini", ""),
    "NumPy": ("numpy", "numpy"),
    "PyTorch": ("torch", "torch"),
    "JAX": ("jax", "jax"),
    HIPS: ("autograd", "autograd"),
    MYGRAD: ("mygrad", "mygrad"),
    SKLEARN: ("sklearn.neural_network", "scikit-learn"),
}


def needed_by(distribution: str) -> Iterator[str]:
    """The installed distributions that one needs, without its extras."""
    for requirement in importlib.metadata.requires(distribution) or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement and "extra==" not in requirement:
            try:
                importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            yield name


def with_all_needed(distributions: Iterable[str]) -> set[str]:
    """Distributions and all that they need."""
    found: set[str] = set()
    waiting = list(distributions)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in found:
            found.add(name)
            waiting += needed_by(name)
    return found


def megabytes(files: Iterable[Path]) -> float:
    """The size of files, without compiled modules of Python."""
    return sum(f.stat().st_size for f in files if f.suffix != ".pyc" and f.is_file()) / 1e6


def size_of(distribution: str) -> float:
    """The megabytes of an installed distribution."""
    files = importlib.metadata.files(distribution) or ()
    return megabytes(Path(str(file.locate())) for file in files)


def size(part: str, repetitions: int) -> list[Result]:
    """What an import takes in a new interpreter, and what lies on the disk."""
    there = {
        party: names
        for party, names in MODULES.items()
        if importlib.util.find_spec(names[0].split(".")[0]) is not None
    }
    results = [
        Result(part, "", party, 1, None, note="not installed") for party in MODULES.keys() - there
    ]
    times: dict[str, list[float]] = {party: [] for party in there}
    with tempfile.TemporaryDirectory() as cache:
        for turn in range(repetitions + 1):
            for party, (module, _) in there.items():
                milliseconds = import_time(module, Path(cache))
                if turn:  # the first compiles what is not compiled yet
                    times[party].append(milliseconds)
    for party, (_, distribution) in there.items():
        if distribution:
            own, needed = size_of(distribution), with_all_needed([distribution])
            everything = sum(map(size_of, needed))
        else:
            own = megabytes(Path(str(ag.__file__)).parent.rglob("*"))
            everything = own + sum(map(size_of, with_all_needed(["numpy", "graphviz"])))
        for case, value, unit in (
            ("import", statistics.median(times[party]), "ms"),
            ("on the disk", own, "MB"),
            ("with all that it needs", everything, "MB"),
        ):
            results.append(Result(part, case, party, 1, value, unit))
    return results


# ---- memory -------------------------------------------------------------------------------------


def traced(run: Run, batch: tuple[np.ndarray, ...]) -> int:
    """The most bytes that NumPy holds at once in a step, beyond what was there before."""
    step = run.on(*batch)
    step()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    step()
    return tracemalloc.get_traced_memory()[1] - before


def allocated_by_pytorch(run: Run, batch: tuple[np.ndarray, ...]) -> int:
    """The same in PyTorch, whose profiler writes down what its allocator gives and takes back."""
    profiler: Any = importlib.import_module("torch.profiler")
    step = run.on(*batch)
    step()
    with profiler.profile(
        activities=[profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    memory = [e for e in events if e.get("name") == "[memory]"]
    memory.sort(key=lambda e: e["ts"])
    now = most = 0
    for event in memory:
        now += event["args"]["Bytes"]
        most = max(most, now)
    return most


def memory(part: str, repetitions: int) -> list[Result]:
    """The most memory of a step of ``large``, beyond the parameters and the gradients."""
    parameters, batch = network(*SIZES["large"])
    gradients = sum(p.nbytes for p in parameters)

    def copies() -> list[np.ndarray]:
        return [p.copy() for p in parameters]

    def result(party: str, most: int, note: str) -> Result:
        return Result(part, "", party, threads(), (most - gradients) / 1e6, "MB", note=note)

    results = []
    tracemalloc.start()
    for party, make in ((EAGER, autograd_mini_with_sgd), (PLAIN, by_hand)):
        run = make(copies(), batch)
        results.append(result(party, traced(run, batch), "in a step, by tracemalloc"))
    arrays = copies()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    run = by_hand_with_buffers(arrays, batch)
    kept = sum(a.nbytes for a in arrays)  # the initial parameters, which are there for the restart
    run.on(*batch)()
    most = tracemalloc.get_traced_memory()[1] - before - kept
    results.append(result(BUFFERS, most, "buffers and a step, by tracemalloc"))
    run = autograd_mini_with_sgd(copies(), batch, replayed=True)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2):  # which captures
        run.on(*batch)()
    gc.collect()
    compiled_step: Any = run.step
    captured = tracemalloc.get_traced_memory()[0] - before
    replay = traced(run, batch)
    tracemalloc.stop()
    results += [
        result(REPLAY, compiled_step.memory(), "what `step.memory()` says"),
        result(f"{REPLAY}, traced", captured + replay, "what is kept and a step, by tracemalloc"),
    ]
    if importlib.util.find_spec("torch") is not None:
        most = allocated_by_pytorch(pytorch(copies(), batch), batch)
        results.append(result(TORCH, most, "in a step, by its own profiler"))
    if importlib.util.find_spec("jax") is not None:
        results.append(result(JAX, allocated_by_jax(copies(), batch), "as its compiler planned"))
    return results


def allocated_by_jax(parameters: list[np.ndarray], batch: tuple[np.ndarray, ...]) -> int:
    """What JAX's compiler sets aside for a step."""
    plan = jax_descent(jax_loss).lower(parameters, *batch).compile().memory_analysis()
    return int(plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes)


# ---- the command --------------------------------------------------------------------------------

PARTS: dict[str, tuple[Callable[[str, int], list[Result]], int]] = {  # how often, if nobody says
    "tiny": (dense, 60),
    "middle": (dense, 40),
    "large": (dense, 9),
    "lenet": (lenet, 20),
    "elementwise": (elementwise, 20),
    "depth": (depth, 20),
    "size": (size, 5),
    "mnist": (mnist, 3),
    "flower": (flower_descent, 20),
    "memory": (memory, 1),
}
ONE_THREAD = ("depth", "size", "memory")  # what several threads cannot change


def main() -> None:
    """Measure one part and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.races", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("json", type=Path)
    parser.add_argument("--repetitions", type=int)
    options = parser.parse_args()
    measure, repetitions = PARTS[options.part]
    start = time.perf_counter()
    results = measure(options.part, options.repetitions or repetitions)
    print(f"{options.part}, {threads()} thread(s): {time.perf_counter() - start:.0f} s", flush=True)
    text = json.dumps([result._asdict() for result in results], indent=1)
    write_whole(options.json, f"{text}\n".encode())


if __name__ == "__main__":
    main()
