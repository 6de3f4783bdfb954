"""Augmenters that log and warn in the workers that import them."""

import logging
import os
import sys
import threading
import warnings

import numpy as np

log = logging.getLogger("reporting")
talking = []


class OwnWarning(UserWarning):
    """Cannot be pickled."""

    def __reduce__(self):
        raise TypeError("refuses")


class OwnError(Exception):
    pass


def logs(batch):
    """A batch is pairs of a level and a text."""
    for level, text in batch:
        log.log(level, text)
    return batch


def logs_the_unpicklable(batch):
    log.warning("of %s and %d", np.ndindex, 7)
    log.warning("lock %s", threading.Lock(), extra={"lock": threading.Lock(), "number": 7})
    try:
        raise OwnError("inner")
    except OwnError:
        log.exception("failed")
    return batch


def logs_in_threads(batch):
    """Logs from many threads, up to the next batch, while large results are sent by the socket."""

    def talk(number):
        for each in range(20):
            log.warning("%d %d %d", batch, number, each)

    while talking:
        talking.pop().join()
    talking.extend(threading.Thread(target=talk, args=(number,)) for number in range(5))
    for thread in talking:
        thread.start()
    return str(batch) * 1_000_000


def logs_and_dies(batch):
    log.error("last words of %s", batch)
    os._exit(3)


def logs_in_a_fork(batch):
    pid = os.fork()
    if not pid:
        log.warning("of a forked process")
        warnings.warn("of a forked process", stacklevel=1)
        os._exit(0)
    os.waitpid(pid, 0)
    log.warning("of the worker")
    return batch


def with_handlers_of_its_own(batch):
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, force=True)
    log.propagate = False
    log.addHandler(logging.StreamHandler(sys.stderr))
    log.warning("once")
    return batch


class LogsWhenUnpickled:
    def __setstate__(self, state):
        log.warning("unpickled")

    def __getstate__(self):
        return {"some": "state"}

    def __call__(self, batch):
        return batch


def warns(batch):
    warnings.warn("of every batch", stacklevel=1)
    return batch


def warns_of_a_deprecation(batch):
    warnings.warn("it is old", DeprecationWarning, stacklevel=1)
    return batch


def warns_the_unpicklable(batch):
    warnings.warn(OwnWarning("own"), stacklevel=1)
    return batch
