"""Broken files: one clear line with the file and the entry, and nothing read from elsewhere."""

from __future__ import annotations

import json
import math

import pytest
from aioaug.data import Coco, Labelme, Masks, Sidecars, Voc, Yolo, YoloWriter
from aioaug.errors import UnreadableLabelsError
from labels_testing import coco_file, picture, with_junk, yolo_folder
from PIL import Image

NAMES = "names: [cat, dog]\ntrain: images/train\n"


def refused(reason, make, *arguments, **options):
    with pytest.raises(UnreadableLabelsError, match=reason) as caught:
        make(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("annotations", 0, "bbox", [1, 2, -3, 4]), "annotation 101: bbox has a negative width"),
        (("annotations", 0, "bbox", [1, 2, 3]), "annotation 101: bbox must be 4 numbers, got 3"),
        (("annotations", 0, "bbox", [1, 2, 3, "4"]), "annotation 101: bbox must be numbers"),
        (("annotations", 0, "bbox", [1, 2, 3, math.nan]), "101: bbox must be numbers, got nan"),
        (("annotations", 0, "bbox", [1, 2, 3, 10**400]), "101: bbox must be numbers, got 1000"),
        (("annotations", 0, "bbox", "x" * 1000), r"101: bbox must be a list of .*xxx\.\.\.xxx"),
        (("annotations", 0, "area", True), "annotation 101: area must be numbers, got True"),
        (("annotations", 0, "image_id", 8), "annotation 101: there is no image with the id 8"),
        (("annotations", 0, "category_id", 8), "annotation 101: there is no category .* 8"),
        (("annotations", 0, "image_id", [7]), r"annotation 101: image_id must be a .* got \[7\]"),
        (("annotations", 0, "category_id", [3]), r"101: there is no category with the id \[3\]"),
        (("annotations", 0, "id", 102), "the id in annotations 102 is there twice"),
        (("annotations", 0, "keypoints", [1, 2]), "annotation 101: keypoints must be x, y and"),
        (("annotations", 0, "keypoints", [1, 2, 3]), "annotation 101: the visibility .* 0, 1 or 2"),
        (("annotations", 1, "segmentation", [[1, 2, 3, 4]]), "102: a polygon must have three"),
        (("annotations", 1, "segmentation", "x"), "102: segmentation must be polygons or run"),
        (("annotations", 2, "segmentation", {"size": [64, 96], "counts": [3]}), "103: .* of 3 pix"),
        (
            ("annotations", 2, "segmentation", {"size": [64, 96], "counts": "~"}),
            "the counts",
        ),
        (("annotations", 2, "segmentation", {"counts": "~"}), "103: the size of segmentation"),
        (("images", 0, "id", 9), "the id in images 9 is there twice"),
        (("images", 0, "id", None), r"images\[0\]: has no id"),
        (("images", 0, "file_name", "b.png"), "image 7: there is no picture .*b.png"),
        (("images", 0, "file_name", "../a.png"), "image 7: '../a.png' leads out of"),
        (("images", 0, "file_name", "/etc/passwd"), "image 7: '/etc/passwd' leads out of"),
        (("images", 0, "file_name", "C:\\a.png"), "image 7: .* leads out of"),
        (("images", 0, "file_name", "link.png"), "image 7: 'link.png' is a link that leads out of"),
        (
            ("images", 0, "file_name", "linked/a.png"),
            "image 7: 'linked/a.png' is a link that leads out of",
        ),
        (("images", 0, "width", 2.5), "image 7: the size of the picture must be whole"),
        (("categories", 0, "name", None), r"categories\[0\]: has no name"),
    ],
)
def test_coco(tmp_path, change, reason):
    (tmp_path / "outside").mkdir()
    picture(tmp_path / "outside" / "a.png")
    path = coco_file(tmp_path / "in")
    (tmp_path / "in" / "images" / "link.png").symlink_to(tmp_path / "outside" / "a.png")
    (tmp_path / "in" / "images" / "linked").symlink_to(tmp_path / "outside")
    content = json.loads(path.read_text())
    name, place, key, value = change
    content[name][place][key] = value
    path.write_text(json.dumps(content))
    assert str(path) in refused(reason, Coco, path, tmp_path / "in" / "images")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a JSON object, got list"),
        ("{}", "images must be a list of objects"),
        ('{"images": [], "categories": [], "annotations": 3}', "annotations must be a list"),
        ('{"images": ' + "[" * 100_000, "is not JSON"),
        ("\udcff", "is not UTF-8"),
    ],
)
def test_no_coco(tmp_path, text, reason):
    (tmp_path / "a.json").write_bytes(text.encode(errors="surrogateescape"))
    assert "a.json" in refused(reason, Coco, tmp_path / "a.json")


