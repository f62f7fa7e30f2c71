"""The graph and the chain rule: leaves, accumulation, orders, writes in place, threads."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import gc
import itertools
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import memory
from autograd_mini.core import graph
from autograd_mini.core.graph import leading_to, listen, listening, newest_first

Array = Any


def leaf(values: Any, **options: Any) -> ag.Tensor:
    return ag.Tensor(values, requires_grad=True, **options)


# ---- leaves and accumulation --------------------------------------------------------------------


def test_a_leaf_gets_the_sum_over_all_its_uses() -> None:
    x = leaf(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 7


def test_backward_twice_accumulates_on_leaves() -> None:
    x = leaf([1.0, 2.0])
    y = np.sum(x * x)
    y.backward()
    first = x.grad
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    assert first.tolist() == [2.0, 4.0]


def test_accumulation_replaces_the_gradient_and_does_not_write_into_it() -> None:
    x = leaf(1.0)
    (2 * x).backward()
    before = x.grad
    (3 * x).backward()
    assert before.item() == 2
    assert x.grad is not before


def test_gradients_of_several_graphs_add_up() -> None:
    x = leaf(1.0)
    (2 * x).backward()
    (3 * x).backward()
    assert x.grad.item() == 5
    x.grad = None
    (3 * x).backward()
    assert x.grad.item() == 3


def test_intermediate_results_get_no_gradient_unless_they_ask() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2
    z = y * y
    z.retain_grad()
    np.sum(z).backward()
    assert not hasattr(y, "grad")
    assert z.grad.tolist() == [1.0, 1.0]


def test_the_gradient_of_a_result_is_refused_with_what_to_write() -> None:
    W = leaf(np.ones((2, 3)))
    np.sum(W * W).backward()
    W = W - 0.1 * W.grad  # the course's update, which rebinds
    np.sum(W * W).backward()
    with pytest.raises(AttributeError, match=r"computed by subtract.*ag\.no_grad\(\): W -= rate"):
        W - 0.1 * W.grad
    assert W.detach().grad is None
    assert (W * 2).detach().grad is None


def test_a_running_total_of_losses_is_warned_of_once_for_each_line() -> None:
    W = leaf(np.ones(3))
    total: Any = 0.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            loss = np.sum(W**2)
            loss.backward()
            total = total + loss
            line = sys._getframe().f_lineno - 1
    (warning,) = caught
    assert "write total += float(loss)" in str(warning.message)
    assert (warning.filename, warning.lineno) == (__file__, line)
    total.backward()  # a second time through all: nothing was released
    assert W.grad.tolist() == [12.0] * 3


def test_what_is_allowed_with_a_loss_is_not_warned_of() -> None:
    W = leaf(np.ones(3))
    loss = np.sum(W**2)
    loss.backward(create_graph=True)
    (loss + np.sum(W.grad**2)).backward()  # a penalty
    again = np.sum(W**2)
    again.backward()
    with ag.no_grad():
        again + 1.0
    assert float(again) + again.item() == 6.0


def test_a_retained_gradient_is_that_of_the_last_backward() -> None:
    x = leaf(1.0)
    y = x * 3
    y.retain_grad()
    for _ in range(2):
        (y * y).backward()
        assert y.grad.item() == 6
    assert x.grad.item() == 36


def test_retain_grad_on_the_start_of_backward_gives_its_cotangent() -> None:
    y = leaf(2.0) * 2
    y.retain_grad()
    y.backward()
    assert y.grad.item() == 1


def test_retain_grad_where_nothing_flows_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"no gradient flows to the tensor shape \(1,\)"):
        ag.Tensor([1.0]).retain_grad()


def test_retain_grad_on_a_leaf_changes_nothing() -> None:
    x = leaf(2.0)
    x.retain_grad()
    (x * x).backward()
    (x * x).backward()
    assert x.grad.item() == 8


def test_backward_from_a_leaf_gives_one() -> None:
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1


def test_constants_get_no_gradient() -> None:
    x, c = leaf(2.0), ag.Tensor(3.0)
    (x * c).backward()
    assert c.grad is None
    assert not c.requires_grad


def test_a_leaf_that_is_gone_is_passed_over() -> None:
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    del w
    y.backward()
    assert x.grad.item() == 3


def test_a_retained_result_that_is_gone_is_passed_over() -> None:
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    z = y * 2
    del y
    z.backward()
    assert x.grad.item() == 6


def test_a_leaf_far_from_the_result_is_reached_by_all_paths() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(64):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**64


def test_requires_grad_can_be_set_on_leaves_and_taken_back() -> None:
    x = ag.Tensor(2.0)
    x.requires_grad = True
    (x * x).backward()
    assert x.grad.item() == 4
    x.requires_grad = True
    x.requires_grad = False
    assert not (x * x).requires_grad


def test_requires_grad_cannot_be_set_on_results() -> None:
    y = leaf(2.0) * 2
    for wanted in (True, False):
        with pytest.raises(RuntimeError, match=r"leaves only.*computed by multiply.*detach"):
            y.requires_grad = wanted


# ---- where backward starts ----------------------------------------------------------------------


def test_backward_takes_the_cotangent_of_a_result_that_is_not_one_number() -> None:
    for gradient in ([1, 2], (1.0, 2.0), np.array([1.0, 2.0]), ag.Tensor([1, 2])):
        x = leaf([3.0, 4.0])
        (x * x).backward(gradient)
        assert x.grad.tolist() == [6.0, 16.0]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_result_of_one_element_needs_no_cotangent(shape: Any) -> None:
    x = leaf(np.full(shape, 3.0))
    (x * x).backward()
    assert x.grad.shape == shape
    assert x.grad.item() == 6


@pytest.mark.parametrize("shape", [(2,), (0,), (2, 3)])
def test_without_a_cotangent_a_result_of_other_size_is_refused(shape: Any) -> None:
    x = leaf(np.ones(shape), name="weights")
    y = x * 2
    y.name = "outputs"
    with pytest.raises(ValueError, match=r"outputs of shape .*not one number.*gradient=") as error:
        y.backward()
    assert str(shape) in str(error.value)
    assert x.grad is None


@pytest.mark.parametrize("gradient", [1.0, np.ones(3), np.ones((2, 1)), [[1.0, 1.0]]])
def test_a_cotangent_of_another_shape_is_refused(gradient: Any) -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"gradient has shape .*\(2,\)") as error:
        (x * x).backward(gradient)
    assert str(np.shape(gradient)) in str(error.value)
    assert x.grad is None


def test_backward_where_nothing_was_recorded_is_refused() -> None:
    x = leaf([1.0])
    with ag.no_grad():
        unrecorded = x * 2
    for y in (ag.Tensor([1.0]) * 2, unrecorded, (x * 2).detach(), x > 0, ag.Tensor(1.0)):
        with pytest.raises(RuntimeError, match=r"no history .*requires_grad=True.*no_grad"):
            y.backward()


def test_the_cotangent_is_cast_to_the_dtype_of_its_tensor() -> None:
    x = leaf(np.ones(2, np.float32))
    (x * 2).backward(np.array([0.1, 0.2]))
    assert x.grad.dtype == np.float32


def test_the_cotangent_that_is_given_is_left_as_it_was() -> None:
    g = np.array([1.0, 2.0])
    x = leaf([1.0, 1.0])
    y = x * 1
    y.retain_grad()
    y.backward(g)
    for tensor in (x, y):
        tensor.grad.data[...] = 99
    assert g.tolist() == [1.0, 2.0]


# ---- gradients own their memory -----------------------------------------------------------------

SHAPES_OF_GRAPHS: dict[str, Callable[[Any, Any], Any]] = {
    "sum of two": lambda a, b: a + b,
    "sum of one": lambda a, b: a + a,
    "difference": lambda a, b: a - b,
    "reshape": lambda a, b: a.reshape((3, 2)).reshape((2, 3)) + b,
    "transpose": lambda a, b: a.T.T + b,
    "slices": lambda a, b: np.concatenate([a[:1], b[1:]]),
    "joined": lambda a, b: np.concatenate([a, b])[1:3],
    "broadcast": lambda a, b: np.broadcast_to(a, (4, 2, 3))[0] + b,
    "copy": lambda a, b: a.copy() + b.copy(),
    "positive": lambda a, b: +a + +b,
    "astype": lambda a, b: a.astype(float) + b.astype(np.float32).astype(float),
    "diamond": lambda a, b: (a + b) + (a - b),
    "alone": lambda a, b: a * 1,
    "rows": lambda a, b: np.stack([a[0], b[1]]),
    "where": lambda a, b: np.where(np.eye(2, 3) > 0, a, b),
    "mean": lambda a, b: a - np.mean(b),
    "matmul": lambda a, b: a @ b.T @ a,
    "linear": lambda a, b: ag.nn.functional.linear(a, np.eye(3), b[0]),
}


@pytest.mark.parametrize("function", SHAPES_OF_GRAPHS.values(), ids=SHAPES_OF_GRAPHS)
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("cotangent", ["array", "tensor", "none"])
def test_gradients_share_memory_with_nothing(
    function: Any, create_graph: bool, cotangent: str
) -> None:
    a, b = leaf(np.arange(6.0).reshape(2, 3)), leaf(np.ones((2, 3)))
    y = function(a, b)
    y.retain_grad()
    g: Any = np.ones((2, 3))
    if cotangent == "tensor":
        g = ag.Tensor(g, requires_grad=True)
    elif cotangent == "none":
        y, g = np.sum(y), None
    y.backward(g, create_graph=create_graph)
    tensors = [t for t in (a, b, y) if getattr(t, "grad", None) is not None]
    first = [t.grad for t in tensors]
    y.backward(g, create_graph=create_graph)
    arrays = [t.grad.data for t in tensors] + [t.data for t in first]
    everything = [*arrays, a.data, b.data, y.data, np.asarray(g.data if g is not None else 0.0)]
    for i, one in enumerate(arrays):
        assert one.flags.owndata
        assert one.flags.writeable
        for other in everything[i + 1 :]:
            assert not np.shares_memory(one, other)


def test_gradients_have_the_dtype_of_their_leaf() -> None:
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        x = leaf(np.ones(2, dtype))
        np.sum(x * np.array([1.0, 2.0])).backward()
        assert x.grad.dtype == dtype


# ---- graphs of gradients ------------------------------------------------------------------------


def test_a_gradient_has_a_history_only_with_create_graph() -> None:
    x = leaf(2.0)
    (x**3).backward()
    assert not x.grad.requires_grad
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    (x**3).backward()
    assert not x.grad.requires_grad


L = np.log(2.0) + 1
ORDERS: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "x^5": (lambda x: x**5, [80.0, 160.0, 240.0, 240.0]),
    "1/x": (lambda x: 1 / x, [-1 / 4, 2 / 8, -6 / 16, 24 / 32]),
    "exp": (np.exp, [np.exp(2.0)] * 4),
    "log": (np.log, [1 / 2, -1 / 4, 2 / 8, -6 / 16]),
    "sin": (np.sin, [np.cos(2.0), -np.sin(2.0), -np.cos(2.0), np.sin(2.0)]),
    "x*sum(x)": (lambda x: x * np.sum(x), [4.0, 2.0, 0.0, 0.0]),
    # f = exp(u), u = x log x: the derivatives of a composition (Faa di Bruno), at x = 2
    "x^x": (
        lambda x: x**x,
        [
            4 * L,
            4 * (L**2 + 1 / 2),
            4 * (L**3 + 3 * L / 2 - 1 / 4),
            4 * (L**4 + 6 * L**2 / 2 + 3 / 4 - 4 * L / 4 + 2 / 8),
        ],
    ),
}


@pytest.mark.parametrize(("function", "derivatives"), ORDERS.values(), ids=ORDERS)
def test_derivatives_up_to_order_four(function: Any, derivatives: list[float]) -> None:
    x = leaf(2.0)
    y = function(x)
    for expected in derivatives:
        x.grad = None
        if y.requires_grad:
            y.backward(create_graph=True)
        y = ag.Tensor(0.0) if x.grad is None else x.grad
        assert y.item() == pytest.approx(expected, rel=1e-9)


def test_gradients_are_differentiated_through_the_cotangent_too() -> None:
    x, g = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    np.square(x).backward(g, create_graph=True)
    np.sum(x.grad).backward()
    assert g.grad.tolist() == [2.0, 4.0]


def test_create_graph_records_also_under_no_grad() -> None:
    x = leaf(2.0)
    y = x**3
    with ag.no_grad():
        y.backward(create_graph=True)
        assert not listening().recording
    assert x.grad.requires_grad


def test_backward_does_not_record_what_rules_compute_without_create_graph(listener: Any) -> None:
    x = leaf(2.0)
    y = np.tanh(x) * x
    with listen(observer=listener):
        y.backward()
    assert listener.heard_of
    assert not any(result.requires_grad for *_, result in listener.heard_of)


# ---- what fails changes nothing -----------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_backward_that_fails_changes_no_gradient(create_graph: bool) -> None:
    def broken(g: Array) -> Array:
        raise ArithmeticError("no such luck")

    op = ag.elementwise(lambda x: x * 1, "", name="op", x=broken)
    early, late = leaf(1.0), leaf(2.0)
    (early * late).backward()
    before = early.grad, late.grad
    y = op(early) * late
    late.retain_grad()
    with pytest.raises(ArithmeticError, match="no such luck"):
        y.backward(create_graph=create_graph)
    assert (early.grad, late.grad) == before or (early.grad is before[0] and late.grad is before[1])
    assert listening().recording
    (early * late).backward()
    assert early.grad.item() == 4


# ---- freeing ------------------------------------------------------------------------------------


def test_a_graph_is_freed_with_its_last_tensor() -> None:
    gc.disable()
    try:
        x = leaf(np.ones(3))
        y = np.exp(x * 2)
        saved = weakref.ref(y.data)
        node = weakref.ref(y._node)
        z = np.sum(y)
        del y
        assert saved() is not None
        del z
        assert saved() is None
        assert node() is None
    finally:
        gc.enable()


def test_a_gradient_with_history_holds_no_cycle() -> None:
    gc.disable()
    gc.freeze()
    try:
        x = leaf(np.ones(3))
        np.sum(x**3).backward(create_graph=True)
        np.sum(x.grad**2).backward(create_graph=True)
        dead = weakref.ref(x)
        del x
        assert dead() is None
        assert gc.collect() == 0
    finally:
        gc.unfreeze()
        gc.enable()


# ---- writes in place ----------------------------------------------------------------------------


def test_a_leaf_that_records_refuses_augmented_assignment() -> None:
    w = leaf([1.0, 2.0], name="w")
    for write in (
        lambda w: w.__iadd__(1),
        lambda w: w.__isub__(1),
        lambda w: w.__imul__(2),
        lambda w: w.__itruediv__(2),
        lambda w: w.__ifloordiv__(2),
        lambda w: w.__imod__(2),
        lambda w: w.__ipow__(2),
        lambda w: w.__imatmul__(np.eye(2)),
    ):
        with pytest.raises(RuntimeError, match=r"w of shape \(2,\).*a = a \+ b.*no_grad"):
            write(w)
    assert w.tolist() == [1.0, 2.0]


def test_under_no_grad_a_leaf_is_written_in_its_own_array() -> None:
    w = same = leaf([3.0, 8.0])
    array = w.data
    with ag.no_grad():
        w += 1
        w -= np.array([0.0, 1.0])
        w *= 2
        w /= 4
        w **= 2
        w //= 1
        w %= 10
        w @= np.array([[0.0, 1.0], [1.0, 0.0]])
    assert w is same
    assert w.data is array
    assert array.tolist() == [6.0, 4.0]
    assert w.requires_grad
    assert w._node.primitive is None


def test_elsewhere_augmented_assignment_rebinds() -> None:
    for start in (ag.Tensor([1.0, 2.0]), leaf([1.0, 2.0]) * 1):
        a = start
        a += 1
        a -= 1
        a *= 3
        a /= 3
        a **= 1
        a //= 1
        a %= 7
        a @= np.eye(2)
        assert a is not start
        assert start.tolist() == a.tolist() == [1.0, 2.0]


def test_augmented_assignment_of_a_result_is_differentiated() -> None:
    x = leaf(3.0)
    y = x * 1
    y *= x
    y += x
    y.backward()
    assert x.grad.item() == 7


def test_items_are_assigned_where_nothing_is_recorded() -> None:
    t = ag.Tensor(np.zeros((2, 3)))
    array = t.data
    t[0, 1] = 5
    t[1] = ag.Tensor([1.0, 2.0, 3.0])
    t[t > 2.5] = -1
    t[ag.Tensor(0), [2]] = 7
    assert array.tolist() == [[0, -1, 7], [1, 2, -1]]
    t[...] = 0
    assert not array.any()


def test_assigning_items_of_or_from_what_is_recorded_is_refused() -> None:
    w, constant = leaf([1.0, 2.0]), ag.Tensor([1.0, 2.0])
    for target, value in ((w, 5.0), (w * 1, 5.0), (constant, w[0])):
        with pytest.raises(RuntimeError, match=r"np.where\(mask, v, t\).*not t\[...\] = v"):
            target[0] = value
    with ag.no_grad():
        w[0] = 5.0
        constant[1] = w[0]
    assert w.tolist() == [5.0, 2.0]
    assert constant.tolist() == [1.0, 5.0]


def test_data_can_be_set_and_keeps_its_array() -> None:
    w = leaf([1.0, 2.0])
    array = w.data
    w.data -= 0.5
    w.data *= 2
    w.data = [3, 4]
    w.data[0] = 9
    w.data = ag.Tensor([5.0, 6.0])
    w.data = leaf([7.0, 8.0])
    assert w.data is array
    assert array.tolist() == [7.0, 8.0]


@pytest.mark.parametrize("value", [1.0, [1.0], np.ones((1, 2)), np.ones(3)])
def test_data_of_another_shape_is_refused(value: Any) -> None:
    w = leaf([1.0, 2.0], name="w")
    with pytest.raises(ValueError, match=r"w of shape \(2,\).*make a new Tensor"):
        w.data = value
    assert w.tolist() == [1.0, 2.0]


def test_assign_writes_all_or_a_part() -> None:
    w = leaf(np.zeros((2, 2)))
    assert ag.assign(w, 1.0) is w
    ag.assign(w, [2.0, 3.0], key=0)
    ag.assign(w, ag.Tensor(4.0), key=(ag.Tensor(1), slice(1, None)))
    assert w.tolist() == [[2.0, 3.0], [1.0, 4.0]]


WRITES: dict[str, Callable[[Any], Any]] = {
    "w.data -= v": lambda w: setattr(w, "data", np.subtract(w.data, 1.0, out=w.data)),
    "w.data = v": lambda w: setattr(w, "data", [5.0, 6.0]),
    "assign": lambda w: ag.assign(w, 5.0, key=0),
    "w -= v": lambda w: w.__isub__(1.0),
    "w @= v": lambda w: w.__imatmul__(np.eye(2)),
    "w[0] = v": lambda w: w.__setitem__(0, 5.0),
    "out=w": lambda w: np.exp(np.zeros(2), out=w),
    "np.add(w, v, out=w)": lambda w: np.add(w, 1.0, out=w),
    "a view of another shape": lambda w: w.reshape((2, 1)).__setitem__(..., 5.0),
    "a part": lambda w: w[:1].__setitem__(..., 5.0),
    "a part of a part": lambda w: w[:][1:].__setitem__(0, 5.0),
    "assign to a part": lambda w: ag.assign(w[1:], 5.0),
    "w.T": lambda w: w.reshape((1, 2)).T.__setitem__(0, 5.0),
    "out= of a part": lambda w: np.add(w[:1], 1.0, out=w[:1]),
    "out= of its array": lambda w: np.add(ag.Tensor([1.0, 2.0]), 1.0, out=w.data),
    "out= of a part of its array": lambda w: np.add(ag.Tensor([1.0]), 1.0, out=w.data[1:]),
    "detached": lambda w: w.detach().__setitem__(0, 5.0),
    "another Tensor of its array": lambda w: ag.assign(ag.Tensor(w.data[::-1]), 5.0),
    "an optimiser of a part": lambda w: step_of(ag.Tensor(w.data[:1], requires_grad=True)),
}


def step_of(part: Any) -> None:
    """Let an optimiser write."""
    part.grad = ag.Tensor([1.0])
    ag.optim.SGD([part], lr=0.1).step()


USES: dict[str, Callable[[Any], Any]] = {
    "w * w": lambda w: w * w,
    "a view of w": lambda w: np.square(w[::-1]),
    "a transposed w": lambda w: np.square(w.reshape((2, 1)).T),
    "far before": lambda w: np.exp(np.square(w)) + 1,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_saved_array_that_was_written_makes_backward_raise(
    write: Any, use: Any, create_graph: bool
) -> None:
    w = leaf([1.0, 2.0])
    y = np.sum(use(w))
    with ag.no_grad():
        write(w)
    with pytest.raises(RuntimeError, match=r"changed in place since.*forward pass again"):
        y.backward(create_graph=create_graph)
    assert w.grad is None
    np.sum(use(w)).backward()
    assert w.grad is not None


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_written_array_that_no_rule_needs_does_no_harm(write: Any) -> None:
    w = leaf([1.0, 2.0])
    y = np.sum(w * 3 + 1)
    with ag.no_grad():
        write(w)
    y.backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_a_write_into_another_array_does_no_harm() -> None:
    w, other = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    y = np.sum(w * w)
    with ag.no_grad():
        other -= 1.0
    y.backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_a_constant_or_a_result_that_was_written_makes_backward_raise() -> None:
    w, constant = leaf([1.0, 2.0]), ag.Tensor([3.0, 4.0])
    y = np.sum(w * constant)
    constant[0] = 0.0
    with pytest.raises(RuntimeError, match=r"multiply.*shape \(2,\).*changed in place"):
        y.backward()
    result = np.exp(w)
    y = np.sum(result)
    with ag.no_grad():
        result[0] = 0.0
    with pytest.raises(RuntimeError, match=r"exp.*changed in place"):
        y.backward()


def test_forward_update_forward_backward_is_an_ordinary_step() -> None:
    w = leaf([1.0, 2.0])
    for _ in range(3):
        w.grad = None
        np.sum(w * w).backward()
        w.data -= 0.25 * w.grad.data
    assert w.tolist() == [0.125, 0.25]


def sizes_of_account() -> tuple[int, int, int]:
    accounts = [*graph.writes._accounts.values(), *graph.writes._unowned.values()]
    places = [len(account.places) for account in accounts]
    return len(places), sum(places), len(graph.writes._by_array)


def test_what_was_written_is_forgotten_with_its_memory() -> None:
    known = sizes_of_account()
    for _ in range(5):
        ag.assign(leaf([1.0]), 2.0)
    assert sizes_of_account() == known
    w = leaf([1.0, 2.0])
    for _ in range(5):
        ag.assign(w.detach()[1:], 2.0)
    assert sizes_of_account() == (known[0] + 1, known[1] + 1, known[2])
    del w
    assert sizes_of_account() == known


def test_an_account_tells_a_hundred_places_apart_and_then_takes_the_memory_as_a_whole() -> None:
    accounts, places, _ = sizes_of_account()
    data = np.ones(1000)
    saved, apart = leaf(data[999:]), leaf([3.0])
    y = np.sum(saved * saved) + np.sum(apart * apart)
    ag.assign(ag.Tensor(data[:1]), 7.0)
    y.backward()
    assert saved.grad.tolist() == [2.0]
    for i in range(998):
        ag.assign(ag.Tensor(data[i : i + 1]), 7.0)
    assert sizes_of_account()[0] == accounts + 1
    assert sizes_of_account()[1] - places <= memory.MOST + 1
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    y = np.sum(saved * saved) + np.sum(apart * apart)
    y.backward()
    assert apart.grad.tolist() == [12.0]


def test_memory_that_an_array_does_not_own_is_not_forgotten_with_who_wrote_it() -> None:
    constant = np.arange(1.0, 5.0)
    pointer = constant.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    w = leaf(np.ones(4))
    y = np.sum(w * constant)
    ag.assign(ag.Tensor(np.ctypeslib.as_array(pointer, (4,))), 9.0)
    del pointer
    gc.collect()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_write_between_the_elements_that_were_saved_does_no_harm() -> None:
    data = np.ones((3, 4))
    w = leaf(data[:, ::2])
    y = np.sum(w * w)
    ag.assign(ag.Tensor(data[:, 1::2]), 7.0)
    ag.assign(ag.Tensor(data[:0]), 7.0)
    y.backward()
    assert w.grad.tolist() == [[2.0, 2.0]] * 3


@pytest.mark.parametrize("made_of", [bytearray, lambda n: memoryview(bytearray(n))])
@pytest.mark.parametrize("parts", [1, 2 * memory.MOST])
def test_memory_that_no_array_owns_has_one_account(made_of: Any, parts: int) -> None:
    buffer = made_of(8 * parts)
    w = leaf(np.frombuffer(buffer))
    y = np.sum(np.exp(w) * w)
    for i in range(parts):
        ag.assign(ag.Tensor(np.frombuffer(buffer)[i : i + 1]), 7.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_arrays_of_another_library_are_known_by_themselves() -> None:
    class Other:
        pass

    one, two = Other(), Other()
    before = graph.next_serial()
    graph.writes.note(one)
    assert graph.writes.since(one, before)
    assert not graph.writes.since(two, before)
    assert not graph.writes.since(one, graph.next_serial())


def test_a_write_into_other_columns_of_one_buffer_does_no_harm() -> None:
    buffer = np.ones((2, 4))
    a, b = leaf(buffer[:, :2]), leaf(buffer[:, 2:])
    y = np.sum(a * a) + np.sum(b)
    ag.assign(b, 5.0)
    y.backward()


# ---- recording on and off -----------------------------------------------------------------------


def test_no_grad_switches_recording_off_and_back_on() -> None:
    x = leaf(1.0)
    with ag.no_grad():
        assert not (x * 2).requires_grad
        with ag.no_grad():
            assert not (x * 2).requires_grad
        assert not (x * 2).requires_grad
        with listen(recording=True):
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception() -> None:
    def fails() -> None:
        with ag.no_grad(), ag.no_grad():
            raise KeyError("on the way")

    with pytest.raises(KeyError):
        fails()
    assert listening().recording


def test_one_no_grad_can_be_used_again_and_within_itself() -> None:
    off = ag.no_grad()
    with off, off:
        assert not listening().recording
    assert listening().recording
    with off:
        assert not listening().recording
    assert listening().recording


def test_a_leaf_made_under_no_grad_is_a_leaf() -> None:
    with ag.no_grad():
        x = leaf(2.0)
    (x * x).backward()
    assert x.grad.item() == 4


def test_backward_works_under_no_grad() -> None:
    x = leaf(2.0)
    y = x * x
    with ag.no_grad():
        y.backward()
    assert x.grad.item() == 4


def test_no_grad_in_one_thread_is_not_seen_by_another() -> None:
    x = leaf(2.0)
    inside, done = threading.Event(), threading.Event()
    seen: list[bool] = []

    def without() -> None:
        with ag.no_grad():
            inside.set()
            done.wait(10)
            seen.append((x * 2).requires_grad)

    thread = threading.Thread(target=without)
    thread.start()
    assert inside.wait(10)
    assert (x * 2).requires_grad
    with ag.no_grad():
        other: list[bool] = []
        fresh = threading.Thread(target=lambda: other.append((x * 2).requires_grad))
        fresh.start()
        fresh.join(10)
    done.set()
    thread.join(10)
    assert seen == [False]
    assert other == [True]


def test_no_grad_in_one_task_is_not_seen_by_another() -> None:
    x = leaf(2.0)
    seen: dict[str, list[bool]] = {"off": [], "on": []}

    async def off() -> None:
        with ag.no_grad():
            for _ in range(3):
                await asyncio.sleep(0)
                seen["off"].append((x * 2).requires_grad)

    async def on() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            seen["on"].append((x * 2).requires_grad)

    async def both() -> None:
        await asyncio.gather(off(), on())

    asyncio.run(both())
    assert seen == {"off": [False] * 3, "on": [True] * 3}


def test_threads_can_go_backward_through_graphs_of_their_own() -> None:
    found: dict[int, list[float]] = {}

    def work(n: int) -> None:
        x = leaf(np.full(4, float(n)))
        for _ in range(50):
            x.grad = None
            np.sum(np.tanh(x * x)).backward(create_graph=True)
            ag.assign(x, x.data)
        found[n] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for n in range(6):
        np.testing.assert_allclose(found[n], 2 * n / np.cosh(float(n * n)) ** 2, atol=1e-12)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Let threads interrupt each other after every few steps of the interpreter."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_threads_can_train_models_of_their_own(hasty_threads: None) -> None:
    errors: list[Exception] = []

    def train() -> None:
        try:
            for _ in range(200):
                weights = [leaf(np.ones(2)) for _ in range(20)]
                y = sum(np.sum(w * w) for w in weights)
                for _ in range(2):
                    ag.assign(ag.Tensor(0.0), 1.0)
                y.backward()
                for w in weights:
                    ag.assign(w, w.grad)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=train) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors


def opened(order: list[str]) -> None:
    """Run generators that switch recording off, in an order of openings and closings."""

    def quiet() -> Iterator[None]:
        with ag.no_grad():
            yield

    running: dict[str, Any] = {}
    for name in order:
        if name in running:
            running.pop(name).close()
        else:
            running[name] = quiet()
            next(running[name])
        assert (leaf(1.0) * 2).requires_grad is (not running)


@pytest.mark.parametrize("order", sorted({*itertools.permutations("aabbcc")}), ids="".join)
def test_recording_is_on_again_however_generators_are_closed(order: Any) -> None:
    opened(list(order))


def test_random_blocks_that_end_in_any_order_and_context_leave_what_is_still_open() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        kinds = [(True, None), (False, None), (None, object()), (False, object())]
        switches = [listen(recording, observer) for recording, observer in kinds]
        running: list[Any] = []
        for _ in range(int(random.integers(2, 14))):
            if running and random.random() < 0.45:
                switch = running[random.integers(len(running))]
                del running[max(i for i, x in enumerate(running) if x is switch)]
                context = contextvars.copy_context() if random.random() < 0.3 else None
                (context.run if context else lambda end: end())(switch.__exit__)
            else:
                running.append(switches[random.integers(len(switches))])
                running[-1].__enter__()
            recording = [True, *[x.recording for x in running if x.recording is not None]][-1]
            assert listening().recording is recording
            assert {*listening().observers} == {x.observer for x in running} - {None}
        for switch in reversed(running):
            switch.__exit__()


def test_the_newest_switch_decides_whichever_ended_before_it() -> None:
    off, on = listen(recording=False), listen(recording=True)
    off.__enter__()
    on.__enter__()
    off.__enter__()
    off.__exit__()
    assert (leaf(1.0) * 2).requires_grad
    off.__exit__()
    assert (leaf(1.0) * 2).requires_grad
    on.__exit__()
    off.__exit__()  # of a block that has ended already
    assert (leaf(1.0) * 2).requires_grad


def test_a_generator_that_another_thread_or_task_closes_takes_its_switch_back() -> None:
    def quiet() -> Iterator[None]:
        with ag.no_grad():
            yield

    running = quiet()
    next(running)
    thread = threading.Thread(target=running.close)
    thread.start()
    thread.join(60)
    assert (leaf(1.0) * 2).requires_grad

    async def rows() -> AsyncIterator[int]:
        with ag.no_grad():
            for i in range(5):
                yield i

    async def run() -> None:
        async for _ in rows():
            break
        await asyncio.sleep(0.01)  # in which the loop closes it, in a task of its own
        assert (leaf(1.0) * 2).requires_grad

    asyncio.run(run())
    assert (leaf(1.0) * 2).requires_grad


def test_a_switch_can_decorate_a_function() -> None:
    @ag.no_grad()
    def quiet(x: Any) -> Any:
        return x * 2

    assert not quiet(leaf(1.0)).requires_grad
    assert (leaf(1.0) * 2).requires_grad


def test_one_switch_serves_threads_and_tasks_at_once(hasty_threads: None) -> None:
    switch, found = ag.no_grad(), []

    def often() -> None:
        for _ in range(200):
            with switch:
                found.append((leaf(1.0) * 2).requires_grad)
            found.append(not (leaf(1.0) * 2).requires_grad)

    threads = [threading.Thread(target=often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    async def task(first: asyncio.Event, then: asyncio.Event) -> None:
        with switch:
            first.set()
            await then.wait()
            found.append((leaf(1.0) * 2).requires_grad)
        found.append(not (leaf(1.0) * 2).requires_grad)

    async def both() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(task(one, two), task(two, one))

    asyncio.run(both())
    assert len(found) == 4 * 400 + 4
    assert not any(found)


def test_a_generator_that_another_task_closes_leaves_recording_on_there() -> None:
    async def quiet() -> AsyncIterator[None]:
        with ag.no_grad():
            yield

    async def begin(stream: Any) -> None:
        await anext(stream)

    async def run() -> None:
        stream = quiet()
        await asyncio.create_task(begin(stream))
        await stream.aclose()
        assert (leaf(1.0) * 2).requires_grad

    asyncio.run(run())


def calls_of_backward(function: Callable[[list[Any]], Any], n: int) -> int:
    """How many functions are entered on the way back through an op of n operands."""
    y = np.sum(function([leaf(np.ones(2)) for _ in range(n)]))
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        y.backward()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("function", [np.stack, np.concatenate, np.vstack, np.column_stack])
def test_the_work_of_a_join_grows_with_the_number_of_its_operands(function: Any) -> None:
    assert calls_of_backward(function, 400) < 4.2 * calls_of_backward(function, 100)


# ---- observers ----------------------------------------------------------------------------------


def test_observers_hear_of_all_calls_forward_and_backward(listener: Any) -> None:
    x = leaf([1.0, 2.0])
    with listen(observer=listener) as given:
        assert given is listener
        y = np.sum(np.tanh(x) * 2 + np.zeros(2))
        forward = listener.names
        y.backward()
    assert forward == ["tanh", "multiply", "add", "sum"]
    assert len(listener.names) > len(forward)
    assert {node.primitive.name for node, _ in listener.pulls} == {*forward}
    assert [node.serial for node, _ in listener.delivered_to] == sorted(
        (node.serial for node, _ in listener.delivered_to), reverse=True
    )
    np.testing.assert_allclose(x.grad.data, 2 / np.cosh(x.data) ** 2)


def test_observers_are_told_of_writes_before_and_after(listener: Any) -> None:
    w = leaf([1.0, 2.0])
    with ag.no_grad(), listen(observer=listener):
        w -= 1.0
        ag.assign(w, 7.0, key=1)
    assert [values.tolist() for _, values in listener.written] == [[1.0, 2.0], [0.0, 1.0]]
    assert listener.names == ["subtract", "assignment"]
    assert all(result is w for *_, result in listener.heard_of)


def test_what_is_computed_does_not_depend_on_who_listens(rng: Any, listener: Any) -> None:
    values = rng.normal(size=(3, 4))

    def run(create_graph: bool) -> tuple[bytes, bytes]:
        x = leaf(values)
        y = np.sum(ag.softmax(x @ x.T, axis=0) * np.tanh(x[:, :3]) ** 3)
        y.backward(create_graph=create_graph)
        return y.data.tobytes(), x.grad.data.tobytes()

    alone = run(False)
    for create_graph in (False, True):
        with listen(observer=listener):
            assert run(create_graph) == alone
        assert run(create_graph) == alone


def test_several_observers_listen_at_once(listener: Any) -> None:
    other = type(listener)()
    with listen(observer=listener):
        ag.Tensor(1.0) + 1
        with listen(observer=other):
            ag.Tensor(1.0) - 1
    assert listener.names == ["add", "subtract"]
    assert other.names == ["subtract"]


# ---- orders of nodes ----------------------------------------------------------------------------


def test_newest_first_has_each_node_once_and_before_its_parents() -> None:
    x = leaf(1.0)
    y = x * 2
    z = y + x + y
    order = newest_first(z._node)
    assert len(order) == len(set(order)) == 4
    assert order[0] is z._node
    assert order[-1] is x._node
    for node in order:
        assert all(parent.serial < node.serial for parent in node.parents if parent)


def test_leading_to_leaves_out_what_does_not_depend_on_the_targets() -> None:
    a, b = leaf(1.0), leaf(2.0)
    left, right = a * 2, b * 3
    y = left + right
    pruned = leading_to([left._node], newest_first(y._node))
    assert pruned == [y._node, left._node]
    assert leading_to([leaf(1.0)._node], newest_first(y._node)) == []


# ---- what is written half, and blocks in great numbers ------------------------------------------


def test_a_write_that_raises_half_way_counts_as_a_write() -> None:
    w = leaf([2.0, 3.0])
    loss = np.sum(w * w)
    with ag.no_grad(), np.errstate(over="raise"), pytest.raises(FloatingPointError):
        w *= np.array([10.0, 1e308])
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_thousands_of_blocks_end_first_in_first_out_or_hand_over_hand() -> None:
    blocks = [ag.no_grad() for _ in range(1200)]
    for block in blocks:
        block.__enter__()
    for block in blocks:
        assert not (leaf(1.0) * 2).requires_grad
        block.__exit__()
    assert (leaf(1.0) * 2).requires_grad
    outer, before = ag.no_grad(), ag.trace()
    outer.__enter__()
    before.__enter__()
    states = sum(type(thing) is graph.Listening for thing in gc.get_objects())
    for _ in range(2000):
        after = ag.trace()
        after.__enter__()
        before.__exit__(None, None, None)
        before = after
    gc.collect()
    assert sum(type(thing) is graph.Listening for thing in gc.get_objects()) < states + 10
    assert not (leaf(1.0) * 2).requires_grad
    outer.__exit__()
    assert (leaf(1.0) * 2).requires_grad
    before.__exit__(None, None, None)


def test_a_switch_that_is_in_use_twice_elsewhere_says_so() -> None:
    shared = ag.no_grad()
    contexts = [contextvars.copy_context() for _ in range(2)]
    for context in contexts:
        context.run(shared.__enter__)
    with pytest.raises(RuntimeError, match="make one for each block"):
        shared.__exit__()
    for context in contexts:
        assert not context.run(lambda: listening().recording)
        context.run(shared.__exit__)
        assert context.run(lambda: listening().recording)


def test_an_account_is_looked_at_for_arrays_in_its_own_memory_alone(monkeypatch: Any) -> None:
    leaves = [leaf(np.ones(2)) for _ in range(50)]
    loss = sum(np.sum(w * w) for w in leaves)
    others = [leaf(np.ones(2)) for _ in range(50)]
    with ag.no_grad():
        for w in others:
            w *= 2.0
    compared = []
    monkeypatch.setattr(memory, "elements_at", compared.append)
    loss.backward()
    assert not compared


def test_a_finaliser_may_write_while_a_write_is_being_booked() -> None:
    arrays = [np.ones(2), np.ones(2)]
    serials = iter(range(10))

    def next_serial() -> int:
        if len(arrays) == 2:
            writes.note(arrays.pop())
        return next(serials)

    writes = memory.Writes(next_serial)
    thread = threading.Thread(target=writes.note, args=(arrays[0],), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert (writes.since(arrays[0], 0), writes.newest) == (True, 1)


def test_threads_that_write_at_once_lose_no_write(hasty_threads: None) -> None:
    arrays = [np.ones(3) for _ in range(4)]
    noted = [0] * 4
    before = graph.next_serial()

    def write(i: int) -> None:
        for _ in range(500):
            graph.writes.note(arrays[i][noted[i] % 3 :])
            noted[i] += 1

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert noted == [500] * 4
    assert all(graph.writes.since(array, before) for array in arrays)
    assert graph.writes.newest == max(x.serial for x in graph.writes._accounts.values())


@pytest.mark.parametrize(
    "total",
    [
        lambda a, b: a + b,
        np.add,
        lambda a, b: np.stack([a, b]),
        lambda a, b: np.mean(np.stack([a, b])),
        lambda a, b: a.__iadd__(b),
    ],
)
def test_the_warning_of_a_kept_graph_names_the_line_of_the_user(total: Any) -> None:
    losses = []
    for _ in range(2):
        w = ag.Tensor(np.ones(2), requires_grad=True)
        losses.append(np.sum(w**2))
        losses[-1].backward()
    with pytest.warns(UserWarning, match="has gone backward") as warned:
        total(*losses)
    assert {x.filename for x in warned} == {__file__}
