"""Calls that are not written as the templates of their primitives say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core import ops
from .expressions import Symbol, latex_of
from .fitting import dimensions, is_reduction, is_repeated_number, is_stack, needs_axis, takes_all
from .templates import PRODUCT
from .texts import Text, factor_of, is_minus, is_number, joined, without_factor

if TYPE_CHECKING:
    from .writer import Writer

Rule = Callable[["Writer", Symbol, list[Text]], Text]


def product(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``a * b``: factors of 1 vanish, and a number stands in front."""
    a, b = parts
    first, second = symbol.operands
    for one, other, kept in ((a, b, second), (b, a, first)):
        alike = kept.shape == symbol.shape and kept.dtype == symbol.dtype
        if one.factor == 1 and is_number(one) and (alike or not writer.exact):
            return other
    if writer.language == "python":
        return product_in_python(writer, a, b)
    factor = factor_of(a) * factor_of(b)
    rest, other_rest = without_factor(a), without_factor(b)
    if rest is None or other_rest is None:
        return writer.scaled(factor, rest or other_rest)
    scalars = [writer.is_scalar(x, text) for x, text in zip(symbol.operands, parts, strict=True)]
    if scalars == [False, True]:
        rest, other_rest = other_rest, rest
    assert symbol.primitive is not None
    names = "ab" if any(scalars) else symbol.primitive.operands
    template = writer.scaled_form if any(scalars) else writer.template(symbol)
    if template is None:
        return writer.function(symbol, parts)
    operands = dict(zip(names, (rest, other_rest), strict=True))
    return writer.scaled(factor, writer.filled(template, operands))


def product_in_python(writer: Writer, a: Text, b: Text) -> Text:
    """``0.07 * (2 * W)`` is ``0.14 * W``."""
    form = "$a * $b"
    for one, other in ((a, b), (b, a)):
        both = one.rest is None and (one.factor or 0) > 0 and (other.factor or 0) > 0
        if both and other.rest is not None and not writer.exact:
            front = writer.number(factor_of(one) * factor_of(other))
            rest = other.rest if other.rest.binds >= PRODUCT else writer.in_parentheses(other.rest)
            pieces = (front.pieces, " * ", rest.pieces)  # a number goes in front of a product
            length = front.length + 3 + rest.length
            return Text(pieces, length, PRODUCT, "*", False, front.factor, other.rest)
    product = writer.filled(form, {"a": a, "b": b})
    if a.factor is not None and a.rest is None:
        return product._replace(factor=a.factor, rest=b)
    return with_factor_of(writer, a, product, form, b)


def with_factor_of(writer: Writer, a: Text, product: Text, form: str, b: Text) -> Text:
    """A product, in which what is in front of its first factor is in front of the whole."""
    if a.rest is None:
        return product
    return product._replace(factor=a.factor, rest=writer.filled(form, {"a": a.rest, "b": b}))


