"""Checking gradients."""

from .compare import Comparison, compare
from .numerical import numerical_gradient

__all__ = ["Comparison", "compare", "numerical_gradient"]
