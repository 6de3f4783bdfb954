"""Picture files to pixels and back: PNG, JPEG, BMP, TIFF and WebP, by way of Pillow.

Pixels are `uint8` (H,W,3) whatever the file holds, grey and palette pictures too, so that every
pipeline takes every picture; a grey one is written grey again. Only 16-bit grey stays what it
is, `uint16` (H,W,1), and needs a pipeline that takes it. An alpha channel is kept apart. EXIF's
orientation is applied and the rest of EXIF dropped; a colour profile is handed on. Of several
frames or pages the first is read. 16 bits in colour and floats are refused: Pillow would lose
half of them.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnreadablePictureError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_FORMATS = {
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
SUFFIXES = frozenset(_FORMATS)
_WITH_ALPHA = ("PNG", "TIFF", "WEBP")
_PNG_LEVEL = 3  # Pillow's 6 takes three times as long and saves a tenth
_FORMATS_OF_16_BITS = ("PNG", "TIFF")
_GREY_16 = ("I", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True)
class Picture:
    """What a picture file holds. `pixels` is (H,W,3) or (H,W,1), `alpha` (H,W) or `None`."""

    pixels: np.ndarray[Any, Any]
    alpha: np.ndarray[Any, Any] | None = None
    grey: bool = False
    profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


def is_picture(path: Path) -> bool:
    """Whether `path` has the name of a picture that can be read and written."""
    return path.suffix.lower() in SUFFIXES


def read(path: Path) -> Picture:
    """Decode the picture at `path`; any failure is an `UnreadablePictureError`."""
    from PIL import Image, ImageOps

    try:
        if path.exists() and not path.is_file():
            raise UnreadablePictureError("is no file")  # a pipe would be waited for
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of large pictures
            with Image.open(path, formats=sorted(set(_FORMATS.values()))) as file:
                _refuse_deep_colour(file)
                return _from_image(ImageOps.exif_transpose(file))
    except UnreadablePictureError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything
        why = "is not a picture" if type(error).__name__ == "UnidentifiedImageError" else str(error)
        raise UnreadablePictureError(" ".join(why.split()) or type(error).__name__) from error


def encode(picture: Picture, suffix: str, quality: int) -> bytes:
    """The bytes of a picture file with this suffix; the same for the same picture.

    Where the format has no alpha, the picture is laid on white.
    """
    name = _FORMATS[suffix.lower()]
    image = _to_image(picture, name)
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


def _refuse_deep_colour(file: Any) -> None:
    # The tiles' raw mode is the only trace: Pillow itself says RGB, and drops the low bytes.
    if file.mode not in _GREY_16 and any(";16" in str(tile[3]) for tile in file.tile):
        raise UnreadablePictureError("16 bits a channel are read in grey pictures only")
    if file.mode == "F":
        raise UnreadablePictureError("pictures of floats are not read")


def _from_image(image: Image.Image) -> Picture:
    import numpy as np

    profile = image.info.get("icc_profile")
    if image.mode in _GREY_16:
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


def _to_image(picture: Picture, name: str) -> Image.Image:
    import numpy as np
    from PIL import Image

    if picture.pixels.dtype == np.uint16:
        if name not in _FORMATS_OF_16_BITS:
            raise ValueError(f"{name} cannot hold 16 bits a channel; PNG and TIFF can")
        return Image.fromarray(np.ascontiguousarray(picture.pixels[:, :, 0]))
    if picture.alpha is not None and name not in _WITH_ALPHA:
        return _to_image(replace(picture, pixels=_on_white(picture), alpha=None), name)
    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    if picture.grey:
        image = image.convert("L")
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image


def _on_white(picture: Picture) -> np.ndarray[Any, Any]:
    import numpy as np

    if picture.alpha is None:
        return picture.pixels
    opaque = picture.alpha[:, :, np.newaxis].astype(np.float32) / 255
    return np.rint(picture.pixels * opaque + 255 * (1 - opaque)).astype(np.uint8)
