"""Running the scripts of ``examples/`` as their readers do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
NUMBERED = sorted(EXAMPLES.glob("[0-9]*.py"))
#: The data that is not ours to pass on: where the environment says, else next to the repository.
SHARED = Path(os.environ.get("AUTOGRAD_MINI_DATA") or ROOT.parent / "shared" / "data").absolute()


def finished(
    script: Path, folder: Path, *options: str, data: Path | None = None, without: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, with warnings as errors.

    ``data`` is the folder of data that the environment names; ``without`` names a library that
    shall seem not to be installed.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("AUTOGRAD_MINI_DATA", None)
    if data:
        environment["AUTOGRAD_MINI_DATA"] = str(data)
    command = [str(script)]
    if without:
        lines = [
            "import runpy, sys",
            f"sys.modules[{without!r}] = None",
            "del sys.argv[0]",
            f"sys.path.insert(0, {str(script.parent)!r})",
            "runpy.run_path(sys.argv[0], run_name='__main__')",
        ]
        command = ["-c", "\n".join(lines), str(script)]
    return subprocess.run(
        [sys.executable, "-W", "error", *command, *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def printed(script: Path, folder: Path, *options: str, data: Path | None = None) -> str:
    """Run a script that succeeds and writes nothing to stderr, and return what it prints."""
    done = finished(script, folder, *options, data=data)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
