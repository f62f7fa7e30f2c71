"""python examples/gallery.py: every way to see a computation, on the five course systems.

Writes a folder with pictures of the graphs, the chain rule written out, NumPy programs, pages that
step through backpropagation, and an index.html that shows them all.
"""

import argparse
import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.check.compare import compared
from autograd_mini.files import write_whole

options = argparse.ArgumentParser(
    usage="python examples/gallery.py [--out FOLDER]", description=str(__doc__).splitlines()[0]
)
options.add_argument("--out", type=Path, default=Path("gallery"), help="where it is written to")
folder = options.parse_args().out
folder.mkdir(parents=True, exist_ok=True)


# ---- the five systems ----------------------------------------------------------------------------


def neuron() -> ag.Trace:
    """One logistic neuron and one example."""
    w1, w2, b = (ag.Tensor(x, requires_grad=True) for x in (0.8, 0.5, -0.6))
    x1, x2, y = np.array(1.5), np.array(-2.0), np.array(1.0)
    with ag.trace() as run:
        z = w1 * x1 + w2 * x2 + b
        a = ag.sigmoid(z)
        L = -(y * ag.log(a) + (1 - y) * ag.log(1 - a))
        L.backward()
    return run.name(locals())


def parameters(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[ag.Tensor]:
    """Return Tensors to be trained."""
    return [ag.Tensor(0.5 * rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def one_hidden_layer(activation: Callable[[Any], Any] = np.tanh) -> ag.Trace:
    """One hidden layer, examples in columns."""
    rng, m = np.random.default_rng(0), 5
    X, Y = rng.standard_normal((3, m)), np.array([[1.0, 0.0, 1.0, 1.0, 0.0]])
    W1, b1, W2, b2 = parameters(rng, (4, 3), (4, 1), (1, 4), (1, 1))
    with ag.trace() as run:
        Z1 = W1 @ X + b1
        A1 = activation(Z1)
        Z2 = W2 @ A1 + b2
        A2 = ag.sigmoid(Z2)
        J = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
        J.backward()
    return run.name(locals())


def matrix_formulas() -> ag.Trace:
    """Three layers by matrix formulas, examples in rows, softmax at the end."""
    rng = np.random.default_rng(1)
    X0, T = rng.standard_normal((6, 4)), np.eye(3)[[0, 1, 2, 2, 1, 0]]
    W1, B1, W2, B2, W3, B3 = parameters(rng, (4, 5), (1, 5), (5, 4), (1, 4), (4, 3), (1, 3))
    with ag.trace() as run:
        A1 = X0 @ W1 + B1
        X1 = ag.relu(A1)
        A2 = X1 @ W2 + B2
        X2 = ag.relu(A2)
        A3 = X2 @ W3 + B3
        X3 = ag.softmax(A3, axis=1)
        L = -np.sum(T * np.log(X3))
        L.backward()
    return run.name(locals())


def regularised() -> ag.Trace:
    """K classes with sigmoid outputs, examples in columns, regularised."""
    rng, m, lam = np.random.default_rng(2), 5, 0.7
    ones = np.ones((1, m))
    a1 = np.concatenate([ones, rng.standard_normal((3, m))])
    y = np.eye(3)[:, [0, 1, 2, 0, 1]]
    Theta1, Theta2 = parameters(rng, (4, 4), (3, 5))
    with ag.trace() as run:
        z2 = Theta1 @ a1
        a2 = np.concatenate([ones, ag.sigmoid(z2)])
        z3 = Theta2 @ a2
        h = ag.sigmoid(z3)
        J = -np.sum(y * np.log(h) + (1 - y) * np.log(1 - h)) / m
        penalty = lam / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))
        cost = J + penalty
        cost.backward()
    return run.name(locals())


def modules() -> ag.Trace:
    """A network of modules with repeated blocks."""
    rng = np.random.default_rng(3)
    X, labels = rng.standard_normal((8, 6)), np.arange(8) % 3
    blocks = [nn.Sequential(nn.Linear(6, 6, rng=rng), nn.ReLU()) for _ in range(12)]
    model = nn.Sequential(*blocks, nn.Linear(6, 3, rng=rng))
    with ag.trace() as run:
        loss = nn.functional.cross_entropy(model(X), labels)
        loss.backward()
    return run.name(locals())


def failing() -> ag.Trace:
    """A forward pass that fails at its second product."""
    X, W1, W2 = np.ones((5, 3)), *parameters(np.random.default_rng(4), (3, 4), (3, 2))
    run = ag.trace()
    try:
        with run:
            A1 = np.tanh(X @ W1)
            _ = A1 @ W2
    except ValueError:
        return run.name(locals())
    raise AssertionError("the shapes do not fit, so this must fail")


def overflowing() -> ag.Trace:
    """A logistic loss whose sigmoid is 1 to rounding, so that log(1 - a) is minus infinity."""
    w = ag.Tensor([40.0, 0.5], requires_grad=True)
    x, y = np.array([[1.0, 0.0], [0.5, 1.0]]), np.array([0.0, 1.0])
    with ag.trace() as run, np.errstate(all="ignore"):
        a = ag.sigmoid(x @ w)
        L = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
        L.backward()
    return run.name(locals())


SYSTEMS: dict[str, tuple[str, Callable[[], ag.Trace]]] = {
    "neuron": ("One logistic neuron", neuron),
    "one_hidden_layer": ("One hidden layer, tanh", one_hidden_layer),
    "relu": ("One hidden layer, ReLU", lambda: one_hidden_layer(ag.relu)),
    "matrix_formulas": ("Three layers by matrix formulas, softmax", matrix_formulas),
    "regularised": ("K classes with sigmoid outputs, regularised", regularised),
}

STATISTICS: dict[str, Any] = {"values": "stats", "legend": False}
#: Options of `draw`, each on the system that shows it best.
OPTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("neuron", "The local derivative on each arrow", {"derivatives": True}),
    ("neuron", "The graph of the derivative", {"phase": "backward"}),
    ("one_hidden_layer", "One box for each quantity that has a name", {"detail": "names"}),
    ("one_hidden_layer", "From left to right", {"direction": "LR"}),
    ("one_hidden_layer", "Dark", {"theme": "dark"}),
    ("one_hidden_layer", "Without values and gradients", {"values": "none", "gradients": False}),
    ("one_hidden_layer", "Statistics also of small arrays, no legend", STATISTICS),
    ("one_hidden_layer", "The built-in layout, where there is no Graphviz", {"engine": "built in"}),
    ("relu", "Forward and backward", {"phase": "both", "detail": "names"}),
    ("matrix_formulas", "How large the gradients are", {"overlay": True}),
    ("matrix_formulas", "From top to bottom", {"direction": "TB", "detail": "names"}),
    ("modules", "Modules as boxes, equal blocks folded", {}),
    ("modules", "Not folded", {"fold": False, "direction": "TB"}),
    ("modules", "Down to depth 1", {"depth": 1, "fold": False}),
    ("modules", "Without frames", {"groups": False, "max_nodes": None}),
    ("regularised", "One box for each quantity", {"detail": "names"}),
    ("failing", "A forward pass that fails", {}),
    ("overflowing", "Where infinity and NaN begin", {"overlay": True}),
]

