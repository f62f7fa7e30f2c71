"""Measure a captured step beside eager mode, NumPy by hand and other libraries.

::

    python -m benchmarks.replay                             # all parts: about a quarter of an hour
    python -m benchmarks.replay tiny middle --threads 1     # some parts, with one thread
    python -m benchmarks.replay --repetitions 3             # a quick look
    python -m benchmarks.replay --save results --json n.json    # a table, a plot and the numbers
    python -m benchmarks.replay --readme                    # write docs/speed.md and its picture

Each part runs in a process of its own for each number of threads, one and all, and that process
may use only as many cores.  What is compared runs in turn, and all have to find the same numbers
before.  MNIST is read from the folder that ``AUTOGRAD_MINI_DATA`` names.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autograd_mini.files import write_whole
from benchmarks.measuring import THREADS, machine, write_between
from benchmarks.races import (
    BUFFERS,
    EAGER,
    JAX,
    LIBRARIES,
    ONE_THREAD,
    PARTS,
    PLAIN,
    REPLAY,
    TORCH,
    TORCH_COMPILED,
    Result,
)

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURE = "speed.png"

TITLES = {
    "tiny": "A step of 4-16-3 on 32 examples",
    "middle": "A step of 784-256-128-10 on 128 examples",
    "large": "A step of 784-2048-2048-10 on 512 examples",
    "lenet": "A step of a LeNet on 128 images of 28x28",
    "elementwise": "Elementwise ops on 100 to 10,000,000 elements",
    "depth": "A graph of 1,000 to 1,000,000 ops",
    "size": "Importing and installing",
    "mnist": "An epoch of MNIST",
    "flower": "10,000 iterations of the flower network",
    "memory": "Memory of a step of 784-2048-2048-10",
}
WHAT = {
    "tiny": "float32, ReLU, softmax cross-entropy, gradient descent, from the examples to the new "
    "parameters. Mostly the cost of calls.",
    "middle": "The same; mostly matrix products.",
    "large": "The same; almost nothing but matrix products, which all libraries leave to a BLAS.",
    "lenet": "Two convolutions of 5x5 (6 and 16 channels), two maximum pools, 400-120-84-10, "
    "float32, gradient descent.",
    "elementwise": "`x = tanh(1.1 x + 0.1)` four times and the sum, in float32: its value and its "
    "gradient. NumPy goes through memory once for each op and computes with one thread; compilers "
    "make one loop of all ops and give each thread a share of it.",
    "depth": "`y = y * array` again and again on 4 elements in float64, forward and backward: the "
    "time for one op, with Python's cyclic garbage collector off. One thread.",
    "size": "The time is that of an import in a new interpreter, NumPy's included; the sizes are "
    "in megabytes (10^6 bytes), without compiled modules of Python.",
    "mnist": "60,000 images in the order of the files, 600 batches of 100, 784-128-64-10, float32, "
    "gradient descent; the losses are read. scikit-learn cuts the batches itself.",
    "flower": "Full-batch gradient descent on 400 points, 2-4-1 with tanh and sigmoid, in float64, "
    "as in `examples/02_one_hidden_layer.py`. By hand these are the six backward equations of the "
    "lecture; the libraries differentiate its cost. A turn is some of the iterations.",
    "memory": "The most that is held at once beyond the parameters and the gradients, in megabytes "
    "(10^6 bytes), without what a BLAS keeps for itself. One thread.",
}


FUSED = (
    "A compiler makes one loop of neighbouring elementwise ops, so that their results never go "
    "through memory, and it writes code instead of calls; NumPy has one loop and one call for each."
)
WHY = {
    BUFFERS: "It has no arguments to look at and no labels to check, and the order of its calls "
    "was chosen by hand.",
    TORCH: "Its products are computed by oneDNN and MKL, not by OpenBLAS.",
    TORCH_COMPILED: FUSED,
    JAX: FUSED,
}


# ---- running ------------------------------------------------------------------------------------


def run_part(part: str, threads: int, cores: list[int], repetitions: int | None) -> list[Result]:
    """Run a part in a process that has so many threads, and as many cores."""
    environment = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
    environment["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no helpers that stay and take time
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        command = [sys.executable, "-m", "benchmarks.races", part, str(path)]
        if repetitions:
            command += ["--repetitions", str(repetitions)]
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores[-threads:])  # which the process inherits
        subprocess.run(command, env=environment, check=True)
        return [Result(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


# ---- targets ------------------------------------------------------------------------------------


class Target(NamedTuple):
    """What the project has set itself, which is always an upper bound."""

    what: str
    bound: float
    measured: float
    unit: str = "times"


def targets(results: list[Result]) -> Iterator[Target]:
    """The targets for which there are numbers."""
    found = {(r.part, r.party, r.threads): r for r in results if r.value is not None}
    several = max([r.threads for r in results], default=1)

    def ratio(part: str, rivals: Iterable[str], threads: int, bound: float) -> Iterator[Target]:
        there = [found[key] for party in rivals if (key := (part, party, threads)) in found]
        if there:
            best = min(there, key=lambda r: r.value or 0)
            note = f", the better of {' and '.join(rivals)}" if len(list(rivals)) > 1 else ""
            what = f"{part}, {counted(threads)}: replay / {best.party}{note}"
            yield Target(what, bound, best.ratio or 0)

    yield from ratio("tiny", [BUFFERS], 1, 0.95)
    yield from ratio("tiny", [TORCH], 1, 1)
    yield from ratio("tiny", [JAX], 1, 1)
    yield from ratio("middle", [BUFFERS], 1, 1.05)
    yield from ratio("middle", [TORCH], 1, 1)
    yield from ratio("large", [BUFFERS], 1, 1.05)
    if several > 1:
        yield from ratio("middle", [TORCH, JAX], several, 1.15)
        yield from ratio("large", [TORCH, JAX], several, 1.15)
    yield from ratio("flower", [PLAIN], 1, 1.1)
    eager = found.get(("memory", EAGER, 1))
    if eager and eager.value:
        for party in (REPLAY, f"{REPLAY}, traced"):
            replay = found["memory", party, 1]
            what = f"memory: {party}, {replay.note}; the target is eager's"
            yield Target(what, eager.value, replay.value or 0, "MB")


# ---- tables -------------------------------------------------------------------------------------


def counted(threads: int) -> str:
    """A number of threads in words."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def number(value: float | None) -> str:
    """A number with three digits or so; nothing for none."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rows(header: list[str], body: Iterable[list[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    ruler = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ruler, *body])


def table_of_targets(results: list[Result]) -> str:
    """Every target beside what was measured."""
    return rows(
        ["what", "measured", "at most", "met"],
        [
            [
                *(target.what, f"{target.measured:.2f} {target.unit}"),
                *(f"{target.bound:.2f} {target.unit}",),
                "yes" if target.measured <= target.bound else "**no**",
            ]
            for target in targets(results)
        ],
    )


def table_of_part(part: str, results: list[Result]) -> str:
    """All times of a part, a party in each row, and why others take no part."""
    ours = [r for r in results if r.part == part]
    there = [r for r in ours if r.value is not None]
    columns = list(dict.fromkeys((r.case, r.threads) for r in there))
    parties = list(dict.fromkeys(r.party for r in there))
    at = {(r.party, r.case, r.threads): r for r in there}
    several = len({r.threads for r in there}) > 1
    with_ratios = part not in ("elementwise", "depth", "size", "memory")
    header, body = [""], [[party] for party in parties]
    for case, threads in columns:
        unit = next(r.unit for r in there if (r.case, r.threads) == (case, threads))
        names = [case] if case else []
        names += [counted(threads)] if several else []
        header.append(f"{', '.join(names)} ({unit})" if names else unit)
        header += ["replay / it"] if with_ratios else []
        for row in body:
            result = at.get((row[0], case, threads))
            row.append(number(result.value if result else None))
            if with_ratios:
                row.append(number(result.ratio if result else None))
    if part == "memory":
        header.append("how")
        for row in body:
            row.append(at[row[0], "", 1].note)
    reasons: dict[str, list[str]] = {}
    for r in ours:
        if r.value is None:
            cases = reasons.setdefault(f"{r.party}: {r.note}", [])
            cases += [r.case] if r.case and r.case not in cases else []
    lines = [
        f"- {why}" + (f" ({', '.join(cases)})" if cases else "") for why, cases in reasons.items()
    ]
    absent = "Not measured:\n\n" + "\n".join(lines) if lines else ""
    return "\n\n".join(text for text in (rows(header, body) if body else "", absent) if text)


def behind(results: list[Result]) -> str:
    """Who is quicker than the replay, and where."""
    faster: dict[str, list[str]] = {}
    for r in results:
        if r.ratio is not None and r.party != REPLAY and r.ratio > 1:
            case = f" {r.case}" if r.case else ""
            where = f"{r.part}{case}, {counted(r.threads)} ({r.ratio:.2f})"
            faster.setdefault(r.party, []).append(where)
    return "\n".join(
        f"- {party}: {'; '.join(places)}." + (f" {WHY[party]}" if party in WHY else "")
        for party, places in faster.items()
    )


def versions() -> str:
    """The libraries that are there."""
    names = ("torch", "jax", "autograd", "mygrad", "scikit-learn")
    there = []
    for name in names:
        try:
            there.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            there.append(f"{name} not installed")
    return ", ".join(there)


def report(results: list[Result], cores: int) -> str:
    """Everything in words and tables."""
    parts = [part for part in TITLES if any(r.part == part for r in results)]
    texts = [
        f"Measured on {machine()}, {versions()}. A part with n threads had n of the {cores} cores "
        f"that were there for it.",
        "## What was to be reached",
        table_of_targets(results),
        "## Where others are quicker than the replay",
        "In brackets how many times their time the replay takes. A few hundredths are no "
        "difference.",
        behind(results) or "Nowhere.",
    ]
    for part in parts:
        texts += [f"## {TITLES[part]} (`{part}`)", WHAT[part], table_of_part(part, results)]
    return "\n\n".join(text for text in texts if text)


# ---- the plot -----------------------------------------------------------------------------------

COLOURS = {
    REPLAY: "#c8102e", EAGER: "#e8888f", BUFFERS: "#222222", PLAIN: "#888888",
}  # fmt: skip
OTHERS = ("#1f5fa8", "#6fa8dc", "#2a8c4a", "#a8792a", "#7d4fa0", "#c7a500")


def colour(party: str) -> str:
    """The colour of a party in all pictures."""
    if party in COLOURS:
        return COLOURS[party]
    return OTHERS[list(LIBRARIES).index(party) % len(OTHERS)] if party in LIBRARIES else "#555555"


def plot(results: list[Result], path: Path) -> None:
    """Bars for the parts that have one time, lines for the others."""
    from matplotlib.figure import Figure

    there = [r for r in results if r.value is not None]
    bars = [p for p in ("tiny", "middle", "large", "lenet", "mnist", "flower") if of(there, p)]
    lines = [p for p in ("elementwise", "depth") if of(there, p)]
    panels: list[tuple[Callable[..., None], str, int]] = [
        *[(draw_bars, part, 0) for part in bars],
        *[(draw_lines, p, n) for p in lines for n in sorted({r.threads for r in of(there, p)})],
    ]
    if not panels:
        return
    columns = min(3, len(panels))
    height = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.6 * height), layout="constrained")
    grid = list(figure.subplots(height, columns, squeeze=False).flat)
    for axes, (draw, part, threads) in zip(grid, panels, strict=False):
        draw(axes, part, of(there, part), threads)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


def of(results: list[Result], part: str) -> list[Result]:
    """The results of a part."""
    return [r for r in results if r.part == part]


def draw_bars(axes: Any, part: str, results: list[Result], _: int) -> None:
    """A bar for each party: all colour for one thread, pale for several."""
    parties = list(dict.fromkeys(r.party for r in results))[::-1]
    counts = sorted({r.threads for r in results})
    for i, threads in enumerate(counts):
        for r in results:
            if r.threads == threads:
                where = parties.index(r.party) - 0.4 * (i - (len(counts) - 1) / 2)
                shade = 1.0 if threads == 1 else 0.45
                axes.barh(where, r.value, 0.8 / len(counts), color=colour(r.party), alpha=shade)
                axes.text(r.value, where, f" {number(r.value)}", va="center", fontsize=6)
    values = [r.value or 0 for r in results]
    axes.set(
        xscale="log",
        xlim=(min(values) / 1.6, max(values) * 2.2),
        xlabel=f"{results[0].unit}, logarithmic",
    )
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(parties)), parties, fontsize=7)
    pale = ", ".join(counted(n) for n in counts if n > 1)
    axes.set_title(TITLES[part] + (f"\n(pale: {pale})" if len(counts) > 1 else ""), fontsize=9)


def draw_lines(axes: Any, part: str, results: list[Result], threads: int) -> None:
    """A line for each party, over sizes."""
    ours = [r for r in results if r.threads == threads]
    for party in dict.fromkeys(r.party for r in ours):
        points = [(float(r.case), r.value) for r in ours if r.party == party]
        axes.plot(*zip(*points, strict=True), "o-", ms=3, lw=1.2, color=colour(party), label=party)
    what = "elements" if part == "elementwise" else "ops"
    axes.set(xscale="log", yscale="log", xlabel=what, ylabel=ours[0].unit)
    axes.set_title(f"{TITLES[part]}, {counted(threads)}", fontsize=9)
    axes.legend(fontsize=6)
    axes.grid(alpha=0.3)


# ---- the page -----------------------------------------------------------------------------------

PAGE = f"""# Speed

