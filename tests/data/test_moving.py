"""What augmenters do to labels: exact where the arithmetic is, and within a pixel elsewhere."""

from __future__ import annotations

import pickle
from dataclasses import replace

import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.data import Annotation, Coco, LabelRules, PictureLabels, RunLengths
from labels_testing import HEIGHT, PHOTO, WIDTH, augmented, coco_file
from pycocotools import mask as coco_mask

RNG = np.random.default_rng(3)
BLOB = np.zeros((HEIGHT, WIDTH), bool)
BLOB[20:40, 30:70] = True
BLOB[25:30, 40:50] = False


def labels_of(*annotations, **options):
    return PictureLabels(annotations=annotations, size=(WIDTH, HEIGHT), **options)


def flipped(points):
    return tuple(WIDTH - value if place % 2 == 0 else value for place, value in enumerate(points))


def pairs(points):
    return zip(points[::2], points[1::2], strict=True)


def turned(points):
    """By 90 degrees clockwise."""
    return tuple(number for x, y in pairs(points) for number in (HEIGHT - y, x))


@pytest.mark.parametrize(
    ("augmenter", "moved", "pixels"),
    [
        (iaa.Identity(), lambda points: points, lambda mask: mask),
        (iaa.Fliplr(1.0), flipped, lambda mask: mask[:, ::-1]),
        (iaa.Rot90(1, keep_size=False), turned, lambda mask: np.rot90(mask, -1)),
    ],
)
def test_flips_and_turns_are_exact(augmenter, moved, pixels):
    outline = (10.25, 5.5, 40.75, 6.125, 33, 50.5)
    labels = labels_of(
        Annotation(category=1, box=(3.25, 4.5, 20.125, 30), area=100.0, id=5),
        Annotation(polygons=(outline,), box=(0, 0, 1, 1), area=1.0),
        Annotation(mask=RunLengths.from_pixels(BLOB, listed=True), crowd=True, area=1.0),
        Annotation(lines=((1, 2, 3.5, 40),)),
        Annotation(keypoints=((0, 12.5, 2), (50, 60, 1), (0, 0, 0))),
    )
    new, picture = augmented(labels, augmenter)
    assert np.array_equal(picture, pixels(PHOTO))
    box, polygon, mask, line, points = new.annotations
    x1, y1, x2, y2 = moved(labels.annotations[0].box)
    assert box.box == (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    assert (box.category, box.id, box.area) == (1, 5, 100.0)
    assert polygon.polygons == (moved(outline),)
    xy = np.reshape(moved(outline), (-1, 2))
    assert polygon.box == (*xy.min(axis=0), *xy.max(axis=0))
    assert polygon.area == pytest.approx(0.5 * abs(np.linalg.det(xy[1:] - xy[0])), abs=1e-3)
    assert np.array_equal(mask.mask.pixels(), pixels(BLOB))
    assert (mask.area, mask.crowd, mask.mask.listed) == (BLOB.sum(), True, True)
    assert line.lines == (moved((1, 2, 3.5, 40)),)
    assert points.keypoints == ((*moved((0, 12.5)), 2), (*moved((50, 60)), 1), (0, 0, 0))
    assert new.size == picture.shape[1::-1]


def test_turned_boxes_hold_the_turned_mask():
    box = RunLengths.from_pixels(BLOB).box()
    labels = labels_of(Annotation(box=box), Annotation(mask=RunLengths.from_pixels(BLOB), box=box))
    for angle in (17, -80, 133):
        augmenter = iaa.Affine(rotate=angle, scale=0.6)
        new, _ = augmented(labels, augmenter)
        whole, mask = (np.array(each.box) for each in new.annotations)
        assert (whole[:2] <= mask[:2] + 1).all()
        assert (whole[2:] >= mask[2:] - 1).all()


def test_what_leaves_the_picture_is_cut_or_dropped():
    away = iaa.Affine(translate_px={"x": -30})
    # Its ends become parts of one thing.
    fork = (50, 0, 20, 0, 20, 30, 50, 30, 50, 20, 25, 20, 25, 10, 50, 10)
    labels = labels_of(
        Annotation(id=1, box=(20, 10, 40, 30), area=400.0),
        Annotation(id=2, box=(0, 0, 31, 10)),
        Annotation(id=3, box=(0, 0, 20, 10)),
        Annotation(id=4, polygons=(fork,)),
        Annotation(id=5, keypoints=((10, 10, 2), (50, 10, 1))),
        Annotation(id=6, keypoints=((10, 10, 2),)),
        Annotation(id=7, lines=((20, 10, 60, 10),)),
        Annotation(id=8, lines=((0, 10, 20, 10),)),
        Annotation(id=9, polygons=((0, 0, 20, 0, 20, 20),)),
    )
    new, _ = augmented(labels, away)
    kept = {each.id: each for each in new.annotations}
    assert kept.keys() == {1, 4, 5, 7}
    assert (kept[1].box, kept[1].area) == ((0, 10, 10, 30), 200)
    assert sorted(map(len, kept[4].polygons)) == [8, 8]
    assert kept[5].keypoints == ((0, 0, 0), (20, 10, 1))
    assert kept[7].lines == ((0, 10, 30, 10),)

    everything = replace(labels, rules=LabelRules(clip=False, min_visibility=0, min_pixels=0))
    kept = {each.id: each for each in augmented(everything, away)[0].annotations}
    assert kept.keys() == {1, 2, 4, 5, 7}
    assert kept[2].box == (-30, 0, 1, 10)
    strict = replace(labels, rules=LabelRules(min_visibility=0.6))
    assert [each.id for each in augmented(strict, away)[0].annotations] == [4, 5, 7]
    tiny = replace(labels, rules=LabelRules(min_visibility=0, min_pixels=201))
    assert 1 not in [each.id for each in augmented(tiny, away)[0].annotations]


def test_sides_change_places_in_a_mirrored_picture(tmp_path):
    labels = Coco(coco_file(tmp_path), tmp_path / "images")[0].labels
    nose, left, right = labels.annotations[0].keypoints
    for augmenter, is_mirrored in (
        (iaa.Fliplr(1.0), True),
        (iaa.Flipud(1.0), True),
        (iaa.Sequential([iaa.Fliplr(1.0), iaa.Flipud(1.0)]), False),
        (iaa.Rot90(1), False),
        (iaa.PiecewiseAffine(0.01), False),
    ):
        new = augmented(labels, augmenter)[0].annotations[0].keypoints
        seen = [visible for _, _, visible in new]
        assert seen == ([2, 0, 1] if is_mirrored else [2, 1, 0])
    new = augmented(labels, iaa.Fliplr(1.0))[0].annotations[0].keypoints
    assert new == ((WIDTH - nose[0], nose[1], 2), (0, 0, 0), (WIDTH - left[0], left[1], 1))
    assert right == (0, 0, 0)


def test_overlapping_masks_stay_themselves():
    masks = [np.roll(BLOB, shift, axis=1) for shift in (0, 5, 30)]
    labels = labels_of(*(Annotation(mask=RunLengths.from_pixels(mask)) for mask in masks))
    columns = labels.columns(PHOTO.shape)
    assert columns["segmentation_maps"].arr.shape[2] == 3
    new, _ = augmented(labels, iaa.Flipud(1.0))
    for mask, each in zip(masks, new.annotations, strict=True):
        assert np.array_equal(each.mask.pixels(), mask[::-1])


def test_pipelines_that_remove_keypoints_are_refused():
    labels = labels_of(Annotation(keypoints=((10, 10, 2), (90, 10, 2))), where="a.json")
    away = iaa.Sequential(
        [iaa.Affine(translate_px={"x": -30}), iaa.RemoveCBAsByOutOfImageFraction(0.5)]
    )
    with pytest.raises(ValueError, match=r"a\.json: the pipeline removes keypoints"):
        augmented(labels, away)


def test_run_lengths_are_those_of_pycocotools():
    for shape in ((1, 1), (7, 5), (64, 96)):
        for density in (0, 0.02, 0.5, 1):
            mask = RNG.random(shape) < density
            ours = RunLengths.from_pixels(mask)
            theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            assert (ours.counts, list(ours.size)) == (theirs["counts"], theirs["size"])
            assert np.array_equal(ours.pixels(), mask)
            assert ours.area() == mask.sum() == coco_mask.area(theirs)
            again = RunLengths.from_lengths(ours.lengths().tolist(), shape)
            assert again == replace(ours, listed=True)
            if mask.any():
                x, y, width, height = coco_mask.toBbox(theirs)
                assert ours.box() == (x, y, x + width, y + height)
    huge = RunLengths.from_lengths([0, 3000 * 4000], (3000, 4000))
    assert huge.area() == 12_000_000


@pytest.mark.parametrize("counts", [b"", b"~~~", b"zzzzz", b"1", b"\xff\xff", b"o" * 20 + b"0"])
def test_broken_run_lengths_are_refused(counts):
    with pytest.raises(ValueError, match="the counts"):
        RunLengths((4, 4), counts).pixels()


def test_labels_as_a_training_program_wants_them():
    labels = labels_of(Annotation(category=2, box=(1, 2, 3, 4)), Annotation(keypoints=((5, 6, 1),)))
    assert np.array_equal(labels.boxes, [[1, 2, 3, 4], [5, 6, 5, 6]])
    assert labels.boxes.dtype == np.float32
    assert labels.categories.tolist() == [2, -1]
    assert PictureLabels().boxes.shape == (0, 4)
    assert pickle.loads(pickle.dumps(labels)) == labels
    copy = labels.as_copy(50, 900)
    assert (copy.id, [each.id for each in copy.annotations]) == (50, [900, 901])


@pytest.mark.parametrize("options", [{"min_visibility": 2}, {"min_pixels": -1}])
def test_rules_are_checked(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LabelRules(**options)
