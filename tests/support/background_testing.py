"""Loaders and targets that tests send to worker processes, which import them from here."""

from __future__ import annotations

import inspect
import itertools
import os
import random
import time

import aioaug  # noqa: F401 - so that imgaug imports on NumPy 2
import imgaug as ia
import numpy as np
from aioaug._aio.tasks import in_thread
from aioaug.background import SharedMem

LOADED = 20


async def do(fn, *args, **kwargs):
    """Call an async class's method and await it, or a blocking one's beside the event loop."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    return await in_thread(lambda: fn(*args, **kwargs))


def numbered(number):
    return ia.Batch(images=np.full((2, 4, 4, 3), number, np.uint8), data=number)


def batches():
    for number in range(LOADED):
        yield numbered(number)


def list_of_batches():
    return list(batches())


async def async_batches():
    for number in range(LOADED):
        yield numbered(number)


async def async_list_of_batches():
    return list(batches())


def pids():
    for _ in range(LOADED):
        yield os.getpid()


def without_end():
    for number in itertools.count():
        yield numbered(number)


def fails_after_five():
    for number in range(5):
        yield numbered(number)
    raise ValueError("the sixth cannot be loaded")


def dies_after_five():
    for number in range(5):
        yield numbered(number)
    os._exit(7)


def random_numbers():
    for _ in range(5):
        yield random.random(), float(np.random.rand()), float(ia.random.get_global_rng().uniform())


class Drawing:
    """What it draws, in numbers or in batches, comes from imgaug's generator as it was here."""

    def __init__(self):
        self.rng = ia.random.RNG(None)

    def three(self):
        return np.array([self.rng.uniform() for _ in range(3)])

    def batches(self):
        for _ in range(5):
            yield tuple(self.three().tolist())


def load(number):
    if number == 3:
        raise ValueError("number 3 cannot be loaded")
    return numbered(number)


def load_slowly(number):
    begun = time.monotonic()
    time.sleep(0.1)
    return os.getpid(), (begun, time.monotonic())


def most_at_once(times):
    """How many of these spans of time there were at once, at most."""
    return max(sum(begun <= other < ended for begun, ended in times) for other, _ in times)


def large(number):
    return np.full(1 << 20, number, np.uint8)


def plus_hundred(batch):
    if batch.data == 13:
        raise ValueError("thirteen")
    return ia.Batch(images=batch.images_unaug + 100, data=batch.data)


def two_arrays(size=4):
    return np.random.rand(size, 3).astype(np.float32), np.arange(size)


def one_array():
    return np.full((2, 3), 7.9)


def some_none():
    return np.zeros(3), None, np.ones(2, np.int8)


def pid():
    return np.array(os.getpid())


def nap(seconds=0.2):
    time.sleep(seconds)
    return np.array(seconds)


def span():
    """When a nap began and ended."""
    begun = time.monotonic()
    nap()
    return np.array([begun, time.monotonic()])


def draws():
    return np.array([random.random(), np.random.rand(), ia.random.get_global_rng().uniform()])


def of_dtype(dtype, order="C"):
    return np.asarray(example(dtype), order=order)


def of_dtypes(dtypes):
    return list(map(example, dtypes))


def example(dtype):
    """An array (3, 4) of any dtype, with something in it."""
    dtype = np.dtype(dtype)
    if dtype.names:
        array = np.zeros((3, 4), dtype)
        for name in dtype.names:
            array[name] = example(dtype[name])
        return array
    return np.arange(12).reshape(3, 4).astype(dtype)


class Data:
    """An object whose method is a target, and whose data is large."""

    def __init__(self, size):
        self.data = np.arange(size, dtype=np.uint8)

    def part(self, start):
        return self.data[start : start + 10] + 1

    def private_memory(self):
        import psutil

        self.data.sum()  # every page is used
        return np.array(psutil.Process().memory_full_info().uss)

    def spoil(self):
        self.data[0] = 1
        return self.data[:1]


class Marked:
    """Says what it does by way of files, of which it may read, too."""

    def __init__(self, path):
        self.path = path

    def counted(self):
        with open(self.path, "a") as file:
            file.write(f"{os.getpid()}\n")
        return np.zeros(1)

    def counted_slowly(self):
        result = self.counted()
        nap()
        return result

    def fails_at_second_call(self):
        self.counted()
        with open(self.path) as file:
            if len(file.readlines()) == 2:
                raise ValueError("the second call")
        return np.zeros(1)

    def dies_at_second_call(self):
        self.counted()
        with open(self.path) as file:
            if len(file.readlines()) == 2:
                os._exit(5)
        return np.zeros(1)


def wrong_shape():
    return np.zeros((2, 2))


def fill(mp_arrays, shapes, value=0.0, seconds=0.0, data=None):
    time.sleep(seconds)
    for mp_array, shape in zip(mp_arrays, shapes, strict=True):
        array = SharedMem.shm2ndarray(mp_array, shape)
        array[...] = array + value


def fail(mp_arrays, shapes):
    raise ValueError("cannot be filled")


def die(mp_arrays, shapes):
    os._exit(4)


def double(handle, done):
    array = SharedMem.shm2ndarray(handle)
    with handle.get_lock():
        array *= 2
    done.set()


def double_mp(mp_array, done):
    array = SharedMem.shm2ndarray(mp_array, (2, 3))
    array *= 2
    done.set()


def fill_with(mp_arrays, shapes, value, seconds=0.0):
    time.sleep(seconds)
    SharedMem.shm2ndarray(mp_arrays[0], shapes[0])[...] = value


def load_quickly(number):
    return number


def fills_with_lock(mp_arrays, shapes):
    for array in mp_arrays:
        with array.get_lock():
            array[...] = 3
