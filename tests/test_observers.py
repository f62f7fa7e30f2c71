"""What the engine tells those who listen: phases, seeds, rules, additions, reads, failures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini.core.graph import listen
from autograd_mini.trace import Observer


def leaf(data: Any, **options: Any) -> ag.Tensor:
    return ag.Tensor(data, requires_grad=True, **options)


class Diary(Observer):
    """Writes down all that it is told, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def heard(self, primitive: Any, operands: Any, statics: Any, y: Any) -> None:
        rule = f" in the rule of {self.rule[0].primitive.name} {self.rule[1]}" if self.rule else ""
        phase = "backward" if self.passes else "forward"
        self.lines.append(f"{phase} {primitive.name}{rule}")

    def seeded(self, node: Any, cotangent: Any, given: Any) -> None:
        self.lines.append(f"seed {cotangent.tolist()} given {given}")

    def pulled(self, node: Any, position: int, contribution: Any) -> None:
        super().pulled(node, position, contribution)
        self.lines.append(f"{node.primitive.name} {position} gave {contribution.tolist()}")

    def adding(self, node: Any) -> None:
        self.lines.append("adding")

    def finished(self) -> None:
        super().finished()
        self.lines.append("finished")

    def failed(self, error: Exception, op: str, operands: Any) -> None:
        self.lines.append(f"{op} of {len(list(operands))} failed")


def test_a_pass_is_told_from_its_seed_to_its_end() -> None:
    x = leaf(3.0)
    with listen(observer=Diary()) as diary:
        y = x * x
        y.backward(2.0)
    assert diary.lines == [
        "forward multiply",
        "seed 2.0 given 2.0",
        "backward multiply in the rule of multiply 0",
        "multiply 0 gave 6.0",
        "backward multiply in the rule of multiply 1",
        "multiply 1 gave 6.0",
        "adding",
        "backward add",
        "finished",
    ]
    assert diary.passes == []


def test_an_addition_to_an_old_gradient_is_told() -> None:
    x = leaf(3.0)
    (x * 2.0).backward()
    with listen(observer=Diary()) as diary:
        (x * 2.0).backward()
    assert diary.lines[-3:] == ["finished", "adding", "forward add"]


def test_a_pass_in_a_rule_is_told_as_a_part_of_that_rule() -> None:
    def rule(g: Any) -> Any:
        return g * ag.grad(lambda x: x * 5.0)(2.0)

    op = ag.elementwise(lambda x: x * 1.0, "$x", name="op", x=rule)
    x = leaf(3.0)
    with listen(observer=Diary()) as diary:
        op(x).backward()
    assert "backward multiply in the rule of op 0" in diary.lines
    assert diary.lines.count("finished") == 2
    assert diary.passes == []
    assert x.grad.item() == 5.0


def test_a_rule_that_raises_leaves_no_pass_open() -> None:
    def rule(g: Any) -> Any:
        raise ValueError("mine")

    op = ag.elementwise(lambda x: x * 1.0, "$x", name="op", x=rule)
    with listen(observer=Diary()) as diary:
        with pytest.raises(ValueError, match="mine"):
            op(leaf(3.0)).backward()
        leaf(1.0) * 2.0
    assert diary.lines[-2:] == ["finished", "forward multiply"]
    with ag.trace() as run:
        with pytest.raises(ValueError, match="mine"):
            op(leaf(3.0)).backward()
        (leaf(1.0) * 2.0).backward()
    assert [call.phase for call in run.calls] == ["forward", "forward", "backward"]
    assert [pull.call.primitive.name for pull in run.pulls] == ["op", "multiply"]


def test_who_begins_to_listen_within_a_pass_hears_the_rest_of_it() -> None:
    late: list[Any] = []

    def rule(g: Any) -> Any:
        late.append(listen(observer=Diary()))
        late[0].__enter__()
        return g * 1.0

    op = ag.elementwise(lambda x: x * 1.0, "$x", name="op", x=rule)
    x = leaf(3.0)
    with listen(observer=Diary()):
        op(x * 2.0).backward()
        late[0].__exit__()
    assert x.grad.item() == 2.0


def test_a_seed_of_another_dtype_is_converted_within_the_pass() -> None:
    x = leaf([1.0, 2.0])
    with listen(observer=Diary()) as diary:
        (x * 2.0).backward(ag.Tensor(np.ones(2, np.float32)))
    assert diary.lines[1] == "backward astype"
    with pytest.raises(ValueError, match="gradient has shape"), listen(observer=Diary()) as diary:
        (x * 2.0).backward(np.ones(3))
    assert (diary.lines[-1], diary.passes) == ("finished", [])


