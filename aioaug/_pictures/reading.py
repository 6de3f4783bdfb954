"""Bytes of picture files to arrays, by way of Pillow and OpenCV.

`decode` gives all that a file says, as the command line needs it, and `decode_pixels` an array of
the size and the channels that were asked for, as Keras reads pictures. `decode_map` is for pictures
whose pixels are numbers of classes. Of several frames or pages the first is read. Errors do not
name the file: the caller knows what it is called.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._worker.main import is_worker
from ..errors import UnreadablePictureError
from . import jpegs
from .jpegs import JPEG, Array, JpegFrame, Region, Scratch, Size

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

Needed = Callable[[Size], Size]

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
# The names that files of the formats below usually have.
SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
# Pillow knows others, and starts other programs for some of them.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L")
_WHITE_16 = 65535
# Tags of TIFF, and some of their values.
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 256, 257, 258, 262, 284, 339
_SEPARATE, _SIGNED = 2, 2
_ORIENTATION, _ON_ITS_SIDE = 274, range(5, 9)


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


def load(path: str | os.PathLike[str], count: int = -1) -> bytes:
    """The content of a file, or its first bytes. What is no file, as a pipe, is refused."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UnreadablePictureError("is no file")
    with open(path, "rb") as file:
        return file.read(count)


def read(path: str | os.PathLike[str]) -> Picture:
    """`decode` the file at `path`; any failure is an `UnreadablePictureError`."""
    with _errors_of_decoders():
        return decode(load(path))


def decode(data: bytes) -> Picture:
    """A picture, turned as its EXIF says, whose other entries are dropped.

    Raises `UnreadablePictureError` for what is no picture, and for 16 bits in colour and floats,
    half of which Pillow would lose.
    """
    from PIL import ImageOps

    with _errors_of_decoders(), _opened(data) as file:
        if file.mode == "F":
            raise UnreadablePictureError("pictures of floats are not read")
        if file.mode not in _DEEP_GREY and _is_deep(file):
            raise UnreadablePictureError("16 bits a channel are read in grey pictures only")
        return _picture_of(ImageOps.exif_transpose(file), inverted=_is_inverted(file))


def size_of(head: bytes) -> Size | None:
    """The height and width that `decode` gives, out of the first bytes of a file, or all of them.

    `None` if these do not say it, or are of no picture. No pixels are decoded.
    """
    from PIL import Image

    frame = jpegs.frame_of(head) if head.startswith(JPEG) else None
    if frame is not None and not frame.has_exif:
        return frame.size
    try:
        with _errors_of_decoders(), _opened(head) as file:
            # That of PNG would decode all pixels, as EXIF may come behind them.
            turned = Image.Image.getexif(file).get(_ORIENTATION) in _ON_ITS_SIDE
            # Some versions of Pillow turn the size of a TIFF, and others do not.
            width, height = _tag(file, _WIDTH, file.width), _tag(file, _HEIGHT, file.height)
            return (width, height) if turned else (height, width)
    except UnreadablePictureError:
        return None


def decode_upright(data: bytes, needed: Needed | None = None) -> tuple[Array, Size]:
    """The pixels of `decode`, which for most JPEGs come faster, and the height and width they have.

    `needed` says what height and width would do for a picture of a height and width. A JPEG may
    come as a half, a quarter or an eighth, if that is enough: it takes less time.
    """
    with _errors_of_decoders():
        if data.startswith(JPEG) and (frame := jpegs.frame_of(data)) is not None:
            reduction = _reduction(frame, needed) if needed is not None else 1
            pixels = jpegs.in_colour(data, frame, upright=True, reduction=reduction)
            if pixels is not None:
                return pixels, frame.size if reduction > 1 else _size_of(pixels)
        pixels = decode(data).pixels
        return pixels, _size_of(pixels)


