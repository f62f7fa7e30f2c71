"""Objects travel: pickle, copies, joblib and cloudpickle give what was given, or say why not.

A row of `THINGS` makes an object and says what must be the same of it afterwards.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import PRIMITIVES

import autograd_mini as ag
from autograd_mini import check, data, nn, optim, training
from autograd_mini.core import graph
from autograd_mini.core.primitive import Primitive
from autograd_mini.travel import variable_of

ROOT = Path(ag.__file__).parent.parent
X = np.random.default_rng(1).normal(size=(6, 1, 4, 4))
FLAT = X.reshape(6, 16)[:, :4].copy()
Y = np.array([[0.0], [1.0], [1.0], [0.0], [1.0], [0.0]])


# ---- ways ---------------------------------------------------------------------------------------


def by_cloudpickle(thing: Any) -> Any:
    """What another process would get from cloudpickle."""
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps(thing))


def by_joblib(thing: Any) -> Any:
    """What `joblib.dump` has written."""
    joblib = pytest.importorskip("joblib")
    file = io.BytesIO()
    joblib.dump(thing, file)
    file.seek(0)
    return joblib.load(file)


def by_pickle(protocol: int) -> Callable[[Any], Any]:
    """The way of a protocol."""
    return lambda thing: pickle.loads(pickle.dumps(thing, protocol))


WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": by_pickle(protocol) for protocol in range(2, 6)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "cloudpickle": by_cloudpickle,
    "joblib": by_joblib,
}
every_way = pytest.mark.parametrize("way", WAYS)
SENT = [way for way in WAYS if way != "copy"]


# ---- what travels -------------------------------------------------------------------------------


def square(x: Any) -> Any:
    """A function that derivatives are made of."""
    return np.sum(x * x)


@ag.compile
def compiled_square(x: Any) -> Any:
    """A function whose place the compiled one has taken."""
    return np.sum(x * x)


@ag.primitive("$x^3", x=lambda g, x: 3 * g * squared(x))
def cube(x: Any) -> Any:
    """An op of the user's."""
    return x**3


squared = ag.elementwise(lambda x: x * x, "$x^2", name="of_another_name", x=lambda g, x: 2 * g * x)


