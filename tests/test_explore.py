"""The data of the step-through page: numbers of the run, and which entries made which."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import NAMES
from networks import one_hidden_layer

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.explore import entries, explore, forms
from autograd_mini.explore.arrays import number, numbers
from autograd_mini.explore.entries import reads_of_call, reads_of_share
from autograd_mini.explore.forms import ALL, Read
from autograd_mini.explore.page import page
from autograd_mini.explore.record import Page, record
from autograd_mini.trace import Call, Trace, Value

Data = dict[str, Any]


def network(dtype: Any = np.float64, backward: bool = True) -> tuple[Trace, dict[str, Any]]:
    """The run of a network with one hidden layer, and its variables."""
    with ag.trace() as run:
        variables = one_hidden_layer(dtype=dtype, mean=True)
        if backward:
            variables["J"].backward()
    return run.name(variables), variables


def by_hand(v: dict[str, Any]) -> dict[str, Any]:
    """The gradients of the network, derived by hand; dZ1 is wrong."""
    A1, A2, W2 = (v[name].data for name in ("A1", "A2", "W2"))
    X, Y = v["X"], v["Y"]
    dZ2 = (A2 - Y) / 5
    dZ1 = W2.T @ dZ2 * (1 - A1)
    return {"dZ2": dZ2, "dW2": dZ2 @ A1.T, "dZ1": dZ1, "dW1": dZ1 @ X.T}


def node(found: Data, name: str) -> Data:
    return next(each for each in found["nodes"] if each["name"] == name)


def step(found: Data, phase: str, name: str) -> Data:
    number = node(found, name)["id"]
    return next(x for x in found["steps"] if (x["phase"], x["node"]) == (phase, number))


def array(data: Data) -> Any:
    return np.array([float(x) for x in data["data"]], data["dtype"]).reshape(data["shape"])


def text(found: Data, formula: list[Any]) -> str:
    """A formula with names in it."""
    return "".join(
        x
        if isinstance(x, str)
        else "d" * (x["of"] == "gradient") + found["nodes"][x["node"]]["name"]
        for x in formula
    )


# ---- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_numbers_read_back_are_bit_equal(rng: np.random.Generator, dtype: Any) -> None:
    info = np.finfo(dtype)
    bits = rng.integers(0, 256, 4000 * info.bits // 8, dtype=np.uint8).view(dtype)
    special = np.array([0.0, -0.0, 0.1, 1 / 3, 1e-7, info.tiny, info.max], dtype)
    x = np.concatenate([bits[np.isfinite(bits)], special])
    again = json.loads(json.dumps(numbers(x), allow_nan=False))
    assert np.array(again, dtype).tobytes() == x.tobytes()


def test_numbers_have_the_shortest_digits_of_their_own_dtype() -> None:
    assert json.dumps(numbers(np.array([0.1, 1 / 3], np.float32))) == "[0.1, 0.33333334]"


def test_numbers_that_json_does_not_have_are_strings() -> None:
    special = np.array([np.nan, np.inf, -np.inf, 1.5])
    assert numbers(special) == ["NaN", "Infinity", "-Infinity", 1.5]
    assert numbers(np.array([True, False])) == [1, 0]
    assert number(np.int64(2**53 + 1)) == str(2**53 + 1)


def test_values_and_gradients_in_the_record_are_those_of_the_run() -> None:
    for dtype in np.float64, np.float32:
        run, _ = network(dtype)
        found = json.loads(json.dumps(record(run), allow_nan=False))
        for name in ("W1", "X", "Z1", "A2", "J"):
            value = run[name]
            assert array(node(found, name)["value"]).tobytes() == value.array.tobytes()
            if name != "X":
                gradient = node(found, name)["gradient"]
                assert array(gradient).tobytes() == value.gradient.array.tobytes()
        assert node(found, "X")["gradient"] is None


def test_contributions_sum_up_to_the_gradient_bit_by_bit() -> None:
    rng = np.random.default_rng(3)
    W = ag.Tensor(rng.normal(size=(3, 3)), requires_grad=True, name="W")
    x = ag.Tensor(rng.normal(size=(3, 2)), requires_grad=True, name="x")
    run = ag.trace(lambda: np.sum(np.tanh(W @ np.tanh(W @ x) + x) * x))
    found = record(run)
    several = 0
    for each in found["steps"]:
        contributions = each.get("contributions")
        if contributions:
            total = array(contributions[0]["value"])
            for contribution in contributions[1:]:
                total = total + array(contribution["value"])
            several += len(contributions) > 1
            gradient = found["nodes"][each["node"]]["gradient"]
            assert total.tobytes() == array(gradient).tobytes()
    assert several == 2
    assert len(step(found, "backward", "x")["contributions"]) == 3


def test_a_product_with_itself_has_two_contributions() -> None:
    a = ag.Tensor(3.0, requires_grad=True, name="a")
    found = record(ag.trace(lambda: a * a))
    first, second = step(found, "backward", "a")["contributions"]
    assert [first["operand"], second["operand"]] == [0, 1]
    assert [first["value"]["data"], node(found, "a")["gradient"]["data"]] == [[3.0], [6.0]]


def test_large_arrays_are_shown_in_part_with_what_they_are_like() -> None:
    w = ag.Tensor(np.arange(60.0).reshape(2, 3, 10), requires_grad=True, name="w")
    found = record(ag.trace(lambda: np.sum(w * w)), most=30)
    data = node(found, "w")["value"]
    assert (data["head"]["rows"], data["head"]["columns"]) == (5, 5)
    assert data["head"]["data"] == w.data.reshape(6, 10)[:5, :5].ravel().tolist()
    assert data["stats"]["max"] == 59.0
    assert data["stats"]["zeros"] == 1
    assert "data" not in data


# ---- steps and formulas -------------------------------------------------------------------------


def test_steps_go_forward_in_order_of_calls_and_backward_from_the_cost() -> None:
    run, _ = network()
    found = record(run)
    phases = [each["phase"] for each in found["steps"]]
    assert phases == sorted(phases, reverse=True)
    done: set[int] = {each["id"] for each in found["nodes"] if not each["inputs"]}
    for each in found["steps"]:
        if each["phase"] == "forward":
            inputs = found["nodes"][each["node"]]["inputs"]
            assert {x for x in inputs if isinstance(x, int)} <= done
            done.add(each["node"])
    assert len(done) == len(found["nodes"])
    complete = []
    for each in found["steps"]:
        if each["phase"] == "backward":
            assert {x["through"] for x in each["contributions"]} <= {*complete}
            complete.append(each["node"])
    assert complete[0] == found["cost"]
    assert {x["id"] for x in found["nodes"] if x["gradient"]} == {*complete}


def test_formulas_are_written_with_references() -> None:
    run, _ = network()
    found = record(run)
    assert text(found, step(found, "forward", "A1")["formula"]) == "tanh(Z1)"
    (share,) = step(found, "backward", "Z1")["contributions"]
    assert text(found, share["formula"]) == "dA1 (.) (1 - A1^2)"
    assert text(found, share["local"]) == "1 - A1^2"
    assert found["nodes"][share["upstream"]["node"]]["name"] == "A1"
    expected = 1 - np.square(run["A1"].array)
    np.testing.assert_array_equal(array(share["local_value"]), expected)
    assert node(found, "A1")["source"]["text"] == "A1 = activation(Z1)"
    assert node(found, "A1")["source"]["place"].startswith("networks.py:")


def test_what_does_not_lead_to_the_cost_is_left_out() -> None:
    w = ag.Tensor(2.0, requires_grad=True, name="w")
    with ag.trace() as run:
        aside = np.exp(w)
        loss = w * 3.0
        loss.backward()
    run.name({"aside": aside, "loss": loss})
    found = record(run)
    assert [each["name"] for each in found["nodes"]] == ["w", "loss"]
    assert found["nodes"][1]["inputs"] == [0, {"number": "3.0"}]
    assert {box["node"] for box in found["graph"]["boxes"]} == {0, 1}


def test_every_node_has_a_box_inside_the_picture() -> None:
    run, _ = network()
    found = record(run)
    graph = found["graph"]
    assert sorted(box["node"] for box in graph["boxes"]) == [x["id"] for x in found["nodes"]]
    for box in graph["boxes"]:
        assert 0 <= box["x"] <= box["x"] + box["width"] <= graph["width"]
        assert 0 <= box["y"] <= box["y"] + box["height"] <= graph["height"]
    inputs = [(x, each["id"]) for each in found["nodes"] for x in each["inputs"]]
    arrows = [(arrow["from"], arrow["to"]) for arrow in graph["arrows"]]
    assert sorted(arrows) == sorted(pair for pair in inputs if isinstance(pair[0], int))


def test_a_run_with_moved_entries_and_other_dtypes_is_recorded() -> None:
    x = ag.Tensor(np.arange(6.0).reshape(2, 3) + 1, requires_grad=True, name="x")
    with ag.trace() as run:
        a = np.hstack([np.ones((2, 1)), x])  # the bias unit of the course
        b = np.reshape(a, (2, 4)).astype(np.float32)
        np.sum(np.prod(b, axis=1) * np.ravel(np.ravel(b)[:2])).backward()
    found = record(run)
    (share,) = step(found, "backward", "x")["contributions"]
    assert share["local"] is None
    assert array(node(found, "x")["gradient"]).tobytes() == run[x].gradient.array.tobytes()


def test_a_gradient_that_a_cost_was_computed_from_is_a_part_of_the_page() -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        y = np.sum(w**3)
        (g,) = ag.gradients(y, [w], create_graph=True)
        z = np.sum(g * g)
        z.backward()
    run.name({"y": y, "g": g, "z": z})
    found = record(run)
    assert found["nodes"][found["cost"]]["name"] == "z"
    assert node(found, "g")["inputs"]
    np.testing.assert_allclose(array(node(found, "g")["gradient"]), 2 * g.data)
    np.testing.assert_allclose(array(node(found, "w")["gradient"]), 36 * w.data**3)
    assert {box["node"] for box in found["graph"]["boxes"]} == {x["id"] for x in found["nodes"]}
    assert all(each["name"] != "y" for each in found["nodes"])  # z does not come from y's value


def test_of_two_steps_of_training_the_last_cost_has_its_own_gradients_alone() -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        for _ in range(2):
            J = np.sum(w * w)
            (g,) = ag.gradients(J, [w])
            with ag.no_grad():
                w -= 0.1 * g
    found = record(run)
    gradients = {x["name"]: x["gradient"] and x["gradient"]["data"] for x in found["nodes"]}
    assert gradients["w"] is None  # it has one, but of the first cost
    assert gradients["w_2"] == [1.6, 3.2]
    assert gradients["cost"] == [1.0]


def test_a_run_that_goes_backward_once_more_for_a_comparison_keeps_all_gradients() -> None:
    run, v = network()
    ag.check.compare(v["J"], by_hand(v), v)
    complete = {x["name"] for x in record(run)["nodes"] if x["gradient"]}
    assert complete >= {"W1", "b1", "W2", "Z1", "A1", "Z2", "A2", "J"}
    w = ag.Tensor(2.0, requires_grad=True, name="w")
    b = ag.Tensor(1.0, requires_grad=True, name="b")
    with ag.trace() as run:
        z = w * 3.0
        J = z * z + b
        ag.gradients(J, [b])
    run.name({"z": z, "J": J})
    found = record(run, {"dz": np.array(12.0)})
    assert {x["name"] for x in found["nodes"] if x["gradient"]} >= {"b", "z", "J"}
    assert found["manual"]["lines"][0]["verdict"] == "right"


def test_the_last_cost_may_be_given_a_gradient_of_any_shape() -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        a = w * w
        a.backward(np.array([1.0, 10.0]))
    run.name({"a": a})
    found = record(run)
    assert node(found, "a")["gradient"]["data"] == [1.0, 10.0]
    assert node(found, "w")["gradient"]["data"] == [2.0, 40.0]


def test_names_that_are_no_words_are_multiplied_with_a_sign() -> None:
    net = nn.Sequential(nn.Linear(2, 2, rng=np.random.default_rng(0)))
    x = np.ones((1, 2))
    with ag.trace() as run:
        np.sum(net(x)).backward()
    run.name({"x": x})
    labels = [each["label"] for each in record(run)["nodes"]]
    assert any("x * 0.weight^T + 0.bias" in label for label in labels)
    run, _ = network()
    assert "u2 = W2 A1" in [each["label"] for each in record(run)["nodes"]]


# ---- which entries ------------------------------------------------------------------------------


def moved(f: Callable[..., Any], arrays: list[Any], i: int) -> list[set[Any]]:
    """For each entry of ``f``, the places in ``arrays[i]`` by which it moves."""
    before = np.ravel(f(*arrays))
    found: list[set[Any]] = [set() for _ in before]
    for place in range(arrays[i].size):
        nudged = [x.copy() for x in arrays]
        nudged[i].flat[place] += 100  # enough to become the largest
        with np.errstate(all="ignore"):
            after = np.ravel(f(*nudged))
        for at in np.flatnonzero(~(np.abs(after - before) <= 1e-9)):
            found[at].add(place)
    return found


def said(read: Read, shape: tuple[int, ...]) -> list[set[int]]:
    """For each entry of a result, the places that a read names."""
    if read.places is not None:
        return [{int(place) for place in row if place >= 0} for row in read.places]
    own = read.value.shape
    found = []
    for at in np.ndindex(shape):
        pairs = zip(read.entries, own, strict=True)
        axes = [range(n) if b == "*" else [at[int(b)]] for b, n in pairs]
        found.append({int(np.ravel_multi_index(x, own)) if own else 0 for x in product(*axes)})
    return found


def test_the_entries_that_made_an_entry_of_a_gradient_are_those_that_move_it() -> None:
    run, _ = network()
    found = record(run)
    (share,) = step(found, "backward", "W1")["contributions"]
    g, x = share["reads"]
    assert share["form"] == "product"
    assert (g["of"], g["entries"], x["entries"]) == ("gradient", [0, "*"], [1, "*"])
    assert share["of_entry"] == "{<0> · <1>}"


TOKENS = np.array([2, 0, 2])
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "matmul": (lambda a, b: a @ b, [(3, 4), (4, 2)]),
    "squared matrix": (lambda a: a @ a, [(3, 3)]),
    "batched": (lambda a, b: a @ b, [(2, 3, 4), (4, 2)]),
    "add row": (lambda a, b: a + b, [(3, 4), (4,)]),
    "multiply column": (lambda a, b: a * b, [(3, 4), (3, 1)]),
    "square": (lambda a: a**2, [(3, 3)]),
    "transpose": (lambda a: np.transpose(a), [(3, 3)]),
    "axes": (lambda a: np.transpose(a, (2, 0, 1)), [(2, 2, 2)]),
    "sum": (lambda a: np.sum(a, axis=1), [(3, 3)]),
    "sum keeps": (lambda a: np.sum(a, axis=0, keepdims=True), [(3, 3)]),
    "mean": (lambda a: np.mean(a, axis=0), [(3, 4)]),
    "exp of a number": (lambda a: np.exp(a), [()]),
    "softmax": (lambda a: ag.softmax(a, axis=1), [(3, 4)]),
    "log_softmax": (lambda a: ag.log_softmax(a, axis=0), [(3, 4)]),
    "logsumexp": (lambda a: ag.logsumexp(a, axis=1), [(3, 4)]),
    "linear": (lambda x, w, b: nn.functional.linear(x, w, b), [(5, 3), (4, 3), (4,)]),
    "relu": (lambda a: ag.relu(a), [(4, 5)]),
    "cumsum": (lambda a: np.cumsum(a, axis=0), [(4, 3)]),
    "part": (lambda a: a[1:, ::2], [(4, 4)]),
    "row": (lambda a: a[1], [(3, 3)]),
    "last row": (lambda a: a[1:2], [(2, 3)]),
    "last column": (lambda a: a[:, 1:2], [(2, 2)]),
    "last of wide": (lambda a: a[1:2], [(2, 4)]),
    "nearly in order": (lambda a: a[[0, 1, 2, 3, 4, 5, 7, 6]], [(8, 2)]),
    "square nearly in order": (lambda a: a[[0, 1, 3, 2]], [(4, 4)]),
    "tokens": (lambda a: a[TOKENS], [(3, 3)]),
    "turned": (lambda a: a[::-1], [(4, 2)]),
    "rolled": (lambda a: np.roll(a, 1, axis=0), [(4, 3)]),
    "joined": (lambda a, b: np.concatenate([a, b]), [(3, 2), (3, 2)]),
    "ones beside": (lambda a: np.hstack([np.ones((3, 1)), a]), [(3, 3)]),
    "flat": (lambda a: np.reshape(a, (9,)), [(3, 3)]),
    "same shape": (lambda a: np.reshape(a, (3, 3)), [(3, 3)]),
    "product of all": (lambda a: np.prod(a, axis=1), [(3, 3)]),
    "diagonal": (lambda a: np.diag(a), [(4, 4)]),
    "padded": (lambda a: np.pad(a, 1), [(2, 3)]),
    "tiled": (lambda a: np.tile(a, (2, 2)), [(2, 3)]),
    "maximum": (lambda a: np.max(a, axis=1), [(3, 4)]),
    "outer": (lambda a, b: np.outer(a, b), [(3,), (3,)]),
    "convolution": (
        lambda x, w, b: nn.functional.conv2d(x, w, b),
        [(1, 1, 4, 4), (2, 1, 2, 2), (2,)],
    ),
}


def run_of(name: str, rng: np.random.Generator) -> tuple[Trace, list[ag.Tensor]]:
    """The run of one of the functions, and what it was called on."""
    function, shapes = FUNCTIONS[name]
    tensors = [ag.Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]
    with ag.trace() as run:
        y = function(*tensors)
        np.sum(y * np.asarray(rng.normal(size=y.shape))).backward()
    return run, tensors


@pytest.mark.parametrize("name", FUNCTIONS)
def test_exactly_the_entries_are_marked_that_matter(rng: np.random.Generator, name: str) -> None:
    run, _ = run_of(name, rng)
    for call in run.forward:
        found = reads_of_call(call)
        floats = [i for i, read in enumerate(found.reads) if read.value.dtype.kind == "f"]
        places = [i for i, x in enumerate(call.operands) if isinstance(x, Value)]

        def again(*arrays: Any, call: Call = call, places: list[int] = places) -> Any:
            operands = list(call.operands)
            for place, array in zip(places, arrays, strict=True):
                operands[place] = array
            return call.run(*operands)

        arrays = [read.value.array for read in found.reads]
        for i in floats if found.form != "elementwise" else ():
            assert found.reads[i].exact
            assert said(found.reads[i], call.output.shape) == moved(again, arrays, i), call


@pytest.mark.parametrize("name", FUNCTIONS)
def test_exactly_the_entries_are_marked_that_matter_to_a_share_of_a_gradient(
    rng: np.random.Generator, name: str
) -> None:
    run, _ = run_of(name, rng)
    for share in run.pulls:
        found = reads_of_share(share)
        values = [read.value for read in found.reads]
        assert values[0] is share.call.output.gradient

        def rule(*arrays: Any, share: Any = share, values: list[Value] = values) -> Any:
            known = dict(zip(values, arrays, strict=True))
            for call in share.calls:
                known[call.output] = call.run(
                    *[known.get(x, getattr(x, "array", x)) for x in call.operands]
                )
            return np.asarray(known.get(share.result, share.result.array))

        arrays = [value.array for value in values]
        for i, read in enumerate(found.reads):
            if read.value.dtype.kind != "f" or found.form == "elementwise":
                continue
            claimed, needed = said(read, share.result.shape), moved(rule, arrays, i)
            if share.call.primitive.name == "max":  # compares: which entries matter is not certain
                assert all(x >= y for x, y in zip(claimed, needed, strict=True))
            else:
                assert read.exact
                assert claimed == needed, (share, i)


@pytest.mark.parametrize("shape", [(4, 5), (2, 8), (5, 1), (4,)])
def test_what_works_entry_by_entry_reads_the_entries_at_its_own_place(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> None:
    z = ag.Tensor(rng.normal(size=shape), requires_grad=True)
    for function in (ag.relu, np.abs, lambda x: np.where(z.data > 0, x, 0.1 * x)):
        with ag.trace() as run:
            np.sum(function(z)).backward()
        for found in (reads_of_call(run.forward[-2]), reads_of_share(run[z].shares[0])):
            assert found.form == "elementwise"
            for read in found.reads:
                if read.value.shape == shape:
                    assert said(read, shape) == [{i} for i in range(z.size)]


def test_what_is_only_compared_is_said_to_be_among_the_marked(rng: np.random.Generator) -> None:
    x = ag.Tensor(rng.normal(size=(1, 1, 4, 4)), requires_grad=True)
    with ag.trace() as run:
        np.sum(nn.functional.max_pool2d(x, 2)).backward()
    (share,) = run[x].shares
    window = said(Read(share.operand, (ALL, ALL, ALL, ALL)), x.shape)
    for read in reads_of_share(share).reads:
        if read.value is run[x]:
            assert not read.exact
            assert said(read, x.shape) == window
    (forward,) = reads_of_call(run.forward[0]).reads
    assert said(forward, (1, 1, 2, 2)) == [
        {0, 1, 4, 5},
        {2, 3, 6, 7},
        {8, 9, 12, 13},
        {10, 11, 14, 15},
    ]


EXPECTED = {
    "matmul": ("product", "{<0> · <1>}"),
    "linear": ("product", "{<0> · <1>} + {<2>}"),
    "convolution": ("product", "{<0> · <1>} + {<2>}"),
    "sum": ("sum", "{<0>}"),
    "cumsum": ("sum", "{<0>}"),
    "softmax": ("softmax", "exp([0]) / ({exp(<0>)})"),
    "log_softmax": ("log_softmax", "[0] - log({exp(<0>)})"),
    "logsumexp": ("logsumexp", "log({exp(<0>)})"),
    "last row": ("copy", "{<0>}"),
    "tokens": ("copy", "{<0>}"),
    "ones beside": ("copy", "{<0>} + {<1>}"),
    "flat": ("copy", "{<0>}"),
    "same shape": ("elementwise", ""),
    "relu": ("elementwise", ""),
    "maximum": ("other", ""),
}
EXPECTED_OF_SHARES = {
    "linear": ("product", "{<0> · <1>}"),
    "softmax": ("softmax gradient", "[1] · ([0] - ({<0> · <1>}))"),
    "log_softmax": ("log_softmax gradient", "[0] - exp([1]) · ({<0>})"),
    "convolution": ("product", "{<0> · <1>}"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_formula_of_an_entry_is_found_where_there_is_one(
    rng: np.random.Generator, name: str
) -> None:
    run, tensors = run_of(name, rng)
    assert EXPECTED[name] in [reads_of_call(call)[:2] for call in run.forward]
    if name in EXPECTED_OF_SHARES:
        shares = [reads_of_share(share)[:2] for x in tensors[-2:] for share in run[x].shares]
        assert EXPECTED_OF_SHARES[name] in shares


def test_a_constant_in_front_of_a_sum_is_part_of_the_formula() -> None:
    @ag.primitive("f($x)", x=lambda g: g)
    def third(x: Any) -> Any:
        return np.sum(x, axis=0) / 3

    run = ag.trace(lambda: third(ag.Tensor(np.ones((3, 2)), requires_grad=True)))
    assert reads_of_call(run.calls[0])[:2] == ("sum", "0.3333 · ({<0>})")


def test_a_formula_that_holds_only_for_some_numbers_is_not_taken(rng: np.random.Generator) -> None:
    for norm in (lambda x: np.sum(np.abs(x), axis=0), lambda x: np.maximum(x, -0.1).sum(axis=0)):

        @ag.primitive("f($x)", x=lambda g: g)
        def f(x: Any, norm: Any = norm) -> Any:
            return norm(x)

        run = ag.trace(lambda: f(ag.Tensor(rng.normal(size=(5, 2)), requires_grad=True)))
        found = reads_of_call(run.calls[0])
        assert (found.form, found.reads[0].entries) == ("other", ("*", 0))


def test_a_formula_of_large_arrays_is_checked_in_part(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(forms, "TERMS", 12)
    run, _ = run_of("matmul", rng)
    assert reads_of_call(run.forward[0]).form == "product"


def test_what_is_too_large_to_be_tried_as_a_whole_is_said_to_be_among_the_marked(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    run, tensors = run_of("maximum", rng)
    monkeypatch.setattr(entries, "ALL_TRIED", 10)
    (read,) = reads_of_call(run[tensors[0]].shares[0].call).reads
    assert (read.entries, read.exact) == ((0, "*"), False)
    monkeypatch.setattr(entries, "MOST_PAIRS", 1)
    monkeypatch.setattr(entries, "ALL_TRIED", 500)
    run, _ = run_of("cumsum", rng)
    (read,) = reads_of_call(run.forward[0]).reads
    assert (read.entries, read.exact) == (("*", 1), False)


def test_forms_say_how_an_entry_was_made() -> None:
    run, _ = network()
    found = record(run)
    seen = set()
    for each in found["steps"]:
        for made in each.get("contributions", [each] if each["phase"] == "forward" else []):
            value = array(made.get("value") or found["nodes"][each["node"]]["value"])
            reads = [
                (array(found["nodes"][r["node"]][r["of"]]), r["entries"]) for r in made["reads"]
            ]
            seen.add(made["form"])
            for at in np.ndindex(value.shape):
                taken = [
                    x[tuple(slice(None) if b == "*" else at[b] for b in e)].ravel()
                    for x, e in reads
                ]
                if made["form"] == "product":
                    assert np.sum(taken[0] * taken[1]) == pytest.approx(value[at])
                elif made["form"] in ("sum", "copy"):
                    assert np.sum(taken[0]) == pytest.approx(value[at])
                else:
                    assert made["form"] == "elementwise"
                    assert all(len(x) == 1 for x in taken)
    assert seen == {"product", "sum", "copy", "elementwise"}


def test_probing_takes_a_few_calls_of_each_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(
        nn.Linear(784, 128, rng=np.random.default_rng(0)),
        nn.ReLU(),
        nn.Linear(128, 10, rng=np.random.default_rng(1)),
    )
    rng = np.random.default_rng(2)
    X, labels = rng.normal(size=(32, 784)), rng.integers(0, 10, 32)
    run = ag.trace(lambda: nn.functional.cross_entropy(net(X), labels))
    run.differentiated()
    times, before = [0], Call.run

    def counted(self: Call, *arrays: Any) -> Any:
        times[0] += 1
        return before(self, *arrays)

    monkeypatch.setattr(Call, "run", counted)
    found = record(run)
    assert times[0] < 1500
    assert len(json.dumps(found)) < 500_000
    (share,) = step(found, "backward", "0.weight")["contributions"]
    assert (share["form"], [x["entries"] for x in share["reads"]]) == (
        "product",
        [["*", 0], ["*", 1]],
    )


def test_calls_too_large_to_be_run_again_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "LARGEST", 10)
    w = ag.Tensor(np.ones((3, 4)), requires_grad=True)
    run = ag.trace(lambda: np.exp(w).sum(axis=0))
    monkeypatch.setattr(Call, "run", None)
    assert reads_of_call(run.calls[0]).form == "elementwise"
    form, _, (read,) = reads_of_call(run.calls[1])
    assert (form, read.entries, read.exact) == ("other", ("*", "*"), False)


def test_an_op_that_refuses_other_numbers_is_not_probed() -> None:
    @ag.primitive("f($x)", x=lambda g: g)
    def choosy(x: Any) -> Any:
        if np.any(x != 1.0):
            raise ValueError("only ones")
        return x.copy()

    x = ag.Tensor(np.ones(3), requires_grad=True)
    form, _, (read,) = reads_of_call(ag.trace(lambda: choosy(x)).calls[0])
    assert (form, read.entries, read.exact) == ("other", ("*",), False)


def test_an_array_that_only_a_rule_knows_makes_the_form_other() -> None:
    a = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True, name="a")
    b = ag.Tensor([2.0, 0.5, 1.5], requires_grad=True, name="b")
    run = ag.trace(lambda: np.sum(a**b))
    cost, _ = run.differentiated()
    (share,) = run[b].shares
    reads = reads_of_share(share)
    shown = Page(run, cost, [x for x in run.values if x is not run[a]], 10)
    found = shown._reads(reads._replace(form="product"), share.result, share.call.output)
    assert len(found["reads"]) == len(reads.reads) - 1
    assert (found["form"], found["of_entry"]) == ("other", "")


# ---- unusual runs -------------------------------------------------------------------------------


def test_nan_and_infinity_are_shown_as_they_are() -> None:
    x = ag.Tensor([0.0, -1.0, *[2.0] * 20], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        run = ag.trace(lambda: np.sum(np.log(x)))
        found = record(run)
    json.dumps(found, allow_nan=False)
    logs = next(each for each in found["nodes"] if each["op"] == "log")
    assert logs["value"]["data"][:3] == ["-Infinity", "NaN", float(np.log(2.0))]
    assert logs["value"]["stats"]["nan"] == 2
    assert node(found, "x")["gradient"]["data"][:3] == ["Infinity", -1.0, 0.5]
    assert step(found, "forward", logs["name"])["reads"][0]["entries"] == [0]


def test_empty_arrays_bools_numbers_and_labels_are_shown() -> None:
    e = ag.Tensor(np.zeros((0, 3)), requires_grad=True, name="e")
    s = ag.Tensor(2.0, requires_grad=True, name="s")
    table = ag.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True, name="table")
    mask, index = np.array([True, False]), np.array([2, 0])
    with ag.trace() as run:
        J = np.sum(e * e) + s + np.sum(np.where(mask, table[index], 0.0))
    run.name({"mask": mask, "index": index, "J": J})
    found = record(run)
    assert node(found, "e")["value"] == {"shape": [0, 3], "dtype": "float64", "data": []}
    assert node(found, "mask")["value"]["data"] == [1, 0]
    assert node(found, "mask")["value"]["dtype"] == "bool"
    assert node(found, "index")["value"]["data"] == [2, 0]
    assert node(found, "s")["value"] == {"shape": [], "dtype": "float64", "data": [2.0]}
    assert node(found, "table")["gradient"]["data"] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def test_calls_of_one_module_are_told_apart() -> None:
    layer = nn.Linear(2, 2, rng=np.random.default_rng(0))
    run = ag.trace(lambda: np.sum(layer(np.tanh(layer(np.ones((1, 2)))))))
    run.name({"layer": layer})
    groups = [each["group"] for each in record(run)["nodes"] if each["op"]]
    assert groups == ["layer", "", "layer (call 2)", ""]


def test_a_run_without_a_backward_pass_goes_backward() -> None:
    run, _ = network(backward=False)
    there, _ = network()
    assert record(run) == record(there)


def test_only_what_leads_to_wrt_gets_gradients() -> None:
    run, _ = network(backward=False)
    assert node(record(run, wrt=["W2"]), "W2")["gradient"] is not None
    with pytest.raises(KeyError, match="W9 does not occur"):
        record(run, wrt=["W9"])


def test_what_cannot_be_differentiated_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to differentiate"):
        record(ag.trace(lambda: None))
    with pytest.raises(TypeError, match="takes a run or a cost, not int"):
        explore(1)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="has no history to go back through"):
        explore(ag.Tensor(1.0))
    with pytest.raises(ValueError, match="at least 1, not 0"):
        explore(network()[0], most=0)


def test_a_run_with_too_many_quantities_is_refused_with_the_counts() -> None:
    x = ag.Tensor(1.0, requires_grad=True)

    def chain() -> Any:
        y = x
        for _ in range(2500):
            y = np.sin(y)
        return y

    with pytest.raises(ValueError, match=r"has 2501 quantities .* at most 2000"):
        record(ag.trace(chain))


def test_a_run_whose_values_were_not_kept_is_refused() -> None:
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    J = np.sum((x + np.array([3.0, 4.0])) ** 2)
    run = Trace.of_graph(J)
    if all(value.kept for value in run.values):
        assert record(run)
    J = np.sum(x + np.array([3.0, 4.0]))
    with pytest.raises(ValueError, match="did not keep them: record the run with"):
        record(Trace.of_graph(J))


def test_unnamed_quantities_get_names_that_nobody_uses() -> None:
    u1 = ag.Tensor(2.0, requires_grad=True, name="u1")
    found = record(ag.trace(lambda: np.exp(np.sin(np.cos(u1)))))
    assert [each["name"] for each in found["nodes"]] == ["u1", "u2", "u3", "cost"]
    found = record(ag.trace(lambda: u1 * np.array(2.5)))
    assert [each["name"] for each in found["nodes"]] == ["u1", "2.5", "cost"]


# ---- gradients derived by hand ------------------------------------------------------------------


def test_hand_gradients_stand_beside_the_true_ones() -> None:
    run, v = network()
    hand = by_hand(v)
    found = record(run, hand)
    manual = found["manual"]
    assert manual["first_wrong"] == node(found, "Z1")["id"]
    assert "dZ1 is wrong" in manual["title"]
    verdicts = {line["name"]: line["verdict"] for line in manual["lines"]}
    assert verdicts == {"dZ2": "right", "dW2": "right", "dZ1": "wrong", "dW1": "follows"}
    wrong = manual["lines"][2]
    assert array(wrong["hand"]).tobytes() == hand["dZ1"].tobytes()
    true = run["Z1"].gradient.array
    off = np.abs(hand["dZ1"] - true)
    order = np.argsort(-off, axis=None, kind="stable")
    assert [x["at"] for x in wrong["worst"]] == np.argwhere(off >= 0)[order].tolist()
    assert [x["hand"] for x in wrong["worst"]] == hand["dZ1"].ravel()[order].tolist()
    assert [x["true"] for x in wrong["worst"]] == true.ravel()[order].tolist()
    assert wrong["wrong"] == [*range(20)]
    assert float(wrong["difference"]) == pytest.approx(off.max() / np.abs(true).max(), rel=0.05)
    assert any("A1" in sentence for sentence in wrong["sentences"])
    np.testing.assert_allclose(array(wrong["numerical"]), run["Z1"].gradient.array, rtol=1e-6)
    assert manual["lines"][3]["sentences"] == ["follows from dZ1"]
    json.dumps(found, allow_nan=False)


def test_only_entries_beyond_the_tolerance_of_the_comparison_are_wrong() -> None:
    run, v = network()
    hand = np.round(run["W1"].gradient.array, 4)
    hand[1, 0] *= -1
    found = record(run, ag.compare(v["J"], {"dW1": hand}, v, precision=5e-6))
    (line,) = found["manual"]["lines"]
    assert (line["verdict"], line["wrong"]) == ("wrong", [3])
    assert line["worst"][0]["at"] == [1, 0]


def test_wrong_entries_of_a_large_array_are_listed_with_their_numbers() -> None:
    w = ag.Tensor(np.arange(2500.0).reshape(50, 50), requires_grad=True, name="w")
    hand = 2 * w.data
    hand[40, 30] += 7
    hand[0, 3] -= 5
    (line,) = record(ag.trace(lambda: np.sum(w * w)), {"dw": hand})["manual"]["lines"]
    assert line["worst"] == [
        {"at": [40, 30], "hand": 4067.0, "true": 4060.0},
        {"at": [0, 3], "hand": 1.0, "true": 6.0},
    ]
    assert line["wrong"] == [3]
    assert line["sentences"] == ["is wrong in a way that no known mistake explains"]


def test_a_convention_is_named() -> None:
    run, v = network()
    dZ2 = v["A2"].data - v["Y"]
    hand = {"dZ2": dZ2, "dW2": dZ2 @ v["A1"].data.T / 5}
    first, second = record(run, ag.compare(v["J"], hand, v | {"m": 5}))["manual"]["lines"]
    assert (first["verdict"], first["words"]) == ("convention", "right, times m = 5")
    assert second["words"] == "right"
    brief = record(run, ag.compare(v["J"], hand, v | {"m": 5}, hint=0))["manual"]
    assert brief["lines"][0]["words"] == "right"


def test_the_true_gradient_stands_in_the_scale_of_the_one_by_hand() -> None:
    run, v = network()
    dZ2 = v["A2"].data - v["Y"]
    dZ1 = v["W2"].data.T @ dZ2 * (1 - v["A1"].data)
    hand = {"dZ2": dZ2, "dW2": dZ2 @ v["A1"].data.T / 5, "dZ1": dZ1}
    found = record(run, ag.compare(v["J"], hand, v | {"m": 5}))["manual"]["lines"]
    second, weights, first = found
    for line, name in (second, "Z2"), (first, "Z1"):
        true = run[name].gradient.array * 5
        assert line["factor"] == "m = 5"
        np.testing.assert_allclose(array(line["true"]), true, rtol=1e-12)
        np.testing.assert_allclose(array(line["numerical"]), true, rtol=1e-6)
    worst = first["worst"][0]
    assert array(first["true"])[tuple(worst["at"])] == worst["true"]
    assert (weights["factor"], weights["true"]) == ("", None)
    for line in record(run, ag.compare(v["J"], hand, v | {"m": 5}, hint=0))["manual"]["lines"]:
        assert line["factor"] == ("" if line["name"] == "dW2" else "5")


def test_what_is_said_of_a_line_stands_at_the_line_alone() -> None:
    run, v = network()
    manual = record(run, by_hand(v) | {"dQ": np.ones(2)})["manual"]
    assert [note[:8] for note in manual["notes"]] == ["Ignored,"]


def test_a_gradient_by_hand_of_a_run_that_was_given_a_gradient_is_compared() -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        a = np.sum(w * w)
        a.backward(np.array(3.0))
    (line,) = record(run, {"dw": 6 * w.data})["manual"]["lines"]
    assert line["verdict"] == "right"
    np.testing.assert_allclose(array(line["numerical"]), 6 * w.data)


@pytest.mark.parametrize("manual", [[1], 3.0, "dW1"])
def test_gradients_by_hand_that_are_no_mapping_are_refused(manual: Any) -> None:
    with pytest.raises(TypeError, match="manual is a mapping such as"):
        record(network()[0], manual)


def test_a_comparison_shows_the_same_as_its_hand_gradients() -> None:
    _, v = network()
    comparison = ag.compare(v["J"], by_hand(v), v)
    other, same = (record(network()[0], x)["manual"] for x in (comparison, by_hand(v)))
    for ours, theirs in zip(other["lines"], same["lines"], strict=True):
        assert [ours[key] for key in ("node", "name", "verdict", "hand")] == [
            theirs[key] for key in ("node", "name", "verdict", "hand")
        ]


def test_a_comparison_of_other_data_is_refused() -> None:
    _, v = network()
    comparison = ag.compare(v["J"], by_hand(v), v)
    single, _ = network(np.float32)
    assert record(single, comparison)["manual"]  # the same but for rounding
    w = ag.Tensor(1.0, requires_grad=True, name="Z1")
    with pytest.raises(ValueError, match="this run has no gradient of that name"):
        record(ag.trace(lambda: w * w), comparison)
    Z1, Z2, W2, W1 = (ag.Tensor(np.ones((1, 1)), True, name=n) for n in ("Z1", "Z2", "W2", "W1"))
    with pytest.raises(ValueError, match="compare and explore must be given the same data"):
        record(ag.trace(lambda: np.sum(Z1 * Z2 * W2 * W1)), comparison)


def test_hand_gradients_of_another_shape_or_with_nan_are_shown() -> None:
    run, v = network()
    hand = by_hand(v)
    found = record(run, {"dZ1": hand["dZ1"][:, :2], "dW2": np.full((1, 4), np.nan)})
    lines = {line["name"]: line for line in found["manual"]["lines"]}
    assert lines["dZ1"]["hand"]["shape"] == [4, 2]
    assert lines["dW2"]["hand"]["data"] == ["NaN"] * 4
    assert lines["dW2"]["difference"] == "nan"
    assert lines["dZ1"]["worst"] == lines["dW2"]["worst"] == lines["dZ1"]["wrong"] == []
    assert lines["dW2"]["wrong"] == [0, 1, 2, 3]
    json.dumps(found, allow_nan=False)


def test_large_gradients_are_not_computed_numerically() -> None:
    w = ag.Tensor(np.ones(65), requires_grad=True, name="w")
    found = record(ag.trace(lambda: np.sum(w * w)), {"dw": 2 * w.data})
    assert found["manual"]["lines"][0]["numerical"] is None
    assert found["manual"]["first_wrong"] is None


def test_nothing_to_compare_is_an_error() -> None:
    run, _ = network()
    with pytest.raises(ValueError, match="there is no gradient to compare"):
        record(run, {"dQ": np.ones(2)})
    x = ag.Tensor(-1.0, requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        run = ag.trace(lambda: np.log(x))
    with pytest.raises(ValueError, match="the cost is nan"):
        record(run, {"dx": 1.0})


# ---- the page -----------------------------------------------------------------------------------


def parts(html: str) -> tuple[str, str, str, str]:
    """The policy, the style, the data and the script of a page."""
    found = re.fullmatch(
        r'.*<meta http-equiv="Content-Security-Policy" content="([^"]*)">.*<style>(.*)</style>.*'
        r'<script type="application/json" id="record">(.*)</script>\s*<script>(.*)</script>.*',
        html,
        re.DOTALL,
    )
    assert found
    policy, style, data, script = found.groups()
    return policy, style, data, script


def test_the_page_is_one_file_with_the_record_in_it(tmp_path: Path) -> None:
    run, v = network()
    written = explore(run, by_hand(v), tmp_path / "page.html")
    assert [*tmp_path.iterdir()] == [written]
    policy, style, data, script = parts(written.read_text(encoding="utf-8"))
    assert json.loads(data) == record(run, by_hand(v))
    for name, content in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert written.stat().st_size - len(data) < 300_000


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    pages = []
    for which in range(2):
        run, v = network()
        pages.append(explore(run, by_hand(v), tmp_path / f"{which}.html").read_bytes())
    assert pages[0] == pages[1]
    run, v = network()
    assert explore(run, by_hand(v), tmp_path / "a.html").read_bytes() == pages[0]
    assert explore(run, by_hand(v), tmp_path / "b.HTM").read_bytes() == pages[0]


def test_nothing_in_the_page_is_fetched() -> None:
    run, v = network()
    html = page(record(run, by_hand(v)))
    allowed = "http://www.w3.org/2000/svg"  # the name of SVG's elements, no address
    assert not re.search(r"https?://", html.replace(allowed, ""))
    assert not re.search(r"""(src|href)\s*=\s*["'](?![#"'])""", html)
    assert "@import" not in html
    assert "url(" not in html


def test_names_of_any_kind_stay_text(tmp_path: Path) -> None:
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with ag.trace() as run:
        values = [x]
        for _ in NAMES:
            values.append(np.sin(values[-1]))
        np.sum(values[-1]).backward()
    run.name(dict(zip(NAMES, values, strict=False)))
    html = explore(run, path=tmp_path / "page.html").read_bytes().decode()
    _, _, data, script = parts(html)
    assert not set("<>&\u2028\u2029") & set(data)
    assert html.count("<script") == 2 + script.count("<script")
    found = json.loads(data)
    for each in found["nodes"]:
        assert each["name"].isprintable()
        assert len(each["name"]) <= 200
    plain, _ = network()
    names = ["</script><script>alert(1)</script>", "<!--", "\ue0000\ue001", "/* page.js */"]
    for value, name in zip(plain.values, names, strict=False):
        value.name = name
    html = page(record(plain))
    assert "alert(1)" in html
    assert "</script><script>alert" not in html
    shown = {each["name"] for each in json.loads(parts(html)[2])["nodes"]}
    assert {names[0], "<!--", "/* page.js */"} <= shown


def test_a_page_that_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = explore(network()[0], path=tmp_path / "page.html")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        explore(network()[0], path=path)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
    with pytest.raises(OSError, match="No such file or directory"):
        explore(network()[0], path=tmp_path / "missing" / "page.html")


def test_only_a_page_or_an_empty_file_is_replaced(tmp_path: Path) -> None:
    run, _ = network()
    report = tmp_path / "report.html"
    report.write_text("<!doctype html><title>My own work</title>")
    with pytest.raises(FileExistsError, match="is no page that explore wrote: remove it, or give"):
        explore(run, path=report)
    assert "My own work" in report.read_text()
    empty = tmp_path / "empty.htm"
    empty.touch()
    first = explore(run, path=empty).read_bytes()
    assert explore(run, path=empty).read_bytes() == first
    for name in ("page.txt", "page", "page.html.gz"):
        with pytest.raises(ValueError, match=r"a page is a file that ends in \.html"):
            explore(run, path=tmp_path / name)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        explore(run, path=tmp_path / "folder.html")


def test_making_a_page_changes_nothing() -> None:
    run, _ = network()
    before = [(value.array.tobytes(), value.name) for value in run.values]
    calls = len(run.calls)
    record(run)
    assert [(value.array.tobytes(), value.name) for value in run.values] == before
    assert len(run.calls) == calls
    assert all(isinstance(value, Value) for value in run.values)
