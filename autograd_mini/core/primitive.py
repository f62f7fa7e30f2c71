r"""What an op is, and the little language in which its derivative is written.

An op is a forward function, its *kernel*, and for each operand one line of ordinary NumPy, its
*rule*, that takes the cotangent of the output back to that operand.  One expression says it all::

    tanh = elementwise(np.tanh, r"\tanh $x", x=lambda g, y: g * (1 - np.square(y)))

Rules are keyed by the operand's name, and **a rule's parameter list is its save-for-backward
list**: what a rule does not name, the graph does not keep.

=====================  =======================================================  =============
a rule may ask for     and gets                                                 the graph keeps
=====================  =======================================================  =============
``g`` (always first)   the cotangent of the output                              nothing
``y``                  the output                                               the output
an operand's name      that operand's value                                     that operand
a static's name        the value of that keyword                                nothing
``like``               what has the operand's ``shape`` and ``dtype``           nothing
``i``, ``likes``       (ops of any number of operands) which one, all ``like``  nothing
=====================  =======================================================  =============

The declaration also says of what *kind* an op is, for pictures, formulas and checks:

===============  ===========================================================================
kind             what comes out
===============  ===========================================================================
``elementwise``  operands broadcast; an element comes from the elements at its place
``reduction``    elements along static ``axis`` become one; a single one stays what it is
``permutation``  the axes in the order of static ``axes``
``reshape``      the same elements in the static ``shape``
``broadcast``    elements repeated to the static ``shape``
``copy``         the same elements
``cast``         the same elements in the static ``dtype``
``join``         operands one after the other along the static ``axis``
``index``        the elements at static ``key``, in which operands stand for index arrays
``scatter``      zeros of the static ``shape``, with elements added at ``key``
``product``      sums of products: matrices, or stacks of them
``window``       what windows show; they lie side by side if the static ``stride`` is None
``write``        the operand, written into the static ``out`` at the static ``key``
``constant``     what depends on the operand's shape and dtype alone
``other``        none of these
===============  ===========================================================================

The rule above keeps the output of ``tanh`` and nothing else.  What a line means is decided by what
it is run on: ndarrays give a fast backward pass, Tensors that record give a derivative that can be
differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import accumulate
from operator import itemgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..border import Operand, as_array, operand
from ..signatures import Called, Signature
from ..travel import Named

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)
Template = str | Callable[..., str]
RESERVED = ("g", "y", "like", "likes", "i")
OUTPUT = -1  # where Node.saved holds the output, behind the operands
# fmt: off
KINDS: dict[str, tuple[str, ...]] = {  # each with the statics that it goes by; see the table above
    "elementwise": (), "reduction": ("axis", "keepdims"), "permutation": ("axes",),
    "reshape": ("shape",), "broadcast": ("shape",), "copy": (), "cast": ("dtype",),
    "join": ("axis",), "index": ("key",), "scatter": ("key", "shape"), "product": (),
    "window": (), "write": (), "constant": (), "other": ()}
# fmt: on

#: NumPy's functions that Tensors understand, each with the primitive or composite that it runs.
implementations: dict[Any, Any] = {}


class Like(NamedTuple):
    """The shape and dtype of an operand whose value was not kept."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Likes(list[Like]):
    """What there is instead of any number of operands."""

    @cached_property
    def starts(self) -> list[list[int]]:
        """Along each axis, where each of them begins in the concatenation of all."""
        lengths = zip(*[like.shape for like in self], strict=False)
        return [[0, *accumulate(along)] for along in lengths]


class Rule(NamedTuple):
    """One line of calculus: the cotangent of one operand, from what the line asks for."""

    function: Function
    wishes: tuple[int | str, ...]  # a position in Node.saved, or a name to look up
    fetch: Callable[[tuple[Any, ...]], Any] | None  # all wishes at once, if all are positions


