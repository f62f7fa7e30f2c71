"""The held-out half: networks, conventions and mistakes that the diagnosis was not built on.

Skip connections, unrolled recurrences, gates, softplus units and the Huber loss.  A network is
written down once, as lines of NumPy with examples in columns: above `loss` the way forward, below
it the derivation.  A style makes from them what one student wrote: rows, other names, the 1/m
elsewhere.  A slip is another text in one place of the derivation; what comes after it follows.

The lines are run by `eval`, which is safe here because all of them stand in this file.
"""

from __future__ import annotations

import ast
import copy
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import Any, NamedTuple

import numpy as np

import autograd_mini as ag

from .planted import Array, Exercise, Formula, Mistake, Planted, Slip, differs, fingerprint, merged

STYLES = 9  # of each kind
SLIPS = 54  # of each style, at most; no more than a third of them takes another operand
POINTS = 5  # of each style, where the derivation is right
Lines = dict[str, ast.expr]
Change = tuple[str, str, str, str]  # the id, the causes, what was done, what stands there instead

# ---- the networks --------------------------------------------------------------------------------

# The first line gives the shapes: W1 is h x i, a bias has one letter.  `f` and `slope` stand for
# the activation and its derivative, `mean` for a 1/m at the parameters; `leaves W b dZ A` for the
# two gradients of W @ A + b.
SKIP = {
    "sum of layers": """X im W1 hi b1 h W2 hh b2 h W3 oh b3 o
Z1 = W1 @ X + b1; A1 = f(Z1); Z2 = W2 @ A1 + b2; A2 = f(Z2); S = A1 + A2; Z3 = W3 @ S + b3
loss Z3
leaves W3 b3 dZ3 S; dS = W3.T @ dZ3; dZ2 = dS * slope(Z2, A2); leaves W2 b2 dZ2 A1
dA1 = dS + W2.T @ dZ2; dZ1 = dA1 * slope(Z1, A1); leaves W1 b1 dZ1 X""",
    "inside the layer": """X im W1 hi b1 h W2 hh b2 h W3 oh b3 o
Z1 = W1 @ X + b1; A1 = f(Z1); Z2 = W2 @ A1 + b2 + A1; A2 = f(Z2); Z3 = W3 @ A2 + b3
loss Z3
leaves W3 b3 dZ3 A2; dA2 = W3.T @ dZ3; dZ2 = dA2 * slope(Z2, A2); leaves W2 b2 dZ2 A1
dA1 = W2.T @ dZ2 + dZ2; dZ1 = dA1 * slope(Z1, A1); leaves W1 b1 dZ1 X""",
    "with weights": """X im W1 hi b1 h W2 kh b2 k W3 ok V oh b3 o
Z1 = W1 @ X + b1; A1 = f(Z1); Z2 = W2 @ A1 + b2; A2 = f(Z2); Z3 = W3 @ A2 + V @ A1 + b3
loss Z3
leaves W3 b3 dZ3 A2; leaves V _ dZ3 A1; dA2 = W3.T @ dZ3; dZ2 = dA2 * slope(Z2, A2)
leaves W2 b2 dZ2 A1; dA1 = W2.T @ dZ2 + V.T @ dZ3; dZ1 = dA1 * slope(Z1, A1); leaves W1 b1 dZ1 X""",
}
GATE = {
    "gate": """X im W1 hi b1 h W2 hi b2 h W3 oh b3 o
Z1 = W1 @ X + b1; A1 = f(Z1); Z2 = W2 @ X + b2; G = sigmoid(Z2); P = A1 * G; Z3 = W3 @ P + b3
loss Z3
leaves W3 b3 dZ3 P; dP = W3.T @ dZ3; dA1 = dP * G; dG = dP * A1; dZ2 = dG * slope_sigmoid(Z2, G)
leaves W2 b2 dZ2 X; dZ1 = dA1 * slope(Z1, A1); leaves W1 b1 dZ1 X""",
    "gate without an activation": """X im W1 hi b1 h W2 hi b2 h W3 oh b3 o
Z1 = W1 @ X + b1; Z2 = W2 @ X + b2; G = sigmoid(Z2); P = Z1 * G; Z3 = W3 @ P + b3
loss Z3
leaves W3 b3 dZ3 P; dP = W3.T @ dZ3; dZ1 = dP * G; leaves W1 b1 dZ1 X; dG = dP * Z1
dZ2 = dG * slope_sigmoid(Z2, G); leaves W2 b2 dZ2 X""",
    "gate between two layers": """X im W1 hi b1 h W2 hh b2 h U hi c h W3 oh b3 o
Z1 = W1 @ X + b1; A1 = f(Z1); Z2 = W2 @ A1 + b2; A2 = f(Z2); N = U @ X + c; G = sigmoid(N)
P = G * A2 + (1 - G) * A1; Z3 = W3 @ P + b3
loss Z3
leaves W3 b3 dZ3 P; dP = W3.T @ dZ3; dG = dP * (A2 - A1); dN = dG * slope_sigmoid(N, G)
leaves U c dN X; dA2 = dP * G; dZ2 = dA2 * slope(Z2, A2); leaves W2 b2 dZ2 A1
dA1 = dP * (1 - G) + W2.T @ dZ2; dZ1 = dA1 * slope(Z1, A1); leaves W1 b1 dZ1 X""",
}
LAYERS = {
    "two layers": """X im W1 hi b1 h W2 oh b2 o
Z1 = W1 @ X + b1; A1 = f(Z1); Z2 = W2 @ A1 + b2
loss Z2
leaves W2 b2 dZ2 A1; dA1 = W2.T @ dZ2; dZ1 = dA1 * slope(Z1, A1); leaves W1 b1 dZ1 X""",
    "three layers": """X im W1 hi b1 h W2 kh b2 k W3 ok b3 o
Z1 = W1 @ X + b1; A1 = f(Z1); Z2 = W2 @ A1 + b2; A2 = f(Z2); Z3 = W3 @ A2 + b3
loss Z3
leaves W3 b3 dZ3 A2; dA2 = W3.T @ dZ3; dZ2 = dA2 * slope(Z2, A2); leaves W2 b2 dZ2 A1
dA1 = W2.T @ dZ2; dZ1 = dA1 * slope(Z1, A1); leaves W1 b1 dZ1 X""",
}


