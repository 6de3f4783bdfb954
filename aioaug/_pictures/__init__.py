"""Picture files to pixels and back: the one place where they are decoded and encoded."""

from .maps import decode_map, encode_map, palette_of
from .reading import Array, Picture, decode, decode_pixels, load, read
from .writing import encode

__all__ = [
    "Array",
    "Picture",
    "decode",
    "decode_map",
    "decode_pixels",
    "encode",
    "encode_map",
    "load",
    "palette_of",
    "read",
]
