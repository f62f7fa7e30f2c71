"""The texts of a picture: what stands in boxes and frames, at arrows, and in tooltips.

All texts of users go through `autograd_mini.text.clean`.
"""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import ops
from ..text import clean
from ..trace import Call, Value
from .grouping import DECADES, MARKS, Item, Place
from .reading import LONGEST_NAME, Reading, tensors_in

if TYPE_CHECKING:
    from ..formulas import Symbol

WIDEST = 44  # characters of a line of a formula or message
LONGEST_FORMULA = 2_000  # before it is cut
LONGEST_DERIVATIVE = 32
BRIEF = 6  # characters of a formula that stands for a name
#: What does not care which operand comes first.
COMMUTATIVE = ("a + b", "a * b", "np.maximum", "np.minimum")
NOT_KEPT = "the graph keeps only what derivatives need: record the run by ag.trace()"
CHANGED = "it was changed after the results were computed: record the run by ag.trace()"
#: Keyword arguments that the box shows anyhow, by the shape and dtype of the result.
VISIBLE_ANYHOW = ("shape", "dtype")


# ---- boxes --------------------------------------------------------------------------------------


def lines_of(
    item: Item, reading: Reading, *, values: str, gradients: bool, by_name: bool
) -> list[str]:
    """What stands in a box."""
    value = item.value
    if item.kind == "error":
        return error_lines(reading)
    if item.kind == "module" or value is None:
        return module_lines(item)
    if is_shapeless(item):
        return ["not kept"]
    lines = title_of(item, reading, by_name)
    lines.append(size_of(value))
    if item.copies > 1:  # each of the identical blocks has values of its own
        return lines
    if not value.kept:
        lines.append("changed since" if value.changed else "value not kept")
    elif values != "none":
        lines += [short for short in [summary(value.array, values)] if short]
    if gradients and (line := gradient_line(value, reading, values)):
        lines.append(line)
    return lines


def is_shapeless(item: Item) -> bool:
    """Whether it stands for a constant of which a graph did not even keep the shape."""
    value = item.value
    return item.kind == "constant" and value is not None and not (value.kept or value.changed)


def title_of(item: Item, reading: Reading, formula: bool) -> list[str]:
    """The name of a quantity, and how it is computed."""
    name = item.name
    if item.copies > 1 and item.places and not item.named:
        name = name.replace(f"{item.places[-1].scope.path}.", "")
    name = clean(name, LONGEST_NAME)
    if not item.calls:
        return [name] if name else []
    how = formula_of(item, reading) if formula else operation(item.calls[-1])
    text = clean(f"{name} = {how}" if name else how)
    return wrapped(text) if formula else [text]


def operation(call: Call) -> str:
    """The op with the numbers among its operands, ``divide(·, 5)``, and its keyword arguments."""
    numbers = any(not isinstance(x, Value) for x in call.operands)
    inside = ["·" if isinstance(x, Value) else f"{x:.4g}" for x in call.operands] if numbers else []
    inside += [
        f"{name}={text}"
        for name, static in call.statics.items()
        if name not in VISIBLE_ANYHOW and not is_default(call, name, static)
        if len(text := static_text(static)) <= 20
    ]
    return f"{call.primitive.name}({', '.join(inside)})" if inside else call.primitive.name


def is_default(call: Call, name: str, static: Any) -> bool:
    """Whether a keyword argument need not have been given."""
    default = call.primitive.defaults.get(name)
    return static is default or (isinstance(static, str | int | float) and static == default)


def static_text(static: Any) -> str:
    """A keyword argument as code; of an index what stands between the brackets."""
    if isinstance(static, slice):
        ends = ["" if x is None else str(x) for x in (static.start, static.stop)]
        return ":".join(ends) + (f":{static.step}" if static.step is not None else "")
    if static is Ellipsis:
        return "..."
    if isinstance(static, tuple) and any(isinstance(x, slice | type) or x is ... for x in static):
        return ", ".join(map(static_text, static))
    if isinstance(static, type):
        return "·"
    return repr(static)


