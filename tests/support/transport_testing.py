"""What the tests of the transport send to workers, and what they look at memory with."""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import resource
import signal
import time
from typing import NamedTuple

import numpy as np
import psutil

KB, MB = 1 << 10, 1 << 20
KEPT = []


class Census(NamedTuple):
    """What a process holds."""

    pid: int
    descriptors: int
    mappings: int  # of segments
    faults: int
    unshared: int  # bytes; 0 if nobody asked


def census(*, memory=False):
    return Census(
        os.getpid(),
        len(os.listdir("/proc/self/fd")),
        len(list(mapped(os.getpid()))),
        resource.getrusage(resource.RUSAGE_SELF).ru_minflt,
        psutil.Process().memory_full_info().uss if memory else 0,
    )


def mapped(pid):
    """The segments that a process has mapped: (inode, bytes), one for each mapping."""
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            if "memfd:aioaug" in line or "/shm/aioaug" in line:
                span, _, _, _, inode, *_ = line.split()
                start, end = (int(number, 16) for number in span.split("-"))
                yield int(inode), end - start


def in_a_segment(array):
    """Whether the array's memory is a mapping, not its own."""
    while array is not None:
        if isinstance(array, mmap.mmap):
            return True
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return False


def numbered(number, size=1 << 16):
    """An array like no other."""
    return np.random.default_rng(number).integers(0, 256, size, np.uint8)


def same(one, other):
    """Whether two objects are equal in everything that matters, arrays bit by bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        if one.dtype.hasobject:
            return alike and one.tolist() == other.tolist()
        return alike and one.tobytes() == other.tobytes()
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "__dict__"):
        return same(vars(one), vars(other))
    return one == other or (one != one and other != other)


def segment_pool_of(pool):
    return pool.pool._segment_pool


async def quiet(engine):
    """Wait until no worker has work, and everything that came back is dropped."""
    while engine._scheduler.busy:
        await asyncio.sleep(0.005)
    for _ in range(5):
        await asyncio.sleep(0.005)
    gc.collect()


async def all_free(pool):
    await quiet(pool.pool)
    segment_pool = segment_pool_of(pool)
    return segment_pool.free == segment_pool.count


# What workers do.


def count(batch):
    """An array comes back as it is; asked for, with a census of the worker."""
    array, asked = batch
    return array, census(memory=asked == {"memory": True}) if asked else None


def increase(array):
    array += 1
    return array


def five_times(array):
    return np.tile(array, 5)


def as_large_as_asked(batch):
    """`(array, size)` becomes `size` bytes that only the array determines."""
    array, size = batch
    return np.resize(array, size)


def keep(array):
    """Keep the first few arrays; return the sums of all that are kept, and what came in."""
    if len(KEPT) < 5:
        KEPT.append(array)
    return [int(kept.sum()) for kept in KEPT], array


def keep_and_forget(array):
    KEPT.append(array)
    del KEPT[:-1]
    return array


def aliased(batch):
    """Whether the two arrays of a batch are one."""
    return batch[0] is batch[1], batch


class DiesOnce:
    """Kills its worker, which has a segment in hand, once for each of these numbers."""

    def __init__(self, folder, numbers):
        self.folder = folder
        self.numbers = numbers

    def __call__(self, batch):
        number, array = batch
        path = os.path.join(self.folder, str(number))
        array += 1
        if number in self.numbers and not os.path.exists(path):
            with open(path, "w"):
                pass
            array[:] = 0
            os.kill(os.getpid(), signal.SIGKILL)
        return number, array


def doze(array):
    time.sleep(0.001)
    array += 1
    return array


class State:
    """The state of an engine's workers, of which there is none."""

    def clone(self):
        return State()


def echo(state, value):
    return value


class SaysWhenUnpickled:
    """A callable that leaves a file in the process where it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        vars(self).update(state)
        (self.folder / str(os.getpid())).touch()

    def __call__(self, batch):
        return batch
