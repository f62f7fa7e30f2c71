"""Give all local variables of some Python files other names, so that who looks for them fails.

``python tests/renamed.py FOLDER`` rewrites the files of a copy.  Parameters stay, for those of
rules and kernels are the declaration of an op; so do the names of modules that a function imports.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def parameters(arguments: ast.arguments) -> set[str]:
    """The names of a function's parameters."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    more = [x for x in (arguments.vararg, arguments.kwarg) if x]
    return {x.arg for x in (*listed, *more)}


def bound(body: list[ast.AST], *, walrus_only: bool = False) -> set[str]:
    """The names that a scope binds itself, and not one inside of it."""
    found: set[str] = set()
    stack = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.NamedExpr):
            found.add(node.target.id)
        if isinstance(node, COMPREHENSIONS):
            found |= bound([*ast.iter_child_nodes(node)], walrus_only=True)
            continue
        if isinstance(node, FUNCTIONS | ast.ClassDef):
            if not isinstance(node, ast.Lambda) and not walrus_only:
                found.add(node.name)
            continue
        if not walrus_only:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            if isinstance(node, ast.ExceptHandler) and node.name:
                found.add(node.name)
        stack += ast.iter_child_nodes(node)
    return found


def elsewhere(body: list[ast.AST]) -> set[str]:
    """The names that a scope does not own though it binds them."""
    found: set[str] = set()
    for node in [inner for part in body for inner in ast.walk(part)]:
        if isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    return found


class Renamer(ast.NodeTransformer):
    """Adds something to each local name."""

    def __init__(self) -> None:
        self.known: list[dict[str, str]] = [{}]
        self.count = 0

    def scope(self, names: set[str], hidden: set[str]) -> dict[str, str]:
        inherited = {k: v for k, v in self.known[-1].items() if k not in hidden | names}
        self.count += len(names)
        return {**inherited, **{name: f"{name}_renamed" for name in names}}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.known[-1].get(node.id, node.id)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = self.known[-1].get(node.name, node.name) if node.name else None
        return self.generic_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [self.known[-1].get(name, name) for name in node.names]
        return node

    def function(self, node: ast.AST) -> ast.AST:
        assert isinstance(node, FUNCTIONS)
        outside = [node.args.defaults, [x for x in node.args.kw_defaults if x]]
        if not isinstance(node, ast.Lambda):
            outside.append(node.decorator_list)
            node.name = self.known[-1].get(node.name, node.name)
        for part in outside:
            part[:] = [self.visit(x) for x in part]
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
        given = parameters(node.args)
        self.known.append(self.scope(bound(body) - given - elsewhere(body), given))
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = [self.visit(x) for x in node.body]
        self.known.pop()
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = function  # noqa: N815

    def comprehension(self, node: ast.AST) -> ast.AST:
        assert isinstance(node, COMPREHENSIONS)
        node.generators[0].iter = self.visit(node.generators[0].iter)
        names = bound([x.target for x in node.generators])
        self.known.append(self.scope(names, set()))
        for i, generator in enumerate(node.generators):
            generator.target = self.visit(generator.target)
            generator.iter = self.visit(generator.iter) if i else generator.iter
            generator.ifs = [self.visit(x) for x in generator.ifs]
        for field in ("elt", "key", "value"):
            if hasattr(node, field):
                setattr(node, field, self.visit(getattr(node, field)))
        self.known.pop()
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.bases = [self.visit(x) for x in node.bases]
        inside = bound([*node.body])  # of a class, whose names stay
        outer = self.known[-1]
        self.known[-1] = {k: v for k, v in outer.items() if k not in inside}
        node.body = [self.visit(x) for x in node.body]
        self.known[-1] = outer
        return node


def rename(folder: Path) -> int:
    """Rewrite the files of a folder, and say how many names have been changed."""
    count = 0
    for path in sorted(folder.glob("*.py")):
        renamer = Renamer()
        tree = renamer.visit(ast.parse(path.read_text()))
        path.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n")
        count += renamer.count
    return count


if __name__ == "__main__":
    print(rename(Path(sys.argv[1])), "local names have been changed")
