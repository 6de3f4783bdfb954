"""What random transformations there may be, one draw of them, and what the draw does.

`TransformRanges` draws a plan, a dict by Keras' names, from one generator of random numbers;
`transform` is a pure function of a picture and a plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .._base.arguments import one_of, whole
from .._pictures import Array
from .affine import FILL_MODES, Plan, affine, mirror
from .colours import NOISES, add_noise, brightness, channel_shift, contrast

_IDENTITY: Plan = {
    "theta": 0,
    "tx": 0,
    "ty": 0,
    "shear": 0,
    "zx": 1,
    "zy": 1,
    "flip_horizontal": False,
    "flip_vertical": False,
    "channel_shift_intensity": None,
    "brightness": None,
    "contrast": None,
    "noise": None,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformRanges:
    """From where random transformations are drawn, and how pixels are resampled for them.

    `zoom_range` becomes a pair of factors and `noise` a list. Raises `ValueError`.
    """

    rotation_range: float
    width_shift_range: Any
    height_shift_range: Any
    brightness_range: tuple[float, float] | None
    contrast_range: tuple[float, float] | None
    shear_range: float
    zoom_range: Any
    channel_shift_range: float
    fill_mode: str
    cval: float
    horizontal_flip: bool
    vertical_flip: bool
    noise: Any
    interpolation_order: int

    def __post_init__(self) -> None:
        for name in ("rotation_range", "shear_range", "channel_shift_range", "cval"):
            if not _are_finite(getattr(self, name) or 0) or np.ndim(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)!r}")
        for name in ("width_shift_range", "height_shift_range"):
            if not _are_finite(getattr(self, name)):
                raise ValueError(f"{name} must be numbers, got {getattr(self, name)!r}")
        for name in ("brightness_range", "contrast_range"):
            _pair_or_none(name, getattr(self, name))
        zoom = self.zoom_range
        if isinstance(zoom, Real):
            zoom = [1 - zoom, 1 + zoom]
        else:
            _pair_or_none("zoom_range", zoom)
        object.__setattr__(self, "zoom_range", list(zoom))
        one_of("fill_mode", self.fill_mode, FILL_MODES)
        whole("interpolation_order", self.interpolation_order, low=0, high=5)
        if isinstance(self.noise, str):
            object.__setattr__(self, "noise", [self.noise])
        for kind in self.noise or ():
            one_of("noise", kind, NOISES)

    @property
    def moves_pixels(self) -> bool:
        """Whether a draw may move pixels, so that what refers to their places must move along."""
        shifts = (self.width_shift_range, self.height_shift_range)
        return bool(
            self.rotation_range
            or any(np.any(np.asarray(shift)) for shift in shifts)
            or self.shear_range
            or list(self.zoom_range) != [1, 1]
            or self.horizontal_flip
            or self.vertical_flip
        )

    def draw(self, height: int, width: int, rng: np.random.Generator) -> Plan:
        """One plan for a picture of this size.

        What moves pixels is drawn first, so that a generator for pictures and one for their
        masks stay together although only the first changes colours.
        """
        plan = identity()
        if self.rotation_range:
            plan["theta"] = _either_way(self.rotation_range, rng)
        plan["tx"] = _shift(self.height_shift_range, height, rng)
        plan["ty"] = _shift(self.width_shift_range, width, rng)
        if self.shear_range:
            plan["shear"] = _either_way(self.shear_range, rng)
        if list(self.zoom_range) != [1, 1]:
            plan["zx"] = _between(self.zoom_range, rng)
            plan["zy"] = _between(self.zoom_range, rng)
        # Both are drawn in any case, so that enabling one does not change what comes after.
        across, down = rng.random(2) < 0.5
        plan["flip_horizontal"] = bool(across and self.horizontal_flip)
        plan["flip_vertical"] = bool(down and self.vertical_flip)
        if self.channel_shift_range:
            plan["channel_shift_intensity"] = _either_way(self.channel_shift_range, rng)
        if self.brightness_range is not None:
            plan["brightness"] = _between(self.brightness_range, rng)
        if self.contrast_range is not None:
            plan["contrast"] = _between(self.contrast_range, rng)
        if self.noise:
            plan["noise"] = self.noise[rng.integers(len(self.noise))]
            plan["noise_seed"] = int(rng.integers(2**63))
        return plan

    def transform(self, x: Array, plan: Plan) -> Array:
        """Apply a plan, of which any key may be missing, to a picture (H,W,C).

        The order: affine, channel shift, flips, brightness, contrast, noise.
        """
        x = affine(
            x, plan, fill_mode=self.fill_mode, cval=self.cval, order=self.interpolation_order
        )
        if (intensity := plan.get("channel_shift_intensity")) is not None:
            x = channel_shift(x, intensity)
        if plan.get("flip_horizontal"):
            x = mirror(x, 1)
        if plan.get("flip_vertical"):
            x = mirror(x, 0)
        if (factor := plan.get("brightness")) is not None:
            x = brightness(x, factor)
        if (factor := plan.get("contrast")) is not None:
            x = contrast(x, factor)
        if (kind := plan.get("noise")) is not None:
            x = add_noise(x, kind, plan.get("noise_seed"))
        return x


def identity() -> Plan:
    """The plan that changes nothing, as a new dict."""
    return dict(_IDENTITY)


def _either_way(limit: float, rng: np.random.Generator) -> float:
    return rng.uniform(-abs(limit), abs(limit))


def _between(limits: Iterable[float], rng: np.random.Generator) -> float:
    low, high = sorted(limits)
    return rng.uniform(low, high)


def _shift(limits: Any, size: int, rng: np.random.Generator) -> float:
    """Keras' three readings: a list of steps, an int (steps below it), a float (a range)."""
    array = np.asarray(limits) if np.ndim(limits) else np.abs(limits)
    if not np.any(array):
        return 0
    if array.ndim or np.issubdtype(array.dtype, np.integer):
        steps = array if array.ndim else np.arange(int(array))
        shift = float(rng.choice(steps) * rng.choice([-1, 1]))
    else:
        shift = float(rng.uniform(-array, array))
    return shift * size if array.max() < 1 else shift


def _pair_or_none(name: str, value: object) -> None:
    if value is None and name != "zoom_range":
        return
    pair = isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2
    if not pair or not _are_finite(value):
        what = "a float or two floats" if name == "zoom_range" else "two floats"
        raise ValueError(f"{name} must be {what}, got {value!r}")


def _are_finite(value: object) -> bool:
    try:
        return value is None or bool(np.isfinite(np.asarray(value, float)).all())
    except (TypeError, ValueError):
        return False
