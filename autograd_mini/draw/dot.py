"""A diagram in Graphviz's language DOT, and Graphviz's program ``dot`` at work on it.

The DOT is such that every version of Graphviz draws it: plain boxes, plain labels, colours as
``#rrggbb``.  Names are ours (``n12``, ``g3``); a user's text stands only in labels and tooltips.
What ``dot`` hands back is not trusted either: of its SVG only what a picture needs is kept.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from ..text import for_dot, for_xml
from .themes import BROKEN, THEMES

if TYPE_CHECKING:
    import subprocess
    from xml.etree.ElementTree import Element

    import graphviz

    from .diagram import Box, Diagram
    from .themes import Theme

IN_A_ROW = 6  # entries of the legend
PAST = 2  # ranks inside of a frame that an arrow leads past at most
SECONDS = 20  # dot can take hours over a large graph

#: The outlines of a theme in Graphviz's words.
SHAPES = {
    "rounded": {"shape": "box", "style": "filled,rounded", "penwidth": "2"},
    "note": {"shape": "note"},
    "dashed": {"shape": "box", "style": "filled,dashed"},
    "box": {"shape": "box"},
    "octagon": {"shape": "octagon", "margin": "0.03,0.02"},
    "double": {"shape": "box", "peripheries": "2"},
    "thick": {"shape": "box", "penwidth": "3"},
}

SVG = "{http://www.w3.org/2000/svg}"
TITLE = "{http://www.w3.org/1999/xlink}title"

#: The elements and attributes that Graphviz makes a picture of; nothing else is kept.
ELEMENTS = {"svg", "g", "text", "polygon", "polyline", "path", "ellipse"}
ATTRIBUTES = {
    *("id", "class", "width", "height", "viewBox", "transform"),
    *("points", "d", "x", "y", "cx", "cy", "rx", "ry"),
    *("fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray"),
    *("text-anchor", "font-family", "font-size", "font-weight", "font-style"),
}

#: How the files of other formats begin.
MAGIC = {"svg": b"", "png": b"\x89PNG\r\n", "pdf": b"%PDF-"}


# ---- a diagram as DOT ---------------------------------------------------------------------------


def dot_of(diagram: Diagram) -> graphviz.Digraph:
    """Write a diagram in DOT.

    Parameters
    ----------
    diagram : Diagram
        Its direction is "LR" or "TB".

    Returns
    -------
    graphviz.Digraph
        All boxes in order, the groups with those that lie in them, the arrows, and the legend.
    """
    import graphviz

    theme = THEMES[diagram.theme]
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": diagram.direction,
            "bgcolor": theme.background,
            "pad": "0.12",
            "nodesep": "0.2",
            "ranksep": "0.3",
            "fontname": theme.font,
            "fontsize": points(theme.font_size),
        },
        node_attr={
            "fontname": theme.font,
            "fontsize": points(theme.font_size),
            "style": "filled",
            "margin": "0.1,0.05",
            "height": "0.3",
            "width": "0.3",
        },
        edge_attr={
            "fontname": theme.font,
            "fontsize": points(theme.font_size - 2),
            "color": theme.edge,
            "fontcolor": theme.label,
            "arrowsize": "0.7",
        },
    )
    upwards = diagram.direction == "LR"  # then dot puts what comes first at the bottom
    if upwards:
        draw_legend(graph, diagram)
    for box in diagram.boxes:
        graph.node(box.id, **box_attributes(box, theme))
    draw_groups(graph, diagram)
    for number, (arrow, length) in enumerate(zip(diagram.arrows, lengths(diagram), strict=True)):
        attributes = {"id": f"e{number}", "class": f"{arrow.tail} {arrow.head}"}
        if arrow.label:
            attributes["label"] = f"  {for_dot(arrow.label)}"  # a little away from the arrow
        if arrow.back:
            attributes |= {"style": "dashed", "constraint": "false"}
            if arrow.tail != arrow.head:  # then around what is between
                side = "e" if diagram.direction == "TB" else "n"
                attributes |= {"tailport": side, "headport": side}
        elif length > 1:
            attributes["minlen"] = str(length)
        graph.edge(arrow.tail, arrow.head, **attributes)
    if not upwards:
        draw_legend(graph, diagram)
    return graph


def lengths(diagram: Diagram) -> list[int]:
    """How many ranks each arrow shall span at least.

    An arrow that enters a frame leads past what its head is computed from inside of it: so that
    all of the frame is further on than what it is entered from, and frames that follow each other
    stand one after the other.
    """
    group = {box.id: box.group for box in diagram.boxes}
    inside = dict.fromkeys(group, 0)  # how many ranks of its frame come before a box
    for arrow in diagram.arrows:
        if group[arrow.tail] == group[arrow.head] is not None and not arrow.back:
            inside[arrow.head] = max(inside[arrow.head], inside[arrow.tail] + 1)
    return [
        1 if group[arrow.tail] == group[arrow.head] else 1 + min(inside[arrow.head], PAST)
        for arrow in diagram.arrows
    ]


def points(pixels: float) -> str:
    """A size in Graphviz's unit; there are 96 pixels and 72 points in an inch."""
    return f"{pixels * 0.75:g}"