def test_a_trace_that_ended_within_a_rule_can_be_taken_up_again() -> None:
    run = ag.trace()

    def rule(g: Any) -> Any:
        run.__exit__(None, None, None)
        return g * 1.0

    op = ag.elementwise(lambda x: x * 1.0, "$x", name="op", x=rule)
    run.__enter__()
    (op(leaf(3.0)) * 2.0).backward()
    with run:
        leaf(3.0) * 3.0
    assert run.calls[-1].phase == "forward"


def test_who_listens_twice_hears_each_call_once() -> None:
    run = ag.trace()
    with run, run:
        (leaf(3.0) * 3.0).backward()
    assert [call.phase for call in run.calls] == ["forward", "backward"]


def test_an_observer_needs_no_initialisation_of_ours() -> None:
    class Own(Observer):
        def __init__(self) -> None:
            self.heard_of = 0

        def heard(self, *facts: Any) -> None:
            self.heard_of += 1

    with listen(observer=Own()) as own:
        (leaf(3.0) * 3.0).backward()
    assert own.heard_of == 2


READS: dict[str, Callable[[ag.Tensor], Any]] = {
    "t.data": lambda t: t.data,
    "t.numpy()": lambda t: t.numpy(),
    "np.array(t)": lambda t: np.array(t),
    "float(t)": float,
    "int(t)": int,
    "bool(t)": bool,
    "index": lambda t: [1, 2][ag.Tensor(1)],
    "t.item()": lambda t: t.item(),
    "t.tolist()": lambda t: t.tolist(),
    "a format": lambda t: f"{t:.2f}",
    "no format": lambda t: f"{t}",
    "repr": repr,
    "np.argmax": np.argmax,
    "np.nonzero": lambda t: np.nonzero(t.reshape(1)),
    "np.where of one": lambda t: np.where(t.reshape(1)),
    "np.allclose": lambda t: np.allclose([1.0], t),
    "np.array_str": np.array_str,
    "np.bincount": lambda t: np.bincount(ag.Tensor([1])),
    "np.histogram": lambda t: np.histogram(t.reshape(1)),
    "out=": lambda t: np.add(t, 1, out=np.empty(())),
    "t.all()": lambda t: t.all(),
    "copy.deepcopy(t)": copy.deepcopy,
}
LOOKS: dict[str, Callable[[ag.Tensor], Any]] = {
    "shape": lambda t: (t.shape, t.ndim, t.size, t.dtype),
    "len": lambda t: len(t.reshape(1)),
    "an op": lambda t: np.exp(t) + 1,
    "detach": lambda t: t.detach(),
    "np.shape": lambda t: (np.shape(t), np.ndim(t), np.result_type(t)),
}


class Strict(Observer):
    """Lets nobody read a value."""

    def reading(self, tensor: Any, how: str) -> None:
        raise LookupError(how)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_an_observer_may_refuse_that_a_value_is_read(read: Any) -> None:
    t = ag.Tensor(2.0)
    with listen(observer=Strict()), pytest.raises(LookupError):
        read(t)
    read(t)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_reads_no_value_asks_nobody(look: Any) -> None:
    t = ag.Tensor(2.0)
    with listen(observer=Strict()):
        look(t)


def test_the_innermost_call_that_failed_is_told_first() -> None:
    model = ag.nn.Sequential(lambda x: np.exp(x) + np.ones(5))
    with listen(observer=Diary()) as diary, pytest.raises(ValueError, match="add"):
        model(np.ones(3) * leaf(1.0))
    assert diary.lines[-2:] == ["add of 2 failed", "Sequential of 1 failed"]


def test_a_failure_that_was_caught_is_not_that_of_another_error() -> None:
    def run() -> None:
        try:
            leaf([1.0, 2.0]) + np.ones(3)
        except ValueError:
            raise ValueError("mine") from None

    with pytest.raises(ValueError, match="mine"), ag.trace() as trace:
        run()
    assert trace.failure is not None
    assert (trace.failure.op, trace.failure.operands) == ("ValueError", [])


def test_the_parts_of_a_fork_are_known_without_looking_at_numbers() -> None:
    x = leaf([1.0, 2.0], name="x")
    run = ag.trace(lambda: np.sum(x * 2.0 + x * 2.0 + x * 2.0))
    run.differentiated()
    value = run["x"]
    assert [share.result.array.tolist() for share in value.shares] == [[2.0, 2.0]] * 3
    assert [call.primitive.name for call in value.additions] == ["add", "add"]
    assert value.additions[-1].output is value.gradient
    assert all(call.pull is None for call in value.additions)


def test_an_addition_that_fails_leaves_the_next_call_forward() -> None:
    w = leaf([1.0, 2.0])
    w.grad = ag.Tensor(np.ones(3))
    with ag.trace() as run:
        with pytest.raises(ValueError, match="add"):
            np.sum(w * w).backward()
        leaf(1.0) * 3.0
    assert run.calls[-1].phase == "forward"
