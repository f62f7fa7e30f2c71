"""The samples by which PyTorch tests its operators: the same values and gradients here.

`torch.testing._internal` draws arguments for each operator, at its corners as well: no elements, no
axes, negative axes, options of all kinds.  A sample counts where the counterpart in
`torch_operators` computes plain arrays of it: what NumPy refuses is no question of derivatives.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from torch_operators import OPERATORS, NotHereError

import autograd_mini as ag

torch = pytest.importorskip("torch", reason="the samples are those of PyTorch")

# PyTorch warns of what will change in it, and NumPy of the edges of domains, where samples are.
pytestmark = pytest.mark.filterwarnings("ignore")

#: Which samples of an operator differ, and what the documentation says of them.
DIFFERENT: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "linalg.norm:subgradients_at_zero": (
        "by singular values that are 0 the subgradient is 0; PyTorch takes another one, U V^T",
        lambda sample: sample.args[0] in ("nuc", 2, -2) and sample.input.shape == (5, 5),
    ),
    "linalg.pinv": (
        "NaN where the rank is not full, as with such an rtol: the pseudo-inverse jumps there",
        lambda sample: sample.kwargs["rtol"] is not None and sample.input.numel() > 0,
    ),
    "linalg.pinv:singular": (
        "NaN where the rank is not full; PyTorch's gradient is that among matrices of this rank",
        lambda sample: sample.input.numel() > 0,
    ),
}

#: Their gradient belongs to the triangle that NumPy reads, where PyTorch shares it among both.
OF_ONE_TRIANGLE = {"cholesky", "linalg.cholesky", "linalg.cholesky_ex"}
OF_ONE_TRIANGLE |= {"linalg.eigh", "linalg.eigvalsh"}

#: What does not depend on the signs of vectors, which are arbitrary, nor on those beyond the rank.
DETERMINED: dict[str, Callable[..., Any]] = {
    "linalg.lstsq": lambda solution, *others: solution,
    "linalg.lstsq:grad_oriented": lambda solution, *others: solution,
    "triangular_solve": lambda solution, *others: solution,
    "linalg.eigh": lambda w, v: (w, v**2),
    "linalg.svd": lambda u, s, vt: (
        u[..., :, : s.shape[-1]] ** 2,
        s,
        vt[..., : s.shape[-1], :] ** 2,
    ),
    "svd": lambda u, s, v: (u[..., :, : s.shape[-1]] ** 2, s, v[..., :, : s.shape[-1]] ** 2),
}


@dataclass
class Comparison:
    """What came out for the samples of an operator."""

    matching: int = 0
    differing: int = 0  # as the documentation says
    wrong: list[str] = field(default_factory=list)
    absent: Counter[str] = field(default_factory=Counter)  # by why they do not count


# ---- one sample ---------------------------------------------------------------------------------


def mapped(function: Callable[[Any], Any], x: Any) -> Any:
    """The arguments of a sample with another array in the place of each of PyTorch's."""
    if isinstance(x, torch.Tensor | torch.dtype):
        return function(x)
    if isinstance(x, list | tuple):
        return (tuple if isinstance(x, tuple) else list)([mapped(function, part) for part in x])
    if isinstance(x, dict):
        return {name: mapped(function, part) for name, part in x.items()}
    return x


def in_double_precision(x: Any) -> Any:
    if getattr(x, "dtype", None) != torch.float32:
        return x
    return x.detach().double().requires_grad_(x.requires_grad)


def plain(x: Any) -> Any:
    if isinstance(x, torch.dtype):
        return np.dtype(str(x).removeprefix("torch."))
    return x.detach().numpy(force=True).copy()


def data(x: Any) -> Any:
    return x.data if isinstance(x, ag.Tensor) else x


def numbers(y: Any, name: str) -> list[Any]:
    """The outputs whose numbers are compared: not the places of elements, for one."""
    outputs = y if isinstance(y, list | tuple) else [y]
    if name in DETERMINED:
        outputs = DETERMINED[name](*outputs)
        outputs = outputs if isinstance(outputs, tuple) else [outputs]
    return [x for x in outputs if getattr(x, "dtype", None) in (torch.float64, np.float64)]


