"""A step of gradient descent of a ReLU network, in NumPy by hand and by all libraries.

Each is a function of the parameters and a batch that gives a `Run`.  The products are in float32,
the loss is softmax cross-entropy, and all of them compute the same numbers, which `agree` tells.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy import add, divide, exp, greater, log, maximum, multiply, subtract

import autograd_mini as ag
from benchmarks.measuring import threads

RATE = 0.01  # of the gradient descent: with 0.1 the large network diverges
Batch = tuple[np.ndarray, np.ndarray]


class Run(NamedTuple):
    """What a library makes of a task.

    Attributes
    ----------
    step : callable
        One step, which gives the loss that there was before it.
    parameters : callable
        The parameters as they are now, or what else the step computes, as a list of arrays.
    restart : callable
        Goes back to the initial parameters.
    prepare : callable
        Makes of a batch of arrays what the step takes.
    """

    step: Callable[..., Any]
    parameters: Callable[[], list[Any]]
    restart: Callable[[], Any]
    prepare: Callable[..., tuple[Any, ...]] = lambda *batch: batch

    def on(self, *batch: np.ndarray) -> Callable[[], Any]:
        """The step on a batch that is prepared once."""
        return functools.partial(self.step, *self.prepare(*batch))


def in_place(
    step: Callable[..., Any],
    parameters: list[np.ndarray],
    prepare: Callable[..., tuple[Any, ...]] = lambda *batch: batch,
) -> Run:
    """A run whose parameters are arrays that it changes in place."""
    initial = [p.copy() for p in parameters]

    def restart() -> None:
        for now, then in zip(parameters, initial, strict=True):
            np.copyto(now, then)

    return Run(step, lambda: parameters, restart, prepare)


def agree(
    runs: Mapping[str, Run],
    batch: tuple[np.ndarray, ...],
    steps: int = 10,
    rtol: float = 2e-6,
    atol: float = 1e-6,
) -> None:
    """Raise unless all find the same losses and parameters in some steps; then start anew."""
    losses, parameters = {}, {}
    for name, run in runs.items():
        run.restart()
        step = run.on(*batch)
        losses[name] = [float(step()) for _ in range(steps)]
        parameters[name] = [np.array(p) for p in run.parameters()]
        run.restart()
    reference = next(iter(runs))
    for name in runs:
        np.testing.assert_allclose(losses[name], losses[reference], rtol=rtol, err_msg=name)
        for theirs, right in zip(parameters[name], parameters[reference], strict=True):
            if theirs.dtype != right.dtype:
                raise AssertionError(f"{name} computes in {theirs.dtype}, not in {right.dtype}")
            np.testing.assert_allclose(theirs, right, rtol=rtol, atol=atol, err_msg=name)


def network(sizes: tuple[int, ...], examples: int) -> tuple[list[np.ndarray], Batch]:
    """Weights and biases in turn, by He et al. (2015), and a batch of normal examples."""
    random = np.random.default_rng(0)
    parameters: list[np.ndarray] = []
    for n_in, n_out in itertools.pairwise(sizes):
        weight = random.normal(0, np.sqrt(2 / n_in), (n_out, n_in))
        parameters += [weight.astype(np.float32), np.zeros(n_out, np.float32)]
    x = random.standard_normal((examples, sizes[0])).astype(np.float32)
    return parameters, (x, random.integers(0, sizes[-1], examples))


# ---- by hand ------------------------------------------------------------------------------------


def by_hand_with_buffers(parameters: list[np.ndarray], batch: Batch) -> Run:
    """NumPy at its fastest: every array has its place before the first step."""
    n, rate, share, one = len(batch[1]), np.float32(RATE), np.float32(1 / len(batch[1])), 1
    weights, biases = parameters[0::2], parameters[1::2]
    gradients = [np.empty_like(p) for p in parameters]
    outputs = [np.empty((n, len(b)), np.float32) for b in biases]
    cotangents = [np.empty_like(y) for y in outputs]
    masks = [np.empty(y.shape, bool) for y in outputs]
    hidden = list(zip([w.T for w in weights[:-1]], biases, outputs, strict=False))
    backward = [
        (cotangents[i].T, outputs[i - 1], gradients[2 * i], cotangents[i], gradients[2 * i + 1],
         weights[i], cotangents[i - 1], masks[i - 1])
        for i in range(len(weights) - 1, 0, -1)
    ]  # fmt: skip
    last_weight, last_bias, logits, g = weights[-1].T, biases[-1], outputs[-1], cotangents[-1]
    g_first, g_first_transposed, (g_weight, g_bias) = cotangents[0], cotangents[0].T, gradients[:2]
    largest, total, chosen = np.empty((n, 1), "f"), np.empty((n, 1), "f"), np.empty(n, "f")
    row_starts, at = np.arange(n) * logits.shape[1], np.empty(n, np.intp)
    logits_flat, g_flat, total_flat = logits.reshape(-1), g.reshape(-1), total.reshape(-1)
    updates = list(zip(parameters, gradients, strict=True))

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        h = x
        for w, b, y in hidden:
            h.dot(w, out=y)
            add(y, b, out=y)
            h = maximum(y, 0, out=y)
        h.dot(last_weight, out=logits)
        add(logits, last_bias, out=logits)
        maximum.reduce(logits, axis=1, keepdims=True, out=largest)
        subtract(logits, largest, out=logits)
        exp(logits, out=g)
        add.reduce(g, axis=1, keepdims=True, out=total)
        divide(g, total, out=g)
        log(total, out=total)
        add(row_starts, labels, out=at)
        logits_flat.take(at, out=chosen, mode="clip")
        loss = (add.reduce(total_flat) - add.reduce(chosen)) * share
        g_flat[at] -= one
        multiply(g, share, out=g)
        for gy_transposed, h, g_w, gy, g_b, w, gh, positive in backward:
            gy_transposed.dot(h, out=g_w)
            add.reduce(gy, axis=0, out=g_b)
            gy.dot(w, out=gh)
            greater(h, 0, out=positive)
            multiply(gh, positive, out=gh)
        g_first_transposed.dot(x, out=g_weight)
        add.reduce(g_first, axis=0, out=g_bias)
        for p, g_p in updates:
            multiply(g_p, rate, out=g_p)
            subtract(p, g_p, out=p)
        return loss

    return in_place(step, parameters)


def by_hand(parameters: list[np.ndarray], batch: Batch) -> Run:
    """NumPy as one would write it down."""
    rows = np.arange(len(batch[1]))

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        weights, biases = parameters[0::2], parameters[1::2]
        hidden = [x]
        for w, b in zip(weights[:-1], biases, strict=False):
            hidden.append(np.maximum(hidden[-1] @ w.T + b, 0))
        z = hidden[-1] @ weights[-1].T + biases[-1]
        z = z - z.max(axis=1, keepdims=True)
        exponentials = np.exp(z)
        totals = exponentials.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(totals[:, 0]) - z[rows, labels])
        g = exponentials / totals
        g[rows, labels] -= 1
        g /= len(labels)
        for i in range(len(weights) - 1, -1, -1):
            g_weight, g_bias = g.T @ hidden[i], g.sum(axis=0)
            if i:
                g = (g @ weights[i]) * (hidden[i] > 0)
            weights[i] -= RATE * g_weight
            biases[i] -= RATE * g_bias
        return loss

    return in_place(step, parameters)


# ---- the engine of this repository --------------------------------------------------------------


def autograd_mini_loss(tensors: list[Any]) -> Callable[..., Any]:
    """The loss of the network, with the fused ops."""
    *hidden, (last_weight, last_bias) = zip(tensors[0::2], tensors[1::2], strict=True)
    relu, linear = ag.relu, ag.nn.functional.linear
    cross_entropy = ag.nn.functional.cross_entropy

    def loss_of(x: Any, labels: Any) -> Any:
        h = x
        for w, b in hidden:
            h = relu(linear(h, w, b))
        return cross_entropy(linear(h, last_weight, last_bias), labels)

    return loss_of


def autograd_mini(parameters: list[np.ndarray], batch: Batch, assigning: bool = False) -> Run:
    """Run the engine of this repository, updated by hand in two ways."""
    tensors: list[Any] = [ag.Tensor(p, requires_grad=True) for p in parameters]
    loss_of = autograd_mini_loss(tensors)

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        loss = loss_of(x, labels)
        loss.backward()
        if assigning:
            with ag.no_grad():
                for p in tensors:
                    p -= RATE * p.grad
                    p.grad = None
        else:
            for p in tensors:
                p.data -= RATE * p.grad.data
                p.grad = None
        return loss

    return in_place(step, [p.data for p in tensors])


def autograd_mini_assigning(parameters: list[np.ndarray], batch: Batch) -> Run:
    """Update by `with ag.no_grad(): p -= rate * p.grad`."""
    return autograd_mini(parameters, batch, assigning=True)


def autograd_mini_with_sgd(
    parameters: list[np.ndarray], batch: Batch, replayed: bool = False
) -> Run:
    """Run the engine with its optimiser `SGD`: eager, or the whole step captured and replayed."""
    tensors = [ag.Tensor(p, requires_grad=True) for p in parameters]
    loss_of, descent = autograd_mini_loss(tensors), ag.optim.SGD(tensors, lr=RATE)

    def step(x: Any, labels: Any) -> Any:
        loss = loss_of(x, labels)
        loss.backward()
        descent.step()
        descent.zero_grad()
        return loss

    return in_place(compiled(step) if replayed else step, [p.data for p in tensors])


def compiled(function: Callable[..., Any]) -> Any:
    """``ag.compile(function)``."""
    return importlib.import_module("autograd_mini.program").compile(function)


# ---- other libraries ----------------------------------------------------------------------------


def imported_torch() -> Any:
    """PyTorch with as many threads as NumPy."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads())
    return torch


