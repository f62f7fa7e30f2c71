"""The kernels of ops as text: what the lines of a program say, and the functions that they call."""

from __future__ import annotations

import ast
import builtins
import copy
import dis
import functools
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, NoReturn

import numpy as np

from ..core import ops
from ..core.primitive import Primitive
from ..formulas.names import NUMPY_NAMES
from ..text import clean
from .literals import (
    LONGEST_EXPRESSION,
    MOST_DATA,
    Names,
    array_text,
    dtype_text,
    identifier,
    number_text,
    parsed,
)

SPECIAL = "scipy.special"
OURS = ops.__name__.removesuffix("core.ops")
#: Functions of ours that only take a shorter way, as a reader of NumPy writes them.
SHORTCUTS = {
    "core.ops.sum_along": "np.sum(x, axis=axis, keepdims=keepdims)",
    "core.ops.max_along": "np.max(x, axis=axis, keepdims=keepdims)",
    "nn.ops.product": "a @ b",
}
#: What a kernel may consist of to be written as a line.
PLAIN = (
    *(ast.Name, ast.Load, ast.Constant, ast.Attribute, ast.Call, ast.keyword, ast.Starred),
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript, ast.Slice, ast.Tuple, ast.List),
    *(ast.operator, ast.unaryop, ast.cmpop),
)


def numpy_name(thing: Any) -> str | None:
    """What NumPy calls something of its own; None if it is not NumPy's or has no public name."""
    name = getattr(thing, "__name__", None)
    for module, path in ((np, "np"), (np.linalg, "np.linalg"), (np.fft, "np.fft")):
        if isinstance(name, str) and getattr(module, name, None) is thing:
            return f"{path}.{name}"
    return None


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def global_names(code: CodeType) -> set[str]:
    """The names that a function looks up in its module."""
    return {
        instruction.argval
        for part in codes(code)
        for instruction in dis.get_instructions(part)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }


def writes_globals(code: CodeType) -> bool:
    """Whether a function assigns to names of its module, or of the function around it."""
    return any(
        instruction.opname == "STORE_GLOBAL"
        or (instruction.opname == "STORE_DEREF" and instruction.argval in code.co_freevars)
        for part in codes(code)
        for instruction in dis.get_instructions(part)
    )


def definition(function: FunctionType) -> ast.FunctionDef:
    """The definition of a function in its own source; a lambda as the def that it stands for.

    Raises
    ------
    ValueError
        If there is no source, or it does not tell which of several lambdas this is.
    """
    code = function.__code__
    try:
        definitions = definitions_in("".join(inspect.findsource(code)[0]))
    except (OSError, TypeError, SyntaxError, IndexError) as error:
        raise ValueError(
            "its source is not to be had: define it in a file or in a notebook cell"
        ) from error
    candidates: list[Any] = [
        node
        for node in definitions.get(code.co_name, [])
        if [argument.arg for argument in arguments_of(node.args)] == parameters(code)
        and encloses(node, code)
    ]
    candidates.sort(key=lambda node: (node.end_lineno - node.lineno, size_on_line(node)))
    if not candidates:
        raise ValueError("its source is not to be had: the file has changed since it was run")
    found = candidates[0]
    if isinstance(found, ast.FunctionDef):
        return copy.deepcopy(found)
    body: list[ast.stmt] = [ast.Return(found.body)]
    made = ast.FunctionDef("function", found.args, body, [], None, None)
    return ast.fix_missing_locations(copy.deepcopy(made))


@functools.lru_cache(8)
def definitions_in(text: str) -> dict[str, list[ast.FunctionDef | ast.Lambda]]:
    """The functions that a module defines, by their names."""
    found: dict[str, list[ast.FunctionDef | ast.Lambda]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            found.setdefault(getattr(node, "name", "<lambda>"), []).append(node)
    return found


def arguments_of(arguments: ast.arguments) -> list[ast.arg]:
    """All parameters, in the order in which a code object has them."""
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [x for x in (arguments.vararg, arguments.kwarg) if x is not None]


def parameters(code: CodeType) -> list[str]:
    """The names of the parameters of a code object."""
    stars = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars])


