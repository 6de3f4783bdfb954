"""Pipelines to begin with: a name, and a function that builds the imgaug augmenter behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def light() -> Any:
    """Flips, small crops and a little brightness."""
    import imgaug.augmenters as iaa

    return iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.CropAndPad(percent=(-0.05, 0.05), pad_mode="edge"),
            iaa.Multiply((0.9, 1.1)),
        ]
    )


def tutorial() -> Any:
    """The pipeline of imgaug's tutorial on many cores; it is slow."""
    import imgaug.augmenters as iaa

    return iaa.Sequential(
        [
            iaa.PiecewiseAffine(scale=0.05, nb_cols=6, nb_rows=6),
            iaa.Fliplr(0.5),
            iaa.CropAndPad(px=(-10, 10)),
        ]
    )


def standard() -> Any:
    """Flip, turn, zoom and shift, contrast and colour, now and then blur or noise."""
    import imgaug.augmenters as iaa

    return iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.Affine(
                scale=(0.9, 1.1),
                translate_percent=(-0.08, 0.08),
                rotate=(-15, 15),
                shear=(-6, 6),
                mode="edge",
            ),
            iaa.LinearContrast((0.8, 1.2)),
            iaa.MultiplyAndAddToBrightness((0.85, 1.15), (-15, 15), random_order=False),
            iaa.Sometimes(0.5, iaa.AddToHueAndSaturation((-15, 15))),
            iaa.Sometimes(0.2, iaa.GaussianBlur((0.5, 1.5))),
            iaa.Sometimes(0.2, iaa.AdditiveGaussianNoise(scale=(2, 10))),
        ]
    )


def heavy() -> Any:
    """Strong changes of shape, light and detail, in any order, for large models."""
    import imgaug.augmenters as iaa

    shape = iaa.OneOf(
        [
            iaa.Affine(scale=(0.7, 1.3), rotate=(-35, 35), shear=(-15, 15), mode="edge"),
            iaa.PerspectiveTransform(scale=(0.04, 0.12)),
            iaa.PiecewiseAffine(scale=(0.02, 0.04)),
            iaa.ElasticTransformation(alpha=(10, 40), sigma=6),
        ]
    )
    light_and_colour = iaa.SomeOf(
        (1, 3),
        [
            iaa.GammaContrast((0.6, 1.6)),
            iaa.CLAHE(clip_limit=(1, 4)),
            iaa.AddToHueAndSaturation((-40, 40)),
            iaa.MultiplyAndAddToBrightness((0.6, 1.4), (-30, 30), random_order=False),
            iaa.Grayscale((0.3, 1.0)),
        ],
    )
    detail = iaa.SomeOf(
        (0, 2),
        [
            iaa.GaussianBlur((0.5, 2.5)),
            iaa.MotionBlur(k=(3, 9)),
            iaa.AdditiveGaussianNoise(scale=(5, 25), per_channel=True),
            iaa.JpegCompression((40, 80)),
            iaa.CoarseDropout((0.02, 0.08), size_percent=(0.05, 0.15)),
        ],
    )
    return iaa.Sequential([iaa.Fliplr(0.5), shape, light_and_colour, detail])


def weather() -> Any:
    """Fog, clouds, snow, rain or darkness, for pictures taken out of doors."""
    import imgaug.augmenters as iaa

    return iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.OneOf([iaa.Fog(), iaa.Clouds(), iaa.Snowflakes(), iaa.Rain(), iaa.Multiply(0.4)]),
        ]
    )


PRESETS: dict[str, Callable[[], Any]] = {
    function.__name__: function for function in (light, tutorial, standard, heavy, weather)
}
