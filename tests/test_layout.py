"""The built-in layout: where boxes, arrows and frames go."""

from __future__ import annotations

import random
import sys
from itertools import combinations, pairwise

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import recorded

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.draw.diagram import Arrow, Box, Diagram, Group, diagram
from autograd_mini.draw.layout import WIDEST, Plan, laid_out
from autograd_mini.draw.level import Level, Link, Node
from autograd_mini.draw.themes import text_width

KINDS = ("op", "op", "op", "parameter", "input", "constant", "loss", "module", "error")


# ---- real diagrams ------------------------------------------------------------------------------


def parameter(*shape, seed=0):
    return ag.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def neuron():
    w1, w2, b = (ag.Tensor(v, requires_grad=True) for v in (2.0, -3.0, 1.0))
    x1, x2 = ag.Tensor(0.5), ag.Tensor(1.5)
    with ag.trace() as run:
        y = np.tanh(w1 * x1 + w2 * x2 + b)
        y.backward()
    return run.name({"w1": w1, "w2": w2, "b": b, "x1": x1, "x2": x2, "y": y})


def one_hidden_layer():
    return recorded(networks.one_hidden_layer, sizes=(2, 4, 1), m=400)


def square_by_hand():
    a = ag.Tensor(3.0, requires_grad=True, name="a")
    with ag.trace() as run:
        (a * a + a).backward()
    return run


def classifier():
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(64, 32, rng=rng), nn.ReLU(), nn.Linear(32, 16, rng=rng), nn.ReLU(),
        nn.Linear(16, 10, rng=rng),
    )  # fmt: skip
    x, labels = rng.normal(size=(8, 64)), rng.integers(0, 10, 8)
    with ag.trace() as run:
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
    return run.name({"x": x, "labels": labels, "loss": loss, "model": model})