def encloses(node: Any, code: CodeType) -> bool:
    """Whether all instructions of a code object come from inside a definition."""
    if isinstance(node, ast.FunctionDef):
        first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    if node.lineno != code.co_firstlineno:
        return False
    places = [place for place in code.co_positions() if None not in place]
    inside = [p for p in places if (p[0], p[2]) != (code.co_firstlineno, 0) or p[3] != 0]
    if not inside:
        raise ValueError("its source is not to be had: Python runs without positions in its code")
    return all(start <= (p[0], p[2]) and (p[1], p[3]) <= end for p in inside)


def size_on_line(node: Any) -> int:
    """How long a definition is that ends on the line where it starts."""
    return int(node.end_col_offset - node.col_offset)


class Bare(ast.NodeTransformer):
    """Takes from a function what readers of a short program need not see."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """No decorators, no annotation, and one line of the docstring."""
        self.generic_visit(node)
        node.decorator_list, node.returns = [], None
        text = ast.get_docstring(node)
        if text is not None:
            node.body = node.body[1:]
            line = ast.Expr(ast.Constant(clean(text.strip().partition("\n")[0])))
            node.body = [line, *node.body]
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """No annotation."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """An assignment; nothing if there is no value."""
        self.generic_visit(node)
        return node.value and ast.Assign([node.target], node.value, lineno=node.lineno)


class Put(ast.NodeTransformer):
    """Puts expressions in the place of names, and several in the place of ``*xs``."""

    def __init__(self, found: dict[str, ast.expr | list[ast.expr]]) -> None:
        self.found = found

    def visit_Name(self, node: ast.Name) -> Any:
        """What is in the place of a name; several as a tuple."""
        found = self.found.get(node.id, node)
        return ast.Tuple(found, ast.Load()) if isinstance(found, list) else found

    def visit_Starred(self, node: ast.Starred) -> Any:
        """All of them."""
        if isinstance(node.value, ast.Name) and isinstance(self.found.get(node.value.id), list):
            return self.found[node.value.id]
        return self.generic_visit(node)


class Referring(ast.NodeTransformer):
    """Replaces what a function finds outside of itself by what that is called in the program."""

    def __init__(self, kernels: Kernels, outside: dict[str, Any], inside: set[str]) -> None:
        self.kernels = kernels
        self.outside = outside
        self.inside = inside

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A function, a module or a constant."""
        if isinstance(node.ctx, ast.Load) and node.id in self.outside:
            return self.put(self.outside[node.id], node.id)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A shortcut of ours as what it stands for, if that is wanted."""
        function = self.outside.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if not isinstance(function, FunctionType) or not self.kernels.plain or node.keywords:
            return self.generic_visit(node)
        name = f"{function.__module__}.{function.__name__}".removeprefix(OURS)
        if name not in SHORTCUTS:
            return self.generic_visit(node)
        arguments = [self.visit(x) for x in node.args]
        return filled(
            SHORTCUTS[name], dict(zip(parameters(function.__code__), arguments, strict=True))
        )

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Likewise, by way of a module of ours or an op."""
        found = self.looked_up(node)
        return self.generic_visit(node) if found is None else self.put(found, node.attr)

    def put(self, thing: Any, name: str) -> ast.AST:
        """What something is called in the program; no variable of the function may hide that."""
        text = self.kernels.reference(thing, name)
        if text.partition(".")[0] in self.inside:
            raise ValueError(f"it has a variable with the name of another function, {text}")
        return parsed(text)

    def looked_up(self, node: ast.expr) -> Any:
        """What ``softmax.kernel`` or ``ag.sigmoid`` is; None for what can stay as it stands."""
        if isinstance(node, ast.Name):
            thing = self.outside.get(node.id)
            ours = isinstance(thing, ModuleType) and not known_module(thing)
            return thing if ours or isinstance(thing, Primitive) else None
        if isinstance(node, ast.Attribute):
            owner = self.looked_up(node.value)
            return None if owner is None else getattr(owner, node.attr)
        return None


def known_module(module: ModuleType) -> bool:
    """Whether a module is NumPy or in Python's own library."""
    return is_known(module.__name__)


def is_known(name: str) -> bool:
    """Whether a module of this name is NumPy or in Python's own library."""
    top = name.partition(".")[0]
    return top == "numpy" or top in sys.stdlib_module_names


