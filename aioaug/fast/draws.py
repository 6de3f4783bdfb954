"""Random parameters, drawn with less ceremony.

imgaug draws a constant like any parameter, and advances the generator by one number after each
draw. So a single `Uniform` takes three draws. Here the generator advances by as many numbers, in
the same order, but without the objects around them.

The numbers are the same because NumPy's generator gets the same calls with the same arguments. Only
binomial numbers are drawn by other calls; the docstring of `ones` says why they come to the same.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import lru_cache
from typing import Any

import cv2
import imgaug as ia
import imgaug.parameters as iap
import numpy as np
from imgaug.random import RNG

from .._imgaug.views import View
from .replacements import FASTER, Faster, calling, replaces

INT32 = 2**31  # constants beyond it are left to imgaug, which raises OverflowError
MANY = 256  # below, it takes longer to look for rare values than to draw
DOUBT = 1e-12  # much more than the rounding errors of NumPy's formulas


def advance(generator: Any, draws: int = 1, has_half: bool = True) -> None:
    """Do to a generator what imgaug does after each draw, or after some of constants.

    Args:
        has_half: Whether the half of a number may be left over, which is dropped. To look for it
            takes longer than to draw a number.
    """
    if has_half:
        bits = generator.bit_generator
        state = bits.state
        if state.get("has_uint32"):
            state["has_uint32"] = 0
            bits.state = state
    if draws == 1:
        generator.random()
    else:
        generator.random(draws)


class Drawn(Faster):
    """A parameter, drawn from a generator of NumPy's own kind."""

    def draw_samples(self, size: Any, random_state: Any = None) -> Any:
        generator = own_generator(random_state)
        if generator is None:
            return super().draw_samples(size, random_state)  # type: ignore[misc]
        if type(size) is int or (type(size) is not tuple and ia.is_single_integer(size)):
            size = (size,)
        samples = self._draw_samples(size, random_state)
        advance(generator)
        return samples

    def _draw_as_imgaug(self, size: Any, random_state: Any) -> Any:
        return super()._draw_samples(size, random_state)  # type: ignore[misc]


def _is_common(generator: Any) -> bool:
    return type(generator) is np.random.Generator


def draws_by_itself(random_state: Any) -> bool:
    """Whether a random state of imgaug's has a generator that `advance` knows."""
    return own_generator(random_state) is not None


def own_generator(random_state: Any) -> Any:
    """The generator of a random state of imgaug's, or `None` if `advance` does not know its kind.

    A random state looks for its generator each time that it is asked, which takes as long as to
    draw a number.
    """
    generator = random_state.generator if type(random_state) is RNG else None
    return generator if _is_common(generator) else None


class NumberDrawn(Drawn):
    """A parameter of which single numbers are drawn without an array around them."""

    def draw_sample(self, random_state: Any = None) -> Any:
        number = self.next_number(own_generator(random_state))
        return self._sample_as_imgaug(random_state) if number is None else number

    def _sample_as_imgaug(self, random_state: Any) -> Any:
        return super().draw_sample(random_state)  # type: ignore[misc]

    @abstractmethod
    def next_number(self, generator: Any, has_half: bool = True) -> Any:
        """A number; or `None`, and nothing is drawn, if it is not simply drawn from a generator.

        Args:
            has_half: Whether the half of a number may be left over in the generator.
        """


def draw_numbers(random_state: Any, *parameters: Any, has_half: bool = True) -> list[Any]:
    """One number of each parameter, as `draw_sample` of one after the other gives them.

    A half that is left over is looked for once, as what is drawn here leaves none.
    """
    generator = own_generator(random_state)
    numbers: list[Any] = []
    for parameter in parameters:
        number = None
        if isinstance(parameter, NumberDrawn):
            number = parameter.next_number(generator, has_half)
        has_half = number is None
        numbers.append(parameter.draw_sample(random_state=random_state) if has_half else number)
    return numbers


@replaces(iap.Deterministic)
class ConstantDrawn(NumberDrawn):
    def _draw_samples(self, size: Any, random_state: Any) -> Any:
        kind = KINDS.get(type(self.value))
        if kind is None:
            return self._draw_as_imgaug(size, random_state)
        return np.full(size, self.value, kind)

    def next_number(self, generator: Any, has_half: bool = True) -> Any:
        value = self.value
        kind = KINDS.get(type(value))
        if generator is None or kind is None or not -INT32 <= value < INT32:
            return None
        advance(generator, has_half=has_half)
        return kind(value)


KINDS = {int: np.int32, float: np.float32}  # of Python's numbers, in imgaug


