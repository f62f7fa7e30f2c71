"""Optimisers: each update rule is one kernel, written once in ordinary NumPy.

**A rule's parameter list says what its optimiser keeps.**  It begins with ``parameter, gradient,
rate``.  Of the names that follow, ``steps`` is the number of updates that this parameter has had,
and any other is an array of the parameter's shape.  They are zero at first, and the rule itself
brings them up to date.  Rules run through `write`: who listens to the engine hears one call for
each parameter, and the parameter's array stays the same array.

What changes from call to call (the rate, the number of steps) is an operand, an array of shape ();
what stays is a static.  A rule takes such an array as a Python float, so that a float32 parameter
is updated in float32, while ``1 - beta**steps`` keeps all its digits.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..core.graph import Array
from ..core.primitive import Primitive, primitive
from ..core.tensor import Tensor, assign, write
from ..nn.checks import is_read_only
from ..nn.state import Stateful
from ..refusals import described, refuse_computed

# ---- what is checked ----------------------------------------------------------------------------

POSITIVE = ("a positive number", math.ulp(0.0), sys.float_info.max)
NOT_NEGATIVE = ("a number from 0 on", 0.0, sys.float_info.max)
FRACTION = ("at least 0 and less than 1", 0.0, math.nextafter(1.0, 0.0))


def checked(name: str, value: Any, wanted: tuple[str, float, float]) -> float:
    """A number that was given for a hyperparameter."""
    words, lowest, highest = wanted
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {words}, not {value!r:.80}")
    number = float(value)
    if not lowest <= number <= highest:
        raise ValueError(f"{name} must be {words}, not {value}")
    return number


def listed(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Parameters as a list: leaves that want gradients, each once."""
    if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
        raise TypeError(
            f"parameters must be a list of Tensors, such as model.parameters(), and this is one "
            f"{type(parameters).__name__}"
        )
    found = list(parameters)
    if not found:
        raise ValueError("there are no parameters: an empty list, or an iterator that is used up")
    places: dict[int, int] = {}
    for i, tensor in enumerate(found):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"parameter {i} is not a Tensor, but {tensor!r:.80}")
        refuse_computed(tensor, "parameters are")
        if not tensor.requires_grad:
            raise ValueError(
                f"parameter {i} ({described(tensor)}) wants no gradient: make it with "
                f"requires_grad=True"
            )
        refuse_read_only(i, tensor)
        if places.setdefault(id(tensor), i) != i:
            raise ValueError(
                f"parameters {places[id(tensor)]} and {i} are the same tensor "
                f"({described(tensor)}), which would be changed twice"
            )
    return found


def refuse_read_only(i: int, tensor: Tensor) -> None:
    """Raise if the array of a parameter cannot be written."""
    if is_read_only(tensor):
        raise ValueError(
            f"parameter {i} ({described(tensor)}) is read-only, and cannot be changed: make it of "
            f"array.copy()"
        )


def with_gradients(parameters: list[Tensor]) -> list[tuple[int, Tensor, Tensor]]:
    """The place, parameter and gradient of all that have and want one; there must be one."""
    found = [
        (i, p, p._grad) for i, p in enumerate(parameters) if p._grad is not None and p.requires_grad
    ]
    if not found:
        raise RuntimeError(
            "no parameter that can change has a gradient: call loss.backward() first, on a loss "
            "that was computed from these parameters"
        )
    for i, parameter, gradient in found:
        if not isinstance(gradient, Tensor) or gradient.shape != parameter.shape:
            raise ValueError(
                f"the gradient of parameter {i} ({described(parameter)}) is not a Tensor of the "
                f"same shape: {described(gradient)}"
            )
        if gradient.dtype.kind == "c":
            raise TypeError(
                f"the gradient of parameter {i} ({described(parameter)}) is complex: "
                f"{described(gradient)}. Gradients are real"
            )
        refuse_read_only(i, parameter)
    return found


# ---- what is kept -------------------------------------------------------------------------------


def impossible(state: Mapping[str, Array]) -> Iterator[str]:
    """The rates and numbers of steps in a state that cannot be."""
    for name, value in state.items():
        is_count = name.rpartition(".")[2] == "steps"  # of all updates, or of those of a parameter
        if (is_count or name in ("lr", "base_lr")) and not 0 <= value < np.inf:
            yield f"{name} is {value}"


@primitive("$steps + 1")
def counted(steps: Any, *, out: Any) -> Any:
    """One step more."""
    return np.add(steps, 1, out=out)


