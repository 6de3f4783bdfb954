"""How the batches of a stream are written into a response: parts, events, lines or arrays."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MIXED = "multipart/x-mixed-replace"
EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
ARRAYS = "application/x-npy"
_BOUNDARY = "frame"
_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
    b"\x93NUMPY": ARRAYS,
}


@dataclass(frozen=True)
class StreamFrame:
    """One item of a stream as a worker made it.

    `content` are bytes, of a picture or an array, `about` what is said of it, ready for JSON, and
    `id` where a client may go on from, by the header `Last-Event-ID`.
    """

    content: bytes
    media_type: str
    id: str = ""
    about: dict[str, Any] = field(default_factory=dict)


class StreamFormat(Protocol):
    """A way to write frames. It has no state, so one object serves all responses."""

    media_type: str

    def write(self, batch: Any) -> bytes:
        """The bytes of a batch."""


class MixedReplaceFormat:
    """Each picture takes the place of the one before it, in every browser's `<img>`."""

    media_type = f"{MIXED}; boundary={_BOUNDARY}"

    def write(self, batch: Any) -> bytes:
        """One part for each picture."""
        return b"".join(map(self._part, frames_of(batch)))

    def _part(self, frame: StreamFrame) -> bytes:
        head = f"--{_BOUNDARY}\r\nContent-Type: {frame.media_type}\r\n"
        head += f"Content-Length: {len(frame.content)}\r\n"
        if frame.id:
            head += f"X-Aioaug-Id: {frame.id}\r\n"
        return head.encode() + b"\r\n" + frame.content + b"\r\n"


class EventsFormat:
    """Server-sent events (WHATWG HTML, 9.2): their data is JSON, pictures in it are data URIs."""

    media_type = EVENTS

    def write(self, batch: Any) -> bytes:
        """One event for each frame, or for a mapping."""
        return b"".join(self._event(about, id_) for about, id_ in _told(batch))

    def _event(self, about: Mapping[str, Any], id_: str) -> bytes:
        head = f"id: {id_}\n" if id_ else ""
        return f"{head}data: {_json(about)}\n\n".encode()


class LinesFormat:
    """A line of JSON for each frame, pictures in it are data URIs."""

    media_type = LINES

    def write(self, batch: Any) -> bytes:
        """One line for each frame, or for a mapping."""
        return b"".join(f"{_json(about)}\n".encode() for about, _ in _told(batch))


class ArraysFormat:
    """NumPy's format, one array after the other: `numpy.load` reads them from a file one by one."""

    media_type = ARRAYS

    def write(self, batch: Any) -> bytes:
        """The bytes of an array, or of those that workers made."""
        return b"".join(frame.content for frame in frames_of(batch))


FORMATS: dict[str, StreamFormat] = {
    MIXED: MixedReplaceFormat(),
    EVENTS: EventsFormat(),
    LINES: LinesFormat(),
    ARRAYS: ArraysFormat(),
}


def frames_of(batch: Any) -> Iterator[StreamFrame]:
    """The frames of a batch: of bytes, of an array, or of a list or tuple of these and frames.

    Raises `TypeError` for anything else.
    """
    import numpy as np

    if isinstance(batch, StreamFrame):
        yield batch
    elif isinstance(batch, bytes | bytearray | memoryview):
        content = bytes(batch)
        yield StreamFrame(content, media_type_of(content))
    elif isinstance(batch, np.ndarray):
        yield StreamFrame(npy(batch), ARRAYS)
    elif isinstance(batch, list | tuple):
        for each in batch:
            yield from frames_of(each)
    else:
        raise TypeError(
            "a stream of pictures must give bytes of files, arrays, or lists of these, got "
            f"{type(batch).__name__}; have the pool's dump= make them"
        )


def media_type_of(content: bytes) -> str:
    """What kind of file these bytes begin."""
    kinds = (kind for magic, kind in _MAGIC.items() if content.startswith(magic))
    return next(kinds, "application/octet-stream")


def npy(array: Any) -> bytes:
    """An array as a file of NumPy's. Arrays of objects are refused with `ValueError`."""
    import numpy as np

    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def data_uri(content: bytes, media_type: str) -> str:
    """The bytes inside of a text (RFC 2397)."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _told(batch: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """What is said of each frame of a batch, with its content, and its id."""
    if isinstance(batch, Mapping):
        yield batch, str(batch.get("id", ""))
        return
    for frame in frames_of(batch):
        content = {"content": data_uri(frame.content, frame.media_type)}
        yield {**frame.about, **({"id": frame.id} if frame.id else {}), **content}, frame.id


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