def refuse_imports(node: ast.FunctionDef) -> None:
    """Raise if a function imports what a program that needs NumPy alone cannot."""
    for part in ast.walk(node):
        names = [x.name for x in part.names] if isinstance(part, ast.Import) else []
        if isinstance(part, ast.ImportFrom):
            names = ["." * part.level + (part.module or "")]
        for name in names:
            if not is_known(name):
                refuse_module(name)


def refuse_module(name: str) -> NoReturn:
    """Raise: a kernel needs another package."""
    raise ValueError(f"it uses the module {name}, and the program shall run with NumPy alone")


class Kernels:
    """How the calls of a run are written, and the functions that are needed for it.

    Parameters
    ----------
    names : Names
        Of the program.
    plain : bool
        Whether to write what shortcuts stand for, which may differ in the last bit.
    """

    def __init__(self, names: Names, plain: bool = False) -> None:
        self.names = names
        self.plain = plain
        self.imports: dict[str, None] = {}
        self.constants: dict[str, str] = {}  # name -> text
        self.functions: dict[str, str] = {}  # name -> text, those that it uses before it
        self._called: dict[Any, str] = {}  # what already has a name in the program

    def expression(
        self,
        primitive: Primitive,
        operands: Sequence[ast.expr],
        statics: Mapping[str, Any],
        outcome: Any,
    ) -> ast.expr:
        """A call as an expression of its operands; ``outcome`` is the array that came out.

        Raises
        ------
        ValueError
            If it cannot be written; the error names the op.
        """
        try:
            return self._expression(primitive, operands, statics, outcome)
        except ValueError as error:
            raise ValueError(
                f"the op {clean(primitive.name)} cannot be written: {error}"
            ) from error

    def _expression(
        self,
        primitive: Primitive,
        operands: Sequence[ast.expr],
        statics: Mapping[str, Any],
        outcome: Any,
    ) -> ast.expr:
        kernel = primitive.kernel
        named: dict[str, Any] = dict(zip(primitive.operands, operands, strict=False))
        if primitive.variadic:
            named[primitive.operands[-1]] = list(operands[len(primitive.operands) - 1 :])
        if primitive.kind == "index":
            first, *indices = operands
            return ast.Subscript(first, self.key(statics["key"], indices), ast.Load())
        if primitive.kind == "permutation" and is_reversal(statics["axes"], np.ndim(outcome)):
            return ast.Attribute(operands[0], "T", ast.Load())
        form = primitive.python or ""
        if isinstance(kernel, np.ufunc) and numpy_name(kernel) and "$" in form:
            floats = kernel.nin == 1 and np.ndim(outcome) and outcome.dtype.kind == "f"
            if "**" not in form or floats:  # other powers may have other bits
                return filled(form.replace("$", ""), named)
        if primitive.kind == "cast":
            named["dtype"] = parsed(dtype_text(np.dtype(statics["dtype"])))
            return filled("x.astype(dtype)", named)
        if primitive.kind == "reduction" and primitive in NUMPY_NAMES:
            given = {k: v for k, v in statics.items() if v is not primitive.defaults.get(k)}
            if isinstance(axis := given.get("axis"), tuple) and len(axis) == 1:
                given["axis"] = axis[0]
            named |= {name: parsed(self.literal(value)) for name, value in given.items()}
            text = f"np.{NUMPY_NAMES[primitive]}(x, axis=axis, keepdims=keepdims)"
            return filled(text, named, leave_out=statics.keys() - given.keys())
        if isinstance(kernel, FunctionType) and numpy_name(kernel) is None:
            node = definition(kernel)
            if is_plain(node, kernel):
                named |= {name: parsed(self.literal(value)) for name, value in statics.items()}
                returned: Any = node.body[-1]
                return filled(ast.unparse(returned.value), named)
        return ast.Call(
            parsed(self.reference(primitive, primitive.name)),
            list(operands),
            [
                ast.keyword(name, parsed(self.literal(value)))
                for name, value in statics.items()
                if not (name in primitive.defaults and value is primitive.defaults[name])
            ],
        )

    def key(self, key: Any, indices: Sequence[ast.expr]) -> ast.expr:
        """What stands between the brackets of ``x[...]``."""
        rest = iter(indices)

        def part(x: Any) -> ast.expr:
            if x is ops.Index:
                return next(rest)
            if isinstance(x, slice):
                bounds = [None if y is None else self.index(y) for y in (x.start, x.stop, x.step)]
                return ast.Slice(*bounds)
            return self.index(x)

        if not isinstance(key, tuple):
            return part(key)
        parts = [part(x) for x in key]
        return parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())

    def scattered(
        self, name: str, x: str, indices: Sequence[ast.expr], masks: bool, statics: Any
    ) -> list[str]:
        """Zeros of a name, and a line that adds to them."""
        made = f"{name} = np.zeros_like({x}, shape={self.literal(statics['shape'])})"
        if masks:
            place = ast.Subscript(parsed(name), self.key(statics["key"], indices), ast.Store())
            return [made, f"{ast.unparse(place)} = {x}"]
        rest = iter(indices)
        parts = [
            ast.unparse(next(rest)) if part is ops.Index else self.literal(part)
            for part in statics["key"]
        ]
        key = parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
        return [made, f"np.add.at({name}, {key}, {x})"]

    def index(self, x: Any) -> ast.expr:
        """A number, ... or None in a key."""
        whole = isinstance(x, np.generic) and x.dtype.kind in "iu"
        return parsed(self.literal(int(x) if whole else x))

    def literal(self, x: Any) -> str:
        """A value of a program as the expression that makes it."""
        if type(x) in (type(None), bool, int, str, bytes):
            return repr(x)
        if x is Ellipsis:
            return "..."
        if type(x) is np.ndarray or isinstance(x, np.generic):
            if x.size > MOST_DATA:
                raise ValueError(f"it holds an array of shape {x.shape}: make that an operand")
            return array_text(x)
        if type(x) in (float, complex):
            return number_text(x)
        if isinstance(x, np.dtype):
            return f"np.dtype({x.str!r})"
        if isinstance(x, slice):
            return f"slice({', '.join(map(self.literal, (x.start, x.stop, x.step)))})"
        if type(x) is tuple:
            return f"({', '.join(map(self.literal, x))}{',' * (len(x) == 1)})"
        if type(x) is list:
            return f"[{', '.join(map(self.literal, x))}]"
        if type(x) is dict:
            pairs = [f"{self.literal(key)}: {self.literal(value)}" for key, value in x.items()]
            return f"{{{', '.join(pairs)}}}"
        return self.reference(x, "")

    def reference(self, thing: Any, name: str) -> str:
        """What something that kernels use is called in the program, which then has it."""
        if isinstance(thing, Primitive):
            return self.reference_to(thing.kernel, thing.name)
        if isinstance(thing, FunctionType):
            name = thing.__name__ if thing.__name__ != "<lambda>" else name
        return self.reference_to(thing, name)

    def reference_to(self, thing: Any, name: str) -> str:
        """Likewise, of something that shall have a name like this one."""
        if (known := numpy_name(thing)) is not None:
            return known
        if isinstance(thing, type) and thing in BUILTIN_TYPES:
            return thing.__name__
        if isinstance(thing, ModuleType):
            return self._module(thing)
        if (home := library_of(thing)) is not None:
            return self._imported(thing, home)
        if isinstance(thing, FunctionType):
            return self._function(thing, identifier(name or "function"))
        if callable(thing) or isinstance(thing, type):
            raise ValueError(
                f"it uses {clean(repr(thing), 80)}, which is neither NumPy's nor a plain function"
            )
        if type(thing) not in PLAIN_TYPES and not isinstance(thing, np.generic | np.dtype):
            raise ValueError(f"it uses {clean(repr(thing), 80)}, which has no exact text")
        return self._constant(self.literal(thing), identifier(name or "constant"))

    def _module(self, module: ModuleType) -> str:
        """NumPy, or a module of Python's own library, which is imported."""
        if module.__name__.partition(".")[0] == "numpy":
            return "np" + module.__name__.removeprefix("numpy")
        if not known_module(module):
            refuse_module(module.__name__)
        if module not in self._called:
            self._called[module] = self.names.new(identifier(module.__name__.replace(".", "_")))
            self.imports[import_of(module.__name__, self._called[module])] = None
        return self._called[module]

    def _imported(self, thing: Any, home: str) -> str:
        """A function of a library, imported by its name."""
        if thing not in self._called:
            public = thing.__name__
            called = self._called[thing] = self.names.new(public)
            alias = "" if called == public else f" as {called}"
            self.imports[f"from {home} import {public}{alias}"] = None
        return self._called[thing]

    def _constant(self, text: str, name: str) -> str:
        """A number or the like that kernels share, under its own name."""
        for called, known in self.constants.items():
            if known == text and re.fullmatch(rf"{re.escape(name)}(_\d+)?", called):
                return called
        called = self.names.new(name)
        self.constants[called] = text
        return called

    def _function(self, function: FunctionType, name: str) -> str:
        """A function, copied from its source with all that it uses."""
        if function in self._called:
            return self._called[function]
        node = definition(function)
        refuse_imports(node)
        if writes_globals(function.__code__):
            raise ValueError("it changes variables outside of itself")
        inside = local_names(function.__code__)
        self.names.taken |= inside
        called = self._called[function] = self.names.new(name)
        node.args.defaults = [parsed(self.literal(x)) for x in function.__defaults__ or ()]
        given = function.__kwdefaults__ or {}
        node.args.kw_defaults = [
            parsed(self.literal(given[x.arg])) if x.arg in given else None
            for x in node.args.kwonlyargs
        ]
        bare: Any = Bare().visit(node)
        referring = Referring(self, outside_of(function), inside)
        bare.body = [referring.visit(part) for part in bare.body]
        bare.name = called
        self.functions[called] = ast.unparse(ast.fix_missing_locations(bare))
        return called


