"""Weather, blurs by motion, Pillow's filters and JPEG of the close tier."""

from __future__ import annotations

import aioaug.fast
import imgaug as ia
import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np
import pytest
from aioaug.fast.close import jpeg, motion
from aioaug.fast.close.families import CLOSE
from aioaug.fast.motion import line_matrix
from aioaug.fast.parts import change_classes
from aioaug.fast.replacements import FASTER
from fast_testing import PICTURES, SHAPES, assert_close, noise
from imgaug.augmentables.batches import _BatchInAugmentation

CASES = {
    "motion": lambda: iaa.MotionBlur((3, 45), direction=(-1.0, 1.0)),
    "motion without interpolation": lambda: iaa.MotionBlur((3, 45), order=[0, 1]),
    "motion along the axes": lambda: iaa.MotionBlur(31, angle=[0, 90, 180, -45]),
    "snow": lambda: iaa.SnowflakesLayer(
        density=(0.0, 0.1),
        density_uniformity=(0.3, 0.9),
        flake_size=(0.2, 0.7),
        flake_size_uniformity=(0.4, 0.8),
        angle=(-30, 30),
        speed=(0.0, 0.2),
        blur_sigma_fraction=(0.0001, 0.001),
    ),
    "snow where a parameter says": lambda: iaa.SnowflakesLayer(
        iap.Binomial(0.05), 0.5, 0.5, 0.5, iap.Choice([-10, 10]), iap.Beta(1, 9), 0.01
    ),
    "rain": lambda: iaa.RainLayer(
        density=(0.03, 0.14),
        density_uniformity=(0.8, 1.0),
        drop_size=(0.01, 0.02),
        drop_size_uniformity=(0.2, 0.5),
        angle=(-15, 15),
        speed=(0.04, 0.20),
        blur_sigma_fraction=0.001,
    ),
    "little rain": lambda: iaa.RainLayer(0.002, 0.0, 0.5, 0.5, 10, 0.2, 0.001),
    "thin clouds": lambda: iaa.Clouds()[0],
    "thick clouds": lambda: iaa.Clouds()[1],
    "clouds of few parameters": lambda: iaa.CloudLayer(
        iap.Normal(200, 9), -2.0, 10, 0.1, 0.9, [3, 90], [-2.0, -1.0], 1.0, 1.0
    ),
    "fog": lambda: iaa.Fog(),
    "smooth more": lambda: iaa.pillike.FilterSmoothMore(),
    "details": lambda: iaa.pillike.FilterDetail(),
    "JPEG": lambda: iaa.JpegCompression((0, 100)),
}
FEW = 0.01  # of the values of small pictures are more than some


@pytest.mark.parametrize("name", CASES)
def test_bounds(name):
    for images in (np.tile(PICTURES, (3, 1, 1, 1)), PICTURES[..., :1], list(PICTURES)):
        assert_close(CASES[name](), images, most=2)


def test_jpeg_without_simplejpeg(monkeypatch):
    monkeypatch.setattr(jpeg, "decode_jpeg", None)
    assert_close(CASES["JPEG"](), most=2)


@pytest.mark.parametrize("name", CASES)
def test_shapes(name):
    for shape in SHAPES.values():
        if np.prod(shape) and shape[-1] in (1, 3):  # in others, imgaug has no snow
            assert_close(CASES[name](), noise(shape, "uint8"), FEW, 2, str(shape))
    turned = [np.asfortranarray(PICTURES[0]), PICTURES[0][::-1, ::-1], PICTURES[1][..., [0]]]
    assert_close(CASES[name](), turned, FEW, 2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("laid", [np.array, np.asfortranarray, np.flipud])
def test_layout_in_memory(laid, channels):
    """What comes later may depend on it, in imgaug: `ChangeColorspace` does."""
    images = noise((2, 20, 31, channels), "uint8")
    for name, make in CASES.items():
        layouts = []
        for augmenter in (make(), aioaug.fast.accelerate(make())):
            augmenter.seed_(3)
            batch = _BatchInAugmentation(images=[laid(image) for image in images])
            done = augmenter.augment_batch_(batch).images
            layouts.append([(image.flags, image.strides) for image in done])
        assert str(layouts[0]) == str(layouts[1]), name


@pytest.mark.parametrize("name", CASES)
def test_other_dtypes_are_left_to_imgaug(name):
    assert_close(CASES[name](), noise((2, 20, 31, 3), "uint16"), 0, 0)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (129, 90), (30, 33), (64, 64, 3)])
def test_noise_of_frequencies(size):
    methods = ["nearest", "linear", "area", "cubic"]
    for largest in (3, 40, 300):
        plain = iap.FrequencyNoise(size_px_max=largest, upscale_method=methods)
        forms = {**FASTER, **CLOSE}
        close = change_classes(
            iap.FrequencyNoise(size_px_max=largest, upscale_method=methods), forms
        )
        for seed in range(5):
            rngs = ia.random.RNG(seed), ia.random.RNG(seed)
            expected, noise = plain.draw_samples(size, rngs[0]), close.draw_samples(size, rngs[1])
            np.testing.assert_equal(rngs[1].state, rngs[0].state)
            assert np.quantile(np.abs(noise - expected), 0.999) < 1e-5
            np.testing.assert_allclose(noise, expected, rtol=0, atol=1.1 / 255)


def test_parts_of_a_matrix_are_the_matrix():
    for angle in range(0, 360, 15):
        matrix = line_matrix(41, angle, 1.0, 1)
        together = np.zeros_like(matrix)
        for top, left, part in motion._parts(matrix, 0, 0):
            assert part.size <= motion.LARGEST_MATRIX
            together[top : top + part.shape[0], left : left + part.shape[1]] += part
        np.testing.assert_array_equal(together, matrix)
