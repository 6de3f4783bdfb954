"""Bodies of several parts: those of forms are taken apart, those of answers put together."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .._base.optional import need
from .problems import RequestRefused

_MOST_HEADERS = 20
_LONGEST_HEADER = 1000
_PLAIN_HEAD = re.compile(rb"(?:\r\n[A-Za-z-]{1,50}: [!-~](?:[ -~]{0,498}[!-~])?){1,10}")
_SILENT = logging.Logger("aioaug.web.multipart", logging.CRITICAL + 1)


@dataclass
class FormPart:
    """A field of a form, or a file in it."""

    name: str = ""
    content: bytearray = field(default_factory=bytearray)
    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)


class FormReader:
    """Takes a `multipart/form-data` body (RFC 7578) apart, by python-multipart.

    That takes longer than to decode a small picture, so a form as browsers and clients write it is
    cut at its boundaries. Whatever looks otherwise, or wrong, is left to python-multipart.
    """

    def __init__(self, boundary: bytes, most: int) -> None:
        self._boundary = boundary
        self.parts: list[FormPart] = []
        self.complete = False
        self._most = most

    def read(self, body: Any) -> list[FormPart]:
        """The parts of a whole body; `RequestRefused` for what is no form."""
        body = bytes(body)
        cut = self._cut(body)
        if cut is not None:
            self.parts = cut
        else:
            self._parse(body)
        for part in self.parts:
            _, options = _header_options(part.headers.get("content-disposition", ""))
            part.name = options.get(b"name", b"").decode("utf-8", "replace")
        return self.parts

    def _cut(self, body: bytes) -> list[FormPart] | None:
        line = b"--" + self._boundary
        if not body.startswith(line):
            return None
        first, *pieces = body.split(b"\r\n" + line)
        pieces.insert(0, first[len(line) :])
        if pieces.pop() not in (b"--", b"--\r\n") or not 0 < len(pieces) <= self._most:
            return None
        parts = [_plain_part(piece) for piece in pieces]
        return None if None in parts else parts  # type: ignore[return-value]

    def _parse(self, body: bytes) -> None:
        names = ("part_begin", "part_data", "header_field", "header_value", "header_end", "end")
        calls = {f"on_{name}": getattr(self, f"_on_{name}") for name in names}
        module = need("python_multipart.multipart", extra="web")
        parser = module.MultipartParser(self._boundary, calls)
        # It warns of each form that is wrong: any client could fill the log of a server with that,
        # and each client is told what is wrong with its own.
        parser.logger = _SILENT
        try:
            parser.write(body)
            parser.finalize()
        except ValueError as error:  # its errors are such
            raise RequestRefused(400, f"the form cannot be read: {error}") from None
        if not self.complete:
            raise RequestRefused(400, "the form ends in the middle")

    def _on_part_begin(self) -> None:
        if len(self.parts) >= self._most:
            raise RequestRefused(413, f"a form may have at most {self._most} parts")
        self.parts.append(FormPart())

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += data[start:end]

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].value += data[start:end]

    def _on_header_end(self) -> None:
        part = self.parts[-1]
        if len(part.headers) >= _MOST_HEADERS or len(part.value) > _LONGEST_HEADER:
            raise RequestRefused(400, "a part of the form has too many or too long headers")
        name = part.header.decode("latin-1").lower()
        part.headers[name] = part.value.decode("latin-1")
        part.header, part.value = bytearray(), bytearray()

    def _on_end(self) -> None:
        self.complete = True


def _plain_part(piece: bytes) -> FormPart | None:
    """What is between two boundaries, if its head is one that nobody could read otherwise."""
    head, empty, content = piece.partition(b"\r\n\r\n")
    match = _PLAIN_HEAD.fullmatch(head) if empty else None
    if match is None:
        return None
    lines = (line.decode("ascii").split(": ", 1) for line in head.split(b"\r\n")[1:])
    return FormPart(content=bytearray(content), headers={name.lower(): v for name, v in lines})


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a form, `None` for another kind of body. `RequestRefused` without one."""
    kind, options = _header_options(content_type)
    if kind != b"multipart/form-data":
        return None
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:  # as RFC 2046 has it
        raise RequestRefused(400, "Content-Type: multipart/form-data needs a boundary")
    return bytes(boundary)


@lru_cache(maxsize=256)
def _header_options(header: str) -> tuple[bytes, dict[bytes, bytes]]:
    """The value of a header and what comes with it, which nobody may change."""
    module = need("python_multipart.multipart", extra="web")
    value, options = module.parse_options_header(header)
    return value, options


@dataclass(frozen=True)
class AnswerPart:
    """A file in an answer: its name, its kind and its bytes."""

    name: str
    media_type: str
    content: bytes


def as_multipart(parts: Sequence[AnswerPart]) -> tuple[str, bytes]:
    """The media type and the bytes of `multipart/mixed`, the same for the same parts."""
    digest = hashlib.sha256(b"".join(part.content for part in parts)).hexdigest()
    boundary = f"aioaug-{digest[:40]}"
    body = bytearray()
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: {part.media_type}\r\n"
        head += f'Content-Disposition: attachment; filename="{part.name}"\r\n'
        head += f"Content-Length: {len(part.content)}\r\n\r\n"
        body += head.encode() + part.content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/mixed; boundary={boundary}", bytes(body)


def as_zip(parts: Sequence[AnswerPart]) -> tuple[str, bytes]:
    """The media type and the bytes of a zip file, the same for the same parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # pictures are compressed already
        for part in parts:
            # It would have the time of day, and other bytes each time.
            archive.writestr(zipfile.ZipInfo(part.name), part.content)
    return "application/zip", file.getvalue()


def parts_of(content_type: str, body: bytes) -> list[AnswerPart]:
    """The parts of what `as_multipart` made; `ValueError` for anything else."""
    kind, _, boundary = content_type.partition("; boundary=")
    if kind != "multipart/mixed" or not boundary:
        raise ValueError(f"expected multipart/mixed, got {content_type!r}")
    line, place, parts = f"--{boundary}".encode(), 0, []
    while not body.startswith(line + b"--", place):
        end = body.find(b"\r\n\r\n", place)
        if not body.startswith(line, place) or end < 0:
            raise ValueError("the body is cut off, or is not what its Content-Type says")
        head = dict(
            each.split(": ", 1) for each in body[place:end].decode("latin-1").split("\r\n")[1:]
        )
        begin, length = end + 4, int(head["Content-Length"])
        content = body[begin : begin + length]
        if len(content) < length:
            raise ValueError("the body is cut off")
        name = head["Content-Disposition"].partition('filename="')[2].rstrip('"')
        parts.append(AnswerPart(name, head["Content-Type"], content))
        place = begin + length + 2
    return parts


def as_json_part(name: str, value: Any) -> AnswerPart:
    """JSON as a part of an answer."""
    return AnswerPart(name, "application/json", json.dumps(value).encode())
