"""A run as lines of formulas: each quantity forward, and each gradient backward."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..check.recognise import with_known_functions
from ..core import ops
from ..core.primitive import Primitive, primitive
from ..formulas import BOOKKEEPING, Symbol, named, operands_first, share_of, total, write
from ..formulas.algebra import Assumption, Forms, Quotient
from ..formulas.expressions import again
from ..formulas.lemmas import LEMMAS, assumed, axis_of_ones
from ..trace import Call, Pull, Source, Trace, Value, running
from ..trace.replay import Replay
from .constants import ARITHMETIC, Constant, Spoken
from .simplify import ONE, Algebra, Term

LONGEST = 12  # calls in a formula
MOST_CALLS = 400  # of a run in which the gradients of values without a name are simplified, too
#: What a formula does not show, or what makes it hardly longer.
SHORT = (*BOOKKEEPING, "permutation")
DIVISIONS = ("a / b", "np.reciprocal")


class Found(NamedTuple):
    """A shorter form, why it is one, and what it takes to be true of the data."""

    term: Term
    why: str
    since: frozenset[Assumption]


@dataclass(eq=False)
class Step:
    """Another form of a line.

    Attributes
    ----------
    name : str
        Why it is the same.
    symbol : Symbol
        The formula.
    since : frozenset of Assumption
        What it takes to be true of the data.
    """

    name: str
    symbol: Symbol
    since: frozenset[Assumption] = frozenset()


class Leaf(NamedTuple):
    """What a name in a formula stands for: a value, or its gradient."""

    value: Value
    of: str  # "value" or "gradient"


@dataclass(eq=False)
class Line:
    """A quantity of a run, and its formula.

    Attributes
    ----------
    name : str
        Such as ``Z1``, or ``dZ1`` for a gradient.
    symbol : Symbol
        The formula.
    phase : {"forward", "backward"}
        Whether it is a value or a gradient.
    value : Value
        What it is, or what it is the gradient by.
    scale : float
        The gradient is this times the formula; not 1 where a constant comes later.
    steps : list of Step
        Simpler forms, or how the formula was made simpler.
    """

    name: str
    symbol: Symbol
    phase: str
    value: Value
    scale: float = 1.0
    steps: list[Step] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        return self.value.shape

    @property
    def source(self) -> Source | None:
        """The line of the user's program that computed the value."""
        return self.value.call.source if self.value.call else None


