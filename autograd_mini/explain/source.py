"""A run as a program: straight-line NumPy, forward and backward, that needs nothing but NumPy.

Each recorded call becomes one line.  What a line says comes from the kernel that the engine ran:
NumPy's functions by their names, kernels of one expression as that expression, and all others as
functions, copied from their own source with what they use.  So the program cannot drift from the
engine, and computes the same bits.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dis
import inspect
import keyword
import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive, implementations
from ..core.tensor import assignment
from ..text import clean
from ..trace import Call, Trace, Value

MOST_DATA = 200  # numbers that are written into a program
MOST_CONSTANT = 16  # numbers of an array without a name that is written into a line
LONGEST_NAME = 40
LONGEST_LINE = 100
LONGEST_EXPRESSION = 60  # of a kernel that is written as a line, not as a function
FUNCTION = "cost_and_gradients"
RESERVED = {"np", "gradients", "gradient", "name", FUNCTION, *dir(builtins), *keyword.kwlist}

#: Kernels as a reader of NumPy writes them; statics with their default values are left out.
WRITTEN: dict[Primitive, str] = {
    ops.add: "a + b",
    ops.subtract: "a - b",
    ops.multiply: "a * b",
    ops.divide: "a / b",
    ops.negative: "-x",
    ops.matrix_product: "a @ b",
    ops.reduce_sum: "np.sum(x, axis=axis, keepdims=keepdims)",
    ops.reduce_max: "np.max(x, axis=axis, keepdims=keepdims)",
    ops.reduce_min: "np.min(x, axis=axis, keepdims=keepdims)",
    **{
        implementations[ufunc]: f"a {sign} b"
        for ufunc, sign in {
            np.greater: ">",
            np.greater_equal: ">=",
            np.less: "<",
            np.less_equal: "<=",
            np.equal: "==",
            np.not_equal: "!=",
            np.bitwise_and: "&",
            np.bitwise_or: "|",
            np.bitwise_xor: "^",
        }.items()
    },
}
#: What a kernel may consist of to be written as a line.
PLAIN = (
    *(ast.Name, ast.Load, ast.Constant, ast.Attribute, ast.Call, ast.keyword, ast.Starred),
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript, ast.Slice, ast.Tuple, ast.List),
    *(ast.operator, ast.unaryop, ast.cmpop),
)


# ---- names --------------------------------------------------------------------------------------


def identifier(name: str) -> str:
    """A name as Python lets a variable be called, as like it as possible."""
    text = unicodedata.normalize("NFKC", name[:LONGEST_NAME])
    text = "".join([c if f"_{c}".isidentifier() else "_" for c in text])
    text = text if text.strip("_") else "value"
    text = unicodedata.normalize("NFKC", text if text.isidentifier() else f"x{text}")
    return f"{text}_" if text in RESERVED else text


class Names:
    """Names that are all different."""

    def __init__(self) -> None:
        self.taken = set(RESERVED)

    def new(self, wanted: str) -> str:
        """A name that nothing has yet: the one that is wanted, or with a number behind it."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted.rstrip('_')}_{number}"
        self.taken.add(name)
        return name

    def numbered(self, letter: str) -> str:
        """The first of ``u1``, ``u2``, ... that nothing has yet."""
        number = 1
        while f"{letter}{number}" in self.taken:
            number += 1
        return self.new(f"{letter}{number}")


# ---- numbers ------------------------------------------------------------------------------------


def number_text(x: Any) -> str:
    """A number with all its digits, as short as its dtype lets it be."""
    x = np.asarray(x)[()]
    if x.dtype.kind == "c":
        return f"complex({number_text(x.real)}, {number_text(x.imag)})"
    if x.dtype.kind != "f":
        return repr(x.item())
    if np.isnan(x):
        return "-np.nan" if np.signbit(x) else "np.nan"
    if np.isinf(x):
        return "np.inf" if x > 0 else "-np.inf"
    short = str(x)
    return short if x.dtype.type(float(short)) == x else repr(float(x))


