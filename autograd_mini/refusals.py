"""What is said where something cannot be done: what was wrong, and what to do instead."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from typing import Any

from .border import NO_MASKS, Operand
from .core.graph import in_progress, listening, newest_first
from .core.primitive import implementations


def described(operand: Any) -> str:
    """An operand as an error message names it."""
    shape = getattr(operand, "shape", None)
    if shape is None:
        return repr(operand)
    name = getattr(operand, "name", None)
    kind = getattr(operand, "dtype", type(operand).__name__)  # a DataFrame has one a column
    return f"{name + ' of ' if name else ''}shape {shape} {kind}"


def name_of(function: Any) -> str:
    """A function of NumPy or SciPy as people write it."""
    name, home = function.__name__, getattr(function, "__module__", None)
    for library in ("scipy.special", "numpy"):  # a ufunc does not say where it is from
        if getattr(sys.modules.get(library), name, None) is function:
            home = library
    return f"{home}.{name}".replace("numpy", "np", 1) if home else str(name)


def without_rule(function: Any, method: str = "__call__") -> TypeError:
    """What to say of a function that does not work on Tensors."""
    return TypeError(
        f"{name_of(function)}{'' if method == '__call__' else '.' + method} has no derivative "
        f"here. Declare one (ag.elementwise, ag.primitive), write it in terms of other functions "
        f"(ag.composite), or call it on t.detach() or t.data, where no gradient flows"
    )


#: Who may know a function that nobody has called before, and then declares it.
declare_more: list[Callable[[Any], None]] = []


def declare_late(function: Any, method: str = "__call__") -> None:
    """Have a function declared that is not known yet, or raise."""
    for declare in declare_more if method == "__call__" else ():
        declare(function)
    if method != "__call__" or function not in implementations:
        raise without_rule(function, method)


def without_gradient(tensor: Any) -> AttributeError:
    """What to say of the gradient of a result, which nobody has asked for."""
    return AttributeError(
        f"the tensor {described(tensor)} was computed by {tensor._node.primitive.name}, and "
        f"gradients are written on leaves. To update a weight and have a leaf again, write `with "
        f"ag.no_grad(): W -= rate * W.grad`; for the gradient of what is computed, t.retain_grad() "
        f"before backward, or ag.gradients"
    )


def refuse_history(tensor: Any) -> None:
    """Raise if a Tensor is recorded: a plain array would lose what it was computed from."""
    node = tensor._node
    if node is not None:
        raise TypeError(
            f"the {'tensor' if node.primitive else 'leaf'} {described(tensor)} "
            f"{'has a history' if node.primitive else 'wants a gradient'}, which np.array(t), "
            f"arr[...] = t and arr.dot(t) would silently cut off. Write float(t), t.detach() or "
            f"t.data for the numbers, np.stack([t, ...]) to join tensors; np.dot(arr, t), "
            f"df.to_numpy() @ t and S.toarray() @ t keep the gradient"
        )


ASSIGNMENT = "arr[0] = t"


def asked_by(depth: int) -> str:
    """The module that called a method of a Tensor, or that it was an element of an array to be."""
    frame = sys._getframe(depth)
    if frame.f_code.co_code[frame.f_lasti] == dis.opmap["STORE_SUBSCR"]:
        return ASSIGNMENT
    return str(frame.f_globals.get("__name__", ""))


def refuse_masks_and_history(tensor: Any) -> None:
    """Raise if an array is asked for that would lose what the Tensor, or another array, means."""
    asking = asked_by(3)
    if asking.startswith("numpy.ma"):  # a masked array on the left, or its own functions
        raise TypeError(NO_MASKS)
    if not asking.startswith("numpy.testing"):  # which compares numbers, and cuts no graph
        refuse_history(tensor)


def refuse_numpy(tensor: Any) -> None:
    """Raise if NumPy makes a number of a recorded Tensor, to write it into an array of its own."""
    if tensor._node is not None:
        asking = asked_by(3)
        if asking.startswith(("numpy.", ASSIGNMENT)) and not asking.startswith("numpy.testing"):
            refuse_history(tensor)


def refuse_computed(tensor: Any, what: str) -> None:
    """Raise if a Tensor is not a leaf."""
    if tensor._node is not None and tensor._node.primitive is not None:
        raise RuntimeError(
            f"{what} leaves only, and the tensor {described(tensor)} was computed by "
            f"{tensor._node.primitive.name}: t.detach() leaves the graph, t.copy() stays "
            f"in it"
        )


def refuse_other_than_tensors(what: str, thing: Any) -> None:
    """Raise if something is not a Tensor."""
    if not isinstance(thing, Operand):
        raise TypeError(f"{what} takes Tensors, not {type(thing).__name__} {thing!r:.80}")


def refuse_varied(tensor: Any) -> None:
    """Raise if a Tensor depends on what a function is just being differentiated by."""
    if in_progress and tensor._node and not in_progress.isdisjoint(newest_first(tensor._node)):
        raise TypeError(
            f"a number taken out of {described(tensor)}, by which this function is being "
            f"differentiated, would be a constant: leave it a Tensor, and write np.sqrt(t) for "
            f"math.sqrt(t). If a constant is meant, write t.detach()"
        )


def refuse_recorded(*written: Any) -> None:
    """Raise if one of the Tensors that take part in a write in place is recorded."""
    for tensor in written if listening().recording else ():
        if getattr(tensor, "_node", None) is not None:
            raise RuntimeError(
                f"writing in place would cut {described(tensor)} out of the graph. Build a new "
                f"tensor: a = a + b, not a += b or out=a; np.where(mask, v, t) or np.stack of the "
                f"parts, not t[...] = v. To update weights, write in `with ag.no_grad():`"
            )
