"""The training loop, what it measures, and runs that go on after they were stopped."""

from .fit import accuracy, fit
from .history import History

__all__ = ["History", "accuracy", "fit"]
