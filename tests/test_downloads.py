"""Files of public data sets, found in folders or downloaded: right, or an error and nothing left.

The downloads are real ones, by pooch, from a server that each test starts on this machine.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autograd_mini.data.files import (
    LARGEST,
    TITANIC_TEST,
    TITANIC_TRAIN,
    PublicFile,
    find_or_download,
    read,
)

pooch = pytest.importorskip("pooch")

CONTENT = b"one,two,three\n" * 1000
PACKED = gzip.compress(CONTENT, mtime=0)


class Server:
    """A server on this machine: what it serves can be changed at any time."""

    def __init__(self) -> None:
        #: For each path what is sent, and how many bytes are announced.
        self.files: dict[str, tuple[bytes, int]] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if self.path not in server.files:
                    self.send_error(404)
                    return
                content, announced = server.files[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(announced))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def serve(self, path: str, content: bytes, announced: int | None = None) -> None:
        self.files[path] = content, len(content) if announced is None else announced

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as pooch's cache, and an environment that names no folder and no mirror."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(pooch, "os_cache", lambda project: folder / project)
    monkeypatch.delenv("AUTOGRAD_MINI_DATA", raising=False)
    monkeypatch.delenv("AUTOGRAD_MINI_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


def numbers(*mirrors: str) -> PublicFile:
    return PublicFile(
        ("numbers.csv", "numbers.txt"),
        "numbers",
        "a friend",
        suffix=".gz",
        mirrors=mirrors,
        sha256=hashlib.sha256(PACKED).hexdigest(),
    )


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- found in a folder --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "numbers.csv",
        "numbers.csv.gz",
        "numbers.txt",
        "numbers.txt.gz",
        "numbers/numbers.csv",
        "numbers/numbers.txt.gz",
    ],
)
@pytest.mark.parametrize("named_by", ["argument", "environment"])
def test_file_is_found_in_a_folder_under_each_of_its_names(
    name: str, named_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PACKED if name.endswith(".gz") else CONTENT)
    if named_by == "environment":
        monkeypatch.setenv("AUTOGRAD_MINI_DATA", str(tmp_path))
        found = find_or_download(numbers())
    else:
        found = find_or_download(numbers(), str(tmp_path))
    assert found == path
    assert read(found) == CONTENT


def test_folder_of_the_argument_goes_before_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("argument", "environment"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "numbers.csv").write_bytes(CONTENT)
    monkeypatch.setenv("AUTOGRAD_MINI_DATA", str(tmp_path / "environment"))
    assert find_or_download(numbers(), tmp_path / "argument").parent.name == "argument"
    assert find_or_download(numbers()).parent.name == "environment"


def test_named_folder_without_the_file_is_an_error_and_no_download(
    server: Server, cache: Path, tmp_path: Path
) -> None:
    server.serve("/numbers.csv.gz", PACKED)
    with pytest.raises(FileNotFoundError, match=r"none of numbers\.csv, .*; get .* from a friend"):
        find_or_download(numbers(server.address), tmp_path)
    assert server.asked == []


def test_folder_that_does_not_exist_is_named(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match=r"directory is .*nowhere, which is not a folder"):
        find_or_download(numbers(), tmp_path / "nowhere")
    monkeypatch.setenv("AUTOGRAD_MINI_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"\$AUTOGRAD_MINI_DATA is .*nowhere, which is not"):
        find_or_download(numbers())


def test_file_without_an_address_says_whose_it_is_and_what_to_do(cache: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no public address.*from a friend.*directory="):
        find_or_download(numbers())


@pytest.mark.parametrize("file", [TITANIC_TRAIN, TITANIC_TEST], ids=lambda file: file.names[0])
def test_titanic_has_the_hash_of_the_file_that_was_looked_at(file: PublicFile) -> None:
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the Titanic files in ../shared/data")
    content = find_or_download(file, folder).read_bytes()
    assert hashlib.sha256(content).hexdigest() == file.sha256


# ---- read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [2, 9, 15, len(PACKED) // 2, len(PACKED) - 9, len(PACKED) - 1])
def test_gzipped_file_that_is_cut_off_is_refused_by_name(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv.gz"
    path.write_bytes(PACKED[:kept])
    with pytest.raises(ValueError, match=r"numbers\.csv\.gz is damaged or cut off.*get it again"):
        read(path)


@pytest.mark.parametrize("at", [3, 12, 30, len(PACKED) - 6])
def test_gzipped_file_with_a_changed_byte_is_refused(at: int, tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv.gz"
    path.write_bytes(PACKED[:at] + bytes([PACKED[at] ^ 0xFF]) + PACKED[at + 1 :])
    with pytest.raises(ValueError, match="damaged or cut off"):
        read(path)


# ---- downloaded ---------------------------------------------------------------------------------


def test_download_puts_the_file_into_the_cache_once(server: Server, cache: Path) -> None:
    server.serve("/numbers.csv.gz", PACKED)
    path = find_or_download(numbers(server.address))
    assert read(path) == CONTENT
    assert files_in(cache) == ["autograd_mini/numbers/numbers.csv.gz"]
    assert find_or_download(numbers(server.address)) == path
    assert server.asked == ["/numbers.csv.gz"]


def test_download_says_nothing_where_stderr_is_no_terminal(
    server: Server, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server.serve("/numbers.csv.gz", PACKED)
    level = pooch.get_logger().level
    find_or_download(numbers(server.address))
    assert capfd.readouterr() == ("", "")
    assert pooch.get_logger().level == level


def test_folder_of_the_environment_that_lacks_the_file_leads_to_a_download(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOGRAD_MINI_DATA", str(tmp_path))
    server.serve("/numbers.csv.gz", PACKED)
    assert find_or_download(numbers(server.address)).is_relative_to(cache)


def test_file_that_was_damaged_in_the_cache_is_downloaded_again(
    server: Server, cache: Path
) -> None:
    server.serve("/numbers.csv.gz", PACKED)
    path = find_or_download(numbers(server.address))
    path.write_bytes(PACKED[:-1])
    assert read(find_or_download(numbers(server.address))) == CONTENT
    assert len(server.asked) == 2


def serve_wrongly(server: Server, how: str) -> None:
    """Serve the file, but not as it should be."""
    damaged = PACKED[:50] + bytes([PACKED[50] ^ 1]) + PACKED[51:]
    match how:
        case "damaged":
            server.serve("/numbers.csv.gz", damaged)
        case "another file":
            server.serve("/numbers.csv.gz", gzip.compress(b"nothing"))
        case "cut off":
            server.serve("/numbers.csv.gz", PACKED[:-10])
        case "breaks off":
            server.serve("/numbers.csv.gz", PACKED[:-10], announced=len(PACKED))
        case "empty":
            server.serve("/numbers.csv.gz", b"")
        case "missing":
            pass


WRONG = ["damaged", "another file", "cut off", "breaks off", "empty", "missing"]


@pytest.mark.parametrize("how", WRONG)
def test_wrong_download_is_refused_and_leaves_nothing_behind(
    how: str, server: Server, cache: Path
) -> None:
    serve_wrongly(server, how)
    with pytest.raises(ConnectionError) as caught:
        find_or_download(numbers(server.address))
    message = str(caught.value)
    assert message.startswith("numbers.csv.gz could not be downloaded:")
    assert f"{server.address}numbers.csv.gz: " in message
    assert message.endswith("or name it in $AUTOGRAD_MINI_DATA.")
    if how == "missing":
        assert "404" in message
    assert files_in(cache) == []


@pytest.mark.parametrize("how", WRONG)
def test_second_address_serves_what_the_first_does_not(
    how: str, server: Server, cache: Path
) -> None:
    serve_wrongly(server, how)
    server.serve("/second/numbers.csv.gz", PACKED)
    path = find_or_download(numbers(server.address, server.address + "second/"))
    assert read(path) == CONTENT
    assert server.asked == ["/numbers.csv.gz", "/second/numbers.csv.gz"]
    assert files_in(cache) == ["autograd_mini/numbers/numbers.csv.gz"]


def test_failed_download_keeps_the_damaged_file_of_before_out_of_use(
    server: Server, cache: Path
) -> None:
    server.serve("/numbers.csv.gz", PACKED)
    path = find_or_download(numbers(server.address))
    path.write_bytes(b"damaged")
    server.files.clear()
    with pytest.raises(ConnectionError):
        find_or_download(numbers(server.address))


def test_cache_that_cannot_be_written_is_an_error_that_names_it(
    server: Server, cache: Path
) -> None:
    server.serve("/numbers.csv.gz", PACKED)
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="cache"):
        find_or_download(numbers(server.address))


def test_address_where_nobody_answers_is_named(cache: Path) -> None:
    server = Server()
    server.stop()
    with pytest.raises(ConnectionError, match=f"{server.address}numbers.csv.gz: .*refused"):
        find_or_download(numbers(server.address))
    assert files_in(cache) == []


def test_mirrors_of_the_environment_take_the_place_of_the_public_addresses(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.serve("/numbers.csv.gz", PACKED)
    server.serve("/room/numbers/numbers.csv.gz", PACKED)
    own = f"{server.address}none/ {server.address}room"
    monkeypatch.setenv("AUTOGRAD_MINI_MIRROR", own)
    assert read(find_or_download(numbers(server.address))) == CONTENT
    assert server.asked == ["/none/numbers/numbers.csv.gz", "/room/numbers/numbers.csv.gz"]


def test_mirror_of_the_environment_serves_files_that_have_no_public_address(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = replace(TITANIC_TRAIN, mirrors=(), sha256=hashlib.sha256(b"PassengerId\r\n").hexdigest())
    server.serve("/titanic/train.csv", b"PassengerId\r\n")
    monkeypatch.setenv("AUTOGRAD_MINI_MIRROR", server.address)
    assert find_or_download(file).read_bytes() == b"PassengerId\r\n"


def test_without_pooch_the_error_names_the_extra(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'autograd-mini\[data\]'"):
        find_or_download(numbers("http://127.0.0.1:1/"))


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
def test_full_disk_is_an_error_and_leaves_nothing_behind(server: Server, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    server.serve("/noise", content)
    script = f"""
        import resource
        from pathlib import Path

        import pooch

        from autograd_mini.data.files import PublicFile, find_or_download

        pooch.os_cache = lambda project: Path({str(tmp_path)!r}, "cache")
        file = PublicFile(
            ("noise",), "noise", "me", mirrors=({server.address!r},),
            sha256={hashlib.sha256(content).hexdigest()!r},
        )
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            find_or_download(file)
        except OSError as error:
            print(error)
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AUTOGRAD_MINI_")
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=environment | {"NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "too large" in done.stdout
    assert "noise" in done.stdout
    assert server.asked == ["/noise"]
    assert files_in(tmp_path) == []


def test_a_file_that_unpacks_to_far_too_much_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "train.csv.gz"
    packed.write_bytes(gzip.compress(bytes(LARGEST + 1), 1))
    with pytest.raises(ValueError, match="unpacks to more than 100,000,000 bytes"):
        read(packed)