def coloured(kind: str, mark: str, theme: Theme) -> dict[str, str]:
    """The shape and the colours of a kind of box."""
    attributes = {"fillcolor": theme.fill[kind], "color": theme.border[kind]}
    attributes |= {"fontcolor": theme.text[kind]} | SHAPES[theme.shape[kind]]
    if mark:
        attributes |= {"color": theme.mark[mark], "penwidth": "3"}
    if mark in BROKEN:
        attributes["style"] = f"{attributes.get('style', 'filled')},dashed"
    return attributes


def box_attributes(box: Box, theme: Theme) -> dict[str, str]:
    """The attributes of a node of DOT."""
    # in tooltips some versions of dot read escapes twice, so that no backslash would be safe
    tip = box.tooltip.replace("\\", "\N{SET MINUS}")
    return {
        "label": r"\n".join(map(for_dot, box.lines)),
        "tooltip": r"\n".join(map(for_dot, tip.split("\n"))) or " ",
        "id": box.id,
        "class": box.kind,
        **coloured(box.kind, box.mark, theme),
    }


def draw_groups(
    graph: graphviz.Digraph, diagram: Diagram, parent: str | None = None, depth: int = 0
) -> None:
    """Put a frame around the boxes of each group that lies in ``parent``."""
    theme = THEMES[diagram.theme]
    fill = theme.group_inner if depth % 2 else theme.group_fill
    for group in diagram.groups:
        if group.parent == parent:
            frame = {"label": for_dot(group.label), "id": group.id, "labeljust": "l"}
            if diagram.direction == "LR":
                frame["labelloc"] = "b"  # most arrows come in near the top
            frame |= {"color": theme.group_border, "fontcolor": theme.group_text}
            frame |= {"fillcolor": fill, "style": "filled,rounded", "margin": "8"}
            with graph.subgraph(name=f"cluster_{group.id}", graph_attr=frame) as inside:
                for box in diagram.boxes:
                    if box.group == group.id:
                        inside.node(box.id)
                draw_groups(inside, diagram, group.id, depth + 1)