def dtype_text(dtype: np.dtype[Any]) -> str:
    """A dtype as an argument; those of foreign byte order by their code."""
    return f"np.{dtype.type.__name__}" if dtype.isnative else repr(dtype.str)


def nested(array: Any) -> str:
    """The elements of an array as nested lists, a row on a line."""
    if array.ndim == 0:
        return number_text(array)
    if array.ndim == 1:
        return f"[{', '.join([number_text(x) for x in array])}]"
    parts = [nested(part) for part in array]
    if "\n" not in (line := f"[{', '.join(parts)}]") and len(line) <= LONGEST_EXPRESSION:
        return line
    return "[\n" + "".join([f"{indented(part)},\n" for part in parts]) + "]"


def array_text(array: Any) -> str:
    """An expression that makes this very array: the same bits, dtype and order in memory."""
    array = np.asarray(array)
    if array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise ValueError(f"there is no exact way to write numbers of dtype {array.dtype}")
    if not array.flags.c_contiguous:
        axes = tuple(sorted(range(array.ndim), key=lambda i: -abs(array.strides[i])))
        if array.flags.f_contiguous:
            return f"{array_text(array.T)}.T"
        if array.transpose(axes).flags.c_contiguous:
            return f"{array_text(array.transpose(axes))}.transpose({ops.inverse(axes)})"
    usual = array.dtype.isnative and array.dtype in (float, bool, int, complex)
    dtype = "" if usual else f", dtype={dtype_text(array.dtype)}"
    if array.ndim == 0 and array.dtype.isnative:
        return f"{dtype_text(array.dtype)}({number_text(array)})"
    if not array.size:
        as_usual = array.dtype == float and array.dtype.isnative
        return f"np.zeros({array.shape}{'' if as_usual else f', dtype={dtype_text(array.dtype)}'})"
    if (text := regular(array)) is not None:
        return text
    return f"np.array({nested(array)}{dtype})"


def regular(array: Any) -> str | None:
    """An array of one number everywhere, or of 0, 1, 2, ...; None if it is not like that."""
    flat = np.ascontiguousarray(array).reshape(-1)
    dtype = f", dtype={dtype_text(array.dtype)}"
    if flat.size > 2 and flat.tobytes() == flat[:1].tobytes() * flat.size:
        number = number_text(flat[0])
        make = {"0.0": "zeros", "1.0": "ones", "True": "ones", "False": "zeros"}.get(number)
        usual = array.dtype == float and array.dtype.isnative
        shape = array.shape[0] if array.ndim == 1 else array.shape
        if make:
            return f"np.{make}({shape}{'' if usual else dtype})"
        return f"np.full({shape}, {number}{'' if usual else dtype})"
    if array.dtype == int and flat.size > 1 and np.array_equal(flat, np.arange(flat.size)):
        return f"np.arange({flat.size})" + (f".reshape({array.shape})" if array.ndim > 1 else "")
    return None


def size_of(value: Value) -> int:
    """How many numbers a value is, and more than enough if they cannot be written."""
    writable = value.dtype.itemsize <= (16 if value.dtype.kind == "c" else 8)
    return value.array.size if writable else MOST_DATA + 1


# ---- text ---------------------------------------------------------------------------------------


def indented(text: str) -> str:
    """A text moved to the right."""
    return "\n".join([f"    {line}" if line else "" for line in text.split("\n")])


def parsed(text: str) -> ast.expr:
    """An expression as a syntax tree."""
    return ast.parse(text, mode="eval").body


def called_with(start: str, arguments: Sequence[str], end: str) -> str:
    """A call or a signature: on one line, or each argument on its own."""
    line = f"{start}{', '.join(arguments)}{end}"
    if len(line) <= LONGEST_LINE:
        return line
    return start + "\n" + "".join([f"    {argument},\n" for argument in arguments]) + end


# ---- kernels ------------------------------------------------------------------------------------


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
        lines, _ = inspect.findsource(code)
        tree = ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError, IndexError) as error:
        raise ValueError(
            "its source is not to be had: define it in a file or in a notebook cell"
        ) from error
    candidates: list[Any] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda if code.co_name == "<lambda>" else ast.FunctionDef)
        and [argument.arg for argument in arguments_of(node.args)] == parameters(code)
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

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
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
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:  # noqa: N802
        self.generic_visit(node)
        return node.value and ast.Assign([node.target], node.value, lineno=node.lineno)


