"""What all tests share: no test leaves anything behind, and every run draws the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cases  # noqa: F401 - first: it notes which primitives the package itself has
import hypothesis
import numpy as np
import pytest

from autograd_mini.core import graph
from autograd_mini.core.primitive import implementations
from autograd_mini.trace import Observer

hypothesis.settings.register_profile(
    "everywhere", deadline=None, derandomize=True, database=None, print_blob=True
)
hypothesis.settings.load_profile("everywhere")


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves recording off or somebody listening; forget the ops it declared."""
    before, known = graph.listening(), dict(implementations)
    yield
    after = graph.listening()
    implementations.clear()
    implementations.update(known)
    assert (after.recording, after.observers) == (before.recording, before.observers), (
        f"this test left recording={after.recording} and {len(after.observers)} observers behind"
    )


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20260)


@pytest.fixture
def listener() -> Listener:
    """An observer that writes down what it is told."""
    return Listener()


class Listener(Observer):
    """Listens to the engine as traces do."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_of: list[tuple[Any, ...]] = []
        self.pulls: list[tuple[Any, int]] = []
        self.delivered_to: list[tuple[Any, Any]] = []
        self.written: list[Any] = []
        self.entered: list[Any] = []
        self.left = 0

    def heard(self, primitive: Any, operands: Any, statics: Any, y: Any) -> None:
        self.heard_of.append((primitive, operands, statics, y))

    def pulling(self, node: Any, position: int) -> None:
        super().pulling(node, position)
        self.pulls.append((node, position))

    def delivered(self, node: Any, cotangent: Any) -> None:
        self.delivered_to.append((node, cotangent))

    def writing(self, tensor: Any) -> None:
        self.written.append((tensor, tensor.data.copy()))

    def entering(self, module: Any, parts: Any) -> None:
        self.entered.append(module)

    def leaving(self) -> None:
        self.left += 1

    @property
    def names(self) -> list[str]:
        """The ops that were called, in order."""
        return [primitive.name for primitive, *_ in self.heard_of]