def draw_legend(graph: graphviz.Digraph, diagram: Diagram) -> None:
    """Explain the kinds of boxes, in rows below the graph."""
    theme = THEMES[diagram.theme]
    entries = diagram.legend_entries()
    names = [f"legend{number}" for number in range(len(entries))]
    rows = [names[start : start + IN_A_ROW] for start in range(0, len(names), IN_A_ROW)]
    for name, (entry, text) in zip(names, entries, strict=True):
        look = coloured(*theme.look(entry), theme)
        graph.node(name, for_dot(text), id=name, tooltip=" ", **look)
    for row in rows:
        with graph.subgraph() as together:
            if diagram.direction == "TB":
                together.attr(rank="same")
            for name, following in itertools.pairwise(row):
                together.edge(name, following, style="invis")
    if rows and diagram.direction == "TB":
        used = {arrow.tail for arrow in diagram.arrows}
        above = [box.id for box in diagram.boxes if box.id not in used]
        for row in rows:
            for name in above:
                graph.edge(name, row[len(row) // 2], style="invis", weight="0")
            above = row


# ---- dot at work --------------------------------------------------------------------------------


def run_dot(source: str, suffix: str, seconds: float | None = None) -> bytes:
    """Have Graphviz's program lay a graph out.

    It is given its arguments as a list, and source and picture through pipes.  When the time is
    over it is ended, with all that it started.

    Parameters
    ----------
    source : str
        DOT.
    suffix : {"svg", "png", "pdf"}
        The format.
    seconds : float, optional
        How long it may take; 20 by default.

    Returns
    -------
    bytes
        The picture.

    Raises
    ------
    FileNotFoundError
        If there is no ``dot`` on PATH.
    RuntimeError
        If ``dot`` fails, takes too long, or gives something else.
    """
    import os
    import shutil
    import subprocess

    seconds = SECONDS if seconds is None else seconds
    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError("Graphviz's program dot is not on PATH")
    try:
        process = subprocess.Popen(
            [program, f"-T{suffix}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a process group of its own, which can be ended as a whole
            env={"SOURCE_DATE_EPOCH": "0", **os.environ},  # no time of day in a PDF
        )
    except OSError as error:
        raise RuntimeError(f"{program} cannot be run: {error.strerror}") from error
    with process:  # which closes the pipes and waits
        try:
            picture, complaint = process.communicate(source.encode(), seconds)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"dot took more than {seconds:g} s over this graph") from None
        finally:
            if process.returncode is None:  # it still runs, or has left others that do
                kill(process)
    if process.returncode:
        said = complaint.decode(errors="replace").strip()[:2000] or "it said nothing"
        raise RuntimeError(f"dot failed with status {process.returncode}: {said}")
    if not picture.startswith(MAGIC[suffix]):
        raise RuntimeError(f"dot gave something that is no {suffix.upper()}")
    return picture


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all of its group, where there are groups."""
    import os
    import signal

    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def sanitised(svg: bytes) -> bytes:
    r"""Keep of an SVG by Graphviz what makes the picture, and nothing that could do something.

    Elements, attributes and values that Graphviz does not draw with are dropped: scripts, event
    handlers, links, styles, images, processing instructions, comments, the document type.  Sizes
    are written in pixels, and a tooltip becomes the title of its box, which browsers show.

    Parameters
    ----------
    svg : bytes
        In UTF-8.

    Returns
    -------
    bytes
        The picture; sanitising it again changes nothing.

    Raises
    ------
    RuntimeError
        If it is not well-formed, declares entities, or is no SVG.

    Examples
    --------
    >>> sanitised(b'<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><script/><g/></svg>')
    b'<svg xmlns="http://www.w3.org/2000/svg">\n<g></g>\n</svg>\n'
    """
    from xml.etree import ElementTree

    try:
        text = svg.decode()
        if "<!ENTITY" in text:
            raise RuntimeError("dot gave an SVG that declares entities")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError) as error:
        raise RuntimeError(f"dot gave an SVG that is not well-formed: {error}") from error
    if root.tag != f"{SVG}svg":
        raise RuntimeError("dot gave something that is no SVG")
    return written(root).encode()


def written(element: Element) -> str:
    """An element as text, with those inside it, without what is not known."""
    name = element.tag.removeprefix(SVG)
    inside = "".join(map(written, element))
    if name == "a" or (name == "g" and element.find(f"{SVG}a") is not None):
        return inside  # a link, which Graphviz hangs tooltips on
    if name not in ELEMENTS:
        return ""
    attributes = {"xmlns": SVG[1:-1]} if name == "svg" else {}
    for key, value in element.attrib.items():
        if key in ATTRIBUTES and ":" not in value and "url" not in value.lower():
            attributes[key] = in_pixels(value) if key in ("width", "height") else value
    if name == "text":
        inside = for_xml(element.text or "")
    elif inside:
        inside = f"\n{inside}"
    if name == "g":
        inside = title_of(element) + inside
    written_attributes = "".join(
        f' {key}="{for_xml("none" if value == "transparent" else value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written_attributes}>{inside}</{name}>\n"


def title_of(group: Element) -> str:
    """The tooltip of a box, as the title that browsers show; other titles are only ids."""
    if not group.get("class", "").startswith("node"):
        return ""
    link = group.find(f".//{SVG}a")
    title = group.findtext(f"{SVG}title") if link is None else link.get(TITLE)
    return f"<title>{for_xml(title)}</title>" if title and not title.isspace() else ""


def in_pixels(size: str) -> str:
    """A size in points as one in pixels."""
    match = re.fullmatch(r"([0-9.]+)pt", size)
    return f"{float(match[1]) / 0.75:.0f}" if match else size
