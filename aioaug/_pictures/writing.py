"""Pictures to the bytes of files: PNG, JPEG, BMP, TIFF and WebP, by way of Pillow and OpenCV."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .jpegs import Array
from .reading import Picture

if TYPE_CHECKING:
    from PIL import Image

_FORMATS_BY_SUFFIX = {
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_OF_ALL_OTHERS = ".png"
_WITH_ALPHA = ("PNG", "TIFF", "WEBP")
_WITH_16_BITS = ("PNG", "TIFF")
_JPEG_SIDE = 65500  # pixels, at most, in libjpeg
_PNG_LEVEL = 3  # Pillow's 6 takes three times as long and saves a tenth


def written_suffix(suffix: str) -> str:
    """The suffix of a file in which a picture of this suffix is written: PNG's in place of others.

    GIF holds 256 colours, and PPM is hardly read by anything.
    """
    return suffix if suffix.lower() in _FORMATS_BY_SUFFIX else _OF_ALL_OTHERS


def encode(picture: Picture, suffix: str, quality: int) -> bytes:
    """The bytes of a picture file with this suffix; the same for the same picture.

    Where the format has no alpha, the picture is laid on white. A grey picture is written grey,
    and a colour profile is handed on. Raises `ValueError` for 16 bits where they do not fit.
    """
    name = _FORMATS_BY_SUFFIX[suffix.lower()]
    if name == "JPEG" and (fast := _colour_jpeg(picture, quality)) is not None:
        return fast
    image = _image_of(picture, name)
    options: dict[str, Any] = {}
    if name in ("JPEG", "WEBP"):
        options["quality"] = quality
    elif name == "PNG":
        options["compress_level"] = _PNG_LEVEL
    elif name == "TIFF":
        options["compression"] = "tiff_deflate"
    if picture.profile is not None and name != "BMP":
        options["icc_profile"] = picture.profile
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def _colour_jpeg(picture: Picture, quality: int) -> bytes | None:
    """A JPEG in colour, written by OpenCV; `None` leaves it to Pillow.

    Both use libjpeg-turbo, and with the same settings their bytes are the same.
    """
    import cv2
    import numpy as np

    pixels = picture.pixels
    if picture.grey or picture.alpha is not None or picture.profile is not None:
        return None
    if pixels.dtype != np.uint8 or not 0 < max(pixels.shape[:2]) <= _JPEG_SIDE:
        return None
    options = (cv2.IMWRITE_JPEG_QUALITY, quality)
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes() if done else None


def encode_map(numbers: Array, palette: bytes | None = None) -> bytes:
    """The bytes of a PNG of numbers from 0 to 65535; with a palette, to 255."""
    import numpy as np
    from PIL import Image

    deep = palette is None and numbers.size and numbers.max() > 255
    image = Image.fromarray(numbers.astype(np.uint16 if deep else np.uint8))
    if palette is not None:
        image.putpalette(palette)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _image_of(picture: Picture, name: str) -> Image.Image:
    import numpy as np
    from PIL import Image

    if picture.pixels.dtype == np.uint16:
        if name not in _WITH_16_BITS:
            raise ValueError(f"{name} cannot hold 16 bits a channel; PNG and TIFF can")
        return Image.fromarray(np.ascontiguousarray(picture.pixels[:, :, 0]))
    if picture.alpha is not None and name not in _WITH_ALPHA:
        on_white = _on_white(picture.pixels, picture.alpha)
        return _image_of(replace(picture, pixels=on_white, alpha=None), name)
    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    if picture.grey:
        image = image.convert("L")
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image


def _on_white(pixels: Array, alpha: Array) -> Array:
    import numpy as np

    opaque = alpha[:, :, np.newaxis].astype(np.float32) / 255
    return np.rint(pixels * opaque + 255 * (1 - opaque)).astype(np.uint8)