BUILTIN_TYPES = frozenset(thing for thing in vars(builtins).values() if isinstance(thing, type))
#: What a constant may be.
PLAIN_TYPES: frozenset[type] = frozenset(
    [type(None), bool, int, float, complex, str, bytes, tuple, list, dict, slice, np.ndarray]
)


def library_of(thing: Any) -> str | None:
    """The module of NumPy, SciPy or Python's own library that has something under its name."""
    home, name = getattr(thing, "__module__", None), getattr(thing, "__name__", None)
    if isinstance(name, str) and getattr(sys.modules.get(SPECIAL), name, None) is thing:
        return SPECIAL
    if not isinstance(home, str) or not isinstance(name, str) or home == "builtins":
        return None
    if home.partition(".")[0] not in {"numpy", *sys.stdlib_module_names}:
        return None
    places = [place for place in (home.lstrip("_"), home) if place in sys.modules]
    found = [place for place in places if getattr(sys.modules[place], name, None) is thing]
    return found[0] if found else None


def import_of(module: str, name: str) -> str:
    """The line that imports a module under a name."""
    return f"import {module}" if module == name else f"import {module} as {name}"


def local_names(code: CodeType) -> set[str]:
    """The names that a function, or one inside it, has for its own variables."""
    return {name for part in codes(code) for name in (*part.co_varnames, *part.co_cellvars)} - {
        *code.co_freevars
    }


