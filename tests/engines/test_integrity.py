"""No wrong byte and no orphan, whoever dies, forks, or has closed what others rely on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading

import aioaug_testing as aug
import integrity_testing as integrity
import numpy as np
import psutil
import pytest
from aioaug import AsyncPool
from aioaug._transport.segments import POSIX, Segment
from programs_testing import PATIENCE, SUPPORT, assert_gone, environment, run, session_of, start

KILLS = int(os.environ.get("AIOAUG_KILLS", "300"))
LARGE = 200_000  # bytes: lies in shared memory


def small(value=0):
    return np.full(100, value, np.uint8)


# Batches that a worker had begun


@pytest.mark.parametrize("turns", [2, 3, 4])
async def test_a_batch_that_was_begun_is_sent_anew(tmp_path, turns):
    """While the loop is held up, the worker answers one call, begins the next and dies in it."""
    fn = integrity.DiesInLarge(tmp_path / "died")
    async with AsyncPool(fn, 1, seed=1) as pool:
        await pool.map_batches([small() for _ in range(50)], chunksize=1)  # calls are quick now
        first = pool.map_batches_async([small(9)])
        second = pool.map_batches_async([np.zeros(LARGE, np.uint8)])
        await asyncio.sleep(0.02)
        extra = pool.map_batches_async([small()])
        await asyncio.sleep(0.03)
        third = pool.map_batches_async([small()])
        for _ in range(turns):
            await asyncio.sleep(0)
        integrity.hold_up_the_loop(1.0)
        results = [batch for (batch,) in await asyncio.gather(first, second, third, extra)]
    assert [int(batch[0]) for batch in results] == [10, 1, 1, 1]
    assert np.unique(results[1]).tolist() == [1]


async def test_what_was_answered_before_the_death_is_not_blamed_for_it(tmp_path):
    """Nor asked again: without retries, only the batch that was begun fails."""
    fn = integrity.DiesInLarge(tmp_path / "died", tmp_path / "answered")
    async with AsyncPool(fn, 1, seed=1, retries=0) as pool:
        await pool.map_batches([small() for _ in range(50)], chunksize=1)
        before = integrity.size_of(tmp_path / "answered")
        first = pool.map_batches_async([small(9)])
        second = pool.map_batches_async([np.zeros(LARGE, np.uint8)])
        await asyncio.sleep(0.05)
        third = pool.map_batches_async([small()])
        await asyncio.sleep(0)
        integrity.hold_up_the_loop(1.0)
        results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["list", "WorkerDied", "list"]
    assert integrity.size_of(tmp_path / "answered") - before == 2


def kill_at_random(kills, loop, seed):
    program = [sys.executable, str(SUPPORT / "random_kills.py"), str(kills), loop, str(seed)]
    done = subprocess.run(program, capture_output=True, text=True, env=environment(), check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_some_random_kills():
    tally = kill_at_random(15, "asyncio", 1)
    assert tally["killed"] == 15
    assert tally["wrong"] == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_thousands_of_random_kills(loop):
    """AIOAUG_KILLS is their number."""
    for seed in range(-(-KILLS // 1000)):
        tally = kill_at_random(min(KILLS, 1000), loop, seed)
        assert tally["wrong"] == 0
        assert tally["batches"] > 0


# Whose memory it is


@pytest.mark.skipif(not shutil.which("unshare") or os.getuid() != 0, reason="needs namespaces")
@pytest.mark.parametrize("size", [5_000_000, 100])
def test_a_process_namespace_without_its_own_proc(tmp_path, size):
    """There, /proc has other processes under the numbers of the pool's own."""
    program = start(
        tmp_path,
        f"""
        import hashlib, subprocess

        def digest():
            with open("precious.bin", "rb") as file:
                return hashlib.sha256(file.read()).hexdigest()

        INNER = '''
        import asyncio, numpy, aioaug, aioaug_testing as aug
        from aioaug.blocking import BackgroundProc

        async def main():
            async with aioaug.AsyncPool(aug.incremented, 2, seed=1) as pool:
                batches = [numpy.full(300_000, i, numpy.uint8) for i in range(10)]
                results = await pool.map_batches(batches)
            print(all((result == i + 1).all() for i, result in enumerate(results)))

        if __name__ == "__main__":
            asyncio.run(main())
            with BackgroundProc(aug.total, target_args=(numpy.ones(300_000, numpy.uint8),)) as proc:
                print(numpy.asarray(proc.get()).sum() == 300_000)
        '''

        if __name__ == "__main__":
            os.chdir({str(tmp_path)!r})
            with open("precious.bin", "wb") as file:
                file.write(b"P" * {size})
            held = [os.open("precious.bin", os.O_RDWR) for _ in range(60)]
            before = digest()
            with open("inner.py", "w") as file:
                import textwrap
                file.write(textwrap.dedent(INNER))
            subprocess.run(["unshare", "-p", "--fork", sys.executable, "inner.py"])
            print(digest() == before, flush=True)
        """,
        prefix=["unshare", "-p", "--fork", "--mount-proc"],
    )
    out, err = program.communicate(timeout=PATIENCE)
    assert (out.split(), err) == (["True"] * 3, "")