class Residual(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.first = nn.Linear(6, 6, rng=rng)
        self.second = nn.Linear(6, 6, rng=rng)

    def forward(self, x):
        return x + self.second(np.tanh(self.first(x)))


def residual_network():
    rng = np.random.default_rng(0)
    model = nn.Sequential(Residual(rng), Residual(rng), nn.Linear(6, 1, rng=rng))
    x = rng.normal(size=(5, 6))
    with ag.trace() as run:
        loss = np.mean(np.square(model(x)))
        loss.backward()
    return run.name({"x": x, "loss": loss, "model": model})


def recurrent():
    W, U, b, h = parameter(3, 2), parameter(3, 3), parameter(3, 1), np.zeros((3, 1))
    run = ag.trace()
    with run:
        state = h
        for step in range(5):
            x = np.full((2, 1), float(step))
            state = np.tanh(W @ x + U @ state + b)
            run.name({f"x{step}": x, f"h{step + 1}": state})
        loss = np.sum(state**2)
        loss.backward()
    return run.name({"W": W, "U": U, "b": b, "h0": h, "loss": loss})


def normalised():
    x, gamma, beta = parameter(16, 4), parameter(4), parameter(4)
    with ag.trace() as run:
        mean = np.mean(x, axis=0)
        centred = x - mean
        variance = np.mean(centred**2, axis=0)
        y = gamma * centred / np.sqrt(variance + 1e-5) + beta
        loss = np.sum(y * y)
        loss.backward()
    return run.name(locals())


def attention():
    x, Wq, Wk, Wv = (parameter(*shape) for shape in ((4, 6), (6, 3), (6, 3), (6, 3)))
    with ag.trace() as run:
        q, k, v = x @ Wq, x @ Wk, x @ Wv
        scores = q @ k.T / np.sqrt(3.0)
        weights = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
        loss = np.sum(weights @ v)
        loss.backward()
    return run.name(locals())


def convolutional():
    rng = np.random.default_rng(0)
    images, kernel, bias = rng.normal(size=(2, 1, 8, 8)), parameter(3, 1, 3, 3), parameter(3)
    with ag.trace() as run:
        maps = np.maximum(nn.functional.conv2d(images, kernel, bias), 0)
        loss = np.mean(nn.functional.max_pool2d(maps, 2))
        loss.backward()
    return run.name(locals())


PICTURES = {
    "neuron": (neuron, {}),
    "neuron with derivatives": (neuron, {"derivatives": True}),
    "a square": (square_by_hand, {}),
    "one hidden layer": (one_hidden_layer, {}),
    "one hidden layer by names": (one_hidden_layer, {"detail": "names"}),
    "one hidden layer with derivatives": (one_hidden_layer, {"derivatives": True}),
    "one hidden layer, backward": (one_hidden_layer, {"phase": "backward"}),
    "one hidden layer, both": (one_hidden_layer, {"phase": "both"}),
    "classifier": (classifier, {}),
    "classifier, closed": (classifier, {"depth": 1}),
    "classifier, both": (classifier, {"phase": "both"}),
    "classifier, backward": (classifier, {"phase": "backward"}),
    "residual network": (residual_network, {}),
    "residual network, both": (residual_network, {"phase": "both"}),
    "recurrent": (recurrent, {}),
    "normalised": (normalised, {}),
    "attention": (attention, {}),
    "convolutional": (convolutional, {}),
}


def picture(name, direction="TB", **options):
    program, own = PICTURES[name]
    return diagram(program(), direction=direction, **own, **options)


# ---- diagrams without a run ---------------------------------------------------------------------


def plain(count, arrows, direction="TB", groups=(), inside=(), label=""):
    """Boxes by number; arrows as pairs; groups as parents; the group of each box."""
    inside = [*inside, *[None] * (count - len(inside))]
    boxes = [Box(f"n{i}", "op", [f"op {i}"], "", "", inside[i], None) for i in range(count)]
    frames = [Group(f"g{i}", f"group {i}", parent) for i, parent in enumerate(groups)]
    return Diagram(
        boxes, [Arrow(f"n{a}", f"n{b}", label) for a, b in arrows], frames, direction, "light", True
    )


def at_random(seed, direction, backward=0.0):
    """Boxes of all kinds, arrows with and without labels, nested groups; some arrows go back."""
    draw = random.Random(seed)
    count = draw.randrange(1, 40)
    groups: list[Group] = []
    for i in range(draw.randrange(6)):
        parent = draw.choice([None, *(group.id for group in groups)])
        groups.append(Group(f"g{i}", draw.choice(["", f"{i}: Module({i})"]), parent))
    boxes = []
    for i in range(count):
        lines = [f"op {i}", *["(3, 4) float64"] * draw.randrange(3)]
        group = draw.choice([None, *(group.id for group in groups)])
        boxes.append(Box(f"n{i}", draw.choice(KINDS), lines, "", "", group, None))
    arrows = []
    for i in range(1, count):
        for _ in range(draw.randrange(3)):
            tail, head = draw.randrange(max(0, i - 12), i), i
            if draw.random() < backward:
                tail, head = head, draw.choice([tail, head])
            label = draw.choice(["", "", "0", "x2 = 0.125"])
            arrows += [Arrow(f"n{tail}", f"n{head}", label)] * draw.choice([1, 1, 1, 2])
    return Diagram(boxes, arrows, groups, direction, "light", draw.random() < 0.5)


# ---- what holds for every layout ----------------------------------------------------------------


def overlap(one, other, by=0.0):
    """Whether two rectangles have more in common than a border."""
    return (
        one.x + one.width > other.x + by
        and other.x + other.width > one.x + by
        and one.y + one.height > other.y + by
        and other.y + other.height > one.y + by
    )


def holds(outer, inner):
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def crosses(one, other, rect):
    """Whether a straight line runs through the inside of a rectangle (Liang and Barsky, 1984)."""
    first, last = 0.0, 1.0
    for start, step, low, high in (
        (one[0], other[0] - one[0], rect.x + 0.1, rect.x + rect.width - 0.1),
        (one[1], other[1] - one[1], rect.y + 0.1, rect.y + rect.height - 0.1),
    ):
        if step == 0:
            if not low < start < high:
                return False
            continue
        enters, leaves = sorted(((low - start) / step, (high - start) / step))
        first, last = max(first, enters), min(last, leaves)
    return first < last


def smooth(one, other, direction):
    """Points of the curve that is drawn for a slanted piece of an arrow."""
    if one[0] == other[0] or one[1] == other[1]:
        return [one, other]
    middle = [(a + b) / 2 for a, b in zip(one, other, strict=True)]
    if direction == "TB":
        controls = [one, (one[0], middle[1]), (other[0], middle[1]), other]
    else:
        controls = [one, (middle[0], one[1]), (middle[0], other[1]), other]
    curve = []
    for t in (i / 16 for i in range(17)):
        shares = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        curve.append(
            tuple(
                sum(s * c[axis] for s, c in zip(shares, controls, strict=True)) for axis in (0, 1)
            )
        )
    return curve


def on_border(point, rect):
    x, y = point
    inside = rect.x - 0.1 <= x <= rect.x + rect.width + 0.1
    inside &= rect.y - 0.1 <= y <= rect.y + rect.height + 0.1
    distances = x - rect.x, rect.x + rect.width - x, y - rect.y, rect.y + rect.height - y
    return inside and min(map(abs, distances)) < 0.1


def groups_around(diagram, group):
    parents = {group.id: group.parent for group in diagram.groups}
    while group is not None:
        yield group
        group = parents[group]


def check(diagram):
    """Everything that a layout promises."""
    layout = laid_out(diagram)
    assert [*layout.boxes] == [box.id for box in diagram.boxes]
    page = [*layout.boxes.values(), *layout.groups.values(), *layout.titles.values()]
    page += [*layout.labels.values(), *(rect for _, _, rect in layout.legend)]
    for rect in page:
        assert rect.x >= 0
        assert rect.y >= 0
        assert rect.x + rect.width <= layout.width
        assert rect.y + rect.height <= layout.height

    for one, other in combinations(layout.boxes.values(), 2):
        assert not overlap(one, other)
    for one, other in combinations(layout.labels.values(), 2):
        assert not overlap(one, other, 0.1)
    for text in (*layout.labels.values(), *layout.titles.values()):
        assert not any(overlap(text, box, 0.1) for box in layout.boxes.values())

    members: dict[str, set[str]] = {}
    for box in diagram.boxes:
        for group in groups_around(diagram, box.group):
            members.setdefault(group, set()).add(box.id)
    assert layout.groups.keys() == members.keys()
    for group, frame in layout.groups.items():
        for name, rect in layout.boxes.items():
            assert holds(frame, rect) if name in members[group] else not overlap(frame, rect)
        for other, inner in layout.groups.items():
            if group in list(groups_around(diagram, other))[1:]:
                assert holds(frame, inner)
            elif other not in groups_around(diagram, group):
                assert not overlap(frame, inner)

    assert len(layout.arrows) == len(diagram.arrows)
    for arrow, corners in zip(diagram.arrows, layout.arrows, strict=True):
        assert on_border(corners[0], layout.boxes[arrow.tail])
        assert on_border(corners[-1], layout.boxes[arrow.head])
        pieces = [
            piece for ends in pairwise(corners) for piece in [smooth(*ends, layout.direction)]
        ]
        for piece in (straight for curve in pieces for straight in pairwise(curve)):
            for rect in layout.boxes.values():
                assert not crosses(*piece, rect)
            for group, title in layout.titles.items():
                assert group not in layout.groups or not crosses(*piece, title)
    routes = [(a.tail, a.head, *c) for a, c in zip(diagram.arrows, layout.arrows, strict=True)]
    assert len({*routes}) == len(routes)  # several arrows between two boxes are seen as several
    return layout


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_real_picture_has_no_overlaps_and_frames_hold_their_boxes(name, direction):
    check(picture(name, direction))


@given(st.integers(0, 10**9), st.sampled_from(["LR", "TB"]), st.sampled_from([0.0, 0.0, 0.2]))
@settings(deadline=None, max_examples=60)
def test_any_picture_has_no_overlaps_and_frames_hold_their_boxes(seed, direction, backward):
    check(at_random(seed, direction, backward))


# ---- single properties --------------------------------------------------------------------------


def test_arrows_go_the_way_of_the_direction():
    along = {"LR": lambda rect: rect.x, "TB": lambda rect: rect.y}
    for direction, coordinate in along.items():
        boxes = check(plain(4, [(0, 1), (1, 2), (0, 2), (2, 3)], direction)).boxes
        places = [coordinate(boxes[f"n{i}"]) for i in range(4)]
        assert places == sorted(places)
        assert len({*places}) == 4


def test_auto_is_from_left_to_right_as_long_as_that_fits():
    short = plain(3, [(0, 1), (1, 2)], "auto")
    long = plain(60, [(i, i + 1) for i in range(59)], "auto")
    assert check(short).direction == "LR"
    assert check(long).direction == "TB"
    assert Plan(long, "LR").least_length() > WIDEST  # so that it need not be laid out for that


@given(st.integers(0, 10**9), st.sampled_from(["LR", "TB"]), st.sampled_from([0.0, 0.2]))
@settings(deadline=None, max_examples=30)
def test_a_picture_is_no_shorter_than_its_boxes_one_after_the_other(seed, direction, backward):
    plan = Plan(at_random(seed, direction, backward), direction)
    least, layout = plan.least_length(), plan.layout()
    assert 0 < least <= (layout.width if direction == "LR" else layout.height)


def test_a_chain_is_one_straight_line():
    layout = check(plain(30, [(i, i + 1) for i in range(29)]))
    assert {x for arrow in layout.arrows for x, _ in arrow} == {layout.arrows[0][0][0]}


def test_a_leaf_is_in_the_rank_before_its_consumer():
    layout = check(plain(6, [(0, 1), (1, 2), (2, 3), (5, 3), (3, 4)]))
    assert layout.boxes["n5"].y == layout.boxes["n2"].y


def test_what_is_made_of_leaves_only_is_near_its_consumer():
    chain = [(i, i + 1) for i in range(2, 8)]
    layout = check(plain(10, [*chain, (0, 9), (1, 9), (9, 8), (0, 3)]))
    assert layout.boxes["n9"].y == layout.boxes["n7"].y


def test_operands_stand_in_their_order():
    boxes = check(plain(4, [(0, 3), (1, 3), (2, 3)])).boxes
    assert boxes["n0"].x < boxes["n1"].x < boxes["n2"].x


def test_two_uses_of_a_value_by_one_call_are_two_arrows():
    layout = check(plain(2, [(0, 1), (0, 1)], label="0"))
    one, other = (arrow[-1][0] for arrow in layout.arrows)
    assert abs(one - other) >= 8


def test_a_box_is_wide_enough_for_all_its_arrows():
    layout = check(plain(41, [(i, 40) for i in range(40)], label="d"))
    heads = sorted(arrow[-1][0] for arrow in layout.arrows)
    assert min(b - a for a, b in pairwise(heads)) >= 8


def test_arrows_of_one_value_share_their_way():
    arrows = [(i, i + 1) for i in range(1, 11)] + [(0, i) for i in range(2, 11)]
    layout = check(plain(12, arrows))
    assert len({arrow[1] for arrow in layout.arrows[10:]}) <= 2


def mirrored(count, **options):
    """A chain there and back: the first box is used by the last, and so on."""
    last = 2 * count - 1
    arrows = [(i, i + 1) for i in range(last)] + [(i, last - i) for i in range(count - 1)]
    return plain(2 * count, arrows, **options)


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_where_many_arrows_are_long_they_go_around_the_boxes(direction):
    layout = check(mirrored(90, direction=direction))
    along = 0 if direction == "LR" else 1
    aside = max(r.y + r.height if along == 0 else r.x + r.width for r in layout.boxes.values())
    for arrow in layout.arrows[179:-10]:
        assert len(arrow) <= 6
        assert max(corner[1 - along] for corner in arrow) > aside


def test_arrows_go_around_the_boxes_of_their_group_only():
    inside = [*["g0"] * 178, None, None]
    check(mirrored(90, groups=(None,), inside=inside))


@given(st.integers(0, 10**9), st.sampled_from(["LR", "TB"]), st.sampled_from([0.0, 0.2]))
@settings(deadline=None, max_examples=40)
def test_arrows_around_the_boxes_cross_none_and_nothing_overlaps(seed, direction, backward):
    with pytest.MonkeyPatch.context() as patch:
        level = sys.modules[Level.__module__]  # `ag.draw` is the function, not its package
        patch.setattr(level, "MANY", -1)
        patch.setattr(level, "MANY_PER_UNIT", -1)
        check(at_random(seed, direction, backward))


def test_a_value_has_one_bend_in_each_rank_however_many_use_it():
    chain = [Node(across=20.0, along=20.0) for _ in range(400)]
    leaf = Node(across=20.0, along=20.0)
    links = [Link(a, b, (i, 0, False)) for i, (a, b) in enumerate(pairwise(chain))]
    links += [Link(leaf, node, (-1, 0, False)) for node in chain[1:]]
    level = Level([leaf, *chain], [], links)
    level.arrange()
    assert len({id(link.run) for link in links if link.run}) == 1
    assert len(level.segments) < 3 * len(chain)


def test_arrows_may_go_back_and_from_a_box_to_itself():
    for direction in ("LR", "TB"):
        diagram = plain(3, [(0, 1), (1, 2), (2, 0), (1, 1), (1, 1)], direction, label="x12")
        layout = check(diagram)
        assert layout.arrows[3] != layout.arrows[4]


def test_groups_that_lead_to_each_other_stay_apart():
    inside = ["g0", "g1", "g0", "g1", "g2", None]
    arrows = [(0, 1), (1, 2), (2, 3), (0, 2), (3, 4), (4, 5), (2, 5)]
    for direction in ("LR", "TB"):
        check(plain(6, arrows, direction, groups=(None, None, "g1"), inside=inside))


def test_a_title_has_room_beside_the_arrows_that_come_in():
    diagram = plain(3, [(0, 1), (1, 2)], groups=(None,), inside=[None, "g0"])
    for label in ("g", "a very long title of a very small group"):
        diagram.groups[0].label = label
        layout = check(diagram)
        title, frame = layout.titles["g0"], layout.groups["g0"]
        assert holds(frame, title)
        assert title.width == pytest.approx(text_width(label, 12.0), abs=0.01)


def test_parts_that_are_not_connected_stand_beside_each_other():
    arrows = [(3 * i + j, 3 * i + j + 1) for i in range(20) for j in range(2)]
    layout = check(plain(60, arrows))
    assert 0.3 < layout.width / layout.height < 5


def test_an_empty_group_has_no_frame_and_an_empty_diagram_a_small_page():
    assert check(plain(1, [], groups=(None,))).groups == {}
    layout = check(plain(0, []))
    assert 0 < layout.width < 100


def test_the_legend_stands_below_everything():
    diagram = picture("neuron", "LR")
    layout = check(diagram)
    assert [(kind, text) for kind, text, _ in layout.legend] == diagram.legend_entries()
    bottom = max(rect.y + rect.height for rect in layout.boxes.values())
    assert all(rect.y > bottom for _, _, rect in layout.legend)
    assert not laid_out(picture("neuron", "LR", legend=False)).legend


def test_a_picture_of_two_thousand_boxes_needs_no_recursion():
    for arrows in (
        [(i, i + 1) for i in range(1999)],
        [(i, 1999) for i in range(1999)],
        [(i, i + 1) for i in range(1, 1998)] + [(0, i) for i in range(2, 1999)],
        [(i, i + 1) for i in range(1, 1998)] + [(i, 1999) for i in range(2, 1998, 4)],
    ):
        layout = laid_out(plain(2000, arrows))
        assert len(layout.arrows) == len(arrows)


def test_groups_may_be_nested_deeper_than_python_recurses():
    parents = [None, *(f"g{i}" for i in range(1199))]
    layout = laid_out(plain(2, [(0, 1)], groups=parents, inside=["g1199", None]))
    assert len(layout.groups) == 1200


def test_few_arrows_cross():
    """Two rows of ten, joined one to one in a shuffled order: none has to cross."""
    draw = random.Random(0)
    targets = draw.sample(range(10, 20), 10)
    nodes = [Node(across=20.0, along=20.0) for _ in range(20)]
    links = [Link(nodes[i], nodes[j], (i, 0, False)) for i, j in enumerate(targets)]
    level = Level(nodes, [], links)
    level.arrange()
    level.join(across=False)
    assert level.crossings() == 0


@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=20)
def test_the_same_diagram_gives_the_same_layout(seed):
    assert laid_out(at_random(seed, "TB", 0.2)) == laid_out(at_random(seed, "TB", 0.2))


def test_texts_are_measured_in_helvetica():
    assert text_width("Will", 100.0) == pytest.approx(94.4 + 22.2 * 3)
    assert text_width("W", 100.0, bold=True) > text_width("W", 100.0)
    assert text_width("漢字", 100.0) == 200
    assert text_width("", 100.0) == 0
