"""NumPy's further functions: NumPy's values, right derivatives, no leak of float64, no overflow."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import every
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_mini as ag
from autograd_mini import numpy_functions
from autograd_mini.activations import elu, gelu, log_sigmoid, silu
from autograd_mini.core.graph import newest_first
from autograd_mini.core.primitive import implementations

#: NumPy 2.5 says so of a function that can be called all the same.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")

FUNCTIONS_OF_THE_MODULE = {
    numpy_function: stand_in
    for numpy_function, stand_in in implementations.items()
    if getattr(stand_in, "__module__", None) == numpy_functions.__name__
}

# ---- the table ----------------------------------------------------------------------------------


class X:
    """Stands in a row for an array of a shape, which is differentiated."""

    def __init__(self, *shape: int, low: float = -2.0) -> None:
        self.shape = shape
        self.low = low

    def __repr__(self) -> str:
        return f"X{self.shape}".replace(",)", ")")


class Row(NamedTuple):
    """One call of a function."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __repr__(self) -> str:
        options = [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.function.__name__}({', '.join([*map(repr, self.args), *options])})"

    def arrays(self) -> list[Any]:
        """Numbers for the places that stand for arrays, the same in each run."""
        random = np.random.default_rng(zlib.crc32(repr(self).encode()))
        places: list[X] = []
        put((self.args, self.kwargs), places.append)
        return [random.uniform(place.low, 2, place.shape) for place in places]

    def outputs(self, *arrays: Any) -> Any:
        """Call the function on arrays or Tensors."""
        rest = iter(arrays)
        args, kwargs = put((self.args, self.kwargs), lambda _: next(rest))
        return self.function(*args, **kwargs)

    def projection(self, *arrays: Any) -> Any:
        """The outputs made into one number, with the same weights in each run."""
        random = np.random.default_rng(1)
        total: Any = 0
        for y in listed(self.outputs(*arrays)):
            total = total + np.sum(y * random.uniform(-1, 1, np.shape(y)).astype(y.dtype))
        return total


def put(part: Any, value: Callable[[X], Any]) -> Any:
    """A structure with values in the places of arrays."""
    if isinstance(part, X):
        return value(part)
    if isinstance(part, dict):
        return {name: put(item, value) for name, item in part.items()}
    return type(part)([put(x, value) for x in part]) if type(part) in (list, tuple) else part


def listed(y: Any) -> list[Any]:
    """The outputs of a function of one or of many."""
    return list(y) if isinstance(y, list | tuple) else [y]


