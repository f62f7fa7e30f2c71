"""debug: raises at the first call that goes wrong."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..core.graph import Node, listen
from ..core.primitive import Primitive
from ..core.tensor import Tensor, unwrapped
from ..refusals import described
from .observer import Observer
from .values import Source, called_from


def fingerprint(array: Any) -> int | None:
    """A checksum of an array's contents."""
    import zlib

    return zlib.crc32(array.tobytes()) if isinstance(array, np.ndarray) else None


def bad(x: Any) -> bool:
    """Whether something holds a NaN or an infinity."""
    data = unwrapped(x)
    return bool(np.asarray(data).dtype.kind in "fc" and not np.all(np.isfinite(data)))


class Debug(Observer):
    """Listens to all calls and raises at the first that goes wrong; made by `debug`."""

    def __init__(self) -> None:
        self._saved: WeakKeyDictionary[Node, tuple[Source | None, list[int | None]]] = (
            WeakKeyDictionary()
        )

    def __reduce__(self) -> Any:
        return Debug, ()  # what it knows of graphs is of those here

    def heard(self, primitive: Primitive, operands: tuple[Any, ...], statics: Any, y: Any) -> None:
        """Complain of a result that is no number though the operands were."""
        source, _ = called_from()
        if bad(y) and not any(bad(x) for x in operands):
            data = unwrapped(y)
            where = np.argwhere(~np.isfinite(data))
            rule = self._derivative(*self.rule) if self.rule else ""
            at = f" at {source}: {source.text}" if source and not rule else ""
            raise FloatingPointError(
                f"{primitive.name}({', '.join(map(described, operands))}) gave "
                f"{data[tuple(where[0])]} in {len(where)} of {data.size} elements, first at "
                f"{where[0].tolist()}{rule}{at}"
            )
        if isinstance(y, Tensor) and y._node is not None and y._node.saved:
            self._saved[y._node] = source, [fingerprint(x) for x in y._node.saved]

    def pulling(self, node: Node, position: int) -> None:
        """Complain of a saved array that was changed since it was saved."""
        super().pulling(node, position)
        if node not in self._saved:
            return
        assert node.primitive is not None
        _, fingerprints = self._saved[node]
        for i, (saved, then) in enumerate(zip(node.saved or (), fingerprints, strict=True)):
            if fingerprint(saved) != then:
                which = "the output" if i == len(node.parents) else f"operand {i}"
                raise RuntimeError(
                    f"{which} of {node.primitive.name}, shape {saved.shape}{self._line(node)}, was "
                    f"changed in place before backward, so the gradient would be wrong"
                )

    def _derivative(self, node: Node, position: int) -> str:
        """What a rule is, for a message."""
        assert node.primitive is not None
        names = node.primitive.operands
        return (
            f", in the derivative of {node.primitive.name} with respect to "
            f"{names[min(position, len(names) - 1)]}{self._line(node)}"
        )

    def _line(self, node: Node) -> str:
        """Where a node was recorded."""
        source, _ = self._saved.get(node, (None, None))
        return f", recorded at {source}: {source.text}" if source else ", recorded elsewhere"


def debug() -> listen:
    """Find out where things go wrong: slower, but it names the op and your line.

    Inside ``with debug():`` an op that makes NaN or infinity out of finite numbers raises, forward
    and backward, and so does a backward pass through an array that was written in place after it
    had been saved, even by a raw write into ``.data`` that the engine cannot see.

    Returns
    -------
    context manager
        For use in a ``with`` statement around the forward and the backward pass.

    Raises
    ------
    FloatingPointError
        At the op that makes NaN or infinity.
    RuntimeError
        At a backward pass through an array that was changed.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> x = ag.Tensor([1.0, 0.0], requires_grad=True)
    >>> with np.errstate(divide="ignore"), ag.debug():
    ...     np.log(x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FloatingPointError: log(shape (2,) float64) gave -inf in 1 of 2 elements, first at [1] at ...
    """
    return listen(observer=Debug())
