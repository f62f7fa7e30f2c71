"""Measure what the engine costs, and print every number beside its target.

::

    python -m benchmarks.engine                                  # all parts
    python -m benchmarks.engine chain small --repetitions 400    # some parts, more patiently
    python -m benchmarks.engine --json numbers.json --readme     # write the numbers down

What is compared is run in turn (A B A B ...), so that a noisy machine hits both sides, and a ratio
is the median of the ratios of neighbours.  BLAS has one thread and the process stays on one core.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import contextlib
import functools
import gc
import importlib
import importlib.util
import itertools
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import add, divide, exp, greater, log, maximum, multiply, subtract

import autograd_mini as ag
from autograd_mini.files import write_whole

HERE = Path(__file__).resolve().parent
RATE = 0.1  # of the gradient descent
OPS = 200  # in the chain


class Row(NamedTuple):
    """One number, beside what it has to reach; without a target it is there for comparison."""

    part: str
    quantity: str
    value: float
    unit: str
    target: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the target, which is always an upper bound, is met."""
        if self.target is None:
            return ""
        return "yes" if self.value <= self.target else "**no**"


# ---- taking times -------------------------------------------------------------------------------


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Run a block without Python's cyclic garbage collector."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_turn(
    contenders: dict[str, Callable[[], Any]],
    repetitions: int,
    before_turn: Callable[[], None] = lambda: None,
    sample: float = 0.01,
) -> dict[str, np.ndarray]:
    """Time functions in turn.

    Parameters
    ----------
    contenders : dict of callable
        What is timed, each under its name.
    repetitions : int
        How often each takes its turn.
    before_turn : callable
        Called before each turn, untimed.
    sample : float
        About how long one turn takes, in seconds: a quick function is called often in a turn.

    Returns
    -------
    dict of ndarray, shape (repetitions,)
        Microseconds per call, one for each turn.
    """
    calls = {}
    for name, function in contenders.items():
        function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, round(sample / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, function in contenders.items():
            before_turn()
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            times[name].append((time.perf_counter() - start) / calls[name] * 1e6)
    return {name: np.array(each) for name, each in times.items()}


def installed(name: str) -> bool:
    """Whether a library to compare with is there; a line says so if it is not."""
    found = importlib.util.find_spec(name) is not None
    if not found:
        print(f"{name} is not installed and takes no part")
    return found


# ---- a chain of small ops -----------------------------------------------------------------------


def chain(repetitions: int) -> list[Row]:
    """200 elementwise ops, one after the other, on 4 elements: the cost of a call."""
    ones, factor = np.ones(4), np.full(4, 1.001)
    x = ag.Tensor(np.ones(4), requires_grad=True)
    ops: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
        "y + 1.0": (lambda y: y + 1.0, lambda y: y + 1.0),
        "y * array": (lambda y: y * factor, lambda y: y * factor),
        "np.tanh(y)": (np.tanh, np.tanh),
        "-y": (lambda y: -y, lambda y: -y),
        "ag.relu(y)": (ag.relu, lambda y: np.maximum(y, 0.0)),
    }

    def repeated(op: Callable[[Any], Any], start: Any) -> Any:
        y = start
        for _ in range(OPS):
            y = op(y)
        return y

    def forward_and_backward(op: Callable[[Any], Any]) -> None:
        x.grad = None
        repeated(op, x).backward(ones)

    rows = []
    for name, (op, plain) in ops.items():
        times = in_turn(
            {
                "NumPy": functools.partial(repeated, plain, ones),
                "forward": functools.partial(repeated, op, x),
                "forward and backward": functools.partial(forward_and_backward, op),
            },
            repetitions,
        )
        targets = {"forward": 1.5, "forward and backward": 3.0} if name == "y + 1.0" else {}
        rows += [
            Row("chain", f"`{name}`, {what}", float(np.median(t)) / OPS, "us/op", targets.get(what))
            for what, t in times.items()
        ]
    return rows


# ---- one step of gradient descent ---------------------------------------------------------------

