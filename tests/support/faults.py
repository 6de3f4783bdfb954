"""Functions of the system that fail when they are told to; here and, by `FAULT`, in workers."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import threading

# The variable that says what fails in the fork server and the workers: a name of FUNCTIONS, and
# the first and the last call that fails. Each process counts its own.
FAULT = "AIOAUG_TESTS_FAULT"

_NO_THREAD = (RuntimeError, "can't start new thread")


def _shortage(number):
    return OSError, number, os.strerror(number)


FUNCTIONS = {
    "thread": ("threading", "Thread.start", _NO_THREAD),
    "bare_thread": ("_thread", "start_new_thread", _NO_THREAD),
    "program": ("_posixsubprocess", "fork_exec", _shortage(errno.EAGAIN)),
    "fork": ("os", "fork", _shortage(errno.EAGAIN)),
    "socketpair": ("socket", "socketpair", _shortage(errno.EMFILE)),
    "memfd_create": ("os", "memfd_create", _shortage(errno.EMFILE)),
    "mmap": ("mmap", "mmap", _shortage(errno.ENOMEM)),
    "open": ("os", "open", _shortage(errno.EMFILE)),
    "epoll": ("selectors", "EpollSelector.__init__", _shortage(errno.EMFILE)),
    "pidfd_open": ("os", "pidfd_open", _shortage(errno.EMFILE)),
}


class Fault:
    """Stands for a function of the system, whose calls from `first` to `last` fail."""

    def __init__(self, name):
        module, path, (kind, *arguments) = FUNCTIONS[name]
        *owner, self._attribute = path.split(".")
        self._owner = importlib.import_module(module)
        for part in owner:
            self._owner = getattr(self._owner, part)
        self._real = getattr(self._owner, self._attribute)
        self._error = lambda: kind(*arguments)
        self._lock = threading.Lock()
        self.calls = 0

    @contextlib.contextmanager
    def at(self, first, last):
        self.begin(first, last)
        try:
            yield
        finally:
            setattr(self._owner, self._attribute, self._real)

    def begin(self, first, last):
        self.calls, self._first, self._last = 0, first, last
        setattr(self._owner, self._attribute, lambda *args, **named: self._call(args, named))

    def _call(self, args, named):
        with self._lock:
            self.calls += 1
            fails = self._first <= self.calls <= self._last
        if fails:
            raise self._error()
        return self._real(*args, **named)


def begin_in_workers():
    """Called as the fork server starts: have what `FAULT` names fail in it and its children."""
    name, *places = os.environ[FAULT].split(":")
    first, last = map(int, places)
    fault = Fault(name)
    fault.begin(first, last)
    os.register_at_fork(after_in_child=lambda: fault.begin(first, last))
