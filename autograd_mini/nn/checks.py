"""Checks of what layers, optimisers and training are given."""

from __future__ import annotations

import operator
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


def is_read_only(tensor: Tensor) -> bool:
    """Whether the array of a Tensor cannot be written, as one from a file that is mapped."""
    return isinstance(tensor._data, np.ndarray) and not tensor._data.flags.writeable
