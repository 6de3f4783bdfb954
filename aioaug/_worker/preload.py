"""Imported once by the fork server, so that every worker starts with it in memory."""

from __future__ import annotations

from contextlib import suppress

from .._base.descriptors import fill_standard_streams
from . import main as worker_main

# What the fork server opens next, and its workers have, too, must not take the place of these.
fill_standard_streams()
worker_main.use_one_native_thread()

import aioaug._worker.augmentation  # noqa: E402, F401 - after the line above, as it may bring NumPy in

with suppress(Exception):  # a worker that needs it says what is wrong; one that does not, works
    import imgaug.augmenters  # noqa: F401
