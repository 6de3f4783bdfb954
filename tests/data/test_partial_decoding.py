"""JPEGs that are decoded smaller, because the pipeline begins by making them small."""

from __future__ import annotations

import asyncio

import aioaug
import cv2
import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np
import pytest
from aioaug import AsyncPool, data
from aioaug._pictures import jpegs
from aioaug.data.first_step import first_size
from labels_testing import coco_file
from PIL import Image
from skimage import data as photographs

SIZE = {"height": 60, "width": 100}
HEIGHT, WIDTH = 300, 451
TO_SIZE = iaa.Resize(SIZE, interpolation="linear")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "a.jpg"
    Image.fromarray(photographs.chelsea()).save(path, quality=90)
    return path


def read(path, augmenter, **options):
    return images(data.Files([path]), augmenter, **options)[0]


def images(dataset, augmenter, **options):
    return batch_of(dataset, augmenter, **options).images


def batch_of(dataset, augmenter, **options):
    async def main():
        async with AsyncPool(augmenter, seed=1, engine="inline") as pool:
            [batch] = [each async for each in pool.imap_batches(dataset.batches(9, **options))]
        return batch

    return asyncio.run(main())


@pytest.mark.parametrize("with_simplejpeg", [True, False])
def test_a_jpeg_is_decoded_at_a_quarter(picture, monkeypatch, with_simplejpeg):
    """The pixels do not depend on which decoder is installed."""
    if not with_simplejpeg:
        monkeypatch.setattr(jpegs, "installed", lambda: None)
    quarter = cv2.imread(str(picture), cv2.IMREAD_REDUCED_COLOR_4)[:, :, ::-1]
    assert quarter.shape == (HEIGHT // 4, -(-WIDTH // 4), 3)
    expected = TO_SIZE(image=np.ascontiguousarray(quarter))
    for augmenter in (TO_SIZE, iaa.Sequential([TO_SIZE]), aioaug.fast.exact(TO_SIZE)):
        assert np.array_equal(read(picture, augmenter, decode="fit"), expected)
    assert np.array_equal(read(picture, TO_SIZE), TO_SIZE(image=photographs_as_read(picture)))
    whole = read(picture, TO_SIZE).astype(int)
    assert 0 < np.abs(whole - expected).mean() < 8


def test_resized_by_the_nearest_pixels(picture):
    """As Albumentations' Resize, but that a JPEG comes as small as it may first."""
    size = SIZE["height"], SIZE["width"]
    quarter = cv2.imread(str(picture), cv2.IMREAD_REDUCED_COLOR_4)[:, :, ::-1]
    by_areas = cv2.resize(quarter, size[::-1], interpolation=cv2.INTER_AREA)
    nearest = cv2.resize(quarter, size[::-1], interpolation=cv2.INTER_LINEAR)
    assert not np.array_equal(by_areas, nearest)
    assert np.array_equal(read(picture, iaa.Identity(), resize=size), by_areas)
    got = read(picture, iaa.Identity(), resize=size, interpolation="linear")
    assert np.array_equal(got, nearest)


def photographs_as_read(path):
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


class OwnResize(iaa.Resize):
    pass


@pytest.mark.parametrize(
    "augmenter",
    [
        iaa.Resize((20, 60)),
        iaa.Resize(iap.Choice([20, 60])),
        iaa.Resize(0.2),
        iaa.Resize({"height": 60, "width": "keep-aspect-ratio"}),
        iaa.Resize({"shorter-side": 60, "longer-side": 90}),
        OwnResize(SIZE),
        iaa.Sequential([TO_SIZE, iaa.Identity()], random_order=True),
        iaa.Sequential([]),
        iaa.Sequential([iaa.Fliplr(1.0), TO_SIZE]),
        iaa.Sometimes(0.5, TO_SIZE),
        iaa.CropToFixedSize(60, 60),
    ],
    ids=repr,
)
def test_all_others_get_whole_pictures(picture, augmenter):
    assert first_size(augmenter) is None
    whole, fitting = (read(picture, augmenter, decode=each) for each in ("whole", "fit"))
    assert np.array_equal(whole, fitting)


def test_only_as_small_as_is_enough(picture):
    assert first_size(iaa.Sequential([iaa.Sequential([iaa.Resize(64)])])) == (64, 64)
    for height, width, by in ((151, 40, 1), (150, 225, 2), (150, 226, 1), (37, 56, 8), (1, 57, 4)):
        resize = iaa.Resize({"height": height, "width": width}, interpolation="nearest")
        flag = {1: 1, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
                8: cv2.IMREAD_REDUCED_COLOR_8}[by]  # fmt: skip
        small = np.ascontiguousarray(cv2.imread(str(picture), flag)[:, :, ::-1])
        assert np.array_equal(read(picture, resize, decode="fit"), resize(image=small))


def test_labels_move_as_for_whole_pictures(tmp_path):
    """COCO's boxes, polygons, masks and keypoints."""
    path = coco_file(tmp_path)
    for name in ("a.png", "sub/b.png"):
        with Image.open(tmp_path / "images" / name) as image:
            image.save(tmp_path / "images" / name, "JPEG")  # whatever it is called
    dataset = data.Coco(path, tmp_path / "images", rules=data.LabelRules(min_pixels=0))
    resize = iaa.Resize({"height": 8, "width": 12})
    whole, fitting = (batch_of(dataset, resize, decode=each) for each in ("whole", "fit"))
    assert not np.array_equal(whole.images[0], fitting.images[0])
    assert fitting.labels == whole.labels
    assert {labels.size for labels in fitting.labels} == {(12, 8)}
    assert fitting.labels[0].boxes[0] == pytest.approx([1.25, 2.5, 3.812, 6.25])


def test_wrong_arguments(picture):
    with pytest.raises(ValueError, match="decode must be one of 'whole', 'fit', got 'small'"):
        data.Files([picture]).batches(1, decode="small")
    with pytest.raises(ValueError, match='decode="fit": only without resize='):
        data.Files([picture]).batches(1, decode="fit", resize=(9, 9))
