"""The matrices of `MotionBlur`: a line, turned without an augmenter of its own for each picture.

imgaug makes an `Affine` for each line, which draws constants from the global generator. Here that
generator advances as far, and the line is turned by the same numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import blur
from imgaug.random import RNG, get_global_rng

from .affine import IDENTITY, NEARLY, formula_is_known, turnings
from .draws import advance, draw_numbers, own_generator
from .replacements import Faster, replaces

FLAGS = {0: cv2.INTER_NEAREST, 1: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}
ORDERS = tuple(FLAGS)  # an order may be a list, too, which cannot be looked up in a table


class Turned(Faster):
    def __call__(self, image: Any, channels: int, random_state: Any) -> Any:
        return [self.draw_matrices(1, random_state)[0]] * channels

    def draw_matrices(self, count: int, random_state: Any) -> Any:
        """One for all channels of each picture, of `float32`."""
        if self.order not in ORDERS:
            draw = super().__call__  # type: ignore[misc]
            return [draw(None, 1, random_state)[0] for _ in range(count)]
        lengths, angles, starts = [], [], []
        for _ in range(count):
            length, angle, direction = draw_numbers(
                random_state, self.k, self.angle, self.direction
            )
            advance_as_turning(get_global_rng())
            lengths.append(int(length))
            angles.append(angle)
            starts.append((min(max(float(direction), -1.0), 1.0) + 1.0) / 2.0)
        if len(set(lengths)) == 1:
            return line_matrices(lengths[0], angles, starts, self.order)
        drawn = zip(lengths, angles, starts, strict=True)
        return [
            line_matrices(length, [angle], [start], self.order)[0] for length, angle, start in drawn
        ]


def line_matrix(length: int, angle: Any, start: float, order: int) -> Any:
    """imgaug's matrix for a blur along a line; it draws from the global generator."""
    advance_as_turning(get_global_rng())
    return line_matrices(length, [angle], [start], order)[0]


def line_matrices(length: int, angles: list[Any], starts: list[float], order: int) -> Any:
    """Those of lines of one length (N,L,L), from a weight at their start to what it lacks to 1."""
    length += 1 - length % 2
    lines = np.zeros((len(starts), length, length), np.uint8)
    lines[:, :, length // 2] = _spaced(np.array(starts), length).astype(np.float32) * 255
    for line, turn in zip(lines, turnings(angles, length), strict=True):
        if is_a_turn(turn):
            line[...] = cv2.warpAffine(line, turn[:2], (length, length), flags=FLAGS[order])
    matrices = lines.reshape(len(lines), -1).astype(np.float32)
    matrices /= 255.0
    matrices /= matrices.sum(axis=1, keepdims=True)
    return matrices.reshape(lines.shape)


def is_a_turn(turn: Any) -> bool:
    """Whether imgaug turns by this matrix: its numbers are `NEARLY` those of `IDENTITY`, if not.

    One number that differs by more than nine times as much is enough, since the mean is of nine.
    """
    return abs(turn.item(1)) > 10 * NEARLY or bool(np.abs(turn - IDENTITY).mean() > NEARLY)


def _spaced(starts: Any, count: int) -> Any:
    """What `numpy.linspace` computes from each start to what it lacks to 1, (N,count)."""
    stops = 1.0 - starts
    if count < 2:
        return starts[:, np.newaxis]
    spaced = np.arange(float(count)) * ((stops - starts) / (count - 1))[:, np.newaxis]
    spaced += starts[:, np.newaxis]
    spaced[:, -1] = stops
    return spaced


@cache
def _turning() -> Any:
    return iaa.Affine(rotate=0.0)


def advance_as_turning(random_state: Any) -> None:
    """Do to a generator what an `Affine` does whose numbers all are constants."""
    generator = own_generator(random_state)
    if generator is not None:
        advance(generator, _steps())
    else:
        _turning()._draw_samples(1, random_state)


@cache
def _steps() -> int:
    """How many numbers the generator advances by."""
    there, here = RNG(0), RNG(0)
    _turning()._draw_samples(1, there)
    steps = 0
    while not here.equals(there):
        advance(here.generator)
        steps += 1
    return steps


if formula_is_known():
    replaces(blur._MotionBlurMatrixGenerator)(Turned)
