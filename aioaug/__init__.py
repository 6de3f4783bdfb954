"""Augment batches of images on many cores, from inside an event loop.

The modules, from the ground up; each imports only from those above it:

    ground      errors  outcomes  arguments  seeding  progress  stats  _optional  _imgaug
    system      cgroups  machine  atomic
    far side    limits  forms  _augment  _descriptors  _threads  _slots  _wire  _worker  _preload
    asyncio     _interrupts  _tasks  _loops  engines  sources  pipeline  streams  _portal  host
    heart       policy  dispatch  assembly  lifecycle  pool  shortcuts
    faces       loading  background  formats  batch  images
    doors       blocking  presets  recipes  pictures  sidecars  darkroom  sheets  bench  cli
"""

from __future__ import annotations

from ._imgaug import install as _install_imgaug
from .background import BackgroundProc, SharedArray, SharedMem, SharedQ
from .engines import Engine
from .errors import (
    AioaugError,
    BatchTimeout,
    ClosedError,
    LimitError,
    MissingExtra,
    RemoteError,
    RemoteTraceback,
    TransportError,
    WorkerDied,
)
from .loading import BackgroundAugmenter, BatchLoader, LoadedQueue
from .pool import AsyncPool
from .shortcuts import augment_batches, pool, run
from .stats import Stats
from .streams import BatchStream

__all__ = [
    "AioaugError",
    "AsyncPool",
    "BackgroundAugmenter",
    "BackgroundProc",
    "BatchLoader",
    "BatchStream",
    "BatchTimeout",
    "ClosedError",
    "Engine",
    "LimitError",
    "LoadedQueue",
    "MissingExtra",
    "RemoteError",
    "RemoteTraceback",
    "SharedArray",
    "SharedMem",
    "SharedQ",
    "Stats",
    "TransportError",
    "WorkerDied",
    "augment_batches",
    "pool",
    "run",
]

__version__ = "0.1.0"

_install_imgaug()
