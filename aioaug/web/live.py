"""The streams of an app: its pictures one after the other, from any index on, at some pace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from .._aio.tasks import AsyncBatches
from .._base.seeding import SEED_LIMIT
from ..data.samples import PictureDataset
from ..errors import ClosedError
from ..streams import BatchStream
from .frames import ARRAYS, EVENTS, FORMATS, LINES, MIXED
from .overflow import OVERFLOWS, Overflow
from .pictures import Encoding
from .pipelines import StreamTask
from .problems import RequestRefused
from .requests import encoding_of, number_of
from .timing import wait_until

log = logging.getLogger(__package__)

# After so many failures in a row a stream ends: no picture of the server can be read.
_MOST_FAILURES = 10
_MOST_FPS = 1000


class StreamQuery:
    """What a client asks of a stream, checked; `RequestRefused` says what is wrong.

    `start` and `count` are the first index and how many pictures there are, 0 for no end;
    `Last-Event-ID` takes the place of `start`, and of the seed, as it has both.
    """

    def __init__(
        self, query: Mapping[str, str], headers: Mapping[str, str], seed: int, *, socket: bool
    ) -> None:
        self.media_type = ARRAYS if socket else _media_type(query, headers)
        self.seed = number_of(query, "seed", seed, most=SEED_LIMIT)
        self.start = number_of(query, "start", 0, most=SEED_LIMIT)
        self.count = number_of(query, "count", 0, most=SEED_LIMIT)
        self.fps = number_of(query, "fps", 0, most=_MOST_FPS)
        self.overflow: Overflow = _overflow(query)
        self.encoding: Encoding | None = None
        if socket or self.media_type != ARRAYS:
            self.encoding = None if query.get("format") == "npy" else encoding_of(query)
        if (last := headers.get("last-event-id")) is not None:
            self._resume(last)

    def _resume(self, last: str) -> None:
        numbers = dict(zip(("seed", "index"), last.split("-", 1), strict=False))
        if len(numbers) < 2:
            raise RequestRefused(400, "Last-Event-ID must be an id of this stream's: seed-index")
        self.seed = number_of(numbers, "seed", 0, most=SEED_LIMIT)
        done = number_of(numbers, "index", 0, most=SEED_LIMIT) + 1 - self.start
        self.start += max(done, 0)
        if self.count:
            self.count -= max(done, 0)
            if self.count <= 0:
                raise RequestRefused(204, "the stream is at its end")


class StreamTasks(AsyncBatches):
    """The tasks of a stream: picture `index` modulo their number, for each index from `start` on.

    With a number of frames a second, no task comes before its time; it waits for no other.
    """

    def __init__(self, pipeline: str, pictures: PictureDataset, query: StreamQuery) -> None:
        self._pipeline = pipeline
        self._pictures = pictures
        self._query = query
        self._given = 0
        self._due: float | None = None

    async def __anext__(self) -> StreamTask:
        query = self._query
        if query.count and self._given >= query.count:
            raise StopAsyncIteration
        if query.fps:
            await self._wait(1 / query.fps)
        index = (query.start + self._given) % SEED_LIMIT
        self._given += 1
        sample = self._pictures[index % len(self._pictures)]
        return StreamTask(
            self._pipeline, query.seed, index, sample.image, sample.labels, query.encoding
        )

    async def _wait(self, seconds: float) -> None:
        # Time that was lost is not made up for: pictures would come in a bunch.
        now = asyncio.get_running_loop().time()
        self._due = max((self._due or 0.0) + seconds, now)
        await wait_until(self._due)

    async def _leave(self, error: BaseException | None) -> None:
        """There is nothing to end."""


class LiveFrames(AsyncBatches):
    """The frames of a pool's stream; what failed is logged, and told where the format has words."""

    def __init__(self, stream: BatchStream, *, tells: bool) -> None:
        self._stream = stream
        self._tells = tells
        self._failures = 0

    async def __anext__(self) -> Any:
        while True:
            try:
                frame = await anext(self._stream)
            except StopAsyncIteration:
                raise
            except ClosedError:  # the server stops
                raise StopAsyncIteration from None
            except Exception as error:
                self._failures += 1
                log.warning("a picture of a stream failed: %s: %s", type(error).__name__, error)
                if self._failures >= _MOST_FAILURES:
                    raise
                if self._tells:
                    return {"problem": {"title": "this picture failed", "status": 500}}
            else:
                self._failures = 0
                return frame

    async def aclose(self) -> None:
        """End the stream. Idempotent."""
        await self._stream.aclose()

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()


def tells_problems(media_type: str) -> bool:
    """Whether this format has words for a picture that failed; others leave it out."""
    return media_type in (EVENTS, LINES)


def _media_type(query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    if (asked := query.get("as")) is not None:
        names = {"mixed": MIXED, "events": EVENTS, "lines": LINES, "npy": ARRAYS}
        if asked not in names:
            raise RequestRefused(400, f"as must be one of {', '.join(names)}")
        return names[asked]
    accept = headers.get("accept", "*/*")
    for kind in FORMATS:
        if kind in accept:
            return kind
    # Browsers ask for pictures by image/*, and take these parts for one.
    if "*/*" in accept or "image/" in accept or "multipart/*" in accept:
        return MIXED
    raise RequestRefused(406, f"there is {', '.join(FORMATS)}")


def _overflow(query: Mapping[str, str]) -> Overflow:
    asked = query.get("overflow", "block")
    for each in OVERFLOWS:
        if asked == each:
            return each
    raise RequestRefused(400, f"overflow must be one of {', '.join(OVERFLOWS)}")
