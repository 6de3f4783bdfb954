"""Noise of frequencies, and clouds and fog, which are made of it.

imgaug goes back from frequencies by a transform of complex numbers, and takes the real parts. These
are what the symmetric part of the frequencies gives, and a transform for such ones computes half
as much. Noise of many values is computed in `float32`, which changes it by about a millionth. Noise
of few values, which imgaug rounds to 256 levels and enlarges, is computed in `float64`. So a value
of a picture can differ by one level, where imgaug's is near to a whole number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np
from scipy import fft

from ..parts import change_classes
from ..pictures import bounded, enlarged, plain
from ..replacements import CLOSE, FASTER, Faster, replaces
from ..tables import UNIT

MANY = 32 * 32
LEAST_SIDE = 4  # of noise, in imgaug


@replaces(iap.FrequencyNoise, close=True)
class HalfOfFrequencies(Faster):
    def _draw_samples_hw(self, height: int, width: int, random_state: Any) -> Any:
        if height == 0 or width == 0:
            return super()._draw_samples_hw(height, width, random_state)  # type: ignore[misc]
        noise = self.draw_noise(height, width, random_state)
        return cv2.LUT(noise, UNIT) if noise.dtype == np.uint8 else noise

    def draw_noise(self, height: int, width: int, random_state: Any) -> Any:
        """Noise from 0 to 1, or of 256 levels if it is enlarged."""
        largest = self.size_px_max.draw_sample(random_state=random_state)
        size = bounded(height, width, largest, LEAST_SIDE)
        radii = random_state.random(size=size) * np.float32(max(size) ** 2)
        angles = random_state.random(size=size) * np.float32(2 * np.pi)
        exponent = self.exponent.draw_sample(random_state=random_state)
        method = self.upscale_method.draw_sample(random_state=random_state)
        noise = _noise(radii, angles, exponent)
        return noise if size == (height, width) else enlarged(noise, (height, width), method)


def _noise(radii: Any, angles: Any, exponent: Any) -> Any:
    """Noise from 0 to 1."""
    height, width = radii.shape
    kind = np.float32 if radii.size > MANY else np.float64
    real = radii * np.cos(angles)
    imaginary = real * np.sin(angles)  # imgaug goes on with the new ones
    scale = _distances(height, width, kind) ** kind(exponent)
    scale[0, 0] = 0
    frequencies = np.empty(scale.shape, np.result_type(kind, np.complex64))
    columns = scale.shape[1]
    np.add(real[:, :columns], _opposite(real, columns), out=frequencies.real, dtype=kind)
    np.subtract(
        imaginary[:, :columns], _opposite(imaginary, columns), out=frequencies.imag, dtype=kind
    )
    frequencies *= scale
    noise = fft.irfft2(frequencies, (height, width), overwrite_x=True)
    least, most = noise.min(), noise.max()
    noise -= least
    noise /= most - least
    return noise


def _opposite(values: Any, columns: int) -> Any:
    """The values of the negative frequencies, for the first columns."""
    opposite = np.empty((len(values), columns), values.dtype)
    last = values.shape[1] - columns
    opposite[0, 0] = values[0, 0]
    opposite[0, 1:] = values[0, :last:-1]
    opposite[1:, 0] = values[:0:-1, 0]
    opposite[1:, 1:] = values[:0:-1, :last:-1]
    return opposite


@lru_cache(maxsize=16)
def _distances(height: int, width: int, kind: Any) -> Any:
    rows = np.arange(height)[:, np.newaxis]
    columns = np.arange(width // 2 + 1)
    distances = np.sqrt(np.minimum(rows, height - rows) ** 2 + columns**2)
    distances[0, 0] = 1  # its power is not used
    return distances.astype(kind)


@replaces(iaa.CloudLayer, iaa.Fog, close=True)
class CloudsInFloat32(Faster):
    """imgaug's methods draw the numbers, but for the noise."""

    def draw_on_image(self, image: Any, random_state: Any) -> Any:
        is_common = image.dtype == np.uint8 and image.size and image.shape[2] <= 4
        if not is_common or not image.flags.c_contiguous:  # the result has the same layout
            return super().draw_on_image(image, random_state)  # type: ignore[misc]
        alpha, intensity = self.generate_maps(image, random_state)
        kept = cv2.merge([1 - alpha] * image.shape[2])
        clouds = np.clip(intensity, 0, 255, out=intensity)
        clouds *= alpha
        pixels = cv2.multiply(plain(image), kept, dtype=cv2.CV_32F)
        pixels = cv2.add(pixels, cv2.merge([clouds] * image.shape[2]), dst=pixels)
        return pixels.reshape(image.shape).astype(np.uint8)

    @classmethod
    def _generate_intensity_map_coarse(
        cls, height: int, width: int, mean: Any, offset: Any, random_state: Any
    ) -> Any:
        intensity = mean + offset.draw_samples((8, 8), random_state)
        # OpenCV enlarges float64 four times as fast as float32.
        large = cv2.resize(
            intensity.astype(np.float64), (width, height), interpolation=cv2.INTER_CUBIC
        )
        return large.astype(np.float32)

    @classmethod
    def _generate_intensity_map_fine(
        cls, height: int, width: int, mean: Any, exponent: Any, random_state: Any
    ) -> Any:
        noise = _frequency_noise(exponent, max(height, width))
        noise = noise.draw_samples((height, width), random_state)
        details = np.multiply(noise, 2 * mean / 5.0, dtype=np.float32)
        return np.subtract(details, np.float32(mean / 5.0), out=details)

    @classmethod
    def _generate_alpha_mask(
        cls,
        height: int,
        width: int,
        least: Any,
        factor: Any,
        exponent: Any,
        largest: Any,
        sparsity: Any,
        density: Any,
        random_state: Any,
    ) -> Any:
        noise = _frequency_noise(exponent, largest).draw_noise(height, width, random_state)
        random_state.advance_()
        enlarged = noise.dtype == np.uint8
        alpha = least + np.multiply(UNIT if enlarged else noise, factor, dtype=np.float32)
        alpha = np.clip(alpha**sparsity * density, 0.0, 1.0).astype(np.float32)
        return cv2.LUT(noise, alpha) if enlarged else alpha


def _frequency_noise(exponent: Any, largest: Any) -> Any:
    usual = isinstance(exponent, (tuple, float, int)) and isinstance(largest, (tuple, int))
    return (_usual_noise if usual else _new_noise)(exponent, largest)


def _new_noise(exponent: Any, largest: Any) -> Any:
    noise = iap.FrequencyNoise(exponent, largest, upscale_method="cubic")
    return change_classes(noise, {**FASTER, **CLOSE})


_usual_noise = lru_cache(maxsize=32)(_new_noise)
