"""What the turns of a loop are called: the variable that each turn assigns to, with a number."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Mapping, Sequence
from itertools import groupby

from .values import Call, Place, Span, Value


def turns(calls: Sequence[Call]) -> dict[Place, list[Value]]:
    """What each statement that assigns to a variable gave, one time after another.

    A statement may consist of several calls, of which the last one has its value.  The calls of
    one statement in a row may also be turns of a loop, if they are of one op.
    """
    found: dict[Place, dict[Value, None]] = {}
    for place, group in groupby(calls, key=lambda call: call.place):
        turn = [*group]
        loop = len({call.primitive for call in turn}) == 1
        inner = set() if loop else {x for call in turn for x in call.arrays}
        for call in turn if place else ():
            if call.output not in inner:
                found.setdefault(place, {})[call.output] = None
    return {place: [*values] for place, values in found.items()}


def names_of_turns(calls: Sequence[Call], names: Mapping[Value, str]) -> dict[Value, str]:
    """Names for what a variable held in the turns of a loop, or calls of a function.

    What ``A = np.tanh(W @ A)`` gave are ``A1``, ``A2``, ..., and so goes on what is assigned to
    ``A`` elsewhere; the variable itself has only the last.
    """
    held: dict[str, list[Value]] = {}
    bound_anew = set()
    for place, values in turns(calls).items():
        if (target := target_at(place.span)) is not None:
            held.setdefault(target, []).extend(values)
            bound_anew |= {target} if len(values) > 1 else set()
    turn = {call.output: i for i, call in enumerate(calls)}
    found: dict[Value, str] = {}
    for target in sorted(bound_anew):
        mine = [value for value in held[target] if names.get(value, target) == target]
        mine.sort(key=turn.__getitem__)
        others = {name for value, name in {**names, **found}.items() if value not in mine}
        numbered = [f"{target}{i}" for i in range(1, len(mine) + 1)]
        if others.intersection(numbered) or target[-1:].isdigit():
            numbered = [f"{target}_{i}" for i in range(1, len(mine) + 1)]
        if len(mine) > 1 and not others.intersection(numbered):
            found.update(zip(mine, numbered, strict=True))
    return found


def target_at(span: Span) -> str | None:
    """What the value of an expression of the user's program is assigned to, if to one variable."""
    lines = linecache.getlines(span.file)
    place = span.first, span.last, span.start, span.end
    return targets_in("".join(lines)).get(place) if lines and None not in place else None


@functools.lru_cache(16)
def targets_in(text: str) -> dict[tuple[int | None, ...], str]:
    """The targets of the assignments in a module, by the places of what is assigned."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found: dict[tuple[int | None, ...], str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target, *_], value=value):
                name = called(target)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                name = called(target)
            case _:
                continue
        if name is not None:
            found[value.lineno, value.end_lineno, value.col_offset, value.end_col_offset] = name
    return found


def called(target: ast.expr) -> str | None:
    """The name of a variable, of an attribute or of an entry: ``cache["Z1"]`` is Z1."""
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)) if name.isidentifier():
            return name
    return None
