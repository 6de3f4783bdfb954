"""Picture files to pixels and back: the one place where they are decoded and encoded."""

from .jpegs import Array, Region, Scratch, Size
from .reading import (
    Picture,
    decode,
    decode_map,
    decode_part,
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
    "Region",
    "Scratch",
    "Size",
    "decode",
    "decode_map",
    "decode_part",
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