class Put(ast.NodeTransformer):
    """Puts expressions in the place of names, and several in the place of ``*xs``."""

    def __init__(self, found: dict[str, ast.expr | list[ast.expr]]) -> None:
        self.found = found

    def visit_Name(self, node: ast.Name) -> Any:  # noqa: N802
        found = self.found.get(node.id, node)
        return ast.Tuple(found, ast.Load()) if isinstance(found, list) else found

    def visit_Starred(self, node: ast.Starred) -> Any:  # noqa: N802
        if isinstance(node.value, ast.Name) and isinstance(self.found.get(node.value.id), list):
            return self.found[node.value.id]
        return self.generic_visit(node)


class Referring(ast.NodeTransformer):
    """Replaces what a function finds outside of itself by what that is called in the program."""

    def __init__(self, kernels: Kernels, outside: dict[str, Any]) -> None:
        self.kernels = kernels
        self.outside = outside

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        if isinstance(node.ctx, ast.Load) and node.id in self.outside:
            return parsed(self.kernels.reference(self.outside[node.id], node.id))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # noqa: N802
        found = self.looked_up(node)
        if found is not None:
            return parsed(self.kernels.reference(found, node.attr))
        return self.generic_visit(node)

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
    top = module.__name__.partition(".")[0]
    return top == "numpy" or top in sys.stdlib_module_names


