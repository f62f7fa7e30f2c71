"""Layers: what they compute, against formulas, PyTorch and differences, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import autograd_mini as ag
from autograd_mini import nn
from autograd_mini.check import gradcheck
from autograd_mini.nn import functional as F  # noqa: N812 - as PyTorch's users write it

Array = Any


# ---- Linear -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_the_affine_function(rng: Any, shape: Any, bias: bool) -> None:
    layer = nn.Linear(3, 2, bias=bias, rng=rng, bias_init=nn.init.normal)
    x = rng.normal(size=shape)
    expected = np.einsum("...i,oi->...o", x, layer.weight.data)
    if layer.bias is not None:
        expected = expected + layer.bias.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-13)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"][: 1 + bias]


def test_linear_without_bias_has_the_derivatives_of_a_product(rng: Any) -> None:
    x, w = rng.normal(size=(5, 3)), rng.normal(size=(2, 3))
    assert gradcheck(lambda x, w: np.sum(F.linear(x, w) ** 2), x, w)
    np.testing.assert_array_equal(F.linear([[1.0, 2.0]], [[3.0, 4.0]]), [[11.0]])


def test_linear_starts_with_he_weights_and_no_bias(rng: Any) -> None:
    layer = nn.Linear(100, 200, rng=rng)
    assert layer.bias is not None
    assert not np.any(layer.bias.data)
    bound = np.sqrt(6 / 100)
    assert 0.99 * bound < np.abs(layer.weight.data).max() <= bound


def test_linear_takes_initialisers_and_a_dtype(rng: Any) -> None:
    layer = nn.Linear(
        3,
        2,
        rng=rng,
        dtype=np.float32,
        weight_init=partial(nn.init.constant, value=2.0),
        bias_init=partial(nn.init.constant, value=1.0),
    )
    y = layer(np.ones((1, 3), np.float32))
    assert y.dtype == np.float32
    assert y.tolist() == [[7.0, 7.0]]


def test_linear_has_an_array_of_its_own(rng: Any) -> None:
    weights = rng.normal(size=(2, 3))
    layer = nn.Linear(3, 2, rng=rng, weight_init=lambda shape, *, rng, dtype: weights)
    np.testing.assert_array_equal(layer.weight.data, weights)
    assert not np.shares_memory(layer.weight.data, weights)


def test_the_same_seed_makes_the_same_layer() -> None:
    one, other = [nn.Linear(3, 2, rng=np.random.default_rng(1)) for _ in range(2)]
    np.testing.assert_array_equal(one.weight.data, other.weight.data)


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((32, 100), r"Linear\(784, 128\) got x of shape \(32, 100\): its last axis .* 784"),
        ((784, 32), r"got x of shape \(784, 32\)"),
        ((100,), r"got x of shape \(100,\)"),
        ((), r"got x of shape \(\)"),
        ((32, 1, 28, 28), r"\(32, 1, 28, 28\).* Put nn\.Flatten\(\) before this layer"),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_names_itself_if_the_features_are_others(
    rng: Any, shape: Any, complaint: str, bias: bool
) -> None:
    layer = nn.Linear(784, 128, rng=rng, bias=bias)
    complaint = complaint if bias else complaint.replace(r"128\)", r"128, bias=False\)")
    for x in (np.zeros(shape), ag.Tensor(np.zeros(shape), requires_grad=True)):
        with pytest.raises(ValueError, match=complaint):
            layer(x)


def test_linear_does_not_blame_the_features_for_other_errors(rng: Any) -> None:
    layer = nn.Linear(3, 2, rng=rng)
    layer.bias = ag.Tensor(np.zeros(5), requires_grad=True)
    with pytest.raises(ValueError, match=r"bias \(n_out,\)"):
        layer(np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("arguments", "kind", "complaint"),
    [
        ((0, 2, {}), ValueError, "in_features must be at least 1, not 0"),
        ((3, 2.0, {}), TypeError, r"out_features must be a whole number, not 2\.0"),
        ((True, 2, {}), TypeError, "in_features must be a whole number, not True"),
        ((3, 2, {"dtype": int}), TypeError, "floating dtype"),
        ((3, 2, {"rng": 0}), TypeError, r"np\.random\.default_rng\(seed\), and not 0"),
        (
            (3, 2, {"weight_init": lambda shape, *, rng, dtype: np.zeros(shape[::-1])}),
            ValueError,
            r"initialiser of weight was asked for shape \(2, 3\) and made \(3, 2\)",
        ),
    ],
)
def test_linear_refuses_wrong_arguments(
    rng: Any, arguments: Any, kind: Any, complaint: str
) -> None:
    a, b, options = arguments
    with pytest.raises(kind, match=complaint):
        nn.Linear(a, b, **{"rng": rng, **options})


def test_a_trace_is_named_by_the_parameters_of_a_network(rng: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2, rng=rng), nn.Linear(2, 1, rng=rng))
    with ag.trace() as run:
        model(np.ones((4, 3)))
    run.name(dict(model.named_parameters()))
    np.testing.assert_array_equal(run["0.weight"].array, model[0].weight.data)
    np.testing.assert_array_equal(run["1.bias"].array, model[1].bias.data)


# ---- Flatten ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "flat"), [((5, 2, 3, 4), (5, 24)), ((5, 3), (5, 3)), ((0, 2, 3), (0, 6))]
)
def test_flatten_makes_a_row_of_each_example(rng: Any, shape: Any, flat: Any) -> None:
    x = rng.normal(size=shape)
    y = nn.Flatten()(ag.Tensor(x))
    assert y.shape == flat
    np.testing.assert_array_equal(y.data, x.reshape(flat))


def test_flatten_takes_lists_and_names_itself_if_there_is_no_axis() -> None:
    assert nn.Flatten()([[[1.0, 2.0], [3.0, 4.0]]]).tolist() == [[1.0, 2.0, 3.0, 4.0]]
    with pytest.raises(ValueError, match=r"Flatten\(\) got x of shape \(\)"):
        nn.Flatten()(np.array(1.0))


def test_flatten_goes_by_channels_whatever_the_order_in_memory(rng: Any) -> None:
    inside = rng.normal(size=(2, 4, 5, 3))
    y = nn.Flatten()(inside.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(y[1, :20], inside[1, :, :, 0].ravel())


# ---- Dropout ------------------------------------------------------------------------------------


def test_dropout_drops_with_its_probability_and_keeps_the_mean(rng: Any) -> None:
    y = F.dropout(np.ones(100_000), 0.3, training=True, rng=rng)
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.006)
    assert y.mean() == pytest.approx(1.0, abs=0.01)


def test_dropout_is_the_identity_in_use_and_draws_nothing(rng: Any) -> None:
    layer = nn.Dropout(0.5, rng=rng).eval()
    x = ag.Tensor(np.ones(5))
    state = rng.bit_generator.state
    assert layer(x) is x
    assert rng.bit_generator.state == state


def test_dropout_lets_gradients_through_where_it_lets_values_through(rng: Any) -> None:
    x = ag.Tensor(np.ones(50), requires_grad=True)
    y = nn.Dropout(0.5, rng=rng)(x)
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad.data, y.data)


def test_dropout_draws_anew_at_each_call_and_the_same_from_the_same_seed() -> None:
    layers = [nn.Dropout(0.5, rng=np.random.default_rng(3)) for _ in range(2)]
    first, second = [[layer(np.ones(100)) for _ in range(2)] for layer in layers]
    np.testing.assert_array_equal(first, second)
    assert np.any(first[0] != first[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_keeps_the_dtype(rng: Any, dtype: Any) -> None:
    x = ag.Tensor(np.ones(10, dtype), requires_grad=True)
    y = F.dropout(x, 0.5, training=True, rng=rng)
    assert y.dtype == dtype
    assert F.dropout(np.arange(10), 0.5, training=True, rng=rng).dtype == np.float64
    assert F.dropout([1.0, 2.0], 0.0, training=True, rng=rng).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("p", [1, 1.5, -0.1, float("nan"), "a", None])
@pytest.mark.parametrize("training", [True, False])
def test_dropout_refuses_what_is_no_probability(rng: Any, p: Any, training: bool) -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\), not"):
        F.dropout(np.ones(3), p, training=training, rng=rng)
    with pytest.raises(ValueError, match=r"in \[0, 1\), not"):
        nn.Dropout(p, rng=rng)


def test_dropout_wants_a_generator() -> None:
    with pytest.raises(TypeError, match="generator to draw from"):
        nn.Dropout(0.5, rng=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="generator to draw from"):
        F.dropout(np.ones(3), 0.5, training=True, rng=None)  # type: ignore[arg-type]


# ---- activations --------------------------------------------------------------------------------

Activation = tuple[nn.Module, Callable[[Array], Array], str, str]

ACTIVATIONS: list[Activation] = [
    (nn.ReLU(), lambda x: np.where(x > 0, x, 0), "ReLU()", "relu"),
    (nn.LeakyReLU(), lambda x: np.where(x > 0, x, 0.01 * x), "LeakyReLU(0.01)", "leaky_relu"),
    (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x), "LeakyReLU(0.2)", ""),
    (nn.ELU(), lambda x: np.where(x > 0, x, np.exp(x) - 1), "ELU(1.0)", "elu"),
    (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1)), "ELU(0.5)", ""),
    (
        nn.GELU(),
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        "GELU()",
        "",
    ),
    (nn.SiLU(), lambda x: x / (1 + np.exp(-x)), "SiLU()", "silu"),
    (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x)), "Sigmoid()", "sigmoid"),
    (nn.Tanh(), lambda x: 1 - 2 / (np.exp(2 * x) + 1), "Tanh()", "tanh"),
    (nn.Softplus(), lambda x: np.log(1 + np.exp(x)), "Softplus()", "softplus"),
    (nn.Softmax(), lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), "Softmax()", ""),
    (
        nn.Softmax(axis=0),
        lambda x: np.exp(x) / np.exp(x).sum(0, keepdims=True),
        "Softmax(axis=0)",
        "",
    ),
    (nn.LogSoftmax(), lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)), "LogSoftmax()", ""),
    (
        nn.LogSoftmax(axis=0),
        lambda x: x - np.log(np.exp(x).sum(0, keepdims=True)),
        "LogSoftmax(axis=0)",
        "",
    ),
]
NAMES = [name for *_, name, _ in ACTIVATIONS]


@pytest.mark.parametrize(("layer", "formula", "look", "torch_name"), ACTIVATIONS, ids=NAMES)
def test_activations_are_those_of_the_formula_and_of_pytorch(
    rng: Any, layer: Any, formula: Any, look: str, torch_name: str
) -> None:
    x = rng.normal(size=(4, 3)) * 2
    np.testing.assert_allclose(layer(x), formula(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(layer(ag.Tensor(x)).data, layer(x))
    assert gradcheck(lambda x: np.sum(layer(x) * np.arange(12.0).reshape(4, 3)), x)
    assert repr(layer) == look
    assert layer.parameters() == []
    if torch_name:
        torch = pytest.importorskip("torch")
        expected = getattr(torch.nn.functional, torch_name, None) or getattr(torch, torch_name)
        np.testing.assert_allclose(layer(x), expected(torch.from_numpy(x)).numpy(), rtol=1e-12)


# ---- a network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_has_the_outputs_and_gradients_of_pytorch(rng: Any, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    model = nn.Sequential(
        nn.Linear(6, 5, rng=rng, dtype=dtype),
        nn.ReLU(),
        nn.Linear(5, 4, rng=rng, dtype=dtype, bias=False),
        nn.Tanh(),
        nn.Linear(4, 3, rng=rng, dtype=dtype),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 5),
        torch.nn.ReLU(),
        torch.nn.Linear(5, 4, bias=False),
        torch.nn.Tanh(),
        torch.nn.Linear(4, 3),
    ).to(torch.float32 if dtype == np.float32 else torch.float64)
    state = {name: torch.from_numpy(array) for name, array in model.state_dict().items()}
    theirs.load_state_dict(state)  # the names are the same
    x, labels = rng.normal(size=(7, 6)).astype(dtype), rng.integers(0, 3, 7)

    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    expected = torch.nn.functional.cross_entropy(
        theirs(torch.from_numpy(x)), torch.from_numpy(labels)
    )
    expected.backward()

    tolerance = {"rtol": 1e-4, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-10}
    np.testing.assert_allclose(loss.data, expected.detach().numpy(), **tolerance)
    gradients = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == dtype
        np.testing.assert_allclose(parameter.grad.data, gradients[name], **tolerance)


# ---- penalties ----------------------------------------------------------------------------------


def test_penalties_are_their_formulas_and_leave_biases_alone(rng: Any) -> None:
    model = nn.Sequential(
        nn.Linear(3, 2, rng=rng, bias_init=nn.init.normal), nn.Linear(2, 1, rng=rng)
    )
    weights = [model[0].weight.data, model[1].weight.data]
    l1 = 0.3 * sum(np.abs(w).sum() for w in weights)
    l2 = 0.3 * sum((w**2).sum() for w in weights)
    bias = model[0].bias.data
    assert nn.l1_penalty(model, 0.3).item() == pytest.approx(l1)
    assert nn.l2_penalty(model, 0.3).item() == pytest.approx(l2)
    assert nn.l1_penalty(model, 0.3, biases=True).item() == pytest.approx(
        l1 + 0.3 * np.abs(bias).sum()
    )
    assert nn.l2_penalty(model.parameters(), 0.3).item() == pytest.approx(
        l2 + 0.3 * (bias**2).sum()
    )
    assert nn.l2_penalty(model[1].weight, 0.3).item() == pytest.approx(
        0.3 * (weights[1] ** 2).sum()
    )


@pytest.mark.parametrize("penalty", [nn.l1_penalty, nn.l2_penalty])
def test_penalties_have_the_right_slopes(rng: Any, penalty: Any) -> None:
    assert gradcheck(lambda a, b: penalty([a, b], 0.7), rng.normal(size=(3, 2)), rng.normal(size=4))


def test_the_slope_of_the_l1_penalty_is_0_at_0() -> None:
    w = ag.Tensor([-2.0, 0.0, 1.0], requires_grad=True)
    nn.l1_penalty([w], 0.5).backward()
    assert w.grad is not None
    assert w.grad.tolist() == [-0.5, 0.0, 0.5]


@pytest.mark.parametrize("penalty", [nn.l1_penalty, nn.l2_penalty])
def test_penalties_keep_the_dtype_whatever_number_the_strength_is(penalty: Any, rng: Any) -> None:
    layer = nn.Linear(3, 2, rng=rng, dtype=np.float32)
    assert penalty(layer, np.float64(0.1)).dtype == np.float32


@pytest.mark.parametrize("penalty", [nn.l1_penalty, nn.l2_penalty])
def test_penalties_refuse_what_they_cannot_count(penalty: Any) -> None:
    w = ag.Tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="no weights"):
        penalty(nn.ReLU(), 0.1)
    with pytest.raises(ValueError, match="no weights"):
        penalty([], 0.1)
    with pytest.raises(TypeError, match="on Tensors, not on ndarray"):
        penalty([w, np.ones(2)], 0.1)
    for strength in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="strength of a penalty is not negative"):
            penalty([w], strength)
