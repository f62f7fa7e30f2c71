"""The account of memory: which elements of arrays were written in place, and when."""

from __future__ import annotations

import traceback
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from types import SimpleNamespace
from typing import Any

import numpy as np

PACKAGE = str(Path(__file__).parent)
MOST = 100  # so many places of one memory are told apart, of more it counts as written as a whole


def warn_of_kept_graph() -> None:
    """Say that a running total of losses keeps the graph of each, once for each line."""
    files = [call.filename for call in reversed(traceback.extract_stack())]
    level = next((i for i, x in enumerate(files, start=1) if not x.startswith(PACKAGE)), 1)
    warnings.warn(
        "a loss that has gone backward is used in a new computation, which keeps all that it was "
        "computed from: for a running total write total += float(loss)",
        UserWarning,
        stacklevel=level,
    )


class Writes:
    """Which elements were written in place, and when: backward must not use what was there before.

    A write is booked on the memory, not on the array object that happened to be used: a view is
    soon gone, and what was written through it stays.  It takes a serial number from the same
    counter as the nodes of the graph, so "written after it was saved" is one comparison.  An
    account ends with the array that owns the memory; if something else does, nobody knows when
    that ends, and it stays.

    Parameters
    ----------
    next_serial : callable
        Gives the next number.
    """

    def __init__(self, next_serial: Callable[[], int]) -> None:
        self.newest = -1
        self._next_serial = next_serial
        self._lock = RLock()  # a finaliser may write while a write is being booked
        self._accounts: dict[int, Any] = {}  # of owners: the latest write, and that of each place
        self._unowned: dict[int, Any] = {}  # likewise, of memory that no array owns
        self._by_array: dict[int, tuple[Any, Any, Any]] = {}

    def note(self, array: Any) -> None:
        """Remember that an array is being written, or has just been."""
        with self._lock:
            entry = self._by_array.get(id(array)) or self._entry(array)
            self.newest = entry[1].serial = entry[2].serial = self._next_serial()

    def _entry(self, array: Any) -> tuple[Any, Any, Any]:
        """An array, the account that writes into it are booked on, and the place there."""
        owner, key = owner_of(array), id(array)
        account = self._account(owner)
        if len(account.places) > MOST and isinstance(owner, np.ndarray):
            account.places = {place_of(owner): SimpleNamespace(serial=account.serial)}
            known = self._by_array.items()  # of which the places are no longer there
            self._by_array = {k: entry for k, entry in known if entry[1] is not account}
        place = account.places.setdefault(place_of(array), SimpleNamespace(serial=-1))
        alive = weakref.ref(array, lambda _: self._by_array.pop(key, None))
        self._by_array[key] = alive, account, place
        return self._by_array[key]

    def _account(self, owner: Any) -> Any:
        """The account of an owner, a new one if there is none."""
        key, accounts = id(owner), self._accounts if owns_memory(owner) else self._unowned
        if key not in accounts:
            accounts[key] = SimpleNamespace(serial=-1, places={}, end=None)
            if owns_memory(owner):
                accounts[key].end = weakref.ref(owner, lambda _: accounts.pop(key, None))
        return accounts[key]

    def since(self, array: Any, serial: int) -> bool:
        """Whether an element of an array was written after a serial number."""
        if not isinstance(array, np.ndarray):
            account = self._unowned.get(id(array))
            return account is not None and account.serial > serial
        owner = owner_of(array)
        accounts = list(self._unowned.values())  # other threads write meanwhile
        if not owns_memory(owner):
            accounts += self._accounts.values()
        elif id(owner) in self._accounts:
            accounts.append(self._accounts[id(owner)])
        for account in accounts:
            for place, latest in list(account.places.items()) if account.serial > serial else ():
                if latest.serial > serial and place and np.shares_memory(elements_at(place), array):
                    return True
        return False

    def check(self, node: Any) -> None:
        """Raise if an array that a node saved has been written since."""
        for saved in node.saved or ():
            if saved is not None and self.since(saved, node.serial):
                raise RuntimeError(
                    f"{node.primitive} saved an array of shape {saved.shape} for its derivative, "
                    f"and it was changed in place since, by an update or w.data = ...: its "
                    f"gradient would be wrong. Run the forward pass again after the update"
                )


def owns_memory(owner: Any) -> bool:
    """Whether an object is an array whose memory ends with it."""
    return isinstance(owner, np.ndarray) and bool(owner.flags.owndata)


def owner_of(array: Any) -> Any:
    """The array that others are views of, or what its memory was taken from."""
    while isinstance(array, np.ndarray | memoryview):
        base = array.base if isinstance(array, np.ndarray) else array.obj
        if base is None:
            break
        array = base
    return array


def settled(array: Any) -> Any:
    """An array that has arrived, in memory of arrays that can be written: if need be, a copy."""
    if not isinstance(array, np.ndarray):
        return array
    return array if array.flags.writeable and owns_memory(owner_of(array)) else array.copy("K")


def place_of(array: Any) -> tuple[Any, ...]:
    """Where the elements of an array lie: address, shape, strides, size; unknown if no ndarray."""
    if not isinstance(array, np.ndarray):
        return ()
    return array.__array_interface__["data"][0], array.shape, array.strides, array.itemsize


def elements_at(place: tuple[Any, ...]) -> Any:
    """An array that looks at a place in memory, to be compared with others, and never read."""
    address, shape, strides, size = place
    facts = {"data": (address, True), "shape": shape, "strides": strides, "typestr": f"|V{size}"}
    return np.asarray(SimpleNamespace(__array_interface__={**facts, "version": 3}))
