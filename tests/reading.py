"""A reader of formulas in plain text, who computes them with NumPy as one would by hand.

What he takes for granted:

- operands of elementwise ops are broadcast, and True is 1;
- ``A B`` is a product of matrices, in which a vector is a column and ``x^T`` a row;
- ``[a, b]`` are put together along the only axis along which they fit;
- ``onehot(t)`` has the shape of what it is subtracted from;
- the shape of the whole is known: it may lack axes of length 1, or have to be repeated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from cases import PRIMITIVES

Array = Any
TOKEN = re.compile(
    r"\(\.\)|\.\.\.|[<>=!]=|(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?j?)|[^\W\d][\w.]*(?<!\.)|\S"
)
COMPARISONS = {
    **{">": np.greater, "<": np.less, ">=": np.greater_equal, "<=": np.less_equal},
    **{"=": np.equal, "==": np.equal, "!=": np.not_equal},
}
REDUCTIONS: dict[str, Callable[..., Array]] = {
    **{"sum": np.sum, "max": np.max, "min": np.min},
    "norm": lambda x, **options: np.sqrt(np.sum(x**2, **options)),
    "logsumexp": lambda x, **options: np.log(np.sum(np.exp(x), **options)),
}
CASTS = {"int": np.int64, "bool": np.bool_, "float": np.float64}
BY_NAME = {primitive.name: primitive for primitive in PRIMITIVES}


class UnreadableError(Exception):
    """Something that the text does not say."""


class Quantity(NamedTuple):
    """What has been read."""

    array: Array


class Open(NamedTuple):
    """What has been read and takes the shape that fits."""

    fit: Callable[[tuple[int, ...]], Array]


def read(text: str, names: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    """What a formula gives, for what its names stand for; its shape is known.

    Raises
    ------
    UnreadableError
        If something is left out or can be understood in several ways.
    """
    reader = Reader(text, names)
    value = reader.comparison()
    if reader.tokens:
        raise UnreadableError(f"{reader.tokens} is left of {text}")
    found = value.fit(shape) if isinstance(value, Open) else value.array
    lengths = [n for n in found.shape if n != 1]
    if lengths == [n for n in shape if n != 1]:
        return found.reshape(shape)
    return np.broadcast_to(found, shape)


def elementwise(function: Callable[..., Array], *values: Any) -> Any:
    """An op on broadcast operands."""
    if any(isinstance(x, Open) for x in values):
        shape = np.broadcast_shapes(*[x.array.shape for x in values if not isinstance(x, Open)])
        if not shape:
            return Open(lambda shape: elementwise(function, *fitted(values, shape)).array)
        values = tuple(fitted(values, shape))
    return Quantity(np.asarray(function(*[x.array for x in values])))


def fitted(values: Iterable[Any], shape: tuple[int, ...]) -> list[Quantity]:
    """Operands, all of which have a shape."""
    return [Quantity(x.fit(shape)) if isinstance(x, Open) else x for x in values]


def arithmetic(function: Callable[..., Array], *values: Any) -> Any:
    """`elementwise`, of numbers."""
    return elementwise(lambda *xs: function(*map(as_number, xs)), *values)


def as_number(x: Array) -> Array:
    """True as 1, and integers as floats."""
    return x.astype(float) if x.dtype.kind in "biu" else x


def matrix_product(a: Any, b: Any) -> Any:
    """``A B``."""
    if isinstance(a, Open) or isinstance(b, Open) or not (a.array.ndim and b.array.ndim):
        return arithmetic(np.multiply, a, b)
    first, second = as_number(a.array), as_number(b.array)
    product = (first[:, None] if first.ndim == 1 else first) @ (
        second[:, None] if second.ndim == 1 else second
    )
    return Quantity(product[..., 0] if second.ndim == 1 else product)


def transposed(x: Any) -> Any:
    """``x^T``."""
    array = closed(x).array
    return Quantity(array[None, :] if array.ndim == 1 else np.swapaxes(array, -1, -2))


def closed(x: Any) -> Quantity:
    """What has a shape of its own."""
    if isinstance(x, Open):
        raise UnreadableError("the shape of a part is not said")
    quantity: Quantity = x
    return quantity


def side_by_side(parts: list[Any]) -> Any:
    """``[a, b]``."""
    arrays = [closed(x).array for x in parts]
    rank = max(x.ndim for x in arrays)
    if rank == 1:
        arrays = [np.atleast_1d(x) for x in arrays]
    if not rank:
        return Quantity(np.stack(arrays))
    axes = [axis for axis in range(rank) if len({others(x, axis) for x in arrays}) == 1]
    if len(axes) != 1 < len(arrays):
        raise UnreadableError(f"{[x.shape for x in arrays]} lie side by side along {axes}")
    return Quantity(np.concatenate(arrays, axes[0]))


def others(x: Array, axis: int) -> tuple[int, ...]:
    """The lengths of the other axes."""
    return (*x.shape[:axis], *x.shape[axis + 1 :])


def onehot(labels: Array) -> Open:
    """Zeros and ones in the shape that fits."""

    def fit(shape: tuple[int, ...]) -> Array:
        for axis in reversed(range(len(shape))):
            classes = np.arange(shape[axis])
            if (*shape[:axis], *shape[axis + 1 :]) == labels.shape:
                return np.moveaxis((labels[..., None] == classes) * 1.0, -1, axis)
        raise UnreadableError(f"labels of shape {labels.shape} as zeros and ones of shape {shape}")

    return Open(fit)


class Reader:
    """Reads one formula from the left to the right."""

    def __init__(self, text: str, names: Mapping[str, Array]) -> None:
        if "(...)" in text or "condition" in text:
            raise UnreadableError("something is left out")
        dotted = sorted((re.escape(name) for name in names if name[0].isdigit()), reverse=True)
        found = list(re.finditer("|".join([*dotted, TOKEN.pattern]), text))  # 0.weight, and others
        self.text = text
        self.tokens = [x[0] for x in found]
        self.spaced = [text[: x.start()].endswith(" ") for x in found]
        self.starts = [x.start() for x in found]
        self.names = names

    def take(self, *wanted: str) -> str:
        """Go on, if one of these comes."""
        return self.next() if self.tokens and self.tokens[0] in wanted else ""

    def next(self) -> str:
        """Go on."""
        self.spaced.pop(0)
        self.starts.pop(0)
        return self.tokens.pop(0)

    def need(self, token: str) -> None:
        """Go on, if this comes."""
        if not self.take(token):
            raise UnreadableError(f"{token} is missing in {self.text}")

    def comparison(self) -> Any:
        """``a > b``."""
        value = self.sum()
        while sign := self.take(*COMPARISONS):
            value = elementwise(COMPARISONS[sign], value, self.sum())
        return value

    def sum(self) -> Any:
        """Terms."""
        minus = self.take("-")
        value = self.product()
        if minus:
            value = arithmetic(np.negative, value)
        while sign := self.take("+", "-"):
            value = arithmetic(np.add if sign == "+" else np.subtract, value, self.product())
        return value

    def product(self) -> Any:
        """Factors, from the left to the right."""
        value = self.power()
        while self.tokens and not self.ends_factors():
            if self.take("/"):
                value = arithmetic(np.divide, value, self.power())
            elif self.take("(.)", "*"):
                value = arithmetic(np.multiply, value, self.power())
            else:
                value = matrix_product(value, self.power())
        return value

    def ends_factors(self) -> bool:
        """Whether what comes is no factor."""
        return self.tokens[0] in {"+", "-", ")", "]", ",", ":", *COMPARISONS}

    def power(self) -> Any:
        """A power, a transpose, or a part of an array."""
        value = self.atom()
        while self.tokens:
            if self.take("^"):
                if self.take("T"):
                    value = transposed(value)
                else:
                    value = arithmetic(np.power, value, self.atom())
            elif self.tokens[0] == "[" and not self.spaced[0]:
                self.next()
                array = closed(value).array
                value = Quantity(np.asarray(array[tuple(self.key())]))
            else:
                break
        return value

    def key(self) -> list[Any]:
        """What stands in the brackets of an index."""
        parts: list[Any] = []
        while not self.take("]", ")"):
            if self.take("..."):
                parts.append(Ellipsis)
            elif self.take("None"):
                parts.append(None)
            elif re.match(r"-?\d*(:-?\d*)*[,\])]", self.rest()):
                parts.append(self.slice())
            else:
                parts.append(closed(self.comparison()).array)
            self.take(",")
        return parts

    def rest(self) -> str:
        """The text that comes."""
        return self.text[self.starts[0] :]

    def slice(self) -> Any:
        """A number, or ``1:3``."""
        text = ""
        while self.tokens[0] not in (",", "]", ")"):
            text += self.next()
        ends = [int(x) if x else None for x in text.split(":")]
        return slice(*ends) if ":" in text else ends[0]

    def atom(self) -> Any:
        """A name, a number, a function or something in brackets."""
        token = self.next()
        if token == "(":
            value = self.comparison()
            self.need(")")
            return value
        if token == "[":
            parts = [self.comparison()]
            while self.take(","):
                parts.append(self.comparison())
            self.need("]")
            return side_by_side(parts)
        if token in self.names and not (
            self.tokens and self.tokens[0] == "(" and not self.spaced[0]
        ):
            return Quantity(np.asarray(self.names[token]))
        if self.tokens and self.tokens[0] == "(" and not self.spaced[0]:
            self.next()
            return self.function(token)
        if token == "e" and self.take("^"):
            return arithmetic(np.exp, self.atom())
        if token in ("True", "False"):
            return Quantity(np.asarray(token == "True"))
        try:
            return Quantity(np.asarray(complex(token) if "j" in token else float(token)))
        except ValueError:
            raise UnreadableError(f"what is {token}") from None

    def function(self, name: str) -> Any:
        """A function of what is in parentheses."""
        if name == "scatter":
            return self.scatter()
        values: list[Any] = []
        keywords: dict[str, Any] = {}
        shape: tuple[int, ...] | None = None
        while not self.take(")"):
            rest = self.rest()
            if match := re.match(
                r"(\w+)=((?:[^()]|\([^()]*\))*?)(?=(, \w+=)|\)$|\)[^)]|\)\))", rest
            ):
                keywords[match[1]] = literal(match[2])
                self.skip(len(match[0]))
            elif name in ("reshape", "broadcast") and values:
                shape = self.shape()
            else:
                values.append(self.comparison())
            self.take(",")
        return self.called(name, values, keywords, shape)

    def scatter(self) -> Any:
        """Zeros of a shape, with something added at a key."""
        x = closed(self.comparison())
        self.need(",")
        self.need("[")
        key = tuple(self.key())
        self.need(",")
        y = np.zeros(self.shape())
        np.add.at(y, key, x.array)
        self.need(")")
        return Quantity(y)

    def shape(self) -> tuple[int, ...]:
        """``2 x 3``."""
        match = re.match(r"\d+( x \d+)*", self.rest())
        assert match
        self.skip(len(match[0]))
        return tuple(map(int, match[0].split(" x ")))

    def skip(self, length: int) -> None:
        """Go on by some characters."""
        end = self.starts[0] + length
        while self.starts and self.starts[0] < end:
            self.next()

    def called(self, name: str, values: list[Any], keywords: dict[str, Any], shape: Any) -> Any:
        """What a function gives."""
        if name in CASTS:
            return elementwise(lambda x: x.astype(CASTS[name]), *values)
        if name in ("ones", "zeros"):
            lengths = [int(x.array) for x in values]
            return Quantity(getattr(np, name)(lengths))
        if name == "onehot":
            return onehot(closed(values[0]).array)
        if name == "abs":
            return elementwise(np.abs, *values)
        if name == "pow":
            return elementwise(np.power, *values)
        primitive = BY_NAME.get(name)
        if primitive is not None and primitive.kind == "elementwise":
            return elementwise(lambda *xs: primitive.kernel(*xs, **keywords), *values)
        arrays = [closed(x).array for x in values]
        if shape is not None:
            return Quantity(
                getattr(np, {"broadcast": "broadcast_to"}.get(name, name))(*arrays, shape)
            )
        if name in ("stack", "concatenate"):
            return Quantity(getattr(np, name)(arrays, **keywords))
        if name in REDUCTIONS:
            axis = keywords.get("axis")
            kept = keywords.get("keepdims", False)
            return Quantity(
                np.asarray(REDUCTIONS[name](as_number(arrays[0]), axis=axis, keepdims=kept))
            )
        if name == "transpose":
            return Quantity(np.transpose(arrays[0], **keywords))
        if primitive is None:
            raise UnreadableError(f"what is {name}")
        statics = {**primitive.defaults, **keywords}
        if name == "conv2d" and len(arrays) == 2:
            arrays.append(np.zeros(len(arrays[1])))
        return Quantity(np.asarray(primitive.kernel(*arrays, **statics)))


def literal(text: str) -> Any:
    """A keyword argument."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
