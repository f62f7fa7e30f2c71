"""Module: a function with parameters, which it finds among its own attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self, overload

import numpy as np

from ..core.graph import listening
from ..core.tensor import Tensor
from ..trace import is_computed
from .state import Stateful

Found = tuple[str, Any]


def joined(name: str, part: str) -> str:
    """The name of a part of something that has a name."""
    return f"{name}.{part}" if name else part


def parts(thing: Any) -> Iterator[Found]:
    """What a module or a container holds, with the names there."""
    if isinstance(thing, Module):
        return ((name, part) for name, part in vars(thing).items() if not name.startswith("_"))
    if isinstance(thing, dict):
        return ((str(key), part) for key, part in thing.items())
    if isinstance(thing, list | tuple):
        return ((str(i), part) for i, part in enumerate(thing))
    return iter(())


def walk(thing: Any, name: str, seen: set[int]) -> Iterator[Found]:
    """All modules, leaf Tensors and random generators in a thing, each once, with their names."""
    if id(thing) in seen or is_computed(thing):
        return
    seen.add(id(thing))
    if isinstance(thing, Module | Tensor | np.random.Generator):
        yield name, thing
    for part_name, part in parts(thing):
        yield from walk(part, joined(name, part_name), seen)


def refuse_computed_attributes(module: Module) -> None:
    """Raise if an attribute looks like a parameter, but is a result that no optimiser changes."""
    for name, part in parts(module):
        if is_computed(part):
            raise RuntimeError(
                f"{type(module).__name__}.{name} was computed by {part._node.primitive.name} and "
                f"cannot be trained: write ag.Tensor(0.01 * array, requires_grad=True) for a "
                f"parameter, and self._{name} for a result that is only remembered"
            )


def without_history(thing: Any, around: tuple[Any, ...] = ()) -> Any:
    """What a module remembers, as a copy has it: the numbers of results, but not their history."""
    if is_computed(thing):
        return thing.detach()
    if type(thing) not in (list, tuple, dict) or any(thing is outer for outer in around):
        return thing
    old = [*(thing.values() if isinstance(thing, dict) else thing)]
    new = [without_history(part, (*around, thing)) for part in old]
    if all(a is b for a, b in zip(old, new, strict=True)):
        return thing
    return dict(zip(thing, new, strict=True)) if isinstance(thing, dict) else type(thing)(new)


class Module(Stateful):
    """A function with parameters: the base of all layers and networks.

    A subclass sets its parameters, buffers and layers as attributes and defines ``forward``; it
    need not call ``super().__init__()``.  What it is made of is found by a walk through its
    attributes in the order in which they were first set, and through lists, tuples and dicts:

    - a Tensor with ``requires_grad`` is a *parameter*: optimisers change it;
    - a Tensor without is a *buffer*: it is saved, but not trained (so is a parameter that is
      frozen with ``requires_grad = False``);
    - a Module is a layer, with parts of its own;
    - an attribute whose name begins with ``_`` is none of these, nor is a computed Tensor in a
      list or dict.  A computed Tensor that is an attribute of its own is refused where parameters
      are asked for: what shall be trained has no history, and what a call remembers has the ``_``.

    A copy by ``copy.deepcopy`` or pickle has parameters of its own, and the numbers of what a call
    remembers, of which nothing depends on them.

    Names are those of the attributes, with dots: ``"layers.0.weight"``.  What occurs twice is
    listed once, under its first name.

    Attributes
    ----------
    training : bool
        Whether layers such as `Dropout` behave as in training; set by `train` and `eval`.

    Examples
    --------
    >>> import numpy as np, autograd_mini as ag
    >>> from autograd_mini import nn
    >>> class Line(nn.Module):
    ...     def __init__(self):
    ...         self.slope = ag.Tensor(2.0, requires_grad=True)
    ...         self.offset = ag.Tensor(1.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(np.array([0.0, 1.0])).data
    array([1., 3.])
    >>> [name for name, parameter in line.named_parameters()]
    ['slope', 'offset']
    >>> line
    Line()  2 parameters
    """

    training: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "forward" and callable(getattr(Module, name, None)):
            raise AttributeError(
                f"{type(self).__name__}.{name} is a method that every module has: give the "
                f"{kind_of(value)} another name, such as {name}_ or layers"
            )
        super().__setattr__(name, value)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the outputs; every subclass defines its own.

        Raises
        ------
        NotImplementedError
            If a subclass does not.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say what it computes: give it a method "
            f"`def forward(self, x): ...`"
        )

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        """What ``forward`` makes of the inputs; observers are told which calls belong to it."""
        observers = listening().observers
        for observer in observers:
            observer.entering(self, self._walk())
        try:
            return self.forward(*inputs, **options)  # type: ignore[no-any-return]
        except Exception as error:
            for observer in observers:
                observer.failed(error, type(self).__name__, inputs)
            raise
        finally:
            for observer in observers:
                observer.leaving()

    # -- what it is made of --

    def _walk(self) -> Iterator[Found]:
        """The module and all modules, leaf Tensors and generators in it, with their names."""
        return walk(self, "", set())

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All leaf Tensors in it, with their names."""
        for name, part in self._walk():
            if isinstance(part, Tensor):
                yield name, part
            elif isinstance(part, Module):
                refuse_computed_attributes(part)

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """All Tensors that are trained, with their names.

        Returns
        -------
        list of (str, Tensor)

        Raises
        ------
        RuntimeError
            If an attribute whose name does not begin with ``_`` is a computed Tensor.
        """
        return [(name, tensor) for name, tensor in self._tensors() if tensor.requires_grad]

    def parameters(self) -> list[Tensor]:
        """All Tensors that are trained, as optimisers take them.

        Returns
        -------
        list of Tensor
        """
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self) -> list[tuple[str, Tensor]]:
        """All Tensors that belong to the state but are not trained, with their names.

        Returns
        -------
        list of (str, Tensor)
        """
        return [(name, tensor) for name, tensor in self._tensors() if not tensor.requires_grad]

    def named_modules(self) -> list[tuple[str, Module]]:
        """The module itself, whose name is empty, and all modules in it, with their names.

        Returns
        -------
        list of (str, Module)
        """
        return [(name, module) for name, module in self._walk() if isinstance(module, Module)]

    def modules(self) -> list[Module]:
        """The module itself and all modules in it.

        Returns
        -------
        list of Module
        """
        return [module for _, module in self.named_modules()]

    def named_generators(self) -> list[tuple[str, np.random.Generator]]:
        """All random generators in it, with their names: a checkpoint holds their states.

        Returns
        -------
        list of (str, numpy.random.Generator)
        """
        return [(name, g) for name, g in self._walk() if isinstance(g, np.random.Generator)]

    # -- modes --

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` on this module and all modules in it.

        Parameters
        ----------
        mode : bool
            Whether they shall behave as in training.

        Returns
        -------
        Module
            This one.

        Examples
        --------
        >>> import numpy as np
        >>> from autograd_mini import nn
        >>> model = nn.Sequential(nn.Dropout(0.5, rng=np.random.default_rng(0)))
        >>> model.eval()(np.ones(3))
        array([1., 1., 1.])
        """
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """``train(False)``: behave as in use, not as in training.

        Returns
        -------
        Module
            This one.
        """
        return self.train(False)

    # -- state --

    def _state(self) -> dict[str, Tensor]:
        """All parameters and buffers by name."""
        state: dict[str, Tensor] = {}
        for name, tensor in self._tensors():
            if state.setdefault(name, tensor) is not tensor:
                raise ValueError(f"{type(self).__name__} has two tensors of the name {name!r}")
        return state

    # -- copies --

    def __getstate__(self) -> dict[str, Any]:
        refuse_computed_attributes(self)
        return {name: without_history(part) for name, part in vars(self).items()}

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))  # which shares all that this one has, histories too
        vars(twin).update(vars(self))
        return twin

    # -- how it looks --

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr: the arguments it was made with.

        Returns
        -------
        str
        """
        return ""

    def __repr__(self) -> str:
        rows = list(rows_of(self, "", "", {}))
        inner = [row for row in rows if row.number and not row.last]
        width = max([len(row.text) for row in inner], default=0)
        digits = max([len(row.number) for row in inner], default=0)
        lines = [
            f"{row.text}  {row.number}{row.words}"
            if row.last
            else f"{row.text:{width}}   {row.number:>{digits}}{row.words}"
            for row in rows
        ]
        return "\n".join([line.rstrip() for line in lines])


# ---- how modules look ---------------------------------------------------------------------------


class Row(NamedTuple):
    """A line of a repr, with the number of parameters; ``last`` says that it closes a module."""

    text: str
    number: str = ""
    words: str = ""
    last: bool = False


def counted(thing: Module | Tensor) -> tuple[str, str]:
    """How many numbers a thing holds, and in which words that is said."""
    tensors = [tensor for _, tensor in walk(thing, "", set()) if isinstance(tensor, Tensor)]
    trained = sum(tensor.size for tensor in tensors if tensor.requires_grad)
    fixed = sum(tensor.size for tensor in tensors if not tensor.requires_grad)
    if not trained:
        return (f"{fixed:,}", " not trained") if fixed else ("", "")
    words = " parameter" if trained == 1 else " parameters"
    return f"{trained:,}", words + (f", {fixed:,} not trained" if fixed else "")


def kind_of(thing: Any) -> str:
    """The name of a function, or of the class of a module."""
    return getattr(thing, "__name__", type(thing).__name__)


def shown(thing: Any, containers: set[int]) -> Iterator[Found]:
    """The parts of a module that its repr shows: layers, Tensors and functions."""
    for name, part in parts(thing):
        if isinstance(part, Module | Tensor) or (callable(part) and not isinstance(part, type)):
            yield name, part
        elif isinstance(part, dict | list | tuple) and id(part) not in containers:
            containers.add(id(part))
            for inner_name, inner in shown(part, containers):
                yield joined(name, inner_name), inner


def rows_of(thing: Any, name: str, path: str, seen: dict[int, str]) -> Iterator[Row]:
    """The lines of the repr of a part that has a name in its module, and a path from the top."""
    label = f"{name}: " if name else ""
    kind = kind_of(thing)
    if isinstance(thing, Tensor):
        yield Row(f"{label}Tensor of shape {thing.shape}", *counted(thing))
        return
    if not isinstance(thing, Module):
        yield Row(f"{label}{kind}")
        return
    if id(thing) in seen:
        yield Row(f"{label}the same {kind} as {seen[id(thing)] or 'the whole'}")
        return
    seen[id(thing)] = path
    inner, arguments = list(shown(thing, set())), thing.extra_repr()
    if all(isinstance(part, Tensor) for _, part in inner):
        yield Row(f"{label}{kind}({arguments})", *counted(thing), last=not path)
        return
    yield Row(f"{label}{kind}({arguments}{',' if arguments else ''}")
    for part_name, part in inner:
        for row in rows_of(part, part_name, joined(path, part_name), seen):
            yield row._replace(text="  " + row.text)
    yield Row(")", *counted(thing), last=True)


class Sequential(Module):
    """Layers one after the other.

    Parameters
    ----------
    *layers : Module or callable
        What is applied, in order: modules, or functions such as ``np.tanh`` and ``ag.relu``.
        Their names are ``"0"``, ``"1"``, ...

    Raises
    ------
    TypeError
        If one of them cannot be called, or is the class of a layer instead of a layer.
    AttributeError
        If one of them is to be replaced later.

    Notes
    -----
    ``model[1]`` is a layer, ``model[:2]`` a Sequential of the same layers, ``len(model)`` their
    number.  To change layers make a new one: ``nn.Sequential(*model[:2], other)``.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_mini import nn
    >>> rng = np.random.default_rng(0)
    >>> model = nn.Sequential(nn.Linear(784, 128, rng=rng), nn.ReLU(), nn.Linear(128, 10, rng=rng))
    >>> model
    Sequential(
      0: Linear(784, 128)   100,480 parameters
      1: ReLU()
      2: Linear(128, 10)      1,290 parameters
    )  101,770 parameters
    >>> model(np.zeros((5, 784))).shape
    (5, 10)
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(
                    f"layer {i} is the class {layer.__name__}: make one, {layer.__name__}(...)"
                )
            if not callable(layer):
                raise TypeError(
                    f"layer {i} is {layer!r:.80}, which cannot be called: give the layers one by "
                    f"one, nn.Sequential(first, second, ...)"
                )
        vars(self).update((str(i), layer) for i, layer in enumerate(layers))
        self._layers = layers

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse_to_change(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._refuse_to_change(name)
        super().__delattr__(name)

    def _refuse_to_change(self, name: str) -> None:
        """Raise if an attribute is a layer."""
        if name.isdecimal():
            raise AttributeError(
                f"the layers of a Sequential stay, also layer {name}: make a new Sequential of "
                f"them, such as nn.Sequential(*model[:{name}], other)"
            )

    def forward(self, x: Any) -> Any:
        """Apply the layers, one to the result of the other.

        Parameters
        ----------
        x : array_like or Tensor
            What the first layer takes.

        Returns
        -------
        Tensor or ndarray
            What the last layer gives.
        """
        i, layer = 0, None
        try:
            for i, layer in enumerate(self._layers):  # noqa: B007 - the note names it
                x = layer(x)
        except Exception as error:
            error.add_note(f"(in layer {i} of a Sequential, {kind_of(layer)})")
            raise
        return x

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Callable[[Any], Any]]:
        return iter(self._layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(*self._layers[index])
        return self._layers[index]
