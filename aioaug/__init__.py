"""Augment batches of images on many cores, from inside an event loop.

The packages and modules, from the ground up; each imports only from those above it:

    ground      errors  _imgaug  _base  stats
    processes   _transport  augmenters  fast  _worker
    pictures    _pictures
    asyncio     _aio  engines  _streaming
    the pool    streams  pool  shortcuts  prefetching  converting
    faces       loading  background  formats  batch  data  images  notebook
    doors       blocking  torch  testing  web  bench  studio  cli
"""

from __future__ import annotations

from ._imgaug import install as _install_imgaug
from ._worker.chain import chain
from .augmenters.array_format import ArrayFormat
from .augmenters.batch_forms import register_form
from .augmenters.per_picture import per_image
from .background import BackgroundProc, SharedArray, SharedMem, SharedQ
from .converting import ConvertedStream, arrays
from .engines import Engine
from .errors import (
    AioaugError,
    BatchTimeout,
    ClosedError,
    LimitError,
    MissingExtra,
    PoolBusy,
    RemoteError,
    RemoteTraceback,
    TransportError,
    WorkerDied,
)
from .loading import BackgroundAugmenter, BatchLoader, LoadedQueue
from .notebook import PictureGrid, Progress, progress, show
from .pool import AsyncPool
from .prefetching import PrefetchedStream, prefetch
from .shortcuts import augment_batches, augmenter_pool, run
from .stats import Stats
from .streams import BatchStream

__all__ = [
    "AioaugError",
    "ArrayFormat",
    "AsyncPool",
    "BackgroundAugmenter",
    "BackgroundProc",
    "BatchLoader",
    "BatchStream",
    "BatchTimeout",
    "ClosedError",
    "ConvertedStream",
    "Engine",
    "LimitError",
    "LoadedQueue",
    "MissingExtra",
    "PictureGrid",
    "PoolBusy",
    "PrefetchedStream",
    "Progress",
    "RemoteError",
    "RemoteTraceback",
    "SharedArray",
    "SharedMem",
    "SharedQ",
    "Stats",
    "TransportError",
    "WorkerDied",
    "arrays",
    "augment_batches",
    "augmenter_pool",
    "chain",
    "per_image",
    "prefetch",
    "progress",
    "register_form",
    "run",
    "show",
]

__version__ = "0.1.0"

_install_imgaug()