@replaces(
    iap.DeterministicList,
    iap.Choice,
    iap.Poisson,
    iap.TruncatedNormal,
    iap.Laplace,
    iap.ChiSquare,
    iap.Weibull,
    iap.Beta,
    iap.Clip,
    iap.Discretize,
    iap.Multiply,
    iap.Divide,
    iap.Add,
    iap.Subtract,
    iap.Power,
    iap.Absolute,
    iap.ForceSign,
)
class DrawnAsBefore(Drawn):
    """All but the advance is imgaug's."""


def resized(samples: Any, size: Any, interpolation: Any) -> Any:
    """imgaug's `imresize_many_images`, for one array of numbers, without the checks around it."""
    flag = INTERPOLATIONS.get(interpolation)
    is_usual = samples.dtype in (np.int32, np.float32) and len(samples) == 1 and samples.size
    if flag is None or not is_usual or 0 in size or samples.shape[3] > 4:
        return ia.imresize_many_images(samples, size, interpolation)
    if samples.dtype == np.int32 and flag != cv2.INTER_NEAREST:
        return ia.imresize_many_images(samples, size, interpolation)
    if samples.shape[1:3] == tuple(size):
        return samples
    height, width = size
    enlarged = cv2.resize(samples[0], (width, height), interpolation=flag)
    return enlarged.reshape(1, height, width, -1)


INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}


@replaces(iap.FromLowerResolution)
class EnlargedFromDrawn(Drawn):
    _draw_samples = calling(
        iap.FromLowerResolution._draw_samples, ia=View(ia, imresize_many_images=resized)
    )

    @property
    def can_draw_mask(self) -> bool:
        """Whether it is zeros and ones of a lower resolution, each enlarged to a rectangle."""
        kind, method = type(self.method), getattr(self.method, "value", None)
        is_nearest = kind is CONSTANT and method == "nearest"
        return is_nearest and type(self.other_param) is FASTER[iap.Binomial]

    def draw_mask(self, size: tuple[int, int, int], random_state: Any) -> Any:
        """What `draw_samples` draws, as `bool` (H,W,C), for `can_draw_mask`."""
        height, width, channels = size
        generator = own_generator(random_state)
        if 0 in size or generator is None:
            return self.draw_samples(size, random_state) > 0
        rows, columns = self._draw_size(height, width, generator, random_state)
        generator.random()  # as for the draw of the method
        small = self.other_param.draw_mask((rows, columns, channels), random_state, has_half=False)
        generator.random()
        return small.take(nearest(columns, width), axis=1).take(nearest(rows, height), axis=0)

    def _draw_size(
        self, height: int, width: int, generator: Any, random_state: Any
    ) -> tuple[int, int]:
        """Rows and columns; no half of a number is left over then."""
        in_parts = self.size_method == "percent"
        parameter = self.size_percent if in_parts else self.size_px
        number = constant(parameter)
        if number is None:
            numbers = parameter.draw_samples((1, 2), random_state=random_state)[0].tolist()
        else:
            advance(generator)
            numbers = [number, number]
        if in_parts:
            numbers = [numbers[0] * height, numbers[1] * width]
        rows, columns = (max(int(length), self.min_size) for length in numbers)
        return rows, columns


@lru_cache(maxsize=256)
def nearest(few: int, many: int) -> Any:
    """Which of a few places each of many gets its number from, by OpenCV's nearest ones."""
    places = np.arange(few, dtype=np.int32)[np.newaxis]
    if few == many:
        return places[0]
    return cv2.resize(places, (many, 1), interpolation=cv2.INTER_NEAREST)[0]


class DrawnBetween(Drawn):
    """A parameter whose bounds are usually constants, and then in order."""

    kind: Any  # of number

    def _draw_samples(self, size: Any, random_state: Any) -> Any:
        generator = random_state.generator
        low, high = constant(self.a), constant(self.b)
        if low is None or high is None or not _is_common(generator):
            return self._draw_as_imgaug(size, random_state)
        advance(generator)  # as for a draw of each bound
        generator.random()
        if low == high:
            return np.full(size, low, self.kind)
        return self._between(generator, min(low, high), max(low, high), size)

    @abstractmethod
    def _between(self, generator: Any, low: Any, high: Any, size: Any) -> Any:
        """Numbers from the lower to the upper bound."""


@replaces(iap.Uniform)
class UniformDrawn(NumberDrawn, DrawnBetween):
    """NumPy computes with the bounds as double, whatever kind of number they are."""

    kind = np.float32

    def next_number(self, generator: Any, has_half: bool = True) -> Any:
        """One number, in half the time of an array with one."""
        low, high = constant(self.a), constant(self.b)
        if generator is None or low is None or high is None:
            return None
        advance(generator, has_half=has_half)
        generator.random()
        number = low if low == high else generator.uniform(min(low, high), max(low, high))
        generator.random()
        return self.kind(number)

    def _between(self, generator: Any, low: Any, high: Any, size: Any) -> Any:
        return generator.uniform(low, high, size).astype(self.kind)