Batch = tuple[np.ndarray, np.ndarray]
Step = Callable[[np.ndarray, np.ndarray], Any]  # examples and labels -> loss
Run = tuple[Step, Callable[[], list[Any]]]  # the step, and what looks at the parameters after it


def network(sizes: tuple[int, ...], examples: int) -> tuple[list[np.ndarray], Batch]:
    """Weights and biases in turn, by He et al. (2015), and a batch of normal examples."""
    random = np.random.default_rng(0)
    parameters: list[np.ndarray] = []
    for n_in, n_out in itertools.pairwise(sizes):
        weight = random.normal(0, np.sqrt(2 / n_in), (n_out, n_in))
        parameters += [weight.astype(np.float32), np.zeros(n_out, np.float32)]
    x = random.standard_normal((examples, sizes[0])).astype(np.float32)
    return parameters, (x, random.integers(0, sizes[-1], examples))


def by_hand_with_buffers(parameters: list[np.ndarray], batch: Batch) -> Run:
    """NumPy at its fastest: every array has its place before the first step."""
    n, rate, share, one = len(batch[1]), np.float32(RATE), np.float32(1 / len(batch[1])), 1
    weights, biases = parameters[0::2], parameters[1::2]
    gradients = [np.empty_like(p) for p in parameters]
    outputs = [np.empty((n, len(b)), np.float32) for b in biases]
    cotangents = [np.empty_like(y) for y in outputs]
    masks = [np.empty(y.shape, bool) for y in outputs]
    hidden = list(zip([w.T for w in weights[:-1]], biases, outputs, strict=False))
    backward = [
        (cotangents[i].T, outputs[i - 1], gradients[2 * i], cotangents[i], gradients[2 * i + 1],
         weights[i], cotangents[i - 1], masks[i - 1])
        for i in range(len(weights) - 1, 0, -1)
    ]  # fmt: skip
    last_weight, last_bias, logits, g = weights[-1].T, biases[-1], outputs[-1], cotangents[-1]
    g_first, g_first_transposed, (g_weight, g_bias) = cotangents[0], cotangents[0].T, gradients[:2]
    largest, total, chosen = np.empty((n, 1), "f"), np.empty((n, 1), "f"), np.empty(n, "f")
    row_starts, at = np.arange(n) * logits.shape[1], np.empty(n, np.intp)
    logits_flat, g_flat, total_flat = logits.reshape(-1), g.reshape(-1), total.reshape(-1)
    updates = list(zip(parameters, gradients, strict=True))

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        h = x
        for w, b, y in hidden:
            h.dot(w, out=y)
            add(y, b, out=y)
            h = maximum(y, 0, out=y)
        h.dot(last_weight, out=logits)
        add(logits, last_bias, out=logits)
        maximum.reduce(logits, axis=1, keepdims=True, out=largest)
        subtract(logits, largest, out=logits)
        exp(logits, out=g)
        add.reduce(g, axis=1, keepdims=True, out=total)
        divide(g, total, out=g)
        log(total, out=total)
        add(row_starts, labels, out=at)
        logits_flat.take(at, out=chosen, mode="clip")
        loss = (add.reduce(total_flat) - add.reduce(chosen)) * share
        g_flat[at] -= one
        multiply(g, share, out=g)
        for gy_transposed, h, g_w, gy, g_b, w, gh, positive in backward:
            gy_transposed.dot(h, out=g_w)
            add.reduce(gy, axis=0, out=g_b)
            gy.dot(w, out=gh)
            greater(h, 0, out=positive)
            multiply(gh, positive, out=gh)
        g_first_transposed.dot(x, out=g_weight)
        add.reduce(g_first, axis=0, out=g_bias)
        for p, g_p in updates:
            multiply(g_p, rate, out=g_p)
            subtract(p, g_p, out=p)
        return loss

    return step, lambda: parameters


