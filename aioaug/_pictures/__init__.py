"""Picture files to pixels and back: the one place where they are decoded and encoded."""

from .reading import Array, Picture, decode, decode_map, decode_pixels, load, palette_of, read
from .writing import encode, encode_map

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
