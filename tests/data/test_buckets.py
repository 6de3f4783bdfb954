"""Batches of pictures of similar proportions, and the sizes that they are made from."""

from __future__ import annotations

import asyncio
import pickle
import tarfile
import threading

import cv2
import data_testing
import numpy as np
import pytest
from aioaug import AsyncPool, _pictures, data
from data_testing import Points, contents
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

SHAPES = [(64, 48), (48, 64), (32, 128), (96, 128)]
SIZES = st.sampled_from([(40, 30), (30, 40), (31, 40), (100, 400), (200, 270), (50, 50), (0, 0)])


def of_sizes(sizes):
    """A dataset whose labels say these heights and widths; there are no files."""
    samples = [
        data.Sample(data.FileReference("", str(number)), data.PictureLabels(size=(width, height)))
        for number, (height, width) in enumerate(sizes)
    ]
    return data.PictureDataset(samples)


def collected(batches, **options):
    async def run():
        how = {"seed": 1, "engine": "thread", "load": data.decode, **options}
        async with AsyncPool(data_testing.nothing, 2, **how) as pool:
            return [batch async for batch in pool.imap_batches(batches)]

    return asyncio.run(run())


@given(
    sizes=st.lists(SIZES, max_size=40),
    batch_size=st.integers(2, 5),
    world=st.integers(1, 3),
    buckets=st.sampled_from([SHAPES, 2, 5]),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_each_picture_comes_once_in_an_epoch(sizes, batch_size, world, buckets, shuffle, drop_last):
    dataset = of_sizes(sizes)
    options = {"shuffle": shuffle, "seed": 5, "epochs": 2, "drop_last": drop_last}
    if not drop_last and 0 < len(sizes) < world:
        with pytest.raises(ValueError, match="cannot have equally many batches"):
            dataset.batches(batch_size, buckets=buckets, shard=(0, world))
        return
    shares = [
        dataset.batches(batch_size, buckets=buckets, shard=(rank, world), **options)
        for rank in range(world)
    ]
    assert len({len(batches) for batches in shares}) == 1
    size = shares[0].per_epoch
    for epoch in range(2):
        numbers = []
        for batch in range(epoch * size, (epoch + 1) * size):
            of_ranks = [batches[batch] for batches in shares]
            lengths = [len(each) for each in of_ranks]
            assert 0 < min(lengths) <= max(lengths) <= min(batch_size, min(lengths) + 1)
            assert not drop_last or lengths == [batch_size] * world
            assert len({each.fit for each in of_ranks}) == 1
            numbers += [number for each in of_ranks for number in each.indices]
        assert len(set(numbers)) == len(numbers)
        assert drop_last or sorted(numbers) == list(range(len(sizes)))
        order = shares[0].order(epoch).tolist()
        assert sorted(order) == list(range(len(sizes)))
        assert sorted(order[: len(numbers)]) == sorted(numbers)
        assert len(sizes) - len(numbers) < batch_size * world * (4 if drop_last else 1)


def test_which_picture_is_in_which_bucket():
    sizes = [(400, 300), (300, 400), (50, 50), (10, 90), (60, 80), (95, 120), (0, 0)]
    batches = of_sizes(sizes).batches(9, buckets=SHAPES)
    assert [(each.fit.resize, each.indices) for each in batches] == [
        ((64, 48), (0, 2, 6)),
        ((96, 128), (1, 5)),
        ((32, 128), (3,)),
        ((48, 64), (4,)),
    ]
    upright_or_not = of_sizes(sizes).batches(9, buckets=2)
    assert [each.indices for each in upright_or_not] == [(0,), (1, 2, 3, 4, 5, 6)]
    in_three = of_sizes(sizes).batches(9, buckets=3, pad=0)
    assert [(each.fit.resize, each.indices) for each in in_three] == [
        ((400, 300), (0,)),
        ((300, 400), (1, 3, 4, 5)),
        ((50, 50), (2, 6)),
    ]


def test_small_buckets_are_joined_to_others():
    sizes = [(30, 40)] * 7 + [(10, 100)] + [(40, 30)] * 7
    alone = of_sizes(sizes).batches(2, buckets=SHAPES)
    assert (7,) in [each.indices for each in alone]
    ranks = [of_sizes(sizes).batches(2, buckets=SHAPES, shard=(rank, 2)) for rank in range(2)]
    assert [each.fit.resize for batches in ranks for each in batches if 7 in each.indices] == [
        (48, 64)
    ]
    full = of_sizes(sizes).batches(7, buckets=SHAPES, drop_last=True, shuffle=True, seed=1)
    assert [len(each) for each in full] == [7, 7]
    assert 7 in {number for epoch in range(9) for number in full.order(epoch)[:14].tolist()}


def test_the_order_is_nearly_that_without_buckets():
    sizes = [(30, 40), (40, 30), (40, 30)] * 40
    batches = of_sizes(sizes).batches(4, buckets=2, shuffle=True, seed=3, epochs=None)
    plain = of_sizes(sizes).batches(4, shuffle=True, seed=3, epochs=None)
    assert batches.order(5).tolist() != batches.order(0).tolist()
    places = {number: place for place, number in enumerate(plain.order(5).tolist())}
    begins = [places[batches[number].indices[0]] for number in range(150, 180)]
    assert begins == sorted(begins)
    again = pickle.loads(pickle.dumps(batches))
    assert [again[number].indices for number in (2_000_003, 17)] == [
        batches[number].indices for number in (2_000_003, 17)
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pictures of several sizes and formats, one of them lying on its side."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    for number, (height, width) in enumerate([(40, 30), (30, 40), (60, 90), (90, 60), (44, 30)]):
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        for suffix in ("jpg", "png", "tif", "webp", "gif"):
            Image.fromarray(pixels).save(folder / f"{number}.{suffix}")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(folder / "side.jpg", exif=exif)
    Image.fromarray(pixels).save(folder / "side.png", exif=exif)
    Image.fromarray(pixels).save(folder / "side.tiff", exif=exif)
    # Its size stands behind more bytes than are read at first.
    Image.fromarray(pixels).save(folder / "late.jpg", exif=exif, icc_profile=bytes(99_999))
    return folder


def test_sizes_are_those_of_the_decoded_pictures(root, tmp_path):
    dataset = data.Files(root)
    expected = [_pictures.read(root / sample.image.name).pixels.shape[:2] for sample in dataset]
    assert dataset.sizes().tolist() == list(map(list, expected))
    assert dataset.subset([3, 1]).sizes().tolist() == [list(expected[at]) for at in (3, 1)]
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for sample in dataset:
            archive.add(root / sample.image.name, sample.image.name.replace(".", "-") + ".jpg")
    assert data.Tar(tmp_path / "a.tar").sizes().tolist() == list(map(list, expected))


def test_no_pixels_are_decoded_for_a_size(root, tmp_path):
    for name in ("2.jpg", "2.png", "side.jpg"):
        (tmp_path / name).write_bytes((root / name).read_bytes()[:700])
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    dataset = data.Files(tmp_path)
    (tmp_path / "2.jpg").unlink()
    assert dataset.sizes().tolist() == [[0, 0], [60, 90], [0, 0], [30, 44]]


def test_a_bucket_of_one_shape_is_an_array(root):
    dataset = data.Files(root)
    batches = dataset.batches(6, shuffle=True, seed=2, buckets=SHAPES[:2])
    arrived = collected(batches)
    assert {batch.images.shape[1:] for batch in arrived} == {(64, 48, 3), (48, 64, 3)}
    for batch in arrived:
        for image, name in zip(batch.images, batch.names, strict=True):
            plain = _pictures.read(root / name).pixels
            assert (plain.shape[0] > plain.shape[1]) == (image.shape[0] > image.shape[1])
    assert sorted(name for batch in arrived for name in batch.names) == [
        sample.image.name for sample in dataset
    ]


def test_a_batch_is_padded_to_its_largest_picture(tmp_path):
    for name, shape in (("a", (40, 30)), ("b", (60, 20)), ("c", (20, 60)), ("d", (20, 10))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((*shape, 3), 9, np.uint8))
    dataset = data.Files(tmp_path)
    marked = data.Files([tmp_path / f"{name}.png" for name in "abcd"], [Points(((0.0, 0.0),))] * 4)
    upright, wide = collected(marked.batches(5, buckets=2, pad=7))
    assert upright.images.shape == (3, 60, 30, 3)
    assert wide.images.shape == (1, 20, 60, 3)
    assert (upright.images[0, 10:50] == 9).all()
    assert (upright.images[0, :10] == 7).all()
    assert (upright.images[1, :, 5:25] == 9).all()
    assert (upright.images[2, 20:40, 10:20] == 9).all()
    assert (upright.images[2] == 9).sum() == 20 * 10 * 3
    assert [label.xy[0] for label in upright.labels] == [(0.0, 10.0), (5.0, 0.0), (10.0, 20.0)]
    lists = collected(dataset.batches(5, buckets=2))
    assert [image.shape for image in lists[0].images] == [(40, 30, 3), (60, 20, 3), (20, 10, 3)]


def test_a_missing_picture_fails_its_batch_alone(root, tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes((root / f"{number}.jpg").read_bytes())
    dataset = data.Files(tmp_path)
    (tmp_path / "1.jpg").unlink()
    batches = dataset.batches(1, buckets=2)
    arrived = collected(batches, on_error="skip")
    assert sorted(batch.names[0] for batch in arrived) == ["0.jpg", "2.jpg", "3.jpg"]


def test_a_stream_of_buckets_is_resumed(root):
    batches = data.Files(root).batches(3, shuffle=True, seed=4, epochs=2, buckets=2, pad=0)

    async def run(workers, count, state=None):
        function, how = data_testing.nothing, {"engine": "thread", "load": data.decode}
        async with AsyncPool(function, workers, seed=1, **how) as pool:
            got = []
            async with pool.imap_batches(batches, state=state) as stream:
                async for batch in stream:
                    got.append(contents(batch))
                    if len(got) == count:
                        break
            return got, stream.state()

    whole, _ = asyncio.run(run(1, None))
    first, state = asyncio.run(run(2, 7))
    rest, _ = asyncio.run(run(3, None, state))
    assert first + rest == whole


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"buckets": 1}, ValueError, "buckets must be at least 2, got 1"),
        ({"buckets": []}, ValueError, "buckets must be shapes .* got none"),
        ({"buckets": "ab"}, TypeError, "buckets must be an int, got 'ab'"),
        ({"buckets": [3]}, TypeError, r"buckets must be \(height, width\), got 3"),
        ({"buckets": [(3, 0)]}, ValueError, "buckets must be at least 1, got 0"),
        ({"buckets": 2, "resize": (3, 3)}, ValueError, "buckets: not together with resize"),
        ({"buckets": 2, "pad": 256}, ValueError, "pad must be at most 255"),
        ({"buckets": 2, "batch_size": 1, "shard": (0, 2)}, ValueError, "batch_size of at least 2"),
    ],
)
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        data.Files(list("ab")).batches(**{"batch_size": 2, **options})


class Unanswered:
    """A picture on a server that does not answer until it is told to."""

    name = "far.jpg"

    def __init__(self, asked, answer):
        self.asked = asked
        self.answer = answer

    def read(self):
        self.asked.set()
        self.answer.wait()
        raise FileNotFoundError(self.name)


@pytest.mark.parametrize("count", [1, 200])
def test_a_stream_is_closed_while_sizes_are_read(count):
    """It does not wait for answers of a server, and does not warn of a source that is busy."""
    asked, answer = threading.Event(), threading.Event()
    far = data.PictureDataset([data.Sample(Unanswered(asked, answer))] * count)

    async def close_early():
        async with AsyncPool(data_testing.nothing, 1, engine="inline", load=data.decode) as pool:
            stream = pool.imap_batches(far.batches(2, buckets=2))
            first = asyncio.ensure_future(anext(stream))
            await asyncio.to_thread(asked.wait)
            first.cancel()
            await stream.aclose()  # a warning would be an error

    try:
        asyncio.run(close_early())
    finally:
        answer.set()
    assert far.sizes().tolist() == [[0, 0]] * count