def row(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Row:
    """One row of the table."""
    return Row(function, args, kwargs)


def array(*values: Any) -> Any:
    """A constant operand, which prints in one line."""
    return np.array(values)


ELEMENT_BY_ELEMENT = [
    *[
        row(function, X(*a), X(*b))
        for function in (np.logaddexp, np.logaddexp2, np.hypot, np.arctan2, np.fmax, np.fmin)
        for a, b in [((), ()), ((3,), (2, 3)), ((2, 1), (3,)), ((0, 3), (3,))]
    ],
    *[row(function, X(2, 3), X(3)) for function in (np.fmod, np.copysign, np.heaviside)],
    row(np.logaddexp, X(3), 0),
    row(np.logaddexp, 1.0, X(3)),
    row(np.hypot, X(3), 2.0),
    row(np.arctan2, [1.0, 2.0], X(2)),
    row(np.fmax, X(2, 3), 0.5),
    row(np.float_power, X(2, 3, low=0.5), X(3)),
    row(np.float_power, X(3), 2),
    row(np.float_power, 2.0, X(3)),
    row(np.divmod, X(2, 3), X(3, low=0.5)),
    *[
        row(function, X(*shape))
        for function in (np.fabs, np.deg2rad, np.radians, np.rad2deg, np.degrees, np.conjugate)
        for shape in [(), (2, 3), (0,)]
    ],
    *[
        row(function, X(*shape))
        for function in (np.round, np.around, np.fix)
        for shape in [(), (5,)]
    ],
    row(np.round, X(5), 2),
    row(np.round, X(5), decimals=-1),
    row(np.around, X(5), decimals=1),
    *[
        row(function, X(*shape))
        for function in (elu, silu, gelu, log_sigmoid)
        for shape in [(), (2, 5)]
    ],
    row(elu, X(2, 5), 0.3),
    row(elu, X(0), alpha=2),
    row(np.sinc, X()),
    row(np.sinc, X(20)),
    row(np.sinc, X(0, 2)),
    row(np.nan_to_num, X(2, 3)),
    row(np.nan_to_num, X(), nan=1.0, posinf=2.0, neginf=3.0),
    row(np.where, array(True, False), X(2, 2), X(2)),
    row(np.where, array(True, False), X(2), 0.0),
    row(np.select, [array(True, False, True), array(True, True, False)], [X(3), X(2, 3)]),
    row(np.select, [array(True, False)], [X(2)], X()),
    row(np.select, [array(True, False)], [X(2)], default=3.0),
    row(np.clip, X(8), -1, 1),
    row(np.clip, X(8), None, 1.0),
    row(np.clip, X(8), a_min=0, a_max=1),
    row(np.clip, X(2, 8), X(8), X()),
    row(np.clip, X(0), 0, 1),
    row(np.polyval, X(4), X(2, 3)),
    row(np.polyval, [1.0, 2.0, 3.0], X()),
    row(np.polyval, X(3), 2.0),
    row(np.polyval, X(3), [2.0, 3.0]),
    row(np.polyval, X(0), X(2)),
]

if "min" in inspect.signature(np.clip).parameters:  # since NumPy 2.1
    ELEMENT_BY_ELEMENT += [row(np.clip, X(8), min=0), row(np.clip, X(8), min=-1.0, max=1.0)]

REDUCTIONS = [
    *[
        row(function, X(*shape), **options)
        for function in (np.ptp, np.median, np.average, np.prod, np.var, np.std)
        for shape, options in [
            ((5,), {}),
            ((2, 3, 2), {}),
            ((2, 3, 2), {"axis": 1}),
            ((2, 3, 2), {"axis": -1, "keepdims": True}),
            ((2, 3, 2), {"axis": (0, 2)}),
            ((2, 3, 2), {"axis": (-1, 0), "keepdims": True}),
            ((2, 3), {"keepdims": True}),
        ]
    ],
    *[row(function, X()) for function in (np.ptp, np.median, np.average, np.prod, np.var)],
    *[row(function, X(3, 0), 0) for function in (np.ptp, np.median, np.prod, np.var, np.std)],
    row(np.median, X(6), 0),
    row(np.prod, X(0)),
    row(np.prod, X(2, 0), 1),
    row(np.prod, X(7)),
    row(np.var, X(2, 3), 1, ddof=1),
    row(np.std, X(2, 3), -1, ddof=1.5, keepdims=True),
    row(np.average, X(2, 3), 1, X(3, low=0.5)),
    row(np.average, X(2, 3), weights=X(2, 3, low=0.5)),
    row(np.average, X(2, 3), axis=0, weights=[1.0, 3.0], keepdims=True),
    row(np.average, X(2, 3, 4), axis=(2, 0), weights=X(4, 2, low=0.5)),
    row(np.average, [1.0, 2.0], weights=X(2, low=0.5)),
    *[
        row(np.cumprod, X(*shape), *axis)
        for shape, axis in [((), ()), ((7,), ()), ((2, 3), ()), ((2, 5), (1,)), ((2, 3, 4), (-1,))]
    ],
    row(np.cumprod, X(0)),
    row(np.cumprod, X(2, 0), axis=-1),
    row(np.diff, X(5)),
    row(np.diff, X(2, 5), 2),
    row(np.diff, X(5, 2), n=3, axis=0),
    row(np.diff, X(5, 2), axis=-2),
    row(np.diff, X(2), 3),
    row(np.diff, X(2), 0),
    row(np.diff, X(0)),
    row(np.ediff1d, X(2, 3)),
    row(np.trapezoid, X(5)),
    row(np.trapezoid, X(3, 5), X(5)),
    row(np.trapezoid, X(5, 3), x=X(5), axis=0),
    row(np.trapezoid, X(5, 3), X(5, 3), axis=-2),
    row(np.trapezoid, X(2, 3), dx=0.5),
    row(np.trapezoid, [1.0, 2.0, 4.0], X(3)),
    *[
        row(np.linalg.norm, X(*shape), *args)
        for shape, args in [((5,), ()), ((2, 3), ()), ((2, 3), ("fro",)), ((2, 3), (None, 1))]
    ],
    *[row(np.linalg.norm, X(4), order) for order in (1, 2, 3, 1.5, -1, -2.5, 0, np.inf, -np.inf)],
    *[row(np.linalg.norm, X(2, 4), ord=order, axis=-1, keepdims=True) for order in (1, 3, np.inf)],
    row(np.linalg.norm, X(0), 3),
]

PRODUCTS = [
    *[
        row(np.dot, X(*a), X(*b))
        for a, b in [
            *[((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2))],
            *[((2, 3), (3, 4)), ((2, 2, 3), (3,)), ((2, 2, 3), (3, 2)), ((3,), (2, 3, 2))],
            *[((2, 3), (2, 3, 2)), ((2, 1, 3), (2, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3))],
            *[((0,), (0,)), ((2, 0), (2, 0, 3))],
        ]
    ],
    row(np.dot, X(2), 3.0),
    row(np.dot, [[1.0, 2.0], [3.0, 4.0]], X(2)),
    row(np.dot, X(2, 2), [1.0, 2.0]),
    *[
        row(np.inner, X(*a), X(*b))
        for a, b in [
            *[((), ()), ((), (2, 3)), ((3,), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3))],
            *[((2, 3), (4, 3)), ((2, 1, 3), (2, 2, 3)), ((2, 0), (3, 0))],
        ]
    ],
    *[
        row(function, X(*a), X(*b))
        for function in (np.outer, np.kron)
        for a, b in [((), ()), ((3,), (2,)), ((2, 3), (2,)), ((2,), (2, 1, 2)), ((0,), (2,))]
    ],
    row(np.kron, X(2, 3), X(3, 2)),
    row(np.outer, [1.0, 2.0], X(3)),
    *[
        row(np.vdot, X(*a), X(*b))
        for a, b in [((), ()), ((3,), (3,)), ((2, 3), (3, 2)), ((0,), (0,))]
    ],
    row(np.vdot, [1.0, 2.0], X(2)),
    row(np.tensordot, X(2, 3, 4), X(3, 4, 2)),
    row(np.tensordot, X(2, 3), X(3, 2), 1),
    row(np.tensordot, X(2, 3), X(2), axes=0),
    row(np.tensordot, X(), X(), 0),
    row(np.tensordot, X(2, 3, 4), X(4, 2, 5), axes=([0, 2], [1, 0])),
    row(np.tensordot, X(2, 3, 4), X(4, 2, 5), axes=((-1,), (0,))),
    row(np.tensordot, X(2, 3, 4), X(5, 3), axes=(1, -1)),
    row(np.tensordot, X(2, 0), X(0, 3), 1),
    row(np.tensordot, [[1.0, 2.0]], X(2, 2), 1),
    row(np.cross, X(3), X(3)),
    row(np.cross, X(2, 3), X(3)),
    row(np.cross, X(3, 2), X(2, 3), 0, -1, axisc=0),
    row(np.cross, X(3, 2), X(3, 2), axis=0),
    row(np.cross, [1.0, 2.0, 3.0], X(3)),
    *[
        row(np.convolve, X(a), X(b), *mode)
        for a, b in [(5, 3), (3, 5), (4, 4), (5, 2), (2, 5), (3, 1), (1, 1)]
        for mode in [(), ("full",), ("same",), ("valid",)]
    ],
    row(np.convolve, [1.0, 2.0], X(3), mode="same"),
    *[
        row(np.einsum, subscripts, *[X(*shape) for shape in shapes])
        for subscripts, shapes in [
            ("ij,jk->ik", [(2, 3), (3, 4)]),
            ("ij,jk", [(2, 3), (3, 4)]),
            ("ba", [(2, 3)]),
            ("Ba", [(2, 3)]),
            ("i j -> j i", [(2, 3)]),
            ("ij->", [(2, 3)]),
            ("ij->j", [(2, 3)]),
            ("ii", [(3, 3)]),
            ("ii->i", [(3, 3)]),
            ("iii->i", [(2, 2, 2)]),
            ("iji->j", [(2, 3, 2)]),
            ("iijj->ij", [(2, 2, 3, 3)]),
            ("i,i", [(3,), (3,)]),
            ("i,j->ij", [(3,), (2,)]),
            ("i,j->ji", [(3,), (2,)]),
            ("ij,k->i", [(2, 3), (4,)]),
            ("ii,ij->j", [(3, 3), (3, 2)]),
            ("i,i,i->i", [(3,), (3,), (3,)]),
            ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 4)]),
            ("ij,jk,kl,lm->m", [(2, 3), (3, 2), (2, 4), (4, 2)]),
            ("bqd,bkd->bqk", [(2, 3, 4), (2, 2, 4)]),
            ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
            ("...ij,...jk->...ik", [(5, 1, 2, 3), (4, 3, 2)]),
            ("...ii->...i", [(2, 3, 3)]),
            ("i...,i...", [(2, 3), (2, 1)]),
            ("...,...", [(2, 3), (3,)]),
            ("i...->...i", [(2, 3, 4)]),
            ("...i->...", [(3,)]),
            ("i,i->i", [(1,), (3,)]),
            ("i,i->", [(1,), (1,)]),
            ("ij,jk->ik", [(2, 3), (1, 4)]),
            ("ij,ij,ij->ij", [(2, 1), (1, 3), (1, 1)]),
            (",->", [(), ()]),
            (",i->i", [(), (3,)]),
            ("->", [()]),
            ("ij,jk->ik", [(2, 0), (0, 3)]),
            ("i,i->i", [(0,), (1,)]),
            ("i->", [(0,)]),
        ]
    ],
    row(np.einsum, "ij,jk,kl->il", X(2, 3), X(3, 2), X(2, 4), optimize=True),
    row(np.einsum, "ij,jk,kl->il", X(2, 3), X(3, 2), X(2, 4), optimize="greedy"),
    row(np.einsum, "ij,jk,kl", X(2, 3), X(3, 2), X(2, 4), optimize=["einsum_path", (1, 2), (0, 1)]),
    row(np.einsum, ",i->i", 2.0, X(3)),
    row(np.einsum, "ij,j", [[1.0, 2.0], [3.0, 4.0]], X(2)),
]

