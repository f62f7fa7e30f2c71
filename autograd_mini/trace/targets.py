"""What the turns of a loop are called: the variable that each turn assigns to, with a number."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

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
    ``A`` elsewhere; the variable itself has only the last.  What is assigned once keeps the name of
    its variable as a `target`, for those who need a name.
    """
    held: dict[str, list[Value]] = {}
    of_statement: dict[tuple[Target, str], list[Value]] = {}
    for place, values in turns(calls).items():
        span = place.span
        if (target := target_at(span)) is not None:
            held.setdefault(target.name, []).extend(values)
            of_statement.setdefault((target, span.file), []).extend(values)
    bound_anew = {target.name for (target, _), x in of_statement.items() if len(x) > 1}
    turn = {call.output: i for i, call in enumerate(calls)}
    found: dict[Value, str] = {}
    for name, values in sorted(held.items()):
        if name not in bound_anew:
            if len(values) == 1:
                values[0].target = name
            continue
        values.sort(key=turn.__getitem__)
        mine = {x for x in values if names.get(x, name) == name}
        others = {*names.values(), *found.values()} - {names.get(x) for x in mine}
        between = "_" if name[-1:].isdigit() else ""
        if others.intersection(f"{name}{between}{i}" for i in range(1, len(values) + 1)):
            between = "_"
        numbered = {x: f"{name}{between}{i}" for i, x in enumerate(values, 1) if x in mine}
        if not others.intersection(numbered.values()):
            found.update(numbered)
    return found


def variables_of_loops(calls: Sequence[Call]) -> set[str]:
    """The variables that loops of the program bind anew, of which a run has several turns."""
    found: set[str] = set()
    for place, values in turns(calls).items():
        span = place.span
        around = [
            (first, names)
            for first, last, names in loops_in("".join(linecache.getlines(span.file)))
            if len(values) > 1 and first <= (span.first or 0) <= last
        ]
        found |= max(around, key=lambda loop: loop[0])[1] if around else set()
    return found


@functools.lru_cache(16)
def loops_in(text: str) -> list[tuple[int, int, set[str]]]:
    """The ``for`` loops of a module: their first and last lines, and the variables they bind."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    return [
        (x.lineno, x.end_lineno or 0, {y.id for y in ast.walk(x.target) if isinstance(y, ast.Name)})
        for x in ast.walk(tree)
        if isinstance(x, ast.For)
    ]


class Target(NamedTuple):
    """The variable that a statement assigns to, and the line of it."""

    name: str
    line: int


def target_at(span: Span) -> Target | None:
    """What the value of an expression of the user's program is assigned to, if to one variable."""
    lines = linecache.getlines(span.file)
    place = span.first, span.last, span.start, span.end
    return targets_in("".join(lines)).get(place) if lines and None not in place else None


@functools.lru_cache(16)
def targets_in(text: str) -> dict[tuple[int | None, ...], Target]:
    """The targets of the assignments in a module, by the places of what is assigned."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found: dict[tuple[int | None, ...], Target] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target, *_], value=value):
                pairs = assigned(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                pairs = assigned(target, value)
            case _:
                continue
        for target, value in pairs:
            if (name := called(target)) is not None:
                place = value.lineno, value.end_lineno, value.col_offset, value.end_col_offset
                found[place] = Target(name, node.lineno)
    return found


def assigned(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What is assigned to what, of several at once each, and of a condition both cases."""
    match target, value:
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            return [x for pair in zip(targets, values, strict=True) for x in assigned(*pair)]
        case _, ast.IfExp(body=body, orelse=other):
            return assigned(target, body) + assigned(target, other)
    return [(target, value)]


def called(target: ast.expr) -> str | None:
    """The name of a variable, of an attribute or of an entry: ``cache["Z1"]`` is Z1."""
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)) if name.isidentifier():
            return name
    return None
