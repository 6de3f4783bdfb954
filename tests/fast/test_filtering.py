"""Filters by way of `float32` give the bytes that OpenCV's filters of bytes give."""

from __future__ import annotations

import aioaug.fast
import cv2
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.fast import filtering
from aioaug.fast.filtering import filter_bytes_
from fast_testing import noise, outcome


def mean(side, divisor):
    """Most sums of it are multiples of 1 / divisor: many are half way between two levels."""
    matrix = np.full((side, side), 1 / divisor, np.float32)
    matrix[side // 2, side // 2] = 2 / divisor
    return matrix


def sharper(share):
    matrix = np.full((5, 5), -share, np.float32)
    matrix[2, 2] = 1 + 24 * share
    return matrix


MATRICES = {"26": mean(5, 26), "30": mean(5, 30), "sharper": sharper(1 / 30)}
WHOLE_VECTORS = [(200, 64, 3), (350, 96, 1), (99, 224, 3), (257, 32, 4), (2, 16384, 1)]
OTHERS = [(400, 61, 4), (500, 77, 1), (1100, 31, 1), (400, 45, 3), (1025, 8, 4), (160, 225, 3)]
MANY = 64


def by_channels(image, matrix, delta=0):
    """As imgaug does it."""
    channels = [cv2.filter2D(channel, -1, matrix, delta=delta) for channel in cv2.split(image)]
    return cv2.merge(channels).reshape(image.shape)


@pytest.fixture
def as_floats(monkeypatch):
    """The pictures that were filtered as float32."""
    seen = []
    plain = filtering.filter_as_floats

    def noting(image, *rest):
        seen.append(image)
        plain(image, *rest)

    assert filtering.bytes_are_the_same()  # which filters, too
    monkeypatch.setattr(filtering, "filter_as_floats", noting)
    return seen


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("shape", WHOLE_VECTORS + OTHERS, ids=str)
def test_halves(shape, matrix, as_floats):
    """Of rows that are not whole vectors, a dozen of these bytes would be others."""
    image = noise(shape, "uint8")
    expected = by_channels(image, matrix)
    filter_bytes_(image, matrix, MANY)
    np.testing.assert_array_equal(image, expected)
    assert bool(as_floats) == (shape[1] >= filtering.VECTOR)


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("shape", WHOLE_VECTORS + OTHERS, ids=str)
def test_halves_of_a_single_picture(shape, matrix, as_floats):
    """OpenCV's filter of all channels together ends its rows elsewhere than that of one channel."""
    image = noise(shape, "uint8")
    expected = by_channels(image, matrix)
    filter_bytes_(image, matrix, 1)
    np.testing.assert_array_equal(image, expected)
    assert not as_floats


@pytest.mark.parametrize("shape", OTHERS, ids=str)
def test_no_halves(shape, as_floats):
    image, matrix = noise(shape, "uint8"), MATRICES["30"]
    expected = by_channels(image, matrix, delta=1e-3)
    filter_bytes_(image, matrix, MANY, delta=1e-3, halves=False)
    np.testing.assert_array_equal(image, expected)
    assert as_floats


def test_memory_is_kept_for_pictures_of_many_sizes():
    for shape in [*WHOLE_VECTORS, *OTHERS, *WHOLE_VECTORS]:
        for matrix in (*MATRICES.values(), np.full((3, 3), np.nan, np.float32)):
            image = noise(shape, "uint8")
            expected = by_channels(image, matrix)
            filter_bytes_(image, matrix, MANY)
            np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("shape", "matrix", "pictures"),
    [
        ((600, 640, 3), mean(5, 26), MANY),  # it does not fit into caches
        ((50, 64, 3), mean(5, 26), MANY),
        ((200, 64, 3), mean(5, 26), 1),  # memory is in no cache yet
        ((200, 64, 3), np.eye(3, dtype=np.float32) / 3, MANY),  # few numbers
        ((200, 64, 3), mean(5, 26).astype(float), MANY),
        ((200, 64, 3), mean(13, 170), MANY),  # for which OpenCV has Fourier transforms
    ],
    ids=["large", "small", "single", "few numbers", "double", "large matrix"],
)
def test_what_does_not_pay(shape, matrix, pictures, as_floats):
    image = noise(shape, "uint8")
    expected = cv2.filter2D(image, -1, matrix)
    filter_bytes_(image, matrix, pictures)
    np.testing.assert_array_equal(image, expected)
    assert not as_floats


def test_another_way_of_rounding_is_noticed(monkeypatch):
    """As if OpenCV rounded after each product and each sum of `float32`."""
    plain = filtering.filter_as_floats

    def otherwise(image, matrix, floats, delta=0):
        half = len(matrix) // 2
        framed = cv2.copyMakeBorder(image, half, half, half, half, cv2.BORDER_REFLECT_101)
        total = np.zeros(image.shape, np.float32)
        for (row, column), number in np.ndenumerate(matrix):
            total += number * framed[row:, column:][: image.shape[0], : image.shape[1]]
        image[...] = np.clip(np.rint(total), 0, 255)

    for way, same in ((otherwise, False), (plain, True)):
        monkeypatch.setattr(filtering, "filter_as_floats", way)
        filtering.bytes_are_the_same.cache_clear()
        assert filtering.bytes_are_the_same() == same


AUGMENTERS = {
    "motion": lambda: iaa.MotionBlur((5, 9)),
    "mean": lambda: iaa.Convolve(mean(5, 26)),
    "sharper": lambda: iaa.Convolve(sharper(1 / 30)),
    "pillow's blur": lambda: iaa.pillike.FilterBlur(),
}


SHAPES = [(8, 192, 64, 3), (5, 350, 96, 1), (5, 520, 16, 4), (4, 200, 61, 3)]


@pytest.mark.parametrize("name", AUGMENTERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_augmenters(name, shape, as_floats):
    plain = AUGMENTERS[name]()
    fast = aioaug.fast.exact(plain)
    images = noise(shape, "uint8")
    done, expected = outcome(fast, images), outcome(plain, images)
    np.testing.assert_equal(done, expected)
    assert as_floats or shape[2] < filtering.VECTOR
