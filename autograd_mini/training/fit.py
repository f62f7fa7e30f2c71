"""fit: the loop that trains a model, to be read in one go, and the checks before it."""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.graph import no_grad
from ..core.tensor import Tensor, unwrapped
from ..data.splitting import batches, refuse_masked
from ..nn.checks import needed_for, whole
from ..nn.module import Module
from ..optim import Optimizer, Schedule
from .checkpoint import Checkpoint, content_of, described
from .history import EXTRA, VALIDATION, History

__all__ = ["accuracy", "fit"]

Array = NDArray[Any]
Loss = Callable[[Any, Any], Any]
Metrics = Mapping[str, Callable[[Any, Any], Any]]

ROWS = 4096  # of the data that are looked at in one go
TAKEN = ("loss", "penalty", "lr", "seconds")  # columns of the history that are no metrics


class Examples(NamedTuple):
    """Inputs and what belongs to them, a row for each."""

    X: Array
    y: Array


def fit(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    batch_size: int = 32,
    rng: np.random.Generator,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    metrics: Metrics | None = None,
    schedule: Schedule | None = None,
    penalty: Callable[[Any], Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> History:
    """Train a model on batches of examples, shuffled anew in every epoch.

    The loop is the one that you would write yourself: forward, loss, ``zero_grad``, ``backward``,
    ``step``.  The model is in training mode meanwhile, and is left in the mode it was found in.

    Parameters
    ----------
    model : Module
        Called with a Tensor of a batch of `X`.  Its parameters are changed in place.
    loss : callable
        ``loss(outputs, targets)``, a scalar Tensor, such as ``nn.functional.cross_entropy``.  The
        history averages over batches by their sizes, so let it be a mean over examples.
    optimizer : Optimizer
        Of all the model's parameters, or of some: the others keep their values.
    X : array_like, shape (n, ...)
        The examples, one per row, as many as there are; without NaN or infinity.
    y : array_like, shape (n, ...)
        What belongs to each row of `X`.
    epochs : int
        How often to go through all examples, in all (see `checkpoint`).
    batch_size : int
        How many examples go into an update; the last batch of an epoch may have fewer.
    rng : numpy.random.Generator
        Where the order of the examples comes from: the same seed gives the same run.
    validation : pair of array_like, optional
        Further examples and their targets, measured after each epoch in evaluation mode.
    metrics : dict of str to callable, optional
        What to measure besides the loss: ``metric(outputs, targets)`` of two ndarrays, a number
        that is a mean over examples, such as `accuracy`.
    schedule : StepLR, CosineLR or WarmupLR, optional
        Of the same optimizer; its ``step`` follows each update.
    penalty : callable, optional
        ``penalty(model)``, a scalar Tensor that is added to the loss before going backward, such
        as ``lambda model: nn.l2_penalty(model, 1e-4)``.
    checkpoint : path, optional
        A file that ends in ``.npz``, in which the state of the run is kept after each epoch.  If
        it exists, the run goes on from there, and comes to the same numbers, bit by bit, as a run
        that was never stopped; a finished run returns its history at once, and goes on if `epochs`
        has grown.  See the notes.
    progress : bool, optional
        Whether to show a bar on the standard error stream, where that is a terminal.  By default
        if tqdm is installed; it comes with ``autograd-mini[demo]``.

    Returns
    -------
    History
        The loss, the metrics and more, in columns with a number for each epoch.

    Raises
    ------
    TypeError
        If `rng`, `model` or `optimizer` is something else, or the loss is not a Tensor.
    ValueError
        If rows do not match or there are none, `X` has NaN or infinity, a number is out of its
        range, the optimizer is that of another model, the loss is not one number, or the
        checkpoint is damaged or belongs to another run.  All but the loss is checked before
        anything is changed.
    FloatingPointError
        If the loss or a gradient is not finite.  The weights are those before that update.
    OSError
        If the checkpoint cannot be written or read.
    ModuleNotFoundError
        With ``progress=True`` if tqdm is not installed.

    Notes
    -----
    A checkpoint holds the model's parameters and buffers, the optimizer, the schedule, the history,
    and the state of `rng` and of all generators that ``model.named_generators()`` finds.  It does
    not hold what a loss, a penalty or a metric keeps to itself, nor a model's plain arrays and
    numbers: what changes in training belongs into a Tensor.

    A run goes on only with the same data, batch size, layers, optimizer, learning rate, seeds and
    so on, and else says what differs; so seed the generators.  Functions and layers are told apart
    by their names and by the numbers and texts that they carry.  The values of the weights that a
    run began with are not compared.  A CosineLR that was made for more epochs follows its new
    length from there on.

    Give each run a file of its own: what a killed run may have left beside the file, a hidden file
    of nearly the same name, is removed when the run goes on.

    Examples
    --------
    >>> import autograd_mini as ag
    >>> from autograd_mini import nn, optim
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 2))
    >>> y = (X[:, 0] > X[:, 1]).astype(int)
    >>> model = nn.Linear(2, 2, rng=rng)
    >>> history = fit(
    ...     model, nn.functional.cross_entropy, optim.SGD(model.parameters(), lr=0.5), X, y,
    ...     epochs=10, rng=rng, metrics={"accuracy": accuracy},
    ... )
    >>> history.epochs, history["accuracy"][-1] > 0.95
    (10, True)

    To stop at any moment and go on later, name a file and start the same program again:

    >>> import tempfile
    >>> def run(epochs, path):
    ...     rng = np.random.default_rng(0)
    ...     model = nn.Linear(2, 2, rng=rng)
    ...     adam = optim.Adam(model.parameters())
    ...     loss = nn.functional.cross_entropy
    ...     fit(model, loss, adam, X, y, epochs=epochs, rng=rng, checkpoint=path)
    ...     return model.weight.data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for_two, for_four = run(2, f"{folder}/run.npz"), run(4, f"{folder}/run.npz")
    >>> np.array_equal(for_four, run(4, None)), np.array_equal(for_four, for_two)
    (True, False)
    """
    training = examples_of("", (X, y))
    held_out = None
    if validation is not None:
        held_out = examples_of(VALIDATION, validation)
        refuse_other_shapes(training, held_out)
    bar = bar_class(progress)
    metrics = checked(metrics or {})
    epochs, batch_size = whole("epochs", epochs, 0), whole("batch_size", batch_size, 1)
    refuse_strangers(model, optimizer, schedule, rng)
    history, file = History(), None
    if checkpoint is not None:
        settings = settings_of(training, held_out, batch_size, loss, penalty, metrics)
        file = Checkpoint(checkpoint, model, optimizer, schedule, rng, settings)
        history = file.resume(epochs)
        if not file.path.exists():
            file.write(history)  # so that an interrupted first epoch begins anew, too

    updates = math.ceil(len(training.X) / batch_size)
    done, total = history.epochs * updates, epochs * updates
    with mode_kept(model), bar(total=total, initial=done, unit="batch", disable=None) as shown:
        for epoch in range(history.epochs + 1, epochs + 1):
            started, lr = time.perf_counter(), optimizer.lr
            shown.set_description(f"epoch {epoch}/{epochs}", refresh=False)
            means = Means()
            model.train()
            for count, (inputs, targets) in enumerate(batches(*training, batch_size, rng), 1):
                outputs = model(Tensor(inputs))
                J = one_number("loss", loss(outputs, targets))
                measured = {"loss": J.item()}
                if penalty is not None:
                    extra = one_number("penalty", penalty(model))
                    measured["penalty"] = extra.item()
                    J = J + extra
                where = f"in epoch {epoch}, batch {count} of {updates}, at lr={optimizer.lr:g}"
                refuse_infinite("the loss", [J], where)
                optimizer.zero_grad()
                J.backward()
                gradients = [p.grad for p in optimizer.parameters if p.grad is not None]
                refuse_infinite("a gradient", gradients, where)
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                means.add(measured | scores(metrics, outputs, targets), len(inputs))
                shown.update()
            refuse_infinite("a weight", optimizer.parameters, f"after epoch {epoch}, at lr={lr:g}")
            row = means.values()
            if held_out is not None:
                model.eval()
                row |= evaluated(model, loss, metrics, held_out, batch_size)
            history.append(row | {"lr": lr, "seconds": time.perf_counter() - started})
            numbers = {name: f"{number:.4g}" for name, number in row.items()}
            shown.set_postfix(numbers, refresh=False)
            if file is not None:
                file.write(history)
    return history


class Means:
    """Means over examples of what was measured batch by batch."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._examples = 0

    def add(self, measured: Mapping[str, float], examples: int) -> None:
        """Add the means over the examples of a batch."""
        self._examples += examples
        for name, mean in measured.items():
            self._sums[name] = self._sums.get(name, 0.0) + mean * examples

    def values(self, prefix: str = "") -> dict[str, float]:
        """The means over all examples, by name."""
        return {prefix + name: total / self._examples for name, total in self._sums.items()}


def scores(metrics: Metrics, outputs: Any, targets: Array) -> dict[str, float]:
    """What the metrics give for a batch."""
    array = unwrapped(outputs)
    return {name: float(metric(array, targets)) for name, metric in metrics.items()}


def evaluated(
    model: Module, loss: Loss, metrics: Metrics, examples: Examples, batch_size: int
) -> dict[str, float]:
    """The loss and the metrics of a model on examples that it is not trained on."""
    means = Means()
    with no_grad():
        for inputs, targets in batches(*examples, batch_size, None):
            outputs = model(Tensor(inputs))
            measured = {"loss": one_number("loss", loss(outputs, targets)).item()}
            means.add(measured | scores(metrics, outputs, targets), len(inputs))
    return means.values(VALIDATION)


def accuracy(outputs: ArrayLike, targets: ArrayLike) -> float:
    """How many examples have their largest output at the right class, as a fraction.

    Parameters
    ----------
    outputs : array_like, shape (n, classes)
        Scores, logits or probabilities, an example per row; at least two classes.
    targets : array_like, shape (n,) or (n, classes)
        Class numbers; or a row of probabilities per example, of which the largest counts.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the shapes do not match. With a single output, where the boundary lies is not known:
        write ``lambda outputs, y: np.mean((outputs > 0) == y)`` for logits, 0.5 for probabilities.

    Examples
    --------
    >>> accuracy([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], [0, 1, 0])
    0.6666666666666666
    """
    outputs, targets = np.asarray(unwrapped(outputs)), np.asarray(unwrapped(targets))
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(
            f"accuracy takes outputs of shape (n, classes) with two classes or more, not "
            f"{outputs.shape}; for a single output say where the boundary lies, such as "
            f"lambda outputs, y: np.mean((outputs > 0) == y)"
        )
    if targets.shape not in (outputs.shape[:1], outputs.shape):
        raise ValueError(
            f"outputs of shape {outputs.shape} need targets of shape {outputs.shape[:1]} or "
            f"{outputs.shape}, not {targets.shape}"
        )
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    return float(np.mean(outputs.argmax(axis=1) == labels))


# ---- around the loop ----------------------------------------------------------------------------


@contextmanager
def mode_kept(model: Module) -> Iterator[None]:
    """Leave every module in the mode in which it was, training or not."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class NoBar:
    """A progress bar that is not there."""

    def __init__(self, **options: Any) -> None:
        pass

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self) -> None:
        """Do nothing."""

    def set_description(self, text: str, refresh: bool) -> None:
        """Do nothing."""

    def set_postfix(self, numbers: Mapping[str, str], refresh: bool) -> None:
        """Do nothing."""


def bar_class(progress: bool | None) -> Any:
    """What shows the progress, as far as it is wanted and there."""
    if progress is False or (progress is None and importlib.util.find_spec("tqdm") is None):
        return NoBar
    with needed_for("progress=True", EXTRA):
        from tqdm import tqdm
    return tqdm


# ---- checks -------------------------------------------------------------------------------------


def examples_of(name: str, pair: Any) -> Examples:
    """Inputs and targets as arrays, if a model can be trained on them."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"{name.strip()} must be a pair (X, y), not {pair!r:.80}")
    examples = Examples(np.asarray(pair[0]), np.asarray(pair[1]))
    for part, given, array in zip(Examples._fields, pair, examples, strict=True):
        refuse_masked(f"{name}{part}", given)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name}{part} must hold numbers, not {array.dtype}")
        if not array.ndim or not array.size:
            raise ValueError(f"{name}{part} of shape {array.shape} has no examples")
    if len(examples.X) != len(examples.y):
        raise ValueError(
            f"{name}X and {name}y must have a row for each example, but have {len(examples.X)} "
            f"and {len(examples.y)} rows"
        )
    for part, array in examples._asdict().items():
        for start in range(0, len(array), ROWS):
            rows = array[start : start + ROWS]
            finite = np.isfinite(rows)
            if not finite.all():
                row = start + np.argmin(finite.reshape(len(rows), -1).all(axis=1))
                raise ValueError(
                    f"{name}{part} has NaN or infinity, first in row {row}: leave such rows out, "
                    f"or fill in what is missing"
                )
    return examples


def refuse_other_shapes(training: Examples, held_out: Examples) -> None:
    """Raise if examples to validate on have not the shape of those to train on."""
    for part, ours, theirs in zip(Examples._fields, training, held_out, strict=True):
        if ours.shape[1:] != theirs.shape[1:]:
            raise ValueError(
                f"rows of {VALIDATION}{part} have shape {theirs.shape[1:]}, and those of {part} "
                f"{ours.shape[1:]}"
            )


def checked(metrics: Metrics) -> Metrics:
    """The metrics, if they are functions by names that are not taken."""
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"metrics must be a dict of names and functions, such as "
            f'{{"accuracy": accuracy}}, not {type(metrics).__name__}'
        )
    for name, metric in metrics.items():
        if not isinstance(name, str) or not callable(metric):
            raise TypeError(f"the metric {name!r} is not a function, but {metric!r:.80}")
        if name in TAKEN or name.startswith(VALIDATION):
            raise ValueError(f"no metric can be named {name!r}: the history has that column")
    return metrics


def refuse_strangers(model: Any, optimizer: Any, schedule: Any, rng: Any) -> None:
    """Raise if one of these is something else, or they do not belong together."""
    if not isinstance(model, Module):
        raise TypeError(f"model must be a nn.Module, not {type(model).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one of autograd_mini.optim, not {optimizer!r:.80}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, not {type(rng).__name__}: "
            f"write rng=np.random.default_rng(seed)"
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not own:
        raise ValueError("the model has no parameters that want a gradient: nothing to train")
    if own.isdisjoint(map(id, optimizer.parameters)):
        raise ValueError(
            "the optimizer holds none of the model's parameters: make it of model.parameters(), "
            "after the model"
        )
    if not isinstance(schedule, Schedule | None):
        raise TypeError(f"schedule must be one of autograd_mini.optim, not {schedule!r:.80}")
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError("the schedule is that of another optimizer")


def one_number(name: str, value: Any) -> Tensor:
    """The value of a loss, if it is one."""
    if not isinstance(value, Tensor):
        raise TypeError(f"the {name} must be a Tensor, not {type(value).__name__}")
    if value.size != 1:
        raise ValueError(
            f"the {name} has shape {value.shape}, and must be one number: the mean over the batch"
        )
    return value


def refuse_infinite(what: str, tensors: list[Tensor], where: str) -> None:
    """Raise at NaN and infinity."""
    for tensor in tensors:
        if not np.isfinite(tensor.data).all():
            before = "" if what == "a weight" else "; the weights are those before this update"
            raise FloatingPointError(
                f"{what} is not finite {where}{before}. Try a smaller learning rate, or in a loop "
                f"of your own optim.clip_grad_norm before step(). To find the op where it begins, "
                f"call fit in `with ag.debug():`"
            )


def settings_of(
    training: Examples,
    held_out: Examples | None,
    batch_size: int,
    loss: Loss,
    penalty: Any,
    metrics: Metrics,
) -> dict[str, str]:
    """What a run that goes on must be given again, in words."""
    further = ("none", "none") if held_out is None else map(content_of, held_out)
    return {
        "X": content_of(training.X),
        "y": content_of(training.y),
        **dict(zip((f"{VALIDATION}X", f"{VALIDATION}y"), further, strict=True)),
        "batch_size": str(batch_size),
        "loss": described(loss),
        "penalty": described(penalty),
        "metrics": ", ".join(metrics) or "none",
    }
