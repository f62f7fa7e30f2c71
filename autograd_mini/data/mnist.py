"""MNIST: 70,000 handwritten digits, read from their four files."""

from __future__ import annotations

import hashlib
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import PublicFile, find_or_download, read

__all__ = ["PARTS", "mnist", "read_idx"]


@dataclass(frozen=True)
class Part:
    """One of the four files: where it is found, the shape of its bytes, the MD5 of its content."""

    file: PublicFile
    shape: tuple[int, ...]
    md5: str


def _part(name: str, shape: tuple[int, ...], md5: str, sha256: str) -> Part:
    """Return the file of a name, which unpacking tools write with a dot as well as a hyphen."""
    file = PublicFile(
        (name, name.replace("-idx", ".idx")),
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        suffix=".gz",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256=sha256,
    )
    return Part(file, shape, md5)


#: X_train, y_train, X_test, y_test.
PARTS = {
    "X_train": _part(
        "train-images-idx3-ubyte",
        (60000, 28, 28),
        md5="6bbc9ace898e44ae57da46a324031adb",
        sha256="ae46c4f260ac4905871204038b01a6c0a113631ad2d5a23f68961fc8b88747cb",
    ),
    "y_train": _part(
        "train-labels-idx1-ubyte",
        (60000,),
        md5="a25bea736e30d166cdddb491f175f624",
        sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "X_test": _part(
        "t10k-images-idx3-ubyte",
        (10000, 28, 28),
        md5="2646ac647ad5339dbf082846283269ea",
        sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "y_test": _part(
        "t10k-labels-idx1-ubyte",
        (10000,),
        md5="27ae3e4e09519cfbb04c329615203637",
        sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}


def mnist(
    directory: str | os.PathLike[str] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Return the 60,000 training and 10,000 test images of MNIST, with their labels.

    The four files are taken from `directory`; without it from the folder that the environment
    variable ``AUTOGRAD_MINI_DATA`` names, or else they are downloaded once, about 12 MB, into
    pooch's cache (``pip install 'autograd-mini[data]'``).

    Parameters
    ----------
    directory : path, optional
        The folder that has the files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, itself or in its folder
        ``mnist``; gzipped or not, with ``.idx`` or ``-idx`` in the name.

    Returns
    -------
    X_train : ndarray of uint8, shape (60000, 28, 28)
        One image after the other: 0 is the background, 255 the ink. Divide by 255 to get values
        from 0 to 1, and by ``np.float32(255)`` to get them in half the memory.
    y_train : ndarray of int64, shape (60000,)
        The digit that each image shows, 0 to 9.
    X_test : ndarray of uint8, shape (10000, 28, 28)
        The images to test on, by other writers.
    y_test : ndarray of int64, shape (10000,)
        Their digits.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or lacks a file.
    ValueError
        If a file is damaged, cut off, or not the file that its name says: each content is checked.
    ModuleNotFoundError
        If a file must be downloaded and pooch is not installed.
    ConnectionError
        If the download fails.

    Notes
    -----
    *The MNIST database of handwritten digits* by Y. LeCun and C. Cortes, made of NIST's Special
    Databases 1 and 3, licensed under CC BY-SA 3.0
    (https://creativecommons.org/licenses/by-sa/3.0/). It does not ship with this package.

    Examples
    --------
    With the files at hand, or a network::

        X_train, y_train, X_test, y_test = mnist()

    >>> mnist("no such folder")
    Traceback (most recent call last):
    FileNotFoundError: directory is no such folder, which is not a folder
    """
    X_train, y_train, X_test, y_test = (_load(part, directory) for part in PARTS.values())
    return X_train, y_train.astype(np.int64), X_test, y_test.astype(np.int64)


#: The numbers in the third byte of an idx file, and the types that they stand for.
TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array in the idx format of MNIST, Fashion-MNIST, EMNIST and KMNIST.

    Parameters
    ----------
    path : path
        The file, gzipped or not.

    Returns
    -------
    ndarray
        Of the type and shape that the file says, in the byte order of this machine.

    Raises
    ------
    ValueError
        If it is not in that format, or has more or fewer bytes than it says.
    OSError
        If it cannot be read.

    Notes
    -----
    Two zero bytes, one for the type of the elements, one for the number of axes, their lengths as
    big-endian 32-bit numbers, and the elements: Y. LeCun, C. Cortes and C. Burges, *The MNIST
    database of handwritten digits*.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from autograd_mini import data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     data.read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    content = read(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError(f"{path} is no idx file: it begins with {content[:4]!r}")
    dtype, ndim = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"{path} ends within the lengths of its {ndim} axes")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(f"{path} has {len(content)} bytes of {expected}: of shape {shape} {dtype}")
    elements = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return elements.astype(dtype.newbyteorder("="))


def _load(part: Part, directory: str | os.PathLike[str] | None) -> NDArray[np.uint8]:
    """Find, read and check one file."""
    path = find_or_download(part.file, directory)
    content = read(path)
    # The idx format: two zero bytes, 8 for unsigned bytes, the number of axes, their lengths.
    header = struct.pack(f">HBB{len(part.shape)}I", 0, 8, len(part.shape), *part.shape)
    expected = len(header) + math.prod(part.shape)
    name = part.file.names[0]
    if not content.startswith(header):
        raise ValueError(f"{path} is not the file {name} of MNIST: it begins with other bytes")
    if len(content) != expected:
        raise ValueError(f"{path} has {len(content)} bytes of {expected}: get {name} again")
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != part.md5:
        raise ValueError(f"{path} is damaged: its MD5 is not that of {name}; get it again")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(part.shape).copy()
