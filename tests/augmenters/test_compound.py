"""Batches of several parts: which of them are augmented, and that the form stays."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType

import aioaug
import forms_testing as forms
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.augmenters import batch_forms
from imgaug.augmentables import BoundingBox, BoundingBoxesOnImage, Keypoint, KeypointsOnImage

IMAGES = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
FLIPPED = IMAGES[:, :, ::-1]
LABELS = np.array([3, 4])
POINTS = [KeypointsOnImage([Keypoint(1, 2)], (4, 6, 3)) for _ in IMAGES]
FLIP = iaa.Fliplr(1)


def flip(batch):
    return batch_forms.augment(batch, FLIP.augment_batch_)


@pytest.mark.parametrize(
    ("batch", "images", "labels"),
    [
        ((IMAGES, LABELS), lambda b: b[0], lambda b: b[1]),
        ([IMAGES, LABELS], lambda b: b[0], lambda b: b[1]),
        ((list(IMAGES), "x", None, LABELS), lambda b: b[0], lambda b: b[3]),
        ({"labels": LABELS, "images": IMAGES}, lambda b: b["images"], lambda b: b["labels"]),
        (OrderedDict(images=IMAGES, n=LABELS), lambda b: b["images"], lambda b: b["n"]),
        (MappingProxyType({"images": IMAGES, 1: LABELS}), lambda b: b["images"], lambda b: b[1]),
        (forms.Pair(LABELS, IMAGES), lambda b: b.images, lambda b: b.labels),
        (forms.Unnamed(IMAGES, LABELS), lambda b: b.x, lambda b: b.y),
        (forms.Sample(IMAGES, LABELS), lambda b: b.images, lambda b: b.labels),
        (forms.Frozen(IMAGES, LABELS), lambda b: b.images, lambda b: b.labels),
        ((IMAGES, {"labels": LABELS}), lambda b: b[0], lambda b: b[1]["labels"]),
        ({"x": forms.Sample(IMAGES, LABELS)}, lambda b: b["x"].images, lambda b: b["x"].labels),
    ],
)
def test_forms_stay_and_the_rest_passes(batch, images, labels):
    result = flip(batch)
    assert type(result) is type(batch)
    np.testing.assert_array_equal(images(result), FLIPPED)
    assert type(images(result)) is type(images(batch))
    assert labels(result) is LABELS
    np.testing.assert_array_equal(images(batch), IMAGES)  # what was passed in stays


def test_columns_by_name_by_kind_and_within_another():
    boxes = np.array([[[0, 1, 2, 3]]] * 2, np.float32)
    points = np.array([[[1, 2]]] * 2, np.float32)
    result = flip({"images": IMAGES, "bounding_boxes": boxes, "keypoints": points, "id": 7})
    assert result["bounding_boxes"].tolist() == [[[4, 1, 6, 3]]] * 2
    assert result["keypoints"].tolist() == [[[5, 2]]] * 2
    assert result["id"] == 7

    images, (one, _), label = flip((IMAGES, POINTS, 3))
    assert (one.keypoints[0].x, label) == (5, 3)
    images, target = flip((IMAGES, {"bounding_boxes": [boxes[0]] * 2, "images": "names"}))
    np.testing.assert_array_equal(images, FLIPPED)
    assert target["images"] == "names"
    assert target["bounding_boxes"][0].tolist() == [[4, 1, 6, 3]]
    on_image = BoundingBoxesOnImage([BoundingBox(0, 1, 2, 3, label="cat")], (4, 6, 3))
    assert flip({"bounding_boxes": [on_image]})["bounding_boxes"][0].bounding_boxes[0].x1 == 4


def test_columns_that_are_empty():
    for batch in ({"images": IMAGES, "keypoints": None}, (IMAGES, [])):
        assert len(flip(batch)) == 2
    assert flip({"images": [], "labels": [1]}) == {"images": [], "labels": [1]}


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (
            {"image": IMAGES, "y": 1},
            TypeError,
            "some of .*, got 'image', 'y'",
        ),
        (("a", "b"), TypeError, "got str"),
        ((IMAGES, POINTS, POINTS), ValueError, "keypoints once"),
        ((IMAGES[0, 0], 3), ValueError, r"got shape \(6, 3\)"),
        (forms.Empty(1), TypeError, "Empty must have some of"),
    ],
)
def test_what_is_no_batch(batch, error, message):
    with pytest.raises(error, match=message):
        batch_forms.check(batch)
    with pytest.raises(error, match=message):
        flip(batch)


def test_wrong_forms_to_register():
    with pytest.raises(TypeError, match="type must be a class"):
        aioaug.register_form(3, len, len)
    with pytest.raises(TypeError, match="from_batch must be callable"):
        aioaug.register_form(int, len, 3)


@pytest.fixture
def own_form():
    aioaug.register_form(
        forms.Own, lambda own: own.pictures, lambda own, pictures: forms.Own(pictures, own.label)
    )
    yield
    del batch_forms._registered[forms.Own]


@pytest.mark.parametrize("engine", ["process", "thread", "inline"])
@pytest.mark.usefixtures("own_form")
async def test_forms_through_a_pool(engine):
    large = np.zeros(10_000, np.float32)
    batches = [(IMAGES, large), forms.Sample(IMAGES, LABELS), forms.Own(IMAGES, "own")]
    async with aioaug.AsyncPool(iaa.Fliplr(1), processes=1, engine=engine) as pool:
        pair, sample, own = await pool.map_batches(batches)
        (streamed,) = [batch async for batch in pool.imap_batches([batches[2]])]
    for images in (pair[0], sample.images, own.pictures, streamed.pictures):
        np.testing.assert_array_equal(images, FLIPPED)
    np.testing.assert_array_equal(pair[1], large)
    assert (type(sample), type(own), own.label) == (forms.Sample, forms.Own, "own")
