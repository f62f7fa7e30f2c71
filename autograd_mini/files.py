"""Writing files: whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file so that nobody ever finds a part of it, and nothing is left if it fails.

    The content is on the disk before the file gets its name, so that this holds also if the
    machine loses power.  A process that is killed meanwhile may leave a hidden file beside it,
    whose name is ``.``, the file's own name and sixteen digits; see `remove_unfinished`.

    Parameters
    ----------
    path : path
        The file; what was there is replaced, and its permissions stay. Its folder must exist.
    content : bytes
        What to write.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written, the disk is full, or there is a pipe or a
        device where the file should be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/greeting.txt", b"hello").read_bytes()
    b'hello'
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        if target.exists() and not (target.is_file() or target.is_dir()):
            raise OSError(errno.EEXIST, "there is a pipe or a device, not a file")
        with unfinished.open("xb") as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, unfinished)
                unfinished.replace(target)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        # under the file's own name: that of the hidden one says nothing, or there is none
        raise OSError(error.errno, error.strerror, str(path)) from error
    return Path(path)


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Remove what writers of a file left behind that were killed.

    Call it only where nobody else may be writing the same file.

    Parameters
    ----------
    path : path
        The file, as given to `write_whole`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     left = Path(f"{folder}/.a.npz.0123456789abcdef")
    ...     left.touch()
    ...     remove_unfinished(f"{folder}/a.npz")
    ...     left.exists()
    False
    """
    target = Path(os.path.realpath(path))
    for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 16}"):
        left.unlink(missing_ok=True)
