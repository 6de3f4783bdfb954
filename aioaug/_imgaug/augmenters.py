"""Patches for imgaug's modules of augmenters, a function for each but `geometric`."""

from __future__ import annotations

import copy
import importlib
from functools import partial
from types import FunctionType
from typing import Any

from .hook import importing
from .views import PlainNumbers, View


def size(module: Any) -> None:
    handle = module._handle_pad_mode_param

    def _handle_pad_mode_param(pad_mode: Any) -> Any:
        parameter = handle(pad_mode)
        if pad_mode == module.ia.ALL:
            # imgaug makes it of a set of strings, whose order is another one in each process.
            choice = getattr(parameter, "other_param", parameter)  # of imaug's AutoPrefetcher
            choice.a = sorted(choice.a)
        return parameter

    module._handle_pad_mode_param = _handle_pad_mode_param


def blur(module: Any) -> None:
    ksize = module._compute_gaussian_blur_ksize

    # In NumPy 1, float32 times a Python float is float64. Near a whole number int() differs.
    module._compute_gaussian_blur_ksize = lambda sigma: ksize(float(sigma))
    # The direction of a motion, likewise: its matrix is made of whole levels.
    clip = module.np.clip
    module.np = View(module.np, clip=lambda *args: float(clip(*args)))


def color(module: Any) -> None:
    color_in_batches_and_workers(module)

    def _generate_quantize_uniform_table(cls: Any, centerize: bool) -> Any:
        import numpy as np

        # In float32, as in NumPy 1. In NumPy 2, imgaug's NumPy scalars would make it float64.
        sizes = (256 / np.arange(1, 255)).astype(np.float32)[:, np.newaxis]
        bins = np.floor(np.arange(256, dtype=np.float32) / sizes) * sizes
        table = np.zeros((256, 256), np.uint8)
        table[1:255] = np.clip(np.round(bins + sizes / 2 if centerize else bins), 0, 255)
        return table

    module._QuantizeUniformLUTTable._generate_quantize_uniform_table = classmethod(
        _generate_quantize_uniform_table
    )


def color_in_batches_and_workers(module: Any) -> None:
    kelvins = module._KelvinToRGBTable
    transform = kelvins.transform_kelvins_to_rgb_multipliers

    def transform_kelvins_to_rgb_multipliers(self: Any, values: Any) -> Any:
        import numpy as np

        # imgaug multiplies (N,) by (N, 3). This fails, and for N = 3 it mixes up the axes.
        return np.concatenate([transform(self, values[i : i + 1]) for i in range(len(values))])

    kelvins.transform_kelvins_to_rgb_multipliers = transform_kelvins_to_rgb_multipliers
    _lasting_table(module.AddToHueAndSaturation)


def _lasting_table(augmenter: Any) -> None:
    transform = augmenter._transform_image_cv2.__func__

    def _transform_image_cv2(cls: Any, *args: Any) -> Any:
        if augmenter._LUT_CACHE is None:
            # Only __init__ makes the table, and unpickling in a worker does not call __init__.
            augmenter._LUT_CACHE = augmenter._generate_lut_table()
        return transform(cls, *args)

    augmenter._transform_image_cv2 = classmethod(_transform_image_cv2)


def pillike(module: Any) -> None:
    autocontrast = module._autocontrast_pil

    def _autocontrast_pil(image: Any, cutoff: Any, ignore: Any) -> Any:
        # Pillow calls int() on it, which NumPy 2.4 refuses for an array of one element.
        return autocontrast(image, cutoff.item() if hasattr(cutoff, "item") else cutoff, ignore)

    module._autocontrast_pil = _autocontrast_pil


def segmentation(module: Any) -> None:
    skimage = module.skimage

    def regionprops(*args: Any, **kwargs: Any) -> list[_Region]:
        return [_Region(region) for region in skimage.measure.regionprops(*args, **kwargs)]

    module.skimage = View(
        skimage,
        measure=View(skimage.measure, regionprops=regionprops),
        # Labels used to start at 0, and imgaug relies on that.
        segmentation=View(
            skimage.segmentation, slic=partial(skimage.segmentation.slic, start_label=0)
        ),
    )


class _Region:
    def __init__(self, region: Any) -> None:
        self._region = region

    @property
    def mean_intensity(self) -> Any:
        return self._region.intensity_mean


def weather(module: Any) -> None:
    draw = module.SnowflakesLayer.draw_on_image

    def draw_on_image(self: Any, image: Any, random_state: Any) -> Any:
        # The size of a noise grid depends on the dtype: int(40 * (1 - 0.1)) is 36 in float64, which
        # NumPy 1 makes of float32 scalars here, but 35 in float32.
        layer = copy.copy(self)
        for name in ("flake_size", "flake_size_uniformity", "speed", "blur_sigma_fraction"):
            setattr(layer, name, PlainNumbers(getattr(self, name)))
        return draw(layer, image, random_state)

    module.SnowflakesLayer.draw_on_image = draw_on_image


def imgcorruptlike(module: Any) -> None:
    glass_blur = module._apply_glass_blur_imgaug
    # It imports scikit-image's gaussian() at each call, so it gets an `import` of its own.
    builtins = importing({"skimage.filters": _filters_with_multichannel})
    module._apply_glass_blur_imgaug = FunctionType(
        glass_blur.__code__,
        {**vars(module), "__builtins__": builtins},
        argdefs=glass_blur.__defaults__,
    )


def corruptions(module: Any) -> None:
    """Patch imagecorruptions 1.1, which is as old as imgaug, and which only imgaug uses."""
    module.np = View(module.np, float_=float)
    module.gaussian = _filters_with_multichannel().gaussian
    module.sk = View(module.sk, util=_util_with_numpy_seed(module.sk.util))


def _filters_with_multichannel() -> View:
    """scikit-image's filters, with the parameter `multichannel`, now called `channel_axis`."""
    filters: Any = importlib.import_module("skimage.filters")

    def gaussian(*args: Any, multichannel: bool = False, **kwargs: Any) -> Any:
        return filters.gaussian(*args, **{"channel_axis": -1 if multichannel else None, **kwargs})

    return View(filters, gaussian=gaussian)


def _util_with_numpy_seed(util: Any) -> View:
    """scikit-image's helpers, with noise that is seeded by `numpy.random`, as imgaug expects."""

    def random_noise(image: Any, mode: str = "gaussian", rng: Any = None, **kwargs: Any) -> Any:
        import numpy as np

        seed = np.random.randint(2**31 - 1) if rng is None else rng
        return util.random_noise(image, mode, rng=seed, **kwargs)

    return View(util, random_noise=random_noise)
