"""What cells of a notebook define goes to the workers, in a real kernel."""

from __future__ import annotations

import json

import pytest
from programs_testing import output_of

for name in ("nbclient", "ipykernel"):
    pytest.importorskip(name)

DEFINITIONS = """
from dataclasses import dataclass
from typing import Any, NamedTuple
import numpy as np, aioaug, imgaug.augmenters as iaa

class Twice:
    def __call__(self, batch):
        return batch * 2

def add_one(batch):
    return batch + one

@dataclass
class Sample:
    images: Any
    labels: Any

class Refused(Exception):
    pass

def refuse(batch):
    raise Refused(batch.sum())

one = 1
picture = np.ones((1, 4, 4, 3), np.uint8)
"""
USE = """
async def result(augmenter, batch):
    async with aioaug.AsyncPool(augmenter, processes=1, start_method=METHOD) as pool:
        return (await pool.map_batches([batch]))[0]

sums = [
    int(np.sum(await result(augmenter, picture)))
    for augmenter in (
        Twice(),
        add_one,
        lambda batch: batch * 3,
        iaa.Lambda(func_images=lambda images, *_: [image * 4 for image in images]),
        iaa.Convolve(matrix=lambda image, channels, rng: [np.full((1, 1), 5)] * channels),
    )
]
sample = await result(iaa.Fliplr(1), Sample(picture, "label"))
try:
    await result(refuse, picture)
except Refused as error:
    refused = error.args[0]
print(sums, type(sample) is Sample, sample.labels, refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_what_cells_define(method):
    cells = [DEFINITIONS, USE.replace("METHOD", repr(method))]
    assert output_of("run_cells.py", cells) == "[96, 96, 144, 192, 240] True label 48\n"


INTERRUPTED = [
    """
import aioaug, asyncio, multiprocessing, time

async def tick():  # the kernel itself does not see an interrupt while its loop sleeps
    while True:
        await asyncio.sleep(0.01)

ticking = asyncio.ensure_future(tick())
pool = aioaug.AsyncPool(lambda seconds: time.sleep(seconds) or seconds, 2)
print(await pool.map_batches([0, 0.0]))
""",
    "# interrupted\nawait pool.map_batches([60])",
    "print(await pool.map_batches([0, 0.0]))",
    """# interrupted
async for batch in pool.imap_batches([0.01] * 100_000, output_buffer_size=4):
    pass
""",
    """
print(await pool.map_batches([0, 0.0]), len(multiprocessing.active_children()))
await pool.close()
print(len(multiprocessing.active_children()))
""",
]


@pytest.mark.slow
def test_interrupted_cells():
    """The kernel, the pool and its workers are as good as before."""
    assert json.loads(output_of("interrupt_cell.py", INTERRUPTED)) == [
        ["ok", "[0, 0.0]\n"],
        ["CancelledError", ""],
        ["ok", "[0, 0.0]\n"],
        ["CancelledError", ""],
        ["ok", "[0, 0.0] 2\n0\n"],
    ]
