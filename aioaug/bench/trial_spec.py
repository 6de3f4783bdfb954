"""What one trial has to know."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from .workloads import WORKLOADS, Workload

ASYNCIO, UVLOOP = LOOPS = "asyncio", "uvloop"  # event loops; uvloop where it is installed


@dataclass(frozen=True)
class TrialSpec:
    """One round of one way to augment."""

    way: str
    workload: str
    workers: int = 2
    seconds: float = 2.0
    batches: int | None = None
    loop: str = UVLOOP
    folder: str = ""  # of pictures, if the workload reads files

    @property
    def what(self) -> Workload:
        """The workload itself."""
        return WORKLOADS[self.workload]

    @property
    def lookahead(self) -> int:
        """How many batches may exist at once, in every way that has such a bound.

        Two calls a worker and as many finished ones, or what makes up a megabyte.
        """
        if self.what.window:
            return self.what.window
        return max(4 * self.workers * self.what.chunksize, int(1 / self.what.megabytes))

    @property
    def unit(self) -> int:
        """How many results come together, so that they are all counted or none."""
        return self.what.listed or self.what.chunksize

    def dumps(self) -> str:
        """As an argument of a program."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> TrialSpec:
        """The reverse of `dumps`."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields)