def pytorch_eager_step(
    loss_of: Callable[..., Any],
    parameters: list[np.ndarray],
    rate: float = RATE,
    optimiser: bool = False,
) -> Run:
    """PyTorch, eager, updated by hand or by its SGD."""
    torch = imported_torch()
    tensors = [torch.from_numpy(p).requires_grad_() for p in parameters]
    descent = torch.optim.SGD(tensors, lr=rate, foreach=True)

    def step(*batch: Any) -> Any:
        loss = loss_of(tensors, *batch)
        loss.backward()
        if optimiser:
            descent.step()
            descent.zero_grad()
        else:
            with torch.no_grad():
                for p in tensors:
                    p.sub_(p.grad, alpha=rate)
                    p.grad = None
        return loss.detach()

    return in_place(step, parameters, lambda *batch: tuple(map(torch.from_numpy, batch)))


def loss_in_pytorch() -> Callable[..., Any]:
    """The loss of the dense networks, in PyTorch."""
    functional = imported_torch().nn.functional
    linear, relu, cross_entropy = functional.linear, functional.relu, functional.cross_entropy

    def loss_of(parameters: list[Any], x: Any, labels: Any) -> Any:
        h = x
        for i in range(0, len(parameters) - 2, 2):
            h = relu(linear(h, parameters[i], parameters[i + 1]))
        return cross_entropy(linear(h, *parameters[-2:]), labels)

    return loss_of


