"""Which imgaug the tests run with: imgaug 0.4.0 or its fork imaug, and what differs there."""

from __future__ import annotations

from contextlib import nullcontext

import aioaug  # noqa: F401  imgaug cannot be imported without it
import imgaug
import imgaug.parameters
import pytest

IS_IMAUG = imgaug.__version__ != "0.4.0"
EXAMPLES = imgaug.data if IS_IMAUG else imgaug  # where the pictures of a quokka are

imgaug_only = pytest.mark.skipif(IS_IMAUG, reason="of imgaug 0.4.0, and mended in imaug itself")


def without_prefetching():
    """Augmenters that are built in this context draw no samples ahead, as in a pool of aioaug."""
    return imgaug.parameters.no_prefetching() if IS_IMAUG else nullcontext()
