"""Picture files to pixels and back: the one place where they are decoded and encoded."""

from .reading import (
    Array,
    Picture,
    Size,
    decode,
    decode_map,
    decode_pixels,
    decode_upright,
    load,
    palette_of,
    read,
    size_of,
)
from .writing import encode, encode_map, written_suffix

__all__ = [
    "Array",
    "Picture",
    "Size",
    "decode",
    "decode_map",
    "decode_pixels",
    "decode_upright",
    "encode",
    "encode_map",
    "load",
    "palette_of",
    "read",
    "size_of",
    "written_suffix",
]
