"""`aioaug.testing.check_engine`: our engines pass it, and what breaks a promise does not."""

from __future__ import annotations

import asyncio
import copy

import pytest
from aioaug._aio.tasks import in_thread
from aioaug.engines import InlineEngine, ProcessEngine, ThreadEngine
from aioaug.errors import AioaugError, ClosedError, ConformanceError
from aioaug.testing import calls, check_engine, checks

KINDS = {
    "inline": (InlineEngine, {"beside_the_loop": False}),
    "thread": (ThreadEngine, {}),
    "process": (ProcessEngine, {"in_processes": True}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_our_engines_pass(kind):
    make, options = KINDS[kind]
    await check_engine(make, **options)


class _StartsWhenBuilt(InlineEngine):
    def __init__(self, state, **options):
        super().__init__(state, **options)
        self._started = True


class _LosesColumns(InlineEngine):
    async def submit(self, fn, /, *args, **options):
        got = await super().submit(fn, *args, **options)
        return None if isinstance(got, dict) else got


class _ReadOnly(InlineEngine):
    async def submit(self, fn, /, *args, **options):
        got = copy.deepcopy(await super().submit(fn, *args, **options))
        if fn is calls.overwrite:
            got.flags.writeable = False
        return got


class _WrapsErrors(InlineEngine):
    async def submit(self, fn, /, *args, **options):
        try:
            return await super().submit(fn, *args, **options)
        except LookupError as error:
            raise RuntimeError("lost") from error


class _SharesItsState(InlineEngine):
    async def start(self):
        self._own, self._started = self._state, True


class _NeverBegins(InlineEngine):
    async def submit(self, fn, /, *args, begun=None, **options):
        return await super().submit(fn, *args, **options)


class _GoesOnAfterItsEnd(InlineEngine):
    async def aclose(self, *, kill=False):
        pass


class _HangsOnClose(ThreadEngine):
    async def aclose(self, *, kill=False):
        await super().aclose(kill=kill)
        if self.started:
            await asyncio.Event().wait()


class _HoldsOnToCalls(ThreadEngine):
    async def submit(self, fn, /, *args, **options):
        work = asyncio.ensure_future(super().submit(fn, *args, **options))
        cancelled = False
        while not work.done():
            try:
                await asyncio.wait((work,))
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError
        return work.result()


class _LeavesCallsAlone(ThreadEngine):
    async def aclose(self, *, kill=False):
        await super().aclose(kill=False)


class _ForgetsIndices(ThreadEngine):
    async def submit(self, fn, /, *args, **options):
        if args and isinstance(args[0], list) and isinstance(args[0][0], tuple):
            args = ([(0, batch) for _, batch in args[0]],)
        return await super().submit(fn, *args, **options)


class _NeverSaysThatItStarted(InlineEngine):
    started = False


class _HasOneStateForAllThreads(ThreadEngine):
    async def submit(self, fn, /, *args, **options):
        if fn is calls.stay:
            return await in_thread(fn, self._state, *args)
        return await super().submit(fn, *args, **options)


class _WaitsForNobody(ThreadEngine):
    async def aclose(self, *, kill=False):
        await super().aclose(kill=True)


class _NeverDies(ThreadEngine):
    async def submit(self, fn, /, *args, **options):
        if fn is calls.end_worker:
            return None
        return await super().submit(fn, *args, **options)


class _MakesUpForWhatWasLeft(ThreadEngine):
    left = None

    async def submit(self, fn, /, *args, **options):
        try:
            return await super().submit(*(self.left or (fn, *args)), **options)
        except asyncio.CancelledError:
            self.left = fn, *args
            raise


BROKEN = {
    "starting_is_idempotent": _NeverSaysThatItStarted,
    "states_have_one_call_at_a_time": _HasOneStateForAllThreads,
    "closing_waits": _WaitsForNobody,
    "deaths_cost_one_call": _NeverDies,
    "streams_may_be_left": _MakesUpForWhatWasLeft,
    "building_starts_nothing": _StartsWhenBuilt,
    "values_come_back": _LosesColumns,
    "arrays in results can be written to": _ReadOnly,
    "errors_come_back": _WrapsErrors,
    "states_are_separate": _SharesItsState,
    "calls_are_begun_once": _NeverBegins,
    "closed_engines_refuse": _GoesOnAfterItsEnd,
    "it took more than 1 s": _HangsOnClose,
    "a cancelled call is over at once": _HoldsOnToCalls,
    "killing_is_quick": _LeavesCallsAlone,
    "pools_give_the_same": _ForgetsIndices,
}


@pytest.mark.parametrize("said", BROKEN)
async def test_a_broken_promise_is_named(said):
    with pytest.raises(ConformanceError, match=said):
        await check_engine(
            BROKEN[said],
            limit=1 if "took" in said else 30,
            in_processes=said == "deaths_cost_one_call",
        )


def test_the_error_is_a_failed_assertion_of_a_test():
    assert issubclass(ConformanceError, AssertionError)
    assert issubclass(ConformanceError, AioaugError)


async def test_an_engine_that_raises_something_else_is_said_to(monkeypatch):
    class _RaisesOften(InlineEngine):
        async def submit(self, fn, /, *args, **options):
            raise ClosedError("never open")

    with pytest.raises(ConformanceError, match="it raised ClosedError"):
        await check_engine(_RaisesOften)


def test_each_check_says_what_it_checks_and_fails_for_an_engine_that_is_broken():
    every = (*checks.EVERY, *checks.BESIDE_THE_LOOP, *checks.IN_PROCESSES)
    assert [check.__name__ for check in every if not check.__doc__] == []
    said = {*BROKEN, "cancelling_drops_calls"}  # which is seen by what it says
    assert [check.__name__ for check in every if check.__name__ not in said] == []
