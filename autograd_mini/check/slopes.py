"""The numerical derivative of a recorded cost by any value of the run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..trace import Value
from ..trace.replay import Array, Replay
from .numerical import numerical_gradient

FULL = 64  # elements; above, projections on random directions
DIRECTIONS = 3
COMPLEX_STEP = 1e-30


class Agreement(NamedTuple):
    """How far a gradient is from the numerical one."""

    off: float  # relative to the largest element
    difference: float  # of any element, or along any direction
    is_exact: bool  # whether the numerical one is right to rounding


def numerical_agreement(replay: Replay, value: Value, gradient: Array) -> Agreement | None:
    """How far a gradient is from the numerical one.

    None if the graph did not keep what it takes to compute the cost again.

    Where all ops that the value goes through are analytic, the complex step is taken, which is
    exact to rounding (Squire and Trapp, "Using complex variables to estimate derivatives of real
    functions", 1998); otherwise central differences.
    """
    if not replay.is_faithful:
        return None
    calls = replay.after(value)
    analytic = all(call.primitive.analytic for call in calls)
    at = value.array.astype(float)

    def cost(x: Array) -> Array:
        return replay.forward(calls, {value: x})[replay.cost]

    def slope(direction: Array) -> float:
        if analytic:
            return float(np.imag(cost(at + 1j * COMPLEX_STEP * direction)).item() / COMPLEX_STEP)
        along = numerical_gradient(lambda t: cost(at + t * direction).item(), 0.0)
        return float(along)

    if at.size <= FULL:
        directions = list(np.eye(at.size).reshape(at.size, *at.shape))
    else:
        rng = np.random.default_rng(0)
        directions = list(rng.standard_normal((DIRECTIONS, *at.shape)) / np.sqrt(at.size))
    with np.errstate(all="ignore"):
        found = np.array([slope(direction) for direction in directions])
    expected = np.array([np.vdot(direction, gradient) for direction in directions])
    scale = np.max(np.abs(found), initial=0)
    off = np.max(np.abs(found - expected), initial=0)
    return Agreement(float(off / scale) if scale else float(off), float(off), analytic)