def recurrence(steps: int, each: bool, inputs: bool, sums: bool) -> str:
    """H_t = f(U H_(t-1) + V X_t + b); the loss at the end or at each step."""
    every, X = range(1, steps + 1), {t: f"X{t}" if inputs else "X" for t in range(1, steps + 1)}
    outputs = [t for t in every if each or t == steps]
    bias = " + ".join(f"dZ{t}" for t in every)
    lines = [" ".join(f"{x} im" for x in sorted(set(X.values()))) + " H0 hm U hh V hi b h W oh c o"]
    for t in every:
        lines += [f"Z{t} = U @ H{t - 1} + V @ {X[t]} + b", f"H{t} = f(Z{t})"]
    lines += [f"O{t} = W @ H{t} + c" for t in outputs]
    lines.append(" ".join(["loss", *(f"O{t}" for t in outputs)]))
    lines.append(f"dW = mean({' + '.join(f'dO{t} @ H{t}.T' for t in outputs)}) + penalty(W)")
    lines.append(f"dc = mean(total({' + '.join(f'dO{t}' for t in outputs)}))")
    for t in reversed(every):
        ways = [f"W.T @ dO{t}"] * (t in outputs) + [f"U.T @ dZ{t + 1}"] * (t < steps)
        lines += [f"dH{t} = {' + '.join(ways)}", f"dZ{t} = dH{t} * slope(Z{t}, H{t})"]
    lines.append(f"dU = mean({' + '.join(f'dZ{t} @ H{t - 1}.T' for t in every)}) + penalty(U)")
    shared = [f"({bias}) @ X.T"] if not inputs else [f"dZ{t} @ {X[t]}.T" for t in every]
    lines.append(f"dV = mean({' + '.join(shared)}) + penalty(V)")
    parts = [f"total(dZ{t})" for t in every] if sums else [f"total({bias})"]
    return "\n".join([*lines, f"db = mean({' + '.join(parts)})"])


RECURRENCE = {
    "3 steps, loss at the end": recurrence(3, False, True, False),
    "4 steps, loss at the end": recurrence(4, False, False, True),
    "3 steps, loss at each": recurrence(3, True, False, True),
    "4 steps, loss at each": recurrence(4, True, True, False),
}
# Forward lines, the cost, and the derivation from there; `mean0` stands for a 1/m at dZ.
LOSSES = {
    "squared error": ("", "np.sum((Z - Y)**2) / (2 * m)", "dZ = mean0(Z - Y)"),
    "squared error without 1/2": ("", "np.sum((Z - Y)**2) / m", "dZ = mean0(2 * (Z - Y))"),
    "squared error of tanh": (
        "A = tanh(Z)",
        "np.sum((A - Y)**2) / (2 * m)",
        "dA = mean0(A - Y)\ndZ = dA * slope_tanh(Z, A)",
    ),
    "softmax cross-entropy": (
        "E = np.exp(Z)\nA = E / np.sum(E, axis=0, keepdims=True)",
        "-np.sum(Y * np.log(A)) / m",
        "dZ = mean0(A - Y)",
    ),
    "logistic": (
        "A = sigmoid(Z)",
        "-np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m",
        "dZ = mean0(A - Y)",
    ),
    "logistic by dA": (
        "A = sigmoid(Z)",
        "-np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m",
        "dA = mean0((1 - Y) / (1 - A) - Y / A)\ndZ = dA * slope_sigmoid(Z, A)",
    ),
    "Huber": (
        "R = Z - Y",
        "np.sum(np.where(np.abs(R) <= delta, R**2 / 2, delta * (np.abs(R) - delta / 2))) / m",
        "dZ = mean0(np.where(np.abs(R) <= delta, R, delta * np.sign(R)))",
    ),
    "Huber by clip": (
        "R = Z - Y\nQ = np.minimum(np.abs(R), delta)",
        "np.sum(Q * (np.abs(R) - Q / 2)) / m",
        "dZ = mean0(np.clip(R, -delta, delta))",
    ),
}
ACTIVATIONS = {  # and their derivatives, as one or the other writes them
    "tanh": ("np.tanh(Z)", "1 - A**2", "1 - np.tanh(Z)**2"),
    "sigmoid": ("1 / (1 + np.exp(-Z))", "A * (1 - A)"),
    "ReLU": ("np.maximum(Z, 0)", "Z > 0"),
    "softplus": (
        "ag.softplus(Z)",
        "1 / (1 + np.exp(-Z))",
        "1 - np.exp(-A)",
        "np.exp(Z) / (1 + np.exp(Z))",
    ),
}
PENALTIES = {  # the coefficients of the sum of squares, and of W in its derivative
    "L2, lambda/(2m)": ("lam / (2 * m)", "lam / m"),
    "L2, lambda/2": ("lam / 2", "lam"),
    "L2, lambda": ("lam", "2 * lam"),
}
SQUARES = [loss for loss in LOSSES if loss.startswith("squared")]
ENTROPIES = ["softmax cross-entropy", "logistic", "logistic by dA"]
KINDS = {  # the networks, the activations, the losses
    "skip": (SKIP, ["tanh", "sigmoid", "ReLU"], SQUARES + ENTROPIES),
    "recurrence": (RECURRENCE, ["tanh", "sigmoid"], ["squared error", *ENTROPIES]),
    "gate": (GATE, ["tanh", "ReLU"], SQUARES + ENTROPIES),
    "softplus": (LAYERS, ["softplus"], SQUARES + ENTROPIES),
    "Huber": (LAYERS, ["tanh", "sigmoid", "ReLU"], ["Huber", "Huber by clip"]),
}
WORDS: list[dict[str, str]] = [
    {},
    {"Z": "pre", "A": "act", "W": "weight", "b": "bias", "H": "state", "U": "Whh", "V": "Wxh"},
    {"Z": "s", "A": "h", "W": "w", "P": "mixed", "G": "gate", "H": "state", "O": "out"},
]
RESHAPING = {"missing sum", "wrong axis", "rank-1 array", "sum over everything", "transposed"}