class Remembering(nn.Module):
    """A module with all that a module can have."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.first = nn.Linear(4, 4, rng=rng)
        self.layers = [nn.Dropout(0.5, rng=rng), self.first, np.tanh, ag.relu, cube]
        self.mean = ag.Tensor(np.zeros(4))  # a buffer
        self.last = {"out": nn.Linear(4, 1, rng=rng)}
        self._seen: Any = None
        self._each: list[Any] = []

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        self._each = [{"x": x}, x]
        self._seen = np.mean(x)
        return self.last["out"](x + self.mean)


def leaf() -> ag.Tensor:
    """A leaf with a name and a gradient."""
    w = ag.Tensor(np.asfortranarray([[1.0, 2.0], [3.0, -4.0]]), requires_grad=True, name="w")
    np.sum(w**3).backward()
    return w


def numbers_of(t: ag.Tensor) -> Any:
    """All that a Tensor has."""
    grad = None if t.grad is None else t.grad.tolist()
    return t.tolist(), str(t.dtype), t.name, t.requires_grad, grad, t.data.flags.f_contiguous


def outputs_of(x: Any) -> Callable[[nn.Module], Any]:
    """What a module computes, in training, which draws, and in use; its text and its names."""

    def outputs(module: nn.Module) -> Any:
        results = [module(x), module(x), module.eval()(x)]
        module.train()
        names = [name for name, _ in module.named_parameters()]
        return [np.asarray(unwrapped(y)).tolist() for y in results], repr(module), names

    return outputs


def unwrapped(y: Any) -> Any:
    """The numbers of a result."""
    return y.data if isinstance(y, ag.Tensor) else y


def network() -> tuple[nn.Module, np.random.Generator]:
    """A model for optimisers."""
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(4, 3, rng=rng), nn.Tanh(), nn.Linear(3, 1, rng=rng)), rng


def optimizer(kind: Any, **settings: Any) -> optim.Optimizer:
    """An optimiser that has made two steps."""
    model, _ = network()
    made: optim.Optimizer = kind(model.parameters(), **settings)
    for _ in range(2):
        made.zero_grad()
        np.sum((model(FLAT) - Y) ** 2).backward()
        made.step()
    return made


def one_step_more(made: optim.Optimizer) -> Any:
    """What a step more does to the parameters, with the gradients that they have."""
    made.step()
    return [p.tolist() for p in made.parameters], made.lr, made.steps, repr(made)


def schedule(kind: Any, *args: Any, **settings: Any) -> optim.Schedule:
    """A schedule that has made a step."""
    made: optim.Schedule = kind(optimizer(optim.SGD, lr=0.1), *args, **settings)
    made.step()
    return made


def rates(made: optim.Schedule) -> Any:
    """The rates of the next steps."""
    found = []
    for _ in range(4):
        made.step()
        found.append(made.optimizer.lr)
    return found, made.steps, repr(made)


def recorded(backward: bool = True) -> ag.Trace:
    """A run with a module, names, numbers and a result with a history."""
    model, _ = network()
    m, lam = len(Y), 0.01
    with ag.trace() as run:
        Z = model(FLAT)
        A = ag.sigmoid(Z)
        J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
        J = J + lam * np.sum(model[0].weight ** 2)
        other = np.sum(A)  # noqa: F841 - the last number is not what the run is for
        if backward:
            J.backward()
    run.result = J, {"A": A}
    named = {"model": model, "Z": Z, "A": A, "J": J, "m": m, "lam": lam, "X": FLAT, "Y": Y}
    return run.name(named)


def shown(run: ag.Trace) -> Any:
    """All that is made of a run."""
    run.result = run.result[0] if isinstance(run.result, tuple) else run.result
    simple = ag.explain(run, simplify=True, numbers=True)
    drawing = ag.draw(run, phase="both", engine="built in")
    hand = {"dZ": (unwrapped(run["A"].live) - Y) / 5}
    report = check.compare.__globals__["compared"](run, run.cost, hand, {"Z": run["Z"].live})
    return [
        *(str(run), str(ag.explain(run)), str(simple), simple.latex, ag.source(run)),
        *(drawing.source, drawing.text, drawing.svg, str(report)),
    ]


def comparison(factor: float = 1.0) -> check.Comparison:
    """What was found of gradients by hand."""
    W = ag.Tensor(np.ones((1, 4)), requires_grad=True)
    Z = W @ FLAT.T
    A = ag.sigmoid(Z)
    J = -np.mean(Y.T * np.log(A) + (1 - Y.T) * np.log(1 - A))
    dZ = A.data - Y.T
    return ag.compare(J, {"dZ": dZ, "dW": factor * dZ @ FLAT / 6})


def told(report: check.Report) -> Any:
    """All that a report says."""
    return str(report), report._repr_html_(), report.to_dict(), bool(report)


def scaled(scaler: Any) -> Any:
    """What a scaler makes of data."""
    return scaler.transform(FLAT).tolist(), repr(scaler)


class Weather(check.Report):
    """A report of the user's."""

    title, header, rows, notes, ok = "wet", ["day"], [["Monday"]], ["It rains."], False


def iteration() -> optim.Iteration:
    """Where a minimisation stands."""
    return optim.Iteration(1, 2.0, 3.0)


def passenger() -> data.Table:
    """A table with one row."""
    return data.Table({"Age": np.array([22.0, np.nan]), "Sex": np.array(["male", "female"])})


def shape_of_table(table: data.Table) -> Any:
    """What a table holds."""
    return repr(table), {name: str(column) for name, column in table.columns.items()}


def features() -> data.TitanicFeatures:
    """Features as they are before they have seen data."""
    return data.TitanicFeatures()


def attributes(thing: Any) -> Any:
    """The attributes as text."""
    return repr(thing), {name: str(value) for name, value in vars(thing).items()}


class Thing(NamedTuple):
    """A row: what makes an object, and what must be the same of it."""

    make: Callable[[], Any]
    same: Callable[[Any], Any]


