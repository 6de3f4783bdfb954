"""`aioaug.torch.tensors`: the same numbers as the stream of arrays, in the same memory."""

from __future__ import annotations

import asyncio
import weakref
from collections import namedtuple
from contextlib import contextmanager
from dataclasses import dataclass

import aioaug
import numpy as np
import pytest
from imgaug import augmenters as iaa
from tensors_testing import lies_in_shared_memory

torch = pytest.importorskip("torch")

import aioaug.torch  # noqa: E402
from aioaug.torch import device_copies  # noqa: E402
from aioaug.torch.tensor_stream import TensorMaker  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RNG = np.random.default_rng(1)
BATCHES = [RNG.integers(0, 256, (8, 64, 48, 3), np.uint8) for _ in range(4)]
AUGMENTER = iaa.Sequential(
    [iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.Multiply((0.7, 1.3))]
)
Named = namedtuple("Named", "images labels")


@dataclass(frozen=True)
class Labelled:
    images: object
    labels: object


async def made(batches, how, **options):
    """The batches of a pool as tensors, and as the pool gives them."""
    async with aioaug.AsyncPool(AUGMENTER, seed=1, **(options or {"engine": "inline"})) as pool:
        async with aioaug.torch.tensors(pool.imap_batches(batches), **how) as stream:
            tensors = [batch async for batch in stream]
    async with aioaug.AsyncPool(AUGMENTER, seed=1, engine="inline") as pool:
        return tensors, await pool.map_batches(batches)


def normalized(images):
    return (images / 255 - np.array(MEAN)) / np.array(STD)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", None])
async def test_bytes_are_the_same_to_the_bit(layout):
    tensors, arrays = await made(BATCHES, {"layout": layout})
    for tensor, array in zip(tensors, arrays, strict=True):
        if layout == "NCHW":
            assert tensor.shape == (8, 3, 64, 48)
            assert tensor.is_contiguous(memory_format=torch.channels_last)
            tensor = tensor.permute(0, 2, 3, 1)
        assert tensor.dtype == torch.uint8
        np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize(
    "dtype", [None, torch.float16, torch.float32, torch.float64, torch.bfloat16]
)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
async def test_normalized_images(dtype, layout):
    how = {"layout": layout, "dtype": dtype, "mean": MEAN, "std": STD}
    tensors, arrays = await made(BATCHES[:2], how)
    for tensor, array in zip(tensors, arrays, strict=True):
        assert tensor.dtype == (dtype or torch.float32)
        assert tensor.is_contiguous()
        turned = tensor.permute(0, 2, 3, 1) if layout == "NCHW" else tensor
        off = {torch.float16: 2e-3, torch.bfloat16: 2e-2}.get(dtype, 1e-6)
        np.testing.assert_allclose(turned.double().numpy(), normalized(array), atol=off, rtol=off)


async def test_what_workers_send_is_what_the_loop_gets():
    async with aioaug.AsyncPool(iaa.Fliplr(1), processes=1, seed=1) as pool:
        segments = pool.pool._segment_pool
        batches = [np.tile(batch, (2, 1, 1, 1)) for batch in BATCHES]
        async with aioaug.torch.tensors(pool.imap_batches(batches), layout="NHWC") as stream:
            for batch in batches:
                tensor = await anext(stream)
                assert lies_in_shared_memory(tensor)
                np.testing.assert_array_equal(tensor.numpy(), batch[:, :, ::-1])
            kept = tensor[3, :2].numpy()
            wanted = kept.copy()
            del tensor
        assert segments.used == 1
        for batch in batches:
            await pool.augment_batch(batch)
        np.testing.assert_array_equal(kept, wanted)
        del kept
        assert segments.used == 0


@pytest.mark.parametrize("form", ["tuple", "dict", "named tuple", "dataclass"])
async def test_labels_become_tensors_and_strings_stay(form):
    labels = [3, 1, 2, 0, 5, 4, 7, 6]
    batch = {
        "tuple": (BATCHES[0], labels, ["cat"] * 8),
        "dict": {"images": BATCHES[0], "labels": np.array(labels), "name": "x"},
        "named tuple": Named(BATCHES[0], np.array(labels)),
        "dataclass": Labelled(BATCHES[0], np.array(labels)),
    }[form]
    (got,), _ = await made([batch], {})
    assert type(got) is type(batch)
    images, numbers = {
        "tuple": lambda: got[:2],
        "dict": lambda: (got["images"], got["labels"]),
        "named tuple": lambda: got,
        "dataclass": lambda: (got.images, got.labels),
    }[form]()
    assert images.shape == (8, 3, 64, 48)
    assert torch.equal(numbers, torch.tensor(labels))
    if form == "tuple":
        assert got[2] == ["cat"] * 8
    if form == "dict":
        assert got["name"] == "x"


