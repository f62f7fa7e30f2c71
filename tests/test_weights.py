"""Weights on file: the same bits come back, and a bad file changes nothing."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.files import remove_unfinished, write_whole

safetensors = pytest.importorskip("safetensors.numpy")

KINDS = ["npz", "safetensors"]


class Everything(nn.Module):
    """Parameters and buffers of all kinds, of which none has the default layout and dtype."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        columns_first = np.asfortranarray(rng.standard_normal((3, 4)))
        self.columns_first = ag.Tensor(columns_first, requires_grad=True)
        self.view = ag.Tensor(rng.standard_normal((6, 4))[::2, ::-1], requires_grad=True)
        self.single = ag.Tensor(rng.standard_normal(3).astype(np.float32), requires_grad=True)
        self.number = ag.Tensor(rng.standard_normal(), requires_grad=True)
        self.nothing = ag.Tensor(np.zeros((0, 3)), requires_grad=True)
        self.steps = ag.Tensor(np.array(seed))
        self.mask = ag.Tensor(rng.random(5) < 0.5)
        self.file = ag.Tensor(rng.standard_normal(2))
        self.layers = {"a.b": nn.Linear(2, 3, rng=rng), "ä": [nn.Linear(3, 1, rng=rng)]}


def small(seed: int = 0, **options: Any) -> nn.Linear:
    """A model of which a file is quick to read."""
    return nn.Linear(3, 2, rng=np.random.default_rng(seed), **options)


