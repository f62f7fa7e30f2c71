"""The command ``autograd-mini``."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``autograd-mini`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``autograd-mini``; by default those of the command line.

    Returns
    -------
    int
        0 if all went well, 2 if something outside of the program has to be put right first, 130
        after Ctrl-C.

    Raises
    ------
    SystemExit
        After ``--help``, with code 0, and for arguments that make no sense, with code 2.
    """
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except CannotRunError as reason:
        print(f"autograd-mini: error: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nautograd-mini: interrupted", file=sys.stderr)
        return 130
    return 0


class CannotRunError(Exception):
    """Something outside of the program has to be put right first; the text says what."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    command = argparse.ArgumentParser(
        prog="autograd-mini", description="Automatic differentiation that shows its work."
    )
    subcommands = command.add_subparsers(metavar="COMMAND", required=True)
    demo = subcommands.add_parser(
        "demo",
        help="train a network on handwritten digits and get its gradients three ways",
        description=(
            "Train a network with one hidden layer on real handwritten digits; print the gradients "
            "of one step as derived by hand, by automatic differentiation and by numerical "
            "differences; draw the computation graph and the learning curve."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("autograd_mini_demo"),
        help="folder for the pictures",
    )
    demo.add_argument(
        "--steps", metavar="N", type=positive, default=1000, help="steps of gradient descent"
    )
    demo.add_argument(
        "--seed", metavar="N", type=natural, default=0, help="of the split and the initial weights"
    )
    demo.set_defaults(run=run_demo)
    return command


def natural(text: str) -> int:
    """Return the number that a text stands for, if it is 0, 1, 2, ..."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not one of 0, 1, 2, ...")
    return int(text)


def positive(text: str) -> int:
    """Return the number that a text stands for, if it is 1, 2, 3, ..."""
    if not natural(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of 1, 2, 3, ...")
    return int(text)


def run_demo(options: argparse.Namespace) -> None:
    """Run ``autograd-mini demo``."""
    try:
        from autograd_mini.demo import demo
    except ModuleNotFoundError as error:
        if error.name not in ("matplotlib", "tqdm"):
            raise
        raise CannotRunError(
            f"the demo needs {error.name}, which is not installed: "
            "pip install 'autograd-mini[demo]'"
        ) from error
    make_writable(options.out)
    demo(options.out, options.steps, options.seed)


def make_writable(folder: Path) -> None:
    """Make a folder where there is none, and make sure that files can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise CannotRunError(f"{folder} is not a folder: choose another --out") from None
    except OSError as error:
        raise CannotRunError(
            f"cannot write into {folder} ({error.strerror}): choose another --out"
        ) from error
