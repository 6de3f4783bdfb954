"""Picture files to pixels and back: the one place where they are decoded and encoded."""

from .reading import Array, Picture, Size, decode, decode_pixels, decode_upright, load, read
from .writing import encode

__all__ = [
    "Array",
    "Picture",
    "Size",
    "decode",
    "decode_pixels",
    "decode_upright",
    "encode",
    "load",
    "read",
]
