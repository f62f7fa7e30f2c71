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
import functools
import gc
import json
import statistics
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import autograd_mini as ag
from autograd_mini.files import write_whole
from benchmarks.measuring import (
    Row,
    collector_off,
    fresh,
    import_time,
    in_turn,
    installed,
    machine,
    table,
    write_between,
)
from benchmarks.parties import (
    Batch,
    Run,
    agree,
    autograd_mini,
    autograd_mini_assigning,
    by_hand,
    by_hand_with_buffers,
    hips_autograd,
    mygrad,
    network,
    pytorch,
    pytorch_with_sgd,
)

HERE = Path(__file__).resolve().parent
OPS = 200  # in the chain


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
    # a network that has learned its batch computes with subnormals: each turn starts anew
    steps = {name: run.on(*batch) for name, run in runs.items()}
    times = in_turn(steps, repetitions, lambda name: runs[name].restart())
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


# ---- what a running total keeps -----------------------------------------------------------------

STEPS = 300


def resident() -> int:
    """Bytes of memory that this process has in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def kept_each_step(loss: Callable[[], Any], number: Callable[[Any], Any]) -> float:
    """How much memory grows in a step of ``total = total + number(loss)``, in kB."""
    total, before = 0.0, 0
    for step in range(STEPS + 20):
        if step == 20:
            before = resident()
        one = loss()
        one.backward()
        total = total + number(one)
    return (resident() - before) / STEPS / 1e3


def kept(repetitions: int) -> list[Row]:
    """A running total of losses, as Tensors and as numbers: 128 examples of 100, 200 units."""
    rng = np.random.default_rng(0)
    weights, examples = rng.standard_normal((100, 200)), rng.standard_normal((128, 100))
    W = ag.Tensor(weights, requires_grad=True)
    losses: dict[str, Callable[[], Any]] = {
        "autograd_mini": lambda: np.sum(np.tanh(examples @ W) ** 2)
    }
    if installed("torch"):
        import torch

        V, X = torch.tensor(weights, requires_grad=True), torch.tensor(examples)
        losses["PyTorch"] = lambda: (torch.tanh(X @ V) ** 2).sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which is what the warning is about
        rows = []
        for library, loss in losses.items():
            as_it_is = kept_each_step(loss, lambda one: one)
            rows.append(Row("kept", f"{library}, total + loss", as_it_is, "kB/step"))
            number = kept_each_step(loss, float)
            rows.append(Row("kept", f"{library}, total + float(loss)", number, "kB/step", 1))
        return rows


# ---- importing ----------------------------------------------------------------------------------


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
    "chain": chain, "small": small, "large": large, "depth": depth, "kept": kept,
    "import": imports,
}  # fmt: skip
REPETITIONS = {"chain": 100, "small": 200, "large": 100, "depth": 100, "kept": 1, "import": 40}


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
        text = f"Measured on {machine()}.\n\n{table(rows)}"
        write_between(HERE / "README.md", module, text)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write down if asked to."""
    measure("benchmarks.engine", __doc__, PARTS, REPETITIONS, arguments)


if __name__ == "__main__":
    main()