def formula_of(item: Item, reading: Reading) -> str:
    """The formula of a quantity, from those that have names."""
    from ..formulas import definition_of, write

    assert item.value is not None
    symbols = reading.unknown | {
        use.item.value: reading.symbol(use.item.value)
        for use in item.uses
        if use.item.value and use.item.name
    }
    return write(definition_of(item.value, symbols), "text", longest=LONGEST_FORMULA)


def wrapped(text: str) -> list[str]:
    """A text on lines that a box has room for."""
    return textwrap.wrap(text, WIDEST, subsequent_indent="  ", break_on_hyphens=False) or [text]


def size_of(value: Value) -> str:
    """The shape and the dtype."""
    return f"{value.shape} {value.dtype}" if value.shape else str(value.dtype)


def summary(array: Any, values: str) -> str:
    """Up to four numbers in full; of more the norm, the least and the greatest."""
    if array.size == 0:
        return "empty"
    if array.dtype.kind not in "biufc":
        return ""
    if array.size == 1:
        return full(array)
    if array.size <= 4 and values == "auto":
        return ", ".join([full(array), *not_finite(array)])
    if array.dtype.kind == "b":
        return f"{np.count_nonzero(array)} of {array.size} true"
    finite = array[np.isfinite(array)]
    parts = []
    if finite.size:
        size = norm(finite)
        parts += [f"norm {size:.4g}"] if np.isfinite(size) else []  # the greatest float has to do
        if finite.dtype.kind != "c":
            least, greatest = short(float(finite.min())), short(float(finite.max()))
            parts.append(f"all {least}" if least == greatest else f"{least} .. {greatest}")
    return ", ".join([*parts, *not_finite(array)])


def norm(array: Any) -> float:
    """The Euclidean norm, of numbers of any size."""
    sizes = np.abs(array if array.dtype.kind == "c" else array.astype(float))
    largest = float(np.max(sizes, initial=0.0))
    return largest * float(np.linalg.norm(sizes / largest)) if largest else 0.0


def full(array: Any) -> str:
    """All numbers."""
    if array.ndim == 0:
        return short(array.item())
    if array.ndim == 1:
        return f"[{', '.join(map(short, array.tolist()))}]"
    return f"[{', '.join(map(full, array))}]"


def short(x: Any) -> str:
    """A number with four digits."""
    return str(x) if isinstance(x, bool) else f"{x + 0:.4g}"  # no -0


def not_finite(array: Any) -> list[str]:
    """How many NaN and infinities there are, if any."""
    counts = {"NaN": np.count_nonzero(np.isnan(array)), "inf": np.count_nonzero(np.isinf(array))}
    return [f"{count} {what}" for what, count in counts.items() if count]


def gradient_line(value: Value, reading: Reading, values: str) -> str:
    """The gradient, or why there is none."""
    gradient = reading.gradients.get(value)
    if gradient is not None:
        return f"grad {summary(gradient.array, 'stats' if values == 'stats' else 'auto')}"
    if value.kind != "parameter":
        return "not trained" if id(value.live) in reading.held else ""
    return "grad: not reached" if is_left_out(value, reading) else "grad: not computed"


def is_left_out(value: Value, reading: Reading) -> bool:
    """Whether a parameter has no gradient since the cost does not depend on it."""
    differentiated = reading.cost is not None and bool(reading.gradients)
    return differentiated and value not in reading.useful


def mark_of(value: Value, reading: Reading, gradients: bool, overlay: bool) -> str:
    """What is to be seen in a value, one of `MARKS`, if there is anything."""
    if value in reading.marks:
        return reading.marks[value]
    gradient = reading.gradients.get(value) if gradients else None
    if any(reading.is_bad(x) for x in (value, gradient) if x is not None):
        calls = [value.call] if value.call else []
        calls += [call for share in value.shares if gradient for call in share.calls]
        from_outside = not calls and reading.is_bad(value)
        return "first nan" if from_outside or any(map(reading.is_source, calls)) else "nan"
    if gradient is not None and gradient.array.size and not np.any(gradient.array):
        return "zero"
    sized = value if value in reading.shown_gradients else gradient
    if overlay and sized is not None:
        return f"size {bisect_right(DECADES, norm(sized.array))}"
    parameter = gradients and value.kind == "parameter"
    return "not reached" if parameter and is_left_out(value, reading) else ""


