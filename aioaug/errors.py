"""Every error that aioaug raises by itself.

    AioaugError
    +-- ClosedError         something was used after it had been closed
    +-- WorkerDied          a worker process vanished while it held a batch
    +-- BatchTimeout        a batch took longer than it may (a TimeoutError, too)
    +-- TransportError      an object could not be carried to or from a worker
    +-- PoolBusy            more requests wait than `max_waiting`
    +-- LimitError          the system gave no thread, process or descriptor (a RuntimeError, too)
    +-- RemoteError         stands for an exception that cannot cross a process border
    +-- ResultTimeout       `get(timeout=...)` gave up (a RuntimeError and a TimeoutError, too)
    +-- ParallelError       some items of a batch failed (a RuntimeError, too)
    +-- UnreadablePictureError  a file cannot be read as a picture
    +-- UnreadableLabelsError   a file of labels is broken (a ValueError, too)
    +-- ClusterLost         the scheduler of a cluster went away
    +-- ClusterMismatch     workers of a cluster do not have what the program has
    +-- ConformanceError    an engine does not keep what engines promise (an AssertionError, too)
    +-- AugmenterSpecError  a spec such as "module:name" cannot be loaded (a ValueError, too)
    MissingExtra            an optional dependency is not installed (an ImportError)

An augmenter's own exception is not in this tree: it reaches the caller as itself, with a
`RemoteTraceback` as its cause and a note that names the batch. Wrong arguments are plain
`ValueError` and `TypeError`.
"""

from __future__ import annotations

import builtins
import multiprocessing
import signal


class AioaugError(Exception):
    """Base of the errors that aioaug raises by itself."""


class ClosedError(AioaugError):
    """A pool, stream or engine was used after it had been closed."""


class TransportError(AioaugError):
    """An object could not be pickled or unpickled on its way to or from a worker.

    The cause is the error that pickle raised.
    """

    # Whether the message says all, so that a worker's traceback has not to be carried along.
    without_traceback = False


class WorkerDied(AioaugError):
    """A worker process ended while it held work.

    `exitcode` is the exit code of the process, negative for the number of the signal that
    killed it, `None` where the system did not tell. `index` is the index of the batch that it
    held, `None` if it held none.
    """

    def __init__(self, exitcode: int | None, doing: str, index: int | None = None) -> None:
        super().__init__(exitcode, doing, index)
        self.exitcode = exitcode
        self.doing = doing
        self.index = index

    def __str__(self) -> str:
        return f"a worker process {_how(self.exitcode)} while {self.doing}"


class BatchTimeout(AioaugError, builtins.TimeoutError):
    """A batch took longer than `timeout`, and its worker was killed for it.

    `seconds` is how long it had, `index` the index of the batch, `None` if it was the augmenter
    that took so long to be unpickled.
    """

    def __init__(self, seconds: float, doing: str, index: int | None = None) -> None:
        super().__init__(seconds, doing, index)
        self.seconds = seconds
        self.doing = doing
        self.index = index

    def __str__(self) -> str:
        return f"a worker process took more than {self.seconds:g} s {self.doing}, and was killed"


class PoolBusy(AioaugError):
    """So many requests wait for a pool's workers that it refused another one; nothing was begun.

    `waiting` is how many wait, `most` how many may.
    """

    def __init__(self, waiting: int, most: int) -> None:
        super().__init__(waiting, most)
        self.waiting = waiting
        self.most = most

    def __str__(self) -> str:
        return f"{self.waiting} requests wait for the pool's workers (max_waiting={self.most})"


class ClusterLost(AioaugError):
    """A cluster cannot be reached, or went away while calls were under way on it.

    The message names the address and what to do. What was begun there has been given up; a new
    pool, or a stream that goes on from `state()`, needs a cluster that answers.
    """


class ClusterMismatch(AioaugError):
    """Workers of a cluster lack what the program uses, or have other versions of it.

    The message names the worker and what differs. Nothing was sent to any worker yet.
    """


class ConformanceError(AioaugError, AssertionError):
    """An engine does not keep what `aioaug.Engine` promises; the message says what it is."""


class LimitError(AioaugError, RuntimeError):
    """The system did not give a thread, a process or what they need; it says which limits hold.

    What was begun has been ended. The cause is the system's own error.
    """


class RemoteError(AioaugError):
    """Stands for an exception raised in a worker that could not be carried to the caller.

    `type_name`, `message` and `traceback` say what the original was. It also takes the place
    of exceptions that would be misread on this side: `SystemExit`, `KeyboardInterrupt`,
    `StopIteration`, `StopAsyncIteration` and `asyncio.CancelledError`.
    """

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(type_name, message, traceback)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


class RemoteTraceback(Exception):
    """The cause of an exception that came out of a worker: the traceback there, as text."""

    def __str__(self) -> str:
        return "\n" + "".join(map(str, self.args)).rstrip()


class ResultTimeout(AioaugError, RuntimeError, builtins.TimeoutError, multiprocessing.TimeoutError):
    """A result was not ready in the time that was given; it is not lost.

    `except` for any of its four bases catches it.
    """


TimeoutError = ResultTimeout  # as ELEKTRONN2 calls it


class MissingExtra(ImportError):
    """An optional dependency is not installed; the message ends in the command to install it."""


def _how(exitcode: int | None) -> str:
    if exitcode is None:
        return "vanished"
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    return f"was killed by {name}"


class ParallelError(AioaugError, RuntimeError):
    """Some items failed. The cause is the first one's exception, which notes say the item of.

    `errors` are the exceptions of all that failed, by the position of the item.
    """

    def __init__(self, message: str, errors: dict[int, Exception]) -> None:
        super().__init__(message, errors)
        self.errors = errors

    def __str__(self) -> str:
        count = len(self.errors)
        position, error = next(iter(self.errors.items()))
        kind = type(error).__name__
        which = f"item {position}" if count == 1 else f"{count} items, the first of them {position}"
        return f"{self.args[0]}: {which}: {kind}: {error}"


class UnreadablePictureError(AioaugError):
    """A file cannot be read as a picture; the message names it and says why."""


class UnreadableLabelsError(AioaugError, ValueError):
    """Labels cannot be read, or do not fit their pictures; the message names file and entry."""


class AugmenterSpecError(AioaugError, ValueError):
    """A spec cannot be read, or what it names cannot be loaded or is not an augmenter."""
