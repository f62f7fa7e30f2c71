"""Functions as their source says, for programs that need them whole."""

from __future__ import annotations

import ast
import inspect
import symtable
import sys
import textwrap
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from ..text import clean


class Put(ast.NodeTransformer):
    """Puts expressions in the place of names, and of dotted ones."""

    def __init__(self, found: Mapping[str, ast.expr]) -> None:
        self.found = found

    def visit_Name(self, node: ast.Name) -> Any:
        """What is in the place of a name."""
        return self.found.get(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """What is in the place of a dotted name."""
        return self.found.get(ast.unparse(node)) or self.generic_visit(node)


def definition(function: FunctionType) -> ast.FunctionDef:
    """The definition of a function in its own source, as readers of a short program want it.

    Raises
    ------
    ValueError
        If there is no source, or it is not that of the function.
    """
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError) as error:
        raise ValueError(
            "its source is not to be had: define it by def, in a file or in a notebook cell"
        ) from error
    if not isinstance(node, ast.FunctionDef) or node.name != function.__name__:
        raise ValueError("its source is not to be had: define it by def, not by lambda")
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            refuse_module(*[x.name for x in part.names])
        if isinstance(part, ast.ImportFrom):
            refuse_module("." * part.level + (part.module or ""))
    found: ast.FunctionDef = bare(node)
    return found


def bare(tree: Any) -> Any:
    """A definition without what readers of a short program need not see."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list, node.returns = [], None
            if (text := ast.get_docstring(node)) is not None:
                node.body[0] = first_line(text)
        if isinstance(node, ast.arg):
            node.annotation = None
        for name, parts in ast.iter_fields(node):
            if isinstance(parts, list):
                setattr(node, name, [unannotated(part) for part in parts])
    return tree


def unannotated(node: Any) -> Any:
    """A plain assignment for one with an annotation."""
    if not isinstance(node, ast.AnnAssign):
        return node
    return ast.Assign([node.target], node.value, lineno=0) if node.value else ast.Pass()


def first_line(docstring: str) -> ast.Expr:
    """A docstring of one line."""
    return ast.Expr(ast.Constant(clean(docstring.strip().partition("\n")[0])))


def outside_of(function: FunctionType, node: ast.FunctionDef) -> dict[str, Any]:
    """What a function, with those inside it, finds outside by its names, but for builtins."""
    try:
        tables = symtable.symtable(ast.unparse(node), "program", "exec").get_children()
    except SyntaxError as error:  # nonlocal
        raise ValueError("it changes variables outside of itself") from error
    known = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    found = {}
    for table in tables:  # which grows
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_declared_global() and symbol.is_assigned():
                raise ValueError("it changes variables outside of itself")
            if symbol.is_global() and symbol.get_name() in known:
                found[symbol.get_name()] = known[symbol.get_name()]
    return found


def refuse_module(*names: str) -> None:
    """Raise if a kernel needs another package than NumPy and Python's own."""
    for name in names:
        if name.partition(".")[0] not in ("numpy", *sys.stdlib_module_names):
            raise ValueError(
                f"it uses the module {name}, and the program shall run with NumPy alone"
            )
