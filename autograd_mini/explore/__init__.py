"""A page that steps through backpropagation: one file, with the numbers of a recorded run in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.tensor import Tensor
from ..trace import Trace, run_of, variables_around

if TYPE_CHECKING:
    from pathlib import Path

    from ..check.compare import Comparison

__all__ = ["explore"]


def explore(
    run: Trace | Tensor,
    manual: Mapping[Any, Any] | Comparison | None = None,
    path: str | os.PathLike[str] = "backprop.html",
    *,
    wrt: Iterable[Any] | None = None,
    names: Mapping[str, Any] | None = None,
    most: int = 1000,
) -> Path:
    """Write a page in which one steps forward and backward through a recorded run.

    It is one file that a browser opens from the disk.  It loads nothing from the network.  For each
    quantity it shows the value, the gradient as the sum of its contributions, the formulas in
    symbols and with numbers, and which entries made an entry.  The same run gives the same bytes.

    Parameters
    ----------
    run : Trace or Tensor
        Made by `trace`, or a cost.  If a run has not gone backward yet, it does so now, from its
        last number.
    manual : mapping or Comparison, optional
        Gradients derived by hand, as `compare` takes them: ``{"dW1": array}``.  They are shown
        beside the true ones, and the page opens at the first wrong line.  What `compare` returned
        for the same data may be given too.
    path : path
        The file, which ends in ``.html``.  A page that was there is replaced, and nothing else.
    wrt : iterable of str, Tensor, ndarray or Value, optional
        The values by which gradients are wanted; by default all parameters.
    names : mapping of str to object, optional
        What things are called, such as ``locals()``; of a cost by default the variables of the
        caller.
    most : int
        Of arrays with more elements, only the first rows and columns are in the page.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    KeyError, TypeError
        If something in ``wrt`` does not occur in the run, or ``manual`` is no mapping of arrays of
        numbers.
    ValueError
        If nothing can be differentiated, if there is nothing in ``manual`` to compare, if the run
        has more than 2,000 quantities on the way to the cost, or if ``path`` does not end in
        ``.html`` or ``.htm``.
    FileExistsError
        If there is a file that is neither empty nor a page.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, numpy as np, autograd_mini as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> run = ag.trace(lambda: np.sum(w * w))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ag.explore(run, {"dw": 2 * w.data}, f"{folder}/square.html").read_text()[:15]
    '<!doctype html>'
    """
    from ..files import write_whole
    from .page import checked_path, page
    from .record import record

    run = run_of(run, names, variables_around())
    if most < 1:
        raise ValueError(f"most is the number of elements to show, at least 1, not {most}")
    path = checked_path(path)
    return write_whole(path, page(record(run, manual, wrt, most)).encode())
