"""How much a client may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from .._base.arguments import seconds_or_none, whole


@dataclass(frozen=True)
class WebLimits:
    """How much one request, and all of them, may ask for; what is more is answered with 4xx or 503.

    Args:
        body: bytes of a request's body (413).
        pixels: height x width of all its pictures together, as their files say before any pixel is
            decoded (413). A small file may say that it has gigabytes.
        pictures: how many it may have (413).
        marks: how many boxes, keypoints or polygons one picture may have (422).
        requests: how many may be under way at once, 503 with `Retry-After` for more.
        streams: how many streams and websockets may be open at once, 503 for more.
        waiting: how many requests may wait for a worker, 503 for more.
        timeout: seconds until a request is answered with 504, in which its body has to come, too.
            Clients may ask for less by the header `X-Timeout`.

    Raises:
        ValueError, TypeError: one is not a positive number.
    """

    body: int = 32 << 20
    pixels: int = 50_000_000
    pictures: int = 64
    marks: int = 10_000
    requests: int = 200
    streams: int = 200
    waiting: int = 100
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for name in ("body", "pixels", "pictures", "marks", "requests", "streams", "waiting"):
            whole(name, getattr(self, name), low=1)
        if seconds_or_none("timeout", self.timeout) is None:
            raise ValueError("timeout must be a number of seconds, got None")
