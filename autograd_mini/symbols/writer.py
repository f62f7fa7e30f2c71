"""Expressions as text, in Python, as plain text and in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..core import ops
from ..core.primitive import Primitive
from ..functional import argument
from ..text import clean, for_latex
from .expressions import OMITTED, Symbol, named
from .names import digits, latex_name, number, printable
from .templates import (
    ATOM,
    BOOKKEEPING,
    CLOSED,
    IN_PYTHON,
    MATHEMATICS,
    NOTHING,
    NUMPY_NAMES,
    OPERATORS,
    PRODUCT,
    PYTHON,
    SCALED,
    SUM,
    Strength,
    form_of,
)

OURS = __name__.partition(".")[0] + "."
SMALL = 16  # numbers of an array that exact code has in it


class Text(NamedTuple):
    """A part of a formula."""

    pieces: Any  # strings, and tuples of such, so that long ones are put together only once
    length: int
    binds: int = ATOM
    operator: str = ""
    minus: bool = False  # whether it begins with one
    factor: float | None = None  # a number or a sign in front ...
    rest: Text | None = None  # ... of this; None if there is only the number


def joined(pieces: Any) -> str:
    """The pieces of a text, put together."""
    found, stack = [], [pieces]
    while stack:
        piece = stack.pop()
        if isinstance(piece, str):
            found.append(piece)
        else:
            stack += reversed(piece)
    return "".join(found)


def write(
    symbol: Symbol,
    language: str,
    leaf: Callable[[Symbol], str] | None = None,
    *,
    bookkeeping: bool | None = None,
    longest: int = 100_000,
) -> str:
    r"""An expression as text.

    Parameters
    ----------
    symbol : Symbol
    language : {"python", "text", "latex"}
        "python" is code for NumPy (``np``) and this package (``ag``); the other two are for people.
    leaf : callable, optional
        What to write for a quantity with a name, instead of the name: numbers, for example.
        Products of two numbers are then written with a sign.
    bookkeeping : bool, optional
        Whether to show what only changes shapes and dtypes, by default only in Python.
    longest : int
        A part of the formula with more characters is written ``(...)``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such language.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini.core import ops
    >>> W2, dZ2, A1 = [named(name, np.ones((2, 2))) for name in ("W2", "dZ2", "A1")]
    >>> slope = ops.subtract(1, ops.square(A1))
    >>> dZ1 = ops.multiply(ops.matrix_product(ops.transpose(W2), dZ2), slope)
    >>> print(write(dZ1, "python"))
    W2.T @ dZ2 * (1 - A1**2)
    >>> print(write(dZ1, "text"))
    (W2^T dZ2) (.) (1 - A1^2)
    >>> print(write(dZ1, "latex"))
    \left(W_2^T\, dZ_2\right) \odot \left(1 - A_1^2\right)
    """
    if language not in ("python", "text", "latex"):
        raise ValueError(f"formulas are written in python, text or latex, not in {language!r}")
    exact = language == "python" if bookkeeping is None else bookkeeping
    return Writer(language, leaf, exact, longest).write(symbol)


class Writer:
    """Writes expressions in one language."""

    def __init__(
        self, language: str, leaf: Callable[[Symbol], str] | None, exact: bool, longest: int
    ) -> None:
        self.language = language
        self.leaf = leaf
        self.exact = exact
        self.longest = longest
        self.scaled_form = f"$a{SCALED}$b"
        if leaf is not None:
            self.scaled_form = {"text": "$a * $b", "latex": r"$a \cdot $b"}.get(language, "")

    def write(self, symbol: Symbol) -> str:
        """The text of an expression."""
        texts: dict[int, Text] = {}
        stack = [symbol]
        while stack:
            current = stack[-1]
            missing = [x for x in current.operands if id(x) not in texts]
            stack += missing
            if not missing:
                stack.pop()
                if id(current) not in texts:
                    texts[id(current)] = self.text(
                        current, [texts[id(x)] for x in current.operands]
                    )
        return joined(texts[id(symbol)].pieces)

    def text(self, symbol: Symbol, parts: list[Text]) -> Text:
        """The text of an expression, from those of its operands."""
        if symbol.primitive is None:
            return self.of_leaf(symbol)
        if symbol.primitive.template == BOOKKEEPING and not self.exact:
            return parts[0]
        rule = RULES.get(id(symbol.primitive), Writer.call)
        text = rule(self, symbol, parts)
        return text if text.length <= self.longest else self.of_leaf(named(OMITTED, None))

    def of_leaf(self, symbol: Symbol) -> Text:
        """A name, or a number."""
        size = np.size(symbol.array)
        if symbol.name is not None:
            text = self.name(symbol) if symbol.name != OMITTED else OMITTED
        elif self.exact and self.language == "python" and 0 < size <= SMALL and symbol.shape:
            text = self.constant_array(symbol.array)
        elif size == 1:
            return self.number(np.asarray(symbol.array).item())
        else:
            text = "condition" if symbol.dtype == bool else OMITTED
        if self.language == "latex" and text in ("condition", OMITTED):
            text = r"\text{condition}" if text == "condition" else r"(\ldots)"
        minus = text.startswith("-")
        return Text(text, len(text), self.sign.binds if minus else ATOM, "", minus)

    def constant_array(self, array: Any) -> str:
        """A small array as code."""
        numbers = re.sub(r"\b(inf|nan)\b", r"np.\1", str(array.tolist()))
        usual = array.dtype in (np.float64, np.int64, np.bool_)
        return f"np.array({numbers}{'' if usual else f', np.{array.dtype.name}'})"

    def name(self, symbol: Symbol) -> str:
        """What a quantity is called."""
        assert symbol.name is not None
        if self.leaf is not None:
            return self.leaf(symbol)
        if self.language == "latex":
            return latex_name(symbol.name)
        return printable(symbol.name) if self.language == "python" else clean(symbol.name)

    # -- numbers, signs and factors --

    @property
    def strengths(self) -> Mapping[str, Strength]:
        """Of the operators of the language."""
        return PYTHON if self.language == "python" else MATHEMATICS

    @property
    def sign(self) -> Strength:
        """How tightly a minus binds."""
        return self.strengths["sign"]

    def number(self, x: Any) -> Text:
        """A number."""
        if not isinstance(x, int | float) or isinstance(x, bool):
            text = f"\\mathrm{{{x}}}" if self.language == "latex" and x in (True, False) else f"{x}"
            return Text(text, len(text))
        text = digits(x) if self.language == "python" else number(x)
        minus = text.startswith("-")
        binds, operator = self.sign.binds if minus else ATOM, ""
        if self.language == "python":
            text = re.sub("(inf|nan)", r"np.\1", text)
        elif self.language == "latex":
            text = text.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
            if match := re.fullmatch(r"(-?)(.*)e(.*)", text):
                sign, mantissa, exponent = match.groups()
                power = f"10^{{{int(exponent)}}}"
                text = sign + (power if mantissa == "1" else f"{mantissa} \\cdot {power}")
                binds, operator = min(binds, PRODUCT), SCALED
        return Text(text, len(text), binds, operator, minus, float(x))

    def scaled(self, factor: float, rest: Text | None) -> Text:
        """A text with a number in front, in mathematics."""
        if rest is None:
            return self.number(factor)
        if factor < 0:
            body = self.scaled(-factor, rest)
            return self.filled("-$x", {"x": body})._replace(factor=factor, rest=rest)
        if factor == 1:
            return rest
        product = self.filled(self.scaled_form, {"a": self.number(factor), "b": rest})
        return product._replace(factor=factor, rest=rest)

    def is_scalar(self, symbol: Symbol) -> bool:
        """Whether a factor is written in front, as numbers are."""
        unnamed = symbol.primitive is None and symbol.name is None
        return np.ndim(symbol.array) == 0 or (unnamed and np.size(symbol.array) == 1)

    # -- templates --

    def filled(self, template: str, operands: Mapping[str, Text]) -> Text:
        """A template with texts put in, in parentheses where they bind less than it asks."""
        form = form_of(template, self.language)
        parts = [form.pieces[0]]
        length, minus = len(form.pieces[0]), form.pieces[0].startswith("-")
        for name, piece, (left, right) in zip(
            form.pieces[1::2], form.pieces[2::2], form.asks, strict=True
        ):
            text = operands[name]
            fits = (text.binds >= left.right or text.operator in left.right_too) and (
                text.binds >= right.left or text.operator in right.left_too
            )
            if text.minus and left is not NOTHING and self.language != "python":
                fits = False  # no A + -B
            text = text if fits else self.in_parentheses(text)
            minus = minus or (parts == [""] and text.minus)
            parts += [text.pieces, piece]
            length += text.length + len(piece)
        return Text(tuple(parts), length, form.binds, form.operator, minus)

    def in_parentheses(self, text: Text) -> Text:
        """A text in parentheses."""
        before, after = (r"\left(", r"\right)") if self.language == "latex" else ("(", ")")
        length = len(before) + text.length + len(after)
        return Text((before, text.pieces, after), length)

    def template(self, primitive: Primitive) -> str | None:
        """The template of a primitive in the language; None if it is written as a function."""
        if self.language == "latex":
            return primitive.template
        python, text = OPERATORS.get(primitive.template, (None, None))
        if self.language == "text":
            return text
        return (IN_PYTHON.get(primitive.name) or python) if is_own(primitive) else None

    def call(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Any call."""
        primitive = symbol.primitive
        assert primitive is not None
        template = self.template(primitive)
        if template is None:
            return self.function(symbol, parts)
        text = self.filled(template, self.operands(symbol, parts))
        if self.language == "latex":
            first, *others = text.pieces
            text = text._replace(pieces=(with_axis(first, symbol), *others))
        return text

    def operands(self, symbol: Symbol, parts: list[Text]) -> dict[str, Text]:
        """What stands for each name in a template."""
        primitive = symbol.primitive
        assert primitive is not None
        found = {name: self.keyword(value) for name, value in symbol.statics.items()} | dict(
            zip(primitive.operands, parts, strict=False)
        )
        if primitive.variadic:
            first = len(primitive.operands) - 1
            rest = [part.pieces for part in parts[first:]]
            if "key" in symbol.statics:
                rest = [self.key(symbol.statics["key"], rest)]
            commas = tuple([piece for part in rest for piece in (", ", part)][1:])
            length = sum(part.length + 2 for part in parts[first:])
            found[primitive.operands[-1]] = Text(commas, length)
        return found

    def key(self, key: Any, indices: list[Any]) -> Any:
        """What stands in the brackets of an index."""
        rest = iter(indices)
        parts = key if isinstance(key, tuple) else (key,)
        texts = [next(rest) if part is ops.Index else self.key_part(part) for part in parts]
        commas = tuple([piece for text in texts for piece in (", ", text)][1:])
        return commas or "()"

    def key_part(self, part: Any) -> str:
        """A part of an index that is no array."""
        if isinstance(part, slice):
            start, stop, step = (
                "" if x is None else str(x) for x in (part.start, part.stop, part.step)
            )
            return f"{start}:{stop}" + (f":{step}" if step else "")
        if part is Ellipsis:
            return r"\ldots" if self.language == "latex" else "..."
        return f"\\mathrm{{{part}}}" if self.language == "latex" and part is None else str(part)

    def keyword(self, value: Any) -> Text:
        """A keyword argument in a template."""
        text = self.static(value)
        return Text(text, len(text), SUM if text.startswith("-") else CLOSED)

    def static(self, value: Any) -> str:
        """A keyword argument."""
        if isinstance(value, np.dtype):
            return f"np.{value.name}"
        if isinstance(value, tuple) and len(value) == 1 and self.language != "python":
            value = value[0]
        text = repr(value) if self.language == "python" else str(value)
        return for_latex(clean(text)) if self.language == "latex" else text

    def function(self, symbol: Symbol, parts: list[Text]) -> Text:
        """A call as code: ``np.sum(X, axis=1)``."""
        primitive = symbol.primitive
        assert primitive is not None
        hidden = () if self.language == "python" else ("keepdims", "likes", "optimize")
        statics = [
            f"{name}={self.static(value)}"
            for name, value in symbol.statics.items()
            if name not in hidden
            and (name not in primitive.defaults or value != primitive.defaults[name])
        ]
        arguments = [*(part.pieces for part in parts), *statics]
        commas = tuple([piece for argument in arguments for piece in (", ", argument)][1:])
        name = python_name(primitive) if self.language == "python" else primitive.name
        length = sum(part.length + 2 for part in parts) + sum(map(len, statics)) + len(name)
        return Text((name, "(", commas, ")"), length)

    # -- what is not written as its template says --

    def product(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a * b``: factors of 1 vanish, and a number stands in front."""
        a, b = parts
        first, second = symbol.operands
        for one, other, kept in ((a, b, second), (b, a, first)):
            alike = kept.shape == symbol.shape and kept.dtype == symbol.dtype
            if one.factor == 1 and one.rest is None and (alike or not self.exact):
                return other
        if self.language == "python":
            return self.product_in_python(a, b)
        factor = factor_of(a) * factor_of(b)
        rest, other_rest = without_factor(a), without_factor(b)
        if rest is None or other_rest is None:
            return self.scaled(factor, rest or other_rest)
        if self.is_scalar(second) and not self.is_scalar(first):
            rest, other_rest = other_rest, rest
        scalar = self.is_scalar(first) or self.is_scalar(second)
        template = self.scaled_form if scalar else self.template_of(symbol)
        return self.scaled(factor, self.filled(template, {"a": rest, "b": other_rest}))

    def product_in_python(self, a: Text, b: Text) -> Text:
        """``0.07 * (2 * W)`` is ``0.14 * W``."""
        form = "$a * $b"
        for one, other in ((a, b), (b, a)):
            both = one.rest is None and (one.factor or 0) > 0 and (other.factor or 0) > 0
            if both and other.rest is not None and not self.exact:
                front = self.number(factor_of(one) * factor_of(other))
                rest = (
                    other.rest if other.rest.binds >= PRODUCT else self.in_parentheses(other.rest)
                )
                pieces = (front.pieces, " * ", rest.pieces)  # a number goes in front of a product
                length = front.length + 3 + rest.length
                return Text(pieces, length, PRODUCT, "*", False, front.factor, other.rest)
        product = self.filled(form, {"a": a, "b": b})
        if a.factor is not None and a.rest is None:
            return product._replace(factor=a.factor, rest=b)
        return self.with_factor_of(a, product, form, b)

    def with_factor_of(self, a: Text, product: Text, form: str, b: Text) -> Text:
        """A product, in which what is in front of its first factor is in front of the whole."""
        if a.rest is None:
            return product
        return product._replace(factor=a.factor, rest=self.filled(form, {"a": a.rest, "b": b}))

    def matrix_product(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a @ b``."""
        if self.language != "python":
            return self.product(symbol, parts)
        return self.with_factor_of(parts[0], self.call(symbol, parts), "$a @ $b", parts[1])

    def quotient(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a / b``, with a sign in front."""
        a, b = parts
        if self.language == "python":
            return self.with_factor_of(a, self.call(symbol, parts), "$a / $b", b)
        if b.factor == 1 and b.rest is None:
            return a
        if not factor_of(a) < 0:
            return self.call(symbol, parts)
        return self.scaled(-1, self.call(symbol, [self.scaled(-factor_of(a), a.rest), b]))

    def negative(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``-x``."""
        (x,) = parts
        if self.language == "python":
            return self.call(symbol, parts)._replace(factor=-1.0, rest=x)
        return self.scaled(-factor_of(x), without_factor(x))

    def sum_or_difference(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``a + b`` or ``a - b``, the other one if ``b`` has a minus in front."""
        a, b = parts
        if not factor_of(b) < 0 or (self.language == "python" and not is_minus(b)):
            return self.call(symbol, parts)
        b = b.rest if self.language == "python" and b.rest else self.scaled(-factor_of(b), b.rest)
        other = "$a - $b" if symbol.primitive is ops.add else "$a + $b"
        return self.filled(other, {"a": a, "b": b})

    def transpose(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``x.T``, where that is what it is."""
        axes, dimensions = symbol.statics["axes"], len(symbol.shape)
        backwards = [*range(dimensions)][::-1]
        order = backwards if axes is None else [*ops.normalized(axes, dimensions)]
        last_two = [*range(dimensions - 2), dimensions - 1, dimensions - 2]
        if dimensions < 2 and not self.exact:
            return parts[0]
        if order == last_two and dimensions > 2 and self.language == "python":
            return self.filled("$x.mT", {"x": parts[0]})
        if order == (backwards if self.language == "python" else last_two):
            return self.call(symbol, parts)
        if self.language == "latex":
            axes_text = r",\,".join(map(str, order))
            return self.filled(f"\\mathrm{{transpose}}_{{{axes_text}}}($x)", {"x": parts[0]})
        return self.function(symbol, parts)

    def constant(self, symbol: Symbol, parts: list[Text]) -> Text:
        """Zeros or ones, which mathematics does not tell from the number."""
        assert symbol.primitive is not None
        if self.language == "python":
            return self.call(symbol, parts)
        return self.number(float(symbol.primitive.template))

    def indexed(self, symbol: Symbol, parts: list[Text]) -> Text:
        """``x[0]``; that ``x[:, None]`` is only bookkeeping."""
        key = symbol.statics["key"]
        chosen = [part for part in (key if isinstance(key, tuple) else (key,)) if not is_all(part)]
        return self.call(symbol, parts) if chosen or self.exact else parts[0]

    def argument(self, symbol: Symbol, parts: list[Text]) -> Text:
        """A function's argument is its operand."""
        return parts[0]

    def template_of(self, symbol: Symbol) -> str:
        """The template of a call that has one in every language."""
        assert symbol.primitive is not None
        template = self.template(symbol.primitive)
        assert template is not None
        return template


#: Primitives that are not written as their templates say.
RULES: dict[int, Callable[[Writer, Symbol, list[Text]], Text]] = {
    id(ops.multiply): Writer.product,
    id(ops.matrix_product): Writer.matrix_product,
    id(ops.divide): Writer.quotient,
    id(ops.negative): Writer.negative,
    id(ops.add): Writer.sum_or_difference,
    id(ops.subtract): Writer.sum_or_difference,
    id(ops.transpose): Writer.transpose,
    id(ops.getitem): Writer.indexed,
    id(ops.zeros_like): Writer.constant,
    id(ops.ones_like): Writer.constant,
    id(argument): Writer.argument,
}


def factor_of(text: Text) -> float:
    """The number in front of a text."""
    return 1 if text.factor is None else text.factor


def without_factor(text: Text) -> Text | None:
    """A text without the number in front; None if it is only a number."""
    return text if text.factor is None else text.rest


def is_all(part: Any) -> bool:
    """Whether a part of an index leaves nothing out."""
    return part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None))


def is_minus(text: Text) -> bool:
    """Whether a text of Python begins with a minus that can be taken away."""
    return text.factor == -1 and text.rest is not None and text.binds >= PRODUCT


def is_own(primitive: Primitive) -> bool:
    """Whether a primitive is one of NumPy or of this package."""
    module = getattr(primitive.kernel, "__module__", "numpy")  # that of a ufunc
    return id(primitive) in NUMPY_NAMES or module.startswith(("numpy", OURS))


def python_name(primitive: Primitive) -> str:
    """What a primitive is called as code."""
    if id(primitive) in NUMPY_NAMES:
        return f"np.{NUMPY_NAMES[id(primitive)]}"
    if not is_own(primitive):
        return primitive.name
    if ".nn." in getattr(primitive.kernel, "__module__", ""):
        return f"ag.nn.functional.{primitive.name}"
    return f"{'np' if hasattr(np, primitive.name) else 'ag'}.{primitive.name}"


def with_axis(start: str, symbol: Symbol) -> str:
    r"""How a call begins in LaTeX, with the axis of a reduction: ``\sum_{\text{axis } 1}``."""
    assert symbol.primitive is not None
    statics, defaults = symbol.statics, symbol.primitive.defaults
    if "subscripts" in statics:
        words = statics["subscripts"]
    elif statics.get("axis", defaults.get("axis")) == defaults.get("axis"):
        return start
    else:
        axes = [statics["axis"]] if isinstance(statics["axis"], int) else statics["axis"]
        words = f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes)) or 'none'}"
    subscript = f"_{{\\text{{{for_latex(words)}}}}}"
    if r"\sum" in start:
        return start.replace(r"\sum", rf"\sum{subscript}")
    return re.sub(r"^(\\log )?\\(max|min|mathrm\{\w+\})", lambda m: m[0] + subscript, start)
