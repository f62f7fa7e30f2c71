"""The chain rule of a run, written out for people, and as a program.

This module is imported with the package, and imports what it needs when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..core.tensor import Tensor
from ..trace import Trace, run_of, variables_around

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["explain", "source"]


def explain(
    run: Trace | Tensor,
    wrt: Any = None,
    *,
    names: Mapping[str, Any] | None = None,
    numbers: bool = False,
    simplify: bool = False,
    detail: Literal["calls", "lines", "layers"] = "lines",
) -> Explanation:
    """The chain rule of a run, written out: one line for each quantity and for each gradient.

    The formulas are the rules that the engine ran.  Where a gradient has a simpler form, that is
    shown behind it, or with ``simplify=True`` instead of it.  Such a form is proved by algebra and
    holds for all numbers, not for those of the run alone; what it takes to be true of the data, as
    that each column of one-hot labels sums to 1, is said behind it.

    Parameters
    ----------
    run : Trace or Tensor
        Of the computation of a cost, or the cost itself.  A run goes backward now if it has not
        done so; it knows the lines of the program, which the graph behind a cost does not.
    wrt : str, Tensor, ndarray or Value, or iterable of them, optional
        By what the gradients are asked for, by default by all parameters.
    names : mapping of str to object, optional
        What things are called, such as ``locals()``; of a cost by default the variables of the
        caller.
    numbers : bool
        Whether to show the numbers, too; of large arrays the shape and the norm.
    simplify : bool
        Whether to show each gradient in its simplest form only.  A constant such as the 1/m of a
        mean then comes last, with the gradients asked for; lines before it are m times theirs.
    detail : {"calls", "lines", "layers"}
        How much a line says: one call; what the program assigns to a variable, as in a lecture; or
        what all layers or time steps have in common, ``Z[l] = W[l] A[l-1] + b[l]`` for a range
        of l.

    Returns
    -------
    Explanation

    Raises
    ------
    KeyError
        If something in ``wrt`` does not occur in the run, or is the name of several things.
    ValueError
        If there is nothing to differentiate, or it does not depend on something in ``wrt``.
        Or if there is no such ``detail``.
    TypeError
        If it is given neither a run nor a Tensor.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> W = ag.Tensor(np.ones((1, 2)), requires_grad=True)
    >>> X, Y, m = np.ones((2, 3)), np.array([[0.0, 1.0, 1.0]]), 3
    >>> with ag.trace() as run:
    ...     Z = W @ X
    ...     A = ag.sigmoid(Z)
    ...     J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    >>> for line in ag.explain(run.name(locals()), simplify=True).python:
    ...     print(line)
    Z = W @ X
    A = ag.sigmoid(Z)
    J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    dZ = A - Y
    dW = 1 / m * (dZ @ X.T)
    """
    from ..program.straight_line import refuse_writes
    from .explanation import Explanation
    from .lines import Derivation

    if detail not in ("calls", "lines", "layers"):
        raise ValueError(f"detail is 'calls', 'lines' or 'layers', not {detail!r}")
    run = run_of(run, names, variables_around())
    try:
        cost, wanted = run.differentiated(wrt)
        if not wanted:
            raise ValueError(
                f"there is nothing to differentiate {cost.name or 'the cost'} by: name a quantity "
                f"in wrt, or use a Tensor with requires_grad=True"
            )
    except ValueError:
        refuse_writes(run, run.forward)  # an update in the middle is the better reason
        raise
    derivation = Derivation(run, cost, wanted, simplify, each_call=detail == "calls")
    return Explanation(derivation, numbers, in_general=detail == "layers")


def source(
    run: Trace | Tensor,
    wrt: Any = None,
    *,
    names: Mapping[str, Any] | None = None,
    simplify: bool = False,
) -> str:
    """A run as a Python program: straight-line NumPy, forward and then backward.

    Its function takes the parameters and the data by name, and returns the cost and the gradients,
    each in an array of its own.  It gives the same bits as the engine on the data of the run, laid
    out in memory as they were, and a ValueError on data of other shapes or kinds.  Data of up to
    200 numbers are in the program, which runs by itself; it imports NumPy, and where a kernel uses
    them, modules of Python's own library.

    A program says what one run did.  Which way a branch went, what shapes and dtypes decided in the
    kernels of ops, and what NumPy made of the data without Tensors (a mask such as ``x > 0``) stays
    in it as it was: such an array stands in the program unless it has a name, which makes it an
    argument.  ``Y.T``, ``1 - Y`` and ``-Y`` of data with names follow these.

    Parameters
    ----------
    run : Trace or Tensor
        Of the computation of a cost, or the cost itself, as for `explain`.
    wrt : str, Tensor, ndarray or Value, or iterable of them, optional
        By what the gradients are wanted, by default by all parameters.
    names : mapping of str to object, optional
        What things are called, as for `explain`.
    simplify : bool
        Whether to write the lines of ``explain(run, wrt, simplify=True)``, as a lecture has them,
        instead of a line for each call.  Each agrees with the engine to 1e-12 of the largest
        element (with ``float32``, to 8e-6): the program is run once to see that.  It, too, is for
        the shapes of the run: a number of examples stands in it as it was, ``m = 5``.

    Returns
    -------
    str
        The text of a module.

    Raises
    ------
    KeyError
        If something in ``wrt`` does not occur in the run, or is the name of several things.
    ValueError
        If there is nothing to differentiate; if the kernel of an op looks at values, and its source
        is not to be had or uses what only exists in memory; if an array was written in
        place between its uses; if the simple form is not what the run computed; or if the run was
        made from a graph that did not keep enough.
    TypeError
        If it is given neither a run nor a Tensor, or arrays are not NumPy's.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> W = ag.Tensor(np.ones((1, 2)), requires_grad=True)
    >>> X = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> with ag.trace() as run:
    ...     A = np.tanh(W @ X)
    ...     J = np.sum(A)
    >>> text = ag.source(run.name(locals()))
    >>> print(text[text.index("    # ---- forward") : text.index("if __name__")].rstrip())
        # ---- forward ----
        # A = np.tanh(W @ X)
        u1 = W @ X
        A = np.tanh(u1)
        J = np.sum(A)
    <BLANKLINE>
        # ---- backward: d<name> is the derivative of J by <name> ----
        dJ = np.ones_like(J)
        # back through J = np.sum(A)
        t1 = dJ.reshape((1, 1))
        dA = np.broadcast_to(t1, (1, 2))
        # back through A = np.tanh(u1)
        t2 = A ** 2
        t3 = 1 - t2
        du1 = dA * t3
        # back through u1 = W @ X
        dW = du1 @ X.T
        return J, {"W": dW}
    """
    from ..program.straight_line import Program
    from .lecture import in_lecture_form

    run = run_of(run, names, variables_around())
    if simplify:
        return in_lecture_form(run, wrt)
    return str(Program(run, *run.differentiated(wrt)))
