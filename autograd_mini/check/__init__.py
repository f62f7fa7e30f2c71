"""Checking gradients: numerically, and those that were derived by hand."""

from .compare import Comparison, compare
from .gradcheck import GradcheckReport, gradcheck
from .numerical import numerical_gradient
from .point import PointQuality, good_point, point_quality
from .report import GradientError, Report

__all__ = [
    "Comparison",
    "GradcheckReport",
    "GradientError",
    "PointQuality",
    "Report",
    "compare",
    "good_point",
    "gradcheck",
    "numerical_gradient",
    "point_quality",
]