class Kernels:
    """How the calls of a run are written, and the functions that are needed for it."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.imports: dict[str, None] = {}
        self.constants: dict[str, str] = {}  # name -> text
        self.functions: dict[str, str] = {}  # name -> text, those that it uses before it
        self._called: dict[Any, str] = {}  # what already has a name in the program

    def expression(self, call: Call, operands: list[ast.expr], outcome: Value) -> ast.expr:
        """A call as an expression of its operands.

        Raises
        ------
        ValueError
            If it cannot be written; the error names the op.
        """
        try:
            return self._expression(call, operands, outcome)
        except ValueError as error:
            raise ValueError(f"the op {clean(call.primitive.name)} cannot be written: {error}") from (
                error
            )

    def _expression(self, call: Call, operands: list[ast.expr], outcome: Value) -> ast.expr:
        primitive, kernel, statics = call.primitive, call.primitive.kernel, call.statics
        named: dict[str, Any] = dict(zip(primitive.operands, operands, strict=False))
        if primitive.variadic:
            many = len(primitive.operands) - 1
            named[primitive.operands[-1]] = operands[many:]
        if primitive is ops.getitem:
            first, *indices = operands
            return ast.Subscript(first, self.key(statics["key"], indices), ast.Load())
        if primitive is ops.transpose and is_reversal(call):
            return ast.Attribute(operands[0], "T", ast.Load())
        if primitive is ops.square and outcome.array.ndim and outcome.dtype.kind == "f":
            return ast.BinOp(operands[0], ast.Pow(), ast.Constant(2))
        if primitive is ops.convert:
            named["dtype"] = parsed(dtype_text(np.dtype(statics["dtype"])))
            return filled("x.astype(dtype)", named)
        if primitive in WRITTEN:
            given = {k: v for k, v in statics.items() if v is not primitive.defaults.get(k)}
            if isinstance(axis := given.get("axis"), tuple) and len(axis) == 1:
                given["axis"] = axis[0]
            named |= {name: parsed(self.literal(value)) for name, value in given.items()}
            return filled(WRITTEN[primitive], named, leave_out=statics.keys() - given.keys())
        if isinstance(kernel, FunctionType) and numpy_name(kernel) is None:
            node = definition(kernel)
            if is_plain(node, kernel):
                named |= {name: parsed(self.literal(value)) for name, value in statics.items()}
                returned: Any = node.body[-1]
                return filled(ast.unparse(returned.value), named)
        return ast.Call(
            parsed(self.reference(primitive, primitive.name)),
            operands,
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

    def index(self, x: Any) -> ast.expr:
        """A number, ... or None in a key."""
        whole = isinstance(x, np.generic) and x.dtype.kind in "iu"
        return parsed(self.literal(int(x) if whole else x))

    def literal(self, x: Any) -> str:
        """A value of a program as the expression that makes it."""
        if x is None or isinstance(x, bool | int | str | bytes):
            return repr(x)
        if x is Ellipsis:
            return "..."
        if isinstance(x, np.ndarray | np.generic):
            if x.size > MOST_DATA:
                raise ValueError(f"it holds an array of shape {x.shape}: make that an operand")
            return array_text(x)
        if isinstance(x, float | complex):
            return number_text(x)
        if isinstance(x, np.dtype):
            return f"np.dtype({x.str!r})"
        if isinstance(x, slice):
            return f"slice({', '.join(map(self.literal, (x.start, x.stop, x.step)))})"
        if type(x) in (tuple, list, set) and (x or not isinstance(x, set)):
            comma = "," if isinstance(x, tuple) and len(x) == 1 else ""
            left, right = {tuple: "()", list: "[]", set: "{}"}[type(x)]
            return f"{left}{', '.join(map(self.literal, x))}{comma}{right}"
        if type(x) is dict:
            pairs = [f"{self.literal(key)}: {self.literal(value)}" for key, value in x.items()]
            return f"{{{', '.join(pairs)}}}"
        return self.reference(x, "")

    def reference(self, thing: Any, name: str) -> str:
        """What something that kernels use is called in the program, which then has it."""
        if isinstance(thing, Primitive):
            thing, name = thing.kernel, thing.name
        elif isinstance(thing, FunctionType):
            name = thing.__name__ if thing.__name__.isidentifier() else name
        if (known := numpy_name(thing)) is not None:
            return known
        if isinstance(thing, type) and getattr(builtins, thing.__name__, None) is thing:
            return thing.__name__
        if isinstance(thing, ModuleType):
            return self._module(thing)
        home = getattr(thing, "__module__", None) or ""
        own = home.partition(".")[0]
        if isinstance(home, str) and (own == "numpy" or own in sys.stdlib_module_names):
            public = getattr(thing, "__name__", "")
            if getattr(sys.modules.get(home), public, None) is thing and own != "builtins":
                return self._imported(thing, home, public)
        if isinstance(thing, FunctionType):
            return self._function(thing, identifier(name or "function"))
        if callable(thing) or isinstance(thing, type):
            raise ValueError(
                f"it uses {clean(repr(thing), 80)}, which is neither NumPy's nor a plain function"
            )
        if type(thing) not in PLAIN_TYPES and not isinstance(thing, np.ndarray | np.generic):
            raise ValueError(f"it uses {clean(repr(thing), 80)}, which has no exact text")
        return self._constant(self.literal(thing), identifier(name or "constant"))

    def _module(self, module: ModuleType) -> str:
        """NumPy, or a module of Python's own library, which is imported."""
        if module.__name__.partition(".")[0] == "numpy":
            return "np" + module.__name__.removeprefix("numpy")
        if not known_module(module):
            raise ValueError(
                f"it uses the module {module.__name__}, and the program shall run with NumPy alone"
            )
        if module not in self._called:
            self._called[module] = self.names.new(identifier(module.__name__.replace(".", "_")))
            self.imports[import_of(module.__name__, self._called[module])] = None
        return self._called[module]

    def _imported(self, thing: Any, home: str, public: str) -> str:
        """A function of a library, imported by its name."""
        if thing not in self._called:
            called = self._called[thing] = self.names.new(public)
            alias = "" if called == public else f" as {called}"
            self.imports[f"from {home.lstrip('_')} import {public}{alias}"] = None
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
        if writes_globals(function.__code__):
            raise ValueError("it changes variables outside of itself")
        self.names.taken |= {part.id for part in ast.walk(node) if is_local(part, function)}
        called = self._called[function] = self.names.new(name)
        node.args.defaults = [parsed(self.literal(x)) for x in function.__defaults__ or ()]
        given = function.__kwdefaults__ or {}
        node.args.kw_defaults = [
            parsed(self.literal(given[x.arg])) if x.arg in given else None
            for x in node.args.kwonlyargs
        ]
        bare: Any = Bare().visit(node)
        bare.body = [Referring(self, outside_of(function)).visit(part) for part in bare.body]
        bare.name = called
        self.functions[called] = ast.unparse(ast.fix_missing_locations(bare))
        return called


