"""Pictures that are cropped when they are decoded, because the pipeline begins by cropping them."""

from __future__ import annotations

import asyncio
import warnings

import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np
import pytest
from aioaug import AsyncPool, data
from aioaug._imgaug import seed_augmenter
from aioaug._pictures import jpegs, turbojpeg
from aioaug.data import decoding
from aioaug.data.first_step import CropsAhead, first_crop
from labels_testing import PHOTO, coco_file
from PIL import Image

HEIGHT, WIDTH = PHOTO.shape[:2]


@pytest.fixture
def folder(tmp_path):
    """JPEGs and other pictures, smaller than the crops and larger."""
    for number, (height, width) in enumerate([(64, 96), (64, 30), (20, 96), (50, 50), (63, 95)]):
        Image.fromarray(PHOTO[:height, :width]).save(tmp_path / f"{number}.jpg", quality=90)
    Image.fromarray(PHOTO).save(tmp_path / "5.png")
    Image.fromarray(PHOTO[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "6.png")
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(PHOTO).save(tmp_path / "7.jpg", exif=turned)
    Image.fromarray(PHOTO[:, :, 0]).save(tmp_path / "8.jpg")
    return tmp_path


def batches_of(dataset, augmenter, size=9, epochs=2, **options):
    async def main():
        async with AsyncPool(augmenter, seed=1, engine="inline", on_error="skip") as pool:
            batches = dataset.batches(size, epochs=epochs, **options)
            return [each async for each in pool.imap_batches(batches)]

    return asyncio.run(main())


def both_ways(dataset, augmenter, monkeypatch, **options):
    """Cropped when they are decoded, and afterwards."""
    ahead = batches_of(dataset, augmenter, **options)
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "first_crop", lambda _: None)
        return ahead, batches_of(dataset, augmenter, **options)


def assert_equal(ahead, behind):
    assert len(ahead) == len(behind) > 0
    for one, other in zip(ahead, behind, strict=True):
        assert type(one.images) is type(other.images) is list
        assert len(one.images) == len(other.images)
        for picture, expected in zip(one.images, other.images, strict=True):
            assert picture.dtype == expected.dtype
            assert picture.flags.c_contiguous
            assert np.array_equal(picture, expected)
        assert list(one.labels) == list(other.labels)
        assert one.indices.tolist() == other.indices.tolist()


OTHERS = [iaa.Fliplr(0.5), iaa.Add((-9, 9)), iaa.Affine(rotate=(-9, 9))]
PIPELINES = {
    "alone": lambda: iaa.CropToFixedSize(40, 31),
    "in a sequence": lambda: iaa.Sequential([iaa.CropToFixedSize(40, 31), *OTHERS]),
    "of sequences": lambda: iaa.Sequential(
        [iaa.Sequential([iaa.CropToFixedSize(32, 32)]), *OTHERS]
    ),
    "the middle": lambda: iaa.Sequential([iaa.CenterCropToFixedSize(40, 31), *OTHERS]),
    "one side": lambda: iaa.Sequential([iaa.CropToFixedSize(None, 9, position="normal"), *OTHERS]),
    "by one parameter": lambda: iaa.CropToFixedSize(24, 24, position=iap.Uniform(0.2, 1)),
    "outside": lambda: iaa.CropToFixedSize(24, 24, position=iap.Uniform(-1, 3)),
    "always the same": lambda: iaa.CropToFixedSize(24, 24, seed=3).to_deterministic(),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_same_pictures(folder, name, monkeypatch):
    assert first_crop(PIPELINES[name]()) is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert_equal(*both_ways(data.Files(folder), PIPELINES[name](), monkeypatch))


def test_labels_move_as_for_whole_pictures(tmp_path, monkeypatch):
    """COCO's boxes, polygons, masks and keypoints."""
    path = coco_file(tmp_path)
    for name in ("a.png", "sub/b.png"):
        with Image.open(tmp_path / "images" / name) as image:
            image.save(tmp_path / "images" / name, "JPEG")
    dataset = data.Coco(path, tmp_path / "images", rules=data.LabelRules(min_pixels=0))
    pipeline = iaa.Sequential([iaa.CropToFixedSize(40, 31), *OTHERS])
    ahead, behind = both_ways(dataset, pipeline, monkeypatch, epochs=9)
    assert_equal(ahead, behind)
    assert {labels.size for batch in ahead for labels in batch.labels} == {(40, 31)}
    assert any(labels.annotations for batch in ahead for labels in batch.labels)


def test_a_picture_that_is_left_out_changes_all_crops(folder, monkeypatch, caplog):
    (folder / "2.jpg").write_bytes(b"no picture")
    pipeline = PIPELINES["in a sequence"]()
    ways = both_ways(data.Files(folder), pipeline, monkeypatch, on_unreadable="skip", epochs=1)
    assert_equal(*ways)
    assert len(ways[0][0].images) == 8
    assert [record.message.split(" (")[0] for record in caplog.records] == ["2.jpg"] * 2
    assert batches_of(data.Files(folder), pipeline, size=3, epochs=1)[0].indices.tolist() == [
        3,
        4,
        5,
    ]


def test_only_what_is_needed_is_decoded(folder, monkeypatch):
    pytest.importorskip("simplejpeg")
    monkeypatch.setattr(turbojpeg, "library", lambda: None)
    decoded, decode = [], jpegs.installed().decode_jpeg

    class Decoder:
        @staticmethod
        def decode_jpeg(data, **options):
            pixels = decode(data, **options)
            decoded.append(len(pixels))
            return pixels

    monkeypatch.setattr(jpegs, "installed", lambda: Decoder)
    upper = iaa.CropToFixedSize(40, 31, position="right-bottom")
    batches_of(data.Files([folder / "0.jpg"]), upper, epochs=1)
    assert decoded == [33]


class OwnCrop(iaa.CropToFixedSize):
    pass


class OwnParameter(iap.Uniform):
    pass


NO_FIRST_CROPS = {
    "own-class": OwnCrop(9, 9),
    "own-parameter": iaa.CropToFixedSize(9, 9, position=OwnParameter(0.0, 1.0)),
    "nothing-left": iaa.CropToFixedSize(0, 9),
    "square": iaa.CropToSquare(),
    "multiples": iaa.CropToMultiplesOf(8, 8),
    "by-pixels": iaa.Crop(9),
    "random-order": iaa.Sequential([iaa.CropToFixedSize(9, 9), iaa.Fliplr(0.5)], random_order=True),
    "later": iaa.Sequential([iaa.Fliplr(1.0), iaa.CropToFixedSize(9, 9)]),
    "sometimes": iaa.Sometimes(0.5, iaa.CropToFixedSize(9, 9)),
    "empty": iaa.Sequential([]),
    "function": lambda batch: batch,
}


@pytest.mark.parametrize("augmenter", NO_FIRST_CROPS.values(), ids=NO_FIRST_CROPS)
def test_of_all_others_nothing_is_known(augmenter):
    assert first_crop(augmenter) is None


def test_one_that_is_switched_off():
    crop = iaa.CropToFixedSize(9, 9)
    crop.activated = False
    assert first_crop(crop) is None


def test_it_draws_nothing_from_the_augmenter():
    crop = iaa.CropToFixedSize(9, 9)
    seed_augmenter(crop, 1)
    ahead = CropsAhead(crop, 3)
    cropped = crop(images=[PHOTO] * 3)  # draws the same numbers again
    for place in range(3):
        part = ahead.region(place, (HEIGHT, WIDTH)).of(PHOTO)
        assert np.array_equal(part, cropped[place])
