"""The close forms draw imgaug's numbers, and come within their bounds."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import aioaug
import aioaug.fast
import cv2
import imgaug as ia
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.fast.close.families import CLOSE
from aioaug.fast.replacements import FASTER
from fast_testing import PICTURES, SHAPES, assert_close, noise, outcome
from imgaug.augmentables.batches import _BatchInAugmentation


class Case(NamedTuple):
    """An augmenter; the share of values that may be more than a level off, and by how many."""

    make: Callable[[], Any]
    share: float = 0.001
    most: int = 255


# Before release 5, OpenCV rounds the places of pixels to 1/32: in photographs, and in noise.
LOOKUP, LOOKUP_IN_NOISE = (0.001, 0.001) if cv2.__version__ >= "5" else (0.02, 0.3)

# docs/fast.md names those whose share is a greater one.
CASES = {
    "Mesh": Case(lambda: iaa.PiecewiseAffine((0.01, 0.05)), LOOKUP),
    "Mesh of many": Case(
        lambda: iaa.PiecewiseAffine((0.01, 0.3), nb_rows=(2, 9), nb_cols=(2, 9)), LOOKUP
    ),
    "Mesh in pixels": Case(
        lambda: iaa.PiecewiseAffine(9, absolute_scale=True, mode=ia.ALL, cval=(0, 255)), LOOKUP
    ),
    "Mesh of points": Case(
        lambda: iaa.PiecewiseAffine((0.5, 0.9), nb_rows=(2, 6), mode=ia.ALL, cval=(0, 255)), LOOKUP
    ),
    "Mesh to the nearest": Case(lambda: iaa.PiecewiseAffine((0.01, 0.05), order=0), 0.01),
    "Mesh by splines": Case(lambda: iaa.PiecewiseAffine((0.01, 0.05), order=3), 0, 0),
    "Shifts": Case(lambda: iaa.ElasticTransformation((0, 40), (0, 8), mode=ia.ALL)),
    "Shifts between pixels": Case(lambda: iaa.ElasticTransformation(40, 5, order=1, cval=9)),
    "Shifts to the nearest": Case(lambda: iaa.ElasticTransformation(40, 5, order=0)),
}

SOME = ["Mesh", "Mesh of points", "Shifts between pixels"]


@pytest.mark.parametrize("name", CASES)
def test_bounds(name):
    case = CASES[name]
    for images in (np.tile(PICTURES, (3, 1, 1, 1)), PICTURES[..., :1], list(PICTURES)):
        assert_close(case.make(), images, case.share, case.most, name)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape):
    images = noise(SHAPES[shape], "uint8")
    for name in SOME:
        assert_close(CASES[name].make(), images, LOOKUP_IN_NOISE, what=name)


@pytest.mark.parametrize("channels", [1, 3])
def test_layout_in_memory(channels):
    """What comes later may depend on it, in imgaug: `ChangeColorspace` does."""
    images = noise((2, 20, 31, channels), "uint8")
    for name, case in CASES.items():
        for together in (np.array, list):
            layouts = []
            for augmenter in (case.make(), aioaug.fast.accelerate(case.make())):
                augmenter.seed_(3)
                batch = _BatchInAugmentation(images=together(images.copy()))
                done = augmenter.augment_batch_(batch).images
                layouts.append([(image.flags, image.strides) for image in done])
            assert str(layouts[0]) == str(layouts[1]), name


@pytest.mark.parametrize("dtype", ["bool", "uint16", "int8", "float16", "float32", "float64"])
def test_other_kinds_of_pictures(dtype):
    images = noise((2, 9, 13, 3), dtype)
    for name in SOME:
        assert_close(CASES[name].make(), images, LOOKUP_IN_NOISE, what=name)


def test_mesh_of_too_many_triangles_for_a_byte():
    assert_close(iaa.PiecewiseAffine(0.02, nb_rows=13, nb_cols=13), PICTURES[:1], LOOKUP)


class Own(iaa.PiecewiseAffine):
    """Of a user's, which is never replaced."""


