"""The border: what can be an operand, and what becomes of arrays that are no ndarrays.

Kernels and rules are run on ndarrays, Python's numbers and NumPy's, and on arrays that speak
NumPy's protocols.  Whatever else comes in, by an operator, a function, a layer, an index or as the
data of a Tensor, is decided here, once:

=============================================  ====================================================
what comes                                     becomes
=============================================  ====================================================
lists, tuples, what gives memory or            an ndarray, by position and never by an index; of
``__array__`` (pandas, xarray, ``array``)      numbers, or it is refused
``np.matrix``, ``np.memmap``, subclasses       the ndarray on the same memory
without rules of their own
what has ``__dlpack__`` (PyTorch, JAX, the     the ndarray on the same memory, if it lies where
array API)                                     NumPy can read it, else it is refused
what has ``__array_function__`` and            stays what it is (CuPy, Dask, ``sparse``); the
``__array_ufunc__`` of its own                 engine asks it for `ASKED` and NumPy's functions
masked arrays, ``scipy.sparse``, subclasses    refused, with what to write instead
with rules of their own, what is no number
=============================================  ====================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: What the engine itself asks of an array, besides operators and NumPy's functions.
ASKED = ("shape", "dtype", "ndim", "astype", "copy", "reshape")
#: The classes that need no look: kernels take them as they are.
PLAIN = frozenset([np.ndarray, float, int, bool, complex, *np.sctypeDict.values()])


NO_MASKS = (
    "masked arrays are not taken: a Tensor knows no masks, and would compute with what is under "
    "them. Write m.filled(0.0) or m.compressed(), or np.where(m.mask, 0.0, t) for a Tensor t"
)


class Operand:
    """What a primitive can be called on besides arrays: it says itself what the call means."""

    __slots__ = ()

    def _apply(self, primitive: Any, operands: tuple[Any, ...], statics: Any) -> Any:
        """Call a primitive on operands of which this is one."""
        raise NotImplementedError


def operand(x: Any) -> Any:
    """What the engine takes for an operand of any class; see the table above.

    Raises
    ------
    TypeError
        If it would lose what an array means, or is not an array of numbers.
    """
    kind = type(x)
    if kind in PLAIN or x is None or isinstance(x, Operand):
        return x  # None compares with numbers, and NumPy refuses it elsewhere
    if isinstance(x, np.ndarray):
        array = harmless(x)
    elif hasattr(x, "__array_function__") and hasattr(x, "__array_ufunc__"):
        return x
    elif kind.__module__.startswith("scipy.sparse"):
        raise TypeError(
            f"a {kind.__name__} of shape {x.shape}: sparse matrices of SciPy are not taken, for "
            f"they have operators of their own. Write S.toarray()"
        )
    else:
        array = from_another_library(x)
    return of_numbers(array)


def as_array(x: Any) -> Any:
    """An operand that has axes, also if it is a number."""
    if isinstance(x, Operand):
        return x
    x = x if x.__class__ is np.ndarray else operand(x)
    if isinstance(x, np.generic) or not hasattr(x, "ndim"):
        x = np.asarray(x)
    return of_numbers(x) if isinstance(x, np.ndarray) else x


def of_numbers(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same array, if it holds numbers."""
    if array.dtype.kind not in "biufc":
        what = array[()] if array.ndim == 0 else array
        raise TypeError(f"a Tensor holds numbers, not dtype {array.dtype}: {what!r:.80}")
    return array


def harmless(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The ndarray on the memory of one of a subclass, if it has no rules of its own."""
    kind = type(x)
    if hasattr(x, "mask") and hasattr(x, "filled"):
        raise TypeError(NO_MASKS)
    if kind.__array_ufunc__ is not np.ndarray.__array_ufunc__:
        raise TypeError(
            f"a {kind.__name__} of shape {x.shape} has rules of its own for NumPy's functions, "
            f"which would be lost here. Write np.asarray(x) if its numbers are all that it means"
        )
    return np.asarray(x)


def from_another_library(x: Any) -> np.ndarray[Any, Any]:
    """The ndarray of what is not one, by the ways in which libraries give their numbers away."""
    if not hasattr(x, "__array__") and not hasattr(x, "__dlpack__"):
        return np.asarray(x)
    try:
        return np.from_dlpack(x) if hasattr(x, "__dlpack__") else np.asarray(x)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        kind = type(x)
        raise TypeError(
            f"a {kind.__module__}.{kind.__name__} cannot be taken: {error}. Give an ndarray: "
            f"detached, in the memory of this machine, in a dtype that NumPy has"
        ) from error
