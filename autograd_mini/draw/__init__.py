"""Pictures of computations."""

from .graph import Drawing, draw

__all__ = ["Drawing", "draw"]
