"""How pictures look: colours, shapes and the font, the same for both back ends.

The colours are light tints of those by Okabe and Ito, which people with any kind of colour vision
can tell apart; each kind of box has its own shape as well, so that a print in grey can be read too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

FONT = "Helvetica,Arial,sans-serif"

#: The outline of each kind of box.
SHAPE = {
    "parameter": "rounded",  # with a thick border
    "input": "note",  # a sheet with a corner cut off
    "constant": "dashed",
    "op": "box",
    "loss": "octagon",
    "module": "double",
    "error": "thick",
}


#: The marks whose lines are broken, for there is no gradient.
BROKEN = ("zero", "not reached")


@dataclass(frozen=True)
class Theme:
    """The look of a picture; all colours are ``#rrggbb``.

    Attributes
    ----------
    fill, border, text, shape : dict of str to str
        By kind of box: three colours, and the outline, which is the same in all themes.
    background, edge, label : str
        Colours of the paper, of arrows, and of texts beside arrows and in the legend.
    mark : dict of str to str
        By mark of a box: the colour of its border instead.  The sizes of gradients have colours
        of viridis (van der Walt and Smith, 2015), from what is near to the paper's to what is not.
    group_fill, group_inner, group_border, group_text : str
        Colours of frames; those that lie in another one are filled with the two in turn.
    font : str
        Names of fonts, the best first.
    font_size : float
        In pixels.
    """

    fill: dict[str, str]
    border: dict[str, str]
    text: dict[str, str]
    background: str
    edge: str
    label: str
    mark: dict[str, str]
    group_fill: str
    group_inner: str
    group_border: str
    group_text: str
    shape: ClassVar[dict[str, str]] = SHAPE
    font: str = FONT
    font_size: float = 12.0

    def look(self, entry: str) -> tuple[str, str]:
        """The kind and the mark of the box that explains an entry of the legend."""
        return ("op", entry) if entry in self.mark else (entry, "")


def by_kind(**colours: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Take rows of a fill, a border and a text colour apart."""
    rows = {kind: row.split() for kind, row in colours.items()}
    fill, border, text = ({kind: row[i] for kind, row in rows.items()} for i in range(3))
    return fill, border, text


def sizes(colours: str) -> dict[str, str]:
    """The colours of gradients by their size, from vanishing to exploding."""
    return {f"size {i}": colour for i, colour in reversed([*enumerate(colours.split())])}


#: The themes by name.
THEMES = {
    "light": Theme(  # dark on white, for paper and screens
        *by_kind(
            parameter="#d3efe4 #00805d #0b3b2d",
            input="#dcedf9 #2f86ba #0e3a55",
            constant="#f3f4f5 #7c848c #2b3036",
            op="#ffffff #59636e #1b2026",
            loss="#fdebc4 #b87b00 #4a3200",
            module="#f6e3ee #a85482 #4d1f39",
            error="#fde2d6 #c02a0c #5c1405",
        ),
        background="#ffffff",
        edge="#59636e",
        label="#414a53",
        mark={
            "wrong": "#d01c0f",
            "first nan": "#8e0b57",
            "nan": "#e06fb0",
            "follows": "#e69f00",
            "zero": "#0072b2",
            "not reached": "#a9b0b7",
            **sizes("#c8d92b #7ad151 #35b779 #1f9e89 #31688e #443983 #440154"),
        },
        group_fill="#f2f5f9",
        group_inner="#e6ecf3",
        group_border="#b4bfca",
        group_text="#4a5866",
    ),
    "dark": Theme(  # light on nearly black
        *by_kind(
            parameter="#12382d #35c196 #d6f5e9",
            input="#123247 #5db5e8 #dcf0fc",
            constant="#2a2f35 #8d969f #e1e5e9",
            op="#22272e #8b96a2 #eceff2",
            loss="#43330e #f0b030 #fdedc8",
            module="#40233a #dd8fba #fae2ef",
            error="#4a1c12 #ff6a48 #ffe0d6",
        ),
        background="#15191e",
        edge="#97a3b0",
        label="#b9c3cd",
        mark={
            "wrong": "#ff4d3d",
            "first nan": "#ff8fd0",
            "nan": "#b04a8a",
            "follows": "#f0b030",
            "zero": "#56b4e9",
            "not reached": "#666f79",
            **sizes("#6a4c93 #4d5fa3 #3680a0 #24a08b #4fc46a #a5db36 #fde725"),
        },
        group_fill="#1c222a",
        group_inner="#252d37",
        group_border="#465361",
        group_text="#a9b6c3",
    ),
}


# ---- how wide a text is --------------------------------------------------------------------------

#: Advance widths of the characters from the space to the tilde in Helvetica, and so in Arial, in
#: thousandths of the font size (Adobe's font metrics).
WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),  # to /
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),  # to ?
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),  # to O
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),  # to _
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),  # to o
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)

#: Where all characters are as wide as high: arrows and signs, East Asian scripts, emoji.
SQUARE = (
    (0x2190, 0x2BFF),
    (0x2E80, 0xDFFF),
    (0xF900, 0xFAFF),
    (0xFE30, 0xFFEF),
    (0x1F000, 0x3FFFF),
)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """How wide a line of text is, in the unit of ``size``.

    Of scripts other than Latin it is an estimate, rather too large than too small.

    Examples
    --------
    >>> text_width("W1", 10.0)
    15.0
    """
    thousandths = 0
    for character in text:
        code = ord(character)
        if 32 <= code <= 126:
            thousandths += WIDTHS[code - 32]
        else:
            square = code == 0x2026 or any(low <= code <= high for low, high in SQUARE)
            thousandths += 1000 if square else 650
    return thousandths * size / 1000 * (1.08 if bold else 1.0)