RNG = {"rng": np.random.default_rng(0)}
THINGS: dict[str, Thing] = {
    "leaf": Thing(leaf, numbers_of),
    "constant": Thing(lambda: ag.Tensor(np.arange(3), name="k"), numbers_of),
    "number": Thing(lambda: ag.Tensor(2.5, requires_grad=True), numbers_of),
    "read-only": Thing(lambda: ag.Tensor(np.broadcast_to(1.0, (2, 2))), lambda t: t.tolist()),
    "leaf with a gradient that has a history": Thing(lambda: second_order(), numbers_of),
    "op": Thing(lambda: ag.relu, lambda op: (op is ag.relu, ag.grad(op)(2.0))),
    "own op": Thing(lambda: cube, lambda op: (op is cube, ag.grad(op)(2.0))),
    "own op of another name": Thing(lambda: squared, lambda op: op is squared),
    "grad": Thing(lambda: ag.grad(square), lambda f: f(FLAT).tolist()),
    "value_and_grad": Thing(lambda: ag.value_and_grad(square), lambda f: str(f(FLAT))),
    "jacobian": Thing(lambda: ag.jacobian(np.tanh), lambda f: f(FLAT[0]).tolist()),
    "hessian": Thing(lambda: ag.hessian(square), lambda f: f(FLAT[0]).tolist()),
    "grad of a derivative": Thing(lambda: ag.grad(ag.grad(cube)), lambda f: f(2.0)),
    "compiled": Thing(lambda: ag.compile(square), lambda f: f(FLAT).tolist()),
    "compiled in place": Thing(lambda: compiled_square, lambda f: (f is compiled_square, f(2.0))),
    "no_grad": Thing(ag.no_grad, lambda block: recording_in(block)),
    "debug": Thing(ag.debug, lambda block: raised_in(block)),
    "run": Thing(recorded, shown),
    "run that has not gone backward": Thing(lambda: recorded(False), shown),
    "run of a graph": Thing(lambda: ag.Trace.of_graph(np.sum(leaf() ** 2)), lambda r: str(r)),
    "run that failed": Thing(lambda: failed(), lambda r: (str(r.failure), ag.draw(r).text)),
    "drawing": Thing(lambda: ag.draw(recorded(), engine="built in"), lambda d: (d.source, d.svg)),
    "explanation": Thing(
        lambda: ag.explain(recorded(), simplify=True, numbers=True),
        lambda e: (str(e), e.latex, e.python, e.identifiers, e.constants),
    ),
    "comparison, right": Thing(comparison, told),
    "comparison, wrong": Thing(lambda: comparison(6.0), told),
    "gradcheck": Thing(lambda: check.gradcheck(square, FLAT[0], order=2), told),
    "point": Thing(lambda: check.point_quality(np.sum(leaf() ** 2), {}), told),
    "report": Thing(Weather, told),
    "error": Thing(lambda: check.GradientError("wrong"), lambda e: (type(e), str(e))),
    "module": Thing(nn.Module, repr),
    "own module": Thing(Remembering, outputs_of(FLAT)),
    "sequential": Thing(lambda: network()[0], outputs_of(FLAT)),
    "linear": Thing(lambda: nn.Linear(4, 2, **RNG), outputs_of(FLAT)),
    "linear, float32": Thing(lambda: nn.Linear(4, 2, dtype=np.float32, **RNG), outputs_of(FLAT)),
    "conv2d": Thing(lambda: nn.Conv2d(1, 2, 3, **RNG), outputs_of(X)),
    "max pool": Thing(lambda: nn.MaxPool2d(2), outputs_of(X)),
    "average pool": Thing(lambda: nn.AvgPool2d(2), outputs_of(X)),
    "dropout": Thing(lambda: nn.Dropout(0.5, rng=np.random.default_rng(3)), outputs_of(FLAT)),
    **{
        kind.__name__: Thing(kind, outputs_of(FLAT))
        for kind in (nn.ELU, nn.GELU, nn.Flatten, nn.LeakyReLU, nn.LogSoftmax, nn.ReLU, nn.SiLU)
    },
    **{
        kind.__name__: Thing(kind, outputs_of(FLAT))
        for kind in (nn.Sigmoid, nn.Softmax, nn.Softplus, nn.Tanh)
    },
    "SGD": Thing(lambda: optimizer(optim.SGD, lr=0.1), one_step_more),
    "momentum": Thing(lambda: optimizer(optim.SGD, lr=0.1, momentum=0.9), one_step_more),
    "Adam": Thing(lambda: optimizer(optim.Adam, lr=0.1), one_step_more),
    "AdamW": Thing(lambda: optimizer(optim.AdamW, lr=0.1), one_step_more),
    "RMSprop": Thing(lambda: optimizer(optim.RMSprop, lr=0.1), one_step_more),
    "Adagrad": Thing(lambda: optimizer(optim.Adagrad, lr=0.1), one_step_more),
    "optimizer": Thing(
        lambda: optim.Optimizer([leaf()], 0.1, optim.optimizers.descent), one_step_more
    ),
    "StepLR": Thing(lambda: schedule(optim.StepLR, 2, gamma=0.5), rates),
    "WarmupLR": Thing(lambda: schedule(optim.WarmupLR, 3), rates),
    "CosineLR": Thing(lambda: schedule(optim.CosineLR, 7), rates),
    "schedule": Thing(lambda: schedule(optim.Schedule, optim.schedules.constant, warmup=2), rates),
    "iteration": Thing(iteration, str),
    "Standardizer": Thing(lambda: data.Standardizer().fit(FLAT), scaled),
    "MinMaxScaler": Thing(lambda: data.MinMaxScaler(-1, 1).fit(FLAT), scaled),
    "table": Thing(passenger, shape_of_table),
    "titanic features": Thing(features, attributes),
    "history": Thing(
        lambda: training.History({"loss": [0.5, 0.25]}), lambda h: (dict(h), repr(h), h.epochs)
    ),
}


