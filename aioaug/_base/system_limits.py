"""A clear error for what the system refuses because a limit is reached."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import LimitError
from . import system

# The error numbers for a shortage; all others have other causes.
_SHORTAGES = frozenset(
    (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOSPC)
)
# CPython's message when the system gives it no thread; no other error has it.
_NO_THREAD = "can't start new thread"


@contextmanager
def named(what: str) -> Iterator[None]:
    """Turn the system's error for a shortage into a `LimitError` that names `what`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _SHORTAGES:
            raise
        raise shortage(what, error, error.errno) from error
    except RuntimeError as error:
        if _NO_THREAD not in str(error):
            raise
        raise shortage(what, error, errno.EAGAIN) from error


def shortage(what: str, why: object, number: int) -> LimitError:
    """The error for what the system refused, with the limits that an error number stands for."""
    limits = ", ".join(f"{name} is {value}" for name, value in _limits(number) if value is not None)
    return LimitError(f"{what} cannot be had: {why}; {limits or _UNTOLD[number]}; {_REMEDY}")


_REMEDY = "use fewer workers, close what is not needed, or raise the limit"
_UNTOLD = {
    errno.EAGAIN: "the system has no more threads and processes to give",
    errno.EMFILE: "this process has as many open files as it may have",
    errno.ENFILE: "the machine has as many open files as it may have",
    errno.ENOMEM: "the system has no more memory to give",
    errno.ENOBUFS: "the system has no more memory for sockets",
    errno.ENOSPC: "/dev/shm has no more room for semaphores",
}


def _limits(number: int) -> Iterator[tuple[str, int | None]]:
    """The limits that may have been reached, `None` where one does not hold."""
    if number == errno.EAGAIN:
        yield "the user's limit of threads and processes (RLIMIT_NPROC)", _of_process("NPROC")
        yield "the control group's (pids.max)", system.process_limit()
    elif number == errno.EMFILE:
        yield "the limit of open files (RLIMIT_NOFILE)", _of_process("NOFILE")
    elif number == errno.ENOMEM:
        yield "the limit of memory (RLIMIT_AS)", _of_process("AS")


def _of_process(name: str) -> int | None:
    with suppress(ImportError, AttributeError, OSError, ValueError):  # Windows has none of it
        import resource

        limit = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return None