def decode_part(
    data: bytes, part: Callable[[Size], Region], scratch: Scratch
) -> tuple[Array, Size]:
    """A part of what `decode_upright` gives, and the height and width of the whole picture.

    `part` says which, for a picture of a height and width. What is not wanted of a JPEG need not be
    decoded. `scratch` is used for nothing else meanwhile.
    """
    with _errors_of_decoders():
        frame = jpegs.frame_of(data) if data.startswith(JPEG) else None
        if frame is not None:
            pixels = jpegs.part_in_colour(data, frame, part(frame.size), scratch)
            if pixels is not None:
                return pixels, frame.size
    pixels, size = decode_upright(data)
    region = part(size)
    return pixels if region.size == size else region.of(pixels).copy(), size


def decode_pixels(
    data: bytes,
    color_mode: str,
    size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    *,
    crop: bool = False,
    upright: bool = False,
) -> Array:
    """The pixels (H,W,C) with the channels of `color_mode`, resized to `size` (height, width).

    With `crop` the middle is taken that has the proportions of `size`, so that nothing is
    distorted. Orientation is left alone, as by Keras, unless `upright` is set.

    As grey, pixels of 16 and 32 bits are `int32`, and those of floats `float32`; all others are
    `uint8`. In colour 16 bits lose the lower eight, 32 bits are clipped to 0 and 255, and floats
    are refused. Raises `UnreadablePictureError`.
    """
    with _errors_of_decoders():
        pixels = None
        if color_mode == "rgb" and data.startswith(JPEG):
            frame = jpegs.frame_of(data)
            pixels = jpegs.in_colour(data, frame, upright) if frame is not None else None
        if pixels is not None and size in (None, pixels.shape[:2]):
            return pixels
        import numpy as np
        from PIL import Image

        image = _image_of(data, color_mode, upright) if pixels is None else Image.fromarray(pixels)
        if size is not None and image.size != size[::-1]:
            box = _middle(image.size, size[::-1]) if crop else None
            image = image.resize(size[::-1], Image.Resampling[interpolation.upper()], box)
        return np.atleast_3d(np.array(image))


def decode_map(data: bytes, colours: Mapping[tuple[int, int, int], int] | None = None) -> Array:
    """The numbers (H,W) `int32` in a picture; those of a palette are its indices, not its colours.

    `colours` are the numbers that stand for red, green and blue in pictures without any.

    Raises `UnreadablePictureError` for what is no picture, and for one in other colours.
    """
    import numpy as np

    with _errors_of_decoders(), _opened(data) as file:
        if colours is not None and file.mode in ("RGB", "RGBA"):
            return _numbers_of_colours(np.array(file)[:, :, :3], colours)
        if file.mode not in ("1", "L", "P", *_DEEP_GREY):
            raise UnreadablePictureError(f"has colours ({file.mode}), and no numbers of classes")
        return np.array(file).astype(np.int32)


def _numbers_of_colours(pixels: Array, colours: Mapping[tuple[int, int, int], int]) -> Array:
    import numpy as np

    one = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, places = np.unique(one, return_inverse=True)
    numbers = []
    for code in found.tolist():
        colour = (code >> 16, code >> 8 & 255, code & 255)
        if colour not in colours:
            raise UnreadablePictureError(f"has the colour {colour}, which is that of no class")
        numbers.append(colours[colour])
    return np.array(numbers, np.int32)[places].reshape(one.shape)


def palette_of(data: bytes) -> bytes | None:
    """The colours of a picture's palette, red, green and blue in turn, if it has one."""
    with _errors_of_decoders(), _opened(data) as file:
        palette = file.getpalette("RGB") if file.mode == "P" else None
        return None if palette is None else bytes(palette)


