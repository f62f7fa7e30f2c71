"""What all benchmarks of speed share: turns, rows, tables, the machine."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autograd_mini.files import write_whole

ROOT = Path(__file__).resolve().parent.parent
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # read by NumPy's import


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
    before_turn: Callable[[str], Any] = lambda name: None,
    sample: float = 0.01,
    pause: float = 0.0,
) -> dict[str, np.ndarray]:
    """Time functions in turn.

    Parameters
    ----------
    contenders : dict of callable
        What is timed, each under its name.
    repetitions : int
        How often each takes its turn.
    before_turn : callable
        Called with the name before each turn, untimed.
    sample : float
        About how long one turn takes, in seconds: a quick function is called often in a turn.
    pause : float
        Seconds before each turn, in which the threads that the one before has left waiting go to
        sleep; then a call that is not timed wakes one's own.

    Returns
    -------
    dict of ndarray, shape (repetitions,)
        Microseconds per call, one for each turn.
    """
    calls = {}
    for name, function in contenders.items():
        for _ in range(2):  # the first may have to compile something
            start = time.perf_counter()
            function()
            seconds = time.perf_counter() - start
            if seconds > 1:
                break
        calls[name] = max(1, round(sample / seconds))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, function in contenders.items():
            before_turn(name)
            if pause:
                time.sleep(pause)
                function()
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            times[name].append((time.perf_counter() - start) / calls[name] * 1e6)
    return {name: np.array(each) for name, each in times.items()}


def threads() -> int:
    """How many threads this process was started to compute with."""
    return int(os.environ[THREADS[0]])


def installed(name: str) -> bool:
    """Whether a library to compare with is there; a line says so if it is not."""
    found = importlib.util.find_spec(name) is not None
    if not found:
        print(f"{name} is not installed and takes no part")
    return found


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


def write_between(path: Path, marker: str, text: str) -> None:
    """Put a text between the two comments of a page that have a marker."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    write_whole(path, f"{before}{begin}\n{text}\n{end}{after}".encode())


# ---- imports ------------------------------------------------------------------------------------


def fresh(statement: str, cache: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a statement in a new interpreter, which finds compiled modules in a folder of its own."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, *options, "-c", statement]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )


def import_time(module: str, cache: Path) -> float:
    """Milliseconds that the import of a module takes in a new interpreter."""
    timed = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(fresh(timed, cache).stdout) * 1e3
