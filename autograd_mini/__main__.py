"""``python -m autograd_mini``: the same as the command ``autograd-mini``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
