"""JPEG, by OpenCV's encoder and the faster decoder of simplejpeg, if it is installed, or OpenCV's.

They take less time than Pillow's. All are of the same library with the same tables, so that the
bytes usually are equal. But the library has other versions in other builds.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa

from ..colors import compress_jpeg, jpeg_quality
from ..replacements import Faster, calling, replaces

try:
    from simplejpeg import decode_jpeg
except ImportError:
    decode_jpeg = None


def compress_by_opencv(image: Any, compression: int) -> Any:
    """Only the common pictures."""
    quality = jpeg_quality(image, compression)
    if quality is None:
        return compress_jpeg(image, compression)
    encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )[1]
    if decode_jpeg is not None:
        return decode_jpeg(encoded)
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@replaces(iaa.JpegCompression, close=True)
class CompressedByOpenCV(Faster):
    _augment_batch_ = calling(iaa.JpegCompression._augment_batch_, compress_jpeg=compress_by_opencv)
