"""Neural networks."""

from .ops import binary_cross_entropy_with_logits, linear, softmax_cross_entropy

__all__ = ["binary_cross_entropy_with_logits", "linear", "softmax_cross_entropy"]
