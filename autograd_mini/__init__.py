"""Reverse-mode automatic differentiation of NumPy code, which shows its work.

`Tensor` is an array that remembers how it was computed.  NumPy's functions and operators work on
it, and ``backward`` writes the gradients of a scalar on the tensors that it was computed from.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from . import activations, linalg, numpy_functions, numpy_options, numpy_statistics
from .activations import leaky_relu, log_softmax, logsumexp, relu, sigmoid, softmax, softplus
from .compile import compile
from .core import ops
from .core.graph import no_grad
from .core.primitive import Primitive, composite, elementwise, implementations, primitive
from .core.tensor import Tensor, assign
from .draw import Drawing, draw
from .explain import explain, source
from .explore import explore
from .functional import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .signatures import AlongAxes, Joining, OfOne, OfTwo
from .trace import Trace, debug, trace

__version__ = "0.1.0"

# The common functions of NumPy under our own name: what `np.tanh` runs on a Tensor, with types that
# say so.  NumPy's stubs say that ``np.tanh(t)`` is an ndarray.
abs, sign, exp, log, sqrt, square, tanh = (
    *(ops.absolute, ops.sign, ops.exp, ops.log, ops.sqrt, ops.square, ops.tanh),
)
sin, cos, tan = numpy_functions.sin, numpy_functions.cos, numpy_functions.tan
arctan, expm1, log1p = numpy_functions.arctan, numpy_functions.expm1, numpy_functions.log1p
maximum, minimum, where = ops.maximum, ops.minimum, ops.where
sum, max, min = ops.reduce_sum, ops.reduce_max, ops.reduce_min
mean: AlongAxes = implementations[np.mean]
std: AlongAxes = implementations[np.std]
var: AlongAxes = implementations[np.var]
prod: AlongAxes = implementations[np.prod]
clip: OfOne = implementations[np.clip]
reshape: OfOne = implementations[np.reshape]
concatenate: Joining = implementations[np.concatenate]
stack: Joining = implementations[np.stack]
matmul: OfTwo = implementations[np.matmul]
dot: OfTwo = implementations[np.dot]
elu: OfOne = activations.elu
silu: OfOne = activations.silu
gelu: OfOne = activations.gelu
log_sigmoid: OfOne = activations.log_sigmoid

if TYPE_CHECKING:
    from . import check, data, nn, optim, training
    from . import special as special
    from .check.compare import compare
    from .training.fit import fit

__all__ = [
    "Drawing",
    "Primitive",
    "Tensor",
    "Trace",
    "abs",
    "arctan",
    "assign",
    "check",
    "clip",
    "compare",
    "compile",
    "composite",
    "concatenate",
    "cos",
    "data",
    "debug",
    "dot",
    "draw",
    "elementwise",
    "elu",
    "exp",
    "explain",
    "explore",
    "expm1",
    "fit",
    "gelu",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "leaky_relu",
    "linalg",
    "log",
    "log1p",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "nn",
    "no_grad",
    "numpy_functions",
    "numpy_options",
    "numpy_statistics",
    "optim",
    "primitive",
    "prod",
    "relu",
    "reshape",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "source",
    "sqrt",
    "square",
    "stack",
    "std",
    "sum",
    "tan",
    "tanh",
    "trace",
    "training",
    "value_and_grad",
    "var",
    "vjp",
    "where",
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
    "special": "special",  # not in __all__, for it needs SciPy
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
