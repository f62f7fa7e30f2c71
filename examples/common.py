"""What the numbered examples share: options, data, the gradients three ways, saving a picture."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import autograd_mini as ag
from autograd_mini.check import numerical_gradient
from autograd_mini.files import write_whole

try:
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise SystemExit(
        f"{error.name} is not installed: pip install 'autograd-mini[examples]'"
    ) from None

T = TypeVar("T")
Array = NDArray[Any]
#: An array, or a Tensor: NumPy's stubs say that np.tanh(tensor) is an array, so nothing narrower
#: would be true of a function that takes both.
Value = Any
Arrays = Mapping[str, Value]
ByLayer = dict[int, Value]

#: Colours that colour-blind people can tell apart (Okabe and Ito, 2008), and no boxes.
BLUE, RED, *_ = COLORS = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"
STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
mpl.rcParams.update(STYLE)


# ---- options, libraries, data --------------------------------------------------------------------


def writable(folder: str) -> Path:
    """Return a folder, made if need be, that a file can be written to."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{folder} cannot be written: {error.strerror}") from None
    return Path(folder)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the options that all examples have; add an example's own to it.

    It ends the script where the folder for pictures cannot be written: before the training.
    """
    command, _, summary = str(description).splitlines()[0].partition(": ")
    options = argparse.ArgumentParser(usage=f"{command} [options]", description=summary)
    options.add_argument(
        "--short", action="store_true", help="take seconds: fewer steps, less data"
    )
    options.add_argument(
        "--out", type=writable, default="pictures", metavar="FOLDER", help="where pictures go"
    )
    return options


def need(*libraries: str) -> None:
    """Exit where a library is not installed, and say how to install it."""
    for library in libraries:
        try:
            importlib.import_module(library)
        except ModuleNotFoundError:
            raise SystemExit(
                f"{library} is not installed: pip install 'autograd-mini[examples]'"
            ) from None


def loaded(load: Callable[[Path | None], T], folder: Path | None) -> T:
    """Return what a function of `data` loads; exit where it cannot, and say what to do."""
    try:
        return load(folder)
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"to download the files, {error.name} is needed: "
            "pip install 'autograd-mini[examples]'; or say where they are by --data FOLDER"
        ) from None
    except OSError as error:
        command = f"python examples/{Path(sys.argv[0]).name} --data FOLDER"
        raise SystemExit(f"{error}\nThen: {command}") from None


# ---- the gradients, three ways -------------------------------------------------------------------


def named(**by_layer: ByLayer) -> Arrays:
    """Return {"dW1": ..., "dB1": ...} for named(dW={1: ...}, dB={1: ...})."""
    return {
        f"{letter}{layer}": array
        for letter, arrays in by_layer.items()
        for layer, array in arrays.items()
    }


def tensors(arrays: Mapping[Any, Any]) -> dict[Any, ag.Tensor]:
    """Return Tensors to differentiate by, under the same names or layers."""
    return {key: ag.Tensor(array, requires_grad=True) for key, array in arrays.items()}


def grads(tensors: Mapping[Any, ag.Tensor]) -> dict[Any, Any]:
    """Return the gradients that a backward pass left, under the same names or layers."""
    return {key: tensor.grad for key, tensor in tensors.items()}


def numerical_gradients(cost: Callable[..., Any], **parameters: Any) -> Arrays:
    """Return {"dW1": ...}, by name: each number a little more and a little less.

    `cost` takes the parameters by name. Each is an array, or arrays by layer: where W is
    {1: ..., 2: ...}, one of them is moved at a time.
    """
    gradients = {}
    for name, value in parameters.items():
        layers = value if isinstance(value, Mapping) else {"": value}
        for layer, array in layers.items():

            def moved(
                array: np.ndarray, name: str = name, value: Any = value, layer: Any = layer
            ) -> Any:
                changed = array if layer == "" else {**value, layer: array}
                return cost(**{**parameters, name: changed})

            gradients[f"d{name}{layer}"] = numerical_gradient(moved, array)
    return gradients


def numbers(gradient: Any) -> np.ndarray:
    """Return the array of a Tensor, or an array as it is."""
    return np.asarray(gradient.data if isinstance(gradient, ag.Tensor) else gradient)


def three_ways(by_hand: Arrays, autodiff: Arrays, numerical: Arrays) -> None:
    """Print how far the gradients by hand and by differences are from autodiff's.

    The arguments are gradients by name, as Tensors or arrays. Exits where the three do not agree,
    in names, shapes or numbers: an example must not teach a wrong formula.
    """
    ways = {"by hand": by_hand, "autodiff": autodiff, "numerical": numerical}
    for name in {**by_hand, **autodiff, **numerical}:
        for way, gradients in ways.items():
            if name not in gradients:
                raise SystemExit(f"{name}: it is missing among the gradients {way}")
        shapes = {way: numbers(gradients[name]).shape for way, gradients in ways.items()}
        if len(set(shapes.values())) > 1:
            raise SystemExit(f"{name}: the three ways have different shapes, {shapes}")

    print("gradient   shape        by hand - autodiff   numerical - autodiff")
    for name, gradient in autodiff.items():
        exact = numbers(gradient)
        scale = max(float(np.max(np.abs(exact), initial=0)), 1e-30)
        slip = float(np.max(np.abs(numbers(by_hand[name]) - exact), initial=0))
        error = float(np.max(np.abs(numbers(numerical[name]) - exact), initial=0))
        print(f"{name:<10} {exact.shape!s:<12} {slip:<20.1e} {error:.1e}")
        if not (slip <= 1e-10 * scale and error <= 1e-5 * scale):
            raise SystemExit(f"{name}: the three ways do not agree")


# ---- pictures ------------------------------------------------------------------------------------


def save(figure: Figure, name: str, folder: Path) -> None:
    """Write a picture as a PNG file and print where it is."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=150)
    try:
        print(f"\npicture: {write_whole(folder / f'{name}.png', content.getvalue())}")
    except OSError as error:
        raise SystemExit(f"the picture cannot be written: {error}") from None
