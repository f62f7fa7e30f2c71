"""The built-in back end: a laid-out diagram as SVG."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hostile import NAMES

from autograd_mini.draw.diagram import KINDS, Arrow, Box, Diagram, Group
from autograd_mini.draw.grouping import MARKS
from autograd_mini.draw.layout import laid_out
from autograd_mini.draw.svg import svg_of
from autograd_mini.draw.themes import SHAPE, THEMES, text_width
from autograd_mini.text import clean

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [clean(name) for name in NAMES]


def every_kind(direction="LR", theme="light", legend=True):
    """One box of each kind in a row, with tooltips, in a group but for the last."""
    boxes = [
        Box(f"n{i}", kind, [kind, "(3, 4)"], f"about {kind}", "", "g0", None)
        for i, kind in enumerate(KINDS)
    ]
    boxes[-1].group = None
    arrows = [Arrow(f"n{i}", f"n{i + 1}", str(i)) for i in range(len(boxes) - 1)]
    arrows += [Arrow("n0", "n3", "x = 2"), Arrow("n2", "n2", "again")]
    return Diagram(boxes, arrows, [Group("g0", "0: Block", None)], direction, theme, legend)


def elements(diagram, tag):
    return ElementTree.fromstring(svg_of(diagram)).iter(SVG + tag)


def by_id(diagram, name):
    (found,) = [g for g in elements(diagram, "g") if g.get("id") == name]
    return found


def channels(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def contrast(one, other):
    """The contrast ratio of two colours (Web Content Accessibility Guidelines 2.1)."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(channels(one)), luminance(channels(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# ---- what is in the picture ---------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_every_text_of_the_diagram_is_in_the_picture_once(direction, theme):
    diagram = every_kind(direction, theme)
    texts = sorted(text.text for text in elements(diagram, "text"))
    expected = [line for box in diagram.boxes for line in box.lines]
    expected += [arrow.label for arrow in diagram.arrows] + ["0: Block"]
    expected += [text for _, text in diagram.legend_entries()]
    assert texts == sorted(expected)


def test_boxes_arrows_and_groups_can_be_found_by_id():
    diagram = every_kind()
    ids = [g.get("id") for g in elements(diagram, "g")]
    assert ids == ["g0", *(f"e{i}" for i in range(8)), *(f"n{i}" for i in range(7))]
    assert by_id(diagram, "n0").get("class") == "parameter"
    assert by_id(diagram, "e0").get("class") == "edge n0 n1"


def test_an_arrow_back_into_a_folded_block_is_broken():
    diagram = every_kind()
    diagram.arrows.append(Arrow("n4", "n3", "", back=True))
    last = len(diagram.arrows) - 1
    dashes = [by_id(diagram, f"e{i}").find(SVG + "path").get("stroke-dasharray") for i in (0, last)]
    assert dashes == [None, "4,2.5"]


def test_a_tooltip_is_the_title_of_its_box():
    diagram = every_kind()
    assert by_id(diagram, "n3").find(SVG + "title").text == "about op"
    diagram.boxes[3].tooltip = ""
    assert by_id(diagram, "n3").find(SVG + "title") is None


def test_the_paper_is_opaque():
    for name, theme in THEMES.items():
        paper = next(elements(every_kind(theme=name), "rect"))
        assert paper.get("fill") == theme.background
        assert paper.get("width") == next(elements(every_kind(theme=name), "svg")).get("width")


def test_each_kind_has_its_own_outline():
    outlines = set()
    for i in range(len(KINDS)):
        shapes = [
            (
                *(element.tag, element.get("rx"), element.get("stroke-dasharray")),
                *(element.get("stroke-width"), len(element.get("points", "").split())),
            )
            for element in by_id(every_kind(), f"n{i}")
            if element.tag not in (SVG + "text", SVG + "title")
        ]
        outlines.add(tuple(shapes))
    assert len(outlines) == len(KINDS)


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_seen_at_the_border(mark):
    diagram = every_kind()
    diagram.boxes[3].mark = mark
    border = by_id(diagram, "n3").find(SVG + "rect")
    assert border.get("stroke") == THEMES["light"].mark[mark]
    assert float(border.get("stroke-width")) == 3
    assert bool(border.get("stroke-dasharray")) == (mark in ("zero", "not reached"))


@pytest.mark.parametrize("mark", MARKS)
def test_the_legend_explains_a_mark_that_occurs(mark):
    diagram = every_kind()
    without = svg_of(diagram)
    diagram.boxes[3].mark = mark
    assert MARKS[mark] not in without
    assert f">{MARKS[mark]}</text>" in svg_of(diagram)
    assert svg_of(diagram).count(f'stroke="{THEMES["light"].mark[mark]}" stroke-width="3"') == 2