SHAPES = [
    row(np.moveaxis, X(2, 3, 4), 0, -1),
    row(np.moveaxis, X(2, 3, 4), (0, 1), (2, 0)),
    row(np.moveaxis, X(2, 3, 4), source=[-1], destination=[0]),
    row(np.swapaxes, X(2, 3, 4), 0, -1),
    row(np.swapaxes, X(2, 3), axis1=1, axis2=0),
    row(np.matrix_transpose, X(2, 3, 4)),
    row(np.expand_dims, X(2, 3), 1),
    row(np.expand_dims, X(2, 3), axis=(0, -1)),
    row(np.squeeze, X(1, 3, 1)),
    row(np.squeeze, X(1, 3, 1), 0),
    row(np.squeeze, X(1, 3, 1), axis=(-1,)),
    *[
        row(function, X(*shape))
        for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d)
        for shape in [(), (2,), (2, 3), (2, 3, 2), (0,), (1, 2, 1, 2)]
    ],
    row(np.atleast_2d, X(2), 3.0, X()),
    row(np.broadcast_arrays, X(2, 1), X(3), 1.0),
    row(np.meshgrid, X(2), X(3)),
    row(np.meshgrid, X(2), X(3), indexing="ij"),
    row(np.meshgrid, X(2), [1.0, 2.0], X(3), sparse=True),
    row(np.meshgrid, X(2), X(), X(0)),
    row(np.meshgrid, X(2)),
]

PLACES = [
    row(np.roll, X(5), 2),
    row(np.roll, X(2, 3), -1),
    row(np.roll, X(2, 3), shift=4, axis=1),
    row(np.roll, X(2, 3), (1, 2), axis=(0, -1)),
    row(np.roll, X(0), 1),
    row(np.roll, X(), 1),
    row(np.roll, a=X(3), shift=1),
    row(np.rollaxis, X(2, 3, 4), 2),
    row(np.flip, X(2, 3)),
    row(np.flip, X(2, 3), -1),
    row(np.flip, m=X(2, 3), axis=(0, 1)),
    row(np.flip, X()),
    row(np.fliplr, X(2, 3)),
    row(np.flipud, X(3)),
    row(np.rot90, X(2, 3)),
    row(np.rot90, X(2, 3, 2), k=3, axes=(1, 2)),
    row(np.repeat, X(2, 3), 2),
    row(np.repeat, X(2, 3), 2, axis=1),
    row(np.repeat, X(2, 3), [0, 2], 0),
    row(np.repeat, X(), 3),
    row(np.repeat, X(0), 3),
    row(np.tile, X(3), 2),
    row(np.tile, X(2, 3), (2, 1, 2)),
    row(np.tile, A=X(), reps=(2, 2)),
    row(np.tile, X(0, 2), 2),
    row(np.delete, X(2, 4), 1, axis=-1),
    row(np.delete, X(4), [0, 2]),
    *[
        row(function, X(*shape), *args)
        for function in (np.diagonal, np.trace)
        for shape, args in [
            *[((3, 3), ()), ((2, 4), (1,)), ((4, 2), (-1,)), ((2, 3, 4), (0, 1, 2))],
            *[((2, 3, 4), (1, -1, 0)), ((2, 2), (5,)), ((0, 2), ())],
        ]
    ],
    row(np.trace, X(3, 3), offset=-1),
    *[row(np.diag, X(*shape), k) for shape in [(3,), (0,), (3, 4), (4, 3)] for k in (0, 1, -2)],
    row(np.diag, X(3), k=-1),
    row(np.diagflat, X(2, 2)),
    row(np.diagflat, X(), 1),
    *[
        row(function, X(*shape), *args)
        for function in (np.tril, np.triu)
        for shape, args in [
            *[
                ((3, 3), ()),
                ((2, 4), (1,)),
                ((4, 2), (-1,)),
                ((2, 3, 3), ()),
                ((3,), ()),
                ((0, 3), ()),
            ]
        ]
    ],
    *[
        row(np.pad, X(*shape), width, mode)
        for mode in ("constant", "edge", "reflect", "symmetric", "wrap")
        for shape, width in [((3,), 2), ((3,), (1, 2)), ((2, 3), ((0, 1), (2, 0))), ((3, 4), 5)]
    ],
    row(np.pad, X(2), 1),
    row(np.pad, X(0), 1),
    row(np.pad, X(2, 3), ((1, 0), (0, 2)), constant_values=3.0),
    row(np.pad, array=X(2), pad_width=(1, 2), mode="constant", constant_values=(4.0, 5.0)),
    row(np.take, X(4), [0, 2, 2]),
    row(np.take, X(2, 3), 4),
    row(np.take, X(2, 3), array([0, 2], [-1, 1]), 1),
    row(np.take, X(2, 3), indices=-1, axis=-1),
    row(np.take, X(2, 3), array(True, False), axis=0),
    row(np.take_along_axis, X(2, 3), array([0, 2], [1, 1]), 1),
    row(np.take_along_axis, X(2, 3), array([0, -1, 1]), axis=0),
    row(np.take_along_axis, X(3, 2), array([1], [0], [0]), axis=-1),
    row(np.take_along_axis, X(2, 3), array(0, 5, 5), None),
    row(np.sort, X(7)),
    row(np.sort, X(3, 4), 0),
    row(np.sort, X(3, 4), axis=-2, kind="stable"),
    row(np.sort, X(3, 4), None),
    row(np.sort, X(0)),
]

JOINING = [
    *[
        row(function, [X(*shape) for shape in shapes])
        for function in (np.hstack, np.vstack, np.dstack, np.column_stack)
        for shapes in [[(2,), (2,)], [(2, 3), (2, 3)], [(3,)]]
    ],
    row(np.hstack, (X(), 1.0, X(2))),
    row(np.hstack, [X(2, 1), [[1.0], [2.0]]]),
    row(np.vstack, [X(2), [1.0, 2.0], X(0, 2)]),
    row(np.vstack, X(2, 3)),
    row(np.column_stack, [X(2), X(2, 2), [1.0, 2.0]]),
    row(np.dstack, [X(2, 2, 2), X(2, 2)]),
    row(np.stack, [X(2, 3), X(2, 3)]),
    row(np.stack, [X(2), [1.0, 2.0], X(2)], axis=-1),
    row(np.stack, [X(), X()]),
    row(np.block, [[X(2, 2), X(2, 1)], [X(1, 2), 1.0]]),
    row(np.block, [X(2), X()]),
    row(np.block, [[X(2)], [X(2)]]),
    row(np.block, X(2)),
    row(np.append, X(3), 1.0),
    row(np.append, X(2, 3), X(2)),
    row(np.append, [[1.0, 2.0]], X(2, 2), axis=0),
    row(np.array_split, X(5), 3),
    row(np.array_split, X(2, 5), 4, axis=-1),
    row(np.array_split, X(2), 3),
    row(np.array_split, X(5), [1, 3]),
    row(np.split, X(6), 3),
    row(np.split, X(2, 4), 2, axis=1),
    row(np.split, X(6), [2, 2, -1, 9]),
    row(np.split, X(4, 2), indices_or_sections=array(1, 3), axis=-2),
    row(np.split, X(0), 2),
    row(np.hsplit, X(4), 2),
    row(np.hsplit, X(2, 4), [1]),
    row(np.vsplit, X(4, 2), 2),
    row(np.dsplit, X(2, 2, 4), 2),
]


