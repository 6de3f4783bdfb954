"""Layers of snow and rain.

imgaug builds augmenters and parameters for each picture, and repeats the noise for each channel as
wider numbers. Here the same numbers are drawn without them. The noise stays one channel of bytes,
and tables say what becomes of its 256 levels. Values can differ by a level, since the blur of the
noise rounds as the module `motion` says, and since rain is blended in `float32`.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.random import get_global_rng

from ..draws import advance, draws_by_itself
from ..motion import line_matrix
from ..parts import change_classes
from ..pictures import plain
from ..replacements import Faster, replaces
from ..tables import LEVELS, UNIT
from .motion import convolve_line

LEAST_SHAPE = 0.0001  # of a beta distribution, for imgaug
# From 1000 bytes of the noise imgaug makes the color of rain, and it is always the same one if
# their sum is more than 130. So many pixels are this many bytes in three channels.
FIRST_PIXELS, ENOUGH = 333, 150


class NoiseDrawn(Faster):
    """Salt on black, less of it here and there, blurred by motion, and drawn on a picture."""

    def draw_on_image(self, image: Any, random_state: Any) -> Any:
        """Draw all numbers in imgaug's order; all from one generator."""
        if (
            image.dtype != np.uint8
            or image.size == 0
            or image.shape[2] not in (1, 3)
            or not image.flags.c_contiguous  # the result has the same layout, in imgaug
            or not isinstance(self.density, (tuple, float))  # a parameter is the mask itself
            or not all(map(draws_by_itself, (random_state, get_global_rng())))
        ):
            return super().draw_on_image(image, random_state)  # type: ignore[misc]
        size, uniformity, angle, speed, fraction = (
            float(parameter.draw_sample(random_state))
            for parameter in (
                self.flake_size,
                self.flake_size_uniformity,
                self.angle,
                self.speed,
                self.blur_sigma_fraction,
            )
        )
        height, width = image.shape[:2]
        scale = min(max(1.0 - size, 0.001), 1.0)
        grid = max(1, int(height * scale)), max(1, int(width * scale))
        places, levels = _salt(self.density, grid, random_state)
        noise = np.zeros(grid, np.uint8)
        noise.reshape(-1)[places] = levels * self._gate_of_noise(grid, random_state)[places]
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        least, most = self.blur_sigma_limits
        noise = self._blur(noise, min(max(max(height, width) * fraction, least), most))
        length = int(speed * max(height, width))
        if length > 1:
            noise = _moved(noise, max(length, 3), angle, random_state)
        return self._drawn(plain(image), noise, speed, uniformity)

    def _gate_of_noise(self, grid: tuple[int, int], random_state: Any) -> Any:
        """How much of the noise remains, for all places of the grid, row by row."""
        _advance(random_state, "alpha", "one")
        uniformity = self.density_uniformity.draw_sample(random_state)
        _advance(random_state, "one minus uniformity")
        beta = max(np.float32(1.0) - np.float32(uniformity), LEAST_SHAPE)
        gate = random_state.beta(1.0, beta, size=self.gate_noise_size).astype(np.float32)
        _advance(random_state, "gate")
        gate = cv2.resize(gate, grid[::-1], interpolation=cv2.INTER_CUBIC)
        return np.clip(gate, 0.0, 1.0, out=gate).ravel()

    @abstractmethod
    def _drawn(self, pixels: Any, noise: Any, speed: float, uniformity: float) -> Any:
        """The picture with the noise on it, as a new array."""


def _advance(random_state: Any, *constants: str) -> None:
    """Do to a generator what imgaug does to draw constants, and after other draws."""
    advance(random_state.generator, len(constants))


def _salt(density: Any, shape: tuple[int, int], random_state: Any) -> tuple[Any, Any]:
    """What `iaa.Salt` puts into a picture: places, row by row, and their levels, as `float32`."""
    _advance(random_state, "per channel")
    mask = _mask(density).draw_samples((*shape, 1), random_state)
    places = np.flatnonzero(mask.astype(bool))
    _advance(random_state, "alpha", "beta")
    levels = random_state.beta(0.5, 0.5, size=len(places)).astype(np.float32)
    _advance(random_state, *CONSTANTS_OF_SALT)
    levels = (np.abs(levels - np.float32(0.5)) + np.float32(0.5)) * np.float32(255)
    return places, np.rint(levels)


CONSTANTS_OF_SALT = (
    *("beta distribution", "minus half", "difference", "absolute"),
    *("plus half", "sum", "times 255", "product"),
)


@lru_cache(maxsize=32)
def _mask(density: tuple[float, float] | float) -> Any:
    return change_classes(iaa.Salt(p=density).mask)


def _moved(noise: Any, length: int, angle: float, random_state: Any) -> Any:
    _advance(random_state, "length", "angle", "direction")
    matrix = line_matrix(length, angle, 1.0, order=1)
    moved = convolve_line(noise, matrix)
    if moved.ravel()[:FIRST_PIXELS].sum() < ENOUGH:
        return cv2.filter2D(noise, -1, matrix)  # so that rain gets imgaug's color
    return moved


def _for_channels(noise: Any, table: Any, pixels: Any) -> Any:
    return cv2.merge([cv2.LUT(noise, table)] * pixels.shape[2])


@replaces(iaa.SnowflakesLayer, close=True)
class SnowByTables(NoiseDrawn):
    def _drawn(self, pixels: Any, noise: Any, speed: float, uniformity: float) -> Any:
        """First all flakes are added, hardly visible, then the bright ones are drawn."""
        _advance(get_global_rng(), "per channel", "gamma")
        gain = np.array([1.0 + 2 * (1 - uniformity)], np.float32)
        levels = np.clip(UNIT**gain * 255, 0, 255).astype(np.uint8)
        numbers = levels.astype(np.float32) * (1.0 + 5 * (1 - uniformity))
        added, drawn = (
            np.clip((part + 20 * speed) * numbers, 0, 255).astype(np.uint8) for part in (0.1, 1.0)
        )
        added, drawn = (_for_channels(noise, table, pixels) for table in (added, drawn))
        return cv2.max(cv2.add(pixels, added), drawn, dst=np.empty_like(pixels))


# How much of the rain's color a level of the noise stands for.
RAIN_WEIGHTS = np.clip(1.3 * (LEVELS / 255.0), 0, 1.0).astype(np.float32)


@replaces(iaa.RainLayer, close=True)
class RainByTables(NoiseDrawn):
    def _drawn(self, pixels: Any, noise: Any, speed: float, uniformity: float) -> Any:
        total = int(np.repeat(noise.ravel()[:1000], pixels.shape[2])[:1000].sum())
        color = 110 + (240 - 110) % (total or 1)
        change = cv2.subtract((color,) * 4, pixels, dtype=cv2.CV_32F)
        change = cv2.multiply(change, _for_channels(noise, RAIN_WEIGHTS, pixels), dst=change)
        rainy = cv2.add(pixels, change, dtype=cv2.CV_32F)
        return rainy.reshape(pixels.shape).astype(np.uint8)
