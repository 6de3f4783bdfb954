"""libjpeg-turbo's own library, version 3 or later, where there is one: it decodes parts of JPEGs.

No package for pip has it. It comes with conda-forge's `libjpeg-turbo`, which most of what reads
pictures there depends on, with Homebrew's, and with some systems.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

# This variable of the environment names the library, or none, if it is empty.
LIBRARY = "AIOAUG_TURBOJPEG"
_DECOMPRESS, _RGB, _SUBSAMPLING = 1, 0, 4  # TJINIT_DECOMPRESS, TJPF_RGB, TJPARAM_SUBSAMP
_BLOCK_WIDTHS = (8, 16, 16, 8, 8, 32, 8)  # tjMCUWidth, by the kind of subsampling
_HOMEBREW = ("/opt/homebrew/opt/jpeg-turbo/lib", "/usr/local/opt/jpeg-turbo/lib")


class _Box(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("x", "y", "w", "h")]


# Results and arguments of those functions that are called.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "tj3Init": (ctypes.c_void_p, [ctypes.c_int]),
    "tj3Destroy": (None, [ctypes.c_void_p]),
    "tj3Get": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
    "tj3DecompressHeader": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
    "tj3SetCroppingRegion": (ctypes.c_int, [ctypes.c_void_p, _Box]),
    "tj3Decompress8": (
        ctypes.c_int,
        [
            *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
            *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
        ],
    ),
}


@cache
def library() -> Any:
    """The library; `None` where there is none, or an older one."""
    for name in _names():
        with suppress(OSError, AttributeError):
            found = ctypes.CDLL(name)
            for function, (result, arguments) in _FUNCTIONS.items():
                entry = getattr(found, function)
                entry.restype, entry.argtypes = result, arguments
            return found
    return None


def _names() -> Iterator[str]:
    if LIBRARY in os.environ:
        yield from filter(None, [os.environ[LIBRARY]])
        return
    if sys.platform == "win32":
        yield os.path.join(sys.prefix, "Library", "bin", "turbojpeg.dll")
        return
    name = "libturbojpeg.dylib" if sys.platform == "darwin" else "libturbojpeg.so.0"
    yield os.path.join(sys.prefix, "lib", name)
    if sys.platform == "darwin":
        yield from (os.path.join(folder, name) for folder in _HOMEBREW)
    else:
        yield name


class PartDecoder:
    """Decodes parts of JPEGs, one after the other, and keeps what it needs for that."""

    def __init__(self, found: Any) -> None:
        self._library = found
        self._handle = found.tj3Init(_DECOMPRESS)
        if not self._handle:
            raise MemoryError("libjpeg-turbo cannot begin")
        weakref.finalize(self, found.tj3Destroy, self._handle).atexit = False

    def begin(self, data: bytes) -> int | None:
        """Read the head: the width that the left side of a part has to be a multiple of, if any."""
        if self._library.tj3DecompressHeader(self._handle, data, len(data)):
            return None
        kind = self._library.tj3Get(self._handle, _SUBSAMPLING)
        return _BLOCK_WIDTHS[kind] if 0 <= kind < len(_BLOCK_WIDTHS) else None

    def decode(self, data: bytes, x: int, y: int, width: int, height: int, into: Any) -> bool:
        """Fill an array with RGB of this part; `False` where there is any doubt about the file."""
        box = _Box(x, y, width, height)
        if self._library.tj3SetCroppingRegion(self._handle, box):
            return False
        failed: int = self._library.tj3Decompress8(
            self._handle, data, len(data), into.ctypes.data, 0, _RGB
        )
        return not failed