def holes(x: Any) -> Any:
    """An array, or Tensor, with nan here and there."""
    places = np.arange(x.size).reshape(x.shape) % 5 == 1
    return np.where(places, np.nan, x)


def of_holes(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of an array with nan in it."""
    called = lambda x, *args, **kwargs: function(holes(x), *args, **kwargs)  # noqa: E731
    called.__name__ = f"{function.__name__} of holes"
    return called


def named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with a name for the report."""
    function.__name__ = name
    return function


SOME = np.array([True, False, True])
STATISTICS = [
    *[
        row(of_holes(function), X(3, 4), axis=axis, keepdims=keepdims)
        for function in (np.nansum, np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd)
        for axis in (None, 0, -1, (0, 1))
        for keepdims in (False, True)
    ],
    *[row(of_holes(f), X(3, 4)) for f in (np.nanprod, np.nanmedian, np.nancumsum, np.nancumprod)],
    row(of_holes(np.nanprod), X(3, 4), axis=1),
    row(of_holes(np.nancumsum), X(3, 4), 1),
    row(of_holes(np.nanmedian), X(3, 5), axis=1, keepdims=True),
    row(of_holes(np.nanvar), X(3, 4), axis=0, ddof=1),
    *[
        row(function, X(5, 3), q, axis=axis, method=method)
        for function in (np.quantile, of_holes(np.nanquantile))
        for q in (0.3, [0.0, 0.25, 1.0], [[0.1], [0.9]])
        for axis, method in (
            *[(0, m) for m in ("linear", "lower", "higher", "nearest", "midpoint", "weibull")],
            *[(None, m) for m in ("linear", "hazen", "median_unbiased", "normal_unbiased")],
            ((0, 1), "interpolated_inverted_cdf"),
        )
    ],
    row(np.quantile, X(5, 3), 0.4, axis=1, keepdims=True),
    row(np.percentile, X(5, 3), [10, 60], axis=0),
    row(of_holes(np.nanpercentile), X(5, 3), 35),
    row(np.cov, X(3, 6)),
    row(np.cov, X(6)),
    row(np.cov, X(6), X(6)),
    row(np.cov, X(6, 3), rowvar=False),
    row(np.cov, X(3, 6), bias=True),
    row(np.cov, X(3, 6), ddof=2),
    row(np.cov, X(2, 4), fweights=[1, 2, 1, 3]),
    row(np.cov, X(2, 4), aweights=X(4, low=0.5)),
    row(np.cov, X(2, 4), fweights=[1, 2, 1, 3], aweights=X(4, low=0.5)),
    row(np.corrcoef, X(3, 6)),
    row(np.corrcoef, X(6), X(6)),
    row(np.interp, X(5), [-2.0, 0.0, 0.7, 2.0], X(4)),
    row(np.interp, X(2, 3), [-1.0, 1.0], X(2), left=5.0, right=-5.0),
    row(np.interp, 0.3, [0.0, 1.0], X(2)),
    *[row(np.insert, X(3, 4), place, X(2), axis=1) for place in ([0, 2], [-1, 1])],
    row(np.insert, X(3, 4), 1, X(3), axis=1),
    row(np.insert, X(3, 4), 1, X(2, 4), axis=0),
    row(np.insert, X(3, 4), slice(1, 3), X(), axis=-1),
    row(np.insert, X(3, 4), [2, 2, 12], 0.5),
    row(np.insert, [1.0, 2.0], 1, X()),
    row(np.unwrap, X(6, low=-20.0)),
    row(np.unwrap, X(3, 4), axis=0, period=1.0),
    row(np.unwrap, X(6), discont=1.5, period=1.0),
    row(np.vander, X(4)),
    row(np.vander, X(4), 3, increasing=True),
    row(np.vander, X(2), 1),
    row(np.ldexp, X(3), [1, -2, 5]),
    row(np.gradient, X(6)),
    row(np.gradient, X(6), 0.5, edge_order=2),
    row(np.gradient, X(4, 5)),
    row(np.gradient, X(4, 5), 2.0, axis=1),
    row(np.gradient, X(4, 5), 2.0, [0.0, 1.0, 3.0, 3.5, 4.0], edge_order=2),
    row(np.gradient, X(5), [0.0, 1.0, 3.0, 3.5, 4.0]),
    row(np.diff, X(4), prepend=0.5),
    row(np.diff, X(3, 4), axis=0, prepend=X(1, 4), append=X(2, 4)),
    row(np.diff, X(3, 4), 2, append=1.0),
    row(np.choose, [1, 0, 2], [X(3), X(3), X(3)]),
    row(np.choose, [[1], [0]], [X(3), 2.0]),
    row(np.compress, [True, False, True], X(3, 4), axis=0),
    row(np.compress, [False, True], X(3, 4)),
    row(np.extract, SOME, X(3)),
    row(
        named("piecewise", lambda x: np.piecewise(x, [x < 0, x > 1], [np.square, 3.0, np.sin])),
        X(8),
    ),
    row(named("piecewise 2", lambda x: np.piecewise(x, [x < 0], [lambda v: v**3, -1.0])), X(2, 4)),
    row(np.partition, X(7), 3),
    row(np.partition, X(3, 5), 2, axis=0),
    row(named("argument", lambda x: np.apply_along_axis(lambda v: v**2, 0, x)), X(3, 4)),
    row(named("to number", lambda x: np.apply_along_axis(np.sum, 1, x)), X(3, 4)),
    row(np.take, X(3), [7, -1, -5], mode="wrap"),
    row(np.take, X(3, 2), [7, -1], axis=0, mode="clip"),
    row(np.real, X(3)),
    row(np.imag, X(3)),
    row(np.angle, X(3)),
    row(np.fft.fftshift, X(5)),
    row(np.fft.fftshift, X(3, 4), axes=1),
    row(np.fft.ifftshift, X(5)),
    row(np.linspace, X(), X(), 5),
    row(np.linspace, X(3), 2.0, 4, endpoint=False),
    row(np.linspace, X(2), X(2), 3, axis=1),
    row(np.einsum, X(2, 3), [0, 1], X(3, 4), [1, 2], [0, 2]),
    row(np.einsum, X(2, 3), [..., 1], X(3), [1]),
]
OPTIONS = [
    *[
        row(function, X(3, 4), axis=axis, where=SOME[:, None])
        for function in (np.sum, np.prod, np.mean, np.var, np.std)
        for axis in (None, 0)
    ],
    *[
        row(f, X(3, 4), axis=0, where=SOME[:, None], initial=-9.0)
        for f in (np.sum, np.prod, np.max)
    ],
    *[
        row(of_holes(function), X(3, 4), axis=axis, where=SOME[:, None])
        for function in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd)
        for axis in (None, (0, 1))
    ],
    row(of_holes(np.nanmax), X(3, 4), axis=0, where=SOME[:, None], initial=-9.0),
    row(of_holes(np.nanmin), X(3, 4), initial=-0.1, keepdims=True),
    row(of_holes(np.nansum), X(3, 4), initial=3.0, dtype=np.float64),
    row(of_holes(np.nanvar), X(3, 4), axis=0, correction=1),
    row(np.min, X(3, 4), initial=0.1),
    row(np.max, X(3, 4), axis=1, initial=0.1, keepdims=True),
    row(np.max, X(0, 4), axis=0, initial=0.1),
    row(np.var, X(3, 4), correction=1),
    row(np.std, X(3, 4), axis=1, correction=1, keepdims=True),
    row(
        named("var of a mean", lambda x: np.var(x, axis=0, mean=np.mean(x, 0, keepdims=True))),
        X(3, 4),
    ),
    row(np.sum, X(3), dtype=np.float64),
    row(np.add, X(3), X(3), dtype=np.float64),
    row(np.concatenate, [X(2), X(3)], dtype=np.float64),
    row(np.stack, [X(2), X(2)], dtype=np.float64),
    row(np.hstack, [X(2), X(2)], dtype=np.float64),
    row(np.vstack, [X(2), X(2)], dtype=np.float64),
    row(named("add.accumulate", lambda x: np.add.accumulate(x, axis=1)), X(3, 4)),
    row(named("add.accumulate first", lambda x: np.add.accumulate(x)), X(3)),
    row(named("multiply.accumulate", lambda x: np.multiply.accumulate(x)), X(4)),
    row(named("maximum.accumulate", lambda x: np.maximum.accumulate(x, axis=1)), X(3, 5)),
    row(named("minimum.accumulate", lambda x: np.minimum.accumulate(x)), X(7)),
    row(named("multiply.outer", lambda a, b: np.multiply.outer(a, b)), X(3), X(2, 2)),
    row(named("subtract.outer", lambda a, b: np.subtract.outer(a, b)), X(3), 2.0),
    row(named("add.reduce", lambda x: np.add.reduce(x, where=SOME, initial=2.0)), X(3)),
]
if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
    STATISTICS += [
        row(np.cumulative_sum, X(4)),
        row(np.cumulative_sum, X(3, 4), axis=1, include_initial=True),
        row(np.cumulative_prod, X(4), include_initial=True),
        row(np.unstack, X(3, 2)),
        row(np.unstack, X(3, 2), axis=1),
        row(np.vecdot, X(2, 3), X(3)),
        row(np.linalg.vecdot, X(3, 2), X(3, 2), axis=0),
    ]
