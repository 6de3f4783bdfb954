"""`aioaug.torch.Loader`: epochs, ranks, and runs that go on in the middle."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tensors_testing import Pictures

torch = pytest.importorskip("torch")

import aioaug.blocking  # noqa: E402
import aioaug.torch  # noqa: E402
from aioaug.torch.epochs import ItemBatches, Share  # noqa: E402
from loader_program import augmenter, digest, given, loader  # noqa: E402

SUPPORT = Path(__file__).parents[1] / "support"
INLINE = {"engine": "inline"}


def program(name, *arguments, text=None):
    return subprocess.Popen(
        [sys.executable, str(SUPPORT / name), *map(str, arguments)],
        stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("shuffle", [False, True])
def test_epochs(shuffle):
    with loader(shuffle=shuffle, **INLINE) as ours:
        assert len(ours) == 50
        epochs = [[labels.tolist() for _, labels in ours] for _ in range(2)]
    for epoch in epochs:
        assert sorted(label for labels in epoch for label in labels) == list(range(200))
    assert (epochs[0] == epochs[1]) is not shuffle
    assert (epochs[0] == [list(range(at, at + 4)) for at in range(0, 200, 4)]) is not shuffle


def test_what_a_pool_gives_for_the_same_batches():
    items = Pictures(200, 8)
    batches = [np.stack([items[each][0] for each in range(at, at + 4)]) for at in range(0, 200, 4)]
    with aioaug.blocking.Pool(augmenter(), seed=3, engine="inline") as pool:
        wanted = pool.map_batches(batches * 2)
    with loader(**INLINE) as ours:
        got = [images for _ in range(2) for images, _ in ours]
    for images, array in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(images.permute(0, 2, 3, 1).numpy(), array)


async def test_without_blocking():
    with loader(shuffle=True, **INLINE) as ours:
        wanted = given(ours, 0)
    async with loader(shuffle=True, **INLINE) as ours:
        assert [digest(batch) async for batch in ours] == wanted


async def test_a_request_that_is_cancelled_loses_no_batch():
    with loader(shuffle=True, **INLINE) as ours:
        wanted = given(ours, 3)
    async with loader(shuffle=True, processes=1) as ours:
        batches = aiter(ours)
        asked = asyncio.create_task(anext(batches))
        await asyncio.sleep(0)  # it waits for the worker to start
        with pytest.raises(RuntimeError, match="another task"):
            await anext(batches)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        found = [digest(await anext(batches)) for _ in range(3)]
    assert found == wanted
    with pytest.raises(StopAsyncIteration):  # the loader was closed
        await anext(batches)
    await batches.aclose()


@pytest.mark.parametrize("persistent", [True, False])
async def test_a_loop_that_is_left(persistent):
    """With its workers where they are not kept, and not only when somebody collects garbage."""
    async with loader(persistent=persistent, processes=1) as ours:
        async for _ in ours:
            break
        assert (ours._async_run is not None) == persistent
        async with aiter(ours) as batches:
            await anext(batches)
            run = ours._async_run
        assert run.is_open == persistent
        assert len([digest(batch) async for batch in ours]) == 50


def test_a_run_goes_on_at_every_step_in_another_process():
    cases, wanted = [], []
    for shuffle in (False, True):
        with loader(shuffle=shuffle, **INLINE) as ours:
            states = [ours.state_dict()]
            digests = []
            for batch in ours:
                digests.append(digest(batch))
                states.append(ours.state_dict())
            digests += given(ours, 50)
        assert states[-1] == {**states[0], "epoch": 1, "batch": 0}
        for processes in (1, 2, 3):
            options = {"shuffle": shuffle, "processes": processes}
            cases.append([options, states, 2])
            wanted.append([digests[at : min(at + 2, 50 if at < 50 else 52)] for at in range(51)])
            cases.append([options, states[17 * processes :: 40], 50])
            wanted.append(
                [digests[at : 50 if at < 50 else 100] for at in range(51)][17 * processes :: 40]
            )
    text = json.dumps(cases)
    process = program("loader_program.py", text=text)
    out, _ = process.communicate(text)
    assert process.returncode == 0
    assert json.loads(out) == wanted


def test_two_ranks_have_together_what_one_has(tmp_path):
    processes = [program("rank_program.py", rank, tmp_path / "meeting") for rank in range(2)]
    ranks = [json.loads(process.communicate()[0]) for process in processes]
    with loader(shuffle=True, **INLINE) as ours:
        alone = [given(ours, 0) for _ in range(2)]
    for epoch in range(2):
        one, other = (rank[epoch] for rank in ranks)
        assert len(one) == len(other) == 25
        assert [each for pair in zip(one, other, strict=True) for each in pair] == alone[epoch]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_all_ranks_have_equally_many_and_all_is_there(ranks, drop_last):
    batches = ItemBatches(50, 4, shuffle=False, seed=0, drop_last=drop_last)
    shares = [Share(batches, rank, ranks, drop_last) for rank in range(ranks)]
    (each,) = {share.per_epoch for share in shares}
    for epoch in range(3):
        found = {share.number(epoch * each + own) for share in shares for own in range(each)}
        every = set(range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch))
        assert found <= every
        assert drop_last or found == every
        assert len(found) == (each * ranks if drop_last else len(every))


def test_a_loop_that_was_left_is_over():
    with loader(shuffle=True, **INLINE) as ours:
        first, second = given(ours, 0), given(ours, 0)
    with loader(shuffle=True, **INLINE) as ours:
        assert given(ours, 3) == first[:3]
        assert given(ours, 0) == second
        ours.set_epoch(0)
        assert given(ours, 0) == first
        ours.set_epoch(1)
        assert given(ours, 3) == second[:3]


def test_an_epoch_that_is_set_does_not_forget_the_state():
    with loader(shuffle=True, **INLINE) as ours:
        first = given(ours, 0)
        state = ours.state_dict()
        assert state["epoch"] == 1
        ours.load_state_dict({**state, "epoch": 0, "batch": 48})
        ours.set_epoch(0)
        assert given(ours, 0) == first[48:]


def test_a_state_of_other_ranks():
    state = loader(shard=(0, 1)).state_dict()
    ours = loader(shard=(1, 2))
    assert len(ours) == 25
    ours.load_state_dict({**state, "batch": 10})
    assert ours.state_dict()["batch"] == 5
    with pytest.raises(ValueError, match="cannot have divided"):
        ours.load_state_dict({**state, "batch": 11})
    with pytest.raises(ValueError, match="seed=4"):
        ours.load_state_dict({**state, "seed": 4})
    with pytest.raises(ValueError, match="what state_dict"):
        ours.load_state_dict({"epoch": 1})


def test_the_workers_of_one_epoch_alone():
    ours = loader(persistent=False, processes=1)
    assert len(list(islice(ours, 2))) == 2
    assert ours._bridge is None
    assert len(given(ours, 0)) == 50
    assert ours._bridge is None


def test_a_dataloader_takes_it():
    with loader(shuffle=True, **INLINE) as ours:
        wanted = given(ours, 0)
    with loader(shuffle=True, **INLINE) as ours:
        assert isinstance(ours, torch.utils.data.IterableDataset)
        outer = torch.utils.data.DataLoader(ours, batch_size=None)
        assert len(outer) == 50
        assert [digest(batch) for batch in outer] == wanted


def test_the_state_of_torchdata():
    stateful = pytest.importorskip("torchdata.stateful_dataloader")
    protocol = pytest.importorskip("torchdata.stateful_dataloader.stateful").Stateful
    assert stateful is not None
    assert isinstance(loader(), protocol)


def test_pictures_of_a_folder(tmp_path):
    import cv2
    from aioaug import data

    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(3):
            cv2.imwrite(
                str(tmp_path / name / f"{number}.png"), np.full((9, 12, 3), number, np.uint8)
            )
    folder = data.ImageFolder(tmp_path)
    how = {"resize": (8, 8), "dtype": torch.float32, "mean": 0.5, "std": 0.5, **INLINE}
    with aioaug.torch.Loader(folder, None, 2, **how) as ours:
        batches = list(ours)
    assert [labels.tolist() for _, labels in batches] == [[0, 0], [0, 1], [1, 1]]
    images, _ = batches[0]
    assert images.shape == (2, 3, 8, 8)
    wanted = torch.tensor([0, 1]).reshape(2, 1, 1, 1) / 255 * 2 - 1
    torch.testing.assert_close(images, wanted.expand(2, 3, 8, 8))


def test_an_error_comes_in_its_place_and_the_loop_can_go_on():
    class Broken(Pictures):
        def __getitem__(self, number):
            if number == 9:
                raise OSError("nine")
            return super().__getitem__(number)

    with aioaug.torch.Loader(Broken(20, 8), None, 4, **INLINE) as ours:
        loop = iter(ours)
        assert [next(loop)[1].tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
        with pytest.raises(OSError, match="nine"):
            next(loop)
        assert ours.state_dict()["batch"] == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((iter(()),), TypeError, "len"),
        ((Pictures(3), None, 0), ValueError, "batch_size"),
        ((Pictures(3), None, 2, {"resize": (8, 8)}), ValueError, "resize, pad"),
        ((Pictures(3), None, 2, {"load": print}), TypeError, "no option load"),
        ((Pictures(3), None, 2, {"shard": (2, 2)}), ValueError, "shard"),
        ((Pictures(3), None, 2, {"seed": -1}), ValueError, "seed"),
        ((Pictures(3), None, 2, {"engine": "fast"}), ValueError, "engine"),
    ],
)
def test_what_it_does_not_take(arguments, error, message):
    *plain, options = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(error, match=message):
        aioaug.torch.Loader(*plain, **options)


def test_too_few_batches_for_the_ranks():
    ours = aioaug.torch.Loader(Pictures(3), None, 2, shard=(0, 2), drop_last=True)
    with pytest.raises(ValueError, match="too few for 2 ranks"):
        len(ours)


def test_not_in_the_workers_of_a_dataloader(monkeypatch):
    monkeypatch.setattr(torch.utils.data._utils.worker, "_worker_info", object())
    with pytest.raises(RuntimeError, match="num_workers=0"):
        next(iter(loader(**INLINE)))
