"""A laid-out diagram as SVG: the built-in back end, where there is no ``dot``.

All texts are escaped, names of elements and classes are ours, and nothing in the picture can do
anything: no script, no link, no style sheet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..text import for_xml
from .layout import LABEL, LINE, laid_out
from .themes import BROKEN, THEMES

if TYPE_CHECKING:
    from .diagram import Box, Diagram
    from .layout import Layout, Rect
    from .level import Point
    from .themes import Theme

CUT = 7.0  # how much of a corner is cut off, in pixels
ROUND = 7.0  # radius of rounded corners
TIP_LENGTH, TIP_WIDTH = 8.0, 6.5  # of an arrow


def svg_of(diagram: Diagram) -> str:
    """Draw a diagram as SVG, without any other program.

    Parameters
    ----------
    diagram : Diagram
        What to draw.

    Returns
    -------
    str
        A document of its own; the same diagram gives the same text everywhere.

    Examples
    --------
    >>> from autograd_mini.draw.diagram import Box, Diagram
    >>> box = Box("n0", "parameter", ["W1"], "", "", None, None)
    >>> svg_of(Diagram([box], [], [], "LR", "light", False)).splitlines()[-2]
    '<text x="38" y="35.7" fill="#0b3b2d" font-weight="bold" text-anchor="middle">W1</text></g>'
    """
    return drawn(diagram, laid_out(diagram))


def drawn(diagram: Diagram, layout: Layout) -> str:
    """The SVG of a layout."""
    theme = THEMES[diagram.theme]
    width, height = shown(layout.width), shown(layout.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{theme.font}" '
        f'font-size="{shown(theme.font_size)}">',
        f'<rect width="{width}" height="{height}" fill="{theme.background}"/>',
    ]
    lines += groups(diagram, layout, theme)
    lines += arrows(diagram, layout, theme)
    for box in diagram.boxes:
        lines.append(f'<g id="{box.id}" class="{box.kind}">')
        if box.tooltip:
            lines.append(f"<title>{for_xml(box.tooltip)}</title>")
        rect = layout.boxes[box.id]
        lines += outline(theme, box.kind, box.mark, rect)
        lines += label(theme, box, rect)
        lines[-1] += "</g>"
    for kind, text, rect in layout.legend:
        x, y = rect.x + rect.width + 7, rect.y + rect.height / 2 + 0.35 * LABEL * theme.font_size
        lines += outline(theme, *theme.look(kind), rect)
        lines.append(
            f'<text x="{shown(x)}" y="{shown(y)}" fill="{theme.label}" '
            f'font-size="{shown(LABEL * theme.font_size)}">{for_xml(text)}</text>'
        )
    return "\n".join([*lines, "</svg>\n"])


def shown(number: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def points(*corners: Point) -> str:
    """Corners as SVG wants them."""
    return " ".join(f"{shown(x)},{shown(y)}" for x, y in corners)


# ---- frames -------------------------------------------------------------------------------------


def groups(diagram: Diagram, layout: Layout, theme: Theme) -> list[str]:
    """The frames of groups with their titles, the outermost first."""
    depth: dict[str | None, int] = {None: 0}
    lines = []
    for group in diagram.groups:
        depth[group.id] = depth[group.parent] + 1
        if group.id in layout.groups:
            rect = layout.groups[group.id]
            fill = theme.group_fill if depth[group.id] % 2 else theme.group_inner
            lines.append(
                f'<g id="{group.id}" class="group"><rect {size(rect)} rx="{shown(ROUND)}" '
                f'fill="{fill}" stroke="{theme.group_border}"/>'
            )
            if group.id in layout.titles:
                title = layout.titles[group.id]
                y = title.y + 0.8 * theme.font_size
                lines.append(
                    f'<text x="{shown(title.x)}" y="{shown(y)}" '
                    f'fill="{theme.group_text}">{for_xml(group.label)}</text>'
                )
            lines[-1] += "</g>"
    return lines


def size(rect: Rect) -> str:
    """The attributes of a rectangle."""
    return (
        f'x="{shown(rect.x)}" y="{shown(rect.y)}" '
        f'width="{shown(rect.width)}" height="{shown(rect.height)}"'
    )


# ---- boxes --------------------------------------------------------------------------------------


def outline(theme: Theme, kind: str, mark: str, rect: Rect) -> list[str]:
    """The outline of a box, in the shape of its kind."""
    shape = theme.shape[kind]
    stroke = theme.mark[mark] if mark else theme.border[kind]
    width = 3.0 if mark or shape == "thick" else 2.0 if shape == "rounded" else 1.2
    style = f'fill="{theme.fill[kind]}" stroke="{stroke}" stroke-width="{shown(width)}"'
    if mark in BROKEN or shape == "dashed":
        style += f' stroke-dasharray="{"7,4" if mark in BROKEN else "4,2.5"}"'
    x, y, right, bottom = rect.x, rect.y, rect.x + rect.width, rect.y + rect.height
    cut = min(CUT, rect.height / 3)
    if shape == "octagon":
        corners = [(x + cut, y), (right - cut, y), (right, y + cut), (right, bottom - cut)]
        corners += [(right - cut, bottom), (x + cut, bottom), (x, bottom - cut), (x, y + cut)]
        return [f'<polygon points="{points(*corners)}" {style}/>']
    if shape == "note":
        corners = [(x, y), (right - cut, y), (right, y + cut), (right, bottom), (x, bottom)]
        fold = points((right - cut, y), (right - cut, y + cut), (right, y + cut))
        return [
            f'<polygon points="{points(*corners)}" {style} stroke-linejoin="round"/>',
            f'<polyline points="{fold}" fill="none" stroke="{stroke}" stroke-width="1.2"/>',
        ]
    if shape == "rounded":
        style += f' rx="{shown(min(ROUND, rect.height / 2))}"'
    else:
        style += ' rx="2"'
    lines = [f"<rect {size(rect)} {style}/>"]
    if shape == "double":
        inner = type(rect)(x + 3, y + 3, rect.width - 6, rect.height - 6)
        lines.append(f'<rect {size(inner)} fill="none" stroke="{stroke}" stroke-width="1.2"/>')
    return lines


def label(theme: Theme, box: Box, rect: Rect) -> list[str]:
    """The lines of text in a box; the first is bold."""
    step = LINE * theme.font_size
    x = rect.x + rect.width / 2
    y = rect.y + rect.height / 2 - step * (len(box.lines) - 1) / 2 + 0.35 * theme.font_size
    lines = []
    for i, text in enumerate(box.lines):
        weight = ' font-weight="bold"' if i == 0 else ""
        lines.append(
            f'<text x="{shown(x)}" y="{shown(y + i * step)}" fill="{theme.text[box.kind]}"{weight} '
            f'text-anchor="middle">{for_xml(text)}</text>'
        )
    return lines or ["<text/>"]


# ---- arrows -------------------------------------------------------------------------------------


def arrows(diagram: Diagram, layout: Layout, theme: Theme) -> list[str]:
    """The arrows with their labels."""
    lines = []
    for i, (arrow, corners) in enumerate(zip(diagram.arrows, layout.arrows, strict=True)):
        broken = ' stroke-dasharray="4,2.5"' * arrow.back
        lines.append(
            f'<g id="e{i}" class="edge {arrow.tail} {arrow.head}">'
            f'<path d="{path(corners, layout.direction)}" fill="none" stroke="{theme.edge}" '
            f'stroke-width="1.2" stroke-linejoin="round"{broken}/>'
            f'<polygon points="{tip(corners)}" fill="{theme.edge}"/></g>'
        )
    for i, rect in layout.labels.items():
        lines.append(
            f'<text x="{shown(rect.x)}" y="{shown(rect.y + 0.8 * rect.height)}" '
            f'font-size="{shown(LABEL * theme.font_size)}" '
            f'fill="{theme.label}">{for_xml(diagram.arrows[i].label)}</text>'
        )
    return lines


def path(corners: list[Point], direction: str) -> str:
    """A smooth way: straight along the flow, and S-shaped where it goes sideways."""
    corners = [*corners[:-1], shortened(corners)]
    x, y = corners[0]
    steps = [f"M{points((x, y))}"]
    for x1, y1 in corners[1:]:
        if x == x1 or y == y1:
            steps.append(f"L{points((x1, y1))}")
        elif direction == "TB":
            middle = (y + y1) / 2
            steps.append(f"C{points((x, middle), (x1, middle), (x1, y1))}")
        else:
            middle = (x + x1) / 2
            steps.append(f"C{points((middle, y), (middle, y1), (x1, y1))}")
        x, y = x1, y1
    return " ".join(steps)


def shortened(corners: list[Point]) -> Point:
    """Where the line of an arrow ends: inside its tip."""
    (x0, y0), (x, y) = corners[-2:]
    dx, dy = direction_of(x - x0, y - y0)
    return x - dx * TIP_LENGTH * 0.7, y - dy * TIP_LENGTH * 0.7


def tip(corners: list[Point]) -> str:
    """The triangle at the head of an arrow."""
    (x0, y0), (x, y) = corners[-2:]
    dx, dy = direction_of(x - x0, y - y0)
    back, half = (x - dx * TIP_LENGTH, y - dy * TIP_LENGTH), TIP_WIDTH / 2
    left = back[0] - dy * half, back[1] + dx * half
    right = back[0] + dy * half, back[1] - dx * half
    return points((x, y), left, right)


def direction_of(dx: float, dy: float) -> Point:
    """The direction of an arrow's last piece: arrows enter boxes straight."""
    if abs(dx) > abs(dy):
        return (1.0 if dx > 0 else -1.0), 0.0
    return 0.0, (1.0 if dy > 0 else -1.0)
