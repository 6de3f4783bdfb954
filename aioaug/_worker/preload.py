"""Imported once by the fork server, so that every worker starts with it in memory."""

from __future__ import annotations

from contextlib import suppress

from .._base.descriptors import fill_standard_streams
from . import main as worker_main

# Otherwise what the fork server opens next, and its workers inherit, could get their numbers.
fill_standard_streams()
worker_main.use_one_native_thread()

import aioaug._worker.augmentation  # noqa: E402 - after the line above, since it may import NumPy

with suppress(Exception):  # workers that need it raise the error, others work
    import aioaug.fast.families  # noqa: F401 - and imgaug's augmenters, which it imports
