"""Derivatives of functions: with this module one can differentiate without naming a Tensor.

``grad(f)`` is the function that computes the gradient of ``f``.  Arguments and values may be arrays
or dicts, lists and tuples of arrays, nested at will, in which None stands for nothing; gradients
have the same structure.  Arrays in, arrays out; Tensors in, Tensors out.  No gradient is lost: if
the function uses a Tensor that wants a gradient, given to it or not, such as the weights of a layer
or the variable of a derivative around this one, or if a tangent or cotangent is one, the results
are Tensors with a history.  Under `no_grad` nothing has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

import numpy as np

from .border import as_array
from .core.graph import Node, in_progress, leading_to, listen, listening, newest_first, next_serial
from .core.primitive import primitive
from .core.tensor import Tensor, backpropagate, cotangent_of, history, unwrapped, wrap
from .refusals import described, refuse_other_than_tensors
from .signatures import Called, OfOne
from .travel import decorated

Function = Callable[..., Any]
X = TypeVar("X", bound=Any)
P = ParamSpec("P")


@overload
def gradients(
    y: Tensor, wrt: Tensor, gradient: Any = None, create_graph: bool = False
) -> Tensor: ...
@overload
def gradients(
    y: Tensor, wrt: Sequence[Tensor], gradient: Any = None, create_graph: bool = False
) -> list[Tensor]: ...
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
    for tensor in (y, *tensors):
        refuse_other_than_tensors("ag.gradients", tensor)
    found = pulled_back(y, tensors, gradient, create_graph)
    for tensor, cotangent in zip(tensors, found, strict=True):
        if cotangent is None:
            raise RuntimeError(
                f"the tensor {described(y)} was not computed from the tensor {described(tensor)}, "
                f"so there is no gradient: was it computed again, or detached, on the way?"
            )
    if create_graph:
        with listen(recording=True):
            found = [g if g is None or g.requires_grad else constant(g, tensors) for g in found]
    return found[0] if isinstance(wrt, Tensor) else found


def constant(g: Any, tensors: Sequence[Tensor]) -> Any:
    """The gradient of a linear function, of which the derivatives by these are known: zero."""
    for tensor in tensors:
        g = np.where(False, np.sum(tensor), g)
    return g


def pulled_back(
    y: Tensor,
    tensors: Sequence[Tensor],
    gradient: Any,
    create_graph: bool,
    order: list[Node] | None = None,
) -> list[Tensor | None]:
    """The gradients of ``y``; None for a tensor that it was not computed from."""
    order, targets = order or newest_first(history(y)), {history(tensor) for tensor in tensors}
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
    return None if tree is None else function(tree, *others)


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of a nest, from left to right."""
    if isinstance(tree, dict | list | tuple):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(part)
    elif tree is not None:
        yield tree


def beside(tree: Any, other: Any, what: str, where: str = "") -> Iterator[Any]:
    """What another nest has at each leaf of a nest."""
    if isinstance(tree, dict | list | tuple):
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        there = (
            isinstance(other, dict) if isinstance(tree, dict) else isinstance(other, list | tuple)
        )
        if not there or len(other) != len(tree) or (isinstance(tree, dict) and {*tree} != {*other}):
            raise ValueError(
                f"{what}{where} must be a {type(tree).__name__} with {keys}, and is {other!r:.80}"
            )
        for key in keys:
            yield from beside(tree[key], other[key], what, f"{where}[{key!r}]")
    elif tree is not None:
        yield other


# ---- one evaluation -----------------------------------------------------------------------------


@primitive("$x", "$x", kind="copy", x=lambda g: g)
def argument(x: Any) -> Any:
    """A function's argument: a node of its own, that no other differentiation takes for its own."""
    return x.view()


def variable(leaf: Any) -> Tensor:
    """The argument of a function that is being differentiated."""
    if not isinstance(leaf, Tensor):
        leaf = as_array(float(leaf) if isinstance(leaf, int) else leaf)
    if not isinstance(leaf, Tensor) or leaf._node is None:
        leaf = Tensor(leaf, requires_grad=True, name=getattr(leaf, "name", None))
        leaf._node.tensor = None  # nobody else has it
    named: Tensor = argument(leaf)
    named.name = leaf.name
    return named


def value(leaf: Any) -> Tensor:
    """What a function returned, as a Tensor that can be differentiated."""
    y = leaf if isinstance(leaf, Tensor) else Tensor(leaf)
    if y.dtype.kind != "f":
        raise TypeError(
            f"the function returned {described(y)}: only what is floating-point has derivatives. A "
            f"comparison, a count or an index changes in jumps"
        )
    return y


def recorded(things: Sequence[Any]) -> bool:
    """Whether one of these has a history."""
    return any(isinstance(thing, Tensor) and thing.requires_grad for thing in things)


def filled(found: Sequence[Tensor | None], tensors: Sequence[Tensor]) -> Iterator[Tensor]:
    """What was found, and zeros where nothing depends on a tensor."""
    for g, tensor in zip(found, tensors, strict=True):
        yield wrap(np.zeros_like(tensor._array)) if g is None else g


