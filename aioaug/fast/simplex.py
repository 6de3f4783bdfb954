"""Simplex noise: how its points lie between the vertices of simplices is found out once for a size.

imgaug asks for the noise of whole numbers, point by point. Which vertices contribute to a point and
by what weights does not depend on the seed. So imgaug's generator computes it once, and then only
the gradients of the vertices are looked up, for all points together. The products are added in the
same order, so the bytes are equal.
"""

from __future__ import annotations

from ctypes import c_long, sizeof
from functools import lru_cache
from typing import Any

import imgaug.parameters as iap
import numpy as np
from imgaug.external import opensimplex

from .draws import Drawn
from .pictures import bounded, enlarged
from .replacements import replaces

MANY = 64 * 64  # points of noise, whose vertices are not kept
MOST_VERTICES = 4  # that contribute to a point
GRADIENTS = np.array(opensimplex.GRADIENTS_2D).reshape(-1, 2)


class VertexRecorder(opensimplex.OpenSimplex):  # type: ignore[misc]
    """Notes what a point needs, in place of gradients."""

    def __init__(self) -> None:
        self.vertices: list[tuple[int, int, float, float]] = []

    def _extrapolate2d(self, xsb: int, ysb: int, dx: float, dy: float) -> int:
        self.vertices.append((xsb & 255, ysb & 255, dx, dy))
        return 0


def _contributions(height: int, width: int) -> tuple[Any, ...]:
    """Columns, rows, distances in both directions, and weights of vertices, each (4,H,W)."""
    table = np.zeros((height, width, MOST_VERTICES, 4))
    weights = np.zeros((height, width, MOST_VERTICES))
    for row in range(height):
        for column in range(width):
            recorder = VertexRecorder()
            recorder.noise2d(x=column, y=row)
            for place, vertex in enumerate(recorder.vertices):
                table[row, column, place] = vertex
                dx, dy = vertex[2:]
                nearness = 2 - dx * dx - dy * dy
                nearness *= nearness
                weights[row, column, place] = nearness * nearness
    columns, rows, dx, dy = np.ascontiguousarray(np.transpose(table, (3, 2, 0, 1)))
    weights = np.ascontiguousarray(np.transpose(weights, (2, 0, 1)))
    return columns.astype(np.intp), rows.astype(np.intp), dx, dy, weights


_usual_contributions = lru_cache(maxsize=64)(_contributions)


def simplex_noise(seed: int, height: int, width: int) -> Any:
    """The noise from -1 to 1, as `float32`."""
    contributions = _usual_contributions if height * width <= MANY else _contributions
    columns, rows, dx, dy, weights = contributions(height, width)
    permutation = np.array(_permutation(seed))
    gradients = GRADIENTS[(permutation[(permutation[columns] + rows) & 255] & 14) >> 1]
    products = weights * (gradients[..., 0] * dx + gradients[..., 1] * dy)
    total = products[0]
    for product in products[1:]:
        total = total + product
    return (total / opensimplex.NORM_CONSTANT_2D).astype(np.float32)


def _permutation(seed: int) -> list[int]:
    """As imgaug's generator makes it of a seed: by numbers of the platform's kind `long`."""
    if sizeof(c_long) != 8:
        return list(opensimplex.OpenSimplex(seed)._perm)
    source, permutation = list(range(256)), [0] * 256
    for _ in range(3):
        seed = _next(seed)
    for place in range(255, -1, -1):
        seed = _next(seed)
        drawn = (seed + 31) % (place + 1)
        permutation[place], source[drawn] = source[drawn], source[place]
    return permutation


def _next(seed: int) -> int:
    return (seed * 6364136223846793005 + 1442695040888963407 + 2**63) % 2**64 - 2**63


@replaces(iap.SimplexNoise)
class SimplexNoiseOfPlaces(Drawn):
    def _draw_samples_iteration(self, height: int, width: int, rng: Any, method: Any) -> Any:
        seed = int(rng.generate_seed_())
        largest = self.size_px_max.draw_sample(random_state=rng)
        size = bounded(height, width, largest, least=1)
        noise = np.clip((simplex_noise(seed, *size) + 1.0) / 2, 0.0, 1.0)
        if size == (height, width):
            return noise
        # Of three channels as in imgaug: OpenCV rounds the last values of a row otherwise.
        three = np.repeat(noise[..., np.newaxis], 3, axis=2)
        return (enlarged(three, (height, width), method)[..., 0] / 255.0).astype(np.float32)