def pytorch(parameters: list[np.ndarray], batch: Batch, optimiser: bool = False) -> Run:
    """PyTorch, eager, updated by hand or by its SGD."""
    return pytorch_eager_step(loss_in_pytorch(), parameters, optimiser=optimiser)


def pytorch_with_sgd(parameters: list[np.ndarray], batch: Batch) -> Run:
    """PyTorch with its optimiser."""
    return pytorch(parameters, batch, optimiser=True)


def pytorch_step(
    loss_of: Callable[..., Any], parameters: list[np.ndarray], rate: float = RATE
) -> Run:
    """PyTorch with all of a step in one compiled function: quicker than with the loss alone."""
    torch = imported_torch()
    tensors = [torch.from_numpy(p) for p in parameters]
    value_and_gradients = torch.func.grad_and_value(loss_of)

    def descended(tensors: list[Any], *batch: Any) -> Any:
        gradients, loss = value_and_gradients(tensors, *batch)
        for p, g in zip(tensors, gradients, strict=True):
            p.sub_(g, alpha=rate)
        return loss

    compiled_step = torch.compile(descended)

    def step(*batch: Any) -> Any:
        with torch.no_grad():
            return compiled_step(tensors, *batch)

    return in_place(step, parameters, lambda *batch: tuple(map(torch.from_numpy, batch)))


def pytorch_compiled(parameters: list[np.ndarray], batch: Batch) -> Run:
    """PyTorch, compiled."""
    return pytorch_step(loss_in_pytorch(), parameters)


def jax_descent(loss_of: Callable[..., Any], rate: float = RATE) -> Any:
    """All of a step in one function that JAX compiles, and that may write into the parameters."""
    jax: Any = importlib.import_module("jax")
    value_and_gradients = jax.value_and_grad(loss_of)

    def descended(parameters: list[Any], *batch: Any) -> tuple[list[Any], Any]:
        loss, gradients = value_and_gradients(parameters, *batch)
        return [p - rate * g for p, g in zip(parameters, gradients, strict=True)], loss

    return jax.jit(descended, donate_argnums=0)


def jax_step(loss_of: Callable[..., Any], parameters: list[np.ndarray], rate: float = RATE) -> Run:
    """JAX, compiled; a step ends when its results are there."""
    jax: Any = importlib.import_module("jax")
    descended = jax_descent(loss_of, rate)
    now: list[list[Any]] = [[]]

    def step(*batch: Any) -> Any:
        now[0], loss = descended(now[0], *batch)
        jax.block_until_ready(now[0])
        return loss

    def restart() -> None:
        now[0] = [jax.numpy.array(p) for p in parameters]

    restart()
    return Run(step, lambda: now[0], restart, lambda *batch: tuple(map(jax.numpy.asarray, batch)))


