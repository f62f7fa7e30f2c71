"""The house: how large the core is, who may import whom, what an import and a graph cost."""

from __future__ import annotations

import ast
import gc
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases import PRIMITIVES
from renamed import rename

import autograd_mini as ag
from autograd_mini.core.graph import Node
from autograd_mini.core.primitive import KINDS, Primitive

PACKAGE = Path(ag.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: From the bottom to the top: a module imports only from those before it in this list.  "" is the
#: package itself, with the public names; what comes after it uses the package as users do.
HOUSE = [
    "files",
    "text",
    "npz",
    "travel",
    "memory",
    "border",
    "signatures",
    "core.primitive",
    "core.graph",
    "refusals",
    "methods",
    "core.tensor",
    "core.ops",
    "core",
    "activations",
    "special",
    "numpy_functions",
    "linalg",
    "numpy_statistics",
    "numpy_options",
    "trace",
    "functional",
    "formulas",
    "check",
    "exchange",
    "program",
    "explain",
    "draw",
    "explore",
    "compile",
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


def test_no_two_files_import_each_other_by_any_way() -> None:
    names = {module_name(path) for path in MODULES}

    def file_of(name: str) -> str:
        while name not in names:
            name = name.rpartition(".")[0]
        return name

    arrows = {
        module_name(path): {file_of(other) for _, other in imported(path)} - {module_name(path)}
        for path in MODULES
    }

    def reached(name: str) -> set[str]:
        found, stack = set[str](), [name]
        while stack:
            new = arrows[stack.pop()] - found
            found |= new
            stack += new
        return found

    reach = {name: reached(name) for name in names}
    circles = {
        frozenset({other for other in reach[name] if name in reach[other]})
        for name in names
        if name in reach[name]
    }
    assert circles == set()


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


# ---- what is known of single ops, and who looks at frames ---------------------------------------

#: Where ops are declared.  Everything else asks what the declarations say.
DECLARATIONS = ("core", "nn", "optim", "activations", "special", "numpy_functions", "linalg")
#: How many places compare with single ops or keep tables of them.  It only falls.
MOST_OPS = 35
#: How many functions look at frames, bytecode or profiles.  It only falls.
MOST_FRAMES = 20
FRAMES = re.compile(
    r"_getframe|f_(locals|globals|back|code|lineno|lasti)|__code__|__closure__|co_[a-z]+|tb_frame"
    r"|setprofile|settrace|currentframe|getsource|findsource|get_instructions|cell_contents"
)


def ops_in(path: Path, tree: ast.AST) -> set[str]:
    """How the ops that a file imports are written there: ``ops.add``, ``relu``."""
    here = ["autograd_mini", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            home = ".".join([*here[: len(here) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                called = alias.asname or alias.name
                thing = getattr(sys.modules[home], alias.name, None)
                modules = vars(thing) if isinstance(thing, ModuleType) else {}
                found |= {called} if isinstance(thing, Primitive) else set()
                found |= {f"{called}.{x}" for x, y in modules.items() if isinstance(y, Primitive)}
    return found


class Tables:
    """The tables of ops in a file: displays that have ops, or names of ops, as keys or elements."""

    def __init__(self, path: Path, known: Iterable[str] = (), text: str | None = None) -> None:
        self.tree = ast.parse(path.read_text() if text is None else text)
        self.ops = ops_in(path, self.tree)
        self.op_names = {primitive.name for primitive in PRIMITIVES} - {*KINDS}
        imports = [x for x in ast.walk(self.tree) if isinstance(x, ast.ImportFrom) and x.level]
        self.names = {x.name for node in imports for x in node.names} & {*known}
        for node in ast.walk(self.tree):  # in the order of the lines, on the level of the module
            is_value = isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
            if is_value and self.is_table(node.value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.names |= {x.id for x in targets if isinstance(x, ast.Name)}

    def is_op(self, node: ast.AST) -> bool:
        """Whether an expression is an op, or its ``id``."""
        if isinstance(node, ast.Call):
            return ast.unparse(node.func) == "id" and self.is_op(node.args[0])
        if isinstance(node, ast.Subscript):
            return ast.unparse(node).startswith("implementations[np.")
        return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in self.ops

    def is_table(self, node: ast.AST | None) -> bool:
        """Whether an expression is a table of ops."""
        match node:
            case ast.Name(id=name) | ast.Starred(value=ast.Name(id=name)):
                return name in self.names
            case ast.Dict(keys=keys, values=values):
                parts: list[Any] = [*keys, *values]
            case ast.Set(elts=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
                pass
            case ast.Starred(value=inner):
                return self.is_table(inner)
            case _:
                return False
        names = [x for x in parts if isinstance(x, ast.Constant) and x.value in self.op_names]
        size = len(parts) // (1 + isinstance(node, ast.Dict))
        mostly = isinstance(node, ast.Set | ast.Dict) and 1 < size < 2 * len(names)
        return mostly or any(self.is_op(x) or self.is_table(x) for x in parts)

    def is_comparison(self, node: ast.AST) -> bool:
        """Whether an expression compares something with an op, a name or a template of one."""
        if not isinstance(node, ast.Compare):
            return False
        sides = [node.left, *node.comparators]
        asked = {ast.unparse(x) for x in sides if isinstance(x, ast.Attribute)}
        of_op = {x.rpartition(".")[2] for x in asked if re.search(r"(primitive|op)\.\w+$", x)}
        constants = [x.value for y in sides for x in ast.walk(y) if isinstance(x, ast.Constant)]
        by_name = "name" in of_op and not self.op_names.isdisjoint(constants)
        by_itself = any(self.is_op(x) or self.is_table(x) for x in sides)
        return by_name or by_itself or "template" in of_op

    def places(self) -> list[int]:
        """The lines of the tables, and of the comparisons with ops; each outermost one counts."""
        found, stack = [], [self.tree]
        while stack:
            node = stack.pop()
            several = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
            if several and isinstance(node.value, ast.Tuple):  # a, b = ...
                stack += node.value.elts
            elif isinstance(node, ast.Name | ast.Starred):
                continue
            elif self.is_table(node) or self.is_comparison(node):
                found.append(node.lineno)  # type: ignore[attr-defined]
            else:
                stack += ast.iter_child_nodes(node)
        return sorted(found)


def known_ops() -> dict[str, list[int]]:
    """The places of all files outside of declarations that know single ops."""
    paths = [path for path in MODULES if path.name != "__init__.py"]  # facades hand names on
    paths = [path for path in paths if module_name(path).split(".")[0] not in DECLARATIONS]
    names = {name for path in paths for name in Tables(path).names}
    places = {module_name(path): Tables(path, names).places() for path in paths}
    return {name: lines for name, lines in places.items() if lines}


def looking_at_frames() -> dict[str, list[str]]:
    """The functions that look at frames, bytecode or profiles, by their files."""
    found: dict[str, list[str]] = {}
    for path in MODULES:
        stack: list[tuple[ast.AST, str]] = [(ast.parse(path.read_text()), "the module")]
        while stack:
            node, inside = stack.pop()
            if isinstance(node, ast.FunctionDef):
                inside = node.name
            named = node.value if isinstance(node, ast.Constant) else getattr(node, "attr", "")
            if isinstance(named, str) and FRAMES.fullmatch(named):
                found.setdefault(module_name(path), []).append(inside)
            stack += [(child, inside) for child in ast.iter_child_nodes(node)]
    return {name: sorted({*functions}) for name, functions in found.items()}


def test_what_is_known_of_ops_is_counted_as_described() -> None:
    known = """
        from ..core import ops
        from ..core.ops import add as plus
        x = call.primitive is ops.add or plus == call.primitive
        TABLE = {ops.add: 1, **{ops.tanh: ops.tanh}}
        NAMES = {"add", "tanh"}
        IDS = [id(plus)]
        OTHERS = {1}
        OTHERS |= {plus}
        x = op in TABLE, op.name in NAMES, op.name == "add", op.template == "$x", op in OTHERS
    """
    allowed = """
        from ..core import ops
        y = ops.add(1, 2)
        a, b = ops.add, 3
        x = op.kind in ("reshape", "copy"), op.name == name, op.kernel is np.add, row.name == "add"
        NUMBERS = {"sum": 1, "mean": 2, "median": 3, "mode": 4}
    """
    path = PACKAGE / "trace" / "record.py"
    assert len(Tables(path, (), inspect.cleandoc(known)).places()) == 2 + 4 + 5
    assert not Tables(path, (), inspect.cleandoc(allowed)).places()


@pytest.mark.parametrize(
    ("count", "limit"), [(known_ops, "MOST_OPS"), (looking_at_frames, "MOST_FRAMES")]
)
def test_what_is_to_go_becomes_less(count: Callable[[], dict[str, list[Any]]], limit: str) -> None:
    found = count()
    number, most = sum(map(len, found.values())), globals()[limit]
    assert number <= most, f"ask for `kind` or `python`, or have the engine say it: {found}"
    assert number == most, f"good: lower the limit {limit} to {number}"


# ---- promises that are tried on a copy ----------------------------------------------------------


@pytest.fixture
def copy_of_all(tmp_path: Path) -> Path:
    """The files that the tests of ops need, in a folder of their own."""
    for name in ("autograd_mini", "tests", "setup.cfg", "pyproject.toml"):
        source = PACKAGE.parent / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def outcome_of_tests(folder: Path, *words: str) -> str:
    """The last line of what pytest says in a copy, in which all must pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": ""}
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout.strip().splitlines()[-1]


SOFTSIGN = r"""

softsign = elementwise(
    lambda x: x / (1 + np.abs(x)), r"\frac{$x}{1 + |$x|}", name="softsign", analytic=False,
    x=lambda g, y: g * np.square(1 - np.abs(y)))
"""
ROW = """

CASES.append(
    elementwise(
        ops.softsign, lambda x: x / (1 + abs(x)), REAL, x=lambda x: 1 / (1 + abs(x)) ** 2
    )
)
"""


@pytest.mark.slow
def test_a_new_op_is_one_declaration_and_one_row(copy_of_all: Path) -> None:
    for name, text in (("autograd_mini/core/ops.py", SOFTSIGN), ("tests/cases.py", ROW)):
        with (copy_of_all / name).open("a") as file:
            file.write(text)
    files = ["tests/test_ops.py", "tests/test_formulas.py", "tests/test_source.py"]
    words = "softsign or primitive or row or every or thousand or known_of_ops"
    last = outcome_of_tests(
        copy_of_all, "tests/test_structure.py", *files, "-k", words, "-m", "not slow"
    )
    assert int(last.split()[0]) > 20, last


@pytest.mark.slow
def test_nobody_looks_for_the_local_variables_of_the_core(copy_of_all: Path) -> None:
    assert rename(copy_of_all / "autograd_mini" / "core") > 100
    names = ("ops", "graph", "observers", "trace", "compile", "functional", "modules", "gradcheck")
    outcome_of_tests(
        copy_of_all, *[f"tests/test_{name}.py" for name in names], "-x", "-m", "not slow"
    )


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
