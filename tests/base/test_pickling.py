"""What is pickled by value, and what an error says about an object that cannot be pickled."""

from __future__ import annotations

import functools
import pickle
import threading

import numpy as np
import pytest
from aioaug._base import pickling
from aioaug._transport import serialization
from aioaug.errors import TransportError


def test_plain_pickle_comes_first():
    value = [{"a": 1}, np.ones(3)]
    assert pickling.dumps(value) == pickle.dumps(value, protocol=5)
    head, buffers = pickling.flatten(np.ones(1000), 4096)
    assert len(head) < 1000
    assert [buffer.nbytes for buffer in buffers] == [8000]


def test_buffers_are_taken_once_where_pickle_gave_up_after_them():
    head, buffers = pickling.flatten((np.ones(1000), lambda: 7), 4096)
    assert [buffer.nbytes for buffer in buffers] == [8000]
    array, function = pickle.loads(head, buffers=buffers)
    assert (array.sum(), function()) == (1000, 7)


def test_a_class_that_was_sent_is_not_filled_again():
    class Counter:
        count = 0

    data = pickling.dumps(Counter())
    Counter.count = 3
    assert type(pickle.loads(data)) is Counter
    assert Counter.count == 3


class _Holder:
    def __init__(self, held):
        self.held = held


class _Slotted:
    __slots__ = ("lock",)

    def __init__(self):
        self.lock = threading.Lock()


LOCK = threading.Lock()
NESTED = [_Holder({"x": [1, LOCK]})]
CIRCLE = _Holder(LOCK)
CIRCLE.itself = CIRCLE


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (NESTED, r"a lock that a list holds, at \[0\]\.held\['x'\]\[1\]; make it inside"),
        (_Slotted(), r"a lock that a _Slotted holds, at lock;"),
        (_Holder(lambda: LOCK), r"a lock that a function holds, at held -> LOCK;"),
        (functools.partial(print, LOCK), r"a lock that a tuple holds, at args\[0\];"),
        (_Holder(_Holder(LOCK).__init__), r"at held\.__self__\.held;"),
        (CIRCLE, r"a lock that a _Holder holds, at held;"),
        (LOCK, r"object$"),
    ],
)
def test_what_cannot_be_pickled_is_named(value, message):
    for pickled in (serialization.pickled, serialization.flatten):
        with pytest.raises(TransportError, match=message):
            pickled(value)