# ---- the slips that no rule makes ----------------------------------------------------------------

# where, id, causes, what, and the edits of the derivation
TYPICAL: list[tuple[str, str, str, str, dict[str, str]]] = [
    ("", "L2", "constant factor, missing factor", "no 1/m anywhere", {r"mean\(": "("}),
    ("", "R1", "missing regularisation, missing term", "no penalty anywhere",
     {r" \+ penalty\(\w+\)": ""}),
    ("sum of layers", "G2", "extra factor", "the skip path through the activation",
     {r"dA1 = dS ": "dA1 = dS * slope(Z2, A2) "}),
    ("sum of layers", "G2", "extra term", "the skip path also past the activation",
     {r"(dZ2 = dS \* .*)": r"\1 + dS"}),
    ("sum of layers", "G2", "extra term", "the skip path one line too late, again",
     {r"(dZ1 = dA1 \* .*)": r"\1 + dS"}),
    ("recurrence", "W3", "wrong operand", "the state after the step",
     {r"dZ(\d) @ H\d\.T": r"dZ\1 @ H\1.T"}),
    ("recurrence", "W3", "wrong operand", "the first input at every step",
     {r"(dZ\d) @ X\d\.T": r"\1 @ X1.T"}),
    ("recurrence", "W2", "missing transpose", "no transpose at any step", {r"U\.T": "U"}),
    ("recurrence", "A1", "missing factor", "no slope at any step",
     {r" \* slope\(Z\d, H\d\)": ""}),
    ("recurrence", "W7", "constant factor, extra factor", "the mean over the steps",
     {r"(dU = mean)(\(.*\))( \+|$)": r"\1(\2 / 3)\3"}),
    ("recurrence", "G1", "zero, missing path, missing term", "nothing through the first step",
     {r"dH1 = .*": "dH1 = np.zeros_like(H1)"}),
    ("gate", "W3", "wrong operand", "the branches exchanged",
     {r"dA1 = dP \* G$": "dA1 = dP * A1", r"dG = dP \* A1$": "dG = dP * G"}),
    ("gate", "A1", "missing factor", "the rule for sums",
     {r"dA1 = dP \* G$": "dA1 = dP", r"dG = dP \* A1$": "dG = dP"}),
    ("softplus", "A3", "other activation, wrong operand", "as for exp",
     {r"slope\(Z\d, (A\d)\)": r"\1"}),
    ("softplus", "A3", "other activation, extra factor", "as for the sigmoid",
     {r"slope\((Z\d), A\d\)": r"np.exp(-\1) / (1 + np.exp(-\1))**2"}),
    ("squared error", "L10", "other loss", "as for the absolute error",
     {r"mean0\((2 \* )?\(?(\w+ - \w+)\)+": r"mean0(np.sign(\2))"}),
    ("of tanh", "L4", "missing factor, other loss", "as for the cross-entropy",
     {r" \* slope_tanh\(.*\)": ""}),
    ("softmax", "L8", "diagonal only", "the diagonal of the Jacobian",
     {r"mean0\((\w+) - (\w+)\)": r"mean0(-\2 * (1 - \1))"}),
    ("softmax", "L9", "sign of a term", "the Jacobian with a plus",
     {r"mean0\((\w+) - (\w+)\)": r"mean0(-\2 - \1)"}),
    ("logistic", "L6", "missing term", "only the -Y/A term",
     {r"mean0\((\w+) - (\w+)\)": r"mean0(-\2 * (1 - \1))"}),
    ("logistic", "L4", "extra factor, other loss", "as for the squared error",
     {r"mean0\((\w+) - (\w+)\)": r"mean0((\1 - \2) * \1 * (1 - \1))"}),
    ("Huber", "L10", "other loss, missing function", "as for the squared error",
     {r"mean0\(.*\)": "mean0(R)"}),
    ("Huber", "L10", "other loss", "as for the absolute error",
     {r"mean0\(.*\)": "mean0(np.sign(R))"}),
    ("Huber", "L10", "other loss", "the outer branch everywhere",
     {r"mean0\(.*\)": "mean0(delta * np.sign(R))"}),
    ("Huber", "L6", "missing term, missing path", "nothing in the outer branch",
     {r"mean0\(.*\)": "mean0(np.where(np.abs(R) <= delta, R, 0))"}),
    ("Huber by clip", "W7", "missing factor, constant factor", "no delta in the outer branch",
     {r"mean0\(.*\)": "mean0(np.where(np.abs(R) <= delta, R, np.sign(R)))"}),
]  # fmt: skip

