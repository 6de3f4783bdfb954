"""What workers log and warn of reaches the handlers and filters of the program, once."""

import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import reporting_augmenters as aug
from aioaug import AsyncPool, WorkerDied
from aioaug._transport.messages import (
    Messages,
    Reply,
    Report,
    Request,
    WorkerConnection,
    from_worker,
)
from aioaug.engines.assignment import Assignment
from aioaug.engines.process.connection import Connection, ConnectionLost
from programs_testing import PATIENCE, environment


@pytest.fixture
def log():
    """The logger of the augmenters, whose records it keeps in `log.records`."""
    logger = logging.getLogger(aug.log.name)
    logger.records = records = []

    class Keeping(logging.Handler):
        def emit(self, record):
            records.append(record)

    handler = Keeping()
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def texts(log):
    return [record.getMessage() for record in log.records]


@contextmanager
def caught(action, *rest):
    """The warnings that are shown meanwhile."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        warnings.simplefilter(action, *rest)
        yield shown


async def augmented(augmenter, batches=(1,), **options):
    async with AsyncPool(augmenter, processes=1, **options) as pool:
        return await pool.map_batches(list(batches))


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
async def test_records_come_once_with_the_name_of_their_worker(log, method):
    log.setLevel(logging.INFO)
    batches = [[(logging.DEBUG, "no"), (logging.INFO, f"yes {number}")] for number in range(20)]
    async with AsyncPool(aug.logs, processes=2, start_method=method) as pool:
        await pool.map_batches(list(batches))
    assert sorted(texts(log)) == sorted(f"yes {number}" for number in range(20))
    for record in log.records:
        assert re.fullmatch(r"aioaug-worker-\d+", record.processName)
        assert record.process != os.getpid()
        assert (record.name, record.funcName) == ("reporting", "logs")


async def test_a_level_that_is_raised_holds_at_once(log):
    log.setLevel(logging.INFO)
    async with AsyncPool(aug.logs, processes=1) as pool:
        await pool.map_batches([[(logging.INFO, "before")]])
        log.setLevel(logging.WARNING)
        await pool.map_batches([[(logging.INFO, "after"), (logging.WARNING, "aloud")]])
    assert texts(log)[-1] == "aloud"
    assert "after" not in texts(log)


async def test_logging_disabled_in_the_program_is_disabled_in_workers(log):
    logging.disable(logging.ERROR)
    try:
        await augmented(aug.logs, [[(logging.ERROR, "no"), (logging.CRITICAL, "yes")]])
    finally:
        logging.disable(logging.NOTSET)
    assert texts(log) == ["yes"]


async def test_what_does_not_pickle_comes_as_text(log):
    await augmented(aug.logs_the_unpicklable)
    first, second, third = log.records
    assert first.args[1] == 7  # what pickles comes as it is
    assert re.fullmatch(r"lock <unlocked .*>", second.getMessage())
    assert re.fullmatch(r"<unlocked .*>", second.lock)
    assert second.number == 7
    text = logging.Formatter().format(third)
    assert text.startswith("failed\nTraceback")
    assert text.endswith("OwnError: inner")


async def test_threads_log_while_results_are_sent(log):
    results = await augmented(aug.logs_in_threads, range(6))
    assert results == [str(number) * 1_000_000 for number in range(6)]
    said = {
        f"{batch} {number} {each}"
        for batch in range(5)
        for number in range(5)
        for each in range(20)
    }
    assert said <= set(texts(log))


async def test_what_a_worker_said_before_its_death_is_not_lost(log):
    async with AsyncPool(aug.logs_and_dies, processes=1, retries=0) as pool:
        with pytest.raises(WorkerDied):
            await pool.map_batches([1])
    assert texts(log) == ["last words of 1"]  # an error that leaves the block waits for no handler


async def test_what_a_worker_says_after_its_last_reply_is_not_lost():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    said = []
    connection = Connection(ours, None, said.append)
    question = Assignment()
    connection.send(question, Request(b"?"))
    connection.hang_up()
    with pytest.raises(ConnectionLost):
        await question.wait()
    worker = WorkerConnection(theirs)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(worker.send, Reply(b"too late"))
        thread.submit(worker.send, Report(b"in time"))
    connection.close()
    theirs.close()
    assert [bytes(report.head) for report in said] == [b"in time"]


async def test_a_forked_process_leaves_the_connection_alone(log):
    with caught("always") as shown:
        assert await augmented(aug.logs_in_a_fork, [1, 2]) == [1, 2]
    assert texts(log) == ["of the worker"] * 2
    assert [str(warning.message) for warning in shown if "forked" in str(warning.message)] == []


async def test_handlers_of_workers_are_not_called(log, capfd):
    await augmented(aug.with_handlers_of_its_own)
    assert texts(log) == ["once"]
    assert "once" not in capfd.readouterr().err


async def test_records_of_the_start_come_too(log):
    await augmented(aug.LogsWhenUnpickled())
    assert texts(log) == ["unpickled"]


async def test_a_handler_that_blocks_holds_up_the_close_only(log):
    may_go_on = threading.Event()
    log.addFilter(lambda record: may_go_on.wait(PATIENCE))
    batches = [[(logging.WARNING, str(number))] for number in range(3)]
    async with AsyncPool(aug.logs, processes=1) as pool:
        assert await pool.map_batches(batches) == batches
        assert texts(log) == []
        may_go_on.set()
    log.filters.clear()
    assert texts(log) == ["0", "1", "2"]


async def test_an_error_of_a_handler_is_told_and_ends_nothing(log, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda about: told.append(about.exc_type))

    def refuse(record):
        if record.getMessage() == "bad":
            raise SystemExit("a handler")
        return True

    log.addFilter(refuse)
    await augmented(aug.logs, [[(logging.WARNING, "bad"), (logging.WARNING, "good")]])
    log.removeFilter(refuse)
    assert told == [SystemExit]
    assert texts(log) == ["good"]


async def test_a_filter_shows_a_warning_of_each_batch_or_one_of_all():
    with caught("always") as shown:
        await augmented(aug.warns, range(5))
    assert [str(one.message) for one in shown] == ["of every batch"] * 5
    assert {(one.category, os.path.basename(one.filename)) for one in shown} == {
        (UserWarning, "reporting_augmenters.py")
    }
    vars(aug).pop("__warningregistry__", None)
    with caught("default") as shown:
        async with AsyncPool(aug.warns, processes=2) as pool:
            await pool.map_batches(list(range(20)))
    assert [str(one.message) for one in shown] == ["of every batch"]


async def test_filters_hold_for_classes_and_modules():
    with caught("ignore", DeprecationWarning) as shown:
        await augmented(aug.warns_of_a_deprecation)
    assert shown == []
    with caught("ignore") as shown:
        warnings.filterwarnings("always", module="reporting_aug")
        await augmented(aug.warns_of_a_deprecation)
    assert [one.category for one in shown] == [DeprecationWarning]


async def test_a_filter_set_later_holds_for_what_workers_send():
    with caught("always") as shown:
        async with AsyncPool(aug.warns, processes=1) as pool:
            await pool.map_batches([1])
            warnings.simplefilter("ignore")
            await pool.map_batches([2])
    assert len(shown) <= 1  # it may have been on its way when the filter was set
    with caught("always") as shown:
        async with AsyncPool(aug.warns, processes=1) as pool:
            await pool.map_batches([1])
            warnings.simplefilter("error")
            assert await pool.map_batches([2]) == [2]
    assert [str(one.message) for one in shown] == ["of every batch"] * 2


async def test_an_error_is_that_of_its_batch():
    with caught("error", UserWarning):
        async with AsyncPool(aug.warns, processes=1) as pool:
            with pytest.raises(UserWarning, match="of every batch"):
                await pool.map_batches([1])
            with pytest.raises(UserWarning, match="of every batch"):
                await pool.map_batches([2])


async def test_a_warning_that_does_not_pickle_comes_as_one_of_pythons():
    with caught("always") as shown:
        await augmented(aug.warns_the_unpicklable)
    assert [(one.category, str(one.message)) for one in shown] == [(UserWarning, "own")]


PROGRAM = """
import asyncio, logging, sys, warnings
import aioaug