Eager mode pays Python for every op. `ag.compile(step)` captures a step once and replays it as a
list of NumPy calls. This page says what that gains, beside NumPy written by hand and beside other
libraries, and where others are quicker.

```sh
python -m benchmarks.replay --readme     # all parts, about a quarter of an hour; writes this page
python -m benchmarks.replay tiny         # one part, to the terminal
```

![Times of all parts](pictures/{PICTURE})

## How it was measured

- All parties compute the same thing, and they are asked to: before a time is taken, the losses and
  the parameters of all of them must agree to what float32 can hold, from the same start.
- They run in one process, in turn, for some milliseconds each. A time is the median over all
  turns. A ratio is the median of the ratios of turns that stood side by side, so it need not be the
  ratio of the two times. Each turn begins with the initial parameters.
- A part has one process for each number of threads. This number is set for OpenBLAS, OpenMP, MKL
  and PyTorch, and the process may use only as many cores, which is what JAX goes by. With several
  threads, a turn begins with a pause of 40 ms and a call that is not timed: OpenBLAS's threads wait
  busily for some time, and would disturb whoever comes next. If another program is busy on the same
  cores, these waiting threads cost much more than any library does. Then the times with several
  threads mean nothing.
- "NumPy by hand, with buffers": every array has its place before the first step, and every result
  is written with `out=`. "NumPy by hand": the same formulas as one would write them down.
