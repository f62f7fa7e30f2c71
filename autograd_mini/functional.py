"""Derivatives of functions: with this module one can differentiate without naming a Tensor.

``grad(f)`` is the function that computes the gradient of ``f``.  Arguments may be arrays or dicts,
lists and tuples of arrays, nested at will; gradients have the same structure.  Arrays in, arrays
out; Tensors in, Tensors out, with a history if theirs is recorded.  A derivative taken inside of
another is right also if the inner function uses the outer's variable without being given it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .core.graph import leading_to, listen, listening, newest_first, next_serial
from .core.primitive import primitive
from .core.tensor import Tensor, backpropagate, cotangent_of, described, history, unwrapped, wrap

Function = Callable[..., Any]


def gradients(y: Tensor, wrt: Any, gradient: Any = None, create_graph: bool = False) -> Any:
    """The gradients of a tensor with respect to any tensors that it was computed from.

    Touches no ``.grad`` and goes only through the part of the graph that leads to ``wrt``.

    Parameters
    ----------
    y : Tensor
        What to differentiate: one number, or give ``gradient``.
    wrt : Tensor or sequence of Tensor
        Leaves or intermediate results.
    gradient : array_like, optional
        The cotangent of ``y``, of its shape.
    create_graph : bool
        Whether to record the computation, so that the gradients can be differentiated again.

    Returns
    -------
    Tensor or list of Tensor
        Like ``wrt``; of the same shapes and dtypes.

    Raises
    ------
    RuntimeError
        If ``y`` was not computed from one of ``wrt``, or nothing was recorded.
    ValueError
        If ``y`` is not one number and there is no ``gradient``.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> x = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> z = x**2
    >>> ag.gradients(np.sum(3 * z), z)
    Tensor([3., 3.], dtype=float64)
    """
    tensors = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    found = pulled_back(y, tensors, gradient, create_graph)
    for tensor, cotangent in zip(tensors, found, strict=True):
        if cotangent is None:
            raise RuntimeError(
                f"the tensor {described(y)} was not computed from the tensor {described(tensor)}, "
                f"so there is no gradient: was it computed again, or detached, on the way?"
            )
    return found[0] if isinstance(wrt, Tensor) else found


def pulled_back(
    y: Tensor, tensors: Sequence[Tensor], gradient: Any, create_graph: bool
) -> list[Tensor | None]:
    """The gradients of ``y``; None for a tensor that it was not computed from."""
    order, targets = newest_first(history(y)), {history(tensor) for tensor in tensors}
    found = backpropagate(y, leading_to(targets, order), targets, gradient, create_graph)
    return [found.get(history(tensor)) for tensor in tensors]


# ---- nests of arrays ----------------------------------------------------------------------------


def mapped(function: Function, tree: Any, *others: Any) -> Any:
    """Apply a function to the leaves of nests of one structure."""
    if isinstance(tree, dict):
        return {key: mapped(function, tree[key], *[o[key] for o in others]) for key in tree}
    if isinstance(tree, list | tuple):
        parts = [mapped(function, *group) for group in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree, *others)


def leaves(tree: Any) -> Iterator[Any]:
    """The arrays of a nest, from left to right."""
    parts = tree.values() if isinstance(tree, dict) else tree
    if not isinstance(tree, dict | list | tuple):
        yield tree
        return
    for part in parts:
        yield from leaves(part)


# ---- one evaluation -----------------------------------------------------------------------------


@primitive("$x", "$x", kind="copy", x=lambda g: g)
def argument(x: Any) -> Any:
    """A function's argument: a node of its own, that no other differentiation takes for its own."""
    return x.view()


def variable(leaf: Any) -> Tensor:
    """The argument of a function that is being differentiated."""
    if not isinstance(leaf, Tensor):
        leaf = np.asarray(float(leaf) if isinstance(leaf, int) else leaf)
    if not isinstance(leaf, Tensor) or leaf._node is None:
        leaf = Tensor(leaf, requires_grad=True, name=getattr(leaf, "name", None))
    named: Tensor = argument(leaf)
    named.name = leaf.name
    return named