def by_hand(parameters: list[np.ndarray], batch: Batch) -> Run:
    """NumPy as one would write it down."""
    rows = np.arange(len(batch[1]))

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        weights, biases = parameters[0::2], parameters[1::2]
        hidden = [x]
        for w, b in zip(weights[:-1], biases, strict=False):
            hidden.append(np.maximum(hidden[-1] @ w.T + b, 0))
        z = hidden[-1] @ weights[-1].T + biases[-1]
        z = z - z.max(axis=1, keepdims=True)
        exponentials = np.exp(z)
        totals = exponentials.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(totals[:, 0]) - z[rows, labels])
        g = exponentials / totals
        g[rows, labels] -= 1
        g /= len(labels)
        for i in range(len(weights) - 1, -1, -1):
            g_weight, g_bias = g.T @ hidden[i], g.sum(axis=0)
            if i:
                g = (g @ weights[i]) * (hidden[i] > 0)
            weights[i] -= RATE * g_weight
            biases[i] -= RATE * g_bias
        return loss

    return step, lambda: parameters


def autograd_mini(parameters: list[np.ndarray], batch: Batch, assigning: bool = False) -> Run:
    """Run the engine of this repository, with its fused ops; two ways to update."""
    tensors: list[Any] = [ag.Tensor(p, requires_grad=True) for p in parameters]
    *hidden, (last_weight, last_bias) = zip(tensors[0::2], tensors[1::2], strict=True)
    relu, linear = ag.relu, ag.nn.functional.linear
    cross_entropy = ag.nn.functional.cross_entropy

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        h = x
        for w, b in hidden:
            h = relu(linear(h, w, b))
        loss = cross_entropy(linear(h, last_weight, last_bias), labels)
        loss.backward()
        if assigning:
            with ag.no_grad():
                for p in tensors:
                    p -= RATE * p.grad
                    p.grad = None
        else:
            for p in tensors:
                p.data -= RATE * p.grad.data
                p.grad = None
        return loss

    return step, lambda: [p.data for p in tensors]


def autograd_mini_assigning(parameters: list[np.ndarray], batch: Batch) -> Run:
    """Update by `with ag.no_grad(): p -= rate * p.grad`."""
    return autograd_mini(parameters, batch, assigning=True)


