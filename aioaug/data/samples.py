"""A picture and what is known about it, and a list of such samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .references import Reference


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and what is known about it."""

    image: Reference
    labels: Any = None


class PictureDataset(Sequence[Sample]):
    """Pictures with their labels, and the names of the classes that these are numbers of."""

    def __init__(self, samples: Sequence[Sample], classes: Iterable[str] = ()) -> None:
        self.classes = tuple(classes)
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: Any) -> Any:
        return self._samples[number]