def refused(model: nn.Module, path: Path, match: str | None = None) -> str:
    """Load a file that must be refused, with the file's name, and with nothing changed."""
    before = model.state_dict()
    with pytest.raises(ValueError, match=match) as caught:
        nn.load_weights(model, path)
    assert str(path) in str(caught.value)
    assert same(model.state_dict(), before)
    return str(caught.value)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two states are equal to the last bit."""
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


# ---- there and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_come_back_into_the_same_arrays(kind: str, tmp_path: Path) -> None:
    model, other = Everything(1), Everything(2)
    arrays = [tensor.data for _, tensor in other.named_parameters()]
    assert not same(model.state_dict(), other.state_dict())
    path = nn.save_weights(model, tmp_path / f"model.{kind}")
    nn.load_weights(other, str(path))
    assert same(model.state_dict(), other.state_dict())
    for (_, tensor), array in zip(other.named_parameters(), arrays, strict=True):
        assert tensor.data is array
    assert [file.name for file in tmp_path.iterdir()] == [f"model.{kind}"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_with_dots_are_keys_as_they_are(kind: str, tmp_path: Path) -> None:
    path = nn.save_weights(Everything(1), tmp_path / f"model.{kind}")
    found = np.load(path) if kind == "npz" else safetensors.load_file(path)
    assert {"layers.a.b.weight", "layers.ä.0.bias", "file"} <= {*found}
    assert np.array_equal(found["columns_first"], Everything(1).columns_first.data)


def test_special_numbers_come_back(tmp_path: Path) -> None:
    model, other = small(), small(1)
    with ag.no_grad():
        model.weight[...] = [[np.nan, np.inf, -np.inf], [-0.0, 5e-324, 1.7976931348623157e308]]
    nn.load_weights(other, nn.save_weights(model, tmp_path / "model.npz"))
    assert same(model.state_dict(), other.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_fits_into_double_and_not_the_other_way(kind: str, tmp_path: Path) -> None:
    single, double = small(1, dtype=np.float32), small(2)
    nn.load_weights(double, nn.save_weights(single, tmp_path / f"single.{kind}"))
    assert np.array_equal(double.weight.data, single.weight.data)
    refused(
        single,
        nn.save_weights(double, tmp_path / f"double.{kind}"),
        r"'weight' is \(2, 3\) float64 there and \(2, 3\) float32 here",
    )


def test_the_files_of_numpy_are_read(tmp_path: Path) -> None:
    state = small(1).state_dict()
    for name, write in {"plain": np.savez, "packed": np.savez_compressed}.items():
        swapped = {key: array.astype(">f8") for key, array in state.items()}
        for order, arrays in {"here": state, "swapped": swapped}.items():
            path = tmp_path / f"{name}_{order}.npz"
            write(path, **arrays)
            model = small(2)
            nn.load_weights(model, path)
            assert same(model.state_dict(), state)


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    for kind in KINDS:
        one, other = (nn.save_weights(small(), tmp_path / f"{i}.{kind}") for i in range(2))
        assert one.read_bytes() == other.read_bytes()


def test_saving_replaces_and_a_graph_that_kept_old_weights_notices_loading(tmp_path: Path) -> None:
    path = nn.save_weights(small(1), tmp_path / "model.npz")
    nn.save_weights(small(2), path)
    model = small(3)
    J = np.sum(model(ag.Tensor(np.ones((1, 3)), requires_grad=True)) ** 2)
    nn.load_weights(model, path)
    assert same(model.state_dict(), small(2).state_dict())
    with pytest.raises(RuntimeError, match="changed"):
        J.backward()


# ---- files that do not fit ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_listed(kind: str, tmp_path: Path) -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            self.weight = ag.Tensor(np.zeros((2, 4)), requires_grad=True)
            self.scale = ag.Tensor(1.0, requires_grad=True)

    text = refused(small(), nn.save_weights(Other(), tmp_path / f"other.{kind}"))
    assert "it lacks 'bias'; it has 'scale' in addition; 'weight' is (2, 4) float64 there" in text


def test_long_lists_are_cut(tmp_path: Path) -> None:
    def deep(width: int, depth: int) -> nn.Sequential:
        rng = np.random.default_rng(0)
        return nn.Sequential(*[nn.Linear(width, width, rng=rng) for _ in range(depth)])

    text = refused(deep(2, 3), nn.save_weights(deep(3, 6), tmp_path / "deep.npz"))
    assert "and 1 more in addition; '0.weight'" in text
    assert text.endswith("and 1 more have another shape or dtype")


@pytest.mark.parametrize("name", ["model", "model.pt", "model.npy", "npz"])
def test_another_ending_is_refused_by_both(name: str, tmp_path: Path) -> None:
    for use in (nn.save_weights, nn.load_weights):
        with pytest.raises(ValueError, match=r"\.npz or in \.safetensors"):
            use(small(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_is_said_to_be_missing(kind: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"none.{kind}"):
        nn.load_weights(small(), tmp_path / f"none.{kind}")
    with pytest.raises(FileNotFoundError, match=f"nowhere.*model.{kind}"):
        nn.save_weights(small(), tmp_path / "nowhere" / f"model.{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_no_file(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / f"folder.{kind}"
    folder.mkdir()
    refused(small(), folder, "a folder or a device")
    with pytest.raises(OSError, match="folder"):
        nn.save_weights(small(), folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_without_safetensors_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nn.save_weights(small(), tmp_path / "model.safetensors")
    for name in [name for name in sys.modules if name.startswith("safetensors")]:
        monkeypatch.setitem(sys.modules, name, None)
    for use in (nn.save_weights, nn.load_weights):
        with pytest.raises(ModuleNotFoundError, match=r"autograd-mini\[safetensors\]"):
            use(small(), path)
    nn.save_weights(small(), tmp_path / "model.npz")  # which needs nothing


def test_what_safetensors_does_not_know_is_refused(tmp_path: Path) -> None:
    class Long(nn.Module):
        def __init__(self) -> None:
            self.scale = ag.Tensor(np.ones(2, dtype=np.clongdouble))

    with pytest.raises(ValueError, match=r"use a path that ends in \.npz"):
        nn.save_weights(Long(), tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_dtype_that_numpy_does_not_have_is_named(tmp_path: Path) -> None:
    header = b'{"weight":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    refused(small(), path, "BF16")


# ---- files that are damaged ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_anywhere_is_refused(kind: str, tmp_path: Path) -> None:
    model = small()
    path = nn.save_weights(small(1), tmp_path / f"model.{kind}")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(model, path)


def test_a_bit_that_is_wrong_is_noticed_wherever_it_matters(tmp_path: Path) -> None:
    path = nn.save_weights(small(1), tmp_path / "model.npz")
    whole = path.read_bytes()
    untouched, right = small(0).state_dict(), small(1).state_dict()
    noticed = harmless = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        model = small()
        try:
            nn.load_weights(model, path)
        except ValueError as error:
            noticed += str(path) in str(error) and same(model.state_dict(), untouched)
        else:
            harmless += same(model.state_dict(), right)  # it was a date, or such
    assert noticed + harmless == len(whole)
    assert noticed > harmless


def test_a_file_with_more_than_one_wrong_byte_raises_nothing_but_a_clear_error(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    for kind in KINDS:
        clear = 0
        path = nn.save_weights(small(1), tmp_path / f"model.{kind}")
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(300):
            wrong = whole.copy()
            places = rng.integers(len(whole), size=rng.integers(1, 9))
            wrong[places] = rng.integers(256, size=len(places))
            path.write_bytes(wrong.tobytes())
            model = small()
            try:
                nn.load_weights(model, path)
            except ValueError as error:
                clear += str(path) in str(error) and same(model.state_dict(), small().state_dict())
            else:
                clear += 1
        assert clear == 300


FOREIGN = {
    "empty": b"",
    "text": b"weight,2x3,1,2,3,4,5,6\n",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "pickle": pickle.dumps({"weight": np.zeros((2, 3)), "bias": np.zeros(2)}),
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    refused(small(), write_whole(tmp_path / f"model.{kind}", FOREIGN[name]), f"{kind} file")


def test_a_file_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    for kind, other in (KINDS, KINDS[::-1]):
        path = nn.save_weights(small(), tmp_path / f"model.{kind}")
        refused(small(), path.rename(tmp_path / f"renamed.{other}"), f"{other} file")


class Exploit:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    path, proof = tmp_path / "model.npz", tmp_path / "it ran"
    objects = np.array([[Exploit(proof)] * 3] * 2)
    np.savez(path, weight=objects, bias=np.zeros(2), allow_pickle=True)
    refused(small(), path, "pickle")
    np.save(tmp_path / "plain.npy", objects, allow_pickle=True)
    (tmp_path / "plain.npy").rename(path)
    refused(small(), path, "not an npz file")
    assert not proof.exists()


def npz_of(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """A packed zip file of anything."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def npy(array: Any) -> bytes:
    """An array in NumPy's format."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def memory_to_refuse(path: Path, match: str) -> int:
    """The bytes that it took at most to refuse a file."""
    tracemalloc.start()
    try:
        refused(small(), path, match)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_array_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = npy(np.zeros(2**23))
    bias = ("bias.npy", npy(np.zeros(2)))
    for name in ("weight.npy", "more.npy"):
        path = npz_of(tmp_path / f"{name}.npz", [("weight.npy", npy(np.zeros((2, 3)))), bias])
        path = npz_of(path, [(name, bomb), bias])
        assert path.stat().st_size < 2**17
        assert memory_to_refuse(path, "does not fit") < 2**20


def test_a_header_that_does_not_end_is_not_unpacked(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x02\x00" + (2**26).to_bytes(4, "little") + b" " * 2**26
    path = npz_of(tmp_path / "model.npz", [("weight.npy", header)])
    assert memory_to_refuse(path, "not an array in NumPy's format") < 2**20


def test_contents_that_contradict_their_header_are_refused(tmp_path: Path) -> None:
    weight, bias = ("weight.npy", npy(np.zeros((2, 3)))), ("bias.npy", npy(np.zeros(2)))
    path = tmp_path / "model.npz"
    nn.load_weights(small(), npz_of(path, [weight, bias]))
    negative = npy(np.zeros((2, 3))).replace(b"(2, 3)", b"(-2,-3)")[:-1]
    for members, match in [
        ([(weight[0], weight[1] + b"\0" * 8), bias], "another size"),
        ([(weight[0], weight[1][:-8]), bias], "another size"),
        ([(weight[0], weight[1].replace(b"(2, 3)", b"(2, 9)")), bias], "another size"),
        ([(weight[0], negative), bias], "another size|NumPy's format"),
        ([(weight[0], weight[1].replace(b"(2, 3)", b"(2, x)")), bias], "NumPy's format"),
        ([weight, bias, ("readme.txt", b"hello")], "'readme.txt' in it is no array"),
        ([weight, bias, ("bias", b"")], "'bias' in it is no array"),
    ]:
        refused(small(), npz_of(path, members), match)
    with pytest.warns(UserWarning, match="Duplicate name"):
        npz_of(path, [weight, bias, bias])
    refused(small(), path, "two arrays named 'bias'")


# ---- whole or not at all ------------------------------------------------------------------------

LIMITED = """
import resource, sys
import numpy as np
from autograd_mini import nn
model = nn.Linear(300, 200, rng=np.random.default_rng(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    nn.save_weights(model, sys.argv[1])
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("kind", KINDS)
def test_when_the_disk_takes_no_more_the_old_file_is_whole(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{kind}"
    for exists in (False, True):
        if exists:
            nn.save_weights(small(1), path)
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", LIMITED, path],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=Path(ag.__file__).parent.parent,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        assert not result.stderr
        assert result.stdout == f"[Errno 27] File too large: {str(path)!r}\n"
        assert list(tmp_path.iterdir()) == ([path] if exists else [])
    model = small()
    nn.load_weights(model, path)
    assert same(model.state_dict(), small(1).state_dict())


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_python_would_unpack_in_one_go_is_refused_first(tmp_path: Path, packing: int) -> None:
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("weight.npy", npy(np.zeros(2**23)))
    assert memory_to_refuse(path, "packed in a way that NumPy does not use") < 2**20


def test_a_name_that_an_npz_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    model = nn.Module()
    model.parts = {"a\0b": ag.Tensor(1.0, requires_grad=True)}  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"cannot hold the name 'parts\.a\\x00b'"):
        nn.save_weights(model, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link_to_the_file_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.txt", tmp_path / "a.txt"
    target.write_bytes(b"old")
    link.symlink_to(target)
    assert write_whole(link, b"new") == link
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions")
def test_permissions_stay_and_those_of_a_new_file_are_the_users_own(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a.txt", b"1")
    (tmp_path / "b.txt").touch()
    assert path.stat().st_mode == (tmp_path / "b.txt").stat().st_mode
    path.chmod(0o600)
    write_whole(path, b"2")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a[b].npz", b"whole")
    left = tmp_path / ".a[b].npz.0123456789abcdef"
    others = [
        tmp_path / name
        for name in (".a[b].npz.short", ".a[b].npz.0123456789ABCDEF", ".ab.npz.0123456789abcdef")
    ]
    for file in (left, *others):
        file.touch()
    remove_unfinished(path)
    assert {*tmp_path.iterdir()} == {path, *others}


def test_write_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'[^']*nowhere/a\.txt'$"):
        write_whole(tmp_path / "nowhere" / "a.txt", b"")
