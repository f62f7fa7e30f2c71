"""The command ``autograd-mini``."""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import autograd_mini as ag
from autograd_mini import __version__, exchange, own_process
from autograd_mini.own_process import Outcome

__all__ = ["main"]

RIGHT, WRONG, BAD_INPUT, OTHER = range(4)
STATUSES = (
    "Exit status: 0 all went well, and what was checked is right; 1 check found a wrong gradient "
    "or value; 2 bad arguments or files, or a MODEL that fails, ends its process or takes too "
    "long; 3 anything else: the output could not be written, Ctrl-C, a fault of autograd-mini."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``autograd-mini`` and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``autograd-mini``; by default those of the command line.

    Returns
    -------
    int
        0 if all went well, and what was checked is right; 1 if ``check`` found something wrong,
        and for nothing else; 2 for bad arguments and files, and for a model that fails, ends its
        process or takes too long; 3 for anything else: output that could not be written, Ctrl-C, a
        fault of ours.
    """
    open_streams()
    words = sys.argv[1:] if arguments is None else arguments
    help_, usage = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(help_), contextlib.redirect_stderr(usage):
            options = parser().parse_args(words)
    except SystemExit as end:
        status = BAD_INPUT if end.code else RIGHT
        return delivered(Outcome(status, help_.getvalue(), usage.getvalue()))
    if "model" in options:
        return delivered(judged(lambda: apart(options, words)))
    return delivered(judged(lambda: options.run(options)))


def open_streams() -> None:
    """Let stdout take all characters, and let no file get the number of a stream that is closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free one
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def judged(work: Callable[[], Outcome]) -> Outcome:
    """What comes of some work: the one place where what else happens becomes an exit status."""
    try:
        return work()
    except CannotRunError as reason:
        return Outcome(BAD_INPUT, message=f"autograd-mini: error: {reason}\n")
    except KeyboardInterrupt:
        return Outcome(OTHER, message="\nautograd-mini: interrupted\n")
    except OSError as error:  # of a stream, or of a system that starts no process
        return Outcome(OTHER, message=f"autograd-mini: error: {error}\n")
    except Exception:  # whatever it is: nothing was judged, and the status must not say so
        fault = (
            "autograd-mini: error: a fault of autograd-mini, not of your files; please report it"
        )
        return Outcome(OTHER, message=f"{fault}\n{traceback.format_exc()}")


def apart(options: argparse.Namespace, words: Sequence[str]) -> Outcome:
    """Run a subcommand in a process of its own: the model may do there what it likes."""
    answer = own_process.outcome_of_child(
        "from autograd_mini.cli import child; child", words, str(options.model), options.timeout
    )
    if isinstance(answer, str):
        raise CannotRunError(answer)
    return answer


def child(token: str) -> NoReturn:
    """Be that process."""
    options = parser().parse_args()
    own_process.answer(token, options.timeout, lambda: judged(lambda: options.run(options)))


def delivered(outcome: Outcome) -> int:
    """Print what came out, and return the status, or that of output which could not be printed."""
    lost, message = printed(outcome.report, sys.stdout), outcome.message
    if lost:
        message = f"autograd-mini: error: cannot write to stdout: {lost}\n"
    return OTHER if printed(message, sys.stderr) or lost else outcome.status


def printed(text: str, stream: TextIO | None) -> str:
    """Print a text, with what a stream still holds; return why that failed, or nothing."""
    if stream is None:
        return "it is closed" if text else ""
    try:
        if text:  # even no text at all is too much for a full device
            stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:  # ValueError: the stream is closed
        with contextlib.suppress(OSError, ValueError):  # Python tries once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return getattr(error, "strerror", None) or str(error)
    return ""


class CannotRunError(Exception):
    """Something outside of the program has to be put right first; the text says what."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    command = argparse.ArgumentParser(
        prog="autograd-mini",
        description="Automatic differentiation that shows its work.",
        epilog=STATUSES,
    )
    command.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
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
            "Compare the gradients in GRADS with those of MODEL, and say which is wrong and why."
        ),
        epilog=STATUSES,
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
    """Add the argument that says which model file to run, and how long that may take."""
    subcommand.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="Python file with a function cost; it is executed, so let it be one that you trust",
    )
    subcommand.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=positive,
        default=60,
        help="how long all may take, with what MODEL does; %(default)s unless you say so",
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


def run_demo(options: argparse.Namespace) -> Outcome:
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
    with blaming_out():
        demo(options.out, options.steps, options.seed)
    return Outcome(RIGHT)


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


def run_reference(options: argparse.Namespace) -> Outcome:
    """Run ``autograd-mini reference``."""
    with blaming_input():
        arrays = exchange.reference(load(options.model))
        with blaming_out():
            exchange.write_arrays(options.out, arrays)
    width = max(map(len, arrays))
    lines = [
        f"{name:{width}}  {'x'.join(map(str, array.shape)) or 'a number'}\n"
        for name, array in arrays.items()
    ]
    place = exchange.shown(options.out)
    return Outcome(RIGHT, f"{''.join(lines)}{len(arrays)} arrays are in {place}\n")


def run_check(options: argparse.Namespace) -> Outcome:
    """Run ``autograd-mini check``."""
    with blaming_input():
        given = exchange.read_arrays(options.grads)
        model = load(options.model)
    arrays = shaped(options.grads, given, model, options.order)
    gradients = of_model(options.grads, arrays, model)
    rounded = ""
    if given.digits is not None:
        rounded = (
            f"the longest numbers have {given.digits} digits, and so all are judged to "
            f"{given.precision:.0e}; write 17 for a sharper check\n"
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
    lines = [*forward, str(report)]
    if options.json:
        lines = [json.dumps({**report.to_dict(), "ok": right, "forward": forward})]
    return Outcome(RIGHT if right else WRONG, "".join(f"{line}\n" for line in lines), rounded)


def run_explore(options: argparse.Namespace) -> Outcome:
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
            with blaming_out():
                page = ag.explore(model.run, manual, options.out)
        except FileExistsError:
            raise CannotRunError(
                f"{exchange.shown(options.out)} exists and is no page that explore wrote: remove "
                f"it, or choose another --out"
            ) from None
    return Outcome(RIGHT, f"open {exchange.shown(page)} in a browser\n")


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
    """Run a model file; it prints to where messages go, and may leave the folder for another."""
    with contextlib.redirect_stdout(sys.stderr), contextlib.chdir(os.curdir):
        return exchange.load_model(path)


@contextlib.contextmanager
def blaming_input() -> Iterator[None]:
    """Turn what is said of bad input into the one line that the user sees."""
    try:
        yield
    except OSError as error:
        at = f"{exchange.shown(error.filename)}: " if error.filename else ""
        raise CannotRunError(f"{at}{error.strerror or error}") from error
    except ValueError as error:
        raise CannotRunError(str(error)) from error


@contextlib.contextmanager
def blaming_out() -> Iterator[None]:
    """Turn what is said of a file that cannot be written into the one line that the user sees."""
    try:
        yield
    except OSError as error:
        if error.filename is None:  # a stream, or no file of this name is wanted
            raise
        raise CannotRunError(
            f"cannot write {exchange.shown(error.filename)} ({error.strerror}): choose another "
            f"--out"
        ) from error
