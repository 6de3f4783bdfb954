"""What is mended in the augmenters of imgaug 0.4.0, but the geometric ones: by module."""

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
            # imgaug lists a set of strings: in each process another mode for the same seed.
            parameter = module.iap.Choice(sorted(parameter.a))
        return parameter

    module._handle_pad_mode_param = _handle_pad_mode_param


def blur(module: Any) -> None:
    ksize = module._compute_gaussian_blur_ksize

    # A float32 sigma times a Python float: a double in NumPy 1. Near a whole number int() tells.
    module._compute_gaussian_blur_ksize = lambda sigma: ksize(float(sigma))


def color(module: Any) -> None:
    kelvins = module._KelvinToRGBTable
    transform = kelvins.transform_kelvins_to_rgb_multipliers

    def transform_kelvins_to_rgb_multipliers(self: Any, values: Any) -> Any:
        import numpy as np

        # Upstream multiplies (N,) by (N, 3): it fails, and in a batch of three it mixes up axes.
        return np.concatenate([transform(self, values[i : i + 1]) for i in range(len(values))])

    def _generate_quantize_uniform_table(cls: Any, centerize: bool) -> Any:
        import numpy as np

        # In float32, as NumPy 1 did it: upstream's NumPy scalars make doubles of it in NumPy 2.
        sizes = (256 / np.arange(1, 255)).astype(np.float32)[:, np.newaxis]
        bins = np.floor(np.arange(256, dtype=np.float32) / sizes) * sizes
        table = np.zeros((256, 256), np.uint8)
        table[1:255] = np.clip(np.round(bins + sizes / 2 if centerize else bins), 0, 255)
        return table

    _lasting_table(module.AddToHueAndSaturation)
    kelvins.transform_kelvins_to_rgb_multipliers = transform_kelvins_to_rgb_multipliers
    module._QuantizeUniformLUTTable._generate_quantize_uniform_table = classmethod(
        _generate_quantize_uniform_table
    )


def _lasting_table(augmenter: Any) -> None:
    transform = augmenter._transform_image_cv2.__func__

    def _transform_image_cv2(cls: Any, *args: Any) -> Any:
        if augmenter._LUT_CACHE is None:
            # Only __init__ makes it, which an augmenter that comes to a worker does not go through.
            augmenter._LUT_CACHE = augmenter._generate_lut_table()
        return transform(cls, *args)

    augmenter._transform_image_cv2 = classmethod(_transform_image_cv2)


def pillike(module: Any) -> None:
    autocontrast = module._autocontrast_pil

    def _autocontrast_pil(image: Any, cutoff: Any, ignore: Any) -> Any:
        # Pillow calls int() on it, which NumPy 2.4 refuses to do for an array of one element.
        return autocontrast(image, cutoff.item() if hasattr(cutoff, "item") else cutoff, ignore)

    module._autocontrast_pil = _autocontrast_pil


def segmentation(module: Any) -> None:
    skimage = module.skimage

    def regionprops(*args: Any, **kwargs: Any) -> list[_Region]:
        return [_Region(region) for region in skimage.measure.regionprops(*args, **kwargs)]

    module.skimage = View(
        skimage,
        measure=View(skimage.measure, regionprops=regionprops),
        # Labels used to start at 0, and imgaug counts on it.
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
        # The size of a noise grid hangs on it: int(40 * (1 - 0.1)) is 36 with doubles, as NumPy 1
        # made of float32 scalars, but 35 with float32.
        layer = copy.copy(self)
        for name in ("flake_size", "flake_size_uniformity", "speed", "blur_sigma_fraction"):
            setattr(layer, name, PlainNumbers(getattr(self, name)))
        return draw(layer, image, random_state)

    module.SnowflakesLayer.draw_on_image = draw_on_image


def imgcorruptlike(module: Any) -> None:
    glass_blur = module._apply_glass_blur_imgaug
    # It imports scikit-image's gaussian() whenever it is called, hence an import of its own.
    builtins = importing({"skimage.filters": _filters_with_multichannel})
    module._apply_glass_blur_imgaug = FunctionType(
        glass_blur.__code__,
        {**vars(module), "__builtins__": builtins},
        argdefs=glass_blur.__defaults__,
    )


def corruptions(module: Any) -> None:
    """Mend imagecorruptions 1.1, which is of the age of imgaug and of use to it alone."""
    module.np = View(module.np, float_=float)
    module.gaussian = _filters_with_multichannel().gaussian
    module.sk = View(module.sk, util=_util_with_numpy_seed(module.sk.util))


def _filters_with_multichannel() -> View:
    """scikit-image's filters, which once took `multichannel` in the place of `channel_axis`."""
    filters: Any = importlib.import_module("skimage.filters")

    def gaussian(*args: Any, multichannel: bool = False, **kwargs: Any) -> Any:
        return filters.gaussian(*args, **{"channel_axis": -1 if multichannel else None, **kwargs})

    return View(filters, gaussian=gaussian)


def _util_with_numpy_seed(util: Any) -> View:
    """scikit-image's helpers, drawing noise by `numpy.random`, which imgaug seeds for them."""

    def random_noise(image: Any, mode: str = "gaussian", rng: Any = None, **kwargs: Any) -> Any:
        import numpy as np

        seed = np.random.randint(2**31 - 1) if rng is None else rng
        return util.random_noise(image, mode, rng=seed, **kwargs)

    return View(util, random_noise=random_noise)
