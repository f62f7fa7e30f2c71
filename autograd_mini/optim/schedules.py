"""Schedules: the learning rate as a function of the number of updates, in closed form.

Each is one kernel of two operands, the number of updates ``steps`` and the rate ``base_lr`` that
the optimiser was made with; it writes the optimiser's rate.  So a run that is taken up again needs
to know no more than these two numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..core.graph import Array
from ..core.primitive import Primitive, primitive
from ..core.tensor import Tensor, write
from ..nn.checks import whole
from ..nn.state import Stateful
from .optimizers import Optimizer, checked, counted, impossible

SHRINKING = ("above 0 and at most 1", math.ulp(0.0), 1.0)


def rate_of(optimizer: Optimizer) -> float:
    """The rate that a schedule starts from."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"a schedule belongs to an optimiser of ag.optim, not {optimizer!r:.80}")
    if optimizer.lr == 0:
        raise ValueError(
            "the optimiser's rate is 0, where another schedule may have ended, and this one would "
            "start from it and stay there: set optimizer.lr first"
        )
    return optimizer.lr


# ---- rules --------------------------------------------------------------------------------------


def warmed(steps: Any, warmup: int) -> tuple[int, float]:
    """The updates after the warm-up, and what part of the rate is in force during it."""
    count = int(steps)
    return max(count - warmup, 0), min(1.0, (count + 1) / (warmup + 1))


@primitive(r"$base_lr \min(1, \tfrac{$steps + 1}{n + 1})")
def constant(steps: Any, base_lr: Any, *, warmup: int, out: Any) -> Any:
    """Warm-up, and no change after it."""
    _, part = warmed(steps, warmup)
    return np.multiply(base_lr, part, out=out)


