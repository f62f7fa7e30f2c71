"""The house: how large the core is, who may import whom, what an import and a graph cost."""

from __future__ import annotations

import ast
import gc
import io
import subprocess
import sys
import tokenize
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.core.graph import Node

PACKAGE = Path(ag.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: From the bottom to the top: a module imports only from those before it in this list.  "" is the
#: package itself, with the public names; what comes after it uses the package as users do.
HOUSE = [
    "files",
    "text",
    "npz",
    "core.primitive",
    "core.graph",
    "methods",
    "core.tensor",
    "core.ops",
    "core",
    "activations",
    "numpy_functions",
    "trace",
    "functional",
    "symbols",
    "check",
    "exchange",
    "explain",
    "draw",
    "explore",
    "program",
    "nn",
    "optim",
    "data",
    "training",
    "",
    "demo",
    "own_process",
    "cli",
    "__main__",
]


# ---- size ---------------------------------------------------------------------------------------


def docstring_lines(tree: ast.AST) -> set[int]:
    """The lines of docstrings, as the parser sees them."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                lines.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def code_lines(source: str) -> set[int]:
    """All lines that a token of code touches: no docstrings, no comments, no blank lines."""
    no_code = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in no_code:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstring_lines(ast.parse(source))


def test_lines_of_code_are_counted_as_described() -> None:
    source = (
        '"""Doc\nstring."""\n\n# comment\nx = (1,\n     # why\n     2)  # two\n\ns = """a\n\nb"""\n'
    )
    assert code_lines(source) == {5, 7, 9, 10, 11}


def test_the_core_has_at_most_a_thousand_lines_of_code() -> None:
    sizes = {
        path.name: len(code_lines(path.read_text())) for path in (PACKAGE / "core").glob("*.py")
    }
    assert sum(sizes.values()) <= 1000, sizes


# ---- who imports whom ---------------------------------------------------------------------------


def module_name(path: Path) -> str:
    """The dotted name of a file of the package, without the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """The modules of the package that a file imports, anywhere in it, with the line."""
    here = ["autograd_mini", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "autograd_mini":
                yield node.lineno, ".".join(name.split(".")[1:])


def floor(name: str) -> int:
    """Where in the house a module is, or the module that a name is imported from."""
    parts = name.split(".")
    while parts and ".".join(parts) not in HOUSE:
        parts.pop()
    return HOUSE.index(".".join(parts))


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_strictly_downwards(path: Path) -> None:
    name = module_name(path)
    assert name == "" or floor(name) != HOUSE.index(""), f"{name} has no place in HOUSE"
    for line, other in imported(path):
        sibling = floor(other) == floor(name) and other.split(".")[0] == name.split(".")[0]
        assert floor(other) < floor(name) or sibling, (
            f"{path.name}:{line} imports {other or 'the package itself'}, which is not below it"
        )


def test_the_core_imports_nothing_but_python_and_numpy() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or top == "numpy", f"{path.name}: {name}"


HEAVY = [
    *("graphviz", "matplotlib", "scipy", "tqdm", "sklearn", "pooch", "safetensors"),
    *("numba", "dask", "torch", "pandas", "selenium"),
]


def test_importing_the_package_imports_no_optional_library() -> None:
    program = (
        "import sys, autograd_mini; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
        timeout=60,
    )
    assert not {*HEAVY} & {*result.stdout.split()}


def test_public_names_are_there_and_documented() -> None:
    assert sorted(ag.__all__) == list(ag.__all__)
    for name in ag.__all__:
        assert getattr(ag, name).__doc__, name


# ---- depth --------------------------------------------------------------------------------------

DEPTH = 100_000


def chain(x: Any, length: int) -> Any:
    """One op after the other, of two kinds."""
    for _ in range(length // 2):
        x = -(x * 1.0)
    return x


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_chain_of_a_hundred_thousand_ops_goes_forward_backward_and_is_freed(
    create_graph: bool,
) -> None:
    x = ag.Tensor(2.0, requires_grad=True)
    y = chain(x, DEPTH)
    assert y.item() == 2.0
    y.backward(create_graph=create_graph)
    assert x.grad.item() == 1.0
    del y
    x.grad = None


def test_a_chain_that_nobody_goes_back_through_is_freed() -> None:
    gc.disable()
    try:
        before = sum(type(thing) is Node for thing in gc.get_objects())
        y = chain(ag.Tensor(2.0, requires_grad=True), DEPTH)
        assert sum(type(thing) is Node for thing in gc.get_objects()) == before + DEPTH + 1
        del y
        assert sum(type(thing) is Node for thing in gc.get_objects()) == before
    finally:
        gc.enable()


def test_doubling_sixty_four_times_takes_sixty_four_nodes() -> None:
    x = ag.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(64):
        y = y + y
    y.backward(create_graph=True)
    assert y.item() == x.grad.item() == 2.0**64


# ---- memory -------------------------------------------------------------------------------------


def test_a_recorded_op_takes_at_most_350_bytes_besides_its_arrays() -> None:
    length = 10_000
    gc.collect()
    tracemalloc.start()
    try:
        x = ag.Tensor(1.0, requires_grad=True)
        y = chain(x, 12)
        start, _ = tracemalloc.get_traced_memory()
        y = chain(y, length)
        end, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # neither op keeps an array, so this is all that they leave behind
    assert (end - start) / length <= 350
    y.backward()
    assert x.grad.item() == 1


def test_ops_keep_no_array_that_no_rule_asks_for() -> None:
    tracemalloc.start()
    try:
        x = ag.Tensor(np.ones(100_000), requires_grad=True)
        start, _ = tracemalloc.get_traced_memory()
        y = x
        for _ in range(20):
            y = -(y + 1.0)
        end, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert end - start <= 1.2 * x.data.nbytes  # the last result alone
