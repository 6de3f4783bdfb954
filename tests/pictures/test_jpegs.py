"""JPEGs in colour: three decoders, the same pixels."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from aioaug import _pictures
from aioaug._pictures import reading
from PIL import Image
from skimage import data

PHOTOGRAPH = Image.fromarray(data.chelsea()).crop((0, 0, 451, 299))


def jpeg(**options):
    file = io.BytesIO()
    PHOTOGRAPH.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture(params=["simplejpeg", "cv2"])
def decoder(request, monkeypatch):
    pytest.importorskip(request.param)
    if request.param == "cv2":
        monkeypatch.setattr(reading, "_simplejpeg", lambda: None)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 75, "subsampling": 2},
        {"quality": 95, "subsampling": 0},
        {"quality": 80, "subsampling": 1, "progressive": True},
        {"quality": 90, "keep_rgb": True},
    ],
)
def test_as_pillow_decodes_them(options):
    content = jpeg(**options)
    pixels, size = _pictures.decode_upright(content)
    assert size == (299, 451)
    assert np.array_equal(pixels, _pictures.decode(content).pixels)
    assert np.array_equal(pixels, _pictures.decode_pixels(content, "rgb"))


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("needed", "by"), [((150, 150), 1), ((149, 225), 2), ((40, 90), 4), ((8, 8), 8)]
)
def test_what_becomes_small_is_decoded_small(needed, by):
    content = jpeg(quality=90)
    pixels, size = _pictures.decode_upright(content, lambda _: needed)
    assert size == (299, 451)
    assert pixels.shape == (-(-299 // by), -(-451 // by), 3)
    flags = {1: 1, 2: 17, 4: 33, 8: 65}[by]
    known = cv2.imdecode(np.frombuffer(content, np.uint8), flags)[:, :, ::-1]
    assert np.array_equal(pixels, known)


@pytest.mark.usefixtures("decoder")
def test_doubtful_files_are_decoded_as_before():
    content = jpeg(quality=90)
    doubtful = content[:-2] + b"\x00\x00\x00" + content[-2:]
    known = cv2.imdecode(np.frombuffer(doubtful, np.uint8), 1)[:, :, ::-1]
    assert np.array_equal(_pictures.decode_upright(doubtful)[0], known)