class Optimizer(Stateful):
    r"""The base of all optimisers: it keeps the books, and a rule does the work.

    Parameters
    ----------
    parameters : iterable of Tensor
        What to change: leaves with ``requires_grad``, each once.
    lr : float
        The learning rate, positive.
    rule : Primitive
        The update, as `autograd_mini.optim.optimizers` describes it.
    **hyperparameters
        Its statics.

    Attributes
    ----------
    parameters : list of Tensor

    Raises
    ------
    TypeError
        If a parameter is not a Tensor, or a hyperparameter not a number.
    ValueError
        If there are no parameters, one occurs twice, wants no gradient or is read-only, or a
        hyperparameter is out of its range.
    RuntimeError
        If a parameter was computed: only leaves can be changed.

    Examples
    --------
    A new optimiser is one kernel, written through ``out``, and needs no class:

    >>> import numpy as np, autograd_mini as ag
    >>> from autograd_mini import optim
    >>> @ag.primitive(r"$parameter - $rate \operatorname{sign}($gradient)")
    ... def sign_descent(parameter, gradient, rate, *, out):
    ...     return np.subtract(parameter, float(rate) * np.sign(gradient), out=out)
    >>> w = ag.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Optimizer([w], 0.5, sign_descent)
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data
    array([ 0.5, -1.5])
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, rule: Primitive, **hyperparameters: Any
    ) -> None:
        self.parameters = listed(parameters)
        self._rule = rule
        self._hyperparameters = rule.completed(hyperparameters)
        self._rate = Tensor(np.array(checked("lr", lr, POSITIVE)), name="lr")
        self._steps = Tensor(np.array(0, dtype=np.int64), name="steps")
        self._memories = [self._memory(parameter) for parameter in self.parameters]

    def _memory(self, parameter: Tensor) -> dict[str, Tensor]:
        """What the rule keeps of one parameter: of float16, where squares overflow, in float32."""
        dtype = np.result_type(parameter.dtype, np.float32)
        return {
            name: Tensor(np.array(0) if name == "steps" else np.zeros_like(parameter.data, dtype))
            for name in self._rule.operands[3:]
        }

    def _objections(self, given: Mapping[str, Array]) -> Iterator[str]:
        return impossible(given)

    def _state(self) -> dict[str, Tensor]:
        state = {"lr": self._rate, "steps": self._steps}
        for i, memory in enumerate(self._memories):
            state |= {f"{i}.{name}": tensor for name, tensor in memory.items()}
        return state

    @property
    def lr(self) -> float:
        """The learning rate; can be set to another positive number."""
        return float(self._rate.item())

    @lr.setter
    def lr(self, value: float) -> None:
        assign(self._rate, checked("lr", value, POSITIVE))

    @property
    def steps(self) -> int:
        """The number of updates so far."""
        return int(self._steps.item())

    def step(self) -> None:
        """Change all parameters that have a gradient, by it; the others are left alone.

        So are those that were frozen since, with ``requires_grad = False``.

        Raises
        ------
        RuntimeError
            If there is none to change.
        TypeError, ValueError
            If a gradient is complex, or has not the shape of its parameter, or a parameter has
            become read-only; then nothing has been changed.
        """
        for i, parameter, gradient in with_gradients(self.parameters):
            operands = (parameter, gradient, self._rate, *self._memories[i].values())
            write(parameter, self._rule, operands, self._hyperparameters)
        write(self._steps, counted, (self._steps,), {})

    def zero_grad(self) -> None:
        """Forget all gradients, so that the next ``backward`` does not add to them."""
        for parameter in self.parameters:
            parameter._grad = None

    def __repr__(self) -> str:
        settings = {"lr": self.lr, **self._hyperparameters}
        listing = ", ".join(f"{name}={value}" for name, value in settings.items())
        many = "parameter" if len(self.parameters) == 1 else "parameters"
        return f"{type(self).__name__}({len(self.parameters)} {many}, {listing})"


# ---- rules --------------------------------------------------------------------------------------


def decayed(gradient: Any, parameter: Any, weight_decay: float) -> Any:
    """The gradient of the loss with the penalty ``weight_decay / 2 * sum(parameter**2)``."""
    return gradient + weight_decay * parameter if weight_decay else gradient


@primitive(r"$parameter - $rate \, $gradient")
def descent(
    parameter: Any, gradient: Any, rate: Any, *, weight_decay: float = 0.0, out: Any
) -> Any:
    """Gradient descent."""
    change = decayed(gradient, parameter, weight_decay) * rate.astype(parameter.dtype)
    return np.subtract(parameter, change, out=out)


@primitive(r"$parameter - $rate (\mu \, $velocity + $gradient)")
def momentum_descent(
    parameter: Any,
    gradient: Any,
    rate: Any,
    velocity: Any,
    *,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    out: Any,
) -> Any:
    """Gradient descent with momentum."""
    gradient = decayed(gradient, parameter, weight_decay)
    velocity *= momentum
    velocity += gradient
    change = np.multiply(velocity, momentum if nesterov else float(rate))
    if nesterov:
        change += gradient
        change *= float(rate)
    return np.subtract(parameter, change, out=out)


@primitive(r"$parameter - $rate \frac{$gradient}{\sqrt{$square} + \epsilon}")
def rmsprop(
    parameter: Any,
    gradient: Any,
    rate: Any,
    square: Any,
    *,
    alpha: float,
    eps: float,
    weight_decay: float,
    out: Any,
) -> Any:
    """Gradient descent by the gradient over its running root mean square."""
    gradient = decayed(gradient, parameter, weight_decay)
    change = np.square(gradient, out=np.empty_like(square), dtype=square.dtype)
    change *= 1 - alpha
    square *= alpha
    square += change
    return scaled_step(parameter, gradient, square, float(rate), eps, change, out)


@primitive(r"$parameter - $rate \frac{$gradient}{\sqrt{$square} + \epsilon}")
def adagrad(
    parameter: Any,
    gradient: Any,
    rate: Any,
    square: Any,
    *,
    eps: float,
    weight_decay: float,
    out: Any,
) -> Any:
    """Gradient descent by the gradient over the root of the sum of its squares."""
    gradient = decayed(gradient, parameter, weight_decay)
    change = np.square(gradient, out=np.empty_like(square), dtype=square.dtype)
    square += change
    return scaled_step(parameter, gradient, square, float(rate), eps, change, out)


@primitive(r"$parameter - $rate \frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon}")
def adam(
    parameter: Any,
    gradient: Any,
    rate: Any,
    mean: Any,
    square: Any,
    steps: Any,
    *,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
    out: Any,
) -> Any:
    """Gradient descent by the running mean of the gradient over its root mean square."""
    lr, (beta1, beta2) = float(rate), betas
    if decoupled:
        parameter = np.multiply(parameter, 1 - lr * weight_decay, out=out)
    else:
        gradient = decayed(gradient, parameter, weight_decay)
    change = np.subtract(gradient, mean, out=np.empty_like(square))
    change *= 1 - beta1
    mean += change
    np.square(gradient, out=change, dtype=square.dtype)
    change *= 1 - beta2
    square *= beta2
    square += change
    steps += 1
    # the order of the end of section 2 of the paper: two passes through the array less
    root = math.sqrt(1 - beta2 ** float(steps))
    lr *= root / (1 - beta1 ** float(steps))
    return scaled_step(parameter, mean, square, lr, eps * root, change, out)


def scaled_step(
    parameter: Any, direction: Any, square: Any, rate: float, eps: float, change: Any, out: Any
) -> Any:
    """``parameter - rate * direction / (sqrt(square) + eps)``, computed in ``change``."""
    np.sqrt(square, out=change)
    change += eps
    np.divide(direction, change, out=change)
    change *= rate
    return np.subtract(parameter, change, out=out)


# ---- optimisers ---------------------------------------------------------------------------------


class SGD(Optimizer):
    r"""Gradient descent, "stochastic" when the gradient is that of a batch.

    With gradient :math:`g`, rate :math:`\eta`, momentum :math:`\mu`, weight decay :math:`\lambda`:

    .. math::
        g' = g + \lambda w, \quad v \leftarrow \mu v + g', \quad
        w \leftarrow w - \eta v \;\text{ or }\; w - \eta (g' + \mu v) \text{ (Nesterov)}

    Parameters
    ----------
    parameters : iterable of Tensor
        What to change: leaves with ``requires_grad``, each once.
    lr : float
        The learning rate, positive.
    momentum : float
        In [0, 1): how much of the last step is repeated.
    nesterov : bool
        Whether to take the gradient's part of the step that is to come in advance.
    weight_decay : float
        Adds the gradient of ``weight_decay / 2 * sum(w**2)``.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `Optimizer`; also for ``nesterov`` without ``momentum``.

    Notes
    -----
    Momentum: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964;
    Nesterov's form as in Sutskever et al., "On the importance of initialization and momentum in
    deep learning", 2013.  As in PyTorch (with ``dampening=0``), the rate stands outside of the
    velocity, so that a changed rate acts at once.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     np.sum(w**2).backward()
    ...     optimizer.step()
    >>> w.data
    array([ 0.64, -1.28])
    >>> optimizer
    SGD(1 parameter, lr=0.1, weight_decay=0.0)
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        momentum = checked("momentum", momentum, FRACTION)
        weight_decay = checked("weight_decay", weight_decay, NOT_NEGATIVE)
        if nesterov and not momentum:
            raise ValueError("nesterov=True is a way to use momentum, and momentum is 0")
        if not momentum:
            super().__init__(parameters, lr, descent, weight_decay=weight_decay)
        else:
            super().__init__(
                parameters,
                lr,
                momentum_descent,
                momentum=momentum,
                nesterov=nesterov,
                weight_decay=weight_decay,
            )


class RMSprop(Optimizer):
    r"""Gradient descent with each gradient divided by its running root mean square.

    .. math::
        v \leftarrow \alpha v + (1 - \alpha) g^2, \quad
        w \leftarrow w - \eta \frac{g}{\sqrt{v} + \epsilon}

    Parameters
    ----------
    parameters, lr, weight_decay
        As for `SGD`.
    alpha : float
        In [0, 1): how much of the mean square stays at each step.
    eps : float
        Keeps the division safe; positive.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `Optimizer`.

    Notes
    -----
    Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012; the defaults
    are PyTorch's.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([1.0, -200.0], requires_grad=True)
    >>> optimizer = optim.RMSprop([w], lr=0.01)
    >>> (w**2).sum().backward()
    >>> optimizer.step()  # the first step is lr / sqrt(1 - alpha), whatever the gradient
    >>> w.data
    array([   0.9, -199.9])
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            rmsprop,
            alpha=checked("alpha", alpha, FRACTION),
            eps=checked("eps", eps, POSITIVE),
            weight_decay=checked("weight_decay", weight_decay, NOT_NEGATIVE),
        )


class Adagrad(Optimizer):
    r"""Gradient descent with each gradient divided by the root of the sum of its squares so far.

    .. math::
        s \leftarrow s + g^2, \quad w \leftarrow w - \eta \frac{g}{\sqrt{s} + \epsilon}

    Parameters
    ----------
    parameters, lr, weight_decay
        As for `SGD`.
    eps : float
        Keeps the division safe; positive.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `Optimizer`.

    Notes
    -----
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011; the defaults are PyTorch's.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([1.0, -200.0], requires_grad=True)
    >>> optimizer = optim.Adagrad([w], lr=0.5)
    >>> (w**2).sum().backward()
    >>> optimizer.step()  # the first step is lr, whatever the gradient
    >>> w.data
    array([   0.5, -199.5])
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-2,
        *,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            adagrad,
            eps=checked("eps", eps, POSITIVE),
            weight_decay=checked("weight_decay", weight_decay, NOT_NEGATIVE),
        )


