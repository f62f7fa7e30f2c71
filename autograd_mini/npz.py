"""npz files: written, and read though they may be anybody's; no pickle is ever loaded."""

from __future__ import annotations

import contextlib
import io
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
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
    """What a file says of an array, before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool = False
    offset: int = 0  # where its numbers begin, after the header

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"


class Source(NamedTuple):
    """A file that is open: first what it declares, and then its arrays."""

    declared: Mapping[str, Declared]
    read: Callable[[str], NDArray[Any]]


def declared_in(archive: zipfile.ZipFile) -> dict[str, Declared]:
    """The shape and dtype of each array; no more than headers are read."""
    found: dict[str, Declared] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            raise ValueError(f"{name!r} in it is no array")
        refuse_other_packing(repr(name), member)
        if name in found:
            raise ValueError(f"there are two arrays named {name!r}")
        with archive.open(member) as file:
            array = declared_by(repr(name), file.read(HEADER))
        size = array.offset + math.prod(array.shape) * array.dtype.itemsize
        if min(array.shape, default=0) < 0 or member.file_size != size:
            raise ValueError(f"{name!r} is declared as {array.shape}, and has another size")
        found[name] = array
    return found


def array_of(content: bytes, declared: Declared) -> NDArray[Any]:
    """The array in the content of a file in NumPy's format, of the size that was declared."""
    array = np.frombuffer(content, declared.dtype, offset=declared.offset)
    return array.reshape(declared.shape, order="F" if declared.columns_first else "C")


def refuse_other_packing(label: str, member: zipfile.ZipInfo) -> None:
    """Raise at a part that Python would unpack in one go, however large it is."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{label} is packed in a way that NumPy does not use")


def declared_by(label: str, start: bytes) -> Declared:
    """What the first bytes of an array in NumPy's format say."""
    file = io.BytesIO(start)
    try:
        shape, columns_first, dtype = FORMATS[np.lib.format.read_magic(file)](file)
    except Exception as error:  # NumPy reads it as Python, and that can fail in many ways
        raise ValueError(f"{label} is not an array in NumPy's format") from error
    if dtype.hasobject:
        raise ValueError(f"{label} holds Python objects (a pickle), which are never loaded")
    return Declared(shape, dtype, columns_first, file.tell())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """An npz file, open in a ``with`` block; every ValueError in it gets the file's name."""
    refuse_other_than_file(path)
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                declared = declared_in(archive)

                def read(name: str) -> NDArray[Any]:
                    content = archive.read(f"{name}.npy")  # which checks the checksum
                    array = array_of(content, declared[name])
                    return array.astype(array.dtype.newbyteorder("="))

                yield Source(declared, read)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        except DAMAGE as error:
            raise ValueError(f"{path}: not an npz file, or a damaged one ({error})") from error


def refuse_other_than_file(path: Path) -> None:
    """Raise at a folder, and at a device, which might never end."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a folder or a device, not a file")
