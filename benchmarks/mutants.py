"""How many planted faults of the engine the tests find.

::

    python -m benchmarks.mutants                                  # 100 faults, two at a time
    python -m benchmarks.mutants --suite ../other --json found.json
    python -m benchmarks.mutants --only 3 17 -- -m "slow or not slow"

Each mutant is one change of one place of ``autograd_mini/core``: a comparison turned, an operator
or a number replaced, a condition negated, an argument or a statement left out, None returned.
Types, texts and the making of errors are left alone.  On each one, in a copy of the checkout, the
test files of the changed module run until the first failure.  What follows ``--`` goes to pytest.
"""

from __future__ import annotations

import argparse
import ast
import copy
import itertools
import json
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
CORE = Path("autograd_mini") / "core"
#: The test files of each module, those first that fail soonest.
TESTS = {
    "graph": "graph primitive tensor trace random_graphs ops",
    "ops": "ops numpy_protocols tensor random_graphs numpy_functions",
    "primitive": "primitive graph ops trace random_graphs",
    "tensor": "tensor numpy_protocols graph primitive trace numpy_functions ops",
}
TURNED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Lt: ast.LtE, ast.LtE: ast.Lt},
    **{ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.FloorDiv: ast.Mod},
}


class Mutant(NamedTuple):
    """One change: the text between two places of a module, and what takes its place."""

    module: str
    node: Any
    now: str

    def __str__(self) -> str:
        was = " ".join(ast.unparse(self.node).split())
        return f"{self.module}.py:{self.node.lineno}: {was[:70]}  ->  {self.now[:70]}"

    def applied(self, text: str) -> str:
        """The source of the module with the change."""
        lines = [line.encode() for line in text.splitlines(keepends=True)]
        first, last = self.node.lineno - 1, self.node.end_lineno - 1
        before = b"".join(lines[:first]) + lines[first][: self.node.col_offset]
        after = lines[last][self.node.end_col_offset :] + b"".join(lines[last + 1 :])
        return (before + self.now.encode() + after).decode()


def changes(node: ast.AST) -> Iterator[str]:
    """What may stand in the place of a node."""

    def changed(**fields: Any) -> str:
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return f"({ast.unparse(other)})"

    match node:
        case ast.Compare(ops=[op, *rest]):
            yield changed(ops=[TURNED[type(op)](), *rest])
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in TURNED:
            yield changed(op=TURNED[type(op)]())
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield repr(value + 1)
        case ast.Call(args=args, keywords=keywords):
            if args:
                yield changed(args=args[:-1])
            if keywords:
                yield changed(keywords=keywords[:-1])
        case ast.IfExp(test=test):
            yield changed(test=ast.UnaryOp(ast.Not(), test))
        case ast.Return(value=ast.expr()):
            yield "return None"
        case ast.AugAssign() | ast.Expr(value=ast.Call()) | ast.Delete():
            yield "pass"


def sites(module: str, node: ast.AST) -> Iterator[Mutant]:
    """Every mutant of a part of a module."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.ImportFrom | ast.Import):
        return
    for now in changes(node):
        yield Mutant(module, node, now)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        if name == "test" and isinstance(node, ast.If | ast.While):
            yield Mutant(module, value, f"(not ({ast.unparse(value)}))")
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from sites(module, part)


def drawn(suite: Path, number: int, seed: int) -> list[Mutant]:
    """Mutants of all modules, as many of each kind of place as there are, at most."""
    kinds: dict[type, list[Mutant]] = {}
    for module in TESTS:
        text = (suite / CORE / f"{module}.py").read_text("utf-8")
        for mutant in sites(module, ast.parse(text)):
            kinds.setdefault(type(mutant.node), []).append(mutant)
    draw = random.Random(seed)
    for mutants in kinds.values():
        draw.shuffle(mutants)
    in_turn = [x for row in itertools.zip_longest(*kinds.values()) for x in row if x]
    return sorted(in_turn[:number], key=lambda x: (x.module, x.node.lineno, x.node.col_offset))


def trial(mutant: Mutant | None, module: str, place: Path, options: list[str], limit: float) -> Any:
    """Run the tests of a module in a copy, with a mutant; the outcome, the test, the seconds."""
    path = place / CORE / f"{module}.py"
    original = path.read_text("utf-8")
    files = [f"tests/test_{name}.py" for name in TESTS[module].split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider"]
    start = time.perf_counter()
    try:
        if mutant:
            path.write_text(mutant.applied(original), "utf-8")
        shutil.rmtree(place / CORE / "__pycache__", ignore_errors=True)  # it may look up to date
        done = subprocess.run(
            [*command, *options, *files],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(place), "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        by = failed[1] if failed else (done.stdout + done.stderr)[-200:] if done.returncode else ""
        outcome = "killed" if done.returncode else "alive"
    except subprocess.TimeoutExpired:
        outcome, by = "killed", f"nothing for {limit:.0f} seconds"
    finally:
        path.write_text(original, "utf-8")
    return outcome, by, round(time.perf_counter() - start, 1)


def main() -> None:
    """Make the mutants, try them, and print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", type=Path, default=ROOT, help="the checkout to try")
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the mutants to try")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write what was found")
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    args = parser.parse_args()

    mutants = drawn(args.suite, args.number, args.seed)
    numbers = range(args.number) if args.only is None else args.only
    with tempfile.TemporaryDirectory() as folder:
        places: queue.Queue[Path] = queue.Queue()
        for job in range(args.jobs):
            place = Path(folder) / str(job)
            shutil.copytree(args.suite, place, ignore=shutil.ignore_patterns(".*", "__pycache__"))
            places.put(place)

        def tried(mutant: Mutant | None, module: str, limit: float) -> Any:
            place = places.get()
            try:
                return trial(mutant, module, place, args.options, limit)
            finally:
                places.put(place)

        def unchanged(module: str) -> float:
            outcome, by, seconds = tried(None, module, 1200)
            assert outcome == "alive", f"without a mutant {by} fails"
            print(f"{module}: {seconds} s without a mutant", flush=True)
            return float(seconds)

        def told(number: int) -> dict[str, Any]:
            mutant = mutants[number]
            outcome, by, seconds = tried(mutant, mutant.module, 60 + 3 * whole[mutant.module])
            print(f"{number:3} {outcome} {seconds:6.1f} s  {mutant}  {by}", flush=True)
            row = {"number": number, "mutant": str(mutant), "module": mutant.module}
            return {**row, "outcome": outcome, "by": by, "seconds": seconds}

        with ThreadPoolExecutor(args.jobs) as pool:
            whole = dict(zip(TESTS, pool.map(unchanged, TESTS), strict=True))
            rows = list(pool.map(told, numbers))
    for module in TESTS:
        outcomes = [row["outcome"] for row in rows if row["module"] == module]
        print(f"{module}: {outcomes.count('killed')} of {len(outcomes)} mutants killed")
    print(f"all: {sum(row['outcome'] == 'killed' for row in rows)} of {len(rows)} mutants killed")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
