"""Patches for imgaug outside its augmenters, and which of all patches its releases need."""

from __future__ import annotations

import copy
import importlib
import os
import random
import sys
from types import ModuleType
from typing import Any, cast

from . import augmenters, geometric, polygons, rng
from .hook import Release
from .views import PlainNumbers, View


def _numpy_with_sctypes() -> ModuleType:
    """NumPy with the table of types that NumPy 2 dropped; imgaug reads it once, at import."""
    import numpy as np

    types = {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64, np.longdouble],
    }
    return np if hasattr(np, "sctypes") else View(np, sctypes=types)


def _scipy_without_stats() -> ModuleType:
    """SciPy, which loads ``scipy.stats`` (33 MiB, 0.3 s) when TruncatedNormal asks for it."""
    return importlib.import_module("scipy")


def _restore_aliases(module: Any) -> None:
    """Give back ``np.bool`` and ``np.complex``, which NumPy 1.24 dropped."""
    module.np = View(module.np, bool=bool, complex=complex)


def _read_images_as_before(module: Any) -> None:
    """Call imageio by today's names: the old function and its old argument are deprecated."""
    import imageio.v2

    def imread(file: Any, **kwargs: Any) -> Any:
        if "pilmode" in kwargs:
            kwargs["mode"] = kwargs.pop("pilmode")
        return imageio.v2.imread(file, **kwargs)

    module.imageio = View(imageio.v2, imread=imread)


def _imgaug(module: Any) -> None:
    import numpy as np

    module.np = np
    _read_images_as_before(module)
    module._normalize_cv2_input_arr_ = _as_opencv_takes_it(module._normalize_cv2_input_arr_)


def _as_opencv_takes_it(normalize: Any) -> Any:
    """Copy what is contiguous for NumPy alone, too: it takes any stride for an axis of length 1.

    OpenCV refuses to write into such arrays. A single channel of a picture becomes one when it is
    cropped, so `WithChannels(0, Sequential([Crop(...), Posterize(...)]))` failed.
    """

    def normalized(array: Any) -> Any:
        array = normalize(array)
        strides, step = array.strides, array.itemsize
        if array.ndim == 3:
            is_taken = strides[2] == step and strides[1] == step * array.shape[2]
        else:
            is_taken = strides[-1:] in ((), (step,))
        return array if is_taken else array.copy(order="C")

    return normalized


def _parameters(module: Any) -> None:
    _restore_aliases(module)
    _read_images_as_before(module)
    for operation in (module.Add, module.Multiply, module.Subtract):
        operation._draw_samples = _with_plain_numbers(operation._draw_samples, module.Deterministic)


def _parameters_of_imaug(module: Any) -> None:
    _read_images_as_before(module)
    prefetcher = module.AutoPrefetcher
    prefetcher._draw_samples = _without_prefetched(prefetcher._draw_samples)


def _without_prefetched(draw: Any) -> Any:
    def _draw_samples(self: Any, size: Any, random_state: Any) -> Any:
        # imaug draws 10,000 samples at the second call, and keeps them as long as the generator has
        # the same number: the next batch would get samples that the seed of another one determined,
        # and threads would take each other's.
        if rng.is_private():
            return self.other_param._draw_samples(size, random_state)
        return draw(self, size, random_state)

    return _draw_samples


def _with_plain_numbers(draw: Any, deterministic: type) -> Any:
    def _draw_samples(self: Any, size: Any, random_state: Any) -> Any:
        if self.elementwise and not isinstance(self.val, deterministic):
            return draw(self, size, random_state)
        # In NumPy 2, float32 samples times a NumPy integer are float64; times a Python one, not.
        operation = copy.copy(self)
        operation.elementwise, operation.val = False, PlainNumbers(self.val)
        return draw(operation, size, random_state)

    return _draw_samples


def _polys(module: Any) -> None:
    _restore_aliases(module)
    polygons.cut_any(module)


def _multicore(module: Any) -> None:
    def seed(value: Any = None) -> None:
        # Python 3.11 refuses NumPy integers, and imgaug seeds its workers with them.
        random.seed(value if value is None else int(value))

    module.random = View(random, seed=seed)


def _ndimage() -> ModuleType:
    return importlib.import_module("scipy.ndimage")


def _pkg_resources() -> ModuleType:
    """A module with the one function of it that is used; setuptools no longer has it."""
    substitute: Any = ModuleType("pkg_resources")
    substitute.resource_filename = lambda module, name: os.path.join(
        os.path.dirname(sys.modules[module].__file__ or ""), name
    )
    return cast("ModuleType", substitute)


IMAGECORRUPTIONS = Release(
    "",
    {"imagecorruptions.corruptions": augmenters.corruptions},
    {
        "imagecorruptions.corruptions": {
            "pkg_resources": _pkg_resources,
            "scipy.ndimage.interpolation": _ndimage,
        },
    },
)

IMGAUG = Release(
    "0.4.0",
    {
        "imgaug.imgaug": _imgaug,
        "imgaug.random": rng.patch,
        "imgaug.parameters": _parameters,
        "imgaug.multicore": _multicore,
        "imgaug.augmentables.polys": _polys,
        "imgaug.augmenters.arithmetic": _read_images_as_before,
        "imgaug.augmenters.blur": augmenters.blur,
        "imgaug.augmenters.color": augmenters.color,
        "imgaug.augmenters.debug": _read_images_as_before,
        "imgaug.augmenters.geometric": geometric.patch,
        "imgaug.augmenters.imgcorruptlike": augmenters.imgcorruptlike,
        "imgaug.augmenters.meta": _restore_aliases,
        "imgaug.augmenters.pillike": augmenters.pillike,
        "imgaug.augmenters.segmentation": augmenters.segmentation,
        "imgaug.augmenters.size": augmenters.size,
        "imgaug.augmenters.weather": augmenters.weather,
    },
    {
        "imgaug.imgaug": {"numpy": _numpy_with_sctypes},
        "imgaug.parameters": {"scipy.stats": _scipy_without_stats},
    },
)

# A fork that works with NumPy 2 by itself. What it computes there stays as it is: only what
# fails, warns or depends on more than the seed is patched.
IMAUG = Release(
    "0.4.3",
    {
        "imgaug.data": _read_images_as_before,
        "imgaug.random": rng.patch,
        "imgaug.parameters": _parameters_of_imaug,
        "imgaug.augmentables.polys": polygons.cut_any,
        "imgaug.augmenters.arithmetic": _read_images_as_before,
        "imgaug.augmenters.color": augmenters.color_in_batches_and_workers,
        "imgaug.augmenters.debug": _read_images_as_before,
        "imgaug.augmenters.geometric": geometric.patch_imaug,
        "imgaug.augmenters.size": augmenters.size,
    },
    {"imgaug.parameters": {"scipy.stats": _scipy_without_stats}},
    distribution="imaug",
    headless="--force-reinstall --no-deps 'opencv-python-headless<4.13'",
)
