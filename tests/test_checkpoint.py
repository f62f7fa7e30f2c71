"""Checkpoints: a run that is killed at any moment ends as if nothing had happened."""

from __future__ import annotations

import copy
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn, optim
from autograd_mini.training import History, accuracy, fit
from autograd_mini.training.checkpoint import Checkpoint, described

PACKAGE = Path(ag.__file__).parent
EPOCHS = 6

#: A program that trains to the end, or is stopped by what comes before its last line.
PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from test_checkpoint import Case, os, signal, sys
case = Case({shared})
{trap}
case.fit({epochs}, sys.argv[1])
"""


class Case:
    """A run with all that a checkpoint must hold: Dropout, Adam, a schedule, generators."""

    def __init__(self, shared: bool = False, **changed: Any) -> None:
        settings = {
            "lr": 0.02, "total": 24, "p": 0.25, "width": 8, "batch_size": 16, "betas": (0.9, 0.999),
            "rows": 50, "function": np.tanh, "order": 1, "scale": 1.0, "dtype": np.float64,
            "generator": np.random.MT19937, "metrics": {"accuracy": accuracy}, "validation": True,
            "schedule": optim.CosineLR, "optimizer": optim.Adam, "penalty": weight_penalty,
            "loss": nn.functional.cross_entropy, "seed": 7,
        } | changed  # fmt: skip
        self.settings = settings
        data = np.random.default_rng(1)
        self.X = settings["scale"] * data.standard_normal((60, 3)).astype(settings["dtype"])
        self.y = (self.X[:, 0] > self.X[:, 1]).astype(int)
        self.rng = np.random.default_rng(settings["seed"])
        inner = self.rng if shared else np.random.Generator(settings["generator"](8))
        self.model = nn.Sequential(
            nn.Linear(3, settings["width"], rng=self.rng, dtype=settings["dtype"]),
            settings["function"],
            nn.Dropout(settings["p"], rng=inner),
            nn.Linear(settings["width"], 2, rng=self.rng, dtype=settings["dtype"]),
        )
        parameters = self.model.parameters()[:: settings["order"]]
        extra = {"betas": settings["betas"]} if settings["optimizer"] is optim.Adam else {}
        self.optimizer = settings["optimizer"](parameters, lr=settings["lr"], **extra)
        kind = settings["schedule"]
        length = {"total": settings["total"]} if kind is optim.CosineLR else {"step_size": 5}
        self.schedule = None if kind is None else kind(self.optimizer, **length)

    def fit(self, epochs: int, path: Any = None) -> History:
        """Train it."""
        rows, settings = self.settings["rows"], self.settings
        return fit(
            self.model, settings["loss"], self.optimizer, self.X[:rows], self.y[:rows],
            epochs=epochs, batch_size=settings["batch_size"], rng=self.rng,
            validation=(self.X[50:], self.y[50:]) if settings["validation"] else None,
            metrics=settings["metrics"], schedule=self.schedule, penalty=settings["penalty"],
            checkpoint=path, progress=False,
        )  # fmt: skip

    @property
    def state(self) -> dict[str, Any]:
        """All that goes into the rest of a run, to the last bit."""
        generators = [copy.deepcopy(g.bit_generator) for g in (self.rng, self.model[2].rng)]
        return {
            "model": {name: x.tobytes() for name, x in self.model.state_dict().items()},
            "optimizer": {name: x.tobytes() for name, x in self.optimizer.state_dict().items()},
            "schedule": self.schedule
            and {name: x.tobytes() for name, x in self.schedule.state_dict().items()},
            "generators": [str(generator.state) for generator in generators],
            "next": [generator.random_raw(3).tolist() for generator in generators],
        }


def weight_penalty(model: nn.Module) -> Any:
    return nn.l2_penalty(model, 1e-3)


def without_seconds(history: History) -> dict[str, list[float]]:
    return {name: column for name, column in history.items() if name != "seconds"}


def unbroken(shared: bool = False) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """The history and the state of a run that nobody stopped."""
    case = Case(shared)
    return without_seconds(case.fit(EPOCHS)), case.state


# ---- runs that are killed -----------------------------------------------------------------------


def start(path: Path, trap: str, shared: bool = False) -> subprocess.Popen[str]:
    """Start a run in a process of its own."""
    tests = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c",
         PROGRAM.format(tests=tests, shared=shared, trap=trap, epochs=EPOCHS), str(path)],
        stderr=subprocess.PIPE, text=True, cwd=PACKAGE.parent,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip


def killed(path: Path, trap: str, shared: bool = False) -> None:
    """Start a run, and wait until it has been killed."""
    process = start(path, trap, shared)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors


needs_sigkill = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

#: Kills the run at the n-th line that Python executes from here on, wherever that is.
AT_LINE = """
left = {lines}
def count(frame, event, argument):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return count
sys.settrace(count)
"""

#: Kills the run while the file of the n-th epoch is written: at its first byte, when the content
#: is there and the name is not, or when it has just got its name.
IN_WRITE = """
import pathlib
calls = {calls}
kept = {module}.{name}
def deadly(*arguments):
    global calls
    calls -= 1
    if calls == 0 and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    kept(*arguments)
    if calls == 0:
        os.kill(os.getpid(), signal.SIGKILL)
{module}.{name} = deadly
"""


@needs_sigkill
@pytest.mark.parametrize("shared", [False, True])
def test_a_run_killed_at_random_lines_ends_as_if_it_had_not_been(
    shared: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    history, state = unbroken(shared)
    path = tmp_path / "run.npz"
    for _ in range(
        3
    ):  # some 20,000 lines to begin with; an epoch has 24,000, its file 11,000 of them
        killed(path, AT_LINE.format(lines=rng.integers(40_000, 90_000)), shared)
    assert epochs_in(path) in range(1, EPOCHS)
    case = Case(shared)
    assert without_seconds(case.fit(EPOCHS, path)) == history
    assert case.state == state
    assert list(tmp_path.iterdir()) == [path]


@needs_sigkill
def test_a_run_killed_while_it_writes_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    history, state = unbroken()
    path = tmp_path / "run.npz"
    moments = [
        ("os", "fsync", False, 1, None),
        ("pathlib.Path", "replace", False, 3, 1),
        ("pathlib.Path", "replace", True, 1, 2),
        ("os", "fsync", True, 2, 3),
    ]
    for module, name, after, calls, done in moments:
        killed(path, IN_WRITE.format(module=module, name=name, after=after, calls=calls))
        assert epochs_in(path) == done
    hidden = [file.name for file in tmp_path.iterdir() if file != path]
    assert len(hidden) == 1  # and not one of each time
    assert hidden[0].startswith(".run.npz.")
    case = Case()
    assert without_seconds(case.fit(EPOCHS, path)) == history
    assert case.state == state
    assert list(tmp_path.iterdir()) == [path]


@needs_sigkill
def test_a_run_killed_from_outside_ends_as_if_it_had_not_been(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    history, state = unbroken()
    path = tmp_path / "run.npz"
    slowly = "import time; keep = os.fsync; os.fsync = lambda file: (keep(file), time.sleep(0.02))"
    for _ in range(3):
        process = start(path, slowly)
        deadline = time.monotonic() + 60
        before = path.stat().st_mtime_ns if path.exists() else 0
        while time.monotonic() < deadline and process.poll() is None:
            if path.exists() and path.stat().st_mtime_ns != before:
                break
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.04))
        process.kill()
        process.communicate(timeout=60)
    assert epochs_in(path) > 0
    case = Case()
    assert without_seconds(case.fit(EPOCHS, path)) == history
    assert case.state == state


def epochs_in(path: Path) -> int | None:
    """How many epochs a checkpoint has, as anybody can read it."""
    if not path.exists():
        return None
    with np.load(path) as file:
        epochs: int = json.loads(str(file["run"]))["epochs"]
    return epochs


# ---- runs that go on ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"generator": np.random.PCG64},
        {"generator": np.random.PCG64DXSM},
        {"generator": np.random.SFC64},
        {"generator": np.random.Philox},
        {"optimizer": optim.RMSprop, "schedule": optim.StepLR},
        {"dtype": np.float32, "schedule": None, "penalty": None},
        {"validation": False, "metrics": None},
    ],
    ids=str,
)
def test_a_run_that_goes_on_ends_like_one_that_never_stopped(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    whole = Case(**changed)
    history = without_seconds(whole.fit(EPOCHS))
    path = tmp_path / "run.npz"
    for epochs in (1, 4, EPOCHS):
        case = Case(**changed)
        assert case.fit(epochs, path).epochs == epochs
    assert without_seconds(case.fit(EPOCHS, path)) == history
    assert case.state == whole.state


def test_a_checkpoint_changes_nothing_in_a_run(tmp_path: Path) -> None:
    history, state = unbroken()
    case = Case()
    assert without_seconds(case.fit(EPOCHS, tmp_path / "run.npz")) == history
    assert case.state == state


def test_a_finished_run_returns_at_once_with_its_history_and_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    finished = Case()
    history = finished.fit(EPOCHS, path)

    content, again = path.read_bytes(), Case()
    monkeypatch.setattr(nn.Sequential, "forward", None)  # nothing is computed any more
    assert again.fit(EPOCHS, path) == history  # with its seconds
    assert again.state == finished.state
    assert path.read_bytes() == content


def test_the_same_objects_go_on_though_their_schedule_has_moved(tmp_path: Path) -> None:
    history, state = unbroken()
    case = Case()
    for epochs in (2, 2, EPOCHS):
        result = case.fit(epochs, tmp_path / "run.npz")
    assert without_seconds(result) == history
    assert case.state == state


@pytest.mark.parametrize("update", [2, 11])  # in the first epoch, and in the third
def test_an_interrupted_run_goes_on_with_the_same_objects(
    tmp_path: Path, update: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, state = unbroken()
    case = Case()
    step = case.optimizer.step

    def interrupted() -> None:
        if case.optimizer.steps == update - 1:
            raise KeyboardInterrupt
        step()

    with monkeypatch.context() as patch:
        patch.setattr(case.optimizer, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            case.fit(EPOCHS, tmp_path / "run.npz")
    assert without_seconds(case.fit(EPOCHS, tmp_path / "run.npz")) == history
    assert case.state == state


def test_a_rate_that_was_set_by_hand_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    first, second = Case(), Case()
    first.fit(1, path)
    first.optimizer.lr = 0.5
    checkpoint = Checkpoint(path, first.model, first.optimizer, first.schedule, first.rng, {})
    checkpoint.write(History())
    Checkpoint(path, second.model, second.optimizer, second.schedule, second.rng, {}).resume(1)
    assert second.optimizer.lr == 0.5
    assert second.schedule.steps == 4


def test_generators_stay_shared(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    Case(shared=True).fit(2, path)
    case = Case(shared=True)
    case.fit(3, path)
    assert case.model[2].rng is case.rng
    with np.load(path) as file:
        assert [*json.loads(str(file["run"]))["generators"]] == ["rng"]
    with pytest.raises(ValueError, match=r"generator model\.2\.rng: nothing in the file, MT19937"):
        Case().fit(3, path)


# ---- runs that differ ---------------------------------------------------------------------------

DIFFERENT = {
    "X: float64 (50, 3) of SHA-256": {"scale": 1.0000001},
    "X: float64 (50, 3) of": {"rows": 49},
    "y: int64 (50,) of": {"rows": 49},
    "batch_size: 16 in the file, 17 now": {"batch_size": 17},
    "array 0.weight: (8, 3) float64 in the file, (9, 3) float64 now": {"width": 9},
    "float64 in the file, (2,) float32 now": {"dtype": np.float32},
    "layer 2: Dropout with p=": {"p": 0.5},
    "model: Sequential with 1=": {"function": np.sin},
    "learning rate: 0.02 in the file, 0.03 now": {"lr": 0.03},
    "optimizer: Adam by adam with": {"betas": (0.9, 0.99)},
    "now\n  optimizer: Adam": {"optimizer": optim.SGD},
    "parameters of the optimizer: 0.weight, 0.bias, 3.weight, 3.bias in the file, 3.bias,": {
        "order": -1
    },
    "schedule: CosineLR by cosine with": {"schedule": optim.StepLR},
    "schedule: CosineLR": {"schedule": None},
    "generator model.2.rng: MT19937 of seed": {"generator": np.random.SFC64},
    "loss: cross_entropy in the file, weight_penalty with constants=": {"loss": weight_penalty},
    "penalty: weight_penalty with constants=": {"penalty": None},
    "metrics: accuracy in the file, none now": {"metrics": {}},
    "validation X: float64 (10, 3) of SHA-256": {"validation": False},
    "generator rng: PCG64 of seed 7 in the file, PCG64 of seed 9 now": {"seed": 9},
}


@pytest.mark.parametrize("difference", DIFFERENT)
def test_another_run_is_refused_and_what_differs_is_said(difference: str, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    Case().fit(1, path)
    content, other = path.read_bytes(), Case(**DIFFERENT[difference])
    untouched = Case(**DIFFERENT[difference])
    with pytest.raises(ValueError, match="the checkpoint is of another run") as caught:
        other.fit(2, path)
    text = str(caught.value)
    assert str(path) in text
    assert "To start anew give another path, or delete the file" in text
    assert difference.removeprefix("now\n  ") in text
    assert other.state == untouched.state
    assert path.read_bytes() == content


def enclosing(weight: float) -> Any:
    return lambda outputs, y: weight


class Weighted:
    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, outputs: Any, y: Any) -> float:
        return self.weight


#: Ways to make functions that have the same name.
MAKERS: list[Any] = [
    lambda x: functools.partial(nn.l2_penalty, strength=x),
    lambda x: functools.partial(nn.l2_penalty, nn.ReLU(), x),
    lambda x: nn.Sequential(functools.partial(ag.leaky_relu, negative_slope=x)),
    lambda x: nn.Sequential(enclosing(x)),
    lambda x: lambda model, strength=x: strength,
    lambda x: lambda model, *, strength=x: strength,
    enclosing,
    Weighted,
]


@pytest.mark.parametrize("make", MAKERS)
def test_functions_of_one_name_are_told_apart_by_the_numbers_they_carry(make: Any) -> None:
    assert described(make(0.1)) == described(make(0.1))
    assert described(make(0.1)) != described(make(0.2))


def test_functions_of_one_name_are_told_apart_by_the_numbers_in_their_code() -> None:
    weak, strong = (
        (lambda model: nn.l2_penalty(model, 1e-4)),
        (lambda model: nn.l2_penalty(model, 1.0)),
    )
    assert described(weak) != described(strong)
    assert described(weak).startswith("test_functions_of_one_name")


def test_words_end_where_functions_carry_themselves() -> None:
    loss = Weighted(1.0)
    loss.again = loss  # type: ignore[attr-defined]
    assert described(loss).startswith("Weighted with weight=1.0, again=Weighted")


def test_a_longer_schedule_is_no_difference(tmp_path: Path) -> None:
    Case().fit(2, tmp_path / "run.npz")
    assert Case(total=100).fit(3, tmp_path / "run.npz").epochs == 3


def test_fewer_epochs_than_are_done_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    Case().fit(3, path)
    with pytest.raises(ValueError, match=r"run\.npz: 3 epochs are done, more than epochs=2"):
        Case().fit(2, path)


def test_tensors_that_would_be_missing_are_refused(tmp_path: Path) -> None:
    case = Case()
    more = [*case.model.parameters(), ag.Tensor(1.0, requires_grad=True)]
    case.optimizer, case.schedule = optim.Adam(more), None
    with pytest.raises(ValueError, match="not parameters of the model"):
        case.fit(1, tmp_path / "run.npz")
    assert not list(tmp_path.iterdir())


# ---- files that are damaged ---------------------------------------------------------------------


def refused(path: Path, match: str | None = None) -> str:
    """Go on from a file that must be refused, with nothing changed."""
    case = Case()
    with pytest.raises(ValueError, match=match) as caught:
        case.fit(2, path)
    assert str(path) in str(caught.value)
    assert case.state == Case().state
    return str(caught.value)


def rewritten(path: Path, change: Any) -> None:
    """Change the arrays of a checkpoint."""
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    path, finished = tmp_path / "run.npz", Case()
    finished.fit(1, path)
    whole = path.read_bytes()
    for length in [0, *rng.integers(len(whole), size=10)]:
        path.write_bytes(whole[:length])
        refused(path, "not an npz file, or a damaged one")
    noticed = harmless = 0
    for place in rng.integers(len(whole), size=40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        case = Case()
        try:
            case.fit(1, path)
        except ValueError as error:
            noticed += str(path) in str(error) and case.state == Case().state
        else:
            harmless += case.state == finished.state  # it was a date, or such
    assert noticed + harmless == 40
    assert noticed > harmless
    nn.save_weights(Case().model, path)
    refused(path, "not the file of a checkpoint")
    path.write_bytes(b"weights")
    refused(path, "not an npz file")
    path.unlink()
    path.mkdir()
    refused(path, "a folder")


def test_a_checkpoint_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"

    def text(change: Any) -> Any:
        def rewrite(arrays: dict[str, Any]) -> None:
            run = json.loads(str(arrays["run"]))
            change(run)
            arrays["run"] = np.array(json.dumps(run))

        return rewrite

    changes: list[tuple[Any, str]] = [
        (lambda a: a.pop("optimizer/steps"), "lacks 'optimizer/steps'"),
        (lambda a: a.update(more=np.zeros(2)), "'more' in addition"),
        (lambda a: a.update({"optimizer/lr": np.array(np.nan)}), "lr is nan"),
        (lambda a: a.update({"model/0.weight": np.zeros((8, 4))}), "'model/0.weight' is"),
        (lambda a: a.update({"history/loss": np.zeros(3)}), "'history/loss' is"),
        (lambda a: a.update(run=np.array("{")), "damaged one"),
        (lambda a: a.update(run=np.array("[" * 100_000)), "damaged one"),
        (lambda a: a.update(run=np.array("[]")), "damaged one"),
        (lambda a: a.update(run=np.array("{}")), "damaged one"),
        (lambda a: a.update(run=np.array(3)), "not the file of a checkpoint"),
        (text(lambda run: run.update(format=2)), "its format is 2, and 1 is read here"),
        (text(lambda run: run.update(epochs="x")), "damaged one"),
        (text(lambda run: run.update(fingerprint=3)), "damaged one"),
        (text(lambda run: run["generators"].pop("rng")), "generator rng is damaged"),
        (text(lambda run: run["generators"].update(rng=[])), "generator rng is damaged"),
        (
            text(lambda run: run["generators"]["rng"].update(bit_generator="SFC64")),
            "generator rng is damaged",
        ),
        (
            text(lambda run: run["generators"]["rng"].update(uinteger=2**40)),
            "generator rng is damaged",
        ),
        (
            text(lambda run: run["generators"]["rng"].update(has_uint32=-1)),
            "generator rng is damaged",
        ),
        (
            text(lambda run: run["generators"]["model.2.rng"]["state"].update(pos=10_000)),
            r"generator model\.2\.rng is damaged",
        ),
        (
            text(lambda run: run["generators"]["model.2.rng"]["state"].update(key=[1, 2])),
            r"generator model\.2\.rng is damaged",
        ),
    ]
    for change, message in changes:
        path.unlink(missing_ok=True)
        Case().fit(1, path)
        rewritten(path, lambda arrays: None)
        assert Case().fit(1, path).epochs == 1
        rewritten(path, change)
        refused(path, message)


# ---- a disk that takes no more ------------------------------------------------------------------

FULL = """
import resource
scored = 0
def limited(outputs, y):
    global scored
    scored += 1
    if scored > 5:  # four batches to train on, and one to validate
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    return 0.5
case.settings["metrics"] = {"accuracy": limited}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_full_disk_stops_the_run_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    process = start(path, FULL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"[Errno 27] File too large: {str(path)!r}" in errors
    assert "The state after epoch 2 could not be written." in errors
    assert list(tmp_path.iterdir()) == [path]
    assert epochs_in(path) == 1
    _, state = unbroken()
    case = Case()
    case.fit(EPOCHS, path)
    assert case.state == state
