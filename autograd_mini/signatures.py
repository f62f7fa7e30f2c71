"""What `inspect.signature` says of an object that is called like a function."""

from __future__ import annotations

import inspect
from typing import Any


class Signature:
    """What `inspect.signature` says of a primitive: operands may be named, statics are."""

    def __get__(self, primitive: Any, owner: Any) -> inspect.Signature | None:
        if primitive is None:
            return None  # of the class
        kinds = inspect.Parameter
        names: dict[str, Any] = dict.fromkeys(primitive.operands, kinds.POSITIONAL_OR_KEYWORD)
        names |= dict.fromkeys(primitive.operands[-1:] * primitive.variadic, kinds.VAR_POSITIONAL)
        names |= dict.fromkeys(primitive.statics, kinds.KEYWORD_ONLY)
        default = {name: primitive.defaults.get(name, kinds.empty) for name in names}
        return inspect.Signature([kinds(x, kind, default=default[x]) for x, kind in names.items()])