def matrix_product(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``a @ b``."""
    if writer.language != "python":
        return product(writer, symbol, parts)
    return with_factor_of(writer, parts[0], writer.call(symbol, parts), "$a @ $b", parts[1])


def quotient(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``a / b``, with a sign in front."""
    a, b = parts
    if writer.language == "python":
        return with_factor_of(writer, a, writer.call(symbol, parts), "$a / $b", b)
    if b.factor == 1 and b.rest is None:
        return a
    if not factor_of(a) < 0:
        return writer.call(symbol, parts)
    return writer.scaled(-1, writer.call(symbol, [writer.scaled(-factor_of(a), a.rest), b]))


def negative(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``-x``."""
    (x,) = parts
    if writer.language == "python":
        return writer.call(symbol, parts)._replace(factor=-1.0, rest=x)
    return writer.scaled(-factor_of(x), without_factor(x))


def sum_or_difference(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``a + b`` or ``a - b``, the other one if ``b`` has a minus in front."""
    a, b = parts
    if not factor_of(b) < 0 or (writer.language == "python" and not is_minus(b)):
        return writer.call(symbol, parts)
    b = b.rest if writer.language == "python" and b.rest else writer.scaled(-factor_of(b), b.rest)
    other = "$a - $b" if symbol.python == "a + b" else "$a + $b"
    return writer.filled(other, {"a": a, "b": b})


def transpose(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``x.T``, where that is what it is."""
    axes, dimensions = symbol.statics["axes"], len(symbol.shape)
    backwards = [*range(dimensions)][::-1]
    order = backwards if axes is None else [*ops.normalized(axes, dimensions)]
    last_two = [*range(dimensions - 2), dimensions - 1, dimensions - 2]
    if order == last_two and dimensions > 2 and writer.language == "python":
        return writer.filled("$x.mT", {"x": parts[0]})
    if order == (backwards if writer.language == "python" else last_two):
        return writer.call(symbol, parts)
    if writer.language == "latex":
        axes_text = r",\,".join(map(str, order))
        return writer.filled(f"\\mathrm{{transpose}}_{{{axes_text}}}($x)", {"x": parts[0]})
    return writer.function(symbol, parts)


def constant(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """Zeros or ones, which mathematics does not tell from the number."""
    if writer.language == "python" or not is_repeated_number(symbol):
        return writer.call(symbol, parts)
    return writer.number(float(latex_of(symbol)))


def power(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``a**b``; with an exponent called T it would read as a transpose."""
    if writer.language != "python" and joined(parts[1].pieces) == "T":
        form = writer.function_form("pow", "$a, $b")
        return writer.filled(form, dict(zip("ab", parts, strict=True)))
    return writer.call(symbol, parts)


def reduction(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``sum(x, axis=1)``; along all axes just ``sum(x)``."""
    if writer.language != "python" and takes_all(symbol):
        statics = {**symbol.statics, "axis": None}
        symbol = Symbol(symbol.array, None, symbol.primitive, symbol.operands, statics)
    return writer.call(symbol, parts)


def length(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """The length of vectors, of which NumPy takes only one axis or two."""
    axis = symbol.statics["axis"]
    if writer.language != "python" or not isinstance(axis, tuple) or len(axis) in (1, 2):
        return reduction(writer, symbol, parts)
    keepdims = ", keepdims=True" * symbol.statics["keepdims"]
    return writer.filled(f"np.sqrt(np.sum($x**2, axis={axis}{keepdims}))", {"x": parts[0]})


def concatenation(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """``[a, b]``, if the shapes tell how they lie."""
    stack = not writer.exact and is_stack(writer, symbol, parts)
    if writer.language == "python" or not (stack or needs_axis(symbol, parts)):
        return writer.call(symbol, parts)
    axis = symbol.statics["axis"] % len(symbol.shape)
    assert symbol.primitive is not None
    (xs,) = symbol.primitive.operands
    latex = writer.language == "latex"
    where = rf"\text{{axis {axis}}}" if latex else f"axis={axis}"
    template = writer.function_form("stack" if stack else "concatenate", f"${xs}", where)
    if latex and not stack:
        template = f"[${xs}]_{{{where}}}"
    return writer.filled(template, writer.operands(symbol, parts))


def scattered(writer: Writer, symbol: Symbol, parts: list[Text]) -> Text:
    """Zeros with something at a key, and with their shape if that does not go without saying."""
    if writer.language == "python":
        return writer.call(symbol, parts)
    assert symbol.primitive is not None
    x, indices = symbol.primitive.operands
    settled = writer.exact or id(symbol) in writer.settled
    sizes = "" if settled else dimensions(writer, symbol.shape)
    template = writer.function_form("scatter", f"${x}, [${indices}]", sizes)
    return writer.filled(template, writer.operands(symbol, parts))


#: Calls that are not written as their templates say, by what Python writes on ``a`` and ``b``.
IN_PYTHON: dict[str, Rule] = {
    "a * b": product,
    "a @ b": matrix_product,
    "a / b": quotient,
    "-a": negative,
    "a + b": sum_or_difference,
    "a - b": sum_or_difference,
    "a**b": power,
    "np.linalg.norm": length,
}
#: Likewise, by the kind of the primitive.
BY_KIND: dict[str, Rule] = {
    "permutation": transpose,
    "constant": constant,
    "join": concatenation,
    "scatter": scattered,
}


def rule_of(symbol: Symbol) -> Rule | None:
    """How a call is written; None if as its template says."""
    general = reduction if is_reduction(symbol) else BY_KIND.get(symbol.kind)
    return IN_PYTHON.get(symbol.python, general)
