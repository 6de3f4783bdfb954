"""Batches and functions for the tests of `aioaug.batch`; worker processes import them from here."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time

import numpy as np
from aioaug.batch import Batch, action, apply_parallel, inbatch_parallel

TARGETS = ("for", "threads", "mpc", "async")


class Two(Batch):
    components = "images", "masks"


class Three(Batch):
    components = "images", "masks", "keypoints"


class Pictures(Batch):
    """With every kind of decorated method."""

    components = "images", "labels"
    bias = 0

    @apply_parallel(src="images")
    def plus(self, image, by=1):
        return image + by + self.bias

    @apply_parallel(src="images", dst="found")
    def beside(self, image, pickled=None):
        try:
            return image + self.labels.sum()
        except Exception:
            return None

    @apply_parallel(src="images", dst="found")
    def itself(self, image):
        return self.deepcopy()

    @inbatch_parallel(init="indices", post="collected", target="mpc")
    def summed_labels(self, label):
        return label + self.labels.sum()

    @apply_parallel
    def noisy(self, item):
        return item + self.random.random()

    @apply_parallel(src="images", dst="texts", target="for")
    def described(self, image):
        return f"{self._plus_(image).sum():.0f}"

    @apply_parallel(src="images", dst="threads", target="threads")
    async def awaited(self, image):
        await asyncio.sleep(0)
        return image * 2

    @apply_parallel(src="images", dst="halves")
    @staticmethod
    def halved(image):
        return image / 2

    @action
    def note(self, into, what=None):
        into.append(what)
        return self

    @action(use_lock=True)
    def alone(self, log):
        log.append(1)
        time.sleep(0.01)
        log.append(-1)
        return self

    @action(use_lock="same")
    def failing_alone(self):
        raise KeyError("spoilt")

    @action(no_eval="what")
    def lazily(self, into, what):
        into.append(what)
        return self

    @action
    async def coroutine_action(self, into):
        await asyncio.sleep(0)
        into.append(threading.current_thread().name)
        return self

    @action
    def returns_nothing(self):
        pass

    @action
    def raising(self, error):
        raise error

    @action
    async def raising_awaited(self, error):
        raise error

    @inbatch_parallel(init="indices", post="collected", target="threads", more=5)
    def named(self, label, by=1):
        return label * by

    def collected(self, results, *args, **kwargs):
        self.create_attrs(results=results, passed=kwargs)
        return self

    @inbatch_parallel(init="forms", post="collected")
    def added(self, a, b=0):
        return a + b

    def forms(self, *args, **kwargs):
        return [((1,), {"b": 2}), {"a": 3, "b": 4}, [5, 6], (7,), 8]

    @inbatch_parallel(init="run_once")
    async def once(self):
        self.create_attrs(calls=getattr(self, "calls", 0) + 1)

    @inbatch_parallel(init="indices", target="for")
    def failing(self, label):
        if label != 1:
            raise KeyError(f"item {label}")

    @inbatch_parallel(init="nothing_like_it")
    def badly_made(self, label):
        return label


class Below(Pictures):
    """With another method of the same name, and with one in the place of one with a twin."""

    @apply_parallel(src="images", target="for")
    def plus(self, image):
        return 0

    @inbatch_parallel(init="indices", post="collected")
    def named(self, label):
        return 0

    def above(self, target):
        super().plus(by=1, target=target)
        return super().named(2, target=target)

    def load(self, *args, **kwargs):
        self.create_attrs(loads=getattr(self, "loads", 0) + 1)
        return super().load(*args, **kwargs)


def global_noise(item):
    return np.random.rand(), random.random()


def double(item):
    return item * 2


def scaled(item, src=None, dst=None, k=1, rng=None):
    return item * k + (0 if rng is None else rng.random())


async def scaled_async(item, src=None, dst=None, k=1, rng=None):
    await asyncio.sleep(0)
    return scaled(item, src, dst, k, rng)


def where(item, **kwargs):
    return kwargs


def both(pair):
    image, mask = pair
    return image + mask, image - mask


def summed(pair):
    return pair[0] + pair[1]


def ragged(item):
    return np.full(int(item) + 1, item)


def fails_on_two(item):
    if item == 2:
        raise LookupError(f"cannot take {item}")
    return item


def returns_error(item):
    return ValueError("an answer") if item == 1 else item


def sleeps(item):
    time.sleep(item)
    return item


def computes(seconds):
    """Keeps the processor busy for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return seconds


def dies_on_two(item):
    if item == 2:
        os._exit(9)
    return item


def pid(item):
    return os.getpid()


def unpicklable(item):
    return threading.Lock() if item == 1 else item


def nested(item):
    inner = Two(np.arange(3), preloaded=(np.arange(3.0), None))
    inner.apply_parallel(double, src="images", target="threads")
    return inner.images.sum() + item


def nested_processes(item):
    inner = Two(np.arange(3), preloaded=(np.arange(3.0), None))
    return inner.apply_parallel(double, src="images", target="mpc")