# ---- what a student makes of a network -----------------------------------------------------------


class Style(NamedTuple):
    """How one student writes a network."""

    kind: str
    variant: str
    hidden: str
    loss: str
    layout: str
    penalty: str
    scale: str
    lines: str
    words: dict[str, str]
    formula: int

    def __str__(self) -> str:
        return ", ".join(dict.fromkeys(self[:8]))


def styles(rng: random.Random) -> Iterator[Style]:
    """Styles of each kind, in which every choice has its turn."""
    for kind, (networks, hidden, losses) in KINDS.items():
        choices: list[Any] = [list(networks), hidden, losses, ["columns", "rows", "rows, vectors"]]
        choices += [["no L2", "no L2", *PENALTIES], ["1/m at dZ", "1/m at the parameters"]]
        choices += [["with dA", "without dA"], WORDS, [0, 1, 2]]
        turns = [list(islice(cycle(rng.sample(c, len(c))), STYLES)) for c in choices]
        yield from (
            Style(kind, *c) for c in zip(*(rng.sample(t, STYLES) for t in turns), strict=True)
        )


def sheet(style: Style, edits: dict[str, str] | None = None) -> tuple[dict[str, str], Lines, Lines]:
    """The shapes, the way forward and the derivation, as the student writes them."""
    shapes, *text = re.split(r"; |\n", KINDS[style.kind][0][style.variant])
    place = next(i for i, line in enumerate(text) if line.startswith("loss"))
    forward, backward, costs = text[:place], text[place + 1 :], []
    for Z in reversed(text[place].split()[1:]):
        Y = f"Y{Z[1:]}" if Z[0] == "O" else "Y"
        names = {"Z": Z, "dZ": f"d{Z}", "Y": Y, **{a: a + Z[1:] for a in ("A", "dA", "E")}}
        before, cost, after = (named(part, names) for part in LOSSES[style.loss])
        forward, backward = forward + before.splitlines(), after.splitlines() + backward
        costs.append(cost)
        shapes += f" {Y} om"
    if style.penalty in PENALTIES:
        squares = (f"np.sum({W}**2)" for W in sorted(set(re.findall(r"W\d?|V|U", shapes))))
        costs.append(f"{PENALTIES[style.penalty][0]} * ({' + '.join(squares)})")
    leaves = (
        r"leaves (\w+) (\w+) (\w+) (\w+)",
        r"d\1 = mean(\3 @ \4.T) + penalty(\1)\nd\2 = mean(total(\3))",
    )
    derivation = re.sub(*leaves, "\n".join(backward))
    no_penalty = {} if style.penalty in PENALTIES else {r" \+ penalty\(\w+\)": ""}
    for old, new in {r"\nd_ = .*": "", **(edits or {}), **no_penalty}.items():
        derivation = re.sub(old, new, derivation, flags=re.MULTILINE)
    words = {old + t: new + t for old, new in style.words.items() for t in ["", *"01234"]}
    words |= {f"d{old}": f"d{new}" for old, new in words.items()}
    inlined = re.findall(r"^d[AHSPG]\d?", derivation, re.MULTILINE) * (style.lines == "without dA")
    return (
        dict(zip(named(shapes, words).split()[::2], shapes.split()[1::2], strict=True)),
        written(style, named("\n".join([*forward, f"J = {' + '.join(costs)}"]), words)),
        written(style, named(derivation, words), {words.get(name, name) for name in inlined}),
    )


def named(text: str, names: dict[str, str]) -> str:
    """The text with other names."""
    return re.sub(r"\b[A-Za-z]\w*\b", lambda word: names.get(word[0], word[0]), text)


def written(style: Style, text: str, inlined: set[str] | None = None) -> Lines:
    """The lines in the student's layout; what has no line of its own stands where it is used."""
    lines: Lines = {}

    def spelled(node: Any, _: Any) -> Any:
        match node:
            case ast.Call(func=ast.Name(id=word), args=args):
                return spelled_out(style, word, [ast.unparse(arg) for arg in args])
            case ast.Name(id=name) if inlined and name in inlined and name in lines:
                return copy.deepcopy(lines[name])
        return node

    def in_rows(node: Any, _: Any) -> Any:
        match node:
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                node.left, node.right = right, left
            case ast.Call(keywords=[ast.keyword(arg="axis", value=ast.Constant(axis)), _]):
                node.keywords[0].value = ast.Constant(1 - int(str(axis)))
                if style.layout == "rows, vectors" and inlined is not None:
                    del node.keywords[1]
        return node

    for name, line in (line.split(" = ", 1) for line in text.splitlines()):
        lines[name] = rewritten(parsed(line), spelled)
    kept = {name: tree for name, tree in lines.items() if name not in (inlined or ())}
    if style.layout == "columns":
        return kept
    return {name: rewritten(tree, in_rows) for name, tree in kept.items()}


def spelled_out(style: Style, word: str, given: list[str]) -> ast.expr:
    """What an abbreviation stands for."""
    if word in ("mean", "mean0"):
        if (word == "mean0") != (style.scale == "1/m at dZ"):
            return parsed(given[0])
        return parsed(f"1 / m * ({given[0]})" if style.formula else f"({given[0]}) / m")
    if word == "total":
        return parsed(f"np.sum({given[0]}, axis=1, keepdims=True)")
    if word == "penalty":
        return parsed(f"{PENALTIES[style.penalty][1]} * {given[0]}")
    names = dict(zip("ZA", given, strict=False))
    activation = style.hidden if word in ("f", "slope") else word.removeprefix("slope_")
    function, *formulas = ACTIVATIONS[activation]
    if not word.startswith("slope"):
        return parsed(named(function, names))
    tree = parsed(named(formulas[style.formula % len(formulas)], names))
    tree.slope = activation, names  # type: ignore[attr-defined]
    return tree


