"""What the numbered examples share: their options, the table of three ways, saving a picture."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import autograd_mini as ag
from autograd_mini.files import write_whole

Arrays = Mapping[str, Any]

#: Colours that colour-blind people can tell apart (Okabe and Ito, 2008), and no boxes.
STYLE = {
    "axes.prop_cycle": mpl.cycler(color=["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
mpl.rcParams.update(STYLE)


def parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of the options that all examples have; add an example's own to it."""
    command, _, summary = description.splitlines()[0].partition(": ")
    options = argparse.ArgumentParser(usage=f"{command} [options]", description=summary)
    options.add_argument(
        "--short", action="store_true", help="take seconds: fewer steps, less data"
    )
    options.add_argument(
        "--out", type=Path, default=Path("pictures"), metavar="FOLDER", help="where pictures go"
    )
    return options


def numbers(gradient: Any) -> np.ndarray:
    """Return the array of a Tensor, or an array as it is."""
    return np.asarray(gradient.data if isinstance(gradient, ag.Tensor) else gradient)


def three_ways(by_hand: Arrays, autodiff: Arrays, numerical: Arrays) -> None:
    """Print how far the gradients by hand and by differences are from autodiff's.

    The arguments are gradients by name, as Tensors or arrays. Exits where the three do not agree:
    an example must not teach a wrong formula.
    """
    print("gradient   shape        by hand - autodiff   numerical - autodiff")
    for name, gradient in autodiff.items():
        exact = numbers(gradient)
        scale = max(float(np.max(np.abs(exact), initial=0)), 1e-30)
        slip = float(np.max(np.abs(numbers(by_hand[name]) - exact), initial=0))
        error = float(np.max(np.abs(numbers(numerical[name]) - exact), initial=0))
        print(f"{name:<10} {exact.shape!s:<12} {slip:<20.1e} {error:.1e}")
        if not (slip <= 1e-10 * scale and error <= 1e-5 * scale):
            raise SystemExit(f"{name}: the three ways do not agree")


def save(figure: Figure, name: str, folder: Path) -> None:
    """Write a picture as a PNG file and print where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=150)
    print(f"\npicture: {write_whole(folder / f'{name}.png', content.getvalue())}")
