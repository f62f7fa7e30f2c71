"""SciPy's optimisers on Tensors: they ask for the cost, and automatic differentiation answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.graph import listen
from ..core.tensor import Tensor, assign
from ..functional import pulled_back
from ..nn.checks import needed_for, whole
from ..refusals import described
from .optimizers import POSITIVE, checked, listed

Vector = NDArray[np.float64]
Cost = Callable[[], Tensor]

GRADIENT_METHODS = ("L-BFGS-B", "BFGS", "CG")
HESSIAN_METHODS = ("Newton-CG", "trust-ncg", "trust-krylov")  # by products of it with vectors
METHODS = (*GRADIENT_METHODS, *HESSIAN_METHODS)


class Iteration(NamedTuple):
    """Where a minimisation stands: what a callback is given.

    Attributes
    ----------
    iteration : int
        Counted from 1.
    cost : float
        At the parameters as they are now.
    gradient_norm : float
        The norm of the gradient there.
    """

    iteration: int
    cost: float
    gradient_norm: float


def progress_bar(shown: bool, method: str, maxiter: int | None) -> Any:
    """A bar of tqdm, which hides itself where nobody looks; None if none is wanted."""
    if not shown:
        return None
    with needed_for("progress=True", "optim"):
        from tqdm import tqdm
    return tqdm(desc=method, total=maxiter, unit="iteration", disable=None)


class Problem:
    """A cost of Tensors as SciPy sees it: a function of one vector of float64."""

    def __init__(self, cost: Cost, parameters: list[Tensor]) -> None:
        self.cost = cost
        self.parameters = parameters
        self.ends = np.cumsum([parameter.size for parameter in parameters])[:-1]
        self.start = self.joined(parameters)
        if not self.start.size:
            raise ValueError("the parameters have no elements: there is nothing to minimise by")
        self.point = b""  # where the cost was evaluated last, with its graph
        self.y: Tensor | None = None
        self.slopes: list[Tensor] | None = None  # the gradients there, with a graph of their own
        self.best, self.lowest = self.start, np.inf
        self.history: list[float] = []
        self.seen: dict[bytes, tuple[float, float]] = {}  # since the last iteration

    def joined(self, tensors: list[Tensor]) -> Vector:
        """The elements of all tensors as one vector, a copy."""
        return np.concatenate([t.data.ravel() for t in tensors]).astype(np.float64)

    def parted(self, vector: Vector) -> list[Vector]:
        """A vector as arrays of the parameters' shapes."""
        parts = np.split(vector, self.ends)
        return [part.reshape(p.shape) for part, p in zip(parts, self.parameters, strict=True)]

    def place(self, x: Vector) -> None:
        """Write a vector into the parameters."""
        for parameter, part in zip(self.parameters, self.parted(x), strict=True):
            assign(parameter, part)

    def evaluated(self, x: Vector) -> Tensor:
        """The cost at a point, with its graph: that of the last point is kept."""
        if self.y is not None and self.point == x.tobytes():
            return self.y
        self.y = self.slopes = None  # so that there is never more than one graph
        self.place(x)
        with listen(recording=True):
            y = self.cost()
        if not isinstance(y, Tensor) or y.size != 1:
            what = f"the tensor {described(y)}" if isinstance(y, Tensor) else f"{y!r:.80}"
            raise ValueError(f"cost() must return a Tensor that is one number, not {what}")
        self.point, self.y = x.tobytes(), y
        return y

    def gradients(self, y: Tensor, create_graph: bool = False) -> list[Tensor]:
        """The gradients of the cost."""
        found = []
        for i, gradient in enumerate(pulled_back(y, self.parameters, None, create_graph)):
            if gradient is None:
                raise RuntimeError(
                    f"the cost was not computed from parameter {i} "
                    f"({described(self.parameters[i])}): leave it out, or use it in cost()"
                )
            found.append(gradient)
        return found

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """What SciPy asks for."""
        y = self.evaluated(x)
        value, gradient = float(y.item()), self.joined(self.gradients(y))
        norm = float(np.linalg.norm(gradient))
        if not self.history:
            if not np.isfinite([value, norm]).all():
                raise FloatingPointError(
                    f"at the start the cost is {value} and the norm of its gradient {norm}: start "
                    f"where both are finite"
                )
            self.history.append(value)
        if value < self.lowest:
            self.best, self.lowest = x.copy(), value
        self.seen[x.tobytes()] = value, norm
        return value, gradient

    def curvature(self, x: Vector, direction: Vector) -> Vector:
        """The product of the Hessian with a vector: the gradient of ``<gradient, vector>``."""
        y = self.evaluated(x)
        if self.slopes is None:
            self.slopes = self.gradients(y, create_graph=True)
        with listen(recording=True):
            pairs = zip(self.slopes, self.parted(direction), strict=True)
            product: Any = sum([np.sum(gradient * part) for gradient, part in pairs])
        if not product.requires_grad:  # the cost is linear
            return np.zeros_like(x)
        pulled = pulled_back(product, self.parameters, None, create_graph=False)
        ends = zip(pulled, self.parameters, strict=True)
        result = self.joined([Tensor(np.zeros_like(p.data)) if t is None else t for t, p in ends])
        if not np.isfinite(result).all():
            raise FloatingPointError(
                f"a product of the Hessian with a vector is not finite, where the cost is "
                f"{y.item()}. The parameters are those of the start: start elsewhere, or take a "
                f"method that needs no Hessian, such as 'L-BFGS-B'"
            )
        return result

    def iteration(self, x: Vector) -> Iteration:
        """Note that an iteration has ended at a point, and go there."""
        key = np.asarray(x).tobytes()
        if key not in self.seen:
            self.value_and_gradient(x)
        value, norm = self.seen[key]
        if key != self.point:  # else they are there, and a write would make the graph useless
            self.place(x)
        self.history.append(value)
        self.seen = {key: (value, norm)}
        return Iteration(len(self.history) - 1, value, norm)


