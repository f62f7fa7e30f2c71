"""The command ``autograd-mini``."""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import autograd_mini as ag
from autograd_mini import exchange

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
        0 if all went well, 1 if ``check`` found something wrong, 2 if something outside of the
        program has to be put right first, 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        After ``--help``, with code 0, and for arguments that make no sense, with code 2.
    """
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except CannotRunError as reason:
        print(f"autograd-mini: error: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nautograd-mini: interrupted", file=sys.stderr)
        return 130
    return status


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
            "differences; draw the computation graph and the learning curve; put a mistake into "
            "the derivation by hand, and find it."
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

    reference = subcommands.add_parser(
        "reference",
        help="write every intermediate and gradient of a model, for those who port it",
        description=(
            "Run MODEL, a Python file with a function cost in plain NumPy, and write the cost, "
            "every array that has a name, and the gradient by each."
        ),
    )
    add_model(reference)
    reference.add_argument(
        "--out",
        metavar="FILE",
        type=array_file,
        required=True,
        help="where to: a file that ends in .npz, .json or .csv",
    )
    reference.set_defaults(run=run_reference)

    check = subcommands.add_parser(
        "check",
        help="compare gradients from any language with those of a model",
        description=(
            "Compare the gradients in GRADS with those of MODEL, and say which is wrong and why. "
            "Exit status: 0 all right, 1 something wrong, 2 bad input."
        ),
    )
    add_model(check)
    check.add_argument(
        "grads",
        metavar="GRADS",
        type=array_file,
        help="arrays named dW1, dZ1, ... in .npz, .json or .csv",
    )
    add_order(check)
    check.add_argument(
        "--hint",
        type=int,
        choices=range(4),
        default=3,
        help=(
            "how much to tell: 0 right or wrong, 1 which line, 2 what kind of mistake, 3 the "
            "corrected line; %(default)s unless you say so"
        ),
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=run_check)

    explore = subcommands.add_parser(
        "explore",
        help="write a page that steps through the backpropagation of a model",
        description=(
            "Run MODEL forward and backward, and write an HTML page, one file that needs no "
            "network, in which every step can be looked at: values, gradients, the rule, and "
            "which numbers made which."
        ),
    )
    add_model(explore)
    explore.add_argument(
        "--manual",
        metavar="GRADS",
        type=array_file,
        help="gradients by hand to show beside: arrays named dW1, dZ1, ... in .npz, .json or .csv",
    )
    add_order(explore)
    explore.add_argument(
        "--out",
        metavar="FILE",
        type=page_file,
        default=Path("backprop.html"),
        help="where to, a page that was there is replaced; %(default)s unless you say so",
    )
    explore.set_defaults(run=run_explore)
    return command


def add_model(subcommand: argparse.ArgumentParser) -> None:
    """Add the argument that says which model file to run."""
    subcommand.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="Python file with a function cost; it is executed, so let it be one that you trust",
    )


def add_order(subcommand: argparse.ArgumentParser) -> None:
    """Add the option that says how flat arrays are to be read."""
    subcommand.add_argument(
        "--order",
        choices=["C", "F"],
        default="C",
        help=(
            "how flat lists were unrolled: C, row by row, or F, column by column as Octave's "
            "A(:); %(default)s unless you say so"
        ),
    )


def page_file(text: str) -> Path:
    """Return the path that a text stands for, if it is that of a page."""
    if Path(text).suffix.lower() not in (".html", ".htm"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .html")
    return Path(text)


def array_file(text: str) -> Path:
    """Return the path that a text stands for, if it is that of a file with arrays."""
    try:
        exchange.kind_of(Path(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


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


def run_demo(options: argparse.Namespace) -> int:
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
    return 0


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


def run_reference(options: argparse.Namespace) -> int:
    """Run ``autograd-mini reference``."""
    with blaming_input():
        arrays = exchange.reference(load(options.model))
        try:
            exchange.write_arrays(options.out, arrays)
        except OSError as error:
            raise CannotRunError(
                f"cannot write {exchange.shown(options.out)} ({error.strerror}): choose another "
                f"--out"
            ) from error
    width = max(map(len, arrays))
    for name, array in arrays.items():
        print(f"{name:{width}}  {'x'.join(map(str, array.shape)) or 'a number'}")
    print(f"{len(arrays)} arrays are in {exchange.shown(options.out)}")
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Run ``autograd-mini check``."""
    with blaming_input():
        given = exchange.read_arrays(options.grads)
        model = load(options.model)
    arrays = shaped(options.grads, given, model, options.order)
    gradients = of_model(options.grads, arrays, model)
    if given.digits is not None:
        print(
            f"the longest numbers have {given.digits} digits, and so all are judged to "
            f"{given.precision:.0e}; write 17 for a sharper check",
            file=sys.stderr,
        )
    forward = exchange.differences(arrays, model.values, given.precision)
    with blaming_input():
        report = ag.compare(
            model.J,
            gradients,
            names=model.names,
            order=options.order,
            hint=options.hint,
            precision=given.precision,
        )
    right = bool(report) and not forward
    if options.json:
        print(json.dumps({**report.to_dict(), "ok": right, "forward": forward}))
    else:
        print(*forward, report, sep="\n")
    return 0 if right else 1


def run_explore(options: argparse.Namespace) -> int:
    """Run ``autograd-mini explore``."""
    manual = None
    with blaming_input():
        model = load(options.model)
        if options.manual:
            given = exchange.read_arrays(options.manual)
            arrays = shaped(options.manual, given, model, options.order)
            gradients = of_model(options.manual, arrays, model)
            manual = ag.check.compare(
                model.J, gradients, model.names, order=options.order, precision=given.precision
            )
        try:
            page = ag.explore(model.run, manual, options.out)
        except FileExistsError:
            raise CannotRunError(
                f"{exchange.shown(options.out)} exists and is no page that explore wrote: remove "
                f"it, or choose another --out"
            ) from None
        except OSError as error:
            raise CannotRunError(
                f"cannot write {exchange.shown(options.out)} ({error.strerror}): choose another "
                f"--out"
            ) from error
    print(f"open {exchange.shown(page)} in a browser")
    return 0


def shaped(
    path: Path, given: exchange.Numbers, model: exchange.Model, order: str
) -> dict[str, Any]:
    """Return the arrays of a file, those that were written flat in the shapes that they have."""
    if exchange.kind_of(path) == ".npz":
        return dict(given.arrays)
    shapes = {name: array.shape for name, array in model.values.items()}
    due = {**{f"d{name}": shape for name, shape in shapes.items()}, **shapes}
    return dict(exchange.unrolled(given.arrays, due, order))


def of_model(path: Path, arrays: dict[str, Any], model: exchange.Model) -> dict[str, Any]:
    """Return those of some arrays that are gradients, if one of them at least is the model's."""
    gradients = {name: array for name, array in arrays.items() if name not in model.values}
    known = [f"d{name}" for name in model.gradients]
    if not any(name in gradients for name in known):
        raise CannotRunError(
            f"{exchange.shown(path)} has no gradient of this model: they are named "
            f"{', '.join(known)}"
        )
    return gradients


def load(path: Path) -> exchange.Model:
    """Run a model file; what it prints goes where messages go, and not into a report."""
    with contextlib.redirect_stdout(sys.stderr):
        return exchange.load_model(path)


@contextlib.contextmanager
def blaming_input() -> Iterator[None]:
    """Turn what is said of bad input into the one line that the user sees."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise CannotRunError(f"{exchange.shown(error.filename)}: {reason}") from error
    except ValueError as error:
        raise CannotRunError(str(error)) from error