def parsed(text: str) -> ast.expr:
    """The formula as a tree."""
    return ast.parse(text, mode="eval").body


def rewritten(tree: Any, change: Callable[[Any, Any], Any]) -> Any:
    """The tree with `change(copy of the node, node)` for every node, from the leaves up."""
    if isinstance(tree, list):
        return [rewritten(node, change) for node in tree]
    if not isinstance(tree, ast.AST):
        return tree
    same = copy.copy(tree)
    for field, value in ast.iter_fields(tree):
        setattr(same, field, rewritten(value, change))
    return change(same, tree)


# ---- a network at a point ------------------------------------------------------------------------


@dataclass
class Paper:
    """What the student knows, and the gradients written down so far."""

    known: dict[str, Any]
    lines: list[str]

    def write(self, part: tuple[str, int], value: Array) -> None:
        """Put down the value of a line."""
        self.known[part[0]] = value

    def hand(self) -> dict[str, Array]:
        """The gradients derived so far, by name."""
        return {name: self.known[name] for name in self.lines if name in self.known}


class Work(NamedTuple):
    """A derivation at a point: the exercise, and what the slips are made from."""

    style: Style
    exercise: Exercise
    shapes: dict[str, str]
    forward: Lines
    lines: Lines
    values: dict[str, Array]  # of all tensors and of all gradients

    def known(self, line: str) -> set[str]:
        """The tensors that the student has when he writes a line."""
        lines = list(self.lines)
        return set(self.values) - set(lines[lines.index(line) :])

    def constant(self, tree: ast.AST) -> bool:
        """Whether a formula is a number."""
        return not set(names_in(tree)) & set(self.values)

    def alike(self, name: str, line: str) -> list[str]:
        """The other tensors of the same shape that are known in a line."""
        shape = self.values[name].shape
        return sorted(n for n in self.known(line) - {name} if self.values[n].shape == shape)

    def is_loss(self, line: str) -> bool:
        """Whether a line is the derivative of the loss."""
        return any(name == "R" or name[0] == "Y" for name in names_in(self.lines[line]))


def formula(text: str) -> Formula:
    """The line as a function of what is known."""
    code = compile(text, "<a line of this file>", "eval")
    return lambda paper: eval(code, {"np": np}, paper.known)


def work(style: Style, rng: np.random.Generator) -> Work:
    """The network of a style at a generic point, where no gradient of a parameter is 0."""
    shapes, forward, lines = sheet(style)
    program = "\n".join(f"{name} = {ast.unparse(tree)}" for name, tree in forward.items())
    parts = {(name, 0): formula(ast.unparse(tree)) for name, tree in lines.items()}
    while True:
        names = variables(style, shapes, rng)
        with np.errstate(all="ignore"):
            exec(program, {"np": np, "ag": ag}, names)
        known = {k: v.data if isinstance(v, ag.Tensor) else v for k, v in names.items() if k != "J"}
        exercise = Exercise(str(style), names["J"], names, Paper(known, list(lines)), parts)
        if generic(style, known):
            right = exercise.derived()
            if all(np.all(right[line]) for line in lines if line[1:] in shapes):
                break
    values = {name: value for name, value in known.items() if np.ndim(value)}
    return Work(style, exercise, shapes, forward, lines, {**values, **right})


def variables(style: Style, shapes: dict[str, str], rng: np.random.Generator) -> dict[str, Any]:
    """The data and the parameters."""
    sizes = dict(zip("ihkom", [*rng.permutation([2, 3, 4, 6]), rng.choice([5, 7])], strict=True))
    if style.loss.startswith("logistic") and rng.random() < 0.5:
        sizes["o"] = 1
    names: dict[str, Any] = {"m": int(sizes["m"]), "lam": 0.7}
    names |= {"delta": 0.8} if style.kind == "Huber" else {}
    for name, letters in shapes.items():
        size = [int(sizes[letter]) for letter in letters]
        value = rng.normal(size=(*size, 1)[:2])
        if name[0] == "Y" and style.loss.startswith("softmax"):
            value = np.eye(size[0])[:, rng.permutation(np.arange(max(size)) % size[0])[: size[1]]]
        elif name[0] == "Y" and style.loss.startswith("logistic"):
            value = np.where(value > 0, 1.0, 0.0)
        value = value if style.layout == "columns" else value.T.copy()
        value = value[0] if style.layout == "rows, vectors" and len(size) == 1 else value
        given = name[0] in "XY" or letters == "hm"
        names[name] = value if given else ag.Tensor(value, requires_grad=True)
    return names


def generic(style: Style, known: dict[str, Any]) -> bool:
    """Whether nothing saturates, no kink is near and both its sides occur, as do all labels."""
    Z, out = (style.words.get(name, name) for name in "ZO")
    inputs = [v for k, v in known.items() if re.fullmatch(rf"({Z}|{out}|N)\d?", k)]
    split = [
        2 * v - 1 for k, v in known.items() if k[0] == "Y" and style.loss.startswith("logistic")
    ]
    split += inputs[:-1] if style.hidden == "ReLU" else []
    split += [np.abs(known["R"]) - known["delta"]] if style.kind == "Huber" else []
    examples = 1 if style.layout == "columns" else 0
    return all(np.max(np.abs(z)) < 7 for z in inputs) and all(
        np.min(np.abs(v)) > 0.02 and np.all(np.ptp(np.sign(v), axis=examples)) for v in split
    )


