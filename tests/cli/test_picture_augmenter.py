"""What lies beside picture files, and one picture's way through the augmenter."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from aioaug import errors
from aioaug._base import atomic
from aioaug._pictures import Picture, contact_sheet
from aioaug.augmenters import specs
from aioaug.augmenters.presets import PRESETS
from aioaug.cli import manifest
from aioaug.cli.picture_augmenter import PictureAugmenter
from aioaug.data import Sidecar, sidecars
from aioaug.data.checks import file_at, read_any_json
from aioaug.errors import UnreadableLabelsError
from PIL import Image

RNG = np.random.default_rng(0)
COLOUR = cv2.GaussianBlur(RNG.integers(0, 256, (40, 60, 3), np.uint8), (0, 0), 3)
ALPHA = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))


def read_sidecar(path):
    return sidecars.from_json(read_any_json(file_at(path)), path.name)


def test_writing_replaces_a_link_and_not_what_it_points_to(tmp_path):
    (tmp_path / "original").write_bytes(b"original")
    (tmp_path / "link").symlink_to(tmp_path / "original")
    atomic.write(tmp_path / "link", b"new")
    assert (tmp_path / "original").read_bytes() == b"original"
    assert (tmp_path / "link").read_bytes() == b"new"
    assert {path.name for path in tmp_path.iterdir()} == {"original", "link"}


def test_annotations_keep_what_utf_8_does_not_have(tmp_path):
    text = '{"keypoints": [], "name": "caf\\udce9 \u00e9 \\ud83d"}'
    (tmp_path / "a.json").write_text(text, "utf-8")
    notes = read_sidecar(tmp_path / "a.json")
    assert json.loads(notes.encode()) == json.loads(text)
    assert "\u00e9".encode() in notes.encode()


def test_annotations_move_with_the_picture_and_keep_the_rest(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"keypoints": [[10, 5]], "labels": ["ear"]}))
    notes = read_sidecar(path)
    (tmp_path / "flip.py").write_text(
        "import imgaug.augmenters as iaa\nboth = iaa.Sequential([iaa.Fliplr(1.0), iaa.Add(9)])\n"
    )
    flip = PictureAugmenter(specs.check(f"{tmp_path}/flip.py:both"), 1)
    picture, moved = flip(0, Picture(COLOUR, ALPHA), notes)
    assert np.array_equal(picture.alpha, ALPHA[:, ::-1])  # moved, and not made lighter
    assert np.array_equal(picture.pixels, cv2.add(COLOUR, 9)[:, ::-1])
    assert json.loads(moved.encode()) == {"keypoints": [[50.0, 5.0]], "labels": ["ear"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "a.json: is not JSON"),
        ('{"keypoints": [[1, 2, 3]]}', "lists of 2 numbers"),
        ('{"keypoints": [[1, NaN]]}', "lists of 2 numbers"),
        ('{"polygons": [[[1, 2], [3, 4]]]}', "lists of points, three or more"),
        ('{"masks": [{"size": [2, 2], "counts": [3]}]}', r"masks\[0\]: .* 3 pixels"),
        ('{"bounding_boxes": [[1, 2, 3, "4"]]}', "lists of 4 numbers"),
        ('{"keypoints": 3}', "lists of 2 numbers"),
    ],
)
def test_broken_annotations_say_what_is_wrong(tmp_path, content, reason):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UnreadableLabelsError, match=reason):
        read_sidecar(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["[1, 2]", '{"shapes": []}'])
def test_json_of_another_kind_is_left_alone(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    assert read_sidecar(tmp_path / "a.json") is None


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_takes_every_picture(preset):
    notes = Sidecar(keypoints=[[3, 4]], bounding_boxes=[[1, 2, 30, 20]])
    grey = np.repeat(COLOUR[:, :, :1], 3, axis=2)
    augmenter = PictureAugmenter(specs.check(f"preset:{preset}"), 7)
    for index in range(4):
        picture, moved = augmenter(index, Picture(COLOUR, ALPHA), notes)
        assert picture.pixels.dtype == np.uint8
        assert picture.alpha.shape == picture.pixels.shape[:2]
        assert len(moved.keypoints) == len(moved.bounding_boxes) == 1
        once = augmenter(index, Picture(grey, grey=True), None)[0].pixels
        again = PictureAugmenter(f"preset:{preset}", 7)(index, Picture(grey, grey=True), None)[
            0
        ].pixels
        assert np.array_equal(once, again)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def name(batch): return []", "1 picture into 0"),
        ("def name(batch): return [batch[0] / 2]", "float64"),
        ("def name(batch): return [batch[0][:0]]", "shape"),
        ("def name(batch): return None", "1 picture into none"),
    ],
)
def test_what_a_pipeline_returns_is_checked(tmp_path, code, reason):
    (tmp_path / "odd.py").write_text(code)
    with pytest.raises(ValueError, match=reason):
        PictureAugmenter(f"{tmp_path}/odd.py:name", 1)(0, Picture(COLOUR), None)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "AttributeError"),
        ("name = 3", "imgaug augmenter or a callable, got int"),
        ("def name(): return None", "imgaug augmenter or a callable, got NoneType"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no')", "SystemExit: no"),
        ("import nosuchmodule", "No module named 'nosuchmodule'"),
    ],
)
def test_a_recipe_that_cannot_be_loaded_says_why(tmp_path, code, reason):
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(errors.AugmenterSpecError, match=reason):
        specs.load(f"{tmp_path}/bad.py:name")


@pytest.mark.parametrize(
    "definition", ["def name(): return same", "name = same", "class name(Same): pass"]
)
def test_a_recipe_is_an_augmenter_or_makes_one(tmp_path, definition):
    (tmp_path / "good.py").write_text(
        "def same(batch): return batch\n"
        "class Same:\n    def __call__(self, batch): return batch\n"
        f"{definition}\n"
    )
    assert specs.load(f"{tmp_path}/good.py:name")([1]) == [1]


def test_a_sheet_is_known_as_one(tmp_path):
    notes = Sidecar(bounding_boxes=[[5, 5, 50, 30]])
    label = "a name that is much longer than its picture is wide, so that it is cut"
    tiles = [contact_sheet.tile(label, Picture(COLOUR, ALPHA), notes, 64)] * 2
    atomic.write(
        tmp_path / "a.png", contact_sheet.encode(contact_sheet.sheet([tiles, tiles[:1]], 64))
    )
    assert contact_sheet.is_sheet(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(tmp_path / "b.png")
    assert not contact_sheet.is_sheet(tmp_path / "b.png")


def test_accelerated(tmp_path):
    (tmp_path / "pipe.py").write_text(
        "import imgaug.augmenters as iaa\n"
        "mesh = iaa.PiecewiseAffine((0.03, 0.1))\n"
        "def same(batch):\n    return batch\n"
    )
    plain, fast = (PictureAugmenter(f"{tmp_path}/pipe.py:mesh", 1, "", each) for each in (0, 1))
    (tmp_path / "a.json").write_text(json.dumps({"keypoints": [[10, 5]]}))
    notes = read_sidecar(tmp_path / "a.json")
    (expected, pixel), (done, point) = (each(0, Picture(COLOUR), notes) for each in (plain, fast))
    assert np.abs(done.pixels.astype(int) - expected.pixels).max() <= 2
    (pixel,), (point,) = (json.loads(notes.encode())["keypoints"] for notes in (pixel, point))
    assert 0 < np.linalg.norm(np.subtract(point, pixel)) < 1
    with pytest.raises(errors.AugmenterSpecError, match="same cannot be made faster"):
        PictureAugmenter(f"{tmp_path}/pipe.py:same", 1, accelerated=True)(0, Picture(COLOUR), None)


def test_manifests_of_earlier_releases(tmp_path):
    entry = manifest.ManifestEntry("s", "o", 0, 1, 1, 0, "p", "", 95, None, (2, 3), "0")
    values = vars(entry).copy()
    del values["fast"]
    (tmp_path / manifest.NAME).write_text(json.dumps(values) + "\n")
    assert manifest.Manifest(tmp_path / manifest.NAME).entries == {0: entry}
