"""What imgaug.multicore.Pool itself gives: run as a script, as its workers are forks."""

from __future__ import annotations

import pickle
import sys

import aioaug  # noqa: F401 - so that imgaug imports on NumPy 2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmentables.batches import UnnormalizedBatch
from imgaug.augmentables.heatmaps import HeatmapsOnImage
from imgaug.augmentables.kps import Keypoint, KeypointsOnImage
from imgaug.augmentables.lines import LineString, LineStringsOnImage
from imgaug_kind import EXAMPLES, without_prefetching

SEED = 7
COUNT = 32
COLUMNS = (
    "images",
    "heatmaps",
    "segmentation_maps",
    "keypoints",
    "bounding_boxes",
    "polygons",
    "line_strings",
)


def augmenter():
    return iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.SomeOf((1, 2), [iaa.Affine(rotate=(-20, 20)), iaa.Crop(px=(0, 4)), iaa.Flipud(1)]),
            iaa.Sometimes(0.5, iaa.AdditiveGaussianNoise(scale=8)),
            iaa.Dropout(0.05),
        ],
        random_order=True,
    )


def batches(count=COUNT):
    """Real pictures, each batch with every column there is, and no two batches alike."""
    return [_batch(number) for number in range(count)]


def _batch(number):
    size = (32, 40)
    image = np.roll(EXAMPLES.quokka(size=size), number, axis=1)
    heatmap = np.linspace(0, 1, size[0] * size[1], dtype=np.float32).reshape(*size, 1)
    points = EXAMPLES.quokka_keypoints(size=size)
    return UnnormalizedBatch(
        images=[image, image[:, ::-1].copy()],
        heatmaps=[HeatmapsOnImage(heatmap, shape=image.shape)] * 2,
        segmentation_maps=[EXAMPLES.quokka_segmentation_map(size=size)] * 2,
        keypoints=[points, KeypointsOnImage([Keypoint(3, 4)], shape=image.shape)],
        bounding_boxes=[EXAMPLES.quokka_bounding_boxes(size=size)] * 2,
        polygons=[EXAMPLES.quokka_polygons(size=size)] * 2,
        line_strings=[
            LineStringsOnImage([LineString([(1, 1), (20, 9), (30, 30)])], shape=image.shape)
        ]
        * 2,
        data={"number": number},
    )


def numbers_of(batch):
    """Everything augmented in a batch, as bytes that can be compared."""
    return {name: _digest(getattr(batch, f"{name}_aug")) for name in COLUMNS}


def _digest(column):
    return [array_of(item).tobytes() for item in column]


def array_of(item):
    if isinstance(item, np.ndarray):
        return item
    for name in ("arr_0to1", "arr"):
        if hasattr(item, name):
            return getattr(item, name)
    if hasattr(item, "to_xyxy_array"):
        return item.to_xyxy_array()
    if hasattr(item, "to_xy_array"):
        return item.to_xy_array()
    return np.concatenate([np.ravel(part.coords) for part in item.items] or [np.zeros(0)])


def main(path):
    from imgaug.multicore import Pool

    with without_prefetching():
        built = augmenter()
    with Pool(built, processes=2, seed=SEED) as pool:
        result = [numbers_of(batch) for batch in pool.map_batches(batches())]
    with open(path, "wb") as file:
        pickle.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[1])
