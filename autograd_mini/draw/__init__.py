"""Pictures of computations."""

from .drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
