"""Clipping: gradients made smaller where they are too large for one step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..compile.capture import capturing
from ..core.primitive import primitive
from ..core.tensor import Tensor, write
from ..nn.checks import is_read_only
from ..refusals import described
from .optimizers import POSITIVE, checked, listed, with_gradients


@primitive(r"\lVert $gradients \rVert")
def global_norm(*gradients: Any, places: tuple[int, ...] = ()) -> Any:
    """The norm of all gradients as one vector, in float64, scaled so that squares fit in there.

    ``places`` says which parameters they belong to.
    """
    vectors = [np.asarray(g, dtype=np.float64).ravel() for g in gradients]
    _, exponent = math.frexp(max([float(np.abs(v).max(initial=0)) for v in vectors]))
    norms = [np.linalg.norm(np.ldexp(v, -exponent)) for v in vectors]
    with np.errstate(over="ignore"):
        norm = np.asarray(np.ldexp(math.hypot(*norms), exponent))
    if not np.isfinite(norm):
        worst = [i for i, v in zip(places, vectors, strict=False) if not np.isfinite(v).all()]
        cause = f"because of parameter {worst[0]}" if worst else "too large to be a number"
        raise FloatingPointError(
            f"the norm of the gradients is {norm.item()}, {cause}: no gradient was changed. Find "
            f"the op with `with ag.debug():`"
        )
    return norm


@primitive(r"\min(1, c / $norm) $gradient")
def shortened(gradient: Any, norm: Any, *, max_norm: float, out: Any) -> Any:
    """A gradient's part in a step of bounded norm."""
    return np.multiply(gradient, max_norm / norm.item() if norm > max_norm else 1.0, out=out)


@primitive(r"\text{all numbers}")
def all_numbers(*gradients: Any, places: tuple[int, ...]) -> Any:
    """True; where a gradient holds a NaN it raises."""
    for i, gradient in zip(places, gradients, strict=True):
        if np.isnan(gradient).any():
            raise FloatingPointError(
                f"the gradient of parameter {i} holds a NaN: no gradient was changed. Find the op "
                f"with `with ag.debug():`"
            )
    return np.asarray(True)


@primitive(r"\operatorname{clip}($gradient)")
def clipped(gradient: Any, *, max_value: float, out: Any) -> Any:
    """A gradient with bounded elements."""
    return np.clip(gradient, -max_value, max_value, out=out)


def with_writable_gradients(parameters: Iterable[Tensor]) -> list[tuple[int, Tensor, Tensor]]:
    """`with_gradients`, all of which can be changed: else none is."""
    found = with_gradients(listed(parameters))
    for i, parameter, gradient in found:
        if is_read_only(gradient) or gradient.dtype.kind != "f":
            raise ValueError(
                f"the gradient of parameter {i} ({described(parameter)}) is read-only or holds no "
                f"floats, and cannot be clipped: {described(gradient)}. No gradient was changed"
            )
    return found


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> Any:
    """Scale all gradients by one factor, so that their norm is at most ``max_norm``.

    The direction of the step stays.  Call it between ``backward()`` and ``step()``.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are left out, and so are frozen ones.
    max_norm : float
        Positive; ``math.inf`` to measure the norm only.

    Returns
    -------
    float
        The norm before: the root of the sum of all squares of all gradients, computed in float64.
        In a function that `autograd_mini.compile` captures it is a Tensor of shape () instead,
        since a replay has another norm.

    Raises
    ------
    FloatingPointError
        If the norm is not finite; no gradient has been changed.
    RuntimeError
        If no parameter has a gradient.
    TypeError, ValueError
        If a parameter or ``max_norm`` is none.

    Notes
    -----
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.
    PyTorch's divides by the norm plus 1e-6, so that it ends a little below ``max_norm``.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w**2).sum().backward()
    >>> optim.clip_grad_norm([w], max_norm=1.0)
    10.0
    >>> w.grad
    Tensor([0.6, 0.8], dtype=float64)
    """
    max_norm = checked("max_norm", max_norm, ("a positive number", math.ulp(0.0), math.inf))
    found = with_writable_gradients(parameters)
    places = tuple([i for i, _, _ in found])
    norm = global_norm(*[gradient for _, _, gradient in found], places=places)
    for _, _, gradient in found:
        write(gradient, shortened, (gradient, norm), {"max_norm": max_norm})
    return norm if capturing() else float(norm.item())


def clip_grad_value(parameters: Iterable[Tensor], max_value: float) -> None:
    """Bring each element of each gradient into ``[-max_value, max_value]``.

    The direction of the step changes; `clip_grad_norm` keeps it.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are left out, and so are frozen ones.
    max_value : float
        Positive.

    Raises
    ------
    FloatingPointError
        If a gradient holds a NaN, which cannot be clipped; no gradient has been changed.
    RuntimeError
        If no parameter has a gradient.
    TypeError, ValueError
        If a parameter or ``max_value`` is none.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import optim
    >>> w = ag.Tensor([0.1, -4.0], requires_grad=True)
    >>> (w**2).sum().backward()
    >>> optim.clip_grad_value([w], max_value=1.0)
    >>> w.grad
    Tensor([ 0.2, -1. ], dtype=float64)
    """
    max_value = checked("max_value", max_value, POSITIVE)
    found = with_writable_gradients(parameters)
    places = tuple([i for i, _, _ in found])
    all_numbers(*[gradient for _, _, gradient in found], places=places)
    for _, _, gradient in found:
        write(gradient, clipped, (gradient,), {"max_value": max_value})
