"""Names that attack, break or bend what shows them, and programs that pretend to be dot."""

from __future__ import annotations

import sys
from pathlib import Path

NAMES = [
    '"',
    "'; DROP TABLE nodes; --",
    '"]; evil [label="',
    "\\",
    "\\N \\G \\l \\\\",
    "</script><script>alert(1)</script>",
    "<b>bold</b>",
    "<",
    '"><img src=x onerror=alert(1)>',
    "]]> --> <!-- <![CDATA[ <?xml?>",
    "&copy; &amp;lt; &#60;script&#62;",
    "javascript:alert(1)",
    "a:b:c::d",
    "../../etc/x",
    "a\x00b",
    "a\x1b[31mb\x07",
    "a\uffffb\ufdd0c",
    "a\ud800b",
    "a\u202eb\u2066c\u200fd",
    "a\r\nb\tc\u2028d\u2029e\x85f",
    "%s {0} ${x} $x$ #{x} {{x}}",
    "\\input{/etc/passwd} $$ \\] \\href{javascript:alert(1)}{x} % ~^_",
    "🙂 👩\u200d🔬 e\u0301 \u0337",
    "漢字 한글 שלום مرحبا",
    "x" * 100_000,
]

#: Programs in Python.
HANGING = """
child = os.fork()
with open(os.path.join(os.path.dirname(__file__), "pids"), "a") as file:
    file.write(f"{os.getpid()} ")
time.sleep(600)
"""
ABORTING = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.stderr.write("assertion failed")
sys.stderr.flush()
os.abort()
"""
GARBAGE = "print('garbage')"


def dot_in(folder: Path, program: str) -> Path:
    """Put a program in Python into a folder, under the name of dot."""
    folder.mkdir(exist_ok=True)
    path = folder / "dot"
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{program}\n")
    path.chmod(0o755)
    return folder
