"""The record of a run, and debug, which listens in the same way."""

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.core import ops
from autograd_mini.trace import array_of, origins


def network():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(3, 5)), (rng.random((1, 5)) > 0.5) * 1.0
    W1 = ag.Tensor(rng.normal(size=(4, 3)), requires_grad=True, name="W1")
    b1 = ag.Tensor(np.zeros((4, 1)), requires_grad=True)
    W2 = ag.Tensor(rng.normal(size=(1, 4)), requires_grad=True)
    return X, Y, W1, b1, W2


def test_a_run_lists_its_calls_in_order_with_operands_names_and_lines():
    X, _Y, W1, b1, _W2 = network()
    with ag.trace() as run:
        Z1 = W1 @ X + b1
        A1 = np.tanh(Z1)
    run.name(locals())
    assert [call.primitive.name for call in run.calls] == ["matmul", "add", "tanh"]
    product, total, last = run.calls
    assert [value.name for value in product.operands] == ["W1", "X"]
    assert [value.kind for value in product.operands] == ["parameter", "input"]
    assert total.operands[0] is product.output
    assert (total.output.name, last.output.name) == ("Z1", "A1")
    assert last.output.call is last
    np.testing.assert_array_equal(run["A1"].array, A1.data)
    assert last.source.text == "A1 = np.tanh(Z1)"
    assert last.source.file == __file__
    assert run[A1] is run["A1"]


def test_a_run_holds_the_calls_of_each_rule_and_which_call_they_differentiate():
    X, Y, W1, b1, W2 = network()
    with ag.trace() as run:
        Z1 = W1 @ X + b1
        A1 = np.tanh(Z1)
        A2 = ag.sigmoid(W2 @ A1)
        J = np.mean((A2 - Y) ** 2)
        J.backward()
    run.name(locals())
    (tanh,) = [call for call in run.forward if call.primitive is ops.tanh]
    text = [call for call in run.backward if call.pull and call.pull.call is tanh]
    assert [call.primitive.name for call in text] == ["square", "subtract", "multiply"]
    assert text[-1].output is run["Z1"].gradient  # g * (1 - y^2)
    assert {call.source for call in text} == {tanh.source}
    np.testing.assert_array_equal(run["W1"].gradient.array, W1.grad.data)
    assert run["X"].gradient is None
    assert "dZ1 = multiply(dA1, " in str(run)


def test_tracing_changes_no_bit_of_values_and_gradients():
    def gradients(tracing):
        X, Y, W1, b1, W2 = network()

        def step():
            J = np.mean((ag.sigmoid(W2 @ np.tanh(W1 @ X + b1)) - Y) ** 2)
            J.backward()
            return J

        J = ag.trace(step).result if tracing else step()
        return [J.data.tobytes()] + [t.grad.data.tobytes() for t in (W1, b1, W2)]

    assert gradients(tracing=True) == gradients(tracing=False)


def test_a_function_can_be_run_and_recorded_at_once():
    run = ag.trace(lambda x, power: x**power, ag.Tensor(2.0), power=3.0)
    assert float(run.result) == 8.0
    assert [call.primitive.name for call in run.calls] == ["power"]
    assert run.calls[0].operands[1] == 3.0


def test_calls_under_no_grad_are_recorded_too():
    w = ag.Tensor(2.0, requires_grad=True)
    with ag.trace() as run, ag.no_grad():
        w * 3.0
    assert [call.primitive.name for call in run.forward] == ["multiply"]


def test_values_stay_what_they_were_when_weights_are_updated_later():
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        view = w.reshape((2, 1))
        np.sum(view * 2.0).backward()
        with ag.no_grad():
            w -= w.grad
        after = w * 1.0
    w.data[:] = 100.0
    old = run["w"]
    np.testing.assert_array_equal(old.array, [1.0, 2.0])
    np.testing.assert_array_equal(old.gradient.array, [2.0, 2.0])
    np.testing.assert_array_equal(run[view].array, [[1.0], [2.0]])
    (update,) = [call for call in run.forward if call.primitive is ops.subtract]
    assert update.operands[0] is old
    np.testing.assert_array_equal(update.output.array, [-1.0, 0.0])
    assert run.calls[-1].operands[0] is update.output
    np.testing.assert_array_equal(run[after].array, [-1.0, 0.0])


def test_a_raw_write_between_two_uses_gives_a_new_value():
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        w * 2.0
        w.data[0] = 5.0
        w * 3.0
    first, second = [call.operands[0] for call in run.calls]
    np.testing.assert_array_equal(first.array, [1.0, 2.0])
    np.testing.assert_array_equal(second.array, [5.0, 2.0])