def test_missing_files(tmp_path):
    refused("there is no such file", Coco, tmp_path / "a.json")
    refused("there must be a data.yaml, found 0", Yolo, tmp_path)
    refused("there are no XML files", Voc, tmp_path)
    refused("there are no files of labelme's", Labelme, tmp_path)
    refused("there are no pictures with labels", Sidecars, tmp_path)
    refused("there is no such folder", Masks, tmp_path, tmp_path / "masks")
    path = coco_file(tmp_path / "in")
    (tmp_path / "in" / "images" / "a.png").unlink()
    assert len(Coco(path, tmp_path / "in" / "images", missing="skip")) == 1


@pytest.mark.parametrize(
    ("header", "line", "reason"),
    [
        (NAMES, "2 0.5 0.5 0.1 0.1", "a.txt: line 1: there is no class 2, for there are 2"),
        (NAMES, "-1 0.5 0.5 0.1 0.1", "line 1: there is no class -1"),
        (NAMES, "0.5 0.5 0.5 0.1 0.1", "line 1: there is no class 0.5"),
        (NAMES, "cat 0.5 0.5 0.1 0.1", "line 1: the class must be a number, got 'cat'"),
        (NAMES, "0 0.5 nan 0.1 0.1", "line 1: a coordinate must be a number, got nan"),
        (NAMES, "0 0.5 0.5 -0.1 0.1", "line 1: the box has a negative width"),
        (NAMES, "0 0.5 0.5 0.1", "line 1: there must be 4 numbers or a polygon, got 3"),
        (NAMES, "0 0.5 0.5 0.1 0.1 0.9", "line 1: there must be 4 numbers or a polygon, got 5"),
        (f"{NAMES}kpt_shape: [2, 3]\n", "0 0.5 0.5 0.1 0.1", "kpt_shape wants 10 numbers, got 4"),
        (f"{NAMES}kpt_shape: [2, 3]\nflip_idx: [1, 1]\n", "", "flip_idx must have each keypoint"),
        (f"{NAMES}kpt_shape: 3\n", "", "data.yaml: kpt_shape must be a count and 2 or 3"),
        (f"{NAMES}nc: 3\n", "", "data.yaml: has 2 names, but nc is 3"),
        ("names: {0: a, 2: b}\n", "", "names must be numbered from 0"),
        ("train: images\n", "", "data.yaml: has no names of classes"),
        ("[1]", "", "data.yaml: must hold names and values"),
        ("a: [", "", "data.yaml: is not YAML"),
        ("!!python/object/apply:os.getcwd []", "", "data.yaml: is not YAML"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b]\n", "", "data.yaml: has no names of classes"),
        ("names: [a]\ntrain: [3]\n", "", "train: must be a folder, got 3"),
        ("names: [a]\ntrain: ../outside\n", "", "train: '../outside' leads out of"),
        ("names: [a]\ntrain: /etc\n", "", "train: '/etc' leads out of"),
        ("names: [a]\ntrain: nowhere\n", "", "train: there is no 'nowhere'"),
        ("names: [a]\ntrain: list.txt\n", "", "list.txt: line 1: '../outside/a.png' leads out of"),
    ],
)
def test_yolo(tmp_path, header, line, reason):
    picture(tmp_path / "outside" / "a.png")
    source = yolo_folder(tmp_path / "in", [line], header)
    (source / "list.txt").write_text("../outside/a.png\n")
    refused(reason, Yolo, source)


