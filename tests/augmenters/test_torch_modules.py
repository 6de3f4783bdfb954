"""Modules of PyTorch and torchvision's transforms, beside what they do when called by hand."""

from __future__ import annotations

import sys

import aioaug
import numpy as np
import pytest
from aioaug._base.seeding import batch_seeds
from aioaug.augmenters.per_picture import seeds_of_pictures
from columns_testing import IMAGES, SEED, SHAPE, columns, mapped
from imgaug.augmentables import LineStringsOnImage, UnnormalizedBatch

torch = pytest.importorskip("torch")

LABEL = 700  # more than a byte holds


@pytest.fixture
def transforms():
    return pytest.importorskip("torchvision.transforms.v2")


class Brighter(torch.nn.Module):
    """Of PyTorch alone; it works in place."""

    def forward(self, image):
        image += torch.randint(0, 50, (1,), dtype=torch.uint8)
        return image


async def test_a_flip_of_all_columns(transforms):
    flip = transforms.RandomHorizontalFlip(p=1)
    (batch,) = await mapped(flip, [UnnormalizedBatch(**columns(LABEL))])
    np.testing.assert_array_equal(batch.images_aug, IMAGES[:, :, ::-1])
    np.testing.assert_array_equal(batch.images_unaug, IMAGES)
    first = batch.bounding_boxes_aug[1].bounding_boxes
    assert [(box.x1, box.y1, box.x2, box.y2, box.label) for box in first] == [
        (12, 3, 20, 9, "cat"),
        (19, 1, 23, 5, None),
    ]
    before = columns(LABEL)
    for name, pixels in (("segmentation_maps", "arr"), ("heatmaps", "arr_0to1")):
        flipped = getattr(getattr(batch, f"{name}_aug")[0], pixels)
        np.testing.assert_array_equal(flipped, getattr(before[name][0], pixels)[:, ::-1])
    # torchvision's points are pixels, of which the first is 0.
    np.testing.assert_allclose(batch.keypoints_aug[0].to_xy_array(), [(19, 3), (12, 8)])


async def test_the_same_as_by_hand(transforms):
    module = transforms.Compose(
        [
            transforms.RandomResizedCrop(16),
            transforms.RandomHorizontalFlip(),
            transforms.RandomErasing(),
        ]
    )
    (images,) = await mapped(module, [IMAGES])
    rng = np.random.default_rng(batch_seeds(SEED, 0))
    for place, seed in enumerate(seeds_of_pictures(rng, 3)):
        torch.manual_seed(seed)
        got = module(torch.from_numpy(IMAGES[place].transpose(2, 0, 1).copy()))
        np.testing.assert_array_equal(images[place], got.numpy().transpose(1, 2, 0))


async def test_boxes_that_are_dropped(transforms):
    module = transforms.Compose(
        [transforms.CenterCrop((8, 24)), transforms.SanitizeBoundingBoxes(min_size=1.5)]
    )
    batch = {"images": IMAGES, "bounding_boxes": columns()["bounding_boxes"], "labels": "kept"}
    (result,) = await mapped(module, [batch], engine="inline")
    (box,) = result["bounding_boxes"][0].bounding_boxes
    assert (box.x1, box.y1, box.x2, box.y2, box.label) == (4, 0, 12, 3, "cat")
    assert result["images"].shape == (3, 8, 24, 3)
    assert result["labels"] == "kept"


async def test_floats_and_older_transforms(transforms):
    import torchvision

    to_float = transforms.ToDtype(torch.float32, scale=True)
    older = torchvision.transforms.Compose([torchvision.transforms.RandomVerticalFlip(p=1)])
    (images,) = await mapped(to_float, [IMAGES], engine="inline")
    assert (images.dtype, images.shape) == (np.float32, IMAGES.shape)
    np.testing.assert_allclose(images, IMAGES / 255, rtol=1e-6)
    (images,) = await mapped(older, [IMAGES], engine="inline")
    np.testing.assert_array_equal(images, IMAGES[:, ::-1])


@pytest.mark.parametrize("options", [{}, {"start_method": "spawn"}, {"engine": "thread"}])
async def test_any_module(options):
    state = torch.random.get_rng_state()
    batches = await mapped(Brighter(), [IMAGES, (IMAGES[..., :1], "label")], **options)
    again = await mapped(Brighter(), [IMAGES, (IMAGES[..., :1], "label")], engine="inline")
    np.testing.assert_array_equal(batches[0], again[0])
    np.testing.assert_array_equal(batches[1][0], again[1][0])
    added = batches[0] - IMAGES
    assert len({int(one.max()) for one in added}) > 1  # each picture draws its own
    assert torch.equal(torch.random.get_rng_state(), state)


async def test_workers_have_one_thread_of_pytorch():
    threads = aioaug.chain(torch.nn.Identity(), lambda batch: torch.get_num_threads())
    assert await mapped(threads, [IMAGES]) == [1]


async def test_what_modules_cannot_take_or_return(monkeypatch):
    lines = {"images": IMAGES, "line_strings": [LineStringsOnImage([], SHAPE)] * 3}
    with pytest.raises(ValueError, match="torchvision cannot augment line_strings"):
        await mapped(torch.nn.Identity(), [lines], engine="inline")
    with pytest.raises(TypeError, match="must return images as tensors"):
        await mapped(torch.nn.Flatten(0), [IMAGES], engine="inline")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    boxes = {"images": IMAGES, "bounding_boxes": columns()["bounding_boxes"]}
    with pytest.raises(ValueError, match="pip install 'aioaug\\[torchvision\\]'"):
        await mapped(torch.nn.Identity(), [boxes], engine="inline")