def test_an_arrow_ends_in_a_tip_at_the_border_of_its_head():
    for direction in ("LR", "TB"):
        diagram = every_kind(direction)
        layout = laid_out(diagram)
        for i, corners in enumerate(layout.arrows):
            tip = by_id(diagram, f"e{i}").find(SVG + "polygon").get("points").split()[0]
            assert tuple(map(float, tip.split(","))) == pytest.approx(corners[-1], abs=0.01)


def test_texts_fit_into_their_boxes():
    diagram = every_kind()
    layout = laid_out(diagram)
    for box in diagram.boxes:
        for i, line in enumerate(box.lines):
            width = text_width(line, THEMES["light"].font_size, bold=i == 0)
            assert width + 8 <= layout.boxes[box.id].width


def test_no_legend_if_none_is_wanted():
    assert "collapsed" not in svg_of(every_kind(legend=False))
    assert len(svg_of(every_kind(legend=False))) < len(svg_of(every_kind()))


def test_an_empty_diagram_is_an_empty_page():
    assert next(elements(Diagram([], [], [], "auto", "light", True), "svg")) is not None


# ---- safety -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_name_stays_text(number):
    name = HOSTILE[number]
    boxes = [Box(f"n{i}", "op", [name, name], name, "", "g0", None) for i in range(2)]
    arrows = [Arrow("n0", "n1", name), Arrow("n1", "n1", name)]
    diagram = Diagram(boxes, arrows, [Group("g0", name, None)], "LR", "light", True)
    root = ElementTree.fromstring(svg_of(diagram))
    texts = [element.text for element in root.iter(SVG + "text")]
    titles = [element.text for element in root.iter(SVG + "title")]
    assert texts.count(name) == 7 if name else True
    assert titles == [name] * 2 if name else True
    allowed = {"svg", "g", "rect", "path", "polygon", "polyline", "text", "title"}
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in allowed
        for attribute, value in element.attrib.items():
            assert not attribute.startswith("on")
            assert "href" not in attribute
            assert name not in value or len(name) < 3


def test_every_colour_is_written_out():
    for theme in THEMES.values():
        colours = [theme.background, theme.edge, theme.label, theme.group_fill]
        colours += [theme.group_inner, theme.group_border, theme.group_text]
        for table in (theme.fill, theme.border, theme.text, theme.mark):
            colours += table.values()
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
        assert theme.fill.keys() == theme.border.keys() == theme.text.keys() == KINDS.keys()
        assert theme.shape.keys() == KINDS.keys()
        assert theme.mark.keys() == MARKS.keys()
        assert len({*theme.mark.values()}) == len(MARKS)
    assert len({*SHAPE.values()}) == len(SHAPE)


def test_texts_can_be_read_on_their_grounds():
    for theme in THEMES.values():
        pairs = [(theme.text[kind], theme.fill[kind]) for kind in KINDS]
        for ground in (theme.background, theme.group_fill, theme.group_inner):
            pairs += [(theme.label, ground), (theme.group_text, ground)]
        assert min(contrast(*pair) for pair in pairs) > 4.5
        for kind in KINDS:
            assert contrast(theme.border[kind], theme.background) > 3


# ---- the same bytes -----------------------------------------------------------------------------


def test_the_picture_does_not_depend_on_the_hash_seed():
    program = (
        "from test_svg import every_kind; from test_layout import at_random;"
        "from autograd_mini.draw.svg import svg_of; import hashlib;"
        "svgs = [svg_of(every_kind())] + [svg_of(at_random(i, 'TB', 0.2)) for i in range(5)];"
        "print(hashlib.sha256(''.join(svgs).encode()).hexdigest())"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_picture_is_this_one():
    """A golden picture: a change of it shall be looked at."""
    boxes = [Box(f"n{i}", "op", ["add"], "", "", None, None) for i in range(2)]
    lines = svg_of(Diagram(boxes, [Arrow("n0", "n1", "")], [], "LR", "light", False)).splitlines()
    assert lines[2:4] == [
        '<g id="e0" class="edge n0 n1"><path d="M60,31.5 L82.4,31.5" fill="none" '
        'stroke="#59636e" stroke-width="1.2" stroke-linejoin="round"/>'
        '<polygon points="88,31.5 80,34.75 80,28.25" fill="#59636e"/></g>',
        '<g id="n0" class="op">',
    ]
