"""Engines of image flows, of batches' workers and of background processes."""

from __future__ import annotations

import random

import numpy as np
import pytest
import takers_testing as takers
from aioaug import BackgroundProc, SharedQ
from aioaug.batch import Batch
from aioaug.engines import ThreadEngine
from aioaug.images import ParallelImageDataGenerator


@pytest.mark.parametrize("taker", takers.TAKERS)
async def test_results_are_the_same_on_every_engine(taker):
    before = random.getstate()
    wanted = await taker(None)
    for engine in ("inline", "thread", "process", ThreadEngine):
        got = await taker(engine)
        assert len(got) == len(wanted)
        assert all(map(np.array_equal, got, wanted)), engine
    assert random.getstate() == before


@pytest.mark.parametrize(
    "use",
    [
        lambda engine: ParallelImageDataGenerator(engine=engine),
        lambda engine: BackgroundProc(takers.drawn, engine=engine),
        lambda engine: SharedQ(engine=engine),
        lambda engine: Batch(np.arange(3)).apply_parallel(
            takers.draws, src=np.arange(3), target="mpc", engine=engine
        ),
    ],
)
def test_other_names_are_refused(use):
    with pytest.raises(ValueError, match=r"engine must be one of 'inline', .* got 'gpu'"):
        use("gpu")


def test_where_an_engine_makes_no_sense_the_remedy_is_named():
    with pytest.raises(ValueError, match=r"engine='thread': a SharedQ .* leave engine out"):
        SharedQ(engine="thread")
    with pytest.raises(ValueError, match=r"engine='thread' and debug=True"):
        ParallelImageDataGenerator(engine="thread", debug=True)
    with pytest.raises(ValueError, match=r"start_method='spawn' is .* engine='thread'"):
        BackgroundProc(takers.drawn, start_method="spawn", engine="thread")
    with pytest.raises(ValueError, match="engine='thread' needs target='mpc', got 'for'"):
        Batch(np.arange(3)).apply_parallel(takers.draws, src=np.arange(3), engine="thread")
