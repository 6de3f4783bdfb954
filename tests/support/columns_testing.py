"""A batch with all columns that pipelines of other libraries take, and pools that augment it."""

from __future__ import annotations

import aioaug
import numpy as np
from imgaug.augmentables import (
    BoundingBox,
    BoundingBoxesOnImage,
    HeatmapsOnImage,
    KeypointsOnImage,
    SegmentationMapsOnImage,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
SHAPE = IMAGES.shape[1:]
SEED = 5


async def mapped(augmenter, batches, **options):
    async with aioaug.AsyncPool(augmenter, seed=SEED, **{"processes": 1, **options}) as pool:
        return await pool.map_batches(batches)


def columns(label=7):
    """`label` is the number of what the segmentation maps show."""
    maps = np.zeros((*SHAPE[:2], 1), np.int32)
    maps[3:9, 4:12] = label
    boxes = [BoundingBox(4, 3, 12, 9, "cat"), BoundingBox(1, 1, 5, 5)]
    return {
        "images": IMAGES,
        "bounding_boxes": [BoundingBoxesOnImage(boxes, SHAPE)] * 3,
        "keypoints": [KeypointsOnImage.from_xy_array([(4, 3), (11, 8)], SHAPE)] * 3,
        "segmentation_maps": [SegmentationMapsOnImage(maps, SHAPE)] * 3,
        "heatmaps": [HeatmapsOnImage((maps / label).astype(np.float32), SHAPE)] * 3,
    }
