"""Gradients by function values alone: oracles that know nothing of automatic rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autograd_mini.core.tensor import Tensor
from autograd_mini.trace import trace

__all__ = ["numerical_gradient"]

Function = Callable[[Any], SupportsFloat]


def numerical_gradient(
    f: Function, x: ArrayLike, *, method: str = "central", eps: float | None = None
) -> NDArray[Any]:
    r"""Return the gradient of `f` at `x`, computed from values of `f`.

    =================  ===================================  =====================================
    method             element i of the gradient            right to, in float64 on smooth `f`
    =================  ===================================  =====================================
    ``"central"``      (f(x + h e_i) - f(x - h e_i)) / 2h   some 10 digits; two evaluations
    ``"richardson"``   the limit of that for h to 0         some 12 digits; 8 to 60 evaluations
    ``"complex"``      Im f(x + i h e_i) / h                rounding; one evaluation
    =================  ===================================  =====================================

    Here ``e_i`` is 1 at element i and 0 elsewhere.

    Parameters
    ----------
    f : callable
        Takes an array of the shape and dtype of `x` and returns one number: a ``float``, an array
        of shape ``()``, or anything else that ``float()`` takes. It must compute with its argument
        (not with an `x` from outside); it gets a fresh copy at every call and may change that.
        For ``"complex"`` it must be written in what works on `autograd_mini.Tensor`.
    x : array_like of float32 or float64, any shape
        Where to take the gradient; never changed.
    method : {"central", "richardson", "complex"}
        See above.
    eps : float, optional
        The step h, the same for all elements; the largest step of ``"richardson"``. By default
        each element has its own, by the dtype and size of ``x[i]``:
        :math:`\epsilon^{1/3} \max(1, |x_i|)` where :math:`\epsilon` is the machine epsilon;
        ``"richardson"`` begins at :math:`0.1 \max(1, |x_i|)`; ``"complex"`` takes
        :math:`\epsilon^2 |x_i|`, but at least the square root of the smallest normal number.

    Returns
    -------
    ndarray
        The gradient, of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64.
    ValueError
        If `x` holds NaN or infinity, if `f` does not return one real number, if `method` is none
        of the three, or if `eps` is not positive and finite or so small that ``x + eps`` rounds to
        ``x``. For ``"complex"``: if the trace of `f` has an op that is not a complex-analytic
        function, or if `f` does something that the trace does not show.

    Notes
    -----
    The error of a central difference is about :math:`h^2 |f'''| / 6` from the missing terms of the
    Taylor series and :math:`\epsilon |f| / h` from rounding. Their sum is smallest near
    :math:`h = \epsilon^{1/3}`, where some ten of sixteen digits are right in float64 and four or
    five of seven in float32 (Press et al., *Numerical Recipes*, 3rd edition, section 5.7). As
    there, h is then replaced by ``(x + h) - x``, so that the step divided by is the step taken.

    The limit is found by Richardson's extrapolation: a Neville table in :math:`h^2` over falling
    steps, of which the entry that differs least from its neighbours is taken (Ridders, "Accurate
    computation of F'(x) and F'(x)F''(x)", Advances in Engineering Software 4, 1982).

    The complex step has no subtraction and hence no rounding error to speak of (Squire and Trapp,
    "Using complex variables to estimate derivatives of real functions", SIAM Review 40, 1998), but
    on ``abs``, ``max`` and comparisons it is wrong without a sign of it. So `f` is traced first.

    Examples
    --------
    >>> def f(x):
    ...     return np.sum(np.square(x))
    >>> numerical_gradient(f, np.array([1.0, -3.0])).round(6)
    array([ 2., -6.])
    >>> numerical_gradient(f, np.array([1.0, -3.0]), method="complex")
    array([ 2., -6.])
    """
    x = np.asarray(x)
    if x.dtype.type not in (np.float32, np.float64):
        raise TypeError(
            f"x must be an array of float32 or float64, got {x.dtype}: write x.astype(np.float64)"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"x must be finite, got {x[~np.isfinite(x)][0]} among its elements")
    if eps is not None and not 0 < eps < np.inf:
        raise ValueError(f"eps must be positive and finite, got {eps}")
    if method == "complex":
        return _complex_steps(f, x, eps)
    if method not in ("central", "richardson"):
        raise ValueError(f'method must be "central", "richardson" or "complex", got {method!r}')
    derivative = _central if method == "central" else _richardson
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        gradient[index] = derivative(f, x, index, eps)
    return gradient


# ---- differences --------------------------------------------------------------------------------


def _central(f: Function, x: NDArray[Any], index: tuple[int, ...], eps: float | None) -> float:
    """Return the derivative by one element from one central difference."""
    wanted = np.cbrt(np.finfo(x.dtype).eps) * max(1, abs(float(x[index]))) if eps is None else eps
    h = _step(x, index, wanted, eps)
    return (_value(f, x, index, h) - _value(f, x, index, -h)) / (2 * float(h))


def _richardson(f: Function, x: NDArray[Any], index: tuple[int, ...], eps: float | None) -> float:
    """Return the derivative by one element, extrapolated to a step of 0."""
    precision = float(np.finfo(x.dtype).eps)
    steps, limit = falling_steps(abs(float(x[index])), precision, eps), Limit(power=2)

    def difference(wanted: float) -> tuple[float, float, float]:
        h = _step(x, index, wanted, eps)
        above, below = _value(f, x, index, h), _value(f, x, index, -h)
        noise = 4 * precision * max(abs(above), abs(below)) / float(h)
        return float(h), (above - below) / (2 * float(h)), noise

    with np.errstate(all="ignore"):  # coarse steps may leave the domain of f
        for step in steps:
            now = limit.add(*difference(step))
            if now.error <= precision**0.75 * abs(now.value):
                _, fine, noise = difference(steps[-1])
                if abs(fine - now.value) <= 10 * noise + 1e-3 * abs(now.value):
                    return now.value
    return limit.estimates[limit.settled()].value


def _step(
    x: NDArray[Any], index: tuple[int, ...], wanted: float, eps: float | None
) -> np.floating[Any]:
    """Return a step from ``x[index]`` that loses nothing when added to it."""
    at = x[index]
    step: np.floating[Any] = (at + x.dtype.type(wanted)) - at
    if step == 0:
        raise ValueError(
            f"eps={eps} is lost in rounding beside x[{', '.join(map(str, index))}] = {at} in "
            f"{x.dtype}: take a larger one, or leave it out"
        )
    return step


def _value(f: Function, x: NDArray[Any], index: tuple[int, ...], change: np.floating[Any]) -> float:
    """Return ``f`` at a copy of ``x`` in which one element is changed."""
    point = x.copy()
    point[index] += change
    return _number(f(point))


def _number(value: Any) -> float:
    """Return what ``f`` gave as a number."""
    shape = getattr(value, "shape", ())
    if shape != ():
        raise ValueError(
            f"f must return one number, got an array of shape {tuple(shape)}: reduce it, for "
            "instance with np.sum"
        )
    if getattr(getattr(value, "dtype", None), "kind", None) == "c":
        raise ValueError(f"f must return a real number, got {value}")
    try:
        return float(value)
    except TypeError:
        raise ValueError(f"f must return one number, got {type(value).__name__}") from None


# ---- extrapolation ------------------------------------------------------------------------------


class Estimate(NamedTuple):
    """A number that was computed, and about how wrong it can be."""

    value: float
    error: float


NOTHING = Estimate(np.nan, np.inf)


def falling_steps(size: float, precision: float, largest: float | None = None) -> list[float]:
    """Steps from coarse to fine, for nobody knows at what scale a function varies.

    They begin at a tenth of ``max(1, size)``, where ``size`` is the magnitude of the argument, and
    end where they are just large enough to have two digits beside it.  Each is at most half the
    one before.
    """
    first, lost = largest or 0.1 * max(1.0, size), 64 * precision * size
    if first < 8 * lost:
        raise ValueError(
            f"eps={largest} is lost in rounding beside {size}: take at least {8 * lost:.1g}, or "
            f"leave it out"
        )
    if largest:
        last = max(lost, first / 512)
    else:
        last = max(lost, 1e-20 * first) if size else precision ** (2 / 3)
    count = min(26, 1 + int(np.log2(first / last)))
    return np.geomspace(first, last, count).tolist()  # type: ignore[no-any-return]


class Limit:
    """The limit of values at falling steps h for h to 0: a Neville table in ``h**power``.

    ``power`` is 2 for central differences, whose error is a series in the squares of h, and 1 for
    one-sided ones.
    """

    def __init__(self, power: int) -> None:
        self.power = power
        self.estimates: list[Estimate] = []
        self._steps: list[float] = []
        self._row: list[float] = []

    def add(self, step: float, value: float, noise: float) -> Estimate:
        """Take the value at the next step, known to within ``noise``, and estimate the limit."""
        above, row, best = self._row, [value], NOTHING
        for known, earlier in zip(above[:5], self._steps[::-1], strict=False):
            weight = (earlier / step) ** self.power - 1
            row.append(row[-1] + (row[-1] - known) / weight)
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - known))
            if error < best.error:
                best = Estimate(row[-1], error)
        before = self.estimates[-1].value if self.estimates else np.nan
        error = noise + max(abs(best.value - before), best.error)  # two rows in a row must agree
        now = Estimate(best.value, error if np.isfinite(error) else np.inf)
        self._steps.append(step)
        self._row = row
        self.estimates.append(now)
        return now

    def settled(self, floors: Sequence[float] = ()) -> int:
        """Which estimate is best, unless a finer step contradicts it.

        Over coarse steps a function that varies on a finer scale can look smooth, and is not.
        ``floors`` are errors that the estimates have at least.
        """
        best, which = NOTHING, 0
        for i, (value, error) in enumerate(self.estimates):
            now = Estimate(value, max([error, *floors[i : i + 1]]))
            contradicts = abs(now.value - best.value) > 10 * (now.error + best.error)
            if now.error < best.error or contradicts:
                best, which = now, i
        return which


# ---- the complex step ---------------------------------------------------------------------------


def _complex_steps(f: Function, x: NDArray[Any], eps: float | None) -> NDArray[Any]:
    """Return the gradient by complex steps, if the trace of ``f`` allows them."""
    _refuse_unless_analytic(f, x)
    limits = np.finfo(x.dtype)
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        h = eps or max(float(limits.eps) ** 2 * abs(float(x[index])), float(limits.tiny) ** 0.5)
        point = x.astype(np.result_type(x.dtype, np.complex64))
        point[index] += 1j * h
        try:
            value: Any = f(Tensor(point))
        except TypeError as error:
            raise ValueError(f"f does not take complex numbers: {error}. {INSTEAD}") from error
        if value.dtype.kind != "c":
            raise ValueError(f"f makes a real number of a complex one on the way. {INSTEAD}")
        gradient[index] = value.data.imag / h
    _refuse_unless_confirmed(f, x, gradient)
    return gradient


INSTEAD = 'Use method="richardson"'


def _refuse_unless_analytic(f: Function, x: NDArray[Any]) -> None:
    """Raise unless ``f`` is a number made by analytic ops that the trace shows."""
    with trace() as run:
        try:
            value: Any = f(Tensor(x.copy(), requires_grad=True, name="x"))
        except TypeError as error:
            raise ValueError(
                f"the complex step needs an f that runs on ag.Tensor, and this one does not: "
                f"{error}. {INSTEAD}"
            ) from error
    _number(value)
    if not (isinstance(value, Tensor) and value.requires_grad):
        raise ValueError(
            f"f returned {type(value).__name__} with no history, so nobody can see whether the "
            f"complex step holds for what it does. {INSTEAD}"
        )
    for call in run.calls:
        if not call.primitive.analytic:
            at = f" at {call.source}: {call.source.text}" if call.source else ""
            raise ValueError(
                f"{call.primitive.name}{at} is not a complex-analytic function, so the complex "
                f"step would be wrong. {INSTEAD}"
            )


def _refuse_unless_confirmed(f: Function, x: NDArray[Any], gradient: NDArray[Any]) -> None:
    """Raise if differences along one direction contradict: some of ``f`` is not in its trace."""
    precision = float(np.finfo(x.dtype).eps)
    direction = np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)
    limit = Limit(power=2)
    for h in falling_steps(float(np.max(np.abs(x), initial=0)), precision):
        change = x.dtype.type(h) * direction
        with np.errstate(all="ignore"):  # coarse steps may leave the domain of f
            above, below = _number(f(Tensor(x + change))), _number(f(Tensor(x - change)))
        noise = 4 * precision * max(abs(above), abs(below)) / h
        limit.add(h, (above - below) / (2 * h), noise)
    found, slope = limit.estimates[limit.settled()], float(np.sum(gradient * direction))
    if abs(found.value - slope) > 10 * found.error + 1e-3 * abs(slope):
        raise ValueError(
            f"along a random direction the complex step gives {slope:.6g} and differences "
            f"{found.value:.6g}: f does something that its trace does not show. {INSTEAD}"
        )
