"""Loading and augmenting in one go, in the worker: only a name or an index goes there."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any

from ..augmenters import batch_forms
from ..augmenters.kinds import is_imgaug


class LoadThenAugment:
    """A callable `name -> batch`: first `load`, then an augmenter that is a callable."""

    def __init__(self, load: Callable[[Any], Any], augmenter: Any) -> None:
        self._load = load
        self._augmenter = augmenter

    @property
    def __signature__(self) -> inspect.Signature:
        # It asks for the random numbers that the augmenter asks for.
        return inspect.signature(self._augmenter)

    def __call__(self, name: Any, **options: Any) -> Any:
        return self._augmenter(self._load(name), **options)


class LoadThenImgaug:
    """The same with an imgaug augmenter; the names come in batches of their own, as `data`."""

    def __init__(self, load: Callable[[Any], Any], augmenter: Any) -> None:
        self._load = load
        self._augmenter = augmenter

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._augmenter, name)

    def augment_batch_(self, named: Any) -> Any:
        """Load what the batch names, and augment that."""
        return batch_forms.augment(self._load(named.data), self._augmenter.augment_batch_)


def load_then_augment(load: Callable[[Any], Any], augmenter: Any, names: Any) -> tuple[Any, Any]:
    """An augmenter that loads first, and the source of names in the form that it takes."""
    if not callable(load):
        raise TypeError(f"load must be callable, got {load!r}")
    if not is_imgaug(augmenter):
        return LoadThenAugment(load, augmenter), names
    in_batches = _named_async(names) if isinstance(names, AsyncIterable) else _named(names)
    return LoadThenImgaug(load, augmenter), in_batches


def _named(names: Iterable[Any]) -> Iterable[Any]:
    for name in names:
        yield _batch_of(name)


async def _named_async(names: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for name in names:
        yield _batch_of(name)


def _batch_of(name: Any) -> Any:
    from imgaug.augmentables.batches import UnnormalizedBatch

    return UnnormalizedBatch(data=name)
