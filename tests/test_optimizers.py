"""Optimisers against PyTorch, against formulas by hand, and against bad input; clipping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini import optim

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.8, "nesterov": True}),
    ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
]
every_case = pytest.mark.parametrize(
    ("name", "options"), CASES, ids=[f"{name}-{'-'.join(o)}" for name, o in CASES]
)


def made(name: str, parameters: Any, options: dict[str, Any], lr: float = 0.01) -> Any:
    return getattr(optim, name)(parameters, lr, **options)


def leaf(values: Any, dtype: Any = None) -> ag.Tensor:
    return ag.Tensor(np.array(values, dtype=dtype), requires_grad=True)


def with_gradient(values: Any, gradient: Any) -> ag.Tensor:
    tensor = leaf(values)
    tensor.grad = ag.Tensor(gradient)
    return tensor


SHAPES = [(3, 4), (), (5,)]


def parameters_of(rng: np.random.Generator, dtype: Any = np.float64) -> list[ag.Tensor]:
    return [leaf(rng.normal(size=shape), dtype) for shape in SHAPES]


def train(optimizer: Any, gradients: Any) -> None:
    """One step for each list of gradients; None where a parameter has none."""
    for step in gradients:
        optimizer.zero_grad()
        for parameter, gradient in zip(optimizer.parameters, step, strict=True):
            if gradient is not None:
                parameter.grad = ag.Tensor(gradient.astype(parameter.dtype))
        optimizer.step()


def gradients_of(rng: np.random.Generator, steps: int) -> list[list[Any]]:
    """The last parameter gets its first gradient late, and not always."""
    return [
        [None if i == 2 and (k < 5 or k % 3 == 0) else rng.normal(size=shape)
         for i, shape in enumerate(SHAPES)]
        for k in range(steps)
    ]  # fmt: skip


# ---- against PyTorch ----------------------------------------------------------------------------


@every_case
def test_twenty_steps_are_those_of_pytorch(
    name: str, options: dict[str, Any], rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    ours = parameters_of(rng)
    theirs = [torch.tensor(p.data, requires_grad=True) for p in ours]
    optimizer = made(name, ours, options)
    reference = getattr(torch.optim, name)(theirs, lr=0.01, **options)
    steps = gradients_of(rng, 20)
    train(optimizer, steps)
    for step in steps:
        for parameter, gradient in zip(theirs, step, strict=True):
            parameter.grad = None if gradient is None else torch.tensor(gradient)
        reference.step()
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adam", "AdamW"])
def test_defaults_are_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours = getattr(optim, name)([leaf([1.0])])
    theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)]).defaults
    shared = {"alpha", "eps", "betas", "weight_decay"} & ours._hyperparameters.keys()
    assert {key: ours._hyperparameters[key] for key in shared} == {
        key: theirs[key] for key in shared
    }
    assert ours.lr == theirs["lr"]


# ---- by the formulas ----------------------------------------------------------------------------


def sgd_by_formula(
    gradients: Any, w: Any, lr: float, momentum: float = 0, nesterov: bool = False,
    weight_decay: float = 0,
) -> Any:  # fmt: skip
    v = 0.0
    for gradient in gradients:
        g = gradient + weight_decay * w
        v = momentum * v + g
        w = w - lr * (g + momentum * v if nesterov else v)
    return w


def rmsprop_by_formula(
    gradients: Any, w: Any, lr: float, alpha: float = 0.99, eps: float = 1e-8,
    weight_decay: float = 0,
) -> Any:  # fmt: skip
    v = 0.0
    for gradient in gradients:
        g = gradient + weight_decay * w
        v = alpha * v + (1 - alpha) * g**2
        w = w - lr * g / (np.sqrt(v) + eps)
    return w


def adagrad_by_formula(
    gradients: Any, w: Any, lr: float, eps: float = 1e-10, weight_decay: float = 0
) -> Any:
    s = 0.0
    for gradient in gradients:
        g = gradient + weight_decay * w
        s = s + g**2
        w = w - lr * g / (np.sqrt(s) + eps)
    return w


def adam_by_formula(
    gradients: Any, w: Any, lr: float, betas: Any = (0.9, 0.999), eps: float = 1e-8,
    weight_decay: float = 0, decoupled: bool = False,
) -> Any:  # fmt: skip
    m = v = 0.0
    for t, gradient in enumerate(gradients, start=1):
        g = gradient if decoupled else gradient + weight_decay * w
        w = w * (1 - lr * weight_decay) if decoupled else w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w


def adamw_by_formula(gradients: Any, w: Any, lr: float, **options: Any) -> Any:
    return adam_by_formula(gradients, w, lr, **{"weight_decay": 0.01, **options}, decoupled=True)


FORMULAS: dict[str, Any] = {
    "SGD": sgd_by_formula,
    "RMSprop": rmsprop_by_formula,
    "Adagrad": adagrad_by_formula,
    "Adam": adam_by_formula,
    "AdamW": adamw_by_formula,
}


@every_case
def test_twenty_steps_are_those_of_the_formula(
    name: str, options: dict[str, Any], rng: np.random.Generator
) -> None:
    parameters = parameters_of(rng)
    start = [p.data.copy() for p in parameters]
    gradients = gradients_of(rng, 20)
    train(made(name, parameters, options), gradients)
    for i, parameter in enumerate(parameters):
        own = [step[i] for step in gradients if step[i] is not None]
        expected = FORMULAS[name](own, start[i], 0.01, **options)
        np.testing.assert_allclose(parameter.data, expected, rtol=1e-12, atol=1e-12)


# ---- by hand ------------------------------------------------------------------------------------


def test_sgd_by_hand() -> None:
    w = with_gradient([1.0, 2.0], [10.0, -10.0])
    optim.SGD([w], lr=0.1).step()
    np.testing.assert_allclose(w.data, [0.0, 3.0], atol=1e-15)


def test_momentum_by_hand() -> None:
    w = with_gradient([0.0], [1.0])
    optimizer = optim.SGD([w], lr=1.0, momentum=0.5)
    places = []
    for _ in range(3):
        optimizer.step()
        places.append(w.item())
    assert places == [-1.0, -2.5, -4.25]  # steps of 1, 1 + 1/2, 1 + 1/2 + 1/4


def test_nesterov_by_hand() -> None:
    w = with_gradient([0.0], [1.0])
    optim.SGD([w], lr=1.0, momentum=0.5, nesterov=True).step()
    assert w.item() == -1.5


@pytest.mark.parametrize("gradient", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize(("name", "first"), [("Adam", 0.01), ("Adagrad", 0.01), ("RMSprop", 0.1)])
def test_the_first_step_does_not_depend_on_the_size_of_the_gradient(
    name: str, first: float, gradient: float
) -> None:
    w = with_gradient([5.0], [gradient])
    made(name, [w], {}).step()
    assert 5.0 - w.item() == pytest.approx(first, rel=1e-4)


def test_adamw_shrinks_a_weight_that_has_no_slope() -> None:
    w = with_gradient([2.0], [0.0])
    optim.AdamW([w], lr=0.1, weight_decay=0.5).step()
    assert w.item() == pytest.approx(2.0 * 0.95)


# ---- what a step touches ------------------------------------------------------------------------


@every_case
def test_arrays_stay_the_same_and_gradients_are_only_read(
    name: str, options: dict[str, Any], rng: np.random.Generator
) -> None:
    parameters = parameters_of(rng)
    arrays = [p.data for p in parameters]
    optimizer = made(name, parameters, options)
    gradients = [rng.normal(size=shape) for shape in SHAPES]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = ag.Tensor(gradient.copy())
    optimizer.step()
    optimizer.step()
    for parameter, array, gradient in zip(parameters, arrays, gradients, strict=True):
        assert parameter.data is array
        assert parameter.grad is not None
        np.testing.assert_array_equal(parameter.grad.data, gradient)


@every_case
def test_float32_stays_float32_inside_of_the_rule(
    name: str, options: dict[str, Any], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = parameters_of(rng, np.float32)[:1]
    optimizer = made(name, parameters, options)
    seen = set()

    class Watched(np.ndarray):
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
            inputs = tuple(np.asarray(x) if isinstance(x, Watched) else x for x in inputs)
            seen.update(x.dtype for x in inputs if not isinstance(x, float))
            if "out" in kwargs:
                kwargs["out"] = tuple(np.asarray(x) for x in kwargs["out"])
                seen.update(x.dtype for x in kwargs["out"])
            y = getattr(ufunc, method)(*inputs, **kwargs)
            seen.add(y.dtype)
            return y.view(Watched)

    def watched(array: Any) -> Any:
        return array.view(Watched) if array.ndim else array

    operands = (
        parameters[0].data,
        np.ones((3, 4), np.float32),
        optimizer._rate.data,
        *[tensor.data for tensor in optimizer._memories[0].values()],
    )
    kernel = optimizer._rule.kernel
    kernel(*map(watched, operands), out=parameters[0].data, **optimizer._hyperparameters)
    assert seen == {np.dtype(np.float32)}


def test_a_parameter_without_gradient_is_left_alone() -> None:
    used, unused = with_gradient([1.0], [1.0]), leaf([1.0])
    optimizer = optim.SGD([used, unused], lr=0.5)
    optimizer.step()
    assert (used.item(), unused.item(), optimizer.steps) == (0.5, 1.0, 1)


def test_a_parameter_that_was_frozen_after_backward_is_left_alone() -> None:
    moved, frozen = with_gradient([1.0], [1.0]), with_gradient([1.0], [100.0])
    optimizer = optim.SGD([moved, frozen], lr=0.1)
    frozen.requires_grad = False
    optimizer.step()
    assert (moved.item(), frozen.item()) == (0.9, 1.0)
    moved.requires_grad = False
    with pytest.raises(RuntimeError, match="no parameter that can change has a gradient"):
        optimizer.step()


def test_a_read_only_parameter_is_refused_when_the_optimizer_is_made() -> None:
    array = np.ones(2)
    array.flags.writeable = False
    fixed = ag.Tensor(array, requires_grad=True, name="bias")
    with pytest.raises(ValueError, match=r"parameter 1 \(bias of .*\) is read-only"):
        optim.SGD([leaf([1.0]), fixed], lr=0.1)


def test_a_step_without_any_gradient_says_to_call_backward() -> None:
    optimizer = optim.Adam([leaf([1.0])])
    with pytest.raises(RuntimeError, match=r"call loss\.backward\(\) first"):
        optimizer.step()
    assert optimizer.steps == 0


@pytest.mark.parametrize("gradient", [ag.Tensor([1.0]), np.array([1.0, 2.0]), 1.0])
def test_a_gradient_that_does_not_fit_changes_nothing(gradient: Any) -> None:
    good, wrong = with_gradient([1.0], [1.0]), leaf([1.0, 2.0])
    wrong.grad = gradient
    optimizer = optim.SGD([good, wrong], lr=0.5)
    with pytest.raises(ValueError, match="gradient of parameter 1"):
        optimizer.step()
    assert good.item() == 1.0


def test_zero_grad_forgets_gradients() -> None:
    w = with_gradient([1.0], [1.0])
    optim.SGD([w], lr=0.1).zero_grad()
    assert w.grad is None


def test_backward_through_an_updated_parameter_raises() -> None:
    w = leaf([1.0, 2.0])
    loss = np.sum(w * w)
    w.grad = ag.Tensor([1.0, 1.0])
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_an_observer_hears_one_call_for_each_parameter_and_the_count(listener: Any) -> None:
    from autograd_mini.core.graph import listen

    optimizer = optim.Adam([with_gradient([1.0], [1.0]), with_gradient([2.0], [1.0])])
    with listen(observer=listener):
        optimizer.step()
    assert listener.names == ["adam", "adam", "counted"]
    _, operands, statics, _ = listener.heard_of[0]
    assert [x.shape for x in operands] == [(1,), (1,), (), (1,), (1,), ()]
    assert "lr" not in statics


def test_the_heard_calls_alone_repeat_a_step(listener: Any, rng: np.random.Generator) -> None:
    """What a later capture does: the kernels with their arrays are the whole step."""
    from autograd_mini.core.graph import listen

    one, two = [[with_gradient([1.0, 2.0], [3.0, -4.0])] for _ in range(2)]
    eager, captured = optim.Adam(one), optim.Adam(two)
    schedules = [optim.CosineLR(optimizer, 5, warmup=1) for optimizer in (eager, captured)]
    with listen(observer=listener):
        captured.step()
        schedules[1].step()
    eager.step()
    schedules[0].step()
    for _ in range(3):
        eager.step()
        schedules[0].step()
        for rule, operands, statics, y in listener.heard_of:
            rule.kernel(*[x.data for x in operands], out=y.data, **statics)
    np.testing.assert_array_equal(one[0].data, two[0].data)
    assert (captured.steps, captured.lr) == (eager.steps, eager.lr) == (4, eager.lr)


# ---- what is refused ----------------------------------------------------------------------------


def test_parameters_may_come_from_a_generator() -> None:
    assert len(optim.SGD((leaf([1.0]) for _ in range(3)), lr=0.1).parameters) == 3


def test_an_empty_list_and_a_used_generator_are_refused() -> None:
    generator = (leaf([1.0]) for _ in range(3))
    optim.SGD(generator, lr=0.1)
    for nothing in ([], generator):
        with pytest.raises(ValueError, match="there are no parameters"):
            optim.SGD(nothing, lr=0.1)


@pytest.mark.parametrize("parameters", [leaf([1.0, 2.0]), 3, None])
def test_parameters_must_be_a_list(parameters: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a list of Tensors, such as model.parameters\(\)"):
        optim.SGD(parameters, lr=0.1)


@pytest.mark.parametrize("stranger", [np.ones(2), "w", None])
def test_what_is_no_tensor_is_refused_by_its_place(stranger: Any) -> None:
    with pytest.raises(TypeError, match="parameter 1 is not a Tensor"):
        optim.SGD([leaf([1.0]), stranger], lr=0.1)


def test_a_parameter_that_occurs_twice_is_refused() -> None:
    w = ag.Tensor([1.0], requires_grad=True, name="w")
    with pytest.raises(ValueError, match=r"parameters 0 and 2 are the same tensor \(w of shape"):
        optim.SGD([w, leaf([1.0]), w], lr=0.1)


def test_a_tensor_without_requires_grad_is_refused() -> None:
    with pytest.raises(ValueError, match=r"parameter 0 .* wants no gradient"):
        optim.SGD([ag.Tensor([1.0])], lr=0.1)


def test_a_computed_tensor_is_refused() -> None:
    with pytest.raises(RuntimeError, match="parameters are leaves only"):
        optim.SGD([leaf([1.0]) * 2], lr=0.1)


@pytest.mark.parametrize("lr", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_rate_is_refused(lr: float) -> None:
    with pytest.raises(ValueError, match="lr must be a positive number"):
        optim.SGD([leaf([1.0])], lr=lr)
    optimizer = optim.SGD([leaf([1.0])], lr=0.1)
    with pytest.raises(ValueError, match="lr must be a positive number"):
        optimizer.lr = lr
    assert optimizer.lr == 0.1


@pytest.mark.parametrize("lr", ["0.1", None, [0.1], 1j])
def test_a_rate_that_is_no_number_is_refused(lr: Any) -> None:
    with pytest.raises(TypeError, match="lr must be a positive number"):
        optim.SGD([leaf([1.0])], lr=lr)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"momentum": 1.0}, "momentum must be at least 0 and less than 1"),
        ("SGD", {"momentum": -0.1}, "momentum"),
        ("SGD", {"nesterov": True}, "momentum is 0"),
        ("SGD", {"weight_decay": -0.1}, "weight_decay must be a number from 0 on"),
        ("RMSprop", {"alpha": 1.0}, "alpha"),
        ("RMSprop", {"eps": 0.0}, "eps must be a positive number"),
        ("Adagrad", {"eps": -1.0}, "eps"),
        ("Adam", {"betas": (1.0, 0.9)}, r"betas\[0\]"),
        ("Adam", {"betas": (0.9, math.nan)}, r"betas\[1\]"),
        ("Adam", {"betas": (0.9,)}, "betas must be two numbers"),
        ("Adam", {"betas": 0.9}, "betas must be two numbers"),
        ("AdamW", {"weight_decay": math.inf}, "weight_decay"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(name, [leaf([1.0])], options)


def test_the_rate_can_be_changed() -> None:
    w = with_gradient([1.0], [1.0])
    optimizer = optim.SGD([w], lr=0.5)
    optimizer.lr = 0.25
    optimizer.step()
    assert (w.item(), optimizer.lr) == (0.75, 0.25)


def test_the_repr_names_the_hyperparameters() -> None:
    assert repr(optim.SGD([leaf([1.0])], 0.1)).startswith("SGD(1 parameter, lr=0.1")
    assert repr(optim.Adam([leaf([1.0]), leaf([1.0])])).startswith("Adam(2 parameters, lr=0.001, b")


# ---- state --------------------------------------------------------------------------------------


@given(
    case=st.sampled_from(CASES),
    before=st.integers(0, 7),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_run_taken_up_again_is_the_same_to_the_last_bit(
    case: tuple[str, dict[str, Any]], before: int, dtype: Any, seed: int
) -> None:
    name, options = case
    rng = np.random.default_rng(seed)
    unbroken = parameters_of(rng, dtype)
    optimizer = made(name, unbroken, options)
    gradients = gradients_of(rng, 10)
    train(optimizer, gradients[:before])
    optimizer.lr = 0.003
    state = optimizer.state_dict()
    resumed = [leaf(p.data.copy()) for p in unbroken]
    train(optimizer, gradients[before:])

    again = made(name, resumed, options)
    again.load_state_dict(state)
    train(again, gradients[before:])
    assert again.steps == optimizer.steps == 10
    for one, two in zip(unbroken, resumed, strict=True):
        assert one.dtype == two.dtype == dtype
        np.testing.assert_array_equal(one.data, two.data)
    after, expected = again.state_dict(), optimizer.state_dict()
    assert list(after) == list(expected)
    for key in after:
        np.testing.assert_array_equal(after[key], expected[key])


def test_memories_of_any_name_but_steps_may_be_negative() -> None:
    @ag.primitive("$parameter - $controlr")
    def rule(
        parameter: Any, gradient: Any, rate: Any, controlr: Any, lr: Any, substeps: Any, *, out: Any
    ) -> Any:
        controlr -= 1.0
        lr -= 1.0
        substeps -= 1.0
        return np.subtract(parameter, controlr, out=out)

    optimizer = optim.Optimizer([with_gradient([1.0, 2.0], [1.0, 1.0])], 0.1, rule)
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state_dict()["0.controlr"].tolist() == [-1.0, -1.0]


def test_state_arrays_are_copies() -> None:
    w = with_gradient([1.0], [1.0])
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5)
    before = optimizer.state_dict()
    optimizer.step()
    assert (before["0.velocity"], before["steps"], before["lr"]) == (0.0, 0, 0.1)
    optimizer.load_state_dict(before)
    before["0.velocity"][:] = 7.0
    assert optimizer.state_dict()["0.velocity"] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.mean": None}, "missing are 0.mean"),
        ({"9.mean": np.zeros(1)}, "unexpected are 9.mean"),
        ({"0.mean": np.zeros(3)}, r"0.mean has shape \(3,\), and here \(2,\)"),
        ({"0.mean": np.zeros(2, complex)}, "0.mean is complex128, and here float64"),
        ({"lr": np.array(math.nan)}, "lr is nan"),
        ({"steps": np.array(-1)}, "steps is -1"),
        ({"0.steps": np.array(-1)}, "0.steps is -1"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: dict[str, Any], message: str) -> None:
    w = with_gradient([1.0, 2.0], [1.0, 1.0])
    optimizer = optim.Adam([w])
    optimizer.step()
    before = optimizer.state_dict()
    other = optim.Adam([with_gradient([1.0, 2.0], [1.0, 1.0])]).state_dict() | change
    wrong = {name: array for name, array in other.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(wrong)
    after = optimizer.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)


# ---- clipping -----------------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4), min_size=1, max_size=4),
    st.floats(1e-3, 1e4),
)
def test_the_norm_is_returned_and_then_bounded(values: list[list[float]], bound: float) -> None:
    parameters = [with_gradient(np.zeros(len(row)), row) for row in values]
    joined = np.concatenate([np.array(row) for row in values])
    norm = optim.clip_grad_norm(parameters, bound)
    assert norm == pytest.approx(np.linalg.norm(joined))
    after = np.concatenate([p.grad.data for p in parameters if p.grad is not None])
    assert np.linalg.norm(after) <= bound * (1 + 1e-12)
    if norm <= bound:
        np.testing.assert_array_equal(after, joined)
    else:
        np.testing.assert_allclose(after, joined * (bound / norm))


def test_clipping_by_norm_is_that_of_pytorch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    gradients = [rng.normal(size=shape) for shape in SHAPES]
    ours = [with_gradient(np.zeros(g.shape), g.copy()) for g in gradients]
    theirs = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]
    for parameter, gradient in zip(theirs, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5).item()
    assert optim.clip_grad_norm(ours, 0.5) == pytest.approx(norm)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad.data, other.grad.numpy(), rtol=1e-5)


def test_the_norm_of_float32_gradients_does_not_overflow() -> None:
    w = with_gradient(np.zeros(2, np.float32), np.array([3e30, 4e30], np.float32))
    assert optim.clip_grad_norm([w], 1.0) == pytest.approx(5e30)
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.data, [0.6, 0.8], rtol=1e-6)
    assert w.grad.dtype == np.float32


@pytest.mark.parametrize("size", [1e160, 1e-200, 5e-324])
def test_the_norm_neither_overflows_nor_vanishes(size: float) -> None:
    w = with_gradient(np.zeros(2), [3 * size, 4 * size])
    assert optim.clip_grad_norm([w], 4 * size) == pytest.approx(5 * size, rel=1e-15, abs=0)
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.data, [2.4 * size, 3.2 * size], rtol=1e-15, atol=5e-324)


def test_a_norm_beyond_all_numbers_is_refused() -> None:
    w = with_gradient(np.zeros(4), [1.7e308] * 4)
    with pytest.raises(FloatingPointError, match="is inf, too large to be a number: no gradient"):
        optim.clip_grad_norm([w], 1.0)
    assert w.grad is not None
    assert w.grad.tolist() == [1.7e308] * 4


def test_an_infinite_bound_only_measures() -> None:
    for gradient in ([3.0, -4.0], [0.0, 0.0]):
        w = with_gradient(np.zeros(2), gradient)
        assert optim.clip_grad_norm([w], math.inf) == np.hypot(*gradient)
        assert w.grad is not None
        assert w.grad.tolist() == gradient


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_raises_and_changes_nothing(value: float) -> None:
    good, wrong = with_gradient([1.0], [10.0]), with_gradient([1.0], [value])
    with pytest.raises(FloatingPointError, match="because of parameter 2"):
        optim.clip_grad_norm([leaf([1.0]), good, wrong], 1.0)
    assert good.grad is not None
    assert good.grad.item() == 10.0


def test_gradients_of_zero_stay_zero() -> None:
    w = with_gradient([1.0], [0.0])
    assert optim.clip_grad_norm([w], 1.0) == 0.0
    assert w.grad is not None
    assert w.grad.item() == 0.0


def test_clipping_by_value_bounds_each_element() -> None:
    w = with_gradient(np.zeros(4), [-5.0, -0.5, 0.5, math.inf])
    optim.clip_grad_value([w, leaf([1.0])], 1.0)
    assert w.grad is not None
    assert w.grad.tolist() == [-1.0, -0.5, 0.5, 1.0]


def test_clipping_by_value_refuses_nan() -> None:
    good, wrong = with_gradient([1.0], [10.0]), with_gradient([1.0], [math.nan])
    with pytest.raises(FloatingPointError, match="parameter 1 holds a NaN"):
        optim.clip_grad_value([good, wrong], 1.0)
    assert good.grad is not None
    assert good.grad.item() == 10.0


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
def test_clipping_refuses_nonsense(clip: Any) -> None:
    w = with_gradient([1.0], [1.0])
    for bound in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="must be a positive number"):
            clip([w], bound)
    with pytest.raises(RuntimeError, match="backward"):
        clip([leaf([1.0])], 1.0)
    with pytest.raises(ValueError, match="the same tensor"):
        clip([w, w], 1.0)


@pytest.mark.parametrize("size", [0.0, 1e-4, 1.0, 300.0])
@pytest.mark.parametrize("make", [optim.Adam, optim.RMSprop, optim.Adagrad, optim.SGD])
def test_float16_takes_the_steps_of_float64_to_its_rounding(make: Any, size: float) -> None:
    after = []
    for dtype in (np.float16, np.float64):
        w = ag.Tensor(np.ones(2, dtype), requires_grad=True)
        optimiser = make([w], lr=0.01 / max(size, 1.0) if make is optim.SGD else 0.01)
        for _ in range(3):
            w.grad = ag.Tensor(np.full(2, size, np.float16).astype(dtype))
            optimiser.step()
        after.append(w.data)
    assert after[0].dtype == np.float16
    np.testing.assert_allclose(after[0], after[1], rtol=3e-3)


@pytest.mark.parametrize("fault", ["read-only", "complex", "shape"])
def test_a_step_that_cannot_be_made_for_one_parameter_changes_none(fault: str) -> None:
    first, second = (ag.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([first, second], lr=0.1)
    (np.sum(first**2) + np.sum(second**2)).backward()
    if fault == "read-only":
        second.data.flags.writeable = False
    else:
        wrong = np.ones(2) if fault == "shape" else np.ones(3, complex)
        second._grad = ag.Tensor(wrong)
    before = optimizer.state_dict()
    error = TypeError if fault == "complex" else ValueError
    with pytest.raises(error, match=f"parameter 1.*{fault.split('-')[0]}"):
        optimizer.step()
    np.testing.assert_array_equal(first.data, np.ones(3))
    np.testing.assert_equal(optimizer.state_dict(), before)


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
@pytest.mark.parametrize("fault", ["read-only", "integers"])
def test_clipping_that_cannot_be_done_for_one_gradient_changes_none(clip: Any, fault: str) -> None:
    first, second = (ag.Tensor(np.ones(2), requires_grad=True) for _ in range(2))
    (np.sum(10 * first) + np.sum(10 * second)).backward()
    if fault == "integers":
        second._grad = ag.Tensor(np.array([10, 10]))
    else:
        second.grad.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"gradient of parameter 1 .* cannot be clipped"):
        clip([first, second], 1.0)
    np.testing.assert_array_equal(first.grad.data, [10.0, 10.0])
