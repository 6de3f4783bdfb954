"""Augmenters that die, fork, complain and take their time, for the tests of integrity."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

LARGE = 200_000
COMPLAINT = b"Corrupt JPEG data: premature end of data segment\n"


def hold_up_the_loop(seconds):
    """As a training step does, that is not awaited."""
    threading.Event().wait(seconds)


def lose_descriptors(monkeypatch):
    """Have descriptors get lost on the way to workers, and be not to be found in /proc."""
    from aioaug._transport import messages, segments

    def send(connection, data, descriptors=()):
        return connection.send(data)

    address = segments.Segment.address.fget
    nowhere = property(lambda segment: address(segment)._replace(fd=10**6))
    monkeypatch.setattr(messages, "send", send)
    monkeypatch.setattr(segments.Segment, "address", nowhere)


def size_of(path):
    return os.path.getsize(path)


class DiesInLarge:
    """Adds one, in place if the batch is large; the first of those kills the worker half-way."""

    def __init__(self, died, answered=None):
        self.died = str(died)
        self.answered = None if answered is None else str(answered)

    def __call__(self, batch):
        if batch.nbytes >= LARGE:
            batch += 1
            if not os.path.exists(self.died):
                with open(self.died, "w"):
                    pass
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGKILL)
            return batch
        if batch[0] == 9:
            time.sleep(0.1)
        if self.answered is not None:
            with open(self.answered, "ab") as file:
                file.write(b".")
        return batch + 1


class ForksAndDies:
    """Adds one. Each worker forks a helper first, and one worker dies at the batch of sevens."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.forked = False

    def __call__(self, batch):
        if not self.forked:
            self.forked = True
            pid = os.fork()
            if pid == 0:
                time.sleep(600)
                os._exit(0)
            with open(os.path.join(self.folder, f"helper-{pid}"), "w"):
                pass
        if batch[0] == 7 and not os.path.exists(os.path.join(self.folder, "died")):
            with open(os.path.join(self.folder, "died"), "w"):
                pass
            os.kill(os.getpid(), signal.SIGKILL)
        return batch + 1


def end_helpers(folder):
    for name in os.listdir(folder):
        if name.startswith("helper-"):
            with suppress(ProcessLookupError):
                os.kill(int(name.removeprefix("helper-")), signal.SIGKILL)


def forks_a_scribbler(batch):
    """Adds one, and leaves a process behind that goes on to write into what it has of the batch."""
    batch += 1
    wait, go = os.pipe()
    if os.fork() == 0:
        os.read(wait, 1)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            batch[:] = 255
        os._exit(0)
    copy = batch.copy()
    os.write(go, b"x")
    os.close(wait)
    os.close(go)
    return copy


def standard_streams(batch):
    """What descriptors 0 to 2 lead to."""
    return [
        os.readlink(f"/proc/self/fd/{fd}") if os.path.lexists(f"/proc/self/fd/{fd}") else "closed"
        for fd in range(3)
    ]


def complain():
    """As a C library does."""
    with suppress(OSError):
        os.write(2, COMPLAINT)


def complains(batch):
    complain()
    return batch + 1


class SlowToUnpickle:
    """Small, but takes long to be unpickled; knows the thread that did it."""

    unpickled_by = None

    def __reduce__(self):
        return _slowly, ()


def _slowly():
    time.sleep(0.02)
    made = SlowToUnpickle()
    made.unpickled_by = threading.get_ident()
    return made
