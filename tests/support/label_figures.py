"""Measures how far imgaug's keypoints leave the pixels that they were put on.

    python tests/support/label_figures.py

Each picture has one small bright spot, with a keypoint in its middle. After the augmentation the
spot's centre of brightness is compared with the keypoint.
"""

import sys

import aioaug  # noqa: F401 - it mends imgaug
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmentables import Keypoint, KeypointsOnImage

SIZE = 128
SPOT = 1.5  # the standard deviation of a spot, in pixels
AUGMENTERS = {
    "Affine(rotate=(-30, 30))": iaa.Affine(rotate=(-30, 30)),
    "Affine(rotate=(-30, 30), fit_output=True)": iaa.Affine(rotate=(-30, 30), fit_output=True),
    "Affine(scale=(0.7, 1.3), shear=(-15, 15), fit_output=True)": iaa.Affine(
        scale=(0.7, 1.3), shear=(-15, 15), fit_output=True
    ),
    "PerspectiveTransform(scale=(0.02, 0.1))": iaa.PerspectiveTransform(scale=(0.02, 0.1)),
    "PiecewiseAffine(scale=(0.01, 0.03))": iaa.PiecewiseAffine(scale=(0.01, 0.03)),
    "PiecewiseAffine(scale=(0.03, 0.05))": iaa.PiecewiseAffine(scale=(0.03, 0.05)),
    "ElasticTransformation(alpha=(5, 20), sigma=4)": iaa.ElasticTransformation(
        alpha=(5, 20), sigma=4
    ),
    "ElasticTransformation(alpha=(20, 40), sigma=5)": iaa.ElasticTransformation(
        alpha=(20, 40), sigma=5
    ),
    "WithPolarWarping(Identity())": iaa.WithPolarWarping(iaa.Identity()),
    "WithPolarWarping(Affine(rotate=(-10, 10)))": iaa.WithPolarWarping(
        iaa.Affine(rotate=(-10, 10))
    ),
}


def spot(x, y):
    """A picture of a spot; as in imgaug, the middle of the first pixel is at 0.5."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    bright = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SPOT**2))
    return bright.round().astype(np.uint8)[:, :, np.newaxis]


def centre(picture):
    """The centre of brightness, or `None` if the spot is at the edge or outside."""
    bright = picture[:, :, 0].astype(float)
    edge = np.concatenate([bright[:3].ravel(), bright[-3:].ravel(), *bright[:, [0, 1, -2, -1]].T])
    if bright.sum() < 255 or edge.any():
        return None
    rows, columns = np.mgrid[: bright.shape[0], : bright.shape[1]] + 0.5
    return (bright * columns).sum() / bright.sum(), (bright * rows).sum() / bright.sum()


def distances(augmenter, seeds):
    """How many pixels each keypoint is away from its spot."""
    rng = np.random.default_rng(0)
    for seed in range(seeds):
        x, y = rng.uniform(0.2 * SIZE, 0.8 * SIZE, 2)
        augmenter.seed_(seed)
        points = KeypointsOnImage([Keypoint(x, y)], (SIZE, SIZE, 1))
        picture, points = augmenter(image=spot(x, y), keypoints=points)
        found = centre(picture)
        if found is not None:
            yield float(np.hypot(found[0] - points[0].x, found[1] - points[0].y))


def main(seeds=300):
    for name, augmenter in AUGMENTERS.items():
        far = list(distances(augmenter, seeds))
        half, most, worst = np.percentile(far, [50, 95, 100])
        print(f"{name:60} median {half:.2f}  95 % {most:.2f}  most {worst:.2f}  of {len(far)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
