"""The ways in which a worker comes to grief, and the moments at which it does."""

from __future__ import annotations

import ctypes
import io
import os
import signal
import sys
import threading
import time

HARMLESS = ("raise", "exit", "memory")  # the worker outlives these
DEADLY = ("_exit", "kill", "segfault")
ENDLESS = ("loop", "sleep")
DEEDS = HARMLESS + DEADLY + ENDLESS


def do(deed):
    if deed == "raise":
        raise ValueError("spoilt")
    if deed == "exit":
        sys.exit(3)
    if deed == "memory":
        bytearray(1 << 62)
    if deed == "_exit":
        os._exit(7)
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "segfault":
        ctypes.string_at(0)
    while deed == "loop":
        pass
    if deed == "sleep":  # in C, and with the GIL
        ctypes.PyDLL(None).sleep(1000)


class OnUnpickling:
    """An object, a batch or an augmenter, whose unpickling does a deed."""

    def __init__(self, deed):
        self.deed = deed

    def __reduce__(self):
        return do, (self.deed,)

    def __call__(self, batch):
        return batch


class OnPickling:
    def __init__(self, deed):
        self.deed = deed

    def __reduce__(self):
        do(self.deed)
        return str, ()


class Augmenter:
    """Batches are numbers, or pairs of a moment and a deed."""

    def __call__(self, batch):
        if not isinstance(batch, tuple):
            return batch
        moment, deed = batch
        if moment == "call":
            do(deed)
        if moment == "result":
            return OnPickling(deed)
        if moment == "later":
            threading.Thread(target=later, args=(deed,), daemon=True).start()
        return batch


def later(deed):
    sys.stderr = io.StringIO()  # what a thread dies of is printed
    time.sleep(0.05)
    do(deed)
