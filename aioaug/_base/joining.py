"""Small batches of several tasks that may share a worker's call, and what does them together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

# Work of several stages, with a pause after each but the last.
Stages = Generator[None, None, T]


class Joining(ABC):
    """A batch that may share a call with others of its `kind`, which take about as long.

    What becomes of it is `Joined`. Both are base classes: to ask an object for the members of a
    protocol would cost more than all else that is decided about a request.
    """

    @property
    @abstractmethod
    def kind(self) -> str:
        """Only batches of one kind share a call."""

    @property
    @abstractmethod
    def message_bytes(self) -> int | None:
        """How many it has in a message; `None` if it cannot be in one."""


class Joined(ABC):
    """What becomes of a batch that is `Joining`."""

    taken: float  # how many seconds a worker took for it


class JointAugmenter(ABC):
    """A callable in the place of an augmenter that takes batches which share a call together."""

    @abstractmethod
    def together(self, batches: Sequence[Any]) -> list[Any]:
        """What becomes of each of them: a result, or a `Failure` that leaves the others alone."""


def finished(stages: Stages[T]) -> T:
    """The result of work of several stages, done without a pause."""
    while True:
        try:
            next(stages)
        except StopIteration as end:
            result: T = end.value
            return result
