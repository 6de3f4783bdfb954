"""Picture files to pixels and back: the one place where they are decoded and encoded."""

from .reading import Picture, decode, decode_pixels, load, read
from .writing import encode

__all__ = ["Picture", "decode", "decode_pixels", "encode", "load", "read"]
