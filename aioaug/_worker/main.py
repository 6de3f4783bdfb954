"""What a worker process runs: it answers requests until its parent hangs up."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any, NoReturn

from .._base.descriptors import fill_standard_streams
from .._base.results import Failure, Outcome, attempt
from .._base.system import own_memory
from .._base.system_limits import named
from .._base.threads import start_thread
from .._transport import messages, segments, serialization
from .._transport.messages import Reply, Request
from .._transport.room import Room, offered
from ..errors import TransportError
from . import coverage, main_program, reports
from .reports import ReportLevels

# OpenBLAS, OpenMP and MKL read these when they are loaded, so they are set before NumPy is.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

# The niceness of workers: with it the event loop runs first when all cores are busy.
_NICE = 5
# Parameters of glibc's mallopt (malloc.h), and from how many bytes on it returns freed memory to
# the system. The larger they are, the fewer page faults each batch costs.
_MALLOC_LIMITS = {-1: 1 << 29, -3: 1 << 28}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
# Seconds that a worker may take to end after its parent closed the connection.
_LEAVE = 10

_UNGUARDED = (
    "a pool was started while a worker imported the main script, which defines what the worker "
    "needs; put what the script does under: if __name__ == '__main__':"
)

_connection: socket.socket | None = None


def serve(connection: socket.socket, main: Mapping[str, str], wanted: ReportLevels) -> None:
    """Make this process a worker, and answer requests until the parent hangs up.

    The first request brings the state. `main` tells where the parent's main program is, and
    `wanted` which log records and warnings it wants to have.
    """
    global _connection
    _connection = connection
    coverage.start_if_wanted()
    main_program.import_when_needed(main)
    set_up = attempt(_set_up, connection)
    handler = _RequestHandler()
    try:
        _answer_all(messages.WorkerConnection(connection), handler, set_up, wanted)
    except (EOFError, ConnectionError):
        return
    finally:
        connection.close()
        if hasattr(signal, "alarm"):
            # If the parent never heard that this process was started, as when the fork server is
            # killed in that moment, nobody tells it to leave.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_LEAVE)
        handler.end()


def _set_up(connection: socket.socket) -> None:
    try:
        with named("a descriptor for a worker process"):
            fill_standard_streams()
    finally:
        # The parent first sends a byte with a descriptor. Unread, it would spoil the first message.
        _, parent = messages.received(connection, 1)
    use_one_native_thread()
    # Each worker would ask PyPI for news when it imports Albumentations, and may wait for seconds.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    keep_memory()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    # Ctrl-C goes to the whole process group, and only the parent knows what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    start_thread(_end_with_parent, *parent, name="aioaug-parent-watch")


def leave() -> None:
    """Do nothing: an executor starts its process for a call, and this comes after `serve`."""


def _answer_all(
    parent: messages.WorkerConnection,
    handler: _RequestHandler,
    set_up: Outcome[None],
    wanted: ReportLevels,
) -> NoReturn:
    reports.forward(parent)
    wanted.set_levels()
    state = parent.receive().head
    # If the setup failed, this is the first answer that the parent waits for, so it says so.
    held = set_up if isinstance(set_up, Failure) else attempt(handler.load_state, state)
    wanted.set_levels()  # modules set some when they are imported, which the program changed later
    wanted.set_filters()
    parent.send(Reply(_head(held)))
    del state, set_up, held
    while True:
        request = parent.receive()
        begun = time.perf_counter()
        reply = handler.handle(request)
        memory = own_memory() if request.report_memory else 0
        parent.send(reply._replace(seconds=time.perf_counter() - begun, memory=memory))
        del request, reply


def is_worker() -> bool:
    """Whether this process is a worker of some pool."""
    return _connection is not None


def refuse_nested_pool() -> None:
    """Raise `RuntimeError` in a worker; a main script that it imports may build its pools."""
    if is_worker() and not main_program.is_being_imported():
        raise RuntimeError("a pool cannot be built inside a worker of another pool")


def refuse_unguarded_script() -> None:
    """Raise `RuntimeError` in a worker that imports the main script for something defined there.

    That may build pools, which starts nothing, but not use them.
    """
    if main_program.is_being_imported():
        main_program.refusals.append(_UNGUARDED)
        raise RuntimeError(_UNGUARDED)


def use_one_native_thread() -> None:
    """Keep native libraries from starting threads: there is a worker for each core already."""
    for name in _THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def keep_memory() -> None:
    """Let the C library keep freed arrays of a batch's size, where it can be told to.

    glibc returns arrays above 32 MB, and the end of its heap, to the kernel, which has to clear
    every page again for the next batch.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, limit in _MALLOC_LIMITS.items():
            mallopt(parameter, limit)