# ---- the slips that rules make -------------------------------------------------------------------


def changes(work: Work, line: str) -> Iterator[tuple[Change, bool]]:
    """Every systematic slip in a line, and whether it takes another operand."""
    tree, data, penalty = work.lines[line], work.lines[line], None
    match tree:
        case ast.BinOp(left=left, op=ast.Add(), right=right) if "lam" in names_in(right):
            data, penalty = left, right
    rest = f" + {ast.unparse(penalty)}" if penalty else ""
    yield from ((change, False) for change in of_line(work, line, f"({ast.unparse(data)})", rest))
    for part, where in ((data, ""), (penalty, "penalty")):
        for node, place in places(part, where) if part else ():
            here = chain(
                ((change, False) for change in of_part(work, line, node, place)),
                ((change, True) for change in of_operand(work, line, node, place)),
            )
            for (id, causes, what, text), other in here:
                whole = rewritten(tree, exchange(node, parsed(text)))
                yield (id, causes, what, ast.unparse(whole)), other


def exchange(old: ast.AST, new: ast.AST) -> Callable[[Any, Any], Any]:
    """The change of a tree that puts another node in the place of one."""
    return lambda same, node: new if node is old else same


def places(node: ast.AST, where: str) -> Iterator[tuple[Any, str]]:
    """The parts of a formula, each with its place: a penalty, a slope, or elsewhere."""
    where = "slope" if hasattr(node, "slope") else where
    yield node, where
    for child in ast.iter_child_nodes(node):
        yield from places(child, where)


def names_in(tree: ast.AST) -> list[str]:
    """The variables of a formula."""
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def of_line(work: Work, line: str, data: str, penalty: str) -> Iterator[Change]:
    """Slips with a line as a whole."""
    of, loss = line[1:], work.is_loss(line)
    half = "L5" if loss else "W7"
    yield (
        "L1" if loss else "W7",
        "sign" + ", sign of a term" * bool(penalty),
        "the sign",
        f"-{data}{penalty}",
    )
    for id, factor in ((half, "2 *"), (half, "0.5 *"), ("L2", "m *"), ("L3", "1 / m *")):
        yield id, "constant factor", f"{factor} all", f"{factor} ({data}{penalty})"
        if penalty:
            yield id, "constant factor", f"{factor} the data's part", f"{factor} {data}{penalty}"
            text = f"{data} + {factor} ({penalty[3:]})"
            yield "R2", "wrong regularisation, constant factor", f"{factor} the penalty", text
    if penalty:
        yield "W7", "sign", "the sign of all", f"-({data}{penalty})"
        yield "R1", "missing regularisation, missing term", "no penalty", data
        text = f"{data} - {penalty[3:]}"
        yield "R4", "wrong regularisation, sign of a term", "the penalty's sign", text
        text = data + penalty.replace(f"* {of}", f"* np.sign({of})")
        yield "R6", "wrong regularisation", "the penalty as for L1", text
    for later, tree in work.lines.items():
        for node, place in places(tree, ""):
            if place == "slope" and hasattr(node, "slope") and node.slope[1]["A"] == of:
                text = f"{data} * ({ast.unparse(node)})"
                yield "A6", "extra factor", f"the slope of {later} here already", text
    if of not in work.shapes:
        return
    bias = len(work.shapes[of]) == 1
    yield "B5", "zero", "forgotten", f"np.zeros_like({of})"
    last = "[:, -1:]" if work.style.layout == "columns" else "[-1:]"
    text = named(data, {name: name + last for name in work.values}) + penalty
    causes = "last example only" + ", missing sum" * bias
    yield "W6", causes, "the last example only", text
    if "parameters" in work.style.scale:
        yield "W6", causes, "the last example only, without 1/m", f"m * {text}"
    if bias and work.style.penalty in PENALTIES:
        text = f"{data} + {PENALTIES[work.style.penalty][1]} * {of}"
        yield "R3", "regularised bias, extra term", "the bias regularised", text
    if not bias:
        yield "W2", "transposed", "the result transposed", f"({data}{penalty}).T"
        text = f"np.reshape(({data}{penalty}).T, {of}.shape)"
        yield "C7", "column-major", "unrolled in the other order", text
    if not bias and not penalty:
        text = f"{data} + lam / m * {of}"
        yield "R5", "extra term, wrong regularisation", "regularised, unlike J", text


