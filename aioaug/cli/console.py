"""The output of commands: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from .._base.optional import need
from .exits import Exit

_SHOWN = 50


class SkippedPictures:
    """The sources that could not be done, each with its first reason."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, source: object, reason: str) -> None:
        """Remember a source; only its first reason counts."""
        self._reasons.setdefault(str(source), reason)

    def tell(self) -> None:
        """List them on stderr."""
        for number, (source, reason) in enumerate(sorted(self._reasons.items())):
            if number == _SHOWN:
                say(f"skipped {len(self) - _SHOWN} more")
                return
            say(f"skipped {source}: {reason}")

    def exit_code(self, done: int) -> Exit:
        """How a command ends that could do `done` others."""
        if not self:
            return Exit.FINE
        return Exit.SKIPPED if done else Exit.INPUT


def say(message: str) -> None:
    """One line on stderr, under our name."""
    click.echo(_encodable(f"aioaug: {showable(message)}", sys.stderr), err=True)


def tell(*lines: str) -> None:
    """A result on stdout."""
    click.echo(_encodable("\n".join(map(showable, lines)), sys.stdout))


def showable(text: str) -> str:
    """`text` on one line, with an escape for each control character.

    Names of files may hold line ends, codes that control terminals, and bytes that are no text. So
    everything that a command prints goes through here.
    """
    return "".join(char if char == " " or _is_harmless(char) else _escape(char) for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"  # some other kind of space


def _escape(char: str) -> str:
    byte = ord(char) - 0xDC00
    if 0x80 <= byte <= 0xFF:  # as Python reads a byte of a name that is no text
        return f"\\x{byte:02x}"
    return char.encode("unicode_escape").decode()


def _encodable(text: str, stream: TextIO) -> str:
    """`text` with an escape for what the stream's encoding does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def counted(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def progress(total: int, done: int = 0) -> Iterator[Callable[[], object]]:
    """A progress bar, if stderr is a terminal; what it gives is called once for each picture."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    tqdm = need("tqdm", extra="cli").tqdm
    with tqdm(total=total, initial=done, unit=" pictures", dynamic_ncols=True) as bar:
        yield bar.update