if np.lib.NumpyVersion(np.__version__) >= "2.2.0":
    STATISTICS += [row(np.matvec, X(2, 3, 4), X(4)), row(np.vecmat, X(3), X(2, 3, 4))]

ROWS = [
    *STATISTICS,
    *OPTIONS,
    *ELEMENT_BY_ELEMENT,
    *REDUCTIONS,
    *PRODUCTS,
    *SHAPES,
    *PLACES,
    *JOINING,
]
every_row = every([(row,) for row in ROWS], lambda row: row.function.__name__)


# ---- what holds for every row -------------------------------------------------------------------


def numerical(f: Callable[..., Any], arrays: list[Any], directions: list[Any]) -> float:
    """The derivative along a direction, by a central difference."""
    h = 1e-5
    above = f(*[x + h * v for x, v in zip(arrays, directions, strict=True)])
    below = f(*[x - h * v for x, v in zip(arrays, directions, strict=True)])
    return float((above - below) / (2 * h))


def check_derivatives(case: Row, arrays: list[Any]) -> None:
    """Compare the first and second derivative along random directions with differences."""
    random = np.random.default_rng(2)
    directions = [[random.uniform(-1, 1, x.shape) for x in arrays] for _ in range(2)]
    gradients = ag.grad(case.projection, argnums=range(len(arrays)))

    def slope(*points: Any) -> Any:
        pairs = zip(gradients(*points), directions[0], strict=True)
        return sum([np.sum(g * v) for g, v in pairs])

    expected = numerical(case.projection, arrays, directions[0])
    np.testing.assert_allclose(slope(*arrays), expected, rtol=1e-7, atol=1e-8)

    found = ag.grad(slope, argnums=range(len(arrays)))(*arrays)
    curvature = sum([np.sum(g * v) for g, v in zip(found, directions[1], strict=True)])
    expected = numerical(slope, arrays, directions[1])
    np.testing.assert_allclose(curvature, expected, rtol=1e-6, atol=1e-7)


def check_values(case: Row, arrays: list[Any]) -> None:
    """Compare values, shapes, dtypes and kinds of containers with NumPy's."""
    expected = case.outputs(*arrays)
    found = case.outputs(*[ag.Tensor(x, requires_grad=True) for x in arrays])
    assert isinstance(found, list | tuple) == isinstance(expected, list | tuple)
    for y, wanted in zip(listed(found), listed(expected), strict=True):
        plain = y.data if isinstance(y, ag.Tensor) else y
        assert isinstance(plain, np.ndarray)
        assert plain.shape == np.shape(wanted)
        assert plain.dtype == wanted.dtype
        np.testing.assert_allclose(plain, wanted, rtol=1e-13, atol=1e-14)


@every_row
def test_value_is_that_of_numpy(case: Row) -> None:
    check_values(case, case.arrays())


@every_row
def test_derivatives_of_first_and_second_order_agree_with_differences(case: Row) -> None:
    check_derivatives(case, case.arrays())


@every_row
def test_float32_stays_float32_on_the_whole_way_and_back(case: Row) -> None:
    tensors = [ag.Tensor(x.astype(np.float32), requires_grad=True) for x in case.arrays()]
    outputs = listed(case.outputs(*tensors))
    in_numpy = listed(case.outputs(*[x.data for x in tensors]))
    assert [y.dtype for y in outputs] == [y.dtype for y in in_numpy]
    y = case.projection(*tensors)
    if not y.requires_grad:  # a polynomial of no coefficients, a norm that only counts
        return
    y.backward(create_graph=True)
    gradients = [x.grad for x in tensors if x.grad is not None]
    assert {g.dtype for g in gradients} == {np.dtype(np.float32)}
    if all(y.dtype == np.float32 for y in outputs):
        for g in [y, *[g for g in gradients if g.requires_grad]]:
            assert {node.dtype for node in newest_first(g._node)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("numpy_function", FUNCTIONS_OF_THE_MODULE, ids=lambda f: f.__name__)
def test_parameters_have_the_names_and_the_order_of_numpy(numpy_function: Any) -> None:
    stand_in = FUNCTIONS_OF_THE_MODULE[numpy_function]
    if isinstance(numpy_function, np.ufunc) or numpy_function in (np.einsum, np.ndarray.astype):
        return  # they cannot be called by keyword, or are a method
    if stand_in.__name__ in ("look", "move", "extend"):
        return  # they pass everything on to NumPy's function
    try:
        theirs = inspect.signature(numpy_function).parameters
    except ValueError:
        pytest.skip("this version of NumPy does not say what the parameters are")
    ours = inspect.signature(stand_in).parameters.values()
    positional = [p.name for p in ours if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    by_name = [p.name for p in ours if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert positional == list(theirs)[: len(positional)]
    assert "kwargs" in theirs or {*by_name} <= {*theirs}


# ---- einsum, at random --------------------------------------------------------------------------

LENGTHS = {"a": 2, "b": 3, "c": 1, "d": 2}


@st.composite
def einsums(draw: st.DrawFn) -> Row:
    """Subscripts with operands that fit them."""
    ellipsis = draw(st.sampled_from([(), (), (2,), (3, 2), (1, 2)]))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.lists(st.sampled_from(sorted(LENGTHS)), max_size=3))
        stretched = {c for c in set(letters) if draw(st.integers(0, 5)) == 0}
        shape = [1 if c in stretched else LENGTHS[c] for c in letters]
        if draw(st.booleans()) and ellipsis:
            hidden = ellipsis[draw(st.integers(0, len(ellipsis))) :]
            hidden = tuple([1 if draw(st.integers(0, 3)) == 0 else n for n in hidden])
            place = draw(st.integers(0, len(letters)))
            letters.insert(place, "...")
            shape[place:place] = hidden
        terms.append("".join(letters))
        shapes.append(shape)
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set("".join(terms)) - {"."})
        output = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
        if "..." in subscripts:
            output.insert(draw(st.integers(0, len(output))), "...")
        subscripts += "->" + "".join(output)
    options = draw(st.sampled_from([{}, {}, {"optimize": True}]))
    return row(np.einsum, subscripts, *[X(*shape) for shape in shapes], **options)


@given(einsums())
@settings(max_examples=300, deadline=None)
def test_einsum_agrees_with_numpy_and_with_differences(case: Row) -> None:
    arrays = case.arrays()
    check_values(case, arrays)
    check_derivatives(case, arrays)


def test_einsum_of_matrices_is_one_call() -> None:
    a, b = ag.Tensor(np.ones((2, 3)), requires_grad=True), ag.Tensor(np.ones((3, 4)))
    node = np.einsum("ij,jk->ik", a, b)._node
    assert node.primitive is numpy_functions.contraction
    assert node.parents == (a._node, None)


# ---- activations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "options", "theirs_options"),
    [
        (elu, "elu", {}, {}),
        (elu, "elu", {"alpha": 0.3}, {"alpha": 0.3}),
        (silu, "silu", {}, {}),
        (gelu, "gelu", {}, {"approximate": "tanh"}),
        (log_sigmoid, "logsigmoid", {}, {}),
    ],
)
def test_activations_and_their_derivatives_are_those_of_pytorch(
    ours: Any, theirs: str, options: Any, theirs_options: Any
) -> None:
    torch = pytest.importorskip("torch")
    points = np.concatenate([np.linspace(-6, 6, 26), [1e-9, -1e-9, 40.0, -40.0]])
    x = torch.tensor(points, requires_grad=True)
    y = getattr(torch.nn.functional, theirs)(x, **theirs_options)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)

    t = ag.Tensor(points, requires_grad=True)
    z = ours(t, **options)
    slope = ag.gradients(np.sum(z), t, create_graph=True)
    curvature = ag.gradients(np.sum(slope), t)
    pairs = [(z, y.detach()), (slope, first.detach()), (curvature, second)]
    for found, expected in pairs:
        np.testing.assert_allclose(found.data, expected.numpy(), rtol=1e-12, atol=1e-13)