def error_lines(reading: Reading) -> list[str]:
    """What failed, and why."""
    failure = reading.run.failure
    assert failure is not None
    shapes = ", ".join(str(x.shape) for x in failure.operands)
    return [clean(f"{failure.op}({shapes}) failed"), *wrapped(clean(failure.message))]


def module_lines(item: Item) -> list[str]:
    """What a closed module is: its class, how many parameters it has, and its output's shape."""
    place = item.members[0].places[len(item.places)]
    lines = [group_label(place, item.copies)]
    tensors = tensors_in(place.scope.module)
    trained = sum(tensor.size for tensor in tensors if tensor.requires_grad)
    others = sum(tensor.size for tensor in tensors if not tensor.requires_grad)
    own = any(member.kind == "parameter" for member in item.members)  # not shared by all blocks
    each = "each " if item.copies > 1 and own else ""
    if trained:
        lines.append(f"{each}{trained:,} parameter{'s' * (trained != 1)}")
    if others:
        lines.append(f"{each}{others:,} not trained")
    return [*lines, size_of(item.value)] if item.value else lines


def group_label(place: Place, copies: int = 1) -> str:
    """What a frame is called: ``0: Linear``, with the number of identical blocks, `` x12``."""
    scope = place.scope
    label = scope.kind if scope.name == scope.kind else f"{scope.name}: {scope.kind}"
    backward = ", backward" if place.phase == "backward" else ""
    return clean(label) + backward + (f"  x{copies}" if copies > 1 else "")


def tooltip_of(item: Item, reading: Reading) -> str:
    """Further facts, a line each."""
    value = item.value
    facts = [clean(item.name)] if item.name else []
    if item.kind == "error" and reading.run.failure and reading.run.failure.source:
        source = reading.run.failure.source
        facts.append(clean(f"{source}: {source.text}"))
    if value and not is_shapeless(item):
        size = value.array.size
        elements = f"{size:,} element{'s' * (size != 1)}"
        facts.append(f"shape {value.shape}, {value.dtype}, {elements}")
    if value and not value.kept and item.kind != "module":
        facts.append(CHANGED if value.changed else NOT_KEPT)
    if item.kind == "module":
        facts.append(f"{len(item.members)} boxes")
    elif value and item.copies == 1 and value.kept:
        facts += [text for text in [summary(value.array, "stats")] if text]
        if gradient := reading.gradients.get(value):
            facts.append(f"grad {summary(gradient.array, 'stats')}")
    facts += [MARKS[item.mark]] if item.mark else []
    if item.copies > 1:
        facts.append(f"the first of {item.copies} identical ones")
    for call in item.calls[-1:]:
        facts += [
            clean(f"{name} = {static_text(static)}", LONGEST_NAME)
            for name, static in call.statics.items()
        ]
        if call.source:
            facts.append(clean(f"{call.source}: {call.source.text}"))
    if item.places and item.places[-1].scope.path:
        facts.append(clean(f"in {item.places[-1].scope.path}"))
    return "\n".join(facts)


# ---- arrows -------------------------------------------------------------------------------------


def operand_labels(item: Item) -> list[str]:
    """The number of each operand, where there are several and it matters which is which."""
    if len(item.calls) > 1 or len(item.uses) < 2:
        return [""] * len(item.uses)
    from ..formulas import in_python

    twice = len({use.item for use in item.uses}) < len(item.uses)
    alike = item.calls and in_python(item.calls[0].primitive) in COMMUTATIVE
    if item.kind == "module" or (alike and not twice):
        return [""] * len(item.uses)
    return [str(use.position) for use in item.uses]


