"""The code of README.md and of docs/, one program a page, for type checkers to read.

python tests/pages.py FOLDER
"""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: A page is a session: names are used again, small functions are untyped, and what is looked at is
#: there. That is all it may do that a user's program in strict mode may not.
SESSION = """\
# mypy: allow-untyped-defs, allow-untyped-calls, allow-redefinition, disable-error-code=union-attr
# pyright: reportPossiblyUnboundVariable=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportIndexIssue=false, reportUnusedExpression=false
"""


def program(page: str) -> str:
    """Return the code of a page in its order: what follows prompts, and blocks without any.

    NumPy's stubs say that ``np.tanh(Z1)`` is an ndarray: as README has it, ``ag.tanh`` is typed.
    """
    blocks = re.findall(r"^ *```python\n(.*?)^ *```", page, flags=re.MULTILINE | re.DOTALL)
    parser = doctest.DocTestParser()
    parts = [[example.source for example in parser.get_examples(block)] for block in blocks]
    code = "\n".join("".join(part) or block for part, block in zip(parts, blocks, strict=True))
    if "import autograd_mini as ag" in code:
        return code.replace("A1 = np.tanh(Z1)", "A1 = ag.tanh(Z1)")
    return code


def main(folder: Path) -> None:
    """Write the programs."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if code := program(path.read_text(encoding="utf-8")):
            name = f"page_{path.stem.lower()}.py"
            (folder / name).write_text(f"{SESSION}\n{code}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
