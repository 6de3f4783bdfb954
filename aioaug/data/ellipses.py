"""Circles and ellipses as polygons, and back: an augmenter may make anything of them."""

from __future__ import annotations

import math
from typing import TypeAlias

from .annotation import Outline, points_of

Vector: TypeAlias = tuple[float, float]

_POINTS = 64  # the polygon is within 0.13 % of the radius
_QUARTER = _POINTS // 4


def outline_of_ellipse(middle: Vector, first: Vector, second: Vector) -> Outline:
    """The polygon of an ellipse with these half axes; it begins where the first one ends."""
    (x, y), (across1, down1), (across2, down2) = middle, first, second
    turns = [2 * math.pi * step / _POINTS for step in range(_POINTS)]
    return tuple(
        number
        for turn in turns
        for number in (
            x + across1 * math.cos(turn) + across2 * math.sin(turn),
            y + down1 * math.cos(turn) + down2 * math.sin(turn),
        )
    )


def ellipse_of_outline(outline: Outline) -> tuple[Vector, Vector, Vector] | None:
    """The middle and half axes of what `outline_of_ellipse` made, if it still is an ellipse."""
    if len(outline) != 2 * _POINTS:
        return None
    points = list(points_of(outline))
    x, y = math.fsum(outline[::2]) / _POINTS, math.fsum(outline[1::2]) / _POINTS
    first, second = ((px - x, py - y) for px, py in (points[0], points[_QUARTER]))
    size = max(math.hypot(*first), math.hypot(*second))
    fitting = points_of(outline_of_ellipse((x, y), first, second))
    if any(math.dist(*pair) > 0.01 + size / 500 for pair in zip(points, fitting, strict=True)):
        return None
    return (x, y), *_half_axes(first, second)


def _half_axes(first: Vector, second: Vector) -> tuple[Vector, Vector]:
    """The half axes of an ellipse, of which two radii are given that may have been sheared."""
    (ax, ay), (bx, by) = first, second
    dot, squares = ax * bx + ay * by, ax * ax + ay * ay - bx * bx - by * by
    if abs(dot) <= 1e-3 * math.hypot(ax, ay) * math.hypot(bx, by):
        return first, second
    # The points are first * cos(t) + second * sin(t); on an axis they are furthest from the middle.
    turn = math.atan2(2 * dot, squares) / 2
    cos, sin = math.cos(turn), math.sin(turn)
    return (ax * cos + bx * sin, ay * cos + by * sin), (bx * cos - ax * sin, by * cos - ay * sin)