class Names:
    """Names, none of which occurs twice."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._used: dict[str, int] = {}

    def take(self, name: str) -> str:
        """A name, with a number behind it if it is taken."""
        return self._unique(name, f"{name}_", 2) if name in self._taken else self._enter(name)

    def fresh(self, letter: str) -> str:
        """A name that nobody has given: u1, u2, ..."""
        return self._unique(letter, letter, 1)

    def _unique(self, key: str, start: str, first: int) -> str:
        """The next name of a kind that is free."""
        number = self._used.get(key, first)
        while f"{start}{number}" in self._taken:
            number += 1
        self._used[key] = number + 1
        return self._enter(f"{start}{number}")

    def _enter(self, name: str) -> str:
        """Remember a name."""
        self._taken.add(name)
        return name


class Derivation:
    """The lines of a run.

    Parameters
    ----------
    run : Trace
    cost : Value
    wanted : list of Value
        Whose gradients are asked for.
    simplify : bool
        Whether lines are in their simplest form, or as they were computed with that behind.
    each_call : bool
        Whether each call has a line, or only what has a name and what is too long without.
    """

    def __init__(
        self, run: Trace, cost: Value, wanted: list[Value], simplify: bool, each_call: bool = False
    ) -> None:
        self.run = run
        self.cost = cost
        self.wanted = dict.fromkeys(wanted)
        self.simplify = simplify
        self.each_call = each_call
        spoken = Spoken(run, run.calls_behind([cost]), reached(run, cost, wanted))
        self.words = spoken.symbols
        self.numbers = spoken.words.numbers
        self.data = spoken.data
        self.algebra = Algebra(spoken.words.constants)
        self.replay = Replay(run, cost, spoken.pulls)
        self.calls = spoken.calls
        self.values = dict.fromkeys(x for call in self.calls for x in (call.output, *call.arrays))
        self.derived = {x: x.derived for x in self.values if x.derived and not x.name}
        self.derived = spoken.derived | self.derived
        self.values.update(dict.fromkeys(source for _, source in self.derived.values()))
        self.functions = self._recognised()
        self.of_modules = of_modules(self.calls)
        self.linear = linear_parts(self.calls)
        self.must: set[Value] = set()  # values without a name that need one
        before = -1
        while len(self.must) > before:
            before = len(self.must)
            self._write()
        self._drop_unused()

    # -- all lines --

    def _write(self) -> None:
        """Write all lines, as far as it is known what needs a name."""
        words = {x.name for word in self.words.values() for x in operands_first(word)}
        data = {value.name for value in self.values}
        self.names = Names(x for x in words - data if x)
        self.called: dict[Value, str] = {}
        for value in self.values:
            if value.name:
                self.called[value] = self.names.take(value.name)
        self.known: dict[Value, Symbol] = {}
        self.leaves: dict[Symbol, Leaf] = {}
        self.gradients: dict[Value, Symbol] = {}
        self.scales: dict[Value, Constant] = {}
        self.inside: dict[Value, list[Step]] = {}  # steps of gradients without a line
        self.forms = Forms(self.algebra.constants, LEMMAS, self._is_one)
        self.uniform: dict[Value, Any] = {}  # arrays without a name for which numbers stand
        self.dividing: set[Symbol] = set()  # gradients that divide by what is no number
        self.lines: list[Line] = []
        self.sizes: dict[Symbol, int] = {}
        outputs = {call.output for call in self.calls}
        for value in self.values:
            if value not in outputs and value not in self.derived:
                self._enter_leaf(value)
        for value, (function, source) in self.derived.items():
            self.known[value] = function(self.known[source])
        for call in self.calls:
            self._enter_result(call)
        self._enter_gradients()

    def _enter_leaf(self, value: Value) -> None:
        """Something from outside."""
        x = value.array
        if value in self.words:
            self.known[value] = self.words[value]
            return
        if is_number(value) and value not in self.data:
            number = x.reshape(-1)[0] if x.size else np.zeros((), x.dtype)
            if x.size > 1:
                self.uniform[value] = number
            self.known[value] = broadcast(Symbol(np.asarray(number)), value.shape)
            return
        if not value.name and x.dtype.kind in "iu" and np.array_equal(x, np.arange(x.size)):
            self.called[value] = self.names.take("i")
        if value not in self.called:
            self.called[value] = self.names.fresh("p" if value.kind == "parameter" else "c")
        self._name(value)

    def _name(self, value: Value) -> None:
        """Call a value by its name from here on."""
        symbol = self.known[value] = named(self.called[value], value.array)
        self.leaves[symbol] = Leaf(value, "value")

    def _enter_result(self, call: Call) -> None:
        """A result of the forward pass: a line of its own, or a part of others."""
        value = call.output
        formula = as_mean(call, tidy(again(call, self.known)))
        steps = []
        if value in self.functions:
            pull = self.functions[value]
            statics = dict(pull.call.statics)
            if statics.get("axis") == len(value.shape) - 1:
                statics["axis"] = -1  # which goes without saying
            simple = pull.call.primitive(self.known[pull.operand], **statics)
            if self.simplify:
                formula = simple
            elif write(simple, "text") != write(formula, "text"):
                steps = [Step(f"the {pull.call.primitive.name} function", simple)]
        if value is self.cost and not value.name:
            self.called[value] = self.names.take("J")
        if value not in self.called:
            size, uses = self._size(formula), self._uses.get(value, 0)
            shown = value in self.wanted or value in self.must or value in self.of_modules
            shown |= self.each_call and call.primitive.kind not in BOOKKEEPING
            if not shown and size <= LONGEST and (uses - 1) * size <= 4:
                self.known[value] = formula
                return
            self.called[value] = self._new_name(value)
        self.lines.append(Line(self.called[value], formula, "forward", value, 1.0, steps))
        self._name(value)

    def _new_name(self, value: Value) -> str:
        """A name for what has none: the statement's variable, or by what it is.

        A linear part is Z1, what becomes of it elementwise, as by an activation, A1, and all else
        is u1.
        """
        if value.target:
            return self.names.take(value.target)
        if value in self.linear:
            number = self.linear[value]
            return self.names.take(f"Z{number}") if number else self.names.fresh("Z")
        call = value.call
        operand, *others = call.operands if call else (None,)
        alike = call is not None and call.primitive.kind in ("elementwise", "other")
        if others or not alike or operand not in self.linear or operand.shape != value.shape:
            return self.names.fresh("u")
        name = self.called.get(operand, "")
        return self.names.take(f"A{name[1:]}") if name[:1] == "Z" else self.names.fresh("A")

    def _enter_gradients(self) -> None:
        """All gradients, backward from the cost."""
        self.gradients[self.cost] = self._seed()
        self.scales[self.cost] = ONE
        if self.cost in self.wanted:
            self._enter_line(self.cost, self.gradients[self.cost], [])
        replay = self.simple if self.simplify else self.replay
        for value in sorted(replay.shares, key=replay.finished):
            if self.simplify:
                formula, steps = self._simplified(value)
                steps = steps or self._inherited(value)
            else:
                formula, steps = self._as_computed(value)
            if self._is_inline(value, formula):
                self.gradients[value] = formula
                self.inside[value] = steps
            else:
                self._enter_line(value, formula, steps)

    def _inherited(self, value: Value) -> list[Step]:
        """The steps of gradients that have no line of their own and are a part of this one."""
        outputs = [pull.call.output for pull in self.simple.shares[value]]
        return [*dict.fromkeys(step for x in outputs for step in self.inside.get(x, ()))]

    def _seed(self) -> Symbol:
        """The gradient of the cost by itself."""
        ones = np.ones((), self.cost.dtype)
        return broadcast(Symbol(ones), self.cost.shape)

    def _enter_line(self, value: Value, formula: Symbol, steps: list[Step]) -> None:
        """A gradient that has a name."""
        if value not in self.called:  # its value then needs one too
            self.must.add(value)
            self.called[value] = self._new_name(value)
        assert value.gradient is not None
        scale = self.scales.setdefault(value, ONE)
        name = self.names.take(f"d{self.called[value]}")
        array = value.gradient.array
        leaf = named(name, array if scale == ONE else array / float(scale))
        self.gradients[value] = leaf
        self.leaves[leaf] = Leaf(value, "gradient")
        if self._divides(formula):  # what comes before may cancel it
            self.forms.define(leaf, formula)
            self.dividing.add(leaf)
        elif self.algebra.term(formula).core is None:
            self.forms.define(leaf, formula)
        self.lines.append(Line(name, formula, "backward", value, scale, steps))

    def _is_inline(self, value: Value, formula: Symbol) -> bool:
        """Whether a gradient is a part of other formulas only."""
        if value in self.wanted or value in self.must:
            return False
        constant = self.algebra.term(formula).core is None
        size, pulls = self._size(formula), self._users.get(value, [])
        if value in self.called:
            if self.simplify and constant:
                return True
            if self.simplify and formula.primitive is None:
                return True
            into = [pull.call for pull in pulls]
            alone = len(into) == 1 and is_slope_or_part(into[0])
            return alone and size <= 2
        spread = self._spread[value]
        is_delta = value in self.linear and (spread > 2 or is_affine(value))
        if is_delta and size * (spread - 1) > 1:
            return constant
        return constant or (size <= LONGEST and (spread - 1) * size <= 4)

    # -- one gradient --

    def _shares(self, replay: Replay, value: Value) -> list[Symbol]:
        """The shares of a gradient as formulas."""
        return [
            share_of(pull, self.gradients[pull.call.output], self.known)
            for pull in replay.shares[value]
        ]

    def _as_computed(self, value: Value) -> tuple[Symbol, list[Step]]:
        """A gradient as the engine computed it, and its simpler forms."""
        formula = tidy(total(self._shares(self.replay, value)))
        large = len(self.calls) > MOST_CALLS and not value.name
        if large or value not in self.called or value not in self.simple.shares:
            return formula, []
        start = total(self._shares(self.simple, value))
        text = write(formula, "text")
        if (found := self._cancelled(value, start)) is not None:
            step = self._step(found.why, found.term, value, found.since)
            return formula, [step] if write(step.symbol, "text") != text else []
        functions = [x.call.primitive.name for x in self.simple.shares[value] if self._is_new(x)]
        why = f"the derivative of {functions[0]}" if functions else "constants and signs collected"
        step = self._step(why, self.algebra.term(start), value)
        return formula, [step] if len(write(step.symbol, "text")) < len(text) else []

    def _is_new(self, pull: Pull) -> bool:
        """Whether a share is that of a function that was written out."""
        return self.functions.get(pull.call.output) is pull

    def _simplified(self, value: Value) -> tuple[Symbol, list[Step]]:
        """A gradient in its simplest form; a constant that it shares with all later ones waits."""
        scales = [self.scales[pull.call.output] for pull in self.simple.shares[value]]
        scale = scales[0] if len({*scales}) == 1 else ONE
        shares = self._shares(self.simple, value)
        if len({*scales}) > 1:
            shares = [
                ops.multiply(self.algebra.constant(c), share)
                for c, share in zip(scales, shares, strict=True)
            ]
        start = total(shares)
        self.scales[value] = scale
        steps = []
        term = self.algebra.term(start)
        if (found := self._cancelled(value, start)) is not None:
            term = found.term
            steps.append(self._step(found.why, term, value, found.since))
        if value in self.wanted:
            term = Term(term.c * scale, term.core)
            scale = ONE
        elif scale == ONE:
            scale = self._mean(term, value)
            term = Term(term.c / scale, term.core)
        self.scales[value] = scale
        for step in steps:
            step.symbol = self.algebra.symbol(term, value.shape)
        return self.algebra.symbol(term, value.shape), steps

    def _mean(self, term: Term, value: Value) -> Constant:
        """The 1/n of a mean in a constant; 1 if there is none."""
        c = term.c
        for k in (1.0, 2.0, 0.5) if 0 < abs(c) < 1 else ():
            if k == 2 and term.core is None:
                continue  # nothing has been squared yet that the 2 could come from
            n = k / abs(c)
            if n.powers:
                counts = n.above == n.below and all(power > 0 for power in n.powers.values())
            else:
                lengths = value.shape if value in self.called else ()
                counts = c.below != 1 and n in (*lengths, value.array.size)
            if counts and n > 1 and n.is_integer():
                return n.inverse
        return ONE

    # -- what cancels --

    def _step(
        self, why: str, term: Term, value: Value, since: frozenset[Assumption] = frozenset()
    ) -> Step:
        """A form of a gradient."""
        return Step(why, self.algebra.symbol(term, value.shape), since)

    def _cancelled(self, value: Value, start: Symbol) -> Found | None:
        """A shorter form of a gradient, that algebra proves to be the same; None if there is none.

        A form is looked for where something is divided by what is no number, or a lemma helps: a
        product that was only multiplied out is no simpler.
        """
        term = self.algebra.term(start)
        if term.core is None or self._size(term.core) < 2:
            return None
        if len(self.calls) > MOST_CALLS and not value.name:
            return None
        form = self.forms.of(start)
        if not form.above or not (self._divides(start) or form.since):
            return None
        found = self.algebra.written(form, self.forms, start)
        used = self.dividing & {*operands_first(start)}
        longer = self._size(term.core) + len(used)
        if found is None or self._size(self.algebra.symbol(found)) >= longer:
            return None
        if not self.forms.equal(self.algebra.symbol(found, value.shape), start):
            return None
        return Found(found, self._reason(form, value), form.since)

    def _divides(self, formula: Symbol) -> bool:
        """Whether a formula divides by what is no number, or uses a name that does."""
        for part in operands_first(formula):
            below = part.operands[-1] if part.python in DIVISIONS else None
            if part in self.dividing or (below and self.algebra.term(below).core is not None):
                return True
        return False

    def _reason(self, form: Quotient, value: Value) -> str:
        """Why a form is so short."""
        atoms = [self.forms.atoms[atom] for monomial in form.above for atom, _ in monomial]
        calls = [self._call_of(atom) for atom in atoms]
        names = [x.name for x, operand in calls if x and operand is self.known[value]]
        names = [name for name in names if name in ("sigmoid", "softmax")]
        why = f"{names[0]} followed by cross-entropy" if names else "what cancels is left out"
        return ", ".join([why, *[f"since {x}" for x in sorted(form.since)]])

    def _call_of(self, atom: Symbol) -> tuple[Primitive | None, Symbol | None]:
        """What an atom was computed by, and its operand, where it has a name, too."""
        made = self._made_by(atom)
        operand = made.operands[0] if made and made.operands else None
        known = self.known.get(operand) if isinstance(operand, Value) else operand
        return made.primitive if made else None, known

    def _made_by(self, atom: Symbol) -> Call | Symbol | None:
        """The call that an atom is, or that its name stands for; None if it is from outside."""
        leaf = self.leaves.get(atom)
        if leaf is None or leaf.of != "value":
            return atom
        pull = self.functions.get(leaf.value)
        return pull.call if pull else leaf.value.call

    def _is_one(self, call: Symbol, atom: Symbol) -> frozenset[Assumption] | None:
        """What makes the sum of an atom 1: nothing, if its construction does; None if it is not."""
        axes = ops.normalized(call.statics["axis"], len(call.operands[0].shape))
        if len(axes) != 1 or atom.shape != call.operands[0].shape:
            return None
        made = self._made_by(atom)
        if made is not None:
            return frozenset() if axis_of_ones(made) == axes[0] else None
        is_data = self.leaves[atom].value.kind == "input"
        return assumed(atom.array, axes[0], str(atom.name)) if is_data else None

    def _recognised(self) -> dict[Value, Pull]:
        """The values that are known functions of others, written out, with the share instead."""
        self.simple, found = with_known_functions(self.replay)
        pulls = self.simple.pulls if self.simplify else self.replay.pulls
        self._users: dict[Value, list[Pull]] = {}
        self._uses: dict[Value, int] = {}
        for pull in pulls:
            self._users.setdefault(pull.call.output, []).append(pull)
        for call in (*self.calls, *(call for pull in pulls for call in pull.calls)):
            for x in call.operands:
                if isinstance(x, Value):
                    self._uses[x] = self._uses.get(x, 0) + 1
        self._spread: dict[Value, int] = {}  # how often a gradient is written, if it has no line
        for value in self.values:
            self._spread[value] = sum(
                self._spread.get(pull.operand, 1) if not pull.calls and not pull.operand.name else 1
                for pull in self._users.get(value, ())
            )
        return found

    # -- small things --

    def _size(self, symbol: Symbol) -> int:
        """How many calls are written in a formula."""
        for part in operands_first(symbol):
            if part not in self.sizes:
                own = part.primitive is not None and part.kind not in SHORT
                self.sizes[part] = own + sum(self.sizes[x] for x in part.operands)
        return self.sizes[symbol]

    def _drop_unused(self) -> None:
        """Keep the lines that those asked for are made of."""
        by_leaf = {self.known[x.value]: x for x in self.lines if x.phase == "forward"}
        by_leaf |= {self.gradients[x.value]: x for x in self.lines if x.phase == "backward"}
        stack = [
            line
            for line in self.lines
            if (line.phase == "backward" and line.value in self.wanted)
            or (line.phase == "forward" and self.run.has_given(line.value))
            or (line.phase == "forward" and line.value is self.cost)
        ]
        kept: set[int] = set()
        while stack:
            line = stack.pop()
            if id(line) not in kept:
                kept.add(id(line))
                for formula in (line.symbol, *(step.symbol for step in line.steps)):
                    stack += [by_leaf[x] for x in operands_first(formula) if x in by_leaf]
        self.lines = [line for line in self.lines if id(line) in kept]


def linear_parts(calls: Iterable[Call]) -> dict[Value, str]:
    """The products of a parameter and something, and those with something added.

    Each has the number of what is made of it: that of A2 = sigmoid(...) is 2.
    """
    found: dict[Value, str] = {}
    for call in calls:
        if len(call.operands) == 1 and call.arrays[0] in found:
            found[call.arrays[0]] = re.findall(r"\d*$", call.output.name or "")[0]
        if call.primitive.python == "$a + $b":
            linear = any(x in found and x.name is None for x in call.arrays)
        else:
            turned = [x.call for x in call.arrays if x.call]
            turned = [x for x in turned if x.primitive.kind == "permutation"]
            operands = [*call.arrays, *(x for call in turned for x in call.arrays)]
            mixes = call.primitive.kind in ("product", "window", "other")
            linear = mixes and any(x.kind == "parameter" for x in operands)
        if linear and call.output.shape:
            found[call.output] = ""
    return found


def is_affine(value: Value) -> bool:
    """Whether a linear part has a bias."""
    call = value.call
    return call is not None and (call.primitive.kind == "elementwise" or len(call.operands) > 2)


def of_modules(calls: Sequence[Call]) -> set[Value]:
    """What modules hand on to others, or to the loss."""
    inside = {
        call.output: call.scopes[-1]
        for call in calls
        if call.scopes and call.primitive.kind not in SHORT
    }
    arrays = [(call, x) for call in calls for x in call.arrays]
    return {x for call, x in arrays if x in inside and inside[x] not in call.scopes}


def is_slope_or_part(call: Call) -> bool:
    """Whether a gradient goes through a call by a factor for each element, or in part only."""
    unary = len(call.operands) == 1 and call.primitive.kind == "elementwise"
    return unary or call.primitive.kind in ("join", "index")


def is_number(value: Value) -> bool:
    """Whether formulas have a number for an array: no name, and all elements are the same."""
    x = value.array
    return value.kind == "input" and not value.name and bool(np.all(x == x.reshape(-1)[:1]))


def broadcast(symbol: Symbol, shape: tuple[int, ...]) -> Symbol:
    """Repeated to a shape, which is not written."""
    return symbol if symbol.shape == shape else ops.broadcast_to(symbol, shape=shape)


def tidy(formula: Symbol) -> Symbol:
    """A formula in which numbers are not repeated where that is no need."""
    found: dict[Symbol, Symbol] = {}
    for part in operands_first(formula):
        operands = tuple([found[x] for x in part.operands])
        op, statics = part.primitive, part.statics
        if part.python == "(a & b)" and any(map(is_never, operands)):
            found[part] = broadcast(Symbol(np.False_), part.shape)  # the guard of a power at 0
            continue
        if part.python == "a + b" and any(map(is_nothing, operands)):
            rest = operands[is_nothing(operands[0])]
            if rest.shape == part.shape:
                found[part] = rest
                continue
        if part.python in ARITHMETIC:  # numbers are not repeated there
            operands = without_broadcasts(operands, part.shape)
        elif part.kind in ("broadcast", "reshape"):
            number = unrepeated(operands[0])
            if not number.shape:
                op, operands, statics = ops.broadcast_to, (number,), {"shape": part.shape}
        changed = operands != part.operands
        found[part] = Symbol(part.array, None, op, operands, statics) if changed else part
    return found[formula]


@functools.cache
def mean() -> Primitive:
    """What formulas call a sum divided by the number of its elements; no op of the engine."""

    def kernel(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        return np.mean(x, axis=axis, keepdims=keepdims)

    return primitive(r"\mathrm{mean}($x)", name="mean", kind="reduction")(kernel)


def as_mean(call: Call, formula: Symbol) -> Symbol:
    """A sum divided by how much was summed, as the mean that the program's own line asked for."""
    if formula.python != "a / b" or formula.operands[0].python != "np.sum":
        return formula
    total, count = formula.operands
    plain = count.primitive is None and count.name is None and not count.shape
    if not plain or count.array != total.operands[0].array.size / max(total.array.size, 1):
        return formula
    if call.place is None or isinstance(running(call), ast.BinOp | ast.AugAssign):
        return formula  # the program divides
    return Symbol(formula.array, None, mean(), total.operands, total.statics)