def is_of_interest(node: Node) -> bool:
    """Whether somebody may want the gradient by a node: it is a leaf, or varied around this."""
    return (node.primitive is None and node.tensor is not None) or node in in_progress


class Evaluation:
    """A function evaluated at arguments, some of which it can be differentiated by."""

    def __init__(
        self, function: Function, argnums: int | Sequence[int], args: Sequence[Any], kwargs: Any
    ) -> None:
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        for number in numbers:
            if not -len(args) <= number < len(args):
                raise ValueError(f"argnums names argument {number}, but there are {len(args)}")
        if len({number % len(args) for number in numbers}) < len(numbers):
            raise ValueError(f"argnums {argnums} names an argument twice")
        self.given = [leaf for number in numbers for leaf in leaves(args[number])]
        begun = next_serial()
        with listen(recording=True):
            variables = {number: mapped(variable, args[number]) for number in numbers}
            places = [variables.get(i, variables.get(i - len(args), a)) for i, a in enumerate(args)]
            mine = {v._node for v in leaves(variables)}
            in_progress.update(mine)
            try:
                self.y = mapped(value, function(*places, **kwargs))
            finally:
                in_progress.difference_update(mine)
        self.values: list[Tensor] = list(leaves(self.y))
        if not self.values:
            raise TypeError(f"the function returned {self.y!r}, which holds no number")
        self.structure = variables[argnums] if isinstance(argnums, int) else (*variables.values(),)
        self.variables: list[Tensor] = list(leaves(self.structure))
        self.behind = [newest_first(y._node) for y in self.values if y._node is not None]
        older = [node for order in self.behind for node in order if node.serial < begun]
        self.recorded = bool(older) and any(map(is_of_interest, older))

    def pulled(
        self, values: Sequence[Tensor], cotangents: Sequence[Any], create_graph: bool
    ) -> list[Tensor | None]:
        """The gradients of some values by the variables; None where nothing depends on one."""
        root, seed = values[0], cotangents[0]
        order = self.behind[0] if self.behind and root is self.values[0] else None
        if len(values) > 1:
            with listen(recording=True):
                pairs = zip(values, cotangents, strict=True)
                parts = [np.sum(y * cotangent_of(y, g)) for y, g in pairs]
                root, seed, order = functools.reduce(np.add, parts), None, None
        if root._node is None:
            cotangent_of(root, seed)  # complains of the same things
            return [None] * len(self.variables)
        return pulled_back(root, self.variables, seed, create_graph, order)

    def gradients(self, values: Sequence[Tensor], cotangents: Sequence[Any]) -> Any:
        """The gradients in the structure of the arguments; zeros where nothing depends on them."""
        found = filled(self.pulled(values, cotangents, self.keeps(cotangents)), self.variables)
        whole = map(self.out(cotangents), found)
        return mapped(lambda _: next(whole), self.structure)

    def keeps(self, others: Sequence[Any]) -> bool:
        """Whether results have a history, by the arguments or by what else they are made of."""
        return listening().recording and (self.recorded or recorded(others))

    def out(self, others: Sequence[Any] = ()) -> Callable[[Tensor], Any]:
        """What makes of a result what the caller wants: Tensors for Tensors, arrays for arrays."""
        if self.keeps(others):
            return lambda tensor: tensor
        tensors = any(isinstance(thing, Tensor) for thing in (*self.given, *others))
        return Tensor.detach if tensors else plain


def plain(tensor: Tensor) -> Any:
    """The array of a result; but a capture lets nobody have its arrays."""
    return unwrapped(tensor)[()] if type(tensor) is Tensor else tensor.detach()


# ---- functions of functions ---------------------------------------------------------------------


