"""The step-through page as one file: its parts, the data of a run, and what a browser may run."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..text import for_script

FOLDER = Path(__file__).parent
GENERATOR = '<meta name="generator" content="autograd_mini">'  # near the top of page.html


def page(record: Mapping[str, Any]) -> str:
    r"""The HTML of a page, with everything in it.

    A content-security policy allows our script and our style, known by their hashes, and nothing
    else: whatever text is in the data, it is not run, and nothing is loaded.

    Parameters
    ----------
    record : mapping
        From the function `record`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a number in the record is no finite one.

    Examples
    --------
    >>> html = page({"title": "</script>"})
    >>> r"\u003c/script\u003e" in html, html.count("</script>")
    (True, 2)
    """
    style, script = part("page.css"), part("page.js")
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        f"img-src data:"
    )
    data = json.dumps(record, allow_nan=False, separators=(",", ":"))
    parts = {
        "<!-- policy -->": f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "/* page.css */": style,
        "/* page.js */": script,
        "/* record */": for_script(data),
    }
    html = part("page.html")
    for place, text in parts.items():  # the data comes last: nothing in it is taken for a place
        before, _, after = html.partition(place)
        html = before + text + after
    return html


def part(name: str) -> str:
    """A file of the page, with the line ends that a browser sees when it takes the hash."""
    return (FOLDER / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """The hash of a script or a style, as a policy has it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def checked_path(path: str | os.PathLike[str]) -> Path:
    """The path, if a page can stand there: nothing else is replaced by one.

    A page is known by the generator that its first lines name.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a page is a file that ends in .html, not {str(path)!r}")
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(1000)
        if start and GENERATOR.encode() not in start:
            raise FileExistsError(
                f"{str(path)!r} exists and is no page that explore wrote: remove it, or give "
                f"another path"
            )
    return path