runs = {name: make() for name, (_, make) in SYSTEMS.items()}
runs |= {"modules": modules(), "failing": failing(), "overflowing": overflowing()}
sections: list[str] = []


def show(title: str, *parts: str) -> None:
    """Put a section on the page."""
    sections.append(f"<section><h2>{html.escape(title)}</h2>{''.join(parts)}</section>")


def picture(drawing: ag.Drawing, name: str, caption: str) -> str:
    """Write a picture, and return how the page shows it."""
    drawing.save(folder / f"{name}.svg")
    text = html.escape(caption)
    return f'<figure><img src="{name}.svg" alt="{text}"><figcaption>{text}</figcaption></figure>'


def text(content: str, caption: str) -> str:
    """Return how the page shows a text."""
    return f"<h3>{html.escape(caption)}</h3><pre>{html.escape(content)}</pre>"


for name, (title, _) in SYSTEMS.items():
    run = runs[name]
    page = ag.explore(run, path=folder / f"{name}.html")
    show(
        title,
        picture(ag.draw(run), name, "ag.draw(run)"),
        text(str(ag.explain(run)), "ag.explain(run)"),
        text(str(ag.explain(run, simplify=True)), "ag.explain(run, simplify=True)"),
        text(ag.source(run, simplify=True), "ag.source(run, simplify=True)"),
        f'<p><a href="{page.name}">Step through it</a></p>',
    )

for number, (name, caption, arguments) in enumerate(OPTIONS):
    called = ", ".join(["run", *(f"{key}={value!r}" for key, value in arguments.items())])
    drawing = ag.draw(runs[name], **arguments)
    show(f"{caption}: {name}", picture(drawing, f"option_{number}", f"ag.draw({called})"))

run = runs["one_hidden_layer"]
Z1, A1, A2, W2 = (run[name].array for name in ("Z1", "A1", "A2", "W2"))
dZ2 = A2 - run["Y"].array
hand = {"dZ2": dZ2, "dW2": dZ2 @ A1.T / 5, "dZ1": W2.T @ dZ2 * (1 - Z1**2)}
hand["dW1"] = hand["dZ1"] @ run["X"].array.T / 5
assert run.cost is not None
report = compared(run, run.cost, hand, run.numbers)
show(
    "A derivation by hand with a mistake",
    text(str(report), "the report"),
    picture(ag.draw(run, report=report), "report", "ag.draw(run, report=report)"),
    f'<p><a href="{ag.explore(run, report, folder / "mistake.html").name}">Step through it</a></p>',
)
w = ag.Tensor([1.0, 2.0], requires_grad=True)
loss = np.sum((w * w - 1.0) ** 2)
loss.backward()
graph = ag.draw(loss, names={"w": w, "loss": loss})
show(
    "The graph behind a Tensor, without a run", picture(graph, "graph", "ag.draw(loss, names=...)")
)
numbers, only = ag.explain(runs["neuron"], numbers=True), ag.explain(runs["relu"], ["W1"])
show("With the numbers", text(str(numbers), "ag.explain(run, numbers=True)"))
show("What leads to W1", text(str(only), 'ag.explain(run, ["W1"])'))
show("In LaTeX", text(ag.explain(runs["one_hidden_layer"]).latex, "ag.explain(run).latex"))
show("As a program, bit for bit", text(ag.source(runs["neuron"]), "ag.source(run)"))
show("In a terminal", text(str(ag.draw(runs["neuron"])), "print(ag.draw(run))"))

STYLE = """
body { font: 16px/1.5 Helvetica, Arial, sans-serif; margin: 2rem auto; max-width: 1240px;
       padding: 0 1rem; color: #222222; background: #ffffff; }
figure { margin: 1rem 0; overflow-x: auto; } img { max-width: 100%; } h2 { margin-top: 3rem; }
pre { background: #f5f5f5; padding: 0.8rem; overflow-x: auto; font-size: 13px; }
figcaption { font-family: monospace; color: #555555; }
"""
document = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>autograd_mini: gallery'
    f"</title><style>{STYLE}</style></head><body><h1>autograd_mini: gallery</h1>"
    f"{''.join(sections)}</body></html>\n"
)
print(f"open {write_whole(folder / 'index.html', document.encode())} in a browser")