def second_order() -> ag.Tensor:
    """A leaf whose gradient was recorded."""
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    np.sum(w**3).backward(create_graph=True)
    return w


def failed() -> ag.Trace:
    """A run that ended with an error."""
    run = ag.trace()
    with pytest.raises(ValueError, match="shape"), run:
        leaf() @ np.ones((3, 3))
    return run


def recording_in(block: Any) -> bool:
    """Whether calls are recorded in a block."""
    w = leaf()
    with block:
        return (w * 2).requires_grad


def raised_in(block: Any) -> str:
    """What a block says of a NaN."""
    with pytest.raises(FloatingPointError) as error, np.errstate(all="ignore"), block:
        np.log(ag.Tensor([-1.0]))
    return str(error.value).partition(" at ")[0]


# ---- the table ----------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("name", THINGS)
def test_a_thing_is_the_same_at_the_other_end(name: str, way: str) -> None:
    thing = THINGS[name].make()
    other = WAYS[way](thing)
    assert type(other) is type(thing)
    # what is asked of an object may change it, and so it is asked of one that went nowhere
    found = THINGS[name].same(other)
    assert found == THINGS[name].same(THINGS[name].make() if name in STEPPING else thing)


#: Whose state a shallow copy shares, so that each end is asked of an object of its own.
STEPPING = [
    *("SGD", "momentum", "Adam", "AdamW", "RMSprop", "Adagrad", "optimizer", "own module"),
    *("StepLR", "WarmupLR", "CosineLR", "schedule", "dropout"),
]
PUBLIC = (ag, nn, optim, data, check, training)


def test_every_public_class_has_a_row() -> None:
    classes = {
        thing
        for module in PUBLIC
        for thing in (getattr(module, name) for name in module.__all__)
        if isinstance(thing, type)
    }
    made = {type(row.make()) for row in THINGS.values()}
    assert classes - made <= {check.Report}
    assert issubclass(Weather, check.Report)


@every_way
def test_every_public_function_is_itself_at_the_other_end(way: str) -> None:
    modules = (*PUBLIC, nn.functional, nn.init)
    functions = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, types.FunctionType | Primitive) and not thing.__name__.startswith("_")
    }
    assert len(functions) > 60
    for function in functions:
        assert WAYS[way](function) is function


@every_way
def test_every_op_is_itself_at_the_other_end(way: str) -> None:
    for op in PRIMITIVES:
        assert WAYS[way](op) is op


# ---- tensors ------------------------------------------------------------------------------------


@every_way
def test_a_leaf_has_gradients_of_its_own_at_the_other_end(way: str) -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    twin = WAYS[way](w)
    np.sum(twin * 3).backward()
    assert w.grad is None
    assert twin.grad.tolist() == [3.0, 3.0]
    assert np.shares_memory(twin.data, w.data) == (way == "copy")


def test_a_gradient_that_is_written_in_place_is_that_of_one() -> None:
    w = leaf()
    twin = copy.copy(w)
    twin.grad[...] = 0.0
    assert np.all(w.grad.data)


