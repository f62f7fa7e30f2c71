"""Other languages: a model file is run here, and named arrays come and go as npz, JSON or CSV.

A model file is a Python program with a function ``cost`` in plain NumPy.  It is run as it is: it is
the user's own program, and can do what any program can.  Files with arrays may be anybody's: they
are only data, and no pickle is ever loaded.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import json
import math
import os
import re
import runpy
import stat
import struct
import sys
import traceback
import types
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .core.tensor import Tensor, unwrapped
from .files import write_whole
from .functional import pulled_back
from .npz import array_of, declared_by, npz, refuse_other_packing
from .refusals import described
from .trace import Trace, bad, trace

__all__ = [
    "Model",
    "Numbers",
    "differences",
    "load_model",
    "read_arrays",
    "reference",
    "unrolled",
    "write_arrays",
]

Arrays = dict[str, NDArray[Any]]
Shape = tuple[int, ...]

LIMIT = 2**27  # bytes of a file, and of the arrays in it
TEXT_LIMIT = 2**24  # bytes; a text takes some eighty times its size while it is read
DEPTH = 32  # NumPy's arrays have at most 64 axes; nobody's gradient has more than this


# ---- model files --------------------------------------------------------------------------------


class Model(NamedTuple):
    """A cost that was computed, with everything on the way to it.

    Attributes
    ----------
    J : Tensor
        What ``cost`` returned: one number.
    names : dict
        The variables of the file and those of ``cost`` at its return, by name.
    run : Trace
        The calls that led to ``J``, with these names.
    """

    J: Tensor
    names: dict[str, Any]
    run: Trace

    @property
    def values(self) -> Arrays:
        """The arrays that have a name: inputs first, then in the order of their first use."""
        place = {id(value): number for number, value in enumerate(self.run.values)}
        found: dict[str, tuple[int, NDArray[Any]]] = {}
        for name, thing in self.names.items():
            if isinstance(thing, Tensor | np.ndarray) and thing.dtype.kind in "fiub":
                try:
                    number = place[id(self.run[thing])]
                except KeyError:
                    number = -1
                found[name] = number, np.asarray(unwrapped(thing))
        return {name: array for name, (_, array) in sorted(found.items(), key=lambda x: x[1][0])}

    @property
    def gradients(self) -> Arrays:
        """The gradient of `J` by each named Tensor that leads to it, from `J` backward."""
        tensors = {name: self.names[name] for name in reversed(self.values)}
        recorded = {
            name: tensor
            for name, tensor in tensors.items()
            if isinstance(tensor, Tensor) and tensor.requires_grad and tensor is not self.J
        }
        found = pulled_back(self.J, list(recorded.values()), None, create_graph=False)
        return {name: g.data for name, g in zip(recorded, found, strict=True) if g is not None}


def load_model(path: str | os.PathLike[str]) -> Model:
    """Run a model file, and record how its cost is computed.

    The file is a Python program that defines a function ``cost``, written in plain NumPy, that
    returns one number.  Each parameter of ``cost`` gets the value of the file's variable of the
    same name, or of that key of its dict ``parameters``, or its default.

    Parameters
    ----------
    path : path
        The file.  It is executed, so let it be a program that you would run yourself.

    Returns
    -------
    Model

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is a folder, a pipe or a device; if the program fails (the text shows its line), has
        no function ``cost`` or no floating-point value for one of its parameters; or if ``cost``
        does not return one finite number that depends on them.

    Examples
    --------
    >>> import tempfile
    >>> program = '''
    ... import numpy as np
    ... w, x = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    ... def cost(w):
    ...     z = w @ x
    ...     return z**2 / 2
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = load_model(write_whole(f"{folder}/model.py", program.encode()))
    >>> float(model.J), list(model.values)
    (60.5, ['x', 'w', 'z', 'J'])
    """
    path = Path(path)
    refuse_irregular(path)
    with path.open("rb"):  # complains of a file that may not be read
        pass
    with beside(path):
        with blaming(path):
            variables = runpy.run_path(os.fspath(path))
        cost = variables.get("cost")
        if not isinstance(cost, types.FunctionType):
            raise ValueError(
                f"{path} has no function named cost: write `def cost(W1, b1, ...):`, which "
                f"returns one number"
            )
        arguments = arguments_of(cost, variables)
        code = inspect.unwrap(cost).__code__
        with blaming(path), trace() as run, variables_at_return(code) as found:
            J = cost(*arguments.args, **arguments.kwargs)
    if not isinstance(J, Tensor) or not J.requires_grad:
        what = described(J) if isinstance(J, Tensor) else type(J).__name__
        raise ValueError(
            f"cost returned {what}, and has to return one number that is computed from its "
            f"parameters"
        )
    if J.size != 1:
        raise ValueError(f"cost returned {described(J)}, and has to return one number: sum it up?")
    names = {**contents(variables), **contents(found), **contents(arguments.arguments)}
    if not any(thing is J for thing in names.values()):
        names["cost" if "J" in names else "J"] = J
    run.name(names)
    if bad(J):
        raise ValueError(f"cost returned {J.item()}: {first_bad(run)}")
    return Model(J, names, run)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[None]:
    """Let a program import the modules beside it, as ``python path`` does."""
    before = sys.path[:]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turn an error of the user's program into one that shows the line of it."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit, and whatever else a program may raise
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename == os.fspath(path)]
        at, line, message = str(path), None, text_of(error)
        if isinstance(error, SyntaxError) and error.lineno:
            at, line, message = f"{error.filename}, line {error.lineno}", error.text, error.msg
        elif own:
            at, line = f"{path}, line {own[-1].lineno}", own[-1].line
        text = f"\n    {line.strip()}" if line else ""
        raise ValueError(f"{at}: {type(error).__name__}: {message}{text}") from error


def text_of(error: BaseException) -> str:
    """What an error of the user's program says, if that can be had."""
    try:
        return str(error)
    except Exception:  # it is the user's code that says it, and may do anything
        return "(its own text fails)"


@contextlib.contextmanager
def variables_at_return(code: types.CodeType) -> Iterator[dict[str, Any]]:
    """The local variables of the user's cost, in a dict that is filled when it returns.

    They are its intermediate results by name, and Python shows them to profilers alone.
    """
    found: dict[str, Any] = {}

    def look(frame: types.FrameType, event: str, argument: object) -> None:
        if event == "return" and frame.f_code is code:
            found.clear()
            found.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(before)


def arguments_of(cost: Callable[..., Any], variables: Mapping[str, Any]) -> inspect.BoundArguments:
    """The Tensors to call a cost with."""
    signature = inspect.signature(cost)
    stored = variables.get("parameters")
    values = {**(stored if isinstance(stored, dict) else {}), **variables}
    arguments = inspect.BoundArguments(signature, {})
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(f"cost takes {parameter}: name each of its parameters instead")
        value = values.get(name, parameter.default)
        if value is parameter.empty:
            raise ValueError(
                f"cost takes {name}, and the file has no variable of that name: write "
                f"{name} = np.array(...), or {{'{name}': ...}} in a dict named parameters"
            )
        if isinstance(value, dict):
            for key in value:
                if not is_name(key):
                    raise ValueError(f"{name}[{key!r}] has no name: write {name}['W1'] or the like")
            arguments.arguments[name] = {key: leaf(key, x) for key, x in value.items()}
        elif name in values or isinstance(value, float | np.ndarray | np.floating):
            arguments.arguments[name] = leaf(name, value)
        # another default is an option such as verbose=False, no quantity to differentiate by
    return arguments


def leaf(name: str, value: Any) -> Tensor:
    """A parameter's value as a Tensor that wants a gradient."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} is no array: its parts have different shapes. Give each array a name of its "
            f"own, or put them into a dict"
        ) from None
    if array.dtype.kind in "iu":
        raise ValueError(
            f"{name} holds whole numbers ({array.dtype}), and a parameter changes continuously: "
            f"write 3.0 for 3, or .astype(float); what is no parameter can be left out of cost's "
            f"parameters, as a variable of the file"
        )
    if array.dtype.kind != "f" or (isinstance(value, np.ndarray) and type(value) is not np.ndarray):
        kind = array.dtype if type(value) is np.ndarray else type(value).__name__
        raise ValueError(f"{name} is {kind}, and a parameter is an array of real numbers")
    if bad(array):
        raise ValueError(f"{name} holds {array[~np.isfinite(array)][0]}")
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    return Tensor(array.astype(dtype), requires_grad=True, name=name)


def contents(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables, and what dicts among them hold, such as ``cache["Z1"]``; not ``_private`` ones."""
    own = {name: thing for name, thing in variables.items() if not name.startswith("_")}
    dicts = [thing for thing in own.values() if isinstance(thing, dict)]
    inside = {key: x for each in dicts for key, x in each.items() if is_name(key)}
    return {**inside, **own}


def is_name(key: object) -> bool:
    """Whether a key of a dict could be the name of a variable."""
    return isinstance(key, str) and key.isidentifier() and not key.startswith("_")


def first_bad(run: Trace) -> str:
    """Where NaN or infinity came into a run first."""
    value = next(value for value in run.values if bad(value.array))
    name = f"{value.name} " if value.name else ""
    if value.call is None:
        return f"the input {name}holds such a value already"
    source = value.call.source
    at = f" at {source}\n    {source.text}" if source else ""
    return f"the first such value is in {name}= {value.call.primitive.name}(...){at}"


def reference(model: Model) -> Arrays:
    """All that somebody needs who computes the same in another language.

    Parameters
    ----------
    model : Model
        From `load_model`.

    Returns
    -------
    dict of str to ndarray
        Every named array of the run, and the gradient of the cost by each that leads to it, named
        ``dZ1`` for ``Z1``.

    Raises
    ------
    ValueError
        If one of them holds NaN or infinity.
    """
    gradients = {f"d{name}": gradient for name, gradient in model.gradients.items()}
    arrays = {
        name: array if array.dtype.kind == "f" else array.astype(np.float64)
        for name, array in {**model.values, **gradients}.items()
    }
    for name, array in arrays.items():
        refuse_bad(name, array)
    return arrays


def refuse_bad(name: str, array: NDArray[Any]) -> None:
    """Raise if an array holds NaN or infinity."""
    where = np.argwhere(~np.isfinite(array))
    if len(where):
        first = f"{name}[{', '.join(map(str, where[0]))}]" if array.ndim else name
        raise ValueError(
            f"{name} holds NaN or infinity in {len(where)} of {array.size} elements, first "
            f"{first} = {array[tuple(where[0])]}"
        )


# ---- files of named arrays ----------------------------------------------------------------------


class Numbers(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    arrays : dict of str to ndarray
        float64, or float32 where the numbers are those of float32.
    digits : int or None
        To how many significant digits a text gives them; None if all that their dtype has.
    """

    arrays: Arrays
    digits: int | None

    @property
    def precision(self) -> float | None:
        """The relative error by rounding to these digits; None if only that of the dtype."""
        return None if self.digits is None else 0.5 * 10.0 ** (1 - self.digits)


def kind_of(path: Path) -> str:
    """The kind of a file by its name: ".npz", ".json" or ".csv"."""
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".json", ".csv"):
        raise ValueError(f"{shown(path)} must end in .npz, .json or .csv: that says how it is read")
    return suffix


def limit_of(kind: str) -> int:
    """How many bytes a file of this kind may have."""
    return LIMIT if kind == ".npz" else TEXT_LIMIT


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> Path:
    r"""Write named arrays, whole or not at all, with all digits that they have.

    Parameters
    ----------
    path : path
        Ends in ``.npz``; in ``.json``, for one object ``{"Z1": [[...], ...], ...}``; or in
        ``.csv``, for one line per array: name, shape as 4x3 (empty for a number), the numbers row
        by row.
    arrays : mapping of str to array_like
        Of finite real numbers.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written.
    ValueError
        If the ending is another, an array holds something else, or it could not be read back.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_arrays(f"{folder}/a.csv", {"J": 0.5, "W": [[1.0, 0.1]]}).read_text()
    'J,,0.5\nW,1x2,1,0.10000000000000001\n'
    """
    path = Path(path)
    kind = kind_of(path)
    converted = {checked_name(name): np.asarray(array) for name, array in arrays.items()}
    for name, array in converted.items():
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name} is {array.dtype}, and only real numbers can be written")
        refuse_bad(name, array)
    content = WRITERS[kind](converted)
    if len(content) > limit_of(kind):
        largest = max(converted, key=lambda name: converted[name].size)
        raise ValueError(
            f"{shown(path)} would have {len(content):,} bytes, more than the {limit_of(kind):,} "
            f"that are read back; the largest array is {largest}. An npz file takes more, and "
            f"arrays of a model whose names begin with _ are left out"
        )
    return write_whole(path, content)


def json_text(arrays: Arrays) -> bytes:
    """Arrays as one JSON object, a line for each."""
    lines = [f"{json.dumps(name)}: {json.dumps(a.tolist())}" for name, a in arrays.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def csv_text(arrays: Arrays) -> bytes:
    """Arrays as lines of name, shape and numbers."""
    lines = [
        ",".join([name, "x".join(map(str, a.shape)), *[f"{x:.17g}" for x in a.ravel().tolist()]])
        for name, a in arrays.items()
    ]
    return "".join(f"{line}\n" for line in lines).encode()


WRITERS = {".npz": npz, ".json": json_text, ".csv": csv_text}


def read_arrays(path: str | os.PathLike[str]) -> Numbers:
    """Read named arrays that somebody else has written, and trust nothing.

    Parameters
    ----------
    path : path
        As for `write_arrays`.

    Returns
    -------
    Numbers

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is a folder, a pipe or a device; is not what its ending says; holds anything but
        finite real numbers; holds a pickle; or is too large: 128 MiB for npz, packed or unpacked,
        and 16 MiB for the others.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     numbers = read_arrays(write_whole(f"{folder}/a.csv", b"dW,1x2,0.333333,-1.2e-5"))
    >>> numbers
    Numbers(arrays={'dW': array([[ 3.33333e-01, -1.20000e-05]])}, digits=6)
    >>> numbers.precision
    5e-06
    """
    path = Path(path)
    kind = kind_of(path)
    refuse_irregular(path)
    with path.open("rb") as file:
        content = file.read(limit_of(kind) + 1)
    try:
        if not content:
            raise ValueError("the file is empty")
        if len(content) > limit_of(kind):
            raise ValueError(f"the file is larger than {limit_of(kind):,} bytes")
        numbers = from_npz(content) if kind == ".npz" else from_text(content, TEXTS[kind])
        if not numbers.arrays:
            raise ValueError("there are no arrays in it")
        for name, array in numbers.arrays.items():
            refuse_bad(name, array)
    except ValueError as error:
        raise ValueError(f"{shown(path)}: {error}") from error
    return numbers


def refuse_irregular(path: Path) -> None:
    """Raise at what is no file on a disk: a pipe may never begin, and a device may never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        hint = ": write what comes out of it into a file first" if stat.S_ISFIFO(mode) else ""
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise ValueError(f"{shown(path)} is {kind}, not a file{hint}")


def shown(text: object) -> str:
    """A text by others as a message may repeat it: short, and without control characters."""
    text = str(text)
    short = text if len(text) <= 200 else f"{text[:200]}..."
    return short if short.isprintable() else repr(short)


def quoted(thing: object) -> str:
    """What stands where something else should, as a message may repeat it."""
    return repr(str(thing)[:200])


def checked_name(name: str) -> str:
    """An array's name, if it can be printed and stand in every kind of file."""
    if not name or len(name) > 100 or not name.isprintable() or re.search(r"[\s,]", name):
        raise ValueError(
            f"{quoted(name)} is no name for an array: at most 100 letters, without spaces and "
            f"commas"
        )
    return name


# ---- npz ----------------------------------------------------------------------------------------


def from_npz(content: bytes) -> Numbers:
    """The arrays of an npz file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > LIMIT:
                raise ValueError(f"the arrays in it take more than {LIMIT:,} bytes")
            arrays: Arrays = {}
            for member in members:
                name = checked_name(member.filename.removesuffix(".npy"))
                if name in arrays:
                    raise ValueError(f"there are two arrays named {name}")
                refuse_other_packing(name, member)
                arrays[name] = from_npy(name, archive.read(member))
    except RuntimeError as error:  # a password, or a method that this Python does not know
        raise ValueError(f"packed in a way that is not read here ({shown(error)})") from error
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError) as error:
        raise ValueError(f"not an npz file, or a damaged one ({shown(error)})") from error
    return Numbers(arrays, None)


def from_npy(name: str, content: bytes) -> NDArray[Any]:
    """One array of an npz file, after a look at what its header declares."""
    declared = declared_by(name, content)
    shape, dtype = declared.shape, declared.dtype
    if dtype.kind not in "iuf" or dtype == np.float16:
        raise ValueError(f"{name} is {shown(dtype)}: write float64 or float32")
    refuse_shape(name, shape)
    size = len(content) - declared.offset
    if math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{name} is declared as {shape} of {dtype}, and has {size} bytes")
    array = array_of(content, declared)
    return array.astype(np.float32 if dtype.kind == "f" and dtype.itemsize == 4 else np.float64)


def refuse_shape(name: str, shape: Shape) -> None:
    """Raise at the shape of an array that cannot be in a file, even if it has no elements."""
    if len(shape) > DEPTH or min(shape, default=0) < 0 or math.prod(filter(None, shape)) > LIMIT:
        raise ValueError(f"{name} is declared with a shape that no array has here: {shown(shape)}")


# ---- texts --------------------------------------------------------------------------------------


class Number(str):
    """A number as it is written, with all its digits."""

    __slots__ = ()


NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
SHAPE = re.compile(r"([0-9]{1,18}(x[0-9]{1,18})*)?")

Written = dict[str, tuple[Shape, list[Number]]]


def from_text(content: bytes, parts: Callable[[str], Written]) -> Numbers:
    """The arrays of a text file."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("not a text in UTF-8") from error
    written = parts(text)
    arrays: Arrays = {}
    for name, (shape, numbers) in written.items():
        arrays[name] = np.array([float(number) for number in numbers]).reshape(shape)
    digits = digits_of(written, arrays)
    if digits >= 8 and all(is_single(array, digits) for array in arrays.values()):
        return Numbers({name: array.astype(np.float32) for name, array in arrays.items()}, None)
    return Numbers(arrays, digits if 0 < digits < 16 else None)


def digits_of(written: Written, arrays: Arrays) -> int:
    """To how many significant digits numbers are given; 0 if all are whole, and so exact.

    A program that writes numbers to some digits leaves zeros at the end away, so the longest
    number counts; or it writes all with as many decimals, and then small numbers lose digits.
    """
    texts = {
        name: [number for number in numbers if re.search("[.eE]", number)]
        for name, (_, numbers) in written.items()
    }
    real = [number for numbers in texts.values() for number in numbers]
    decimals = {len(number.partition(".")[2]) for number in real}
    if len(decimals) == 1 and not any(re.search("[eE]", number) for number in real):
        largest = [max(map(significant, numbers)) for numbers in texts.values() if numbers]
        return min([digits for digits in largest if digits], default=0)
    return max(map(significant, real), default=0)


def significant(number: Number) -> int:
    """How many digits of a number count, from the first that is not 0."""
    mantissa = re.split("[eE]", number)[0]
    return len(mantissa.lstrip("+-").replace(".", "").lstrip("0"))


def is_single(array: NDArray[Any], digits: int) -> bool:
    """Whether numbers that are given to some digits are those of float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.abs(array.astype(np.float32) - array)
    return bool(np.all(difference <= 0.5 * 10.0 ** (1 - digits) * np.abs(array)))


def json_parts(text: str) -> Written:
    """What a JSON text holds, the numbers as they are written."""
    try:
        whole = json.loads(
            text,
            object_pairs_hook=without_repetition,
            parse_constant=refuse_constant,
            parse_float=Number,
            parse_int=Number,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except RecursionError:
        raise ValueError("lists are nested too deeply") from None
    if not isinstance(whole, dict):
        raise ValueError('not an object {"dW1": [[...], ...], ...}')
    written: Written = {}
    for name, nest in whole.items():
        shape = shape_of(checked_name(name), nest, DEPTH)
        numbers = [nest]
        for _ in shape:
            numbers = list(itertools.chain.from_iterable(numbers))
        written[name] = shape, numbers
    return written


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict, if no name occurs twice."""
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise ValueError(f"there are two arrays named {quoted(name)}")
        names.add(name)
    return dict(pairs)


def refuse_constant(name: str) -> None:
    """Raise at what JSON does not have, though Python's reader takes it."""
    raise ValueError(f"there is a {name} in it, which is not a finite number")


def shape_of(name: str, nest: Any, depth: int) -> Shape:
    """The shape of nested lists of numbers."""
    if isinstance(nest, Number):
        return ()
    if not isinstance(nest, list):
        raise ValueError(f"{name} holds {quoted(nest)}, which is not a number")
    if not depth:
        raise ValueError(f"{name} has more than {DEPTH} lists inside each other")
    shapes = {shape_of(name, part, depth - 1) for part in nest}
    if len(shapes) > 1:
        raise ValueError(f"{name} is no array: its rows have different lengths")
    return (len(nest), *(shapes.pop() if shapes else ()))


def csv_parts(text: str) -> Written:
    """What the lines of a CSV text hold, the numbers as they are written."""
    written: Written = {}
    for count, line in enumerate(text.split("\n"), start=1):
        fields = [field.strip() for field in line.split(",")]
        if fields == [""]:
            continue
        name, declared = checked_name(fields[0]), fields[1] if len(fields) > 1 else "nothing"
        if name in written:
            raise ValueError(f"line {count}: there are two arrays named {name}")
        if not SHAPE.fullmatch(declared):
            raise ValueError(
                f"line {count}: after the name {name} comes {quoted(declared)}, and should come "
                f"the shape, such as 4x3"
            )
        shape = tuple([int(length) for length in declared.split("x") if length])
        refuse_shape(name, shape)
        numbers = [Number(field) for field in fields[2:]]
        if math.prod(shape) != len(numbers):
            raise ValueError(
                f"line {count}: {name} of shape {declared or '()'} takes {math.prod(shape):,} "
                f"numbers, and there are {len(numbers):,}"
            )
        for number in numbers:
            if not NUMBER.fullmatch(number):
                raise ValueError(f"line {count}: {quoted(number)} in {name} is not a finite number")
        written[name] = shape, numbers
    return written


TEXTS = {".json": json_parts, ".csv": csv_parts}


def unrolled(arrays: Arrays, shapes: Mapping[str, Shape], order: str) -> Arrays:
    """Give flat lists of numbers the shapes that they were unrolled from.

    Parameters
    ----------
    arrays : dict of str to ndarray
    shapes : mapping of str to tuple of int
        The shape that is due; a list of another size stays as it is.
    order : {"C", "F"}
        Whether rows were written one after the other, or columns, as Octave and Fortran do.

    Returns
    -------
    dict of str to ndarray

    Examples
    --------
    >>> unrolled({"dW": np.array([1.0, 3.0, 2.0, 4.0])}, {"dW": (2, 2)}, "F")
    {'dW': array([[1., 2.],
           [3., 4.]])}
    """
    whole = dict(arrays)
    for name, array in arrays.items():
        shape = shapes.get(name, array.shape)
        if array.ndim <= 1 and array.size == math.prod(shape):
            whole[name] = np.reshape(array, shape, order="F" if order == "F" else "C")
    return whole


def differences(arrays: Arrays, values: Arrays, precision: float | None) -> list[str]:
    """Say which arrays are not what a model has under the same names.

    Parameters
    ----------
    arrays : dict of str to ndarray
        What somebody computed on the way forward, and perhaps more.
    values : dict of str to ndarray
        What the model has.
    precision : float or None
        The relative error with which the arrays are given; None for that of their dtype.

    Returns
    -------
    list of str
        A sentence for each that differs by more than rounding.

    Examples
    --------
    >>> differences({"Z": np.array([1.0, 2.0])}, {"Z": np.array([1.0, 2.5])}, None)
    ['Z[1] is 0.5 away from the value in the model: put the way forward right first']
    """
    found = []
    for name in [name for name in values if name in arrays]:
        array, value = arrays[name], values[name]
        if array.shape != value.shape:
            found.append(f"{name} has shape {array.shape}, and in the model {value.shape}")
            continue
        # rounding adds up over a sum, and an error is large only beside the largest element
        rounding = 1e4 * max(np.finfo(array.dtype).eps, np.finfo(np.result_type(value, 0.0)).eps)
        away = np.abs(array - value.astype(np.float64))
        if np.any(away > (rounding + 2 * (precision or 0)) * np.max(np.abs(value), initial=0)):
            worst = np.unravel_index(np.argmax(away), away.shape)
            element = f"{name}[{', '.join(map(str, worst))}]" if worst else name
            found.append(
                f"{element} is {away[worst]:.2g} away from the value in the model: put the way "
                f"forward right first"
            )
    return found