def test_memory_is_checked_before_it_is_touched(tmp_path):
    segment = Segment.create(1, 1 << 16)
    other = Segment.create(2, 1 << 16)
    file = tmp_path / "file"
    file.write_bytes(b"P" * (1 << 16))
    fd = os.open(file, os.O_RDWR)
    try:
        for wrong in (other.fd, fd):
            with pytest.raises(OSError, match="not what was meant"):
                Segment.attach(segment.address._replace(fd=wrong))
    finally:
        os.close(fd)
        segment.release()
        other.release()
    assert file.read_bytes() == b"P" * (1 << 16)


@pytest.mark.skipif(POSIX in os.environ, reason="POSIX memory has no seals")
def test_nobody_can_cut_a_segment_short():
    segment = Segment.create(1, 1 << 16)
    for size in (0, 1 << 17):
        with pytest.raises(PermissionError):
            os.ftruncate(segment.fd, size)
    segment.release()


async def test_a_descriptor_that_does_not_arrive_costs_speed_alone(monkeypatch):
    """The worker says so, and batches go through the socket from then on, with one warning."""
    batches = [np.full(LARGE, value, np.uint8) for value in range(6)]
    async with AsyncPool(aug.incremented, 2, seed=1) as pool:
        integrity.lose_descriptors(monkeypatch)
        with pytest.warns(RuntimeWarning, match="no shared memory") as caught:
            results = await pool.map_batches(batches)
    assert len(caught) == 1
    assert [int(batch[0]) for batch in results] == [1, 2, 3, 4, 5, 6]


# Forks


