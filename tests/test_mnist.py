"""MNIST: reading its files, refusing files that are not, and the published facts of the real ones.

The real files do not ship with the project; the tests that need them are skipped without them.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from autograd_mini import data
from autograd_mini.data.mnist import PARTS

REAL = Path(__file__).parents[2] / "shared" / "data"
real = pytest.mark.skipif(
    not (REAL / "mnist").is_dir(), reason="needs the files of MNIST in ../shared/data/mnist"
)


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array of bytes in the idx format."""
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, NDArray[np.uint8]]:
    """Let four small arrays stand in for MNIST, with hashes of their own."""
    rng = np.random.default_rng(4)
    shapes = {"X_train": (6, 28, 28), "y_train": (6,), "X_test": (3, 28, 28), "y_test": (3,)}
    arrays = {}
    for name, shape in shapes.items():
        arrays[name] = rng.integers(0, 10, shape, dtype=np.uint8)
        content = idx(arrays[name])
        packed = hashlib.sha256(gzip.compress(content, mtime=0)).hexdigest()
        part = replace(
            PARTS[name],
            shape=shape,
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
            file=replace(PARTS[name].file, sha256=packed),
        )
        monkeypatch.setitem(PARTS, name, part)
    return arrays


def write(
    folder: Path, arrays: dict[str, NDArray[np.uint8]], *, packed: bool, dotted: bool = False
) -> None:
    for name, array in arrays.items():
        path = folder / (PARTS[name].file.names[dotted] + (".gz" if packed else ""))
        content = idx(array)
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
@pytest.mark.parametrize("inner", [".", "mnist"])
def test_files_are_read_packed_or_not_under_both_names(
    packed: bool, dotted: bool, inner: str, small: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    (tmp_path / inner).mkdir(exist_ok=True)
    write(tmp_path / inner, small, packed=packed, dotted=dotted)
    read = data.mnist(tmp_path)
    assert [array.dtype for array in read] == [np.uint8, np.int64, np.uint8, np.int64]
    for array, written in zip(read, small.values(), strict=True):
        np.testing.assert_array_equal(array, written)
        assert array.flags.writeable


def test_folder_of_the_environment_is_used(
    small: dict[str, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, small, packed=True)
    monkeypatch.setenv("AUTOGRAD_MINI_DATA", str(tmp_path))
    np.testing.assert_array_equal(data.mnist()[1], small["y_train"])


@pytest.mark.parametrize("missing", list(PARTS))
def test_missing_file_is_named(
    missing: str, small: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    write(tmp_path, small, packed=True)
    name = PARTS[missing].file.names[0]
    (tmp_path / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=f"none of {name}, .* is in "):
        data.mnist(tmp_path)


@pytest.mark.parametrize("packed", [True, False])
def test_exchanged_files_are_refused(
    packed: bool, small: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    write(tmp_path, small | {"X_train": small["X_test"]}, packed=packed)
    with pytest.raises(ValueError, match="is not the file train-images-idx3-ubyte of MNIST"):
        data.mnist(tmp_path)


def test_file_of_another_kind_is_refused(
    small: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    write(tmp_path, small, packed=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_text("<html>Sign in</html>")
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte is not the file .* other bytes"):
        data.mnist(tmp_path)


@pytest.mark.parametrize(("cut", "found"), [(1, 4719), (4700, 20)])
def test_unpacked_file_that_is_cut_off_says_how_much_there_is(
    cut: int, found: int, small: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    write(tmp_path, small, packed=False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte has {found} bytes of 4720"):
        data.mnist(tmp_path)


def test_packed_file_that_is_cut_off_is_refused(
    small: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    write(tmp_path, small, packed=True)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz is damaged or cut off"):
        data.mnist(tmp_path)


@pytest.mark.parametrize("packed", [True, False])
def test_one_changed_pixel_is_found(
    packed: bool, small: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    changed = small["X_test"].copy()
    changed[1, 14, 14] ^= 1
    write(tmp_path, small | {"X_test": changed}, packed=packed)
    with pytest.raises(ValueError, match="is damaged: its MD5 is not that of t10k-images-idx3"):
        data.mnist(tmp_path)


# ---- downloaded ---------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a server on this machine serves as the mirror, and an empty cache."""
    pooch = pytest.importorskip("pooch")
    folder = tmp_path / "mirror"
    (folder / "mnist").mkdir(parents=True)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Quiet(*arguments, directory=str(folder))
    )
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("AUTOGRAD_MINI_MIRROR", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("AUTOGRAD_MINI_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    yield folder / "mnist"
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_are_downloaded_once(
    small: dict[str, NDArray[np.uint8]], mirror: Path, tmp_path: Path
) -> None:
    write(mirror, small, packed=True)
    first = data.mnist()
    assert sorted(path.name for path in (tmp_path / "cache").rglob("*.gz")) == sorted(
        f"{part.file.names[0]}.gz" for part in PARTS.values()
    )
    for path in mirror.iterdir():
        path.unlink()
    for array, again, written in zip(first, data.mnist(), small.values(), strict=True):
        np.testing.assert_array_equal(array, written)
        np.testing.assert_array_equal(array, again)


def test_damaged_download_is_refused_and_nothing_of_it_is_kept(
    small: dict[str, NDArray[np.uint8]], mirror: Path, tmp_path: Path
) -> None:
    write(mirror, small | {"X_train": small["X_train"] ^ 1}, packed=True)
    with pytest.raises(ConnectionError, match=r"train-images-idx3-ubyte\.gz could not be downl"):
        data.mnist()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@real
def test_real_files_pass_the_check_of_a_download(mirror: Path) -> None:
    mirror.rmdir()
    mirror.symlink_to(REAL / "mnist")
    _, _, X_test, y_test = data.mnist()
    assert X_test.shape == (10000, 28, 28)
    assert y_test.shape == (10000,)


# ---- the real files -----------------------------------------------------------------------------

# Published facts of ../shared/oracles.md section F.


@cache
def real_mnist() -> tuple[
    NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]
]:
    return data.mnist(REAL)


@real
def test_real_arrays_have_the_promised_shapes_and_dtypes() -> None:
    X_train, y_train, X_test, y_test = real_mnist()
    assert (X_train.shape, X_train.dtype) == ((60000, 28, 28), np.uint8)
    assert (y_train.shape, y_train.dtype) == ((60000,), np.int64)
    assert (X_test.shape, X_test.dtype) == ((10000, 28, 28), np.uint8)
    assert (y_test.shape, y_test.dtype) == ((10000,), np.int64)


@real
def test_real_labels_are_those_that_were_published() -> None:
    _, y_train, _, y_test = real_mnist()
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_train).tolist() == counts
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(y_test).tolist() == counts
    assert y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@real
def test_real_training_pixels_have_the_published_mean_and_deviation() -> None:
    pixels = real_mnist()[0]
    counts = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    value = np.arange(256) / 255
    mean = counts @ value
    assert round(mean, 4) == 0.1307
    assert round(float(np.sqrt(counts @ np.square(value - mean))), 4) == 0.3081


# ---- any file of this format --------------------------------------------------------------------


@pytest.mark.parametrize("code", [8, 9, 11, 12, 13, 14])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
@pytest.mark.parametrize("gzipped", [False, True])
def test_an_idx_file_is_read_as_it_says(
    code: int, shape: tuple[int, ...], gzipped: bool, tmp_path: Path
) -> None:
    types = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    array = np.arange(math.prod(shape)).reshape(shape).astype(types[code])
    content = bytes([0, 0, code, len(shape)])
    content += b"".join(n.to_bytes(4, "big") for n in shape) + array.tobytes()
    path = tmp_path / "some-idx"
    path.write_bytes(gzip.compress(content) if gzipped else content)
    found = data.read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no idx file"),
        (b"\x89PNG....", "no idx file"),
        (bytes([0, 0, 10, 1, 0, 0, 0, 0]), "no idx file"),
        (bytes([0, 0, 8, 3, 0, 0]), "ends within the lengths of its 3 axes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2]), r"has 10 bytes of 11: of shape \(3,\) uint8"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 7, 2]), "has 10 bytes of 9"),
        (bytes([0, 0, 14, 2, *[255] * 8]), "bytes of"),
    ],
)
def test_another_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some-idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        data.read_idx(path)
