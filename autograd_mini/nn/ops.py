"""Fused ops of neural networks: one call where speed or numerics ask for it.

Each has a twin in the tests, written in the core's ops, that it must agree with.
"""

from __future__ import annotations

import math

import numpy as np

from ..activations import log_softmax, sigmoid, softmax, softplus
from ..core.graph import Array
from ..core.ops import max_along, reduce_sum, sum_along
from ..core.primitive import primitive


def as_rows(x: Array) -> Array:
    """Examples in rows: all axes but the last one made into one."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def product(a: Array, b: Array) -> Array:
    """``a @ b``, by the shorter way where ``a`` is a matrix: half the time on small ones."""
    return a.dot(b) if a.__class__ is b.__class__ is np.ndarray and a.ndim == 2 else a @ b


def transposed(x: Array) -> Array:
    """`np.transpose`, by the shorter way where there is one."""
    return x.T if x.__class__ is np.ndarray else np.transpose(x)


@primitive(
    lambda x, weight, bias: r"$x\, {$weight}^T + $bias" if x.ndim > 1 else r"$weight\, $x + $bias",
    x=lambda g, weight: product(g, weight),
    weight=lambda g, x: product(transposed(as_rows(g)), as_rows(x)),
    bias=lambda g: sum_along(as_rows(g), 0, keepdims=False),
)
def linear(x: Array, weight: Array, bias: Array) -> Array:
    """A layer of affine functions, ``x @ weight.T + bias``.

    It is what `autograd_mini.nn.functional.linear` runs if there is a bias.
    """
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError("weight has shape (n_out, n_in) and bias (n_out,)")
    y = product(x, transposed(weight))
    if y.__class__ is np.ndarray and y.dtype == bias.dtype:
        return np.add(y, bias, out=y)
    return y + bias


def averaged(losses: Array, reduction: str) -> Array:
    """The losses of the examples as ``reduction`` wants them."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    if reduction == "none":
        return losses
    total = sum_along(losses, None, keepdims=False)
    if reduction == "sum":
        return total
    examples = math.prod(losses.shape)
    if not examples:
        raise ValueError("there are no examples, and so no mean of their losses")
    return total / examples


def share(g: Array, reduction: str, losses: int) -> Array:
    """The cotangent of each loss, from that of what `averaged` made of them."""
    return g / losses if reduction == "mean" else g


def are_probabilities(logits: Array, labels: Array) -> bool:
    """Whether labels are probabilities of all classes, and not the numbers of the right ones."""
    if not logits.ndim or not logits.shape[-1]:
        raise ValueError(
            f"outputs of shape {logits.shape} have no classes: these are on the last axis"
        )
    if labels.shape == logits.shape:
        if labels.dtype.kind in "iu" and not is_one_hot(labels):
            raise ValueError(
                f"labels have the shape of the outputs, {labels.shape}, and are integers, but not "
                f"one-hot: class labels have one axis less, {labels.shape[:-1]}, and probabilities "
                f"are floats"
            )
        return True
    if labels.shape == logits.shape[:-1]:
        return False
    raise ValueError(
        f"labels have shape {labels.shape}, and these outputs {logits.shape}: give "
        f"{logits.shape[:-1]}, the number of the class of each row, or {logits.shape}, the "
        f"probability of each class"
    )


def is_one_hot(labels: Array) -> bool:
    """Whether integers are a single 1 in each row, and else 0."""
    return not labels.size or bool(
        labels.min() >= 0 and (np.add.reduce(labels, axis=-1) == 1).all()
    )


def checked_labels(logits: Array, labels: Array) -> Array:
    """Class labels, if they are integers in the range of the classes."""
    classes = logits.shape[-1]
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels of shape {labels.shape} number the classes and are integers, but these are "
            f"{labels.dtype}: write labels.astype(int)"
        )
    flat = labels.reshape(-1)
    if flat.size and flat[flat.argmin()] < 0:  # a third of the time of flat.min()
        raise ValueError(f"a label is {flat.min()}, but classes are 0..{classes - 1}")
    if flat.size and flat[flat.argmax()] >= classes:
        raise ValueError(f"a label is {flat.max()}, but classes are 0..{classes - 1}")
    return labels