def outside_of(function: FunctionType) -> dict[str, Any]:
    """What a function finds outside of itself, without Python's builtins."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            raise ValueError(f"its variable {name} has no value yet") from None
    for name in global_names(function.__code__) - found.keys():
        if name in function.__globals__:
            found[name] = function.__globals__[name]
        elif not hasattr(builtins, name):
            raise ValueError(f"its variable {name} has no value")
    return found


def is_plain(node: ast.FunctionDef, kernel: FunctionType) -> bool:
    """Whether a kernel is one short expression of its parameters and NumPy."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return False
    expression = body[0].value
    if not all(isinstance(part, PLAIN) for part in ast.walk(expression)):
        return False
    known = {*parameters(kernel.__code__)}
    outside = {n.id for n in ast.walk(expression) if isinstance(n, ast.Name) and n.id not in known}
    return (
        len(ast.unparse(expression)) <= LONGEST_EXPRESSION
        and outside <= {"np"}
        and (not outside or kernel.__globals__.get("np") is np)
        and "np" not in kernel.__code__.co_freevars
        and "out" not in known
    )


def filled(
    text: str, named: dict[str, ast.expr | list[ast.expr]], leave_out: Iterable[str] = ()
) -> ast.expr:
    """An expression with operands and statics put in."""
    tree: Any = parsed(text)
    if isinstance(tree, ast.Call):
        tree.keywords = [x for x in tree.keywords if x.arg not in {*leave_out}]
    result: ast.expr = Put(named).visit(tree)
    return result


def is_reversal(axes: Sequence[int] | None, ndim: int) -> bool:
    """Whether a transposition puts the axes into reverse order."""
    return axes is None or [i % ndim for i in axes] == list(range(ndim))[::-1]
