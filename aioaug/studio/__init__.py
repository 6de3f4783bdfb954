"""The studio: a page on which people look at what their pipelines do, served to this machine.

It needs Starlette: without it, `import aioaug.studio` raises `MissingExtra`.
"""

from __future__ import annotations

from .._base.optional import need

need("starlette", extra="web")

from .app import create_studio  # noqa: E402  # the modules need Starlette
from .guards import is_loopback  # noqa: E402
from .pictures import OpenedDataset, open_pictures  # noqa: E402
from .work import PipelineSpec  # noqa: E402

__all__ = ["OpenedDataset", "PipelineSpec", "create_studio", "is_loopback", "open_pictures"]