def as_floats(labels: Array, logits: Array) -> Array:
    """Target probabilities; one-hot of integers in the dtype of the logits."""
    return labels if labels.dtype.kind in "fc" else labels.astype(logits.dtype)


def mass(labels: Array, logits: Array) -> Array:
    """The sum of the target probabilities of each example, which is 1 for class labels."""
    if labels.ndim < logits.ndim:
        return 1
    return reduce_sum(as_floats(labels, logits), axis=-1, keepdims=True)


def through_softmax(g: Array, logits: Array, labels: Array) -> Array:
    """The cotangent of the logits of `residual`, by the derivative of softmax."""
    y = softmax(logits)
    return mass(labels, logits) * (y * (g - reduce_sum(g * y, axis=-1, keepdims=True)))


def softmax_without_labels(logits: Array, labels: Array) -> str:
    """``softmax(z) - t`` in LaTeX, in which classes that are numbered become zeros and ones."""
    if labels.ndim < logits.ndim:
        return r"\mathrm{softmax}($logits) - \mathrm{onehot}($labels)"
    if np.allclose(reduce_sum(labels, axis=-1), 1):
        return r"\mathrm{softmax}($logits) - $labels"
    total = r"\mathrm{sum}($labels, \mathrm{axis}=-1, \mathrm{keepdims}=\mathrm{True})"
    return rf"\mathrm{{softmax}}($logits) \odot {total} - $labels"


@primitive(
    softmax_without_labels,
    logits=through_softmax,
    labels=lambda g, logits: reduce_sum(g * softmax(logits), axis=-1, keepdims=True) - g,
)
def residual(logits: Array, labels: Array) -> Array:
    """The famous ``softmax - target``: the derivative of the cross-entropy by the logits."""
    y = softmax.kernel(logits)
    if labels.ndim == logits.ndim:
        return y * mass(labels, logits) - as_floats(labels, logits)
    y -= labels[..., None] == np.arange(y.shape[-1])
    return y


def as_column(g: Array, reduction: str, logits: Array) -> Array:
    """The cotangent of each example's loss, for all of its logits."""
    if reduction == "mean":
        return g / math.prod(logits.shape[:-1])
    return g if reduction == "sum" else g[..., None]


@primitive(
    r"\mathrm{CE}(\mathrm{softmax}($logits), $labels)",
    logits=lambda g, logits, labels, reduction: (
        as_column(g, reduction, logits) * residual(logits, labels)
    ),
    labels=lambda g, logits, reduction: -as_column(g, reduction, logits) * log_softmax(logits),
)
def cross_entropy(logits: Array, labels: Array, *, reduction: str = "mean") -> Array:
    r"""The cross-entropy between labels and ``softmax(logits)``, without overflow.

    .. math:: L = -\sum_k t_k \log \mathrm{softmax}(z)_k

    Parameters
    ----------
    logits : array_like or Tensor, shape (..., K)
        Unnormalised logarithms of the probabilities of K classes.
    labels : array_like or Tensor, shape (...) or (..., K)
        Class labels 0..K-1 of an integer dtype, or target probabilities (one-hot is one kind).
    reduction : {"mean", "sum", "none"}
        Whether to average the losses over the examples, to add them or to leave them alone.

    Returns
    -------
    ndarray or Tensor, shape (), or (...) for "none"

    Raises
    ------
    ValueError
        If labels are out of range or not integers, or their shape does not fit the logits; if
        integers of the shape of the logits are not one-hot; if there is no class or only one, or
        there are no examples to average over.

    Notes
    -----
    Its derivative by the logits is ``softmax(logits) - t``: Bishop, *Pattern Recognition and
    Machine Learning* (2006), equation 4.109.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> logits = ag.Tensor([[2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = ag.nn.functional.cross_entropy(logits, np.array([0, 1]))
    >>> loss.backward()
    >>> logits.grad.data.round(4)
    array([[-0.0596,  0.0596],
           [ 0.25  , -0.25  ]])
    """
    soft = are_probabilities(logits, labels)
    if logits.shape[-1] == 1:
        raise ValueError(
            "with one class the cross-entropy is always 0: for one output that tells two classes "
            "apart use binary_cross_entropy_with_logits"
        )
    shifted = logits - max_along(logits, -1, True)
    log_total = np.log(sum_along(np.exp(shifted), -1, False))
    if soft:
        targets = as_floats(labels, logits)
        distances = np.where(targets == 0, 0, log_total[..., None] - shifted)  # which may be inf
        return averaged(sum_along(targets * distances, -1, False), reduction)
    flat = checked_labels(logits, labels).reshape(-1)
    chosen = as_rows(shifted)[np.arange(flat.size), flat].reshape(labels.shape)
    return averaged(log_total - chosen, reduction)