def test_second_derivative_of_elu_is_zero_above_and_exponential_below() -> None:
    x = np.array([-3.0, -1e-3, 0.0, 1e-3, 3.0])
    curvature = ag.grad(lambda x: np.sum(ag.grad(lambda x: np.sum(elu(x, 0.5)))(x)))(x)
    np.testing.assert_allclose(curvature, np.where(x > 0, 0, 0.5 * np.exp(x)), rtol=1e-15)
    assert ag.grad(elu)(0.0) == 1


@pytest.mark.parametrize("activation", [elu, silu, gelu, log_sigmoid])
@pytest.mark.parametrize("x", [0.5, [0.5, -0.5], np.float32(0.5), 2])
def test_activations_take_numbers_lists_and_arrays(activation: Any, x: Any) -> None:
    y = activation(x)
    assert not isinstance(y, ag.Tensor)
    assert y.dtype == (np.float32 if isinstance(x, np.float32) else np.float64)
    np.testing.assert_allclose(y, activation(np.asarray(x)), rtol=1e-7)


def test_gelu_keeps_its_digits_where_it_vanishes() -> None:
    of_minus_5 = -2.291796196629506045592755e-7  # with 40 digits, by the module decimal
    np.testing.assert_allclose(gelu(np.array([-5.0])), of_minus_5, rtol=1e-14)


# ---- extremes -----------------------------------------------------------------------------------

BIG = np.array([-1e4, -88.0, -1.0, 1.0, 88.0, 1e4], dtype=np.float32)
OF_ONE = [
    *[elu, silu, gelu, log_sigmoid, np.sinc, np.fabs, np.nan_to_num, np.deg2rad, np.rad2deg],
    *[np.round, np.fix, np.sort, np.diff, np.ptp, np.average, np.median, np.var, np.std],
    lambda x: elu(x, alpha=3.0),
    lambda x: np.clip(x, -1.5, 1.5),
    lambda x: np.logaddexp(x, 0),
    lambda x: np.linalg.norm(x, 3),
]
OF_TWO = [
    *[np.logaddexp, np.logaddexp2, np.hypot, np.arctan2, np.fmax, np.fmin, np.fmod, np.copysign],
    *[np.heaviside, np.dot, np.inner, np.vdot, np.outer, np.kron, np.convolve],
    lambda a, b: np.einsum("i,j->ij", a, b),
]


