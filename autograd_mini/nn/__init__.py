"""Neural networks: layers, losses, initialisers and penalties.

A loss is a function of outputs and targets in `autograd_mini.nn.functional`.
"""

from typing import TYPE_CHECKING, Any

from . import functional, init
from .layers import (
    ELU,
    GELU,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .module import Module, Sequential
from .penalties import l1_penalty, l2_penalty
from .spatial import AvgPool2d, Conv2d, MaxPool2d

if TYPE_CHECKING:
    from .weights import load_weights, save_weights

__all__ = [
    "ELU",
    "GELU",
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
    "l1_penalty",
    "l2_penalty",
    "load_weights",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    """Import what reads and writes files when it is first asked for: it takes longer than all."""
    if name not in ("load_weights", "save_weights"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import weights

    return getattr(weights, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