@every_way
@pytest.mark.parametrize("where", ["alone", "in a list", "in an optimiser's model"])
def test_a_result_says_what_to_do_instead(way: str, where: str) -> None:
    y = leaf() * 2
    if way == "copy" and where != "alone":
        pytest.skip("shares what it holds")
    thing = {"alone": y, "in a list": [y], "in an optimiser's model": {"a": (y,)}}[where]
    with pytest.raises(
        RuntimeError, match=r"leaves only.*computed by multiply.*t\.detach\(\) leaves the graph"
    ):
        WAYS[way](thing)
    assert WAYS[way](y.detach()).tolist() == y.tolist()


@pytest.mark.parametrize("way", ["pickle 4", "copy", "deepcopy"])
def test_values_are_read_through_the_gate(way: str) -> None:
    outside = leaf()
    step = ag.compile(lambda x: x * WAYS[way](outside))
    with pytest.raises(TypeError, match=r"(?s)captured|fixed shapes"):
        step(np.array([1.0, 2.0]))


def test_tensors_on_one_array_stay_on_one_array() -> None:
    w = leaf()
    twin, constant = pickle.loads(pickle.dumps((w, w.detach())))
    assert twin.data is constant.data


def test_a_tensor_from_a_mapped_file_can_be_written(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    joblib.dump(nn.Linear(2, 1, rng=np.random.default_rng(0)), tmp_path / "model")
    model = joblib.load(tmp_path / "model", mmap_mode="r")
    np.sum(model(np.ones(2))).backward()
    optim.SGD(model.parameters(), lr=1.0).step()
    assert model.bias.tolist() == [-1.0]


def test_a_buffer_out_of_band_can_be_written() -> None:
    buffers: list[Any] = []
    text = pickle.dumps(leaf(), 5, buffer_callback=buffers.append)
    twin = pickle.loads(text, buffers=[bytes(buffer.raw()) for buffer in buffers])
    ag.assign(twin, 0.0)
    assert not twin.data.any()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_the_memory_of_what_arrived_ends_with_it(protocol: int) -> None:
    accounts = graph.writes._accounts, graph.writes._unowned
    before = [len(account) for account in accounts]
    model, _ = pickle.loads(pickle.dumps(network(), protocol))
    np.sum(model(FLAT)).backward()
    optim.SGD(model.parameters(), lr=0.1).step()
    del model
    assert [len(account) for account in accounts] == before


# ---- modules and optimisers ---------------------------------------------------------------------


@pytest.mark.parametrize("way", SENT)
def test_a_module_keeps_what_it_remembers_without_the_history(way: str) -> None:
    model = Remembering()
    model(FLAT)
    twin = WAYS[way](model)
    assert not twin._seen.requires_grad
    assert twin._seen.tolist() == model._seen.tolist()
    assert not twin._each[0]["x"].requires_grad
    assert twin._each[1].tolist() == model._each[1].tolist()
    assert model._seen.requires_grad
    assert twin.layers[1] is twin.first  # tied
    assert twin.layers[0].rng is not model.layers[0].rng
    model.eval()
    assert twin.training
    assert WAYS[way](model).layers[0].training is False


def test_a_shallow_copy_of_a_module_shares_parameters_and_histories() -> None:
    model = Remembering()
    model(FLAT)
    twin = copy.copy(model)
    assert twin.first is model.first
    assert twin._seen is model._seen
    twin.extra = 1
    assert not hasattr(model, "extra")


@pytest.mark.parametrize("way", SENT)
def test_a_result_that_looks_like_a_parameter_is_refused(way: str) -> None:
    model = Remembering()
    model.late = model.first.weight * 2  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match=r"Remembering\.late was computed by multiply"):
        WAYS[way](model)


def test_what_holds_itself_is_no_obstacle() -> None:
    model = Remembering()
    model._each.append(model._each)
    twin = copy.deepcopy(model)
    assert twin._each[-1] is twin._each


TRAINED: dict[str, Callable[[Any], Any]] = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.05),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.05),
}