class Derivative:
    """What is made of a function: it has its name, its docstring, its signature, and can travel."""

    def __init__(self, way: Function, function: Function, argnums: Any) -> None:
        self.__name__ = type(function).__name__  # of what has no name
        functools.update_wrapper(self, function, updated=())
        self.made = way, function, argnums

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the function, and make of that what is wanted."""
        way, function, argnums = self.made
        return way(Evaluation(function, argnums, args, kwargs))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return decorated(self, protocol, Derivative, *self.made)


@overload
def value_and_grad(
    function: Callable[Concatenate[X, P], Any], argnums: Literal[0] = 0
) -> Callable[Concatenate[X, P], tuple[Any, X]]: ...
@overload
def value_and_grad(function: Function, argnums: int | Sequence[int]) -> Function: ...
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
        When called, if an argument to differentiate by, or the value, is not floating-point.
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
    return Derivative(value_and_gradient, function, argnums)


def value_and_gradient(run: Evaluation) -> tuple[Any, Any]:
    """Those of a function that returned one number."""
    y = run.y
    if not isinstance(y, Tensor) or y.size != 1:
        returned = described(y) if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise ValueError(
            f"the gradient is that of one number, and the function returned {returned}: use "
            f"ag.jacobian or ag.vjp"
        )
    return run.out()(y), run.gradients([y], [None])


@overload
def grad(function: Called | np.ufunc, argnums: Literal[0] = 0) -> OfOne: ...
@overload
def grad(
    function: Callable[Concatenate[X, P], Any], argnums: Literal[0] = 0
) -> Callable[Concatenate[X, P], X]: ...
@overload
def grad(function: Function, argnums: int | Sequence[int]) -> Function: ...
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
    return Derivative(gradient, function, argnums)


def gradient(run: Evaluation) -> Any:
    """That of a function that returned one number."""
    return value_and_gradient(run)[1]


def vjp(function: Function, *args: Any) -> tuple[Any, Function]:
    """The value of a function, and how cotangents go back through it.

    Parameters
    ----------
    function : callable
        Returns an array of any shape, or a nest of arrays.
    *args : array_like or nests of them
        Where to evaluate it.

    Returns
    -------
    value : ndarray or Tensor, or nest of them
    pull_back : callable
        Takes a cotangent of the value's structure and shapes, returns a tuple with the products of
        it with the Jacobian by each argument.

    Raises
    ------
    TypeError
        If an argument or a value is not floating-point.
    ValueError
        By ``pull_back``, if the cotangent has another structure or shape.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> y, pull_back = ag.vjp(np.exp, np.array([0.0, 1.0]))
    >>> pull_back(np.array([1.0, 0.0]))
    (array([1., 0.]),)
    """
    run = Evaluation(function, range(len(args)), args, {})

    def pull_back(cotangent: Any = None) -> Any:
        return run.gradients(run.values, list(beside(run.y, cotangent, "the cotangent")))

    return mapped(run.out(), run.y), pull_back


def jvp(function: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of a function, and its derivative in a direction.

    Parameters
    ----------
    function : callable
        Returns an array of any shape, or a nest of arrays.
    args : sequence of array_like or nests of them
        Where to evaluate it.
    tangents : sequence
        The direction, in the structure and shapes of ``args``.

    Returns
    -------
    value : ndarray or Tensor, or nest of them
    tangent : like ``value``
        The product of the Jacobian with the direction.

    Raises
    ------
    TypeError
        If an argument or a value is not floating-point.
    ValueError
        If the tangents have another structure, or other shapes, than the arguments.

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
    directions = list(beside(run.structure, (*tangents,), "the tangents"))
    shapes = [np.shape(direction) for direction in directions]
    if shapes != [v.shape for v in run.variables]:
        raise ValueError(
            f"tangents have shapes {shapes}, the arguments {[v.shape for v in run.variables]}"
        )
    with listen(recording=True):
        cotangents = [variable(np.zeros_like(y._array)) for y in run.values]
        pulled = run.pulled(run.values, cotangents, create_graph=True)
        pairs = zip(pulled, directions, strict=True)
        products = [np.sum(p * direction) for p, direction in pairs if p is not None]
        total = sum(products)
    found: list[Tensor | None] = [None] * len(cotangents)
    if recorded(products):
        found = pulled_back(total, cotangents, None, run.keeps(directions))
    whole = map(run.out(directions), filled(found, run.values))
    return mapped(run.out(), run.y), mapped(lambda _: next(whole), run.y)


def jacobian(function: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes all derivatives of all elements of a function's value.

    Parameters
    ----------
    function : callable
        Returns an array of any shape, or a nest of arrays.
    argnums : int or sequence of int
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes what ``function`` takes; returns, for each array of the value, in the structure of the
        argument, arrays of shape ``value.shape + argument.shape``.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.jacobian(lambda x: x[:2] * x[1:])(np.array([1.0, 2.0, 3.0]))
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    return Derivative(all_derivatives, function, argnums)


def all_derivatives(run: Evaluation) -> Any:
    """The Jacobian of a function's value, a row for each of its elements."""

    def rows_of(y: Tensor) -> Any:
        units = np.eye(y.size, dtype=y.dtype).reshape((y.size, *y.shape))
        rows = [run.gradients([y], [unit]) for unit in units]
        if not rows:
            return mapped(
                lambda v: run.out()(wrap(np.zeros(y.shape + v.shape, v.dtype))), run.structure
            )
        return mapped(lambda *r: np.stack(r).reshape(y.shape + np.shape(r[0])), *rows)

    return mapped(rows_of, run.y)


def hessian(function: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes all second derivatives of a scalar function.

    Parameters
    ----------
    function : callable
        Returns one number.
    argnums : int or sequence of int
        The arguments to differentiate by twice, as for `value_and_grad`.

    Returns
    -------
    callable
        Takes what ``function`` takes; returns an array of shape ``argument.shape * 2``, or of a
        nest the nest of such nests.

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
    The gradient's vector-Jacobian product, for the Hessian is symmetric (Pearlmutter, "Fast exact
    multiplication by the Hessian", 1994).

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> ag.hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.5]))
    array([6., 6.])
    """
    return vjp(grad(function), x)[1](v)[0]
