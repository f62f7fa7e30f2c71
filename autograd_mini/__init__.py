"""Reverse-mode automatic differentiation of NumPy code, which shows its work.

`Tensor` is an array that remembers how it was computed.  NumPy's functions and operators work on
it, and ``backward`` writes the gradients of a scalar on the tensors that it was computed from.
"""

from typing import TYPE_CHECKING, Any

from . import numpy_functions
from .activations import (
    elu,
    gelu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from .core.graph import no_grad
from .core.primitive import Primitive, composite, elementwise, primitive
from .core.tensor import Tensor, assign
from .draw import Drawing, draw
from .explain import explain, source
from .explore import explore
from .functional import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .program import compile
from .trace import Trace, debug, trace

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import check, data, nn, optim, training
    from .check.compare import compare
    from .training.fit import fit

__all__ = [
    "Drawing",
    "Primitive",
    "Tensor",
    "Trace",
    "assign",
    "check",
    "compare",
    "compile",
    "composite",
    "data",
    "debug",
    "draw",
    "elementwise",
    "elu",
    "explain",
    "explore",
    "fit",
    "gelu",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "nn",
    "no_grad",
    "numpy_functions",
    "optim",
    "primitive",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "source",
    "trace",
    "training",
    "value_and_grad",
    "vjp",
]


#: What is imported when it is first asked for: most programs want a part of it, and an import
#: should take no time that they notice.
LAZY = {
    "check": "check",
    "compare": "check",
    "data": "data",
    "fit": "training",
    "nn": "nn",
    "optim": "optim",
    "training": "training",
}


def __getattr__(name: str) -> Any:
    """Import what `LAZY` names."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f".{LAZY[name]}", __name__)
    globals()[name] = module if name == LAZY[name] else getattr(module, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