def nested():
    return iaa.Sequential(
        [
            iaa.Sometimes(0.5, iaa.Add((-9, 9)), iaa.Invert(0.5)),
            iaa.OneOf([iaa.PiecewiseAffine((0.01, 0.05)), Own(0.05)]),
        ],
        random_order=True,
    )


def kinds(augmenter):
    return [type(each) for each in augmenter.get_all_children(flat=True)]


@pytest.mark.parametrize("first", [copy.deepcopy, aioaug.fast.exact, aioaug.fast.accelerate])
def test_nested_trees(first):
    """Exact forms become close ones, and these remain."""
    forms = {**FASTER, **CLOSE}
    plain = nested()
    fast = aioaug.fast.accelerate(first(plain))
    assert not set(kinds(plain)) & set(forms.values())  # the argument is not changed
    assert [forms.get(kind, kind) for kind in kinds(plain)] == kinds(fast)
    assert Own in kinds(fast)
    assert kinds(aioaug.fast.exact(fast)) == kinds(fast)
    expected = outcome(fast, PICTURES)[0]
    for copied in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        np.testing.assert_array_equal(outcome(copied, PICTURES)[0], expected)
    fixed = fast.to_deterministic()
    np.testing.assert_array_equal(fixed(images=PICTURES), fixed(images=PICTURES))


@pytest.mark.parametrize("engine", ["inline", "thread", "process"])
async def test_pools_accelerate(engine):
    plain = iaa.PiecewiseAffine((0.05, 0.1))
    results = []
    for augmenter, accelerated in ((plain, True), (aioaug.fast.accelerate(plain), False)):
        pool = aioaug.AsyncPool(augmenter, 1, seed=1, engine=engine, accelerate=accelerated)
        async with pool:
            results.append(await pool.map_batches([PICTURES, PICTURES]))
    np.testing.assert_array_equal(*results)
    assert type(plain) is iaa.PiecewiseAffine


async def test_background_augmenters_that_load_accelerate():
    plain = iaa.PiecewiseAffine((0.05, 0.1))
    options = {"nb_workers": 1, "seed": 1, "engine": "thread"}
    results = []
    for accelerated in (True, False):
        augmenter = plain if accelerated else aioaug.fast.accelerate(plain)
        background = aioaug.BackgroundAugmenter(
            [0], augmenter, load=lambda _: PICTURES, accelerate=accelerated, **options
        )
        async with background:
            results.append(await background.get_batch())
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("augmenter", [np.flip, aioaug.chain(iaa.Add(1))])
def test_pools_accelerate_imgaugs_augmenters_only(augmenter):
    with pytest.raises(TypeError, match=r"accelerate: only for .*; leave it out, and put .*"):
        aioaug.AsyncPool(augmenter, accelerate=True)


@pytest.mark.parametrize("value", [None, lambda batch: batch])
def test_refuses_what_is_not_an_augmenter(value):
    with pytest.raises(TypeError, match="augmenter must be one of imgaug's, got"):
        aioaug.fast.accelerate(value)