class Keeps(dict[tuple[bool, ...], Any]):
    """Which operands are differentiated -> what picks the values to keep, None if there are none.

    It picks from ``(None, operands..., output)``: None where no rule wishes for a value.
    """

    def __init__(self, primitive: Primitive) -> None:
        self.primitive = primitive

    def __missing__(self, recorded: tuple[bool, ...]) -> Any:
        primitive = self.primitive
        wished = primitive.wished([i for i, wanted in enumerate(recorded) if wanted])
        if primitive.variadic and primitive.operands[-1] in wished:
            wished.update(range(len(primitive.operands) - 1, len(recorded)))
        kept = [(i + 1) * (i in wished) for i in range(len(recorded))]
        kept.append((len(recorded) + 1) * (OUTPUT in wished))
        result = itemgetter(*kept) if any(kept) else None
        if not primitive.variadic:  # the patterns of any number of operands are not worth a cache
            self[recorded] = result
        return result


class Primitive(Named, Called):
    """An op: how it is computed, how it is written, and its derivative by each operand.

    Made by `elementwise` and `primitive`; called like its kernel.  Called on arrays alone it *is*
    its kernel; if a Tensor is among the operands, the call is recorded.

    Attributes
    ----------
    name : str
        The kernel's name.
    kernel : callable
        Computes the output from operands (positional) and statics (keywords).
    template : str or callable
        How the op is written in LaTeX, a `string.Template` over the operands; or a function of the
        operands that returns one, where it depends on their shapes.
    python : str or None
        How the call is written in Python, a template likewise (``"$a + $b"``), or the name of a
        function (``"np.abs"``).  None: by the name under which it is found.
    kind : str
        One of `KINDS`, which says what they mean.
    operands : tuple of str
        The names of the operands; if ``variadic``, the last one stands for any number of them.
    defaults : dict
        The statics that have a default value, with it.
    statics : tuple of str
        The names of all statics.
    rules : tuple of (Rule or None)
        One for each of ``operands``, None where the op cannot be differentiated by it; empty if
        it cannot be differentiated at all, and then its calls are not recorded.
    analytic : bool
        Whether the op is a complex-analytic function, so that the complex step holds for it.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> cube = ag.elementwise(lambda x: x**3, "$x^3", name="cube", x=lambda g, x: g * 3 * x**2)
    >>> t = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> cube(t).sum().backward()
    >>> t.grad
    Tensor([ 3., 12.], dtype=float64)
    """

    __signature__ = Signature()

    # fmt: off
    def __init__(self, kernel: Any, template: Any, rules: Any, name: str, kind: str,
                 python: str | None, analytic: bool) -> None:
        # fmt: on
        self.name = self.__name__ = name
        self.__doc__ = kernel.__doc__
        self.kernel = kernel
        self.template = template
        self.python = python
        self.kind = kind
        self.operands, self.statics, self.defaults, self.variadic = parameters_of(kernel)
        self.least = len(self.operands) - self.variadic  # how many operands a call has at least
        self.analytic = analytic
        if kind not in KINDS or not {*KINDS[kind]} <= {*self.statics}:
            raise TypeError(f"{name}: kind={kind!r} and statics {self.statics}; KINDS are {KINDS}")
        if reserved := {*RESERVED}.intersection(self.operands + self.statics):
            raise TypeError(f"{name}: {reserved} cannot be parameters: only rules use these words")
        if strangers := rules.keys() - {*self.operands}:
            raise TypeError(f"{name}: rules for {strangers}, but the operands are {self.operands}")
        self.rules: Any = rules and tuple(
            self._read(rules[operand], operand) if operand in rules else None
            for operand in self.operands
        )
        self.keeps = Keeps(self)

    def _read(self, rule: Function, operand: str) -> Rule:
        """Turn the names in a rule's parameter list into places where its values will be."""
        code = getattr(rule, "__code__", None)
        names = code.co_varnames[: code.co_argcount] if code else ()
        places: dict[str, int | str] = {name: i for i, name in enumerate(self.operands)}
        places |= {name: name for name in ("like", *self.statics)}
        if self.variadic:
            places |= {name: name for name in ("likes", "i", self.operands[-1])}
        places["y"] = OUTPUT
        if names[:1] != ("g",) or not places.keys() >= {*names[1:]}:
            raise TypeError(
                f"{self.name}: the rule for {operand} takes ({', '.join(names)}); it must take g "
                f"first, and then can ask for {', '.join(places)}"
            )
        wishes = tuple([places[name] for name in names[1:]])
        at_once = wishes and all(isinstance(wish, int) for wish in wishes)
        fetch: Any = itemgetter(*wishes) if at_once else None
        return Rule(rule, wishes, fetch)

    def rule(self, position: int) -> Rule:
        """The rule for the operand at a position of the call."""
        position = min(position, len(self.rules) - 1)
        rule: Rule | None = self.rules[position]
        if rule is None:
            operand = self.operands[position]
            raise TypeError(
                f"{self.name} has no derivative with respect to its operand {operand!r}, which "
                f"wants a gradient: pass {operand}.detach(), or declare a rule for it"
            )
        return rule

    def wished(self, positions: list[int]) -> set[int | str]:
        """All that the rules for the operands at these positions ask for."""
        return {wish for position in positions for wish in self.rule(position).wishes}

    def completed(self, statics: dict[str, Any]) -> dict[str, Any]:
        """The statics of a call, with defaults for those that are not given."""
        strange = [k for k, v in statics.items() if k not in self.statics or isinstance(v, Operand)]
        if strange:
            raise TypeError(
                f"{self.name} takes no such keyword argument for Tensors: {', '.join(strange)}; it "
                f"takes {self.statics}, and no Tensors there, for no gradient would reach them"
            )
        return {**self.defaults, **statics}

    if not TYPE_CHECKING:  # pragma: no branch - where it is what Called says

        def __call__(self, *operands: Any, **statics: Any) -> Any:
            """Run the kernel, and record the call if a Tensor is among the operands."""
            if len(operands) < self.least:
                named = [name for name in self.operands[len(operands) :] if name in statics]
                operands += tuple([statics.pop(name) for name in named])
            for x in operands:
                if isinstance(x, Operand):
                    return x._apply(self, operands, statics)
            look = operand if len(operands) > 1 else as_array  # see NEP 50
            arrays = [x if x.__class__ is np.ndarray else look(x) for x in operands]
            return self.kernel(*arrays, **statics)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def parameters_of(
    kernel: Function,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Any], bool]:
    """Operands (positional), statics (keyword-only), their defaults, and whether variadic."""
    if isinstance(kernel, np.ufunc) and kernel.nin < 3 and kernel.nout == 1:
        return (("x",), ("a", "b"))[kernel.nin - 1], (), {}, False
    plain = getattr(
        kernel, "__wrapped__", kernel
    )  # inside NumPy's dispatcher of __array_function__
    if not isinstance(plain, FunctionType):
        raise TypeError(f"the parameters of {kernel!r} cannot be read: wrap it in a def or lambda")
    code, names = plain.__code__, plain.__code__.co_varnames
    variadic = bool(code.co_flags & 0x04)  # inspect.CO_VARARGS
    end = code.co_argcount + code.co_kwonlyargcount
    operands = (
        names[: code.co_argcount - len(plain.__defaults__ or ())] + names[end : end + variadic]
    )
    statics = tuple(name for name in names[code.co_argcount : end] if name != "out")
    return operands, statics, dict(plain.__kwdefaults__ or {}), variadic


