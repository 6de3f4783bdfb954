"""A pipeline for the command line: `--pipeline own_pipeline.py:mild`."""

import imgaug.augmenters as iaa


def mild() -> iaa.Augmenter:
    """Every worker process calls this once, for all its pictures."""
    return iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-5, 5))])
