"""JPEGs in colour: three decoders, the same pixels."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from aioaug import _pictures
from aioaug._pictures import jpegs, turbojpeg
from PIL import Image
from skimage import data

PHOTOGRAPH = Image.fromarray(data.chelsea()).crop((0, 0, 451, 299))


def jpeg(**options):
    file = io.BytesIO()
    PHOTOGRAPH.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture(params=["turbojpeg", "simplejpeg", "cv2"])
def decoder(request, monkeypatch):
    if request.param == "turbojpeg":
        if turbojpeg.library() is None:
            pytest.skip("libjpeg-turbo's own library is not there, which no package for pip has")
        return
    pytest.importorskip(request.param)
    monkeypatch.setattr(turbojpeg, "library", lambda: None)
    if request.param == "cv2":
        monkeypatch.setattr(jpegs, "installed", lambda: None)


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


@pytest.mark.parametrize("quality", [1, 30, 75, 90, 100])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (17, 33), (224, 225)])
def test_written_ones_have_the_bytes_of_pillow(size, quality):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    assert _pictures.encode(_pictures.Picture(pixels), ".jpg", quality) == file.getvalue()


KINDS = {
    "all colours": {"subsampling": 0},
    "half of the columns": {"subsampling": 1},
    "half of both": {"subsampling": 2},
    "restarts": {"subsampling": 2, "restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "turned": {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"},
}


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_that_of_the_whole_picture(kind):
    content = jpeg(quality=90, **KINDS[kind])
    whole, size = _pictures.decode_upright(content)
    scratch, rng = _pictures.Scratch(), np.random.default_rng(0)
    for _ in range(40):
        top, bottom = sorted(rng.choice(size[0] + 1, 2, replace=False).tolist())
        left, right = sorted(rng.choice(size[1] + 1, 2, replace=False).tolist())
        part = _pictures.Region(top, bottom, left, right)
        pixels, known = _pictures.decode_part(content, lambda _, part=part: part, scratch)
        assert known == size
        assert np.array_equal(pixels, whole[top:bottom, left:right]), part
        assert not np.shares_memory(pixels, scratch.of(1))


def test_what_is_below_a_part_is_not_decoded(monkeypatch):
    pytest.importorskip("simplejpeg")
    monkeypatch.setattr(turbojpeg, "library", lambda: None)
    content = jpeg(quality=90)
    frame = jpegs.frame_of(content)
    upper, lower = _pictures.Region(0, 90, 5, 9), _pictures.Region(200, 299, 5, 9)
    damaged = content[:-4000] + bytes(3998) + content[-2:]
    for each in (content, damaged):
        pixels = jpegs.part_in_colour(each, frame, upper, _pictures.Scratch())
        assert np.array_equal(pixels, _pictures.decode(content).pixels[:90, 5:9])
        assert jpegs.part_in_colour(each, frame, lower, _pictures.Scratch()) is None


@pytest.mark.parametrize("lacking", ["", "/no/such/library.so", "libc.so.6"])
def test_a_library_that_is_none(lacking, monkeypatch):
    """An older one has other functions."""
    monkeypatch.setenv(turbojpeg.LIBRARY, lacking)
    assert turbojpeg.library.__wrapped__() is None


def test_the_library_decodes_no_more_than_the_part(monkeypatch):
    if turbojpeg.library() is None:
        pytest.skip("libjpeg-turbo's own library is not there, which no package for pip has")
    content = jpeg(quality=90)
    frame, asked = jpegs.frame_of(content), []
    decode = turbojpeg.PartDecoder.decode

    def noted(decoder, data, *box):
        asked.append(box[:4])
        return decode(decoder, data, *box)

    monkeypatch.setattr(turbojpeg.PartDecoder, "decode", noted)
    part = _pictures.Region(100, 140, 150, 200)
    pixels = jpegs.part_in_colour(content, frame, part, _pictures.Scratch())
    assert np.array_equal(pixels, _pictures.decode(content).pixels[100:140, 150:200])
    assert asked == [(144, 98, 58, 44)]
    for wrong in (content[:-9000] + bytes(2000) + content[-7000:], content[:600] + content[-2:]):
        last = _pictures.Region(200, 299, 0, 9)
        assert jpegs.part_in_colour(wrong, frame, last, _pictures.Scratch()) is None
