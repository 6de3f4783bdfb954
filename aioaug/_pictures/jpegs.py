"""JPEGs in colour to pixels, faster than by Pillow, at a fraction of their size, or in part."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from . import turbojpeg

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
Size = tuple[int, int]  # height and width

JPEG = b"\xff\xd8\xff"
_END = b"\xff\xd9"
# OpenCV's flags for a picture in colour, by how much smaller it is made in decoding.
_REDUCED = {1: 1, 2: 17, 4: 33, 8: 65}
_BASELINE, _SCAN = (0xC0, 0xC1), 0xDA  # markers: frames of one pass, and where their pixels begin
_FRAMES, _NO_FRAMES = range(0xC0, 0xD0), (0xC4, 0xC8, 0xCC)
# Colours may have half as many rows and columns as the picture: then a pixel is mixed of several of
# them, which lie up to so many pixels farther.
_MIXED = 2
_WORTHWHILE = 8  # rows or columns: nothing is won by fewer


class JpegFrame(NamedTuple):
    """What the head of a JPEG says; the orientation, if any, is in its EXIF."""

    height: int
    width: int
    components: int
    has_exif: bool
    place: int  # of the frame header in the file

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.height, self.width


class Region(NamedTuple):
    """A part of a picture: rows from `top` to before `bottom`, and columns in the same way."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def of(self, pixels: Array) -> Array:
        """This part, as a view."""
        return pixels[self.top : self.bottom, self.left : self.right]


class Scratch:
    """Memory for pixels of which only a part is kept: for one picture after the other.

    It stays in the processor's cache, while new memory for each would come from main memory.
    """

    def __init__(self) -> None:
        self._memory: Array | None = None
        self._decoder: turbojpeg.PartDecoder | None = None

    @property
    def decoder(self) -> turbojpeg.PartDecoder | None:
        """What decodes parts into it, where the library for that is there."""
        if self._decoder is None and (library := turbojpeg.library()) is not None:
            self._decoder = turbojpeg.PartDecoder(library)
        return self._decoder

    def of(self, nbytes: int) -> Array:
        """At least so many bytes, which hold anything."""
        import numpy as np

        if self._memory is None or self._memory.size < nbytes:
            self._memory = np.empty(nbytes, np.uint8)
        return self._memory


def frame_of(data: bytes) -> JpegFrame | None:
    """The frame header of a JPEG (ITU-T T.81, B.2.2), if there is one."""
    place, has_exif = 2, False
    while place + 9 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        has_exif = has_exif or (marker == 0xE1 and data[place + 4 : place + 8] == b"Exif")
        if marker in _FRAMES and marker not in _NO_FRAMES:
            height, width = (int.from_bytes(data[at : at + 2]) for at in (place + 5, place + 7))
            return JpegFrame(height, width, data[place + 9], has_exif, place)
        place = _behind(data, place)
    return None


def in_colour(data: bytes, frame: JpegFrame, upright: bool, reduction: int = 1) -> Array | None:
    """A JPEG in colour, decoded by simplejpeg or OpenCV; `None` leaves it to Pillow.

    All use libjpeg-turbo and give the same pixels. Pictures of other kinds of channels, and
    damaged ones, which OpenCV fills with grey without a word, are Pillow's. So are those that are
    too large to be honest, which OpenCV would take gigabytes for, and Pillow refuses.
    """
    import cv2
    import numpy as np

    if not _is_for_us(data, frame):
        return None
    simplejpeg = installed()
    if simplejpeg is not None and not (upright and frame.has_exif):
        with suppress(ValueError):  # it has doubts about the file, which OpenCV may not have
            decoded: Array = simplejpeg.decode_jpeg(
                data,
                min_height=-(-frame.height // reduction),
                min_width=-(-frame.width // reduction),
                min_factor=reduction,
            )
            return decoded
    flags = _REDUCED[reduction] | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def part_in_colour(data: bytes, frame: JpegFrame, part: Region, scratch: Scratch) -> Array | None:
    """A part of what `in_colour` gives, without decoding all of the picture.

    libjpeg-turbo's own library decodes no more than the part, and simplejpeg nothing below it.
    `None` where all has to be decoded, and where little would be won by this.
    """
    if frame.has_exif or not _is_for_us(data, frame) or not _is_in_one_pass(data, frame):
        return None
    if scratch.decoder is not None:
        return _middle(bytes(data), frame, part, scratch, scratch.decoder)
    return _upper(data, frame, part, scratch)


def _middle(
    data: bytes, frame: JpegFrame, part: Region, scratch: Scratch, decoder: turbojpeg.PartDecoder
) -> Array | None:
    height, width = part.size
    if min(height, width) < 1 or (
        frame.height - height < _WORTHWHILE and frame.width - width < _WORTHWHILE
    ):
        return None
    step = decoder.begin(data)
    if step is None:
        return None
    left, top = max(part.left - _MIXED, 0) // step * step, max(part.top - _MIXED, 0)
    right = min(part.right + _MIXED, frame.width)
    bottom = min(part.bottom + _MIXED, frame.height)
    across, down = right - left, bottom - top
    pixels = scratch.of(across * down * 3)[: across * down * 3].reshape(down, across, 3)
    if not decoder.decode(data, left, top, across, down, pixels):
        return None
    inner = Region(part.top - top, part.bottom - top, part.left - left, part.right - left)
    return inner.of(pixels).copy()


def _upper(data: bytes, frame: JpegFrame, part: Region, scratch: Scratch) -> Array | None:
    simplejpeg = installed()
    height = part.bottom + _MIXED
    if simplejpeg is None or frame.height - height < _WORTHWHILE:
        return None
    # The decoder is told of as many rows as are wanted. It doubts what follows those, as what
    # follows the end of a picture is usually damage.
    shorter = bytearray(data)
    shorter[frame.place + 5 : frame.place + 7] = height.to_bytes(2)
    memory = scratch.of(height * frame.width * frame.components)
    with suppress(ValueError):
        decoded = simplejpeg.decode_jpeg(shorter, buffer=memory, strict=False)
        return part.of(decoded).copy()
    return None


@cache
def installed() -> Any:
    """simplejpeg, the fastest decoder, if it is installed."""
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def _is_for_us(data: bytes, frame: JpegFrame) -> bool:
    """Whether it is in colour, complete, and not larger than Pillow takes it."""
    from PIL import Image

    most = Image.MAX_IMAGE_PIXELS
    if frame.components != 3 or not data.rstrip(b"\0").endswith(_END):
        return False
    return most is None or frame.height * frame.width <= most


def _is_in_one_pass(data: bytes, frame: JpegFrame) -> bool:
    """Whether all colours of a row stand together, row after row."""
    if data[frame.place + 1] not in _BASELINE:
        return False
    place = _behind(data, frame.place)
    while place + 4 < len(data) and data[place] == 0xFF:
        if data[place + 1] == _SCAN:
            return data[place + 4] == frame.components
        place = _behind(data, place)
    return False


def _behind(data: bytes, place: int) -> int:
    """Where the next marker is."""
    return place + 2 + int.from_bytes(data[place + 2 : place + 4])