def is_nothing(symbol: Symbol) -> bool:
    """Whether nothing is added: what Python's sum() begins with, or a condition never holds."""
    plain = symbol.primitive is None and symbol.name is None
    return is_never(symbol) or (plain and type(symbol.array) is int and not symbol.array)


def is_never(symbol: Symbol) -> bool:
    """Whether a formula is a condition that never holds, whatever the numbers of the run are."""
    number = unrepeated(symbol)
    plain = number.primitive is None and number.name is None and not number.shape
    return plain and number.dtype == bool and not number.array


def unrepeated(symbol: Symbol) -> Symbol:
    """The number that is repeated, if that is all that an array is."""
    if symbol.python == "-a":
        number = unrepeated(symbol.operands[0])
        return symbol if number.shape else ops.negative(number)
    inner = symbol
    while inner.kind in ("broadcast", "reshape"):
        inner = inner.operands[0]
    return symbol if inner.shape else inner


def without_broadcasts(operands: tuple[Symbol, ...], shape: tuple[int, ...]) -> tuple[Symbol, ...]:
    """Operands of an elementwise op, numbers not repeated where another has the whole shape."""
    inner = tuple([unrepeated(x) for x in operands])
    return inner if any(x.shape == shape for x in inner) else operands


def reached(run: Trace, cost: Value, wanted: Iterable[Value]) -> list[Pull]:
    """The shares that some gradients are computed from, in order."""
    for _ in range(2):
        found: set[Pull] = set()
        stack, ends = [*wanted], set()
        while stack:
            value = stack.pop()
            if not value.shares:
                ends.add(value)
            for pull in value.shares:
                if pull not in found:
                    found.add(pull)
                    stack.append(pull.call.output)
        if ends <= {cost}:
            break
        run.differentiate(cost, wanted)  # some gradients were those of another cost
    return [pull for pull in run.pulls if pull in found]
