"""Datasets with labels on their way through a pool, which moves the labels with the pictures."""

from __future__ import annotations

import aioaug
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.data import Coco, Masks, Yolo, decode
from labels_testing import augmented, coco_file, picture, yolo_folder
from PIL import Image

FLIP = iaa.Fliplr(1.0)


def masks_folder(folder):
    picture(folder / "images" / "a.png")
    (folder / "masks").mkdir()
    numbers = np.zeros((64, 96), np.uint8)
    numbers[10:30, 20:60] = 3
    Image.fromarray(numbers).save(folder / "masks" / "a.png")
    return Masks(folder / "images", folder / "masks")


@pytest.fixture
def datasets(tmp_path):
    lines, names = ["0 0.25 0.5 0.125 0.25"], "names: [cat]\ntrain: images/train\n"
    return [
        Coco(coco_file(tmp_path / "coco"), tmp_path / "coco" / "images"),
        Yolo(yolo_folder(tmp_path / "yolo", lines, names)),
        masks_folder(tmp_path / "masks"),
    ]


@pytest.fixture
def flipped(datasets):
    """The labels of each dataset in mirrored pictures, read beforehand: that blocks."""
    return [[augmented(sample.labels, FLIP)[0] for sample in dataset] for dataset in datasets]


async def test_labels_move_in_workers(datasets, flipped):
    async with aioaug.AsyncPool(FLIP, 1, seed=1) as pool:
        for dataset, expected in zip(datasets, flipped, strict=True):
            async with pool.imap_batches(dataset.batches(2)) as stream:
                (batch,) = [batch async for batch in stream]
            assert batch.labels == expected


def test_parts_keep_what_the_file_says(datasets):
    dataset = datasets[0]
    for part in (dataset.subset([1, 0]), dataset.split(0.5)[0]):
        assert (part.header, part.classes) == (dataset.header, dataset.classes)
    assert [batch.names for batch in map(decode, dataset.batches(2))] == [["a.png", "sub/b.png"]]
    (batch,) = map(decode, datasets[1].batches(1))
    assert batch.labels[0].boxes.tolist() == [[18, 24, 30, 40]]


async def test_labels_are_resized_with_their_pictures(datasets):
    dataset = datasets[0]
    async with aioaug.AsyncPool(iaa.Identity(), processes=1) as pool:
        [batch] = [each async for each in pool.imap_batches(dataset.batches(9, resize=(50, 100)))]
    assert batch.images.shape[1:] == (50, 100, 3)
    for sample, label in zip(dataset, batch.labels, strict=True):
        assert label.size == (100, 50)
        width, height = sample.labels.size
        scale = np.array([100 / width, 50 / height] * 2)
        by_id = {each.id: each for each in label.annotations}
        for before in sample.labels.annotations:
            if before.id in by_id and before.mask is None and before.bounds() is not None:
                wanted = np.clip(np.array(before.bounds()) * scale, 0, [100, 50] * 2)
                np.testing.assert_allclose(by_id[before.id].bounds(), wanted, atol=0.01)