class Evaluation:
    """A function evaluated at arguments, some of which it can be differentiated by."""

    def __init__(
        self, function: Function, argnums: int | Sequence[int], args: Sequence[Any], kwargs: Any
    ) -> None:
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        for number in numbers:
            if not -len(args) <= number < len(args):
                raise ValueError(f"argnums names argument {number}, but there are {len(args)}")
        given_tensors = [
            leaf for number in numbers for leaf in leaves(args[number]) if isinstance(leaf, Tensor)
        ]
        self.wants_tensors = bool(given_tensors)
        outer, self.begun = listening().recording, next_serial()
        with listen(recording=True):
            variables = {number: mapped(variable, args[number]) for number in numbers}
            given = [variables.get(i, variables.get(i - len(args), a)) for i, a in enumerate(args)]
            y = function(*given, **kwargs)
        self.y = y if isinstance(y, Tensor) else Tensor(y)
        self.variables: list[Tensor] = list(leaves(list(variables.values())))
        self.structure = variables[argnums] if isinstance(argnums, int) else (*variables.values(),)
        recorded = any(tensor.requires_grad for tensor in given_tensors)
        self.nested = outer and (recorded or self.uses_variables_of_others())

    def uses_variables_of_others(self) -> bool:
        """Whether the function uses a variable of a differentiation around this one."""
        nodes = newest_first(self.y._node) if self.y._node else ()
        return any(node.primitive is argument and node.serial < self.begun for node in nodes)

    def gradients(self, gradient: Any = None) -> Any:
        """The gradients in the structure of the arguments; zeros where nothing depends on them."""
        if self.y._node is None:
            cotangent_of(self.y, gradient)  # complains of the same things
            found: list[Any] = [None] * len(self.variables)
        else:
            found = pulled_back(self.y, self.variables, gradient, self.nested)
        pairs = zip(self.variables, found, strict=True)
        whole = iter([wrap(np.zeros_like(v._data)) if g is None else g for v, g in pairs])
        return mapped(lambda _: self.out(next(whole)), self.structure)

    def out(self, tensor: Tensor) -> Any:
        """A result as the caller wants it: Tensors for Tensors, arrays for arrays."""
        if self.nested:
            return tensor
        guarded = type(tensor) is not Tensor  # a capture lets nobody have its array
        return tensor.detach() if self.wants_tensors or guarded else unwrapped(tensor)[()]


# ---- functions of functions ---------------------------------------------------------------------


def takes_what(function: Function) -> Callable[[Function], Function]:
    """A decorator of what is made of a function: it has its name, its docstring, its signature."""
    return functools.wraps(function, updated=())