class _RequestHandler:
    """Serves requests, with the state and the segments that this worker has open."""

    def __init__(self) -> None:
        self._state: Any = None
        self._segments: dict[int, segments.Segment] = {}
        self._forked = False  # during the present request
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._note_fork)

    def load_state(self, data: bytes | memoryview) -> None:
        """Unpickle the state, for all requests to come, and let it begin if there is a `begin`."""
        try:
            self._state = serialization.rebuild(data)
        except TransportError as error:
            if main_program.refusals:
                # The error says what to do; the tracebacks of the import would hide it.
                error.__cause__ = error.__context__ = None
                error.without_traceback = True
            raise
        # There is a worker for each core: threads of their libraries would be in each other's way.
        if "cv2" in sys.modules:
            sys.modules["cv2"].setNumThreads(0)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        if hasattr(self._state, "begin"):
            self._state.begin()

    def end(self) -> None:
        """Let the state end what it began, if it has an `end`."""
        if hasattr(self._state, "end"):
            self._state.end()

    def handle(self, request: Request) -> Reply:
        """Do what the request asks; an exception is an answer, too."""
        for number in request.dropped:
            self._segments.pop(number, None)
        try:
            segment = self._open(request)
        except OSError as error:
            return Reply(b"", refused=f"a worker cannot open it: {error}")
        if segment is None:
            return Reply(_head(attempt(self._run, request.head, ())))
        # `gone` tells whether the request's arrays are gone. If one is left, or if a process was
        # forked meanwhile, which has all of them, the parent must not use the memory again.
        loan = segment.loan()
        gone = weakref.ref(loan)
        self._forked = False
        room = Room(segment, request.spans)
        arrays = segments.views(loan, request.spans)
        reply = self._handle_in(segment, request, arrays, room)
        del loan, arrays
        return reply._replace(kept=self._forked or gone() is not None or room.is_in_use)

    def _handle_in(
        self, segment: segments.Segment, request: Request, arrays: list[Any], room: Room
    ) -> Reply:
        with offered(room):
            outcome = attempt(self._run, request.head, arrays)
        try:
            head, buffers = serialization.flatten(outcome)
            try:
                spans = segments.lay(buffers, segment.memory, room.start)
            except segments.NoRoom as error:
                return Reply(_head(outcome), needed=error.needed)
        except TransportError as error:
            return Reply(_head(Failure(error)))
        return Reply(head, tuple(spans))

    def _run(self, head: bytes | memoryview, arrays: Any) -> Any:
        fn, args = serialization.rebuild(head, arrays)
        return fn(self._state, *args)

    def _open(self, request: Request) -> segments.Segment | None:
        if request.segment is None:
            return None
        address = segments.Address(*request.segment)
        if address.number not in self._segments:
            self._segments[address.number] = segments.Segment.attach(address)
        return self._segments[address.number]

    def _note_fork(self) -> None:
        self._forked = True


def _head(outcome: Outcome[Any]) -> bytes:
    try:
        return serialization.pickled(outcome)
    except TransportError as error:
        return pickle.dumps(Failure(error), protocol=5)


def _end_with_parent(parent_fd: int | None = None) -> None:
    parent = multiprocessing.parent_process()
    signs = [parent.sentinel] if parent is not None else []
    wait(signs if parent_fd is None else [*signs, parent_fd])
    # A normal exit would wait for the batch at work, which nobody wants any more.
    os._exit(1)