def derivative_labels(item: Item, reading: Reading) -> list[str]:
    """The local derivative at each arrow: the rules, with the gradient of the output taken as 1.

    Where a rule is no product with that gradient, such as the rule of a product of matrices or of
    an operand that was stretched, it is written ``g``.  What has no name is called ``in`` and
    ``out``, as seen from the op.  An arrow by which no gradient comes back has no label.
    """
    from ..formulas import Symbol, named

    if item.value is None or not item.calls:
        return [""] * len(item.uses)
    ones = np.ones_like(item.value.array)
    found = local_derivatives(item, reading, named("g", ones))
    if ones.size == 1:
        found |= local_derivatives(item, reading, Symbol(ones))
    elif all(call.primitive.kind == "elementwise" for call in item.calls):
        found |= local_derivatives(item, reading, Symbol(np.ones((), ones.dtype)))
    return [found.get((use.call, use.position), "") for use in item.uses]


def local_derivatives(
    item: Item, reading: Reading, unit: Symbol
) -> dict[tuple[Call | None, int], str]:
    """The shares of an item's operands in the gradient ``unit`` of its value, as texts.

    If ``unit`` is one number for all elements of the value, only those of operands of its shape.
    """
    from ..formulas import named, share_of

    assert item.value is not None
    output = clean(item.name, LONGEST_NAME) or "out"
    known: dict[Value, Symbol] = {item.value: named(output, item.value.array)}
    known |= reading.unknown | operand_symbols(item, reading)
    upstream = {item.value: unit}
    inside = {call.output for call in item.calls}
    found: dict[tuple[Call | None, int], str] = {}
    for call in reversed(item.calls):
        for position, operand in enumerate(call.operands):
            pull = reading.pulls.get((call, position))
            if pull is None or pull.call.output.gradient is None or call.output not in upstream:
                continue  # or the gradient was one of an earlier backward pass
            if unit.shape != item.value.shape != operand.shape:
                continue
            share = share_of(pull, upstream[call.output], known)
            if operand in inside:
                before = upstream.get(operand)
                upstream[operand] = ops.add(before, share) if before else share
            else:
                found[call, position] = derivative_text(share, with_number=not unit.name)
    return found


def operand_symbols(item: Item, reading: Reading) -> dict[Value, Symbol]:
    """What the formulas of an item's local derivatives have for its operands."""
    from ..formulas import named

    unnamed = [use for use in item.uses if not use.item.name]
    symbols = {}
    for use in reversed(item.uses):
        if use.call is None:
            continue
        value = use.call.operands[use.position]  # that of the item may be of another block
        number = "" if len(item.uses) == 1 or len(item.calls) > 1 else str(use.position)
        if use.item.name and use.item.copies >= item.copies:
            symbols[value] = reading.symbol(value)
        elif formula := brief(value, reading):
            symbols[value] = formula
        elif value.call or value.array.size > 1:
            name = f"in{number}" if len(unnamed) > 1 else "in"
            symbols[value] = named(name, value.array)
    return symbols


def brief(value: Value, reading: Reading) -> Symbol | None:
    """The formula of an elementwise result, such as ``1 - a``, if it is no longer than a name."""
    from ..formulas import definition_of, write

    if value.call is None or value.call.primitive.kind != "elementwise":
        return None
    operands = value.call.arrays
    if not all(reading.called(x) for x in operands):
        return None
    formula = definition_of(value, {x: reading.symbol(x) for x in operands})
    return formula if len(write(formula, "text")) <= BRIEF else None


def derivative_text(share: Symbol, with_number: bool) -> str:
    """A local derivative as a formula and, if it is one number, as that."""
    from ..formulas import write

    text = write(share, "text")
    if not with_number or np.size(share.array) != 1:
        return clean(text, LONGEST_DERIVATIVE)
    number = short(np.asarray(share.array).item())
    if len(text) > LONGEST_DERIVATIVE or re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", text):
        return number
    return clean(f"{text} = {number}")
