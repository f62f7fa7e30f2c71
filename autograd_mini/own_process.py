"""A program that may loop for ever or end its process, run in one of its own.

The parent starts Python anew (`outcome_of_child`) and waits.  The child does the work and says what
came out (`answer`) in a file without a name, which no other program gets: what the program prints
there, and with which status it ends, says nothing.
"""

import contextlib
import faulthandler
import json
import linecache
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, NoReturn

from .exchange import shown

__all__ = ["Outcome", "answer", "outcome_of_child"]

LONGEST = 10**6  # seconds, eleven days; clocks overflow at much more
GRACE = 10.0  # seconds for the child to start, and to end by itself when its time is over


class Outcome(NamedTuple):
    """What came of a command: its exit status, and the texts for stdout and stderr."""

    status: int
    report: str = ""
    message: str = ""


def outcome_of_child(program: str, words: Sequence[str], path: str, seconds: int) -> Outcome | str:
    """Run a Python program that answers; return its answer, or say why there is none.

    Parameters
    ----------
    program : str
        Lines that end with the name of a function; it gets one argument, and hands it to `answer`.
    words : sequence of str
        Their ``sys.argv[1:]``.
    path : str
        The file that is to blame if there is no answer.
    seconds : int
        How long it may take.

    Returns
    -------
    Outcome or str
        The answer, or what the program in ``path`` did instead of giving one.
    """
    token = secrets.token_hex(16)  # the model may write into every file that it finds open
    program = f"import sys; sys.path[:] = {sys.path!a}; {program}({token!a})"
    with tempfile.TemporaryFile() as answers, signals_as_interrupts():
        child = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            stdout=answers,
            close_fds=False,  # the shell's /dev/fd/63 is there as in the parent
            start_new_session=True,  # so that what the child starts can be ended with it
        )
        end = time.monotonic() + min(seconds, LONGEST) + GRACE
        killer = threading.Timer(end - time.monotonic(), child.kill)
        killer.start()
        try:
            status = child.wait()
        finally:
            killer.cancel()
            kill_all(child)
        late = time.monotonic() >= end
        answers.seek(0)
        said = answers.read().decode(errors="replace")
    for line in said.splitlines():
        if line.startswith(token):
            return Outcome(**json.loads(line.removeprefix(token)))
    how = f"status {status}" if status >= 0 else f"signal {-status}, {signal.strsignal(-status)}"
    what = f"ended the process ({how}): there is no result"
    last = "Current thread "  # the one that crashed
    if late or "Timeout (" in said:
        what = f"still ran after {seconds} s: if it does end, say --timeout {10 * seconds}"
        last = "most recent call first"  # the main thread comes last
    at, text = place(path, said.rpartition(last)[2])
    return f"{at} {what}{text}"


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let signals that end a process raise KeyboardInterrupt: the child hears of none of them."""
    numbers = {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        changed = []  # only there Python allows it
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def kill_all(child: "subprocess.Popen[bytes]") -> None:
    """End a child and, where the system has groups of processes, all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all have ended
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def place(path: str, stack: str) -> tuple[str, str]:
    """Where in a file a stack as faulthandler writes it has been, and the text of that line."""
    written = path.encode("ascii", "backslashreplace").decode()
    found = re.search(rf'^  File "{re.escape(written)}", line (\d+)', stack, flags=re.MULTILINE)
    if not found:
        return shown(path), ""
    text = linecache.getline(path, int(found[1])).strip()
    return f"{shown(path)}, line {found[1]},", f"\n    {shown(text)}"


def answer(token: str, seconds: int, work: Callable[[], Outcome]) -> NoReturn:
    """Do the work of a child, say what came out, and end the process whatever else wants to run."""
    answers, own = os.dup(1), os.getpid()
    os.dup2(2, 1)  # whatever is printed from now on is no report
    faulthandler.enable(answers)
    faulthandler.dump_traceback_later(min(seconds, LONGEST), exit=True, file=answers)
    streams = sys.stdout, sys.stderr
    try:
        outcome = work()
        if os.getpid() == own:  # no copy that the model made by os.fork
            with os.fdopen(answers, "w", encoding="ascii") as file:
                file.write(f"\n{token}{json.dumps(outcome._asdict())}\n")
    finally:
        for stream in streams:
            with contextlib.suppress(OSError, ValueError):  # the model may have closed them
                stream.flush()
        os._exit(3)  # no atexit, no waiting for threads; the parent does not look at the status