def refuse_other_shape(outputs: Array, targets: Array) -> None:
    """Raise if targets would be broadcast: (N, 1) with (N,) makes N x N losses."""
    if outputs.shape != targets.shape:
        hint = f": write targets.reshape({outputs.shape})" * (outputs.size == targets.size)
        raise ValueError(f"targets have shape {targets.shape}, and outputs {outputs.shape}{hint}")


def refuse_impossible_targets(targets: Array) -> None:
    """Raise if targets are farther beyond 0 and 1 than a numerical derivative steps from there."""
    if targets.dtype.kind not in "iuf" or not targets.size:
        return
    flat = targets.reshape(-1)
    if flat[flat.argmin()] < -0.125 or flat[flat.argmax()] > 1.125:
        raise ValueError(
            f"targets are 0 or 1 or between them, but these reach from {flat.min():.7g} to "
            f"{flat.max():.7g}"
        )


@primitive(
    r"\mathrm{BCE}(\sigma($logits), $targets)",
    logits=lambda g, logits, targets, reduction: (
        share(g, reduction, math.prod(logits.shape)) * (sigmoid(logits) - targets)
    ),
    targets=lambda g, logits, reduction: -share(g, reduction, math.prod(logits.shape)) * logits,
)
def binary_cross_entropy_with_logits(
    logits: Array, targets: Array, *, reduction: str = "mean"
) -> Array:
    r"""The logistic loss of ``sigmoid(logits)``, without overflow.

    .. math:: L = -t \log \sigma(z) - (1 - t) \log(1 - \sigma(z))

    Parameters
    ----------
    logits : array_like or Tensor, any shape
    targets : array_like or Tensor, shape of ``logits``
        Probabilities, mostly 0 or 1.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses over all elements, to add them or to leave them alone.

    Returns
    -------
    ndarray or Tensor, shape (), or that of ``logits`` for "none"

    Raises
    ------
    ValueError
        If the shapes differ, for (N, 1) and (N,) would silently make N x N losses, a target is
        outside [0, 1] (by more than 1/8: differences can be taken at 0 and 1), or there is nothing
        to average.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> logits, targets = np.array([0.0, 1e4]), np.array([1.0, 1.0])
    >>> float(ag.nn.functional.binary_cross_entropy_with_logits(logits, targets))
    0.34657359027997264
    """
    refuse_other_shape(logits, targets)
    refuse_impossible_targets(targets)
    yes = np.where(targets == 0, 0, softplus.kernel(-logits))  # which may be inf
    no = np.where(targets == 1, 0, softplus.kernel(logits))
    return averaged(targets * yes + (1 - targets) * no, reduction)


@primitive(r"\mathrm{mask}($x)")
def dropout_mask(x: Array, *, p: float, rng: np.random.Generator) -> Array:
    """0 with probability ``p``, else ``1 / (1 - p)``: drawn anew in each call."""
    kept = rng.random(x.shape, dtype=np.float32) >= p
    return kept / np.asarray(1 - p, x.dtype if x.dtype.kind == "f" else None)