def test_the_first_name_wins_and_strangers_are_passed_over():
    x = ag.Tensor([1.0])
    alias = x
    run = ag.trace(lambda: x * 2.0)
    run.name({"x": x, "alias": alias, "stranger": np.ones(3), "text": "no array"})
    assert run["x"].name == "x"
    with pytest.raises(KeyError, match="alias does not occur in this run; the names in it are: x"):
        run["alias"]
    with pytest.raises(KeyError, match="does not occur"):
        run[np.ones(3)]


def test_a_rule_of_an_op_recorded_before_the_run_is_recorded_without_its_call():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(np.exp(x))
    with ag.trace() as run:
        y.backward()
    assert run.forward == []
    assert {call.pull for call in run.backward} == {None}
    np.testing.assert_array_equal(x.grad.data, np.exp(x.data))


def test_runs_can_be_nested():
    x = ag.Tensor([1.0])
    with ag.trace() as outer:
        x * 2.0
        with ag.trace() as inner:
            x * 3.0
    assert (len(outer.calls), len(inner.calls)) == (2, 1)


def test_a_failing_run_keeps_what_came_before_and_stops_listening():
    x = ag.Tensor(np.ones((2, 3)), name="x")
    run = ag.Trace()
    with run:
        y = x * 2.0
        with pytest.raises(ValueError, match="x of shape"):
            y @ x
    x * 3.0
    assert [call.primitive.name for call in run.calls] == ["multiply"]


def test_values_and_calls_say_what_they_are():
    x = ag.Tensor(np.ones((2, 3)), name="x")
    run = ag.trace(lambda: x * 2.0)
    assert repr(run.calls[0].operands[0]) == "<input x (2, 3) float64>"
    assert repr(run.calls[0]) == "<forward call of multiply -> <result (2, 3) float64>>"
    assert str(ag.Trace()) == ""


# ---- debug --------------------------------------------------------------------------------------


def test_debug_names_the_op_and_the_line_that_made_an_infinity():
    x = ag.Tensor([1.0, 0.0], requires_grad=True, name="x")
    with ag.debug(), np.errstate(divide="ignore"), pytest.raises(FloatingPointError) as error:
        np.log(x) + 1.0
    message = str(error.value)
    assert message.startswith(
        "log(x of shape (2,) float64) gave -inf in 1 of 2 elements, first at [1]"
    )
    assert message.endswith("np.log(x) + 1.0")
    assert "test_trace.py" in message


def test_debug_names_the_op_whose_derivative_made_an_infinity():
    x = ag.Tensor([1.0, 0.0], requires_grad=True)
    with ag.debug(), np.errstate(divide="ignore"):
        y = np.sum(np.sqrt(x))
        with pytest.raises(
            FloatingPointError,
            match=r"divide.*gave inf .* in the derivative of sqrt with respect to x, "
            r"recorded at test_trace.py:\d+: y = np.sum\(np.sqrt\(x\)\)",
        ):
            y.backward()
    assert x.grad is None


def test_debug_lets_infinities_pass_that_came_from_outside():
    x = ag.Tensor([1.0, -np.inf])
    with ag.debug():
        np.testing.assert_array_equal(np.exp(x).data, [np.e, 0.0])
        x + 1.0


def test_debug_finds_raw_writes_that_the_engine_cannot_see():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with ag.debug():
        y = np.sum(x * x)
        x.data[0] = 7.0
        with pytest.raises(RuntimeError, match=r"operand 0 of multiply, .* was changed in place"):
            y.backward()
        z = np.exp(x)
        z.data[0] = 7.0
        total = np.sum(z)
        with pytest.raises(RuntimeError, match="the output of exp"):
            total.backward()


def test_debug_has_nothing_against_a_right_training_step():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with ag.debug():
        for _ in range(3):
            x.grad = None
            np.sum(x**2).backward()
            with ag.no_grad():
                x -= 0.1 * x.grad
    np.testing.assert_allclose(x.data, [0.8**3, 2 * 0.8**3])


def test_debug_knows_nothing_of_what_was_recorded_before():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(x * x)
    with ag.debug():
        y.backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])


# ---- a run made from a graph ---------------------------------------------------------------------


def random_expression(seed):
    """A cost of random calls, and all tensors on the way to it."""
    rng = np.random.default_rng(seed)
    tensors = [ag.Tensor(rng.uniform(0.5, 1.5, (3, 3)), requires_grad=True) for _ in range(3)]
    unary = [np.tanh, np.exp, np.sin, np.square, np.transpose, ag.sigmoid, ag.relu, np.negative]
    unary += [lambda x: 1 - x, lambda x: x / 3, lambda x: 2 / (x * x + 1), lambda x: x + c]
    unary += [lambda x: np.concatenate([c[:1], x[1:]]), lambda x: np.where(c > 1, x, c)]
    unary += [lambda x: x[::-1], lambda x: np.mean(x, axis=0, keepdims=True) + x, lambda x: c @ x]
    binary = [np.add, np.subtract, np.multiply, np.matmul, np.maximum]
    c = rng.uniform(0.5, 1.5, (3, 3))
    for _ in range(12):
        if rng.random() < 0.6:
            x = unary[rng.integers(len(unary))](tensors[rng.integers(len(tensors))])
        else:
            a, b = (tensors[i] for i in rng.integers(len(tensors), size=2))
            x = binary[rng.integers(len(binary))](a, b)
        tensors.append(np.tanh(x))
    return np.sum(sum(tensors[-4:])), tensors


