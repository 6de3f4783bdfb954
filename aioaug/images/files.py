"""Pictures on disk: read as Keras reads them, and saved for a look at what came out.

The pixels are Pillow's: `color_mode` names the conversion, `interpolation` the resampling, EXIF's
orientation is left alone. `.npy` files are arrays as they are. Grey pictures of 16 bits keep
their depth as grey, and lose the lower eight bits in colour.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image

from .._worker.main import is_worker
from ..errors import UnreadablePictureError
from ._types import Array

T = TypeVar("T")

SUFFIXES = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff", "npy")
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
_MODES_OF_16_BITS = ("I", "I;16", "I;16B", "I;16L")
_SAVED_AS = {"jpg": "jpeg", "tif": "tiff"}
SAVE_FORMATS = ("png", "jpeg", "bmp", "pdf", "ppm", "gif", "tif", "jpg")
_JPEG = b"\xff\xd8\xff"


def check_choice(name: str, value: T, choices: Sequence[object]) -> T:
    """Return `value`, or raise `ValueError` if it is not one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}")
    return value


def check_interpolation(interpolation: str | None) -> str | None:
    """Return `interpolation`, `None` for "none", or raise `ValueError`."""
    if interpolation in (None, "none"):
        return None
    return check_choice("interpolation", interpolation, tuple(_RESAMPLING))


def read_picture(
    path: str, color_mode: str, size: tuple[int, int] | None, interpolation: str | None
) -> Array:
    """The pixels (H,W,C) of a file, `uint8` but for deep grey, resized to `size` (height, width).

    With `interpolation=None` they keep the size they have.
    """
    try:
        if path.lower().endswith("npy"):
            array = np.load(path, allow_pickle=False)
            return _with_channels(array)
        data = Path(path).read_bytes()
        pixels = _jpeg(data) if color_mode == "rgb" and data.startswith(_JPEG) else None
        if pixels is not None and (interpolation is None or pixels.shape[:2] == size):
            return pixels
        with _without_warnings():
            image = Image.fromarray(pixels) if pixels is not None else _open(data, color_mode)
            if interpolation is not None and size is not None and image.size != size[::-1]:
                image = image.resize(size[::-1], _RESAMPLING[interpolation])
            return _array(image)
    except OSError as error:
        if error.filename is not None:  # the system's own error, which names the file
            raise
        raise UnreadablePictureError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # decoders raise nearly anything
        raise UnreadablePictureError(f"{path} cannot be read: {error}") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Say nothing of odd metadata and palettes, in a worker process.

    In one thread of many the filters belong to all of them, and would be put back at any time.
    """
    if not is_worker():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _jpeg(data: bytes) -> Array | None:
    """A JPEG in colour, decoded by OpenCV; `None` leaves it to Pillow.

    Both use libjpeg-turbo and give the same pixels. Pictures of other kinds of channels, and
    damaged ones, which OpenCV fills with grey without a word, are Pillow's.
    """
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


def _open(data: bytes, color_mode: str) -> Image.Image:
    with Image.open(io.BytesIO(data)) as file:
        file.load()
        image: Image.Image = file
        if image.mode in _MODES_OF_16_BITS:
            deep = np.asarray(image)
            if color_mode == "grayscale":
                return Image.fromarray(deep.astype(np.int32))
            shallow = deep >> 8 if deep.max() > 255 else deep
            image = Image.fromarray(shallow.astype(np.uint8))
        mode = _MODES[color_mode]
        return image if image.mode == mode else image.convert(mode)


def _array(image: Image.Image) -> Array:
    return _with_channels(np.array(image))


def _with_channels(array: Array) -> Array:
    return array[:, :, np.newaxis] if array.ndim == 2 else array


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
