"""The saved state of modules, optimisers and schedules: named arrays, taken over all or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..border import as_array
from ..core.graph import Array
from ..core.tensor import Tensor, assign, unwrapped
from .checks import is_read_only


class Stateful:
    """Something whose state can be saved as named arrays, and read back to go on from there."""

    def _state(self) -> dict[str, Tensor]:
        """The Tensors that make up the state, by name."""
        raise NotImplementedError

    def _objections(self, given: Mapping[str, Array]) -> Iterator[str]:
        """What speaks against a state whose names, shapes and dtypes fit."""
        return iter(())

    def state_dict(self) -> dict[str, Array]:
        """Copies of all arrays of the state: of a module, its parameters and buffers.

        Returns
        -------
        dict of str to ndarray

        Raises
        ------
        ValueError
            If two arrays have the same name, as can happen with dots in the keys of a dict.

        Examples
        --------
        >>> from autograd_mini import nn
        >>> state = nn.Linear(3, 2, rng=np.random.default_rng(0)).state_dict()
        >>> {name: array.shape for name, array in state.items()}
        {'weight': (2, 3), 'bias': (2,)}
        """
        return {name: tensor.data.copy() for name, tensor in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Overwrite the state, in its own arrays: all of it, or nothing.

        Parameters
        ----------
        state : mapping of str to array_like
            What `state_dict` gave: the same names and shapes, and dtypes that convert to those
            here without loss.  Of an optimiser or a schedule it has the rate and what is
            remembered, but not the hyperparameters: make it with the same ones.

        Raises
        ------
        TypeError
            If ``state`` is not a mapping.
        ValueError
            If names, shapes or dtypes do not fit, an array here is read-only, or a number is
            impossible, such as a learning rate that is negative; it lists all that is wrong, and
            nothing has been changed.

        Examples
        --------
        >>> from autograd_mini import nn
        >>> one, other = [nn.Linear(3, 2, rng=np.random.default_rng(seed)) for seed in (0, 1)]
        >>> one.load_state_dict(other.state_dict())
        >>> np.array_equal(one.weight.data, other.weight.data)
        True
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"a state is a dict of arrays by name, as {type(self).__name__}.state_dict() gives "
                f"it, not {state!r:.80}"
            )
        own = self._state()
        given = {name: as_array(unwrapped(value)) for name, value in state.items()}
        wrong = list(differences(own, given)) or list(self._objections(given))
        if wrong:
            raise ValueError(
                f"this state does not fit {type(self).__name__}, and nothing was loaded: "
                + "; ".join(wrong)
            )
        copies = {name: given[name].copy() for name in own}  # they may be our own arrays
        for name, tensor in own.items():
            assign(tensor, copies[name])


def differences(own: Mapping[str, Tensor], given: Mapping[str, Array]) -> Iterator[str]:
    """What keeps arrays from taking the place of others, in words."""
    if missing := [name for name in own if name not in given]:
        yield f"missing are {', '.join(missing)}"
    if strange := [str(name) for name in given if name not in own]:
        yield f"unexpected are {', '.join(strange)}"
    for name, here in own.items():
        there = given.get(name, here)
        if here.shape != there.shape:
            yield f"{name} has shape {there.shape}, and here {here.shape}"
        elif not np.can_cast(there.dtype, here.dtype, "safe"):
            yield f"{name} is {there.dtype}, and here {here.dtype}"
        if is_read_only(here):
            yield f"{name} is read-only here"
