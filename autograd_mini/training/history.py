"""What was measured while a model was trained, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..nn.checks import needed_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["History"]

EXTRA = "demo"  # the optional extra of this package that has matplotlib and tqdm
NOT_DRAWN = ("penalty", "lr", "seconds")
VALIDATION = "validation "
EDGE = 6  # epochs at the beginning and at the end that a long table shows


class History(dict[str, list[float]]):
    """What was measured in each epoch: a dict of columns, each a list with a number per epoch.

    `autograd_mini.fit` returns it with the columns

    - ``"loss"``: the mean over the epoch's examples, each measured just before the update that it
      took part in, as the model was then (in training mode);
    - ``"penalty"``: where there is one, its mean over the updates, in the same way;
    - one for each metric, by its name, as for the loss;
    - ``"validation loss"`` and ``"validation <metric>"``: after the epoch, in evaluation mode;
    - ``"lr"``: the learning rate of the epoch's first update;
    - ``"seconds"``: how long the epoch took, validation included.

    Parameters
    ----------
    columns : mapping of str to list of float, optional
        All of one length.

    Raises
    ------
    ValueError
        If columns have different lengths.

    Examples
    --------
    >>> history = History({"loss": [0.693, 0.412], "accuracy": [0.5, 0.875]})
    >>> history
    epoch   loss  accuracy
        1  0.693       0.5
        2  0.412     0.875
    >>> history["loss"]
    [0.693, 0.412]
    >>> history.epochs
    2
    """

    def __init__(self, columns: Mapping[str, list[float]] | None = None) -> None:
        super().__init__(
            {name: [float(x) for x in column] for name, column in (columns or {}).items()}
        )
        lengths = {name: len(column) for name, column in self.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns have different lengths: {lengths}")

    @property
    def epochs(self) -> int:
        """How many epochs there were."""
        return max(map(len, self.values()), default=0)

    def append(self, row: Mapping[str, float]) -> None:
        """Add what was measured in one more epoch.

        Parameters
        ----------
        row : mapping of str to float
            A number for every column.

        Raises
        ------
        ValueError
            If it has other columns than the epochs before.

        Examples
        --------
        >>> history = History()
        >>> history.append({"loss": 0.25})
        >>> history["loss"]
        [0.25]
        """
        if self and list(self) != list(row):
            raise ValueError(f"the columns are {list(self)}, and the new epoch has {list(row)}")
        for name, number in row.items():
            self.setdefault(name, []).append(float(number))

    def __repr__(self) -> str:
        if not self.epochs:
            return "History of no epochs"
        rows = [["epoch", *self]]
        for epoch in range(self.epochs):
            if epoch < EDGE or epoch >= self.epochs - EDGE:
                rows.append([str(epoch + 1), *[f"{column[epoch]:.4g}" for column in self.values()]])
            elif epoch == EDGE:
                rows.append(["..."] * len(rows[0]))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )

    def plot(self) -> Figure:
        """Draw the loss, and beside it each metric, over the epochs.

        Returns
        -------
        matplotlib.figure.Figure
            Show it in a notebook, or write it with ``.savefig("curve.png")``.

        Raises
        ------
        ValueError
            If there was no epoch.
        ModuleNotFoundError
            If matplotlib is not installed; it comes with ``autograd-mini[demo]``.

        Examples
        --------
        >>> figure = History({"loss": [0.693, 0.412], "accuracy": [0.5, 0.875]}).plot()
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss', 'accuracy']
        """
        if not self.epochs:
            raise ValueError("there is nothing to draw: the history has no epochs")
        with needed_for("a plot", EXTRA):
            from matplotlib.figure import Figure
        names = [name for name in self if name not in NOT_DRAWN and not name.startswith(VALIDATION)]
        figure = Figure(figsize=(4.5 * len(names), 3.6), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            self._draw(axes, name)
        return figure

    def _draw(self, axes: Axes, name: str) -> None:
        """Draw one quantity, in training and in validation."""
        from matplotlib.ticker import MaxNLocator

        epochs = range(1, self.epochs + 1)
        mark = "o" if self.epochs == 1 else None  # one point makes no line
        axes.plot(epochs, self[name], marker=mark, color="#0072b2", label="training")
        validation = self.get(VALIDATION + name)
        if validation is not None:
            axes.plot(epochs, validation, marker=mark, color="#d55e00", label="validation")
            axes.legend(frameon=False)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