def of_part(work: Work, line: str, node: Any, place: str) -> Iterator[Change]:
    """Slips in a part of a line; the text is what stands in its place."""
    text = ast.unparse(node)
    if hasattr(node, "slope"):
        activation, names = node.slope
        for other, (_, slope, *_) in ACTIVATIONS.items():
            if other != activation:
                yield "A3", "other activation", f"the slope of {other}", named(slope, names)
    match node:
        case ast.Name(id=name) if name in work.values:
            if name in work.shapes and f"d{name}" in work.known(line) and not place:
                yield (
                    "W4",
                    "updated weights",
                    f"{name} after the update",
                    f"({name} - 0.1 * d{name})",
                )
            for part in ast.walk(work.lines[name]) if name in work.lines else ():
                if hasattr(part, "slope") and line[1:] in work.shapes:
                    twice = f"{name} * ({ast.unparse(part)})"
                    yield "A6", "extra factor, factor twice", "the slope again", twice
        case ast.Attribute(value=value, attr="T"):
            yield "W2", "missing transpose", f"no .T in {text}", ast.unparse(value)
        case ast.BinOp(left=left, op=ast.Pow()):
            yield "A7", "missing function", f"no square in {text}", ast.unparse(left)
        case ast.BinOp():
            yield from of_operation(work, line, node, place)
        case ast.Call(func=ast.Attribute(attr="sum")):
            yield from of_sum(work, line, node)
        case ast.Call(args=[what], keywords=[]):
            yield "A7", "missing function", f"not the function in {text}", ast.unparse(what)
        case ast.UnaryOp(op=ast.USub(), operand=what) if not work.constant(what):
            causes = "sign of a term" + ", wrong point" * (place == "slope")
            yield "L9", causes, f"no minus in {text}", ast.unparse(what)
        case ast.Compare(left=left):
            yield "A4", "missing function", f"no comparison in {text}", ast.unparse(left)


def of_operation(work: Work, line: str, node: Any, place: str) -> Iterator[Change]:
    """A factor or a term left out, a factor taken twice or divided by, the sign of a term."""
    a, b = f"({ast.unparse(node.left)})", f"({ast.unparse(node.right)})"
    match node.op:
        case ast.MatMult():
            yield "W1", "wrong product", "* for @", f"{a} * {b}"
            yield "W2", "missing transpose", f"{a} transposed", f"{a}.T @ {b}"
            yield "W2", "missing transpose", f"{b} transposed", f"{a} @ {b}.T"
            yield "A1", "missing factor", f"no {a}", b
            yield "A1", "missing factor", f"no {b}", a
        case ast.Mult() if work.constant(node.left):
            texts = [b, f"{a} * {a} * {b}", f"{b} / {a}"]
            yield from of_factor(work, node.left, place, texts)
        case ast.Mult():
            yield "W1", "wrong product", "@ for *", f"{a} @ {b}"
            yield from of_factor(work, node.left, place, [b])
            texts = [a, f"{a} * {b} * {b}", f"{a} / {b}"]
            yield from of_factor(work, node.right, place, texts)
        case ast.Div():
            texts = [a, f"{a} / {b} / {b}", f"{a} * {b}"]
            yield from of_factor(work, node.right, place, texts)
        case ast.Add() | ast.Sub():
            minus, causes = isinstance(node.op, ast.Sub), "missing term"
            id = (
                "A7"
                if place
                else "L11"
                if work.is_loss(line)
                else "G1"
                if line[1:] in work.shapes
                else "G2"
            )
            causes += ", missing path" * (id[0] == "G" and not work.constant(node.left))
            yield id, causes + ", missing factor" * (a == "(1)"), f"no {b}", a
            yield id, causes, f"no {a}", f"-{b}" if minus else b
            yield id, "sign of a term", f"the sign of {b}", f"{a} {'+' if minus else '-'} {b}"
            if not minus and not place:
                yield id, "sign of a term", f"the sign of {a}", f"-{a} + {b}"


def of_factor(work: Work, node: Any, place: str, texts: list[str]) -> Iterator[Change]:
    """A factor left out, taken twice, and divided by."""
    ids, more = ("A1", "A6", "A1"), ""
    if work.constant(node):
        ids, more = ("W7", "W7", "W7"), ", constant factor"
        ids = ("L2", "L3", "L2") if "m" in names_in(node) else ids
    if place == "penalty":
        ids, more = ("R2", "R2", "R2"), ", constant factor, wrong regularisation"
    kinds = ("missing factor", "factor twice", "inverted factor")
    for id, kind, text in zip(ids, kinds, texts, strict=False):
        yield id, kind + more, f"{kind}: {ast.unparse(node)}", text


def of_sum(work: Work, line: str, node: Any) -> Iterator[Change]:
    """A sum over the examples that is not one."""
    x, axis = ast.unparse(node.args[0]), node.keywords[0].value.value
    kept = ", keepdims=True" * (len(node.keywords) > 1)
    yield "B1", "missing sum", "no sum", x
    yield "B2", "wrong axis", "the other axis", f"np.sum({x}, axis={1 - axis}{kept})"
    mean = f"np.mean({x}, axis={axis}{kept})"
    yield "B4", "constant factor, extra factor", "the mean for the sum", mean
    single = ", rank-1 array" * (work.values[line].size == 1)
    yield "B4", f"sum over everything{single}", "the sum of everything", f"np.sum({x})"
    if kept:
        several = ", broadcast" * (ast.unparse(work.lines[line]).count("np.sum") > 1)
        yield "B3", f"rank-1 array{several}", "no keepdims", f"np.sum({x}, axis={axis})"


def of_operand(work: Work, line: str, node: Any, place: str) -> Iterator[Change]:
    """Another tensor of the same shape in the place of one, or throughout a slope."""
    if hasattr(node, "slope"):
        (at,) = set(names_in(node)) & set(work.values)
        for other in work.alike(at, line):
            causes = ", ".join(["wrong point, wrong operand", *relation(work, at, other)])
            yield "A2", causes, f"the slope at {other}", named(ast.unparse(node), {at: other})
    if isinstance(node, ast.Name) and node.id in work.values:
        id = {"slope": "A2", "penalty": "R2"}.get(place, "W3")
        id = "B6" if id == "W3" and len(work.shapes.get(line[1:], "")) == 1 else id
        causes = "wrong operand" + ", wrong regularisation" * (place == "penalty")
        for other in work.alike(node.id, line):
            more = ", ".join([causes, *relation(work, node.id, other)])
            yield id, more, f"{other} for {node.id}", other


