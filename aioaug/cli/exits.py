"""How a command ends: exit codes, and the errors that stand for them."""

from __future__ import annotations

import signal
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of `aioaug`; docs/cli.md and --help list them."""

    FINE = 0
    UNEXPECTED = 1
    USAGE = 2
    SKIPPED = 3
    INPUT = 4
    MANIFEST = 5
    OUTPUT = 6


EPILOG = (
    "Exit codes: 0 all is done; 1 unexpected error; 2 wrong usage; 3 done, but some pictures were "
    "skipped, or `inspect` found something; "
    "4 unusable input: no pictures, no such pipeline, something not installed; "
    "5 the manifest does not fit; 6 the output cannot be written; "
    "130 and 143 interrupted by Ctrl-C and SIGTERM."
)


class CommandError(Exception):
    """Something the user can put right: one line, and the exit code that goes with it."""

    def __init__(self, message: str, code: Exit = Exit.INPUT) -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


class Interrupted(Exception):
    """A signal ended the work; everything it had started is gone."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.hint = "nothing was done"

    @property
    def code(self) -> int:
        """What shells report for a program that a signal ended."""
        return 128 + self.number

    def __str__(self) -> str:
        return f"interrupted by {signal.Signals(self.number).name}; {self.hint}"


def one_line(error: BaseException) -> str:
    """An exception as one line, with its type unless it is one of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, CommandError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
