"""What values are called: variables, entries of nests, and turns of loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_mini as ag

SIZES = (3, 4, 4, 1)


def parameters() -> dict[str, ag.Tensor]:
    """Weights and biases as homework has them."""
    rng, found = np.random.default_rng(0), {}
    for layer, shape in enumerate(zip(SIZES[1:], SIZES, strict=False), start=1):
        found[f"W{layer}"] = ag.Tensor(rng.standard_normal(shape), requires_grad=True)
        found[f"b{layer}"] = ag.Tensor(np.zeros((shape[0], 1)), requires_grad=True)
    return found


def linear_activation_forward(A: Any, W: Any, b: Any, activation: Any) -> Any:
    """One layer, with what its derivative needs."""
    Z = W @ A + b
    A = activation(Z)
    return A, (A, W, Z)


def with_functions(X: Any, P: Any) -> Any:
    """The layers by a function that is called for each, with caches."""
    A, caches = X, []
    for layer in range(1, 4):
        activation = ag.relu if layer < 3 else ag.sigmoid
        A, cache = linear_activation_forward(A, P[f"W{layer}"], P[f"b{layer}"], activation)
        caches.append(cache)
    return A


def with_a_loop(X: Any, P: Any) -> Any:
    """Hidden layers in a loop, and the last one behind it."""
    A = X
    for layer in range(1, 3):
        Z = P["W" + str(layer)] @ A + P["b" + str(layer)]
        A = ag.relu(Z)
    Z = P["W3"] @ A + P["b3"]
    A = ag.sigmoid(Z)
    return A  # noqa: RET504 - as homework has it


@pytest.mark.parametrize("network", [with_functions, with_a_loop])
def test_layers_have_the_numbers_of_their_turns(network: Any) -> None:
    P, X, Y = parameters(), np.ones((3, 5)), np.array([[0.0, 1, 1, 0, 1]])
    with ag.trace() as run:
        J = np.sum((network(X, P) - Y) ** 2)
    run.name({"parameters": P, "X": X, "Y": Y, "J": J})
    expected = ["Z1 = W1 X + b1", "A1 = relu(Z1)", "Z2 = W2 A1 + b2", "A2 = relu(Z2)"]
    expected += ["Z3 = W3 A2 + b3", "A3 = sigmoid(Z3)", "J = sum((A3 - Y)^2)"]
    lines = str(ag.explain(run, simplify=True)).splitlines()
    found = [" ".join(line.split()[:-3]) for line in lines[1:7]]
    assert found == expected[:6]
    assert run["Z"] is run["Z3"]  # as the variable has it in the end
    with pytest.raises(KeyError, match="Q does not occur"):
        run["Q"]


def test_one_op_in_a_loop_of_one_line_has_all_its_turns() -> None:
    w = ag.Tensor(0.5, requires_grad=True)
    with ag.trace() as run:
        h = w
        for _ in range(3):
            h = np.tanh(h)
        s = ag.gelu(h)
        J = s * 2
    run.name({"w": w, "h": h, "s": s, "J": J})
    names = [call.output.name for call in run.forward]
    assert names[:3] == ["h1", "h2", "h3"]
    assert names[-2:] == ["s", "J"]
    assert set(names[3:-2]) == {None}


def test_what_a_name_of_a_loop_would_take_away_is_not_taken() -> None:
    w, A1 = ag.Tensor(0.5, requires_grad=True), np.array(3.0)
    with ag.trace() as run:
        A, x2 = w * A1, w
        for _ in range(2):
            A = np.tanh(A)
            x2 = x2 * A
    run.name({"w": w, "A": A, "A1": A1, "x2": x2})
    names = [call.output.name for call in run.forward]
    assert names == ["A_1", "A_2", "x2_1", "A_3", "x2_2"]
    assert run["A1"].array == 3.0


def test_a_name_that_somebody_gave_stays() -> None:
    w = ag.Tensor(0.5, requires_grad=True)
    kept = []
    with ag.trace() as run:
        for _ in range(3):
            A = np.tanh(w)
            kept.append(A)
    first, second, third = kept
    run.name({"w": w, "first": first, "A": third})
    assert [call.output.name for call in run.forward] == ["first", "A2", "A3"]
    run.name({"second": second})
    assert [call.output.name for call in run.forward] == ["first", "second", "A3"]


def test_without_source_nothing_is_named() -> None:
    names: dict[str, Any] = {"w": ag.Tensor(0.5, requires_grad=True), "np": np, "ag": ag}
    program = "with ag.trace() as run:\n    for i in range(2):\n        A = np.tanh(w)\n"
    exec(compile(program, "<nowhere>", "exec"), names)
    names["run"].name({"w": names["w"], "A": names["A"]})
    assert [call.output.name for call in names["run"].forward] == [None, "A"]


def test_entries_of_nests_have_their_keys_and_places() -> None:
    rng = np.random.default_rng(0)
    W1, W2, b, c, d = (ag.Tensor(rng.standard_normal(2), requires_grad=True) for _ in range(5))
    nest: dict[str, Any] = {"W1": W1, "layers": [{"W2": W2}, (b, [c])], "two words": d}
    nest["itself"] = nest
    with ag.trace() as run:
        J = np.sum(W1 * W2 * b * c * d)
    run.name({"nest": nest, "J": J, "W9": W1})
    found = {value.name for value in run.values if value.kind == "parameter"}
    assert found == {"W9", "W2", "layers[1][0]", "layers[1][1][0]", "nest['two words']"}


def test_variables_of_statements_in_functions_come_before_places_in_lists() -> None:
    caches = []

    def layer(A: Any, W: ag.Tensor, activation: str) -> Any:
        Z = W @ A
        A = ag.relu(Z) if activation == "relu" else ag.sigmoid(Z)
        caches.append((Z, A))
        return A

    X = np.arange(6.0).reshape(2, 3) - 2.0
    parameters = {f"W{i}": ag.Tensor(np.full((2, 2), 0.1 * i), requires_grad=True) for i in (1, 2)}
    with ag.trace() as run:
        AL = layer(layer(X, parameters["W1"], "relu"), parameters["W2"], "sigmoid")
        J = np.sum(AL)
    run.name(locals())
    names = [call.output.name for call in run.forward]
    assert names == ["Z1", "A1", "Z2", "AL", "J"]
    assert [run.name(locals())[x].name for x in parameters.values()] == ["W1", "W2"]


def test_what_a_variable_held_before_a_loop_has_the_number_0() -> None:
    W = ag.Tensor(np.eye(2), requires_grad=True)
    h = np.zeros(2)
    H = np.zeros((2, 3))
    with ag.trace() as run:
        for _ in range(2):
            H = np.tanh(W @ H)
        J = np.sum(H)
    run.name({"W": W, "H": H, "J": J})
    assert [x.name for x in run.values if x.kind == "input"] == ["H0"]
    with ag.trace() as run:
        for _ in range(2):  # two different ones before it
            for start in (np.zeros((2, 3)), np.ones((2, 3))):
                H = start
                H = np.tanh(W @ H)
    run.name({"W": W, "H": H, "h": h})
    assert "H0" not in {x.name for x in run.values}


def test_the_variable_of_a_loop_is_no_name_for_the_last_part_of_what_it_goes_through() -> None:
    w = ag.Tensor(np.ones(2), requires_grad=True)
    xs, X = [np.ones(2), np.zeros(2)], np.arange(4.0).reshape(2, 2)
    total: Any = 0.0
    with ag.trace() as run:
        for x, row in zip(xs, X, strict=True):
            total = total + np.sum(w * x * row)
    run.name(locals())
    assert [run[x].name for x in xs] == ["xs[0]", "xs[1]"]
    assert [x.derived.source.name for x in run.values if x.derived] == ["X", "X"]
    for x in xs[1:]:  # a run of one turn only
        with ag.trace() as run:
            total = np.sum(w * x)
        assert run.name(locals())[x].name == "x"


class Network:
    """As homework has it."""

    def __init__(self) -> None:
        self.params = {"W1": ag.Tensor(np.ones((2, 2)), requires_grad=True)}
        self.scale = np.full((2, 1), 3.0)
        self._hidden = np.ones((2, 1))

    def cost(self) -> Any:
        return np.sum(np.tanh(self.params["W1"] @ self.scale) * self._hidden)


OF_THE_MODULE = np.full((2, 2), 0.25)


def test_attributes_of_objects_and_variables_of_the_module_are_names() -> None:
    network = Network()
    with ag.trace() as run:
        J = network.cost()
    run.name({"network": network, "J": J})
    assert [x.name for x in run.values if x.kind != "result"] == ["W1", "scale", None]

    w = ag.Tensor(np.eye(2), requires_grad=True)
    J = np.sum(w * OF_THE_MODULE)
    assert "J = sum(w (.) OF_THE_MODULE)" in str(ag.explain(J))


def test_a_number_that_a_loop_changes_is_no_name_of_a_constant() -> None:
    w = ag.Tensor(np.ones(2), requires_grad=True)
    total: Any = 0.0
    with ag.trace() as run:
        for k in range(1, 4):
            total = total + k * np.sum(w**2)
    assert "k" not in run.name(locals()).numbers
    assert "3 sum(w^2)" in str(ag.explain(run))
