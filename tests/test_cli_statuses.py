"""The real command, in a process: what its exit status says, whatever a model or a stream does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autograd_mini import cli, own_process
from autograd_mini.exchange import load_model, reference, write_arrays

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "model.py"
COMMAND = [sys.executable, "-c", "from autograd_mini.cli import main; raise SystemExit(main())"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
BUFFERED = {name: text for name, text in ENVIRONMENT.items() if name != "PYTHONUNBUFFERED"}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and signals are POSIX's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with gradients that are right and some that are wrong."""
    arrays = reference(load_model(EXAMPLE))
    write_arrays(tmp_path / "right.csv", arrays)
    write_arrays(tmp_path / "wrong.csv", {**arrays, "dW1": 2 * arrays["dZ1"] @ arrays["X"].T})
    return tmp_path


def ran(folder: Path, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder to its end."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd=folder,
        text=True,
        timeout=30,
        check=False,
        **{**streams, "env": ENVIRONMENT, **options},
    )


def model(folder: Path, start: str) -> str:
    """Write the example with lines before it, and return its name."""
    (folder / "model.py").write_text(f"{start}\n{EXAMPLE.read_text()}")
    return "model.py"


# ---- streams ------------------------------------------------------------------------------------

WORDS = {
    "check": ["check", EXAMPLE, "wrong.csv"],
    "json": ["check", EXAMPLE, "right.csv", "--json"],
    "help": ["--help"],
    "demo": ["demo", "--steps", "1"],
}


PROGRESS = re.compile(r"^.*step.*[\r\n]", flags=re.MULTILINE)