def minimize(
    cost: Cost,
    parameters: Iterable[Tensor],
    *,
    method: str = "L-BFGS-B",
    maxiter: int | None = None,
    tol: float | None = None,
    callback: Callable[[Iteration], object] | None = None,
    progress: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Minimise a cost by one of SciPy's optimisers, with gradients by automatic differentiation.

    Parameters
    ----------
    cost : callable
        Takes nothing and returns a Tensor that is one number, computed from the parameters.  It
        must be the same function at each call: no new random numbers, no other batch.
    parameters : iterable of Tensor
        What to change, in place: leaves with ``requires_grad``, each once.  float64 is best: SciPy
        works in float64, and each point is rounded to the dtypes of the parameters.
    method : str
        ``"L-BFGS-B"``, ``"BFGS"``, ``"CG"``, which use the gradient, or ``"Newton-CG"``,
        ``"trust-ncg"``, ``"trust-krylov"``, which also use products of the Hessian with vectors.
    maxiter : int, optional
        At most so many iterations; by default as many as SciPy thinks right.
    tol : float, optional
        When to stop, as in `scipy.optimize.minimize`.
    callback : callable, optional
        Called after each iteration with an `Iteration`, while the parameters are those of that
        iteration.  It may raise ``StopIteration`` to end the minimisation there.
    progress : bool
        Whether to show a bar of tqdm, where standard error is a terminal.
    options : mapping, optional
        More options of SciPy's method.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's result, with ``history``: the cost at the start and after each iteration.  The
        parameters have the values of ``result.x``, in which they stand one after the other.

    Raises
    ------
    FloatingPointError
        If the cost or its gradient is not finite at the start, a product with the Hessian on the
        way, or the cost at the end.
    ModuleNotFoundError
        If SciPy, or tqdm for ``progress``, is missing.
    RuntimeError
        If the cost was not computed from one of the parameters.
    TypeError, ValueError
        If parameters, method or options are wrong, the parameters have no elements, or the cost is
        not one number.

    Notes
    -----
    After an error, also one of ``cost`` or ``callback``, the parameters are what they were at the
    start.  After a KeyboardInterrupt they have the values with the lowest cost so far.

    Examples
    --------
    Rosenbrock's valley:

    >>> import numpy as np, autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([-1.2, 1.0], requires_grad=True)
    >>> result = optim.minimize(lambda: 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2, [w])
    >>> w.data.round(4), result.success
    (array([1., 1.]), True)
    >>> round(result.history[0], 1), result.history[-1] < 1e-8
    (24.2, True)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    settings = dict(options or {})
    if maxiter is not None:
        if "maxiter" in settings:
            raise ValueError("maxiter is given twice, also in options")
        settings["maxiter"] = whole("maxiter", maxiter, 1)
    if tol is not None:
        checked("tol", tol, POSITIVE)
    problem = Problem(cost, listed(parameters))
    with needed_for("optim.minimize", "optim"):
        import scipy.optimize
    bar = progress_bar(progress, method, settings.get("maxiter"))

    def after_iteration(x: Vector) -> None:
        now = problem.iteration(x)
        if bar is not None:
            bar.set_postfix(cost=f"{now.cost:.6g}", refresh=False)
            bar.update()
        if callback is not None:
            callback(now)

    try:
        result = scipy.optimize.minimize(
            problem.value_and_gradient,
            problem.start,
            jac=True,
            hessp=problem.curvature if method in HESSIAN_METHODS else None,
            method=method,
            tol=tol,
            callback=after_iteration,
            options=settings,
        )
        if not np.isfinite(result.fun):
            raise FloatingPointError(
                f"the cost has become {result.fun}: it falls without end, or is not defined "
                f"everywhere. The parameters are those of the start. SciPy says: {result.message}"
            )
        problem.place(result.x)
    except KeyboardInterrupt:
        problem.place(problem.best)
        raise
    except BaseException:
        problem.place(problem.start)
        raise
    finally:
        if bar is not None:
            bar.close()
    result.history = problem.history
    return result