def pytorch(parameters: list[np.ndarray], batch: Batch, optimiser: bool = False) -> Run:
    """PyTorch, eager, on one thread, updated by hand or by its SGD."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    functional = torch.nn.functional
    tensors = [torch.tensor(p, requires_grad=True) for p in parameters]
    *hidden, (last_weight, last_bias) = zip(tensors[0::2], tensors[1::2], strict=True)
    x, labels = map(torch.from_numpy, batch)
    linear, relu, cross_entropy = functional.linear, functional.relu, functional.cross_entropy
    descent = torch.optim.SGD(tensors, lr=RATE, foreach=True)

    def step(_x: np.ndarray, _labels: np.ndarray) -> Any:
        h = x
        for w, b in hidden:
            h = relu(linear(h, w, b))
        loss = cross_entropy(linear(h, last_weight, last_bias), labels)
        loss.backward()
        if optimiser:
            descent.step()
            descent.zero_grad()
        else:
            with torch.no_grad():
                for p in tensors:
                    p.sub_(p.grad, alpha=RATE)
                    p.grad = None
        return loss.detach()

    return step, lambda: [p.detach().numpy() for p in tensors]


def pytorch_with_sgd(parameters: list[np.ndarray], batch: Batch) -> Run:
    """PyTorch with its optimiser."""
    return pytorch(parameters, batch, optimiser=True)


def mygrad(parameters: list[np.ndarray], batch: Batch) -> Run:
    """MyGrad, with its fused loss and without its guards of memory, which cost time."""
    mg: Any = importlib.import_module("mygrad")
    relu = importlib.import_module("mygrad.nnet.activations").relu
    softmax_crossentropy = importlib.import_module("mygrad.nnet.losses").softmax_crossentropy
    mg.turn_memory_guarding_off()
    tensors = [mg.tensor(p, copy=False) for p in parameters]
    *hidden, (last_weight, last_bias) = zip(tensors[0::2], tensors[1::2], strict=True)

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        h: Any = x
        for w, b in hidden:
            h = relu(mg.matmul(h, w.T) + b)
        loss = softmax_crossentropy(mg.matmul(h, last_weight.T) + last_bias, labels)
        loss.backward()
        for p in tensors:
            p.data -= RATE * p.grad
            p.null_grad()
        return loss.data

    return step, lambda: [p.data for p in tensors]


def hips_autograd(parameters: list[np.ndarray], batch: Batch) -> Run:
    """HIPS autograd."""
    anp: Any = importlib.import_module("autograd.numpy")

    rows = np.arange(len(batch[1]))

    def loss_of(parameters: list[Any], x: np.ndarray, labels: np.ndarray) -> Any:
        *hidden, (last_weight, last_bias) = zip(parameters[0::2], parameters[1::2], strict=True)
        h = x
        for w, b in hidden:
            h = anp.maximum(anp.dot(h, w.T) + b, 0)
        z = anp.dot(h, last_weight.T) + last_bias
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[rows, labels])

    value_and_gradients = importlib.import_module("autograd").value_and_grad(loss_of)

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        loss, gradients = value_and_gradients(parameters, x, labels)
        for p, g in zip(parameters, gradients, strict=True):
            p -= RATE * g
        return loss

    return step, lambda: parameters


def agree(runs: dict[str, Run], batch: Batch) -> None:
    """Raise unless all contenders find the same losses and weights in ten steps."""
    losses = {name: [float(step(*batch)) for _ in range(10)] for name, (step, _) in runs.items()}
    reference = next(iter(runs))
    for name, (_, weights) in runs.items():
        np.testing.assert_allclose(losses[name], losses[reference], rtol=2e-6, err_msg=name)
        for ours, theirs in zip(weights(), runs[reference][1](), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6, err_msg=name)


def descent(
    part: str, sizes: tuple[int, ...], examples: int, repetitions: int, rivals: bool, target: float
) -> list[Row]:
    """One step of gradient descent of a ReLU network, in float32."""
    makers: dict[str, Callable[[list[np.ndarray], Batch], Run]] = {
        "hand-written with buffers": by_hand_with_buffers,
        "hand-written": by_hand,
        "autograd_mini": autograd_mini,
        "autograd_mini, `p -= rate * p.grad`": autograd_mini_assigning,
    }
    names_of_rivals = []
    for library, name, make in (
        ("torch", "PyTorch", pytorch),
        ("torch", "PyTorch with its SGD", pytorch_with_sgd),
        ("mygrad", "MyGrad", mygrad),
        ("autograd", "HIPS autograd", hips_autograd),
    ):
        if installed(library):
            makers[name] = make
            names_of_rivals.append(name)
    parameters, batch = network(sizes, examples)
    runs = {name: make([p.copy() for p in parameters], batch) for name, make in makers.items()}
    agree(runs, batch)
    steps: dict[str, Callable[[], Any]] = {
        name: functools.partial(step, *batch) for name, (step, _) in runs.items()
    }

    def start_anew() -> None:  # a network that has learned its batch computes with subnormals
        for _, weights in runs.values():
            for now, initial in zip(weights(), parameters, strict=True):
                np.copyto(now, initial)

    times = in_turn(steps, repetitions, start_anew)
    rows = [Row(part, name, float(np.median(t)), "us") for name, t in times.items()]
    targets: dict[str, float | None] = {"hand-written with buffers": target}
    targets |= dict.fromkeys(names_of_rivals, 1.0 if rivals else None)
    ours = times["autograd_mini"]
    for name, bound in targets.items():
        ratio = float(np.median(ours / times[name]))
        rows.append(Row(part, f"autograd_mini / {name}", ratio, "times", bound))
    return rows


def small(repetitions: int) -> list[Row]:
    """A 4-16-3 network on 32 examples: mostly the cost of calls."""
    return descent("small step", (4, 16, 3), 32, repetitions, rivals=True, target=1.9)


def large(repetitions: int) -> list[Row]:
    """A 784-256-128-10 network on 128 examples: mostly arithmetic."""
    sizes = (784, 256, 128, 10)
    return descent("large step", sizes, 128, repetitions, rivals=False, target=1.1)


# ---- depth --------------------------------------------------------------------------------------


def chain_times(n: int) -> np.ndarray:
    """Microseconds per op that a chain of n ops takes forward, backward and to be freed."""
    x: Any = ag.Tensor(np.ones(4), requires_grad=True)
    ones = np.ones(4)
    start = time.perf_counter()
    y: Any = x
    for _ in range(n):
        y = y + 1.0
    recorded = time.perf_counter()
    y.backward(ones)
    backward = time.perf_counter()
    del y
    freed = time.perf_counter()
    if not np.array_equal(x.grad.data, ones):
        raise AssertionError("the gradient of a chain of y + 1.0 is not 1")
    return np.diff([start, recorded, backward, freed]) / n * 1e6


def bytes_per_op(op: Callable[[Any], Any], n: int, arrays: int) -> float:
    """What a recorded op holds besides the arrays that it keeps, by tracemalloc."""
    x = ag.Tensor(np.ones(4), requires_grad=True)
    kept = arrays * sys.getsizeof(np.ones(4))
    y: Any = op(x)
    tracemalloc.start()
    for _ in range(n):
        y = op(y)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / n - kept


def left_over(create_graph: bool) -> int:
    """How many objects only the collector can free after a computation has been deleted."""
    w: Any = ag.Tensor(np.ones((3, 4)), requires_grad=True)
    x: Any = ag.Tensor(np.ones((5, 4)), requires_grad=True)
    with collector_off():
        y = np.tanh(ag.nn.functional.linear(x, w, np.zeros(3)))
        loss = ag.nn.functional.cross_entropy(y * y, np.array([0, 1, 2, 0, 1]))
        loss.backward(create_graph=create_graph)
        if create_graph:
            ((w.grad**2).sum() + (x.grad**2).sum()).backward()
        del w, x, y, loss
        return gc.collect()


def depth(repetitions: int) -> list[Row]:
    """A million ops deep: time, memory, and whether all of it is freed."""
    short, long = 1_000, 1_000_000
    at_short, at_long = [], []
    with collector_off():
        chain_times(short)
        for _ in range(3):
            at_short += [chain_times(short) for _ in range(repetitions)]
            at_long.append(chain_times(long))
            at_short += [chain_times(short) for _ in range(repetitions)]
    shallow, deep = np.median(at_short, axis=0), np.median(at_long, axis=0)
    rows = []
    for i, phase in enumerate(("forward", "backward", "freeing")):
        rows.append(Row("depth", f"{phase}, 1,000 deep", float(shallow[i]), "us/op"))
        rows.append(Row("depth", f"{phase}, 1,000,000 deep", float(deep[i]), "us/op"))
    ratio = float(deep.sum() / shallow.sum())
    rows.append(Row("depth", "all of it, 1,000,000 deep / 1,000 deep", ratio, "times", 1.3))
    factor = np.full(4, 1.001)
    for name, op, arrays in (
        ("y + 1.0", lambda y: y + 1.0, 0),
        ("np.tanh(y)", np.tanh, 1),
        ("y * array", lambda y: y * factor, 0),
    ):
        size = bytes_per_op(op, 100_000, arrays)
        rows.append(Row("depth", f"kept per op, `{name}`", size, "bytes", 350))
    rows.append(Row("depth", "left after del, backward", left_over(False), "objects", 0))
    rows.append(Row("depth", "left after del, double backward", left_over(True), "objects", 0))
    return rows


# ---- importing ----------------------------------------------------------------------------------


def fresh(statement: str, cache: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a statement in a new interpreter, which finds compiled modules in a folder of its own."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, *options, "-c", statement]
    return subprocess.run(
        command, cwd=HERE.parent, env=environment, capture_output=True, text=True, check=True
    )


def import_time(module: str, cache: Path) -> float:
    """Milliseconds that the import of a module takes in a new interpreter."""
    timed = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(fresh(timed, cache).stdout) * 1e3


def own_times(module: str, cache: Path) -> dict[str, float]:
    """Milliseconds that each module takes for itself while a module is imported."""
    lines = fresh(f"import {module}", cache, "-X", "importtime").stderr.splitlines()[1:]
    fields = [line.removeprefix("import time:").split("|") for line in lines]
    return {name.strip(): int(own) / 1e3 for own, _, name in fields}


def imports(repetitions: int) -> list[Row]:
    """Importing this package, beside importing NumPy alone."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        by_numpy = own_times("numpy", cache)  # these two also compile what is compared
        own_times("autograd_mini", cache)
        numpy_alone, package = np.array([
            (import_time("numpy", cache), import_time("autograd_mini", cache))
            for _ in range(repetitions)
        ]).T  # fmt: skip
        profiles = [own_times("autograd_mini", cache) for _ in range(9)]
    contributions = {
        name: statistics.median([profile.get(name, 0.0) for profile in profiles])
        for name in profiles[0].keys() - by_numpy.keys()
    }
    largest = sorted(contributions, key=contributions.__getitem__, reverse=True)[:6]
    return [
        Row("import", "numpy", float(np.median(numpy_alone)), "ms"),
        Row("import", "autograd_mini", float(np.median(package)), "ms"),
        Row("import", "the difference", float(np.median(package - numpy_alone)), "ms", 10),
        *[Row("import", f"of it `{name}` itself", contributions[name], "ms") for name in largest],
    ]