def jax_loss(parameters: list[Any], x: Any, labels: Any) -> Any:
    """The loss of the network in JAX."""
    jax: Any = importlib.import_module("jax")
    *hidden, (last_weight, last_bias) = zip(parameters[0::2], parameters[1::2], strict=True)
    h = x
    for w, b in hidden:
        h = jax.nn.relu(h @ w.T + b)
    return jax_cross_entropy(h @ last_weight.T + last_bias, labels)


def jax_cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean of softmax cross-entropy in JAX."""
    jax: Any = importlib.import_module("jax")
    logarithms = jax.nn.log_softmax(logits, axis=1)
    return -jax.numpy.mean(jax.numpy.take_along_axis(logarithms, labels[:, None], axis=1))


def jax_jit(parameters: list[np.ndarray], batch: Batch) -> Run:
    """JAX, compiled."""
    return jax_step(jax_loss, parameters)


def imported_mygrad() -> Any:
    """MyGrad without its guards of memory, which cost time."""
    mg: Any = importlib.import_module("mygrad")
    mg.turn_memory_guarding_off()
    return mg


def mygrad(parameters: list[np.ndarray], batch: Batch) -> Run:
    """MyGrad, with its fused loss."""
    mg = imported_mygrad()
    relu = importlib.import_module("mygrad.nnet.activations").relu
    softmax_crossentropy = importlib.import_module("mygrad.nnet.losses").softmax_crossentropy
    tensors = [mg.tensor(p, copy=False) for p in parameters]
    *hidden, (last_weight, last_bias) = zip(tensors[0::2], tensors[1::2], strict=True)

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        h: Any = x
        for w, b in hidden:
            h = relu(mg.matmul(h, w.T) + b)
        loss = softmax_crossentropy(mg.matmul(h, last_weight.T) + last_bias, labels)
        loss.backward()
        for p in tensors:
            p.data -= RATE * p.grad
            p.null_grad()
        return loss.data

    return in_place(step, [p.data for p in tensors])


def hips_step(loss_of: Callable[..., Any], parameters: list[np.ndarray], rate: float = RATE) -> Run:
    """HIPS autograd, updated by hand."""
    value_and_gradients = importlib.import_module("autograd").value_and_grad(loss_of)

    def step(*batch: np.ndarray) -> Any:
        loss, gradients = value_and_gradients(parameters, *batch)
        for p, g in zip(parameters, gradients, strict=True):
            p -= rate * g
        return loss

    return in_place(step, parameters)


def hips_autograd(parameters: list[np.ndarray], batch: Batch) -> Run:
    """HIPS autograd."""
    anp: Any = importlib.import_module("autograd.numpy")

    rows = np.arange(len(batch[1]))

    def loss_of(parameters: list[Any], x: np.ndarray, labels: np.ndarray) -> Any:
        *hidden, (last_weight, last_bias) = zip(parameters[0::2], parameters[1::2], strict=True)
        h = x
        for w, b in hidden:
            h = anp.maximum(anp.dot(h, w.T) + b, 0)
        z = anp.dot(h, last_weight.T) + last_bias
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[rows, labels])

    return hips_step(loss_of, parameters)


def scikit_learn(
    parameters: list[np.ndarray],
    batch: Batch,
    batch_size: int | None = None,
    rate: float = RATE,
    activation: str = "relu",
) -> Run:
    """The network of scikit-learn: a step is `partial_fit` on the batch, with its checks."""
    biases = parameters[1::2]
    model = importlib.import_module("sklearn.neural_network").MLPClassifier(
        [len(b) for b in biases[:-1]],
        activation=activation,
        solver="sgd",
        alpha=0,
        batch_size=batch_size or len(batch[1]),
        learning_rate_init=rate,
        momentum=0,
        nesterovs_momentum=False,
        shuffle=False,
    )
    classes = np.arange(max(2, len(biases[-1])))
    with warnings.catch_warnings(action="ignore"):  # of classes that the batch does not have
        model.partial_fit(*batch, classes=classes)
    initial = [p.copy() for p in parameters]
    now = [p for pair in zip(model.coefs_, model.intercepts_, strict=True) for p in pair]

    def restart() -> None:
        for p, then in zip(now, initial, strict=True):
            np.copyto(p, then.T)

    def step(x: np.ndarray, labels: np.ndarray) -> Any:
        return model.partial_fit(x, labels).loss_

    restart()
    return Run(step, lambda: [p.T for p in now], restart)