@pytest.mark.parametrize("seed", range(30))
def test_a_run_of_a_graph_is_the_live_run(seed):
    with ag.trace() as live:
        J, tensors = random_expression(seed)
    with np.errstate(all="raise"):
        again = ag.Trace.of_graph(J)
    for tensor in [*tensors, J]:
        now = again.find(tensor)
        if now is None:  # the cost was not computed from it
            continue
        then = live[tensor]
        assert (then.kind, then.shape, then.dtype) == (now.kind, now.shape, now.dtype)
        if now.kept:
            np.testing.assert_array_equal(now.array, then.array)
        if then.call:
            assert now.call.primitive is then.call.primitive
            assert now.call.statics == then.call.statics
            for a, b in zip(then.call.operands, now.call.operands, strict=True):
                if getattr(b, "kept", True):  # what it says is true
                    np.testing.assert_allclose(array_of(a), array_of(b), rtol=1e-12, atol=1e-13)
    assert len(again.forward) == len({*again.forward}) == len(again.calls)


@pytest.mark.parametrize("seed", range(30))
def test_shares_of_gradients_add_up_to_the_gradients(seed):
    J, tensors = random_expression(seed)
    run = ag.Trace.of_graph(J)
    used = [tensor for tensor in tensors if run.find(tensor)]
    with run:
        found = ag.gradients(J, used)
    for tensor, gradient in zip(used, found, strict=True):
        shares = [pull.result.array for pull in run.pulls if pull.operand is run[tensor]]
        assert shares
        np.testing.assert_allclose(sum(shares), gradient.data, rtol=1e-13, atol=1e-300)
        np.testing.assert_array_equal(run[tensor].gradient.array, gradient.data)


def composites():
    rng = np.random.default_rng(0)
    x, y = (ag.Tensor(rng.uniform(0.5, 1.5, (3, 4)), requires_grad=True) for _ in range(2))
    bias, labels = ag.Tensor(np.ones(3), requires_grad=True), np.array([0, 3, 1])
    return x, {
        "mean": lambda: np.mean(x, axis=0)[0] + 0.0,
        "var": lambda: np.sum(np.var(x, axis=1)),
        "einsum": lambda: np.einsum("ij,kj->", x, y),
        "stack": lambda: np.sum(np.stack([x, np.ones((3, 4)), y]) ** 2),
        "pad": lambda: np.sum(np.pad(x, 1) ** 3),
        "norm": lambda: np.linalg.norm(x - 1),
        "prod": lambda: np.prod(x),
        "log_softmax": lambda: -np.sum(ag.log_softmax(x)[np.arange(3), labels]),
        "cross-entropy": lambda: ag.nn.functional.cross_entropy(x, labels),
        "linear": lambda: np.sum(ag.nn.functional.linear(x, y, bias)),
        "clip": lambda: np.sum(np.clip(x, 0.7, 1.2)),
        "cumsum": lambda: np.sum(np.cumsum(x, axis=1) ** 2),
        "astype": lambda: np.sum(x.astype(np.float32)),
    }


@pytest.mark.parametrize("name", composites()[1])
def test_a_run_of_a_graph_knows_higher_level_functions(name):
    x, costs = composites()
    J = costs[name]()
    with ag.Trace.of_graph(J) as run:
        gradient = ag.gradients(J, x)
    assert run[J].array == J.data
    np.testing.assert_array_equal(run[x].gradient.array, gradient.data)
    shares = [pull.result.array for pull in run.pulls if pull.operand is run[x]]
    np.testing.assert_allclose(sum(shares), gradient.data, rtol=1e-12)
    live = ag.trace(costs[name])
    assert [call.primitive for call in run.forward] == [
        call.primitive for call in live.forward if differentiable(call)
    ]


def differentiable(call):
    """Whether a call is a part of a graph: some operand is computed from a parameter."""
    return any(
        getattr(x, "kind", "") == "parameter"
        or (getattr(x, "call", None) and differentiable(x.call))
        for x in call.operands
    )


