"""What a command says: a progress bar and complaints on stderr, results on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from .._optional import need
from .exits import Exit

_SHOWN = 50


class Skipped:
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
    click.echo(f"aioaug: {message}", err=True)


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
