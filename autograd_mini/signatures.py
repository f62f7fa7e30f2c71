"""How what is called like a function is called: for `inspect.signature`, and for type checkers.

NumPy's stubs say that ``np.tanh(t)`` is an ndarray, whatever ``t`` is, and nobody else can say
otherwise.  What is ours says that Tensors give Tensors and arrays give arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from .border import Operand

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

O = TypeVar("O", bound=Operand)  # noqa: E741 - a Tensor
A = TypeVar("A")
Axis = int | tuple[int, ...] | None


class Signature:
    """What `inspect.signature` says of a primitive: operands may be named, statics are."""

    def __get__(self, primitive: Any, owner: Any) -> inspect.Signature | None:
        if primitive is None:
            return None  # of the class
        kinds = inspect.Parameter
        names: dict[str, Any] = dict.fromkeys(primitive.operands, kinds.POSITIONAL_OR_KEYWORD)
        names |= dict.fromkeys(primitive.operands[-1:] * primitive.variadic, kinds.VAR_POSITIONAL)
        names |= dict.fromkeys(primitive.statics, kinds.KEYWORD_ONLY)
        default = {name: primitive.defaults.get(name, kinds.empty) for name in names}
        return inspect.Signature([kinds(x, kind, default=default[x]) for x, kind in names.items()])


class Called:
    """An op as type checkers see it."""

    if TYPE_CHECKING:

        @overload
        def __call__(self, x: O, /, *operands: Any, **statics: Any) -> O: ...
        @overload
        def __call__(self, a: ArrayLike, b: O, /, *operands: Any, **statics: Any) -> O: ...
        @overload
        def __call__(
            self, a: ArrayLike, b: ArrayLike, c: O, /, *operands: Any, **statics: Any
        ) -> O: ...
        @overload
        def __call__(self, *operands: ArrayLike, **statics: Any) -> NDArray[Any]: ...
        def __call__(self, *operands: Any, **statics: Any) -> Any:
            """Apply it."""


class OfOne(Protocol):
    """A function of one array."""

    def __call__(self, a: A, /, *arguments: Any, **options: Any) -> A:
        """Apply it."""


class AlongAxes(Protocol):
    """A function that makes one number of the elements along axes."""

    def __call__(self, a: A, axis: Axis = None, *, keepdims: bool = False, **options: Any) -> A:
        """Apply it."""


class Joining(Protocol):
    """A function that makes one array of several."""

    @overload
    def __call__(self, arrays: Iterable[O], axis: int = 0) -> O: ...
    @overload
    def __call__(self, arrays: Iterable[Any], axis: int = 0) -> Any: ...


class OfTwo(Protocol):
    """A function of two arrays."""

    @overload
    def __call__(self, a: O, b: Any, /, *arguments: Any) -> O: ...
    @overload
    def __call__(self, a: Any, b: O, /, *arguments: Any) -> O: ...
    @overload
    def __call__(self, a: ArrayLike, b: ArrayLike, /, *arguments: Any) -> NDArray[Any]: ...
