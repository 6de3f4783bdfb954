"""The sizes of pictures, as their labels or the heads of their files say: no pixels are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import numpy as np

from .. import _pictures
from .._base.threads import DaemonExecutor, end_of_interest
from .._pictures import Array, Size
from ..errors import ClosedError, UnreadablePictureError
from .labels import PictureLabels
from .references import Reference

_THREADS = 16  # most of the time goes by in waiting, on disks that are far away
_PER_CALL = 64
_HEAD = 1 << 15  # bytes, in which most files say their size
_UNKNOWN = (0, 0)


def read_sizes(samples: Sequence[Any]) -> Array:
    """(n,2) `int64`: the height and width of each picture, turned as its EXIF says.

    Both are 0 for a file that is missing or is no picture. It blocks; files are read in threads.
    Raises `ClosedError` when a stream that waits for it is closed.
    """
    end = end_of_interest()
    sizes = np.zeros((len(samples), 2), np.int64)
    unsaid: list[tuple[int, Reference]] = []
    for number in range(len(samples)):
        sample = samples[number]
        labels = sample.labels
        if isinstance(labels, PictureLabels) and labels.size is not None:
            sizes[number] = labels.size[::-1]
        else:
            unsaid.append((number, sample.image))
        _check(end)
    calls = [unsaid[begin : begin + _PER_CALL] for begin in range(0, len(unsaid), _PER_CALL)]
    if calls:
        threads = DaemonExecutor(min(_THREADS, len(calls)), "aioaug-sizes")
        try:
            waiting = [threads.submit(_sizes_of, call, end) for call in calls]
            for call, found in zip(calls, waiting, strict=True):
                # A server may take long to answer, and nobody could close the stream meanwhile.
                either: list[Future[Any]] = [found, end]
                wait(either, return_when=FIRST_COMPLETED)
                _check(end)
                sizes[[number for number, _ in call]] = found.result()
        finally:
            threads.shutdown(wait=not end.done(), cancel_futures=True)
    return sizes


def _check(end: Future[None]) -> None:
    if end.done():
        raise ClosedError("the stream was closed while the sizes of its pictures were read")


def _sizes_of(numbered: list[tuple[int, Reference]], end: Future[None]) -> list[Size]:
    sizes = []
    for _, reference in numbered:
        _check(end)
        sizes.append(_size_of(reference))
    return sizes


def _size_of(reference: Reference) -> Size:
    try:
        head = getattr(reference, "head", None)
        size = None if head is None else _pictures.size_of(head(_HEAD))
        return size or _pictures.size_of(reference.read()) or _UNKNOWN
    except (OSError, UnreadablePictureError):  # it is raised again by who reads the pixels
        return _UNKNOWN
