"""Filters by way of `float32` give the bytes that OpenCV's filters of bytes give."""

from __future__ import annotations

import aioaug.fast
import cv2
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.fast import filtering
from aioaug.fast.filtering import ByteFilter
from fast_testing import noise, outcome


def mean(side, divisor):
    """Most sums of it are multiples of 1 / divisor: many are half way between two levels."""
    matrix = np.full((side, side), 1 / divisor, np.float32)
    matrix[side // 2, side // 2] = 2 / divisor
    return matrix


def sharper(share):
    matrix = np.full((3, 3), -share, np.float32)
    matrix[1, 1] = 1 + 8 * share
    return matrix


MATRICES = {"3x3": mean(3, 10), "5x5": mean(5, 26), "sharper": sharper(1 / 6)}
WHOLE_VECTORS = [(50, 64, 3), (41, 96, 1), (3, 224, 3), (1, 32, 4), (60, 8, 4)]
OTHERS = [(400, 61, 4), (400, 77, 1), (400, 31, 1), (400, 45, 3)]


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
    """With rows that are not whole vectors, a dozen of these bytes would be others."""
    image = noise(shape, "uint8")
    expected = cv2.filter2D(image, -1, matrix).reshape(shape)
    ByteFilter().filter_(image, matrix)
    np.testing.assert_array_equal(image, expected)
    assert bool(as_floats) == (shape in WHOLE_VECTORS)


@pytest.mark.parametrize("shape", OTHERS, ids=str)
def test_close(shape, as_floats):
    image = noise(shape, "uint8")
    expected = cv2.filter2D(image, -1, MATRICES["3x3"]).reshape(shape)
    ByteFilter(close=True).filter_(image, MATRICES["3x3"])
    assert as_floats
    assert np.abs(image.astype(int) - expected).max() <= 1


def test_one_filter_for_pictures_of_many_sizes():
    byte_filter = ByteFilter()
    for shape in [*WHOLE_VECTORS, *OTHERS, *WHOLE_VECTORS]:
        for matrix in (*MATRICES.values(), np.full((3, 3), np.nan, np.float32)):
            image = noise(shape, "uint8")
            expected = cv2.filter2D(image, -1, matrix).reshape(shape)
            byte_filter.filter_(image, matrix)
            np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("shape", "matrix"),
    [
        ((600, 640, 3), mean(3, 10)),  # it does not fit into caches
        ((50, 64, 3), np.eye(3, dtype=np.float32) / 3),  # few numbers
        ((50, 64, 3), mean(3, 10).astype(float)),
        ((50, 64, 3), mean(13, 170)),  # for which OpenCV has Fourier transforms
    ],
    ids=["large", "few", "double", "large matrix"],
)
def test_what_does_not_pay(shape, matrix, as_floats):
    image = noise(shape, "uint8")
    expected = cv2.filter2D(image, -1, matrix)
    ByteFilter(close=True).filter_(image, matrix)
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
    "sharpen": lambda: iaa.Sharpen((0, 1)),
    "motion": lambda: iaa.MotionBlur((3, 9)),
    "convolve": lambda: iaa.Convolve(mean(5, 26)),
    "pillow's blur": lambda: iaa.pillike.FilterBlur(),
    "pillow's edges": lambda: iaa.pillike.FilterEdgeEnhance(),
}


@pytest.mark.parametrize("name", AUGMENTERS)
@pytest.mark.parametrize("shape", [(8, 64, 64, 3), (5, 30, 96, 1), (5, 41, 16, 4), (4, 40, 61, 3)])
def test_augmenters(name, shape, as_floats):
    plain = AUGMENTERS[name]()
    fast = aioaug.fast.exact(plain)
    images = noise(shape, "uint8")
    done, expected = outcome(fast, images), outcome(plain, images)
    np.testing.assert_equal(done, expected)
    assert as_floats or shape[2] == 61
