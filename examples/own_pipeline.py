"""A pipeline for the command line: `aioaug augment photos/ out/ --pipeline own_pipeline.py:mild`."""

import imgaug.augmenters as iaa


def mild() -> iaa.Augmenter:
    """Every worker process calls this once, and augments all its pictures with the result."""
    return iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-5, 5)), iaa.Multiply((0.9, 1.1))])