@pytest.mark.parametrize(
    ("function", "operands"),
    [
        *[(function, [BIG]) for function in OF_ONE],
        *[(function, [BIG.repeat(6), np.tile(BIG, 6)]) for function in OF_TWO],
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_nothing_overflows_at_ten_thousand_in_float32(function: Any, operands: Any) -> None:
    with np.errstate(all="raise", under="ignore"):
        tensors = [ag.Tensor(x.copy(), requires_grad=True) for x in operands]
        y = function(*tensors)
        found = [y, *ag.gradients(np.sum(y), tensors, create_graph=True)]
        curvature = sum([np.sum(slope) for slope in found[1:]])
        if curvature.requires_grad:
            curvature.backward()
            found += [x.grad for x in tensors if x.grad is not None]
    numbers = [t.data for t in found]
    if function in (np.fmax, np.fmin):  # at a tie there is no second derivative
        tie = operands[0] == operands[1]
        assert np.isnan(numbers[3][tie]).all()
        numbers[3:] = [second[~tie] for second in numbers[3:]]
    for array in numbers:
        assert array.dtype == np.float32
        assert np.isfinite(array).all()


# ---- where there is no derivative ---------------------------------------------------------------


@pytest.mark.parametrize("function", [np.fmax, np.fmin])
def test_a_tie_is_shared_and_what_is_no_number_gets_nothing(function: Any) -> None:
    a, b = np.array([1.0, np.nan, 2.0, np.nan]), np.array([1.0, 3.0, np.nan, np.nan])
    y = function(ag.Tensor(a), b)
    np.testing.assert_array_equal(y.data, [1, 3, 2, np.nan])
    by_a, by_b = ag.grad(lambda a, b: np.sum(function(a, b)), argnums=(0, 1))(a, b)
    np.testing.assert_array_equal(by_a, [0.5, 0, 1, 0])
    np.testing.assert_array_equal(by_b, [0.5, 1, 0, 0])


@pytest.mark.parametrize("by", [0, 1])
def test_gradient_of_hypot_at_the_origin_is_zero(by: int) -> None:
    assert ag.grad(np.hypot, argnums=by)(0.0, 0.0) == 0


@pytest.mark.parametrize("order", [None, 1, 2, 3, 1.5])
def test_gradient_of_a_norm_at_the_origin_is_zero(order: Any) -> None:
    gradient = ag.grad(lambda x: np.linalg.norm(x, order))(np.zeros(3))
    np.testing.assert_array_equal(gradient, 0)


def test_half_of_the_gradient_passes_at_the_bounds_of_clip() -> None:
    gradient = ag.grad(lambda x: np.sum(np.clip(x, 0, 1)))(np.array([-1, 0, 0.5, 1, 2]))
    np.testing.assert_array_equal(gradient, [0, 0.5, 1, 0.5, 0])


def test_those_who_attain_the_extremes_share_the_gradient_of_ptp() -> None:
    np.testing.assert_array_equal(
        ag.grad(np.ptp)(np.array([1.0, 3, 3, 1, 2])), [-0.5, 0.5, 0.5, -0.5, 0]
    )


def test_equal_elements_keep_their_own_gradients_when_sorted() -> None:
    weights = np.array([1.0, 10, 100])
    gradient = ag.grad(lambda x: np.sum(np.sort(x, kind="stable") * weights))(np.array([2.0, 1, 1]))
    np.testing.assert_array_equal(gradient, [100, 1, 10])


def test_products_have_their_gradients_where_factors_are_zero() -> None:
    x = np.array([2.0, 0, 3, 0.5])
    np.testing.assert_array_equal(ag.grad(np.prod)(x), [0, 3, 0, 0])
    np.testing.assert_array_equal(ag.grad(lambda x: np.cumprod(x)[-1])(x), [0, 3, 0, 0])


def test_fmod_subtracts_the_integer_that_numpy_subtracts() -> None:
    # 0.9 / 0.1 rounds to 9, but 0.9 is less than 9 * 0.1, and fmod(0.9, 0.1) is 0.9 - 8 * 0.1
    assert ag.grad(np.fmod, argnums=1)(0.9, 0.1) == -8


def test_sinc_has_all_derivatives_at_zero() -> None:
    derivative: Any = np.sinc
    found = []
    for _ in range(5):
        found.append(float(derivative(0.0)))
        derivative = ag.grad(derivative)
    np.testing.assert_allclose(found, [1, 0, -(np.pi**2) / 3, 0, np.pi**4 / 5], rtol=1e-14)


def test_what_nan_to_num_replaces_gets_no_gradient() -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(np.nan_to_num(ag.Tensor(x)).data, np.nan_to_num(x))
    np.testing.assert_array_equal(
        np.nan_to_num(ag.Tensor(x), nan=5, posinf=6, neginf=7).data, [1, 5, 6, 7]
    )
    np.testing.assert_array_equal(ag.grad(lambda x: np.sum(np.nan_to_num(x)))(x), [1, 0, 0, 0])
    np.testing.assert_array_equal(np.nan_to_num(ag.Tensor([1, 2])).data, [1, 2])


def test_median_of_what_holds_nan_is_nan_and_of_nothing_too() -> None:
    x = np.array([[1.0, np.nan, 3.0], [1.0, 5.0, 3.0]])
    np.testing.assert_array_equal(np.median(ag.Tensor(x), axis=1).data, [np.nan, 3])
    with pytest.warns(RuntimeWarning):
        assert np.isnan(np.median(ag.Tensor(np.zeros(0))).data)


@pytest.mark.parametrize("function", [np.round, np.around, np.fix, lambda x: np.heaviside(x, 0.5)])
def test_steps_have_the_gradient_zero(function: Any) -> None:
    np.testing.assert_array_equal(
        ag.grad(lambda x: np.sum(function(x)))(np.array([0.3, 1.0, -2.5])), [0, 0, 0]
    )


# ---- what belongs to it -------------------------------------------------------------------------


def test_parts_of_a_split_share_the_memory_of_the_whole() -> None:
    x = ag.Tensor(np.arange(6.0), requires_grad=True)
    assert all(np.shares_memory(part, x) for part in np.split(x, 3))


def test_index_tensors_are_understood() -> None:
    x = ag.Tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    places = ag.Tensor([[1, 2, 0]])
    np.testing.assert_array_equal(np.take_along_axis(x, places, axis=1).data, [[1, 2, 3]])
    np.testing.assert_array_equal(np.take(x, places[0], axis=1).data, [[1, 2, 3]])
    np.testing.assert_array_equal(np.repeat(x, places[0], axis=1).data, [[3, 1, 1]])
    np.testing.assert_array_equal(np.take(x.data, places[0], axis=1), [[1, 2, 3]])


def test_the_methods_of_a_tensor_are_these_functions() -> None:
    x = ag.Tensor([[3.0, 1.26], [2.0, -1.0]], requires_grad=True)
    for found, expected in [
        (x.clip(min=0), np.clip(x.data, 0, None)),
        (x.clip(0, 2), np.clip(x.data, 0, 2)),
        (x.cumprod(1), np.cumprod(x.data, 1)),
        (x.diagonal(1), np.diagonal(x.data, 1)),
        (x.trace(), np.trace(x.data)),
        (x.dot(x), x.data @ x.data),
        (x.repeat(2, axis=0), np.repeat(x.data, 2, axis=0)),
        (x.round(1), np.round(x.data, 1)),
        (x.take([0, 3]), np.take(x.data, [0, 3])),
    ]:
        assert found.requires_grad
        np.testing.assert_array_equal(found.data, expected)


def test_vdot_conjugates_complex_numbers_as_numpy_does() -> None:
    a, b = np.array([1 + 2j, 3j]), np.array([2 - 1j, 1 + 1j])
    assert np.vdot(ag.Tensor(a), b).item() == np.vdot(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_arrays_of_the_same_shape_are_constants(dtype: Any) -> None:
    x = ag.Tensor(np.ones((2, 3), dtype=dtype), requires_grad=dtype != np.int64)
    for y, expected in [
        (np.full_like(x, 2.5), np.full_like(x.data, 2.5)),
        (np.full_like(x, fill_value=2.5, dtype=float), np.full_like(x.data, 2.5, dtype=float)),
        (np.full_like(x, 2, shape=(4,)), np.full_like(x.data, 2, shape=(4,))),
    ]:
        assert isinstance(y, ag.Tensor)
        assert not y.requires_grad
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y.data, expected)
    empty = np.empty_like(x)
    assert isinstance(empty, ag.Tensor)
    assert (empty.shape, empty.dtype, empty.requires_grad) == ((2, 3), dtype, False)
    assert np.empty_like(x, dtype=bool, shape=(1,)).dtype == bool


def test_where_with_one_argument_says_where_it_is_not_zero() -> None:
    found = np.where(ag.Tensor([[0.0, 1.0], [2.0, 0.0]], requires_grad=True))
    assert isinstance(found, tuple)
    np.testing.assert_array_equal(found, [[0, 1], [1, 0]])


DATA = np.array([[3.0, 1.0, 2.0], [1.0, np.inf, 0.0]])
LOOKING = [
    *[(f, (DATA,)) for f in (np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort)],
    *[(f, (DATA,)) for f in (np.nanargmax, np.nanargmin, np.argwhere, np.nonzero, np.flatnonzero)],
    *[
        (f, (DATA,))
        for f in (np.count_nonzero, np.all, np.any, np.isposinf, np.isneginf, np.isreal)
    ],
    *[(f, (DATA,)) for f in (np.iscomplex, np.isrealobj, np.iscomplexobj, np.min_scalar_type)],
    *[(f, (DATA,)) for f in (np.array2string, np.array_str, np.array_repr, np.common_type)],
    *[(f, (DATA, DATA)) for f in (np.allclose, np.isclose, np.array_equal, np.array_equiv)],
    *[(f, (DATA,)) for f in (np.tril_indices_from, np.triu_indices_from)],
    (np.diag_indices_from, (DATA[:, :2],)),
    (np.argpartition, (DATA, 1)),
    (np.searchsorted, (DATA[0], 1.5)),
    (np.digitize, (DATA, [0.5, 1.5])),
    (np.lexsort, ((DATA[0], DATA[1]),)),
    (np.isin, (DATA, [1.0])),
    (np.result_type, (DATA, 1)),
    (np.can_cast, (np.float32, DATA.dtype)),
    (np.may_share_memory, (DATA, DATA)),
    (np.shares_memory, (DATA, DATA)),
    (np.histogram, (DATA[0], 2)),
    (np.histogram, (DATA[0], 2, (0, 5))),
    (np.bincount, (np.array([0, 2, 2]),)),
    (np.ix_, (np.array([0, 2, 2]), [1])),
    (np.unravel_index, (np.array([0, 5]), (2, 3))),
]


@pytest.mark.parametrize(("function", "args"), LOOKING, ids=lambda x: getattr(x, "__name__", ""))
def test_functions_that_only_look_give_what_numpy_gives(function: Any, args: Any) -> None:
    def recorded(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(recorded, value))
        if not isinstance(value, np.ndarray):
            return value
        return ag.Tensor(value, requires_grad=value.dtype == float)

    expected, found = function(*args), function(*recorded(args))
    assert type(found) is type(expected)
    if "repr" in function.__name__ or function is np.common_type:
        assert found == expected
    else:
        for y, wanted in zip(listed(found), listed(expected), strict=True):
            assert not isinstance(y, ag.Tensor)
            np.testing.assert_array_equal(y, wanted)


def test_the_path_of_an_einsum_is_that_of_numpy() -> None:
    a, b = np.ones((2, 3)), np.ones((3, 4))
    assert np.einsum_path("ij,jk", ag.Tensor(a), ag.Tensor(b)) == np.einsum_path("ij,jk", a, b)


def test_arrays_are_saved_from_tensors(tmp_path: Any) -> None:
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), x.data)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", x, y=x)
        with np.load(tmp_path / "x.npz") as file:
            np.testing.assert_array_equal([file["arr_0"], file["y"]], [x.data, x.data])
    np.savetxt(tmp_path / "x.txt", x)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "x.txt"), x.data)