PLAIN_TYPES = {type(None), bool, int, float, complex, str, bytes, tuple, list, set, dict, slice}
PLAIN_TYPES |= {type(Ellipsis), *(type(np.dtype(code)) for code in "?bhilqBHILQefdgFDG")}


def import_of(module: str, name: str) -> str:
    """The line that imports a module under a name."""
    return f"import {module}" if module == name else f"import {module} as {name}"


def is_local(node: ast.AST, function: FunctionType) -> bool:
    """Whether a part of a function's text is the name of something that it finds inside itself."""
    return isinstance(node, ast.Name) and node.id not in outside_names(function)


def outside_names(function: FunctionType) -> set[str]:
    """The names that a function finds outside of itself."""
    return global_names(function.__code__) | {*function.__code__.co_freevars}


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


def is_reversal(call: Call) -> bool:
    """Whether a transposition puts the axes into reverse order."""
    axes, ndim = call.statics.get("axes"), call.output.array.ndim
    return axes is None or [i % ndim for i in axes] == list(range(ndim))[::-1]


# ---- what belongs to the program ----------------------------------------------------------------


def arrays_of(call: Call) -> list[Value]:
    """The operands of a call that are arrays."""
    return [x for x in call.operands if isinstance(x, Value)]


def leading_up_to(run: Trace, values: Iterable[Value]) -> list[Call]:
    """The calls from which values were computed, in order."""
    wanted, found = {*values}, []
    for call in reversed(run.calls):
        if call.output in wanted:
            found.append(call)
            wanted.update(arrays_of(call))
    return found[::-1]


def refuse_writes(run: Trace, calls: Iterable[Call]) -> None:
    """Raise if a call wrote into an array that the run had before."""
    first: dict[int, Value] = {}
    for value in run.values:
        first.setdefault(id(value.live), value)
    for call in calls:
        before = first[id(call.output.live)]
        if call.primitive is assignment or (
            before is not call.output and not same(before.array, call.output.array)
        ):
            raise ValueError(
                f"{before.name or 'an array'} of shape {before.shape} was written in place "
                f"between its uses (by {call.primitive.name}), and a program of one line per "
                f"quantity cannot say that: record one forward and backward pass, without the "
                f"update in between"
            )


def same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same bits."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def refuse_unknown(calls: Iterable[Call]) -> None:
    """Raise if running a call again does not give what the run recorded."""
    for call in calls:
        arrays = [x.array if isinstance(x, Value) else as_given(x) for x in call.operands]
        with np.errstate(all="ignore"):
            again = call.run(*arrays)
        then = call.output.array
        noise = np.sqrt(np.finfo(then.dtype).eps) if then.dtype.kind in "fc" else 0
        scale = np.max(np.abs(then[np.isfinite(then)]), initial=0) if noise else 0
        if again.shape != then.shape or not np.allclose(
            again, then, rtol=0, atol=noise * scale, equal_nan=True
        ):
            raise ValueError(
                f"the record does not suffice for a program: {call.primitive.name} of the recorded "
                f"operands does not give the recorded result of shape {call.output.shape}. A run "
                f"made from a graph need not know all of its values (value.kept): record it with "
                f"ag.trace"
            )


def as_given(x: Any) -> Any:
    """An operand that is no array as its kernel gets it."""
    return np.asarray(x) if isinstance(x, list | tuple) else x


def minds_scalars(call: Call) -> bool:
    """Whether a kernel does not do the same with NumPy's scalars as with arrays of shape ()."""
    arrays = [x.array if isinstance(x, Value) else as_given(x) for x in call.operands]
    scalars = [x[()] if isinstance(x, np.ndarray) and not x.ndim else x for x in arrays]
    try:
        with np.errstate(all="ignore"):
            return not same(call.run(*scalars), call.run(*arrays))
    except Exception:  # noqa: BLE001 - whatever a user's kernel raises, it wants arrays
        return True


