"""What small batches of several tasks say of themselves, so that they may share a worker's call."""

from __future__ import annotations

from abc import ABC, abstractmethod


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
