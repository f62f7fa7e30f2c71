"""The methods of arrays that a Tensor has, too: each is the NumPy function of its name.

They take what that function takes, as far as it is supported, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .border import Operand
from .core.primitive import implementations
from .refusals import refuse_numpy, refuse_varied

Axis = int | tuple[int, ...] | None


class Methods(Operand):
    """NumPy's methods, for `Tensor`."""

    __slots__ = ()

    # -- other shapes --

    def reshape(self, *shape: Any) -> Self:
        """``np.reshape``: ``t.reshape(2, 3)`` or ``t.reshape((2, 3))``."""
        return implementations[np.reshape](self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Self:
        """``np.transpose``: ``t.transpose(1, 0)``, ``t.transpose((1, 0))`` or ``t.transpose()``."""
        return implementations[np.transpose](self, axes=axes[0] if len(axes) == 1 else axes or None)

    @property
    def T(self) -> Self:  # noqa: N802 - NumPy's name
        """The tensor with its axes in reverse order."""
        return implementations[np.transpose](self)

    @property
    def mT(self) -> Self:  # noqa: N802 - NumPy's name
        """The matrix, or stack of matrices, transposed."""
        return implementations[np.matrix_transpose](self)

    def ravel(self) -> Self:
        """``np.ravel``: all elements along one axis."""
        return implementations[np.ravel](self)

    def flatten(self) -> Self:
        """``np.ravel``, in memory of its own."""
        return implementations[np.copy](implementations[np.ravel](self))

    def squeeze(self, axis: Axis = None) -> Self:
        """``np.squeeze``: without axes of length 1."""
        return implementations[np.squeeze](self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """``np.swapaxes``."""
        return implementations[np.swapaxes](self, axis1, axis2)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """``np.diagonal``."""
        return implementations[np.diagonal](self, offset, axis1, axis2)

    def repeat(self, repeats: Any, axis: int | None = None) -> Self:
        """``np.repeat``."""
        return implementations[np.repeat](self, repeats, axis)

    def take(self, indices: Any, axis: int | None = None) -> Self:
        """``np.take``: the elements at some indices."""
        return implementations[np.take](self, indices, axis)

    # -- the same shape --

    def astype(self, dtype: Any) -> Self:
        """Convert to another dtype; gradients flow where both are floating-point."""
        return implementations[np.ndarray.astype](self, dtype)

    def copy(self) -> Self:
        """``np.copy``: the same values, in an array of their own."""
        return implementations[np.copy](self)

    def clip(
        self, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
    ) -> Self:
        """``np.clip``: limited to an interval."""
        return implementations[np.clip](self, a_min, a_max, min=min, max=max)

    def round(self, decimals: int = 0) -> Self:
        """``np.round``."""
        return implementations[np.round](self, decimals=decimals)

    def __round__(self, ndigits: int | None = None) -> Self:
        """``np.round``: ``round(t, 3)``."""
        return implementations[np.round](self, decimals=ndigits or 0)

    def cumsum(self, axis: int | None = None) -> Self:
        """``np.cumsum``: sums of the elements so far."""
        return implementations[np.cumsum](self, axis)

    def cumprod(self, axis: int | None = None) -> Self:
        """``np.cumprod``: products of the elements so far."""
        return implementations[np.cumprod](self, axis)

    # -- numbers --

    item: Callable[[], Any]
    _read: Callable[[str], Any]

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        refuse_varied(self)
        return self._read("list").tolist()

    def __float__(self) -> float:
        refuse_numpy(self)
        refuse_varied(self)
        return float(self.item())

    def __int__(self) -> int:
        refuse_varied(self)
        return int(self.item())

    # -- along axes --

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.sum``."""
        return implementations[np.sum](self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.prod``: the product of the elements."""
        return implementations[np.prod](self, axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.mean``."""
        return implementations[np.mean](self, axis, keepdims=keepdims)

    def var(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """``np.var``: the variance."""
        return implementations[np.var](self, axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """``np.std``: the standard deviation."""
        return implementations[np.std](self, axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.max``."""
        return implementations[np.max](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.min``."""
        return implementations[np.min](self, axis=axis, keepdims=keepdims)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """``np.trace``: the sum of a diagonal."""
        return implementations[np.trace](self, offset, axis1, axis2)

    # -- two operands --

    def dot(self, b: Any) -> Self:
        """``np.dot``."""
        return implementations[np.dot](self, b)

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        """``np.divmod``: the integer part of a quotient, and what remains."""
        quotient, remainder = implementations[np.divmod](self, other)
        return quotient, remainder

    # -- what only looks, and gives no Tensor --

    def argmax(self, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
        """``np.argmax``: the index of the largest element."""
        return implementations[np.argmax](self, axis, out, keepdims=keepdims)

    def argmin(self, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
        """``np.argmin``: the index of the smallest element."""
        return implementations[np.argmin](self, axis, out, keepdims=keepdims)

    def argsort(self, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
        """``np.argsort``: the indices that sort."""
        return implementations[np.argsort](self, axis, kind, stable=stable)

    def all(self, axis: Axis = None, out: Any = None, **options: Any) -> Any:
        """``np.all``: whether all elements are true, or all of those ``where=...``."""
        return implementations[np.all](self, axis, out, **options)

    def any(self, axis: Axis = None, out: Any = None, **options: Any) -> Any:
        """``np.any``: whether an element is true, or one of those ``where=...``."""
        return implementations[np.any](self, axis, out, **options)

    def nonzero(self) -> tuple[Any, ...]:
        """``np.nonzero``: the indices of what is not zero."""
        return tuple(implementations[np.nonzero](self))