def relation(work: Work, old: str, new: str) -> Iterator[str]:
    """What else it means to write `new` for `old`: one may be a part of the other."""
    definitions = {**work.forward, **work.lines}
    for whole, part, kind in ((old, new, "missing"), (new, old, "extra")):
        if part in operands(definitions.get(whole), ast.Mult, ast.Div):
            yield f"{kind} factor"
        if part in operands(definitions.get(whole), ast.Add, ast.Sub):
            yield f"{kind} term" + ", missing path" * (kind == "missing" and part in work.lines)
    while old in definitions and old != new:
        inner = set(names_in(definitions[old])) & set(work.values)
        old = inner.pop() if len(inner) == 1 else ""
    if old == new:
        yield "missing function"


def operands(tree: Any, operator: type, inverse: type) -> list[str]:
    """The factors of a product but not of a slope in it, or the terms of a sum."""
    if isinstance(tree, ast.BinOp) and not hasattr(tree, "slope"):
        if isinstance(tree.op, operator):
            sides = tree.left, tree.right
            return [name for side in sides for name in operands(side, operator, inverse)]
        if isinstance(tree.op, inverse):
            return operands(tree.left, operator, inverse)
    return [ast.unparse(tree)] if tree else []


# ---- the cases -----------------------------------------------------------------------------------


def typical(work: Work) -> Iterator[Slip]:
    """The slips of the list above that this network admits."""
    for where, id, causes, what, edits in TYPICAL:
        if where not in str(work.style):
            continue
        lines = sheet(work.style, edits)[2]
        new = {line: ast.unparse(tree) for line, tree in lines.items()}
        wrong = [line for line in lines if new[line] != ast.unparse(work.lines[line])]
        if wrong:
            # without 1/m anywhere, every line may be said to be m times too large
            beside = (
                {n for n in wrong[1:] if not follows(lines, n, wrong[0])}
                if id != "L2"
                else set(lines)
            )
            text = f"{what}: " + "; ".join(f"{line} = {new[line]}" for line in wrong)
            mistake = Mistake(id, wrong[0], text, frozenset(causes.split(", ")), frozenset(beside))
            yield Slip(mistake, {(line, 0): formula(new[line]) for line in wrong})


def follows(lines: Lines, line: str, first: str) -> bool:
    """Whether a line depends on another one."""
    before = names_in(lines[line]) if line in lines else []
    return first in before or any(follows(lines, name, first) for name in before)


def systematic(work: Work) -> Iterator[tuple[Slip, bool]]:
    """The slips that the rules make, and whether they take another operand."""
    for line in work.lines:
        for (id, causes, what, text), other in changes(work, line):
            mistake = Mistake(id, line, f"{what}: {line} = {text}", frozenset(causes.split(", ")))
            yield Slip(mistake, {(line, 0): formula(text)}), other


def cases(work: Work, rng: random.Random) -> Iterator[Planted]:
    """A sample of the slips that can be seen, each kind in proportion."""
    slips = [(slip, False) for slip in typical(work)] + list(systematic(work))
    slips.sort(key=lambda slip: slip[1])
    right, seen, others = work.exercise.derived(), [], []
    for (mistake, edits), other in slips:
        hand, line = work.exercise.derived(edits), mistake.line
        if line not in hand or not differs(hand[line], right[line]):
            continue
        reshaped = np.shape(hand[line]) != np.shape(right[line])
        if np.all(np.isfinite(hand[line])) and (not reshaped or mistake.causes & RESHAPING):
            causes = mistake.causes if np.any(hand[line]) else mistake.causes | {"zero"}
            seen.append(case(work.exercise, hand, mistake._replace(causes=causes)))
            others.append(other)
    kinds: dict[str, list[Planted]] = defaultdict(list)
    replaced: list[Planted] = []
    marks = set()
    for each, other in zip(merged(seen), others, strict=True):
        (mistake,) = each.mistakes
        mark = mistake.line, fingerprint(each.hand)
        if other and mark not in marks:
            replaced.append(each)
        elif mark not in marks:
            path = mistake.line * (mistake.id[0] == "G")
            kinds[f"{mistake.id} {path} {sorted(mistake.causes)}"].append(each)
        marks.add(mark)
    rules = list(islice(in_turn(kinds, rng), SLIPS * 2 // 3))
    yield from rules
    yield from rng.sample(replaced, min(len(replaced), len(rules) // 2))


def in_turn(kinds: dict[str, list[Planted]], rng: random.Random) -> Iterator[Planted]:
    """Cases at random, one of each kind, then another of each."""
    left = [rng.sample(kind, len(kind)) for kind in rng.sample(list(kinds.values()), len(kinds))]
    while any(left):
        yield from [kind.pop() for kind in left if kind]


def case(exercise: Exercise, hand: dict[str, Array], *mistakes: Mistake) -> Planted:
    """A case of an exercise."""
    return Planted(exercise.network, mistakes, exercise.J, exercise.names, hand)


def planted(seed: int) -> Iterator[Planted]:
    """Derivations with one mistake each."""
    rng = random.Random(seed)
    for number, style in enumerate(styles(rng)):
        yield from cases(work(style, np.random.default_rng([seed, number])), rng)


def right(seed: int) -> Iterator[Planted]:
    """The derivations without a mistake, each at several points."""
    for number, style in enumerate(styles(random.Random(seed))):
        for point in range(POINTS):
            exercise = work(style, np.random.default_rng([seed, number, point])).exercise
            yield case(exercise, exercise.derived())