@pytest.mark.parametrize("environment", [BUFFERED, {**BUFFERED, "PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize("subcommand", WORDS)
def test_a_report_into_a_closed_pipe_is_one_line_and_status_3(
    subcommand: str, environment: dict[str, str], folder: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = ran(folder, *WORDS[subcommand], stdout=write, env=environment)
    finally:
        os.close(write)
    assert done.returncode == 3
    assert re.fullmatch(r"autograd-mini: error: .*Broken pipe\n", PROGRESS.sub("", done.stderr))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("subcommand", ["check", "json", "help"])
def test_a_report_onto_a_full_device_is_one_line_and_status_3(
    subcommand: str, folder: Path
) -> None:
    with Path("/dev/full").open("w") as full:
        done = ran(folder, *WORDS[subcommand], stdout=full, env=BUFFERED)
        assert done.returncode == 3
        assert done.stderr == (
            "autograd-mini: error: cannot write to stdout: No space left on device\n"
        )
        # where there is nothing to say, it does not matter that it could not be said
        assert ran(folder, "check", EXAMPLE, "wrong.csv", stderr=full).returncode == 1
        assert ran(folder, "check", EXAMPLE, "missing.csv", stderr=full).returncode == 3


@pytest.mark.parametrize(
    ("closed", "status"), [(">&-", 3), ("2>&-", 1), ("<&-", 1), ("<&- >&- 2>&-", 3)]
)
def test_a_stream_that_is_closed_counts_only_if_it_is_the_reports(
    closed: str, status: int, folder: Path
) -> None:
    start = model(folder, "print('hello')\nopen('other', 'w').write('mine')")
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *COMMAND, "check", start, "wrong.csv"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == status
    assert (done.stdout == b"") == (status == 3)
    assert (folder / "other").read_text() == "mine"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_stdout_of_few_characters_gets_the_others_escaped(encoding: str, folder: Path) -> None:
    start = model(
        folder, "print('\\u2192')\n\u0394 = np = __import__('numpy')\n\u0394t = np.ones(2)"
    )
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    done = ran(folder, "reference", start, "--out", "\u2192.csv", env=environment)
    assert done.returncode == 0
    assert "arrays are in \\u2192.csv" in done.stdout
    assert "\\u0394t " in done.stdout
    assert done.stderr == "\\u2192\n"


def test_the_demo_prints_into_a_folder_whose_name_stdout_has_no_characters_for(
    folder: Path,
) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    done = ran(folder, "demo", "--steps", "1", "--out", "\u0394", env=environment)
    assert done.returncode == 0
    assert done.stderr.isascii()
    assert "\\u0394/graph.svg" in done.stdout


# ---- models -------------------------------------------------------------------------------------

FORGED = """import os
for number in range(20):
    try:
        os.write(number, b'\\n{"status": 0}\\n')
    except OSError:
        pass
os._exit(0)"""

#: What a model does, and what is said of it.
ENDS = {
    "import os; os._exit(0)": r" ended the process \(status 0\)",
    "import os; os._exit(1)": r" ended the process \(status 1\)",
    FORGED: r" ended the process \(status 0\)",
    "import os; os.kill(os.getpid(), 9)": r" ended the process \(signal 9, .+\)",
    "import os; os.abort()": r", line 1, ended .* \(signal 6, .+\).*\n    import os; os.abort",
    "import ctypes; ctypes.string_at(0)": r", line 1, ended the process \(signal 11, .+\)",
    "import os; os.execvp('true', ['true'])": r" ended the process \(status 0\)",
    "raise SystemExit(0)": r", line 1: SystemExit: 0\n    raise SystemExit",
    "quit()": r", line 1: SystemExit: None\n    quit",
    "class E(BaseException): pass\nraise E": r", line 2: E: \n    raise E",
    "class E(Exception): __str__ = None\nraise E": r", line 2: E: \(its own text fails\)\n",
    "import sys; sys.excepthook = None; 1 / 0": r", line 1: ZeroDivisionError: .*\n    import sys",
}


@pytest.mark.parametrize("start", ENDS)
def test_a_model_that_ends_its_process_is_bad_input(start: str, folder: Path) -> None:
    done = ran(folder, "check", model(folder, start), "right.csv")
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.search(f"^autograd-mini: error: model.py{ENDS[start]}", done.stderr, flags=re.M)


@pytest.mark.parametrize(
    "start",
    [
        "while True: pass",
        "10**10**9",  # never comes back to Python
        "input()",
        "import threading\nthreading.Thread(target=input).start()\nwhile True: pass",
    ],
)
def test_a_model_that_does_not_end_is_bad_input_and_its_line_is_named(
    start: str, folder: Path
) -> None:
    read, write = os.pipe()
    try:
        name = model(folder, start)
        done = ran(folder, "reference", name, "--out", "a.csv", "--timeout", "1", stdin=read)
    finally:
        os.close(read)
        os.close(write)
    assert done.returncode == 2
    count, line = start.count("\n") + 1, start.split("\n")[-1]
    assert done.stderr == (
        f"autograd-mini: error: model.py, line {count}, still ran after 1 s: if it does end, say "
        f"--timeout 10\n    {line}\n"
    )
    assert not (folder / "a.csv").exists()


def test_a_model_that_switches_the_clock_off_is_ended_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(own_process, "GRACE", 0.5)
    start = model(folder, "import os; os.execvp('sleep', ['sleep', '60'])")
    words = ["check", str(folder / start), str(folder / "right.csv"), "--timeout", "1"]
    assert cli.main(words) == 2
    assert "still ran after 1 s" in capsys.readouterr().err


#: What a model may do without changing what is said of the gradients.
HARMLESS = {
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    "atexit": "import atexit, os\natexit.register(os._exit, 1)\natexit.register(print, 'late')",
    "a fork": "import os\nif not os.fork(): raise SystemExit(1)",
    "a fork that goes on": "import os\nos.fork()",
    "workers": "import multiprocessing as m\np = m.get_context('fork').Pool(2)\np.map(abs, [1])",
    "output": (
        "import os, sys\nos.write(1, b'a')\nos.system('echo b')\nprint('c')\n"
        "sys.__stdout__.write('d')"
    ),
    "closed streams": "import os, sys\nsys.stdout.close()\n[os.close(i) for i in range(3)]",
    "no streams": "import sys\nsys.stdout = sys.stderr = sys.__stdout__ = None",
    "another folder": "import os\nos.chdir('/')",
    "an alarm": "import signal\nsignal.signal(signal.SIGTERM, print)",
}


@pytest.mark.parametrize("what", HARMLESS)
def test_a_model_changes_neither_the_status_nor_the_report(what: str, folder: Path) -> None:
    done = ran(folder, "check", model(folder, HARMLESS[what]), "wrong.csv", "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["ok"] is False
    assert "late" not in done.stderr
    if what == "output":
        assert sorted(done.stderr.replace("\n", "")) == ["a", "b", "c", "d"]


def test_a_model_may_leave_the_folder_and_the_file_is_written_where_the_user_is(
    folder: Path,
) -> None:
    start = model(folder, "import os\nos.chdir('/')")
    assert ran(folder, "reference", start, "--out", "a.csv").returncode == 0
    assert (folder / "a.csv").exists()


def test_a_model_reads_stdin(folder: Path) -> None:
    start = model(folder, "print(input())")
    done = ran(folder, "check", start, "right.csv", stdin=None, input="hello\n")
    assert (done.returncode, done.stderr) == (0, "hello\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_all_that_the_model_started(
    number: signal.Signals, folder: Path
) -> None:
    start = model(
        folder,
        "import os, pathlib, subprocess\np = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path('made').write_text(f'{os.getpid()} {p.pid}')\n"
        "os.rename('made', 'pids')\np.wait()",
    )
    words = [*COMMAND, "check", start, "right.csv"]
    with subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE) as command:
        pids = folder / "pids"
        end = time.monotonic() + 20
        while not pids.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        command.send_signal(number)
        _, error = command.communicate(timeout=20)
    assert (command.returncode, error) == (3, b"\nautograd-mini: interrupted\n")
    assert not any(is_running(int(pid)) for pid in pids.read_text().split())


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody has asked for."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_a_fault_of_ours_is_status_3_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "apart", lambda options, words: 1 / 0)
    assert cli.main(["check", str(EXAMPLE), str(folder / "right.csv")]) == 3
    error = capsys.readouterr().err
    assert error.startswith("autograd-mini: error: a fault of autograd-mini, not of your files;")
    assert error.endswith("ZeroDivisionError: division by zero\n")


# ---- files that are none ------------------------------------------------------------------------


def test_what_is_no_regular_file_is_refused_and_neither_waited_for_nor_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cli, "apart", lambda options, words: options.run(options))

    def error(*words: object) -> str:
        assert cli.main([*map(str, words)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err.removeprefix("autograd-mini: error: ")

    for name in ("pipe.csv", "pipe.html"):
        os.mkfifo(name)
    links = {"zero.csv": "/dev/zero", "null.csv": "/dev/null", "nothing.csv": "not there"}
    for name, target in links.items():
        Path(name).symlink_to(target)
    pipe = "pipe.csv is a pipe, not a file: write what comes out of it into a file first\n"
    assert error("check", EXAMPLE, "pipe.csv") == pipe
    assert error("check", "pipe.csv", "right.csv") == pipe
    assert error("explore", EXAMPLE, "--manual", "pipe.csv") == pipe
    assert error("check", EXAMPLE, "zero.csv") == "zero.csv is a device, not a file\n"
    assert error("check", "/dev/zero", "right.csv") == "/dev/zero is a device, not a file\n"
    assert error("check", EXAMPLE, "nothing.csv") == "nothing.csv: No such file or directory\n"
    for name in ("pipe.csv", "null.csv"):
        assert error("reference", EXAMPLE, "--out", name) == (
            f"cannot write {name} (there is a pipe or a device, not a file): choose another --out\n"
        )
    assert "pipe.html" in error("explore", EXAMPLE, "--out", "pipe.html")
    assert Path("pipe.csv").is_fifo()
    assert Path("pipe.html").is_fifo()
    assert Path("/dev/null").is_char_device()
    Path("link.csv").symlink_to("right.csv")
    assert cli.main(["check", str(EXAMPLE), "link.csv"]) == 0


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the shell has no other names for pipes")
def test_a_model_from_a_pipe_of_the_shell_is_refused(folder: Path) -> None:
    read, write = os.pipe()
    os.close(write)
    done = ran(folder, "check", f"/dev/fd/{read}", "right.csv", pass_fds=[read])
    os.close(read)
    assert done.returncode == 2
    assert "is a pipe, not a file" in done.stderr