@replaces(iap.Normal)
class NormalDrawn(Drawn):
    """NumPy draws many numbers at once sooner than one after the other by a function of both."""

    def _draw_samples(self, size: Any, random_state: Any) -> Any:
        generator = own_generator(random_state)
        if generator is None or constant(self.loc) != 0 or type(size) is not tuple:
            return self._draw_as_imgaug(size, random_state)
        _, scale = draw_numbers(random_state, self.loc, self.scale)
        if scale < 0:  # as imgaug says it
            raise AssertionError(f"Expected scale to be >=0, got {scale:.4f}.")
        if scale == 0:
            return np.zeros(size, np.float32)
        numbers = generator.standard_normal(size)
        samples = np.empty(size, np.float32)
        # NumPy's formula for one number is the same product, with 0 added.
        return np.multiply(numbers, float(scale), out=samples, casting="same_kind")


@replaces(iap.DiscreteUniform)
class DiscreteUniformDrawn(DrawnBetween):
    kind = np.int32

    def _between(self, generator: Any, low: Any, high: Any, size: Any) -> Any:
        return generator.integers(low, high + 1, size, dtype=self.kind)


@replaces(iap.Binomial)
class BinomialDrawn(Drawn):
    can_draw_mask = True

    def _draw_samples(self, size: Any, random_state: Any) -> Any:
        if not _is_common(random_state.generator):
            return self._draw_as_imgaug(size, random_state)
        return self._ones(size, random_state).astype(np.int32)

    def draw_mask(self, size: tuple[int, ...], random_state: Any, has_half: bool = True) -> Any:
        """What `draw_samples` draws, as `bool`; the half of a number may be left over before."""
        generator = own_generator(random_state)
        if generator is None:
            return self.draw_samples(size, random_state) > 0
        drawn = self._ones(size, random_state, has_half)
        generator.random()
        return drawn

    def _ones(self, size: Any, random_state: Any, has_half: bool = True) -> Any:
        generator = random_state.generator
        p = float(draw_numbers(random_state, self.p, has_half=has_half)[0])
        if not 0 <= p <= 1:  # as imgaug says it
            interval = "the interval [0.0, 1.0]"
            raise AssertionError(f"Expected probability p to be in {interval}, got {p:.4f}.")
        return ones(generator, p, size)


@replaces(iap.RandomSign)
class RandomSignDrawn(Drawn):
    def _draw_samples(self, size: Any, random_state: Any) -> Any:
        generator = random_state.generator
        if not _is_common(generator) or type(size) is not tuple:
            return self._draw_as_imgaug(size, random_state)
        samples = np.absolute(self.other_param.draw_samples(size, random_state=random_state))
        if samples.dtype.kind not in "fi":
            raise AssertionError(
                "Expected to get samples of kind float or int, but got dtype "
                f"{samples.dtype.name} of kind {samples.dtype.kind}."
            )
        signs = ones(generator, self.p_positive, size).view(np.int8) * np.int8(2) - np.int8(1)
        return samples * signs


def ones(generator: Any, p: float, size: Any) -> Any:
    """Where NumPy's binomial numbers of one trial each are ones, out of one uniform number each.

    That is what NumPy does: one number for each value, which is a one if it is above 1 - p. Where p
    is above 0.5, it does so with 1 - p and swaps zeros and ones. NumPy computes this limit by
    exp(log1p(-p)), and draws again if a number is so near to 1 that rounding would make a two of
    it. So if a number is within `DOUBT` of the limit or of 1, NumPy draws them all, with the
    generator as it was before.
    """
    rare = 1.0 - p if p > 0.5 else p
    if math.prod(size) < MANY or not DOUBT < rare <= 0.5:
        return generator.binomial(1, p, size).astype(bool)
    before = generator.bit_generator.state
    numbers = generator.random(size)
    above = numbers > 1.0 - rare + DOUBT
    if (
        np.count_nonzero(numbers > 1.0 - rare - DOUBT) != np.count_nonzero(above)
        or numbers.max() > 1.0 - DOUBT
    ):
        generator.bit_generator.state = before
        return generator.binomial(1, p, size).astype(bool)
    return ~above if p > 0.5 else above


def constant(parameter: Any) -> float | None:
    """The number that a constant parameter always is, rounded as imgaug does; else `None`."""
    value = getattr(parameter, "value", None) if type(parameter) is CONSTANT else None
    if type(value) is float:
        return float(np.float32(value))
    return value if type(value) is int and -INT32 <= value < INT32 else None


CONSTANT = FASTER[iap.Deterministic]
