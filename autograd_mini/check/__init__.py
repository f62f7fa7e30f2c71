"""Checking gradients."""

from autograd_mini.check.numerical import numerical_gradient

__all__ = ["numerical_gradient"]