def data_of(value: Value) -> Any:
    """What a value held when it was used first, in the order in memory that it had if known."""
    return value.live if same(value.live, value.array) else value.array


#: What users compute from their data in plain NumPy, on the way into a formula.
DERIVED: dict[str, Callable[[Any], Any]] = {
    "1 - x": lambda x: 1 - x,
    "-x": lambda x: -x,
    "x.T": lambda x: x.T,
}


def derived(leaves: Sequence[Value]) -> dict[Value, tuple[str, Value]]:
    """The arrays without a name that were computed from those with one, such as ``1 - Y``."""
    found = {}
    named = [x for x in leaves if x.name and x.kind == "input" and x.dtype.kind in "fiu"]
    unnamed = [x for x in leaves if not x.name and x.kind == "input" and x.array.ndim]
    for value in unnamed:
        for owner in named:
            for text, function in DERIVED.items():
                if value not in found and same(function(owner.array), value.array):
                    found[value] = text, owner
    return found


# ---- the program --------------------------------------------------------------------------------


class Program:
    """A run being written down."""

    def __init__(self, run: Trace, cost: Value, by: Sequence[Value]) -> None:
        self.run, self.cost, self.by = run, cost, list(by)
        self.gradients = [gradient_of(value) for value in self.by]
        self.seed = gradient_of(cost)
        forward = {*leading_up_to(run, [cost])}
        self.calls = leading_up_to(run, [cost, *self.gradients])
        self.forward = [call for call in self.calls if call in forward]
        self.backward = [call for call in self.calls if call not in forward]
        refuse_writes(run, self.calls)
        refuse_unknown(self.calls)
        self.used = Counter(x for call in self.calls for x in arrays_of(call))
        outputs = {call.output for call in self.calls}
        self.values = [x for x in run.values if x in outputs or x in self.used]
        self.values += [x for x in (cost, *self.by) if x not in {*self.values}]
        for value in self.values:
            if not isinstance(value.live, np.ndarray | np.generic):
                raise TypeError(f"programs are for NumPy's arrays, not {type(value.live)}")
        self.names = Names()
        self.kernels = Kernels(self.names)
        self.text: dict[Value, ast.expr] = {}
        self.written: dict[Call, str] = {}
        self.constants: list[str] = []
        self._name_what_users_named()
        leaves = [x for x in self.values if x not in outputs and x is not self.seed]
        self.derived = derived(leaves)
        self.arguments = [x for x in leaves if self._is_argument(x)]
        if not is_ones(self.seed, cost) and self.seed not in outputs:
            self.arguments.append(self.seed)
        self.arguments.sort(key=lambda x: x.kind != "parameter")
        for value in self.arguments:
            letter = "p" if value.kind == "parameter" else "x"
            self._call_it(value, lambda letter=letter: self.names.numbered(letter))
        for value in leaves:
            if value not in self.text:
                self._write_constant(value)
        self._body = self._lines()

    # -- names --

    def _name_what_users_named(self) -> None:
        for value in self.values:
            if value.name:
                self._call_it(value, lambda v=value: self.names.new(identifier(v.name)))
        self._call_it(self.cost, lambda: self.names.new("cost"))

    def _call_it(self, value: Value, name: Callable[[], str]) -> str:
        """The name of a value, made now if it has none."""
        if value not in self.text:
            self.text[value] = ast.Name(name(), ast.Load())
        return ast.unparse(self.text[value])

    def _is_argument(self, value: Value) -> bool:
        if value in self.derived:
            return False
        if value.kind == "parameter" or value.name or value in self.by:
            return True
        return size_of(value) > MOST_CONSTANT and regular(value.array) is None

    def _write_constant(self, value: Value) -> None:
        """A small array without a name stands in the program itself."""
        if value in self.derived:
            self.text[value] = Put({"x": self.text[self.derived[value][1]]}).visit(
                parsed(self.derived[value][0])
            )
            return
        text = array_text(data_of(value))
        if not value.array.ndim:
            self.text[value] = parsed(text)
        else:
            self.constants.append(f"{self._call_it(value, lambda: self.names.numbered('c'))} = {text}")

    def _name_gradients(self) -> None:
        """``d<name>`` for each gradient; if several values have one and the same, the named one."""
        owners: dict[Value, Value] = {}
        for value in self.values:  # later ones come first on the way back
            gradient = value.gradient
            if gradient is None or (value.call and value.call not in self.written):
                continue
            before = owners.get(gradient)
            if before is None or bool(value.name) >= bool(before.name):
                owners[gradient] = value
        for gradient, value in owners.items():
            if value in self.text and isinstance(self.text[value], ast.Name):
                name = f"d{ast.unparse(self.text[value])}"
                self._call_it(gradient, lambda name=name: self.names.new(identifier(name)))

    # -- lines --

    def _lines(self) -> list[str]:
        lines = ["# ---- forward ----", *self.constants]
        told = None
        for call in self.forward:
            statement = self._statement(call, lambda: self.names.numbered("u"))
            place = where_from(call)
            if statement and place and place != told and place != statement[0]:
                lines.append(f"# {place}")
            told = place or told
            lines += statement
        self._name_gradients()
        cost = ast.unparse(self.text[self.cost])
        lines += ["", f"# ---- backward: d<name> is the derivative of {cost} by <name> ----"]
        if is_ones(self.seed, self.cost):
            if self.used[self.seed] or self.seed in self.gradients:
                name = self._call_it(self.seed, lambda: self.names.new(identifier(f"d{cost}")))
                lines.append(f"{name} = np.ones_like({cost})")
        through: Any = None
        for call in self.backward:
            statement = self._statement(call, lambda: self.names.numbered("t"))
            step = call.pull.call if call.pull else call
            if statement and step is not through:
                lines += self._chain_rule(call)
                through = step
            lines += statement
        for value, gradient in zip(self.by, self.gradients, strict=True):
            name = f"d{ast.unparse(self.text[value])}"
            if name not in self.names.taken:
                self.names.new(name)
                lines.append(f"{name} = {ast.unparse(self.text[gradient])}")
                self.text[gradient] = ast.Name(name, ast.Load())
        return lines

    def _chain_rule(self, call: Call) -> list[str]:
        """A comment that says which step back the lines that follow are."""
        if call.pull:
            step = self.written.get(call.pull.call)
            return [f"# back through {step}"] if step else []
        owner = next((x for x in self.values if x.gradient is call.output), None)
        if owner is not None and owner in self.text:
            return [f"# {ast.unparse(self.text[owner])} was used more than once: the shares add up"]
        return ["# the shares add up"] if call.primitive is ops.add else []

    def _operand(self, call: Call, x: Any) -> ast.expr:
        """An operand of a call as it stands in the call's line."""
        if not isinstance(x, Value):
            return parsed(array_text(np.asarray(x)) if isinstance(x, list | tuple) else (
                self.kernels.literal(x)
            ))
        if x.call is not None and not x.array.ndim and minds_scalars(call):
            return ast.Call(parsed("np.asarray"), [self.text[x]], [])
        return self.text[x]

    def _statement(self, call: Call, name: Callable[[], str]) -> list[str]:
        """The line of a call; none for a transposition that can stand where it is used."""
        operands = [self._operand(call, x) for x in call.operands]
        if call.primitive is ops.scatter:
            return self._scatter(call, operands, self._call_it(call.output, name))
        expression = self.kernels.expression(call, operands, call.output)
        text = ast.unparse(ast.fix_missing_locations(expression))
        result = call.output
        kept = result in self.text or result in self.gradients or self.used[result] > 1
        if call.primitive is ops.transpose and text.endswith(".T") and not kept:
            self.text[result], self.written[call] = expression, text
            return []
        line = f"{self._call_it(result, name)} = {text}"
        self.written[call] = line
        return [line]

    def _scatter(self, call: Call, operands: list[ast.expr], name: str) -> list[str]:
        """Zeros, and a line that adds to them."""
        x, *indices = operands
        given, source = call.statics["key"], ast.unparse(x)
        shape = self.kernels.literal(call.statics["shape"])
        made = f"{name} = np.zeros_like({source}, shape={shape})"
        self.written[call] = made
        key = self.kernels.key(given, indices)
        if all(index.dtype == bool for index in arrays_of(call)[1:]):
            return [made, f"{ast.unparse(ast.Subscript(parsed(name), key, ast.Store()))} = {source}"]
        rest = iter(indices)
        parts = [
            ast.unparse(next(rest)) if part is ops.Index else self.kernels.literal(part)
            for part in given
        ]
        place = parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
        return [made, f"np.add.at({name}, {place}, {source})"]

    # -- all of it --

    def __str__(self) -> str:
        names = [ast.unparse(self.text[x]) for x in self.arguments]
        cost = ast.unparse(self.text[self.cost])
        by = [ast.unparse(self.text[x]) for x in self.by]
        pairs = [
            f'"{name}": {ast.unparse(self.text[x])}' for name, x in zip(by, self.gradients, strict=True)
        ]
        shapes = [f"{name}: shape {x.shape}, {x.dtype}{order_of(x)}" for name, x in zip(
            names, self.arguments, strict=True
        )]
        kernels = self.kernels
        imports = [*sorted(x for x in kernels.imports if "numpy" not in x)]
        imports += [""] * bool(imports) + ["import numpy as np"]
        imports += sorted(x for x in kernels.imports if "numpy" in x)
        parts = [
            f'"""{cost} and its gradients, forward and backward, line by line.\n\n'
            f"Written by autograd_mini from a recorded run.  It needs NumPy alone, and computes the "
            f'same bits.\n"""',
            "\n".join(imports),
        ]
        if kernels.constants:
            parts.append("\n".join([f"{name} = {text}" for name, text in kernels.constants.items()]))
        blocks = ["\n\n".join(parts), *kernels.functions.values()]
        doc = "\n".join([
            f'"""{cost}, and its gradients by {clean(", ".join(by))}.', "", *shapes, '"""'
        ])
        returned = called_with(f"return {cost}, {{", pairs, "}")
        body = "\n".join([doc, *self._body, returned])
        head = called_with(f"def {FUNCTION}(", names, "):")
        blocks.append(f"{head}\n{indented(body)}")
        if sum(map(size_of, self.arguments)) <= MOST_DATA:
            blocks.append(self._example(names, cost))
        return "\n\n\n".join(blocks) + "\n"

    def _example(self, names: list[str], cost: str) -> str:
        """The data of the run, and what comes out."""
        lines = [
            f"{name} = {array_text(data_of(x))}"
            for name, x in zip(names, self.arguments, strict=True)
        ]
        lines += [
            called_with(f"{cost}, gradients = {FUNCTION}(", names, ")"),
            f'print("{cost} =", {cost})',
            "for name, gradient in gradients.items():",
            '    print(f"d{name} =\\n{gradient}")',
        ]
        return 'if __name__ == "__main__":\n' + indented("\n".join(lines))


def gradient_of(value: Value) -> Value:
    """The gradient of a value that has one."""
    assert value.gradient is not None
    return value.gradient


def is_ones(seed: Value, cost: Value) -> bool:
    """Whether a backward pass began with 1."""
    return same(seed.array, np.ones_like(cost.array))


def order_of(value: Value) -> str:
    """How an array lies in memory, if not row by row: results can depend on it in the last bit."""
    live = np.asarray(value.live)
    if live.flags.c_contiguous:
        return ""
    return ", column by column in memory" if live.flags.f_contiguous else ", not contiguous"


def where_from(call: Call) -> str:
    """The module or the user's line that a call belongs to."""
    if call.scopes:
        scope = call.scopes[-1]
        return clean(f"{scope.path or scope.name}: {scope.kind}")
    return clean(call.source.text) if call.source else ""


def source(run: Trace, wrt: Iterable[Any] | None = None, *, simplify: bool = False) -> str:
    """A run as a Python program: straight-line NumPy, forward and then backward."""
    cost, by = run.differentiated(wrt)
    return str(Program(run, cost, by))
