"""Modules: what they are made of, by which names, and how state goes out and comes in."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn

Array = Any


def parameter(*shape: int) -> ag.Tensor:
    return ag.Tensor(np.ones(shape), requires_grad=True)


def network(rng: Any, dtype: Any = np.float64) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(4, 3, rng=rng, dtype=dtype),
        np.tanh,
        nn.Dropout(0.5, rng=rng),
        nn.Sequential(nn.Linear(3, 2, rng=rng, dtype=dtype), nn.ReLU()),
    )


class Everything(nn.Module):
    """Holds parts in all ways there are."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.scale = parameter(2)
        self.mean = ag.Tensor(np.zeros(2))
        self.blocks = [nn.Linear(2, 2, rng=rng), (nn.Linear(2, 2, rng=rng, bias=False),)]
        self.heads = {"left": nn.Linear(2, 1, rng=rng), "right": parameter(1)}
        self._hidden = parameter(5)
        self.last = nn.Dropout(0.1, rng=rng)
        self.size = 2

    def forward(self, x: Array) -> Array:
        return x * self.scale


# ---- what it is made of -------------------------------------------------------------------------


def test_parts_are_found_in_the_order_of_assignment_by_the_names_of_attributes(rng: Any) -> None:
    module = Everything(rng)
    assert [name for name, _ in module.named_parameters()] == [
        "scale",
        "blocks.0.weight",
        "blocks.0.bias",
        "blocks.1.0.weight",
        "heads.left.weight",
        "heads.left.bias",
        "heads.right",
    ]
    assert [name for name, _ in module.named_buffers()] == ["mean"]
    assert [name for name, _ in module.named_modules()] == [
        "",
        "blocks.0",
        "blocks.1.0",
        "heads.left",
        "last",
    ]
    assert module.modules()[0] is module
    assert all(
        a is b for a, (_, b) in zip(module.parameters(), module.named_parameters(), strict=True)
    )


def test_a_generator_that_layers_share_is_listed_once(rng: Any) -> None:
    assert [name for name, _ in Everything(rng).named_generators()] == ["rng"]
    assert [name for name, _ in network(rng).named_generators()] == ["2.rng"]
    assert network(rng).named_generators()[0][1] is rng


def test_what_occurs_twice_is_listed_once_under_its_first_name(rng: Any) -> None:
    layer = nn.Linear(2, 2, rng=rng)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    tied = nn.Linear(2, 2, rng=rng)
    tied.weight = layer.weight
    assert [name for name, _ in nn.Sequential(layer, tied).named_parameters()] == [
        "0.weight",
        "0.bias",
        "1.bias",
    ]


def test_modules_that_know_each_other_are_walked_once(rng: Any) -> None:
    parent, child = nn.Module(), nn.Linear(2, 2, rng=rng)
    parts: list[Any] = [child]
    parts.append(parts)
    vars(parent).update(parts=parts, again=parts)
    vars(child).update(parent=parent)
    assert [name for name, _ in parent.named_parameters()] == ["parts.0.weight", "parts.0.bias"]
    assert [name for name, _ in parent.named_modules()] == ["", "parts.0"]
    assert repr(parent) == (
        "Module(\n"
        "  parts.0: Linear(2, 2,\n"
        "    weight: Tensor of shape (2, 2)   4 parameters\n"
        "    bias: Tensor of shape (2,)       2 parameters\n"
        "    parent: the same Module as the whole\n"
        "  )  6 parameters\n"
        ")  6 parameters"
    )


def test_results_that_are_remembered_are_neither_parameters_nor_buffers() -> None:
    module = nn.Module()
    vars(module).update(weight=parameter(2), _output=parameter(2) * 2, all=[parameter(2) * 2])
    assert list(module.state_dict()) == ["weight"]