# ---- errors -------------------------------------------------------------------------------------

VECTOR, MATRIX = (ag.Tensor(np.ones(shape), requires_grad=True) for shape in [3, (2, 3)])


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (np.average, (VECTOR,), {"returned": True}),
        (np.clip, (VECTOR, 0, 1), {"casting": "unsafe"}),
        (np.cumprod, (VECTOR,), {"dtype": float}),
        (np.ediff1d, (VECTOR,), {"to_end": 0}),
        (np.einsum, ("i->", VECTOR), {"dtype": float}),
        (np.full_like, (VECTOR, 1), {"order": "F"}),
        (np.histogram, (VECTOR,), {"weights": VECTOR}),
        (np.bincount, (ag.Tensor([1, 2]),), {"weights": VECTOR[:2]}),
        (np.median, (VECTOR,), {"overwrite_input": True}),
        (np.meshgrid, (VECTOR,), {"copy": False}),
        (np.nan_to_num, (VECTOR,), {"copy": False}),
        (np.pad, (VECTOR, 1, "reflect"), {"reflect_type": "odd"}),
        (np.sort, (VECTOR,), {"order": "name"}),
        (np.trace, (MATRIX,), {"dtype": float}),
        (np.unique, (VECTOR,), {}),
        (np.add, (VECTOR, VECTOR), {"where": [True, False, True]}),
        (np.exp, (VECTOR,), {"order": "K", "dtype": float}),
        (np.sum, (VECTOR,), {"where": [True, False, True], "order": "K"}),
        (np.interp, (VECTOR, [0.0, 1.0], [0.0, 1.0]), {"period": 1.0}),
        (np.cov, (VECTOR,), {"dtype": float}),
        (np.put, (VECTOR, 0, 1.0), {}),
        (np.fill_diagonal, (MATRIX, 1.0), {}),
        (np.logaddexp.reduce, (VECTOR,), {}),
        (np.pad, (VECTOR, 1), {"constant_values": VECTOR[0]}),
        (np.take, (VECTOR, [0.5]), {}),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_what_is_not_supported_raises_a_type_error(function: Any, args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError):
        function(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        (np.array_split, (VECTOR, 0), "into 0 parts"),
        (np.average, (MATRIX, None, [1.0, 2.0]), r"shape \(2, 3\) float64 over axis=None.*\(2,\)"),
        (np.average, (MATRIX, 1, [1.0, 2.0]), "the weights have shape"),
        (np.clip, (VECTOR, 0, 1), "not both"),
        (np.convolve, (VECTOR, MATRIX), r"\(3,\).*\(2, 3\).*must be 1-d"),
        (np.convolve, (VECTOR, VECTOR, "odd"), "'odd'"),
        (np.cross, (VECTOR, [1.0, 2.0]), r"\(3,\).*\(2,\).*length 3"),
        (np.diag, (MATRIX[None],), r"\(1, 2, 3\).*a vector or a matrix"),
        (np.diff, (VECTOR, -1), "n=-1"),
        (np.dot, (MATRIX, MATRIX), "as many columns"),
        (np.dsplit, (MATRIX, 1), "axis 2 is out of bounds"),
        (np.einsum, ("ij,jk", MATRIX, MATRIX), "does not match"),
        (np.einsum, ("ii", MATRIX[:1]), "'i' stands for lengths 1 and 3"),
        (np.einsum, ("ii", MATRIX), "does not match"),
        (np.einsum, ("i...->i", MATRIX), "must have an ellipsis"),
        (np.einsum, ("ijk", MATRIX), "number of indices"),
        (np.einsum, ("i->j", VECTOR), "did not appear in the input"),
        (np.inner, (MATRIX, [1.0, 2.0]), r"\(2, 3\).*\(2,\).*the same"),
        (np.linalg.norm, (MATRIX, 3), "order 3 over axis=None"),
        (np.meshgrid, (VECTOR,), "'xz'"),
        (np.pad, (VECTOR, 1, "mean"), "'mean'"),
        (np.pad, (VECTOR, 1, "edge"), "constant_values=1"),
        (np.select, ([np.ones(3, bool)], [VECTOR, VECTOR]), "argument 2 is longer"),
        (np.sort, (VECTOR[0],), "axis -1 is out of bounds"),
        (np.split, (VECTOR, 2), r"\(3,\).*into 2 parts.*array_split"),
        (np.take_along_axis, (MATRIX, [0], 1), r"\(1,\) int64 for shape \(2, 3\)"),
        (np.tensordot, (MATRIX, MATRIX, 1), r"along \(1,\).*along \(0,\).*the same"),
        (np.vsplit, (VECTOR, 1), r"\(3,\) float64: it takes matrices"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_errors_say_what_was_wrong(function: Any, args: Any, message: str) -> None:
    options = {np.clip: {"min": 0}, np.meshgrid: {"indexing": "xz"}}.get(function, {})
    if message == "constant_values=1":
        options = {"constant_values": 1}
    with pytest.raises(ValueError, match=message):
        function(*args, **options)


def test_weights_that_sum_to_zero_are_refused() -> None:
    with pytest.raises(ZeroDivisionError, match="sum to zero"):
        np.average(VECTOR, weights=[1.0, -1.0, 0.0])
