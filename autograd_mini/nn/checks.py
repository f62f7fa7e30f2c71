"""Checks of what layers, optimisers, data sets and training are given, and of what is installed."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.tensor import Tensor


def whole(name: str, value: Any, least: int) -> int:
    """A whole number that is not too small."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r:.80}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number


@contextlib.contextmanager
def needed_for(what: str, extra: str, otherwise: str = "") -> Iterator[None]:
    """Around an import: where a library is missing, say which extra of this package brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} needs {error.name}, which is not installed: "
            f"pip install 'autograd-mini[{extra}]'{otherwise}",
            name=error.name,
        ) from error


def is_read_only(tensor: Tensor) -> bool:
    """Whether the array of a Tensor cannot be written, as one from a file that is mapped."""
    return isinstance(tensor._array, np.ndarray) and not tensor._array.flags.writeable
