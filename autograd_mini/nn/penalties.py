"""Penalties on large weights, to be added to a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..core.graph import Array
from ..core.tensor import Tensor
from .module import Module

Penalised = Module | Iterable[Tensor]


def weights_of(what: Penalised, biases: bool) -> list[Tensor]:
    """The Tensors that a penalty counts."""
    if isinstance(what, Tensor):
        return [what]
    if not isinstance(what, Module):
        tensors = list(what)
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"a penalty is on Tensors, not on {type(tensor).__name__}")
        return tensors
    named = what.named_parameters()
    return [tensor for name, tensor in named if biases or name.rpartition(".")[2] != "bias"]


def penalty(
    size: Callable[[Tensor], Array], what: Penalised, strength: float, biases: bool
) -> Tensor:
    """The strength times the sizes of all weights together."""
    if not strength >= 0:  # also if it is no number
        raise ValueError(f"the strength of a penalty is not negative, and this is {strength}")
    weights = weights_of(what, biases)
    if not weights:
        raise ValueError("there are no weights to penalise")
    total = size(weights[0])
    for weight in weights[1:]:
        total = total + size(weight)
    return float(strength) * total  # type: ignore[no-any-return]


def l1_penalty(model_or_tensors: Penalised, strength: float, *, biases: bool = False) -> Tensor:
    r"""The sum of the absolute values of weights, which drives many of them to 0.

    .. math:: \lambda \sum |w|

    Parameters
    ----------
    model_or_tensors : Module or iterable of Tensor
        Of a Module, all parameters count but those that are called ``bias``; of Tensors, all.
    strength : float
        The factor before the sum.
    biases : bool
        Whether the biases of a Module count, too.

    Returns
    -------
    Tensor, shape ()
        To be added to the loss; its gradient is ``strength * sign(w)``, and 0 at 0.

    Raises
    ------
    TypeError
        If there is something among the Tensors that is none.
    ValueError
        If there are no weights, or the strength is negative.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> from autograd_mini import nn
    >>> w = ag.Tensor([1.0, -2.0], requires_grad=True)
    >>> nn.l1_penalty([w], 0.1).backward()
    >>> w.grad
    Tensor([ 0.1, -0.1], dtype=float64)
    """
    return penalty(lambda w: np.sum(np.abs(w)), model_or_tensors, strength, biases)


def l2_penalty(model_or_tensors: Penalised, strength: float, *, biases: bool = False) -> Tensor:
    r"""The sum of the squares of weights, which keeps all of them small.

    .. math:: \lambda \sum w^2

    Parameters
    ----------
    model_or_tensors : Module or iterable of Tensor
        Of a Module, all parameters count but those that are called ``bias``; of Tensors, all.
    strength : float
        The factor before the sum.  Many texts write it ``lambda / (2 * m)``, for m examples.
    biases : bool
        Whether the biases of a Module count, too.

    Returns
    -------
    Tensor, shape ()
        To be added to the loss; its gradient is ``2 * strength * w``.

    Raises
    ------
    TypeError
        If there is something among the Tensors that is none.
    ValueError
        If there are no weights, or the strength is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> model = nn.Linear(2, 1, rng=np.random.default_rng(0), weight_init=nn.init.zeros)
    >>> nn.l2_penalty(model, 0.1).item()
    0.0
    """
    return penalty(lambda w: np.sum(np.square(w)), model_or_tensors, strength, biases)