async def test_images_that_tensors_cannot_be_views_of():
    def turned(images):
        images = images[:, ::-1]
        images.flags.writeable = False
        return images, np.array(["a", "b"])

    async with aioaug.AsyncPool(turned, engine="inline", seed=1) as pool:
        async with aioaug.torch.tensors(pool.imap_batches(BATCHES[:1]), layout=None) as stream:
            images, names = await anext(stream)
    np.testing.assert_array_equal(images.numpy(), BATCHES[0][:, ::-1])
    assert names.tolist() == ["a", "b"]


async def test_a_stream_goes_on_behind_what_was_given():
    async with aioaug.AsyncPool(AUGMENTER, engine="inline", seed=1) as pool:
        stream = aioaug.torch.tensors(pool.imap_batches(BATCHES), dtype=torch.float32, prefetch=2)
        async with stream:
            await anext(stream)
            await anext(stream)
            await asyncio.sleep(0.01)
            state = stream.state()
    assert state["next"] == 2


class StandIn:
    """Streams of a device that does nothing before it is told to: CPU tensors in its place."""

    pins = False

    def __init__(self):
        self.passed, self.events, self.waited, self.inside = 0, 0, [], 0

    def side(self):
        return "side"

    @contextmanager
    def use(self, stream):
        assert stream == "side"
        self.inside += 1
        yield
        self.inside -= 1

    def record(self, stream):
        assert self.inside
        self.events += 1
        return self.events

    def has_passed(self, event):
        return event <= self.passed

    def wait_for(self, event, tensors):
        self.waited.append((event, len(tensors)))


def test_copies_to_a_device():
    device = StandIn()

    copier = device_copies.DeviceCopier(torch.device("cpu"), None, device)
    sources = [torch.ones(3), torch.zeros(2)]
    copies, event = copier.copy(sources, lambda tensors: [tensor + 1 for tensor in tensors])
    assert [copy.tolist() for copy in copies] == [[2, 2, 2], [1, 1]]
    assert len(copier._reading) == 1  # what is read from is kept
    copier.hand_out(copies, event)
    assert device.waited == [(1, 2)]
    assert len(copier._reading) == 1
    device.passed = 1
    copier.let_go()
    assert not copier._reading


def test_what_is_copied_is_kept_until_the_copy_was_made():
    device = StandIn()
    copier = device_copies.DeviceCopier(torch.device("cpu"), None, device)
    maker = TensorMaker("NCHW", torch.float32, MEAN, STD, copier, pin=False)
    images = BATCHES[0].copy()
    alive = weakref.ref(images)
    made = maker((images, np.arange(8)))
    del images
    assert alive() is not None
    images, labels = made.batch
    wanted = normalized(BATCHES[0]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(images.numpy(), wanted, atol=1e-6)
    assert torch.equal(labels, torch.arange(8))
    device.passed = 1
    copier.hand_out(made.tensors, made.event)
    assert device.waited == [(1, 2)]
    assert alive() is None


async def test_a_device_without_streams():
    tensors, _ = await made([(BATCHES[0], [1] * 8)], {"device": "meta", "mean": MEAN, "std": STD})
    ((images, labels),) = tensors
    assert (images.device.type, images.shape, images.dtype) == (
        "meta",
        (8, 3, 64, 48),
        torch.float32,
    )
    assert labels.device.type == "meta"


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"dtype": torch.uint8}, ValueError, "dtype must be one of PyTorch's floats"),
        ({"dtype": "float32"}, ValueError, "dtype must be one of PyTorch's floats"),
        ({"layout": "HWC"}, ValueError, "layout"),
        ({"prefetch": -1}, ValueError, "n must be"),
    ],
)
async def test_what_it_does_not_take(how, error, message):
    async with aioaug.AsyncPool(AUGMENTER, engine="inline", seed=1) as pool:
        with pytest.raises(error, match=message):
            aioaug.torch.tensors(pool.imap_batches(BATCHES), **how)
