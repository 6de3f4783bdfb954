"""What is labelled in pictures, as the page draws it."""

import cv2
import numpy as np
from aioaug.data import PictureLabels, RunLengths, Sidecar
from aioaug.data.annotation import Annotation
from aioaug.studio.marks import marks_of
from imgaug.augmentables import HeatmapsOnImage

SHAPE = (40, 60, 3)


def alpha(file):
    return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)[:, :, 3]


def test_masks_lie_on_the_picture_where_they_are():
    inside = np.zeros(SHAPE[:2], bool)
    inside[10:20, 5:30] = True
    masks = [RunLengths.from_pixels(inside), RunLengths.from_pixels(~inside)]
    marks, maps = marks_of(Sidecar(masks=masks[:1]), (), SHAPE)
    assert marks == {"captions": []}
    [file] = maps
    np.testing.assert_array_equal(alpha(file) > 0, inside)
    _, maps = marks_of(Sidecar(masks=masks), (), SHAPE)
    covered = np.zeros(SHAPE[:2], bool)
    for each in maps:
        covered |= alpha(each) > 0
    assert covered.all()


def test_heatmaps_are_the_stronger_the_hotter():
    class Warm:
        def shown(self, shape):
            values = np.linspace(0, 1, shape[1], dtype=np.float32)[None].repeat(shape[0], 0)
            return {"heatmaps": HeatmapsOnImage(values, shape)}

        def captions(self, shape):
            return [("warm", 1.234, 2.0)]

    marks, [file] = marks_of(Warm(), (), SHAPE)
    assert marks == {"captions": [["warm", 1.23, 2.0]]}
    assert (np.diff(alpha(file).astype(int), axis=1) >= 0).all()
    assert alpha(file)[0, -1] > 150


def test_names_are_those_of_classes():
    box = Annotation(category=1, box=(1, 2, 30, 20))
    marks, maps = marks_of(PictureLabels(annotations=(box,)), ("cat", "dog"), SHAPE)
    assert marks == {"captions": [["dog", 1, 2]], "boxes": [[1, 2, 30, 20]]}
    assert maps == []
    assert marks_of(np.int64(0), ("cat", "dog"), SHAPE) == ({"captions": [["cat", 0, 0]]}, [])
    assert marks_of("anything", (), SHAPE) == ({}, [])
