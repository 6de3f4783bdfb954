"""Picture files to pixels and back."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from aioaug import _pictures
from aioaug._base import atomic
from aioaug._pictures import Picture
from aioaug.errors import UnreadablePictureError
from PIL import Image, ImageCms

RNG = np.random.default_rng(0)
COLOUR = cv2.GaussianBlur(RNG.integers(0, 256, (40, 60, 3), np.uint8), (0, 0), 3)
ALPHA = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))


def image(mode):
    """A picture in one of Pillow's modes, made of the same colours."""
    if mode == "I;16":
        return Image.fromarray(COLOUR[:, :, 0].astype(np.uint16) * 257)
    if mode in ("RGBA", "LA"):
        whole = Image.fromarray(COLOUR).convert(mode)
        whole.putalpha(Image.fromarray(ALPHA))
        return whole
    return Image.fromarray(COLOUR).convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix", "dtype", "depth", "alpha", "grey", "again"),
    [
        ("RGB", ".png", np.uint8, 3, False, False, "RGB"),
        ("L", ".png", np.uint8, 3, False, True, "L"),
        ("1", ".png", np.uint8, 3, False, True, "L"),
        ("P", ".png", np.uint8, 3, False, False, "RGB"),
        ("RGBA", ".png", np.uint8, 3, True, False, "RGBA"),
        ("LA", ".png", np.uint8, 3, True, True, "LA"),
        ("I;16", ".png", np.uint16, 1, False, True, "I;16"),
        ("I;16", ".tiff", np.uint16, 1, False, True, "I;16"),
        ("RGBA", ".tif", np.uint8, 3, True, False, "RGBA"),
        ("RGBA", ".webp", np.uint8, 3, True, False, "RGBA"),
        ("CMYK", ".jpg", np.uint8, 3, False, False, "RGB"),
        ("L", ".jpeg", np.uint8, 3, False, True, "L"),
        ("RGB", ".bmp", np.uint8, 3, False, False, "RGB"),
    ],
)
def test_every_mode_is_read_and_written(tmp_path, mode, suffix, dtype, depth, alpha, grey, again):
    path = tmp_path / f"a{suffix}"
    image(mode).save(path)
    picture = _pictures.read(path)
    assert picture.pixels.dtype == dtype
    assert picture.pixels.shape == (40, 60, depth)
    assert picture.size == (60, 40)
    assert (picture.alpha is not None, picture.grey) == (alpha, grey)
    data = _pictures.encode(picture, suffix, 95)
    assert data == _pictures.encode(picture, suffix, 95)
    atomic.write(path, data)
    with Image.open(path) as written:
        assert written.mode == again
    if suffix in (".png", ".tif", ".tiff", ".bmp"):
        assert np.array_equal(_pictures.read(path).pixels, picture.pixels)


def test_a_transparent_colour_becomes_an_alpha_channel(tmp_path):
    path = tmp_path / "a.png"
    image("P").save(path, transparency=0)
    assert _pictures.read(path).alpha is not None


def test_a_format_without_alpha_gets_a_white_ground(tmp_path):
    picture = Picture(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    atomic.write(tmp_path / "a.jpg", _pictures.encode(picture, ".jpg", 95))
    assert _pictures.read(tmp_path / "a.jpg").pixels.min() == 255


def test_orientation_is_applied_and_not_written_again(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    image("RGB").save(tmp_path / "a.png", exif=exif)
    picture = _pictures.read(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, np.rot90(COLOUR, -1))
    atomic.write(tmp_path / "b.png", _pictures.encode(picture, ".png", 95))
    assert np.array_equal(_pictures.read(tmp_path / "b.png").pixels, picture.pixels)


def test_a_colour_profile_is_handed_on(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image("RGB").save(tmp_path / "a.jpg", icc_profile=profile)
    picture = _pictures.read(tmp_path / "a.jpg")
    atomic.write(tmp_path / "b.webp", _pictures.encode(picture, ".webp", 95))
    with Image.open(tmp_path / "b.webp") as written:
        assert written.info["icc_profile"] == profile


def test_what_cannot_be_read_says_why(tmp_path):
    whole = tmp_path / "whole.png"
    image("RGB").save(whole)
    (tmp_path / "noise.png").write_bytes(b"noise")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    cv2.imwrite(str(tmp_path / "deep.png"), COLOUR.astype(np.uint16) * 257)
    Image.fromarray(ALPHA.astype(np.float32)).save(tmp_path / "float.tiff")
    reasons = {
        "noise.png": "not a picture",
        "empty.jpg": "not a picture",
        "half.png": "truncated",
        "deep.png": "16 bits",
        "float.tiff": "floats",
        "missing.png": "No such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(UnreadablePictureError, match=reason):
            _pictures.read(tmp_path / name)


def test_16_bits_need_a_format_that_holds_them():
    deep = Picture(np.zeros((4, 4, 1), np.uint16), grey=True)
    with pytest.raises(ValueError, match="PNG and TIFF can"):
        _pictures.encode(deep, ".jpg", 95)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UnreadablePictureError, match="is no file"):
        _pictures.read(tmp_path / "a.png")