# ---- the table ----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[int], list[Row]]] = {
    "chain": chain, "small": small, "large": large, "depth": depth, "import": imports,
}  # fmt: skip
REPETITIONS = {"chain": 100, "small": 200, "large": 100, "depth": 100, "import": 40}


def machine() -> str:
    """What the numbers were taken on."""
    processor = platform.machine()
    with contextlib.suppress(OSError):
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in facts if line.startswith("model name")]
        processor = f"{names[0]} ({processor})" if names else processor
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}"
    )


def table(rows: list[Row]) -> str:
    """The numbers as a table in Markdown."""
    lines = ["| part | quantity | measured | target | met |", "|---|---|---:|---:|:-:|"]
    for row in rows:
        target = "" if row.target is None else f"{row.target:g} {row.unit}"
        digits = 0 if row.unit in ("objects", "bytes") else 2 if row.value < 100 else 0
        measured = f"{row.value:.{digits}f} {row.unit}"
        lines.append(f"| {row.part} | {row.quantity} | {measured} | {target} | {row.verdict} |")
    return "\n".join(lines)


def write_readme(rows: list[Row], marker: str) -> None:
    """Put the table between the two comments of README.md that have a marker."""
    path = HERE / "README.md"
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    text = f"{before}{begin}\nMeasured on {machine()}.\n\n{table(rows)}\n{end}{after}"
    write_whole(path, text.encode())


def measure(
    module: str,
    description: str | None,
    parts: dict[str, Callable[[int], list[Row]]],
    repetitions: dict[str, int],
    arguments: list[str] | None,
) -> None:
    """Measure the parts that a command line asks for, print them, and write them down if asked."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--repetitions", type=int, help="how often each contender takes its turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to a file")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args(arguments)
    if strangers := set(options.parts) - parts.keys():
        parser.error(f"no such part: {', '.join(strangers)}; there are {', '.join(parts)}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows: list[Row] = []
    for part in options.parts or parts:
        rows += parts[part](options.repetitions or repetitions[part])
    print(f"{machine()}\n\n{table(rows)}")
    if options.json:
        numbers = {"machine": machine(), "rows": [row._asdict() for row in rows]}
        write_whole(options.json, (json.dumps(numbers, indent=1) + "\n").encode())
    if options.readme:
        write_readme(rows, module)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write down if asked to."""
    measure("benchmarks.engine", __doc__, PARTS, REPETITIONS, arguments)


if __name__ == "__main__":
    main()
