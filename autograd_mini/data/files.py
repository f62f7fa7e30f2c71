"""The files of public data sets: found in a folder, else downloaded, and never half there.

A data set asks for its files with `find_or_download`, which looks in this order:

1. in the folder that the caller names, and in nothing else then;
2. in the folder that the environment variable ``AUTOGRAD_MINI_DATA`` names;
3. in pooch's cache, which it fills by a download from the first address that serves the right file.

A folder may hold the files themselves, or a folder per data set (``mnist``, ``titanic``).  A folder
of that kind, served by ``python -m http.server``, takes the place of the public addresses where the
environment variable ``AUTOGRAD_MINI_MIRROR`` names its address (or several, with spaces between).
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..nn.checks import needed_for

__all__ = ["TITANIC_TEST", "TITANIC_TRAIN", "PublicFile", "find_or_download", "read"]


@dataclass(frozen=True)
class PublicFile:
    """One file of a public data set: its names, its origin, and where it can be downloaded."""

    #: What it is called, without ".gz"; the first name is the one that is downloaded and cached.
    names: tuple[str, ...]
    #: The data set, which is the name of its folder too.
    folder: str
    #: Whose file it is and where a person finds it, as the end of "get it from ...".
    origin: str
    #: What the downloaded file's name has after the first of its names: ".gz" or nothing.
    suffix: str = ""
    #: Addresses of folders that have the downloaded file, each ending in "/".
    mirrors: tuple[str, ...] = ()
    #: The SHA-256 of the downloaded file.
    sha256: str = ""


#: Bytes that a file may unpack to: twice what the largest one, MNIST's training images, does.
LARGEST = 100_000_000

_KAGGLE = "the data page of Kaggle's competition 'Titanic' (www.kaggle.com/competitions/titanic)"

_TITANIC_COPY = "https://raw.githubusercontent.com/minsuk-heo/kaggle-titanic/master/input/"

TITANIC_TRAIN = PublicFile(
    ("train.csv", "titanic_train.csv"),
    "titanic",
    _KAGGLE,
    mirrors=(_TITANIC_COPY,),
    sha256="7d118fef8b6ccf7f81111877bc388536f7b1e498a655e3d649d19aaa010e9f6f",
)
TITANIC_TEST = PublicFile(
    ("test.csv", "titanic_test.csv"),
    "titanic",
    _KAGGLE,
    mirrors=(_TITANIC_COPY,),
    sha256="56023b9948236f3c7a1c9448fcf418b283e109ef177fa8c7e069158dd7dd52b2",
)


def find_or_download(file: PublicFile, directory: str | os.PathLike[str] | None = None) -> Path:
    """Return where a file of a public data set is, after a download if need be.

    Parameters
    ----------
    file : PublicFile
        The file.
    directory : path, optional
        The folder that has it, itself or in a folder named after the data set; plain or gzipped.
        Without it, ``$AUTOGRAD_MINI_DATA`` is looked into, and then the file is downloaded.

    Returns
    -------
    Path
        The file, which nobody has looked into: see `read`.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or does not have the file, or if the file is nowhere and no
        public address serves it.
    ModuleNotFoundError
        If it must be downloaded and pooch is not installed.
    ConnectionError
        If no address served the file as it should be; it says for each what went wrong.
    OSError
        If the cache cannot be written, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> file = PublicFile(("numbers.csv",), "numbers", "a friend")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "numbers.csv").write_text("1,2,3")
    ...     find_or_download(file, folder).name
    'numbers.csv'
    """
    if directory is not None:
        found = _find(file, Path(directory), "directory")
        if found is None:
            names = ", ".join(name + ending for name in file.names for ending in ("", ".gz"))
            raise FileNotFoundError(
                f"none of {names} is in {directory} or in its folder {file.folder}; "
                f"get {file.names[0]} from {file.origin}"
            )
        return found
    if named := os.environ.get("AUTOGRAD_MINI_DATA"):
        found = _find(file, Path(named), "$AUTOGRAD_MINI_DATA")
        if found is not None:
            return found
    return _download(file)


def read(path: Path) -> bytes:
    """Return what is in a file, unpacked if it is gzipped (whatever its name says).

    Raises
    ------
    ValueError
        If it is gzipped and damaged or cut off, or unpacks to more than any of the data sets.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     packed = Path(folder, "word.gz")
    ...     _ = packed.write_bytes(gzip.compress(b"word"))
    ...     read(packed)
    b'word'
    """
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as packed:
            unpacked = packed.read(LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path} is damaged or cut off and cannot be unpacked ({error}); get it again"
        ) from error
    if len(unpacked) > LARGEST:
        raise ValueError(f"{path} unpacks to more than {LARGEST:,} bytes: it is another file")
    return unpacked


def _find(file: PublicFile, folder: Path, named_by: str) -> Path | None:
    """Return the file in a folder, or in its folder for the data set, or None."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{named_by} is {folder}, which is not a folder")
    for place in (folder, folder / file.folder):
        for name in file.names:
            for candidate in (place / name, place / f"{name}.gz"):
                if candidate.is_file():
                    return candidate
    return None


def _download(file: PublicFile) -> Path:
    """Return the file in pooch's cache, put there from the first address that serves it right."""
    name = file.names[0] + file.suffix
    by_hand = (
        f"get {name} from {file.origin} and pass its folder as directory= "
        "or name it in $AUTOGRAD_MINI_DATA"
    )
    other = os.environ.get("AUTOGRAD_MINI_MIRROR", "").split()
    mirrors = [f"{base.rstrip('/')}/{file.folder}/" for base in other] or list(file.mirrors)
    if not mirrors:
        raise FileNotFoundError(f"{name} has no public address to download it from: {by_hand}")
    with needed_for(f"a download of {name}", "data", f", or {by_hand}"):
        import pooch
        from requests import RequestException
    folder = pooch.os_cache("autograd_mini") / file.folder
    failures = []
    for mirror in mirrors:
        try:
            with _quiet_unless_seen(pooch.get_logger()):
                # pooch writes to a temporary file beside it, which it moves after the check.
                return Path(
                    pooch.retrieve(mirror + name, f"sha256:{file.sha256}", fname=name, path=folder)
                )
        except (RequestException, ValueError) as error:  # ValueError: another SHA-256
            failures.append(f"  {mirror}{name}: {error}")
        except OSError as error:
            if error.errno is not None and error.filename is None:  # a full disk does not say where
                error.filename = str(folder / name)
            raise
    raise ConnectionError(
        "\n".join([f"{name} could not be downloaded:", *failures, f"Try again, or {by_hand}."])
    )


@contextlib.contextmanager
def _quiet_unless_seen(logger: logging.Logger) -> Iterator[None]:
    """Keep the news of a download off a stderr that is not a terminal."""
    level = logger.level
    if not sys.stderr.isatty():
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