def trained(parts: Any, steps: int) -> None:
    """Steps of training, with a schedule."""
    model, optimizer, schedule = parts
    for _ in range(steps):
        optimizer.zero_grad()
        np.mean((model(FLAT) - Y) ** 2).backward()
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("way", SENT)
@pytest.mark.parametrize("kind", TRAINED)
def test_training_goes_on_as_if_nothing_had_happened(kind: str, way: str) -> None:
    model = Remembering()
    optimizer = TRAINED[kind](model.parameters())
    parts = model, optimizer, optim.CosineLR(optimizer, total=20, warmup=2)
    trained(parts, 5)
    twins = WAYS[way](parts)
    assert twins[2].optimizer is twins[1]
    for p, q in zip(twins[0].parameters(), twins[1].parameters, strict=True):
        assert p is q
    before = [p.tolist() for p in model.parameters()]
    trained(twins, 5)
    assert before == [p.tolist() for p in model.parameters()]
    trained(parts, 5)
    for p, q in zip(model.parameters(), twins[0].parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert twins[1].lr == optimizer.lr


# ---- ops ----------------------------------------------------------------------------------------


def local_op() -> Primitive:
    """An op that no other process can find."""
    return ag.elementwise(lambda x: x * 1, "$x", name="hidden", x=lambda g: g)


@pytest.mark.parametrize("way", [way for way in SENT if way != "deepcopy"])
def test_an_op_that_nobody_can_find_says_so(way: str) -> None:
    for thing in (local_op(), [local_op()], ag.grad(local_op())):
        with pytest.raises(TypeError, match=r"<primitive hidden> cannot go.*top level of a module"):
            WAYS[way](thing)


def test_copies_of_an_op_are_the_op() -> None:
    op = local_op()
    assert copy.copy(op) is copy.deepcopy([op])[0] is op


def test_a_variable_is_sought_at_home_first_and_in_the_program_last() -> None:
    assert variable_of(cube, [None, "no.such.module", __name__]) == (__name__, "cube")
    assert variable_of(ag.relu, ["autograd_mini"]) == ("autograd_mini", "relu")
    assert variable_of(object(), []) is None


PROGRAM = """
import pickle, sys
import numpy as np
import autograd_mini as ag

@ag.primitive("$x^3", x=lambda g, x: 3 * g * x * cube(x) / (x * x))
def cube(x):
    return x**3

@ag.compile
def step(x):
    return np.sum(cube(x))

def slope(x):
    return float(ag.grad(cube)(x)) + float(step(np.ones(2)))

if __name__ == "__main__":
    for protocol in range(2, 6):
        op, again = pickle.loads(pickle.dumps((cube, step), protocol))
        assert float(ag.grad(op)(2.0)) == 12.0 and float(again(np.ones(2))) == 2.0
        assert protocol > 3 or (op is cube and again is step)
    import cloudpickle
    text = cloudpickle.dumps((cube, step, slope))
    del cube, step, slope
    op, again, slope = pickle.loads(text)
    assert float(ag.grad(ag.grad(op))(2.0)) == 12.0, ag.grad(ag.grad(op))(2.0)
    assert slope(2.0) == 14.0
    sys.stdout.buffer.write(text)
"""


def test_ops_of_a_program_go_to_processes_that_do_not_run_it(tmp_path: Path) -> None:
    pytest.importorskip("cloudpickle")
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = [sys.executable, str(tmp_path / "program.py")]
    result = subprocess.run(run, capture_output=True, env=environment, timeout=60, check=False)
    assert result.returncode == 0, result.stderr.decode()
    op, step, slope = pickle.loads(result.stdout)  # here nobody has the program
    assert float(ag.grad(op)(2.0)) == 12.0
    assert float(step(np.ones(2))) == 2.0
    assert slope(2.0) == 14.0


# ---- runs ---------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("write", ["never", "between", "after"])
def test_what_was_written_in_place_is_known_at_the_other_end(way: str, write: str) -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        if write == "between":
            np.sum(w * w)
            with ag.no_grad():
                w *= 2.0
        y = np.sum(w * w)
        if write == "after":
            with ag.no_grad():
                w *= 2.0
    run.result = y
    other = WAYS[way](run)
    for one in (other, run):
        (value,) = [call.output for call in one.calls if call.primitive is _op("sum")][-1:]
        by = [v for v in one.values if v.name == "w"]
        if write == "after":
            with pytest.raises(RuntimeError, match="changed in place"):
                one.differentiate(value, by)
        else:
            one.differentiate(value, by)
            found = [v.gradient.array.tolist() for v in by if v.gradient]
            assert [4.0, 8.0] in found if write == "between" else found == [[2.0, 4.0]]


def _op(name: str) -> Primitive:
    """The op that stands for a function of NumPy's."""
    op: Primitive = ag.core.primitive.implementations[getattr(np, name)]
    return op


def test_nodes_that_arrive_are_older_than_what_comes_then_and_in_their_order() -> None:
    run = recorded()
    newest = max(node.serial for node in run._by_node)
    text = pickle.dumps(run)
    twin = pickle.loads(text)
    serials = [node.serial for node in twin._by_node]
    assert min(serials) > newest
    assert np.argsort(serials).tolist() == np.argsort([n.serial for n in run._by_node]).tolist()
    assert (leaf() * 2)._node.serial > max(serials)  # type: ignore[union-attr]


@pytest.mark.parametrize("way", SENT)
def test_a_run_goes_on_at_the_other_end(way: str) -> None:
    model, _ = network()
    with ag.trace() as run:
        J = np.sum(model(FLAT) ** 2)
    run.result = J
    twin, again = WAYS[way]((run, model))
    assert not twin.result.requires_grad
    assert twin.find(twin.result) is twin.calls[-1].output
    with twin:
        np.sum(again(FLAT))
    assert len(twin.calls) == len(run.calls) + 4
    assert [x.name for x in twin.calls[-2].arrays[1:]] == ["2.weight", "2.bias"]
    again_run = WAYS[way](twin)
    assert str(again_run) == str(twin)


def test_a_shallow_copy_of_a_run_records_for_itself() -> None:
    run = recorded()
    twin = copy.copy(run)
    w = leaf()
    with twin:
        w * 2
    assert len(twin.calls) == len(run.calls) + 1


@pytest.mark.parametrize("way", SENT)
def test_a_run_that_is_being_recorded_stays(way: str) -> None:
    with ag.trace() as run, pytest.raises(RuntimeError, match="being recorded"):
        WAYS[way](run)


@pytest.mark.parametrize("way", ["pickle 4", "deepcopy"])
def test_a_run_may_be_long(way: str) -> None:
    x = ag.Tensor(0.5, requires_grad=True, name="x")
    with ag.trace() as run:
        y = x
        for _ in range(2_500):
            y = -(y * 1.0)
    twin = WAYS[way](run)
    cost, (by,) = twin.differentiated(["x"])
    assert (float(cost.array), float(by.gradient.array)) == (0.5, 1.0)


def test_parts_of_a_run_are_copied_alone() -> None:
    run = recorded()
    for part in (run.calls[0], run.values[0], run.pulls[0], run.calls[0].scopes[0]):
        twin = copy.copy(part)
        assert vars(twin) == vars(part)
        assert repr(pickle.loads(pickle.dumps(part))) == repr(part)


# ---- processes ----------------------------------------------------------------------------------


def trained_in_a_worker(model: nn.Module, optimizer: optim.Optimizer, rows: slice) -> Any:
    """Some steps on a part of the data; the model and the optimiser are sent back."""
    for _ in range(5):
        optimizer.zero_grad()
        np.mean((model(FLAT[rows]) - Y[rows]) ** 2).backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.slow
def test_workers_train_modules_as_one_process_does() -> None:
    joblib = pytest.importorskip("joblib")
    model, _ = network()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    parts = slice(0, 3), slice(3, 6)
    task = joblib.delayed(trained_in_a_worker)
    workers = joblib.Parallel(n_jobs=2)
    sent = workers(task(model, optimizer, rows) for rows in parts)
    for (there, its_optimizer), rows in zip(sent, parts, strict=True):
        here, _ = trained_in_a_worker(*copy.deepcopy((model, optimizer)), rows)
        assert its_optimizer.parameters[0] is there.parameters()[0]
        assert its_optimizer.steps == 5
        for p, q in zip(here.parameters(), there.parameters(), strict=True):
            np.testing.assert_array_equal(p.data, q.data)

    w = leaf()

    def gradient(factor: float) -> Any:
        w.grad = None
        np.sum(factor * w * w).backward()
        return w.grad

    found = workers(joblib.delayed(gradient)(factor) for factor in (1.0, 2.0))
    assert [g.tolist() for g in found] == [(2 * w.data).tolist(), (4 * w.data).tolist()]
    with pytest.raises(RuntimeError, match=r"leaves only.*t\.detach\(\)"):
        workers(joblib.delayed(lambda: w * 2)() for _ in range(2))
