"""The methods of arrays that a Tensor has, too: each is the NumPy function of its name.

They take what that function takes, as far as it is supported, in the same order.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from .core.primitive import Operand, implementations

Axis = int | tuple[int, ...] | None


class Methods(Operand):
    """NumPy's methods, for `Tensor`."""

    __slots__ = ()

    def _run(self, function: Any, *args: Any, **statics: Any) -> Self:
        """Call what stands for a NumPy function."""
        result: Self = implementations[function](self, *args, **statics)
        return result

    # -- other shapes --

    def reshape(self, *shape: Any) -> Self:
        """``np.reshape``: ``t.reshape(2, 3)`` or ``t.reshape((2, 3))``."""
        return self._run(np.reshape, shape=shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Self:
        """``np.transpose``: ``t.transpose(1, 0)``, ``t.transpose((1, 0))`` or ``t.transpose()``."""
        return self._run(np.transpose, axes=axes[0] if len(axes) == 1 else axes or None)

    @property
    def T(self) -> Self:  # noqa: N802 - NumPy's name
        """The tensor with its axes in reverse order."""
        return self._run(np.transpose)

    @property
    def mT(self) -> Self:  # noqa: N802 - NumPy's name
        """The matrix, or stack of matrices, transposed."""
        return self._run(np.matrix_transpose)

    def ravel(self) -> Self:
        """``np.ravel``: all elements along one axis."""
        return self._run(np.ravel)

    def flatten(self) -> Self:
        """``np.ravel``, by the name of the method that copies: no op here shares what it makes."""
        return self._run(np.ravel)

    def squeeze(self, axis: Axis = None) -> Self:
        """``np.squeeze``: without axes of length 1."""
        return self._run(np.squeeze, axis)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """``np.swapaxes``."""
        return self._run(np.swapaxes, axis1, axis2)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """``np.diagonal``."""
        return self._run(np.diagonal, offset, axis1, axis2)

    def repeat(self, repeats: Any, axis: int | None = None) -> Self:
        """``np.repeat``."""
        return self._run(np.repeat, repeats, axis)

    def take(self, indices: Any, axis: int | None = None) -> Self:
        """``np.take``: the elements at some indices."""
        return self._run(np.take, indices, axis)

    # -- the same shape --

    def astype(self, dtype: Any) -> Self:
        """Convert to another dtype; gradients flow where both are floating-point."""
        return self._run(np.ndarray.astype, dtype)

    def copy(self) -> Self:
        """``np.copy``: the same values, in an array of their own."""
        return self._run(np.copy)

    def clip(
        self, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
    ) -> Self:
        """``np.clip``: limited to an interval."""
        return self._run(np.clip, a_min, a_max, min=min, max=max)

    def round(self, decimals: int = 0) -> Self:
        """``np.round``."""
        return self._run(np.round, decimals=decimals)

    def cumsum(self, axis: int | None = None) -> Self:
        """``np.cumsum``: sums of the elements so far."""
        return self._run(np.cumsum, axis)

    def cumprod(self, axis: int | None = None) -> Self:
        """``np.cumprod``: products of the elements so far."""
        return self._run(np.cumprod, axis)

    # -- along axes --

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.sum``."""
        return self._run(np.sum, axis=axis, keepdims=keepdims)

    def prod(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.prod``: the product of the elements."""
        return self._run(np.prod, axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.mean``."""
        return self._run(np.mean, axis, keepdims=keepdims)

    def var(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """``np.var``: the variance."""
        return self._run(np.var, axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """``np.std``: the standard deviation."""
        return self._run(np.std, axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.max``."""
        return self._run(np.max, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """``np.min``."""
        return self._run(np.min, axis=axis, keepdims=keepdims)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """``np.trace``: the sum of a diagonal."""
        return self._run(np.trace, offset, axis1, axis2)

    # -- two operands --

    def dot(self, other: Any) -> Self:
        """``np.dot``."""
        return self._run(np.dot, other)

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        quotient, remainder = implementations[np.divmod](self, other)
        return quotient, remainder

    # -- what only looks, and gives no Tensor --

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        """``np.argmax``: the index of the largest element."""
        return implementations[np.argmax](self, axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        """``np.argmin``: the index of the smallest element."""
        return implementations[np.argmin](self, axis, keepdims=keepdims)

    def argsort(self, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
        """``np.argsort``: the indices that sort."""
        return implementations[np.argsort](self, axis, kind, stable=stable)

    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """``np.all``: whether all elements are true."""
        return implementations[np.all](self, axis, keepdims=keepdims)

    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """``np.any``: whether an element is true."""
        return implementations[np.any](self, axis, keepdims=keepdims)

    def nonzero(self) -> tuple[Any, ...]:
        """``np.nonzero``: the indices of what is not zero."""
        return tuple(implementations[np.nonzero](self))
