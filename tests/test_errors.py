"""What errors say, and what they are caught by."""

from __future__ import annotations

import multiprocessing
import pickle

import aioaug
import aioaug.background
import aioaug.blocking


def test_errors_pickle_and_speak():
    died = pickle.loads(pickle.dumps(aioaug.WorkerDied(-9, "augmenting batch 4", 4)))
    assert str(died) == "a worker process was killed by SIGKILL while augmenting batch 4"
    assert (died.exitcode, died.index) == (-9, 4)
    assert "exited with code 3" in str(aioaug.WorkerDied(3, "starting"))
    assert "vanished" in str(aioaug.WorkerDied(None, "starting"))
    assert "signal 250" in str(aioaug.WorkerDied(-250, "starting"))


def test_a_result_that_is_late_is_one_error_by_any_name():
    late = aioaug.errors.ResultTimeout
    assert aioaug.background.TimeoutError is aioaug.blocking.TimeoutError is late
    kinds = (aioaug.AioaugError, RuntimeError, TimeoutError, multiprocessing.TimeoutError)
    assert all(issubclass(late, kind) for kind in kinds)