def columns(shape):
    """Labels of all kinds for one picture."""
    rng = np.random.default_rng(3)
    values = rng.random((3, 3), np.float32)
    heatmap = cv2.resize(values, (shape[1] // 2, shape[0] // 2))[..., np.newaxis]
    classes = rng.integers(0, 4, (*shape[:2], 1)).astype(np.int32)
    boxes = [ia.BoundingBox(5, 6, 30, 24), ia.BoundingBox(-9, 3, 8, 8)]
    corners = [(10, 9), (40, 9), (25, 33)]
    return {
        "heatmaps": [ia.HeatmapsOnImage(heatmap, shape)],
        "segmentation_maps": [ia.SegmentationMapsOnImage(classes, shape)],
        "keypoints": [ia.KeypointsOnImage([ia.Keypoint(*corner) for corner in corners], shape)],
        "bounding_boxes": [ia.BoundingBoxesOnImage(boxes, shape)],
        "polygons": [ia.PolygonsOnImage([ia.Polygon(corners)], shape)],
        "line_strings": [ia.LineStringsOnImage([ia.LineString(corners)], shape)],
    }


@pytest.mark.parametrize("name", ["Mesh", "Mesh to the nearest", "Shifts"])
def test_labels(name):
    """Points of meshes are nearer to the truth than imgaug's, which are those of pixels."""
    shape = PICTURES.shape[1:]
    plain = CASES[name].make()
    fast = aioaug.fast.accelerate(plain)
    for seed in range(2):
        results = []
        for augmenter in (plain, fast):
            augmenter.seed_(seed)
            batch = ia.UnnormalizedBatch(images=list(PICTURES[:1]), **columns(shape))
            results.append(augmenter.augment_batch_(batch))
        maps, maps_expected = (batch.heatmaps_aug[0].get_arr() for batch in results)
        assert np.abs(maps - maps_expected).max() < 0.01
        classes, classes_expected = (b.segmentation_maps_aug[0].get_arr() for b in results)
        assert np.mean(classes != classes_expected) < 0.01
        for kind in ("keypoints", "bounding_boxes", "polygons", "line_strings"):
            points, points_expected = (
                getattr(batch, f"{kind}_aug")[0].to_xy_array() for batch in results
            )
            assert np.abs(points - points_expected).max() < 1.5, kind


def test_points_of_shifts():
    shape = PICTURES.shape[1:]
    places = np.concatenate([noise((20, 2), "float32") * 30, [[0, 0], [39.9, 31.9], [3.5, 0.5]]])
    points = ia.KeypointsOnImage.from_xy_array(places, shape)
    plain = iaa.ElasticTransformation((20, 60), (3, 9))
    moved = []
    for augmenter in (plain, aioaug.fast.accelerate(plain)):
        augmenter.seed_(4)
        moved.append(augmenter.augment_keypoints([points] * 3))
    for one, other in zip(*moved, strict=True):
        np.testing.assert_allclose(other.to_xy_array(), one.to_xy_array(), atol=0.001)


@pytest.mark.parametrize("scale", [0.02, 0.05])
def test_points_of_a_mesh_go_where_its_triangles_take_them(scale):
    shape = (60, 80, 3)
    fast = aioaug.fast.accelerate(iaa.PiecewiseAffine(scale, nb_rows=4, nb_cols=4))
    samples = fast._draw_samples(1, ia.random.RNG(2))
    mesh = fast._get_transformer(shape, shape, 4, 4, samples.jitter[0])
    goals = np.random.default_rng(1).random((200, 2)) * (79, 59)
    xs, ys = mesh.maps()
    columns, rows = goals.astype(int).T
    here = np.stack([xs[rows, columns], ys[rows, columns]], axis=-1)
    points = ia.KeypointsOnImage.from_xy_array(here, shape)
    moved = fast._augment_keypoints_by_samples([points], samples)[0].to_xy_array()
    np.testing.assert_allclose(moved, np.stack([columns, rows], axis=-1), atol=0.01)


def test_points_that_leave_a_mesh():
    """In a picture that has become a small one, what was at the far end is lost, as in imgaug."""
    shape = (300, 300, 3)
    points = ia.KeypointsOnImage([ia.Keypoint(299, 150), ia.Keypoint(50, 40)], shape)
    for augmenter in (iaa.PiecewiseAffine(1), aioaug.fast.accelerate(iaa.PiecewiseAffine(1))):
        jitter = np.repeat([[0, 0.01], [0, -0.9]], 2, axis=0)[[0, 2, 1, 3]]
        samples = augmenter._draw_samples(1, ia.random.RNG(2))
        samples.nb_rows[:], samples.nb_cols[:], samples.jitter[0] = 2, 2, jitter
        moved = augmenter._augment_keypoints_by_samples([points.deepcopy()], samples)[0]
        assert moved.keypoints[0].xy.tolist() == [-1, -1]
        assert moved.keypoints[1].x > 0
