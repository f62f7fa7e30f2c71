"""A run on file, so that it can be killed at any moment and go on.

One npz file holds everything that the rest of a run depends on: the arrays of the model, the
optimizer and the schedule by ``model/...``, ``optimizer/...``, ``schedule/...``, the history by
``history/...``, and under ``run`` a JSON text with the states of all random generators and with
what a run must have in common with the one that wrote it.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import operator
import os
from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from types import FunctionType, NoneType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.primitive import Primitive
from ..files import remove_unfinished, write_whole
from ..nn.module import Module
from ..nn.weights import fitting
from ..npz import Source, npz, opened
from ..optim import CosineLR, Optimizer, Schedule
from .history import History

Array = NDArray[Any]
Generators = dict[str, np.random.Generator]
Fingerprint = dict[str, str]

FORMAT = 1
TEXT = 2**22  # characters of the JSON text at most, against files that are no checkpoints
ROWS = 4096  # of the data that are hashed in one go
SIMPLE = (Number, str, tuple, NoneType)  # what words can tell from another
LARGEST = {"pos": 624, "buffer_pos": 4}  # of a generator's state: NumPy reads memory by these


class Checkpoint:
    """The file of a run.

    Parameters
    ----------
    path : path
        Ends in ``.npz``.
    model, optimizer, schedule, rng
        What has a state, and is changed in place when a run goes on; `schedule` may be None.
    settings : dict of str to str
        What else must be the same in a run that goes on, in words.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: Module,
        optimizer: Optimizer,
        schedule: Schedule | None,
        rng: np.random.Generator,
        settings: Mapping[str, str],
    ) -> None:
        self.path = Path(path)
        if self.path.suffix != ".npz":
            raise ValueError(f"a checkpoint is a file that ends in .npz, not {self.path}")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"the folder of the checkpoint {self.path} does not exist")
        # the optimizer comes last: a rate that was set by hand counts more than the schedule's
        self._parts: dict[str, Any] = {"model": model, "schedule": schedule, "optimizer": optimizer}
        if schedule is None:
            del self._parts["schedule"]
        self._generators = generators_of(model, rng)
        self._fingerprint = {
            **settings,
            **words_of(model),
            **words_of_optimizer(model, optimizer),
            **words_of_rate(optimizer, schedule),
            **{
                f"generator {name}": words_of_generator(generator)
                for name, generator in self._generators.items()
            },
        }

    # -- writing --

    def write(self, history: History) -> None:
        """Write the state as it is after the last epoch of a history.

        Raises
        ------
        OSError
            If it cannot be written; the state of the epoch before is still there.
        """
        text = json.dumps(
            {
                "format": FORMAT,
                "fingerprint": self._fingerprint,
                "generators": {
                    name: jsonable(generator.bit_generator.state)
                    for name, generator in self._generators.items()
                },
                "columns": list(history),
                "epochs": history.epochs,
            }
        )
        columns = {f"history/{name}": np.array(column) for name, column in history.items()}
        try:
            write_whole(self.path, npz({"run": np.array(text), **self._state(), **columns}))
        except OSError as error:
            error.add_note(
                f"The state after epoch {history.epochs} could not be written. A checkpoint of the "
                f"epoch before, if there was one, is whole, and a run goes on from it. If the file "
                f"vanished meanwhile, another run writes to the same one: give each its own."
            )
            raise

    def _state(self) -> dict[str, Array]:
        """The arrays of all parts."""
        return {
            f"{part}/{name}": np.asarray(array)
            for part, owner in self._parts.items()
            for name, array in owner.state_dict().items()
        }

    # -- going on --

    def resume(self, epochs: int) -> History:
        """Take over the state in the file, if there is one.

        Parameters
        ----------
        epochs : int
            How many the run has in all.

        Returns
        -------
        History
            Of the epochs that are done; of none if there is no file.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is damaged or the file of another run; nothing has been changed then.
        """
        remove_unfinished(self.path)
        if not self.path.exists():
            return History()
        with opened(self.path) as file:
            run = Saved.of(file)
            self._refuse_other_run(run)
            if run.epochs > epochs:
                raise ValueError(f"{run.epochs} epochs are done, more than epochs={epochs}")
            states = self._checked(run.generators)
            columns = {f"history/{name}": np.empty(run.epochs) for name in run.columns}
            arrays = fitting(file, {"run": run.text, **self._state(), **columns})
            self._take_over(arrays)
        for name, state in states.items():
            self._generators[name].bit_generator.state = state
        return History({name: arrays[f"history/{name}"].tolist() for name in run.columns})

    def _refuse_other_run(self, run: Saved) -> None:
        """Raise if the file was written by a run that differed in something that matters."""
        then, now = run.fingerprint, self._fingerprint
        different = [
            f"{name}: {then.get(name, 'nothing')} in the file, {now.get(name, 'nothing')} now"
            for name in {**now, **then}
            if then.get(name) != now.get(name)
        ]
        if different:
            more = f"\n  and {len(different) - 8} more" if len(different) > 8 else ""
            raise ValueError(
                "the checkpoint is of another run, and this one cannot go on from it:\n  "
                + "\n  ".join(different[:8])
                + f"{more}\nTo start anew give another path, or delete the file"
            )

    def _checked(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """The states of the generators, as their bit generators take them."""
        checked = {}
        for name, generator in self._generators.items():
            try:
                like = generator.bit_generator
                checked[name] = state_like(like.state, states[name])
                type(like)().state = checked[name]  # whether it takes it
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
                raise ValueError(f"the state of the generator {name} is damaged") from error
        return checked

    def _take_over(self, arrays: Mapping[str, Array]) -> None:
        """Give all parts their arrays; if one refuses, all have those from before."""
        before = self._state()
        try:
            self._load(arrays)
        except Exception:
            self._load(before)
            raise

    def _load(self, arrays: Mapping[str, Array]) -> None:
        """Give all parts their arrays."""
        for part, owner in self._parts.items():
            here = f"{part}/"
            owner.load_state_dict(
                {name[len(here) :]: x for name, x in arrays.items() if name.startswith(here)}
            )


class Saved(NamedTuple):
    """What the JSON text of a checkpoint says."""

    text: Array
    fingerprint: Fingerprint
    generators: dict[str, Any]
    columns: list[str]
    epochs: int

    @classmethod
    def of(cls, file: Source) -> Saved:
        """Read it from a file, which may be any."""
        declared = file.declared.get("run")
        if declared is None or declared.dtype.kind != "U" or declared.dtype.itemsize > 4 * TEXT:
            raise ValueError("this is not the file of a checkpoint")
        text = file.read("run")
        try:
            run = json.loads(str(text))
            if run["format"] != FORMAT:
                raise ValueError(f"its format is {run['format']}, and {FORMAT} is read here")
            return cls(
                text,
                {str(name): str(what) for name, what in run["fingerprint"].items()},
                dict(run["generators"]),
                [str(name) for name in run["columns"]],
                operator.index(run["epochs"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
            raise ValueError(f"this is not a checkpoint, or a damaged one ({error})") from error


# ---- random generators --------------------------------------------------------------------------


def generators_of(model: Module, rng: np.random.Generator) -> Generators:
    """All generators of a run, each once."""
    others = {f"model.{name}": g for name, g in model.named_generators() if g is not rng}
    return {"rng": rng, **others}


def jsonable(state: Any) -> Any:
    """The state of a bit generator in what JSON knows."""
    if isinstance(state, Mapping):
        return {name: jsonable(part) for name, part in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


def state_like(like: Any, state: Any, name: str = "") -> Any:
    """A state that was in JSON as a bit generator takes it, if it has the form of another."""
    if isinstance(like, Mapping):
        if like.keys() != state.keys():
            raise ValueError("it has other parts")
        return {part: state_like(like[part], state[part], part) for part in like}
    if isinstance(like, np.ndarray):
        array = np.array(state, like.dtype)
        if array.shape != like.shape:
            raise ValueError(f"{name} has another shape")
        return array
    if isinstance(like, str):
        if state != like:
            raise ValueError(f"{name} is another")
        return like
    number = operator.index(state)
    if not 0 <= number <= LARGEST.get(name, 2**128):
        raise ValueError(f"{name} is out of its range")
    return number


# ---- what must be the same ----------------------------------------------------------------------


def words_of(model: Module) -> Fingerprint:
    """The layers of a model with their settings, and its arrays."""
    layers = {
        f"layer {name}" if name else "model": described(module)
        for name, module in model.named_modules()
    }
    arrays = model.state_dict().items()
    return {**layers, **{f"array {name}": f"{x.shape} {x.dtype}" for name, x in arrays}}


def words_of_optimizer(model: Module, optimizer: Optimizer) -> Fingerprint:
    """The rule of an optimizer, and its parameters in order."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    try:
        held = [names[id(parameter)] for parameter in optimizer.parameters]
    except KeyError:
        raise ValueError(
            "the optimizer holds tensors that are not parameters of the model, and that would be "
            "missing in the checkpoint"
        ) from None
    kind = f"{type(optimizer).__name__} by {described(optimizer._rule)}"
    return {
        "optimizer": f"{kind} with {optimizer._hyperparameters}",
        "parameters of the optimizer": ", ".join(held),
    }


def words_of_rate(optimizer: Optimizer, schedule: Schedule | None) -> Fingerprint:
    """The learning rate to begin with, and what becomes of it."""
    if schedule is None:
        return {"learning rate": repr(optimizer.lr), "schedule": "none"}
    settings = dict(schedule._settings)
    if isinstance(schedule, CosineLR):
        del settings["total"]  # it grows with the number of epochs
    kind = f"{type(schedule).__name__} by {described(schedule._rule)}"
    return {"learning rate": repr(schedule._base.item()), "schedule": f"{kind} with {settings}"}


def words_of_generator(generator: np.random.Generator) -> str:
    """The kind and the seed of a random generator, whatever was drawn from it."""
    source = generator.bit_generator.seed_seq
    seed = getattr(source, "entropy", None), *getattr(source, "spawn_key", ())
    return f"{type(generator.bit_generator).__name__} of seed {', '.join(map(str, seed))}"


def described(thing: Any, depth: int = 2) -> str:
    """A function, layer or setting, as far as words can tell it from another.

    These are its name, and the numbers and texts that it carries: in the code of a function, its
    defaults and the variables around it, in what a partial fills in, in the attributes of an
    object; and those of the functions that it carries, down to a depth.
    """
    if isinstance(thing, SIMPLE):
        return "none" if thing is None else repr(thing)
    name = str(getattr(thing, "__qualname__", getattr(thing, "__name__", type(thing).__name__)))
    words = [
        f"{part}={described(value, depth - 1)}"
        for part, value in (carried(thing) if depth else {}).items()
        if isinstance(value, SIMPLE) or (callable(value) and not isinstance(value, Module))
    ]
    return f"{name} with {', '.join(words)}" if words else name


def carried(thing: Any) -> dict[str, Any]:
    """What a function or an object has with it, by name."""
    if isinstance(thing, functools.partial):
        return {"function": thing.func, "arguments": thing.args, **thing.keywords}
    if isinstance(thing, FunctionType):
        # two lambdas of one name, in the user's program, differ by what they hold
        numbers = tuple(x for x in thing.__code__.co_consts if isinstance(x, Number | str))
        given = {"constants": numbers, "defaults": thing.__defaults__}
        around = inspect.getclosurevars(thing).nonlocals
        named = {**(thing.__kwdefaults__ or {}), **around}
        return {**{name: x for name, x in given.items() if x}, **named}
    if isinstance(thing, Primitive) or not hasattr(thing, "__dict__"):
        return {}
    attributes = vars(thing).items()
    return {name: x for name, x in attributes if name != "training" and not name.startswith("_")}


def content_of(array: Array) -> str:
    """The dtype and shape of an array and a hash of its numbers, in words."""
    digest = hashlib.sha256()
    for start in range(0, len(array), ROWS):
        digest.update(np.ascontiguousarray(array[start : start + ROWS]).data)
    return f"{array.dtype} {array.shape} of SHA-256 {digest.hexdigest()[:16]}"
