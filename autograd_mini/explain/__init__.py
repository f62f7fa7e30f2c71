"""The chain rule of a run, written out for people, and as a program."""

from .explanation import Explanation, explain
from .lines import Line, Step
from .source import source

__all__ = ["Explanation", "Line", "Step", "explain", "source"]