def test_a_forked_child_keeps_what_it_has(tmp_path):
    """What the parent had at the fork stays as it was in the child, whatever the parent does."""
    code, out, err = run(
        tmp_path,
        """
        import numpy as np, warnings

        async def main():
            async with aioaug.AsyncPool(aug.incremented, 1, seed=1) as pool:
                for _ in range(2):
                    (held,) = await pool.map_batches([np.zeros((100, 1000), np.uint8)])
                    go, gone = os.pipe()
                    pid = os.fork()
                    if pid == 0:
                        before = held.sum()
                        os.read(go, 1)
                        print(before, held.sum(), flush=True)
                        os._exit(0)
                    del held
                    for value in range(5):
                        await pool.map_batches([np.full((100, 1000), 50 + value, np.uint8)])
                    os.write(gone, b"x")
                    os.waitpid(pid, 0)
                print(pool.pool.segments[1] > 0)

        if __name__ == "__main__":
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.run(main())
        """,
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == ["100000 100000", "100000 100000", "True"]


async def test_memory_that_a_worker_forked_with_is_not_used_again():
    """A process that an augmenter forked goes on to write into the batch that it has."""
    async with AsyncPool(integrity.forks_a_scribbler, 1, seed=1) as pool:
        for value in range(5):
            (result,) = await pool.map_batches([np.full(LARGE, value, np.uint8)])
            expected = result.copy()
            (other,) = await pool.map_batches([np.full(LARGE, value + 100, np.uint8)])
            assert np.unique(other).tolist() == [value + 101]
            assert np.array_equal(result, expected)


@pytest.mark.parametrize("limit", [None, 10])
async def test_a_helper_outlives_its_worker(tmp_path, limit):
    """It holds the worker's end of the socket; the worker is known to be gone all the same."""
    fn = integrity.ForksAndDies(tmp_path)
    async with AsyncPool(fn, 2, seed=1, timeout=limit) as pool:
        results = await pool.map_batches([np.full(10, i) for i in range(20)], chunksize=1)
    assert [int(batch[0]) for batch in results] == list(range(1, 21))
    integrity.end_helpers(tmp_path)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
async def test_a_pool_ends_though_helpers_live(tmp_path, start_method):
    fn = integrity.ForksAndDies(tmp_path)
    async with AsyncPool(fn, 1, seed=1, start_method=start_method) as pool:
        await pool.map_batches([np.full(10, i) for i in range(9)], chunksize=1)
    integrity.end_helpers(tmp_path)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_workers_end_with_their_parent_though_its_children_live(tmp_path, method):
    program = start(
        tmp_path,
        f"""
        import warnings

        async def main():
            async with aioaug.AsyncPool(aug.nothing, 2, start_method={method!r}) as pool:
                await pool.map_batches([1, 2])
                child = os.fork()
                if child == 0:
                    time.sleep(100)
                workers = [one._worker._process._process.pid for one in pool.pool._supervisors]
                print(child, *workers, flush=True)
                time.sleep(100)

        if __name__ == "__main__":
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.run(main())
        """,
    )
    child, *workers = (psutil.Process(int(pid)) for pid in program.stdout.readline().split())
    program.kill()
    program.wait()
    assert_gone(workers)
    child.kill()
    program.communicate()
    assert_gone(session_of(program.pid))


# Descriptors and signals


def test_a_daemon_without_standard_streams(tmp_path):
    """What a C library writes to descriptor 2 lands in no batch, here and in workers."""
    log = tmp_path / "log"
    program = start(
        tmp_path,
        f"""
        import json, numpy as np
        import integrity_testing as integrity

        async def main():
            async with aioaug.AsyncPool(integrity.standard_streams, 2, seed=1) as pool:
                workers = await pool.map_batches([0])
            wrong = 0
            async with aioaug.AsyncPool(integrity.complains, 2, seed=1) as pool:
                batches = [np.full(100_000, number, np.uint8) for number in range(200)]
                async with pool.imap_batches(batches, output_buffer_size=6) as stream:
                    number = 0
                    async for batch in stream:
                        integrity.complain()
                        wrong += not (batch == number + 1).all()
                        number += 1
            return {{"workers": workers, "batches": number, "wrong": wrong}}

        if __name__ == "__main__":
            for fd in range(3):
                os.close(fd)
            result = asyncio.run(main())
            with open({str(log)!r}, "w") as file:
                json.dump(result, file)
        """,
    )
    program.wait(PATIENCE)
    program.communicate()
    expected = {"workers": [["/dev/null"] * 3], "batches": 200, "wrong": 0}
    assert json.loads(log.read_text()) == expected


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_nothing_of_ours_is_a_standard_stream(tmp_path, closed):
    """Here the loop has been made before the streams are closed, so it takes none of the places."""
    log = tmp_path / "log"
    program = start(
        tmp_path,
        f"""
        import json, numpy as np
        import integrity_testing as integrity

        async def main():
            for fd in {closed}:
                os.close(fd)
            async with aioaug.AsyncPool(aug.incremented, 2, seed=1) as pool:
                held = await pool.map_batches([np.zeros(100_000, np.uint8) for _ in range(4)])
                return [integrity.standard_streams(0)[fd] for fd in {closed}]

        if __name__ == "__main__":
            result = asyncio.run(main())
            with open({str(log)!r}, "w") as file:
                json.dump(result, file)
        """,
    )
    program.wait(PATIENCE)
    program.communicate()
    assert json.loads(log.read_text()) == ["closed"] * len(closed)


# What may take long


async def test_small_results_that_take_long_to_unpickle_leave_the_loop_alone():
    """The first of them, and the next, are unpickled in a thread."""
    async with AsyncPool(aug.nothing, 1) as pool:
        results = await pool.map_batches([integrity.SlowToUnpickle()] * 3, chunksize=1)
    assert {result.unpickled_by == threading.get_ident() for result in results} == {False}
