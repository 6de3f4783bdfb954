"""Functions for `load=`, `dump=` and `initializer=` of pools, imported by workers."""

from __future__ import annotations

import asyncio
import os
import random
import threading

import numpy as np

begun = []  # in this process
loops = []  # of this process's workers
left = []  # tasks on them
reached, release = threading.Event(), threading.Event()


def load(number):
    """A batch of pictures, or a failure, that a number stands for."""
    if number == 3:
        raise LookupError("no batch 3")
    if number == 13:
        os._exit(7)
    return np.full((2, 8, 8, 3), number, np.uint8)


async def load_async(number):
    await asyncio.sleep(0)
    return load(number)


def load_and_spoil(numbers):
    return load(numbers.pop())


def dump(images):
    return images.tobytes()


async def dump_async(images):
    await asyncio.sleep(0)
    return dump(images)


def drawing_from_globals(value):
    return value, random.getrandbits(40), int(np.random.randint(2**40))


def drawing(value, rng):
    return value, int(rng.integers(2**40))


async def loop_of(batch):
    loop = asyncio.get_running_loop()
    loop.batches = [*getattr(loop, "batches", ()), batch]
    return loop.batches


async def leave_a_task(batch):
    """Leave a task and a thread of the executor on the loop of this worker."""
    loops.append(asyncio.get_running_loop())
    left.append(asyncio.create_task(asyncio.Event().wait()))
    await asyncio.to_thread(int)
    if batch == 3:
        raise LookupError("no batch 3")
    return batch


def initialize():
    begun.append(os.getpid())


async def initialize_async():
    await asyncio.sleep(0)
    initialize()


def begun_before(batch):
    """How often this worker was prepared, and which one it is."""
    return begun.count(os.getpid()), os.getpid()


def refuse():
    raise LookupError("cannot begin")


async def refuse_async():
    loops.append(asyncio.get_running_loop())
    if len(loops) == 2:
        refuse()


async def wait_for_release(batch):
    loops.append(asyncio.get_running_loop())
    reached.set()
    release.wait()
    return batch


def nothing(batch):
    return batch
