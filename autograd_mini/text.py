"""The texts of users on their way out: names, labels and source lines that others will read.

A name may hold anything: quotes, tags, control characters, text that runs from right to left.
First `clean` makes it plain text that every output can show; then one of `for_dot`, `for_xml`,
`for_latex` and `for_script` writes it so that it stays text there.
"""

from __future__ import annotations

LONGEST = 200  # characters
UNSHOWN = "\N{REPLACEMENT CHARACTER}"

_SPACES = dict.fromkeys(map(ord, "\t\n\r\u2028\u2029"), " ")

_DOT = str.maketrans({"&": "&amp;", "<": "&lt;", "\\": "\\\\", '"': '\\"'})

_XML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})

_LATEX = str.maketrans(
    {
        **{c: f"\\{c}" for c in "#$%&_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)

_SCRIPT = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def clean(text: str, longest: int = LONGEST) -> str:
    r"""Plain text on one line, which every output can show.

    Characters that cannot be shown, or that would change how others are shown, become U+FFFD:
    control and format characters (those that turn the direction of writing among them),
    surrogates, and code points that are no characters.  Line breaks and tabs become spaces.

    Parameters
    ----------
    text : str
        Any text.
    longest : int
        How many characters are kept; of a longer text the last one is an ellipsis.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> clean("W1")
    'W1'
    >>> clean("a\x1bb\nc")
    'a�b c'
    >>> clean("0123456789", longest=5)
    '0123…'
    """
    import unicodedata

    kept = text[: longest - 1] + "…" if len(text) > longest else text
    if kept.isascii() and kept.isprintable():
        return kept
    return "".join(
        UNSHOWN if unicodedata.category(c) in ("Cc", "Cf", "Cn", "Cs") else c
        for c in kept.translate(_SPACES)
    )


def for_dot(text: str) -> str:
    r"""Clean text inside the quotes of a label of Graphviz's language, DOT.

    Graphviz would read entities such as ``&copy;`` and escapes such as ``\N``, and the graphviz
    package takes a label in angle brackets for HTML; none of them is left.

    Examples
    --------
    >>> print(for_dot('<b> \\N &copy; "x"'))
    &lt;b> \\N &amp;copy; \"x\"
    """
    return text.translate(_DOT)


def for_xml(text: str) -> str:
    """Clean text as text or as the value of an attribute of XML, SVG and HTML.

    Examples
    --------
    >>> print(for_xml("</title> & 'x'"))
    &lt;/title&gt; &amp; &#39;x&#39;
    """
    return text.translate(_XML)


def for_latex(text: str) -> str:
    r"""Clean text inside ``\text{...}`` of LaTeX.

    Examples
    --------
    >>> print(for_latex(r"b_1 \input{x} 100 %"))
    b\_1 \textbackslash{}input\{x\} 100 \%
    """
    return text.translate(_LATEX)


def for_script(json_text: str) -> str:
    r"""JSON inside the ``<script>`` of an HTML page, which no string in it can end.

    What is replaced stands only inside strings of JSON, and there the escapes mean the same.

    Examples
    --------
    >>> print(for_script('{"name": "</script>"}'))
    {"name": "\u003c/script\u003e"}
    """
    return json_text.translate(_SCRIPT)
