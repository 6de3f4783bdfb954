"""Outcomes of calls, on their way out of a worker."""

from __future__ import annotations

import asyncio
import pickle

import aioaug
import aioaug_testing as aug
import pytest
from aioaug._base.results import Failure, Success, attempt


def test_outcomes_survive_pickling():
    assert pickle.loads(pickle.dumps(Success(3))).unwrap() == 3
    for raising in (aug.Failing().two_arguments, aug.Failing().lock_inside):
        failure = attempt(raising)
        assert isinstance(failure, Failure)
        copy = pickle.loads(pickle.dumps(failure))
        with pytest.raises(aioaug.RemoteError):
            copy.unwrap()
        assert "Traceback" in str(copy.error.__cause__)


def test_cancellation_of_a_worker_is_not_ours():
    def cancelled():
        raise asyncio.CancelledError

    assert isinstance(attempt(cancelled).error, aioaug.RemoteError)