def _middle(size: tuple[int, int], like: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle with the proportions of `like`, rounded as by Keras."""
    (width, height), (across, down) = size, like
    inner = min(width, height * across // down), min(height, width * down // across)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    return left, top, left + inner[0], top + inner[1]


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


@contextmanager
def _opened(data: bytes) -> Iterator[ImageFile]:
    """A file whose pixels Pillow understands, refusing others that it would take."""
    from PIL import Image

    with _without_warnings(), Image.open(io.BytesIO(data), formats=_FORMATS) as file:
        if _tag(file, _SAMPLE_FORMAT) == _SIGNED and file.mode == "L":
            raise UnreadablePictureError("signed bytes are not read")
        if _tag(file, _PLANES) == _SEPARATE and _is_deep(file) and file.tile[0][0] == "raw":
            raise UnreadablePictureError("16 bits a channel in planes are not read")
        yield file


def _tag(file: ImageFile, number: int, default: int = 0) -> int:
    """What a TIFF says there, of several channels the first, or `default`."""
    value = getattr(file, "tag_v2", {}).get(number, default)
    return int(value[0] if isinstance(value, tuple) else value)


def _is_deep(file: ImageFile) -> bool:
    """Whether there are more than 8 bits a channel; Pillow says RGB and drops the low bytes."""
    tiles: list[Any] = file.tile
    return (
        _tag(file, _BITS) > 8
        or any(";16" in str(how) for _, _, _, how in tiles)
        or any(codec.startswith("ppm") and how[1] > 255 for codec, _, _, how in tiles)
    )


def _is_inverted(file: ImageFile) -> bool:
    """Whether 0 is white; Pillow turns such pictures around if they have 8 bits only."""
    return _tag(file, _BITS) == 16 and _tag(file, _PHOTOMETRIC, 1) == 0


def _picture_of(image: Image.Image, *, inverted: bool) -> Picture:
    import numpy as np

    profile = image.info.get("icc_profile")
    if image.mode in _DEEP_GREY:
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > _WHITE_16:
            raise UnreadablePictureError("32 bits a channel are not read")
        deep = _WHITE_16 - deep if inverted else deep
        return Picture(deep.astype(np.uint16)[:, :, np.newaxis], grey=True, profile=profile)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode == "CMYK":
        profile = None  # it describes inks
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        pixels = np.array(image.convert("RGBA"))
        alpha = np.ascontiguousarray(pixels[:, :, 3])
        return Picture(np.ascontiguousarray(pixels[:, :, :3]), alpha, grey, profile)
    return Picture(np.array(image.convert("RGB")), None, grey, profile)


def _image_of(data: bytes, color_mode: str, upright: bool) -> Image.Image:
    import numpy as np
    from PIL import Image, ImageOps

    with _opened(data) as file:
        file.load()
        image: Image.Image = ImageOps.exif_transpose(file) if upright else file
        if image.mode == "F":
            if color_mode == "grayscale":
                return image
            raise UnreadablePictureError("pictures of floats are read as grayscale only")
        if image.mode in _DEEP_GREY:
            deep = np.asarray(image).astype(np.int32)
            deep = _WHITE_16 - deep if _is_inverted(file) else deep
            if color_mode == "grayscale":
                return Image.fromarray(deep)
            of_16_bits = _tag(file, _BITS) != 32 and _tag(file, _SAMPLE_FORMAT) != _SIGNED
            shallow = deep >> 8 if of_16_bits else deep.clip(0, 255)
            image = Image.fromarray(shallow.astype(np.uint8))
        mode = _MODES[color_mode]
        return image if image.mode == mode else image.convert(mode)


def _reduction(frame: JpegFrame, needed: Needed) -> int:
    """The largest of 1, 2, 4 and 8 by which this may be made smaller in decoding."""
    if frame.has_exif:  # it may be turned, and we do not know how
        return 1
    height, width = needed(frame.size)
    fitting = (
        by for by in (8, 4, 2) if frame.height // by >= height and frame.width // by >= width
    )
    return next(fitting, 1)


def _size_of(pixels: Array) -> Size:
    return pixels.shape[0], pixels.shape[1]