def gradients_of_pytorch(outputs: list[Any], cotangents: list[Any], leaves: list[Any]) -> list[Any]:
    pairs = [(y, g) for y, g in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not pairs:
        return [np.zeros(leaf.shape) for leaf in leaves]
    ys, gs = zip(*pairs, strict=True)
    found = torch.autograd.grad(ys, leaves, [torch.tensor(g) for g in gs], allow_unused=True)
    return [
        np.zeros(leaf.shape) if grad is None else plain(grad)
        for leaf, grad in zip(leaves, found, strict=True)
    ]


def gradients_of_ours(outputs: list[Any], cotangents: list[Any], leaves: list[Any]) -> list[Any]:
    total = sum(np.sum(y * g) for y, g in zip(outputs, cotangents, strict=True))
    if getattr(total, "requires_grad", False):
        total.backward()
    return [np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.data for leaf in leaves]


def symmetric(matrices: Any) -> Any:
    return (matrices + matrices.swapaxes(-1, -2)) / 2


def why_absent(name: str, expected: list[Any], args: Any, kwargs: Any) -> str | None:
    """Why the arrays of a sample do not count, if they do not."""
    function = OPERATORS[name]
    try:
        inspect.signature(function).bind(*args, **kwargs)
        found = numbers(function(*args, **kwargs), name)
    except NotHereError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    same = [x.shape for x in found] == [tuple(y.shape) for y in expected]
    return None if same or np.ndim(args[0]) else "NumPy gives a number an axis"


def compared(name: str, op: Any, sample: Any, result: Comparison) -> None:
    """Compare the values and all gradients of one sample."""
    arguments = mapped(in_double_precision, ([sample.input, *sample.args], sample.kwargs))
    theirs: list[Any] = []
    ours: list[Any] = []

    def leaf(x: Any) -> Any:
        if not getattr(x, "requires_grad", False):
            return plain(x)
        theirs.append(x)
        ours.append(ag.Tensor(plain(x), requires_grad=True))
        return ours[-1]

    args, kwargs = arguments
    expected = numbers(op(*args, **kwargs), name)
    reason = why_absent(name, expected, *mapped(plain, arguments))
    if reason is not None:
        result.absent[reason] += 1
        return
    args, kwargs = mapped(leaf, arguments)
    differs = ""
    try:
        found = numbers(OPERATORS[name](*args, **kwargs), name)
        assert [y.shape for y in found] == [tuple(y.shape) for y in expected], "other shapes"
        for y, value in zip(found, expected, strict=True):
            np.testing.assert_allclose(data(y), plain(value), rtol=1e-9, atol=1e-11)
        rng = np.random.default_rng(0)
        cotangents = [rng.standard_normal(tuple(y.shape)) for y in expected]
        of_ours = gradients_of_ours(found, cotangents, ours)
        of_pytorch = gradients_of_pytorch(expected, cotangents, theirs)
        for grad, wanted in zip(of_ours, of_pytorch, strict=True):
            shared = symmetric if name in OF_ONE_TRIANGLE else np.asarray
            np.testing.assert_allclose(shared(grad), shared(wanted), rtol=1e-7, atol=1e-9)
    except Exception as error:
        differs = f"{sample}\n{type(error).__name__}: {error}"
    if bool(differs) != (name in DIFFERENT and DIFFERENT[name][1](sample)):
        result.wrong.append(differs or f"{sample}\nmatches, and the documentation says otherwise")
    elif differs:
        result.differing += 1
    else:
        result.matching += 1


# ---- all samples --------------------------------------------------------------------------------


@functools.cache
def operators_of_pytorch() -> dict[str, Any]:
    from torch.testing._internal.common_methods_invocations import op_db

    return {":".join([op.name, op.variant_test_name]).rstrip(":"): op for op in op_db}


@functools.cache
def comparison(name: str) -> Comparison:
    """What came out for all samples of an operator, which are the same in each run."""
    result = Comparison()
    if name in operators_of_pytorch():
        op = operators_of_pytorch()[name]
        torch.manual_seed(0)
        with np.errstate(all="ignore"):
            for sample in op.sample_inputs("cpu", torch.float64, requires_grad=True):
                compared(name, op, sample, result)
    return result


@pytest.mark.parametrize("name", OPERATORS)
def test_values_and_gradients_are_those_of_pytorch(name: str) -> None:
    if name not in operators_of_pytorch():
        pytest.skip("this version of PyTorch has no samples of it")
    found = comparison(name)
    assert not found.wrong, "\n\n".join([f"{len(found.wrong)} samples", *found.wrong])
    assert found.matching, found.absent
    assert bool(found.differing) == (name in DIFFERENT)


def test_thousands_of_samples_match() -> None:
    # of an operator at most a hundred count, for one of them has a thousand
    assert sum(min(comparison(name).matching, 100) for name in OPERATORS) >= 5000