def elementwise(
    kernel: Function, template: Template, python: str | None = None, **rules_and_options: Any
) -> Primitive:
    r"""Declare an op that works element by element, with broadcasting.

    Parameters
    ----------
    kernel : numpy.ufunc or callable
        The forward function.  A ufunc's operands are called ``x``, or ``a`` and ``b``; those of
        another function are its positional parameters, its keyword-only parameters are statics.
    template : str or callable
        How the op is written in LaTeX, with ``$x`` for the operand ``x``; or a function of the
        operands that returns this.
    python : str, optional
        How it is written in Python, if not as a function of its name: ``"$a + $b"``.
    **rules_and_options : callable
        For each operand to be differentiated, ``lambda g, ...`` as in the table of
        `autograd_mini.core.primitive`.  Rules need not sum over broadcast axes or mind dtypes: the
        engine does.  The options ``name``, ``numpy`` (by default the kernel, if it is a function of
        NumPy) and ``analytic`` are those of the function `primitive`.

    Returns
    -------
    Primitive

    Raises
    ------
    TypeError
        If a rule is for, or asks for, something that the op does not have.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> sinc = ag.elementwise(
    ...     np.sinc, r"\mathrm{sinc}\,$x", x=lambda g, x, y: g * (np.cos(np.pi * x) - y) / x
    ... )
    >>> t = ag.Tensor([0.5, 1.0], requires_grad=True)
    >>> np.sinc(t).sum().backward()
    >>> t.grad
    Tensor([-1.27323954, -1.        ], dtype=float64)

    The templates are what formulas and programs show:

    >>> mean_of_two = ag.elementwise(
    ...     lambda a, b: (a + b) / 2, r"\frac{$a + $b}{2}", "($a + $b) / 2", name="mean_of_two",
    ...     a=lambda g: g / 2, b=lambda g: g / 2,
    ... )
    >>> from autograd_mini.formulas import named, write
    >>> write(mean_of_two(named("A", np.ones(3)), named("B", np.ones(3))), "python")
    '(A + B) / 2'
    """
    numpy = None if isinstance(kernel, FunctionType) else kernel
    options: Any = {"numpy": numpy, **rules_and_options, "kind": "elementwise"}
    return primitive(template, python, **options)(kernel)


