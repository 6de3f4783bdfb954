"""Augmenters and other helpers that tests send to workers, which import them from here."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from dataclasses import dataclass

import numpy as np
from aioaug._base.joining import Joined, Joining

# Seconds within which something has to be done on a machine with more to do than this. What waits
# for the wrong thing takes longer than that in the tests, or hangs.
SOON = 20.0


def nothing(batch):
    return batch


def incremented(batch):
    return batch + 1


def changes_and_draws(batch):
    """Changes the batch that it got, by the generators of the interpreter."""
    import random

    batch += 1 + random.randrange(5) + np.random.randint(5)
    return batch


def strides(batch):
    return [batch["array"].strides, batch["more"][0].strides, batch["more"][1][0].strides]


def total(batch):
    return batch.sum()


def pid_of(batch):
    return os.getpid()


def slow(batch):
    time.sleep(0.02)
    return batch


def sleep_for(seconds):
    """A batch is the number of seconds that augmenting it takes."""
    time.sleep(seconds)
    return seconds


def first_is_slow(batch):
    if batch == 0:
        time.sleep(0.5)
    return batch


def with_rng(batch, rng):
    return batch, float(rng.random())


def with_globals(batch):
    return batch, random.random(), float(np.random.rand())


def add_from_globals(images, random_state, parents, hooks):
    """For `iaa.Lambda`: it draws from what imgaug never draws from."""
    return [image + np.uint8(random.randrange(100) + np.random.randint(100)) for image in images]


def spoil(batch):
    batch.append("spoilt")
    return batch


class TwoArguments(Exception):
    """Pickles, but does not unpickle."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Unpicklable:
    def __reduce__(self):
        raise ValueError("refuses to be pickled")


class UnpicklableLater:
    """Pickles here, fails to unpickle there."""

    def __reduce__(self):
        return _fail, ("refuses to be unpickled",)


class DiesWhenUnpickled:
    def __reduce__(self):
        return os._exit, (7,)


def _fail(message):
    raise ValueError(message)


class Locked:
    """Does nothing, and cannot be pickled."""

    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, batch):
        return batch


class Failing:
    """Fails in the way that the batch names; other batches pass."""

    def __call__(self, batch):
        action = getattr(self, str(batch), None)
        return action() if action else batch

    def value_error(self):
        raise ValueError("spoilt batch")

    def two_arguments(self):
        raise TwoArguments("this", "that")

    def lock_inside(self):
        error = ValueError("holds a lock")
        error.lock = threading.Lock()
        raise error

    def system_exit(self):
        raise SystemExit(3)

    def stop_iteration(self):
        raise StopIteration("misleading")

    def stop_async_iteration(self):
        raise StopAsyncIteration("misleading")

    def keyboard_interrupt(self):
        raise KeyboardInterrupt

    def unpicklable(self):
        return Unpicklable()

    def unpicklable_here(self):
        return UnpicklableLater()

    def exit_at_once(self):
        os._exit(7)

    def killed(self):
        os.kill(os.getpid(), 9)


class DiesOnce:
    """Kills its worker on the first try of the batch with this number, and passes on the next."""

    def __init__(self, path, number):
        self.path = path
        self.number = number

    def __call__(self, batch, rng):
        if batch == self.number and not os.path.exists(self.path):
            with open(self.path, "w"):
                pass
            os._exit(9)
        return batch, float(rng.random())


def build_a_pool(batch):
    import aioaug

    return aioaug.AsyncPool(nothing)


class Counter:
    """The state of an engine's workers: counts the calls."""

    def __init__(self):
        self.value = 0

    def clone(self):
        return Counter()


def count(state):
    state.value += 1
    return state.value


def add(state, a, b):
    return a + b


def divide_by_zero(state):
    return 1 // 0


def rest(state, seconds):
    time.sleep(seconds)
    return seconds


def rest_with(state, array, seconds):
    time.sleep(seconds)
    return array


def touch(state, path):
    with open(path, "w"):
        pass


def large(count):
    return np.zeros(count, np.uint8)


def pid_of_or_sleep(batch):
    time.sleep(batch)
    return os.getpid()


def pid_and_batch(batch):
    return os.getpid(), batch


def sleep_and_tell(seconds):
    time.sleep(seconds)
    return os.getpid()


def rest_a_little(batch):
    time.sleep(0.002)
    return batch


def with_rng_and_rest(batch, rng):
    value = float(rng.random())
    time.sleep(value * 0.002)
    return batch, value


class LateOnce:
    """Takes too long for batch 1 until there is a file at the path."""

    def __init__(self, path):
        self.path = path

    def __call__(self, batch, rng):
        if batch == 1 and not os.path.exists(self.path):
            with open(self.path, "w"):
                pass
            time.sleep(60)
        return batch, float(rng.random())


class Hoarder:
    """Keeps 20 MB of every batch, and tells how often it has."""

    def __init__(self):
        self.kept = []

    def __call__(self, batch):
        self.kept.append(np.ones(20 << 20, np.uint8))
        return os.getpid(), batch, len(self.kept)


class BreaksLater:
    """Cannot be unpickled while there is a file at the path."""

    def __init__(self, path):
        self.path = path

    def __call__(self, batch):
        return batch

    def __setstate__(self, state):
        self.__dict__.update(state)
        if os.path.exists(self.path):
            raise ValueError("broken meanwhile")


async def outcomes(stream):
    """Everything a stream gives: values, and exceptions in the places of their batches."""
    got = []
    while True:
        try:
            got.append(await anext(stream))
        except StopAsyncIteration:
            return got
        except Exception as error:
            got.append(error)


def plus_one(batch):
    return batch + 1


class Ending:
    """Raises `error` when it is pickled, or when it is unpickled; an augmenter or a batch."""

    def __init__(self, error, place):
        self.error = error
        self.place = place

    def __reduce__(self):
        if self.place == "unpickled":
            return _end, (self.error,)
        raise self.error

    def __call__(self, batch):
        return batch


class EndingError(Exception):
    def __reduce__(self):
        raise self.args[0]


def ending(batch):
    """Returns what was asked for: `(error, place)` is an `Ending`, or raised."""
    if not isinstance(batch, tuple):
        return batch
    error, place = batch
    if place == "raised":
        raise EndingError(error)
    return Ending(error, place)


def _end(error):
    raise error


def ends_inside(end, limit=2.0):
    """Calls what ends something, out of what is part of it; not waiting for oneself is quick."""

    async def inside():
        async with asyncio.timeout(limit):
            await end()

    return inside


def rest_10_ms(batch):
    time.sleep(0.01)
    return batch


def dies_of_13(batch):
    if batch[0] == 13:
        os._exit(9)
    return batch


def tell_when_begun(batch):
    begun = time.monotonic()
    time.sleep(0.01)
    return begun


def sleep_in_lambda(images, random_state, parents, hooks):
    """For `iaa.Lambda`: it takes half a minute."""
    time.sleep(30)
    return images


@dataclass(frozen=True)
class JoiningBatch(Joining, Joined):
    """One that may share a call of a worker; a number above 0 never comes to its end."""

    number: int
    kind: str = "any"
    message_bytes: int = 1000
    taken: float = 0.001


def hang_above_0(batch):
    if batch.number:
        time.sleep(1000)
    return batch
