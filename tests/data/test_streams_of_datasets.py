"""Streams of datasets: resumed anywhere, and shared by several programs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import data_testing
import imgaug.augmenters as iaa
import pytest
from aioaug import AsyncPool, data
from data_testing import contents, make_folder


class Noted:
    """Samples that note which of them were asked for."""

    def __init__(self, samples):
        self.samples = samples
        self.asked = []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, number):
        self.asked.append(number)
        return self.samples[number]


@pytest.mark.parametrize("ordered", [True, False])
def test_a_shuffled_epoch_is_resumed(tmp_path, ordered):
    dataset = data.ImageFolder(make_folder(tmp_path / "a", each=6))
    dataset._samples = Noted(dataset._samples)
    batches = dataset.batches(3, shuffle=True, seed=2, epochs=3)

    async def run(workers, count, state=None):
        augmenter = iaa.Sequential([iaa.Fliplr(0.5), iaa.Add((-9, 9))])
        async with AsyncPool(augmenter, workers, seed=1, engine="thread") as pool:
            imap = pool.imap_batches if ordered else pool.imap_batches_unordered
            got = []
            async with imap(batches, output_buffer_size=2, state=state) as stream:
                async for batch in stream:
                    got.append(contents(batch))
                    if len(got) == count:
                        break
            return got, json.loads(json.dumps(stream.state()))

    whole, _ = asyncio.run(run(1, None))
    first, state = asyncio.run(run(2, 7))
    dataset._samples.asked.clear()
    rest, _ = asyncio.run(run(3, None, state))
    together = first + rest
    assert (together if ordered else sorted(together, key=repr)) == (
        whole if ordered else sorted(whole, key=repr)
    )
    assert len(dataset._samples.asked) == 3 * len(rest)


def test_three_programs_share_an_epoch(tmp_path):
    root = make_folder(tmp_path / "a", each=6)
    programs = [
        subprocess.Popen(
            [sys.executable, data_testing.__file__, str(root), str(rank), "3"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    shares = [json.loads(program.communicate(timeout=50)[0]) for program in programs]
    assert [len(share) for share in shares] == [4, 4, 4]
    everything = sorted(sample.image.name for sample in data.ImageFolder(root))
    for epoch in range(2):
        own = [batch for share in shares for batch in share[2 * epoch : 2 * epoch + 2]]
        assert sorted(name for names, _, _ in own for name in names) == everything
    numbers = [number for share in shares for _, number, _ in share]
    assert len(set(numbers)) == len(numbers)  # no two ranks draw the same