- "autograd_mini, eager" and "autograd_mini, replayed" run the same function, which computes the
  loss, calls `backward`, and updates, in the networks by `optim.SGD`.
- PyTorch, eager, is updated by `p.sub_(p.grad, alpha=rate)`, which is quicker than its `SGD`.
  `torch.compile` and `jax.jit` get the whole step in one function; what they take to compile it is
  not counted, and nor is our capture. Their examples are Tensors of their own already.
- MyGrad has its memory guards off. scikit-learn's step is `partial_fit` of an `MLPClassifier` on
  the batch. It checks its arguments each time and is not made for small steps.
- Memory: NumPy's arrays are counted by `tracemalloc`, PyTorch's by its own profiler, which writes
  down what its allocator gives and takes back. JAX's number is the plan of its compiler. All count
  the bytes of arrays, not the pages of the process.

<!-- benchmarks.replay: begin -->
<!-- benchmarks.replay: end -->
"""


def write_page(text: str, results: list[Result]) -> None:
    """Put the tables onto docs/speed.md, which is begun if it is not there, and the picture."""
    page = DOCS / "speed.md"
    if not page.exists():
        write_whole(page, PAGE.encode())
    write_between(page, "benchmarks.replay", text)
    plot(results, DOCS / "pictures" / PICTURE)


# ---- the command --------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write down if asked to; the number of parts that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--threads", type=int, help="only with so many threads")
    parser.add_argument("--repetitions", type=int, help="how often each takes its turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to a file")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="save the table and the plot")
    parser.add_argument("--readme", action="store_true", help="write docs/speed.md")
    options = parser.parse_args(arguments)
    if strangers := set(options.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(strangers)}; there are {', '.join(PARTS)}")
    if (options.save or options.readme) and importlib.util.find_spec("matplotlib") is None:
        parser.error("the plot needs matplotlib: pip install 'autograd-mini[demo]'")
    affinity = getattr(os, "sched_getaffinity", None)
    cores = sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))
    if options.threads is not None and not 1 <= options.threads <= len(cores):
        parser.error(f"--threads is from 1 to {len(cores)}, the cores that there are")
    counts = [options.threads] if options.threads else sorted({1, len(cores)})
    results: list[Result] = []
    failed = 0
    for part in options.parts or PARTS:
        for threads in [1] if part in ONE_THREAD else counts:
            try:
                results += run_part(part, threads, cores, options.repetitions)
            except subprocess.CalledProcessError as error:
                failed += 1
                why = f"FAILED with exit code {error.returncode}; its message is above"
                results.append(Result(part, "", REPLAY, threads, None, note=why))
    text = report(results, len(cores))
    print(f"\n{text}")
    if options.json:
        numbers = {"machine": machine(), "results": [result._asdict() for result in results]}
        write_whole(options.json, (json.dumps(numbers, indent=1) + "\n").encode())
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        write_whole(options.save / "speed.md", f"{text}\n".encode())
        plot(results, options.save / PICTURE)
    if options.readme:
        write_page(text, results)
    return failed


if __name__ == "__main__":
    sys.exit(main())
