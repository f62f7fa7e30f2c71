"""Pictures of computations, to be shown and saved.

This module is imported with the package, and imports what it needs when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..core.tensor import Tensor
from ..trace import Linked, variables_around

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import graphviz

    from ..check.compare import Comparison
    from ..trace import Trace
    from .diagram import Diagram

SUFFIXES = (".svg", ".png", ".pdf", ".gv", ".dot", ".txt")


class Drawing(Linked):
    """A picture of a computation; made by `draw`.

    A notebook shows it, ``print`` writes it as a tree of text, and `save` writes files.  Where
    Graphviz's program ``dot`` is on PATH, it lays the picture out; else, or when it fails or takes
    more than 20 seconds, the layout that is built in does.
    """

    def __init__(self, diagram: Diagram, engine: str = "auto") -> None:
        self._diagram = diagram
        self._engine = engine

    def __repr__(self) -> str:
        return f"<Drawing of {len(self._diagram.boxes)} boxes>"

    def __str__(self) -> str:
        return self.text

    @cached_property
    def diagram(self) -> Diagram:
        """The boxes and arrows, with the direction decided."""
        if self._diagram.direction != "auto":
            return self._diagram
        import dataclasses

        from .layout import laid_out

        return dataclasses.replace(self._diagram, direction=laid_out(self._diagram).direction)

    @cached_property
    def graphviz(self) -> graphviz.Digraph:
        """The graph as the graphviz package holds it."""
        from .dot import dot_of

        return dot_of(self.diagram)

    @property
    def source(self) -> str:
        """The graph in Graphviz's language, DOT; the same program gives the same text."""
        return str(self.graphviz.source)

    @property
    def text(self) -> str:
        """The computation as a tree of plain text, for terminals."""
        from .tree import tree_of

        return tree_of(self._diagram)

    @property
    def svg(self) -> str:
        """The picture in SVG.

        Warns
        -----
        RuntimeWarning
            Once, if ``dot`` failed or took too long, so that the built-in layout drew.
        """
        return self._picture[0]

    @property
    def back_end(self) -> str:
        """What lays the picture out: "dot" or "built in"."""
        return self._picture[1]

    @cached_property
    def _picture(self) -> tuple[str, str]:
        """The picture in SVG, and what laid it out."""
        from .dot import run_dot, sanitised
        from .svg import svg_of

        if self._engine != "built in":
            try:
                return sanitised(run_dot(self.source, "svg")).decode(), "dot"
            except FileNotFoundError:
                if self._engine == "dot":
                    raise
            except RuntimeError as error:
                if self._engine == "dot":
                    raise
                import warnings

                from ..trace import Source, called_from

                source = called_from()[0] or Source("an unknown line", 1)
                text = f"{error}: the built-in layout drew the picture"
                warnings.warn_explicit(text, RuntimeWarning, source.file, source.line)
        return svg_of(self._diagram), "built in"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all; what was there is replaced.

        Parameters
        ----------
        path : path
            Its suffix is the format: ``.svg``, ``.png`` or ``.pdf`` for a picture, ``.gv`` or
            ``.dot`` for Graphviz's language, ``.txt`` for the tree of text.  The folder must exist.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the suffix is none of these.
        FileNotFoundError
            If the folder does not exist, or PNG or PDF is wanted and there is no ``dot``.
        RuntimeError
            If PNG or PDF is wanted and ``dot`` fails or takes more than 20 seconds.
        OSError
            If the folder cannot be written in.

        Examples
        --------
        >>> import tempfile, autograd_mini as ag
        >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
        >>> drawing = ag.draw(ag.trace(lambda: (w - 1.0) ** 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     drawing.save(f"{folder}/graph.svg").name
        'graph.svg'
        """
        import errno
        from pathlib import Path

        from ..files import write_whole

        file = Path(path)
        suffix = file.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(f"{file}: the suffix is one of {' '.join(SUFFIXES)}")
        if not file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(file.parent))
        if suffix == ".txt":
            return write_whole(file, f"{self.text}\n".encode())
        if suffix == ".svg":
            return write_whole(file, self.svg.encode())
        if suffix in (".gv", ".dot"):
            return write_whole(file, self.source.encode())
        return write_whole(file, self._by_dot(suffix[1:]))

    def _by_dot(self, suffix: str) -> bytes:
        """A picture in a format that only ``dot`` draws."""
        from .dot import run_dot

        try:
            return run_dot(self.source, suffix)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{suffix.upper()} is drawn by Graphviz's program dot, which is not on PATH: "
                f"install Graphviz, or save as .svg, which needs no other program"
            ) from error
        except RuntimeError as error:
            raise RuntimeError(f"{error}: save as .svg, which needs no other program") from error

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the picture, or, if anything goes wrong, what can be had."""
        bundle = {"text/plain": repr(self)}
        try:
            bundle["text/plain"] = self.text
            bundle["image/svg+xml"] = self.svg
        except Exception as error:
            bundle["text/plain"] += f"\n(no picture: {error})"
        return bundle


def draw(
    what: Trace | Tensor,
    *,
    names: Mapping[str, Any] | None = None,
    values: str = "auto",
    gradients: bool = True,
    overlay: bool = False,
    derivatives: bool = False,
    groups: bool = True,
    depth: int | None = None,
    fold: bool = True,
    detail: str = "ops",
    phase: str = "forward",
    direction: str = "auto",
    theme: str = "light",
    legend: bool = True,
    report: Comparison | None = None,
    max_nodes: int | None = 2000,
    engine: str = "auto",
) -> Drawing:
    """Draw a computation: a box for each array, an arrow for each use of one.

    Parameters
    ----------
    what : Trace or Tensor
        A run recorded by `autograd_mini.trace`, with all its values; or a Tensor with a history,
        of which the graph is drawn, with the gradients that its tensors hold.
    names : mapping of str to object, optional
        Variables, such as ``locals()``, whose names the boxes shall have; of a Tensor's graph by
        default those of the caller.
    values : {"auto", "stats", "none"}
        "auto" shows up to four numbers in full, of more the norm, the least and the greatest;
        "stats" does so always; "none" shows shapes only.
    gradients : bool
        Whether gradients are shown, too.
    overlay : bool
        Whether the borders show how large the gradients are: by the norm, a colour for each factor
        of 100; from 10,000 on it is called exploding, below a millionth vanishing.  What is zero,
        infinite, NaN or not reached is marked with and without it.
    derivatives : bool
        Whether each arrow shows its local derivative.
    groups : bool
        Whether the calls of modules are framed.
    depth : int, optional
        How many levels of modules are opened; what is deeper is one box.
    fold : bool
        Whether identical modules that follow each other are drawn once, with "x12" and a broken
        arrow from the end of one to the beginning of the next.
    detail : {"ops", "names"}
        One box for each operation, or for each quantity that has a name, with its formula.
    phase : {"forward", "backward", "both"}
        The computation, its derivative, or both.
    direction : {"auto", "LR", "TB"}
        From left to right or from top to bottom; "auto" goes from left to right as long as the
        picture is at most 1,200 pixels wide.
    theme : {"light", "dark"}
        The colours.
    legend : bool
        Whether the kinds of boxes are explained.
    report : Comparison, optional
        What `autograd_mini.compare` found: wrong quantities are marked red, those that may be
        wrong because of them amber.
    max_nodes : int, optional
        The largest number of boxes.  Above 400 boxes, modules become one box each, the innermost
        first, until it fits.  None draws everything.
    engine : {"auto", "dot", "built in"}
        What lays the picture out: Graphviz's ``dot`` if it is there and does its work in 20
        seconds, else the built-in layout; or one of them in any case.

    Returns
    -------
    Drawing
        To be saved, printed, or shown by a notebook.

    Raises
    ------
    TypeError
        If ``what`` is neither a run nor a Tensor, or an option is of another type.
    ValueError
        If nothing was computed in it, an option has no such value, there are no gradients for an
        overlay, or there are more than ``max_nodes`` boxes.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> w = ag.Tensor(3.0, requires_grad=True, name="w")
    >>> run = ag.trace(lambda: (w - 1.0) ** 2)
    >>> drawing = ag.draw(run)
    >>> "n1 -> n2" in drawing.source
    True
    """
    options = {**locals()}  # before there are other variables
    del options["what"], options["engine"]
    if names is None and isinstance(what, Tensor):
        options["names"] = variables_around()
    from .diagram import check_choices, diagram

    check_choices(engine=engine)
    return Drawing(diagram(what, **options), engine)