def test_constants_that_no_rule_asks_for_are_recovered_from_the_results():
    A = ag.Tensor([[0.2, 0.5], [0.7, 0.9]], requires_grad=True)
    ones, c = np.ones((1, 2)), np.array([[3.0, 4.0], [5.0, 6.0]])
    for y, expected in [
        (1 - A, 1.0),
        (A + 2.5, 2.5),
        (c - A, c),
        (2 / A, 2.0),
        (c / A, c),
        (np.concatenate([ones, A]), ones),
        (np.where(c > 4, A, c), np.where(c > 4, 0, c)),  # what is not chosen makes no difference
    ]:
        run = ag.Trace.of_graph(np.sum(y**2))
        (call,) = [call for call in run.forward if call.output is run[y]]
        (constant,) = [
            x
            for x in call.operands
            if x is not run[A] and np.asarray(array_of(x)).dtype.kind == "f"
        ]
        np.testing.assert_allclose(getattr(constant, "array", constant), expected, rtol=1e-14)
        assert isinstance(constant, float) == isinstance(expected, float)
        np.testing.assert_allclose(call.run(*map(array_of, call.operands)), y.data, rtol=1e-14)


def test_what_nothing_tells_of_is_taken_as_zero_and_not_kept():
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    y = w + np.array([3.0, 4.0])
    J = np.sum(y)
    run = ag.Trace.of_graph(J)
    assert not run[y].kept
    assert run[w].kept
    assert run[J].kept
    assert float(run[J].array) == float(J.data) == 10.0
    np.testing.assert_array_equal(run[y].array, w.data)
    ten = np.concatenate([np.ones(2), w])
    total = ag.Trace.of_graph(np.sum(ten))
    assert not total[ten].kept
    np.testing.assert_array_equal(total[ten].array, [0.0, 0.0, 1.0, 2.0])


def test_a_leaf_whose_values_are_gone_is_not_kept():
    def cost():
        return np.sum(ag.Tensor([1.0, 2.0], requires_grad=True) * 3.0)

    J = cost()
    run = ag.Trace.of_graph(J)
    leaf, *_ = run.values
    assert (leaf.kind, leaf.shape, leaf.kept, leaf.changed) == ("parameter", (2,), False, False)
    assert [value.kept for value in run.values if value.call] == [False, True]
    assert float(run[J].array) == 9.0


def test_a_leaf_that_is_gone_is_known_from_what_a_rule_keeps():
    y = np.sum(ag.Tensor([1.0, 2.0], requires_grad=True, name="w") ** 2)
    run = ag.Trace.of_graph(y)
    (leaf,) = [value for value in run.values if value.kind == "parameter"]
    np.testing.assert_array_equal(leaf.array, [1.0, 2.0])


def test_a_run_of_what_was_not_recorded_is_an_error():
    with pytest.raises(RuntimeError):
        ag.Trace.of_graph(ag.Tensor([1.0]))


def test_a_run_of_a_graph_goes_on_recording_inside_of_a_with_statement():
    w = ag.Tensor(3.0, requires_grad=True, name="w")
    J = (w - 1.0) ** 2
    run = ag.Trace.of_graph(J)
    w * 5.0
    assert run.backward == []
    with run:
        J.backward()
    assert float(run["w"].gradient.array) == 4.0
    assert {call.phase for call in run.calls} == {"forward", "backward"}
    assert {call.source for call in run.forward} == {None}
    assert repr(run.pulls[-1]) == "<share of <parameter w () float64> through subtract>"
    assert run.pulls[-1].calls == []
    assert "dw = " in str(run)


def test_find_knows_tensors_by_their_node_too():
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    y = w * np.array([3.0, 4.0])
    run = ag.Trace.of_graph(np.sum(y))
    assert run.find(y) is run[y]
    assert run.find(ag.Tensor([1.0])) is None
    assert run.find("text") is None
    assert run.find(None) is None


def operands_kept(y, run):
    """Whether what a result was computed from is known; numbers are."""
    return [getattr(x, "kept", True) for x in run[y].call.operands]


def test_nothing_is_inferred_from_what_is_not_known_itself():
    w = ag.Tensor(3.0, requires_grad=True)
    y = w * 2.0 + 1.0
    z = y - 5.0
    run = ag.Trace.of_graph(z**2)
    assert operands_kept(y, run) == [True, False]
    assert operands_kept(z, run) == [False, False]
    assert run[z].kept


def test_what_makes_no_difference_to_the_result_is_not_known():
    A = ag.Tensor([0.2, 0.5], requires_grad=True)
    large = ag.Tensor(1e16, requires_grad=True)
    for y in (np.where(A.data > 0.3, A, 0.0), large + 1.0, np.where(A.data > 0, A, 7.0)):
        assert not operands_kept(y, ag.Trace.of_graph(np.sum(y**2)))[-1]