class Adam(Optimizer):
    r"""Gradient descent by running means of the gradient and of its square.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \eta
            \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    where :math:`t` counts the updates of this parameter: a parameter that gets its first gradient
    late is corrected for its own late start.

    Parameters
    ----------
    parameters, lr, weight_decay
        As for `SGD`; the gradient of the penalty goes through the means.
    betas : tuple of two floats
        Both in [0, 1): how much of the mean, and of the mean square, stays at each step.
    eps : float
        Keeps the division safe; positive.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `Optimizer`.

    Notes
    -----
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015; the defaults are the paper's
    and PyTorch's.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([1.0, -200.0], requires_grad=True)
    >>> optimizer = optim.Adam([w], lr=0.5)
    >>> (w**2).sum().backward()
    >>> optimizer.step()  # the first step is lr, whatever the gradient
    >>> w.data
    array([   0.5, -199.5])
    >>> sorted(optimizer.state_dict())
    ['0.mean', '0.square', '0.steps', 'lr', 'steps']
    """

    _decoupled = False

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"betas must be two numbers, not {betas!r:.80}")
        super().__init__(
            parameters,
            lr,
            adam,
            betas=(
                checked("betas[0]", betas[0], FRACTION),
                checked("betas[1]", betas[1], FRACTION),
            ),
            eps=checked("eps", eps, POSITIVE),
            weight_decay=checked("weight_decay", weight_decay, NOT_NEGATIVE),
            decoupled=self._decoupled,
        )


class AdamW(Adam):
    r"""Adam with the decay of weights apart from the gradient.

    First :math:`w \leftarrow w - \eta \lambda w`, then the step of `Adam` by the gradient alone: so
    all weights decay at one rate, also those with large gradients.

    Parameters
    ----------
    parameters, lr, betas, eps
        As for `Adam`.
    weight_decay : float
        What share of a weight, times the rate, goes at each step.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `Optimizer`.

    Notes
    -----
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019; the defaults are
    PyTorch's.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([1.0, -200.0], requires_grad=True)
    >>> optimizer = optim.AdamW([w], lr=0.5, weight_decay=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([   0.45, -189.5 ])
    """

    _decoupled = True

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay)