def value_and_grad(function: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes a scalar function's value and gradient at once.

    Parameters
    ----------
    function : callable
        Returns one number, written in operators, NumPy functions and ops of this package.
    argnums : int or sequence of int
        The positional arguments to differentiate by: arrays, or nests of dicts, lists and tuples
        of arrays.

    Returns
    -------
    callable
        Takes what ``function`` takes; returns ``(value, gradient)``, the gradient in the structure
        of the argument, or a tuple of gradients if ``argnums`` is a sequence.

    Raises
    ------
    TypeError
        When called, if an argument to differentiate by is not floating-point.
    ValueError
        When called, if ``function`` does not return one number, or has not that many arguments.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> def cost(p, x):
    ...     return np.sum((p["w"] * x + p["b"]) ** 2)
    >>> value, gradient = ag.value_and_grad(cost)({"w": 2.0, "b": 1.0}, np.array([1.0, 2.0]))
    >>> float(value), {name: float(g) for name, g in gradient.items()}
    (34.0, {'w': 26.0, 'b': 16.0})
    """
    return takes_what(function)(both(function, argnums))


def both(function: Function, argnums: int | Sequence[int]) -> Function:
    """`value_and_grad`, by a name of its own."""

    def differentiated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        run = Evaluation(function, argnums, args, kwargs)
        if run.y.size != 1:
            raise ValueError(
                f"the gradient is that of one number, and the function returned {described(run.y)}:"
                f" use ag.jacobian or ag.vjp"
            )
        gradient = run.gradients()
        return run.out(run.y), gradient

    return differentiated


def grad(function: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes the gradient of a scalar function.

    Parameters
    ----------
    function, argnums
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes what ``function`` takes; returns the gradient.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> third = ag.grad(ag.grad(ag.grad(np.tanh)))
    >>> round(float(third(1.0)), 6)
    0.621627
    """
    differentiated = both(function, argnums)
    return takes_what(function)(lambda *args, **kwargs: differentiated(*args, **kwargs)[1])


def vjp(function: Function, *args: Any) -> tuple[Any, Function]:
    """The value of a function, and how cotangents go back through it.

    Parameters
    ----------
    function : callable
        Returns an array of any shape.
    *args : array_like or nests of them
        Where to evaluate it.

    Returns
    -------
    value : ndarray or Tensor
    pull_back : callable
        Takes a cotangent of the value's shape, returns a tuple with the products of it with the
        Jacobian by each argument.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> y, pull_back = ag.vjp(np.exp, np.array([0.0, 1.0]))
    >>> pull_back(np.array([1.0, 0.0]))
    (array([1., 0.]),)
    """
    run = Evaluation(function, range(len(args)), args, {})
    return run.out(run.y), run.gradients


def jvp(function: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of a function, and its derivative in a direction.

    Parameters
    ----------
    function : callable
        Returns an array of any shape.
    args : sequence of array_like or nests of them
        Where to evaluate it.
    tangents : sequence
        The direction, in the structure and shapes of ``args``.

    Returns
    -------
    value : ndarray or Tensor
    tangent : ndarray or Tensor
        The product of the Jacobian with the direction, of the value's shape.

    Notes
    -----
    Two backward passes: the vector-Jacobian product is linear in its cotangent, and its derivative
    by that is the Jacobian-vector product (J. Townsend, "A new trick for calculating Jacobian
    vector products", 2017).

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.jvp(lambda x: x**2, [np.array([1.0, 2.0])], [np.array([1.0, 10.0])])
    (array([1., 4.]), array([ 2., 40.]))
    """
    run = Evaluation(function, range(len(args)), args, {})
    directions = list(leaves(list(tangents)))
    shapes = [np.shape(direction) for direction in directions]
    if shapes != [v.shape for v in run.variables]:
        raise ValueError(
            f"tangents have shapes {shapes}, the arguments {[v.shape for v in run.variables]}"
        )
    nothing = wrap(np.zeros_like(run.y._data))
    if run.y._node is None:
        return run.out(run.y), run.out(nothing)
    with listen(recording=True):
        cotangent = variable(nothing)
        pulled = pulled_back(run.y, run.variables, cotangent, create_graph=True)
        pairs = zip(pulled, directions, strict=True)
        product: Any = sum([np.sum(p * direction) for p, direction in pairs if p is not None])
    if not getattr(product, "requires_grad", False):  # every derivative is zero
        return run.out(run.y), run.out(nothing)
    (tangent,) = pulled_back(product, [cotangent], None, run.nested)
    return run.out(run.y), run.out(nothing if tangent is None else tangent)


def jacobian(function: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes all derivatives of all elements of a function's value.

    Parameters
    ----------
    function : callable
        Returns an array of any shape.
    argnums : int or sequence of int
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes what ``function`` takes; returns, in the structure of the argument, arrays of shape
        ``value.shape + argument.shape``.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.jacobian(lambda x: x[:2] * x[1:])(np.array([1.0, 2.0, 3.0]))
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """

    @takes_what(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        run = Evaluation(function, argnums, args, kwargs)
        size, shape = run.y.size, run.y.shape
        units = np.eye(size, dtype=run.y.dtype).reshape((size, *shape))
        rows = [run.gradients(unit) for unit in units]
        if not rows:
            return mapped(lambda v: run.out(wrap(np.zeros(shape + v.shape))), run.structure)
        return mapped(lambda *r: np.stack(r).reshape(shape + np.shape(r[0])), rows[0], *rows[1:])

    return differentiated


def hessian(function: Function, argnums: int = 0) -> Function:
    """The function that computes all second derivatives of a scalar function.

    Parameters
    ----------
    function : callable
        Returns one number.
    argnums : int
        The argument to differentiate by twice: an array.

    Returns
    -------
    callable
        Takes what ``function`` takes; returns an array of shape ``argument.shape * 2``.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(function, argnums), argnums)


def hvp(function: Function, x: Any, v: Any) -> Any:
    """The product of a scalar function's Hessian with a vector, without computing the Hessian.

    Parameters
    ----------
    function : callable
        Returns one number.
    x : array_like or nest of them
        Where to evaluate it.
    v : like ``x``
        The vector.

    Returns
    -------
    like ``x``

    Notes
    -----
    The gradient of ``<grad f(x), v>`` (Pearlmutter, "Fast exact multiplication by the Hessian",
    1994).

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.5]))
    array([6., 6.])
    """

    def along_v(x: Any) -> Any:
        pairs = zip(leaves(grad(function)(x)), leaves(v), strict=True)
        return sum([np.sum(g * direction) for g, direction in pairs])

    return grad(along_v)(x)