def test_constants_of_single_precision_are_recovered_too():
    A = ag.Tensor(np.float32([0.2, 0.5]), requires_grad=True)
    y = np.float32([3.0, 4.0]) - A
    run = ag.Trace.of_graph(np.sum(y**2))
    assert operands_kept(y, run) == [True, True]
    assert run[y].call.operands[0].dtype == np.float32
    np.testing.assert_allclose(run[y].call.operands[0].array, [3.0, 4.0], rtol=1e-6)


@pytest.mark.parametrize("update", ["data", "no_grad", "SGD"])
def test_a_parameter_that_was_updated_since_is_not_what_the_results_came_from(update):
    w = ag.Tensor(3.0, requires_grad=True)
    y = w * 2.0
    loss = y + 1.0
    loss.backward()
    if update == "data":
        w.data -= 0.1 * w.grad.data
    elif update == "no_grad":
        with ag.no_grad():
            w -= 0.1 * w.grad
    else:
        ag.optim.SGD([w], lr=0.1).step()
    run = ag.Trace.of_graph(loss)
    assert (run[w].kept, run[w].changed) == (False, True)
    assert (run[y].kept, run[loss].kept) == (False, True)
    assert operands_kept(loss, run) == [False, False]
    again = w * w
    assert ag.Trace.of_graph(again)[w].kept  # what comes after the update is not concerned


def test_an_input_that_was_written_since_is_not_what_the_results_came_from():
    w, x = ag.Tensor([1.0, 2.0], requires_grad=True), ag.Tensor([3.0, 4.0])
    y = w * x
    J = np.sum(y)
    x[0] = 5.0
    run = ag.Trace.of_graph(J)
    assert (run[x].kept, run[x].changed, run[y].kept) == (False, True, False)


@pytest.mark.parametrize("by", ["weight", "bias"])
def test_a_run_of_a_graph_knows_a_layer_of_which_a_part_is_constant(by):
    weight, bias = np.ones((2, 3)), np.ones(2)
    if by == "weight":
        weight = ag.Tensor(weight, requires_grad=True)
    else:
        bias = ag.Tensor(bias, requires_grad=True)
    J = np.sum(ag.nn.functional.linear(np.ones((4, 3)), weight, bias))
    assert ag.Trace.of_graph(J)[J].array == J.data


# ---- what a run is for --------------------------------------------------------------------------


def test_the_cost_of_a_run_is_what_was_differentiated_last():
    w = ag.Tensor(3.0, requires_grad=True)
    with ag.trace() as run:
        a = w * 2.0
        b = a * a
        assert run.cost is None
        b.backward()
        assert run.cost is run[b]
        a.backward()
    assert run.cost is run[a]
    assert run.cost.shares == []


def test_shares_are_those_of_the_latest_backward_pass():
    w = ag.Tensor(3.0, requires_grad=True)
    with ag.trace() as run:
        loss = w * w
        ag.gradients(loss, [w])
        first = run[w].shares
        ag.gradients(loss, [w])
    assert [share.position for share in first] == [share.position for share in run[w].shares]
    assert not {*first} & {*run[w].shares}
    assert sum(share.result.array for share in run[w].shares) == run[w].gradient.array == 6.0


def test_adding_to_a_gradient_that_is_there_already_is_no_part_of_the_computation():
    w = ag.Tensor(3.0, requires_grad=True)
    (w * w).backward()
    with ag.trace() as run:
        (w * w).backward()
    assert [call.primitive.name for call in run.forward] == ["multiply"]


def test_a_run_that_did_not_go_backward_is_differentiated_when_it_is_asked_for():
    w, v = (ag.Tensor(x, requires_grad=True, name=name) for x, name in ((3.0, "w"), (5.0, "v")))
    run = ag.trace(lambda: w * v + 1.0)
    cost, by = run.differentiated()
    assert cost.array == 16.0
    assert [(x.name, float(x.gradient.array)) for x in by] == [("w", 5.0), ("v", 3.0)]
    assert run.differentiated([v]) == (cost, [run["v"]])
    assert w.grad is None


def test_gradients_that_a_backward_pass_left_out_are_added():
    w, v = (ag.Tensor(x, requires_grad=True, name=name) for x, name in ((3.0, "w"), (5.0, "v")))
    with ag.trace() as run:
        a = w * v
        ag.gradients(a * a, [w])
    assert run["v"].gradient is None
    _, (by,) = run.differentiated(["v"])
    assert by.gradient.array == 2 * 15 * 3


def test_what_a_run_cannot_be_differentiated_by_is_said():
    w, x = ag.Tensor(3.0, requires_grad=True, name="w"), np.arange(3.0)
    with ag.trace() as run:
        y = w * x
        z = y.sum()
    with pytest.raises(ValueError, match="does not depend on x"):
        run.name({"x": x}).differentiated(["x"])
    with pytest.raises(KeyError, match="q does not occur in this run"):
        run.differentiated(["q"])
    del z
    with ag.trace() as run:
        w * x
    with pytest.raises(ValueError, match="no number that depends on a Tensor"):
        run.differentiated()


