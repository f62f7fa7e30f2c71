"""Trace: one run as an ordered list of calls, on which pictures and reports stand.

Inside ``with trace() as run:`` every call of a primitive is written down: what went in, what came
out, which line of the program asked for it, and whether it happened on the way forward or as a part
of a derivative on the way backward.  Everything that shows a computation is a function of such a
record.  `debug` listens in the same way, and complains.
"""

from .debugging import bad, debug
from .graphs import array_of
from .observer import Observer
from .origins import complement, derived_from_others, running, same
from .parcel import Linked, is_computed
from .record import Trace, run_of, trace, variables, variables_around
from .values import PACKAGE, Call, Derived, Failure, Pull, Scope, Source, Value, called_from

__all__ = [
    "PACKAGE",
    "Call",
    "Derived",
    "Failure",
    "Linked",
    "Observer",
    "Pull",
    "Scope",
    "Source",
    "Trace",
    "Value",
    "array_of",
    "bad",
    "called_from",
    "complement",
    "debug",
    "derived_from_others",
    "is_computed",
    "run_of",
    "running",
    "same",
    "trace",
    "variables",
    "variables_around",
]
