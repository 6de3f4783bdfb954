"""Which augmenters of a tree take the time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from .trees import exact


class AugmenterTime(NamedTuple):
    """What an augmenter takes by itself, without the augmenters inside it."""

    name: str
    seconds: float  # for a picture
    share: float  # of the whole tree's time, from 0 to 1


class AugmenterTimer:
    """Measures the augmenters of a tree, which it changes: their methods are wrapped.

    `seconds` has what each took by itself, by name: that of its class, or the one it was given,
    with a number where several have the same. `name_of` may give others; what it has none for, an
    empty one, counts for the augmenter around it.
    """

    def __init__(self, augmenter: Any, name_of: Callable[[Any], str] | None = None) -> None:
        from imgaug.augmenters.meta import Augmenter

        from .parts import objects_in

        self.seconds: dict[str, float] = {}
        self._inside: list[float] = []  # seconds of those inside each that is running
        for found in objects_in(augmenter):
            if isinstance(found, Augmenter) and (own := (name_of or _name_of)(found)):
                name = self._free_name(own)
                self.seconds[name] = 0.0
                found.augment_batch_ = partial(self._run, name, found.augment_batch_)

    def take(self) -> dict[str, float]:
        """The seconds since they were taken last, of those augmenters that ran."""
        taken = {name: seconds for name, seconds in self.seconds.items() if seconds}
        self.seconds.update(dict.fromkeys(self.seconds, 0.0))
        return taken

    def add(self, name: str, seconds: float) -> None:
        """Something else than the augmenters took so many seconds more."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _free_name(self, name: str) -> str:
        number, free = 1, name
        while free in self.seconds:
            number += 1
            free = f"{name} ({number})"
        return free

    def _run(self, name: str, augment_batch: Any, *args: Any, **kwargs: Any) -> Any:
        self._inside.append(0.0)
        started = perf_counter()
        try:
            return augment_batch(*args, **kwargs)
        finally:
            seconds = perf_counter() - started
            self.seconds[name] += seconds - self._inside.pop()
            if self._inside:
                self._inside[-1] += seconds


def profile(augmenter: Any, images: Any, *, rounds: int = 10, seed: int = 0) -> list[AugmenterTime]:
    """Which augmenters of a tree take the time, the slowest first, as they run in pools.

    A copy in faster forms augments `images`, an array (N,H,W,C) or a list of arrays (H,W,C),
    `rounds` times after once that does not count, each time with other random numbers. Nothing
    else of the process should run meanwhile. The argument stays as it is.

    Raises:
        TypeError: `augmenter` is not one of imgaug's.
        ValueError: there are no images, or `rounds` is less than 1.

    Example::

        for name, seconds, share in aioaug.fast.profile(augmenter, images):
            print(f"{share:.0%} {1000 * seconds:.2f} ms {name}")
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    if not len(images):
        raise ValueError("images must have at least one image, got none")
    copied = exact(augmenter)
    copied.seed_(seed)
    copied(images=images)  # imports, tables and caches
    timer = AugmenterTimer(copied)
    for _ in range(rounds):
        copied(images=images)
    whole = sum(timer.seconds.values())
    times = [
        AugmenterTime(name, seconds / (rounds * len(images)), seconds / whole)
        for name, seconds in timer.seconds.items()
    ]
    return sorted(times, key=lambda time: time.seconds, reverse=True)


def _name_of(augmenter: Any) -> str:
    name: str = augmenter.name
    return name.removeprefix("Unnamed") or type(augmenter).__name__