def test_numbers_among_the_variables_are_remembered():
    w = ag.Tensor(3.0, requires_grad=True)
    m, yes = 5, True
    run = ag.trace(lambda: w / m).name({"m": m, "yes": yes, "rate": 0.5, "text": "m"})
    assert run.numbers == {"m": 5, "rate": 0.5}


def test_a_run_of_a_graph_has_the_gradients_that_backward_left_if_asked_for():
    w = ag.Tensor(3.0, requires_grad=True)
    loss = w * w
    loss.backward()
    assert ag.Trace.of_graph(loss)[w].gradient is None
    assert ag.Trace.of_graph(loss, gradients=True)[w].gradient.array == 6.0


def test_the_rule_of_an_op_of_the_user_is_recorded_as_a_part_of_the_derivative():
    cube = ag.elementwise(lambda x: x**3, "$x^3", name="cube", x=lambda g, x: g * 3 * x**2)
    w = ag.Tensor(2.0, requires_grad=True)
    with ag.trace() as run:
        cube(w).backward()
    assert [call.primitive.name for call in run.forward] == ["cube"]
    (share,) = run[w].shares
    assert [call.primitive.name for call in share.calls] == ["multiply", "square", "multiply"]
    assert {call.source.file for call in run.calls} == {__file__}


# ---- modules ------------------------------------------------------------------------------------


def model_and_run():
    rng = np.random.default_rng(0)
    inner = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, rng=rng))
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), inner)
    with ag.trace() as run:
        y = model(rng.standard_normal((5, 3)))
        loss = (y * y).sum()
        loss.backward()
    return model, run


def test_calls_know_the_calls_of_modules_that_they_happened_in():
    _, run = model_and_run()
    assert [[scope.path for scope in call.scopes] for call in run.forward] == [
        ["", "0"],
        ["", "1", "1.0"],
        ["", "1", "1.1"],
        [],
        [],
    ]
    relu = run.forward[1].scopes
    assert [scope.name for scope in relu] == ["Sequential", "1", "0"]
    assert [scope.kind for scope in relu] == ["Sequential", "Sequential", "ReLU"]
    assert relu[2].parent is relu[1] is run.forward[2].scopes[1]
    for call in run.backward:
        assert call.pull is None or call.scopes == call.pull.call.scopes


def test_each_call_of_a_module_is_a_scope_of_its_own():
    layer = nn.ReLU()
    x = ag.Tensor([1.0], requires_grad=True)
    run = ag.trace(lambda: layer(layer(x)))
    first, second = (call.scopes for call in run.forward)
    assert first[0] is not second[0]


def test_names_of_tensors_beat_variables_and_these_beat_module_attributes():
    model, run = model_and_run()
    names = [value.name for value in run.values if value.kind == "parameter"]
    assert names == ["0.weight", "0.bias", "1.1.weight", "1.1.bias"]
    run.name({"W1": model[0].weight, "model": model})
    assert run[model[0].weight].name == "W1"
    assert run[model[0].bias].name == "0.bias"
    assert run.name({"other": model[0].weight})["W1"] is run[model[0].weight]
    assert run.forward[0].scopes[0].name == "model"
    model[0].weight.name = "own"
    assert ag.trace(lambda: model(np.ones((1, 3))))["own"].array is not None


def test_observers_hear_of_modules_being_entered_and_left_even_if_they_fail(listener):
    model, _ = model_and_run()
    with ag.core.graph.listen(observer=listener), pytest.raises(ValueError, match="last axis"):
        model(np.ones((5, 7)))
    assert listener.entered == [model, model[0]]
    assert listener.left == 2
    with ag.debug():
        model(np.ones((5, 3)))


# ---- failure ------------------------------------------------------------------------------------


def failed(function, *args):
    with pytest.raises(ValueError), ag.trace() as run:  # noqa: PT011 - what is said is looked at
        function(*args)
    return run.failure


def test_a_failing_run_knows_the_call_that_failed_its_operands_and_the_line():
    W = ag.Tensor(np.ones((3, 4)), requires_grad=True, name="W")
    product = failed(lambda: np.exp(W) @ np.ones((3, 4)))
    assert product.op == "matmul"
    assert [x.shape for x in product.operands] == [(3, 4), (3, 4)]
    assert product.operands[0].call.primitive is ops.exp
    assert "as many columns" in product.message
    assert "np.ones((3, 4))" in product.source.text
    total = failed(lambda: W + np.ones(5))
    assert (total.op, [x.shape for x in total.operands]) == ("add", [(3, 4), (5,)])
    model, _ = model_and_run()
    layer = failed(model, np.ones((5, 7)))
    assert (layer.op, [x.shape for x in layer.operands]) == ("Linear", [(5, 7)])


