"""The kernels of ops as text: what the lines of a program say, and the functions that they call.

A kernel is taken apart by running it, and written as the calls of NumPy that it consists of: in the
line itself if they make one short expression, else as a function.  One that stays whole, because it
looks at values or writes into arrays, comes along as its source says, with what it uses.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import operator
import re
import sys
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ..core import ops
from ..core.primitive import Primitive, implementations
from ..text import clean
from ..trace import same
from ..trace.kernels_apart import Apart, KernelCall, all_of, call_method, mapped, noted_run
from .literals import (
    LONGEST_EXPRESSION,
    MOST_DATA,
    Names,
    array_text,
    identifier,
    indented,
    number_text,
    parsed,
    regular,
)
from .sources import Put, definition, first_line, outside_of, refuse_module

SPECIAL = "scipy.special"
BUILTIN_TYPES = frozenset(thing for thing in vars(builtins).values() if isinstance(thing, type))
#: What a constant may be.
PLAIN_TYPES: frozenset[type] = frozenset(
    [type(None), bool, int, float, complex, str, bytes, tuple, list, dict, slice, np.ndarray]
)
Known = Mapping[KernelCall, ast.expr]


class Kernels:
    """How the calls of a run are written, and the functions that are needed for it.

    Parameters
    ----------
    names : Names
        Of the program.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.imports: dict[str, None] = {}
        self.constants: dict[str, str] = {}  # name -> text
        self.functions: dict[str, str] = {}  # name -> text, those that it uses before it
        self._called: dict[Any, str] = {}  # what already has a name in the program

    def expression(
        self,
        primitive: Primitive,
        operands: Sequence[ast.expr],
        arrays: Sequence[Any],
        statics: Mapping[str, Any],
    ) -> ast.expr:
        """A call as an expression of its operands, which hold these arrays or numbers.

        Raises
        ------
        ValueError
            If it cannot be written; the error names the op.
        """
        with naming(primitive):
            if primitive.kind == "permutation" and is_reversal(statics["axes"], np.ndim(arrays[0])):
                return ast.Attribute(operands[0], "T", ast.Load())
            if form := form_of(primitive.kernel, primitive.python, arrays):
                return filled(form, dict(zip(primitive.operands, operands, strict=False)))
            apart = apart_of(primitive, arrays, statics)
            if apart:
                pairs = zip(apart.given, operands, strict=True)
                parts = {part: text for part, text in pairs if isinstance(part, KernelCall)}
                operands = [*parts.values()]
                lines, text = self._lines(apart, named_parts(primitive, apart.given))
                if not lines and not is_long(text):
                    return self._lines(apart, parts)[1]
            name, statics = self._function_of(primitive, apart, arrays, statics)
            return ast.Call(parsed(name), list(operands), self._keywords(statics, {}))

    def function(
        self, primitive: Primitive, arrays: Sequence[Any], statics: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        """What the program calls the function of a call, and the statics that it still takes."""
        with naming(primitive):
            apart = apart_of(primitive, arrays, statics)
            return self._function_of(primitive, apart, arrays, statics)

    def _function_of(
        self,
        primitive: Primitive,
        apart: Apart | None,
        arrays: Sequence[Any],
        statics: Mapping[str, Any],
    ) -> tuple[str, Mapping[str, Any]]:
        """Likewise, of a kernel that has come apart or not."""
        if apart:
            return self._function_of_parts(primitive, apart), {}
        called = self.reference(primitive, primitive.name)
        if called in self.functions:
            self._prove(called, primitive.kernel, arrays, statics)
        usual = primitive.defaults
        return called, {k: x for k, x in statics.items() if k not in usual or x is not usual[k]}

    # -- kernels that come apart --

    def _lines(self, apart: Apart, known: Known) -> tuple[list[str], ast.expr]:
        """The lines of what is used more than once, or long, and the expression of a result."""
        self.names.taken |= {x.id for x in known.values() if isinstance(x, ast.Name)}
        order = parts_first([*[x.part for x in apart.checks], apart.result], known)
        uses = Counter(x for part in order for x in part.parts)
        texts, lines, names = dict(known), list[str](), dict[str, ast.expr]()
        for part in order:
            texts[part] = self._part(part, texts)
            text = ast.unparse(texts[part])
            lasting = part is not apart.result and (uses[part] > 1 or is_long(texts[part]))
            if lasting and text not in names:
                names[text] = parsed(f"v{len(names) + 1}")
                lines.append(f"{ast.unparse(names[text])} = {text}")
            texts[part] = names.get(text, texts[part])
            for check in [x for x in apart.checks if x.part is part]:
                wrong = ast.UnaryOp(ast.Not(), texts[part]) if check.is_true else texts[part]
                error = f"{type(check.error).__name__}({clean(str(check.error))!r})"
                lines.append(f"if {ast.unparse(wrong)}:\n    raise {error}")
        return lines, texts[apart.result]

    def _part(self, part: KernelCall, known: Known) -> ast.expr:
        """A call in a kernel as an expression."""
        function = part.function
        native = mapped(part.args, np.dtype, lambda x: x.type if x.isnative else x)
        args = [self.value(x, known) for x in native]
        results = [x.result if isinstance(x, KernelCall) else x for x in part.args]
        if function is operator.getitem:
            return ast.Subscript(args[0], self.key(part.args[1], known), ast.Load())
        if function is np.transpose and len(args) == 1:
            return ast.Attribute(args[0], "T", ast.Load())
        if function is getattr:
            return ast.Attribute(args[0], results[1], ast.Load())
        if isinstance(function, Primitive):
            return self.expression(function, args, results, part.kwargs)
        if function in (operator.pow, np.matmul) and not part.kwargs:
            sign = ast.Pow() if function is operator.pow else ast.MatMult()
            return ast.BinOp(args[0], sign, args[1])
        op: Any = implementations.get(function)
        form = form_of(function, getattr(op, "python", None), results)
        if form and not part.kwargs:
            return filled(form, dict(zip(op.operands, args, strict=True)))
        if function is call_method:
            called: ast.expr = ast.Attribute(args[0], results[1], ast.Load())
            args = args[2:]
        else:
            called = parsed(self.reference(function, str(function.__name__)))
        usual = defaults_of(function)
        given = {k: x for k, x in part.kwargs.items() if k not in usual or x is not usual[k]}
        if isinstance(axis := given.get("axis"), tuple) and len(axis) == 1:
            given["axis"] = axis[0]
        return ast.Call(called, args, self._keywords(given, known))

    def _keywords(self, given: Mapping[str, Any], known: Known) -> list[ast.keyword]:
        """Keyword arguments."""
        return [ast.keyword(name, self.value(x, known)) for name, x in given.items()]

    def _function_of_parts(self, primitive: Primitive, apart: Apart) -> str:
        """A function that makes the calls which a kernel consists of."""
        known = named_parts(primitive, apart.given)
        lines, text = self._lines(apart, known)
        head = f"({', '.join(map(ast.unparse, known.values()))}):\n"
        if primitive.kernel.__doc__:
            lines.insert(0, ast.unparse(first_line(primitive.kernel.__doc__)))
        lines.append(f"return {ast.unparse(text)}")
        code = ast.unparse(ast.parse(f"def function{head}{indented(chr(10).join(lines))}"))
        if code not in self._called:
            called = self._called[code] = self.names.new(identifier(primitive.name))
            self.functions[called] = code.replace("def function", f"def {called}", 1)
        return self._called[code]

    # -- values --

    def value(self, x: Any, known: Known) -> ast.expr:
        """A value of a program, in which parts can be, as the expression that makes it."""
        if isinstance(x, KernelCall):
            return known[x]
        if type(x) in (tuple, list):
            parts = [self.value(y, known) for y in x]
            return (ast.Tuple if type(x) is tuple else ast.List)(parts, ast.Load())
        if type(x) is dict:
            keys: list[Any] = [self.value(y, known) for y in x]
            return ast.Dict(keys, [self.value(y, known) for y in x.values()])
        if isinstance(x, slice):
            bounds = [self.value(y, known) for y in (x.start, x.stop, x.step)]
            return ast.Call(parsed("slice"), bounds, [])
        return parsed(self.literal(x))

    def key(self, x: Any, known: Known) -> ast.expr:
        """What stands between the brackets of an index."""
        if isinstance(x, tuple) and len(x) != 1:
            return ast.Tuple([self.key(y, known) for y in x], ast.Load())
        if isinstance(x, tuple):
            return self.key(x[0], known)
        if isinstance(x, slice):
            bounds = (x.start, x.stop, x.step)
            return ast.Slice(*[None if y is None else self.key(y, known) for y in bounds])
        return self.value(int(x) if isinstance(x, np.integer) else x, known)

    def scattered(
        self, name: str, x: str, indices: Sequence[ast.expr], masks: bool, statics: Any
    ) -> list[str]:
        """Zeros of a name, and a line that adds to them."""
        made = f"{name} = np.zeros_like({x}, shape={self.literal(statics['shape'])})"
        known = {KernelCall(None): index for index in indices}
        key = ops.filled(statics["key"], tuple(known))
        if masks:
            place = ast.Subscript(parsed(name), self.key(key, known), ast.Load())
            return [made, f"{ast.unparse(place)} = {x}"]
        key = key[0] if isinstance(key, tuple) and len(key) == 1 else key
        return [made, f"np.add.at({name}, {ast.unparse(self.value(key, known))}, {x})"]

    def literal(self, x: Any) -> str:
        """A value of a program as text."""
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
        if type(x) in (tuple, list, dict, slice):
            return ast.unparse(self.value(x, {}))
        return self.reference(x, "")

    # -- what kernels use --

    def reference(self, thing: Any, name: str) -> str:
        """What something that kernels use is called in the program, which then has it."""
        if isinstance(thing, Primitive):
            return self.reference_to(thing.kernel, thing.name)
        if isinstance(thing, FunctionType) and thing.__name__ != "<lambda>":
            name = thing.__name__
        return self.reference_to(thing, name)

    def reference_to(self, thing: Any, name: str) -> str:
        """Likewise, of something that shall have a name like this one."""
        if (known := numpy_name(thing)) is not None:
            return known
        if isinstance(thing, type) and thing in BUILTIN_TYPES:
            return thing.__name__
        if isinstance(thing, ModuleType):
            if thing.__name__.partition(".")[0] == "numpy":
                return "np" + thing.__name__.removeprefix("numpy")
            refuse_module(thing.__name__)
            return self._imported(thing, "", thing.__name__)
        if (home := library_of(thing)) is not None:
            return self._imported(thing, f"from {home} ", thing.__name__)
        if isinstance(thing, FunctionType):
            return self._function(thing, identifier(name or "function"))
        if callable(thing) or isinstance(thing, type):
            raise ValueError(
                f"it uses {clean(repr(thing), 80)}, which is neither NumPy's nor a plain function"
            )
        if type(thing) not in PLAIN_TYPES and not isinstance(thing, np.generic | np.dtype):
            raise ValueError(f"it uses {clean(repr(thing), 80)}, which has no exact text")
        return self._constant(self.literal(thing), identifier(name or "constant"))

    def _imported(self, thing: Any, home: str, name: str) -> str:
        """A module, or a function of a library, imported by its name."""
        if thing not in self._called:
            called = self._called[thing] = self.names.new(identifier(name.replace(".", "_")))
            self.imports[f"{home}import {name}{'' if called == name else f' as {called}'}"] = None
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
        """A function as its source says, with all that it uses."""
        if function in self._called:
            return self._called[function]
        node = definition(function)
        outside = outside_of(function, node)
        called = self._called[function] = self.names.new(name)
        used = {name: self.reference(thing, name) for name, thing in outside.items()}
        ops = [name for name, thing in outside.items() if isinstance(thing, Primitive)]
        used |= {f"{name}.kernel": used[name] for name in ops}
        arguments, given = node.args, function.__kwdefaults__ or {}
        arguments.defaults = [self.value(x, {}) for x in function.__defaults__ or ()]
        named = [given.get(x.arg, ...) for x in arguments.kwonlyargs]
        arguments.kw_defaults = [None if x is ... else self.value(x, {}) for x in named]
        node.body = [Put({k: parsed(text) for k, text in used.items()}).visit(x) for x in node.body]
        node.name = called
        self.functions[called] = ast.unparse(ast.fix_missing_locations(node))
        return called

    def _prove(
        self, called: str, kernel: FunctionType, arrays: Sequence[Any], statics: Mapping[str, Any]
    ) -> None:
        """Run a function of the program, and see that it does what the kernel does."""
        constants = [f"{name} = {text}" for name, text in self.constants.items()]
        lines = ["import numpy as np", *self.imports, *constants, *self.functions.values()]
        program: dict[str, Any] = {}
        with np.errstate(all="ignore"):
            true = kernel(*arrays, **statics)
            try:
                exec("\n".join(lines), program)
                found = program[called](*arrays, **statics)
            except Exception:  # it may be anything
                found = None
        if found is None or not same(found, true):
            raise ValueError("its source is not to be had: what it says is not what was run")


@contextlib.contextmanager
def naming(primitive: Primitive) -> Iterator[None]:
    """Let an error say which op it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"the op {clean(primitive.name)} cannot be written: {error}") from error


# ---- parts --------------------------------------------------------------------------------------


def apart_of(
    primitive: Primitive, arrays: Sequence[Any], statics: Mapping[str, Any]
) -> Apart | None:
    """What a kernel consists of; None if it is NumPy's, stays whole, or holds arrays of numbers."""
    if numpy_name(primitive.kernel) or not isinstance(primitive.kernel, FunctionType):
        return None
    apart = noted_run(primitive.kernel, arrays, statics)
    order = parts_first([apart.result], ()) if apart else []
    held = [x for part in order for x in all_of((part.args, part.kwargs), np.ndarray)]
    return None if any(x.size > 1 and regular(x) is None for x in held) else apart


def named_parts(primitive: Primitive, given: Sequence[Any]) -> dict[KernelCall, ast.expr]:
    """The operands that are arrays, by the names of the kernel's parameters."""
    names = list(primitive.operands)
    if primitive.variadic:
        last = names.pop()
        names += [f"{last}{i}" for i in range(len(given) - len(names))]
    pairs = zip(names, given, strict=True)
    return {part: parsed(name) for name, part in pairs if isinstance(part, KernelCall)}


def parts_first(results: Sequence[KernelCall], known: Container[KernelCall]) -> list[KernelCall]:
    """Results and all that they were made of, each after its own parts, without what is known."""
    found: dict[KernelCall, None] = {}
    stack = [x for x in reversed(results) if x not in known]
    while stack:
        missing = [x for x in stack[-1].parts if x not in found and x not in known]
        stack += missing
        if not missing:
            found[stack.pop()] = None
    return [*found]


def is_long(text: ast.expr) -> bool:
    """Whether an expression is too long for a part of a line."""
    return len(ast.unparse(text)) > LONGEST_EXPRESSION


def defaults_of(function: Any) -> dict[str, Any]:
    """What keyword arguments of a function say that need not be said."""
    found = {"keepdims": False}
    with contextlib.suppress(ValueError):  # not all functions say
        parameters = inspect.signature(function).parameters.items()
        found = {name: x.default for name, x in parameters} | found
    return found


def is_reversal(axes: Sequence[int] | None, ndim: int) -> bool:
    """Whether a transposition puts the axes into reverse order."""
    return axes is None or [i % ndim for i in axes] == list(range(ndim))[::-1]


def filled(text: str, named: Mapping[str, ast.expr]) -> ast.expr:
    """An expression with others in the place of names."""
    result: ast.expr = Put(named).visit(parsed(text))
    return result


# ---- names --------------------------------------------------------------------------------------


def numpy_name(thing: Any) -> str | None:
    """What NumPy calls something of its own; None if it is not NumPy's or has no public name."""
    name, owner = getattr(thing, "__name__", None), getattr(thing, "__self__", None)
    if isinstance(owner, np.ufunc) and (of := numpy_name(owner)):
        return f"{of}.{name}"
    for module, path in ((np, "np"), (np.linalg, "np.linalg"), (np.fft, "np.fft")):
        if isinstance(name, str) and getattr(module, name, None) is thing:
            return f"{path}.{name}"
    return None


def form_of(ufunc: Any, python: str | None, operands: Sequence[Any]) -> str | None:
    """How Python writes a ufunc with an operator, if that does the same; None if it does not."""
    if not isinstance(ufunc, np.ufunc) or not numpy_name(ufunc) or not python or "$" not in python:
        return None
    floats = ufunc.nin == 1 and np.ndim(operands[0]) and operands[0].dtype.kind == "f"
    if "**" in python and not floats:  # other powers may have other bits
        return None
    return python.replace("$", "")


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
