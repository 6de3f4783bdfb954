"""Pictures whose pixels are numbers of classes: grey ones, and the indices of palettes."""

from __future__ import annotations

import io

from ..errors import UnreadablePictureError
from .reading import Array, errors_of_decoders, opened

_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def decode_map(data: bytes) -> Array:
    """The numbers (H,W) `int32` in a picture; those of a palette are its indices, not its colours.

    Raises `UnreadablePictureError` for what is no picture, and for one in colours.
    """
    import numpy as np

    with errors_of_decoders(), opened(data) as file:
        if file.mode not in _MODES:
            raise UnreadablePictureError(f"has colours ({file.mode}), and no numbers of classes")
        return np.array(file).astype(np.int32)


def palette_of(data: bytes) -> bytes | None:
    """The colours of a picture's palette, red, green and blue in turn, if it has one."""
    with errors_of_decoders(), opened(data) as file:
        palette = file.getpalette("RGB") if file.mode == "P" else None
        return None if palette is None else bytes(palette)


def encode_map(numbers: Array, palette: bytes | None = None) -> bytes:
    """The bytes of a PNG of such numbers, from 0 to 65535; with a palette, to 255."""
    import numpy as np
    from PIL import Image

    deep = palette is None and numbers.size and numbers.max() > 255
    image = Image.fromarray(numbers.astype(np.uint16 if deep else np.uint8))
    if palette is not None:
        image.putpalette(palette)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