@primitive(r"$base_lr \, \gamma^{\lfloor $steps / n \rfloor}")
def staircase(
    steps: Any, base_lr: Any, *, step_size: int, gamma: float, warmup: int, out: Any
) -> Any:
    """Warm-up, and then a smaller rate after each ``step_size`` updates."""
    count, part = warmed(steps, warmup)
    return np.multiply(base_lr, part * gamma ** (count // step_size), out=out)


@primitive(r"\tfrac{1}{2} $base_lr (1 + \cos(\pi $steps / n))")
def cosine(steps: Any, base_lr: Any, *, total: int, minimum: float, warmup: int, out: Any) -> Any:
    """Warm-up, and then half a wave of the cosine down to the minimum."""
    count, part = warmed(steps, warmup)
    height = (1 + math.cos(math.pi * min(1.0, count / (total - warmup)))) / 2
    return np.add(minimum, (part * float(base_lr) - minimum) * height, out=out)


# ---- schedules ----------------------------------------------------------------------------------


class Schedule(Stateful):
    r"""The base of all schedules: it counts updates, and a rule writes the optimiser's rate.

    Call ``step()`` after each ``optimizer.step()``.  The rate for the first update is written when
    the schedule is made.  A rate that is set by hand lasts until the next ``step()``.

    Parameters
    ----------
    optimizer : Optimizer
        Its rate at this moment is the one that the schedule scales.
    rule : Primitive
        A kernel of the operands ``steps`` and ``base_lr`` that writes the rate into ``out``.
    **settings
        Its statics.

    Raises
    ------
    TypeError
        If ``optimizer`` is none.
    ValueError
        If a setting makes no sense.

    Examples
    --------
    A new schedule is one kernel, and needs no class:

    >>> import numpy as np, autograd_mini as ag
    >>> from autograd_mini import optim
    >>> @ag.primitive(r"$base_lr / \sqrt{$steps + 1}")
    ... def inverse_root(steps, base_lr, *, out):
    ...     return np.divide(base_lr, np.sqrt(steps + 1), out=out)
    >>> optimizer = optim.SGD([ag.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = optim.Schedule(optimizer, inverse_root)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> optimizer.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, rule: Primitive, **settings: Any) -> None:
        self._base = Tensor(np.array(rate_of(optimizer)), name="base_lr")
        self.optimizer = optimizer
        self._rule = rule
        self._settings = rule.completed(settings)
        self._steps = Tensor(np.array(0, dtype=np.int64), name="steps")
        self._set_rate()

    def _state(self) -> dict[str, Tensor]:
        return {"steps": self._steps, "base_lr": self._base}

    def _objections(self, given: Mapping[str, Array]) -> Iterator[str]:
        return impossible(given)

    def _set_rate(self) -> None:
        """Write the rate for the next update."""
        write(self.optimizer._rate, self._rule, (self._steps, self._base), self._settings)

    @property
    def steps(self) -> int:
        """The number of updates so far."""
        return int(self._steps.item())

    def step(self) -> None:
        """Set the rate for the next update."""
        write(self._steps, counted, (self._steps,), {})
        self._set_rate()

    def load_state_dict(self, state: Any) -> None:
        """Take over a state, all of it or nothing, and set the optimiser's rate.

        Parameters
        ----------
        state : mapping of str to array_like
            What `state_dict` gave, of a schedule that was made in the same way.

        Raises
        ------
        ValueError
            If names, shapes or dtypes do not fit, or a rate or a number of steps is not possible;
            then nothing has been changed.
        """
        super().load_state_dict(state)
        self._set_rate()

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value}" for name, value in self._settings.items())
        return f"{type(self).__name__}({type(self.optimizer).__name__}{settings})"


class WarmupLR(Schedule):
    r"""A rate that rises linearly through the first updates and then stays.

    Update :math:`k` (from 0 on) has the rate :math:`\eta \min(1, (k + 1) / (n + 1))`: the first
    ``warmup`` updates are below the optimiser's rate, the next has it.

    Parameters
    ----------
    optimizer : Optimizer
        Its rate at this moment is the one that is reached.
    warmup : int
        How many updates are below it; 1 or more.

    Raises
    ------
    TypeError, ValueError
        As `Schedule`.

    Notes
    -----
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> optimizer = optim.SGD([ag.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule, rates = optim.WarmupLR(optimizer, warmup=3), []
    >>> for _ in range(6):
    ...     rates.append(optimizer.lr)  # here stand backward() and optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, warmup: int) -> None:
        super().__init__(optimizer, constant, warmup=whole("warmup", warmup, 1))


class StepLR(Schedule):
    r"""A rate that is multiplied by ``gamma`` after each ``step_size`` updates.

    Update :math:`k` (from 0 on, counted after the warm-up) has the rate
    :math:`\eta \gamma^{\lfloor k / s \rfloor}`.

    Parameters
    ----------
    optimizer : Optimizer
        Its rate at this moment is the first.
    step_size : int
        1 or more.
    gamma : float
        Above 0, at most 1.
    warmup : int
        How many updates come before, with a rate that rises as in `WarmupLR`.

    Raises
    ------
    TypeError, ValueError
        As `Schedule`.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> optimizer = optim.SGD([ag.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule, rates = optim.StepLR(optimizer, step_size=2, gamma=0.5, warmup=1), []
    >>> for _ in range(6):
    ...     rates.append(optimizer.lr)  # here stand backward() and optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, *, warmup: int = 0
    ) -> None:
        super().__init__(
            optimizer,
            staircase,
            step_size=whole("step_size", step_size, 1),
            gamma=checked("gamma", gamma, SHRINKING),
            warmup=whole("warmup", warmup, 0),
        )


class CosineLR(Schedule):
    r"""A rate that falls along half a wave of the cosine.

    Of ``total`` updates the first ``warmup`` rise as in `WarmupLR`; then update :math:`k` (from 0
    on) of the remaining :math:`n` has the rate
    :math:`\eta_{\min} + (\eta - \eta_{\min}) (1 + \cos(\pi k / n)) / 2`.  From update ``total`` on
    it is the minimum.

    Parameters
    ----------
    optimizer : Optimizer
        Its rate at this moment is the highest.
    total : int
        The number of updates of the whole run, with the warm-up.
    minimum : float
        The rate at the end, from 0 to the optimiser's rate.
    warmup : int
        How many updates come before, with a rate that rises as in `WarmupLR`; less than ``total``.

    Raises
    ------
    TypeError, ValueError
        As `Schedule`.

    Notes
    -----
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without
    the restarts.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> optimizer = optim.SGD([ag.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule, rates = optim.CosineLR(optimizer, total=5, warmup=1), []
    >>> for _ in range(7):
    ...     rates.append(round(optimizer.lr, 3))  # here stand backward() and optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, total: int, *, minimum: float = 0.0, warmup: int = 0
    ) -> None:
        highest = ("a number from 0 to the optimiser's rate", 0.0, rate_of(optimizer))
        warmup = whole("warmup", warmup, 0)
        super().__init__(
            optimizer,
            cosine,
            total=whole("total", total, warmup + 1),
            minimum=checked("minimum", minimum, highest),
            warmup=warmup,
        )
