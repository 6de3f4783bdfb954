"""What becomes of work and of ends when the system has no thread, and of a fork server's death."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import shutil
import threading
from contextlib import contextmanager

import pytest
from aioaug import LimitError
from aioaug._aio.tasks import end_aside, end_in_thread, in_thread
from aioaug._base import system_limits as limits
from aioaug._base.threads import DaemonExecutor
from faults import Fault
from programs_testing import PATIENCE, assert_gone, run, session_of, start

ALWAYS = (1, 1_000_000)


@pytest.fixture
def no_thread():
    """Has threads fail to start, by either way, inside `with no_thread(first, last)`."""

    @contextmanager
    def at(first, last):
        with Fault("thread").at(first, last), Fault("bare_thread").at(first, last):
            yield

    return at


# The error


@pytest.mark.parametrize(
    ("number", "name"), [(errno.EMFILE, "RLIMIT_NOFILE"), (errno.EAGAIN, "threads and processes")]
)
def test_a_shortage_names_its_limit(number, name):
    with pytest.raises(LimitError, match=name) as info, limits.named("a worker process"):
        raise OSError(number, os.strerror(number))
    assert "a worker process cannot be had" in str(info.value)
    assert "raise the limit" in str(info.value)
    assert info.value.__cause__.errno == number
    assert isinstance(info.value, RuntimeError)
    assert str(pickle.loads(pickle.dumps(info.value))) == str(info.value)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "gone"), RuntimeError("something else")]
)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as info, limits.named("a worker process"):
        raise error
    assert info.value is error


# Threads


def test_without_any_thread_nothing_stays_queued(no_thread):
    threads, made = DaemonExecutor(2, "test"), []
    with no_thread(*ALWAYS), pytest.raises(LimitError, match="a thread cannot be had"):
        threads.submit(made.append, 1)
    threads.submit(made.append, 2).result()
    threads.shutdown()
    assert made == [2]


def test_the_threads_that_there_are_do_the_work(no_thread):
    threads, go_on = DaemonExecutor(2, "test"), threading.Event()
    first = threads.submit(go_on.wait)
    with no_thread(*ALWAYS):
        second = threads.submit(threading.get_ident)
    go_on.set()
    assert first.result()
    assert second.result() != threading.get_ident()
    threads.shutdown()


async def test_an_end_needs_no_thread(no_thread):
    with no_thread(*ALWAYS):
        with pytest.raises(LimitError):
            await in_thread(threading.get_ident)
        assert await end_in_thread(threading.get_ident) == threading.get_ident()
        assert await end_in_thread(threading.get_ident, here=lambda: 7) == 7
    assert await end_in_thread(threading.get_ident) != threading.get_ident()


def test_what_was_dropped_ends_without_a_thread(no_thread):
    ended = []
    with no_thread(*ALWAYS):
        end_aside(ended.append, threading.get_ident())
    assert ended == [threading.get_ident()]


async def test_but_not_where_a_loop_runs(no_thread):
    """It may have to wait for that very loop."""
    with no_thread(*ALWAYS), pytest.raises(LimitError):
        end_aside(asyncio.sleep, 0)


# The fork server

SERVER = """
import multiprocessing.forkserver, threading, json

def kill_server(number=signal.SIGKILL):
    os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, number)

async def again_and_again():
    while True:
        kill_server()
        await asyncio.sleep(0.05)

"""


def result_of(folder, body):
    """What the coroutine function `main` of a program returns."""
    code, out, err = run(
        folder, SERVER + body + "\n\nif __name__ == '__main__':\n    print(asyncio.run(main()))\n"
    )
    assert code == 0, err
    assert "Traceback" not in err
    return out.strip()


def test_workers_outlive_the_fork_server(tmp_path):
    body = """
async def main():
    async with aioaug.AsyncPool(aug.pid_of, 2) as pool:
        before = set(await pool.map_batches([0] * 20, chunksize=1))
        kill_server()
        await asyncio.sleep(0.2)
        return set(await pool.map_batches([0] * 20, chunksize=1)) <= before
"""
    assert result_of(tmp_path, body) == "True"


@pytest.mark.parametrize("loop", ["asyncio", pytest.param("aioaug", marks=pytest.mark.slow)])
def test_a_fork_server_that_is_killed_again_and_again(tmp_path, loop):
    """Each batch is right, or its worker died as often as it may; nothing else comes of it."""
    body = f"""
