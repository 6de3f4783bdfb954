"""Pictures on disk: read as Keras reads them, and saved for a look at what came out.

`.npy` files are arrays as they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .. import _pictures
from .._pictures import Array
from ..errors import UnreadablePictureError

SUFFIXES = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff", "gif", "webp", "npy")
_SAVED_AS = {"jpg": "jpeg", "tif": "tiff"}
SAVE_FORMATS = ("png", "jpeg", "bmp", "pdf", "ppm", "gif", "tif", "jpg")


def read_picture(
    path: str,
    color_mode: str,
    size: tuple[int, int] | None,
    interpolation: str | None,
    *,
    crop: bool = False,
    upright: bool = False,
) -> Array:
    """The pixels (H,W,C) of a file, resized to `size` (height, width), as `decode_pixels` does.

    With `interpolation=None` they keep the size they have. Raises `UnreadablePictureError`, which
    names the file, and the system's own errors.
    """
    try:
        if path.lower().endswith(".npy"):
            return np.atleast_3d(np.load(path, allow_pickle=False))
        data = _pictures.load(path)
        if interpolation is None:
            return _pictures.decode_pixels(data, color_mode, upright=upright)
        return _pictures.decode_pixels(
            data, color_mode, size, interpolation, crop=crop, upright=upright
        )
    except Exception as error:  # NumPy, too, raises nearly anything
        if isinstance(error, OSError) and error.filename is not None:
            raise  # the system's own error, which names the file
        raise UnreadablePictureError(f"{path} cannot be read: {error}") from error


def save_picture(path: Path, x: Array, file_format: str) -> None:
    """Write `x` (H,W,C) with its smallest value as black and its largest as white."""
    stretched = x.astype(np.float64) - x.min()
    if top := stretched.max():
        stretched *= 255 / top
    pixels = stretched.astype(np.uint8)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if image.mode == "RGBA" and file_format not in ("png", "tif", "gif"):
        image = image.convert("RGB")
    image.save(path, format=_SAVED_AS.get(file_format, file_format))