def test_a_computed_tensor_is_refused_where_it_looks_like_a_parameter(rng: Any) -> None:
    inner = nn.Linear(2, 2, rng=rng)
    inner.weight = parameter(2, 2) * 0.01
    model = nn.Sequential(inner)
    for use in (model.parameters, model.named_buffers, model.state_dict):
        with pytest.raises(
            RuntimeError,
            match=r"Linear\.weight was computed by multiply .* self\._weight for a result",
        ):
            use()
    assert repr(model).endswith("2 parameters")  # of the bias
    assert len(model.eval().modules()) == 2


def test_a_frozen_parameter_is_a_buffer_and_keeps_its_name_in_the_state(rng: Any) -> None:
    layer = nn.Linear(3, 2, rng=rng)
    names = list(layer.state_dict())
    layer.weight.requires_grad = False
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert [name for name, _ in layer.named_buffers()] == ["weight"]
    assert list(layer.state_dict()) == names


def test_an_attribute_that_is_replaced_is_found_anew(rng: Any) -> None:
    module = Everything(rng)
    module.scale = parameter(7)
    assert module.parameters()[0].shape == (7,)


# ---- calling ------------------------------------------------------------------------------------


def test_a_module_without_forward_says_so() -> None:
    class Forgetful(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Forgetful .* `def forward\(self, x\)"):
        Forgetful()(1.0)


def test_calling_a_module_passes_all_arguments_on() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Array, y: Array, *, factor: float = 1.0) -> Array:
            return factor * (x + y)

    assert Scaled()(1.0, 2.0, factor=2.0) == 6.0


def test_train_and_eval_reach_every_module_and_return_the_first(rng: Any) -> None:
    module = Everything(rng)
    assert all(part.training for part in module.modules())
    assert module.eval() is module
    assert not any(part.training for part in module.modules())
    assert module.train() is module
    assert all(part.training for part in module.modules())
    assert not any(part.training for part in module.train(False).modules())


def test_sequential_applies_layers_and_functions_in_order(rng: Any) -> None:
    first, second = nn.Linear(4, 3, rng=rng), nn.Linear(3, 2, rng=rng)
    x = rng.normal(size=(5, 4))
    model = nn.Sequential(first, np.tanh, second, ag.relu)
    expected = ag.relu(second(np.tanh(first(x))))
    np.testing.assert_array_equal(model(x).data, expected.data)
    assert nn.Sequential()(x) is x


def test_the_layers_of_a_sequential_stay(rng: Any) -> None:
    model = nn.Sequential(nn.ReLU(), nn.Linear(2, 2, rng=rng))
    with pytest.raises(AttributeError, match=r"also layer 1: .*Sequential\(\*model\[:1\], other\)"):
        setattr(model, "1", nn.ReLU())
    with pytest.raises(AttributeError, match="also layer 0"):
        delattr(model, "0")
    assert list(model) == [getattr(model, "0"), getattr(model, "1")]
    model.note = "other attributes come and go"
    del model.note


def test_sequential_is_a_sequence(rng: Any) -> None:
    layers = [nn.Linear(2, 2, rng=rng), nn.ReLU(), nn.Linear(2, 2, rng=rng)]
    model = nn.Sequential(*layers)
    assert len(model) == 3
    assert list(model) == layers
    assert model[0] is layers[0]
    assert model[-1] is layers[2]
    assert isinstance(model[1:], nn.Sequential)
    assert list(model[1:]) == layers[1:]
    with pytest.raises(IndexError):
        model[3]


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        ([nn.ReLU], r"layer 0 is the class ReLU: make one, ReLU\(\.\.\.\)"),
        ([np.tanh, [np.tanh]], r"layer 1 is \[<ufunc 'tanh'>\], .* one by one"),
        ([None], r"layer 0 is None"),
    ],
)
def test_sequential_refuses_what_cannot_be_called(layers: Any, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        nn.Sequential(*layers)


def test_an_error_in_a_layer_says_which_one_it_was(rng: Any) -> None:
    layer = nn.Linear(4, 4, rng=rng)
    model = nn.Sequential(layer, nn.Sequential(layer, nn.Linear(3, 2, rng=rng)))
    with pytest.raises(ValueError, match=r"Linear\(3, 2\) got x of shape \(5, 4\)") as caught:
        model(np.zeros((5, 4)))
    assert caught.value.__notes__ == [
        "(in layer 1 of a Sequential, Linear)",
        "(in layer 1 of a Sequential, Sequential)",
    ]


# ---- state --------------------------------------------------------------------------------------


def test_state_is_copied_out(rng: Any) -> None:
    layer = nn.Linear(3, 2, rng=rng)
    state = layer.state_dict()
    assert list(state) == ["weight", "bias"]
    state["weight"][...] = 7.0
    assert not np.any(layer.weight.data == 7.0)


def test_state_that_is_loaded_is_the_state_that_was_saved(rng: Any) -> None:
    one, other = network(rng), network(rng)
    arrays = [tensor.data for tensor in other.parameters()]
    other.load_state_dict(one.state_dict())
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data, err_msg=name)
    assert all(a is b.data for a, b in zip(arrays, other.parameters(), strict=True))


def test_loading_takes_array_likes_and_tensors_and_converts_without_loss(rng: Any) -> None:
    layer = nn.Linear(2, 1, rng=rng)
    layer.load_state_dict({"weight": [[1, 2]], "bias": ag.Tensor([3.0], dtype=np.float32)})
    assert layer.weight.tolist() == [[1.0, 2.0]]
    assert layer.bias is not None
    assert layer.bias.tolist() == [3.0]
    assert layer.bias.dtype == np.float64


def test_tensors_of_the_module_itself_can_be_exchanged() -> None:
    module = nn.Module()
    a, b = parameter(2), ag.Tensor(np.zeros(2), requires_grad=True)
    vars(module).update(a=a, b=b)
    module.load_state_dict({"a": b, "b": a.data[::-1]})
    assert (a.tolist(), b.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_loading_into_a_read_only_array_is_refused_and_changes_nothing() -> None:
    module = nn.Module()
    fixed = np.zeros(2)
    fixed.flags.writeable = False
    vars(module).update(a=parameter(2), b=ag.Tensor(fixed))
    with pytest.raises(ValueError, match="nothing was loaded: b is read-only here"):
        module.load_state_dict({"a": [5.0, 5.0], "b": [5.0, 5.0]})
    assert list(module.state_dict()["a"]) == [1.0, 1.0]


def test_what_is_no_state_is_refused(rng: Any) -> None:
    for nonsense in (None, [1.0]):
        with pytest.raises(TypeError, match=r"as Linear\.state_dict\(\) gives it, not (None|\[1)"):
            nn.Linear(1, 1, rng=rng).load_state_dict(nonsense)  # type: ignore[arg-type]


def test_loading_lists_all_that_does_not_fit_and_changes_nothing(rng: Any) -> None:
    model = network(rng, np.float32)
    before, state = model.state_dict(), network(rng, np.float32).state_dict()
    del state["0.weight"]
    state["9.weight"] = np.zeros(3)
    state["0.bias"] = np.zeros(4, np.float32)
    state["3.0.bias"] = np.zeros(2)
    with pytest.raises(ValueError, match="does not fit Sequential, and nothing was loaded") as e:
        model.load_state_dict(state)
    for complaint in [
        "missing are 0.weight",
        "unexpected are 9.weight",
        "0.bias has shape (4,), and here (3,)",
        "3.0.bias is float64, and here float32",
    ]:
        assert complaint in str(e.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_graph_refuses_to_go_back_through_weights_that_were_loaded_since(rng: Any) -> None:
    model = network(rng)
    loss = np.sum(model(np.ones((1, 4))))
    model.load_state_dict(model.state_dict())
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_two_tensors_of_one_name_are_refused() -> None:
    module = nn.Module()
    vars(module)["a"] = {"b.c": parameter(1), "b": {"c": parameter(2)}}
    for use in (module.state_dict, lambda: module.load_state_dict({})):
        with pytest.raises(ValueError, match=r"Module has two tensors of the name 'a\.b\.c'"):
            use()


def test_a_deep_copy_computes_the_same_and_shares_nothing(rng: Any) -> None:
    model = network(rng).eval()
    copied = copy.deepcopy(model)
    x = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(model(x).data, copied(x).data)
    assert repr(model) == repr(copied)
    for a, b in zip(model.parameters(), copied.parameters(), strict=True):
        assert not np.shares_memory(a.data, b.data)
    assert copied[0] is vars(copied)["0"]
    model.train()
    assert not copied.training
    ag.assign(copied[0].weight, 0.0)
    assert np.any(model[0].weight.data)


def test_a_deep_copy_draws_the_same_numbers_as_its_model(rng: Any) -> None:
    model, x = network(rng), rng.normal(size=(3, 4))
    copied = copy.deepcopy(model)
    np.testing.assert_array_equal(model(x).data, copied(x).data)


def test_a_deep_copy_keeps_tied_weights_tied(rng: Any) -> None:
    layer = nn.Linear(2, 2, rng=rng)
    copied = copy.deepcopy(nn.Sequential(layer, layer))
    assert copied[0] is copied[1]


# ---- how it looks -------------------------------------------------------------------------------


def test_a_repr_counts_the_parameters_of_every_layer(rng: Any) -> None:
    frozen = nn.Linear(3, 2, rng=rng)
    frozen.weight.requires_grad = False
    inner = nn.Sequential(frozen, np.tanh)
    model = nn.Sequential(nn.Linear(784, 3, rng=rng), nn.ReLU(), inner, inner)
    assert repr(model) == (
        "Sequential(\n"
        "  0: Linear(784, 3)   2,355 parameters\n"
        "  1: ReLU()\n"
        "  2: Sequential(\n"
        "    0: Linear(3, 2)       2 parameters, 6 not trained\n"
        "    1: tanh\n"
        "  )  2 parameters, 6 not trained\n"
        "  3: the same Sequential as 2\n"
        ")  2,357 parameters, 6 not trained"
    )


def test_a_repr_shows_parts_in_containers_tensors_and_functions(rng: Any) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            self.dtype = np.float64
            self.layers = [nn.Linear(1, 1, rng=rng, bias=False)]
            self.activation = np.tanh
            self.offset = ag.Tensor(np.zeros(3))

    assert repr(Mixed()) == (
        "Mixed(\n"
        "  layers.0: Linear(1, 1, bias=False)   1 parameter\n"
        "  activation: tanh\n"
        "  offset: Tensor of shape (3,)         3 not trained\n"
        ")  1 parameter, 3 not trained"
    )


def test_a_module_of_tensors_alone_fits_on_one_line() -> None:
    module = nn.Module()
    assert repr(module) == "Module()"
    vars(module).update(weight=parameter(1000, 2))
    assert repr(module) == "Module()  2,000 parameters"
    assert repr(nn.Sequential()) == "Sequential()"


# ---- the names of nn ----------------------------------------------------------------------------


@pytest.mark.parametrize("module", [nn, nn.functional])
def test_public_names_are_there_and_documented(module: Any) -> None:
    assert {*module.__all__} <= {*dir(module)}
    for name in module.__all__:
        assert getattr(module, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'Linaer'"):
        module.Linaer  # noqa: B018


@pytest.mark.parametrize("name", ["modules", "parameters", "train", "state_dict", "named_modules"])
def test_an_attribute_that_would_hide_a_method_is_refused_where_it_is_set(name: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            setattr(self, name, [nn.Linear(2, 2, rng=np.random.default_rng(0))])

    with pytest.raises(AttributeError, match=rf"Net\.{name} is a method that every module has"):
        Net()
