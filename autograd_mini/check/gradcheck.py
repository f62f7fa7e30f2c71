"""Is a gradient right?  Autodiff against function values, with a verdict that says why."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autograd_mini.check.numerical import Estimate, Limit, falling_steps
from autograd_mini.check.report import Report, plain
from autograd_mini.core.tensor import Tensor, unwrapped
from autograd_mini.functional import grad, value_and_grad
from autograd_mini.refusals import described

__all__ = ["GradcheckReport", "gradcheck"]

Array = NDArray[Any]

LARGEST_FULL = 256  # elements up to which each is checked by itself
DIRECTIONS = 6  # random ones for larger inputs
PARTS = 24  # of a larger input in float32, in each of which one wrong element is to be seen
RIGHT_RATE = 1.25  # between 1, which a wrong gradient gives, and 2, which a right one gives
STANDING = 4  # so many steps, each at most half the one before, over which a jump stays what it is


def gradcheck(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> GradcheckReport:
    r"""Check the gradients that autodiff finds for a function against values of the function.

    Parameters
    ----------
    f : callable
        Takes what `inputs` are, as Tensors, and returns one number, or an array of any shape: then
        the gradients of a fixed random combination of its elements are checked.
    *inputs : Tensor, array_like or float
        Where to check: float32 or float64 of any shape; never changed.
    order : {1, 2}
        2 checks also the derivative of the gradient along a random direction.
    names : sequence of str, optional
        What the report calls the inputs; by default the names of the Tensors, or else of the
        parameters of `f`.
    seed : int
        Of all random choices.

    Returns
    -------
    GradcheckReport
        True if all gradients are right.  Each gets one of these verdicts, with the evidence:

        - ``right``: it agrees with differences of `f` to rounding;
        - ``wrong``: it does not, by so much, mostly there;
        - ``kink``: the slopes on both sides of the point differ, and autodiff's is between them;
        - ``jump``: the value of `f` at the point is not the limit of its values beside it, so that
          there is no derivative, whatever autodiff says;
        - ``noisy``: differences at falling steps do not settle, so that an error of a hundredth of
          the largest element (in float32 a twentieth) could hide: because `f` is rough, or because
          the rounding of its values alone hides as much, and the evidence says which;
        - ``not deterministic``: `f` gave two values at one point;
        - ``overflow``: NaN or infinity in the value of `f` or in the gradient.

    Raises
    ------
    TypeError
        If an input is not float32 or float64, or `f` does not return numbers.
    ValueError
        If an input holds NaN or infinity, there is none, `order` is not 1 or 2, or there are not
        as many `names` as inputs.

    Notes
    -----
    With g the gradient of autodiff, all evidence is in the remainder of Taylor's theorem,

    .. math:: R(h) = f(x + h v) - f(x) - h \langle g, v \rangle,

    along v: each unit vector, or random directions where there are more than 256 elements, in
    float32 in parts of them, too.  If g is right, R(h) falls as :math:`h^2`, else as h: the *Taylor
    rate* in the report is that exponent (Farrell, Ham, Funke and Rognes, "Automated derivation of
    the adjoint of high-level transient finite element programs", SIAM J. Sci. Comput. 35, 2013).
    The limit of R(h)/h for h
    to 0 is what g lacks; it is extrapolated from falling steps on both sides, with an estimate of
    its own error (Ridders 1982, see `numerical_gradient`).

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> gradcheck(lambda W, x: np.sum(np.tanh(W @ x)), np.array([[0.5, -1.0]]), np.ones(2)).ok
    True
    >>> cube = ag.elementwise(lambda x: x**3, "$x^3", name="cube", x=lambda g, x: g * 2 * x**2)
    >>> report = gradcheck(lambda x: np.sum(cube(x)), np.array([1.0, 2.0]))
    >>> print(report)
    gradcheck of 1 gradient: 1 wrong
    <BLANKLINE>
    gradient  verdict  difference  worst at  autodiff  numerical  rate
    --------  -------  ----------  --------  --------  ---------  ----
    df/dx     wrong    3e-01       x[1]      8         12         1.0
    <BLANKLINE>
    df/dx is wrong in 2 of 2 elements, most at x[1]: autodiff says 8, the differences say 12.
    rate: with which power of h the Taylor remainder falls; 2 for a right gradient, 1 for a wrong.
    """
    arrays = [_checked(x, i) for i, x in enumerate(inputs)]
    if not arrays:
        raise ValueError("there is no input to differentiate by: write gradcheck(f, x)")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    if names is not None and len(names) != len(arrays):
        raise ValueError(f"{len(names)} names for {len(arrays)} inputs")
    called = list(names) if names is not None else _names(f, inputs)
    rng = np.random.default_rng(seed)

    first = _Scalar(f, arrays, called, rng)
    findings = _findings(first, 1, rng)
    if order == 2:
        ways = [rng.standard_normal(a.shape).astype(a.dtype) for a in arrays]

        def along(*tensors: Any) -> Any:
            gradients = grad(first.combined, range(len(tensors)))(*tensors)
            return sum(np.sum(g * way) for g, way in zip(gradients, ways, strict=True))

        findings += _findings(_Scalar(along, arrays, called, rng), 2, rng)
    return GradcheckReport(findings, first.shape)


def _checked(x: Any, number: int) -> Array:
    """Return a copy of an input as an array, if it is one to differentiate by."""
    array = np.array(unwrapped(x))
    what = f"input {number} ({described(x)})" if hasattr(x, "dtype") else f"input {number} ({x!r})"
    if array.dtype.kind in "biu":
        write = "x.astype(np.float64)" if array.ndim else f"{float(array)}"
        raise TypeError(f"{what} holds integers, which have no derivative: write {write}")
    if array.dtype.type not in (np.float32, np.float64):
        raise TypeError(f"{what} must be float32 or float64: write x.astype(np.float64)")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} must be finite, and holds {array[~np.isfinite(array)][0]}")
    return array


def _names(f: Any, inputs: Sequence[Any]) -> list[str]:
    """Return what to call the inputs: a Tensor's name, a parameter's, or x0, x1, ..."""
    parameters = inspect.signature(f).parameters.values() if isinstance(f, FunctionType) else ()
    names = [x.name for x in parameters if x.kind <= x.POSITIONAL_OR_KEYWORD][: len(inputs)]
    names += [f"x{i}" for i in range(len(names), len(inputs))]
    return [getattr(x, "name", None) or name for x, name in zip(inputs, names, strict=True)]


# ---- the function and its remainder -------------------------------------------------------------


class _Scalar:
    """The function as one number that depends on arrays, with its gradient by autodiff."""

    def __init__(
        self, f: Callable[..., Any], arrays: list[Array], names: list[str], rng: np.random.Generator
    ) -> None:
        self.f, self.arrays, self.names = f, arrays, names
        self.weights: Any = None
        at_x = self.outputs(arrays)
        self.shape = at_x.shape
        if at_x.size != 1:
            self.weights = rng.standard_normal(at_x.shape).astype(at_x.dtype)
        self.value, self.magnitude = self.number(at_x)
        self.precision = max(
            float(np.finfo(a.dtype).eps) for a in (at_x, *arrays) if a.dtype.kind == "f"
        )
        self.fine = self.precision < 1e-10

    def outputs(self, arrays: Sequence[Array]) -> Array:
        """What the function returns at copies of arrays."""
        pairs = zip(arrays, self.names, strict=True)
        with np.errstate(all="ignore"):
            y = self.f(*[Tensor(a.copy(), requires_grad=True, name=name) for a, name in pairs])
        y = np.asarray(unwrapped(y))
        if y.dtype.kind not in "biuf":
            raise TypeError(f"f must return real numbers, and gave {y.dtype}")
        return y

    def number(self, outputs: Array) -> tuple[float, float]:
        """The one number, and the magnitude that its rounding errors go by."""
        parts = outputs.astype(np.float64)
        if self.weights is not None:
            parts = parts * self.weights
        with np.errstate(all="ignore"):
            return float(np.sum(parts)), norm(parts)

    def combined(self, *tensors: Any) -> Any:
        """The one number, recorded."""
        y = self.f(*tensors)
        return y if self.weights is None else np.sum(y * self.weights)

    def gradients(self) -> list[Array]:
        """The gradients that autodiff finds."""
        wrt = range(len(self.arrays))
        with np.errstate(all="ignore"):
            _, found = value_and_grad(self.combined, wrt)(*[a.copy() for a in self.arrays])
        return [np.asarray(g) for g in found]

    def repeats(self) -> str:
        """What the function gives at the same point again if it is something else, or nothing."""
        again, _ = self.number(self.outputs(self.arrays))
        off = abs(again - self.value) > self.precision ** (2 / 3) * self.magnitude
        return f"{self.value:.10g} and then {again:.10g}" if off else ""


def agrees(defect: Estimate) -> bool:
    """Whether what a gradient lacks may be zero."""
    return abs(defect.value) <= 10 * defect.error


def refined(estimates: Sequence[Estimate], i: int) -> bool:
    """Whether an estimate that fits the one at ``i``, and is sharper, is not zero."""
    value, error = estimates[i]
    return any(
        e.error < error and abs(e.value - value) <= 10 * (e.error + error) and not agrees(e)
        for e in estimates
    )


def gap(changes: Sequence[float], noise: float, steps: int = STANDING) -> float:
    """How far a function jumps, which changes by so much over falling steps; 0 if it does not."""
    last = changes[-steps:]
    stands = len(last) == steps and max(last) - min(last) <= 0.1 * max(last)
    return last[-1] if stands and min(last) > 20 * noise else 0.0


class _Probe:
    """The remainder of Taylor's theorem along one direction in one input, at falling steps."""

    def __init__(
        self,
        scalar: _Scalar,
        which: int,
        gradient: Array,
        direction: Array,
        steep: float,
        whole: bool = False,
    ) -> None:
        self.direction = direction
        self.slope = float(np.sum(gradient.astype(np.float64) * direction))
        self.steps: list[float] = []
        self.remainders: list[float] = []
        self.quotients: list[float] = []
        self.noise: list[float] = []
        defect, after, before = Limit(power=2), Limit(power=1), Limit(power=1)
        x, precision = scalar.arrays[which], scalar.precision
        noise = 0.0
        changes: list[float] = []
        above_and_below: list[tuple[float, float]] = []
        agreeing: list[int] = []
        size = float(np.max(np.abs(x[direction != 0])))
        for h in falling_steps(size, precision):
            (up, *above), (down, *below) = (
                self._remainder(scalar, which, gradient, step) for step in (h, -h)
            )
            changes += above[0], below[0]
            above_and_below.append((above[0], below[0]))
            here = 4 * precision * max(scalar.magnitude, above[1], below[1])
            if up == down == noise == 0:
                here = 0.0  # a function that does not vary has no rounding errors
            noise = max(noise, here)  # what was rounded on the way to f may be larger than f
            self.steps.append(h)
            self.remainders.append(up)
            self.quotients.append(self.slope + (up - down) / (2 * h))
            self.noise.append(noise)
            now = defect.add(h, (up - down) / (2 * h), here / h)
            after.add(h, up / h, here / h)
            before.add(h, -down / h, here / h)
            if agrees(now) and 10 * now.error <= precision**0.25 * steep:
                agreeing.append(len(self.steps) - 1)
                sharp = precision ** (2 / 3) * max(abs(self.slope), 1e-3 * steep)
                stands = max(gap(side, noise, 2) for side in zip(*above_and_below, strict=True))
                if now.error <= sharp and not whole and not stands:
                    break
        self.gap = max(gap(side, noise) for side in zip(*above_and_below, strict=True))
        if self.steps[-1] > 0.01 * size > 0:
            self.gap = 0.0  # steps that are no smaller than x see what f does elsewhere
        moving = [change for change in changes if change > 0]
        quantum = min(moving, default=0.0) if len(moving) < len(changes) else 0.0
        if quantum > 64 * precision * max(1.0, size):
            quantum = 0.0  # f is constant beside the point, and not for rounding
        self.noise = [max(noise, quantum) for noise in self.noise]
        floors = [noise / h for noise, h in zip(self.noise, self.steps, strict=True)]
        finest = defect.estimates[defect.settled()]
        agreeing = [i for i in agreeing if not refined(defect.estimates, i)]
        best = min(agreeing, key=lambda i: defect.estimates[i].error, default=-1)
        best = best if agreeing else defect.settled(floors)
        self.defect, self.after, self.before = (
            limit.estimates[best] for limit in (defect, after, before)
        )
        if not agreeing:
            self.defect = self.defect._replace(error=max(self.defect.error, floors[best]))
        settled = self.defect.error <= max(1e-3 * abs(self.numerical), 25 * floors[best])
        self.agrees = bool(agreeing) or agrees(finest)
        self.refutes = settled and not self.agrees

    def _remainder(
        self, scalar: _Scalar, which: int, gradient: Array, step: float
    ) -> tuple[float, float, float]:
        """The remainder one step along the direction, how f changes on it, and its magnitude."""
        x = scalar.arrays[which]
        moved = (x + step * self.direction).astype(x.dtype)
        taken = moved.astype(np.float64) - x
        arrays = [*scalar.arrays[:which], moved, *scalar.arrays[which + 1 :]]
        value, magnitude = scalar.number(scalar.outputs(arrays))
        change = value - scalar.value
        return change - float(np.sum(gradient * taken)), abs(change), magnitude

    @property
    def numerical(self) -> float:
        """The derivative along the direction by differences."""
        return self.slope + self.defect.value

    @property
    def off(self) -> float:
        """By how much autodiff and differences differ."""
        return abs(self.defect.value)

    @property
    def bend(self) -> float:
        """By how much the slopes on both sides differ."""
        return abs(self.after.value - self.before.value)

    @property
    def kink(self) -> bool:
        """Whether the slopes on both sides differ, and autodiff's is one of them or between."""
        error = 10 * (self.after.error + self.before.error)
        low, high = sorted((self.after.value, self.before.value))
        return self.bend > error and low - error <= 0 <= high + error

    @property
    def may_be_kink(self) -> bool:
        """Whether a kink nearby, which differences cannot tell from noise, could explain them."""
        error = self.after.error + self.before.error
        low, high = sorted((self.after.value, self.before.value))
        return low - error <= 0 <= high + error

    @property
    def rate(self) -> float | None:
        """The power of h with which the remainder falls; None where it is rounding alone."""
        seen = [
            (h, abs(r))
            for h, r, noise in zip(self.steps, self.remainders, self.noise, strict=True)
            if np.isfinite(r) and abs(r) > 20 * noise
        ]
        slopes = [np.log(r0 / r1) / np.log(h0 / h1) for (h0, r0), (h1, r1) in pairwise(seen)]
        return float(np.median(slopes[-6:])) if len(slopes) > 1 else None


# ---- verdicts -----------------------------------------------------------------------------------


class Finding(NamedTuple):
    """What was found about the gradient by one input."""

    quantity: str
    order: int
    shape: tuple[int, ...]
    dtype: str
    verdict: str
    evidence: str = ""
    where: str = ""  # the element, or which other direction, that the numbers belong to
    autodiff: float = np.nan
    numerical: float = np.nan
    difference: float = np.nan  # relative to the largest element
    rate: float | None = None


def _findings(scalar: _Scalar, order: int, rng: np.random.Generator) -> list[Finding]:
    """Judge the gradients of a function by all its inputs."""
    symbol = "df" if order == 1 else "d2f"
    about = [
        (f"{symbol}/d{name}", order, array.shape, str(array.dtype))
        for name, array in zip(scalar.names, scalar.arrays, strict=True)
    ]
    if not np.isfinite(scalar.value):
        quantity = "f" if order == 1 else "the gradient of f along a direction"
        text = f"{quantity} is {scalar.value} at this point, so it has no gradient there."
        return [Finding(*it, "overflow", f"{it[0]}: {text}") for it in about]
    found: list[Finding] = []
    repeats = scalar.repeats()
    if not repeats:
        gradients = scalar.gradients()
        found = [
            Finding(*it, **_Judge(scalar, i, it[0], gradients[i], rng).judge())
            for i, it in enumerate(about)
        ]
        repeats = scalar.repeats()
    if repeats:
        text = (
            f"f gave {repeats} at the same point: seed its random numbers anew in each call, and "
            "let it keep nothing from one call to the next."
        )
        return [Finding(*it, "not deterministic", f"{it[0]}: {text}") for it in about]
    return found


class _Judge:
    """Comes to a verdict about the gradient by one input, with the evidence for it."""

    def __init__(
        self, scalar: _Scalar, which: int, quantity: str, gradient: Array, rng: np.random.Generator
    ) -> None:
        self.scalar, self.which, self.quantity, self.rng = scalar, which, quantity, rng
        self.gradient = gradient
        self.each = gradient.size <= LARGEST_FULL  # element by element, or along directions
        self.steep = 0.0  # the largest element of the gradient, or its length

    def judge(self) -> dict[str, Any]:
        """Return the fields of a `Finding` from the verdict on."""
        if not self.gradient.size:
            return {"verdict": "right"}
        bad = np.argwhere(~np.isfinite(self.gradient))
        if len(bad):
            return self.overflow(tuple(bad[0].tolist()))
        self.steep = float(np.abs(self.gradient).max()) if self.each else norm(self.gradient)
        probes = [self.probe(direction) for direction in self.directions()]
        clear = [abs(p.numerical) for p in probes if p.defect.error <= 0.01 * abs(p.numerical)]
        scale = max([self.steep, *clear])
        jumps = [p for p in probes if p.gap]
        if jumps:
            return self.jump(max(jumps, key=lambda p: p.gap))
        disagreeing = [p for p in probes if p.off > self.tolerance(p)]
        # Along a part each element moves further: what is not settled there says nothing.
        parts = [self.probe(x) for x in self.parts()]
        disagreeing_parts = [p for p in parts if p.off > self.tolerance(p)]
        wrong = [p for p in disagreeing + disagreeing_parts if p.refutes and not p.kink]
        if not self.scalar.fine:
            wrong = [p for p in wrong if not p.may_be_kink]
        if wrong:
            of_wrong = self.probe(self.towards(wrong), whole=True).rate
            worst = max(wrong, key=lambda p: p.off)
            whole = worst.off > 0.01 * max(abs(worst.slope), abs(worst.numerical))
            small = worst.off <= 10 * self.tolerance(worst)
            if of_wrong is None or of_wrong < RIGHT_RATE or not (small or whole):
                return self.wrong(worst, len(wrong), len(probes + parts), of_wrong)
            if not whole:
                disagreeing = []  # the remainder falls as it should: these are rounding errors
        rate = self.probe(self.random(), whole=True).rate
        kinks = [p for p in probes if p.kink and p.bend > self.tolerance(p)]
        if kinks:
            return self.kink(max(kinks, key=lambda p: p.bend), rate)
        visible = max(0.01, 3 * self.scalar.precision**0.25) * scale  # a hundredth, or a twentieth
        unclear = [p for p in probes if not p.defect.error <= visible]
        rounding = self.scalar.precision * self.scalar.magnitude
        least = rounding if self.scalar.fine else 0.0  # in float32 that could be anything
        zero = self.steep <= least and all(p.agrees and p.off <= 10 * least for p in probes)
        if zero:  # but for the rounding of f, unless that hides what anybody would want to see
            unclear = [] if rounding <= self.scalar.precision**0.5 else [*probes]
        unclear += [p for p in probes if self.contradicts(p)]
        if disagreeing or unclear:
            return self.noisy(max(disagreeing + unclear, key=lambda p: p.defect.error), rate)
        worst = max(probes, key=lambda p: p.off)
        linear = f"{self.quantity}: f is linear to rounding: its Taylor remainder has no rate."
        return self.found("right", worst, rate, "" if rate is not None else linear)

    # -- where to look --

    def probe(self, direction: Array, whole: bool = False) -> _Probe:
        """The remainder along a direction."""
        return _Probe(self.scalar, self.which, self.gradient, direction, self.steep, whole)

    def directions(self) -> Iterator[Array]:
        """The elements of a small input, random directions in a large one."""
        if not self.each:
            yield from (self.random() for _ in range(DIRECTIONS))
            return
        for index in np.ndindex(self.gradient.shape):
            yield self.unit(index)

    def parts(self) -> Iterator[Array]:
        """Random directions in parts of an input in float32, all of which would hide an element."""
        if self.each or self.scalar.fine:
            return
        places = np.array_split(self.rng.permutation(self.gradient.size), PARTS)
        for some in places:
            direction = np.zeros(self.gradient.size)
            direction[some] = self.rng.choice([-1.0, 1.0], len(some))
            yield normalised(direction.reshape(self.gradient.shape))

    def unit(self, index: tuple[int, ...]) -> Array:
        """The direction of one element."""
        direction = np.zeros(self.gradient.shape)
        direction[index] = 1
        return direction

    def random(self) -> Array:
        """A random direction that goes along the gradient by half, so that `f` varies there."""
        along = self.gradient / (norm(self.gradient) or 1)
        aside = self.rng.standard_normal(self.gradient.shape)
        if np.sum(along * aside) < 0:
            aside = -aside
        return normalised(along + aside / norm(aside))

    def towards(self, wrong: Sequence[_Probe]) -> Array:
        """The direction in which the gradient is most wrong, so far as is known."""
        return normalised(sum(p.defect.value * p.direction for p in wrong))

    def located(self, probe: _Probe, size: Callable[[_Probe], float]) -> _Probe:
        """The probe of one element that has a part in what was found along a direction."""
        places = np.argwhere(probe.direction)
        while len(places) > 1:
            halves = []
            for half in np.array_split(places, 2):
                part = np.zeros_like(probe.direction)
                part[tuple(half.T)] = probe.direction[tuple(half.T)]
                share = size(self.probe(normalised(part))) * norm(part)
                halves.append((share, half))
            places = max(halves, key=lambda pair: pair[0])[1]
        return self.probe(self.unit(tuple(places[0].tolist())), whole=True)

    # -- what to say --

    def tolerance(self, probe: _Probe) -> float:
        """How far autodiff and differences may differ by the rounding errors of both."""
        rounding = float(self.scalar.precision ** (2 / 3)) * self.steep
        return 10 * probe.defect.error + rounding

    def contradicts(self, probe: _Probe) -> bool:
        """Whether differences that are known well are not what autodiff says, but for rounding."""
        size = max(abs(probe.slope), abs(probe.numerical))
        rounding = 1e3 * self.scalar.precision * self.steep
        if size > 0.01 * self.steep and not probe.kink:  # a number that a reader compares
            return probe.off > max(0.01 * size, rounding)
        return probe.off > max(0.01 * size, 10 * probe.defect.error, rounding)

    def place(self, probe: _Probe) -> str:
        """The element of a probe in the user's notation."""
        places: Any = np.argwhere(probe.direction).tolist()
        if len(places) > 1:
            return "a random direction"
        return f"{self.scalar.names[self.which]}{places[0] or ''}"

    def found(
        self, verdict: str, probe: _Probe, rate: float | None, evidence: str
    ) -> dict[str, Any]:
        """A finding with the numbers of a probe."""
        largest = np.abs(self.gradient).max() if np.sum(probe.direction != 0) == 1 else self.steep
        scale = max(float(largest), abs(probe.numerical))
        return {
            "verdict": verdict,
            "evidence": evidence,
            "where": self.place(probe),
            "autodiff": probe.slope,
            "numerical": probe.numerical,
            "difference": probe.off / scale if scale else 0.0,
            "rate": rate,
        }

    def overflow(self, index: tuple[int, ...]) -> dict[str, Any]:
        """Not a number, or infinite: what differences say instead."""
        value = float(self.gradient[index])
        self.gradient = np.zeros_like(self.gradient)
        probe = self.probe(self.unit(index))
        text = (
            f"{self.quantity}: autodiff says {value} at {self.place(probe)}, the differences say "
            f"{probe.numerical:.6g}. ag.debug() names the line that makes it."
        )
        return {
            **self.found("overflow", probe, None, text),
            "autodiff": value,
            "difference": np.nan,
        }

    def wrong(self, worst: _Probe, count: int, of: int, rate: float | None) -> dict[str, Any]:
        """By how much and where."""
        what = f"{of} elements" if self.each else f"{of} random directions"
        worst = worst if self.each else self.located(worst, lambda p: p.off)
        text = (
            f"{self.quantity} is wrong in {count} of {what}, most at {self.place(worst)}: autodiff "
            f"says {worst.slope:.6g}, the differences say {worst.numerical:.6g}."
        )
        return self.found("wrong", worst, rate, text)

    def kink(self, worst: _Probe, rate: float | None) -> dict[str, Any]:
        """The slopes on both sides."""
        worst = worst if self.each else self.located(worst, lambda p: p.bend)
        text = (
            f"{self.quantity}: f has a kink at {self.place(worst)}, or nearer than the finest step:"
            f" its slope is {worst.slope + worst.before.value:.6g} below and "
            f"{worst.slope + worst.after.value:.6g} above, and autodiff says {worst.slope:.6g}. "
            f"Move the point away from it."
        )
        return self.found("kink", worst, rate, text)

    def jump(self, worst: _Probe) -> dict[str, Any]:
        """By how much, and where."""
        worst = worst if self.each else self.located(worst, lambda p: p.gap)
        text = (
            f"{self.quantity}: f jumps by {worst.gap:.6g} at {self.place(worst)}, between its "
            f"value there and those beside it, to h = {worst.steps[-1]:.0e}. It has no derivative, "
            f"and autodiff says {worst.slope:.6g}. Move the point away from it."
        )
        return self.found("jump", worst, None, text)

    def noisy(self, worst: _Probe, rate: float | None) -> dict[str, Any]:
        """The quotients that ought to agree."""
        some = [0, len(worst.steps) // 2, -1]
        quotients = [f"{worst.quotients[i]:.4g} at h = {worst.steps[i]:.0e}" for i in some]
        hidden = min(noise / h for noise, h in zip(worst.noise, worst.steps, strict=True))
        dtype = "float64" if self.scalar.fine else "float32"
        why = "f is too rough to judge: check smooth parts of it"
        rounding = self.scalar.precision * self.scalar.magnitude
        if hidden > 0.1 * worst.defect.error or self.steep <= rounding:
            why = (
                f"This cannot be decided in {dtype}: f is {self.scalar.value:.3g}, and its "
                f"rounding alone hides slopes up to {hidden:.1g}. Check a smaller part of it"
            )
        text = (
            f"{self.quantity}: the differences along {self.place(worst)} do not settle: "
            f"{', '.join(quotients)}; autodiff says {worst.slope:.4g}. {why}"
            f"{', or use float64' if dtype == 'float32' else ''}."
        )
        return self.found("noisy", worst, rate, text)


def norm(direction: Array) -> float:
    """The Euclidean length."""
    largest = float(np.abs(direction).max(initial=0))
    if largest == 0:
        return 0.0
    return largest * float(np.linalg.norm(direction / largest))  # the squares cannot overflow


def normalised(direction: Any) -> Array:
    """The direction with length 1."""
    return np.asarray(direction / norm(direction))


class GradcheckReport(Report):
    """What `gradcheck` found: one row for each input and order.

    Attributes
    ----------
    findings : list of Finding
        The numbers behind the rows.
    """

    header = ("gradient", "verdict", "difference", "worst at", "autodiff", "numerical", "rate")
    marks = ("wrong", "kink", "jump", "noisy", "not deterministic", "overflow")

    def __init__(self, findings: list[Finding], output: tuple[int, ...]) -> None:
        self.findings = findings
        right = sum(finding.verdict == "right" for finding in findings)
        self.ok = right == len(findings)
        wrong = sum(finding.verdict == "wrong" for finding in findings)
        unclear = len(findings) - right - wrong
        counts = {"right": right, "wrong": wrong, "could not be judged": unclear}
        told = [f"{count} {what}" for what, count in counts.items() if count]
        plural = "s" * (len(findings) > 1)
        self.title = f"gradcheck of {len(findings)} gradient{plural}: {', '.join(told)}"
        self.rows = [_row(finding) for finding in findings]
        self.notes = [finding.evidence for finding in findings if finding.evidence]
        if any(finding.rate is not None for finding in findings):
            self.notes.append(
                "rate: with which power of h the Taylor remainder falls; 2 for a right gradient, 1 "
                "for a wrong."
            )
        if output != ():
            self.notes.append(f"f is a random combination of the output, of shape {output}.")
        if any(finding.order == 2 for finding in findings):
            self.notes.append("d2f is the derivative of the gradient along a random direction.")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain Python values, with the numbers of each finding."""
        numbers = [finding._asdict() for finding in self.findings]
        return {**super().to_dict(), "findings": plain(numbers)}


def _row(finding: Finding) -> list[str]:
    """The cells of one row."""
    numbers = [f"{x:.6g}" if finding.where else "" for x in (finding.autodiff, finding.numerical)]
    difference = f"{finding.difference:.0e}" if finding.where else ""
    rate = "" if finding.rate is None else f"{finding.rate:.1f}"
    if finding.verdict == "right" and finding.where and finding.rate is None:
        rate = "linear"
    return [finding.quantity, finding.verdict, difference, finding.where, *numbers, rate]