def primitive(
    template: Template,
    python: str | None = None,
    *,
    name: str | None = None,
    numpy: Function | None = None,
    kind: str = "other",
    analytic: bool = True,
    **rules: Function,
) -> Callable[[Function], Primitive]:
    r"""Declare any op: a decorator of its kernel.

    Positional parameters of the kernel are operands (arrays), keyword-only ones are statics;
    ``*xs`` takes any number of operands.  Unless the op is of the kind "elementwise", a rule must
    give a cotangent of exactly its operand's shape, which it finds as ``like.shape``: the engine
    does not sum, for that would hide a wrong rule.

    Parameters
    ----------
    template, python, **rules
        As for the function `elementwise`.
    numpy : callable, optional
        The NumPy function that shall run this op on Tensors.
    name : str, optional
        The op's name, by default the kernel's.
    kind : str
        One of `KINDS`: what pictures, formulas and checks may know of it.
    analytic : bool
        Whether the op is a complex-analytic function (``abs`` and ``maximum`` are not).

    Returns
    -------
    callable
        A decorator that makes a `Primitive` from a kernel.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> @ag.primitive(r"\mathrm{reverse}($x)", x=lambda g: reverse(g))
    ... def reverse(x):
    ...     return x[::-1]
    >>> ag.grad(lambda x: (reverse(x) * np.array([1.0, 2.0])).sum())(np.array([5.0, 5.0]))
    array([2., 1.])
    """

    def declare(kernel: Function) -> Primitive:
        called = name or str(getattr(kernel, "__name__", kernel))
        declared = Primitive(kernel, template, rules, called, kind, python, analytic)
        if numpy is not None:
            implementations[numpy] = declared
        return declared

    return declare


def composite(*numpy: Function) -> Callable[[F], F]:
    """Let Tensors run NumPy's functions ``numpy`` by the decorated one, written in other ops.

    It takes the parameters that NumPy's function has, in the same order, as far as they are
    supported.

    Parameters
    ----------
    *numpy : callable
        The NumPy functions, such as ``np.mean``.

    Returns
    -------
    callable
        A decorator that returns its function unchanged.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> @ag.composite(np.ptp)
    ... def ptp(a, axis=None):
    ...     return np.max(a, axis=axis) - np.min(a, axis=axis)
    >>> ag.grad(np.ptp)(np.array([1.0, 5.0, 3.0]))
    array([-1.,  1.,  0.])
    """

    def declare(function: F) -> F:
        implementations.update(dict.fromkeys(numpy, function))
        return function

    return declare
