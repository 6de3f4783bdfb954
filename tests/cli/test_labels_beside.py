"""Labels in files beside pictures, of every format, on their way through the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from aioaug._pictures import Picture
from aioaug._pictures.contact_sheet import tile
from aioaug.cli.picture_augmenter import PictureAugmenter
from aioaug.cli.plan import OutputJob
from aioaug.cli.runner import AugmentTask, read_source
from aioaug.data.beside import files_beside, read_beside
from aioaug.errors import UnreadableLabelsError
from labels_testing import HEIGHT, PHOTO, WIDTH, picture, rle

FLIP = (
    "import imgaug.augmenters as iaa\nflip = iaa.Fliplr(1.0)\naway = iaa.Affine(translate_px=-50)"
)
MASK = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 7 == 0


def augmented(folder, name, text, pipeline="flip"):
    """The file with labels that is written beside a flipped picture."""
    path = picture(folder / "in" / "a.png")
    (folder / "in" / name).write_text(text)
    (folder / "flip.py").write_text(FLIP)
    job = OutputJob(0, 0, path, files_beside(path), folder / "out" / "new.png")
    written = AugmentTask(PictureAugmenter(f"{folder}/flip.py:{pipeline}", 1), 95)(job)
    assert written.annotations.name == name.replace("a", "new", 1)
    assert set(job.files()) == set((folder / "out").iterdir())
    return written.annotations.read_text()


def test_ours_move_as_a_whole(tmp_path):
    content = {
        "keypoints": [[10, 5], [20, 6, 2]],
        "bounding_boxes": [[1, 2, 30, 40], [1, 2, 30, 40, "cat"]],
        "polygons": [[[1, 2], [30, 4], [20, 50.5]]],
        "line_strings": [[[1, 2], [30, 4]]],
        "masks": [rle(MASK), rle(MASK, listed=True)],
        "mine": {"polygons": [[1, 2]]},
    }
    flipped = [rle(MASK[:, ::-1]), rle(MASK[:, ::-1], listed=True)]
    assert json.loads(augmented(tmp_path, "a.json", json.dumps(content))) == {
        "keypoints": [[86, 5], [76, 6, 2]],
        "bounding_boxes": [[66, 2, 95, 40], [66, 2, 95, 40, "cat"]],
        "polygons": [[[95, 2], [66, 4], [76, 50.5]]],
        "line_strings": [[[95, 2], [66, 4]]],
        "masks": flipped,
        "mine": {"polygons": [[1, 2]]},
    }
    away = json.loads(augmented(tmp_path, "a.json", json.dumps(content), "away"))
    assert away["keypoints"] == [[-40, -45], [-30, -44, 0]]
    assert [mask["size"] for mask in away["masks"]] == [[HEIGHT, WIDTH]] * 2


def test_those_of_labelme(tmp_path):
    shape = {"label": "cat", "points": [[1, 2], [30, 40]], "shape_type": "rectangle", "flags": {}}
    content = {"version": "5.4.1", "flags": {}, "shapes": [shape], "imagePath": "a.png",
               "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}  # fmt: skip
    new = json.loads(augmented(tmp_path, "a.json", json.dumps(content)))
    assert new["imagePath"] == "new.png"
    assert new["shapes"] == [{**shape, "points": [[66, 2], [95, 40]], "group_id": None}]


def test_those_of_voc(tmp_path):
    new = augmented(
        tmp_path,
        "a.xml",
        "<annotation><filename>a.png</filename><object><name>cat</name><bndbox><xmin>2</xmin>"
        "<ymin>3</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>",
    )
    assert "<filename>new.png</filename>" in new
    assert "<xmin>67</xmin>" in new
    assert "<xmax>95</xmax>" in new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3 0.25 0.5 0.125 0.25\n", "3 0.75 0.5 0.125 0.25\n"),
        ("0 0.25 0.5 0.5 0.25 0.75 0.75\n", "0 0.75 0.5 0.5 0.25 0.25 0.75\n"),
        ("1 0.25 0.5 0.125 0.25 0.25 0.5 2\n", "1 0.75 0.5 0.125 0.25 0.75 0.5 2\n"),
    ],
)
def test_those_of_yolo(tmp_path, old, new):
    assert augmented(tmp_path, "a.txt", old) == new


def test_other_files_are_none(tmp_path):
    path = picture(tmp_path / "a.png")
    for name, content in (
        ("a.txt", b"a cat 2 3 4\n" + b"caf\xe9"),
        ("a.txt", b""),
        ("a.xml", b"<metadata><a/></metadata>"),
        ("a.json", b'{"score": NaN}'),
    ):
        (tmp_path / name).write_bytes(content)
        assert read_beside(files_beside(path)) is None


def test_labels_in_two_files_are_refused(tmp_path):
    path = picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    (tmp_path / "a.json").write_text('{"keypoints": []}')
    with pytest.raises(UnreadableLabelsError, match=r"a.json and a.txt: there are labels in both"):
        read_source(path, files_beside(path))


def test_a_sheet_shows_them(tmp_path):
    path = picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    _, labels, _ = read_source(path, files_beside(path))
    plain, drawn = (tile("", Picture(PHOTO), each, 96).pixels for each in (None, labels))
    assert (plain != drawn).any()
