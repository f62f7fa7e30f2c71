"""Reverse-mode automatic differentiation of NumPy code, which shows its work.

`Tensor` is an array that remembers how it was computed.  NumPy's functions and operators work on
it, and ``backward`` writes the gradients of a scalar on the tensors that it was computed from.
"""

from . import nn, numpy_functions
from .check import compare
from .core.graph import no_grad
from .core.ops import leaky_relu, log_softmax, logsumexp, relu, sigmoid, softmax, softplus
from .core.primitive import Primitive, composite, elementwise, primitive
from .core.tensor import Tensor, assign
from .draw import Drawing, draw
from .functional import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .numpy_functions import elu, gelu, log_sigmoid, silu
from .trace import Trace, debug, trace

__all__ = [
    "Drawing",
    "Primitive",
    "Tensor",
    "Trace",
    "assign",
    "compare",
    "composite",
    "debug",
    "draw",
    "elementwise",
    "elu",
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
    "primitive",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "trace",
    "value_and_grad",
    "vjp",
]
