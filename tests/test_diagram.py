"""The model of a picture: boxes, arrows and groups."""

from __future__ import annotations

import collections
import gc
import weakref

import numpy as np
import pytest
from hostile import NAMES

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.draw.diagram import KINDS, diagram


def network(backward=True):
    """One hidden layer, with names."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 5)), (rng.random((1, 5)) > 0.5) * 1.0
    W1 = ag.Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    b1 = ag.Tensor(np.zeros((3, 1)), requires_grad=True)
    W2 = ag.Tensor(rng.normal(size=(1, 3)), requires_grad=True)
    with ag.trace() as run:
        Z1 = W1 @ X + b1
        A1 = np.tanh(Z1)
        A2 = ag.sigmoid(W2 @ A1)
        J = np.sum((A2 - Y) ** 2) / 5
        if backward:
            J.backward()
    variables = {"X": X, "Y": Y, "W1": W1, "b1": b1, "W2": W2, "Z1": Z1, "A1": A1, "A2": A2, "J": J}
    return run.name(variables), variables


def neuron():
    w1, w2, b = [ag.Tensor(v, requires_grad=True) for v in (2.0, -3.0, 1.0)]
    x1, x2 = ag.Tensor(0.5), ag.Tensor(1.5)
    with ag.trace() as run:
        y = w1 * x1 + w2 * x2 + b
        y.backward()
    return run.name({"w1": w1, "w2": w2, "b": b, "x1": x1, "x2": x2, "y": y})


def stack(blocks=12, between=None):
    """A model with identical blocks in a row, and its run."""
    rng = np.random.default_rng(0)
    hidden = [nn.Linear(4, 4, rng=rng) for _ in range(blocks)]
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), *hidden, nn.Linear(4, 2, rng=rng))
    x = np.ones((5, 3))
    with ag.trace() as run:
        loss = np.sum(model(x))
        loss.backward()
    return run.name({"x": x, "loss": loss, "model": model})


def box(picture, title):
    """The one box whose first line is this."""
    (found,) = [box for box in picture.boxes if box.lines[0] == title]
    return found


def arrows(picture):
    """Arrows as titles of boxes, with labels."""
    titles = {box.id: box.lines[0] for box in picture.boxes}
    return [(titles[a.tail], titles[a.head], a.label) for a in picture.arrows]


def kinds(picture):
    return collections.Counter(box.kind for box in picture.boxes)


# ---- structure ----------------------------------------------------------------------------------


def test_a_neuron_shows_all_its_numbers():
    picture = diagram(neuron())
    assert [(b.kind, *b.lines) for b in picture.boxes] == [
        ("parameter", "w1", "float64", "2", "grad 0.5"),
        ("input", "x1", "float64", "0.5"),
        ("op", "multiply", "float64", "1", "grad 1"),
        ("parameter", "w2", "float64", "-3", "grad 1.5"),
        ("input", "x2", "float64", "1.5"),
        ("op", "multiply", "float64", "-4.5", "grad 1"),
        ("op", "add", "float64", "-3.5", "grad 1"),
        ("parameter", "b", "float64", "1", "grad 1"),
        ("loss", "y = add", "float64", "-2.5", "grad 1"),
    ]
    assert [box.id for box in picture.boxes] == [f"n{i}" for i in range(9)]


def test_a_square_written_as_a_product_has_two_arrows():
    a = ag.Tensor([1.0, 2.0], requires_grad=True, name="a")
    picture = diagram(np.sum(a * a))
    assert arrows(picture) == [("a", "multiply", "0"), ("a", "multiply", "1"), *arrows(picture)[2:]]


def test_operands_are_numbered_where_their_order_matters():
    picture = diagram(network()[0])
    assert ("W1", "matmul", "0") in arrows(picture)
    assert ("X", "matmul", "1") in arrows(picture)
    assert ("b1", "Z1 = add", "") in arrows(picture)


def test_boxes_come_in_topological_order_and_every_time_the_same():
    pictures = [diagram(network()[0], phase=phase) for phase in ("both", "both")]
    first, second = [
        [(b.id, b.kind, b.lines, b.tooltip, b.mark, b.group) for b in picture.boxes]
        for picture in pictures
    ]
    assert first == second
    assert pictures[0].arrows == pictures[1].arrows
    assert all(int(a.tail[1:]) < int(a.head[1:]) for a in pictures[0].arrows)


def test_numbers_and_keyword_arguments_stand_in_the_op():
    x = ag.Tensor(np.ones((2, 3)), requires_grad=True)
    picture = diagram(np.sum(2 / x[0, 1:], axis=0))
    titles = [b.lines[0] for b in picture.boxes]
    assert titles[1:] == ["getitem(key=0, 1:)", "divide(2, ·)", "sum(axis=0)"]
    indices = np.array([0, 1])
    titles = [diagram(x[key]).boxes[-1].lines[0] for key in (..., indices, (indices, ..., 0))]
    assert titles == ["getitem(key=...)", "getitem(key=·)", "getitem(key=·, ..., 0)"]


def test_leaves_are_parameters_inputs_and_constants():
    w = ag.Tensor(1.0, requires_grad=True)
    X = np.ones(5)
    with ag.trace() as run:
        np.sum(w * X) * np.array(3.0)
    picture = diagram(run, names={"X": X})
    assert kinds(picture) == {"parameter": 1, "input": 1, "constant": 1, "op": 2, "loss": 1}
    assert [kind for kind, _ in picture.legend_entries()] == [
        *("parameter", "input", "constant", "op", "loss")
    ]
    assert diagram(run, legend=False).legend_entries() == []


def test_there_is_a_text_for_every_kind():
    assert set(KINDS) == {"parameter", "input", "constant", "op", "loss", "module", "error"}


def test_what_raised_is_drawn_with_its_operands():
    V = ag.Tensor(np.ones((4, 2)), requires_grad=True, name="V")
    with pytest.raises(ValueError, match="columns"), ag.trace() as run:
        np.ones((2, 3)) @ (V * 2)
    picture = diagram(run)
    error = picture.boxes[-1]
    assert (error.kind, error.lines[0]) == ("error", "matmul((2, 3), (4, 2)) failed")
    assert "columns" in " ".join(error.lines)
    assert [a.label for a in picture.arrows if a.head == error.id] == ["0", "1"]


@pytest.mark.parametrize("depth", [None, 0, 1])
def test_a_failure_is_drawn_in_the_module_that_it_happened_in(depth):
    rng = np.random.default_rng(0)
    first, last = nn.Linear(4, 2, rng=rng), nn.Linear(3, 2, rng=rng)
    model = nn.Sequential(first, nn.ReLU(), last)
    last_but_one = nn.Linear(4, 4, rng=rng)
    with pytest.raises(ValueError, match="last axis"), ag.trace() as run:
        model(last_but_one(np.ones((5, 4))))
    picture = diagram(run, depth=depth)
    labels = {group.id: (group.label, group.parent) for group in picture.groups}
    error = picture.boxes[-1]
    assert error.kind == "error"
    label, parent = labels[error.group]
    assert (label, labels[parent][0]) == ("2: Linear", "Sequential")
    assert kinds(picture)["module"] == {None: 0, 0: 1, 1: 2}[depth]


# ---- names --------------------------------------------------------------------------------------


def test_names_can_be_given_and_leave_the_run_as_it_is():
    run, variables = network()
    before = {value: value.name for value in run.values}
    picture = diagram(run, names={"hidden": variables["A1"]})
    assert box(picture, "hidden = tanh")
    assert {value: value.name for value in run.values} == before


def test_a_tensors_own_name_comes_before_a_variables():
    w = ag.Tensor(1.0, requires_grad=True, name="own")
    assert diagram(ag.trace(lambda: w * 2), names={"w": w}).boxes[0].lines[0] == "own"


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_come_out_clean(name):
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name=name)
    with ag.trace() as run:
        y = w * w
        np.sum(y).backward()
    run.name({name: y})
    for options in ({}, {"detail": "names", "derivatives": True}, {"phase": "backward"}):
        picture = diagram(run, **options)
        texts = [text for b in picture.boxes for text in (*b.lines, *b.tooltip.split("\n"))]
        for text in [*texts, *(a.label for a in picture.arrows)]:
            assert text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text
            assert all(c.isprintable() for c in text)
            assert len(text) <= 250


# ---- values and gradients -----------------------------------------------------------------------


def test_many_numbers_are_shown_by_norm_and_range():
    x = ag.Tensor(np.arange(5.0), requires_grad=True, name="x")
    lines = diagram(ag.trace(lambda: x * 2)).boxes[0].lines
    assert lines == ["x", "(5,) float64", "norm 5.477, 0 .. 4", "grad: not computed"]


def test_values_can_be_statistics_or_left_out():
    x = ag.Tensor([3.0, 4.0], requires_grad=True, name="x")
    run = ag.trace(lambda: x * 2)
    assert diagram(run).boxes[0].lines[2] == "[3, 4]"
    assert diagram(run, values="stats").boxes[0].lines[2] == "norm 5, 3 .. 4"
    shapes = diagram(run, values="none", gradients=False)
    assert shapes.boxes[0].lines == ["x", "(2,) float64"]


def test_values_of_all_dtypes_are_shown():
    x = ag.Tensor(np.ones(5), requires_grad=True)
    arrays = [np.arange(5) > 2, np.arange(5), np.ones(5, "float32"), np.zeros((0,)), np.ones(2) > 0]
    lines = []
    for array in arrays:
        with ag.trace() as run:
            np.where(array, x, 0) if array.size == 5 else np.sum(x) * array
        lines += [b.lines[1] for b in diagram(run, names={"a": array}).boxes if b.lines[0] == "a"]
        lines += [b.lines[2] for b in diagram(run, names={"a": array}).boxes if b.lines[0] == "a"]
    assert lines == [
        *("(5,) bool", "2 of 5 true", "(5,) int64", "norm 5.477, 0 .. 4"),
        *("(5,) float32", "norm 2.236, all 1", "(0,) float64", "empty"),
        *("(2,) bool", "[True, True]"),
    ]


def test_a_gradient_that_was_not_computed_is_not_zero():
    run, _ = network(backward=False)
    assert box(diagram(run), "W1").lines[-1] == "grad: not computed"
    assert all("grad 0" not in b.lines for b in diagram(run).boxes)


def test_a_parameter_that_the_cost_does_not_depend_on_is_not_reached():
    w, dead = [ag.Tensor(1.0, requires_grad=True, name=name) for name in ("w", "dead")]
    with ag.trace() as run:
        dead * 2
        (w * 2).backward()
    found = box(diagram(run), "dead")
    assert (found.mark, found.lines[-1]) == ("not reached", "grad: not reached")


def test_zero_gradients_and_what_is_no_number_are_marked():
    x = ag.Tensor([-1.0, -2.0], requires_grad=True, name="x")
    with ag.trace() as run:
        np.sum(ag.relu(x)).backward()
    assert box(diagram(run), "x").mark == "zero"
    assert box(diagram(run, gradients=False), "x").mark == ""
    with np.errstate(all="ignore"):
        picture = diagram(ag.trace(lambda: np.log(x * np.ones(5)[:, None])))
    assert picture.boxes[-1].mark == "first nan"
    assert picture.boxes[-1].lines[2] == "10 NaN"


def test_an_empty_gradient_is_not_zero():
    x = ag.Tensor(np.zeros((0, 3)), requires_grad=True, name="x")
    with ag.trace() as run:
        np.sum(x * 2).backward()
    assert box(diagram(run), "x").mark == ""


def not_a_number():
    """A run in which log is infinite, and the derivative of sqrt."""
    a, b = [ag.Tensor([0.0, 4.0], requires_grad=True, name=name) for name in "ab"]
    with np.errstate(all="ignore"), ag.trace() as run:
        np.sum(np.log(a) * 2.0 + np.sqrt(b + 0.0) * 3.0).backward()
    return run


def test_where_nan_begins_is_told_from_where_it_follows():
    marks = {b.lines[0]: b.mark for b in diagram(not_a_number()).boxes}
    assert marks == {
        **{"a": "first nan", "log": "first nan", "multiply(·, 2)": "nan", "b": "nan"},
        **{"add(·, 0)": "first nan", "sqrt": "", "multiply(·, 3)": "", "add": "nan", "sum": "nan"},
    }
    marks = {b.lines[0]: b.mark for b in diagram(not_a_number(), gradients=False).boxes}
    assert [name for name, mark in marks.items() if mark == "first nan"] == ["log"]


def test_an_input_that_is_not_a_number_is_where_it_begins():
    x, w = np.array([np.nan, 1.0]), ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        np.sum(w * x)
    marks = [b.mark for b in diagram(run, names={"x": x}).boxes]
    assert marks == ["", "first nan", "nan", "nan"]


def test_an_overlay_shows_the_size_of_gradients():
    w = ag.Tensor([3e-9, 4e-9], requires_grad=True, name="w")
    dead = ag.Tensor([-1.0], requires_grad=True, name="dead")
    with ag.trace() as run:
        (np.sum((w * 1e9) ** 2) / 1e5 + np.sum(ag.relu(dead))).backward()
    marks = {b.lines[0]: b.mark for b in diagram(run, overlay=True).boxes}
    assert marks["w"] == "size 6"
    assert marks["dead"] == "zero"
    assert marks["square"] == "size 1"
    assert marks["add"] == "size 4"
    backward = {b.lines[0]: b.mark for b in diagram(run, overlay=True, phase="backward").boxes}
    assert backward["dw = multiply(·, 1e+09)"] == "size 6"
    assert all(not b.mark.startswith("size") for b in diagram(run).boxes)


def test_an_overlay_needs_gradients():
    run, _ = network(backward=False)
    for what, options in ((run, {}), (network()[0], {"gradients": False})):
        with pytest.raises(ValueError, match=r"there are none .* call backward\(\)"):
            diagram(what, overlay=True, **options)


def test_a_closed_module_has_the_colour_of_the_largest_gradient_in_it():
    modules = [b for b in diagram(stack(3), depth=0, overlay=True).boxes if b.kind == "module"]
    assert [b.mark for b in modules] == ["size 4"]


def test_the_norm_of_large_numbers_does_not_overflow():
    x = ag.Tensor(1e300 * np.ones(6), requires_grad=True, name="x")
    y = ag.Tensor(1.7e308 * np.ones(6), requires_grad=True, name="y")
    picture = diagram(ag.trace(lambda: x * 0.0 + y))
    assert box(picture, "x").lines[2] == "norm 2.449e+300, all 1e+300"
    assert box(picture, "y").lines[2] == "all 1.7e+308"


def test_the_legend_explains_marks_and_calls_what_is_no_number_an_output():
    x = ag.Tensor([-1.0, -2.0], requires_grad=True, name="x")
    with ag.trace() as run:
        np.sum(ag.relu(x)).backward()
    assert diagram(run).legend_entries()[-1] == ("zero", "the gradient is all zero")
    assert ("loss", "cost") in diagram(run).legend_entries()
    assert ("loss", "output") in diagram(np.tanh(x)).legend_entries()
    assert "the gradient is all zero" in box(diagram(run), "x").tooltip


def test_a_graph_shows_the_gradients_that_its_tensors_hold():
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    loss = np.sum(w * w)
    assert box(diagram(loss, names={"w": w}), "w").lines[-1] == "grad: not computed"
    loss.backward()
    assert box(diagram(loss, names={"w": w}), "w").lines[-1] == "grad [2, 4]"


def test_drawing_changes_nothing_and_keeps_nothing():
    run, variables = network()
    counts = len(run.calls), len(run.values), len(run.pulls)
    arrays = [value.array.tobytes() for value in run.values]
    picture = diagram(run, derivatives=True, phase="both")
    diagram(variables["J"], derivatives=True, phase="both")
    assert counts == (len(run.calls), len(run.values), len(run.pulls))
    assert arrays == [value.array.tobytes() for value in run.values]
    value = weakref.ref(run.values[-1])
    del run, variables, picture
    gc.collect()
    assert value() is None


# ---- detail="names" -----------------------------------------------------------------------------


def test_named_quantities_show_their_formulas():
    picture = diagram(network()[0], detail="names")
    titles = [b.lines[0] for b in picture.boxes]
    assert titles == [
        *("W1", "X", "b1", "Z1 = W1 X + b1", "A1 = tanh(Z1)"),
        *("W2", "A2 = sigmoid(W2 A1)", "Y", "J = sum((A2 - Y)^2) / 5"),
    ]
    assert ("A1 = tanh(Z1)", "A2 = sigmoid(W2 A1)", "") in arrows(picture)


def test_without_names_there_are_only_leaves_and_the_result():
    w = ag.Tensor(2.0, requires_grad=True)
    picture = diagram(np.tanh(w * w) + 1, detail="names")
    assert [b.kind for b in picture.boxes] == ["parameter", "loss"]
    assert len(picture.arrows) == 2


# ---- local derivatives --------------------------------------------------------------------------


def test_arrows_have_local_derivatives_as_formulas_and_numbers():
    found = arrows(diagram(neuron(), derivatives=True))
    assert ("w1", "multiply", "x1 = 0.5") in found
    assert ("w2", "multiply", "x2 = 1.5") in found
    assert ("b", "y = add", "1") in found
    assert ("x1", "multiply", "") in found  # no gradient goes there


def test_local_derivatives_of_arrays_are_formulas():
    found = arrows(diagram(network()[0], derivatives=True))
    assert ("Z1 = add", "A1 = tanh", "1 - A1^2") in found
    assert ("A1 = tanh", "matmul", "W2^T g") in found
    assert ("W1", "matmul", "g X^T") in found


def test_a_local_derivative_by_an_unknown_g_is_no_number():
    w, b = ag.Tensor([[1.0]], requires_grad=True), ag.Tensor([[0.5]], requires_grad=True)
    X, s = np.array([[1.0, 2.0, 3.0]]), ag.Tensor(2.0, requires_grad=True)
    with ag.trace() as run:
        Z = w @ X + b
        A = s * Z
        L = np.sum(A**2)
        L.backward()
    run.name({"w": w, "X": X, "b": b, "Z": Z, "s": s, "A": A})
    found = arrows(diagram(run, derivatives=True))
    assert ("w", "matmul", "g X^T") in found
    assert ("b", "Z = add", "sum(g, axis=1)") in found
    assert ("s", "A = multiply", "sum(g (.) Z)") in found
    assert ("Z = add", "A = multiply", "s = 2") in found


def test_local_derivatives_behind_folded_blocks_speak_of_the_operand():
    found = arrows(diagram(stack(12), derivatives=True))
    assert ("linear", "linear", "g 13.weight") in found
    assert ("13.weight", "linear", "g^T in") in found
    assert ("weight", "linear", "g^T in") in found


def test_a_short_formula_stands_for_what_has_no_name():
    a = ag.Tensor(0.4, requires_grad=True, name="a")
    with ag.trace() as run:
        np.log(1 - a).backward()
    assert diagram(run, derivatives=True).arrows[-1].label == "1 / (1 - a) = 1.667"


def test_local_derivatives_between_names_go_through_what_has_none():
    w, x = ag.Tensor(3.0, requires_grad=True), ag.Tensor(2.0)
    with ag.trace() as run:
        y = (w * x) ** 2
        y.backward()
    run.name({"w": w, "x": x, "y": y})
    (label,) = [a.label for a in diagram(run, detail="names", derivatives=True).arrows[:1]]
    assert label.endswith("= 24")


def test_a_graph_has_local_derivatives_too_and_keeps_its_gradients():
    w = ag.Tensor(3.0, requires_grad=True, name="w")
    y = np.tanh(w) * 2
    picture = diagram(y, derivatives=True)
    assert [a.label for a in picture.arrows] == ["1 - out^2 = 0.009866", "2"]
    assert picture.boxes[0].lines[-1] == "grad: not computed"
    assert w.grad is None


def test_a_run_without_a_backward_pass_has_no_local_derivatives():
    run, _ = network(backward=False)
    with pytest.raises(ValueError, match=r"derivatives=True .* call loss.backward\(\) inside"):
        diagram(run, derivatives=True)
    with pytest.raises(ValueError, match="phase='backward' draws"):
        diagram(run, phase="backward")


# ---- the backward graph -------------------------------------------------------------------------


def test_the_derivative_is_a_graph_of_named_gradients():
    picture = diagram(network()[0], phase="backward", detail="names")
    titles = [b.lines[0] for b in picture.boxes]
    assert "dZ1 = dA1 (.) (1 - A1^2)" in titles
    assert "dW1 = dZ1 X^T" in titles
    assert kinds(picture)["loss"] == 0
    assert box(picture, "dJ").kind == "constant"


def test_both_phases_share_the_values():
    run, _ = network()
    parts = [diagram(run, phase=phase) for phase in ("forward", "backward", "both")]
    forward, backward, both = [sum(b.kind in ("op", "loss") for b in p.boxes) for p in parts]
    assert both == forward + backward


def test_the_graph_of_a_gradient_can_be_drawn():
    W = ag.Tensor([1.0, 2.0], requires_grad=True)
    np.sum(W**3).backward(create_graph=True)
    picture = diagram(W.grad, names={"W": W})
    assert picture.boxes[-1].kind == "loss"
    assert picture.boxes[-1].lines[2] == "[3, 12]"
    assert any(b.lines[0] == "W" for b in picture.boxes)
    total = diagram(np.sum(W.grad), names={"W": W}, derivatives=True)
    assert all(a.label for a in total.arrows if box_of(total, a.tail).lines[0] == "W")


def box_of(picture, identity):
    (found,) = [b for b in picture.boxes if b.id == identity]
    return found


def test_second_derivatives_in_a_run_can_be_drawn():
    w = ag.Tensor(2.0, requires_grad=True, name="w")
    with ag.trace() as run:
        (w**3).backward(create_graph=True)
        w.grad.backward()
    for phase in ("forward", "backward", "both"):
        picture = diagram(run, phase=phase)
        assert all(int(a.tail[1:]) < int(a.head[1:]) for a in picture.arrows)


# ---- groups -------------------------------------------------------------------------------------


def test_modules_are_frames_with_their_parameters_inside():
    picture = diagram(stack(2))
    assert [(g.label, g.parent) for g in picture.groups] == [
        ("model: Sequential", None),
        ("0: Linear", "g0"),
        ("1: Linear", "g0"),
        ("2: Linear", "g0"),
        ("3: Linear", "g0"),
    ]
    assert box(picture, "0.weight").group == "g1"
    assert box(picture, "x").group is None
    assert box(picture, "loss = sum").group is None


def test_identical_blocks_in_a_row_are_folded():
    picture = diagram(stack(12))
    assert [g.label for g in picture.groups] == [
        *("model: Sequential", "0: Linear", "1: Linear  x12", "13: Linear")
    ]
    assert box(picture, "weight").lines == ["weight", "(4, 4) float64"]  # values differ
    assert len(picture.boxes) == 1 + 3 * 3 + 1
    folded_output = next(b for b in picture.boxes if b.group == "g2" and b.kind == "op")
    back, on = [a for a in picture.arrows if a.tail == folded_output.id]
    assert (back.head, back.back, on.back) == (folded_output.id, True, False)
    assert box_of(picture, on.head).group == "g3"


def test_an_arrow_leads_from_the_end_of_a_folded_block_to_its_beginning():
    rng = np.random.default_rng(0)
    blocks = [nn.Sequential(nn.Linear(4, 4, rng=rng), nn.Tanh()) for _ in range(12)]
    run = ag.trace(lambda: np.sum(nn.Sequential(*blocks)(np.ones((5, 4)))))
    titles = {b.id: b.lines[0] for b in diagram(run).boxes}
    back = [(titles[a.tail], titles[a.head]) for a in diagram(run).arrows if a.back]
    assert back == [("tanh", "linear")]
    closed = diagram(run, depth=1)
    (module,) = [b.id for b in closed.boxes if b.kind == "module"]
    assert [(a.tail, a.head) for a in closed.arrows if a.back] == [(module, module)]
    for options in ({"depth": 0}, {"fold": False}):
        assert not any(a.back for a in diagram(run, **options).arrows)


def test_folding_can_be_turned_off():
    assert len(diagram(stack(12), fold=False).groups) == 15


def test_two_alike_are_not_folded():
    assert not any("x2" in g.label for g in diagram(stack(2)).groups)


def test_blocks_whose_results_somebody_else_uses_are_not_folded():
    rng = np.random.default_rng(0)
    layers = nn.Sequential(*[nn.Linear(4, 4, rng=rng) for _ in range(6)])

    class Skipping(nn.Module):
        def __init__(self):
            self.layers = layers

        def forward(self, x):
            seen = []
            for layer in self.layers:
                x = layer(x)
                seen.append(x)
            return x + seen[2]

    with ag.trace() as run:
        np.sum(Skipping()(np.ones((2, 4)))).backward()
    labels = [g.label for g in diagram(run).groups]
    assert labels == ["Skipping", "layers.0: Linear  x3", "layers.3: Linear  x3"]


def test_blocks_with_named_results_or_marks_are_not_folded_away():
    rng = np.random.default_rng(0)
    layers = [nn.Linear(4, 4, rng=rng) for _ in range(4)]
    x = ag.Tensor(np.ones((2, 4)), requires_grad=True)
    with ag.trace() as run:
        first = layers[0](x)
        second = layers[1](first)
        last = layers[3](layers[2](second))
    picture = diagram(run, names={"second": second, "last": last})
    assert len(picture.groups) == 4
    picture = diagram(run, names={"last": last})
    assert [g.label for g in picture.groups] == ["Linear  x4"]
    assert picture.boxes[-1].lines[0] == "last = linear"


def test_depth_closes_modules():
    everything = diagram(stack(12), depth=0)
    assert [b.kind for b in everything.boxes] == ["input", "module", "loss"]
    assert everything.boxes[1].lines == ["model: Sequential", "266 parameters", "(5, 2) float64"]
    layers = diagram(stack(12), depth=1)
    assert [b.lines[0] for b in layers.boxes if b.kind == "module"] == [
        *("0: Linear", "1: Linear  x12", "13: Linear")
    ]
    assert [g.label for g in layers.groups] == ["model: Sequential"]
    assert box(layers, "1: Linear  x12").lines[1] == "each 20 parameters"
    run = stack(12)
    assert diagram(run, depth=2) == diagram(run)


def test_all_parameters_of_a_folded_model_are_counted():
    assert diagram(stack(12), depth=0, fold=False).boxes[1].lines[1] == "266 parameters"
    assert diagram(stack(12), depth=0).boxes[1].lines[1] == "266 parameters"


def test_parameters_that_blocks_share_are_counted_once():
    rng = np.random.default_rng(0)
    tied = nn.Sequential(nn.Linear(4, 4, rng=rng), nn.ReLU())
    with ag.trace() as run:
        x = np.ones((2, 4))
        for _ in range(4):
            x = tied(x)
        np.sum(x).backward()
    (module,) = [b for b in diagram(run, depth=0).boxes if b.kind == "module"]
    assert module.lines[:2] == ["Sequential  x4", "20 parameters"]
    backward = [b for b in diagram(run, depth=0, phase="backward").boxes if b.kind == "module"]
    assert {b.lines[1] for b in backward} == {"20 parameters"}


def test_every_call_of_a_model_says_all_of_its_parameters():
    model = nn.Sequential(nn.Linear(4, 4, rng=np.random.default_rng(0)), nn.ReLU())
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)
    with ag.trace() as run:
        for _ in range(2):
            optimizer.zero_grad()
            np.sum(model(np.ones((2, 4)))).backward()
            optimizer.step()
    modules = [b for b in diagram(run, depth=0).boxes if b.kind == "module"]
    assert [b.lines[1] for b in modules] == ["20 parameters"] * 2


def test_frozen_parameters_are_parameters_that_are_not_trained():
    layer = nn.Linear(4, 2, rng=np.random.default_rng(0))
    layer.weight.requires_grad = False
    with ag.trace() as run:
        np.sum(layer(np.ones((3, 4)))).backward()
    weight = box(diagram(run), "weight")
    assert (weight.kind, weight.lines[-1], weight.mark) == ("parameter", "not trained", "")
    module = diagram(run, depth=0).boxes[1]
    assert module.lines[:3] == ["Linear", "2 parameters", "8 not trained"]
    assert box(diagram(run, groups=False), "weight").kind == "parameter"


def test_the_derivative_of_identical_blocks_is_folded_too():
    rng = np.random.default_rng(0)
    blocks = [nn.Sequential(nn.Linear(4, 4, rng=rng), nn.Tanh()) for _ in range(12)]
    model = nn.Sequential(*blocks)
    with ag.trace() as run:
        loss = np.sum(model(np.ones((5, 4))))
        loss.backward()
    picture = diagram(run, phase="backward")
    assert [g.label for g in picture.groups if "x1" in g.label] == ["11: Sequential, backward  x11"]
    assert len(picture.boxes) < 30
    assert box(picture, "d(weight) = matmul").lines == ["d(weight) = matmul", "(4, 4) float64"]
    assert all(int(a.tail[1:]) < int(a.head[1:]) for a in picture.arrows if not a.back)


def test_groups_can_be_left_out():
    picture = diagram(stack(12), groups=False)
    assert picture.groups == []
    assert len(picture.boxes) == 1 + 14 * 3 + 1


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
def test_closed_modules_are_in_topological_order(phase, depth):
    picture = diagram(stack(3), phase=phase, depth=depth, fold=False)
    assert all(int(a.tail[1:]) < int(a.head[1:]) for a in picture.arrows)
    assert any(b.kind == "module" for b in picture.boxes)


def test_a_module_that_would_make_a_circle_stays_open():
    layer = nn.Linear(1, 1, rng=np.random.default_rng(0))
    x = ag.Tensor([[2.0]], requires_grad=True, name="x")
    with ag.trace() as run:
        y = np.sum(layer(x) ** 3)
        y.backward(create_graph=True)
        np.sum(x.grad**2).backward()
    picture = diagram(run, phase="both", depth=0)
    assert all(int(a.tail[1:]) < int(a.head[1:]) for a in picture.arrows)


def test_the_sum_of_shares_belongs_to_the_module_that_made_the_quantity():
    class Recurrent(nn.Module):
        def __init__(self):
            self.cell = nn.Linear(2, 2, rng=np.random.default_rng(0))

        def forward(self, x):
            states = [x]
            for _ in range(3):
                states.append(np.tanh(self.cell(states[-1])))
            return states[1:]

    with ag.trace() as run:
        a, b, c = Recurrent()(ag.Tensor(np.ones((1, 2)), requires_grad=True))
        np.sum(a * b + c).backward()
    picture = diagram(run, phase="backward", depth=0)
    modules = [b for b in picture.boxes if b.kind == "module"]
    assert [b.lines[0] for b in modules] == ["Recurrent, backward"]


def test_a_closed_module_shows_the_worst_mark_inside():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(2, 2, rng=rng), nn.ReLU())
    with ag.trace() as run:
        np.sum(model(np.full((1, 2), np.nan))).backward()
    assert next(b for b in diagram(run, depth=0).boxes if b.kind == "module").mark == "nan"


# ---- reports ------------------------------------------------------------------------------------


def compared():
    W = ag.Tensor(np.ones((2, 2)), requires_grad=True)
    X = np.array([[0.1, 0.2], [0.3, 0.4]])
    Z = W @ X
    A = np.tanh(Z)
    L = np.sum(A * A)
    dA = 3 * A.data + 1
    dZ = dA * (1 - A.data**2)
    variables = {"W": W, "X": X, "Z": Z, "A": A, "L": L}
    report = ag.compare(L, {"dA": dA, "dZ": dZ, "dW": 2 * L.data * dZ @ X.T}, variables)
    return L, report, variables


@pytest.mark.parametrize("named", [True, False])
def test_wrong_lines_of_a_report_are_marked_with_names_or_without(named):
    L, report, variables = compared()
    picture = diagram(L, report=report, names=variables if named else None)
    marks = {b.lines[0].split(" ")[-1]: b.mark for b in picture.boxes if b.mark}
    assert marks["tanh"] == "wrong"
    assert marks["matmul"] == "follows"


def test_a_report_about_something_else_is_refused():
    _, report, _ = compared()
    with pytest.raises(ValueError, match="other quantities than this picture: dA, dZ, dW"):
        diagram(network()[0], report=report)


# ---- size ---------------------------------------------------------------------------------------


def test_too_many_boxes_are_refused_with_counts_and_options():
    x = ag.Tensor(1.0, requires_grad=True, name="x")
    y = x
    for _ in range(11_168):
        y = y * 1.0001
    with pytest.raises(ValueError, match="11,169 boxes") as error:
        diagram(y)
    for text in ("max_nodes=2,000", "depth=", 'detail="names" draws the 2', "max_nodes=None"):
        assert text in str(error.value)


@pytest.mark.slow
def test_a_chain_of_fifty_thousand_ops_does_not_recurse():
    x = ag.Tensor(1.0, requires_grad=True, name="x")
    y = x
    for _ in range(25_000):
        y = -(y * 1.0)
    assert len(diagram(y, max_nodes=None).boxes) == 50_001
    names = diagram(y, detail="names")
    assert [b.kind for b in names.boxes] == ["parameter", "loss"]


def test_crowded_pictures_close_the_innermost_modules_first():
    rng = np.random.default_rng(0)

    def block():
        return nn.Sequential(nn.Linear(2, 2, rng=rng), nn.Tanh())

    parts = [nn.Sequential(*[block() for _ in range(12)]) for _ in range(10)]
    x = ag.Tensor(np.ones((1, 2)), requires_grad=True)
    run = ag.trace(lambda: np.sum(nn.Sequential(*parts)(x)))
    picture = diagram(run, fold=False)
    assert kinds(picture)["module"] == 10 * 12 * 2
    assert kinds(diagram(run, fold=False, max_nodes=100))["module"] == 10
    assert "module" not in kinds(diagram(run, fold=False, max_nodes=None))
    with pytest.raises(ValueError, match="depth=0 draws each module as one box, 3 in all"):
        diagram(run, fold=False, max_nodes=100, depth=3)


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "choice"),
    [
        ("values", "all"),
        ("detail", "all"),
        ("phase", "sideways"),
        ("direction", "RL"),
        ("theme", "pink"),
    ],
)
def test_options_are_checked(option, choice):
    with pytest.raises(ValueError, match=f"{option} is one of '.*', not '{choice}'"):
        diagram(neuron(), **{option: choice})


def test_depth_needs_groups():
    for options in ({"depth": -1}, {"depth": 1, "groups": False}):
        with pytest.raises(ValueError, match="depth is the number of levels"):
            diagram(neuron(), **options)


def test_what_is_no_computation_is_refused():
    with pytest.raises(TypeError, match="takes a run or a Tensor, not float"):
        diagram(1.0)
    with pytest.raises(ValueError, match="nothing to draw"):
        diagram(ag.Trace())
    with pytest.raises(RuntimeError, match="no history"):
        diagram(ag.Tensor(1.0))
    with pytest.raises(ValueError, match="nothing to draw"):
        diagram(ag.Tensor(1.0, requires_grad=True))


@pytest.mark.parametrize(
    ("option", "choice"),
    [
        *[("depth", x) for x in ("1", 1.5, True)],
        *[("max_nodes", x) for x in ("2000", 1e3)],
        *[("names", x) for x in (["a"], "a")],
        *[("report", x) for x in (3, "wrong")],
    ],
)
def test_types_of_options_are_checked(option, choice):
    with pytest.raises(TypeError, match=rf"^{option} (is|maps)"):
        diagram(neuron(), **{option: choice})


# ---- what a graph did not keep ------------------------------------------------------------------


def test_constants_that_a_graph_did_not_keep_are_not_made_up():
    w = ag.Tensor(3.0, requires_grad=True, name="w")
    picture = diagram((w * 2.0 + 1.0 - 5.0) ** 2)
    assert [b.lines for b in picture.boxes] == [
        ["w", "float64", "3", "grad: not computed"],
        ["multiply(·, 2)", "float64", "6"],
        ["not kept"],
        ["add", "float64", "value not kept"],
        ["not kept"],
        ["subtract", "float64", "2"],
        ["square", "float64", "4"],
    ]
    assert kinds(picture)["constant"] == 2
    assert "ag.trace()" in picture.boxes[2].tooltip
    assert "shape" not in picture.boxes[2].tooltip


def test_what_a_graph_did_not_keep_is_a_question_mark_in_formulas():
    x = ag.Tensor(3.0, requires_grad=True, name="x")
    picture = diagram((x + 1.0 - 2.0) * x, detail="names", derivatives=True)
    assert picture.boxes[-1].lines == ["(x + ? - ?) x", "float64", "6"]
    assert {a.label for a in picture.arrows} == {"x = 3", "x + ? - ? = 2"}


def test_inputs_that_a_graph_did_not_keep_have_no_values():
    w, Y, Z = ag.Tensor(np.ones(3), requires_grad=True), np.arange(3.0), np.arange(3.0) + 5
    picture = diagram((w + Y + Z).sum(), names={"Y": Y, "Z": Z, "w": w})
    assert [b.lines[0] for b in picture.boxes] == [
        *("w", "not kept", "add", "not kept", "add", "sum")
    ]


@pytest.mark.parametrize("by", ["data", "SGD"])
def test_a_parameter_that_was_updated_since_is_told_from_the_one_that_was_used(by):
    w = ag.Tensor(3.0, requires_grad=True, name="w")
    loss = w * 2.0 + 1.0
    loss.backward()
    if by == "SGD":
        ag.optim.SGD([w], lr=0.1).step()
    else:
        w.data -= 0.1 * w.grad.data
    picture = diagram(loss)
    assert [b.lines[2:] for b in picture.boxes if b.kind != "constant"] == [
        ["changed since", "grad 2"],
        ["value not kept"],
        ["7"],
    ]
    assert "record the run by ag.trace()" in picture.boxes[0].tooltip
    assert diagram(loss, detail="names").boxes[-1].lines[0] == "2 w + ?"


def test_parameters_of_a_function_that_has_ended_are_not_kept():
    def cost():
        w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
        return np.sum(w * 3.0)

    lines = diagram(cost()).boxes[0].lines
    assert lines == ["(2,) float64", "value not kept", "grad: not computed"]
    z = ag.Tensor(1.0, requires_grad=True)
    for _ in range(3):
        z = np.tanh(z)
    assert [b.lines[-1] for b in diagram(z).boxes[1:]] == ["0.7616", "0.642", "0.5663"]


def test_what_a_graph_did_not_keep_has_no_marks():
    x = ag.Tensor([0.0, 1.0], requires_grad=True, name="x")
    with np.errstate(divide="ignore"):
        y = np.log(x) + 1.0
    x.data = [1.0, 2.0]
    assert [b.mark for b in diagram(y).boxes] == ["", "", "", "nan"]
