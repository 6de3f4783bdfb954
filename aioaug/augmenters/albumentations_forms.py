"""Faster forms of single transforms of Albumentations, for pictures of 8 bits in 3 or 4 channels.

A form gets a transform, an image, and what has the generators that the transform draws from. It
draws what the transform draws, in its order, and gives the bytes that it gives, or `None` before it
has drawn anything, where the transform's options ask for more than the form does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._base.optional import need

Form = Callable[[Any, Any, Any], Any]


def fits(image: Any) -> bool:
    """Whether forms take this image, once its bytes are in order."""
    import numpy as np

    return bool(
        image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (3, 4) and image.size
    )


def affine(transform: Any, image: Any, draws: Any) -> Any:
    """`Affine` without the matrix for boxes, and with less around the matrix for the image."""
    if transform.fit_output:
        return None
    height, width = shape = image.shape[:2]
    matrix = _matrix(transform, draws, shape)
    if _is_identity(matrix):
        return image
    return _geometry().warp_affine_with_value_extension(
        image,
        matrix[:2],
        (width, height),
        transform.interpolation,
        transform.border_mode,
        transform.fill,
    )


def x_affine(transform: Any, image: Any, draws: Any) -> Any:
    """The same of AlbumentationsX, which also warps by a matrix that moves nothing."""
    if transform.fit_output:
        return None
    shape = image.shape[:2]
    return transform.apply(image, _matrix(transform, draws, shape, draws), shape)


def _geometry() -> Any:
    return need("albumentations.augmentations.geometric.functional", extra="albumentations")


def _matrix(transform: Any, draws: Any, shape: tuple[int, int], *told: Any) -> Any:
    """The matrix for an image; the methods that draw are `told` what from, or know it."""
    geometry = _geometry()
    return geometry.create_affine_transformation_matrix(
        transform._get_translate_params(shape, *told),
        transform._get_shear_params(*told),
        transform._get_scale(
            transform.scale, transform.keep_ratio, transform.balanced_scale, draws.py_random
        ),
        draws.py_random.uniform(*transform.rotate),
        geometry.center(shape),
    )


def _is_identity(matrix: Any) -> bool:
    """Whether `numpy.allclose` takes a matrix for the one that changes nothing, sooner."""
    import numpy as np

    same = np.eye(3)
    return bool((np.abs(matrix - same) <= 1e-8 + 1e-5 * same).all())


def horizontal_flip(transform: Any, image: Any, draws: Any) -> Any:
    """`HorizontalFlip` into memory in order, which OpenCV makes much sooner than NumPy.

    AlbumentationsX gives a view, and the next transform, or the batch, has to copy it by bytes.
    """
    import cv2

    return cv2.flip(image, 1)


def multiplicative_noise(transform: Any, image: Any, draws: Any) -> Any:
    """`MultiplicativeNoise` by one number: one look-up table, and not one for each channel."""
    import numpy as np

    if transform.elementwise or transform.per_channel:
        return None
    drawn = draws.random_generator.uniform(*transform.multiplier, (1,)).astype(np.float32)
    return transform.apply(image, multiplier=float(drawn[0]))


def gauss_noise(transform: Any, image: Any, draws: Any) -> Any:
    """`GaussNoise` in a third of the memory, and of one channel."""
    if transform.noise_scale_factor != 1 or not transform.per_channel:
        return None
    return _noisy(transform, image, draws, image.shape)


def x_gauss_noise(transform: Any, image: Any, draws: Any) -> Any:
    """The same of AlbumentationsX, whose noise may also be one for all channels."""
    channels = image.shape[2] if transform.per_channel else 1
    return _noisy(transform, image, draws, (*image.shape[:2], channels))


def _noisy(transform: Any, image: Any, draws: Any, shape: tuple[int, ...]) -> Any:
    """An image with noise of this shape, around 0.

    Albumentations 2.0 draws in double precision and then rounds. Here OpenCV rounds, which is the
    same as long as nothing is added: both factors have 24 bits, so their product is rounded once.
    Of one channel it draws sooner, and in the same order. The noise is cut to whole numbers, and
    all that fit in 16 bits: it has at most some 13 deviations of 255.
    """
    import cv2
    import numpy as np

    if tuple(transform.mean_range) != (0, 0):
        return None
    deviation = np.float32(draws.py_random.uniform(*transform.std_range))
    draws.py_random.uniform(0, 0)
    cv2.setRNGSeed(int(draws.random_generator.integers(0, 2**16)))
    noise = np.empty(shape, np.float32)
    cv2.randn(noise.reshape(-1, 1), 0, float(deviation))
    noise *= np.float32(255)
    values = np.add(noise.astype(np.int16), image)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


FORMS: dict[str, Form] = {
    "Affine": affine,
    "ShiftScaleRotate": affine,
    "MultiplicativeNoise": multiplicative_noise,
    "GaussNoise": gauss_noise,
}
X_FORMS: dict[str, Form] = {
    "HorizontalFlip": horizontal_flip,
    "Affine": x_affine,
    "ShiftScaleRotate": x_affine,
    "MultiplicativeNoise": multiplicative_noise,
    "GaussNoise": x_gauss_noise,
}
