"""Weights as files: written whole or not at all, and checked before they count."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..files import write_whole
from ..npz import Declared, Source, npz, opened, refuse_other_than_file
from .checks import needed_for
from .module import Module

__all__ = ["load_weights", "save_weights"]

State = dict[str, NDArray[Any]]


def save_weights(model: Module, path: str | os.PathLike[str]) -> Path:
    """Write the parameters and buffers of a model to a file.

    Parameters
    ----------
    model : Module
    path : path
        Ends in ``.npz``, which needs nothing, or in ``.safetensors``, which other libraries read
        too and which needs ``pip install 'autograd-mini[safetensors]'``.  What was there is
        replaced, in one moment: nobody finds a part of a file, and nothing is left if it fails.

    Returns
    -------
    Path
        The file.  Its arrays are named as in ``model.state_dict()``, such as ``layers.0.weight``.

    Raises
    ------
    OSError
        If it cannot be written, or the disk is full.
    ValueError
        If the ending is another.
    ModuleNotFoundError
        If safetensors is wanted and not installed.

    Examples
    --------
    >>> import tempfile
    >>> from autograd_mini import nn
    >>> model = nn.Linear(2, 1, rng=np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nn.save_weights(model, f"{folder}/model.npz")
    ...     print(*np.load(path))
    weight bias
    """
    path = Path(path)
    return write_whole(path, format_of(path).content(model.state_dict()))


def load_weights(model: Module, path: str | os.PathLike[str]) -> None:
    """Read the parameters and buffers of a model from a file.

    All names, shapes and dtypes are checked before anything is unpacked, and everything is read
    before the model is changed: after an error it is what it was.  The file may be anybody's:
    it is only data, and no pickle is ever loaded.  An npz file has checksums, so that a damaged
    one is found; safetensors files have none, and a changed weight in one cannot be seen.

    Parameters
    ----------
    model : Module
        Changed in place.  Its arrays keep their identity.
    path : path
        As for `save_weights`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged or not what its ending says, or does not fit the model.
    ModuleNotFoundError
        If it is a safetensors file and safetensors is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from autograd_mini import nn
    >>> model = nn.Linear(2, 1, rng=np.random.default_rng(0))
    >>> other = nn.Linear(2, 1, rng=np.random.default_rng(1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.load_weights(other, nn.save_weights(model, f"{folder}/model.npz"))
    >>> np.array_equal(model.weight.data, other.weight.data)
    True
    """
    path = Path(path)
    with format_of(path).opened(path) as file:
        state = fitting(file, model.state_dict())
    model.load_state_dict(state)


def fitting(file: Source, state: State) -> State:
    """Read all arrays of a file, if they are those of a state by name, shape and dtype."""
    declared = file.declared
    missing = [name for name in state if name not in declared]
    extra = [name for name in declared if name not in state]
    other = [
        f"{name!r} is {found} there and {array.shape} {array.dtype} here"
        for name, array in state.items()
        if (found := declared.get(name))
        if found.shape != array.shape or not np.can_cast(found.dtype, array.dtype, "safe")
    ]
    reasons = [
        *([f"it lacks {listed(missing)}"] if missing else []),
        *([f"it has {listed(extra)} in addition"] if extra else []),
        *other[:5],
        *([f"and {len(other) - 5} more have another shape or dtype"] if len(other) > 5 else []),
    ]
    if reasons:
        raise ValueError(f"the file does not fit the model: {'; '.join(reasons)}")
    return {name: file.read(name) for name in state}


def listed(names: list[str]) -> str:
    """Names for a message; of many the first."""
    first = ", ".join(repr(name[:100]) for name in names[:5])
    return first if len(names) <= 5 else f"{first} and {len(names) - 5} more"


# ---- formats ------------------------------------------------------------------------------------


def safetensors() -> Any:
    """The library, or an error that says how to get it."""
    otherwise = ", or use a path that ends in .npz"
    with needed_for("a .safetensors file", "safetensors", otherwise):
        import safetensors.numpy
    return safetensors


def safetensors_content(state: State) -> bytes:
    """Arrays in the format of safetensors."""
    library = safetensors()
    # the library writes memory as it lies, and that must be row by row
    rows = {name: np.array(array, order="C") for name, array in state.items()}
    try:
        content: bytes = library.numpy.save(rows)
    except library.SafetensorError as error:  # a dtype that it does not have
        raise ValueError(f"{error}: use a path that ends in .npz") from error
    return content


@contextlib.contextmanager
def safetensors_opened(path: Path) -> Iterator[Source]:
    """A safetensors file, open in a ``with`` block; every ValueError in it gets the file's name."""
    library = safetensors()
    refuse_other_than_file(path)
    path.open("rb").close()  # the library's own words for a file that cannot be read are poor
    try:
        with library.safe_open(path, framework="numpy") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            declared = {
                name: Declared(tuple(part.get_shape()), dtype_of(part.get_dtype()))
                for name, part in parts.items()
            }
            yield Source(declared, file.get_tensor)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except library.SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file, or a damaged one ({error})") from error


KINDS = {"F": "float", "I": "int", "U": "uint", "C": "complex"}


def dtype_of(kind: str) -> np.dtype[Any]:
    """NumPy's dtype for one of safetensors, such as F32 or BOOL."""
    try:
        return np.dtype(f"{KINDS[kind[0]]}{kind[1:]}" if kind != "BOOL" else bool)
    except (KeyError, TypeError):
        raise ValueError(f"there is an array of dtype {kind}, which NumPy does not have") from None


class Format(NamedTuple):
    """How a kind of file is written and read."""

    content: Callable[[State], bytes]
    opened: Callable[[Path], contextlib.AbstractContextManager[Source]]


FORMATS = {
    ".npz": Format(npz, opened),
    ".safetensors": Format(safetensors_content, safetensors_opened),
}


def format_of(path: Path) -> Format:
    """The kind of file that the ending of a path stands for."""
    try:
        return FORMATS[path.suffix]
    except KeyError:
        raise ValueError(
            f"{path} ends in {path.suffix!r}: weights are kept in files that end in .npz or in "
            f".safetensors"
        ) from None