logging.basicConfig(level=logging.ERROR)
log = logging.getLogger(__name__)

class Own(UserWarning):
    pass

def augment(batch):
    log.info("augmenting %d", batch)
    warnings.warn("own", Own)
    warnings.warn("old", DeprecationWarning)
    print("printed")
    return batch

async def main():
    form = "%(processName)s %(name)s %(message)s"
    logging.basicConfig(level=logging.INFO, force=True, format=form)
    logging.captureWarnings(True)
    async with aioaug.AsyncPool(augment, processes=1, on_error="skip") as pool:
        print(await pool.map_batches([5]))

if __name__ == "__main__":
    asyncio.run(main())
"""


def lines_of(folder, *options):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, *options, str(script)]
    without = {**environment(), "PYTHONWARNINGS": ""}
    ended = subprocess.run(
        command, env=without, capture_output=True, text=True, timeout=2 * PATIENCE, check=True
    )
    return ended.stdout.splitlines() + ended.stderr.splitlines()


def test_a_program_that_sets_logging_up_in_main(tmp_path):
    lines = lines_of(tmp_path)
    assert "aioaug-worker-1 __main__ augmenting 5" in lines
    assert sum("Own: own" in line for line in lines) == 1
    assert sum("DeprecationWarning: old" in line for line in lines) == 1
    assert lines.count("printed") == 1
    assert "[5]" in lines


def test_a_program_whose_warnings_are_errors(tmp_path):
    lines = lines_of(tmp_path, "-W", "error")
    assert "aioaug-worker-1 __main__ augmenting 5" in lines
    assert "[]" in lines  # the batch failed by its warning, and was left out


def test_a_report_from_within_a_message_is_sent_after_it():
    """As when a finalizer logs in the midst of sending, which may happen anywhere."""
    received = Messages(from_worker)
    inner = []

    class Interrupted:
        def sendall(self, piece):
            received.add(piece)
            if not inner:
                inner.append(Report(b"inner"))
                connection.send(*inner)

    connection = WorkerConnection(Interrupted())
    outer = Reply(b"outer" * 20_000, seconds=1.0)  # sent in two pieces
    connection.send(outer)
    first, second = received.take(), received.take()
    assert isinstance(first, Reply)
    assert (bytes(first.head), first.seconds) == (outer.head, 1.0)
    assert second == Report(b"inner")
