"""A step captured once and replayed at the speed of code written by hand.

This module is imported with the package, and imports what it needs when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["compile"]


def compile(function: Callable[..., Any], *, copy: bool = False, cache: int = 8) -> Compiled:
    """Make a function quick: capture what it does, and replay that without the engine.

    The first calls run the function as it is, and every op, on the way forward, on the way back and
    in the optimiser, is written down.  When two calls with arguments of the same kind have done the
    same, the calls of NumPy that they consisted of become a program, with buffers for all results,
    and from then on the program runs in the function's place.  It gives the same bits.

    Parameters
    ----------
    function : callable
        Of arrays: a training step, a prediction, a function with derivatives.  Arrays and Tensors
        among its arguments, also in lists, tuples and dicts, may hold other numbers in each call;
        for other shapes, dtypes or Python numbers there will be another program.  It gets Tensors.
    copy : bool
        Whether results and gradients shall be arrays of their own.  By default the next call
        overwrites them; numbers of shape () are always new.
    cache : int
        How many programs to keep, at least 1.

    Returns
    -------
    Compiled
        Is called like the function, and returns Tensors where that returns arrays.  It has
        ``source()``, the latest program as Python code, ``memory()``, the bytes of its buffers, and
        ``captures``, how often the function itself was run.

    Raises
    ------
    TypeError
        If ``function`` is none, or a generator function.  When called: if it reads a value, by
        ``float(t)``, ``if t > 0`` or ``t.data``, which a replay would not do again; if it has an
        argument with a history, or returns something else than arrays, numbers and containers.
    ValueError
        If ``cache`` is less than 1.
    RuntimeError
        When called: if another thread is in the same call.

    Warns
    -----
    RuntimeWarning
        If the function does not do the same in each call, and so is never replayed; or if there
        are more kinds of arguments than programs are kept.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> w = ag.Tensor([0.0, 0.0], requires_grad=True)
    >>> optimizer = ag.optim.SGD([w], lr=0.03)
    >>> @ag.compile
    ... def step(x, y):
    ...     loss = np.mean((x @ w - y) ** 2)
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 2.0])
    >>> for _ in range(100):
    ...     loss = step(x, y)
    >>> step.captures, round(loss.item(), 3)
    (3, 0.003)
    """
    import inspect

    from .compiled import Compiled

    if not callable(function):
        raise TypeError(f"ag.compile takes a function, not {function!r:.80}")
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError("a generator or a coroutine goes on after its call: compile what it calls")
    if cache < 1:
        raise ValueError(f"cache is the number of programs to keep, at least 1, not {cache}")
    return Compiled(function, copy, cache)
