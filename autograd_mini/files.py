"""Writing files: whole or not at all."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file so that nobody ever finds a part of it, and nothing is left if it fails.

    The content is on the disk before the file gets its name, so that this holds also if the
    machine loses power.  A process that is killed meanwhile may leave a hidden file beside it,
    whose name is ``.``, the file's own name and eight more letters; see `remove_unfinished`.

    Parameters
    ----------
    path : path
        The file; what was there is replaced. Its folder must exist.
    content : bytes
        What to write.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/greeting.txt", b"hello").read_bytes()
    b'hello'
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        unfinished = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.chmod(0o644)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        # under the file's own name: that of the hidden one says nothing, or there is none
        raise OSError(error.errno, error.strerror, str(path)) from error
    return path


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Remove what writers of a file left behind that were killed.

    Call it only where nobody else may be writing the same file.

    Parameters
    ----------
    path : path
        The file, as given to `write_whole`.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     left = Path(f"{folder}/.a.npz.k3x_9q0z")
    ...     left.touch()
    ...     remove_unfinished(f"{folder}/a.npz")
    ...     left.exists()
    False
    """
    path = Path(path)
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[a-z0-9_]' * 8}"):
        left.unlink(missing_ok=True)
