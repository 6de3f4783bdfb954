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

from .affine import IDENTITY, NEARLY, formula_is_known, turning
from .draws import advance, draw_numbers, own_generator
from .replacements import Faster, replaces

FLAGS = {0: cv2.INTER_NEAREST, 1: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}
ORDERS = tuple(FLAGS)  # an order may be a list, too, which cannot be looked up in a table


class Turned(Faster):
    def __call__(self, image: Any, channels: int, random_state: Any) -> Any:
        if self.order not in ORDERS:
            return super().__call__(image, channels, random_state)  # type: ignore[misc]
        return [self.draw_matrix(random_state)] * channels

    def draw_matrix(self, random_state: Any) -> Any:
        """One for all channels, of `float32`."""
        length, angle, direction = draw_numbers(random_state, self.k, self.angle, self.direction)
        start = (min(max(float(direction), -1.0), 1.0) + 1.0) / 2.0
        return line_matrix(int(length), angle, start, self.order)


def line_matrix(length: int, angle: Any, start: float, order: int) -> Any:
    """imgaug's matrix for a blur along a line; it draws from the global generator."""
    advance_as_turning(get_global_rng())
    length += 1 - length % 2
    line = np.zeros((length, length), np.uint8)
    line[:, length // 2] = _spaced(start, 1.0 - start, length).astype(np.float32) * 255
    turn = turning(angle, length)
    if is_a_turn(turn):
        line = cv2.warpAffine(line, turn[:2], (length, length), flags=FLAGS[order])
    matrix = line.astype(np.float32)
    matrix /= 255.0
    matrix /= matrix.sum()
    return matrix


def is_a_turn(turn: Any) -> bool:
    """Whether imgaug turns by this matrix: its numbers are `NEARLY` those of `IDENTITY`, if not.

    One number that differs by more than nine times as much is enough, since the mean is of nine.
    """
    return abs(turn.item(1)) > 10 * NEARLY or bool(np.abs(turn - IDENTITY).mean() > NEARLY)


def _spaced(start: float, stop: float, count: int) -> Any:
    """What `numpy.linspace` computes of two numbers, in half the time."""
    if count < 2:
        return np.linspace(start, stop, count)
    spaced = np.arange(float(count))
    spaced *= (stop - start) / (count - 1)
    spaced += start
    spaced[-1] = stop
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