def test_a_failure_in_the_users_own_code_has_no_operands():
    def fail():
        raise ValueError("mine")

    failure = failed(fail)
    assert (failure.op, failure.operands, failure.message) == ("ValueError", [], "mine")
    assert ag.trace(lambda: ag.Tensor(1.0, requires_grad=True) * 2.0).failure is None


# ---- what a run is for --------------------------------------------------------------------------


def of_x(x):
    return np.sum(np.tanh(x) ** 2)


def test_a_number_made_of_gradients_is_the_cost_and_not_what_was_differentiated_inside():
    x = ag.Tensor([0.3, -0.4], requires_grad=True, name="x")
    with ag.trace() as run:
        g = ag.grad(of_x)(x)
        H = np.sum(g**2)
    cost, (by,) = run.name({"H": H}).differentiated(["x"])
    assert cost is run["H"]
    truth = ag.grad(lambda x: np.sum(ag.grad(of_x)(x) ** 2))(x.data)
    np.testing.assert_allclose(by.gradient.array, truth, rtol=1e-14)
    assert run.differentiated()[0] is cost
    returned = ag.trace(lambda x: np.sum(ag.grad(of_x)(x) ** 2), x)
    assert returned.differentiated()[0] is returned[returned.result]


def test_a_number_that_is_computed_after_a_backward_pass_is_not_the_cost():
    w = ag.Tensor([0.3, -0.4], requires_grad=True, name="w")
    with ag.trace() as run:
        J = of_x(w)
        J.backward()
        np.sum(w * w)
    assert run.differentiated()[0] is run[J]


def test_a_run_that_failed_says_so_when_there_is_nothing_to_differentiate():
    w = ag.Tensor(np.ones((2, 3)), requires_grad=True)
    run = ag.Trace()
    with pytest.raises(ValueError, match="columns"), run:
        w @ w
    with pytest.raises(ValueError, match="nothing to differentiate; it ended in matmul: "):
        run.differentiated()


# ---- parts of arrays ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (lambda x: x[2], "x[2]"),
        (lambda x: x[1:3], "x[1:3]"),
        (lambda x: x[:, 1], "x[:, 1]"),
        (lambda x: x[:, 1:], "x[:, 1:3]"),
        (lambda x: x.reshape(-1), "reshape(x, (12,))"),
        (lambda x: x[:, :, None], "reshape(x, (4, 3, 1))"),
    ],
)
def test_a_part_of_an_array_with_a_name_is_known_as_such(part, text):
    from autograd_mini.formulas import named, write

    x = np.arange(12.0).reshape(4, 3)
    w = ag.Tensor(2.0, requires_grad=True)
    with ag.trace() as run:
        w * part(x)
    run.name({"x": x, "w": w})
    (value,) = [v for v in run.values if v.kind == "input"]
    function, source = value.derived
    assert source.name == "x"
    np.testing.assert_array_equal(function(source.array), value.array)
    written = write(function(named("x", x)), "python")
    assert written == text or "reshape" in text


@pytest.mark.parametrize("part", [lambda x: x[::2], lambda x: x[1, 1:], lambda x: x[[1]]])
def test_other_parts_have_no_name_and_neither_have_equal_numbers_elsewhere(part):
    x = np.arange(12.0).reshape(4, 3)
    w = ag.Tensor(2.0, requires_grad=True)
    for data in (part(x), x[1].copy()):
        with ag.trace() as run:
            w * data
        run.name({"x": x, "w": w})
        (value,) = [v for v in run.values if v.kind == "input"]
        assert value.derived is None


def test_an_array_that_was_written_since_is_no_part_of_what_it_is_now():
    x = np.arange(12.0).reshape(4, 3)
    w = ag.Tensor(2.0, requires_grad=True)
    with ag.trace() as run:
        w * x[1]
        x[1] = 7.0
    run.name({"x": x, "w": w})
    (value,) = [v for v in run.values if v.kind == "input"]
    assert value.derived is None


# ---- several passes, and arrays that are written ------------------------------------------------


def test_a_backward_pass_from_another_cost_drops_the_gradients_of_the_one_before():
    w, v = (ag.Tensor(x, requires_grad=True, name=name) for x, name in ((3.0, "w"), (5.0, "v")))
    with ag.trace() as run:
        (w * v).backward()
        square = w * w
        square.backward()
    assert run["v"].gradient is None
    assert run["v"].shares == []
    assert run.differentiated() == (run[square], [run["w"]])
    with pytest.raises(ValueError, match="does not depend on v"):
        run.differentiated(["v"])