def test_yolos_labels_without_a_picture(tmp_path):
    source = yolo_folder(tmp_path, [], NAMES)
    (source / "labels" / "train" / "b.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    refused("labels/train/b.txt: there is no picture of this name", Yolo, source)
    refused("has no split 'test'", Yolo, source, split="test")


VOC = "<annotation><filename>{}</filename><object><name>a</name>{}</object></annotation>"
BOX = "<bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotation>", "a.xml: is not XML"),
        ("<images/>", "a.xml: must hold an <annotation>, got a <images>"),
        (VOC.format("a.png", BOX.format("x")), "a.xml: a: xmin must be a number, got 'x'"),
        (VOC.format("a.png", BOX.format("nan")), "a.xml: a: xmin must be a number, got nan"),
        (VOC.format("a.png", BOX.format("20")), "a.xml: a: the box has a negative width"),
        (VOC.format("a.png", "").replace("<name>a</name>", ""), "a.xml: an object has no name"),
        (
            '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>',
            "a.xml: has a document type",
        ),
        (
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>',
            "a.xml: has a document type",
        ),
        (f"<annotation>{'<a>' * 9999}{'</a>' * 9999}</annotation>", "a.xml: has elements in each"),
    ],
)
def test_voc(tmp_path, text, reason):
    picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(text)
    refused(reason, Voc, tmp_path)


def test_vocs_labels_without_a_picture(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.xml").write_text(VOC.format("../a.png", BOX.format("1")))
    refused("b.xml: '../a.png' leads out of", Voc, tmp_path)
    (tmp_path / "b.xml").write_text(VOC.format("b.png", BOX.format("1")))
    refused("b.xml: there is no picture b.png", Voc, tmp_path)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"label": 3}, "every shape must have a label"),
        ({"label": "a"}, r"shapes\[0\]: has no list of points"),
        ({"label": "a", "points": [[1, 2]]}, "a polygon must have three points or more, got 1"),
        ({"label": "a", "points": [[1]]}, "a point must be 2 numbers"),
        ({"label": "a", "points": [[1, 2]], "shape_type": "circle"}, "a circle must have 2"),
        ({"label": "a", "points": [], "shape_type": ["star"]}, "shape_type .* is not known"),
        ({"label": "a", "points": [], "shape_type": "star"}, "shape_type 'star' is not known"),
        ({"label": "a", "points": [[1, 2]] * 2, "shape_type": "mask"}, "the mask cannot be read"),
    ],
)
def test_labelme(tmp_path, shape, reason):
    picture(tmp_path / "a.png")
    content = {"shapes": [shape], "imageWidth": 96, "imageHeight": 64, "imagePath": "a.png"}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert "a.json" in refused(reason, Labelme, tmp_path)


def test_masks(tmp_path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    Image.new("RGB", (96, 64)).save(tmp_path / "masks" / "a.png")
    labels = Masks(tmp_path / "images", tmp_path / "masks")[0].labels
    refused("a.png: has colours", labels.columns, (64, 96, 3))
    Image.new("L", (95, 64)).save(tmp_path / "masks" / "a.png")
    refused("a.png: the mask has 95 x 64 pixels, the picture 96 x 64", labels.columns, (64, 96, 3))
    picture(tmp_path / "images" / "b.png")
    refused("b.png: there is no mask of it", Masks, tmp_path / "images", tmp_path / "masks")
    picture(tmp_path / "masks" / "c.png")
    refused("c.png: there is no such picture", Masks, tmp_path / "images", tmp_path / "masks")


def test_whatever_stands_in_a_file_it_is_read_or_refused(tmp_path):
    path = coco_file(tmp_path)
    messages = []
    for text in with_junk(path.read_text(), 300):
        path.write_text(text)
        try:
            dataset = Coco(path, tmp_path / "images")
            for sample in dataset:
                labels = sample.labels.in_pixels((64, 96, 3))
                labels.columns((64, 96, 3))
                YoloWriter(dataset.classes, "segment").label_files("a.png", labels)
        except UnreadableLabelsError as error:
            messages.append(str(error))
    assert 100 < len(messages) < 300
    assert not any("\n" in message for message in messages)
