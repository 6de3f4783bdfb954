"""Bytes of picture files to arrays, by way of Pillow and OpenCV.

`decode` gives all that a file says, as the command line needs it, and `decode_pixels` an array of
the size and the channels that were asked for, as Keras reads pictures. Of several frames or pages
the first is read. Errors do not name the file: the caller knows what it is called.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .._worker.main import is_worker
from ..errors import UnreadablePictureError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Array: TypeAlias = "np.ndarray[Any, Any]"

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
# Pillow knows others, and starts other programs for some of them.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L")
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Picture:
    """What a picture file holds.

    `pixels` are `uint8` (H,W,3) whatever the file holds, grey and palette pictures too, so that
    every pipeline takes every picture. Only 16-bit grey stays what it is, `uint16` (H,W,1), and
    needs a pipeline that takes it. `alpha` is (H,W) or `None`, `profile` a colour profile.
    """

    pixels: Array
    alpha: Array | None = None
    grey: bool = False
    profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


def load(path: str | os.PathLike[str]) -> bytes:
    """The content of a file. What is no file is refused: a pipe would be waited for."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UnreadablePictureError("is no file")
    with open(path, "rb") as file:
        return file.read()


def read(path: str | os.PathLike[str]) -> Picture:
    """`decode` the file at `path`; any failure is an `UnreadablePictureError`."""
    with _errors_of_decoders():
        return decode(load(path))


def decode(data: bytes) -> Picture:
    """A picture, turned as its EXIF says, whose other entries are dropped.

    Raises `UnreadablePictureError` for what is no picture, and for 16 bits in colour and floats,
    half of which Pillow would lose.
    """
    from PIL import Image, ImageOps

    with (
        _errors_of_decoders(),
        _without_warnings(),
        Image.open(io.BytesIO(data), formats=_FORMATS) as file,
    ):
        # The tiles' raw mode is the only trace: Pillow itself says RGB, and drops the low bytes.
        if file.mode not in _DEEP_GREY and any(";16" in str(tile[3]) for tile in file.tile):
            raise UnreadablePictureError("16 bits a channel are read in grey pictures only")
        if file.mode == "F":
            raise UnreadablePictureError("pictures of floats are not read")
        return _picture_of(ImageOps.exif_transpose(file))


def decode_pixels(
    data: bytes,
    color_mode: str,
    size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
) -> Array:
    """The pixels (H,W,C) with the channels of `color_mode`, resized to `size` (height, width).

    Orientation is left alone, as by Keras. Grey pictures of 16 bits are `int32` as grey, and lose
    the lower eight bits in colour; all others are `uint8`. Raises `UnreadablePictureError`.
    """
    with _errors_of_decoders():
        pixels = _colour_jpeg(data) if color_mode == "rgb" and data.startswith(_JPEG) else None
        if pixels is not None and size in (None, pixels.shape[:2]):
            return pixels
        import numpy as np
        from PIL import Image

        image = _image_of(data, color_mode) if pixels is None else Image.fromarray(pixels)
        if size is not None and image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling[interpolation.upper()])
        return np.atleast_3d(np.array(image))


@contextmanager
def _errors_of_decoders() -> Iterator[None]:
    """Every failure is an `UnreadablePictureError`: decoders raise nearly anything."""
    try:
        yield
    except UnreadablePictureError:
        raise
    except Exception as error:
        why = "is not a picture" if type(error).__name__ == "UnidentifiedImageError" else str(error)
        raise UnreadablePictureError(" ".join(why.split()) or type(error).__name__) from error


def _without_warnings() -> AbstractContextManager[Any]:
    """Say nothing of odd metadata, palettes and large pictures, in a worker process.

    In one thread of many the filters belong to all of them, and would be put back at any time.
    """
    return warnings.catch_warnings(action="ignore") if is_worker() else nullcontext()


def _picture_of(image: Image.Image) -> Picture:
    import numpy as np

    profile = image.info.get("icc_profile")
    if image.mode in _DEEP_GREY:
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65535:
            raise UnreadablePictureError("32 bits a channel are not read")
        return Picture(deep.astype(np.uint16)[:, :, np.newaxis], grey=True, profile=profile)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode == "CMYK":
        profile = None  # it describes inks
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        pixels = np.array(image.convert("RGBA"))
        alpha = np.ascontiguousarray(pixels[:, :, 3])
        return Picture(np.ascontiguousarray(pixels[:, :, :3]), alpha, grey, profile)
    return Picture(np.array(image.convert("RGB")), None, grey, profile)


def _image_of(data: bytes, color_mode: str) -> Image.Image:
    import numpy as np
    from PIL import Image

    with _without_warnings(), Image.open(io.BytesIO(data), formats=_FORMATS) as file:
        file.load()
        image: Image.Image = file
        if image.mode in _DEEP_GREY:
            deep = np.asarray(image)
            if color_mode == "grayscale":
                return Image.fromarray(deep.astype(np.int32))
            shallow = deep >> 8 if deep.max() > 255 else deep
            image = Image.fromarray(shallow.astype(np.uint8))
        mode = _MODES[color_mode]
        return image if image.mode == mode else image.convert(mode)


def _colour_jpeg(data: bytes) -> Array | None:
    """A JPEG in colour, decoded by OpenCV; `None` leaves it to Pillow.

    Both use libjpeg-turbo and give the same pixels. Pictures of other kinds of channels, and
    damaged ones, which OpenCV fills with grey without a word, are Pillow's.
    """
    import cv2
    import numpy as np

    if _components(data) != 3 or not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _components(data: bytes) -> int:
    """The number of channels in a JPEG's frame header (ITU-T T.81, B.2.2); 0 if there is none."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[place + 9]
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0
