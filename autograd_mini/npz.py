"""npz files: written, and read though they may be anybody's; no pickle is ever loaded."""

from __future__ import annotations

import contextlib
import io
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 2**14  # bytes; NumPy writes some hundred, and reads headers of at most 10,000

FORMATS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

#: What Python's modules raise at a zip file that is damaged, or packed in a way they do not know.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
)


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as ``np.savez`` writes them, whatever their names."""
    if cut := [name for name in arrays if "\0" in name]:
        raise ValueError(f"an npz file cannot hold the name {cut[0]!r}, which has a null in it")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # without the time of day: always the same file
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return content.getvalue()


class Declared(NamedTuple):
    """What a file says of an array before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"


class Place(NamedTuple):
    """Where the numbers of an array begin in its part of a file, and how they stand there."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool


class Archive:
    """An npz file that is open: first what it declares, and then, one by one, its arrays."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._places: dict[str, Place] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                raise ValueError(f"{name!r} in it is no array")
            refuse_other_packing(repr(name), member)
            if name in self._places:
                raise ValueError(f"there are two arrays named {name!r}")
            with archive.open(member) as file:
                place = place_of(repr(name), file.read(HEADER))
            size = place.offset + math.prod(place.shape) * place.dtype.itemsize
            if min(place.shape, default=0) < 0 or member.file_size != size:
                raise ValueError(f"{name!r} is declared as {place.shape}, and has another size")
            self._places[name] = place

    @property
    def declared(self) -> dict[str, Declared]:
        """The shape and dtype of each array; none has been read or unpacked yet."""
        return {name: Declared(place.shape, place.dtype) for name, place in self._places.items()}

    def read(self, name: str) -> NDArray[Any]:
        """One array, in an array of its own, in this machine's order of bytes."""
        place = self._places[name]
        with self._archive.open(f"{name}.npy") as file:
            content = file.read()  # as much as was declared; checks the checksum
        array = np.frombuffer(content, place.dtype, offset=place.offset)
        array = np.reshape(array, place.shape, order="F" if place.columns_first else "C")
        return array.astype(place.dtype.newbyteorder("="))


def refuse_other_packing(label: str, member: zipfile.ZipInfo) -> None:
    """Raise at a part that Python would unpack in one go, however large it is."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{label} is packed in a way that NumPy does not use")


def place_of(label: str, start: bytes) -> Place:
    """What the first bytes of an array in NumPy's format say."""
    file = io.BytesIO(start)
    try:
        shape, columns_first, dtype = FORMATS[np.lib.format.read_magic(file)](file)
    except Exception as error:  # NumPy reads it as Python, and that can fail in many ways
        raise ValueError(f"{label} is not an array in NumPy's format") from error
    if dtype.hasobject:
        raise ValueError(f"{label} holds Python objects (a pickle), which are never loaded")
    return Place(file.tell(), shape, dtype, columns_first)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An npz file, open in a ``with`` block; every ValueError in it gets the file's name."""
    refuse_other_than_file(path)
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield Archive(archive)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        except DAMAGE as error:
            raise ValueError(f"{path}: not an npz file, or a damaged one ({error})") from error


def refuse_other_than_file(path: Path) -> None:
    """Raise at a folder, and at a device, which might never end."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a folder or a device, not a file")
