"""The tree of plain text."""

from __future__ import annotations

import numpy as np
import pytest
from hostile import NAMES

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.draw.diagram import diagram
from autograd_mini.draw.tree import DEEPEST, tree_of


def neuron():
    w, x, b = [ag.Tensor(v, requires_grad=v != 2.0) for v in (0.5, 2.0, 1.0)]
    with ag.trace() as run:
        n = w * x + b
        y = n * n
        y.backward()
    return run.name({"w": w, "x": x, "b": b, "n": n, "y": y})


def test_a_neuron_is_a_tree_from_the_cost_to_the_inputs():
    assert tree_of(diagram(neuron())).split("\n") == [
        "y = multiply  float64  4  grad 1",
        "├─ 0: [1] n = add  float64  2  grad 4",
        "│  ├─ multiply  float64  1  grad 4",
        "│  │  ├─ parameter w  float64  0.5  grad 8",
        "│  │  └─ input x  float64  2",
        "│  └─ parameter b  float64  1  grad 4",
        "└─ 1: [1] n = add",
    ]


def test_local_derivatives_stand_before_what_they_are_by():
    text = tree_of(diagram(neuron(), derivatives=True, values="none", gradients=False))
    assert "├─ x = 2: parameter w  float64" in text
    assert "├─ n = 2: [1] n = add" in text


def test_formulas_are_on_one_line():
    w = [ag.Tensor(float(i), requires_grad=True, name=f"weight_{i}") for i in range(9)]
    total = w[0]
    for other in w[1:]:
        total = total + other * other
    (line,) = [s for s in tree_of(diagram(total, detail="names")).split("\n") if "weight_0 +" in s]
    assert line.startswith("weight_0 + weight_1 weight_1 + weight_2 weight_2 + weight_3")
    assert "weight_3 weight_3 + weight_4 weight_4" in line


def test_the_module_is_named_where_it_begins():
    model = nn.Sequential(nn.Linear(2, 3, rng=np.random.default_rng(0)), nn.Tanh())
    x = np.ones((1, 2))
    with ag.trace() as run:
        loss = np.sum(model(x))
    lines = tree_of(diagram(run.name({"loss": loss, "model": model, "x": x}))).split("\n")
    assert lines[1].endswith("  in 1: Tanh")
    assert lines[2].endswith("  in 0: Linear")
    assert not lines[4].endswith("Linear")


def test_every_box_is_written_once_and_every_arrow_is_there():
    for phase in ("forward", "backward", "both"):
        picture = diagram(neuron(), phase=phase)
        lines = tree_of(picture).split("\n")
        roots = [line for line in lines if not line.startswith(("│", "├", "└", " "))]
        assert len(lines) == len(picture.arrows) + len(roots)


def test_what_failed_comes_first_and_then_the_cost():
    w = ag.Tensor(np.ones((4, 2)), requires_grad=True)

    def failing():
        np.exp(w)
        np.sum(w)
        np.ones((2, 3)) @ w

    with pytest.raises(ValueError, match="columns"), ag.trace() as run:
        failing()
    lines = tree_of(diagram(run)).split("\n")
    roots = [line for line in lines if not line.startswith(("│", "├", "└", " "))]
    assert [line.split("(")[0].split(" ")[0] for line in roots] == ["matmul", "sum", "exp"]


def test_marks_are_words():
    x = ag.Tensor([-1.0], requires_grad=True, name="x")
    with ag.trace() as run:
        np.sum(ag.relu(x)).backward()
    assert "parameter x  (1,) float64  [-1]  grad [0]  (the gradient is all zero)" in tree_of(
        diagram(run)
    )


def test_where_nan_begins_is_told():
    x = ag.Tensor(0.0, requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        lines = tree_of(diagram(ag.trace(lambda: np.log(x) * 0.0))).split("\n")
    assert [line.endswith("(NaN or infinity begins here)") for line in lines] == [0, 1, 0]


@pytest.mark.slow
def test_deep_trees_go_on_below():
    x = ag.Tensor(1.0, requires_grad=True, name="x")
    y = x
    for _ in range(25_000):
        y = -(y * 1.0)
    text = tree_of(diagram(y, max_nodes=None))
    lines = text.split("\n")
    assert max(len(line) for line in lines) < 3 * DEEPEST + 60
    cut = [line.strip(" └─").split(" ")[0] for line in lines if line.endswith("see below")]
    begun = [line.split(" ")[0] for line in lines if line.startswith("[")]
    assert cut == begun
    assert lines[-1].endswith("parameter x  float64  1  grad: not computed")


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_stay_on_their_lines(name):
    w = ag.Tensor(1.0, requires_grad=True, name=name)
    with ag.trace() as run:
        (w * w).backward()
    lines = tree_of(diagram(run)).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