def test_the_gradient_of_a_gradient_is_a_pass_of_its_own():
    x = ag.Tensor(2.0, requires_grad=True, name="x")
    with ag.trace() as run:
        (slope,) = ag.gradients(x**3, [x], create_graph=True)
        ag.gradients(slope, [x])
    assert run.cost is run[slope]
    assert run["x"].gradient.array == 6 * 2.0


def test_gradients_are_of_one_pass_even_if_some_were_there_already():
    w, v = (ag.Tensor(x, requires_grad=True, name=name) for x, name in ((3.0, "w"), (5.0, "v")))
    with ag.trace() as run:
        a = w * v
        b = a + v
        cost = b * b
        ag.gradients(cost, [b])
    run.name({"a": a, "b": b})
    _, by = run.differentiated(["b", "a", "v"])
    assert [float(x.gradient.array) for x in by] == [40.0, 40.0, 160.0]


def test_an_array_that_was_written_in_place_keeps_its_name():
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    with ag.trace() as run:
        cost = np.sum(w * w)
        cost.backward()
        with ag.no_grad():
            w -= 0.5 * w.grad
    run.name({"w": w})
    before, *_, after = [value for value in run.values if value.name == "w"]
    np.testing.assert_array_equal(before.array, [1.0, 2.0])
    np.testing.assert_array_equal(after.array, [0.0, 0.0])
    assert run["w"] is before
    assert run.differentiated(["w"]) == (run[cost], [before])


def test_a_run_goes_backward_from_what_was_used_though_it_was_updated_since():
    w, b = (ag.Tensor(x, requires_grad=True) for x in (3.0, 5.0))
    with ag.trace() as run:
        cost = 2.0 * b + w
        for x in (w, b):
            with ag.no_grad():
                x -= 1.0
    run.name({"w": w, "b": b, "cost": cost})
    assert run.differentiated([cost, "b"]) == (run[cost], [run[cost], run["b"]])
    assert [float(run[name].gradient.array) for name in ("w", "b")] == [1.0, 2.0]
    assert run["b"].array == 5.0
    with pytest.raises(ValueError, match="cost does not depend on b"):
        run.differentiated([run.find(b)])


def test_lines_of_a_file_whose_name_begins_like_the_package_are_the_users():
    path = ag.__file__.removesuffix("/__init__.py") + "_homework.py"
    namespace = {}
    exec(compile("def shifted(x):\n    return x + [1.0, 2.0]", path, "exec"), namespace)
    run = ag.trace(namespace["shifted"], ag.Tensor([3.0], requires_grad=True))
    assert run.forward[0].source == (path, 2)
    failure = failed(namespace["shifted"], ag.Tensor(np.ones(3), requires_grad=True))
    assert failure.source == (path, 2)


@pytest.mark.parametrize(
    ("named", "unnamed"),
    [
        (np.zeros((3, 1)), np.ones((3, 1))),
        (np.eye(2), np.eye(2)),
        (np.array([[1.0, 2.0], [2.0, 5.0]]), np.array([[1.0, 2.0], [2.0, 5.0]])),
        (np.arange(3.0), np.arange(3.0)),
    ],
)
def test_equal_numbers_do_not_make_an_array_a_part_of_the_data(named, unnamed):
    w = ag.Tensor(2.0, requires_grad=True)
    run = ag.trace(lambda: np.sum(w * named * 1.0) + np.sum((w * 1.0) * unnamed))
    run.name({"data": named})
    assert [value.derived for value in run.values if value.array is unnamed] in ([], [None])
    assert not any(value.derived for value in run.values)


def test_arrays_made_of_the_data_are_known_by_memory_or_numbers():
    w = ag.Tensor(2.0, requires_grad=True)
    S, Y = np.array([[1.0, 2.0], [2.0, 5.0]]), np.array([[0.0, 1.0, 1.0]])
    run = ag.trace(lambda: np.sum(w * S) + np.sum(w * S.T) + np.sum(w * Y) + np.sum(w * (1 - Y)))
    run.name({"S": S, "Y": Y})
    made = [value.derived for value in run.values if value.derived]
    assert [derived.source.name for derived in made] == ["S", "Y"]
    np.testing.assert_array_equal(made[1].function(Y), 1 - Y)


def test_arrays_whose_first_elements_differ_are_not_computed_to_be_compared(monkeypatch):
    sizes = []

    def complement(x):
        sizes.append(x.size)
        return 1 - x

    monkeypatch.setattr(origins, "COMPUTED", (complement,))
    rng = np.random.default_rng(0)
    w = ag.Tensor(np.ones(50), requires_grad=True)
    named = {f"Y{i}": rng.random(50) for i in range(4)}
    others = [rng.random(50) for _ in range(3)]
    run = ag.trace(lambda: sum(np.sum(w * x) for x in [*named.values(), *others]))
    run.name(named)
    assert {*sizes} == {1}
