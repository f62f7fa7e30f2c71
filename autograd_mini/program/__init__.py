"""A run as straight-line NumPy: the one printer of programs."""

from .kernels import Kernels
from .straight_line import Program

__all__ = ["Kernels", "Program"]