async def work():
    results = []
    async with aioaug.AsyncPool(aug.nothing, 2, maxtasksperchild=1) as pool:
        killer = asyncio.create_task(again_and_again())
        async with pool.imap_batches(iter(range(40)), output_buffer_size=4) as stream:
            results = await aug.outcomes(stream)
        killer.cancel()
    wrong = [
        each for number, each in enumerate(results)
        if each != number and not isinstance(each, aioaug.WorkerDied)
    ]
    return len(results), wrong

async def main():
    return await asyncio.to_thread(lambda: {loop}.run(work()))
"""
    assert result_of(tmp_path, body) == "(40, [])"


def test_a_fork_server_that_the_program_begins_anew_meanwhile(tmp_path):
    """Its address is nowhere for a moment; then the start is tried again."""
    body = """
from multiprocessing.forkserver import _forkserver

ensured = []

def ensure_running(original=_forkserver.ensure_running):
    original()
    if len(ensured) == 1:
        ensured.append(_forkserver._forkserver_address)
        _forkserver._forkserver_address = None
    elif ensured:
        _forkserver._forkserver_address = ensured[1]
    else:
        ensured.append(None)

_forkserver.ensure_running = ensure_running
multiprocessing.forkserver.ensure_running = ensure_running

async def main():
    async with aioaug.AsyncPool(aug.nothing, 1) as pool:
        return await pool.map_batches([7]), len(ensured)
"""
    assert result_of(tmp_path, body) == "([7], 2)"


def test_how_a_worker_died_that_outlived_the_fork_server(tmp_path):
    """Nobody was told, which is not the exit code 255."""
    body = """
async def main():
    async with aioaug.AsyncPool(aug.Failing(), 1, retries=0) as pool:
        kill_server()
        await asyncio.sleep(0.2)
        try:
            await pool.map_batches(["killed"])
        except aioaug.WorkerDied as error:
            return error.exitcode, str(error)
"""
    assert "(None, 'a worker process vanished while" in result_of(tmp_path, body)


def test_a_fork_server_that_does_not_answer(tmp_path):
    """A start waits for it; whoever does not want to wait any more ends it."""
    body = """
from importlib import import_module
import_module("aioaug.engines.process.worker_process")._STUCK = 0.3

async def main():
    async with aioaug.AsyncPool(aug.nothing, 1) as pool:
        await pool.map_batches([0])
        kill_server(signal.SIGSTOP)
        try:
            async with asyncio.timeout(0.3):
                async with aioaug.AsyncPool(aug.nothing, 1) as another:
                    await another.map_batches([0])
        except TimeoutError:
            return await pool.map_batches([1])
"""
    assert result_of(tmp_path, body) == "[1]"


def test_a_fork_server_that_fails_by_itself(tmp_path):
    """The system refuses something to it; it then ends, and the next worker has another one."""
    body = """
import resource

async def main():
    async with aioaug.AsyncPool(aug.nothing, 1) as pool:
        await pool.map_batches([0])
        server = multiprocessing.forkserver._forkserver._forkserver_pid
        resource.prlimit(server, resource.RLIMIT_NOFILE, (3, 3))
        async with aioaug.AsyncPool(aug.nothing, 1) as another:
            await another.map_batches([0])

if __name__ == "__main__":
    asyncio.run(main())
"""
    code, _, err = run(tmp_path, SERVER + body)
    assert code == 1
    assert "OSError: [Errno 24] Too many open files" in err  # the server's own words
    last = err.splitlines()[-1]
    assert last.startswith("aioaug.errors.LimitError: a worker process cannot be had: ")


# A real limit

LIMITED = """
import resource
import numpy as np

limit = int(os.environ["LIMIT"])
resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))

async def main():
    try:
        async with aioaug.AsyncPool(aug.plus_one, 2, maxtasksperchild=3) as pool:
            batches = (np.full(100_000, number, np.uint8) for number in range(24))
            async with pool.imap_batches(batches) as stream:
                return [int(batch[0]) async for batch in stream] == list(range(1, 25))
    except aioaug.LimitError as error:
        return f"RLIMIT_NPROC) is {limit}" in str(error)

if __name__ == "__main__":
    print(asyncio.run(main()))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("setpriv") and hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="needs to be another user, for whom the limit holds",
)
@pytest.mark.parametrize("limit", [3, 5, 7, 9, 12, 16, 20])
def test_a_user_with_few_threads_and_processes(tmp_path, monkeypatch, limit):
    monkeypatch.setenv("LIMIT", str(limit))
    # Nobody else is this user; what root may read, the program may, too.
    rights = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    program = start(
        tmp_path, LIMITED, prefix=("setpriv", "--reuid=61234", "--clear-groups", *rights)
    )
    out, _ = program.communicate(timeout=2 * PATIENCE)
    assert_gone(session_of(program.pid))
    assert out == "True\n"
