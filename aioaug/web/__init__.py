"""Pictures over HTTP: pieces for one's own app, and a whole app.

It needs Starlette: without it, `import aioaug.web` raises `MissingExtra`.
"""

from __future__ import annotations

from .._base.optional import need

need("starlette", extra="web")

from .annotations import PictureMarks  # noqa: E402  # the modules need Starlette
from .app import create_app, serve  # noqa: E402
from .broadcast import Broadcast, Subscription  # noqa: E402
from .feeds import DatasetFeed  # noqa: E402
from .frames import StreamFrame  # noqa: E402
from .lifespans import pool_lifespan  # noqa: E402
from .limits import WebLimits  # noqa: E402
from .overflow import OverflowStream  # noqa: E402
from .problems import ClientGone, RequestRefused  # noqa: E402
from .requests import augment_response, cancel_on_disconnect  # noqa: E402
from .streaming import StreamingBatches, stream_websocket  # noqa: E402

__all__ = [
    "Broadcast",
    "ClientGone",
    "DatasetFeed",
    "OverflowStream",
    "PictureMarks",
    "RequestRefused",
    "StreamFrame",
    "StreamingBatches",
    "Subscription",
    "WebLimits",
    "augment_response",
    "cancel_on_disconnect",
    "create_app",
    "pool_lifespan",
    "serve",
    "stream_websocket",
]
