"""The computation graph of a run as a picture, by Graphviz.

Forward goes from left to right.  Arrays from outside are rounded (parameters green, inputs grey),
ops are boxes, and what was differentiated is blue.  Each shows its name, its shape and, if the run
went backward, the gradient: in full for a few numbers, else its Euclidean norm.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..trace import Call, Trace, Value

if TYPE_CHECKING:
    from pathlib import Path

    import graphviz

SECONDS = 20  # dot can take hours over a large graph
LONGEST = 200  # characters of a name
FORMATS = ("svg", "png", "pdf")
FILL = {"parameter": "#d5e8d4", "input": "#eeeeee", "result": "#ffffff", "loss": "#dae8fc"}


class Drawing:
    """A picture of a graph; made by `draw`.

    Attributes
    ----------
    graphviz : graphviz.Digraph
        The graph as the graphviz package holds it.
    """

    def __init__(self, graph: graphviz.Digraph) -> None:
        self.graphviz = graph

    @property
    def source(self) -> str:
        """The graph in Graphviz's language, DOT; the same run gives the same text."""
        return str(self.graphviz.source)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all.

        Parameters
        ----------
        path : path
            Its suffix is the format: ``.gv`` or ``.dot`` for the text, ``.svg``, ``.png`` or
            ``.pdf`` for a picture, which needs Graphviz's program ``dot``.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the suffix is none of these.
        FileNotFoundError
            If the folder does not exist, or a picture is wanted and there is no ``dot``.
        RuntimeError
            If ``dot`` fails or takes more than 20 seconds.
        """
        from ..files import write_whole

        suffix = os.path.splitext(path)[1][1:].lower()  # noqa: PTH122 - pathlib is slow to import
        if suffix in ("gv", "dot"):
            return write_whole(path, self.source.encode())
        if suffix in FORMATS:
            return write_whole(path, rendered(self.source, suffix))
        raise ValueError(f"{path}: the suffix is one of .gv .dot .{' .'.join(FORMATS)}")

    def _repr_svg_(self) -> str | None:
        """The picture in a notebook, where there is a `dot`."""
        import shutil

        return rendered(self.source, "svg").decode() if shutil.which("dot") else None


def rendered(source: str, suffix: str) -> bytes:
    """Have Graphviz's program lay the graph out."""
    import shutil
    import subprocess

    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError(
            "Graphviz's program dot is not on PATH: install Graphviz, or save the drawing as .gv"
        )
    try:
        done = subprocess.run(
            [program, f"-T{suffix}"], input=source.encode(), capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"dot took more than {SECONDS} s over this graph") from None
    if done.returncode:
        raise RuntimeError(f"dot failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def draw(run: Trace) -> Drawing:
    """Draw the computation graph of a run.

    Parameters
    ----------
    run : Trace
        A run recorded by `autograd_mini.trace`; names from ``run.name(locals())`` or ``name=``.

    Returns
    -------
    Drawing
        To be saved, or shown by a notebook.

    Raises
    ------
    TypeError
        If ``run`` is no Trace.
    ValueError
        If nothing was computed in it.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
    >>> run = ag.trace(lambda: (w - 1.0) ** 2)
    >>> print(ag.draw(run).source.splitlines()[-2].strip())
    n1 -> n2
    """
    import graphviz

    if not isinstance(run, Trace):
        raise TypeError(
            f"draw takes a run, not {type(run).__name__}: record one by `with ag.trace() as run:`"
        )
    calls = run.forward
    if not calls:
        raise ValueError("there is nothing to draw: no Tensor was computed with in this run")
    differentiated = [call for call in calls if call.output.gradient]
    loss = (differentiated or calls)[-1]
    graph = graphviz.Digraph()
    graph.attr(rankdir="LR", bgcolor="#ffffff", nodesep="0.2", ranksep="0.25")
    graph.attr("node", fontname="Helvetica", fontsize="10", margin="0.08,0.05", color="#555555")
    graph.attr("edge", color="#555555", arrowsize="0.7")
    ids: dict[int, str] = {}

    def identified(value: Value) -> str:
        if id(value) not in ids:
            ids[id(value)] = f"n{len(ids)}"
            kind = "loss" if value.call is loss else value.kind
            style = "filled" if value.call else "filled,rounded"
            label = graphviz.escape(labelled(value))
            graph.node(ids[id(value)], label, shape="box", style=style, fillcolor=FILL[kind])
        return ids[id(value)]

    for call in calls:
        operands = [identified(x) for x in call.operands if isinstance(x, Value)]
        output = identified(call.output)
        for operand in operands:
            graph.edge(operand, output)
    return Drawing(graph)


def labelled(value: Value) -> str:
    """What stands in the box of a value."""
    what = [plain(value.name)] if value.name else []
    if value.call:
        what.append(signature(value.call))
    lines = [" = ".join(what)] if what else []
    lines.append(f"{value.shape} {value.dtype}" if value.shape else summary(value.array))
    if value.gradient:
        lines.append(f"grad {summary(value.gradient.array)}")
    return "\n".join(lines)


def signature(call: Call) -> str:
    """The op with the numbers among its operands, ``divide(., 5)``."""
    if not any(isinstance(x, int | float) for x in call.operands):
        return call.primitive.name
    shown = ["." if isinstance(x, Value) else f"{x:.4g}" for x in call.operands]
    return f"{call.primitive.name}({', '.join(shown)})"


def summary(array: Any) -> str:
    """A few numbers in full, of more the Euclidean norm."""
    if array.size <= 4:
        return np.array2string(array, precision=3, separator=", ").replace("\n", "")
    return f"of norm {np.linalg.norm(array):.3g}"


def plain(name: str) -> str:
    """A name without characters that a picture could not show or that would hide others."""
    import unicodedata

    kept = [
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn") else c
        for c in name[: LONGEST + 1]
    ]
    text = "".join(kept[:LONGEST]) + ("…" if len(kept) > LONGEST else "")
    return text.replace("&", "&amp;")
