"""Objects in shared memory: taken apart, laid down, rebuilt; segments handed out and given back."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import random
import signal
import threading
import warnings

import aioaug_testing as aug
import numpy as np
import pytest
from aioaug import TransportError
from aioaug._transport import room, segments, serialization
from aioaug._transport.segments import Segment
from aioaug.engines.process.segment_pool import SegmentPool
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_testing import in_a_segment, mapped, same

MB = 1 << 20
STEP = 1 << 16


@pytest.fixture
def segment():
    segment = Segment.create(1, MB)
    yield segment
    segment.release()
    segment.memory = segment._map = None  # pytest itself refers to the segment for longer


@pytest.fixture
def segment_pool():
    segment_pool = SegmentPool(3, MB)
    yield segment_pool
    segment_pool.close()


def array(size, start=0):
    return (np.arange(size) + start).astype(np.uint8)


# Taking apart and rebuilding


def test_only_large_buffers_leave_the_head():
    small, large = array(4095), array(4096)
    head, buffers = serialization.flatten([small, large, "text", b"x" * 10000])
    assert [buffer.nbytes for buffer in buffers] == [4096]
    assert np.shares_memory(np.frombuffer(buffers[0], np.uint8), large)
    rebuilt = serialization.rebuild(head, buffers)
    assert same(rebuilt, [small, large, "text", b"x" * 10000])
    assert np.shares_memory(rebuilt[1], large)


@settings(deadline=None, max_examples=200, database=None)
@given(
    sizes=st.lists(st.integers(0, 20000), max_size=8),
    start=st.integers(0, 1000).map(lambda number: number * 64),
)
def test_what_is_laid_down_is_what_is_rebuilt(sizes, start):
    value = [array(size, number) for number, size in enumerate(sizes)]
    head, buffers = serialization.flatten(value)
    memory = np.full(MB // 2, 255, np.uint8)
    spans = segments.lay(buffers, memory, start)
    assert same(serialization.rebuild(head, segments.views(memory, spans)), value)
    assert [offset % 64 for offset, _ in spans] == [0] * len(spans)
    ends = [start, *(offset + length for offset, length in spans)]
    assert all(offset >= end for end, (offset, _) in zip(ends, spans, strict=False))
    assert (memory[:start] == 255).all()
    end = segments.end_of(spans)
    assert (memory[end:] == 255).all()
    assert end == (start + segments.room_for(buffers) if spans else 0)


def test_no_room_is_told_before_anything_is_copied():
    _, buffers = serialization.flatten([array(5000), array(6000)])
    memory = np.full(10000, 255, np.uint8)
    with pytest.raises(segments.NoRoom) as caught:
        segments.lay(buffers, memory, 128)
    assert caught.value.needed == 128 + 5056 + 6016
    assert (memory == 255).all()
    assert segments.lay(buffers, np.zeros(128 + 5056 + 6016, np.uint8), 128)


def test_what_lies_in_the_memory_stays_there():
    memory = np.zeros(20000, np.uint8)
    head, buffers = serialization.flatten([array(5000)])
    spans = segments.lay(buffers, memory)
    (first,) = serialization.rebuild(head, segments.views(memory, spans))
    first += 1
    whole, part, new = first, first[10:4500], array(4096)
    head, buffers = serialization.flatten([whole, part, new])
    spans = segments.lay(buffers, memory, segments.end_of(spans))
    assert spans == [(0, 5000), (10, 4490), (5056, 4096)]
    rebuilt = serialization.rebuild(head, segments.views(memory, spans))
    assert same(rebuilt, [array(5000, 1), array(5000, 1)[10:4500], new])


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a,
        np.asfortranarray,
        lambda a: a[::-1],
        lambda a: a[:, ::2],
        lambda a: a.T[1:],
        lambda a: np.broadcast_to(a[:1], a.shape),
    ],
)
@pytest.mark.parametrize("dtype", ["u1", "f2", "i8", "c16", "?", "M8[s]", "S3", "O"])
def test_arrays_of_every_layout(layout, dtype, segment):
    value = layout(np.arange(100 * 101).reshape(100, 101).astype(dtype))
    head, buffers = serialization.flatten(value)
    spans = segments.lay(buffers, segment.memory)
    rebuilt = serialization.rebuild(head, segments.views(segment.memory, spans))
    assert same(rebuilt, value)
    for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS"):
        if value.flags[flag]:
            assert rebuilt.flags[flag]
    if value.flags.writeable:
        assert rebuilt.flags.writeable


def test_copies_lie_in_the_memory_of_the_call(segment):
    free = room.Room(segment, ((0, 100),))
    with room.offered(free):
        first, second = room.copied(array(5000)), room.copied(array(300).reshape(3, 100))
        too_large = room.copied(array(MB))
    outside = room.copied(array(10))
    assert (first == array(5000)).all()
    assert (second == array(300).reshape(3, 100)).all()
    shared = [np.shares_memory(copy, segment.memory) for copy in (first, second, too_large)]
    assert shared == [True, True, False]
    assert not np.shares_memory(outside, segment.memory)
    assert not np.shares_memory(first, second)
    spans = segments.lay([memoryview(second), memoryview(array(900))], segment.memory, free.start)
    assert spans == [(128 + 5056, 300), (128 + 5056 + 320, 900)]
    assert free.is_in_use
    del second
    assert free.start == 128 + 5056
    del first
    assert (free.is_in_use, free.start) == (False, 128)


@pytest.mark.parametrize("take_apart", [serialization.flatten, serialization.pickled])
def test_what_cannot_be_pickled(take_apart):
    with pytest.raises(TransportError, match="cannot be pickled"):
        take_apart(threading.Lock())


def test_what_cannot_be_unpickled():
    with pytest.raises(TransportError, match="cannot be unpickled"):
        serialization.rebuild(pickle.dumps(1)[:-1])


class Interrupted:
    """Ctrl-C comes while it is pickled."""

    def __reduce__(self):
        signal.raise_signal(signal.SIGINT)
        return int, ()


def test_ctrl_c_is_no_error_of_the_object():
    def handler(number, frame):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    try:
        for each in (signal.default_int_handler, handler):
            signal.signal(signal.SIGINT, each)
            with pytest.raises(KeyboardInterrupt):
                serialization.pickled(Interrupted())
        with pytest.raises(TransportError, match="KeyboardInterrupt"):
            serialization.pickled(aug.Ending(KeyboardInterrupt, "pickled"))
    finally:
        signal.signal(signal.SIGINT, before)


# Segments


def test_a_segment_is_one_memory_for_all_who_attach(segment):
    other = Segment.attach(segment.address)
    assert other.address[:3] == segment.address[:3] == (1, MB, segment.address.identity)
    segment.memory[5] = 7
    assert other.memory[5] == 7
    other.memory[6] = 8
    assert segment.memory[6] == 8
    assert len(set(mapped(os.getpid()))) == 1
    assert len(list(mapped(os.getpid()))) == 2


def test_memory_outlives_its_segment():
    segment = Segment.create(1, MB)
    segment.memory[:] = 3
    loan = segment.loan()
    segment.release()
    segment.release()
    del segment
    assert (loan == 3).all()
    assert len(list(mapped(os.getpid()))) == 1
    del loan
    assert not list(mapped(os.getpid()))


def test_a_loan_lives_as_long_as_any_array_made_of_it(segment):
    import weakref

    loan = segment.loan()
    gone = weakref.ref(loan)
    view = loan[10:20][2:].reshape(2, 4).view("u4")
    del loan
    assert gone() is not None
    del view
    assert gone() is None


def test_a_segment_has_no_name_and_no_child_inherits_it(segment):
    assert not os.get_inheritable(segment.fd)
    file = os.readlink(f"/proc/self/fd/{segment.fd}")
    assert file.endswith(" (deleted)")
    assert file.startswith("/dev/shm/aioaug" if segments.POSIX in os.environ else "/memfd:aioaug")
    assert "aioaug" not in " ".join(os.listdir("/dev/shm"))


@pytest.mark.parametrize("call", ["os.posix_fallocate", "mmap.mmap"])
def test_memory_that_there_is_not(monkeypatch, call):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(call, full)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no space left"):
        Segment.create(1, MB)
    assert len(os.listdir("/proc/self/fd")) == before


# The pool of segments


def test_segments_are_used_again(segment_pool):
    first = segment_pool.acquire(1000)
    assert first.size == STEP
    assert segment_pool.free == 2
    segment_pool.release(first)
    assert segment_pool.free == 3
    assert segment_pool.acquire(STEP) is first
    second = segment_pool.acquire(1)
    assert second is not first
    assert segment_pool.numbers == {first.number, second.number}
    segment_pool.release(first)
    segment_pool.release(second)


def test_the_smallest_that_fits_is_taken(segment_pool):
    segments = [segment_pool.acquire(size) for size in (3 * STEP, STEP, 2 * STEP)]
    for segment in segments:
        segment_pool.release(segment)
    assert segment_pool.acquire(STEP + 1) is segments[2]
    assert segment_pool.acquire(1) is segments[1]
    assert segment_pool.acquire(1) is segments[0]
    assert segment_pool.acquire(1) is None
    for segment in segments:
        segment_pool.release(segment)


def test_a_bound_on_the_count(segment_pool):
    segments = [segment_pool.acquire(STEP) for _ in range(3)]
    assert segment_pool.free == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # this is as it should be, not worth a warning
        assert segment_pool.acquire(1) is None
    segment_pool.release(segments.pop())
    larger = segment_pool.acquire(2 * STEP)  # in the place of the free one
    assert larger.size == 2 * STEP
    assert len(segment_pool.numbers) == 3
    for segment in (*segments, larger):
        segment_pool.release(segment)


def test_a_bound_on_the_bytes():
    segment_pool = SegmentPool(100, 10 * STEP)
    taken = [segment_pool.acquire(4 * STEP), segment_pool.acquire(4 * STEP)]
    assert segment_pool.acquire(4 * STEP) is None
    taken.append(segment_pool.acquire(2 * STEP))
    assert segment_pool.acquire(1) is None
    for segment in taken:
        segment_pool.release(segment)
    whole = segment_pool.acquire(10 * STEP)
    assert segment_pool.numbers == {whole.number}
    with pytest.warns(RuntimeWarning, match=f"of {11 * STEP} bytes .*max_bytes={10 * STEP}"):
        assert segment_pool.acquire(10 * STEP + 1) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert segment_pool.acquire(20 * STEP) is None
    segment_pool.release(whole)
    segment_pool.close()


def test_a_system_that_has_no_memory_to_give(segment_pool, monkeypatch):
    def full(fd, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.warns(RuntimeWarning, match=f"{STEP} bytes .*No space left"):
        assert segment_pool.acquire(1) is None
    assert segment_pool.free == 3


def test_a_retired_segment_is_never_used_again(segment_pool):
    segment = segment_pool.acquire(1)
    number = segment.number
    segment_pool.retire(segment)
    assert segment_pool.free == 3
    assert segment_pool.numbers == frozenset()
    segment_pool.release(segment)  # by a view that died later
    another = segment_pool.acquire(1)
    assert another.number != number
    segment_pool.release(another)


def lent(segment_pool):
    view = segment_pool.lend(segment_pool.acquire(1))[10:20]
    assert in_a_segment(view)
    return view


def test_the_last_view_gives_a_segment_back(segment_pool):
    view = lent(segment_pool)
    other = view[:3].reshape(3, 1)
    del view
    assert segment_pool.free == 2
    del other
    assert segment_pool.free == 3


def test_a_view_that_dies_in_another_thread(segment_pool):
    views = [lent(segment_pool)]
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join()
    assert segment_pool.free == 3


def test_a_view_that_dies_in_a_cycle(segment_pool):
    cycle = [lent(segment_pool)]
    cycle.append(cycle)
    del cycle
    assert segment_pool.free == 2
    gc.collect()
    assert segment_pool.free == 3


@pytest.mark.parametrize("offered", [True, False])
def test_rows_come_one_after_the_other(segment, offered):
    """Each is copied at once, so that whoever made it may use its memory again."""
    rows, free = room.Rows(3), room.Room(segment, ())
    row = np.zeros((4, 5), np.int16)
    with room.offered(free if offered else room.Room(segment, ((0, MB),))):
        for number in range(3):
            row[...] = number
            rows.add(row)
        done = rows.done()
    assert np.array_equal(done, np.arange(3)[:, None, None] + np.zeros((4, 5)))
    assert done.dtype == np.int16
    assert np.shares_memory(done, segment.memory) == offered
    assert len(room.Rows(3).done()) == 0
    short = room.Rows(3)
    short.add(row)
    assert short.done().shape == (1, 4, 5)


@pytest.mark.parametrize("other", [np.zeros((5, 4), np.int16), np.zeros((4, 5), np.uint16)])
def test_rows_of_two_kinds_are_a_list(other):
    rows = room.Rows(3)
    row = np.ones((4, 5), np.int16)
    rows.add(row)
    row[...] = 2
    for each in (other, row):
        rows.add(each)
    first, second, third = rows.done()
    assert (first == 1).all()
    assert second is other
    assert third is row


def test_a_view_that_dies_while_its_thread_is_in_the_pool(segment_pool):
    """The collector runs finalizers at any point, also where the lock is held."""
    view = [lent(segment_pool)]
    first = segment_pool.acquire(1)
    segment_pool.release(first)

    class Segments(list):
        def __iter__(self):
            view.clear()
            return super().__iter__()

    segment_pool._free = Segments(segment_pool._free)
    assert segment_pool.acquire(1) is first
    assert segment_pool.free == 2
    segment_pool._free = list(segment_pool._free)
    segment_pool.release(first)
    assert segment_pool.free == 3


def test_a_view_that_dies_while_its_thread_looks_for_room(segment_pool):
    view = [lent(segment_pool)]
    others = [segment_pool.acquire(1), segment_pool.acquire(1)]
    for segment in others:
        segment_pool.release(segment)
    looks = []

    class Dropping(Segment):
        @property
        def size(self):
            looks.append(self)
            if len(looks) > 2:  # none of the two fits: now it is about making way
                view.clear()
            return STEP

    for segment in others:
        del segment.__dict__["size"]
        segment.__class__ = Dropping
    taken = segment_pool.acquire(2 * STEP)
    assert segment_pool.free == 2
    segment_pool.release(taken)


def test_views_outlive_the_pool(segment_pool):
    view = lent(segment_pool)
    view[:] = 9
    segment_pool.close()
    assert (view == 9).all()
    assert segment_pool.acquire(1) is None
    before = len(os.listdir("/proc/self/fd"))
    del view
    assert len(os.listdir("/proc/self/fd")) == before - 2  # the segment's and the mapping's own
    assert not list(mapped(os.getpid()))


def test_a_view_dies_at_once_while_a_large_segment_is_made(monkeypatch):
    """Views die on the event loop's thread, which cannot wait for the kernel to clear memory."""
    segment_pool = SegmentPool(4, 1 << 30)
    view = segment_pool.lend(segment_pool.acquire(1))
    begun, gone, create = threading.Event(), threading.Event(), Segment.create
    in_time = []

    def slow(number, size):
        begun.set()
        in_time.append(gone.wait(20))
        return create(number, size)

    monkeypatch.setattr(Segment, "create", slow)
    segments = []
    maker = threading.Thread(target=lambda: segments.append(segment_pool.acquire(MB)))
    maker.start()
    begun.wait()
    del view
    gone.set()
    maker.join()
    segment_pool.release(segments.pop())
    segment_pool.close()
    assert in_time == [True]


def test_many_threads():
    """What is taken is taken by one, and the bounds hold at every moment."""
    segment_pool = SegmentPool(6, 12 * STEP)
    wrong, used = [], []
    make = segment_pool._make

    def watch(size):
        segment = make(size)
        used.append(segment_pool._used())
        return segment

    segment_pool._make = watch

    def work(seed):
        dice = random.Random(seed)
        views = []
        for turn in range(400):
            segment = segment_pool.acquire(dice.choice([1, STEP, 2 * STEP, 3 * STEP]))
            if segment is None:
                views.clear()
                continue
            mark = (seed * 400 + turn) % 251
            segment.memory[:100] = mark
            if dice.random() < 0.5:
                views.append(segment_pool.lend(segment))
                if len(views) > 2:
                    views.pop(dice.randrange(3))
            elif dice.random() < 0.1:
                segment_pool.retire(segment)
            else:
                if (segment.memory[:100] != mark).any():
                    wrong.append((seed, turn))
                segment_pool.release(segment)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert segment_pool.free == 6
    assert max(used) <= 12 * STEP
    segment_pool.close()
    assert not list(mapped(os.getpid()))
