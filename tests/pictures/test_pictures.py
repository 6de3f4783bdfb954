"""Picture files to pixels and back."""

from __future__ import annotations

import io
import os

import cv2
import numpy as np
import pytest
import tifffile
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


# Pictures that Pillow takes, and gives out wrong.

DEEP = np.arange(0, 60_000, 1000, np.uint16).reshape(10, 6)


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **({"photometric": "minisblack"} | options))
    return file.getvalue()


@pytest.mark.parametrize("value", [0, 255, 256, 4096, 65535])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_lose_the_same_in_every_picture(value, suffix):
    data = _pictures.encode(Picture(np.full((2, 2, 1), value, np.uint16), grey=True), suffix, 95)
    assert np.all(_pictures.decode_pixels(data, "rgb") == value >> 8)
    assert np.all(_pictures.decode_pixels(data, "grayscale") == value)


@pytest.mark.parametrize(("value", "shown"), [(100_000, 255), (-5, 0), (77, 77)])
def test_32_bits_are_clipped_in_colour(value, shown):
    data = tiff(np.full((2, 2), value, np.int32))
    assert np.all(_pictures.decode_pixels(data, "rgb") == shown)
    assert np.all(_pictures.decode_pixels(data, "grayscale") == value)


def test_floats_stay_floats_in_grey_and_are_refused_in_colour():
    values = np.float32([[0.5, -2.5], [790, 0]])
    grey = _pictures.decode_pixels(tiff(values), "grayscale")
    assert np.array_equal(grey[..., 0], values)
    for color_mode in ("rgb", "rgba"):
        with pytest.raises(UnreadablePictureError, match="floats"):
            _pictures.decode_pixels(tiff(values), color_mode)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bits_whose_0_is_white(compression):
    data = tiff(DEEP, photometric="miniswhite", compression=compression)
    assert np.array_equal(_pictures.decode(data).pixels[..., 0], 65535 - DEEP)
    assert np.array_equal(_pictures.decode_pixels(data, "grayscale")[..., 0], 65535 - DEEP)


def test_planes_of_16_bits_are_refused_where_pillow_mixes_them_up():
    planes = np.stack([DEEP, DEEP + 300, DEEP + 600])
    options = {"photometric": "rgb", "planarconfig": "separate"}
    for read in (_pictures.decode, lambda data: _pictures.decode_pixels(data, "rgb")):
        with pytest.raises(UnreadablePictureError, match="16 bits"):
            read(tiff(planes, **options))
    pixels = _pictures.decode_pixels(tiff(planes, **options, compression="zlib"), "rgb")
    assert np.array_equal(pixels, np.moveaxis(planes >> 8, 0, -1))


def test_signed_bytes_are_refused():
    for read in (_pictures.decode, lambda data: _pictures.decode_pixels(data, "rgb")):
        with pytest.raises(UnreadablePictureError, match="signed bytes"):
            read(tiff(np.int8([[-10, 10]])))


def test_portable_pixmaps_of_16_bits():
    samples = DEEP.astype(">u2").tobytes()
    with pytest.raises(UnreadablePictureError, match="16 bits"):
        _pictures.decode(b"P6 2 10 65535\n" + samples)
    assert np.array_equal(_pictures.decode(b"P5 6 10 65535\n" + samples).pixels[..., 0], DEEP)
    colour = _pictures.decode_pixels(b"P5 6 10 65535\n" + samples, "rgb")
    assert np.array_equal(colour[..., 0], DEEP >> 8)
